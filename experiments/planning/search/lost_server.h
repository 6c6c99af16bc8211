/* A fleet of machines that there are, less one of its servers: what is left is a plan like any other. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_LOST_SERVER_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_LOST_SERVER_H

#include "experiments/planning/search/candidate.h"

/* The plan with one server less in `have[i]`, and the candidate changed to fit it; without any left it keeps nothing. A copy
 * that borrows everything from the plan: free with free(). */
struct exp_plan *exp_plan_lose_server(const struct exp_plan *plan, struct exp_candidate *c, uint32_t i);

#endif
