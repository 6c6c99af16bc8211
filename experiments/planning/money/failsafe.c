/* What happens to a fleet when its assumptions do not hold: the strategy is taken back, its rates are the worst that anybody
 * saw, answers get long, a server or half of the host link is gone. At the planned peak, as it was sized; on the busiest
 * stretch, with the same requests as everything else. */
#include <math.h>
#include <stdlib.h>

#include "experiments/kv_setup.h"
#include "experiments/parallel.h"
#include "experiments/planning/money/finalist.h"
#include "experiments/planning/search/lost_server.h"
#include "models/kvcost.h"
#include "sim/memory.h"

/* A fleet, and what is changed of it. */
struct fleet {
    const struct exp_plan *plan;
    struct exp_candidate candidate;
    uint32_t n;
    struct exp_cache *cache;
    struct exp_loads *loads;
    struct exp_trial_change change;
};

struct outcome {
    double attainment; /* the worst class's */
    bool met;
};

static struct outcome outcome_of(const struct exp_trial *t, const struct exp_trial_point *p)
{
    struct outcome o = {.attainment = 1, .met = p->met};
    for (uint32_t c = 0; c < p->n_classes; c++)
        o.attainment = fmin(o.attainment, exp_attained(&exp_trial_setup(t)->sim_classes[c], &p->class[c]));
    return o;
}

static struct exp_trial *set_up(const struct fleet *f, struct sim_status *st)
{
    return exp_trial_new(f->plan, &f->candidate, f->cache, f->loads, &f->change, st);
}

static bool run(const struct fleet *f, struct exp_trial *t, uint32_t n, struct exp_trial_point *p,
                struct sim_status *st)
{
    return exp_trial_run(t, n, 1, f->plan->base->seed, false, p, st);
}

static bool serve(const struct fleet *f, struct outcome *out, struct sim_status *st)
{
    struct exp_trial_point p;
    *out = (struct outcome){0};
    if (f->n == 0 && !f->candidate.keeps_have) return true; /* nothing is left */
    struct exp_trial *t = set_up(f, st);
    bool ok = t && run(f, t, f->n, &p, st);
    if (ok) *out = outcome_of(t, &p);
    exp_trial_free(t);
    return ok;
}

/* ---- a server less ---- */

/* New replicas stand in whole servers, so that what is left may be more than what is needed less a server. */
static bool serve_without_new(const struct fleet *f, struct outcome *out, struct sim_status *st)
{
    struct fleet less = *f;
    uint32_t each = exp_replicas_per_server(&f->candidate);
    less.n = (f->n - 1) / each * each;
    return serve(&less, out, st);
}

static bool serve_without_kept(const struct fleet *f, uint32_t i, struct outcome *out, struct sim_status *st)
{
    struct fleet less = *f;
    struct exp_plan *plan = exp_plan_lose_server(f->plan, &less.candidate, i);
    less.plan = plan;
    bool ok = serve(&less, out, st);
    free(plan);
    return ok;
}

/* Whichever hurts most. */
static bool serve_less_a_server(const struct fleet *f, struct outcome *worst, struct sim_status *st)
{
    uint32_t n_kept = f->candidate.keeps_have ? f->plan->n_have : 0;
    *worst = (struct outcome){.attainment = 1, .met = true};
    for (uint32_t i = 0; i <= n_kept; i++) {
        struct outcome o;
        if (i == n_kept && f->n == 0) break;
        if (!(i < n_kept ? serve_without_kept(f, i, &o, st) : serve_without_new(f, &o, st))) return false;
        worst->attainment = fmin(worst->attainment, o.attainment);
        worst->met &= o.met;
    }
    return true;
}

/* ---- rollback ---- */

/* Fewest servers more with which it holds; UINT32_MAX = never. */
static uint32_t servers_to_rent(const struct fleet *f, struct exp_trial *t, struct exp_trial_point *p,
                                struct sim_status *st)
{
    uint32_t each = exp_replicas_per_server(&f->candidate), below = 0, servers = 1;
    for (;; servers *= 2) {
        double last_miss = p->miss;
        if (f->n + servers * each > EXP_MOST_REPLICAS || !run(f, t, f->n + servers * each, p, st))
            return UINT32_MAX;
        if (p->met) break;
        if (p->gpu_busy < 0.1 && p->miss > 0.98 * last_miss) return UINT32_MAX; /* more of them do not help */
        below = servers;
    }
    while (servers > below + 1) {
        uint32_t middle = below + (servers - below) / 2;
        if (!run(f, t, f->n + middle * each, p, st)) return UINT32_MAX;
        if (p->met)
            servers = middle;
        else
            below = middle;
    }
    return servers;
}

/* A fleet that full KV does not fit on at all never holds. */
static void roll_back(const struct fleet *f, struct exp_failsafe *out, struct sim_status *st)
{
    struct sim_status why = {0};
    struct exp_trial_point p;
    out->rollback_attainment = 0;
    out->rollback_met = false;
    out->rollback_rent_servers = UINT32_MAX;
    struct exp_trial *t = set_up(f, &why);
    if (!t) return;
    if (run(f, t, f->n, &p, st)) {
        struct outcome o = outcome_of(t, &p);
        out->rollback_attainment = o.attainment;
        out->rollback_met = o.met;
        out->rollback_rent_servers = o.met ? 0 : servers_to_rent(f, t, &p, st);
    }
    exp_trial_free(t);
}

/* ---- stress ---- */

enum { RATES_HIGH, RATES_FULL, LONGER, SERVER_LOST, LINK_HALVED, ALL };

/* Misses: corrections too. */
static const char *const names[EXP_STRESS_CASES] = {"misses at p99",   "misses at 1",      "lengths at p90",
                                                    "one server lost", "host link halved", "all together"};

/* The upper end of what sources say, and no less than what is assumed. */
static double high(const struct exp_fleet_setup *f, enum mdl_kv_key key)
{
    return fmax(mdl_kvcost_default(f->kv.use.strategy, key, f->gpu).high, f->kv.use.value[key]);
}

static void set_change(const struct exp_fleet_setup *f, int what, struct exp_trial_change *c)
{
    if (what == RATES_HIGH) {
        c->miss = high(f, MDL_KV_MISS);
        c->correction = high(f, MDL_KV_CORRECTION);
    }
    if (what == RATES_FULL || what == ALL) c->miss = c->correction = 1;
    if (what == LONGER || what == ALL) c->length_quantile = 0.9;
    if (what == LINK_HALVED || what == ALL) c->link_frac = 0.5;
}

static void choose_cases(const struct exp_fleet_setup *f, struct exp_failsafe *out)
{
    const struct mdl_strategy *s = f->kv.use.strategy;
    bool rates = mdl_strategy_default(s, MDL_KV_MISS) || mdl_strategy_default(s, MDL_KV_CORRECTION);
    const bool applies[EXP_STRESS_CASES] = {
        rates, rates, f->kv.shifts, true, s->host_bytes != NULL, rates || f->kv.shifts || s->host_bytes};
    out->n_stress = EXP_STRESS_CASES;
    for (int i = 0; i < EXP_STRESS_CASES; i++)
        out->stress[i] = (struct exp_stress_case){.name = names[i], .applies = applies[i], .attainment = NAN};
}

/* ---- all of it, a case a task ---- */

struct work {
    struct fleet fleet[EXP_STRESS_CASES + 1]; /* the last: rolled back */
    struct sim_status st[EXP_STRESS_CASES + 1];
    struct exp_failsafe *out;
};

static void run_case(void *work, uint32_t i)
{
    struct work *w = work;
    struct outcome o;
    if (i == EXP_STRESS_CASES) {
        roll_back(&w->fleet[i], w->out, &w->st[i]);
        return;
    }
    struct exp_stress_case *c = &w->out->stress[i];
    if (!c->applies) return;
    bool loses = i == SERVER_LOST || i == ALL;
    if (!(loses ? serve_less_a_server : serve)(&w->fleet[i], &o, &w->st[i])) return;
    c->attainment = o.attainment;
    c->met = o.met;
}

static void prepare(struct work *w, const struct fleet *f, const struct exp_fleet_setup *setup)
{
    choose_cases(setup, w->out);
    for (int i = 0; i <= EXP_STRESS_CASES; i++) {
        w->fleet[i] = *f;
        if (i < EXP_STRESS_CASES) set_change(setup, i, &w->fleet[i].change);
    }
    w->fleet[EXP_STRESS_CASES].change.full_kv = true;
}

/* The first thing that could not be simulated. */
static bool all_ran(const struct work *w, struct sim_status *st)
{
    for (int i = 0; i <= EXP_STRESS_CASES; i++)
        if (w->st[i].message[0]) return sim_fail_as(st, w->st[i].code, "%s", w->st[i].message);
    return true;
}

bool exp_failsafe_make(const struct exp_plan *plan, const struct exp_entry *entry, struct exp_cache *cache,
                       struct exp_loads *loads, uint32_t n_threads, struct exp_failsafe *out,
                       struct sim_status *st)
{
    const struct fleet f = {
        .plan = plan, .candidate = entry->candidate, .n = entry->n_replicas, .cache = cache, .loads = loads};
    struct exp_trial *nominal = set_up(&f, st);
    if (!nominal) return false;
    const struct exp_setup *u = exp_trial_setup(nominal);
    const struct exp_fleet_setup *studied = &u->fleets[u->n_fleets - 1]; /* of the same strategy as all */
    struct work *w = sim_alloc(1, sizeof *w);
    w->out = out;
    *out = (struct exp_failsafe){.rollback_attainment = 1, .rollback_met = true};
    prepare(w, &f, studied);
    exp_parallel(EXP_STRESS_CASES + !exp_kv_is_full(studied), n_threads, run_case, w);
    bool ok = all_ran(w, st);
    free(w);
    exp_trial_free(nominal);
    return ok;
}
