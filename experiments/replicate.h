/* Error bands: the same scenario run N times, each time with its own seed and with operator times multiplied
 * by errors drawn once per replication, family and profile (never per look-up, which would average them
 * away), and the whole by the engine's residual. Spreads come from the profile (error on sites its fit did
 * not see) and the engine file. */
#ifndef KVSIM_EXPERIMENTS_REPLICATE_H
#define KVSIM_EXPERIMENTS_REPLICATE_H

#include "experiments/run.h"

/* The factors of replication k (from 0) for the fleets of `setup`: log-normal, median 1, a function of (seed, k). Rates
 * and efficiencies that a KV strategy assumes, and constants of a server that nobody measured, are drawn from the
 * ranges in which their sources lie. */
void exp_factors_draw(const struct exp_setup *setup, uint64_t seed, uint32_t k, struct exp_factors *out);

/* What is drawn there of a strategy, and of a server, with every figure at one quantile of its range, counted towards
 * slower: 0.5 as expected, 0.95 slow. Entries of what is not drawn stay. */
void exp_factors_slow_strategy(const struct exp_fleet_setup *f, double unit, double out[MDL_N_KV_KEY]);
void exp_factors_slow_host(const struct mdl_gpu *gpu, double unit, double out[EXP_MAX_HOST_KEYS]);

/* The scenario's seed in replication k. */
uint64_t exp_replication_seed(uint64_t seed, uint32_t k);

/* Replication k alone; `setup` is the scenario's own, for profiles and engines. NULL with one line in st. */
struct exp_figures *exp_replication(const struct exp_scenario *s, struct exp_cache *cache,
                                    const struct exp_setup *setup, uint32_t k, struct sim_status *st);

/* n >= 2 runs; mean and 5 to 95 % interval of every figure. NULL with one line in st. Free with exp_figures_free. */
struct exp_figures *exp_replicate(const struct exp_scenario *s, struct exp_cache *cache,
                                  const struct exp_setup *setup, uint32_t n,
                                  const struct exp_run_options *options, struct sim_status *st);

#endif
