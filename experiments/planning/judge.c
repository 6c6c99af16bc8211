#include "experiments/planning/judge.h"

#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/parallel.h"
#include "experiments/replicate.h"
#include "sim/check.h"
#include "sim/memory.h"

enum {
    FIRST_WAVE = 2
}; /* replications whose failing decides: the lower end lies between the two worst of eight */

/* One replication of a candidate. */
struct member {
    struct exp_trial *trial;
    uint64_t seed;
    struct exp_point point; /* of the last judgement */
    struct sim_status st;
};

struct exp_panel {
    const struct exp_plan *plan;
    struct exp_candidate candidate;
    struct exp_cache *cache;
    struct exp_loads *loads;
    struct exp_trial *nominal; /* for profiles, engines and classes */
    uint64_t seed;
    struct member member[EXP_REPLICATIONS];
};

double exp_attained(const struct sim_class *class, const struct exp_class_point *p)
{
    double worst = fmax(p->ttft_miss, fmax(p->tpot_miss, p->e2el_miss));
    return class->slo.per_metric ? 1 - worst : p->attainment;
}

bool exp_serving(const struct exp_plan *plan, const struct exp_candidate *c, uint32_t n, uint32_t *serving)
{
    uint32_t lost = plan->robust ? exp_replicas_per_server(c) : 0;
    if (n < lost || (n == lost && !c->keeps_have)) return false;
    *serving = n - lost;
    return true;
}

/* ---- the panel ---- */

struct exp_panel *exp_panel_new(const struct exp_plan *plan, const struct exp_candidate *c,
                                struct exp_cache *cache, struct exp_loads *loads, uint64_t seed,
                                struct sim_status *st)
{
    struct exp_trial *nominal = exp_trial_new(plan, c, cache, loads, NULL, st);
    if (!nominal) return NULL;
    struct exp_panel *p = sim_alloc(1, sizeof *p);
    *p = (struct exp_panel){
        .plan = plan, .candidate = *c, .cache = cache, .loads = loads, .nominal = nominal, .seed = seed};
    for (uint32_t k = 0; k < EXP_REPLICATIONS; k++) p->member[k].seed = exp_replication_seed(seed, k);
    return p;
}

void exp_panel_free(struct exp_panel *p)
{
    if (!p) return;
    for (uint32_t k = 0; k < EXP_REPLICATIONS; k++) exp_trial_free(p->member[k].trial);
    exp_trial_free(p->nominal);
    free(p);
}

static bool set_up(struct exp_panel *p, uint32_t k)
{
    struct member *m = &p->member[k];
    struct exp_factors *factors = sim_alloc(1, sizeof *factors);
    struct exp_trial_change change = {.factors = factors};
    exp_factors_draw(exp_trial_setup(p->nominal), p->seed, k, factors);
    m->trial = exp_trial_new(p->plan, &p->candidate, p->cache, p->loads, &change, &m->st);
    free(factors);
    return m->trial != NULL;
}

/* ---- a judgement ---- */

struct round {
    struct exp_panel *panel;
    uint32_t first, serving;
    double load_factor;
};

static void run_member(void *round, uint32_t i)
{
    struct round *r = round;
    uint32_t k = r->first + i;
    struct member *m = &r->panel->member[k];
    m->st = (struct sim_status){0};
    if (!m->trial && !set_up(r->panel, k)) return;
    exp_trial_run(m->trial, r->serving, r->load_factor, m->seed, true, &m->point, &m->st);
}

/* Replications first .. first + n - 1; false with the first complaint. */
static bool run_wave(struct round *r, uint32_t first, uint32_t n, uint32_t n_threads, struct sim_status *st)
{
    r->first = first;
    exp_parallel(n, n_threads, run_member, r);
    for (uint32_t k = first; k < first + n; k++)
        if (r->panel->member[k].st.message[0])
            return sim_fail_as(st, r->panel->member[k].st.code, "%s", r->panel->member[k].st.message);
    return true;
}

typedef double value_fn(const struct exp_panel *p, uint32_t k, uint32_t class);

static double attained(const struct exp_panel *p, uint32_t k, uint32_t class)
{
    const struct exp_setup *u = exp_trial_setup(p->nominal);
    return exp_attained(&u->sim_classes[class], &p->member[k].point.class[class]);
}

static double ttft(const struct exp_panel *p, uint32_t k, uint32_t class)
{
    (void)class;
    return p->member[k].point.ttft_p99_s;
}

static double tpot(const struct exp_panel *p, uint32_t k, uint32_t class)
{
    (void)class;
    return p->member[k].point.tpot_p99_s;
}

static double busy(const struct exp_panel *p, uint32_t k, uint32_t class)
{
    (void)class;
    return p->member[k].point.gpu_busy;
}

/* Mean and 5 to 95 %, as exp_figures_combine. */
static struct exp_band band(const struct exp_panel *p, uint32_t n, value_fn *value, uint32_t class)
{
    double v[EXP_REPLICATIONS];
    for (uint32_t k = 0; k < n; k++) v[k] = value(p, k, class);
    gsl_sort(v, 1, n);
    return (struct exp_band){.mean = gsl_stats_mean(v, 1, n),
                             .lo = gsl_stats_quantile_from_sorted_data(v, 1, n, 0.05),
                             .hi = gsl_stats_quantile_from_sorted_data(v, 1, n, 0.95)};
}

static bool reaches(const struct exp_setup *u, uint32_t class, double attainment)
{
    return attainment * 100 >= u->sim_classes[class].slo.percentile;
}

static struct exp_verdict sum_up(const struct exp_panel *p, uint32_t n_replicas, uint32_t n)
{
    const struct exp_setup *u = exp_trial_setup(p->nominal);
    struct exp_verdict v = {.n_replicas = n_replicas, .n_replications = n, .feasible = true};
    for (uint32_t c = 0; c < u->config.n_classes; c++) {
        v.attainment[c] = band(p, n, attained, c);
        v.feasible &= reaches(u, c, v.attainment[c].lo);
    }
    v.ttft_p99_s = band(p, n, ttft, 0);
    v.tpot_p99_s = band(p, n, tpot, 0);
    v.gpu_busy = band(p, n, busy, 0);
    for (uint32_t k = 0; k < n; k++)
        for (int e = 0; e < SIM_N_EVIDENCE; e++) v.evidence[e] += p->member[k].point.evidence[e] / n;
    return v;
}

/* Have the first two both failed the same class? Then the lower end of all eight does. */
static bool is_decided(const struct exp_panel *p)
{
    const struct exp_setup *u = exp_trial_setup(p->nominal);
    for (uint32_t c = 0; c < u->config.n_classes; c++) {
        bool both = true;
        for (uint32_t k = 0; k < FIRST_WAVE; k++) both &= !reaches(u, c, attained(p, k, c));
        if (both) return true;
    }
    return false;
}

bool exp_panel_judge(struct exp_panel *p, uint32_t n_replicas, const struct exp_verdict_options *o,
                     struct exp_verdict *out, struct sim_status *st)
{
    struct round r = {.panel = p, .load_factor = o->load_factor};
    uint32_t n = EXP_REPLICATIONS;
    if (!exp_serving(p->plan, &p->candidate, n_replicas, &r.serving)) {
        *out = (struct exp_verdict){.n_replicas = n_replicas};
        return true;
    }
    if (!run_wave(&r, 0, FIRST_WAVE, o->n_threads, st)) return false;
    if (o->brief && is_decided(p))
        n = FIRST_WAVE;
    else if (!run_wave(&r, FIRST_WAVE, EXP_REPLICATIONS - FIRST_WAVE, o->n_threads, st))
        return false;
    *out = sum_up(p, n_replicas, n);
    return true;
}

bool exp_judge(const struct exp_plan *plan, const struct exp_candidate *c, struct exp_cache *cache,
               struct exp_loads *loads, uint32_t n_replicas, double load_factor, uint64_t seed,
               uint32_t n_threads, struct exp_verdict *out, struct sim_status *st)
{
    struct exp_verdict_options o = {.load_factor = load_factor, .n_threads = n_threads};
    struct exp_panel *p = exp_panel_new(plan, c, cache, loads, seed, st);
    bool ok = p && exp_panel_judge(p, n_replicas, &o, out, st);
    exp_panel_free(p);
    return ok;
}
