#include "kernels/cuda/ops/attn_decode.cuh"

namespace
{

enum { COMBINE_WARPS = 4 };

/* What a warp of combine has of one query: D / 32 channels a lane. */
template <int D> struct part {
    float sum[D / 32], top, weight;
};

/* One more split: its sums are at `from`, then largest score and weight. Rows are 8-byte aligned only. */
template <int D> KB_DEVICE void add_split(struct part<D> &p, const float *from)
{
    float2 last = *(const float2 *)(from + D);
    float top = last.x > p.top ? last.x : p.top, mine = kb_exp2(p.top - top), its = kb_exp2(last.x - top);
    p.top = top;
    p.weight = p.weight * mine + last.y * its;
#pragma unroll
    for (int i = 0; i < D / 64; i++) {
        float2 x = *(const float2 *)(from + 64 * i + 2 * (threadIdx.x % 32));
        p.sum[2 * i] = p.sum[2 * i] * mine + x.x * its;
        p.sum[2 * i + 1] = p.sum[2 * i + 1] * mine + x.y * its;
    }
}

/* Grid: query heads, sequences. Each warp adds up every fourth split, then the block its warps. */
template <int D>
KB_KERNEL __launch_bounds__(32 * COMBINE_WARPS) combine(struct kb_attn_decode a, struct kb_split split)
{
    KB_SHARED(float, room[COMBINE_WARPS][D + 2]);
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, seq = blockIdx.y, q_head = blockIdx.x;
    uint32_t kv_head = q_head / (a.n_q_heads / a.paged.n_kv_heads);
    uint32_t n = kb_splits_of(&a, split, a.lengths[kb_length_at(&a.paged, seq, kv_head)]), all = n;
    if (kb_format_is_kivi(a.paged.format)) all++;
    struct part<D> p = {
        {}, KB_NO_SCORE, 0
    };
#pragma unroll 4
    for (uint32_t i = warp; i < all; i += COMBINE_WARPS)
        add_split<D>(p, a.partial + kb_partial_at(&a, i < n ? i : split.n, seq, q_head));
#pragma unroll
    for (int i = 0; i < D / 32; i++) room[warp][64 * (i / 2) + 2 * lane + i % 2] = p.sum[i];
    if (lane == 0) {
        room[warp][D] = p.top;
        room[warp][D + 1] = p.weight;
    }
    kb_sync_block();
    if (threadIdx.x >= D) return;
    float top = KB_NO_SCORE, sum = 0, weight = 0;
#pragma unroll
    for (int i = 0; i < COMBINE_WARPS; i++) top = room[i][D] > top ? room[i][D] : top;
#pragma unroll
    for (int i = 0; i < COMBINE_WARPS; i++) {
        float by = kb_exp2(room[i][D] - top);
        sum += by * room[i][threadIdx.x];
        weight += by * room[i][D + 1];
    }
    a.out[((uint64_t)seq * a.n_q_heads + q_head) * D + threadIdx.x] =
        kb_bf16_from_float(weight > 0 ? sum / weight : 0.0f);
}

bool fits(const struct kb_attn_decode *a, struct kb_error *err)
{
    const struct kb_paged *p = &a->paged;
    uint32_t least = kb_format_is_kivi(p->format) ? KB_GROUP : 16;
    if (p->head_dim != 64 && p->head_dim != 128)
        return kb_fail(err, "head_dim %u: expected 64 or 128", p->head_dim);
    if (p->page_tokens < least || p->page_tokens & (p->page_tokens - 1))
        return kb_fail(err, "page_tokens %u: expected a power of two, at least %u", p->page_tokens, least);
    if (kb_format_is_kivi(p->format) &&
        (p->residual_tokens == 0 || p->residual_tokens % KB_GROUP || a->n_splits < 2))
        return kb_fail(err, "residual_tokens %u and room for %u splits: expected a multiple of %d, and 2",
                       p->residual_tokens, a->n_splits, KB_GROUP);
    return a->n_splits > 0 || kb_fail(err, "no room for partial results");
}

} // namespace

KB_ENTRY(attn_decode)
{
    static bool (*const kernel[KB_N_FORMAT])(struct kb_queue *, const struct kb_attn_decode *,
                                             struct kb_split *, struct kb_error *) = {
        kb_decode_bf16, kb_decode_fp8, kb_decode_int8, kb_decode_int4, kb_decode_kivi4, kb_decode_kivi2};
    const struct kb_attn_decode *a = (const struct kb_attn_decode *)args;
    struct kb_split split;
    if (!fits(a, err) || !kernel[a->paged.format](queue, a, &split, err)) return false;
    if (split.n == 1 && !kb_format_is_kivi(a->paged.format)) return true;
    dim3 grid(a->n_q_heads, a->n_seqs), block(32 * COMBINE_WARPS);
    return a->paged.head_dim == 128 ? KB_LAUNCH(combine<128>, grid, block, 0, queue, err, *a, split)
                                    : KB_LAUNCH(combine<64>, grid, block, 0, queue, err, *a, split);
}
