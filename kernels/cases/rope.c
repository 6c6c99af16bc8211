/* Rotary position embedding of queries and keys, in place. */
#include "kernels/case.h"

#include <math.h>

#include "kernels/format.h"

enum { Q_HEADS, KV_HEADS, HEAD_DIM, TOKENS };
static const char *const keys[] = {"q_heads", "kv_heads", "head_dim", "tokens", NULL};

/* Positions as a batch has them: a run of a prompt's, then one each of sequences that decode. */
static void fill_positions(struct kb_case *c, uint32_t *pos, uint32_t n)
{
    uint32_t run = n / 2;
    for (uint32_t i = 0; i < n; i++) pos[i] = i < run ? i : kb_random_below(&c->random, 131072);
}

static void make(struct kb_case *c)
{
    struct kb_rope a = {.n_q_heads = c->shape[Q_HEADS],
                        .n_kv_heads = c->shape[KV_HEADS],
                        .head_dim = c->shape[HEAD_DIM],
                        .n_tokens = c->shape[TOKENS],
                        .theta = 500000};
    uint64_t head = 2ull * a.n_tokens * a.head_dim;
    kb_case_buffer(c, KB_INOUT, KB_FILL_NORMAL, KB_TYPE_BF16, head * (a.n_q_heads + 2 * a.n_kv_heads));
    uint32_t *pos = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, sizeof *pos * a.n_tokens);
    fill_positions(c, pos, a.n_tokens);
    c->bytes = (double)(2 * head * (a.n_q_heads + a.n_kv_heads) + sizeof *pos * a.n_tokens);
    kb_case_args(c, &a, sizeof a);
}

static void rotate(const struct kb_rope *a, uint16_t *head, uint32_t pos)
{
    uint32_t half = a->head_dim / 2;
    for (uint32_t i = 0; i < half; i++) {
        double angle = pos * pow(a->theta, -2.0 * i / a->head_dim), c = cos(angle), s = sin(angle);
        double x = kb_bf16_to_float(head[i]), y = kb_bf16_to_float(head[i + half]);
        head[i] = kb_bf16_from_float((float)(x * c - y * s));
        head[i + half] = kb_bf16_from_float((float)(y * c + x * s));
    }
}

static void reference(const void *args)
{
    const struct kb_rope *a = args;
    uint64_t row = (uint64_t)(a->n_q_heads + 2 * a->n_kv_heads) * a->head_dim;
    for (uint64_t t = 0; t < a->n_tokens; t++)
        for (uint32_t h = 0; h < a->n_q_heads + a->n_kv_heads; h++)
            rotate(a, a->qkv + t * row + h * a->head_dim, a->pos[t]);
}

static uint32_t share(uint32_t whole, uint32_t parts)
{
    return parts && whole >= parts ? whole / parts : 1;
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][4] = {{1, 1, 16, 1},  {4, 1, 64, 3},   {7, 1, 128, 2}, {8, 8, 64, 5},
                                        {9, 3, 64, 17}, {32, 8, 128, 2}, {3, 2, 96, 4},  {2, 1, 256, 3}};
    static const uint32_t tokens[] = {1, 16, 64, 256, 4, 1024, 2, 8, 32, 128, 512, 2048, 4096, 8192};
    const struct kb_model *m = &g->model;
    uint32_t n = g->suite == KB_SUITE_QUICK ? 6 : sizeof tokens / sizeof *tokens,
             tp = m->tensor_parallel ? m->tensor_parallel : 1;
    if (g->suite == KB_SUITE_CHECK)
        for (uint32_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], 4);
    else
        for (uint32_t i = 0; i < n; i++)
            kb_grid_add(
                g, (uint32_t[]){share(m->n_q_heads, tp), share(m->n_kv_heads, tp), m->head_dim, tokens[i]},
                4);
}

const struct kb_kernel kb_case_rope = {.id = KB_ROPE,
                                       .name = "rope",
                                       .family = "small",
                                       .help = "rotates queries and keys by their positions",
                                       .keys = keys,
                                       .limit = 1e-3,
                                       .grid = grid,
                                       .make = make,
                                       .reference = reference};
