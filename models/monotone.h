/* Least-squares non-decreasing fits (isotonic regression): a launch of more tokens never costs less, so where
 * a measurement says otherwise the neighbours that disagree share their mean. Pool adjacent violators, linear
 * time. source: Barlow et al., Statistical Inference under Order Restrictions, 1972. */
#ifndef KVSIM_MODELS_MONOTONE_H
#define KVSIM_MODELS_MONOTONE_H

#include <stddef.h>

/* v[0], v[stride], ... n values, replaced by their non-decreasing fit; n at most MDL_MAX_MONOTONE. */
enum { MDL_MAX_MONOTONE = 1024 };
void mdl_monotone(double *v, size_t n, size_t stride);

/* [row][col] made non-decreasing in both directions: fitted along each in turn, then mdl_rising_grid. */
void mdl_monotone_grid(double *v, size_t n_rows, size_t n_cols);

/* Each value raised to the largest one below and left of it. */
void mdl_rising_grid(double *v, size_t n_rows, size_t n_cols);

#endif
