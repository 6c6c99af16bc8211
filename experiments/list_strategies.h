/* `kvsim list strategies`: what each KV-cache strategy is, and of one every parameter with its default, the range in
 * which sources lie, and who says so. All of it is read from the strategies' own tables. */
#ifndef KVSIM_EXPERIMENTS_LIST_STRATEGIES_H
#define KVSIM_EXPERIMENTS_LIST_STRATEGIES_H

#include "models/strategy.h"

#include <jansson.h>
#include <stdbool.h>

/* One row per strategy; the caller's. */
json_t *exp_strategy_rows(void);

/* One strategy with its parameters, as text or as one JSON object on stdout. */
bool exp_strategy_show(const char *name, bool as_json, struct sim_status *st);

/* A parameter's value as a scenario says it; the caller's. */
json_t *exp_parameter_json(enum mdl_kv_key key, double value);

#endif
