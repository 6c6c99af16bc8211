#include "calib/calib.h"
#include "calib/fit.h"
#include "calib/sha256.h"
#include "models/datadir.h"
#include "sim/memory.h"
#include "sim/outfile.h"
#include "tests/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

static const struct mdl_peaks PEAKS = {{1e15, 2e15, 2e15, 0}, 1e12, 1e11};
static const struct cal_talk SILENT = {NULL, NULL};

static struct mdl_gpu toy_gpu(void)
{
    struct mdl_gpu gpu = {
        .name = "toy", .title = "Toy", .bandwidth_byte_per_s = 1e12, .nvlink_byte_per_s = 1e11};
    gpu.rate_flops[MDL_BF16] = 1e15;
    gpu.rate_flops[MDL_FP8] = 2e15;
    return gpu;
}

/* ---- sha256 ---- */

START_TEST(sha256_matches_the_vectors_of_fips_180)
{
    static const char *const text[] = {"", "abc", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"};
    static const char *const want[] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                                       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                                       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"};
    struct cal_sha256 s;
    char hex[65];
    for (int i = 0; i < 3; i++) {
        cal_sha256_init(&s);
        cal_sha256_add(&s, text[i], strlen(text[i]));
        cal_sha256_end(&s, hex);
        ck_assert_str_eq(hex, want[i]);
    }
    cal_sha256_init(&s);
    for (int i = 0; i < 1000000; i++) cal_sha256_add(&s, "a", 1);
    cal_sha256_end(&s, hex);
    ck_assert_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

/* ---- a card whose surface is known ---- */

/* Efficiency of a made-up card: smooth in n, k and m, with a dip at 256 to 511 tokens that every shape
 * shares. */
static double toy_efficiency(double n, double k, double m)
{
    double smooth = 0.5 + 0.04 * log2(n / 1024) - 0.03 * log2(k / 1024) + 0.02 * log2(m);
    return smooth * (m >= 256 && m < 512 ? 0.7 : 1.0);
}

static struct cal_table toy_gemm(double noise)
{
    struct cal_table t = {0};
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    for (uint32_t n = 256; n <= 16384; n *= 2)
        for (uint32_t k = 256; k <= 16384; k *= 2)
            for (uint32_t m = 1; m <= 4096; m *= 2) {
                double law_s = 3e-6 + mdl_roof_gemm_s(&PEAKS, MDL_BF16, m, n, k);
                struct cal_point p = {.key = {MDL_BF16, n, k}, .size = m};
                p.time_s = law_s / toy_efficiency(n, k, m) * exp(gsl_ran_gaussian(rng, noise));
                cal_table_add(&t, &p);
            }
    gsl_rng_free(rng);
    return t;
}

START_TEST(a_smooth_surface_is_told_where_the_fit_did_not_look)
{
    gsl_set_error_handler_off();
    struct cal_table t = toy_gemm(0);
    struct mdl_errors sites = cal_check_sites(&PEAKS, MDL_GEMM, &t, 1);
    struct mdl_errors points = cal_check_points(&PEAKS, MDL_GEMM, &t, 1);
    ck_assert_uint_eq(sites.n, t.n);
    ck_assert_double_lt(sites.median, 0.01);
    ck_assert_double_lt(sites.p90, 0.05);
    ck_assert_double_lt(points.median, 0.01);
    ck_assert_double_lt(points.p90, 0.05); /* along a row alone the dip would cost 15 to 30 % */
    free(t.point);
}
END_TEST

START_TEST(noise_of_the_measurement_is_not_amplified)
{
    gsl_set_error_handler_off();
    static const double NOISE = 0.05;
    struct cal_table t = toy_gemm(NOISE);
    struct mdl_errors e = cal_check_sites(&PEAKS, MDL_GEMM, &t, 1);
    /* A perfect predictor meets the noise itself, median 0.67 sigma; copying one noisy neighbour doubles the
     * variance. */
    ck_assert_double_gt(e.median, 0.6 * NOISE);
    ck_assert_double_lt(e.median, 0.6745 * sqrt(2) * NOISE);
    ck_assert_double_lt(fabs(e.bias), 0.01);
    free(t.point);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_folds)
{
    gsl_set_error_handler_off();
    struct cal_table t = toy_gemm(0.02);
    struct mdl_errors a = cal_check_sites(&PEAKS, MDL_GEMM, &t, 7),
                      b = cal_check_sites(&PEAKS, MDL_GEMM, &t, 7);
    struct mdl_errors c = cal_check_sites(&PEAKS, MDL_GEMM, &t, 8);
    ck_assert(memcmp(&a, &b, sizeof a) == 0);
    ck_assert(a.median != c.median);
    free(t.point);
}
END_TEST

START_TEST(a_past_worked_off_at_known_shares_is_recovered)
{
    gsl_set_error_handler_off();
    struct mdl_gpu gpu = toy_gpu();
    struct mdl_profile *p = mdl_profile_analytic(&gpu);
    struct mdl_attn_shape shape = {32, 8, 128, MDL_BF16};
    struct mdl_past_law truth = {0.43, 0.71};
    struct cal_table past = {0};
    p->present[MDL_ATTN_PREFILL] = false;
    for (uint32_t c = 64; c <= 4096; c *= 2)
        for (uint32_t old = 64; old <= 16384; old *= 2) {
            struct cal_point q = {.key = {MDL_BF16, 32, 8, 128, 1}, .size = c, .past = old};
            q.time_s =
                mdl_attn_prefill_s(p, shape, 1, c, 0).s + mdl_past_s(&p->peaks, truth, shape, 1, c, old);
            cal_table_add(&past, &q);
        }
    p->present[MDL_ATTN_PREFILL] = true; /* an empty sheet answers by the typical curve, as above */
    struct mdl_past_law law = cal_fit_past(p, &past, NULL);
    ck_assert_double_eq_tol(law.compute_frac, truth.compute_frac, 0.01);
    ck_assert_double_eq_tol(law.bytes_frac, truth.bytes_frac, 0.02);
    p->present[MDL_ATTN_PREFILL] = false;
    free(past.point);
    mdl_profile_free(p);
}
END_TEST

/* ---- files ---- */

static const char GEMM_HEAD[] = "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\n";

/* A folder of raw tables with one GEMM table; returns its root. */
static const char *toy_raw(const char *rows)
{
    struct sim_status st = {0};
    static char root[512];
    snprintf(root, sizeof root, "%s/raw", test_dir());
    char *folder = sim_printf("%s/aiconfigurator/toy/vllm-1", root),
         *path = sim_printf("%s/gemm_perf.csv", folder);
    ck_assert(sim_make_dir(folder, &st));
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "%s%s", GEMM_HEAD, rows);
    fclose(f);
    free(path);
    free(folder);
    return root;
}

static const char ROWS[] = "VLLM,1,Toy,gemm,lib,bfloat16,1,1024,1024,0.01\n"
                           "VLLM,1,Toy,gemm,lib,bfloat16,1,1024,1024,0.04\n"
                           "VLLM,1,Toy,gemm,lib,bfloat16,64,1024,1024,0.03\n"
                           "VLLM,1,Toy,gemm,lib,bfloat16,64,2048,1024,0.04\n"
                           "VLLM,1,Toy,gemm,lib,nvfp4,64,1024,1024,0.01\n"
                           "VLLM,1,Toy,gemm,lib,fp8,64,512,1024,0.015\n";

START_TEST(fit_then_load_then_look_up_gives_the_measured_time)
{
    struct mdl_gpu gpu = toy_gpu();
    struct cal_source source = {
        .from = "aiconfigurator", .root = toy_raw(ROWS), .folder = "aiconfigurator/toy"};
    char *out = sim_printf("%s/toy-fit", test_dir()), *raw = sim_printf("%s/toy-raw", test_dir());
    for (int stage = 0; stage < 2; stage++) {
        struct sim_status st = {0};
        const char *dir = stage ? raw : out;
        bool ok =
            stage ? cal_import(&source, &gpu, dir, SILENT, &st) : cal_fit(&source, &gpu, dir, SILENT, &st);
        ck_assert_msg(ok, "%s", st.message);
        struct mdl_profile *p = mdl_profile_load(dir, &gpu, &st);
        ck_assert_msg(p != NULL, "%s", st.message);
        /* Measured twice: the geometric mean. Cells are rounded to 1e-4 of the law. */
        struct mdl_time t = mdl_gemm_s(p, MDL_BF16, 1, 1024, 1024);
        ck_assert_double_eq_tol(t.s, 20e-6, 20e-6 * 1e-3);
        ck_assert_int_eq(t.how, SIM_MEASURED);
        ck_assert_double_eq_tol(mdl_gemm_s(p, MDL_BF16, 64, 1024, 1024).s, 30e-6, 30e-6 * 1e-3);
        ck_assert_double_eq_tol(mdl_gemm_s(p, MDL_FP8, 64, 512, 1024).s, 15e-6, 15e-6 * 1e-3);
        ck_assert_uint_eq(p->n_raw, 1);
        ck_assert_str_eq(p->raw[0].path, "aiconfigurator/toy/vllm-1/gemm_perf.csv");
        mdl_profile_free(p);
    }
    struct sim_status st = {0};
    char *again = sim_printf("%s/toy-again", test_dir());
    ck_assert_msg(cal_refit(raw, source.root, again, SILENT, &st), "%s", st.message);
    free(again);
    free(out);
    free(raw);
}
END_TEST

START_TEST(a_raw_table_that_changed_is_refused_with_both_sums)
{
    struct mdl_gpu gpu = toy_gpu();
    struct sim_status st = {0};
    struct cal_report report;
    struct cal_source source = {
        .from = "aiconfigurator", .root = toy_raw(ROWS), .folder = "aiconfigurator/toy"};
    char *out = sim_printf("%s/toy-fit", test_dir());
    ck_assert_msg(cal_fit(&source, &gpu, out, SILENT, &st), "%s", st.message);
    ck_assert_msg(cal_check(out, source.root, 1, SILENT, &report, &st), "%s", st.message);
    ck_assert(!report.recorded);
    ck_assert_uint_gt(report.error[MDL_GEMM][MDL_CHECK_SITES].n, 0);
    cal_report_fini(&report);
    toy_raw("VLLM,1,Toy,gemm,lib,bfloat16,1,1024,1024,0.01\n");
    ck_assert(!cal_check(out, source.root, 1, SILENT, &report, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "sha256"));
    free(out);
}
END_TEST

START_TEST(without_raw_tables_the_recorded_errors_are_printed_as_such)
{
    struct mdl_gpu gpu = toy_gpu();
    struct sim_status st = {0};
    struct cal_report report;
    struct cal_source source = {
        .from = "aiconfigurator", .root = toy_raw(ROWS), .folder = "aiconfigurator/toy"};
    char *out = sim_printf("%s/toy-fit", test_dir()), *json = NULL;
    size_t n = 0;
    ck_assert_msg(cal_fit(&source, &gpu, out, SILENT, &st), "%s", st.message);
    ck_assert_msg(cal_check(out, NULL, 1, SILENT, &report, &st), "%s", st.message);
    FILE *f = open_memstream(&json, &n);
    ck_assert(cal_report_json(&report, f, &st));
    fclose(f);
    ck_assert_ptr_nonnull(strstr(json, "\"recorded\": true"));
    ck_assert_ptr_nonnull(strstr(json, "\"operators\""));
    ck_assert_ptr_nonnull(strstr(json, "\"median\""));
    free(json);
    free(out);
    cal_report_fini(&report);
}
END_TEST

static const struct {
    const char *name, *text, *says;
} bad_raw[] = {
    {"gemm_perf.csv", "m,n,k\n1,2,3\n", "gemm_perf.csv:1: no column"},
    {"gemm_perf.csv",
     "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\na,b,c,d,e,bf16,x,2,3,4\n",
     "gemm_perf.csv:2"},
    {"gemm_perf.csv",
     "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\na,b,c,d,e,bf16,1,2,3,nan\n",
     "gemm_perf.csv:2"},
    {"gemm_perf.csv",
     "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\na,b,c,d,e,bf16,1,99999999999,"
     "3,1\n",
     "gemm_perf.csv:2: n is"},
    {"x.mlp.csv", "a,b\n1,2\n", "x.mlp.csv:1: no column"},
    {"other.csv", "a\n1\n", "other.csv"},
};

START_TEST(a_hostile_raw_table_is_refused_with_file_and_line)
{
    struct sim_status st = {0};
    struct cal_tables t = {0};
    test_file(bad_raw[_i].name, bad_raw[_i].text);
    bool vidur = strstr(bad_raw[_i].name, "mlp") != NULL;
    ck_assert(!(vidur ? cal_vidur_read : cal_aiconfigurator_read)(&t, test_dir(), bad_raw[_i].name, &st));
    ck_assert_msg(strstr(st.message, bad_raw[_i].says) != NULL, "%s", st.message);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    cal_tables_fini(&t);
}
END_TEST

START_TEST(a_profile_that_points_out_of_the_raw_folder_is_refused)
{
    struct mdl_raw_file file = {.path = (char *)"../../etc/passwd"};
    struct mdl_profile p = {
        .name = (char *)"evil", .origin = (char *)"aiconfigurator", .raw = &file, .n_raw = 1};
    struct sim_status st = {0};
    struct cal_tables t = {0};
    ck_assert(!cal_tables_read_profile(&t, &p, test_dir(), &st));
    ck_assert_ptr_nonnull(strstr(st.message, "below the folder"));
    cal_tables_fini(&t);
}
END_TEST

/* ---- what ships ---- */

static const char *const SHIPPED[] = {"a100-sxm-vllm", "h100-sxm-vllm", "h200-sxm-vllm", "b200-sxm-vllm",
                                      "l40s-vllm",     "a6000-vidur",   "a100-vidur"};

static char *shipped_dir(const char *name)
{
    struct sim_status st = {0};
    char *data = mdl_data_dir(&st);
    ck_assert_msg(data != NULL, "%s", st.message);
    char *dir = sim_printf("%s/calib/profiles/%s", data, name);
    free(data);
    return dir;
}

START_TEST(every_shipped_profile_loads_is_small_and_prices_a_llama_layer)
{
    static const char *const file[] = {"profile.yaml", "gemm.csv", "attention_prefill.csv",
                                       "attention_decode.csv", "allreduce.csv"};
    struct sim_status st = {0};
    char *dir = shipped_dir(SHIPPED[_i]);
    long bytes = 0;
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        struct stat info;
        char *path = sim_printf("%s/%s", dir, file[i]);
        if (stat(path, &info) == 0) bytes += (long)info.st_size;
        free(path);
    }
    ck_assert_int_lt(bytes, 1 << 20);
    struct mdl_profile *p = mdl_profile_load(dir, NULL, &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    struct mdl_attn_shape shape = {32, 8, 128, MDL_BF16};
    ck_assert_msg(mdl_profile_covers(p, MDL_BF16, shape, 1, &st), "%s", st.message);
    /* No launch beats the roofline at 1.2 times the datasheet peaks, or takes 20 times it when it is long. */
    double gemm_s = mdl_gemm_s(p, MDL_BF16, 4096, 4096, 4096).s,
           roof_s = mdl_roof_gemm_s(&p->peaks, MDL_BF16, 4096, 4096, 4096);
    ck_assert(gemm_s > roof_s / 1.2 && gemm_s < 20 * roof_s);
    double decode_s = mdl_attn_decode_s(p, shape, 64, 64 * 3000).s;
    roof_s = mdl_roof_decode_s(&p->peaks, shape, 64, 64 * 3000);
    ck_assert(decode_s > roof_s / 1.2 && decode_s < 20 * roof_s);
    mdl_profile_free(p);
    free(dir);
}
END_TEST

START_TEST(shipped_times_never_fall_with_tokens_or_sequences)
{
    struct sim_status st = {0};
    char *dir = shipped_dir(SHIPPED[_i]);
    struct mdl_profile *p = mdl_profile_load(dir, NULL, &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    struct mdl_attn_shape shapes[] = {{32, 8, 128, MDL_BF16}, {28, 4, 128, MDL_BF16}};
    for (int i = 0; i < 2; i++) {
        struct mdl_attn_table *decode = mdl_attn_decode_table_new(p, shapes[i]);
        struct mdl_attn_table *prefill = mdl_attn_prefill_table_new(p, shapes[i]);
        for (double b = 1; b < 600; b = ceil(b * 1.5)) {
            double last_decode = 0, last_prefill = 0;
            for (double len = 1; len < 2e5; len = ceil(len * 1.13)) {
                double d = mdl_attn_decode_at(decode, b, b * len).s,
                       f = mdl_attn_prefill_at(prefill, b, len, 100).s;
                ck_assert_double_ge(d, last_decode * (1 - 1e-12));
                ck_assert_double_ge(f, last_prefill * (1 - 1e-12));
                ck_assert_double_ge(mdl_attn_decode_at(decode, b + 1, (b + 1) * len).s, d * (1 - 1e-12));
                last_decode = d;
                last_prefill = f;
            }
        }
        mdl_attn_table_free(decode);
        mdl_attn_table_free(prefill);
    }
    mdl_profile_free(p);
    free(dir);
}
END_TEST

/* ---- published tables ---- */

static void check_table(const char *shared, enum mdl_family f, double median, double p90)
{
    struct sim_status st = {0};
    struct cal_tables t = {0};
    struct mdl_peaks h100 = {{989.4e12, 1978.9e12, 1978.9e12, 0}, 3.35e12, 4.5e11};
    char *root = sim_strdup(shared), *slash = strrchr(root, '/');
    gsl_set_error_handler_off();
    *slash = '\0';
    ck_assert_msg(cal_aiconfigurator_read(&t, root, slash + 1, &st), "%s", st.message);
    cal_tables_settle(&t);
    struct mdl_errors e = cal_check_sites(&h100, f, &t.family[f], 1);
    ck_assert_double_le(e.median, median);
    ck_assert_double_le(e.p90, p90);
    cal_tables_fini(&t);
    free(root);
}

#define H100 "profiles/aiconfigurator/h100_sxm/vllm-0.24.0/"

START_TEST(gemm_sites_of_the_h100_are_told_within_two_percent)
{
    const char *path = TEST_SHARED(H100 "gemm_perf.csv");
    check_table(path, MDL_GEMM, 0.020, 0.075);
}
END_TEST

START_TEST(prefill_sites_of_the_h100_are_told_within_two_percent)
{
    const char *path = TEST_SHARED(H100 "context_attention_perf.csv");
    check_table(path, MDL_ATTN_PREFILL, 0.020, 0.080);
}
END_TEST

START_TEST(decode_sites_of_the_h100_are_told_within_one_percent)
{
    const char *path = TEST_SHARED(H100 "generation_attention_perf.csv");
    check_table(path, MDL_ATTN_DECODE, 0.010, 0.035);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("calib");
    TCase *t = tcase_create("calib");
    int shipped = (int)(sizeof SHIPPED / sizeof *SHIPPED);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, sha256_matches_the_vectors_of_fips_180);
    tcase_add_test(t, a_smooth_surface_is_told_where_the_fit_did_not_look);
    tcase_add_test(t, noise_of_the_measurement_is_not_amplified);
    tcase_add_test(t, the_same_seed_gives_the_same_folds);
    tcase_add_test(t, a_past_worked_off_at_known_shares_is_recovered);
    tcase_add_test(t, fit_then_load_then_look_up_gives_the_measured_time);
    tcase_add_test(t, a_raw_table_that_changed_is_refused_with_both_sums);
    tcase_add_test(t, without_raw_tables_the_recorded_errors_are_printed_as_such);
    tcase_add_loop_test(t, a_hostile_raw_table_is_refused_with_file_and_line, 0,
                        (int)(sizeof bad_raw / sizeof *bad_raw));
    tcase_add_test(t, a_profile_that_points_out_of_the_raw_folder_is_refused);
    tcase_add_loop_test(t, every_shipped_profile_loads_is_small_and_prices_a_llama_layer, 0, shipped);
    tcase_add_loop_test(t, shipped_times_never_fall_with_tokens_or_sequences, 0, shipped);
    tcase_add_test(t, gemm_sites_of_the_h100_are_told_within_two_percent);
    tcase_add_test(t, prefill_sites_of_the_h100_are_told_within_two_percent);
    tcase_add_test(t, decode_sites_of_the_h100_are_told_within_one_percent);
    suite_add_tcase(s, t);
    return s;
}
