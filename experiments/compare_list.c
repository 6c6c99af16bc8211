#include "experiments/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/yaml.h"
#include "sim/line_in.h"
#include "sim/memory.h"

static const char BASELINE[] = "full";
static const char DOZEN[] =
    "fp8,int4,kivi4,gear4,streaming_llm,h2o,snapkv,quest,arkvale,infinigen,shadowkv,freekv";

static bool usage(struct sim_status *st, const char *what)
{
    return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: %s", what);
}

/* ---- one setting ---- */

/* Keys of the scenario's `kv` that are no parameters and that every strategy takes; full is what they refer to. */
static const char *const beside[] = {"length_pairs", "quality", "fallback.when", "fallback.below_tokens"};
enum { N_BESIDE = sizeof beside / sizeof beside[0], MAX_KEYS = MDL_N_KV_KEY + N_BESIDE };

/* What may be set of a strategy, ended by NULL. */
static uint32_t keys_of(const struct mdl_strategy *s, const char *names[MAX_KEYS + 1])
{
    uint32_t n = 0;
    for (int k = 0; k < MDL_N_KV_KEY; k++)
        if (mdl_strategy_default(s, (enum mdl_kv_key)k))
            names[n++] = mdl_kv_key_info((enum mdl_kv_key)k)->name;
    for (int k = 0; k < N_BESIDE && strcmp(s->name, BASELINE) != 0; k++) names[n++] = beside[k];
    names[n] = NULL;
    return n;
}

static bool unknown_key(const struct mdl_strategy *s, const char *key, const char *const *names,
                        struct sim_status *st)
{
    char all[700] = "";
    size_t at = 0;
    if (!names[0])
        return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: %s takes no parameters, found `%.40s`", s->name,
                           key);
    for (int i = 0; names[i] && at < sizeof all; i++)
        at += (size_t)snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", names[i]);
    return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: %s has no parameter `%.40s`, expected one of: %s%s",
                       s->name, key, all, mdl_hint(key, names).text);
}

/* The table's own text of a key; NULL when the strategy does not have it. */
static const char *find_key(const struct mdl_strategy *s, const char *name, struct sim_status *st)
{
    const char *names[MAX_KEYS + 1];
    uint32_t n = keys_of(s, names);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return names[i];
    unknown_key(s, name, names, st);
    return NULL;
}

/* `budget=1024`; changes the text. */
static bool take_setting(struct exp_contender *c, char *text, struct sim_status *st)
{
    char *value = strchr(text, '=');
    if (!value || value == text || !value[1])
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--strategies: `%.60s` of %s is no setting, expected PARAMETER=VALUE", text,
                           c->strategy->name);
    *value++ = '\0';
    const char *key = find_key(c->strategy, text, st);
    if (!key) return false;
    for (uint32_t i = 0; i < c->n_settings; i++)
        if (strcmp(c->setting[i].key, key) == 0)
            return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: %s is given %s twice, expected it once",
                               c->strategy->name, text);
    if (c->n_settings == EXP_MAX_KV_SETTINGS)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--strategies: %s: at most %d settings, found `%s` behind them", c->strategy->name,
                           EXP_MAX_KV_SETTINGS, key);
    c->setting[c->n_settings].key = key;
    snprintf(c->setting[c->n_settings++].value, sizeof c->setting[0].value, "%s", value);
    return true;
}

/* ---- one contender ---- */

/* `freekv:budget=1024`; changes the text. */
static bool take_contender(struct exp_contender *c, char *text, struct sim_status *st)
{
    *c = (struct exp_contender){0};
    if (snprintf(c->label, sizeof c->label, "%s", text) >= (int)sizeof c->label)
        return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: `%.40s...` is longer than %d letters", text,
                           EXP_LABEL_BYTES - 1);
    char *settings = strchr(text, ':');
    if (settings) *settings++ = '\0';
    struct sim_status why = {0};
    c->strategy = mdl_strategy_find(text, &why);
    if (!c->strategy) return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: %s", why.message);
    bool ok = true;
    while (ok && settings) {
        char *next = strchr(settings, ':');
        if (next) *next++ = '\0';
        ok = take_setting(c, settings, st);
        settings = next;
    }
    return ok;
}

static bool has(const struct exp_contender *c, const char *key, const char *value)
{
    for (uint32_t i = 0; i < c->n_settings; i++)
        if (strcmp(c->setting[i].key, key) == 0 && strcmp(c->setting[i].value, value) == 0) return true;
    return false;
}

static bool same(const struct exp_contender *a, const struct exp_contender *b)
{
    if (a->strategy != b->strategy || a->n_settings != b->n_settings) return false;
    for (uint32_t i = 0; i < a->n_settings; i++)
        if (!has(b, a->setting[i].key, a->setting[i].value)) return false;
    return true;
}

static const struct exp_contender *find_same(const struct exp_contenders *list, const struct exp_contender *c)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (same(&list->at[i], c)) return &list->at[i];
    return NULL;
}

/* ---- the list ---- */

static bool add(struct exp_contenders *list, const struct exp_contender *c, struct sim_status *st)
{
    if (list->n == EXP_MAX_CONTENDERS)
        return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: more than %d of them; run compare twice",
                           EXP_MAX_CONTENDERS);
    list->at[list->n++] = *c;
    return true;
}

static bool add_all(struct exp_contenders *list, struct sim_status *st)
{
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        struct exp_contender c = {.strategy = mdl_strategy_at(i)};
        snprintf(c.label, sizeof c.label, "%s", c.strategy->name);
        if (!find_same(list, &c) && !add(list, &c, st)) return false;
    }
    return true;
}

/* `full` is there before anyone asks: asked for once it is no duplicate. */
static bool add_word(struct exp_contenders *list, char *word, bool *full_asked, struct sim_status *st)
{
    if (!*word) return usage(st, "a name is empty, expected names joined by commas (kvsim list strategies)");
    if (strcmp(word, "all") == 0) return add_all(list, st);
    struct exp_contender c;
    if (!take_contender(&c, word, st)) return false;
    const struct exp_contender *there = find_same(list, &c);
    if (!there) return add(list, &c, st);
    if (there == &list->at[0] && !*full_asked) return *full_asked = true;
    return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: %s is named twice, expected each once", c.label);
}

bool exp_contenders_parse(const char *list, struct exp_contenders *out, struct sim_status *st)
{
    struct exp_contenders *made = sim_alloc(1, sizeof *made);
    char full[sizeof BASELINE], *text = sim_strdup(list ? list : DOZEN);
    memcpy(full, BASELINE, sizeof full);
    bool full_asked = false, ok = take_contender(&made->at[0], full, st);
    made->n = 1;
    for (char *word = text; ok && word;) {
        char *next = strchr(word, ',');
        if (next) *next++ = '\0';
        ok = add_word(made, word, &full_asked, st);
        word = next;
    }
    if (ok) *out = *made;
    free(text);
    free(made);
    return ok;
}
