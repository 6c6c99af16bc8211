/* Files of shards into one: every point once, equal numbers or nothing, what others left behind. Oracles: one store into
 * which the same points were put directly, and what sqlite counts. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/memory.h"
#include "tests/store_help.h"

static struct exp_merged merged(struct exp_store *s, const char *path)
{
    struct sim_status st = {0};
    struct exp_merged sum = {0};
    ck_assert_msg(exp_store_merge(s, path, &sum, &st), "%s", st.message);
    ck_assert_uint_eq(sum.n_files, 1);
    return sum;
}

static void not_merged(struct exp_store *s, const char *path, const char *part)
{
    struct sim_status st = {0};
    struct exp_merged sum = {0};
    char *before = store_texts(s->path, "SELECT * FROM point ORDER BY key, study");
    ck_assert(!exp_store_merge(s, path, &sum, &st));
    store_one_line(&st, path, part);
    ck_assert_uint_eq(sum.n_files + sum.n_added + sum.n_known, 0);
    char *after = store_texts(s->path, "SELECT * FROM point ORDER BY key, study");
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}

/* Points first, first + step ... below n in a file of their own. */
static const char *shard(const char *name, uint64_t first, uint64_t step, uint64_t n)
{
    const char *path = store_path(name);
    struct exp_store *s = store_opened(path, EXP_STORE_SHARD);
    store_study(s, "s", "text");
    for (uint64_t i = first; i < n; i += step) store_put(s, store_point(i, 0));
    exp_store_close(s);
    return path;
}

static bool collect(void *user, const struct exp_stored *row)
{
    FILE *out = user;
    fprintf(out, "%s %llu %s %s %s %s", row->study, (unsigned long long)row->index, row->key, row->setup,
            row->settings, row->load_state);
    for (size_t i = 0; i < exp_measure_count(); i++)
        if (!exp_measure_is_wall(i)) fprintf(out, " %a", isnan(row->measure[i]) ? 0.125 : row->measure[i]);
    fputc('\n', out);
    return true;
}

static char *all_of(struct exp_store *s)
{
    struct sim_status st = {0};
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert(exp_store_each(s, NULL, collect, out, &st));
    fclose(out);
    return text;
}

START_TEST(shards_merged_in_any_order_are_the_store_of_one_process)
{
    const char *shards[] = {shard("a.sqlite", 0, 3, 40), shard("b.sqlite", 1, 3, 40),
                            shard("c.sqlite", 2, 3, 40)};
    struct exp_store *one = store_of(store_path("one.sqlite"), "s", "text");
    for (uint64_t i = 0; i < 40; i++) store_put(one, store_point(i, 0));
    char *expected = all_of(one);
    exp_store_close(one);
    for (int order = 0; order < 2; order++) {
        struct exp_store *s =
            store_opened(store_path(order ? "to-1.sqlite" : "to-0.sqlite"), EXP_STORE_WRITE);
        for (int i = 0; i < 3; i++) {
            struct exp_merged sum = merged(s, shards[order ? 2 - i : i]);
            ck_assert_uint_eq(sum.n_added, shards[0] == shards[order ? 2 - i : i] ? 14 : 13);
            ck_assert_uint_eq(sum.n_known, 0);
        }
        ck_assert_uint_eq(merged(s, shards[1]).n_known, 13); /* once more */
        char *got = all_of(s);
        ck_assert_str_eq(got, expected);
        free(got);
        exp_store_close(s);
    }
    free(expected);
}
END_TEST

START_TEST(a_key_with_another_number_stops_the_file_and_names_the_measure)
{
    const char *path = shard("differs.sqlite", 0, 1, 8);
    struct exp_store *s = store_of(store_path("to.sqlite"), "s", "text");
    store_put(s, store_point(5, 0));
    store_sql(path, "UPDATE point SET sim_wall_s = 9, wall_s = 9, finished_at = 'x' WHERE idx = 5");
    ck_assert_uint_eq(merged(s, path).n_known, 1); /* clocks may differ */
    exp_store_close(s);
    s = store_of(store_path("to2.sqlite"), "s", "text");
    store_put(s, store_point(5, 0));
    store_sql(path, "UPDATE point SET duration_s = 1.5 WHERE idx = 5");
    not_merged(s, path, "point 5 of study s has duration_s as 1.5");
    store_sql(path, "UPDATE point SET duration_s = NULL WHERE idx = 5");
    not_merged(s, path, "duration_s as none");
    exp_store_close(s);
    struct exp_point_result r = store_point(5, 0);
    char *sql = sim_printf("UPDATE point SET duration_s = %.17g, load_state = 'overloaded' WHERE idx = 5",
                           r.measure[exp_measure_find("duration_s")]);
    s = store_of(store_path("to3.sqlite"), "another", "text");
    store_put(s, store_point(5, 0));
    store_sql(path, sql);
    not_merged(s, path, "load_state"); /* also where the key is another study's */
    exp_store_close(s);
    exp_point_result_fini(&r);
    free(sql);
}
END_TEST

START_TEST(failed_points_come_along_unless_there_is_a_done_one)
{
    const char *path = store_path("failed.sqlite");
    struct exp_store *s = store_of(path, "s", "text");
    struct exp_point_result r[4];
    for (uint64_t i = 0; i < 4; i++) r[i] = store_point(i, 0);
    store_put(s, store_failed(0, r[0].key, "here"));
    store_put(s, store_failed(1, r[1].key, "here"));
    store_put(s, store_failed(2, r[2].key, "here"));
    store_put(s, store_point(3, 0));
    store_put(s, store_failed(8, "", "no key"));
    store_put(s, store_failed(9, "", "no key"));
    exp_store_close(s);
    s = store_of(store_path("failed-to.sqlite"), "s", "text");
    store_put(s, store_point(0, 0));
    store_put(s, store_failed(1, r[1].key, "there"));
    store_put(s, store_failed(3, r[3].key, "there"));
    store_put(s, store_point(8, 0));
    struct exp_merged sum = merged(s, path);
    ck_assert_uint_eq(sum.n_known, 2);
    char *rows = store_rows(s, "s");
    const char *const wanted[] = {"s 0 %.6s done\n", "s 1 %.6s there\n", "s 2 %.6s here\n",
                                  "s 3 %.6s done\n"};
    for (int i = 0; i < 4; i++) {
        char line[80];
        snprintf(line, sizeof line, wanted[i], r[i].key);
        ck_assert_msg(strstr(rows, line) != NULL, "no %s in\n%s", line, rows);
        exp_point_result_fini(&r[i]);
    }
    ck_assert_ptr_null(strstr(rows, "s 8 !"));
    ck_assert_ptr_nonnull(strstr(rows, "s 9 ! no key\n"));
    free(rows);
    exp_store_close(s);
}
END_TEST

START_TEST(points_of_another_version_of_the_study_are_stored_and_no_rows_of_it)
{
    const char *path = store_path("before.sqlite");
    struct exp_store *s = store_of(path, "s", "before");
    store_put(s, store_point(0, 0));
    store_put(s, store_point(1, 0));
    exp_store_close(s);
    s = store_of(store_path("now.sqlite"), "s", "now");
    ck_assert_uint_eq(merged(s, path).n_added, 2);
    char *rows = store_rows(s, NULL);
    ck_assert_str_eq(rows, "");
    free(rows);
    struct exp_point_result r = store_point(1, 0);
    ck_assert(exp_store_has(s, r.key));
    exp_point_result_fini(&r);
    store_adopt(s, store_point(1, 0));
    rows = store_rows(s, "s");
    ck_assert_ptr_nonnull(strstr(rows, "s 1 "));
    free(rows);
    exp_store_close(s);
}
END_TEST

START_TEST(measures_of_a_newer_program_come_along_and_other_columns_do_not)
{
    const char *path = shard("newer.sqlite", 0, 1, 3), *to = store_path("newer-to.sqlite");
    store_sql(path, "ALTER TABLE point ADD COLUMN p99_of_tomorrow_ms REAL;"
                    "ALTER TABLE point ADD COLUMN \"x\"\"); DROP TABLE point; --\" REAL;"
                    "UPDATE point SET p99_of_tomorrow_ms = idx + 0.5");
    struct exp_store *s = store_of(to, "s", "text");
    store_put(s, store_point(7, 0));
    ck_assert_uint_eq(merged(s, path).n_added, 3);
    store_put(s, store_point(8, 0));
    exp_store_close(s);
    ck_assert_int_eq(store_sql(to, "SELECT sum(p99_of_tomorrow_ms = idx + 0.5) FROM point"), 3);
    ck_assert_int_eq(store_sql(to, "SELECT count(*) FROM point"), 5);
    ck_assert_int_eq(
        store_sql(to, "SELECT count(*) FROM pragma_table_info('point') WHERE name LIKE '%DROP%'"), 0);
}
END_TEST

/* ---- files that others left ---- */

START_TEST(a_file_is_not_merged_into_itself_whatever_it_is_called)
{
    const char *path = store_path("self.sqlite"), *link = store_path("link.sqlite");
    struct exp_store *s = store_of(path, "s", "text");
    store_put(s, store_point(0, 0));
    ck_assert_int_eq(symlink(path, link), 0);
    not_merged(s, path, "is the file to merge into");
    not_merged(s, link, "is the file to merge into");
    not_merged(s, store_path("absent.sqlite"), "No such file");
    not_merged(s, test_file("text.sqlite", "no database at all, but long enough to be taken for one\n"),
               "no SQLite file");
    exp_store_close(s);
}
END_TEST

/* A child that puts n points and stays; killed by the caller. */
static pid_t writer(const char *path, enum exp_store_mode mode, uint64_t n)
{
    int ready[2];
    char c = 'y';
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct exp_store *s = store_opened(path, mode);
        store_study(s, "s", "text");
        for (uint64_t i = 0; i < n; i++) store_put(s, store_point(i, 0));
        if (write(ready[1], &c, 1) != 1) _exit(1);
        while (true) pause();
    }
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    return pid;
}

START_TEST(a_file_in_use_is_refused_and_what_its_killed_writer_left_in_the_log_is_taken)
{
    const enum exp_store_mode modes[] = {EXP_STORE_WRITE, EXP_STORE_SHARD};
    for (int i = 0; i < 2; i++) {
        const char *path = store_path(i ? "crashed-shard.sqlite" : "crashed.sqlite");
        pid_t pid = writer(path, modes[i], 20);
        struct exp_store *s =
            store_opened(store_path(i ? "into-1.sqlite" : "into-0.sqlite"), EXP_STORE_WRITE);
        char part[40];
        snprintf(part, sizeof part, "by process %ld", (long)pid);
        not_merged(s, path, part);
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        struct stat log;
        char *name = sim_printf("%s-wal", path);
        ck_assert_int_eq(stat(name, &log), 0);
        ck_assert_int_gt(log.st_size, 20 * 4096);
        free(name);
        ck_assert_uint_eq(merged(s, path).n_added, 20);
        exp_store_close(s);
    }
}
END_TEST

START_TEST(a_damaged_point_stops_its_file)
{
    const char *path = shard("damaged.sqlite", 0, 1, 4);
    struct exp_store *s = store_of(store_path("damaged-to.sqlite"), "s", "text");
    store_sql(path, "UPDATE point SET setup = x'00ff' WHERE idx = 2");
    not_merged(s, path, "without its setup");
    store_sql(path, "UPDATE point SET setup = 'x', duration_s = 'a text' WHERE idx = 2");
    ck_assert_uint_eq(merged(s, path).n_added, 4);
    exp_store_close(s);
    ck_assert_int_eq(store_sql(store_path("damaged-to.sqlite"),
                               "SELECT count(*) FROM point WHERE typeof(duration_s) = 'text'"),
                     0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("store_merge");
    TCase *c = tcase_create("merge");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, shards_merged_in_any_order_are_the_store_of_one_process);
    tcase_add_test(c, a_key_with_another_number_stops_the_file_and_names_the_measure);
    tcase_add_test(c, failed_points_come_along_unless_there_is_a_done_one);
    tcase_add_test(c, points_of_another_version_of_the_study_are_stored_and_no_rows_of_it);
    tcase_add_test(c, measures_of_a_newer_program_come_along_and_other_columns_do_not);
    tcase_add_test(c, a_file_is_not_merged_into_itself_whatever_it_is_called);
    tcase_add_test(c, a_file_in_use_is_refused_and_what_its_killed_writer_left_in_the_log_is_taken);
    tcase_add_test(c, a_damaged_point_stops_its_file);
    suite_add_tcase(suite, c);
    return suite;
}
