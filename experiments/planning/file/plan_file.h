/* A plan: what shall be served, what there is, what may be bought, and what money is worth. A table of keys in
 * plan_keys.c, as keys.c has one for scenarios: parsing, ranges, defaults, help, `kvsim init plan` and `--save` follow from a
 * row. Keys of a scenario (model, weights, engine, router, predictor, length_shift, measure, seed, slo, classes.NAME.slo and
 * the rules of classes; all of workload.* but closed loops under `load`) stand in a plan as they do there and go to `base`.
 * Paths are kept joined to the file's folder. About 350 KB: keep it on the heap. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_FILE_H
#define KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_FILE_H

#include "experiments/compare.h"
#include "experiments/scenario.h"
#include "models/quality.h"

#include <stdio.h>

enum { EXP_MAX_CHOICES = 16, EXP_MAX_HAVE = 8, EXP_DAY_HOURS = 24 };

/* What a class's answers are worth; its limits are the base scenario's. */
struct exp_plan_class {
    char name[EXP_NAME_BYTES];
    double cost_per_failure;  /* currency per newly failing answer */
    double cost_per_slo_miss; /* currency per request outside its limits */
    double churn_per_failure; /* share of failures that lose a customer ... */
    double customer_value;    /* ... who was worth so much */
    double max_failure_rate;  /* of all answers of the class; NaN = no limit */
};

/* Machines that there are. */
struct exp_plan_have {
    char gpu[EXP_NAME_BYTES];
    uint32_t servers, gpus_per_server;
    double host_gib;          /* a server; NaN = the default of models/host.c */
    char link[16];            /* "pcie4", ...; "" = the card's own */
    uint32_t tensor_parallel; /* today's; 0 = the smallest of search.tensor_parallel that fits */
};

enum exp_acquire { EXP_BUY, EXP_RENT, EXP_MIX, EXP_N_ACQUIRE };
const char *exp_acquire_name(enum exp_acquire a); /* "buy" */

/* A key that somebody gave, and where. */
enum { EXP_PLAN_PATH_BYTES = 96, EXP_PLAN_ORIGINS = 512 };
struct exp_plan_origin {
    char path[EXP_PLAN_PATH_BYTES]; /* "classes.gold.cost_per_failure", "have.0.gpu" */
    char option[24];                /* "--set"; "" = the file */
    uint32_t line;
};

struct exp_plan {
    char file[EXP_TEXT_BYTES]; /* "" = from options */
    struct exp_scenario *base; /* model, engine, load, classes; no fleet. Owned */

    /* load */
    double peak_to_mean; /* the trace, multiplied, is the peak; the year's mean is this much lower */
    double rate_curve[EXP_DAY_HOURS]; /* load by hour, any unit; instead of peak_to_mean */
    uint32_t n_rate_curve;            /* 0 or 24 */
    double growth_per_year;           /* 0.6: 1.6 times the load after a year */
    uint32_t horizon_months;

    struct exp_plan_class class[SIM_MAX_CLASSES]; /* in the order of exp_scenario_classes(base) */
    uint32_t n_classes;

    struct exp_plan_have have[EXP_MAX_HAVE];
    uint32_t n_have;

    struct exp_contender baseline; /* baseline.kv: {strategy: full} */
    char search_gpu[EXP_MAX_CHOICES][EXP_NAME_BYTES];
    uint32_t n_search_gpu;
    uint32_t tensor_parallel[EXP_MAX_CHOICES];
    uint32_t n_tensor_parallel;
    struct exp_contenders strategies; /* of search.strategy and the baseline */
    uint32_t gpus_per_server;         /* of what is bought */
    bool acquire[EXP_N_ACQUIRE];

    uint32_t spare_servers;
    double headroom; /* the fleet is sized for (1 + headroom) x the peak */
    bool robust;     /* the SLA holds with one server lost */

    double lead_time_months;
    bool bridge_rent; /* rent until what was ordered arrives; else the load waits for it */

    char currency[8];
    double exchange_rate;        /* currency per USD; 1 for USD */
    double discount_rate;        /* a year */
    char prices[EXP_TEXT_BYTES]; /* a file over those that ship; "" = none */

    char quality[EXP_TEXT_BYTES]; /* record; "" = the one that ships */
    struct mdl_task_mix task_mix; /* n 0 = as often as the record samples them */

    /* uncertainty: 90 % of what is expected lies within 1 / (1 + x) and 1 + x */
    double unsure_growth, unsure_capex, unsure_rent, unsure_power, unsure_failure_cost, unsure_length;
    double pilot_cost; /* currency; NaN = hours of an engineer, from the prices */

    struct exp_plan_origin origin[EXP_PLAN_ORIGINS]; /* the first so many that were given */
    uint32_t n_origins;
};

/* Reads a plan file; NULL with file:line in st. Free with exp_plan_free. */
struct exp_plan *exp_plan_load(const char *path, struct sim_status *st);
struct exp_plan *exp_plan_parse(const char *name, const char *text, size_t length, struct sim_status *st);
/* Every key at its default: no model and no load yet. */
struct exp_plan *exp_plan_new(void);
void exp_plan_free(struct exp_plan *p);

/* "path=value" as `--set` of a command line has it, or "path", "value". The plan is unchanged on failure. */
bool exp_plan_set(struct exp_plan *p, const char *path, const char *value, struct sim_status *st);
bool exp_plan_set_option(struct exp_plan *p, const char *option, struct sim_status *st);
/* The plain value of another option ("--ttft-ms"), which messages name; a list's entries are joined by commas. */
bool exp_plan_set_from(struct exp_plan *p, const char *option, const char *path, const char *value,
                       struct sim_status *st);

/* Did anybody give this key? And where: "plan.yaml:12", "--set", else the file, else "plan". */
bool exp_plan_given(const struct exp_plan *p, const char *path);
struct exp_where exp_plan_where(const struct exp_plan *p, const char *path);

/* What is missing or contradicts itself: model, load, limits, an empty search, a churn without a customer's value ...
 * Resolves GPU names and TP against the catalogue and fills what depends on it. */
bool exp_plan_check(struct exp_plan *p, struct exp_cache *cache, struct sim_status *st);

/* Every value that decides, one line each, with "(default)" behind what nobody gave. */
void exp_plan_print(const struct exp_plan *p, FILE *out);
/* A plan file that reads back to the same plan. */
void exp_plan_write(const struct exp_plan *p, FILE *out);
/* The commented file of `kvsim init plan`: runs unchanged on the trace that ships. */
void exp_plan_write_template(const char *trace, FILE *out);

/* ---- the year that follows from the load ---- */

/* Load over the planned peak, by hour of the day, 1 at the busiest: the rate curve, else ((1 + cos) / 2)^k with the k that
 * has the given peak_to_mean. */
void exp_plan_day(const struct exp_plan *p, double shape[EXP_DAY_HOURS]);

#endif
