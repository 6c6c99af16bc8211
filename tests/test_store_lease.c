/* One writer at a time: who holds the lease, who may take it over, and two that come at once. Oracles: processes that this
 * test starts, kills and counts. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/store_help.h"

/* A child that opens the store, says so on `ready`, and waits for a word on `go`; exits 0 when opened, 1 when refused. */
struct child {
    pid_t pid;
    int ready, go;
};

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* `won`, a pipe that children share: the one that has the file open puts a word in, which stays there; until then a file that
 * is locked is tried again. NULL = it is tried once. */
static void child_main(const char *path, enum exp_store_mode mode, const int *won, const int pipes[2])
{
    struct sim_status st;
    struct exp_store *s;
    int ready = pipes[0], go = pipes[1];
    do {
        st = (struct sim_status){0};
        s = exp_store_open_within(path, mode, 0, &st);
    } while (!s && won && !readable(won[0]));
    char c = s ? 'y' : 'n';
    if (s) store_study(s, "s", "");
    if ((s && won && write(won[1], &c, 1) != 1) || write(ready, &c, 1) != 1) _exit(2);
    while (read(go, &c, 1) < 0 && errno == EINTR) continue;
    exp_store_close(s);
    _exit(s ? 0 : 1);
}

static struct child start_race(const char *path, enum exp_store_mode mode, const int *won)
{
    int ready[2], go[2];
    ck_assert(pipe(ready) == 0 && pipe(go) == 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ready[0]);
        close(go[1]);
        child_main(path, mode, won, (const int[]){ready[1], go[0]});
    }
    close(ready[1]);
    close(go[0]);
    return (struct child){pid, ready[0], go[1]};
}

static struct child start(const char *path, enum exp_store_mode mode)
{
    return start_race(path, mode, NULL);
}

static bool opened(const struct child *c)
{
    char got = '?';
    ck_assert_int_eq(read(c->ready, &got, 1), 1);
    ck_assert(got == 'y' || got == 'n');
    return got == 'y';
}

static int ended(struct child *c)
{
    int status;
    ck_assert_int_eq(write(c->go, "x", 1), 1); /* not its end: other children have it, too */
    close(c->go);
    close(c->ready);
    ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void killed(struct child *c)
{
    int status;
    kill(c->pid, SIGKILL);
    ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
    close(c->go);
    close(c->ready);
}

START_TEST(a_second_writer_is_refused_with_the_first_ones_number_and_start)
{
    const char *path = store_path("two.sqlite");
    struct child c = start(path, EXP_STORE_WRITE);
    ck_assert(opened(&c));
    char part[80];
    snprintf(part, sizeof part, "is being written by process %ld on ", (long)c.pid);
    store_refused(path, EXP_STORE_WRITE, part);
    store_refused(path, EXP_STORE_SHARD, "process");
    struct exp_store *reader = store_opened(path, EXP_STORE_READ);
    exp_store_close(reader);
    ck_assert_int_eq(ended(&c), 0);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM lease"), 0);
    exp_store_close(store_opened(path, EXP_STORE_WRITE));
}
END_TEST

START_TEST(a_second_writer_in_this_process_is_refused_too)
{
    const char *path = store_path("own.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    store_refused(path, EXP_STORE_WRITE, "is being written by process");
    store_put(s, store_point(0, 0)); /* the first one still holds its locks */
    exp_store_close(s);
}
END_TEST

START_TEST(a_killed_writers_lease_is_taken_over_and_its_points_are_there)
{
    const enum exp_store_mode modes[] = {EXP_STORE_WRITE, EXP_STORE_SHARD};
    for (int i = 0; i < 2; i++) {
        const char *path = store_path(i ? "killed-shard.sqlite" : "killed.sqlite");
        struct child c = start(path, modes[i]);
        ck_assert(opened(&c));
        killed(&c);
        ck_assert_int_eq(store_sql(path, "SELECT pid FROM lease"), c.pid);
        struct exp_store *s = store_opened(path, modes[i]);
        store_study(s, "s", "");
        store_put(s, store_point(0, 0));
        exp_store_close(s);
        ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM lease"), 0);
        ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point"), 1);
    }
}
END_TEST

START_TEST(a_killed_writer_whose_parent_has_not_asked_is_dead)
{
    const char *path = store_path("zombie.sqlite");
    struct child c = start(path, EXP_STORE_WRITE);
    siginfo_t info;
    ck_assert(opened(&c));
    kill(c.pid, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT), 0);
    exp_store_close(store_opened(path, EXP_STORE_WRITE));
    killed(&c);
}
END_TEST

/* ---- leases written by hand ---- */

static void lease(const char *path, const struct exp_process *p, int age_s)
{
    char *sql =
        sqlite3_mprintf("INSERT OR REPLACE INTO lease VALUES(1, %d, %Q, %Q, '2026-01-02T03:04:05.000Z',"
                        " strftime('%%Y-%%m-%%dT%%H:%%M:%%fZ', 'now', '-%d seconds'))",
                        (int)p->pid, p->host, p->birth, age_s);
    store_sql(path, sql);
    sqlite3_free(sql);
}

START_TEST(a_process_number_that_another_process_has_now_is_no_owner)
{
    const char *path = store_path("recycled.sqlite");
    struct exp_process p;
    exp_process_self(&p);
    exp_store_close(store_of(path, "s", ""));
    lease(path, &p, 0);
    store_refused(path, EXP_STORE_WRITE, "since 2026-01-02T03:04:05.000Z");
    *strrchr(p.birth, ' ') = '\0';
    strcat(p.birth, " 1"); /* the process of this number began with the machine */
    lease(path, &p, 0);
    exp_store_close(store_opened(path, EXP_STORE_WRITE));
}
END_TEST

START_TEST(an_owner_elsewhere_counts_for_a_minute_after_its_last_sign)
{
    const char *path = store_path("elsewhere.sqlite");
    struct exp_process p;
    exp_process_self(&p);
    snprintf(p.host, sizeof p.host, "node17");
    exp_store_close(store_of(path, "s", ""));
    lease(path, &p, 20);
    store_refused(path, EXP_STORE_WRITE, "on node17 since");
    lease(path, &p, 90);
    exp_store_close(store_opened(path, EXP_STORE_WRITE));
    store_sql(path, "INSERT INTO lease VALUES(1, 12, 'node17', 'x', 'y', 'no time at all')");
    exp_store_close(store_opened(path, EXP_STORE_WRITE));
}
END_TEST

START_TEST(a_start_of_the_machine_ends_leases_on_a_local_file_system)
{
    struct exp_process self, other;
    exp_process_self(&self);
    other = self;
    ck_assert_int_eq(exp_process_life(&self, &other), EXP_LIFE_ALIVE);
    memcpy(other.birth, "11111111-", 9);
    ck_assert_int_eq(exp_process_life(&self, &other), EXP_LIFE_REBOOTED);
    snprintf(other.birth, sizeof other.birth, "nonsense");
    ck_assert_int_eq(exp_process_life(&self, &other), EXP_LIFE_ELSEWHERE);
    const char *path = store_path("rebooted.sqlite");
    exp_store_close(store_of(path, "s", ""));
    other = self;
    memcpy(other.birth, "11111111-", 9);
    lease(path, &other, 0);
    exp_store_close(store_opened(path, EXP_STORE_WRITE));
}
END_TEST

/* ---- at once ---- */

START_TEST(of_many_that_open_a_new_file_at_once_exactly_one_writes)
{
    enum { N = 6 };
    const enum exp_store_mode modes[] = {EXP_STORE_WRITE, EXP_STORE_SHARD};
    struct child c[N];
    for (int round = 0; round < 4; round++) {
        const char *path = store_path("race.sqlite");
        int n_opened = 0, n_ended_well = 0, won[2];
        unlink(path);
        ck_assert_int_eq(pipe(won), 0);
        for (int i = 0; i < N; i++) c[i] = start_race(path, modes[round % 2], won);
        for (int i = 0; i < N; i++) n_opened += opened(&c[i]);
        for (int i = 0; i < N; i++) n_ended_well += ended(&c[i]) == 0;
        close(won[0]);
        close(won[1]);
        ck_assert_int_eq(n_opened, 1);
        ck_assert_int_eq(n_ended_well, 1);
        ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM lease"), 0);
    }
}
END_TEST

START_TEST(a_shard_is_locked_for_one_process_and_its_reader_is_told_which)
{
    const char *path = store_path("shard.sqlite");
    struct child c = start(path, EXP_STORE_SHARD);
    ck_assert(opened(&c));
    char part[80];
    snprintf(part, sizeof part, "is locked by process %ld;", (long)c.pid);
    store_refused(path, EXP_STORE_READ, part);
    ck_assert_int_eq(ended(&c), 0);
    char *mode = store_texts(path, "PRAGMA journal_mode");
    ck_assert_str_eq(mode, "delete\n"); /* one plain file when nobody writes it */
    free(mode);
    exp_store_close(store_opened(path, EXP_STORE_READ));
}
END_TEST

/* ---- staying alive ---- */

START_TEST(a_lease_is_renewed_every_ten_seconds_and_not_before)
{
    const char *path = store_path("renew.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    store_sql(path, "UPDATE lease SET renewed_at = 'long ago'");
    exp_store_renew(s);
    ck_assert_int_eq(store_sql(path, "SELECT renewed_at = 'long ago' FROM lease"), 1);
    s->renewed.tv_sec -= 11;
    exp_store_renew(s);
    ck_assert_int_eq(
        store_sql(path, "SELECT abs(julianday('now') - julianday(renewed_at)) * 86400 < 60 FROM lease"), 1);
    exp_store_close(s);
}
END_TEST

static void refuses_points(struct exp_store *s, const char *part)
{
    struct sim_status st = {0};
    struct exp_point_result r = store_point(1, 0);
    s->renewed.tv_sec -= 11;
    exp_store_renew(s);
    ck_assert(!exp_store_put(s, &r, &st));
    store_one_line(&st, s->path, part);
    exp_point_result_fini(&r);
}

START_TEST(a_writer_that_lost_its_lease_stores_nothing_more)
{
    const char *path = store_path("lost.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    store_put(s, store_point(0, 0));
    store_sql(path, "UPDATE lease SET pid = 1, host = 'node17'");
    refuses_points(s, "taken over");
    exp_store_close(s);
    ck_assert_int_eq(store_sql(path, "SELECT count(*) FROM point"), 1);
    ck_assert_int_eq(store_sql(path, "SELECT pid FROM lease WHERE host = 'node17'"),
                     1); /* not its to give back */
}
END_TEST

START_TEST(a_writer_whose_file_was_removed_says_so)
{
    const char *path = store_path("removed.sqlite");
    struct exp_store *s = store_of(path, "s", "");
    unlink(path);
    refuses_points(s, "removed or replaced");
    exp_store_close(s);
}
END_TEST

START_TEST(a_person_in_a_transaction_is_named)
{
    const char *path = store_path("person.sqlite");
    exp_store_close(store_of(path, "s", ""));
    int ready[2], go[2];
    char c = 'x';
    ck_assert(pipe(ready) == 0 && pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        sqlite3 *db;
        close(go[1]);
        bool ok =
            sqlite3_open(path, &db) == SQLITE_OK &&
            sqlite3_exec(db, "BEGIN IMMEDIATE; UPDATE study SET note = 'x'", NULL, NULL, NULL) == SQLITE_OK;
        if (!ok || write(ready[1], &c, 1) != 1) _exit(1);
        if (read(go[0], &c, 1) < 0) _exit(1);
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    struct exp_process self;
    char part[80];
    snprintf(part, sizeof part, "is locked by process %ld;", (long)pid);
    exp_process_self(&self);
    ck_assert_int_eq(exp_process_locking(path), pid);
    store_refused(path, EXP_STORE_WRITE, part);
    close(go[1]);
    waitpid(pid, NULL, 0);
    exp_store_close(store_opened(path, EXP_STORE_WRITE));
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("store_lease");
    TCase *c = tcase_create("owners");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_second_writer_is_refused_with_the_first_ones_number_and_start);
    tcase_add_test(c, a_second_writer_in_this_process_is_refused_too);
    tcase_add_test(c, a_killed_writers_lease_is_taken_over_and_its_points_are_there);
    tcase_add_test(c, a_killed_writer_whose_parent_has_not_asked_is_dead);
    tcase_add_test(c, a_process_number_that_another_process_has_now_is_no_owner);
    tcase_add_test(c, an_owner_elsewhere_counts_for_a_minute_after_its_last_sign);
    tcase_add_test(c, a_start_of_the_machine_ends_leases_on_a_local_file_system);
    tcase_add_test(c, of_many_that_open_a_new_file_at_once_exactly_one_writes);
    tcase_add_test(c, a_shard_is_locked_for_one_process_and_its_reader_is_told_which);
    tcase_add_test(c, a_lease_is_renewed_every_ten_seconds_and_not_before);
    tcase_add_test(c, a_writer_that_lost_its_lease_stores_nothing_more);
    tcase_add_test(c, a_writer_whose_file_was_removed_says_so);
    tcase_add_test(c, a_person_in_a_transaction_is_named);
    suite_add_tcase(suite, c);
    return suite;
}
