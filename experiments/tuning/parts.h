/* Between the parts of a search. */
#ifndef KVSIM_EXPERIMENTS_TUNING_PARTS_H
#define KVSIM_EXPERIMENTS_TUNING_PARTS_H

#include "experiments/tuning/tune.h"

/* Progress of all rounds together, from 0 to 1. */
struct exp_tune_round {
    struct exp_tune_book *book;
    const struct exp_tune_parameter *parameter;
    uint32_t n_parameters, n_replications;
    struct exp_progress *progress;
};

/* Candidates race: blocks of replications, and after each one those that a paired test says are worse than the leader are
 * dropped, until one is left or all replications are used. Whoever leads, the best is dropped in at most 5 % of races:
 * Bonferroni over its rivals and the blocks. trials[0], the usual setting, gets all replications. Returns how many are
 * left; they come first, best first. */
enum { EXP_TUNE_BLOCK = 4 };
uint32_t exp_tune_race(const struct exp_tune_round *r, struct exp_tune_trial **trials, uint32_t n);

/* Moves the smooth parameters from a trial's setting; the best that was found, with all replications. */
struct exp_tune_trial *exp_tune_minimise(const struct exp_tune_round *r, struct exp_tune_trial *from);

/* One parameter moved over its values, the others as in `best`. */
void exp_tune_profile(const struct exp_tune_round *r, struct exp_tune_trial *best, uint32_t parameter,
                      struct exp_tune_profile *out);

/* Of the settings that are not told apart from the best one (EXP_TUNE_EQUAL) the default, or else one with as many of its
 * values as can be, the others as near to them. */
struct exp_tune_trial *exp_tune_settle(const struct exp_tune_round *r, struct exp_tune_trial *usual,
                                       struct exp_tune_trial *best);

/* Static settings and the adaptive policy, all else as in the scenario, on the load with rates that change; nothing where
 * the strategy has no such policy. */
void exp_tune_compare_shift(struct exp_tune *t, const struct exp_tune_task *task,
                            struct exp_progress *progress);

/* The plural's ending. */
static inline const char *exp_tune_s(uint32_t n)
{
    return n == 1 ? "" : "s";
}

/* Which limits stand between the best setting and a better objective. */
void exp_tune_find_limits(struct exp_tune *t);

#endif
