/* The loads that candidates are tried under, each made once and shared by all trials and threads: the trace times the
 * plan's `multiply`, a factor and a seed; the whole of it, or its busiest stretch of at least 20,000 requests. Everybody gets
 * the same requests (common random numbers). Superposed copies start elsewhere for every seed. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_LOADS_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_LOADS_H

#include "experiments/planning/file/plan_file.h"
#include "experiments/workload.h"

enum { EXP_WINDOW_REQUESTS = 20000 };

struct exp_loads;
struct exp_loads *exp_loads_new(const struct exp_plan *plan, struct exp_cache *cache);
void exp_loads_free(struct exp_loads *l);

/* Thread-safe; lives until exp_loads_free. NULL with one line in st.
 *   factor   over the plan's load, > 0
 *   whole    the whole trace, else its busiest stretch, which has no trace's side columns */
const struct exp_workload *exp_loads_get(struct exp_loads *l, double factor, uint64_t seed, bool whole,
                                         struct sim_status *st);

/* First request and number of the stretch of at least `least` requests with the most tokens a second. */
struct exp_stretch {
    uint64_t first, n;
};
struct exp_stretch exp_busiest_stretch(const struct sim_request *r, uint64_t n, uint64_t least);

#endif
