/* How fast the main thread launches kernels while other threads submit copies: the driver serialises both. */
#include <stdlib.h>

#include "kernels/host.h"
#include "kernels/probe.h"
#include "kernels/probes/copier.h"

enum { MOST_COPIERS = 2, LAUNCHES = 256, FRAGMENTS = 256, FRAGMENT_BYTES = 16384 };

static const char *const keys[] = {"copy_threads", NULL};
/* Of one launch in the calls, of one until its kernel is over, and of one copy in its thread's calls. */
static const char *const values[] = {"time_s", "total_s", "copy_submit_s", NULL};

struct state {
    struct kb_device *device;
    struct kb_queue *queue;
    struct kb_copier *copier[MOST_COPIERS];
    uint32_t n;
};

static void end(void *state)
{
    struct state *s = state;
    for (uint32_t i = 0; i < s->n; i++) kb_copier_free(s->copier[i]);
    if (s->queue) s->device->ops->queue_free(s->queue);
    free(s);
}

static void *begin(struct kb_device *d, const uint32_t *shape, struct kb_error *err)
{
    static const struct kb_traffic_plan plan = {
        .method = KB_BY_LOOP, .direction = KB_TO_DEVICE, .n = FRAGMENTS, .fragment_bytes = FRAGMENT_BYTES};
    struct state *s = calloc(1, sizeof *s);
    if (!s) abort();
    s->device = d;
    s->queue = d->ops->queue_new(d, err);
    while (s->queue && s->n < MOST_COPIERS && s->n < shape[0]) {
        s->copier[s->n] = kb_copier_new(d, &plan, err);
        if (!s->copier[s->n]) break;
        kb_copier_go(s->copier[s->n]);
        kb_copier_await(s->copier[s->n++], 1);
    }
    if (s->queue && s->n == shape[0]) return s;
    end(s);
    return NULL;
}

static bool launch_all(struct state *s, double *value, struct kb_error *err)
{
    double began = kb_now_s();
    for (uint32_t i = 0; i < LAUNCHES; i++)
        if (!s->device->link->launch_empty(s->queue, err)) return false;
    value[0] = (kb_now_s() - began) / LAUNCHES;
    bool ok = s->device->ops->wait(s->queue, err);
    value[1] = (kb_now_s() - began) / LAUNCHES;
    return ok;
}

static bool sample(void *state, double *value, struct kb_error *err)
{
    struct state *s = state;
    uint64_t rounds = 0;
    double submit_s = 0;
    if (!launch_all(s, value, err)) return false;
    for (uint32_t i = 0; i < s->n; i++) {
        struct kb_copier_count count = kb_copier_read(s->copier[i]);
        if (!kb_copier_is_well(s->copier[i], err)) return false;
        rounds += count.rounds;
        submit_s += count.submit_s;
    }
    value[2] = rounds ? submit_s / (double)rounds / FRAGMENTS : 0;
    return true;
}

static void grid(struct kb_grid *g)
{
    static const uint32_t all[] = {0, 2, 1};
    uint32_t n = g->suite == KB_SUITE_FULL ? 3 : 2;
    for (uint32_t i = 0; i < n; i++) kb_grid_add(g, &all[i], 1);
}

const struct kb_probe kb_probe_launch_rate = {.name = "launch_rate",
                                              .family = "move",
                                              .help = "kernel launches while other threads submit copies",
                                              .keys = keys,
                                              .values = values,
                                              .grid = grid,
                                              .begin = begin,
                                              .sample = sample,
                                              .end = end};
