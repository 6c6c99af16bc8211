/* What `kvsim sweep` prints of a sweep and of a forecast: for people, and as JSON. */
#ifndef KVSIM_EXPERIMENTS_STUDY_SWEEP_PRINT_H
#define KVSIM_EXPERIMENTS_STUDY_SWEEP_PRINT_H

#include "experiments/study/sweep.h"
#include "experiments/study/sweep_digest.h"

void exp_sweep_print(const struct exp_sweep_sum *sum, const struct exp_sweep_digest *d, FILE *out);
/* The caller's. */
json_t *exp_sweep_json(const struct exp_sweep_sum *sum, const struct exp_sweep_digest *d, const char *db);

void exp_sweep_print_forecast(const struct exp_study *study, const struct exp_sweep_options *o,
                              const struct exp_sweep_forecast *f, FILE *out);
json_t *exp_sweep_forecast_json(const struct exp_sweep_options *o, const struct exp_sweep_forecast *f);

#endif
