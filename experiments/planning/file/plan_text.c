/* Plans as text: the values that decide, for people, and a file that reads back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/file/plan_lines.h"
#include "experiments/planning/file/plan_list.h"
#include "experiments/value_text.h"
#include "sim/memory.h"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* ---- lines ---- */

static void add(struct exp_plan_lines *l, const struct exp_plan_line *line)
{
    l->at = sim_realloc(l->at, l->n + 1, sizeof *l->at);
    l->at[l->n++] = *line;
}

/* Keys of the base that stand in every print, given or not. */
static bool is_asked_about(const struct exp_key *k)
{
    static const char *const names[] = {"model",
                                        "weights",
                                        "name",
                                        "seed",
                                        "length_shift",
                                        "workload.how",
                                        "workload.multiply",
                                        "ttft_ms",
                                        "workload.overlong",
                                        "tpot_ms",
                                        "percentile"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(k->name, names[i]) == 0) return true;
    return false;
}

static void add_row(struct exp_plan_lines *l, const struct exp_plan *p, const struct exp_plan_row *row,
                    const char *path, const void *owner)
{
    struct exp_plan_line line = {.key = &row->key, .own = true, .text = row->form->text(&row->key, owner)};
    snprintf(line.path, sizeof line.path, "%s", path);
    line.given = exp_plan_given(p, path);
    add(l, &line);
}

/* A field of the base and the same at its default. */
struct pair {
    const char *own, *fresh;
};

static void add_base(struct exp_plan_lines *l, const struct exp_plan *p, const struct exp_plan_key *k,
                     const char *path, struct pair of)
{
    struct exp_plan_line line = {.key = k->key, .text = exp_value_text(k->key, of.own + k->key->offset)};
    char *fresh = exp_value_text(k->key, of.fresh + k->key->offset);
    snprintf(line.path, sizeof line.path, "%s", path);
    line.given = exp_plan_given(p, path) || strcmp(line.text, fresh) != 0;
    free(fresh);
    if (line.given || is_asked_about(k->key) || begins(path, "load.open_loop."))
        add(l, &line);
    else
        free(line.text);
}

/* "classes.NAME.x" of a class called gold: "classes.gold.x". */
static void class_path(const char *pattern, const char *name, char out[EXP_PLAN_PATH_BYTES])
{
    snprintf(out, EXP_PLAN_PATH_BYTES, "classes.%.40s%s", name, pattern + strlen("classes.NAME"));
}

/* The limits of `slo` are those of class default, where no class of that name is in the base. */
static const struct exp_class_keys *base_class(const struct exp_plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->base->n_classes; i++)
        if (strcmp(p->base->classes[i].name, name) == 0) return &p->base->classes[i];
    return NULL;
}

static void add_of_class(struct exp_plan_lines *l, const struct exp_plan *p, const struct exp_plan_key *k,
                         const struct exp_plan_class *class)
{
    char path[EXP_PLAN_PATH_BYTES];
    const struct exp_class_keys *own = base_class(p, class->name);
    struct exp_class_keys fresh;
    class_path(k->path, class->name, path);
    exp_key_defaults(EXP_IN_CLASS, &fresh);
    exp_key_defaults(EXP_IN_SLO, &fresh.slo);
    if (k->row)
        add_row(l, p, k->row, path, class);
    else if (own && k->key->scope == EXP_IN_SLO)
        add_base(l, p, k, path, (struct pair){(const char *)&own->slo, (const char *)&fresh.slo});
    else if (own)
        add_base(l, p, k, path, (struct pair){(const char *)own, (const char *)&fresh});
}

static void add_class(struct exp_plan_lines *l, const struct exp_plan *p, uint32_t i,
                      const struct exp_plan_keys *keys)
{
    for (size_t k = 0; k < keys->n; k++)
        if (begins(keys->at[k].path, "classes.")) add_of_class(l, p, &keys->at[k], &p->class[i]);
}

/* "{gpu: h100-sxm, servers: 2}" */
static char *machines_text(const struct exp_plan *p, uint32_t i)
{
    char *text = sim_strdup("{");
    for (size_t r = 0; r < exp_plan_row_count(); r++) {
        const struct exp_plan_row *row = exp_plan_row_at(r);
        if (strcmp(exp_plan_place(row), "have.N.") != 0) continue;
        char *value = row->form->text(&row->key, &p->have[i]);
        char *longer =
            sim_printf("%s%s%s: %s", text, text[1] ? ", " : "", row->key.name + strlen("have.N."), value);
        free(value);
        free(text);
        text = longer;
    }
    char *whole = sim_printf("%s}", text);
    free(text);
    return whole;
}

static void add_machines(struct exp_plan_lines *l, const struct exp_plan *p)
{
    struct exp_plan_line line = {
        .path = "have", .key = &exp_plan_row("have.0.gpu")->key, .own = true, .given = p->n_have > 0};
    struct exp_plan_text t = {0};
    for (uint32_t i = 0; i < p->n_have; i++) {
        char *entry = machines_text(p, i);
        exp_plan_text_add(&t, entry);
        free(entry);
    }
    line.text = exp_plan_text_end(&t, "[]");
    add(l, &line);
}

/* A plan has one load: what another one left behind would be a second. */
static bool is_of_other_load(const struct exp_plan *p, const char *path)
{
    enum exp_source source = p->base->workload.source;
    return (source != EXP_TRACE && strcmp(path, "load.trace") == 0) ||
           (source != EXP_OPEN_LOOP && begins(path, "load.open_loop."));
}

/* Base keys stand where the plan's path says; own ones of classes and machines are added as wholes. */
static void add_key(struct exp_plan_lines *l, const struct exp_plan *p, const struct exp_plan_keys *keys,
                    const struct exp_scenario *fresh, size_t i)
{
    const struct exp_plan_key *k = &keys->at[i];
    enum exp_scope scope = k->key->scope;
    struct pair of = {scope == EXP_IN_ENGINE ? (const char *)&p->base->engine
                      : scope == EXP_IN_SLO  ? (const char *)&p->base->slo
                                             : (const char *)p->base,
                      scope == EXP_IN_ENGINE ? (const char *)&fresh->engine
                      : scope == EXP_IN_SLO  ? (const char *)&fresh->slo
                                             : (const char *)fresh};
    bool slo_unused = begins(k->path, "slo.") && !p->base->slo_given && p->base->n_classes;
    bool curve = strcmp(k->path, "load.peak_to_mean") == 0 && p->n_rate_curve;
    if (slo_unused || curve || begins(k->path, "have.N.") || is_of_other_load(p, k->path)) return;
    if (!k->row)
        add_base(l, p, k, k->path, of);
    else
        add_row(l, p, k->row, k->path, p);
}

struct exp_plan_lines exp_plan_lines(const struct exp_plan *p)
{
    struct exp_plan_lines l = {0};
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    struct exp_scenario *fresh = exp_scenario_new();
    bool classes = false, machines = false;
    exp_plan_keys(keys);
    for (size_t i = 0; i < keys->n; i++) {
        bool of_class = begins(keys->at[i].path, "classes."), of_have = begins(keys->at[i].path, "have.");
        for (uint32_t c = 0; of_class && !classes && c < p->n_classes; c++) add_class(&l, p, c, keys);
        if (of_have && !machines) add_machines(&l, p);
        classes |= of_class;
        machines |= of_have;
        if (!of_class) add_key(&l, p, keys, fresh, i);
    }
    free(fresh);
    free(keys);
    return l;
}

void exp_plan_lines_free(struct exp_plan_lines *l)
{
    for (size_t i = 0; i < l->n; i++) free(l->at[i].text);
    free(l->at);
    *l = (struct exp_plan_lines){0};
}

/* ---- for people ---- */

enum { PATH_WIDTH = 34 };

/* What a default is, where the file would only say `default`. */
static const char *meaning(const struct exp_plan_line *line)
{
    const struct exp_key *k = line->key;
    if (line->given || strcmp(line->text, "default") != 0) return line->text;
    if (k->fallback[0]) return k->fallback;
    if (!line->own) return k->example ? k->example : "none";
    return k->type == EXP_PATH ? "as shipped" : k->type == EXP_COUNT ? "by what fits" : "none";
}

void exp_plan_print(const struct exp_plan *p, FILE *out)
{
    struct exp_plan_lines l = exp_plan_lines(p);
    for (size_t i = 0; i < l.n; i++)
        fprintf(out, "%-*s %s%s\n", PATH_WIDTH, l.at[i].path, meaning(&l.at[i]),
                l.at[i].given ? "" : "  (default)");
    exp_plan_lines_free(&l);
}

/* ---- for programs ---- */

/* Length of what two paths have in common, in whole names. */
static size_t shared(const char *a, const char *b)
{
    size_t whole = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '.') whole = i + 1;
    return whole;
}

/* Heads of the sections that begin with this path; how deep it lies. */
static int open_sections(const char *path, const char *last, FILE *out)
{
    size_t same = shared(path, last);
    int depth = 0;
    for (const char *at = path, *dot; (dot = strchr(at, '.')); at = dot + 1, depth++)
        if ((size_t)(at - path) >= same) fprintf(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - at), at);
    return depth;
}

void exp_plan_write(const struct exp_plan *p, FILE *out)
{
    struct exp_plan_lines l = exp_plan_lines(p);
    const char *last = "";
    fputs("# A kvsim plan with every value that was used; `kvsim list plan-keys` explains them.\n", out);
    for (size_t i = 0; i < l.n; i++) {
        const char *path = l.at[i].path, *dot = strrchr(path, '.');
        int depth = open_sections(path, last, out);
        fprintf(out, "%*s%s: %s%s\n", 2 * depth, "", dot ? dot + 1 : path, l.at[i].text,
                l.at[i].given ? "" : "  # default");
        last = path;
    }
    exp_plan_lines_free(&l);
}
