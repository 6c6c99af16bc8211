/* From scores to what scenarios and plans know: which strategy with which parameters a method of the scores is, and how
 * the buyer's traffic is made up of tasks. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_RECORD_AS_H
#define KVSIM_EXPERIMENTS_QUALITY_RECORD_AS_H

#include "experiments/quality/scores.h"
#include "models/quality.h"

/* As columns of the quality record: "kivi4|kivi2", "bits=4,group=32,residual=128". */
struct exp_record_as {
    char strategy[64], parameters[200];
};

/* `METHOD=strategy:key=value:key=value` (commas do as well). *method is one of the scores'. */
bool exp_record_as_parse(const char *text, const struct exp_scores *s, uint32_t *method,
                         struct exp_record_as *out, struct sim_status *st);

/* Of the methods as they are called in the scores that were released with arXiv 2503.24000 (kivi/4bits_group32_residual128,
 * gear/8bits, h2o/c512_..., streamingllm/c512_...), and of a strategy's own name without parameters. False for others. */
bool exp_record_as_guess(const char *method, struct exp_record_as *out);

/* `task=share,task=share`, or a CSV file with columns task and share. Shares are at least 0, one of them more. */
bool exp_task_mix_read(const char *text, struct mdl_task_mix *out, struct sim_status *st);

#endif
