/* How far a sweep is, on stderr: a line that rewrites itself on a terminal, elsewhere a line now and then. */
#include "experiments/study/sweep_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cli.h"

enum { BAR = 16 };
static const double FIRST_S = 1, TERMINAL_S = 0.2, FILE_S = 30;

struct exp_sweep_progress exp_sweep_progress_begin(const char *what, bool quiet)
{
    double now_s = exp_clock_s();
    return (struct exp_sweep_progress){now_s, now_s, what, isatty(STDERR_FILENO) == 1, quiet, 0};
}

/* "2 min 13 s left" */
static struct exp_words left_words(double left, double per_s)
{
    struct exp_words w = {"unknown time"};
    return per_s > 0 ? exp_duration_words(floor(left / per_s + 0.5)) : w;
}

static void show(struct exp_sweep_progress *p, uint64_t done, uint64_t of, uint64_t failed)
{
    double per_s = (double)done / (p->shown_s - p->begin_s);
    char bar[BAR + 1], failures[40] = "", line[160];
    memset(bar, '.', BAR);
    memset(bar, '#', of ? BAR * done / of : 0);
    bar[BAR] = '\0';
    if (failed) snprintf(failures, sizeof failures, ", %s failed", exp_count_words((double)failed).text);
    int n = snprintf(line, sizeof line, "[%s] %s of %s %s, %s/s, %s left%s", bar,
                     exp_count_words((double)done).text, exp_count_words((double)of).text, p->what,
                     exp_short_words(per_s).text, left_words((double)(of - done), per_s).text, failures);
    fprintf(stderr, p->terminal ? "\r%-*s" : "sweep: %-*s\n", p->width, line);
    p->width = p->terminal ? n : 0; /* what the next line has to cover */
}

void exp_sweep_progress_show(struct exp_sweep_progress *p, uint64_t done, uint64_t of, uint64_t failed)
{
    double now_s = exp_clock_s(), wait_s = !p->terminal ? FILE_S : p->width ? TERMINAL_S : FIRST_S;
    if (p->quiet || now_s - p->shown_s < wait_s) return;
    p->shown_s = now_s;
    show(p, done, of, failed);
}

void exp_sweep_progress_end(struct exp_sweep_progress *p)
{
    if (p->width) fprintf(stderr, "\r%*s\r", p->width, "");
    p->width = 0;
}
