/* A CSV as columns: numbers and words found by name, rows that count. For tables of measurements, which are small. */
#ifndef KVSIM_CALIB_COLUMNS_H
#define KVSIM_CALIB_COLUMNS_H

#include "sim/status.h"

#include <stddef.h>

enum { CAL_MAX_COLUMNS = 16, CAL_WORD_BYTES = 16 };

struct cal_cells {
    double number[CAL_MAX_COLUMNS];
    char word[CAL_MAX_COLUMNS][CAL_WORD_BYTES]; /* "" where a word is longer */
};

struct cal_columns {
    struct cal_cells *row;
    size_t n;
};

/* names end with NULL; one that begins with '$' is a word, the others are numbers. Rows whose `status` is not ok
 * are left out. True with n = 0 when there is no such file. Free with cal_columns_fini. */
bool cal_columns_read(const char *path, const char *const *names, struct cal_columns *out,
                      struct sim_status *st);
void cal_columns_fini(struct cal_columns *c);

#endif
