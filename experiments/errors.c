#include "experiments/errors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "sim/memory.h"

struct exp_errors exp_errors_of(const double *predicted, const double *measured, size_t n)
{
    struct exp_errors e = {.n = (uint32_t)n};
    if (!n) return e;
    double *size = sim_alloc(n, sizeof *size);
    for (size_t i = 0; i < n; i++) {
        double error = predicted[i] / measured[i] - 1, ratio = log(measured[i] / predicted[i]);
        size[i] = fabs(error);
        e.mape += fabs(error);
        e.bias += error;
        e.log_sigma += ratio * ratio;
    }
    e.mape /= (double)n;
    e.bias /= (double)n;
    e.log_sigma = sqrt(e.log_sigma / (double)n);
    gsl_sort(size, 1, n);
    e.median = gsl_stats_quantile_from_sorted_data(size, 1, n, 0.5);
    e.p90 = gsl_stats_quantile_from_sorted_data(size, 1, n, 0.9);
    e.worst = size[n - 1];
    free(size);
    return e;
}

void exp_errors_print(const char *what, const char *quantity, struct exp_errors e)
{
    if (!e.n) return;
    printf("%-36s %-5s %4u  MAPE %6.2f %%  bias %+6.2f %%  median %6.2f %%  p90 %6.2f %%  worst %6.2f %%\n",
           what, quantity, e.n, 100 * e.mape, 100 * e.bias, 100 * e.median, 100 * e.p90, 100 * e.worst);
}

void exp_errors_json(json_t *object, const char *prefix, struct exp_errors e)
{
    const struct {
        const char *name;
        double value;
    } rows[] = {{"mape", e.mape}, {"bias", e.bias}, {"median", e.median}, {"p90", e.p90}, {"worst", e.worst}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_%s", prefix, rows[i].name);
        json_object_set_new(object, key, e.n ? json_real(rows[i].value) : json_null());
    }
}
