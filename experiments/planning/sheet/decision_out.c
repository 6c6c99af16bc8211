/* A decision for other programs: one JSON object. Shares are fractions, what is not known is null, money is in the plan's
 * currency. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#include "experiments/planning/sheet/facts.h"
#include "experiments/planning/pilot/pilot.h"
#include "experiments/planning/sheet/prices_used.h"
#include "experiments/version.h"
#include "models/quality.h"
#include "sim/memory.h"

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Paths, and notes that were cut short, may be no UTF-8. */
static json_t *text(const char *words)
{
    json_t *o = json_string(words);
    if (o) return o;
    char *plain = sim_strdup(words);
    for (char *at = plain; *at; at++)
        if ((unsigned char)*at >= 0x80) *at = '?';
    o = json_string(plain);
    free(plain);
    return o;
}

static json_t *count(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *band(struct exp_band b)
{
    json_t *o = json_object();
    json_object_set_new(o, "mean", real(b.mean));
    json_object_set_new(o, "lo", real(b.lo));
    json_object_set_new(o, "hi", real(b.hi));
    return o;
}

static struct exp_band in_ms(struct exp_band b)
{
    return (struct exp_band){1e3 * b.mean, 1e3 * b.lo, 1e3 * b.hi};
}

struct figure {
    const char *name;
    double value;
};

static void put_figures(json_t *o, const struct figure *f, size_t n)
{
    for (size_t i = 0; i < n; i++) json_object_set_new(o, f[i].name, real(f[i].value));
}
#define PUT(o, figures) put_figures(o, figures, sizeof figures / sizeof figures[0])

/* ---- a candidate ---- */

static json_t *evidence_json(const struct exp_decision_row *row)
{
    const double *share = exp_row_evidence(row);
    json_t *o = json_object();
    for (int i = 0; i < SIM_N_EVIDENCE; i++)
        json_object_set_new(o, sim_evidence_name((enum sim_evidence)i), real(share[i]));
    return o;
}

static json_t *attainment_json(const struct exp_decision *d, const struct exp_decision_row *row)
{
    const struct exp_entry *e = row->entry;
    json_t *o = json_object();
    for (uint32_t c = 0; c < d->plan->n_classes; c++) {
        double one = c < e->point.n_classes ? e->point.class[c].attainment : NAN;
        struct exp_band b = {one, one, one};
        json_object_set_new(o, d->plan->class[c].name,
                            band(e->fate == EXP_FINALIST ? e->at.attainment[c] : b));
    }
    return o;
}

static json_t *rollback_json(const struct exp_decision_row *row)
{
    if (!row->finalist) return json_null();
    const struct exp_failsafe *f = &row->finalist->failsafe;
    json_t *o = json_object();
    json_object_set_new(o, "attainment", real(f->rollback_attainment));
    json_object_set_new(o, "met", json_boolean(f->rollback_met));
    json_object_set_new(o, "rent_servers",
                        f->rollback_rent_servers == UINT32_MAX ? json_null()
                                                               : count(f->rollback_rent_servers));
    return o;
}

static json_t *stress_json(const struct exp_decision_row *row)
{
    json_t *list = json_array();
    for (uint32_t i = 0; row->finalist && i < row->finalist->failsafe.n_stress; i++) {
        const struct exp_stress_case *c = &row->finalist->failsafe.stress[i];
        json_t *o = json_pack("{s:s, s:b, s:b}", "case", c->name, "applies", c->applies, "met", c->met);
        json_object_set_new(o, "attainment", real(c->applies ? c->attainment : NAN));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *tornado_json(const struct exp_risk *risk)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < risk->n_bars; i++) {
        const struct exp_bar *b = &risk->bar[i];
        const char *key = exp_input_key(b->input);
        json_t *o = json_pack("{s:s, s:s?}", "input", exp_input_name(b->input), "key", key);
        const struct figure f[] = {{"low", b->low_value},
                                   {"high", b->high_value},
                                   {"npv_low", b->npv_low},
                                   {"npv_high", b->npv_high},
                                   {"worth_knowing", b->knowing}};
        PUT(o, f);
        json_array_append_new(list, o);
    }
    return list;
}

/* "host memory" is host_memory, "missed SLOs" missed_slos. */
static json_t *items_json(const struct exp_cash *c)
{
    json_t *o = json_object();
    for (int i = 0; i < EXP_N_COST_ITEMS; i++) {
        char *key = sim_strdup(exp_cost_item_name((enum exp_cost_item)i));
        for (char *at = key; *at; at++) *at = *at == ' ' ? '_' : (char)tolower((unsigned char)*at);
        json_object_set_new(o, key, real(c->item[i]));
        free(key);
    }
    return o;
}

static json_t *schedule_json(const struct exp_cash *c)
{
    json_t *list = json_array();
    for (uint32_t m = 0; m <= c->n_months; m++) {
        json_t *o = json_object();
        json_object_set_new(o, "month", count(m));
        json_object_set_new(o, "delivered", count(c->bought[m]));
        json_object_set_new(o, "servers", count(c->servers[m]));
        json_object_set_new(o, "rented", real(c->rented[m]));
        json_object_set_new(o, "paid", real(c->month[m]));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *payback_months(const struct exp_return *r)
{
    if (r->payback == EXP_PAYBACK_MONTH) return count(r->payback_month);
    return r->payback == EXP_PAYBACK_IMMEDIATE ? json_integer(0) : json_null();
}

static const char *payback_state(const struct exp_decision *d, const struct exp_decision_row *row)
{
    bool known = row->finalist && d->search.baseline != UINT32_MAX;
    return known ? exp_payback_name(row->returns.payback) : "unknown";
}

/* What it would cost, as far as the search got; a bound is no estimate. */
static double estimate_of(const struct exp_entry *e)
{
    return e->fate == EXP_SEARCHED ? e->cost_estimate : NAN;
}

static void put_money(json_t *o, const struct exp_decision *d, const struct exp_decision_row *row)
{
    const struct exp_cash *cash = exp_row_cash(row);
    bool drawn = row->risk.n_draws > 0;
    const struct figure f[] = {{"cost_total", cash ? cash->total : estimate_of(row->entry)},
                               {"npv", row->returns.npv},
                               {"saving", row->returns.saving},
                               {"capex", row->returns.capex},
                               {"p_saving", drawn ? row->risk.p_saving : NAN},
                               {"p_payback", drawn ? row->risk.p_payback : NAN},
                               {"cost_per_hour", row->unit.per_hour},
                               {"cost_per_month", row->unit.per_month},
                               {"cost_per_1000_good", row->unit.per_1000_good},
                               {"cost_per_mtok", row->unit.per_mtok},
                               {"cost_per_mtok_equivalent", row->unit.per_mtok_equivalent}};
    PUT(o, f);
    json_object_set_new(o, "payback_state", text(payback_state(d, row)));
    json_object_set_new(o, "payback_months",
                        d->search.baseline == UINT32_MAX ? json_null() : payback_months(&row->returns));
    if (drawn) {
        json_object_set_new(o, "npv_band", band(row->risk.npv));
        json_object_set_new(o, "saving_band", band(row->risk.saving));
        json_object_set_new(o, "cost_total_band", band(row->risk.cost_total));
        json_object_set_new(o, "payback_months_band", band(row->risk.payback_months));
        json_object_set_new(o, "tornado", tornado_json(&row->risk));
    }
    if (!cash) return;
    json_object_set_new(o, "residual", real(cash->residual));
    json_object_set_new(o, "cost_items", items_json(cash));
    json_object_set_new(o, "schedule", schedule_json(cash));
}

static void put_machines(json_t *o, const struct exp_decision *d, const struct exp_decision_row *row,
                         struct sim_arena *arena)
{
    const struct exp_entry *e = row->entry;
    struct exp_fleet_size size = exp_fleet_size(d, row);
    json_object_set_new(o, "gpu", text(e->candidate.gpu->name));
    json_object_set_new(o, "machines", text(exp_row_gpu(arena, row, exp_have_text(arena, d->plan))));
    json_object_set_new(o, "tensor_parallel", count(e->candidate.tensor_parallel));
    json_object_set_new(o, "strategy", text(e->candidate.contender->strategy->name));
    json_object_set_new(o, "settings", text(exp_row_settings(arena, row)));
    json_object_set_new(o, "acquire", text(exp_row_way(row)));
    json_object_set_new(o, "replicas", count(e->n_replicas));
    json_object_set_new(o, "gpus", count(size.gpus));
    json_object_set_new(o, "servers", count(size.servers));
    json_object_set_new(o, "spare_servers", count(size.spare_servers));
    json_object_set_new(o, "have_servers", count(size.have_servers));
    json_object_set_new(o, "servers_bought", count(size.bought));
    json_object_set_new(o, "gpus_per_server", count(e->candidate.gpus_per_server));
}

static const char *fate_name(enum exp_fate fate)
{
    static const char *const names[] = {[EXP_CANNOT] = "cannot",
                                        [EXP_PRUNED] = "pruned",
                                        [EXP_NEVER_MEETS] = "never_meets",
                                        [EXP_SEARCHED] = "searched",
                                        [EXP_FINALIST] = "finalist"};
    return names[fate];
}

static void put_quality(json_t *o, const struct mdl_quality_rates *r)
{
    const struct figure f[] = {
        {"newly_failing", r->newly_failing},       {"newly_failing_lo", r->newly_failing_lo},
        {"newly_failing_hi", r->newly_failing_hi}, {"newly_fixed", r->newly_fixed},
        {"negative_rate", r->negative_rate},       {"quality_covered", r->covered}};
    PUT(o, f);
    json_object_set_new(o, "critical", count(r->critical));
    json_object_set_new(o, "critical_failures", count(r->critical_failures));
}

static json_t *row_json(const struct exp_decision *d, const struct exp_decision_row *row,
                        struct sim_arena *arena)
{
    const struct exp_entry *e = row->entry;
    json_t *o = json_object();
    put_machines(o, d, row, arena);
    json_object_set_new(o, "feasible", json_boolean(exp_row_feasible(row)));
    json_object_set_new(o, "fate", text(fate_name(e->fate)));
    json_object_set_new(o, "verified", e->checked ? json_boolean(e->verified) : json_null());
    json_object_set_new(o, "baseline", json_boolean(e->is_baseline));
    json_object_set_new(o, "why_not", text(exp_why(arena, d, row, EXP_ENGLISH)));
    put_money(o, d, row);
    json_object_set_new(o, "headroom", real(row->finalist ? row->finalist->response.headroom : NAN));
    json_object_set_new(o, "slo_attainment", attainment_json(d, row));
    json_object_set_new(o, "p99_ttft_ms", band(in_ms(exp_row_ttft_p99_s(row))));
    json_object_set_new(o, "p99_tpot_ms", band(in_ms(exp_row_tpot_p99_s(row))));
    json_object_set_new(o, "evidence", evidence_json(row));
    json_object_set_new(o, "unmeasured", real(row->unmeasured_frac));
    json_object_set_new(o, "measure_first", json_boolean(row->measure_first));
    json_object_set_new(o, "rollback", rollback_json(row));
    json_object_set_new(o, "stress", stress_json(row));
    put_quality(o, &e->rates);
    return o;
}

/* ---- the rest ---- */

static const char *state_name(enum exp_check_state state)
{
    static const char *const names[] = {[EXP_PASS] = "pass", [EXP_FAIL] = "fail", [EXP_UNKNOWN] = "unknown"};
    return names[state];
}

static json_t *checks_json(const struct exp_decision *d)
{
    struct exp_critical_count k = exp_critical_count(d);
    json_t *t = json_pack("{s:s}", "state", state_name(d->check_throughput));
    const struct figure f[] = {{"today_per_s", d->requests_per_s_today},
                               {"needed_per_s", d->requests_per_s_needed},
                               {"predicted_per_s", d->requests_per_s_predicted}};
    PUT(t, f);
    json_t *critical = json_pack("{s:s, s:I, s:I, s:I}", "state", state_name(d->check_critical), "failures",
                                 (json_int_t)k.failures, "of", (json_int_t)k.n, "needed",
                                 (json_int_t)exp_critical_needed(d->plan));
    return json_pack("{s:o, s:{s:s}, s:o, s:{s:s}}", "throughput", t, "slo", "state",
                     state_name(d->check_sla), "critical", critical, "payback", "state",
                     state_name(d->check_payback));
}

static json_t *references_json(const struct exp_decision *d)
{
    json_t *list = json_array();
    for (int i = 0; i < 2; i++) {
        const struct exp_reference_line *r = &d->reference[i];
        if (!r->known) continue;
        json_t *o = json_pack("{s:s}", "name", r->name);
        const struct figure f[] = {{"cost_total", r->cash.total},
                                   {"npv", r->returns.npv},
                                   {"attainment", r->attainment},
                                   {"break_even_load", r->break_even_load}};
        PUT(o, f);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *pilot_json(const struct exp_decision *d)
{
    char why[400] = "";
    if (!d->pilot) return json_null();
    enum exp_verdict_word word = exp_pilot_verdict(d, why, sizeof why);
    const struct exp_decision_row *tried = exp_row_tried(d);
    json_t *o = json_pack("{s:o, s:s, s:o}", "file", text(d->pilot->file), "verdict", exp_verdict_name(word),
                          "why", text(why));
    const struct figure f[] = {{"npv_before", d->npv_before},
                               {"npv_after", tried ? tried->returns.npv : NAN},
                               {"p_saving_before", d->p_saving_before},
                               {"p_saving_after", tried ? tried->risk.p_saving : NAN}};
    PUT(o, f);
    return o;
}

static json_t *notes_json(const struct exp_decision *d)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < d->notes.n; i++) json_array_append_new(list, text(d->notes.text[i]));
    return list;
}

static json_t *prices_json(const struct exp_decision *d, struct sim_arena *arena)
{
    struct exp_price_used used[EXP_MAX_PRICES_USED];
    json_t *list = json_array();
    uint32_t n = exp_prices_used(arena, d, EXP_ENGLISH, used);
    for (uint32_t i = 0; i < n; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "item", text(used[i].item));
        json_object_set_new(o, "date", text(used[i].price->date));
        json_object_set_new(o, "source", text(used[i].price->source));
        json_object_set_new(o, "old", json_boolean(used[i].old));
        json_object_set_new(o, "value", real(used[i].price->value));
        json_array_append_new(list, o);
    }
    return list;
}

/* Rows that a program finds in `candidates`; null = none. */
static json_t *row_number(uint32_t i)
{
    return i == UINT32_MAX ? json_null() : count(i);
}

static void put_plan(json_t *o, const struct exp_decision *d)
{
    json_object_set_new(o, "plan", text(d->plan->file));
    json_object_set_new(o, "model", text(d->plan->base->model));
    json_object_set_new(o, "currency", text(d->plan->currency));
    json_object_set_new(o, "horizon_months", count(d->plan->horizon_months));
    json_object_set_new(o, "version", text(EXP_VERSION));
}

static void put_costs_of_it(json_t *o, const struct exp_decision *d)
{
    bool based = d->search.baseline != UINT32_MAX;
    const struct figure f[] = {{"baseline_cost_total", based ? d->baseline_cash.total : NAN},
                               {"perfect_information", d->perfect_information},
                               {"pilot_cost", d->pilot_cost},
                               {"wall_s", d->wall_s},
                               {"search_wall_s", d->search_s},
                               {"verify_wall_s", d->verify_s},
                               {"response_wall_s", d->response_s},
                               {"risk_wall_s", d->risk_s}};
    PUT(o, f);
    json_object_set_new(o, "simulations", count(d->n_runs));
}

json_t *exp_decision_json(const struct exp_decision *d)
{
    struct sim_arena *arena = sim_arena_new();
    json_t *o = json_object(), *list = json_array();
    for (uint32_t i = 0; i < d->n_rows; i++) json_array_append_new(list, row_json(d, &d->row[i], arena));
    put_plan(o, d);
    json_object_set_new(o, "feasible", json_boolean(d->search.n_finalists > 0));
    json_object_set_new(o, "relaxation", d->search.relaxation[0] ? text(d->search.relaxation) : json_null());
    json_object_set_new(o, "best",
                        d->best == UINT32_MAX ? json_null() : row_json(d, &d->row[d->best], arena));
    json_object_set_new(o, "best_candidate", row_number(d->best));
    json_object_set_new(o, "best_measured_candidate", row_number(d->best_measured));
    json_object_set_new(o, "candidates", list);
    json_object_set_new(o, "checks", checks_json(d));
    json_object_set_new(o, "references", references_json(d));
    json_object_set_new(o, "pilot", pilot_json(d));
    put_costs_of_it(o, d);
    json_object_set_new(o, "prices", prices_json(d, arena));
    json_object_set_new(o, "notes", notes_json(d));
    sim_arena_free(arena);
    return o;
}
