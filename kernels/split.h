/* How decode attention is cut into pieces that fill a machine, and how the pieces come together again. A head's
 * tokens are cut into tiles; with sinks and a window only some tiles are read, and the span lists those. A split
 * is a run of tiles of the list, equally long for all heads, so that a block's work is known before lengths are:
 * a short sequence has fewer splits. Each split leaves an unscaled sum, the largest score and the sum of weights
 * (base 2); combining is Rabe and Staats 2021, arXiv 2112.05682. Inline, for host and device. */
#ifndef KVSIM_KERNELS_SPLIT_H
#define KVSIM_KERNELS_SPLIT_H

#include "kernels/format.h"

enum { KB_MAX_SPLITS = 512 };

/* Score of nothing at all: finite, so that differences of it are no NaN. */
#define KB_NO_SCORE (-1e30f)

/* ---- which tiles ---- */

/* n tiles are read: those before gap_at, and from there on those `gap` further. */
struct kb_span {
    uint32_t n, gap_at, gap;
};

KB_HD struct kb_span kb_span_of(uint32_t length, uint32_t tile_tokens, uint32_t sink, uint32_t window)
{
    uint32_t all = (length + tile_tokens - 1u) / tile_tokens;
    struct kb_span s = {all, all, 0};
    if (sink + window == 0 || length <= sink + window) return s;
    uint32_t first = (sink + tile_tokens - 1u) / tile_tokens;
    uint32_t last = window ? (length - window) / tile_tokens : all;
    if (last <= first) return s;
    s.gap_at = first;
    s.gap = last - first;
    s.n = all - s.gap;
    return s;
}

/* Tile of a place in the list. */
KB_HD uint32_t kb_span_tile(struct kb_span s, uint32_t i)
{
    return i < s.gap_at ? i : i + s.gap;
}

/* How many of the list lie below a tile. */
KB_HD uint32_t kb_span_below(struct kb_span s, uint32_t tile)
{
    if (tile <= s.gap_at) return tile < s.n ? tile : s.n;
    return tile <= s.gap_at + s.gap ? s.gap_at : tile - s.gap;
}

/* Whether a position of the sequence is read. */
KB_HD bool kb_is_read(uint32_t length, uint32_t sink, uint32_t window, uint32_t position)
{
    if (position >= length) return false;
    return sink + window == 0 || position < sink || position + window >= length;
}

/* ---- how many splits ---- */

/* What is to be shared out. */
struct kb_split_work {
    uint32_t units, blocks_per_unit; /* multiprocessors or threads, and blocks at once on one */
    uint32_t heads;                  /* independent lists: sequences x KV heads */
    uint32_t mean_tiles, max_tiles;  /* length of a list */
    uint32_t tile_tokens, tile_bytes;
    uint32_t abreast;      /* tiles that a block works on at once, > 0 */
    uint32_t room;         /* most splits a list may have, > 0 */
    uint32_t split_tokens; /* wanted length of a split; 0: the cheapest */
    uint32_t alone;        /* so many blocks on a unit are needed to use all its bandwidth, > 0 */
    double start, combine; /* bytes a unit could have read while a block starts; while splits are combined */
};

/* Tokens of a tile, tiles of a split, and splits of the longest list. */
struct kb_split {
    uint32_t tile_tokens, tiles, n;
};

/* Time of a plan, in bytes that one unit reads: whole waves, and in the last what a unit gets of it. Uneven lengths
 * leave an uneven end; each split costs the combining a little more. */
KB_HD double kb_split_cost(const struct kb_split_work *w, uint32_t tiles)
{
    uint32_t n = (w->mean_tiles + tiles - 1u) / tiles, longest = (w->max_tiles + tiles - 1u) / tiles;
    uint64_t blocks = (uint64_t)w->heads * n, slots = (uint64_t)w->units * w->blocks_per_unit;
    uint64_t waves = (blocks + slots - 1u) / slots, rest = blocks - (waves - 1u) * slots;
    uint64_t last = (rest + w->units - 1u) / w->units;
    double block = (double)((tiles + w->abreast - 1u) / w->abreast * w->abreast) * w->tile_bytes;
    double deep = (double)((waves - 1u) * w->blocks_per_unit + (last < w->alone ? w->alone : last));
    double cost = deep * block + (double)waves * w->start;
    if (w->max_tiles > w->mean_tiles && blocks > slots) cost += block * w->blocks_per_unit;
    return longest > 1 ? cost + w->combine * (1 + 0.01 * longest) : cost;
}

/* Tiles of a split in the cheapest plan, at least `least`: every number that some even cut gives is tried. */
KB_HD uint32_t kb_split_cheapest(const struct kb_split_work *w, uint32_t least)
{
    uint32_t best = w->max_tiles;
    double best_cost = kb_split_cost(w, best);
    for (uint32_t tiles = w->mean_tiles; tiles && tiles >= least;) {
        double cost = kb_split_cost(w, tiles);
        if (cost < best_cost) {
            best = tiles;
            best_cost = cost;
        }
        uint32_t n = (w->mean_tiles + tiles - 1u) / tiles, next = (w->mean_tiles + n) / (n + 1u);
        tiles = next < tiles ? next : tiles - 1u;
    }
    return best;
}

KB_HD struct kb_split kb_split_plan(const struct kb_split_work *w)
{
    struct kb_split s = {w->tile_tokens, 1, 1};
    uint32_t least = (w->max_tiles + w->room - 1u) / w->room;
    if (w->max_tiles == 0) return s;
    s.tiles = w->split_tokens ? w->split_tokens / w->tile_tokens : kb_split_cheapest(w, least);
    if (s.tiles < least) s.tiles = least;
    s.n = (w->max_tiles + s.tiles - 1u) / s.tiles;
    return s;
}

/* ---- who reads what ---- */

/* Places first to last - 1 of a head's list. */
struct kb_run {
    uint32_t first, last;
};

/* How much of the list the splits share: all of it, but for KIVI only the tiles whose keys and values are both
 * packed; the rest, mostly in the ring, is one more split of its own. */
KB_HD uint32_t kb_shared_tiles(const struct kb_attn_decode *a, struct kb_span s, uint32_t length,
                               uint32_t tile_tokens)
{
    if (!kb_format_is_kivi(a->paged.format)) return s.n;
    return kb_span_below(s, kb_kivi_v_packed(length, a->paged.residual_tokens) / tile_tokens);
}

KB_HD struct kb_run kb_split_run(struct kb_split s, uint32_t shared_tiles, uint32_t split)
{
    uint64_t first = (uint64_t)split * s.tiles, last = first + s.tiles;
    struct kb_run r = {first < shared_tiles ? (uint32_t)first : shared_tiles,
                       last < shared_tiles ? (uint32_t)last : shared_tiles};
    return r;
}

/* Splits of a head that leave a result: those that have tiles, and always the first; KIVI's last, for the recent
 * tokens, is number s.n whatever the head's length, and not counted here. */
KB_HD uint32_t kb_splits_of(const struct kb_attn_decode *a, struct kb_split s, uint32_t length)
{
    struct kb_span span = kb_span_of(length, s.tile_tokens, a->sink, a->window);
    uint32_t n = (kb_shared_tiles(a, span, length, s.tile_tokens) + s.tiles - 1u) / s.tiles;
    return n || kb_format_is_kivi(a->paged.format) ? n : 1u;
}

/* ---- together again ---- */

/* First float of a head's partial result: head_dim sums, largest score, sum of weights. */
KB_HD uint64_t kb_partial_at(const struct kb_attn_decode *a, uint32_t split, uint32_t seq, uint32_t q_head)
{
    return (((uint64_t)split * a->n_seqs + seq) * a->n_q_heads + q_head) * (a->paged.head_dim + 2u);
}

/* ---- the unfused kernel ---- */

/* Where part n of the copied cache starts; n = 4: the bytes of all. Parts: pool, K scales, V scales, ring. */
KB_HD uint64_t kb_unfused_at(const uint64_t part_bytes[4], uint32_t n)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < n; i++) at += (part_bytes[i] + 255u) / 256u * 256u;
    return at;
}

#endif
