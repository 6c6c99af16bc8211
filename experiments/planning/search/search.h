/* The search for the cheapest fleet: candidates from the plan's search space and the machines that there are; bounds from
 * memory and roofline; the fewest replicas that meet every class on the busiest stretch, under common random numbers; then
 * the best five on the whole trace in >= 8 replications each at N - 1, N and N + 1, and once more with fresh seeds.
 * Feasible: the lower end of the 90 % interval of attainment (over replications, with operator errors drawn) reaches the
 * percentile, for every class. The same on any number of threads. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_SEARCH_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_SEARCH_H

#include "experiments/planning/money/economy.h"
#include "experiments/planning/search/judge.h"

enum { EXP_FINALISTS = 5, EXP_WHY_BYTES = 400 };
#define EXP_MOST_UNMEASURED 0.3 /* of GPU time: above it a winner is labelled "measure first" */

enum exp_fate {
    EXP_CANNOT,      /* does not run: memory, TP, quality limit; why_not says */
    EXP_PRUNED,      /* its lower bound costs more than five others */
    EXP_NEVER_MEETS, /* no number of replicas meets the service levels */
    EXP_SEARCHED,    /* n_replicas by the busiest stretch */
    EXP_FINALIST     /* verified on the whole trace */
};

struct exp_entry {
    struct exp_candidate candidate;
    enum exp_fate fate;
    char why_not[EXP_WHY_BYTES];         /* empty for a finalist that wins */
    uint32_t at_least;                   /* replicas, by roofline */
    uint32_t n_replicas;                 /* needed */
    double request_rate;                 /* of the whole trace at the load of the plan, per second */
    struct exp_trial_point point;        /* at n_replicas on the busiest stretch, sized load */
    struct exp_verdict below, at, above; /* finalists: N - 1, N, N + 1 */
    bool checked;  /* with fresh seeds: those whose cost is near the cheapest's, and the baseline */
    bool verified; /* with fresh seeds N meets and N - 1 fails; else "between N - 1 and N" */
    struct exp_verdict fresh_below, fresh_at;
    double cost_estimate;              /* over the horizon, by the cheapest way to get it; NaN = no price */
    const struct mdl_quality *quality; /* of the strategy, the cache's; NULL when the candidate cannot run */
    struct mdl_quality_rates rates;
    bool is_baseline;
    bool own_kind;   /* of the GPU that there is */
    uint32_t number; /* in the search space */
    uint64_t n_runs; /* simulations of its search */
};

struct exp_search {
    struct exp_entry *entry; /* finalists first, by cost; then the others, likewise */
    uint32_t n_entries, n_finalists;
    uint32_t baseline;       /* index of the entry that saving is measured against; UINT32_MAX = none */
    uint64_t n_runs;         /* simulations made */
    double wall_s, search_s; /* all of it; before finalists were verified */
    /* when nothing is feasible: the smallest relaxation that would do */
    char relaxation[EXP_WHY_BYTES];
    struct exp_contenders *variants; /* of the strategies, that a deep search made */
};

struct exp_search_options {
    uint32_t n_threads;
    uint64_t seed;
    bool deep; /* variants of the best five, too */
};

/* False only when the plan itself is wrong. Free with exp_search_fini. */
bool exp_search_run(const struct exp_plan *plan, const struct mdl_prices *prices, struct exp_cache *cache,
                    struct exp_loads *loads, const struct exp_search_options *options, struct exp_search *out,
                    struct sim_status *st);
void exp_search_fini(struct exp_search *s);

/* Share of GPU time that is extrapolated, transferred or analytic. */
double exp_unmeasured(const double evidence[SIM_N_EVIDENCE]);

#endif
