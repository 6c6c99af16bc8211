/* The engine block of a fleet resolved: what the fleet says, else the scenario, else the engine version's
 * default for that GPU; each remembered as given or defaulted, so that `run` can show both. */
#ifndef KVSIM_EXPERIMENTS_ENGINE_KEYS_H
#define KVSIM_EXPERIMENTS_ENGINE_KEYS_H

#include "experiments/setup.h"

struct exp_engine_choice {
    const struct exp_engine_keys *own, *all; /* of the fleet, of the scenario */
    uint32_t max_num_seqs, max_num_batched_tokens, max_model_len;
    uint64_t num_gpu_blocks_override;
    bool max_model_len_given, enforce_eager, linear;
    enum sim_policy policy;
    enum sim_preemption preemption;
};

/* Fills f->engine (the version's file with the scenario's overrides) and *out. */
bool exp_engine_choose(struct exp_fleet_setup *f, const struct exp_scenario *s, uint32_t fleet,
                       struct exp_cache *cache, struct exp_engine_choice *out, struct sim_status *st);

/* Fills f->settings once memory and max_model_len are known. */
void exp_engine_describe(struct exp_fleet_setup *f, const struct exp_engine_choice *e);

#endif
