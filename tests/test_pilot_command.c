/* `kvsim pilot` as a user types it: wrong usage, the folder, the rehearsal that its page describes, and what `kvsim plan
 * --pilot` says of it. */
#include "tests/command_help.h"

static void plan_file(void)
{
    test_file("plan.yaml", "model: llama-3.1-8b\n"
                           "load: {open_loop: {request_rate: 40, num_requests: 2000, input_tokens: "
                           "'lognormal:1150:0.97:12000', output_tokens: 'lognormal:211:0.7:1000'}}\n"
                           "slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}\n"
                           "search: {gpu: [l40s], tensor_parallel: [1], strategy: [full, int8]}\n");
}

START_TEST(wrong_usage_is_one_line)
{
    plan_file();
    fails("pilot", 2, "no plan given");
    fails("pilot a b", 2, "too many arguments: `b`");
    fails("pilot plan.yaml --out ''", 2, "--out is empty");
    fails("pilot plan.yaml --set seach.gpu=l40s", 2, "unknown key `seach.gpu`");
    fails("pilot none.yaml", 1, "none.yaml: cannot be opened");
    fails("pilot plan.yaml --out /proc/none", 1, "/proc/none");
}
END_TEST

START_TEST(nothing_feasible_says_what_would_be)
{
    plan_file();
    const struct ran *r = kvsim("pilot plan.yaml --set slo.ttft_ms=0.001 --out none");
    ck_assert_int_eq(r->code, 3);
    ck_assert_msg(strstr(r->err, "no fleet meets the service levels"), "%s", r->err);
    ck_assert_int_eq(files_with("none", ""), 0);
}
END_TEST

START_TEST(json_is_one_object_with_the_stages)
{
    plan_file();
    json_t *o = json_of("pilot plan.yaml --json -j 2");
    ck_assert_str_eq(json_string_value(json_object_get(o, "candidate")), "l40s TP 1, int8");
    ck_assert_str_eq(json_string_value(json_object_get(o, "baseline")), "l40s TP 1, full");
    ck_assert_uint_eq(json_array_size(json_object_get(o, "stages")), 2);
    ck_assert_double_gt(number(o, "hours"), 0);
    json_decref(o);
}
END_TEST

/* The lines of pilot.md under "Rehearsal". */
static void rehearse(void)
{
    char *line =
        sim_printf("cd '%s/pilot' && '%s' run scenario-baseline.yaml --out baseline >/dev/null 2>&1 && "
                   "'%s' run scenario-candidate.yaml --out candidate >/dev/null 2>&1 && "
                   "sed '1s/^/arm,/;1!s/^/baseline,/' baseline/requests.csv > measured.csv && "
                   "sed '1d;s/^/candidate,/' candidate/requests.csv >> measured.csv",
                   test_dir(), program(), program());
    ck_assert_int_eq(system(line), 0);
    free(line);
}

START_TEST(the_rehearsal_of_the_page_is_read_back_and_judged)
{
    static char page[TEXT_BYTES];
    static const char *const files[] = {"pilot.md",
                                        "pilot.yaml",
                                        "measured.csv",
                                        "critical.csv",
                                        "scenario-baseline.yaml",
                                        "scenario-candidate.yaml"};
    plan_file();
    const struct ran *r = works("pilot plan.yaml --out pilot -j 2");
    ck_assert_msg(strstr(r->err, "next: kvsim plan plan.yaml --pilot pilot/measured.csv"), "%s", r->err);
    ck_assert_int_eq(files_with("pilot", ""), 6);
    for (int i = 0; i < 6; i++) {
        char *path = sim_printf("pilot/%s", files[i]);
        ck_assert_msg(there(path), "%s", path);
        free(path);
    }
    slurp("pilot/pilot.md", page);
    ck_assert_ptr_nonnull(
        strstr(page, "sed '1s/^/arm,/;1!s/^/baseline,/' baseline/requests.csv > measured.csv"));
    rehearse();
    fails("pilot plan.yaml --out pilot", 1, "pilot/measured.csv: holds rows already");
    json_t *o = json_of("plan plan.yaml --pilot pilot/measured.csv --json -j 2");
    const json_t *p = json_object_get(o, "pilot");
    const char *verdict = json_string_value(json_object_get(p, "verdict"));
    ck_assert_msg(verdict &&
                      (!strcmp(verdict, "go") || !strcmp(verdict, "extend") || !strcmp(verdict, "stop")),
                  "no verdict");
    has_number(p, "p_saving_before");
    has_number(p, "p_saving_after");
    json_decref(o);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("pilot command");
    TCase *t = tcase_create("command");
    tcase_add_test(t, wrong_usage_is_one_line);
    tcase_add_test(t, nothing_feasible_says_what_would_be);
    tcase_add_test(t, json_is_one_object_with_the_stages);
    tcase_add_test(t, the_rehearsal_of_the_page_is_read_back_and_judged);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    return s;
}
