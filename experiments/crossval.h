/* How far a validation can be trusted: fits that did not see what they are judged on, and 90 % intervals
 * whose residuals come from other folds. */
#ifndef KVSIM_EXPERIMENTS_CROSSVAL_H
#define KVSIM_EXPERIMENTS_CROSSVAL_H

#include "experiments/fit_engine.h"

/* Marks the trials that run on this engine file; how many. */
uint32_t exp_choose_engine(const struct exp_reruns *t, const char *engine, bool *chosen);

struct exp_crossval {
    struct exp_errors tpot, ttft; /* of points that their fit did not see */
};

/* Per engine version: fits without one tensor_parallel, judges on it, for each in turn; a version measured at
 * one tensor_parallel only is not judged. Leaves the trials with the last fit's numbers. */
bool exp_leave_one_tp_out(struct exp_reruns *t, struct exp_crossval *out, struct sim_status *st);

/* Fits on each engine version's points and judges each other's with these numbers; calls `show` per pair. */
bool exp_cross_sources(struct exp_reruns *t,
                       void (*show)(void *user, const char *what, const struct exp_reruns *t,
                                    const bool *chosen),
                       void *user, struct sim_status *st);

struct exp_coverage {
    uint32_t n;
    double tpot, ttft; /* share of points inside their 90 % interval */
};

/* 90 % intervals of every trial: n draws of operator errors (once per draw, family and profile) times a
 * residual whose spread comes from the engine's points in the other four of five folds (from the engine file
 * when there are none). The trials must have been run. */
bool exp_intervals(struct exp_reruns *t, struct exp_cache *cache, uint32_t n_draws, struct exp_coverage *out,
                   struct sim_status *st);

#endif
