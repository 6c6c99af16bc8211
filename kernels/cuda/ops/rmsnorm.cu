/* A block per token. Every thread keeps its channels in registers between the sum of squares and the scaling, so
 * that the residual is read once. */
#include "kernels/cuda/simt.cuh"

enum { WARPS = 32, MOST_VECTORS = 4, MOST_WIDTH = 8 * 32 * WARPS * MOST_VECTORS };

KB_DEVICE float low_of(uint32_t pair)
{
    return kb_bits_float(pair << 16);
}

KB_DEVICE float high_of(uint32_t pair)
{
    return kb_bits_float(pair & 0xffff0000u);
}

KB_DEVICE uint32_t add(uint32_t a, uint32_t b)
{
    return kb_pack_bf16(low_of(a) + low_of(b), high_of(a) + high_of(b));
}

KB_DEVICE float squares(uint32_t a)
{
    return low_of(a) * low_of(a) + high_of(a) * high_of(a);
}

KB_DEVICE uint32_t scaled(uint32_t a, float scale, uint32_t weight)
{
    return kb_pack_bf16(low_of(a) * scale * low_of(weight), high_of(a) * scale * high_of(weight));
}

KB_DEVICE float block_sum(float x)
{
    KB_SHARED(float, part[WARPS]);
    uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int mask = 16; mask; mask /= 2) x += kb_shfl_xor(x, mask);
    if (lane == 0) part[warp] = x;
    kb_sync_block();
    x = lane < blockDim.x / 32 ? part[lane] : 0;
#pragma unroll
    for (int mask = 16; mask; mask /= 2) x += kb_shfl_xor(x, mask);
    return x;
}

/* VECTORS of 8 channels a thread, blockDim.x vectors apart. */
template <int VECTORS> KB_KERNEL __launch_bounds__(32 * WARPS) rmsnorm(struct kb_rmsnorm a)
{
    uint32_t n = a.width / 8;
    const uint4 *x = (const uint4 *)a.x + (size_t)blockIdx.x * n, *weight = (const uint4 *)a.weight;
    uint4 *residual = (uint4 *)a.residual + (size_t)blockIdx.x * n,
          *y = (uint4 *)a.y + (size_t)blockIdx.x * n;
    uint4 r[VECTORS], u[VECTORS];
    float sum = 0;
#pragma unroll
    for (int j = 0; j < VECTORS; j++) { /* all loads before the first store, which might be where they read */
        uint32_t i = threadIdx.x + j * blockDim.x;
        if (i >= n) continue;
        u[j] = kb_load16(x + i);
        r[j] = residual[i];
    }
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
        uint32_t i = threadIdx.x + j * blockDim.x;
        if (i >= n) continue;
        r[j] = make_uint4(add(u[j].x, r[j].x), add(u[j].y, r[j].y), add(u[j].z, r[j].z), add(u[j].w, r[j].w));
        sum += squares(r[j].x) + squares(r[j].y) + squares(r[j].z) + squares(r[j].w);
        residual[i] = r[j];
    }
    float scale = kb_rsqrt(block_sum(sum) / (float)a.width + a.eps);
#pragma unroll
    for (int j = 0; j < VECTORS; j++) {
        uint32_t i = threadIdx.x + j * blockDim.x;
        if (i >= n) continue;
        uint4 w = weight[i];
        y[i] = make_uint4(scaled(r[j].x, scale, w.x), scaled(r[j].y, scale, w.y), scaled(r[j].z, scale, w.z),
                          scaled(r[j].w, scale, w.w));
    }
}

KB_ENTRY(rmsnorm)
{
    const struct kb_rmsnorm *a = (const struct kb_rmsnorm *)args;
    if (a->width % 8 || a->width > MOST_WIDTH || a->width == 0)
        return kb_fail(err, "rmsnorm: width %u: a multiple of 8 up to %d expected", (unsigned)a->width,
                       MOST_WIDTH);
    uint32_t n = a->width / 8, vectors = n <= 256 ? 1 : n <= 1024 ? 2 : 4;
    uint32_t threads = ((n + vectors - 1) / vectors + 31) / 32 * 32;
    if (vectors == 1) return KB_LAUNCH(rmsnorm<1>, a->n_tokens, threads, 0, queue, err, *a);
    if (vectors == 2) return KB_LAUNCH(rmsnorm<2>, a->n_tokens, threads, 0, queue, err, *a);
    return KB_LAUNCH(rmsnorm<4>, a->n_tokens, threads, 0, queue, err, *a);
}
