/* Executing a plan: a dry pass finds out what its largest steps need, then every distinct size of step is run once
 * on one layer to warm up, then whole passes over the plan are timed, step by step. */
#ifndef KVSIM_KERNELS_KVBENCH_REPLAY_H
#define KVSIM_KERNELS_KVBENCH_REPLAY_H

#include "kernels/kvbench/engine.h"

struct kvb_replay_options {
    struct kvb_engine_options engine;
    uint32_t repeats;
    uint64_t max_steps;
};

/* One executed step; repeat from 0. False stops the replay without an error. */
typedef bool kvb_replay_fn(void *user, const struct kvb_plan_step *step, const struct kvb_batch *b,
                           uint32_t repeat, const struct kvb_step_time *time);

struct kvb_replay_facts {
    size_t n_steps; /* of the plan that are executed: at most max_steps, and those with work */
    uint32_t distinct_layers, n_pages;
    uint64_t bytes;
};

/* Calls on_step after each. False with one line when the plan cannot be executed; facts are filled before the first
 * step. */
bool kvb_replay(struct kb_device *d, const struct kvb_plan *plan, const struct kvb_replay_options *o,
                struct kvb_replay_facts *facts, kvb_replay_fn *on_step, void *user, struct kb_error *err);

#endif
