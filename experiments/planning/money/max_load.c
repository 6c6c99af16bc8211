/* `plan --max-load`: the largest load that the machines under `have` carry. Loads are powers of 1.01 times the plan's. First
 * the edge on the busiest stretch, as predicted, for each strategy and TP; for each strategy with its best TP the edge there
 * over replications; then the whole trace, as finalists are judged, and less for as long as that does not hold. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/parallel.h"
#include "experiments/planning/decision.h"
#include "experiments/planning/search/lost_server.h"
#include "sim/memory.h"

enum {
    LEAST = -463,    /* 0.01 of the plan's load */
    MOST = 279,      /* 16 times as much */
    FIRST_STEP = 35, /* 1.42 */
    SECOND_STEP = 4
};

static double factor_of(int power)
{
    return pow(1.01, power);
}

/* ---- an edge ---- */

typedef bool meets_fn(void *user, int power);

/* The largest power that meets, next to one that does not, found from `at` in steps that double and then by halves; MOST
 * when all tried meet, INT_MIN when none does. */
static int find_edge(meets_fn *meets, void *user, int at, int step)
{
    int good = INT_MIN, bad = INT_MAX;
    while (good == INT_MIN || bad == INT_MAX) {
        if (meets(user, at))
            good = at;
        else
            bad = at;
        if (good == MOST || bad == LEAST) return good;
        at = bad == INT_MAX ? good + step : bad - step;
        at = at < LEAST ? LEAST : at > MOST ? MOST : at;
        step *= 2;
    }
    while (bad > good + 1) {
        int middle = good + (bad - good) / 2;
        if (meets(user, middle))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

/* ---- a strategy with a TP ---- */

struct attempt {
    struct exp_plan *plan; /* own: what is left of it, when it shall be robust */
    struct exp_candidate candidate;
    struct exp_cache *cache;
    uint32_t n_threads;
    struct exp_trial *trial;
    int edge;
    struct exp_trial_point broken; /* at the least load that failed */
    struct exp_verdict held;       /* at the largest that was judged to hold */
    char limit[EXP_NAME_BYTES + 16];
    struct sim_status st;
};

static bool meets_on_stretch(void *attempt, int power)
{
    struct attempt *a = attempt;
    struct exp_trial_point p;
    uint64_t seed = a->plan->base->seed;
    if (a->st.message[0] || !exp_trial_run(a->trial, 0, factor_of(power), seed, false, &p, &a->st))
        return false;
    if (!p.met) a->broken = p;
    return p.met;
}

static void name_limit(struct attempt *a)
{
    const struct exp_setup *u = exp_trial_setup(a->trial);
    double most = 0;
    for (uint32_t c = 0; c < a->broken.n_classes; c++) {
        const struct exp_class_point *p = &a->broken.class[c];
        const struct sim_slo *slo = &u->sim_classes[c].slo;
        const double miss[] = {p->ttft_miss, p->tpot_miss, p->e2el_miss};
        const double limit_s[] = {slo->ttft_s, slo->tpot_s, slo->e2el_s};
        static const char *const names[] = {"TTFT", "TPOT", "E2EL"};
        for (int i = 0; i < 3; i++) {
            if (p->met || limit_s[i] <= 0 || miss[i] <= most) continue;
            most = miss[i];
            snprintf(a->limit, sizeof a->limit, "%s of class %s", names[i], u->class_names[c]);
        }
    }
}

/* Loads are an attempt's own: each takes others, and what all of them would take together is too much to keep. */
static void predict(void *attempts, uint32_t i)
{
    struct attempt *a = (struct attempt *)attempts + i;
    a->edge = INT_MIN;
    if (!a->candidate.keeps_have) {
        sim_fail(&a->st, "robust: nothing is left when the only server is lost");
        return;
    }
    struct exp_loads *loads = exp_loads_new(a->plan, a->cache);
    a->trial = exp_trial_new(a->plan, &a->candidate, a->cache, loads, NULL, &a->st);
    if (a->trial) {
        a->edge = find_edge(meets_on_stretch, a, 0, FIRST_STEP);
        name_limit(a);
    }
    exp_trial_free(a->trial);
    exp_loads_free(loads);
}

static bool judge(struct attempt *a, int power, bool stretch)
{
    struct exp_verdict v;
    struct exp_verdict_options o = {
        .load_factor = factor_of(power), .n_threads = a->n_threads, .brief = true, .stretch = stretch};
    if (a->st.message[0]) return false;
    struct exp_loads *loads = exp_loads_new(a->plan, a->cache);
    struct exp_panel *panel =
        exp_panel_new(a->plan, &a->candidate, a->cache, loads, a->plan->base->seed, &a->st);
    bool ok = panel && exp_panel_judge(panel, 0, &o, &v, &a->st) && v.feasible;
    if (ok) a->held = v;
    exp_panel_free(panel);
    exp_loads_free(loads);
    return ok;
}

static bool stretch_holds(void *attempt, int power)
{
    return judge(attempt, power, true);
}

static bool whole_holds(void *attempt, int power)
{
    return judge(attempt, power, false);
}

/* As judged; INT_MIN when no load is carried. */
static int judged_edge(struct attempt *a)
{
    int edge = a->edge == INT_MIN ? INT_MIN : find_edge(stretch_holds, a, a->edge, SECOND_STEP);
    if (edge == INT_MIN || whole_holds(a, edge)) return edge;
    return edge == LEAST ? INT_MIN : find_edge(whole_holds, a, edge - 1, 1);
}

/* ---- attempts of a plan ---- */

/* The group whose servers do most, by bandwidth. */
static uint32_t strongest(const struct exp_plan *plan, const struct exp_candidate *c)
{
    uint32_t best = 0;
    double most = 0;
    for (uint32_t i = 0; i < plan->n_have; i++) {
        double server = plan->have[i].gpus_per_server * c->have_gpu[i]->bandwidth_byte_per_s;
        if (server > most) best = i;
        most = fmax(most, server);
    }
    return best;
}

/* What there is, without one server when it shall do without. */
static struct exp_plan *plan_for(const struct exp_plan *plan, struct exp_candidate *c)
{
    struct exp_plan *own;
    if (plan->robust) {
        own = exp_plan_lose_server(plan, c, strongest(plan, c));
        own->robust = false; /* that is done */
        return own;
    }
    own = sim_alloc(1, sizeof *own);
    *own = *plan;
    return own;
}

static bool is_asked(const struct exp_candidate *c)
{
    return c->keeps_have && !c->adds_host_memory && c->gpu == c->have_gpu[0];
}

static struct attempt *make_attempts(const struct exp_plan *plan, struct exp_cache *cache, uint32_t n_threads,
                                     uint32_t *n)
{
    struct exp_candidate *all;
    uint32_t n_all = exp_candidates(plan, cache, &all);
    struct attempt *a = sim_alloc(n_all + 1, sizeof *a);
    *n = 0;
    for (uint32_t i = 0; i < n_all; i++) {
        struct exp_candidate c = all[i];
        if (!is_asked(&c)) continue;
        struct exp_plan *own = plan_for(plan, &c);
        a[(*n)++] = (struct attempt){.plan = own, .candidate = c, .cache = cache, .n_threads = n_threads};
    }
    free(all);
    return a;
}

/* The attempt with the largest predicted load; NULL when the strategy has none. */
static struct attempt *best_of(struct attempt *a, uint32_t n, const struct exp_contender *strategy)
{
    struct attempt *best = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (a[i].candidate.contender == strategy && (!best || a[i].edge > best->edge)) best = &a[i];
    return best;
}

static void fill_row(struct attempt *a, double planned_requests_per_s, struct exp_max_load_row *row)
{
    *row = (struct exp_max_load_row){.tensor_parallel = a->candidate.tensor_parallel};
    snprintf(row->strategy, sizeof row->strategy, "%s", a->candidate.contender->label);
    snprintf(row->limit, sizeof row->limit, "%s", a->limit);
    int edge = judged_edge(a);
    if (a->st.message[0])
        snprintf(row->why_not, sizeof row->why_not, "%.*s", EXP_WHY_BYTES - 1, a->st.message);
    else if (edge == INT_MIN)
        snprintf(row->why_not, sizeof row->why_not, "%s, even at 1 %% of the load",
                 a->limit[0] ? a->limit : "a service level");
    if (row->why_not[0]) return;
    row->factor = factor_of(edge);
    row->requests_per_s = row->factor * planned_requests_per_s;
    row->at = a->held;
}

static int by_load(const void *a, const void *b)
{
    const struct exp_max_load_row *x = a, *y = b;
    if (x->factor != y->factor) return x->factor < y->factor ? 1 : -1;
    return strcmp(x->strategy, y->strategy);
}

static double rate_of(const struct exp_workload *w)
{
    const struct sim_request *r = w->requests;
    double span_s = w->n_requests ? r[w->n_requests - 1].arrival_s - r[0].arrival_s : 0;
    return span_s > 0 ? (double)(w->n_requests - 1) / span_s : 0;
}

static void name_classes(const struct exp_plan *plan, struct exp_max_load *out)
{
    struct exp_class_keys *c = sim_alloc(SIM_MAX_CLASSES, sizeof *c);
    out->n_classes = exp_scenario_classes(plan->base, c);
    for (uint32_t i = 0; i < out->n_classes; i++) snprintf(out->class[i], EXP_NAME_BYTES, "%s", c[i].name);
    free(c);
}

bool exp_max_load_run(const struct exp_plan *plan, struct exp_cache *cache, struct exp_loads *loads,
                      uint32_t n_threads, struct exp_max_load *out, struct sim_status *st)
{
    if (plan->n_have == 0)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "%s: --max-load asks what the machines that there are carry, expected `have`; add "
                           "have: [{gpu: NAME, servers: N, gpus_per_server: 8}]",
                           plan->file[0] ? plan->file : "plan");
    const struct exp_workload *planned = exp_loads_get(loads, 1, plan->base->seed, true, st);
    if (!planned) return false;
    uint32_t n;
    struct attempt *a = make_attempts(plan, cache, n_threads, &n);
    *out = (struct exp_max_load){.planned_requests_per_s = rate_of(planned)};
    name_classes(plan, out);
    struct exp_progress progress = exp_progress_begin("judging");
    exp_parallel(n, n_threads, predict, a);
    for (uint32_t k = 0; k < plan->strategies.n; k++) {
        struct attempt *best = best_of(a, n, &plan->strategies.at[k]);
        exp_progress_show(&progress, (double)(k + 1) / (plan->strategies.n + 1));
        if (best) fill_row(best, out->planned_requests_per_s, &out->row[out->n_rows++]);
    }
    exp_progress_end(&progress);
    qsort(out->row, out->n_rows, sizeof *out->row, by_load);
    for (uint32_t i = 0; i < n; i++) free(a[i].plan);
    free(a);
    return true;
}
