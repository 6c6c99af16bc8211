#include "experiments/published/study.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/datadir.h"
#include "models/yaml.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- constants ---- */

static bool read_text(const struct mdl_yaml_node *n, const char *what, char *out, size_t room,
                      struct sim_status *st)
{
    const char *text = mdl_yaml_string(n, what, st);
    if (!text) return false;
    if (!*text || strlen(text) >= room)
        return sim_fail(st, "%s:%d: %s has %zu characters, expected 1 to %zu", mdl_yaml_file(n),
                        mdl_yaml_line(n), what, strlen(text), room - 1);
    snprintf(out, room, "%s", text);
    return true;
}

static bool read_constant(const struct mdl_yaml_node *n, struct exp_constant *c, struct sim_status *st)
{
    static const char *const keys[] = {"value", "low", "high", "source", NULL};
    for (size_t i = 0; i < mdl_yaml_size(n); i++) {
        const char *key = mdl_yaml_key(n, i);
        size_t k = 0;
        while (keys[k] && strcmp(keys[k], key) != 0) k++;
        if (!keys[k]) return mdl_yaml_unknown_key(n, i, keys, st);
    }
    for (size_t k = 0; keys[k]; k++)
        if (!mdl_yaml_get(n, keys[k]))
            return sim_fail(st, "%s:%d: %s has no %s, expected {value, low, high, source}", mdl_yaml_file(n),
                            mdl_yaml_line(n), c->name, keys[k]);
    if (!mdl_yaml_double(mdl_yaml_get(n, "value"), "value", &c->value, st) ||
        !mdl_yaml_double(mdl_yaml_get(n, "low"), "low", &c->low, st) ||
        !mdl_yaml_double(mdl_yaml_get(n, "high"), "high", &c->high, st) ||
        !read_text(mdl_yaml_get(n, "source"), "source", c->source, sizeof c->source, st))
        return false;
    if (c->low <= c->value && c->value <= c->high) return true;
    return sim_fail(st, "%s:%d: %s is %g, expected a value in its range %g to %g", mdl_yaml_file(n),
                    mdl_yaml_line(n), c->name, c->value, c->low, c->high);
}

/* A mapping with a `value` is a constant, any other a group of them. */
static bool read_group(struct exp_constants *out, const char *prefix, const struct mdl_yaml_node *map,
                       struct sim_status *st)
{
    if (mdl_yaml_kind(map) != MDL_YAML_MAP)
        return sim_fail(
            st, "%s:%d: %s is no mapping, expected {value, low, high, source} or a group of constants",
            mdl_yaml_file(map), mdl_yaml_line(map), prefix);
    for (size_t i = 0; i < mdl_yaml_size(map); i++) {
        struct exp_constant c = {.used = false};
        const struct mdl_yaml_node *n = mdl_yaml_at(map, i);
        int length =
            snprintf(c.name, sizeof c.name, "%s%s%s", prefix, *prefix ? "." : "", mdl_yaml_key(map, i));
        if (length >= (int)sizeof c.name)
            return sim_fail(st, "%s:%d: name is longer than %zu characters", mdl_yaml_file(n),
                            mdl_yaml_line(n), sizeof c.name - 1);
        bool group = mdl_yaml_kind(n) != MDL_YAML_MAP || !mdl_yaml_get(n, "value");
        if (group && !read_group(out, c.name, n, st)) return false;
        if (group) continue;
        if (!read_constant(n, &c, st)) return false;
        out->constant = sim_realloc(out->constant, out->n + 1, sizeof *out->constant);
        out->constant[out->n++] = c;
    }
    return true;
}

bool exp_constants_load(const char *path, struct exp_constants *out, struct sim_status *st)
{
    struct exp_constants c = {0};
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    if (!y) return false;
    bool ok = read_group(&c, "", mdl_yaml_root(y), st);
    mdl_yaml_free(y);
    if (ok)
        *out = c;
    else
        exp_constants_fini(&c);
    return ok;
}

void exp_constants_fini(struct exp_constants *c)
{
    free(c->constant);
    *c = (struct exp_constants){0};
}

const struct exp_constant *exp_constant_find(struct exp_constants *c, const char *name)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (strcmp(c->constant[i].name, name) != 0) continue;
        c->constant[i].used = true;
        return &c->constant[i];
    }
    return NULL;
}

bool exp_constant_value(struct exp_constants *c, const char *name, double *out, struct sim_status *st)
{
    const struct exp_constant *found = exp_constant_find(c, name);
    if (!found)
        return sim_fail(st, "experiments/published/constants.yaml: no constant `%s`; declare it", name);
    *out = found->value;
    return true;
}

/* ---- results ---- */

void exp_published_row(struct exp_published *p, const struct exp_published_row *row)
{
    p->row = sim_realloc(p->row, p->n_rows + 1, sizeof *p->row);
    p->row[p->n_rows++] = *row;
}

void exp_published_figure(struct exp_published *p, const struct exp_published_figure *figure)
{
    p->figure = sim_realloc(p->figure, p->n_figures + 1, sizeof *p->figure);
    p->figure[p->n_figures++] = *figure;
}

void exp_published_note(struct exp_published *p, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    SIM_CHECK(length >= 0);
    char *text = sim_alloc((size_t)length + 1, 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    p->note = sim_realloc(p->note, p->n_notes + 1, sizeof *p->note);
    p->note[p->n_notes++] = text;
}

double exp_published_value(const struct exp_published *p, const char *group, const char *name)
{
    for (uint32_t i = 0; i < p->n_figures; i++)
        if (strcmp(p->figure[i].group, group) == 0 && strcmp(p->figure[i].name, name) == 0)
            return p->figure[i].value;
    return NAN;
}

void exp_published_fini(struct exp_published *p)
{
    for (uint32_t i = 0; i < p->n_notes; i++) free(p->note[i]);
    free(p->note);
    free(p->row);
    free(p->figure);
    *p = (struct exp_published){0};
}

/* ---- running ---- */

/* --data, $KVSIM_SHARED, or ../shared beside the data folder. free with free(). */
static char *raw_dir_of(const char *given, const char *data_dir)
{
    const char *named = given ? given : getenv("KVSIM_SHARED");
    return named && *named ? sim_strdup(named) : sim_printf("%s/../shared", data_dir);
}

static bool check_raw(const struct exp_study *s, const char *raw_dir, struct sim_status *st)
{
    if (!s->raw) return true;
    char *path = sim_printf("%s/%s", raw_dir, s->raw);
    bool there = access(path, R_OK) == 0;
    free(path);
    if (there) return true;
    return sim_fail(st,
                    "%s: no %s there, expected the published data that study %s reads; name its folder with "
                    "--data DIR or KVSIM_SHARED",
                    raw_dir, s->raw, s->name);
}

bool exp_study_run(const struct exp_study *s, const char *raw_dir, bool fit, struct exp_study_result *out,
                   struct sim_status *st)
{
    *out = (struct exp_study_result){0};
    char *data_dir = mdl_data_dir(st);
    if (!data_dir) return false;
    char *raw = raw_dir_of(raw_dir, data_dir),
         *path = sim_printf("%s/experiments/published/constants.yaml", data_dir);
    struct exp_study_run r = {data_dir, raw, fit, &out->constants, &out->results};
    bool ok = check_raw(s, raw, st) && exp_constants_load(path, &out->constants, st) && s->run(&r, st);
    free(path);
    free(raw);
    free(data_dir);
    return ok;
}

void exp_study_result_fini(struct exp_study_result *r)
{
    exp_constants_fini(&r->constants);
    exp_published_fini(&r->results);
}
