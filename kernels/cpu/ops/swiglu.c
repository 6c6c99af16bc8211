#include "kernels/cpu/vector.h"

#include "kernels/cpu/cpu.h"

enum { FORK_ELEMENTS = 8192 };

/* e^x to 1e-5 of itself, within [2^-127, 2^128] whatever x up to a million: 2^n by the exponent's bits, 2^f by
 * Taylor's series on |f| <= 1/2. No call, no branch, so that loops of it become vectors. */
KB_INLINE float exponential(float x)
{
    float t = x * 1.44269504f;
    union kb_bits rounded = {t + 12582912.0f}, power; /* 1.5 x 2^23: the last bits are t's nearest whole */
    float f = (t - (rounded.f - 12582912.0f)) * 0.693147181f, p = 1.0f / 120;
    int32_t n = (int32_t)rounded.u - 0x4b400000;
    p = KB_FMA(p, f, 1.0f / 24);
    p = KB_FMA(p, f, 1.0f / 6);
    p = KB_FMA(p, f, 0.5f);
    p = KB_FMA(p, f, 1.0f);
    p = KB_FMA(p, f, 1.0f);
    n = n < -126 ? -126 : n;
    n = n > 127 ? 127 : n;
    power.u = (uint32_t)(n + 127) << 23;
    return p * power.f;
}

static void row(const uint16_t *restrict gate, const uint16_t *restrict up, uint16_t *restrict y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        float g = kb_bf16_to_float(gate[i]);
        y[i] = kb_round_bf16(g / (1 + exponential(-g)) * kb_bf16_to_float(up[i]));
    }
}

KB_CPU_ENTRY(swiglu)
{
    const struct kb_swiglu *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel for if ((uint64_t)a->n_tokens * a->width > FORK_ELEMENTS)
    for (uint32_t t = 0; t < a->n_tokens; t++) {
        const uint16_t *gate = a->x + 2 * (size_t)t * a->width;
        row(gate, gate + a->width, a->y + (size_t)t * a->width, a->width);
    }
    return true;
}
