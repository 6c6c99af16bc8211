/* What a run has to measure and in which order: the ceilings first, then the family that had the least time for
 * its weight, and in it the kernel that came the least far through its grid, whose shapes stand most-used
 * first. So whenever a run ends, it has the shapes of every family that are used most. */
#ifndef KVSIM_KERNELS_KVBENCH_WORK_H
#define KVSIM_KERNELS_KVBENCH_WORK_H

#include "kernels/kvbench/sheet.h"

enum { KVB_MAX_FAMILIES = 12 };

struct kvb_source {
    const struct kb_kernel *kernel; /* or */
    const struct kb_probe *probe;
    const char *name, *help;
    uint32_t family; /* index */
    struct kb_grid grid;
    struct kvb_sheet *sheet;
    bool *done; /* [grid.n] recorded, whatever the status, or not wanted by --only */
    size_t n_done;
    bool checked; /* against its reference, in this process */
    char *closed; /* why nothing more of it is measured, or NULL */
};

struct kvb_family {
    const char *name;
    double weight, spent_s;
};

struct kvb_point {
    struct kvb_source *source;
    size_t at; /* in its grid */
};

struct kvb_work {
    struct kvb_source *source;
    uint32_t n_sources;
    struct kvb_family family[KVB_MAX_FAMILIES];
    uint32_t n_families;
    struct kvb_point *first; /* the ceilings */
    size_t n_first, first_room, next_first;
    size_t n_points, n_done;
};

/* What is measured. Only the model, the suite and --only matter beside the device. */
struct kvb_plan_of_work {
    enum kb_suite suite;
    struct kb_model model;
    const char *only; /* NULL = everything; the ceilings are measured anyway */
};

/* The points of a suite, those in folder's files marked as done. NULL with err when a file there is no good. Free
 * with kvb_work_free. */
struct kvb_work *kvb_work_new(const struct kb_device *d, const struct kvb_plan_of_work *plan,
                              const char *folder, struct kb_error *err);
void kvb_work_free(struct kvb_work *w);

/* The next point; false when there is none. */
bool kvb_work_next(struct kvb_work *w, struct kvb_point *out);
/* It has been recorded; spent_s: wall time it took. */
void kvb_work_did(struct kvb_work *w, struct kvb_point p, double spent_s);
/* Nothing more of this source. */
void kvb_work_close(struct kvb_work *w, struct kvb_source *s, const char *why);

#endif
