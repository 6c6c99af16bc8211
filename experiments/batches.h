/* The batches of a run (`--export-plan`): every one that it formed, one CSV row per step and request, with its outcomes: what was computed,
 * read, recalled, corrected and evicted. kvbench executes it, `validate --steps` prices it again, and anybody
 * can check the scheduler by hand. Columns: step, replica, start_s, duration_s, request_id, new_tokens,
 * past_tokens, read_tokens, recalled_pages, corrected_heads, evicted_pages. A preemption is a row with
 * new_tokens 0, whose past_tokens were given up. Rows of a step stand together, steps in the order of forming. */
#ifndef KVSIM_EXPERIMENTS_BATCHES_H
#define KVSIM_EXPERIMENTS_BATCHES_H

#include "experiments/workload.h"
#include "sim/cluster.h"

/* ---- out ---- */

struct exp_batches_out;

/* Opens FILE for a run that is to come; NULL with one line in st. */
struct exp_batches_out *exp_batches_out_new(const char *path, struct sim_status *st);
/* The run's requests, whose ids go into the plan; before the first row. Outlives the plan. */
void exp_batches_out_trace(struct exp_batches_out *p, const struct trc_trace *trace);
/* sim_config.plan_row, with the plan as its user. */
void exp_batches_out_row(void *plan, const struct sim_plan_row *row);
/* Puts the file in place; false when the disk is full. Frees the plan either way. */
bool exp_batches_out_commit(struct exp_batches_out *p, struct sim_status *st);
void exp_batches_out_abandon(struct exp_batches_out *p); /* accepts NULL */

/* ---- in ---- */

struct exp_batches_step {
    uint64_t step;
    uint32_t replica;
    double start_s, duration_s;
    size_t first, n_rows; /* of exp_batches.rows */
};

struct exp_batches_row {
    uint32_t request; /* index in the trace */
    uint32_t new_tokens, past_tokens, read_tokens;
};

struct exp_batches {
    struct exp_batches_step *steps;
    struct exp_batches_row *rows;
    size_t n_steps, n_rows;
};

/* Reads a plan whose ids are those of the trace. False with file:line in st. Free with exp_batches_fini. */
bool exp_batches_read(const char *path, const struct trc_trace *trace, struct exp_batches *out,
                      struct sim_status *st);
void exp_batches_fini(struct exp_batches *p);

/* A request's id as files show it: the trace's own, else its row number. `room` serves the latter. */
struct exp_request_id {
    char room[24];
};
const char *exp_request_id(const struct trc_trace *t, uint64_t i, struct exp_request_id *room);

#endif
