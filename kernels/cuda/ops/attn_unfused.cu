#include "kernels/cuda/simt.cuh"
#include "kernels/split.h"

namespace
{

enum { THREADS = 256, WARPS = THREADS / 32, WARP_TOKENS = 8 };

/* 1: torch.cat. Grid: as many blocks as the bytes want; 16 bytes a thread and turn. */
KB_KERNEL __launch_bounds__(THREADS) copy_part(const void *from, void *to, uint64_t bytes)
{
    uint64_t step = (uint64_t)gridDim.x * THREADS * 16;
    for (uint64_t i = ((uint64_t)blockIdx.x * THREADS + threadIdx.x) * 16; i < bytes; i += step)
        *(uint4 *)((char *)to + i) = kb_load16((const char *)from + i);
}

/* bf16 element of the dense cache: [n_seqs][2][n_kv_heads][max_tokens][head_dim]. */
KB_DEVICE uint64_t dense_at(const struct kb_attn_unfused &a, uint32_t seq, uint32_t kv, uint32_t head,
                            uint32_t token)
{
    return ((((uint64_t)seq * 2 + kv) * a.paged.n_kv_heads + head) * a.max_tokens + token) * a.paged.head_dim;
}

/* Eight channels of a packed row as bf16. pairs: one (step 0) or one per channel (step 2). */
KB_DEVICE uint4 unpack(const uint8_t *row, uint32_t bits, uint32_t channel, const uint16_t *pairs,
                       uint32_t step)
{
    uint32_t pair[4];
    for (uint32_t i = 0; i < 4; i++) {
        float x[2];
        for (uint32_t j = 0; j < 2; j++) {
            const uint16_t *p = pairs + (2 * i + j) * step;
            float2 f = kb_unpack_fp16(p[0] | (uint32_t)p[1] << 16);
            x[j] = f.x * (float)kb_code_get(row, bits, channel + 2 * i + j) + f.y;
        }
        pair[i] = kb_pack_bf16(x[0], x[1]);
    }
    return make_uint4(pair[0], pair[1], pair[2], pair[3]);
}

/* 2: the whole cache in bf16. Grid: tokens, KV heads, sequences x 2; a thread makes 8 channels of a row. */
KB_KERNEL __launch_bounds__(THREADS) dequantise(struct kb_attn_unfused a)
{
    const struct kb_paged *p = &a.paged;
    uint32_t chunks = p->head_dim / 8, seq = blockIdx.z / 2, kv = blockIdx.z % 2, head = blockIdx.y;
    uint32_t token = blockIdx.x * (THREADS / chunks) + threadIdx.x / chunks,
             channel = threadIdx.x % chunks * 8;
    uint32_t length = a.lengths[kb_length_at(p, seq, head)], bits = kb_format_bits(p->format);
    if (token >= length) return;
    uint32_t packed =
        kv ? kb_kivi_v_packed(length, p->residual_tokens) : kb_kivi_k_packed(length, p->residual_tokens);
    uint4 *to = (uint4 *)(a.dense + dense_at(a, seq, kv, head, token) + channel);
    if (token >= packed) {
        *to = kb_load16(a.residual + kb_residual_at(p, seq, kv, token, head) + channel);
        return;
    }
    uint32_t page = a.pages[kb_table_at(p, seq, head, token / p->page_tokens)], at = token % p->page_tokens;
    const uint8_t *row =
        (const uint8_t *)a.kv + kb_row(p, page, kv, at, head) * kb_row_bytes(p->format, p->head_dim);
    if (kv)
        *to = unpack(row, bits, channel,
                     a.v_scales + 2 * (kb_v_scale_at(p, page, at, head) + channel / KB_GROUP), 0);
    else
        *to = unpack(row, bits, channel, a.k_scales + 2 * (kb_k_scale_at(p, page, at, head) + channel), 2);
}

KB_DEVICE float sum_warp(float x)
{
    for (int lanes = 16; lanes; lanes /= 2) x += kb_shfl_xor(x, lanes);
    return x;
}

/* 3: q k^T. Grid: tokens, query heads, sequences; a warp takes WARP_TOKENS rows, two channels a lane and turn. */
KB_KERNEL __launch_bounds__(THREADS) multiply_keys(struct kb_attn_unfused a)
{
    uint32_t lane = threadIdx.x % 32, head = blockIdx.y, seq = blockIdx.z, d = a.paged.head_dim;
    uint32_t kv_head = head / (a.n_q_heads / a.paged.n_kv_heads),
             length = a.lengths[kb_length_at(&a.paged, seq, kv_head)];
    uint32_t token = (blockIdx.x * WARPS + threadIdx.x / 32) * WARP_TOKENS, end = token + WARP_TOKENS;
    const uint16_t *q = a.q + ((uint64_t)seq * a.n_q_heads + head) * d;
    float *to = a.row + ((uint64_t)seq * a.n_q_heads + head) * a.max_tokens;
    for (; token < end && token < length; token++) {
        const uint16_t *k = a.dense + dense_at(a, seq, 0, kv_head, token);
        float sum = 0;
        for (uint32_t i = 2 * lane; i < d; i += 64) {
            uint32_t x = *(const uint32_t *)(q + i), y = *(const uint32_t *)(k + i);
            sum += kb_bits_float(x << 16) * kb_bits_float(y << 16) +
                   kb_bits_float(x & 0xffff0000u) * kb_bits_float(y & 0xffff0000u);
        }
        sum = sum_warp(sum);
        if (lane == 0) to[token] = sum * kb_rsqrt((float)d);
    }
}

/* One value of all warps: their largest, or their sum. */
KB_DEVICE float reduce_block(float x, bool largest, float *room)
{
    for (int lanes = 16; lanes; lanes /= 2) {
        float y = kb_shfl_xor(x, lanes);
        x = !largest ? x + y : y > x ? y : x;
    }
    kb_sync_block();
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = x;
    kb_sync_block();
    x = room[0];
    for (uint32_t i = 1; i < WARPS; i++) x = !largest ? x + room[i] : room[i] > x ? room[i] : x;
    return x;
}

/* 4: softmax over whole rows. Grid: query heads, sequences. */
KB_KERNEL __launch_bounds__(THREADS) soften(struct kb_attn_unfused a)
{
    KB_SHARED(float, room[WARPS]);
    constexpr float log2_e = 1.44269504f;
    uint32_t head = blockIdx.x, seq = blockIdx.y, kv_head = head / (a.n_q_heads / a.paged.n_kv_heads);
    uint32_t length = a.lengths[kb_length_at(&a.paged, seq, kv_head)];
    float *row = a.row + ((uint64_t)seq * a.n_q_heads + head) * a.max_tokens, top = KB_NO_SCORE, sum = 0;
    for (uint32_t i = threadIdx.x; i < length; i += THREADS) top = row[i] > top ? row[i] : top;
    top = reduce_block(top, true, room);
    for (uint32_t i = threadIdx.x; i < length; i += THREADS) sum += row[i] = kb_exp2((row[i] - top) * log2_e);
    sum = reduce_block(sum, false, room);
    for (uint32_t i = threadIdx.x; i < length; i += THREADS) row[i] /= sum;
}

/* 5: weights v. Grid: query heads, sequences; each warp takes every eighth token, two channels a lane and turn. */
KB_KERNEL __launch_bounds__(THREADS) multiply_values(struct kb_attn_unfused a)
{
    KB_SHARED(float, room[WARPS][128]);
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, head = blockIdx.x, seq = blockIdx.y,
             d = a.paged.head_dim;
    uint32_t kv_head = head / (a.n_q_heads / a.paged.n_kv_heads),
             length = a.lengths[kb_length_at(&a.paged, seq, kv_head)];
    const float *row = a.row + ((uint64_t)seq * a.n_q_heads + head) * a.max_tokens;
    float sum[4] = {};
    for (uint32_t token = warp; token < length; token += WARPS) {
        const uint16_t *v = a.dense + dense_at(a, seq, 1, kv_head, token);
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            if (64 * i >= d) break;
            uint32_t pair = *(const uint32_t *)(v + 64 * i + 2 * lane);
            sum[2 * i] += row[token] * kb_bits_float(pair << 16);
            sum[2 * i + 1] += row[token] * kb_bits_float(pair & 0xffff0000u);
        }
    }
    for (uint32_t i = 0; i < 4 && 64 * (i / 2) < d; i++) room[warp][64 * (i / 2) + 2 * lane + i % 2] = sum[i];
    kb_sync_block();
    if (threadIdx.x >= d) return;
    float x = 0;
    for (uint32_t i = 0; i < WARPS; i++) x += room[i][threadIdx.x];
    a.out[((uint64_t)seq * a.n_q_heads + head) * d + threadIdx.x] = kb_bf16_from_float(x);
}

/* Copies the cache and points the arguments at the copy. */
bool copy_cache(struct kb_queue *queue, struct kb_attn_unfused *a, struct kb_error *err)
{
    const void *from[4] = {a->kv, a->k_scales, a->v_scales, a->residual};
    uint64_t bytes[4] = {kb_pool_bytes(&a->paged), kb_k_scale_bytes(&a->paged), kb_v_scale_bytes(&a->paged),
                         kb_residual_bytes(&a->paged, a->n_seqs)};
    char *to[4];
    for (uint32_t i = 0; i < 4; i++) {
        to[i] = (char *)a->copy + kb_unfused_at(bytes, i);
        uint64_t blocks = (bytes[i] + THREADS * 16 - 1) / (THREADS * 16);
        dim3 grid(blocks < 65535 ? (uint32_t)blocks : 65535u);
        if (!KB_LAUNCH(copy_part, grid, dim3(THREADS), 0, queue, err, from[i], (void *)to[i], bytes[i]))
            return false;
    }
    a->kv = to[0];
    a->k_scales = (const uint16_t *)to[1];
    a->v_scales = (const uint16_t *)to[2];
    a->residual = (const uint16_t *)to[3];
    return true;
}

} // namespace

KB_ENTRY(attn_unfused)
{
    struct kb_attn_unfused a = *(const struct kb_attn_unfused *)args;
    uint32_t d = a.paged.head_dim, rows = THREADS / (d / 8), keys = WARPS * WARP_TOKENS;
    if (!kb_format_is_kivi(a.paged.format) || (d != 64 && d != 128))
        return kb_fail(err, "format %d, head_dim %u: expected kivi4 or kivi2, 64 or 128", (int)a.paged.format,
                       d);
    if (!copy_cache(queue, &a, err)) return false;
    dim3 block(THREADS), dense((a.max_tokens + rows - 1) / rows, a.paged.n_kv_heads, 2 * a.n_seqs);
    dim3 scores((a.max_tokens + keys - 1) / keys, a.n_q_heads, a.n_seqs), heads(a.n_q_heads, a.n_seqs);
    return KB_LAUNCH(dequantise, dense, block, 0, queue, err, a) &&
           KB_LAUNCH(multiply_keys, scores, block, 0, queue, err, a) &&
           KB_LAUNCH(soften, heads, block, 0, queue, err, a) &&
           KB_LAUNCH(multiply_values, heads, block, 0, queue, err, a);
}
