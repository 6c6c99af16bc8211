/* How decode attention is cut up (kernels/split.h) and how tiles lie in shared memory (kernels/swizzle.h), against
 * counting tile by tile. */
#include "kernels/split.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/swizzle.h"
#include "tests/kernels_help.h"

/* --- spans --- */

struct cut {
    uint32_t length, tile, sink, window;
};

/* Has the tile a position that is read? */
static bool tile_is_read(struct cut c, uint32_t tile)
{
    for (uint32_t i = 0; i < c.tile; i++)
        if (kb_is_read(c.length, c.sink, c.window, tile * c.tile + i)) return true;
    return false;
}

/* The list holds the tiles that are read, ascending, each once, and no other. */
static void check_span(struct cut c)
{
    struct kb_span s = kb_span_of(c.length, c.tile, c.sink, c.window);
    uint32_t n = 0, all = (c.length + c.tile - 1) / c.tile;
    for (uint32_t tile = 0; tile < all; tile++) {
        REQUIRE(kb_span_below(s, tile) == n,
                "length %u, tile %u of %u, sink %u, window %u: %u lie below, not %u", c.length, tile, c.tile,
                c.sink, c.window, kb_span_below(s, tile), n);
        if (!tile_is_read(c, tile)) continue;
        REQUIRE(n < s.n && kb_span_tile(s, n) == tile,
                "length %u, tiles of %u, sink %u, window %u: tile %u is not place %u", c.length, c.tile,
                c.sink, c.window, tile, n);
        n++;
    }
    REQUIRE(n == s.n, "length %u, tiles of %u, sink %u, window %u: %u tiles, not %u", c.length, c.tile,
            c.sink, c.window, s.n, n);
    REQUIRE(kb_span_below(s, all) == n, "length %u: the end", c.length);
}

START_TEST(a_span_lists_the_tiles_that_are_read)
{
    static const uint32_t edge[] = {0, 1, 15, 16, 17, 31, 32, 33, 64, 100};
    enum { N = sizeof edge / sizeof *edge };
    for (uint32_t tile = 16; tile <= 64; tile *= 2)
        for (uint32_t s = 0; s < N; s++)
            for (uint32_t w = 0; w < N; w++)
                for (uint32_t length = 0; length <= 300; length++)
                    check_span((struct cut){length, tile, edge[s], edge[w]});
}
END_TEST

START_TEST(sinks_and_windows_read_the_first_and_the_last)
{
    for (uint32_t i = 0; i < 100; i++) {
        ck_assert(kb_is_read(100, 0, 0, i));
        ck_assert(kb_is_read(100, 7, 5, i) == (i < 7 || i >= 95));
        ck_assert(kb_is_read(100, 60, 50, i));
    }
    ck_assert(!kb_is_read(100, 0, 0, 100));
    ck_assert(!kb_is_read(100, 7, 5, 100));
}
END_TEST

/* --- plans --- */

static struct kb_split_work some_work(struct kb_random *r)
{
    static const uint32_t units[] = {1, 2, 4, 108, 114, 132};
    struct kb_split_work w = {.units = units[kb_random_below(r, 6)],
                              .blocks_per_unit = 1 + kb_random_below(r, 4),
                              .heads = 1 + kb_random_below(r, kb_random_below(r, 2) ? 8 : 2000),
                              .max_tiles = kb_random_below(r, kb_random_below(r, 2) ? 20 : 3000),
                              .tile_tokens = 64,
                              .tile_bytes = 1024u << kb_random_below(r, 6),
                              .room = 1 + kb_random_below(r, KB_MAX_SPLITS),
                              .abreast = 1u << kb_random_below(r, 3),
                              .alone = 1 + kb_random_below(r, 3),
                              .start = kb_random_below(r, 100000),
                              .combine = kb_random_below(r, 200000)};
    w.mean_tiles = kb_random_below(r, 2) ? w.max_tiles : kb_random_below(r, w.max_tiles + 1);
    return w;
}

START_TEST(a_plan_covers_the_longest_list_within_its_room)
{
    struct kb_random r = {5};
    for (int i = 0; i < 20000; i++) {
        struct kb_split_work w = some_work(&r);
        if (kb_random_below(&r, 2)) w.split_tokens = kb_random_below(&r, 5000);
        struct kb_split s = kb_split_plan(&w);
        REQUIRE(s.n >= 1 && s.n <= w.room && s.tiles >= 1 && s.tile_tokens == w.tile_tokens,
                "%u splits of %u, room %u", s.n, s.tiles, w.room);
        REQUIRE((uint64_t)s.n * s.tiles >= w.max_tiles, "%u splits of %u do not hold %u", s.n, s.tiles,
                w.max_tiles);
        REQUIRE(s.n == 1 || (uint64_t)(s.n - 1) * s.tiles < w.max_tiles, "split %u of %u is never used", s.n,
                s.tiles);
    }
}
END_TEST

START_TEST(no_even_cut_is_cheaper_than_the_plan)
{
    struct kb_random r = {6};
    for (int i = 0; i < 500; i++) {
        struct kb_split_work w = some_work(&r);
        double got = kb_split_cost(&w, kb_split_plan(&w).tiles);
        for (uint32_t n = 1; n <= w.mean_tiles; n++) {
            uint32_t tiles = (w.mean_tiles + n - 1) / n;
            if ((uint64_t)tiles * w.room < w.max_tiles) break;
            REQUIRE(kb_split_cost(&w, tiles) >= got, "%u tiles cost %g, the plan %g", tiles,
                    kb_split_cost(&w, tiles), got);
        }
    }
}
END_TEST

/* --- runs --- */

static struct kb_attn_decode decode_of(enum kb_format format, uint32_t sink, uint32_t window)
{
    return (struct kb_attn_decode){.paged = {.format = format, .residual_tokens = 64, .head_dim = 64},
                                   .n_seqs = 3,
                                   .n_q_heads = 6,
                                   .sink = sink,
                                   .window = window};
}

/* Runs of all splits laid end to end are the shared tiles; just those counted have some. */
static void check_runs(const struct kb_attn_decode *a, struct kb_split s, uint32_t length)
{
    struct kb_span span = kb_span_of(length, s.tile_tokens, a->sink, a->window);
    uint32_t shared = kb_shared_tiles(a, span, length, s.tile_tokens), at = 0, n_used = 0;
    for (uint32_t split = 0; split < s.n + 2; split++) {
        struct kb_run run = kb_split_run(s, shared, split);
        REQUIRE(run.first == at && run.last >= at && run.last <= shared, "length %u, split %u: %u to %u",
                length, split, run.first, run.last);
        at = run.last;
        n_used += run.last > run.first;
    }
    REQUIRE(at == shared, "length %u: tiles from %u on are nobody's", length, at);
    if (n_used == 0 && !kb_format_is_kivi(a->paged.format)) n_used = 1;
    REQUIRE(kb_splits_of(a, s, length) == n_used, "length %u: %u splits, not %u", length,
            kb_splits_of(a, s, length), n_used);
    if (kb_format_is_kivi(a->paged.format) && shared) { /* what is shared is packed to its last token */
        uint32_t end = (kb_span_tile(span, shared - 1) + 1) * s.tile_tokens;
        REQUIRE(end <= kb_kivi_v_packed(length, 64) && end <= kb_kivi_k_packed(length, 64), "length %u: %u",
                length, end);
    }
}

START_TEST(splits_share_out_every_tile_once)
{
    static const enum kb_format formats[] = {KB_BF16, KB_INT4, KB_KIVI4};
    for (uint32_t f = 0; f < 3; f++)
        for (uint32_t tile = 32; tile <= 64; tile *= 2)
            for (uint32_t tiles = 1; tiles <= 5; tiles++)
                for (uint32_t length = 1; length <= 600; length++) {
                    struct kb_split s = {tile, tiles, (600 / tile + tiles) / tiles};
                    struct kb_attn_decode a = decode_of(formats[f], 0, 0), b = decode_of(formats[f], 40, 70);
                    check_runs(&a, s, length);
                    check_runs(&b, s, length);
                }
}
END_TEST

START_TEST(partial_results_do_not_overlap)
{
    struct kb_attn_decode a = decode_of(KB_BF16, 0, 0);
    uint64_t at = 0;
    for (uint32_t split = 0; split < 4; split++)
        for (uint32_t seq = 0; seq < a.n_seqs; seq++)
            for (uint32_t head = 0; head < a.n_q_heads; head++, at += 66)
                ck_assert_uint_eq(kb_partial_at(&a, split, seq, head), at);
}
END_TEST

/* --- swizzled tiles --- */

START_TEST(pieces_of_a_tile_fill_it_without_overlap)
{
    for (uint32_t head_dim = 64; head_dim <= 256; head_dim += 64)
        for (uint32_t rows = 8; rows <= 128; rows *= 2) {
            uint32_t bytes = kb_swizzle_tile_bytes(rows, head_dim);
            uint8_t *seen = calloc(bytes / 16, 1);
            ck_assert_uint_eq(bytes, rows * head_dim * 2);
            for (uint32_t row = 0; row < rows; row++)
                for (uint32_t piece = 0; piece < head_dim / 8; piece++) {
                    uint32_t at = kb_swizzle(rows, row, piece);
                    REQUIRE(at % 16 == 0 && at < bytes && !seen[at / 16]++, "row %u, piece %u at %u", row,
                            piece, at);
                }
            free(seen);
        }
}
END_TEST

/* Eight 16-byte accesses side by side touch all 32 banks once: a matrix's eight rows, and a row's eight pieces. */
START_TEST(rows_and_columns_of_matrices_lie_in_different_banks)
{
    for (uint32_t rows = 8; rows <= 64; rows *= 2)
        for (uint32_t row = 0; row < rows; row += 8)
            for (uint32_t piece = 0; piece < 16; piece++) {
                uint32_t down = 0, across = 0;
                for (uint32_t i = 0; i < 8; i++) {
                    down |= 1u << kb_swizzle(rows, row + i, piece) / 16 % 8;
                    across |= 1u << kb_swizzle(rows, row, piece / 8 * 8 + i) / 16 % 8;
                }
                REQUIRE(down == 0xff && across == 0xff, "rows from %u, piece %u", row, piece);
            }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_split");
    TCase *t = tcase_create("split");
    tcase_add_test(t, a_span_lists_the_tiles_that_are_read);
    tcase_add_test(t, sinks_and_windows_read_the_first_and_the_last);
    tcase_add_test(t, a_plan_covers_the_longest_list_within_its_room);
    tcase_add_test(t, no_even_cut_is_cheaper_than_the_plan);
    tcase_add_test(t, splits_share_out_every_tile_once);
    tcase_add_test(t, partial_results_do_not_overlap);
    suite_add_tcase(s, t);
    t = tcase_create("swizzle");
    tcase_add_test(t, pieces_of_a_tile_fill_it_without_overlap);
    tcase_add_test(t, rows_and_columns_of_matrices_lie_in_different_banks);
    suite_add_tcase(s, t);
    return s;
}
