/* The two halves of a run's document: of_run.c says what came out, of_run_machine.c what was simulated. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_RUN_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_RUN_PARTS_H

#include "experiments/report/of_parts.h"
#include "experiments/results.h"

/* "8 x H100 SXM, TP 2 + ..."; free with free(). */
char *exp_report_fleets(const struct exp_setup *u);
/* "offload + full": each once; free with free(). */
char *exp_report_strategies(const struct exp_setup *u);

/* Where the time goes, memory, fleets and their settings. */
void exp_report_run_machine(json_t *doc, const struct exp_results *r);

#endif
