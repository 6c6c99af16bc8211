/* The server around a GPU, as far as KV is moved through it: host link, submission, synchronisation, host memory.
 * These constants come from server, driver and operating system, not from the card; the scenario's `host:` block sets
 * them, models/host.c has the sourced defaults, and a kvbench profile of the very server replaces them (host.yaml,
 * transfer.csv). */
#ifndef KVSIM_MODELS_HOST_H
#define KVSIM_MODELS_HOST_H

#include "models/gpu.h"
#include "models/transfer.h"
#include "sim/evidence.h"

struct mdl_host {
    double link_byte_per_s;         /* one direction, one GPU alone, contiguous pinned copies */
    double duplex;                  /* both directions at once over one alone: 1 to 2 */
    uint32_t gpus_per_link;         /* GPUs that share the root complex; 1 = each has its own */
    double memory_bytes;            /* host memory for KV, per GPU */
    double launch_s;                /* kernel launch, when no graph holds it */
    double sync_s;                  /* host waits for the GPU and goes on: a 4-byte copy and a stream sync */
    uint32_t submitters;            /* threads that submit copies */
    double kernel_frac;             /* of the link's rate, where a kernel reads mapped host memory */
    double gather_byte_per_s;       /* where the CPU collects scattered rows into one block */
    struct mdl_transfer_model copy; /* a loop of asynchronous copies; rate_byte_per_s = link_byte_per_s */
    enum sim_evidence how; /* of transfers: measured, where a kvbench profile has them; else analytic */
};

/* A key of the scenario's host block: its default, the range in which sources lie, and who says so. */
struct mdl_host_default {
    const char *name; /* link_gb_per_s ... */
    double value, low, high;
    const char *unit, *source;
};
size_t mdl_host_default_count(void);
const struct mdl_host_default *mdl_host_default_at(size_t i);

/* The defaults for a card; link_gb_per_s, whose rows are shares of it, follows from the encoded rate of its link. */
struct mdl_host mdl_host_of(const struct mdl_gpu *gpu);

/* Sets one key, in the key's unit (link_gb_per_s: GB/s). False with one line when there is no such key, or the value
 * is impossible (no bandwidth, no thread, ...). */
bool mdl_host_set(struct mdl_host *h, const char *name, double value, struct sim_status *st);

/* Time per copied fragment is stated for this size; smaller ones take less, see host.c. */
enum { MDL_HOST_FRAGMENT_BYTES = 16384 };

#endif
