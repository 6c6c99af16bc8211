/* The quality record: what a KV strategy does to answers, counted per task. Written by `kvsim quality`, read by
 * scenarios (kv.quality) and plans (quality.record); the one that ships (models/quality/) is counted from scores that
 * were published. Counts, not rates, are kept: rates follow, and so do their intervals. A row holds for a strategy with
 * certain parameters (models/published_rows.h) and says nothing of others.
 * CSV: strategy,parameters,task,samples,benign,negatives,fixed,worse,better,length_pairs,length_ratio,longer,empty,
 * truncated,zeroed,critical,critical_failures,theta,rule,source. Figures after `better` may be empty: not known. A row
 * whose cells from task to rule are empty says in `source` why nothing is known. */
#ifndef KVSIM_MODELS_QUALITY_H
#define KVSIM_MODELS_QUALITY_H

#include "models/published_rows.h"
#include "models/strategy.h"
#include "sim/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { MDL_TASK_BYTES = 64, MDL_MAX_TASKS = 256 };
#define MDL_ANY_TASK "any" /* stands for every task that the record has no row of */

/* One task under one strategy. A sample is benign when its score with full KV is at least the task's mean; negative when
 * it is benign and its score fell by more than theta; fixed when the roles are exchanged: it is good with the strategy,
 * and its score with full KV is lower by more than theta. Good is at least the strategy's own mean then. */
struct mdl_quality_task {
    char task[MDL_TASK_BYTES];
    uint64_t samples, benign, negatives, fixed, worse, better;
    uint64_t length_pairs;     /* samples with output lengths on both sides; 0 = lengths not known */
    double length_ratio;       /* output tokens over those with full KV, of their sums; NaN = not known */
    uint64_t longer;           /* at least half as long again, of length_pairs */
    uint64_t empty, truncated; /* no output tokens; cut off at a limit: of samples */
    uint64_t zeroed;           /* of negatives: those without any score left */
    uint64_t critical,
        critical_failures; /* samples that the user listed as critical, and how many of them fail */
};

/* What a record says of one strategy. */
struct mdl_quality {
    uint32_t n_tasks;                /* 0 = nothing is known of these parameters, and source says so */
    struct mdl_quality_task *tasks;  /* free with mdl_quality_fini */
    double theta;                    /* 0.1: a score below 0.9 of that with full KV is a failure */
    char rule[8];                    /* paper | code */
    char source[256];                /* of its first row */
    struct mdl_rows_aside elsewhere; /* parameters of the strategy's other rows */
};

static inline bool mdl_quality_known(const struct mdl_quality *q)
{
    return q->n_tasks > 0;
}

/* `full` changes nothing whatever the record says, `swap` and `offload` where it has no row: one task, any, without a
 * sample. */
static inline bool mdl_quality_by_definition(const struct mdl_quality *q)
{
    return q->n_tasks == 1 && !q->tasks[0].samples;
}

/* Of a strategy with these parameters, from a record. A record without a row for them leaves n_tasks 0 and says in
 * `source` for which parameters there is one. False only when the file is wrong; then out is untouched. */
bool mdl_quality_load(const char *csv_path, const struct mdl_kv_use *use, struct mdl_quality *out,
                      struct sim_status *st);
void mdl_quality_fini(struct mdl_quality *q);

/* A share of the traffic per task. */
struct mdl_task_mix {
    uint32_t n;
    struct {
        char task[MDL_TASK_BYTES];
        double share; /* of requests; they need not sum to 1 */
    } at[MDL_MAX_TASKS];
};

/* Shares of answers, weighted by a mix; mix NULL or empty = tasks as often as the record samples them. Tasks of the mix
 * that the record lacks are taken as its task `any`, or left out when it has none; `covered` says how much of the mix is
 * left. All NaN when nothing is known. */
struct mdl_quality_rates {
    double newly_failing; /* sum of share x benign/samples x negatives/benign: of all answers */
    double newly_fixed;   /* the same of `fixed`; net loss = newly_failing - newly_fixed */
    double negative_rate; /* negatives over benign: what papers print */
    double worse, better;
    double newly_failing_lo,
        newly_failing_hi; /* 90 %, Jeffreys interval of the pooled rate at the effective sample size */
    double covered;       /* share of the mix that the record has tasks for */
    double length_ratio;  /* mean over tasks with lengths; NaN when there is none */
    uint64_t samples;     /* of those tasks */
    uint64_t critical, critical_failures; /* of all tasks, whatever the mix */
};
struct mdl_quality_rates mdl_quality_rates(const struct mdl_quality *q, const struct mdl_task_mix *mix);

/* One-sided upper bound of a failure rate after `failures` of `n`, at `confidence` (0.95): Clopper-Pearson. 1 when n = 0. */
double mdl_failure_bound(uint64_t failures, uint64_t n, double confidence);

/* ---- out ---- */

/* Rows of one strategy, a task each: `strategy` and `parameters` as in models/quality/. What holds by definition needs no
 * row and gets none. False when the stream has failed. */
bool mdl_quality_write_header(FILE *out);
bool mdl_quality_write(FILE *out, const char *strategy, const char *parameters, const struct mdl_quality *q);

#endif
