#include "kernels/cases/attn_cache.h"

static const char *const keys[] = {"format", "q_heads", "kv_heads", "head_dim", "page_tokens",
                                   "layout", "seqs",    "tokens",   "ragged",   NULL};
enum { FORMAT, Q_HEADS, KV_HEADS, HEAD_DIM, PAGE_TOKENS, LAYOUT, SEQS, TOKENS, RAGGED, N_KEYS };

/* --- shapes --- */

static const uint64_t most_dense_bytes = 2ull << 30;

static void add(struct kb_grid *g, enum kb_format f, uint32_t seqs, uint32_t tokens)
{
    const struct kb_model *m = &g->model;
    uint32_t tp = m->tensor_parallel ? m->tensor_parallel : 1,
             kv_heads = m->n_kv_heads > tp ? m->n_kv_heads / tp : 1;
    if (4ull * seqs * tokens * kv_heads * m->head_dim > most_dense_bytes) return;
    kb_grid_add(g, (uint32_t[]){f, m->n_q_heads / tp, kv_heads, m->head_dim, 32, KB_NHD, seqs, tokens, 0},
                N_KEYS);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shape[][N_KEYS] = {
        {KB_KIVI4, 1, 1, 64, 32, KB_NHD, 1, 1, 0},   {KB_KIVI4, 7, 1, 128, 32, KB_HND, 1, 100, 0},
        {KB_KIVI4, 4, 2, 64, 64, KB_NHD, 2, 90, 1},  {KB_KIVI2, 8, 1, 64, 32, KB_NHD, 1, 161, 0},
        {KB_KIVI2, 2, 2, 128, 64, KB_HND, 2, 33, 1}, {KB_KIVI2, 3, 3, 64, 32, KB_HND, 1, 300, 0},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) kb_grid_add(g, shape[i], N_KEYS);
}

static void grid(struct kb_grid *g)
{
    static const uint32_t quick[][2] = {{1, 4096}, {16, 1024}},
                          small[][2] = {{1, 256}, {1, 1024}, {8, 256}, {8, 1024}};
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    for (uint32_t f = KB_KIVI4; f <= KB_KIVI2; f++) {
        enum kb_format format = (enum kb_format)f;
        for (int i = 0; g->cpu && i < 4; i++) add(g, format, small[i][0], small[i][1]);
        for (int i = 0; !g->cpu && i < 2; i++) add(g, format, quick[i][0], quick[i][1]);
        for (uint32_t seqs = 1; !g->cpu && g->suite == KB_SUITE_FULL && seqs <= 16; seqs *= 4)
            for (uint32_t tokens = 1024; tokens <= 16384; tokens *= 4) add(g, format, seqs, tokens);
    }
}

/* --- a case --- */

static uint64_t copy_bytes(const struct kb_paged *p, uint32_t n_seqs)
{
    uint64_t part[4] = {kb_pool_bytes(p), kb_k_scale_bytes(p), kb_v_scale_bytes(p),
                        kb_residual_bytes(p, n_seqs)};
    return kb_unfused_at(part, 4);
}

static struct kb_attn_unfused args_of(const uint32_t *k)
{
    return (struct kb_attn_unfused){
        .n_seqs = k[SEQS],
        .n_q_heads = k[Q_HEADS],
        .paged = {.format = (enum kb_format)k[FORMAT],
                  .layout = (enum kb_layout)k[LAYOUT],
                  .page_tokens = k[PAGE_TOKENS],
                  .n_kv_heads = k[KV_HEADS],
                  .head_dim = k[HEAD_DIM],
                  .table_heads = 1,
                  .residual_tokens = kb_cache_residual((enum kb_format)k[FORMAT], k[TOKENS])}};
}

/* Counted as the fused kernel's work, so that their times compare. */
static void count_work(struct kb_case *c, const struct kb_attn_unfused *a, const uint32_t *lengths)
{
    double read = 0;
    for (uint32_t s = 0; s < a->n_seqs; s++) {
        c->bytes += kb_cache_bytes(&a->paged, lengths[s], lengths[s]) * a->paged.n_kv_heads;
        read += lengths[s];
    }
    c->flops = 4.0 * a->n_q_heads * a->paged.head_dim * read;
    c->bytes += 4.0 * a->n_seqs * a->n_q_heads * a->paged.head_dim;
}

static void make(struct kb_case *c)
{
    const uint32_t *k = c->shape, n = k[SEQS];
    struct kb_attn_unfused a = args_of(k);
    struct kb_paged *p = &a.paged;
    uint64_t queries = (uint64_t)n * a.n_q_heads;
    uint32_t *lengths = malloc(n * sizeof *lengths);
    void *made[4];
    if (!lengths) abort();
    kb_cache_lengths(&c->random, k[TOKENS], k[RAGGED], n, lengths);
    a.max_tokens = kb_cache_longest(lengths, n);
    kb_cache_size(p, n, a.max_tokens, false, false);
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, queries * p->head_dim * 2);
    kb_cache_buffers(c, p, n, made);
    uint32_t *pages = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n * p->max_pages);
    kb_cache_deal(p, lengths, n, &c->random, pages);
    memcpy(kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, 4ull * n), lengths, 4ull * n);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, queries * p->head_dim * 2);
    kb_case_buffer(c, KB_SCRATCH, KB_FILL_POISON, KB_TYPE_BYTES, copy_bytes(p, n));
    kb_case_buffer(c, KB_SCRATCH, KB_FILL_POISON, KB_TYPE_BF16,
                   4ull * n * p->n_kv_heads * a.max_tokens * p->head_dim);
    kb_case_buffer(c, KB_SCRATCH, KB_FILL_POISON, KB_TYPE_FP32, 4ull * queries * a.max_tokens);
    for (uint32_t i = 0; c->check && i < n * p->n_kv_heads; i++)
        kb_cache_poison(p, made, pages,
                        (uint32_t[]){i / p->n_kv_heads, i % p->n_kv_heads, lengths[i / p->n_kv_heads]});
    count_work(c, &a, lengths);
    kb_case_args(c, &a, sizeof a);
    free(lengths);
}

static void reference(const void *args)
{
    const struct kb_attn_unfused *a = args;
    kb_cache_attend(&(struct kb_attn_decode){.q = a->q,
                                             .kv = a->kv,
                                             .k_scales = a->k_scales,
                                             .v_scales = a->v_scales,
                                             .residual = a->residual,
                                             .pages = a->pages,
                                             .lengths = a->lengths,
                                             .out = a->out,
                                             .paged = a->paged,
                                             .n_seqs = a->n_seqs,
                                             .n_q_heads = a->n_q_heads,
                                             .max_tokens = a->max_tokens});
}

const struct kb_kernel kb_case_attn_unfused = {
    .id = KB_ATTN_UNFUSED,
    .name = "attention_unfused",
    .family = "decode",
    .help = "the same in the steps of KIVI's published code: copy, dequantise, "
            "multiply, softmax, multiply",
    .keys = keys,
    .limit = 1e-2,
    .grid = grid,
    .make = make,
    .reference = reference};
