/* Continuous parameters: the objective, a mean over replications with common random numbers, is a function of the setting
 * alone and smooth enough for GSL. One parameter: a scan for the valley, then Brent inside it. Several: Nelder and Mead on
 * angles u, value = low + (high - low) x (1 - cos u) / 2, so that every u lies in the range and its ends can be reached. */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_min.h>
#include <gsl/gsl_multimin.h>
#include <math.h>
#include <string.h>

#include "experiments/tuning/parts.h"

enum { SCAN_POINTS = 9, BRENT_STEPS = 12, END_STEPS = 4, SIMPLEX_STEPS = 60 };
static const double RESOLUTION = 0.005; /* of a range: closer settings are not told apart */
static const double CANNOT = 1e6;       /* the worth of a setting that cannot run; others are around 1 */

struct search {
    const struct exp_tune_round *round;
    struct exp_tune_setting from;
    uint32_t axis[EXP_TUNE_KEYS], n; /* the smooth parameters */
    double scale;                    /* of the objective */
    struct exp_tune_trial *best;
};

/* To be minimised. What lacks of the service levels counts more than any objective gains. */
static double worth(const struct search *s, const struct exp_tune_trial *t)
{
    enum { PENALTY = 100 };
    if (!exp_tune_usable(t)) return CANNOT;
    return -exp_tune_mean(t) / s->scale + PENALTY * fmax(0, -exp_tune_mean_margin(t));
}

static double try_setting(struct search *s, const struct exp_tune_setting *setting)
{
    struct exp_tune_trial *t = exp_tune_book_at(s->round->book, setting);
    exp_tune_book_fill(s->round->book, &t, 1, s->round->n_replications);
    if (exp_tune_better(t, s->best)) s->best = t;
    return worth(s, t);
}

static double try_one(double value, void *search)
{
    struct search *s = search;
    struct exp_tune_setting setting = s->from;
    setting.value[s->axis[0]] = exp_tune_rounded(&s->round->parameter[s->axis[0]], value);
    return try_setting(s, &setting);
}

/* ---- one parameter ---- */

/* Points around a valley: the middle one is lower than both others. */
struct valley {
    double x[3], f[3];
};

static bool is_valley(const struct valley *v)
{
    return v->f[1] < v->f[0] && v->f[1] < v->f[2];
}

static void descend(struct search *s, const struct valley *v, double resolution)
{
    gsl_function f = {.function = try_one, .params = s};
    gsl_min_fminimizer *m = gsl_min_fminimizer_alloc(gsl_min_fminimizer_brent);
    bool ok = m && gsl_min_fminimizer_set_with_values(m, &f, v->x[1], v->f[1], v->x[0], v->f[0], v->x[2],
                                                      v->f[2]) == GSL_SUCCESS;
    for (int i = 0; ok && i < BRENT_STEPS; i++)
        ok = gsl_min_fminimizer_iterate(m) == GSL_SUCCESS &&
             gsl_min_fminimizer_x_upper(m) - gsl_min_fminimizer_x_lower(m) > resolution;
    if (m) gsl_min_fminimizer_free(m);
}

/* The lowest of the scan lies at an end of the range: is there a valley before it? */
static bool find_before_end(struct search *s, double end, double f_end, double inner, double f_inner,
                            struct valley *v)
{
    for (int i = 0; i < END_STEPS; i++) {
        double x = (end + inner) / 2, f = try_one(x, s);
        *v = (struct valley){{end, x, inner}, {f_end, f, f_inner}};
        if (is_valley(v)) return true;
        inner = x;
        f_inner = f;
    }
    return false;
}

static void in_order(struct valley *v)
{
    if (v->x[0] < v->x[2]) return;
    *v = (struct valley){{v->x[2], v->x[1], v->x[0]}, {v->f[2], v->f[1], v->f[0]}};
}

static void minimise_one(struct search *s)
{
    const struct exp_tune_parameter *p = &s->round->parameter[s->axis[0]];
    double x[SCAN_POINTS], f[SCAN_POINTS];
    int low = 0, last = SCAN_POINTS - 1;
    for (int i = 0; i <= last; i++) {
        x[i] = p->low + (p->high - p->low) * i / last;
        f[i] = try_one(x[i], s);
        if (f[i] < f[low]) low = i;
    }
    struct valley v;
    bool found = false;
    if (low == 0 || low == last) {
        int inner = low == 0 ? 1 : last - 1;
        found = f[inner] > f[low] && find_before_end(s, x[low], f[low], x[inner], f[inner], &v);
    } else {
        v = (struct valley){{x[low - 1], x[low], x[low + 1]}, {f[low - 1], f[low], f[low + 1]}};
        found = is_valley(&v);
    }
    if (!found) return;
    in_order(&v);
    descend(s, &v, RESOLUTION * (p->high - p->low));
}

/* ---- several ---- */

static double value_at(const struct exp_tune_parameter *p, double u)
{
    return p->low + (p->high - p->low) * (1 - cos(u)) / 2;
}

static double angle_of(const struct exp_tune_parameter *p, double value)
{
    double share = fmin(fmax((value - p->low) / (p->high - p->low), 0.05), 0.95);
    return acos(1 - 2 * share);
}

static double try_several(const gsl_vector *u, void *search)
{
    struct search *s = search;
    struct exp_tune_setting setting = s->from;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct exp_tune_parameter *p = &s->round->parameter[s->axis[i]];
        setting.value[s->axis[i]] = exp_tune_rounded(p, value_at(p, gsl_vector_get(u, i)));
    }
    return try_setting(s, &setting);
}

static void minimise_several(struct search *s)
{
    static const double STEP = 0.6, SMALL = 0.02; /* angles */
    gsl_multimin_function f = {.f = try_several, .n = s->n, .params = s};
    gsl_vector *u = gsl_vector_alloc(s->n), *step = gsl_vector_alloc(s->n);
    gsl_multimin_fminimizer *m = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, s->n);
    for (uint32_t i = 0; i < s->n; i++)
        gsl_vector_set(u, i, angle_of(&s->round->parameter[s->axis[i]], s->from.value[s->axis[i]]));
    gsl_vector_set_all(step, STEP);
    bool ok = gsl_multimin_fminimizer_set(m, &f, u, step) == GSL_SUCCESS;
    for (int i = 0; ok && i < SIMPLEX_STEPS; i++)
        ok = gsl_multimin_fminimizer_iterate(m) == GSL_SUCCESS && gsl_multimin_fminimizer_size(m) > SMALL;
    gsl_multimin_fminimizer_free(m);
    gsl_vector_free(step);
    gsl_vector_free(u);
}

struct exp_tune_trial *exp_tune_minimise(const struct exp_tune_round *r, struct exp_tune_trial *from)
{
    struct search s = {.round = r, .from = from->setting, .best = from};
    for (uint32_t i = 0; i < r->n_parameters; i++)
        if (r->parameter[i].smooth) s.axis[s.n++] = i;
    s.scale = fabs(exp_tune_mean(from));
    if (!(s.scale > 0)) s.scale = 1;
    if (s.n == 1) minimise_one(&s);
    if (s.n > 1) minimise_several(&s);
    return s.best;
}
