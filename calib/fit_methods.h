/* Fits of what is no operator of an engine: transfers per method, decode kernels per KV format between their two
 * ceilings, how far a copy and its conversion overlap, what a copy costs the kernels beside it. Inputs are what
 * kvbench measured; a result says how many points it saw and how far off it is on them (median |log error|). */
#ifndef KVSIM_CALIB_FIT_METHODS_H
#define KVSIM_CALIB_FIT_METHODS_H

#include "models/transfer.h"

#include <stdbool.h>
#include <stddef.h>

struct cal_transfer_point {
    double n, bytes; /* fragments, bytes of each */
    uint32_t threads;
    double submit_s, time_s; /* in the calls on the host; until all arrived */
};

struct cal_fit_quality {
    size_t n;
    double median, p90; /* of |log(predicted / measured)| */
};

/* one_call: the method takes all fragments in one call. At least 4 points, n and bytes varied. */
enum { CAL_TRANSFER_POINTS = 4 };
struct cal_fit_quality cal_fit_transfer(const struct cal_transfer_point *point, size_t n, bool one_call,
                                        struct mdl_transfer_model *out);

struct cal_kernel_point {
    double bytes;    /* of compressed KV, 0 when they come from the cache (aliased pages) */
    double elements; /* of K and V, over all query heads of a group once */
    double time_s;
};

/* memory_frac > 0: given, as found for bf16; 0: fitted too. */
enum { CAL_KERNEL_POINTS = 3 };
struct cal_fit_quality cal_fit_kernel(const struct cal_kernel_point *point, size_t n,
                                      double bandwidth_byte_per_s, double units_clock_hz, double memory_frac,
                                      struct mdl_kernel_model *out);

/* Double buffering: n pieces of copy_s and convert_s each take first copy + (n - 1) x pace + last conversion, pace
 * = longer + (1 - overlap) x shorter. Returns the overlap, 0 to 1, of measured totals: median over points. */
struct cal_overlap_point {
    double pieces, copy_s, convert_s, time_s;
};
double cal_fit_overlap(const struct cal_overlap_point *point, size_t n);

#endif
