/* Quantising on the device, bit for bit as kernels/format.h defines it: the range of bf16 pairs, the fp16 pair
 * of a set, codes of eight channels at a time. Codes need the quotient (x - minimum) / scale correctly rounded;
 * it costs a product and two fused steps here (Markstein 1990: exact when the reciprocal is). */
#ifndef KVSIM_KERNELS_CUDA_OPS_AFFINE_CUH
#define KVSIM_KERNELS_CUDA_OPS_AFFINE_CUH

#include "kernels/cuda/simt.cuh"
#include "kernels/format.h"

#include <math.h>

/* Channels of a lane's 16 bytes; a range that no value has widened yet. */
enum { KB_LANE_CHANNELS = 8 };
#define KB_RANGE_EMPTY 0xff80ff80u

KB_DEVICE float kb_bf16_low(uint32_t pair)
{
    return kb_bits_float(pair << 16);
}

KB_DEVICE float kb_bf16_high(uint32_t pair)
{
    return kb_bits_float(pair & 0xffff0000u);
}

/* A divisor and its reciprocal. */
struct kb_divisor {
    float value, inverse;
};

/* x / y, rounded as a division rounds. */
KB_DEVICE float kb_quotient(float x, struct kb_divisor y)
{
    float q = x * y.inverse;
    return fmaf(fmaf(-q, y.value, x), y.inverse, q);
}

/* Range of eight channels: bf16 largest in the low half, least negated in the high half, so that ranges join
 * by one kb_max_bf16x2. */
KB_DEVICE uint32_t kb_range_of(uint4 x)
{
    uint32_t high = kb_max_bf16x2(kb_max_bf16x2(x.x, x.y), kb_max_bf16x2(x.z, x.w));
    uint32_t low = kb_min_bf16x2(kb_min_bf16x2(x.x, x.y), kb_min_bf16x2(x.z, x.w)) ^ 0x80008000u;
    return kb_max_bf16x2(kb_permute_bytes(high, low, 0x5410), kb_permute_bytes(high, low, 0x7632));
}

/* Range over `lanes` neighbours, a power of two. */
KB_DEVICE uint32_t kb_range_join(uint32_t range, uint32_t lanes)
{
    for (uint32_t o = lanes / 2; o; o /= 2) range = kb_max_bf16x2(range, kb_shfl_xor(range, (int)o));
    return range;
}

/* The stored pair: fp16 scale in the low half, minimum in the high. */
KB_DEVICE uint32_t kb_pair_of(float low, float high, uint32_t bits)
{
    struct kb_affine a = kb_affine_of(low, high, bits);
    return a.scale | (uint32_t)a.minimum << 16;
}

KB_DEVICE uint32_t kb_pair_of_range(uint32_t range, uint32_t bits)
{
    return kb_pair_of(-kb_bf16_high(range), kb_bf16_low(range), bits);
}

/* A pair ready for use. */
struct kb_quantiser {
    struct kb_divisor scale;
    float minimum;
};

KB_DEVICE struct kb_quantiser kb_quantiser_of(uint32_t pair)
{
    struct kb_quantiser q;
    q.scale.value = kb_fp16_to_float((uint16_t)pair);
    q.scale.inverse = 1.0f / q.scale.value;
    q.minimum = kb_fp16_to_float((uint16_t)(pair >> 16));
    return q;
}

template <uint32_t BITS> KB_DEVICE uint32_t kb_code_of(struct kb_quantiser q, float x)
{
    float code = kb_quotient(x - q.minimum, q.scale);
    return (uint32_t)(fminf(fmaxf(code, 0.0f), (float)((1u << BITS) - 1u)) + 0.5f);
}

/* Codes of eight channels, channel 0 lowest: 64, 32 or 16 bits. */
struct kb_codes {
    uint32_t word[2];
};

template <uint32_t BITS> KB_DEVICE void kb_codes_put(struct kb_codes *c, uint32_t channel, uint32_t code)
{
    c->word[channel * BITS / 32] |= code << (channel * BITS % 32);
}

/* All eight of one set. */
template <uint32_t BITS> KB_DEVICE struct kb_codes kb_codes_of(struct kb_quantiser q, uint4 x)
{
    const uint32_t pair[4] = {x.x, x.y, x.z, x.w};
    struct kb_codes c = {{0, 0}};
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) {
        kb_codes_put<BITS>(&c, 2 * i, kb_code_of<BITS>(q, kb_bf16_low(pair[i])));
        kb_codes_put<BITS>(&c, 2 * i + 1, kb_code_of<BITS>(q, kb_bf16_high(pair[i])));
    }
    return c;
}

/* Writes a lane's codes to its place in a row. */
template <uint32_t BITS> KB_DEVICE void kb_codes_store(uint8_t *row, uint32_t lane, struct kb_codes c)
{
    if (BITS == 8) ((uint2 *)row)[lane] = make_uint2(c.word[0], c.word[1]);
    if (BITS == 4) ((uint32_t *)row)[lane] = c.word[0];
    if (BITS == 2) ((uint16_t *)row)[lane] = (uint16_t)c.word[0];
}

#endif
