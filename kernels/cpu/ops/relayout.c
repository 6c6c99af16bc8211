#include "kernels/cpu/cpu.h"

#include <string.h>

/* Rows of one head of one page, keys and then values, with the distance between them on either side. */
struct walk {
    const char *from;
    char *to;
    uint64_t step_from, step_to; /* bytes */
};

static void move_rows(struct walk w, uint32_t n, uint32_t bytes)
{
    for (uint32_t i = 0; i < n; i++) memcpy(w.to + i * w.step_to, w.from + i * w.step_from, bytes);
}

static void move_page(const struct kb_relayout *a, uint32_t from, uint32_t to)
{
    const struct kb_paged *p = &a->paged;
    struct kb_paged other = *p;
    other.layout = p->layout == KB_NHD ? KB_HND : KB_NHD;
    if (a->to_heads) other.n_kv_heads = a->to_heads;
    uint64_t bytes = kb_row_bytes(p->format, p->head_dim);
    for (uint32_t h = 0; h < p->n_kv_heads; h++) {
        struct walk w = {.from = (const char *)a->from + kb_row(p, from, 0, 0, h) * bytes,
                         .to = (char *)a->to + kb_row(&other, to, 0, 0, a->to_first + h) * bytes,
                         .step_from = p->layout == KB_NHD ? p->n_kv_heads * bytes : bytes,
                         .step_to = p->layout == KB_NHD ? bytes : other.n_kv_heads * bytes};
        move_rows(w, 2 * p->page_tokens, (uint32_t)bytes);
    }
}

KB_CPU_ENTRY(relayout)
{
    const struct kb_relayout *a = args;
    (void)queue;
    (void)err;
#pragma omp parallel for
    for (uint32_t i = 0; i < a->n_list; i++) move_page(a, a->list_from[i], a->list_to[i]);
    return true;
}
