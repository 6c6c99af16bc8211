/* Which parameters of a strategy are searched, and where: names as `--over` has them, ranges from the sources of
 * models/strategy.h unless given. */
#ifndef KVSIM_EXPERIMENTS_TUNING_PARAMETERS_H
#define KVSIM_EXPERIMENTS_TUNING_PARAMETERS_H

#include "experiments/scenario.h"
#include "models/published_rows.h"

enum {
    EXP_TUNE_KEYS = 6,
    EXP_TUNE_GRID = 12,
    EXP_TUNE_CANDIDATES = 512,
    EXP_TUNE_REPLICATIONS = 256,
    EXP_TUNE_LIMITS = 12
};

struct exp_tune_parameter {
    enum mdl_kv_key key;
    bool smooth;      /* a minimiser moves it within low..high; else it has the values below */
    bool listed;      /* values of the user's own */
    double low, high; /* searched */
    double usual;     /* in the scenario, or the strategy's default */
    uint32_t n;
    uint32_t n_scored, n_left_out; /* values of the record; more than are raced */
    double value[EXP_TUNE_GRID];   /* rising; of a smooth parameter: where its profile is looked at */
};

struct exp_tune_setting {
    double value[EXP_TUNE_KEYS]; /* in the order of the parameters; 0 beyond them */
};

/* From `budget,correction_tau=0..0.9,page=16/32`, or the strategy's usual ones when over is NULL. `fleet` is one that has
 * the strategy. Wrong usage in st: unknown names with the nearest one, ranges that are none, more settings than are raced,
 * a strategy without parameters. */
bool exp_tune_parameters(const struct exp_scenario *s, uint32_t fleet, const char *over,
                         struct exp_tune_parameter out[EXP_TUNE_KEYS], uint32_t *n, struct sim_status *st);

/* Where only settings count that were scored: values of other rows of the record take the place of a grid or a range that
 * holds them. */
bool exp_tune_take_scored(struct exp_tune_parameter *p, uint32_t n, const struct mdl_rows_aside *scored,
                          struct sim_status *st);

/* Every combination of the raced parameters, smooth ones as usual; the usual setting comes first. Returns how many;
 * out has room for EXP_TUNE_CANDIDATES. */
uint32_t exp_tune_grid(const struct exp_tune_parameter *p, uint32_t n, struct exp_tune_setting *out);

/* Anything that --over may name. */
bool exp_tune_has_parameters(const struct mdl_strategy *s);

/* The parameter's value as a scenario has it, a choice by its word. */
struct exp_tune_value {
    char text[32];
};
struct exp_tune_value exp_tune_value_text(enum mdl_kv_key key, double value);

/* A value of a smooth parameter within its range, rounded to a thousandth of the range or less: a decimal that can be typed. */
double exp_tune_rounded(const struct exp_tune_parameter *p, double value);

/* Is it one of a few, so that there is no range to widen? Widths in bits are. */
bool exp_tune_is_choice(enum mdl_kv_key key);

/* Does it change answers, so that only a quality limit keeps it from the end of its range? */
bool exp_tune_changes_answers(enum mdl_kv_key key);

#endif
