/* For tests of what is printed on a page of 80 columns: widths by the C library, in its own table of letters. */
#ifndef KVSIM_TESTS_PAGE_HELP_H
#define KVSIM_TESTS_PAGE_HELP_H

#include "tests/harness.h"

#include <locale.h>
#include <string.h>
#include <wchar.h>

int wcwidth(wchar_t c); /* X/Open's, which POSIX alone does not declare */

enum { PAGE = 80 };

/* Columns by the C library. */
static inline int width_of(const char *line, size_t n)
{
    int width = 0;
    wchar_t w;
    mbstate_t state = {0};
    for (size_t at = 0, used; at < n; at += used) {
        used = mbrtowc(&w, line + at, n - at, &state);
        ck_assert_msg(used != (size_t)-1 && used != (size_t)-2 && used > 0, "no UTF-8: %s", line);
        ck_assert_int_ge(wcwidth(w), 0);
        width += wcwidth(w);
    }
    return width;
}

static inline void assert_fits(const char *text)
{
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "C.UTF-8"));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        size_t n = strcspn(line, "\n");
        ck_assert_msg(width_of(line, n) <= PAGE, "%d columns: %.*s", width_of(line, n), (int)n, line);
        ck_assert_msg(n == 0 || line[n - 1] != ' ', "blank at the end of: %.*s", (int)n, line);
        if (!line[n]) break;
    }
}

#endif
