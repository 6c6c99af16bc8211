/* A study's points as a table in memory: which keys vary and how, and for every point its values and the figures that a
 * report needs. Rows that an older model or older files made are kept apart: they are counted and listed, and take part in
 * nothing else as long as there is one that is not stale. 400 bytes a point. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_STUDY_ROWS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_STUDY_ROWS_H

#include "experiments/study/store/store.h"
#include "sim/memory.h"

#include <jansson.h>

/* Figures that are kept of a point; NaN = not known. */
enum exp_study_figure {
    EXP_STUDY_GOODPUT, /* requests a second within their limits */
    EXP_STUDY_ATTAINMENT,
    EXP_STUDY_TTFT, /* p99, ms */
    EXP_STUDY_TPOT,
    EXP_STUDY_N_BANDED, /* those above have intervals, too */
    EXP_STUDY_SLA_MET = EXP_STUDY_N_BANDED,
    EXP_STUDY_KV_PEAK,
    EXP_STUDY_LINK_BUSY,
    EXP_STUDY_GPUS,
    EXP_STUDY_COST_HOUR,
    EXP_STUDY_COST_WITHIN, /* per 1,000 requests within their limits */
    EXP_STUDY_COST_GOOD,   /* of these that do not newly fail */
    EXP_STUDY_NEWLY_FAILING,
    EXP_STUDY_EVIDENCE, /* and SIM_N_EVIDENCE - 1 more: shares of GPU time */
    EXP_STUDY_N_FIGURES = EXP_STUDY_EVIDENCE + SIM_N_EVIDENCE
};

/* A key that the study varies. */
struct exp_study_column {
    const char *path;
    const char *name; /* the path's last word, the path itself where two columns share it */
    bool numeric, is_load;
    uint32_t n_values;        /* that occur, in the order in which they do; numbers rise */
    const char *const *value; /* "" = not set; of a file its name without folders */
    const double *number;     /* of a numeric one */
};

struct exp_study_entry {
    uint64_t index;
    bool done, stale;
    const char *why, *load_state;
    double figure[EXP_STUDY_N_FIGURES];
    double lo[EXP_STUDY_N_BANDED], hi[EXP_STUDY_N_BANDED]; /* NaN without replications */
    uint32_t value[EXP_STUDY_MAX_AXES];                    /* of every column */
};

struct exp_study_rows {
    const char *database, *name, *note, *file, *scenario; /* database: its file's name, without folders */
    const char *currency, *per_cost; /* "USD" and "1/USD"; "" and words where it is not known */
    uint64_t n_points;               /* of the study; 0 = not known */
    const json_t *versions;
    uint32_t n_columns;
    struct exp_study_column
        column[EXP_STUDY_MAX_AXES]; /* in the order of the study's file; those with one value too */
    uint64_t n, n_done, n_failed, n_stale;
    struct exp_study_entry *row; /* by index */
    bool all_stale;              /* then stale rows count after all */
    int strategy; /* column whose values are compared: `strategy`, else the first of names that varies; -1 = none */
    int load; /* column that is the x axis: the load, else the first number with three values; -1 = none */
    json_t *study, *texts; /* own the texts above, and those of rows */
    struct sim_arena *arena;
};

/* A study of a store by its name, or its only one when name is NULL. Free with exp_study_rows_free. NULL with one line in st. */
struct exp_study_rows *exp_study_rows_load(struct exp_store *store, const char *name, struct sim_status *st);
void exp_study_rows_free(struct exp_study_rows *s);

/* Does the row take part: done, and not stale unless all are? */
bool exp_study_row_counts(const struct exp_study_rows *s, const struct exp_study_entry *row);
/* Did it meet the service levels? With replications nine of ten must. */
bool exp_study_row_meets(const struct exp_study_entry *row);
static inline bool exp_study_varies(const struct exp_study_rows *s, int column)
{
    return column >= 0 && s->column[column].n_values > 1;
}

/* What "best" means: requests within their limits per unit of cost, where the whole study has prices, else per GPU. */
enum exp_study_basis { EXP_STUDY_PER_COST, EXP_STUDY_PER_GPU, EXP_STUDY_PER_RUN };
enum exp_study_basis exp_study_basis(const struct exp_study_rows *s);
double exp_study_score(const struct exp_study_entry *row, enum exp_study_basis basis);
const char *exp_study_basis_name(enum exp_study_basis basis); /* "requests within limits per unit of cost" */

/* "strategy=fp8, multiply=4": of the columns that vary and are asked for by their bits. The arena's. */
const char *exp_study_settings_text(const struct exp_study_rows *s, const struct exp_study_entry *row,
                                    uint32_t columns);

#endif
