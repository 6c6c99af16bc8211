/* What a step costs, tabulated: GPU time of one decoder layer over tokens, of decode attention over sequences
 * x KV tokens, of the LM head over output rows. Made once per replica type before a run, from prepared
 * operator handles. Between grid points times are linear, so that they stay monotone and a decode step is a
 * line over KV tokens. */
#ifndef KVSIM_MODELS_COST_TABLE_H
#define KVSIM_MODELS_COST_TABLE_H

#include "models/cost.h"
#include "sim/memory.h"

/* A time with its parts by evidence. */
struct mdl_mix {
    double s;
    double by_evidence_s[SIM_N_EVIDENCE];
};

/* Time over a count (tokens, rows): linear between points. */
struct mdl_curve {
    uint32_t n, n_dense; /* x[i] = i + 1 for the first n_dense points: found without a search */
    double *x;           /* rising, x[0] = 1 */
    struct mdl_mix *y;
};

/* Decode attention of one layer over sequences (rows) and KV tokens (columns). */
struct mdl_decode_grid {
    uint32_t n_seqs, n_kv;
    double *seqs, *kv;  /* rising */
    double *s;          /* [n_seqs][n_kv] seconds */
    unsigned char *how; /* [n_seqs][n_kv] evidence */
};

struct mdl_cost_tables {
    struct mdl_curve layer_graph; /* padded to capture sizes, all-reduce in the graph */
    struct mdl_curve layer_eager; /* mixed batches and batches above the largest graph */
    struct mdl_curve head;        /* LM head, gather and sampling over output rows */
    struct mdl_decode_grid decode;
    struct mdl_attn_table *prefill;
};

/* kv: the strategy's kernels, NULL = full; kv_spec: what they were made of. All arrays live in the arena;
 * mdl_cost_tables_fini frees the prefill handle. */
struct mdl_cost_kernels {
    const struct mdl_kvcost *kv;
    const struct mdl_kvcost_spec *spec;
};
bool mdl_cost_tables_init(struct mdl_cost_tables *t, const struct mdl_cost_spec *spec,
                          const struct mdl_cost_kernels *k, struct sim_arena *arena, struct sim_status *st);
void mdl_cost_tables_fini(struct mdl_cost_tables *t);

void mdl_curve_at(const struct mdl_curve *c, double x, struct mdl_mix *out);

/* The cell of an axis that holds x: i with axis[i] <= x < axis[i + 1], the first or last cell outside. */
uint32_t mdl_axis_cell(const double *axis, uint32_t n, double x);

/* Shape of attention on one rank. */
struct mdl_attn_shape mdl_rank_attention(const struct mdl_arch *a, uint32_t tp, enum mdl_dtype kv);

#endif
