#include "calib/fit_methods.h"

#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "calib/robust.h"
#include "sim/memory.h"

enum { T0, CLOCKS, POWER, MEMORY, N_NUMBERS };

struct fit {
    const struct cal_kernel_point *point;
    size_t n;
    double bandwidth, units_clock, memory_frac;
};

static struct mdl_kernel_model with(const struct fit *f, const double *v)
{
    return (struct mdl_kernel_model){v[T0], f->memory_frac > 0 ? f->memory_frac : v[MEMORY], v[CLOCKS],
                                     v[POWER]};
}

static double log_error(const struct fit *f, const struct mdl_kernel_model *m,
                        const struct cal_kernel_point *p)
{
    return fabs(log(mdl_kernel_s(m, p->bytes, p->elements, f->bandwidth, f->units_clock) / p->time_s));
}

static double loss(const void *user, const double *value)
{
    const struct fit *f = user;
    struct mdl_kernel_model m = with(f, value);
    double sum = 0;
    for (size_t i = 0; i < f->n; i++) sum += log_error(f, &m, &f->point[i]);
    return sum / (double)f->n;
}

/* Clocks per element at the fastest aliased launch, else at the fastest of all: an upper bound that is near. */
static void starts(const struct fit *f, struct cal_number *number)
{
    double shortest = INFINITY, clocks = INFINITY;
    for (size_t i = 0; i < f->n; i++) {
        const struct cal_kernel_point *p = &f->point[i];
        shortest = fmin(shortest, p->time_s);
        clocks = fmin(clocks, p->time_s * f->units_clock / p->elements);
    }
    number[T0] = (struct cal_number){0.5 * shortest, 1e-9, shortest};
    number[CLOCKS] = (struct cal_number){0.5 * clocks, 1e-4 * clocks, 10 * clocks};
    number[POWER] = (struct cal_number){4, 1, 20};
    number[MEMORY] = (struct cal_number){0.8, 0.01, 1};
}

struct cal_fit_quality cal_fit_kernel(const struct cal_kernel_point *point, size_t n,
                                      double bandwidth_byte_per_s, double units_clock_hz, double memory_frac,
                                      struct mdl_kernel_model *out)
{
    struct fit f = {point, n, bandwidth_byte_per_s, units_clock_hz, memory_frac};
    struct cal_number number[N_NUMBERS];
    double value[N_NUMBERS] = {0}, *e = sim_alloc(n, sizeof *e);
    starts(&f, number);
    cal_minimise(number, memory_frac > 0 ? N_NUMBERS - 1 : N_NUMBERS, loss, &f, value);
    *out = with(&f, value);
    for (size_t i = 0; i < n; i++) e[i] = log_error(&f, out, &point[i]);
    gsl_sort(e, 1, n);
    struct cal_fit_quality q = {n, gsl_stats_quantile_from_sorted_data(e, 1, n, 0.5),
                                gsl_stats_quantile_from_sorted_data(e, 1, n, 0.9)};
    free(e);
    return q;
}
