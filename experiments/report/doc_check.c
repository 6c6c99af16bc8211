#include <stdlib.h>
#include <string.h>

#include "experiments/report/doc_fields.h"
#include "experiments/report/doc_parts.h"
#include "experiments/report/report.h"
#include "models/textfile.h"
#include "sim/line_in.h"

/* Reports are 1 MB; a file of 16 MiB may already take half a gigabyte when it is nothing but empty lists. */
enum { MAX_FILE_BYTES = 16 << 20 };

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

/* ---- parts ---- */

static const char *const part_kinds[] = {"text", "code", "facts", "table", "chart", "languages", NULL};

static bool check_text(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part)
{
    static const struct exp_doc_field fields[] = {
        {"kind", EXP_WANT_TEXT, false, NULL},
        {"tone", EXP_WANT_CHOICE, false, exp_doc_tones},
        {"text", EXP_WANT_TEMPLATE, false, NULL},
        {0},
    };
    return exp_doc_check_fields(c, at, part, fields);
}

static bool check_code(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part)
{
    static const struct exp_doc_field fields[] = {
        {"kind", EXP_WANT_TEXT, false, NULL}, {"text", EXP_WANT_TEXT, false, NULL}, {0}};
    return exp_doc_check_fields(c, at, part, fields);
}

static bool check_facts(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part)
{
    static const struct exp_doc_field fields[] = {
        {"kind", EXP_WANT_TEXT, false, NULL}, {"items", EXP_WANT_LIST, false, NULL}, {0}};
    static const struct exp_doc_field fact[] = {
        {"name", EXP_WANT_TEXT, false, NULL}, {"value", EXP_WANT_NUMBER, false, NULL},
        {"lo", EXP_WANT_NUMBER, true, NULL},  {"hi", EXP_WANT_NUMBER, true, NULL},
        {"unit", EXP_WANT_TEXT, true, NULL},  {0},
    };
    if (!exp_doc_check_fields(c, at, part, fields)) return false;
    const json_t *items = json_object_get(part, "items");
    bool ok = exp_doc_check_count(c, at, items, EXP_DOC_PARTS);
    for (size_t i = 0; ok && i < json_array_size(items); i++)
        ok = exp_doc_check_fields(c, &(struct exp_doc_place){at, "items", i}, json_array_get(items, i), fact);
    return ok;
}

/* No two tables or charts of one name: it names their files. */
static bool check_id(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part)
{
    const char *id = text_of(part, "id");
    if (json_object_get(c->ids, id))
        return exp_doc_wrong(c, at, "its id `%s` is that of another part, expected one of its own", id);
    json_object_set_new(c->ids, id, json_true());
    return json_object_size(c->ids) <= EXP_DOC_FILES ||
           exp_doc_wrong(c, at, "is one table or chart too many, expected at most %d", EXP_DOC_FILES);
}

static bool check_row(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *row,
                      size_t n_columns)
{
    if (!json_is_array(row))
        return exp_doc_wrong(c, at, "%s, expected a list of cells", exp_doc_kind_of(row));
    if (json_array_size(row) != n_columns)
        return exp_doc_wrong(c, at, "holds %zu cells, expected %zu, one for each column",
                             json_array_size(row), n_columns);
    for (size_t i = 0; i < n_columns; i++) {
        const json_t *v = json_array_get(row, i);
        if (!exp_doc_is_number(v) && !json_is_string(v) && !json_is_boolean(v))
            return exp_doc_wrong(c, at,
                                 "cell %zu %s, expected a number up to 1e100, a text, true, false or null", i,
                                 exp_doc_kind_of(v));
    }
    return true;
}

static bool check_table(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part)
{
    static const struct exp_doc_field fields[] = {
        {"kind", EXP_WANT_TEXT, false, NULL},
        {"id", EXP_WANT_ID, false, NULL},
        {"title", EXP_WANT_TEXT, false, NULL},
        {"folded", EXP_WANT_TRUTH, true, NULL},
        {"columns", EXP_WANT_LIST, false, NULL},
        {"rows", EXP_WANT_LIST, false, NULL},
        {0},
    };
    static const struct exp_doc_field column[] = {
        {"name", EXP_WANT_TEXT, false, NULL},
        {"unit", EXP_WANT_TEXT, true, NULL},
        {"digits", EXP_WANT_DIGITS, true, NULL},
        {"text", EXP_WANT_TRUTH, true, NULL},
        {0},
    };
    if (!exp_doc_check_fields(c, at, part, fields) || !check_id(c, at, part)) return false;
    const json_t *columns = json_object_get(part, "columns"), *rows = json_object_get(part, "rows");
    bool ok =
        exp_doc_check_count(c, &(struct exp_doc_place){at, "columns", EXP_DOC_NO_INDEX}, columns,
                            EXP_DOC_COLUMNS) &&
        exp_doc_check_count(c, &(struct exp_doc_place){at, "rows", EXP_DOC_NO_INDEX}, rows, EXP_DOC_ROWS);
    for (size_t i = 0; ok && i < json_array_size(columns); i++)
        ok = exp_doc_check_fields(c, &(struct exp_doc_place){at, "columns", i}, json_array_get(columns, i),
                                  column);
    for (size_t i = 0; ok && i < json_array_size(rows); i++)
        ok = check_row(c, &(struct exp_doc_place){at, "rows", i}, json_array_get(rows, i),
                       json_array_size(columns));
    return ok;
}

/* ---- charts ---- */

/* What a point of a form holds: its least and most numbers, whether a label may follow. */
static const struct shape {
    const char *form, *expected;
    size_t least, most;
    bool labelled, indexed;
} shapes[] = {
    {"line", "[x, y] or [x, y, lo, hi]", 2, 4, false, false},
    {"scatter", "[x, y] or [x, y, label]", 2, 2, true, false},
    {"bars", "[index of a name, y]", 2, 2, false, true},
    {"stacked", "[index of a name, y]", 2, 2, false, true},
    {"ranges", "[index of a name, lo, middle, hi]", 4, 4, false, true},
};

static const struct shape *shape_of(const json_t *chart)
{
    const struct shape *s = shapes;
    while (strcmp(s->form, text_of(chart, "form")) != 0) s++;
    return s;
}

static bool is_point(const json_t *p, const struct shape *s)
{
    size_t n = json_array_size(p);
    if (s->labelled && n == 3 && json_is_string(json_array_get(p, 2))) n = 2;
    if (!json_is_array(p) || (n != s->least && n != s->most) || json_is_null(json_array_get(p, 0)))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!exp_doc_is_number(json_array_get(p, i))) return false;
    return true;
}

static bool is_index(const json_t *v, size_t n)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 && (size_t)json_integer_value(v) < n;
}

static bool check_series(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *series,
                         const json_t *chart)
{
    static const struct exp_doc_field fields[] = {{"name", EXP_WANT_TEXT, false, NULL},
                                                  {"points", EXP_WANT_LIST, false, NULL},
                                                  {"own", EXP_WANT_TRUTH, true, NULL},
                                                  {"joined", EXP_WANT_TRUTH, true, NULL},
                                                  {0}};
    if (!exp_doc_check_fields(c, at, series, fields)) return false;
    const json_t *points = json_object_get(series, "points"), *x = json_object_get(chart, "x");
    const struct shape *shape = shape_of(chart);
    size_t n_names = json_array_size(json_object_get(x, "names"));
    bool named = shape->indexed || strcmp(text_of(x, "scale"), "names") == 0;
    if (!exp_doc_check_count(c, &(struct exp_doc_place){at, "points", EXP_DOC_NO_INDEX}, points,
                             EXP_DOC_POINTS))
        return false;
    for (size_t i = 0; i < json_array_size(points); i++) {
        const struct exp_doc_place here = {at, "points", i};
        const json_t *p = json_array_get(points, i);
        if (!is_point(p, shape))
            return exp_doc_wrong(c, &here, "is no point, expected numbers %s", shape->expected);
        if (named && !is_index(json_array_get(p, 0), n_names))
            return exp_doc_wrong(c, &here, "is of no name, expected an index below %zu, the x axis's names",
                                 n_names);
    }
    return true;
}

static bool check_axis(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *axis)
{
    static const struct exp_doc_field fields[] = {
        {"title", EXP_WANT_TEXT, false, NULL},
        {"unit", EXP_WANT_TEXT, true, NULL},
        {"scale", EXP_WANT_CHOICE, false, exp_doc_scales},
        {"names", EXP_WANT_TEXTS, true, NULL},
        {"min", EXP_WANT_NUMBER, true, NULL},
        {"max", EXP_WANT_NUMBER, true, NULL},
        {0},
    };
    return exp_doc_check_fields(c, at, axis, fields);
}

static bool check_chart(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part)
{
    static const struct exp_doc_field fields[] = {
        {"kind", EXP_WANT_TEXT, false, NULL},
        {"id", EXP_WANT_ID, false, NULL},
        {"title", EXP_WANT_TEXT, false, NULL},
        {"note", EXP_WANT_TEXT, true, NULL},
        {"form", EXP_WANT_CHOICE, false, exp_doc_forms},
        {"x", EXP_WANT_OBJECT, false, NULL},
        {"y", EXP_WANT_OBJECT, false, NULL},
        {"series", EXP_WANT_LIST, false, NULL},
        {0},
    };
    if (!exp_doc_check_fields(c, at, part, fields) || !check_id(c, at, part)) return false;
    const json_t *series = json_object_get(part, "series");
    bool ok = check_axis(c, &(struct exp_doc_place){at, "x", EXP_DOC_NO_INDEX}, json_object_get(part, "x")) &&
              check_axis(c, &(struct exp_doc_place){at, "y", EXP_DOC_NO_INDEX}, json_object_get(part, "y")) &&
              exp_doc_check_count(c, &(struct exp_doc_place){at, "series", EXP_DOC_NO_INDEX}, series,
                                  EXP_DOC_SERIES);
    for (size_t i = 0; ok && i < json_array_size(series); i++)
        ok = check_series(c, &(struct exp_doc_place){at, "series", i}, json_array_get(series, i), part);
    return ok;
}

/* ---- the document ---- */

static bool check_parts(struct exp_doc_check *c, const struct exp_doc_place *up, const char *key,
                        const json_t *parts, bool in_language);

/* Both languages may have the same ids: one of them is shown. */
static bool check_languages(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part)
{
    static const struct exp_doc_field fields[] = {{"kind", EXP_WANT_TEXT, false, NULL},
                                                  {"en", EXP_WANT_LIST, false, NULL},
                                                  {"ja", EXP_WANT_LIST, false, NULL},
                                                  {0}};
    if (!exp_doc_check_fields(c, at, part, fields)) return false;
    struct exp_doc_check also = *c;
    also.ids = json_copy(c->ids);
    bool ok = check_parts(&also, at, "en", json_object_get(part, "en"), true) &&
              check_parts(c, at, "ja", json_object_get(part, "ja"), true);
    json_object_update(c->ids, also.ids);
    json_decref(also.ids);
    return ok;
}

static bool check_part(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *part,
                       bool in_language)
{
    static bool (*const checks[])(struct exp_doc_check * c, const struct exp_doc_place *at,
                                  const json_t *part) = {check_text,  check_code,  check_facts,
                                                         check_table, check_chart, check_languages};
    static const struct exp_doc_field kind = {"kind", EXP_WANT_CHOICE, false, part_kinds};
    enum { LANGUAGES = sizeof checks / sizeof checks[0] - 1 };
    if (!json_is_object(part)) return exp_doc_wrong(c, at, "%s, expected an object", exp_doc_kind_of(part));
    if (!exp_doc_check_choice(c, at, part, &kind)) return false;
    int i = 0;
    while (strcmp(part_kinds[i], text_of(part, "kind")) != 0) i++;
    if (i == LANGUAGES && in_language)
        return exp_doc_wrong(c, at, "holds languages within a language, expected parts of other kinds");
    return checks[i](c, at, part);
}

static bool check_parts(struct exp_doc_check *c, const struct exp_doc_place *up, const char *key,
                        const json_t *parts, bool in_language)
{
    bool ok =
        exp_doc_check_count(c, &(struct exp_doc_place){up, key, EXP_DOC_NO_INDEX}, parts, EXP_DOC_PARTS);
    for (size_t i = 0; ok && i < json_array_size(parts); i++)
        ok = check_part(c, &(struct exp_doc_place){up, key, i}, json_array_get(parts, i), in_language);
    return ok;
}

static bool check_section(struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *section)
{
    static const struct exp_doc_field fields[] = {{"id", EXP_WANT_ID, false, NULL},
                                                  {"title", EXP_WANT_TEXT, false, NULL},
                                                  {"parts", EXP_WANT_LIST, false, NULL},
                                                  {0}};
    return exp_doc_check_fields(c, at, section, fields) && check_id(c, at, section) &&
           check_parts(c, at, "parts", json_object_get(section, "parts"), false);
}

bool exp_report_check(const json_t *doc, const char *name, struct sim_status *st)
{
    static const char *const kinds[] = {"run", "compare", "plan", "study", "validate", NULL};
    static const struct exp_doc_field fields[] = {
        {"kind", EXP_WANT_CHOICE, false, kinds},      {"title", EXP_WANT_TEMPLATE, false, NULL},
        {"subtitle", EXP_WANT_TEMPLATE, false, NULL}, {"version", EXP_WANT_TEXT, false, NULL},
        {"sections", EXP_WANT_LIST, false, NULL},     {0},
    };
    static const struct exp_doc_place top = {NULL, NULL, EXP_DOC_NO_INDEX};
    struct exp_doc_check c = {name, json_object(), st};
    const json_t *sections = json_object_get(doc, "sections");
    bool ok = exp_doc_check_fields(&c, &top, doc, fields) &&
              exp_doc_check_count(&c, &(struct exp_doc_place){&top, "sections", EXP_DOC_NO_INDEX}, sections,
                                  EXP_DOC_SECTIONS);
    for (size_t i = 0; ok && i < json_array_size(sections); i++)
        ok = check_section(&c, &(struct exp_doc_place){&top, "sections", i}, json_array_get(sections, i));
    json_decref(c.ids);
    return ok;
}

json_t *exp_report_read(const char *path, struct sim_status *st)
{
    size_t length;
    json_error_t error;
    char *text = mdl_textfile_read(path, MAX_FILE_BYTES, &length, st);
    if (!text) return NULL;
    json_t *doc = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!doc)
        sim_fail(st, "%s:%d: not valid JSON: %s; expected report.json as kvsim writes it", path, error.line,
                 sim_excerpt(error.text, strlen(error.text)).text);
    free(text);
    if (doc && exp_report_check(doc, path, st)) return doc;
    json_decref(doc);
    return NULL;
}
