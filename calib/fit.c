#include "calib/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_blas.h>
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>

#include "models/monotone.h"
#include "models/place.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- the matrix ---- */

/* Distinct values of `size`, ascending; returns their number. */
static uint32_t axis_of(const struct cal_table *t, const bool *use, double **axis)
{
    double *all = sim_alloc(t->n + 1, sizeof *all);
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < t->n; i++)
        if (!use || use[i]) all[n++] = t->point[i].size;
    gsl_sort(all, 1, n);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || all[i] != all[kept - 1]) all[kept++] = all[i];
    *axis = all;
    return (uint32_t)kept;
}

/* The time that only one launch in a hundred beats. */
static double shortest_s(const struct cal_table *t, const bool *use)
{
    double *all = sim_alloc(t->n + 1, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        if (!use || use[i]) all[n++] = t->point[i].time_s;
    gsl_sort(all, 1, n);
    double t0_s = gsl_stats_quantile_from_sorted_data(all, 1, n, 0.01);
    free(all);
    return t0_s;
}

static bool new_row(const struct cal_table *t, const bool *use, size_t i, size_t *last)
{
    if (use && !use[i]) return false;
    bool fresh =
        *last == SIZE_MAX || memcmp(t->point[i].key, t->point[*last].key, sizeof t->point[i].key) != 0;
    *last = i;
    return fresh;
}

static uint32_t column_of(const struct mdl_surface *s, double size)
{
    uint32_t lo = 0, hi = s->n_cols;
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (s->axis[mid] <= size)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

void cal_sheet_build(const struct mdl_peaks *peaks, enum mdl_family f, const struct cal_table *t,
                     const bool *use, struct mdl_sheet *out)
{
    const char *const *names;
    struct mdl_sheet sheet = {.n_keys = mdl_sheet_keys(f, &names), .t0_s = shortest_s(t, use)};
    double *axis;
    size_t last = SIZE_MAX;
    uint32_t n_rows = 0, n_cols = axis_of(t, use, &axis);
    for (size_t i = 0; i < t->n; i++) n_rows += new_row(t, use, i, &last);
    SIM_CHECK(n_rows > 0);
    mdl_surface_init(&sheet.s, n_rows, n_cols, mdl_sheet_n_features(f));
    memcpy(sheet.s.axis, axis, n_cols * sizeof *axis);
    free(axis);
    sheet.key = sim_alloc((size_t)n_rows * MDL_MAX_KEYS, sizeof *sheet.key);
    last = SIZE_MAX;
    uint32_t row = MDL_NO_ROW; /* one more makes it 0 */
    for (size_t i = 0; i < t->n; i++) {
        const struct cal_point *p = &t->point[i];
        if (use && !use[i]) continue;
        if (new_row(t, use, i, &last)) {
            row++;
            memcpy(sheet.key + (size_t)row * MDL_MAX_KEYS, p->key, sizeof p->key);
            mdl_sheet_features(f, p->key, sheet.s.feature + (size_t)row * sheet.s.n_features);
        }
        size_t at = (size_t)row * n_cols + column_of(&sheet.s, p->size);
        sheet.s.y[at] = log(p->time_s / mdl_sheet_law_s(peaks, f, sheet.t0_s, p->key, p->size));
        sheet.s.cell[at] = MDL_MEASURED;
    }
    *out = sheet;
}

/* ---- completion ---- */

/* The first turn starts from held values, the others from a filled matrix. */
enum { TURNS = 3 };

/* Rows of one site follow one another: all but the last key (the batch) agree. Other rows stand alone.
 */
static uint32_t site_end(const struct mdl_sheet *sheet, enum mdl_family f, uint32_t first)
{
    uint32_t end = first + 1;
    size_t bytes = (sheet->n_keys - 1) * sizeof *sheet->key;
    if (f == MDL_ALLREDUCE || f == MDL_GEMM) return end;
    while (end < sheet->s.n_rows && memcmp(sheet->key + (size_t)end * MDL_MAX_KEYS,
                                           sheet->key + (size_t)first * MDL_MAX_KEYS, bytes) == 0)
        end++;
    return end;
}

enum { EVERY_SITE = 4 }; /* enough of them to tell one variant from another */

/* Median + p90 / 5 of |error| of log time over measured cells when a whole site is left out and asked for. */
static double site_error(const struct mdl_sheet *sheet, enum mdl_family f, const struct mdl_kernel *kernel)
{
    const struct mdl_surface *s = &sheet->s;
    double *error = sim_alloc((size_t)s->n_rows * s->n_cols + 1, sizeof *error), y[MDL_MAX_COLUMNS];
    size_t n = 0;
    struct mdl_rows site = {0, 0};
    uint32_t n_sites = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        if (r == site.to) {
            site = (struct mdl_rows){r, site_end(sheet, f, r)};
            n_sites++;
        }
        if (n_sites % EVERY_SITE != 0) continue;
        if (!mdl_surface_krige(s, kernel, s->feature + (size_t)r * s->n_features, site, y)) continue;
        size_t at = (size_t)r * s->n_cols;
        for (uint32_t c = 0; c < s->n_cols; c++)
            if (s->cell[at + c] == MDL_MEASURED) error[n++] = fabs(y[c] - s->y[at + c]);
    }
    gsl_sort(error, 1, n);
    double score = n ? gsl_stats_median_from_sorted_data(error, 1, n) +
                           0.2 * gsl_stats_quantile_from_sorted_data(error, 1, n, 0.9)
                     : 0;
    free(error);
    return score;
}

/* One nugget tells the variants apart as well as three, and three times as fast. */
static struct mdl_kernel with_one_nugget(const struct mdl_kernel *kernel)
{
    struct mdl_kernel k = *kernel;
    if (k.n_nuggets > 1) k.nugget[0] = k.nugget[1];
    k.n_nuggets = 1;
    return k;
}

static void choose_kernel(struct mdl_sheet *sheet, enum mdl_family f)
{
    double best = INFINITY;
    for (uint32_t v = 0; v < MDL_KERNEL_VARIANTS; v++) {
        struct mdl_kernel k = with_one_nugget(mdl_place_kernel(f, v));
        double error = site_error(sheet, f, &k);
        if (error >= best) continue;
        best = error;
        sheet->kernel = v;
    }
}

/* What the other rows say of each: out [row][col]. */
static void surroundings(const struct mdl_surface *s, const struct mdl_kernel *k, double *out)
{
    for (uint32_t r = 0; r < s->n_rows; r++) {
        double *row = out + (size_t)r * s->n_cols;
        if (!mdl_surface_krige(s, k, s->feature + (size_t)r * s->n_features, (struct mdl_rows){r, r + 1},
                               row))
            memcpy(row, s->y + (size_t)r * s->n_cols, s->n_cols * sizeof *row);
    }
}

/* Sums of products of deviations and their numbers, over pairs of cells of a row that were both measured. */
static void pair_products(const struct mdl_surface *s, const double *around, gsl_matrix *sum,
                          gsl_matrix *count)
{
    for (uint32_t r = 0; r < s->n_rows; r++) {
        const double *y = s->y + (size_t)r * s->n_cols, *a = around + (size_t)r * s->n_cols;
        const uint8_t *cell = s->cell + (size_t)r * s->n_cols;
        for (uint32_t i = 0; i < s->n_cols; i++) {
            if (cell[i] != MDL_MEASURED) continue;
            for (uint32_t j = 0; j <= i; j++) {
                if (cell[j] != MDL_MEASURED) continue;
                *gsl_matrix_ptr(sum, i, j) += (y[i] - a[i]) * (y[j] - a[j]);
                *gsl_matrix_ptr(count, i, j) += 1;
            }
        }
    }
}

/* Pairs that were measured in different rows may contradict each other: negative eigenvalues are set to 0. */
static void make_positive(gsl_matrix *c)
{
    size_t n = c->size1;
    gsl_vector *value = gsl_vector_alloc(n);
    gsl_matrix *vector = gsl_matrix_alloc(n, n), *copy = gsl_matrix_alloc(n, n);
    gsl_eigen_symmv_workspace *w = gsl_eigen_symmv_alloc(n);
    SIM_CHECK(value && vector && copy && w);
    gsl_matrix_memcpy(copy, c);
    if (gsl_eigen_symmv(copy, value, vector, w) == GSL_SUCCESS) {
        gsl_matrix_set_zero(c);
        for (size_t k = 0; k < n; k++) {
            gsl_vector_view v = gsl_matrix_column(vector, k);
            double at = gsl_vector_get(value, k);
            if (at > 0) gsl_blas_dger(at, &v.vector, &v.vector, c);
        }
    }
    gsl_eigen_symmv_free(w);
    gsl_matrix_free(copy);
    gsl_matrix_free(vector);
    gsl_vector_free(value);
}

/* Covariance between columns of the rows' deviations from their surroundings. A ridge says that a tenth of a
 * deviation is noise of its own. */
static gsl_matrix *column_covariance(const struct mdl_surface *s, const double *around)
{
    static const double RIDGE = 0.1, FLOOR = 1e-8;
    gsl_matrix *c = gsl_matrix_calloc(s->n_cols, s->n_cols), *n = gsl_matrix_calloc(s->n_cols, s->n_cols);
    SIM_CHECK(c && n);
    pair_products(s, around, c, n);
    for (uint32_t i = 0; i < s->n_cols; i++)
        for (uint32_t j = 0; j <= i; j++) {
            double v = gsl_matrix_get(c, i, j) / (gsl_matrix_get(n, i, j) + 1);
            gsl_matrix_set(c, i, j, v);
            gsl_matrix_set(c, j, i, v);
        }
    make_positive(c);
    for (uint32_t i = 0; i < s->n_cols; i++)
        *gsl_matrix_ptr(c, i, i) += RIDGE * gsl_matrix_get(c, i, i) + FLOOR;
    gsl_matrix_free(n);
    return c;
}

/* Fills the holes of one row: surroundings + C_hm C_mm^-1 (measured - surroundings). */
static void fill_row(struct mdl_surface *s, uint32_t row, const double *around, const gsl_matrix *c)
{
    double *y = s->y + (size_t)row * s->n_cols;
    const uint8_t *cell = s->cell + (size_t)row * s->n_cols;
    uint32_t known[MDL_MAX_MONOTONE], n = 0;
    for (uint32_t i = 0; i < s->n_cols; i++)
        if (cell[i] == MDL_MEASURED) known[n++] = i;
    if (n == 0 || n == s->n_cols) return;
    gsl_matrix *a = gsl_matrix_alloc(n, n);
    gsl_vector *w = gsl_vector_alloc(n);
    SIM_CHECK(a && w);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++) gsl_matrix_set(a, i, j, gsl_matrix_get(c, known[i], known[j]));
        gsl_vector_set(w, i, y[known[i]] - around[known[i]]);
    }
    if (gsl_linalg_cholesky_decomp1(a) == GSL_SUCCESS && gsl_linalg_cholesky_svx(a, w) == GSL_SUCCESS)
        for (uint32_t i = 0; i < s->n_cols; i++) {
            if (cell[i] == MDL_MEASURED) continue;
            y[i] = around[i];
            for (uint32_t j = 0; j < n; j++) y[i] += gsl_matrix_get(c, i, known[j]) * gsl_vector_get(w, j);
        }
    gsl_matrix_free(a);
    gsl_vector_free(w);
}

static void add_law(struct mdl_sheet *sheet, enum mdl_family f, const struct mdl_peaks *peaks, uint32_t row,
                    double sign)
{
    double *y = sheet->s.y + (size_t)row * sheet->s.n_cols;
    const uint32_t *key = sheet->key + (size_t)row * MDL_MAX_KEYS;
    for (uint32_t c = 0; c < sheet->s.n_cols; c++)
        y[c] += sign * log(mdl_sheet_law_s(peaks, f, sheet->t0_s, key, sheet->s.axis[c]));
}

/* Each site's batch x size grid made non-decreasing in time. A table is monotone in the end; done here,
 * before neighbours are asked, it also averages the noise out of the wide flat parts where a launch is all
 * there is. */
static void make_monotone(struct mdl_sheet *sheet, enum mdl_family f, const struct mdl_peaks *peaks)
{
    struct mdl_surface *s = &sheet->s;
    for (uint32_t r = 0, end; r < s->n_rows; r = end) {
        end = site_end(sheet, f, r);
        for (uint32_t i = r; i < end; i++) add_law(sheet, f, peaks, i, 1.0);
        mdl_monotone_grid(s->y + (size_t)r * s->n_cols, end - r, s->n_cols);
        for (uint32_t i = r; i < end; i++) add_law(sheet, f, peaks, i, -1.0);
    }
}

static void fill_holes(struct mdl_sheet *sheet, enum mdl_family f)
{
    struct mdl_surface *s = &sheet->s;
    struct mdl_kernel k = with_one_nugget(mdl_place_kernel(f, sheet->kernel));
    double *around = sim_alloc((size_t)s->n_rows * s->n_cols, sizeof *around);
    for (int turn = 0; turn < TURNS; turn++) {
        surroundings(s, &k, around);
        gsl_matrix *c = column_covariance(s, around);
        for (uint32_t r = 0; r < s->n_rows; r++) fill_row(s, r, around + (size_t)r * s->n_cols, c);
        gsl_matrix_free(c);
    }
    free(around);
}

/* With few rows there is nothing to learn from: held values stand. GEMM cells stay as measured, because the
 * tiles that a library picks make real steps down, which the fit of a shape that was measured should show. */
void cal_sheet_complete(struct mdl_sheet *sheet, enum mdl_family f, const struct mdl_peaks *peaks)
{
    enum { FEWEST_ROWS = 40 };
    mdl_surface_hold(&sheet->s);
    if (f != MDL_ALLREDUCE && sheet->s.n_rows >= FEWEST_ROWS) {
        choose_kernel(sheet, f);
        fill_holes(sheet, f);
    }
    if (f != MDL_GEMM) make_monotone(sheet, f, peaks);
}
