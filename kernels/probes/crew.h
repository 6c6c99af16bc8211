/* Threads that submit at the same time. They sleep between rounds; arming wakes them and leaves them spinning at
 * the start, so that the wake-up is not in what is measured; then all go at once. */
#ifndef KVSIM_KERNELS_PROBES_CREW_H
#define KVSIM_KERNELS_PROBES_CREW_H

#include "kernels/kbench.h"

/* One thread's part of a round; index 0 to n_threads - 1. */
typedef bool kb_crew_work(void *arg, uint32_t index, struct kb_error *err);

struct kb_crew;
struct kb_crew *kb_crew_new(struct kb_device *d, uint32_t n_threads, kb_crew_work *work, void *arg,
                            struct kb_error *err);
void kb_crew_free(struct kb_crew *c); /* NULL is fine; no round may be under way */

void kb_crew_arm(struct kb_crew *c);                          /* until all stand at the start */
void kb_crew_go(struct kb_crew *c);                           /* returns at once */
bool kb_crew_finish(struct kb_crew *c, struct kb_error *err); /* until all are done; false when one failed */

#endif
