/* A thread per 8 channels of a token. */
#include "kernels/cuda/simt.cuh"

enum { THREADS = 256 };

KB_DEVICE float low_of(uint32_t pair)
{
    return kb_bits_float(pair << 16);
}

KB_DEVICE float high_of(uint32_t pair)
{
    return kb_bits_float(pair & 0xffff0000u);
}

KB_DEVICE float silu(float x)
{
    return x * kb_reciprocal(1.0f + kb_exp2(-1.44269504f * x));
}

KB_DEVICE uint32_t gated(uint32_t gate, uint32_t up)
{
    return kb_pack_bf16(silu(low_of(gate)) * low_of(up), silu(high_of(gate)) * high_of(up));
}

KB_KERNEL __launch_bounds__(THREADS) swiglu(const uint16_t *x, uint16_t *y, uint32_t width)
{
    uint32_t channel = 8 * (blockIdx.y * THREADS + threadIdx.x);
    if (channel >= width) return;
    const uint16_t *gate = x + (size_t)blockIdx.x * 2 * width + channel;
    uint4 g = kb_load16(gate), u = kb_load16(gate + width);
    *(uint4 *)(y + (size_t)blockIdx.x * width + channel) =
        make_uint4(gated(g.x, u.x), gated(g.y, u.y), gated(g.z, u.z), gated(g.w, u.w));
}

KB_ENTRY(swiglu)
{
    const struct kb_swiglu *a = (const struct kb_swiglu *)args;
    if (a->width % 8) return kb_fail(err, "swiglu: width %u: a multiple of 8 expected", (unsigned)a->width);
    dim3 grid(a->n_tokens, (a->width / 8 + THREADS - 1) / THREADS);
    return KB_LAUNCH(swiglu, grid, THREADS, 0, queue, err, a->x, a->y, a->width);
}
