/* When to use what: for every combination of a study's named keys that vary (model, trace, GPU ...) the strategy with the
 * highest score (requests within their limits per unit of cost; per GPU where prices are missing) among the points that meet
 * the service levels, over the load and whatever else varies; how far it is ahead of the second and of full KV, and on what
 * the number rests. Within 2 % of each other two strategies are tied. Of equal scores the one that the study names first.
 * Beside it the one that serves most good answers: within their limits and not newly failing, among strategies whose answers
 * were scored. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_STUDY_WINNERS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_STUDY_WINNERS_H

#include "experiments/report/of_study_rows.h"

/* A combination: a value of each cell column. */
struct exp_winner {
    uint64_t n, n_met;                  /* points that count */
    const struct exp_study_entry **row; /* [n], by index */
    const struct exp_study_entry *
        *best;         /* [n_strategies]: the best point that meets the service levels; NULL = none does */
    int first, second; /* strategies; -1 = none */
    double score, margin,
        over_full; /* of the first; over the second, over full: 0.12 = 12 % more; NaN = no such */
    bool tied;
    int good; /* strategy with the highest score times (1 - newly failing); -1 = none was scored */
    double good_score, good_over_full;
};

struct exp_winners {
    const struct exp_study_rows *rows;
    enum exp_study_basis basis;
    uint32_t n_columns;
    uint32_t column[EXP_STUDY_MAX_AXES]; /* of the rows: what makes a cell */
    uint32_t n_strategies;               /* values of rows->strategy; 1 when nothing is compared */
    uint32_t n;
    struct exp_winner *winner; /* in the order of the values */
    const struct exp_study_entry **row;
};

/* Free with exp_winners_free, before the rows. */
struct exp_winners *exp_winners_of(const struct exp_study_rows *rows);
void exp_winners_free(struct exp_winners *w);

/* "llama-3.1-8b, h100-sxm"; "" when nothing but the strategy varies. The rows' arena's. */
const char *exp_winner_cell(const struct exp_winners *w, const struct exp_winner *of);
/* What a strategy is called; "all points" when nothing is compared. */
const char *exp_winner_strategy(const struct exp_winners *w, int strategy);
/* Bits of the columns that neither make a cell nor are the strategy: what a point of a cell is told apart by. */
uint32_t exp_winner_columns(const struct exp_winners *w);
/* Of a row. */
int exp_winner_strategy_of(const struct exp_winners *w, const struct exp_study_entry *row);

/* The table, a row for each combination, as a part of a document. */
void exp_winners_put(json_t *section, const struct exp_winners *w);
#endif
