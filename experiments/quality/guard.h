/* Two things that a buyer asks after the averages: the samples that must not fail (--critical), and what to keep on full
 * KV so that a stated failure rate is met (the guard list), with the share of traffic that this is. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_GUARD_H
#define KVSIM_EXPERIMENTS_QUALITY_GUARD_H

#include "experiments/quality/evaluate.h"

/* ---- critical samples ---- */

/* The list: CSV with columns task,id and, when given, weight and pass (least score that passes; without it a sample fails
 * when it is negative by the rule, benign or not: below (1 - theta) of full KV). */
struct exp_critical {
    uint32_t n;
    uint32_t *sample;      /* of exp_scores */
    double *weight, *pass; /* pass: NaN = by the rule */
    uint32_t n_unknown;    /* rows whose sample no method has */
};
bool exp_critical_read(const char *path, const struct exp_scores *s, struct exp_critical *out,
                       struct sim_status *st);
void exp_critical_fini(struct exp_critical *c);

struct exp_critical_result {
    uint64_t n, failures, missing;
    double weighted_failures; /* share by weight */
    double bound; /* one-sided 95 % upper bound of the rate (Clopper-Pearson; at most 3/n with none) */
    double cvar;  /* mean change of score of the worst 5 %, at least one sample */
    double worst_change;
};
struct exp_critical_result exp_critical_evaluate(const struct exp_scores *s, const struct exp_critical *c,
                                                 uint32_t method, const struct exp_quality_options *options);

/* ---- guard list ---- */

struct exp_guard {
    uint32_t n;
    uint32_t *task;                 /* to keep on full KV, the most harmful per request first; own */
    double share;                   /* of the traffic */
    double rate_before, rate_after; /* newly failing answers, of all */
    double
        rate_held_out; /* the same list chosen on half of the samples, judged on the other half; both ways */
    bool met;
};
/* The smallest share of traffic whose guarding brings newly failing answers to at most `target`: exact for up to 16 tasks,
 * from the highest rate on for more. mix as for mdl_quality_rates. */
struct exp_guard exp_guard_tasks(const struct exp_scores *s, const struct exp_quality_result *r,
                                 const struct mdl_task_mix *mix, double target);
void exp_guard_fini(struct exp_guard *g);

#endif
