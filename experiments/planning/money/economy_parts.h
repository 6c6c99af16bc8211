/* Between the files of an economy: look-ups that cash flows make in every month. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_MONEY_ECONOMY_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_MONEY_ECONOMY_PARTS_H

#include "experiments/planning/money/economy.h"

#include <math.h>

static const double EXP_MONTH_HOURS = 730;

static inline bool exp_economy_is_api(const struct exp_economy *e)
{
    return !isnan(e->api_output_mtok);
}

/* Linear between n knots, the ends held. The cursor remembers the place: the next month's is near. */
static inline struct exp_knot exp_knot_at(const struct exp_knot *at, uint32_t n, double log_x,
                                          uint32_t *cursor)
{
    uint32_t i = *cursor;
    while (i > 0 && log_x < at[i].log_x) i--;
    while (i + 1 < n && log_x >= at[i + 1].log_x) i++;
    *cursor = i;
    if (i + 1 == n || log_x < at[0].log_x) return at[i];
    double part = (log_x - at[i].log_x) / (at[i + 1].log_x - at[i].log_x);
    return (struct exp_knot){.log_x = log_x,
                             .busy = at[i].busy + part * (at[i + 1].busy - at[i].busy),
                             .miss = at[i].miss + part * (at[i + 1].miss - at[i].miss)};
}

#endif
