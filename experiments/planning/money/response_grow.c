#include <math.h>

#include "experiments/parallel.h"
#include "experiments/planning/money/response_parts.h"

enum { GROWTH_TRIES = 3 };
static const double MOST_FURTHER = 0.4; /* log of load */
static const double MOST_GROWTH = 32;   /* further ahead a replica carries what it does there */

/* ---- the fleet as it is deployed ---- */

/* The grid's points between which the deployed fleet breaks, as far as they are known. */
struct deployed {
    struct exp_sounding holds, breaks;
    bool has_held, has_broken;
};

static bool try_deployed(struct exp_soundings *w, struct deployed *d, int k, struct sim_status *st)
{
    struct exp_probe_task t = exp_sounding_task(w, k);
    t.at.n_replicas = w->job->n_deployed;
    if (!exp_soundings_run(w, &t, 1, st)) return false;
    bool holds = t.p.strain <= EXP_BROKEN;
    *(holds ? &d->holds : &d->breaks) = (struct exp_sounding){k, t.p};
    *(holds ? &d->has_held : &d->has_broken) = true;
    return true;
}

/* Between both, or by as much further as its pressure says, at most by half. */
static double deployed_break(const struct exp_soundings *w, const struct deployed *d)
{
    const struct exp_sounding *one = d->has_held ? &d->holds : &d->breaks;
    if (d->has_held && d->has_broken) return exp_break_between(&d->holds, &d->breaks);
    double further = w->log_break - exp_pressure_load(&w->curve, one->p.pressure);
    return exp_grid_log(one->k) + fmin(fmax(further, -MOST_FURTHER), MOST_FURTHER);
}

bool exp_soundings_headroom(struct exp_soundings *w, struct sim_status *st)
{
    const struct exp_probe_job *j = w->job;
    struct deployed d = {.has_held = false};
    bool more = j->n_deployed != j->n_replicas && w->breaks; /* what never broke holds at least as much */
    double larger = (j->n_deployed + j->n_kept) / (j->n_replicas + j->n_kept);
    double log_break = w->log_break + (more ? log(larger) : 0);
    for (int i = 0; i < EXP_HEADROOM_TRIES && more; i++) {
        int k = exp_grid_nearest(log_break);
        if (d.has_held && k <= d.holds.k) k = d.holds.k + 1;
        if (d.has_broken && k >= d.breaks.k) k = d.breaks.k - 1;
        if (!try_deployed(w, &d, k, st)) return false;
        log_break = deployed_break(w, &d);
        more = !(d.has_held && d.has_broken && d.breaks.k - d.holds.k <= 1);
    }
    bool never = w->at[0].p.strain > EXP_BROKEN;
    w->out->headroom = never ? 0 : exp(log_break) * (1 + j->headroom);
    return true;
}

/* ---- replicas in the years ahead ---- */

struct growing {
    struct exp_soundings *w;
    double need;  /* replicas, kept ones included, that serve a load of 1 as strictly as those of today do */
    int strict_k; /* grid steps of load that this strictness takes */
    uint32_t tries;
    struct {
        int k; /* of the load over today's */
        uint32_t n, n_points;
        struct sim_status st;
    } at[EXP_GROWTH_LOADS];
};

/* Today's number was judged over replications with errors drawn, on all of the trace; here one run stands for that, under so
 * much more load that today's number just holds and one less does not. */
static void set_strictness(struct growing *g)
{
    const struct exp_soundings *w = g->w;
    double serving = w->job->n_replicas - w->job->n_lost + w->job->n_kept,
           all = w->job->n_replicas + w->job->n_kept;
    double log_break = w->log_break + log(serving / all), log_strict = 0;
    bool one_less = w->job->n_replicas > w->job->n_lost && serving > 1;
    double log_one_less = one_less ? log_break + log((serving - 1) / serving) : -INFINITY;
    if (log_one_less > 0) log_strict = log_break + log((serving - 0.5) / serving);
    if (log_break < 0) log_strict = log_break;
    g->strict_k = exp_grid_nearest(log_strict);
    g->need = serving * exp(exp_grid_log(g->strict_k) - log_break);
}

static uint32_t whole_replicas(const struct growing *g, double replicas)
{
    const struct exp_probe_job *j = g->w->job;
    double n = ceil(replicas - j->n_kept - 1e-9), least = j->may_be_none ? 0 : 1;
    return (uint32_t)fmin(fmax(n, least), EXP_MOST_REPLICAS);
}

/* The replicas that a load takes when n that serve are under that pressure. */
static uint32_t replicas_for(const struct growing *g, uint32_t n, const struct exp_probe_point *p)
{
    const struct exp_soundings *w = g->w;
    double part = exp(exp_pressure_load(&w->curve, p->pressure) - w->log_break);
    uint32_t guess = whole_replicas(g, part * (n + w->job->n_kept));
    if (p->strain <= EXP_BROKEN) return guess < n / 2 ? n / 2 : guess > n ? n : guess;
    return guess > 2 * n + 1 ? 2 * n + 1 : guess <= n ? n + 1 : guess;
}

static void grow(void *growing, uint32_t i)
{
    struct growing *g = growing;
    const struct exp_soundings *w = g->w;
    int k = g->at[i].k + g->strict_k;
    uint32_t n = whole_replicas(g, g->need * exp(exp_grid_log(g->at[i].k))), fails = 0, holds = UINT32_MAX;
    for (uint32_t t = 0; t < g->tries; t++) {
        struct exp_probe_task task = {.at = {.n_replicas = n, .load = exp_grid_load(w, k)}};
        if (!w->job->probe.run(w->job->probe.user, &task.at, &task.p, &g->at[i].st)) return;
        g->at[i].n_points++;
        uint32_t next = replicas_for(g, n, &task.p);
        if (task.p.strain <= EXP_BROKEN)
            holds = n;
        else
            fails = n;
        n = next;
        if (holds != UINT32_MAX && (n >= holds || n <= fails)) break;
    }
    g->at[i].n = (holds != UINT32_MAX ? holds : n) + w->job->n_lost;
}

bool exp_soundings_grow(struct exp_soundings *w, struct sim_status *st)
{
    struct growing g = {.w = w};
    struct exp_response *out = w->out;
    uint32_t left = EXP_RESPONSE_POINTS - w->n_points;
    int last = exp_grid_nearest(log(fmin(fmax(w->job->growth, 1), MOST_GROWTH)));
    uint32_t n = last > 0 ? 1 + (uint32_t)(last - 1) / 9 : 0; /* 1.42 times a step */
    if (n > EXP_GROWTH_LOADS) n = EXP_GROWTH_LOADS;
    out->n_loads = 1;
    out->load[0] = 1;
    out->replicas[0] = w->job->n_replicas;
    if (n == 0) return true;
    if (n > left && left > 0) n = left;
    g.tries = left / n < GROWTH_TRIES ? left / n : GROWTH_TRIES;
    set_strictness(&g);
    for (uint32_t i = 0; i < n; i++) g.at[i].k = (int)lround(last * (i + 1.0) / n);
    exp_parallel(n, w->job->n_threads, grow, &g);
    for (uint32_t i = 0; i < n; i++) {
        if (g.at[i].st.message[0]) return sim_fail_as(st, g.at[i].st.code, "%s", g.at[i].st.message);
        w->n_points += g.at[i].n_points;
        out->load[out->n_loads] = exp(exp_grid_log(g.at[i].k));
        uint32_t least = out->replicas[out->n_loads - 1];
        out->replicas[out->n_loads++] = g.at[i].n > least ? g.at[i].n : least;
    }
    return true;
}
