/* Quantise and append. One pass over the new keys and values, 16 bytes a lane: a row is shared by 8, 16 or 32
 * lanes. KIVI's keys need the range of a channel over 32 tokens: a warp holds such a tile in registers. */
#include "kernels/cuda/ops/affine.cuh"

enum { ROW_THREADS = 256, KIVI_THREADS = 128, WARP = 32, PACK = 1, RING = 2 };

/* n / d for n < 2^32 / d by one product; factor 0 stands for d = 1. */
struct quick {
    uint32_t d, factor;
};

static struct quick quick_of(uint32_t d)
{
    return {d, d == 1 ? 0 : (uint32_t)((0x100000000u + d - 1) / d)};
}

KB_DEVICE uint32_t quick_divide(uint32_t n, struct quick q)
{
    return q.factor ? (uint32_t)(((uint64_t)n * q.factor) >> 32) : n;
}

/* ---- formats with a row at a time ---- */

struct rows {
    struct kb_append a;
    struct quick heads, page;
    struct kb_divisor scale[2]; /* fp8 */
    uint32_t lane_bits;         /* 2^lane_bits lanes have a row */
};

/* A token's place in the cache, and a lane's eight channels of its row of one head; valid: there is such a row. */
struct place {
    uint32_t page, token, head, lane;
    bool valid;
};

KB_DEVICE uint8_t *row_at(const struct kb_append *a, const struct place *at, uint32_t kv)
{
    const struct kb_paged *p = &a->paged;
    return (uint8_t *)a->kv +
           kb_row(p, at->page, kv, at->token, at->head) * kb_row_bytes(p->format, p->head_dim);
}

KB_DEVICE uint32_t *pair_at(const struct kb_append *a, const struct place *at, uint32_t kv)
{
    const struct kb_paged *p = &a->paged;
    return kv ? (uint32_t *)a->v_scales + kb_v_scale_at(p, at->page, at->token, at->head)
              : (uint32_t *)a->k_scales + kb_k_scale_at(p, at->page, at->token, at->head);
}

KB_DEVICE uint2 fp8_codes(uint4 x, struct kb_divisor s)
{
    const uint32_t pair[4] = {x.x, x.y, x.z, x.w};
    uint32_t word[4];
#pragma unroll
    for (uint32_t i = 0; i < 4; i++)
        word[i] = kb_pack_fp8(kb_quotient(kb_bf16_low(pair[i]), s), kb_quotient(kb_bf16_high(pair[i]), s));
    return make_uint2(word[0] | word[1] << 16, word[2] | word[3] << 16);
}

/* Eight channels of a key or value; the lanes of a row come together for its range. */
template <enum kb_format F>
KB_DEVICE void put_row(const struct rows *r, const struct place *at, uint32_t kv, uint4 x)
{
    if (F == KB_BF16 && at->valid) ((uint4 *)row_at(&r->a, at, kv))[at->lane] = x;
    if (F == KB_FP8 && at->valid) ((uint2 *)row_at(&r->a, at, kv))[at->lane] = fp8_codes(x, r->scale[kv]);
    if (F == KB_INT8 || F == KB_INT4) {
        const uint32_t bits = F == KB_INT8 ? 8 : 4;
        uint32_t range = kb_range_join(at->valid ? kb_range_of(x) : KB_RANGE_EMPTY, 1u << r->lane_bits);
        uint32_t pair = kb_pair_of_range(range, bits);
        if (!at->valid) return;
        kb_codes_store<bits>(row_at(&r->a, at, kv), at->lane, kb_codes_of<bits>(kb_quantiser_of(pair), x));
        if (at->lane == 0) *pair_at(&r->a, at, kv) = pair;
    }
}

/* A thread: 16 bytes of a key and of the value beside it. */
template <enum kb_format F> KB_KERNEL __launch_bounds__(ROW_THREADS) append_rows(struct rows r)
{
    const struct kb_append *a = &r.a;
    const struct kb_paged *p = &a->paged;
    uint32_t thread = blockIdx.x * ROW_THREADS + threadIdx.x, row = thread >> r.lane_bits;
    struct place at = {0, 0, 0, thread & ((1u << r.lane_bits) - 1), false};
    uint4 k = make_uint4(0, 0, 0, 0), v = k;
    at.valid = row < a->n_tokens * p->n_kv_heads && at.lane * KB_LANE_CHANNELS < p->head_dim;
    if (at.valid) {
        uint64_t from = (uint64_t)row * p->head_dim + at.lane * KB_LANE_CHANNELS;
        k = kb_load16(a->k + from);
        v = kb_load16(a->v + from);
        uint32_t token = quick_divide(row, r.heads), seq = a->seq[token];
        at.head = row - token * r.heads.d;
        uint32_t position = a->past[kb_length_at(p, seq, at.head)] + token - a->begin[seq];
        uint32_t number = quick_divide(position, r.page);
        at.token = position - number * r.page.d;
        at.page = a->pages[kb_table_at(p, seq, at.head, number)];
    }
    put_row<F>(&r, &at, 0, k);
    put_row<F>(&r, &at, 1, v);
}

static bool launch_rows(struct kb_queue *queue, const struct kb_append *a, struct kb_error *err)
{
    const struct kb_paged *p = &a->paged;
    struct rows r = {*a, quick_of(p->n_kv_heads), quick_of(p->page_tokens), {}, 0};
    r.scale[0] = {p->k_scale, 1.0f / p->k_scale};
    r.scale[1] = {p->v_scale, 1.0f / p->v_scale};
    while ((uint32_t)KB_LANE_CHANNELS << r.lane_bits < p->head_dim) r.lane_bits++;
    uint64_t threads = (uint64_t)a->n_tokens * p->n_kv_heads << r.lane_bits;
    uint32_t blocks = (uint32_t)((threads + ROW_THREADS - 1) / ROW_THREADS);
    switch (p->format) {
    case KB_BF16:
        return KB_LAUNCH(append_rows<KB_BF16>, blocks, ROW_THREADS, 0, queue, err, r);
    case KB_FP8:
        return KB_LAUNCH(append_rows<KB_FP8>, blocks, ROW_THREADS, 0, queue, err, r);
    case KB_INT8:
        return KB_LAUNCH(append_rows<KB_INT8>, blocks, ROW_THREADS, 0, queue, err, r);
    default:
        return KB_LAUNCH(append_rows<KB_INT4>, blocks, ROW_THREADS, 0, queue, err, r);
    }
}

/* ---- KIVI ---- */

/* Keys or values of one head of one sequence. LANES lanes share a row, or 128 channels of a longer one, `lane`
 * being this thread's among all lanes of the row: a warp has 32 / LANES rows at a time, a lane LANES of 32. */
struct head {
    uint32_t seq, head, kv, lane, begin, past, now;
};

KB_DEVICE uint32_t packed_of(const struct kb_append *a, const struct head *h, uint32_t length)
{
    uint32_t r = a->paged.residual_tokens;
    return h->kv ? kb_kivi_v_packed(length, r) : kb_kivi_k_packed(length, r);
}

KB_DEVICE const uint16_t *source_row(const struct kb_append *a, const struct head *h, uint32_t position)
{
    const struct kb_paged *p = &a->paged;
    if (position < h->past) return a->residual + kb_residual_at(p, h->seq, h->kv, position, h->head);
    uint64_t token = h->begin + position - h->past;
    return (h->kv ? a->v : a->k) + (token * p->n_kv_heads + h->head) * p->head_dim;
}

/* A tile lies in one page: pages are whole groups of 32. */
struct tile {
    uint32_t page, token, sub;
    uint8_t *row; /* of the tile's first token */
    uint64_t row_stride;
};

template <uint32_t LANES, uint32_t BITS>
KB_DEVICE struct tile tile_of(const struct kb_append *a, const struct head *h, uint32_t position)
{
    const struct kb_paged *p = &a->paged;
    struct tile t;
    t.page = a->pages[kb_table_at(p, h->seq, h->head, position / p->page_tokens)];
    t.token = position % p->page_tokens;
    t.sub = threadIdx.x % WARP / LANES;
    uint32_t row_bytes = p->head_dim * BITS / 8;
    t.row = (uint8_t *)a->kv + kb_row(p, t.page, h->kv, t.token, h->head) * row_bytes;
    t.row_stride = (p->layout == KB_NHD ? p->n_kv_heads : 1u) * row_bytes;
    return t;
}

template <uint32_t LANES>
KB_DEVICE void load_tile(const struct kb_append *a, const struct head *h, uint32_t position, uint4 x[LANES])
{
    uint32_t sub = threadIdx.x % WARP / LANES;
#pragma unroll
    for (uint32_t i = 0; i < LANES; i++) {
        const uint16_t *row = source_row(a, h, position + i * (WARP / LANES) + sub);
        x[i] = kb_load16(row + h->lane * KB_LANE_CHANNELS);
    }
}

/* Half of one of four words, without an array in memory. */
KB_DEVICE float choose(const uint32_t word[4], uint32_t channel)
{
    uint32_t w = channel / 2 == 0   ? word[0]
                 : channel / 2 == 1 ? word[1]
                 : channel / 2 == 2 ? word[2]
                                    : word[3];
    return channel % 2 ? kb_bf16_high(w) : kb_bf16_low(w);
}

/* Range of each of the lane's channels over the tile, the lane's rows joined with those of its partners. */
template <uint32_t LANES>
KB_DEVICE void channel_ranges(const uint4 x[LANES], uint32_t low[4], uint32_t high[4])
{
    low[0] = high[0] = x[0].x;
    low[1] = high[1] = x[0].y;
    low[2] = high[2] = x[0].z;
    low[3] = high[3] = x[0].w;
#pragma unroll
    for (uint32_t i = 1; i < LANES; i++) {
        const uint32_t word[4] = {x[i].x, x[i].y, x[i].z, x[i].w};
#pragma unroll
        for (uint32_t j = 0; j < 4; j++) {
            low[j] = kb_min_bf16x2(low[j], word[j]);
            high[j] = kb_max_bf16x2(high[j], word[j]);
        }
    }
#pragma unroll
    for (uint32_t o = LANES; o < WARP; o *= 2)
#pragma unroll
        for (uint32_t j = 0; j < 4; j++) {
            low[j] = kb_min_bf16x2(low[j], kb_shfl_xor(low[j], (int)o));
            high[j] = kb_max_bf16x2(high[j], kb_shfl_xor(high[j], (int)o));
        }
}

/* Keys: a pair per channel. Partners hold the same ranges, so each makes its share of the eight pairs, stores
 * them and tells the others. */
template <uint32_t LANES, uint32_t BITS>
KB_DEVICE void pack_keys(const struct kb_append *a, const struct head *h, uint32_t position)
{
    const uint32_t share = KB_LANE_CHANNELS * LANES / WARP;
    uint4 x[LANES];
    uint32_t low[4], high[4], mine[share];
    struct tile t = tile_of<LANES, BITS>(a, h, position);
    load_tile<LANES>(a, h, position, x);
    channel_ranges<LANES>(x, low, high);
    uint32_t *pairs = (uint32_t *)a->k_scales + kb_k_scale_at(&a->paged, t.page, t.token, h->head);
#pragma unroll
    for (uint32_t i = 0; i < share; i++) {
        uint32_t channel = t.sub * share + i;
        mine[i] = kb_pair_of(choose(low, channel), choose(high, channel), BITS);
        pairs[h->lane * KB_LANE_CHANNELS + channel] = mine[i];
    }
    struct kb_quantiser q[KB_LANE_CHANNELS];
#pragma unroll
    for (uint32_t i = 0; i < KB_LANE_CHANNELS; i++)
        q[i] = kb_quantiser_of(kb_shfl(mine[i % share], (int)(i / share * LANES + h->lane % LANES)));
#pragma unroll
    for (uint32_t i = 0; i < LANES; i++) {
        const uint32_t word[4] = {x[i].x, x[i].y, x[i].z, x[i].w};
        struct kb_codes c = {{0, 0}};
#pragma unroll
        for (uint32_t j = 0; j < KB_LANE_CHANNELS; j++) {
            float value = j % 2 ? kb_bf16_high(word[j / 2]) : kb_bf16_low(word[j / 2]);
            kb_codes_put<BITS>(&c, j, kb_code_of<BITS>(q[j], value));
        }
        kb_codes_store<BITS>(t.row + (i * (WARP / LANES) + t.sub) * t.row_stride, h->lane, c);
    }
}

/* Values: a pair per token and 32 channels, which four lanes hold; of four tokens each makes one pair. */
template <uint32_t LANES, uint32_t BITS>
KB_DEVICE void pack_values(const struct kb_append *a, const struct head *h, uint32_t position)
{
    const uint32_t quad = KB_GROUP / KB_LANE_CHANNELS;
    uint4 x[LANES];
    struct tile t = tile_of<LANES, BITS>(a, h, position);
    load_tile<LANES>(a, h, position, x);
    uint32_t lane = threadIdx.x % WARP, place = lane % quad;
#pragma unroll
    for (uint32_t i = 0; i < LANES; i += quad) {
        uint32_t range = 0;
#pragma unroll
        for (uint32_t j = 0; j < quad; j++) {
            uint32_t r = kb_range_join(kb_range_of(x[i + j]), quad);
            range = j == place ? r : range;
        }
        uint32_t mine = kb_pair_of_range(range, BITS), token = t.token + (i + place) * (WARP / LANES) + t.sub;
        uint64_t pair = kb_v_scale_at(&a->paged, t.page, token, h->head) + h->lane / quad;
        ((uint32_t *)a->v_scales)[pair] = mine;
#pragma unroll
        for (uint32_t j = 0; j < quad; j++) {
            struct kb_quantiser q = kb_quantiser_of(kb_shfl(mine, (int)(lane - place + j)));
            uint8_t *row = t.row + ((i + j) * (WARP / LANES) + t.sub) * t.row_stride;
            kb_codes_store<BITS>(row, h->lane, kb_codes_of<BITS>(q, x[i + j]));
        }
    }
}

/* 32 of the new tokens that stay in bf16. */
template <uint32_t LANES>
KB_DEVICE void fill_ring(const struct kb_append *a, const struct head *h, uint32_t tile)
{
    uint32_t packed = packed_of(a, h, h->now), from = (packed > h->past ? packed : h->past) + tile * KB_GROUP;
    uint32_t end = from + KB_GROUP < h->now ? from + KB_GROUP : h->now;
    for (uint32_t t = from + threadIdx.x % WARP / LANES; t < end; t += WARP / LANES) {
        uint16_t *to = a->residual + kb_residual_at(&a->paged, h->seq, h->kv, t, h->head);
        ((uint4 *)to)[h->lane] = kb_load16(source_row(a, h, t) + h->lane * KB_LANE_CHANNELS);
    }
}

/* A warp: one tile of the keys or values of one head; heads run fastest, because they lie side by side. */
template <uint32_t LANES, uint32_t BITS>
KB_KERNEL __launch_bounds__(KIVI_THREADS) append_kivi(struct kb_append a, struct quick heads, uint32_t parts)
{
    uint32_t warp = (blockIdx.x * KIVI_THREADS + threadIdx.x) / WARP, rest = quick_divide(warp, heads);
    struct head h;
    uint32_t slices = a.paged.head_dim / (LANES * KB_LANE_CHANNELS);
    h.seq = blockIdx.y;
    h.head = warp - rest * heads.d;
    h.kv = rest % 2;
    h.lane = rest / 2 % slices * LANES + threadIdx.x % LANES;
    h.begin = a.begin[h.seq];
    h.past = a.past[kb_length_at(&a.paged, h.seq, h.head)];
    h.now = h.past + a.begin[h.seq + 1] - h.begin;
    uint32_t tile = rest / 2 / slices, position = packed_of(&a, &h, h.past) + tile * KB_GROUP;
    if ((parts & PACK) && position < packed_of(&a, &h, h.now)) {
        if (h.kv)
            pack_values<LANES, BITS>(&a, &h, position);
        else
            pack_keys<LANES, BITS>(&a, &h, position);
    }
    if (parts & RING) fill_ring<LANES>(&a, &h, tile);
}

/* In decode the ring has room for the new token beside all that may be packed, so that one launch does both. A
 * prompt's last tokens take the places of those that it packs: first all packing, then the ring. */
template <uint32_t LANES, uint32_t BITS>
static bool launch_kivi(struct kb_queue *queue, const struct kb_append *a, struct kb_error *err)
{
    const struct kb_paged *p = &a->paged;
    struct quick heads = quick_of(p->n_kv_heads);
    uint32_t tiles = (a->max_new + p->residual_tokens - 1) / KB_GROUP;
    uint32_t ring_tiles = (a->max_new + KB_GROUP - 1) / KB_GROUP,
             most = kb_residual_ring(p->residual_tokens) / KB_GROUP;
    uint32_t warps = 2 * p->n_kv_heads * p->head_dim / (LANES * KB_LANE_CHANNELS),
             per_block = KIVI_THREADS / WARP;
    if (ring_tiles > most) ring_tiles = most;
    dim3 pack_grid((tiles * warps + per_block - 1) / per_block, a->n_seqs);
    dim3 ring_grid((ring_tiles * warps + per_block - 1) / per_block, a->n_seqs);
    if (a->max_new == 1)
        return KB_LAUNCH((append_kivi<LANES, BITS>), pack_grid, KIVI_THREADS, 0, queue, err, *a, heads,
                         PACK | RING);
    return KB_LAUNCH((append_kivi<LANES, BITS>), pack_grid, KIVI_THREADS, 0, queue, err, *a, heads, PACK) &&
           KB_LAUNCH((append_kivi<LANES, BITS>), ring_grid, KIVI_THREADS, 0, queue, err, *a, heads, RING);
}

template <uint32_t BITS>
static bool launch_kivi_width(struct kb_queue *queue, const struct kb_append *a, struct kb_error *err)
{
    const struct kb_paged *p = &a->paged;
    if (p->page_tokens % KB_GROUP || p->residual_tokens % KB_GROUP)
        return kb_fail(err, "kv_append: KIVI's pages and window are multiples of 32 tokens");
    if (p->head_dim % 128 == 0) return launch_kivi<16, BITS>(queue, a, err);
    if (p->head_dim % 64 == 0) return launch_kivi<8, BITS>(queue, a, err);
    return kb_fail(err, "kv_append: KIVI with head_dim %u, expected a multiple of 64", (unsigned)p->head_dim);
}

KB_ENTRY(append)
{
    const struct kb_append *a = (const struct kb_append *)args;
    uint32_t d = a->paged.head_dim;
    if (d % KB_LANE_CHANNELS || d > WARP * KB_LANE_CHANNELS)
        return kb_fail(err, "kv_append: head_dim %u, expected a multiple of 8 up to 256", (unsigned)d);
    if (a->n_tokens == 0) return true;
    switch (a->paged.format) {
    case KB_KIVI4:
        return launch_kivi_width<4>(queue, a, err);
    case KB_KIVI2:
        return launch_kivi_width<2>(queue, a, err);
    default:
        return launch_rows(queue, a, err);
    }
}
