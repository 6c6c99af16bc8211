/* Forms of plan keys that name KV strategies and tasks. Strategies are compare's contenders: `freekv:budget=1024`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/file/plan_list.h"
#include "experiments/value_text.h"
#include "experiments/values.h"
#include "sim/line_in.h"
#include "sim/memory.h"

/* ---- contenders ---- */

/* Without "--strategies: " in front: here it is a key. */
static const char *said(const struct sim_status *why)
{
    static const char option[] = "--strategies: ";
    return why->message + (strncmp(why->message, option, strlen(option)) == 0 ? strlen(option) : 0);
}

static bool parse(const struct exp_plan_item *item, const char *list, struct exp_contenders *out,
                  struct sim_status *st)
{
    struct sim_status why = {0};
    return exp_contenders_parse(list, out, &why) ||
           sim_fail(st, "%s: %s: %s", item->node ? exp_where(item->node).text : "default", item->in->path,
                    said(&why));
}

/* Measured lengths lie beside the plan that names them. */
static bool join_paths(const struct exp_plan_item *item, struct exp_contender *c, struct sim_status *st)
{
    const char *folder = item->in->folder;
    for (uint32_t i = 0; folder && i < c->n_settings; i++) {
        char *value = c->setting[i].value;
        if (strcmp(c->setting[i].key, "length_pairs") != 0 || value[0] == '/') continue;
        char *path = sim_printf("%s/%s", folder, value);
        bool fits = strlen(path) < sizeof c->setting[i].value;
        if (fits) strcpy(value, path);
        free(path);
        if (!fits)
            return sim_fail(st, "%s: %s: the path of %s is longer than %d bytes; move the plan or the file",
                            exp_where(item->node).text, item->in->path, c->label, EXP_LABEL_BYTES - 1);
    }
    return true;
}

/* The label that reads back to it from any folder. */
static char *label_of(const struct exp_contender *c)
{
    char *label = sim_strdup(c->strategy->name);
    for (uint32_t i = 0; i < c->n_settings; i++) {
        bool path = strcmp(c->setting[i].key, "length_pairs") == 0;
        char *value = path ? exp_whole_path(c->setting[i].value) : sim_strdup(c->setting[i].value);
        char *longer = sim_printf("%s:%s=%s", label, c->setting[i].key, value);
        free(value);
        free(label);
        label = longer;
    }
    return label;
}

/* ---- search.strategy ---- */

static const char STRATEGIES[] =
    "names of `kvsim list strategies` in [ ], with settings as in freekv:budget=1024, or all";

struct gathering {
    char *names; /* joined by commas */
    struct exp_contenders *made;
};

static bool add_strategy(const struct exp_plan_item *item, void *owner, uint32_t at, struct sim_status *st)
{
    (void)at;
    struct gathering *g = owner;
    char *names = g->names ? sim_printf("%s,%s", g->names, item->text) : sim_strdup(item->text);
    free(g->names);
    g->names = names;
    return parse(item, names, g->made, st);
}

static bool take_strategies(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    static const struct exp_plan_limit limit = {EXP_MAX_CONTENDERS, add_strategy};
    struct exp_plan *p = owner;
    struct gathering g = {NULL, sim_alloc(1, sizeof *g.made)};
    struct exp_plan_item item = {in, in->node, ""};
    uint32_t n;
    bool ok = exp_plan_list(in, &g, &limit, &n, st);
    for (uint32_t i = 0; ok && i < g.made->n; i++) ok = join_paths(&item, &g.made->at[i], st);
    if (ok) p->strategies = *g.made;
    free(g.made);
    free(g.names);
    return ok;
}

static char *strategies_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    struct exp_plan_text t = {0};
    for (uint32_t i = 0; i < p->strategies.n; i++) {
        char *label = label_of(&p->strategies.at[i]), *scalar = exp_yaml_scalar(label);
        exp_plan_text_add(&t, scalar);
        free(scalar);
        free(label);
    }
    return exp_plan_text_end(&t, "[]");
}

const struct exp_plan_form exp_form_strategies = {take_strategies, strategies_text, STRATEGIES};

/* ---- baseline.kv ---- */

static const char BASELINE[] = "a strategy: {strategy: NAME, PARAMETER: VALUE ...} or NAME:PARAMETER=VALUE";

/* full comes first, asked or not. */
static bool take_only(const struct exp_plan_item *item, struct exp_contenders *made,
                      struct exp_contender *out, struct sim_status *st)
{
    if (made->n > 2) return exp_plan_wrong(item, "one strategy", st);
    struct exp_contender *c = &made->at[made->n - 1];
    if (!join_paths(item, c, st)) return false;
    *out = *c;
    return true;
}

static bool take_label(const struct exp_plan_input *in, struct exp_plan *p, const char *label,
                       struct sim_status *st)
{
    struct exp_contenders *made = sim_alloc(1, sizeof *made);
    struct exp_plan_item item = {in, in->node, label};
    bool ok = parse(&item, label, made, st) && take_only(&item, made, &p->baseline, st);
    free(made);
    return ok;
}

/* Every entry of a mapping but `strategy`, behind a label: ":budget=1024"; nested ones joined by dots. */
static bool add_settings(const struct exp_plan_item *map, const char *prefix, char **label,
                         struct sim_status *st)
{
    for (size_t i = 0; i < mdl_yaml_size(map->node); i++) {
        struct exp_plan_item item = {map->in, mdl_yaml_at(map->node, i), NULL};
        const char *name = mdl_yaml_key(map->node, i);
        char *path = sim_printf("%s%s", prefix, name), *below = sim_printf("%s.", path), *longer = NULL;
        bool ok = true;
        if (strcmp(path, "strategy") == 0) {
            longer = sim_strdup(*label);
        } else if (mdl_yaml_kind(item.node) == MDL_YAML_MAP && !prefix[0]) {
            ok = add_settings(&item, below, label, st);
            longer = sim_strdup(*label);
        } else {
            const char *value = exp_plan_scalar(&item, BASELINE, st);
            ok = value != NULL;
            longer = sim_printf("%s:%s=%s", *label, path, ok ? value : "");
        }
        free(*label);
        *label = longer;
        free(below);
        free(path);
        if (!ok) return false;
    }
    return true;
}

static bool take_map(const struct exp_plan_input *in, struct exp_plan *p, struct sim_status *st)
{
    const struct mdl_yaml_node *name = mdl_yaml_get(in->node, "strategy");
    struct exp_plan_item all = {in, in->node, NULL}, one = {in, name, NULL};
    const char *strategy = name ? exp_plan_scalar(&one, BASELINE, st) : in->key->fallback;
    if (!strategy) return false;
    char *label = sim_strdup(strategy);
    bool ok = add_settings(&all, "", &label, st) && take_label(in, p, label, st);
    free(label);
    return ok;
}

static bool take_baseline(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    struct exp_plan_item item = {in, in->node, NULL};
    if (!in->node || exp_plan_is_default(in->node)) return take_label(in, owner, in->key->fallback, st);
    if (mdl_yaml_kind(in->node) == MDL_YAML_MAP) return take_map(in, owner, st);
    const char *label = exp_plan_scalar(&item, BASELINE, st);
    return label && take_label(in, owner, label, st);
}

bool exp_plan_baseline_set(struct exp_plan *p, const char *name, const struct exp_plan_input *in,
                           struct sim_status *st)
{
    struct exp_plan_item item = {in, in->node, NULL};
    const char *value = exp_plan_scalar(&item, BASELINE, st);
    if (!value) return false;
    if (strcmp(name, "strategy") == 0) return take_label(in, p, value, st);
    struct exp_contender kept = p->baseline;
    uint32_t n = 0;
    for (uint32_t i = 0; i < kept.n_settings; i++)
        if (strcmp(kept.setting[i].key, name) != 0) kept.setting[n++] = kept.setting[i];
    kept.n_settings = n;
    char *label = label_of(&kept), *longer = sim_printf("%s:%s=%s", label, name, value);
    bool ok = take_label(in, p, longer, st);
    free(longer);
    free(label);
    return ok;
}

static char *baseline_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    char *label = label_of(&p->baseline), *scalar = exp_yaml_scalar(label);
    free(label);
    return scalar;
}

const struct exp_plan_form exp_form_baseline = {take_baseline, baseline_text, BASELINE};

/* ---- quality.task_mix ---- */

static const char MIX[] = "{TASK: share, ...} with shares of at least 0, one of them above 0";

static bool add_task(const struct exp_plan_input *in, struct mdl_task_mix *mix, size_t i,
                     struct sim_status *st)
{
    const char *task = mdl_yaml_key(in->node, i);
    const struct mdl_yaml_node *node = mdl_yaml_at(in->node, i);
    char *what = sim_printf("%s.%.40s", in->path, sim_excerpt(task, strlen(task)).text);
    struct exp_plan_item item = {in, node, task};
    double share = 0;
    bool ok = mdl_yaml_double(node, what, &share, st);
    if (ok && (share < 0 || share > in->key->hi))
        ok = sim_fail(st, "%s: %s is %g, expected a share from 0 to %g", exp_where(node).text, what, share,
                      in->key->hi);
    if (ok && (!*task || strlen(task) >= MDL_TASK_BYTES)) ok = exp_plan_wrong(&item, "names of tasks", st);
    if (ok && mix->n == MDL_MAX_TASKS)
        ok = sim_fail(st, "%s: %s has more than %d tasks; leave some out", exp_where(node).text, in->path,
                      MDL_MAX_TASKS);
    free(what);
    if (!ok) return false;
    snprintf(mix->at[mix->n].task, MDL_TASK_BYTES, "%s", task);
    mix->at[mix->n++].share = share;
    return true;
}

static bool take_task_mix(const struct exp_plan_input *in, void *owner, struct sim_status *st)
{
    struct exp_plan *p = owner;
    double sum = 0;
    p->task_mix.n = 0;
    if (!in->node || exp_plan_is_default(in->node)) return true;
    if (mdl_yaml_kind(in->node) != MDL_YAML_MAP)
        return sim_fail(st, "%s: %s is no mapping, expected %s", exp_where(in->node).text, in->path, MIX);
    for (size_t i = 0; i < mdl_yaml_size(in->node); i++) {
        if (!add_task(in, &p->task_mix, i, st)) return false;
        sum += p->task_mix.at[i].share;
    }
    return sum > 0 || !p->task_mix.n ||
           sim_fail(st, "%s: %s has no share above 0, expected %s", exp_where(in->node).text, in->path, MIX);
}

static char *task_mix_text(const struct exp_key *key, const void *owner)
{
    (void)key;
    const struct exp_plan *p = owner;
    char *text = sim_strdup(p->task_mix.n ? "{" : "default");
    for (uint32_t i = 0; i < p->task_mix.n; i++) {
        char *task = exp_yaml_scalar(p->task_mix.at[i].task);
        char *longer =
            sim_printf("%s%s%s: %s%s", text, i ? ", " : "", task, exp_digits_of(p->task_mix.at[i].share).text,
                       i + 1 == p->task_mix.n ? "}" : "");
        free(task);
        free(text);
        text = longer;
    }
    return text;
}

const struct exp_plan_form exp_form_task_mix = {take_task_mix, task_mix_text, MIX};
