#include "experiments/report/of_study_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/check.h"

static const char *const figure_names[EXP_STUDY_N_FIGURES] = {
    [EXP_STUDY_GOODPUT] = "request_goodput",
    [EXP_STUDY_ATTAINMENT] = "slo_attainment",
    [EXP_STUDY_TTFT] = "p99_ttft_ms",
    [EXP_STUDY_TPOT] = "p99_tpot_ms",
    [EXP_STUDY_SLA_MET] = "sla_met",
    [EXP_STUDY_KV_PEAK] = "kv_peak_utilization",
    [EXP_STUDY_LINK_BUSY] = "host_link_busy",
    [EXP_STUDY_GPUS] = "gpus",
    [EXP_STUDY_COST_HOUR] = "cost_per_hour",
    [EXP_STUDY_COST_WITHIN] = "cost_per_1000_within_slo",
    [EXP_STUDY_COST_GOOD] = "cost_per_1000_good",
    [EXP_STUDY_NEWLY_FAILING] = "newly_failing",
    [EXP_STUDY_EVIDENCE + SIM_MEASURED] = "time_measured_frac",
    [EXP_STUDY_EVIDENCE + SIM_INTERPOLATED] = "time_interpolated_frac",
    [EXP_STUDY_EVIDENCE + SIM_EXTRAPOLATED] = "time_extrapolated_frac",
    [EXP_STUDY_EVIDENCE + SIM_TRANSFERRED] = "time_transferred_frac",
    [EXP_STUDY_EVIDENCE + SIM_ANALYTIC] = "time_analytic_frac",
};

/* ---- a row ---- */

struct loading {
    struct exp_study_rows *s;
    size_t room;
    size_t place[EXP_STUDY_N_FIGURES]; /* of a figure among the measures */
    json_t *seen[EXP_STUDY_MAX_AXES];  /* value: its number */
};

/* One copy of all that are equal. */
static const char *kept(struct loading *l, const char *text)
{
    json_t *at = json_object_get(l->s->texts, text);
    if (!at) json_object_set_new_nocheck(l->s->texts, text, at = json_string_nocheck(text));
    return json_string_value(at);
}

static const char *value_text(struct sim_arena *arena, const json_t *v)
{
    char text[40];
    if (json_is_string(v)) return json_string_value(v);
    if (json_is_true(v)) return "true";
    if (json_is_false(v)) return "false";
    if (!json_is_number(v)) return "";
    snprintf(text, sizeof text, "%.10g", json_number_value(v));
    return sim_arena_strdup(arena, text);
}

static uint32_t value_number(struct loading *l, uint32_t column, const json_t *v)
{
    const char *text = value_text(l->s->arena, v);
    const json_t *known = json_object_get(l->seen[column], text);
    if (!known) {
        json_object_set_new_nocheck(l->seen[column], text,
                                    json_integer((json_int_t)json_object_size(l->seen[column])));
        known = json_object_get(l->seen[column], text);
    }
    return (uint32_t)json_integer_value(known);
}

static void take_settings(struct loading *l, const char *settings, struct exp_study_entry *row)
{
    json_t *o = json_loads(settings, 0, NULL);
    for (uint32_t c = 0; c < l->s->n_columns; c++)
        row->value[c] = value_number(l, c, json_object_get(o, l->s->column[c].path));
    json_decref(o);
}

static double banded(const json_t *bands, const char *name, const char *end)
{
    char key[80];
    snprintf(key, sizeof key, "%s_%s", name, end);
    const json_t *v = json_object_get(bands, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void take_figures(const struct loading *l, const struct exp_stored *from, struct exp_study_entry *row)
{
    json_t *bands = from->bands ? json_loads(from->bands, 0, NULL) : NULL;
    for (int i = 0; i < EXP_STUDY_N_FIGURES; i++)
        row->figure[i] = row->done ? from->measure[l->place[i]] : NAN;
    for (int i = 0; i < EXP_STUDY_N_BANDED; i++) {
        row->lo[i] = banded(bands, figure_names[i], "lo");
        row->hi[i] = banded(bands, figure_names[i], "hi");
    }
    json_decref(bands);
}

static bool take(void *loading, const struct exp_stored *from)
{
    struct loading *l = loading;
    struct exp_study_rows *s = l->s;
    if (s->n == l->room) {
        l->room = l->room ? 2 * l->room : 256;
        s->row = sim_realloc(s->row, l->room, sizeof *s->row);
    }
    struct exp_study_entry *row = &s->row[s->n++];
    *row = (struct exp_study_entry){.index = from->index,
                                    .done = from->state == EXP_POINT_DONE,
                                    .stale = from->stale,
                                    .why = kept(l, from->why ? from->why : ""),
                                    .load_state = kept(l, from->load_state ? from->load_state : "")};
    take_settings(l, from->settings, row);
    take_figures(l, from, row);
    s->n_stale += row->stale;
    s->n_done += row->done && !row->stale;
    s->n_failed += !row->done && !row->stale;
    return true;
}

/* ---- columns ---- */

/* Of a path as it is stored: whole, or from the study's folder. */
static const char *without_folder(const char *text)
{
    const char *slash = *text == '/' || *text == '.' ? strrchr(text, '/') : NULL;
    return slash && slash[1] ? slash + 1 : text;
}

static const char *last_word(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && dot[1] ? dot + 1 : path;
}

static bool is_load(const char *path)
{
    static const char *const names[] = {"request_rate", "multiply", "concurrency", "n_clients", "clients"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(last_word(path), names[i]) == 0) return true;
    return false;
}

struct ordered {
    const char *text;
    double number;
    uint32_t was;
};

static int by_number(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    if (x->number != y->number && !isnan(x->number) && !isnan(y->number))
        return x->number < y->number ? -1 : 1;
    return x->was < y->was ? -1 : x->was > y->was;
}

/* Values of a number rise; what is not set has no number and makes the column one of names. */
static void set_values(struct loading *l, uint32_t c)
{
    struct exp_study_rows *s = l->s;
    struct exp_study_column *column = &s->column[c];
    uint32_t n = column->n_values = (uint32_t)json_object_size(l->seen[c]);
    struct ordered *all = sim_alloc(n + 1, sizeof *all);
    uint32_t *now = sim_alloc(n + 1, sizeof *now);
    const char **value = sim_arena_alloc(s->arena, n + 1, sizeof *value), *text;
    double *number = sim_arena_alloc(s->arena, n + 1, sizeof *number);
    json_t *at;
    json_object_foreach(l->seen[c], text, at)
    {
        char *end;
        struct ordered *o = &all[json_integer_value(at)];
        *o = (struct ordered){text, strtod(text, &end), (uint32_t)json_integer_value(at)};
        if (end == text || *end || !isfinite(o->number)) column->numeric = false;
    }
    if (column->numeric) qsort(all, n, sizeof *all, by_number);
    for (uint32_t i = 0; i < n; i++) {
        now[all[i].was] = i;
        value[i] = sim_arena_strdup(s->arena, without_folder(all[i].text));
        number[i] = column->numeric ? all[i].number : NAN;
    }
    column->value = value;
    column->number = number;
    for (uint64_t i = 0; i < s->n; i++) s->row[i].value[c] = now[s->row[i].value[c]];
    free(all);
    free(now);
}

static void set_names(struct exp_study_rows *s)
{
    for (uint32_t c = 0; c < s->n_columns; c++) {
        bool alone = true;
        for (uint32_t k = 0; k < s->n_columns; k++)
            alone &= k == c || strcmp(last_word(s->column[k].path), last_word(s->column[c].path)) != 0;
        s->column[c].name = alone ? last_word(s->column[c].path) : s->column[c].path;
        s->column[c].is_load = s->column[c].numeric && is_load(s->column[c].path);
    }
}

/* More values than these are no axis of a picture. */
enum { MOST_NAMES = 64, MOST_LOADS = 500 };

static void set_roles(struct exp_study_rows *s)
{
    s->strategy = s->load = -1;
    for (uint32_t c = s->n_columns; c-- > 0;) {
        const struct exp_study_column *k = &s->column[c];
        if (k->n_values > 1 && !k->numeric && k->n_values <= MOST_NAMES) s->strategy = (int)c;
        if (k->n_values > 2 && k->numeric && k->n_values <= MOST_LOADS) s->load = (int)c;
    }
    for (uint32_t c = s->n_columns; c-- > 0;) {
        const struct exp_study_column *k = &s->column[c];
        if (k->n_values > 1 && strcmp(k->path, "strategy") == 0) s->strategy = (int)c;
        if (k->n_values > 1 && k->is_load && k->n_values <= MOST_LOADS) s->load = (int)c;
    }
}

/* ---- the whole ---- */

/* A report is sent to others: where the file lies here is not theirs to know. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static const json_t *find_study(const json_t *all, const char *path, const char *name, struct sim_status *st)
{
    size_t n = json_array_size(all);
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(text_of(json_array_get(all, i), "name"), name) == 0) return json_array_get(all, i);
    if (!name && n == 1) return json_array_get(all, 0);
    char *names = sim_strdup("");
    for (size_t i = 0; i < n; i++) {
        char *longer = sim_printf("%s%s%s", names, i ? ", " : "", text_of(json_array_get(all, i), "name"));
        free(names);
        names = longer;
    }
    if (n == 0)
        sim_fail(st, "%s: holds no study, expected one; `kvsim sweep STUDY.yaml --db %s` stores its points",
                 path, path);
    else if (name)
        sim_fail(st, "%s: no study is called `%s`, expected one of: %s", path, name, names);
    else
        sim_fail_as(st, SIM_EXIT_USAGE, "%s: holds %zu studies, expected --study with one of: %s", path, n,
                    names);
    free(names);
    return NULL;
}

static void describe(struct exp_study_rows *s)
{
    const json_t *axes = json_object_get(s->study, "axes");
    s->name = text_of(s->study, "name");
    s->note = text_of(s->study, "note");
    s->file = text_of(s->study, "file");
    s->scenario = text_of(s->study, "scenario");
    s->versions = json_object_get(s->study, "versions");
    s->currency = text_of(s->versions, "currency");
    char *per_cost = *s->currency ? sim_printf("1/%s", s->currency) : sim_strdup("per unit of cost");
    s->per_cost = sim_arena_strdup(s->arena, per_cost);
    free(per_cost);
    json_int_t points = json_integer_value(json_object_get(s->study, "points"));
    s->n_points = points > 0 ? (uint64_t)points : 0;
    for (size_t i = 0; i < json_array_size(axes) && s->n_columns < EXP_STUDY_MAX_AXES; i++) {
        const json_t *axis = json_array_get(axes, i);
        s->column[s->n_columns++] = (struct exp_study_column){
            .path = text_of(axis, "path"), .numeric = json_is_true(json_object_get(axis, "numeric"))};
    }
}

static bool load_rows(struct exp_study_rows *s, struct exp_store *store, struct sim_status *st)
{
    struct loading l = {.s = s};
    for (int i = 0; i < EXP_STUDY_N_FIGURES; i++) {
        l.place[i] = exp_measure_find(figure_names[i]);
        SIM_CHECK(l.place[i] < exp_measure_count());
    }
    for (uint32_t c = 0; c < s->n_columns; c++) l.seen[c] = json_object();
    bool ok = exp_store_each(store, s->name, take, &l, st);
    for (uint32_t c = 0; c < s->n_columns; c++) {
        if (ok) set_values(&l, c);
        json_decref(l.seen[c]);
    }
    s->all_stale = s->n_stale == s->n;
    return ok;
}

struct exp_study_rows *exp_study_rows_load(struct exp_store *store, const char *name, struct sim_status *st)
{
    json_t *all = exp_store_studies(store, st);
    const json_t *study = all ? find_study(all, exp_store_path(store), name, st) : NULL;
    struct exp_study_rows *s = NULL;
    if (study) {
        s = sim_alloc(1, sizeof *s);
        s->study = json_copy((json_t *)study);
        s->texts = json_object();
        s->arena = sim_arena_new();
        s->database = sim_arena_strdup(s->arena, file_name(exp_store_path(store)));
        describe(s);
        if (load_rows(s, store, st)) {
            set_names(s);
            set_roles(s);
        } else {
            exp_study_rows_free(s);
            s = NULL;
        }
    }
    json_decref(all);
    return s;
}

void exp_study_rows_free(struct exp_study_rows *s)
{
    if (!s) return;
    free(s->row);
    json_decref(s->study);
    json_decref(s->texts);
    sim_arena_free(s->arena);
    free(s);
}

/* ---- what a row is worth ---- */

static const double ENOUGH_MET = 0.9; /* of its replications */

bool exp_study_row_counts(const struct exp_study_rows *s, const struct exp_study_entry *row)
{
    return row->done && (!row->stale || s->all_stale);
}

bool exp_study_row_meets(const struct exp_study_entry *row)
{
    return row->figure[EXP_STUDY_SLA_MET] >= ENOUGH_MET;
}

enum exp_study_basis exp_study_basis(const struct exp_study_rows *s)
{
    enum exp_study_basis basis = EXP_STUDY_PER_COST;
    for (uint64_t i = 0; i < s->n; i++) {
        const double *figure = s->row[i].figure;
        if (!exp_study_row_counts(s, &s->row[i])) continue;
        if (!(figure[EXP_STUDY_COST_HOUR] > 0) && basis == EXP_STUDY_PER_COST) basis = EXP_STUDY_PER_GPU;
        if (!(figure[EXP_STUDY_GPUS] > 0)) return EXP_STUDY_PER_RUN;
    }
    return basis;
}

double exp_study_score(const struct exp_study_entry *row, enum exp_study_basis basis)
{
    double goodput = row->figure[EXP_STUDY_GOODPUT];
    if (basis == EXP_STUDY_PER_COST) return 3600 * goodput / row->figure[EXP_STUDY_COST_HOUR];
    return basis == EXP_STUDY_PER_GPU ? goodput / row->figure[EXP_STUDY_GPUS] : goodput;
}

const char *exp_study_basis_name(enum exp_study_basis basis)
{
    static const char *const names[] = {"requests within limits per unit of cost",
                                        "requests a second within limits per GPU",
                                        "requests a second within limits"};
    return names[basis];
}

const char *exp_study_settings_text(const struct exp_study_rows *s, const struct exp_study_entry *row,
                                    uint32_t columns)
{
    char *text = sim_strdup("");
    for (uint32_t c = 0; c < s->n_columns; c++) {
        const struct exp_study_column *k = &s->column[c];
        if (!(columns >> c & 1) || !exp_study_varies(s, (int)c)) continue;
        char *longer = sim_printf("%s%s%s=%s", text, *text ? ", " : "", k->name, k->value[row->value[c]]);
        free(text);
        text = longer;
    }
    const char *out = sim_arena_strdup(s->arena, text);
    free(text);
    return out;
}
