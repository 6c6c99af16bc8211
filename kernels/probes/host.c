/* The small costs between host and device, each as the time of one operation: they come from processor, driver
 * and virtualisation, and go into host.yaml. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernels/host.h"
#include "kernels/link.h"
#include "kernels/probe.h"
#include "kernels/probes/crew.h"

enum { MANY = 256, FEW = 16, GRAPH_KERNELS = 128, POLLS = 2000 };

static const char *const keys[] = {"operation", NULL};
/* time_s: in the calls, or of a whole round trip; total_s: until the device is done, per operation. */
static const char *const values[] = {"time_s", "total_s", NULL};

struct state {
    struct kb_device *device;
    struct kb_queue *queue, *other;
    struct kb_event *start, *stop;
    void *graph;
    uint32_t *pinned, *on_device;
    const struct operation *operation;
    struct kb_crew *partner; /* of a hand-off */
    pthread_mutex_t lock;
    pthread_cond_t turned;
    bool theirs;      /* whose turn it is, by condition variable */
    atomic_uint spin; /* even: ours; odd: theirs */
};

/* One way to hand over or to launch; prepare is NULL when there is nothing to make. */
struct operation {
    bool (*prepare)(struct state *s, struct kb_error *err);
    bool (*sample)(struct state *s, double *value, struct kb_error *err);
};

/* --- on the device --- */

static bool launch(struct state *s, double *value, struct kb_error *err)
{
    double began = kb_now_s();
    for (uint32_t i = 0; i < MANY; i++)
        if (!s->device->link->launch_empty(s->queue, err)) return false;
    value[0] = (kb_now_s() - began) / MANY;
    bool ok = s->device->ops->wait(s->queue, err);
    value[1] = (kb_now_s() - began) / MANY;
    return ok;
}

static bool prepare_graph(struct state *s, struct kb_error *err)
{
    const struct kb_link_ops *link = s->device->link;
    if (!link->graph_new) return kb_fail(err, "not available: %s has no graphs", s->device->info.name);
    s->graph = link->graph_new(s->device, GRAPH_KERNELS, err);
    return s->graph != NULL;
}

/* Per kernel: on the device's clock, and from the call to the end. */
static bool graph(struct state *s, double *value, struct kb_error *err)
{
    const struct kb_link_ops *link = s->device->link;
    double began = kb_now_s();
    bool ok = link->event_record(s->start, s->queue, err) && link->graph_launch(s->queue, s->graph, err) &&
              link->event_record(s->stop, s->queue, err) && s->device->ops->wait(s->queue, err);
    value[1] = (kb_now_s() - began) / GRAPH_KERNELS;
    if (!ok || !link->event_seconds(s->start, s->stop, &value[0], err)) return false;
    value[0] /= GRAPH_KERNELS;
    return true;
}

/* An event recorded on one queue and waited for by another. */
static bool event(struct state *s, double *value, struct kb_error *err)
{
    const struct kb_link_ops *link = s->device->link;
    double began = kb_now_s();
    for (uint32_t i = 0; i < MANY; i++)
        if (!link->event_record(s->start, s->queue, err) || !link->event_wait(s->other, s->start, err))
            return false;
    value[0] = (kb_now_s() - began) / MANY;
    bool ok = s->device->ops->wait(s->queue, err) && s->device->ops->wait(s->other, err);
    value[1] = (kb_now_s() - began) / MANY;
    return ok;
}

static bool same_total(double *value, double seconds)
{
    value[0] = value[1] = seconds;
    return true;
}

/* A kernel launched and waited for. */
static bool sync_kernel(struct state *s, double *value, struct kb_error *err)
{
    double began = kb_now_s();
    for (uint32_t i = 0; i < FEW; i++)
        if (!s->device->link->launch_empty(s->queue, err) || !s->device->ops->wait(s->queue, err))
            return false;
    return same_total(value, (kb_now_s() - began) / FEW);
}

static bool sync_idle(struct state *s, double *value, struct kb_error *err)
{
    double began = kb_now_s();
    for (uint32_t i = 0; i < MANY; i++)
        if (!s->device->ops->wait(s->queue, err)) return false;
    return same_total(value, (kb_now_s() - began) / MANY);
}

static bool prepare_download(struct state *s, struct kb_error *err)
{
    s->pinned = s->device->link->pin_alloc(s->device, sizeof *s->pinned, err);
    s->on_device = s->pinned ? s->device->ops->alloc(s->device, sizeof *s->on_device, err) : NULL;
    return s->on_device && s->device->ops->upload(s->device, s->on_device, &(uint32_t){1}, 4, err);
}

/* Four bytes to the host, waited for: what a check of flags costs in every layer. */
static bool download(struct state *s, double *value, struct kb_error *err)
{
    double began = kb_now_s();
    for (uint32_t i = 0; i < FEW; i++)
        if (!s->device->link->copy(s->queue, s->pinned, s->on_device, 4, KB_TO_HOST, err) ||
            !s->device->ops->wait(s->queue, err))
            return false;
    return same_total(value, (kb_now_s() - began) / FEW);
}

/* --- between threads --- */

static void take_turns(struct state *s, bool mine)
{
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < MANY; i++) {
        while (s->theirs != mine) pthread_cond_wait(&s->turned, &s->lock);
        s->theirs = !mine;
        pthread_cond_signal(&s->turned);
    }
    pthread_mutex_unlock(&s->lock);
}

/* Polls, and now and then lets another thread have the processor. */
static void spin_turns(struct state *s, unsigned mine)
{
    for (uint32_t i = 0; i < MANY; i++) {
        for (uint32_t polls = 1; atomic_load_explicit(&s->spin, memory_order_acquire) % 2 != mine; polls++)
            if (polls % POLLS == 0) sched_yield();
        atomic_fetch_add_explicit(&s->spin, 1, memory_order_release);
    }
}

static bool take_turns_there(void *state, uint32_t index, struct kb_error *err)
{
    (void)index;
    (void)err;
    take_turns(state, true);
    return true;
}

static bool spin_turns_there(void *state, uint32_t index, struct kb_error *err)
{
    (void)index;
    (void)err;
    spin_turns(state, 1);
    return true;
}

static bool prepare_condition(struct state *s, struct kb_error *err)
{
    s->partner = kb_crew_new(s->device, 1, take_turns_there, s, err);
    return s->partner != NULL;
}

static bool prepare_spin(struct state *s, struct kb_error *err)
{
    s->partner = kb_crew_new(s->device, 1, spin_turns_there, s, err);
    return s->partner != NULL;
}

/* There and back MANY times: one hand-over is half of it. */
static bool condition(struct state *s, double *value, struct kb_error *err)
{
    kb_crew_arm(s->partner);
    kb_crew_go(s->partner);
    double began = kb_now_s();
    take_turns(s, false);
    bool ok = kb_crew_finish(s->partner, err);
    return same_total(value, (kb_now_s() - began) / (2 * MANY)) && ok;
}

static bool spin(struct state *s, double *value, struct kb_error *err)
{
    kb_crew_arm(s->partner);
    kb_crew_go(s->partner);
    double began = kb_now_s();
    spin_turns(s, 0);
    bool ok = kb_crew_finish(s->partner, err);
    return same_total(value, (kb_now_s() - began) / (2 * MANY)) && ok;
}

/* In the order of the words of `operation` in kernels.c. */
static const struct operation operations[] = {{NULL, launch},
                                              {prepare_graph, graph},
                                              {NULL, event},
                                              {NULL, sync_kernel},
                                              {NULL, sync_idle},
                                              {prepare_download, download},
                                              {prepare_condition, condition},
                                              {prepare_spin, spin}};
enum { N_OPERATIONS = sizeof operations / sizeof *operations };

/* --- the probe --- */

static void end(void *state)
{
    struct state *s = state;
    const struct kb_link_ops *link = s->device->link;
    kb_crew_free(s->partner);
    if (s->queue) s->device->ops->queue_free(s->queue);
    if (s->other) s->device->ops->queue_free(s->other);
    if (s->graph) link->graph_free(s->graph);
    if (s->pinned) link->pin_free(s->device, s->pinned);
    s->device->ops->free(s->device, s->on_device);
    if (s->start) link->event_free(s->start);
    if (s->stop) link->event_free(s->stop);
    pthread_cond_destroy(&s->turned);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static bool open_all(struct state *s, struct kb_error *err)
{
    struct kb_device *d = s->device;
    s->queue = d->ops->queue_new(d, err);
    s->other = s->queue ? d->ops->queue_new(d, err) : NULL;
    s->start = s->other ? d->link->event_new(d, err) : NULL;
    s->stop = s->start ? d->link->event_new(d, err) : NULL;
    return s->stop && (!s->operation->prepare || s->operation->prepare(s, err));
}

static bool sample(void *state, double *value, struct kb_error *err)
{
    struct state *s = state;
    return s->operation->sample(s, value, err);
}

static void *begin(struct kb_device *d, const uint32_t *shape, struct kb_error *err)
{
    double ignored[KB_MAX_VALUES];
    if (shape[0] >= N_OPERATIONS) {
        kb_fail(err, "host: operation %u is not known", (unsigned)shape[0]);
        return NULL;
    }
    struct state *s = calloc(1, sizeof *s);
    if (!s || pthread_mutex_init(&s->lock, NULL) || pthread_cond_init(&s->turned, NULL)) abort();
    s->device = d;
    s->operation = &operations[shape[0]];
    if (open_all(s, err) && sample(s, ignored, err)) return s; /* the first go warms up */
    end(s);
    return NULL;
}

static void grid(struct kb_grid *g)
{
    for (uint32_t i = 0; i < N_OPERATIONS; i++)
        if (i != 1 || !g->cpu) kb_grid_add(g, &i, 1);
}

const struct kb_probe kb_probe_host = {.name = "host",
                                       .family = "small",
                                       .help = "launch, graph, event, synchronisation, thread hand-over",
                                       .keys = keys,
                                       .values = values,
                                       .grid = grid,
                                       .begin = begin,
                                       .sample = sample,
                                       .end = end};
