#include "kernels/cases/attn_cache.h"

static const char *const keys[] = {"format", "q_heads", "kv_heads", "head_dim", "page_tokens",
                                   "layout", "seqs",    "tokens",   "ragged",   "sink",
                                   "window", "sparse",  "aliased",  NULL};
enum {
    FORMAT,
    Q_HEADS,
    KV_HEADS,
    HEAD_DIM,
    PAGE_TOKENS,
    LAYOUT,
    SEQS,
    TOKENS,
    RAGGED,
    SINK,
    WINDOW,
    SPARSE,
    ALIASED,
    N_KEYS
};

/* --- shapes --- */

static const uint64_t most_bytes = 4ull << 30, least_bytes = 2 << 20;

/* A shape of the model, on pages as engines have them: 16 tokens in vLLM's bf16, 32 where groups are. */
struct point {
    enum kb_format format;
    uint32_t seqs, tokens, ragged, sink, window, sparse, aliased;
};

static uint32_t kv_heads_of(const struct kb_model *m)
{
    uint32_t tp = m->tensor_parallel ? m->tensor_parallel : 1;
    return m->n_kv_heads > tp ? m->n_kv_heads / tp : 1;
}

static void add(struct kb_grid *g, const struct point *p)
{
    const struct kb_model *m = &g->model;
    uint32_t key[N_KEYS] = {p->format, 0,         0,         0,         p->format == KB_BF16 ? 16 : 32,
                            KB_NHD,    p->seqs,   p->tokens, p->ragged, p->sink,
                            p->window, p->sparse, p->aliased};
    key[Q_HEADS] = m->n_q_heads / (m->tensor_parallel ? m->tensor_parallel : 1);
    key[KV_HEADS] = kv_heads_of(m);
    key[HEAD_DIM] = m->head_dim;
    kb_grid_add(g, key, N_KEYS);
}

/* Bytes of the cache that a point reads, roughly. */
static uint64_t cache_bytes(const struct kb_grid *g, const struct point *p)
{
    uint64_t elements = 2ull * p->seqs * p->tokens * kv_heads_of(&g->model) * g->model.head_dim;
    bool by_row = p->format == KB_INT8 || p->format == KB_INT4;
    uint64_t scales = kb_format_is_kivi(p->format) ? elements * 4 / KB_GROUP
                      : by_row                     ? elements * 4 / g->model.head_dim
                                                   : 0;
    return (elements * kb_format_bits(p->format) / 8 + scales) * (p->sparse ? KB_SPARSE_POOL : 1);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shape[][N_KEYS] = {
        {KB_BF16, 1, 1, 64, 16, KB_NHD, 1, 1},
        {KB_BF16, 4, 1, 64, 16, KB_HND, 2, 15},
        {KB_BF16, 7, 1, 128, 16, KB_NHD, 1, 17},
        {KB_BF16, 16, 2, 128, 32, KB_HND, 2, 100, 1},
        {KB_BF16, 12, 1, 64, 64, KB_NHD, 1, 64},
        {KB_BF16, 18, 1, 64, 16, KB_NHD, 1, 33},
        {KB_BF16, 2, 1, 64, 16, KB_NHD, 2, 300, 0, 20, 50},
        {KB_BF16, 2, 2, 64, 32, KB_NHD, 2, 70, 1, 0, 0, 1},
        {KB_FP8, 4, 2, 64, 16, KB_NHD, 2, 65, 1},
        {KB_FP8, 8, 1, 128, 32, KB_HND, 1, 16},
        {KB_FP8, 9, 1, 128, 16, KB_NHD, 1, 140, 0, 4, 40},
        {KB_INT8, 7, 1, 128, 16, KB_NHD, 2, 33, 1},
        {KB_INT8, 3, 3, 64, 64, KB_HND, 1, 129},
        {KB_INT8, 9, 1, 128, 32, KB_NHD, 1, 31},
        {KB_INT4, 4, 2, 128, 32, KB_HND, 2, 63, 1},
        {KB_INT4, 1, 1, 64, 16, KB_NHD, 1, 1},
        {KB_INT4, 10, 1, 64, 16, KB_NHD, 1, 200, 0, 33, 64},
        {KB_INT4, 16, 1, 128, 16, KB_NHD, 1, 48},
        {KB_KIVI4, 4, 2, 128, 32, KB_NHD, 2, 100, 1},
        {KB_KIVI4, 7, 1, 64, 64, KB_HND, 1, 300},
        {KB_KIVI4, 9, 1, 128, 32, KB_NHD, 1, 97, 0, 5, 70},
        {KB_KIVI4, 2, 2, 64, 32, KB_NHD, 2, 90, 1, 0, 0, 1},
        {KB_KIVI4, 2, 1, 64, 32, KB_HND, 1, 300, 0, 20, 30},
        {KB_KIVI2, 8, 1, 128, 64, KB_HND, 1, 161},
        {KB_KIVI2, 4, 2, 64, 32, KB_NHD, 2, 130, 1},
        {KB_KIVI2, 10, 1, 128, 32, KB_NHD, 1, 31},
        {KB_KIVI2, 1, 1, 64, 32, KB_HND, 1, 200, 0, 40, 41},
        /* long enough for several splits, and for more tiles than one look at the page table */
        {KB_BF16, 2, 1, 128, 16, KB_NHD, 3, 700, 1},
        {KB_BF16, 1, 1, 128, 16, KB_HND, 1, 7000},
        {KB_INT4, 2, 2, 64, 16, KB_NHD, 2, 1500, 1},
        {KB_KIVI4, 1, 1, 64, 32, KB_NHD, 2, 1700, 1},
        {KB_KIVI2, 4, 1, 128, 32, KB_NHD, 1, 1900},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) kb_grid_add(g, shape[i], N_KEYS);
    for (uint32_t f = 0; f < KB_N_FORMAT; f++) /* every remainder of a tile, and an aliased pool */
        kb_grid_add(g, (uint32_t[]){f, 1, 1, 64, 32, KB_NHD, 2, 40 + 17 * f, 1, 0, 0, 0, 1}, N_KEYS);
}

/* What steps of a small model on a processor ask for. */
static void cpu_grid(struct kb_grid *g)
{
    static const uint32_t tokens[] = {256, 1024, 64, 2048},
                          few[][2] = {{1, 1024}, {8, 256}, {8, 1024}, {32, 1024}};
    for (int i = 0; i < 4; i++)
        for (uint32_t seqs = 1; seqs <= 32; seqs *= 2)
            add(g, &(struct point){.format = KB_BF16, .seqs = seqs, .tokens = tokens[i]});
    for (uint32_t f = KB_FP8; f < KB_N_FORMAT; f++)
        for (int i = 0; i < 4; i++)
            add(g, &(struct point){.format = (enum kb_format)f, .seqs = few[i][0], .tokens = few[i][1]});
    add(g, &(struct point){.format = KB_BF16, .seqs = 8, .tokens = 1024, .ragged = 1});
}

/* The most sequences of so many tokens that fill at least 1 GB, and not much more. */
static uint32_t seqs_of_a_gigabyte(const struct kb_grid *g, enum kb_format f, uint32_t tokens)
{
    struct point one = {.format = f, .seqs = 1, .tokens = tokens};
    uint64_t bytes = cache_bytes(g, &one);
    return (uint32_t)((1200000000ull + bytes - 1) / bytes);
}

static void add_if_fits(struct kb_grid *g, struct point p)
{
    uint64_t bytes = cache_bytes(g, &p);
    if (bytes <= most_bytes && (p.format == KB_BF16 || bytes >= least_bytes)) add(g, &p);
}

/* A format's ceilings: at least 1 GB, and pages that a cache holds. */
static void add_ceilings(struct kb_grid *g, enum kb_format f)
{
    add(g, &(struct point){.format = f, .seqs = seqs_of_a_gigabyte(g, f, 4096), .tokens = 4096});
    for (uint32_t seqs = 4; seqs <= 64; seqs *= 4)
        add(g, &(struct point){.format = f, .seqs = seqs, .tokens = 8192, .aliased = 1});
}

/* Batches by lengths, those of chat first. */
static void add_batches(struct kb_grid *g, enum kb_format f)
{
    static const uint32_t tokens[] = {1024, 4096, 256, 16384, 65536, 131072}, seqs[] = {16, 64, 1, 256, 4};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 5; j++)
            add_if_fits(g, (struct point){.format = f, .seqs = seqs[j], .tokens = tokens[i]});
}

/* Retrieval, ragged lengths, a window. */
static void add_others(struct kb_grid *g, enum kb_format f)
{
    for (uint32_t seqs = 1; seqs <= 16; seqs *= 4)
        add_if_fits(g, (struct point){.format = f, .seqs = seqs, .tokens = 2048, .sparse = 1});
    for (uint32_t seqs = 16; seqs <= 64; seqs *= 4)
        add_if_fits(g, (struct point){.format = f, .seqs = seqs, .tokens = 4096, .ragged = 1});
    for (uint32_t seqs = 16; seqs <= 64; seqs *= 4)
        add_if_fits(g, (struct point){.format = f, .seqs = seqs, .tokens = 4096, .sink = 64, .window = 448});
}

static void full_grid(struct kb_grid *g)
{
    for (uint32_t f = 0; f < KB_N_FORMAT; f++) add_ceilings(g, (enum kb_format)f);
    add_batches(g, KB_BF16);
    add_others(g, KB_BF16);
    for (uint32_t f = KB_BF16 + 1; f < KB_N_FORMAT; f++) add_batches(g, (enum kb_format)f);
    for (uint32_t f = KB_BF16 + 1; f < KB_N_FORMAT; f++) add_others(g, (enum kb_format)f);
}

static void quick_grid(struct kb_grid *g)
{
    static const uint32_t shape[][2] = {{1, 1024}, {16, 1024}, {64, 4096}, {1, 131072}, {256, 256}};
    for (int i = 0; i < 5; i++)
        add_if_fits(g, (struct point){.format = KB_BF16, .seqs = shape[i][0], .tokens = shape[i][1]});
    for (uint32_t f = 0; f < KB_N_FORMAT; f++) {
        enum kb_format format = (enum kb_format)f;
        add(g,
            &(struct point){.format = format, .seqs = seqs_of_a_gigabyte(g, format, 4096), .tokens = 4096});
        add_if_fits(g, (struct point){.format = format, .seqs = 16, .tokens = 1024});
    }
}

static void grid(struct kb_grid *g)
{
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
    } else if (g->cpu) {
        cpu_grid(g);
    } else if (g->suite == KB_SUITE_QUICK) {
        quick_grid(g);
    } else {
        full_grid(g);
    }
}

/* --- a case --- */

/* Room for partial results: many splits for few sequences, a few for many. */
static uint32_t splits_for(uint32_t seqs)
{
    uint32_t n = 1024 / seqs;
    return n < 16 ? 16 : n > KB_MAX_SPLITS ? KB_MAX_SPLITS : n;
}

static void count_work(struct kb_case *c, const struct kb_attn_decode *a, const uint32_t *lengths)
{
    const struct kb_paged *p = &a->paged;
    double group = a->n_q_heads / p->n_kv_heads, read = 0, bytes = 0;
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < p->n_kv_heads; h++) {
            uint32_t length = lengths[kb_length_at(p, s, h)], n = length;
            if (a->sink + a->window && length > a->sink + a->window) n = a->sink + a->window;
            read += n;
            bytes += kb_cache_bytes(p, length, n);
        }
    c->flops = 4 * group * p->head_dim * read;
    c->bytes = bytes + 4.0 * a->n_seqs * a->n_q_heads * p->head_dim;
}

static struct kb_attn_decode args_of(const uint32_t *k)
{
    return (struct kb_attn_decode){
        .n_seqs = k[SEQS],
        .n_q_heads = k[Q_HEADS],
        .n_splits = splits_for(k[SEQS]),
        .mean_tokens = k[TOKENS],
        .sink = k[SINK],
        .window = k[WINDOW],
        .paged = {.format = (enum kb_format)k[FORMAT],
                  .layout = (enum kb_layout)k[LAYOUT],
                  .page_tokens = k[PAGE_TOKENS],
                  .n_kv_heads = k[KV_HEADS],
                  .head_dim = k[HEAD_DIM],
                  .table_heads = k[SPARSE] ? k[KV_HEADS] : 1,
                  .residual_tokens = kb_cache_residual((enum kb_format)k[FORMAT], k[TOKENS]),
                  .k_scale = 0.75f,
                  .v_scale = 1.25f}};
}

static void make(struct kb_case *c)
{
    const uint32_t *k = c->shape;
    struct kb_attn_decode a = args_of(k);
    struct kb_paged *p = &a.paged;
    uint32_t n = a.n_seqs * p->table_heads;
    uint64_t queries = (uint64_t)a.n_seqs * a.n_q_heads;
    uint32_t *lengths = malloc(n * sizeof *lengths);
    void *made[4];
    if (!lengths) abort();
    kb_cache_lengths(&c->random, k[TOKENS], k[RAGGED], n, lengths);
    a.max_tokens = kb_cache_longest(lengths, n);
    if (c->check)
        a.split_tokens = k[RAGGED] ? 64 : k[TOKENS] > 4096 ? k[TOKENS] : 0; /* many splits; only one */
    kb_cache_size(p, a.n_seqs, a.max_tokens, k[SPARSE], k[ALIASED]);
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, queries * p->head_dim * 2);
    kb_cache_buffers(c, p, a.n_seqs, made);
    uint32_t *pages = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n * p->max_pages);
    kb_cache_deal(p, lengths, a.n_seqs, &c->random, pages);
    memcpy(kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n), lengths, 4ull * n);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, queries * p->head_dim * 2);
    kb_case_buffer(c, KB_SCRATCH, KB_FILL_POISON, KB_TYPE_FP32, a.n_splits * queries * (p->head_dim + 2) * 4);
    for (uint32_t i = 0; c->check && !k[ALIASED] && !k[SPARSE] && i < a.n_seqs * p->n_kv_heads; i++)
        kb_cache_poison(p, made, pages,
                        (uint32_t[]){i / p->n_kv_heads, i % p->n_kv_heads, lengths[i / p->n_kv_heads]});
    count_work(c, &a, lengths);
    kb_case_args(c, &a, sizeof a);
    free(lengths);
}

/* --- what is right --- */

static void reference(const void *args)
{
    kb_cache_attend(args);
}

const struct kb_kernel kb_case_attn_decode = {
    .id = KB_ATTN_DECODE,
    .name = "attention_decode",
    .family = "decode",
    .help = "one new token per sequence over a paged cache, all formats",
    .keys = keys,
    .limit = 1e-2,
    .grid = grid,
    .make = make,
    .reference = reference};
