#include "kernels/kvbench/measure.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/host.h"
#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/util.h"

enum { SAMPLES = 20, FEWEST = 3, PILOT = 2, SEED = 1 };

static const double POINT_S = 0.3, POINT_BYTES = 4.5e9, MEMORY_FRAC = 0.9;

/* --- samples --- */

/* What is timed: fills `values` arrays of n samples each. */
struct sampler {
    bool (*take)(const struct sampler *s, uint32_t n, double *const *value, struct kb_error *err);
    const struct kvb_meter *meter;
    const struct kb_kernel *kernel;
    const void *args;
    bool cold;
    const struct kb_probe *probe;
    void *state;
    uint32_t n_values;
};

static bool take_kernel(const struct sampler *s, uint32_t n, double *const *value, struct kb_error *err)
{
    struct kb_device *d = s->meter->device;
    struct kb_timing t = {
        .launch = d->kernel[s->kernel->id], .args = &s->args, .n_args = 1, .n_samples = n, .cold = s->cold};
    return d->ops->time(d, &t, value[0], err);
}

static bool take_probe(const struct sampler *s, uint32_t n, double *const *value, struct kb_error *err)
{
    double one[KB_MAX_VALUES];
    for (uint32_t i = 0; i < n; i++) {
        if (!s->probe->sample(s->state, one, err)) return false;
        for (uint32_t v = 0; v < s->n_values; v++) value[v][i] = one[v];
    }
    return true;
}

struct outcome {
    struct kvb_stats stats[KB_MAX_VALUES];
};

static bool take(const struct sampler *s, uint32_t n, struct outcome *out, struct kb_error *err)
{
    double room[KB_MAX_VALUES][SAMPLES], *value[KB_MAX_VALUES];
    for (int v = 0; v < KB_MAX_VALUES; v++) value[v] = room[v];
    if (!s->take(s, n, value, err)) return false;
    for (uint32_t v = 0; v < s->n_values; v++) out->stats[v] = kvb_stats_of(value[v], n);
    return true;
}

/* Warm-up and pilot in one, then the samples that the time allows, then again when they spread too far. */
static bool sample(const struct sampler *s, struct outcome *out, struct kb_error *err)
{
    struct outcome again;
    double began = kb_now_s();
    if (!take(s, PILOT, out, err)) return false;
    double affordable = POINT_S * PILOT / (kb_now_s() - began + 1e-9);
    uint32_t n = affordable >= SAMPLES ? SAMPLES : affordable <= FEWEST ? FEWEST : (uint32_t)affordable;
    if (!take(s, n, out, err)) return false;
    if (out->stats[0].spread_frac <= s->meter->spread_limit) return true;
    if (!take(s, n, &again, err)) return false;
    if (again.stats[0].spread_frac < out->stats[0].spread_frac) *out = again;
    return true;
}

static enum kvb_status judge(const struct kvb_meter *m, const struct outcome *o)
{
    return o->stats[0].spread_frac <= m->spread_limit ? KVB_OK : KVB_NOISY;
}

/* --- kernels --- */

static void time_heat(const struct sampler *s, const struct kb_case *c, struct kvb_row *row,
                      struct kb_error *why)
{
    struct outcome o;
    memcpy(row->shape, c->shape, sizeof row->shape);
    row->heat = s->cold ? KVB_COLD : KVB_HOT;
    row->status = KVB_FAILED;
    if (!sample(s, &o, why)) return;
    row->status = judge(s->meter, &o);
    row->number[KVB_TIME_S] = o.stats[0].median;
    row->number[KVB_MIN_S] = o.stats[0].least;
    row->number[KVB_SPREAD_FRAC] = o.stats[0].spread_frac;
    row->number[KVB_SAMPLES] = o.stats[0].n;
    row->number[KVB_BYTES] = c->bytes;
    row->number[KVB_FLOPS] = c->flops;
}

static bool fits(const struct kvb_meter *m, const struct kb_case *c, struct kb_error *why)
{
    uint64_t needed = kb_case_device_bytes(c), there = m->device->ops->memory_free(m->device);
    if (c->bytes > POINT_BYTES) return kb_fail(why, "moves %.3g bytes, more than one point may", c->bytes);
    if ((double)needed <= MEMORY_FRAC * (double)there) return true;
    return kb_fail(why, "needs %llu bytes of memory, %llu are free", (unsigned long long)needed,
                   (unsigned long long)there);
}

/* The first launch: false when this device has no code for the shape, or broke on it. */
static bool launches(const struct kvb_meter *m, const struct kb_loaded *l, const struct kb_kernel *k,
                     enum kvb_status *status, struct kb_error *why)
{
    *status = KVB_UNSUPPORTED;
    if (!m->device->kernel[k->id](m->queue, l->args.bytes, why)) return false;
    *status = KVB_FAILED;
    return m->device->ops->wait(m->queue, why);
}

/* Data that the cache holds; and the elementwise kernels, whose input was just written when they run. */
static bool is_hot_too(const struct kvb_meter *m, const struct kb_case *c)
{
    return kb_case_device_bytes(c) <= m->device->info.cache_bytes || strcmp(c->kernel->family, "small") == 0;
}

static uint32_t measure_loaded(const struct kvb_meter *m, const struct kb_case *c, const struct kb_loaded *l,
                               struct kvb_row rows[2], struct kb_error *why)
{
    struct sampler s = {.take = take_kernel,
                        .meter = m,
                        .kernel = c->kernel,
                        .args = l->args.bytes,
                        .cold = true,
                        .n_values = 1};
    if (!launches(m, l, c->kernel, &rows[0].status, why)) return 1;
    time_heat(&s, c, &rows[0], why);
    if (!is_hot_too(m, c) || rows[0].status == KVB_FAILED) return 1;
    s.cold = false;
    time_heat(&s, c, &rows[1], why);
    return 2;
}

uint32_t kvb_measure_kernel(const struct kvb_meter *m, const struct kb_kernel *k, const uint32_t *shape,
                            struct kvb_row rows[2], struct kb_error *why)
{
    struct kb_case *c = kb_case_new(k, shape, SEED, false);
    struct kb_loaded *l = NULL;
    uint32_t n = 1;
    memset(rows, 0, 2 * sizeof *rows);
    memcpy(rows[0].shape, c->shape, sizeof rows[0].shape);
    rows[0].status = KVB_TOO_BIG;
    if (fits(m, c, why)) l = kb_case_load(c, m->device, why);
    if (l) n = measure_loaded(m, c, l, rows, why);
    kb_loaded_free(l);
    kb_case_free(c);
    return n;
}

/* --- probes --- */

void kvb_measure_probe(const struct kvb_meter *m, const struct kb_probe *p, const uint32_t *shape,
                       struct kvb_row *row, struct kb_error *why)
{
    struct outcome o;
    struct sampler s = {.take = take_probe, .meter = m, .probe = p, .n_values = kb_n_keys(p->values)};
    *row = (struct kvb_row){.status = KVB_UNSUPPORTED};
    memcpy(row->shape, shape, sizeof row->shape);
    s.state = p->begin(m->device, shape, why);
    if (!s.state) return;
    row->status = KVB_FAILED;
    if (sample(&s, &o, why)) {
        row->status = judge(m, &o);
        for (uint32_t v = 0; v < s.n_values; v++) row->number[v] = o.stats[v].median;
        row->number[s.n_values] = o.stats[0].spread_frac;
        row->number[s.n_values + 1] = o.stats[0].n;
        row->number[s.n_values + 2] = p->bytes ? p->bytes(shape) : 0;
    }
    p->end(s.state);
}

/* --- correct before timed --- */

bool kvb_measure_check(const struct kvb_meter *m, const struct kb_kernel *k, struct kb_error *err)
{
    struct kb_grid g = {
        .suite = KB_SUITE_CHECK, .cpu = strcmp(m->device->kind, "cpu") == 0, .device = m->device->info};
    struct kb_error why = {""};
    bool ok = true;
    k->grid(&g);
    for (size_t i = 0; ok && i < g.n; i += g.n / 2 ? g.n / 2 : 1) {
        struct kb_verdict v;
        bool ran = kb_case_check(k, g.shape[i], SEED + i, m->device, &v, &why);
        if (ran && v.error <= v.limit) continue;
        char *shape = kvb_shape_text(k->keys, g.shape[i]);
        ok = kb_fail(err, "its check failed at %s: %s", shape, ran ? v.text : why.text);
        free(shape);
    }
    kb_grid_free(&g);
    return ok;
}
