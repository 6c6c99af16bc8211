#include <math.h>
#include <stdlib.h>

#include "experiments/planning/money/response_parts.h"
#include "sim/memory.h"

/* What every point takes; the candidate as it is is set up once, and read by all threads. */
struct source {
    const struct exp_plan *plan;
    const struct exp_candidate *candidate;
    struct exp_cache *cache;
    struct exp_loads *loads;
    struct exp_trial *as_it_is;
    const struct exp_response *response; /* how far drivers move */
};

/* Of the class that is nearest to its limit. A percentile of 100 allows less than one request of a long run. */
static double strain_of(const struct exp_setup *u, const struct exp_trial_point *p)
{
    static const double LEAST_ALLOWED = 1e-5;
    double most = 0;
    for (uint32_t c = 0; c < p->n_classes; c++) {
        const struct sim_class *class = &u->sim_classes[c];
        double allowed = fmax(1 - class->slo.percentile / 100, LEAST_ALLOWED);
        if (p->class[c].arrived) most = fmax(most, (1 - exp_attained(class, &p->class[c])) / allowed);
    }
    return most;
}

static double over(double latency_s, double limit_s)
{
    return limit_s > 0 ? latency_s / limit_s : 0;
}

static double pressure_of(const struct exp_setup *u, const struct exp_trial_point *p)
{
    double most = 0;
    for (uint32_t c = 0; c < p->n_classes; c++) {
        const struct sim_slo *slo = &u->sim_classes[c].slo;
        const struct exp_class_point *k = &p->class[c];
        if (k->arrived == 0) continue;
        most = fmax(most, over(k->ttft_p99_s, slo->ttft_s));
        most = fmax(most, fmax(over(k->tpot_p99_s, slo->tpot_s), over(k->e2el_p99_s, slo->e2el_s)));
    }
    return most;
}

static bool is_moved(const struct exp_probe_at *at)
{
    bool moved = false;
    for (int d = 0; d < EXP_N_DRIVERS; d++) moved |= at->move[d] != 0;
    return moved;
}

static struct exp_trial *moved_trial(const struct source *s, const struct exp_probe_at *at,
                                     struct sim_status *st)
{
    struct exp_factors *factors = sim_alloc(1, sizeof *factors);
    struct exp_trial_change change = {
        .factors = factors, .miss = NAN, .correction = NAN, .length_factor = exp(at->move[EXP_DRIVE_LENGTH])};
    exp_drivers_factors(exp_trial_setup(s->as_it_is), s->response, at->move, factors);
    struct exp_trial *t = exp_trial_new(s->plan, s->candidate, s->cache, s->loads, &change, st);
    free(factors);
    return t;
}

static struct exp_seen_load seen(const struct exp_trial_point *p)
{
    struct exp_seen_load s = {.n_classes = p->n_classes,
                              .gpu_busy = p->gpu_busy,
                              .kv_peak = p->kv_peak_utilization,
                              .kv_mean = p->kv_mean_utilization,
                              .link_busy = p->host_link_busy,
                              .mean_running = p->mean_running,
                              .spread = p->spread};
    for (uint32_t c = 0; c < p->n_classes; c++) s.attainment[c] = p->class[c].attainment;
    return s;
}

static bool simulate(void *source, const struct exp_probe_at *at, struct exp_probe_point *out,
                     struct sim_status *st)
{
    const struct source *s = source;
    struct exp_trial *own = is_moved(at) ? moved_trial(s, at, st) : NULL, *t = own ? own : s->as_it_is;
    struct exp_trial_point p;
    bool ok = (own || !is_moved(at)) &&
              exp_trial_run(t, at->n_replicas, at->load, s->plan->base->seed, false, &p, st);
    if (ok)
        *out = (struct exp_probe_point){.strain = strain_of(exp_trial_setup(t), &p),
                                        .pressure = pressure_of(exp_trial_setup(t), &p),
                                        .miss = p.miss,
                                        .busy = p.gpu_busy,
                                        .seen = seen(&p)};
    exp_trial_free(own);
    return ok;
}

/* What is kept in replicas of what is searched, by the bandwidth from which both mostly decode. */
static double kept_replicas(const struct exp_setup *u)
{
    const struct exp_fleet_setup *searched = &u->fleets[u->n_fleets - 1];
    double each = searched->gpu->bandwidth_byte_per_s * u->sim_fleets[u->n_fleets - 1].gpus_per_replica,
           kept = 0;
    for (uint32_t f = 0; f + 1 < u->n_fleets; f++)
        kept += u->fleets[f].gpu->bandwidth_byte_per_s * u->sim_fleets[f].gpus_per_replica *
                u->sim_fleets[f].n_replicas;
    return kept / each;
}

static uint32_t whole_servers(const struct exp_candidate *c, uint32_t n)
{
    uint32_t each = exp_replicas_per_server(c);
    return (n + each - 1) / each * each;
}

/* At the load that was seen nearest to the planned peak; of what is kept when nothing new serves. */
static struct exp_anatomy anatomy_of(const struct exp_setup *u, uint32_t n_replicas,
                                     const struct exp_response *r)
{
    uint32_t last = u->n_fleets - 1, nearest = 0;
    double replicas = n_replicas;
    for (uint32_t f = 0; f < last; f++) replicas += u->sim_fleets[f].n_replicas;
    for (uint32_t i = 1; i < r->n_seen; i++)
        if (fabs(log(r->seen[i].load)) < fabs(log(r->seen[nearest].load))) nearest = i;
    struct exp_point_load load = exp_point_load_at(u, r->seen[nearest].mean_running / fmax(1, replicas));
    return exp_anatomy_of(u, n_replicas ? last : 0, &load);
}

bool exp_response_make(const struct exp_plan *plan, const struct exp_entry *entry, struct exp_cache *cache,
                       struct exp_loads *loads, uint32_t n_threads, struct exp_response *out,
                       struct sim_status *st)
{
    const struct exp_candidate *c = &entry->candidate;
    struct source s = {.plan = plan, .candidate = c, .cache = cache, .loads = loads, .response = out};
    uint32_t serving = entry->n_replicas;
    *out = (struct exp_response){0};
    s.as_it_is = exp_trial_new(plan, c, cache, loads, NULL, st);
    if (!s.as_it_is) return false;
    exp_trial_keep_spread(s.as_it_is);
    exp_serving(plan, c, entry->n_replicas, &serving);
    const struct exp_setup *u = exp_trial_setup(s.as_it_is);
    struct exp_probe_job job = {.probe = {&s, simulate},
                                .n_replicas = entry->n_replicas,
                                .n_deployed = whole_servers(c, entry->n_replicas),
                                .n_lost = entry->n_replicas - serving,
                                .n_kept = kept_replicas(u),
                                .may_be_none = c->keeps_have,
                                .headroom = plan->headroom,
                                .growth = pow(1 + plan->growth_per_year, plan->horizon_months / 12.0),
                                .n_threads = n_threads};
    exp_drivers_describe(plan, u, entry->n_replicas, &job, out);
    bool ok = exp_response_probe(&job, out, st);
    if (ok) out->anatomy = anatomy_of(u, entry->n_replicas, out);
    exp_trial_free(s.as_it_is);
    return ok;
}
