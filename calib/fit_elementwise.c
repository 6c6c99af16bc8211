#include "calib/fit.h"

#include <math.h>

#include <gsl/gsl_multifit.h>

/* t / measured = 1 for every point: rows are (1, bytes) / measured, so that residuals are relative. Bisquare
 * weights leave out the launches that something else disturbed. */
static bool robust_line(const struct cal_table *t, double *t0_s, double *s_per_byte)
{
    gsl_matrix *x = gsl_matrix_alloc(t->n, 2), *cov = gsl_matrix_alloc(2, 2);
    gsl_vector *y = gsl_vector_alloc(t->n), *c = gsl_vector_alloc(2);
    gsl_multifit_robust_workspace *w = gsl_multifit_robust_alloc(gsl_multifit_robust_bisquare, t->n, 2);
    for (size_t i = 0; i < t->n; i++) {
        gsl_matrix_set(x, i, 0, 1 / t->point[i].time_s);
        gsl_matrix_set(x, i, 1, t->point[i].size / t->point[i].time_s);
        gsl_vector_set(y, i, 1);
    }
    int status = gsl_multifit_robust(x, y, c, cov, w);
    *t0_s = gsl_vector_get(c, 0);
    *s_per_byte = gsl_vector_get(c, 1);
    gsl_multifit_robust_free(w);
    gsl_vector_free(c);
    gsl_vector_free(y);
    gsl_matrix_free(cov);
    gsl_matrix_free(x);
    /* GSL_EMAXITER: the best so far, which is good enough when it is physical */
    return (status == GSL_SUCCESS || status == GSL_EMAXITER) && *t0_s > 0 && *s_per_byte > 0;
}

double cal_fit_elementwise(const struct cal_table *t, const struct mdl_peaks *peaks, double *t0_s)
{
    double s_per_byte, shortest = INFINITY, fastest = INFINITY;
    if (!robust_line(t, t0_s, &s_per_byte)) { /* no line through these: the two ends of the data */
        for (size_t i = 0; i < t->n; i++) {
            shortest = fmin(shortest, t->point[i].time_s);
            fastest = fmin(fastest, t->point[i].time_s / t->point[i].size);
        }
        *t0_s = shortest;
        s_per_byte = fastest;
    }
    return 1 / (s_per_byte * peaks->bandwidth_byte_per_s);
}
