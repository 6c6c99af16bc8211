/* A report out of a document (doc.h): one self-contained page, Markdown, or the data as CSV, in English or Japanese. The page
 * is experiments/report/{page.html,page.css,page.js} with the document and Chart.js from the distribution's package
 * (libjs-chart.js) put in; it asks for nothing from any network. Without the package it has everything but the drawings, and
 * says what is missing. */
#ifndef KVSIM_EXPERIMENTS_REPORT_REPORT_H
#define KVSIM_EXPERIMENTS_REPORT_REPORT_H

#include "experiments/report/words.h"
#include "sim/status.h"

#include <jansson.h>
#include <stdio.h>

/* Whether the charts' library is on this machine; a line for people on stderr when it is not. */
bool exp_report_has_charts(void);
void exp_report_note_charts(void);

/* report.json: the document itself, numbers with twelve digits. Errors of the stream are the caller's to look at, here and
 * below. */
void exp_report_json(const json_t *doc, FILE *out);
/* data_dir: where the program's data lies (exp_cache_data_dir, mdl_data_dir). False when the page's parts cannot be read. */
bool exp_report_html(const json_t *doc, enum exp_language language, const char *data_dir, FILE *out,
                     struct sim_status *st);
void exp_report_markdown(const json_t *doc, enum exp_language language, FILE *out);
/* A table of a document that is translated already, without its title. */
void exp_report_markdown_table(const json_t *table, enum exp_language language, FILE *out);
/* Every table and chart, one file each, ID.csv; all of them or none. *n_files is how many. */
bool exp_report_csv(const json_t *doc, enum exp_language language, const char *dir, int *n_files,
                    struct sim_status *st);

/* The document as it lies in a folder (report.json), checked: every byte of it may be hostile. NULL with one line in st. */
json_t *exp_report_read(const char *path, struct sim_status *st);
/* Is it a document as doc.h describes it? The first thing that is not is named. */
bool exp_report_check(const json_t *doc, const char *name, struct sim_status *st);

#endif
