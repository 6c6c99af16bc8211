/* The cpu device's link: a copy thread that moves real bytes, in the order they were submitted. */
#ifndef KVSIM_KERNELS_CPU_LINK_H
#define KVSIM_KERNELS_CPU_LINK_H

#include "kernels/link.h"

extern const struct kb_link_ops kb_cpu_link;

struct kb_queue *kb_cpu_queue_new(struct kb_device *d, struct kb_error *err);
void kb_cpu_queue_free(struct kb_queue *q);
bool kb_cpu_queue_wait(struct kb_queue *q, struct kb_error *err);

#endif
