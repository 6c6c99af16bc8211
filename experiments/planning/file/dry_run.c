#include "experiments/planning/file/dry_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "experiments/planning/search/search.h"
#include "sim/memory.h"

/* ---- prices ---- */

struct mdl_prices *exp_plan_prices(const struct exp_plan *p, const char *data_dir, struct sim_status *st)
{
    char *folder = sim_printf("%s/models/prices", data_dir);
    struct mdl_prices *prices = mdl_prices_load(folder, st);
    free(folder);
    if (!prices) return NULL;
    if (strcmp(p->currency, prices->currency) != 0) mdl_prices_convert(prices, p->currency, p->exchange_rate);
    if (!p->prices[0] || mdl_prices_merge(prices, p->prices, st)) return prices;
    free(prices);
    return NULL;
}

/* ---- cards ---- */

static bool add_gpu(struct exp_dry_run *d, const char *name, const struct mdl_prices *prices,
                    struct exp_cache *cache, struct sim_status *st)
{
    const struct mdl_gpu *gpu = mdl_gpu_find(exp_cache_gpus(cache), name, st);
    if (!gpu) return false;
    for (uint32_t i = 0; i < d->n_gpus; i++)
        if (d->gpu[i].gpu == gpu) return true;
    const struct mdl_profile *profile = exp_cache_profile(cache, "", gpu, st);
    if (!profile) return false;
    d->gpu[d->n_gpus++] =
        (struct exp_input_gpu){.gpu = gpu,
                               .profile = gpu->profile[0] ? mdl_profile_name(profile) : "analytic",
                               .origin = mdl_profile_origin(profile),
                               .server = mdl_server_price(prices, gpu->name, 0),
                               .rent = mdl_rent_price(prices, gpu->name)};
    return true;
}

static bool add_gpus(struct exp_dry_run *d, const struct exp_plan *p, const struct mdl_prices *prices,
                     struct exp_cache *cache, struct sim_status *st)
{
    for (uint32_t i = 0; i < p->n_have; i++)
        if (!add_gpu(d, p->have[i].gpu, prices, cache, st)) return false;
    for (uint32_t i = 0; i < p->n_search_gpu; i++)
        if (!add_gpu(d, p->search_gpu[i], prices, cache, st)) return false;
    return true;
}

/* ---- strategies ---- */

struct look {
    const struct exp_plan *plan;
    struct exp_cache *cache;
    struct exp_loads *loads;
    const struct exp_candidate *candidate; /* all of the search space */
    uint32_t n_candidates;
};

static const struct exp_candidate *first_with(const struct look *l, const struct exp_contender *c)
{
    for (uint32_t i = 0; i < l->n_candidates; i++)
        if (l->candidate[i].contender == c) return &l->candidate[i];
    return NULL;
}

static struct exp_input_strategy strategy_of(const struct look *l, const struct exp_contender *c)
{
    struct exp_input_strategy s = {.label = c->label};
    struct sim_status why = {0};
    const struct exp_candidate *at = first_with(l, c);
    struct exp_trial *t = at ? exp_trial_new(l->plan, at, l->cache, l->loads, NULL, &why) : NULL;
    const struct exp_setup *u = t ? exp_trial_setup(t) : NULL;
    const struct mdl_quality *q =
        u ? exp_cache_quality(l->cache, &u->fleets[u->n_fleets - 1].kv.use, l->plan->quality, &why) : NULL;
    s.runs = t != NULL;
    s.known = q && mdl_quality_known(q);
    snprintf(s.source, sizeof s.source, "%s", q ? q->source : why.message);
    exp_trial_free(t);
    return s;
}

/* ---- how long it takes ---- */

/* As counted on plans of 2 to 100 candidates: runs on the busiest stretch for each; the baseline and the best five on the
 * whole load, in replications at five numbers of replicas, fresh seeds among them; then their response, and what may go
 * wrong. */
enum { RUNS_EACH = 5, VERIFIED = EXP_FINALISTS + 1, NUMBERS = 5, POINTS = 30, DEEP_VARIANTS = 40 };

/* Seconds of one run on the busiest stretch, with its share of setting up. */
static double time_one(const struct look *l, const struct exp_workload *window)
{
    struct sim_status ignored = {0};
    for (uint32_t i = 0; i < l->n_candidates; i++) {
        const struct exp_candidate *c = &l->candidate[i];
        double begin_s = exp_clock_s();
        struct exp_trial_point point;
        struct exp_trial *t = exp_trial_new(l->plan, c, l->cache, l->loads, NULL, &ignored);
        uint32_t n = t ? exp_candidate_at_least(l->plan, c, l->cache, window) : 0;
        bool ok = t && exp_trial_run(t, 2 * n + 1, 1, l->plan->base->seed, false, &point, &ignored);
        exp_trial_free(t);
        if (ok) return exp_clock_s() - begin_s;
    }
    return 0;
}

static void estimate(struct exp_dry_run *d, const struct look *l, const struct exp_workload *window,
                     bool deep)
{
    double searched = d->n_candidates + (deep ? DEEP_VARIANTS : 0);
    double verified = searched < VERIFIED ? searched : VERIFIED;
    double on_window = searched * RUNS_EACH + verified * POINTS;
    double on_whole = verified * EXP_REPLICATIONS * NUMBERS;
    double longer = d->n_window ? (double)d->n_requests / (double)d->n_window : 1;
    d->n_runs = on_window + on_whole;
    d->seconds = time_one(l, window) * (on_window + on_whole * longer) / d->n_threads;
}

static void set_today(char today[11])
{
    time_t now = time(NULL);
    struct tm tm;
    snprintf(today, 11, "1970-01-01");
    if (gmtime_r(&now, &tm)) strftime(today, 11, "%Y-%m-%d", &tm);
}

static void look_around(struct exp_dry_run *d, const struct look *l)
{
    d->n_candidates = l->n_candidates;
    for (uint32_t i = 0; i < l->plan->strategies.n; i++)
        d->strategy[d->n_strategies++] = strategy_of(l, &l->plan->strategies.at[i]);
}

bool exp_dry_run(const struct exp_plan *p, const struct mdl_prices *prices, struct exp_cache *cache,
                 const struct exp_dry_run_options *options, struct exp_dry_run *out, struct sim_status *st)
{
    struct exp_candidate *candidates = NULL;
    struct look l = {.plan = p, .cache = cache, .loads = exp_loads_new(p, cache)};
    const struct exp_workload *whole = exp_loads_get(l.loads, 1, p->base->seed, true, st);
    const struct exp_workload *window = whole ? exp_loads_get(l.loads, 1, p->base->seed, false, st) : NULL;
    *out = (struct exp_dry_run){.n_threads = options->n_threads};
    bool ok = window && add_gpus(out, p, prices, cache, st);
    if (ok) {
        const struct sim_request *r = whole->requests;
        double span_s = whole->n_requests ? r[whole->n_requests - 1].arrival_s - r[0].arrival_s : 0;
        out->n_requests = whole->n_requests;
        out->n_window = window->n_requests;
        out->request_rate = span_s > 0 ? (double)(whole->n_requests - 1) / span_s : 0;
        l.n_candidates = exp_candidates(p, cache, &candidates);
        l.candidate = candidates;
        look_around(out, &l);
        estimate(out, &l, window, options->deep);
        set_today(out->today);
    }
    free(candidates);
    exp_loads_free(l.loads);
    return ok;
}
