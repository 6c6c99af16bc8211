/* The counting of the harness, tried on a suite of known outcome that this program runs in a second copy of
 * itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"

enum { LINE_BYTES = 512 };

START_TEST(sample_passes)
{
    ck_assert_int_eq(_i, 0);
}
END_TEST

START_TEST(sample_skips)
{
    const char *path = TEST_SHARED("no/such/file");
    ck_assert_ptr_nonnull(path);
}
END_TEST

START_TEST(sample_asks_three_times)
{
    const char *first = test_shared("no/such/file");
    const char *second = test_shared("no/other/file");
    const char *third = TEST_SHARED("no/such/file");
    ck_abort_msg("went on after %p %p %p", (const void *)first, (const void *)second, (const void *)third);
}
END_TEST

START_TEST(sample_fails)
{
    ck_assert_int_eq(1, 2);
}
END_TEST

START_TEST(sample_dies)
{
    abort();
}
END_TEST

/* 2 pass, 4 skip; with `faulty` 1 fails; where Check forks, 1 dies. */
static Suite *sample_suite(bool faulty, bool forks)
{
    Suite *s = suite_create("sample");
    TCase *c = tcase_create("sample");
    tcase_add_test(c, sample_skips);
    tcase_add_test(c, sample_passes);
    tcase_add_loop_test(c, sample_skips, 0, 2);
    tcase_add_test(c, sample_asks_three_times);
    tcase_add_test(c, sample_passes);
    if (faulty) tcase_add_test(c, sample_fails);
    if (faulty && forks) tcase_add_test(c, sample_dies);
    suite_add_tcase(s, c);
    return s;
}

/* Runs this program again with `settings` in its environment; returns its exit status and its last line. */
static int run_sample(const char *settings, char last[LINE_BYTES])
{
    char program[1024], command[2048];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    ck_assert_int_gt(n, 0);
    program[n] = '\0';
    snprintf(command, sizeof command, "env -u KVSIM_SHARED -u CK_FORK %s '%s' 2>/dev/null", settings,
             program);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    char line[LINE_BYTES];
    last[0] = '\0';
    while (fgets(line, sizeof line, f)) strcpy(last, line);
    return pclose(f);
}

START_TEST(a_test_without_its_data_counts_once_as_skipped_and_not_as_passed)
{
    static const char *const modes[] = {"HARNESS_SAMPLE=sound", "HARNESS_SAMPLE=sound CK_FORK=no"};
    char last[LINE_BYTES];
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(run_sample(modes[i], last), 0);
        ck_assert_str_eq(last, "2 passed, 0 failed, 4 skipped\n");
    }
}
END_TEST

START_TEST(failures_and_deaths_are_counted_and_end_the_program_with_an_error)
{
    char last[LINE_BYTES];
    ck_assert_int_ne(run_sample("HARNESS_SAMPLE=forks", last), 0);
    ck_assert_str_eq(last, "2 passed, 2 failed, 4 skipped\n");
    ck_assert_int_ne(run_sample("HARNESS_SAMPLE=faulty CK_FORK=no", last), 0);
    ck_assert_str_eq(last, "2 passed, 1 failed, 4 skipped\n");
}
END_TEST

START_TEST(with_a_data_folder_named_its_missing_files_are_failures)
{
    char settings[256], last[LINE_BYTES];
    static const char *const modes[] = {"", "CK_FORK=no"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(settings, sizeof settings, "HARNESS_SAMPLE=sound KVSIM_SHARED=/nonexistent %s", modes[i]);
        ck_assert_int_ne(run_sample(settings, last), 0);
        ck_assert_str_eq(last, "2 passed, 4 failed, 0 skipped\n");
    }
}
END_TEST

START_TEST(a_test_file_holds_its_text_and_lies_in_the_programs_own_folder)
{
    char text[16] = "";
    const char *path = test_file("a.txt", "hello\n");
    ck_assert_int_eq(strncmp(path, test_dir(), strlen(test_dir())), 0);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(text, 1, sizeof text - 1, f), 6);
    fclose(f);
    ck_assert_str_eq(text, "hello\n");
}
END_TEST

Suite *test_suite(void)
{
    const char *sample = getenv("HARNESS_SAMPLE");
    if (sample) return sample_suite(strcmp(sample, "sound") != 0, strcmp(sample, "forks") == 0);
    Suite *s = suite_create("harness");
    TCase *c = tcase_create("harness");
    tcase_add_test(c, a_test_without_its_data_counts_once_as_skipped_and_not_as_passed);
    tcase_add_test(c, failures_and_deaths_are_counted_and_end_the_program_with_an_error);
    tcase_add_test(c, with_a_data_folder_named_its_missing_files_are_failures);
    tcase_add_test(c, a_test_file_holds_its_text_and_lies_in_the_programs_own_folder);
    suite_add_tcase(s, c);
    return s;
}
