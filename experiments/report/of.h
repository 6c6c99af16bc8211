/* Documents of the commands' results: what is worth reading first comes first, then figures with their intervals, pictures,
 * evidence, and what is needed to make it again (scenario, versions, hashes). Each is a function of results that are there;
 * nothing is simulated here. The caller's; exp_doc_finish has been called. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_H
#define KVSIM_EXPERIMENTS_REPORT_OF_H

#include "experiments/compare.h"
#include "experiments/planning/decision.h"
#include "experiments/report/curves.h"
#include "experiments/report/of_study.h"
#include "experiments/results.h"
#include "experiments/validate_out.h"

json_t *exp_report_of_run(const struct exp_results *r, struct sim_status *st);
json_t *exp_report_of_compare(const struct exp_compare *c, const struct exp_scenario *s,
                              struct sim_status *st);
json_t *exp_report_of_plan(const struct exp_decision *d, struct sim_status *st);
json_t *exp_report_of_validation(const struct exp_validated *v, struct sim_status *st);

/* ---- parts that several have ---- */

/* How to make it again: the program's and model's version, the scenario whole (as a file reads it), commands. */
void exp_report_reproduce(json_t *doc, const struct exp_scenario *s, const char *command,
                          struct sim_status *st);

#endif
