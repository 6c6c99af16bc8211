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

void exp_factors_draw(const struct exp_setup *setup, uint64_t seed, uint32_t k, struct exp_factors *out)
{
    for (uint32_t f = 0; f < EXP_MAX_FLEETS; f++) {
        out->residual[f] = 1;
        for (int m = 0; m < MDL_N_FAMILY; m++) out->family[f][m] = 1;
    }
    for (uint32_t f = 0; f < setup->n_fleets; f++) {
        const struct exp_fleet_setup *fleet = &setup->fleets[f];
        if (!fleet->profile) continue;
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
