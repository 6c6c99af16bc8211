#include "kernels/cuda/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/blas.h"
#include "kernels/cuda/table.h"

enum { LEAST_STAGED_BYTES = 1 << 20, LINK_COPIES = 128 };

bool kb_cuda_ok(cudaError_t e, const char *what, struct kb_error *err)
{
    if (e == cudaSuccess) return true;
    (void)cudaGetLastError();
    return kb_fail(err, "cuda: %s: %s (%s)", what, cudaGetErrorString(e), cudaGetErrorName(e));
}

struct kb_cuda_blas *kb_cuda_device_blas(struct kb_device *base, struct kb_error *err)
{
    struct kb_cuda_device *d = kb_cuda_device_of(base);
    if (!d->blas) d->blas = kb_cuda_blas_new(base, err);
    return d->blas;
}

/* --- memory --- */

static void *take(struct kb_device *base, size_t bytes, struct kb_error *err)
{
    (void)base;
    void *p = NULL;
    cudaError_t e = cudaMalloc(&p, bytes ? bytes : 1);
    if (e == cudaSuccess) return p;
    (void)cudaGetLastError();
    kb_fail(err, "cuda: %zu bytes of device memory: %s", bytes, cudaGetErrorString(e));
    return NULL;
}

static void give(struct kb_device *base, void *p)
{
    (void)base;
    (void)cudaFree(p);
}

static uint64_t memory_free(struct kb_device *base)
{
    (void)base;
    size_t available = 0, total = 0;
    return cudaMemGetInfo(&available, &total) == cudaSuccess ? available : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Two stages in turn: the host fills one while the other is on its way. */
static bool upload_staged(struct kb_cuda_device *d, char *to, const char *from, size_t bytes,
                          struct kb_error *err)
{
    cudaStream_t stream = d->queue->stream;
    for (size_t done = 0, i = 0; done < bytes; done += KB_STAGE_BYTES, i ^= 1) {
        size_t n = least(bytes - done, KB_STAGE_BYTES);
        if (!kb_cuda_ok(cudaEventSynchronize(d->staged[i]), "upload", err)) return false;
        memcpy(d->stage[i], from + done, n);
        if (!kb_cuda_ok(cudaMemcpyAsync(to + done, d->stage[i], n, cudaMemcpyHostToDevice, stream), "upload",
                        err) ||
            !kb_cuda_ok(cudaEventRecord(d->staged[i], stream), "upload", err))
            return false;
    }
    return kb_cuda_ok(cudaStreamSynchronize(stream), "upload", err);
}

static bool start_download(struct kb_cuda_device *d, size_t i, const char *from, size_t n,
                           struct kb_error *err)
{
    cudaStream_t stream = d->queue->stream;
    return kb_cuda_ok(cudaMemcpyAsync(d->stage[i], from, n, cudaMemcpyDeviceToHost, stream), "download",
                      err) &&
           kb_cuda_ok(cudaEventRecord(d->staged[i], stream), "download", err);
}

static bool download_staged(struct kb_cuda_device *d, char *to, const char *from, size_t bytes,
                            struct kb_error *err)
{
    if (!start_download(d, 0, from, least(bytes, KB_STAGE_BYTES), err)) return false;
    for (size_t done = 0, i = 0; done < bytes; done += KB_STAGE_BYTES, i ^= 1) {
        size_t next = done + KB_STAGE_BYTES;
        if (next < bytes && !start_download(d, i ^ 1, from + next, least(bytes - next, KB_STAGE_BYTES), err))
            return false;
        if (!kb_cuda_ok(cudaEventSynchronize(d->staged[i]), "download", err)) return false;
        memcpy(to + done, d->stage[i], least(bytes - done, KB_STAGE_BYTES));
    }
    return true;
}

/* After an error nothing may be on its way from or to a stage. */
static bool settled(struct kb_cuda_device *d, bool ok)
{
    if (!ok) (void)cudaStreamSynchronize(d->queue->stream);
    return ok;
}

/* Small ones by the driver's own staging; it sees from the addresses which way they go. */
static bool move(struct kb_cuda_device *d, void *to, const void *from, size_t bytes, struct kb_error *err)
{
    cudaStream_t stream = d->queue->stream;
    return kb_cuda_ok(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), "copy", err) &&
           kb_cuda_ok(cudaStreamSynchronize(stream), "copy", err);
}

static bool upload(struct kb_device *base, void *to, const void *from, size_t bytes, struct kb_error *err)
{
    struct kb_cuda_device *d = kb_cuda_device_of(base);
    if (bytes < LEAST_STAGED_BYTES) return move(d, to, from, bytes, err);
    return settled(d, upload_staged(d, (char *)to, (const char *)from, bytes, err));
}

static bool download(struct kb_device *base, void *to, const void *from, size_t bytes, struct kb_error *err)
{
    struct kb_cuda_device *d = kb_cuda_device_of(base);
    if (bytes < LEAST_STAGED_BYTES) return move(d, to, from, bytes, err);
    return settled(d, download_staged(d, (char *)to, (const char *)from, bytes, err));
}

/* --- queues --- */

struct kb_queue *kb_cuda_queue_new(struct kb_device *base, struct kb_error *err)
{
    struct kb_cuda_queue *q = (struct kb_cuda_queue *)calloc(1, sizeof *q);
    if (!q || pthread_mutex_init(&q->batch.lock, NULL)) abort();
    q->base.device = base;
    if (kb_cuda_ok(cudaStreamCreateWithFlags(&q->base.stream, cudaStreamNonBlocking), "cudaStreamCreate",
                   err))
        return &q->base;
    pthread_mutex_destroy(&q->batch.lock);
    free(q);
    return NULL;
}

void kb_cuda_queue_free(struct kb_queue *base)
{
    struct kb_cuda_queue *q = (struct kb_cuda_queue *)base;
    if (!q) return;
    (void)cudaStreamSynchronize(base->stream);
    (void)cudaStreamDestroy(base->stream);
    pthread_mutex_destroy(&q->batch.lock);
    free(q->batch.to);
    free(q->batch.from);
    free(q->batch.bytes);
    free(q);
}

bool kb_cuda_queue_wait(struct kb_queue *q, struct kb_error *err)
{
    const char *kernel = __atomic_load_n(&q->kernel, __ATOMIC_RELAXED);
    return kb_cuda_ok(cudaStreamSynchronize(q->stream), kernel ? kernel : "copy", err);
}

/* --- who it is --- */

static int attribute(struct kb_cuda_device *d, enum cudaDeviceAttr what)
{
    int value = 0;
    if (cudaDeviceGetAttribute(&value, what, d->ordinal) == cudaSuccess) return value;
    (void)cudaGetLastError();
    return 0;
}

static void keep_faster(struct kb_pci *best, const struct kb_pci *seen)
{
    int node = seen->numa_node >= 0 ? seen->numa_node : best->numa_node;
    if (seen->byte_per_s > best->byte_per_s) *best = *seen;
    best->numa_node = node;
}

/* The link as it runs while a copy is under way: an idle one steps down to save power. */
static bool describe_link(struct kb_cuda_device *d, struct kb_error *err)
{
    struct kb_pci best = {0, 0, 0, -1}, seen;
    if (!kb_pci_read("", d->bus_id, &seen))
        (void)kb_cuda_nvml_link(d->bus_id, &seen); /* slow the first time */
    size_t n = least(d->sweep_bytes / 2, KB_STAGE_BYTES);
    for (int i = 0; i < LINK_COPIES; i++)
        if (!kb_cuda_ok(cudaMemcpyAsync(d->sweep, d->stage[0], n, cudaMemcpyHostToDevice, d->queue->stream),
                        "first copy", err))
            return false;
    do {
        if (!kb_pci_read("", d->bus_id, &seen)) (void)kb_cuda_nvml_link(d->bus_id, &seen);
        keep_faster(&best, &seen);
    } while (cudaStreamQuery(d->queue->stream) == cudaErrorNotReady);
    (void)cudaGetLastError(); /* not ready is no error */
    struct kb_device_info *info = &d->base.info;
    info->pcie_generation = best.generation;
    info->pcie_lanes = best.lanes;
    info->pcie_byte_per_s = best.byte_per_s;
    info->numa_node = best.numa_node;
    return kb_cuda_queue_wait(d->queue, err);
}

static bool describe(struct kb_cuda_device *d, struct kb_error *err)
{
    struct kb_device_info *info = &d->base.info;
    char release[64];
    cudaDeviceProp properties;
    if (!kb_cuda_ok(cudaGetDeviceProperties(&properties, d->ordinal), "cudaGetDeviceProperties", err))
        return false;
    if (!properties.unifiedAddressing)
        return kb_fail(err, "cuda: %s does not share addresses with the host, which mapped memory needs",
                       properties.name);
    kb_cuda_driver_release(release, sizeof release);
    snprintf(info->name, sizeof info->name, "%.127s", properties.name);
    snprintf(info->driver, sizeof info->driver, "driver %s (CUDA %d.%d), runtime %d.%d",
             *release ? release : "?", d->driver.cuda_version / 1000, d->driver.cuda_version % 1000 / 10,
             CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    info->memory_bytes = properties.totalGlobalMem;
    info->cache_bytes = (uint64_t)properties.l2CacheSize;
    info->units = (uint32_t)properties.multiProcessorCount;
    info->compute_capability = (uint32_t)(10 * properties.major + properties.minor);
    info->shared_bytes = properties.sharedMemPerBlockOptin;
    info->clock_hz = 1e3 * attribute(d, cudaDevAttrClockRate);
    info->numa_node = -1;
    return true;
}

/* --- opening and closing --- */

static bool choose(struct kb_cuda_device *d, int ordinal, struct kb_error *err)
{
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess || n == 0)
        return kb_fail(err, "cuda: the driver is there, a GPU is not: %s",
                       e == cudaSuccess ? "none found" : cudaGetErrorString(e));
    if (ordinal >= n)
        return kb_fail(err, "cuda:%d: this machine has %d GPU%s, numbered from 0", ordinal, n,
                       n == 1 ? "" : "s");
    d->ordinal = ordinal;
    if (!kb_cuda_ok(cudaDeviceGetPCIBusId(d->bus_id, (int)sizeof d->bus_id, ordinal), "cudaDeviceGetPCIBusId",
                    err))
        return false;
    (void)kb_host_bind("", d->bus_id); /* before the driver's own buffers; a wish */
    return kb_cuda_ok(cudaSetDevice(ordinal), "cudaSetDevice", err) &&
           kb_cuda_ok(cudaFree(NULL), "first call", err);
}

static bool equip(struct kb_cuda_device *d, struct kb_error *err)
{
    d->pin_limit_bytes = kb_host_pin_limit("");
    d->queue = kb_cuda_queue_new(&d->base, err);
    if (!d->queue) return false;
    for (int i = 0; i < 2; i++)
        if (!kb_cuda_ok(cudaHostAlloc(&d->stage[i], KB_STAGE_BYTES, cudaHostAllocDefault), "cudaHostAlloc",
                        err) ||
            !kb_cuda_ok(cudaEventCreateWithFlags(&d->staged[i], cudaEventDisableTiming), "cudaEventCreate",
                        err))
            return false;
    memset(d->stage[0], 0, KB_STAGE_BYTES);
    return kb_cuda_timing_init(d, err) && describe_link(d, err);
}

static void close_device(struct kb_device *base)
{
    struct kb_cuda_device *d = kb_cuda_device_of(base);
    kb_cuda_queue_free(d->queue); /* first: it waits for what is under way */
    if (d->blas) kb_cuda_blas_free(d->blas);
    kb_cuda_timing_fini(d);
    kb_cuda_pins_free(d);
    for (int i = 0; i < 2; i++) {
        if (d->staged[i]) (void)cudaEventDestroy(d->staged[i]);
        (void)cudaFreeHost(d->stage[i]);
    }
    free(d);
}

static const struct kb_device_ops ops = {
    close_device,       take,         give,       upload, download, kb_cuda_queue_new, kb_cuda_queue_free,
    kb_cuda_queue_wait, kb_cuda_time, memory_free};

extern "C" struct kb_device *kb_cuda_open(int ordinal, struct kb_error *err)
{
    struct kb_cuda_device *d = (struct kb_cuda_device *)calloc(1, sizeof *d);
    if (!d) abort();
    d->base.kind = "cuda";
    d->base.ops = &ops;
    d->base.link = &kb_cuda_link;
    d->base.kernel = kb_cuda_kernels;
    setenv("CUDA_MODULE_LOADING", "EAGER", 0); /* read at the first call: no kernel is loaded behind a gate */
    if (!kb_cuda_driver_find(&d->driver, err) || !choose(d, ordinal, err)) {
        free(d); /* nothing of CUDA has been made yet */
        return NULL;
    }
    if (describe(d, err) && equip(d, err)) return &d->base;
    close_device(&d->base);
    return NULL;
}
