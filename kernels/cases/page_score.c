/* Page scores from digests, pooled over the query group. */
#include "kernels/case.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/format.h"

enum { DIGEST, POOL, Q_HEADS, KV_HEADS, HEAD_DIM, SEQS, PAGES, RAGGED, N_KEYS };
static const char *const keys[] = {"digest", "pool",  "q_heads", "kv_heads", "head_dim",
                                   "seqs",   "pages", "ragged",  NULL};

/* Digests are made of keys: a minimum is no maximum, a deviation is not negative. The two are near, so that
 * scores fall on both sides of zero. */
static void make_digests(uint16_t *x, uint32_t n, uint32_t head_dim, bool minmax)
{
    for (uint32_t i = 0; i < n; i++, x += 2 * head_dim)
        for (uint32_t c = 0; c < head_dim; c++) {
            float spread = fabsf(kb_bf16_to_float(x[head_dim + c])) / 8;
            x[head_dim + c] = kb_bf16_from_float(minmax ? kb_bf16_to_float(x[c]) + spread : spread);
        }
}

/* Ragged: heads have pages of their own, in different numbers. */
static void make_tables(struct kb_case *c, const struct kb_paged *p, uint32_t *pages, uint32_t *counts)
{
    uint32_t rows = c->shape[SEQS] * p->table_heads;
    for (uint32_t i = 0; i < rows * p->max_pages; i++) pages[i] = i;
    kb_random_shuffle(&c->random, pages, rows * p->max_pages);
    for (uint32_t i = 0; i < rows; i++)
        counts[i] = c->shape[RAGGED] && i ? 1 + kb_random_below(&c->random, p->max_pages) : p->max_pages;
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    uint32_t table_heads = s[RAGGED] ? s[KV_HEADS] : 1, rows = s[SEQS] * table_heads;
    struct kb_page_score a = {.n_seqs = s[SEQS],
                              .n_q_heads = s[Q_HEADS],
                              .kind = (enum kb_digest_kind)s[DIGEST],
                              .pool = (enum kb_pool)s[POOL]};
    a.paged = (struct kb_paged){.format = KB_BF16,
                                .page_tokens = 32,
                                .n_pages = rows * s[PAGES],
                                .n_kv_heads = s[KV_HEADS],
                                .head_dim = s[HEAD_DIM],
                                .table_heads = table_heads,
                                .max_pages = s[PAGES]};
    uint64_t q_bytes = (uint64_t)s[SEQS] * s[Q_HEADS] * s[HEAD_DIM] * 2;
    uint64_t digest_bytes = (uint64_t)a.paged.n_pages * s[KV_HEADS] * s[HEAD_DIM] * 4;
    uint64_t row_bytes = (uint64_t)s[SEQS] * s[PAGES] * 4;
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, q_bytes);
    uint16_t *digest = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, digest_bytes);
    uint32_t *pages = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, (uint64_t)rows * s[PAGES] * 4);
    uint32_t *counts = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, rows * 4);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP32, row_bytes * s[KV_HEADS]);
    kb_case_buffer(c, KB_SCRATCH, KB_FILL_POISON, KB_TYPE_FP32, row_bytes * s[Q_HEADS]);
    make_tables(c, &a.paged, pages, counts);
    if (digest) make_digests(digest, a.paged.n_pages * s[KV_HEADS], s[HEAD_DIM], a.kind == KB_DIGEST_MINMAX);
    double n_scored = 0;
    for (uint32_t i = 0; i < rows; i++) n_scored += (double)counts[i] * s[KV_HEADS] / table_heads;
    c->bytes = (double)q_bytes + n_scored * (4.0 * s[HEAD_DIM] + 4 + 4.0 * table_heads / s[KV_HEADS]);
    kb_case_args(c, &a, sizeof a);
}

static double score_of(const struct kb_page_score *a, uint32_t seq, uint32_t q_head, uint32_t page)
{
    uint32_t d = a->paged.head_dim, head = q_head / (a->n_q_heads / a->paged.n_kv_heads);
    const uint16_t *q = a->q + ((uint64_t)seq * a->n_q_heads + q_head) * d;
    const uint16_t *digest = a->digest + ((uint64_t)page * a->paged.n_kv_heads + head) * 2 * d;
    double sum = 0;
    for (uint32_t c = 0; c < d; c++) {
        double x = kb_bf16_to_float(q[c]);
        double first = kb_bf16_to_float(digest[c]), second = kb_bf16_to_float(digest[d + c]);
        sum += a->kind == KB_DIGEST_MINMAX ? fmax(x * first, x * second) : x * first + fabs(x) * second;
    }
    return sum;
}

/* In place: softmax over the pages of score / sqrt(head_dim). */
static void softmax(double *x, uint32_t n, uint32_t head_dim)
{
    double most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++) most = fmax(most, x[i]);
    for (uint32_t i = 0; i < n; i++) sum += x[i] = exp((x[i] - most) / sqrt(head_dim));
    for (uint32_t i = 0; i < n; i++) x[i] /= sum;
}

/* One row of the result; x and pooled have room for a row. */
static void score_row(const struct kb_page_score *a, uint32_t seq, uint32_t head, double *x, double *pooled)
{
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads,
             n = a->page_counts[kb_length_at(&a->paged, seq, head)];
    float *out = a->score + ((uint64_t)seq * a->paged.n_kv_heads + head) * a->paged.max_pages;
    for (uint32_t g = 0; g < group; g++) {
        for (uint32_t i = 0; i < n; i++)
            x[i] = score_of(a, seq, head * group + g, a->pages[kb_table_at(&a->paged, seq, head, i)]);
        if (a->pool == KB_POOL_MEAN_SOFTMAX) softmax(x, n, a->paged.head_dim);
        for (uint32_t i = 0; i < n; i++)
            if (g == 0)
                pooled[i] = x[i];
            else
                pooled[i] = a->pool == KB_POOL_MAX_SCORE ? fmax(pooled[i], x[i]) : pooled[i] + x[i];
    }
    for (uint32_t i = 0; i < n; i++) out[i] = (float)(pooled[i] / (a->pool == KB_POOL_MAX_SCORE ? 1 : group));
}

static void reference(const void *args)
{
    const struct kb_page_score *a = args;
    double *x = malloc(2 * a->paged.max_pages * sizeof *x);
    if (!x) abort();
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < a->paged.n_kv_heads; h++) score_row(a, s, h, x, x + a->paged.max_pages);
    free(x);
}

static void add(struct kb_grid *g, enum kb_digest_kind kind, enum kb_pool pool, uint32_t seqs, uint32_t pages)
{
    const struct kb_model *m = &g->model;
    uint32_t tp = m->tensor_parallel, kv_heads = m->n_kv_heads > tp ? m->n_kv_heads / tp : 1;
    kb_grid_add(g, (uint32_t[]){kind, pool, m->n_q_heads / tp, kv_heads, m->head_dim, seqs, pages},
                N_KEYS - 1);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shapes[][N_KEYS] = {
        {KB_DIGEST_MINMAX, KB_POOL_MEAN_SOFTMAX, 8, 2, 128, 2, 37, 1},
        {KB_DIGEST_CENTRE, KB_POOL_MEAN_SCORE, 8, 2, 128, 2, 33, 0},
        {KB_DIGEST_MINMAX, KB_POOL_MAX_SCORE, 7, 1, 64, 3, 17, 1},
        {KB_DIGEST_CENTRE, KB_POOL_MEAN_SOFTMAX, 14, 2, 64, 1, 16, 1},
        {KB_DIGEST_MINMAX, KB_POOL_MAX_SCORE, 2, 2, 128, 1, 21, 0},
        {KB_DIGEST_CENTRE, KB_POOL_MAX_SCORE, 12, 1, 128, 1, 15, 0},
        {KB_DIGEST_MINMAX, KB_POOL_MEAN_SOFTMAX, 8, 1, 64, 2, 150, 1},
        {KB_DIGEST_MINMAX, KB_POOL_MEAN_SOFTMAX, 20, 1, 64, 1, 18, 0},
        {KB_DIGEST_CENTRE, KB_POOL_MEAN_SCORE, 2, 2, 64, 65, 70, 0}, /* more rows than blocks at once */
        {KB_DIGEST_MINMAX, KB_POOL_MEAN_SCORE, 4, 1, 256, 1, 20, 0},
        {KB_DIGEST_MINMAX, KB_POOL_MEAN_SCORE, 4, 1, 128, 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) kb_grid_add(g, shapes[i], N_KEYS);
}

static void grid(struct kb_grid *g)
{
    static const uint32_t seqs[] = {8, 1, 32}, pages[] = {1024, 4096, 256, 64};
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    bool full = g->suite == KB_SUITE_FULL;
    for (uint32_t i = 0; i < (full ? 3 : 2); i++)
        for (uint32_t j = 0; j < (full ? 4 : g->cpu ? 1 : 2); j++) {
            add(g, KB_DIGEST_MINMAX, KB_POOL_MEAN_SOFTMAX, seqs[i], pages[j]);
            add(g, KB_DIGEST_CENTRE, KB_POOL_MEAN_SCORE, seqs[i], pages[j]);
        }
    add(g, KB_DIGEST_MINMAX, KB_POOL_MAX_SCORE, seqs[0], pages[0]);
}

const struct kb_kernel kb_case_page_score = {
    .id = KB_PAGE_SCORE,
    .name = "kv_page_score",
    .family = "choose",
    .help = "scores of all pages from their digests, pooled over the query group of each KV head",
    .keys = keys,
    .limit = 1e-5,
    .grid = grid,
    .make = make,
    .reference = reference,
};
