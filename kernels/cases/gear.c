/* GEAR's compression of a chunk of keys or values. Outliers, codes and scales are judged exactly, given the
 * outliers that were chosen (equal magnitudes may be chosen either way); the factors by what they leave of the
 * error, against the best factors of that rank. */
#include "kernels/case.h"

#include <string.h>

#include "kernels/cases/eigen.h"
#include "kernels/format.h"

enum { KV_HEADS, TOKENS, HEAD_DIM, BITS, GROUP, OUTLIERS, RANK, LOOPS };
static const char *const keys[] = {"kv_heads", "tokens", "head_dim", "bits", "group",
                                   "outliers", "rank",   "loops",    NULL};

enum { MAX_RANK = 8, MAX_HEAD_DIM = 256, N_PATTERNS = 3 };

/* --- making --- */

/* Rows are multiples of a few patterns and a little noise, so that their errors are, too: what is left after
 * rank 3 is small, and factors that are wrong show. In some rows two outliers are of equal size. */
static void fill_patterns(struct kb_case *c, uint16_t *x)
{
    uint32_t tokens = c->shape[TOKENS], d = c->shape[HEAD_DIM];
    float pattern[N_PATTERNS][MAX_HEAD_DIM];
    for (uint32_t row = 0; row < c->shape[KV_HEADS] * tokens; row++, x += d) {
        for (uint32_t i = 0; row % tokens == 0 && i < N_PATTERNS * d; i++)
            pattern[i / d][i % d] = kb_random_normal(&c->random);
        float size = 0.5f + 0.01f * (float)kb_random_below(&c->random, 150);
        for (uint32_t i = 0; i < d; i++)
            x[i] = kb_bf16_from_float(size * pattern[row % N_PATTERNS][i] +
                                      0.02f * kb_random_normal(&c->random));
        if (row % 5 == 0) {
            x[0] = kb_bf16_from_float(4 * size);
            x[1] = x[0] | 0x8000u;
        }
    }
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_gear a = {.n_heads = s[KV_HEADS],
                        .tokens = s[TOKENS],
                        .head_dim = s[HEAD_DIM],
                        .bits = s[BITS],
                        .group = s[GROUP],
                        .outliers = s[OUTLIERS],
                        .rank = s[RANK],
                        .loops = s[LOOPS]};
    uint64_t rows = (uint64_t)a.n_heads * a.tokens, d = a.head_dim;
    uint16_t *x = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, rows * d * 2);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BYTES, rows * d * a.bits / 8);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP16, rows * (d / a.group) * 4);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP16, rows * a.outliers * 2);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_BYTES, rows * a.outliers * 2);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP16, rows * a.rank * 2);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_FP16, a.n_heads * a.rank * d * 2);
    kb_case_buffer(c, KB_SCRATCH, KB_FILL_POISON, KB_TYPE_FP32,
                   (uint64_t)a.n_heads * (a.tokens + MAX_RANK * a.loops) * (d + MAX_RANK) * sizeof(float));
    if (c->check) fill_patterns(c, x);
    for (uint32_t i = 0; i + 1 < c->n_buffers; i++) c->bytes += (double)c->buffer[i].bytes;
    c->flops = 4.0 * (double)rows * (double)d * a.rank * a.loops;
    kb_case_args(c, &a, sizeof a);
}

/* --- what is right --- */

static uint64_t row_of(const struct kb_gear *a, uint32_t head, uint32_t token)
{
    return (uint64_t)head * a->tokens + token;
}

static void choose_outliers(const struct kb_gear *a, uint64_t row)
{
    const uint16_t *x = a->x + row * a->head_dim;
    bool taken[MAX_HEAD_DIM] = {false};
    for (uint32_t k = 0; k < a->outliers; k++) {
        uint32_t best = a->head_dim;
        for (uint32_t i = 0; i < a->head_dim; i++)
            if (!taken[i] && (best == a->head_dim || (x[i] & 0x7fffu) > (x[best] & 0x7fffu))) best = i;
        taken[best] = true;
        a->out_index[row * a->outliers + k] = (uint16_t)best;
        a->out_value[row * a->outliers + k] = kb_fp16_from_float(kb_bf16_to_float(x[best]));
    }
}

/* A row without its outliers. */
static void row_rest(const struct kb_gear *a, uint64_t row, float *rest)
{
    for (uint32_t i = 0; i < a->head_dim; i++) rest[i] = kb_bf16_to_float(a->x[row * a->head_dim + i]);
    for (uint32_t k = 0; k < a->outliers; k++) rest[a->out_index[row * a->outliers + k]] = 0;
}

static void quantise_row(const struct kb_gear *a, uint64_t row, uint8_t *codes, uint16_t *pair)
{
    float rest[MAX_HEAD_DIM];
    row_rest(a, row, rest);
    for (uint32_t g = 0; g < a->head_dim; g += a->group, pair += 2) {
        float low = rest[g], high = rest[g];
        for (uint32_t i = g; i < g + a->group; i++) {
            low = rest[i] < low ? rest[i] : low;
            high = rest[i] > high ? rest[i] : high;
        }
        struct kb_affine scale = kb_affine_of(low, high, a->bits);
        pair[0] = scale.scale;
        pair[1] = scale.minimum;
        for (uint32_t i = g; i < g + a->group; i++)
            kb_code_put(codes, a->bits, i, kb_affine_code(scale, rest[i], a->bits));
    }
}

static uint8_t *codes_of(const struct kb_gear *a, uint64_t row)
{
    return a->codes + row * a->head_dim * a->bits / 8;
}

static uint16_t *pairs_of(const struct kb_gear *a, uint64_t row)
{
    return a->scales + row * (a->head_dim / a->group) * 2;
}

/* What outliers and codes leave of a row. */
static void row_error(const struct kb_gear *a, uint64_t row, double *e)
{
    for (uint32_t i = 0; i < a->head_dim; i++) {
        const uint16_t *pair = pairs_of(a, row) + 2 * (i / a->group);
        struct kb_affine scale = {pair[0], pair[1]};
        uint32_t code = kb_code_get(codes_of(a, row), a->bits, i);
        e[i] = (double)kb_bf16_to_float(a->x[row * a->head_dim + i]) - kb_affine_value(scale, code);
    }
    for (uint32_t k = 0; k < a->outliers; k++)
        e[a->out_index[row * a->outliers + k]] -= kb_fp16_to_float(a->out_value[row * a->outliers + k]);
}

static double *head_error(const struct kb_gear *a, uint32_t head)
{
    double *e = kb_doubles((uint64_t)a->tokens * a->head_dim);
    for (uint32_t t = 0; t < a->tokens; t++) row_error(a, row_of(a, head, t), e + (uint64_t)t * a->head_dim);
    return e;
}

static void best_factors(const struct kb_gear *a, uint32_t head)
{
    uint32_t d = a->head_dim;
    double *e = head_error(a, head), *v = kb_doubles((uint64_t)a->rank * d);
    kb_best_basis(e, a->tokens, d, a->rank, v);
    for (uint32_t k = 0; k < a->rank; k++) {
        for (uint32_t i = 0; i < d; i++)
            a->b[((uint64_t)head * a->rank + k) * d + i] = kb_fp16_from_float((float)v[k * d + i]);
        for (uint32_t t = 0; t < a->tokens; t++)
            a->a[row_of(a, head, t) * a->rank + k] =
                kb_fp16_from_float((float)kb_dot(e + (uint64_t)t * d, v + k * d, d));
    }
    free(e);
    free(v);
}

static void reference(const void *args)
{
    const struct kb_gear *a = args;
    for (uint64_t row = 0; row < (uint64_t)a->n_heads * a->tokens; row++) {
        choose_outliers(a, row);
        quantise_row(a, row, codes_of(a, row), pairs_of(a, row));
    }
    for (uint32_t h = 0; h < a->n_heads; h++) best_factors(a, h);
}

/* --- judging --- */

/* Distinct, with their own values, and nothing larger left. */
static bool outliers_right(const struct kb_gear *a, uint64_t row)
{
    const uint16_t *x = a->x + row * a->head_dim;
    bool taken[MAX_HEAD_DIM] = {false};
    uint32_t least = 0x7fff, left = 0;
    for (uint32_t k = 0; k < a->outliers; k++) {
        uint32_t i = a->out_index[row * a->outliers + k];
        if (i >= a->head_dim || taken[i]) return false;
        if (a->out_value[row * a->outliers + k] != kb_fp16_from_float(kb_bf16_to_float(x[i]))) return false;
        taken[i] = true;
        if ((x[i] & 0x7fffu) < least) least = x[i] & 0x7fffu;
    }
    for (uint32_t i = 0; i < a->head_dim; i++)
        if (!taken[i] && (x[i] & 0x7fffu) > left) left = x[i] & 0x7fffu;
    return a->outliers == 0 || left <= least;
}

static bool codes_right(const struct kb_gear *a, uint64_t row)
{
    uint8_t codes[MAX_HEAD_DIM] = {0};
    uint16_t pair[2 * MAX_HEAD_DIM];
    quantise_row(a, row, codes, pair);
    return memcmp(codes, codes_of(a, row), a->head_dim * a->bits / 8) == 0 &&
           memcmp(pair, pairs_of(a, row), a->head_dim / a->group * 4) == 0;
}

/* Norm of what the factors leave of a head's error. */
static double left_over(const struct kb_gear *a, uint32_t head)
{
    double *e = head_error(a, head), sum = 0;
    for (uint32_t t = 0; t < a->tokens; t++)
        for (uint32_t i = 0; i < a->head_dim; i++) {
            double x = e[(uint64_t)t * a->head_dim + i];
            for (uint32_t k = 0; k < a->rank; k++)
                x -= (double)kb_fp16_to_float(a->a[row_of(a, head, t) * a->rank + k]) *
                     kb_fp16_to_float(a->b[((uint64_t)head * a->rank + k) * a->head_dim + i]);
            sum += x * x;
        }
    free(e);
    return sqrt(sum);
}

static void compare(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v)
{
    const struct kb_gear *a = (const void *)got->args.bytes, *best = (const void *)want->args.bytes;
    *v = (struct kb_verdict){.limit = got->kernel->limit};
    for (uint64_t row = 0; row < (uint64_t)a->n_heads * a->tokens; row++) {
        bool chosen = outliers_right(a, row);
        if (chosen && codes_right(a, row)) continue;
        v->error = INFINITY;
        snprintf(v->text, sizeof v->text, "row %llu: %s", (unsigned long long)row,
                 chosen ? "codes or scales are not those of the definition" : "outliers are not the largest");
        return;
    }
    for (uint32_t h = 0; h < a->n_heads; h++) {
        double ratio = left_over(a, h) / left_over(best, h);
        if (!(ratio <= v->error)) v->error = isnan(ratio) ? INFINITY : ratio;
    }
    if (v->error > v->limit)
        snprintf(v->text, sizeof v->text, "the factors leave %.3g times what the best of their rank leave",
                 v->error);
}

/* --- shapes --- */

static void grid(struct kb_grid *g)
{
    static const uint32_t check[][8] = {
        /* many loops: where two directions are nearly alike, few do not come within 5 % of the best */
        {2, 30, 128, 4, 32, 3, 4, 16}, {1, 150, 64, 4, 32, 2, 4, 16}, {1, 70, 64, 2, 32, 1, 3, 24},
        {2, 37, 64, 4, 64, 2, 2, 32},  {1, 9, 128, 2, 128, 0, 8, 32}, {1, 40, 256, 4, 32, 5, 5, 16},
    };
    static const uint32_t tokens[] = {1024, 64, 4096};
    if (g->suite == KB_SUITE_CHECK) {
        for (size_t i = 0; i < sizeof check / sizeof *check; i++) kb_grid_add(g, check[i], 8);
        return;
    }
    uint32_t tp = g->model.tensor_parallel ? g->model.tensor_parallel : 1;
    uint32_t heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    uint32_t d = g->model.head_dim;
    if (d != 64 && d != 128 && d != 256) return; /* no code for others */
    for (uint32_t i = 0; i < (g->suite == KB_SUITE_FULL ? 3u : 2u); i++)
        for (uint32_t bits = 4; bits >= 2; bits -= 2)
            kb_grid_add(
                g, (uint32_t[]){heads, g->cpu ? tokens[i] / 2 : tokens[i], d, bits, 32, d / 50 + 1, 4, 3}, 8);
}

const struct kb_kernel kb_case_gear = {
    .id = KB_GEAR,
    .name = "kv_gear",
    .family = "compress",
    .help = "GEAR: outliers, codes and a low-rank correction of what they lose",
    .keys = keys,
    .limit = 1.05,
    .grid = grid,
    .make = make,
    .reference = reference,
    .compare = compare,
};
