#include "experiments/quality/guard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

enum { MOST_EXACT = 16 }; /* tasks that fail, of which all subsets are tried */

/* Rates are sums of products: a rounding error above the target meets it. */
static const double ROUNDING = 1e-12;

/* ---- the load by task ---- */

/* Which samples a rate is of. */
enum part { FIRST, SECOND, ALL, N_PARTS };

struct load {
    uint32_t task;
    double share; /* of the traffic, in any unit */
    uint64_t n[N_PARTS], negatives[N_PARTS];
};

struct loads {
    uint32_t n;
    struct load *at;
};

static bool has_samples(const struct load *l, enum part part)
{
    return l->n[part] > 0;
}

static double rate(const struct load *l, enum part part)
{
    return has_samples(l, part) ? (double)l->negatives[part] / (double)l->n[part] : 0;
}

static double share_in_mix(const struct mdl_task_mix *mix, const char *task)
{
    double share = 0;
    for (uint32_t i = 0; i < mix->n; i++)
        if (mix->at[i].share > 0 && strcmp(mix->at[i].task, task) == 0) share += mix->at[i].share;
    return share;
}

/* Every other sample of a task is of its first half: ids often follow the source that a task was made from. */
static void count_halves(const struct exp_scores *s, const struct exp_quality_result *r,
                         const struct exp_quality_options *options, struct load *of_task)
{
    for (uint32_t i = 0; i < s->n_samples; i++) {
        struct load *l = &of_task[s->sample[i].task];
        if (!exp_quality_compares(s, &r->set, options, i)) continue;
        enum part half = l->n[ALL] % 2 ? SECOND : FIRST;
        l->n[half]++;
        l->n[ALL]++;
        l->negatives[half] += r->negative[i];
        l->negatives[ALL] += r->negative[i];
    }
}

/* Tasks that have both traffic and samples. Free .at with free(). */
static struct loads loads_of(const struct exp_scores *s, const struct exp_quality_result *r,
                             const struct exp_quality_options *options, const struct mdl_task_mix *mix)
{
    struct loads loads = {.at = sim_alloc(s->n_tasks, sizeof *loads.at)};
    count_halves(s, r, options, loads.at);
    for (uint32_t t = 0; t < s->n_tasks; t++) {
        struct load l = loads.at[t];
        l.task = t;
        l.share = mix && mix->n ? share_in_mix(mix, s->task[t]) : (double)l.n[ALL];
        if (l.share > 0 && l.n[ALL]) loads.at[loads.n++] = l;
    }
    return loads;
}

static double traffic(const struct loads *loads, enum part part)
{
    double all = 0;
    for (uint32_t i = 0; i < loads->n; i++) all += has_samples(&loads->at[i], part) ? loads->at[i].share : 0;
    return all;
}

/* Newly failing answers over all, where the tasks of `guarded` (NULL = none) are kept on full KV; NaN without samples. */
static double failing(const struct loads *loads, const bool *guarded, enum part part)
{
    double sum = 0;
    for (uint32_t i = 0; i < loads->n; i++)
        if (!guarded || !guarded[i]) sum += loads->at[i].share * rate(&loads->at[i], part);
    return sum / traffic(loads, part);
}

/* ---- which tasks ---- */

struct choice {
    const struct loads *loads;
    enum part part;
    double target;
    uint32_t n, *load; /* tasks that fail, the most harmful per request first */
};

static bool meets(double failing_frac, double target)
{
    return failing_frac <= target + ROUNDING;
}

/* Insertion keeps the order of tasks with the same rate. */
static void order(struct choice *c)
{
    for (uint32_t i = 0; i < c->loads->n; i++) {
        double own = rate(&c->loads->at[i], c->part);
        uint32_t k = c->n;
        if (!(own > 0)) continue;
        for (; k > 0 && rate(&c->loads->at[c->load[k - 1]], c->part) < own; k--) c->load[k] = c->load[k - 1];
        c->load[k] = i;
        c->n++;
    }
}

static void choose_from_the_highest(const struct choice *c, bool *guarded)
{
    for (uint32_t k = 0; k < c->n && !meets(failing(c->loads, guarded, c->part), c->target); k++)
        guarded[c->load[k]] = true;
}

struct subset {
    double share, failing; /* of the guarded */
};

/* Smaller in traffic; of the same traffic, what takes away more. */
static bool is_better(const struct subset *a, const struct subset *b)
{
    double tie = ROUNDING * (a->share + b->share);
    if (fabs(a->share - b->share) > tie) return a->share < b->share;
    return a->failing > b->failing;
}

/* What each subset of the tasks that fail guards; bit k is task load[k]. Free with free(). */
static struct subset *all_subsets(const struct choice *c)
{
    struct subset *of = sim_alloc((size_t)1 << c->n, sizeof *of);
    for (uint32_t k = 0; k < c->n; k++) {
        const struct load *l = &c->loads->at[c->load[k]];
        size_t bit = (size_t)1 << k;
        for (size_t rest = 0; rest < bit; rest++)
            of[bit | rest] =
                (struct subset){of[rest].share + l->share, of[rest].failing + l->share * rate(l, c->part)};
    }
    return of;
}

static void choose_by_subsets(const struct choice *c, bool *guarded)
{
    size_t n = (size_t)1 << c->n, best = n - 1;
    struct subset *of = all_subsets(c);
    double all = traffic(c->loads, c->part), before = failing(c->loads, NULL, c->part);
    for (size_t i = 0; i < n; i++)
        if (meets(before - of[i].failing / all, c->target) && is_better(&of[i], &of[best])) best = i;
    for (uint32_t k = 0; k < c->n; k++) guarded[c->load[k]] = best >> k & 1;
    free(of);
}

/* guarded [loads->n], all false before. In *choice the tasks that fail, in order; its load is the caller's to free. */
static struct choice choose(const struct loads *loads, enum part part, double target, bool *guarded)
{
    struct choice c = {.loads = loads, .part = part, .target = target};
    c.load = sim_alloc(loads->n ? loads->n : 1, sizeof *c.load);
    order(&c);
    if (c.n <= MOST_EXACT)
        choose_by_subsets(&c, guarded);
    else
        choose_from_the_highest(&c, guarded);
    return c;
}

/* The rate on one half of what was chosen on the other. */
static double rate_elsewhere(const struct loads *loads, enum part chosen_on, double target)
{
    bool *guarded = sim_alloc(loads->n ? loads->n : 1, sizeof *guarded);
    struct choice c = choose(loads, chosen_on, target, guarded);
    double found = failing(loads, guarded, chosen_on == FIRST ? SECOND : FIRST);
    free(c.load);
    free(guarded);
    return found;
}

struct exp_guard exp_guard_tasks(const struct exp_scores *s, const struct exp_quality_result *r,
                                 const struct exp_quality_options *options, const struct mdl_task_mix *mix,
                                 double target)
{
    struct loads loads = loads_of(s, r, options, mix);
    struct exp_guard g = {.task = sim_alloc(s->n_tasks, sizeof *g.task)};
    bool *guarded = sim_alloc(s->n_tasks, sizeof *guarded);
    struct choice c = choose(&loads, ALL, target, guarded);
    for (uint32_t k = 0; k < c.n; k++) {
        const struct load *l = &loads.at[c.load[k]];
        if (!guarded[c.load[k]]) continue;
        g.task[g.n++] = l->task;
        g.share += l->share;
    }
    g.share /= traffic(&loads, ALL);
    g.rate_before = failing(&loads, NULL, ALL);
    g.rate_after = failing(&loads, guarded, ALL);
    g.rate_held_out = (rate_elsewhere(&loads, FIRST, target) + rate_elsewhere(&loads, SECOND, target)) / 2;
    g.met = meets(g.rate_after, target);
    free(c.load);
    free(guarded);
    free(loads.at);
    return g;
}

void exp_guard_fini(struct exp_guard *g)
{
    free(g->task);
    *g = (struct exp_guard){.n = 0};
}
