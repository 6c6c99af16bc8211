/* What it costs to move fragments between host and device, one model per method (a loop of copies, one batched
 * call, a strided copy, a gather kernel) and direction:
 *   T = t0 + max(n x t_submit / s_eff(threads) + n_calls x t_call,  n x t_descriptor(fragment),  bytes / rate)
 * The host submits, the copy engine works through descriptors, the wire carries bytes; the slowest of the three
 * sets the pace. And what a decode kernel costs between two ceilings, memory and arithmetic:
 *   T = t0 + ((bytes / (u x bandwidth))^p + (elements x c / (units x clock))^p)^(1/p)
 * Both are fitted to measurements: calib/fit_transfer.c, calib/fit_ceilings.c. */
#ifndef KVSIM_MODELS_TRANSFER_H
#define KVSIM_MODELS_TRANSFER_H

#include <stdint.h>

enum { MDL_MAX_SUBMITTERS = 8 };

struct mdl_transfer_model {
    double t0_s;
    double submit_s; /* host time per fragment */
    double call_s;   /* host time per call, for methods that take many fragments in one */
    double speedup[MDL_MAX_SUBMITTERS + 1];        /* s_eff of so many submitting threads; [1] = 1 */
    double descriptor_small_s, descriptor_large_s; /* per fragment below and from break_bytes on */
    double descriptor_byte_s;                      /* below it, for each byte on top; 0 where not known */
    double break_bytes;
    double rate_byte_per_s;
    uint32_t fragments_per_call; /* 1: a call per fragment; 0: one call for all */
};

/* n fragments of `bytes` each, submitted by so many threads (1 to MDL_MAX_SUBMITTERS). Seconds. */
double mdl_transfer_s(const struct mdl_transfer_model *m, double n, double bytes, uint32_t threads);

/* Of these, the copy engine's time for one fragment. */
double mdl_transfer_descriptor_s(const struct mdl_transfer_model *m, double bytes);

struct mdl_kernel_model {
    double t0_s;
    double memory_frac;    /* u: share of the read bandwidth */
    double element_clocks; /* c: clocks of one unit per element of K or V and query group */
    double p;              /* how sharply the two meet: 1 = they add, infinity = the longer one */
};

/* units_clock_hz: multiprocessors x clock. Seconds. */
double mdl_kernel_s(const struct mdl_kernel_model *m, double bytes, double elements,
                    double bandwidth_byte_per_s, double units_clock_hz);

#endif
