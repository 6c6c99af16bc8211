/* Documents for tests of reports: one of every kind of part, and texts that would like to be more than texts. */
#ifndef KVSIM_TESTS_REPORT_HELP_H
#define KVSIM_TESTS_REPORT_HELP_H

#include "experiments/report/doc.h"
#include "experiments/report/report.h"
#include "sim/memory.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const hostile_texts[] = {
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "a|b\nc",
    "[x](javascript:alert(1))",
    "`| --- |`",
    "@@DATA@@ @@SCRIPT@@",
    "https://example.org/a?src=b prefetch() \\ \"quoted\"",
    "=1+1,\"x\"\r\n@sum",
    "\x1b[2J\x1b]0;title\x07",
    "日本語 {0} {1} {9}",
    "\xff\xfe",
};
enum { N_HOSTILE = sizeof hostile_texts / sizeof hostile_texts[0] };

static inline void add_charts(json_t *section)
{
    json_t *lines = exp_doc_chart(section, "lines", "Latency", EXP_LINES), *s;
    exp_doc_x(lines, "time", "s", EXP_LINEAR);
    exp_doc_y(lines, "latency", "ms", EXP_LOG);
    exp_doc_note(lines, "What to see.");
    s = exp_doc_series(lines, "full");
    for (int i = 0; i < 40; i++) exp_doc_xy_band(s, i, 1.5 + i, 1 + i, 2 + i);
    exp_doc_xy(s, 41, NAN);
    json_t *scatter = exp_doc_chart(section, "scatter", "Front", EXP_SCATTER);
    s = exp_doc_series(scatter, "points");
    exp_doc_joined(s);
    exp_doc_xy_label(s, 1, 2.25, "fp8");
    exp_doc_xy_label(s, 3, 4, "freekv:budget=1024");
    json_t *bars = exp_doc_chart(section, "bars", "Cost", EXP_BARS);
    json_t *stacked = exp_doc_chart(section, "stacked", "Time", EXP_STACKED);
    json_t *ranges = exp_doc_chart(section, "ranges", "NPV", EXP_RANGES);
    json_t *all[] = {bars, stacked, ranges};
    for (int k = 0; k < 3; k++) {
        exp_doc_name(all[k], "first");
        exp_doc_name(all[k], "second");
        s = exp_doc_series(all[k], "series of it");
        for (unsigned i = 0; i < 2; i++) k == 2 ? exp_doc_range(s, i, 1, 2, 3 + i) : exp_doc_xy(s, i, 10 + i);
    }
}

/* Finished; `text` stands wherever a name or a text may. */
static inline json_t *sample_doc(const char *text)
{
    json_t *doc = exp_doc_new("run", "A run of {0}", text, NULL), *en, *ja;
    exp_doc_subtitle(doc, "{0} requests, seed {1}", "400", "1", NULL);
    json_t *section = exp_doc_section(doc, "first", "First section");
    exp_doc_text(section, EXP_WARN_TONE, "{1} of {0} were late", "20", text, NULL);
    exp_doc_text(section, EXP_PLAIN_TONE, text, NULL);
    exp_doc_code(section, text);
    json_t *facts = exp_doc_facts(section);
    exp_doc_fact(facts, "throughput", 12.5, "requests/s");
    exp_doc_fact_band(facts, text, 3, 2.5, 3.5, "");
    exp_doc_fact(facts, "nothing", NAN, "ms");
    json_t *table = exp_doc_table(section, "table", text), *row;
    exp_doc_folded(table);
    exp_doc_column_text(table, "name");
    exp_doc_column(table, "value", "ms");
    exp_doc_column(table, text, "");
    for (int i = 0; i < 3; i++) {
        row = exp_doc_row(table);
        exp_doc_cell_text(row, text);
        exp_doc_cell(row, i * 1234.5678);
        exp_doc_cell(row, i == 1 ? NAN : 1e-7 * i);
    }
    section = exp_doc_section(doc, "second", "Second section");
    exp_doc_languages(section, &en, &ja);
    exp_doc_text(en, EXP_GOOD_TONE, "English alone", NULL);
    exp_doc_text(ja, EXP_SOFT_TONE, "日本語だけ", NULL);
    add_charts(section);
    json_t *chart = exp_doc_chart(section, "named", text, EXP_BARS);
    exp_doc_name(chart, text);
    exp_doc_xy(exp_doc_series(chart, text), 0, 1);
    exp_doc_finish(doc);
    return doc;
}

/* A part by its kind and, when it has one, its id; fails without. */
static inline json_t *part_of(const json_t *doc, const char *kind, const char *id)
{
    const json_t *sections = json_object_get(doc, "sections");
    for (size_t i = 0; i < json_array_size(sections); i++) {
        const json_t *parts = json_object_get(json_array_get(sections, i), "parts");
        for (size_t k = 0; k < json_array_size(parts); k++) {
            json_t *p = json_array_get(parts, k);
            const char *its = json_string_value(json_object_get(p, "id"));
            if (strcmp(json_string_value(json_object_get(p, "kind")), kind) == 0 &&
                (!id || (its && strcmp(its, id) == 0)))
                return p;
        }
    }
    ck_abort_msg("no %s %s", kind, id ? id : "");
    return NULL;
}

static inline const char *string_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    ck_assert_msg(text != NULL, "no text %s", key);
    return text;
}

/* What a writer writes; free with free(). */
static inline char *written(void (*write)(const json_t *doc, FILE *out), const json_t *doc)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(f);
    write(doc, f);
    ck_assert_int_eq(fclose(f), 0);
    return text;
}

static inline size_t count_of(const char *text, const char *piece)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, piece)); at += strlen(piece)) n++;
    return n;
}

#endif
