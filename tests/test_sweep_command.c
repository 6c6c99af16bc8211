/* `kvsim sweep` as a user runs it, kills it, runs it twice at once, on a full disk and under mpirun. Oracles: what sqlite reads
 * from the file afterwards, the lines of --verbose, rows of an undisturbed run. */
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "tests/command_help.h"
#include "tests/sweep_help.h"

enum { MAX_POINTS = 4096 };

/* 2 x rates x seeds points that all run. */
static const char *plain_study_of(const char *name, int n_rates, int n_seeds, int n_requests)
{
    char file[100], *text = sim_printf("scenario: base.yaml\n"
                                       "set: {workload.open_loop.num_requests: %d}\n"
                                       "grid:\n"
                                       "  strategy: [full, fp8]\n"
                                       "  workload.open_loop.request_rate: {from: 4, to: 20, count: %d}\n"
                                       "  seed: {from: 1, to: %d, count: %d}\n",
                                       n_requests, n_rates, n_seeds, n_seeds);
    snprintf(file, sizeof file, "%s.yaml", name);
    sweep_scenario();
    const char *path = test_file(file, text);
    free(text);
    return path;
}

static const char *plain_study(const char *name, int n_rates, int n_seeds)
{
    return plain_study_of(name, n_rates, n_seeds, 60);
}

/* ---- the file, by sqlite alone ---- */

struct stored {
    bool at[MAX_POINTS];
    uint32_t n;
};

static struct stored stored_in(const char *db)
{
    struct stored out = {0};
    sqlite3 *file;
    sqlite3_stmt *q;
    ck_assert_int_eq(sqlite3_open(sweep_path(db), &file), SQLITE_OK);
    if (sqlite3_prepare_v2(file, "SELECT idx FROM point", -1, &q, NULL) == SQLITE_OK)
        for (; sqlite3_step(q) == SQLITE_ROW; out.n++) out.at[sqlite3_column_int(q, 0)] = true;
    sqlite3_finalize(q);
    sqlite3_close(file);
    return out;
}

static void is_whole(const char *db)
{
    sqlite3 *file;
    sqlite3_stmt *q;
    ck_assert_int_eq(sqlite3_open(sweep_path(db), &file), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(file, "PRAGMA integrity_check", -1, &q, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(q, 0), "ok");
    sqlite3_finalize(q);
    sqlite3_close(file);
}

/* ---- a run that is watched ---- */

struct watched {
    pid_t pid;
    FILE *lines; /* its standard error */
    bool begun[MAX_POINTS];
    uint32_t n_begun, n_stored;
    char last[1024]; /* line that is neither */
};

static struct watched watch(const char *study, const char *db, const char *jobs)
{
    struct watched w = {0};
    int pipe_ends[2];
    ck_assert_int_eq(pipe(pipe_ends), 0);
    w.pid = fork();
    ck_assert_int_ge(w.pid, 0);
    if (w.pid == 0) {
        if (chdir(test_dir()) != 0 || !freopen("/dev/null", "w", stdout)) _exit(126);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        execl(program(), "kvsim", "sweep", study, "--db", db, "-j", jobs, "--verbose", (char *)NULL);
        _exit(127);
    }
    close(pipe_ends[1]);
    w.lines = fdopen(pipe_ends[0], "r");
    return w;
}

/* Reads on until so many points are stored; false when the run ended before. */
static bool wait_stored(struct watched *w, uint32_t n)
{
    char line[1024];
    unsigned i;
    while (w->n_stored < n && fgets(line, sizeof line, w->lines)) {
        if (sscanf(line, "begin %u", &i) == 1) {
            ck_assert_uint_lt(i, MAX_POINTS);
            ck_assert_msg(!w->begun[i], "point %u began twice in one run", i);
            w->begun[i] = true;
            w->n_begun++;
        } else if (strncmp(line, "stored ", 7) == 0) {
            w->n_stored++;
        } else {
            snprintf(w->last, sizeof w->last, "%s", line);
        }
    }
    return w->n_stored >= n;
}

/* How it ended, as wait has it; what it had to say is read to the end. */
static int ended(struct watched *w)
{
    int status;
    wait_stored(w, UINT32_MAX);
    fclose(w->lines);
    ck_assert_int_eq(waitpid(w->pid, &status, 0), w->pid);
    return status;
}

START_TEST(kill_9_twenty_times_loses_no_stored_point_and_repeats_at_most_one_a_thread)
{
    enum { KILLS = 20, JOBS = 2 };
    /* Points of about a millisecond, so that none of 20 runs gets to the end before it is killed. */
    const char *study = plain_study_of("killed", 25, 20, 200);
    uint32_t random = 12345, kills = 0;
    for (; kills < KILLS; kills++) {
        struct stored before = stored_in("killed.sqlite");
        struct watched w = watch(study, "killed.sqlite", "2");
        random = random * 1664525 + 1013904223;
        ck_assert_msg(wait_stored(&w, 1 + (random >> 24) % 7), "all points were done after %u kills", kills);
        kill(w.pid, SIGKILL);
        int status = ended(&w);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        struct stored after = stored_in("killed.sqlite");
        uint32_t lost = 0;
        for (int i = 0; i < MAX_POINTS; i++) {
            ck_assert_msg(!before.at[i] || after.at[i], "point %d was stored and is gone", i);
            ck_assert_msg(!before.at[i] || !w.begun[i], "point %d was stored and is computed again", i);
            ck_assert_msg(!after.at[i] || before.at[i] || w.begun[i], "point %d came from nowhere", i);
            lost += w.begun[i] && !after.at[i];
        }
        ck_assert_uint_le(lost, JOBS);
        is_whole("killed.sqlite");
    }
    json_t *rest = json_of("sweep killed.yaml --db killed.sqlite --json"),
           *all = json_of("sweep killed.yaml --db undisturbed.sqlite --json");
    ck_assert_double_eq(number(rest, "computed") + number(rest, "reused"), 1000);
    ck_assert_double_eq(number(all, "computed"), 1000);
    ck_assert_double_gt(number(rest, "reused"), KILLS);
    json_decref(rest);
    json_decref(all);
    sweep_same_rows(sweep_path("killed.sqlite"), sweep_path("undisturbed.sqlite"));
}
END_TEST

/* ---- two at once, and an end in good order ---- */

START_TEST(a_second_process_is_refused_by_name_and_a_signal_ends_the_first_in_good_order)
{
    const char *study = plain_study("twice", 40, 40);
    struct watched first = watch(study, "twice.sqlite", "1");
    char owner[40];
    ck_assert(wait_stored(&first, 3));
    snprintf(owner, sizeof owner, "process %ld ", (long)first.pid);
    fails("sweep twice.yaml --db twice.sqlite", 1, owner);
    ck_assert(wait_stored(&first, first.n_stored + 1)); /* it goes on undisturbed */
    kill(first.pid, SIGTERM);
    int status = ended(&first);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 130, "status %x: %s", (unsigned)status,
                  first.last);
    uint32_t n = stored_in("twice.sqlite").n;
    char *line = sim_printf(
        "interrupted: %u of 3200 points are stored, 0 of them as failed; the same command goes on\n", n);
    ck_assert_str_eq(first.last, line);
    ck_assert_uint_eq(n, first.n_stored);
    free(line);
    line = sim_printf("sweep twice.yaml --db twice.sqlite --dry-run --json");
    json_t *now = json_of(line);
    ck_assert_double_eq(number(now, "stored"), n);
    ck_assert_double_eq(number(now, "open"), 3200 - n);
    json_decref(now);
    free(line);
    struct watched next = watch(study, "twice.sqlite", "1"); /* the lease is free */
    ck_assert(wait_stored(&next, 1));
    kill(next.pid, SIGINT);
    ck_assert_int_eq(WEXITSTATUS(ended(&next)), 130);
}
END_TEST

/* ---- places that cannot be written ---- */

START_TEST(a_full_disk_is_one_line_and_what_is_stored_stays)
{
    plain_study("full", 10, 10);
    int code = shell("ulimit -f 400 && trap '' XFSZ &&", "sweep full.yaml -j 2", ">out.txt 2>err.txt");
    char *err = sim_alloc(TEXT_BYTES, 1);
    slurp("err.txt", err);
    ck_assert_int_eq(code, 1);
    ck_assert_msg(strstr(err, "no room to write") != NULL, "%s", err);
    ck_assert_int_eq(lines_of(err), 1);
    uint32_t n = stored_in("full.sqlite").n;
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_lt(n, 200);
    is_whole("full.sqlite");
    json_t *rest = json_of("sweep full.yaml --json");
    ck_assert_double_eq(number(rest, "reused"), n);
    ck_assert_double_eq(number(rest, "computed"), 200 - n);
    json_decref(rest);
    free(err);
}
END_TEST

START_TEST(what_cannot_be_done_is_one_line_and_writes_nothing)
{
    static const struct {
        const char *arguments, *expected;
        int code;
    } cases[] = {
        {"sweep ok.yaml --db nowhere/x.sqlite", "nowhere", 1},
        {"sweep ok.yaml --db /proc/x.sqlite", "/proc/x.sqlite", 1},
        {"sweep ok.yaml --db ok.yaml", "ok.yaml: is no SQLite file", 1},
        {"sweep gone.yaml", "gone.yaml", 1},
        {"sweep empty.yaml", "empty.yaml", 1},
        {"sweep ok.yaml --csv nowhere/x.csv", "nowhere", 1},
        {"sweep --db x.sqlite --merge gone.sqlite", "gone.sqlite", 1},
        {"sweep --db x.sqlite --merge 'gone/*.sqlite'", "nothing matches", 1},
    };
    plain_study("ok", 2, 2);
    test_file("empty.yaml", "scenario: base.yaml\ngrid: {}\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        fails(cases[i].arguments, cases[i].code, cases[i].expected);
    ck_assert(!there("ok.sqlite") && !there("empty.sqlite") && !there("nowhere") && !there("x.sqlite"));
}
END_TEST

START_TEST(wrong_usage_is_exit_2)
{
    static const char *const wrong[] = {"",
                                        "ok.yaml --shard 0/4",
                                        "ok.yaml --shard 5/4",
                                        "ok.yaml --shard 3",
                                        "ok.yaml --shard /4",
                                        "ok.yaml --shard 1/-4",
                                        "ok.yaml -j 0",
                                        "ok.yaml ok.yaml",
                                        "ok.yaml --db ''",
                                        "ok.yaml --shard 1/2 --merge a.sqlite",
                                        "ok.yaml --dry-run --merge a.sqlite",
                                        "ok.yaml --json --csv -",
                                        "ok.yaml --csv ok.yaml",
                                        "ok.yaml --csv x.sqlite --db x.sqlite",
                                        "--merge a.sqlite"};
    plain_study("ok", 2, 2);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *line = sim_printf("sweep %s", wrong[i]);
        const struct ran *r = kvsim(line);
        ck_assert_msg(r->code == 2, "%s: exit %d: %s", line, r->code, r->err);
        free(line);
    }
    ck_assert(!there("ok.sqlite"));
}
END_TEST

START_TEST(a_study_in_which_every_point_fails_is_exit_1_with_the_reason)
{
    sweep_scenario();
    test_file("none.yaml", "scenario: base.yaml\n"
                           "set: {fleet.0.pipeline_parallel: 2}\n"
                           "grid: {strategy: [freekv, arkvale]}\n");
    const struct ran *r = kvsim("sweep none.yaml");
    ck_assert_int_eq(r->code, 1);
    ck_assert_ptr_nonnull(strstr(r->err, "all 2 points failed"));
    ck_assert_ptr_nonnull(strstr(r->out, "2 of 2 failed"));
    ck_assert_uint_eq(stored_in("none.sqlite").n, 2);
}
END_TEST

/* ---- shards, merged, as CSV ---- */

START_TEST(shards_merge_into_what_one_run_stores)
{
    const char *study = sweep_study("part", 2, 2); /* 12 points, 4 fail */
    works("sweep part.yaml --db one.sqlite");
    works("sweep part.yaml --shard 1/2");
    const struct ran *r = works("sweep --db all.sqlite --merge part-1-of-2.sqlite part.yaml");
    ck_assert_msg(strstr(r->out, "8 of 12 points are open, 2 of them because they failed") != NULL, "%s",
                  r->out);
    works("sweep part.yaml --shard 2/2");
    json_t *o = json_of("sweep --db all.sqlite --merge part-1-of-2.sqlite part-2-of-2.sqlite --json");
    ck_assert_double_eq(number(o, "added"), 6);
    ck_assert_double_eq(number(o, "known"), 6);
    json_decref(o);
    sweep_same_rows(sweep_path("all.sqlite"), sweep_path("one.sqlite"));
    fails("sweep --db all.sqlite --merge all.sqlite", 2, "--db itself");
    r = works("sweep part.yaml --db one.sqlite --keep-failed --csv -");
    ck_assert_int_eq(lines_of(r->out), 13);
    ck_assert_msg(strncmp(r->out, "strategy,", 9) == 0, "%s", r->out);
    (void)study;
}
END_TEST

START_TEST(a_dry_run_writes_nothing_and_counts)
{
    plain_study("dry", 3, 2);
    int files = files_with(".", "sqlite");
    json_t *o = json_of("sweep dry.yaml --dry-run --json");
    ck_assert_double_eq(number(o, "points"), 12);
    ck_assert_double_eq(number(o, "open"), 12);
    ck_assert_double_gt(number(o, "expected_s"), 0);
    json_decref(o);
    const struct ran *r = works("sweep dry.yaml --dry-run");
    ck_assert_ptr_nonnull(strstr(r->out, "strategy: 2 values, full to fp8"));
    ck_assert_int_eq(files_with(".", "sqlite"), files);
    r = works("sweep --db 'my db.sqlite' -j 2 --dry-run dry.yaml --keep-failed --shard 1/2");
    ck_assert_str_eq(r->err,
                     "next: kvsim sweep dry.yaml -j 2 --shard 1/2 --db 'my db.sqlite' --keep-failed\n");
}
END_TEST

/* ---- many processes ---- */

static bool has_mpi(void)
{
    char *line = sim_printf("command -v mpirun >/dev/null 2>&1 && ldd '%s' | grep -q libmpi", program());
    bool has = system(line) == 0;
    free(line);
    if (!has) test_skip("built without MPI, or no mpirun here");
    return has;
}

/* Leaks of MPI's own are none of ours. */
#define MPIRUN                                                                                               \
    "ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=ignore_noninstrumented_modules=1 OMPI_ALLOW_RUN_AS_ROOT=1 "    \
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --quiet --oversubscribe --bind-to none -n"

/* Exit code of `mpirun -n N kvsim ARGUMENTS`. */
static int mpirun(int n, const char *arguments)
{
    char *before = sim_printf(MPIRUN " %d", n);
    int code = shell(before, arguments, ">out.txt 2>err.txt");
    free(before);
    return code;
}

enum { OUT, ERR, CODE, N_STREAMS };
static const char *const streams[N_STREAMS] = {"out", "err", "code"};

/* Run i of several at once (an mpirun whose program failed takes its time to end) into out-i.txt, err-i.txt, code-i.txt. */
static char *in_background(int i, const char *arguments)
{
    return sim_printf("(" MPIRUN " 2 '%s' %s >out-%d.txt 2>err-%d.txt; echo $? >code-%d.txt) &", program(),
                      arguments, i, i, i);
}

START_TEST(ranks_store_the_same_rows_as_one_process_and_only_the_first_speaks)
{
    char *text = sim_alloc(TEXT_BYTES, 1);
    json_error_t why;
    if (!has_mpi()) return;
    sweep_study("ranks", 5, 4); /* 60 points, 20 fail */
    works("sweep ranks.yaml --db alone.sqlite");
    for (int n = 2; n <= 3; n++) {
        char *line = sim_printf("sweep ranks.yaml --db n%d.sqlite -j %d --json", n, n - 1),
             *db = sim_printf("n%d.sqlite", n);
        int code = mpirun(n, line);
        slurp("err.txt", text);
        ck_assert_msg(code == 0, "exit %d: %s", code, text);
        ck_assert_int_eq(lines_of(text), 1); /* next: ... */
        slurp("out.txt", text);
        json_t *o = json_loads(text, 0, &why);
        ck_assert_msg(o != NULL, "%s: %s", why.text, text);
        ck_assert_double_eq(number(o, "computed"), 60);
        ck_assert_double_eq(number(o, "failed"), 20);
        json_decref(o);
        sweep_same_rows(sweep_path("alone.sqlite"), sweep_path(db));
        free(line);
        free(db);
    }
    free(text);
}
END_TEST

START_TEST(ranks_end_together_on_a_mistake_with_one_line_and_its_exit_code)
{
    static const struct {
        const char *arguments, *expected;
        int code;
    } cases[] = {{"sweep gone.yaml", "gone.yaml", 1},
                 {"sweep ok.yaml --db nowhere/x.sqlite", "nowhere", 1},
                 {"sweep ok.yaml --shard 1/2", "--shard and mpirun", 2}};
    enum { N = sizeof cases / sizeof *cases };
    if (!has_mpi()) return;
    plain_study("ok", 2, 2);
    char *line = sim_printf("cd '%s'; ", test_dir()), *text = sim_alloc(TEXT_BYTES, 1), name[N_STREAMS][20];
    for (int i = 0; i < N; i++) {
        char *one = in_background(i, cases[i].arguments), *longer = sim_printf("%s %s", line, one);
        free(one);
        free(line);
        line = longer;
    }
    char *all = sim_printf("%s wait", line);
    ck_assert_int_eq(system(all), 0);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N_STREAMS; k++) snprintf(name[k], sizeof name[k], "%s-%d.txt", streams[k], i);
        slurp(name[CODE], text);
        int code = atoi(text);
        slurp(name[ERR], text);
        ck_assert_msg(code == cases[i].code, "%s: exit %d: %s", cases[i].arguments, code, text);
        const char *first = strstr(text, cases[i].expected);
        ck_assert_msg(first != NULL, "%s: %s", cases[i].arguments, text);
        ck_assert_msg(!strstr(strchr(first, '\n'), cases[i].expected), "told twice: %s", text);
        slurp(name[OUT], text);
        ck_assert_str_eq(text, "");
    }
    free(all);
    free(line);
    free(text);
}
END_TEST

START_TEST(ranks_that_read_other_files_are_named_before_anything_is_stored)
{
    char *text = sim_alloc(TEXT_BYTES, 1);
    if (!has_mpi()) return;
    plain_study("apart", 2, 2);
    char *line = sim_printf("cd '%s' && mkdir -p other && cp apart.yaml other && "
                            "sed 's/lognormal:600/lognormal:601/' base.yaml >other/base.yaml",
                            test_dir());
    ck_assert_int_eq(system(line), 0);
    free(line);
    line =
        sim_printf("sweep apart.yaml : -n 1 --wdir '%s/other' '%s' sweep apart.yaml", test_dir(), program());
    int code = mpirun(1, line);
    slurp("err.txt", text);
    ck_assert_int_eq(code, 1);
    ck_assert_msg(strncmp(text, "kvsim sweep: rank 1 on ", 23) == 0, "%s", text);
    ck_assert(!there("apart.sqlite") && !there("other/apart.sqlite"));
    free(line);
    free(text);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("sweep_command");
    TCase *c = tcase_create("sweep_command");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, kill_9_twenty_times_loses_no_stored_point_and_repeats_at_most_one_a_thread);
    tcase_add_test(c, a_second_process_is_refused_by_name_and_a_signal_ends_the_first_in_good_order);
    tcase_add_test(c, a_full_disk_is_one_line_and_what_is_stored_stays);
    tcase_add_test(c, what_cannot_be_done_is_one_line_and_writes_nothing);
    tcase_add_test(c, wrong_usage_is_exit_2);
    tcase_add_test(c, a_study_in_which_every_point_fails_is_exit_1_with_the_reason);
    tcase_add_test(c, shards_merge_into_what_one_run_stores);
    tcase_add_test(c, a_dry_run_writes_nothing_and_counts);
    tcase_add_test(c, ranks_store_the_same_rows_as_one_process_and_only_the_first_speaks);
    tcase_add_test(c, ranks_end_together_on_a_mistake_with_one_line_and_its_exit_code);
    tcase_add_test(c, ranks_that_read_other_files_are_named_before_anything_is_stored);
    suite_add_tcase(s, c);
    return s;
}
