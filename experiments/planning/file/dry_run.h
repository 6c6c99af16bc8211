/* What a plan stands on before anything is searched: its prices, and for `plan --dry-run` the load, the candidates, the
 * simulations and seconds that they will take, and where operator times, prices and quality come from. Reads the trace
 * and simulates one stretch of it to see how long that takes; writes nothing. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_FILE_DRY_RUN_H
#define KVSIM_EXPERIMENTS_PLANNING_FILE_DRY_RUN_H

#include "experiments/planning/search/trial.h"
#include "models/prices.h"

#include <jansson.h>

/* Those that ship, in the plan's currency, with the plan's own over them. NULL with one line in st; free with free(). */
struct mdl_prices *exp_plan_prices(const struct exp_plan *p, const char *data_dir, struct sim_status *st);

struct exp_input_gpu {
    const struct mdl_gpu *gpu;
    const char *profile, *origin;          /* "analytic" when nothing of the card was measured */
    const struct mdl_server_price *server; /* NULL = none */
    const struct mdl_rent_price *rent;
};
struct exp_input_strategy {
    const char *label;
    bool runs, known; /* on the first candidate that has it; its quality */
    char source[320]; /* of its quality, or why it does not run there */
};

struct exp_dry_run {
    uint64_t n_requests, n_window; /* of the whole load and of the stretch that is searched on */
    double request_rate;           /* per second */
    uint32_t n_candidates;
    double n_runs, seconds; /* estimated, on so many threads */
    uint32_t n_threads;
    struct exp_input_gpu gpu[EXP_MAX_CHOICES + EXP_MAX_HAVE];
    uint32_t n_gpus;
    struct exp_input_strategy strategy[EXP_MAX_CONTENDERS];
    uint32_t n_strategies;
    char today[11];
};
struct exp_dry_run_options {
    uint32_t n_threads;
    bool deep; /* engine knobs and strategy parameters too */
};
/* False with one line in st when the load or a profile cannot be read. */
bool exp_dry_run(const struct exp_plan *p, const struct mdl_prices *prices, struct exp_cache *cache,
                 const struct exp_dry_run_options *options, struct exp_dry_run *out, struct sim_status *st);

void exp_dry_run_print(const struct exp_plan *p, const struct exp_dry_run *d, FILE *out);
json_t *exp_dry_run_json(const struct exp_dry_run *d); /* the caller's */

#endif
