/* The store of points: what is put is read back, done points are never lost, rows follow the study as it is now. Oracles:
 * numbers made from a point's index, what sqlite itself reads from the file, and states written down by hand. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sim/csv_in.h"
#include "sim/memory.h"
#include "tests/store_help.h"

static void is_rows(struct exp_store *s, const char *study, const char *expected)
{
    char *got = store_rows(s, study);
    ck_assert_str_eq(got, expected);
    free(got);
}

/* Six digits of a point's key, as store_rows has them. */
static const char *short_key(uint64_t i, uint32_t version)
{
    static char keys[8][8];
    static int next;
    struct exp_point_result r = store_point(i, version);
    char *key = keys[next++ % 8];
    snprintf(key, sizeof keys[0], "%.6s", r.key);
    exp_point_result_fini(&r);
    return key;
}

/* ---- what is put is read back ---- */

static bool is_point(void *user, const struct exp_stored *row)
{
    uint64_t *next = user;
    struct exp_point_result r = store_point(*next, 0);
    ck_assert_uint_eq(row->index, *next);
    ck_assert_str_eq(row->key, r.key);
    ck_assert_str_eq(row->setup, r.setup);
    ck_assert_str_eq(row->settings, r.settings);
    ck_assert_str_eq(row->load_state, "stable");
    ck_assert_str_eq(row->why, "");
    ck_assert_str_eq(row->model_version, exp_model_version());
    ck_assert_ptr_null(row->bands);
    ck_assert_int_eq(row->state, EXP_POINT_DONE);
    ck_assert(!row->stale);
    for (size_t i = 0; i < exp_measure_count(); i++) {
        bool same = memcmp(&row->measure[i], &r.measure[i], sizeof(double)) == 0;
        ck_assert_msg(same || (isnan(row->measure[i]) && isnan(r.measure[i])), "%s: %a, not %a",
                      exp_measure_name(i), row->measure[i], r.measure[i]);
    }
    exp_point_result_fini(&r);
    ++*next;
    return true;
}

START_TEST(points_put_in_any_order_are_read_in_theirs_bit_by_bit)
{
    struct sim_status st = {0};
    const char *path = store_path("all.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    uint64_t next = 0;
    for (uint64_t i = 0; i < 100; i++) store_put(s, store_point(i * 37 % 100, 0));
    ck_assert_msg(exp_store_each(s, "s", is_point, &next, &st), "%s", st.message);
    ck_assert_uint_eq(next, 100);
    exp_store_close(s);
    s = store_opened(path, EXP_STORE_READ);
    next = 0;
    ck_assert_msg(exp_store_each(s, NULL, is_point, &next, &st), "%s", st.message);
    ck_assert_uint_eq(next, 100);
    is_rows(s, "another", "");
    exp_store_close(s);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point WHERE study = 's' AND state = 'done'"), 100);
    ck_assert_int_eq(store_sql(path, "SELECT sum(gpus IS NULL) FROM point"),
                     isnan(store_measure(0, 0, exp_measure_find("gpus"))) ? 100 : 0);
}
END_TEST

static bool stop_at_two(void *user, const struct exp_stored *row)
{
    (void)row;
    return ++*(int *)user < 2;
}

START_TEST(a_visitor_stops_the_reading_and_may_ask_the_store)
{
    struct sim_status st = {0};
    struct exp_store *s = store_of(store_path("stop.sqlite"), "s", "");
    int seen = 0;
    for (uint64_t i = 0; i < 5; i++) store_put(s, store_point(i, 0));
    ck_assert(exp_store_each(s, "s", stop_at_two, &seen, &st));
    ck_assert_int_eq(seen, 2);
    exp_store_close(s);
}
END_TEST

struct thread {
    struct exp_store *store;
    uint64_t first;
};

static void *put_fifty(void *user)
{
    struct thread *t = user;
    for (uint64_t i = t->first; i < 200; i += 4) {
        struct exp_point_result r = store_point(i, 0);
        struct sim_status st = {0};
        ck_assert_msg(exp_store_put(t->store, &r, &st), "%s", st.message);
        ck_assert(exp_store_has(t->store, r.key));
        exp_point_result_fini(&r);
    }
    return NULL;
}

START_TEST(threads_put_at_the_same_time_and_every_point_is_there)
{
    struct sim_status st = {0};
    struct exp_store *s = store_of(store_path("threads.sqlite"), "s", "");
    pthread_t thread[4];
    struct thread job[4];
    uint64_t next = 0;
    for (uint64_t i = 0; i < 4; i++) {
        job[i] = (struct thread){s, i};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, put_fifty, &job[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    ck_assert(exp_store_each(s, "s", is_point, &next, &st));
    ck_assert_uint_eq(next, 200);
    exp_store_close(s);
}
END_TEST

/* ---- done and failed ---- */

START_TEST(a_failed_point_gives_way_to_a_done_one_and_never_the_other_way_round)
{
    const char *path = store_path("states.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    struct exp_point_result r = store_point(3, 0);
    char expected[80];
    snprintf(expected, sizeof expected, "s 3 %.6s done\n", r.key);
    ck_assert(!exp_store_has(s, r.key) && !exp_store_has_failed(s, r.key));
    store_put(s, store_failed(3, r.key, "out of memory"));
    ck_assert(!exp_store_has(s, r.key) && exp_store_has_failed(s, r.key));
    store_put(s, store_failed(3, r.key, "out of luck"));
    char *rows = store_rows(s, "s");
    ck_assert_ptr_nonnull(strstr(rows, "out of luck"));
    ck_assert_ptr_null(strstr(rows, "memory"));
    free(rows);
    store_put(s, store_point(3, 0));
    ck_assert(exp_store_has(s, r.key) && !exp_store_has_failed(s, r.key));
    is_rows(s, "s", expected);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point WHERE why IS NOT NULL"), 0);
    store_put(s, store_failed(3, r.key, "out of time"));
    is_rows(s, "s", expected);
    ck_assert_int_eq(store_sql(path, "SELECT count(arrived) FROM point"), 1);
    exp_store_close(s);
    exp_point_result_fini(&r);
}
END_TEST

START_TEST(a_done_point_that_is_put_again_stays_as_it_was)
{
    const char *path = store_path("again.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    store_put(s, store_point(3, 0));
    char *before = store_texts(path, "SELECT finished_at || used_at || wall_s FROM point");
    struct exp_point_result r = store_point(3, 0);
    r.wall_s = 99;
    store_put(s, r);
    char *after = store_texts(path, "SELECT finished_at || used_at || wall_s FROM point");
    ck_assert_str_eq(before, after);
    exp_store_close(s);
    free(before);
    free(after);
}
END_TEST

START_TEST(points_whose_scenario_cannot_be_made_are_rows_by_their_number)
{
    const char *path = store_path("unkeyed.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    store_put(s, store_failed(4, "", "a budget for full"));
    store_put(s, store_failed(2, "", "a budget for full"));
    store_put(s, store_failed(2, "", "no such gpu"));
    is_rows(s, "s", "s 2 ! no such gpu\ns 4 ! a budget for full\n");
    ck_assert(!exp_store_has(s, "") && !exp_store_has_failed(s, ""));
    exp_store_close(s);
    s = store_of(path, "s", ""); /* the next start finds them in the file */
    store_put(s, store_point(2, 0));
    store_put(s, store_point(7, 0));
    char expected[120];
    snprintf(expected, sizeof expected, "s 2 %s done\ns 4 ! a budget for full\ns 7 %s done\n",
             short_key(2, 0), short_key(7, 0));
    is_rows(s, "s", expected);
    exp_store_close(s);
}
END_TEST

START_TEST(points_that_are_the_same_are_one_row_of_the_lower_number_whoever_was_first)
{
    const uint64_t orders[][2] = {{2, 8}, {8, 2}};
    for (int i = 0; i < 2; i++) {
        const char *path = store_path(i ? "twice-1.sqlite" : "twice-0.sqlite");
        struct exp_store *s = store_of(path, "s", "");
        for (int k = 0; k < 2; k++) {
            struct exp_point_result r = store_point(5, 0);
            r.index = orders[i][k];
            free(r.settings);
            r.settings = sim_printf("{\"at\":%llu}", (unsigned long long)r.index);
            store_put(s, r);
        }
        char expected[80];
        snprintf(expected, sizeof expected, "s 2 %s done\n", short_key(5, 0));
        is_rows(s, "s", expected);
        ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point WHERE settings = '{\"at\":2}'"), 1);
        exp_store_close(s);
    }
}
END_TEST

START_TEST(points_that_are_the_same_and_fail_are_one_row_of_the_lower_number_too)
{
    const char *path = store_path("twice-failed.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    struct exp_point_result r = store_point(5, 0);
    const uint64_t order[] = {8, 2, 9};
    for (int i = 0; i < 3; i++) store_put(s, store_failed(order[i], r.key, "out of memory"));
    ck_assert_int_eq(store_sql(path, "SELECT idx FROM point"), 2);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point"), 1);
    exp_store_close(s);
    exp_point_result_fini(&r);
}
END_TEST

/* ---- a study as it is now ---- */

START_TEST(an_edited_study_has_the_rows_that_are_adopted_and_nothing_is_deleted)
{
    const char *path = store_path("edited.sqlite");
    struct exp_store *s = store_of(path, "s", "grid: {rate: [1, 2]}");
    store_put(s, store_point(0, 0));
    store_put(s, store_point(1, 0));
    store_study(s, "s", "grid: {rate: [1, 2]}"); /* the same again */
    char both[120], moved[120];
    snprintf(both, sizeof both, "s 0 %s done\ns 1 %s done\n", short_key(0, 0), short_key(1, 0));
    is_rows(s, "s", both);
    store_study(s, "s", "grid: {rate: [7, 2]}");
    is_rows(s, "s", "");
    struct exp_point_result r = store_point(1, 0);
    ck_assert(exp_store_has(s, r.key));
    r.index = 4;
    free(r.settings);
    r.settings = sim_strdup("{\"rate\":4}");
    store_adopt(s, r);
    snprintf(moved, sizeof moved, "s 4 %s done\n", short_key(1, 0));
    is_rows(s, "s", moved);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point"), 2);
    ck_assert_int_eq(store_sql(path, "SELECT settings = '{\"rate\":4}' FROM point WHERE idx = 4"), 1);
    store_study(s, "s", "grid: {rate: [1, 2]}"); /* and back: nothing needs computing */
    store_adopt(s, store_point(0, 0));
    store_adopt(s, store_point(1, 0));
    is_rows(s, "s", both);
    exp_store_close(s);
}
END_TEST

START_TEST(a_study_adopts_points_of_another_with_every_number)
{
    struct sim_status st = {0};
    const char *path = store_path("two-studies.sqlite");
    struct exp_store *s = store_of(path, "first", "");
    uint64_t next = 0;
    for (uint64_t i = 0; i < 4; i++) store_put(s, store_point(i, 0));
    exp_store_close(s);
    store_sql(
        path,
        "ALTER TABLE point ADD COLUMN of_a_newer_program REAL; UPDATE point SET of_a_newer_program = 42");
    s = store_of(path, "second", "");
    for (uint64_t i = 0; i < 4; i++) store_adopt(s, store_point(i, 0));
    for (uint64_t i = 0; i < 4; i++) store_adopt(s, store_point(i, 0));
    ck_assert(exp_store_each(s, "second", is_point, &next, &st));
    ck_assert_uint_eq(next, 4);
    next = 0;
    ck_assert(exp_store_each(s, "first", is_point, &next, &st));
    ck_assert_uint_eq(next, 4);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point WHERE of_a_newer_program = 42"), 8);
    struct exp_point_result r = store_point(9, 0);
    ck_assert(!exp_store_adopt(s, &r, &st));
    store_one_line(&st, path, "is not stored");
    exp_point_result_fini(&r);
    exp_store_close(s);
}
END_TEST

START_TEST(an_adopted_point_that_is_in_its_place_is_not_written_again)
{
    struct exp_store *s = store_of(store_path("quiet.sqlite"), "s", "");
    store_put(s, store_point(0, 0));
    store_put(s, store_point(1, 0));
    int before = sqlite3_total_changes(s->db);
    store_adopt(s, store_point(0, 0));
    store_adopt(s, store_point(1, 0));
    ck_assert_int_eq(sqlite3_total_changes(s->db), before);
    exp_store_close(s);
}
END_TEST

START_TEST(a_row_is_stale_when_its_setup_has_a_newer_one_or_another_model_made_it)
{
    const char *path = store_path("stale.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    struct exp_point_result old = store_point(0, 0), new = store_point(0, 1);
    ck_assert_str_eq(old.setup, new.setup);
    ck_assert_str_ne(old.key, new.key);
    store_put(s, store_point(0, 0));
    ck_assert_uint_eq(exp_store_stale(s, new.setup, new.key), 1);
    ck_assert_uint_eq(exp_store_stale(s, old.setup, old.key), 0);
    ck_assert_uint_eq(exp_store_stale(s, "", ""), 0);
    store_put(s, store_point(0, 1));
    store_put(s, store_point(1, 0));
    char *rows = store_rows(s, "s"), part[60];
    snprintf(part, sizeof part, "s 0 %s done stale\n", short_key(0, 0));
    ck_assert_ptr_nonnull(strstr(rows, part));
    ck_assert_ptr_eq(strstr(rows, "stale"), strstr(rows, part) + strlen(part) - strlen("stale\n"));
    ck_assert_ptr_null(strstr(strstr(rows, "stale") + 1, "stale"));
    free(rows);
    store_adopt(s, store_point(0, 0)); /* the trace of before is back: its points count again */
    rows = store_rows(s, "s");
    snprintf(part, sizeof part, "s 0 %.6s done\n", old.key);
    ck_assert_msg(strstr(rows, part) != NULL, "%s", rows);
    free(rows);
    exp_store_close(s);
    store_sql(path, "UPDATE point SET model_version = '0.0.0-of-old'");
    s = store_opened(path, EXP_STORE_READ);
    rows = store_rows(s, NULL);
    int stale = 0;
    for (const char *at = rows; (at = strstr(at, " stale\n")); at++) stale++;
    ck_assert_int_eq(stale, 3);
    free(rows);
    exp_store_close(s);
    exp_point_result_fini(&old);
    exp_point_result_fini(&new);
}
END_TEST

START_TEST(studies_are_listed_with_their_texts)
{
    struct sim_status st = {0};
    const char *path = store_path("list.sqlite");
    struct exp_store *s = store_of(path, "z", "name: z\n");
    store_study(s, "a", "name: a\n# \"quoted\" '; DROP TABLE point; --\n");
    exp_store_close(s);
    s = store_opened(path, EXP_STORE_READ);
    json_t *all = exp_store_studies(s, &st);
    ck_assert_msg(all && json_array_size(all) == 2, "%s", st.message);
    const json_t *a = json_array_get(all, 0);
    ck_assert_str_eq(json_string_value(json_object_get(a, "name")), "a");
    ck_assert_str_eq(json_string_value(json_object_get(a, "file")),
                     "name: a\n# \"quoted\" '; DROP TABLE point; --\n");
    ck_assert_str_eq(json_string_value(json_object_get(a, "scenario")), "workload: {}");
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(a, "versions"), "model")), 1);
    ck_assert(json_is_array(json_object_get(a, "axes")));
    json_decref(all);
    exp_store_close(s);
    store_sql(path, "UPDATE study SET axes = '[{' WHERE name = 'z'");
    s = store_opened(path, EXP_STORE_READ);
    ck_assert_ptr_null(exp_store_studies(s, &st));
    store_one_line(&st, path, "damaged");
    exp_store_close(s);
}
END_TEST

START_TEST(a_study_is_described_by_its_file_its_scenario_and_its_axes)
{
    static const char text[] = "name: kv-over-load\nscenario: base.yaml\nnote: of two\n"
                               "grid: {strategy: [full, fp8], workload.open_loop.request_rate: [1, 2, 4]}\n";
    struct sim_status st = {0};
    test_file("base.yaml", "model: llama-3.1-8b\nfleet: [{gpu: h100-sxm, profile: analytic}]\n"
                           "workload: {open_loop: {request_rate: 8, num_requests: 60}}\n");
    struct exp_study *study = exp_study_parse("s.yaml", text, strlen(text), test_dir(), &st);
    ck_assert_msg(study != NULL, "%s", st.message);
    struct exp_store *s = store_opened(store_path("described.sqlite"), EXP_STORE_WRITE);
    json_t *versions = json_pack("{s:s}", "model_version", exp_model_version());
    ck_assert_msg(exp_store_put_study(s, study, versions, &st), "%s", st.message);
    store_put(s, store_point(0, 0));
    json_t *all = exp_store_studies(s, &st), *o = json_array_get(all, 0), *axes = json_object_get(o, "axes");
    ck_assert_str_eq(json_string_value(json_object_get(o, "name")), "kv-over-load");
    ck_assert_str_eq(json_string_value(json_object_get(o, "note")), "of two");
    ck_assert_str_eq(json_string_value(json_object_get(o, "file")), text);
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(o, "scenario")), "llama-3.1-8b"));
    ck_assert_int_eq(json_integer_value(json_object_get(o, "points")), 6);
    ck_assert(json_equal(json_object_get(o, "versions"), versions));
    ck_assert_uint_eq(json_array_size(axes), 2);
    ck_assert(json_is_false(json_object_get(json_array_get(axes, 0), "numeric")));
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(axes, 1), "path")),
                     "workload.open_loop.request_rate");
    ck_assert(json_is_true(json_object_get(json_array_get(axes, 1), "numeric")));
    is_rows(s, "another", "");
    json_decref(all);
    json_decref(versions);
    exp_store_close(s);
    exp_study_free(study);
}
END_TEST

/* ---- columns come and go ---- */

static bool lacks_in_the_first(void *user, const struct exp_stored *row)
{
    size_t i = *(const size_t *)user;
    double put = store_measure(row->index, 0, i);
    ck_assert(!isnan(put));
    if (row->index == 0)
        ck_assert(isnan(row->measure[i]));
    else
        ck_assert_double_eq(row->measure[i], put);
    return true;
}

START_TEST(a_measure_that_the_file_lacks_is_none_to_a_reader_and_a_new_column_to_a_writer)
{
    struct sim_status st = {0};
    size_t missing = exp_measure_find("duration_s");
    const char *path = store_path("older.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    store_put(s, store_point(0, 0));
    exp_store_close(s);
    store_sql(path, "ALTER TABLE point DROP COLUMN duration_s; ALTER TABLE point DROP COLUMN gpus");
    s = store_opened(path, EXP_STORE_READ);
    char *rows = store_rows(s, "s");
    ck_assert_ptr_nonnull(strstr(rows, "done"));
    free(rows);
    exp_store_close(s);
    ck_assert_int_eq(
        store_sql(path, "SELECT count(*) FROM pragma_table_info('point') WHERE name = 'duration_s'"), 0);
    s = store_of(path, "s", "");
    store_put(s, store_point(1, 0));
    exp_store_close(s);
    ck_assert_int_eq(
        store_sql(path,
                  "SELECT count(*) FROM pragma_table_info('point') WHERE name IN ('duration_s', 'gpus')"),
        2);
    ck_assert_int_eq(store_sql(path, "SELECT count(arrived) FROM point"), 2);
    s = store_opened(path, EXP_STORE_READ);
    ck_assert(exp_store_each(s, "s", lacks_in_the_first, &missing, &st));
    exp_store_close(s);
}
END_TEST

/* ---- CSV ---- */

struct seen {
    uint64_t rows;
    int rate, p, arrived, stale;
};

static bool csv_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct seen *seen = user;
    (void)st;
    if (index == 0) {
        ck_assert_str_eq(row->field[0], "strategy");
        ck_assert_str_eq(row->field[1], "rate");
        seen->rate = sim_csv_column(row, "rate");
        seen->p = sim_csv_column(row, "p, \"q\"");
        seen->arrived = sim_csv_column(row, "arrived");
        seen->stale = sim_csv_column(row, "stale");
        ck_assert_int_ge(sim_csv_column(row, "p99_ttft_ms_lo"), 0);
        return true;
    }
    uint64_t i = index - 1;
    ck_assert_uint_eq(strtoull(row->field[seen->rate], NULL, 10), i);
    ck_assert_str_eq(row->field[seen->p], i == 2 ? "a \"b\",\nc" : "");
    ck_assert_double_eq(strtod(row->field[seen->arrived], NULL),
                        store_measure(i, 0, exp_measure_find("arrived")));
    ck_assert_str_eq(row->field[seen->stale], "false");
    seen->rows++;
    return true;
}

START_TEST(csv_has_a_column_per_setting_in_front_and_reads_back)
{
    struct sim_status st = {0};
    struct exp_store *s = store_of(store_path("csv.sqlite"), "s", "");
    for (uint64_t i = 0; i < 5; i++) {
        struct exp_point_result r = store_point(i, 0);
        if (i == 2) {
            free(r.settings);
            r.settings =
                sim_strdup("{\"strategy\":\"full\",\"rate\":2,\"p, \\\"q\\\"\":\"a \\\"b\\\",\\nc\"}");
            r.bands = sim_strdup("{\"p99_ttft_ms_lo\":1.5,\"p99_ttft_ms_hi\":2.5}");
        }
        store_put(s, r);
    }
    const char *path = store_path("out.csv");
    FILE *out = fopen(path, "w");
    ck_assert_msg(exp_store_csv(s, "s", out, &st), "%s", st.message);
    ck_assert_int_eq(fclose(out), 0);
    struct seen seen = {0};
    ck_assert_msg(sim_csv_read(path, csv_row, &seen, &st), "%s", st.message);
    ck_assert_uint_eq(seen.rows, 5);
    out = fopen("/dev/full", "w");
    if (out) {
        ck_assert(!exp_store_csv(s, "s", out, &st));
        ck_assert_ptr_nonnull(strstr(st.message, "No space"));
        fclose(out);
    }
    exp_store_close(s);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("store");
    TCase *c = tcase_create("rows");
    tcase_add_test(c, points_put_in_any_order_are_read_in_theirs_bit_by_bit);
    tcase_add_test(c, a_visitor_stops_the_reading_and_may_ask_the_store);
    tcase_add_test(c, threads_put_at_the_same_time_and_every_point_is_there);
    tcase_add_test(c, a_failed_point_gives_way_to_a_done_one_and_never_the_other_way_round);
    tcase_add_test(c, a_done_point_that_is_put_again_stays_as_it_was);
    tcase_add_test(c, points_whose_scenario_cannot_be_made_are_rows_by_their_number);
    tcase_add_test(c, points_that_are_the_same_are_one_row_of_the_lower_number_whoever_was_first);
    tcase_add_test(c, points_that_are_the_same_and_fail_are_one_row_of_the_lower_number_too);
    suite_add_tcase(suite, c);
    c = tcase_create("studies");
    tcase_add_test(c, an_edited_study_has_the_rows_that_are_adopted_and_nothing_is_deleted);
    tcase_add_test(c, a_study_adopts_points_of_another_with_every_number);
    tcase_add_test(c, an_adopted_point_that_is_in_its_place_is_not_written_again);
    tcase_add_test(c, a_row_is_stale_when_its_setup_has_a_newer_one_or_another_model_made_it);
    tcase_add_test(c, studies_are_listed_with_their_texts);
    tcase_add_test(c, a_study_is_described_by_its_file_its_scenario_and_its_axes);
    tcase_add_test(c, a_measure_that_the_file_lacks_is_none_to_a_reader_and_a_new_column_to_a_writer);
    tcase_add_test(c, csv_has_a_column_per_setting_in_front_and_reads_back);
    suite_add_tcase(suite, c);
    return suite;
}
