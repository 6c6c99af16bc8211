#include "experiments/study/point.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/replicate.h"
#include "sim/memory.h"

/* ---- measures ---- */

enum added {
    GPUS,
    PER_HOUR,
    PER_MTOK,
    PER_1000_WITHIN,
    NEWLY_FAILING,
    NEGATIVE_RATE,
    PER_1000_GOOD,
    N_ADDED
};

static const char *const added[N_ADDED] = {[GPUS] = "gpus",
                                           [PER_HOUR] = "cost_per_hour",
                                           [PER_MTOK] = "cost_per_mtok",
                                           [PER_1000_WITHIN] = "cost_per_1000_within_slo",
                                           [NEWLY_FAILING] = "newly_failing",
                                           [NEGATIVE_RATE] = "negative_rate",
                                           [PER_1000_GOOD] = "cost_per_1000_good"};

size_t exp_measure_count(void)
{
    return exp_figure_count() + N_ADDED;
}

const char *exp_measure_name(size_t i)
{
    return i < exp_figure_count() ? exp_figure_name(i) : added[i - exp_figure_count()];
}

size_t exp_measure_find(const char *name)
{
    size_t i = 0;
    while (i < exp_measure_count() && strcmp(exp_measure_name(i), name) != 0) i++;
    return i;
}

bool exp_measure_is_wall(size_t i)
{
    static const char *const walls[] = {"sim_wall_s", "setup_wall_s", "simulated_requests_per_s"};
    for (size_t k = 0; k < sizeof walls / sizeof *walls; k++)
        if (strcmp(exp_measure_name(i), walls[k]) == 0) return true;
    return false;
}

void exp_point_result_fini(struct exp_point_result *r)
{
    free(r->measure);
    free(r->bands);
    free(r->classes);
    free(r->settings);
    *r = (struct exp_point_result){0};
}

/* ---- what a study adds ---- */

/* GPUs of a fleet. */
static double gpus_of(const struct exp_setup *u, uint32_t f)
{
    return (double)u->sim_fleets[f].n_replicas * u->sim_fleets[f].gpus_per_replica;
}

static double hourly(const struct exp_setup *u, const struct mdl_prices *prices)
{
    double sum = 0;
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        const struct mdl_rent_price *rent = prices ? mdl_rent_price(prices, u->fleets[f].gpu->name) : NULL;
        sum += rent && rent->gpus ? rent->hour.value / rent->gpus * gpus_of(u, f) : (double)NAN;
    }
    return sum;
}

/* What the fleets' strategies do to answers, by their GPUs; NaN where one was never scored. */
static void answers(const struct exp_point_job *job, const struct exp_setup *u, double out[N_ADDED])
{
    double failing = 0, negative = 0, gpus = 0;
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        struct sim_status ignored = {0}; /* a record that was asked for was read when the run was set up */
        const struct mdl_quality *q =
            exp_cache_quality(job->cache, &u->fleets[f].kv.use, job->scenario->fleet[f].kv.quality, &ignored);
        struct mdl_quality_rates rates = {.newly_failing = NAN, .negative_rate = NAN};
        if (q) rates = mdl_quality_rates(q, NULL);
        failing += rates.newly_failing * gpus_of(u, f);
        negative += rates.negative_rate * gpus_of(u, f);
        gpus += gpus_of(u, f);
    }
    out[GPUS] = gpus;
    out[NEWLY_FAILING] = failing / gpus;
    out[NEGATIVE_RATE] = negative / gpus;
}

static double per(double hourly_cost, double per_s, double of)
{
    return per_s > 0 ? hourly_cost / 3600 / per_s * of : (double)NAN;
}

static void add(const struct exp_point_job *job, const struct exp_setup *u, const struct exp_figures *f,
                double out[N_ADDED])
{
    double goodput = exp_figure(f, "request_goodput").mean;
    answers(job, u, out);
    out[PER_HOUR] = hourly(u, job->prices);
    out[PER_MTOK] = per(out[PER_HOUR], exp_figure(f, "output_throughput").mean, 1e6);
    out[PER_1000_WITHIN] = per(out[PER_HOUR], goodput, 1000);
    out[PER_1000_GOOD] = per(out[PER_HOUR], goodput * (1 - out[NEWLY_FAILING]), 1000);
}

/* ---- computing ---- */

static char *dump(json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(o);
    return text;
}

static char *bands_json(const struct exp_figures *f)
{
    json_t *o = json_object();
    for (size_t i = 0; i < exp_figure_count(); i++) {
        struct exp_band band = f->all[i];
        char name[80];
        if (!isfinite(band.lo) || !isfinite(band.hi) || exp_measure_is_wall(i)) continue;
        snprintf(name, sizeof name, "%s_lo", exp_figure_name(i));
        json_object_set_new(o, name, json_real(band.lo));
        snprintf(name, sizeof name, "%s_hi", exp_figure_name(i));
        json_object_set_new(o, name, json_real(band.hi));
    }
    return dump(o);
}

static char *classes_json(const struct exp_figures *f)
{
    json_t *all = exp_figures_json(f);
    char *text = dump(json_incref(json_object_get(all, "classes")));
    json_decref(all);
    return text;
}

static void take(const struct exp_point_job *job, const struct exp_setup *u, const struct exp_figures *f,
                 struct exp_point_result *r)
{
    size_t n = exp_figure_count();
    r->measure = sim_alloc(exp_measure_count(), sizeof *r->measure);
    for (size_t i = 0; i < n; i++) r->measure[i] = f->all[i].mean;
    add(job, u, f, r->measure + n);
    snprintf(r->load_state, sizeof r->load_state, "%s", sim_load_state_name(f->load_state));
    if (job->n_replications) r->bands = bands_json(f);
    if (f->n_classes > 1) r->classes = classes_json(f);
    r->state = EXP_POINT_DONE;
}

static bool compute(const struct exp_point_job *job, struct exp_point_result *r, struct sim_status *st)
{
    struct exp_run *run = exp_run_new(job->scenario, job->cache, NULL, st);
    struct exp_figures *bands = NULL;
    if (run && job->n_replications)
        bands = exp_replicate(job->scenario, job->cache, run->setup, job->n_replications, NULL, st);
    bool ok = run && (bands || !job->n_replications);
    if (ok) take(job, run->setup, bands ? bands : run->figures, r);
    exp_figures_free(bands);
    exp_run_free(run);
    return ok;
}

void exp_point_compute(const struct exp_point_job *job, struct exp_point_result *r)
{
    struct sim_status st = {0};
    double begin_s = exp_clock_s();
    if (!compute(job, r, &st)) {
        r->state = EXP_POINT_FAILED;
        snprintf(r->why, sizeof r->why, "%s", st.message);
    }
    r->wall_s = exp_clock_s() - begin_s;
}

struct mdl_prices *exp_study_load_prices(const struct exp_cache *cache, const char *own,
                                         struct sim_status *st)
{
    char *folder = sim_printf("%s/models/prices", exp_cache_data_dir(cache));
    struct mdl_prices *p = mdl_prices_load(folder, st);
    free(folder);
    if (!p || !own[0] || mdl_prices_merge(p, own, st)) return p;
    free(p);
    return NULL;
}
