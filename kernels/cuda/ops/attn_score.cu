/* A block of four warps has 128 keys of one KV head, 32 a warp, as the left factor in registers; the query
 * rows that see them (query of the window x group + head of the group) pass by in tiles of 64, double
 * buffered. Each row's weight is exp2(score - lse), and a warp adds up its own keys' rows of weights: no
 * sum crosses a warp before the end, and no block shares a key with another. */
#include "kernels/cuda/tile.cuh"

namespace
{

enum { WARPS = 4, THREADS = 32 * WARPS, M = 2, KEYS = 16 * M * WARPS, ROWS = 64, AHEAD = 3 };

/* What must be known of a tile's query rows: number of the row in q, lse as a power of two, and how many keys
 * of the sequence it sees. Three tiles: one in use, one being copied, one being looked up. */
struct rows {
    uint32_t at[AHEAD][ROWS], sees[AHEAD][ROWS];
    float lse[AHEAD][ROWS];
};

template <int D> struct plan {
    static constexpr int KEY_BYTES = KEYS * D * 2, ROW_BYTES = ROWS * D * 2;
    static constexpr int BYTES = KEY_BYTES + 2 * ROW_BYTES + (int)sizeof(struct rows);
};

struct place {
    uint32_t seq, head, key, length, first_row, n_rows, n_tiles;
    float scale; /* log2 e / sqrt(head_dim) */
};

/* Rows of a tile as one of ROWS threads sees them. Rows past the last weigh nothing: lse infinite. */
KB_DEVICE void look_up(const struct kb_attn_score &a, const struct place &p, struct rows *rows, uint32_t tile)
{
    uint32_t i = threadIdx.x, row = p.first_row + tile * ROWS + i, group = a.n_q_heads / a.paged.n_kv_heads;
    if (i >= ROWS) return;
    uint32_t query = row / group, at = 0, sees = 0xffffffffu;
    float lse = kb_bits_float(0x7f800000u);
    if (row < p.n_rows) {
        at = (p.seq * a.window + query) * a.n_q_heads + p.head * group + row % group;
        lse = a.lse[at] * 1.44269504f;
        sees = p.length + query + 1 - a.window;
    }
    rows->at[tile % AHEAD][i] = at;
    rows->lse[tile % AHEAD][i] = lse;
    rows->sees[tile % AHEAD][i] = sees;
}

template <int D>
KB_DEVICE void fetch(const struct kb_attn_score &a, const struct place &p, unsigned char *shared,
                     const struct rows *rows, uint32_t tile)
{
    if (tile < p.n_tiles)
        kb_tile_copy<ROWS, D, THREADS>(shared + plan<D>::KEY_BYTES + tile % 2 * plan<D>::ROW_BYTES, a.q,
                                       rows->at[tile % AHEAD], 0, p.n_rows - p.first_row - tile * ROWS,
                                       threadIdx.x);
    kb_copy_commit();
}

/* The block's keys; the first tile of queries is under way when they are in registers. */
template <int D>
KB_DEVICE void begin(const struct kb_attn_score &a, const struct place &p, unsigned char *shared,
                     struct rows *rows, uint32_t key[M][D / 16][4])
{
    const uint32_t *table = a.pages + kb_table_at(&a.paged, p.seq, p.head, 0);
    uint32_t *row_at =
        (uint32_t *)(shared + plan<D>::KEY_BYTES); /* where the second tile of queries comes later */
    row_at += plan<D>::ROW_BYTES / 4;
    row_at[threadIdx.x] = kb_key_row(a.paged, table, p.key + threadIdx.x, p.length, p.head);
    look_up(a, p, rows, 0);
    look_up(a, p, rows, 1);
    kb_sync_block();
    kb_tile_copy<KEYS, D, THREADS>(shared, a.kv, row_at, 0, p.length - p.key, threadIdx.x);
    kb_copy_commit();
    fetch<D>(a, p, shared, rows, 0);
    kb_copy_wait<1>();
    kb_sync_block();
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int k = 0; k < D / 16; k++)
            kb_tile_left<KEYS>(key[m][k], shared, threadIdx.x / 32 * 16 * M + 16 * m, 2 * k);
}

template <int D>
KB_DEVICE void multiply(const uint32_t key[M][D / 16][4], const unsigned char *queries,
                        float s[M][ROWS / 8][4])
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int i = 0; i < ROWS / 2; i++) s[m][i / 4][i % 4] = 0;
#pragma unroll
    for (int k = 0; k < D / 16; k++)
#pragma unroll
        for (int n = 0; n < ROWS / 16; n++) {
            uint32_t b[4];
            kb_tile_right<ROWS>(b, queries, 16 * n, 2 * k);
#pragma unroll
            for (int m = 0; m < M; m++) {
                kb_mma_bf16(s[m][2 * n], key[m][k], b);
                kb_mma_bf16(s[m][2 * n + 1], key[m][k], b + 2);
            }
        }
}

/* Weights of a tile's queries, added to the sums of keys l / 4 and l / 4 + 8 of each fragment. */
template <bool MASKED>
KB_DEVICE void add_weights(const struct place &p, const struct rows *rows, uint32_t tile,
                           const float s[M][ROWS / 8][4], float sum[M][2])
{
    uint32_t lane = threadIdx.x % 32, first = p.key + threadIdx.x / 32 * 16 * M + lane / 4;
    const float *lse = rows->lse[tile % AHEAD];
    const uint32_t *sees = rows->sees[tile % AHEAD];
#pragma unroll
    for (int n = 0; n < ROWS / 8; n++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            uint32_t row = 8 * n + 2 * (lane % 4) + i;
            float zero = lse[row];
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    float w = kb_exp2(s[m][n][2 * half + i] * p.scale - zero);
                    sum[m][half] += !MASKED || first + 16 * m + 8 * half < sees[row] ? w : 0.0f;
                }
        }
}

KB_DEVICE void store(const struct kb_attn_score &a, const struct place &p, float sum[M][2])
{
    uint32_t lane = threadIdx.x % 32;
    float *score = a.score + ((uint64_t)p.seq * a.paged.n_kv_heads + p.head) * a.max_tokens;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float total = sum[m][half] + kb_shfl_xor(sum[m][half], 1);
            total += kb_shfl_xor(total, 2);
            uint32_t key = p.key + threadIdx.x / 32 * 16 * M + 16 * m + 8 * half + lane / 4;
            if (lane % 4 == 0 && key < a.max_tokens)
                score[key] = total; /* no row sees keys beyond the length */
        }
}

/* Grid: (blocks of keys, KV heads, sequences). With a whole window the first keys are seen by the most
 * queries and start first. */
template <int D> KB_KERNEL __launch_bounds__(THREADS, 2) attn_score(struct kb_attn_score a)
{
    KB_SHARED_BYTES(shared);
    struct rows *rows = (struct rows *)(shared + plan<D>::KEY_BYTES + 2 * plan<D>::ROW_BYTES);
    uint32_t group = a.n_q_heads / a.paged.n_kv_heads;
    struct place p = {};
    p.key = blockIdx.x * KEYS;
    p.head = blockIdx.y;
    p.seq = blockIdx.z;
    p.length = a.lengths[p.seq];
    float sum[M][2] = {};
    if (p.key < p.length) {
        uint32_t key[M][D / 16][4];
        p.first_row = p.key + a.window > p.length ? (p.key + a.window - p.length) * group : 0;
        p.n_rows = a.window * group;
        p.n_tiles = (p.n_rows - p.first_row + ROWS - 1) / ROWS;
        p.scale = 1.44269504f * kb_rsqrt((float)D);
        begin<D>(a, p, shared, rows, key);
        for (uint32_t tile = 0; tile < p.n_tiles; tile++) {
            float s[M][ROWS / 8][4];
            kb_copy_wait<0>();
            kb_sync_block();
            fetch<D>(a, p, shared, rows, tile + 1);
            multiply<D>(key, shared + plan<D>::KEY_BYTES + tile % 2 * plan<D>::ROW_BYTES, s);
            if (rows->sees[tile % AHEAD][0] < p.key + KEYS) /* later rows see no less */
                add_weights<true>(p, rows, tile, s, sum);
            else
                add_weights<false>(p, rows, tile, s, sum);
            look_up(a, p, rows, tile + 2);
        }
    }
    store(a, p, sum);
}

template <int D> bool launch(struct kb_queue *queue, const struct kb_attn_score *a, struct kb_error *err)
{
    dim3 grid((a->max_tokens + KEYS - 1) / KEYS, a->paged.n_kv_heads, a->n_seqs);
    return KB_LAUNCH((attn_score<D>), grid, THREADS, (plan<D>::BYTES), queue, err, *a);
}

} // namespace

KB_ENTRY(attn_score)
{
    const struct kb_attn_score *a = (const struct kb_attn_score *)args;
    if (a->paged.head_dim == 64) return launch<64>(queue, a, err);
    if (a->paged.head_dim == 128) return launch<128>(queue, a, err);
    return kb_fail(err, "attention_score: head_dim %u: 64 or 128 expected", (unsigned)a->paged.head_dim);
}
