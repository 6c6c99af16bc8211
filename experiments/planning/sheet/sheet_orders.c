/* Page two's money: what is ordered and when, and what the horizon's cost is made of. */
#include <math.h>

#include "experiments/planning/sheet/sheet_parts.h"

/* ---- bill of materials ---- */

struct bill {
    const struct exp_sheet *s;
    struct exp_grid g;
    const struct mdl_price *price; /* of what is added next; NULL = none */
};

static void add_item(struct bill *b, const char *item, double count, double each, double sum)
{
    const struct exp_sheet *s = b->s;
    exp_grid_add(&b->g, item);
    exp_grid_add(&b->g, isnan(count) ? "" : exp_say_number(s, count));
    exp_grid_add(&b->g, isnan(each) ? "" : exp_say_money(s, each));
    exp_grid_add(&b->g, isnan(sum) ? "" : exp_say_money(s, sum));
    exp_grid_add(&b->g, b->price ? b->price->date : "");
    exp_grid_add(&b->g, b->price ? b->price->source : "");
}

static void add_servers(struct bill *b)
{
    const struct exp_sheet *s = b->s;
    const struct exp_candidate *c = &s->best->entry->candidate;
    const struct mdl_server_price *p = mdl_server_price(s->d->prices, c->gpu->name, c->gpus_per_server);
    double each = exp_row_economy(s->best)->server_price;
    struct exp_fleet_size size = exp_fleet_size(s->d, s->best);
    uint32_t first = size.servers < size.bought ? size.servers : size.bought;
    uint32_t spare = size.spare_servers < first ? size.spare_servers : first, later = size.bought - first;
    if (!size.bought) return;
    b->price = p ? &p->server : NULL;
    add_item(b,
             EXP_SAY(s, BILL_SERVER, exp_text(s->arena, "%u", c->gpus_per_server), c->gpu->name,
                     p ? exp_say_number(s, p->host_gib) : "?"),
             first - spare, each, (first - spare) * each);
    b->price = NULL;
    if (spare) add_item(b, exp_say(s, EXP_SAY_BILL_SPARE), spare, each, spare * each);
    if (later) add_item(b, exp_say(s, EXP_SAY_BILL_LATER), later, each, later * each);
}

static void add_kept(struct bill *b)
{
    const struct exp_sheet *s = b->s;
    for (uint32_t i = 0; s->best->entry->candidate.keeps_have && i < s->d->plan->n_have; i++) {
        const struct exp_plan_have *h = &s->d->plan->have[i];
        add_item(b, EXP_SAY(s, BILL_HAVE, exp_text(s->arena, "%u", h->gpus_per_server), h->gpu), h->servers,
                 0, 0);
    }
}

static void add_rent(struct bill *b)
{
    const struct exp_sheet *s = b->s;
    const struct exp_cash *cash = exp_row_cash(s->best);
    const struct mdl_rent_price *p = mdl_rent_price(s->d->prices, s->best->entry->candidate.gpu->name);
    double months = 0;
    for (uint32_t m = 0; m <= cash->n_months; m++) months += cash->rented[m];
    if (months <= 0 || !p) return;
    b->price = &p->hour;
    add_item(b, EXP_SAY(s, BILL_RENT, exp_text(s->arena, "%u", p->gpus), p->gpu), months,
             cash->item[EXP_COST_RENT] / months, cash->item[EXP_COST_RENT]);
    b->price = NULL;
}

void exp_sheet_bill(const struct exp_sheet *s)
{
    const char *currency = s->d->plan->currency;
    const struct exp_cash *cash = exp_row_cash(s->best);
    struct bill b = {.s = s, .g = {.id = "bill"}};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_BILL_TITLE));
    exp_grid_add_column(&b.g, exp_say(s, EXP_SAY_HEAD_ITEM), EXP_CELLS_LEFT);
    exp_grid_add_column(&b.g, exp_say(s, EXP_SAY_HEAD_COUNT), EXP_CELLS_RIGHT);
    exp_grid_add_column(&b.g, EXP_SAY(s, HEAD_EACH, currency), EXP_CELLS_RIGHT);
    exp_grid_add_column(&b.g, currency, EXP_CELLS_RIGHT);
    exp_grid_add_column(&b.g, exp_say(s, EXP_SAY_HEAD_DATE), EXP_CELLS_LEFT);
    exp_grid_add_column(&b.g, exp_say(s, EXP_SAY_HEAD_SOURCE), EXP_CELLS_BELOW);
    add_servers(&b);
    add_kept(&b);
    add_item(&b, exp_say(s, EXP_SAY_BILL_GPUS), exp_fleet_size(s->d, s->best).gpus, NAN, NAN);
    if (cash->item[EXP_COST_HOST_MEMORY] > 0) {
        b.price = &s->d->prices->host_gib;
        add_item(&b, exp_say(s, EXP_SAY_BILL_MEMORY), NAN, NAN, cash->item[EXP_COST_HOST_MEMORY]);
    }
    add_rent(&b);
    b.price = &s->d->prices->engineer_hour;
    if (cash->item[EXP_COST_INTEGRATION] > 0)
        add_item(&b, EXP_SAY(s, BILL_INTEGRATION, s->best->entry->candidate.contender->strategy->name), 1,
                 cash->item[EXP_COST_INTEGRATION], cash->item[EXP_COST_INTEGRATION]);
    exp_page_grid(&s->page, &b.g);
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_BILL_ADDS));
}

/* ---- purchases by month ---- */

static bool is_news(const struct exp_cash *c, uint32_t m)
{
    return m == 0 || m == c->n_months || c->bought[m] || c->servers[m] != c->servers[m - 1] ||
           fabs(c->rented[m] - c->rented[m - 1]) > 0.005;
}

void exp_sheet_schedule(const struct exp_sheet *s)
{
    const struct exp_cash *c = exp_row_cash(s->best);
    struct exp_grid g = {.id = "schedule"};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_SCHEDULE_TITLE));
    exp_page_text(&s->page, 0, 2, exp_say(s, EXP_SAY_SCHEDULE_SAYS));
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_MONTH_NO), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_DELIVERED), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_RUNNING), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, exp_say(s, EXP_SAY_HEAD_RENTED), EXP_CELLS_RIGHT);
    exp_grid_add_column(&g, EXP_SAY(s, HEAD_CASH, s->d->plan->currency), EXP_CELLS_RIGHT);
    for (uint32_t m = 0; m <= c->n_months; m++) {
        if (!is_news(c, m)) continue;
        exp_grid_add(&g, exp_text(s->arena, "%u", m));
        exp_grid_add(&g, exp_text(s->arena, "%u", c->bought[m]));
        exp_grid_add(&g, exp_text(s->arena, "%u", c->servers[m]));
        exp_grid_add(&g, exp_text(s->arena, "%.2f", c->rented[m]));
        exp_grid_add(&g, exp_say_money(s, c->month[m]));
    }
    exp_page_grid(&s->page, &g);
}

/* ---- cost over the horizon ---- */

struct costs {
    const struct exp_sheet *s;
    struct exp_grid g;
    bool compared;
};

static void add_cost(struct costs *k, const char *name, double own, double base)
{
    exp_grid_add(&k->g, name);
    exp_grid_add(&k->g, exp_say_money(k->s, own));
    if (!k->compared) return;
    exp_grid_add(&k->g, exp_say_money(k->s, base));
    exp_grid_add(&k->g, exp_say_money(k->s, own - base));
}

static void add_unit_costs(struct costs *k, const struct exp_unit_costs *own, const struct exp_cash *base)
{
    struct exp_unit_costs b = {NAN, NAN, NAN, NAN, NAN};
    if (k->compared) b = exp_unit_costs_of(base);
    add_cost(k, exp_say(k->s, EXP_SAY_COST_HOUR), own->per_hour, b.per_hour);
    add_cost(k, exp_say(k->s, EXP_SAY_COST_MTOK), own->per_mtok, b.per_mtok);
    add_cost(k, exp_say(k->s, EXP_SAY_COST_EQUIVALENT), own->per_mtok_equivalent, b.per_mtok_equivalent);
}

void exp_sheet_costs(const struct exp_sheet *s)
{
    const struct exp_cash *own = exp_row_cash(s->best), *base = &s->d->baseline_cash;
    struct costs k = {.s = s, .g = {.id = "costs"}, .compared = s->d->search.baseline != UINT32_MAX};
    exp_page_heading(&s->page, 2, exp_say(s, EXP_SAY_COST_TITLE));
    exp_grid_add_column(&k.g, exp_say(s, EXP_SAY_HEAD_ITEM), EXP_CELLS_LEFT);
    exp_grid_add_column(&k.g, s->d->plan->currency, EXP_CELLS_RIGHT);
    if (k.compared) exp_grid_add_column(&k.g, exp_say(s, EXP_SAY_HEAD_BASELINE), EXP_CELLS_RIGHT);
    if (k.compared) exp_grid_add_column(&k.g, exp_say(s, EXP_SAY_HEAD_DIFFERENCE), EXP_CELLS_RIGHT);
    for (int i = 0; i < EXP_N_COST_ITEMS; i++)
        if (own->item[i] != 0 || (k.compared && base->item[i] != 0))
            add_cost(&k, exp_term(s->language, exp_cost_item_name((enum exp_cost_item)i)), own->item[i],
                     base->item[i]);
    add_cost(&k, exp_say(s, EXP_SAY_COST_TOTAL), own->total, base->total);
    add_cost(&k, exp_say(s, EXP_SAY_COST_RESIDUAL), own->residual, base->residual);
    add_unit_costs(&k, &s->best->unit, base);
    exp_page_grid(&s->page, &k.g);
}
