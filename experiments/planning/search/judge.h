/* A number of replicas judged as a buyer would: over replications with their own traces, seeds and operator errors, the lower
 * end of the 90 % interval of attainment must reach the percentile, for every class. A panel holds a candidate's
 * replications, set up once, so that several numbers of replicas cost the simulations alone. The same on any number of
 * threads. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_JUDGE_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_JUDGE_H

#include "experiments/planning/search/trial.h"

enum { EXP_REPLICATIONS = 8 };

struct exp_verdict {
    uint32_t n_replicas, n_replications; /* fewer than EXP_REPLICATIONS when that many decided against it */
    bool feasible;
    struct exp_band attainment[SIM_MAX_CLASSES];
    struct exp_band ttft_p99_s, tpot_p99_s, gpu_busy;
    double evidence[SIM_N_EVIDENCE]; /* means */
};

struct exp_panel;
/* NULL with one line in st. Replications of one seed see the same traces and errors, whatever the candidate. */
struct exp_panel *exp_panel_new(const struct exp_plan *plan, const struct exp_candidate *c,
                                struct exp_cache *cache, struct exp_loads *loads, uint64_t seed,
                                struct sim_status *st);
void exp_panel_free(struct exp_panel *p);

/* n new replicas under load_factor of the plan's load, on the whole trace, less one server when the plan is `robust`.
 * brief: stop when enough replications have failed to decide. stretch: on the busiest stretch instead. */
struct exp_verdict_options {
    double load_factor;
    uint32_t n_threads;
    bool brief, stretch;
};
bool exp_panel_judge(struct exp_panel *p, uint32_t n_replicas, const struct exp_verdict_options *o,
                     struct exp_verdict *out, struct sim_status *st);

/* Simulations made so far; none is made twice. */
uint64_t exp_panel_runs(const struct exp_panel *p);

/* Both in one, for a single number of replicas. */
bool exp_judge(const struct exp_plan *plan, const struct exp_candidate *c, struct exp_cache *cache,
               struct exp_loads *loads, uint32_t n_replicas, double load_factor, uint64_t seed,
               uint32_t n_threads, struct exp_verdict *out, struct sim_status *st);

/* Share of a class's requests that counts for its percentile: within all limits, or of the worst single limit. */
double exp_attained(const struct sim_class *class, const struct exp_class_point *p);

/* New replicas that serve when so many are there: those of a server less, when the plan is `robust`; false when nothing at all
 * would be left. A trial with `lose_server` knows whether a kept server is the worse loss. */
bool exp_serving(const struct exp_plan *plan, const struct exp_candidate *c, uint32_t n, uint32_t *serving);

#endif
