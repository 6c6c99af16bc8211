/* The KV block of a fleet resolved: strategy and parameters, pages in units, the server around the GPU, output
 * lengths, and kernels measured on the card. What a complaint of models/ says of `kv.budget` is said of the key and
 * the line that gave it. */
#ifndef KVSIM_EXPERIMENTS_KV_SETUP_H
#define KVSIM_EXPERIMENTS_KV_SETUP_H

#include "experiments/engine_keys.h"

/* Puts file and line of the key that a complaint about a fleet names, and the fleet, in front of it. False. */
bool exp_blame_fleet(const struct exp_scenario *s, uint32_t fleet, const struct sim_status *why,
                     struct sim_status *st);

/* Fills f->kv; f's GPU, parallelism and engine are known, its memory is not. */
bool exp_kv_choose(struct exp_setup *u, uint32_t fleet, const struct exp_scenario *s, struct exp_cache *cache,
                   struct sim_status *st);

/* The longest request that both memories hold while its prompt is computed: the model's limit lowered to that, with a
 * note; a limit that the user gave is refused instead. */
bool exp_kv_choose_model_len(struct exp_setup *u, uint32_t fleet, struct exp_engine_choice *e,
                             struct sim_status *st);

/* Is the strategy `full`, which the simulator has by itself? */
bool exp_kv_is_full(const struct exp_fleet_setup *f);

/* What the simulator is told of it. */
void exp_kv_fleet(const struct exp_fleet_setup *f, const struct exp_fleet_keys *k, struct sim_fleet *out);

/* Bytes of a request of the load's mean length, once the load is known. */
void exp_kv_describe(struct exp_setup *u, uint32_t fleet);

#endif
