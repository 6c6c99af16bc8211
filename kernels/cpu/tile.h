/* Small dense products for attention on the CPU: tiles of at most 64 columns in fp32, columns in vector
 * lanes, four or eight rows of sums kept in registers. Columns are query rows in prefill and keys in the
 * score pass, so softmax needs no sums across lanes. The element of the left factor is broadcast, which
 * lets it be read in either order: keys and values are used as they lie, without transposing. */
#ifndef KVSIM_KERNELS_CPU_TILE_H
#define KVSIM_KERNELS_CPU_TILE_H

#include "kernels/cpu/vector.h"

/* One vector, at any address. Said outright: not every compiler keeps loops over arrays in registers. */
typedef float kb_vector __attribute__((vector_size(4 * KB_LANES), aligned(4), may_alias));

#if defined(__AVX512F__)
#include <immintrin.h>
#define KB_VECTOR_FMA(a, b, c) ((kb_vector)_mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)(b), (__m512)(c)))
#elif defined(__AVX2__)
#include <immintrin.h>
#define KB_VECTOR_FMA(a, b, c) ((kb_vector)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)(b), (__m256)(c)))
#else
#define KB_VECTOR_FMA(a, b, c) ((a) * (b) + (c))
#endif

enum { KB_TILE = 64, KB_TILE_ROWS = 8, KB_TILE_WIDE = KB_LANES == 16 ? 4 : 2 }; /* wide: in vectors */

/* Columns a tile of n really computes: whole vectors. */
static inline uint32_t kb_tile_columns(uint32_t n)
{
    return (n + KB_LANES - 1) / KB_LANES * KB_LANES;
}

/* c[m][n] += a[m][k] b[k][n]; element (i, j) of a at a[i * a_row + j * a_column]; rows of b and c are KB_TILE
 * floats apart. m a multiple of KB_TILE_ROWS, n of KB_LANES and at most KB_TILE. */
struct kb_tile_product {
    const float *a, *b;
    float *c;
    uint32_t a_row, a_column, m, n, k;
};

KB_INLINE void kb_tile_block(const struct kb_tile_product *t, uint32_t row, uint32_t column, int rows,
                             int wide)
{
    kb_vector sum[KB_TILE_ROWS][KB_TILE_WIDE];
    float *c = t->c + row * KB_TILE + column;
    const float *a = t->a + row * t->a_row, *b = t->b + column;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < wide; j++) sum[i][j] = *(const kb_vector *)(c + i * KB_TILE + j * KB_LANES);
    for (uint32_t k = 0; k < t->k; k++, a += t->a_column, b += KB_TILE)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < wide; j++)
                sum[i][j] = KB_VECTOR_FMA(a[(uint32_t)i * t->a_row], *(const kb_vector *)(b + j * KB_LANES),
                                          sum[i][j]);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < wide; j++) *(kb_vector *)(c + i * KB_TILE + j * KB_LANES) = sum[i][j];
}

KB_INLINE void kb_tile_strip(const struct kb_tile_product *t, uint32_t column, int rows, int wide)
{
    for (uint32_t row = 0; row < t->m; row += (uint32_t)rows) kb_tile_block(t, row, column, rows, wide);
}

/* Strips as wide as the registers allow, then one for what is left; at least 8 sums under way hide the
 * latency of an addition. */
static inline void kb_tile_multiply(const struct kb_tile_product *t)
{
    uint32_t column = 0;
    for (; column + KB_TILE_WIDE * KB_LANES <= t->n; column += KB_TILE_WIDE * KB_LANES)
        kb_tile_strip(t, column, 4, KB_TILE_WIDE);
    switch ((t->n - column) / KB_LANES) {
    case 3:
        kb_tile_strip(t, column, 4, KB_TILE_WIDE / 4 * 3);
        break;
    case 2:
        kb_tile_strip(t, column, 4, KB_TILE_WIDE / 2);
        break;
    case 1:
        kb_tile_strip(t, column, 8, 1);
        break;
    default:
        break;
    }
}

/* 2^x for x <= 127, relative error 2e-7; below 2^-126 it stays there. Taylor's series about the nearest
 * integer. No branch and no comparison of floats, so that loops over it become vectors: of two negative
 * floats the smaller one has the larger bits. */
static inline float kb_tile_exp2(float x)
{
    union kb_bits low, whole, power;
    low.f = x;
    low.u = low.u > 0xc2fc0000u ? 0xc2fc0000u : low.u; /* -126 */
    x = low.f;
    whole.f = x + 12582912.0f; /* 1.5 x 2^23: the integer is in the low bits */
    float f = x - (whole.f - 12582912.0f);
    float y = 1.54035304e-4f;
    y = KB_FMA(y, f, 1.33335581e-3f);
    y = KB_FMA(y, f, 9.61812911e-3f);
    y = KB_FMA(y, f, 5.55041087e-2f);
    y = KB_FMA(y, f, 2.40226507e-1f);
    y = KB_FMA(y, f, 6.93147181e-1f);
    y = KB_FMA(y, f, 1.0f);
    power.u = (whole.u - 0x4b400000u + 127u) << 23;
    return y * power.f;
}

/* One bf16 row times a factor, as a column: elements KB_TILE floats apart. */
static inline void kb_tile_column(const uint16_t *from, uint32_t n, float factor, float *to)
{
    for (uint32_t i = 0; i < n; i++) to[i * KB_TILE] = kb_bf16_to_float(from[i]) * factor;
}

/* Row of a key (kv 0) or value (kv 1) of a bf16 pool. */
static inline const uint16_t *kb_tile_row(const struct kb_paged *p, const void *pool, const uint32_t *table,
                                          const uint32_t at[3])
{
    uint32_t kv = at[0], position = at[1], head = at[2];
    return (const uint16_t *)pool +
           kb_row(p, table[position / p->page_tokens], kv, position % p->page_tokens, head) * p->head_dim;
}

#endif
