/* A block per row. Threads keep the first largest of what they see, 16 bytes at a time; the block keeps the
 * first of theirs. A row is never divided: that would take a second launch, or scratch to be cleared. */
#include "kernels/cuda/simt.cuh"

enum { THREADS = 1024, WARPS = THREADS / 32, LOADS = 4 };

struct best {
    float value;
    uint32_t index;
};

KB_DEVICE void keep(best &b, float value, uint32_t index)
{
    bool better = value > b.value || (value == b.value && index < b.index);
    b.value = better ? value : b.value;
    b.index = better ? index : b.index;
}

/* In ascending order of index, so that equals stay behind. */
KB_DEVICE void keep_pair(best &b, uint32_t pair, uint32_t index)
{
    float low = kb_bits_float(pair << 16), high = kb_bits_float(pair & 0xffff0000u);
    if (low > b.value) b = {low, index};
    if (high > b.value) b = {high, index + 1};
}

KB_DEVICE void keep_8(best &b, uint4 v, uint32_t index)
{
    keep_pair(b, v.x, index);
    keep_pair(b, v.y, index + 2);
    keep_pair(b, v.z, index + 4);
    keep_pair(b, v.w, index + 6);
}

KB_DEVICE void keep_warp(best &b)
{
#pragma unroll
    for (int mask = 16; mask; mask /= 2) {
        float value = kb_shfl_xor(b.value, mask);
        keep(b, value, kb_shfl_xor(b.index, mask));
    }
}

/* Whole 16 bytes from `at`, the row's first aligned element. */
KB_DEVICE best scan(const uint16_t *row, uint32_t at, uint32_t n_vectors)
{
    best b = {-INFINITY, 0};
    const uint4 *v = (const uint4 *)(row + at);
    uint32_t i = threadIdx.x;
    for (; i + (LOADS - 1) * THREADS < n_vectors; i += LOADS * THREADS) {
        uint4 x[LOADS];
#pragma unroll
        for (int j = 0; j < LOADS; j++) x[j] = kb_load16(v + i + j * THREADS);
#pragma unroll
        for (int j = 0; j < LOADS; j++) keep_8(b, x[j], at + 8 * (i + j * THREADS));
    }
    for (; i < n_vectors; i += THREADS) keep_8(b, kb_load16(v + i), at + 8 * i);
    return b;
}

KB_KERNEL __launch_bounds__(THREADS) sample(struct kb_sample a)
{
    KB_SHARED(float, value[WARPS]);
    KB_SHARED(uint32_t, index[WARPS]);
    const uint16_t *row = a.logits + (size_t)blockIdx.x * a.vocab;
    uint32_t lead = (uint32_t)(-((uintptr_t)row / 2) % 8); /* elements before 16 bytes are aligned */
    if (lead > a.vocab) lead = a.vocab;
    uint32_t n_vectors = (a.vocab - lead) / 8, end = lead + 8 * n_vectors;
    best b = scan(row, lead, n_vectors);
    if (threadIdx.x < lead) keep(b, kb_bf16_to_float(row[threadIdx.x]), threadIdx.x);
    if (threadIdx.x < a.vocab - end) keep(b, kb_bf16_to_float(row[end + threadIdx.x]), end + threadIdx.x);
    keep_warp(b);
    if (threadIdx.x % 32 == 0) {
        value[threadIdx.x / 32] = b.value;
        index[threadIdx.x / 32] = b.index;
    }
    kb_sync_block();
    if (threadIdx.x >= 32) return;
    b = {value[threadIdx.x], index[threadIdx.x]};
    keep_warp(b);
    if (threadIdx.x == 0) a.token[blockIdx.x] = b.index;
}

KB_ENTRY(sample)
{
    const struct kb_sample *a = (const struct kb_sample *)args;
    return KB_LAUNCH(sample, a->n_rows, THREADS, 0, queue, err, *a);
}
