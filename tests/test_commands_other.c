/* The commands beside `run`: init, trace and calib, as a user meets them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/published/study.h"
#include "tests/command_help.h"

START_TEST(the_commented_scenario_runs_as_it_is_on_the_shipped_sample)
{
    works("init scenario mine.yaml");
    ck_assert(there("mine.yaml"));
    fails("init scenario mine.yaml", 1, "is there already");
    works("init scenario mine.yaml --force");
    json_t *o = json_of("run mine.yaml --json");
    ck_assert_double_gt(number(o, "completed"), 100);
    json_decref(o);
    fails("init stduy", 2, "`stduy` cannot be written");
}
END_TEST

START_TEST(a_trace_made_converted_and_looked_at_keeps_its_requests)
{
    works("trace synth -n 500 --rate 5 --input uniform:10:20 --output 7 --seed 3 -o made.csv");
    works("trace convert made.csv again.csv");
    json_t *a = json_of("trace info made.csv --json"), *b = json_of("trace info again.csv --json");
    ck_assert(json_equal(a, b));
    ck_assert_double_eq(number(a, "requests"), 500);
    ck_assert_double_eq(number(a, "output_tokens"), 3500);
    works("trace convert made.csv twice.csv --multiply 2");
    json_t *c = json_of("trace info twice.csv --json");
    ck_assert_double_eq(number(c, "requests"), 1000);
    json_decref(a);
    json_decref(b);
    json_decref(c);
    fails("trace info nothing.csv", 1, "nothing.csv");
    fails("trace synth --rate -1", 2, "--rate is `-1`");
    fails("trace synth --preset moon", 2, "moon");
    fails("trace synth --rate 1e6 --duration 1e6", 2, "expected at most 1e9");
    fails("trace synth --length-range 2:1", 2, "LO:HI");
    fails("trace convert made.csv --how sideways", 2, "superpose, compress, thin");
}
END_TEST

START_TEST(calib_without_its_tables_or_folder_says_what_to_give)
{
    fails("calib show nope", 1, "no profile `nope`, expected one of `kvsim list profiles`");
    fails("calib check nope", 1, "nope");
    fails("calib fit x", 2, "-o DIR");
    fails("calib fit x -o y --date yesterday", 2, "expected YYYY-MM-DD");
    fails("calib fit x -o y --date 2026-1-1", 2, "expected YYYY-MM-DD");
    fails("calib import x -o y --raw .", 2, "--gpu");
    fails("calib import x -o y --raw . --gpu h1000", 1, "h1000");
    ck_assert(!there("y"));
}
END_TEST

START_TEST(multiplying_a_public_trace_prints_its_burstiness_before_and_after)
{
    const char *trace = TEST_SHARED("traces/azure-2023/AzureLLMInferenceTrace_code.csv");
    char here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    scenario();
    char *arguments =
        sim_printf("run s.yaml --trace '%s%s%s' --set workload.multiply=2 --set workload.how=compress",
                   trace[0] == '/' ? "" : here, trace[0] == '/' ? "" : "/", trace);
    ck_assert_ptr_nonnull(strstr(works(arguments)->out, "index of dispersion (10 s) 71.3 ->"));
    free(arguments);
}
END_TEST

/* raw/ has a profile.yaml of its own and is named from the folder above it, as kernels/README.md does. */
START_TEST(kvbench_tables_are_fitted_from_where_they_lie)
{
    char folder[4200], *rows = sim_printf("format,n,k,m,heat,time_s,status\n");
    snprintf(folder, sizeof folder, "%s/raw", test_dir());
    mkdir(folder, 0700);
    for (int m = 1; m <= 64; m *= 2) {
        char *more = sim_printf("%sbf16,960,576,%d,cold,%g,ok\nbf16,576,576,%d,cold,%g,ok\n", rows, m,
                                1e-4 * m, m, 6e-5 * m);
        free(rows);
        rows = more;
    }
    test_file("raw/gemm.csv", rows);
    test_file("raw/profile.yaml", "device: cpu\nname: here\nkvbench: 1\nunits: 2\nclock_hz: 0\n"
                                  "ceilings: {read_byte_per_s: 1e10, bf16_flops: 1e11}\n");
    works("calib fit raw --from kvbench --raw . --gpu cpu --out fitted");
    ck_assert(there("fitted/gemm.csv"));
    fails("calib fit raw --from kvbench --raw . --gpu h200-sxm --out other", 1, "not of h200-sxm");
    test_file("own.yaml",
              "model: smollm2-135m\nfleet: [{gpu: cpu, profile: ./fitted}]\nengine: {name: kvbench-1}\n"
              "workload: {closed_loop: {concurrency: 1, num_requests: 1}}\n");
    works("run own.yaml");
    fails("run own.yaml --set engine.name=vllm-0.14", 1, "which engine vllm-0.14 does not run");
    free(rows);
}
END_TEST

START_TEST(all_published_studies_run_at_one_word)
{
    const char *raw = TEST_SHARED("rethink");
    char here[4096];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    char *arguments = sim_printf("published all --json --data '%s%s%.*s'", raw[0] == '/' ? "" : here,
                                 raw[0] == '/' ? "" : "/", (int)(strlen(raw) - strlen("/rethink")), raw);
    json_t *o = json_of(arguments), *studies = json_object_get(o, "studies");
    ck_assert_uint_eq(json_array_size(studies), exp_study_count());
    for (size_t i = 0; i < exp_study_count(); i++)
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(studies, i), "study")),
                         exp_study_at(i)->name);
    json_decref(o);
    free(arguments);
    fails("published al", 2, "unknown study `al`");
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("commands_other");
    TCase *c = tcase_create("commands");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_commented_scenario_runs_as_it_is_on_the_shipped_sample);
    tcase_add_test(c, a_trace_made_converted_and_looked_at_keeps_its_requests);
    tcase_add_test(c, calib_without_its_tables_or_folder_says_what_to_give);
    tcase_add_test(c, multiplying_a_public_trace_prints_its_burstiness_before_and_after);
    tcase_add_test(c, all_published_studies_run_at_one_word);
    tcase_add_test(c, kvbench_tables_are_fitted_from_where_they_lie);
    suite_add_tcase(suite, c);
    return suite;
}
