/* What a run leaves beside the raw tables: profile.yaml (the device, the model, the ceilings everything is
 * compared with, what was and what was not measured) and host.yaml (the machine around the device and the costs
 * that come from it). Both are made from the tables, so a resumed run writes the same as one in one go. */
#ifndef KVSIM_KERNELS_KVBENCH_PROFILE_H
#define KVSIM_KERNELS_KVBENCH_PROFILE_H

#include "kernels/kvbench/work.h"

/* Why a point has no number, as far as this process knows. */
struct kvb_reason {
    const struct kvb_source *source;
    size_t at;
    char *text;
};

struct kvb_result {
    const struct kb_device *device;
    const struct kvb_work *work;
    const struct kb_model *model;
    const char *suite;
    const char *left; /* why points are left: "out of budget", ... */
    bool complete;    /* every point of the suite is recorded */
    double seconds;   /* of this process */
    struct kvb_reason *reason;
    size_t n_reasons, reasons_room;
};

void kvb_result_reason(struct kvb_result *r, struct kvb_point p, const char *text);

/* The best rates in the tables; value 0 = not measured. */
struct kvb_ceiling {
    const char *name; /* read_byte_per_s */
    double value;
    char how[200];
};
enum {
    KVB_READ_BYTE_PER_S,
    KVB_COPY_BYTE_PER_S,
    KVB_BF16_FLOPS,
    KVB_FP8_FLOPS,
    KVB_TO_DEVICE_BYTE_PER_S,
    KVB_TO_HOST_BYTE_PER_S,
    KVB_N_CEILINGS
};
void kvb_ceilings(const struct kvb_work *w, struct kvb_ceiling out[KVB_N_CEILINGS]);

bool kvb_profile_write(const struct kvb_result *r, const char *folder, struct kb_error *err);

#endif
