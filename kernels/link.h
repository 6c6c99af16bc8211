/* The road between host and device memory, as operations that probes measure and replay uses. On a GPU: pinned
 * memory, streams, copy engines. On the cpu device: a copy thread per queue that moves real bytes through a
 * submission queue. Copies are queued and return; costs of submitting are the caller's to time. What is queued
 * keeps using pools and offset arrays until the queue has passed it. A queue takes work from several threads,
 * each of which has entered the device; pinned memory is for one thread at a time. */
#ifndef KVSIM_KERNELS_LINK_H
#define KVSIM_KERNELS_LINK_H

#include "kernels/kbench.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kb_direction { KB_TO_DEVICE, KB_TO_HOST };

/* How a set of fragments crosses the link. */
enum kb_method {
    KB_BY_LOOP,   /* one asynchronous copy per fragment */
    KB_BY_BATCH,  /* one call for all (cuMemcpyBatchAsync) */
    KB_BY_2D,     /* one strided copy; fragments at equal distances only */
    KB_BY_KERNEL, /* a gather kernel reads mapped host memory */
    KB_N_METHOD
};

/* n fragments of `bytes`; from and to are the pools, offsets in bytes, multiples of 16. For 2D the offsets'
 * first two give the distances. device_offsets: for the kernel, both arrays in the device's memory. */
struct kb_fragments {
    const void *from;
    void *to;
    const uint64_t *offset_from, *offset_to;
    const uint64_t *device_offset_from, *device_offset_to;
    uint32_t n;
    uint32_t bytes;
    uint32_t blocks; /* thread blocks of the gather kernel */
    enum kb_direction direction;
};

struct kb_event;

struct kb_link_ops {
    /* The calling thread is going to use the device: first of all in every thread but the one that opened it. */
    bool (*enter)(struct kb_device *d, struct kb_error *err);
    /* Host memory the device can copy from without help (pinned and mapped), and plain host memory. */
    void *(*pin_alloc)(struct kb_device *d, size_t bytes, struct kb_error *err);
    void (*pin_free)(struct kb_device *d, void *p);
    bool (*copy)(struct kb_queue *q, void *to, const void *from, size_t bytes, enum kb_direction direction,
                 struct kb_error *err);
    /* False with err when the device has no such method; has() asks without trying. */
    bool (*has)(struct kb_device *d, enum kb_method m);
    bool (*fragments)(struct kb_queue *q, enum kb_method m, const struct kb_fragments *f,
                      struct kb_error *err);
    /* Events order queues and stamp the device's clock; one that was never recorded counts as past. Seconds need
     * both recorded and past. Free events after their queues, or when those have been waited for. */
    struct kb_event *(*event_new)(struct kb_device *d, struct kb_error *err);
    void (*event_free)(struct kb_event *e);
    bool (*event_record)(struct kb_event *e, struct kb_queue *q, struct kb_error *err);
    bool (*event_wait)(struct kb_queue *q, struct kb_event *e, struct kb_error *err); /* q waits for e */
    bool (*event_sync)(struct kb_event *e, struct kb_error *err);                     /* the host waits */
    bool (*event_seconds)(struct kb_event *from, struct kb_event *to, double *seconds, struct kb_error *err);
    /* A kernel that does nothing, for launch costs; and n of them as one captured graph. graph_new and the other
     * two are NULL where a device has no graphs. */
    bool (*launch_empty)(struct kb_queue *q, struct kb_error *err);
    void *(*graph_new)(struct kb_device *d, uint32_t n_kernels, struct kb_error *err);
    bool (*graph_launch)(struct kb_queue *q, void *graph, struct kb_error *err);
    void (*graph_free)(void *graph);
};

#ifdef __cplusplus
}
#endif

#endif
