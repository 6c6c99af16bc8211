#include "models/law.h"

#include <math.h>

struct mdl_peaks mdl_peaks_of(const struct mdl_gpu *gpu)
{
    struct mdl_peaks p = {.bandwidth_byte_per_s = gpu->bandwidth_byte_per_s,
                          .link_byte_per_s =
                              gpu->nvlink_byte_per_s > 0 ? gpu->nvlink_byte_per_s : gpu->pcie_byte_per_s};
    for (int t = 0; t < MDL_N_DTYPE; t++) p.rate_flops[t] = gpu->rate_flops[t];
    return p;
}

static double rate(const struct mdl_peaks *p, enum mdl_dtype t)
{
    return t != MDL_INT4 && p->rate_flops[t] > 0 ? p->rate_flops[t] : p->rate_flops[MDL_BF16];
}

double mdl_roof_gemm_bytes_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k)
{
    double in_bytes = weights == MDL_FP8 || weights == MDL_INT8 ? 1.0 : 2.0;
    double bytes = mdl_dtype_bytes(weights) * n * k + in_bytes * m * k + 2.0 * m * n;
    return bytes / p->bandwidth_byte_per_s;
}

double mdl_roof_gemm_flops_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k)
{
    return 2.0 * m * n * k / rate(p, weights);
}

double mdl_roof_gemm_s(const struct mdl_peaks *p, enum mdl_dtype weights, double m, double n, double k)
{
    return fmax(mdl_roof_gemm_flops_s(p, weights, m, n, k), mdl_roof_gemm_bytes_s(p, weights, m, n, k));
}

double mdl_roof_prefill_s(const struct mdl_peaks *p, struct mdl_attn_shape shape, double n_seqs,
                          double new_tokens)
{
    double pairs = 0.5 * new_tokens * (new_tokens + 1.0);
    double flops = 4.0 * n_seqs * shape.q_heads * shape.head_dim * pairs;
    double bytes = n_seqs * new_tokens * shape.head_dim * 4.0 * (shape.q_heads + shape.kv_heads);
    return fmax(flops / p->rate_flops[MDL_BF16], bytes / p->bandwidth_byte_per_s);
}

double mdl_past_s(const struct mdl_peaks *p, struct mdl_past_law law, struct mdl_attn_shape shape,
                  double n_seqs, double new_tokens, double past_tokens)
{
    double flops = 4.0 * n_seqs * shape.q_heads * shape.head_dim * new_tokens * past_tokens;
    double bytes = 2.0 * n_seqs * past_tokens * shape.kv_heads * shape.head_dim * mdl_dtype_bytes(shape.kv);
    return flops / (law.compute_frac * p->rate_flops[MDL_BF16]) +
           bytes / (law.bytes_frac * p->bandwidth_byte_per_s);
}

double mdl_roof_decode_s(const struct mdl_peaks *p, struct mdl_attn_shape shape, double n_seqs,
                         double kv_tokens)
{
    double flops = 4.0 * shape.q_heads * shape.head_dim * kv_tokens;
    double bytes = 2.0 * shape.kv_heads * shape.head_dim * mdl_dtype_bytes(shape.kv) * kv_tokens +
                   4.0 * n_seqs * shape.q_heads * shape.head_dim;
    return fmax(flops / p->rate_flops[MDL_BF16], bytes / p->bandwidth_byte_per_s);
}

double mdl_roof_allreduce_s(const struct mdl_peaks *p, uint32_t tp, double bytes)
{
    return tp < 2 ? 0.0 : 2.0 * (tp - 1.0) / tp * bytes / p->link_byte_per_s;
}
