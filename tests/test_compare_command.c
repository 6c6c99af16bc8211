/* `kvsim compare` as a user runs it: exit codes and what --help says. */
#include <string.h>

#include "tests/command_help.h"

static const char *small(void)
{
    return test_file("small.yaml",
                     "model: llama-3.1-8b\n"
                     "fleet: [{gpu: h100-sxm, profile: analytic}]\n"
                     "workload: {open_loop: {request_rate: 8, num_requests: 40, input_tokens: 3000, "
                     "output_tokens: 20}}\n");
}

/* Strategies that recall from the host run on one pipeline stage. */
START_TEST(a_study_in_which_nothing_that_was_asked_for_runs_fails_and_shows_why)
{
    static const struct {
        const char *arguments;
        int code;
    } cases[] = {{"--strategies freekv,arkvale", 1},
                 {"--strategies freekv,fp8", 0},
                 {"--strategies full", 0},
                 {"--strategies freekv --json", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *line =
            sim_printf("compare %s --set fleet.0.pipeline_parallel=2 %s", small(), cases[i].arguments);
        const struct ran *r = kvsim(line);
        ck_assert_msg(r->code == cases[i].code, "%s: exit %d: %s", line, r->code, r->err);
        if (cases[i].code) ck_assert_ptr_nonnull(strstr(r->err, "none of those asked for runs"));
        if (i != 2) ck_assert_ptr_nonnull(strstr(r->out, "pipeline"));
        free(line);
    }
}
END_TEST

START_TEST(a_parameter_of_another_strategy_is_refused_by_run_and_compare_alike)
{
    static const char *const commands[] = {"run", "compare"};
    for (int i = 0; i < 2; i++) {
        char *line = sim_printf("%s %s --set fleet.0.kv.budget=1024", commands[i], small());
        fails(line, 1, "kv.budget: strategy full");
        free(line);
        line = sim_printf("%s %s --set fleet.0.kv.length_pairs=pairs.csv", commands[i], small());
        fails(line, 1, "fleet.0.kv.length_pairs");
        free(line);
    }
}
END_TEST

START_TEST(help_names_the_strategies_that_take_part_unasked)
{
    char help[TEXT_BYTES], *line = sim_printf("compare %s --json", small());
    strcpy(help, works("compare --help")->out);
    json_t *o = json_of(line), *rows = json_object_get(o, "strategies");
    ck_assert_uint_eq(json_array_size(rows), 13);
    for (size_t i = 0; i < 13; i++) {
        const char *label = json_string_value(json_object_get(json_array_get(rows, i), "label"));
        ck_assert_msg(strstr(help, label) != NULL, "--help lacks %s", label);
    }
    json_decref(o);
    free(line);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("compare_command");
    TCase *c = tcase_create("compare_command");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_study_in_which_nothing_that_was_asked_for_runs_fails_and_shows_why);
    tcase_add_test(c, a_parameter_of_another_strategy_is_refused_by_run_and_compare_alike);
    tcase_add_test(c, help_names_the_strategies_that_take_part_unasked);
    suite_add_tcase(s, c);
    return s;
}
