/* What it costs to pin host memory: pages found, zeroed, locked and mapped for the device. */
#include <stdlib.h>

#include "kernels/host.h"
#include "kernels/link.h"
#include "kernels/probe.h"

static const char *const keys[] = {"mib", NULL};
static const char *const values[] = {"time_s", "free_s", NULL};

struct state {
    struct kb_device *device;
    size_t bytes;
};

static bool sample(void *state, double *value, struct kb_error *err)
{
    struct state *s = state;
    double began = kb_now_s();
    void *p = s->device->link->pin_alloc(s->device, s->bytes, err);
    double pinned = kb_now_s();
    if (!p) return false;
    s->device->link->pin_free(s->device, p);
    value[0] = pinned - began;
    value[1] = kb_now_s() - pinned;
    return true;
}

static void *begin(struct kb_device *d, const uint32_t *shape, struct kb_error *err)
{
    struct state *s = malloc(sizeof *s);
    double ignored[KB_MAX_VALUES];
    if (!s) abort();
    *s = (struct state){.device = d, .bytes = (size_t)shape[0] << 20};
    if (sample(s, ignored, err)) return s;
    free(s);
    return NULL;
}

static void end(void *state)
{
    free(state);
}

static double bytes(const uint32_t *shape)
{
    return 1048576.0 * shape[0];
}

static void grid(struct kb_grid *g)
{
    uint32_t mib = g->suite == KB_SUITE_CHECK ? 1 : g->cpu ? 256 : 1024, small = 64;
    kb_grid_add(g, &mib, 1);
    if (g->suite == KB_SUITE_FULL) kb_grid_add(g, &small, 1);
}

const struct kb_probe kb_probe_pin = {.name = "pin",
                                      .family = "move",
                                      .help = "pinning host memory and letting it go",
                                      .keys = keys,
                                      .values = values,
                                      .grid = grid,
                                      .begin = begin,
                                      .sample = sample,
                                      .end = end,
                                      .bytes = bytes};
