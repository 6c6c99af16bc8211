/* One Check suite per test program: define `Suite *test_suite(void)` and the harness supplies main.
 * Knows where shared data is and counts each test that lacked its own once, whether Check forks or not
 * (CK_FORK=no). Prints "N passed, N failed, N skipped" last; exits 1 when something failed or nothing ran. */
#ifndef KVSIM_TESTS_HARNESS_H
#define KVSIM_TESTS_HARNESS_H

#include <check.h>
#include <stdbool.h>

Suite *test_suite(void);

/* Path of a file or folder under the shared data folder (KVSIM_SHARED, default ../shared), the last 8 stay
 * valid. Absent data: with KVSIM_SHARED set the test fails; without, NULL is returned and the running test
 * counts as skipped, once however often it asks, and not as passed. */
const char *test_shared(const char *relative);

/* Counts the running test as skipped, for want of something that this machine or build lacks: return after it. */
void test_skip(const char *why);

/* Has the running test been counted as skipped? */
bool test_is_skipped(void);

/* Use at the head of a test that needs shared data:  const char *path = TEST_SHARED("traces/..."); */
#define TEST_SHARED(relative)                                                                                \
    test_shared(relative);                                                                                   \
    if (test_is_skipped()) return

/* A new directory under TMPDIR for this program, removed when it ends. */
const char *test_dir(void);

/* Writes text to test_dir()/name and returns its path (static buffer, the last 8 stay valid). */
const char *test_file(const char *name, const char *text);

/* tcase_create that tells the harness where each test begins; the macro puts it in the place of Check's own.
 */
TCase *test_case(const char *name);
#define tcase_create(name) test_case(name)

#endif
