/* What the tables of `kvsim quality` share: figures as text, names of rows. print.c has the totals and remarks,
 * print_details.c the tables by threshold and task, the worst cases, critical samples and the guard list. */
#ifndef KVSIM_EXPERIMENTS_QUALITY_PRINT_PARTS_H
#define KVSIM_EXPERIMENTS_QUALITY_PRINT_PARTS_H

#include "experiments/quality/grid.h"
#include "experiments/quality/study.h"

struct exp_quality_text {
    char at[48];
};

/* "12.3", "5.5", "0.26": percent of a fraction; "-" for NaN. */
struct exp_quality_text exp_quality_percent(double frac);

/* Of a set at the first theta, which most tables are of. */
static inline const struct exp_quality_case *exp_quality_first(const struct exp_quality_study *x,
                                                               uint32_t set)
{
    return exp_quality_at(x, set, 0);
}

static inline const struct exp_quality_count *exp_quality_all(const struct exp_quality_study *x, uint32_t set)
{
    return &exp_quality_first(x, set)->result.all;
}

/* With many sets, those that are columns are told apart by numbers, and rows show theirs. */
bool exp_quality_numbered(const struct exp_quality_study *x);
bool exp_quality_has_lengths(const struct exp_quality_study *x);
/* The set's name as the next cell. */
void exp_quality_put_label(struct exp_blocks *g, const struct exp_quality_study *x, uint32_t set);

void exp_quality_print_details(const struct exp_quality_study *x, uint32_t n_worst, FILE *out);

#endif
