/* `kvsim plan` as a user meets it: options that make a plan, what a dry run finds, the files, and what is refused. */
#include "tests/command_help.h"

/* Small enough for a test: 400 requests, one card. */
static const char *plan(void)
{
    return test_file(
        "plan.yaml",
        "model: llama-3.1-8b\n"
        "load: {open_loop: {request_rate: 12, num_requests: 400, input_tokens: 'uniform:200:900', "
        "output_tokens: 'uniform:20:200'}}\n"
        "slo: {ttft_ms: 1500, tpot_ms: 60, percentile: 95}\n"
        "search: {gpu: l40s, tensor_parallel: 1, strategy: [full, fp8]}\n");
}

static bool has(const char *text, const char *piece)
{
    return strstr(text, piece) != NULL;
}

START_TEST(wrong_usage_is_one_line_and_leaves_nothing_behind)
{
    plan();
    fails("plan --json --markdown plan.yaml", 2, "--json and --markdown: cannot be had together");
    fails("plan plan.yaml --dry-run --pilot m.csv", 2, "cannot be had together");
    fails("plan plan.yaml --max-load --markdown", 2, "--max-load and --markdown: cannot be had together");
    fails("plan plan.yaml --max-load --dry-run", 2, "cannot be had together");
    fails("plan plan.yaml --json --lang ja", 2, "--json and --lang: cannot be had together");
    fails("plan plan.yaml --scores s.csv", 2, "expected --pilot MEASURED.csv");
    fails("plan plan.yaml other.yaml", 2, "expected one plan");
    fails("plan plan.yaml --lang fr", 2, "expected one of: en, ja");
    fails("plan plan.yaml --out ''", 2, "--out is empty");
    fails("plan", 2, "expected PLAN.yaml");
    fails("plan nothing.yaml", 1, "nothing.yaml");
    fails("plan plan.yaml --ttft-ms fast", 2, "--ttft-ms: slo.ttft_ms is `fast`");
    fails("plan plan.yaml --set laod.multiply=2", 2, "did you mean `load.multiply`");
    fails("plan plan.yaml --gpu l40x", 2, "--gpu: search.gpu: ");
    fails("plan plan.yaml --tensor-parallel 3", 2, "does not divide the 8 GPUs of a server");
    fails("plan plan.yaml --strategies fp9", 2, "did you mean `fp8`");
    fails("plan plan.yaml --set money.prices=none.yaml --save kept.yaml", 2, "none.yaml cannot be read");
    fails("plan plan.yaml --pilot nothing.csv --scores x.csv --max-load", 2, "cannot be had together");
    fails("plan plan.yaml --pilot nothing.csv", 1, "--pilot: nothing.csv cannot be read");
    fails("plan plan.yaml --max-load", 2, "expected `have`");
    fails("plan plan.yaml --out .", 2, "which is the plan that is read");
    fails("plan plan.yaml --save ./plan.yaml --dry-run", 2, "which is the plan that is read");
    fails("plan --model llama-3.1-8b --trace none.csv --ttft-ms 100", 1, "none.csv");
    ck_assert(!there("kept.yaml"));
}
END_TEST

START_TEST(options_that_lack_something_say_which_flag_to_give)
{
    test_file("t.csv", "arrival_time_us,input_tokens,output_tokens\n0,10,10\n1000000,10,10\n");
    fails("plan --trace t.csv --ttft-ms 100", 2, "give --model NAME");
    fails("plan --model llama-3.1-8b --ttft-ms 100", 2, "give --trace FILE");
    fails("plan --model llama-3.1-8b --trace t.csv", 2, "give --ttft-ms X --tpot-ms Y");
    fails("plan --model llama-3.1-8b --trace t.csv --ttft-ms 100 --percentile 0.99", 2,
          "--percentile: slo.percentile is 0.99 %");
}
END_TEST

START_TEST(a_dry_run_tells_what_was_found_and_writes_nothing)
{
    plan();
    const struct ran *r = works("plan plan.yaml --dry-run --out folder");
    ck_assert(has(r->out, "open loop: 400 requests"));
    ck_assert(has(r->out, "2 candidates"));
    ck_assert(has(r->out, "l40s-vllm"));
    ck_assert(has(r->out, "fp8"));
    ck_assert(has(r->err, "next: kvsim plan plan.yaml --out folder"));
    ck_assert(!there("folder"));
    json_t *o = json_of("plan plan.yaml --dry-run --json --gpu l40s,h100 --tensor-parallel 1,2");
    ck_assert_double_eq(number(o, "points"), 8); /* two cards, two degrees, two strategies */
    ck_assert_double_eq(number(o, "requests"), 400);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "gpus")), 2);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "strategies")), 2);
    ck_assert(
        json_is_true(json_object_get(json_array_get(json_object_get(o, "strategies"), 0), "quality_known")));
    json_decref(o);
}
END_TEST

START_TEST(machines_that_there_are_double_the_ways_and_cards_without_a_price_say_so)
{
    plan();
    json_t *o = json_of("plan plan.yaml --dry-run --json --set have='[{gpu: l40s, servers: 1}]'");
    ck_assert_double_eq(number(o, "points"), 4); /* with what there is, and without */
    json_decref(o);
    o = json_of("plan plan.yaml --dry-run --json --gpu rtx-3090");
    const json_t *card = json_array_get(json_object_get(o, "gpus"), 0);
    ck_assert(json_is_null(json_object_get(card, "server")));
    ck_assert(json_is_false(json_object_get(card, "measured")));
    json_decref(o);
}
END_TEST

START_TEST(a_plan_of_options_prints_what_it_assumes_and_is_saved_whole)
{
    test_file("t.csv", "arrival_time_us,input_tokens,output_tokens\n0,10,10\n1000000,10,10\n");
    const char *options = "plan --model llama-3.1-8b --trace t.csv --ttft-ms 1000 --tpot-ms 50 --multiply 2 "
                          "--gpu l4 --dry-run ";
    char *saving = sim_printf("%s --save saved.yaml", options), *json = sim_printf("%s --json", options);
    const struct ran *r = works(saving);
    ck_assert(has(r->out, "load.peak_to_mean                  2.7  (default)\n"));
    ck_assert(has(r->out, "slo.ttft_ms                        1000\n"));
    ck_assert(has(r->out, "load.multiply                      2\n"));
    ck_assert(there("saved.yaml"));
    json_t *o = json_of(json); /* nothing else on standard output */
    ck_assert(has(kvsim(json)->err, "(default)"));
    json_t *again = json_of("plan saved.yaml --dry-run --json");
    ck_assert(json_equal(json_object_get(o, "points"), json_object_get(again, "points")));
    ck_assert(!has(kvsim("plan saved.yaml --dry-run")->out, "(default)"));
    json_decref(again);
    json_decref(o);
    free(json);
    free(saving);
}
END_TEST

START_TEST(limits_on_the_command_line_are_those_of_class_default)
{
    test_file("classes.yaml",
              "model: llama-3.1-8b\n"
              "load: {open_loop: {request_rate: 1, num_requests: 20}}\n"
              "classes: {default: {slo: {ttft_ms: 9}}, gold: {slo: {ttft_ms: 7}}}\nsearch: {gpu: l4}\n");
    works("plan classes.yaml --ttft-ms 1234 --dry-run --save limits.yaml");
    static char text[TEXT_BYTES];
    slurp("limits.yaml", text);
    ck_assert(has(text, "ttft_ms: 1234") && has(text, "ttft_ms: 7") && !has(text, "ttft_ms: 9\n"));
}
END_TEST

START_TEST(a_decision_is_printed_and_its_files_are_all_there)
{
    plan();
    const struct ran *r = works("plan plan.yaml --out decided");
    ck_assert(has(r->out, "l40s"));
    ck_assert(has(r->err, "next: kvsim pilot plan.yaml"));
    static const char *const files[] = {"decision.md", "plan.json", "plan.csv", "plan.yaml", "scenario.yaml"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "decided/%s", files[i]);
        ck_assert_msg(there(name), "%s", name);
    }
    ck_assert(
        has(works("plan plan.yaml --set seed=2")->err, "--save plan.yaml")); /* no file holds this one */
    json_t *o = json_of("plan plan.yaml --json"), *best = json_object_get(o, "best");
    ck_assert(json_is_object(best) && json_is_array(json_object_get(o, "candidates")));
    ck_assert_str_eq(json_string_value(json_object_get(best, "gpu")), "l40s");
    json_t *again =
        json_of("plan decided/plan.yaml --json -j 1"); /* every value that was used, on any threads */
    ck_assert(json_equal(json_object_get(best, "replicas"),
                         json_object_get(json_object_get(again, "best"), "replicas")));
    ck_assert_double_eq(number(best, "cost_total"), number(json_object_get(again, "best"), "cost_total"));
    json_decref(again);
    json_decref(o);
    ck_assert(works("run decided/scenario.yaml")->out[0] != '\0');
}
END_TEST

START_TEST(limits_that_no_fleet_meets_are_answered_with_exit_3_and_what_would_do)
{
    plan();
    const struct ran *r = kvsim("plan plan.yaml --ttft-ms 0.001");
    ck_assert_int_eq(r->code, 3);
    ck_assert(r->out[0] != '\0');
    ck_assert(has(r->err, "no candidate meets the service levels"));
    ck_assert(!has(r->err, "next:"));
    test_file("m.csv", "arm,request_id\n");
    r = kvsim("plan plan.yaml --ttft-ms 0.001 --pilot m.csv");
    ck_assert_int_eq(r->code, 3);
    ck_assert(has(r->out, "m.csv was not read"));
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_is_known_before_anything_runs)
{
    plan();
    test_file("file", "");
    fails("plan plan.yaml --out file/below", 1, "file");
}
END_TEST

START_TEST(the_commented_plan_is_ready_to_run_and_every_key_is_listed)
{
    works("init plan mine.yaml");
    fails("init plan mine.yaml", 1, "is there already");
    json_t *o = json_of("plan mine.yaml --dry-run --json");
    ck_assert_double_gt(number(o, "requests"), 3000);
    json_decref(o);
    o = json_of("list plan-keys --json");
    const json_t *rows = json_object_get(o, "plan-keys");
    ck_assert_uint_gt(json_array_size(rows), 80);
    for (size_t i = 0; i < json_array_size(rows); i++)
        ck_assert_uint_gt(strlen(json_string_value(json_object_get(json_array_get(rows, i), "help"))), 5);
    json_decref(o);
    ck_assert(has(works("list plan-keys")->err, "kvsim plan PLAN --set"));
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("plan_command");
    TCase *c = tcase_create("commands"), *whole = tcase_create("decisions");
    tcase_set_timeout(c, 60);
    tcase_set_timeout(whole, 120);
    tcase_add_test(c, wrong_usage_is_one_line_and_leaves_nothing_behind);
    tcase_add_test(c, options_that_lack_something_say_which_flag_to_give);
    tcase_add_test(c, a_dry_run_tells_what_was_found_and_writes_nothing);
    tcase_add_test(c, machines_that_there_are_double_the_ways_and_cards_without_a_price_say_so);
    tcase_add_test(c, a_plan_of_options_prints_what_it_assumes_and_is_saved_whole);
    tcase_add_test(c, limits_on_the_command_line_are_those_of_class_default);
    tcase_add_test(c, a_folder_that_cannot_be_written_is_known_before_anything_runs);
    tcase_add_test(c, the_commented_plan_is_ready_to_run_and_every_key_is_listed);
    tcase_add_test(whole, a_decision_is_printed_and_its_files_are_all_there);
    tcase_add_test(whole, limits_that_no_fleet_meets_are_answered_with_exit_3_and_what_would_do);
    suite_add_tcase(suite, c);
    suite_add_tcase(suite, whole);
    return suite;
}
