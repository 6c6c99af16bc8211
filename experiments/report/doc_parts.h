/* What the files that make, check and print documents share of doc.h's format: its words, and its limits. Documents that this
 * program makes keep to the limits; of a file that somebody sends they are checked (report.h). */
#ifndef KVSIM_EXPERIMENTS_REPORT_DOC_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_DOC_PARTS_H

#include "experiments/report/doc.h"

/* Each ends with NULL and goes by its enum. */
extern const char *const exp_doc_tones[], *const exp_doc_forms[], *const exp_doc_scales[];

enum {
    EXP_DOC_ID_BYTES = 64,
    EXP_DOC_SECTIONS = 100,
    EXP_DOC_PARTS = 1000, /* of a section or a language */
    EXP_DOC_COLUMNS = 64,
    EXP_DOC_ROWS = 20000,
    EXP_DOC_SERIES = 100,
    EXP_DOC_FILES = 250 /* sections, tables and charts in all; the latter become files (folder.h) */
};
#define EXP_DOC_LARGEST 1e100 /* what can still be drawn */

/* Keeps at most EXP_DOC_POINTS of a series' points: the first, the last, and in between the extremes of equal stretches, in
 * their order. */
void exp_doc_thin(json_t *points);

#endif
