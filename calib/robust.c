#include "calib/robust.h"

#include <math.h>

#include <gsl/gsl_multimin.h>

enum { N_STARTS = 4, MAX_ITERATIONS = 2000 };

struct problem {
    const struct cal_number *number;
    size_t n;
    cal_loss_fn *loss;
    const void *user;
};

static double clamp(const struct cal_number *x, double log_value)
{
    return fmin(fmax(exp(log_value), x->low), x->high);
}

static double at(const gsl_vector *x, void *params)
{
    const struct problem *p = params;
    double value[CAL_MAX_NUMBERS], outside = 0;
    for (size_t i = 0; i < p->n; i++) {
        double v = gsl_vector_get(x, i);
        value[i] = clamp(&p->number[i], v);
        outside += fabs(v - log(value[i])); /* a slope back, so that the simplex does not lose itself */
    }
    double loss = p->loss(p->user, value);
    return isfinite(loss) ? loss + outside : 1e30;
}

static double descend(struct problem *p, double step, double *value)
{
    gsl_multimin_function f = {.f = at, .n = p->n, .params = p};
    gsl_multimin_fminimizer *m = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, p->n);
    gsl_vector *x = gsl_vector_alloc(p->n), *size = gsl_vector_alloc(p->n);
    for (size_t i = 0; i < p->n; i++) gsl_vector_set(x, i, log(value[i]));
    gsl_vector_set_all(size, step);
    gsl_multimin_fminimizer_set(m, &f, x, size);
    for (int i = 0; i < MAX_ITERATIONS && gsl_multimin_fminimizer_iterate(m) == GSL_SUCCESS; i++)
        if (gsl_multimin_fminimizer_size(m) < 1e-6) break;
    const gsl_vector *best = gsl_multimin_fminimizer_x(m);
    for (size_t i = 0; i < p->n; i++) value[i] = clamp(&p->number[i], gsl_vector_get(best, i));
    double loss = gsl_multimin_fminimizer_minimum(m);
    gsl_vector_free(size);
    gsl_vector_free(x);
    gsl_multimin_fminimizer_free(m);
    return loss;
}

/* Each start goes on from the best so far with another step: a simplex that has shrunk in a fold comes free. */
double cal_minimise(const struct cal_number *number, size_t n, cal_loss_fn *loss, const void *user,
                    double *value)
{
    static const double step[N_STARTS] = {0.5, 1.5, 0.2, 0.8};
    struct problem p = {number, n, loss, user};
    double best = INFINITY, trial[CAL_MAX_NUMBERS];
    for (size_t i = 0; i < n; i++) value[i] = clamp(&number[i], log(number[i].start));
    for (int s = 0; s < N_STARTS; s++) {
        for (size_t i = 0; i < n; i++) trial[i] = value[i];
        double found = descend(&p, step[s], trial);
        if (found >= best) continue;
        best = found;
        for (size_t i = 0; i < n; i++) value[i] = trial[i];
    }
    return best;
}
