/* Per-sample scores in: what every method scored on every sample, from files that evaluations leave behind. CSV with
 * columns alg,params,task,id,score and, where there are any, output_tokens; JSON arrays ([{"id":0,"score":0.06}]) and JSON
 * lines as LongBench's scripts write them, whose method and task stand in the objects or in the file's name. A method is
 * `alg/params` ("hf" when it has none). Limits: score in [0, 1] after --scale, an id once per method and task.
 * Cost: 16 bytes a method and sample; 40 to 120 MB/s of CSV. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_SCORES_H
#define KVSIM_EXPERIMENTS_QUALITY_SCORES_H

#include "sim/status.h"

#include <stdbool.h>
#include <stdint.h>

#define EXP_NO_TOKENS UINT32_MAX

struct exp_score {
    double score;           /* in [0, 1]; NaN = the method has no such sample */
    uint32_t output_tokens; /* EXP_NO_TOKENS where unknown */
};

/* One sample of one task, in the order of (task, id): the same place in every method's column. */
struct exp_sample_id {
    uint32_t task; /* index of exp_scores.task */
    const char *id;
};

struct exp_scores {
    uint32_t n_methods, n_tasks, n_samples;
    char **method; /* in the order of first appearance: "kivi/4bits_group32_residual128" */
    char **task;   /* sorted */
    struct exp_sample_id *sample;
    struct exp_score **score; /* [n_methods][n_samples] */
    uint64_t *n_of_method;    /* samples that a method has */
    struct sim_arena *strings;
};

struct exp_scores_options {
    double scale;                    /* scores are divided by it: 100 for percentages; 0 = 1 */
    const char *alg, *params, *task; /* of JSON files that do not say; NULL = from the name */
};

/* Reads and merges files, or every *.csv, *.json and *.jsonl of a folder. NULL with file:line in st: a score outside
 * [0, 1] (with the hint at --scale), the same sample twice, a file without what it needs. Free with exp_scores_free. */
struct exp_scores *exp_scores_read(const char *const *paths, uint32_t n_paths,
                                   const struct exp_scores_options *options, struct sim_status *st);
void exp_scores_free(struct exp_scores *s);

/* A method by its whole name, or by the beginning of one that is alone with it ("kivi/4bits"). UINT32_MAX with the nearest
 * names in st. */
uint32_t exp_scores_method(const struct exp_scores *s, const char *name, struct sim_status *st);

/* The method that others are measured against when nobody says: the only one called hf, full, fp16, bf16 or baseline.
 * UINT32_MAX with one line in st when there is none, or several. */
uint32_t exp_scores_baseline(const struct exp_scores *s, struct sim_status *st);

/* Methods whose score is the same on every sample that both have, and which have at least one: i < k. */
bool exp_scores_identical(const struct exp_scores *s, uint32_t i, uint32_t k);

#endif
