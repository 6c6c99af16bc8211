#include "experiments/report/doc.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/report/doc_parts.h"
#include "experiments/version.h"
#include "sim/check.h"
#include "sim/memory.h"

enum { DIGITS = 4 };

const char *const exp_doc_tones[] = {"plain", "soft", "good", "warn", "heading", NULL};
const char *const exp_doc_forms[] = {"line", "scatter", "bars", "stacked", "ranges", NULL};
const char *const exp_doc_scales[] = {"linear", "log", "names", NULL};

/* ---- values ---- */

/* Names come from files of others: bytes that are no UTF-8 become question marks. */
static json_t *text_json(const char *text)
{
    json_t *s = json_string(text ? text : "");
    if (s) return s;
    char *copy = sim_strdup(text);
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at >= 0x80) *at = '?';
    s = json_string(copy);
    free(copy);
    return s;
}

/* Whole numbers without a decimal point: half of what is written are such. */
static json_t *number_json(double value)
{
    if (!(fabs(value) <= EXP_DOC_LARGEST)) return json_null();
    if (value == floor(value) && fabs(value) < 1e15) return json_integer((json_int_t)value);
    return json_real(value);
}

static json_t *template_json(const char *template, va_list args)
{
    json_t *list = json_array();
    json_array_append_new(list, text_json(template));
    for (const char *a = va_arg(args, const char *); a; a = va_arg(args, const char *))
        json_array_append_new(list, text_json(a));
    return list;
}

/* Lower-case letters, digits and hyphens: ids become names of files and of places in the page. */
static json_t *id_json(const char *id)
{
    char text[EXP_DOC_ID_BYTES + 1];
    size_t n = 0;
    for (const char *at = id; *at && n < EXP_DOC_ID_BYTES; at++) {
        char c = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
        text[n++] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
    }
    text[n] = '\0';
    return json_string(n ? text : "part");
}

/* ---- document and sections ---- */

json_t *exp_doc_new(const char *kind, const char *title, ...)
{
    va_list args;
    json_t *doc = json_object();
    json_object_set_new(doc, "kind", text_json(kind));
    va_start(args, title);
    json_object_set_new(doc, "title", template_json(title, args));
    va_end(args);
    json_object_set_new(doc, "subtitle", json_pack("[s]", ""));
    json_object_set_new(doc, "version", text_json(EXP_VERSION));
    json_object_set_new(doc, "sections", json_array());
    return doc;
}

void exp_doc_subtitle(json_t *doc, const char *template, ...)
{
    va_list args;
    va_start(args, template);
    json_object_set_new(doc, "subtitle", template_json(template, args));
    va_end(args);
}

json_t *exp_doc_section(json_t *doc, const char *id, const char *title)
{
    json_t *section = json_object();
    json_object_set_new(section, "id", id_json(id));
    json_object_set_new(section, "title", text_json(title));
    json_object_set_new(section, "parts", json_array());
    json_array_append_new(json_object_get(doc, "sections"), section);
    return section;
}

/* A section, or the list of one language. */
static json_t *part(json_t *section, const char *kind)
{
    json_t *list = json_is_array(section) ? section : json_object_get(section, "parts");
    json_t *p = json_object();
    SIM_CHECK(json_is_array(list));
    json_object_set_new(p, "kind", json_string(kind));
    json_array_append_new(list, p);
    return p;
}

void exp_doc_languages(json_t *section, json_t **en, json_t **ja)
{
    json_t *p = part(section, "languages");
    *en = json_array();
    *ja = json_array();
    json_object_set_new(p, "en", *en);
    json_object_set_new(p, "ja", *ja);
}

/* ---- texts and facts ---- */

void exp_doc_text(json_t *section, enum exp_tone tone, const char *template, ...)
{
    va_list args;
    json_t *p = part(section, "text");
    json_object_set_new(p, "tone", json_string(exp_doc_tones[tone]));
    va_start(args, template);
    json_object_set_new(p, "text", template_json(template, args));
    va_end(args);
}

void exp_doc_code(json_t *section, const char *text)
{
    json_object_set_new(part(section, "code"), "text", text_json(text));
}

json_t *exp_doc_facts(json_t *section)
{
    json_t *p = part(section, "facts");
    json_object_set_new(p, "items", json_array());
    return p;
}

void exp_doc_fact(json_t *facts, const char *name, double value, const char *unit)
{
    exp_doc_fact_band(facts, name, value, NAN, NAN, unit);
}

void exp_doc_fact_band(json_t *facts, const char *name, double value, double lo, double hi, const char *unit)
{
    json_t *item = json_object();
    bool band = isfinite(lo) && isfinite(hi);
    json_object_set_new(item, "name", text_json(name));
    json_object_set_new(item, "value", number_json(value));
    json_object_set_new(item, "lo", number_json(band ? lo : NAN));
    json_object_set_new(item, "hi", number_json(band ? hi : NAN));
    json_object_set_new(item, "unit", text_json(unit));
    json_array_append_new(json_object_get(facts, "items"), item);
}

/* ---- tables ---- */

json_t *exp_doc_table(json_t *section, const char *id, const char *title)
{
    json_t *p = part(section, "table");
    json_object_set_new(p, "id", id_json(id));
    json_object_set_new(p, "title", text_json(title));
    json_object_set_new(p, "folded", json_false());
    json_object_set_new(p, "columns", json_array());
    json_object_set_new(p, "rows", json_array());
    return p;
}

void exp_doc_folded(json_t *table)
{
    json_object_set_new(table, "folded", json_true());
}

static void column(json_t *table, const char *name, const char *unit, bool text)
{
    json_t *c = json_object();
    json_object_set_new(c, "name", text_json(name));
    json_object_set_new(c, "unit", text_json(unit));
    json_object_set_new(c, "digits", json_integer(DIGITS));
    json_object_set_new(c, "text", json_boolean(text));
    json_array_append_new(json_object_get(table, "columns"), c);
}

void exp_doc_column(json_t *table, const char *name, const char *unit)
{
    column(table, name, unit, false);
}

void exp_doc_column_text(json_t *table, const char *name)
{
    column(table, name, "", true);
}

json_t *exp_doc_row(json_t *table)
{
    json_t *row = json_array();
    json_array_append_new(json_object_get(table, "rows"), row);
    return row;
}

void exp_doc_cell(json_t *row, double value)
{
    json_array_append_new(row, number_json(value));
}

void exp_doc_cell_text(json_t *row, const char *text)
{
    json_array_append_new(row, text_json(text));
}

/* ---- charts ---- */

static json_t *axis(const char *title, const char *unit, enum exp_scale scale)
{
    json_t *a = json_object();
    json_object_set_new(a, "title", text_json(title));
    json_object_set_new(a, "unit", text_json(unit));
    json_object_set_new(a, "scale", json_string(exp_doc_scales[scale]));
    json_object_set_new(a, "names", json_array());
    json_object_set_new(a, "min", json_null());
    json_object_set_new(a, "max", json_null());
    return a;
}

static bool is_named(enum exp_chart form)
{
    return form == EXP_BARS || form == EXP_STACKED || form == EXP_RANGES;
}

json_t *exp_doc_chart(json_t *section, const char *id, const char *title, enum exp_chart form)
{
    json_t *p = part(section, "chart");
    json_object_set_new(p, "id", id_json(id));
    json_object_set_new(p, "title", text_json(title));
    json_object_set_new(p, "note", json_string(""));
    json_object_set_new(p, "form", json_string(exp_doc_forms[form]));
    json_object_set_new(p, "x", axis("", "", is_named(form) ? EXP_NAMED : EXP_LINEAR));
    json_object_set_new(p, "y", axis("", "", EXP_LINEAR));
    json_object_set_new(p, "series", json_array());
    return p;
}

void exp_doc_note(json_t *chart, const char *text)
{
    json_object_set_new(chart, "note", text_json(text));
}

/* Names that were added before stay. */
static void set_axis(json_t *chart, const char *which, json_t *a)
{
    json_object_set(a, "names", json_object_get(json_object_get(chart, which), "names"));
    json_object_set_new(chart, which, a);
}

void exp_doc_x(json_t *chart, const char *title, const char *unit, enum exp_scale scale)
{
    set_axis(chart, "x", axis(title, unit, scale));
}

void exp_doc_y(json_t *chart, const char *title, const char *unit, enum exp_scale scale)
{
    set_axis(chart, "y", axis(title, unit, scale));
}

void exp_doc_limits(json_t *chart, double min, double max)
{
    json_t *y = json_object_get(chart, "y");
    json_object_set_new(y, "min", number_json(min));
    json_object_set_new(y, "max", number_json(max));
}

void exp_doc_name(json_t *chart, const char *name)
{
    json_array_append_new(json_object_get(json_object_get(chart, "x"), "names"), text_json(name));
}

json_t *exp_doc_series(json_t *chart, const char *name)
{
    json_t *s = json_object();
    json_object_set_new(s, "name", text_json(name));
    json_object_set_new(s, "points", json_array());
    json_array_append_new(json_object_get(chart, "series"), s);
    return s;
}

void exp_doc_joined(json_t *series)
{
    json_object_set_new(series, "joined", json_true());
}

/* Without an x there is no place to draw at, nor for a gap. */
static json_t *point(json_t *series, double x, double y)
{
    if (!isfinite(x)) return NULL;
    json_t *p = json_array();
    json_array_append_new(p, number_json(x));
    json_array_append_new(p, number_json(y));
    json_array_append_new(json_object_get(series, "points"), p);
    return p;
}

void exp_doc_xy(json_t *series, double x, double y)
{
    point(series, x, y);
}

void exp_doc_xy_band(json_t *series, double x, double y, double lo, double hi)
{
    json_t *p = point(series, x, y);
    if (!p || !isfinite(lo) || !isfinite(hi)) return;
    json_array_append_new(p, number_json(lo));
    json_array_append_new(p, number_json(hi));
}

void exp_doc_xy_label(json_t *series, double x, double y, const char *label)
{
    json_t *p = point(series, x, y);
    if (p) json_array_append_new(p, text_json(label));
}

void exp_doc_range(json_t *series, uint32_t name, double lo, double middle, double hi)
{
    json_t *p = point(series, name, lo);
    json_array_append_new(p, number_json(middle));
    json_array_append_new(p, number_json(hi));
}
