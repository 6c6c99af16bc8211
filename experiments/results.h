/* A run's files in one folder: summary.json, requests.csv, timeline.csv, scenario.yaml, and the report as report.json and
 * report.html. All of them take their names together at the end (folder.h). requests.csv is streamed: about 1.5 us a
 * request. */
#ifndef KVSIM_EXPERIMENTS_RESULTS_H
#define KVSIM_EXPERIMENTS_RESULTS_H

#include "experiments/run.h"

struct exp_results {
    const struct exp_scenario *scenario;
    const struct exp_run *run;
    const struct exp_figures *figures; /* the run's own, or the bands of its replications */
    const char *data_dir;
};

/* The object of `run --json` and summary.json: the flat figures, then classes, fleets and warnings. The
 * caller's. */
json_t *exp_results_json(const struct exp_results *r);

/* Makes the folder; fails when nothing can be written there, so that it is known before a long run. */
bool exp_results_prepare(const char *dir, struct sim_status *st);
bool exp_results_write(const struct exp_results *r, const char *dir, struct sim_status *st);

#endif
