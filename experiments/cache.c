#include "experiments/cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/datadir.h"
#include "sim/memory.h"

enum kind { ARCH, ENGINE, PROFILE, TRACE };

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
    struct entry *first;
};

struct exp_cache *exp_cache_new(struct sim_status *st)
{
    struct exp_cache *c = sim_alloc(1, sizeof *c);
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

static void free_value(const struct entry *e)
{
    if (e->kind == PROFILE)
        mdl_profile_free(e->value);
    else if (e->kind == TRACE)
        trc_free(e->value);
    else
        free(e->value);
}

void exp_cache_free(struct exp_cache *c)
{
    if (!c) return;
    while (c->first) {
        struct entry *e = c->first;
        c->first = e->next;
        free_value(e);
        free(e->key);
        free(e);
    }
    mdl_gpu_catalogue_free(c->gpus);
    free(c->data_dir);
    free(c);
}

const char *exp_cache_data_dir(const struct exp_cache *c)
{
    return c->data_dir;
}

const struct mdl_gpu_catalogue *exp_cache_gpus(const struct exp_cache *c)
{
    return c->gpus;
}

static void *lookup(const struct exp_cache *c, enum kind kind, const char *key)
{
    for (const struct entry *e = c->first; e; e = e->next)
        if (e->kind == kind && strcmp(e->key, key) == 0) return e->value;
    return NULL;
}

static void *keep(struct exp_cache *c, enum kind kind, const char *key, void *value)
{
    struct entry *e = sim_alloc(1, sizeof *e);
    *e = (struct entry){c->first, kind, sim_strdup(key), value};
    c->first = e;
    return value;
}

const struct mdl_arch *exp_cache_arch(struct exp_cache *c, const char *name_or_path, struct sim_status *st)
{
    struct mdl_arch *a = lookup(c, ARCH, name_or_path);
    if (a) return a;
    a = sim_alloc(1, sizeof *a);
    if (mdl_arch_load(c->data_dir, name_or_path, a, st)) return keep(c, ARCH, name_or_path, a);
    free(a);
    return NULL;
}

const struct mdl_engine *exp_cache_engine(struct exp_cache *c, const char *name_or_path,
                                          struct sim_status *st)
{
    struct mdl_engine *e = lookup(c, ENGINE, name_or_path);
    if (e) return e;
    e = sim_alloc(1, sizeof *e);
    if (mdl_engine_load(c->data_dir, name_or_path, e, st)) return keep(c, ENGINE, name_or_path, e);
    free(e);
    return NULL;
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
    if (!p) {
        p = load_profile(c, name, gpu, st);
        if (p) keep(c, PROFILE, key, p);
    }
    free(key);
    return p;
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
    if (!t) {
        t = trc_read(w->trace, &o, st);
        if (t) keep(c, TRACE, key, t);
    }
    free(key);
    return t;
}
