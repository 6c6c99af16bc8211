/* For tests of what a decision prints and writes: one made by hand, with figures that nobody computed, so that what comes
 * out can be compared with what was put in. Four rows: the winner (freekv on H200), the baseline (full, more GPUs), one
 * whose quality nobody measured, and one that cannot run. */
#ifndef KVSIM_TESTS_DECISION_HELP_H
#define KVSIM_TESTS_DECISION_HELP_H

#include "experiments/planning/decision.h"
#include "sim/memory.h"
#include "tests/harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MADE_FINALISTS = 3, MADE_ROWS = 4 };

struct made {
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct mdl_prices *prices;
    struct exp_decision d;
};

static const char made_plan[] =
    "model: llama-3.1-8b\n"
    "load: {trace: TRACE, multiply: 10, growth_per_year: 0.6, horizon_months: 36}\n"
    "classes:\n"
    "  default: {slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}, cost_per_slo_miss: 0.001}\n"
    "  critical: {slo: {ttft_ms: 500, percentile: 99.9}, assign: {task: audit}, cost_per_failure: 40, "
    "max_failure_rate: 0.001}\n"
    "search: {gpu: [h200-sxm], tensor_parallel: [1], strategy: [full, \"freekv:budget=1024\", kivi4]}\n"
    "spare: {servers: 1, headroom: 0.2}\n";

static inline struct mdl_price made_price(double value, const char *date, const char *source)
{
    struct mdl_price p = {.value = value, .known = true};
    snprintf(p.date, sizeof p.date, "%s", date);
    snprintf(p.source, sizeof p.source, "%s", source);
    return p;
}

static inline void make_prices(struct mdl_prices *p)
{
    strcpy(p->currency, "USD");
    p->n_servers = p->n_rents = 1;
    strcpy(p->servers[0].gpu, "h200-sxm");
    p->servers[0].gpus = 8;
    p->servers[0].host_gib = 2048;
    p->servers[0].server = made_price(355000, "2020-01-31", "an old quote, \"A | B\"");
    strcpy(p->rents[0].gpu, "h200-sxm");
    p->rents[0].gpus = 8;
    p->rents[0].hour = made_price(25.6, "2999-01-01", "a rental's page");
    p->kwh = made_price(0.0869, "2999-01-01", "a utility");
    p->engineer_hour = made_price(110, "2999-01-01", "a survey");
}

static inline void make_cash(struct exp_cash *c, double total)
{
    c->n_months = 36;
    c->bought[0] = 2;
    c->bought[20] = 1;
    for (uint32_t m = 1; m <= 36; m++) c->servers[m] = m > 20 ? 2 : 1;
    c->rented[1] = 0.5;
    c->month[0] = 710000;
    for (uint32_t m = 1; m <= 36; m++) c->month[m] = (total - 710000) / 36;
    c->item[EXP_COST_SERVERS] = 710000;
    c->item[EXP_COST_POWER] = total - 710000;
    c->total = total;
    c->served = c->good = 1e9;
    c->output_tokens = c->equivalent_tokens = 1e11;
    c->residual = 100000;
}

static inline void make_verdict(struct exp_verdict *v, uint32_t n, bool feasible, double attained)
{
    *v = (struct exp_verdict){.n_replicas = n, .n_replications = 8, .feasible = feasible};
    v->attainment[0] = (struct exp_band){attained, attained - 0.003, attained + 0.002};
    v->attainment[1] = (struct exp_band){0.9995, 0.9991, 1};
    v->ttft_p99_s = (struct exp_band){0.640, 0.6, 0.7};
    v->tpot_p99_s = (struct exp_band){0.031, 0.03, 0.032};
    v->evidence[SIM_MEASURED] = 0.5;
    v->evidence[SIM_INTERPOLATED] = 0.21;
    v->evidence[SIM_ANALYTIC] = 0.29;
}

static inline void make_entry(struct made *m, uint32_t i, uint32_t strategy, uint32_t n_replicas)
{
    struct sim_status st = {0};
    struct exp_entry *e = &m->d.search.entry[i];
    e->candidate = (struct exp_candidate){.gpu = mdl_gpu_find(exp_cache_gpus(m->cache), "h200-sxm", &st),
                                          .tensor_parallel = 1,
                                          .gpus_per_server = 8,
                                          .contender = &m->plan->strategies.at[strategy],
                                          .host_gib = NAN};
    e->fate = EXP_FINALIST;
    e->n_replicas = n_replicas;
    e->number = i;
    e->verified = true;
    e->cost_estimate = 2e6;
    e->point.n_classes = 2;
    e->point.class[0] = (struct exp_class_point){.arrived = 900, .attainment = 0.99, .tpot_miss = 0.01};
    e->point.class[1] = (struct exp_class_point){.arrived = 100, .attainment = 1};
    make_verdict(&e->below, n_replicas - 1, false, 0.985);
    make_verdict(&e->at, n_replicas, true, 0.994);
    make_verdict(&e->above, n_replicas + 1, true, 0.996);
    make_verdict(&e->fresh_below, n_replicas - 1, false, 0.98);
    make_verdict(&e->fresh_at, n_replicas, true, 0.993);
}

static inline void make_finalist(struct made *m, uint32_t i, double total)
{
    struct exp_finalist *f = &m->d.finalist[i];
    f->entry = &m->d.search.entry[i];
    f->best = EXP_BUY;
    f->economy[EXP_BUY].acquire = EXP_BUY;
    f->economy[EXP_BUY].spare_servers = 1;
    f->economy[EXP_BUY].server_price = 355000;
    make_cash(&f->cash[EXP_BUY], total);
    f->response.headroom = 1.24;
    f->response.elasticity[EXP_DRIVE_HOST] = 0.5;
    f->response.log_sd[EXP_DRIVE_HOST] = log(1.3);
    strcpy(f->response.stream[EXP_DRIVE_HOST], "host h200-sxm");
    f->failsafe =
        (struct exp_failsafe){.rollback_attainment = 0.412, .rollback_rent_servers = 3, .n_stress = 2};
    f->failsafe.stress[0] = (struct exp_stress_case){"one server lost", true, 0.991, true};
    f->failsafe.stress[1] = (struct exp_stress_case){"host link halved", i == 0, 0.873, false};
    strcpy(f->engine, "vllm-0.24");
    f->engine_setting[0] = (struct exp_setting){"max_num_seqs", "", 256, NULL, true};
    f->engine_setting[1] = (struct exp_setting){"gpu_memory_utilization", "", 0.92, NULL, true};
    f->engine_setting[2] = (struct exp_setting){"async_scheduling", "", 0, "true", true};
    f->engine_setting[3] = (struct exp_setting){"num_gpu_blocks", "", 9000, NULL, true};
    for (int k = 4; k < EXP_N_SETTINGS; k++) f->engine_setting[k].name = "";
}

static inline void make_row(struct made *m, uint32_t i, bool finalist)
{
    struct exp_decision_row *row = &m->d.row[i];
    row->entry = &m->d.search.entry[i];
    row->finalist = finalist ? &m->d.finalist[i] : NULL;
    row->returns = (struct exp_return){NAN, NAN, NAN, EXP_PAYBACK_NEVER, 0};
    row->unit = (struct exp_unit_costs){NAN, NAN, NAN, NAN, NAN};
    if (!finalist) return;
    row->unit = (struct exp_unit_costs){73.1, 0.31 + 0.07 * i, 1.9, 1.8, 53300 + 11400.0 * i};
    row->unmeasured_frac = 0.29;
    row->risk.n_draws = 10000;
}

static inline void make_winner(struct exp_decision_row *row)
{
    row->returns = (struct exp_return){350000, 410000, 710000, EXP_PAYBACK_MONTH, 11};
    row->risk.p_saving = 0.93;
    row->risk.p_payback = 0.92;
    row->risk.saving = (struct exp_band){400000, 120000, 660000};
    row->risk.n_bars = 4;
    row->risk.bar[0] = (struct exp_bar){.input = EXP_INPUT_GROWTH,
                                        .low_value = 0.35,
                                        .high_value = 0.85,
                                        .npv_low = -120000,
                                        .npv_high = 610000,
                                        .knowing = 5000};
    row->risk.bar[1] = (struct exp_bar){.input = EXP_DRIVE_HOST,
                                        .low_value = 0.77,
                                        .high_value = 1.3,
                                        .npv_low = 500000,
                                        .npv_high = 100000,
                                        .knowing = 4000};
    row->risk.bar[2] = (struct exp_bar){.input = EXP_INPUT_FAILURE_RATE,
                                        .low_value = 0.004,
                                        .high_value = 0.02,
                                        .npv_low = 400000,
                                        .npv_high = 200000,
                                        .knowing = 3000};
    row->risk.bar[3] = (struct exp_bar){.input = EXP_INPUT_POWER,
                                        .low_value = 0.8,
                                        .high_value = 1.25,
                                        .npv_low = 360000,
                                        .npv_high = 340000,
                                        .knowing = 10};
}

static inline struct exp_plan *make_plan(struct exp_cache *cache)
{
    struct sim_status st = {0};
    char *trace = sim_printf("%s/traces/samples/demo.csv", exp_cache_data_dir(cache));
    const char *at = strstr(made_plan, "TRACE");
    char *text = sim_printf("%.*s%s%s", (int)(at - made_plan), made_plan, trace, at + 5);
    struct exp_plan *p = exp_plan_parse("plan.yaml", text, strlen(text), &st);
    ck_assert_msg(p && exp_plan_check(p, cache, &st), "%s", st.message);
    free(trace);
    free(text);
    return p;
}

static inline void make_entries(struct made *m)
{
    struct exp_decision *d = &m->d;
    d->search.entry = sim_alloc(MADE_ROWS, sizeof *d->search.entry);
    d->search.n_entries = MADE_ROWS;
    d->search.n_finalists = MADE_FINALISTS;
    d->search.baseline = 1;
    make_entry(m, 0, 1, 16);
    make_entry(m, 1, 0, 20);
    make_entry(m, 2, 2, 14);
    make_entry(m, 3, 2, 0);
    d->search.entry[0].rates.newly_failing = 0.009;
    d->search.entry[0].rates.critical = 420;
    d->search.entry[1].is_baseline = true;
    d->search.entry[1].point.kv_peak_utilization = 0.99;
    d->search.entry[2].rates.newly_failing = NAN;
    d->search.entry[3].fate = EXP_CANNOT;
    d->search.entry[3].cost_estimate = NAN;
    strcpy(d->search.entry[3].why_not, "a request of 32,000 tokens does not fit, \"really\"");
}

static inline void make_rows(struct made *m)
{
    struct exp_decision *d = &m->d;
    static const double totals[] = {1.92e6, 2.33e6, 2.1e6};
    d->finalist = sim_alloc(MADE_FINALISTS, sizeof *d->finalist);
    d->n_finalists = MADE_FINALISTS;
    d->row = sim_alloc(MADE_ROWS, sizeof *d->row);
    d->n_rows = MADE_ROWS;
    for (uint32_t i = 0; i < MADE_FINALISTS; i++) make_finalist(m, i, totals[i]);
    for (uint32_t i = 0; i < MADE_ROWS; i++) make_row(m, i, i < MADE_FINALISTS);
    make_winner(&d->row[0]);
    d->row[1].returns = (struct exp_return){0, 0, 0, EXP_PAYBACK_EQUAL, 0};
    d->row[2].returns = (struct exp_return){120000, 230000, 700000, EXP_PAYBACK_IMMEDIATE, 0};
    d->row[2].measure_first = true;
    d->row[2].unmeasured_frac = 0.62;
    d->baseline_cash = d->finalist[1].cash[EXP_BUY];
}

static inline struct made *made_new(void)
{
    struct sim_status st = {0};
    struct made *m = sim_alloc(1, sizeof *m);
    m->cache = exp_cache_new(&st);
    ck_assert_msg(m->cache != NULL, "%s", st.message);
    m->plan = make_plan(m->cache);
    m->prices = sim_alloc(1, sizeof *m->prices);
    make_prices(m->prices);
    struct exp_decision *d = &m->d;
    *d = (struct exp_decision){.plan = m->plan, .prices = m->prices, .best = 0, .best_measured = 0};
    make_entries(m);
    make_rows(m);
    d->reference[0] =
        (struct exp_reference_line){.name = "do nothing", .attainment = NAN, .break_even_load = NAN};
    d->reference[1] =
        (struct exp_reference_line){.name = "managed API", .known = true, .break_even_load = 0.4};
    d->reference[1].cash.total = 3.4e6;
    d->reference[1].returns.npv = -900000;
    d->perfect_information = 41000;
    d->pilot_cost = 8800;
    d->requests_per_s_today = 21;
    d->requests_per_s_needed = 55;
    d->requests_per_s_predicted = 68;
    d->check_throughput = d->check_sla = d->check_payback = EXP_PASS;
    d->check_critical = EXP_UNKNOWN;
    d->npv_before = d->p_saving_before = NAN;
    exp_note(&d->notes, "price of a h200-sxm server is of 2020-01-31: ask for a quote");
    return m;
}

static inline void made_free(struct made *m)
{
    free(m->d.search.entry);
    free(m->d.finalist);
    free(m->d.row);
    free(m->prices);
    exp_plan_free(m->plan);
    exp_cache_free(m->cache);
    free(m);
}

/* Nothing meets. */
static inline void make_hopeless(struct exp_decision *d)
{
    for (uint32_t i = 0; i < MADE_ROWS; i++) {
        d->search.entry[i].fate = EXP_NEVER_MEETS;
        d->row[i].finalist = NULL;
        d->row[i].risk.n_draws = d->row[i].risk.n_bars = 0;
        d->row[i].returns = (struct exp_return){NAN, NAN, NAN, EXP_PAYBACK_NEVER, 0};
    }
    d->search.n_finalists = d->n_finalists = 0;
    d->search.baseline = d->best = d->best_measured = UINT32_MAX;
    d->requests_per_s_predicted = 0;
    d->check_throughput = d->check_sla = EXP_FAIL;
    d->check_critical = d->check_payback = EXP_UNKNOWN;
    d->perfect_information = NAN;
    strcpy(d->search.relaxation, "ttft_ms 1.40 times as wide would do, with 9 x h200-sxm TP 1, full");
}

#endif
