/* One scenario, run: set up, simulated, measured. What `run` prints, what replications repeat, and what
 * studies and validation call for each of their points. */
#ifndef KVSIM_EXPERIMENTS_RUN_H
#define KVSIM_EXPERIMENTS_RUN_H

#include "experiments/figures.h"
#include "experiments/batches.h"

struct exp_run_options {
    const struct exp_factors *factors; /* NULL = as the profiles say */
    bool no_fast_forward;
    uint32_t timeline_points; /* 0 = no timeline */
    void (*progress)(void *user, double done_frac);
    void *progress_user;
    struct exp_batches_out *plan; /* NULL, or where every batch is written; forms them all */
};

struct exp_run {
    struct exp_setup *setup;
    struct sim_result *result;
    struct sim_report *report;
    struct exp_timing timing;
    struct exp_figures *figures;
};

/* options may be NULL. NULL with one line in st. Free with exp_run_free, before the cache. */
struct exp_run *exp_run_new(const struct exp_scenario *s, struct exp_cache *cache,
                            const struct exp_run_options *options, struct sim_status *st);
void exp_run_free(struct exp_run *r);

#endif
