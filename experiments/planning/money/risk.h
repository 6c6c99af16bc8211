/* How sure the money is: 10,000 draws (GSL) of what is not known (operator errors by profile and family, hit rates, output
 * lengths, growth, prices, cost of failures) through response and economy, no simulation. Every option sees the same draws,
 * and options that share a profile err together. From them P(saving > 0), 90 % intervals, a tornado whose bars are the
 * plain result of moving one input alone, and what knowing an input beforehand would be worth. Under 2 s; the same on any
 * number of threads. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_MONEY_RISK_H
#define KVSIM_EXPERIMENTS_PLANNING_MONEY_RISK_H

#include "experiments/planning/money/finalist.h"

enum { EXP_DRAWS = 10000 };

/* Inputs of the tornado: drivers first, of the option and of the baseline where both have the same unknown (one stream),
 * then what all share. */
enum exp_input {
    EXP_INPUT_DRIVER,
    EXP_INPUT_GROWTH = EXP_INPUT_DRIVER + EXP_N_DRIVERS,
    EXP_INPUT_CAPEX,
    EXP_INPUT_RENT,
    EXP_INPUT_POWER,
    EXP_INPUT_FAILURE_RATE,
    EXP_INPUT_FAILURE_COST, /* and of misses: what a buyer only guesses */
    EXP_INPUT_BASELINE,     /* drivers of the baseline that are not the option's own, all in one */
    EXP_N_INPUTS
};
const char *exp_input_name(int input); /* "decode attention kernels", "growth of the load" */
/* The same as `--set` would have it, where there is one key: "load.growth_per_year"; else NULL. */
const char *exp_input_key(int input);

/* What is compared: an economy with the response that moves it, or a baseline. */
struct exp_option {
    const struct exp_economy *economy;
    const struct exp_response *response; /* NULL = nothing of it is uncertain but what all share */
    double failure_lo, failure_hi;       /* 90 % of the newly failing share; NaN = not known */
    /* A pilot's findings take the place of what is drawn otherwise; NaN = none. */
    double measured_effort, measured_effort_sd; /* logs: equivalent load against predicted */
    double measured_length, measured_length_sd; /* logs, of the mean output length against predicted */
    uint64_t pilot_failures,
        pilot_answers; /* 0 answers = none: posterior of the failing share, Beta(k + 1/2, n - k + 1/2) */
};

/* Of one economy and its response; nothing measured, failures not known. */
struct exp_option exp_option_of(const struct exp_economy *economy, const struct exp_response *response);

struct exp_bar {
    int input;
    /* Of the input, 5 and 95 %: growth a year, share of answers that fail, else a factor on what is expected; of drivers,
     * above 1 is worse. */
    double low_value, high_value;
    double npv_low, npv_high; /* NPV with the input there and all others as expected */
    /* How far the NPV moves at most: between the ends, or from what is expected to one of them. */
    double reach;
    /* Expected value of perfect information of this input alone: what choosing among all options and the baseline gains
     * when it is known beforehand. Draws are binned by the input; each bin takes the option that is best in one half of
     * its draws and is judged on the other half, so that chance alone earns nothing. From 0 to all options' `perfect`. */
    double knowing;
};

struct exp_risk {
    uint32_t n_draws;
    double p_saving; /* P(NPV > 0) */
    struct exp_band npv, saving, cost_total,
        payback_months;               /* medians in mean; payback of draws that pay back */
    double p_payback;                 /* draws that pay back within the horizon, immediate ones included */
    struct exp_bar bar[EXP_N_INPUTS]; /* longest reach first */
    uint32_t n_bars;                  /* inputs that are not certain */
};

/* The world of draw k (UINT32_MAX = expected, with what a pilot measured) for an option. The failing share needs an economy
 * whose newly_failing is above 0: a world holds factors. */
struct exp_world exp_risk_world(const struct exp_plan *plan, const struct exp_option *o, uint64_t seed,
                                uint32_t k);
/* With one input at its quantile and all others as expected. */
struct exp_world exp_risk_world_at(const struct exp_plan *plan, const struct exp_option *o, int input,
                                   double quantile);
/* The baseline's world beside that: it moves with the inputs that it shares, and with its own. */
struct exp_world exp_risk_baseline_at(const struct exp_plan *plan, const struct exp_option *o,
                                      const struct exp_option *baseline, int input, double quantile);

/* risk [n]: of every option against the baseline. perfect: expected value of perfect information over all options,
 * E[max NPV] - max E[NPV], with the baseline (0) among them; never negative. Returns seconds. */
double exp_risk_run(const struct exp_plan *plan, const struct exp_option *options, uint32_t n,
                    const struct exp_option *baseline, uint64_t seed, uint32_t n_draws, uint32_t n_threads,
                    struct exp_risk *risk, double *perfect);

#endif
