/* H2O's bookkeeping in decode: running scores and the token to evict. */
#include "kernels/case.h"

#include <math.h>

enum { Q_HEADS, KV_HEADS, SEQS, TOKENS, RECENT, RAGGED, N_KEYS };
static const char *const keys[] = {"q_heads", "kv_heads", "seqs", "tokens", "recent", "ragged", NULL};

/* Multiples of 1/64: sums are exact in any order, and the least score is shared by many. */
static void make_coarse(float *x, uint64_t n)
{
    for (uint64_t i = 0; x && i < n; i++) x[i] = rintf(fabsf(x[i]) * 16) / 64;
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_h2o a = {.n_seqs = s[SEQS],
                       .n_q_heads = s[Q_HEADS],
                       .n_kv_heads = s[KV_HEADS],
                       .max_tokens = (s[TOKENS] + 3) / 4 * 4,
                       .recent = s[RECENT]};
    uint64_t row = (uint64_t)s[SEQS] * a.max_tokens, rows = s[SEQS] * s[KV_HEADS];
    float *weight = kb_case_buffer(c, KB_IN, KB_FILL_FLOAT, KB_TYPE_FP32, row * s[Q_HEADS] * 4);
    uint32_t *lengths = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, s[SEQS] * sizeof *lengths);
    float *score = kb_case_buffer(c, KB_INOUT, KB_FILL_FLOAT, KB_TYPE_FP32, row * s[KV_HEADS] * 4);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_U32, rows * 4);
    make_coarse(weight, row * s[Q_HEADS]);
    make_coarse(score, row * s[KV_HEADS]);
    double tokens = 0;
    for (uint32_t i = 0; i < s[SEQS]; i++) {
        lengths[i] = s[RAGGED] && i ? 1 + kb_random_below(&c->random, s[TOKENS]) : s[TOKENS];
        tokens += lengths[i];
    }
    c->bytes = tokens * 4 * (s[Q_HEADS] + 2.0 * s[KV_HEADS]) + 4.0 * (double)(rows + s[SEQS]);
    kb_case_args(c, &a, sizeof a);
}

static void update_row(const struct kb_h2o *a, uint32_t seq, uint32_t head)
{
    uint32_t group = a->n_q_heads / a->n_kv_heads, length = a->lengths[seq], victim = UINT32_MAX;
    uint64_t row = (uint64_t)seq * a->n_kv_heads + head;
    float *score = a->score + row * a->max_tokens;
    for (uint32_t t = 0; t < length; t++) {
        double sum = score[t];
        for (uint32_t g = 0; g < group; g++) sum += a->weight[(row * group + g) * a->max_tokens + t];
        score[t] = (float)sum;
        if (t + a->recent < length && (victim == UINT32_MAX || score[t] < score[victim])) victim = t;
    }
    a->victim[row] = victim;
}

static void reference(const void *args)
{
    const struct kb_h2o *a = args;
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < a->n_kv_heads; h++) update_row(a, s, h);
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][N_KEYS] = {{8, 2, 3, 70, 16, 1}, {7, 1, 3, 129, 1, 1},
                                             {2, 2, 1, 16, 16, 0}, {14, 2, 2, 17, 16, 0},
                                             {8, 1, 2, 5, 0, 1},   {4, 1, 1, 4500, 7, 0}};
    static const uint32_t seqs[] = {8, 1, 32}, tokens[] = {2048, 512, 8192};
    const struct kb_model *m = &g->model;
    if (g->suite == KB_SUITE_CHECK) {
        for (size_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], N_KEYS);
        return;
    }
    bool full = g->suite == KB_SUITE_FULL;
    uint32_t tp = m->tensor_parallel, kv_heads = m->n_kv_heads > tp ? m->n_kv_heads / tp : 1;
    for (uint32_t i = 0; i < (full ? 3 : 2); i++)
        for (uint32_t j = 0; j < (full ? 3 : 2); j++)
            kb_grid_add(g, (uint32_t[]){m->n_q_heads / tp, kv_heads, seqs[i], tokens[j], tokens[j] / 2},
                        N_KEYS - 1);
}

const struct kb_kernel kb_case_h2o = {
    .id = KB_H2O,
    .name = "kv_h2o",
    .family = "choose",
    .help = "adds a step's attention weights to the running scores and finds the token to evict",
    .keys = keys,
    .limit = 1e-5,
    .grid = grid,
    .make = make,
    .reference = reference,
};
