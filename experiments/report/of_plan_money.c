/* What the options of a plan cost: totals with their intervals, cash by month, what it is made of, and cost against
 * latency. */
#include <math.h>
#include <stdlib.h>

#include "experiments/report/front.h"
#include "experiments/report/of_plan_parts.h"
#include "sim/memory.h"

static const char *currency(const struct exp_plan_report *r)
{
    return r->d->plan->currency;
}

static const char *reference_name(uint32_t i)
{
    static const char *const names[] = {"do nothing", "managed API"};
    return names[i];
}

/* ---- totals ---- */

struct totals {
    const struct exp_plan_report *r;
    json_t *chart, *series;
    uint32_t n; /* names so far */
};

static void add_total(struct totals *t, const char *name, const struct exp_band *band, double expected)
{
    if (!isfinite(expected)) return;
    exp_doc_name(t->chart, name);
    exp_doc_range(t->series, t->n++, band ? band->lo : expected, expected, band ? band->hi : expected);
}

/* By every way to get it; only the cheapest was drawn. */
static void add_row(struct totals *t, uint32_t row)
{
    const struct exp_decision_row *own = &t->r->d->row[row];
    const struct exp_finalist *f = own->finalist;
    const char *name = exp_plan_report_name(t->r, row);
    add_total(t, exp_text(t->r->arena, "%s, %s", name, exp_row_way(own)),
              own->risk.n_draws ? &own->risk.cost_total : NULL, f->cash[f->best].total);
    for (enum exp_acquire a = 0; a < EXP_N_ACQUIRE; a++)
        if (a != f->best && f->can_acquire[a])
            add_total(t, exp_text(t->r->arena, "%s, %s", name, exp_acquire_name(a)), NULL, f->cash[a].total);
}

static void put_totals(const struct exp_plan_report *r, json_t *section)
{
    struct totals t = {.r = r, .chart = exp_doc_chart(section, "cost-total", "Total cost", EXP_RANGES)};
    exp_doc_y(t.chart, "total cost over the horizon", currency(r), EXP_LINEAR);
    exp_doc_note(t.chart,
                 "The mark is the cost as expected. Bars reach from 5 % to 95 % of 10,000 draws: of the "
                 "cheapest way to get each; the others have the mark alone.");
    t.series = exp_doc_series(t.chart, "total cost");
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++) add_row(&t, i);
    for (uint32_t i = 0; i < 2; i++)
        if (r->d->reference[i].known) add_total(&t, reference_name(i), NULL, r->d->reference[i].cash.total);
}

/* ---- cash by month ---- */

static void add_cash(json_t *chart, const char *name, const struct exp_cash *cash)
{
    json_t *series = exp_doc_series(chart, name);
    double sum = 0;
    for (uint32_t m = 0; m <= cash->n_months; m++) {
        sum += cash->month[m];
        exp_doc_xy(series, m, sum);
    }
}

static void put_cash(const struct exp_plan_report *r, json_t *section)
{
    const struct exp_decision *d = r->d;
    bool based = d->search.baseline != UINT32_MAX;
    json_t *chart = exp_doc_chart(section, "cash", "Cash spent by month", EXP_LINES);
    exp_doc_x(chart, "month", "", EXP_LINEAR);
    exp_doc_y(chart, "spent so far", currency(r), EXP_LINEAR);
    exp_doc_note(chart, "Payback is where the recommendation's line stays below the baseline's.");
    if (d->best != UINT32_MAX) add_cash(chart, "the recommendation", exp_row_cash(&d->row[d->best]));
    if (based && (d->best == UINT32_MAX || !d->row[d->best].entry->is_baseline))
        add_cash(chart, "baseline", &d->baseline_cash);
    for (uint32_t i = 0; i < 2; i++)
        if (d->reference[i].known) add_cash(chart, reference_name(i), &d->reference[i].cash);
}

/* ---- what it is made of ---- */

struct spender {
    const char *name;
    const struct exp_cash *cash;
};

static uint32_t spenders(const struct exp_plan_report *r, struct spender *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < exp_plan_report_n(r); i++)
        out[n++] = (struct spender){exp_plan_report_name(r, i), exp_row_cash(&r->d->row[i])};
    for (uint32_t i = 0; i < 2; i++)
        if (r->d->reference[i].known)
            out[n++] = (struct spender){reference_name(i), &r->d->reference[i].cash};
    return n;
}

static void put_items(const struct exp_plan_report *r, json_t *section)
{
    struct spender *all = sim_alloc(exp_plan_report_n(r) + 2, sizeof *all);
    uint32_t n = spenders(r, all);
    json_t *chart = exp_doc_chart(section, "cost-items", "Where the money goes", EXP_STACKED);
    exp_doc_y(chart, "cost over the horizon", currency(r), EXP_LINEAR);
    for (uint32_t i = 0; i < n; i++) exp_doc_name(chart, all[i].name);
    for (int k = 0; k < EXP_N_COST_ITEMS; k++) {
        double most = 0;
        for (uint32_t i = 0; i < n; i++) most = fmax(most, fabs(all[i].cash->item[k]));
        if (!(most > 0)) continue;
        json_t *series = exp_doc_series(chart, exp_cost_item_name((enum exp_cost_item)k));
        for (uint32_t i = 0; i < n; i++) exp_doc_xy(series, i, all[i].cash->item[k]);
    }
    free(all);
}

/* ---- cost against latency ---- */

struct place {
    struct exp_front_point at;
    const char *name;
    bool finalist;
};

/* Everybody who meets the service levels and has a price. */
static uint32_t places(const struct exp_plan_report *r, struct place *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->d->n_rows; i++) {
        const struct exp_decision_row *row = &r->d->row[i];
        const struct exp_cash *cash = exp_row_cash(row);
        struct exp_front_point at = {cash ? cash->total : row->entry->cost_estimate,
                                     1e3 * exp_row_tpot_p99_s(row).mean, n};
        if (!exp_row_feasible(row) || !isfinite(at.x) || !isfinite(at.y)) continue;
        out[n++] = (struct place){at, exp_plan_report_name(r, i), row->finalist != NULL};
    }
    return n;
}

static void add_places(json_t *chart, const char *name, const struct place *p, uint32_t n, bool finalists)
{
    json_t *series = exp_doc_series(chart, name);
    for (uint32_t i = 0; i < n; i++)
        if (p[i].finalist == finalists) exp_doc_xy_label(series, p[i].at.x, p[i].at.y, p[i].name);
}

static void add_front(json_t *chart, const struct place *p, uint32_t n)
{
    struct exp_front_point *front = sim_alloc(n + 1, sizeof *front);
    for (uint32_t i = 0; i < n; i++) front[i] = p[i].at;
    uint32_t kept = exp_front(front, n);
    json_t *series = exp_doc_series(chart, "front");
    exp_doc_joined(series);
    for (uint32_t i = 0; i < kept; i++) exp_doc_xy(series, front[i].x, front[i].y);
    free(front);
}

static void put_front(const struct exp_plan_report *r, json_t *section)
{
    struct place *p = sim_alloc(r->d->n_rows + 1, sizeof *p);
    uint32_t n = places(r, p);
    json_t *chart = exp_doc_chart(section, "pareto", "Cost against latency", EXP_SCATTER);
    exp_doc_x(chart, "total cost over the horizon", currency(r), EXP_LINEAR);
    exp_doc_y(chart, "p99 TPOT", "ms", EXP_LINEAR);
    exp_doc_note(
        chart, "Everything that meets the service levels; on the front nothing is both cheaper and faster.");
    add_front(chart, p, n);
    add_places(chart, "finalists", p, n, true);
    add_places(chart, "searched", p, n, false);
    free(p);
}

void exp_plan_report_money(const struct exp_plan_report *r)
{
    if (!exp_plan_report_n(r)) return;
    json_t *section = exp_doc_section(r->doc, "cost", "Cost");
    put_totals(r, section);
    put_cash(r, section);
    put_items(r, section);
    put_front(r, section);
}

/* ---- the tornado ---- */

enum { MOST_BARS = 12 };
static const double NOTHING = 1e-6; /* what a sum is off by its order */

/* From the least NPV to the greatest: an input whose both ends lie on one side of what is expected moves it there. */
static bool add_bar(json_t *chart, json_t *series, uint32_t name, const struct exp_bar *b, double expected)
{
    if (fmax(fabs(b->npv_low - expected), fabs(b->npv_high - expected)) <= NOTHING * fabs(expected))
        return false;
    exp_doc_name(chart, exp_input_name(b->input));
    exp_doc_range(series, name, fmin(expected, fmin(b->npv_low, b->npv_high)), expected,
                  fmax(expected, fmax(b->npv_low, b->npv_high)));
    return true;
}

void exp_plan_report_tornado(const struct exp_plan_report *r)
{
    const struct exp_decision_row *row = exp_row_of_doubt(r->d);
    if (!row || !row->risk.n_bars || !isfinite(row->returns.npv)) return;
    json_t *section = exp_doc_section(r->doc, "doubt", "What would change this answer");
    exp_doc_text(section, EXP_PLAIN_TONE,
                 "NPV of {0} against the baseline: each bar moves one input to its 5 and 95 %.",
                 exp_plan_report_name(r, (uint32_t)(row - r->d->row)), NULL);
    json_t *chart = exp_doc_chart(section, "npv-ranges", "NPV by input", EXP_RANGES);
    exp_doc_y(chart, "NPV", currency(r), EXP_LINEAR);
    exp_doc_note(chart, "The mark is the NPV as expected. A bar that crosses 0 can turn the answer.");
    json_t *series = exp_doc_series(chart, "NPV");
    uint32_t n = 0;
    for (uint32_t i = 0; i < row->risk.n_bars && n < MOST_BARS; i++)
        n += add_bar(chart, series, n, &row->risk.bar[i], row->returns.npv);
}
