#define _DEFAULT_SOURCE /* madvise */
#include "kernels/cpu/cpu.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/cpu/link.h"
#include "kernels/host.h"

enum { ALIGN_BYTES = 4096, HUGE_BYTES = 2 << 20, LARGEST_CACHE = 1 << 30 };

struct cpu_device {
    struct kb_device base; /* first: a pointer to it is a pointer to this */
    unsigned char *sweep;  /* larger than the cache: reading it empties the cache of everything else */
    size_t sweep_bytes;
    unsigned swept; /* sum of what was read, of no use */
};

/* --- memory --- */

/* Large buffers ask for huge pages: a device's memory should not be slow for want of address translations. */
static void *take(struct kb_device *d, size_t bytes, struct kb_error *err)
{
    (void)d;
    size_t align = bytes < HUGE_BYTES ? ALIGN_BYTES : HUGE_BYTES;
    size_t whole = (bytes + align) / align * align;
    void *p = aligned_alloc(align, whole);
    if (!p)
        kb_fail(err, "cpu: %zu bytes of memory are not to be had", bytes);
    else if (align == HUGE_BYTES)
        (void)madvise(p, whole, MADV_HUGEPAGE);
    return p;
}

static void give(struct kb_device *d, void *p)
{
    (void)d;
    free(p);
}

static bool move(struct kb_device *d, void *to, const void *from, size_t bytes, struct kb_error *err)
{
    (void)d;
    (void)err;
    memcpy(to, from, bytes);
    return true;
}

static uint64_t memory_free(struct kb_device *d)
{
    (void)d;
    struct kb_host host;
    kb_host_read("", &host);
    return host.available_bytes;
}

/* --- timing --- */

/* Reading is enough; lines that were written would have to be written back while the next kernel is timed. */
static void empty_cache(struct cpu_device *d)
{
    unsigned sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (size_t i = 0; i < d->sweep_bytes; i += 64) sum += d->sweep[i];
    d->swept += sum; /* keeps the loop */
}

static bool time_samples(struct kb_device *base, const struct kb_timing *t, double *seconds,
                         struct kb_error *err)
{
    struct cpu_device *d = (struct cpu_device *)base;
    for (uint32_t i = 0; i < t->n_samples; i++) {
        if (t->cold) empty_cache(d);
        double began = kb_now_s();
        if (!t->launch(NULL, t->args[i % t->n_args], err)) return false;
        seconds[i] = kb_now_s() - began;
    }
    return true;
}

/* --- who it is --- */

static uint64_t cache_bytes(void)
{
    unsigned long kib = 0;
    FILE *f = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
    if (f && fscanf(f, "%luK", &kib) != 1) kib = 0;
    if (f) fclose(f);
    if (kib == 0 || kib > LARGEST_CACHE / 1024) kib = 32 * 1024;
    return (uint64_t)kib * 1024;
}

#if defined(__x86_64__)
static const char *best_isa(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return "base";
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512dq")
               ? "avx512"
               : "avx2";
}

static kb_launch *const *table_of(const char *isa)
{
    return strcmp(isa, "avx512") == 0 ? kb_avx512_kernels
           : strcmp(isa, "avx2") == 0 ? kb_avx2_kernels
                                      : kb_base_kernels;
}
#else
static const char *best_isa(void)
{
    return "base";
}

static kb_launch *const *table_of(const char *isa)
{
    (void)isa;
    return kb_base_kernels;
}
#endif

static void describe(struct cpu_device *d, const char *isa)
{
    struct kb_device_info *info = &d->base.info;
    struct kb_host host;
    kb_host_read("", &host);
    snprintf(info->name, sizeof info->name, "%s", host.processor[0] ? host.processor : "unknown processor");
    snprintf(info->driver, sizeof info->driver, "gcc %s, %s, %s", __VERSION__, kb_blas_name(), isa);
    info->memory_bytes = host.memory_bytes;
    info->cache_bytes = cache_bytes();
    info->units = (uint32_t)omp_get_max_threads();
    info->numa_node = -1;
}

static void close_device(struct kb_device *base)
{
    struct cpu_device *d = (struct cpu_device *)base;
    free(d->sweep);
    free(d);
}

static const struct kb_device_ops ops = {.close = close_device,
                                         .alloc = take,
                                         .free = give,
                                         .upload = move,
                                         .download = move,
                                         .queue_new = kb_cpu_queue_new,
                                         .queue_free = kb_cpu_queue_free,
                                         .wait = kb_cpu_queue_wait,
                                         .time = time_samples,
                                         .memory_free = memory_free};

struct kb_device *kb_cpu_open(struct kb_error *err)
{
    const char *isa = best_isa();
    struct cpu_device *d = calloc(1, sizeof *d);
    if (!d) abort();
    d->base = (struct kb_device){.kind = "cpu", .ops = &ops, .link = &kb_cpu_link, .kernel = table_of(isa)};
    describe(d, isa);
    d->sweep_bytes = 2 * (size_t)d->base.info.cache_bytes;
    d->sweep = take(&d->base, d->sweep_bytes, err);
    if (d->sweep) {
        memset(d->sweep, 1, d->sweep_bytes);
        return &d->base;
    }
    close_device(&d->base);
    return NULL;
}
