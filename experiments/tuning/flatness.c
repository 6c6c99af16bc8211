/* How flat the optimum is. */
#include <math.h>

#include "experiments/tuning/parts.h"

static const double CLOSE = 0.01; /* of the best objective */

static bool is_close(const struct exp_tune_trial *t, const struct exp_tune_trial *best)
{
    if (!exp_tune_usable(t) || (exp_tune_meets(best) && !exp_tune_meets(t))) return false;
    return exp_tune_mean(best) - exp_tune_mean(t) <= CLOSE * fabs(exp_tune_mean(best));
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
    uint32_t low = at, high = at;
    while (low > 0 && is_close(t[low - 1], best)) low--;
    while (high + 1 < out->n && is_close(t[high + 1], best)) high++;
    out->low = out->value[low];
    out->high = out->value[high];
}
