/* Radix select, a block per row: the k-th largest key is found digit by digit from the top, each time
 * counting only what agrees with the digits so far (11, 11 and 10 bits); then all larger keys are taken, and
 * of its equals as many as are missing. The row is read four times, the last three from cache. */
#include "kernels/cuda/simt.cuh"

enum { THREADS = 512, BINS = 2048, BINS_A_THREAD = BINS / THREADS };

struct state {
    uint32_t bins[BINS], warp_sum[THREADS / 32];
    uint32_t prefix, need;  /* digits found; rank of the k-th largest among the keys that share them */
    uint32_t larger, equal; /* taken so far */
};

/* Bits of a float in an order that unsigned integers keep. */
KB_DEVICE uint32_t ordered(float x)
{
    uint32_t u = kb_float_bits(x);
    return u & 0x80000000u ? ~u : u | 0x80000000u;
}

KB_DEVICE void count_digits(struct state &s, const float *score, uint32_t n, uint32_t shift, uint32_t known)
{
    uint32_t prefix = s.prefix;
    for (uint32_t i = threadIdx.x; i < BINS; i += THREADS) s.bins[i] = 0;
    kb_sync_block();
    for (uint32_t i = threadIdx.x; i < n; i += THREADS) {
        uint32_t key = ordered(score[i]);
        if (((key ^ prefix) & known) == 0) kb_atomic_add(&s.bins[(key >> shift) & (BINS - 1)], 1u);
    }
    kb_sync_block();
}

/* The bin that holds rank `need` from the top: thread i sums four bins, the first thread the highest ones. */
KB_DEVICE void find_digit(struct state &s, uint32_t shift)
{
    uint32_t thread = threadIdx.x, lane = thread % 32, warp = thread / 32, sum = 0, need = s.need;
    uint32_t top = BINS - 1 - BINS_A_THREAD * thread;
    for (uint32_t i = 0; i < BINS_A_THREAD; i++) sum += s.bins[top - i];
    uint32_t upto = sum; /* of this warp's threads up to this one */
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        uint32_t before = kb_shfl_up(upto, step);
        if (lane >= (uint32_t)step) upto += before;
    }
    if (lane == 31) s.warp_sum[warp] = upto;
    kb_sync_block();
    for (uint32_t i = 0; i < warp; i++) upto += s.warp_sum[i];
    if (upto < need || upto - sum >= need) return;
    uint32_t above = upto - sum;
    for (; above + s.bins[top] < need; top--) above += s.bins[top];
    s.need = need - above;
    s.prefix |= top << shift;
}

KB_DEVICE void take(struct state &s, const float *score, uint32_t n, uint32_t k, uint32_t *index)
{
    uint32_t threshold = s.prefix, n_equal = s.need, n_larger = k - n_equal;
    for (uint32_t i = threadIdx.x; i < n; i += THREADS) {
        uint32_t key = ordered(score[i]);
        if (key < threshold) continue;
        if (key > threshold) {
            index[kb_atomic_add(&s.larger, 1u)] = i;
        } else {
            uint32_t at = kb_atomic_add(&s.equal, 1u);
            if (at < n_equal) index[n_larger + at] = i;
        }
    }
}

KB_KERNEL __launch_bounds__(THREADS) topk_kernel(const struct kb_topk a)
{
    KB_SHARED(struct state, s);
    uint32_t row = blockIdx.x, n = a.counts[row];
    const float *score = a.score + (uint64_t)row * a.width;
    uint32_t *index = a.index + (uint64_t)row * a.k;
    if (n <= a.k) {
        for (uint32_t i = threadIdx.x; i < a.k; i += THREADS) index[i] = i < n ? i : UINT32_MAX;
        return;
    }
    if (threadIdx.x == 0) {
        s.prefix = s.larger = s.equal = 0;
        s.need = a.k;
    }
    kb_sync_block();
    const uint32_t shift[3] = {21, 10, 0}, known[3] = {0, ~0u << 21, ~0u << 10};
#pragma unroll
    for (uint32_t digit = 0; digit < 3; digit++) {
        count_digits(s, score, n, shift[digit], known[digit]);
        find_digit(s, shift[digit]);
        kb_sync_block();
    }
    take(s, score, n, a.k, index);
}

KB_ENTRY(topk)
{
    const struct kb_topk *a = (const struct kb_topk *)args;
    return KB_LAUNCH(topk_kernel, dim3(a->n_rows), dim3(THREADS), 0, queue, err, *a);
}
