/* Scores while they are read: readers of CSV and of JSON hand over one sample of one method at a time, in any order and
 * from any number of files; samples are told apart by task and id. Only scores_*.c include this. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_SCORES_BUILD_H
#define KVSIM_EXPERIMENTS_QUALITY_SCORES_BUILD_H

#include "experiments/quality/scores.h"
#include "models/quality.h"
#include "sim/line_in.h"

enum { EXP_METHOD_BYTES = 256, EXP_ID_BYTES = 128 };

/* One score as a file has it. */
struct exp_score_row {
    const char *path;
    uint64_t line;
    const char *alg, *params; /* the method is `alg/params`; params may be empty */
    const char *task, *id;
    double score;           /* before --scale */
    uint32_t output_tokens; /* EXP_NO_TOKENS where unknown */
};

/* The options must outlive the builder. */
struct exp_scores_builder;
struct exp_scores_builder *exp_scores_builder_new(const struct exp_scores_options *options);
void exp_scores_builder_free(struct exp_scores_builder *b);
bool exp_scores_add(struct exp_scores_builder *b, const struct exp_score_row *row, struct sim_status *st);
/* All that was added, sorted; NULL when that is nothing. The builder can only be freed afterwards. */
struct exp_scores *exp_scores_builder_finish(struct exp_scores_builder *b, struct sim_status *st);
const struct exp_scores_options *exp_scores_builder_options(const struct exp_scores_builder *b);

/* An array of objects, or objects one after another. */
bool exp_scores_read_json(struct exp_scores_builder *b, struct sim_lines *in, struct sim_status *st);

/* What a file's name says of its scores: `{alg}_{model}_{maxlen}_b1[_{params}]_{task}_eval.json`, or a folder with the
 * method's name and a file with the task's. Empty where it says nothing. */
struct exp_scores_name {
    char alg[EXP_METHOD_BYTES], params[EXP_METHOD_BYTES], task[MDL_TASK_BYTES];
};
struct exp_scores_name exp_scores_name_of(const char *path);

#endif
