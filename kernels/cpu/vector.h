/* What the cpu kernels share to make vectors of plain loops: the width, a fused multiply-add where it is one
 * instruction (strict C11 keeps a compiler from fusing by itself), and rows of bf16 and fp8 to fp32 and back.
 * Sums keep KB_LANES partial sums, because a compiler may not reorder a float sum on its own. Compiled once
 * per instruction set, like the kernels that include it. */
#ifndef KVSIM_KERNELS_CPU_VECTOR_H
#define KVSIM_KERNELS_CPU_VECTOR_H

#include "kernels/format.h"

#include <math.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { KB_LANES = 16 };
#elif defined(__AVX2__)
enum { KB_LANES = 8 };
#else
enum { KB_LANES = 4 };
#endif

#ifdef FP_FAST_FMAF
#define KB_FMA(a, b, c) fmaf(a, b, c)
#else
#define KB_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* Vectors said outright, where a loop over an array would not stay in registers: floats, and words at any even
 * address. */
typedef float kb_floats __attribute__((vector_size(4 * KB_LANES), may_alias));
typedef uint32_t kb_words __attribute__((vector_size(4 * KB_LANES), aligned(2), may_alias));

#if defined(__AVX512F__)
#define KB_FLOATS_FMA(a, b, c) ((kb_floats)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#elif defined(__AVX2__)
#define KB_FLOATS_FMA(a, b, c) ((kb_floats)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#else
#define KB_FLOATS_FMA(a, b, c) ((a) * (b) + (c))
#endif

/* For functions whose constant arguments must become unrolled loops. */
#define KB_INLINE static inline __attribute__((always_inline))

/* Sums of the lanes of n vectors, by halves, many vectors at a time; what was in them is lost. */
KB_INLINE void kb_lanes_sums(kb_floats *vector, const int n, float *sum)
{
    float(*v)[KB_LANES] = (float(*)[KB_LANES])vector;
    for (int half = KB_LANES / 2; half >= 4; half /= 2)
        for (int i = 0; i < n; i++)
            for (int l = 0; l < half; l++) v[i][l] += v[i][l + half];
    for (int i = 0; i < n; i++) sum[i] = (v[i][0] + v[i][1]) + (v[i][2] + v[i][3]);
}

/* 2 KB_LANES bf16 as two vectors, even and odd elements apart: two instructions, and good enough wherever the
 * other operand is split the same way. */
struct kb_even_odd {
    kb_floats even, odd;
};

KB_INLINE struct kb_even_odd kb_split_bf16(const uint16_t *x)
{
    kb_words pair = *(const kb_words *)x;
    return (struct kb_even_odd){(kb_floats)(pair << 16), (kb_floats)(pair & 0xffff0000u)};
}

static inline void kb_widen_bf16(const uint16_t *restrict x, float *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = kb_bf16_to_float(x[i]);
}

/* kb_bf16_from_float without a branch. */
KB_INLINE uint16_t kb_round_bf16(float x)
{
    union kb_bits b;
    b.f = x;
    uint32_t nearest = (b.u + 0x7fffu + ((b.u >> 16) & 1u)) >> 16, quiet = (b.u >> 16) | 0x40u;
    return (uint16_t)((b.u & 0x7fffffffu) > 0x7f800000u ? quiet : nearest);
}

/* kb_fp8_to_float without a branch: a subnormal gets a leading one, which is subtracted again. The code of NaN
 * is not looked for. */
KB_INLINE float kb_fp8_value(uint8_t x)
{
    uint32_t size = x & 0x7fu, exponent = size < 8 ? 121u : 120u;
    union kb_bits b, lead;
    b.u = (size << 20) + (exponent << 23);
    lead.u = size < 8 ? 121u << 23 : 0;
    b.f -= lead.f;
    b.u |= (uint32_t)(x & 0x80u) << 24;
    return b.f;
}

static inline void kb_widen_fp8(const uint8_t *restrict x, float *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = kb_fp8_value(x[i]);
}

#endif
