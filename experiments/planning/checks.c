#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "experiments/planning/decision_parts.h"

enum { PILOT_HOURS = 80 }; /* of an engineer, unless the plan says what a pilot costs */

/* ---- the four checks ---- */

static double strictest(const struct exp_plan *plan)
{
    double least = NAN;
    for (uint32_t c = 0; c < plan->n_classes; c++) least = fmin(least, plan->class[c].max_failure_rate);
    return least;
}

/* Of the samples that the user listed as critical; a pilot's count on top. */
static enum exp_check_state check_critical(const struct exp_decision *d, const struct exp_entry *e)
{
    double most = strictest(d->plan);
    const struct mdl_quality_rates *r = &e->rates;
    uint64_t n = r->critical + (d->pilot ? d->pilot->critical : 0);
    uint64_t failures = r->critical_failures + (d->pilot ? d->pilot->critical_failures : 0);
    if (!mdl_quality_known(e->quality)) return EXP_UNKNOWN;
    if (r->newly_failing == 0 && r->samples == 0) return EXP_PASS; /* lossless by definition */
    if (isnan(most)) return EXP_UNKNOWN;
    if (n && mdl_failure_bound(failures, n, 0.95) <= most) return EXP_PASS;
    double lower = n ? 1 - mdl_failure_bound(n - failures, n, 0.95) : 0;
    return lower > most ? EXP_FAIL : EXP_UNKNOWN;
}

static enum exp_check_state check_payback(const struct exp_decision *d, const struct exp_decision_row *row)
{
    if (d->search.baseline == UINT32_MAX) return EXP_UNKNOWN;
    return row->returns.payback == EXP_PAYBACK_NEVER ? EXP_FAIL : EXP_PASS;
}

void exp_decision_checks(struct exp_decision *d)
{
    d->check_throughput = d->check_sla = EXP_FAIL;
    d->check_critical = d->check_payback = EXP_UNKNOWN;
    d->pilot_cost =
        isnan(d->plan->pilot_cost) ? PILOT_HOURS * d->prices->engineer_hour.value : d->plan->pilot_cost;
    double rate = d->search.n_entries ? d->search.entry[0].request_rate : 0;
    d->requests_per_s_needed = rate;
    d->requests_per_s_today = rate / d->plan->base->workload.multiply;
    d->requests_per_s_predicted = 0;
    if (d->best == UINT32_MAX) return;
    const struct exp_decision_row *row = &d->row[d->best];
    d->requests_per_s_predicted = rate * row->finalist->response.headroom;
    if (d->requests_per_s_predicted >= d->requests_per_s_needed) d->check_throughput = EXP_PASS;
    if (row->entry->at.feasible)
        d->check_sla = row->entry->checked && !row->entry->fresh_at.feasible ? EXP_UNKNOWN : EXP_PASS;
    d->check_critical = check_critical(d, row->entry);
    d->check_payback = check_payback(d, row);
}

/* ---- reference lines ---- */

/* In the world that is expected of the baseline, with what a pilot measured of it. */
static void set_line(const struct exp_decision *d, struct exp_reference_line *line,
                     const struct exp_economy *e)
{
    struct exp_option as_baseline = d->baseline_option;
    as_baseline.economy = e;
    struct exp_world expected = exp_risk_world(d->plan, &as_baseline, d->plan->base->seed, UINT32_MAX);
    line->known = true;
    exp_cash_flow(e, &expected, &line->cash);
    line->returns = exp_return_of(&d->baseline_cash, &line->cash, d->plan->discount_rate);
}

void exp_decision_references(struct exp_decision *d)
{
    struct exp_economy e;
    d->reference[0] =
        (struct exp_reference_line){.name = "do nothing", .attainment = NAN, .break_even_load = NAN};
    d->reference[1] =
        (struct exp_reference_line){.name = "managed API", .attainment = NAN, .break_even_load = NAN};
    if (d->search.baseline == UINT32_MAX) return;
    const struct exp_finalist *base = &d->finalist[d->search.baseline];
    if (d->plan->n_have && exp_economy_do_nothing(d->plan, d->prices, base->entry, &base->response, &e)) {
        set_line(d, &d->reference[0], &e);
        d->reference[0].attainment = d->attainment_today;
    }
    if (!exp_economy_api(d->plan, d->prices, base->entry, &e)) return;
    set_line(d, &d->reference[1], &e);
    if (d->best != UINT32_MAX)
        d->reference[1].break_even_load =
            exp_break_even_load(d->option[d->row[d->best].finalist - d->finalist].economy, &e);
}

/* ---- notes ---- */

struct today {
    char date[11];
};

static struct today today(void)
{
    struct today t = {"1970-01-01"};
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm)) strftime(t.date, sizeof t.date, "%Y-%m-%d", &tm);
    return t;
}

static void note_old(struct exp_decision *d, const char *what, const struct mdl_price *p)
{
    int days = p->known ? mdl_price_age_days(p, today().date) : 0;
    if (days > MDL_PRICE_OLD_DAYS)
        exp_note(&d->notes, "price of %s is of %s, %d days old: ask for a quote", what, p->date, days);
}

static void note_prices(struct exp_decision *d, const struct exp_decision_row *row)
{
    char what[96];
    const struct exp_candidate *c = &row->entry->candidate;
    const struct mdl_server_price *server = mdl_server_price(d->prices, c->gpu->name, c->gpus_per_server);
    const struct mdl_rent_price *rent = mdl_rent_price(d->prices, c->gpu->name);
    snprintf(what, sizeof what, "a %s server", c->gpu->name);
    if (server && row->finalist->best != EXP_RENT) note_old(d, what, &server->server);
    snprintf(what, sizeof what, "a rented %s instance", c->gpu->name);
    if (rent && row->finalist->best != EXP_BUY) note_old(d, what, &rent->hour);
    note_old(d, "electricity", &d->prices->kwh);
}

static void note_winner(struct exp_decision *d, const struct exp_decision_row *row)
{
    note_prices(d, row);
    if (!mdl_quality_known(row->entry->quality))
        exp_note(&d->notes,
                 "quality of %s was never measured with these parameters: failures cost nothing here",
                 row->entry->candidate.contender->label);
    else if (row->entry->rates.covered < 0.999 && d->plan->task_mix.n)
        exp_note(&d->notes, "quality is known for %.0f %% of the task mix only",
                 100 * row->entry->rates.covered);
}

static void note_number(struct exp_decision *d, const struct exp_entry *e)
{
    char label[EXP_LABEL_BYTES + 64];
    uint32_t n = e->n_replicas;
    exp_candidate_label(&e->candidate, label, sizeof label);
    if (e->checked && !e->fresh_at.feasible)
        exp_note(&d->notes, "%s: between %u and %u replicas; with fresh seeds %u do not hold", label, n,
                 n + 1, n);
    else if (e->checked && !e->verified && n)
        exp_note(&d->notes, "%s: between %u and %u replicas; with fresh seeds one less does, too", label,
                 n - 1, n);
    else if (!e->checked && n)
        exp_note(&d->notes,
                 "%s: between %u and %u replicas; not checked with fresh seeds, it costs over 10 %% more",
                 label, n - 1, n);
}

void exp_decision_notes(struct exp_decision *d)
{
    if (d->best != UINT32_MAX) note_winner(d, &d->row[d->best]);
    if (d->search.baseline == UINT32_MAX && d->search.n_finalists)
        exp_note(&d->notes,
                 "no fleet with the baseline %s meets the service levels: saving and payback are not known",
                 d->plan->baseline.label);
    for (uint32_t i = 0; i < d->n_finalists; i++) note_number(d, d->row[i].entry);
    if (!d->plan->bridge_rent && d->plan->lead_time_months > 0)
        exp_note(&d->notes,
                 "what is ordered serves after %.3g months, and nothing is rented until then: the checks are "
                 "of the time after",
                 d->plan->lead_time_months);
    if (d->search.n_finalists && d->check_throughput == EXP_FAIL)
        exp_note(&d->notes,
                 "the service level breaks below the planned peak on the busiest stretch of the trace");
}
