/* `policy: adaptive` beside static settings when the rates of a speculative strategy change half-way through the load: in
 * the first half the policy knows the rates; in the second it goes by the old ones until it has learnt the new ones
 * (kv.later.learn_s). Settings are told apart by the objective, and by time per token where that is as good as equal. */
#ifndef KVSIM_EXPERIMENTS_TUNING_SHIFT_H
#define KVSIM_EXPERIMENTS_TUNING_SHIFT_H

#include "experiments/tuning/book.h"

enum { EXP_TUNE_STATICS = 8 };

struct exp_tune_rates {
    double miss, correction; /* correction NaN = as correction_tau says */
};

/* A setting of the policy, and what the load is like with the change, and with rates that stay. */
struct exp_tune_static {
    double prefetch_pages;              /* of a static one */
    struct exp_band objective;          /* larger is better: a cost is negative */
    struct exp_band tpot_s;             /* mean time per output token */
    double mean_before, mean_after;     /* of the objective, and ... */
    double tpot_before_s, tpot_after_s; /* ... of the time, with the rates before or after throughout */
    char why[400];                      /* it cannot run; nothing else holds then */
};

struct exp_tune_shift {
    struct exp_tune_rates before, after;
    enum exp_tune_objective objective; /* as asked; goodput for `load`, which has no half */
    double from_s,
        learn_s; /* the change after the first arrival, and how long the policy goes on as before */
    struct exp_tune_static adaptive, fixed[EXP_TUNE_STATICS];
    uint32_t n_fixed, best, best_before, best_after; /* static: with the change; with rates that stay */
    struct exp_band gain,
        tpot_gain; /* of adaptive over the best static setting, shares of its own; more is better */
    char why[512]; /* nothing was compared; "" = it was */
};

/* "0.1,0.3" or "0.1/0.37,0.3/0.89": miss rate, and correction rate behind it; NULL = the defaults, below. */
bool exp_tune_rates_parse(const char *text, struct exp_tune_rates *before, struct exp_tune_rates *after,
                          struct sim_status *st);
/* Pages missed where as many are cached as selected (ArkVale, Fig. 4b: 0.11), and over the longest runs of a reasoning
 * model (R1-Distill-Llama-8B on AIME: 0.30 to 0.37): from prompts that are read to answers that are thought about. */
#define EXP_TUNE_MISS_BEFORE 0.10
#define EXP_TUNE_MISS_AFTER  0.37

#endif
