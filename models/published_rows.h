/* Rows of published figures (lengths.csv, quality/) hold for a strategy with certain parameters and say nothing of
 * others: column `strategy` has one name or several (`kivi4|kivi2`), column `parameters` what must be equal
 * (`bits=2,group=32`; empty: any). A row is taken when all its parameters are what the strategy's were resolved to.
 * Of those that stand aside the parameters are kept, so that a reader can be told for which there is a figure. */
#ifndef KVSIM_MODELS_PUBLISHED_ROWS_H
#define KVSIM_MODELS_PUBLISHED_ROWS_H

#include "models/strategy.h"
#include "sim/csv_in.h"

enum { MDL_ROW_KEYS = 8, MDL_ROW_VALUES = 16 };

/* How a source begins when there is no row at all. */
#define MDL_NO_FIGURE "no published figure"

/* ---- cells by the names of their columns ---- */

struct mdl_row_column {
    const char *name;
    int at;
};
/* Finds all of them; one that is missing is named. */
bool mdl_row_columns(const struct sim_csv_row *header, struct mdl_row_column *columns, int n,
                     struct sim_status *st);
const char *mdl_row_text(const struct sim_csv_row *row, struct mdl_row_column c); /* "" when there is none */
/* Of 1 to room - 1 bytes. */
bool mdl_row_copy(const struct sim_csv_row *row, struct mdl_row_column c, char *out, size_t room,
                  struct sim_status *st);
bool mdl_row_number(const struct sim_csv_row *row, struct mdl_row_column c, const double range[2],
                    double *out, struct sim_status *st);
/* Its place among the words; -1 with a message when it is none of them. */
int mdl_row_choice(const struct sim_csv_row *row, struct mdl_row_column c, const char *const *words, int n,
                   struct sim_status *st);

/* ---- parameters ---- */

struct mdl_row_parameters {
    uint32_t n;
    enum mdl_kv_key key[MDL_ROW_KEYS];
    double value[MDL_ROW_KEYS];
};

/* Reads a cell; false when a name is no parameter, stands there twice or is of time alone (kernel_efficiency ...), or
 * when a value cannot be the parameter's. */
bool mdl_row_parameters(const struct sim_csv_row *row, int column, struct mdl_row_parameters *out,
                        struct sim_status *st);
bool mdl_row_is_of(const struct sim_csv_row *row, int column, const char *strategy);
bool mdl_row_matches(const struct mdl_row_parameters *p, const struct mdl_kv_use *use);

/* Parameters of rows that stand aside, each with its values from the least on. */
struct mdl_rows_aside {
    uint32_t n_keys, n_values[MDL_ROW_KEYS];
    enum mdl_kv_key key[MDL_ROW_KEYS];
    double value[MDL_ROW_KEYS][MDL_ROW_VALUES];
};
void mdl_rows_set_aside(struct mdl_rows_aside *aside, const struct mdl_row_parameters *p);

/* "published only for budget 512 and 2048, not for these parameters": those that differ. False, with out untouched,
 * when no row stands aside. */
bool mdl_rows_aside_text(const struct mdl_rows_aside *aside, const struct mdl_kv_use *use, char *out,
                         size_t room);

/* The parameters that rows may name, with their values: what answers depend on. Free with free(). */
char *mdl_answer_parameters(const struct mdl_kv_use *use);

#endif
