#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/sheet/facts.h"
#include "sim/memory.h"

static const double GO = 0.9, STOP = 0.5, CONFIDENCE = 0.95;

const char *exp_verdict_name(enum exp_verdict_word v)
{
    static const char *const names[] = {"go", "extend", "stop"};
    return names[v];
}

struct judge {
    const struct exp_decision *d;
    const struct exp_pilot_findings *f;
    const struct exp_decision_row *row; /* of what was tried */
    enum exp_verdict_word word;
    char *why;
    size_t size, used;
};

/* The worst word wins, and only its reasons are told. */
static void say(struct judge *j, enum exp_verdict_word word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct judge *j, enum exp_verdict_word word, const char *format, ...)
{
    va_list args;
    if (word < j->word) return;
    if (word > j->word) j->used = 0;
    j->word = word;
    if (j->used >= j->size) return;
    int n = snprintf(j->why + j->used, j->size - j->used, "%s", j->used ? "; " : "");
    j->used += n > 0 ? (size_t)n : 0;
    if (j->used >= j->size) return;
    va_start(args, format);
    n = vsnprintf(j->why + j->used, j->size - j->used, format, args);
    va_end(args);
    j->used += n > 0 ? (size_t)n : 0;
}

static void judge_money(struct judge *j)
{
    double p = j->row->risk.p_saving;
    enum exp_verdict_word word = p >= GO ? EXP_GO : p > STOP ? EXP_EXTEND : EXP_STOP;
    if (isnan(p)) {
        say(j, EXP_EXTEND, "nothing to save against: no fleet with the baseline meets the service levels");
        return;
    }
    /* 0.8996 is no 0.90 where 0.9 decides */
    bool close = fabs(p - GO) < 0.005 || fabs(p - STOP) < 0.005;
    say(j, word, "P(saving > 0) %.*f", close ? 4 : 2, p);
}

/* In per cent, never rounded up to the goal. */
static double attained(const struct exp_pilot_class *c)
{
    return floor(1e4 * (double)c->good / (double)c->requests + 1e-6) / 100;
}

static void judge_service(struct judge *j, const char *class, double percentile,
                          const struct exp_pilot_class *c)
{
    double share = percentile / 100, missed = (double)(c->requests - c->good) / (double)c->requests;
    if (!c->requests) {
        say(j, EXP_EXTEND, "no request of class %s was measured", class);
        return;
    }
    bool sure = exp_rate_lower(c->requests - c->good, c->requests) > 1 - share + 1e-12;
    if (sure)
        say(j, EXP_STOP, "%.4g %% of class %s within its limits, expected %.6g", attained(c), class,
            percentile);
    else if (missed > 1 - share + 1e-12)
        say(j, EXP_EXTEND, "%.4g %% of class %s within its limits, expected %.6g, not for sure yet",
            attained(c), class, percentile);
}

/* Cases that must not fail: k of n against a limit. */
static void judge_limit(struct judge *j, const char *what, uint64_t k, uint64_t n, double limit)
{
    unsigned long long failures = k, answers = n;
    double shown = fmax(limit, EXP_LEAST_LIMIT);
    if (exp_rate_lower(k, n) > limit)
        say(j, EXP_STOP, "%llu of %llu %s fail, at most %.3g %% may", failures, answers, what, 100 * limit);
    else if (mdl_failure_bound(k, n, CONFIDENCE) > shown)
        say(j, EXP_EXTEND, "%llu of %llu %s fail, need 0 of %.0f", failures, answers, what,
            ceil(3 / shown - 1e-9));
}

static void judge_classes(struct judge *j)
{
    struct exp_class_keys *keys = sim_alloc(SIM_MAX_CLASSES, sizeof *keys);
    uint32_t n = exp_scenario_classes(j->d->plan->base, keys);
    double strictest = INFINITY;
    for (uint32_t c = 0; c < n; c++) {
        const struct exp_pilot_class *seen = &j->f->class[c];
        const struct exp_plan_class *k = &j->d->plan->class[c];
        char what[EXP_NAME_BYTES + 24];
        judge_service(j, keys[c].name, keys[c].slo.percentile, seen);
        if (isnan(k->max_failure_rate)) continue;
        strictest = fmin(strictest, k->max_failure_rate);
        snprintf(what, sizeof what, "answers of class %s", keys[c].name);
        judge_limit(j, what, seen->failures, seen->answers, k->max_failure_rate);
    }
    if (isfinite(strictest) && j->f->critical)
        judge_limit(j, "critical cases", j->f->critical_failures, j->f->critical, strictest);
    free(keys);
}

enum exp_verdict_word exp_pilot_verdict(const struct exp_decision *after, char *why, uint32_t size)
{
    struct judge j = {.d = after, .f = after->pilot, .word = EXP_GO, .why = why, .size = size};
    j.row = exp_row_tried(after);
    why[0] = '\0';
    if (!after->pilot || !j.row) {
        bool none = after->pilot == NULL;
        say(&j, none ? EXP_EXTEND : EXP_STOP,
            none ? "nothing was measured" : "no fleet meets the service levels");
        return j.word;
    }
    judge_money(&j);
    judge_classes(&j);
    bool wins = after->best != UINT32_MAX && j.row == &after->row[after->best];
    if (!wins && !after->pilot->answers) say(&j, EXP_EXTEND, "its answers were not scored");
    if (after->check_sla != EXP_PASS) say(&j, EXP_EXTEND, "service levels are not predicted to hold");
    return j.word;
}
