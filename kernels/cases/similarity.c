/* FreeKV's check whether the selection made with the last step's queries still serves. */
#include "kernels/case.h"

#include <math.h>

#include "kernels/format.h"

enum { Q_HEADS, KV_HEADS, HEAD_DIM, SEQS, N_KEYS };
static const char *const keys[] = {"q_heads", "kv_heads", "head_dim", "seqs", NULL};

/* How far a cosine may be from tau for the flag to be rounding's choice. */
static const float rounding = 1e-5f;

/* Last step's queries: today's with noise of 0 to 1.5 standard deviations, so that heads fall on both sides. */
static void make_last(struct kb_case *c, const uint16_t *q, uint16_t *last)
{
    const uint32_t *s = c->shape;
    for (uint32_t row = 0; row < s[SEQS] * s[KV_HEADS]; row++) {
        float noise = 1.5f * (float)kb_random_below(&c->random, 1000) / 1000;
        for (uint32_t i = 0; i < s[Q_HEADS] / s[KV_HEADS] * s[HEAD_DIM]; i++, q++, last++)
            *last = kb_bf16_from_float(kb_bf16_to_float(*q) + noise * kb_bf16_to_float(*last));
    }
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_similarity a = {.n_seqs = s[SEQS],
                              .n_q_heads = s[Q_HEADS],
                              .n_kv_heads = s[KV_HEADS],
                              .head_dim = s[HEAD_DIM],
                              .tau = 0.8f};
    uint64_t q_bytes = (uint64_t)s[SEQS] * s[Q_HEADS] * s[HEAD_DIM] * 2;
    uint64_t row_bytes = (uint64_t)s[SEQS] * s[KV_HEADS] * 4;
    uint16_t *q = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, q_bytes);
    uint16_t *last = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, q_bytes);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP32, row_bytes);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_U32, row_bytes);
    uint32_t *any = kb_case_buffer(c, KB_INOUT, KB_FILL_GIVEN, KB_TYPE_U32, sizeof *any);
    *any = 0;
    if (q) make_last(c, q, last);
    c->bytes = 2.0 * (double)(q_bytes + row_bytes) + 4;
    kb_case_args(c, &a, sizeof a);
}

static double cosine_of(const uint16_t *x, const uint16_t *y, uint32_t n)
{
    double xy = 0, xx = 0, yy = 0;
    for (uint32_t i = 0; i < n; i++) {
        double a = kb_bf16_to_float(x[i]), b = kb_bf16_to_float(y[i]);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    return xy / sqrt(xx * yy);
}

static void reference(const void *args)
{
    const struct kb_similarity *a = args;
    uint32_t group = a->n_q_heads / a->n_kv_heads;
    for (uint32_t row = 0; row < a->n_seqs * a->n_kv_heads; row++) {
        double sum = 0;
        for (uint32_t g = 0; g < group; g++) {
            uint64_t at = ((uint64_t)row * group + g) * a->head_dim;
            sum += cosine_of(a->q + at, a->q_last + at, a->head_dim);
        }
        a->cosine[row] = (float)(sum / group);
        a->flag[row] = a->cosine[row] < a->tau;
        *a->any += a->flag[row];
    }
}

static void compare(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v)
{
    const struct kb_similarity *a = (const void *)got->args.bytes, *b = (const void *)want->args.bytes;
    uint32_t n = 0;
    v->limit = got->kernel->limit;
    v->error = kb_buffer_error(&got->buffer[2], &want->buffer[2], v);
    for (uint32_t i = 0; i < a->n_seqs * a->n_kv_heads; i++) {
        n += a->flag[i] == 1;
        if (a->flag[i] == b->flag[i] || (a->flag[i] <= 1 && fabsf(b->cosine[i] - a->tau) < rounding))
            continue;
        snprintf(v->text, sizeof v->text, "flag %u is %u at cosine %g", (unsigned)i, (unsigned)a->flag[i],
                 (double)b->cosine[i]);
        v->error = INFINITY;
    }
    if (*a->any == n) return;
    snprintf(v->text, sizeof v->text, "%u flags counted, %u set", (unsigned)*a->any, (unsigned)n);
    v->error = INFINITY;
}

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][N_KEYS] = {{8, 2, 128, 3},  {7, 1, 64, 5},  {14, 2, 64, 1},
                                             {2, 2, 128, 17}, {8, 1, 256, 2}, {40, 1, 64, 1}};
    static const uint32_t seqs[] = {1, 8, 32};
    const struct kb_model *m = &g->model;
    if (g->suite == KB_SUITE_CHECK) {
        for (size_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], N_KEYS);
        return;
    }
    uint32_t tp = m->tensor_parallel, kv_heads = m->n_kv_heads > tp ? m->n_kv_heads / tp : 1;
    for (uint32_t i = 0; i < (g->suite == KB_SUITE_FULL ? 3 : 2); i++)
        kb_grid_add(g, (uint32_t[]){m->n_q_heads / tp, kv_heads, m->head_dim, seqs[i]}, N_KEYS);
}

const struct kb_kernel kb_case_similarity = {
    .id = KB_SIMILARITY,
    .name = "kv_similarity",
    .family = "choose",
    .help = "cosine of this step's and the last step's queries, mean per KV head, flagged below tau",
    .keys = keys,
    .limit = 1e-5,
    .grid = grid,
    .make = make,
    .reference = reference,
    .compare = compare,
};
