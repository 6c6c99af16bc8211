/* Inter-token gaps: a log histogram over the top bits of a double. 2^10 buckets an octave: a value read back
 * is within 0.05 % of the one put in; gaps from 2^-30 s to 2^12 s, the ends held. Adding costs a shift and an
 * add, and the order of additions does not matter. */
#ifndef KVSIM_SIM_HISTOGRAM_H
#define KVSIM_SIM_HISTOGRAM_H

#include <stdint.h>
#include <string.h>

enum { SIM_ITL_OCTAVES = 42, SIM_ITL_LOWEST = -30, SIM_ITL_SUB_BITS = 10 };
enum { SIM_ITL_BUCKETS = SIM_ITL_OCTAVES << SIM_ITL_SUB_BITS };

struct sim_itl {
    uint64_t count[SIM_ITL_BUCKETS];
};

static inline uint32_t sim_itl_bucket(double gap_s)
{
    uint64_t bits;
    memcpy(&bits, &gap_s, sizeof bits);
    int64_t at =
        (int64_t)(bits >> (52 - SIM_ITL_SUB_BITS)) - ((int64_t)(1023 + SIM_ITL_LOWEST) << SIM_ITL_SUB_BITS);
    return at < 0 ? 0 : at >= SIM_ITL_BUCKETS ? SIM_ITL_BUCKETS - 1 : (uint32_t)at;
}

/* The middle of a bucket, seconds. */
double sim_itl_value_s(uint32_t bucket);

struct sim_itl_stats {
    uint64_t n;
    double mean, std, p50, p90, p95, p99;
};

struct sim_itl_stats sim_itl_stats(const struct sim_itl *h);

#endif
