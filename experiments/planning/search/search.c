#include "experiments/planning/search/search.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/parallel.h"
#include "experiments/planning/search/deep.h"
#include "experiments/planning/search/search_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- all entries, the promising ones first ---- */

double exp_cheapest(const struct exp_plan *plan, const struct mdl_prices *prices, const struct exp_entry *e,
                    struct sim_status *st)
{
    double least = NAN;
    struct sim_status why = {0};
    for (int a = 0; a < EXP_N_ACQUIRE; a++) {
        struct exp_economy economy;
        struct exp_cash cash;
        if (!plan->acquire[a] ||
            !exp_economy_make(plan, prices, e, NULL, (enum exp_acquire)a, &economy, &why))
            continue;
        if (a == EXP_MIX) exp_economy_choose_mix(&economy);
        struct exp_world expected = exp_world_expected();
        exp_cash_flow(&economy, &expected, &cash);
        least = fmin(least, cash.total); /* fmin passes over NaN */
    }
    if (isnan(least)) sim_fail_as(st, why.code, "%s", why.message);
    return least;
}

/* By the bound before the search, by the estimate after it; then by what they are, so that order never depends on chance. */
static int by_cost(const void *a, const void *b)
{
    const struct exp_entry *x = a, *y = b;
    bool x_in = x->fate >= EXP_SEARCHED, y_in = y->fate >= EXP_SEARCHED;
    if (x_in != y_in) return x_in ? -1 : 1;
    if (x->cost_estimate != y->cost_estimate) return x->cost_estimate < y->cost_estimate ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Moves an entry to place `to`, those between one further down. */
static void move_up(struct exp_search *s, uint32_t from, uint32_t to)
{
    struct exp_entry moved = s->entry[from];
    memmove(&s->entry[to + 1], &s->entry[to], (from - to) * sizeof moved);
    s->entry[to] = moved;
}

static bool same_group(const struct exp_candidate *a, const struct exp_candidate *b)
{
    return a->gpu == b->gpu && a->tensor_parallel == b->tensor_parallel && a->keeps_have == b->keeps_have;
}

static int by_number(const void *a, const void *b)
{
    const struct exp_entry *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Groups in the order of their cheapest member; within one as they are listed, full KV first. */
static void gather_groups(struct exp_search *s)
{
    for (uint32_t at = 0; at < s->n_entries;) {
        uint32_t end = at + 1;
        for (uint32_t i = end; i < s->n_entries; i++)
            if (same_group(&s->entry[at].candidate, &s->entry[i].candidate)) move_up(s, i, end++);
        qsort(&s->entry[at], end - at, sizeof *s->entry, by_number);
        at = end;
    }
}

/* A bound on the cost: no fewer replicas than the least, nothing busy, nothing missed. */
static bool bound_costs(struct exp_hunters *h, struct exp_search *s, struct sim_status *st)
{
    const struct exp_workload *load =
        exp_loads_get(h->loads, 1 + h->plan->headroom, h->plan->base->seed, false, st);
    if (!load) return false;
    for (uint32_t i = 0; i < s->n_entries; i++) {
        struct exp_entry *e = &s->entry[i];
        e->at_least = exp_candidate_at_least(h->plan, &e->candidate, h->cache, load);
        e->n_replicas = e->at_least;
        e->cost_estimate = exp_cheapest(h->plan, h->prices, e, st);
        if (isnan(e->cost_estimate)) return false;
    }
    qsort(s->entry, s->n_entries, sizeof *s->entry, by_cost);
    gather_groups(s);
    return true;
}

/* What the fifth cheapest of those that were searched costs. */
static double fifth_cost(const struct exp_search *s)
{
    double least[EXP_FINALISTS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_entries; i++) {
        double cost = s->entry[i].cost_estimate;
        if (s->entry[i].fate != EXP_SEARCHED) continue;
        uint32_t at = n < EXP_FINALISTS ? n++ : EXP_FINALISTS;
        if (at == EXP_FINALISTS && cost >= least[at - 1]) continue;
        if (at == EXP_FINALISTS) at--;
        for (; at && least[at - 1] > cost; at--) least[at] = least[at - 1];
        least[at] = cost;
    }
    return n == EXP_FINALISTS ? least[EXP_FINALISTS - 1] : INFINITY;
}

static void prune(struct exp_entry *e)
{
    e->fate = EXP_PRUNED;
    snprintf(e->why_not, sizeof e->why_not,
             "%u replicas, fewer than which cannot do the arithmetic, cost more than five others",
             e->at_least);
}

static bool price(struct exp_hunters *h, struct exp_entry *e, struct sim_status *st)
{
    if (e->fate != EXP_SEARCHED) return true;
    e->cost_estimate = exp_cheapest(h->plan, h->prices, e, st);
    return !isnan(e->cost_estimate);
}

/* The groups of the next round, whole ones; dear entries are pruned on the way. How many entries. */
static uint32_t next_round(struct exp_hunters *h, struct exp_search *s, uint32_t at)
{
    double limit = fifth_cost(s);
    uint32_t begin = at;
    for (h->n_groups = 0; h->n_groups < EXP_ROUND_GROUPS && at < s->n_entries; h->n_groups++) {
        struct exp_entry *first = &s->entry[at];
        h->group[h->n_groups] = first;
        for (; at < s->n_entries && same_group(&first->candidate, &s->entry[at].candidate); at++)
            if (s->entry[at].cost_estimate > limit && !exp_is_baseline(h->plan, &s->entry[at]))
                prune(&s->entry[at]);
        h->group_size[h->n_groups] = (uint32_t)(&s->entry[at] - first);
    }
    return at - begin;
}

/* Entries from `first` on, which stand in groups; then all of them by cost. */
static bool search_all(struct exp_hunters *h, struct exp_search *s, uint32_t first, uint32_t n_threads,
                       struct sim_status *st)
{
    struct exp_progress progress = exp_progress_begin("searching");
    bool ok = true;
    for (uint32_t at = first; ok && at < s->n_entries;) {
        uint32_t n = next_round(h, s, at);
        exp_parallel(h->n_groups, n_threads, exp_search_group, h);
        for (uint32_t i = at; ok && i < at + n; i++) {
            ok = price(h, &s->entry[i], st);
            s->n_runs += s->entry[i].n_runs;
        }
        at += n;
        exp_progress_show(&progress, (double)at / s->n_entries);
    }
    exp_progress_end(&progress);
    qsort(s->entry, s->n_entries, sizeof *s->entry, by_cost);
    return ok;
}

/* Variants of the five cheapest so far, searched from where those were found. */
static bool search_deep(struct exp_hunters *h, struct exp_search *s, uint32_t n_threads,
                        struct sim_status *st)
{
    struct exp_candidate best[EXP_FINALISTS], *c;
    uint32_t n_best = 0, first = s->n_entries;
    while (n_best < EXP_FINALISTS && n_best < first && s->entry[n_best].fate == EXP_SEARCHED) {
        best[n_best] = s->entry[n_best].candidate;
        n_best++;
    }
    s->variants = sim_alloc(1, sizeof *s->variants);
    uint32_t n = exp_deep_candidates(best, n_best, s->variants, &c);
    s->entry = sim_realloc(s->entry, first + n, sizeof *s->entry);
    for (uint32_t i = 0; i < n; i++)
        s->entry[first + i] = (struct exp_entry){.candidate = c[i],
                                                 .number = first + i,
                                                 .request_rate = s->entry[0].request_rate,
                                                 .at_least = c[i].keeps_have ? 0 : 1};
    free(c);
    s->n_entries += n;
    return search_all(h, s, first, n_threads, st);
}

/* ---- who is looked at closely ---- */

/* As it stands in the plan: no knob of a deep search is turned. */
bool exp_is_baseline(const struct exp_plan *plan, const struct exp_entry *e)
{
    const struct exp_candidate *c = &e->candidate;
    if (strcmp(c->contender->label, plan->baseline.label) != 0 || c->max_num_batched_tokens ||
        c->max_num_seqs)
        return false;
    return plan->n_have ? c->keeps_have && !c->adds_host_memory && e->own_kind : true;
}

double exp_unmeasured(const double evidence[SIM_N_EVIDENCE])
{
    return evidence[SIM_EXTRAPOLATED] + evidence[SIM_TRANSFERRED] + evidence[SIM_ANALYTIC];
}

/* The cheapest five; the baseline; and the cheapest whose times are mostly measured, when the five have none. */
static void choose_finalists(const struct exp_plan *plan, struct exp_search *s)
{
    uint32_t n = 0, measured = 0, base = UINT32_MAX;
    while (n < s->n_entries && n < EXP_FINALISTS && s->entry[n].fate == EXP_SEARCHED)
        measured += exp_unmeasured(s->entry[n++].point.evidence) <= EXP_MOST_UNMEASURED;
    for (uint32_t i = n; i < s->n_entries && !measured; i++) {
        if (s->entry[i].fate != EXP_SEARCHED ||
            exp_unmeasured(s->entry[i].point.evidence) > EXP_MOST_UNMEASURED)
            continue;
        measured = 1;
        move_up(s, i, n++);
    }
    for (uint32_t i = 0; i < s->n_entries && base == UINT32_MAX; i++)
        if (s->entry[i].fate == EXP_SEARCHED && exp_is_baseline(plan, &s->entry[i])) base = i;
    if (base != UINT32_MAX && base >= n) {
        move_up(s, base, n);
        base = n++;
    }
    s->n_finalists = n;
    s->baseline = base;
    if (base != UINT32_MAX) s->entry[base].is_baseline = true;
}

/* ---- the whole ---- */

/* Arrivals per second. */
static double rate_of(const struct exp_workload *w)
{
    double span_s = w->n_requests ? w->requests[w->n_requests - 1].arrival_s - w->requests[0].arrival_s : 0;
    return span_s > 0 ? (double)(w->n_requests - 1) / span_s : 0;
}

/* Fewer requests, or all of them at once, have no rate that a year could follow from; and less of them may be none. */
static bool check_load(const struct exp_workload *w, struct sim_status *st)
{
    enum { LEAST_REQUESTS = 20 };
    if (w->n_requests >= LEAST_REQUESTS && rate_of(w) > 0) return true;
    return sim_fail(
        st, "load: %llu requests over %.3g s, expected %d or more over some time; take a longer trace",
        (unsigned long long)w->n_requests,
        w->n_requests ? w->requests[w->n_requests - 1].arrival_s - w->requests[0].arrival_s : 0,
        LEAST_REQUESTS);
}

static bool make_entries(struct exp_hunters *h, struct exp_search *s, struct sim_status *st)
{
    struct exp_candidate *c;
    struct sim_status ignored = {0};
    const struct exp_plan *plan = h->plan;
    const struct mdl_gpu *own =
        plan->n_have ? mdl_gpu_find(exp_cache_gpus(h->cache), plan->have[0].gpu, &ignored) : NULL;
    const struct exp_workload *whole = exp_loads_get(h->loads, 1, plan->base->seed, true, st);
    if (!whole || !check_load(whole, st)) return false;
    s->n_entries = exp_candidates(plan, h->cache, &c);
    s->entry = sim_alloc(s->n_entries ? s->n_entries : 1, sizeof *s->entry);
    for (uint32_t i = 0; i < s->n_entries; i++)
        s->entry[i] = (struct exp_entry){
            .candidate = c[i], .number = i, .own_kind = c[i].gpu == own, .request_rate = rate_of(whole)};
    free(c);
    return s->n_entries ||
           sim_fail(
               st, "%s: search: no tensor_parallel fits a server of %u GPUs, expected one of at most so many",
               plan->file[0] ? plan->file : "plan", plan->gpus_per_server);
}

static void forget(struct exp_search *s, uint32_t i)
{
    struct exp_entry moved = s->entry[i];
    s->n_finalists--;
    memmove(&s->entry[i], &s->entry[i + 1], (s->n_finalists - i) * sizeof moved);
    s->entry[s->n_finalists] = moved;
}

/* Those that hold on no number of replicas once errors are drawn are no finalists; the others stand by cost. */
static bool settle(struct exp_hunters *h, struct exp_search *s, struct sim_status *st)
{
    for (uint32_t i = s->n_finalists; i-- > 0;)
        if (s->entry[i].fate == EXP_FINALIST) {
            s->entry[i].cost_estimate = exp_cheapest(h->plan, h->prices, &s->entry[i], st);
            if (isnan(s->entry[i].cost_estimate)) return false;
        } else {
            forget(s, i);
        }
    qsort(s->entry, s->n_finalists, sizeof *s->entry, by_cost);
    s->baseline = UINT32_MAX;
    for (uint32_t i = 0; i < s->n_finalists; i++)
        if (s->entry[i].is_baseline) s->baseline = i;
    return true;
}

/* Where it can change the decision. */
static bool check_fresh(struct exp_hunters *h, struct exp_search *s, const struct exp_search_options *o,
                        struct sim_status *st)
{
    static const double NEAR = 1.1; /* of the cheapest's cost */
    struct exp_progress progress = exp_progress_begin("verifying with fresh seeds");
    bool ok = true;
    for (uint32_t i = 0; ok && i < s->n_finalists; i++) {
        struct exp_entry *e = &s->entry[i];
        uint64_t before = e->n_runs;
        e->checked = e->is_baseline || e->cost_estimate <= NEAR * s->entry[0].cost_estimate;
        if (e->checked) ok = exp_verify_fresh(h, e, o, st);
        s->n_runs += e->n_runs - before;
        exp_progress_show(&progress, (i + 1.0) / s->n_finalists);
    }
    exp_progress_end(&progress);
    return ok;
}

bool exp_search_run(const struct exp_plan *plan, const struct mdl_prices *prices, struct exp_cache *cache,
                    struct exp_loads *loads, const struct exp_search_options *options, struct exp_search *out,
                    struct sim_status *st)
{
    struct exp_hunters h = {.plan = plan, .prices = prices, .cache = cache, .loads = loads};
    *out = (struct exp_search){.baseline = UINT32_MAX};
    double begin_s = exp_clock_s();
    bool ok = make_entries(&h, out, st) && bound_costs(&h, out, st) &&
              search_all(&h, out, 0, options->n_threads, st) &&
              (!options->deep || search_deep(&h, out, options->n_threads, st));
    if (ok) choose_finalists(plan, out);
    out->search_s = exp_clock_s() - begin_s;
    ok = ok && exp_verify_finalists(&h, out, options, st) && settle(&h, out, st) &&
         check_fresh(&h, out, options, st);
    if (ok && out->n_finalists == 0) exp_find_relaxation(&h, out);
    out->wall_s = exp_clock_s() - begin_s;
    if (!ok) exp_search_fini(out);
    return ok;
}

void exp_search_fini(struct exp_search *s)
{
    free(s->entry);
    free(s->variants);
    *s = (struct exp_search){0};
}
