/* Small figures that follow from a decision's rows and that prints, JSON and CSV share: servers and GPUs, what a row's
 * attainment and evidence are, what to measure, and why a row is not the winner. Nothing here simulates or prices. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SHEET_FACTS_H
#define KVSIM_EXPERIMENTS_PLANNING_SHEET_FACTS_H

#include "experiments/planning/sheet/words.h"

/* Machines of a row at the planned peak, with headroom. */
struct exp_fleet_size {
    uint32_t servers;       /* bought or rented, spares included; those that there are not */
    uint32_t spare_servers; /* of these */
    uint32_t gpus;          /* of all servers, of those that there are too when they are kept */
    uint32_t have_servers;  /* kept */
    uint32_t bought;        /* servers over the whole horizon, spares included; 0 for losers */
    uint32_t last_month;    /* of the last delivery */
};
struct exp_fleet_size exp_fleet_size(const struct exp_decision *d, const struct exp_decision_row *row);

/* By the cheapest way to get it; NULL for losers. */
const struct exp_economy *exp_row_economy(const struct exp_decision_row *row);
const struct exp_cash *exp_row_cash(const struct exp_decision_row *row);
/* "buy", "rent" or "mix"; "keep" when nothing is added to what there is; "" for losers. */
const char *exp_row_way(const struct exp_decision_row *row);

/* Every class's service level is met: of finalists over replications, of others on the busiest stretch. */
bool exp_row_feasible(const struct exp_decision_row *row);
/* Shares of GPU time [SIM_N_EVIDENCE]. */
const double *exp_row_evidence(const struct exp_decision_row *row);
struct exp_band exp_row_ttft_p99_s(const struct exp_decision_row *row);
struct exp_band exp_row_tpot_p99_s(const struct exp_decision_row *row);

/* "8 x a100-80-sxm": the machines there are. The arena's, as all texts here. */
const char *exp_have_text(struct sim_arena *arena, const struct exp_plan *plan);
/* "h200-sxm", "have + h200-sxm" or "have", with the caller's word for what there is. */
const char *exp_row_gpu(struct sim_arena *arena, const struct exp_decision_row *row, const char *have);
/* "budget=1024:max_num_seqs=64": the strategy's settings and the engine's knobs; "" = none. */
const char *exp_row_settings(struct sim_arena *arena, const struct exp_decision_row *row);
/* "freekv:budget=1024" */
const char *exp_row_strategy(struct sim_arena *arena, const struct exp_decision_row *row);

/* Answers without a failure that show, with 95 % confidence, that no more fail than the strictest class allows: 3 / limit,
 * of a limit of 0, which no number of answers shows, 3 / EXP_LEAST_LIMIT; 0 = no class has a limit. */
#define EXP_LEAST_LIMIT 1e-6
uint64_t exp_critical_needed(const struct exp_plan *plan);
/* Critical samples of the winner, those of a pilot among them; 0 without a winner. */
struct exp_critical_count {
    uint64_t n, failures;
};
struct exp_critical_count exp_critical_count(const struct exp_decision *d);

/* What a pilot tried; the winner without one; NULL = none. */
const struct exp_decision_row *exp_row_tried(const struct exp_decision *d);

/* The driver that moves the load most by its own uncertainty; -1 = none does. */
int exp_weakest_driver(const struct exp_response *r);
/* The command that narrows an input of a row's tornado; NULL when it is a price or a demand. The arena's. */
const char *exp_measure_command(struct sim_arena *arena, const struct exp_decision *d,
                                const struct exp_decision_row *row, int input);
/* Whose tornado the answer hangs on: the winner's; where that is the baseline, whose NPV nothing moves, the next finalist's.
 * NULL = none. */
const struct exp_decision_row *exp_row_of_doubt(const struct exp_decision *d);
/* What to measure first: the input that can be measured and moves that row's NPV most, else its weakest driver; -1 = none. */
int exp_input_to_measure(const struct exp_decision *d);

/* Why a row is not the winner: row->why_not, or what exp_decision_why says, in the language. What the search says of those
 * that cannot be is English. The arena's. */
const char *exp_why(struct sim_arena *arena, const struct exp_decision *d, const struct exp_decision_row *row,
                    enum exp_language language);

/* printf into an arena. */
const char *exp_text(struct sim_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
