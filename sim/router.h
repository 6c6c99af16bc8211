/* Which replica takes a request. A router sees the replicas' state exactly at the arrival instant; ties go to
 * the lowest replica. To add one: a function and a row in the table of router.c. */
#ifndef KVSIM_SIM_ROUTER_H
#define KVSIM_SIM_ROUTER_H

#include "sim/request.h"

#include <stdbool.h>
#include <stddef.h>

struct sim_cluster;

struct sim_router {
    const char *name;
    const char *help;
    bool reads_state; /* whether replicas must be brought to the arrival instant first */
    uint32_t (*choose)(struct sim_cluster *c, const struct sim_request *r, uint64_t index);
};

/* NULL when there is no such router. */
const struct sim_router *sim_router_find(const char *name);
size_t sim_router_count(void);
const struct sim_router *sim_router_at(size_t i);

#endif
