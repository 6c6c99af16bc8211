/* The k largest of each row of page scores. */
#include "kernels/case.h"

#include <math.h>
#include <stdlib.h>

enum { SEQS, KV_HEADS, WIDTH, K, TIES, N_KEYS };
static const char *const keys[] = {"seqs", "kv_heads", "width", "k", "ties", NULL};

/* Rows while checking: of full width, shorter than k, empty, and in between. */
static uint32_t row_count(struct kb_case *c, uint32_t row)
{
    uint32_t width = c->shape[WIDTH], k = c->shape[K];
    if (!c->check || row == 0) return width;
    if (row == 1) return k < width ? k : width / 2;
    if (row == 2) return k / 2 < width ? k / 2 : 0;
    return kb_random_below(&c->random, width + 1);
}

/* Ties: few values of both signs, so that the k-th largest is seldom alone. */
static void make_ties(float *score, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) score[i] = rintf(score[i] * 2) / 2;
}

static void make(struct kb_case *c)
{
    const uint32_t *s = c->shape;
    struct kb_topk a = {.n_rows = s[SEQS] * s[KV_HEADS], .width = s[WIDTH], .k = s[K]};
    uint64_t cells = (uint64_t)a.n_rows * a.width;
    float *score = kb_case_buffer(c, KB_IN, KB_FILL_FLOAT, KB_TYPE_FP32, cells * sizeof *score);
    uint32_t *counts = kb_case_buffer(c, KB_IN, KB_FILL_GIVEN, KB_TYPE_U32, a.n_rows * sizeof *counts);
    kb_case_buffer(c, KB_OUT, KB_FILL_POISON, KB_TYPE_U32, (uint64_t)a.n_rows * a.k * 4);
    if (score && s[TIES]) make_ties(score, cells);
    for (uint32_t i = 0; i < a.n_rows; i++) counts[i] = row_count(c, i);
    c->bytes = 4.0 * ((double)cells + a.n_rows + (double)a.n_rows * a.k);
    kb_case_args(c, &a, sizeof a);
}

struct ranked {
    float score;
    uint32_t index;
};

static int descending(const void *x, const void *y)
{
    const struct ranked *a = x, *b = y;
    return a->score != b->score ? (a->score < b->score) - (a->score > b->score)
                                : (a->index > b->index) - (a->index < b->index);
}

static void reference(const void *args)
{
    const struct kb_topk *a = args;
    struct ranked *rank = malloc(a->width * sizeof *rank);
    if (!rank) abort();
    for (uint32_t r = 0; r < a->n_rows; r++) {
        for (uint32_t i = 0; i < a->counts[r]; i++)
            rank[i] = (struct ranked){a->score[(uint64_t)r * a->width + i], i};
        qsort(rank, a->counts[r], sizeof *rank, descending);
        for (uint32_t i = 0; i < a->k; i++)
            a->index[(uint64_t)r * a->k + i] = i < a->counts[r] ? rank[i].index : UINT32_MAX;
    }
    free(rank);
}

/* Every index once, inside the row; as many as there are; and the same scores, whichever of equals was
 * taken. */
static bool row_right(const struct kb_topk *got, const struct kb_topk *want, uint32_t row,
                      struct ranked *chosen)
{
    const uint32_t *index = got->index + (uint64_t)row * got->k,
                   *right = want->index + (uint64_t)row * got->k;
    const float *score = want->score + (uint64_t)row * want->width;
    uint32_t n = 0, count = want->counts[row], due = count < want->k ? count : want->k;
    for (uint32_t i = 0; i < got->k; i++) {
        if (index[i] == UINT32_MAX) continue;
        if (index[i] >= count) return false;
        chosen[n++] = (struct ranked){score[index[i]], index[i]};
    }
    if (n != due) return false;
    qsort(chosen, n, sizeof *chosen, descending);
    for (uint32_t i = 0; i < n; i++) {
        if (i && chosen[i].index == chosen[i - 1].index) return false;
        if (chosen[i].score < score[right[i]]) return false;
    }
    return true;
}

static void compare(const struct kb_case *got, const struct kb_case *want, struct kb_verdict *v)
{
    const struct kb_topk *a = (const void *)got->args.bytes, *b = (const void *)want->args.bytes;
    struct ranked *chosen = malloc(a->k * sizeof *chosen);
    if (!chosen) abort();
    v->limit = 0;
    for (uint32_t r = 0; r < a->n_rows; r++) {
        if (row_right(a, b, r, chosen)) continue;
        if (v->error == 0)
            snprintf(v->text, sizeof v->text, "row %u: not its %u largest", (unsigned)r, (unsigned)a->k);
        v->error += 1;
    }
    free(chosen);
}

static void check_grid(struct kb_grid *g)
{
    static const uint32_t shapes[][N_KEYS] = {
        {2, 2, 100, 32, 0}, {3, 1, 300, 64, 1},   {1, 5, 33, 32, 0},   {1, 3, 1, 1, 0},
        {2, 2, 20, 64, 1},  {1, 2, 1500, 128, 0}, {1, 1, 9000, 32, 1},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) kb_grid_add(g, shapes[i], N_KEYS);
}

static void grid(struct kb_grid *g)
{
    static const uint32_t seqs[] = {8, 1, 32}, pages[] = {1024, 4096, 256, 64};
    if (g->suite == KB_SUITE_CHECK) {
        check_grid(g);
        return;
    }
    bool full = g->suite == KB_SUITE_FULL;
    uint32_t tp = g->model.tensor_parallel, heads = g->model.n_kv_heads > tp ? g->model.n_kv_heads / tp : 1;
    for (uint32_t i = 0; i < (full ? 3 : 2); i++)
        for (uint32_t j = 0; j < (full ? 4 : 2); j++) {
            kb_grid_add(g, (uint32_t[]){seqs[i], heads, pages[j], 32}, 4);
            if (full) kb_grid_add(g, (uint32_t[]){seqs[i], heads, pages[j], 64}, 4);
        }
}

const struct kb_kernel kb_case_topk = {
    .id = KB_TOPK,
    .name = "kv_topk",
    .family = "choose",
    .help = "the k pages of the largest scores, per sequence and KV head",
    .keys = keys,
    .limit = 0, /* rows that are wrong */
    .grid = grid,
    .make = make,
    .reference = reference,
    .compare = compare,
};
