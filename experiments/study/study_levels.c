/* grid, list and random of a study file, read into levels. Every value is tried on a scenario as it is read. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/study_parts.h"
#include "experiments/values.h"
#include "sim/line_in.h"
#include "sim/random.h"

struct reader {
    struct exp_study *s;
    struct exp_scenario *scratch;
};

static bool expect(const struct mdl_yaml_node *node, enum mdl_yaml_kind kind, const char *message,
                   struct sim_status *st)
{
    if (mdl_yaml_kind(node) == kind && mdl_yaml_size(node) > 0) return true;
    return sim_fail(st, "%s: %s", exp_where(node).text, message);
}

/* ---- the values of one key ---- */

struct values {
    struct exp_study_value *value; /* on the heap */
    uint64_t n;
};

static bool add_strategies(struct reader *r, const struct exp_study_place *at, struct values *v,
                           struct sim_status *st)
{
    const struct exp_study_value *some;
    uint32_t n = exp_study_strategies(r->s, at, &some, st);
    v->value = sim_realloc(v->value, v->n + n + 1, sizeof *v->value);
    for (uint32_t i = 0; i < n; i++) v->value[v->n++] = some[i];
    return n > 0;
}

static bool add_value(struct reader *r, const struct exp_study_place *at, struct values *v,
                      struct sim_status *st)
{
    if (!at->key) return add_strategies(r, at, v, st);
    return exp_study_value(r->s, at, r->scratch, &v->value[v->n], st) && ++v->n;
}

/* An axis has a value at every point, so what `set` says of its key would never count. In `list` it does: of entries that
 * leave the key out. */
static bool expect_free(const struct exp_study *s, const struct exp_study_place *at, struct sim_status *st)
{
    for (uint32_t i = 0; i < s->n_set; i++)
        if (s->set[i].field == at->field)
            return sim_fail(st,
                            "%s: %.100s varies here and is set in line %d, expected one of both; remove one",
                            exp_where(at->node).text, at->path, mdl_yaml_line(s->set[i].node));
    return true;
}

/* How many entries a list has, 1 for what is none; 0 with a message. */
static size_t count_entries(const struct exp_study_place *at, struct sim_status *st)
{
    struct sim_status empty = {0};
    enum mdl_yaml_kind kind = mdl_yaml_kind(at->node);
    size_t n = 1;
    if (kind == MDL_YAML_LIST) n = mdl_yaml_size(at->node);
    if (kind == MDL_YAML_SCALAR && !mdl_yaml_string(at->node, "", &empty)) n = 0;
    if (n == 0)
        sim_fail(st, "%s: %.100s has no values, expected [a, b] or a range; add some, or remove the key",
                 exp_where(at->node).text, at->path);
    if (n <= EXP_STUDY_MOST_VALUES) return n;
    sim_fail(st, "%s: %.100s has more than %d values, expected fewer; leave some out",
             exp_where(at->node).text, at->path, EXP_STUDY_MOST_VALUES);
    return 0;
}

/* `[a, b]` or one alone. */
static bool read_values(struct reader *r, const struct exp_study_place *at, struct values *v,
                        struct sim_status *st)
{
    size_t n = count_entries(at, st);
    bool ok = n > 0;
    if (!ok) return false;
    *v = (struct values){sim_alloc(n, sizeof *v->value), 0};
    for (size_t i = 0; ok && i < n; i++) {
        struct exp_study_place one = *at;
        if (mdl_yaml_kind(at->node) == MDL_YAML_LIST) one.node = mdl_yaml_at(at->node, i);
        ok = add_value(r, &one, v, st);
    }
    if (!ok) free(v->value);
    return ok;
}

/* Kept in the arena, as values of an axis. */
static struct exp_study_value *keep_values(struct exp_study *s, struct values *v, uint32_t axis)
{
    struct exp_study_value *kept = sim_arena_alloc(s->arena, v->n, sizeof *kept);
    for (uint64_t i = 0; i < v->n; i++) {
        kept[i] = v->value[i];
        kept[i].axis = axis;
    }
    free(v->value);
    return kept;
}

/* ---- list ---- */

struct entry {
    struct reader *r;
    bool named;
    struct exp_study_value value[EXP_STUDY_MAX_AXES];
    uint32_t n;
};

static bool add_setting(void *context, const struct exp_study_place *at, struct sim_status *st)
{
    struct entry *e = context;
    struct values one;
    uint32_t axis;
    if (!exp_study_add_axis(e->r->s, at, &axis, st)) return false;
    e->r->s->told[axis] = e->named;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->value[i].axis == axis)
            return sim_fail(st, "%s: %.100s is set twice in one entry, expected it once; remove one",
                            exp_where(at->node).text, at->path);
    one = (struct values){sim_alloc(1, sizeof *one.value), 0};
    bool ok = add_value(e->r, at, &one, st);
    if (ok && one.n > 1)
        ok = sim_fail(st, "%s: strategy stands for %d of them here, expected one; take it to `grid`",
                      exp_where(at->node).text, (int)one.n);
    if (ok) {
        e->value[e->n] = one.value[0];
        e->value[e->n++].axis = axis;
    }
    free(one.value);
    return ok;
}

static int by_axis(const void *a, const void *b)
{
    const struct exp_study_value *x = a, *y = b;
    return (x->axis > y->axis) - (x->axis < y->axis);
}

/* Names stand in tables, in one line. */
static bool is_name(const char *text)
{
    if (!text || !*text) return false;
    for (const char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c)) return false;
    return strlen(text) < EXP_NAME_BYTES;
}

/* The name of an entry, as the value of its list's axis. */
static bool add_name(struct entry *e, const struct exp_study_place *label, const struct mdl_yaml_node *map,
                     struct sim_status *st)
{
    struct sim_status never = {0};
    struct exp_study_value *v = &e->value[e->n];
    struct exp_study_place at = *label;
    at.node = mdl_yaml_get(map, "name");
    bool scalar = at.node && mdl_yaml_kind(at.node) == MDL_YAML_SCALAR;
    const char *text = scalar ? mdl_yaml_string(at.node, "name", &never) : NULL;
    if (!is_name(text))
        return sim_fail(
            st,
            "%s: an entry of list.%.100s has no name, expected such as {name: chat, ...}, at most %d bytes "
            "in one line; give it one",
            exp_where(at.node ? at.node : map).text, label->path, EXP_NAME_BYTES - 1);
    *v = (struct exp_study_value){.at = at, .text = text};
    if (!exp_study_add_axis(e->r->s, &at, &v->axis, st)) return false;
    e->n++;
    return true;
}

/* label: of a list with a name; NULL = none. */
static bool read_entry(struct reader *r, const struct exp_study_place *label, const char *prefix,
                       const struct mdl_yaml_node *map, struct exp_study_entry *out, struct sim_status *st)
{
    struct entry e = {.r = r, .named = label != NULL};
    struct exp_study_walk w = {.skip = label ? "name" : NULL,
                               .scratch = r->scratch,
                               .visit = add_setting,
                               .context = &e,
                               .study = r->s};
    static const char nothing[] = "an entry of the list sets no keys, expected such as {fleet.0.replicas: 2}";
    if (!label && !*prefix && mdl_yaml_kind(map) == MDL_YAML_MAP && mdl_yaml_get(map, "name"))
        return sim_fail(
            st,
            "%s: an entry has a name and its list has none, expected such as `list: {card: [{name: a, "
            "...}]}`; name the list, or remove `name`",
            exp_where(mdl_yaml_get(map, "name")).text);
    if (!expect(map, MDL_YAML_MAP, nothing, st) || (label && !add_name(&e, label, map, st)) ||
        !exp_study_walk(&w, prefix, map, st))
        return false;
    if (e.n == 0) return sim_fail(st, "%s: %s", exp_where(map).text, nothing);
    qsort(e.value, e.n, sizeof e.value[0], by_axis);
    struct exp_study_value *kept = sim_arena_alloc(r->s->arena, e.n, sizeof *kept);
    memcpy(kept, e.value, e.n * sizeof *kept);
    *out = (struct exp_study_entry){kept, e.n};
    return true;
}

/* Each entry on the scenario as it was before the list. */
static bool read_entries(struct reader *r, const struct exp_study_place *label, const char *prefix,
                         const struct mdl_yaml_node *list, struct sim_status *st)
{
    size_t n = mdl_yaml_size(list);
    struct exp_study_level level = {n, sim_arena_alloc(r->s->arena, n, sizeof *level.entry), false};
    struct exp_scenario *before = exp_scenario_copy(r->scratch);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        *r->scratch = *before;
        ok = read_entry(r, label, prefix, mdl_yaml_at(list, i), &level.entry[i], st);
    }
    free(before);
    return ok && exp_study_add_level(r->s, &level, list, st);
}

static bool expect_entries(const struct mdl_yaml_node *node, struct sim_status *st)
{
    return expect(node, MDL_YAML_LIST,
                  "list holds no entries, expected `- {fleet.0.gpu: h100-sxm, fleet.0.replicas: 2}` and "
                  "more; add some, or remove list",
                  st);
}

/* `traffic: [{name: chat, ...}, ...]` */
static bool read_named(struct reader *r, const struct mdl_yaml_node *map, size_t i, struct sim_status *st)
{
    const char *name = mdl_yaml_key(map, i);
    const struct mdl_yaml_node *node = mdl_yaml_at(map, i);
    if (!*name || strlen(name) >= EXP_NAME_BYTES || name[strspn(name, EXP_CLASS_LETTERS)])
        return sim_fail(st,
                        "%s: a list is called `%s`, expected at most %d letters, digits, - and _; rename it",
                        exp_where(node).text, sim_excerpt(name, strlen(name)).text, EXP_NAME_BYTES - 1);
    /* A field of its own, beyond every scenario's: the axis that comes next is this one. */
    struct exp_study_place label = {sim_arena_strdup(r->s->arena, name), NULL, UINT32_MAX - 1 - r->s->n_axes,
                                    true, node};
    return expect_entries(node, st) && read_entries(r, &label, "", node, st);
}

bool exp_study_read_list(struct exp_study *s, struct exp_scenario *scratch, const struct mdl_yaml_node *node,
                         struct sim_status *st)
{
    struct reader r = {s, scratch};
    bool ok = true;
    if (mdl_yaml_kind(node) != MDL_YAML_MAP || mdl_yaml_size(node) == 0)
        return expect_entries(node, st) && read_entries(&r, NULL, "", node, st);
    for (size_t i = 0; ok && i < mdl_yaml_size(node); i++) ok = read_named(&r, node, i, st);
    return ok;
}

/* ---- grid ---- */

static bool add_grid_key(void *context, const struct exp_study_place *at, struct sim_status *st)
{
    struct reader *r = context;
    struct exp_study_place place = *at;
    struct values v;
    uint32_t axis;
    if (!expect_free(r->s, at, st) || !exp_study_add_axis(r->s, at, &axis, st)) return false;
    if (mdl_yaml_kind(at->node) == MDL_YAML_MAP && !(place.node = exp_study_range(r->s, at, st)))
        return false;
    if (!read_values(r, &place, &v, st)) return false;
    struct exp_study_value *value = keep_values(r->s, &v, axis);
    struct exp_study_level level = {v.n, sim_arena_alloc(r->s->arena, v.n, sizeof *level.entry), true};
    for (uint64_t i = 0; i < v.n; i++) level.entry[i] = (struct exp_study_entry){&value[i], 1};
    return exp_study_add_level(r->s, &level, at->node, st);
}

/* `slo: [{ttft_ms: 300}, {ttft_ms: 500, tpot_ms: 40}]` is a list of settings like any other. */
static bool add_grid_section(void *context, const struct exp_study_place *at, struct sim_status *st)
{
    return count_entries(at, st) && read_entries(context, NULL, at->path, at->node, st);
}

bool exp_study_read_grid(struct exp_study *s, struct exp_scenario *scratch, const struct mdl_yaml_node *node,
                         struct sim_status *st)
{
    struct reader r = {s, scratch};
    struct exp_study_walk w = {NULL, scratch, add_grid_key, add_grid_section, &r, s};
    return expect(node, MDL_YAML_MAP,
                  "grid holds no keys, expected such as {strategy: [full, fp8], workload.multiply: [1, 2]}; "
                  "add some, or remove grid",
                  st) &&
           exp_study_walk(&w, "", node, st);
}

/* ---- random ---- */

static bool try_end(struct reader *r, const struct exp_study_place *at, const char *name,
                    struct sim_status *st)
{
    char shown[EXP_STUDY_PATH_BYTES + 8];
    snprintf(shown, sizeof shown, "%s.%s", at->path, name);
    return exp_scenario_set_node(r->scratch, &(struct exp_alias){at->path, shown, NULL, true},
                                 mdl_yaml_get(at->node, name), st);
}

static bool read_span(struct reader *r, const struct exp_study_place *at, struct exp_study_sampler *k,
                      struct sim_status *st)
{
    struct sim_status never = {0};
    if (!exp_study_span(at, false, &k->span, st) || !try_end(r, at, "from", st) || !try_end(r, at, "to", st))
        return false;
    struct exp_study_axis *a = &r->s->axis[k->number.axis];
    a->first = mdl_yaml_string(mdl_yaml_get(at->node, "from"), "", &never);
    a->last = mdl_yaml_string(mdl_yaml_get(at->node, "to"), "", &never);
    k->number.at.node = NULL;
    return true;
}

static bool read_choices(struct reader *r, const struct exp_study_place *at, struct exp_study_sampler *k,
                         struct sim_status *st)
{
    struct values v;
    if (!read_values(r, at, &v, st)) return false;
    k->n_choices = v.n;
    k->choice = keep_values(r->s, &v, k->number.axis);
    return true;
}

static uint64_t stream_of(const char *what, const char *path)
{
    char name[EXP_STUDY_PATH_BYTES + 16];
    snprintf(name, sizeof name, "study %s %s", what, path);
    return sim_stream(name);
}

static bool add_sampler(void *context, const struct exp_study_place *at, struct sim_status *st)
{
    struct reader *r = context;
    struct exp_study *s = r->s;
    struct exp_study_sampler *k = &s->sampler[s->n_samplers];
    uint32_t axes_before = s->n_axes;
    *k = (struct exp_study_sampler){.number = {.at = *at}};
    if (!expect_free(s, at, st) || !exp_study_add_axis(s, at, &k->number.axis, st)) return false;
    if (s->n_axes == axes_before)
        return sim_fail(st, "%s: %.100s stands in random twice, expected it once; remove one",
                        exp_where(at->node).text, at->path);
    bool span = mdl_yaml_kind(at->node) == MDL_YAML_MAP;
    if (!(span ? read_span : read_choices)(r, at, k, st)) return false;
    k->order = stream_of("order", at->path);
    k->inside = stream_of("inside", at->path);
    s->n_samplers++;
    return true;
}

static bool read_method(struct exp_study *s, const struct mdl_yaml_node *node, struct sim_status *st)
{
    const char *word = mdl_yaml_string(node, "random.method", st);
    if (!word) return false;
    s->uniform = strcmp(word, "uniform") == 0;
    return s->uniform || strcmp(word, "latin_hypercube") == 0 ||
           sim_fail(st, "%s: random.method is none of latin_hypercube, uniform; choose one of them",
                    exp_where(node).text);
}

static bool read_samples(struct exp_study *s, const struct mdl_yaml_node *random, struct sim_status *st)
{
    const struct mdl_yaml_node *samples = mdl_yaml_get(random, "samples");
    if (!samples)
        return sim_fail(st, "%s: random has no `samples`, expected how many; add such as samples: 100",
                        exp_where(random).text);
    if (!mdl_yaml_u64(samples, "random.samples", &s->n_samples, st)) return false;
    return (s->n_samples >= 1 && s->n_samples <= EXP_STUDY_MOST_POINTS) ||
           sim_fail(st, "%s: random.samples is %llu, expected 1 to 2^40", exp_where(samples).text,
                    (unsigned long long)s->n_samples);
}

static bool read_settings(struct exp_study *s, const struct mdl_yaml_node *random, struct sim_status *st)
{
    static const char *const valid[] = {"samples", "seed", "method", "keys", NULL};
    const struct mdl_yaml_node *seed = mdl_yaml_get(random, "seed"), *method = mdl_yaml_get(random, "method");
    for (size_t i = 0; i < mdl_yaml_size(random); i++)
        if (!exp_study_is_word(mdl_yaml_key(random, i), valid))
            return mdl_yaml_unknown_key(random, i, valid, st);
    s->seed = 1;
    return read_samples(s, random, st) && (!seed || mdl_yaml_u64(seed, "random.seed", &s->seed, st)) &&
           (!method || read_method(s, method, st));
}

bool exp_study_read_random(struct exp_study *s, struct exp_scenario *scratch,
                           const struct mdl_yaml_node *node, struct sim_status *st)
{
    static const char missing[] = "random holds no keys, expected such as {samples: 100, keys: "
                                  "{workload.multiply: {from: 1, to: 8}}}; add some, or remove random";
    struct reader r = {s, scratch};
    struct exp_study_walk w = {NULL, scratch, add_sampler, NULL, &r, s};
    if (!expect(node, MDL_YAML_MAP, missing, st) || !read_settings(s, node, st)) return false;
    const struct mdl_yaml_node *keys = mdl_yaml_get(node, "keys");
    if (!keys) return sim_fail(st, "%s: %s", exp_where(node).text, missing);
    return expect(keys, MDL_YAML_MAP, missing, st) && exp_study_walk(&w, "", keys, st) &&
           exp_study_add_level(s, &(struct exp_study_level){s->n_samples, NULL, false}, node, st);
}
