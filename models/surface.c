#include "models/surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>

#include "sim/check.h"
#include "sim/memory.h"

void mdl_surface_init(struct mdl_surface *s, uint32_t n_rows, uint32_t n_cols, uint32_t n_features)
{
    SIM_CHECK(n_cols > 0 && n_features > 0 && n_features <= MDL_MAX_FEATURES);
    *s = (struct mdl_surface){.n_rows = n_rows, .n_cols = n_cols, .n_features = n_features};
    s->feature = sim_alloc((size_t)n_rows * n_features + 1, sizeof *s->feature);
    s->axis = sim_alloc(n_cols, sizeof *s->axis);
    s->y = sim_alloc((size_t)n_rows * n_cols + 1, sizeof *s->y);
    s->cell = sim_alloc((size_t)n_rows * n_cols + 1, sizeof *s->cell);
}

void mdl_surface_fini(struct mdl_surface *s)
{
    free(s->feature);
    free(s->axis);
    free(s->y);
    free(s->cell);
    *s = (struct mdl_surface){0};
}

uint32_t mdl_surface_find(const struct mdl_surface *s, const double *x)
{
    for (uint32_t r = 0; r < s->n_rows; r++) {
        const double *f = s->feature + (size_t)r * s->n_features;
        uint32_t j = 0;
        while (j < s->n_features && fabs(f[j] - x[j]) < 1e-9) j++;
        if (j == s->n_features) return r;
    }
    return MDL_NO_ROW;
}

struct mdl_place mdl_axis_place(const double *axis, uint32_t n, double size)
{
    if (n == 1 || !(size > axis[0])) return (struct mdl_place){0, 0.0};
    if (size >= axis[n - 1]) return (struct mdl_place){n - 2, 1.0};
    uint32_t lo = 0, hi = n - 1;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (axis[mid] <= size) lo = mid;
        else hi = mid;
    }
    return (struct mdl_place){lo, log(size / axis[lo]) / log(axis[lo + 1] / axis[lo])};
}

/* The nearest cells on both sides of a hole decide; one side alone is held. */
static void hold_cell(const struct mdl_surface *s, double *y, const uint8_t *cell, uint32_t c)
{
    uint32_t lo = c, hi = c;
    while (lo > 0 && cell[lo] != MDL_MEASURED) lo--;
    while (hi + 1 < s->n_cols && cell[hi] != MDL_MEASURED) hi++;
    bool left = cell[lo] == MDL_MEASURED, right = cell[hi] == MDL_MEASURED;
    if (left && right) {
        double w = log(s->axis[c] / s->axis[lo]) / log(s->axis[hi] / s->axis[lo]);
        y[c] = (1 - w) * y[lo] + w * y[hi];
    } else {
        y[c] = left ? y[lo] : y[hi];
    }
}

void mdl_surface_hold(struct mdl_surface *s)
{
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double *y = s->y + (size_t)r * s->n_cols;
        uint8_t *cell = s->cell + (size_t)r * s->n_cols;
        if (!memchr(cell, MDL_MEASURED, s->n_cols)) continue;
        for (uint32_t c = 0; c < s->n_cols; c++)
            if (cell[c] == MDL_HOLE) hold_cell(s, y, cell, c);
        for (uint32_t c = 0; c < s->n_cols; c++)
            if (cell[c] == MDL_HOLE) cell[c] = MDL_FILLED;
    }
}

/* Lengths turned into factors once, so that a covariance is multiplications and one exp per term. */
struct cov {
    const struct mdl_kernel *k;
    uint32_t n_features;
    double inverse[MDL_MAX_TERMS][MDL_MAX_FEATURES];
    double at_zero;
};

static struct cov cov_init(const struct mdl_kernel *k, uint32_t n_features)
{
    struct cov v = {.k = k, .n_features = n_features};
    for (uint32_t t = 0; t < k->n_terms; t++) {
        v.at_zero += k->amplitude[t];
        for (uint32_t j = 0; j < n_features; j++)
            v.inverse[t][j] = k->length[t][j] > 0 ? 1.0 / k->length[t][j] : 0.0;
    }
    return v;
}

static double cov_of(const struct cov *v, const double *a, const double *b)
{
    double diff[MDL_MAX_FEATURES], sum = 0;
    for (uint32_t j = 0; j < v->n_features; j++) diff[j] = fabs(a[j] - b[j]);
    for (uint32_t t = 0; t < v->k->n_terms; t++) {
        double d = 0;
        for (uint32_t j = 0; j < v->n_features; j++) d += diff[j] * v->inverse[t][j];
        if (d < 30) sum += v->k->amplitude[t] * exp(-d);
    }
    return sum;
}

struct near {
    uint32_t n, row[MDL_MAX_NEIGHBOURS];
    double cov[MDL_MAX_NEIGHBOURS];
};

static bool row_is_empty(const struct mdl_surface *s, uint32_t r)
{
    return s->cell[(size_t)r * s->n_cols] == MDL_HOLE;
}

/* The rows of largest covariance with x, best first; equal ones in row order. */
static void find_near(const struct mdl_surface *s, const struct cov *v, const double *x, uint32_t skip,
                      struct near *near)
{
    uint32_t most = v->k->n_neighbours < MDL_MAX_NEIGHBOURS ? v->k->n_neighbours : MDL_MAX_NEIGHBOURS;
    near->n = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        if (r == skip || row_is_empty(s, r)) continue;
        double c = cov_of(v, x, s->feature + (size_t)r * s->n_features);
        if (c <= 0 || (near->n == most && c <= near->cov[most - 1])) continue;
        uint32_t at = near->n < most ? near->n++ : most - 1;
        for (; at > 0 && near->cov[at - 1] < c; at--) {
            near->cov[at] = near->cov[at - 1];
            near->row[at] = near->row[at - 1];
        }
        near->cov[at] = c;
        near->row[at] = r;
    }
}

/* Ordinary kriging: weights = C^-1 (c + mu 1) with mu such that they sum to 1.
 * source: Cressie, Statistics for Spatial Data, 1993, section 3.2. */
static bool solve_weights(const struct mdl_surface *s, const struct cov *v, const struct near *near, double *weight)
{
    double a[MDL_MAX_NEIGHBOURS * MDL_MAX_NEIGHBOURS], one[MDL_MAX_NEIGHBOURS];
    uint32_t n = near->n;
    for (uint32_t i = 0; i < n; i++) {
        const double *fi = s->feature + (size_t)near->row[i] * s->n_features;
        for (uint32_t j = 0; j < i; j++)
            a[i * n + j] = a[j * n + i] = cov_of(v, fi, s->feature + (size_t)near->row[j] * s->n_features);
        a[i * n + i] = v->at_zero + v->k->nugget;
        one[i] = 1.0;
        weight[i] = near->cov[i];
    }
    gsl_matrix_view m = gsl_matrix_view_array(a, n, n);
    gsl_vector_view w = gsl_vector_view_array(weight, n), u = gsl_vector_view_array(one, n);
    if (gsl_linalg_cholesky_decomp1(&m.matrix) != GSL_SUCCESS ||
        gsl_linalg_cholesky_svx(&m.matrix, &w.vector) != GSL_SUCCESS ||
        gsl_linalg_cholesky_svx(&m.matrix, &u.vector) != GSL_SUCCESS)
        return false;
    double sum_w = 0, sum_u = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum_w += weight[i];
        sum_u += one[i];
    }
    double mu = (1.0 - sum_w) / sum_u;
    for (uint32_t i = 0; i < n; i++) weight[i] += mu * one[i];
    return isfinite(mu);
}

bool mdl_surface_krige(const struct mdl_surface *s, const struct mdl_kernel *k, const double *x, uint32_t skip,
                       double *out)
{
    struct cov v = cov_init(k, s->n_features);
    struct near near;
    double weight[MDL_MAX_NEIGHBOURS];
    find_near(s, &v, x, skip, &near);
    if (near.n == 0) return false;
    if (!solve_weights(s, &v, &near, weight)) {
        /* Covariance not positive definite to rounding: the nearest row alone. */
        near.n = 1;
        weight[0] = 1.0;
    }
    memset(out, 0, s->n_cols * sizeof *out);
    for (uint32_t i = 0; i < near.n; i++) {
        const double *y = s->y + (size_t)near.row[i] * s->n_cols;
        for (uint32_t c = 0; c < s->n_cols; c++) out[c] += weight[i] * y[c];
    }
    return true;
}
