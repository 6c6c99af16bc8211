/* Eviction's other half: kept tokens close ranks. */
#include "kernels/case.h"

#include <string.h>

#include "kernels/format.h"

enum { LAYOUT, KV_HEADS, HEAD_DIM, PAGE_TOKENS, SEQS, TOKENS, KEEP, N_KEYS };
static const char *const keys[] = {"layout", "kv_heads", "head_dim", "page_tokens",
                                   "seqs",   "tokens",   "keep",     NULL};

/* A random choice of n_keep of n_tokens positions, ascending: each is taken with the chance that is left. */
static void choose(struct kb_random *r, uint32_t *keep, uint32_t n_keep, uint32_t n_tokens)
{
    for (uint32_t t = 0, n = 0; n < n_keep; t++)
        if (kb_random_below(r, n_tokens - t) < n_keep - n) keep[n++] = t;
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    uint32_t rows = s[SEQS] * s[KV_HEADS], max_pages = (s[TOKENS] + s[PAGE_TOKENS] - 1) / s[PAGE_TOKENS];
    struct kb_compact a = {.n_seqs = s[SEQS], .n_keep = s[KEEP]};
    a.paged = (struct kb_paged){.format = KB_BF16,
                                .layout = (enum kb_layout)s[LAYOUT],
                                .page_tokens = s[PAGE_TOKENS],
                                .n_pages = s[SEQS] * max_pages,
                                .n_kv_heads = s[KV_HEADS],
                                .head_dim = s[HEAD_DIM],
                                .table_heads = s[KV_HEADS],
                                .max_pages = max_pages};
    uint64_t table_bytes = (uint64_t)rows * max_pages * 4;
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, kb_pool_bytes(&a.paged));
    uint32_t *keep = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, (uint64_t)rows * s[KEEP] * 4);
    uint32_t *table[2];
    for (uint32_t i = 0; i < 2; i++)
        table[i] = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, table_bytes);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BYTES, kb_pool_bytes(&a.paged));
    for (uint32_t row = 0; row < rows; row++) {
        choose(&c->random, keep + (uint64_t)row * s[KEEP], s[KEEP], s[TOKENS]);
        for (uint32_t i = 0; i < max_pages; i++)
            for (uint32_t j = 0; j < 2; j++)
                table[j][(uint64_t)row * max_pages + i] = row / s[KV_HEADS] * max_pages + i;
        for (uint32_t j = 0; j < 2; j++)
            kb_random_shuffle(&c->random, table[j] + (uint64_t)row * max_pages, max_pages);
    }
    c->bytes = (double)rows * s[KEEP] * (4.0 * kb_row_bytes(KB_BF16, s[HEAD_DIM]) + 4);
    kb_case_args(c, &a, sizeof a);
}

static void move_row(const struct kb_compact *a, uint32_t seq, uint32_t head, uint32_t kv, uint32_t i)
{
    const struct kb_paged *p = &a->paged;
    uint32_t at = a->keep[((uint64_t)seq * p->n_kv_heads + head) * a->n_keep + i], n = p->page_tokens;
    uint32_t from = a->pages_from[kb_table_at(p, seq, head, at / n)];
    uint32_t to = a->pages_to[kb_table_at(p, seq, head, i / n)], bytes = kb_row_bytes(p->format, p->head_dim);
    memcpy((char *)a->to + kb_row(p, to, kv, i % n, head) * bytes,
           (const char *)a->from + kb_row(p, from, kv, at % n, head) * bytes, bytes);
}

static void reference(const void *args)
{
    const struct kb_compact *a = args;
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < a->paged.n_kv_heads; h++)
            for (uint32_t i = 0; i < a->n_keep; i++) {
                move_row(a, s, h, 0, i);
                move_row(a, s, h, 1, i);
            }
}

static void add(struct kb_grid *g, uint32_t layout, uint32_t seqs, uint32_t tokens, uint32_t keep)
{
    uint32_t tp = g->model.tensor_parallel, heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    kb_grid_add(g, (uint32_t[]){layout, heads, g->model.head_dim, 32, seqs, tokens, keep}, N_KEYS);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shapes[][N_KEYS] = {
        {KB_NHD, 2, 128, 32, 2, 100, 33}, {KB_HND, 2, 128, 32, 2, 100, 33}, {KB_NHD, 3, 64, 16, 1, 40, 40},
        {KB_HND, 1, 64, 16, 3, 17, 1},    {KB_HND, 2, 128, 16, 1, 80, 15},  {KB_NHD, 1, 96, 32, 2, 65, 32},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) kb_grid_add(g, shapes[i], N_KEYS);
}

static void grid(struct kb_grid *g)
{
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    for (uint32_t layout = KB_NHD; layout <= KB_HND; layout++) {
        add(g, layout, g->cpu ? 4 : 8, 4096, 512);
        if (g->cpu) continue;
        add(g, layout, 8, 32768, 2048);
        if (g->suite == KB_SUITE_QUICK) continue;
        add(g, layout, 1, 4096, 512);
        add(g, layout, 1, 32768, 2048);
        add(g, layout, 32, 4096, 512);
        add(g, layout, 32, 8192, 4096); /* of 8 KV heads of 128 channels: 1 GB */
    }
}

const struct kb_kernel kb_case_compact = {
    .id = KB_COMPACT,
    .name = "kv_compact",
    .family = "choose",
    .help = "kept tokens of each head to the front of its new pages",
    .keys = keys,
    .limit = 0,
    .grid = grid,
    .make = make,
    .reference = reference,
};
