#include "kernels/kvbench/stats.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint32_t n, double p)
{
    double at = p * (n - 1);
    uint32_t low = (uint32_t)floor(at), high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

struct kvb_stats kvb_stats_of(double *x, uint32_t n)
{
    qsort(x, n, sizeof *x, ascending);
    struct kvb_stats s = {.median = quantile(x, n, 0.5), .least = x[0], .n = n};
    if (s.median > 0) s.spread_frac = (quantile(x, n, 0.75) - quantile(x, n, 0.25)) / s.median;
    return s;
}
