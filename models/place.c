#include "models/place.h"

#include <math.h>

void mdl_place_gemm(enum mdl_dtype weights, double n, double k, double x[MDL_GEMM_FEATURES])
{
    x[0] = log2(n);
    x[1] = log2(k);
    x[2] = weights;
    x[3] = log2(n) + log2(k);
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
    x[8] = shape.q_heads == shape.kv_heads;
    x[9] = kv + b + log2(shape.head_dim * mdl_dtype_bytes(shape.kv));
}

/* A length so short that another value has nothing to say: other weight types run other kernels. */
static const double APART = 0.01;

/* Features: n, k, type, n x k. */
static const struct mdl_kernel GEMM[MDL_KERNEL_VARIANTS] = {
    {.n_terms = 1,
     .n_neighbours = 64,
     .amplitude = {1},
     .length = {{8, 8, APART}},
     .n_nuggets = 3,
     .nugget = {0.003, 0.015, 0.075}},
    {.n_terms = 3,
     .n_neighbours = 75,
     .n_nuggets = 3,
     .amplitude = {0.395, 0.0462, 0.0259},
     .nugget = {0.029, 0.14, 0.71},
     .length = {{6.6, 8, APART, 0}, {0.55, 0, APART, 1.1}, {0.45, 0.28, APART, 0}}}};

/* Features: heads x batch, group, batch, query heads, KV heads, KV heads x batch, head size, KV type, no
 * grouping, KV bytes per position. */
static const struct mdl_kernel PREFILL[MDL_KERNEL_VARIANTS] = {
    {.n_terms = 4,
     .n_neighbours = 37,
     .amplitude = {0.70, 0.93, 0.40, 0.032},
     .length = {{0, 3.1, 20, 0, 0, 0.92, 0.55, 150},
                {0, 0, 15.5, 0, 280, 0, 0.5, 7.4},
                {0, 2.1, 0, 32, 0, 10, 0, 5.3},
                {0, 3.8, 5.5, 2, 0, 0, 6, 10}},
     .n_nuggets = 3,
     .nugget = {0.0335, 0.17, 0.84}},
    {.n_terms = 4,
     .n_neighbours = 37,
     .n_nuggets = 3,
     .amplitude = {0.0871, 14.8, 0.126, 0.0092},
     .nugget = {0.18, 0.88, 4.4},
     .length = {{4, 3.8, 0, 25, 0, 0, 0.35, 1.5e+02, 2.5, 9.5},
                {9.3, 0, 17, 0, 1.7e+02, 0, 0.1, 0.79, 9.9, 3.5},
                {3.2, 30, 0, 18, 0, 5.1, 0, 0, 0, 14},
                {14, 12, 0.65, 0, 0, 5.6, 0, 13, 1.6, 16}}}};
static const struct mdl_kernel DECODE[MDL_KERNEL_VARIANTS] = {
    {.n_terms = 4,
     .n_neighbours = 40,
     .amplitude = {0.94, 0.70, 0.011, 0.006},
     .length = {{0, 0, 5.3, 0, 0, 1.8, 1.3, 2.7},
                {0, 0, 6.9, 12, 11.5, 0, 1.2, 3.2},
                {22, 10.5, 10, 0, 0, 13.3, 0, 0},
                {6.4, 0, 10, 2, 2.8, 0, 0, 5.3}},
     .n_nuggets = 3,
     .nugget = {0.0065, 0.033, 0.16}},
    {.n_terms = 4,
     .n_neighbours = 24,
     .n_nuggets = 3,
     .amplitude = {0.286, 0.401, 0.0068, 0.274},
     .nugget = {0.0055, 0.027, 0.14},
     .length = {{0, 0, 1.6, 0, 1.6, 0, 0.6, 0.78, 0, 16},
                {0, 14, 4.5, 0, 0, 0, 0, 0.33, 1, 4.8},
                {4.3, 0, 3.9, 5, 7, 0, 5, 6.6, 0, 0},
                {0, 10, 3.3, 23, 1.8, 0, 1.3, 0.69, 0, 0.71}}}};

const struct mdl_kernel *mdl_place_kernel(enum mdl_family family, uint32_t variant)
{
    return family == MDL_GEMM           ? &GEMM[variant]
           : family == MDL_ATTN_PREFILL ? &PREFILL[variant]
                                        : &DECODE[variant];
}
