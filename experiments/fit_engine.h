/* Fits an engine's overheads (at most six numbers, each between physical bounds) to measured serving points
 * of its version: Nelder-Mead over logit-transformed numbers, minimising the mean absolute log error of TPOT
 * and, with a quarter of the weight, of TTFT. One evaluation simulates every chosen trial. */
#ifndef KVSIM_EXPERIMENTS_FIT_ENGINE_H
#define KVSIM_EXPERIMENTS_FIT_ENGINE_H

#include "experiments/validate.h"

/* Simulates the chosen trials (NULL = all) with the engine's numbers (NULL = each with its own), on
 * t->n_threads threads. */
void exp_reruns_run(struct exp_reruns *t, const bool *chosen, const struct mdl_engine *engine);

/* Starts from typical overheads, whatever *engine holds, and leaves the fitted numbers and residuals there;
 * the trials hold the fitted predictions. False when a chosen trial completes no request. */
bool exp_fit_engine(struct exp_reruns *t, const bool *chosen, struct mdl_engine *engine,
                    struct sim_status *st);

/* Copies engine->path to `path` with the numbers, residuals and their source in place of the old ones. The
 * file must be laid out as those that ship: one of these numbers on a line. */
bool exp_write_engine(const struct mdl_engine *engine, const char *path, const char *source,
                      struct sim_status *st);

#endif
