/* Between the files of a plan's report: the decision, and how its rows are called. Everything drawn is a number that the
 * decision holds; nothing is simulated or priced here. */
#ifndef KVSIM_EXPERIMENTS_REPORT_OF_PLAN_PARTS_H
#define KVSIM_EXPERIMENTS_REPORT_OF_PLAN_PARTS_H

#include "experiments/planning/sheet/facts.h"
#include "experiments/report/doc.h"

struct exp_plan_report {
    json_t *doc;
    const struct exp_decision *d;
    struct sim_arena *arena; /* of every text */
};

/* Rows of the decision's table that are finalists come first; how many. */
uint32_t exp_plan_report_n(const struct exp_plan_report *r);
/* "1 h200-sxm TP 1 freekv:budget=1024": with the number that the sheet's table gives it. */
const char *exp_plan_report_name(const struct exp_plan_report *r, uint32_t row);

/* of_plan_load.c: service levels, latency, memory and links against load */
void exp_plan_report_load(const struct exp_plan_report *r);
/* of_plan_money.c: totals with intervals, cash by month, what it is made of, cost against latency, the tornado */
void exp_plan_report_money(const struct exp_plan_report *r);
void exp_plan_report_tornado(const struct exp_plan_report *r);
/* of_plan_sure.c: where the time goes, failing answers, evidence */
void exp_plan_report_time(const struct exp_plan_report *r);
void exp_plan_report_quality(const struct exp_plan_report *r);
void exp_plan_report_evidence(const struct exp_plan_report *r);

#endif
