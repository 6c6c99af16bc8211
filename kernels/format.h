/* How numbers, pages and codes lie in memory: inline functions that host and device code share, so that the
 * bytes the CUDA kernels read are the bytes the tests on the CPU prove. A pool holds rows: the head_dim
 * channels of one (page, key or value, token, head). A quantised value is scale x code + minimum.
 *   NHD  [page][2][token][head][channel]      HND  [page][head][2][token][channel]
 *   scales (fp16 pairs: scale, minimum), K and V apart, same order of page, head and token as the rows:
 *     int8, int4   one pair per row
 *     KIVI K       one pair per (group of 32 tokens of the page, head, channel)
 *     KIVI V       one pair per (token, head, group of 32 channels)
 *   residual ring of KIVI: bf16 [sequence][2][ring][head][channel], position t at t mod ring */
#ifndef KVSIM_KERNELS_FORMAT_H
#define KVSIM_KERNELS_FORMAT_H

#include "kernels/kbench.h"

#ifdef __CUDACC__
#define KB_HD __host__ __device__ static inline
#else
#define KB_HD static inline
#endif

enum { KB_GROUP = 32 }; /* tokens or channels that share a scale in KIVI */

/* ---- numbers ---- */

union kb_bits {
    float f;
    uint32_t u;
};

KB_HD float kb_bf16_to_float(uint16_t x)
{
    union kb_bits b;
    b.u = (uint32_t)x << 16;
    return b.f;
}

/* Round to nearest even; NaN stays NaN. */
KB_HD uint16_t kb_bf16_from_float(float x)
{
    union kb_bits b;
    b.f = x;
    if ((b.u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((b.u >> 16) | 0x40u);
    return (uint16_t)((b.u + 0x7fffu + ((b.u >> 16) & 1u)) >> 16);
}

KB_HD float kb_fp16_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 1023u;
    union kb_bits b;
    if (exponent == 31) {
        b.u = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent) {
        b.u = sign | ((exponent + 112u) << 23) | (mantissa << 13);
    } else { /* zero or subnormal: mantissa x 2^-24, exact */
        b.f = (float)mantissa * 5.9604644775390625e-8f;
        b.u |= sign;
    }
    return b.f;
}

/* Round to nearest even; too large becomes infinity. */
KB_HD uint16_t kb_fp16_from_float(float x)
{
    union kb_bits b;
    b.f = x;
    uint32_t sign = (b.u >> 16) & 0x8000u, u = b.u & 0x7fffffffu;
    if (u > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (u >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u);
    if (u < 0x38800000u) { /* subnormal: adding 2^-1 x 2^-23... aligns and rounds the mantissa */
        union kb_bits magic;
        b.u = u;
        magic.f = b.f + 0.5f;
        return (uint16_t)(sign | (magic.u - 0x3f000000u));
    }
    u += 0xfffu + ((u >> 13) & 1u);
    return (uint16_t)(sign | ((u - 0x38000000u) >> 13));
}

/* fp8 e4m3fn: bias 7, no infinity, 0x7f is NaN, largest 448. */
KB_HD float kb_fp8_to_float(uint8_t x)
{
    uint32_t sign = (uint32_t)(x & 0x80u) << 24, exponent = (x >> 3) & 15u, mantissa = x & 7u;
    union kb_bits b;
    if ((x & 0x7fu) == 0x7fu) {
        b.u = sign | 0x7fc00000u;
    } else if (exponent) {
        b.u = sign | ((exponent + 120u) << 23) | (mantissa << 20);
    } else {
        b.f = (float)mantissa * 0.001953125f;
        b.u |= sign;
    }
    return b.f;
}

/* Round to nearest even, saturating at 448 as hardware conversions do. */
KB_HD uint8_t kb_fp8_from_float(float x)
{
    union kb_bits b;
    b.f = x;
    uint32_t sign = (b.u >> 24) & 0x80u, u = b.u & 0x7fffffffu;
    if (u > 0x7f800000u) return (uint8_t)(sign | 0x7fu);
    if (u >= 0x43e00000u) return (uint8_t)(sign | 0x7eu); /* 448 and more */
    if (u < 0x3c800000u) {                                /* below 2^-6: subnormal, steps of 2^-9 */
        union kb_bits magic;
        b.u = u;
        magic.f = b.f + 16384.0f; /* its last bit is 2^-9 */
        return (uint8_t)(sign | (magic.u - 0x46800000u));
    }
    u += 0x7ffffu + ((u >> 20) & 1u);
    u = (u - 0x3c000000u) >> 20;
    return (uint8_t)(sign | (u > 0x7eu ? 0x7eu : u));
}

/* ---- codes ---- */

KB_HD uint32_t kb_format_bits(enum kb_format f)
{
    return f == KB_BF16 ? 16u : f == KB_FP8 || f == KB_INT8 ? 8u : f == KB_KIVI2 ? 2u : 4u;
}

KB_HD bool kb_format_is_kivi(enum kb_format f)
{
    return f == KB_KIVI4 || f == KB_KIVI2;
}

KB_HD uint32_t kb_row_bytes(enum kb_format f, uint32_t head_dim)
{
    return head_dim * kb_format_bits(f) / 8u;
}

/* Code of a channel in a row: little end first, so that channel 0 has the lowest bits. */
KB_HD uint32_t kb_code_get(const uint8_t *row, uint32_t bits, uint32_t channel)
{
    uint32_t bit = channel * bits;
    return ((uint32_t)row[bit / 8u] >> (bit % 8u)) & ((1u << bits) - 1u);
}

KB_HD void kb_code_put(uint8_t *row, uint32_t bits, uint32_t channel, uint32_t code)
{
    uint32_t bit = channel * bits, mask = ((1u << bits) - 1u) << (bit % 8u);
    row[bit / 8u] = (uint8_t)((row[bit / 8u] & ~mask) | (code << (bit % 8u)));
}

/* Scale and minimum of a set of values, as stored: rounded to fp16 before the codes are made, so that codes
 * fit the scale that is used to undo them. A flat set gets scale 1/2^14 and code 0. */
struct kb_affine {
    uint16_t scale, minimum; /* fp16 */
};

KB_HD struct kb_affine kb_affine_of(float low, float high, uint32_t bits)
{
    struct kb_affine a;
    float step = (high - low) / (float)((1u << bits) - 1u);
    a.minimum = kb_fp16_from_float(low);
    a.scale = kb_fp16_from_float(step < 6.103515625e-5f ? 6.103515625e-5f : step);
    return a;
}

KB_HD uint32_t kb_affine_code(struct kb_affine a, float x, uint32_t bits)
{
    float top = (float)((1u << bits) - 1u);
    float code = (x - kb_fp16_to_float(a.minimum)) / kb_fp16_to_float(a.scale);
    code = code < 0 ? 0 : code > top ? top : code;
    return (uint32_t)(code + 0.5f);
}

KB_HD float kb_affine_value(struct kb_affine a, uint32_t code)
{
    return kb_fp16_to_float(a.scale) * (float)code + kb_fp16_to_float(a.minimum);
}

/* ---- pages ---- */

/* Row number in the pool; kv is 0 for keys, 1 for values. */
KB_HD uint64_t kb_row(const struct kb_paged *p, uint32_t page, uint32_t kv, uint32_t token, uint32_t head)
{
    return p->layout == KB_NHD ? (((uint64_t)page * 2u + kv) * p->page_tokens + token) * p->n_kv_heads + head
                               : (((uint64_t)page * p->n_kv_heads + head) * 2u + kv) * p->page_tokens + token;
}

/* Place of a sequence's page number i for a head in the page table, and of its length. */
KB_HD uint64_t kb_table_at(const struct kb_paged *p, uint32_t seq, uint32_t head, uint32_t i)
{
    return ((uint64_t)seq * p->table_heads + (p->table_heads == 1 ? 0 : head)) * p->max_pages + i;
}

KB_HD uint64_t kb_length_at(const struct kb_paged *p, uint32_t seq, uint32_t head)
{
    return (uint64_t)seq * p->table_heads + (p->table_heads == 1 ? 0 : head);
}

/* First fp16 pair of a K row's scales and the distance between channels, in pairs: 0 when the row has one. */
KB_HD uint64_t kb_k_scale_at(const struct kb_paged *p, uint32_t page, uint32_t token, uint32_t head)
{
    if (!kb_format_is_kivi(p->format))
        return p->layout == KB_NHD ? ((uint64_t)page * p->page_tokens + token) * p->n_kv_heads + head
                                   : ((uint64_t)page * p->n_kv_heads + head) * p->page_tokens + token;
    uint32_t groups = p->page_tokens / KB_GROUP, g = token / KB_GROUP;
    uint64_t row = p->layout == KB_NHD ? ((uint64_t)page * groups + g) * p->n_kv_heads + head
                                       : ((uint64_t)page * p->n_kv_heads + head) * groups + g;
    return row * p->head_dim;
}

/* First pair of a V row's scales; KIVI has head_dim / 32 of them, the others one. */
KB_HD uint64_t kb_v_scale_at(const struct kb_paged *p, uint32_t page, uint32_t token, uint32_t head)
{
    uint64_t row = p->layout == KB_NHD ? ((uint64_t)page * p->page_tokens + token) * p->n_kv_heads + head
                                       : ((uint64_t)page * p->n_kv_heads + head) * p->page_tokens + token;
    return row * (kb_format_is_kivi(p->format) ? p->head_dim / KB_GROUP : 1u);
}

/* Bytes of a layer's pool, of its K and V scales, and of the residual rings of n_seqs sequences. */
KB_HD uint64_t kb_pool_bytes(const struct kb_paged *p)
{
    return (uint64_t)p->n_pages * 2u * p->page_tokens * p->n_kv_heads * kb_row_bytes(p->format, p->head_dim);
}

KB_HD uint64_t kb_k_scale_bytes(const struct kb_paged *p)
{
    uint64_t rows = (uint64_t)p->n_pages * p->page_tokens * p->n_kv_heads;
    if (p->format == KB_BF16 || p->format == KB_FP8) return 0;
    return 4u * (kb_format_is_kivi(p->format) ? rows / KB_GROUP * p->head_dim : rows);
}

KB_HD uint64_t kb_v_scale_bytes(const struct kb_paged *p)
{
    uint64_t rows = (uint64_t)p->n_pages * p->page_tokens * p->n_kv_heads;
    if (p->format == KB_BF16 || p->format == KB_FP8) return 0;
    return 4u * (kb_format_is_kivi(p->format) ? rows * (p->head_dim / KB_GROUP) : rows);
}

/* ---- KIVI's recent tokens ---- */

/* Of a sequence of `length` tokens the first so many keys are quantised: whole windows of R (Liu et al., KIVI,
 * 2024, algorithm 1). Values: all but the last R, in whole groups, because a group is packed at once here. */
KB_HD uint32_t kb_kivi_k_packed(uint32_t length, uint32_t residual_tokens)
{
    return length / residual_tokens * residual_tokens;
}

KB_HD uint32_t kb_kivi_v_packed(uint32_t length, uint32_t residual_tokens)
{
    return length <= residual_tokens ? 0u : (length - residual_tokens) / KB_GROUP * KB_GROUP;
}

KB_HD uint32_t kb_residual_ring(uint32_t residual_tokens)
{
    return residual_tokens + KB_GROUP;
}

/* bf16 element of the ring where a token's row starts. */
KB_HD uint64_t kb_residual_at(const struct kb_paged *p, uint32_t seq, uint32_t kv, uint32_t position,
                              uint32_t head)
{
    uint32_t ring = kb_residual_ring(p->residual_tokens);
    return ((((uint64_t)seq * 2u + kv) * ring + position % ring) * p->n_kv_heads + head) * p->head_dim;
}

KB_HD uint64_t kb_residual_bytes(const struct kb_paged *p, uint32_t n_seqs)
{
    if (!kb_format_is_kivi(p->format)) return 0;
    return (uint64_t)n_seqs * 2u * kb_residual_ring(p->residual_tokens) * p->n_kv_heads * p->head_dim * 2u;
}

/* One channel of a key (kv 0) or value (kv 1) at a position of a head, whatever the format: the definition
 * that references use and fast kernels must agree with. */
KB_HD float kb_kv_value(const struct kb_paged *p, const void *pool, const uint16_t *scales,
                        const uint16_t *residual, const uint32_t *pages, uint32_t length, uint32_t seq,
                        uint32_t kv, uint32_t position, uint32_t head, uint32_t channel)
{
    if (kb_format_is_kivi(p->format)) {
        uint32_t packed =
            kv ? kb_kivi_v_packed(length, p->residual_tokens) : kb_kivi_k_packed(length, p->residual_tokens);
        if (position >= packed)
            return kb_bf16_to_float(residual[kb_residual_at(p, seq, kv, position, head) + channel]);
    }
    uint32_t page = pages[kb_table_at(p, seq, head, position / p->page_tokens)];
    uint32_t token = position % p->page_tokens, bits = kb_format_bits(p->format);
    const uint8_t *row =
        (const uint8_t *)pool + kb_row(p, page, kv, token, head) * kb_row_bytes(p->format, p->head_dim);
    if (p->format == KB_BF16) return kb_bf16_to_float(((const uint16_t *)row)[channel]);
    if (p->format == KB_FP8) return kb_fp8_to_float(row[channel]) * (kv ? p->v_scale : p->k_scale);
    uint64_t pair = kv ? kb_v_scale_at(p, page, token, head) : kb_k_scale_at(p, page, token, head);
    if (kb_format_is_kivi(p->format)) pair += kv ? channel / KB_GROUP : channel;
    struct kb_affine a = {scales[2 * pair], scales[2 * pair + 1]};
    return kb_affine_value(a, kb_code_get(row, bits, channel));
}

#endif
