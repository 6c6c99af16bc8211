/* A thread in the background that keeps copies under way: it sends one whole round of a traffic on its own queue,
 * waits for it, and begins again, until it is told to rest. It counts what it did, so that its own slowdown shows
 * beside the slowdown of what it disturbs. */
#ifndef KVSIM_KERNELS_PROBES_COPIER_H
#define KVSIM_KERNELS_PROBES_COPIER_H

#include "kernels/probes/traffic.h"

/* Since it was made; differences of two readings tell of the time between. */
struct kb_copier_count {
    uint64_t rounds;
    double busy_s;   /* of those rounds, from the first submission to the last byte */
    double submit_s; /* in submitting calls */
};

struct kb_copier;
/* Begins at rest. */
struct kb_copier *kb_copier_new(struct kb_device *d, const struct kb_traffic_plan *plan,
                                struct kb_error *err);
void kb_copier_free(struct kb_copier *c); /* NULL is fine */

void kb_copier_go(struct kb_copier *c);
void kb_copier_rest(struct kb_copier *c); /* returns when the round under way is over */
/* False with the error that has stopped it. */
bool kb_copier_is_well(struct kb_copier *c, struct kb_error *err);
/* Waits until it has finished n more rounds, or an error has stopped it. */
void kb_copier_await(struct kb_copier *c, uint64_t n);
struct kb_copier_count kb_copier_read(struct kb_copier *c);

#endif
