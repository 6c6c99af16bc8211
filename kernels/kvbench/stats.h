/* Median, least and spread of repeated measurements. */
#ifndef KVSIM_KERNELS_KVBENCH_STATS_H
#define KVSIM_KERNELS_KVBENCH_STATS_H

#include <stdint.h>

struct kvb_stats {
    double median, least;
    double spread_frac; /* interquartile range / median; 0 for fewer than two samples */
    uint32_t n;
};

/* Sorts x; n > 0. Quartiles are interpolated linearly (type 7 of Hyndman and Fan 1996). */
struct kvb_stats kvb_stats_of(double *x, uint32_t n);

#endif
