/* Texts and tables of others as Markdown: nothing in them is markup, a link, a cell's end or a control code of a terminal. */
#ifndef KVSIM_EXPERIMENTS_REPORT_MARKDOWN_TEXT_H
#define KVSIM_EXPERIMENTS_REPORT_MARKDOWN_TEXT_H

#include "experiments/report/words.h"

#include <stdio.h>

/* One line of text, escaped; the caller's. */
char *exp_markdown_text(const char *text);
/* The same as a paragraph: what would make its beginning a heading, list or quotation is escaped, too. */
char *exp_markdown_paragraph(const char *text);
/* A block of code that ends where the text does, whatever the text holds. */
void exp_markdown_code(const char *text, FILE *out);
void exp_markdown_heading(const char *level, const char *text, FILE *out);

/* "name, unit"; a number with so many digits (0 = as people read it), a text, yes or no. Escaped; the caller's. */
char *exp_markdown_head(const char *name, const char *unit);
char *exp_markdown_value(const json_t *v, json_int_t digits, enum exp_language language);

/* A table whose columns are aligned for people: cells are escaped texts. */
struct exp_markdown_table {
    char **cell; /* n_rows x n_columns, the first row is the head; the table's */
    size_t n_rows, n_columns;
    unsigned char *right; /* n_columns: numbers; the table's */
};
struct exp_markdown_table exp_markdown_table_new(size_t n_rows, size_t n_columns);
/* Takes the text; what stood there is freed. */
void exp_markdown_set(struct exp_markdown_table *t, size_t row, size_t column, char *text);
/* Rows become columns. */
void exp_markdown_turn(struct exp_markdown_table *t);
/* Prints and frees. */
void exp_markdown_print(struct exp_markdown_table *t, FILE *out);

/* A chart: some of its points as a table, and where all of them are. */
void exp_markdown_chart(const json_t *chart, enum exp_language language, FILE *out);

#endif
