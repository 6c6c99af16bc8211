#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"

static const double MOST = 4;      /* times as long: what is worse is found without a sample size */
static const double WITHIN = 1e-4; /* of the limit */

double exp_pilot_npv(const struct exp_decision *d, double step_time, double length, double failing)
{
    const struct exp_finalist *f = exp_pilot_row(d)->finalist;
    if (!f) return NAN;
    struct exp_economy *e = sim_alloc(1, sizeof *e);
    struct exp_cash *cash = sim_alloc(1, sizeof *cash);
    struct exp_world w = exp_world_expected();
    *e = f->economy[f->best];
    if (!isnan(failing)) e->newly_failing = failing;
    w.length = length;
    w.effort = pow(step_time, f->response.elasticity[EXP_DRIVE_RESIDUAL]) *
               pow(length, f->response.elasticity[EXP_DRIVE_LENGTH]);
    exp_cash_flow(e, &w, cash);
    double npv = exp_return_of(&d->baseline_cash, cash, d->plan->discount_rate).npv;
    free(cash);
    free(e);
    return npv;
}

enum knob { STEP_TIME, LENGTH, FAILING };

static double npv_at(const struct exp_decision *d, enum knob knob, double x)
{
    return exp_pilot_npv(d, knob == STEP_TIME ? x : 1, knob == LENGTH ? x : 1, knob == FAILING ? x : NAN);
}

/* Where NPV turns, between a value at which it is above 0 and one at which it may not be. */
static double turns(const struct exp_decision *d, enum knob knob, double from, double to)
{
    if (!(npv_at(d, knob, from) > 0)) return NAN;
    if (npv_at(d, knob, to) > 0) return INFINITY;
    while (to - from > WITHIN * to) {
        double middle = from + (to - from) / 2;
        if (npv_at(d, knob, middle) > 0)
            from = middle;
        else
            to = middle;
    }
    return from;
}

struct exp_pilot_limits exp_pilot_limits_of(const struct exp_decision *d)
{
    return (struct exp_pilot_limits){.step_time = turns(d, STEP_TIME, 1, MOST),
                                     .length = turns(d, LENGTH, 1, MOST),
                                     .failing = turns(d, FAILING, 0, 1)};
}
