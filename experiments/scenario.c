#include "experiments/scenario.h"

#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/keys.h"
#include "experiments/values.h"
#include "models/yaml.h"
#include "sim/check.h"
#include "sim/line_in.h"
#include "sim/memory.h"

enum { PATH_MAX_BYTES = 200 };

struct exp_scenario *exp_scenario_new(void)
{
    struct exp_scenario *s = sim_alloc(1, sizeof *s);
    exp_key_defaults(EXP_IN_SCENARIO, s);
    exp_key_defaults(EXP_IN_ENGINE, &s->engine);
    exp_key_defaults(EXP_IN_SLO, &s->slo);
    return s;
}

struct exp_scenario *exp_scenario_copy(const struct exp_scenario *s)
{
    struct exp_scenario *copy = sim_alloc(1, sizeof *copy);
    *copy = *s;
    return copy;
}

struct reader {
    struct exp_scenario *s;
    const char *folder; /* before relative paths; NULL = none */
    bool from_file;     /* two loads in one file contradict each other; a --set replaces */
    bool over;          /* lines are those of s->over */
};

static bool walk(struct reader *r, const char *path, const struct mdl_yaml_node *node, struct sim_status *st);

enum exp_source exp_scenario_source(const char *path)
{
    if (strcmp(path, "workload.trace") == 0) return EXP_TRACE;
    if (strncmp(path, "workload.open_loop.", 19) == 0) return EXP_OPEN_LOOP;
    return strncmp(path, "workload.closed_loop.", 21) == 0 ? EXP_CLOSED_LOOP : EXP_NO_LOAD;
}

static bool note_source(struct reader *r, const struct exp_alias *as, const struct mdl_yaml_node *node,
                        struct sim_status *st)
{
    enum exp_source now = exp_scenario_source(as->path), was = r->s->workload.source;
    if (now == EXP_NO_LOAD) return true;
    if (r->from_file && was != EXP_NO_LOAD && was != now)
        return sim_fail(
            st, "%s: %s is a second load, expected one of trace, open_loop, closed_loop; remove the others",
            exp_where(node).text, as->shown);
    r->s->workload.source = now;
    return true;
}

/* Index of a field's origin; n_origins when it has none. */
static uint32_t find_origin(const struct exp_scenario *s, const void *field)
{
    uint32_t i = 0;
    while (i < s->n_origins && (const char *)s + s->origin[i].offset != (const char *)field) i++;
    return i;
}

static void note_origin(struct reader *r, const void *field, const struct mdl_yaml_node *node)
{
    struct exp_scenario *s = r->s;
    uint32_t i = find_origin(s, field);
    if (i == EXP_MAX_ORIGINS) return;
    s->origin[i] =
        (struct exp_origin){(uint32_t)((const char *)field - (const char *)s),
                            r->from_file ? (uint32_t)mdl_yaml_line(node) & 0x7fffffff : 0, r->over};
    if (i == s->n_origins) s->n_origins++;
}

static bool walk_map(struct reader *r, const char *path, const struct mdl_yaml_node *node,
                     struct sim_status *st)
{
    for (size_t i = 0; i < mdl_yaml_size(node); i++) {
        char child[PATH_MAX_BYTES];
        const char *key = mdl_yaml_key(node, i);
        struct sim_excerpt shown = sim_excerpt(key, strlen(key));
        const struct mdl_yaml_node *value = mdl_yaml_at(node, i);
        snprintf(child, sizeof child, "%s%s%s", path, *path ? "." : "", shown.text);
        if (strchr(key, '.'))
            return sim_fail(st,
                            "%s: key `%s` holds a dot, expected nested keys; write them one below the other",
                            exp_where(value).text, shown.text);
        if (!walk(r, child, value, st)) return false;
    }
    return true;
}

static bool walk_fleet(struct reader *r, const struct mdl_yaml_node *node, struct sim_status *st)
{
    size_t n = mdl_yaml_size(node);
    if (mdl_yaml_kind(node) != MDL_YAML_LIST || n == 0 || n > EXP_MAX_FLEETS)
        return sim_fail(
            st, "%s: fleet is not a list of 1 to %d entries, expected `- {gpu: h100-sxm, replicas: 1}`",
            exp_where(node).text, EXP_MAX_FLEETS);
    r->s->n_fleets = 0;
    for (size_t i = 0; i < n; i++) {
        char path[16];
        const struct mdl_yaml_node *entry = mdl_yaml_at(node, i);
        snprintf(path, sizeof path, "fleet.%zu", i);
        if (mdl_yaml_kind(entry) != MDL_YAML_MAP || mdl_yaml_size(entry) == 0)
            return sim_fail(st, "%s: %s is not a mapping, expected {gpu: h100-sxm, replicas: 1}",
                            exp_where(entry).text, path);
        if (!walk_map(r, path, entry, st)) return false;
    }
    return true;
}

/* What a section holds when it is not a mapping: nothing at all is an empty section. */
static bool section_or_fail(struct reader *r, const char *path, const struct mdl_yaml_node *node,
                            struct sim_status *st)
{
    if (strcmp(path, "fleet") == 0) return walk_fleet(r, node, st);
    if (mdl_yaml_kind(node) == MDL_YAML_MAP) return walk_map(r, path, node, st);
    return sim_fail(st,
                    "%s: %s is a single value or a list, expected a mapping of keys; see `kvsim list keys`",
                    exp_where(node).text, path);
}

static bool take(struct reader *r, const struct exp_target *target, const struct exp_alias *as,
                 const struct mdl_yaml_node *node, struct sim_status *st)
{
    if (strncmp(as->path, "slo.", 4) == 0) r->s->slo_given = true;
    note_origin(r, target->field, node);
    return note_source(r, as, node, st) &&
           exp_value_set(target->key, target->field, as->shown, as->folder, node, st);
}

static bool walk(struct reader *r, const char *path, const struct mdl_yaml_node *node, struct sim_status *st)
{
    struct exp_target target;
    if (!exp_key_resolve(r->s, path, exp_where(node).text, &target, st)) return false;
    if (!target.key) return section_or_fail(r, path, node, st);
    return take(r, &target, &(struct exp_alias){path, path, r->folder, r->over}, node, st);
}

bool exp_scenario_set_node(struct exp_scenario *s, const struct exp_alias *as,
                           const struct mdl_yaml_node *node, struct sim_status *st)
{
    struct exp_target target;
    struct reader r = {s, as->folder, strncmp(mdl_yaml_file(node), "--", 2) != 0, as->over};
    if (!exp_key_resolve(s, as->path, exp_where(node).text, &target, st)) return false;
    SIM_CHECK(target.key);
    return take(&r, &target, as, node, st);
}

static struct exp_scenario *from_yaml(struct mdl_yaml *y, const char *folder, struct sim_status *st)
{
    const struct mdl_yaml_node *root = mdl_yaml_root(y);
    struct exp_scenario *s = exp_scenario_new();
    struct reader r = {s, folder, true, false};
    snprintf(s->file, sizeof s->file, "%s", mdl_yaml_file(root));
    bool ok =
        mdl_yaml_kind(root) == MDL_YAML_MAP
            ? walk_map(&r, "", root, st)
            : sim_fail(st, "%s: is not a mapping, expected a scenario; `kvsim init scenario` writes one",
                       exp_where(root).text);
    if (ok) return s;
    free(s);
    return NULL;
}

struct exp_scenario *exp_scenario_load(const char *path, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    if (!y) return NULL;
    char *copy = sim_strdup(path);
    const char *folder = dirname(copy);
    struct exp_scenario *s = from_yaml(y, strcmp(folder, ".") == 0 ? NULL : folder, st);
    free(copy);
    mdl_yaml_free(y);
    return s;
}

struct exp_scenario *exp_scenario_parse(const char *name, const char *text, size_t length,
                                        struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_parse(name, text, length, st);
    struct exp_scenario *s = y ? from_yaml(y, NULL, st) : NULL;
    mdl_yaml_free(y);
    return s;
}

bool exp_scenario_set(struct exp_scenario *s, const char *path, const char *value, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_parse("--set", value, strlen(value), st);
    if (!y) return false;
    struct exp_scenario *changed = exp_scenario_copy(s);
    struct reader r = {changed, NULL, false, false};
    bool ok = walk(&r, path, mdl_yaml_root(y), st);
    if (ok) *s = *changed;
    free(changed);
    mdl_yaml_free(y);
    return ok;
}

bool exp_scenario_set_option(struct exp_scenario *s, const char *option, struct sim_status *st)
{
    const char *equals = strchr(option, '=');
    if (!equals || equals == option || !equals[1])
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--set %.80s: has no value, expected KEY=VALUE such as fleet.0.replicas=8",
                           option);
    char *path = sim_strdup(option);
    path[equals - option] = '\0';
    struct sim_status why = {0};
    bool ok = exp_scenario_set(s, path, equals + 1, &why);
    free(path);
    return ok || sim_fail_as(st, SIM_EXIT_USAGE, "%s", why.message);
}

bool exp_scenario_set_trace(struct exp_scenario *s, const char *path, struct sim_status *st)
{
    s->workload.source = EXP_TRACE;
    return snprintf(s->workload.trace, sizeof s->workload.trace, "%s", path) <
               (int)sizeof s->workload.trace ||
           sim_fail_as(st, SIM_EXIT_USAGE, "--trace: the path is longer than %d bytes", EXP_TEXT_BYTES - 1);
}

static const char *file_of(const struct exp_scenario *s)
{
    return s->file[0] ? s->file : "scenario";
}

struct exp_where exp_scenario_where(const struct exp_scenario *s, const void *field)
{
    struct exp_where w;
    uint32_t i = find_origin(s, field);
    uint32_t line = i < s->n_origins ? s->origin[i].line : 0;
    const char *file = i < s->n_origins && s->origin[i].over ? s->over : file_of(s);
    bool option = i < s->n_origins && !line && !s->origin[i].over;
    if (line)
        snprintf(w.text, sizeof w.text, "%.*s:%u", (int)sizeof w.text - 16, file, line);
    else
        snprintf(w.text, sizeof w.text, "%.*s", (int)sizeof w.text - 1, option ? "--set" : file);
    return w;
}

/* Whether requests can fall back from it: its pages are bf16, as those that they keep then, it does not keep everything
 * there already, and, where a full host is what counts, it has pages on the host. A matter of the strategy, not of the
 * shape. */
static bool can_fall_back(const struct mdl_strategy *s, int when)
{
    static const struct mdl_arch any = {
        .n_layers = 32, .hidden = 4096, .n_q_heads = 32, .n_kv_heads = 8, .head_dim = 128};
    struct mdl_kv_use use;
    struct mdl_kv_decode decode = {0};
    struct sim_status ignored = {0};
    double given[MDL_N_KV_KEY];
    if (strcmp(s->name, "full") == 0 || (when == SIM_FALLBACK_HOST_FULL && !s->host_bytes)) return false;
    for (int i = 0; i < MDL_N_KV_KEY; i++) given[i] = NAN;
    if (!mdl_kv_use_init(&use, s, given, &any, 1, any.n_layers, 16, &ignored)) return false;
    s->decode(&use, &decode);
    return !decode.kernel || strcmp(decode.kernel, "bf16") == 0;
}

/* Nothing of the one before that the other does not know. */
static void take_strategy(struct exp_kv_keys *k, int strategy)
{
    const struct mdl_strategy *to = mdl_strategy_at((size_t)strategy);
    if (k->strategy == strategy) return;
    k->strategy = strategy;
    k->length_pairs[0] = '\0';
    if (!can_fall_back(to, k->fallback_when)) {
        k->fallback_when = SIM_FALLBACK_NEVER;
        k->fallback_below_tokens = 0;
    }
    for (int i = 0; i < MDL_N_KV_KEY; i++)
        if (!mdl_strategy_default(to, (enum mdl_kv_key)i)) k->value[i] = (struct exp_number){0, false};
    if (!mdl_strategy_default(to, MDL_KV_MISS)) k->later.miss = (struct exp_number){0, false};
    if (!mdl_strategy_default(to, MDL_KV_CORRECTION)) k->later.correction = (struct exp_number){0, false};
    if (!k->later.miss.given && !k->later.correction.given) k->later.from_s = 0;
}

bool exp_scenario_take_strategy(struct exp_scenario *s, const char *name, struct sim_status *st)
{
    const struct mdl_strategy *to = mdl_strategy_find(name, st);
    int strategy = 0;
    if (!to) return false;
    while (mdl_strategy_at((size_t)strategy) != to) strategy++;
    for (uint32_t i = 0; i < s->n_fleets; i++) take_strategy(&s->fleet[i].kv, strategy);
    return true;
}

uint32_t exp_scenario_classes(const struct exp_scenario *s, struct exp_class_keys out[SIM_MAX_CLASSES])
{
    uint32_t n = 0;
    if (s->slo_given || s->n_classes == 0) {
        exp_key_defaults(EXP_IN_CLASS, &out[0]);
        snprintf(out[0].name, sizeof out[0].name, "default");
        out[n++].slo = s->slo;
    }
    for (uint32_t i = 0; i < s->n_classes && n < SIM_MAX_CLASSES; i++) out[n++] = s->classes[i];
    return n;
}

static bool check_classes(const struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t i = 0; s->slo_given && i < s->n_classes; i++)
        if (strcmp(s->classes[i].name, "default") == 0)
            return sim_fail(
                st, "%s: `slo` and `classes.default` both set the limits of class default; remove one",
                file_of(s));
    if (s->slo_given && s->n_classes == SIM_MAX_CLASSES)
        return sim_fail(st, "%s: more than %d classes with `slo`; leave some out", file_of(s),
                        SIM_MAX_CLASSES);
    return true;
}

bool exp_fleet_names_class(const struct exp_fleet_keys *k, const char *class_name)
{
    size_t n = strlen(class_name);
    for (const char *at = k->classes; *at;) {
        size_t length = strcspn(at, ",");
        if (length == n && memcmp(at, class_name, n) == 0) return true;
        at += length + (at[length] == ',');
    }
    return false;
}

/* A fleet that lists its classes serves no others, whatever its strategy. */
static bool check_pins(const struct exp_scenario *s, const struct exp_class_keys *c, struct sim_status *st)
{
    const struct exp_fleet_keys *last = NULL;
    const char *name = mdl_strategy_at((size_t)c->kv_strategy.value)->name;
    for (uint32_t f = 0; f < s->n_fleets; f++) {
        if (s->fleet[f].kv.strategy != (int)c->kv_strategy.value) continue;
        if (!s->fleet[f].classes[0] || exp_fleet_names_class(&s->fleet[f], c->name)) return true;
        last = &s->fleet[f];
    }
    return sim_fail(
        st,
        "%s: classes.%s.kv.strategy %s: the fleet that has it serves classes [%s] only, expected %s "
        "among them; add it to fleet.%d.classes",
        exp_scenario_where(s, &c->kv_strategy).text, c->name, name, last->classes, c->name,
        (int)(last - s->fleet));
}

/* A class that names a strategy is served by fleets that have it, which is what by_class is for. */
static bool check_class_strategies(const struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t i = 0; i < s->n_classes; i++) {
        const struct exp_class_keys *c = &s->classes[i];
        uint32_t f = 0;
        if (!c->kv_strategy.given) continue;
        while (f < s->n_fleets && s->fleet[f].kv.strategy != (int)c->kv_strategy.value) f++;
        const char *name = mdl_strategy_at((size_t)c->kv_strategy.value)->name;
        if (f == s->n_fleets)
            return sim_fail(
                st,
                "%s: classes.%s.kv.strategy %s: no fleet has it, expected a fleet with kv: {strategy: "
                "%s}; add one",
                exp_scenario_where(s, &c->kv_strategy).text, c->name, name, name);
        if (strcmp(s->router, "by_class") != 0)
            return sim_fail(
                st,
                "%s: classes.%s.kv.strategy %s: router %s does not look at classes, expected by_class; "
                "set router: by_class",
                exp_scenario_where(s, &c->kv_strategy).text, c->name, name, s->router);
        if (!check_pins(s, c, st)) return false;
    }
    return true;
}

static bool check_fallback(const struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t i = 0; i < s->n_fleets; i++) {
        const struct exp_kv_keys *k = &s->fleet[i].kv;
        if (k->fallback_when == SIM_FALLBACK_SHORT && !k->fallback_below_tokens)
            return sim_fail(
                st,
                "%s: fleet.%u.kv.fallback.when short: no request is shorter than 0 tokens, expected "
                "kv.fallback.below_tokens; set it",
                exp_scenario_where(s, &k->fallback_when).text, i);
        if (k->fallback_when != SIM_FALLBACK_SHORT && k->fallback_below_tokens)
            return sim_fail(
                st,
                "%s: fleet.%u.kv.fallback.below_tokens %llu: says which requests are short, expected "
                "kv.fallback.when short; set it, or leave this one out",
                exp_scenario_where(s, &k->fallback_below_tokens).text, i,
                (unsigned long long)k->fallback_below_tokens);
    }
    return true;
}

/* Baseline lengths are those with full KV: whatever was measured against them is another strategy's. */
static bool check_pairs(const struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t i = 0; i < s->n_fleets; i++) {
        const struct exp_kv_keys *k = &s->fleet[i].kv;
        if (k->length_pairs[0] && strcmp(mdl_strategy_at((size_t)k->strategy)->name, "full") == 0)
            return sim_fail(
                st,
                "%s: fleet.%u.kv.length_pairs: are lengths against those of strategy full, which this "
                "fleet has, expected another kv.strategy; compare takes --strategies "
                "NAME:length_pairs=FILE",
                exp_scenario_where(s, k->length_pairs).text, i);
    }
    return true;
}

/* Fleets that are not named are told apart in setup.c. */
static bool check_names(const struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t i = 0; i < s->n_fleets; i++)
        for (uint32_t k = 0; k < s->n_fleets; k++) {
            const char *name = s->fleet[i].name,
                       *other = s->fleet[k].name[0] ? s->fleet[k].name : s->fleet[k].gpu;
            if (i == k || !name[0] || strcmp(name, other) != 0) continue;
            return sim_fail(st,
                            "%s: fleet.%u.name %s: fleet.%u has that name, expected another one; rename it",
                            exp_scenario_where(s, s->fleet[i].name).text, i, name, k);
        }
    return true;
}

static bool check_load(const struct exp_scenario *s, struct sim_status *st)
{
    const struct exp_workload_keys *w = &s->workload;
    if (w->source == EXP_CLOSED_LOOP && w->multiply != 1)
        return sim_fail(st,
                        "%s: workload.multiply %g: a closed loop has no rate to multiply, expected 1; set "
                        "workload.closed_loop.concurrency",
                        exp_scenario_where(s, &w->multiply).text, w->multiply);
    if (w->source == EXP_NO_LOAD || (w->source == EXP_TRACE && !w->trace[0]))
        return sim_fail(
            st, "%s: has no load, expected workload.trace, open_loop or closed_loop; give --trace FILE",
            file_of(s));
    if (w->source == EXP_OPEN_LOOP && w->open_loop.num_requests == 0 && w->open_loop.duration_s == 0)
        return sim_fail(st, "%s: workload.open_loop never ends, expected num_requests or duration_s; set one",
                        file_of(s));
    return true;
}

bool exp_scenario_check(const struct exp_scenario *s, struct sim_status *st)
{
    if (!s->model[0])
        return sim_fail(
            st, "%s: has no `model`, expected a catalogue name or a config.json; see `kvsim list models`",
            file_of(s));
    if (s->n_fleets == 0)
        return sim_fail(st, "%s: has no `fleet`, expected `fleet: [{gpu: h100-sxm, replicas: 1}]`; add one",
                        file_of(s));
    uint64_t replicas = 0;
    for (uint32_t i = 0; i < s->n_fleets; i++) {
        replicas += s->fleet[i].replicas;
        if (!s->fleet[i].gpu[0])
            return sim_fail(st, "%s: fleet.%u has no `gpu`, expected a catalogue name; see `kvsim list gpus`",
                            file_of(s), i);
    }
    if (replicas > UINT16_MAX)
        return sim_fail(st, "%s: has %llu replicas, expected at most %d in all; make the fleets smaller",
                        file_of(s), (unsigned long long)replicas, UINT16_MAX);
    return check_load(s, st) && check_classes(s, st) && check_class_strategies(s, st) &&
           check_fallback(s, st) && check_pairs(s, st) && check_names(s, st);
}
