/* A page's score is one product of its digest (two vectors) with the query folded the same way:
 *   minmax: max(q low, q high) = min(q, 0) low + max(q, 0) high      centre: q centre + |q| deviation
 * so the scores of 16 pages for 8 query heads of a group are a matrix product over 2 head_dim, and digests
 * are read once for the group. Lanes load 16 bytes of a row and use them as two steps of the product: the
 * order of channels within a step does not matter as long as pages and queries agree. */
#include "kernels/cuda/simt.cuh"

#include "kernels/format.h"

enum { WARPS = 4, PAGES = 16, PAD = 32, SOFTMAX_THREADS = 1024, MOST_GROUP = 32 };

KB_DEVICE uint32_t page_count(const struct kb_page_score &a, uint64_t row)
{
    uint32_t heads = a.paged.n_kv_heads;
    return a.page_counts[kb_length_at(&a.paged, (uint32_t)row / heads, (uint32_t)row % heads)];
}

/* Folded queries to shared memory, bf16 [8 TILES][2 D + PAD]; rows past the group are zero. The padding puts
 * neighbouring rows half of the banks apart. */
template <int D, int TILES>
KB_DEVICE void fold(const struct kb_page_score &a, const uint16_t *q, uint32_t group, uint16_t *folded)
{
    for (uint32_t i = threadIdx.x; i < 8 * TILES * D; i += WARPS * 32) {
        uint32_t g = i / D, c = i % D;
        uint16_t x = g < group ? q[i] : 0, *to = folded + g * (2 * D + PAD) + c;
        bool minmax = a.kind == KB_DIGEST_MINMAX, negative = x >> 15;
        to[0] = minmax && !negative ? 0 : x;
        to[D] = minmax ? (negative ? 0 : x) : x & 0x7fff;
    }
}

/* Scores of two rows of pages (of this lane: its row and the row 8 below) with all query heads. */
template <int D, int TILES>
KB_DEVICE void multiply(const uint16_t *low, const uint16_t *high, const uint16_t *folded, float c[TILES][4])
{
    const uint32_t chunks = D / 16, batch = chunks < 8 ? chunks : 8; /* loads under way, per row */
    uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4 * 8;
#pragma unroll
    for (uint32_t first = 0; first < chunks; first += batch) {
        uint4 x[batch], y[batch];
#pragma unroll
        for (uint32_t i = 0; i < batch; i++) {
            x[i] = kb_load16(low + (first + i) * 32 + t);
            y[i] = kb_load16(high + (first + i) * 32 + t);
        }
#pragma unroll
        for (uint32_t i = 0; i < batch; i++) {
            const uint32_t one[4] = {x[i].x, y[i].x, x[i].y, y[i].y},
                           two[4] = {x[i].z, y[i].z, x[i].w, y[i].w};
#pragma unroll
            for (uint32_t n = 0; n < TILES; n++) {
                uint4 q = *(const uint4 *)(folded + (8 * n + g) * (2 * D + PAD) + (first + i) * 32 + t);
                const uint32_t q_one[2] = {q.x, q.y}, q_two[2] = {q.z, q.w};
                kb_mma_bf16(c[n], one, q_one);
                kb_mma_bf16(c[n], two, q_two);
            }
        }
    }
}

/* The group's scores of a row of pages lie in four lanes: pooled, all four have the result. */
template <int TILES> KB_DEVICE float pooled(const float c[TILES][4], uint32_t half, uint32_t group, bool most)
{
    float r = most ? -INFINITY : 0;
#pragma unroll
    for (uint32_t n = 0; n < TILES; n++)
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            float x = c[n][2 * half + j];
            if (8 * n + threadIdx.x % 4 * 2 + j < group) r = most ? fmaxf(r, x) : r + x;
        }
#pragma unroll
    for (int mask = 1; mask < 4; mask *= 2) {
        float other = kb_shfl_xor(r, mask);
        r = most ? fmaxf(r, other) : r + other;
    }
    return most ? r : r / (float)group;
}

/* One row of pages' results: its pooled score, or for softmax, which needs all pages first, each head's
 * score to wait in scratch. */
template <int TILES>
KB_DEVICE void emit(const struct kb_page_score &a, const float c[TILES][4], uint32_t half, uint64_t row,
                    uint32_t page)
{
    uint32_t group = a.n_q_heads / a.paged.n_kv_heads, t = threadIdx.x % 4, count = page_count(a, row);
    if (a.pool != KB_POOL_MEAN_SOFTMAX) {
        float score = pooled<TILES>(c, half, group, a.pool == KB_POOL_MAX_SCORE);
        if (page < count && t == half) a.score[row * a.paged.max_pages + page] = score;
        return;
    }
#pragma unroll
    for (uint32_t n = 0; n < TILES; n++)
#pragma unroll
        for (uint32_t j = 0; j < 2; j++) {
            uint32_t g = 8 * n + 2 * t + j;
            if (g < group && page < count)
                a.scratch[(row * group + g) * a.paged.max_pages + page] = c[n][2 * half + j];
        }
}

/* `blocks` blocks share the pages of a row, one KV head of one sequence: each takes every so many-th WARPS x
 * PAGES of them. */
template <int D, int TILES>
KB_KERNEL __launch_bounds__(WARPS * 32) score_kernel(const struct kb_page_score a, uint32_t blocks)
{
    KB_SHARED(uint4, folded_room[8 * TILES * (2 * D + PAD) / 8]);
    uint16_t *folded = (uint16_t *)folded_room;
    const uint32_t heads = a.paged.n_kv_heads, group = a.n_q_heads / heads;
    uint32_t row = blockIdx.x / blocks, head = row % heads, lane = threadIdx.x % 32,
             count = page_count(a, row);
    const uint32_t *pages = a.pages + kb_table_at(&a.paged, row / heads, head, 0);
    fold<D, TILES>(a, a.q + (uint64_t)row * group * D, group, folded);
    kb_sync_block();
    uint32_t tile = blockIdx.x % blocks * WARPS + threadIdx.x / 32;
    for (; tile * PAGES < count; tile += blocks * WARPS) {
        const uint16_t *digest[2];
        float c[TILES][4] = {};
        uint32_t page = tile * PAGES + lane / 4; /* and the one 8 below */
#pragma unroll
        for (uint32_t half = 0; half < 2; half++) {
            uint32_t at = page + 8 * half < count ? page + 8 * half : count - 1;
            digest[half] = a.digest + ((uint64_t)pages[at] * heads + head) * 2 * D;
        }
        multiply<D, TILES>(digest[0], digest[1], folded, c);
        emit<TILES>(a, c, 0, row, page);
        emit<TILES>(a, c, 1, row, page + 8);
    }
}

/* Of some scores: the largest, and the sum of exp2 of their distances from it. */
struct summary {
    float most, sum;
};

KB_DEVICE struct summary joined(struct summary x, struct summary y, float scale)
{
    float most = fmaxf(x.most, y.most);
    float a = x.sum > 0 ? x.sum * kb_exp2((x.most - most) * scale) : 0;
    float b = y.sum > 0 ? y.sum * kb_exp2((y.most - most) * scale) : 0;
    return {most, a + b};
}

/* A warp's summary of scores first, first + step, ... below n; all lanes have it. */
KB_DEVICE struct summary summarise(const float *x, uint32_t first, uint32_t step, uint32_t n, float scale)
{
    struct summary s = {-INFINITY, 0};
    for (uint32_t i = first; i < n; i += step) s.most = fmaxf(s.most, x[i]);
    for (uint32_t i = first; i < n; i += step) s.sum += kb_exp2((x[i] - s.most) * scale);
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) {
        struct summary other = {kb_shfl_xor(s.most, mask), kb_shfl_xor(s.sum, mask)};
        s = joined(s, other, scale);
    }
    return s;
}

/* A block pools one row. Its warps share out heads and pages to find each head's summary; then each thread
 * sums the heads' shares of its pages. */
KB_KERNEL __launch_bounds__(SOFTMAX_THREADS, 1) softmax_kernel(const struct kb_page_score a, float scale)
{
    KB_SHARED(struct summary, part[SOFTMAX_THREADS / 32]);
    KB_SHARED(float, most[MOST_GROUP]);
    KB_SHARED(float, share[MOST_GROUP]); /* what one exp2 of a head is in the mean of softmax */
    const uint32_t group = a.n_q_heads / a.paged.n_kv_heads, parts = SOFTMAX_THREADS / 32 / group;
    uint32_t row = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32, count = page_count(a, row);
    const float *scores = a.scratch + (uint64_t)row * group * a.paged.max_pages;
    if (warp < parts * group) {
        const float *x = scores + (uint64_t)(warp / parts) * a.paged.max_pages;
        struct summary s = summarise(x, warp % parts * 32 + lane, parts * 32, count, scale);
        if (lane == 0) part[warp] = s;
    }
    kb_sync_block();
    if (threadIdx.x < group) {
        struct summary s = part[threadIdx.x * parts];
        for (uint32_t i = 1; i < parts; i++) s = joined(s, part[threadIdx.x * parts + i], scale);
        most[threadIdx.x] = s.most;
        share[threadIdx.x] = 1.0f / (s.sum * (float)group);
    }
    kb_sync_block();
    for (uint32_t i = threadIdx.x; i < count; i += SOFTMAX_THREADS) {
        float sum = 0;
        for (uint32_t g = 0; g < group; g++)
            sum += kb_exp2((scores[(uint64_t)g * a.paged.max_pages + i] - most[g]) * scale) * share[g];
        a.score[(uint64_t)row * a.paged.max_pages + i] = sum;
    }
}

/* Blocks enough for some rounds over the device, so that the last round is a small part. */
static uint32_t blocks_of(const struct kb_page_score *a, uint32_t rows, uint32_t units)
{
    uint32_t most = (a->paged.max_pages + WARPS * PAGES - 1) / (WARPS * PAGES), wanted = 32 * units / rows;
    if (wanted > most) return most;
    return wanted > 0 ? wanted : 1;
}

template <int D, int TILES>
static bool launch(struct kb_queue *queue, const struct kb_page_score *a, struct kb_error *err)
{
    uint32_t rows = a->n_seqs * a->paged.n_kv_heads, blocks = blocks_of(a, rows, queue->device->info.units);
    if (!KB_LAUNCH((score_kernel<D, TILES>), dim3(rows * blocks), dim3(WARPS * 32), 0, queue, err, *a,
                   blocks))
        return false;
    if (a->pool != KB_POOL_MEAN_SOFTMAX) return true;
    float scale = 1.44269504f / sqrtf((float)D); /* exp(x / sqrt(D)) = exp2(scale x) */
    return KB_LAUNCH(softmax_kernel, dim3(rows), dim3(SOFTMAX_THREADS), 0, queue, err, *a, scale);
}

template <int D>
static bool launch_group(struct kb_queue *queue, const struct kb_page_score *a, struct kb_error *err)
{
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads;
    if (group <= 8) return launch<D, 1>(queue, a, err);
    if (group <= 16) return launch<D, 2>(queue, a, err);
    if (group <= MOST_GROUP) return launch<D, 4>(queue, a, err);
    return kb_fail(err, "kv_page_score: %u query heads per KV head, at most %d expected", (unsigned)group,
                   MOST_GROUP);
}

KB_ENTRY(page_score)
{
    const struct kb_page_score *a = (const struct kb_page_score *)args;
    switch (a->paged.head_dim) {
    case 64:
        return launch_group<64>(queue, a, err);
    case 128:
        return launch_group<128>(queue, a, err);
    case 256:
        return launch_group<256>(queue, a, err);
    default:
        return kb_fail(err, "kv_page_score: head_dim %u; 64, 128 or 256 expected",
                       (unsigned)a->paged.head_dim);
    }
}
