/* A block per token: the angles' sines and cosines are made once, in shared memory, then every thread turns 8
 * pairs of channels at a time. The frequencies come with the launch as sums of two floats, so that an angle at
 * position 100,000 is as good as one at 1. */
#include "kernels/cuda/simt.cuh"

#include <math.h>

enum { MOST_HALF = 128, MOST_THREADS = 256 };

/* Turns per position. */
struct frequencies {
    float high[MOST_HALF], low[MOST_HALF];
};

/* 8 channels of one half and of the other, in bf16 pairs. */
KB_DEVICE void turn(uint32_t *x, uint32_t *y, const float *sine, const float *cosine)
{
    float x0 = kb_bits_float(*x << 16), x1 = kb_bits_float(*x & 0xffff0000u);
    float y0 = kb_bits_float(*y << 16), y1 = kb_bits_float(*y & 0xffff0000u);
    *x = kb_pack_bf16(x0 * cosine[0] - y0 * sine[0], x1 * cosine[1] - y1 * sine[1]);
    *y = kb_pack_bf16(y0 * cosine[0] + x0 * sine[0], y1 * cosine[1] + x1 * sine[1]);
}

KB_KERNEL __launch_bounds__(MOST_THREADS) rope(struct kb_rope a, struct frequencies f)
{
    KB_SHARED(float, sine[MOST_HALF]);
    KB_SHARED(float, cosine[MOST_HALF]);
    uint32_t half = a.head_dim / 2, per_head = half / 8, heads = a.n_q_heads + a.n_kv_heads;
    uint16_t *token = a.qkv + (size_t)blockIdx.x * (heads + a.n_kv_heads) * a.head_dim;
    float pos = (float)a.pos[blockIdx.x];
    for (uint32_t i = threadIdx.x; i < half; i += blockDim.x) {
        float turns = pos * f.high[i], lost = fmaf(pos, f.high[i], -turns) + pos * f.low[i];
        kb_sincos(turns - rintf(turns) + lost, &sine[i], &cosine[i]);
    }
    kb_sync_block();
    for (uint32_t i = threadIdx.x; i < heads * per_head; i += blockDim.x) {
        uint32_t channel = i % per_head * 8;
        uint4 *low = (uint4 *)(token + (size_t)(i / per_head) * a.head_dim + channel), *high = low + per_head;
        uint4 x = *low, y = *high;
        turn(&x.x, &y.x, sine + channel, cosine + channel);
        turn(&x.y, &y.y, sine + channel + 2, cosine + channel + 2);
        turn(&x.z, &y.z, sine + channel + 4, cosine + channel + 4);
        turn(&x.w, &y.w, sine + channel + 6, cosine + channel + 6);
        *low = x;
        *high = y;
    }
}

static void fill(struct frequencies *f, float theta, uint32_t head_dim)
{
    double turns = 1 / 6.283185307179586, ratio = pow(theta, -2.0 / head_dim);
    for (uint32_t i = 0; i < head_dim / 2; i++, turns *= ratio) {
        f->high[i] = (float)turns;
        f->low[i] = (float)(turns - f->high[i]);
    }
}

KB_ENTRY(rope)
{
    const struct kb_rope *a = (const struct kb_rope *)args;
    struct frequencies f = {};
    if (a->head_dim % 16 || a->head_dim > 2 * MOST_HALF || a->head_dim == 0)
        return kb_fail(err, "rope: head_dim %u: a multiple of 16 up to %d expected", (unsigned)a->head_dim,
                       2 * MOST_HALF);
    fill(&f, a->theta, a->head_dim);
    uint32_t work = (a->n_q_heads + a->n_kv_heads) * a->head_dim / 16;
    uint32_t threads = work < (uint32_t)MOST_THREADS ? (work + 31) / 32 * 32 : (uint32_t)MOST_THREADS;
    return KB_LAUNCH(rope, a->n_tokens, threads, 0, queue, err, *a, f);
}
