#include "experiments/planning/decision.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/decision_parts.h"
#include "experiments/planning/sheet/facts.h"
#include "sim/memory.h"

/* ---- options ---- */

static struct exp_option option_of(const struct exp_finalist *f)
{
    struct exp_option o = exp_option_of(&f->economy[f->best], &f->response);
    o.failure_lo = f->entry->rates.newly_failing_lo;
    o.failure_hi = f->entry->rates.newly_failing_hi;
    return o;
}

static bool make_finalists(struct exp_decision *d, struct exp_cache *cache, struct exp_loads *loads,
                           uint32_t n_threads, struct sim_status *st)
{
    struct exp_progress progress = exp_progress_begin("finalists");
    bool ok = true;
    d->finalist = sim_alloc(d->search.n_finalists + 1, sizeof *d->finalist);
    d->option = sim_alloc(d->search.n_finalists + 1, sizeof *d->option);
    for (uint32_t i = 0; ok && i < d->search.n_finalists; i++) {
        struct exp_finalist *f = &d->finalist[i];
        ok = exp_finalist_make(d->plan, d->prices, &d->search, i, cache, loads, n_threads, f, st);
        if (ok) d->option[i] = option_of(f);
        d->n_finalists += ok;
        d->n_runs += f->response.n_points + f->failsafe.n_stress;
        exp_progress_show(&progress, (double)(i + 1) / d->search.n_finalists);
    }
    exp_progress_end(&progress);
    return ok;
}

/* The machines that there are, with the baseline's strategy and nothing new, on the busiest stretch. */
static double attainment_today(const struct exp_decision *d, struct exp_cache *cache, struct exp_loads *loads)
{
    struct sim_status ignored = {0};
    struct exp_trial_point p;
    if (d->search.baseline == UINT32_MAX || !d->plan->n_have) return NAN;
    const struct exp_candidate *c = &d->search.entry[d->search.baseline].candidate;
    struct exp_trial *t = exp_trial_new(d->plan, c, cache, loads, NULL, &ignored);
    bool ok = t && exp_trial_run(t, 0, 1, d->plan->base->seed, false, &p, &ignored);
    exp_trial_free(t);
    return ok ? 1 - p.miss : NAN;
}

/* What saving is measured against, in the world that is expected of it. */
static void choose_baseline(struct exp_decision *d)
{
    uint32_t base = d->search.baseline;
    if (base == UINT32_MAX) return;
    d->baseline_option = d->option[base];
    d->baseline_economy = *d->baseline_option.economy;
    struct exp_world expected = exp_risk_world(d->plan, &d->baseline_option, d->plan->base->seed, UINT32_MAX);
    exp_cash_flow(&d->baseline_economy, &expected, &d->baseline_cash);
}

/* ---- rows ---- */

static const struct exp_return no_return = {NAN, NAN, NAN, EXP_PAYBACK_NEVER, 0};

static void fill_row(struct exp_decision *d, uint32_t i, struct exp_decision_row *row)
{
    struct exp_finalist *f = &d->finalist[i];
    struct exp_cash *cash = &f->cash[f->best];
    struct exp_world expected = exp_risk_world(d->plan, &d->option[i], d->plan->base->seed, UINT32_MAX);
    exp_cash_flow(d->option[i].economy, &expected, cash);
    *row = (struct exp_decision_row){.finalist = f,
                                     .entry = f->entry,
                                     .returns = no_return,
                                     .unit = exp_unit_costs_of(cash),
                                     .unmeasured_frac = exp_unmeasured(f->entry->at.evidence)};
    row->measure_first = row->unmeasured_frac > EXP_MOST_UNMEASURED;
    if (d->search.baseline != UINT32_MAX)
        row->returns = exp_return_of(&d->baseline_cash, cash, d->plan->discount_rate);
}

static void fill_loser(const struct exp_entry *e, struct exp_decision_row *row)
{
    *row = (struct exp_decision_row){.entry = e,
                                     .returns = no_return,
                                     .unit = {NAN, NAN, NAN, NAN, NAN},
                                     .unmeasured_frac = exp_unmeasured(e->point.evidence)};
}

static int by_total(const void *a, const void *b)
{
    const struct exp_decision_row *x = a, *y = b;
    double xt = x->finalist->cash[x->finalist->best].total, yt = y->finalist->cash[y->finalist->best].total;
    if (xt != yt) return xt < yt ? -1 : 1;
    if (x->unit.per_1000_good != y->unit.per_1000_good)
        return x->unit.per_1000_good < y->unit.per_1000_good ? -1 : 1;
    return x->entry->number < y->entry->number ? -1 : x->entry->number > y->entry->number;
}

/* Does anybody say what a wrong answer costs, or how many there may be? */
static bool has_stakes(const struct exp_plan *plan)
{
    for (uint32_t c = 0; c < plan->n_classes; c++) {
        const struct exp_plan_class *k = &plan->class[c];
        if (k->cost_per_failure > 0 || k->churn_per_failure > 0 || !isnan(k->max_failure_rate)) return true;
    }
    return false;
}

/* Nobody is told to buy a risk that has a price and was never measured. */
static bool may_win(const struct exp_decision *d, const struct exp_decision_row *row)
{
    return mdl_quality_known(row->entry->quality) ||
           d->option[row->finalist - d->finalist].pilot_answers > 0 || !has_stakes(d->plan);
}

static void choose_best(struct exp_decision *d)
{
    d->best = d->best_measured = UINT32_MAX;
    for (uint32_t i = d->n_finalists; i-- > 0;) {
        if (!may_win(d, &d->row[i])) continue;
        d->best = i;
        if (!d->row[i].measure_first) d->best_measured = i;
    }
    for (uint32_t i = 0; i < d->n_rows && d->best != UINT32_MAX; i++)
        if (i != d->best) exp_decision_why(d, &d->row[i], d->row[i].why_not, sizeof d->row[i].why_not);
}

static void run_risk(struct exp_decision *d, uint32_t n_threads)
{
    struct exp_risk *risk = sim_alloc(d->n_finalists, sizeof *risk);
    d->risk_s = exp_risk_run(d->plan, d->option, d->n_finalists, &d->baseline_option, d->plan->base->seed,
                             EXP_DRAWS, n_threads, risk, &d->perfect_information);
    for (uint32_t i = 0; i < d->n_finalists; i++) d->row[i].risk = risk[d->row[i].finalist - d->finalist];
    free(risk);
}

static void make_rows(struct exp_decision *d, uint32_t n_threads)
{
    uint32_t n = d->search.n_entries;
    free(d->row);
    d->row = sim_alloc(n ? n : 1, sizeof *d->row);
    d->n_rows = n;
    d->perfect_information = NAN;
    choose_baseline(d);
    for (uint32_t i = 0; i < d->n_finalists; i++) fill_row(d, i, &d->row[i]);
    qsort(d->row, d->n_finalists, sizeof *d->row, by_total);
    for (uint32_t i = d->n_finalists; i < n; i++) fill_loser(&d->search.entry[i], &d->row[i]);
    if (d->search.baseline != UINT32_MAX) run_risk(d, n_threads);
    choose_best(d);
    exp_decision_checks(d);
}

/* ---- the whole ---- */

bool exp_decide(const struct exp_plan *plan, const struct mdl_prices *prices, struct exp_cache *cache,
                const struct exp_decision_options *options, struct exp_decision *out, struct sim_status *st)
{
    double begin_s = exp_clock_s();
    struct exp_search_options search = {
        .n_threads = options->n_threads, .seed = plan->base->seed, .deep = options->deep};
    struct exp_loads *loads = exp_loads_new(plan, cache);
    *out = (struct exp_decision){.plan = plan,
                                 .prices = prices,
                                 .best = UINT32_MAX,
                                 .best_measured = UINT32_MAX,
                                 .npv_before = NAN,
                                 .p_saving_before = NAN};
    bool ok = exp_search_run(plan, prices, cache, loads, &search, &out->search, st);
    out->n_runs = out->search.n_runs;
    out->search_s = out->search.search_s;
    out->verify_s = out->search.wall_s - out->search.search_s;
    double finalists_s = exp_clock_s();
    ok = ok && make_finalists(out, cache, loads, options->n_threads, st);
    out->response_s = exp_clock_s() - finalists_s;
    if (ok) out->attainment_today = attainment_today(out, cache, loads);
    if (ok) make_rows(out, options->n_threads);
    if (ok) exp_decision_references(out);
    if (ok) exp_decision_notes(out);
    out->wall_s = exp_clock_s() - begin_s;
    exp_loads_free(loads);
    if (!ok) exp_decision_fini(out);
    return ok;
}

/* ---- a pilot ---- */

/* Slower steps are worth so much more load. */
static void measure_speed(struct exp_option *o, double speed, double sd)
{
    double e = o->response->elasticity[EXP_DRIVE_RESIDUAL];
    if (isnan(speed)) return;
    o->measured_effort = e * speed;
    o->measured_effort_sd = e * sd;
}

static void measure_candidate(struct exp_option *o, struct exp_finalist *tried,
                              const struct exp_pilot_findings *f)
{
    measure_speed(o, f->speed, f->speed_sd);
    if (!isnan(f->length)) {
        o->measured_length = f->length - log(tried->entry->point.length_ratio);
        o->measured_length_sd = f->length_sd;
    }
    if (f->answers > 0)
        for (int a = 0; a < EXP_N_ACQUIRE; a++)
            tried->economy[a].newly_failing = ((double)f->failures + 0.5) / ((double)f->answers + 1);
    o->pilot_answers = f->answers;
    o->pilot_failures = f->failures;
}

void exp_decision_take_pilot(struct exp_decision *d, const struct exp_pilot_findings *findings,
                             uint32_t n_threads)
{
    d->pilot = findings;
    const struct exp_decision_row *row = exp_row_tried(d);
    if (!row) return;
    const struct exp_entry *tried = row->entry;
    d->npv_before = row->returns.npv;
    d->p_saving_before = row->risk.p_saving;
    for (uint32_t i = 0; i < d->n_finalists; i++) {
        const struct exp_entry *e = d->finalist[i].entry;
        bool plain = strcmp(e->candidate.contender->label, "full") == 0;
        if (e == tried)
            measure_candidate(&d->option[i], &d->finalist[i], findings);
        else if (plain && e->candidate.gpu == tried->candidate.gpu)
            measure_speed(&d->option[i], findings->baseline_speed, findings->baseline_speed_sd);
    }
    make_rows(d, n_threads);
    exp_decision_references(d);
}

void exp_decision_fini(struct exp_decision *d)
{
    exp_search_fini(&d->search);
    free(d->finalist);
    free(d->option);
    free(d->row);
    *d = (struct exp_decision){0};
}
