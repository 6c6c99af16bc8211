#include "models/monotone.h"
#include "models/place.h"
#include "models/profile_parts.h"
#include "sim/memory.h"
#include "tests/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_rng.h>

/* A card with round figures: 1 PFLOP/s, 1 TB/s, 100 GB/s links, t0 1 us everywhere. */
static const char YAML[] =
    "format: 1\nstage: fitted\ngpu: toy\nengine: none\norigin: aiconfigurator\ndevice: toy\n"
    "source: closed form\nlicence: none\ndate: '2000-01-01'\npeaks: {bf16_flops: 1e15, "
    "fp8_flops: 2e15, int8_flops: 2e15, int4_flops: 0, bandwidth_byte_per_s: 1e12, "
    "link_byte_per_s: 1e11}\nscale: 10000\nt0_s: {gemm: 1e-6, attention_prefill: 1e-6, "
    "attention_decode: 1e-6, allreduce: 1e-6}\n";
/* Every launch takes twice what the law says, except where a number differs. */
static const char GEMM[] =
    "dtype,n,k,1,64,4096\nbf16,1024,1024,5000,5000,5000\nbf16,1024,4096,5000,-5000,5000\n"
    "bf16,4096,1024,5000,5000,\nbf16,4096,4096,5000,5000,5000\n";
static const char PREFILL[] =
    "kv_dtype,q_heads,kv_heads,head_dim,seqs,16,256,4096\nbf16,32,8,128,1,5000,5000,5000\n"
    "bf16,32,8,128,2,5000,5000,5000\nbf16,8,8,128,1,5000,5000,5000\n"
    "bf16,8,8,128,2,5000,5000,5000\n";
static const char DECODE[] =
    "kv_dtype,q_heads,kv_heads,head_dim,seqs,16,1024,32768\nbf16,32,8,128,1,5000,5000,5000\n"
    "bf16,32,8,128,64,5000,5000,\nbf16,8,8,128,1,5000,5000,5000\n"
    "bf16,8,8,128,64,5000,5000,\n";
static const char ALLREDUCE[] = "variant,gpus,1024,1048576\ngraph,2,5000,5000\neager,2,2500,2500\n";

static const struct mdl_attn_shape SHAPE = {32, 8, 128, MDL_BF16};
static const struct mdl_peaks PEAKS = {{1e15, 2e15, 2e15, 0}, 1e12, 1e11};

static struct mdl_profile *load(const char *yaml, const char *gemm, struct sim_status *st)
{
    test_file("profile.yaml", yaml);
    test_file("gemm.csv", gemm);
    test_file("attention_prefill.csv", PREFILL);
    test_file("attention_decode.csv", DECODE);
    test_file("allreduce.csv", ALLREDUCE);
    return mdl_profile_load(test_dir(), NULL, st);
}

static struct mdl_profile *load_toy(void)
{
    struct sim_status st = {0};
    struct mdl_profile *p = load(YAML, GEMM, &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    return p;
}

static void near(double a, double b)
{
    ck_assert_msg(fabs(a / b - 1) < 1e-9, "%.12g is not %.12g", a, b);
}

START_TEST(an_empty_operator_costs_nothing)
{
    struct mdl_profile *p = load_toy();
    ck_assert_double_eq(mdl_gemm_s(p, MDL_BF16, 0, 1024, 1024).s, 0);
    ck_assert_double_eq(mdl_attn_prefill_s(p, SHAPE, 0, 16, 0).s, 0);
    ck_assert_double_eq(mdl_attn_prefill_s(p, SHAPE, 1, 0, 99).s, 0);
    ck_assert_double_eq(mdl_attn_decode_s(p, SHAPE, 0, 0).s, 0);
    ck_assert_double_eq(mdl_allreduce_s(p, 1, 1e6, true).s, 0);
    ck_assert_double_eq(mdl_allreduce_s(p, 2, 0, true).s, 0);
    ck_assert_double_eq(mdl_elementwise_s(p, 0, 0).s, 0);
    mdl_profile_free(p);
}
END_TEST

START_TEST(a_card_of_constant_efficiency_follows_the_law_at_every_shape)
{
    struct mdl_profile *p = load_toy();
    double m[] = {1, 7, 64, 1000, 4096, 100000}, n[] = {512, 1024, 2345, 4096, 30000};
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 5; j++)
            near(mdl_gemm_s(p, MDL_BF16, (uint64_t)m[i], (uint64_t)n[j], 2048).s,
                 2 * (1e-6 + fmax(2 * m[i] * n[j] * 2048 / 1e15,
                                  2 * (m[i] * 2048 + n[j] * 2048 + m[i] * n[j]) / 1e12)));
    struct mdl_attn_shape other = {16, 4, 128, MDL_BF16};
    for (double c = 16; c <= 4096; c *= 16) {
        double flops_s = 4 * 32 * 128 * c * (c + 1) / 2 / 1e15, bytes_s = c * 128 * 4 * (32 + 8) / 1e12;
        near(mdl_attn_prefill_s(p, SHAPE, 2, c, 0).s, 2 * (1e-6 + 2 * fmax(flops_s, bytes_s)));
        /* A past of 777 at the half of both peaks that the file gives. */
        near(mdl_attn_prefill_s(p, other, 1, c, 777).s - mdl_attn_prefill_s(p, other, 1, c, 0).s,
             4 * 16 * 128 * c * 777 / 0.5e15 + 777.0 * 2 * 4 * 128 * 2 / 0.5e12);
    }
    double len[] = {16, 1024, 32768, 1e6};
    for (int i = 0; i < 4; i++)
        near(mdl_attn_decode_s(p, SHAPE, 64, 64 * len[i]).s,
             2 * (1e-6 + 64 * (len[i] * 2 * 8 * 128 * 2 + 4 * 32 * 128) / 1e12));
    near(mdl_allreduce_s(p, 2, 32768, true).s, 2 * (1e-6 + 32768 / 1e11));
    near(mdl_allreduce_s(p, 2, 32768, false).s, 4 * (1e-6 + 32768 / 1e11));
    mdl_profile_free(p);
}
END_TEST

START_TEST(between_table_nodes_the_law_is_followed_closely)
{
    struct mdl_profile *p = load_toy();
    struct mdl_attn_table *t = mdl_attn_decode_table_new(p, SHAPE);
    /* log(t0 + c x) has a curvature of at most 1/4 in log x, so a chord of length h errs by h^2 / 32: 3.4 %
     * at the toy's h = ln(64) / 4, 0.1 % at h = ln(2) / 4 of the shipped profiles. */
    for (double len = 16; len < 32768; len *= 1.07) {
        double law = 2 * (1e-6 + mdl_roof_decode_s(&PEAKS, SHAPE, 8, 8 * len));
        ck_assert_double_lt(fabs(mdl_attn_decode_at(t, 8, 8 * len).s / law - 1), 0.034);
    }
    mdl_attn_table_free(t);
    mdl_profile_free(p);
}
END_TEST

START_TEST(every_answer_says_how_it_knows)
{
    struct mdl_profile *p = load_toy();
    ck_assert_int_eq(mdl_gemm_s(p, MDL_BF16, 64, 1024, 1024).how, SIM_MEASURED);
    ck_assert_int_eq(mdl_gemm_s(p, MDL_BF16, 65, 1024, 1024).how, SIM_INTERPOLATED);
    ck_assert_int_eq(mdl_gemm_s(p, MDL_BF16, 64, 1024, 4096).how, SIM_INTERPOLATED); /* a filled cell */
    ck_assert_int_eq(mdl_gemm_s(p, MDL_BF16, 64, 2048, 2048).how, SIM_INTERPOLATED);
    ck_assert_int_eq(mdl_gemm_s(p, MDL_BF16, 4097, 1024, 1024).how, SIM_EXTRAPOLATED);
    ck_assert_int_eq(mdl_gemm_s(p, MDL_BF16, 4096, 4096, 1024).how,
                     SIM_EXTRAPOLATED); /* a row that ends early */
    ck_assert_int_eq(mdl_gemm_s(p, MDL_BF16, 64, 8192, 1024).how, SIM_EXTRAPOLATED);
    ck_assert_int_eq(mdl_gemm_s(p, MDL_INT4, 64, 1024, 1024).how, SIM_ANALYTIC);
    ck_assert_int_eq(mdl_attn_decode_s(p, SHAPE, 64, 64 * 1024).how, SIM_MEASURED);
    ck_assert_int_eq(mdl_attn_decode_s(p, SHAPE, 32, 32 * 1024).how, SIM_INTERPOLATED);
    ck_assert_int_eq(mdl_attn_decode_s(p, SHAPE, 64, 64 * 32768.0).how, SIM_EXTRAPOLATED);
    ck_assert_int_eq(mdl_attn_prefill_s(p, SHAPE, 1, 256, 0).how, SIM_MEASURED);
    ck_assert_int_eq(mdl_attn_prefill_s(p, SHAPE, 1, 256, 100).how, SIM_INTERPOLATED);
    ck_assert_int_eq(mdl_allreduce_s(p, 2, 1024, true).how, SIM_MEASURED);
    ck_assert_int_eq(mdl_allreduce_s(p, 4, 1024, true).how, SIM_EXTRAPOLATED);
    mdl_profile_free(p);
}
END_TEST

START_TEST(another_card_gets_the_profile_as_transferred_evidence)
{
    struct sim_status st = {0};
    struct mdl_gpu gpu = {.name = "other", .bandwidth_byte_per_s = 2e12, .pcie_byte_per_s = 3e10};
    gpu.rate_flops[MDL_BF16] = 2e15;
    mdl_profile_free(load_toy());
    struct mdl_profile *p = mdl_profile_load(test_dir(), &gpu, &st);
    ck_assert_ptr_nonnull(p);
    struct mdl_time t = mdl_gemm_s(p, MDL_BF16, 4096, 4096, 4096);
    ck_assert_int_eq(t.how, SIM_TRANSFERRED);
    near(t.s, 2 * (1e-6 + 2 * pow(4096, 3) / 2e15));
    mdl_profile_free(p);
}
END_TEST

START_TEST(time_never_falls_with_tokens_whatever_was_measured)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    for (unsigned long seed = 1; seed <= 20; seed++) {
        gsl_rng_set(rng, seed);
        char csv[4096] = "dtype,n,k,1,16,64,100,1000,5000\n";
        for (int r = 0; r < 4; r++) {
            size_t at = strlen(csv);
            at += (size_t)snprintf(csv + at, sizeof csv - at, "bf16,%d,%d", 1024 << (r % 2), 1024 << (r / 2));
            for (int c = 0; c < 6; c++)
                at += (size_t)snprintf(csv + at, sizeof csv - at, ",%lu",
                                       100 + gsl_rng_uniform_int(rng, 20000));
            snprintf(csv + at, sizeof csv - at, "\n");
        }
        struct sim_status st = {0};
        struct mdl_profile *p = load(YAML, csv, &st);
        ck_assert_msg(p != NULL, "%s", st.message);
        for (uint64_t n = 1024; n < 3000; n += 500) {
            struct mdl_gemm_curve *c = mdl_gemm_curve_new(p, MDL_BF16, n, 1500);
            double last = 0;
            for (double m = 0; m < 9000; m += 1 + m / 50) {
                double s = mdl_gemm_curve_at(c, m).s;
                ck_assert_double_ge(s, last * (1 - 1e-12));
                last = s;
            }
            mdl_gemm_curve_free(c);
        }
        mdl_profile_free(p);
    }
    gsl_rng_free(rng);
}
END_TEST

START_TEST(pooling_adjacent_violators_gives_the_least_squares_monotone_fit)
{
    double v[] = {1, 3, 2, 2, 5, 4}, want[] = {1, 7.0 / 3, 7.0 / 3, 7.0 / 3, 4.5, 4.5};
    mdl_monotone(v, 6, 1);
    for (int i = 0; i < 6; i++) near(v[i], want[i]);
    double grid[] = {5, 1, 2, 0};
    mdl_monotone_grid(grid, 2, 2);
    ck_assert(grid[0] <= grid[1] && grid[0] <= grid[2] && grid[1] <= grid[3] && grid[2] <= grid[3]);
}
END_TEST

/* Two rows, one feature: ordinary kriging between them has the closed form w = (1 + (c1 - c2) / (c0 - c12))
 * / 2. */
START_TEST(kriging_between_two_rows_has_its_closed_form)
{
    struct mdl_surface s;
    struct mdl_kernel k = {
        .n_terms = 1, .n_neighbours = 8, .amplitude = {1}, .length = {{2}}, .n_nuggets = 1};
    mdl_surface_init(&s, 2, 1, 1);
    s.axis[0] = 1;
    s.feature[1] = 4;
    s.y[0] = 10;
    s.y[1] = 20;
    s.cell[0] = s.cell[1] = MDL_MEASURED;
    for (double x = 0; x <= 4; x += 0.5) {
        double y, c1 = exp(-x / 2), c2 = exp(-(4 - x) / 2), w = 0.5 * (1 + (c1 - c2) / (1 - exp(-2.0)));
        ck_assert(mdl_surface_krige(&s, &k, &x, MDL_NO_ROWS, &y));
        near(y, 10 * w + 20 * (1 - w));
    }
    double x = 1, y;
    ck_assert(mdl_surface_krige(&s, &k, &x, (struct mdl_rows){0, 1}, &y));
    near(y, 20);
    mdl_surface_fini(&s);
}
END_TEST

START_TEST(holes_are_linear_in_log_size_inside_and_held_outside)
{
    struct mdl_surface s;
    mdl_surface_init(&s, 1, 5, 1);
    for (uint32_t c = 0; c < 5; c++) s.axis[c] = 1 << c;
    s.y[1] = 1;
    s.y[3] = 3;
    s.cell[1] = s.cell[3] = MDL_MEASURED;
    mdl_surface_hold(&s);
    double want[] = {1, 1, 2, 3, 3};
    for (int c = 0; c < 5; c++) near(s.y[c], want[c]);
    ck_assert_int_eq(s.cell[0], MDL_FILLED);
    ck_assert_int_eq(s.cell[3], MDL_MEASURED);
    mdl_surface_fini(&s);
}
END_TEST

START_TEST(analytic_time_never_rises_with_bandwidth_or_peak)
{
    struct mdl_gpu slow = {.name = "a", .bandwidth_byte_per_s = 1e12, .pcie_byte_per_s = 3e10}, fast = slow;
    slow.rate_flops[MDL_BF16] = 2e14;
    for (double factor = 1; factor < 20; factor *= 1.3) {
        fast.bandwidth_byte_per_s = factor * slow.bandwidth_byte_per_s;
        fast.rate_flops[MDL_BF16] = factor * slow.rate_flops[MDL_BF16];
        struct mdl_profile *p = mdl_profile_analytic(&slow), *q = mdl_profile_analytic(&fast);
        for (uint64_t m = 1; m < 10000; m *= 3) {
            ck_assert_double_le(mdl_gemm_s(q, MDL_BF16, m, 4096, 4096).s,
                                mdl_gemm_s(p, MDL_BF16, m, 4096, 4096).s * (1 + 1e-12));
            ck_assert_double_le(mdl_attn_decode_s(q, SHAPE, 32, 32.0 * (double)m).s,
                                mdl_attn_decode_s(p, SHAPE, 32, 32.0 * (double)m).s * (1 + 1e-12));
            ck_assert_double_le(mdl_attn_prefill_s(q, SHAPE, 2, (double)m, 0).s,
                                mdl_attn_prefill_s(p, SHAPE, 2, (double)m, 0).s * (1 + 1e-12));
        }
        ck_assert_int_eq(mdl_gemm_s(q, MDL_BF16, 64, 4096, 4096).how, SIM_ANALYTIC);
        mdl_profile_free(p);
        mdl_profile_free(q);
    }
}
END_TEST

START_TEST(a_shape_that_cannot_be_priced_is_refused_with_profile_and_shape)
{
    struct mdl_profile *p = load_toy();
    struct sim_status st = {0};
    ck_assert(mdl_profile_covers(p, MDL_BF16, SHAPE, 2, &st));
    ck_assert(!mdl_profile_covers(p, MDL_FP8, SHAPE, 1, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "fp8 GEMM"));
    st = (struct sim_status){0};
    ck_assert(!mdl_profile_covers(p, MDL_BF16, (struct mdl_attn_shape){32, 8, 96, MDL_BF16}, 1, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "head_dim 96"));
    st = (struct sim_status){0};
    ck_assert(!mdl_profile_covers(p, MDL_BF16, (struct mdl_attn_shape){32, 8, 128, MDL_FP8}, 1, &st));
    ck_assert_ptr_nonnull(strstr(st.message, mdl_profile_name(p)));
    mdl_profile_free(p);
}
END_TEST

static const struct {
    const char *gemm, *says;
} bad_gemm[] = {
    {"dtype,n,1\nbf16,8,1\n", "gemm.csv:1: column 3"},
    {"dtype,n,k\n", "gemm.csv:1: has 0 sizes"},
    {"dtype,n,k,4,4\nbf16,8,8,1,1\n", "gemm.csv:1: size `4`"},
    {"dtype,n,k,0\nbf16,8,8,1\n", "gemm.csv:1: size `0`"},
    {"dtype,n,k,1\n", "no rows"},
    {"dtype,n,k,1\nbf16,8,8\n", "gemm.csv:2: has 3 fields"},
    {"dtype,n,k,1\nbf99,8,8,1\n", "gemm.csv:2: dtype `bf99`"},
    {"dtype,n,k,1\nbf16,0,8,1\n", "gemm.csv:2: n `0`"},
    {"dtype,n,k,1\nbf16,99999999999999999999,8,1\n", "gemm.csv:2: n `9"},
    {"dtype,n,k,1\n\nbf16,8,8,nan\n", "gemm.csv:3: cell `nan`"},
    {"dtype,n,k,1\nbf16,8,8,0\n", "gemm.csv:2: cell `0`"},
    {"dtype,n,k,1\nbf16,8,8,--5\n", "gemm.csv:2: cell `--5`"},
    {"dtype,n,k,1\nbf16,8,8,1e5\n", "gemm.csv:2: cell `1e5`"},
    {"", "gemm.csv"},
};

START_TEST(a_hostile_sheet_is_refused_with_file_and_line)
{
    struct sim_status st = {0};
    struct mdl_profile *p = load(YAML, bad_gemm[_i].gemm, &st);
    ck_assert_ptr_null(p);
    ck_assert_msg(strstr(st.message, bad_gemm[_i].says) != NULL, "%s", st.message);
    ck_assert_ptr_null(strchr(st.message, '\n'));
}
END_TEST

static const struct {
    const char *from, *to, *says;
} bad_yaml[] = {
    {"format: 1", "format: 2", "format 2"},
    {"gpu: toy", "gpuu: toy", "profile.yaml:3"},
    {"bf16_flops: 1e15", "bf16_flops: 0", "`bf16_flops` is 0"},
    {"scale: 10000", "scale: -1", "`scale` is -1"},
    {"scale: 10000\n", "", "key `scale` is missing"},
    {"gemm: 1e-6", "gemm: nan", "profile.yaml"},
    {"gemm: 1e-6", "gmm: 1e-6", "gmm"},
    {"licence: none", "licence: none\nraw: [{path: x, sha256: 12}]", "sha256 `12`"},
    {"licence: none", "licence: none\nerrors: {gemm: {sites: {n: 1}}}", "missing"},
    {"licence: none", "licence: none\nraw: 7", "`raw`, expected a list"},
};

START_TEST(a_hostile_description_is_refused_in_one_line)
{
    const char *cut = strstr(YAML, bad_yaml[_i].from);
    ck_assert_ptr_nonnull(cut);
    char *yaml =
        sim_printf("%.*s%s%s", (int)(cut - YAML), YAML, bad_yaml[_i].to, cut + strlen(bad_yaml[_i].from));
    struct sim_status st = {0};
    ck_assert_ptr_null(load(yaml, GEMM, &st));
    ck_assert_msg(strstr(st.message, bad_yaml[_i].says) != NULL, "%s", st.message);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    free(yaml);
}
END_TEST

START_TEST(a_profile_without_a_family_answers_analytically_for_it)
{
    struct sim_status st = {0};
    char *yaml = sim_strdup(YAML), *cut = strstr(yaml, "attention_decode: 1e-6, ");
    memmove(cut, cut + strlen("attention_decode: 1e-6, "),
            strlen(cut + strlen("attention_decode: 1e-6, ")) + 1);
    struct mdl_profile *p = load(yaml, GEMM, &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    struct mdl_time t = mdl_attn_decode_s(p, SHAPE, 8, 8000);
    ck_assert_int_eq(t.how, SIM_ANALYTIC);
    ck_assert_double_gt(t.s, 0);
    ck_assert(mdl_profile_covers(p, MDL_BF16, SHAPE, 1, &st));
    mdl_profile_free(p);
    free(yaml);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("profile");
    TCase *t = tcase_create("profile");
    tcase_add_test(t, an_empty_operator_costs_nothing);
    tcase_add_test(t, a_card_of_constant_efficiency_follows_the_law_at_every_shape);
    tcase_add_test(t, between_table_nodes_the_law_is_followed_closely);
    tcase_add_test(t, every_answer_says_how_it_knows);
    tcase_add_test(t, another_card_gets_the_profile_as_transferred_evidence);
    tcase_add_test(t, time_never_falls_with_tokens_whatever_was_measured);
    tcase_add_test(t, pooling_adjacent_violators_gives_the_least_squares_monotone_fit);
    tcase_add_test(t, kriging_between_two_rows_has_its_closed_form);
    tcase_add_test(t, holes_are_linear_in_log_size_inside_and_held_outside);
    tcase_add_test(t, analytic_time_never_rises_with_bandwidth_or_peak);
    tcase_add_test(t, a_shape_that_cannot_be_priced_is_refused_with_profile_and_shape);
    tcase_add_loop_test(t, a_hostile_sheet_is_refused_with_file_and_line, 0,
                        (int)(sizeof bad_gemm / sizeof *bad_gemm));
    tcase_add_loop_test(t, a_hostile_description_is_refused_in_one_line, 0,
                        (int)(sizeof bad_yaml / sizeof *bad_yaml));
    tcase_add_test(t, a_profile_without_a_family_answers_analytically_for_it);
    suite_add_tcase(s, t);
    return s;
}
