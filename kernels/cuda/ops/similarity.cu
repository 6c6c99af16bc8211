/* A warp for each KV head of each sequence: CHUNKS lanes side by side over a query head's channels, the query
 * heads of the group shared out over what lanes are left. */
#include "kernels/cuda/simt.cuh"

enum { THREADS = 128 };

/* Sums of x y, x x and y y over two bf16. */
KB_DEVICE void add_pair(float sum[3], uint32_t x, uint32_t y)
{
    float x0 = kb_bits_float(x << 16), x1 = kb_bits_float(x & 0xffff0000u);
    float y0 = kb_bits_float(y << 16), y1 = kb_bits_float(y & 0xffff0000u);
    sum[0] += x0 * y0 + x1 * y1;
    sum[1] += x0 * x0 + x1 * x1;
    sum[2] += y0 * y0 + y1 * y1;
}

template <int CHUNKS> KB_DEVICE float cosine(const uint16_t *x, const uint16_t *y)
{
    float sum[3] = {0, 0, 0};
    uint4 a = kb_load16(x), b = kb_load16(y);
    add_pair(sum, a.x, b.x);
    add_pair(sum, a.y, b.y);
    add_pair(sum, a.z, b.z);
    add_pair(sum, a.w, b.w);
#pragma unroll
    for (int mask = 1; mask < CHUNKS; mask *= 2)
#pragma unroll
        for (int i = 0; i < 3; i++) sum[i] += kb_shfl_xor(sum[i], mask);
    return sum[0] * kb_rsqrt(sum[1]) * kb_rsqrt(sum[2]);
}

template <int CHUNKS> KB_KERNEL __launch_bounds__(THREADS) similarity_kernel(const struct kb_similarity a)
{
    const uint32_t parts = 32 / CHUNKS, group = a.n_q_heads / a.n_kv_heads;
    uint32_t row = blockIdx.x * (THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32,
             part = lane / CHUNKS;
    if (row >= a.n_seqs * a.n_kv_heads) return;
    float sum = 0;
    for (uint32_t first = 0; first < group; first += parts) {
        uint32_t g = first + part < group ? first + part : group - 1;
        uint64_t at = (((uint64_t)row * group + g) * CHUNKS + lane % CHUNKS) * 8;
        float c = cosine<CHUNKS>(a.q + at, a.q_last + at);
        if (first + part < group) sum += c;
    }
#pragma unroll
    for (int mask = CHUNKS; mask < 32; mask *= 2) sum += kb_shfl_xor(sum, mask);
    if (lane != 0) return;
    float mean = sum / (float)group;
    a.cosine[row] = mean;
    a.flag[row] = mean < a.tau;
    if (mean < a.tau) kb_atomic_add(a.any, 1u);
}

template <int CHUNKS>
static bool launch(struct kb_queue *queue, const struct kb_similarity *a, struct kb_error *err)
{
    uint32_t warps = THREADS / 32, blocks = (a->n_seqs * a->n_kv_heads + warps - 1) / warps;
    return KB_LAUNCH((similarity_kernel<CHUNKS>), dim3(blocks), dim3(THREADS), 0, queue, err, *a);
}

KB_ENTRY(similarity)
{
    const struct kb_similarity *a = (const struct kb_similarity *)args;
    switch (a->head_dim) {
    case 64:
        return launch<8>(queue, a, err);
    case 128:
        return launch<16>(queue, a, err);
    case 256:
        return launch<32>(queue, a, err);
    default:
        return kb_fail(err, "kv_similarity: head_dim %u; 64, 128 or 256 expected", (unsigned)a->head_dim);
    }
}
