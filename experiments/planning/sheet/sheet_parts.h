/* What the files of the decision sheet share: where it goes, in which language, and how figures are written: money as
 * 53,300 or 1.92M, shares in percent, "?" for what is not known. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SHEET_SHEET_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_SHEET_SHEET_PARTS_H

#include "experiments/planning/sheet/facts.h"
#include "experiments/page.h"

struct exp_sheet {
    const struct exp_decision *d;
    const struct exp_decision_row *best; /* NULL = none */
    enum exp_language language;
    bool all;
    struct exp_page page;
    struct sim_arena *arena; /* of every text */
};
void exp_sheet_init(struct exp_sheet *s, const struct exp_decision *d, const struct exp_sheet_options *o,
                    FILE *out);
void exp_sheet_fini(struct exp_sheet *s);

/* ---- texts; all the arena's ---- */

const char *exp_say(const struct exp_sheet *s, enum exp_phrase phrase);
const char *exp_say_args(const struct exp_sheet *s, enum exp_phrase phrase, const char *const *args);
#define EXP_SAY(s, phrase, ...) exp_say_args(s, EXP_SAY_##phrase, (const char *const[]){__VA_ARGS__, NULL})

const char *exp_say_money(const struct exp_sheet *s, double value);   /* 0.31, 53,300, 1.92M */
const char *exp_say_percent(const struct exp_sheet *s, double frac);  /* 0.9%, 71%; 0 for nothing at all */
const char *exp_say_attained(const struct exp_sheet *s, double frac); /* 99.41, never rounded up */
const char *exp_say_number(const struct exp_sheet *s, double value);  /* three digits */
const char *exp_say_count(const struct exp_sheet *s, double value);   /* 3,000 */
/* In the unit that `like` has: 0.56M beside 1.40M. */
const char *exp_say_money_like(const struct exp_sheet *s, double value, double like);
const char *exp_say_chance(const struct exp_sheet *s, double p); /* 0.93, >0.99 */
/* "have + h200-sxm TP 1 freekv" */
const char *exp_say_row(const struct exp_sheet *s, const struct exp_decision_row *row);
const char *exp_say_error(const struct exp_sheet *s, double log_sd); /* +-12 % */
/* {0} % of a share, without the sign, as it was typed: 60, 0.01 */
const char *exp_say_share(const struct exp_sheet *s, double frac);

/* ---- the sections beside sheet.c's own ---- */

/* sheet_details.c: page two as a whole */
void exp_sheet_details(const struct exp_sheet *s);
/* sheet_sure.c: the weakest number and the next step; what would change the answer; what to measure; the pilot */
void exp_sheet_weakest(const struct exp_sheet *s);
void exp_sheet_tornado(const struct exp_sheet *s);
void exp_sheet_measure(const struct exp_sheet *s);
void exp_sheet_pilot(const struct exp_sheet *s);
void exp_sheet_failsafe(const struct exp_sheet *s);
/* sheet_money.c */
void exp_sheet_references(const struct exp_sheet *s);
void exp_sheet_assumptions(const struct exp_sheet *s);
void exp_sheet_prices(const struct exp_sheet *s, bool sources);
/* sheet_orders.c: page two's money */
void exp_sheet_bill(const struct exp_sheet *s);
void exp_sheet_schedule(const struct exp_sheet *s);
void exp_sheet_costs(const struct exp_sheet *s);

#endif
