/* The bottom of everything: failures that travel, memory, files that are written whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/check.h"
#include "sim/evidence.h"
#include "sim/memory.h"
#include "sim/outfile.h"
#include "sim/status.h"
#include "tests/harness.h"

START_TEST(the_first_failure_is_the_one_that_is_told)
{
    struct sim_status st = {0};
    ck_assert_int_eq(st.code, SIM_EXIT_OK);
    ck_assert(!sim_fail_as(&st, SIM_EXIT_INFEASIBLE, "a.yaml:%d: no fleet is enough", 7));
    ck_assert(!sim_fail(&st, "later and less telling"));
    ck_assert_int_eq(st.code, SIM_EXIT_INFEASIBLE);
    ck_assert_str_eq(st.message, "a.yaml:7: no fleet is enough");
    struct sim_status plain = {0};
    ck_assert(!sim_fail(&plain, "x"));
    ck_assert_int_eq(plain.code, SIM_EXIT_FAILURE);
}
END_TEST

START_TEST(a_message_that_is_too_long_is_cut_and_ended)
{
    struct sim_status st = {0};
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sim_fail(&st, "%s", text);
    ck_assert_uint_eq(strlen(st.message), sizeof st.message - 1);
}
END_TEST

static bool is_all(const unsigned char *bytes, size_t n, unsigned char value)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != value) return false;
    return true;
}

START_TEST(an_arena_gives_zeroed_aligned_memory_that_overlaps_nothing)
{
    enum { N = 3000 };
    static unsigned char *parts[N];
    static size_t sizes[N];
    struct sim_arena *a = sim_arena_new();
    for (size_t i = 0; i < N; i++) { /* small ones, one larger than a chunk in between, empty ones */
        sizes[i] = i % 500 == 499 ? 200000 : i * 7 % 131;
        parts[i] = sim_arena_alloc(a, sizes[i], 1);
        ck_assert_uint_eq((uintptr_t)parts[i] % 16, 0);
        ck_assert(is_all(parts[i], sizes[i], 0));
        memset(parts[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (size_t i = 0; i < N; i++) ck_assert(is_all(parts[i], sizes[i], (unsigned char)(i % 255 + 1)));
    ck_assert_str_eq(sim_arena_strdup(a, "copied"), "copied");
    sim_arena_free(a);
    sim_arena_free(NULL);
}
END_TEST

START_TEST(strings_are_copied_and_printed_at_any_length)
{
    char *word = sim_strdup("word");
    char *padded = sim_printf("%s|%5000d|", word, 7);
    ck_assert_uint_eq(strlen(padded), 4 + 1 + 5000 + 1);
    ck_assert_str_eq(padded + strlen(padded) - 3, " 7|");
    padded = sim_realloc(padded, 5, 1);
    ck_assert_int_eq(memcmp(padded, "word|", 5), 0);
    free(padded);
    free(word);
}
END_TEST

/* The ways in which a program may end itself; each is run in a child of its own. */
static void allocate_more_than_there_is(void)
{
    volatile size_t n = SIZE_MAX / 4;
    free(sim_alloc(n, 1));
}

static void allocate_a_product_that_overflows(void)
{
    volatile size_t n = SIZE_MAX / 2;
    free(sim_realloc(NULL, n, 4));
}

static void arena_product_that_overflows(void)
{
    volatile size_t n = SIZE_MAX / 2;
    struct sim_arena *a = sim_arena_new();
    sim_arena_alloc(a, n, 4);
    sim_arena_free(a);
}

static void break_a_rule_in_simulated_time(void)
{
    volatile int one = 1;
    SIM_CHECK_AT(one == 2, 12.5, 42);
}

static void name_evidence_that_does_not_exist(void)
{
    sim_evidence_name(SIM_N_EVIDENCE);
}

/* Runs act in a child and returns what it said on stderr; fails if the child lived. */
static const char *last_words(void (*act)(void))
{
    static char said[4096];
    const char *path = test_file("stderr", "");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        int file = open(path, O_WRONLY | O_TRUNC);
        if (dup2(file, STDERR_FILENO) == STDERR_FILENO) act();
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status != 0, "the program went on");
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    said[fread(said, 1, sizeof said - 1, f)] = '\0';
    fclose(f);
    return said;
}

START_TEST(without_memory_the_program_ends_and_says_how_much_was_asked)
{
    ck_assert_uint_gt(strlen(last_words(allocate_more_than_there_is)), 0);
    ck_assert_ptr_nonnull(strstr(last_words(allocate_a_product_that_overflows), "9223372036854775807 x 4"));
    ck_assert_ptr_nonnull(strstr(last_words(arena_product_that_overflows), "9223372036854775807 x 4"));
}
END_TEST

START_TEST(a_broken_rule_names_itself_its_place_the_time_and_the_seed)
{
    const char *said = last_words(break_a_rule_in_simulated_time);
    ck_assert_ptr_nonnull(strstr(said, "one == 2"));
    ck_assert_ptr_nonnull(strstr(said, "test_foundation.c:"));
    ck_assert_ptr_nonnull(strstr(said, "simulated time 12.5 s, seed 42"));
}
END_TEST

START_TEST(evidence_has_a_name_each_from_best_to_worst_and_no_others)
{
    static const char *const names[] = {"measured", "interpolated", "extrapolated", "transferred",
                                        "analytic"};
    ck_assert_int_eq(SIM_N_EVIDENCE, 5);
    for (int i = 0; i < SIM_N_EVIDENCE; i++)
        ck_assert_str_eq(sim_evidence_name((enum sim_evidence)i), names[i]);
    last_words(name_evidence_that_does_not_exist);
}
END_TEST

/* A new folder for a test of files. */
static const char *make_folder(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    ck_assert_int_eq(mkdir(path, 0777), 0);
    return path;
}

static char *in(const char *folder, const char *name)
{
    return sim_printf("%s/%s", folder, name);
}

static void assert_holds(const char *path, const char *text)
{
    char held[256];
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is not there", path);
    held[fread(held, 1, sizeof held - 1, f)] = '\0';
    fclose(f);
    ck_assert_str_eq(held, text);
}

static int n_entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void write_file(const char *path, const char *text)
{
    struct sim_status st = {0};
    struct sim_outfile *f = sim_outfile_open(path, &st);
    ck_assert_msg(f != NULL, "%s", st.message);
    ck_assert_int_ge(fputs(text, sim_outfile_stream(f)), 0);
    ck_assert_msg(sim_outfile_commit(f, &st), "%s", st.message);
}

START_TEST(a_file_appears_and_is_replaced_only_when_it_is_committed)
{
    const char *folder = make_folder("committed");
    char *path = in(folder, "summary.json");
    struct sim_status st = {0};
    struct sim_outfile *f = sim_outfile_open(path, &st);
    ck_assert_ptr_nonnull(f);
    fputs("first", sim_outfile_stream(f));
    fflush(sim_outfile_stream(f));
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert(sim_outfile_commit(f, &st));
    assert_holds(path, "first");
    write_file(path, "second");
    assert_holds(path, "second");
    ck_assert_int_eq(n_entries(folder), 1);
    ck_assert_int_eq(st.code, SIM_EXIT_OK);
    free(path);
}
END_TEST

START_TEST(an_abandoned_or_interrupted_write_leaves_what_was_there)
{
    const char *folder = make_folder("abandoned");
    char *path = in(folder, "requests.csv");
    struct sim_status st = {0};
    write_file(path, "whole");
    struct sim_outfile *f = sim_outfile_open(path, &st);
    ck_assert_ptr_nonnull(f);
    fputs("half", sim_outfile_stream(f));
    sim_outfile_abandon(f);
    sim_outfile_abandon(NULL);
    ck_assert_int_eq(n_entries(folder), 1);
    pid_t child = fork();
    if (child == 0) {
        f = sim_outfile_open(path, &st);
        if (f) fputs("half", sim_outfile_stream(f)), fflush(sim_outfile_stream(f));
        raise(SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    assert_holds(path, "whole");
    free(path);
}
END_TEST

/* A disk that is full after `room` bytes, for files that this process writes. */
static void limit_disk(rlim_t room)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = room;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_device_and_a_link_keep_their_places)
{
    struct sim_status st = {0};
    struct stat is;
    const char *target = test_file("target.txt", "old");
    char link[400];
    snprintf(link, sizeof link, "%s/link.txt", test_dir());
    ck_assert_int_eq(symlink(target, link), 0);
    struct sim_outfile *f = sim_outfile_open(link, &st);
    ck_assert_ptr_nonnull(f);
    fputs("new", sim_outfile_stream(f));
    ck_assert_msg(sim_outfile_commit(f, &st), "%s", st.message);
    ck_assert(lstat(link, &is) == 0 && S_ISLNK(is.st_mode));
    ck_assert(stat(target, &is) == 0 && is.st_size == 3);
    f = sim_outfile_open("/dev/null", &st);
    ck_assert_ptr_nonnull(f);
    fputs("gone", sim_outfile_stream(f));
    ck_assert_msg(sim_outfile_commit(f, &st), "%s", st.message);
    ck_assert(stat("/dev/null", &is) == 0 && S_ISCHR(is.st_mode));
    f = sim_outfile_open("/dev/full", &st);
    if (!f) return; /* not everywhere */
    fputs("too much", sim_outfile_stream(f));
    ck_assert(!sim_outfile_commit(f, &st));
    ck_assert(stat("/dev/full", &is) == 0 && S_ISCHR(is.st_mode));
}
END_TEST

START_TEST(a_full_disk_is_one_line_of_failure_and_leaves_the_old_file_alone)
{
    const char *folder = make_folder("full");
    char *path = in(folder, "timeline.csv");
    write_file(path, "whole");
    static const int n_lines[] = {5, 100000}; /* found out when it is flushed, and while it is written */
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < 2; i++) {
        struct sim_status st = {0};
        struct sim_outfile *f = sim_outfile_open(path, &st);
        ck_assert_ptr_nonnull(f);
        limit_disk(16);
        for (int line = 0; line < n_lines[i]; line++) fputs("1234567890\n", sim_outfile_stream(f));
        bool committed = sim_outfile_commit(f, &st);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
        ck_assert_msg(!committed, "committed %d lines to a disk of 16 bytes", n_lines[i]);
        ck_assert_int_eq(st.code, SIM_EXIT_FAILURE);
        ck_assert_ptr_nonnull(strstr(st.message, path));
        ck_assert_msg(strstr(st.message, strerror(EFBIG)) != NULL, "no reason in: %s", st.message);
        ck_assert_ptr_null(strchr(st.message, '\n'));
        assert_holds(path, "whole");
        ck_assert_int_eq(n_entries(folder), 1);
    }
    free(path);
}
END_TEST

START_TEST(a_disk_that_was_full_for_a_moment_fails_the_whole_file)
{
    const char *folder = make_folder("moment");
    char *path = in(folder, "timeline.csv");
    struct sim_status st = {0};
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct sim_outfile *f = sim_outfile_open(path, &st);
    ck_assert_ptr_nonnull(f);
    limit_disk(16);
    for (int line = 0; line < 100000; line++) fputs("1234567890\n", sim_outfile_stream(f));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert(!sim_outfile_commit(f, &st)); /* what is still buffered could be written now */
    ck_assert_int_eq(st.code, SIM_EXIT_FAILURE);
    ck_assert_int_eq(n_entries(folder), 0);
    free(path);
}
END_TEST

START_TEST(a_place_that_cannot_be_written_is_named_with_the_reason)
{
    const char *folder = make_folder("places");
    char *file = in(folder, "file"), *below = in(folder, "file/x.csv"), *missing = in(folder, "none/x.csv");
    struct sim_status not_there = {0}, not_a_folder = {0}, is_a_folder = {0};
    int n_before = n_entries(test_dir());
    write_file(file, "x");
    ck_assert_ptr_null(sim_outfile_open(missing, &not_there));
    ck_assert_ptr_nonnull(strstr(not_there.message, missing));
    ck_assert_ptr_nonnull(strstr(not_there.message, strerror(ENOENT)));
    ck_assert_ptr_null(sim_outfile_open(below, &not_a_folder));
    ck_assert_ptr_nonnull(strstr(not_a_folder.message, strerror(ENOTDIR)));
    ck_assert_ptr_null(sim_outfile_open(folder, &is_a_folder)); /* the name is taken by a folder */
    ck_assert_ptr_nonnull(strstr(is_a_folder.message, folder));
    ck_assert_ptr_nonnull(strstr(is_a_folder.message, "is a directory"));
    ck_assert_int_eq(n_entries(folder), 1);
    ck_assert_int_eq(n_entries(test_dir()), n_before);
    free(file);
    free(below);
    free(missing);
}
END_TEST

START_TEST(folders_are_made_with_their_parents_and_once_more_without_complaint)
{
    const char *folder = make_folder("made");
    char *deep = in(folder, "a//b/c/"), *file = in(folder, "a/file"), *below = in(folder, "a/file/d");
    struct sim_status st = {0}, over_file = {0}, under_file = {0};
    struct stat is;
    ck_assert_msg(sim_make_dir(deep, &st), "%s", st.message);
    ck_assert_msg(sim_make_dir(deep, &st), "%s", st.message);
    ck_assert(stat(deep, &is) == 0 && S_ISDIR(is.st_mode));
    ck_assert(sim_make_dir("/", &st));
    write_file(file, "x");
    ck_assert(!sim_make_dir(file, &over_file));
    ck_assert_ptr_nonnull(strstr(over_file.message, "not a directory"));
    ck_assert(!sim_make_dir(below, &under_file));
    ck_assert_ptr_nonnull(strstr(under_file.message, strerror(ENOTDIR)));
    free(deep);
    free(file);
    free(below);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("foundation");
    TCase *c = tcase_create("foundation");
    tcase_add_test(c, the_first_failure_is_the_one_that_is_told);
    tcase_add_test(c, a_message_that_is_too_long_is_cut_and_ended);
    tcase_add_test(c, an_arena_gives_zeroed_aligned_memory_that_overlaps_nothing);
    tcase_add_test(c, strings_are_copied_and_printed_at_any_length);
    tcase_add_test(c, without_memory_the_program_ends_and_says_how_much_was_asked);
    tcase_add_test(c, a_broken_rule_names_itself_its_place_the_time_and_the_seed);
    tcase_add_test(c, evidence_has_a_name_each_from_best_to_worst_and_no_others);
    tcase_add_test(c, a_file_appears_and_is_replaced_only_when_it_is_committed);
    tcase_add_test(c, an_abandoned_or_interrupted_write_leaves_what_was_there);
    tcase_add_test(c, a_device_and_a_link_keep_their_places);
    tcase_add_test(c, a_full_disk_is_one_line_of_failure_and_leaves_the_old_file_alone);
    tcase_add_test(c, a_disk_that_was_full_for_a_moment_fails_the_whole_file);
    tcase_add_test(c, a_place_that_cannot_be_written_is_named_with_the_reason);
    tcase_add_test(c, folders_are_made_with_their_parents_and_once_more_without_complaint);
    suite_add_tcase(s, c);
    return s;
}
