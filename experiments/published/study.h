/* Studies that set predictions beside published measurements: `kvsim published STUDY`. A study is one function; it reads
 * constants that experiments/published/constants.yaml declares with range and source before anything is compared, and
 * leaves rows "published / predicted", figures that sum them up, and notes that name what stays unexplained. Nothing is
 * fitted per row. To add one: a file <name>.c, a declaration in list.h and a row in list.c, its constants
 * in the file, a test in tests/test_published.c. */
#ifndef KVSIM_EXPERIMENTS_PUBLISHED_STUDY_H
#define KVSIM_EXPERIMENTS_PUBLISHED_STUDY_H

#include "sim/status.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* ---- constants: `study: {name: {value, low, high, source}}` becomes study.name ---- */

struct exp_constant {
    char name[96];
    double value, low, high; /* low <= value <= high: the range in which sources lie */
    char source[320];
    bool used;
};

struct exp_constants {
    struct exp_constant *constant;
    uint32_t n;
};

/* Refuses a constant without range or source, and a value outside its range. Free with exp_constants_fini. */
bool exp_constants_load(const char *path, struct exp_constants *out, struct sim_status *st);
void exp_constants_fini(struct exp_constants *c);

/* NULL when nothing of that name is declared. Marks it as used: what was used is printed with the results. */
const struct exp_constant *exp_constant_find(struct exp_constants *c, const char *name);
bool exp_constant_value(struct exp_constants *c, const char *name, double *out, struct sim_status *st);

/* ---- results ---- */

struct exp_published_row {
    char group[40]; /* rows of a group stand under one heading */
    char what[64];
    char unit[16];
    double published, predicted; /* NaN published: nobody published one */
};

enum exp_goal { EXP_NO_GOAL, EXP_GOAL_MET, EXP_GOAL_MISSED };

struct exp_published_figure {
    char group[40], name[48], unit[16];
    double value;
    enum exp_goal goal;
    char wanted[40]; /* of a goal: ">= 95 %" */
};

struct exp_published {
    struct exp_published_row *row;
    struct exp_published_figure *figure;
    char **note;
    uint32_t n_rows, n_figures, n_notes;
};

void exp_published_row(struct exp_published *p, const struct exp_published_row *row);
void exp_published_figure(struct exp_published *p, const struct exp_published_figure *figure);
void exp_published_note(struct exp_published *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A figure by group and name, NaN when there is none. */
double exp_published_value(const struct exp_published *p, const char *group, const char *name);
void exp_published_fini(struct exp_published *p);

/* ---- studies ---- */

struct exp_study_run {
    const char *data_dir; /* of the program */
    const char *raw_dir;  /* published raw data, "" when there is none */
    bool fit;             /* fit what the study fits again, instead of taking what ships */
    struct exp_constants *constants;
    struct exp_published *out;
};

struct exp_study {
    const char *name; /* p1-throughput */
    const char *help; /* one line */
    const char *raw;  /* what it needs below raw_dir, NULL: nothing */
    bool (*run)(const struct exp_study_run *r, struct sim_status *st);
};

size_t exp_study_count(void);
const struct exp_study *exp_study_at(size_t i);
const struct exp_study *exp_study_find(const char *name, struct sim_status *st);

/* Loads the constants, checks that the raw data is there, runs. Results are there even of a study that failed late.
 * raw_dir NULL: $KVSIM_SHARED, else ../shared beside the data folder. Free constants and results. */
struct exp_study_result {
    struct exp_constants constants;
    struct exp_published results;
};
bool exp_study_run(const struct exp_study *s, const char *raw_dir, bool fit, struct exp_study_result *out,
                   struct sim_status *st);
void exp_study_result_fini(struct exp_study_result *r);

void exp_study_print(const struct exp_study *s, const struct exp_study_result *r);
json_t *exp_study_json(const struct exp_study *s, const struct exp_study_result *r);

#endif
