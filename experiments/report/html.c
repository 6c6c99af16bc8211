#include <stdlib.h>
#include <string.h>

#include "experiments/report/library.h"
#include "experiments/report/report.h"
#include "models/textfile.h"
#include "sim/memory.h"

enum { MAX_PART_BYTES = 1 << 20, DIGITS_DRAWN = 9, DIGITS_KEPT = 12 };

/* What is put into page.html. */
struct page {
    const json_t *doc, *words;
    char *style, *charts, *script, *library; /* library: NULL without */
    enum exp_language language;
};

/* ---- texts of others inside a page ---- */

static bool is_asking(const char *at)
{
    for (int i = 0; exp_asking_words[i]; i++)
        if (strncmp(at, exp_asking_words[i], strlen(exp_asking_words[i])) == 0) return true;
    return false;
}

/* JSON inside a script element: without `<` no name in a trace can end it, and with the words of asking spelled otherwise a
 * search of the page for them finds the page's own code alone. Either is the same text to who reads the JSON. */
static void put_json(const json_t *o, FILE *out)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS_DRAWN));
    for (const char *at = text; at && *at; at++) {
        if (*at == '\\') {
            fputc(*at++, out);
            fputc(*at, out);
        } else if (*at == '<' || is_asking(at)) {
            fprintf(out, "\\u%04x", (unsigned char)*at);
        } else {
            fputc(*at, out);
        }
    }
    free(text);
}

static void put_text(const char *text, FILE *out)
{
    for (const char *at = text; *at; at++)
        if (strchr("<>&\"'", *at) || is_asking(at))
            fprintf(out, "&#%d;", (unsigned char)*at);
        else
            fputc(*at, out);
}

/* ---- the marks of page.html ---- */

static void put_title(const struct page *p, FILE *out)
{
    put_text(json_string_value(json_object_get(p->doc, "title")), out);
}

static void put_language(const struct page *p, FILE *out)
{
    fputs(p->language == EXP_JAPANESE ? "ja" : "en", out);
}

static void put_style(const struct page *p, FILE *out)
{
    fputs(p->style, out);
}

static void put_data(const struct page *p, FILE *out)
{
    put_json(p->doc, out);
}

static void put_words(const struct page *p, FILE *out)
{
    put_json(p->words, out);
}

static void put_library(const struct page *p, FILE *out)
{
    if (p->library) fputs(p->library, out);
}

static void put_charts(const struct page *p, FILE *out)
{
    fputs(p->charts, out);
}

static void put_script(const struct page *p, FILE *out)
{
    fputs(p->script, out);
}

static const struct {
    const char *name;
    void (*put)(const struct page *p, FILE *out);
} marks[] = {
    {"@@TITLE@@", put_title},    {"@@LANG@@", put_language}, {"@@STYLE@@", put_style},
    {"@@DATA@@", put_data},      {"@@WORDS@@", put_words},   {"@@CHART@@", put_library},
    {"@@DRAWING@@", put_charts}, {"@@SCRIPT@@", put_script},
};
enum { N_MARKS = sizeof marks / sizeof marks[0] };

/* What is put in is not looked at again: a mark in the data stays text. */
static void put_page(const struct page *p, const char *template, FILE *out)
{
    for (const char *at = template; *at;) {
        int i = 0;
        while (i < N_MARKS && strncmp(at, marks[i].name, strlen(marks[i].name)) != 0) i++;
        if (i == N_MARKS) {
            fputc(*at++, out);
            continue;
        }
        marks[i].put(p, out);
        at += strlen(marks[i].name);
    }
}

static char *read_part(const char *data_dir, const char *name, struct sim_status *st)
{
    size_t length;
    char *path = sim_printf("%s/experiments/report/%s", data_dir, name);
    char *text = mdl_textfile_read(path, MAX_PART_BYTES, &length, st);
    free(path);
    return text;
}

bool exp_report_html(const json_t *doc, enum exp_language language, const char *data_dir, FILE *out,
                     struct sim_status *st)
{
    char *template = read_part(data_dir, "page.html", st);
    char *style = template ? read_part(data_dir, "page.css", st) : NULL;
    char *charts = style ? read_part(data_dir, "page_charts.js", st) : NULL;
    char *script = charts ? read_part(data_dir, "page.js", st) : NULL;
    if (script) {
        json_t *translated = exp_report_translated(doc, language);
        json_t *words = exp_report_page_words(language);
        struct page p = {translated, words, style, charts, script, exp_chart_library(), language};
        put_page(&p, template, out);
        free(p.library);
        json_decref(words);
        json_decref(translated);
    }
    bool ok = script != NULL;
    free(script);
    free(charts);
    free(style);
    free(template);
    return ok;
}

void exp_report_json(const json_t *doc, FILE *out)
{
    if (json_dumpf(doc, out, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS_KEPT)) != 0) return;
    fputc('\n', out);
}
