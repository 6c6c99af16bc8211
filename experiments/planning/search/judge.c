#include "experiments/planning/search/judge.h"

#include <gsl/gsl_sort_double.h>
#include <math.h>
#include <stdlib.h>

#include "experiments/parallel.h"
#include "experiments/replicate.h"
#include "sim/memory.h"

/* Replications before a look at whether it is decided; the slowest two that hold leave little to decide. */
enum { WAVE = 2 };
/* So many that fail decide: the lower end lies between the two worst of eight. */
enum { DECIDE = 2 };

/* One replication of a candidate. */
struct member {
    uint64_t seed;
    struct exp_factors *factors;
    struct exp_trial *trial; /* NULL until it is needed */
    struct sim_status st;
};

/* What is known of one number of replicas under one load; kept, so that nothing is simulated twice. */
struct known {
    uint32_t n_replicas, n_done; /* members 0 .. n_done - 1 have run */
    double load_factor;
    bool stretch;
    struct exp_trial_point point[EXP_REPLICATIONS];
};

struct exp_panel {
    const struct exp_plan *plan;
    struct exp_candidate candidate;
    struct exp_cache *cache;
    struct exp_loads *loads;
    struct exp_trial *nominal; /* for profiles, engines and classes */
    struct member
        member[EXP_REPLICATIONS]; /* the slowest first: they decide soonest that a fleet is too small */
    struct known **known;
    uint32_t n_known;
};

double exp_attained(const struct sim_class *class, const struct exp_class_point *p)
{
    double worst = fmax(p->ttft_miss, fmax(p->tpot_miss, p->e2el_miss));
    return class->slo.per_metric ? 1 - worst : p->attainment;
}

static uint32_t kept_servers(const struct exp_plan *plan, const struct exp_candidate *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; c->keeps_have && i < plan->n_have; i++) n += plan->have[i].servers;
    return n;
}

bool exp_serving(const struct exp_plan *plan, const struct exp_candidate *c, uint32_t n, uint32_t *serving)
{
    uint32_t lost = plan->robust ? exp_replicas_per_server(c) : 0, kept = kept_servers(plan, c);
    *serving = n > lost ? n - lost : 0;
    return *serving > 0 || kept > 1 || (kept == 1 && (n > 0 || !plan->robust));
}

/* ---- the panel ---- */

/* How slow a replication's operators are, all alike. */
static double slowness(const struct exp_factors *f)
{
    double sum = log(f->residual[0]);
    for (int m = 0; m < MDL_N_FAMILY; m++) sum += log(f->family[0][m]) / MDL_N_FAMILY;
    return sum;
}

static int slowest_first(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    double xs = slowness(x->factors), ys = slowness(y->factors);
    if (xs != ys) return xs > ys ? -1 : 1;
    return x->seed < y->seed ? -1 : x->seed > y->seed;
}

struct exp_panel *exp_panel_new(const struct exp_plan *plan, const struct exp_candidate *c,
                                struct exp_cache *cache, struct exp_loads *loads, uint64_t seed,
                                struct sim_status *st)
{
    struct exp_trial *nominal = exp_trial_new(plan, c, cache, loads, NULL, st);
    if (!nominal) return NULL;
    struct exp_panel *p = sim_alloc(1, sizeof *p);
    *p =
        (struct exp_panel){.plan = plan, .candidate = *c, .cache = cache, .loads = loads, .nominal = nominal};
    for (uint32_t k = 0; k < EXP_REPLICATIONS; k++) {
        struct member *m = &p->member[k];
        m->seed = exp_replication_seed(seed, k);
        m->factors = sim_alloc(1, sizeof *m->factors);
        exp_factors_draw(exp_trial_setup(nominal), seed, k, m->factors);
    }
    qsort(p->member, EXP_REPLICATIONS, sizeof *p->member, slowest_first);
    return p;
}

void exp_panel_free(struct exp_panel *p)
{
    if (!p) return;
    for (uint32_t k = 0; k < EXP_REPLICATIONS; k++) {
        exp_trial_free(p->member[k].trial);
        free(p->member[k].factors);
    }
    for (uint32_t i = 0; i < p->n_known; i++) free(p->known[i]);
    free(p->known);
    exp_trial_free(p->nominal);
    free(p);
}

static struct known *look_up(struct exp_panel *p, uint32_t n_replicas, const struct exp_verdict_options *o)
{
    struct known *k;
    for (uint32_t i = 0; i < p->n_known; i++) {
        k = p->known[i];
        if (k->n_replicas == n_replicas && k->load_factor == o->load_factor && k->stretch == o->stretch)
            return k;
    }
    k = sim_alloc(1, sizeof *k);
    *k = (struct known){.n_replicas = n_replicas, .load_factor = o->load_factor, .stretch = o->stretch};
    p->known = sim_realloc(p->known, p->n_known + 1, sizeof *p->known);
    return p->known[p->n_known++] = k;
}

uint64_t exp_panel_runs(const struct exp_panel *p)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < p->n_known; i++) n += p->known[i]->n_done;
    return n;
}

/* ---- a judgement ---- */

struct round {
    struct exp_panel *panel;
    struct known *known;
};

static void run_member(void *round, uint32_t i)
{
    struct round *r = round;
    struct exp_panel *p = r->panel;
    uint32_t k = r->known->n_done + i;
    struct member *m = &p->member[k];
    struct exp_trial_change change = {.factors = m->factors, .lose_server = p->plan->robust};
    m->st = (struct sim_status){0};
    if (!m->trial) m->trial = exp_trial_new(p->plan, &p->candidate, p->cache, p->loads, &change, &m->st);
    if (m->trial)
        exp_trial_run(m->trial, r->known->n_replicas, r->known->load_factor, m->seed, !r->known->stretch,
                      &r->known->point[k], &m->st);
}

/* The next n replications; false with the first complaint. */
static bool run_wave(struct round *r, uint32_t n, uint32_t n_threads, struct sim_status *st)
{
    uint32_t first = r->known->n_done;
    exp_parallel(n, n_threads, run_member, r);
    for (uint32_t k = first; k < first + n; k++)
        if (r->panel->member[k].st.message[0])
            return sim_fail_as(st, r->panel->member[k].st.code, "%s", r->panel->member[k].st.message);
    r->known->n_done += n;
    return true;
}

typedef double value_fn(const struct round *r, uint32_t k, uint32_t class);

static double attained(const struct round *r, uint32_t k, uint32_t class)
{
    const struct exp_setup *u = exp_trial_setup(r->panel->nominal);
    return exp_attained(&u->sim_classes[class], &r->known->point[k].class[class]);
}

static double ttft(const struct round *r, uint32_t k, uint32_t class)
{
    (void)class;
    return r->known->point[k].ttft_p99_s;
}

static double tpot(const struct round *r, uint32_t k, uint32_t class)
{
    (void)class;
    return r->known->point[k].tpot_p99_s;
}

static double busy(const struct round *r, uint32_t k, uint32_t class)
{
    (void)class;
    return r->known->point[k].gpu_busy;
}

static struct exp_band band(const struct round *r, value_fn *value, uint32_t class)
{
    double v[EXP_REPLICATIONS];
    uint32_t n = r->known->n_done;
    for (uint32_t k = 0; k < n; k++) v[k] = value(r, k, class);
    return exp_band_of(v, n);
}

static bool reaches(const struct exp_setup *u, uint32_t class, double attainment)
{
    return attainment * 100 >= u->sim_classes[class].slo.percentile;
}

static struct exp_verdict sum_up(const struct round *r)
{
    const struct exp_setup *u = exp_trial_setup(r->panel->nominal);
    uint32_t n = r->known->n_done;
    struct exp_verdict v = {
        .n_replicas = r->known->n_replicas, .n_replications = n, .feasible = n == EXP_REPLICATIONS};
    for (uint32_t c = 0; c < u->config.n_classes; c++) {
        v.attainment[c] = band(r, attained, c);
        v.feasible &= reaches(u, c, v.attainment[c].lo);
    }
    v.ttft_p99_s = band(r, ttft, 0);
    v.tpot_p99_s = band(r, tpot, 0);
    v.gpu_busy = band(r, busy, 0);
    for (uint32_t k = 0; k < n; k++)
        for (int e = 0; e < SIM_N_EVIDENCE; e++) v.evidence[e] += r->known->point[k].evidence[e] / n;
    return v;
}

/* The most replications that have failed one class. */
static uint32_t most_failed(const struct round *r)
{
    const struct exp_setup *u = exp_trial_setup(r->panel->nominal);
    uint32_t most = 0;
    for (uint32_t c = 0; c < u->config.n_classes; c++) {
        uint32_t failed = 0;
        for (uint32_t k = 0; k < r->known->n_done; k++) failed += !reaches(u, c, attained(r, k, c));
        if (failed > most) most = failed;
    }
    return most;
}

/* Two by two for as long as they may decide against it; all the others at once when the first two hold, so that they take all
 * threads. */
static uint32_t next_wave(const struct round *r, bool brief)
{
    uint32_t left = EXP_REPLICATIONS - r->known->n_done;
    bool holds = r->known->n_done > 0 && most_failed(r) == 0;
    return brief && !holds && left > WAVE ? WAVE : left;
}

bool exp_panel_judge(struct exp_panel *p, uint32_t n_replicas, const struct exp_verdict_options *o,
                     struct exp_verdict *out, struct sim_status *st)
{
    struct round r = {.panel = p, .known = look_up(p, n_replicas, o)};
    uint32_t serving;
    if (!exp_serving(p->plan, &p->candidate, n_replicas, &serving)) {
        *out = (struct exp_verdict){.n_replicas = n_replicas};
        return true;
    }
    while (r.known->n_done < EXP_REPLICATIONS && !(o->brief && most_failed(&r) >= DECIDE))
        if (!run_wave(&r, next_wave(&r, o->brief), o->n_threads, st)) return false;
    *out = sum_up(&r);
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
