/* The link of a GPU: pinned and mapped host memory, streams, and the four ways that fragments go. */
#include <stdlib.h>

#include "kernels/cuda/device.h"
#include "kernels/cuda/table.h"

struct kb_event {
    cudaEvent_t event;
};

struct graph {
    cudaGraphExec_t exec;
};

KB_KERNEL empty_kernel()
{
}

static bool enter(struct kb_device *d, struct kb_error *err)
{
    return kb_cuda_ok(cudaSetDevice(kb_cuda_device_of(d)->ordinal), "cudaSetDevice", err);
}

/* --- pinned memory --- */

static void *pin_alloc(struct kb_device *base, size_t bytes, struct kb_error *err)
{
    struct kb_cuda_device *d = kb_cuda_device_of(base);
    void *p = NULL;
    if (bytes > d->pin_limit_bytes || d->pinned_bytes > d->pin_limit_bytes - bytes) {
        kb_fail(
            err,
            "cuda: %zu bytes to pin and %llu pinned: more than %llu, a quarter of the free memory or 16 GB",
            bytes, (unsigned long long)d->pinned_bytes, (unsigned long long)d->pin_limit_bytes);
        return NULL;
    }
    if (!kb_cuda_ok(cudaHostAlloc(&p, bytes ? bytes : 1, cudaHostAllocMapped | cudaHostAllocPortable),
                    "cudaHostAlloc", err))
        return NULL;
    struct kb_cuda_pinned *node = (struct kb_cuda_pinned *)malloc(sizeof *node);
    if (!node) abort();
    *node = {p, bytes, d->pinned};
    d->pinned = node;
    d->pinned_bytes += bytes;
    return p;
}

static void unpin(struct kb_cuda_device *d, struct kb_cuda_pinned **at)
{
    struct kb_cuda_pinned *node = *at;
    *at = node->next;
    d->pinned_bytes -= node->bytes;
    (void)cudaFreeHost(node->p);
    free(node);
}

static void pin_free(struct kb_device *base, void *p)
{
    struct kb_cuda_device *d = kb_cuda_device_of(base);
    for (struct kb_cuda_pinned **at = &d->pinned; *at; at = &(*at)->next)
        if ((*at)->p == p) {
            unpin(d, at);
            return;
        }
}

void kb_cuda_pins_free(struct kb_cuda_device *d)
{
    while (d->pinned) unpin(d, &d->pinned);
}

/* --- copies --- */

static cudaMemcpyKind kind_of(enum kb_direction direction)
{
    return direction == KB_TO_DEVICE ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
}

static bool copy(struct kb_queue *q, void *to, const void *from, size_t bytes, enum kb_direction direction,
                 struct kb_error *err)
{
    return kb_cuda_ok(cudaMemcpyAsync(to, from, bytes, kind_of(direction), q->stream), "cudaMemcpyAsync",
                      err);
}

static bool has(struct kb_device *d, enum kb_method m)
{
    if (m == KB_BY_BATCH) return kb_cuda_device_of(d)->driver.copy_batch != NULL;
    return m != KB_BY_KERNEL || d->kernel[KB_GATHER] != NULL;
}

static bool by_loop(struct kb_queue *q, const struct kb_fragments *f, struct kb_error *err)
{
    cudaMemcpyKind kind = kind_of(f->direction);
    for (uint32_t i = 0; i < f->n; i++) {
        cudaError_t e = cudaMemcpyAsync((char *)f->to + f->offset_to[i],
                                        (const char *)f->from + f->offset_from[i], f->bytes, kind, q->stream);
        if (e != cudaSuccess) return kb_cuda_ok(e, "cudaMemcpyAsync", err);
    }
    return true;
}

static void batch_reserve(struct kb_cuda_batch *b, size_t n)
{
    if (n <= b->room) return;
    b->to = (unsigned long long *)realloc(b->to, n * sizeof *b->to);
    b->from = (unsigned long long *)realloc(b->from, n * sizeof *b->from);
    b->bytes = (size_t *)realloc(b->bytes, n * sizeof *b->bytes);
    if (!b->to || !b->from || !b->bytes) abort();
    b->room = n;
}

/* The arrays are made anew for every call, as a caller with new pages must. */
static int batch_call(struct kb_queue *q, struct kb_cuda_batch *b, const struct kb_fragments *f)
{
    struct kb_copy_attributes attributes = {KB_IN_STREAM_ORDER, {0, 0}, {0, 0}, 0};
    size_t first = 0, failed = 0;
    batch_reserve(b, f->n);
    for (uint32_t i = 0; i < f->n; i++) {
        b->to[i] = (unsigned long long)(uintptr_t)f->to + f->offset_to[i];
        b->from[i] = (unsigned long long)(uintptr_t)f->from + f->offset_from[i];
        b->bytes[i] = f->bytes;
    }
    kb_copy_batch *call = kb_cuda_device_of(q->device)->driver.copy_batch;
    return call(b->to, b->from, b->bytes, f->n, &attributes, &first, 1, &failed, q->stream);
}

static bool by_batch(struct kb_queue *q, const struct kb_fragments *f, struct kb_error *err)
{
    struct kb_cuda_batch *b = &((struct kb_cuda_queue *)q)->batch;
    pthread_mutex_lock(&b->lock);
    int result = batch_call(q, b, f);
    pthread_mutex_unlock(&b->lock);
    return result == 0 ||
           kb_fail(err, "cuda: cuMemcpyBatchAsync of %u copies: driver error %d", f->n, result);
}

static bool by_2d(struct kb_queue *q, const struct kb_fragments *f, struct kb_error *err)
{
    size_t pitch_from = f->n > 1 ? f->offset_from[1] - f->offset_from[0] : f->bytes;
    size_t pitch_to = f->n > 1 ? f->offset_to[1] - f->offset_to[0] : f->bytes;
    return kb_cuda_ok(cudaMemcpy2DAsync((char *)f->to + f->offset_to[0], pitch_to,
                                        (const char *)f->from + f->offset_from[0], pitch_from, f->bytes, f->n,
                                        kind_of(f->direction), q->stream),
                      "cudaMemcpy2DAsync", err);
}

static bool by_kernel(struct kb_queue *q, const struct kb_fragments *f, struct kb_error *err)
{
    struct kb_gather g = {};
    g.from = f->from; /* mapped host memory has one address on both sides */
    g.to = f->to;
    g.offset_from = f->device_offset_from;
    g.offset_to = f->device_offset_to;
    g.n = f->n;
    g.fragment_bytes = f->bytes;
    g.blocks = f->blocks;
    return q->device->kernel[KB_GATHER](q, &g, err);
}

static bool fragments(struct kb_queue *q, enum kb_method m, const struct kb_fragments *f,
                      struct kb_error *err)
{
    if (!has(q->device, m)) return kb_fail(err, "cuda: this driver or build has no such copies");
    if (f->n == 0) return true;
    switch (m) {
    case KB_BY_LOOP:
        return by_loop(q, f, err);
    case KB_BY_BATCH:
        return by_batch(q, f, err);
    case KB_BY_2D:
        return by_2d(q, f, err);
    default:
        return by_kernel(q, f, err);
    }
}

/* --- events --- */

static struct kb_event *event_new(struct kb_device *d, struct kb_error *err)
{
    (void)d;
    struct kb_event *e = (struct kb_event *)calloc(1, sizeof *e);
    if (!e) abort();
    if (kb_cuda_ok(cudaEventCreate(&e->event), "cudaEventCreate", err)) return e;
    free(e);
    return NULL;
}

static void event_free(struct kb_event *e)
{
    if (!e) return;
    (void)cudaEventDestroy(e->event);
    free(e);
}

static bool event_record(struct kb_event *e, struct kb_queue *q, struct kb_error *err)
{
    return kb_cuda_ok(cudaEventRecord(e->event, q->stream), "cudaEventRecord", err);
}

static bool event_wait(struct kb_queue *q, struct kb_event *e, struct kb_error *err)
{
    return kb_cuda_ok(cudaStreamWaitEvent(q->stream, e->event, 0), "cudaStreamWaitEvent", err);
}

static bool event_sync(struct kb_event *e, struct kb_error *err)
{
    return kb_cuda_ok(cudaEventSynchronize(e->event), "cudaEventSynchronize", err);
}

static bool event_seconds(struct kb_event *from, struct kb_event *to, double *seconds, struct kb_error *err)
{
    float ms = 0;
    if (!kb_cuda_ok(cudaEventElapsedTime(&ms, from->event, to->event), "cudaEventElapsedTime", err))
        return false;
    *seconds = 1e-3 * (double)ms;
    return true;
}

/* --- launches --- */

static bool launch_empty(struct kb_queue *q, struct kb_error *err)
{
    return KB_LAUNCH(empty_kernel, 1, 32, 0, q, err);
}

static bool capture(struct kb_queue *q, uint32_t n, cudaGraph_t *graph, struct kb_error *err)
{
    if (!kb_cuda_ok(cudaStreamBeginCapture(q->stream, cudaStreamCaptureModeThreadLocal),
                    "cudaStreamBeginCapture", err))
        return false;
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++) ok = launch_empty(q, err);
    struct kb_error ended;
    bool closed = kb_cuda_ok(cudaStreamEndCapture(q->stream, graph), "cudaStreamEndCapture", &ended);
    if (ok && !closed) *err = ended;
    return ok && closed;
}

static bool instantiate(struct graph *g, struct kb_queue *q, cudaGraph_t captured, struct kb_error *err)
{
    return kb_cuda_ok(cudaGraphInstantiate(&g->exec, captured, 0), "cudaGraphInstantiate", err) &&
           kb_cuda_ok(cudaGraphUpload(g->exec, q->stream), "cudaGraphUpload", err) &&
           kb_cuda_queue_wait(q, err);
}

static void graph_free(void *graph)
{
    struct graph *g = (struct graph *)graph;
    if (!g) return;
    if (g->exec) (void)cudaGraphExecDestroy(g->exec);
    free(g);
}

static void *graph_new(struct kb_device *d, uint32_t n_kernels, struct kb_error *err)
{
    struct kb_queue *q = kb_cuda_queue_new(d, err);
    struct graph *g = (struct graph *)calloc(1, sizeof *g);
    cudaGraph_t captured = NULL;
    if (!g) abort();
    bool ok = q && capture(q, n_kernels, &captured, err) && instantiate(g, q, captured, err);
    if (captured) (void)cudaGraphDestroy(captured);
    kb_cuda_queue_free(q);
    if (ok) return g;
    graph_free(g);
    return NULL;
}

static bool graph_launch(struct kb_queue *q, void *graph, struct kb_error *err)
{
    return kb_cuda_ok(cudaGraphLaunch(((struct graph *)graph)->exec, q->stream), "cudaGraphLaunch", err);
}

const struct kb_link_ops kb_cuda_link = {
    enter,        pin_alloc,  pin_free,   copy,          has,          fragments, event_new,    event_free,
    event_record, event_wait, event_sync, event_seconds, launch_empty, graph_new, graph_launch, graph_free};
