/* How flat the optimum is, and which of the settings that are as good is taken. */
#include <math.h>

#include "experiments/tuning/parts.h"

static bool is_close(const struct exp_tune_trial *t, const struct exp_tune_trial *best, double share)
{
    if (!exp_tune_usable(t) || (exp_tune_meets(best) && !exp_tune_meets(t))) return false;
    return exp_tune_mean(best) - exp_tune_mean(t) <= share * fabs(exp_tune_mean(best));
}

/* Its values, the best one among them. */
static uint32_t values_of(const struct exp_tune_parameter *p, double best, double *out)
{
    uint32_t n = 0;
    bool there = false;
    for (uint32_t i = 0; i < p->n; i++) {
        if (!there && p->value[i] >= best) {
            if (p->value[i] > best) out[n++] = best;
            there = true;
        }
        out[n++] = p->value[i];
    }
    if (!there) out[n++] = best;
    return n;
}

void exp_tune_profile(const struct exp_tune_round *r, struct exp_tune_trial *best, uint32_t parameter,
                      struct exp_tune_profile *out)
{
    struct exp_tune_trial *t[EXP_TUNE_GRID + 1];
    uint32_t at = 0;
    *out = (struct exp_tune_profile){0};
    out->n = values_of(&r->parameter[parameter], best->setting.value[parameter], out->value);
    for (uint32_t i = 0; i < out->n; i++) {
        struct exp_tune_setting s = best->setting;
        s.value[parameter] = out->value[i];
        t[i] = exp_tune_book_at(r->book, &s);
        if (t[i] == best) at = i;
    }
    exp_tune_book_fill(r->book, t, out->n, r->n_replications);
    for (uint32_t i = 0; i < out->n; i++) out->objective[i] = exp_tune_mean(t[i]);
    for (uint32_t i = 0; i < out->n; i++) out->close[i] = i == at || is_close(t[i], best, EXP_TUNE_CLOSE);
    out->at = at;
}

/* ---- the nearest to the default ---- */

/* Where no setting meets the service levels the way to them decides, which the objective says nothing of. */
static bool is_as_good(const struct exp_tune_trial *t, const struct exp_tune_trial *best)
{
    return is_close(t, best, EXP_TUNE_EQUAL) &&
           (exp_tune_meets(best) || exp_tune_mean_margin(t) >= exp_tune_mean_margin(best));
}

/* One parameter at another value, all else as in t: that one when it is as good as `best` and nearer to the default. */
static struct exp_tune_trial *nearer(const struct exp_tune_round *r, struct exp_tune_trial *t,
                                     uint32_t parameter, double value, const struct exp_tune_trial *best)
{
    double usual = r->parameter[parameter].usual;
    struct exp_tune_setting s = t->setting;
    if (fabs(value - usual) >= fabs(s.value[parameter] - usual)) return t;
    s.value[parameter] = value;
    struct exp_tune_trial *x = exp_tune_book_at(r->book, &s);
    exp_tune_book_fill(r->book, &x, 1, r->n_replications);
    return is_as_good(x, best) ? x : t;
}

struct exp_tune_trial *exp_tune_settle(const struct exp_tune_round *r, struct exp_tune_trial *usual,
                                       struct exp_tune_trial *best)
{
    struct exp_tune_trial *t = best, *from = NULL;
    if (is_as_good(usual, best)) t = usual;
    while (t != from) { /* a step of one parameter may open the way to another */
        from = t;
        for (uint32_t i = 0; i < r->n_parameters; i++) {
            const struct exp_tune_parameter *p = &r->parameter[i];
            if (p->usual >= p->low && p->usual <= p->high) t = nearer(r, t, i, p->usual, best);
        }
        for (uint32_t i = 0; i < r->n_parameters; i++)
            for (uint32_t k = 0; k < r->parameter[i].n; k++)
                t = nearer(r, t, i, r->parameter[i].value[k], best);
    }
    t->fate = EXP_TUNE_IN; /* the race may have dropped it for less */
    return t;
}
