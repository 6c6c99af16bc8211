/* CSV in, through libcsv: one row at a time with the line it starts on. Blank lines and lines that start with
 * '#' are skipped; a NUL byte or a quote without its partner is refused with file:line. */
#ifndef KVSIM_KERNELS_KVBENCH_CSV_H
#define KVSIM_KERNELS_KVBENCH_CSV_H

#include "kernels/kbench.h"

struct kvb_csv_row {
    const char *path;
    uint64_t line;
    uint32_t n_fields;
    const char *const *field; /* valid during the call only */
};

/* Called for the header first (index 0), then for each row; false with err stops the reading. */
typedef bool kvb_csv_fn(void *user, uint64_t index, const struct kvb_csv_row *row, struct kb_error *err);

bool kvb_csv_read(const char *path, kvb_csv_fn *on_row, void *user, struct kb_error *err);

/* Column of that name in the header, or -1. */
int kvb_csv_column(const struct kvb_csv_row *header, const char *name);

/* A cell as a number: refused with file:line and the column's name when it is missing, no number, or (u64)
 * greater than most. A whole number may be written 374.0. */
bool kvb_csv_u64(const struct kvb_csv_row *row, int column, const char *name, uint64_t most, uint64_t *out,
                 struct kb_error *err);
bool kvb_csv_double(const struct kvb_csv_row *row, int column, const char *name, double *out,
                    struct kb_error *err);

#endif
