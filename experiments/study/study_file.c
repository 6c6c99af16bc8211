/* A study file from top to bottom: its base scenario, what every point sets, its axes. */
#include "experiments/study/study_file.h"

#include <ctype.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/study_parts.h"
#include "experiments/values.h"
#include "models/textfile.h"
#include "sim/check.h"

enum { MOST_BYTES = 16 << 20, MOST_NAME_BYTES = 200, MOST_REPLICATIONS = 100000 };

static const char *const valid[] = {"name",   "scenario",     "set",    "grid", "list",
                                    "random", "replications", "prices", "note", NULL};

struct mdl_yaml *exp_study_keep(struct exp_study *s, struct mdl_yaml *y)
{
    if (!y) return NULL;
    s->doc = sim_realloc(s->doc, s->n_docs + 1, sizeof *s->doc);
    return s->doc[s->n_docs++] = y;
}

/* ---- texts ---- */

/* In one line, without blanks at its end. */
static char *one_line(struct exp_study *s, const char *text)
{
    char *line = sim_arena_strdup(s->arena, text);
    for (char *at = line; *at; at++)
        if (iscntrl((unsigned char)*at)) *at = ' ';
    for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--) line[n - 1] = '\0';
    return line;
}

/* The file's name without folder and extension. */
static const char *name_of(struct exp_study *s)
{
    const char *slash = strrchr(s->file, '/'), *begin = slash ? slash + 1 : s->file,
               *dot = strrchr(begin, '.');
    char name[MOST_NAME_BYTES + 1];
    size_t n = dot && dot > begin ? (size_t)(dot - begin) : strlen(begin);
    snprintf(name, sizeof name, "%.*s", (int)(n < MOST_NAME_BYTES ? n : MOST_NAME_BYTES), begin);
    return one_line(s, name);
}

static bool read_name(struct exp_study *s, const struct mdl_yaml_node *node, struct sim_status *st)
{
    const char *name = node ? mdl_yaml_string(node, "name", st) : name_of(s);
    if (!name) return false;
    s->name = one_line(s, name);
    if (!node && !s->name[0]) s->name = "study";
    return (s->name[0] && strlen(s->name) <= MOST_NAME_BYTES && !strchr(s->name, '/')) ||
           sim_fail(st,
                    "%s: name is empty, longer than %d bytes or a path, expected one for a file; correct it",
                    exp_where(node).text, MOST_NAME_BYTES);
}

static bool read_note(struct exp_study *s, const struct mdl_yaml_node *node, struct sim_status *st)
{
    const char *note = node ? mdl_yaml_string(node, "note", st) : "";
    s->note = note ? one_line(s, note) : "";
    return note != NULL;
}

/* From the study's folder. */
static const char *path_of(struct exp_study *s, const char *text)
{
    if (!s->folder || text[0] == '/') return sim_arena_strdup(s->arena, text);
    char *joined = sim_printf("%s/%s", s->folder, text), *kept = sim_arena_strdup(s->arena, joined);
    free(joined);
    return kept;
}

static bool read_prices(struct exp_study *s, const struct mdl_yaml_node *node, struct sim_status *st)
{
    const char *text = node ? mdl_yaml_string(node, "prices", st) : "";
    s->prices = text && *text ? path_of(s, text) : "";
    return text != NULL;
}

static bool read_replications(struct exp_study *s, const struct mdl_yaml_node *node, struct sim_status *st)
{
    uint64_t n = 0;
    if (!node) return true;
    if (!mdl_yaml_u64(node, "replications", &n, st)) return false;
    s->replications = (uint32_t)n;
    return (n >= 2 && n <= MOST_REPLICATIONS) ||
           sim_fail(
               st,
               "%s: replications is %llu, expected 2 to %d, or no such key for points without error bands",
               exp_where(node).text, (unsigned long long)n, MOST_REPLICATIONS);
}

/* ---- the base ---- */

static bool read_scenario(struct exp_study *s, const struct mdl_yaml_node *root, struct sim_status *st)
{
    const struct mdl_yaml_node *node = mdl_yaml_get(root, "scenario");
    if (!node)
        return sim_fail(st,
                        "%s: names no `scenario`, expected the file that its points change; add such as "
                        "scenario: demo.yaml",
                        exp_where(root).text);
    const char *text = mdl_yaml_string(node, "scenario", st);
    if (!text) return false;
    struct sim_status why = {0};
    s->base = exp_scenario_load(path_of(s, text), &why);
    if (!s->base) return sim_fail_as(st, why.code, "%s: scenario: %s", exp_where(node).text, why.message);
    snprintf(s->base->over, sizeof s->base->over, "%s", s->file);
    return true;
}

struct settings {
    struct exp_study *s;
    struct exp_scenario *scratch;
    struct exp_study_value *value;
    uint32_t n;
};

static bool add_setting(void *context, const struct exp_study_place *at, struct sim_status *st)
{
    struct settings *x = context;
    const struct exp_study_value *strategy;
    struct exp_study_value one;
    uint32_t n = 1;
    if (!at->key && !(n = exp_study_strategies(x->s, at, &strategy, st))) return false;
    if (n > 1)
        return sim_fail(st, "%s: strategy stands for %u of them here, expected one; take it to `grid`",
                        exp_where(at->node).text, n);
    if (at->key && !exp_study_value(x->s, at, x->scratch, &one, st)) return false;
    x->value = sim_realloc(x->value, x->n + 1, sizeof *x->value);
    x->value[x->n++] = at->key ? one : strategy[0];
    return true;
}

static void keep_places(struct exp_study *s, const struct settings *x)
{
    s->set = sim_arena_alloc(s->arena, x->n + 1, sizeof *s->set);
    for (uint32_t i = 0; i < x->n; i++) s->set[s->n_set++] = x->value[i].at;
}

/* What is set of every point, on the base. */
static bool read_set(struct exp_study *s, const struct mdl_yaml_node *node, struct sim_status *st)
{
    if (!node) return true;
    if (mdl_yaml_kind(node) != MDL_YAML_MAP)
        return sim_fail(st, "%s: set is no mapping of keys, expected such as {fleet.0.gpu: h100-sxm}",
                        exp_where(node).text);
    struct settings x = {s, exp_scenario_copy(s->base), NULL, 0};
    struct exp_study_walk w = {NULL, x.scratch, add_setting, NULL, &x, s};
    enum exp_source load = s->base->workload.source;
    x.scratch->workload.source = EXP_NO_LOAD;
    bool ok = exp_study_walk(&w, "", node, st);
    s->base->workload.source = x.scratch->workload.source == EXP_NO_LOAD ? load : EXP_NO_LOAD;
    ok = ok && exp_study_set(s, x.value, x.n, s->base, st);
    keep_places(s, &x);
    free(x.value);
    free(x.scratch);
    return ok;
}

/* ---- the axes ---- */

typedef bool (*read_section)(struct exp_study *s, struct exp_scenario *scratch,
                             const struct mdl_yaml_node *node, struct sim_status *st);

static read_section section_of(const char *name)
{
    if (strcmp(name, "grid") == 0) return exp_study_read_grid;
    if (strcmp(name, "list") == 0) return exp_study_read_list;
    return strcmp(name, "random") == 0 ? exp_study_read_random : NULL;
}

/* In the order of the file. */
static bool read_axes(struct exp_study *s, const struct mdl_yaml_node *root, struct sim_status *st)
{
    struct exp_scenario *scratch = exp_scenario_copy(s->base);
    scratch->workload.source = EXP_NO_LOAD; /* so that two loads of the study contradict each other */
    s->n_points = 1;
    bool ok = true;
    for (size_t i = 0; ok && i < mdl_yaml_size(root); i++) {
        read_section read = section_of(mdl_yaml_key(root, i));
        if (read) ok = read(s, scratch, mdl_yaml_at(root, i), st);
    }
    free(scratch);
    if (ok && s->n_levels == 0)
        ok = sim_fail(st, "%s: nothing varies, expected grid, list or random; add one, or use `kvsim run`",
                      exp_where(root).text);
    return ok && exp_study_finish_axes(s, st);
}

/* ---- the file ---- */

static bool read_root(struct exp_study *s, const struct mdl_yaml_node *root, struct sim_status *st)
{
    if (mdl_yaml_kind(root) != MDL_YAML_MAP)
        return sim_fail(st, "%s: is not a mapping, expected a study; `kvsim init study` writes one",
                        exp_where(root).text);
    for (size_t i = 0; i < mdl_yaml_size(root); i++)
        if (!exp_study_is_word(mdl_yaml_key(root, i), valid)) return mdl_yaml_unknown_key(root, i, valid, st);
    return read_name(s, mdl_yaml_get(root, "name"), st) && read_note(s, mdl_yaml_get(root, "note"), st) &&
           read_prices(s, mdl_yaml_get(root, "prices"), st) &&
           read_replications(s, mdl_yaml_get(root, "replications"), st) && read_scenario(s, root, st) &&
           read_set(s, mdl_yaml_get(root, "set"), st) && read_axes(s, root, st);
}

/* Nothing but blanks and comments? */
static bool is_empty(const char *text, size_t length)
{
    bool comment = false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            comment = false;
        else if (text[i] == '#')
            comment = true;
        else if (!comment && !isspace((unsigned char)text[i]))
            return false;
    }
    return true;
}

struct exp_study *exp_study_parse(const char *name, const char *text, size_t length, const char *folder,
                                  struct sim_status *st)
{
    if (is_empty(text, length)) {
        sim_fail(
            st,
            "%s: is empty, expected a study such as {scenario: demo.yaml, grid: {strategy: [full, fp8]}}; "
            "`kvsim init study` writes one",
            name);
        return NULL;
    }
    struct mdl_yaml *y = mdl_yaml_parse(name, text, length, st);
    if (!y) return NULL;
    struct exp_study *s = sim_alloc(1, sizeof *s);
    s->arena = sim_arena_new();
    exp_study_keep(s, y);
    s->file = sim_arena_strdup(s->arena, name);
    s->folder = folder ? sim_arena_strdup(s->arena, folder) : NULL;
    char *copy = sim_arena_alloc(s->arena, length + 1, 1);
    memcpy(copy, text, length);
    s->text = copy;
    if (read_root(s, mdl_yaml_root(y), st)) return s;
    exp_study_free(s);
    return NULL;
}

struct exp_study *exp_study_load(const char *path, struct sim_status *st)
{
    size_t length;
    char *text = mdl_textfile_read(path, MOST_BYTES, &length, st);
    if (!text) return NULL;
    char *copy = sim_strdup(path);
    const char *folder = dirname(copy);
    struct exp_study *s = exp_study_parse(path, text, length, strcmp(folder, ".") == 0 ? NULL : folder, st);
    free(copy);
    free(text);
    return s;
}

void exp_study_free(struct exp_study *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n_docs; i++) mdl_yaml_free(s->doc[i]);
    free(s->doc);
    free(s->base);
    sim_arena_free(s->arena);
    free(s);
}

/* ---- what it holds ---- */

const char *exp_study_name(const struct exp_study *s)
{
    return s->name;
}

const char *exp_study_file(const struct exp_study *s)
{
    return s->file;
}

const char *exp_study_text(const struct exp_study *s)
{
    return s->text;
}

const char *exp_study_note(const struct exp_study *s)
{
    return s->note;
}

const struct exp_scenario *exp_study_base(const struct exp_study *s)
{
    return s->base;
}

uint32_t exp_study_replications(const struct exp_study *s)
{
    return s->replications;
}

const char *exp_study_prices(const struct exp_study *s)
{
    return s->prices;
}

uint64_t exp_study_n_points(const struct exp_study *s)
{
    return s->n_points;
}

uint64_t exp_study_n_samples(const struct exp_study *s)
{
    return s->n_samples;
}

uint32_t exp_study_n_axes(const struct exp_study *s)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->n_axes; k++) n += !s->told[k];
    return n;
}

struct exp_study_axis exp_study_axis(const struct exp_study *s, uint32_t i)
{
    SIM_CHECK(i < exp_study_n_axes(s));
    uint32_t k = 0;
    while (s->told[k] || i-- > 0) k++;
    return s->axis[k];
}
