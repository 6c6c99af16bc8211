/* Where a head's tokens lie, and the copies that bring a tile into a warp's ring of stages. Page numbers are
 * looked up for 32 tiles at a time, one tile per lane, and 32 tiles ahead, so that no copy waits for them.
 * Tokens beyond the length are zeros, since 0 x NaN would be NaN. */
#ifndef KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_FETCH_CUH
#define KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_FETCH_CUH

#include "kernels/cuda/ops/attn_decode_shape.cuh"

namespace decode
{

/* One KV head of one sequence, as strides, and the tiles of it that the block reads. A scale is a word: fp16
 * scale low, minimum high. */
struct head {
    const unsigned char *codes;
    const uint32_t *pages, *k_scales, *v_scales;
    uint64_t page_bytes, v_bytes, k_scale_page, v_scale_page; /* v_bytes: from a K row to its V row */
    uint32_t token_bytes, k_scale_step, v_scale_step;         /* steps: per token; K of KIVI: per group */
    uint32_t page_shift, length, seq, index;
    struct kb_span span;
    uint32_t first, last; /* places in the list of tiles */
};

template <int F, int D> KB_DEVICE void find_strides(const struct kb_attn_decode &a, struct head &h)
{
    const struct kb_paged *p = &a.paged;
    constexpr uint32_t row = shape<F, D>::ROW;
    uint64_t start = kb_row(p, 0, 0, 0, h.index);
    h.codes = (const unsigned char *)a.kv + start * row;
    h.pages = a.pages + kb_table_at(p, h.seq, h.index, 0);
    h.page_bytes = kb_row(p, 1, 0, 0, 0) * row;
    h.v_bytes = (kb_row(p, 0, 1, 0, h.index) - start) * row;
    h.token_bytes = (uint32_t)kb_row(p, 0, 0, 1, 0) * row;
    for (h.page_shift = 4; 1u << h.page_shift < p->page_tokens;) h.page_shift++;
    if (!shape<F, D>::KIVI && !shape<F, D>::ROW_SCALES) return;
    h.k_scales = (const uint32_t *)a.k_scales + kb_k_scale_at(p, 0, 0, h.index);
    h.v_scales = (const uint32_t *)a.v_scales + kb_v_scale_at(p, 0, 0, h.index);
    h.k_scale_page = kb_k_scale_at(p, 1, 0, 0);
    h.v_scale_page = kb_v_scale_at(p, 1, 0, 0);
    h.k_scale_step = (uint32_t)kb_k_scale_at(p, 0, shape<F, D>::KIVI ? KB_GROUP : 1, 0);
    h.v_scale_step = (uint32_t)kb_v_scale_at(p, 0, 1, 0);
}

/* Where chunk c of row r of a tile lies: eight rows at one chunk touch every bank once. */
template <int F, int D> KB_DEVICE uint32_t spot(uint32_t r, uint32_t c)
{
    constexpr uint32_t chunks = shape<F, D>::CHUNKS, rows = chunks >= 8 ? 1 : 8 / chunks;
    return r * shape<F, D>::ROW + ((c ^ (r / rows & (chunks >= 8 ? 7u : chunks - 1u))) << 4);
}

/* Place in the list of this warp's tile number i. */
KB_DEVICE uint32_t place_of(const struct head &h, uint32_t i)
{
    return h.first + threadIdx.x / 32 + i * WARPS;
}

/* Pages of each 16 tokens of this warp's tile number turn + lane. */
template <int F, int D>
KB_DEVICE void look_up(const struct head &h, uint32_t turn, uint32_t page[shape<F, D>::M])
{
    uint32_t place = place_of(h, turn + threadIdx.x % 32);
    uint32_t token = kb_span_tile(h.span, place) * shape<F, D>::TOKENS;
#pragma unroll
    for (int i = 0; i < shape<F, D>::M; i++, token += 16)
        page[i] = place < h.last && token < h.length ? h.pages[token >> h.page_shift] : 0;
}

template <int F, int D>
KB_DEVICE void fetch_codes(const struct head &h, unsigned char *stage, uint32_t token,
                           const uint32_t page[shape<F, D>::M])
{
    using S = shape<F, D>;
    constexpr int rows = 32 / S::CHUNKS; /* by one instruction of the warp */
    uint32_t lane = threadIdx.x % 32, chunk = lane % S::CHUNKS, mask = (1u << h.page_shift) - 1u;
#pragma unroll
    for (int i = 0; i < S::TOKENS / rows; i++) {
        uint32_t row = (uint32_t)(i * rows) + lane / S::CHUNKS;
        uint64_t number = S::M == 1 ? page[0] : rows > 16 ? (row < 16 ? page[0] : page[S::M - 1]) : page[i * rows / 16];
        const unsigned char *from = h.codes + number * h.page_bytes + ((token + row) & mask) * h.token_bytes + 16 * chunk;
        unsigned char *to = stage + spot<F, D>(row, chunk);
        bool valid = token + row < h.length;
        kb_copy16(to, from, valid);
        kb_copy16(to + S::V_AT, from + h.v_bytes, valid);
    }
}

/* int8, int4: a word per token, one lane each. */
template <int F, int D>
KB_DEVICE void fetch_row_scales(const struct head &h, unsigned char *stage, uint32_t token,
                                const uint32_t page[shape<F, D>::M])
{
    using S = shape<F, D>;
    uint32_t lane = threadIdx.x % 32, at = (token + lane) & ((1u << h.page_shift) - 1u);
    uint64_t number = lane < 16 ? page[0] : page[S::M - 1];
    bool valid = token + lane < h.length;
    kb_copy4(stage + S::K_SCALES_AT + 4 * lane, h.k_scales + number * h.k_scale_page + at * h.k_scale_step, valid);
    kb_copy4(stage + S::V_SCALES_AT + 4 * lane, h.v_scales + number * h.v_scale_page + at * h.v_scale_step, valid);
}

/* KIVI: for K a word per channel, for V GROUPS words per token, one lane each. Packed tiles are whole. */
template <int F, int D>
KB_DEVICE void fetch_group_scales(const struct head &h, unsigned char *stage, uint32_t token,
                                  const uint32_t page[shape<F, D>::M])
{
    using S = shape<F, D>;
    uint32_t lane = threadIdx.x % 32, at = token & ((1u << h.page_shift) - 1u);
    const uint32_t *k = h.k_scales + page[0] * h.k_scale_page + at / KB_GROUP * h.k_scale_step;
    const uint32_t *v = h.v_scales + page[0] * h.v_scale_page + (at + lane) * h.v_scale_step;
    if (lane < D / 4) kb_copy16(stage + S::K_SCALES_AT + 16 * lane, k + 4 * lane, true);
    unsigned char *to = stage + S::V_SCALES_AT + 4 * S::GROUPS * lane;
    if constexpr (S::GROUPS == 4) {
        kb_copy16(to, v, true);
    } else {
        kb_copy4(to, v, true);
        kb_copy4(to + 4, v + 1, true);
    }
}

/* Starts the copies of a tile. */
template <int F, int D>
KB_DEVICE void fetch(const struct head &h, unsigned char *stage, uint32_t tile, const uint32_t page[shape<F, D>::M])
{
    uint32_t token = tile * shape<F, D>::TOKENS;
    fetch_codes<F, D>(h, stage, token, page);
    if constexpr (shape<F, D>::ROW_SCALES) fetch_row_scales<F, D>(h, stage, token, page);
    if constexpr (shape<F, D>::KIVI) fetch_group_scales<F, D>(h, stage, token, page);
}

/* ---- KIVI's recent tokens ---- */

/* Eight packed channels of a key as bf16. */
template <int F> KB_DEVICE uint4 unpack_keys(const unsigned char *codes, const uint32_t *scales)
{
    constexpr int bits = shape<F, 64>::BITS;
    uint32_t word = 0, pair[4];
#pragma unroll
    for (int i = 0; i < bits; i++) word |= (uint32_t)codes[i] << (8 * i);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 low = kb_unpack_fp16(scales[2 * i]), high = kb_unpack_fp16(scales[2 * i + 1]);
        uint32_t mask = (1u << bits) - 1u, n = word >> (2 * i * bits) & mask, m = word >> ((2 * i + 1) * bits) & mask;
        pair[i] = kb_pack_bf16(low.x * (float)n + low.y, high.x * (float)m + high.y);
    }
    return make_uint4(pair[0], pair[1], pair[2], pair[3]);
}

/* The same tile when its values are in the ring and its keys there or still packed as F: few tiles, so packed
 * keys are unpacked on the way in, without a pipeline. */
template <int F, int D>
KB_DEVICE void fetch_recent(const struct kb_attn_decode &a, const struct head &h, unsigned char *stage, uint32_t tile)
{
    using S = shape<RING, D>;
    uint32_t token = tile * S::TOKENS, packed = kb_kivi_k_packed(h.length, a.paged.residual_tokens);
    uint32_t page = h.pages[token >> h.page_shift], mask = (1u << h.page_shift) - 1u;
#pragma unroll 1
    for (uint32_t i = threadIdx.x % 32; i < (uint32_t)(S::TOKENS * S::CHUNKS); i += 32) {
        uint32_t row = i / S::CHUNKS, chunk = i % S::CHUNKS, position = token + row, at = position & mask;
        bool valid = position < h.length;
        unsigned char *to = stage + spot<RING, D>(row, chunk);
        const uint16_t *v = a.residual + kb_residual_at(&a.paged, h.seq, 1, position, h.index) + 8 * chunk;
        kb_copy16(to + S::V_AT, v, valid);
        if (position >= packed) {
            const uint16_t *k = a.residual + kb_residual_at(&a.paged, h.seq, 0, position, h.index) + 8 * chunk;
            kb_copy16(to, k, valid);
        } else {
            const unsigned char *codes = h.codes + page * h.page_bytes + at * h.token_bytes + chunk * shape<F, D>::BITS;
            *(uint4 *)to = unpack_keys<F>(codes, h.k_scales + page * h.k_scale_page +
                                                     at / KB_GROUP * h.k_scale_step + 8 * chunk);
        }
    }
}

} // namespace decode

#endif
