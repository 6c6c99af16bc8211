#include "experiments/planning/money/risk.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

#include "experiments/parallel.h"
#include "experiments/planning/money/risk_parts.h"
#include "experiments/setup.h"
#include "sim/check.h"
#include "sim/memory.h"

enum { CHUNK = 256, BINS = 20 };
static const double LOW = 0.05, HIGH = 0.95;

/* All draws of all options. */
struct study {
    const struct exp_plan *plan;
    const struct exp_option *options;
    const struct exp_option *baseline;
    uint32_t n, n_draws;
    uint64_t seed;
    struct exp_sampler *sampler;            /* [n + 1], the baseline's last */
    double *npv, *saving, *total, *payback; /* [n_draws][n]; payback in months, NaN = never */
    double *mean_npv;                       /* [n] */
    double best_mean;                       /* of them and of the baseline, 0 */
    double perfect;
    struct exp_risk *risk;
};

static const struct exp_sampler *baseline_of(const struct study *s)
{
    return &s->sampler[s->n];
}

static struct exp_cash cash_in(const struct exp_option *o, const struct exp_world *w)
{
    struct exp_cash cash;
    exp_cash_flow(o->economy, w, &cash);
    return cash;
}

static double payback_months(const struct exp_return *r)
{
    if (r->payback == EXP_PAYBACK_IMMEDIATE) return 0;
    return r->payback == EXP_PAYBACK_MONTH ? r->payback_month : NAN;
}

/* ---- draws ---- */

static struct exp_cash drawn_cash(const struct study *s, uint32_t option, uint32_t k)
{
    double z[EXP_N_INPUTS];
    exp_sampler_draw(&s->sampler[option], s->seed, k, z);
    struct exp_world w = exp_sampler_world(&s->sampler[option], z);
    return cash_in(s->sampler[option].option, &w);
}

static void draw(struct study *s, uint32_t k)
{
    struct exp_cash baseline = drawn_cash(s, s->n, k);
    for (uint32_t i = 0; i < s->n; i++) {
        struct exp_cash cash = drawn_cash(s, i, k);
        struct exp_return r = exp_return_of(&baseline, &cash, s->plan->discount_rate);
        size_t at = (size_t)k * s->n + i;
        s->npv[at] = r.npv;
        s->saving[at] = r.saving;
        s->total[at] = cash.total;
        s->payback[at] = payback_months(&r);
    }
}

static void draw_chunk(void *study, uint32_t chunk)
{
    struct study *s = study;
    uint32_t end = (chunk + 1) * CHUNK < s->n_draws ? (chunk + 1) * CHUNK : s->n_draws;
    for (uint32_t k = chunk * CHUNK; k < end; k++) draw(s, k);
}

/* ---- bands ---- */

/* The n draws of an option that are numbers, sorted; how many. */
static uint32_t sorted_column(const struct study *s, const double *all, uint32_t option, double *out)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->n_draws; k++) {
        double v = all[(size_t)k * s->n + option];
        if (!isnan(v)) out[n++] = v;
    }
    gsl_sort(out, 1, n);
    return n;
}

static struct exp_band band_of(const double *sorted, uint32_t n)
{
    if (n == 0) return (struct exp_band){NAN, NAN, NAN};
    return (struct exp_band){.mean = gsl_stats_quantile_from_sorted_data(sorted, 1, n, 0.5),
                             .lo = gsl_stats_quantile_from_sorted_data(sorted, 1, n, LOW),
                             .hi = gsl_stats_quantile_from_sorted_data(sorted, 1, n, HIGH)};
}

static void measure_bands(const struct study *s, uint32_t option, struct exp_risk *r)
{
    double *v = sim_alloc(s->n_draws, sizeof *v);
    uint32_t positive = 0, n = sorted_column(s, s->npv, option, v);
    for (uint32_t k = 0; k < n; k++) positive += v[k] > 0;
    r->p_saving = (double)positive / s->n_draws;
    r->npv = band_of(v, n);
    r->saving = band_of(v, sorted_column(s, s->saving, option, v));
    r->cost_total = band_of(v, sorted_column(s, s->total, option, v));
    n = sorted_column(s, s->payback, option, v);
    r->payback_months = band_of(v, n);
    r->p_payback = (double)n / s->n_draws;
    free(v);
}

/* ---- tornado ---- */

static bool is_uncertain(const struct study *s, uint32_t option, int input)
{
    if (input == EXP_INPUT_BASELINE) return exp_sampler_own_log_sd(baseline_of(s), &s->sampler[option]) > 0;
    return s->sampler[option].log_sd[input] > 0;
}

static double npv_at(const struct study *s, uint32_t option, int input, double z)
{
    const struct exp_sampler *own = &s->sampler[option];
    struct exp_world w = exp_sampler_world_at(own, input, z),
                     b = exp_sampler_baseline_at(baseline_of(s), own, input, z);
    struct exp_cash cash = cash_in(own->option, &w), baseline = cash_in(s->baseline, &b);
    return exp_return_of(&baseline, &cash, s->plan->discount_rate).npv;
}

static double value_at(const struct study *s, uint32_t option, int input, double z)
{
    const struct exp_sampler *own = &s->sampler[option];
    if (input != EXP_INPUT_BASELINE) return exp_sampler_value(own, input, z);
    return exp(z * exp_sampler_own_log_sd(baseline_of(s), own));
}

/* ---- what knowing an input is worth ---- */

/* The bin of an input's quantile in a draw: each holds as many, on average. */
static uint32_t bin_of(const struct study *s, uint32_t option, int input, uint32_t k)
{
    const struct exp_sampler *own = &s->sampler[option];
    double z[EXP_N_INPUTS], at;
    if (input == EXP_INPUT_BASELINE) {
        exp_sampler_draw(baseline_of(s), s->seed, k, z);
        at = exp_sampler_own_z(baseline_of(s), own, z);
    } else {
        at = exp_sampler_z(own, input, s->seed, k);
    }
    uint32_t bin = (uint32_t)(BINS * gsl_cdf_ugaussian_P(at));
    return bin < BINS ? bin : BINS - 1;
}

/* The option that earns most in sum, or none of them: n. */
static uint32_t best_of(const double *sum, uint32_t n)
{
    uint32_t best = n;
    for (uint32_t i = 0; i < n; i++)
        if (sum[i] > (best == n ? 0 : sum[best])) best = i;
    return best;
}

static double knowing(const struct study *s, uint32_t option, int input)
{
    uint32_t n = s->n;
    double *sum = sim_alloc((size_t)2 * BINS * n, sizeof *sum), value = 0; /* [half][bin][n] */
    for (uint32_t k = 0; k < s->n_draws; k++) {
        double *of_bin = &sum[(size_t)(k % 2 * BINS + bin_of(s, option, input, k)) * n];
        for (uint32_t i = 0; i < n; i++) of_bin[i] += s->npv[(size_t)k * n + i];
    }
    for (uint32_t b = 0; b < 2 * BINS; b++) {
        uint32_t best = best_of(&sum[(size_t)b * n], n), other = (b + BINS) % (2 * BINS);
        if (best < n) value += sum[(size_t)other * n + best];
    }
    free(sum);
    return fmin(fmax(0, value / s->n_draws - s->best_mean), s->perfect); /* up to rounding, it is below */
}

/* Longest first; equal ones in the order of inputs. */
static int by_reach(const void *a, const void *b)
{
    const struct exp_bar *x = a, *y = b;
    if (x->reach != y->reach) return x->reach > y->reach ? -1 : 1;
    return x->input - y->input;
}

/* Whole servers make the NPV jump: both ends may lie on one side of what is expected. */
static double reach_of(const struct exp_bar *b, double expected)
{
    return fmax(fabs(b->npv_high - b->npv_low),
                fmax(fabs(b->npv_high - expected), fabs(b->npv_low - expected)));
}

static void measure_bars(const struct study *s, uint32_t option, struct exp_risk *r)
{
    double low = gsl_cdf_ugaussian_Pinv(LOW), high = gsl_cdf_ugaussian_Pinv(HIGH);
    double expected = npv_at(s, option, EXP_INPUT_GROWTH, 0);
    r->n_bars = 0;
    for (int i = 0; i < EXP_N_INPUTS; i++) {
        if (!is_uncertain(s, option, i)) continue;
        r->bar[r->n_bars++] = (struct exp_bar){.input = i,
                                               .low_value = value_at(s, option, i, low),
                                               .high_value = value_at(s, option, i, high),
                                               .npv_low = npv_at(s, option, i, low),
                                               .npv_high = npv_at(s, option, i, high),
                                               .knowing = knowing(s, option, i)};
        struct exp_bar *bar = &r->bar[r->n_bars - 1];
        bar->reach = reach_of(bar, expected);
    }
    qsort(r->bar, r->n_bars, sizeof *r->bar, by_reach);
}

static void measure_option(void *study, uint32_t option)
{
    const struct study *s = study;
    struct exp_risk *r = &s->risk[option];
    r->n_draws = s->n_draws;
    measure_bands(s, option, r);
    measure_bars(s, option, r);
}

/* ---- all of it ---- */

/* Means of all options, and the mean of the best in every draw less the best mean. */
static void measure_perfect(struct study *s)
{
    double best_sum = 0;
    for (uint32_t k = 0; k < s->n_draws; k++) {
        double best = 0;
        for (uint32_t i = 0; i < s->n; i++) {
            double npv = s->npv[(size_t)k * s->n + i];
            s->mean_npv[i] += npv / s->n_draws;
            best = fmax(best, npv);
        }
        best_sum += best / s->n_draws;
    }
    s->best_mean = 0;
    for (uint32_t i = 0; i < s->n; i++) s->best_mean = fmax(s->best_mean, s->mean_npv[i]);
    s->perfect = fmax(0, best_sum - s->best_mean);
}

static void study_init(struct study *s)
{
    size_t n = (size_t)s->n_draws * s->n;
    s->sampler = sim_alloc(s->n + 1, sizeof *s->sampler);
    for (uint32_t i = 0; i <= s->n; i++)
        exp_sampler_init(&s->sampler[i], s->plan, i < s->n ? &s->options[i] : s->baseline);
    s->npv = sim_alloc(n, sizeof *s->npv);
    s->saving = sim_alloc(n, sizeof *s->saving);
    s->total = sim_alloc(n, sizeof *s->total);
    s->payback = sim_alloc(n, sizeof *s->payback);
    s->mean_npv = sim_alloc(s->n, sizeof *s->mean_npv);
}

static void study_fini(struct study *s)
{
    for (uint32_t i = 0; i <= s->n; i++) exp_sampler_fini(&s->sampler[i]);
    free(s->sampler);
    free(s->npv);
    free(s->saving);
    free(s->total);
    free(s->payback);
    free(s->mean_npv);
}

double exp_risk_run(const struct exp_plan *plan, const struct exp_option *options, uint32_t n,
                    const struct exp_option *baseline, uint64_t seed, uint32_t n_draws, uint32_t n_threads,
                    struct exp_risk *risk, double *perfect)
{
    double begin_s = exp_clock_s();
    struct study s = {.plan = plan,
                      .options = options,
                      .baseline = baseline,
                      .n = n,
                      .n_draws = n_draws,
                      .seed = seed,
                      .risk = risk};
    SIM_CHECK(n_draws > 0);
    study_init(&s);
    exp_parallel((n_draws + CHUNK - 1) / CHUNK, n_threads, draw_chunk, &s);
    measure_perfect(&s);
    *perfect = s.perfect;
    exp_parallel(n, n_threads, measure_option, &s);
    study_fini(&s);
    return exp_clock_s() - begin_s;
}
