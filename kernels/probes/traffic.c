#include "kernels/probes/traffic.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/case.h"

enum { DISTANCE = 4, CHUNK_BYTES = 8 << 20, MOST_POOL_BYTES = 512 << 20 };

/* One end of the road: `regions` places of `span` bytes, used in turn. */
struct pool {
    char *base;
    size_t span;
    uint32_t regions;
};

struct kb_traffic {
    struct kb_device *device;
    struct kb_traffic_plan plan;
    struct pool host, dev;
    uint64_t *host_offset, *dev_offset; /* [n], of a fragment in a region */
    uint64_t *resident_host_offset,
        *resident_dev_offset; /* the same in the device's memory, for the kernel */
    unsigned char *chunk;
    uint32_t round;
};

void kb_traffic_next_round(struct kb_traffic *t)
{
    t->round++;
}

static char *region(const struct pool *p, uint32_t round)
{
    return p->base + (size_t)(round % p->regions) * p->span;
}

/* --- making --- */

/* A GPU's copies end in memory whatever its cache holds; the cpu device's would stay in the cache. */
static void plan_pool(struct kb_device *d, struct pool *p, size_t span)
{
    uint64_t want = strcmp(d->kind, "cpu") == 0 ? 2 * d->info.cache_bytes : 0;
    if (want > MOST_POOL_BYTES) want = MOST_POOL_BYTES;
    p->span = span;
    p->regions = span < want ? (uint32_t)((want + span - 1) / span) : 1;
}

static void make_offsets(struct kb_traffic *t)
{
    uint32_t n = t->plan.n, distance = n == 1 ? 1 : DISTANCE;
    uint32_t *slot = malloc(n * sizeof *slot);
    struct kb_random random = {n};
    t->host_offset = malloc(n * sizeof *t->host_offset);
    t->dev_offset = malloc(n * sizeof *t->dev_offset);
    if (!slot || !t->host_offset || !t->dev_offset) abort();
    for (uint32_t i = 0; i < n; i++) slot[i] = i;
    if (t->plan.method != KB_BY_2D) kb_random_shuffle(&random, slot, n);
    for (uint32_t i = 0; i < n; i++) {
        t->host_offset[i] = (uint64_t)slot[i] * distance * t->plan.fragment_bytes;
        t->dev_offset[i] = (uint64_t)i * t->plan.fragment_bytes;
    }
    free(slot);
    plan_pool(t->device, &t->host, (size_t)n * distance * t->plan.fragment_bytes);
    plan_pool(t->device, &t->dev, (size_t)n * t->plan.fragment_bytes);
}

static bool take_host_pool(struct kb_traffic *t, struct kb_error *err)
{
    size_t bytes = t->host.span * t->host.regions;
    if (!t->plan.pageable) {
        t->host.base = t->device->link->pin_alloc(t->device, bytes, err);
        return t->host.base != NULL;
    }
    t->host.base = malloc(bytes);
    if (!t->host.base) return kb_fail(err, "%zu bytes of host memory are not to be had", bytes);
    memset(t->host.base, 1, bytes); /* so that every page is there */
    return true;
}

static bool reside(struct kb_traffic *t, const uint64_t *offset, uint64_t **out, struct kb_error *err)
{
    size_t bytes = t->plan.n * sizeof *offset;
    *out = t->device->ops->alloc(t->device, bytes, err);
    return *out && t->device->ops->upload(t->device, *out, offset, bytes, err);
}

static bool fill_pools(struct kb_traffic *t, struct kb_error *err)
{
    size_t bytes = t->dev.span * t->dev.regions;
    t->dev.base = t->device->ops->alloc(t->device, bytes, err);
    if (!t->dev.base) return false;
    memset(t->chunk, 1, CHUNK_BYTES);
    for (size_t done = 0; done < bytes; done += CHUNK_BYTES) {
        size_t n = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        if (!t->device->ops->upload(t->device, t->dev.base + done, t->chunk, n, err)) return false;
    }
    return t->plan.method != KB_BY_KERNEL || (reside(t, t->host_offset, &t->resident_host_offset, err) &&
                                              reside(t, t->dev_offset, &t->resident_dev_offset, err));
}

struct kb_traffic *kb_traffic_new(struct kb_device *d, const struct kb_traffic_plan *plan,
                                  struct kb_error *err)
{
    if (!d->link->has(d, plan->method)) {
        kb_fail(err, "not available: %s has no copies by this method", d->info.name);
        return NULL;
    }
    struct kb_traffic *t = calloc(1, sizeof *t);
    if (!t) abort();
    t->device = d;
    t->plan = *plan;
    t->chunk = malloc(CHUNK_BYTES);
    if (!t->chunk) abort();
    make_offsets(t);
    if (take_host_pool(t, err) && fill_pools(t, err)) return t;
    kb_traffic_free(t);
    return NULL;
}

void kb_traffic_free(struct kb_traffic *t)
{
    if (!t) return;
    struct kb_device *d = t->device;
    d->ops->free(d, t->resident_host_offset);
    d->ops->free(d, t->resident_dev_offset);
    d->ops->free(d, t->dev.base);
    if (t->plan.pageable)
        free(t->host.base);
    else
        d->link->pin_free(d, t->host.base);
    free(t->host_offset);
    free(t->dev_offset);
    free(t->chunk);
    free(t);
}

/* --- sending --- */

static const uint64_t *from(const uint64_t *offset, uint32_t first)
{
    return offset ? offset + first : NULL;
}

bool kb_traffic_send(const struct kb_traffic *t, struct kb_queue *q, uint32_t first, uint32_t n,
                     struct kb_error *err)
{
    bool in = t->plan.direction == KB_TO_DEVICE;
    char *host = region(&t->host, t->round), *dev = region(&t->dev, t->round);
    const uint64_t *host_offset = t->host_offset + first, *dev_offset = t->dev_offset + first;
    const uint64_t *resident_host = from(t->resident_host_offset, first);
    const uint64_t *resident_dev = from(t->resident_dev_offset, first);
    struct kb_fragments f = {.from = in ? host : dev,
                             .to = in ? dev : host,
                             .offset_from = in ? host_offset : dev_offset,
                             .offset_to = in ? dev_offset : host_offset,
                             .device_offset_from = in ? resident_host : resident_dev,
                             .device_offset_to = in ? resident_dev : resident_host,
                             .n = n,
                             .bytes = t->plan.fragment_bytes,
                             .blocks = t->plan.blocks,
                             .direction = t->plan.direction};
    return t->device->link->fragments(q, t->plan.method, &f, err);
}

/* --- proving --- */

/* What belongs at a place of the device's region; neighbouring words and fragments differ. */
static void pattern(uint64_t place, unsigned char *out, size_t bytes)
{
    uint32_t word = (uint32_t)(place / 4);
    for (size_t i = 0; i + 4 <= bytes; i += 4, word++) {
        uint32_t x = (word + 1u) * 2654435761u;
        memcpy(out + i, &x, 4);
    }
}

/* Each piece of the round, at most a chunk long: its place on the device and its address on the host. */
static bool each_piece(struct kb_traffic *t, struct kb_error *err,
                       bool (*visit)(struct kb_traffic *t, uint64_t place, char *host, size_t bytes,
                                     struct kb_error *err))
{
    for (uint32_t i = 0; i < t->plan.n; i++)
        for (size_t done = 0; done < t->plan.fragment_bytes; done += CHUNK_BYTES) {
            size_t left = t->plan.fragment_bytes - done, n = left < CHUNK_BYTES ? left : CHUNK_BYTES;
            char *host = region(&t->host, t->round) + t->host_offset[i] + done;
            if (!visit(t, t->dev_offset[i] + done, host, n, err)) return false;
        }
    return true;
}

static bool spoil_host(struct kb_traffic *t, uint64_t place, char *host, size_t bytes, struct kb_error *err)
{
    (void)err;
    if (t->plan.direction == KB_TO_DEVICE)
        pattern(place, (unsigned char *)host, bytes);
    else
        memset(host, 0, bytes);
    return true;
}

static bool prove_host(struct kb_traffic *t, uint64_t place, char *host, size_t bytes, struct kb_error *err)
{
    pattern(place, t->chunk, bytes);
    if (memcmp(t->chunk, host, bytes) == 0) return true;
    return kb_fail(err, "%zu bytes of the fragment at %llu did not arrive in host memory", bytes,
                   (unsigned long long)place);
}

/* The device's region in chunks: what stands there before, and what must stand there after. */
static bool spoil_device(struct kb_traffic *t, struct kb_error *err)
{
    char *base = region(&t->dev, t->round);
    for (size_t done = 0; done < t->dev.span; done += CHUNK_BYTES) {
        size_t n = t->dev.span - done < CHUNK_BYTES ? t->dev.span - done : CHUNK_BYTES;
        if (t->plan.direction == KB_TO_HOST)
            pattern(done, t->chunk, n);
        else
            memset(t->chunk, 0, n);
        if (!t->device->ops->upload(t->device, base + done, t->chunk, n, err)) return false;
    }
    return true;
}

static bool prove_device(struct kb_traffic *t, struct kb_error *err)
{
    char *base = region(&t->dev, t->round);
    size_t half = CHUNK_BYTES / 2;
    for (size_t done = 0; done < t->dev.span; done += half) {
        size_t n = t->dev.span - done < half ? t->dev.span - done : half;
        if (!t->device->ops->download(t->device, t->chunk, base + done, n, err)) return false;
        pattern(done, t->chunk + half, n);
        if (memcmp(t->chunk, t->chunk + half, n) != 0)
            return kb_fail(err, "bytes %zu to %zu did not arrive on the device", done, done + n - 1);
    }
    return true;
}

bool kb_traffic_spoil(struct kb_traffic *t, struct kb_error *err)
{
    return each_piece(t, err, spoil_host) && spoil_device(t, err);
}

bool kb_traffic_prove(struct kb_traffic *t, struct kb_error *err)
{
    return t->plan.direction == KB_TO_DEVICE ? prove_device(t, err) : each_piece(t, err, prove_host);
}
