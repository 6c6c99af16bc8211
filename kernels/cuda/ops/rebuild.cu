/* Keys from low-rank factors. A block makes 64 rows of one head: their rows of a are gathered, and meet the
 * head's columns of b on the tensor cores. RoPE turns channel c with channel c + head_dim / 2; a block's columns
 * are such halves, HALF channels of each, so that both of a pair end up in the same thread. */
#include "kernels/cuda/ops/tile.cuh"

#include <math.h>

enum { THREADS = 128, TILE_M = 64, MAX_PAIRS = 128, STEP = 16 };

/* Turns per position of each pair of channels, as the sum of two floats: an angle at position 100,000 is as good
 * as one at 1. */
struct turns {
    float2 at[MAX_PAIRS];
};

/* ---- loading ---- */

/* The tiles of a block: a [64][depth], b [depth][2 HALF]; depth is the rank in whole 16s. */
struct tiles {
    uint16_t *a, *b;
    uint32_t depth, head, first, column; /* row and channel of the head that the block starts at */
};

KB_DEVICE void load_a(const struct kb_rebuild *p, const struct tiles *t, uint32_t k0, uint32_t k1)
{
    uint32_t chunks = (k1 - k0) / 8;
    for (uint32_t i = threadIdx.x; i < TILE_M * chunks; i += THREADS) {
        uint32_t r = i / chunks, k = k0 + i % chunks * 8;
        bool valid = t->first + r < p->n_rows && k < p->rank;
        uint32_t row = valid ? p->rows[(uint64_t)t->head * p->n_rows + t->first + r] : 0;
        kb_copy16(t->a + r * KB_TILE_PITCH(t->depth) + k, p->a + (valid ? (uint64_t)row * p->rank + k : 0),
                  valid);
    }
}

template <uint32_t HALF>
KB_DEVICE void load_b(const struct kb_rebuild *p, const struct tiles *t, uint32_t k0, uint32_t k1)
{
    const uint32_t chunks = 2 * HALF / 8;
    for (uint32_t i = threadIdx.x; i < (k1 - k0) * chunks; i += THREADS) {
        uint32_t k = k0 + i / chunks, c = i % chunks * 8;
        uint32_t channel = t->column + (c < HALF ? c : c - HALF + p->head_dim / 2);
        bool valid = k < p->rank;
        uint64_t from = valid ? ((uint64_t)k * p->n_kv_heads + t->head) * p->head_dim + channel : 0;
        kb_copy16(t->b + k * KB_TILE_PITCH(2 * HALF) + c, p->b + from, valid);
    }
}

/* ---- computing ---- */

/* A warp's 16 rows: columns j x 8 to j x 8 + 7 of the tile in sum[j]. */
template <uint32_t HALF>
KB_DEVICE void multiply(const struct tiles *t, uint32_t k0, uint32_t k1, float sum[HALF / 4][4])
{
    for (uint32_t k = k0; k < k1; k += STEP) {
        uint32_t left[4];
        kb_tile_left(left, t->a, KB_TILE_PITCH(t->depth), threadIdx.x / 32 * 16, k);
#pragma unroll
        for (uint32_t j = 0; j < HALF / 8; j++) {
            uint32_t right[4];
            kb_tile_right(right, t->b, KB_TILE_PITCH(2 * HALF), k, 16 * j);
            kb_mma_bf16(sum[2 * j], left, right);
            kb_mma_bf16(sum[2 * j + 1], left, right + 2);
        }
    }
}

KB_DEVICE float turned(float position, float2 turns, float *cosine)
{
    float whole = position * turns.x, lost = fmaf(position, turns.x, -whole) + position * turns.y, sine;
    kb_sincos(whole - rintf(whole) + lost, &sine, cosine);
    return sine;
}

/* Turns a thread's pairs of one of its two rows, e = 0 or 2, and stores them. */
template <uint32_t HALF>
KB_DEVICE void store(const struct kb_rebuild *p, const struct tiles *t, const float2 *turns,
                     const float sum[HALF / 4][4], uint32_t e)
{
    uint32_t i = t->first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + 4 * e;
    if (i >= p->n_rows) return;
    uint64_t row = (uint64_t)t->head * p->n_rows + i;
    float position = (float)p->rows[row];
#pragma unroll
    for (uint32_t j = 0; j < HALF / 8; j++) {
        uint32_t c = 8 * j + threadIdx.x % 4 * 2;
        const float *x = &sum[j][e], *y = &sum[j + HALF / 8][e];
        float cosine[2], sine[2];
        sine[0] = turned(position, turns[c], &cosine[0]);
        sine[1] = turned(position, turns[c + 1], &cosine[1]);
        uint16_t *out = p->out + row * p->head_dim + t->column + c;
        *(uint32_t *)out = kb_pack_bf16(x[0] * cosine[0] - y[0] * sine[0], x[1] * cosine[1] - y[1] * sine[1]);
        *(uint32_t *)(out + p->head_dim / 2) =
            kb_pack_bf16(y[0] * cosine[0] + x[0] * sine[0], y[1] * cosine[1] + x[1] * sine[1]);
    }
}

template <uint32_t HALF>
KB_KERNEL __launch_bounds__(THREADS) rebuild(struct kb_rebuild p, struct turns all, uint32_t depth)
{
    KB_SHARED_BYTES(shared);
    KB_SHARED(float2, turns[HALF]);
    struct tiles t;
    t.a = (uint16_t *)shared;
    t.b = t.a + TILE_M * KB_TILE_PITCH(depth);
    t.depth = depth;
    t.first = blockIdx.x * TILE_M;
    t.head = blockIdx.y;
    t.column = blockIdx.z * HALF;
    uint32_t middle = depth / (2 * STEP) * STEP; /* the second part arrives while the first is multiplied */
    load_a(&p, &t, 0, middle);
    load_b<HALF>(&p, &t, 0, middle);
    kb_copy_commit();
    load_a(&p, &t, middle, depth);
    load_b<HALF>(&p, &t, middle, depth);
    kb_copy_commit();
    if (threadIdx.x < HALF) turns[threadIdx.x] = all.at[t.column + threadIdx.x];
    float sum[HALF / 4][4] = {};
    kb_copy_wait<1>();
    kb_sync_block();
    multiply<HALF>(&t, 0, middle, sum);
    kb_copy_wait<0>();
    kb_sync_block();
    multiply<HALF>(&t, middle, depth, sum);
    store<HALF>(&p, &t, turns, sum, 0);
    store<HALF>(&p, &t, turns, sum, 2);
}

/* ---- launch ---- */

static void fill(struct turns *t, const struct kb_rebuild *a)
{
    for (uint32_t c = 0; c < a->head_dim / 2; c++) {
        double x = pow(a->theta, -2.0 * c / a->head_dim) / 6.283185307179586;
        t->at[c].x = (float)x;
        t->at[c].y = (float)(x - t->at[c].x);
    }
}

template <uint32_t HALF>
static bool launch(struct kb_queue *queue, const struct kb_rebuild *a, struct kb_error *err)
{
    struct turns t = {};
    uint32_t depth = (a->rank + STEP - 1) / STEP * STEP;
    uint32_t bytes = (TILE_M * KB_TILE_PITCH(depth) + depth * KB_TILE_PITCH(2 * HALF)) * 2;
    dim3 grid((a->n_rows + TILE_M - 1) / TILE_M, a->n_kv_heads, a->head_dim / 2 / HALF);
    fill(&t, a);
    return KB_LAUNCH(rebuild<HALF>, grid, THREADS, bytes, queue, err, *a, t, depth);
}

KB_ENTRY(rebuild)
{
    const struct kb_rebuild *a = (const struct kb_rebuild *)args;
    if (a->rank % 8 || a->rank > 192)
        return kb_fail(err, "kv_rebuild: rank %u, expected a multiple of 8 up to 192", (unsigned)a->rank);
    if (a->head_dim % 64 || a->head_dim > 2 * MAX_PAIRS)
        return kb_fail(err, "kv_rebuild: head_dim %u, expected a multiple of 64 up to 256",
                       (unsigned)a->head_dim);
    return a->head_dim % 128 ? launch<32>(queue, a, err) : launch<64>(queue, a, err);
}
