/* Formats as decode attention sees them: tiles, stages, and how packed codes become fp16. ldmatrix deals out a
 * tile's rows as words of codes; masking one leaves pairs of fp16 whose bits are a code, that is the subnormal
 * number n x 2^-24, or n x 2^-20 where the code stood four bits higher. Matrix units multiply subnormals exactly,
 * so this is the whole conversion; the power of two is made good in Q, in the score or when sums are written.
 * Which channel lands where does not matter to a dot product: Q is permuted like K, and V's channels are sorted
 * out at the end (out_channel). */
#ifndef KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_SHAPE_CUH
#define KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_SHAPE_CUH

#include "kernels/cuda/simt.cuh"
#include "kernels/split.h"

namespace decode
{

enum { WARPS = 4, THREADS = 32 * WARPS };
enum { RING = KB_N_FORMAT }; /* a "format": KIVI's recent tokens, of which K may still be packed */

/* A stage of one warp holds a tile: K codes, V codes, K scales, V scales. PAIRS: in a word of codes. */
template <int F, int D> struct shape {
    static constexpr bool PLAIN = F == KB_BF16 || F == RING, KIVI = F == KB_KIVI4 || F == KB_KIVI2;
    static constexpr bool ROW_SCALES = F == KB_INT8 || F == KB_INT4;
    static constexpr int BITS = PLAIN ? 16 : F == KB_FP8 || F == KB_INT8 ? 8 : F == KB_KIVI2 ? 2 : 4;
    static constexpr int ROW = D * BITS / 8, CHUNKS = ROW / 16, PAIRS = 16 / BITS, GROUPS = D / KB_GROUP;
    static constexpr int TOKENS = ROW >= 256 ? 16 : 32, M = TOKENS / 16, STAGES = BITS >= 8 ? 2 : 3;
    static constexpr int V_AT = TOKENS * ROW, K_SCALES_AT = 2 * V_AT;
    static constexpr int V_SCALES_AT = K_SCALES_AT + (KIVI ? 4 * D : ROW_SCALES ? 4 * TOKENS : 0);
    static constexpr int STAGE = V_SCALES_AT + (KIVI ? 4 * TOKENS * GROUPS : ROW_SCALES ? 4 * TOKENS : 0);
    static constexpr int RING_BYTES = WARPS * STAGES * STAGE;
};

/* Results of the warps for 8 NQ queries: sums, rows padded against bank conflicts, then tops and weights. */
template <int D, int NQ> struct merge {
    static constexpr int ROW = D + 4, TOPS_AT = WARPS * 8 * NQ * ROW, WEIGHTS_AT = TOPS_AT + WARPS * 8 * NQ;
    static constexpr int BYTES = 4 * (WEIGHTS_AT + WARPS * 8 * NQ);
};

template <int F, int D, int NQ> constexpr int shared_bytes()
{
    int ring = shape<F, D>::RING_BYTES, recent = shape<F, D>::KIVI ? shape<RING, D>::RING_BYTES : 0;
    int most = ring > recent ? ring : recent;
    return most > merge<D, NQ>::BYTES ? most : merge<D, NQ>::BYTES;
}

/* Blocks at once on a multiprocessor, as far as registers go. */
template <int D, int NQ> constexpr int blocks_per_unit()
{
    return D == 128 && NQ == 2 ? 2 : 3;
}

/* ---- codes ---- */

/* How far above 2^-24 pair p of a word comes out. */
template <int F> constexpr KB_DEVICE int exponent(int p)
{
    return F == KB_INT4 || F == KB_KIVI4 ? 4 * (p & 1) : F == KB_KIVI2 ? 2 * (p < 5 ? p : p - 5) : 0;
}

/* Pair p of a word of codes: elements p and p + PAIRS (fp8: 2p and 2p + 1) in the halves. */
template <int F> KB_DEVICE uint32_t expand(uint32_t w, int p)
{
    if constexpr (F == KB_FP8) return kb_fp8x2_to_fp16x2(p ? w >> 16 : w & 0xffffu);
    if constexpr (F == KB_INT8) return (p ? w >> 8 : w) & 0x00ff00ffu;
    if constexpr (F == KB_INT4 || F == KB_KIVI4)
        return (p & 2 ? w >> 8 : w) & (p & 1 ? 0x00f000f0u : 0x000f000fu);
    if constexpr (F == KB_KIVI2) return (p < 5 ? w : w >> 10) & (0x00030003u << exponent<F>(p));
    return w;
}

/* First channel of pair p in word t of a chunk of 16 bytes, and the distance to its second. */
template <int F> KB_DEVICE uint32_t pair_channel(int chunk, uint32_t t, int p)
{
    constexpr uint32_t bits = shape<F, 64>::BITS;
    return ((uint32_t)chunk * 16u + 4u * t) * 8u / bits + (uint32_t)(F == KB_FP8 ? 2 * p : p);
}
template <int F> constexpr KB_DEVICE uint32_t pair_distance()
{
    return F == KB_FP8 ? 1u : (uint32_t)shape<F, 64>::PAIRS;
}

/* fp16 pair of 2^(4 - e), 0 <= e <= 8: brings scores to units of 2^-20. */
constexpr KB_DEVICE uint32_t unit_pair(int e)
{
    return (uint32_t)(19 - e) << 10 | (uint32_t)(19 - e) << 26;
}
template <int F> constexpr KB_DEVICE float score_unit()
{
    return shape<F, 64>::PLAIN || F == KB_FP8 ? 1.0f : 1048576.0f;
}

/* ---- sums ---- */

/* Channel of sum tile i, upper or lower half, in lane group g: the order in which ldmatrix and expand deal out
 * a row of V. */
template <int F> KB_DEVICE uint32_t out_channel(int i, int half, uint32_t g)
{
    if constexpr (shape<F, 64>::PLAIN) return (uint32_t)(16 * i + 8 * half) + g;
    if constexpr (F == KB_FP8 || F == KB_INT8) return (uint32_t)(16 * i + half) + 2 * g;
    if constexpr (F == KB_KIVI2)
        return (uint32_t)(32 * (i / 2) + 2 * (i % 2) + half) + 8 * (g & 3) + 4 * (g >> 2);
    return (uint32_t)(32 * (i / 2) + 2 * (i % 2) + half) + 4 * g;
}

/* What makes good its power of two. */
template <int F> constexpr KB_DEVICE float out_unit(int i, int half)
{
    constexpr int together = F == KB_KIVI2 ? 4 : shape<F, 64>::PAIRS;
    if (shape<F, 64>::PLAIN || F == KB_FP8) return 1.0f;
    return (float)(1 << (24 - exponent<F>((2 * i + half) % together)));
}

} // namespace decode

#endif
