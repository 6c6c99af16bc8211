/* How far predictions are from measurements, as fractions of what was measured. */
#ifndef KVSIM_EXPERIMENTS_ERRORS_H
#define KVSIM_EXPERIMENTS_ERRORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct exp_errors {
    uint32_t n;
    double mape, bias, median, p90, worst; /* of |error|, but bias: mean error */
    double log_sigma;                      /* root mean square of log(measured / predicted) */
};

/* predicted, measured  [n], all > 0; n = 0 gives zeros */
struct exp_errors exp_errors_of(const double *predicted, const double *measured, size_t n);

/* One line on stdout; nothing when n is 0. */
void exp_errors_print(const char *what, const char *quantity, struct exp_errors e);
/* prefix_mape, prefix_bias, ...; null when n is 0. */
void exp_errors_json(json_t *object, const char *prefix, struct exp_errors e);

#endif
