/* Flash attention with wgmma (after Shah et al., FlashAttention-3, 2024), for compute capability 9.0. A
 * block has one query head and 128 queries: a warpgroup that copies and two that compute, 64 queries each.
 * Keys and values pass alternately, in tiles of 128, through a ring of four slots. A computing warpgroup
 * starts the scores of the next tile before it adds up the values of the last, so that its softmax runs
 * beside a product; the two groups take turns at starting products, so that one's softmax runs beside the
 * other's. Registers go from the copying group to the computing ones. */
#include "kernels/cuda/prefill.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace
{

enum { GROUP = 128, GROUPS = 2, THREADS = GROUP * (GROUPS + 1), ROWS = 64 * GROUPS, KEYS = 128, SLOTS = 4 };
enum { COPY_REGISTERS = 56, COMPUTE_REGISTERS = 224 }; /* 128 x 56 + 256 x 224 <= 65536 */

/* Named barriers: a slot is full (for each computing group), is empty; a group's turn to start products. */
enum { FULL = 1, EMPTY = FULL + SLOTS * GROUPS, TURN = EMPTY + SLOTS };

template <int D> struct plan {
    static constexpr int Q_BYTES = ROWS * D * 2, SLOT_BYTES = KEYS * D * 2;
    static constexpr int BYTES =
        Q_BYTES + SLOTS * SLOT_BYTES + 1024; /* room to start at a multiple of 1024 */
};

/* --- the copying group --- */

/* A warp's 32 rows of a tile, of which this lane knows one row's number. */
template <int D>
KB_DEVICE void copy_rows(unsigned char *slot, const void *from, uint32_t number, uint32_t n_rows)
{
    constexpr uint32_t PIECES = D / KB_PIECE_CHANNELS;
    uint32_t lane = threadIdx.x % 32, first = threadIdx.x / 32 % 4 * 32;
#pragma unroll
    for (uint32_t i = 0; i < PIECES; i++) {
        uint32_t row = (i * 32 + lane) / PIECES, piece = lane % PIECES;
        const unsigned char *source =
            (const unsigned char *)from + (uint64_t)kb_shfl(number, (int)row) * (D * 2);
        kb_copy16(slot + kb_swizzle(KEYS, first + row, piece), source + piece * 16, first + row < n_rows);
    }
}

KB_DEVICE void announce(uint32_t half)
{
    kb_wgmma_publish();
    for (uint32_t g = 0; g < GROUPS; g++) kb_arrive_some(FULL + half % SLOTS * GROUPS + g, 2 * GROUP);
}

/* Halves of tiles, keys and values in turn. Two are on their way while a third is announced. */
template <int D>
KB_DEVICE void produce(const struct kb_attn_prefill &a, const struct kb_prefill_block &b,
                       unsigned char *shared)
{
    uint32_t row = threadIdx.x % GROUP, step = kb_value_step(a.paged), n_halves = 2 * b.n_tiles;
    uint32_t number = kb_key_row(a.paged, b.table, row, b.end, b.kv_head), next = 0;
    copy_rows<D>(shared, a.q, (uint32_t)kb_prefill_row(a, b, row < b.n_rows ? row : 0), b.n_rows);
    for (uint32_t half = 0; half < n_halves; half++) {
        if (half >= 2) {
            kb_copy_wait<1>();
            announce(half - 2);
        }
        if (half >= SLOTS) kb_sync_some(EMPTY + half % SLOTS, GROUP * (GROUPS + 1));
        uint32_t tile = half / 2, value = half % 2;
        if (!value) next = kb_key_row(a.paged, b.table, (tile + 1) * KEYS + row, b.end, b.kv_head);
        copy_rows<D>(shared + plan<D>::Q_BYTES + half % SLOTS * plan<D>::SLOT_BYTES, a.kv,
                     number + (value ? step : 0), b.end - tile * KEYS);
        kb_copy_commit();
        if (value) number = next;
    }
    kb_copy_wait<1>();
    announce(n_halves - 2);
    kb_copy_wait<0>();
    announce(n_halves - 1);
}

/* --- the computing groups --- */

/* What a group of 64 queries carries from tile to tile. */
template <int D> struct state {
    float out[D / 8][4], top[2], sum[2];
    uint32_t weight[KEYS / 16][4]; /* of the last tile, bf16 */
    uint32_t group, ring, q;       /* ring, q: addresses in shared memory */
};

template <int D> KB_DEVICE void wait_full(const state<D> &st, uint32_t half)
{
    kb_sync_some(FULL + half % SLOTS * GROUPS + st.group, 2 * GROUP);
}

/* Tells the copying group, if it is going to want the slot. */
KB_DEVICE void release(const struct kb_prefill_block &b, uint32_t half)
{
    if (half + SLOTS < 2 * b.n_tiles) kb_arrive_some(EMPTY + half % SLOTS, GROUP * (GROUPS + 1));
}

/* Starts s = q k of a tile. Both are rows of channels: 32 bytes a step, then the next 64 channels. */
template <int D> KB_DEVICE void start_scores(const state<D> &st, float (&s)[KEYS / 8][4], uint32_t tile)
{
    uint32_t keys = st.ring + 2 * tile % SLOTS * plan<D>::SLOT_BYTES;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        uint32_t block = k / 4, inside = k % 4 * 32;
        kb_wgmma(s, kb_wgmma_descriptor(st.q + block * (ROWS * KB_SWIZZLE_BYTES) + inside, 16, 1024),
                 kb_wgmma_descriptor(keys + block * (KEYS * KB_SWIZZLE_BYTES) + inside, 16, 1024), k > 0);
    }
    kb_wgmma_commit();
}

/* Starts out += weights x values of a tile. Values are rows of N: 16 keys a step, blocks of 64 channels
 * apart. */
template <int D> KB_DEVICE void start_values(state<D> &st, uint32_t tile)
{
    uint32_t values = st.ring + (2 * tile + 1) % SLOTS * plan<D>::SLOT_BYTES;
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++)
        kb_wgmma_transposed(
            st.out, st.weight[k],
            kb_wgmma_descriptor(values + k * (16 * KB_SWIZZLE_BYTES), KEYS * KB_SWIZZLE_BYTES, 1024));
    kb_wgmma_commit();
}

/* Scores of a tile to weights in fp32; what older sums shrink by. */
template <int D>
KB_DEVICE void weigh(const struct kb_prefill_block &b, state<D> &st, float (&s)[KEYS / 8][4], uint32_t tile,
                     float shrink[2])
{
    uint32_t first = b.first_position + (threadIdx.x / 32 - GROUP / 32) * 16;
    if (tile * KEYS + KEYS - 1 > first) kb_prefill_mask<KEYS>(s, first, tile * KEYS);
    kb_prefill_weigh<KEYS>(s, st.top, st.sum, shrink, b.scale);
}

template <int D> KB_DEVICE void keep_weights(state<D> &st, const float (&s)[KEYS / 8][4])
{
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) kb_prefill_pack(st.weight[k], s[2 * k], s[2 * k + 1]);
}

template <int D> KB_DEVICE void begin(const struct kb_prefill_block &b, state<D> &st)
{
    float s[KEYS / 8][4], shrink[2];
    st.top[0] = st.top[1] = KB_PREFILL_LOWEST;
    st.sum[0] = st.sum[1] = 0;
#pragma unroll
    for (int i = 0; i < D / 2; i++) st.out[i / 4][i % 4] = 0;
    wait_full<D>(st, 0);
    kb_wgmma_fence();
    start_scores<D>(st, s, 0);
    kb_wgmma_wait<0>();
    kb_wgmma_hold(s);
    release(b, 0);
    weigh<D>(b, st, s, 0, shrink);
    keep_weights<D>(st, s);
}

/* Scores of a tile beside the values of the tile before. Turns: each group waits for its own and then gives
 * the other one its turn; the second group's first gift is before all, so it keeps its last. */
template <int D> KB_DEVICE void advance(const struct kb_prefill_block &b, state<D> &st, uint32_t tile)
{
    float s[KEYS / 8][4], shrink[2];
    wait_full<D>(st, 2 * tile);
    kb_sync_some(TURN + st.group, 2 * GROUP);
    kb_wgmma_hold(st.out); /* written before the fence, and nothing of it after */
    kb_wgmma_hold(st.weight);
    kb_wgmma_fence();
    start_scores<D>(st, s, tile);
    wait_full<D>(st, 2 * tile - 1);
    start_values<D>(st, tile - 1);
    if (st.group == 0 || tile + 1 < b.n_tiles) kb_arrive_some(TURN + 1 - st.group, 2 * GROUP);
    kb_wgmma_wait<1>();
    kb_wgmma_hold(s);
    release(b, 2 * tile);
    weigh<D>(b, st, s, tile, shrink);
    kb_wgmma_wait<0>();
    kb_wgmma_hold(st.out);
    kb_wgmma_hold(st.weight);
    release(b, 2 * tile - 1);
    keep_weights<D>(st, s);
    kb_prefill_shrink<D>(st.out, shrink);
}

template <int D>
KB_DEVICE void consume(const struct kb_attn_prefill &a, const struct kb_prefill_block &b,
                       unsigned char *shared)
{
    state<D> st;
    st.group = threadIdx.x / GROUP - 1;
    st.q = kb_shared_address(shared) + st.group * (64 * KB_SWIZZLE_BYTES);
    st.ring = kb_shared_address(shared) + plan<D>::Q_BYTES;
    begin<D>(b, st);
    if (st.group == 1 && b.n_tiles > 1) kb_arrive_some(TURN, 2 * GROUP);
    for (uint32_t tile = 1; tile < b.n_tiles; tile++) advance<D>(b, st, tile);
    wait_full<D>(st, 2 * b.n_tiles - 1);
    kb_wgmma_hold(st.out);
    kb_wgmma_hold(st.weight);
    kb_wgmma_fence();
    start_values<D>(st, b.n_tiles - 1);
    kb_wgmma_wait<0>();
    kb_wgmma_hold(st.out);
    kb_sync_some(TURN + st.group, GROUP); /* nobody of the group reads its queries any more */
    kb_prefill_store<ROWS, D>(a, b, st.out, st.top, st.sum, shared, (threadIdx.x - GROUP) / 32 * 16);
}

template <int D> KB_KERNEL __launch_bounds__(THREADS, 1) prefill_wgmma(struct kb_attn_prefill a)
{
    KB_SHARED_BYTES(raw);
    unsigned char *shared = raw + (0u - kb_shared_address(raw)) % 1024;
    struct kb_prefill_block b;
    if (!kb_prefill_place<ROWS, KEYS>(a, b)) return;
    if (threadIdx.x < GROUP) {
        kb_registers_fewer<COPY_REGISTERS>();
        produce<D>(a, b, shared);
    } else {
        kb_registers_more<COMPUTE_REGISTERS>();
        consume<D>(a, b, shared);
    }
}

template <int D> bool launch(struct kb_queue *queue, const struct kb_attn_prefill *a, struct kb_error *err)
{
    dim3 grid(a->n_q_heads, a->n_seqs, (a->max_new + ROWS - 1) / ROWS);
    return KB_LAUNCH((prefill_wgmma<D>), grid, THREADS, (plan<D>::BYTES), queue, err, *a);
}

} // namespace

bool kb_prefill_wgmma(struct kb_queue *queue, const struct kb_attn_prefill *a, struct kb_error *err)
{
    return a->paged.head_dim == 64 ? launch<64>(queue, a, err) : launch<128>(queue, a, err);
}
