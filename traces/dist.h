/* Drawing token counts from a struct trc_dist (synth.h). Every draw is a whole number >= 1. */
#ifndef KVSIM_TRACES_DIST_H
#define KVSIM_TRACES_DIST_H

#include "traces/synth.h"
#include "traces/synth_rng.h"

/* TRC_QUANTILES: values[i] is the quantile at trc_quantile_frac[i], linear in between. */
enum { TRC_N_QUANTILES = 31 };
extern const double trc_quantile_frac[TRC_N_QUANTILES];

uint32_t trc_dist_draw(const struct trc_dist *d, struct trc_rng *rng);

/* False with a message when the parameters make no distribution; what: "input" or "output". */
bool trc_dist_check(const struct trc_dist *d, const char *what, struct sim_status *st);

#endif
