/* Critical samples and the guard list: by hand, by trying every subset, and on the released scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/quality/guard.h"
#include "sim/memory.h"
#include "tests/harness.h"

/* ---- scores by hand ---- */

static struct exp_scores *read_scores(const char *path)
{
    struct sim_status st = {0};
    struct exp_scores *s = exp_scores_read(&path, 1, NULL, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    return s;
}

static uint32_t method(const struct exp_scores *s, const char *name)
{
    struct sim_status st = {0};
    uint32_t m = exp_scores_method(s, name, &st);
    ck_assert_msg(m != UINT32_MAX, "%s", st.message);
    return m;
}

static struct exp_quality_options options_of(const struct exp_scores *s)
{
    return (struct exp_quality_options){.baseline = method(s, "hf"), .theta = 0.1};
}

static struct exp_quality_result evaluated(const struct exp_scores *s, const char *name)
{
    struct sim_status st = {0};
    struct exp_quality_options o = options_of(s);
    struct exp_quality_set set = {.n = 1, .method = {method(s, name)}};
    struct exp_quality_result r;
    ck_assert_msg(exp_quality_evaluate(s, &set, &o, &r, &st), "%s", st.message);
    return r;
}

/* ---- critical samples ---- */

#define SCORES                                                                                               \
    "alg,params,task,id,score\n"                                                                             \
    "hf,,qa,1,1\nhf,,qa,2,0.8\nhf,,qa,3,0.2\nhf,,code,1,0.5\nhf,,code,2,0\n"                                 \
    "m,,qa,1,0.95\nm,,qa,2,0.7\nm,,qa,3,0.1\nm,,code,1,0.5\nm,,code,2,0\nm,,code,9,0.6\n"

struct listed {
    struct exp_scores *scores;
    struct exp_critical list;
};

static struct listed listed(const char *scores, const char *list)
{
    struct sim_status st = {0};
    struct listed l = {.scores = read_scores(test_file("scores.csv", scores))};
    ck_assert_msg(exp_critical_read(test_file("critical.csv", list), l.scores, &l.list, &st), "%s",
                  st.message);
    return l;
}

static void drop(struct listed *l)
{
    exp_critical_fini(&l->list);
    exp_scores_free(l->scores);
}

/* qa 1 keeps 95 %; qa 2 has 0.7 of 0.8 and fails by the rule, but not by its own pass; qa 3 is not benign and fails all the
 * same; code 1 stays. */
START_TEST(samples_fail_by_their_own_limit_or_by_the_rule_benign_or_not)
{
    struct listed l = listed(SCORES, "task,id,weight,pass\nqa,1,1,\nqa,2,5,\nqa,3,2,\ncode,1,2,0.6\n");
    struct exp_quality_options o = options_of(l.scores);
    struct exp_critical_result r = exp_critical_evaluate(l.scores, &l.list, method(l.scores, "m"), &o);
    ck_assert(r.n == 4 && r.failures == 3 && r.missing == 0);
    ck_assert_double_eq_tol(r.weighted_failures, 9. / 10, 1e-15);
    ck_assert_double_eq_tol(r.worst_change, -0.1, 1e-15);
    ck_assert_double_eq_tol(r.cvar, -0.1, 1e-15);
    ck_assert_double_eq_tol(r.bound, pow(0.95, 0.25), 1e-12); /* 3 of 4: P(all 4) = 0.95 */
    drop(&l);
    l = listed(SCORES, "task,id,weight,pass\nqa,2,5,0.7\nqa,1,,0.96\n");
    r = exp_critical_evaluate(l.scores, &l.list, method(l.scores, "m"), &o);
    ck_assert(r.n == 2 && r.failures == 1);
    ck_assert_double_eq_tol(r.weighted_failures, 1. / 6, 1e-15);
    drop(&l);
}
END_TEST

/* code 2: nothing of nothing is a tie, which the code's rule counts. */
START_TEST(ties_fail_by_the_rule_of_the_code_alone)
{
    struct listed l = listed(SCORES, "task,id\ncode,2\n");
    struct exp_quality_options o = options_of(l.scores);
    ck_assert_int_eq(exp_critical_judge(l.scores, &l.list, 0, method(l.scores, "m"), &o),
                     EXP_CRITICAL_PASSES);
    o.rule = EXP_RULE_CODE;
    ck_assert_int_eq(exp_critical_judge(l.scores, &l.list, 0, method(l.scores, "m"), &o), EXP_CRITICAL_FAILS);
    drop(&l);
}
END_TEST

/* Full KV lacks code 9: judged by a limit of its own, missing by the rule. Nobody has qa 7. */
START_TEST(what_nobody_has_is_unknown_and_what_one_lacks_is_missing)
{
    struct listed l = listed(SCORES, "id,task,pass\n9,code,0.5\n7,qa,\n1.0,qa,\n");
    struct exp_quality_options o = options_of(l.scores);
    ck_assert(l.list.n == 2 && l.list.n_unknown == 1);
    struct exp_critical_result r = exp_critical_evaluate(l.scores, &l.list, method(l.scores, "m"), &o);
    ck_assert(r.n == 2 && r.failures == 0 && r.missing == 0);
    ck_assert_double_eq_tol(r.cvar, -0.05, 1e-15); /* of qa 1 alone */
    drop(&l);
    l = listed(SCORES, "task,id\ncode,9\n");
    r = exp_critical_evaluate(l.scores, &l.list, method(l.scores, "m"), &o);
    ck_assert(r.n == 0 && r.missing == 1 && r.bound == 1);
    ck_assert(isnan(r.cvar) && isnan(r.worst_change) && isnan(r.weighted_failures));
    drop(&l);
}
END_TEST

/* 40 changes 0, -0.01 ... -0.39: the worst 5 % are two of them; of 39, one. */
START_TEST(the_worst_twentieth_is_a_mean)
{
    for (int n = 39; n <= 40; n++) {
        char *scores = sim_strdup("alg,params,task,id,score\n"), *list = sim_strdup("task,id\n");
        for (int i = 0; i < n; i++) {
            char *more = sim_printf("%shf,,qa,%d,1\nm,,qa,%d,%.2f\n", scores, i, i, 1 - 0.01 * i);
            char *also = sim_printf("%sqa,%d\n", list, i);
            free(scores);
            free(list);
            scores = more;
            list = also;
        }
        struct listed l = listed(scores, list);
        struct exp_quality_options o = options_of(l.scores);
        struct exp_critical_result r = exp_critical_evaluate(l.scores, &l.list, method(l.scores, "m"), &o);
        ck_assert_double_eq_tol(r.cvar, n == 40 ? -0.385 : -0.38, 1e-12);
        ck_assert_double_eq_tol(r.worst_change, -0.01 * (n - 1), 1e-12);
        drop(&l);
        free(scores);
        free(list);
    }
}
END_TEST

START_TEST(a_wrong_list_is_refused_where_it_stands)
{
    static const char *const cases[][2] = {
        {"task,weight\nqa,1\n", ":1: no column `id`"},
        {"task,id\nqa\n", ":2: id is empty"},
        {"task,id\n,1\n", ":2: task is empty"},
        {"task,id,weight\nqa,1,-1\n", ":2: weight is -1"},
        {"task,id,weight\nqa,1,nan\n", ":2: column weight"},
        {"task,id,pass\nqa,1,60\n", ":2: pass is 60, expected 0 to 1"},
        {"task,id\nqa,1\nqa,1.0\n", ":3: task qa, id 1 is listed already"},
        {"task,id\nqa,77\nnone,1\n", "none of its 2 samples is among the scores"},
        {"task,id\n", "none of its 0 samples"},
        {"", "empty"}};
    struct exp_scores *s = read_scores(test_file("scores.csv", SCORES));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        struct exp_critical list = {.n = 7};
        const char *path = test_file("critical.csv", cases[i][0]);
        ck_assert_msg(!exp_critical_read(path, s, &list, &st), "%s", cases[i][0]);
        ck_assert_msg(strstr(st.message, cases[i][1]), "%s", st.message);
        ck_assert_int_eq(strncmp(st.message, path, strlen(path)), 0);
        ck_assert_uint_eq(list.n, 7);
    }
    exp_scores_free(s);
}
END_TEST

/* ---- guard list ---- */

/* Full KV is always right; under m every `step`-th sample of a task, `negatives` in all, is not. */
struct task {
    const char *name;
    int samples, negatives, step;
};

static struct exp_scores *made(const struct task *tasks, int n)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(f);
    fputs("alg,params,task,id,score\n", f);
    for (int t = 0; t < n; t++)
        for (int i = 0; i < tasks[t].samples; i++) {
            int step = tasks[t].step ? tasks[t].step : 1;
            bool fails = i % step == 0 && i / step < tasks[t].negatives;
            fprintf(f, "hf,,%s,%d,1\nm,,%s,%d,%d\n", tasks[t].name, i, tasks[t].name, i, !fails);
        }
    fclose(f);
    struct exp_scores *s = read_scores(test_file("made.csv", text));
    free(text);
    return s;
}

static struct exp_guard guard_of(const struct exp_scores *s, const char *name, const struct mdl_task_mix *mix,
                                 double target)
{
    struct exp_quality_options o = options_of(s);
    struct exp_quality_result r = evaluated(s, name);
    struct exp_guard g = exp_guard_tasks(s, &r, &o, mix, target);
    exp_quality_result_fini(&r);
    return g;
}

/* "b c": the tasks of a list, in its order. */
static void assert_guards(const struct exp_scores *s, const struct exp_guard *g, const char *tasks)
{
    char all[512] = "";
    for (uint32_t i = 0; i < g->n; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? " " : "", s->task[g->task[i]]);
    ck_assert_str_eq(all, tasks);
}

/* a 10 of 100, b 10 of 50, c 1 of 50, d none of 50: 21 of 250 fail. From the highest rate on, 0.04 would take b and then a
 * (share 0.6); b and c leave as little with 0.4. */
static const struct task few[] = {{"a", 100, 10, 0}, {"b", 50, 10, 0}, {"c", 50, 1, 0}, {"d", 50, 0, 0}};

START_TEST(the_list_takes_the_smallest_share_of_traffic_that_meets_the_target)
{
    static const struct {
        double target;
        const char *tasks;
        double share, after;
    } cases[] = {{1, "", 0, 21. / 250},         {21. / 250, "", 0, 21. / 250}, {0.06, "b", 0.2, 11. / 250},
                 {0.04, "b c", 0.4, 10. / 250}, {0.005, "b a", 0.6, 1. / 250}, {0, "b a c", 0.8, 0}};
    struct exp_scores *s = made(few, 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct exp_guard g = guard_of(s, "m", NULL, cases[i].target);
        ck_assert_double_eq(g.rate_before, 21. / 250);
        ck_assert_double_eq_tol(g.rate_after, cases[i].after, 1e-15);
        ck_assert_double_eq_tol(g.share, cases[i].share, 1e-15);
        ck_assert(g.met);
        assert_guards(s, &g, cases[i].tasks);
        exp_guard_fini(&g);
    }
    exp_scores_free(s);
}
END_TEST

/* b and c are of the same share: what takes away more is guarded. */
START_TEST(of_lists_of_the_same_share_the_one_that_leaves_less_is_taken)
{
    struct exp_scores *s = made(few, 4);
    struct exp_guard g = guard_of(s, "m", NULL, 0.08);
    assert_guards(s, &g, "b");
    ck_assert_double_eq_tol(g.rate_after, 11. / 250, 1e-15);
    exp_guard_fini(&g);
    exp_scores_free(s);
}
END_TEST

/* c is 9/10 of the traffic: 0.9 x 0.02 + 0.1 x 0.1 = 0.028. The mix has a task that nobody measured. */
START_TEST(a_mix_decides_what_guarding_costs)
{
    const struct mdl_task_mix mix = {.n = 3, .at = {{"c", 9}, {"a", 1}, {"unheard of", 5}}};
    struct exp_scores *s = made(few, 4);
    struct exp_guard g = guard_of(s, "m", &mix, 0.02);
    assert_guards(s, &g, "a");
    ck_assert_double_eq_tol(g.rate_before, 0.028, 1e-15);
    ck_assert_double_eq_tol(g.rate_after, 0.018, 1e-15);
    ck_assert_double_eq_tol(g.share, 0.1, 1e-15);
    exp_guard_fini(&g);
    const struct mdl_task_mix none = {.n = 1, .at = {{"unheard of", 5}}};
    g = guard_of(s, "m", &none, 0.02);
    ck_assert(!g.met && g.n == 0 && isnan(g.rate_before) && isnan(g.rate_held_out));
    exp_guard_fini(&g);
    g = guard_of(s, "m", NULL, -1);
    ck_assert(!g.met && g.n == 3 && g.rate_after == 0);
    exp_guard_fini(&g);
    exp_scores_free(s);
}
END_TEST

/* All failures of a lie in one half and all of b in the other: what is guarded for one half is not what fails in the other.
 * Where both halves are alike, it is. */
START_TEST(the_rate_held_out_is_that_of_samples_that_the_list_was_not_chosen_on)
{
    static const char text[] = "alg,params,task,id,score\n"
                               "hf,,a,0,1\nhf,,a,1,1\nhf,,a,2,1\nhf,,a,3,1\nhf,,b,0,1\nhf,,b,1,1\nhf,,b,2,1\n"
                               "hf,,b,3,1\nm,,a,0,0\nm,,a,1,1\nm,,a,2,0\nm,,a,3,1\nm,,b,0,1\nm,,b,1,0\n"
                               "m,,b,2,1\nm,,b,3,0\n";
    struct exp_scores *s = read_scores(test_file("halves.csv", text));
    struct exp_guard g = guard_of(s, "m", NULL, 0.25);
    ck_assert_double_eq(g.rate_before, 0.5);
    ck_assert_double_eq(g.rate_after, 0.25);
    ck_assert_double_eq(g.rate_held_out, 0.5);
    exp_guard_fini(&g);
    exp_scores_free(s);
    static const struct task alike[] = {{"a", 100, 20, 0}, {"b", 100, 2, 0}};
    s = made(alike, 2);
    g = guard_of(s, "m", NULL, 0.05);
    ck_assert_double_eq_tol(g.rate_after, 0.01, 1e-15);
    ck_assert_double_eq_tol(g.rate_held_out, g.rate_after, 1e-15);
    exp_guard_fini(&g);
    exp_scores_free(s);
    static const struct task single[] = {{"a", 1, 1, 0}};
    s = made(single, 1);
    g = guard_of(s, "m", NULL, 0.5);
    ck_assert(g.met && isnan(g.rate_held_out));
    exp_guard_fini(&g);
    exp_scores_free(s);
}
END_TEST

/* The least share over all subsets, each summed anew. */
static double least_share(const struct task *tasks, int n, double target)
{
    int all = 0, least = INT32_MAX;
    for (int t = 0; t < n; t++) all += tasks[t].samples;
    for (int set = 0; set < 1 << n; set++) {
        int share = 0, left = 0;
        for (int t = 0; t < n; t++) {
            share += set >> t & 1 ? tasks[t].samples : 0;
            left += set >> t & 1 ? 0 : tasks[t].negatives;
        }
        if ((double)left / all <= target + 1e-12 && share < least) least = share;
    }
    return (double)least / all;
}

START_TEST(no_subset_of_tasks_meets_the_target_with_less_traffic)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    uint32_t state = 1;
    for (int round = 0; round < 30; round++) {
        struct task tasks[7];
        for (int t = 0; t < 7; t++) {
            state = state * 1664525 + 1013904223;
            int samples = 2 + (int)(state >> 8) % 40;
            tasks[t] = (struct task){names[t], samples, (int)(state >> 20) % (samples + 1), 1};
        }
        struct exp_scores *s = made(tasks, 7);
        for (double target = 0; target < 0.5; target += 0.09) {
            struct exp_guard g = guard_of(s, "m", NULL, target);
            ck_assert(g.met && g.rate_after <= target + 1e-12);
            ck_assert_double_eq_tol(g.share, least_share(tasks, 7, target), 1e-12);
            exp_guard_fini(&g);
        }
        exp_scores_free(s);
    }
}
END_TEST

/* 20 tasks of 40 samples, t of which fail under task t. */
START_TEST(many_tasks_are_guarded_from_the_highest_rate_on)
{
    char names[20][8];
    struct task tasks[20];
    for (int t = 0; t < 20; t++) {
        snprintf(names[t], sizeof names[t], "t%02d", t);
        tasks[t] = (struct task){names[t], 40, t, 2};
    }
    struct exp_scores *s = made(tasks, 20);
    struct exp_guard g = guard_of(s, "m", NULL, 120. / 800);
    ck_assert_double_eq_tol(g.rate_before, 190. / 800, 1e-15);
    assert_guards(s, &g, "t19 t18 t17 t16"); /* 70 of 190 */
    ck_assert_double_eq_tol(g.rate_after, 120. / 800, 1e-15);
    ck_assert_double_eq_tol(g.share, 0.2, 1e-15);
    ck_assert(g.met);
    exp_guard_fini(&g);
    exp_scores_free(s);
}
END_TEST

/* ---- on the released scores ---- */

/* H2O at 2048 tokens: 242 of 3350; lists, shares and rates held out were found by trying all subsets in another program. */
START_TEST(guarding_h2o_on_the_released_scores)
{
    const char *path = TEST_SHARED("rethink/per_sample_scores.csv");
    static const struct {
        double target;
        const char *tasks;
        int guarded, left;
        double held_out;
    } cases[] = {{0.05, "gov_report multifieldqa_en", 350, 159, 0.04746268656716418},
                 {0.03, "gov_report trec qmsum multifieldqa_en", 750, 97, 0.027462686567164177},
                 {0.02, "gov_report trec qmsum qasper multi_news", 1000, 64, 0.020298507462686566}};
    struct exp_scores *s = read_scores(path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct exp_guard g = guard_of(s, "h2o/c2048_w32", NULL, cases[i].target);
        assert_guards(s, &g, cases[i].tasks);
        ck_assert_double_eq_tol(g.rate_before, 242. / 3350, 1e-15);
        ck_assert_double_eq_tol(g.share, cases[i].guarded / 3350., 1e-15);
        ck_assert_double_eq_tol(g.rate_after, cases[i].left / 3350., 1e-15);
        ck_assert_double_eq_tol(g.rate_held_out, cases[i].held_out, 1e-12);
        exp_guard_fini(&g);
    }
    exp_scores_free(s);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("guard");
    TCase *c = tcase_create("critical samples");
    tcase_add_test(c, samples_fail_by_their_own_limit_or_by_the_rule_benign_or_not);
    tcase_add_test(c, ties_fail_by_the_rule_of_the_code_alone);
    tcase_add_test(c, what_nobody_has_is_unknown_and_what_one_lacks_is_missing);
    tcase_add_test(c, the_worst_twentieth_is_a_mean);
    tcase_add_test(c, a_wrong_list_is_refused_where_it_stands);
    suite_add_tcase(s, c);
    TCase *guard = tcase_create("guard list");
    tcase_add_test(guard, the_list_takes_the_smallest_share_of_traffic_that_meets_the_target);
    tcase_add_test(guard, of_lists_of_the_same_share_the_one_that_leaves_less_is_taken);
    tcase_add_test(guard, a_mix_decides_what_guarding_costs);
    tcase_add_test(guard, the_rate_held_out_is_that_of_samples_that_the_list_was_not_chosen_on);
    tcase_add_test(guard, no_subset_of_tasks_meets_the_target_with_less_traffic);
    tcase_add_test(guard, many_tasks_are_guarded_from_the_highest_rate_on);
    tcase_add_test(guard, guarding_h2o_on_the_released_scores);
    suite_add_tcase(s, guard);
    return s;
}
