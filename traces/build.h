/* Puts a trace together row by row: a reader (CSV, JSON lines) hands over text cells by meaning, this module
 * checks each, keeps what the file has and grows its arrays by half, so that at most 1.5 times the result is
 * ever held. finish.c then sorts, sets the origin of time and checks what only the whole file can tell. */
#ifndef KVSIM_TRACES_BUILD_H
#define KVSIM_TRACES_BUILD_H

#include "traces/dialect.h"
#include "traces/field.h"
#include "traces/intern.h"
#include "traces/trace.h"

struct trc_cell {
    const char *text; /* NUL-terminated; "" when the row has none */
    size_t length;
};

struct trc_cells {
    struct trc_cell cell[TRC_N_FIELDS];
    uint64_t line;
    const uint64_t *hash_ids; /* already numbers (JSON); NULL: in cell[TRC_F_HASH_IDS] */
    size_t n_hash_ids;
};

/* What hash block sizes the rows allow: input tokens / ids, both for a last partial block that is hashed
 * (ceil) and for one that is dropped (floor). Empty when low > high. */
struct trc_blocks {
    uint64_t ceil_low, ceil_high, floor_low, floor_high;
};

struct trc_builder {
    struct trc_trace *trace;
    struct trc_options options;
    struct trc_columns columns;
    const struct trc_dialect *dialect;
    enum trc_clock clock;
    char *path;
    uint64_t header_line;
    uint64_t n_rows; /* data rows seen, skipped ones included */
    uint64_t room, room_hash_ids;
    double latest_us;
    bool is_datetime; /* in a file whose unit nobody states, the first arrival may be one */
    struct trc_blocks blocks;
    struct trc_intern names, classes;
    uint64_t *parsed_ids; /* the row's ids, from a cell */
    size_t room_parsed_ids;
};

void trc_builder_init(struct trc_builder *b, const char *path, const struct trc_options *options);
void trc_builder_fini(struct trc_builder *b);

/* After the columns are known: finds the dialect and its unit, and demands what a trace must have. */
bool trc_builder_begin(struct trc_builder *b, struct sim_status *st);

bool trc_builder_has(const struct trc_builder *b, enum trc_field field);
bool trc_builder_add(struct trc_builder *b, const struct trc_cells *cells, struct sim_status *st);

/* Sorts, rebases, checks the hash blocks, spreads ticks, scales. NULL with a message; the builder is empty
 * after. */
struct trc_trace *trc_builder_finish(struct trc_builder *b, struct sim_status *st);

/* cells.c: one cell each. Every one fails with path:line: column. */
bool trc_refuse_cell(const struct trc_builder *b, const struct trc_cells *cells, enum trc_field field,
                     const char *expected, struct sim_status *st);
bool trc_cell_count(const struct trc_builder *b, const struct trc_cells *cells, enum trc_field field,
                    uint32_t *out, struct sim_status *st);
bool trc_cell_arrival(struct trc_builder *b, const struct trc_cells *cells, int64_t *us,
                      struct sim_status *st);
bool trc_cell_priority(const struct trc_builder *b, const struct trc_cells *cells, int32_t *out,
                       struct sim_status *st);
bool trc_cell_is_failed(const struct trc_cells *cells);

/* Ids in one cell, between spaces, `;` or `|`, in brackets or not; they land in b->parsed_ids. */
bool trc_cell_hash_ids(struct trc_builder *b, const struct trc_cells *cells, size_t *n,
                       struct sim_status *st);

/* That a row's ids are as many as its input has blocks. */
bool trc_check_blocks(struct trc_builder *b, const struct trc_cells *cells, uint64_t input, size_t n,
                      struct sim_status *st);

#endif
