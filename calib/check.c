#include "calib/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>

#include "calib/fit.h"
#include "models/monotone.h"
#include "sim/memory.h"

/* ---- errors ---- */

struct tally {
    double *log_ratio; /* log(predicted / measured) */
    size_t n;
};

static void tally_add(struct tally *t, double log_ratio)
{
    if (isfinite(log_ratio)) t->log_ratio[t->n++] = log_ratio;
}

/* sd_log is robust: the tenth of worst errors (a clock that dropped, a kernel chosen badly) is not what a
 * replication should draw, so it is the 68 % half-width of |log error|. */
static struct mdl_errors summarise(struct tally *t)
{
    struct mdl_errors e = {.n = t->n};
    if (t->n == 0) return e;
    double *size = sim_alloc(t->n, sizeof *size), *frac = sim_alloc(t->n, sizeof *frac);
    for (size_t i = 0; i < t->n; i++) {
        frac[i] = expm1(t->log_ratio[i]);
        size[i] = fabs(t->log_ratio[i]);
    }
    e.bias = gsl_stats_mean(frac, 1, t->n);
    for (size_t i = 0; i < t->n; i++) frac[i] = fabs(frac[i]);
    gsl_sort(frac, 1, t->n);
    gsl_sort(size, 1, t->n);
    e.median = gsl_stats_quantile_from_sorted_data(frac, 1, t->n, 0.5);
    e.p90 = gsl_stats_quantile_from_sorted_data(frac, 1, t->n, 0.9);
    e.worst = frac[t->n - 1];
    e.sd_log = gsl_stats_quantile_from_sorted_data(size, 1, t->n, 0.6827);
    free(size);
    free(frac);
    return e;
}

/* ---- folds ---- */

/* Attention rows of all batches belong to one site. */
static uint32_t site_keys(enum mdl_family f)
{
    return f == MDL_GEMM ? 3 : f == MDL_ALLREDUCE ? 2 : 4;
}

/* A fold per point, the same for all points of a site; points are sorted by key, so sites are runs. */
static uint8_t *folds_of_sites(enum mdl_family f, const struct cal_table *t, uint64_t seed)
{
    uint32_t *site = sim_alloc(t->n + 1, sizeof *site), n_sites = 0;
    uint8_t *fold = sim_alloc(t->n + 1, 1);
    for (size_t i = 0; i < t->n; i++) {
        size_t bytes = site_keys(f) * sizeof t->point[i].key[0];
        if (i == 0 || memcmp(t->point[i].key, t->point[i - 1].key, bytes) != 0) n_sites++;
        site[i] = n_sites - 1;
    }
    uint32_t *order = sim_alloc(n_sites + 1, sizeof *order);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, seed);
    for (uint32_t i = 0; i < n_sites; i++) order[i] = i;
    gsl_ran_shuffle(rng, order, n_sites, sizeof *order);
    gsl_rng_free(rng);
    for (size_t i = 0; i < t->n; i++) fold[i] = (uint8_t)(order[site[i]] % CAL_FOLDS);
    free(order);
    free(site);
    return fold;
}

static uint8_t *folds_of_points(const struct cal_table *t, uint64_t seed)
{
    uint8_t *fold = sim_alloc(t->n + 1, 1);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, seed);
    for (size_t i = 0; i < t->n; i++) fold[i] = (uint8_t)gsl_rng_uniform_int(rng, CAL_FOLDS);
    gsl_rng_free(rng);
    return fold;
}

/* A row as a table would have it: attention rows are monotone in the fit, so one that is asked for is as
 * well. */
static bool ask_row(const struct mdl_sheet *sheet, const struct mdl_peaks *peaks, enum mdl_family f,
                    const uint32_t *key, double *y)
{
    const struct mdl_surface *s = &sheet->s;
    uint8_t how[MDL_MAX_MONOTONE];
    if (!mdl_sheet_row(sheet, f, key, y, how)) return false;
    if (f == MDL_GEMM) return true;
    for (uint32_t c = 0; c < s->n_cols; c++)
        y[c] += log(mdl_sheet_law_s(peaks, f, sheet->t0_s, key, s->axis[c]));
    mdl_monotone(y, s->n_cols, 1);
    for (uint32_t c = 0; c < s->n_cols; c++)
        y[c] -= log(mdl_sheet_law_s(peaks, f, sheet->t0_s, key, s->axis[c]));
    return true;
}

/* Asks the sheet for every point that it was not built from. */
static void ask_left_out(const struct mdl_sheet *sheet, const struct mdl_peaks *peaks, enum mdl_family f,
                         const struct cal_table *t, const bool *use, struct tally *tally)
{
    double *y = sim_alloc(sheet->s.n_cols, sizeof *y);
    const struct cal_point *row = NULL;
    bool found = false;
    for (size_t i = 0; i < t->n; i++) {
        const struct cal_point *p = &t->point[i];
        if (use[i]) continue;
        if (!row || memcmp(row->key, p->key, sizeof p->key) != 0) {
            row = p;
            found = ask_row(sheet, peaks, f, p->key, y);
        }
        struct mdl_place at = mdl_axis_place(sheet->s.axis, sheet->s.n_cols, p->size);
        double slow = (1 - at.frac) * y[at.i] + (at.frac > 0 ? at.frac * y[at.i + 1] : 0);
        if (found)
            tally_add(tally, slow + log(mdl_sheet_law_s(peaks, f, sheet->t0_s, p->key, p->size) / p->time_s));
    }
    free(y);
}

static struct mdl_errors check(const struct mdl_peaks *peaks, enum mdl_family f, const struct cal_table *t,
                               const uint8_t *fold)
{
    struct tally tally = {.log_ratio = sim_alloc(t->n + 1, sizeof(double))};
    bool *use = sim_alloc(t->n + 1, sizeof *use);
    for (uint8_t left_out = 0; left_out < CAL_FOLDS; left_out++) {
        size_t n_used = 0;
        for (size_t i = 0; i < t->n; i++) n_used += use[i] = fold[i] != left_out;
        if (n_used == 0 || n_used == t->n) continue;
        struct mdl_sheet sheet;
        cal_sheet_build(peaks, f, t, use, &sheet);
        cal_sheet_complete(&sheet, f, peaks);
        ask_left_out(&sheet, peaks, f, t, use, &tally);
        mdl_sheet_fini(&sheet);
    }
    struct mdl_errors e = summarise(&tally);
    free(use);
    free(tally.log_ratio);
    return e;
}

struct mdl_errors cal_check_sites(const struct mdl_peaks *peaks, enum mdl_family f, const struct cal_table *t,
                                  uint64_t seed)
{
    uint8_t *fold = folds_of_sites(f, t, seed);
    struct mdl_errors e = check(peaks, f, t, fold);
    free(fold);
    return e;
}

struct mdl_errors cal_check_points(const struct mdl_peaks *peaks, enum mdl_family f,
                                   const struct cal_table *t, uint64_t seed)
{
    uint8_t *fold = folds_of_points(t, seed);
    struct mdl_errors e = check(peaks, f, t, fold);
    free(fold);
    return e;
}

/* Chunk lengths dealt to folds by a shuffle. */
static uint8_t *folds_of_chunks(const struct cal_table *past, uint64_t seed)
{
    uint8_t *fold = sim_alloc(past->n + 1, 1), deal[256];
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, seed);
    for (int i = 0; i < 256; i++) deal[i] = (uint8_t)(i % CAL_FOLDS);
    gsl_ran_shuffle(rng, deal, 256, 1);
    gsl_rng_free(rng);
    for (size_t i = 0, n = 0; i < past->n; i++) {
        n += i > 0 && past->point[i].size != past->point[i - 1].size;
        fold[i] = deal[n % 256];
    }
    return fold;
}

static void ask_past(const struct mdl_profile *p, const struct cal_table *past, const bool *use,
                     struct tally *tally)
{
    struct mdl_attn_table *table = NULL;
    for (size_t i = 0; i < past->n; i++) {
        const struct cal_point *c = &past->point[i];
        if (!table || memcmp(c->key, past->point[i - 1].key, 4 * sizeof c->key[0]) != 0) {
            struct mdl_attn_shape shape = {c->key[1], c->key[2], c->key[3], (enum mdl_dtype)c->key[0]};
            mdl_attn_table_free(table);
            table = mdl_attn_prefill_table_new(p, shape);
        }
        if (!use[i])
            tally_add(tally, log(mdl_attn_prefill_at(table, c->key[4], c->size, c->past).s / c->time_s));
    }
    mdl_attn_table_free(table);
}

struct mdl_errors cal_check_past(struct mdl_profile *p, const struct cal_table *past, uint64_t seed)
{
    struct tally tally = {.log_ratio = sim_alloc(past->n + 1, sizeof(double))};
    struct mdl_past_law kept = p->past;
    uint8_t *fold = folds_of_chunks(past, seed);
    bool *use = sim_alloc(past->n + 1, sizeof *use);
    for (uint8_t left_out = 0; left_out < CAL_FOLDS; left_out++) {
        for (size_t i = 0; i < past->n; i++) use[i] = fold[i] != left_out;
        p->past = cal_fit_past(p, past, use);
        ask_past(p, past, use, &tally);
    }
    p->past = kept;
    struct mdl_errors e = summarise(&tally);
    free(use);
    free(fold);
    free(tally.log_ratio);
    return e;
}
