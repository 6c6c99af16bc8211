/* The public trace formats, known by the names of their columns. One row of the table in dialect.c = one
 * dialect: which columns make it, how its arrivals are written, how many tokens a hash block has. */
#ifndef KVSIM_TRACES_DIALECT_H
#define KVSIM_TRACES_DIALECT_H

#include "traces/field.h"

enum { TRC_DIALECT_COLUMNS = 4 };

struct trc_dialect {
    const char *name;
    const char *columns[TRC_DIALECT_COLUMNS]; /* normalised, all of them present; the first is the arrival */
    enum trc_clock clock;
    uint32_t hash_block_size; /* tokens; 0: not known */
    bool whole_numbers;       /* arrivals have no fraction: one that does is some other format */
};

/* The first row of the table whose columns are all there; "generic" (found by synonyms, no unit) when none
 * is. */
const struct trc_dialect *trc_dialect_find(const struct trc_columns *columns);

/* Row i of the table, NULL past its end. */
const struct trc_dialect *trc_dialect_at(size_t i);

#endif
