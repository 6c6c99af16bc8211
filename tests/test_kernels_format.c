/* Numbers, codes and pages of kernels/format.h against definitions written the slow way. */
#include "kernels/format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels_help.h"

#define REQUIRE_EQ(got, want)                                                                                \
    REQUIRE((got) == (want), "%s is %llu, expected %llu", #got, (unsigned long long)(got),                   \
            (unsigned long long)(want))

/* --- short floating point, by its definition --- */

struct short_float {
    const char *name;
    int exponent_bits, mantissa_bits, bias;
    bool has_infinity; /* false: e4m3fn, whose only special code is NaN, and which saturates */
    float (*to_float)(uint32_t code);
    uint32_t (*from_float)(float x);
};

static float bf16_to(uint32_t code)
{
    return kb_bf16_to_float((uint16_t)code);
}
static uint32_t bf16_from(float x)
{
    return kb_bf16_from_float(x);
}
static float fp16_to(uint32_t code)
{
    return kb_fp16_to_float((uint16_t)code);
}
static uint32_t fp16_from(float x)
{
    return kb_fp16_from_float(x);
}
static float fp8_to(uint32_t code)
{
    return kb_fp8_to_float((uint8_t)code);
}
static uint32_t fp8_from(float x)
{
    return kb_fp8_from_float(x);
}

static const struct short_float short_floats[] = {
    {"bf16", 8, 7, 127, true, bf16_to, bf16_from},
    {"fp16", 5, 10, 15, true, fp16_to, fp16_from},
    {"fp8", 4, 3, 7, false, fp8_to, fp8_from},
};
enum { N_SHORT = sizeof short_floats / sizeof *short_floats };

static uint32_t sign_bit(const struct short_float *f)
{
    return 1u << (f->exponent_bits + f->mantissa_bits);
}

/* Largest code that stands for a number. */
static uint32_t top_code(const struct short_float *f)
{
    uint32_t ones = sign_bit(f) - 1;
    return f->has_infinity ? ones - (1u << f->mantissa_bits) : ones - 1;
}

static double defined_value(const struct short_float *f, uint32_t code)
{
    uint32_t mantissa = code & ((1u << f->mantissa_bits) - 1),
             exponent = (code & (sign_bit(f) - 1)) >> f->mantissa_bits;
    double sign = code & sign_bit(f) ? -1 : 1;
    if (exponent == 0) return sign * ldexp(mantissa, 1 - f->bias - f->mantissa_bits);
    return sign *
           ldexp((double)(mantissa + (1u << f->mantissa_bits)), (int)exponent - f->bias - f->mantissa_bits);
}

START_TEST(every_code_has_the_value_of_its_definition)
{
    const struct short_float *f = &short_floats[_i];
    for (uint32_t code = 0; code < 2 * sign_bit(f); code++) {
        uint32_t magnitude = code & (sign_bit(f) - 1);
        float got = f->to_float(code);
        if (magnitude > top_code(f) + f->has_infinity) {
            REQUIRE(isnan(got), "%s 0x%x", f->name, (unsigned)code);
        } else if (magnitude > top_code(f)) {
            REQUIRE(isinf(got) && !signbit(got) == !(code & sign_bit(f)), "%s 0x%x", f->name, (unsigned)code);
        } else {
            REQUIRE((double)got == defined_value(f, code) && !signbit(got) == !(code & sign_bit(f)),
                    "%s 0x%x", f->name, (unsigned)code);
        }
    }
}
END_TEST

START_TEST(every_code_survives_a_round_trip)
{
    const struct short_float *f = &short_floats[_i];
    for (uint32_t code = 0; code < 2 * sign_bit(f); code++) {
        float x = f->to_float(code);
        if (isnan(x))
            REQUIRE(isnan(f->to_float(f->from_float(x))), "NaN 0x%x", (unsigned)code);
        else
            REQUIRE_EQ(f->from_float(x), code);
    }
}
END_TEST

/* Between neighbours a and b (code, code + 1): below the middle a, above b, in the middle the even one. */
static void check_between(const struct short_float *f, uint32_t code, uint32_t sign)
{
    double a = defined_value(f, code), b = defined_value(f, code + 1), middle = (a + b) / 2;
    float exact = (float)middle; /* one bit more than the format: a float holds it */
    float s = sign ? -1.0f : 1.0f;
    uint32_t low = code | sign, high = (code + 1) | sign;
    if (!f->has_infinity && code == top_code(f)) high = low; /* saturates */
    REQUIRE_EQ(f->from_float(s * nextafterf(exact, 0.0f)), low);
    REQUIRE_EQ(f->from_float(s * nextafterf(exact, INFINITY)), high);
    REQUIRE_EQ(f->from_float(s * exact), code % 2 ? high : low);
}

START_TEST(rounding_is_to_the_nearest_and_to_even)
{
    const struct short_float *f = &short_floats[_i];
    for (uint32_t code = 0; code <= top_code(f); code++) {
        if (f->has_infinity && f->bias == 127 && code == top_code(f)) break; /* the middle is no float */
        check_between(f, code, 0);
        check_between(f, code, sign_bit(f));
    }
}
END_TEST

START_TEST(what_is_too_large_becomes_infinity_or_the_largest)
{
    ck_assert_uint_eq(kb_fp16_from_float(65519.99f), 0x7bff);
    ck_assert_uint_eq(kb_fp16_from_float(-65520.0f), 0xfc00);
    ck_assert_uint_eq(kb_fp16_from_float(INFINITY), 0x7c00);
    ck_assert_uint_eq(kb_bf16_from_float(-INFINITY), 0xff80);
    ck_assert_uint_eq(kb_bf16_from_float(3.4e38f), 0x7f80);
    ck_assert_uint_eq(kb_fp8_from_float(1e30f), 0x7e);
    ck_assert_uint_eq(kb_fp8_from_float(-INFINITY), 0xfe);
    ck_assert(isnan(kb_fp8_to_float(kb_fp8_from_float(NAN))));
    ck_assert(isnan(kb_fp16_to_float(kb_fp16_from_float(NAN))));
    ck_assert(isnan(kb_bf16_to_float(kb_bf16_from_float(NAN))));
}
END_TEST

/* --- codes --- */

START_TEST(codes_of_a_row_do_not_disturb_each_other)
{
    static const uint32_t bits[] = {2, 4, 8};
    uint32_t n = bits[_i], width = 64;
    uint8_t row[64];
    uint32_t want[64];
    struct kb_random r = {7};
    memset(row, 0xff, sizeof row);
    for (uint32_t i = 0; i < width; i++) kb_code_put(row, n, i, want[i] = kb_random_below(&r, 1u << n));
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t channel = kb_random_below(&r, width);
        kb_code_put(row, n, channel, want[channel] = kb_random_below(&r, 1u << n));
        uint32_t other = kb_random_below(&r, width);
        REQUIRE_EQ(kb_code_get(row, n, other), want[other]);
    }
    uint8_t byte = (uint8_t)(want[0] | (n < 8 ? want[1] << n : 0)); /* channel 0 in the lowest bits */
    REQUIRE_EQ(row[0] & ((1u << (n < 8 ? 2 * n : 8)) - 1), byte);
}
END_TEST

START_TEST(row_bytes_follow_from_the_bits_of_a_channel)
{
    static const uint32_t bytes[KB_N_FORMAT] = {256, 128, 128, 64, 64, 32};
    for (int f = 0; f < KB_N_FORMAT; f++) {
        ck_assert_uint_eq(kb_row_bytes((enum kb_format)f, 128), bytes[f]);
        ck_assert_int_eq(kb_format_is_kivi((enum kb_format)f), f == KB_KIVI4 || f == KB_KIVI2);
    }
}
END_TEST

/* Quantising and back: within half a step, a step being the stored scale, plus what fp16 lost of the minimum. */
START_TEST(affine_codes_are_within_half_a_step)
{
    struct kb_random r = {11};
    for (uint32_t i = 0; i < 3000; i++) {
        uint32_t bits = 2u << kb_random_below(&r, 3), n = 2 + kb_random_below(&r, 63);
        float x[64], low = INFINITY, high = -INFINITY, spread = ldexpf(1, (int)kb_random_below(&r, 12) - 6);
        for (uint32_t j = 0; j < n; j++) {
            x[j] = spread * kb_random_normal(&r);
            low = fminf(low, x[j]);
            high = fmaxf(high, x[j]);
        }
        struct kb_affine a = kb_affine_of(low, high, bits);
        float step = kb_fp16_to_float(a.scale), lost = fabsf(kb_fp16_to_float(a.minimum) - low);
        float range =
            (high - low) - step * (float)((1u << bits) - 1); /* what a scale rounded down leaves out */
        for (uint32_t j = 0; j < n; j++) {
            uint32_t code = kb_affine_code(a, x[j], bits);
            REQUIRE(code < 1u << bits, "code %u", (unsigned)code);
            float off = fabsf(kb_affine_value(a, code) - x[j]);
            REQUIRE(off <= step * 0.5001f + lost + fmaxf(range, 0), "%u bits: %g from %g, step %g",
                    (unsigned)bits, (double)off, (double)x[j], (double)step);
        }
    }
}
END_TEST

START_TEST(a_flat_set_has_code_zero_and_its_own_value)
{
    struct kb_affine a = kb_affine_of(1.5f, 1.5f, 4);
    ck_assert_uint_eq(kb_affine_code(a, 1.5f, 4), 0);
    ck_assert_float_eq(kb_affine_value(a, 0), 1.5f);
    a = kb_affine_of(-2.0f, 1.0f, 2);
    ck_assert_uint_eq(kb_affine_code(a, -2.0f, 2), 0);
    ck_assert_uint_eq(kb_affine_code(a, 1.0f, 2), 3);
    ck_assert_uint_eq(kb_affine_code(a, 100.0f, 2), 3); /* beyond the range: the last code */
    ck_assert_uint_eq(kb_affine_code(a, -100.0f, 2), 0);
}
END_TEST

/* --- pages --- */

static struct kb_paged paged_of(enum kb_format format, enum kb_layout layout)
{
    return (struct kb_paged){.format = format,
                             .layout = layout,
                             .page_tokens = 32,
                             .n_pages = 3,
                             .n_kv_heads = 5,
                             .head_dim = 64,
                             .table_heads = 5,
                             .max_pages = 7,
                             .residual_tokens = 64};
}

/* Counts how often each place is named; all must be named `times` often. */
static void check_cover(const uint8_t *seen, uint64_t n, unsigned times)
{
    for (uint64_t i = 0; i < n; i++) REQUIRE_EQ(seen[i], times);
}

START_TEST(rows_fill_the_pool_without_overlap)
{
    struct kb_paged p = paged_of(KB_BF16, (enum kb_layout)_i);
    uint64_t n = kb_pool_bytes(&p) / kb_row_bytes(p.format, p.head_dim);
    uint8_t *seen = calloc(n, 1);
    for (uint32_t page = 0; page < p.n_pages; page++)
        for (uint32_t kv = 0; kv < 2; kv++)
            for (uint32_t token = 0; token < p.page_tokens; token++)
                for (uint32_t head = 0; head < p.n_kv_heads; head++) {
                    uint64_t row = kb_row(&p, page, kv, token, head);
                    REQUIRE(row < n, "row %llu", (unsigned long long)row);
                    seen[row]++;
                }
    check_cover(seen, n, 1);
    free(seen);
    ck_assert_uint_eq(kb_row(&p, 2, 1, 3, 4),
                      p.layout == KB_NHD ? ((2 * 2 + 1) * 32 + 3) * 5 + 4 : ((2 * 5 + 4) * 2 + 1) * 32 + 3);
}
END_TEST

static void check_scales(const struct kb_paged *p, bool keys)
{
    bool kivi = kb_format_is_kivi(p->format);
    uint64_t n = (keys ? kb_k_scale_bytes(p) : kb_v_scale_bytes(p)) / 4;
    uint32_t per_row = !kivi ? 1 : keys ? p->head_dim : p->head_dim / KB_GROUP;
    uint8_t *seen = calloc(n, 1);
    for (uint32_t page = 0; page < p->n_pages; page++)
        for (uint32_t token = 0; token < p->page_tokens; token++)
            for (uint32_t head = 0; head < p->n_kv_heads; head++)
                for (uint32_t i = 0; i < per_row; i++) {
                    uint64_t at = (keys ? kb_k_scale_at : kb_v_scale_at)(p, page, token, head) + i;
                    REQUIRE(at < n, "pair %llu", (unsigned long long)at);
                    seen[at]++;
                }
    check_cover(seen, n, kivi && keys ? KB_GROUP : 1); /* tokens of a group share KIVI's key scales */
    free(seen);
}

START_TEST(scales_fill_their_arrays_without_overlap)
{
    static const enum kb_format formats[] = {KB_INT8, KB_INT4, KB_KIVI4, KB_KIVI2};
    for (int layout = KB_NHD; layout <= KB_HND; layout++)
        for (uint32_t tokens = 32; tokens <= 64; tokens += 32) {
            struct kb_paged p = paged_of(formats[_i], (enum kb_layout)layout);
            p.page_tokens = tokens;
            check_scales(&p, true);
            check_scales(&p, false);
        }
    struct kb_paged plain = paged_of(KB_FP8, KB_NHD);
    ck_assert_uint_eq(kb_k_scale_bytes(&plain) + kb_v_scale_bytes(&plain) + kb_residual_bytes(&plain, 9), 0);
}
END_TEST

START_TEST(page_tables_are_per_head_or_common)
{
    struct kb_paged p = paged_of(KB_BF16, KB_NHD);
    ck_assert_uint_eq(kb_table_at(&p, 2, 3, 6), (2 * 5 + 3) * 7 + 6);
    ck_assert_uint_eq(kb_length_at(&p, 2, 3), 2 * 5 + 3);
    p.table_heads = 1;
    ck_assert_uint_eq(kb_table_at(&p, 2, 3, 6), 2 * 7 + 6);
    ck_assert_uint_eq(kb_length_at(&p, 2, 3), 2);
}
END_TEST

/* --- KIVI's recent tokens --- */

/* Token by token, as KIVI's algorithm does it: keys go to the window and the window is packed when it holds R;
 * of the values the oldest are packed once R newer ones are there, here a group at once. */
START_TEST(packed_lengths_follow_the_algorithm)
{
    static const uint32_t windows[] = {32, 64, 128};
    uint32_t r = windows[_i], k_packed = 0, k_window = 0, v_packed = 0, v_window = 0;
    for (uint32_t length = 1; length <= 700; length++) {
        v_window++;
        if (v_window >= r + KB_GROUP) {
            v_packed += KB_GROUP;
            v_window -= KB_GROUP;
        }
        if (++k_window == r) {
            k_packed += r;
            k_window = 0;
        }
        REQUIRE_EQ(kb_kivi_k_packed(length, r), k_packed);
        REQUIRE_EQ(kb_kivi_v_packed(length, r), v_packed);
        REQUIRE(v_window <= kb_residual_ring(r), "%u do not fit", (unsigned)v_window);
    }
}
END_TEST

/* The window's tokens of one sequence, key and value, lie apart in the ring, heads and all. */
START_TEST(ring_places_of_a_window_do_not_overlap)
{
    struct kb_paged p = paged_of(KB_KIVI4, KB_NHD);
    uint32_t ring = kb_residual_ring(p.residual_tokens), n_seqs = 3;
    uint64_t n = kb_residual_bytes(&p, n_seqs) / 2 / p.head_dim;
    for (uint32_t first = 0; first < 2 * ring; first += 7) {
        uint8_t *seen = calloc(n, 1);
        for (uint32_t seq = 0; seq < n_seqs; seq++)
            for (uint32_t kv = 0; kv < 2; kv++)
                for (uint32_t i = 0; i < ring; i++)
                    for (uint32_t head = 0; head < p.n_kv_heads; head++) {
                        uint64_t at = kb_residual_at(&p, seq, kv, first + i, head);
                        REQUIRE_EQ(at % p.head_dim, 0);
                        REQUIRE(at / p.head_dim < n, "element %llu", (unsigned long long)at);
                        seen[at / p.head_dim]++;
                    }
        check_cover(seen, n, 1);
        free(seen);
    }
}
END_TEST

/* --- a value, whatever the format --- */

struct pool {
    struct kb_paged paged;
    uint8_t *kv;
    uint16_t *scales[2], *residual;
    uint32_t pages[2 * 5 * 7];
};

static void pool_open(struct pool *p, enum kb_format format, enum kb_layout layout)
{
    struct kb_random r = {3};
    p->paged = paged_of(format, layout);
    p->paged.n_pages = 70;
    p->paged.k_scale = 0.5f;
    p->paged.v_scale = 0.25f;
    p->kv = calloc(kb_pool_bytes(&p->paged), 1);
    p->scales[0] = calloc(kb_k_scale_bytes(&p->paged) + 4, 1);
    p->scales[1] = calloc(kb_v_scale_bytes(&p->paged) + 4, 1);
    p->residual = calloc(kb_residual_bytes(&p->paged, 2) + 2, 1);
    for (uint32_t i = 0; i < 70; i++) p->pages[i] = i;
    kb_random_shuffle(&r, p->pages, 70);
}

static void pool_close(struct pool *p)
{
    free(p->kv);
    free(p->scales[0]);
    free(p->scales[1]);
    free(p->residual);
}

static float value_of(const struct pool *p, uint32_t length, uint32_t kv, uint32_t position, uint32_t channel)
{
    return kb_kv_value(&p->paged, p->kv, p->scales[kv], p->residual, p->pages, length, 1, kv, position, 2,
                       channel);
}

/* Writes a code and a scale at the very bytes that format.h's picture names, by its own arithmetic. */
START_TEST(a_value_is_read_from_the_bytes_of_the_picture)
{
    enum kb_format format = (enum kb_format)(_i % KB_N_FORMAT);
    enum kb_layout layout = (enum kb_layout)(_i / KB_N_FORMAT);
    struct pool p;
    pool_open(&p, format, layout);
    uint32_t bits = kb_format_bits(format), position = 4 * 32 + 21, channel = 37, length = 7 * 32;
    for (uint32_t kv = 0; kv < 2; kv++) {
        uint32_t page = p.pages[(1 * 5 + 2) * 7 + 4];
        uint64_t row =
            layout == KB_NHD ? ((page * 2 + kv) * 32 + 21) * 5 + 2 : ((page * 5 + 2) * 2 + kv) * 32 + 21;
        uint64_t pair = layout == KB_NHD ? (page * 32 + 21) * 5 + 2 : (page * 5 + 2) * 32 + 21;
        if (kb_format_is_kivi(format))
            pair = kv ? pair * 2 + 1 : (uint64_t)(page * 5 + 2) * 64 + 37; /* one group a page */
        uint8_t *at = p.kv + row * 64 * bits / 8 + channel * bits / 8;
        float want = 3 * 2.0f - 5;
        if (format == KB_BF16) {
            memcpy(at, &(uint16_t){0x3fc0}, 2);
            want = 1.5f;
        } else if (format == KB_FP8) {
            *at = 0x3c;
            want = 1.5f * (kv ? 0.25f : 0.5f);
        } else {
            *at = (uint8_t)(3u << (channel * bits % 8));
            p.scales[kv][2 * pair] = 0x4000;     /* 2 */
            p.scales[kv][2 * pair + 1] = 0xc500; /* -5 */
        }
        ck_assert_float_eq(value_of(&p, length, kv, position, channel), want);
    }
    pool_close(&p);
}
END_TEST

START_TEST(kivi_reads_recent_tokens_from_the_ring)
{
    struct pool p;
    pool_open(&p, KB_KIVI2, KB_HND);
    uint32_t ring = 64 + 32;
    for (uint32_t length = 1; length <= 7 * 32; length++)
        for (uint32_t kv = 0; kv < 2; kv++) {
            uint32_t last = length - 1,
                     packed = kv ? (length <= 64 ? 0 : (length - 64) / 32 * 32) : length / 64 * 64;
            p.residual[(((1 * 2 + kv) * ring + last % ring) * 5 + 2) * 64 + 9] = 0x4040; /* 3 */
            float got = value_of(&p, length, kv, last, 9);
            REQUIRE(got == (last < packed ? 0 : 3), "length %u: %g", (unsigned)length, (double)got);
        }
    pool_close(&p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kernels_format");
    TCase *t = tcase_create("numbers");
    tcase_add_loop_test(t, every_code_has_the_value_of_its_definition, 0, N_SHORT);
    tcase_add_loop_test(t, every_code_survives_a_round_trip, 0, N_SHORT);
    tcase_add_loop_test(t, rounding_is_to_the_nearest_and_to_even, 0, N_SHORT);
    tcase_add_test(t, what_is_too_large_becomes_infinity_or_the_largest);
    suite_add_tcase(s, t);
    t = tcase_create("codes");
    tcase_add_loop_test(t, codes_of_a_row_do_not_disturb_each_other, 0, 3);
    tcase_add_test(t, row_bytes_follow_from_the_bits_of_a_channel);
    tcase_add_test(t, affine_codes_are_within_half_a_step);
    tcase_add_test(t, a_flat_set_has_code_zero_and_its_own_value);
    suite_add_tcase(s, t);
    t = tcase_create("pages");
    tcase_add_loop_test(t, rows_fill_the_pool_without_overlap, 0, 2);
    tcase_add_loop_test(t, scales_fill_their_arrays_without_overlap, 0, 4);
    tcase_add_test(t, page_tables_are_per_head_or_common);
    tcase_add_loop_test(t, packed_lengths_follow_the_algorithm, 0, 3);
    tcase_add_test(t, ring_places_of_a_window_do_not_overlap);
    tcase_add_loop_test(t, a_value_is_read_from_the_bytes_of_the_picture, 0, 2 * KB_N_FORMAT);
    tcase_add_test(t, kivi_reads_recent_tokens_from_the_ring);
    suite_add_tcase(s, t);
    return s;
}
