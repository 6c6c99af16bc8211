#include "models/monotone.h"

#include <math.h>

#include "sim/check.h"

void mdl_monotone(double *v, size_t n, size_t stride)
{
    double sum[MDL_MAX_MONOTONE];
    size_t count[MDL_MAX_MONOTONE], n_pools = 0;
    SIM_CHECK(n <= MDL_MAX_MONOTONE);
    for (size_t i = 0; i < n; i++) {
        sum[n_pools] = v[i * stride];
        count[n_pools++] = 1;
        while (n_pools > 1 && sum[n_pools - 2] * (double)count[n_pools - 1] >
                                  sum[n_pools - 1] * (double)count[n_pools - 2]) {
            n_pools--;
            sum[n_pools - 1] += sum[n_pools];
            count[n_pools - 1] += count[n_pools];
        }
    }
    for (size_t p = 0, i = 0; p < n_pools; p++) {
        double mean = sum[p] / (double)count[p];
        for (size_t end = i + count[p]; i < end; i++)
            if (count[p] > 1) v[i * stride] = mean;
    }
}

void mdl_rising_grid(double *v, size_t n_rows, size_t n_cols)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t c = 0; c < n_cols; c++) {
            double *at = v + r * n_cols + c;
            if (r > 0) *at = fmax(*at, *(at - n_cols));
            if (c > 0) *at = fmax(*at, *(at - 1));
        }
}

void mdl_monotone_grid(double *v, size_t n_rows, size_t n_cols)
{
    for (int turn = 0; turn < 3; turn++) {
        for (size_t r = 0; r < n_rows; r++) mdl_monotone(v + r * n_cols, n_cols, 1);
        for (size_t c = 0; c < n_cols; c++) mdl_monotone(v + c, n_rows, n_cols);
    }
    mdl_rising_grid(v, n_rows, n_cols);
}
