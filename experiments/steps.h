/* A plan, executed: what kvbench measured of each step beside what the simulator says of the very same batches.
 * They are priced again, not simulated again; TTFT and TPOT follow from either set of durations with the order
 * of batches fixed and idle gaps kept. Replay runs one rank's shapes without all-reduce and one pipeline stage,
 * so the price leaves the same out. */
#ifndef KVSIM_EXPERIMENTS_STEPS_H
#define KVSIM_EXPERIMENTS_STEPS_H

#include "experiments/errors.h"
#include "experiments/batches.h"
#include "experiments/setup.h"

struct exp_step_trial {
    uint64_t step;
    uint32_t replica, n_decodes, n_chunks;
    uint64_t new_tokens;
    double predicted_s, measured_s; /* measured: median of its repeats */
    double noise;                   /* largest / smallest repeat - 1; 0 with one repeat */
};

struct exp_steps {
    struct exp_batches plan;
    struct exp_step_trial *trial; /* steps of the plan that were measured, in plan order */
    size_t n, n_repeats;
    bool parallel; /* tensor or pipeline parallel: something was left out */
    bool ends;     /* a request of the plan has as many tokens as the scenario says */
    struct exp_errors all, decode_only, mixed, ttft, tpot;
    double noise_median; /* over steps */
    double total_error;  /* sum of predicted / sum of measured - 1 */
};

/* s is what the plan was made from: it says model, fleets, engine and load. False with one line in st. Free with
 * exp_steps_fini. */
bool exp_steps_new(const char *plan_path, const char *measured_path, const struct exp_scenario *s,
                   struct exp_cache *cache, struct exp_steps *out, struct sim_status *st);
void exp_steps_fini(struct exp_steps *x);

#endif
