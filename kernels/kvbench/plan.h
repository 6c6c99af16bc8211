/* A plan: the batches that kvsim formed, as `kvsim run --export-plan` writes them, one row per step and request.
 * Rows may come in any order; steps are put in order of replica and step. What the file does not say is worked
 * out here: which rows yield a token, and with which row a request ends. */
#ifndef KVSIM_KERNELS_KVBENCH_PLAN_H
#define KVSIM_KERNELS_KVBENCH_PLAN_H

#include "kernels/kbench.h"

struct kvb_plan_row {
    char *request_id; /* as in the file: any text */
    uint64_t step, line;
    uint32_t replica;
    uint32_t request;                       /* 0 to n_requests - 1 */
    uint32_t new_tokens, past_tokens;       /* new_tokens 0: preempted, its pages are free again */
    uint32_t read_tokens;                   /* by decode attention */
    uint32_t recalled_pages, evicted_pages; /* per layer; of the request */
    uint32_t corrected_heads;
    double start_s, duration_s;
    bool yields; /* a token comes of it: decode, or the end of a prompt */
    bool last;   /* the request's last row on this replica */
};

struct kvb_plan_step {
    uint64_t step;
    uint32_t replica;
    uint32_t first, n_rows; /* in row */
};

struct kvb_plan {
    struct kvb_plan_row *row;
    struct kvb_plan_step *step;
    size_t n_rows, n_steps, rows_room;
    uint32_t n_requests;
};

/* Decode: one new token behind others. All else with new tokens is a prompt or a chunk of one. */
bool kvb_plan_is_decode(const struct kvb_plan_row *r);

/* NULL with file:line when a row is no good. Free with kvb_plan_free. */
struct kvb_plan *kvb_plan_read(const char *path, struct kb_error *err);
void kvb_plan_free(struct kvb_plan *p);

#endif
