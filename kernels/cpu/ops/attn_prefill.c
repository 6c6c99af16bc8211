/* Blocked attention with the running softmax of Milakov and Gimelshein (2018). A task is up to 64 rows of one
 * KV head: the query heads that share it, token by token, so that each tile of keys and values is expanded to
 * fp32 once for all of them. Scores are kept keys by rows: rows lie in vector lanes. */
#include "kernels/cpu/cpu.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/tile.h"

enum { MAX_HEAD_DIM = 256 };

struct task {
    uint32_t seq, head;         /* KV head */
    uint32_t first_row, n_rows; /* of token x group + head of the group */
    uint32_t columns;           /* n_rows in whole vectors */
};

/* [channel][row] for queries and sums, [key][row] for scores, [key][channel] for keys and values. */
struct room {
    _Alignas(64) float q[MAX_HEAD_DIM * KB_TILE];
    float out[MAX_HEAD_DIM * KB_TILE], score[KB_TILE * KB_TILE];
    float k[KB_TILE * MAX_HEAD_DIM], v[KB_TILE * MAX_HEAD_DIM];
    float top[KB_TILE], sum[KB_TILE];
    uint32_t position[KB_TILE];
};

static uint64_t query_row(const struct kb_attn_prefill *a, const struct task *t, uint32_t row)
{
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads, r = t->first_row + row;
    return (uint64_t)(a->q_begin[t->seq] + r / group) * a->n_q_heads + t->head * group + r % group;
}

static void load_queries(const struct kb_attn_prefill *a, const struct task *t, struct room *w)
{
    uint32_t d = a->paged.head_dim, group = a->n_q_heads / a->paged.n_kv_heads;
    float scale = 1.44269504f / sqrtf((float)d); /* log2 e: powers of two from here on */
    memset(w->q, 0, d * KB_TILE * sizeof(float));
    memset(w->out, 0, d * KB_TILE * sizeof(float));
    for (uint32_t r = 0; r < KB_TILE; r++) {
        uint32_t last = r < t->n_rows ? r : t->n_rows - 1;
        w->position[r] = a->past[t->seq] + (t->first_row + last) / group;
        w->top[r] = -INFINITY;
        w->sum[r] = 0;
        if (r < t->n_rows) kb_tile_column(a->q + query_row(a, t, r) * d, d, scale, w->q + r);
    }
}

/* Keys and values from `key` on; zeros beyond the last one that any row may see. */
static void load_tile(const struct kb_attn_prefill *a, const struct task *t, uint32_t key, struct room *w)
{
    uint32_t d = a->paged.head_dim, end = w->position[KB_TILE - 1] + 1;
    uint32_t n = end - key < KB_TILE ? end - key : KB_TILE;
    const uint32_t *table = a->pages + kb_table_at(&a->paged, t->seq, t->head, 0);
    for (uint32_t i = 0; i < n; i++) {
        kb_widen_bf16(kb_tile_row(&a->paged, a->kv, table, (uint32_t[]){0, key + i, t->head}), w->k + i * d,
                      d);
        kb_widen_bf16(kb_tile_row(&a->paged, a->kv, table, (uint32_t[]){1, key + i, t->head}), w->v + i * d,
                      d);
    }
    memset(w->k + n * d, 0, (KB_TILE - n) * d * sizeof(float));
    memset(w->v + n * d, 0, (KB_TILE - n) * d * sizeof(float));
}

/* Rows see no key after their own position. */
static void mask(uint32_t key, struct room *w)
{
    float *restrict score = w->score;
    const uint32_t *restrict position = w->position;
    for (uint32_t i = 0; i < KB_TILE; i++)
        for (uint32_t r = 0; r < KB_TILE; r++) {
            float x = score[i * KB_TILE + r];
            score[i * KB_TILE + r] = key + i > position[r] ? -INFINITY : x;
        }
}

/* Scores of one vector of rows to weights relative to the largest so far; what was summed before shrinks to
 * the new scale. */
static void soften(uint32_t head_dim, uint32_t first, struct room *w)
{
    float *restrict score = w->score + first, *restrict out = w->out + first;
    float top[KB_LANES], sum[KB_LANES], shrink[KB_LANES];
    for (int l = 0; l < KB_LANES; l++) top[l] = w->top[first + l];
    for (uint32_t i = 0; i < KB_TILE; i++)
        for (int l = 0; l < KB_LANES; l++)
            top[l] = score[i * KB_TILE + (uint32_t)l] > top[l] ? score[i * KB_TILE + (uint32_t)l] : top[l];
    for (int l = 0; l < KB_LANES; l++) shrink[l] = kb_tile_exp2(w->top[first + l] - top[l]);
    for (int l = 0; l < KB_LANES; l++) sum[l] = w->sum[first + l] * shrink[l];
    for (uint32_t i = 0; i < KB_TILE; i++)
        for (int l = 0; l < KB_LANES; l++) {
            float p = kb_tile_exp2(score[i * KB_TILE + (uint32_t)l] - top[l]);
            score[i * KB_TILE + (uint32_t)l] = p;
            sum[l] += p;
        }
    for (int l = 0; l < KB_LANES; l++) w->top[first + l] = top[l];
    for (int l = 0; l < KB_LANES; l++) w->sum[first + l] = sum[l];
    for (uint32_t c = 0; c < head_dim; c++)
        for (int l = 0; l < KB_LANES; l++) out[c * KB_TILE + (uint32_t)l] *= shrink[l];
}

static void store(const struct kb_attn_prefill *a, const struct task *t, const struct room *w)
{
    uint32_t d = a->paged.head_dim;
    for (uint32_t r = 0; r < t->n_rows; r++) {
        uint64_t row = query_row(a, t, r);
        float share = 1 / w->sum[r];
        for (uint32_t c = 0; c < d; c++) a->out[row * d + c] = kb_round_bf16(w->out[c * KB_TILE + r] * share);
        if (a->lse) a->lse[row] = 0.693147181f * w->top[r] + logf(w->sum[r]);
    }
}

static void attend(const struct kb_attn_prefill *a, const struct task *t)
{
    struct room w;
    uint32_t d = a->paged.head_dim;
    struct kb_tile_product scores = {.a = w.k, .b = w.q, .c = w.score, .a_row = d, .a_column = 1};
    struct kb_tile_product values = {.a = w.v, .b = w.score, .c = w.out, .a_row = 1, .a_column = d};
    scores.m = values.k = KB_TILE;
    scores.k = values.m = d;
    scores.n = values.n = t->columns;
    load_queries(a, t, &w);
    for (uint32_t key = 0; key <= w.position[KB_TILE - 1]; key += KB_TILE) {
        load_tile(a, t, key, &w);
        memset(w.score, 0, sizeof w.score);
        kb_tile_multiply(&scores);
        if (key + KB_TILE - 1 > w.position[0]) mask(key, &w);
        for (uint32_t first = 0; first < t->columns; first += KB_LANES) soften(d, first, &w);
        kb_tile_multiply(&values);
    }
    store(a, t, &w);
}

KB_CPU_ENTRY(attn_prefill)
{
    (void)queue;
    const struct kb_attn_prefill *a = args;
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads;
    uint32_t n_blocks = (a->max_new * group + KB_TILE - 1) / KB_TILE;
    if (a->paged.head_dim > MAX_HEAD_DIM || a->paged.head_dim % 16)
        return kb_fail(err, "attention_prefill: head_dim %u: a multiple of 16 up to %d expected",
                       (unsigned)a->paged.head_dim, MAX_HEAD_DIM);
        /* Later blocks see more keys: the longest tasks go first. */
#pragma omp parallel for collapse(3) schedule(dynamic)
    for (uint32_t i = 0; i < n_blocks; i++)
        for (uint32_t s = 0; s < a->n_seqs; s++)
            for (uint32_t h = 0; h < a->paged.n_kv_heads; h++) {
                uint32_t rows = (a->q_begin[s + 1] - a->q_begin[s]) * group;
                struct task t = {.seq = s, .head = h, .first_row = (n_blocks - 1 - i) * KB_TILE};
                if (t.first_row >= rows) continue;
                t.n_rows = rows - t.first_row < KB_TILE ? rows - t.first_row : KB_TILE;
                t.columns = kb_tile_columns(t.n_rows);
                attend(a, &t);
            }
    return true;
}
