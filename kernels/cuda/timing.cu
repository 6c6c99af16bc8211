/* Timing of launches by events on the device's own clock. A kernel that spins until the host opens a gate stands
 * first in the stream, so that launches wait ready in the queue and their cost on the host stays out. Only so
 * many operations queue behind it as a stream holds; the spin gives up after two seconds, because a call that
 * waits for the device would otherwise wait for ever. */
#include "kernels/cuda/device.h"

enum { OPS_UNKNOWN = 16, SWEEP_THREADS = 256, WARM_UPS = 3 };
static const unsigned long long gate_limit_ns = 2000000000ull;

/* --- on the device --- */

KB_DEVICE unsigned long long nanoseconds()
{
    unsigned long long t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    return t;
}

KB_KERNEL gate_kernel(struct kb_cuda_gate gate, unsigned long long limit_ns)
{
    unsigned long long began = nanoseconds();
    while (*gate.open == 0)
        if (nanoseconds() - began > limit_ns) {
            *gate.late = 1;
            __threadfence_system();
            return;
        }
}

/* Reads n times 16 bytes; the sum is written in a case that does not happen, so that the loads stay. */
KB_KERNEL sweep_kernel(const uint4 *from, size_t n, uint32_t *never)
{
    uint32_t sum = 0;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x) {
        uint4 v = from[i];
        sum |= v.x | v.y | v.z | v.w;
    }
    if (sum != 0) *never = sum; /* this half is zeros */
}

/* --- making --- */

bool kb_cuda_timing_init(struct kb_cuda_device *d, struct kb_error *err)
{
    d->sweep_bytes = 4 * (size_t)d->base.info.cache_bytes / 16 * 16;
    for (uint32_t i = 0; i < KB_GATED_OPS; i++)
        if (!kb_cuda_ok(cudaEventCreate(&d->stamp[i]), "cudaEventCreate", err)) return false;
    if (!kb_cuda_ok(cudaMalloc(&d->sweep, d->sweep_bytes), "cudaMalloc", err) ||
        !kb_cuda_ok(cudaMemset(d->sweep, 0, d->sweep_bytes), "cudaMemset", err) ||
        !kb_cuda_ok(cudaHostAlloc((void **)&d->words, 2 * sizeof *d->words, cudaHostAllocMapped),
                    "cudaHostAlloc", err))
        return false;
    d->gate.open = &d->words[0]; /* one address space: the device reads it at the same address */
    d->gate.late = &d->words[1];
    return true;
}

void kb_cuda_timing_fini(struct kb_cuda_device *d)
{
    for (uint32_t i = 0; i < KB_GATED_OPS; i++)
        if (d->stamp[i]) (void)cudaEventDestroy(d->stamp[i]);
    (void)cudaFree(d->sweep);
    (void)cudaFreeHost(d->words);
}

/* --- what is queued --- */

/* Writes take every line of the cache; the reads that follow leave it clean, so that what is timed does not pay
 * for writing the sweep back. */
static bool empty_cache(struct kb_cuda_device *d, struct kb_error *err)
{
    size_t half = d->sweep_bytes / 2;
    const uint4 *second = (const uint4 *)((const char *)d->sweep + half);
    return kb_cuda_ok(cudaMemsetAsync(d->sweep, 0, half, d->queue->stream), "cudaMemsetAsync", err) &&
           KB_LAUNCH(sweep_kernel, 4 * d->base.info.units, SWEEP_THREADS, 0, d->queue, err, second, half / 16,
                     (uint32_t *)d->sweep);
}

/* Operations that one launch puts into the stream, by capturing one. */
static uint32_t count_ops(struct kb_cuda_device *d, const struct kb_timing *t)
{
    cudaStream_t stream = d->queue->stream;
    cudaGraph_t graph = NULL;
    struct kb_error ignored;
    size_t n = 0;
    if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess) {
        bool launched = t->launch(d->queue, t->args[0], &ignored);
        if (cudaStreamEndCapture(stream, &graph) != cudaSuccess || !launched ||
            cudaGraphGetNodes(graph, NULL, &n) != cudaSuccess)
            n = 0;
    }
    if (graph) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError(); /* a launch that cannot be captured is no error here */
    return n > 0 ? (uint32_t)n : (uint32_t)OPS_UNKNOWN;
}

/* Samples that are queued together. */
struct gateful {
    uint32_t first, n;
    bool gated; /* behind the gate */
    bool late;  /* the gate gave up: the launches were not all ready */
};

static bool queue_samples(struct kb_cuda_device *d, const struct kb_timing *t, const struct gateful *g,
                          struct kb_error *err)
{
    cudaStream_t stream = d->queue->stream;
    if (g->gated && !KB_LAUNCH(gate_kernel, 1, 1, 0, d->queue, err, d->gate, gate_limit_ns)) return false;
    for (uint32_t i = 0; i < g->n; i++) {
        if (t->cold && !empty_cache(d, err)) return false;
        if (!kb_cuda_ok(cudaEventRecord(d->stamp[2 * i], stream), "cudaEventRecord", err) ||
            !t->launch(d->queue, t->args[(g->first + i) % t->n_args], err) ||
            !kb_cuda_ok(cudaEventRecord(d->stamp[2 * i + 1], stream), "cudaEventRecord", err))
            return false;
    }
    return true;
}

static bool time_together(struct kb_cuda_device *d, const struct kb_timing *t, struct gateful *g,
                          double *seconds, struct kb_error *err)
{
    struct kb_error after;
    *d->gate.open = 0;
    *d->gate.late = 0;
    bool queued = queue_samples(d, t, g, err);
    __sync_synchronize();
    *d->gate.open = 1; /* whatever happened: the stream must run dry */
    bool ended = kb_cuda_queue_wait(d->queue, &after);
    if (queued && !ended) *err = after;
    if (!queued || !ended) return false;
    g->late = *d->gate.late != 0;
    for (uint32_t i = 0; i < g->n; i++) {
        float ms;
        cudaError_t e = cudaEventElapsedTime(&ms, d->stamp[2 * i], d->stamp[2 * i + 1]);
        if (!kb_cuda_ok(e, "cudaEventElapsedTime", err)) return false;
        seconds[i] = 1e-3 * (double)ms;
    }
    return true;
}

static bool warm_up(struct kb_cuda_device *d, const struct kb_timing *t, struct kb_error *err)
{
    for (uint32_t i = 0; i < WARM_UPS; i++)
        if (!t->launch(d->queue, t->args[i % t->n_args], err)) return false;
    return (!t->cold || empty_cache(d, err)) && kb_cuda_queue_wait(d->queue, err);
}

/* More operations than fit behind the gate go without it, one sample at a time. */
bool kb_cuda_time(struct kb_device *base, const struct kb_timing *t, double *seconds, struct kb_error *err)
{
    struct kb_cuda_device *d = kb_cuda_device_of(base);
    if (!warm_up(d, t, err)) return false;
    uint32_t ops = count_ops(d, t) + 2 + (t->cold ? 2 : 0),
             room = ops < KB_GATED_OPS ? KB_GATED_OPS / ops : 1;
    for (uint32_t done = 0; done < t->n_samples;) {
        uint32_t left = t->n_samples - done;
        struct gateful g = {done, left < room ? left : room, ops < KB_GATED_OPS, false};
        if (!time_together(d, t, &g, seconds + done, err)) return false;
        if (g.late && g.n == 1)
            return kb_fail(err, "the launch waits for the device or takes 2 s to queue: it cannot be timed");
        if (g.late)
            room = (g.n + 1) / 2;
        else
            done += g.n;
    }
    return true;
}
