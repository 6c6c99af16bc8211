#include "experiments/planning/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/host.h"
#include "sim/check.h"
#include "sim/memory.h"

struct exp_trial {
    const struct exp_plan *plan;
    struct exp_loads *loads;
    struct exp_setup *setup;
    uint32_t n_have; /* fleets before the one that is searched */
    enum exp_overlong overlong;
    float *factor[EXP_MAX_FLEETS]; /* length factors that are not the strategy's own */
};

/* ---- what is changed ---- */

static void change_rate(const struct exp_setup *u, uint32_t fleet, enum mdl_kv_key key, double value,
                        struct exp_factors *out)
{
    bool has = mdl_strategy_default(u->fleets[fleet].kv.use.strategy, key) != NULL;
    if (value > 0 && has) out->kv[fleet][key] = value;
}

static void change_link(const struct exp_setup *u, uint32_t fleet, double frac, struct exp_factors *out)
{
    size_t i = 0;
    if (frac == 0 || frac == 1) return;
    while (strcmp(mdl_host_default_at(i)->name, "link_gb_per_s") != 0) i++;
    out->host[fleet][i] = frac * u->fleets[fleet].kv.host.link_byte_per_s * 1e-9;
}

static bool changes_factors(const struct exp_trial_change *c)
{
    return c->miss > 0 || c->correction > 0 || (c->link_frac != 0 && c->link_frac != 1);
}

/* On top of what the change brings along; u is the fleet before it. */
static void make_factors(const struct exp_setup *u, const struct exp_trial_change *c, struct exp_factors *out)
{
    if (c->factors)
        *out = *c->factors;
    else
        exp_factors_none(out);
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        change_rate(u, f, MDL_KV_MISS, c->miss, out);
        change_rate(u, f, MDL_KV_CORRECTION, c->correction, out);
        change_link(u, f, c->link_frac, out);
    }
}

/* A fleet's quantiles of output length, times a factor, or all of them one quantile. */
static void change_lengths(struct exp_trial *t, uint32_t fleet, const struct exp_trial_change *c)
{
    struct sim_fleet *f = &t->setup->sim_fleets[fleet];
    double by = c->length_factor > 0 ? c->length_factor : 1;
    uint32_t n = f->length_factor ? f->n_length_factors : MDL_LENGTH_QUANTILES;
    if (by == 1 && c->length_quantile == 0) return;
    uint32_t at = (uint32_t)(c->length_quantile * n);
    t->factor[fleet] = sim_alloc(n, sizeof(float));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = c->length_quantile > 0 ? (at < n ? at : n - 1) : i;
        t->factor[fleet][i] = (float)(by * (f->length_factor ? f->length_factor[from] : 1));
    }
    f->length_factor = t->factor[fleet];
    f->n_length_factors = n;
}

/* ---- set-up ---- */

static struct exp_setup *make_setup(const struct exp_scenario *s, struct exp_cache *cache,
                                    const struct exp_workload *load, const struct exp_trial_change *c,
                                    struct sim_status *st)
{
    struct exp_setup *u = exp_setup_new_on(s, cache, c->factors, load, st);
    if (!u || !changes_factors(c)) return u;
    struct exp_factors *factors = sim_alloc(1, sizeof *factors);
    make_factors(u, c, factors);
    exp_setup_free(u);
    u = exp_setup_new_on(s, cache, factors, load, st);
    free(factors);
    return u;
}

struct exp_trial *exp_trial_new(const struct exp_plan *plan, const struct exp_candidate *c,
                                struct exp_cache *cache, struct exp_loads *loads,
                                const struct exp_trial_change *change, struct sim_status *st)
{
    const struct exp_trial_change none = {0};
    struct exp_candidate own = *c;
    if (!change) change = &none;
    if (change->full_kv) own.contender = &plan->strategies.at[0];
    struct exp_scenario *s = exp_candidate_scenario(plan, &own, 1, st);
    const struct exp_workload *load = s ? exp_loads_get(loads, 1, plan->base->seed, false, st) : NULL;
    struct exp_setup *u = load ? make_setup(s, cache, load, change, st) : NULL;
    struct exp_trial *t = NULL;
    if (u) {
        t = sim_alloc(1, sizeof *t);
        *t = (struct exp_trial){.plan = plan,
                                .loads = loads,
                                .setup = u,
                                .n_have = s->n_fleets - 1,
                                .overlong = (enum exp_overlong)s->workload.overlong};
        for (uint32_t f = 0; f < u->n_fleets; f++) change_lengths(t, f, change);
    }
    free(s);
    return t;
}

void exp_trial_free(struct exp_trial *t)
{
    if (!t) return;
    for (int f = 0; f < EXP_MAX_FLEETS; f++) free(t->factor[f]);
    exp_setup_free(t->setup);
    free(t);
}

const struct exp_setup *exp_trial_setup(const struct exp_trial *t)
{
    return t->setup;
}

/* ---- a run ---- */

static double share(uint64_t n, uint64_t of)
{
    return of ? (double)n / (double)of : 0;
}

static struct exp_class_point class_point(const struct sim_summary *s)
{
    uint64_t lost = s->arrived - s->completed; /* rejected, or not done: over every limit */
    return (struct exp_class_point){.arrived = s->arrived,
                                    .attainment = s->arrived ? s->slo_attainment : 1,
                                    .ttft_p99_s = s->ttft.p99,
                                    .tpot_p99_s = s->tpot.p99,
                                    .e2el_p99_s = s->e2el.p99,
                                    .ttft_miss = share(s->slo_violations_ttft + lost, s->arrived),
                                    .tpot_miss = share(s->slo_violations_tpot + lost, s->arrived),
                                    .e2el_miss = share(s->slo_violations_e2el + lost, s->arrived),
                                    .met = s->sla_met};
}

static struct exp_point point_of(const struct sim_config *config, const struct sim_report *r,
                                 const struct sim_result *result)
{
    const struct sim_summary *all = &r->all;
    double span_s = result->last_arrival_s - result->first_arrival_s, input = 0;
    struct exp_point p = {.n_classes = r->n_classes,
                          .met = true,
                          .miss = 1 - (all->arrived ? all->slo_attainment : 1),
                          .gpu_busy = r->gpu_busy,
                          .request_rate = span_s > 0 ? (double)(all->arrived - 1) / span_s : 0,
                          .length_ratio = all->length_factor > 0 ? all->length_factor : 1,
                          .output_tokens =
                              all->completed ? (double)all->output_tokens / (double)all->completed : 0,
                          .ttft_p99_s = all->ttft.p99,
                          .tpot_p99_s = all->tpot.p99,
                          .kv_peak_utilization = r->kv_peak_utilization,
                          .load_state = r->load_state};
    for (uint64_t i = 0; i < config->load.n_requests; i++) input += config->load.requests[i].input_tokens;
    p.input_tokens = config->load.n_requests ? input / (double)config->load.n_requests : 0;
    memcpy(p.evidence, r->time_frac, sizeof p.evidence);
    for (uint32_t c = 0; c < r->n_classes; c++) {
        p.class[c] = class_point(&r->classes[c]);
        p.met &= p.class[c].met;
    }
    return p;
}

static void simulate(const struct sim_config *config, struct exp_point *out)
{
    struct sim_result *result = sim_run(config);
    struct sim_report *report = sim_report_new(config, result);
    *out = point_of(config, report, result);
    sim_report_free(report);
    sim_result_free(result);
}

bool exp_trial_run(struct exp_trial *t, uint32_t n, double load_factor, uint64_t seed, bool whole,
                   struct exp_point *out, struct sim_status *st)
{
    const struct exp_workload *load = exp_loads_get(t->loads, load_factor, seed, whole, st);
    if (!load) return false;
    SIM_CHECK(n > 0 || t->n_have > 0);
    struct sim_fleet fleets[EXP_MAX_FLEETS];
    struct sim_config config = t->setup->config;
    struct exp_workload w = exp_workload_borrow(load);
    uint32_t longest = 0;
    memcpy(fleets, t->setup->sim_fleets, sizeof fleets);
    fleets[t->n_have].n_replicas = n;
    config.fleets = fleets;
    config.n_fleets = t->n_have + (n > 0);
    config.seed = seed;
    for (uint32_t f = 0; f < config.n_fleets; f++)
        if (fleets[f].engine.max_model_len > longest) longest = fleets[f].engine.max_model_len;
    exp_workload_clip(&w, t->overlong, longest);
    config.load.requests = w.requests;
    config.load.n_requests = w.n_requests;
    bool ok = sim_config_check(&config, st);
    if (ok) simulate(&config, out);
    exp_workload_fini(&w);
    return ok;
}
