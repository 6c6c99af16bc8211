/* `kvsim quality` as a user meets it: tables, JSON, the record, what is refused. */
#include "models/quality.h"
#include "tests/command_help.h"
#include "tests/page_help.h"

#include <math.h>

/* Full KV and three methods on two tasks; c lacks a sample, and has the scores of b on the others. */
static void write_scores(void)
{
    FILE *f = fopen(test_file("s.csv", ""), "w");
    ck_assert_ptr_nonnull(f);
    fputs("alg,params,task,id,score\n", f);
    for (int i = 0; i < 40; i++) {
        const char *task = i % 2 ? "easy" : "hard";
        double base = i % 4 ? 0.8 : 0.2;
        fprintf(f, "hf,,%s,%d,%g\nhf,again,%s,%d,%g\n", task, i, base, task, i, i == 5 ? 0.1 : base);
        fprintf(f, "kivi,4bits_group32_residual128,%s,%d,%g\n", task, i, i < 8 ? base / 2 : base);
        fprintf(f, "b,,%s,%d,%g\n", task, i, i % 2 ? base : 0);
        if (i != 3) fprintf(f, "c,,%s,%d,%g\n", task, i, i % 2 ? base : 0);
    }
    ck_assert_int_eq(fclose(f), 0);
}

static const json_t *set_at(const json_t *o, size_t i)
{
    return json_array_get(json_object_get(o, "sets"), i);
}

/* Benign: 10 of 20 hard ones, at 0.8; all 20 easy ones, at their mean. kivi halves samples 0 to 7. */
START_TEST(json_has_every_set_and_theta_with_its_tasks)
{
    write_scores();
    json_t *o = json_of("quality s.csv --baseline hf --methods kivi,b --set kivi+b --theta 0.1,0.6 --json");
    ck_assert_uint_eq(json_array_size(json_object_get(o, "sets")), 6);
    const json_t *kivi = set_at(o, 0), *both = set_at(o, 4);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(kivi, "methods"), 0)),
                     "kivi/4bits_group32_residual128");
    ck_assert_double_eq(number(kivi, "theta"), 0.1);
    ck_assert_double_eq(number(kivi, "benign"), 30);
    ck_assert_double_eq(number(kivi, "negatives"), 6);
    ck_assert_double_eq(number(kivi, "newly_failing"), 6.0 / 40);
    ck_assert_double_eq(number(json_object_get(json_object_get(kivi, "tasks"), "hard"), "negatives"), 2);
    ck_assert_double_eq(number(set_at(o, 1), "negatives"), 0); /* half is left, 0.4 would do */
    ck_assert_uint_eq(json_array_size(json_object_get(both, "methods")), 2);
    ck_assert_double_eq(number(both, "negatives"), 2);
    json_decref(o);
}
END_TEST

START_TEST(tables_name_methods_tasks_and_the_next_command)
{
    write_scores();
    const struct ran *r = works("quality s.csv --baseline hf --baseline-rerun hf/again");
    ck_assert_ptr_nonnull(strstr(r->out, "kivi/4bits"));
    ck_assert_ptr_nonnull(strstr(r->out, "Identical scores on all common samples: b = c"));
    ck_assert_ptr_nonnull(strstr(r->out, "hf/again (full again)"));
    ck_assert_ptr_nonnull(strstr(r->out, "c lacks easy 1."));
    ck_assert_ptr_nonnull(strstr(r->out, "6/30"));
    ck_assert_ptr_nonnull(
        strstr(r->err, "next: kvsim quality s.csv --baseline hf --baseline-rerun hf/again --guard 0.01"));
    for (const char *line = r->out; *line; line = strchr(line, '\n') + 1)
        ck_assert_msg(strcspn(line, "\n") <= 80, "%.*s", (int)strcspn(line, "\n"), line);
}
END_TEST

START_TEST(the_record_is_read_back_by_what_plans_use)
{
    write_scores();
    const struct ran *r =
        works("quality s.csv --baseline hf --record q.csv --record-as b=freekv:budget=1024");
    ck_assert_ptr_nonnull(strstr(r->err, "not in the record: c, see --record-as"));
    char path[4200];
    snprintf(path, sizeof path, "%s/q.csv", test_dir());
    struct sim_status st = {0};
    struct mdl_kv_use use = {.strategy = mdl_strategy_find("kivi4", &st)};
    for (int k = 0; k < MDL_N_KV_KEY; k++) {
        const struct mdl_kv_default *d = mdl_strategy_default(use.strategy, (enum mdl_kv_key)k);
        use.value[k] = d ? d->value : NAN;
    }
    use.value[MDL_KV_BITS] = 4;
    use.value[MDL_KV_GROUP] = 32;
    use.value[MDL_KV_RESIDUAL] = 128;
    struct mdl_quality q;
    ck_assert_msg(mdl_quality_load(path, &use, &q, &st), "%s", st.message);
    ck_assert_uint_eq(q.n_tasks, 2);
    ck_assert_uint_eq(q.tasks[0].negatives + q.tasks[1].negatives, 6);
    ck_assert_uint_eq(q.tasks[0].samples + q.tasks[1].samples, 40);
    mdl_quality_fini(&q);
    r = works("quality s.csv --baseline hf --methods c,b --record q.csv --record-as b=fp8 --record-as c=fp8");
    ck_assert_ptr_nonnull(strstr(r->err, "not in the record: c, another method is the same strategy"));
}
END_TEST

START_TEST(critical_samples_and_the_guard_list_are_shown_and_recorded)
{
    write_scores();
    test_file("critical.csv", "task,id\nhard,2\nhard,10\nnowhere,1\n");
    json_t *o =
        json_of("quality s.csv --baseline hf --methods kivi --critical critical.csv --guard 0.1 --mix "
                "hard=1,easy=3 --json --record q.csv");
    const json_t *kivi = set_at(o, 0), *critical = json_object_get(kivi, "critical"),
                 *guard = json_object_get(kivi, "guard");
    ck_assert_double_eq(number(o, "critical_unknown"), 1);
    ck_assert_double_eq(number(critical, "samples"), 2);
    ck_assert_double_eq(number(critical, "failures"), 1);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(guard, "tasks"), 0)), "easy");
    ck_assert_double_eq_tol(number(guard, "share"), 0.75, 1e-12);
    ck_assert_double_eq_tol(number(guard, "rate_before"), 0.25 * 2 / 20 + 0.75 * 4 / 20, 1e-12);
    ck_assert_double_eq_tol(number(json_object_get(kivi, "by_mix"), "newly_failing"), 0.175, 1e-12);
    json_decref(o);
    ck_assert_ptr_nonnull(
        strstr(works("quality s.csv --baseline hf --methods kivi --critical critical.csv --guard 0.1")->out,
               "Critical samples: 3 listed, 1 of them in no scores"));
}
END_TEST

START_TEST(wrong_questions_get_one_line_and_leave_no_file)
{
    write_scores();
    fails("quality", 2, "no scores given");
    fails("quality s.csv", 2, "--baseline");
    fails("quality s.csv --baseline hf --methods kivy", 2, "did you mean `kivi");
    fails("quality s.csv --baseline hf --methods hf", 2, "hf is the baseline");
    fails("quality s.csv --baseline hf --set b+b", 2, "is in it twice");
    fails("quality s.csv --baseline hf --theta 1.5", 2, "--theta");
    fails("quality s.csv --baseline hf --rule mine", 2, "paper, code");
    fails("quality s.csv --baseline hf --strict", 1, "--strict: c lacks 1 of the 40 samples of hf (easy 1)");
    fails("quality s.csv --baseline hf --methods b --record q2.csv", 2, "--record-as b=STRATEGY");
    fails("quality s.csv --baseline hf --record-as b=fp8", 2, "without --record");
    fails("quality s.csv --baseline hf --record q2.csv --record-as b=nope", 2, "--record-as `b=nope`");
    fails("quality s.csv --baseline hf --critical nowhere.csv", 1, "nowhere.csv");
    fails("quality s.csv --baseline hf --mix easy=x", 2, "--mix");
    fails("quality s.csv --baseline hf --baseline-rerun hf", 2, "is the baseline itself");
    fails("quality nowhere.csv", 1, "nowhere.csv");
    test_file("percent.csv", "alg,params,task,id,score\nhf,,a,1,41.2\n");
    fails("quality percent.csv", 1, "--scale 100");
    ck_assert(!there("q2.csv"));
}
END_TEST

/* 60 letters of three bytes and two columns: longer than a head, a label and the source in the record have room for. */
START_TEST(long_names_of_wide_letters_are_cut_between_letters_and_fit_the_page)
{
    char name[181] = "";
    for (int i = 0; i < 60; i++) strcat(name, "短");
    FILE *f = fopen(test_file("wide.csv", ""), "w");
    ck_assert_ptr_nonnull(f);
    fputs("alg,params,task,id,score\n", f);
    for (int i = 0; i < 20; i++)
        fprintf(f, "hf,,要約,%d,0.5\n%s,,要約,%d,%g\nx,,要約,%d,0.5\n", i, name, i, i % 3 ? 0.5 : 0.1, i);
    ck_assert_int_eq(fclose(f), 0);
    assert_fits(works("quality wide.csv --bootstrap 10")->out);
    const struct ran *r =
        works("quality wide.csv --theta 0.1,0.2 --bootstrap 0 --record r.csv --record-as 短=kivi4:bits=4");
    ck_assert_ptr_nonnull(strstr(r->err, "theta 0.1, the first"));
    static char record[TEXT_BYTES];
    slurp("r.csv", record);
    ck_assert_ptr_nonnull(strstr(record, "scores of 短短"));
    for (const char *line = record; *line; line += strcspn(line, "\n"), line += *line == '\n')
        ck_assert_int_gt(width_of(line, strcspn(line, "\n")), 0); /* UTF-8 */
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("quality command");
    TCase *c = tcase_create("quality command");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, json_has_every_set_and_theta_with_its_tasks);
    tcase_add_test(c, tables_name_methods_tasks_and_the_next_command);
    tcase_add_test(c, the_record_is_read_back_by_what_plans_use);
    tcase_add_test(c, critical_samples_and_the_guard_list_are_shown_and_recorded);
    tcase_add_test(c, long_names_of_wide_letters_are_cut_between_letters_and_fit_the_page);
    tcase_add_test(c, wrong_questions_get_one_line_and_leave_no_file);
    suite_add_tcase(s, c);
    return s;
}
