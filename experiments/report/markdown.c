#include <stdlib.h>
#include <string.h>

#include "experiments/report/markdown_text.h"
#include "experiments/report/report.h"

struct printer {
    FILE *out;
    enum exp_language language;
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void put_paragraph(const struct printer *p, const char *before, const char *text)
{
    char *line = exp_markdown_paragraph(text);
    if (*line) fprintf(p->out, "%s%s\n\n", before, line);
    free(line);
}

static void put_text(const struct printer *p, const json_t *part)
{
    const char *tone = text_of(part, "tone"), *text = text_of(part, "text");
    if (strcmp(tone, "heading") == 0)
        exp_markdown_heading("###", text, p->out);
    else
        put_paragraph(p, strcmp(tone, "warn") == 0 ? "> " : "", text);
}

static void put_code(const struct printer *p, const json_t *part)
{
    exp_markdown_code(text_of(part, "text"), p->out);
}

static void put_fact(const struct printer *p, const json_t *item)
{
    static const char *const keys[] = {"value", "lo", "hi", "unit"};
    enum { VALUE, LO, HI, UNIT, N_TEXTS };
    char *name = exp_markdown_paragraph(text_of(item, "name")), *text[N_TEXTS];
    for (int i = 0; i < N_TEXTS; i++)
        text[i] = exp_markdown_value(json_object_get(item, keys[i]), 0, p->language);
    fprintf(p->out, "- %s: %s", name, *text[VALUE] ? text[VALUE] : exp_report_word(p->language, "not known"));
    if (*text[LO] && *text[HI]) fprintf(p->out, " [%s, %s]", text[LO], text[HI]);
    if (*text[VALUE] && *text[UNIT]) fprintf(p->out, " %s", text[UNIT]);
    fputc('\n', p->out);
    for (int i = 0; i < N_TEXTS; i++) free(text[i]);
    free(name);
}

static void put_facts(const struct printer *p, const json_t *part)
{
    const json_t *items = json_object_get(part, "items");
    for (size_t i = 0; i < json_array_size(items); i++) put_fact(p, json_array_get(items, i));
    if (json_array_size(items)) fputc('\n', p->out);
}

void exp_report_markdown_table(const json_t *table, enum exp_language language, FILE *out)
{
    const json_t *columns = json_object_get(table, "columns"), *rows = json_object_get(table, "rows");
    size_t n_rows = json_array_size(rows), n_columns = json_array_size(columns);
    if (!n_columns) return;
    struct exp_markdown_table t = exp_markdown_table_new(n_rows + 1, n_columns);
    for (size_t c = 0; c < n_columns; c++) {
        const json_t *column = json_array_get(columns, c);
        json_int_t digits = json_integer_value(json_object_get(column, "digits"));
        t.right[c] = !json_is_true(json_object_get(column, "text"));
        exp_markdown_set(&t, 0, c, exp_markdown_head(text_of(column, "name"), text_of(column, "unit")));
        for (size_t r = 0; r < n_rows; r++)
            exp_markdown_set(
                &t, r + 1, c,
                exp_markdown_value(json_array_get(json_array_get(rows, r), c), digits, language));
    }
    exp_markdown_print(&t, out);
}

static void put_table(const struct printer *p, const json_t *part)
{
    exp_markdown_heading("###", text_of(part, "title"), p->out);
    exp_report_markdown_table(part, p->language, p->out);
}

static void put_chart(const struct printer *p, const json_t *part)
{
    exp_markdown_heading("###", text_of(part, "title"), p->out);
    put_paragraph(p, "", text_of(part, "note"));
    exp_markdown_chart(part, p->language, p->out);
}

static const struct {
    const char *kind;
    void (*put)(const struct printer *p, const json_t *part);
} kinds[] = {
    {"text", put_text}, {"code", put_code}, {"facts", put_facts}, {"table", put_table}, {"chart", put_chart},
};

static void put_part(const struct printer *p, const json_t *part)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].kind, text_of(part, "kind")) == 0) kinds[i].put(p, part);
}

static void put_section(const struct printer *p, const json_t *section)
{
    const json_t *parts = json_object_get(section, "parts");
    exp_markdown_heading("##", text_of(section, "title"), p->out);
    for (size_t i = 0; i < json_array_size(parts); i++) put_part(p, json_array_get(parts, i));
}

void exp_report_markdown(const json_t *doc, enum exp_language language, FILE *out)
{
    const struct printer p = {out, language};
    json_t *translated = exp_report_translated(doc, language);
    const json_t *sections = json_object_get(translated, "sections");
    exp_markdown_heading("#", text_of(translated, "title"), out);
    put_paragraph(&p, "", text_of(translated, "subtitle"));
    for (size_t i = 0; i < json_array_size(sections); i++) put_section(&p, json_array_get(sections, i));
    char *version = exp_markdown_text(text_of(translated, "version"));
    fprintf(out, "kvsim %s\n", version);
    free(version);
    json_decref(translated);
}
