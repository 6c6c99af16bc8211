/* What `kvsim run` shows a person: the scenario as it was resolved, memory, service levels, latencies, and
 * where the numbers come from. 80 columns wide where the values allow it, readable without colour. */
#ifndef KVSIM_EXPERIMENTS_PRINT_RUN_H
#define KVSIM_EXPERIMENTS_PRINT_RUN_H

#include "experiments/run.h"

#include <stdio.h>

/* `figures` are the run's own or the bands of its replications. */
void exp_print_run(const struct exp_scenario *s, const struct exp_run *run, const struct exp_figures *figures,
                   FILE *out);

/* "latencies depend on how long the trace is ..." or NULL when the load is stable. */
const char *exp_load_warning(const struct exp_figures *f);

/* "TTFT 500, TPOT 50", or "none". */
void exp_limits_text(const struct sim_slo *slo, char *text, size_t size);

#endif
