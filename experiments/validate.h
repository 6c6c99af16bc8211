/* Predicted against measured: every measured point is simulated as the closed loop it was, and the errors are
 * summed up. A point's own columns override the scenario's model, gpu, weights, tensor_parallel, engine
 * version and load. What a row does not say (how its lengths were drawn, how many requests were sent) comes
 * from a plain scenario, or from a validation file, where "" is a version that the row does not state:
 *     requests_per_concurrency: 10
 *     settings: {seed: "1"}                    # scenario keys for every row
 *     sources:
 *       - {version: "0.12", settings: {...}}   # and for rows of one engine version
 */
#ifndef KVSIM_EXPERIMENTS_VALIDATE_H
#define KVSIM_EXPERIMENTS_VALIDATE_H

#include "experiments/cache.h"
#include "experiments/errors.h"
#include "experiments/measured.h"
#include "experiments/setup.h"

#include <stdio.h>

/* One point, ready to be simulated under any engine parameters. */
struct exp_rerun {
    const struct exp_point *point;
    struct exp_scenario *scenario;
    struct exp_setup *setup;
    double ttft_ms, tpot_ms;                   /* predicted means */
    double ttft_lo, ttft_hi, tpot_lo, tpot_hi; /* 90 % intervals; 0 without */
};

/* Points that cannot be simulated for one reason. */
struct exp_left_out {
    const struct exp_point *first;
    uint32_t n;
    char *why;
};

struct exp_reruns {
    struct exp_rerun *trial;
    uint32_t n;
    uint32_t n_skipped; /* unknown model or GPU, no profile, no memory, too long to be served, osl 1 */
    struct exp_left_out *left_out;
    uint32_t n_left_out; /* reasons */
    uint32_t n_threads;  /* that run trials; set by exp_reruns_new to 1 */
};

/* Sets up every point; the cache and the points outlive the trials. A point that cannot be set up is left out with a line
 * on `talk` (each reason once); false when none is left or the validation file is wrong. */
bool exp_reruns_new(const struct exp_measured *m, const char *scenario_path, struct exp_cache *cache,
                    FILE *talk, struct exp_reruns *out, struct sim_status *st);
void exp_reruns_fini(struct exp_reruns *t);

/* Simulates one trial with the engine numbers and factors that its setup holds. */
void exp_rerun_run(struct exp_rerun *t);

/* Gives a trial other engine parameters: its overheads, nothing that changes memory or batch limits. */
void exp_rerun_set_engine(struct exp_rerun *t, const struct mdl_engine *engine);

enum exp_quantity { EXP_TTFT, EXP_TPOT };

/* Over the trials with chosen[i], or all when chosen is NULL. */
struct exp_errors exp_reruns_errors(const struct exp_reruns *t, enum exp_quantity q, const bool *chosen);

#endif
