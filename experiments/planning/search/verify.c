#include <stdio.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/planning/search/search_parts.h"
#include "experiments/replicate.h"

enum { MOST_STEPS = 16 };

/* A finalist under verification; the panel remembers what was judged. */
struct verification {
    struct exp_panel *panel;
    struct exp_verdict_options options;
    struct sim_status *st;
    bool failed;
};

/* brief: only whether it is feasible is asked. */
static struct exp_verdict judge(struct verification *v, uint32_t n, bool brief)
{
    struct exp_verdict out = {.n_replicas = n};
    v->options.brief = brief;
    if (!v->failed) v->failed = !exp_panel_judge(v->panel, n, &v->options, &out, v->st);
    return out;
}

static bool holds(struct verification *v, uint32_t n)
{
    return judge(v, n, true).feasible;
}

/* Downwards from a number that holds to one that does not, in growing steps; `least` when all do. */
static uint32_t descend(struct verification *v, uint32_t *high, uint32_t least)
{
    uint32_t low = *high;
    for (uint32_t step = 1; low > least && holds(v, low); step *= 2) {
        *high = low;
        low = low > least + step ? low - step : least;
    }
    return low;
}

/* Upwards from one that does not hold; UINT32_MAX when none is found. */
static uint32_t ascend(struct verification *v, uint32_t *low)
{
    uint32_t high = *low, step = 1;
    for (; high < EXP_MOST_REPLICAS && !v->failed; step *= 2) {
        *low = high;
        high = high + step < EXP_MOST_REPLICAS ? high + step : EXP_MOST_REPLICAS;
        if (holds(v, high)) return high;
    }
    return UINT32_MAX;
}

/* The smallest number that holds above one that does not; UINT32_MAX when none is found. */
static uint32_t find_edge(struct verification *v, uint32_t guess, uint32_t least)
{
    uint32_t low = guess, high = guess;
    if (holds(v, guess)) {
        low = descend(v, &high, least);
        if (holds(v, low)) return low;
    } else if ((high = ascend(v, &low)) == UINT32_MAX) {
        return high;
    }
    while (high > low + 1) {
        uint32_t middle = low + (high - low) / 2;
        if (holds(v, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* Neighbours that disagree: the first number from which two in a row hold. */
static uint32_t scan_up(struct verification *v, uint32_t n)
{
    for (uint32_t i = 0; i < MOST_STEPS && !v->failed; i++, n++)
        if (holds(v, n) && holds(v, n + 1)) return n;
    return n;
}

bool exp_verify_fresh(struct exp_hunters *h, struct exp_entry *e, const struct exp_search_options *o,
                      struct sim_status *st)
{
    uint64_t seed = exp_replication_seed(o->seed, UINT32_MAX); /* of no replication before */
    struct verification v = {.options = {.load_factor = 1 + h->plan->headroom, .n_threads = o->n_threads},
                             .panel = exp_panel_new(h->plan, &e->candidate, h->cache, h->loads, seed, st),
                             .st = st};
    if (!v.panel) return false;
    if (e->n_replicas) e->fresh_below = judge(&v, e->n_replicas - 1, true);
    e->fresh_at = judge(&v, e->n_replicas, false);
    e->verified = e->fresh_at.feasible && !e->fresh_below.feasible;
    e->n_runs += exp_panel_runs(v.panel);
    exp_panel_free(v.panel);
    return !v.failed;
}

/* A number that is too small is given up as soon as that is certain; N and N + 1 run in full. */
static void take_number(struct verification *v, struct exp_entry *e, uint32_t n)
{
    if (n != UINT32_MAX && !holds(v, n + 1)) n = scan_up(v, n + 1);
    if (n == UINT32_MAX || !holds(v, n)) {
        e->fate = EXP_NEVER_MEETS;
        snprintf(e->why_not, sizeof e->why_not,
                 "meets the service levels as predicted, on no number of replicas once errors are drawn");
        return;
    }
    e->fate = EXP_FINALIST;
    e->n_replicas = n;
    e->at = judge(v, n, false);
    e->above = judge(v, n + 1, false);
    if (n) e->below = judge(v, n - 1, true);
}

static bool verify(struct exp_hunters *h, struct exp_entry *e, const struct exp_search_options *o,
                   struct sim_status *st)
{
    struct verification v = {.options = {.load_factor = 1 + h->plan->headroom, .n_threads = o->n_threads},
                             .st = st};
    v.panel = exp_panel_new(h->plan, &e->candidate, h->cache, h->loads, o->seed, st);
    if (!v.panel) return false;
    uint32_t least = e->candidate.keeps_have ? 0 : 1;
    take_number(&v, e, find_edge(&v, e->n_replicas > least ? e->n_replicas : least, least));
    e->n_runs += exp_panel_runs(v.panel);
    exp_panel_free(v.panel);
    return !v.failed;
}

bool exp_verify_finalists(struct exp_hunters *h, struct exp_search *s,
                          const struct exp_search_options *options, struct sim_status *st)
{
    struct exp_progress progress = exp_progress_begin("verifying");
    bool ok = true;
    for (uint32_t i = 0; ok && i < s->n_finalists; i++) {
        uint64_t before = s->entry[i].n_runs;
        ok = verify(h, &s->entry[i], options, st);
        s->n_runs += s->entry[i].n_runs - before;
        exp_progress_show(&progress, (double)(i + 1) / s->n_finalists);
    }
    exp_progress_end(&progress);
    return ok;
}
