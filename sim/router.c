#include "sim/router.h"

#include "sim/cluster_state.h"
#include "sim/random.h"

#include <string.h>

static uint32_t round_robin(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    (void)index;
    return (uint32_t)(c->router_turn % c->n_replicas);
}

static uint32_t at_random(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    double u = sim_random_unit(c->config->seed, sim_stream("router"), index);
    return (uint32_t)(u * c->n_replicas);
}

static uint32_t least_outstanding(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    (void)index;
    uint32_t best = 0;
    for (uint32_t i = 1; i < c->n_replicas; i++)
        if (sim_replica_outstanding(&c->replicas[i]) < sim_replica_outstanding(&c->replicas[best])) best = i;
    return best;
}

static double memory_share(const struct sim_replica *r)
{
    return (double)(sim_replica_used_blocks(r) + r->waiting_blocks) / (double)r->pool.n_blocks;
}

static uint32_t min_memory(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)r;
    (void)index;
    uint32_t best = 0;
    for (uint32_t i = 1; i < c->n_replicas; i++)
        if (memory_share(&c->replicas[i]) < memory_share(&c->replicas[best])) best = i;
    return best;
}

/* The fleets pinned to the class; without any, those pinned to none; without any of these, all. */
static bool serves(const struct sim_cluster *c, uint32_t replica, uint16_t slo_class)
{
    uint64_t bit = (uint64_t)1 << slo_class;
    bool pinned = false, unpinned = false;
    for (uint32_t f = 0; f < c->config->n_fleets; f++) {
        pinned |= (c->config->fleets[f].slo_class_mask & bit) != 0;
        unpinned |= c->config->fleets[f].slo_class_mask == 0;
    }
    uint64_t mask = c->config->fleets[c->replicas[replica].fleet].slo_class_mask;
    return pinned ? (mask & bit) != 0 : !unpinned || mask == 0;
}

static uint32_t by_class(struct sim_cluster *c, const struct sim_request *r, uint64_t index)
{
    (void)index;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < c->n_replicas; i++) {
        if (!serves(c, i, r->slo_class)) continue;
        if (best == UINT32_MAX ||
            sim_replica_outstanding(&c->replicas[i]) < sim_replica_outstanding(&c->replicas[best]))
            best = i;
    }
    return best;
}

static const struct sim_router routers[] = {
    {"round_robin", "each in turn", false, round_robin},
    {"random", "uniformly at random, by the seed", false, at_random},
    {"least_outstanding", "fewest requests running and waiting", true, least_outstanding},
    {"min_memory", "smallest share of KV blocks in use or needed by waiting prompts", true, min_memory},
    {"by_class", "the fleet pinned to the request's class, there the fewest outstanding", true, by_class},
};

size_t sim_router_count(void)
{
    return sizeof routers / sizeof *routers;
}

const struct sim_router *sim_router_at(size_t i)
{
    return &routers[i];
}

const struct sim_router *sim_router_find(const char *name)
{
    for (size_t i = 0; i < sim_router_count(); i++)
        if (strcmp(routers[i].name, name) == 0) return &routers[i];
    return NULL;
}
