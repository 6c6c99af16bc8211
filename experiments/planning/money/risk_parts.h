/* Between the files of risk: an option's unknowns, ready to be drawn, and the world that follows from them. Every unknown
 * is a standard normal number z (0 = its median) of a named stream: draw k of a stream is a function of (seed, name, k),
 * so that options move together exactly where they share a name. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_MONEY_RISK_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_MONEY_RISK_PARTS_H

#include "experiments/planning/money/risk.h"

/* Answers that newly fail, as a function of z: from a quality record straight in log to either end of its interval; from a
 * pilot, the quantiles of the posterior at EXP_RATE_KNOTS equal steps of z, of which the middle one is 0. */
enum { EXP_RATE_KNOTS = 101 };
struct exp_rate_draw {
    double expected; /* share of answers */
    double log_sd_below, log_sd_above;
    double *log_quantile; /* [EXP_RATE_KNOTS]; own; NULL = by the record */
};

struct exp_sampler {
    const struct exp_option *option;
    uint64_t stream[EXP_N_INPUTS];
    double log_sd[EXP_N_INPUTS];      /* 0 = certain; of the failure rate any other number */
    double elasticity[EXP_N_DRIVERS]; /* of effort */
    double log_effort, log_length;    /* medians: 0, or what a pilot measured */
    double planned;                   /* as in struct exp_world */
    struct exp_rate_draw rate;
};

/* Free with exp_sampler_fini. */
void exp_sampler_init(struct exp_sampler *s, const struct exp_plan *plan, const struct exp_option *o);
void exp_sampler_fini(struct exp_sampler *s);

/* z of every input in draw k; 0 where it is certain. */
void exp_sampler_draw(const struct exp_sampler *s, uint64_t seed, uint32_t k, double z[EXP_N_INPUTS]);
double exp_sampler_z(const struct exp_sampler *s, int input, uint64_t seed, uint32_t k);

/* z NULL: as expected. An input that is NaN is as expected. */
struct exp_world exp_sampler_world(const struct exp_sampler *s, const double *z);
/* With one input at z and all others as expected. */
struct exp_world exp_sampler_world_at(const struct exp_sampler *s, int input, double z);
/* The input itself there, as bars print it. */
double exp_sampler_value(const struct exp_sampler *s, int input, double z);

/* Is an input of the option the very same unknown in the baseline? */
bool exp_sampler_shares(const struct exp_sampler *option, const struct exp_sampler *baseline, int input);
/* Standard deviation of the log of effort that the baseline does not share with the option. */
double exp_sampler_own_log_sd(const struct exp_sampler *baseline, const struct exp_sampler *option);
/* The same of a draw, in such deviations. */
double exp_sampler_own_z(const struct exp_sampler *baseline, const struct exp_sampler *option,
                         const double z[EXP_N_INPUTS]);
/* The baseline's world beside the option's, for EXP_INPUT_BASELINE too. */
struct exp_world exp_sampler_baseline_at(const struct exp_sampler *baseline, const struct exp_sampler *option,
                                         int input, double z);

#endif
