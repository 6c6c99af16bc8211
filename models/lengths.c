#include "models/lengths.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multimin.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/published_rows.h"
#include "sim/csv_in.h"
#include "sim/memory.h"

enum { MAX_FIGURES = 16, MIN_PAIRS = 20, MAX_PAIRS = 1 << 24, MAX_ITERATIONS = 2000 };

/* ---- published figures ---- */

enum statistic { AT_MOST, AT_LEAST, MEAN, SIGMA, SAME, NONE, N_STATISTICS };
enum use { FIT, CHECK, OTHER, N_USES };
static const char *const statistics[N_STATISTICS] = {"at_most", "at_least", "mean", "sigma", "same", "none"};
static const char *const uses[N_USES] = {"fit", "check", "other"};

struct figure {
    enum statistic statistic;
    double threshold, value;
};

struct figures {
    struct figure at[MAX_FIGURES];
    uint32_t n;
};

struct normal {
    double mu, sigma;
};

/* What a log-normal factor capped at MDL_LENGTH_MOST says to a figure. source: moments of a log-normal cut off
 * above, E[min(X, m)] = E[X; X < m] + m P(X > m). */
static double predicted(struct normal d, const struct figure *f)
{
    double z = (log(f->threshold) - d.mu) / d.sigma, top = (log(MDL_LENGTH_MOST) - d.mu) / d.sigma;
    switch (f->statistic) {
    case AT_MOST:
        return gsl_cdf_ugaussian_P(z);
    case AT_LEAST:
        return gsl_cdf_ugaussian_Q(z);
    case MEAN:
        return exp(d.mu + d.sigma * d.sigma / 2) * gsl_cdf_ugaussian_P(top - d.sigma) +
               MDL_LENGTH_MOST * gsl_cdf_ugaussian_Q(top);
    case SIGMA:
    case SAME:
    case NONE:
    case N_STATISTICS:
        break;
    }
    return d.sigma;
}

static double worst(struct normal d, const struct figures *f)
{
    double most = 0;
    for (uint32_t i = 0; i < f->n; i++) most = fmax(most, fabs(predicted(d, &f->at[i]) - f->at[i].value));
    return most;
}

static double squares(const gsl_vector *x, void *figures)
{
    const struct figures *f = figures;
    struct normal d = {gsl_vector_get(x, 0), exp(gsl_vector_get(x, 1))};
    double sum = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        double e = predicted(d, &f->at[i]) - f->at[i].value;
        sum += e * e;
    }
    return sum;
}

/* A mean and a share can be met twice, with a narrow spread and with an absurd one: the start leads to the former. */
static struct normal least_squares(struct figures *f)
{
    double start[2] = {0, log(0.4)}, size[2] = {0.1, 0.2};
    gsl_vector_view x = gsl_vector_view_array(start, 2), steps = gsl_vector_view_array(size, 2);
    gsl_multimin_function sum = {.f = squares, .n = 2, .params = f};
    gsl_multimin_fminimizer *m = gsl_multimin_fminimizer_alloc(gsl_multimin_fminimizer_nmsimplex2, 2);
    int status = gsl_multimin_fminimizer_set(m, &sum, &x.vector, &steps.vector);
    for (int i = 0; i < MAX_ITERATIONS && status == GSL_SUCCESS; i++) {
        status = gsl_multimin_fminimizer_iterate(m);
        if (gsl_multimin_fminimizer_size(m) < 1e-10) break;
    }
    struct normal d = {gsl_vector_get(gsl_multimin_fminimizer_x(m), 0),
                       exp(gsl_vector_get(gsl_multimin_fminimizer_x(m), 1))};
    gsl_multimin_fminimizer_free(m);
    return d;
}

static bool is_share(const struct figure *f)
{
    return f->statistic == AT_MOST || f->statistic == AT_LEAST;
}

/* The log-normal through two shares. */
static struct normal through(const struct figure *a, const struct figure *b)
{
    double za = gsl_cdf_ugaussian_Pinv(a->statistic == AT_MOST ? a->value : 1 - a->value);
    double zb = gsl_cdf_ugaussian_Pinv(b->statistic == AT_MOST ? b->value : 1 - b->value);
    double sigma = log(b->threshold / a->threshold) / (zb - za);
    return (struct normal){log(a->threshold) - sigma * za, sigma};
}

static struct normal fitted(struct figures *f)
{
    return f->n == 2 && is_share(&f->at[0]) && is_share(&f->at[1]) ? through(&f->at[0], &f->at[1])
                                                                   : least_squares(f);
}

/* ---- from quantiles ---- */

static void set_shares(struct mdl_lengths *l)
{
    double sum = 0, half = 0, longer = 0;
    for (int i = 0; i < MDL_LENGTH_QUANTILES; i++) {
        sum += (double)l->factor[i];
        half += l->factor[i] <= 0.5f;
        longer += l->factor[i] >= 1.5f;
    }
    l->mean = sum / MDL_LENGTH_QUANTILES;
    l->half_frac = half / MDL_LENGTH_QUANTILES;
    l->longer_frac = longer / MDL_LENGTH_QUANTILES;
}

static double quantile(int i)
{
    return (i + 0.5) / MDL_LENGTH_QUANTILES;
}

static void set_normal(struct mdl_lengths *l, struct normal d)
{
    l->any = l->known = true;
    l->mu = d.mu;
    l->sigma = d.sigma;
    for (int i = 0; i < MDL_LENGTH_QUANTILES; i++) {
        double factor = exp(d.mu + d.sigma * gsl_cdf_ugaussian_Pinv(quantile(i)));
        l->factor[i] = (float)fmin(factor, MDL_LENGTH_MOST);
    }
    set_shares(l);
}

static struct mdl_lengths unchanged(const char *source, bool known)
{
    struct mdl_lengths l = {.known = known, .mean = 1, .mu = NAN, .sigma = NAN, .check_error = NAN};
    for (int i = 0; i < MDL_LENGTH_QUANTILES; i++) l.factor[i] = 1;
    snprintf(l.source, sizeof l.source, "%s", source);
    return l;
}

/* ---- lengths.csv ---- */

enum { STRATEGY, PARAMETERS, STATISTIC, THRESHOLD, VALUE, USE, MODEL, SOURCE, N_COLUMNS };

struct loading {
    struct mdl_row_column column[N_COLUMNS];
    const struct mdl_kv_use *strategy;
    struct figures fit, check;
    struct mdl_rows_aside aside;
    struct mdl_lengths out; /* source and model only, until all rows are read */
    uint64_t line;          /* of the first row that is fitted */
    bool unchanged;         /* it says that lengths stay, or that nobody published them: */
    bool known;             /* the former */
};

static bool no_figure(const struct figure *f)
{
    return f->statistic == SAME || f->statistic == NONE;
}

static bool read_figure(const struct loading *l, const struct sim_csv_row *row, struct figure *f,
                        enum use *use, struct sim_status *st)
{
    int statistic = mdl_row_choice(row, l->column[STATISTIC], statistics, N_STATISTICS, st);
    int word = mdl_row_choice(row, l->column[USE], uses, N_USES, st);
    if (statistic < 0 || word < 0) return false;
    *f = (struct figure){.statistic = (enum statistic)statistic, .threshold = 1};
    *use = (enum use)word;
    if (no_figure(f)) return true;
    if (!is_share(f)) return mdl_row_number(row, l->column[VALUE], (double[]){0.01, 10}, &f->value, st);
    return mdl_row_number(row, l->column[THRESHOLD], (double[]){0.01, MDL_LENGTH_MOST}, &f->threshold, st) &&
           mdl_row_number(row, l->column[VALUE], (double[]){0.0001, 0.9999}, &f->value, st);
}

static bool keep_figure(struct loading *l, const struct sim_csv_row *row, const struct figure *f,
                        enum use use, struct sim_status *st)
{
    struct figures *to = use == FIT ? &l->fit : &l->check;
    if (use == OTHER) return true;
    if (to->n == MAX_FIGURES)
        return sim_fail(st, "%s:%llu: more than %d figures of %s", row->path, (unsigned long long)row->line,
                        MAX_FIGURES, l->strategy->strategy->name);
    to->at[to->n++] = *f;
    if (use == CHECK || l->line) return true;
    l->line = row->line;
    l->unchanged = no_figure(f);
    l->known = f->statistic != NONE;
    return mdl_row_copy(row, l->column[MODEL], l->out.model, sizeof l->out.model, st) &&
           mdl_row_copy(row, l->column[SOURCE], l->out.source, sizeof l->out.source, st);
}

static bool on_figure(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct loading *l = user;
    struct figure f;
    struct mdl_row_parameters at;
    enum use use;
    if (index == 0) return mdl_row_columns(row, l->column, N_COLUMNS, st);
    if (!read_figure(l, row, &f, &use, st) || !mdl_row_parameters(row, l->column[PARAMETERS].at, &at, st))
        return false;
    if (!mdl_row_is_of(row, l->column[STRATEGY].at, l->strategy->strategy->name)) return true;
    if (mdl_row_matches(&at, l->strategy)) return keep_figure(l, row, &f, use, st);
    if (use == FIT && f.statistic != NONE) mdl_rows_set_aside(&l->aside, &at);
    return true;
}

static bool conclude(struct loading *l, const char *path, struct mdl_lengths *out, struct sim_status *st)
{
    if (!l->line || l->unchanged) {
        char none[sizeof out->source] = MDL_NO_FIGURE ": lengths are taken as they are";
        if (!l->line) mdl_rows_aside_text(&l->aside, l->strategy, none, sizeof none);
        *out = unchanged(l->line ? l->out.source : none, l->known);
        return true;
    }
    if (l->fit.n < 2)
        return sim_fail(
            st, "%s:%llu: %s has one figure to fit, expected two or more: a log-normal has two parameters",
            path, (unsigned long long)l->line, l->strategy->strategy->name);
    struct normal d = fitted(&l->fit);
    if (!(d.sigma > 0 && d.sigma < 10 && isfinite(d.mu)))
        return sim_fail(st, "%s:%llu: no log-normal meets the figures of %s; check thresholds and shares",
                        path, (unsigned long long)l->line, l->strategy->strategy->name);
    set_normal(&l->out, d);
    l->out.fit_error = worst(d, &l->fit);
    l->out.check_error = l->check.n ? worst(d, &l->check) : (double)NAN;
    *out = l->out;
    return true;
}

bool mdl_lengths_load(const char *csv_path, const struct mdl_kv_use *strategy, struct mdl_lengths *out,
                      struct sim_status *st)
{
    struct loading l = {.strategy = strategy};
    static const char *const names[N_COLUMNS] = {"strategy", "parameters", "statistic", "threshold",
                                                 "value",    "use",        "model",     "source"};
    for (int i = 0; i < N_COLUMNS; i++) l.column[i].name = names[i];
    return sim_csv_read(csv_path, on_figure, &l, st) && conclude(&l, csv_path, out, st);
}

/* ---- the user's pairs ---- */

struct pairs {
    struct mdl_row_column baseline, strategy;
    double *factor;
    uint32_t n, room, n_skipped;
};

static bool tokens(const struct sim_csv_row *row, struct mdl_row_column c, uint64_t *out,
                   struct sim_status *st)
{
    if (!sim_csv_u64(row, c.at, c.name, out, st)) return false;
    if (*out <= UINT32_MAX) return true;
    return sim_fail(st, "%s:%llu: %s is %llu, expected a number of tokens below 2^32", row->path,
                    (unsigned long long)row->line, c.name, (unsigned long long)*out);
}

static bool on_pair(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct pairs *p = user;
    uint64_t before, after;
    if (index == 0)
        return mdl_row_columns(row, &p->baseline, 1, st) && mdl_row_columns(row, &p->strategy, 1, st);
    if (!tokens(row, p->baseline, &before, st) || !tokens(row, p->strategy, &after, st)) return false;
    if (!before) {
        p->n_skipped++;
        return true;
    }
    if (p->n == MAX_PAIRS) return sim_fail(st, "%s: more than %d pairs", row->path, MAX_PAIRS);
    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 256;
        p->factor = sim_realloc(p->factor, p->room, sizeof *p->factor);
    }
    p->factor[p->n++] = (double)after / (double)before;
    return true;
}

static bool from_pairs(const struct pairs *p, const char *path, struct mdl_lengths *out,
                       struct sim_status *st)
{
    if (p->n < MIN_PAIRS)
        return sim_fail(
            st,
            "%s: %u pairs with a baseline token (%u without), expected at least %d; measure more requests",
            path, p->n, p->n_skipped, MIN_PAIRS);
    const char *slash = strrchr(path, '/');
    struct mdl_lengths l = {.any = true, .known = true, .mu = NAN, .sigma = NAN, .check_error = NAN};
    l.n_pairs = p->n;
    l.n_skipped = p->n_skipped;
    gsl_sort(p->factor, 1, p->n);
    for (int i = 0; i < MDL_LENGTH_QUANTILES; i++)
        l.factor[i] = (float)gsl_stats_quantile_from_sorted_data(p->factor, 1, p->n, quantile(i));
    snprintf(l.source, sizeof l.source, "measured: %u pairs of %.80s", p->n, slash ? slash + 1 : path);
    set_shares(&l);
    *out = l;
    return true;
}

bool mdl_lengths_read_pairs(const char *csv_path, struct mdl_lengths *out, struct sim_status *st)
{
    struct pairs p = {.baseline.name = "baseline_tokens", .strategy.name = "strategy_tokens"};
    bool ok = sim_csv_read(csv_path, on_pair, &p, st) && from_pairs(&p, csv_path, out, st);
    free(p.factor);
    return ok;
}
