#include "kernels/kvbench/progress.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "kernels/host.h"
#include "kernels/kvbench/util.h"

static const double TERMINAL_EVERY_S = 0.2, LOG_EVERY_S = 15;

struct kvb_progress kvb_progress_begin(const char *what, const char *unit, uint64_t total, uint64_t done)
{
    double now = kb_now_s();
    return (struct kvb_progress){.what = what,
                                 .unit = unit,
                                 .total = total,
                                 .began_s = now,
                                 .shown_s = now,
                                 .began_at = done,
                                 .terminal = isatty(STDERR_FILENO) == 1};
}

/* Seconds to go at the rate so far, but not beyond the budget. */
static double left_s(const struct kvb_progress *p, uint64_t done, double elapsed_s)
{
    double rate = (double)(done - p->began_at) / elapsed_s;
    double left = rate > 0 ? (double)(p->total - done) / rate : 0;
    return p->budget_s > 0 ? fmin(left, fmax(p->budget_s - elapsed_s, 0)) : left;
}

void kvb_progress_show(struct kvb_progress *p, uint64_t done, const char *detail)
{
    double now = kb_now_s(), elapsed = now - p->began_s;
    if (now - p->shown_s < (p->terminal ? TERMINAL_EVERY_S : LOG_EVERY_S)) return;
    p->shown_s = now;
    fprintf(stderr, "%s%s: %llu of %llu %s, %.1f a second, %.0f s left%s%.60s%s",
            p->terminal ? "\r\033[K" : "", p->what, (unsigned long long)done, (unsigned long long)p->total,
            p->unit, (double)(done - p->began_at) / elapsed, left_s(p, done, elapsed), *detail ? ", " : "",
            detail, p->terminal ? "" : "\n");
    fflush(stderr);
}

void kvb_progress_end(struct kvb_progress *p)
{
    if (p->terminal) fputs("\r\033[K", stderr);
}
