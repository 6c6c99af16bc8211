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

/* Where the user says nothing the corrections follow the threshold. Layer checks that find a head to correct: Llama-3.2-3B
 * at 0.8, R1-Distill-Llama-8B at 0.9 [2nd]; heads corrected then: measured at 0.9, the rest as strategies/freekv.c has
 * it. By definition none below 0, and all below 1. */
static const struct {
    double tau, rate, heads;
} corrected[] = {{0, 0, 0.15}, {0.8, 0.37, 0.35}, {0.9, 0.89, 0.65}, {1, 1, 1}};

static void follow_tau(struct mdl_kv_use *u, const double given[MDL_N_KV_KEY])
{
    double tau = u->value[MDL_KV_TAU];
    if (isnan(tau)) return;
    int i = 1;
    while (tau > corrected[i].tau) i++;
    double above = (tau - corrected[i - 1].tau) / (corrected[i].tau - corrected[i - 1].tau);
    if (isnan(given[MDL_KV_CORRECTION]))
        u->value[MDL_KV_CORRECTION] =
            corrected[i - 1].rate + above * (corrected[i].rate - corrected[i - 1].rate);
    if (isnan(given[MDL_KV_CORRECT_HEADS]))
        u->value[MDL_KV_CORRECT_HEADS] =
            corrected[i - 1].heads + above * (corrected[i].heads - corrected[i - 1].heads);
}

/* Kernels that convert 8 bits come nearer to the bandwidth than those that unpack fewer: tiered's as int8's. */
static void follow_width(struct mdl_kv_use *u, const double given[MDL_N_KV_KEY])
{
    if (u->value[MDL_KV_COLD_BITS] == 8 && isnan(given[MDL_KV_KERNEL_EFFICIENCY]))
        u->value[MDL_KV_KERNEL_EFFICIENCY] = 0.72;
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
    follow_tau(&use, given);
    follow_width(&use, given);
    if (s->check && !s->check(&use, st)) return false;
    *u = use;
    return true;
}

double mdl_kv_token_bytes(const struct mdl_kv_use *u)
{
    return 2.0 * u->n_layers * u->kv_heads * u->head_dim * 2;
}
