/* NHD <-> HND of whole pages: what a pool on the host that copies well costs on the device. */
#include "kernels/case.h"

#include <string.h>

#include "kernels/format.h"

enum { LAYOUT, KV_HEADS, HEAD_DIM, PAGE_TOKENS, PAGES, TO_HEADS, N_KEYS };
static const char *const keys[] = {"layout", "kv_heads", "head_dim", "page_tokens",
                                   "pages",  "to_heads", NULL};

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    uint32_t spare = c->check ? 2 : 0;
    struct kb_relayout a = {.n_list = s[PAGES], .to_heads = s[TO_HEADS]};
    if (a.to_heads) a.to_first = a.to_heads - s[KV_HEADS];
    a.paged = (struct kb_paged){.format = KB_BF16,
                                .layout = (enum kb_layout)s[LAYOUT],
                                .page_tokens = s[PAGE_TOKENS],
                                .n_pages = s[PAGES] + spare,
                                .n_kv_heads = s[KV_HEADS],
                                .head_dim = s[HEAD_DIM]};
    uint64_t bytes = kb_pool_bytes(&a.paged);
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, bytes);
    uint32_t *list[2];
    for (uint32_t i = 0; i < 2; i++)
        list[i] = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, a.n_list * sizeof **list);
    uint64_t to_bytes = a.to_heads ? bytes / s[KV_HEADS] * a.to_heads : bytes;
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BYTES, to_bytes);
    for (uint32_t i = 0; i < a.n_list; i++) {
        list[0][i] = i + spare / 2;
        list[1][i] = i + spare;
    }
    for (uint32_t i = 0; i < 2; i++) kb_random_shuffle(&c->random, list[i], a.n_list);
    c->bytes = 2.0 * (double)bytes * s[PAGES] / a.paged.n_pages + 8.0 * a.n_list;
    kb_case_args(c, &a, sizeof a);
}

static void move_page(const struct kb_relayout *a, uint32_t from, uint32_t to)
{
    const struct kb_paged *p = &a->paged;
    struct kb_paged other = *p;
    other.layout = p->layout == KB_NHD ? KB_HND : KB_NHD;
    if (a->to_heads) other.n_kv_heads = a->to_heads;
    uint32_t bytes = kb_row_bytes(p->format, p->head_dim);
    for (uint32_t kv = 0; kv < 2; kv++)
        for (uint32_t t = 0; t < p->page_tokens; t++)
            for (uint32_t h = 0; h < p->n_kv_heads; h++)
                memcpy((char *)a->to + kb_row(&other, to, kv, t, a->to_first + h) * bytes,
                       (const char *)a->from + kb_row(p, from, kv, t, h) * bytes, bytes);
}

static void reference(const void *args)
{
    const struct kb_relayout *a = args;
    for (uint32_t i = 0; i < a->n_list; i++) move_page(a, a->list_from[i], a->list_to[i]);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shapes[][N_KEYS] = {
        {KB_NHD, 2, 128, 32, 3, 0}, {KB_HND, 2, 128, 32, 3, 0}, {KB_NHD, 3, 64, 16, 2, 0},
        {KB_HND, 7, 64, 16, 2, 0},  {KB_NHD, 1, 128, 16, 1, 0}, {KB_HND, 2, 96, 32, 2, 0},
        {KB_NHD, 8, 64, 1, 2, 0},   {KB_HND, 1, 128, 32, 3, 4}, {KB_NHD, 2, 64, 16, 2, 3},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) kb_grid_add(g, shapes[i], N_KEYS);
}

static void grid(struct kb_grid *g)
{
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    uint32_t tp = g->model.tensor_parallel, heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    uint32_t largest = g->cpu ? 512 : 4096; /* of 8 KV heads of 128 channels: 1 GB */
    for (uint32_t pages = largest; pages >= 8 && (g->suite == KB_SUITE_FULL || pages == largest); pages /= 8)
        for (uint32_t layout = KB_NHD; layout <= KB_HND; layout++)
            kb_grid_add(g, (uint32_t[]){layout, heads, g->model.head_dim, 32, pages}, N_KEYS - 1);
}

const struct kb_kernel kb_case_relayout = {
    .id = KB_RELAYOUT,
    .name = "kv_relayout",
    .family = "move",
    .help = "whole pages from NHD to HND or back",
    .keys = keys,
    .limit = 0,
    .grid = grid,
    .make = make,
    .reference = reference,
};
