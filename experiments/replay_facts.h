/* What kvbench replay wrote beside its measurements (FILE.csv.yaml): which plan, model and kind of KV they are of. A
 * measurement without that file is taken at its word. */
#ifndef KVSIM_EXPERIMENTS_REPLAY_FACTS_H
#define KVSIM_EXPERIMENTS_REPLAY_FACTS_H

#include "experiments/setup.h"

/* False with one line in st where the file contradicts the plan or what the scenario was set up to. */
bool exp_replay_check(const char *measured_path, const char *plan_path, const struct exp_setup *u,
                      struct sim_status *st);

#endif
