/* For tests of single strategies: one on a model of the catalogue with some parameters set, what it says of itself,
 * and its pages counted by the words of struct sim_kv_term. */
#ifndef KVSIM_TESTS_STRATEGY_HELP_H
#define KVSIM_TESTS_STRATEGY_HELP_H

#include "models/strategy.h"
#include "tests/harness.h"

#include <math.h>
#include <string.h>

static const char *const strategy_models[] = {"llama-2-7b", "llama-3.1-8b", "qwen2.5-7b", "qwen2.5-14b",
                                              "llama-3.1-70b"};
enum { STRATEGY_MODELS = sizeof strategy_models / sizeof *strategy_models, STRATEGY_BLOCK = 16 };

struct set {
    enum mdl_kv_key key;
    double value;
};

static inline bool try_use(struct mdl_kv_use *u, const char *name, const char *model, const struct set *sets,
                           struct sim_status *st)
{
    struct sim_status ok = {0};
    struct mdl_arch a;
    const struct mdl_strategy *s = mdl_strategy_find(name, &ok);
    ck_assert_msg(s && mdl_arch_load(".", model, &a, &ok), "%s", ok.message);
    double given[MDL_N_KV_KEY];
    for (int k = 0; k < MDL_N_KV_KEY; k++) given[k] = NAN;
    for (; sets->key < MDL_N_KV_KEY; sets++) given[sets->key] = sets->value;
    return mdl_kv_use_init(u, s, given, &a, 1, a.n_layers, STRATEGY_BLOCK, st);
}

static inline struct mdl_kv_use use_of(const char *name, const char *model, const struct set *sets)
{
    struct sim_status st = {0};
    struct mdl_kv_use u;
    ck_assert_msg(try_use(&u, name, model, sets, &st), "%s: %s", name, st.message);
    return u;
}

/* A strategy with its defaults but for pairs of key and value. */
#define SETS(...)             ((const struct set[]){__VA_ARGS__{MDL_N_KV_KEY, 0}})
#define USE(name, model, ...) use_of(name, model, SETS(__VA_ARGS__))

/* A strategy with its defaults. */
static inline struct mdl_kv_use plain(const char *name, const char *model)
{
    return use_of(name, model, (const struct set[]){{MDL_N_KV_KEY, 0}});
}

/* The one line with which these parameters are refused. */
static inline struct sim_status refusal(const char *name, const struct set *sets)
{
    struct sim_status st = {0};
    struct mdl_kv_use u;
    ck_assert_msg(!try_use(&u, name, "llama-3.1-8b", sets, &st), "%s takes it", name);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    return st;
}
#define REFUSED(name, names, ...)                                                                            \
    do {                                                                                                     \
        struct sim_status st_ = refusal(name, SETS(__VA_ARGS__));                                            \
        ck_assert_msg(strncmp(st_.message, names ":", strlen(names) + 1) == 0, "%s: %s", name, st_.message); \
    } while (0)

static inline struct mdl_kv_memory memory_of(const struct mdl_kv_use *u)
{
    struct mdl_kv_memory m = {0};
    u->strategy->memory(u, &m);
    return m;
}

static inline struct mdl_kv_decode decode_of(const struct mdl_kv_use *u)
{
    struct mdl_kv_decode d = {0};
    u->strategy->decode(u, &d);
    return d;
}

static inline struct mdl_kv_prefill prefill_of(const struct mdl_kv_use *u)
{
    struct mdl_kv_prefill p = {0};
    if (u->strategy->prefill) u->strategy->prefill(u, &p);
    return p;
}

static inline double gpu_of(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return u->strategy->gpu_bytes(u, at);
}

static inline double host_of(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return u->strategy->host_bytes ? u->strategy->host_bytes(u, at) : 0;
}

/* A prompt of `tokens` that is complete, and one of which all but a token is there. */
static inline struct sim_kv_length prompt(uint32_t tokens)
{
    return (struct sim_kv_length){tokens, tokens};
}

static inline struct sim_kv_length filling(uint32_t tokens)
{
    return (struct sim_kv_length){tokens, tokens + 1};
}

static inline struct sim_kv_rule rule_of(const struct mdl_kv_memory *m)
{
    return (struct sim_kv_rule){.budget = m->budget,
                                .evicts_in_decode = m->evicts_in_decode,
                                .read_cap = m->read_cap,
                                .select_after = m->select_after};
}

/* Whole pages held. */
static inline double paged_bytes(const struct mdl_kv_memory *m, enum sim_kv_place place,
                                 struct sim_kv_length at)
{
    struct sim_kv_rule rule = rule_of(m);
    double bytes = 0;
    for (uint32_t i = 0; i < m->n_parts; i++) {
        const struct mdl_kv_part *p = &m->part[i];
        double n = p->kept ? sim_kv_kept(&rule, at) : at.tokens;
        if (p->fill && at.tokens >= at.filled) n = 0;
        n = fmin(fmax(0, n - p->start), p->cap);
        if (p->place == place) bytes += p->page_bytes * ceil(n / p->page_tokens);
    }
    return bytes;
}

/* Tokens' worth of bf16 KV that decode attention reads. */
static inline double read_tokens(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    struct mdl_kv_memory m = memory_of(u);
    struct sim_kv_rule rule = rule_of(&m);
    return (1 - m.dense_frac) * sim_kv_read(&rule, at) + m.dense_frac * at.tokens;
}

static inline bool selects(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    struct mdl_kv_memory m = memory_of(u);
    return at.tokens > m.select_after;
}

static inline void assert_near(double a, double b)
{
    ck_assert_msg(fabs(a - b) <= 1e-11 * fmax(fabs(a), fabs(b)), "%.17g is not %.17g", a, b);
}

/* Pages are never less than the closed form, and the same where every page is full; from 1 token to `most`. */
static inline void assert_pages_meet(const struct mdl_kv_use *u, uint32_t filled, uint32_t aligned,
                                     uint32_t most)
{
    struct mdl_kv_memory m = memory_of(u);
    for (uint32_t n = 1; n <= most; n += n % 97 + 13) {
        uint32_t whole = (n + aligned - 1) / aligned * aligned;
        struct sim_kv_length at = {n, filled}, full = {whole, filled};
        double gpu = gpu_of(u, at), host = host_of(u, at), slack = 1 - 1e-12;
        ck_assert_double_ge(paged_bytes(&m, SIM_KV_GPU, at), gpu * slack);
        ck_assert_double_ge(paged_bytes(&m, SIM_KV_HOST, at), host * slack);
        assert_near(paged_bytes(&m, SIM_KV_GPU, full), gpu_of(u, full));
        assert_near(paged_bytes(&m, SIM_KV_HOST, full), host_of(u, full));
    }
}

/* Every default lies in the range of its sources and of its key, and has a source. */
static inline void assert_table_is_sound(const char *name)
{
    struct mdl_kv_use u = plain(name, "llama-3.1-8b");
    const struct mdl_strategy *s = u.strategy;
    for (uint32_t i = 0; i < s->n_defaults; i++) {
        const struct mdl_kv_default *d = &s->defaults[i];
        const struct mdl_kv_key_info *k = mdl_kv_key_info(d->key);
        ck_assert_msg(d->low <= d->value && d->value <= d->high, "%s %s", name, k->name);
        ck_assert_msg(k->least <= d->low && d->high <= k->most, "%s %s", name, k->name);
        ck_assert_msg(strlen(d->source) > 8, "%s %s", name, k->name);
        ck_assert_msg(k->type == MDL_KV_REAL || d->value == floor(d->value), "%s %s", name, k->name);
        ck_assert_msg(mdl_strategy_default(s, d->key) == d, "%s %s twice", name, k->name);
        assert_near(u.value[d->key], d->value);
    }
    ck_assert_double_eq(u.value[MDL_KV_GRAPH], s->graph);
    ck_assert_msg(s->help && s->source && s->flash && s->paged && s->fallback, "%s", name);
}

#endif
