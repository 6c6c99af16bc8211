/* From a scenario's workload to the requests that the simulator takes: a trace read (and scaled), or an open
 * or closed loop made to order; service classes assigned, overlong requests clipped when the scenario says
 * so. The requests of an unchanged trace are borrowed from the cache, so that a study over one trace holds it
 * once. */
#ifndef KVSIM_EXPERIMENTS_WORKLOAD_H
#define KVSIM_EXPERIMENTS_WORKLOAD_H

#include "experiments/cache.h"
#include "experiments/notes.h"
#include "traces/info.h"

struct exp_workload {
    const struct sim_request *requests; /* sorted by arrival; the order of `trace` */
    uint64_t n_requests;
    const struct trc_trace *trace; /* ids and side columns of the requests */
    uint64_t n_clipped;            /* requests that workload.overlong shortened */
    bool scaled;                   /* workload.multiply changed the trace: before and after hold */
    struct trc_info before, after;
    struct sim_request *own_requests;
    struct trc_trace *own_trace;
};

/* classes: those of exp_scenario_classes. False with one line in st; then nothing needs freeing. */
bool exp_workload_init(struct exp_workload *w, const struct exp_scenario *s, struct exp_cache *cache,
                       struct exp_notes *notes, struct sim_status *st);
/* The same requests without owning them; the other one lives longer. */
struct exp_workload exp_workload_borrow(const struct exp_workload *w);
void exp_workload_fini(struct exp_workload *w);

/* Shortens requests above max_model_len as workload.overlong says; `reject` leaves them to the simulator. */
void exp_workload_clip(struct exp_workload *w, enum exp_overlong how, uint32_t max_model_len);

#endif
