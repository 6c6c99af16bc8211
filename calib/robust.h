/* Fits of a few physical numbers to times of launches: the sum of |log(predicted / measured)| is minimised over
 * the logarithms of the numbers by GSL's simplex, from several starts. Absolute errors of logarithms let one
 * disturbed launch in ten be wrong by any factor; logarithms keep every number above 0. */
#ifndef KVSIM_CALIB_ROBUST_H
#define KVSIM_CALIB_ROBUST_H

#include <stddef.h>

enum { CAL_MAX_NUMBERS = 12 };

struct cal_number {
    double start, low, high; /* all > 0; the result lies within low and high */
};

/* The loss of one set of numbers; NaN or infinity is "impossible". */
typedef double cal_loss_fn(const void *user, const double *value);

/* Leaves the best found in value[n] and returns its loss. */
double cal_minimise(const struct cal_number *number, size_t n, cal_loss_fn *loss, const void *user,
                    double *value);

#endif
