/* Sweeps: the same rows whoever computes them, nothing computed twice, nothing that is stale taken for new. Oracles: runs
 * of another number of threads and shards, counts by hand, runs of single points, a sort of all rows. */
#include <math.h>
#include <signal.h>
#include <unistd.h>

#include "experiments/study/sweep.h"
#include "experiments/study/sweep_digest.h"
#include "experiments/study/sweep_parts.h"
#include "experiments/study/sweep_print.h"
#include "tests/sweep_help.h"

static struct sim_status st;

static void begin(void)
{
    st = (struct sim_status){0};
}

static struct exp_sweep_options on(const char *db, uint32_t n_threads)
{
    return (struct exp_sweep_options){.db = db, .n_threads = n_threads, .shard = 1, .n_shards = 1};
}

static struct exp_study *load(const char *path)
{
    struct exp_study *s = exp_study_load(path, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    return s;
}

static struct exp_sweep_sum sweep(const char *path, struct exp_sweep_options o)
{
    struct exp_sweep_sum sum;
    struct exp_study *s = load(path);
    ck_assert_msg(exp_sweep(s, &o, &sum, &st), "%s", st.message);
    ck_assert(!sum.abandoned);
    exp_study_free(s);
    return sum;
}

static void merge(const char *into, const char *const *from, int n)
{
    struct exp_merged merged = {0};
    struct exp_store *s = exp_store_open(into, EXP_STORE_WRITE, &st);
    for (int i = 0; i < n; i++) ck_assert_msg(exp_store_merge(s, from[i], &merged, &st), "%s", st.message);
    exp_store_close(s);
}

/* ---- the same rows ---- */

START_TEST(rows_are_the_same_for_any_number_of_threads)
{
    const char *study = sweep_study("threads", 3, 2), *db[3] = {0};
    for (uint32_t j = 1; j <= 3; j++) {
        char name[20];
        snprintf(name, sizeof name, "j%u.sqlite", j);
        db[j - 1] = sweep_path(name);
        struct exp_sweep_sum sum = sweep(study, on(db[j - 1], j));
        ck_assert_uint_eq(sum.points, 18);
        ck_assert_uint_eq(sum.computed, 18);
        ck_assert_uint_eq(sum.failed, 6);
        ck_assert_uint_eq(sum.reused + sum.stale, 0);
    }
    sweep_same_rows(db[0], db[1]);
    sweep_same_rows(db[0], db[2]);
}
END_TEST

START_TEST(shards_have_every_point_once_and_merge_into_the_rows_of_one_run)
{
    const char *study = sweep_study("shards", 3, 2), *whole = sweep_path("whole.sqlite");
    sweep(study, on(whole, 2));
    for (uint32_t n = 2; n <= 3; n++) {
        const char *part[3], *all = sweep_path(n == 2 ? "all2.sqlite" : "all3.sqlite");
        uint64_t points = 0;
        for (uint32_t k = 1; k <= n; k++) {
            char name[40];
            snprintf(name, sizeof name, "part-%u-of-%u.sqlite", k, n);
            struct exp_sweep_options o = on(part[k - 1] = sweep_path(name), 2);
            o.shard = k, o.n_shards = n, o.is_shard = true;
            points += sweep(study, o).computed;
        }
        ck_assert_uint_eq(points, 18);
        merge(all, part, (int)n);
        sweep_same_rows(whole, all);
        ck_assert_uint_eq(sweep(study, on(all, 2)).reused, 12); /* all but those that failed */
    }
}
END_TEST

START_TEST(places_of_a_shard_are_the_points_that_are_its_number_modulo_n)
{
    struct exp_study *study = load(sweep_study("places", 2, 2)); /* 12 points */
    for (uint32_t n = 1; n <= 15; n++) {
        bool seen[12] = {0};
        for (uint32_t k = 1; k <= n; k++) {
            struct exp_sweep_options o = {.shard = k, .n_shards = n};
            struct exp_sweep_parts p = {.study = study, .o = &o};
            for (uint64_t place = 0; place < exp_sweep_n_places(&p); place++) {
                uint64_t i = exp_sweep_point_at(&p, place);
                ck_assert_uint_lt(i, 12);
                ck_assert_uint_eq(i % n + 1, k);
                ck_assert(!seen[i]);
                seen[i] = true;
            }
        }
        for (int i = 0; i < 12; i++) ck_assert(seen[i]);
    }
    exp_study_free(study);
}
END_TEST

struct looked_at {
    const char *key;
    double value;
};

static bool take_figure(void *user, const struct exp_stored *row)
{
    struct looked_at *l = user;
    if (row->index == 7) l->value = row->measure[exp_measure_find("mean_ttft_ms")];
    return true;
}

START_TEST(a_row_has_the_figures_that_a_run_of_its_settings_has)
{
    const char *path = sweep_study("figures", 3, 2), *db = sweep_path("figures.sqlite");
    struct looked_at seen = {0};
    struct exp_study *study = load(path);
    struct exp_scenario *s = exp_scenario_load(sweep_scenario(), &st);
    sweep(path, on(db, 2));
    /* Point 7 of 3 strategies x 3 rates x 2 seeds: fp8, the first rate, the second seed. */
    ck_assert(exp_scenario_set(s, "fleet.0.pipeline_parallel", "2", &st));
    ck_assert(exp_scenario_take_strategy(s, "fp8", &st));
    ck_assert(exp_scenario_set(s, "workload.open_loop.request_rate", "4", &st));
    ck_assert(exp_scenario_set(s, "seed", "2", &st));
    struct exp_cache *cache = exp_cache_new(&st);
    struct exp_run *run = exp_run_new(s, cache, NULL, &st);
    ck_assert_msg(run != NULL, "%s", st.message);
    struct exp_store *store = exp_store_open(db, EXP_STORE_READ, &st);
    ck_assert(exp_store_each(store, NULL, take_figure, &seen, &st));
    ck_assert_double_eq(seen.value, exp_figure(run->figures, "mean_ttft_ms").mean);
    exp_store_close(store);
    exp_run_free(run);
    exp_cache_free(cache);
    exp_study_free(study);
    free(s);
}
END_TEST

/* ---- nothing twice ---- */

START_TEST(stored_points_are_not_computed_again_and_failed_ones_are_unless_told)
{
    const char *study = sweep_study("again", 2, 2), *db = sweep_path("again.sqlite");
    struct exp_sweep_sum sum = sweep(study, on(db, 2));
    ck_assert_uint_eq(sum.computed, 12);
    ck_assert_uint_eq(sum.failed, 4);
    sum = sweep(study, on(db, 2));
    ck_assert_uint_eq(sum.reused, 8);
    ck_assert_uint_eq(sum.computed, 4);
    ck_assert_uint_eq(sum.failed, 4);
    struct exp_sweep_options keep = on(db, 2);
    keep.keep_failed = true;
    sum = sweep(study, keep);
    ck_assert_uint_eq(sum.reused, 12);
    ck_assert_uint_eq(sum.computed, 0);
    struct sweep_rows rows = sweep_rows_of(db);
    ck_assert_uint_eq(rows.n, 12);
    ck_assert_uint_eq(rows.failed, 4);
    for (size_t i = 0; i < rows.n; i++)
        ck_assert((strstr(rows.line[i], "freekv") != NULL) == (strstr(rows.line[i], "pipeline") != NULL));
    sweep_rows_fini(&rows);
}
END_TEST

START_TEST(points_that_come_up_twice_are_computed_once)
{
    sweep_scenario();
    const char *db = sweep_path("twins.sqlite");
    const char *study =
        test_file("twins.yaml", "scenario: base.yaml\n"
                                "random: {samples: 40, seed: 3, keys: {seed: [1, 2, 3, 4]}}\n");
    struct exp_sweep_sum sum = sweep(study, on(db, 3));
    ck_assert_uint_eq(sum.points, 40);
    ck_assert_uint_eq(sum.computed, 4);
    ck_assert_uint_eq(sum.equal, 36);
    ck_assert_uint_eq(sum.reused, 0);
    struct sweep_rows rows = sweep_rows_of(db);
    ck_assert_uint_eq(rows.n, 4);
    sweep_rows_fini(&rows);
    sum = sweep(study, on(db, 3));
    ck_assert_uint_eq(sum.computed, 0);
    ck_assert_uint_eq(sum.reused, 4);
    ck_assert_uint_eq(sum.equal, 36);
}
END_TEST

START_TEST(a_longer_study_keeps_the_rows_that_it_has_in_common_with_the_shorter)
{
    const char *db = sweep_path("longer.sqlite"), *fresh = sweep_path("fresh.sqlite");
    sweep(sweep_study("grows", 2, 2), on(db, 2));
    const char *longer = sweep_study("grows", 2, 3); /* every number of a point moves */
    struct exp_sweep_sum sum = sweep(longer, on(db, 2));
    ck_assert_uint_eq(sum.points, 18);
    ck_assert_uint_eq(sum.reused, 8); /* 4 of the 12 had failed */
    sweep(longer, on(fresh, 2));
    sweep_same_rows(db, fresh);
}
END_TEST

START_TEST(a_changed_trace_makes_stored_points_stale_and_its_old_text_makes_them_good_again)
{
    static const char head[] = "arrival_time_s,input_tokens,output_tokens\n",
                      common[] = "0,100,10\n0.5,200,20\n";
    const char *db = sweep_path("stale.sqlite");
    char *text = sim_printf("%s%s", head, common), *other = sim_printf("%s%s1,300,30\n", head, common);
    test_file("t.csv", text);
    test_file("traced.yaml", "model: llama-3.1-8b\nfleet: [{gpu: h100-sxm, profile: analytic}]\n"
                             "workload: {trace: t.csv}\n");
    const char *study =
        test_file("stale.yaml", "scenario: traced.yaml\ngrid: {workload.multiply: [1, 2, 3]}\n");
    struct exp_sweep_sum sum = sweep(study, on(db, 2));
    ck_assert_uint_eq(sum.computed, 3);
    ck_assert_uint_eq(sum.failed, 0);
    test_file("t.csv", other);
    sum = sweep(study, on(db, 2));
    ck_assert_uint_eq(sum.computed, 3);
    ck_assert_uint_eq(sum.reused, 0);
    ck_assert_uint_eq(sum.stale, 3);
    test_file("t.csv", text);
    sum = sweep(study, on(db, 2));
    ck_assert_uint_eq(sum.computed, 0);
    ck_assert_uint_eq(sum.reused, 3);
    free(text);
    free(other);
}
END_TEST

/* ---- parts ---- */

START_TEST(a_result_comes_out_of_a_message_as_it_went_in)
{
    for (int kind = 0; kind < 4; kind++) {
        struct exp_point_result r = {.index = 1234567890123, .state = EXP_POINT_FAILED, .wall_s = 0.25};
        size_t n, count = exp_measure_count();
        strcpy(r.key, "0123456789abcdef0123456789abcdef");
        strcpy(r.why, "no room: 100 %");
        if (kind & 1) {
            r.measure = sim_alloc(count, sizeof *r.measure);
            for (size_t i = 0; i < count; i++) r.measure[i] = i ? 1.0 / (double)i : (double)NAN;
            r.bands = sim_strdup("{\"a_lo\":1}");
        }
        if (kind & 2) {
            r.classes = sim_strdup("{}");
            r.settings = sim_strdup("");
        }
        void *bytes = exp_result_pack(&r, &n);
        struct exp_point_result back;
        exp_result_unpack(bytes, n, &back);
        free(bytes);
        ck_assert_uint_eq(back.index, r.index);
        ck_assert_str_eq(back.key, r.key);
        ck_assert_str_eq(back.setup, "");
        ck_assert_str_eq(back.why, r.why);
        ck_assert_int_eq(back.state, r.state);
        ck_assert_double_eq(back.wall_s, 0.25);
        ck_assert_int_eq(back.measure != NULL, kind & 1);
        if (back.measure) ck_assert_mem_eq(back.measure, r.measure, count * sizeof *r.measure);
        ck_assert_pstr_eq(back.bands, r.bands);
        ck_assert_pstr_eq(back.classes, r.classes);
        ck_assert_pstr_eq(back.settings, r.settings);
        exp_point_result_fini(&r);
        exp_point_result_fini(&back);
    }
}
END_TEST

START_TEST(a_message_that_is_cut_short_ends_the_program)
{
    size_t n;
    struct exp_point_result back,
        r = {.measure = sim_alloc(exp_measure_count(), sizeof *r.measure), .settings = sim_strdup("{}")};
    char *bytes = exp_result_pack(&r, &n);
    bytes = sim_realloc(bytes, n - (size_t)_i, 1); /* so that a sanitizer sees a byte too many */
    exp_result_unpack(bytes, n - (size_t)_i, &back);
}
END_TEST

START_TEST(a_forecast_counts_as_the_sweep_does_and_writes_nothing)
{
    const char *path = sweep_study("ahead", 2, 2), *db = sweep_path("ahead.sqlite");
    struct exp_sweep_options o = on(db, 2);
    struct exp_sweep_forecast f;
    struct exp_study *study = load(path);
    ck_assert_msg(exp_sweep_forecast(study, &o, true, &f, &st), "%s", st.message);
    ck_assert_int_ne(access(db, F_OK), 0);
    ck_assert_uint_eq(f.points, 12);
    ck_assert_uint_eq(f.stored, 0);
    ck_assert_uint_eq(f.open, 12);
    ck_assert(f.s_per_point > 0);
    ck_assert_uint_gt(f.bytes, 12 * 8 * exp_measure_count() / 2);
    sweep(path, o);
    ck_assert(exp_sweep_forecast(study, &o, false, &f, &st));
    ck_assert_uint_eq(f.stored, 8);
    ck_assert(isnan(f.s_per_point));
    exp_study_free(study);
}
END_TEST

struct scored {
    uint64_t index;
    double goodput;
};
struct all_scores {
    struct scored at[200];
    size_t n;
};

static bool note_score(void *user, const struct exp_stored *row)
{
    struct all_scores *all = user;
    if (row->state == EXP_POINT_DONE && row->measure[exp_measure_find("sla_met")] > 0)
        all->at[all->n++] =
            (struct scored){row->index, row->measure[exp_measure_find("cost_per_1000_within_slo")]};
    return true;
}

static int cheapest_first(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    int by = (x->goodput > y->goodput) - (x->goodput < y->goodput);
    return by ? by : (x->index > y->index) - (x->index < y->index);
}

START_TEST(the_best_points_are_the_first_ten_of_all_sorted_and_reasons_are_counted)
{
    const char *path = sweep_study("best", 5, 4), *db = sweep_path("best.sqlite");
    struct exp_sweep_digest d;
    struct all_scores all = {0};
    sweep(path, on(db, 2));
    struct exp_store *s = exp_store_open(db, EXP_STORE_READ, &st);
    ck_assert(exp_store_each(s, NULL, note_score, &all, &st));
    qsort(all.at, all.n, sizeof all.at[0], cheapest_first);
    ck_assert_uint_gt(all.n, EXP_DIGEST_BEST);
    ck_assert_msg(exp_sweep_digest(s, "best", &d, &st), "%s", st.message);
    ck_assert_uint_eq(json_array_size(d.best), EXP_DIGEST_BEST);
    for (size_t i = 0; i < EXP_DIGEST_BEST; i++)
        ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(d.best, i), "point")),
                         (json_int_t)all.at[i].index);
    ck_assert_ptr_nonnull(json_object_get(json_array_get(d.best, 0), "request_rate"));
    ck_assert_uint_eq(d.failed, 20);
    ck_assert_uint_eq(json_array_size(d.failures), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(d.failures, 0), "points")), 20);
    exp_sweep_digest_fini(&d);
    exp_store_close(s);
}
END_TEST

START_TEST(a_study_of_more_points_than_one_run_takes_is_sent_to_shards)
{
    sweep_scenario();
    struct exp_study *study =
        load(test_file("huge.yaml", "scenario: base.yaml\n"
                                    "random: {samples: 100000000, seed: 1, keys: {seed: "
                                    "{from: 1, to: 1000000000}}}\n"));
    struct exp_sweep_options o = on(sweep_path("huge.sqlite"), 2);
    struct exp_sweep_sum sum;
    ck_assert(!exp_sweep(study, &o, &sum, &st));
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(st.message, "--shard 1/6"));
    ck_assert_int_ne(access(o.db, F_OK), 0);
    exp_study_free(study);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("sweep");
    TCase *c = tcase_create("sweep");
    tcase_add_checked_fixture(c, begin, NULL);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, rows_are_the_same_for_any_number_of_threads);
    tcase_add_test(c, shards_have_every_point_once_and_merge_into_the_rows_of_one_run);
    tcase_add_test(c, places_of_a_shard_are_the_points_that_are_its_number_modulo_n);
    tcase_add_test(c, a_row_has_the_figures_that_a_run_of_its_settings_has);
    tcase_add_test(c, stored_points_are_not_computed_again_and_failed_ones_are_unless_told);
    tcase_add_test(c, points_that_come_up_twice_are_computed_once);
    tcase_add_test(c, a_longer_study_keeps_the_rows_that_it_has_in_common_with_the_shorter);
    tcase_add_test(c, a_changed_trace_makes_stored_points_stale_and_its_old_text_makes_them_good_again);
    tcase_add_test(c, a_result_comes_out_of_a_message_as_it_went_in);
    tcase_add_loop_test_raise_signal(c, a_message_that_is_cut_short_ends_the_program, SIGABRT, 1, 4);
    tcase_add_test(c, a_forecast_counts_as_the_sweep_does_and_writes_nothing);
    tcase_add_test(c, the_best_points_are_the_first_ten_of_all_sorted_and_reasons_are_counted);
    tcase_add_test(c, a_study_of_more_points_than_one_run_takes_is_sent_to_shards);
    suite_add_tcase(s, c);
    return s;
}
