/* The cuda device from inside: what its parts (device.cu, timing.cu, link.cu, cuBLAS) share. One process uses one
 * device through its primary context; work goes to streams made here, never to the default stream. Nothing of the
 * card's settings is touched: clocks, power, modes and cache limits stay as they are. */
#ifndef KVSIM_KERNELS_CUDA_DEVICE_H
#define KVSIM_KERNELS_CUDA_DEVICE_H

#include <pthread.h>

#include "kernels/cuda/driver.h"
#include "kernels/cuda/simt.cuh"
#include "kernels/link.h"

enum { KB_GATED_OPS = 512, KB_STAGE_BYTES = 8 << 20 };

/* Room for the arrays that a batched copy takes; filled under the lock, used before the call returns. */
struct kb_cuda_batch {
    pthread_mutex_t lock;
    unsigned long long *to, *from;
    size_t *bytes;
    size_t room;
};

struct kb_cuda_queue {
    struct kb_queue base; /* first: a pointer to it is a pointer to this */
    struct kb_cuda_batch batch;
};

/* Kernels behind it start only when the host opens it: two words of mapped host memory. */
struct kb_cuda_gate {
    volatile uint32_t *open, *late; /* late: the spin gave up by itself */
};

struct kb_cuda_pinned {
    void *p;
    size_t bytes;
    struct kb_cuda_pinned *next;
};

struct kb_cuda_blas;

struct kb_cuda_device {
    struct kb_device base; /* first */
    int ordinal;
    char bus_id[32];
    struct kb_cuda_driver driver;
    struct kb_queue *queue; /* for uploads, downloads and timing */
    void *stage[2];         /* pinned, KB_STAGE_BYTES each */
    cudaEvent_t staged[2];  /* behind the last copy from or to it */
    void *sweep;            /* 4 x the L2 cache: the first half is written, the second read, to empty it */
    size_t sweep_bytes;
    uint32_t *words; /* of the gate */
    struct kb_cuda_gate gate;
    cudaEvent_t stamp[KB_GATED_OPS]; /* pairs around each timed launch */
    struct kb_cuda_pinned *pinned;
    uint64_t pinned_bytes, pin_limit_bytes;
    struct kb_cuda_blas *blas;
};

static inline struct kb_cuda_device *kb_cuda_device_of(struct kb_device *d)
{
    return (struct kb_cuda_device *)d;
}

/* True for success; else err names the call and the error, and the runtime's last error is cleared. */
bool kb_cuda_ok(cudaError_t e, const char *what, struct kb_error *err);

/* The handle of cuBLAS, made at first use and closed with the device; NULL with err when cuBLAS is not there. */
struct kb_cuda_blas *kb_cuda_device_blas(struct kb_device *d, struct kb_error *err);

struct kb_queue *kb_cuda_queue_new(struct kb_device *d, struct kb_error *err);
void kb_cuda_queue_free(struct kb_queue *q);
bool kb_cuda_queue_wait(struct kb_queue *q, struct kb_error *err);

/* timing.cu: kb_device_ops.time; what it needs in the device is made by _init. */
bool kb_cuda_timing_init(struct kb_cuda_device *d, struct kb_error *err);
void kb_cuda_timing_fini(struct kb_cuda_device *d);
bool kb_cuda_time(struct kb_device *d, const struct kb_timing *t, double *seconds, struct kb_error *err);

extern const struct kb_link_ops kb_cuda_link;     /* link.cu */
void kb_cuda_pins_free(struct kb_cuda_device *d); /* whatever is still pinned */

#endif
