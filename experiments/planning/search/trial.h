/* A candidate tried: so many replicas under so much load, everything else fixed. The hot path of a plan: a trial is set up
 * once (12 to 16 ms: steps tabulated), then every run costs the simulation alone. Trials are independent of each other and
 * may run on any thread; a result depends on its arguments only. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_TRIAL_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_TRIAL_H

#include "experiments/planning/search/candidate.h"
#include "experiments/planning/search/loads.h"
#include "experiments/setup.h"
#include "sim/metrics.h"

struct exp_class_point {
    uint64_t arrived;
    double attainment; /* good / arrived */
    double ttft_p99_s, tpot_p99_s, e2el_p99_s;
    double ttft_miss, tpot_miss, e2el_miss; /* share of arrived over each limit */
    bool met; /* attainment >= the class's percentile; a class without requests is met */
};

/* Latency at these quantiles of completed requests, numpy's linear percentiles; NaN = none completed. */
enum { EXP_SPREAD_QUANTILES = 25 };
extern const double exp_spread_quantile[EXP_SPREAD_QUANTILES]; /* rising; 0.5, 0.9 and 0.99 among them */
struct exp_spread {
    double ttft_s[EXP_SPREAD_QUANTILES];
    double tpot_s[EXP_SPREAD_QUANTILES]; /* of requests with more than one output token */
};

/* What one run shows. */
struct exp_trial_point {
    uint32_t n_classes;
    struct exp_class_point class[SIM_MAX_CLASSES];
    bool met;                           /* by every class */
    double miss;                        /* 1 - attainment over all requests */
    double gpu_busy;                    /* of the GPUs that serve */
    double request_rate;                /* arrived per second */
    double input_tokens, output_tokens; /* per arrived request, the latter as served */
    double length_ratio;                /* output tokens over those with full KV */
    double ttft_p99_s, tpot_p99_s;
    double evidence[SIM_N_EVIDENCE]; /* shares of GPU time */
    double kv_peak_utilization, kv_mean_utilization, host_link_busy;
    double mean_running; /* sequences, of all replicas together */
    enum sim_load_state load_state;
    struct exp_spread spread; /* of a trial that keeps it */
};

/* What is changed in a trial beside replicas and load; zero = nothing. */
struct exp_trial_change {
    const struct exp_factors *factors; /* operator and other errors */
    bool full_kv;                      /* rollback: the same fleet on full KV */
    double miss,
        correction; /* kv.miss_rate and kv.correction_rate, where the strategy has them; NaN = as they are */
    double length_factor;   /* on every output length, on top; 0 = 1 */
    double length_quantile; /* every request's length shift at this quantile; 0 = drawn */
    double link_frac;       /* of the host link's rate; 0 = 1 */
    bool lose_server;       /* every run goes without the server that does most, kept or new */
};

struct exp_trial;
/* NULL with one line in st: why this candidate cannot run (memory, TP, ...). */
struct exp_trial *exp_trial_new(const struct exp_plan *plan, const struct exp_candidate *c,
                                struct exp_cache *cache, struct exp_loads *loads,
                                const struct exp_trial_change *change, struct sim_status *st);
void exp_trial_free(struct exp_trial *t);

/* From now on runs tell their latencies' distribution, too: 4 ms for 20,000 requests. */
void exp_trial_keep_spread(struct exp_trial *t);

/* n new replicas under a load; seed is the run's (lengths, router) and, with the load's, the trace's. False with one line in
 * st when the load cannot be made. n = 0 needs machines that there are. */
bool exp_trial_run(struct exp_trial *t, uint32_t n, double load_factor, uint64_t seed, bool whole,
                   struct exp_trial_point *out, struct sim_status *st);

/* The setup behind it, for profiles, engines, memory and notes. */
const struct exp_setup *exp_trial_setup(const struct exp_trial *t);

#endif
