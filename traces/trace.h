/* A request trace in memory. trc_read takes every public dialect of README.md ("Dialects"), finds columns by
 * name and never guesses a unit; what it could not keep (failed requests, reordering) is counted in trc_info.
 * Cost: 24 bytes a request, plus side columns only where the file has them. CSV at more than 100 MB/s. */
#ifndef KVSIM_TRACES_TRACE_H
#define KVSIM_TRACES_TRACE_H

#include "sim/request.h"
#include "sim/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_arena;

enum trc_zero_output { TRC_ZERO_SKIP, TRC_ZERO_ONE, TRC_ZERO_ERROR };
enum trc_time_unit { TRC_UNIT_BY_DIALECT, TRC_UNIT_S, TRC_UNIT_MS, TRC_UNIT_US, TRC_UNIT_NS };

struct trc_options {
    enum trc_time_unit time_unit;     /* --time-unit: overrides the dialect */
    const char *columns;              /* --columns arrival=...,input=...,output=...; or NULL */
    enum trc_zero_output zero_output; /* --zero-output */
    bool rebase;                      /* --rebase: first arrival becomes 0 */
    bool spread_ticks;        /* --spread-ticks: requests of one tick spread over the time to the next */
    uint32_t hash_block_size; /* --hash-block-size; 0 = by dialect */
    double time_scale;        /* --time-scale: multiplies gaps; 0 = 1 */
    bool lengths_only_ok;     /* accept a file without arrivals (all 0) */
};

struct trc_trace {
    struct sim_request *requests; /* sorted by arrival; slo_class 0 unless the file has slo_class */
    uint64_t n_requests;

    char dialect[24]; /* azure, vidur, mooncake, ... canonical */
    bool has_arrivals;
    uint64_t n_failed;     /* requests with no output, skipped or set to 1 by zero_output */
    uint64_t n_reordered;  /* rows that stood out of time order */
    char *ignored_columns; /* "Deadline, foo" or "" */

    /* side columns, each NULL when the file has none; row i belongs to requests[i] */
    char **request_id;  /* NULL: the row number, from 0, in file order is file_row[i], or i */
    uint64_t *file_row; /* NULL when row i of the file is requests[i]: all in order, none skipped */
    char **session_id;
    uint32_t *turn;
    char **model;
    char **task;
    char **prefix_group;
    uint32_t *prefix_length;
    uint32_t *hash_begin; /* n_requests + 1 offsets into hash_ids */
    uint64_t *hash_ids;
    uint32_t hash_block_size; /* tokens */
    char **class_names;       /* names of slo_class 0 .. n_classes - 1 as the file had them */
    uint32_t n_classes;
    struct sim_arena *strings; /* owns every text above but ignored_columns; NULL when there is none */
};

/* Reads a whole trace (CSV, JSONL, either as .gz; `-` is stdin); NULL and one line in st on any bad input.
 *   options   NULL = all by default
 *   returns   free with trc_free. Arrivals are whole microseconds, so that trc_write loses nothing; texts of
 *             side columns are never NULL: an empty cell is "" (slo_class: "default") */
struct trc_trace *trc_read(const char *path, const struct trc_options *options, struct sim_status *st);
void trc_free(struct trc_trace *t);

/* Writes the canonical CSV of README.md; side columns where there are any. `-` is stdout. */
bool trc_write(const struct trc_trace *t, const char *path, struct sim_status *st);

#endif
