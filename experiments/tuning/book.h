/* Settings and what they do: every setting that was tried, with one sample per replication. A sample is a function of the
 * setting and the replication's number alone: seed and errors are the same for all settings, so that differences between
 * two of them are taken pair by pair. None is computed twice. */
#ifndef KVSIM_EXPERIMENTS_TUNING_BOOK_H
#define KVSIM_EXPERIMENTS_TUNING_BOOK_H

#include "experiments/cli.h"
#include "experiments/replicate.h"
#include "experiments/tuning/parameters.h"
#include "models/prices.h"

/* Doublings of the scenario's load that are tried, up and down. */
enum { EXP_TUNE_DOUBLINGS = 6 };

enum exp_tune_objective { EXP_TUNE_GOODPUT, EXP_TUNE_COST, EXP_TUNE_LOAD };

struct exp_tune_sample {
    double value; /* of the objective, larger is better; of cost: good answers per unit of money */
    double
        margin; /* of the class that is nearest to its limit: share attained less share asked; >= 0 = met */
    double attained; /* that class's share */
    double tpot_s;   /* mean */
};

enum exp_tune_fate { EXP_TUNE_IN, EXP_TUNE_DROPPED, EXP_TUNE_CANNOT, EXP_TUNE_REFUSED };

struct exp_tune_trial {
    struct exp_tune_setting setting;
    enum exp_tune_fate fate;
    bool raced;                     /* a candidate of the grid; else found by the minimiser, or on the way */
    bool usual;                     /* sampled although it is refused, so that others can be set beside it */
    char why[512];                  /* it cannot run, or is refused for its answers; ... */
    enum sim_exit code;             /* ... as `kvsim run` would answer */
    uint32_t n;                     /* samples */
    uint32_t dropped_after;         /* of them */
    struct exp_tune_sample *sample; /* n */
    double newly_failing;           /* share of answers; NaN = never scored */
    char quality_source[256];
    struct exp_scenario *scenario;
    struct exp_setup *setup; /* as the profiles say: for errors and prices */
};

/* What all settings share. */
struct exp_tune_task {
    const struct exp_scenario *base;
    struct exp_cache *cache;
    const struct exp_tune_parameter *parameter;
    uint32_t n_parameters;
    int strategy; /* parameters are set on fleets that have it */
    enum exp_tune_objective objective;
    double max_negatives, cost_per_hour; /* NaN = no limit; 0 = not asked */
    uint32_t first;                      /* replication: those before it chose the settings */
    uint32_t n_threads;
};

struct exp_tune_book;
struct exp_tune_book *exp_tune_book_new(const struct exp_tune_task *task);
void exp_tune_book_free(struct exp_tune_book *b);

/* The trial of a setting; made, without samples, when it is new. Lives as long as the book. */
struct exp_tune_trial *exp_tune_book_at(struct exp_tune_book *b, const struct exp_tune_setting *s);
uint32_t exp_tune_book_count(const struct exp_tune_book *b);
struct exp_tune_trial *exp_tune_book_trial(const struct exp_tune_book *b, uint32_t i);

/* At least n samples of each of these trials, those that cannot run aside. */
void exp_tune_book_fill(struct exp_tune_book *b, struct exp_tune_trial *const *trials, uint32_t n_trials,
                        uint32_t n);

double exp_tune_mean(const struct exp_tune_trial *t);        /* of values; NaN without samples */
double exp_tune_mean_margin(const struct exp_tune_trial *t); /* likewise */
double exp_tune_attained(const struct exp_tune_trial *t);    /* likewise */
uint32_t exp_tune_met_in(const struct exp_tune_trial *t);    /* replications that meet every service level */
bool exp_tune_meets(const struct exp_tune_trial *t);         /* every service level, on average */
/* Samples, and nothing against it. */
bool exp_tune_usable(const struct exp_tune_trial *t);
/* Is a better than b? One that is not usable never is; one that meets the service levels always is; of two that do not, the
 * one nearer to them. */
bool exp_tune_better(const struct exp_tune_trial *a, const struct exp_tune_trial *b);

/* Mean and 5 to 95 % of n numbers. */
struct exp_band exp_tune_band_of(const double *values, uint32_t n);
/* Of a's values less b's, pair by pair, over the size of b's mean. */
struct exp_band exp_tune_gain(const struct exp_tune_trial *a, const struct exp_tune_trial *b);

/* ---- objective.c ---- */

/* Renting every fleet of the scenario, in the prices' currency; false with one line in st when nobody rents a card out. */
bool exp_tune_rent(const struct exp_scenario *s, struct exp_cache *cache, const struct mdl_prices *prices,
                   double *per_hour, struct sim_status *st);
/* Replication k of a trial. False with one line in st. */
bool exp_tune_sample(const struct exp_tune_task *task, const struct exp_tune_trial *trial, uint32_t k,
                     struct exp_tune_sample *out, struct sim_status *st);

#endif
