#include "kernels/cpu/vector.h"

#include "kernels/cpu/cpu.h"

enum { FORK_ELEMENTS = 16384 }; /* fewer are done before other threads have woken up */

static void add_row(const uint16_t *restrict x, uint16_t *restrict residual, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        residual[i] = kb_round_bf16(kb_bf16_to_float(residual[i]) + kb_bf16_to_float(x[i]));
}

static float squares_of(const uint16_t *x, uint32_t width)
{
    kb_floats lanes[2] = {{0}};
    float sum[2];
    uint32_t whole = width - width % (2 * KB_LANES);
    for (uint32_t i = 0; i < whole; i += 2 * KB_LANES) {
        struct kb_even_odd v = kb_split_bf16(x + i);
        lanes[0] = KB_FLOATS_FMA(v.even, v.even, lanes[0]);
        lanes[1] = KB_FLOATS_FMA(v.odd, v.odd, lanes[1]);
    }
    kb_lanes_sums(lanes, 2, sum);
    for (uint32_t i = whole; i < width; i++) sum[0] += kb_bf16_to_float(x[i]) * kb_bf16_to_float(x[i]);
    return sum[0] + sum[1];
}

static void scale_row(const uint16_t *restrict x, const uint16_t *restrict weight, uint16_t *restrict y,
                      float scale, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        y[i] = kb_round_bf16(kb_bf16_to_float(x[i]) * scale * kb_bf16_to_float(weight[i]));
}

KB_CPU_ENTRY(rmsnorm)
{
    const struct kb_rmsnorm *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel for if ((uint64_t)a->n_tokens * a->width > FORK_ELEMENTS)
    for (uint32_t t = 0; t < a->n_tokens; t++) {
        size_t at = (size_t)t * a->width;
        add_row(a->x + at, a->residual + at, a->width);
        float scale = 1 / sqrtf(squares_of(a->residual + at, a->width) / (float)a->width + a->eps);
        scale_row(a->residual + at, a->weight, a->y + at, scale, a->width);
    }
    return true;
}
