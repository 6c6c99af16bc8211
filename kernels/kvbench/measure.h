/* The stopwatch. A point is warmed up, then sampled until it has 20 samples or took 0.3 s; cold with the cache
 * emptied before each launch, and hot too when its data fit into the cache. A spread over the limit gets one
 * more try; what is still over it is marked noisy. */
#ifndef KVSIM_KERNELS_KVBENCH_MEASURE_H
#define KVSIM_KERNELS_KVBENCH_MEASURE_H

#include "kernels/kvbench/sheet.h"
#include "kernels/kvbench/stats.h"

struct kvb_meter {
    struct kb_device *device;
    struct kb_queue *queue;
    double spread_limit; /* interquartile range / median */
};

/* Measures one shape: 1 or 2 rows (cold, hot). why: the reason when the status is unsupported, too_big or
 * failed. */
uint32_t kvb_measure_kernel(const struct kvb_meter *m, const struct kb_kernel *k, const uint32_t *shape,
                            struct kvb_row rows[2], struct kb_error *why);
void kvb_measure_probe(const struct kvb_meter *m, const struct kb_probe *p, const uint32_t *shape,
                       struct kvb_row *row, struct kb_error *why);

/* Runs two of the kernel's CHECK shapes against its reference; false with what is wrong. */
bool kvb_measure_check(const struct kvb_meter *m, const struct kb_kernel *k, struct kb_error *err);

#endif
