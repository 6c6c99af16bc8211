/* A task is 64 keys of one KV head: they are transposed once, then every block of query rows is multiplied
 * with them, keys in vector lanes, and the weights are added up lane by lane. */
#include "kernels/cpu/cpu.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/tile.h"

enum { MAX_HEAD_DIM = 256 };

struct task {
    uint32_t seq, head, key, n_keys;
};

/* Queries [row][channel], keys [channel][key], scores [row][key]. */
struct room {
    _Alignas(64) float q[KB_TILE * MAX_HEAD_DIM];
    float k[MAX_HEAD_DIM * KB_TILE], score[KB_TILE * KB_TILE];
    float sum[KB_TILE];
    float lse[KB_TILE];    /* of each row, as a power of two */
    uint32_t see[KB_TILE]; /* keys of the tile that each row may see */
};

static void load_keys(const struct kb_attn_score *a, const struct task *t, struct room *w)
{
    uint32_t d = a->paged.head_dim;
    const uint32_t *table = a->pages + kb_table_at(&a->paged, t->seq, t->head, 0);
    memset(w->k, 0, d * KB_TILE * sizeof(float));
    memset(w->sum, 0, sizeof w->sum);
    for (uint32_t i = 0; i < t->n_keys; i++)
        kb_tile_column(kb_tile_row(&a->paged, a->kv, table, (uint32_t[]){0, t->key + i, t->head}), d,
                       1.44269504f / sqrtf((float)d), w->k + i);
}

/* Rows first_row and up, row = query of the window x group + head of the group; rows beyond see nothing. */
static uint32_t load_queries(const struct kb_attn_score *a, const struct task *t, uint32_t first_row,
                             struct room *w)
{
    uint32_t d = a->paged.head_dim, group = a->n_q_heads / a->paged.n_kv_heads;
    uint32_t rows = a->window * group - first_row, n = rows < KB_TILE ? rows : KB_TILE;
    for (uint32_t r = 0; r < n; r++) {
        uint32_t i = (first_row + r) / group, g = (first_row + r) % group;
        uint64_t row = ((uint64_t)t->seq * a->window + i) * a->n_q_heads + t->head * group + g;
        uint32_t end = a->lengths[t->seq] + i + 1 - a->window; /* keys this query sees; key < end here */
        kb_widen_bf16(a->q + row * d, w->q + r * d, d);
        w->lse[r] = a->lse[row] * 1.44269504f;
        w->see[r] = end - t->key < t->n_keys ? end - t->key : t->n_keys;
    }
    uint32_t padded = (n + KB_TILE_ROWS - 1) / KB_TILE_ROWS * KB_TILE_ROWS;
    memset(w->q + n * d, 0, (padded - n) * d * sizeof(float));
    for (uint32_t r = n; r < padded; r++) w->lse[r] = (float)(w->see[r] = 0);
    return padded;
}

static void add_weights(uint32_t n_rows, struct room *w)
{
    float *restrict sum = w->sum, *restrict score = w->score;
    for (uint32_t r = 0; r < n_rows; r++)
        for (uint32_t i = 0; i < KB_TILE; i++) {
            float p = kb_tile_exp2(score[r * KB_TILE + i] - w->lse[r]);
            sum[i] += i < w->see[r] ? p : 0.0f;
        }
}

static void add_up(const struct kb_attn_score *a, const struct task *t, struct room *w)
{
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads, length = a->lengths[t->seq];
    uint32_t first =
        t->key + a->window > length ? t->key + a->window - length : 0; /* query that sees t->key */
    struct kb_tile_product scores = {
        .a = w->q, .b = w->k, .c = w->score, .a_row = a->paged.head_dim, .a_column = 1};
    scores.n = kb_tile_columns(t->n_keys);
    scores.k = a->paged.head_dim;
    load_keys(a, t, w);
    for (uint32_t row = first * group; row < a->window * group; row += KB_TILE) {
        scores.m = load_queries(a, t, row, w);
        memset(w->score, 0, sizeof w->score);
        kb_tile_multiply(&scores);
        add_weights(scores.m, w);
    }
}

KB_CPU_ENTRY(attn_score)
{
    (void)queue;
    const struct kb_attn_score *a = args;
    uint32_t n_tiles = (a->max_tokens + KB_TILE - 1) / KB_TILE;
    if (a->paged.head_dim > MAX_HEAD_DIM || a->paged.head_dim % 16)
        return kb_fail(err, "attention_score: head_dim %u: a multiple of 16 up to %d expected",
                       (unsigned)a->paged.head_dim, MAX_HEAD_DIM);
        /* With a whole window the first keys are seen by the most queries: longest tasks first. */
#pragma omp parallel for collapse(3) schedule(dynamic)
    for (uint32_t i = 0; i < n_tiles; i++)
        for (uint32_t s = 0; s < a->n_seqs; s++)
            for (uint32_t h = 0; h < a->paged.n_kv_heads; h++) {
                struct task t = {.seq = s, .head = h, .key = i * KB_TILE};
                struct room w = {.sum = {0}};
                uint32_t room = a->max_tokens - t.key < KB_TILE ? a->max_tokens - t.key : KB_TILE;
                uint32_t rest = a->lengths[s] > t.key ? a->lengths[s] - t.key : 0;
                t.n_keys = rest < KB_TILE ? rest : KB_TILE;
                if (t.n_keys) add_up(a, &t, &w);
                memcpy(a->score + ((uint64_t)s * a->paged.n_kv_heads + h) * a->max_tokens + t.key, w.sum,
                       room * sizeof(float));
            }
    return true;
}
