/* A pilot: what to measure before money is spent, and what its measurements change. `kvsim pilot` writes stages, sample
 * sizes, stop rules and templates; `kvsim plan --pilot` reads the requests that were served (one row each, both arms) and,
 * with --scores, their scores, replays them in the simulator on the pilot's own machines, and replaces assumed speed, length
 * shift and failure rate by measured ones with their errors. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_PILOT_PILOT_H
#define KVSIM_EXPERIMENTS_PLANNING_PILOT_PILOT_H

#include "experiments/planning/decision.h"

/* What a pilot tries: the cheapest finalist, even when it cannot be recommended because its answers were never scored, which
 * is what a pilot is for. NULL = nothing meets the service levels. */
const struct exp_decision_row *exp_pilot_row(const struct exp_decision *d);

/* ---- before ---- */

/* What turns the saving into a loss, one thing alone, everything else as expected. NaN = NPV is not above 0 as it is;
 * infinity = nothing that is looked at (4 x; every answer). */
struct exp_pilot_limits {
    double step_time; /* steps so many times as long */
    double length;    /* answers so many times as long as predicted */
    double failing;   /* newly failing answers, of all */
};

/* What a pilot must measure; sizes per arm. */
struct exp_pilot_stage {
    char name[48], class[EXP_NAME_BYTES];    /* class "" = all of them */
    double traffic_frac;                     /* of its class, to each arm */
    uint64_t n_latency, n_length, n_quality; /* requests or answers needed */
    uint64_t failures_allowed;
    double hours;
};
struct exp_pilot_plan {
    char arm[2][EXP_LABEL_BYTES]; /* full KV, candidate: "h200-sxm TP 1, freekv" */
    bool apart;         /* they differ; else the winner runs full KV, and its speed alone is measured */
    double load_factor; /* of an arm, over the plan's load */
    struct exp_pilot_stage stage[SIM_MAX_CLASSES + 1]; /* a shadow first: copies whose answers nobody sees */
    uint32_t n_stages;
    uint64_t n_critical;      /* ceil(3 / max_failure_rate) with 0 failures; 0 = no class has a limit */
    double latency_rel_error; /* that the sample size detects, 90 % power at 5 % */
    double length_rel_error;  /* likewise */
    struct exp_pilot_limits limits;
    double length_ratio_max; /* of candidate to full KV; infinity = none, NaN without a comparison */
    double hours;            /* at the plan's mean rate and the traffic shares */
    double cost;             /* an engineer's hours and the arms' machines; NaN = not priced */
};
bool exp_pilot_make(const struct exp_decision *d, struct exp_cache *cache, struct exp_pilot_plan *out,
                    struct sim_status *st);

/* One screen: arms, stages, stop rules; bold: escape codes around headings. */
void exp_pilot_print(const struct exp_decision *d, const struct exp_pilot_plan *p, bool bold, FILE *out);
json_t *exp_pilot_json(const struct exp_decision *d, const struct exp_pilot_plan *p); /* the caller's */

/* Makes the folder; fails when nothing can be written there or somebody has filled in a template. */
bool exp_pilot_prepare(const char *dir, struct sim_status *st);
/* pilot.md, pilot.yaml, measured.csv (a commented template), critical.csv (likewise), scenario-baseline.yaml and
 * scenario-candidate.yaml: all or none. */
bool exp_pilot_write(const struct exp_decision *d, const struct exp_pilot_plan *p, struct exp_cache *cache,
                     const char *dir, struct sim_status *st);

/* ---- after ---- */

/* A class in the candidate's arm. */
struct exp_pilot_class {
    uint64_t requests, good; /* that arrived; within the limits of their class */
    uint64_t answers, failures;
};

/* Measured: CSV, a row per request: arm (baseline | candidate), request_id, slo_class, arrival_s, input_tokens,
 * output_tokens, ttft_ms or ttft_s, tpot_ms or tpot_s, failed (0 | 1, optional). The columns that `kvsim run --out` writes
 * are understood, others are left alone. pilot.yaml beside it says which machines the arms were, where they were not one
 * replica each on the candidate's GPU; critical.csv beside it lists critical cases. Errors are of one standard deviation. */
struct exp_pilot_findings {
    uint64_t n_baseline, n_candidate, n_paired;
    char candidate[EXP_LABEL_BYTES]; /* the finalist that was tried, as exp_candidate_label has it */
    double speed,
        speed_sd; /* log of the factor on every step's time with which the replayed requests have the candidate's measured
                     mean TPOT: equivalent load against predicted; and its error */
    double ttft, ttft_sd;                     /* log of measured over predicted mean TTFT */
    double baseline_speed, baseline_speed_sd; /* as speed, of full KV; NaN where it ran on another GPU */
    double length,
        length_sd; /* log of the ratio of mean output lengths, candidate to baseline; NaN when both run full KV */
    uint64_t answers,
        failures; /* of the candidate: from --scores, else from `failed`; 0 answers = not measured */
    uint64_t critical, critical_failures;
    struct exp_pilot_class class[SIM_MAX_CLASSES]; /* in the order of the plan's */
    char file[EXP_TEXT_BYTES];
};
/* before: the decision without the pilot, for what was predicted. scores_csv may be NULL. False with file:line in st. */
bool exp_pilot_read(const struct exp_decision *before, struct exp_cache *cache, const char *measured_csv,
                    const char *scores_csv, struct exp_pilot_findings *out, struct sim_status *st);

enum exp_verdict_word { EXP_GO, EXP_EXTEND, EXP_STOP };
const char *exp_verdict_name(enum exp_verdict_word v); /* "go" */
/* go: P(saving > 0) >= 0.9, every class's SLA met, no failure beyond its limit; stop: P <= 0.5 or a limit is broken for sure
 * (one-sided 95 %); else extend. why: one line. */
enum exp_verdict_word exp_pilot_verdict(const struct exp_decision *after, char *why, uint32_t size);

#endif
