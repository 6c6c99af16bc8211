/* A report in a real browser without a screen, where one is installed (make deps-report): no console error, no request, both
 * widths, keyboard, paper. tools/check-report.sh --quick looks at one report that has every part; `make check-report` at one
 * of each command. */
#include <stdlib.h>
#include <string.h>

#include "tests/command_help.h"

static bool has_browser(void)
{
    return system("tools/deps.sh --check report >/dev/null 2>&1") == 0;
}

/* The folder of the program under test. */
static void build_folder(char *out, size_t size)
{
    snprintf(out, size, "%s", program());
    char *slash = strrchr(out, '/');
    ck_assert_ptr_nonnull(slash);
    *slash = '\0';
}

START_TEST(a_report_stands_up_in_a_browser)
{
    char build[4200], line[9000];
    if (!has_browser()) {
        test_skip("no chromium with its driver and selenium here (make deps-report)");
        return;
    }
    build_folder(build, sizeof build);
    snprintf(line, sizeof line, "tools/check-report.sh --quick '%s' >'%s/browser.log' 2>&1", build,
             test_dir());
    int status = system(line);
    if (status != 0) {
        snprintf(line, sizeof line, "cat '%s/browser.log'", test_dir());
        ck_assert_int_eq(system(line), 0);
    }
    ck_assert_int_eq(status, 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("a report in a browser");
    TCase *t = tcase_create("browser");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_report_stands_up_in_a_browser);
    suite_add_tcase(s, t);
    return s;
}
