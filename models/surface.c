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
    SIM_CHECK(n_cols > 0 && n_cols <= MDL_MAX_COLUMNS && n_features > 0 && n_features <= MDL_MAX_FEATURES);
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
        if (axis[mid] <= size)
            lo = mid;
        else
            hi = mid;
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
static void find_near(const struct mdl_surface *s, const struct cov *v, const double *x, struct mdl_rows skip,
                      struct near *near)
{
    uint32_t most = v->k->n_neighbours < MDL_MAX_NEIGHBOURS ? v->k->n_neighbours : MDL_MAX_NEIGHBOURS;
    near->n = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        if ((r >= skip.from && r < skip.to) || row_is_empty(s, r)) continue;
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

/* ---- one set of neighbours, several nuggets ---- */

struct system {
    const struct mdl_surface *s;
    struct near near;
    double cov[MDL_MAX_NEIGHBOURS * MDL_MAX_NEIGHBOURS]; /* without nugget */
};

static void fill_system(struct system *m, const struct cov *v)
{
    uint32_t n = m->near.n, n_f = m->s->n_features;
    for (uint32_t i = 0; i < n; i++) {
        const double *fi = m->s->feature + (size_t)m->near.row[i] * n_f;
        for (uint32_t j = 0; j < i; j++)
            m->cov[i * n + j] = m->cov[j * n + i] =
                cov_of(v, fi, m->s->feature + (size_t)m->near.row[j] * n_f);
        m->cov[i * n + i] = v->at_zero;
    }
}

/* Ordinary kriging: weight = Q c + K^-1 1 / (1' K^-1 1), with Q = K^-1 - K^-1 1 1' K^-1 / (1' K^-1 1);
 * leaving neighbour i out and asking for it errs by (Q y)_i / Q_ii. Q is left in `q`. source: Cressie,
 * Statistics for Spatial Data, 1993, section 3.2; Dubrule, Math. Geology 15(6), 1983. */
static bool solve(const struct system *m, double nugget, double *q, double *weight)
{
    uint32_t n = m->near.n;
    double row_sum[MDL_MAX_NEIGHBOURS], total = 0;
    memcpy(q, m->cov, (size_t)n * n * sizeof *q);
    for (uint32_t i = 0; i < n; i++) q[i * n + i] += nugget;
    gsl_matrix_view view = gsl_matrix_view_array(q, n, n);
    if (gsl_linalg_cholesky_decomp1(&view.matrix) != GSL_SUCCESS ||
        gsl_linalg_cholesky_invert(&view.matrix) != GSL_SUCCESS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        row_sum[i] = 0;
        for (uint32_t j = 0; j < n; j++) row_sum[i] += q[i * n + j];
        total += row_sum[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        weight[i] = row_sum[i] / total;
        for (uint32_t j = 0; j < n; j++) {
            q[i * n + j] -= row_sum[i] * row_sum[j] / total;
            weight[i] += q[i * n + j] * m->near.cov[j];
        }
    }
    return isfinite(total);
}

/* Sum over neighbours of |error| when each is left out, nearer ones counting more. */
static void leave_one_out(const struct system *m, const double *q, double *score)
{
    uint32_t n = m->near.n, n_cols = m->s->n_cols;
    memset(score, 0, n_cols * sizeof *score);
    for (uint32_t i = 0; i < n; i++) {
        double error[MDL_MAX_COLUMNS] = {0};
        for (uint32_t j = 0; j < n; j++) {
            const double *y = m->s->y + (size_t)m->near.row[j] * n_cols;
            for (uint32_t c = 0; c < n_cols; c++) error[c] += q[i * n + j] * y[c];
        }
        double w = m->near.cov[i] / q[i * n + i];
        for (uint32_t c = 0; c < n_cols; c++) score[c] += w * fabs(error[c]);
    }
}

/* The weights alone, by two triangular solves: three times cheaper than with the errors. */
static bool solve_weights(const struct system *m, double nugget, double *factor, double *weight)
{
    uint32_t n = m->near.n;
    double one[MDL_MAX_NEIGHBOURS], sum_weight = 0, sum_one = 0;
    memcpy(factor, m->cov, (size_t)n * n * sizeof *factor);
    for (uint32_t i = 0; i < n; i++) {
        factor[i * n + i] += nugget;
        weight[i] = m->near.cov[i];
        one[i] = 1.0;
    }
    gsl_matrix_view view = gsl_matrix_view_array(factor, n, n);
    gsl_vector_view w = gsl_vector_view_array(weight, n), u = gsl_vector_view_array(one, n);
    if (gsl_linalg_cholesky_decomp1(&view.matrix) != GSL_SUCCESS ||
        gsl_linalg_cholesky_svx(&view.matrix, &w.vector) != GSL_SUCCESS ||
        gsl_linalg_cholesky_svx(&view.matrix, &u.vector) != GSL_SUCCESS)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        sum_weight += weight[i];
        sum_one += one[i];
    }
    for (uint32_t i = 0; i < n; i++) weight[i] += (1.0 - sum_weight) / sum_one * one[i];
    return isfinite(sum_one);
}

static void weigh(const struct system *m, const double *weight, uint32_t col, double *out)
{
    double sum = 0;
    for (uint32_t j = 0; j < m->near.n; j++)
        sum += weight[j] * m->s->y[(size_t)m->near.row[j] * m->s->n_cols + col];
    out[col] = sum;
}

bool mdl_surface_krige(const struct mdl_surface *s, const struct mdl_kernel *k, const double *x,
                       struct mdl_rows skip, double *out)
{
    struct cov v = cov_init(k, s->n_features);
    struct system m;
    m.s = s;
    double q[MDL_MAX_NEIGHBOURS * MDL_MAX_NEIGHBOURS], weight[MDL_MAX_NEIGHBOURS];
    double best[MDL_MAX_COLUMNS], score[MDL_MAX_COLUMNS] = {0};
    find_near(s, &v, x, skip, &m.near);
    if (m.near.n == 0) return false;
    fill_system(&m, &v);
    /* The nearest row alone, should no covariance be positive definite to rounding. */
    memcpy(out, s->y + (size_t)m.near.row[0] * s->n_cols, s->n_cols * sizeof *out);
    for (uint32_t c = 0; c < s->n_cols; c++) best[c] = INFINITY;
    for (uint32_t i = 0; i < k->n_nuggets; i++) {
        bool alone = k->n_nuggets == 1;
        if (!(alone ? solve_weights : solve)(&m, k->nugget[i], q, weight)) continue;
        if (!alone) leave_one_out(&m, q, score);
        for (uint32_t c = 0; c < s->n_cols; c++) {
            if (score[c] >= best[c]) continue;
            best[c] = score[c];
            weigh(&m, weight, c, out);
        }
    }
    return true;
}
