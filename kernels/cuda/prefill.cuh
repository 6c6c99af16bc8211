/* What the two prefill kernels share: which queries a block has, the running softmax on fragments of scores
 * (16 rows x KEYS columns, lane l has rows l / 4 and l / 4 + 8, columns 2 (l % 4) and the next of every 8),
 * and who runs where. Scores are raw products; `scale` brings them to powers of two. Tiles of keys go
 * upward from key 0, which every row sees: after the first tile each row's maximum is finite. */
#ifndef KVSIM_KERNELS_CUDA_PREFILL_CUH
#define KVSIM_KERNELS_CUDA_PREFILL_CUH

#include "kernels/cuda/tile.cuh"

#define KB_PREFILL_LOWEST (-3.0e38f) /* less than any score, and no NaN when subtracted from itself */

/* Queries first_query to first_query + n_rows - 1 of a sequence's chunk, for one head. */
struct kb_prefill_block {
    uint32_t seq, head, kv_head, first_query, n_rows;
    uint32_t first_position, end; /* of the first query; one past the last key that any row sees */
    uint32_t n_tiles;
    float scale; /* log2 e / sqrt(head_dim) */
    const uint32_t *table;
};

/* Grid: (query heads, sequences, blocks of a chunk). Heads that share keys run side by side; later blocks
 * have more keys and start first. False when the chunk has no such block. */
template <int ROWS, int KEYS>
KB_DEVICE bool kb_prefill_place(const struct kb_attn_prefill &a, struct kb_prefill_block &b)
{
    b.head = blockIdx.x;
    b.seq = blockIdx.y;
    b.first_query = (gridDim.z - 1 - blockIdx.z) * ROWS;
    b.kv_head = b.head / (a.n_q_heads / a.paged.n_kv_heads);
    uint32_t n_queries = a.q_begin[b.seq + 1] - a.q_begin[b.seq];
    if (b.first_query >= n_queries) return false;
    uint32_t rest = n_queries - b.first_query;
    b.n_rows = rest < ROWS ? rest : ROWS;
    b.first_position = a.past[b.seq] + b.first_query;
    b.end = b.first_position + b.n_rows;
    b.n_tiles = (b.end + KEYS - 1) / KEYS;
    b.scale = 1.44269504f * kb_rsqrt((float)a.paged.head_dim);
    b.table = a.pages + kb_table_at(&a.paged, b.seq, b.kv_head, 0);
    return true;
}

/* Row of q, out and lse. */
KB_DEVICE uint64_t kb_prefill_row(const struct kb_attn_prefill &a, const struct kb_prefill_block &b,
                                  uint32_t row)
{
    return (uint64_t)(a.q_begin[b.seq] + b.first_query + row) * a.n_q_heads + b.head;
}

/* No row sees a key after its own position; `position` is that of the fragment's row 0, `key` of column 0. */
template <int KEYS> KB_DEVICE void kb_prefill_mask(float s[KEYS / 8][4], uint32_t position, uint32_t key)
{
    uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t column = key + 8 * n + 2 * (lane % 4) + i % 2, row = position + lane / 4 + i / 2 * 8;
            if (column > row) s[n][i] = KB_PREFILL_LOWEST;
        }
}

/* Scores to weights relative to the row's largest so far; returns in `shrink` what older sums are multiplied
 * with, and does so to `sum`, which stays apart for each lane until the end. */
template <int KEYS>
KB_DEVICE void kb_prefill_weigh(float s[KEYS / 8][4], float top[2], float sum[2], float shrink[2],
                                float scale)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float most = top[half], total = 0;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) most = fmaxf(most, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
        most = fmaxf(most, kb_shfl_xor(most, 1));
        most = fmaxf(most, kb_shfl_xor(most, 2));
        shrink[half] = kb_exp2((top[half] - most) * scale);
        top[half] = most;
        float zero = most * scale;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int i = 2 * half; i < 2 * half + 2; i++) {
                s[n][i] = kb_exp2(s[n][i] * scale - zero);
                total += s[n][i];
            }
        sum[half] = sum[half] * shrink[half] + total;
    }
}

template <int D> KB_DEVICE void kb_prefill_shrink(float out[D / 8][4], const float shrink[2])
{
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) out[n][i] *= shrink[i / 2];
}

template <int KEYS, int D>
KB_DEVICE void kb_prefill_soften(float s[KEYS / 8][4], float out[D / 8][4], float top[2], float sum[2],
                                 float scale)
{
    float shrink[2];
    kb_prefill_weigh<KEYS>(s, top, sum, shrink, scale);
    kb_prefill_shrink<D>(out, shrink);
}

/* Weights of 16 columns, two fragments of scores, as the left factor of the next product. */
KB_DEVICE void kb_prefill_pack(uint32_t p[4], const float low[4], const float high[4])
{
    p[0] = kb_pack_bf16(low[0], low[1]);
    p[1] = kb_pack_bf16(low[2], low[3]);
    p[2] = kb_pack_bf16(high[0], high[1]);
    p[3] = kb_pack_bf16(high[2], high[3]);
}

/* Divides by the sum over all lanes of a row; `sum` becomes the row's lse. */
template <int D>
KB_DEVICE void kb_prefill_normalise(float out[D / 8][4], const float top[2], float sum[2], float scale)
{
    float share[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float total = sum[half] + kb_shfl_xor(sum[half], 1);
        total += kb_shfl_xor(total, 2);
        share[half] = 1.0f / total;
        sum[half] = top[half] * scale * 0.693147181f + kb_log(total);
    }
    kb_prefill_shrink<D>(out, share);
}

/* Ends a warp's fragment of 16 rows: out and lse. Rows pass through `tile`, queries that nobody reads any
 * more, so that they leave in pieces of 16 bytes. `first` is the fragment's first row in the tile. */
template <int ROWS, int D>
KB_DEVICE void kb_prefill_store(const struct kb_attn_prefill &a, const struct kb_prefill_block &b,
                                float out[D / 8][4], const float top[2], float sum[2], unsigned char *tile,
                                uint32_t first)
{
    uint32_t lane = threadIdx.x % 32;
    kb_prefill_normalise<D>(out, top, sum, b.scale);
    kb_sync_warp();
#pragma unroll
    for (int half = 0; half < 2; half++) {
        uint32_t row = first + 8 * half + lane / 4;
#pragma unroll
        for (int n = 0; n < D / 8; n++)
            *(uint32_t *)(tile + kb_swizzle(ROWS, row, n) + lane % 4 * 4) =
                kb_pack_bf16(out[n][2 * half], out[n][2 * half + 1]);
        if (a.lse && lane % 4 == 0 && row < b.n_rows) a.lse[kb_prefill_row(a, b, row)] = sum[half];
    }
    kb_sync_warp();
#pragma unroll
    for (uint32_t at = lane; at < 16 * D / 8; at += 32) {
        uint32_t row = first + at / (D / 8), piece = at % (D / 8);
        if (row < b.n_rows)
            *(uint4 *)(a.out + kb_prefill_row(a, b, row) * D + piece * 8) =
                *(const uint4 *)(tile + kb_swizzle(ROWS, row, piece));
    }
}

/* The kernel of compute capability 9.0 (attn_prefill_wgmma.cu). */
bool kb_prefill_wgmma(struct kb_queue *queue, const struct kb_attn_prefill *a, struct kb_error *err);

/* Whether it is there and worth it: its blocks of 128 queries must be filled and occupy half of the device,
 * or the other kernel's smaller ones do better. */
static inline bool kb_prefill_has_wgmma(const struct kb_device_info *info, const struct kb_attn_prefill *a)
{
    uint64_t blocks = (uint64_t)a->n_q_heads * a->n_seqs * ((a->max_new + 127) / 128);
    return info->compute_capability == 90 && a->max_new > 64 && 2 * blocks >= info->units &&
           (a->paged.head_dim == 64 || a->paged.head_dim == 128);
}

#endif
