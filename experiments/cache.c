#include "experiments/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/costs.h"
#include "models/datadir.h"
#include "models/published_rows.h"
#include "sim/memory.h"

enum kind { ARCH, ENGINE, PROFILE, METHODS, LENGTHS, QUALITY, TRACE };

static const char SHIPPED_QUALITY[] = "models/quality/llama-3-8b-longbench.csv";

/* One thing that was loaded; the key says everything that it depends on. */
struct entry {
    struct entry *next;
    enum kind kind;
    char *key;
    void *value;
};

struct exp_cache {
    char *data_dir;
    struct mdl_gpu_catalogue *gpus;
    pthread_mutex_t lock; /* of the list */
    struct entry *first;
    struct exp_costs *costs; /* NULL = not shared */
};

struct exp_cache *exp_cache_new(struct sim_status *st)
{
    struct exp_cache *c = sim_alloc(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->data_dir = mdl_data_dir(st);
    if (c->data_dir) {
        char *csv = sim_printf("%s/models/gpus.csv", c->data_dir);
        c->gpus = mdl_gpu_catalogue_load(csv, st);
        free(csv);
    }
    if (c->gpus) return c;
    exp_cache_free(c);
    return NULL;
}

static void free_quality(struct mdl_quality *q)
{
    mdl_quality_fini(q);
    free(q);
}

static void free_value(const struct entry *e)
{
    if (e->kind == PROFILE)
        mdl_profile_free(e->value);
    else if (e->kind == METHODS)
        mdl_methods_free(e->value);
    else if (e->kind == QUALITY)
        free_quality(e->value);
    else if (e->kind == TRACE)
        trc_free(e->value);
    else
        free(e->value);
}

void exp_cache_free(struct exp_cache *c)
{
    if (!c) return;
    exp_costs_free(c->costs);
    while (c->first) {
        struct entry *e = c->first;
        c->first = e->next;
        free_value(e);
        free(e->key);
        free(e);
    }
    mdl_gpu_catalogue_free(c->gpus);
    pthread_mutex_destroy(&c->lock);
    free(c->data_dir);
    free(c);
}

void exp_cache_share_costs(struct exp_cache *c)
{
    if (!c->costs) c->costs = exp_costs_new();
}

struct exp_costs *exp_cache_costs(struct exp_cache *c)
{
    return c->costs;
}

const char *exp_cache_data_dir(const struct exp_cache *c)
{
    return c->data_dir;
}

const struct mdl_gpu_catalogue *exp_cache_gpus(const struct exp_cache *c)
{
    return c->gpus;
}

/* NULL when it is not there yet: then the cache waits for keep(), so that two threads never load the same. */
static void *lookup(struct exp_cache *c, enum kind kind, const char *key)
{
    pthread_mutex_lock(&c->lock);
    for (const struct entry *e = c->first; e; e = e->next) {
        if (e->kind != kind || strcmp(e->key, key) != 0) continue;
        pthread_mutex_unlock(&c->lock);
        return e->value;
    }
    return NULL;
}

/* What was loaded, or NULL when that failed. */
static void *keep(struct exp_cache *c, enum kind kind, const char *key, void *value)
{
    if (value) {
        struct entry *e = sim_alloc(1, sizeof *e);
        *e = (struct entry){c->first, kind, sim_strdup(key), value};
        c->first = e;
    }
    pthread_mutex_unlock(&c->lock);
    return value;
}

const struct mdl_arch *exp_cache_arch(struct exp_cache *c, const char *name_or_path, struct sim_status *st)
{
    struct mdl_arch *a = lookup(c, ARCH, name_or_path);
    if (a) return a;
    a = sim_alloc(1, sizeof *a);
    if (!mdl_arch_load(c->data_dir, name_or_path, a, st)) {
        free(a);
        a = NULL;
    }
    return keep(c, ARCH, name_or_path, a);
}

const struct mdl_engine *exp_cache_engine(struct exp_cache *c, const char *name_or_path,
                                          struct sim_status *st)
{
    struct mdl_engine *e = lookup(c, ENGINE, name_or_path);
    if (e) return e;
    e = sim_alloc(1, sizeof *e);
    if (!mdl_engine_load(c->data_dir, name_or_path, e, st)) {
        free(e);
        e = NULL;
    }
    return keep(c, ENGINE, name_or_path, e);
}

char *exp_profile_dir(const char *data_dir, const char *name, struct sim_status *st)
{
    char *dir = strchr(name, '/') ? sim_strdup(name) : sim_printf("%s/calib/profiles/%s", data_dir, name);
    char *yaml = sim_printf("%s/profile.yaml", dir);
    bool there = access(yaml, F_OK) == 0;
    free(yaml);
    if (there) return dir;
    free(dir);
    sim_fail(st,
             "no profile `%.200s`, expected one of `kvsim list profiles` or a folder (with a /) that holds "
             "profile.yaml",
             name);
    return NULL;
}

static struct mdl_profile *load_profile(const struct exp_cache *c, const char *name,
                                        const struct mdl_gpu *gpu, struct sim_status *st)
{
    if (!name[0] || strcmp(name, "analytic") == 0) return mdl_profile_analytic(gpu);
    char *dir = exp_profile_dir(c->data_dir, name, st);
    struct mdl_profile *p = dir ? mdl_profile_load(dir, gpu, st) : NULL;
    free(dir);
    return p;
}

const struct mdl_profile *exp_cache_profile(struct exp_cache *c, const char *name, const struct mdl_gpu *gpu,
                                            struct sim_status *st)
{
    if (!name[0]) name = gpu->profile;
    char *key = sim_printf("%s\n%s", name, gpu->name);
    struct mdl_profile *p = lookup(c, PROFILE, key);
    if (!p) p = keep(c, PROFILE, key, load_profile(c, name, gpu, st));
    free(key);
    return p;
}

/* NULL when the card has none that ships. */
static char *shipped_kernels(const struct exp_cache *c, const struct mdl_gpu *gpu)
{
    struct sim_status absent = {0};
    char *name = sim_printf("%s-kvbench", gpu->name), *dir = exp_profile_dir(c->data_dir, name, &absent);
    free(name);
    return dir;
}

bool exp_cache_methods(struct exp_cache *c, const char *name, const struct mdl_gpu *gpu,
                       const struct mdl_methods **out, struct sim_status *st)
{
    char *dir = name[0] ? exp_profile_dir(c->data_dir, name, st) : shipped_kernels(c, gpu);
    if (!dir) {
        if (!name[0]) *out = NULL;
        return !name[0];
    }
    struct mdl_methods *m = lookup(c, METHODS, dir);
    if (!m) m = keep(c, METHODS, dir, mdl_methods_load(dir, st));
    free(dir);
    if (m) *out = m;
    return m != NULL;
}

static bool read_lengths(const struct exp_cache *c, const struct mdl_kv_use *use, const char *pairs_path,
                         struct mdl_lengths *out, struct sim_status *st)
{
    if (pairs_path[0]) return mdl_lengths_read_pairs(pairs_path, out, st);
    char *csv = sim_printf("%s/models/lengths.csv", c->data_dir);
    bool ok = mdl_lengths_load(csv, use, out, st);
    free(csv);
    return ok;
}

/* What answers depend on: a strategy, its parameters, and the user's own file. Free with free(). */
static char *answer_key(const struct mdl_kv_use *use, const char *path)
{
    char *parameters = mdl_answer_parameters(use);
    char *key = sim_printf("%s\n%s\n%s", use->strategy->name, parameters, path);
    free(parameters);
    return key;
}

const struct mdl_lengths *exp_cache_lengths(struct exp_cache *c, const struct mdl_kv_use *use,
                                            const char *pairs_path, struct sim_status *st)
{
    char *key = answer_key(use, pairs_path);
    struct mdl_lengths *l = lookup(c, LENGTHS, key);
    if (!l) {
        l = sim_alloc(1, sizeof *l);
        if (!read_lengths(c, use, pairs_path, l, st)) {
            free(l);
            l = NULL;
        }
        keep(c, LENGTHS, key, l);
    }
    free(key);
    return l;
}

/* Of the user's own record it is said whose it is, where it has no row. */
static void name_record(struct mdl_quality *q, const char *path)
{
    char source[sizeof q->source];
    const char *slash = strrchr(path, '/');
    if (mdl_quality_known(q)) return;
    snprintf(source, sizeof source, "%.80s: %.170s", slash ? slash + 1 : path, q->source);
    memcpy(q->source, source, sizeof source);
}

static struct mdl_quality *read_quality(const struct exp_cache *c, const struct mdl_kv_use *use,
                                        const char *path, struct sim_status *st)
{
    struct mdl_quality *q = sim_alloc(1, sizeof *q);
    char *csv = path[0] ? sim_strdup(path) : sim_printf("%s/%s", c->data_dir, SHIPPED_QUALITY);
    bool ok = mdl_quality_load(csv, use, q, st);
    free(csv);
    if (ok && path[0]) name_record(q, path);
    if (ok) return q;
    free(q);
    return NULL;
}

const struct mdl_quality *exp_cache_quality(struct exp_cache *c, const struct mdl_kv_use *use,
                                            const char *path, struct sim_status *st)
{
    char *key = answer_key(use, path);
    struct mdl_quality *q = lookup(c, QUALITY, key);
    if (!q) q = keep(c, QUALITY, key, read_quality(c, use, path, st));
    free(key);
    return q;
}

const struct trc_trace *exp_cache_trace(struct exp_cache *c, const struct exp_workload_keys *w,
                                        struct sim_status *st)
{
    struct trc_options o = {.time_unit = (enum trc_time_unit)w->time_unit,
                            .columns = w->columns[0] ? w->columns : NULL,
                            .zero_output = (enum trc_zero_output)w->zero_output,
                            .rebase = w->rebase,
                            .spread_ticks = w->spread_ticks,
                            .hash_block_size = (uint32_t)w->hash_block_size,
                            .time_scale = w->time_scale};
    char *key = sim_printf("%s\n%s\n%d %d %d %d %u %a", w->trace, w->columns, w->time_unit, w->zero_output,
                           w->rebase, w->spread_ticks, o.hash_block_size, o.time_scale);
    struct trc_trace *t = lookup(c, TRACE, key);
    if (!t) t = keep(c, TRACE, key, trc_read(w->trace, &o, st));
    free(key);
    return t;
}
