#include "models/place.h"

#include <math.h>

void mdl_place_gemm(enum mdl_dtype weights, double n, double k, double x[MDL_GEMM_FEATURES])
{
    x[0] = log2(n);
    x[1] = log2(k);
    x[2] = weights;
}

void mdl_place_attn(struct mdl_attn_shape shape, double n_seqs, double x[MDL_ATTN_FEATURES])
{
    double q = log2(shape.q_heads), kv = log2(shape.kv_heads), b = log2(n_seqs);
    x[0] = q + b;
    x[1] = q - kv;
    x[2] = b;
    x[3] = q;
    x[4] = kv;
    x[5] = kv + b;
    x[6] = log2(shape.head_dim);
    x[7] = shape.kv;
}

/* A length so short that another value has nothing to say: other weight types run other kernels. */
static const double APART = 0.01;

/* Features: n, k, type. */
static const struct mdl_kernel GEMM = {
    .n_terms = 1, .n_neighbours = 64, .amplitude = {1}, .length = {{8, 8, APART}}, .nugget = 0.015};

/* Features: heads x batch, group, batch, query heads, KV heads, KV heads x batch, head size, KV type. */
static const struct mdl_kernel PREFILL = {.n_terms = 4,
                                          .n_neighbours = 37,
                                          .amplitude = {0.70, 0.93, 0.40, 0.032},
                                          .length = {{0, 3.1, 20, 0, 0, 0.92, 0.55, 150},
                                                     {0, 0, 15.5, 0, 280, 0, 0.5, 7.4},
                                                     {0, 2.1, 0, 32, 0, 10, 0, 5.3},
                                                     {0, 3.8, 5.5, 2, 0, 0, 6, 10}},
                                          .nugget = 0.0335};
static const struct mdl_kernel DECODE = {.n_terms = 4,
                                         .n_neighbours = 40,
                                         .amplitude = {0.90, 0.70, 0.024, 0.0056},
                                         .length = {{0, 0, 4.5, 0, 0, 1.8, 0.85, 2.7},
                                                    {0, 0, 6.9, 12, 11.5, 0, 1.5, 2.9},
                                                    {0, 9, 0, 34, 0, 18, 1.3, 10},
                                                    {6.4, 0, 0, 4, 4.3, 0, 29, 6}},
                                         .nugget = 0.0144};

const struct mdl_kernel *mdl_place_kernel(enum mdl_family family)
{
    return family == MDL_GEMM ? &GEMM : family == MDL_ATTN_PREFILL ? &PREFILL : &DECODE;
}
