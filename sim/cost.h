/* What a forward step costs: the interface that the replica calls and a cost model fills in.
 * A step's price is known when its batch is formed. A batch of decodes only is priced by a line over the sum
 * of the context lengths, so that a run of decode steps costs O(1) a step; every other batch by one call per
 * stage. Nothing here may allocate, fit or read files. */
#ifndef KVSIM_SIM_COST_H
#define KVSIM_SIM_COST_H

#include "sim/evidence.h"
#include "sim/recall.h"

#include <stdbool.h>
#include <stdint.h>

enum { SIM_MAX_STAGES = 16 };

/* A prompt chunk: new_tokens computed on top of past_tokens that are in the KV cache already. */
struct sim_chunk {
    uint32_t new_tokens, past_tokens;
    bool last; /* the prompt is complete: strategies drop, decompose or select now */
};

/* What decode rows read. Their strategy says how much of it each kernel reads (sim/kv.h). */
struct sim_reads {
    uint64_t kept; /* tokens that attention reads where a budget holds: contexts, at most the budget each */
    uint64_t all;  /* whole contexts, the new tokens included */
    uint64_t selecting; /* whole contexts of the rows that select pages */
    uint32_t n_seqs, n_selecting;
};

/* What one step computes. A row is a decode when it computes one token and that token was generated. */
struct sim_batch {
    struct sim_reads decode;
    uint32_t n_chunks;
    const struct sim_chunk *chunks;
    uint64_t new_tokens; /* all rows */
    uint32_t n_outputs;  /* rows that yield a token */
};

struct sim_price {
    double step_s;                        /* time until the next step may start, or the batch moves on */
    double gpu_s;                         /* of it, the GPU computes */
    double by_evidence_s[SIM_N_EVIDENCE]; /* gpu_s by where its parts come from */
    struct sim_recall recall;             /* of its decode rows, all of it; step_s and gpu_s leave it out */
    double cpu_add_s, floor_s;            /* how step_s follows from gpu_s: max(gpu_s + cpu_add_s, floor_s) */
    double launch_s;                      /* a recall runs beside max(gpu_s, launch_s), see below */
    double prefill_down_s,
        prefill_down_bytes; /* KV of new prompt tokens on its way to the host, at the link's rate */
};

/* Price of a decode step while kv_begin <= kv < kv_end and selecting_begin <= selecting < selecting_end, n_seqs and
 * n_selecting being equal:
 *   kv   = kept_frac x kept + all_frac x all
 *   gpu  = gpu_base_s + gpu_slope_s x kv + select_slope_s x selecting
 *   step = max(gpu + add_s, floor_s)      sync engine: add = CPU time; async: floor = CPU time
 * and with a recall, max(add_s + sim_recall_sum_s(sum + sum_token x selecting, max(gpu, launch_s)), floor_s): a host that
 * waits for the GPU in its layers cannot launch kernels ahead, so that waits are on top of the longer of both; launch_s
 * is then its CPU time, else 0. Everything but the four variables is a function of the cell, never of the point in it,
 * so that a line means the same whenever it is fetched. Of gpu, attention_base_s + gpu_slope_s x kv is decode attention,
 * with evidence `attention`, select_slope_s x selecting has evidence `select`; the rest is base_by_evidence_s. */
struct sim_decode_line {
    double kv_begin, kv_end;
    uint64_t selecting_begin, selecting_end; /* end 0 = none */
    double kept_frac, all_frac;
    double gpu_base_s, gpu_slope_s, select_slope_s, add_s, floor_s, launch_s;
    double attention_base_s;
    enum sim_evidence attention, select;
    double base_by_evidence_s[SIM_N_EVIDENCE];
    struct sim_recall recall; /* of n_seqs and n_selecting, whatever their contexts */
    struct sim_recall
        recall_token; /* what is moved in proportion to `selecting`, for each of its tokens: only times,
                                       bytes and pages; all 0 for strategies that recall so many pages a step */
    struct sim_recall_sum sum, sum_token; /* of the two at the mean draw, alone on the link */
};

struct sim_cost {
    uint32_t n_stages; /* pipeline-parallel size */
    /* Price of a batch on one pipeline stage. */
    void (*price)(const struct sim_cost *c, const struct sim_batch *b, uint32_t stage, struct sim_price *out);
    /* The line that prices decodes around what they read; called only when n_stages is 1. */
    void (*decode_line)(const struct sim_cost *c, const struct sim_reads *reads, struct sim_decode_line *out);
    /* Time to hand the activations of new_tokens to the next stage; unused when n_stages is 1. */
    double (*transfer_s)(const struct sim_cost *c, uint64_t new_tokens);
    bool moves; /* steps may use the host link: replicas on one link are then told apart step by step */
    double swap_token_s; /* one kept token's KV over the host link, for preemption by swapping */
    /* What steps draw their miss and correction rates from, equally likely; none: the means. */
    const struct sim_recall_draw *draws;
    uint32_t n_draws;
};

/* step = step_s + token_s x new tokens + kv_token_s x tokens read by decode attention. For tests against
 * closed forms, for independent re-implementations and for teaching; evidence analytic. */
struct sim_cost_linear {
    struct sim_cost base; /* first: a pointer to it is a pointer to this */
    double step_s, token_s, kv_token_s;
};

void sim_cost_linear_init(struct sim_cost_linear *c, double step_s, double token_s, double kv_token_s);

#endif
