#include "experiments/report/words.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/sheet/words.h"
#include "experiments/report/words_list.h"
#include "sim/memory.h"

static const struct exp_words_row *const lists[] = {exp_words_of_page, exp_words_of_documents,
                                                    exp_words_of_texts};
enum { N_LISTS = sizeof lists / sizeof lists[0] };

const char *exp_report_word(enum exp_language language, const char *english)
{
    if (language == EXP_ENGLISH) return english;
    for (int i = 0; i < N_LISTS; i++)
        for (const struct exp_words_row *row = lists[i]; row->english; row++)
            if (strcmp(row->english, english) == 0) return row->japanese;
    return exp_term(language, english); /* what the decision sheet has words for */
}

json_t *exp_report_page_words(enum exp_language language)
{
    json_t *words = json_object();
    if (language == EXP_ENGLISH) return words;
    for (const struct exp_words_row *row = exp_words_of_page; row->english; row++)
        json_object_set_new(words, row->english, json_string(row->japanese));
    return words;
}

/* ---- a document in one language ---- */

/* The lists again, to find a word at once: a table may have a million cells. */
struct translator {
    enum exp_language language;
    json_t *words;
};

static struct translator translator_new(enum exp_language language)
{
    struct translator t = {language, json_object()};
    for (int i = 0; i < N_LISTS && language != EXP_ENGLISH; i++)
        for (const struct exp_words_row *row = lists[i]; row->english; row++)
            json_object_set_new(t.words, row->english, json_string(row->japanese));
    return t;
}

static const char *word(const struct translator *t, const char *english)
{
    if (t->language == EXP_ENGLISH) return english;
    const json_t *found = json_object_get(t->words, english);
    return found ? json_string_value(found) : exp_term(t->language, english);
}

/* Number of the argument that stands here, or -1. */
static int argument_at(const char *text)
{
    return text[0] == '{' && text[1] >= '0' && text[1] <= '9' && text[2] == '}' ? text[1] - '0' : -1;
}

/* Without an argument for it, {3} is a text like any other. */
static const char *argument(const struct translator *t, const json_t *template, const char *at)
{
    int i = argument_at(at);
    const char *text = i < 0 ? NULL : json_string_value(json_array_get(template, (size_t)i + 1));
    return text ? word(t, text) : NULL;
}

/* Into text when there is room; how long it is. */
static size_t fill(const struct translator *t, const json_t *template, char *text)
{
    size_t n = 0;
    for (const char *at = word(t, json_string_value(json_array_get(template, 0))); *at;) {
        const char *a = argument(t, template, at);
        size_t length = a ? strlen(a) : 1;
        if (text) memcpy(text + n, a ? a : at, length);
        n += length;
        at += a ? 3 : 1;
    }
    return n;
}

static char *filled(const struct translator *t, const json_t *template)
{
    char *text = sim_alloc(fill(t, template, NULL) + 1, 1);
    fill(t, template, text);
    return text;
}

static json_t *filled_json(const struct translator *t, const json_t *template)
{
    char *text = filled(t, template);
    json_t *s = json_string(text);
    free(text);
    return s;
}

char *exp_report_say(enum exp_language language, const char *template, ...)
{
    va_list args;
    struct translator t = translator_new(language);
    json_t *list = json_pack("[s]", template);
    va_start(args, template);
    for (const char *a = va_arg(args, const char *); a; a = va_arg(args, const char *))
        json_array_append_new(list, json_string(a));
    va_end(args);
    char *text = filled(&t, list);
    json_decref(list);
    json_decref(t.words);
    return text;
}

/* Fields whose texts are words; others (ids, kinds, code) stay. */
static bool is_worded(const char *key)
{
    static const char *const keys[] = {"title", "subtitle", "name", "unit", "note", "text"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i], key) == 0) return true;
    return false;
}

static json_t *translated_value(const struct translator *t, const char *key, const json_t *v);

/* Parts of `languages` take its place. */
static void append(const struct translator *t, json_t *list, const char *key, const json_t *v)
{
    const json_t *own = json_object_get(v, t->language == EXP_JAPANESE ? "ja" : "en");
    if (!own || strcmp(key, "parts") != 0) {
        json_array_append_new(list, translated_value(t, key, v));
        return;
    }
    for (size_t i = 0; i < json_array_size(own); i++)
        json_array_append_new(list, translated_value(t, key, json_array_get(own, i)));
}

static json_t *translated_list(const struct translator *t, const char *key, const json_t *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(v); i++) append(t, list, key, json_array_get(v, i));
    return list;
}

static json_t *translated_object(const struct translator *t, const json_t *v)
{
    json_t *o = json_object(), *field;
    const char *key, *kind = json_string_value(json_object_get(v, "kind"));
    bool code = kind && strcmp(kind, "code") == 0;
    json_object_foreach((json_t *)v, key, field)
    {
        json_t *other = code                                     ? json_incref(field)
                        : json_is_array(field) && is_worded(key) ? filled_json(t, field)
                                                                 : translated_value(t, key, field);
        json_object_set_new(o, key, other);
    }
    return o;
}

/* Texts in lists are names of an axis, cells of rows and labels of points. */
static json_t *translated_value(const struct translator *t, const char *key, const json_t *v)
{
    bool listed = strcmp(key, "names") == 0 || strcmp(key, "rows") == 0 || strcmp(key, "points") == 0;
    if (json_is_object(v)) return translated_object(t, v);
    if (json_is_array(v)) return translated_list(t, key, v);
    if (json_is_string(v) && (listed || is_worded(key))) return json_string(word(t, json_string_value(v)));
    return json_incref((json_t *)v);
}

json_t *exp_report_translated(const json_t *doc, enum exp_language language)
{
    struct translator t = translator_new(language);
    json_t *other = translated_object(&t, doc);
    json_decref(t.words);
    return other;
}
