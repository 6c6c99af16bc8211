/* The physical law behind every operator: the time its arithmetic and its memory traffic take at the card's
 * peak rates, whichever is longer (roofline). A profile holds, per place and size, how close the card comes
 * to `t0 + roofline`, t0 being the shortest launch seen on that card: from it time = t0 + roofline /
 * utilisation. source: Williams, Waterman, Patterson, Roofline, CACM 52(4), 2009. */
#ifndef KVSIM_MODELS_LAW_H
#define KVSIM_MODELS_LAW_H

#include "models/profile.h"

struct mdl_peaks {
    double rate_flops[MDL_N_DTYPE]; /* dense; 0 = computed in bf16 */
    double bandwidth_byte_per_s, link_byte_per_s;
};

struct mdl_peaks mdl_peaks_of(const struct mdl_gpu *gpu);

/* Seconds, >= 0, at full peaks.
 *   int4 weights are widened on the fly: 16-bit activations and arithmetic, half a byte per weight read. */
double mdl_roof_gemm_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k);
/* Its two branches. */
double mdl_roof_gemm_bytes_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k);
double mdl_roof_gemm_flops_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k);

/* Causal attention of n_seqs x new_tokens without a past: 4 flops per query-key pair and dimension (QK' and
 * PV), new^2 / 2 pairs. */
double mdl_roof_prefill_s(const struct mdl_peaks *p, struct mdl_attn_shape shape, double n_seqs,
                          double new_tokens);
double mdl_roof_decode_s(const struct mdl_peaks *p, struct mdl_attn_shape shape, double n_seqs,
                         double kv_tokens);

/* What a past adds to such a launch: new x past pairs, none of them masked, at a share of the matrix rate,
 * and the past's KV at a share of the bandwidth, one after the other. */
struct mdl_past_law {
    double compute_frac, bytes_frac;
};
double mdl_past_s(const struct mdl_peaks *p, struct mdl_past_law law, struct mdl_attn_shape shape,
                  double n_seqs, double new_tokens, double past_tokens);

/* Ring or one-shot all-reduce: each GPU sends and receives 2 (tp - 1) / tp of the message. */
double mdl_roof_allreduce_s(const struct mdl_peaks *p, uint32_t tp, double bytes);

#endif
