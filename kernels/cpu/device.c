#include "kernels/cpu/cpu.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernels/cpu/link.h"

enum { ALIGN_BYTES = 4096, LARGEST_CACHE = 1 << 30 };

struct cpu_device {
    struct kb_device base; /* first: a pointer to it is a pointer to this */
    unsigned char *sweep;  /* larger than the cache: reading it empties the cache of everything else */
    size_t sweep_bytes;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- memory --- */

static void *take(struct kb_device *d, size_t bytes, struct kb_error *err)
{
    (void)d;
    void *p = aligned_alloc(ALIGN_BYTES, (bytes + ALIGN_BYTES) / ALIGN_BYTES * ALIGN_BYTES);
    if (!p) kb_fail(err, "cpu: %zu bytes of memory are not to be had", bytes);
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
    return (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* --- timing --- */

static void empty_cache(struct cpu_device *d)
{
    unsigned sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (size_t i = 0; i < d->sweep_bytes; i += 64) sum += d->sweep[i]++;
    if (sum == 1) d->sweep[0] = 0; /* keeps the loop */
}

static bool time_samples(struct kb_device *base, const struct kb_timing *t, double *seconds, struct kb_error *err)
{
    struct cpu_device *d = (struct cpu_device *)base;
    for (uint32_t i = 0; i < t->n_samples; i++) {
        if (t->cold) empty_cache(d);
        double began = now_s();
        if (!t->launch(NULL, t->args[i % t->n_args], err)) return false;
        seconds[i] = now_s() - began;
    }
    return true;
}

/* --- who it is --- */

static void read_line(const char *path, const char *key, char *out, size_t room)
{
    FILE *f = fopen(path, "r");
    char line[512];
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) != 0) continue;
        const char *value = strchr(line, ':');
        value = value ? value + 1 + strspn(value + 1, " \t") : line;
        snprintf(out, room, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (f) fclose(f);
}

static uint64_t cache_bytes(void)
{
    unsigned long kib = 0;
    FILE *f = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
    if (f && fscanf(f, "%luK", &kib) != 1) kib = 0;
    if (f) fclose(f);
    if (kib == 0 || kib > LARGEST_CACHE / 1024) kib = 32 * 1024;
    return (uint64_t)kib * 1024;
}

static kb_launch *const *best_table(const char **isa)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
        *isa = "avx512";
        return kb_avx512_kernels;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *isa = "avx2";
        return kb_avx2_kernels;
    }
#endif
    *isa = "base";
    return kb_base_kernels;
}

static void describe(struct cpu_device *d, const char *isa)
{
    struct kb_device_info *info = &d->base.info;
    snprintf(info->name, sizeof info->name, "unknown processor");
    read_line("/proc/cpuinfo", "model name", info->name, sizeof info->name);
    snprintf(info->driver, sizeof info->driver, "gcc %s, %s, %s", __VERSION__, kb_blas_name(), isa);
    info->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
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
    const char *isa;
    struct cpu_device *d = calloc(1, sizeof *d);
    if (!d) abort();
    d->base = (struct kb_device){.kind = "cpu", .ops = &ops, .link = &kb_cpu_link, .kernel = best_table(&isa)};
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
