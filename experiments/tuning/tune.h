/* The best setting of a KV strategy for one load: its parameters searched for the most good requests per second, the
 * lowest cost of a good answer, or the highest load, under the scenario's service levels and, when asked, a limit on
 * answers that get worse. Every setting meets the same requests, seeds and operator errors. Whole numbers and choices are
 * raced (racing.c), continuous parameters minimised inside the survivors (minimiser.c). The same on any number of threads. */
#ifndef KVSIM_EXPERIMENTS_TUNING_TUNE_H
#define KVSIM_EXPERIMENTS_TUNING_TUNE_H

#include "experiments/replicate.h"
#include "experiments/tuning/shift.h"
#include "models/prices.h"

#include <stdio.h>

/* ---- what is asked ---- */

struct exp_tune_options {
    const char *strategy; /* NULL = the scenario's */
    enum exp_tune_objective objective;
    const char *over;     /* "budget,correction_tau=0..0.9,page=16/32"; NULL = the strategy's usual ones */
    double max_negatives; /* share of newly failing answers; NaN = no limit */
    uint32_t n_replications, n_threads;
    const char *rates; /* "0.1,0.3" for the comparison with the adaptive policy; NULL = documented defaults */
};

/* ---- what comes out ---- */

/* Shares of the objective. Settings closer than the one are not told apart; a gain smaller than the other leaves the
 * default where it is. */
#define EXP_TUNE_EQUAL 1e-3
#define EXP_TUNE_CLOSE 0.01

/* How the objective moves with one parameter, all others at the best setting. */
struct exp_tune_profile {
    uint32_t n;
    double value[EXP_TUNE_GRID + 1], objective[EXP_TUNE_GRID + 1]; /* by value; objective NaN = cannot run */
    bool close[EXP_TUNE_GRID +
               1]; /* within EXP_TUNE_CLOSE of the best objective, and as good by service levels */
    uint32_t at;   /* the best value */
};

struct exp_tune {
    char title[400], strategy[EXP_NAME_BYTES], currency[8];
    enum exp_tune_objective objective;
    double max_negatives;
    uint32_t n_replications, n_parameters;
    struct exp_tune_parameter parameter[EXP_TUNE_KEYS];

    struct exp_tune_book *book; /* every setting that was tried */
    const struct exp_tune_trial *usual,
        *best;                          /* best: of those not told apart from `found` the nearest to usual */
    const struct exp_tune_trial *found; /* the highest objective */
    bool meets;                         /* the best one, every service level on average */
    struct exp_tune_book *fresh;        /* the two of them in as many replications that chose nothing: ... */
    const struct exp_tune_trial *usual_again, *best_again;
    struct exp_band gain; /* ... over the usual setting there, a share of its objective */
    bool no_better;       /* the usual setting may be used, and 0 lies inside that or the gain is below
                             EXP_TUNE_CLOSE: it is kept */
    struct exp_tune_profile profile[EXP_TUNE_KEYS];
    uint32_t n_limits;
    char limit[EXP_TUNE_LIMITS][400]; /* which limits bind, and what holds without any */
    struct exp_notes notes;
    bool shifts; /* the strategy has kv.policy, so that the following was compared */
    struct exp_tune_shift shift;
    double wall_s;
};

/* False with one line in st when nothing can be searched. s has its --set and --trace done. Free with exp_tune_fini. */
bool exp_tune_run(const struct exp_scenario *s, struct exp_cache *cache,
                  const struct exp_tune_options *options, struct exp_tune *out, struct sim_status *st);
void exp_tune_fini(struct exp_tune *t);

/* What the command advises: the best setting, or the usual one that is kept. */
const struct exp_tune_trial *exp_tune_advice(const struct exp_tune *t);

/* "goodput" and its unit "good requests/s". */
const char *exp_tune_objective_name(enum exp_tune_objective o);
struct exp_words exp_tune_unit(const struct exp_tune *t);

/* A value of the objective in its own direction and unit: of cost, that of 1,000 good answers; infinite without any. */
double exp_tune_shown(enum exp_tune_objective o, double value);
struct exp_band exp_tune_shown_band(enum exp_tune_objective o, struct exp_band values);
/* Of a trial. A cost is all rent over all good answers, not a mean of quotients. */
struct exp_band exp_tune_band(const struct exp_tune *t, const struct exp_tune_trial *trial);

void exp_tune_print(const struct exp_tune *t, FILE *out);
json_t *exp_tune_json(const struct exp_tune *t);                                       /* the caller's */
bool exp_tune_write(const struct exp_tune *t, const char *dir, struct sim_status *st); /* tune.json */

#endif
