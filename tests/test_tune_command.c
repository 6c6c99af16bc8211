/* `kvsim tune` as a user runs it: what it prints, exit codes, one line for every wrong use, the file that it leaves. */
#include <math.h>
#include <signal.h>

#include "tests/command_help.h"

static const char *scenario_file(void)
{
    return test_file("t.yaml",
                     "model: llama-3.1-8b\n"
                     "fleet: [{gpu: h100-sxm, replicas: 1, kv: {strategy: freekv}}]\n"
                     "workload: {open_loop: {request_rate: 0.2, num_requests: 40, input_tokens: '12000', "
                     "output_tokens: '100'}}\n"
                     "slo: {ttft_ms: 20000, tpot_ms: 80, percentile: 90}\n");
}

START_TEST(it_prints_the_best_setting_its_flatness_limits_and_the_next_command)
{
    scenario_file();
    const struct ran *r =
        works("tune t.yaml --over budget=1280/2048,tau=0.5..0.9 --replications 4 --objective load");
    static const char *const expected[] = {"tune: freekv on llama-3.1-8b",
                                           "4 replications",
                                           "default",
                                           "How flat the optimum is",
                                           "within 1 %",
                                           "What limits it",
                                           "always look better",
                                           "not scored",
                                           "Settings",
                                           "changes half-way from 0.1 to 0.37",
                                           "adaptive over the best static setting"};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        ck_assert_msg(strstr(r->out, expected[i]) != NULL, "no `%s` in %s", expected[i], r->out);
    ck_assert_msg(strncmp(r->err, "next: kvsim run t.yaml", 22) == 0, "%s", r->err);
}
END_TEST

/* What it advises runs, and gives what it said. */
START_TEST(the_next_command_gives_the_same_figure)
{
    scenario_file();
    json_t *o = json_of("tune t.yaml --over budget=1280/2048 --replications 4 --json");
    char next[2000], *line = next;
    snprintf(next, sizeof next, "%s", kvsim("tune t.yaml --over budget=1280/2048 --replications 4")->err);
    ck_assert_ptr_nonnull(strstr(next, "   ("));
    *strstr(next, "   (") = '\0';
    line += strlen("next: kvsim ");
    strcat(line, " --json");
    json_t *run = json_of(line);
    const json_t *best =
        json_object_get(o, json_is_true(json_object_get(o, "no_better_than_default")) ? "default" : "best");
    ck_assert_double_eq_tol(number(run, "request_goodput"), number(best, "objective"), 1e-12);
    json_decref(run);
    json_decref(o);
}
END_TEST

START_TEST(json_and_file_hold_all_of_it_and_threads_change_nothing)
{
    scenario_file();
    char *text[2];
    for (int i = 0; i < 2; i++) {
        json_t *o = json_of(
            i ? "tune t.yaml --over budget,prefetch=0/8 --replications 4 --json -j 3"
              : "tune t.yaml --over budget,prefetch=0/8 --replications 4 --json -j 1 --out made/here");
        ck_assert_uint_eq(json_array_size(json_object_get(o, "flatness")), 2);
        ck_assert_uint_ge(json_array_size(json_object_get(o, "settings")), 8);
        ck_assert(json_is_array(json_object_get(o, "limits")));
        has_number(o, "gain");
        has_number(json_object_get(o, "best"), "objective_lo");
        has_number(json_object_get(json_object_get(o, "best"), "setting"), "budget");
        has_number(json_object_get(o, "adaptive"), "from_s");
        json_object_del(o, "wall_s");
        text[i] = json_dumps(o, JSON_REAL_PRECISION(17));
        json_decref(o);
    }
    ck_assert_str_eq(text[0], text[1]);
    static char file[TEXT_BYTES];
    slurp("made/here/tune.json", file);
    json_t *o = json_loads(file, 0, NULL);
    ck_assert_ptr_nonnull(o);
    json_object_del(o, "wall_s");
    char *again = json_dumps(o, JSON_REAL_PRECISION(17));
    ck_assert_str_eq(again, text[0]);
    ck_assert_int_eq(files_with("made/here", ""), 1);
    json_decref(o);
    free(again);
    free(text[0]);
    free(text[1]);
}
END_TEST

START_TEST(a_load_that_no_setting_can_serve_is_answered_with_3)
{
    scenario_file();
    const struct ran *r = kvsim("tune t.yaml --over budget=1280/2048 --replications 2 --set slo.tpot_ms=1");
    ck_assert_int_eq(r->code, 3);
    ck_assert_ptr_nonnull(strstr(r->out, "no setting meets them"));
    ck_assert_ptr_nonnull(strstr(r->err, "kvsim plan"));
    fails("tune t.yaml --max-negatives 0.05 --replications 2", 3, "within --max-negatives");
}
END_TEST

/* Fleets of one strategy that differ are tuned alike: it is said, and the next command sets both. */
START_TEST(fleets_of_one_strategy_are_tuned_alike)
{
    test_file("two.yaml",
              "model: llama-3.1-8b\n"
              "fleet: [{gpu: h100-sxm, kv: {strategy: freekv}}, {gpu: h100-sxm}, "
              "{gpu: h100-sxm, kv: {strategy: freekv, budget: 1536}}]\n"
              "workload: {open_loop: {request_rate: 0.2, num_requests: 20, input_tokens: '12000', "
              "output_tokens: '60'}}\n"
              "slo: {ttft_ms: 20000}\n");
    const struct ran *r = works("tune two.yaml --over budget=2048/4096 --replications 2");
    ck_assert_ptr_nonnull(strstr(r->out, "note: fleet.2.kv.budget is taken as fleet.0's"));
    ck_assert_ptr_nonnull(strstr(r->err, "fleet.0.kv.budget="));
    ck_assert_ptr_nonnull(strstr(r->err, "fleet.2.kv.budget="));
    fails("tune two.yaml --over budget --set fleet.1.gpu=h1000", 1, "unknown GPU");
}
END_TEST

START_TEST(wrong_use_gets_one_line)
{
    scenario_file();
    fails("tune t.yaml --over budgett", 2, "did you mean");
    fails("tune t.yaml --over budget=9..1", 2, "is no range");
    fails("tune t.yaml --strategy frekv", 2, "freekv");
    fails("tune t.yaml --strategy full", 2, "full has nothing to tune");
    fails("tune t.yaml --set fleet.0.kv.strategy=full", 2, "the scenario's strategy is full");
    fails("tune t.yaml --strategy h2o --rates 0.1,0.2", 2, "h2o has no kv.policy");
    fails("tune t.yaml --rates 0.1", 2, "--rates");
    fails("tune t.yaml --set nonsense=1", 2, "unknown key");
    fails("tune none.yaml", 1, "none.yaml");
    fails("tune t.yaml --out /proc/none/here", 1, "/proc/none");
    ck_assert_int_eq(kvsim("tune")->code, 2);
    ck_assert_int_eq(kvsim("tune t.yaml --objective best")->code, 2);
    ck_assert_int_eq(kvsim("tune t.yaml --max-negatives 2")->code, 2);
    ck_assert_int_eq(kvsim("tune t.yaml --replications 1")->code, 2);
    test_file("c.yaml", "model: llama-3.1-8b\nfleet: [{gpu: h100-sxm, kv: {strategy: freekv}}]\n"
                        "workload: {closed_loop: {concurrency: 2, num_requests: 9, input_tokens: '4000', "
                        "output_tokens: '20'}}\n"
                        "slo: {ttft_ms: 20000}\n");
    fails("tune c.yaml --objective load", 2, "closed loop has no rate");
}
END_TEST

/* What is printed of both settings beside the gain gives the gain. */
START_TEST(the_gain_is_that_of_the_fresh_figures)
{
    scenario_file();
    json_t *o = json_of("tune t.yaml --over budget=1280/2048 --objective load --replications 3 --json");
    double best = number(json_object_get(o, "best_again"), "objective"),
           usual = number(json_object_get(o, "default_again"), "objective");
    ck_assert_double_eq_tol(number(o, "gain"), best / usual - 1, 1e-9);
    bool kept = !(number(o, "gain_lo") > 0 && number(o, "gain") > 0.01);
    ck_assert_int_eq(json_is_true(json_object_get(o, "no_better_than_default")), kept);
    ck_assert(json_equal(json_object_get(o, "advice"),
                         json_object_get(json_object_get(o, kept ? "default" : "best"), "setting")));
    json_decref(o);
}
END_TEST

static json_t *static_setting(json_t *o, double pages)
{
    json_t *rows = json_object_get(json_object_get(o, "adaptive"), "settings"), *row, *found = NULL;
    size_t i;
    json_array_foreach(rows, i, row)
    {
        const json_t *own = json_object_get(row, "prefetch_pages");
        if (own && json_number_value(own) == pages) found = row;
    }
    return found;
}

/* 48 is none of the usual steps (at most as many pages as are selected: 32 less). */
START_TEST(adaptive_is_set_beside_the_pages_that_were_found_best)
{
    scenario_file();
    json_t *o =
        json_of("tune t.yaml --over prefetch=48 --set fleet.0.kv.prefetch_pages=0 --replications 2 --json");
    double best = number(json_object_get(json_object_get(o, "best"), "setting"), "prefetch_pages"),
           highest = number(json_object_get(json_object_get(o, "highest"), "setting"), "prefetch_pages");
    ck_assert_ptr_nonnull(static_setting(o, best));
    ck_assert_ptr_nonnull(static_setting(o, highest));
    ck_assert_ptr_nonnull(static_setting(o, 0));
    json_decref(o);
}
END_TEST

/* It cannot end by itself in the time: the signal is sent once the folder of --out is there, before the search. */
START_TEST(an_interrupt_is_one_line_and_writes_nothing)
{
    static char text[TEXT_BYTES];
    scenario_file();
    int code = shell("{",
                     "tune t.yaml --replications 256 --set workload.open_loop.num_requests=20000 --out cut "
                     ">out.txt 2>err.txt & p=$!; until [ -d cut ]; do :; done; kill -TERM $p; wait $p; }",
                     "");
    ck_assert_int_eq(code, 130);
    slurp("err.txt", text);
    ck_assert_str_eq(text, "interrupted, nothing was written\n");
    slurp("out.txt", text);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(files_with("cut", ""), 0);
}
END_TEST

START_TEST(a_closed_loop_and_other_strategies_are_tuned_too)
{
    test_file("c.yaml", "model: llama-3.1-8b\nfleet: [{gpu: h100-sxm, kv: {strategy: freekv}}]\n"
                        "workload: {closed_loop: {concurrency: 4, num_requests: 24, input_tokens: '12000', "
                        "output_tokens: '60'}}\n"
                        "slo: {ttft_ms: 60000}\n");
    json_t *o = json_of("tune c.yaml --over budget=1280/2048 --replications 2 --json");
    ck_assert_double_gt(number(json_object_get(o, "adaptive"), "from_s"), 0);
    json_decref(o);
    static const char *const others[] = {"h2o", "kivi4", "tiered", "offload", "gear4", "shadowkv"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char line[200];
        snprintf(line, sizeof line, "tune c.yaml --strategy %s --replications 2 --json", others[i]);
        o = json_of(line);
        ck_assert(json_is_null(json_object_get(o, "adaptive")));
        json_decref(o);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("tune command");
    TCase *t = tcase_create("tune");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, it_prints_the_best_setting_its_flatness_limits_and_the_next_command);
    tcase_add_test(t, the_next_command_gives_the_same_figure);
    tcase_add_test(t, json_and_file_hold_all_of_it_and_threads_change_nothing);
    tcase_add_test(t, a_load_that_no_setting_can_serve_is_answered_with_3);
    tcase_add_test(t, fleets_of_one_strategy_are_tuned_alike);
    tcase_add_test(t, wrong_use_gets_one_line);
    tcase_add_test(t, the_gain_is_that_of_the_fresh_figures);
    tcase_add_test(t, adaptive_is_set_beside_the_pages_that_were_found_best);
    tcase_add_test(t, an_interrupt_is_one_line_and_writes_nothing);
    tcase_add_test(t, a_closed_loop_and_other_strategies_are_tuned_too);
    suite_add_tcase(s, t);
    return s;
}
