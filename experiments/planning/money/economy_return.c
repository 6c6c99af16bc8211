/* What cash flows are worth against each other, and per unit of what they buy. */
#include "experiments/planning/money/economy.h"

#include <math.h>

#include "experiments/planning/money/economy_parts.h"
#include "sim/check.h"

enum { MIX_STEPS = 100, OCTAVES = 10, STEPS_PER_OCTAVE = 64, BISECTIONS = 50 };

static const double SAME = 1e-9; /* of the larger total: rounding, not money */

const char *exp_payback_name(enum exp_payback p)
{
    static const char *const names[] = {"months", "immediate", "never", "equal"};
    return names[p];
}

/* ---- against the baseline ---- */

static void set_payback(struct exp_return *r, const struct exp_cash *baseline, const struct exp_cash *option)
{
    double tolerance = SAME * fmax(baseline->total, option->total), sum = 0;
    uint32_t last_negative = 0;
    bool negative = false, differs = false;
    for (uint32_t m = 0; m <= option->n_months; m++) {
        double saving = baseline->month[m] - option->month[m];
        sum += saving;
        differs |= fabs(saving) > tolerance;
        if (sum >= -tolerance) continue;
        negative = true;
        last_negative = m;
    }
    r->payback = !differs                            ? EXP_PAYBACK_EQUAL
                 : !negative                         ? EXP_PAYBACK_IMMEDIATE
                 : last_negative == option->n_months ? EXP_PAYBACK_NEVER
                                                     : EXP_PAYBACK_MONTH;
    if (r->payback == EXP_PAYBACK_MONTH) r->payback_month = last_negative + 1;
}

struct exp_return exp_return_of(const struct exp_cash *baseline, const struct exp_cash *option,
                                double discount_rate)
{
    SIM_CHECK(baseline->n_months == option->n_months);
    struct exp_return r = {.saving = baseline->total - option->total,
                           .capex = option->item[EXP_COST_SERVERS] + option->item[EXP_COST_HOST_MEMORY] +
                                    option->item[EXP_COST_INTEGRATION]};
    double later = pow(1 + discount_rate, -1.0 / 12), worth = 1;
    for (uint32_t m = 0; m <= option->n_months; m++, worth *= later)
        r.npv += worth * (baseline->month[m] - option->month[m]);
    r.npv += worth / later * (option->residual - baseline->residual);
    set_payback(&r, baseline, option);
    return r;
}

/* ---- per unit ---- */

static double per(double cost, double of)
{
    return of > 0 ? cost / of : NAN;
}

struct exp_unit_costs exp_unit_costs_of(const struct exp_cash *c)
{
    return (struct exp_unit_costs){.per_hour = per(c->total - c->residual, c->n_months * EXP_MONTH_HOURS),
                                   .per_1000_good = per(c->total, c->good * 1e-3),
                                   .per_mtok = per(c->total, c->output_tokens * 1e-6),
                                   .per_mtok_equivalent = per(c->total, c->equivalent_tokens * 1e-6),
                                   .per_month = per(c->total, c->n_months)};
}

/* ---- by trying ---- */

static double total_at(const struct exp_economy *e, double load)
{
    struct exp_world w = exp_world_expected();
    struct exp_cash cash;
    w.load = load;
    exp_cash_flow(e, &w, &cash);
    return cash.total;
}

void exp_economy_choose_mix(struct exp_economy *e)
{
    double best = 0, least = INFINITY;
    for (int i = 0; e->acquire == EXP_MIX && i <= MIX_STEPS; i++) {
        e->mix_own = (double)i / MIX_STEPS;
        double total = total_at(e, 1);
        if (total < least) {
            least = total;
            best = e->mix_own;
        }
    }
    e->mix_own = best;
}

static bool a_costs_more(const struct exp_economy *a, const struct exp_economy *b, double log2_load)
{
    double load = exp2(log2_load);
    return total_at(a, load) > total_at(b, load);
}

double exp_break_even_load(const struct exp_economy *a, const struct exp_economy *b)
{
    double above = OCTAVES, below = above, step = 1.0 / STEPS_PER_OCTAVE;
    bool a_above = a_costs_more(a, b, above);
    while (below > -OCTAVES && a_costs_more(a, b, below) == a_above) {
        above = below;
        below -= step;
    }
    if (a_costs_more(a, b, below) == a_above) return NAN;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = 0.5 * (above + below);
        if (a_costs_more(a, b, middle) == a_above)
            above = middle;
        else
            below = middle;
    }
    return exp2(0.5 * (above + below));
}
