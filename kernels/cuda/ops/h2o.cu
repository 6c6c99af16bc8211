/* A block for each KV head of each sequence; a thread takes four neighbouring tokens (16 bytes) of every
 * query head of the group at a time. The victim is the least of keys (score, position), so that positions
 * break ties. */
#include "kernels/cuda/simt.cuh"

enum { THREADS = 1024 };

/* Score, then position, as one number; adding 0 makes -0 and 0 equal. */
KB_DEVICE uint64_t rank_of(float score, uint32_t position)
{
    uint32_t u = kb_float_bits(score + 0.0f);
    return (uint64_t)(u & 0x80000000u ? ~u : u | 0x80000000u) << 32 | position;
}

KB_DEVICE uint64_t least(uint64_t x, uint64_t y)
{
    return x < y ? x : y;
}

/* New scores of tokens t to t + 3 of which the first n exist; the least rank of those before `evictable`. */
KB_DEVICE uint64_t update(const struct kb_h2o &a, uint64_t row, uint32_t group, uint32_t t, uint32_t n,
                          uint32_t evictable)
{
    float *at = a.score + row * a.max_tokens + t;
    float4 old = *(const float4 *)at;
    float score[4] = {old.x, old.y, old.z, old.w};
    uint64_t rank = ~(uint64_t)0;
#pragma unroll 4
    for (uint32_t g = 0; g < group; g++) {
        uint4 w = kb_load16(a.weight + (row * group + g) * a.max_tokens + t);
        score[0] += kb_bits_float(w.x);
        score[1] += kb_bits_float(w.y);
        score[2] += kb_bits_float(w.z);
        score[3] += kb_bits_float(w.w);
    }
    if (n >= 4) *(float4 *)at = make_float4(score[0], score[1], score[2], score[3]);
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) {
        if (n < 4 && i < n) at[i] = score[i];
        if (t + i < evictable) rank = least(rank, rank_of(score[i], t + i));
    }
    return rank;
}

KB_KERNEL __launch_bounds__(THREADS) h2o_kernel(const struct kb_h2o a)
{
    KB_SHARED(uint64_t, warp_rank[THREADS / 32]);
    uint32_t row = blockIdx.x, group = a.n_q_heads / a.n_kv_heads, length = a.lengths[row / a.n_kv_heads];
    uint32_t evictable = length > a.recent ? length - a.recent : 0, lane = threadIdx.x % 32;
    uint64_t rank = ~(uint64_t)0;
    for (uint32_t t = 4 * threadIdx.x; t < length; t += 4 * THREADS)
        rank = least(rank, update(a, row, group, t, length - t, evictable));
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) rank = least(rank, kb_shfl_xor(rank, mask));
    if (lane == 0) warp_rank[threadIdx.x / 32] = rank;
    kb_sync_block();
    if (threadIdx.x >= 32) return;
    rank = warp_rank[lane];
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) rank = least(rank, kb_shfl_xor(rank, mask));
    if (lane == 0) a.victim[row] = (uint32_t)rank;
}

KB_ENTRY(h2o)
{
    const struct kb_h2o *a = (const struct kb_h2o *)args;
    if (a->max_tokens % 4)
        return kb_fail(err, "kv_h2o: max_tokens %u, a multiple of 4 expected", (unsigned)a->max_tokens);
    return KB_LAUNCH(h2o_kernel, dim3(a->n_seqs * a->n_kv_heads), dim3(THREADS), 0, queue, err, *a);
}
