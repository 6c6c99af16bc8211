#include "calib/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_multimin.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>

#include "sim/check.h"
#include "sim/memory.h"

/* ---- from launches with a past ---- */

/* Each launch as measured time, time without a past, and seconds of past pairs and bytes at full peaks. */
struct launches {
    double *time_s, *base_s, *pairs_s, *bytes_s;
    size_t n;
};

static void launches_init(struct launches *l, const struct mdl_profile *p, const struct cal_table *past,
                          const bool *use)
{
    struct mdl_attn_table *table = NULL;
    double *all = sim_alloc(4 * past->n + 1, sizeof *all);
    *l = (struct launches){all, all + past->n, all + 2 * past->n, all + 3 * past->n, 0};
    for (size_t i = 0; i < past->n; i++) {
        const struct cal_point *c = &past->point[i];
        struct mdl_attn_shape shape = {c->key[1], c->key[2], c->key[3], (enum mdl_dtype)c->key[0]};
        if (!table || memcmp(c->key, past->point[i - 1].key, 4 * sizeof c->key[0]) != 0) {
            mdl_attn_table_free(table);
            table = mdl_attn_prefill_table_new(p, shape);
        }
        if (use && !use[i]) continue;
        struct mdl_past_law pairs_only = {1, INFINITY}, bytes_only = {INFINITY, 1};
        l->time_s[l->n] = c->time_s;
        l->base_s[l->n] = mdl_attn_prefill_at(table, c->key[4], c->size, 0).s;
        l->pairs_s[l->n] = mdl_past_s(&p->peaks, pairs_only, shape, c->key[4], c->size, c->past);
        l->bytes_s[l->n++] = mdl_past_s(&p->peaks, bytes_only, shape, c->key[4], c->size, c->past);
    }
    mdl_attn_table_free(table);
}

/* Mean |log error|; the unknowns are logs of the shares, held within 1 % and 100 %. */
static double loss(const gsl_vector *x, void *user)
{
    const struct launches *l = user;
    double a = gsl_vector_get(x, 0), b = gsl_vector_get(x, 1), sum = 0;
    if (!(fabs(a + 2.3) <= 2.3) || !(fabs(b + 2.3) <= 2.3)) return 1e3 + fabs(a) + fabs(b);
    for (size_t i = 0; i < l->n; i++)
        sum += fabs(log((l->base_s[i] + l->pairs_s[i] * exp(-a) + l->bytes_s[i] * exp(-b)) / l->time_s[i]));
    return sum / (double)l->n;
}

static struct mdl_past_law minimise(struct launches *l)
{
    enum { MOST_STEPS = 300 };
    gsl_vector *x = gsl_vector_alloc(2), *step = gsl_vector_alloc(2);
    gsl_multimin_fminimizer *m = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, 2);
    gsl_multimin_function f = {loss, 2, l};
    SIM_CHECK(x && step && m);
    gsl_vector_set_all(x, log(0.5));
    gsl_vector_set_all(step, 0.3);
    int status = gsl_multimin_fminimizer_set(m, &f, x, step);
    for (int i = 0; i < MOST_STEPS && status == GSL_SUCCESS; i++) {
        status = gsl_multimin_fminimizer_iterate(m);
        if (gsl_multimin_test_size(gsl_multimin_fminimizer_size(m), 1e-5) == GSL_SUCCESS) break;
    }
    const gsl_vector *best = gsl_multimin_fminimizer_x(m);
    struct mdl_past_law law = {exp(gsl_vector_get(best, 0)), exp(gsl_vector_get(best, 1))};
    gsl_multimin_fminimizer_free(m);
    gsl_vector_free(x);
    gsl_vector_free(step);
    return law;
}

/* ---- from launches without one ---- */

/* Median share of the roofline over measured bf16 cells that it dominates 30 times over t0; 0 when there are
 * none. */
static double long_launch_share(const struct mdl_sheet *sheet, enum mdl_family f,
                                const struct mdl_peaks *peaks)
{
    static const double DOMINATES = 30;
    const struct mdl_surface *s = &sheet->s;
    double *share = sim_alloc((size_t)s->n_rows * s->n_cols + 1, sizeof *share), median = 0;
    size_t n = 0;
    for (uint32_t r = 0; r < s->n_rows; r++) {
        const uint32_t *key = sheet->key + (size_t)r * MDL_MAX_KEYS;
        for (uint32_t c = 0; c < s->n_cols && key[0] == MDL_BF16; c++) {
            size_t at = (size_t)r * s->n_cols + c;
            double law_s = mdl_sheet_law_s(peaks, f, sheet->t0_s, key, s->axis[c]),
                   roof_s = law_s - sheet->t0_s;
            if (s->cell[at] != MDL_MEASURED || roof_s < DOMINATES * sheet->t0_s) continue;
            share[n++] = roof_s / (law_s * exp(s->y[at]) - sheet->t0_s);
        }
    }
    gsl_sort(share, 1, n);
    if (n > 0) median = gsl_stats_median_from_sorted_data(share, 1, n);
    free(share);
    return isfinite(median) && median > 0 ? median : 0;
}

struct mdl_past_law cal_fit_past(struct mdl_profile *p, const struct cal_table *past, const bool *use)
{
    struct mdl_past_law law = mdl_typical_past();
    if (past->n > 0 && p->present[MDL_ATTN_PREFILL]) {
        struct launches l;
        launches_init(&l, p, past, use);
        if (l.n > 0) law = minimise(&l);
        free(l.time_s);
        return law;
    }
    if (p->present[MDL_ATTN_PREFILL]) {
        double share = long_launch_share(&p->sheet[MDL_ATTN_PREFILL], MDL_ATTN_PREFILL, &p->peaks);
        if (share > 0) law.compute_frac = share;
    }
    if (p->present[MDL_ATTN_DECODE]) {
        double share = long_launch_share(&p->sheet[MDL_ATTN_DECODE], MDL_ATTN_DECODE, &p->peaks);
        if (share > 0) law.bytes_frac = share;
    }
    return law;
}
