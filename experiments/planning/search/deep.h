/* `plan --deep`: variants of the best candidates, one thing changed in each: an engine knob, or a parameter of the
 * strategy at either end of the range in which its sources set it. What a user has set stays. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_DEEP_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_DEEP_H

#include "experiments/planning/search/candidate.h"

/* *out is the caller's, free with free(); it points into `contenders`. How many. */
uint32_t exp_deep_candidates(const struct exp_candidate *best, uint32_t n, struct exp_contenders *contenders,
                             struct exp_candidate **out);

#endif
