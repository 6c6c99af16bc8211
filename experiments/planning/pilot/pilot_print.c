#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/planning/sheet/facts.h"
#include "experiments/page.h"
#include "sim/memory.h"

struct printer {
    const struct exp_decision *d;
    const struct exp_pilot_plan *p;
    const struct exp_page *page;
    struct sim_arena *words;
};

static const char *count(const struct printer *x, double value)
{
    return exp_text(x->words, "%s", exp_count_words(value).text);
}

/* Two digits, and never as 1e+02. */
static const char *percent(const struct printer *x, double share)
{
    return exp_text(x->words, fabs(share) < 0.0995 ? "%.2g %%" : "%.0f %%", 100 * share);
}

/* Three digits, and never as 1e+03. */
static const char *number(const struct printer *x, double value)
{
    if (!isfinite(value)) return "?";
    return fabs(value) < 999.5 ? exp_text(x->words, "%.3g", value) : count(x, value);
}

/* ---- arms, and what matters ---- */

static void print_arms(const struct printer *x)
{
    const struct exp_pilot_plan *p = x->p;
    if (!p->apart) {
        exp_page_text(
            x->page, 0, 0,
            exp_text(x->words,
                     "One arm of one replica: %s. It runs full KV already, so that there is nothing to "
                     "compare: what is measured is its speed.",
                     p->arm[EXP_ARM_CANDIDATE]));
        return;
    }
    exp_page_text(x->page, 0, 0,
                  exp_text(x->words,
                           "Two arms of one replica each. Candidate: %s. Baseline: %s. Either gets %s "
                           "requests/s at the busiest hour, which is what a replica has in the plan.",
                           p->arm[EXP_ARM_CANDIDATE], p->arm[EXP_ARM_BASELINE],
                           number(x, p->load_factor * x->d->requests_per_s_needed)));
}

/* "steps take 1.2 x as long, ", or nothing where no such change does it. */
static const char *gone_when(const struct printer *x, double limit, const char *format, const char *figure)
{
    return isfinite(limit) ? exp_text(x->words, format, figure) : "";
}

static void print_limits(const struct printer *x)
{
    const struct exp_pilot_limits *l = &x->p->limits;
    double npv = exp_pilot_row(x->d)->returns.npv;
    if (isnan(l->step_time) || isnan(npv)) {
        exp_page_text(x->page, 0, 0, "There is no saving yet that something could turn into a loss.");
    } else {
        const char *effort =
            gone_when(x, l->step_time, "steps that take %s x as long, ", number(x, l->step_time));
        const char *length =
            gone_when(x, l->length, "answers %s x as long as predicted, ", number(x, l->length));
        const char *failing = gone_when(x, l->failing, "%s newly failing answers, ", percent(x, l->failing));
        bool any = *effort || *length || *failing;
        exp_page_text(x->page, 0, 0,
                      exp_text(x->words, "NPV is %s %s. %s%s%s%s%s", x->d->plan->currency, count(x, npv),
                               any ? "Gone with: " : "No error that is looked at would turn it into a loss",
                               effort, length, failing, any ? "each alone." : "."));
    }
    const char *length =
        x->p->apart ? exp_text(x->words, " and of %s in length", percent(x, x->p->length_rel_error)) : "";
    exp_page_text(x->page, 0, 0,
                  exp_text(x->words,
                           "Sizes below show a difference of %s in latency%s (90 %% power, 5 %% level).",
                           percent(x, x->p->latency_rel_error), length));
}

/* ---- stages ---- */

static void print_stages(const struct printer *x)
{
    static const char *const heads[] = {
        "stage",     "class", "traffic\nan arm", "latency\nrequests", "length\nrequests", "failing\nanswers",
        "may\nfail", "hours"};
    struct exp_grid g = {0};
    for (size_t c = 0; c < sizeof heads / sizeof heads[0]; c++)
        exp_grid_add_column(&g, heads[c], c < 2 ? EXP_CELLS_LEFT : EXP_CELLS_RIGHT);
    for (uint32_t i = 0; i < x->p->n_stages; i++) {
        const struct exp_pilot_stage *s = &x->p->stage[i];
        exp_grid_add(&g, exp_text(x->words, "%u %s", i + 1, s->name));
        exp_grid_add(&g, s->class[0] ? s->class : "all");
        exp_grid_add(&g, percent(x, s->traffic_frac));
        exp_grid_add(&g, count(x, (double)s->n_latency));
        exp_grid_add(&g, s->n_length ? count(x, (double)s->n_length) : "-");
        exp_grid_add(&g, s->n_quality ? count(x, (double)s->n_quality) : "-");
        exp_grid_add(&g, s->n_quality ? count(x, (double)s->failures_allowed) : "-");
        exp_grid_add(&g, number(x, s->hours));
    }
    exp_page_heading(x->page, 2, "Stages");
    exp_page_grid(x->page, &g);
    exp_page_text(
        x->page, 0, 0,
        "Sizes are of each arm. Shadow: both arms get copies of the same requests and nobody sees the "
        "answers. Live: the class with the least to lose first.");
    if (x->p->n_critical)
        exp_page_text(
            x->page, 0, 0,
            exp_text(x->words,
                     "Critical cases: %s of critical.csv without a failure, in the shadow stage, before "
                     "a class with a limit on failures goes live.",
                     count(x, (double)x->p->n_critical)));
}

/* ---- stop rules ---- */

/* "TTFT 1,000 ms or TPOT 50 ms"; "" without a limit. */
static const char *limits_of(const struct printer *x, const struct exp_slo_keys *k)
{
    const char *const names[] = {"TTFT", "TPOT", "E2EL"}, *text = "";
    const double limits[] = {k->ttft_ms, k->tpot_ms, k->e2el_ms};
    for (int i = 0; i < 3; i++)
        if (limits[i] > 0)
            text =
                exp_text(x->words, "%s%s%s %s ms", text, *text ? " or " : "", names[i], number(x, limits[i]));
    return text;
}

static const struct exp_class_keys *find_class(const struct exp_class_keys *keys, const char *name)
{
    while (strcmp(keys->name, name) != 0) keys++;
    return keys;
}

/* Requests of a stage that may be outside their limits before it is sure that too many are. */
static uint64_t misses_allowed(const struct exp_pilot_stage *s, double percentile)
{
    return exp_failures_allowed(s->n_latency, 1 - percentile / 100);
}

static const char *failures_rule(const struct printer *x, const struct exp_pilot_stage *s)
{
    const char *n = count(x, (double)s->n_quality);
    if (s->failures_allowed == 0) return exp_text(x->words, "%s: any of %s answers newly fails", s->class, n);
    return exp_text(x->words, "%s: more than %s of %s answers newly fail", s->class,
                    count(x, (double)s->failures_allowed), n);
}

static void print_class_rules(const struct printer *x, const struct exp_pilot_stage *s,
                              const struct exp_class_keys *k)
{
    const char *limits = limits_of(x, &k->slo);
    if (*limits && k->slo.percentile < 100)
        exp_page_item(x->page,
                      exp_text(x->words,
                               "%s: more than %s of %s requests outside %s (%.6g %% within, one-sided 95 %%)",
                               s->class, count(x, (double)misses_allowed(s, k->slo.percentile)),
                               count(x, (double)s->n_latency), limits, k->slo.percentile));
    if (s->n_quality) exp_page_item(x->page, failures_rule(x, s));
}

static void print_stops(const struct printer *x)
{
    struct exp_class_keys *keys = sim_alloc(SIM_MAX_CLASSES, sizeof *keys);
    exp_scenario_classes(x->d->plan->base, keys);
    exp_page_heading(x->page, 2, "Stop, and roll the candidate's arm back, when");
    for (uint32_t i = 0; i < x->p->n_stages; i++)
        if (x->p->stage[i].class[0])
            print_class_rules(x, &x->p->stage[i], find_class(keys, x->p->stage[i].class));
    if (x->p->n_critical) exp_page_item(x->page, "a critical case fails");
    if (x->p->apart && isfinite(x->p->length_ratio_max))
        exp_page_item(x->page,
                      exp_text(x->words, "answers are more than %s x as long as with full KV, for sure",
                               number(x, x->p->length_ratio_max)));
    free(keys);
}

/* ---- the whole ---- */

static void print_cost(const struct printer *x)
{
    const struct exp_pilot_plan *p = x->p;
    const char *cost =
        isnan(p->cost) ? "no price" : exp_text(x->words, "%s %s", x->d->plan->currency, count(x, p->cost));
    double worth = x->d->perfect_information;
    exp_page_heading(x->page, 2, "Cost");
    exp_page_text(
        x->page, 0, 0,
        exp_text(x->words, "About %s hours at the day's mean load, and %s.%s", number(x, p->hours), cost,
                 isnan(worth) ? ""
                              : exp_text(x->words, " Knowing everything beforehand would be worth %s %s.",
                                         x->d->plan->currency, count(x, worth))));
}

void exp_pilot_page(const struct exp_decision *d, const struct exp_pilot_plan *p, const struct exp_page *page)
{
    struct printer x = {d, p, page, sim_arena_new()};
    exp_page_heading(page, 1, exp_text(x.words, "Pilot of %s", p->arm[EXP_ARM_CANDIDATE]));
    print_arms(&x);
    print_limits(&x);
    print_stages(&x);
    print_stops(&x);
    print_cost(&x);
    sim_arena_free(x.words);
}

void exp_pilot_print(const struct exp_decision *d, const struct exp_pilot_plan *p, bool bold, FILE *out)
{
    struct exp_page page = {.out = out, .bold = bold};
    exp_pilot_page(d, p, &page);
}

/* ---- for programs ---- */

/* What is not a number is null there. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *stage_json(const struct exp_pilot_stage *s)
{
    return json_pack("{s:s, s:o, s:f, s:I, s:I, s:I, s:I, s:o}", "name", s->name, "class",
                     s->class[0] ? json_string(s->class) : json_null(), "traffic_frac", s->traffic_frac,
                     "latency_requests", (json_int_t)s->n_latency, "length_requests", (json_int_t)s->n_length,
                     "quality_answers", (json_int_t)s->n_quality, "failures_allowed",
                     (json_int_t)s->failures_allowed, "hours", real(s->hours));
}

json_t *exp_pilot_json(const struct exp_decision *d, const struct exp_pilot_plan *p)
{
    json_t *stages = json_array();
    for (uint32_t i = 0; i < p->n_stages; i++) json_array_append_new(stages, stage_json(&p->stage[i]));
    json_t *gone =
        json_pack("{s:o, s:o, s:o}", "step_time_factor", real(p->limits.step_time), "length_factor",
                  real(p->limits.length), "newly_failing", real(p->limits.failing));
    return json_pack("{s:s, s:s, s:b, s:f, s:f, s:o, s:I, s:f, s:f, s:o, s:o, s:o, s:o, s:s}", "candidate",
                     p->arm[EXP_ARM_CANDIDATE], "baseline", p->arm[EXP_ARM_BASELINE], "compares", p->apart,
                     "load_factor", p->load_factor, "requests_per_s",
                     p->load_factor * d->requests_per_s_needed, "stages", stages, "critical_cases",
                     (json_int_t)p->n_critical, "latency_rel_error", p->latency_rel_error, "length_rel_error",
                     p->length_rel_error, "saving_is_gone_at", gone, "length_ratio_max",
                     real(p->length_ratio_max), "hours", real(p->hours), "cost", real(p->cost), "currency",
                     d->plan->currency);
}
