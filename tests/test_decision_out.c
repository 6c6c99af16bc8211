/* What a decision writes for other programs: JSON with the keys that are promised, a CSV with a row for every candidate,
 * and a folder with all of its files or none of them. Oracles: the struct that was written, readers of the same formats. */
#include <csv.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiments/planning/pilot/pilot.h"
#include "experiments/scenario_out.h"
#include "tests/decision_help.h"

static const char *const files[] = {"decision.md", "plan.json",   "plan.csv",     "plan.yaml",
                                    "report.json", "report.html", "scenario.yaml"};
enum { N_FILES = 7 };

/* ---- JSON ---- */

static json_t *get(const json_t *o, const char *key)
{
    json_t *found = json_object_get(o, key);
    ck_assert_msg(found != NULL, "no `%s`", key);
    return found;
}

static bool is_number_or_null(const json_t *value)
{
    return json_is_number(value) || json_is_null(value);
}

/* design.md, "Command line", `plan`. */
static void assert_candidate(const json_t *c)
{
    static const char *const numbers[] = {"cost_total",         "npv",           "payback_months", "p_saving",
                                          "cost_per_1000_good", "cost_per_mtok", "headroom"};
    static const char *const wholes[] = {"tensor_parallel", "replicas", "gpus", "servers"};
    static const char *const words[] = {"gpu", "strategy", "why_not", "payback_state"};
    for (int i = 0; i < 7; i++) ck_assert_msg(is_number_or_null(get(c, numbers[i])), "%s", numbers[i]);
    for (int i = 0; i < 4; i++) ck_assert_msg(json_is_integer(get(c, wholes[i])), "%s", wholes[i]);
    for (int i = 0; i < 4; i++) ck_assert_msg(json_is_string(get(c, words[i])), "%s", words[i]);
    ck_assert(json_is_boolean(get(c, "feasible")));
    const char *class;
    json_t *band;
    json_object_foreach(get(c, "slo_attainment"), class, band)
    {
        ck_assert(is_number_or_null(get(band, "mean")));
        ck_assert(is_number_or_null(get(band, "lo")));
        ck_assert(is_number_or_null(get(band, "hi")));
    }
    ck_assert(json_is_object(get(c, "evidence")));
    json_t *rollback = get(c, "rollback");
    ck_assert(json_is_null(rollback) || json_is_object(rollback));
}

START_TEST(every_promised_key_is_there_with_its_type)
{
    struct made *m = made_new();
    json_t *o = exp_decision_json(&m->d), *list = get(o, "candidates");
    ck_assert_uint_eq(json_array_size(list), MADE_ROWS);
    for (size_t i = 0; i < json_array_size(list); i++) assert_candidate(json_array_get(list, i));
    assert_candidate(get(o, "best"));
    ck_assert(json_equal(get(o, "best"), json_array_get(list, 0)));
    json_decref(o);
    made_free(m);
}
END_TEST

START_TEST(figures_are_the_structs_and_shares_are_fractions)
{
    struct made *m = made_new();
    json_t *o = exp_decision_json(&m->d), *best = get(o, "best");
    ck_assert_double_eq(json_number_value(get(best, "cost_total")), 1.92e6);
    ck_assert_double_eq(json_number_value(get(best, "npv")), 350000);
    ck_assert_int_eq(json_integer_value(get(best, "payback_months")), 11);
    ck_assert_str_eq(json_string_value(get(best, "payback_state")), "months");
    ck_assert_double_eq(json_number_value(get(best, "p_saving")), 0.93);
    ck_assert_double_eq(json_number_value(get(best, "headroom")), 1.24);
    ck_assert_int_eq(json_integer_value(get(best, "gpus")), 24);
    ck_assert_int_eq(json_integer_value(get(best, "servers")), 3);
    ck_assert_double_eq(json_number_value(get(get(get(best, "slo_attainment"), "default"), "mean")), 0.994);
    ck_assert_double_eq(json_number_value(get(get(best, "evidence"), "interpolated")), 0.21);
    ck_assert_double_eq(json_number_value(get(get(best, "rollback"), "attainment")), 0.412);
    ck_assert_int_eq(json_integer_value(get(get(best, "rollback"), "rent_servers")), 3);
    ck_assert_double_eq(json_number_value(get(best, "newly_failing")), 0.009);
    json_t *second = json_array_get(get(o, "candidates"), 1),
           *third = json_array_get(get(o, "candidates"), 2);
    ck_assert_str_eq(json_string_value(get(second, "payback_state")), "equal");
    ck_assert(json_is_null(get(second, "payback_months")));
    ck_assert_str_eq(json_string_value(get(third, "payback_state")), "immediate");
    ck_assert_int_eq(json_integer_value(get(third, "payback_months")), 0);
    json_decref(o);
    made_free(m);
}
END_TEST

START_TEST(what_is_not_known_is_null_and_the_whole_is_json)
{
    struct made *m = made_new();
    for (int state = 0; state < 2; state++) {
        if (state == 1) make_hopeless(&m->d);
        m->d.requests_per_s_today = state ? INFINITY : NAN;
        strcpy(m->plan->file, "no utf-8 \xff.yaml");
        json_t *o = exp_decision_json(&m->d);
        char *text = json_dumps(o, JSON_REAL_PRECISION(17));
        ck_assert_ptr_nonnull(text);
        ck_assert(!strstr(text, ": nan") && !strstr(text, ": inf"));
        json_t *again = json_loads(text, 0, NULL);
        ck_assert(json_equal(o, again));
        ck_assert(json_is_null(get(get(get(o, "checks"), "throughput"), "today_per_s")));
        ck_assert_int_eq(json_is_null(get(o, "best")), state);
        ck_assert_int_eq(json_is_string(get(o, "relaxation")), state);
        ck_assert_int_eq(json_is_false(get(o, "feasible")), state);
        json_t *loser = json_array_get(get(o, "candidates"), 3);
        ck_assert(json_is_null(get(loser, "cost_total")) && json_is_null(get(loser, "rollback")));
        json_decref(again);
        json_decref(o);
        free(text);
    }
    made_free(m);
}
END_TEST

START_TEST(the_months_and_items_of_a_candidate_add_up_to_its_cost)
{
    struct made *m = made_new();
    json_t *o = exp_decision_json(&m->d), *best = get(o, "best"), *month, *item;
    double paid = 0, items = 0;
    size_t i, delivered = 0;
    const char *name;
    json_array_foreach(get(best, "schedule"), i, month)
    {
        ck_assert_int_eq(json_integer_value(get(month, "month")), (json_int_t)i);
        paid += json_number_value(get(month, "paid"));
        delivered += (size_t)json_integer_value(get(month, "delivered"));
    }
    json_object_foreach(get(best, "cost_items"), name, item) items += json_number_value(item);
    ck_assert_uint_eq(i, 37);
    ck_assert_double_eq_tol(paid, json_number_value(get(best, "cost_total")), 1e-6);
    ck_assert_double_eq_tol(items, json_number_value(get(best, "cost_total")), 1e-6);
    ck_assert_int_eq(json_integer_value(get(best, "servers_bought")), (json_int_t)delivered);
    json_decref(o);
    made_free(m);
}
END_TEST

START_TEST(a_pilot_is_in_the_json_with_its_word)
{
    struct made *m = made_new();
    struct exp_pilot_findings f = {.n_baseline = 10, .n_candidate = 10, .length = NAN};
    strcpy(f.file, "measured.csv");
    m->d.pilot = &f;
    m->d.npv_before = 111000;
    m->d.p_saving_before = 0.72;
    json_t *o = exp_decision_json(&m->d), *pilot = get(o, "pilot");
    ck_assert_double_eq(json_number_value(get(pilot, "npv_before")), 111000);
    ck_assert_double_eq(json_number_value(get(pilot, "npv_after")), 350000);
    ck_assert_double_eq(json_number_value(get(pilot, "p_saving_after")), 0.93);
    ck_assert(json_is_string(get(pilot, "verdict")));
    json_decref(o);
    made_free(m);
}
END_TEST

/* ---- CSV ---- */

struct table {
    size_t rows, fields, expected;
    char first[64], why[200];
};

static void take_field(void *text, size_t n, void *table)
{
    struct table *t = table;
    t->fields++;
    if (t->rows == MADE_ROWS && t->fields == 18)
        snprintf(t->why, sizeof t->why, "%.*s", (int)n, (char *)text);
}

static void take_row(int end, void *table)
{
    struct table *t = table;
    (void)end;
    if (t->rows == 0) t->expected = t->fields;
    ck_assert_uint_eq(t->fields, t->expected);
    t->rows++;
    t->fields = 0;
}

static char *csv_of(const struct exp_decision *d)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    exp_decision_csv(d, out);
    fclose(out);
    return text;
}

START_TEST(the_csv_has_a_row_for_every_candidate_and_as_many_fields_in_each)
{
    struct made *m = made_new();
    for (int state = 0; state < 2; state++) {
        if (state == 1) make_hopeless(&m->d);
        char *text = csv_of(&m->d);
        struct table t = {0};
        struct csv_parser p;
        ck_assert_int_eq(csv_init(&p, CSV_STRICT), 0);
        ck_assert_uint_eq(csv_parse(&p, text, strlen(text), take_field, take_row, &t), strlen(text));
        csv_fini(&p, take_field, take_row, &t);
        csv_free(&p);
        ck_assert_uint_eq(t.rows, MADE_ROWS + 1);
        ck_assert_str_eq(t.why, "a request of 32,000 tokens does not fit, \"really\"");
        ck_assert(strncmp(text, "rank,gpu,", 9) == 0);
        ck_assert(strstr(text, ",slo_attainment_default,slo_attainment_default_lo,") != NULL);
        ck_assert(!strstr(text, "nan"));
        free(text);
    }
    made_free(m);
}
END_TEST

/* ---- the folder ---- */

static bool is_there(const char *dir, const char *name)
{
    char *path = sim_printf("%s/%s", dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

static void assert_empty(const char *dir)
{
    for (int i = 0; i < N_FILES; i++) ck_assert_msg(!is_there(dir, files[i]), "%s was left behind", files[i]);
    ck_assert_int_eq(rmdir(dir), 0); /* no temporary files either */
}

static char *folder(const char *name)
{
    return sim_printf("%s/%s", test_dir(), name);
}

START_TEST(all_files_are_written_and_read_back)
{
    struct made *m = made_new();
    struct sim_status st = {0};
    char *dir = folder("out/deep"), *scenario = sim_printf("%s/scenario.yaml", dir),
         *plan = sim_printf("%s/plan.yaml", dir), *json = sim_printf("%s/plan.json", dir);
    ck_assert_msg(exp_decision_write(&m->d, EXP_ENGLISH, dir, &st), "%s", st.message);
    for (int i = 0; i < N_FILES; i++) ck_assert_msg(is_there(dir, files[i]), "%s", files[i]);
    struct exp_plan *p = exp_plan_load(plan, &st);
    ck_assert_msg(p && exp_plan_check(p, m->cache, &st), "%s", st.message);
    ck_assert_double_eq(p->headroom, m->plan->headroom);
    json_t *got = json_load_file(json, 0, NULL), *expected = exp_decision_json(&m->d);
    ck_assert_uint_eq(json_array_size(get(got, "candidates")), MADE_ROWS);
    ck_assert_double_eq(json_number_value(get(get(got, "best"), "cost_total")),
                        json_number_value(get(get(expected, "best"), "cost_total")));
    struct exp_scenario *s = exp_scenario_load(scenario, &st);
    ck_assert_msg(s && exp_scenario_check(s, &st), "%s", st.message);
    ck_assert_uint_eq(s->fleet[0].replicas, 16);
    json_decref(got);
    json_decref(expected);
    exp_plan_free(p);
    free(s);
    free(dir);
    free(scenario);
    free(plan);
    free(json);
    made_free(m);
}
END_TEST

static char *text_of(const struct exp_scenario *s)
{
    struct sim_status st = {0};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_msg(exp_scenario_write(s, out, &st), "%s", st.message);
    fclose(out);
    return text;
}

START_TEST(the_winners_scenario_reads_back_equal)
{
    struct made *m = made_new();
    struct sim_status st = {0};
    char *dir = folder("winner"), *path = sim_printf("%s/scenario.yaml", dir);
    ck_assert_msg(exp_decision_write(&m->d, EXP_JAPANESE, dir, &st), "%s", st.message);
    struct exp_scenario *read = exp_scenario_load(path, &st);
    ck_assert_msg(read != NULL, "%s", st.message);
    struct exp_scenario *made = exp_candidate_scenario(m->plan, &m->d.search.entry[0].candidate, 16, &st);
    char *a = text_of(made), *b = text_of(read);
    ck_assert_str_eq(a, b);
    ck_assert(strstr(a, "budget: 1024") != NULL);
    ck_assert_uint_eq(read->n_classes, 2);
    free(a);
    free(b);
    free(made);
    free(read);
    free(dir);
    free(path);
    made_free(m);
}
END_TEST

START_TEST(without_a_winner_no_scenario_of_an_earlier_one_stays)
{
    struct made *m = made_new();
    struct sim_status st = {0};
    char *dir = folder("again");
    ck_assert_msg(exp_decision_write(&m->d, EXP_ENGLISH, dir, &st), "%s", st.message);
    make_hopeless(&m->d);
    ck_assert_msg(exp_decision_write(&m->d, EXP_ENGLISH, dir, &st), "%s", st.message);
    ck_assert(!is_there(dir, "scenario.yaml"));
    ck_assert(is_there(dir, "decision.md"));
    free(dir);
    made_free(m);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing_behind)
{
    struct made *m = made_new();
    struct sim_status st = {0};
    struct rlimit before, small;
    char *dir = folder("full");
    ck_assert_int_eq(mkdir(dir, 0777), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){9000, before.rlim_max}; /* the sheet fits, the JSON does not */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool ok = exp_decision_write(&m->d, EXP_ENGLISH, dir, &st);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert(!ok && strstr(st.message, "nothing was left behind"));
    assert_empty(dir);
    free(dir);
    made_free(m);
}
END_TEST

START_TEST(a_folder_that_takes_no_file_is_refused_before_any_is_written)
{
    struct made *m = made_new();
    struct sim_status st = {0}, other = {0};
    char *dir = folder("taken"), *csv = sim_printf("%s/plan.csv", dir);
    ck_assert(mkdir(dir, 0777) == 0 && mkdir(csv, 0777) == 0);
    ck_assert(!exp_decision_write(&m->d, EXP_ENGLISH, dir, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "is a directory"));
    ck_assert_int_eq(rmdir(csv), 0);
    assert_empty(dir);
    const char *file = test_file("no-folder", "x");
    ck_assert(!exp_decision_write(&m->d, EXP_ENGLISH, file, &other));
    ck_assert_ptr_nonnull(strstr(other.message, "no-folder"));
    free(dir);
    free(csv);
    made_free(m);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("decision_out");
    TCase *t = tcase_create("out");
    tcase_add_test(t, every_promised_key_is_there_with_its_type);
    tcase_add_test(t, figures_are_the_structs_and_shares_are_fractions);
    tcase_add_test(t, what_is_not_known_is_null_and_the_whole_is_json);
    tcase_add_test(t, the_months_and_items_of_a_candidate_add_up_to_its_cost);
    tcase_add_test(t, a_pilot_is_in_the_json_with_its_word);
    tcase_add_test(t, the_csv_has_a_row_for_every_candidate_and_as_many_fields_in_each);
    tcase_add_test(t, all_files_are_written_and_read_back);
    tcase_add_test(t, the_winners_scenario_reads_back_equal);
    tcase_add_test(t, without_a_winner_no_scenario_of_an_earlier_one_stays);
    tcase_add_test(t, a_full_disk_leaves_nothing_behind);
    tcase_add_test(t, a_folder_that_takes_no_file_is_refused_before_any_is_written);
    suite_add_tcase(s, t);
    return s;
}
