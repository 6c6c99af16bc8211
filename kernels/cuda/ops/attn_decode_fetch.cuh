/* Where a head's tokens lie, and the copies that bring a tile into a warp's ring of stages. Page numbers are
 * looked up for 32 tiles at a time, one tile per lane, and 32 tiles ahead, so that no copy waits for them.
 * Tokens beyond the length are zeros, since 0 x NaN would be NaN. */
#ifndef KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_FETCH_CUH
#define KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_FETCH_CUH

#include "kernels/cuda/ops/attn_decode_shape.cuh"

namespace decode
{

/* The cache as strides, worked out on the host: as a kernel's argument they cost no registers. Steps are bytes of
 * rows, and words of scales (fp16 scale low, minimum high); v_bytes leads from a K row to its V row. */
struct strides {
    uint32_t page_shift, page_bytes, head_bytes, token_bytes, v_bytes;
    uint32_t k_scale_page, k_scale_head, k_scale_step; /* step: per token; of KIVI's K per group */
    uint32_t v_scale_page, v_scale_head, v_scale_step;
};

template <int F, int D> struct strides strides_of(const struct kb_paged *p)
{
    struct strides s = {};
    uint32_t row = shape<F, D>::ROW;
    for (s.page_shift = 4; 1u << s.page_shift < p->page_tokens;) s.page_shift++;
    s.page_bytes = (uint32_t)kb_row(p, 1, 0, 0, 0) * row;
    s.head_bytes = (uint32_t)kb_row(p, 0, 0, 0, 1) * row;
    s.token_bytes = (uint32_t)kb_row(p, 0, 0, 1, 0) * row;
    s.v_bytes = (uint32_t)kb_row(p, 0, 1, 0, 0) * row;
    s.k_scale_page = (uint32_t)kb_k_scale_at(p, 1, 0, 0);
    s.k_scale_head = (uint32_t)kb_k_scale_at(p, 0, 0, 1);
    s.k_scale_step = (uint32_t)kb_k_scale_at(p, 0, shape<F, D>::KIVI ? KB_GROUP : 1, 0);
    s.v_scale_page = (uint32_t)kb_v_scale_at(p, 1, 0, 0);
    s.v_scale_head = (uint32_t)kb_v_scale_at(p, 0, 0, 1);
    s.v_scale_step = (uint32_t)kb_v_scale_at(p, 0, 1, 0);
    return s;
}

/* One KV head of one sequence, and the tiles of it that the block reads. */
struct head {
    const unsigned char *codes;
    const uint32_t *pages, *k_scales, *v_scales;
    uint32_t length, seq, index;
    struct kb_span span;
    uint32_t first, last; /* places in the list of tiles */
};

KB_DEVICE void find_head(const struct kb_attn_decode &a, const struct strides &by, struct head &h)
{
    h.codes = (const unsigned char *)a.kv + h.index * by.head_bytes;
    h.pages = a.pages + kb_table_at(&a.paged, h.seq, h.index, 0);
    h.length = a.lengths[kb_length_at(&a.paged, h.seq, h.index)];
    h.k_scales = (const uint32_t *)a.k_scales + h.index * by.k_scale_head;
    h.v_scales = (const uint32_t *)a.v_scales + h.index * by.v_scale_head;
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
KB_DEVICE void look_up(const struct head &h, const struct strides &by, uint32_t turn,
                       uint32_t page[shape<F, D>::M])
{
    uint32_t place = place_of(h, turn + threadIdx.x % 32);
    uint32_t token = kb_span_tile(h.span, place) * shape<F, D>::TOKENS;
#pragma unroll
    for (int i = 0; i < shape<F, D>::M; i++, token += 16)
        page[i] = place < h.last && token < h.length ? h.pages[token >> by.page_shift] : 0;
}

/* Pages are whole multiples of 16 tokens, so a page's address serves 16 rows. */
template <int F, int D>
KB_DEVICE void fetch_codes(const struct head &h, const struct strides &by, unsigned char *stage,
                           uint32_t token, const uint32_t page[shape<F, D>::M])
{
    using S = shape<F, D>;
    constexpr int rows = 32 / S::CHUNKS; /* by one instruction of the warp */
    uint32_t row = threadIdx.x % 32 / S::CHUNKS, chunk = threadIdx.x % S::CHUNKS,
             mask = (1u << by.page_shift) - 1u;
    const unsigned char *from[S::M];
#pragma unroll
    for (int i = 0; i < S::M; i++)
        from[i] = h.codes + (uint64_t)page[i] * by.page_bytes +
                  (((token + 16 * i) & mask) + row % 16) * by.token_bytes + 16 * chunk;
    if (rows > 16 && row >= 16) from[0] = from[S::M - 1];
#pragma unroll
    for (int i = 0; i < S::TOKENS / rows; i++) {
        const unsigned char *k = from[i * rows / 16] + (uint32_t)(i * rows % 16) * by.token_bytes;
        unsigned char *to = stage + spot<F, D>((uint32_t)(i * rows) + row, chunk);
        bool valid = token + (uint32_t)(i * rows) + row < h.length;
        kb_copy16(to, k, valid);
        kb_copy16(to + S::V_AT, k + by.v_bytes, valid);
    }
}

/* int8, int4: a word per token, one lane each. */
template <int F, int D>
KB_DEVICE void fetch_row_scales(const struct head &h, const struct strides &by, unsigned char *stage,
                                uint32_t token, const uint32_t page[shape<F, D>::M])
{
    using S = shape<F, D>;
    uint32_t lane = threadIdx.x % 32, at = (token + lane) & ((1u << by.page_shift) - 1u);
    uint64_t number = lane < 16 ? page[0] : page[S::M - 1];
    bool valid = token + lane < h.length;
    kb_copy4(stage + S::K_SCALES_AT + 4 * lane, h.k_scales + number * by.k_scale_page + at * by.k_scale_step,
             valid);
    kb_copy4(stage + S::V_SCALES_AT + 4 * lane, h.v_scales + number * by.v_scale_page + at * by.v_scale_step,
             valid);
}

/* KIVI: for K a word per channel, for V GROUPS words per token, one lane each. Packed tiles are whole. */
template <int F, int D>
KB_DEVICE void fetch_group_scales(const struct head &h, const struct strides &by, unsigned char *stage,
                                  uint32_t token, uint64_t page)
{
    using S = shape<F, D>;
    uint32_t lane = threadIdx.x % 32, at = token & ((1u << by.page_shift) - 1u);
    const uint32_t *k = h.k_scales + page * by.k_scale_page + at / KB_GROUP * by.k_scale_step;
    const uint32_t *v = h.v_scales + page * by.v_scale_page + (at + lane) * by.v_scale_step;
    unsigned char *to = stage + S::V_SCALES_AT + 4 * S::GROUPS * lane;
    if (lane < D / 4) kb_copy16(stage + S::K_SCALES_AT + 16 * lane, k + 4 * lane, true);
    if constexpr (S::GROUPS == 4) {
        kb_copy16(to, v, true);
    } else {
        kb_copy4(to, v, true);
        kb_copy4(to + 4, v + 1, true);
    }
}

/* Starts the copies of a tile. */
template <int F, int D>
KB_DEVICE void fetch(const struct head &h, const struct strides &by, unsigned char *stage, uint32_t tile,
                     const uint32_t page[shape<F, D>::M])
{
    uint32_t token = tile * shape<F, D>::TOKENS;
    fetch_codes<F, D>(h, by, stage, token, page);
    if constexpr (shape<F, D>::ROW_SCALES) fetch_row_scales<F, D>(h, by, stage, token, page);
    if constexpr (shape<F, D>::KIVI) fetch_group_scales<F, D>(h, by, stage, token, page[0]);
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
        uint32_t mask = (1u << bits) - 1u, n = word >> (2 * i * bits) & mask,
                 m = word >> ((2 * i + 1) * bits) & mask;
        pair[i] = kb_pack_bf16(low.x * (float)n + low.y, high.x * (float)m + high.y);
    }
    return make_uint4(pair[0], pair[1], pair[2], pair[3]);
}

/* The same tile when its values are in the ring and its keys there or still packed as F: few tiles, so packed
 * keys are unpacked on the way in, without a pipeline. */
template <int F, int D>
KB_DEVICE void fetch_recent(const struct kb_attn_decode &a, const struct head &h, const struct strides &by,
                            unsigned char *stage, uint32_t tile)
{
    using S = shape<RING, D>;
    uint32_t token = tile * S::TOKENS, packed = kb_kivi_k_packed(h.length, a.paged.residual_tokens);
    uint32_t mask = (1u << by.page_shift) - 1u;
    uint64_t page = token < packed ? h.pages[token >> by.page_shift] : 0;
#pragma unroll 1
    for (uint32_t i = threadIdx.x % 32; i < (uint32_t)(S::TOKENS * S::CHUNKS); i += 32) {
        uint32_t row = i / S::CHUNKS, chunk = i % S::CHUNKS, position = token + row, at = position & mask;
        bool valid = position < h.length;
        unsigned char *to = stage + spot<RING, D>(row, chunk);
        const uint16_t *v = a.residual + kb_residual_at(&a.paged, h.seq, 1, position, h.index) + 8 * chunk;
        kb_copy16(to + S::V_AT, v, valid);
        if (position >= packed) {
            const uint16_t *k =
                a.residual + kb_residual_at(&a.paged, h.seq, 0, position, h.index) + 8 * chunk;
            kb_copy16(to, k, valid);
        } else {
            const unsigned char *codes =
                h.codes + page * by.page_bytes + at * by.token_bytes + chunk * shape<F, D>::BITS;
            const uint32_t *scales =
                h.k_scales + page * by.k_scale_page + at / KB_GROUP * by.k_scale_step + 8 * chunk;
            *(uint4 *)to = unpack_keys<F>(codes, scales);
        }
    }
}

} // namespace decode

#endif
