/* Step costs shared by the runs of a study: most points differ in load, limits or seed, and tabulating what a step costs
 * takes longer than simulating thousands of requests. A cost is known by the bytes of all that it is made from, so that
 * none is ever taken for another. Costs that nobody uses stay for the next point, the last EXP_IDLE_COSTS of them.
 * Threads may share one; who asks for a cost that another thread is making waits for it. */
#ifndef KVSIM_EXPERIMENTS_COSTS_H
#define KVSIM_EXPERIMENTS_COSTS_H

#include "models/cost.h"

enum { EXP_IDLE_COSTS = 128 }; /* a few hundred KB each */

struct exp_costs;
struct exp_shared_cost;

struct exp_costs *exp_costs_new(void);
/* Every cost has been given back. */
void exp_costs_free(struct exp_costs *c);

/* NULL with one line in st when the profile cannot price this model. The spec's catalogue entries, profiles and methods
 * are told apart by where they lie: they outlive the costs. Give it back with exp_costs_give. */
struct exp_shared_cost *exp_costs_take(struct exp_costs *c, const struct mdl_cost_spec *spec,
                                       struct sim_status *st);
void exp_costs_give(struct exp_costs *c, struct exp_shared_cost *cost);

/* Never changed: overheads of an engine cannot be set on it. */
struct mdl_cost *exp_shared_cost(const struct exp_shared_cost *cost);

#endif
