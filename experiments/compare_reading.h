/* What the two halves of the reading share: compare_reading.c says what limits full and who wins, compare_losers.c why
 * the others do not. Each statement is a function of the rows of a study, printed into one line of text. */
#ifndef KVSIM_EXPERIMENTS_COMPARE_READING_H
#define KVSIM_EXPERIMENTS_COMPARE_READING_H

#include "experiments/cli.h"
#include "experiments/compare.h"

#define EXP_NOTABLE 0.02 /* a difference that is worth a word, of throughput or latency */

struct exp_reader {
    const struct exp_compare *c;
    const struct exp_compare_row *full; /* NULL: it did not run */
    enum exp_column output;             /* what counts as output: baseline tokens when lengths shift */
    bool of_speed;                      /* nothing on answers */
    FILE *out;
};

static inline double exp_mean(const struct exp_compare_row *r, enum exp_column c)
{
    return r->value[c].mean;
}

static inline double exp_percent(const struct exp_compare_row *r, enum exp_column c)
{
    return 100 * r->value[c].mean;
}

static inline bool exp_ran(const struct exp_compare_row *r)
{
    return !r->why_not[0];
}

/* It ran, and completes about what full does. */
bool exp_reader_completes(const struct exp_reader *x, const struct exp_compare_row *r);
/* Its output or its latency is clearly better than full's. */
bool exp_reader_wins(const struct exp_reader *x, const struct exp_compare_row *r);
bool exp_reader_memory_bound(const struct exp_compare_row *full);

/* Milliseconds as people say them. */
struct exp_words exp_ms_words(double ms);
/* "+12 %", and 0 without a sign. */
void exp_reader_signed(const struct exp_reader *x, double frac);
/* The same of a row's mean E2EL against full's. */
void exp_reader_e2el(const struct exp_reader *x, const struct exp_compare_row *r);

/* Rows, from the largest figure on. */
struct exp_names {
    uint32_t row[EXP_MAX_CONTENDERS];
    double figure[EXP_MAX_CONTENDERS];
    uint32_t n;
};
void exp_names_add(struct exp_names *names, uint32_t row, double figure);
/* "freekv (FIGURES), arkvale (FIGURES) and 3 more"; figures may be NULL. */
void exp_reader_names(const struct exp_reader *x, const struct exp_names *names,
                      void (*figures)(const struct exp_reader *x, const struct exp_compare_row *r));

/* compare_losers.c: what the others pay with, who leaves requests undone, who does not keep up. */
void exp_reader_losers(const struct exp_reader *x);

#endif
