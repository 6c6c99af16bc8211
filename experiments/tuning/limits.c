/* What stands between the best setting and a better objective. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "experiments/tuning/parts.h"

static void add(struct exp_tune *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct exp_tune *t, const char *format, ...)
{
    va_list args;
    if (t->n_limits == EXP_TUNE_LIMITS) return;
    va_start(args, format);
    vsnprintf(t->limit[t->n_limits++], sizeof t->limit[0], format, args);
    va_end(args);
}

static void name_setting(const struct exp_tune *t, const struct exp_tune_trial *trial, char *out, size_t room)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < t->n_parameters; i++) {
        const struct exp_tune_parameter *p = &t->parameter[i];
        size_t n = strlen(out);
        snprintf(out + n, room - n, "%s%s %s", i ? ", " : "", mdl_kv_key_info(p->key)->name,
                 exp_tune_value_text(p->key, trial->setting.value[i]).text);
    }
}

static void service_levels(struct exp_tune *t)
{
    const struct exp_tune_trial *most = NULL;
    uint32_t missed = 0, n = exp_tune_book_count(t->book);
    char setting[200];
    for (uint32_t i = 0; i < n; i++) {
        const struct exp_tune_trial *x = exp_tune_book_trial(t->book, i);
        if (!exp_tune_usable(x) || exp_tune_meets(x)) continue;
        missed++;
        if (exp_tune_mean(x) > exp_tune_mean(t->best) && (!most || exp_tune_mean(x) > exp_tune_mean(most)))
            most = x;
    }
    if (t->meets && t->best_again->n && !exp_tune_meets(t->best_again))
        add(t,
            "service levels: in %u other replications the best setting misses them by %.2g points; it is as "
            "good as at the limit",
            t->best_again->n, -100 * exp_tune_mean_margin(t->best_again));
    if (!t->meets)
        add(t,
            "service levels: no setting meets them on average; the best here is the one that comes nearest");
    else if (most) {
        name_setting(t, most, setting, sizeof setting);
        add(t, "service levels: %s has a better objective and misses them by %.2g points", setting,
            -100 * exp_tune_mean_margin(most));
    } else if (missed)
        add(t, "service levels: %u of %u settings miss%s them, none with a better objective", missed, n,
            missed == 1 ? "es" : "");
}

static bool changes_answers(const struct exp_tune *t)
{
    for (uint32_t i = 0; i < t->n_parameters; i++)
        if (exp_tune_changes_answers(t->parameter[i].key)) return true;
    return false;
}

static void answers(struct exp_tune *t)
{
    uint32_t refused = 0, unscored = 0, taken = 0, n = exp_tune_book_count(t->book);
    for (uint32_t i = 0; i < n; i++) {
        const struct exp_tune_trial *x = exp_tune_book_trial(t->book, i);
        refused += x->fate == EXP_TUNE_REFUSED;
        taken += exp_tune_usable(x) && isnan(x->newly_failing);
        unscored += x->fate == EXP_TUNE_REFUSED && isnan(x->newly_failing);
    }
    if (!isnan(t->max_negatives) && !refused)
        add(t, "answers: --max-negatives %g refuses none of %u setting%s", t->max_negatives, n,
            exp_tune_s(n));
    else if (!isnan(t->max_negatives))
        add(t,
            "answers: %u of %u settings refused by --max-negatives %g: %u for want of a score, %u for more "
            "newly failing answers",
            refused, n, t->max_negatives, unscored, refused - unscored);
    else if (changes_answers(t))
        add(t, "answers: no limit was set. A smaller budget, a lower threshold or fewer bits always look "
               "better without one: "
               "--max-negatives R holds the share of newly failing answers");
    if (t->objective == EXP_TUNE_COST && taken)
        add(t, "answers: %u of %u settings without a score; their cost takes every answer for good", taken,
            n);
}

/* Of the values beside the best one, from it inwards, those that could be used. */
static uint32_t inwards(const struct exp_tune_profile *f, double out[EXP_TUNE_GRID])
{
    uint32_t n = 0;
    for (uint32_t i = 1; i < f->n; i++) {
        double objective = f->objective[f->at == 0 ? i : f->at - i];
        if (!isnan(objective)) out[n++] = objective;
    }
    return n;
}

static bool alone(const struct exp_tune_profile *f)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n; i++) n += f->close[i];
    return n == 1;
}

/* Only where all other values are worse by more than 1 % and the curve leads to the end: a flat one is bound by nothing. */
static void end_of_range(struct exp_tune *t, uint32_t i)
{
    const struct mdl_kv_key_info *k = mdl_kv_key_info(t->parameter[i].key);
    const struct exp_tune_profile *f = &t->profile[i];
    double best = f->value[f->at], objective[EXP_TUNE_GRID];
    bool low = f->at == 0, high = f->at == f->n - 1;
    if (exp_tune_is_choice(t->parameter[i].key) || low == high || !t->meets || !alone(f)) return;
    uint32_t n = inwards(f, objective);
    if (n == 0 || objective[0] >= f->objective[f->at] || (n > 1 && objective[1] >= objective[0])) return;
    struct exp_tune_value v = exp_tune_value_text(t->parameter[i].key, best);
    const char *what = t->objective == EXP_TUNE_COST   ? "cost still falls"
                       : t->objective == EXP_TUNE_LOAD ? "load still rises"
                                                       : "goodput still rises";
    if (best == k->least || best == k->most)
        add(t, "%s: %s is as far as it goes, and the objective is best there", k->name, v.text);
    else
        add(t, "range of %s: %s is its %s end, and the %s towards it; --over %s=LOW..HIGH widens it", k->name,
            v.text, low ? "lower" : "upper", what, k->name);
}

static void no_difference(struct exp_tune *t)
{
    uint32_t n = exp_tune_book_count(t->book), usable = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct exp_tune_trial *x = exp_tune_book_trial(t->book, i);
        usable += exp_tune_usable(x);
        if (exp_tune_usable(x) &&
            fabs(exp_tune_mean(x) - exp_tune_mean(t->best)) > 1e-3 * fabs(exp_tune_mean(t->best)))
            return;
    }
    if (usable == 1)
        add(t, "no choice: one setting of %u can be used", n);
    else
        add(t, "this load tells no setting from another%s",
            t->objective == EXP_TUNE_LOAD ? "" : "; --objective load asks how much more each can take");
}

static void highest_load(struct exp_tune *t)
{
    double most = ldexp(1, EXP_TUNE_DOUBLINGS);
    if (t->objective == EXP_TUNE_LOAD && exp_tune_mean(t->best) >= most)
        add(t, "load: %g x is the highest that is tried, and it holds; raise workload.multiply", most);
}

void exp_tune_find_limits(struct exp_tune *t)
{
    highest_load(t);
    no_difference(t);
    service_levels(t);
    answers(t);
    for (uint32_t i = 0; i < t->n_parameters; i++) end_of_range(t, i);
}
