/* One Check suite per test program: define `Suite *test_suite(void)` and the harness supplies main.
 * Counts what was skipped across Check's forked children, and says where shared data is.
 * Prints "N passed, N failed, N skipped" last; exits 1 when something failed. */
#ifndef KVSIM_TESTS_HARNESS_H
#define KVSIM_TESTS_HARNESS_H

#include <check.h>
#include <stdbool.h>

Suite *test_suite(void);

/* Path of a file under the shared data folder (KVSIM_SHARED, default ../shared) in a static buffer.
 * Absent data: with KVSIM_SHARED set the test fails; without, NULL is returned and the test counts as skipped. */
const char *test_shared(const char *relative);

/* Use at the head of a test that needs shared data:  const char *path = TEST_SHARED("traces/..."); */
#define TEST_SHARED(relative)                                                                                 \
    test_shared(relative);                                                                                    \
    if (!test_shared(relative)) return

/* A new directory under TMPDIR for this test, removed when the program ends; static buffer. */
const char *test_dir(void);

/* Writes text to test_dir()/name and returns its path (static buffer, the last 8 stay valid). */
const char *test_file(const char *name, const char *text);

#endif
