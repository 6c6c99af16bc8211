/* Quantise and append: what a step's new keys and values become in the cache. The comparison is of bytes: codes,
 * scales and ring are a definition (kernels/format.h), and what the append does not own keeps its poison. */
#include "kernels/case.h"

#include <stdlib.h>

#include "kernels/format.h"

enum { FORMAT, KV_HEADS, HEAD_DIM, PAGE_TOKENS, LAYOUT, SEQS, NEW_TOKENS, PAST_TOKENS };
static const char *const keys[] = {"format", "kv_heads",   "head_dim",    "page_tokens", "layout",
                                   "seqs",   "new_tokens", "past_tokens", NULL};

enum { RESIDUAL_TOKENS = 128, CHECK_RESIDUAL_TOKENS = 64 };
enum { KIVI_HEAD_DIM = 64 }; /* what the devices have code for: multiples of it */

/* --- making --- */

/* While checking, every sequence is one length shorter than the one before, and heads differ where they may. */
static uint32_t new_tokens(const struct kb_case *c, uint32_t seq)
{
    uint32_t n = c->shape[NEW_TOKENS];
    if (n == 1 || !c->check) return n;
    return n > 5 * seq ? n - 5 * seq : 0;
}

/* A batch in decode stands at all places of KIVI's window, so that a step packs what a step packs on average. */
static uint32_t past_tokens(const struct kb_case *c, uint32_t seq, uint32_t head)
{
    uint32_t n = c->shape[PAST_TOKENS];
    if (n == 0) return 0;
    return n + (c->check ? seq + head : seq * 37 % RESIDUAL_TOKENS);
}

static struct kb_paged paged_of(const struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_paged p = {.format = (enum kb_format)s[FORMAT],
                         .layout = (enum kb_layout)s[LAYOUT],
                         .page_tokens = s[PAGE_TOKENS],
                         .n_kv_heads = s[KV_HEADS],
                         .head_dim = s[HEAD_DIM],
                         .table_heads = c->check && s[SEQS] > 1 ? s[KV_HEADS] : 1,
                         .residual_tokens = c->check ? CHECK_RESIDUAL_TOKENS : RESIDUAL_TOKENS,
                         .k_scale = c->check ? 0.0437f : 1.0f,
                         .v_scale = c->check ? 0.0061f : 1.0f};
    uint32_t longest = 0;
    for (uint32_t i = 0; i < s[SEQS]; i++) {
        uint32_t n = past_tokens(c, i, p.table_heads - 1) + new_tokens(c, i);
        if (n > longest) longest = n;
    }
    p.max_pages = (longest + p.page_tokens - 1) / p.page_tokens;
    p.n_pages = s[SEQS] * p.table_heads * p.max_pages + (c->check ? 2 : 0);
    return p;
}

/* Whose each token is, where sequences begin, how long they were, and their pages. */
static void make_tables(struct kb_case *c, struct kb_append *a)
{
    const struct kb_paged *p = &a->paged;
    uint32_t n_tables = a->n_seqs * p->table_heads, n_owned = n_tables * p->max_pages;
    uint32_t *seq = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, a->n_tokens * sizeof *seq);
    uint32_t *begin = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, (a->n_seqs + 1) * sizeof *begin);
    uint32_t *past = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, n_tables * sizeof *past);
    uint32_t *pages = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, n_owned * sizeof *pages);
    begin[0] = 0;
    for (uint32_t s = 0; s < a->n_seqs; s++) {
        begin[s + 1] = begin[s] + new_tokens(c, s);
        for (uint32_t i = begin[s]; i < begin[s + 1]; i++) seq[i] = s;
        for (uint32_t h = 0; h < p->table_heads; h++) past[kb_length_at(p, s, h)] = past_tokens(c, s, h);
    }
    for (uint32_t i = 0; i < n_owned; i++) pages[i] = p->n_pages - 1 - i;
    kb_random_shuffle(&c->random, pages, n_owned);
}

/* Rows of one head that are quantised into pages, and that go into the ring; of the first, those in the ring. */
static double head_bytes(const struct kb_append *a, uint32_t kv, uint32_t past, uint32_t n_new)
{
    const struct kb_paged *p = &a->paged;
    double in = 2.0 * p->head_dim, code = kb_row_bytes(p->format, p->head_dim), pairs = 0;
    uint32_t now = past + n_new;
    if (!kb_format_is_kivi(p->format)) {
        if (p->format == KB_INT8 || p->format == KB_INT4) pairs = 1;
        return n_new * (in + code + 4 * pairs);
    }
    uint32_t was =
        kv ? kb_kivi_v_packed(past, p->residual_tokens) : kb_kivi_k_packed(past, p->residual_tokens);
    uint32_t to = kv ? kb_kivi_v_packed(now, p->residual_tokens) : kb_kivi_k_packed(now, p->residual_tokens);
    uint32_t ring_in = to <= was ? 0 : (to < past ? to : past) - was,
             ring_out = now - (to > past ? to : past);
    pairs = p->head_dim / (double)KB_GROUP;
    return n_new * in + (ring_in + ring_out) * in + (to - was) * (code + 4 * pairs);
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_append a = {.paged = paged_of(c), .n_seqs = s[SEQS], .max_new = new_tokens(c, 0)};
    for (uint32_t i = 0; i < a.n_seqs; i++) a.n_tokens += new_tokens(c, i);
    uint64_t in_bytes = (uint64_t)a.n_tokens * s[KV_HEADS] * s[HEAD_DIM] * 2;
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, in_bytes);
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, in_bytes);
    make_tables(c, &a);
    kb_case_buffer(c, KB_INOUT, KB_FILL_POISON, KB_TYPE_BYTES, kb_pool_bytes(&a.paged));
    kb_case_buffer(c, KB_INOUT, KB_FILL_POISON, KB_TYPE_BYTES, kb_k_scale_bytes(&a.paged));
    kb_case_buffer(c, KB_INOUT, KB_FILL_POISON, KB_TYPE_BYTES, kb_v_scale_bytes(&a.paged));
    kb_case_buffer(c, KB_INOUT, KB_FILL_NORMAL, KB_TYPE_BYTES, kb_residual_bytes(&a.paged, a.n_seqs));
    for (uint32_t i = 0; i < a.n_seqs; i++)
        for (uint32_t h = 0; h < 2 * s[KV_HEADS]; h++)
            c->bytes += head_bytes(&a, h % 2, past_tokens(c, i, h / 2), new_tokens(c, i));
    kb_case_args(c, &a, sizeof a);
}

/* --- what is right --- */

/* One key or value row of a head, new or in the ring. */
struct source {
    const struct kb_append *a;
    uint32_t seq, head, kv, past, now;
};

static float source_value(const struct source *s, uint32_t position, uint32_t channel)
{
    const struct kb_append *a = s->a;
    const struct kb_paged *p = &a->paged;
    if (position < s->past)
        return kb_bf16_to_float(a->residual[kb_residual_at(p, s->seq, s->kv, position, s->head) + channel]);
    uint64_t token = a->begin[s->seq] + position - s->past;
    return kb_bf16_to_float((s->kv ? a->v : a->k)[(token * p->n_kv_heads + s->head) * p->head_dim + channel]);
}

static uint32_t page_of(const struct source *s, uint32_t position)
{
    const struct kb_paged *p = &s->a->paged;
    return s->a->pages[kb_table_at(p, s->seq, s->head, position / p->page_tokens)];
}

static uint8_t *pool_row(const struct source *s, uint32_t position)
{
    const struct kb_paged *p = &s->a->paged;
    uint64_t row = kb_row(p, page_of(s, position), s->kv, position % p->page_tokens, s->head);
    return (uint8_t *)s->a->kv + row * kb_row_bytes(p->format, p->head_dim);
}

/* A set of values that share a scale: tokens from `position` on, channels from `channel` on. */
struct set {
    uint32_t position, n_tokens, channel, n_channels;
    uint16_t *pair;
};

static void quantise_set(const struct source *s, const struct set *g)
{
    uint32_t bits = kb_format_bits(s->a->paged.format), n = g->n_tokens * g->n_channels;
    float low = source_value(s, g->position, g->channel), high = low;
    for (uint32_t i = 0; i < n; i++) {
        float x = source_value(s, g->position + i / g->n_channels, g->channel + i % g->n_channels);
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    struct kb_affine scale = kb_affine_of(low, high, bits);
    g->pair[0] = scale.scale;
    g->pair[1] = scale.minimum;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = g->position + i / g->n_channels, c = g->channel + i % g->n_channels;
        kb_code_put(pool_row(s, t), bits, c, kb_affine_code(scale, source_value(s, t, c), bits));
    }
}

static void append_plain(const struct source *s, uint32_t position)
{
    const struct kb_paged *p = &s->a->paged;
    uint8_t *row = pool_row(s, position);
    for (uint32_t c = 0; c < p->head_dim; c++) {
        float x = source_value(s, position, c);
        if (p->format == KB_BF16)
            ((uint16_t *)row)[c] = kb_bf16_from_float(x);
        else
            row[c] = kb_fp8_from_float(x / (s->kv ? p->v_scale : p->k_scale));
    }
}

static void append_int(const struct source *s, uint32_t position)
{
    const struct kb_paged *p = &s->a->paged;
    uint32_t page = page_of(s, position), token = position % p->page_tokens;
    uint16_t *scales = s->kv ? s->a->v_scales : s->a->k_scales;
    uint64_t pair = s->kv ? kb_v_scale_at(p, page, token, s->head) : kb_k_scale_at(p, page, token, s->head);
    struct set g = {position, 1, 0, p->head_dim, scales + 2 * pair};
    quantise_set(s, &g);
}

/* Packs the group of 32 tokens from `position` on: a scale per channel (keys), or per token and 32 channels. */
static void pack_group(const struct source *s, uint32_t position)
{
    const struct kb_paged *p = &s->a->paged;
    for (uint32_t i = 0; i < (s->kv ? KB_GROUP * p->head_dim / KB_GROUP : p->head_dim); i++) {
        uint32_t groups = p->head_dim / KB_GROUP, t = s->kv ? position + i / groups : position;
        uint32_t page = page_of(s, t), token = t % p->page_tokens;
        struct set g = {t, s->kv ? 1 : KB_GROUP, s->kv ? i % groups * KB_GROUP : i, s->kv ? KB_GROUP : 1,
                        NULL};
        g.pair = s->kv ? s->a->v_scales + 2 * (kb_v_scale_at(p, page, token, s->head) + i % groups)
                       : s->a->k_scales + 2 * (kb_k_scale_at(p, page, token, s->head) + i);
        quantise_set(s, &g);
    }
}

static void append_kivi(const struct source *s)
{
    const struct kb_append *a = s->a;
    const struct kb_paged *p = &a->paged;
    uint32_t r = p->residual_tokens;
    uint32_t from = s->kv ? kb_kivi_v_packed(s->past, r) : kb_kivi_k_packed(s->past, r);
    uint32_t to = s->kv ? kb_kivi_v_packed(s->now, r) : kb_kivi_k_packed(s->now, r);
    for (uint32_t t = from; t < to; t += KB_GROUP) pack_group(s, t);
    for (uint32_t t = to > s->past ? to : s->past; t < s->now; t++)
        for (uint32_t c = 0; c < p->head_dim; c++)
            a->residual[kb_residual_at(p, s->seq, s->kv, t, s->head) + c] =
                kb_bf16_from_float(source_value(s, t, c));
}

static void append_head(const struct source *s)
{
    enum kb_format f = s->a->paged.format;
    if (kb_format_is_kivi(f)) {
        append_kivi(s);
        return;
    }
    for (uint32_t t = s->past; t < s->now; t++)
        if (f == KB_BF16 || f == KB_FP8)
            append_plain(s, t);
        else
            append_int(s, t);
}

static void reference(const void *args)
{
    const struct kb_append *a = args;
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t i = 0; i < 2 * a->paged.n_kv_heads; i++) {
            struct source from = {.a = a, .seq = s, .head = i / 2, .kv = i % 2};
            from.past = a->past[kb_length_at(&a->paged, s, from.head)];
            from.now = from.past + a->begin[s + 1] - a->begin[s];
            append_head(&from);
        }
}

/* --- shapes --- */

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shapes[][6] = {
        /* kv_heads, head_dim, layout, seqs, new_tokens, past_tokens; the window is 64 */
        {2, 64, KB_NHD, 1, 1, 0},   {2, 128, KB_HND, 3, 1, 31},  {1, 128, KB_NHD, 4, 1, 62},
        {3, 64, KB_HND, 5, 1, 93},  {2, 128, KB_NHD, 1, 33, 0},  {1, 64, KB_HND, 3, 130, 0},
        {2, 64, KB_NHD, 2, 64, 63}, {1, 128, KB_HND, 2, 97, 95}, {1, 256, KB_NHD, 1, 100, 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (uint32_t f = 0; f < KB_N_FORMAT; f++) {
            const uint32_t *x = shapes[i];
            uint32_t page = kb_format_is_kivi((enum kb_format)f) ? 32u << i % 2 : i % 3 ? 16 : 24;
            kb_grid_add(g, (uint32_t[]){f, x[0], x[1], page, x[2], x[3], x[4], x[5]}, 8);
        }
}

static void add(struct kb_grid *g, enum kb_layout layout, uint32_t seqs, uint32_t n_new, uint32_t past)
{
    uint32_t tp = g->model.tensor_parallel ? g->model.tensor_parallel : 1;
    uint32_t heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    for (uint32_t f = 0; f < KB_N_FORMAT; f++) {
        bool kivi = kb_format_is_kivi((enum kb_format)f);
        uint32_t page = kivi ? 32 : 16;
        if (kivi && g->model.head_dim % KIVI_HEAD_DIM) continue;
        kb_grid_add(g, (uint32_t[]){f, heads, g->model.head_dim, page, layout, seqs, n_new, past}, 8);
    }
}

static void grid(struct kb_grid *g)
{
    static const uint32_t seqs[] = {16, 64, 1, 256}, prompts[] = {4096, 512, 16384};
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    bool full = g->suite == KB_SUITE_FULL;
    for (uint32_t i = 0; i < (full ? 4u : 2u); i++) add(g, KB_NHD, seqs[i], 1, 500);
    for (uint32_t i = 0; i < (full ? 3u : 1u); i++) add(g, KB_NHD, 1, g->cpu ? 512 : prompts[i], 0);
    if (!full) return;
    add(g, KB_HND, 64, 1, 500);
    add(g, KB_HND, 1, 4096, 0);
}

const struct kb_kernel kb_case_append = {
    .id = KB_APPEND,
    .name = "kv_append",
    .family = "compress",
    .help = "new keys and values quantised into their pages, one token per sequence or whole prompts",
    .keys = keys,
    .limit = 0,
    .grid = grid,
    .make = make,
    .reference = reference,
};
