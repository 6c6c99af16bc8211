/* A scenario as a file: every key that differs from its default, by the table of keys, so that it reads back equal from any
 * folder: paths are written absolute. Keys of loads that the scenario does not have are left out. */
#ifndef KVSIM_EXPERIMENTS_SCENARIO_OUT_H
#define KVSIM_EXPERIMENTS_SCENARIO_OUT_H

#include "experiments/scenario.h"

#include <stdio.h>

/* False with one line in st when a path cannot be made absolute; what reached `out` is then to be dropped. Errors of the
 * stream are the caller's to look at. */
bool exp_scenario_write(const struct exp_scenario *s, FILE *out, struct sim_status *st);

/* Does the key belong to a load that this scenario does not have? Then it says nothing. */
struct exp_key;
bool exp_scenario_ignores(const struct exp_scenario *s, const struct exp_key *key);

#endif
