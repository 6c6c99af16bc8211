/* How far a long command has come, on standard error: one line that changes on a terminal, a line now and then
 * elsewhere. */
#ifndef KVSIM_KERNELS_KVBENCH_PROGRESS_H
#define KVSIM_KERNELS_KVBENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct kvb_progress {
    const char *what, *unit; /* "run", "points" */
    uint64_t total;
    double budget_s; /* 0 = none */
    double began_s, shown_s;
    uint64_t began_at;
    bool terminal;
};

struct kvb_progress kvb_progress_begin(const char *what, const char *unit, uint64_t total, uint64_t done);
/* done of total; detail: what is going on now. */
void kvb_progress_show(struct kvb_progress *p, uint64_t done, const char *detail);
void kvb_progress_end(struct kvb_progress *p);

#endif
