/* The folder of a run: run.json says which run the tables belong to, so that the same one is resumed, another one
 * refused, and two at once kept apart. */
#ifndef KVSIM_KERNELS_KVBENCH_RUNFILE_H
#define KVSIM_KERNELS_KVBENCH_RUNFILE_H

#include "kernels/case.h"

struct kvb_identity {
    const struct kb_device *device;
    const struct kb_model *model;
    const char *suite;
};

/* Makes the folder or opens the one that is there, and locks it. False with one line when it holds something else.
 * *resumed: it was there. *lock: a file to close when the run is over. */
bool kvb_runfile_open(const char *folder, const struct kvb_identity *id, bool *resumed, int *lock,
                      struct kb_error *err);

#endif
