#include "experiments/planning/search/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"
#include "sim/memory.h"

struct exp_trial {
    const struct exp_plan *plan;
    struct exp_loads *loads;
    struct exp_setup *setup;
    uint32_t n_have; /* fleets before the one that is searched */
    enum exp_overlong overlong;
    float *factor[EXP_MAX_FLEETS]; /* length factors that are not the strategy's own */
    bool lose_server, keeps_spread;
    uint32_t per_server[EXP_MAX_FLEETS]; /* replicas */
};

/* ---- what is changed ---- */

static bool set(struct exp_scenario *s, uint32_t fleet, const char *block, const char *key, double value,
                struct sim_status *st)
{
    char path[96], text[40];
    snprintf(path, sizeof path, "fleet.%u.%s.%s", fleet, block, key);
    snprintf(text, sizeof text, "%.17g", value);
    return exp_scenario_set(s, path, text, st);
}

static bool change_rate(const struct exp_setup *u, struct exp_scenario *s, uint32_t fleet,
                        enum mdl_kv_key key, double value, struct sim_status *st)
{
    bool has = mdl_strategy_default(u->fleets[fleet].kv.use.strategy, key) != NULL;
    return !(value > 0) || !has || set(s, fleet, "kv", mdl_kv_key_info(key)->name, value, st);
}

static bool changes_link(const struct exp_trial_change *c)
{
    return c->link_frac != 0 && c->link_frac != 1;
}

/* As a user would say it, so that it holds against what the plan gives and what was measured; u is the fleet before it. */
static bool change_scenario(const struct exp_setup *u, struct exp_scenario *s,
                            const struct exp_trial_change *c, struct sim_status *st)
{
    bool ok = true;
    for (uint32_t f = 0; ok && f < u->n_fleets; f++) {
        double link_gb_per_s = c->link_frac * u->fleets[f].kv.host.link_byte_per_s * 1e-9;
        ok = change_rate(u, s, f, MDL_KV_MISS, c->miss, st) &&
             change_rate(u, s, f, MDL_KV_CORRECTION, c->correction, st) &&
             (!changes_link(c) || set(s, f, "host", "link_gb_per_s", link_gb_per_s, st));
    }
    return ok;
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

static struct exp_setup *make_setup(struct exp_scenario *s, struct exp_cache *cache,
                                    const struct exp_workload *load, const struct exp_trial_change *c,
                                    struct sim_status *st)
{
    struct exp_setup *u = exp_setup_new_on(s, cache, c->factors, load, st);
    if (!u || !(c->miss > 0 || c->correction > 0 || changes_link(c))) return u;
    bool ok = change_scenario(u, s, c, st);
    exp_setup_free(u);
    return ok ? exp_setup_new_on(s, cache, c->factors, load, st) : NULL;
}

static void set_servers(struct exp_trial *t, const struct exp_candidate *c)
{
    for (uint32_t i = 0; i < t->n_have; i++)
        t->per_server[i] = t->plan->have[i].gpus_per_server / c->have_tensor_parallel[i];
    t->per_server[t->n_have] = exp_replicas_per_server(c);
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
                                .lose_server = change->lose_server,
                                .overlong = (enum exp_overlong)s->workload.overlong};
        set_servers(t, c);
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

void exp_trial_keep_spread(struct exp_trial *t)
{
    t->keeps_spread = true;
}

/* ---- a run ---- */

const double exp_spread_quantile[EXP_SPREAD_QUANTILES] = {
    0,    0.05, 0.1,  0.15, 0.2,  0.25, 0.3,  0.35, 0.4,  0.45, 0.5,   0.55, 0.6,
    0.65, 0.7,  0.75, 0.8,  0.85, 0.9,  0.93, 0.96, 0.98, 0.99, 0.995, 1};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void quantiles(double *value, uint64_t n, double out[EXP_SPREAD_QUANTILES])
{
    qsort(value, n, sizeof *value, by_size);
    for (int i = 0; i < EXP_SPREAD_QUANTILES; i++) {
        double rank = n ? exp_spread_quantile[i] * (double)(n - 1) : NAN;
        uint64_t below = n ? (uint64_t)rank : 0, above = below + 1 < n ? below + 1 : below;
        out[i] = n ? value[below] + (rank - (double)below) * (value[above] - value[below]) : NAN;
    }
}

static struct exp_spread spread_of(const struct sim_result *r)
{
    struct exp_spread s;
    double *ttft = sim_alloc(r->n_requests + 1, sizeof *ttft),
           *tpot = sim_alloc(r->n_requests + 1, sizeof *tpot);
    uint64_t n_ttft = 0, n_tpot = 0;
    for (uint64_t i = 0; i < r->n_requests; i++) {
        const struct sim_outcome *o = &r->outcomes[i];
        if (o->status != SIM_COMPLETED) continue;
        ttft[n_ttft++] = o->ttft_s;
        if (o->output_tokens > 1) tpot[n_tpot++] = sim_tpot_s(o);
    }
    quantiles(ttft, n_ttft, s.ttft_s);
    quantiles(tpot, n_tpot, s.tpot_s);
    free(ttft);
    free(tpot);
    return s;
}

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

static struct exp_trial_point point_of(const struct sim_config *config, const struct sim_report *r,
                                       const struct sim_result *result)
{
    const struct sim_summary *all = &r->all;
    double span_s = result->last_arrival_s - result->first_arrival_s, input = 0;
    struct exp_trial_point p = {.n_classes = r->n_classes,
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
                                .kv_mean_utilization = r->kv_mean_utilization,
                                .host_link_busy = r->host_link_busy,
                                .mean_running = r->mean_running,
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

static void simulate(const struct exp_trial *t, const struct sim_config *config, struct exp_trial_point *out)
{
    struct sim_result *result = sim_run(config);
    struct sim_report *report = sim_report_new(config, result);
    *out = point_of(config, report, result);
    if (t->keeps_spread) out->spread = spread_of(result);
    sim_report_free(report);
    sim_result_free(result);
}

/* A server less, of the fleet whose server reads most from memory; a fleet without any other is gone. */
static void lose_server(const struct exp_trial *t, struct sim_fleet *fleets, uint32_t *n_fleets)
{
    uint32_t worst = 0, lost = 0;
    double most = -1;
    for (uint32_t f = 0; f < *n_fleets; f++) {
        uint32_t n = fleets[f].n_replicas < t->per_server[f] ? fleets[f].n_replicas : t->per_server[f];
        double does = n * fleets[f].gpus_per_replica * t->setup->fleets[f].gpu->bandwidth_byte_per_s;
        if (does <= most) continue;
        most = does;
        worst = f;
        lost = n;
    }
    fleets[worst].n_replicas -= lost;
    if (fleets[worst].n_replicas) return;
    --*n_fleets;
    memmove(&fleets[worst], &fleets[worst + 1], (*n_fleets - worst) * sizeof *fleets);
}

bool exp_trial_run(struct exp_trial *t, uint32_t n, double load_factor, uint64_t seed, bool whole,
                   struct exp_trial_point *out, struct sim_status *st)
{
    const struct exp_workload *load = exp_loads_get(t->loads, load_factor, seed, whole, st);
    if (!load) return false;
    struct sim_fleet fleets[EXP_MAX_FLEETS];
    struct sim_config config = t->setup->config;
    struct exp_workload w = exp_workload_borrow(load);
    uint32_t longest = 0;
    memcpy(fleets, t->setup->sim_fleets, sizeof fleets);
    fleets[t->n_have].n_replicas = n;
    config.fleets = fleets;
    config.n_fleets = t->n_have + (n > 0);
    if (t->lose_server) lose_server(t, fleets, &config.n_fleets);
    SIM_CHECK(config.n_fleets > 0);
    config.seed = seed;
    for (uint32_t f = 0; f < config.n_fleets; f++)
        if (fleets[f].engine.max_model_len > longest) longest = fleets[f].engine.max_model_len;
    exp_workload_clip(&w, t->overlong, longest);
    config.load.requests = w.requests;
    config.load.n_requests = w.n_requests;
    bool ok = sim_config_check(&config, st);
    if (ok) simulate(t, &config, out);
    exp_workload_fini(&w);
    return ok;
}
