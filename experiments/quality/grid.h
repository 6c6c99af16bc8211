/* A table of any number of columns for a page (experiments/page.h): columns to the right but the first; those
 * that do not fit go into further blocks below, each with the fixed first columns again. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_GRID_H
#define KVSIM_EXPERIMENTS_QUALITY_GRID_H

#include <stdint.h>
#include <stdio.h>

struct exp_blocks;

/* The first n_fixed columns stand in every block. Free with exp_blocks_print, which prints and frees. */
struct exp_blocks *exp_blocks_new(uint32_t n_columns, uint32_t n_fixed);
/* Two lines; the first may be empty in all columns, and is then left out. */
void exp_blocks_head(struct exp_blocks *g, uint32_t column, const char *first, const char *second);
/* Cells fill a row from the left, and row after row; at most 47 bytes each but the first column's. */
void exp_blocks_cell(struct exp_blocks *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void exp_blocks_print(struct exp_blocks *g, FILE *out);

/* Words up to the width, lines after the first indented. */
void exp_print_wrapped(const char *text, int indent, FILE *out);

#endif
