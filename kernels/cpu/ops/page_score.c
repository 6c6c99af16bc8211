#include "kernels/cpu/cpu.h"

#include <math.h>

#include "kernels/cpu/tile.h"

/* A page's score is one product of its digest (two vectors) with the query folded the same way:
 *   minmax: max(q low, q high) = min(q, 0) low + max(q, 0) high      centre: q centre + |q| deviation */
enum { MOST_CHANNELS = 256, MOST_GROUP = 32, PAGES_A_TASK = 128, AHEAD = 4 };

struct query {
    float folded[MOST_GROUP][2 * MOST_CHANNELS];
    uint32_t group, n; /* n: channels of a folded query, 2 head_dim */
};

static void fold(const struct kb_page_score *a, uint32_t row, struct query *q)
{
    uint32_t d = a->paged.head_dim;
    q->group = a->n_q_heads / a->paged.n_kv_heads;
    q->n = 2 * d;
    for (uint32_t g = 0; g < q->group; g++)
        for (uint32_t c = 0; c < d; c++) {
            float x = kb_bf16_to_float(a->q[((uint64_t)row * q->group + g) * d + c]);
            bool minmax = a->kind == KB_DIGEST_MINMAX;
            q->folded[g][c] = minmax ? fminf(x, 0) : x;
            q->folded[g][d + c] = minmax ? fmaxf(x, 0) : fabsf(x);
        }
}

static void score_page(const struct query *q, const uint16_t *digest, float *score)
{
    float x[2 * MOST_CHANNELS];
    for (uint32_t c = 0; c < q->n; c++) x[c] = kb_bf16_to_float(digest[c]);
    for (uint32_t g = 0; g < q->group; g++) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (uint32_t c = 0; c < q->n; c++) sum += x[c] * q->folded[g][c];
        score[g] = sum;
    }
}

static float pool(enum kb_pool how, const float *score, uint32_t group)
{
    float most = score[0], sum = score[0];
    for (uint32_t g = 1; g < group; g++) {
        most = fmaxf(most, score[g]);
        sum += score[g];
    }
    return how == KB_POOL_MAX_SCORE ? most : sum / (float)group;
}

static const uint16_t *digest_of(const struct kb_page_score *a, uint32_t page, uint32_t head)
{
    return a->digest + ((uint64_t)page * a->paged.n_kv_heads + head) * 2 * a->paged.head_dim;
}

/* Pages lie anywhere: what comes AHEAD pages later is asked for now. */
static void fetch(const uint16_t *digest, uint32_t n)
{
    for (uint32_t c = 0; c < n; c += 32) __builtin_prefetch(digest + c);
}

/* One task: some pages of one KV head of one sequence. Softmax needs all pages first: scores wait in
 * scratch. */
static void score_pages(const struct kb_page_score *a, uint32_t row, uint32_t first)
{
    const struct kb_paged *p = &a->paged;
    uint32_t seq = row / p->n_kv_heads, head = row % p->n_kv_heads;
    uint32_t count = a->page_counts[kb_length_at(p, seq, head)];
    uint32_t last = first + PAGES_A_TASK < count ? first + PAGES_A_TASK : count;
    const uint32_t *pages = a->pages + kb_table_at(p, seq, head, 0);
    struct query q;
    float score[MOST_GROUP];
    if (first >= count) return;
    fold(a, row, &q);
    for (uint32_t i = first; i < last; i++) {
        if (i + AHEAD < count) fetch(digest_of(a, pages[i + AHEAD], head), q.n);
        score_page(&q, digest_of(a, pages[i], head), score);
        if (a->pool != KB_POOL_MEAN_SOFTMAX) {
            a->score[(uint64_t)row * p->max_pages + i] = pool(a->pool, score, q.group);
            continue;
        }
        for (uint32_t g = 0; g < q.group; g++)
            a->scratch[((uint64_t)row * q.group + g) * p->max_pages + i] = score[g];
    }
}

/* Adds this head's softmax over the pages, its share of the mean; score is used up. */
static void add_softmax(float *restrict score, uint32_t n, const struct kb_page_score *a, float *restrict out)
{
    float scale = 1.44269504f / sqrtf((float)a->paged.head_dim), most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < n; i++) most = score[i] > most ? score[i] : most;
    for (uint32_t i = 0; i < n; i++) score[i] = kb_tile_exp2((score[i] - most) * scale);
#pragma omp simd reduction(+ : sum)
    for (uint32_t i = 0; i < n; i++) sum += score[i];
    float share = (float)a->paged.n_kv_heads / ((float)a->n_q_heads * sum);
    for (uint32_t i = 0; i < n; i++) out[i] += score[i] * share;
}

static void pool_softmax(const struct kb_page_score *a, uint32_t row)
{
    const struct kb_paged *p = &a->paged;
    uint32_t group = a->n_q_heads / p->n_kv_heads;
    uint32_t n = a->page_counts[kb_length_at(p, row / p->n_kv_heads, row % p->n_kv_heads)];
    float *out = a->score + (uint64_t)row * p->max_pages;
    for (uint32_t i = 0; i < n; i++) out[i] = 0;
    for (uint32_t g = 0; g < group; g++)
        add_softmax(a->scratch + ((uint64_t)row * group + g) * p->max_pages, n, a, out);
}

KB_CPU_ENTRY(page_score)
{
    const struct kb_page_score *a = args;
    uint32_t rows = a->n_seqs * a->paged.n_kv_heads, max_pages = a->paged.max_pages;
    (void)queue;
    if (a->paged.head_dim > MOST_CHANNELS || a->n_q_heads / a->paged.n_kv_heads > MOST_GROUP)
        return kb_fail(err, "kv_page_score: at most %d channels and %d query heads per KV head expected",
                       MOST_CHANNELS, MOST_GROUP);
#pragma omp parallel for collapse(2) schedule(dynamic)
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t first = 0; first < max_pages; first += PAGES_A_TASK) score_pages(a, row, first);
    if (a->pool != KB_POOL_MEAN_SOFTMAX) return true;
#pragma omp parallel for schedule(dynamic)
    for (uint32_t row = 0; row < rows; row++) pool_softmax(a, row);
    return true;
}
