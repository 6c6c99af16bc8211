#include "kernels/cpu/cpu.h"

#include <math.h>

static float cosine(const uint16_t *x, const uint16_t *y, uint32_t n)
{
    float xy = 0, xx = 0, yy = 0;
#pragma omp simd reduction(+ : xy, xx, yy)
    for (uint32_t i = 0; i < n; i++) {
        float a = kb_bf16_to_float(x[i]), b = kb_bf16_to_float(y[i]);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    return xy / sqrtf(xx * yy);
}

KB_CPU_ENTRY(similarity)
{
    const struct kb_similarity *a = args;
    uint32_t group = a->n_q_heads / a->n_kv_heads, n_flags = 0;
    (void)queue;
    (void)err;
#pragma omp parallel for reduction(+ : n_flags)
    for (uint32_t row = 0; row < a->n_seqs * a->n_kv_heads; row++) {
        float sum = 0;
        for (uint32_t g = 0; g < group; g++) {
            uint64_t at = ((uint64_t)row * group + g) * a->head_dim;
            sum += cosine(a->q + at, a->q_last + at, a->head_dim);
        }
        a->cosine[row] = sum / (float)group;
        a->flag[row] = a->cosine[row] < a->tau;
        n_flags += a->flag[row];
    }
    *a->any += n_flags;
    return true;
}
