/* What the parts of the search share: search.c finds numbers of replicas, verify.c holds finalists to the whole trace,
 * relax.c says what would do when nothing does. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_PARTS_H

#include "experiments/planning/finalist.h"

struct exp_hunters {
    const struct exp_plan *plan;
    const struct mdl_prices *prices;
    struct exp_cache *cache;
    struct exp_loads *loads;
    struct exp_entry **round; /* that threads work on */
};

/* Over the horizon by the cheapest way that the plan allows; NaN with one line in st when none has a price. */
double exp_cheapest(const struct exp_plan *plan, const struct mdl_prices *prices, const struct exp_entry *e,
                    struct sim_status *st);
bool exp_is_baseline(const struct exp_plan *plan, const struct exp_entry *e);

/* why_not of an entry that meets on no number of replicas: its limit that is missed most, and by how much. */
void exp_say_what_breaks(struct exp_entry *e, const struct exp_setup *u);

/* Finalists become EXP_FINALIST with their verdicts, or EXP_NEVER_MEETS. */
bool exp_verify_finalists(struct exp_hunters *h, struct exp_search *s,
                          const struct exp_search_options *options, struct sim_status *st);

/* The smallest change of a limit with which some candidate meets; into s->relaxation. */
void exp_find_relaxation(struct exp_hunters *h, struct exp_search *s);

#endif
