#include "sim/histogram.h"

#include <math.h>

double sim_itl_value_s(uint32_t bucket)
{
    uint64_t at = (uint64_t)bucket + ((uint64_t)(1023 + SIM_ITL_LOWEST) << SIM_ITL_SUB_BITS);
    uint64_t low = at << (52 - SIM_ITL_SUB_BITS), high = (at + 1) << (52 - SIM_ITL_SUB_BITS);
    double a, b;
    memcpy(&a, &low, sizeof a);
    memcpy(&b, &high, sizeof b);
    return 0.5 * (a + b);
}

/* The value at rank q of n sorted gaps, between its two neighbours as numpy's percentile. */
static double quantile(const struct sim_itl *h, uint64_t n, double q)
{
    double rank = q * (double)(n - 1), floor_rank = floor(rank);
    uint64_t lower = (uint64_t)floor_rank, seen = 0;
    for (uint32_t b = 0; b < SIM_ITL_BUCKETS; b++) {
        seen += h->count[b];
        if (seen <= lower) continue;
        uint32_t next = b;
        if (seen == lower + 1) do
                next++;
            while (next < SIM_ITL_BUCKETS && !h->count[next]);
        if (next == SIM_ITL_BUCKETS) next = b;
        double low = sim_itl_value_s(b), high = sim_itl_value_s(next);
        return low + (rank - floor_rank) * (high - low);
    }
    return 0;
}

struct sim_itl_stats sim_itl_stats(const struct sim_itl *h)
{
    struct sim_itl_stats s = {0};
    double sum = 0, square = 0;
    for (uint32_t b = 0; b < SIM_ITL_BUCKETS; b++) {
        if (!h->count[b]) continue;
        double v = sim_itl_value_s(b), weight = (double)h->count[b];
        s.n += h->count[b];
        sum += weight * v;
        square += weight * v * v;
    }
    if (!s.n) return s;
    s.mean = sum / (double)s.n;
    s.std = sqrt(fmax(0, square / (double)s.n - s.mean * s.mean));
    s.p50 = quantile(h, s.n, 0.50);
    s.p90 = quantile(h, s.n, 0.90);
    s.p95 = quantile(h, s.n, 0.95);
    s.p99 = quantile(h, s.n, 0.99);
    return s;
}
