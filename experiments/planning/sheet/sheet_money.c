/* The sheet's money: reference lines, what was assumed, and prices with their dates; on page two with their sources. */
#include <math.h>
#include <string.h>

#include "experiments/planning/sheet/prices_used.h"
#include "experiments/planning/sheet/sheet_parts.h"

/* ---- reference lines ---- */

static const char *reference_says(const struct exp_sheet *s, uint32_t i)
{
    const struct exp_reference_line *r = &s->d->reference[i];
    if (s->d->search.baseline == UINT32_MAX) return exp_say(s, EXP_SAY_NO_BASELINE);
    if (!r->known) return exp_say(s, i == 0 ? EXP_SAY_NO_HAVE : EXP_SAY_NO_PRICE);
    if (i == 0) return EXP_SAY(s, ATTAINS, exp_say_attained(s, r->attainment));
    if (isnan(r->break_even_load)) return exp_say(s, EXP_SAY_NO_BREAK_EVEN);
    return EXP_SAY(s, BREAK_EVEN, exp_say_number(s, r->break_even_load),
                   exp_say_number(s, r->break_even_load * s->d->requests_per_s_needed));
}

static void add_option(const struct exp_sheet *s, struct exp_grid *g, const char *name, double total,
                       double npv)
{
    exp_grid_add(g, name);
    exp_grid_add(g, exp_say_money(s, total));
    exp_grid_add(g, exp_say_money(s, npv));
}

void exp_sheet_references(const struct exp_sheet *s)
{
    struct exp_grid g = {.id = "references"};
    if (!s->best) return;
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_REFERENCE_TITLE));
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_OPTION), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, EXP_SAY(s, HEAD_TOTAL, s->d->plan->currency), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_NPV), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, "", EXP_CELLS_WRAP);
    add_option(s, &g, exp_say(s, EXP_SAY_THE_WINNER), exp_row_cash(s->best)->total, s->best->returns.npv);
    exp_grid_add(&g, "");
    for (uint32_t i = 0; i < 2; i++) {
        const struct exp_reference_line *r = &s->d->reference[i];
        add_option(s, &g, exp_term(s->language, r->name), r->known ? r->cash.total : NAN,
                   r->known ? r->returns.npv : NAN);
        exp_grid_add(&g, reference_says(s, i));
    }
    exp_page_grid(&s->page, &g);
}

/* ---- assumptions ---- */

static const char *load_name(const struct exp_workload_keys *w)
{
    if (w->source == EXP_OPEN_LOOP) return "open_loop";
    if (w->source == EXP_CLOSED_LOOP) return "closed_loop";
    const char *slash = strrchr(w->trace, '/');
    return slash ? slash + 1 : w->trace;
}

static void assume_load(const struct exp_sheet *s)
{
    static const char *const how[] = {"superpose", "compress", "thin"};
    const struct exp_plan *p = s->d->plan;
    const struct exp_workload_keys *w = &p->base->workload;
    exp_page_item(&s->page,
                  EXP_SAY(s, ASSUME_LOAD, load_name(w), exp_say_number(s, w->multiply), how[w->how],
                          p->n_rate_curve ? exp_say(s, EXP_SAY_CURVE) : exp_say_number(s, p->peak_to_mean),
                          exp_say_share(s, p->growth_per_year), exp_text(s->arena, "%u", p->horizon_months)));
}

static void assume_class(const struct exp_sheet *s, const struct exp_plan_class *c)
{
    double failure = c->cost_per_failure + c->churn_per_failure * c->customer_value;
    const char *most =
        isnan(c->max_failure_rate) ? "" : EXP_SAY(s, ASSUME_MOST, exp_say_share(s, c->max_failure_rate));
    exp_page_item(&s->page, EXP_SAY(s, ASSUME_CLASS, c->name, s->d->plan->currency, exp_say_money(s, failure),
                                    exp_say_money(s, c->cost_per_slo_miss), most));
}

void exp_sheet_assumptions(const struct exp_sheet *s)
{
    const struct exp_plan *p = s->d->plan;
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_ASSUMPTIONS_TITLE));
    exp_page_gap_in_markdown(&s->page);
    assume_load(s);
    exp_page_item(
        &s->page,
        EXP_SAY(s, ASSUME_FLEET, exp_say_share(s, p->headroom),
                exp_say_args(s, p->spare_servers == 1 ? EXP_SAY_SPARE_SERVER : EXP_SAY_SPARES,
                             (const char *const[]){exp_text(s->arena, "%u", p->spare_servers), NULL}),
                p->robust ? exp_say(s, EXP_SAY_ROBUST) : ""));
    exp_page_item(&s->page, EXP_SAY(s, ASSUME_SUPPLY, exp_say_number(s, p->lead_time_months),
                                    exp_say(s, p->bridge_rent ? EXP_SAY_BRIDGED : EXP_SAY_NOT_BRIDGED)));
    exp_page_item(&s->page, EXP_SAY(s, ASSUME_MONEY, p->currency, exp_say_share(s, p->discount_rate)));
    for (uint32_t c = 0; c < p->n_classes; c++) assume_class(s, &p->class[c]);
    exp_page_item(&s->page, exp_say(s, EXP_SAY_ASSUME_REST));
}

/* ---- prices ---- */

void exp_sheet_prices(const struct exp_sheet *s, bool sources)
{
    struct exp_price_used used[EXP_MAX_PRICES_USED];
    uint32_t n = exp_prices_used(s->arena, s->d, s->language, used);
    bool any_old = false;
    struct exp_grid g = {.id = "prices"};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_PRICES_TITLE));
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_ITEM), EXP_CELLS_LEFT);
    exp_grid_add_column(&g, s->d->prices->currency, EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_DATE), EXP_CELLS_LEFT);
    if (sources) exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_SOURCE), EXP_CELLS_BELOW);
    for (uint32_t i = 0; i < n; i++) {
        exp_grid_add(&g, used[i].item);
        exp_grid_add(&g, exp_say_money(s, used[i].value));
        exp_grid_add(&g, used[i].old ? EXP_SAY(s, OLD, used[i].price->date) : used[i].price->date);
        if (sources) exp_grid_add(&g, used[i].price->source);
        any_old |= used[i].old;
    }
    exp_page_grid(&s->page, &g);
    if (any_old)
        exp_page_text(&s->page, 0, 2, EXP_SAY(s, OLD_SAYS, exp_text(s->arena, "%d", MDL_PRICE_OLD_DAYS)));
    if (!sources) exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_SOURCES_ARE));
}
