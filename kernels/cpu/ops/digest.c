#include "kernels/cpu/cpu.h"

#include <math.h>

enum { MOST_CHANNELS = 8192 };

/* Channels that lie side by side in a page: of one head in HND, of all heads in NHD. A token's start `stride`
 * elements after the last one's. */
struct keys {
    const uint16_t *first;
    uint64_t stride;
    uint32_t n_tokens, n_channels, head_dim;
};

static void store(const struct keys *k, const float *first, const float *second, uint16_t *out)
{
    uint32_t d = k->head_dim;
    for (uint32_t head = 0; head < k->n_channels; head += d, out += 2 * d)
        for (uint32_t c = 0; c < d; c++) {
            out[c] = kb_bf16_from_float(first[head + c]);
            out[d + c] = kb_bf16_from_float(second[head + c]);
        }
}

static void minmax(const struct keys *k, uint16_t *out)
{
    float low[MOST_CHANNELS], high[MOST_CHANNELS];
    for (uint32_t c = 0; c < k->n_channels; c++) low[c] = high[c] = kb_bf16_to_float(k->first[c]);
    for (uint32_t t = 1; t < k->n_tokens; t++) {
        const uint16_t *x = k->first + t * k->stride;
        for (uint32_t c = 0; c < k->n_channels; c++) {
            float v = kb_bf16_to_float(x[c]);
            low[c] = v < low[c] ? v : low[c];
            high[c] = v > high[c] ? v : high[c];
        }
    }
    store(k, low, high, out);
}

static void centre(const struct keys *k, uint16_t *out)
{
    float mean[MOST_CHANNELS], deviation[MOST_CHANNELS], share = 1.0f / (float)k->n_tokens;
    for (uint32_t c = 0; c < k->n_channels; c++) mean[c] = deviation[c] = 0;
    for (uint32_t t = 0; t < k->n_tokens; t++)
        for (uint32_t c = 0; c < k->n_channels; c++) mean[c] += kb_bf16_to_float(k->first[t * k->stride + c]);
    for (uint32_t c = 0; c < k->n_channels; c++) mean[c] *= share;
    for (uint32_t t = 0; t < k->n_tokens; t++)
        for (uint32_t c = 0; c < k->n_channels; c++)
            deviation[c] += fabsf(kb_bf16_to_float(k->first[t * k->stride + c]) - mean[c]);
    for (uint32_t c = 0; c < k->n_channels; c++) deviation[c] *= share;
    store(k, mean, deviation, out);
}

static void digest_page(const struct kb_digest *a, uint32_t page)
{
    const struct kb_paged *p = &a->paged;
    uint32_t d = p->head_dim, heads_at_once = p->layout == KB_NHD ? p->n_kv_heads : 1;
    for (uint32_t h = 0; h < p->n_kv_heads; h += heads_at_once) {
        struct keys k = {.first = (const uint16_t *)a->kv + kb_row(p, page, 0, 0, h) * d,
                         .stride = (uint64_t)heads_at_once * d,
                         .n_tokens = p->page_tokens,
                         .n_channels = heads_at_once * d,
                         .head_dim = d};
        uint16_t *out = a->digest + ((uint64_t)page * p->n_kv_heads + h) * 2 * d;
        (a->kind == KB_DIGEST_MINMAX ? minmax : centre)(&k, out);
    }
}

KB_CPU_ENTRY(digest)
{
    const struct kb_digest *a = args;
    (void)queue;
    if (a->paged.head_dim * a->paged.n_kv_heads > MOST_CHANNELS)
        return kb_fail(err, "kv_digest: %u channels in all heads, at most %d expected",
                       (unsigned)(a->paged.head_dim * a->paged.n_kv_heads), MOST_CHANNELS);
#pragma omp parallel for
    for (uint32_t i = 0; i < a->n_list; i++) digest_page(a, a->page_list[i]);
    return true;
}
