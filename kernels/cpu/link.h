/* The cpu device's link. Every queue owns a copy thread: callers put commands into its ring under a lock, the
 * thread takes them out in order and moves the bytes with memcpy. So a loop pays the lock and the wake-up once
 * per fragment, a batch once per call, a full ring makes callers wait, and copies take memory bandwidth and
 * processor time from whatever runs beside them. Kernels run in the caller: they first settle their queue. */
#ifndef KVSIM_KERNELS_CPU_LINK_H
#define KVSIM_KERNELS_CPU_LINK_H

#include "kernels/link.h"

extern const struct kb_link_ops kb_cpu_link;

struct kb_queue *kb_cpu_queue_new(struct kb_device *d, struct kb_error *err);
void kb_cpu_queue_free(struct kb_queue *q); /* NULL is fine; waits for what is queued */
bool kb_cpu_queue_wait(struct kb_queue *q, struct kb_error *err);

#endif
