/* Predicted against measured: reading points, what a row overrides, fits that recover known overheads, and
 * the errors found on the public serving points. */
#include "tests/harness.h"

#include "experiments/crossval.h"
#include "sim/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char header[] =
    "model_path,system,precision,isl,osl,concurrency,tp_size,backend_version,ttft_ms,tpot_ms\n";
static const char plan[] = "settings: {workload.closed_loop.length_range: \"[0.8, 1.0]\"}\n"
                           "sources:\n  - {version: \"\", settings: {engine.max_num_seqs: \"64\"}}\n";

static struct exp_cache *cache_new(void)
{
    struct sim_status st = {0};
    struct exp_cache *cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
    return cache;
}

static struct exp_measured measured(const char *rows)
{
    struct sim_status st = {0};
    struct exp_measured m;
    char *text = sim_printf("%s%s", header, rows);
    ck_assert_msg(exp_measured_read(test_file("measured.csv", text), &m, &st), "%s", st.message);
    free(text);
    return m;
}

static struct exp_reruns trials(const struct exp_measured *m, const char *plan_text, struct exp_cache *cache)
{
    struct sim_status st = {0};
    struct exp_reruns t;
    ck_assert_msg(exp_reruns_new(m, test_file("plan.yaml", plan_text), cache, NULL, &t, &st), "%s",
                  st.message);
    return t;
}

START_TEST(a_row_overrides_model_gpu_weights_parallelism_and_load)
{
    struct exp_cache *cache = cache_new();
    struct exp_measured m = measured("meta-llama/Llama-3.1-70B,h100_sxm,fp8,1024,128,8,4,0.12.0,100,10\n"
                                     "Qwen/Qwen3-8B,h200_sxm,bf16,512,64,4,1,,100,10\n");
    struct exp_reruns t = trials(&m, plan, cache);
    const struct exp_setup *a = t.trial[0].setup, *b = t.trial[1].setup;
    ck_assert_str_eq(a->arch.name, "llama-3.1-70b");
    ck_assert_str_eq(a->fleets[0].gpu->name, "h100-sxm");
    ck_assert_uint_eq(a->fleets[0].tensor_parallel, 4);
    ck_assert_str_eq(a->fleets[0].engine.name, "vllm-0.12");
    ck_assert_uint_eq(a->config.load.concurrency, 8);
    ck_assert_uint_eq(a->config.load.n_requests, 80);
    ck_assert_uint_eq(a->sim_fleets[0].engine.max_num_seqs, 1024);
    for (int i = 0; i < 80; i++) {
        ck_assert_uint_ge(a->config.load.requests[i].input_tokens, 820);
        ck_assert_uint_le(a->config.load.requests[i].input_tokens, 1024);
    }
    ck_assert_str_eq(b->fleets[0].engine.name, "vllm-unknown");
    ck_assert_str_eq(b->fleets[0].gpu->name, "h200-sxm");
    ck_assert_uint_eq(b->sim_fleets[0].engine.max_num_seqs, 64);
    exp_reruns_fini(&t);
    exp_measured_fini(&m);
    exp_cache_free(cache);
}
END_TEST

START_TEST(a_point_that_cannot_be_simulated_is_left_out_and_counted)
{
    struct exp_cache *cache = cache_new();
    struct exp_measured m = measured("nobody/Nothing-1B,h100_sxm,bf16,1024,128,8,1,,100,10\n"
                                     "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,,100,10\n");
    struct exp_reruns t = trials(&m, plan, cache);
    ck_assert_uint_eq(t.n, 1);
    ck_assert_uint_eq(t.n_skipped, 1);
    exp_reruns_fini(&t);
    exp_measured_fini(&m);
    exp_cache_free(cache);
}
END_TEST

START_TEST(a_point_without_both_means_in_the_prediction_is_left_out)
{
    struct exp_cache *cache = cache_new();
    struct exp_measured m = measured("Qwen/Qwen3-8B,h100_sxm,bf16,512,1,4,1,,100,10\n"
                                     "Qwen/Qwen3-8B,h100_sxm,bf16,900000,64,4,1,,100,10\n"
                                     "Qwen/Qwen3-8B,h100_sxm,bf16,512,2,4,1,,100,10\n");
    struct exp_reruns t = trials(&m, plan, cache);
    ck_assert_uint_eq(t.n, 1);
    ck_assert_uint_eq(t.n_skipped, 2);
    ck_assert_uint_eq(t.trial[0].point->osl, 2);
    exp_reruns_fini(&t);
    exp_measured_fini(&m);
    exp_cache_free(cache);
}
END_TEST

/* Without operator errors an interval is center x exp(+-1.645 sigma); its center must be the prediction under
 * the numbers given last, and other overheads must not count as an operator error. A lone point's sigma is
 * what its engine file states, so that ln(high / low) is within operator errors of 2 x 1.645 sigma. */
START_TEST(an_interval_lies_around_the_prediction_under_the_numbers_given_last)
{
    struct exp_cache *cache = cache_new();
    struct exp_measured m = measured("Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,0.12.0,100,10\n");
    struct exp_reruns t = trials(&m, plan, cache);
    struct mdl_engine slow = t.trial[0].setup->fleets[0].engine;
    struct exp_coverage c;
    struct sim_status st = {0};
    slow.cpu_step_s *= 20;
    exp_reruns_run(&t, NULL, &slow);
    ck_assert_msg(exp_intervals(&t, cache, 4, &c, &st), "%s", st.message);
    const struct exp_rerun *x = &t.trial[0];
    ck_assert_double_eq_tol(sqrt(x->tpot_lo * x->tpot_hi), x->tpot_ms, 1e-6 * x->tpot_ms);
    double width = log(x->tpot_hi / x->tpot_lo) / (2 * 1.6448536);
    ck_assert_double_ge(width, slow.residual_frac);
    ck_assert_double_le(width, slow.residual_frac + 0.1);
    exp_reruns_fini(&t);
    exp_measured_fini(&m);
    exp_cache_free(cache);
}
END_TEST

START_TEST(bad_points_are_refused_with_their_line)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"model_path,system\na,b\n", "no column `isl`"},
        {"", "empty"},
        {"model_path,system,isl,osl,concurrency,ttft_ms,tpot_ms\n", "no rows"},
        {"model_path,system,isl,osl,concurrency,ttft_ms,tpot_ms\nm,g,0,1,1,1,1\n", ":2: column isl: 0"},
        {"model_path,system,isl,osl,concurrency,ttft_ms,tpot_ms\nm,g,1,1,1,-3,1\n", ":2: column ttft_ms: -3"},
        {"model_path,system,isl,osl,concurrency,ttft_ms,tpot_ms\nm,g,1,1,1,nan,1\n", ":2"},
        {"model_path,system,isl,osl,concurrency,ttft_ms,tpot_ms\nm,g,1,99999999999999999999,1,1,1\n", ":2"},
        {"model_path,system,isl,osl,concurrency,ttft_ms,tpot_ms\nm,g,1\n", ":2: 3 fields"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        struct exp_measured m;
        ck_assert(!exp_measured_read(test_file("bad.csv", cases[i].text), &m, &st));
        ck_assert_msg(strstr(st.message, cases[i].says) != NULL, "%s lacks %s", st.message, cases[i].says);
    }
}
END_TEST

START_TEST(a_wrong_validation_file_is_one_line_with_its_place)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"settings: {seeed: \"1\"}\n", "wrong.yaml:1: unknown key `seeed`"},
        {"settings: 3\n", "wrong.yaml:1: expected settings as a map"},
        {"settings: {seed: \"1\"}\nsources: 4\n", "wrong.yaml:2: expected sources as a list"},
        {"settings: {seed: \"1\"}\nsources:\n  - {version: \"1\", settings: {router: nobody}}\n",
         "wrong.yaml:3: "},
        {"settings: {seed: \"1\"}\nsorces: []\n", "wrong.yaml:2: unknown key `sorces`"},
        {"requests_per_concurrency: 0\n", "wrong.yaml:1: requests_per_concurrency is 0"},
        {"sources:\n  - {version: \"1\", requests_per_concurrency: many}\n", "wrong.yaml:2: "},
        {"sources:\n  - {version: [1]}\n", "wrong.yaml:2: expected a version"},
    };
    struct exp_cache *cache = cache_new();
    struct exp_measured m = measured("Qwen/Qwen3-8B,h100_sxm,bf16,512,64,4,1,,100,10\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        struct exp_reruns t;
        ck_assert(!exp_reruns_new(&m, test_file("wrong.yaml", cases[i].text), cache, NULL, &t, &st));
        ck_assert_msg(strstr(st.message, cases[i].says) != NULL, "%s lacks %s", st.message, cases[i].says);
    }
    exp_measured_fini(&m);
    exp_cache_free(cache);
}
END_TEST

/* Points made by the simulator itself under known overheads: a fit from other overheads must find predictions
 * as good. */
START_TEST(a_fit_recovers_what_known_overheads_produced)
{
    struct exp_cache *cache = cache_new();
    struct exp_measured m = measured("Qwen/Qwen3-8B,h100_sxm,bf16,512,64,1,1,0.12.0,100,10\n"
                                     "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,8,1,0.12.0,100,10\n"
                                     "Qwen/Qwen3-8B,h100_sxm,bf16,512,64,32,1,0.12.0,100,10\n"
                                     "Qwen/Qwen3-8B,h100_sxm,bf16,2048,32,4,1,0.12.0,100,10\n");
    struct exp_reruns t = trials(&m, plan, cache);
    struct mdl_engine truth = t.trial[0].setup->fleets[0].engine, start = truth;
    truth.cpu_step_s = 0.003;
    truth.cpu_seq_s = 1e-4;
    truth.ingress_s = 0.02;
    exp_reruns_run(&t, NULL, &truth);
    for (uint32_t i = 0; i < m.n; i++) {
        m.points[i].ttft_ms = t.trial[i].ttft_ms;
        m.points[i].tpot_ms = t.trial[i].tpot_ms;
    }
    exp_reruns_run(&t, NULL, &start);
    ck_assert_double_gt(exp_reruns_errors(&t, EXP_TPOT, NULL).mape, 0.1);
    struct sim_status st = {0};
    ck_assert(exp_fit_engine(&t, NULL, &start, &st));
    ck_assert_double_lt(exp_reruns_errors(&t, EXP_TPOT, NULL).mape, 0.01);
    ck_assert_double_lt(exp_reruns_errors(&t, EXP_TTFT, NULL).mape, 0.05);

    char *path = sim_printf("%s/vllm-0.12.yaml", test_dir());
    struct mdl_engine again;
    ck_assert_msg(exp_write_engine(&start, path, "a test", &st), "%s", st.message);
    ck_assert_msg(mdl_engine_load(".", path, &again, &st), "%s", st.message);
    ck_assert_double_eq_tol(again.cpu_step_s, start.cpu_step_s, 1e-3 * start.cpu_step_s + 1e-9);
    ck_assert(again.fitted);
    free(path);
    exp_reruns_fini(&t);
    exp_measured_fini(&m);
    exp_cache_free(cache);
}
END_TEST

START_TEST(errors_are_what_arithmetic_says)
{
    struct exp_point points[3] = {
        {.ttft_ms = 100, .tpot_ms = 10}, {.ttft_ms = 200, .tpot_ms = 20}, {.ttft_ms = 50, .tpot_ms = 5}};
    struct exp_rerun trial[3] = {{.point = &points[0], .ttft_ms = 110, .tpot_ms = 10},
                                 {.point = &points[1], .ttft_ms = 160, .tpot_ms = 20},
                                 {.point = &points[2], .ttft_ms = 50, .tpot_ms = 6}};
    struct exp_reruns t = {.trial = trial, .n = 3};
    struct exp_errors e = exp_reruns_errors(&t, EXP_TTFT, NULL);
    ck_assert_double_eq_tol(e.mape, 0.1, 1e-12);
    ck_assert_double_eq_tol(e.bias, (0.1 - 0.2 + 0) / 3, 1e-12);
    ck_assert_double_eq_tol(e.median, 0.1, 1e-12);
    ck_assert_double_eq_tol(e.worst, 0.2, 1e-12);
    bool last[3] = {false, false, true};
    ck_assert_double_eq_tol(exp_reruns_errors(&t, EXP_TPOT, last).mape, 0.2, 1e-12);
    ck_assert_uint_eq(exp_reruns_errors(&t, EXP_TPOT, last).n, 1);
}
END_TEST

/* The figures that the product is bought for; README.md states the exact ones. */
START_TEST(the_public_serving_points_are_met_within_the_stated_errors)
{
    const char *path = TEST_SHARED("silicon/vllm_dense_dev.csv");
    struct exp_cache *cache = cache_new();
    struct sim_status st = {0};
    struct exp_measured m;
    struct exp_reruns t;
    ck_assert_msg(exp_measured_read(path, &m, &st), "%s", st.message);
    char *scenario = sim_printf("%s/experiments/validate/vllm.yaml", exp_cache_data_dir(cache));
    ck_assert_msg(exp_reruns_new(&m, scenario, cache, NULL, &t, &st), "%s", st.message);
    free(scenario);
    ck_assert_uint_eq(t.n, 135);
    exp_reruns_run(&t, NULL, NULL);
    ck_assert_double_le(exp_reruns_errors(&t, EXP_TPOT, NULL).mape, 0.035);
    ck_assert_double_le(exp_reruns_errors(&t, EXP_TTFT, NULL).mape, 0.15);

    struct exp_coverage c;
    ck_assert_msg(exp_intervals(&t, cache, 6, &c, &st), "%s", st.message);
    ck_assert_double_ge(c.tpot, 0.80);
    ck_assert_double_le(c.tpot, 0.99);
    ck_assert_double_ge(c.ttft, 0.80);
    exp_reruns_fini(&t);
    exp_measured_fini(&m);
    exp_cache_free(cache);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("validate");
    TCase *c = tcase_create("validate");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_row_overrides_model_gpu_weights_parallelism_and_load);
    tcase_add_test(c, a_point_that_cannot_be_simulated_is_left_out_and_counted);
    tcase_add_test(c, a_point_without_both_means_in_the_prediction_is_left_out);
    tcase_add_test(c, an_interval_lies_around_the_prediction_under_the_numbers_given_last);
    tcase_add_test(c, bad_points_are_refused_with_their_line);
    tcase_add_test(c, a_wrong_validation_file_is_one_line_with_its_place);
    tcase_add_test(c, a_fit_recovers_what_known_overheads_produced);
    tcase_add_test(c, errors_are_what_arithmetic_says);
    tcase_add_test(c, the_public_serving_points_are_met_within_the_stated_errors);
    suite_add_tcase(s, c);
    return s;
}
