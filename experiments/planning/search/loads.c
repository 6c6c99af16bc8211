#include "experiments/planning/search/loads.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

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
    struct load **at;
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
    free(l->at);
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
    struct load *kept = sim_alloc(1, sizeof *kept);
    *kept = load;
    l->at = sim_realloc(l->at, l->n + 1, sizeof *l->at);
    return l->at[l->n++] = kept;
}

/* All of the plan's load, so many times, with classes assigned. */
static bool make_whole(struct exp_loads *l, struct load *load, struct sim_status *st)
{
    struct exp_notes ignored = {0};
    struct exp_scenario *s = exp_scenario_copy(l->plan->base);
    s->workload.multiply *= load->factor;
    s->seed = load->seed;
    load->whole = true;
    bool ok = exp_workload_init(&load->w, s, l->cache, &ignored, st);
    free(s);
    return ok;
}

/* Its busiest stretch: requests of the whole, which lives as long. */
static struct load stretch_of(const struct load *whole)
{
    struct load load = {.factor = whole->factor, .seed = whole->seed, .w = exp_workload_borrow(&whole->w)};
    struct exp_stretch s = exp_busiest_stretch(whole->w.requests, whole->w.n_requests, EXP_WINDOW_REQUESTS);
    load.w.requests += s.first;
    load.w.n_requests = s.n;
    return load;
}

/* The same without the whole, of which nobody has asked for more: that may be a hundred times as long. */
static struct load cut_out(struct load *whole)
{
    struct load load = stretch_of(whole);
    size_t bytes = load.w.n_requests * sizeof *load.w.requests;
    load.w.own_requests = sim_alloc(load.w.n_requests, sizeof *load.w.requests);
    load.w.requests = memcpy(load.w.own_requests, load.w.requests, bytes);
    load.w.trace = NULL;
    exp_workload_fini(&whole->w);
    return load;
}

static struct load *make(struct exp_loads *l, double factor, uint64_t seed, bool whole, struct sim_status *st)
{
    struct load new = {.factor = factor, .seed = seed};
    struct load *all = find(l, factor, seed, true);
    if (!all) {
        if (!make_whole(l, &new, st)) return NULL;
        if (!whole && new.w.n_requests > 2 * EXP_WINDOW_REQUESTS) return keep(l, cut_out(&new));
        all = keep(l, new);
    }
    return whole ? all : keep(l, stretch_of(all));
}

const struct exp_workload *exp_loads_get(struct exp_loads *l, double factor, uint64_t seed, bool whole,
                                         struct sim_status *st)
{
    pthread_mutex_lock(&l->lock);
    struct load *found = find(l, factor, seed, whole);
    if (!found) found = make(l, factor, seed, whole, st);
    pthread_mutex_unlock(&l->lock);
    return found ? &found->w : NULL;
}
