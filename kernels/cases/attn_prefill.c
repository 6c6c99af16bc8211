#include <math.h>

#include "kernels/cases/attn_pages.h"

static const char *const keys[] = {"q_heads", "kv_heads",   "head_dim",    "page_tokens", "layout",
                                   "seqs",    "new_tokens", "past_tokens", "ragged",      NULL};
enum { Q_HEADS, KV_HEADS, HEAD_DIM, PAGE_TOKENS, LAYOUT, SEQS, NEW_TOKENS, PAST_TOKENS, RAGGED };

/* lse is fp32 and made of fp32 sums: held to a limit so many times narrower than the bf16 output's. */
static const double lse_strictness = 100;

/* --- shapes --- */

static void add(struct kb_grid *g, uint32_t seqs, uint32_t new_tokens, uint32_t past_tokens)
{
    const struct kb_model *m = &g->model;
    uint32_t tp = m->tensor_parallel ? m->tensor_parallel : 1;
    uint32_t kv_heads = m->n_kv_heads > tp ? m->n_kv_heads / tp : 1;
    kb_grid_add(
        g,
        (uint32_t[]){m->n_q_heads / tp, kv_heads, m->head_dim, 16, KB_NHD, seqs, new_tokens, past_tokens, 0},
        9);
}

/* Work enough that a GPU of 66 to 132 multiprocessors takes its kernels of large blocks, which depend on how many
 * blocks there are: two with chunks of more than 64 queries, two with many short ones. First and last are the
 * former, so that the short proof before a measurement has them. */
static const uint32_t large_shape[][9] = {
    {66, 6, 64, 16, KB_HND, 1, 70, 700, 0},
    {66, 6, 64, 16, KB_HND, 4, 20, 30, 0},
    {66, 6, 128, 16, KB_NHD, 4, 33, 40, 1},
    {34, 2, 128, 32, KB_NHD, 1, 130, 260, 0},
};

static void check_grid(struct kb_grid *g)
{
    enum { N_LARGE = sizeof large_shape / sizeof *large_shape };
    bool large = !g->cpu && g->device.units >= 66;
    static const uint32_t shape[][9] = {
        {4, 4, 64, 16, KB_NHD, 1, 1, 0, 0},      {4, 1, 64, 16, KB_NHD, 1, 15, 0, 0},
        {7, 1, 64, 16, KB_HND, 1, 16, 0, 0},     {8, 1, 128, 16, KB_NHD, 1, 17, 16, 0},
        {4, 2, 128, 32, KB_HND, 2, 40, 70, 1},   {3, 1, 64, 16, KB_NHD, 3, 70, 100, 1},
        {2, 1, 64, 24, KB_NHD, 1, 1, 63, 0},     {2, 1, 128, 16, KB_HND, 1, 64, 64, 0},
        {1, 1, 128, 16, KB_NHD, 1, 150, 0, 0},   {1, 1, 64, 16, KB_NHD, 1, 129, 191, 0},
        {2, 2, 128, 64, KB_HND, 1, 3, 300, 0},   {1, 1, 128, 16, KB_NHD, 1, 200, 130, 0},
        {1, 1, 256, 16, KB_NHD, 1, 20, 60, 0},   {2, 1, 64, 16, KB_HND, 1, 70, 700, 0},
        {1, 1, 128, 16, KB_NHD, 2, 100, 800, 1},
    };
    if (large) kb_grid_add(g, large_shape[0], 9);
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) kb_grid_add(g, shape[i], 9);
    for (size_t i = 1; large && i < N_LARGE; i++) kb_grid_add(g, large_shape[i], 9);
}

/* What chunked prefill asks for: chunks of a prompt at every depth, one or several prompts in a step. */
static void cpu_grid(struct kb_grid *g)
{
    static const uint32_t size[] = {16, 64, 128, 256, 512}, past[] = {0, 512, 2048};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 3; j++) add(g, 1, size[i], past[j]);
    add(g, 1, 1, 0);
    add(g, 1, 1, 2048);
    add(g, 1, 32, 1024);
    for (uint32_t seqs = 2; seqs <= 4; seqs *= 2)
        for (int i = 0; i < 5; i += 2) add(g, seqs, size[i], i ? 0 : 512);
    add(g, 2, 128, 1024);
}

static void quick_grid(struct kb_grid *g)
{
    static const uint32_t size[] = {512, 2048, 8192};
    for (int i = 0; i < 3; i++) add(g, 1, size[i], 0);
    add(g, 1, 512, 4096);
    add(g, 1, 2048, 16384);
    add(g, 4, 512, 0);
}

static void full_grid(struct kb_grid *g)
{
    static const uint32_t size[] = {512, 2048, 128}, past[] = {1024, 4096, 16384, 65536};
    for (uint32_t n = 512; n <= 32768; n *= 2) add(g, 1, n, 0);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) add(g, 1, size[i], past[j]);
    for (uint32_t seqs = 2; seqs <= 8; seqs *= 2)
        for (int i = 0; i < 2; i++) add(g, seqs, size[i], 0);
    add(g, 1, 256, 0);
    add(g, 1, 128, 0);
}

static void grid(struct kb_grid *g)
{
    if (g->suite == KB_SUITE_CHECK)
        check_grid(g);
    else if (g->cpu)
        cpu_grid(g);
    else if (g->suite == KB_SUITE_QUICK)
        quick_grid(g);
    else
        full_grid(g);
}

/* --- a case --- */

/* The first sequence is as long as the shape says; when ragged the others are shorter, down to one token. */
static void draw_lengths(struct kb_case *c, uint32_t *q_begin, uint32_t *past, uint32_t *total)
{
    const uint32_t *k = c->shape;
    q_begin[0] = 0;
    for (uint32_t s = 0; s < k[SEQS]; s++) {
        bool shorter = k[RAGGED] && s;
        uint32_t n = shorter ? 1 + kb_random_below(&c->random, k[NEW_TOKENS]) : k[NEW_TOKENS];
        past[s] = shorter ? kb_random_below(&c->random, k[PAST_TOKENS] + 1) : k[PAST_TOKENS];
        q_begin[s + 1] = q_begin[s] + n;
        total[s] = past[s] + n;
    }
}

static void count_work(struct kb_case *c, const struct kb_attn_prefill *a, const uint32_t *total)
{
    double pairs = 0, kv_tokens = 0, d = a->paged.head_dim;
    for (uint32_t s = 0; s < a->n_seqs; s++) {
        double n = total[s] - a->past[s];
        pairs += n * a->past[s] + n * (n + 1) / 2;
        kv_tokens += total[s];
    }
    c->flops = 4 * d * a->n_q_heads * pairs;
    c->bytes = 2 * d * (2 * kv_tokens * a->paged.n_kv_heads + 2.0 * a->n_tokens * a->n_q_heads) +
               4.0 * a->n_tokens * a->n_q_heads;
}

static void make(struct kb_case *c)
{
    const uint32_t *k = c->shape, n = k[SEQS];
    struct kb_attn_prefill a = {.n_seqs = n, .n_q_heads = k[Q_HEADS], .max_new = k[NEW_TOKENS]};
    a.paged = (struct kb_paged){.format = KB_BF16,
                                .layout = (enum kb_layout)k[LAYOUT],
                                .page_tokens = k[PAGE_TOKENS],
                                .n_kv_heads = k[KV_HEADS],
                                .head_dim = k[HEAD_DIM],
                                .table_heads = 1};
    uint32_t *lengths = malloc((3 * n + 1) * sizeof *lengths);
    if (!lengths) abort();
    uint32_t *begin = lengths, *past = begin + n + 1, *total = past + n;
    draw_lengths(c, begin, past, total);
    kb_pages_count(&a.paged, total, n);
    a.n_tokens = begin[n];
    uint64_t rows = (uint64_t)a.n_tokens * a.n_q_heads;
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, rows * k[HEAD_DIM] * 2);
    void *pool = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, kb_pool_bytes(&a.paged));
    uint32_t *pages = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n * a.paged.max_pages);
    kb_pages_deal(&a.paged, total, n, &c->random, pages);
    a.q_begin =
        memcpy(kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * (n + 1)), begin, 4ull * (n + 1));
    a.past = memcpy(kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n), past, 4ull * n);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, rows * k[HEAD_DIM] * 2);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP32, rows * 4);
    if (pool) kb_pages_poison(&a.paged, total, n, pages, pool);
    count_work(c, &a, total);
    kb_case_args(c, &a, sizeof a);
    free(lengths);
}

/* --- what is right --- */

static double dot(const uint16_t *a, const uint16_t *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)kb_bf16_to_float(a[i]) * (double)kb_bf16_to_float(b[i]);
    return sum;
}

/* One query: its row of `out` and its lse; weight has room for a double per key. */
static void attend(const struct kb_attn_prefill *a, const uint32_t at[3], double *weight, double *sum)
{
    uint32_t s = at[0], i = at[1], head = at[2], d = a->paged.head_dim, n = a->past[s] + i + 1;
    uint32_t kv_head = head / (a->n_q_heads / a->paged.n_kv_heads);
    uint64_t row = (uint64_t)(a->q_begin[s] + i) * a->n_q_heads + head;
    double top = -INFINITY, total = 0;
    for (uint32_t t = 0; t < n; t++) {
        const uint16_t *key = kb_pages_row(&a->paged, a->kv, a->pages, (uint32_t[]){s, 0, t, kv_head});
        weight[t] = dot(a->q + row * d, key, d) / sqrt(d);
        if (weight[t] > top) top = weight[t];
    }
    for (uint32_t j = 0; j < d; j++) sum[j] = 0;
    for (uint32_t t = 0; t < n; t++) {
        const uint16_t *value = kb_pages_row(&a->paged, a->kv, a->pages, (uint32_t[]){s, 1, t, kv_head});
        double p = exp(weight[t] - top);
        total += p;
        for (uint32_t j = 0; j < d; j++) sum[j] += p * (double)kb_bf16_to_float(value[j]);
    }
    for (uint32_t j = 0; j < d; j++) a->out[row * d + j] = kb_bf16_from_float((float)(sum[j] / total));
    if (a->lse) a->lse[row] = (float)(top + log(total));
}

static void reference(const void *args)
{
    const struct kb_attn_prefill *a = args;
    uint64_t longest = (uint64_t)a->paged.max_pages * a->paged.page_tokens;
    double *room = malloc((longest + a->paged.head_dim) * sizeof *room);
    if (!room) abort();
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t i = 0; i < a->q_begin[s + 1] - a->q_begin[s]; i++)
            for (uint32_t h = 0; h < a->n_q_heads; h++)
                attend(a, (uint32_t[]){s, i, h}, room, room + longest);
    free(room);
}

static void compare(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v)
{
    enum { OUT = 5, LSE };
    double out = kb_buffer_error(&got->buffer[OUT], &want->buffer[OUT], v);
    double lse = kb_buffer_error(&got->buffer[LSE], &want->buffer[LSE], v) * lse_strictness;
    v->limit = got->kernel->limit;
    v->error = out > lse ? out : lse;
    if (v->error > v->limit && !v->text[0])
        snprintf(v->text, sizeof v->text, "relative error of out %.3g, of lse %.3g", out,
                 lse / lse_strictness);
}

const struct kb_kernel kb_case_attn_prefill = {
    .id = KB_ATTN_PREFILL,
    .name = "attention_prefill",
    .family = "prefill",
    .help = "causal attention of prompt chunks over a paged bf16 cache",
    .keys = keys,
    .limit = 1e-2,
    .grid = grid,
    .make = make,
    .reference = reference,
    .compare = compare};
