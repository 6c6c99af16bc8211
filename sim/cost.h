/* What a forward step costs: the interface that the replica calls and a cost model fills in.
 * A step's price is known when its batch is formed. A batch of decodes only is priced by a line over the sum
 * of the context lengths, so that a run of decode steps costs O(1) a step; every other batch by one call per
 * stage. Nothing here may allocate, fit or read files. */
#ifndef KVSIM_SIM_COST_H
#define KVSIM_SIM_COST_H

#include "sim/evidence.h"

#include <stdint.h>

enum { SIM_MAX_STAGES = 16 };

/* A prompt chunk: new_tokens computed on top of past_tokens that are in the KV cache already. */
struct sim_chunk {
    uint32_t new_tokens, past_tokens;
};

/* What one step computes. A row is a decode when it computes one token and that token was generated. */
struct sim_batch {
    uint32_t n_decodes;
    uint64_t decode_kv_tokens; /* tokens that decode attention reads: contexts including the new tokens */
    uint32_t n_chunks;
    const struct sim_chunk *chunks;
    uint64_t new_tokens; /* all rows */
    uint32_t n_outputs;  /* rows that yield a token */
};

struct sim_price {
    double step_s;                        /* time until the next step may start, or the batch moves on */
    double gpu_s;                         /* of it, the GPU computes */
    double by_evidence_s[SIM_N_EVIDENCE]; /* gpu_s by where its parts come from */
};

/* Price of a decode step of n sequences while kv_begin <= kv tokens read < kv_end:
 *   gpu  = gpu_base_s + gpu_slope_s * kv
 *   step = max(gpu + add_s, floor_s)      sync engine: add = CPU time; async: floor = CPU time
 * Of gpu, attention_base_s + gpu_slope_s * kv is decode attention, with evidence `attention`; the rest is
 * base_by_evidence_s. */
struct sim_decode_line {
    uint64_t kv_begin, kv_end;
    double gpu_base_s, gpu_slope_s, add_s, floor_s;
    double attention_base_s;
    enum sim_evidence attention;
    double base_by_evidence_s[SIM_N_EVIDENCE];
};

struct sim_cost {
    uint32_t n_stages; /* pipeline-parallel size */
    /* Price of a batch on one pipeline stage. */
    void (*price)(const struct sim_cost *c, const struct sim_batch *b, uint32_t stage, struct sim_price *out);
    /* The line that prices n_seqs decodes around kv_tokens; called only when n_stages is 1. */
    void (*decode_line)(const struct sim_cost *c, uint32_t n_seqs, uint64_t kv_tokens,
                        struct sim_decode_line *out);
    /* Time to hand the activations of new_tokens to the next stage; unused when n_stages is 1. */
    double (*transfer_s)(const struct sim_cost *c, uint64_t new_tokens);
    double swap_token_s; /* one token's KV over the host link, for preemption by swapping */
};

/* step = step_s + token_s x new tokens + kv_token_s x tokens read by decode attention. For tests against
 * closed forms, for independent re-implementations and for teaching; evidence analytic. */
struct sim_cost_linear {
    struct sim_cost base; /* first: a pointer to it is a pointer to this */
    double step_s, token_s, kv_token_s;
};

void sim_cost_linear_init(struct sim_cost_linear *c, double step_s, double token_s, double kv_token_s);

#endif
