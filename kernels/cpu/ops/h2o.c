#include "kernels/cpu/cpu.h"

#include <math.h>

/* First position of the least score. */
static uint32_t least(const float *score, uint32_t n)
{
    float low = INFINITY;
    uint32_t t = 0;
#pragma omp simd reduction(min : low)
    for (uint32_t i = 0; i < n; i++) low = score[i] < low ? score[i] : low;
    while (t < n && score[t] != low) t++;
    return t < n ? t : UINT32_MAX;
}

static void update_row(const struct kb_h2o *a, uint32_t seq, uint32_t head)
{
    uint32_t group = a->n_q_heads / a->n_kv_heads, length = a->lengths[seq];
    uint64_t row = (uint64_t)seq * a->n_kv_heads + head;
    float *restrict score = a->score + row * a->max_tokens;
    const float *weight = a->weight + row * group * a->max_tokens;
    for (uint32_t g = 0; g < group; g++, weight += a->max_tokens)
        for (uint32_t t = 0; t < length; t++) score[t] += weight[t];
    a->victim[row] = least(score, length > a->recent ? length - a->recent : 0);
}

KB_CPU_ENTRY(h2o)
{
    const struct kb_h2o *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel for collapse(2)
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < a->n_kv_heads; h++) update_row(a, s, h);
    return true;
}
