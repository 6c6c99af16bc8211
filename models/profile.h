/* A profile: how fast one GPU runs one engine's operators. A directory with profile.yaml (origin, date,
 * licence, peaks, sha256 of the raw tables, errors found at fit) and one CSV of fitted utilisation surfaces
 * per operator. A look-up answers for any shape: time = t0 + roofline / utilisation, utilisation interpolated
 * in log space from the sites around it, held outside the measured range, and says how it knows (see
 * models/README.md, "Operators"). Look-ups cost microseconds; they happen while tables are made, never in the
 * event loop. Shapes are those of one GPU of the tensor-parallel group. */
#ifndef KVSIM_MODELS_PROFILE_H
#define KVSIM_MODELS_PROFILE_H

#include "models/gpu.h"
#include "sim/evidence.h"
#include "sim/status.h"

#include <stdbool.h>
#include <stdint.h>

struct mdl_profile;

struct mdl_time {
    double s;
    enum sim_evidence how;
};

struct mdl_attn_shape {
    uint32_t q_heads, kv_heads, head_dim; /* per GPU */
    enum mdl_dtype kv;                    /* type of the KV cache */
};

/* `gpu` may be NULL when profile.yaml names a GPU that no catalogue knows (kvbench on a new card). */
struct mdl_profile *mdl_profile_load(const char *dir, const struct mdl_gpu *gpu, struct sim_status *st);
/* Datasheet peaks and typical utilisation: every answer is SIM_ANALYTIC. */
struct mdl_profile *mdl_profile_analytic(const struct mdl_gpu *gpu);
void mdl_profile_free(struct mdl_profile *p);
const char *mdl_profile_name(const struct mdl_profile *p);
/* Whose tables: aiconfigurator, vidur, kvbench; "" for an analytic one. */
const char *mdl_profile_origin(const struct mdl_profile *p);

/* False when the profile cannot price this (no fp8 GEMM, head_dim that was not measured, ...): one clear line
 * that names profile and shape. A profile without a family falls back to analytic for it and says so in the
 * evidence. */
bool mdl_profile_covers(const struct mdl_profile *p, enum mdl_dtype weights, struct mdl_attn_shape shape,
                        uint32_t tp, struct sim_status *st);

/* y[m,n] = x[m,k] w[k,n]: m tokens, n outputs, k inputs; 0 when m is 0. */
struct mdl_time mdl_gemm_s(const struct mdl_profile *p, enum mdl_dtype weights, uint64_t m, uint64_t n,
                           uint64_t k);

/* One causal prefill attention launch over n_seqs sequences of new_tokens each on top of past_tokens each. */
struct mdl_time mdl_attn_prefill_s(const struct mdl_profile *p, struct mdl_attn_shape shape, double n_seqs,
                                   double new_tokens, double past_tokens);

/* One decode attention launch: n_seqs sequences of one new token that read kv_tokens in all. */
struct mdl_time mdl_attn_decode_s(const struct mdl_profile *p, struct mdl_attn_shape shape, double n_seqs,
                                  double kv_tokens);

/* All-reduce of `bytes` over tp GPUs of a server; graph: captured in a CUDA graph. 0 for tp 1. */
struct mdl_time mdl_allreduce_s(const struct mdl_profile *p, uint32_t tp, double bytes, bool graph);

/* Elementwise work of a layer that moves `bytes` through memory in `launches` kernels (norms, RoPE,
 * activation). */
struct mdl_time mdl_elementwise_s(const struct mdl_profile *p, double bytes, double launches);

/* ---- the same, prepared for one shape ----
 * A handle for a shape that was measured costs 0.01 ms (GEMM) or 0.2 ms (attention), for one that was not 1
 * ms or 5 ms; asking it costs 0.1 to 0.2 us. Times never fall with tokens or sequences: non-monotone
 * measurements were pooled (isotonic regression of log time). The functions above make a handle, ask once and
 * drop it. Handles outlive the profile. */
struct mdl_gemm_curve;
struct mdl_gemm_curve *mdl_gemm_curve_new(const struct mdl_profile *p, enum mdl_dtype weights, uint64_t n,
                                          uint64_t k);
void mdl_gemm_curve_free(struct mdl_gemm_curve *c);
struct mdl_time mdl_gemm_curve_at(const struct mdl_gemm_curve *c, double m);

struct mdl_attn_table;
struct mdl_attn_table *mdl_attn_prefill_table_new(const struct mdl_profile *p, struct mdl_attn_shape shape);
struct mdl_attn_table *mdl_attn_decode_table_new(const struct mdl_profile *p, struct mdl_attn_shape shape);
void mdl_attn_table_free(struct mdl_attn_table *t);
struct mdl_time mdl_attn_prefill_at(const struct mdl_attn_table *t, double n_seqs, double new_tokens,
                                    double past_tokens);
struct mdl_time mdl_attn_decode_at(const struct mdl_attn_table *t, double n_seqs, double kv_tokens);

/* Relative error (one standard deviation, of log time) of an operator family on sites that its fit did not
 * see, as recorded in profile.yaml; the error bands draw from it. */
enum mdl_family { MDL_GEMM, MDL_ATTN_PREFILL, MDL_ATTN_DECODE, MDL_ALLREDUCE, MDL_ELEMENTWISE, MDL_N_FAMILY };
const char *mdl_family_name(enum mdl_family f);
double mdl_profile_error_frac(const struct mdl_profile *p, enum mdl_family f);

#endif
