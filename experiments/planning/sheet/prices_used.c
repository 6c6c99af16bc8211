#include "experiments/planning/sheet/prices_used.h"

#include <time.h>

#include "experiments/planning/sheet/facts.h"
#include "sim/check.h"

struct list {
    struct sim_arena *arena;
    enum exp_language language;
    char today[11];
    struct exp_price_used *out;
    uint32_t n;
};

static void add(struct list *l, const char *item, double value, const struct mdl_price *price)
{
    if (!price->known) return;
    SIM_CHECK(l->n < EXP_MAX_PRICES_USED);
    bool old = mdl_price_age_days(price, l->today) > MDL_PRICE_OLD_DAYS;
    l->out[l->n++] = (struct exp_price_used){item, value, price, old};
}

static const char *of(struct list *l, enum exp_phrase phrase, uint32_t gpus, const char *gpu,
                      const char *rest)
{
    return exp_phrase_fill(l->arena, l->language, phrase,
                           (const char *const[]){exp_text(l->arena, "%u", gpus), gpu, rest, NULL});
}

static void add_machines(struct list *l, const struct mdl_prices *p, const struct exp_candidate *c)
{
    const struct mdl_server_price *server = mdl_server_price(p, c->gpu->name, c->gpus_per_server);
    const struct mdl_rent_price *rent = mdl_rent_price(p, c->gpu->name);
    if (server)
        add(l, of(l, EXP_SAY_PRICE_SERVER, server->gpus, server->gpu, ""), server->server.value,
            &server->server);
    if (!rent) return;
    const char *provider = rent->provider[0] ? exp_text(l->arena, ", %s", rent->provider) : "";
    add(l, of(l, EXP_SAY_PRICE_RENT, rent->gpus, rent->gpu, provider), rent->hour.value, &rent->hour);
}

static void add_site(struct list *l, const struct mdl_prices *p)
{
    const struct {
        enum exp_phrase item;
        double scale;
        const struct mdl_price *price;
    } rows[] = {{EXP_SAY_PRICE_HOST, 1, &p->host_gib},
                {EXP_SAY_PRICE_KWH, 1, &p->kwh},
                {EXP_SAY_PRICE_PUE, 1, &p->pue},
                {EXP_SAY_PRICE_RACK, 1, &p->rack_server_month},
                {EXP_SAY_PRICE_MAINTENANCE, 100, &p->maintenance_frac},
                {EXP_SAY_PRICE_ENGINEER, 1, &p->engineer_hour},
                {EXP_SAY_PRICE_LOSS, 100, &p->value_loss_frac}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        add(l, exp_phrase(l->language, rows[i].item), rows[i].scale * rows[i].price->value, rows[i].price);
}

static void add_api(struct list *l, const struct mdl_api_price *api)
{
    if (!api) return;
    add(l, exp_phrase(l->language, EXP_SAY_PRICE_API_IN), api->input_mtok.value, &api->input_mtok);
    add(l, exp_phrase(l->language, EXP_SAY_PRICE_API_OUT), api->output_mtok.value, &api->output_mtok);
}

static void set_today(struct list *l)
{
    time_t now = time(NULL);
    struct tm tm;
    snprintf(l->today, sizeof l->today, "1970-01-01");
    if (gmtime_r(&now, &tm)) strftime(l->today, sizeof l->today, "%Y-%m-%d", &tm);
}

uint32_t exp_prices_used(struct sim_arena *arena, const struct exp_decision *d, enum exp_language language,
                         struct exp_price_used out[EXP_MAX_PRICES_USED])
{
    struct list l = {.arena = arena, .language = language, .out = out};
    set_today(&l);
    if (d->best != UINT32_MAX) add_machines(&l, d->prices, &d->row[d->best].entry->candidate);
    add_site(&l, d->prices);
    add_api(&l, mdl_api_price(d->prices, d->plan->base->model));
    return l.n;
}
