#include <stdlib.h>
#include <string.h>

#include <csv.h>

#include "experiments/folder.h"
#include "experiments/report/report.h"
#include "experiments/results.h"
#include "sim/memory.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* ---- cells ---- */

/* A spreadsheet takes what begins like this for a formula; behind an apostrophe it is a text. */
static bool is_formula(const char *text)
{
    return *text && strchr("=+-@\t\r", *text);
}

static void put_text(const char *text, FILE *out)
{
    char *safe = sim_printf("%s%s", is_formula(text) ? "'" : "", text);
    if (strpbrk(safe, ",\"\r\n"))
        csv_fwrite(out, safe, strlen(safe));
    else
        fputs(safe, out);
    free(safe);
}

static void put_value(const json_t *v, FILE *out)
{
    if (json_is_number(v))
        fprintf(out, "%.12g", json_number_value(v));
    else if (json_is_boolean(v))
        fputs(json_is_true(v) ? "true" : "false", out);
    else if (json_is_string(v))
        put_text(json_string_value(v), out);
}

/* "name (unit)" */
static void put_head(const char *name, const char *unit, FILE *out)
{
    char *text = *unit ? sim_printf("%s (%s)", name, unit) : sim_strdup(name);
    put_text(text, out);
    free(text);
}

static void put_end(FILE *out)
{
    fputs("\r\n", out);
}

/* ---- tables ---- */

static void put_table(const json_t *part, enum exp_language language, FILE *out)
{
    const json_t *columns = json_object_get(part, "columns"), *rows = json_object_get(part, "rows");
    (void)language;
    for (size_t c = 0; c < json_array_size(columns); c++) {
        const json_t *column = json_array_get(columns, c);
        if (c) fputc(',', out);
        put_head(text_of(column, "name"), text_of(column, "unit"), out);
    }
    put_end(out);
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r);
        for (size_t c = 0; c < json_array_size(row); c++) {
            if (c) fputc(',', out);
            put_value(json_array_get(row, c), out);
        }
        put_end(out);
    }
}

/* ---- charts: a row for each point, "series,x,y" and what the form has beside ---- */

static bool has_bands(const json_t *series)
{
    for (size_t s = 0; s < json_array_size(series); s++) {
        const json_t *points = json_object_get(json_array_get(series, s), "points");
        for (size_t i = 0; i < json_array_size(points); i++)
            if (json_array_size(json_array_get(points, i)) > 2) return true;
    }
    return false;
}

static void put_axis(const json_t *part, const char *which, FILE *out)
{
    const json_t *axis = json_object_get(part, which);
    const char *title = text_of(axis, "title");
    fputc(',', out);
    put_head(*title ? title : which, text_of(axis, "unit"), out);
}

/* Heads of what follows x, NULL at the end; "" is y by its axis. */
static const char *const *heads_of(const json_t *part)
{
    static const char *const plain[] = {"", NULL}, *const band[] = {"", "low", "high", NULL},
                             *const labels[] = {"", "label", NULL},
                             *const ranges[] = {"low", "middle", "high", NULL};
    const char *form = text_of(part, "form");
    if (strcmp(form, "ranges") == 0) return ranges;
    if (!has_bands(json_object_get(part, "series"))) return plain;
    return strcmp(form, "scatter") == 0 ? labels : band;
}

static void put_point(const json_t *part, const json_t *point, size_t n_values, FILE *out)
{
    const json_t *x = json_array_get(point, 0), *names = json_object_get(json_object_get(part, "x"), "names");
    const json_t *name = json_is_integer(x) ? json_array_get(names, (size_t)json_integer_value(x)) : NULL;
    fputc(',', out);
    put_value(name ? name : x, out);
    for (size_t k = 0; k < n_values; k++) {
        fputc(',', out);
        put_value(json_array_get(point, 1 + k), out);
    }
    put_end(out);
}

static void put_chart(const json_t *part, enum exp_language language, FILE *out)
{
    const char *const *heads = heads_of(part);
    const json_t *all = json_object_get(part, "series");
    size_t n_values = 0;
    put_text(exp_report_word(language, "series"), out);
    put_axis(part, "x", out);
    for (; heads[n_values]; n_values++)
        if (*heads[n_values])
            fprintf(out, ",%s", exp_report_word(language, heads[n_values]));
        else
            put_axis(part, "y", out);
    put_end(out);
    for (size_t s = 0; s < json_array_size(all); s++) {
        const json_t *series = json_array_get(all, s), *points = json_object_get(series, "points");
        for (size_t i = 0; i < json_array_size(points); i++) {
            put_text(text_of(series, "name"), out);
            put_point(part, json_array_get(points, i), n_values, out);
        }
    }
}

/* ---- the folder ---- */

struct files {
    struct exp_folder folder;
    enum exp_language language;
};

static bool write_part(struct files *f, const json_t *part, struct sim_status *st)
{
    bool table = strcmp(text_of(part, "kind"), "table") == 0,
         chart = strcmp(text_of(part, "kind"), "chart") == 0;
    if (!table && !chart) return true;
    char *name = sim_printf("%s.csv", text_of(part, "id"));
    FILE *out = exp_folder_open(&f->folder, name, st);
    free(name);
    if (!out) return false;
    (table ? put_table : put_chart)(part, f->language, out);
    return exp_folder_written(&f->folder, st);
}

static bool write_parts(struct files *f, const json_t *doc, struct sim_status *st)
{
    const json_t *sections = json_object_get(doc, "sections");
    bool ok = true;
    for (size_t s = 0; ok && s < json_array_size(sections); s++) {
        const json_t *parts = json_object_get(json_array_get(sections, s), "parts");
        for (size_t i = 0; ok && i < json_array_size(parts); i++)
            ok = write_part(f, json_array_get(parts, i), st);
    }
    return ok;
}

bool exp_report_csv(const json_t *doc, enum exp_language language, const char *dir, int *n_files,
                    struct sim_status *st)
{
    json_t *translated = exp_report_translated(doc, language);
    struct files f = {{.dir = dir}, language};
    bool ok = exp_results_prepare(dir, st) && write_parts(&f, translated, st);
    int n = f.folder.n;
    ok = exp_folder_commit(&f.folder, ok, NULL, st);
    if (ok) *n_files = n;
    json_decref(translated);
    return ok;
}
