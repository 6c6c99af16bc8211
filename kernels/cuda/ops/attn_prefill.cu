/* Flash attention with mma.sync (after Dao, FlashAttention-2, 2023). A block of four warps has one query head
 * and 64 M queries, each warp 16 M of them; it walks the keys it may see in tiles of 64, keeping a running
 * maximum and sum per row. Keys and values pass alternately through a ring of slots in shared memory, filled
 * SLOTS - 1 halves of a tile ahead; the pages of a tile are looked up two tiles ahead. Probabilities stay in
 * registers: the fragment that one product leaves is the fragment that the next one takes. */
#include "kernels/cuda/prefill.cuh"

namespace
{

enum { WARPS = 4, THREADS = 32 * WARPS, KEYS = 64 };

template <int D, int M> struct plan {
    static constexpr int ROWS = 16 * M * WARPS;
    static constexpr int SLOTS = D > 64 && M == 1 ? 2 : 3; /* 2: fits small shared memories */
    static constexpr bool HOLD_Q = D * M <= 128;           /* queries stay in registers */
    static constexpr int SLOT_BYTES = KEYS * D * 2, Q_BYTES = ROWS * D * 2;
    static constexpr int BYTES = Q_BYTES + SLOTS * SLOT_BYTES + 2 * KEYS * 4;
};

/* What a warp carries from tile to tile: fragments of its 16 M rows. */
template <int D, int M> struct state {
    float out[M][D / 8][4];
    float top[M][2], sum[M][2];
    uint32_t q[M][D / 16][4]; /* when held */
};

template <int D, int M> KB_DEVICE void load_q(uint32_t q[4], const unsigned char *tile, int m, int k)
{
    kb_tile_left<plan<D, M>::ROWS>(q, tile, threadIdx.x / 32 * 16 * M + 16 * m, 2 * k);
}

template <int D, int M>
KB_DEVICE void multiply_keys(const state<D, M> &st, float s[M][KEYS / 8][4], const unsigned char *q_tile,
                             const unsigned char *keys)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int i = 0; i < KEYS / 2; i++) s[m][i / 4][i % 4] = 0;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        uint32_t q[M][4], b[4];
#pragma unroll
        for (int m = 0; m < M; m++)
            if (!plan<D, M>::HOLD_Q) load_q<D, M>(q[m], q_tile, m, k);
#pragma unroll
        for (int n = 0; n < KEYS / 16; n++) {
            kb_tile_right<KEYS>(b, keys, 16 * n, 2 * k);
#pragma unroll
            for (int m = 0; m < M; m++) {
                kb_mma_bf16(s[m][2 * n], plan<D, M>::HOLD_Q ? st.q[m][k] : q[m], b);
                kb_mma_bf16(s[m][2 * n + 1], plan<D, M>::HOLD_Q ? st.q[m][k] : q[m], b + 2);
            }
        }
    }
}

template <int D, int M>
KB_DEVICE void multiply_values(state<D, M> &st, const float s[M][KEYS / 8][4], const unsigned char *values)
{
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) {
        uint32_t p[M][4], b[4];
#pragma unroll
        for (int m = 0; m < M; m++) kb_prefill_pack(p[m], s[m][2 * k], s[m][2 * k + 1]);
#pragma unroll
        for (int n = 0; n < D / 16; n++) {
            kb_tile_right_transposed<KEYS>(b, values, 16 * k, 2 * n);
#pragma unroll
            for (int m = 0; m < M; m++) {
                kb_mma_bf16(st.out[m][2 * n], p[m], b);
                kb_mma_bf16(st.out[m][2 * n + 1], p[m], b + 2);
            }
        }
    }
}

template <int D, int M> KB_DEVICE void start(state<D, M> &st, const unsigned char *q_tile)
{
#pragma unroll
    for (int m = 0; m < M; m++) {
        st.top[m][0] = st.top[m][1] = KB_PREFILL_LOWEST;
        st.sum[m][0] = st.sum[m][1] = 0;
#pragma unroll
        for (int i = 0; i < D / 2; i++) st.out[m][i / 4][i % 4] = 0;
#pragma unroll
        for (int k = 0; k < D / 16; k++)
            if (plan<D, M>::HOLD_Q) load_q<D, M>(st.q[m][k], q_tile, m, k);
    }
}

/* Half a tile, keys (even) or values (odd), into its slot; nothing after the last. Always closes a group. */
template <int D, int M>
KB_DEVICE void fetch(const struct kb_attn_prefill &a, const struct kb_prefill_block &b, unsigned char *shared,
                     uint32_t half)
{
    using P = plan<D, M>;
    uint32_t tile = half / 2;
    const uint32_t *row_at =
        (const uint32_t *)(shared + P::Q_BYTES + P::SLOTS * P::SLOT_BYTES) + tile % 2 * KEYS;
    if (tile < b.n_tiles)
        kb_tile_copy<KEYS, D, THREADS>(shared + P::Q_BYTES + half % P::SLOTS * P::SLOT_BYTES, a.kv, row_at,
                                       half % 2 ? kb_value_step(a.paged) : 0, b.end - tile * KEYS,
                                       threadIdx.x);
    kb_copy_commit();
}

/* Waits for a half, and until every warp is done with the half before; then its slot takes a new one. */
template <int D, int M>
KB_DEVICE const unsigned char *next_half(const struct kb_attn_prefill &a, const struct kb_prefill_block &b,
                                         unsigned char *shared, uint32_t half)
{
    using P = plan<D, M>;
    kb_copy_wait<P::SLOTS - 2>();
    kb_sync_block();
    fetch<D, M>(a, b, shared, half + P::SLOTS - 1);
    return shared + P::Q_BYTES + half % P::SLOTS * P::SLOT_BYTES;
}

/* Queries and the first halves are under way when this returns. */
template <int D, int M>
KB_DEVICE void begin(const struct kb_attn_prefill &a, const struct kb_prefill_block &b, unsigned char *shared,
                     uint32_t *row_at)
{
    using P = plan<D, M>;
    uint32_t i = threadIdx.x;
    row_at[i] = kb_key_row(a.paged, b.table, i, b.end, b.kv_head); /* THREADS = 2 KEYS: two tiles */
#pragma unroll
    for (uint32_t at = i; at < P::ROWS * D / 8; at += THREADS) {
        uint32_t row = at / (D / 8), piece = at % (D / 8);
        const uint16_t *q = a.q + kb_prefill_row(a, b, row < b.n_rows ? row : 0) * D + piece * 8;
        kb_copy16(shared + kb_swizzle(P::ROWS, row, piece), q, row < b.n_rows);
    }
    kb_copy_commit();
    kb_sync_block();
    for (uint32_t half = 0; half < P::SLOTS - 1; half++) fetch<D, M>(a, b, shared, half);
    kb_copy_wait<P::SLOTS - 1>();
    kb_sync_block();
}

template <int D, int M> KB_KERNEL __launch_bounds__(THREADS, 2) prefill(struct kb_attn_prefill a)
{
    using P = plan<D, M>;
    KB_SHARED_BYTES(shared);
    uint32_t *row_at = (uint32_t *)(shared + P::Q_BYTES + P::SLOTS * P::SLOT_BYTES);
    struct kb_prefill_block b;
    if (!kb_prefill_place<P::ROWS, KEYS>(a, b)) return;
    uint32_t first = b.first_position + threadIdx.x / 32 * 16 * M; /* position of the warp's first row */
    state<D, M> st;
    begin<D, M>(a, b, shared, row_at);
    start<D, M>(st, shared);
    for (uint32_t tile = 0; tile < b.n_tiles; tile++) {
        float s[M][KEYS / 8][4];
        bool sees = tile * KEYS < first + 16 * M;
        const unsigned char *keys = next_half<D, M>(a, b, shared, 2 * tile);
        if (sees) {
            multiply_keys<D, M>(st, s, shared, keys);
#pragma unroll
            for (int m = 0; m < M; m++) {
                if (tile * KEYS + KEYS - 1 > first) kb_prefill_mask<KEYS>(s[m], first + 16 * m, tile * KEYS);
                kb_prefill_soften<KEYS, D>(s[m], st.out[m], st.top[m], st.sum[m], b.scale);
            }
        }
        const unsigned char *values = next_half<D, M>(a, b, shared, 2 * tile + 1);
        uint32_t row = 0, ahead = (tile + 2) * KEYS + threadIdx.x;
        if (threadIdx.x < KEYS) row = kb_key_row(a.paged, b.table, ahead, b.end, b.kv_head);
        if (sees) multiply_values<D, M>(st, s, values);
        if (threadIdx.x < KEYS) row_at[tile % 2 * KEYS + threadIdx.x] = row;
    }
#pragma unroll
    for (int m = 0; m < M; m++)
        kb_prefill_store<P::ROWS, D>(a, b, st.out[m], st.top[m], st.sum[m], shared,
                                     threadIdx.x / 32 * 16 * M + 16 * m);
}

template <int D, int M>
bool launch(struct kb_queue *queue, const struct kb_attn_prefill *a, struct kb_error *err)
{
    dim3 grid(a->n_q_heads, a->n_seqs, (a->max_new + plan<D, M>::ROWS - 1) / plan<D, M>::ROWS);
    return KB_LAUNCH((prefill<D, M>), grid, THREADS, (plan<D, M>::BYTES), queue, err, *a);
}

/* 128 queries a block read the keys half as often as 64 do, if there is enough work to fill the device and
 * enough shared memory for two blocks a multiprocessor. */
template <int D> bool choose(struct kb_queue *queue, const struct kb_attn_prefill *a, struct kb_error *err)
{
    const struct kb_device_info *info = &queue->device->info;
    uint64_t blocks = (uint64_t)a->n_q_heads * a->n_seqs * ((a->max_new + 127) / 128);
    bool room = info->shared_bytes >= 2 * (plan<D, 2>::BYTES + 1024);
    return room && blocks >= 2 * info->units ? launch<D, 2>(queue, a, err) : launch<D, 1>(queue, a, err);
}

} // namespace

KB_ENTRY(attn_prefill)
{
    const struct kb_attn_prefill *a = (const struct kb_attn_prefill *)args;
    uint32_t d = a->paged.head_dim;
    if (kb_prefill_has_wgmma(&queue->device->info, a)) return kb_prefill_wgmma(queue, a, err);
    if (d == 64) return choose<64>(queue, a, err);
    if (d == 128) return choose<128>(queue, a, err);
    if (d == 256) return launch<256, 1>(queue, a, err);
    return kb_fail(err, "attention_prefill: head_dim %u: 64, 128 or 256 expected", (unsigned)d);
}
