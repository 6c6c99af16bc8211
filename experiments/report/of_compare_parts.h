/* The pictures of a comparison's document, each strategy that runs being a series, a bar or a point of them. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_COMPARE_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_COMPARE_PARTS_H

#include "experiments/compare.h"
#include "experiments/report/of_parts.h"

void exp_report_compare_charts(json_t *doc, const struct exp_compare *c);

/* Three lines: who wins and by how much, does it meet the service levels, what it does to answers. Then what changes. */
void exp_report_compare_answer(json_t *doc, const struct exp_compare *c, const struct exp_scenario *scenario);
/* Why: the command's paragraph, and how it was simulated. */
void exp_report_compare_reading(json_t *doc, const struct exp_compare *c);

#endif
