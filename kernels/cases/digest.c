/* Page digests: what is kept of a page's keys to judge the page by. */
#include "kernels/case.h"

#include <math.h>

#include "kernels/format.h"

enum { DIGEST, LAYOUT, KV_HEADS, HEAD_DIM, PAGE_TOKENS, PAGES };
static const char *const keys[] = {"digest", "layout", "kv_heads", "head_dim", "page_tokens", "pages", NULL};

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    uint32_t spare = c->check ? 2 : 0; /* pages that nobody asked for */
    struct kb_digest a = {.n_list = s[PAGES], .kind = (enum kb_digest_kind)s[DIGEST]};
    a.paged = (struct kb_paged){.format = KB_BF16,
                                .layout = (enum kb_layout)s[LAYOUT],
                                .page_tokens = s[PAGE_TOKENS],
                                .n_pages = s[PAGES] + spare,
                                .n_kv_heads = s[KV_HEADS],
                                .head_dim = s[HEAD_DIM]};
    uint64_t row_bytes = (uint64_t)s[KV_HEADS] * s[HEAD_DIM] * 2;
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, kb_pool_bytes(&a.paged));
    uint32_t *list = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, a.n_list * sizeof *list);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, a.paged.n_pages * 2 * row_bytes);
    for (uint32_t i = 0; i < a.n_list; i++) list[i] = i + spare / 2;
    kb_random_shuffle(&c->random, list, a.n_list);
    c->bytes = (double)a.n_list * ((s[PAGE_TOKENS] + 2.0) * (double)row_bytes + sizeof *list);
    kb_case_args(c, &a, sizeof a);
}

static double key_at(const struct kb_digest *a, uint32_t page, uint32_t token, uint32_t head,
                     uint32_t channel)
{
    const uint16_t *kv = a->kv;
    return kb_bf16_to_float(kv[kb_row(&a->paged, page, 0, token, head) * a->paged.head_dim + channel]);
}

static void digest_channel(const struct kb_digest *a, uint32_t page, uint32_t head, uint32_t channel)
{
    uint32_t n = a->paged.page_tokens, d = a->paged.head_dim;
    double low = INFINITY, high = -INFINITY, sum = 0, deviation = 0;
    for (uint32_t t = 0; t < n; t++) {
        double x = key_at(a, page, t, head, channel);
        low = fmin(low, x);
        high = fmax(high, x);
        sum += x;
    }
    for (uint32_t t = 0; t < n; t++) deviation += fabs(key_at(a, page, t, head, channel) - sum / n);
    uint16_t *out = a->digest + ((uint64_t)page * a->paged.n_kv_heads + head) * 2 * d + channel;
    bool minmax = a->kind == KB_DIGEST_MINMAX;
    out[0] = kb_bf16_from_float((float)(minmax ? low : sum / n));
    out[d] = kb_bf16_from_float((float)(minmax ? high : deviation / n));
}

static void reference(const void *args)
{
    const struct kb_digest *a = args;
    for (uint32_t i = 0; i < a->n_list; i++)
        for (uint32_t h = 0; h < a->paged.n_kv_heads; h++)
            for (uint32_t c = 0; c < a->paged.head_dim; c++) digest_channel(a, a->page_list[i], h, c);
}

static void add(struct kb_grid *g, enum kb_digest_kind kind, enum kb_layout layout, uint32_t pages)
{
    uint32_t tp = g->model.tensor_parallel, heads = g->model.n_kv_heads;
    kb_grid_add(g, (uint32_t[]){kind, layout, heads > tp ? heads / tp : 1, g->model.head_dim, 32, pages}, 6);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shapes[][6] = {
        {KB_DIGEST_MINMAX, KB_NHD, 2, 128, 32, 3}, {KB_DIGEST_CENTRE, KB_HND, 2, 128, 32, 3},
        {KB_DIGEST_MINMAX, KB_HND, 3, 64, 16, 5},  {KB_DIGEST_CENTRE, KB_NHD, 3, 64, 16, 5},
        {KB_DIGEST_MINMAX, KB_NHD, 1, 256, 64, 1}, {KB_DIGEST_CENTRE, KB_HND, 1, 128, 64, 2},
        {KB_DIGEST_CENTRE, KB_NHD, 1, 128, 7, 2},  {KB_DIGEST_MINMAX, KB_HND, 1, 64, 1, 2},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) kb_grid_add(g, shapes[i], 6);
}

static void grid(struct kb_grid *g)
{
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    uint32_t largest = g->cpu ? 1024 : g->suite == KB_SUITE_QUICK ? 4096 : 8192;
    for (uint32_t pages = largest; pages >= 64 && (g->suite == KB_SUITE_FULL || pages == largest); pages /= 8)
        for (uint32_t layout = KB_NHD; layout <= KB_HND; layout++) {
            add(g, KB_DIGEST_MINMAX, (enum kb_layout)layout, pages);
            add(g, KB_DIGEST_CENTRE, (enum kb_layout)layout, pages);
        }
}

const struct kb_kernel kb_case_digest = {
    .id = KB_DIGEST,
    .name = "kv_digest",
    .family = "compress",
    .help = "per page and KV head: minimum and maximum, or centre and deviation, of each key channel",
    .keys = keys,
    .limit = 1e-3, /* bf16 that may differ by a rounding, not by a token */
    .grid = grid,
    .make = make,
    .reference = reference,
};
