/* ShadowKV's factors of a prompt's keys, judged by what they leave of the keys, against the best factors of that
 * rank in the same bf16. */
#include "kernels/case.h"

#include <math.h>

#include "kernels/cases/eigen.h"
#include "kernels/format.h"

enum { TOKENS, WIDTH, RANK, LOOPS };
static const char *const keys[] = {"tokens", "width", "rank", "loops", NULL};

/* --- making --- */

/* Keys before RoPE: directions of falling weight, from 20 at the first to 1 at the rank and on below it, and a
 * little noise that is in no direction. */
static void fill_keys(struct kb_case *c, uint16_t *x)
{
    uint32_t tokens = c->shape[TOKENS], width = c->shape[WIDTH], rank = c->shape[RANK];
    uint32_t n = 2 * rank < width ? 2 * rank : width;
    double *direction = kb_doubles((uint64_t)n * width), *row = kb_doubles(width);
    for (uint64_t i = 0; i < (uint64_t)n * width; i++) direction[i] = (double)kb_random_normal(&c->random);
    for (uint32_t t = 0; t < tokens; t++) {
        for (uint32_t i = 0; i < width; i++) row[i] = 0.01 * (double)kb_random_normal(&c->random);
        for (uint32_t k = 0; k < n; k++) {
            double weight = 0.1 * exp(-3.0 * k / rank) * (double)kb_random_normal(&c->random);
            for (uint32_t i = 0; i < width; i++) row[i] += weight * direction[(uint64_t)k * width + i];
        }
        for (uint32_t i = 0; i < width; i++) x[(uint64_t)t * width + i] = kb_bf16_from_float((float)row[i]);
    }
    free(direction);
    free(row);
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_lowrank a = {.tokens = s[TOKENS], .width = s[WIDTH], .rank = s[RANK], .loops = s[LOOPS]};
    uint64_t x_bytes = (uint64_t)a.tokens * a.width * 2,
             factor_bytes = (uint64_t)(a.tokens + a.width) * a.rank * 2;
    uint16_t *x = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, x_bytes);
    kb_case_buffer(c, KB_IN, KB_FILL_FLOAT, KB_TYPE_FP32, (uint64_t)a.width * a.rank * sizeof(float));
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, (uint64_t)a.tokens * a.rank * 2);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BF16, (uint64_t)a.width * a.rank * 2);
    kb_case_buffer(c, KB_SCRATCH, KB_FILL_POISON, KB_TYPE_FP32,
                   2 * (uint64_t)(a.width + a.rank) * a.rank * sizeof(float));
    if (c->check) fill_keys(c, x);
    c->bytes = (double)x_bytes + (double)factor_bytes;
    c->flops = 2.0 * a.tokens * a.width * a.rank * (2.0 * a.loops + 1);
    kb_case_args(c, &a, sizeof a);
}

/* --- what is right --- */

static double *widen(const struct kb_lowrank *a)
{
    double *x = kb_doubles((uint64_t)a->tokens * a->width);
    for (uint64_t i = 0; i < (uint64_t)a->tokens * a->width; i++) x[i] = kb_bf16_to_float(a->x[i]);
    return x;
}

static void reference(const void *args)
{
    const struct kb_lowrank *a = args;
    double *x = widen(a), *v = kb_doubles((uint64_t)a->rank * a->width);
    kb_best_basis(x, a->tokens, a->width, a->rank, v);
    for (uint64_t i = 0; i < (uint64_t)a->rank * a->width; i++) a->b[i] = kb_bf16_from_float((float)v[i]);
    for (uint32_t t = 0; t < a->tokens; t++)
        for (uint32_t k = 0; k < a->rank; k++) {
            double dot = kb_dot(x + (uint64_t)t * a->width, v + (uint64_t)k * a->width, a->width);
            a->a[(uint64_t)t * a->rank + k] = kb_bf16_from_float((float)dot);
        }
    free(x);
    free(v);
}

/* Norm of what the factors leave of x. */
static double left_over(const struct kb_lowrank *a)
{
    double *x = widen(a), sum;
    for (uint32_t t = 0; t < a->tokens; t++)
        for (uint32_t k = 0; k < a->rank; k++) {
            double weight = kb_bf16_to_float(a->a[(uint64_t)t * a->rank + k]);
            for (uint32_t i = 0; i < a->width; i++)
                x[(uint64_t)t * a->width + i] -= weight * kb_bf16_to_float(a->b[(uint64_t)k * a->width + i]);
        }
    sum = kb_dot(x, x, (uint64_t)a->tokens * a->width);
    free(x);
    return sqrt(sum);
}

static void compare(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v)
{
    double ratio = left_over((const void *)got->args.bytes) / left_over((const void *)want->args.bytes);
    *v = (struct kb_verdict){.error = isnan(ratio) ? INFINITY : ratio, .limit = got->kernel->limit};
    if (v->error > v->limit)
        snprintf(v->text, sizeof v->text, "the factors leave %.3g times what the best of their rank leave",
                 v->error);
}

/* --- shapes --- */

static void grid(struct kb_grid *g)
{
    /* many loops: few do not come within 5 % of the best of every input */
    static const uint32_t check[][4] = {
        {200, 64, 16, 8}, {530, 40, 16, 8}, {150, 136, 32, 6}, {90, 104, 72, 10}, {40, 128, 8, 24}};
    static const uint32_t tokens[] = {4096, 16384, 65536};
    if (g->suite == KB_SUITE_CHECK) {
        for (size_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], 4);
        return;
    }
    uint32_t tp = g->model.tensor_parallel ? g->model.tensor_parallel : 1;
    uint32_t heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    uint32_t width = heads * g->model.head_dim, rank = width / 2 < 160 ? width / 16 * 8 : 160;
    for (uint32_t i = 0; i < (g->suite == KB_SUITE_FULL ? 3u : g->cpu ? 1u : 2u); i++)
        kb_grid_add(g, (uint32_t[]){g->cpu ? 1024 : tokens[i], width, rank, 2}, 4);
}

const struct kb_kernel kb_case_lowrank = {
    .id = KB_LOWRANK,
    .name = "kv_lowrank",
    .family = "compress",
    .help = "a prompt's keys before RoPE as low-rank factors, by randomised subspace iteration",
    .keys = keys,
    .limit = 1.05,
    .grid = grid,
    .make = make,
    .reference = reference,
    .compare = compare,
};
