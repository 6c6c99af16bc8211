/* The axes of a study: the keys that vary, each in one place of the file, and what is known of their values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/study_parts.h"
#include "experiments/values.h"
#include "sim/line_in.h"

bool exp_study_add_axis(struct exp_study *s, const struct exp_study_place *at, uint32_t *axis,
                        struct sim_status *st)
{
    uint32_t i = 0;
    while (i < s->n_axes && s->place[i].field != at->field) i++;
    if (i < s->n_axes && s->level_of[i] != s->n_levels)
        return sim_fail(st, "%s: %.100s varies in line %d already, expected it in one place; remove one",
                        exp_where(at->node).text, at->path, mdl_yaml_line(s->place[i].node));
    if (i == EXP_STUDY_MAX_AXES)
        return sim_fail(st, "%s: more than %d keys vary, expected fewer; leave %.100s out",
                        exp_where(at->node).text, EXP_STUDY_MAX_AXES, at->path);
    if (i == s->n_axes) {
        s->place[i] = *at;
        s->level_of[i] = s->n_levels;
        s->axis[s->n_axes++] = (struct exp_study_axis){.path = at->path, .numeric = true};
    }
    *axis = i;
    return true;
}

bool exp_study_add_level(struct exp_study *s, const struct exp_study_level *level,
                         const struct mdl_yaml_node *node, struct sim_status *st)
{
    if (level->n > EXP_STUDY_MOST_POINTS / s->n_points)
        return sim_fail(st, "%s: more than 2^40 points with this, expected fewer; leave values out",
                        exp_where(node).text);
    s->n_points *= level->n;
    s->level[s->n_levels++] = *level;
    return true;
}

/* ---- values ---- */

static void note_value(struct exp_study_axis *a, const char *text)
{
    double ignored;
    if (!a->first) a->first = text;
    a->last = text;
    a->numeric = a->numeric && exp_study_number(text, &ignored);
}

static int by_text(const void *a, const void *b)
{
    const struct exp_study_value *x = *(const struct exp_study_value *const *)a,
                                 *y = *(const struct exp_study_value *const *)b;
    int order = strcmp(x->text, y->text);
    return order ? order : mdl_yaml_line(x->at.node) - mdl_yaml_line(y->at.node);
}

/* Distinct values of one axis, sorted; *twice is one that stands there again. */
static uint64_t count_distinct(const struct exp_study_value **value, uint64_t n,
                               const struct exp_study_value **twice)
{
    uint64_t distinct = n > 0;
    *twice = NULL;
    qsort(value, n, sizeof *value, by_text);
    for (uint64_t i = 1; i < n; i++) {
        bool same = strcmp(value[i]->text, value[i - 1]->text) == 0;
        if (same) *twice = value[i];
        distinct += !same;
    }
    return distinct;
}

static bool count_values(struct exp_study *s, uint32_t axis, struct sim_status *st)
{
    const struct exp_study_level *level = &s->level[s->level_of[axis]];
    const struct exp_study_value **all = sim_alloc(level->n, sizeof *all), *twice;
    uint64_t n = 0;
    for (uint64_t e = 0; e < level->n; e++)
        for (uint32_t i = 0; i < level->entry[e].n; i++)
            if (level->entry[e].value[i].axis == axis) all[n++] = &level->entry[e].value[i];
    for (uint64_t i = 0; i < n; i++) note_value(&s->axis[axis], all[i]->text);
    s->axis[axis].n_values = count_distinct(all, n, &twice);
    free(all);
    return !twice || !(level->alone || s->place[axis].label) ||
           sim_fail(st, "%s: %.100s has the value `%s` twice, expected each once; remove one",
                    exp_where(twice->at.node).text, s->axis[axis].path,
                    sim_excerpt(twice->text, strlen(twice->text)).text);
}

static void describe_samples(struct exp_study *s)
{
    for (uint32_t i = 0; i < s->n_samplers; i++) {
        const struct exp_study_sampler *k = &s->sampler[i];
        for (uint64_t c = 0; c < k->n_choices; c++) note_value(&s->axis[k->number.axis], k->choice[c].text);
    }
}

/* ---- two axes that take each other's place ---- */

/* Does a strategy's own parameter stand in the way of an axis? */
static const struct exp_study_value *rival_in(const struct exp_study_value *v, uint32_t n, const char *key)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; v[i].strategy && k < v[i].strategy->contender.n_settings; k++)
            if (strcmp(v[i].strategy->contender.setting[k].key, key) == 0) return &v[i];
    return NULL;
}

static const struct exp_study_value *rival_of(const struct exp_study *s, const char *key)
{
    const struct exp_study_value *found = NULL;
    for (uint32_t l = 0; l < s->n_levels && !found; l++)
        for (uint64_t e = 0; s->level[l].entry && e < s->level[l].n && !found; e++)
            found = rival_in(s->level[l].entry[e].value, s->level[l].entry[e].n, key);
    for (uint32_t i = 0; i < s->n_samplers && !found; i++)
        found = rival_in(s->sampler[i].choice, (uint32_t)s->sampler[i].n_choices, key);
    return found;
}

/* Two lists of one name, or a list that is called like a key that varies beside it. */
static bool check_names(const struct exp_study *s, uint32_t axis, struct sim_status *st)
{
    const struct exp_study_place *at = &s->place[axis];
    for (uint32_t i = 0; at->label && i < s->n_axes; i++)
        if (i != axis && !s->told[i] && strcmp(s->place[i].path, at->path) == 0)
            return sim_fail(
                st, "%s: list.%.100s has the name of what varies in line %d, expected another one; rename it",
                exp_where(at->node).text, at->path, mdl_yaml_line(s->place[i].node));
    return true;
}

static bool check_rivals(const struct exp_study *s, uint32_t axis, struct sim_status *st)
{
    const struct exp_study_place *at = &s->place[axis];
    bool kv = at->key && at->key->scope == EXP_IN_FLEET && strncmp(at->key->name, "kv.", 3) == 0;
    uint32_t i = 0;
    while (i < s->n_axes && (s->place[i].key || s->place[i].label)) i++;
    if (!kv || i == s->n_axes) return true;
    if (strcmp(at->key->name, "kv.strategy") == 0)
        return sim_fail(
            st, "%s: %.100s and strategy (line %d) both choose one, expected one of them; remove the other",
            exp_where(at->node).text, at->path, mdl_yaml_line(s->place[i].node));
    const struct exp_study_value *rival = rival_of(s, at->key->name + 3);
    return !rival || sim_fail(st, "%s: %.100s is set by strategy %.60s too, expected it once; remove one",
                              exp_where(at->node).text, at->path, rival->text);
}

bool exp_study_finish_axes(struct exp_study *s, struct sim_status *st)
{
    describe_samples(s);
    for (uint32_t i = 0; i < s->n_axes; i++) {
        if (!check_rivals(s, i, st) || !check_names(s, i, st)) return false;
        if (s->level[s->level_of[i]].entry && !count_values(s, i, st)) return false;
    }
    return true;
}
