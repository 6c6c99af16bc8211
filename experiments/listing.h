/* Rows for people and for programs: an array of JSON objects with the same keys, printed as an aligned table
 * (numbers to the right) or as JSON. */
#ifndef KVSIM_EXPERIMENTS_LISTING_H
#define KVSIM_EXPERIMENTS_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* A column's head is its key. The last column may be as wide as it likes. */
void exp_print_rows(const json_t *rows, FILE *out);

#endif
