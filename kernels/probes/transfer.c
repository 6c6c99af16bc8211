/* One copy of 4 KB to 1 GB, from pinned or pageable memory, either way or both ways at once. */
#include <stdlib.h>

#include "kernels/host.h"
#include "kernels/probe.h"
#include "kernels/probes/traffic.h"

enum { MEMORY, DIRECTION, KIB, N_KEYS };
enum { PINNED, PAGEABLE };
enum { BOTH = 2, MOST_WAYS = 2 };

static const char *const keys[] = {"memory", "direction", "bytes_kib", NULL};
static const char *const values[] = {"time_s", "submit_s", NULL};

struct way {
    struct kb_traffic *traffic;
    struct kb_queue *queue;
    struct kb_event *end;
};

struct state {
    struct kb_device *device;
    struct way way[MOST_WAYS];
    uint32_t n_ways;
    struct kb_event *start;
};

static void end(void *state)
{
    struct state *s = state;
    for (uint32_t i = 0; i < MOST_WAYS; i++) {
        struct way *w = &s->way[i];
        if (w->queue) s->device->ops->queue_free(w->queue);
        if (w->end) s->device->link->event_free(w->end);
        kb_traffic_free(w->traffic);
    }
    if (s->start) s->device->link->event_free(s->start);
    free(s);
}

static bool open_way(struct state *s, const struct kb_traffic_plan *plan, struct kb_error *err)
{
    struct way *w = &s->way[s->n_ways++];
    w->traffic = kb_traffic_new(s->device, plan, err);
    w->queue = w->traffic ? s->device->ops->queue_new(s->device, err) : NULL;
    w->end = w->queue ? s->device->link->event_new(s->device, err) : NULL;
    return w->end != NULL;
}

/* Both ways begin at the same event. */
static bool queue_all(struct state *s, double *submit_s, struct kb_error *err)
{
    const struct kb_link_ops *link = s->device->link;
    if (!link->event_record(s->start, s->way[0].queue, err)) return false;
    for (uint32_t i = 1; i < s->n_ways; i++)
        if (!link->event_wait(s->way[i].queue, s->start, err)) return false;
    double began = kb_now_s();
    for (uint32_t i = 0; i < s->n_ways; i++)
        if (!kb_traffic_send(s->way[i].traffic, s->way[i].queue, 0, 1, err)) return false;
    *submit_s = kb_now_s() - began;
    for (uint32_t i = 0; i < s->n_ways; i++)
        if (!link->event_record(s->way[i].end, s->way[i].queue, err)) return false;
    return true;
}

static bool sample(void *state, double *value, struct kb_error *err)
{
    struct state *s = state;
    value[0] = 0;
    if (!queue_all(s, &value[1], err)) return false;
    for (uint32_t i = 0; i < s->n_ways; i++) {
        double seconds;
        if (!s->device->ops->wait(s->way[i].queue, err) ||
            !s->device->link->event_seconds(s->start, s->way[i].end, &seconds, err))
            return false;
        if (seconds > value[0]) value[0] = seconds;
        kb_traffic_next_round(s->way[i].traffic);
    }
    return true;
}

static bool prove(struct state *s, struct kb_error *err)
{
    double ignored;
    for (uint32_t i = 0; i < s->n_ways; i++)
        if (!kb_traffic_spoil(s->way[i].traffic, err)) return false;
    if (!queue_all(s, &ignored, err)) return false;
    for (uint32_t i = 0; i < s->n_ways; i++)
        if (!s->device->ops->wait(s->way[i].queue, err) || !kb_traffic_prove(s->way[i].traffic, err))
            return false;
    return true;
}

static void *begin(struct kb_device *d, const uint32_t *shape, struct kb_error *err)
{
    struct state *s = calloc(1, sizeof *s);
    bool ok = true;
    if (!s) abort();
    s->device = d;
    for (uint32_t i = 0; ok && i < MOST_WAYS; i++) {
        struct kb_traffic_plan plan = {.method = KB_BY_LOOP,
                                       .direction = i == 0 ? KB_TO_DEVICE : KB_TO_HOST,
                                       .pageable = shape[MEMORY] == PAGEABLE,
                                       .n = 1,
                                       .fragment_bytes = shape[KIB] * 1024};
        if (shape[DIRECTION] == i || shape[DIRECTION] == BOTH) ok = open_way(s, &plan, err);
    }
    s->start = ok ? d->link->event_new(d, err) : NULL;
    if (s->start && prove(s, err)) return s;
    end(s);
    return NULL;
}

static double bytes(const uint32_t *shape)
{
    return 1024.0 * shape[KIB] * (shape[DIRECTION] == BOTH ? 2 : 1);
}

/* --- shapes --- */

static void add(struct kb_grid *g, uint32_t memory, uint32_t direction, const uint32_t *kib)
{
    for (; *kib; kib++) {
        uint32_t key[N_KEYS] = {memory, direction, *kib};
        kb_grid_add(g, key, N_KEYS);
    }
}

static void grid_full(struct kb_grid *g)
{
    static const uint32_t pinned[] = {262144, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 1048576, 0};
    static const uint32_t both[] = {262144, 4, 64, 1024, 16384, 0};
    static const uint32_t pageable[] = {65536, 4, 16, 64, 256, 1024, 4096, 16384, 262144, 0};
    static const uint32_t pageable_both[] = {64, 16384, 0};
    static const uint32_t largest[] = {1048576, 0};
    add(g, PINNED, KB_TO_DEVICE, pinned);
    add(g, PINNED, KB_TO_HOST, pinned);
    add(g, PINNED, BOTH, both);
    add(g, PAGEABLE, KB_TO_DEVICE, pageable);
    add(g, PAGEABLE, KB_TO_HOST, pageable);
    add(g, PAGEABLE, BOTH, pageable_both);
    add(g, PAGEABLE, KB_TO_DEVICE, largest);
}

static void grid_quick(struct kb_grid *g)
{
    static const uint32_t gpu[] = {262144, 4, 64, 1024, 16384, 0}, cpu[] = {16384, 4, 64, 1024, 65536, 0};
    static const uint32_t one[] = {16384, 0}, few[] = {1024, 16384, 0};
    add(g, PINNED, KB_TO_DEVICE, g->cpu ? cpu : gpu);
    add(g, PINNED, KB_TO_HOST, g->cpu ? few : gpu);
    add(g, PINNED, BOTH, one);
    add(g, PAGEABLE, KB_TO_DEVICE, g->cpu ? one : few);
    add(g, PAGEABLE, KB_TO_HOST, one);
}

static void grid_check(struct kb_grid *g)
{
    static const uint32_t kib[] = {1, 100, 0}, more_than_a_piece[] = {9000, 0};
    for (uint32_t memory = PINNED; memory <= PAGEABLE; memory++)
        for (uint32_t direction = 0; direction <= BOTH; direction++) add(g, memory, direction, kib);
    add(g, PINNED, BOTH, more_than_a_piece);
}

static void grid(struct kb_grid *g)
{
    switch (g->suite) {
    case KB_SUITE_CHECK:
        grid_check(g);
        break;
    case KB_SUITE_QUICK:
        grid_quick(g);
        break;
    case KB_SUITE_FULL:
        grid_full(g);
        break;
    }
}

const struct kb_probe kb_probe_transfer = {.name = "transfer",
                                           .family = "move",
                                           .help = "one copy between host and device, pinned or pageable",
                                           .keys = keys,
                                           .values = values,
                                           .grid = grid,
                                           .begin = begin,
                                           .sample = sample,
                                           .end = end,
                                           .bytes = bytes};
