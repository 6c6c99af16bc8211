/* Low-rank keys by subspace iteration. Two tensor-core products per iteration, y = x z (tall, kept in a) and
 * w = x^T y (a sum over tokens, split over blocks), with tiles 128 x rank; then w is orthonormalised twice by
 * Cholesky QR: Gram matrix, its factor by one block, one triangular solve a row. The first factor is of the
 * Gram matrix with a little added to its diagonal: w squares the condition of x, and fp32 would lose its small
 * directions; the added part leaves the span alone and the second round what it needs. */
#include "kernels/cuda/ops/tile.cuh"
#include "kernels/format.h"

enum { THREADS = 256, TILE_M = 128, TILE_K = 32, STAGES = 4, MAX_RANK = 160, WARP_M = 32, WARPS_N = 2 };

/* ---- scratch ---- */

struct room {
    float *w;       /* [width][rank] */
    float *gram[2]; /* [rank][rank]: lower part, then upper factor with the reciprocals of its diagonal */
    uint16_t *z;    /* bf16 [width][rank] */
};

static struct room room_of(const struct kb_lowrank *a)
{
    struct room r;
    r.w = a->scratch;
    r.gram[0] = r.w + (uint64_t)a->width * a->rank;
    r.gram[1] = r.gram[0] + (uint64_t)a->rank * a->rank;
    r.z = (uint16_t *)(r.gram[1] + (uint64_t)a->rank * a->rank);
    return r;
}

/* bf16 of omega, the first z. */
KB_KERNEL __launch_bounds__(THREADS) lowrank_start(const float *omega, uint32_t *z, uint32_t n_pairs)
{
    uint32_t i = blockIdx.x * THREADS + threadIdx.x;
    if (i < n_pairs) z[i] = kb_pack_bf16(omega[2 * i], omega[2 * i + 1]);
}

/* ---- products ---- */

/* One product: the left operand x as [m][k], or as [k][m] when TRANSPOSED. A block has TILE_M rows of the result
 * and all its columns, a warp 32 x 16 PAIRS of them; two warps lie side by side. */
template <uint32_t PAIRS, bool TRANSPOSED> struct product {
    static const uint32_t columns = WARPS_N * PAIRS * 16;
    static const uint32_t x_rows = TRANSPOSED ? TILE_K : TILE_M, x_columns = TRANSPOSED ? TILE_M : TILE_K;
    static const uint32_t x_size = x_rows * KB_TILE_PITCH(x_columns);
    static const uint32_t stage_size = x_size + TILE_K * KB_TILE_PITCH(columns);
    static const uint32_t shared_bytes = STAGES * stage_size * 2;
};

/* What a block multiplies: rows of the result from m on, `steps` tiles of TILE_K from `first` on. */
struct operands {
    struct kb_matrix x, right;
    uint32_t m, first, steps;
};

template <uint32_t PAIRS, bool TRANSPOSED>
KB_DEVICE void load_stage(uint16_t *shared, const struct operands *o, uint32_t step)
{
    typedef product<PAIRS, TRANSPOSED> P;
    uint16_t *stage = shared + step % STAGES * P::stage_size;
    uint32_t k = o->first + step * TILE_K;
    kb_tile_load<P::x_rows, P::x_columns, THREADS>(stage, o->x, TRANSPOSED ? k : o->m, TRANSPOSED ? o->m : k);
    kb_tile_load<TILE_K, P::columns, THREADS>(stage + P::x_size, o->right, k, 0);
}

template <uint32_t PAIRS, bool TRANSPOSED>
KB_DEVICE void multiply_stage(const uint16_t *stage, float sum[2][2 * PAIRS][4])
{
    typedef product<PAIRS, TRANSPOSED> P;
    const uint32_t x_pitch = KB_TILE_PITCH(P::x_columns), pitch = KB_TILE_PITCH(P::columns);
    uint32_t warp = threadIdx.x / 32, m = warp / WARPS_N * WARP_M, n = warp % WARPS_N * PAIRS * 16;
#pragma unroll
    for (uint32_t k = 0; k < TILE_K; k += 16) {
        uint32_t left[2][4];
#pragma unroll
        for (uint32_t i = 0; i < 2; i++)
            if (TRANSPOSED)
                kb_tile_left_transposed(left[i], stage, x_pitch, m + 16 * i, k);
            else
                kb_tile_left(left[i], stage, x_pitch, m + 16 * i, k);
#pragma unroll
        for (uint32_t j = 0; j < PAIRS; j++) {
            uint32_t right[4];
            kb_tile_right(right, stage + P::x_size, pitch, k, n + 16 * j);
#pragma unroll
            for (uint32_t i = 0; i < 2; i++) {
                kb_mma_bf16(sum[i][2 * j], left[i], right);
                kb_mma_bf16(sum[i][2 * j + 1], left[i], right + 2);
            }
        }
    }
}

template <uint32_t PAIRS, bool TRANSPOSED>
KB_DEVICE void multiply(uint16_t *shared, const struct operands *o, float sum[2][2 * PAIRS][4])
{
    const uint32_t size = product<PAIRS, TRANSPOSED>::stage_size;
    for (uint32_t i = 0; i < STAGES - 1; i++) {
        if (i < o->steps) load_stage<PAIRS, TRANSPOSED>(shared, o, i);
        kb_copy_commit();
    }
    for (uint32_t i = 0; i < o->steps; i++) {
        kb_copy_wait<STAGES - 2>();
        kb_sync_block();
        if (i + STAGES - 1 < o->steps) load_stage<PAIRS, TRANSPOSED>(shared, o, i + STAGES - 1);
        kb_copy_commit();
        multiply_stage<PAIRS, TRANSPOSED>(shared + i % STAGES * size, sum);
    }
}

/* Row of values 0 and 1 (half 0) or 2 and 3 (half 1) of a thread's fragment (i, j), column of its even values. */
KB_DEVICE uint32_t row_of(uint32_t i, uint32_t half)
{
    return threadIdx.x / 32 / WARPS_N * WARP_M + 16 * i + threadIdx.x % 32 / 4 + 8 * half;
}

template <uint32_t PAIRS> KB_DEVICE uint32_t column_of(uint32_t j)
{
    return threadIdx.x / 32 % WARPS_N * PAIRS * 16 + 8 * j + threadIdx.x % 4 * 2;
}

/* y = x z, a block TILE_M tokens; zeroes what the sums after it add to. */
template <uint32_t PAIRS>
KB_KERNEL __launch_bounds__(THREADS, 2) lowrank_tall(struct kb_lowrank a, struct room r)
{
    KB_SHARED_BYTES(shared);
    uint32_t n_sums = (a.width + 2 * a.rank) * a.rank;
    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < n_sums; i += gridDim.x * THREADS) r.w[i] = 0;
    float sum[2][2 * PAIRS][4] = {};
    struct operands o = {{a.x, a.tokens, a.width}, {r.z, a.width, a.rank}, blockIdx.x * TILE_M, 0, 0};
    o.steps = (a.width + TILE_K - 1) / TILE_K;
    multiply<PAIRS, false>((uint16_t *)shared, &o, sum);
#pragma unroll
    for (uint32_t i = 0; i < 2; i++)
#pragma unroll
        for (uint32_t j = 0; j < 2 * PAIRS; j++)
#pragma unroll
            for (uint32_t half = 0; half < 2; half++) {
                uint32_t row = o.m + row_of(i, half), column = column_of<PAIRS>(j);
                uint32_t *to = (uint32_t *)(a.a + (uint64_t)row * a.rank + column);
                if (row < a.tokens && column < a.rank)
                    *to = kb_pack_bf16(sum[i][j][2 * half], sum[i][j][2 * half + 1]);
            }
}

/* w += x^T y of the tokens from blockIdx.y x steps x TILE_K on; a block TILE_M rows of w. */
template <uint32_t PAIRS>
KB_KERNEL __launch_bounds__(THREADS, 2) lowrank_wide(struct kb_lowrank a, struct room r, uint32_t steps)
{
    KB_SHARED_BYTES(shared);
    float sum[2][2 * PAIRS][4] = {};
    struct operands o = {{a.x, a.tokens, a.width}, {a.a, a.tokens, a.rank}, blockIdx.x * TILE_M, 0, steps};
    o.first = blockIdx.y * steps * TILE_K;
    multiply<PAIRS, true>((uint16_t *)shared, &o, sum);
#pragma unroll
    for (uint32_t i = 0; i < 2; i++)
#pragma unroll
        for (uint32_t j = 0; j < 2 * PAIRS; j++)
#pragma unroll
            for (uint32_t e = 0; e < 4; e++) {
                uint32_t row = o.m + row_of(i, e / 2), column = column_of<PAIRS>(j) + e % 2;
                if (row < a.width && column < a.rank)
                    kb_atomic_add(&r.w[row * a.rank + column], sum[i][j][e]);
            }
}

/* ---- orthonormalising w ---- */

enum { GRAM_TILE = 32, GRAM_ROWS = 64, GRAM_THREAD = 4 };

/* gram += w^T w over GRAM_ROWS rows, one GRAM_TILE square of the lower part; a thread has four columns of it. */
KB_KERNEL __launch_bounds__(THREADS) lowrank_gram(const float *w, float *gram, uint32_t width, uint32_t rank)
{
    KB_SHARED(float, left[GRAM_ROWS][GRAM_TILE + 1]);
    KB_SHARED(float, right[GRAM_ROWS][GRAM_TILE + 1]);
    uint32_t i0 = blockIdx.x * GRAM_TILE, j0 = blockIdx.y * GRAM_TILE, w0 = blockIdx.z * GRAM_ROWS;
    if (j0 > i0) return;
    for (uint32_t t = threadIdx.x; t < GRAM_ROWS * GRAM_TILE; t += THREADS) {
        uint32_t row = t / GRAM_TILE, c = t % GRAM_TILE;
        const float *from = w + (uint64_t)(w0 + row) * rank;
        left[row][c] = w0 + row < width && i0 + c < rank ? from[i0 + c] : 0;
        right[row][c] = w0 + row < width && j0 + c < rank ? from[j0 + c] : 0;
    }
    kb_sync_block();
    uint32_t i = threadIdx.x % GRAM_TILE, j = threadIdx.x / GRAM_TILE * GRAM_THREAD;
    float sum[GRAM_THREAD] = {};
    for (uint32_t row = 0; row < GRAM_ROWS; row++)
#pragma unroll
        for (uint32_t c = 0; c < GRAM_THREAD; c++) sum[c] += left[row][i] * right[row][j + c];
#pragma unroll
    for (uint32_t c = 0; c < GRAM_THREAD; c++)
        if (i0 + i < rank && j0 + j + c < rank) kb_atomic_add(&gram[(i0 + i) * rank + j0 + j + c], sum[c]);
}

/* The matrix in registers: lane i has rows i, i + 32, ..., warp j columns j, j + 20, ...: one block, one barrier
 * a column. */
enum {
    FACTOR_WARPS = 20,
    FACTOR_THREADS = 32 * FACTOR_WARPS,
    FACTOR_ROWS = MAX_RANK / 32,
    FACTOR_COLUMNS = 8
};

struct factor_part {
    float at[FACTOR_ROWS][FACTOR_COLUMNS];
};

KB_DEVICE void load_part(struct factor_part *p, const float *gram, uint32_t rank, float shift)
{
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (uint32_t i = 0; i < FACTOR_ROWS; i++)
#pragma unroll
        for (uint32_t j = 0; j < FACTOR_COLUMNS; j++) {
            uint32_t row = lane + 32 * i, column = warp + FACTOR_WARPS * j;
            p->at[i][j] = row < rank && column <= row ? gram[row * rank + column] : 0;
            if (row == column) p->at[i][j] *= 1 + shift;
        }
}

struct factoring {
    struct factor_part part;
    float *shown; /* shared [2][MAX_RANK]: a column, and the next */
    float *whole; /* shared [MAX_RANK]: the diagonal before */
    float *gram;
    uint32_t rank;
};

/* Column k, shown to all: row k of the factor is stored, and what it takes off this thread's columns is taken off,
 * from number FIRST of them on. */
template <uint32_t FIRST> KB_DEVICE void take_column(struct factoring *f, const float *column, uint32_t k)
{
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, thread = threadIdx.x;
    float pivot = column[k], inverse = pivot > 1e-7f * f->whole[k] ? 1 / sqrtf(pivot) : 0, mine[FACTOR_ROWS];
    if (thread >= k && thread < f->rank)
        f->gram[k * f->rank + thread] = thread == k ? inverse : column[thread] * inverse;
#pragma unroll
    for (uint32_t i = 0; i < FACTOR_ROWS; i++) mine[i] = column[lane + 32 * i] * inverse * inverse;
#pragma unroll
    for (uint32_t j = FIRST; j < FACTOR_COLUMNS; j++) {
        float other = column[warp + FACTOR_WARPS * j];
#pragma unroll
        for (uint32_t i = 0; i < FACTOR_ROWS; i++) f->part.at[i][j] -= mine[i] * other;
    }
}

/* Columns FIRST x 20 to FIRST x 20 + 19, each shown by the warp that has it, then those after them. */
template <uint32_t FIRST> KB_DEVICE void take_columns(struct factoring *f)
{
    for (uint32_t k = FIRST * FACTOR_WARPS; k < (FIRST + 1) * FACTOR_WARPS && k < f->rank; k++) {
        float *column = f->shown + k % 2 * MAX_RANK;
        if (threadIdx.x / 32 == k - FIRST * FACTOR_WARPS)
#pragma unroll
            for (uint32_t i = 0; i < FACTOR_ROWS; i++)
                column[threadIdx.x % 32 + 32 * i] = f->part.at[i][FIRST];
        kb_sync_block();
        take_column<FIRST>(f, column, k);
    }
    if constexpr (FIRST + 1 < FACTOR_COLUMNS) take_columns<FIRST + 1>(f);
}

/* Cholesky factor in place of the Gram matrix: row k of the upper factor, 1 / diagonal at k. A column of which
 * rounding is all that is left gets 0. */
KB_KERNEL __launch_bounds__(FACTOR_THREADS) lowrank_factor(float *gram, uint32_t rank, float shift)
{
    KB_SHARED(float, shown[2 * MAX_RANK]);
    KB_SHARED(float, whole[MAX_RANK]);
    struct factoring f = {{}, shown, whole, gram, rank};
    load_part(&f.part, gram, rank, shift);
    if (threadIdx.x < rank) whole[threadIdx.x] = gram[threadIdx.x * rank + threadIdx.x];
    kb_sync_block();
    take_columns<0>(&f);
}

/* Rows of w times the inverse of the factor. Eight lanes share a row; lane l has its columns l, l + 8, ... */
enum { SOLVE_LANES = 8, SOLVE_SLOTS = MAX_RANK / SOLVE_LANES, SOLVE_ROWS = THREADS / SOLVE_LANES };
enum { SOLVE_W, SOLVE_Z, SOLVE_LAST };

/* First element of row k of an upper triangle that is stored without its lower part, less k. */
KB_DEVICE uint32_t packed_row(uint32_t k, uint32_t rank)
{
    return k * rank - k * (k + 1) / 2;
}

KB_DEVICE void load_factor(float *shared, const float *factor, uint32_t rank)
{
    for (uint32_t i = threadIdx.x; i < rank * rank; i += THREADS)
        if (i % rank >= i / rank) shared[packed_row(i / rank, rank) + i % rank] = factor[i];
}

KB_DEVICE void solve_row(const float *factor, uint32_t rank, float w[SOLVE_SLOTS])
{
    uint32_t lane = threadIdx.x % SOLVE_LANES, group = threadIdx.x % 32 - lane;
#pragma unroll
    for (uint32_t s = 0; s < SOLVE_SLOTS; s++)
        for (uint32_t t = 0; t < SOLVE_LANES && s * SOLVE_LANES < rank; t++) {
            uint32_t k = s * SOLVE_LANES + t;
            const float *row = factor + packed_row(k, rank);
            float z = kb_shfl(w[s], (int)(group + t)) * row[k];
            w[s] = lane == t ? z : lane > t ? w[s] - z * row[k + lane - t] : w[s];
#pragma unroll
            for (uint32_t q = s + 1; q < SOLVE_SLOTS; q++)
                if (q * SOLVE_LANES < rank) w[q] -= z * row[q * SOLVE_LANES + lane];
        }
}

/* First round: w in place. Second: the new z, and in the last iteration b = z^T, too. */
KB_KERNEL __launch_bounds__(THREADS)
    lowrank_solve(struct kb_lowrank a, struct room r, const float *upper, uint32_t part)
{
    KB_SHARED_BYTES(shared);
    float *factor = (float *)shared, w[SOLVE_SLOTS];
    uint32_t row = blockIdx.x * SOLVE_ROWS + threadIdx.x / SOLVE_LANES, lane = threadIdx.x % SOLVE_LANES;
    bool valid = row < a.width;
    load_factor(factor, upper, a.rank);
#pragma unroll
    for (uint32_t s = 0; s < SOLVE_SLOTS; s++) {
        uint32_t column = s * SOLVE_LANES + lane;
        w[s] = valid && column < a.rank ? r.w[row * a.rank + column] : 0;
    }
    kb_sync_block();
    solve_row(factor, a.rank, w);
    if (!valid) return;
#pragma unroll
    for (uint32_t s = 0; s < SOLVE_SLOTS; s++) {
        uint32_t column = s * SOLVE_LANES + lane;
        if (column >= a.rank) continue;
        uint16_t z = kb_bf16_from_float(w[s]);
        if (part == SOLVE_W) r.w[row * a.rank + column] = w[s];
        if (part != SOLVE_W) r.z[row * a.rank + column] = z;
        if (part == SOLVE_LAST) a.b[(uint64_t)column * a.width + row] = z;
    }
}

/* ---- launches ---- */

static bool orthonormalise(struct kb_queue *queue, const struct kb_lowrank *a, struct room r, bool last,
                           struct kb_error *err)
{
    static const float shift[2] = {1e-4f, 1e-6f};
    uint32_t tiles = (a->rank + GRAM_TILE - 1) / GRAM_TILE;
    dim3 gram_grid(tiles, tiles, (a->width + GRAM_ROWS - 1) / GRAM_ROWS);
    uint32_t solve_blocks = (a->width + SOLVE_ROWS - 1) / SOLVE_ROWS, bytes = a->rank * (a->rank + 1) / 2 * 4;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t part = i == 0 ? SOLVE_W : last ? SOLVE_LAST : SOLVE_Z;
        if (!KB_LAUNCH(lowrank_gram, gram_grid, THREADS, 0, queue, err, r.w, r.gram[i], a->width, a->rank) ||
            !KB_LAUNCH(lowrank_factor, 1, FACTOR_THREADS, 0, queue, err, r.gram[i], a->rank, shift[i]) ||
            !KB_LAUNCH(lowrank_solve, solve_blocks, THREADS, bytes, queue, err, *a, r, r.gram[i], part))
            return false;
    }
    return true;
}

/* Enough parts of the tokens to fill the device twice, but no part shorter than 16 steps. */
static uint32_t steps_of_part(const struct kb_queue *queue, const struct kb_lowrank *a)
{
    uint32_t steps = (a->tokens + TILE_K - 1) / TILE_K, tiles = (a->width + TILE_M - 1) / TILE_M;
    uint32_t parts = 2 * queue->device->info.units / tiles, least = 16;
    uint32_t part = parts ? (steps + parts - 1) / parts : steps;
    return part < least ? least : part;
}

template <uint32_t PAIRS>
static bool iterate(struct kb_queue *queue, const struct kb_lowrank *a, struct kb_error *err)
{
    struct room r = room_of(a);
    uint32_t steps = steps_of_part(queue, a), pairs = a->width * a->rank / 2;
    uint32_t tall_blocks = (a->tokens + TILE_M - 1) / TILE_M,
             tall_bytes = product<PAIRS, false>::shared_bytes;
    uint32_t wide_bytes = product<PAIRS, true>::shared_bytes;
    dim3 wide_grid((a->width + TILE_M - 1) / TILE_M, (a->tokens + steps * TILE_K - 1) / (steps * TILE_K));
    if (!KB_LAUNCH(lowrank_start, (pairs + THREADS - 1) / THREADS, THREADS, 0, queue, err, a->omega,
                   (uint32_t *)r.z, pairs))
        return false;
    for (uint32_t i = 0; i < a->loops; i++)
        if (!KB_LAUNCH(lowrank_tall<PAIRS>, tall_blocks, THREADS, tall_bytes, queue, err, *a, r) ||
            !KB_LAUNCH(lowrank_wide<PAIRS>, wide_grid, THREADS, wide_bytes, queue, err, *a, r, steps) ||
            !orthonormalise(queue, a, r, i + 1 == a->loops, err))
            return false;
    return KB_LAUNCH(lowrank_tall<PAIRS>, tall_blocks, THREADS, tall_bytes, queue, err, *a, r);
}

KB_ENTRY(lowrank)
{
    const struct kb_lowrank *a = (const struct kb_lowrank *)args;
    if (a->rank % 8 || a->width % 8 || a->rank > MAX_RANK || a->loops == 0)
        return kb_fail(err,
                       "kv_lowrank: rank %u of width %u: multiples of 8, rank 160 at most, at least one loop",
                       (unsigned)a->rank, (unsigned)a->width);
    return a->rank <= 64 ? iterate<2>(queue, a, err) : iterate<5>(queue, a, err);
}
