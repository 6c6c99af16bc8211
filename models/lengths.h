/* Outputs get longer, or shorter, when KV is compressed: a factor per request, drawn from a distribution per strategy.
 * The distribution is log-normal, fitted to published figures (shares of answers at most half as long and at least
 * half as long again, means), each a row of models/lengths.csv with its source and the parameters that it holds for
 * (models/published_rows.h); or the user's own measured pairs take its place. Kept as quantiles: a draw is one look-up,
 * and a request draws the same quantile under every strategy (sim/lengthshift.h). */
#ifndef KVSIM_MODELS_LENGTHS_H
#define KVSIM_MODELS_LENGTHS_H

#include "models/strategy.h"
#include "sim/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MDL_LENGTH_QUANTILES = 1024 };

struct mdl_lengths {
    float factor[MDL_LENGTH_QUANTILES]; /* of length over length with full KV: quantiles (i + 0.5) / 1024 */
    double mean;                        /* of them */
    double half_frac, longer_frac;      /* shares <= 0.5 and >= 1.5 */
    double mu, sigma;   /* of the factor's log, before the cap; NaN when measured or unchanged */
    double fit_error;   /* by how much the fit misses a figure at worst; 0 where it meets them */
    double check_error; /* the same for published figures kept out of the fit; NaN when there is none */
    uint32_t n_pairs;   /* 0: from published figures */
    uint32_t n_skipped; /* pairs without a baseline token */
    char model[48];     /* that was measured; "" for pairs */
    char source[160];
    bool any;   /* false: this strategy does not change lengths, every factor is 1 */
    bool known; /* false: nobody published them, and they are taken as they are */
};

/* The first paper leaves out what differs by more than 200 %; here such answers are three times as long. There is no
 * such limit below: no answer can be shorter than nothing. */
#define MDL_LENGTH_MOST 3.0

/* Of a strategy with these parameters, from the csv; without a row for them lengths are kept, and source says so. */
bool mdl_lengths_load(const char *csv_path, const struct mdl_kv_use *strategy, struct mdl_lengths *out,
                      struct sim_status *st);

/* The user's pairs: columns `baseline_tokens` and `strategy_tokens`, others are not looked at. At least 20 with a
 * baseline token; factors are taken as measured, without a cap. */
bool mdl_lengths_read_pairs(const char *csv_path, struct mdl_lengths *out, struct sim_status *st);

#endif
