#include "kernels/cpu/link.h"

#include <stdlib.h>

struct kb_queue {
    struct kb_device *device;
};

struct kb_queue *kb_cpu_queue_new(struct kb_device *d, struct kb_error *err)
{
    (void)err;
    struct kb_queue *q = calloc(1, sizeof *q);
    if (!q) abort();
    q->device = d;
    return q;
}

void kb_cpu_queue_free(struct kb_queue *q)
{
    free(q);
}

bool kb_cpu_queue_wait(struct kb_queue *q, struct kb_error *err)
{
    (void)q;
    (void)err;
    return true;
}

const struct kb_link_ops kb_cpu_link = {0};
