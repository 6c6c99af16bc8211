#include "kernels/shim/shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/table.h"
#include "kernels/shim/simt.h"

enum { ALIGN_BYTES = 256 };

struct shim_device {
    struct kb_device base; /* first: a pointer to it is a pointer to this */
    struct kb_queue queue;
};

static void close_device(struct kb_device *base)
{
    struct shim_device *d = (struct shim_device *)base;
    kb_shim_block_free(d->queue.block);
    free(d);
}

/* To the byte, so that the address sanitizer sees a step too far. */
static void *take(struct kb_device *, size_t bytes, struct kb_error *err)
{
    void *p = nullptr;
    if (posix_memalign(&p, ALIGN_BYTES, bytes))
        kb_fail(err, "shim: %zu bytes of memory are not to be had", bytes);
    return p;
}

static void give(struct kb_device *, void *p)
{
    free(p);
}

static bool move(struct kb_device *, void *to, const void *from, size_t bytes, struct kb_error *)
{
    memcpy(to, from, bytes);
    return true;
}

/* Everything has run when a launch returns: one queue is all queues. */
static struct kb_queue *queue_new(struct kb_device *d, struct kb_error *)
{
    return &((struct shim_device *)d)->queue;
}

static void queue_free(struct kb_queue *)
{
}

static bool wait(struct kb_queue *, struct kb_error *)
{
    return true;
}

static bool no_clock(struct kb_device *, const struct kb_timing *, double *, struct kb_error *err)
{
    return kb_fail(err, "the shim is not a clock");
}

static uint64_t memory_free(struct kb_device *d)
{
    return d->info.memory_bytes;
}

static const struct kb_device_ops ops = {close_device, take,       give, move,     move,
                                         queue_new,    queue_free, wait, no_clock, memory_free};

struct kb_device *kb_shim_open_like(uint32_t compute_capability, uint64_t shared_bytes, struct kb_error *err)
{
    struct shim_device *d = (struct shim_device *)calloc(1, sizeof *d);
    if (!d) {
        kb_fail(err, "shim: out of memory");
        return nullptr;
    }
    d->base.kind = "shim";
    d->base.ops = &ops;
    d->base.kernel = kb_shim_kernels;
    d->base.info.memory_bytes = (uint64_t)1 << 30;
    d->base.info.cache_bytes = 1 << 20;
    d->base.info.units = 4;
    d->base.info.compute_capability = compute_capability;
    d->base.info.shared_bytes = shared_bytes;
    d->base.info.numa_node = -1;
    snprintf(d->base.info.name, sizeof d->base.info.name, "threads as fibres");
    d->queue.device = &d->base;
    d->queue.block = kb_shim_block_new();
    return &d->base;
}

struct kb_device *kb_shim_open(struct kb_error *err)
{
    return kb_shim_open_like(89, 99 * 1024, err);
}
