#include <math.h>
#include <stdio.h>

#include "experiments/planning/search/search_parts.h"

enum { MAX_TRIED = 64 };

struct tried {
    uint32_t n;
    struct exp_trial_point point;
};

/* What is known of an entry while its number is searched. */
struct hunt {
    const struct exp_hunters *h;
    struct exp_entry *e;
    struct exp_trial *trial;
    struct tried tried[MAX_TRIED];
    uint32_t n_tried;
    struct sim_status st;
};

static const struct exp_trial_point *try_number(struct hunt *x, uint32_t n)
{
    for (uint32_t i = 0; i < x->n_tried; i++)
        if (x->tried[i].n == n) return &x->tried[i].point;
    struct tried *t = &x->tried[x->n_tried < MAX_TRIED ? x->n_tried++ : MAX_TRIED - 1];
    uint32_t serving;
    *t = (struct tried){.n = n};
    if (!exp_serving(x->h->plan, &x->e->candidate, n, &serving)) {
        t->point.miss = 1;
        t->point.gpu_busy = 1;
        t->point.load_state = SIM_OVERLOADED;
        return &t->point;
    }
    exp_trial_run(x->trial, n, 1 + x->h->plan->headroom, x->h->plan->base->seed, false, &t->point, &x->st);
    return &t->point;
}

static bool meets(struct hunt *x, uint32_t n)
{
    return try_number(x, n)->met;
}

/* Did more replicas help? Where nearly all miss, latencies show it before misses do. */
static bool helped(const struct exp_trial_point *now, const struct exp_trial_point *before)
{
    static const double LESS = 0.95;
    return now->load_state == SIM_OVERLOADED || now->miss < LESS * before->miss ||
           now->ttft_p99_s < LESS * before->ttft_p99_s || now->tpot_p99_s < LESS * before->tpot_p99_s;
}

/* Upwards from n, which fails, to a number that meets; 0 when more replicas do not help any more: twice in a row a load
 * that the fleet keeps up with is served no better than before. `below` gets the last that failed. */
static uint32_t climb(struct hunt *x, uint32_t n, double by, uint32_t *below)
{
    struct exp_trial_point last = {.miss = 2};
    for (int in_vain = 0; in_vain < 2 && n < EXP_MOST_REPLICAS && !x->st.message[0]; by = fmax(by, 1.5)) {
        const struct exp_trial_point *p = try_number(x, n);
        in_vain = helped(p, &last) ? 0 : in_vain + 1;
        last = *p;
        *below = n;
        n = (uint32_t)fmin(fmax(ceil(n * by), n + 1), EXP_MOST_REPLICAS);
        if (meets(x, n)) return n;
    }
    return 0;
}

/* Downwards from n, which meets, in growing steps to one that fails; `floor` when all meet. */
static uint32_t descend(struct hunt *x, uint32_t *n, uint32_t step, uint32_t floor)
{
    while (*n > floor) {
        uint32_t lower = *n > floor + step ? *n - step : floor;
        if (!meets(x, lower)) return lower;
        *n = lower;
        step *= 2;
    }
    return floor;
}

/* `hint`: what a candidate much like this one took; 0 = none. */
static void find_number(struct hunt *x, uint32_t hint)
{
    struct exp_entry *e = x->e;
    uint32_t floor = e->candidate.keeps_have ? e->at_least : (e->at_least ? e->at_least : 1);
    uint32_t n = hint > floor ? hint : floor + floor / 2, below = floor;
    if (n > EXP_MOST_REPLICAS) n = EXP_MOST_REPLICAS;
    bool found = true;
    if (meets(x, n)) {
        below = descend(x, &n, hint ? 1 + n / 32 : 1 + n / 4, floor);
    } else {
        uint32_t high = climb(x, n, hint ? 1.06 : 1.5, &below);
        found = high > 0;
        if (found) n = high;
    }
    while (found && n > below + 1) {
        uint32_t middle = below + (n - below) / 2;
        if (meets(x, middle))
            n = middle;
        else
            below = middle;
    }
    e->fate = found ? EXP_SEARCHED : EXP_NEVER_MEETS;
    e->n_replicas = found ? n : x->tried[x->n_tried - 1].n;
    e->point = *try_number(x, e->n_replicas);
    if (!found) exp_say_what_breaks(e, exp_trial_setup(x->trial));
}

/* Answers that fail more often than a class allows. */
static bool quality_allows(const struct exp_plan *plan, struct exp_entry *e)
{
    double failing = e->rates.newly_failing;
    for (uint32_t c = 0; c < plan->n_classes; c++) {
        double most = plan->class[c].max_failure_rate;
        if (isnan(most) || !(failing > most)) continue;
        snprintf(e->why_not, sizeof e->why_not,
                 "quality: %.2g %% of answers newly fail, class %s allows %.2g %%", 100 * failing,
                 plan->class[c].name, 100 * most);
        return false;
    }
    return true;
}

static bool look_up_quality(struct hunt *x)
{
    const struct exp_setup *u = exp_trial_setup(x->trial);
    const struct exp_plan *plan = x->h->plan;
    x->e->quality = exp_cache_quality(x->h->cache, &u->fleets[u->n_fleets - 1].kv.use, plan->quality, &x->st);
    if (!x->e->quality) return false;
    x->e->rates = mdl_quality_rates(x->e->quality, plan->task_mix.n ? &plan->task_mix : NULL);
    return quality_allows(plan, x->e);
}

static void search_entry(const struct exp_hunters *h, struct exp_entry *e, uint32_t hint)
{
    struct hunt x = {.h = h, .e = e};
    const struct exp_trial_change change = {.lose_server = h->plan->robust};
    x.trial = exp_trial_new(h->plan, &e->candidate, h->cache, h->loads, &change, &x.st);
    if (x.trial && look_up_quality(&x)) find_number(&x, hint);
    if (x.st.message[0]) {
        snprintf(e->why_not, sizeof e->why_not, "%.*s", EXP_WHY_BYTES - 1, x.st.message);
        e->fate = EXP_CANNOT;
    }
    e->n_runs = x.n_tried;
    exp_trial_free(x.trial);
}

/* Candidates that differ in their strategy alone: what one of them takes is where the next is looked for. */
void exp_search_group(void *hunters, uint32_t i)
{
    const struct exp_hunters *h = hunters;
    uint32_t hint = 0;
    for (struct exp_entry *e = h->group[i]; e < h->group[i] + h->group_size[i]; e++) {
        if (e->fate == EXP_PRUNED) continue;
        search_entry(h, e, hint);
        if (e->fate == EXP_SEARCHED) hint = e->n_replicas;
    }
}
