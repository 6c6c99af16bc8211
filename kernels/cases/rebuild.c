/* Keys of chosen rows again from their low-rank factors, turned to their positions. */
#include "kernels/case.h"

#include <math.h>

#include "kernels/format.h"

enum { TOKENS, RANK, KV_HEADS, HEAD_DIM, ROWS };
static const char *const keys[] = {"tokens", "rank", "kv_heads", "head_dim", "rows", NULL};

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_rebuild a = {.tokens = s[TOKENS],
                           .rank = s[RANK],
                           .n_kv_heads = s[KV_HEADS],
                           .head_dim = s[HEAD_DIM],
                           .n_rows = s[ROWS],
                           .theta = 500000};
    uint64_t n_rows = (uint64_t)a.n_kv_heads * a.n_rows,
             b_bytes = (uint64_t)a.rank * a.n_kv_heads * a.head_dim * 2;
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, (uint64_t)a.tokens * a.rank * 2);
    kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, b_bytes);
    uint32_t *rows = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, n_rows * sizeof *rows);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, n_rows * a.head_dim * 2);
    for (uint64_t i = 0; i < n_rows; i++) rows[i] = kb_random_below(&c->random, a.tokens);
    c->bytes = (double)b_bytes + (double)n_rows * (2.0 * a.rank + 2.0 * a.head_dim + sizeof *rows);
    c->flops = 2.0 * (double)n_rows * a.rank * a.head_dim;
    kb_case_args(c, &a, sizeof a);
}

static double key_value(const struct kb_rebuild *a, uint32_t head, uint32_t row, uint32_t channel)
{
    const uint16_t *b = a->b + (uint64_t)head * a->head_dim + channel;
    double sum = 0;
    for (uint32_t k = 0; k < a->rank; k++)
        sum += (double)kb_bf16_to_float(a->a[(uint64_t)row * a->rank + k]) *
               kb_bf16_to_float(b[(uint64_t)k * a->n_kv_heads * a->head_dim]);
    return sum;
}

static void reference(const void *args)
{
    const struct kb_rebuild *a = args;
    uint32_t half = a->head_dim / 2;
    for (uint64_t i = 0; i < (uint64_t)a->n_kv_heads * a->n_rows; i++)
        for (uint32_t c = 0; c < half; c++) {
            uint32_t head = (uint32_t)(i / a->n_rows), row = a->rows[i];
            double angle = row * pow(a->theta, -2.0 * c / a->head_dim);
            double x = key_value(a, head, row, c), y = key_value(a, head, row, c + half);
            a->out[i * a->head_dim + c] = kb_bf16_from_float((float)(x * cos(angle) - y * sin(angle)));
            a->out[i * a->head_dim + c + half] = kb_bf16_from_float((float)(y * cos(angle) + x * sin(angle)));
        }
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][5] = {{100, 16, 2, 64, 65},
                                        {131072, 24, 1, 128, 7},
                                        {4000, 160, 3, 128, 64},
                                        {50, 8, 1, 256, 1},
                                        {900, 40, 2, 192, 70}};
    if (g->suite == KB_SUITE_CHECK) {
        for (size_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], 5);
        return;
    }
    uint32_t tp = g->model.tensor_parallel ? g->model.tensor_parallel : 1;
    uint32_t heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    uint32_t width = heads * g->model.head_dim, rank = width / 2 < 160 ? width / 16 * 8 : 160;
    if (g->model.head_dim % 64) return; /* no code for others */
    uint32_t tokens = g->cpu ? 1024 : g->suite == KB_SUITE_FULL ? 65536 : 16384;
    for (uint32_t rows = g->cpu ? 256 : 2048; rows >= 256; rows /= 8)
        kb_grid_add(g, (uint32_t[]){tokens, rank, heads, g->model.head_dim, rows}, 5);
}

const struct kb_kernel kb_case_rebuild = {
    .id = KB_REBUILD,
    .name = "kv_rebuild",
    .family = "compress",
    .help = "keys of chosen rows from their low-rank factors, with RoPE",
    .keys = keys,
    .limit = 1e-3, /* bf16 that may differ by a rounding */
    .grid = grid,
    .make = make,
    .reference = reference,
};
