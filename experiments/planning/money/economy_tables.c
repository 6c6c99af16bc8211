/* Curves over the load, and their means over a day. Both are linear between knots in log x, and so is the mean of such
 * functions moved sideways by the log of each hour's load: the mean's knots are theirs, moved. Nothing is approximated. */
#include "experiments/planning/money/economy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/money/economy_parts.h"
#include "sim/check.h"

double exp_curve_at(const struct exp_curve *c, double x)
{
    uint32_t i = 0;
    if (c->n == 0) return 0;
    while (i < c->n && c->x[i] < x) i++;
    if (i == 0) return c->y[0];
    if (i == c->n) return c->y[c->n - 1];
    double part = log(x / c->x[i - 1]) / log(c->x[i] / c->x[i - 1]);
    return c->y[i - 1] + part * (c->y[i] - c->y[i - 1]);
}

double exp_curve_miss_at(const struct exp_curve *c, double x)
{
    if (c->n == 0 || !(x > c->x[c->n - 1])) return exp_curve_at(c, x);
    double last = c->y[c->n - 1];
    return last + (1 - last) * fmin(1, log2(x / c->x[c->n - 1]));
}

/* ---- knots ---- */

static int by_log_x(const void *a, const void *b)
{
    double x = ((const struct exp_knot *)a)->log_x, y = ((const struct exp_knot *)b)->log_x;
    return (x > y) - (x < y);
}

/* Sorted, each place once; how many are left. */
static uint32_t in_order(struct exp_knot *at, uint32_t n)
{
    uint32_t kept = 0;
    qsort(at, n, sizeof *at, by_log_x);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || at[i].log_x > at[kept - 1].log_x + 1e-12) at[kept++] = at[i];
    return kept;
}

static uint32_t add_knots(struct exp_knot *at, uint32_t n, const struct exp_curve *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        SIM_CHECK(c->x[i] > 0 && (i == 0 || c->x[i] > c->x[i - 1]) && isfinite(c->y[i]));
        at[n++].log_x = log(c->x[i]);
    }
    return n;
}

static void fill_hour(const struct exp_economy *e, struct exp_day_tables *t)
{
    SIM_CHECK(e->busy.n <= EXP_MAX_CURVE && e->miss.n <= EXP_MAX_CURVE);
    uint32_t n = add_knots(t->hour, add_knots(t->hour, 0, &e->busy), &e->miss);
    if (n == 0 || e->miss.n) /* where misses reach 1; or one knot at all, for no curves */
        t->hour[n++].log_x = e->miss.n ? log(2 * e->miss.x[e->miss.n - 1]) : 0;
    t->n_hour = in_order(t->hour, n);
    for (uint32_t i = 0; i < t->n_hour; i++) {
        double x = exp(t->hour[i].log_x);
        t->hour[i].busy = exp_curve_at(&e->busy, x);
        t->hour[i].miss = exp_curve_miss_at(&e->miss, x);
    }
}

static int falling(const void *a, const void *b)
{
    return -((*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b));
}

/* Hours of the same load are one level. */
static void fill_levels(const struct exp_economy *e, struct exp_day_tables *t)
{
    double load[EXP_DAY_HOURS], sum = 0;
    memcpy(load, e->day, sizeof load);
    qsort(load, EXP_DAY_HOURS, sizeof *load, falling);
    for (int h = 0; h < EXP_DAY_HOURS; h++) {
        SIM_CHECK(load[h] >= 0 && isfinite(load[h]));
        sum += load[h];
    }
    for (uint32_t h = 0, hours; h < EXP_DAY_HOURS; h += hours) {
        for (hours = 1; h + hours < EXP_DAY_HOURS && load[h + hours] >= load[h] * (1 - 1e-12);) hours++;
        struct exp_day_level *l = &t->level[t->n_levels++];
        l->load = load[h];
        l->log_load = log(load[h]);
        l->hours_frac = (double)hours / EXP_DAY_HOURS;
        l->traffic_frac = sum > 0 ? hours * load[h] / sum : 0;
    }
    t->mean = sum / EXP_DAY_HOURS;
}

static struct exp_knot mean_at(const struct exp_day_tables *t, double log_x)
{
    struct exp_knot mean = {.log_x = log_x};
    for (uint32_t k = 0; k < t->n_levels; k++) {
        uint32_t cursor = 0;
        struct exp_knot at = exp_knot_at(t->hour, t->n_hour, log_x + t->level[k].log_load, &cursor);
        mean.busy += t->level[k].hours_frac * at.busy;
        mean.miss += t->level[k].traffic_frac * at.miss;
    }
    return mean;
}

static void fill_day(struct exp_day_tables *t)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < t->n_levels; k++)
        for (uint32_t i = 0; i < t->n_hour && t->level[k].load > 0; i++)
            t->day[n++].log_x = t->hour[i].log_x - t->level[k].log_load;
    if (n == 0) n = 1; /* a day without any load */
    t->n_day = in_order(t->day, n);
    for (uint32_t i = 0; i < t->n_day; i++) t->day[i] = mean_at(t, t->day[i].log_x);
}

static void check(const struct exp_economy *e)
{
    SIM_CHECK(e->n_loads <= EXP_MAX_LOADS && isnan(e->api_input_mtok) == isnan(e->api_output_mtok));
    SIM_CHECK(e->horizon_months <= EXP_MAX_MONTHS && e->length_ratio > 0 && e->lead_time_months >= 0);
    SIM_CHECK(e->fixed || exp_economy_is_api(e) ||
              (e->n_loads > 0 && e->replicas_per_server > 0 &&
               (isnan(e->instance_hour) || e->instance_replicas > 0)));
    for (uint32_t i = 0; i < e->n_loads; i++)
        SIM_CHECK(e->capacity[i] > 0 && e->load[i] > 0 && (i == 0 || e->load[i] > e->load[i - 1]));
}

void exp_economy_prepare(struct exp_economy *e)
{
    check(e);
    memset(&e->tables, 0, sizeof e->tables);
    fill_hour(e, &e->tables);
    fill_levels(e, &e->tables);
    fill_day(&e->tables);
}
