/* CSV in, for every part: libcsv under a reader that hands over one row at a time with its line number.
 * Accepts LF, CRLF, no newline at the end, UTF-8 BOM, quotes, gzip; skips blank lines and lines starting '#'.
 * Refuses NUL bytes, directories, empty files, git-LFS pointers and lines over 64 MiB with file:line.
 * The delimiter is `,`, else tab or `;`, by the header. Rows may have fewer or more fields than that. */
#ifndef KVSIM_SIM_CSV_IN_H
#define KVSIM_SIM_CSV_IN_H

#include "sim/status.h"

#include <stddef.h>
#include <stdint.h>

struct sim_csv_row {
    const char *path;
    uint64_t line; /* where the row starts, from 1 */
    uint32_t n_fields;
    const char *const *field; /* NUL-terminated; valid during the call only */
    const size_t *length;
};

/* Called for the header first (index 0), then for each row; false stops the reading (fill st to make it an
 * error). */
typedef bool sim_csv_row_fn(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st);

/* Reads a whole file. False with a message when it cannot be read or a callback filled st. */
bool sim_csv_read(const char *path, sim_csv_row_fn *on_row, void *user, struct sim_status *st);

/* The same on lines that the caller opened (sim/line_in.h), e.g. to look at the first one before choosing a
 * reader. */
struct sim_lines;
bool sim_csv_read_lines(struct sim_lines *in, sim_csv_row_fn *on_row, void *user, struct sim_status *st);

/* Finds a column by its exact name; -1 when there is none. */
int sim_csv_column(const struct sim_csv_row *header, const char *name);

/* Typed cells. Each refuses empty, trailing text, NaN, infinity and overflow with file:line: column. Blanks
 * around an unquoted cell are dropped; a whole number may be written 374.0. */
bool sim_csv_double(const struct sim_csv_row *row, int column, const char *name, double *out,
                    struct sim_status *st);
bool sim_csv_u64(const struct sim_csv_row *row, int column, const char *name, uint64_t *out,
                 struct sim_status *st);

#endif
