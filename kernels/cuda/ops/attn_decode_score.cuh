/* A warp's queries and the scores of a tile. Tokens are the rows of both matrix products and queries the columns,
 * S^T = K Q^T and O^T = V^T P^T, so that up to 8 queries cost no padding. A lane holds of S the tokens g, g + 8
 * and the queries 2t, 2t + 1 (g = lane / 4, t = lane % 4), of O the same queries. int8 and int4: the scale of a
 * key's row multiplies its score, its minimum the sum of Q. KIVI: a channel's scale multiplies Q, and minima are a
 * product of their own, the same for all tokens of the group. */
#ifndef KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_SCORE_CUH
#define KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_SCORE_CUH

#include "kernels/cuda/ops/attn_decode_fetch.cuh"

namespace decode
{

/* A warp's queries, permuted like K, and what it has gathered for them. */
template <int F, int D, int NQ> struct state {
    uint32_t q[NQ][D / 8];
    float q_sum[NQ][2]; /* int8, int4 */
    float top[NQ][2], weight[NQ][2];
    float sum[D / 16][NQ][4];
    float low[NQ][4]; /* sums of minima: per query; KIVI per query and group */
    float factor;     /* from a dot product to powers of two */
};

/* ---- queries ---- */

/* Two channels of a query, as the format's matrix product takes them; 0 beyond the last query. */
template <int F> KB_DEVICE uint32_t load_pair(const uint16_t *q, uint32_t channel, int p, bool there)
{
    uint32_t low = there ? q[channel] : 0, high = there ? q[channel + pair_distance<F>()] : 0;
    if constexpr (shape<F, 64>::PLAIN) return low | high << 16;
    uint32_t pair = kb_pack_fp16(kb_bits_float(low << 16), kb_bits_float(high << 16));
    if (F == KB_FP8 || shape<F, 64>::KIVI) return pair;
    return kb_mul_fp16x2(pair, unit_pair(exponent<F>(p)));
}

/* Sums of the queries' channels, for rows 2t and 2t + 1: their own units undone. */
template <int F, int D> KB_DEVICE void sum_query(const uint32_t q[D / 8], float q_sum[2])
{
    float sum = 0;
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
        float2 x = kb_unpack_fp16(q[i]);
        sum += (x.x + x.y) * (exponent<F>(i % shape<F, D>::PAIRS) ? 1.0f : 0.0625f);
    }
    sum += kb_shfl_xor(sum, 1);
    sum += kb_shfl_xor(sum, 2);
#pragma unroll
    for (int e = 0; e < 2; e++) q_sum[e] = kb_shfl(sum, (int)(8 * (threadIdx.x % 4) + 4 * e));
}

/* rows: queries from q on that exist. */
template <int F, int D, int NQ>
KB_DEVICE void begin(struct state<F, D, NQ> &w, const struct kb_attn_decode &a, const uint16_t *q,
                     uint32_t rows)
{
    constexpr int pairs = shape<F, D>::PAIRS;
    uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int n = 0; n < NQ; n++) {
        uint32_t row = (uint32_t)(8 * n) + g;
#pragma unroll
        for (int i = 0; i < D / 8; i++)
            w.q[n][i] = load_pair<F>(q + (row < rows ? row : 0) * D, pair_channel<F>(i / pairs, t, i % pairs),
                                     i % pairs, row < rows);
        if constexpr (shape<F, D>::ROW_SCALES) sum_query<F, D>(w.q[n], w.q_sum[n]);
#pragma unroll
        for (int e = 0; e < 4; e++) w.low[n][e] = 0;
#pragma unroll
        for (int e = 0; e < 2; e++) {
            w.top[n][e] = KB_NO_SCORE;
            w.weight[n][e] = 0;
        }
#pragma unroll
        for (int i = 0; i < D / 16; i++)
#pragma unroll
            for (int e = 0; e < 4; e++) w.sum[i][n][e] = 0;
    }
    constexpr float log2_e = 1.44269504f;
    w.factor = (D == 64 ? 0.125f : 0.0883883476f) * log2_e * (F == KB_FP8 ? a.paged.k_scale : 1.0f);
}

/* ---- scores ---- */

template <int F> KB_DEVICE void multiply(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    if constexpr (shape<F, 64>::PLAIN)
        kb_mma_bf16(c, a, b);
    else
        kb_mma_fp16(c, a, b);
}

/* This lane's row for ldmatrix: tokens 16 m and up; chunks c and c + 1 in registers 0, 1 and 2, 3. */
template <int F, int D> KB_DEVICE const unsigned char *matrix_row(const unsigned char *tile, int m, int c)
{
    uint32_t lane = threadIdx.x % 32, chunk = shape<F, D>::CHUNKS > 1 ? (uint32_t)c + lane / 16 : 0;
    return tile + spot<F, D>((uint32_t)(16 * m) + lane % 16, chunk);
}

/* Words of pair p for tokens 0-7 and 8-15, and of the pair after it: a 16 x 16 factor. */
template <int F> KB_DEVICE void factor_of(uint32_t a[4], uint32_t low, uint32_t high, int p)
{
    a[0] = expand<F>(low, p);
    a[1] = expand<F>(high, p);
    a[2] = expand<F>(low, p + 1);
    a[3] = expand<F>(high, p + 1);
}

template <int F, int D, int NQ>
KB_DEVICE void score_plain(const struct state<F, D, NQ> &w, const unsigned char *stage, float s[][NQ][4])
{
    using S = shape<F, D>;
#pragma unroll
    for (int c = 0; c < S::CHUNKS; c += 2)
#pragma unroll
        for (int m = 0; m < S::M; m++) {
            uint32_t r[4];
            kb_ldmatrix(r, matrix_row<F, D>(stage, m, c));
#pragma unroll
            for (int n = 0; n < NQ; n++) multiply<F>(s[m][n], r, &w.q[n][c]);
        }
}

template <int F, int D, int NQ>
KB_DEVICE void score_codes(const struct state<F, D, NQ> &w, const unsigned char *stage, float s[][NQ][4])
{
    using S = shape<F, D>;
#pragma unroll
    for (int c = 0; c < S::CHUNKS; c += 2)
#pragma unroll
        for (int m = 0; m < S::M; m++) {
            uint32_t r[4], x[4];
            kb_ldmatrix(r, matrix_row<F, D>(stage, m, c));
#pragma unroll
            for (int j = 0; j < S::CHUNKS - c && j < 2; j++)
#pragma unroll
                for (int p = 0; p < S::PAIRS; p += 2) {
                    factor_of<F>(x, r[2 * j], r[2 * j + 1], p);
#pragma unroll
                    for (int n = 0; n < NQ; n++) multiply<F>(s[m][n], x, &w.q[n][(c + j) * S::PAIRS + p]);
                }
        }
}

/* One chunk of KIVI's keys for all tokens: scales and minima of the lane's channels, then pair by pair. */
template <int F, int D, int NQ>
KB_DEVICE void score_channels(const struct state<F, D, NQ> &w, const unsigned char *stage, int chunk,
                              const uint32_t word[][2], float s[][NQ][4], float low[NQ][4])
{
    using S = shape<F, D>;
    uint32_t scale[2 * S::PAIRS];
    const unsigned char *scales = stage + S::K_SCALES_AT + 4 * pair_channel<F>(chunk, threadIdx.x % 4, 0);
#pragma unroll
    for (int i = 0; i < 2 * S::PAIRS; i += 4) {
        uint4 v = *(const uint4 *)(scales + 4 * i);
        scale[i] = v.x, scale[i + 1] = v.y, scale[i + 2] = v.z, scale[i + 3] = v.w;
    }
#pragma unroll
    for (int p = 0; p < S::PAIRS; p += 2) {
        uint32_t step[2], least[4], b[2], x[4];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            uint32_t both = kb_permute_bytes(scale[p + i], scale[p + i + S::PAIRS], 0x5410);
            step[i] = kb_mul_fp16x2(both, unit_pair(exponent<F>(p + i)));
            least[2 * i] = least[2 * i + 1] = kb_permute_bytes(scale[p + i], scale[p + i + S::PAIRS], 0x7632);
        }
#pragma unroll
        for (int n = 0; n < NQ; n++) {
            const uint32_t *q = &w.q[n][chunk * S::PAIRS + p];
            multiply<F>(low[n], least, q);
            b[0] = kb_mul_fp16x2(q[0], step[0]);
            b[1] = kb_mul_fp16x2(q[1], step[1]);
#pragma unroll
            for (int m = 0; m < S::M; m++) {
                factor_of<F>(x, word[m][0], word[m][1], p);
                multiply<F>(s[m][n], x, b);
            }
        }
    }
}

template <int F, int D, int NQ>
KB_DEVICE void score_kivi(const struct state<F, D, NQ> &w, const unsigned char *stage, float s[][NQ][4])
{
    using S = shape<F, D>;
    float low[NQ][4] = {};
#pragma unroll
    for (int c = 0; c < S::CHUNKS; c += 2) {
        uint32_t word[2][S::M][2];
#pragma unroll
        for (int m = 0; m < S::M; m++) {
            uint32_t r[4];
            kb_ldmatrix(r, matrix_row<F, D>(stage, m, c));
            word[0][m][0] = r[0], word[0][m][1] = r[1], word[1][m][0] = r[2], word[1][m][1] = r[3];
        }
        score_channels<F, D, NQ>(w, stage, c, word[0], s, low);
        if constexpr (S::CHUNKS > 1) score_channels<F, D, NQ>(w, stage, c + 1, word[1], s, low);
    }
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int n = 0; n < NQ; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) s[m][n][e] = s[m][n][e] * score_unit<F>() + low[n][e];
}

/* Word of a token's scale. */
KB_DEVICE float2 row_scale(const unsigned char *scales, uint32_t token)
{
    return kb_unpack_fp16(*(const uint32_t *)(scales + 4 * token));
}

/* Dot products to scores in powers of two. */
template <int F, int D, int NQ>
KB_DEVICE void scale_scores(const struct state<F, D, NQ> &w, const unsigned char *stage, float s[][NQ][4])
{
    using S = shape<F, D>;
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            if constexpr (S::ROW_SCALES) {
                float2 k = row_scale(stage + S::K_SCALES_AT,
                                     (uint32_t)(16 * m + 8 * (e / 2)) + threadIdx.x % 32 / 4);
                float step = k.x * w.factor * score_unit<F>(), least = k.y * w.factor;
#pragma unroll
                for (int n = 0; n < NQ; n++) s[m][n][e] = s[m][n][e] * step + least * w.q_sum[n][e % 2];
            } else {
#pragma unroll
                for (int n = 0; n < NQ; n++) s[m][n][e] *= w.factor;
            }
        }
}

/* Scores of tokens that are not read become nothing; only the tiles at the edges have such. */
template <int F, int D, int NQ>
KB_DEVICE void mask_scores(const struct kb_attn_decode &a, const struct head &h, uint32_t token,
                           float s[][NQ][4])
{
    using S = shape<F, D>;
    uint32_t past = token + S::TOKENS, any = a.sink + a.window;
    bool inside = past <= h.length && (any == 0 || past <= a.sink || token + a.window >= h.length);
    if (inside) return;
#pragma unroll
    for (int m = 0; m < S::M; m++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            uint32_t position = token + (uint32_t)(16 * m + 8 * (e / 2)) + threadIdx.x % 32 / 4;
            bool read = kb_is_read(h.length, a.sink, a.window, position);
#pragma unroll
            for (int n = 0; n < NQ; n++) s[m][n][e] = read ? s[m][n][e] : 2 * KB_NO_SCORE;
        }
}

} // namespace decode

#endif
