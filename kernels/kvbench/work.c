#include "kernels/kvbench/work.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/util.h"

/* Shares of the time. */
static const struct kvb_family families[] = {
    {"ceiling", 1, 0},  {"gemm", 3, 0},   {"prefill", 2, 0}, {"decode", 4, 0},
    {"compress", 2, 0}, {"choose", 1, 0}, {"move", 3, 0},    {"small", 1, 0},
};

static uint32_t family_index(struct kvb_work *w, const char *name)
{
    for (uint32_t i = 0; i < w->n_families; i++)
        if (strcmp(w->family[i].name, name) == 0) return i;
    if (w->n_families == KVB_MAX_FAMILIES) abort();
    w->family[w->n_families] = (struct kvb_family){name, 1, 0};
    return w->n_families++;
}

/* --- ceilings --- */

static void add_first(struct kvb_work *w, struct kvb_source *s, size_t at)
{
    w->first = kvb_grow(w->first, &w->first_room, w->n_first + 1, sizeof *w->first);
    w->first[w->n_first++] = (struct kvb_point){s, at};
}

/* How much a point does: flops of a matrix product, else bytes. */
static double size_of(const struct kvb_source *s, size_t at)
{
    if (!s->kernel) return s->probe->bytes ? s->probe->bytes(s->grid.shape[at]) : 0;
    struct kb_case *c = kb_case_new(s->kernel, s->grid.shape[at], 1, false);
    double size = c->flops > 0 ? c->flops : c->bytes;
    kb_case_free(c);
    return size;
}

static int key_index(const struct kvb_source *s, const char *key)
{
    const char *const *keys = s->kernel ? s->kernel->keys : s->probe->keys;
    for (int i = 0; keys[i]; i++)
        if (strcmp(keys[i], key) == 0) return i;
    return -1;
}

/* The point that does most of those whose key has a value; column -1: of all. */
static void add_largest(struct kvb_work *w, struct kvb_source *s, int column, uint32_t value)
{
    size_t best = s->grid.n;
    double most = -1;
    for (size_t i = 0; i < s->grid.n; i++) {
        double size = column < 0 || s->grid.shape[i][column] == value ? size_of(s, i) : -1;
        if (size <= most) continue;
        most = size;
        best = i;
    }
    if (best < s->grid.n) add_first(w, s, best);
}

/* The matrix rate of each format, each direction of the link. */
static void add_largest_each(struct kvb_work *w, struct kvb_source *s, const char *key)
{
    enum { MOST_WORDS = 8 };
    int column = key_index(s, key);
    for (uint32_t value = 0; column >= 0 && value < MOST_WORDS; value++) add_largest(w, s, column, value);
}

static void add_ceilings(struct kvb_work *w)
{
    for (uint32_t i = 0; i < w->n_sources; i++)
        if (!w->source[i].closed && strcmp(w->family[w->source[i].family].name, "ceiling") == 0)
            add_largest(w, &w->source[i], -1, 0);
    for (uint32_t i = 0; i < w->n_sources; i++) {
        struct kvb_source *s = &w->source[i];
        if (!s->closed && strcmp(s->name, "gemm") == 0) add_largest_each(w, s, "format");
        if (!s->closed && strcmp(s->name, "transfer") == 0) add_largest_each(w, s, "direction");
    }
}

/* --- the list --- */

static void mark_recorded(struct kvb_source *s)
{
    for (size_t i = 0; i < s->grid.n; i++)
        s->done[i] = kvb_sheet_find(s->sheet, s->grid.shape[i], KVB_COLD) != NULL;
}

static bool is_first(const struct kvb_work *w, const struct kvb_source *s, size_t at)
{
    for (size_t i = 0; i < w->n_first; i++)
        if (w->first[i].source == s && w->first[i].at == at) return true;
    return false;
}

/* Leaves out what --only does not want, and counts. */
static void count_points(struct kvb_work *w, const char *only)
{
    for (uint32_t i = 0; i < w->n_sources; i++) {
        struct kvb_source *s = &w->source[i];
        bool wanted = kvb_is_wanted(only, s->name, w->family[s->family].name);
        for (size_t j = 0; j < s->grid.n; j++) {
            bool counts = !s->closed && (wanted || is_first(w, s, j));
            w->n_points += counts;
            w->n_done += counts && s->done[j];
            s->done[j] |= !wanted && !is_first(w, s, j);
            s->n_done += s->done[j];
        }
    }
}

static bool add_source(struct kvb_work *w, struct kvb_source s, const struct kb_device *d, const char *folder,
                       struct kb_error *err)
{
    (s.kernel ? s.kernel->grid : s.probe->grid)(&s.grid);
    s.done = kvb_alloc(s.grid.n, sizeof *s.done);
    s.sheet = kvb_sheet_open(folder, s.kernel, s.probe, err);
    if (s.sheet) mark_recorded(&s);
    w->source[w->n_sources++] = s;
    if (s.kernel && !d->kernel[s.kernel->id])
        w->source[w->n_sources - 1].closed = kvb_printf("this device has no such kernel");
    return s.sheet != NULL;
}

static bool add_sources(struct kvb_work *w, const struct kb_device *d, const struct kb_grid *g,
                        const char *folder, struct kb_error *err)
{
    bool ok = true;
    for (int i = 0; ok && i < KB_N_KERNEL; i++) {
        const struct kb_kernel *k = kb_kernels[i];
        if (!k) continue;
        struct kvb_source s = {.kernel = k, .name = k->name, .help = k->help, .grid = *g};
        s.family = family_index(w, k->family);
        ok = add_source(w, s, d, folder, err);
    }
    for (int i = 0; ok && kb_probes[i]; i++) {
        const struct kb_probe *p = kb_probes[i];
        struct kvb_source s = {.probe = p, .name = p->name, .help = p->help, .grid = *g};
        s.family = family_index(w, p->family);
        ok = add_source(w, s, d, folder, err);
    }
    return ok;
}

static uint32_t count_sources(void)
{
    uint32_t n = KB_N_KERNEL;
    for (int i = 0; kb_probes[i]; i++) n++;
    return n;
}

struct kvb_work *kvb_work_new(const struct kb_device *d, const struct kvb_plan_of_work *plan,
                              const char *folder, struct kb_error *err)
{
    struct kvb_work *w = kvb_alloc(1, sizeof *w);
    struct kb_grid g = {
        .suite = plan->suite, .model = plan->model, .device = d->info, .cpu = strcmp(d->kind, "cpu") == 0};
    w->source = kvb_alloc(count_sources(), sizeof *w->source);
    memcpy(w->family, families, sizeof families);
    w->n_families = sizeof families / sizeof *families;
    if (add_sources(w, d, &g, folder, err)) {
        add_ceilings(w);
        count_points(w, plan->only);
        return w;
    }
    kvb_work_free(w);
    return NULL;
}

void kvb_work_free(struct kvb_work *w)
{
    if (!w) return;
    for (uint32_t i = 0; i < w->n_sources; i++) {
        struct kvb_source *s = &w->source[i];
        kb_grid_free(&s->grid);
        kvb_sheet_close(s->sheet);
        free(s->done);
        free(s->closed);
    }
    free(w->source);
    free(w->first);
    free(w);
}

/* --- order --- */

static bool is_open(const struct kvb_source *s)
{
    return !s->closed && s->n_done < s->grid.n;
}

static double progress_of(const struct kvb_source *s)
{
    return (double)s->n_done / (double)s->grid.n;
}

static bool is_before(const struct kvb_work *w, const struct kvb_source *a, const struct kvb_source *b)
{
    const struct kvb_family *f = &w->family[a->family], *g = &w->family[b->family];
    if (f == g) return progress_of(a) < progress_of(b);
    return f->spent_s / f->weight < g->spent_s / g->weight;
}

bool kvb_work_next(struct kvb_work *w, struct kvb_point *out)
{
    for (; w->next_first < w->n_first; w->next_first++) {
        *out = w->first[w->next_first];
        if (!out->source->closed && !out->source->done[out->at]) return true;
    }
    struct kvb_source *best = NULL;
    for (uint32_t i = 0; i < w->n_sources; i++)
        if (is_open(&w->source[i]) && (!best || is_before(w, &w->source[i], best))) best = &w->source[i];
    if (!best) return false;
    *out = (struct kvb_point){best, 0};
    while (best->done[out->at]) out->at++;
    return true;
}

void kvb_work_did(struct kvb_work *w, struct kvb_point p, double spent_s)
{
    p.source->done[p.at] = true;
    p.source->n_done++;
    w->n_done++;
    w->family[p.source->family].spent_s += spent_s;
}

void kvb_work_close(struct kvb_work *w, struct kvb_source *s, const char *why)
{
    w->n_points -= s->grid.n - s->n_done;
    if (!s->closed) s->closed = kvb_printf("%s", why);
}
