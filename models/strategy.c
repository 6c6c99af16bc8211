#include "models/strategy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/yaml.h"
#include "sim/check.h"

#define INFO(sym, name, type, unit, least, most, help)                                                       \
    [MDL_KV_##sym] = {name, MDL_KV_##type, unit, least, most, help},
static const struct mdl_kv_key_info key_info[MDL_N_KV_KEY] = {MDL_KV_KEYS(INFO)};
#undef INFO

const struct mdl_kv_key_info *mdl_kv_key_info(enum mdl_kv_key key)
{
    return &key_info[key];
}

/* ---- the list ---- */

enum { MAX_STRATEGIES = 64 };

const struct mdl_strategy *mdl_strategy_find(const char *name, struct sim_status *st)
{
    const char *names[MAX_STRATEGIES + 1] = {NULL};
    size_t n = mdl_strategy_count();
    SIM_CHECK(n <= MAX_STRATEGIES);
    for (size_t i = 0; i < n; i++) {
        names[i] = mdl_strategy_at(i)->name;
        if (strcmp(names[i], name) == 0) return mdl_strategy_at(i);
    }
    sim_fail(st, "kv.strategy: unknown strategy `%.60s`, expected one of `kvsim list strategies`%s", name,
             mdl_hint(name, names).text);
    return NULL;
}

const struct mdl_kv_default *mdl_strategy_default(const struct mdl_strategy *s, enum mdl_kv_key key)
{
    for (uint32_t i = 0; i < s->n_defaults; i++)
        if (s->defaults[i].key == key) return &s->defaults[i];
    return NULL;
}

/* ---- resolving ---- */

struct key_list {
    char text[512];
};

/* "budget, sink, recent" */
static struct key_list keys_of(const struct mdl_strategy *s)
{
    struct key_list list = {""};
    size_t used = 0;
    for (uint32_t i = 0; i < s->n_defaults && used < sizeof list.text; i++)
        used += (size_t)snprintf(list.text + used, sizeof list.text - used, "%s%s", i ? ", " : "",
                                 key_info[s->defaults[i].key].name);
    return list;
}

static bool no_such_key(const struct mdl_strategy *s, enum mdl_kv_key key, struct sim_status *st)
{
    struct key_list list = keys_of(s);
    return sim_fail(st, "kv.%s: strategy %s has no such parameter; it takes %s", key_info[key].name, s->name,
                    list.text[0] ? list.text : "none");
}

static bool value_ok(enum mdl_kv_key key, double value, struct sim_status *st)
{
    const struct mdl_kv_key_info *k = &key_info[key];
    const char *unit = k->type == MDL_KV_CHOICE ? "" : k->unit, *space = unit[0] ? " " : "";
    if (!(value >= k->least && value <= k->most)) {
        if (k->type == MDL_KV_CHOICE)
            return sim_fail(st, "kv.%s: choice %.10g is none of %s", k->name, value, k->unit);
        return sim_fail(st, "kv.%s: %.10g is outside %.10g to %.10g%s%s", k->name, value, k->least, k->most,
                        space, unit);
    }
    if (k->type != MDL_KV_REAL && value != floor(value))
        return sim_fail(st, "kv.%s: %.10g is no whole number%s%s", k->name, value, unit[0] ? " of " : "",
                        unit);
    return true;
}

static bool resolve(struct mdl_kv_use *u, enum mdl_kv_key key, double given, struct sim_status *st)
{
    const struct mdl_kv_default *d = mdl_strategy_default(u->strategy, key);
    u->value[key] = d ? d->value : NAN;
    if (isnan(given)) return true;
    if (!d) return no_such_key(u->strategy, key, st);
    u->value[key] = given;
    return value_ok(key, given, st);
}

/* KV heads on one rank: tensor parallelism above their number replicates them. */
static uint32_t kv_heads_on_rank(const struct mdl_arch *a, uint32_t tp)
{
    return a->n_kv_heads > tp ? a->n_kv_heads / tp : 1;
}

bool mdl_kv_use_init(struct mdl_kv_use *u, const struct mdl_strategy *s, const double given[MDL_N_KV_KEY],
                     const struct mdl_arch *arch, uint32_t tp, uint32_t layers, uint32_t block_size,
                     struct sim_status *st)
{
    SIM_CHECK(tp >= 1 && layers >= 1 && block_size >= 1);
    struct mdl_kv_use use = {.strategy = s,
                             .n_layers = layers,
                             .q_heads = arch->n_q_heads / tp,
                             .kv_heads = kv_heads_on_rank(arch, tp),
                             .head_dim = arch->head_dim,
                             .hidden = arch->hidden,
                             .block_size = block_size};
    for (enum mdl_kv_key key = 0; key < MDL_N_KV_KEY; key++)
        if (!resolve(&use, key, given[key], st)) return false;
    if (s->check && !s->check(&use, st)) return false;
    *u = use;
    return true;
}

double mdl_kv_token_bytes(const struct mdl_kv_use *u)
{
    return 2.0 * u->n_layers * u->kv_heads * u->head_dim * 2;
}
