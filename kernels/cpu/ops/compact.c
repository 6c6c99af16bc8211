#include "kernels/cpu/cpu.h"

#include <string.h>

static void compact_head(const struct kb_compact *a, uint32_t seq, uint32_t head)
{
    const struct kb_paged *p = &a->paged;
    uint32_t n = p->page_tokens, bytes = kb_row_bytes(p->format, p->head_dim);
    uint64_t value =
        (uint64_t)n * (p->layout == KB_NHD ? p->n_kv_heads : 1) * bytes; /* from a key to its value */
    const uint32_t *keep = a->keep + ((uint64_t)seq * p->n_kv_heads + head) * a->n_keep;
    const uint32_t *from = a->pages_from + kb_table_at(p, seq, head, 0);
    const uint32_t *to = a->pages_to + kb_table_at(p, seq, head, 0);
    for (uint32_t i = 0; i < a->n_keep; i++) {
        const char *x = (const char *)a->from + kb_row(p, from[keep[i] / n], 0, keep[i] % n, head) * bytes;
        char *y = (char *)a->to + kb_row(p, to[i / n], 0, i % n, head) * bytes;
        memcpy(y, x, bytes);
        memcpy(y + value, x + value, bytes);
    }
}

KB_CPU_ENTRY(compact)
{
    const struct kb_compact *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel for collapse(2)
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < a->paged.n_kv_heads; h++) compact_head(a, s, h);
    return true;
}
