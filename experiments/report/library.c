#include "experiments/report/library.h"

#include <stdlib.h>
#include <string.h>

#include "experiments/report/report.h"
#include "models/textfile.h"

enum { MAX_LIBRARY_BYTES = 4 << 20 };

const char *const exp_asking_words[] = {"http", "src=", "fetch", NULL};

static const char *const places[] = {
    "/usr/share/javascript/chart.js/chart.min.js",
    "/usr/share/javascript/chart.js/Chart.min.js",
    "/usr/share/nodejs/chart.js/dist/chart.min.js",
};
static const char VERSION[] = "Chart.js v3."; /* whose options page.js speaks */

/* Copies a comment without the lines that hold an address; both ends move on. */
static void clean_comment(const char **from, const char *end, char **to)
{
    const char *at = *from;
    while (at < end) {
        size_t n = strcspn(at, "\n") + 1;
        if (at + n > end) n = (size_t)(end - at);
        const char *address = strstr(at, "http");
        bool edge = at == *from || at + n == end; /* holds an end of the comment */
        if (edge || !address || address >= at + n) {
            memmove(*to, at, n);
            *to += n;
        }
        at += n;
    }
    *from = end;
}

static bool is_fit(const char *text)
{
    static const char *const ends[] = {"</script", "<!--", NULL};
    for (int i = 0; exp_asking_words[i]; i++)
        if (strstr(text, exp_asking_words[i])) return false;
    for (int i = 0; ends[i]; i++)
        if (strstr(text, ends[i])) return false;
    return true;
}

bool exp_chart_library_clean(char *text)
{
    const char *from = text;
    char *to = text;
    while (*from) {
        const char *end = strncmp(from, "/*!", 3) == 0 ? strstr(from, "*/") : NULL;
        if (end)
            clean_comment(&from, end + 2, &to);
        else
            *to++ = *from++;
    }
    *to = '\0';
    return is_fit(text);
}

/* NULL when it is not there or not fit. */
static char *library_at(const char *path)
{
    struct sim_status st = {0};
    size_t length;
    char *text = mdl_textfile_read(path, MAX_LIBRARY_BYTES, &length, &st);
    if (text && strstr(text, VERSION) && exp_chart_library_clean(text)) return text;
    free(text);
    return NULL;
}

char *exp_chart_library(void)
{
    const char *given = getenv("KVSIM_CHART_JS");
    char *text = given ? library_at(given) : NULL;
    for (size_t i = 0; !given && !text && i < sizeof places / sizeof places[0]; i++)
        text = library_at(places[i]);
    return text;
}

bool exp_report_has_charts(void)
{
    char *text = exp_chart_library();
    bool has = text != NULL;
    free(text);
    return has;
}

void exp_report_note_charts(void)
{
    if (!exp_report_has_charts())
        fputs("note: the report shows tables in place of charts, Chart.js 3 is not here; install the package "
              "libjs-chart.js\n",
              stderr);
}
