/* Studies on published measurements: constants that must be declared, rows that must be read as they were measured,
 * fits that recover what produced the rows, and, with the released data at hand, the accuracies that README.md states. */
#include "tests/harness.h"

#include "experiments/published/study.h"
#include "experiments/published/p1.h"
#include "models/datadir.h"
#include "sim/memory.h"
#include "sim/outfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char header[] = "model,method,bsz,prompt_len,stage,thr\n";

/* ---- constants ---- */

static struct exp_constants shipped_constants(void)
{
    struct sim_status st = {0};
    struct exp_constants c;
    char *data_dir = mdl_data_dir(&st),
         *path = sim_printf("%s/experiments/published/constants.yaml", data_dir);
    ck_assert_msg(exp_constants_load(path, &c, &st), "%s", st.message);
    free(path);
    free(data_dir);
    return c;
}

START_TEST(a_constant_without_range_or_source_is_refused_with_its_line)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"p1:\n  a: {value: 1, low: 0, high: 2}\n", "c.yaml:2: p1.a has no source"},
        {"p1:\n  a: {value: 1, low: 0, high: 2, source: \"\"}\n", "c.yaml:2: source"},
        {"p1:\n  a: {value: 3, low: 0, high: 2, source: \"x\"}\n",
         "c.yaml:2: p1.a is 3, expected a value in its range 0 to 2"},
        {"p1:\n  a: {value: 1, lo: 0, high: 2, source: \"x\"}\n", "c.yaml:2: unknown key `lo`"},
        {"p1:\n  a: 3\n", "c.yaml:2: p1.a is no mapping"},
        {"p1: {a: {value: many, low: 0, high: 2, source: \"x\"}}\n", "c.yaml:1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        struct exp_constants c;
        ck_assert(!exp_constants_load(test_file("c.yaml", cases[i].text), &c, &st));
        ck_assert_msg(strstr(st.message, cases[i].says) != NULL, "%s lacks %s", st.message, cases[i].says);
    }
}
END_TEST

START_TEST(constants_are_found_by_their_group_and_remembered_as_used)
{
    struct sim_status st = {0};
    struct exp_constants c;
    double value;
    const char *path = test_file(
        "c.yaml",
        "a: {x: {value: 1, low: 0, high: 2, source: s}, b: {y: {value: -4, low: -5, high: 0, source: t}}}\n");
    ck_assert_msg(exp_constants_load(path, &c, &st), "%s", st.message);
    ck_assert_uint_eq(c.n, 2);
    ck_assert(exp_constant_value(&c, "a.b.y", &value, &st));
    ck_assert_double_eq(value, -4);
    ck_assert(!c.constant[0].used && c.constant[1].used);
    ck_assert(exp_constant_find(&c, "a.z") == NULL);
    ck_assert(!exp_constant_value(&c, "a.z", &value, &st));
    exp_constants_fini(&c);
}
END_TEST

/* ---- rows ---- */

static struct exp_p1_points points_of(const char *rows, enum exp_p1_id method)
{
    struct sim_status st = {0};
    struct exp_p1_points p;
    char *text = sim_printf("%s%s", header, rows);
    ck_assert_msg(exp_p1_read(test_file("rows.csv", text), &exp_p1_methods[method], 65, &p, &st), "%s",
                  st.message);
    free(text);
    return p;
}

START_TEST(repeats_are_gathered_whatever_model_their_label_names)
{
    struct exp_p1_points p = points_of(
        "m7,None-16,2,256,decoding,60\nm13,None-16,2,256,decoding,50\nm7,None-16,2,256,decoding,40\n"
        "m7,None-16,1,321,decoding,25\nm7,None-16,2,256,prefill,5120\nm7,None-16,2,256,prefill,2560\n",
        EXP_P1_FP16);
    ck_assert_uint_eq(p.n, 3);
    ck_assert_uint_eq(p.point[0].stage, EXP_P1_PREFILL);
    ck_assert_double_eq_tol(p.point[0].measured_s, 512 / 3840.0, 1e-15); /* the median of two is their mean */
    ck_assert_uint_eq(p.point[1].batch, 1);
    ck_assert_uint_eq(p.point[1].prompt, 256); /* 321 = 256 and the 65 tokens generated after it */
    ck_assert_uint_eq(p.point[2].n_repeats, 3);
    ck_assert_double_eq_tol(p.point[2].measured_s, 2 / 50.0, 1e-15);
    ck_assert_double_eq_tol(exp_p1_throughput(&p.point[2], exp_p1_step_s(&p.point[2], 47)), 47, 1e-12);
    exp_p1_points_fini(&p);
}
END_TEST

/* Of 40, 50 and 60 tokens/s the medians of the others are 55, 50 and 45; accuracy is that of times. */
START_TEST(a_repeat_is_told_by_the_median_of_the_others)
{
    struct exp_p1_points p =
        points_of("m,None-16,1,256,decoding,60\nm,None-16,1,256,decoding,40\nm,None-16,1,256,decoding,50\n"
                  "m,None-16,1,512,decoding,50\n",
                  EXP_P1_FP16);
    double expected = ((1 - fabs(40 / 55.0 - 1)) + 1 + (1 - fabs(60 / 45.0 - 1))) / 3;
    ck_assert_double_eq_tol(exp_p1_repeatability(&p.point[0]), expected, 1e-12);
    ck_assert(isnan(exp_p1_repeatability(&p.point[1])));
    ck_assert_double_eq_tol(exp_p1_accuracy(90, 100), 0.9, 1e-12);
    ck_assert_double_eq_tol(exp_p1_accuracy(110, 100), 0.9, 1e-12);
    exp_p1_points_fini(&p);
}
END_TEST

START_TEST(bad_rows_are_refused_with_their_line)
{
    static const struct {
        const char *rows, *says;
    } cases[] = {
        {"m,KIVI-4,1,256,decoding,30\n", ":2: another method than the file's, expected None-16"},
        {"m,None-16,1,256,running,30\n", ":2: an unknown stage"},
        {"m,None-16,0,256,decoding,30\n", ":2: a size or throughput out of range"},
        {"m,None-16,1,256,decoding,0\n", ":2: a size or throughput out of range"},
        {"m,None-16,1,256,decoding,nan\n", ":2"},
        {"m,None-16,1,256\n", ":2: fewer than 6 fields"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        struct exp_p1_points p;
        char *text = sim_printf("%s%s", header, cases[i].rows);
        ck_assert(!exp_p1_read(test_file("bad.csv", text), &exp_p1_methods[EXP_P1_FP16], 65, &p, &st));
        ck_assert_msg(strstr(st.message, cases[i].says) != NULL, "%s lacks %s", st.message, cases[i].says);
        free(text);
    }
}
END_TEST

/* ---- prices and fits ---- */

struct bench {
    struct exp_constants constants;
    struct exp_published out;
    struct exp_p1_machine machine;
};

static void bench_open(struct bench *b)
{
    struct sim_status st = {0};
    char *data_dir = mdl_data_dir(&st);
    *b = (struct bench){.constants = shipped_constants()};
    struct exp_study_run r = {
        .data_dir = data_dir, .raw_dir = "", .constants = &b->constants, .out = &b->out};
    ck_assert_msg(exp_p1_machine_init(&b->machine, &r, &st), "%s", st.message);
    free(data_dir);
}

static void bench_close(struct bench *b)
{
    exp_p1_machine_fini(&b->machine);
    exp_published_fini(&b->out);
    exp_constants_fini(&b->constants);
}

static struct exp_p1_price price_of(struct bench *b, enum exp_p1_id method)
{
    struct sim_status st = {0};
    struct exp_p1_price p;
    ck_assert_msg(exp_p1_price_init(&p, &b->machine, method, 1, NULL, &b->constants, &st), "%s", st.message);
    return p;
}

/* A step reads the weights once, 13.2 GB of linears and LM head at 768 GB/s, and the KV of its sequences; a prompt
 * multiplies each token with every weight. */
START_TEST(no_step_breaks_the_floors_of_the_card)
{
    struct bench b;
    bench_open(&b);
    struct exp_p1_price p = price_of(&b, EXP_P1_FP16);
    double weights = 2 * (32.0 * (4 * 4096.0 * 4096 + 3 * 4096.0 * 11008) + 32000.0 * 4096);
    for (uint32_t batch = 1; batch <= 16; batch *= 2) {
        double kv = batch * (4000 + 32) * 524288.0, work = weights * batch * 4000.0;
        ck_assert_double_ge(exp_p1_decode_s(&p, batch, 4000), (weights + kv) / 7.68e11);
        ck_assert_double_ge(exp_p1_prefill_s(&p, batch, 4000), work / 1.548e14);
    }
    exp_p1_price_fini(&p);
    bench_close(&b);
}
END_TEST

START_TEST(what_a_method_drops_bounds_its_decode_and_not_its_prefill)
{
    struct bench b;
    bench_open(&b);
    struct exp_p1_price fp16 = price_of(&b, EXP_P1_FP16), stream = price_of(&b, EXP_P1_STREAM),
                        h2o = price_of(&b, EXP_P1_H2O);
    ck_assert_double_eq_tol(exp_p1_decode_s(&stream, 8, 1024), exp_p1_decode_s(&stream, 8, 4000), 1e-12);
    ck_assert_double_eq_tol(exp_p1_decode_s(&stream, 8, 256), exp_p1_decode_s(&fp16, 8, 256), 1e-12);
    ck_assert_double_lt(exp_p1_decode_s(&stream, 8, 4000), exp_p1_decode_s(&fp16, 8, 4000));
    ck_assert_double_lt(exp_p1_decode_s(&fp16, 8, 2048), exp_p1_decode_s(&fp16, 8, 4000));
    ck_assert_double_ge(exp_p1_prefill_s(&stream, 4, 4000), exp_p1_prefill_s(&fp16, 4, 4000));
    double loss = 1 - exp_p1_prefill_s(&fp16, 4, 4000) / exp_p1_prefill_s(&h2o, 4, 4000);
    ck_assert_double_ge(loss, 0.07); /* the range that was published */
    ck_assert_double_le(loss, 0.25);
    exp_p1_price_fini(&fp16);
    exp_p1_price_fini(&stream);
    exp_p1_price_fini(&h2o);
    bench_close(&b);
}
END_TEST

/* The same rows as fp16's grid, as they would be under these prices. */
static struct exp_p1_points rows_under(const struct exp_p1_price *p, enum exp_p1_id method)
{
    char rows[8192] = "";
    size_t n = 0;
    struct exp_p1_points points;
    for (uint32_t batch = 1; batch <= 16; batch *= 2)
        for (uint32_t prompt = 256; prompt <= 2048; prompt *= 2)
            n += (size_t)snprintf(rows + n, sizeof rows - n,
                                  "m,%s,%u,%u,decoding,%.17g\nm,%s,%u,%u,prefill,%.17g\n",
                                  exp_p1_methods[method].column, batch, prompt,
                                  batch / exp_p1_decode_s(p, batch, prompt), exp_p1_methods[method].column,
                                  batch, prompt, batch * prompt / exp_p1_prefill_s(p, batch, prompt));
    ck_assert_uint_lt(n, sizeof rows);
    points = points_of(rows, method);
    return points;
}

START_TEST(a_fit_recovers_the_engine_that_produced_the_rows)
{
    struct bench b;
    struct sim_status st = {0};
    bench_open(&b);
    b.machine.attention_factor = 1.2;
    b.machine.engine.gpu_layer_s = 2e-5;
    struct exp_p1_price p = price_of(&b, EXP_P1_FP16);
    struct exp_p1_points rows = rows_under(&p, EXP_P1_FP16);
    b.machine.attention_factor = 0.7;
    b.machine.engine.gpu_layer_s = 0;
    ck_assert_msg(exp_p1_fit_engine(&b.machine, &rows, &b.constants, &st), "%s", st.message);
    ck_assert_double_eq_tol(b.machine.attention_factor, 1.2, 0.012);
    ck_assert_double_eq_tol(b.machine.engine.gpu_layer_s, 2e-5, 1e-6);
    exp_p1_points_fini(&rows);
    exp_p1_price_fini(&p);
    bench_close(&b);
}
END_TEST

START_TEST(a_fit_recovers_the_efficiency_of_a_kernel_from_small_batches)
{
    struct bench b;
    struct sim_status st = {0};
    double given[MDL_N_KV_KEY], found;
    bench_open(&b);
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    given[MDL_KV_KERNEL_EFFICIENCY] = 0.62;
    struct exp_p1_price p;
    ck_assert_msg(exp_p1_price_init(&p, &b.machine, EXP_P1_KIVI, 1, given, &b.constants, &st), "%s",
                  st.message);
    struct exp_p1_points rows = rows_under(&p, EXP_P1_KIVI);
    ck_assert_msg(exp_p1_fit_kernel(&b.machine, EXP_P1_KIVI, &rows, 4, &b.constants, &found, &st), "%s",
                  st.message);
    ck_assert_double_eq_tol(found, 0.62, 0.006);
    exp_p1_points_fini(&rows);
    exp_p1_price_fini(&p);
    bench_close(&b);
}
END_TEST

/* ---- studies ---- */

static struct exp_study_result study(const char *name, const char *raw_dir, bool fit)
{
    struct sim_status st = {0};
    struct exp_study_result r;
    const struct exp_study *s = exp_study_find(name, &st);
    ck_assert_msg(s && exp_study_run(s, raw_dir, fit, &r, &st), "%s", st.message);
    return r;
}

static void all_goals_are_met(const struct exp_study_result *r)
{
    for (uint32_t i = 0; i < r->results.n_figures; i++)
        ck_assert_msg(r->results.figure[i].goal != EXP_GOAL_MISSED, "%s, %s is %g",
                      r->results.figure[i].group, r->results.figure[i].name, r->results.figure[i].value);
}

START_TEST(a_study_without_its_data_says_which_folder_it_looked_in)
{
    struct sim_status st = {0};
    struct exp_study_result r;
    const struct exp_study *s = exp_study_find("p1-throughput", &st);
    ck_assert(s && !exp_study_run(s, test_dir(), false, &r, &st));
    ck_assert_msg(strstr(st.message, "no rethink there") && strstr(st.message, test_dir()), "%s", st.message);
    exp_study_result_fini(&r);
    st = (struct sim_status){0};
    ck_assert(exp_study_find("p1-thruput", &st) == NULL && st.code == SIM_EXIT_USAGE);
}
END_TEST

START_TEST(every_sequence_holds_what_its_closed_form_says)
{
    struct exp_study_result r = study("memory", NULL, false);
    all_goals_are_met(&r);
    ck_assert_double_eq(exp_published_value(&r.results, "closed forms", "largest difference, unrounded"), 0);
    ck_assert_double_eq(exp_published_value(&r.results, "closed forms", "largest difference, in pages"), 0);
    ck_assert_double_ge(exp_published_value(&r.results, "closed forms", "comparisons"), 1600);
    for (uint32_t i = 0; i < r.results.n_rows; i++) { /* what papers print, to the digits that they print */
        const struct exp_published_row *row = &r.results.row[i];
        ck_assert_msg(fabs(row->predicted / row->published - 1) < 0.005, "%s, %s", row->group, row->what);
    }
    exp_study_result_fini(&r);
}
END_TEST

START_TEST(gains_fall_with_tensor_parallelism_as_published)
{
    struct exp_study_result r = study("p1-tp", NULL, false);
    all_goals_are_met(&r);
    double same = exp_published_value(&r.results, "signs", "cells on the same side of 1");
    ck_assert_double_ge(same, 20); /* of 24 */
    ck_assert_uint_ge(r.results.n_notes, 3);
    exp_study_result_fini(&r);
}
END_TEST

START_TEST(routing_by_both_predictions_is_best_for_every_method)
{
    struct exp_study_result r = study("p1-routing", NULL, false);
    ck_assert_double_eq(exp_published_value(&r.results, "routing by both", "methods for which both is best"),
                        4);
    ck_assert_double_gt(exp_published_value(&r.results, "routing by both", "least gain"), 1.1);
    ck_assert_double_ge(exp_published_value(&r.results, "routing by length", "least gain"), 0.8 - 0.05);
    const char *const groups[] = {"routing by throughput", "routing by length", "routing by both"};
    for (int g = 0; g < 3; g++)
        ck_assert_double_le(
            exp_published_value(&r.results, groups[g], "largest difference to a published gain"), 0.3);
    exp_study_result_fini(&r);
}
END_TEST

/* A folder with the fp16 rows, and the same rows under another method's name. */
static const char *folder_with(const char *fp16_path, enum exp_p1_id method)
{
    struct sim_status st = {0};
    char *dir = sim_printf("%s/rethink", test_dir());
    ck_assert(sim_make_dir(dir, &st));
    FILE *in = fopen(fp16_path, "r");
    ck_assert(in != NULL);
    char *same = sim_printf("%s/llama-7b-a6000-lmdeploy-fp16.csv", dir),
         *other = sim_printf("%s/llama-7b-a6000-lmdeploy-%s.csv", dir, exp_p1_methods[method].name);
    FILE *out[2] = {fopen(same, "w"), fopen(other, "w")};
    char line[512];
    while (fgets(line, sizeof line, in)) {
        char *found = strstr(line, "None-16");
        fputs(line, out[0]);
        if (found)
            fprintf(out[1], "%.*s%s%s", (int)(found - line), line, exp_p1_methods[method].column,
                    found + strlen("None-16"));
        else
            fputs(line, out[1]);
    }
    fclose(in);
    fclose(out[0]);
    fclose(out[1]);
    free(same);
    free(other);
    free(dir);
    return test_dir();
}

START_TEST(a_held_back_method_is_predicted_as_soon_as_its_file_is_there)
{
    const char *path = TEST_SHARED("rethink/llama-7b-a6000-lmdeploy-fp16.csv");
    static const enum exp_p1_id held_back[] = {EXP_P1_GEAR, EXP_P1_H2O};
    for (int i = 0; i < 2; i++) {
        struct exp_study_result r = study("p1-throughput", folder_with(path, held_back[i]), false);
        char group[40];
        snprintf(group, sizeof group, "%s decode", exp_p1_methods[held_back[i]].name);
        ck_assert_double_gt(exp_published_value(&r.results, group, "accuracy"), 50);
        ck_assert_double_eq(exp_published_value(&r.results, group, "as fp16 measured"), 100);
        exp_study_result_fini(&r);
    }
}
END_TEST

/* What README.md states, less a margin of half a percent. */
START_TEST(released_throughput_is_met_within_five_percent_for_every_method_and_stage)
{
    const char *path = TEST_SHARED("rethink/llama-7b-a6000-lmdeploy-fp16.csv");
    (void)path;
    static const struct {
        const char *group;
        double least;
    } stated[] = {{"fp16 prefill", 97.1}, {"fp16 decode", 97.0},    {"kivi prefill", 96.5},
                  {"kivi decode", 96.4},  {"stream prefill", 97.1}, {"stream decode", 95.9}};
    struct exp_study_result r = study("p1-throughput", NULL, false);
    all_goals_are_met(&r);
    for (size_t i = 0; i < sizeof stated / sizeof *stated; i++) {
        double accuracy = exp_published_value(&r.results, stated[i].group, "accuracy");
        ck_assert_msg(accuracy >= stated[i].least, "%s is %g %%", stated[i].group, accuracy);
    }
    ck_assert_double_gt(exp_published_value(&r.results, "stream decode", "accuracy"),
                        exp_published_value(&r.results, "stream decode", "as fp16 measured") + 10);
    exp_study_result_fini(&r);
}
END_TEST

START_TEST(fitting_again_gives_what_ships)
{
    const char *path = TEST_SHARED("rethink/llama-7b-a6000-lmdeploy-fp16.csv");
    (void)path;
    struct exp_constants c = shipped_constants();
    struct exp_study_result r = study("p1-throughput", NULL, true);
    double factor = exp_constant_find(&c, "p1.attention_factor")->value;
    double efficiency = exp_constant_find(&c, "p1.kivi.kernel_efficiency")->value;
    ck_assert_double_eq_tol(exp_published_value(&r.results, "fitted to fp16", "attention_factor"), factor,
                            0.01 * factor);
    ck_assert_double_le(exp_published_value(&r.results, "fitted to fp16", "gpu_layer_s"), 1e-7);
    ck_assert_double_eq_tol(
        exp_published_value(&r.results, "fitted to kivi, batch <= 4", "kernel_efficiency"), efficiency,
        0.02 * efficiency);
    exp_study_result_fini(&r);
    exp_constants_fini(&c);
}
END_TEST

/* ---- output ---- */

START_TEST(json_has_every_row_figure_and_constant_that_was_used)
{
    struct exp_study_result r = study("p1-tp", NULL, false);
    struct sim_status st = {0};
    json_t *o = exp_study_json(exp_study_find("p1-tp", &st), &r);
    ck_assert(o != NULL);
    ck_assert_str_eq(json_string_value(json_object_get(o, "study")), "p1-tp");
    ck_assert_uint_eq(json_array_size(json_object_get(o, "rows")), r.results.n_rows);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "figures")), r.results.n_figures);
    json_t *constants = json_object_get(o, "constants");
    ck_assert_uint_ge(json_array_size(constants), 10);
    ck_assert_uint_lt(json_array_size(constants), r.constants.n); /* routing's are not this study's */
    double published =
        json_number_value(json_object_get(json_array_get(json_object_get(o, "rows"), 0), "published"));
    ck_assert_double_eq(published, 6610.24);
    json_decref(o);
    exp_study_result_fini(&r);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("published");
    TCase *c = tcase_create("published");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_constant_without_range_or_source_is_refused_with_its_line);
    tcase_add_test(c, constants_are_found_by_their_group_and_remembered_as_used);
    tcase_add_test(c, repeats_are_gathered_whatever_model_their_label_names);
    tcase_add_test(c, a_repeat_is_told_by_the_median_of_the_others);
    tcase_add_test(c, bad_rows_are_refused_with_their_line);
    tcase_add_test(c, no_step_breaks_the_floors_of_the_card);
    tcase_add_test(c, what_a_method_drops_bounds_its_decode_and_not_its_prefill);
    tcase_add_test(c, a_fit_recovers_the_engine_that_produced_the_rows);
    tcase_add_test(c, a_fit_recovers_the_efficiency_of_a_kernel_from_small_batches);
    tcase_add_test(c, a_study_without_its_data_says_which_folder_it_looked_in);
    tcase_add_test(c, every_sequence_holds_what_its_closed_form_says);
    tcase_add_test(c, gains_fall_with_tensor_parallelism_as_published);
    tcase_add_test(c, routing_by_both_predictions_is_best_for_every_method);
    tcase_add_test(c, a_held_back_method_is_predicted_as_soon_as_its_file_is_there);
    tcase_add_test(c, released_throughput_is_met_within_five_percent_for_every_method_and_stage);
    tcase_add_test(c, fitting_again_gives_what_ships);
    tcase_add_test(c, json_has_every_row_figure_and_constant_that_was_used);
    suite_add_tcase(s, c);
    return s;
}
