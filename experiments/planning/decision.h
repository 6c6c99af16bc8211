/* The whole of `kvsim plan`: from a plan file to everything that the decision sheet, plan.json, plan.csv and the report say.
 * One struct of results, filled step by step (search, finalists, money, risk), read by the printers, which compute
 * nothing. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_DECISION_H
#define KVSIM_EXPERIMENTS_PLANNING_DECISION_H

#include "experiments/planning/money/risk.h"
#include "experiments/report/words.h"

struct exp_pilot_findings;

enum exp_check_state { EXP_PASS, EXP_FAIL, EXP_UNKNOWN };

/* One row of the table: a finalist by its cheapest way to get it. */
struct exp_decision_row {
    const struct exp_finalist *finalist;
    const struct exp_entry *entry; /* of a loser too, for which finalist is NULL */
    struct exp_return returns;     /* against the baseline */
    struct exp_unit_costs unit;
    struct exp_risk risk;
    double unmeasured_frac;      /* extrapolated, transferred or analytic GPU time */
    bool measure_first;          /* above 0.3 */
    char why_not[EXP_WHY_BYTES]; /* against the winner: "+8 GPUs: KV memory" */
};

struct exp_reference_line {
    const char *name; /* "do nothing", "managed API" */
    bool known;
    struct exp_cash cash;
    struct exp_return returns;
    double attainment;      /* do nothing: of today's fleet at the planned peak; NaN */
    double break_even_load; /* API: the load, over today's, above which the winner is cheaper */
};

struct exp_decision {
    const struct exp_plan *plan;
    const struct mdl_prices *prices;
    struct exp_search search;
    struct exp_finalist *finalist; /* [n_finalists], the baseline's among them */
    uint32_t n_finalists;
    struct exp_option *option; /* [n_finalists], as risk.h wants them */
    struct exp_option baseline_option;
    struct exp_decision_row *row; /* ranked by total cost, then by cost per 1,000 good answers */
    uint32_t n_rows;              /* finalists, then everybody else of the search */
    uint32_t best;                /* UINT32_MAX = nothing feasible */
    uint32_t best_measured;       /* the best below the share of unmeasured time; UINT32_MAX = none */
    struct exp_economy baseline_economy;
    struct exp_cash baseline_cash;
    struct exp_reference_line reference[2];
    double perfect_information; /* currency */
    double pilot_cost;
    double attainment_today; /* of the machines that there are, alone at the planned peak; NaN without */
    double requests_per_s_today, requests_per_s_needed, requests_per_s_predicted;
    enum exp_check_state check_throughput, check_sla, check_critical, check_payback;
    struct exp_notes notes; /* old prices, assumed values, answers that were never scored ... */
    const struct exp_pilot_findings *pilot; /* NULL = none yet */
    double npv_before, p_saving_before;     /* with a pilot: without it; NaN */
    double wall_s, search_s, verify_s, response_s, risk_s;
    uint64_t n_runs;
};

struct exp_decision_options {
    uint32_t n_threads;
    bool deep; /* engine knobs and strategy parameters too */
};

/* False only when the plan is wrong; nothing feasible is an answer. Free with exp_decision_fini. */
bool exp_decide(const struct exp_plan *plan, const struct mdl_prices *prices, struct exp_cache *cache,
                const struct exp_decision_options *options, struct exp_decision *out, struct sim_status *st);
void exp_decision_fini(struct exp_decision *d);

/* Puts a pilot's findings in the place of what was assumed of the winner, and of full KV; rows, checks and risk are made
 * again, nothing is simulated. d->npv_before and p_saving_before keep what was. */
void exp_decision_take_pilot(struct exp_decision *d, const struct exp_pilot_findings *findings,
                             uint32_t n_threads);

/* Why a row is not the winner, from the two rows: "+8 GPUs: KV memory". Of a loser what the search says; "" for the winner. */
void exp_decision_why(const struct exp_decision *d, const struct exp_decision_row *row, char *out,
                      size_t size);

/* ---- what comes out: sheet*.c, decision_out.c ---- */

struct exp_sheet_options {
    enum exp_language language;
    bool all; /* the losers too */
    bool markdown;
    bool bold; /* escape codes on a terminal */
};
/* The decision sheet: 80 columns, readable without colour. Page two, for the integrator, is exp_sheet_print_details. */
void exp_sheet_print(const struct exp_decision *d, const struct exp_sheet_options *o, FILE *out);
void exp_sheet_print_details(const struct exp_decision *d, const struct exp_sheet_options *o, FILE *out);

/* The same as parts of a report: what is decided and what it hangs on; losers, assumptions, prices and notes; page two.
 * section: what exp_doc_languages gives for the language. */
enum exp_sheet_piece { EXP_SHEET_DECISION, EXP_SHEET_REST, EXP_SHEET_DETAILS };
void exp_sheet_parts(const struct exp_decision *d, enum exp_language language, enum exp_sheet_piece piece,
                     json_t *section);

/* {"candidates": [...], "best": {...}, ...} as design.md has it. The caller's. */
json_t *exp_decision_json(const struct exp_decision *d);
void exp_decision_csv(const struct exp_decision *d, FILE *out);
/* decision.md, plan.json, plan.csv, plan.yaml (every value that was used), report.json, report.html and scenario.yaml (the
 * winner, for `kvsim run`): all of them or none. */
bool exp_decision_write(const struct exp_decision *d, enum exp_language language, const char *dir,
                        struct sim_status *st);

/* ---- `plan --max-load`: how much traffic does what there is carry ---- */

struct exp_max_load_row {
    char strategy[EXP_LABEL_BYTES];
    uint32_t tensor_parallel;    /* of the first kind of machines, the best of search.tensor_parallel */
    char why_not[EXP_WHY_BYTES]; /* "" = it runs */
    double factor;               /* largest load over the plan's that is feasible, within 1 % */
    double requests_per_s;
    struct exp_verdict at;           /* there */
    char limit[EXP_NAME_BYTES + 16]; /* what breaks first: "TPOT of class default"; "" = nothing was found */
};
struct exp_max_load {
    struct exp_max_load_row row[EXP_MAX_CONTENDERS]; /* the largest load first */
    uint32_t n_rows;
    double planned_requests_per_s; /* factor 1 */
    uint32_t n_classes;
    char class[SIM_MAX_CLASSES][EXP_NAME_BYTES];
};
/* Of the machines under `have`, for every strategy of the search; less a server when the plan is `robust`. Feasible on the
 * busiest stretch, then on the whole trace. About 100 KB.
 * loads: those of the plan; others are made on the way and let go. False without `have`. */
bool exp_max_load_run(const struct exp_plan *plan, struct exp_cache *cache, struct exp_loads *loads,
                      uint32_t n_threads, struct exp_max_load *out, struct sim_status *st);
void exp_max_load_print(const struct exp_plan *plan, const struct exp_max_load *m, FILE *out);
json_t *exp_max_load_json(const struct exp_max_load *m);

#endif
