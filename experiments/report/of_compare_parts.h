/* The pictures of a comparison's document, each strategy that runs being a series, a bar or a point of them. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_COMPARE_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_COMPARE_PARTS_H

#include "experiments/compare.h"
#include "experiments/report/of_parts.h"

void exp_report_compare_charts(json_t *doc, const struct exp_compare *c);

#endif
