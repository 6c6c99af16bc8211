/* report.html: one self-contained page of a run (tables, latency distributions, the cluster over time) that
 * asks for nothing from anywhere, in light and dark. The page is experiments/report.html with the data and
 * Chart.js from the distribution's package (libjs-chart.js) put in; without the package the page has its
 * tables and says what is missing. At most 500 points a curve. */
#ifndef KVSIM_EXPERIMENTS_REPORT_H
#define KVSIM_EXPERIMENTS_REPORT_H

#include "experiments/results.h"

#include <stdio.h>

bool exp_report_write(const struct exp_results *r, FILE *out, struct sim_status *st);

/* Whether the charts' library is on this machine. */
bool exp_report_has_charts(void);

#endif
