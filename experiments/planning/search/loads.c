#include "experiments/planning/search/loads.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "sim/check.h"
#include "sim/memory.h"

enum { MAX_LOADS = 512 };

/* A load under its arguments; made by whom asks first, while others wait. */
struct load {
    double factor;
    uint64_t seed;
    bool whole;
    struct exp_workload w;
};

struct exp_loads {
    const struct exp_plan *plan;
    struct exp_cache *cache;
    pthread_mutex_t lock;
    struct load *at[MAX_LOADS];
    uint32_t n;
};

struct exp_loads *exp_loads_new(const struct exp_plan *plan, struct exp_cache *cache)
{
    struct exp_loads *l = sim_alloc(1, sizeof *l);
    l->plan = plan;
    l->cache = cache;
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void exp_loads_free(struct exp_loads *l)
{
    if (!l) return;
    for (uint32_t i = 0; i < l->n; i++) {
        exp_workload_fini(&l->at[i]->w);
        free(l->at[i]);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

struct exp_stretch exp_busiest_stretch(const struct sim_request *r, uint64_t n, uint64_t least)
{
    struct exp_stretch best = {0, n};
    double tokens = 0, most = -1;
    if (n <= least || least < 2) return best;
    for (uint64_t i = 0; i < n; i++) {
        tokens += (double)r[i].input_tokens + r[i].output_tokens;
        if (i + 1 < least) continue;
        uint64_t first = i + 1 - least;
        double span_s = r[i].arrival_s - r[first].arrival_s, rate = span_s > 0 ? tokens / span_s : INFINITY;
        if (rate > most) {
            most = rate;
            best = (struct exp_stretch){first, least};
        }
        tokens -= (double)r[first].input_tokens + r[first].output_tokens;
    }
    return best;
}

static struct load *find(struct exp_loads *l, double factor, uint64_t seed, bool whole)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->at[i]->factor == factor && l->at[i]->seed == seed && l->at[i]->whole == whole) return l->at[i];
    return NULL;
}

static struct load *keep(struct exp_loads *l, struct load load)
{
    SIM_CHECK(l->n < MAX_LOADS);
    struct load *kept = sim_alloc(1, sizeof *kept);
    *kept = load;
    return l->at[l->n++] = kept;
}

/* All of the plan's load, so many times, with classes assigned. */
static struct load *make_whole(struct exp_loads *l, double factor, uint64_t seed, struct sim_status *st)
{
    struct load load = {.factor = factor, .seed = seed, .whole = true};
    struct exp_notes ignored = {0};
    struct exp_scenario *s = exp_scenario_copy(l->plan->base);
    s->workload.multiply *= factor;
    s->seed = seed;
    bool ok = exp_workload_init(&load.w, s, l->cache, &ignored, st);
    free(s);
    return ok ? keep(l, load) : NULL;
}

/* Its busiest stretch: requests of the whole, which lives as long. */
static struct load *make_stretch(struct exp_loads *l, const struct load *whole)
{
    struct load load = {.factor = whole->factor, .seed = whole->seed, .w = exp_workload_borrow(&whole->w)};
    struct exp_stretch s = exp_busiest_stretch(whole->w.requests, whole->w.n_requests, EXP_WINDOW_REQUESTS);
    load.w.requests += s.first;
    load.w.n_requests = s.n;
    return keep(l, load);
}

const struct exp_workload *exp_loads_get(struct exp_loads *l, double factor, uint64_t seed, bool whole,
                                         struct sim_status *st)
{
    pthread_mutex_lock(&l->lock);
    struct load *all = find(l, factor, seed, true), *found = find(l, factor, seed, whole);
    if (!all) all = make_whole(l, factor, seed, st);
    if (!found) found = !all || whole ? all : make_stretch(l, all);
    pthread_mutex_unlock(&l->lock);
    return found ? &found->w : NULL;
}
