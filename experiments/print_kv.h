/* What `kvsim run` says of a fleet's KV strategy: parameters with what was given and what is a default, pages, bytes
 * a token, kernels, and output lengths with their source; and of a run, what went over the host link. Nothing of it is
 * said of `full`, which has none of these. */
#ifndef KVSIM_EXPERIMENTS_PRINT_KV_H
#define KVSIM_EXPERIMENTS_PRINT_KV_H

#include "experiments/figures.h"

#include <stdio.h>

void exp_print_kv(const struct exp_fleet_setup *f, const struct exp_kv_keys *k, FILE *out);

/* Host memory that is in use, and requests that fell back; nothing where there is neither. */
void exp_print_host_kv(const struct exp_figures *f, FILE *out);

/* Lines below the busy line; none when nothing was moved and no length changed. */
void exp_print_transfers(const struct exp_figures *f, FILE *out);

#endif
