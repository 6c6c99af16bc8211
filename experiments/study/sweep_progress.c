/* How far a sweep is, on stderr: a line that rewrites itself on a terminal, elsewhere a line now and then. */
#include "experiments/study/sweep_parts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cli.h"

enum { BAR = 20 };
static const double FIRST_S = 1, TERMINAL_S = 0.2, FILE_S = 30;

struct exp_sweep_progress exp_sweep_progress_begin(bool quiet)
{
    double now_s = exp_clock_s();
    return (struct exp_sweep_progress){now_s, now_s, isatty(STDERR_FILENO) == 1, quiet, false};
}

static void show(const struct exp_sweep_progress *p, uint64_t done, uint64_t of, uint64_t failed)
{
    double per_s = (double)done / (p->shown_s - p->begin_s);
    char bar[BAR + 1], failures[40] = "";
    memset(bar, '.', BAR);
    memset(bar, '#', of ? BAR * done / of : 0);
    bar[BAR] = '\0';
    if (failed) snprintf(failures, sizeof failures, ", %s failed", exp_count_words((double)failed).text);
    fprintf(stderr, "%s[%s] %s of %s points, %s points/s, %s left%s%s", p->terminal ? "\r" : "sweep: ", bar,
            exp_count_words((double)done).text, exp_count_words((double)of).text, exp_short_words(per_s).text,
            done ? exp_duration_words((double)(uint64_t)((double)(of - done) / per_s + 0.5)).text
                 : "unknown time",
            failures, p->terminal ? "   " : "\n");
}

void exp_sweep_progress_show(struct exp_sweep_progress *p, uint64_t done, uint64_t of, uint64_t failed)
{
    double now_s = exp_clock_s(), wait_s = !p->terminal ? FILE_S : p->shown ? TERMINAL_S : FIRST_S;
    if (p->quiet || now_s - p->shown_s < wait_s) return;
    p->shown_s = now_s;
    p->shown = true;
    show(p, done, of, failed);
}

void exp_sweep_progress_end(struct exp_sweep_progress *p)
{
    if (p->shown && p->terminal) fprintf(stderr, "\r%*s\r", 110, "");
    p->shown = false;
}
