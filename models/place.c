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
static const struct mdl_kernel PREFILL = {.n_terms = 3,
                                          .n_neighbours = 32,
                                          .amplitude = {1, 1.6, 0.4},
                                          .length = {{0, 5.2, 11.5, 0, 0, 1.1, 0.7, 282},
                                                     {0, 0, 15.5, 44, 190, 0, 0.5, 7.4},
                                                     {0, 2.1, 0, 36, 0, 10, 6.1, 5.3}},
                                          .nugget = 0.0154};
static const struct mdl_kernel DECODE = {.n_terms = 3,
                                         .n_neighbours = 40,
                                         .amplitude = {1, 0.46, 0.04},
                                         .length = {{0, 56, 6.7, 0, 0, 2, 1.8, 11},
                                                    {0, 0, 6.9, 12, 7.3, 0, 5.7, 4.1},
                                                    {0, 9, 0, 19, 0, 35, 1.9, 200}},
                                         .nugget = 0.0126};

const struct mdl_kernel *mdl_place_kernel(enum mdl_family family)
{
    return family == MDL_GEMM ? &GEMM : family == MDL_ATTN_PREFILL ? &PREFILL : &DECODE;
}
