/* From the scores of a tile to the sums: the running softmax needs no exchange between lanes but the largest score.
 * Weights change from scores' places to a matrix factor's by transposing 8x8 matrices in registers. int8 and int4:
 * the scale of a value's row multiplies its weight, minima go into a sum of their own. KIVI: a group's scale
 * multiplies the weights, minima are a product whose rows are the groups. */
#ifndef KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_VALUE_CUH
#define KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_VALUE_CUH

#include "kernels/cuda/ops/attn_decode_score.cuh"

namespace decode
{

/* ---- softmax ---- */

/* Everything gathered so far, for a larger largest score. */
template <int F, int D, int NQ> KB_DEVICE void shrink(struct state<F, D, NQ> &w, const float best[NQ][2])
{
#pragma unroll
    for (int n = 0; n < NQ; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float top = fmaxf(best[n][e], w.top[n][e]), by = kb_exp2(w.top[n][e] - top);
            w.top[n][e] = top;
            w.weight[n][e] *= by;
            w.low[n][e] *= by;
#pragma unroll
            for (int i = 0; i < D / 16; i++) {
                w.sum[i][n][e] *= by;
                w.sum[i][n][e + 2] *= by;
            }
        }
}

template <int F, int D, int NQ> KB_DEVICE void soften(struct state<F, D, NQ> &w, float s[][NQ][4])
{
    constexpr int M = shape<F, D>::M;
    float best[NQ][2];
    bool larger = false;
#pragma unroll
    for (int n = 0; n < NQ; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float x = s[0][n][e];
#pragma unroll
            for (int m = 0; m < M; m++) {
                x = fmaxf(x, fmaxf(s[m][n][e], s[m][n][e + 2]));
            }
#pragma unroll
            for (int lanes = 4; lanes < 32; lanes *= 2) x = fmaxf(x, kb_shfl_xor(x, lanes));
            best[n][e] = x;
            larger = larger || x > w.top[n][e];
        }
    if (kb_ballot(larger)) shrink<F, D, NQ>(w, best);
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < NQ; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                s[m][n][e] = kb_exp2(s[m][n][e] - w.top[n][e % 2]);
                w.weight[n][e % 2] += s[m][n][e];
            }
}

/* Weights as the second factor of O^T = V^T P^T: register i has tokens 8 i + 2t, + 1 of query g. */
template <int F, int D, int NQ>
KB_DEVICE void pack_weights(struct state<F, D, NQ> &w, const unsigned char *stage, const float s[][NQ][4],
                            uint32_t b[][NQ][2])
{
    using S = shape<F, D>;
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float2 v = make_float2(1.0f, 0.0f);
            if constexpr (S::ROW_SCALES)
                v = row_scale(stage + S::V_SCALES_AT, (uint32_t)(16 * m + 8 * i) + threadIdx.x % 32 / 4);
#pragma unroll
            for (int n = 0; n < NQ; n++) {
                float x = s[m][n][2 * i], y = s[m][n][2 * i + 1];
                if constexpr (S::ROW_SCALES) {
                    w.low[n][0] += x * v.y;
                    w.low[n][1] += y * v.y;
                    x *= v.x;
                    y *= v.x;
                }
                b[m][n][i] = kb_transpose8(S::PLAIN ? kb_pack_bf16(x, y) : kb_pack_fp16(x, y));
            }
        }
}

/* ---- values ---- */

/* Tokens in pairs: the words of V codes that ldmatrix deals out transposed have a channel's two tokens in their
 * halves already. fp8 wants them in neighbouring bytes. */
template <int F> KB_DEVICE uint32_t pair_tokens(uint32_t w)
{
    return F == KB_FP8 ? kb_permute_bytes(w, 0, 0x3120) : w;
}

/* Channels 2h and 2h + 1 of the words of tokens 0-7 and 8-15. */
template <int F> KB_DEVICE void value_factor(uint32_t a[4], uint32_t low, uint32_t high, int h)
{
    a[0] = expand<F>(low, 2 * h);
    a[1] = expand<F>(low, 2 * h + 1);
    a[2] = expand<F>(high, 2 * h);
    a[3] = expand<F>(high, 2 * h + 1);
}

template <int F, int D, int NQ>
KB_DEVICE void add_values_plain(struct state<F, D, NQ> &w, const unsigned char *tile,
                                const uint32_t b[][NQ][2])
{
    using S = shape<F, D>;
#pragma unroll
    for (int c = 0; c < S::CHUNKS; c += 2)
#pragma unroll
        for (int m = 0; m < S::M; m++) {
            uint32_t r[4];
            kb_ldmatrix_transposed(r, matrix_row<F, D>(tile, m, c));
            const uint32_t x[4] = {r[0], r[2], r[1], r[3]};
#pragma unroll
            for (int n = 0; n < NQ; n++) multiply<F>(w.sum[c / 2][n], x, b[m][n]);
        }
}

template <int F, int D, int NQ>
KB_DEVICE void add_values(struct state<F, D, NQ> &w, const unsigned char *tile, const uint32_t b[][NQ][2])
{
    using S = shape<F, D>;
#pragma unroll
    for (int c = 0; c < S::CHUNKS; c += 2)
#pragma unroll
        for (int m = 0; m < S::M; m++) {
            uint32_t r[4], x[4];
            kb_ldmatrix_transposed(r, matrix_row<F, D>(tile, m, c));
#pragma unroll
            for (int j = 0; j < S::CHUNKS - c && j < 2; j++) {
                uint32_t low = pair_tokens<F>(r[2 * j]), high = pair_tokens<F>(r[2 * j + 1]);
#pragma unroll
                for (int i = 0; i < S::PAIRS / 2; i++) {
                    value_factor<F>(x, low, high, i);
#pragma unroll
                    for (int n = 0; n < NQ; n++)
                        multiply<F>(w.sum[(c + j) * S::PAIRS / 2 + i][n], x, b[m][n]);
                }
            }
        }
}

/* Scales of a value's groups, two tokens in the halves, for registers i = 0, 1 of the weights; and the minima of
 * group g as a factor whose rows are groups. */
template <int F, int D>
KB_DEVICE void load_value_scales(const unsigned char *stage, int m, uint32_t scale[][2], uint32_t least[4])
{
    using S = shape<F, D>;
    const uint32_t *words = (const uint32_t *)(stage + S::V_SCALES_AT);
    uint32_t g = threadIdx.x % 32 / 4 % S::GROUPS;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const uint32_t *x = words + ((uint32_t)(16 * m + 8 * i) + 2 * (threadIdx.x % 4)) * S::GROUPS,
                       *y = x + S::GROUPS;
        uint32_t low[S::GROUPS], high[S::GROUPS];
        if constexpr (S::GROUPS == 4) {
            uint4 u = *(const uint4 *)x, v = *(const uint4 *)y;
            low[0] = u.x, low[1] = u.y, low[2] = u.z, low[3] = u.w;
            high[0] = v.x, high[1] = v.y, high[2] = v.z, high[3] = v.w;
        } else {
            uint2 u = *(const uint2 *)x, v = *(const uint2 *)y;
            low[0] = u.x, low[1] = u.y, high[0] = v.x, high[1] = v.y;
        }
#pragma unroll
        for (int j = 0; j < S::GROUPS; j++) scale[j][i] = kb_permute_bytes(low[j], high[j], 0x5410);
        least[2 * i] = least[2 * i + 1] = kb_permute_bytes(x[g], y[g], 0x7632);
    }
}

/* Words of the group's 32 channels from words of a chunk. kivi4: a chunk is a group. kivi2: two groups lie side
 * by side; lanes 16 apart swap halves, so that each word holds four channels of one group. */
template <int F> KB_DEVICE void split_groups(const uint32_t r[2], uint32_t group[][2])
{
    bool lower = threadIdx.x % 32 < 16;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        group[0][i] = r[i];
        if constexpr (F == KB_KIVI2) {
            uint32_t other = kb_shfl_xor(r[i], 16);
            group[0][i] = kb_permute_bytes(r[i], other, lower ? 0x0200 : 0x0705);
            group[1][i] = kb_permute_bytes(r[i], other, lower ? 0x0604 : 0x0301);
        }
    }
}

template <int F, int D, int NQ>
KB_DEVICE void add_values_kivi(struct state<F, D, NQ> &w, const unsigned char *stage,
                               const uint32_t b[][NQ][2])
{
    using S = shape<F, D>;
    constexpr int per_chunk = S::GROUPS / S::CHUNKS;
#pragma unroll
    for (int m = 0; m < S::M; m++) {
        uint32_t scale[S::GROUPS][2], least[4], r[4], x[4];
        load_value_scales<F, D>(stage, m, scale, least);
#pragma unroll
        for (int n = 0; n < NQ; n++) multiply<F>(w.low[n], least, b[m][n]);
#pragma unroll
        for (int c = 0; c < S::CHUNKS; c++) {
            uint32_t group[2][2];
            if (c % 2 == 0) kb_ldmatrix_transposed(r, matrix_row<F, D>(stage + S::V_AT, m, c));
            split_groups<F>(&r[c % 2 * 2], group);
#pragma unroll
            for (int j = 0; j < per_chunk; j++)
#pragma unroll
                for (int n = 0; n < NQ; n++) {
                    int at = c * per_chunk + j;
                    uint32_t weight[2] = {kb_mul_fp16x2(b[m][n][0], scale[at][0]),
                                          kb_mul_fp16x2(b[m][n][1], scale[at][1])};
#pragma unroll
                    for (int i = 0; i < 2; i++) {
                        value_factor<F>(x, group[j][0], group[j][1], i);
                        multiply<F>(w.sum[2 * at + i][n], x, weight);
                    }
                }
        }
    }
}

/* ---- a tile ---- */

template <int F, int D, int NQ>
KB_DEVICE void attend_tile(struct state<F, D, NQ> &w, const struct kb_attn_decode &a, const struct head &h,
                           const unsigned char *stage, uint32_t tile)
{
    using S = shape<F, D>;
    float s[S::M][NQ][4] = {};
    uint32_t b[S::M][NQ][2];
    if constexpr (S::KIVI)
        score_kivi<F, D, NQ>(w, stage, s);
    else if constexpr (S::PLAIN)
        score_plain<F, D, NQ>(w, stage, s);
    else
        score_codes<F, D, NQ>(w, stage, s);
    scale_scores<F, D, NQ>(w, stage, s);
    mask_scores<F, D, NQ>(a, h, tile * S::TOKENS, s);
    soften<F, D, NQ>(w, s);
    pack_weights<F, D, NQ>(w, stage, s, b);
    if constexpr (S::KIVI)
        add_values_kivi<F, D, NQ>(w, stage, b);
    else if constexpr (S::PLAIN)
        add_values_plain<F, D, NQ>(w, stage + S::V_AT, b);
    else
        add_values<F, D, NQ>(w, stage + S::V_AT, b);
}

} // namespace decode

#endif
