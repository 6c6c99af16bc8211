/* One point of a sweep, from what all points share. */
#include "experiments/study/sweep_parts.h"

#include <stdio.h>
#include <stdlib.h>

bool exp_sweep_parts_open(struct exp_sweep_parts *p, struct sim_status *st)
{
    const char *prices = exp_study_prices(p->study);
    if (!(p->cache = exp_cache_new(st))) return false;
    exp_cache_share_costs(p->cache);
    return (p->prices = exp_study_load_prices(p->cache, prices, st)) &&
           (p->hasher = exp_hasher_new(p->cache, prices, st));
}

void exp_sweep_parts_close(struct exp_sweep_parts *p)
{
    exp_hasher_free(p->hasher);
    free(p->prices);
    exp_cache_free(p->cache);
}

uint64_t exp_sweep_n_places(const struct exp_sweep_parts *p)
{
    uint64_t n = exp_study_n_points(p->study), before = p->o->shard - 1;
    return n > before ? (n - before - 1) / p->o->n_shards + 1 : 0;
}

uint64_t exp_sweep_point_at(const struct exp_sweep_parts *p, uint64_t place)
{
    return place * p->o->n_shards + p->o->shard - 1;
}

bool exp_sweep_has_room(const struct exp_sweep_parts *p, struct sim_status *st)
{
    uint64_t n = exp_sweep_n_places(p);
    return n <= EXP_SWEEP_MAX_POINTS ||
           sim_fail_as(st, SIM_EXIT_USAGE,
                       "%s: %llu points, expected at most %d in one run; take a part with --shard 1/%llu",
                       exp_study_name(p->study), (unsigned long long)n, EXP_SWEEP_MAX_POINTS,
                       (unsigned long long)(n / EXP_SWEEP_MAX_POINTS + 1));
}

bool exp_sweep_name(const struct exp_sweep_parts *p, uint64_t i, struct exp_scenario *room,
                    struct exp_point_result *r)
{
    struct sim_status st = {0};
    *r = (struct exp_point_result){.index = i};
    if (exp_study_scenario(p->study, i, room, &st) &&
        exp_point_keys(p->hasher, room, exp_study_replications(p->study), r->key, r->setup, &st))
        return true;
    r->key[0] = r->setup[0] = '\0';
    r->state = EXP_POINT_FAILED;
    snprintf(r->why, sizeof r->why, "%s", st.message);
    return false;
}

char *exp_sweep_settings(const struct exp_sweep_parts *p, uint64_t i)
{
    struct exp_study_point changes;
    exp_study_point(p->study, i, &changes);
    return exp_study_settings_json(&changes);
}

/* Its key is taken again: a file that changed since points were looked up fails them, and nothing is stored under what it
 * was. */
void exp_sweep_compute(const struct exp_sweep_parts *p, uint64_t i, struct exp_scenario *room,
                       struct exp_point_result *r)
{
    if (exp_sweep_name(p, i, room, r)) {
        const struct exp_point_job job = {room, p->cache, p->prices, exp_study_replications(p->study)};
        exp_point_compute(&job, r);
    }
    r->settings = exp_sweep_settings(p, i);
}
