/* A probe measures what is no kernel: copies over the link, submission, launches, synchronisation, overlap. Like
 * a kernel it has numbers that name a point and a grid; a sample is one go, and gives several values at once
 * (submission apart from completion). The runner repeats it and keeps medians. */
#ifndef KVSIM_KERNELS_PROBE_H
#define KVSIM_KERNELS_PROBE_H

#include "kernels/case.h"

enum { KB_MAX_VALUES = 8 };

struct kb_probe {
    const char *name;   /* also its CSV file: transfer, fragments, host, ... */
    const char *family; /* move | small */
    const char *help;
    const char *const *keys;   /* NULL-terminated, as of a kernel */
    const char *const *values; /* with units: submit_s, time_s; NULL-terminated. The first tells the noise. */
    void (*grid)(struct kb_grid *g);
    /* Ready for a point: buffers, threads, warm-up. NULL with err: "not available" when the device cannot. */
    void *(*begin)(struct kb_device *d, const uint32_t *shape, struct kb_error *err);
    bool (*sample)(void *state, double *value, struct kb_error *err);
    void (*end)(void *state);
    double (*bytes)(const uint32_t *shape); /* moved by a sample; NULL = none */
};

extern const struct kb_probe *const kb_probes[]; /* NULL-terminated */

#endif
