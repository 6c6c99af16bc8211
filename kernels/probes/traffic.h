/* Fragments that cross the link, ready to be sent again and again. On the host they lie shuffled in a pool of
 * pinned or pageable memory, four fragment sizes apart (at equal distances, in order, for 2D copies); on the
 * device one after the other, as pages that are recalled into slots or written back from them. On the cpu device
 * both pools are larger than the last-level cache and every round uses another part of them. */
#ifndef KVSIM_KERNELS_PROBES_TRAFFIC_H
#define KVSIM_KERNELS_PROBES_TRAFFIC_H

#include "kernels/link.h"

struct kb_traffic_plan {
    enum kb_method method;
    enum kb_direction direction;
    bool pageable;
    uint32_t n, fragment_bytes; /* multiple of 16 */
    uint32_t blocks;            /* of the gather kernel */
};

struct kb_traffic;

/* NULL with err when memory is short, or when the device has no such method ("not available: ..."). */
struct kb_traffic *kb_traffic_new(struct kb_device *d, const struct kb_traffic_plan *plan,
                                  struct kb_error *err);
void kb_traffic_free(struct kb_traffic *t); /* NULL is fine; nothing of it may be under way */

/* Queues fragments first to first + n - 1 of the round; any thread that entered the device may. */
bool kb_traffic_send(const struct kb_traffic *t, struct kb_queue *q, uint32_t first, uint32_t n,
                     struct kb_error *err);
void kb_traffic_next_round(struct kb_traffic *t);

/* For the proof that bytes arrive: kb_traffic_spoil before sending a whole round, kb_traffic_prove after it is
 * over. False with the place of the first wrong byte. */
bool kb_traffic_spoil(struct kb_traffic *t, struct kb_error *err);
bool kb_traffic_prove(struct kb_traffic *t, struct kb_error *err);

#endif
