/* Decode attention: the kernel all formats share. A block reads one run of tiles (kernels/split.h) of one KV head
 * for up to 16 of its query heads. Each of its warps streams every fourth tile through a ring of cp.async stages
 * of its own, so warps never wait for each other; at the end the block adds up what its warps have, and writes
 * the result or, when there are several splits, a partial one. KV heads are neighbours in the grid: with NHD
 * their rows share lines of the cache and pages of DRAM. */
#ifndef KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_CUH
#define KVSIM_KERNELS_CUDA_OPS_ATTN_DECODE_CUH

#include "kernels/cuda/ops/attn_decode_value.cuh"

/* Queues the kernel of a format and says into how many splits; attn_decode.cu combines them. */
bool kb_decode_bf16(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                    struct kb_error *err);
bool kb_decode_fp8(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                   struct kb_error *err);
bool kb_decode_int8(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                    struct kb_error *err);
bool kb_decode_int4(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                    struct kb_error *err);
bool kb_decode_kivi4(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                     struct kb_error *err);
bool kb_decode_kivi2(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *s,
                     struct kb_error *err);

namespace decode
{

/* ---- a warp's tiles ---- */

/* The pipeline: STAGES - 1 tiles are on their way while one is used. Pages of the next 32 tiles are asked for
 * when the last 32 begin. */
template <int F, int D, int NQ>
KB_DEVICE void stream_tiles(struct state<F, D, NQ> &w, const struct kb_attn_decode &a, const struct head &h,
                            const struct strides &by, unsigned char *ring)
{
    using S = shape<F, D>;
    uint32_t warp = threadIdx.x / 32, tiles = h.last - h.first,
             n = tiles > warp ? (tiles - warp + WARPS - 1) / WARPS : 0;
    uint32_t page[S::M] = {}, next[S::M], ids[S::M];
    look_up<F, D>(h, by, 0, next);
    for (uint32_t i = 0; i < n + S::STAGES - 1; i++) {
        if (i >= S::STAGES - 1) {
            kb_copy_wait<S::STAGES - 2>();
            kb_sync_warp();
        }
        if (i % 32 == 0) {
#pragma unroll
            for (int m = 0; m < S::M; m++) page[m] = next[m];
            look_up<F, D>(h, by, i + 32, next);
        }
#pragma unroll
        for (int m = 0; m < S::M; m++) ids[m] = kb_shfl(page[m], (int)(i % 32));
        if (i < n)
            fetch<F, D>(h, by, ring + i % S::STAGES * S::STAGE, kb_span_tile(h.span, place_of(h, i)), ids);
        kb_copy_commit();
        if (i < S::STAGES - 1) continue;
        uint32_t j = i - (S::STAGES - 1);
        attend_tile<F, D, NQ>(w, a, h, ring + j % S::STAGES * S::STAGE, kb_span_tile(h.span, place_of(h, j)));
    }
}

/* The same for KIVI's recent tokens, packed format P. */
template <int P, int D, int NQ>
KB_DEVICE void stream_recent(struct state<RING, D, NQ> &w, const struct kb_attn_decode &a,
                             const struct head &h, const struct strides &by, unsigned char *ring)
{
    using S = shape<RING, D>;
    uint32_t warp = threadIdx.x / 32, tiles = h.last - h.first,
             n = tiles > warp ? (tiles - warp + WARPS - 1) / WARPS : 0;
    for (uint32_t i = 0; i < n + S::STAGES - 1; i++) {
        if (i >= S::STAGES - 1) {
            kb_copy_wait<S::STAGES - 2>();
            kb_sync_warp();
        }
        if (i < n)
            fetch_recent<P, D>(a, h, by, ring + i % S::STAGES * S::STAGE,
                               kb_span_tile(h.span, place_of(h, i)));
        kb_copy_commit();
        if (i < S::STAGES - 1) continue;
        uint32_t j = i - (S::STAGES - 1);
        attend_tile<RING, D, NQ>(w, a, h, ring + j % S::STAGES * S::STAGE,
                                 kb_span_tile(h.span, place_of(h, j)));
    }
}

/* ---- a block's result ---- */

/* A warp's sums, channels in order, into the block's room. */
template <int F, int D, int NQ>
KB_DEVICE void lay_down(struct state<F, D, NQ> &w, const struct kb_attn_decode &a, float *room)
{
    using S = shape<F, D>;
    using R = merge<D, NQ>;
    uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4, first = threadIdx.x / 32 * 8 * NQ;
    float unit = F == KB_FP8 ? a.paged.v_scale : 1.0f;
#pragma unroll
    for (int n = 0; n < NQ; n++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            uint32_t row = first + (uint32_t)(8 * n + e) + 2 * t;
            float weight = w.weight[n][e], low = w.low[n][e];
#pragma unroll
            for (int lanes = 4; lanes < 32; lanes *= 2) {
                weight += kb_shfl_xor(weight, lanes);
                if constexpr (S::ROW_SCALES) low += kb_shfl_xor(low, lanes);
            }
            if (g == 0) room[R::TOPS_AT + row] = w.top[n][e];
            if (g == 0) room[R::WEIGHTS_AT + row] = weight;
#pragma unroll
            for (int i = 0; i < D / 16; i++) {
                float least = S::ROW_SCALES ? low : 0.0f;
                if constexpr (S::KIVI) least = kb_shfl(w.low[n][e], (int)(4 * (i / 2) + t));
#pragma unroll
                for (int half = 0; half < 2; half++)
                    room[row * R::ROW + out_channel<F>(i, half, g)] =
                        w.sum[i][n][e + 2 * half] * (unit * out_unit<F>(i, half)) + least;
            }
        }
}

/* What the block has for one channel of one query: sum, largest score, sum of weights. */
struct total {
    float sum, top, weight;
};

template <int D, int NQ> KB_DEVICE struct total add_warps(const float *room, uint32_t row, uint32_t channel)
{
    using R = merge<D, NQ>;
    struct total x = {0, KB_NO_SCORE, 0};
#pragma unroll
    for (uint32_t i = 0; i < WARPS; i++) {
        float top = room[R::TOPS_AT + i * 8 * NQ + row];
        x.top = top > x.top ? top : x.top;
    }
#pragma unroll
    for (uint32_t i = 0; i < WARPS; i++) {
        float by = kb_exp2(room[R::TOPS_AT + i * 8 * NQ + row] - x.top);
        x.sum += by * room[(i * 8 * NQ + row) * R::ROW + channel];
        x.weight += by * room[R::WEIGHTS_AT + i * 8 * NQ + row];
    }
    return x;
}

/* rows queries from q_head on. */
template <int D, int NQ>
KB_DEVICE void write_result(const struct kb_attn_decode &a, const float *room, uint32_t q_head, uint32_t rows)
{
    for (uint32_t i = threadIdx.x; i < rows * D; i += THREADS) {
        uint32_t row = i / D, channel = i % D, seq = blockIdx.z;
        struct total x = add_warps<D, NQ>(room, row, channel);
        if (gridDim.y == 1) {
            a.out[((uint64_t)seq * a.n_q_heads + q_head + row) * D + channel] =
                kb_bf16_from_float(x.weight > 0 ? x.sum / x.weight : 0.0f);
            continue;
        }
        float *to = a.partial + kb_partial_at(&a, blockIdx.y, seq, q_head + row);
        to[channel] = x.sum;
        if (channel < 2) to[D + channel] = channel ? x.weight : x.top;
    }
}

/* ---- the kernel ---- */

/* KIVI's last split. */
template <int F, int D, int NQ>
KB_DEVICE void attend_recent(const struct kb_attn_decode &a, const struct strides &by, struct head &h,
                             const uint16_t *q, uint32_t rows)
{
    KB_SHARED_BYTES(shared);
    using S = shape<RING, D>;
    struct state<RING, D, NQ> w;
    h.span = kb_span_of(h.length, S::TOKENS, a.sink, a.window);
    h.first = kb_span_below(h.span, kb_kivi_v_packed(h.length, a.paged.residual_tokens) / S::TOKENS);
    h.last = h.span.n;
    begin<RING, D, NQ>(w, a, q, rows);
    stream_recent<F, D, NQ>(w, a, h, by, shared + threadIdx.x / 32 * (S::RING_BYTES / WARPS));
    kb_sync_block();
    lay_down<RING, D, NQ>(w, a, (float *)shared);
}

/* The other splits; false when this one has nothing to read, and so nothing to leave. */
template <int F, int D, int NQ>
KB_DEVICE bool attend_split(const struct kb_attn_decode &a, const struct kb_split &split,
                            const struct strides &by, struct head &h, const uint16_t *q, uint32_t rows)
{
    KB_SHARED_BYTES(shared);
    using S = shape<F, D>;
    h.span = kb_span_of(h.length, S::TOKENS, a.sink, a.window);
    struct kb_run run = kb_split_run(split, kb_shared_tiles(&a, h.span, h.length, S::TOKENS), blockIdx.y);
    if (run.first == run.last && (S::KIVI || blockIdx.y)) return false;
    struct state<F, D, NQ> w;
    h.first = run.first;
    h.last = run.last;
    begin<F, D, NQ>(w, a, q, rows);
    stream_tiles<F, D, NQ>(w, a, h, by, shared + threadIdx.x / 32 * (S::RING_BYTES / WARPS));
    kb_sync_block();
    lay_down<F, D, NQ>(w, a, (float *)shared);
    return true;
}

/* Grid: KV heads x chunks of queries, splits, sequences. KIVI has one split more, for the recent tokens. */
template <int F, int D, int NQ>
KB_KERNEL __launch_bounds__(THREADS, blocks_per_unit<D, NQ>())
    attend(struct kb_attn_decode a, struct kb_split split, struct strides by)
{
    KB_SHARED_BYTES(shared);
    struct head h;
    uint32_t heads = a.paged.n_kv_heads, group = a.n_q_heads / heads, chunk = blockIdx.x / heads * 8 * NQ;
    h.seq = blockIdx.z;
    h.index = blockIdx.x % heads;
    find_head(a, by, h);
    uint32_t q_head = h.index * group + chunk, rows = group - chunk < 8 * NQ ? group - chunk : 8 * NQ;
    const uint16_t *q = a.q + ((uint64_t)h.seq * a.n_q_heads + q_head) * D;
    if (shape<F, D>::KIVI && blockIdx.y == split.n) {
        if constexpr (shape<F, D>::KIVI) attend_recent<F, D, NQ>(a, by, h, q, rows);
    } else if (!attend_split<F, D, NQ>(a, split, by, h, q, rows)) {
        return;
    }
    kb_sync_block();
    write_result<D, NQ>(a, (const float *)shared, q_head, rows);
}

/* ---- launch ---- */

template <int F, int D, int NQ>
static bool launch(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *split,
                   struct kb_error *err)
{
    using S = shape<F, D>;
    const struct kb_device_info *info = &queue->device->info;
    constexpr uint32_t shared = shared_bytes<F, D, NQ>(), most = blocks_per_unit<D, NQ>();
    uint32_t heads = a->paged.n_kv_heads, chunks = (a->n_q_heads / heads + 8 * NQ - 1) / (8 * NQ);
    uint64_t fit = info->shared_bytes / shared;
    struct kb_split_work work = {};
    work.units = info->units ? info->units : 1;
    work.blocks_per_unit = fit < 1 ? 1 : fit < most ? (uint32_t)fit : most;
    work.heads = heads * chunks * a->n_seqs;
    work.max_tiles = kb_span_of(a->max_tokens, S::TOKENS, a->sink, a->window).n;
    work.mean_tiles =
        kb_span_of(a->mean_tokens ? a->mean_tokens : a->max_tokens, S::TOKENS, a->sink, a->window).n;
    work.tile_tokens = S::TOKENS;
    work.tile_bytes = S::STAGE;
    work.abreast = WARPS;
    work.room = a->n_splits - S::KIVI;
    work.split_tokens = a->split_tokens;
    work.alone = work.blocks_per_unit < 2 ? 1 : 2;
    work.start = 32 << 10;
    work.combine = 96 << 10;
    *split = kb_split_plan(&work);
    dim3 grid(heads * chunks, split->n + S::KIVI, a->n_seqs);
    return KB_LAUNCH((attend<F, D, NQ>), grid, dim3(THREADS), shared, queue, err, *a, *split,
                     (strides_of<F, D>(&a->paged)));
}

/* By head_dim, and by how many queries share a KV head. */
template <int F>
static bool choose(struct kb_queue *queue, const struct kb_attn_decode *a, struct kb_split *split,
                   struct kb_error *err)
{
    bool few = a->n_q_heads / a->paged.n_kv_heads <= 8;
    if (a->paged.head_dim == 128)
        return few ? launch<F, 128, 1>(queue, a, split, err) : launch<F, 128, 2>(queue, a, split, err);
    return few ? launch<F, 64, 1>(queue, a, split, err) : launch<F, 64, 2>(queue, a, split, err);
}

} // namespace decode

#endif
