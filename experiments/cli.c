#include "experiments/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/setup.h"
#include "sim/memory.h"

uint64_t exp_cli_count(const struct argp_state *state, const char *option, const char *text, uint64_t lo,
                       uint64_t hi)
{
    errno = 0;
    uint64_t value = strtoull(text, NULL, 10);
    bool whole = *text && strspn(text, "0123456789") == strlen(text) && errno == 0;
    if (!whole || value < lo || value > hi)
        argp_failure(state, SIM_EXIT_USAGE, 0, "%s is `%.40s`, expected a whole number from %llu to %llu",
                     option, text, (unsigned long long)lo, (unsigned long long)hi);
    return value;
}

double exp_cli_real(const struct argp_state *state, const char *option, const char *text, double lo,
                    double hi)
{
    char *end;
    double value = strtod(text, &end);
    bool number = *text && strspn(text, "+-.0123456789eE") == strlen(text) && !*end;
    if (!number || !(value >= lo && value <= hi))
        argp_failure(state, SIM_EXIT_USAGE, 0, "%s is `%.40s`, expected a number from %g to %g", option, text,
                     lo, hi);
    return value;
}

int exp_cli_choice(const struct argp_state *state, const char *option, const char *text,
                   const char *const *choices)
{
    char expected[200] = "";
    size_t n = 0;
    for (int i = 0; choices[i]; i++) {
        if (strcmp(choices[i], text) == 0) return i;
        if (n < sizeof expected)
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%s", i ? ", " : "", choices[i]);
    }
    argp_failure(state, SIM_EXIT_USAGE, 0, "%s is `%.40s`, expected one of: %s", option, text, expected);
    return 0;
}

void exp_cli_add_set(const struct argp_state *state, struct exp_sets *sets, const char *text)
{
    if (sets->n == EXP_MAX_SETS)
        argp_failure(state, SIM_EXIT_USAGE, 0, "more than %d times --set", EXP_MAX_SETS);
    sets->at[sets->n++] = text;
}

void exp_next(const char *format, ...)
{
    if (fflush(stdout) != 0) return; /* the failure is told instead */
    fputs("next: ", stderr);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

char *exp_cli_line(int argc, char *const *argv)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
    char *line = sim_strdup(argv[0]);
    for (int i = 1; i < argc; i++) {
        bool quote = !argv[i][0] || argv[i][strspn(argv[i], plain)] != '\0';
        char *longer = sim_printf(quote ? "%s '%s'" : "%s %s", line, argv[i]);
        free(line);
        line = longer;
    }
    return line;
}

struct exp_progress exp_progress_begin(const char *what)
{
    return (struct exp_progress){exp_clock_s(), isatty(STDERR_FILENO) == 1, false, what};
}

void exp_progress_show(void *progress, double done_frac)
{
    struct exp_progress *p = progress;
    if (!p->on || exp_clock_s() - p->begin_s < 2) return;
    fprintf(stderr, "\r%s: %3.0f %%", p->what, 100 * done_frac);
    fflush(stderr);
    p->shown = true;
}

void exp_progress_end(struct exp_progress *p)
{
    if (p->shown) fprintf(stderr, "\r%*s\r", (int)strlen(p->what) + 8, "");
    p->shown = false;
}

bool exp_cli_bold(void)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) == 1 && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

bool exp_print_json(json_t *object, struct sim_status *st)
{
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(object);
    bool ok = text && puts(text) >= 0;
    free(text);
    return ok || sim_fail(st, "standard output: cannot be written (%s); name another place", strerror(errno));
}

struct exp_words exp_duration_words(double seconds)
{
    struct exp_words w;
    if (seconds < 120)
        snprintf(w.text, sizeof w.text, "%.4g s", seconds);
    else if (seconds < 7200)
        snprintf(w.text, sizeof w.text, "%.0f min %.0f s", floor(seconds / 60), fmod(floor(seconds), 60));
    else
        snprintf(w.text, sizeof w.text, "%.0f h %.0f min", floor(seconds / 3600),
                 floor(fmod(seconds, 3600) / 60));
    return w;
}

struct exp_words exp_count_words(double count)
{
    struct exp_words w;
    char digits[40];
    int n = snprintf(digits, sizeof digits, "%.0f", fabs(count) < 1e30 ? count : 0);
    size_t at = 0;
    for (int i = 0; i < n && at + 2 < sizeof w.text; i++) {
        w.text[at++] = digits[i];
        if ((n - 1 - i) % 3 == 0 && i < n - 1 && digits[i] != '-') w.text[at++] = ',';
    }
    w.text[at] = '\0';
    return w;
}

struct exp_words exp_short_words(double value)
{
    struct exp_words w;
    if (fabs(value) >= 9999.5 && fabs(value) < 1e15) return exp_count_words(value);
    snprintf(w.text, sizeof w.text, "%.4g", value);
    return w;
}
