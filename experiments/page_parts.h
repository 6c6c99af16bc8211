/* Between the files of a page: letters and lines (page.c), tables (page_grid.c) and parts of a document (page_doc.c). */
#ifndef KVSIM_EXPERIMENTS_PAGE_PARTS_H
#define KVSIM_EXPERIMENTS_PAGE_PARTS_H

#include "experiments/page.h"

/* Length in bytes of the letter at `text`, which is not empty; its code point. Bytes that are no UTF-8 stand for themselves. */
size_t exp_page_letter(const char *text, uint32_t *code);
/* Control characters, those that begin with 0x80 among them, and what turns the direction of writing. */
bool exp_page_moves_cursor(uint32_t code);
int exp_page_columns_within(const char *text, size_t n_bytes);
/* Where the first line of `text` ends that is at most so many columns wide; *next: where the one after it begins. */
size_t exp_page_line_end(const char *text, int width, size_t *next);

/* Names and sources come from files: what would move a terminal's cursor is not passed on. */
void exp_page_put_bytes(const struct exp_page *p, int indent, const char *text, size_t n_bytes);
/* Lines at `first` and `rest`, none wider than the page. */
void exp_page_put_wrapped(const struct exp_page *p, int first, int rest, const char *text);

size_t exp_grid_rows(const struct exp_grid *g);
const char *exp_grid_cell(const struct exp_grid *g, size_t row, int column);
/* A head or a cell in one line: USD/month of two, headroom of a word that was parted. Free with free(). */
char *exp_grid_one_line(const char *text);

void exp_page_parts_heading(struct exp_page_parts *p, const char *text);
void exp_page_parts_text(struct exp_page_parts *p, const char *text);
void exp_page_parts_code(struct exp_page_parts *p, const char *text);
void exp_page_parts_grid(struct exp_page_parts *p, const struct exp_grid *g);

#endif
