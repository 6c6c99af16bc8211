/* What a dry run found, for people and programs. */
#include <stdio.h>

#include "experiments/cli.h"
#include "experiments/listing.h"
#include "experiments/planning/file/dry_run.h"

static void print_load(const struct exp_plan *p, const struct exp_dry_run *d, FILE *out)
{
    const char *name = p->base->workload.source == EXP_TRACE ? p->base->workload.trace : "open loop";
    fprintf(out, "load    %s: %s requests, %s requests/s; searched on the busiest %s\n", name,
            exp_count_words((double)d->n_requests).text, exp_short_words(d->request_rate).text,
            exp_count_words((double)d->n_window).text);
    fprintf(out, "search  %u candidates, about %s simulations, %s on %u threads\n", d->n_candidates,
            exp_count_words(d->n_runs).text, exp_duration_words(d->seconds).text, d->n_threads);
}

/* "315,000, 144 days" */
static json_t *price_cell(const struct mdl_price *price, const struct exp_dry_run *d)
{
    char text[96];
    if (!price || !price->known) return json_string("none");
    int age = mdl_price_age_days(price, d->today);
    snprintf(text, sizeof text, "%s, %d days%s", exp_short_words(price->value).text, age,
             age > MDL_PRICE_OLD_DAYS ? " OLD" : "");
    return json_string(text);
}

static json_t *gpu_row(const struct exp_input_gpu *g, const struct exp_dry_run *d)
{
    return json_pack("{s:s, s:s, s:o, s:o}", "card", g->gpu->name, "operators",
                     g->gpu->profile[0] ? g->profile : "analytic", "to buy, a server",
                     price_cell(g->server ? &g->server->server : NULL, d), "to rent, an hour",
                     price_cell(g->rent ? &g->rent->hour : NULL, d));
}

static json_t *strategy_row(const struct exp_input_strategy *s)
{
    return json_pack("{s:s, s:s, s:s}", "strategy", s->label, "answers",
                     !s->runs   ? "cannot run"
                     : s->known ? "known"
                                : "NOT KNOWN",
                     "source", s->source);
}

void exp_dry_run_print(const struct exp_plan *p, const struct exp_dry_run *d, FILE *out)
{
    json_t *gpus = json_array(), *strategies = json_array();
    for (uint32_t i = 0; i < d->n_gpus; i++) json_array_append_new(gpus, gpu_row(&d->gpu[i], d));
    for (uint32_t i = 0; i < d->n_strategies; i++)
        json_array_append_new(strategies, strategy_row(&d->strategy[i]));
    print_load(p, d, out);
    fprintf(out, "\nprices in %s\n", p->currency);
    exp_print_rows(gpus, out);
    fputc('\n', out);
    exp_print_rows(strategies, out);
    json_decref(gpus);
    json_decref(strategies);
}

static json_t *price_json(const struct mdl_price *price, const struct exp_dry_run *d)
{
    if (!price || !price->known) return json_null();
    return json_pack("{s:f, s:s, s:i, s:s}", "value", price->value, "date", price->date, "age_days",
                     mdl_price_age_days(price, d->today), "source", price->source);
}

json_t *exp_dry_run_json(const struct exp_dry_run *d)
{
    json_t *gpus = json_array(), *strategies = json_array();
    for (uint32_t i = 0; i < d->n_gpus; i++) {
        const struct exp_input_gpu *g = &d->gpu[i];
        json_array_append_new(gpus, json_pack("{s:s, s:s, s:b, s:o, s:o}", "gpu", g->gpu->name, "profile",
                                              g->profile, "measured", g->gpu->profile[0] != '\0', "server",
                                              price_json(g->server ? &g->server->server : NULL, d),
                                              "rent_hour", price_json(g->rent ? &g->rent->hour : NULL, d)));
    }
    for (uint32_t i = 0; i < d->n_strategies; i++) {
        const struct exp_input_strategy *s = &d->strategy[i];
        json_array_append_new(strategies, json_pack("{s:s, s:b, s:b, s:s}", "strategy", s->label, "runs",
                                                    s->runs, "quality_known", s->known, "source", s->source));
    }
    return json_pack("{s:I, s:I, s:f, s:i, s:f, s:f, s:o, s:o}", "requests", (json_int_t)d->n_requests,
                     "searched_requests", (json_int_t)d->n_window, "request_rate", d->request_rate, "points",
                     (int)d->n_candidates, "simulations", d->n_runs, "estimated_s", d->seconds, "gpus", gpus,
                     "strategies", strategies);
}
