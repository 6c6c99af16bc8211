/* A cluster while it runs: what the event loops (cluster.c) and the routers (router.c) share. */
#ifndef KVSIM_SIM_CLUSTER_STATE_H
#define KVSIM_SIM_CLUSTER_STATE_H

#include "sim/replica.h"

struct sim_cluster {
    const struct sim_config *config;
    struct sim_arena *arena;
    struct sim_shared shared;
    struct sim_replica *replicas;
    uint32_t n_replicas;
    uint64_t router_turn;  /* requests routed so far */
    uint64_t next_request; /* the next one to arrive, or to be sent */

    /* closed loop: requests that will arrive, at most `concurrency` of them */
    struct sim_eventq arrivals;

    struct sim_hostlink *links; /* root complexes that several replicas share */
    uint32_t n_links;

    struct sim_result *result;
    double sample_every_s, next_sample_s;
    uint64_t n_arrived;
};

#endif
