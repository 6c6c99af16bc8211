/* GEAR. A warp a row, a lane head_dim / 32 channels of it. First kernel: outliers, codes, and the error in fp32.
 * Then one pass over the error per power iteration: left = error basis and right = error^T left come from the
 * same registers, and the Gram matrix of left with them, so that orthonormalising left costs a rank x rank
 * Cholesky factor that every block works out for itself at the start of the next pass. */
#include "kernels/cuda/ops/affine.cuh"

enum { WARP = 32, WARPS = 8, THREADS = WARP * WARPS, WARP_ROWS = 16, MAX_RANK = 8 };

/* ---- scratch ---- */

/* error [n_heads][tokens][head_dim], left [n_heads][tokens][8], then per iteration and head its sums: right
 * [8][head_dim] and gram [8][8]. */
KB_DEVICE float *error_row(const struct kb_gear *a, uint64_t row)
{
    return a->scratch + row * a->head_dim;
}

KB_DEVICE float *left_row(const struct kb_gear *a, uint64_t row)
{
    return a->scratch + (uint64_t)a->n_heads * a->tokens * a->head_dim + row * MAX_RANK;
}

KB_DEVICE float *sums_of(const struct kb_gear *a, uint32_t loop, uint32_t head)
{
    float *first = left_row(a, (uint64_t)a->n_heads * a->tokens);
    return first + ((uint64_t)loop * a->n_heads + head) * MAX_RANK * (a->head_dim + MAX_RANK);
}

/* ---- outliers and codes ---- */

/* A lane's share of a row, moved at once: 16 bytes at a time where there are so many. */
template <typename T, uint32_t N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) share {
    T at[N];
};

template <typename T, uint32_t N> KB_DEVICE struct share<T, N> load_share(const T *row) {
    return ((const struct share<T, N> *)row)[threadIdx.x % WARP];
}

template <uint32_t CHANNELS>
KB_DEVICE void load_row(const uint16_t *x, float value[CHANNELS])
{
    struct share<uint16_t, CHANNELS> s = load_share<uint16_t, CHANNELS>(x);
#pragma unroll
    for (uint32_t i = 0; i < CHANNELS; i++) value[i] = kb_bits_float((uint32_t)s.at[i] << 16);
}

KB_DEVICE uint32_t warp_max(uint32_t x)
{
    for (uint32_t o = WARP / 2; o; o /= 2) {
        uint32_t y = kb_shfl_xor(x, (int)o);
        x = y > x ? y : x;
    }
    return x;
}

/* Takes the outliers out of x; lost gets what fp16 loses of each. A key orders by magnitude, then lowest channel. */
template <uint32_t CHANNELS>
KB_DEVICE void take_outliers(const struct kb_gear *a, uint64_t row, float x[CHANNELS], float lost[CHANNELS])
{
    uint32_t key[CHANNELS], first = threadIdx.x % WARP * CHANNELS;
#pragma unroll
    for (uint32_t i = 0; i < CHANNELS; i++) {
        key[i] = (kb_float_bits(x[i]) & 0x7fff0000u) | (0xffffu - first - i);
        lost[i] = 0;
    }
    for (uint32_t k = 0; k < a->outliers; k++) {
        uint32_t most = 0;
#pragma unroll
        for (uint32_t i = 0; i < CHANNELS; i++) most = key[i] > most ? key[i] : most;
        most = warp_max(most);
#pragma unroll
        for (uint32_t i = 0; i < CHANNELS; i++)
            if (key[i] == most) {
                uint16_t value = kb_fp16_from_float(x[i]);
                a->out_index[row * a->outliers + k] = (uint16_t)(first + i);
                a->out_value[row * a->outliers + k] = value;
                lost[i] = x[i] - kb_fp16_to_float(value);
                x[i] = 0;
                key[i] = 0;
            }
    }
}

/* The pair of the group that this lane's channels belong to; its first lane stores it. */
template <uint32_t CHANNELS>
KB_DEVICE struct kb_quantiser quantiser(const struct kb_gear *a, uint64_t row, const float x[CHANNELS])
{
    float low = x[0], high = x[0];
#pragma unroll
    for (uint32_t i = 1; i < CHANNELS; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    uint32_t lanes = a->group / CHANNELS, lane = threadIdx.x % WARP;
    for (uint32_t o = lanes / 2; o; o /= 2) {
        low = fminf(low, kb_shfl_xor(low, (int)o));
        high = fmaxf(high, kb_shfl_xor(high, (int)o));
    }
    uint32_t pair = kb_pair_of(low, high, a->bits);
    if (lane % lanes == 0) ((uint32_t *)a->scales)[row * (a->head_dim / a->group) + lane / lanes] = pair;
    return kb_quantiser_of(pair);
}

/* Lanes join their codes to words of 32 bits. */
template <uint32_t CHANNELS, uint32_t BITS>
KB_DEVICE void store_codes(const struct kb_gear *a, uint64_t row, uint32_t codes)
{
    const uint32_t lanes = 32 / (CHANNELS * BITS);
    uint32_t lane = threadIdx.x % WARP, word = codes << (lane % lanes * CHANNELS * BITS);
#pragma unroll
    for (uint32_t o = 1; o < lanes; o *= 2) word |= kb_shfl_xor(word, (int)o);
    uint32_t *to = (uint32_t *)(a->codes + row * (CHANNELS * BITS * WARP / 8));
    if (lane % lanes == 0) to[lane / lanes] = word;
}

/* Zeroes the sums that the passes add to. */
KB_DEVICE void clear_sums(const struct kb_gear *a)
{
    uint64_t n = (uint64_t)a->loops * a->n_heads * MAX_RANK * (a->head_dim + MAX_RANK);
    float *sums = sums_of(a, 0, 0);
    for (uint64_t i = blockIdx.x * THREADS + threadIdx.x; i < n; i += (uint64_t)gridDim.x * THREADS)
        sums[i] = 0;
}

template <uint32_t CHANNELS, uint32_t BITS>
KB_KERNEL __launch_bounds__(THREADS) gear_quantise(struct kb_gear a)
{
    uint64_t row = blockIdx.x * WARPS + threadIdx.x / WARP;
    float x[CHANNELS], lost[CHANNELS];
    clear_sums(&a);
    if (row >= (uint64_t)a.n_heads * a.tokens) return;
    load_row<CHANNELS>(a.x + row * a.head_dim, x);
    take_outliers<CHANNELS>(&a, row, x, lost);
    struct kb_quantiser q = quantiser<CHANNELS>(&a, row, x);
    struct share<float, CHANNELS> error;
    uint32_t codes = 0;
#pragma unroll
    for (uint32_t i = 0; i < CHANNELS; i++) {
        uint32_t code = kb_code_of<BITS>(q, x[i]);
        codes |= code << (i * BITS);
        error.at[i] = x[i] - (q.scale.value * (float)code + q.minimum) + lost[i];
    }
    ((struct share<float, CHANNELS> *)error_row(&a, row))[threadIdx.x % WARP] = error;
    store_codes<CHANNELS, BITS>(&a, row, codes);
}

/* ---- the low-rank rest ---- */

/* Cholesky factor of a Gram matrix by rows, and the reciprocals of its diagonal. A column that the ones before it
 * explain to six digits is noise, and gets 0. */
template <uint32_t RANK> struct factor {
    float row[RANK][RANK], inverse[RANK];
};

template <uint32_t RANK> KB_DEVICE void factorise(const float *gram, struct factor<RANK> *f)
{
#pragma unroll
    for (uint32_t k = 0; k < RANK; k++) {
        float whole = gram[k * MAX_RANK + k];
#pragma unroll
        for (uint32_t j = 0; j <= k; j++) {
            float x = gram[k * MAX_RANK + j];
#pragma unroll
            for (uint32_t i = 0; i < j; i++) x -= f->row[k][i] * f->row[j][i];
            f->row[k][j] = j < k ? x * f->inverse[j] : x;
        }
        float rest = f->row[k][k];
        f->inverse[k] = rest > 1e-6f * whole ? kb_rsqrt(rest) : 0.0f;
    }
}

/* x^T of a row becomes that of the orthonormal columns. */
template <uint32_t RANK> KB_DEVICE void solve(const struct factor<RANK> *f, float x[RANK])
{
#pragma unroll
    for (uint32_t k = 0; k < RANK; k++) {
#pragma unroll
        for (uint32_t j = 0; j < k; j++) x[k] -= f->row[k][j] * x[j];
        x[k] *= f->inverse[k];
    }
}

/* Any start will do that is not orthogonal to the answer: bits of a hash (Wang) as a fraction of one. */
KB_DEVICE float start_value(uint32_t channel, uint32_t k)
{
    uint32_t x = (channel * MAX_RANK + k) * 9u + 1u;
    x ^= x >> 4;
    x *= 0x27d4eb2du;
    x ^= x >> 15;
    return (float)(x & 0xffffu) * (1.0f / 32768) - 1;
}

/* Row `channel` of the basis that the pass before left, column k at k. */
template <uint32_t RANK>
KB_DEVICE void basis_row(const struct kb_gear *a, uint32_t loop, uint32_t channel, float basis[RANK])
{
    if (loop == 0) {
#pragma unroll
        for (uint32_t k = 0; k < RANK; k++) basis[k] = k < a->rank ? start_value(channel, k) : 0;
        return;
    }
    const float *right = sums_of(a, loop - 1, blockIdx.y);
    struct factor<RANK> f;
    factorise<RANK>(right + MAX_RANK * a->head_dim, &f);
#pragma unroll
    for (uint32_t k = 0; k < RANK; k++) basis[k] = right[k * a->head_dim + channel];
    solve<RANK>(&f, basis);
}

template <uint32_t CHANNELS, uint32_t RANK> struct sums {
    float basis[CHANNELS][RANK], right[CHANNELS][RANK], gram[RANK * (RANK + 1) / 2];
};

/* One row of the error: its projection, which all lanes get, and what it adds to the sums. */
template <uint32_t CHANNELS, uint32_t RANK>
KB_DEVICE void add_row(struct sums<CHANNELS, RANK> *s, const float e[CHANNELS], float left[RANK])
{
#pragma unroll
    for (uint32_t k = 0; k < RANK; k++) {
        left[k] = 0;
#pragma unroll
        for (uint32_t i = 0; i < CHANNELS; i++) left[k] += e[i] * s->basis[i][k];
#pragma unroll
        for (uint32_t o = WARP / 2; o; o /= 2) left[k] += kb_shfl_xor(left[k], (int)o);
    }
#pragma unroll
    for (uint32_t k = 0; k < RANK; k++) {
#pragma unroll
        for (uint32_t i = 0; i < CHANNELS; i++) s->right[i][k] += e[i] * left[k];
#pragma unroll
        for (uint32_t j = 0; j <= k; j++) s->gram[k * (k + 1) / 2 + j] += left[k] * left[j];
    }
}

/* The basis of this pass: each channel's row by one thread, through room [head_dim][RANK] to the lane of it. */
template <uint32_t CHANNELS, uint32_t RANK>
KB_DEVICE void share_basis(const struct kb_gear *a, uint32_t loop, float *room, float basis[CHANNELS][RANK])
{
    for (uint32_t i = threadIdx.x; i < CHANNELS * WARP; i += THREADS) {
        float row[RANK];
        basis_row<RANK>(a, loop, i, row);
#pragma unroll
        for (uint32_t k = 0; k < RANK; k++) room[i * RANK + k] = row[k];
    }
    kb_sync_block();
#pragma unroll
    for (uint32_t i = 0; i < CHANNELS * RANK; i++)
        basis[i / RANK][i % RANK] = room[threadIdx.x % WARP * CHANNELS * RANK + i];
    kb_sync_block();
}

/* The warps' sums of the block, in room, then of all blocks. */
template <uint32_t CHANNELS, uint32_t RANK>
KB_DEVICE void publish(const struct kb_gear *a, uint32_t loop, float *room,
                       const struct sums<CHANNELS, RANK> *s)
{
    const uint32_t d = CHANNELS * WARP, n = RANK * d;
    uint32_t thread = threadIdx.x, first = thread % WARP * CHANNELS;
    for (uint32_t i = thread; i < n + RANK * RANK; i += THREADS) room[i] = 0;
    kb_sync_block();
#pragma unroll
    for (uint32_t k = 0; k < RANK; k++) {
#pragma unroll
        for (uint32_t i = 0; i < CHANNELS; i++) kb_atomic_add(&room[k * d + first + i], s->right[i][k]);
#pragma unroll
        for (uint32_t j = 0; j <= k; j++)
            if (thread % WARP == 0) kb_atomic_add(&room[n + k * RANK + j], s->gram[k * (k + 1) / 2 + j]);
    }
    kb_sync_block();
    float *sums = sums_of(a, loop, blockIdx.y);
    for (uint32_t i = thread; i < n; i += THREADS) kb_atomic_add(&sums[i], room[i]);
    for (uint32_t i = thread; i < RANK * RANK; i += THREADS)
        kb_atomic_add(&sums[MAX_RANK * d + i / RANK * MAX_RANK + i % RANK], room[n + i]);
}

/* Block: WARPS x WARP_ROWS rows of head blockIdx.y. */
template <uint32_t CHANNELS, uint32_t RANK>
KB_KERNEL __launch_bounds__(THREADS) gear_iterate(struct kb_gear a, uint32_t loop)
{
    KB_SHARED(float, room[RANK * (CHANNELS * WARP + RANK)]);
    uint32_t lane = threadIdx.x % WARP, begin = blockIdx.x * WARPS * WARP_ROWS + threadIdx.x / WARP;
    uint32_t end = (blockIdx.x + 1) * WARPS * WARP_ROWS;
    struct sums<CHANNELS, RANK> s = {
    };
    share_basis<CHANNELS, RANK>(&a, loop, room, s.basis);
#pragma unroll(CHANNELS *RANK <= 16 ? 4 : 1)
    for (uint32_t t = begin; t < end && t < a.tokens; t += WARPS) {
        uint64_t row = (uint64_t)blockIdx.y * a.tokens + t;
        struct share<float, CHANNELS> e = load_share<float, CHANNELS>(error_row(&a, row));
        float left[RANK];
        add_row<CHANNELS, RANK>(&s, e.at, left);
        if (lane != 0 || loop + 1 != a.loops) continue;
#pragma unroll
        for (uint32_t k = 0; k < RANK; k++) left_row(&a, row)[k] = left[k];
    }
    publish<CHANNELS, RANK>(&a, loop, room, &s);
}

/* a and b from the last pass: a thread per token, then per channel. */
template <uint32_t RANK> KB_KERNEL __launch_bounds__(THREADS) gear_store(struct kb_gear a)
{
    uint32_t i = blockIdx.x * THREADS + threadIdx.x, head = blockIdx.y;
    float x[RANK];
    if (i < a.tokens) {
        uint64_t row = (uint64_t)head * a.tokens + i;
        struct factor<RANK> f;
        factorise<RANK>(sums_of(&a, a.loops - 1, head) + MAX_RANK * a.head_dim, &f);
#pragma unroll
        for (uint32_t k = 0; k < RANK; k++) x[k] = left_row(&a, row)[k];
        solve<RANK>(&f, x);
#pragma unroll
        for (uint32_t k = 0; k < RANK; k++)
            if (k < a.rank) a.a[row * a.rank + k] = kb_fp16_from_float(x[k]);
    } else if (i - a.tokens < a.head_dim) {
        basis_row<RANK>(&a, a.loops, i - a.tokens, x);
#pragma unroll
        for (uint32_t k = 0; k < RANK; k++)
            if (k < a.rank)
                a.b[((uint64_t)head * a.rank + k) * a.head_dim + i - a.tokens] = kb_fp16_from_float(x[k]);
    }
}

/* ---- launches ---- */

template <uint32_t CHANNELS, uint32_t RANK>
static bool correct(struct kb_queue *queue, const struct kb_gear *a, struct kb_error *err)
{
    dim3 grid((a->tokens + WARPS * WARP_ROWS - 1) / (WARPS * WARP_ROWS), a->n_heads);
    dim3 store_grid((a->tokens + a->head_dim + THREADS - 1) / THREADS, a->n_heads);
    for (uint32_t i = 0; i < a->loops; i++)
        if (!KB_LAUNCH((gear_iterate<CHANNELS, RANK>), grid, THREADS, 0, queue, err, *a, i)) return false;
    return KB_LAUNCH(gear_store<RANK>, store_grid, THREADS, 0, queue, err, *a);
}

template <uint32_t CHANNELS>
static bool compress(struct kb_queue *queue, const struct kb_gear *a, struct kb_error *err)
{
    uint32_t blocks = (a->n_heads * a->tokens + WARPS - 1) / WARPS;
    if (a->bits == 4 && !KB_LAUNCH((gear_quantise<CHANNELS, 4>), blocks, THREADS, 0, queue, err, *a))
        return false;
    if (a->bits == 2 && !KB_LAUNCH((gear_quantise<CHANNELS, 2>), blocks, THREADS, 0, queue, err, *a))
        return false;
    return a->rank <= 4 ? correct<CHANNELS, 4>(queue, a, err) : correct<CHANNELS, 8>(queue, a, err);
}

KB_ENTRY(gear)
{
    const struct kb_gear *a = (const struct kb_gear *)args;
    uint32_t channels = a->head_dim / WARP;
    if ((a->bits != 4 && a->bits != 2) || a->rank > MAX_RANK || a->loops == 0)
        return kb_fail(err, "kv_gear: 4 or 2 bits, rank 8 at most, and at least one loop");
    if (a->group % channels || a->head_dim % a->group || (a->group & (a->group - 1)))
        return kb_fail(err, "kv_gear: group %u, expected a power of two that divides head_dim",
                       (unsigned)a->group);
    switch (a->head_dim) {
    case 64:
        return compress<2>(queue, a, err);
    case 128:
        return compress<4>(queue, a, err);
    case 256:
        return compress<8>(queue, a, err);
    default:
        return kb_fail(err, "kv_gear: head_dim %u, expected 64, 128 or 256", (unsigned)a->head_dim);
    }
}
