#include "experiments/report/doc_fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "experiments/report/doc_parts.h"
#include "sim/line_in.h"

enum { PLACE_BYTES = 200, MAX_ARGUMENTS = 10, MAX_PLACES = 16 };

static void put_place(const struct exp_doc_place *p, char *out, size_t size)
{
    if (!p->key) return;
    put_place(p->up, out, size);
    size_t n = strlen(out);
    snprintf(out + n, size - n, "%s%s", n ? "." : "", p->key);
    n = strlen(out);
    if (p->index != EXP_DOC_NO_INDEX) snprintf(out + n, size - n, "[%zu]", p->index);
}

bool exp_doc_wrong(const struct exp_doc_check *c, const struct exp_doc_place *at, const char *format, ...)
{
    char place[PLACE_BYTES] = "", what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    put_place(at, place, sizeof place);
    return sim_fail(c->st, "%s: %s%s%s", c->name, place, place[0] ? ": " : "", what);
}

const char *exp_doc_kind_of(const json_t *v)
{
    if (!v) return "is missing";
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "is an object";
    case JSON_ARRAY:
        return "is a list";
    case JSON_STRING:
        return "is a text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "is a number";
    case JSON_NULL:
        return "is null";
    default:
        return "is true or false";
    }
}

/* ---- an object's fields ---- */

bool exp_doc_is_number(const json_t *v)
{
    return json_is_null(v) || (json_is_number(v) && fabs(json_number_value(v)) <= EXP_DOC_LARGEST);
}

static bool is_id(const json_t *v)
{
    const char *text = json_string_value(v);
    size_t n = text ? strlen(text) : 0;
    return n && n <= EXP_DOC_ID_BYTES && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool are_texts(const json_t *v)
{
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i))) return false;
    return json_is_array(v);
}

/* A text with many places and a long argument would fill the memory. */
static bool is_template(const json_t *v)
{
    size_t n = json_array_size(v), n_places = 0;
    if (!are_texts(v) || n < 1 || n > 1 + MAX_ARGUMENTS) return false;
    for (const char *at = json_string_value(json_array_get(v, 0)); (at = strchr(at, '{')); at++) n_places++;
    return n == 1 || n_places <= MAX_PLACES;
}

static bool is_choice(const json_t *v, const char *const *choices)
{
    const char *text = json_string_value(v);
    for (; text && *choices; choices++)
        if (strcmp(text, *choices) == 0) return true;
    return false;
}

static const char *expected(enum exp_doc_want want)
{
    static const char *const words[] = {
        [EXP_WANT_TEXT] = "a text",
        [EXP_WANT_ID] = "up to 64 of a-z, 0-9 and -",
        [EXP_WANT_TEMPLATE] = "a list of a text with up to 16 places, and up to 10 more that fill them",
        [EXP_WANT_NUMBER] = "a number up to 1e100, or null",
        [EXP_WANT_DIGITS] = "1 to 9",
        [EXP_WANT_TRUTH] = "true or false",
        [EXP_WANT_CHOICE] = "one of:",
        [EXP_WANT_TEXTS] = "a list of up to 500 texts",
        [EXP_WANT_LIST] = "a list",
        [EXP_WANT_OBJECT] = "an object",
    };
    return words[want];
}

static bool is_as(const json_t *v, const struct exp_doc_field *f)
{
    switch (f->want) {
    case EXP_WANT_TEXT:
        return json_is_string(v);
    case EXP_WANT_ID:
        return is_id(v);
    case EXP_WANT_TEMPLATE:
        return is_template(v);
    case EXP_WANT_NUMBER:
        return exp_doc_is_number(v);
    case EXP_WANT_DIGITS:
        return json_is_integer(v) && json_integer_value(v) >= 1 && json_integer_value(v) <= 9;
    case EXP_WANT_TRUTH:
        return json_is_boolean(v);
    case EXP_WANT_CHOICE:
        return is_choice(v, f->choices);
    case EXP_WANT_TEXTS:
        return are_texts(v) && json_array_size(v) <= EXP_DOC_POINTS;
    case EXP_WANT_LIST:
        return json_is_array(v);
    case EXP_WANT_OBJECT:
        return json_is_object(v);
    }
    return false;
}

static bool wrong_field(const struct exp_doc_check *c, const struct exp_doc_place *at,
                        const struct exp_doc_field *f, const json_t *v)
{
    const struct exp_doc_place here = {at, f->key, EXP_DOC_NO_INDEX};
    char choices[120] = "";
    for (int i = 0; f->choices && f->choices[i]; i++) {
        size_t n = strlen(choices);
        snprintf(choices + n, sizeof choices - n, "%s%s", i ? ", " : " ", f->choices[i]);
    }
    if (json_is_string(v))
        return exp_doc_wrong(c, &here, "is `%s`, expected %s%s",
                             sim_excerpt(json_string_value(v), json_string_length(v)).text, expected(f->want),
                             choices);
    return exp_doc_wrong(c, &here, "%s, expected %s%s", exp_doc_kind_of(v), expected(f->want), choices);
}

/* All that are named, and no others. */
bool exp_doc_check_fields(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *o,
                          const struct exp_doc_field *fields)
{
    const char *key;
    json_t *v;
    if (!json_is_object(o)) return exp_doc_wrong(c, at, "%s, expected an object", exp_doc_kind_of(o));
    for (const struct exp_doc_field *f = fields; f->key; f++) {
        v = json_object_get(o, f->key);
        if (!(v ? is_as(v, f) : f->optional)) return wrong_field(c, at, f, v);
    }
    json_object_foreach((json_t *)o, key, v)
    {
        const struct exp_doc_field *f = fields;
        while (f->key && strcmp(f->key, key) != 0) f++;
        if (!f->key)
            return exp_doc_wrong(c, at, "holds `%s`, which no report has; expected a report of this version",
                                 sim_excerpt(key, strlen(key)).text);
    }
    return true;
}

bool exp_doc_check_count(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *list,
                         size_t most)
{
    return json_array_size(list) <= most ||
           exp_doc_wrong(c, at, "holds %zu, expected at most %zu", json_array_size(list), most);
}

bool exp_doc_check_choice(const struct exp_doc_check *c, const struct exp_doc_place *at, const json_t *o,
                          const struct exp_doc_field *field)
{
    const json_t *v = json_object_get(o, field->key);
    return is_as(v, field) || wrong_field(c, at, field, v);
}
