/* Stores made by hand: a study without its file, points whose numbers follow from their index, and the file as sqlite
 * itself sees it. */
#ifndef KVSIM_TESTS_STORE_HELP_H
#define KVSIM_TESTS_STORE_HELP_H

#include "experiments/study/store/store_parts.h"
#include "tests/harness.h"

/* A path in the test's folder that is not there yet; the last 8 stay valid. */
const char *store_path(const char *name);
/* Opened, or the test fails. */
struct exp_store *store_opened(const char *path, enum exp_store_mode mode);
/* The same to write, with a study of this name and text put. */
struct exp_store *store_of(const char *path, const char *study, const char *text);
void store_study(struct exp_store *s, const char *study, const char *text);
/* Must be refused; the line holds `part`, names the path and is one line. */
void store_refused(const char *path, enum exp_store_mode mode, const char *part);
void store_one_line(const struct sim_status *st, const char *path, const char *part);

/* Point i: key and setup are hashes of (i, version) and i, measures of both. exp_point_result_fini. */
struct exp_point_result store_point(uint64_t i, uint32_t version);
double store_measure(uint64_t i, uint32_t version, size_t measure);
struct exp_point_result store_failed(uint64_t i, const char *key, const char *why);
void store_put(struct exp_store *s, struct exp_point_result r); /* and frees it */
void store_adopt(struct exp_store *s, struct exp_point_result r);

/* A number that a query gives on a connection of its own; -1 without a row. Statements that give none are run. */
int64_t store_sql(const char *path, const char *sql);
/* The first column of all rows, a line each; free(). */
char *store_texts(const char *path, const char *sql);

/* Rows that exp_store_each gave: "study idx key-or-! state stale", a line each; free(). */
char *store_rows(struct exp_store *s, const char *study);

#endif
