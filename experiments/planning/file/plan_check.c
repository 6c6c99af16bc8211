/* What a plan lacks, or says twice in different ways. Messages name the line, option or file that a value came from. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cache.h"
#include "experiments/planning/file/plan_file.h"
#include "experiments/values.h"
#include "models/kvmem.h"
#include "sim/memory.h"

/* Weights take at most so much of a card, or nothing is left to work with. */
static const double MOST_WEIGHTS_FRAC = 0.9;
enum { DEFAULT_DEGREES = 3 };

/* "plan.yaml:3: ...", or "--set: ..." as wrong usage; always false. */
static bool wrong(const struct exp_plan *p, const char *path, struct sim_status *st, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool wrong(const struct exp_plan *p, const char *path, struct sim_status *st, const char *format, ...)
{
    char text[800];
    struct exp_where where = exp_plan_where(p, path);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bool usage = !p->file[0] || strncmp(where.text, "--", 2) == 0;
    return sim_fail_as(st, usage ? SIM_EXIT_USAGE : SIM_EXIT_FAILURE, "%s: %s", where.text, text);
}

/* ---- what must be there ---- */

static bool check_model_and_load(const struct exp_plan *p, struct sim_status *st)
{
    const struct exp_workload_keys *w = &p->base->workload;
    if (!p->base->model[0])
        return wrong(p, "model", st,
                     "has no `model`, expected a catalogue name or a config.json (kvsim list models); give "
                     "--model NAME");
    if (w->source == EXP_NO_LOAD || (w->source == EXP_TRACE && !w->trace[0]))
        return wrong(p, "load.trace", st,
                     "has no load, expected load.trace or load.open_loop; give --trace FILE");
    if (w->source == EXP_OPEN_LOOP && !w->open_loop.num_requests && w->open_loop.duration_s == 0)
        return wrong(p, "load.open_loop.request_rate", st,
                     "load.open_loop never ends, expected num_requests or duration_s; set one");
    return true;
}

/* What scenarios check, on a fleet that stands for any. */
static bool check_base(const struct exp_plan *p, struct sim_status *st)
{
    struct exp_scenario *s = exp_scenario_copy(p->base);
    struct sim_status why = {0};
    bool ok = exp_scenario_set(s, "fleet.0.gpu", "any", &why) && exp_scenario_check(s, &why);
    free(s);
    return ok || sim_fail_as(st, p->file[0] ? SIM_EXIT_FAILURE : SIM_EXIT_USAGE, "%s", why.message);
}

static bool check_limits(const struct exp_plan *p, struct sim_status *st)
{
    struct exp_class_keys *c = sim_alloc(SIM_MAX_CLASSES, sizeof *c);
    uint32_t n = exp_scenario_classes(p->base, c);
    bool any = false, ok = true;
    for (uint32_t i = 0; ok && i < n; i++) {
        char path[EXP_PLAN_PATH_BYTES];
        const struct exp_slo_keys *slo = &c[i].slo;
        snprintf(path, sizeof path, "classes.%s.slo.percentile", c[i].name);
        if (!exp_plan_given(p, path)) snprintf(path, sizeof path, "slo.percentile");
        any |= slo->ttft_ms > 0 || slo->tpot_ms > 0 || slo->e2el_ms > 0;
        if (slo->percentile < 1)
            ok = wrong(p, path, st, "%s is %g %%, expected 1 to 100: 99 for 99 of 100 requests", path,
                       slo->percentile);
    }
    free(c);
    if (!ok || any) return ok;
    return wrong(
        p, "slo.ttft_ms", st,
        "has no limit on latency, expected slo.ttft_ms, slo.tpot_ms or slo.e2el_ms: a fleet is sized "
        "to meet them; give --ttft-ms X --tpot-ms Y");
}

static bool check_classes(const struct exp_plan *p, struct sim_status *st)
{
    for (uint32_t i = 0; i < p->n_classes; i++) {
        char path[EXP_PLAN_PATH_BYTES];
        const struct exp_plan_class *c = &p->class[i];
        snprintf(path, sizeof path, "classes.%s.churn_per_failure", c->name);
        if (c->churn_per_failure > 0 && c->customer_value == 0)
            return wrong(p, path, st,
                         "%s is %g, but nobody says what a customer is worth, expected "
                         "classes.%s.customer_value; set it",
                         path, c->churn_per_failure, c->name);
    }
    return true;
}

static bool check_year(const struct exp_plan *p, struct sim_status *st)
{
    if (p->n_rate_curve && exp_plan_given(p, "load.peak_to_mean"))
        return wrong(
            p, "load.peak_to_mean", st,
            "load.peak_to_mean and load.rate_curve both make the day, expected one; remove the other");
    if (p->lead_time_months > p->horizon_months)
        return wrong(p, "supply.lead_time_months", st,
                     "supply.lead_time_months %g: lies beyond load.horizon_months %u, nothing ordered would "
                     "ever serve; lower it or look further ahead",
                     p->lead_time_months, p->horizon_months);
    return true;
}

/* ---- cards ---- */

/* The catalogue's name in place of an alias. */
static bool resolve(struct exp_plan *p, const char *path, char name[EXP_NAME_BYTES], struct exp_cache *cache,
                    struct sim_status *st)
{
    struct sim_status why = {0};
    const struct mdl_gpu *gpu = mdl_gpu_find(exp_cache_gpus(cache), name, &why);
    if (!gpu) return wrong(p, path, st, "%s: %s", path, why.message);
    snprintf(name, EXP_NAME_BYTES, "%s", gpu->name);
    return true;
}

static bool check_machines(struct exp_plan *p, uint32_t i, struct exp_cache *cache, struct sim_status *st)
{
    struct exp_plan_have *h = &p->have[i];
    char gpu[32], servers[32], tp[48];
    snprintf(gpu, sizeof gpu, "have.%u.gpu", i);
    snprintf(servers, sizeof servers, "have.%u.servers", i);
    snprintf(tp, sizeof tp, "have.%u.tensor_parallel", i);
    if (!h->gpu[0])
        return wrong(p, servers, st, "have.%u has no `gpu`, expected a catalogue name; see `kvsim list gpus`",
                     i);
    if (!h->servers)
        return wrong(p, exp_plan_given(p, servers) ? servers : gpu, st,
                     "have.%u has no `servers`, expected at least 1; set it, or leave the entry out", i);
    if (h->tensor_parallel && h->gpus_per_server % h->tensor_parallel)
        return wrong(p, tp, st, "%s %u: does not divide the %u GPUs of a server; choose a divisor", tp,
                     h->tensor_parallel, h->gpus_per_server);
    return resolve(p, gpu, h->gpu, cache, st);
}

static bool check_cards(struct exp_plan *p, struct exp_cache *cache, struct sim_status *st)
{
    static const char path[] = "search.gpu";
    for (uint32_t i = 0; i < p->n_have; i++)
        if (!check_machines(p, i, cache, st)) return false;
    for (uint32_t i = 0; i < p->n_search_gpu; i++) {
        if (!resolve(p, path, p->search_gpu[i], cache, st)) return false;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(p->search_gpu[i], p->search_gpu[k]) == 0)
                return wrong(p, path, st, "%s names %s twice, expected each once; remove one", path,
                             p->search_gpu[i]);
    }
    return p->n_search_gpu || p->n_have ||
           wrong(p, path, st,
                 "%s names no card and there are none to keep, expected one at least; give "
                 "--gpu h100-sxm",
                 path);
}

/* ---- GPUs of a replica ---- */

static bool weights_fit(const char *gpu, double bytes, struct exp_cache *cache)
{
    struct sim_status ignored = {0};
    const struct mdl_gpu *g = mdl_gpu_find(exp_cache_gpus(cache), gpu, &ignored);
    return g && bytes < MOST_WEIGHTS_FRAC * (double)g->memory_bytes;
}

static bool fits_somewhere(const struct exp_plan *p, const struct mdl_arch *arch, uint32_t tp,
                           struct exp_cache *cache)
{
    bool fits = false;
    double bytes = mdl_weight_bytes(arch, (enum mdl_dtype)p->base->weights, tp, 1, 0);
    for (uint32_t i = 0; i < p->n_search_gpu; i++) fits |= weights_fit(p->search_gpu[i], bytes, cache);
    for (uint32_t i = 0; i < p->n_have; i++) fits |= weights_fit(p->have[i].gpu, bytes, cache);
    return fits;
}

static void choose_degrees(struct exp_plan *p, const struct mdl_arch *arch, struct exp_cache *cache)
{
    for (uint32_t tp = 1; tp <= p->gpus_per_server && p->n_tensor_parallel < DEFAULT_DEGREES; tp *= 2) {
        struct sim_status ignored = {0};
        if (p->gpus_per_server % tp == 0 && mdl_arch_check_parallel(arch, tp, 1, &ignored) &&
            fits_somewhere(p, arch, tp, cache))
            p->tensor_parallel[p->n_tensor_parallel++] = tp;
    }
}

static bool check_degrees(struct exp_plan *p, struct exp_cache *cache, struct sim_status *st)
{
    static const char path[] = "search.tensor_parallel";
    struct sim_status why = {0};
    const struct mdl_arch *arch = exp_cache_arch(cache, p->base->model, &why);
    if (!arch) return wrong(p, "model", st, "%s", why.message);
    if (!p->n_tensor_parallel && exp_plan_given(p, path))
        return wrong(p, path, st, "%s is empty, expected one at least, such as [1, 2]", path);
    if (!p->n_tensor_parallel) choose_degrees(p, arch, cache);
    if (!p->n_tensor_parallel)
        return wrong(p, "model", st,
                     "%s with %s weights fits none of the cards within a server of %u, expected search.gpu "
                     "with more memory; set weights: fp8 or another search.gpu",
                     arch->name, mdl_dtype_name((enum mdl_dtype)p->base->weights), p->gpus_per_server);
    for (uint32_t i = 0; i < p->n_tensor_parallel; i++) {
        uint32_t tp = p->tensor_parallel[i];
        if (p->gpus_per_server % tp)
            return wrong(p, path, st,
                         "%s %u: does not divide the %u GPUs of a server (search.gpus_per_server), whole "
                         "servers are bought; choose a divisor",
                         path, tp, p->gpus_per_server);
        if (!mdl_arch_check_parallel(arch, tp, 1, &why))
            return wrong(p, path, st, "%s: %s", path, why.message);
    }
    return true;
}

/* ---- strategies ---- */

static bool same(const struct exp_contender *a, const struct exp_contender *b)
{
    uint32_t shared = 0;
    if (a->strategy != b->strategy || a->n_settings != b->n_settings) return false;
    for (uint32_t i = 0; i < a->n_settings; i++)
        for (uint32_t k = 0; k < b->n_settings; k++)
            shared += strcmp(a->setting[i].key, b->setting[k].key) == 0 &&
                      strcmp(a->setting[i].value, b->setting[k].value) == 0;
    return shared == a->n_settings;
}

/* Settings of a strategy against the table of scenario keys. */
static bool check_strategy(const struct exp_plan *p, const char *path, const struct exp_contender *c,
                           struct sim_status *st)
{
    static const char option[] = "--strategies: ";
    struct exp_scenario *s = exp_scenario_copy(p->base);
    struct sim_status why = {0};
    bool ok = exp_scenario_set(s, "fleet.0.gpu", "any", &why) &&
              exp_scenario_take_strategy(s, c->strategy->name, &why) && exp_contender_set(s, 0, c, &why) &&
              exp_scenario_check(s, &why);
    free(s);
    const char *text = why.message + (strncmp(why.message, option, strlen(option)) == 0 ? strlen(option) : 0);
    return ok || wrong(p, path, st, "%s: %s", path, text);
}

/* The baseline is among the strategies, under one label. */
static bool join_baseline(struct exp_plan *p, struct sim_status *st)
{
    struct exp_contenders *all = &p->strategies;
    for (uint32_t i = 0; i < all->n; i++)
        if (same(&all->at[i], &p->baseline)) {
            p->baseline = all->at[i];
            return true;
        }
    if (all->n == EXP_MAX_CONTENDERS)
        return wrong(p, "search.strategy", st, "search.strategy leaves no room for the baseline; name fewer");
    all->at[all->n++] = p->baseline;
    return true;
}

static bool check_strategies(struct exp_plan *p, struct sim_status *st)
{
    for (uint32_t i = 0; i < p->strategies.n; i++)
        if (!check_strategy(p, "search.strategy", &p->strategies.at[i], st)) return false;
    return check_strategy(p, "baseline.kv", &p->baseline, st) && join_baseline(p, st);
}

/* ---- money ---- */

static bool check_file(const struct exp_plan *p, const char *path, const char *file, struct sim_status *st)
{
    return !file[0] || access(file, R_OK) == 0 ||
           wrong(p, path, st, "%s: %s cannot be read, expected a file; correct the path", path, file);
}

static bool check_money(const struct exp_plan *p, struct sim_status *st)
{
    bool dollars = strcmp(p->currency, "USD") == 0, given = exp_plan_given(p, "money.exchange_rate");
    if (!dollars && !given)
        return wrong(
            p, "money.currency", st,
            "money.currency %s: prices ship in USD, expected money.exchange_rate, %s for a USD; set it",
            p->currency, p->currency);
    if (dollars && p->exchange_rate != 1)
        return wrong(p, "money.exchange_rate", st,
                     "money.exchange_rate %g: a USD is 1 USD, expected money.currency of another country",
                     p->exchange_rate);
    if (!p->acquire[EXP_BUY] && !p->acquire[EXP_RENT] && !p->acquire[EXP_MIX])
        return wrong(p, "search.acquire", st, "search.acquire is empty, expected some of buy, rent, mix");
    return check_file(p, "money.prices", p->prices, st) && check_file(p, "quality.record", p->quality, st);
}

bool exp_plan_check(struct exp_plan *p, struct exp_cache *cache, struct sim_status *st)
{
    return check_model_and_load(p, st) && check_base(p, st) && check_limits(p, st) && check_classes(p, st) &&
           check_year(p, st) && check_cards(p, cache, st) && check_degrees(p, cache, st) &&
           check_strategies(p, st) && check_money(p, st);
}
