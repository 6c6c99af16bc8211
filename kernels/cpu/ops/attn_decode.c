#include "kernels/cpu/tile.h"

#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/split.h"

/* A piece of work is one split of one sequence, of all its KV heads where their rows lie side by side. A tile of
 * TILE tokens is widened to fp32 once and serves up to QUERIES queries; the sums live in `partial`, a row per query,
 * with channels in the order in which a format's codes are cheapest to unpack. HEAD_TILES tiles of one head are
 * done before the next head's, so that queries are prepared seldom and neighbouring rows are still in the cache. */
enum { TILE = 32, QUERIES = 16, HEAD_TILES = 8, MOST_CHANNELS = 128, LINE = 64 };

typedef float loose_floats __attribute__((vector_size(4 * KB_LANES), aligned(4), may_alias));

struct piece {
    const struct kb_attn_decode *a;
    uint32_t seq, split, first_head, last_head;
};

/* One KV head's share of a piece, and the queries now being served. */
struct head {
    const struct kb_attn_decode *a;
    uint32_t seq, index, length, q_head, n_queries;
    float *partial[QUERIES];
};

struct room {
    _Alignas(64) float q[QUERIES][MOST_CHANNELS];
    _Alignas(64) float tile[TILE][MOST_CHANNELS];
    _Alignas(64) kb_floats sum[TILE];
    _Alignas(64) float weight[TILE];
};

/* --- the order of channels --- */

/* Codes of one byte apart, planes after another: bf16 even and odd elements of two vectors. */
KB_INLINE int planes_of(const int format)
{
    return format == KB_BF16 || format == KB_INT4 || format == KB_KIVI4 ? 2 : format == KB_KIVI2 ? 4 : 1;
}

KB_INLINE int place_of(const int format, const int d, int channel)
{
    const int planes = planes_of(format), block = format == KB_BF16 ? 2 * KB_LANES : d;
    return channel / block * block + channel % planes * (block / planes) + channel % block / planes;
}

/* --- widening --- */

struct affine {
    float scale, low;
};

struct affine_channels {
    _Alignas(64) float scale[MOST_CHANNELS];
    _Alignas(64) float low[MOST_CHANNELS];
};

/* Finite fp16 by one multiplication, which makes vectors. */
KB_INLINE float widen_scale(uint16_t h)
{
    union kb_bits b;
    b.u = (uint32_t)(h & 0x7fffu) << 13;
    b.f *= 5.192296858534828e33f; /* 2^112 */
    b.u |= (uint32_t)(h & 0x8000u) << 16;
    return b.f;
}

KB_INLINE void widen_bf16(const uint16_t *row, float *to, const int d)
{
    for (int i = 0; i < d; i += 2 * KB_LANES) {
        struct kb_even_odd x = kb_split_bf16(row + i);
        *(kb_floats *)(to + i) = x.even;
        *(kb_floats *)(to + i + KB_LANES) = x.odd;
    }
}

/* The residual's rows, in another format's order. */
KB_INLINE void widen_recent(const uint16_t *row, float *to, const int format, const int d)
{
    for (int i = 0; i < d; i++) to[place_of(format, d, i)] = kb_bf16_to_float(row[i]);
}

/* Codes `from` to `to` - 1 of a plane, all with one scale and minimum. */
KB_INLINE void widen_run(const uint8_t *row, struct affine a, float *to, const int shift, const int bits,
                         const int n)
{
    const uint32_t mask = (1u << bits) - 1u;
    for (int i = 0; i < n; i++) to[i] = KB_FMA((float)((uint32_t)row[i] >> shift & mask), a.scale, a.low);
}

/* A pair for each `per` channels of the row. */
KB_INLINE void widen_groups(const uint8_t *row, const uint16_t *pair, float *to, const int per,
                            const int format, const int d)
{
    const int planes = planes_of(format), bits = 8 / planes, n = per / planes;
    for (int g = 0; g < d / per; g++) {
        const struct affine a = {widen_scale(pair[2 * g]), widen_scale(pair[2 * g + 1])};
        for (int j = 0; j < planes; j++)
            widen_run(row + g * n, a, to + j * (d / planes) + g * n, j * bits, bits, n);
    }
}

/* A pair for each channel: scales and minima apart, in the order of places. */
KB_INLINE void widen_channels(const uint8_t *row, const struct affine_channels *a, float *to,
                              const int format, const int d)
{
    const int planes = planes_of(format), bits = 8 / planes, n = d / planes;
    for (int j = 0; j < planes; j++)
        for (int i = 0; i < n; i++) {
            uint32_t code = (uint32_t)row[i] >> (j * bits) & ((1u << bits) - 1u);
            to[j * n + i] = KB_FMA((float)code, a->scale[j * n + i], a->low[j * n + i]);
        }
}

KB_INLINE void spread_pairs(const uint16_t *pair, struct affine_channels *a, const int format, const int d)
{
    const int planes = planes_of(format), n = d / planes;
    float scale[MOST_CHANNELS], low[MOST_CHANNELS];
    for (int i = 0; i < d; i++) {
        scale[i] = widen_scale(pair[2 * i]);
        low[i] = widen_scale(pair[2 * i + 1]);
    }
    for (int j = 0; j < planes; j++)
        for (int i = 0; i < n; i++) {
            a->scale[j * n + i] = scale[i * planes + j];
            a->low[j * n + i] = low[i * planes + j];
        }
}

/* One row whose scales, if it has any, are a pair or a pair per group. */
KB_INLINE void widen_row(const uint8_t *row, const uint16_t *pair, float *to, const int format, const int d)
{
    if (format == KB_BF16)
        widen_bf16((const uint16_t *)row, to, d);
    else if (format == KB_FP8)
        kb_widen_fp8(row, to, (size_t)d);
    else
        widen_groups(row, pair, to, format == KB_KIVI4 || format == KB_KIVI2 ? (int)KB_GROUP : d, format, d);
}

/* Keys (kv 0) or values of n tokens from `token` on; zeros to the end of the tile. */
KB_INLINE void widen_tile(const struct head *h, struct room *r, uint32_t token, uint32_t n, const int kv,
                          const int format, const int d)
{
    const struct kb_paged *p = &h->a->paged;
    const bool kivi = format == KB_KIVI4 || format == KB_KIVI2;
    const uint32_t bytes = kb_row_bytes((enum kb_format)format, (uint32_t)d);
    const uint32_t *table = h->a->pages + kb_table_at(p, h->seq, h->index, 0);
    const uint16_t *scales = kv ? h->a->v_scales : h->a->k_scales;
    const bool channels = kivi && !kv, scaled = format != KB_BF16 && format != KB_FP8;
    struct affine_channels spread;
    uint32_t i = 0, packed = h->length, at = token % p->page_tokens, page = token / p->page_tokens;
    if (kivi) packed = (kv ? kb_kivi_v_packed : kb_kivi_k_packed)(h->length, p->residual_tokens);
    if (channels && token < packed)
        spread_pairs(scales + 2 * kb_k_scale_at(p, table[page], at, h->index), &spread, format, d);
    for (; i < n && token + i < packed; i++, at++) {
        if (at == p->page_tokens) at = 0, page++;
        const uint8_t *row =
            (const uint8_t *)h->a->kv + kb_row(p, table[page], (uint32_t)kv, at, h->index) * bytes;
        uint64_t pair = !scaled ? 0
                        : kv    ? kb_v_scale_at(p, table[page], at, h->index)
                                : kb_k_scale_at(p, table[page], at, h->index);
        if (channels)
            widen_channels(row, &spread, r->tile[i], format, d);
        else
            widen_row(row, scaled ? scales + 2 * pair : NULL, r->tile[i], format, d);
    }
    for (; i < n; i++)
        widen_recent(h->a->residual + kb_residual_at(p, h->seq, (uint32_t)kv, token + i, h->index),
                     r->tile[i], format, d);
    for (; i < TILE; i++) memset(r->tile[i], 0, (size_t)d * sizeof(float));
}

/* Asks memory for the rows of a tile that is widened after the next step: rows of one head lie too far apart for
 * a processor to guess. */
KB_INLINE void ask_for(const struct head *h, uint32_t token, const int kv, const int format, const int d)
{
    const struct kb_paged *p = &h->a->paged;
    const uint32_t bytes = kb_row_bytes((enum kb_format)format, (uint32_t)d);
    const uint32_t *table = h->a->pages + kb_table_at(p, h->seq, h->index, 0);
    uint32_t at = token % p->page_tokens, page = token / p->page_tokens;
    uint32_t end = token + TILE < h->length ? token + TILE : h->length;
    for (; token < end; token++, at++) {
        if (at == p->page_tokens) at = 0, page++;
        const char *row = (const char *)h->a->kv + kb_row(p, table[page], (uint32_t)kv, at, h->index) * bytes;
        for (uint32_t i = 0; i < bytes; i += LINE) __builtin_prefetch(row + i);
    }
}

/* --- a tile --- */

/* Scores of one query, in powers of two. */
KB_INLINE void score(struct room *r, const float *q, float *s, const int d)
{
    for (int t = 0; t < TILE; t += 4) {
        kb_floats sum[4] = {{0}, {0}, {0}, {0}};
        for (int i = 0; i < d; i += KB_LANES)
            for (int j = 0; j < 4; j++)
                sum[j] = KB_FLOATS_FMA(*(const kb_floats *)(q + i), *(const kb_floats *)(r->tile[t + j] + i),
                                       sum[j]);
        for (int j = 0; j < 4; j++) r->sum[t + j] = sum[j];
    }
    kb_lanes_sums(r->sum, TILE, s);
}

/* Scores to weights; returns by how much the query's sums shrink. at: largest score, sum of weights. */
KB_INLINE float soften(const struct head *h, float *s, uint32_t token, float at[2])
{
    const struct kb_attn_decode *a = h->a;
    if (token + TILE > h->length || a->sink + a->window)
        for (uint32_t t = 0; t < TILE; t++)
            if (!kb_is_read(h->length, a->sink, a->window, token + t)) s[t] = 2 * KB_NO_SCORE;
    float top = at[0], sum = 0, part[KB_LANES], best[KB_LANES];
    for (int l = 0; l < KB_LANES; l++) best[l] = s[l];
    for (int t = KB_LANES; t < TILE; t += KB_LANES)
        for (int l = 0; l < KB_LANES; l++) best[l] = s[t + l] > best[l] ? s[t + l] : best[l];
    for (int l = 0; l < KB_LANES; l++) top = best[l] > top ? best[l] : top;
    for (int t = 0; t < TILE; t++) s[t] = kb_tile_exp2(s[t] - top);
    for (int l = 0; l < KB_LANES; l++) part[l] = s[l];
    for (int t = KB_LANES; t < TILE; t += KB_LANES)
        for (int l = 0; l < KB_LANES; l++) part[l] += s[t + l];
    for (int l = 0; l < KB_LANES; l++) sum += part[l];
    float shrink = kb_tile_exp2(at[0] - top);
    at[0] = top;
    at[1] = at[1] * shrink + sum;
    return shrink;
}

KB_INLINE void add_values(const struct room *r, const float *weight, float shrink, float *to, const int d)
{
    enum { WIDE = 4 };
    for (int i = 0; i < d; i += WIDE * KB_LANES) {
        kb_floats sum[WIDE];
        for (int j = 0; j < WIDE; j++) sum[j] = *(const loose_floats *)(to + i + j * KB_LANES) * shrink;
        for (int t = 0; t < TILE; t++) {
            kb_floats by = weight[t] - (kb_floats){0};
            for (int j = 0; j < WIDE; j++)
                sum[j] = KB_FLOATS_FMA(by, *(const kb_floats *)(r->tile[t] + i + j * KB_LANES), sum[j]);
        }
        for (int j = 0; j < WIDE; j++) *(loose_floats *)(to + i + j * KB_LANES) = sum[j];
    }
}

KB_INLINE void attend_tile(const struct head *h, struct room *r, uint32_t tile, const int format, const int d)
{
    float weight[QUERIES][TILE], shrink[QUERIES];
    uint32_t token = tile * TILE, n = h->length - token < TILE ? h->length - token : TILE;
    widen_tile(h, r, token, n, 0, format, d);
    ask_for(h, token, 1, format, d);
    for (uint32_t g = 0; g < h->n_queries; g++) {
        score(r, r->q[g], weight[g], d);
        shrink[g] = soften(h, weight[g], token, h->partial[g] + d);
    }
    widen_tile(h, r, token, n, 1, format, d);
    ask_for(h, token + TILE, 0, format, d);
    for (uint32_t g = 0; g < h->n_queries; g++) add_values(r, weight[g], shrink[g], h->partial[g], d);
}

/* --- a piece --- */

KB_INLINE void prepare_queries(struct head *h, struct room *r, uint32_t split, const int format, const int d)
{
    const struct kb_attn_decode *a = h->a;
    const float factor = 1.44269504f / sqrtf((float)d) * (format == KB_FP8 ? a->paged.k_scale : 1.0f);
    for (uint32_t g = 0; g < h->n_queries; g++) {
        const uint16_t *q = a->q + ((uint64_t)h->seq * a->n_q_heads + h->q_head + g) * (uint64_t)d;
        for (int i = 0; i < d; i++) r->q[g][place_of(format, d, i)] = kb_bf16_to_float(q[i]) * factor;
        h->partial[g] = a->partial + kb_partial_at(a, split, h->seq, h->q_head + g);
    }
}

/* Places `from` to `to` - 1 of one head's list of tiles. */
KB_INLINE void attend_head(const struct piece *p, uint32_t index, struct kb_span span, struct kb_run run,
                           const int format, const int d)
{
    struct room room;
    const struct kb_attn_decode *a = p->a;
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads;
    struct head h = {
        .a = a, .seq = p->seq, .index = index, .length = a->lengths[kb_length_at(&a->paged, p->seq, index)]};
    for (uint32_t g = 0; g < group; g += QUERIES) {
        h.q_head = index * group + g;
        h.n_queries = group - g < QUERIES ? group - g : QUERIES;
        prepare_queries(&h, &room, p->split, format, d);
        for (uint32_t i = run.first; i < run.last; i++)
            attend_tile(&h, &room, kb_span_tile(span, i), format, d);
    }
}

KB_INLINE void attend_heads(const struct piece *p, struct kb_span span, struct kb_run run, const int format,
                            const int d)
{
    for (uint32_t i = run.first; i < run.last; i += HEAD_TILES) {
        struct kb_run some = {i, i + HEAD_TILES < run.last ? i + HEAD_TILES : run.last};
        for (uint32_t head = p->first_head; head < p->last_head; head++)
            attend_head(p, head, span, some, format, d);
    }
}

/* A copy of the code for each format and head_dim. */
typedef void attend_piece(const struct piece *p, struct kb_span span, struct kb_run run);

#define ATTEND(name, format, d)                                                                              \
    static void name##_##d(const struct piece *p, struct kb_span span, struct kb_run run)                    \
    {                                                                                                        \
        attend_heads(p, span, run, format, d);                                                               \
    }
#define ATTEND_BOTH(name, format) ATTEND(name, format, 64) ATTEND(name, format, 128)
ATTEND_BOTH(bf16, KB_BF16)
ATTEND_BOTH(fp8, KB_FP8)
ATTEND_BOTH(int8, KB_INT8)
ATTEND_BOTH(int4, KB_INT4)
ATTEND_BOTH(kivi4, KB_KIVI4)
ATTEND_BOTH(kivi2, KB_KIVI2)

static attend_piece *const attend[KB_N_FORMAT][2] = {{bf16_64, bf16_128},   {fp8_64, fp8_128},
                                                     {int8_64, int8_128},   {int4_64, int4_128},
                                                     {kivi4_64, kivi4_128}, {kivi2_64, kivi2_128}};

static void begin(const struct piece *p)
{
    const struct kb_attn_decode *a = p->a;
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads, d = a->paged.head_dim;
    for (uint32_t q = p->first_head * group; q < p->last_head * group; q++) {
        float *row = a->partial + kb_partial_at(a, p->split, p->seq, q);
        memset(row, 0, d * sizeof *row);
        row[d] = KB_NO_SCORE;
        row[d + 1] = 0;
    }
}

/* --- all of it --- */

static struct kb_span span_of(const struct kb_attn_decode *a, uint32_t length)
{
    return kb_span_of(length, TILE, a->sink, a->window);
}

static void combine(const struct kb_attn_decode *a, struct kb_split split, uint32_t seq, uint32_t q_head)
{
    const struct kb_paged *p = &a->paged;
    uint32_t d = p->head_dim, kv_head = q_head / (a->n_q_heads / p->n_kv_heads);
    uint32_t tiles = span_of(a, a->lengths[kb_length_at(p, seq, kv_head)]).n;
    uint32_t n = (tiles + split.tiles - 1) / split.tiles;
    float sum[MOST_CHANNELS] = {0}, top = KB_NO_SCORE, weight = 0;
    for (uint32_t i = 0; i < n; i++) {
        const float *row = a->partial + kb_partial_at(a, i, seq, q_head);
        float larger = row[d] > top ? row[d] : top, mine = kb_tile_exp2(top - larger),
              its = kb_tile_exp2(row[d] - larger);
        for (uint32_t j = 0; j < d; j++) sum[j] = sum[j] * mine + row[j] * its;
        weight = weight * mine + row[d + 1] * its;
        top = larger;
    }
    uint16_t *out = a->out + ((uint64_t)seq * a->n_q_heads + q_head) * d;
    float unit = (p->format == KB_FP8 ? p->v_scale : 1.0f) / (weight > 0 ? weight : 1.0f);
    for (uint32_t j = 0; j < d; j++)
        out[j] = kb_round_bf16(sum[place_of((int)p->format, (int)d, (int)j)] * unit);
}

static struct kb_split plan(const struct kb_attn_decode *a, uint32_t lists)
{
    const struct kb_paged *p = &a->paged;
    uint32_t together = p->n_kv_heads * a->n_seqs / lists;
    struct kb_split_work work = {.units = (uint32_t)omp_get_max_threads(),
                                 .blocks_per_unit = 1,
                                 .heads = lists,
                                 .mean_tiles = span_of(a, a->mean_tokens ? a->mean_tokens : a->max_tokens).n,
                                 .max_tiles = span_of(a, a->max_tokens).n,
                                 .tile_tokens = TILE,
                                 .tile_bytes = 2 * TILE * kb_row_bytes(p->format, p->head_dim) * together,
                                 .abreast = 1,
                                 .room = a->n_splits,
                                 .split_tokens = a->split_tokens,
                                 .alone = 1,
                                 .start = 4 << 10,
                                 .combine = 8 << 10};
    return kb_split_plan(&work);
}

KB_CPU_ENTRY(attn_decode)
{
    (void)queue;
    const struct kb_attn_decode *a = args;
    const struct kb_paged *p = &a->paged;
    if (p->head_dim != 64 && p->head_dim != 128)
        return kb_fail(err, "head_dim %u: expected 64 or 128", p->head_dim);
    bool together = p->table_heads == 1 && p->layout == KB_NHD;
    uint32_t lists = a->n_seqs * (together ? 1 : p->n_kv_heads), per_seq = lists / a->n_seqs;
    struct kb_split split = plan(a, lists);
#pragma omp parallel
    {
#pragma omp for schedule(dynamic, 1)
        for (uint32_t i = 0; i < lists * split.n; i++) {
            uint32_t list = i / split.n, head = list % per_seq;
            struct piece piece = {a, list / per_seq, i % split.n, together ? 0 : head,
                                  together ? p->n_kv_heads : head + 1};
            struct kb_span span = span_of(a, a->lengths[kb_length_at(p, piece.seq, head)]);
            struct kb_run run = kb_split_run(split, span.n, piece.split);
            if (run.first == run.last) continue;
            begin(&piece);
            attend[p->format][p->head_dim == 128](&piece, span, run);
        }
#pragma omp for
        for (uint32_t i = 0; i < a->n_seqs * a->n_q_heads; i++)
            combine(a, split, i / a->n_q_heads, i % a->n_q_heads);
    }
    return true;
}
