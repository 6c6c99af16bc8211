#include "experiments/replicate.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/random.h"

/* One draw for everything that shares the name: two fleets with one profile err together. */
static double factor(double error_frac, const char *kind, const char *name, uint64_t seed, uint32_t k)
{
    char *stream = sim_printf("%s %s", kind, name);
    double unit = sim_random_unit(seed, sim_stream(stream), k);
    free(stream);
    return exp(error_frac * gsl_cdf_ugaussian_Pinv(unit));
}

/* A value from the range in which sources lie: half of the draws on either side of the default, and the likelier the
 * nearer. The default where nobody states a range. */
static double from_range(double low, double median, double high, double unit)
{
    if (!(low <= median && median <= high)) return median;
    return unit < 0.5 ? low + (median - low) * sqrt(2 * unit) : high - (high - median) * sqrt(2 * (1 - unit));
}

static double unit_of(const char *what, const char *owner, const char *key, uint64_t seed, uint32_t k)
{
    char *stream = sim_printf("%s %s %s", what, owner, key);
    double unit = sim_random_unit(seed, sim_stream(stream), k);
    free(stream);
    return unit;
}

/* Where in its range each assumed figure lies. */
typedef double unit_fn(const void *user, const char *key, bool more_is_slower);

/* Rates and efficiencies that a strategy assumes, around those that hold here, as some follow other parameters; what a
 * user chooses stays. */
static void take_strategy(const struct exp_fleet_setup *f, unit_fn *unit, const void *user, double *out)
{
    static const struct {
        enum mdl_kv_key key;
        bool more_is_slower;
    } assumed[] = {{MDL_KV_MISS, true},
                   {MDL_KV_CORRECTION, true},
                   {MDL_KV_CORRECT_HEADS, true},
                   {MDL_KV_KERNEL_EFFICIENCY, false},
                   {MDL_KV_PREFILL_EFFICIENCY, false}};
    const struct mdl_strategy *s = f->kv.use.strategy;
    for (size_t i = 0; i < sizeof assumed / sizeof assumed[0]; i++) {
        enum mdl_kv_key key = assumed[i].key;
        struct mdl_kv_default d = mdl_kvcost_default(s, key, f->gpu);
        double median = fmin(fmax(f->kv.use.value[key], d.low), d.high);
        double at = unit(user, mdl_kv_key_info(key)->name, assumed[i].more_is_slower);
        out[key] = from_range(d.low, median, d.high, at);
    }
}

/* Constants of the server; how it is built, and how much memory it has, is known. */
static void take_host(const struct mdl_gpu *gpu, unit_fn *unit, const void *user, double *out)
{
    static const struct {
        const char *name;
        bool more_is_slower;
    } assumed[] = {{"link_gb_per_s", false}, {"duplex", false},   {"launch_us", true},
                   {"sync_us", true},        {"submit_us", true}, {"descriptor_us", true}};
    for (size_t i = 0; i < mdl_host_default_count() && i < EXP_MAX_HOST_KEYS; i++) {
        const struct mdl_host_default *d = mdl_host_default_at(i);
        size_t a = 0;
        while (a < sizeof assumed / sizeof assumed[0] && strcmp(assumed[a].name, d->name) != 0) a++;
        if (a == sizeof assumed / sizeof assumed[0]) continue;
        out[i] = from_range(d->low, d->value, d->high, unit(user, d->name, assumed[a].more_is_slower));
        if (a == 0) out[i] *= gpu->pcie_byte_per_s * 1e-9; /* its row is a share of the encoded rate */
    }
}

/* Drawn, each figure of its own stream. */
struct drawing {
    const char *what, *owner;
    uint64_t seed;
    uint32_t k;
};

static double drawn(const void *user, const char *key, bool more_is_slower)
{
    const struct drawing *d = user;
    (void)more_is_slower;
    return unit_of(d->what, d->owner, key, d->seed, d->k);
}

/* All at one quantile, counted towards slower. */
static double slower(const void *user, const char *key, bool more_is_slower)
{
    double unit = *(const double *)user;
    (void)key;
    return more_is_slower ? unit : 1 - unit;
}

void exp_factors_slow_strategy(const struct exp_fleet_setup *f, double unit, double out[MDL_N_KV_KEY])
{
    take_strategy(f, slower, &unit, out);
}

void exp_factors_slow_host(const struct mdl_gpu *gpu, double unit, double out[EXP_MAX_HOST_KEYS])
{
    take_host(gpu, slower, &unit, out);
}

void exp_factors_draw(const struct exp_setup *setup, uint64_t seed, uint32_t k, struct exp_factors *out)
{
    exp_factors_none(out);
    for (uint32_t f = 0; f < setup->n_fleets; f++) {
        const struct exp_fleet_setup *fleet = &setup->fleets[f];
        if (!fleet->profile) continue;
        struct drawing kv = {"kv", fleet->kv.use.strategy->name, seed, k},
                       host = {"host", fleet->gpu->name, seed, k};
        take_strategy(fleet, drawn, &kv, out->kv[f]);
        take_host(fleet->gpu, drawn, &host, out->host[f]);
        const char *profile = mdl_profile_name(fleet->profile);
        for (int m = 0; m < MDL_N_FAMILY; m++) {
            enum mdl_family family = (enum mdl_family)m;
            out->family[f][m] = factor(mdl_profile_error_frac(fleet->profile, family),
                                       mdl_family_name(family), profile, seed, k);
        }
        out->residual[f] = factor(fleet->engine.residual_frac, "residual", fleet->engine.name, seed, k);
    }
}

/* The residual of TTFT is larger than that of TPOT, which is in the step times already: the part above it is
 * drawn on its own and put on the figures. Attainment does not move with it. */
static double ttft_factor(const struct exp_setup *setup, uint64_t seed, uint32_t k)
{
    const struct exp_fleet_setup *fleet = &setup->fleets[0];
    double all = fleet->engine.residual_ttft_frac, steps = fleet->engine.residual_frac;
    if (!fleet->profile || all <= steps) return 1;
    return factor(sqrt(all * all - steps * steps), "residual ttft", fleet->engine.name, seed, k);
}

uint64_t exp_replication_seed(uint64_t seed, uint32_t k)
{
    return sim_random_u64(seed, sim_stream("replication"), k);
}

static struct exp_figures *replication(const struct exp_scenario *s, struct exp_cache *cache,
                                       const struct exp_setup *setup, uint32_t k,
                                       struct exp_run_options options, struct sim_status *st)
{
    struct exp_scenario *own = exp_scenario_copy(s);
    struct exp_factors factors;
    exp_factors_draw(setup, s->seed, k, &factors);
    own->seed = exp_replication_seed(s->seed, k);
    options.factors = &factors;
    options.timeline_points = 0;
    options.progress = NULL; /* told per replication */
    struct exp_run *run = exp_run_new(own, cache, &options, st);
    struct exp_figures *figures = NULL;
    if (run) {
        figures = run->figures;
        exp_figures_scale_ttft(figures, ttft_factor(setup, s->seed, k));
        run->figures = NULL;
    }
    exp_run_free(run);
    free(own);
    return figures;
}

struct exp_figures *exp_replication(const struct exp_scenario *s, struct exp_cache *cache,
                                    const struct exp_setup *setup, uint32_t k, struct sim_status *st)
{
    return replication(s, cache, setup, k, (struct exp_run_options){0}, st);
}

struct exp_figures *exp_replicate(const struct exp_scenario *s, struct exp_cache *cache,
                                  const struct exp_setup *setup, uint32_t n,
                                  const struct exp_run_options *options, struct sim_status *st)
{
    struct exp_run_options o = options ? *options : (struct exp_run_options){0};
    struct exp_figures **runs = sim_alloc(n, sizeof *runs);
    uint32_t done = 0;
    while (done < n && (runs[done] = replication(s, cache, setup, done, o, st))) {
        done++;
        if (o.progress) o.progress(o.progress_user, (double)done / n);
    }
    struct exp_figures *f = done == n ? exp_figures_combine(runs, n) : NULL;
    for (uint32_t k = 0; k < done; k++) exp_figures_free(runs[k]);
    free(runs);
    return f;
}
