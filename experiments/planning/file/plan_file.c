#include "experiments/planning/file/plan_file.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/file/plan_keys.h"
#include "experiments/planning/file/plan_list.h"
#include "experiments/value_text.h"
#include "experiments/values.h"
#include "sim/line_in.h"
#include "sim/memory.h"

static const char DEFAULT_CLASS[] = "default", CLASSES[] = "classes.", HAVE[] = "have.",
                  BASELINE[] = "baseline.kv.";

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* ---- where values came from ---- */

static uint32_t find_origin(const struct exp_plan *p, const char *path)
{
    uint32_t i = 0;
    while (i < p->n_origins && strcmp(p->origin[i].path, path) != 0) i++;
    return i;
}

bool exp_plan_given(const struct exp_plan *p, const char *path)
{
    return find_origin(p, path) < p->n_origins;
}

struct exp_where exp_plan_where(const struct exp_plan *p, const char *path)
{
    struct exp_where w;
    uint32_t i = find_origin(p, path);
    const char *file = p->file[0] ? p->file : "plan";
    if (i < p->n_origins && p->origin[i].option[0])
        snprintf(w.text, sizeof w.text, "%s", p->origin[i].option);
    else if (i < p->n_origins)
        snprintf(w.text, sizeof w.text, "%.*s:%u", (int)sizeof w.text - 16, file, p->origin[i].line);
    else
        snprintf(w.text, sizeof w.text, "%.*s", (int)sizeof w.text - 1, file);
    return w;
}

static void forget_origin(struct exp_plan *p, const char *path)
{
    uint32_t i = find_origin(p, path);
    if (i < p->n_origins) p->origin[i] = p->origin[--p->n_origins];
}

static void forget_below(struct exp_plan *p, const char *section)
{
    for (uint32_t i = p->n_origins; i-- > 0;)
        if (begins(p->origin[i].path, section)) p->origin[i] = p->origin[--p->n_origins];
}

/* The word `default` gives nothing. */
static void note_origin(struct exp_plan *p, const char *path, const struct mdl_yaml_node *node)
{
    const char *file = mdl_yaml_file(node);
    bool option = begins(file, "--");
    if (exp_plan_is_default(node)) {
        forget_origin(p, path);
        return;
    }
    uint32_t i = find_origin(p, path);
    if (i == EXP_PLAN_ORIGINS) return;
    struct exp_plan_origin *o = &p->origin[i];
    snprintf(o->path, sizeof o->path, "%s", path);
    snprintf(o->option, sizeof o->option, "%.23s", option ? file : "");
    o->line = option ? 0 : (uint32_t)mdl_yaml_line(node);
    if (i == p->n_origins) p->n_origins++;
}

/* ---- classes and machines ---- */

static struct exp_plan_class *find_class(struct exp_plan *p, const char *name, size_t length)
{
    for (uint32_t i = 0; i < p->n_classes; i++)
        if (strlen(p->class[i].name) == length && memcmp(p->class[i].name, name, length) == 0)
            return &p->class[i];
    return NULL;
}

static bool add_to_base(struct exp_plan *p, const char *name, const char *where, struct sim_status *st)
{
    char path[EXP_PLAN_PATH_BYTES];
    struct exp_target ignored;
    snprintf(path, sizeof path, "%s%.40s.slo.percentile", CLASSES, name);
    return exp_key_resolve(p->base, path, where, &ignored, st);
}

/* The class that a path below `classes.` names, made when it is new. `default` may be the one that `slo` limits, so that
 * the base learns of it only in the end. */
static struct exp_plan_class *class_at(struct exp_plan *p, const char *path, const char *where,
                                       struct sim_status *st)
{
    char name[EXP_NAME_BYTES];
    const char *begin = path + strlen(CLASSES);
    size_t length = strcspn(begin, ".");
    struct exp_plan_class *there = find_class(p, begin, length);
    snprintf(name, sizeof name, "%.*s", (int)(length < 40 ? length : 40), begin);
    if (strcmp(name, DEFAULT_CLASS) != 0 && !add_to_base(p, name, where, st)) return NULL;
    if (there) return there;
    if (p->n_classes == SIM_MAX_CLASSES) {
        sim_fail(st, "%s: more than %d classes; leave some out", where, SIM_MAX_CLASSES);
        return NULL;
    }
    struct exp_plan_class *c = &p->class[p->n_classes++];
    *c = (struct exp_plan_class){.name = ""};
    exp_plan_defaults("classes.NAME.", c);
    snprintf(c->name, sizeof c->name, "%s", name);
    return c;
}

static struct exp_plan_have *have_at(struct exp_plan *p, const char *path, const char *where,
                                     struct sim_status *st)
{
    const char *begin = path + strlen(HAVE);
    char *end;
    unsigned long n = strtoul(begin, &end, 10);
    if (*begin < '0' || *begin > '9' || (*end && *end != '.') || n > p->n_have || n >= EXP_MAX_HAVE) {
        sim_fail(st, "%s: `%.80s` names no machines, expected have.0 to have.%u (at most %d); correct it",
                 where, path, p->n_have, EXP_MAX_HAVE);
        return NULL;
    }
    if (n == p->n_have) {
        p->have[n] = (struct exp_plan_have){.gpu = ""};
        exp_plan_defaults("have.N.", &p->have[n]);
        p->n_have++;
    }
    return &p->have[n];
}

static void *owner_of(struct exp_plan *p, const char *path, const char *where, struct sim_status *st)
{
    if (begins(path, CLASSES)) return class_at(p, path, where, st);
    if (begins(path, HAVE)) return have_at(p, path, where, st);
    return p;
}

/* Classes of a file that nobody gave a value, or that options took away, are not kept. */
static bool is_worth_something(const struct exp_plan_class *c)
{
    struct exp_plan_class none;
    exp_plan_defaults("classes.NAME.", &none);
    return c->cost_per_failure != none.cost_per_failure || c->cost_per_slo_miss != none.cost_per_slo_miss ||
           c->churn_per_failure != none.churn_per_failure || c->customer_value != none.customer_value ||
           c->max_failure_rate >= 0;
}

/* Classes in the order of the base's, each with its money. */
static bool order_classes(struct exp_plan *p, struct sim_status *st)
{
    struct exp_class_keys *keys = sim_alloc(SIM_MAX_CLASSES, sizeof *keys);
    struct exp_plan_class *old = sim_alloc(SIM_MAX_CLASSES, sizeof *old);
    struct exp_plan_class *named = find_class(p, DEFAULT_CLASS, strlen(DEFAULT_CLASS));
    bool ok = true, elsewhere = p->base->slo_given || p->base->n_classes == 0;
    if (named && !elsewhere && is_worth_something(named))
        ok = add_to_base(p, DEFAULT_CLASS, exp_plan_where(p, "").text, st);
    memcpy(old, p->class, sizeof p->class);
    uint32_t n_old = p->n_classes;
    p->n_classes = exp_scenario_classes(p->base, keys);
    for (uint32_t i = 0; i < p->n_classes; i++) {
        struct exp_plan_class *c = &p->class[i];
        *c = (struct exp_plan_class){.name = ""};
        exp_plan_defaults("classes.NAME.", c);
        for (uint32_t k = 0; k < n_old; k++)
            if (strcmp(old[k].name, keys[i].name) == 0) *c = old[k];
        memcpy(c->name, keys[i].name, sizeof c->name);
    }
    free(old);
    free(keys);
    return ok;
}

/* ---- reading ---- */

struct reader {
    struct exp_plan *p;
    const char *folder; /* before relative paths; NULL = none */
};

static bool walk(struct reader *r, const char *path, const struct mdl_yaml_node *node, struct sim_status *st);

static bool walk_map(struct reader *r, const char *path, const struct mdl_yaml_node *node,
                     struct sim_status *st)
{
    for (size_t i = 0; i < mdl_yaml_size(node); i++) {
        char child[EXP_PLAN_PATH_BYTES];
        const char *key = mdl_yaml_key(node, i);
        struct sim_excerpt shown = sim_excerpt(key, strlen(key));
        const struct mdl_yaml_node *value = mdl_yaml_at(node, i);
        if (strchr(key, '.'))
            return sim_fail(st,
                            "%s: key `%s` holds a dot, expected nested keys; write them one below the other",
                            exp_where(value).text, shown.text);
        if (snprintf(child, sizeof child, "%s%s%s", path, *path ? "." : "", shown.text) >= (int)sizeof child)
            return sim_fail(st, "%s: key `%s` is nested too deeply; see `kvsim list plan-keys`",
                            exp_where(value).text, shown.text);
        if (!walk(r, child, value, st)) return false;
    }
    return true;
}

/* A list of machines, or one alone. */
static bool walk_have(struct reader *r, const struct mdl_yaml_node *node, struct sim_status *st)
{
    size_t n = mdl_yaml_size(node);
    if (mdl_yaml_kind(node) == MDL_YAML_SCALAR || (mdl_yaml_kind(node) == MDL_YAML_LIST && n > EXP_MAX_HAVE))
        return sim_fail(
            st, "%s: have is not a list of at most %d entries, expected `- {gpu: a100-80-sxm, servers: 2}`",
            exp_where(node).text, EXP_MAX_HAVE);
    r->p->n_have = 0;
    forget_below(r->p, HAVE);
    if (mdl_yaml_kind(node) == MDL_YAML_MAP) return walk_map(r, "have.0", node, st);
    for (size_t i = 0; i < n; i++) {
        char path[16];
        const struct mdl_yaml_node *entry = mdl_yaml_at(node, i);
        snprintf(path, sizeof path, "have.%zu", i);
        if (mdl_yaml_kind(entry) != MDL_YAML_MAP || mdl_yaml_size(entry) == 0)
            return sim_fail(st, "%s: %s is not a mapping, expected {gpu: a100-80-sxm, servers: 2}",
                            exp_where(entry).text, path);
        if (!walk_map(r, path, entry, st)) return false;
    }
    return true;
}

static bool walk_section(struct reader *r, const char *path, const struct mdl_yaml_node *node,
                         struct sim_status *st)
{
    if (strcmp(path, "have") == 0) return walk_have(r, node, st);
    if (!exp_plan_is_section(path)) return exp_plan_unknown_key(path, exp_where(node).text, st);
    if (mdl_yaml_kind(node) == MDL_YAML_MAP) return walk_map(r, path, node, st);
    return sim_fail(
        st, "%s: %s is a single value or a list, expected a mapping of keys; see `kvsim list plan-keys`",
        exp_where(node).text, path);
}

static bool walk_row(struct reader *r, const struct exp_plan_row *row, const char *path,
                     const struct mdl_yaml_node *node, struct sim_status *st)
{
    struct exp_plan_input in = {&row->key, path, r->folder, node};
    void *owner = owner_of(r->p, path, exp_where(node).text, st);
    if (!owner || !row->form->take(&in, owner, st)) return false;
    note_origin(r->p, path, node);
    return true;
}

static bool walk(struct reader *r, const char *path, const struct mdl_yaml_node *node, struct sim_status *st)
{
    char scenario_path[EXP_PLAN_PATH_BYTES];
    const struct exp_plan_row *row = exp_plan_row(path);
    if (row) return walk_row(r, row, path, node, st);
    if (begins(path, BASELINE)) {
        row = exp_plan_row("baseline.kv");
        struct exp_plan_input in = {&row->key, "baseline.kv", r->folder, node};
        if (!exp_plan_baseline_set(r->p, path + strlen(BASELINE), &in, st)) return false;
        note_origin(r->p, "baseline.kv", node);
        return true;
    }
    if (!exp_plan_to_scenario(path, scenario_path, sizeof scenario_path))
        return walk_section(r, path, node, st);
    struct exp_alias as = {scenario_path, path, r->folder, false};
    if (!exp_scenario_set_node(r->p->base, &as, node, st)) return false;
    note_origin(r->p, path, node);
    return true;
}

/* ---- whole plans ---- */

struct exp_plan *exp_plan_new(void)
{
    struct exp_plan *p = sim_alloc(1, sizeof *p);
    struct sim_status never = {0};
    p->base = exp_scenario_new();
    exp_plan_defaults("", p);
    order_classes(p, &never);
    return p;
}

void exp_plan_free(struct exp_plan *p)
{
    if (!p) return;
    free(p->base);
    free(p);
}

static struct exp_plan *from_yaml(struct mdl_yaml *y, const char *folder, struct sim_status *st)
{
    const struct mdl_yaml_node *root = mdl_yaml_root(y);
    struct exp_plan *p = exp_plan_new();
    struct reader r = {p, folder};
    snprintf(p->file, sizeof p->file, "%s", mdl_yaml_file(root));
    memcpy(p->base->file, p->file, sizeof p->base->file);
    bool ok = mdl_yaml_kind(root) == MDL_YAML_MAP
                  ? walk_map(&r, "", root, st) && order_classes(p, st)
                  : sim_fail(st, "%s: is not a mapping, expected a plan; `kvsim init plan` writes one",
                             exp_where(root).text);
    if (ok) return p;
    exp_plan_free(p);
    return NULL;
}

struct exp_plan *exp_plan_load(const char *path, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    if (!y) return NULL;
    char *copy = sim_strdup(path);
    const char *folder = dirname(copy);
    struct exp_plan *p = from_yaml(y, strcmp(folder, ".") == 0 ? NULL : folder, st);
    free(copy);
    mdl_yaml_free(y);
    return p;
}

struct exp_plan *exp_plan_parse(const char *name, const char *text, size_t length, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_parse(name, text, length, st);
    struct exp_plan *p = y ? from_yaml(y, NULL, st) : NULL;
    mdl_yaml_free(y);
    return p;
}

/* ---- one key ---- */

static bool set(struct exp_plan *p, const char *path, const struct mdl_yaml_node *node, struct sim_status *st)
{
    struct exp_plan *changed = sim_alloc(1, sizeof *changed);
    *changed = *p;
    changed->base = exp_scenario_copy(p->base);
    struct reader r = {changed, NULL};
    bool ok = walk(&r, path, node, st) && order_classes(changed, st);
    if (ok) {
        free(p->base);
        *p = *changed;
    } else {
        free(changed->base);
    }
    free(changed);
    return ok;
}

static bool set_yaml(struct exp_plan *p, const char *option, const char *path, const char *yaml,
                     struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_parse(option, yaml, strlen(yaml), st);
    bool ok = y && set(p, path, mdl_yaml_root(y), st);
    mdl_yaml_free(y);
    return ok;
}

bool exp_plan_set(struct exp_plan *p, const char *path, const char *value, struct sim_status *st)
{
    return set_yaml(p, "--set", path, value, st);
}

bool exp_plan_set_from(struct exp_plan *p, const char *option, const char *path, const char *value,
                       struct sim_status *st)
{
    struct sim_status why = {0};
    char *scalar = exp_yaml_scalar(value);
    bool ok = set_yaml(p, option, path, scalar, &why);
    free(scalar);
    return ok || sim_fail_as(st, SIM_EXIT_USAGE, "%s", why.message);
}

bool exp_plan_set_option(struct exp_plan *p, const char *option, struct sim_status *st)
{
    const char *equals = strchr(option, '=');
    if (!equals || equals == option || !equals[1])
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--set %.80s: has no value, expected KEY=VALUE such as load.multiply=10", option);
    char *path = sim_strdup(option);
    path[equals - option] = '\0';
    struct sim_status why = {0};
    bool ok = exp_plan_set(p, path, equals + 1, &why);
    free(path);
    return ok || sim_fail_as(st, SIM_EXIT_USAGE, "%s", why.message);
}
