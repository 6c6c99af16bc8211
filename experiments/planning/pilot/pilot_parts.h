/* What the files of a pilot share: the arms and their machines, measured requests, and the statistics that sample sizes and
 * errors come from. Requests that run side by side are slow together, so nothing here counts them as independent: errors are
 * bootstrapped over blocks of neighbours at least as long as the number in flight. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_PILOT_PILOT_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_PILOT_PILOT_PARTS_H

#include "experiments/planning/pilot/pilot.h"

enum exp_arm { EXP_ARM_BASELINE, EXP_ARM_CANDIDATE, EXP_N_ARMS };
const char *exp_arm_name(int arm); /* "baseline" */

/* ---- statistics: pilot_stats.c ---- */

/* A row per unit: a quantity of each of two things, e.g. measured and predicted TPOT of a request. */
struct exp_pairs {
    const double *a, *b;
    uint64_t n;
    uint64_t block; /* neighbours that are drawn together, >= 1 */
};
/* Log of sum a / sum b, and its standard deviation over 1,000 bootstrap draws of blocks. Needs sums above 0. */
double exp_log_ratio(const struct exp_pairs *p);
double exp_log_ratio_sd(const struct exp_pairs *p, uint64_t seed);

/* Neighbours of a block: at least those in flight, at most a tenth of all, and at most 200 blocks. */
uint64_t exp_pilot_block(uint64_t n, double in_flight);
/* Variance of a mean over that of as many independent values: 1 or more. */
double exp_inflation(const double *x, uint64_t n, uint64_t block);

/* Requests per arm with which a relative difference of two means is found at 5 % (two-sided) in 90 % of all pilots. The
 * two samples stand for what an arm sees; the candidate's is made larger by rel_error. paired: row i of both is the same
 * request. Bootstrap of the samples; above 20,000 requests the normal formula, which holds there. */
struct exp_power {
    const double *baseline, *candidate; /* values >= 0 with means above 0 */
    uint64_t n_baseline, n_candidate;   /* > 1; equal when paired */
    bool paired;
    double rel_error; /* > 0 */
    uint64_t seed;
};
uint64_t exp_power_requests(const struct exp_power *p);
uint64_t exp_power_formula(const struct exp_power *p); /* the normal one */

/* One-sided 95 % lower bound of a rate after k of n (Clopper-Pearson); 0 when n = 0. */
double exp_rate_lower(uint64_t k, uint64_t n);
/* Most failures of n that do not show with one-sided 95 % that the rate is above the limit. */
uint64_t exp_failures_allowed(uint64_t n, double limit);

/* ---- arms: pilot_arms.c ---- */

struct exp_arm_machines {
    struct exp_candidate candidate; /* without machines that there are; contender is `contender` below */
    struct exp_contender contender;
    uint32_t replicas;
    bool apart; /* candidate only: it does not run full KV, so that there is something to compare */
};
/* One replica of what the decision would deploy, and one of full KV on the same GPU, or, where full KV does not fit
 * there, on the baseline's. */
bool exp_pilot_arms(const struct exp_decision *d, struct exp_cache *cache,
                    struct exp_arm_machines arm[EXP_N_ARMS], struct sim_status *st);
/* What pilot.yaml beside a measured file changes; nothing when there is none. */
bool exp_pilot_arms_read(const char *measured_csv, struct exp_cache *cache,
                         struct exp_arm_machines arm[EXP_N_ARMS], struct sim_status *st);
/* The finalist that ran in an arm. NULL with one line in st. */
const struct exp_decision_row *exp_piloted_row(const struct exp_decision *d,
                                               const struct exp_arm_machines *arm, struct sim_status *st);
/* The arm as `kvsim run` would take it, with the plan's load; lengths NULL = as the plan says. Free with free(). */
struct exp_scenario *exp_arm_scenario(const struct exp_plan *plan, const struct exp_arm_machines *arm,
                                      struct sim_status *st);
/* What the steps of a pilot work with. */
struct exp_pilot_lab {
    const struct exp_plan *plan;
    struct exp_cache *cache;
    const struct exp_arm_machines *arm; /* [EXP_N_ARMS] */
};

/* Share of the plan's load that one replica of the deployed fleet serves. */
double exp_pilot_share(const struct exp_decision *d);

/* name in the folder of path: free with free(). */
char *exp_beside(const char *path, const char *name);

/* ---- sample sizes: pilot_sample.c ---- */

/* The arms simulated at the pilot's load, a value per request of it; NaN where it was not completed. */
struct exp_pilot_sample {
    double *tpot_s[EXP_N_ARMS], *tokens[EXP_N_ARMS]; /* tpot_s: NaN too with one token */
    uint16_t *slo_class;
    uint64_t n;
    double in_flight; /* of the candidate's arm, on average */
    uint64_t n_of_class[SIM_MAX_CLASSES];
    uint64_t seed;
};
bool exp_pilot_sample_init(struct exp_pilot_sample *s, const struct exp_pilot_lab *lab, double load_factor,
                           struct sim_status *st);
void exp_pilot_sample_fini(struct exp_pilot_sample *s);

/* Requests per arm that show a relative difference of mean TPOT, or of mean output length. class -1 = all; a class with
 * fewer than 30 is taken as all are. paired: both arms get the same requests, which helps
 * where it is known how lengths of the same request differ. */
uint64_t exp_pilot_latency_size(const struct exp_pilot_sample *s, int class, double rel_error);
uint64_t exp_pilot_length_size(const struct exp_pilot_sample *s, int class, double rel_error, bool paired);

/* ---- money: pilot_limits.c ---- */

struct exp_pilot_limits exp_pilot_limits_of(const struct exp_decision *d);
/* NPV against the baseline with steps and answers so many times as long and so many failing answers; NaN = as expected. */
double exp_pilot_npv(const struct exp_decision *d, double step_time, double length, double failing);

/* ---- measured: pilot_csv.c ---- */

struct exp_served {
    const char *id;
    uint64_t line;
    double arrival_s, ttft_s, tpot_s; /* from the arm's first arrival; NaN = never got its tokens */
    uint32_t input_tokens, output_tokens;
    uint16_t slo_class;
    bool completed, loads; /* loads: it was not rejected at once */
    bool one_token;        /* it has no TPOT */
    int8_t failed;         /* 0, 1; -1 = nobody said */
};
struct exp_measured_arm {
    struct exp_served *at; /* by arrival */
    uint64_t n;
};
/* Requests of both arms with the same id and prompt length that both completed. */
struct exp_served_pair {
    uint64_t of[EXP_N_ARMS];
};
struct exp_pilot_measured {
    struct exp_measured_arm arm[EXP_N_ARMS];
    struct exp_served_pair *pair; /* in the order of the candidate's arm */
    uint64_t n_pairs;
    struct sim_arena *strings;
};
/* both: the baseline's arm must be there too. False with file:line in st. Free with exp_pilot_csv_fini. */
bool exp_pilot_csv_read(const struct exp_plan *plan, const char *path, bool both,
                        struct exp_pilot_measured *out, struct sim_status *st);
void exp_pilot_csv_fini(struct exp_pilot_measured *m);
/* Is there a file with a row below its header, or one that cannot be read? */
bool exp_csv_has_rows(const char *path);

/* ---- predicted: pilot_predict.c ---- */

struct exp_prediction {
    double speed, speed_sd, ttft, ttft_sd;
};
bool exp_pilot_predict(const struct exp_pilot_lab *lab, const struct exp_pilot_measured *m, enum exp_arm arm,
                       struct exp_prediction *out, struct sim_status *st);

/* ---- failures: pilot_quality.c ---- */

struct exp_pilot_files {
    const char *scores, *critical; /* the latter may be missing */
};
bool exp_pilot_scores(const struct exp_pilot_lab *lab, const struct exp_pilot_measured *m,
                      const struct exp_pilot_files *files, struct exp_pilot_findings *out,
                      struct sim_status *st);
void exp_pilot_failed(const struct exp_pilot_measured *m, struct exp_pilot_findings *out);

/* ---- on paper: pilot_print.c ---- */

struct exp_page;
void exp_pilot_page(const struct exp_decision *d, const struct exp_pilot_plan *p,
                    const struct exp_page *page);

#endif
