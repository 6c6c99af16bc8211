#include "calib/fit_methods.h"

#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "calib/robust.h"
#include "sim/memory.h"

/* What the simplex turns; the break and the speed-ups of threads come from elsewhere. */
enum { T0, CALL, SMALL, LARGE, RATE, N_NUMBERS };

struct fit {
    const struct cal_transfer_point *point;
    size_t n;
    struct mdl_transfer_model model;
};

static struct mdl_transfer_model with(const struct fit *f, const double *v)
{
    struct mdl_transfer_model m = f->model;
    m.t0_s = v[T0];
    m.call_s = m.fragments_per_call ? 0 : v[CALL];
    m.descriptor_small_s = v[SMALL];
    m.descriptor_large_s = v[LARGE];
    m.rate_byte_per_s = v[RATE];
    return m;
}

static double log_error(const struct mdl_transfer_model *m, const struct cal_transfer_point *p)
{
    return fabs(log(mdl_transfer_s(m, p->n, p->bytes, p->threads) / p->time_s));
}

static double loss(const void *user, const double *value)
{
    const struct fit *f = user;
    struct mdl_transfer_model m = with(f, value);
    double sum = 0;
    for (size_t i = 0; i < f->n; i++) sum += log_error(&m, &f->point[i]);
    return sum / (double)f->n;
}

/* Median of host seconds per fragment over the points that so many threads submitted; 0 when there are none. */
static double submit_of(const struct fit *f, uint32_t threads)
{
    double *x = sim_alloc(f->n, sizeof *x), median = 0;
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (f->point[i].threads == threads && f->point[i].submit_s > 0)
            x[n++] = f->point[i].submit_s / f->point[i].n;
    if (n) {
        gsl_sort(x, 1, n);
        median = gsl_stats_quantile_from_sorted_data(x, 1, n, 0.5);
    }
    free(x);
    return median;
}

/* Submission is observed directly: host seconds in the calls. With several threads the host time is that of the
 * slowest, so that the ratio is the speed-up. Thread counts that were not measured take the nearest below. */
static void set_submission(struct fit *f)
{
    struct mdl_transfer_model *m = &f->model;
    m->submit_s = fmax(submit_of(f, 1), 1e-12);
    m->speedup[0] = m->speedup[1] = 1;
    for (uint32_t t = 2; t <= MDL_MAX_SUBMITTERS; t++) {
        double s = submit_of(f, t);
        m->speedup[t] = s > 0 ? m->submit_s / s : m->speedup[t - 1];
    }
}

/* A batched call pays once and per fragment: both from host seconds against n. */
static void set_call(struct fit *f, double *call_s)
{
    double few = INFINITY, many = 0, few_s = 0, many_s = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct cal_transfer_point *p = &f->point[i];
        if (p->threads != 1) continue;
        if (p->n < few) few = p->n, few_s = p->submit_s;
        if (p->n > many) many = p->n, many_s = p->submit_s;
    }
    *call_s = fmax(few_s, 1e-9);
    if (many > few) {
        f->model.submit_s = fmax((many_s - few_s) / (many - few), 1e-12);
        *call_s = fmax(few_s - few * f->model.submit_s, 1e-9);
    }
}

static void starts(const struct fit *f, double call_s, struct cal_number *number)
{
    double shortest = INFINITY, rate = 0, piece = INFINITY;
    for (size_t i = 0; i < f->n; i++) {
        const struct cal_transfer_point *p = &f->point[i];
        shortest = fmin(shortest, p->time_s);
        piece = fmin(piece, p->time_s / p->n);
        rate = fmax(rate, p->n * p->bytes / p->time_s);
    }
    number[T0] = (struct cal_number){0.3 * shortest, 1e-9, shortest};
    number[CALL] = (struct cal_number){call_s, 1e-9, 10 * call_s + 1e-9};
    number[SMALL] = (struct cal_number){0.5 * piece, 1e-12, 100 * piece};
    number[LARGE] = (struct cal_number){0.5 * piece, 1e-12, 100 * piece};
    number[RATE] = (struct cal_number){rate, 0.5 * rate, 2 * rate};
}

static struct cal_fit_quality quality(const struct fit *f, const struct mdl_transfer_model *m)
{
    struct cal_fit_quality q = {.n = f->n};
    double *e = sim_alloc(f->n, sizeof *e);
    for (size_t i = 0; i < f->n; i++) e[i] = log_error(m, &f->point[i]);
    gsl_sort(e, 1, f->n);
    q.median = gsl_stats_quantile_from_sorted_data(e, 1, f->n, 0.5);
    q.p90 = gsl_stats_quantile_from_sorted_data(e, 1, f->n, 0.9);
    free(e);
    return q;
}

struct cal_fit_quality cal_fit_transfer(const struct cal_transfer_point *point, size_t n, bool one_call,
                                        struct mdl_transfer_model *out)
{
    struct fit f = {point, n, {.fragments_per_call = !one_call}};
    struct cal_number number[N_NUMBERS];
    double call_s = 1e-9, value[N_NUMBERS], best = INFINITY, *bytes = sim_alloc(n, sizeof *bytes);
    set_submission(&f);
    if (one_call) set_call(&f, &call_s);
    starts(&f, call_s, number);
    for (size_t i = 0; i < n; i++) bytes[i] = point[i].bytes;
    gsl_sort(bytes, 1, n);
    for (size_t i = 0; i < n;
         i++) { /* the break lies at a size that was measured; the first: there is none */
        if (i && bytes[i] <= bytes[i - 1]) continue;
        f.model.break_bytes = bytes[i];
        double found = cal_minimise(number, N_NUMBERS, loss, &f, value);
        if (found >= best * (1 - 1e-6)) continue;
        best = found;
        *out = with(&f, value);
    }
    free(bytes);
    return quality(&f, out);
}

double cal_fit_overlap(const struct cal_overlap_point *point, size_t n)
{
    double *x = sim_alloc(n, sizeof *x);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const struct cal_overlap_point *p = &point[i];
        double longer = fmax(p->copy_s, p->convert_s), shorter = fmin(p->copy_s, p->convert_s);
        if (p->pieces < 2 || !(shorter > 0)) continue;
        double pace = (p->time_s - p->copy_s - p->convert_s) / (p->pieces - 1);
        x[used++] = fmin(fmax(1 - (pace - longer) / shorter, 0), 1);
    }
    gsl_sort(x, 1, used);
    double median = used ? gsl_stats_quantile_from_sorted_data(x, 1, used, 0.5) : 0;
    free(x);
    return median;
}
