/* A report's content without its looks: sections of texts, facts, tables and charts, as one JSON object that is written to
 * report.json beside a run's results, drawn as a page, and printed as Markdown or CSV (report.h). Its words are
 * English and are looked up in words.h when another language is asked for: fixed texts as they are, texts with figures as
 * a template with {0}, {1} ... and their arguments.
 *   {"kind":"run","title":[T,...],"subtitle":[T,...],"version":V,"sections":[{"id","title","parts":[PART...]}]}
 *   PART: {"kind":"text","tone":"plain|soft|good|warn|heading","text":[T,...]}    {"kind":"code","text":T}
 *         {"kind":"facts","items":[{"name":T,"value":X,"lo":X,"hi":X,"unit":U}]}
 *         {"kind":"table","id","title":T,"folded":B,"columns":[{"name":T,"unit":U,"digits":N,"text":B}],"rows":[[CELL...]...]}
 *         {"kind":"chart","id","title":T,"note":T,"form":F,"x":AXIS,"y":AXIS,"series":[{"name","points":[[...]...],"own":B,"joined":B}]}
 *         {"kind":"languages","en":[PART...],"ja":[PART...]}
 *   own false: the series is hidden until somebody asks for it
 *   [T,...] is a template and its arguments, X a number or null, CELL a number, a text, true, false or null
 *   AXIS {"title":T,"unit":U,"scale":"linear|log|names","names":[...],"min":X,"max":X}
 *   F "line"     points [x, y]; with [x, y, lo, hi] a band around the line
 *     "scatter"  points [x, y, label]; of a series that is joined, with a line through them
 *     "bars"     points [index of a name, y]        "stacked" the same, one upon the other
 *     "ranges"   points [index of a name, lo, middle, hi]: floating bars with a mark */
#ifndef KVSIM_EXPERIMENTS_REPORT_DOC_H
#define KVSIM_EXPERIMENTS_REPORT_DOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EXP_DOC_POINTS = 500
}; /* most points of a series; more are thinned out, the first, the last and extremes kept */

/* A heading within a section is a text, too. */
enum exp_tone { EXP_PLAIN_TONE, EXP_SOFT_TONE, EXP_GOOD_TONE, EXP_WARN_TONE, EXP_HEADING_TONE };
enum exp_chart { EXP_LINES, EXP_SCATTER, EXP_BARS, EXP_STACKED, EXP_RANGES };
enum exp_scale { EXP_LINEAR, EXP_LOG, EXP_NAMED };

/* kind: run, compare, plan, study or validate. The caller's; all that is added below belongs to it. Templates end with
 * NULL after their arguments: exp_doc_text(s, EXP_WARN_TONE, "{0} of {1} requests were late", "3", "20", NULL). */
json_t *exp_doc_new(const char *kind, const char *title, ...) __attribute__((sentinel));
void exp_doc_subtitle(json_t *doc, const char *template, ...) __attribute__((sentinel));

json_t *exp_doc_section(json_t *doc, const char *id, const char *title);
/* A part that holds parts of its own for each language; parts are added to what they return, as to a section. */
void exp_doc_languages(json_t *section, json_t **en, json_t **ja);

void exp_doc_text(json_t *section, enum exp_tone tone, const char *template, ...) __attribute__((sentinel));
void exp_doc_code(json_t *section, const char *text);

json_t *exp_doc_facts(json_t *section);
/* lo and hi NaN = no interval; value NaN = not known. */
void exp_doc_fact(json_t *facts, const char *name, double value, const char *unit);
void exp_doc_fact_band(json_t *facts, const char *name, double value, double lo, double hi, const char *unit);

json_t *exp_doc_table(json_t *section, const char *id, const char *title);
void exp_doc_folded(json_t *table); /* opens on a click; printed all the same */
void exp_doc_column(json_t *table, const char *name, const char *unit); /* of numbers, four digits */
void exp_doc_column_text(json_t *table, const char *name);
json_t *exp_doc_row(json_t *table);           /* then a cell for each column */
void exp_doc_cell(json_t *row, double value); /* NaN = empty */
void exp_doc_cell_text(json_t *row, const char *text);

json_t *exp_doc_chart(json_t *section, const char *id, const char *title, enum exp_chart form);
void exp_doc_note(json_t *chart, const char *text); /* one sentence below it: what to see */
void exp_doc_x(json_t *chart, const char *title, const char *unit, enum exp_scale scale);
void exp_doc_y(json_t *chart, const char *title, const char *unit, enum exp_scale scale);
void exp_doc_limits(json_t *chart, double min,
                    double max);                    /* of the y axis, once it is there; NaN = by its points */
void exp_doc_name(json_t *chart, const char *name); /* one more name of the x axis */
json_t *exp_doc_series(json_t *chart, const char *name);
void exp_doc_joined(json_t *series);                 /* of a scatter: a line goes through its points */
void exp_doc_xy(json_t *series, double x, double y); /* not finite: a gap */
void exp_doc_xy_band(json_t *series, double x, double y, double lo, double hi);
void exp_doc_xy_label(json_t *series, double x, double y, const char *label);
void exp_doc_range(json_t *series, uint32_t name, double lo, double middle, double hi);

/* Thins series and shortens their numbers to seven digits, drops what is empty (series without a point, charts, tables, lists,
 * sections), cuts what is more than a report may have (100 series, 500 names, 20,000 rows) and says so above it, makes ids
 * unique. Once, when all is there. */
void exp_doc_finish(json_t *doc);

#endif
