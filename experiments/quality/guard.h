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

/* The i-th of the list under a method. It is missing when the method does not have it, or full KV does not where the rule
 * needs it. */
enum exp_critical_verdict { EXP_CRITICAL_PASSES, EXP_CRITICAL_FAILS, EXP_CRITICAL_MISSING };
enum exp_critical_verdict exp_critical_judge(const struct exp_scores *s, const struct exp_critical *c,
                                             uint32_t i, uint32_t method,
                                             const struct exp_quality_options *options);

struct exp_critical_result {
    uint64_t n, failures, missing;
    double weighted_failures; /* share by weight; NaN without any */
    double bound; /* one-sided 95 % upper bound of the rate (Clopper-Pearson; at most 3/n with none) */
    double
        cvar; /* mean change of score of the worst 5 % (rounded down), at least one sample; NaN without any */
    double worst_change; /* NaN likewise */
};
struct exp_critical_result exp_critical_evaluate(const struct exp_scores *s, const struct exp_critical *c,
                                                 uint32_t method, const struct exp_quality_options *options);

/* ---- guard list ---- */

struct exp_guard {
    uint32_t n;
    uint32_t *task;                 /* to keep on full KV, the most harmful per request first; own */
    double share;                   /* of the traffic */
    double rate_before, rate_after; /* newly failing answers, of all */
    /* Of a list chosen alike on half of the samples (every other one of a task) and judged on the other half: mean of
     * both ways, NaN when a half is empty. */
    double rate_held_out;
    bool met;
};
/* The smallest share of traffic whose guarding brings newly failing answers to at most `target`: exact for up to 16 tasks
 * that fail, from the highest rate on for more. Options as r was made with. mix NULL or empty = tasks as often as r has
 * samples of them; tasks of a mix without samples are left out. Not met: a target below 0, or a mix of which no task has
 * samples. */
struct exp_guard exp_guard_tasks(const struct exp_scores *s, const struct exp_quality_result *r,
                                 const struct exp_quality_options *options, const struct mdl_task_mix *mix,
                                 double target);
void exp_guard_fini(struct exp_guard *g);

#endif
