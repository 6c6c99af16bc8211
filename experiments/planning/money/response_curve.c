#include <math.h>

#include "experiments/planning/money/response_parts.h"
#include "models/monotone.h"
#include "sim/check.h"

static const double FLOOR = 1e-3;      /* of pressure: of a run without requests it is 0 */
static const double LEAST_SLOPE = 0.5; /* d log pressure / d log load beyond the last point */

void exp_pressure_add(struct exp_pressure_curve *c, double log_x, double pressure)
{
    SIM_CHECK(c->n < EXP_NOMINAL_POINTS && (c->n == 0 || log_x > c->log_x[c->n - 1]));
    c->log_x[c->n] = log_x;
    c->level[c->n++] = log(pressure + FLOOR);
}

/* Points pooled at one level become one in their middle; at the lowest level, the last of them. */
void exp_pressure_finish(struct exp_pressure_curve *c)
{
    uint32_t n = 0;
    mdl_monotone(c->level, c->n, 1);
    for (uint32_t first = 0, last; first < c->n; first = last + 1) {
        last = first;
        while (last + 1 < c->n && c->level[last + 1] == c->level[first]) last++;
        double middle = 0.5 * (c->log_x[first] + c->log_x[last]);
        c->level[n] = c->level[first];
        c->log_x[n] = n ? middle : c->log_x[last];
        n++;
    }
    c->n = n;
}

static double beyond(const struct exp_pressure_curve *c, double level)
{
    uint32_t last = c->n - 1, before = last >= 2 ? last - 2 : 0;
    double run = c->log_x[last] - c->log_x[before];
    double slope = run > 0 ? (c->level[last] - c->level[before]) / run : 0;
    double further = (level - c->level[last]) / fmax(slope, LEAST_SLOPE);
    return c->log_x[last] + fmin(further, log(2));
}

double exp_pressure_load(const struct exp_pressure_curve *c, double pressure)
{
    double level = log(pressure + FLOOR);
    uint32_t i = 0;
    while (i < c->n && c->level[i] < level) i++;
    if (i == c->n) return beyond(c, level);
    if (i == 0) return c->log_x[0];
    double part = (level - c->level[i - 1]) / (c->level[i] - c->level[i - 1]);
    return c->log_x[i - 1] + part * (c->log_x[i] - c->log_x[i - 1]);
}
