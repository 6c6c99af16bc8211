#include "models/strategies/adaptive.h"

#include <math.h>

#include "models/strategies/parts.h"

static const double COPY_S = 1e-6, SYNC_S = 10e-6, SELECT_LAYER_S = 10e-6, COMPUTE_S = 20e-3;
static const uint32_t EVERY[] = {16, 8, 4, 2, 1};

static struct mdl_kv_use with(const struct mdl_kv_use *u, struct mdl_adaptive_setting s)
{
    struct mdl_kv_use set = *u;
    set.value[MDL_KV_POLICY] = 0;
    set.value[MDL_KV_PREFETCH] = s.prefetch_pages;
    set.value[MDL_KV_CORRECT_EVERY] = s.correction_every;
    return set;
}

static struct mdl_kv_decode decode_of(const struct mdl_kv_use *u)
{
    struct mdl_kv_decode d;
    u->strategy->decode(u, &d);
    return d;
}

static struct mdl_kv_use at_rates(const struct mdl_kv_use *u, const struct mdl_adaptive_seen *seen)
{
    struct mdl_kv_use set = *u;
    set.value[MDL_KV_POLICY] = 0;
    set.value[MDL_KV_MISS] = seen->miss_rate;
    set.value[MDL_KV_CORRECTION] = seen->correction_rate;
    return set;
}

/* Shares of a step's computation that one copy and one sync take. */
struct unit_cost {
    double copy, sync, select;
};

static double per(double share, double n)
{
    return n > 0 ? share / n : 0;
}

static double step_frac(const struct mdl_kv_use *u, struct unit_cost cost)
{
    struct mdl_kv_decode d = decode_of(u);
    struct sim_recall r = {.when = d.when,
                           .n_layers = d.recall_layers,
                           .submit_s = d.up_copies * cost.copy,
                           .duplex = 2,
                           .sync_s = (d.n_sync + d.n_sync_seq) * cost.sync,
                           .correct_frac = d.correct_frac,
                           .correct_share = d.correct_share,
                           .correct_select_s = cost.select};
    return sim_recall_sum_s(sim_recall_sum(&r, (struct sim_recall_draw){1, 1}), 1);
}

static uint32_t steps_between(double correction_rate)
{
    uint32_t i = 0;
    while (EVERY[i] > 1 && (1 - 1.0 / EVERY[i]) * correction_rate > MDL_ADAPTIVE_MISSED) i++;
    return EVERY[i];
}

/* As many pages as the budget itself holds. */
static uint32_t most_pages(const struct mdl_kv_use *u)
{
    return (uint32_t)(u->value[MDL_KV_BUDGET] / u->value[MDL_KV_PAGE]);
}

static double with_pages(const struct mdl_kv_use *u, struct unit_cost cost, struct mdl_adaptive_setting s,
                         uint32_t pages)
{
    s.prefetch_pages = pages;
    struct mdl_kv_use set = with(u, s);
    return step_frac(&set, cost);
}

/* 0, 1, 2, 4, ... pages: the fewest that come close to the best. */
static uint32_t pages_ahead(const struct mdl_kv_use *u, struct unit_cost cost, struct mdl_adaptive_setting s)
{
    double best = with_pages(u, cost, s, 0);
    for (uint32_t pages = 1; pages <= most_pages(u); pages *= 2)
        best = fmin(best, with_pages(u, cost, s, pages));
    uint32_t fewest = 0;
    while (with_pages(u, cost, s, fewest) > best + MDL_ADAPTIVE_GAIN) fewest = fewest ? 2 * fewest : 1;
    return fewest;
}

struct mdl_adaptive_setting mdl_adaptive_choose(const struct mdl_kv_use *u,
                                                const struct mdl_adaptive_seen *seen)
{
    struct mdl_adaptive_setting best = {0, 1};
    if (!mdl_kv_on(u, MDL_KV_SPECULATIVE)) return best;
    struct mdl_kv_use now = at_rates(u, seen);
    struct mdl_kv_decode d = decode_of(&now);
    struct unit_cost cost = {per(seen->link_busy_frac, d.up_copies),
                             per(seen->sync_frac, d.n_sync + d.n_sync_seq), seen->select_frac};
    if (mdl_kv_on(u, MDL_KV_TAU)) best.correction_every = steps_between(seen->correction_rate);
    best.prefetch_pages = pages_ahead(&now, cost, best);
    return best;
}

struct mdl_adaptive_seen mdl_adaptive_declared(const struct mdl_kv_use *u)
{
    struct mdl_adaptive_seen seen = {.miss_rate = u->value[MDL_KV_MISS],
                                     .correction_rate = u->value[MDL_KV_CORRECTION]};
    struct mdl_kv_use set = at_rates(u, &seen);
    struct mdl_kv_decode d = decode_of(&set);
    seen.link_busy_frac = d.up_copies * COPY_S / COMPUTE_S;
    seen.sync_frac = (d.n_sync + d.n_sync_seq) * SYNC_S / COMPUTE_S;
    seen.select_frac = d.recall_layers * SELECT_LAYER_S / COMPUTE_S;
    return seen;
}

struct mdl_kv_use mdl_adaptive_settled(const struct mdl_kv_use *u)
{
    if (!mdl_kv_on(u, MDL_KV_POLICY)) return *u;
    struct mdl_adaptive_seen seen = mdl_adaptive_declared(u);
    return with(u, mdl_adaptive_choose(u, &seen));
}
