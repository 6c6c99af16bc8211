/* What reports draw of one run, in few numbers: latency distributions, and the cluster over time. Taken while the run has
 * its requests; it stays when they are gone. Percentiles are those of the figures up to 200,000 requests; of more every
 * n-th is taken. */
#ifndef KVSIM_EXPERIMENTS_REPORT_CURVES_H
#define KVSIM_EXPERIMENTS_REPORT_CURVES_H

#include "experiments/run.h"

enum { EXP_QUANTILES = 201, EXP_ALL_CLASSES = SIM_MAX_CLASSES };
enum exp_latency { EXP_LATENCY_TTFT, EXP_LATENCY_TPOT, EXP_LATENCY_E2EL, EXP_N_LATENCIES };

/* The cluster at a time: requests, shares of the pools that are in use; since the moment before: share of the time in which
 * the host links in use carried data, mean over them, and what came and went per second. */
struct exp_moment {
    double time_s, running, waiting, kv_used, host_kv_used, link_busy, arrived_per_s, completed_per_s,
        output_per_s;
};

struct exp_run_curves {
    uint32_t n_latency;                                /* 0 or EXP_QUANTILES */
    double latency_ms[EXP_N_LATENCIES][EXP_QUANTILES]; /* quantiles 0, 1/200 ... 1; NaN = none completed */
    uint32_t n_timeline;                               /* the last when the run is over */
    struct exp_moment *timeline;
};

/* Free with exp_run_curves_fini. */
void exp_run_curves_take(const struct exp_run *run, struct exp_run_curves *out);
void exp_run_curves_fini(struct exp_run_curves *c);

/* Of measured requests that completed, of one class or EXP_ALL_CLASSES; false, and all NaN, when there is none. */
bool exp_run_quantiles(const struct exp_run *run, enum exp_latency latency, uint32_t slo_class,
                       double ms[EXP_QUANTILES]);

/* Moment i of n_timeline + 1, the last being the end of the run. */
struct exp_moment exp_run_moment(const struct exp_run *run, uint32_t i);

#endif
