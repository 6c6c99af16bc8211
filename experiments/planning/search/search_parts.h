/* What the parts of the search share: search.c orders and prunes, number.c finds numbers of replicas, verify.c holds
 * finalists to the whole trace, relax.c says what would do when nothing does. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_SEARCH_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_SEARCH_PARTS_H

#include "experiments/planning/money/finalist.h"

enum { EXP_ROUND_GROUPS = 4 }; /* decides who is pruned, so it does not follow the threads */

struct exp_hunters {
    const struct exp_plan *plan;
    const struct mdl_prices *prices;
    struct exp_cache *cache;
    struct exp_loads *loads;
    struct exp_entry *group[EXP_ROUND_GROUPS]; /* that threads work on */
    uint32_t group_size[EXP_ROUND_GROUPS], n_groups;
};

/* number.c: finds the fewest replicas of every entry of group i of the hunters, one after the other. */
void exp_search_group(void *hunters, uint32_t i);

/* Over the horizon by the cheapest way that the plan allows; NaN with one line in st when none has a price. */
double exp_cheapest(const struct exp_plan *plan, const struct mdl_prices *prices, const struct exp_entry *e,
                    struct sim_status *st);
bool exp_is_baseline(const struct exp_plan *plan, const struct exp_entry *e);

/* why_not of an entry that meets on no number of replicas: its limit that is missed most, and by how much. */
void exp_say_what_breaks(struct exp_entry *e, const struct exp_setup *u);

/* Finalists become EXP_FINALIST with their verdicts, or EXP_NEVER_MEETS. */
bool exp_verify_finalists(struct exp_hunters *h, struct exp_search *s,
                          const struct exp_search_options *options, struct sim_status *st);

/* Others' seeds: does N of a finalist meet and N - 1 fail once more? */
bool exp_verify_fresh(struct exp_hunters *h, struct exp_entry *e, const struct exp_search_options *o,
                      struct sim_status *st);

/* The smallest change of a limit with which some candidate meets; into s->relaxation. */
void exp_find_relaxation(struct exp_hunters *h, struct exp_search *s);

#endif
