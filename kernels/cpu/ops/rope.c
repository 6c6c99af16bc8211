#include "kernels/cpu/vector.h"

#include "kernels/cpu/cpu.h"

enum { MAX_HALF = 128, FORK_ELEMENTS = 16384 };

/* Sine and cosine of 2 pi t for |t| <= 1/2, to 2e-7: Taylor's series on the nearest eighth of a turn, then the
 * quadrant's exchange and signs, all without a branch. */
KB_INLINE void sine_cosine(float t, float *sine, float *cosine)
{
    float n = (4 * t + 12582912.0f) - 12582912.0f; /* quadrant: nearest whole */
    float r = (4 * t - n) * 1.57079633f, r2 = r * r;
    float s = KB_FMA(KB_FMA(KB_FMA(KB_FMA(r2, 1.0f / 362880, -1.0f / 5040), r2, 1.0f / 120), r2, -1.0f / 6),
                     r2, 1.0f) *
              r;
    float c =
        KB_FMA(KB_FMA(KB_FMA(KB_FMA(r2, 1.0f / 40320, -1.0f / 720), r2, 1.0f / 24), r2, -0.5f), r2, 1.0f);
    int32_t q = (int32_t)n;
    float a = q & 1 ? c : s, b = q & 1 ? s : c;
    *sine = q & 2 ? -a : a;
    *cosine = (q + 1) & 2 ? -b : b;
}

/* One token's angles. Turns in double: a position of 100,000 leaves 5 good digits of the angle in a float. */
static void angles(const double *restrict frequency, uint32_t pos, uint32_t half, float *restrict sine,
                   float *restrict cosine)
{
    for (uint32_t i = 0; i < half; i++) {
        double turns = pos * frequency[i], whole = (turns + 6755399441055744.0) - 6755399441055744.0;
        sine_cosine((float)(turns - whole), &sine[i], &cosine[i]);
    }
}

static void rotate(uint16_t *restrict low, uint16_t *restrict high, const float *restrict sine,
                   const float *restrict cosine, uint32_t half)
{
    for (uint32_t i = 0; i < half; i++) {
        float x = kb_bf16_to_float(low[i]), y = kb_bf16_to_float(high[i]);
        low[i] = kb_round_bf16(x * cosine[i] - y * sine[i]);
        high[i] = kb_round_bf16(y * cosine[i] + x * sine[i]);
    }
}

static void token(const struct kb_rope *a, const double *frequency, uint32_t t)
{
    float sine[MAX_HALF], cosine[MAX_HALF];
    uint32_t half = a->head_dim / 2, heads = a->n_q_heads + a->n_kv_heads;
    uint16_t *head = a->qkv + (size_t)t * (heads + a->n_kv_heads) * a->head_dim;
    angles(frequency, a->pos[t], half, sine, cosine);
    for (uint32_t h = 0; h < heads; h++, head += a->head_dim) rotate(head, head + half, sine, cosine, half);
}

KB_CPU_ENTRY(rope)
{
    const struct kb_rope *a = args;
    double frequency[MAX_HALF], f = 1 / 6.283185307179586; /* turns per position */
    (void)queue;
    if (a->head_dim > 2 * MAX_HALF)
        return kb_fail(err, "rope: head_dim %u, at most %d expected", (unsigned)a->head_dim, 2 * MAX_HALF);
    double ratio = pow(a->theta, -2.0 / a->head_dim);
    for (uint32_t i = 0; i < a->head_dim / 2; i++, f *= ratio) frequency[i] = f;
    uint64_t work = (uint64_t)a->n_tokens * (a->n_q_heads + a->n_kv_heads) * a->head_dim;
#pragma omp parallel for if (work > FORK_ELEMENTS)
    for (uint32_t t = 0; t < a->n_tokens; t++) token(a, frequency, t);
    return true;
}
