#include <math.h>

#include "kernels/cases/attn_pages.h"

static const char *const keys[] = {"q_heads", "kv_heads", "head_dim", "page_tokens", "layout",
                                   "seqs",    "tokens",   "window",   "ragged",      NULL};
enum { Q_HEADS, KV_HEADS, HEAD_DIM, PAGE_TOKENS, LAYOUT, SEQS, TOKENS, WINDOW, RAGGED };

/* --- shapes --- */

/* window 0: all queries, as H2O wants them; otherwise SnapKV's last few. */
static void add(struct kb_grid *g, uint32_t seqs, uint32_t tokens, uint32_t window)
{
    const struct kb_model *m = &g->model;
    uint32_t tp = m->tensor_parallel ? m->tensor_parallel : 1;
    uint32_t kv_heads = m->n_kv_heads > tp ? m->n_kv_heads / tp : 1;
    kb_grid_add(g,
                (uint32_t[]){m->n_q_heads / tp, kv_heads, m->head_dim, 16, KB_NHD, seqs, tokens,
                             window ? window : tokens, 0},
                9);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shape[][9] = {
        {4, 4, 64, 16, KB_NHD, 1, 1, 1, 0},      {4, 1, 64, 16, KB_NHD, 1, 17, 17, 0},
        {7, 1, 64, 16, KB_HND, 1, 40, 8, 0},     {8, 1, 128, 16, KB_NHD, 2, 70, 16, 1},
        {8, 2, 128, 32, KB_HND, 3, 100, 100, 1}, {3, 1, 64, 24, KB_NHD, 2, 65, 31, 1},
        {2, 1, 128, 16, KB_HND, 1, 130, 32, 0},  {1, 1, 64, 16, KB_NHD, 1, 200, 200, 0},
        {2, 1, 64, 16, KB_NHD, 2, 15, 64, 1},    {1, 1, 128, 64, KB_NHD, 1, 257, 1, 0},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) kb_grid_add(g, shape[i], 9);
}

static void grid(struct kb_grid *g)
{
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    bool full = g->suite == KB_SUITE_FULL && !g->cpu;
    uint32_t first = g->cpu ? 256 : full ? 1024 : 4096, last = g->cpu ? 2048 : full ? 131072 : 32768;
    uint32_t last_whole = g->cpu ? 1024 : full ? 32768 : 8192;
    for (uint32_t n = first; n <= last; n *= full ? 2 : 4) add(g, 1, n, 32);
    for (uint32_t n = first; n <= last_whole; n *= full ? 2 : 4) add(g, 1, n, 0);
    add(g, 4, first, 32);
    if (full) add(g, 4, 8192, 32);
}

/* --- a case --- */

/* While checking: lse as standard normal scores would have it, and poison for queries before position 0. */
static void make_queries(struct kb_case *c, const struct kb_attn_score *a, uint16_t *q, float *lse)
{
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t i = 0; i < a->window; i++) {
            uint64_t row = ((uint64_t)s * a->window + i) * a->n_q_heads;
            int64_t position = (int64_t)a->lengths[s] - a->window + i;
            if (position < 0) {
                memset(q + row * a->paged.head_dim, 0xff, 2ull * a->n_q_heads * a->paged.head_dim);
                memset(lse + row, 0xff, 4ull * a->n_q_heads);
                continue;
            }
            for (uint32_t h = 0; h < a->n_q_heads; h++)
                lse[row + h] = logf((float)position + 1) + 0.5f + 0.1f * kb_random_normal(&c->random);
        }
}

static void count_work(struct kb_case *c, const struct kb_attn_score *a)
{
    double pairs = 0, queries = 0, tokens = 0, d = a->paged.head_dim;
    for (uint32_t s = 0; s < a->n_seqs; s++) {
        double length = a->lengths[s], n = a->window < a->lengths[s] ? a->window : length;
        pairs += n * (length - n) + n * (n + 1) / 2;
        queries += n;
        tokens += length;
    }
    c->flops = 2 * d * a->n_q_heads * pairs;
    c->bytes = 2 * d * (queries * a->n_q_heads + tokens * a->paged.n_kv_heads) + 4 * queries * a->n_q_heads +
               4.0 * a->n_seqs * a->paged.n_kv_heads * a->max_tokens;
}

static void make(struct kb_case *c)
{
    const uint32_t *k = c->shape, n = k[SEQS];
    struct kb_attn_score a = {
        .n_seqs = n, .n_q_heads = k[Q_HEADS], .window = k[WINDOW], .max_tokens = k[TOKENS]};
    a.paged = (struct kb_paged){.format = KB_BF16,
                                .layout = (enum kb_layout)k[LAYOUT],
                                .page_tokens = k[PAGE_TOKENS],
                                .n_kv_heads = k[KV_HEADS],
                                .head_dim = k[HEAD_DIM],
                                .table_heads = 1};
    uint32_t *length = malloc(n * sizeof *length);
    if (!length) abort();
    for (uint32_t s = 0; s < n; s++)
        length[s] = k[RAGGED] && s ? 1 + kb_random_below(&c->random, k[TOKENS]) : k[TOKENS];
    kb_pages_count(&a.paged, length, n);
    uint64_t rows = (uint64_t)n * a.window * a.n_q_heads, scores = (uint64_t)n * k[KV_HEADS] * a.max_tokens;
    uint16_t *q = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, rows * k[HEAD_DIM] * 2);
    float *lse = kb_case_buffer(c, KB_IN, KB_FILL_FLOAT, KB_TYPE_FP32, rows * 4);
    void *pool = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, kb_pool_bytes(&a.paged));
    uint32_t *pages = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n * a.paged.max_pages);
    kb_pages_deal(&a.paged, length, n, &c->random, pages);
    a.lengths = memcpy(kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n), length, 4ull * n);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP32, scores * 4);
    if (c->check) {
        kb_pages_poison(&a.paged, length, n, pages, pool);
        make_queries(c, &a, q, lse);
    }
    count_work(c, &a);
    kb_case_args(c, &a, sizeof a);
    free(length);
}

/* --- what is right --- */

static double weight(const struct kb_attn_score *a, const uint16_t *key, uint64_t row)
{
    double sum = 0;
    uint32_t d = a->paged.head_dim;
    for (uint32_t j = 0; j < d; j++)
        sum += (double)kb_bf16_to_float(a->q[row * d + j]) * (double)kb_bf16_to_float(key[j]);
    return exp(sum / sqrt(d) - (double)a->lse[row]);
}

/* What key t of a sequence's KV head got from the queries at its position and after. */
static double received(const struct kb_attn_score *a, uint32_t s, uint32_t head, uint32_t t)
{
    const uint16_t *key = kb_pages_row(&a->paged, a->kv, a->pages, (uint32_t[]){s, 0, t, head});
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads;
    double sum = 0;
    for (uint32_t i = 0; i < a->window; i++) {
        if ((uint64_t)a->lengths[s] + i < (uint64_t)t + a->window) continue;
        uint64_t row = ((uint64_t)s * a->window + i) * a->n_q_heads + head * group;
        for (uint32_t g = 0; g < group; g++) sum += weight(a, key, row + g);
    }
    return sum;
}

static void reference(const void *args)
{
    const struct kb_attn_score *a = args;
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < a->paged.n_kv_heads; h++)
            for (uint32_t t = 0; t < a->max_tokens; t++)
                a->score[((uint64_t)s * a->paged.n_kv_heads + h) * a->max_tokens + t] =
                    t < a->lengths[s] ? (float)received(a, s, h, t) : 0.0f;
}

const struct kb_kernel kb_case_attn_score = {
    .id = KB_ATTN_SCORE,
    .name = "attention_score",
    .family = "prefill",
    .help = "attention that each key got from the last queries (H2O, SnapKV)",
    .keys = keys,
    .limit = 1e-2,
    .grid = grid,
    .make = make,
    .reference = reference};
