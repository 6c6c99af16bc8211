#include "traces/arrivals.h"

#include "sim/csv_in.h"
#include "sim/memory.h"

#include <gsl/gsl_math.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DAY_S = 86400.0;

/* A gap of the renewal process in operational time. */
static double draw_gap(struct trc_arrival_state *a)
{
    return gsl_ran_gamma(&a->gaps.gsl, a->shape, 1.0 / a->shape);
}

/* Log-normal by mean and coefficient of variation. */
static double draw_lognormal(struct trc_rng *rng, double mean, double cv)
{
    double log_variance = log1p(cv * cv);
    return gsl_ran_lognormal(&rng->gsl, log(mean) - log_variance / 2.0, sqrt(log_variance));
}

static double next_gamma(struct trc_arrival_state *a)
{
    return a->now_s + draw_gap(a) / a->spec->request_rate;
}

/* Two states of equal mean length: (quiet + busy) / 2 = request_rate. */
static double next_mmpp(struct trc_arrival_state *a)
{
    double quiet_rate = 2.0 * a->spec->request_rate / (1.0 + a->spec->mmpp_ratio);
    double left = draw_gap(a), now = a->now_s;
    for (;;) {
        double rate = a->is_busy ? quiet_rate * a->spec->mmpp_ratio : quiet_rate;
        if (now + left / rate < a->state_end_s) return now + left / rate;
        left -= (a->state_end_s - now) * rate;
        left = left > 0.0 ? left : 0.0;
        now = a->state_end_s;
        a->is_busy = !a->is_busy;
        a->state_end_s = now + gsl_ran_exponential(&a->states.gsl, a->spec->mmpp_dwell_s);
    }
}

/* Requests expected in [0, t]: integral of rate x (1 - amplitude x cos(2 pi t / day)). */
static double diurnal_count(const struct trc_synth *spec, double day_s, double t)
{
    double amplitude = spec->peak_to_mean - 1.0, turn = 2.0 * M_PI / day_s;
    return spec->request_rate * (t - amplitude * sin(turn * t) / turn);
}

/* Newton's steps inside a bracket that halves when a step would leave it: the count grows with t. */
static double next_diurnal(struct trc_arrival_state *a)
{
    const struct trc_synth *spec = a->spec;
    double day_s = spec->day_s > 0.0 ? spec->day_s : DAY_S, amplitude = spec->peak_to_mean - 1.0;
    double wanted = diurnal_count(spec, day_s, a->now_s) + draw_gap(a);
    double low = a->now_s, high = wanted / spec->request_rate + day_s;
    double t = low + (wanted - diurnal_count(spec, day_s, low)) / spec->request_rate;
    for (int i = 0; i < 100 && high - low > 1e-9; i++) {
        double error = diurnal_count(spec, day_s, t) - wanted;
        if (error > 0.0)
            high = t;
        else
            low = t;
        double rate = spec->request_rate * (1.0 - amplitude * cos(2.0 * M_PI * t / day_s));
        double newton = t - error / rate;
        if (fabs(newton - t) < 1e-9) return newton > a->now_s ? newton : a->now_s;
        t = newton > low && newton < high ? newton : 0.5 * (low + high);
    }
    return t;
}

static double next_curve(struct trc_arrival_state *a)
{
    double left = draw_gap(a), now = a->now_s;
    for (;;) {
        double end = a->curve_base_s + a->curve_start_s[a->step + 1], rate = a->curve_rate[a->step];
        if (rate > 0.0 && now + left / rate < end) return now + left / rate;
        left -= (end - now) * rate;
        left = left > 0.0 ? left : 0.0;
        now = end;
        if (++a->step == a->n_steps) {
            a->step = 0;
            a->curve_base_s = now;
        }
    }
}

static double next_burst(struct trc_arrival_state *a)
{
    const struct trc_bursts *b = &a->spec->bursts;
    bool is_first = a->burst_left < 0.0;
    if (a->burst_left >= 1.0) {
        a->burst_left -= 1.0;
        return a->now_s +
               gsl_ran_gamma(&a->gaps.gsl, a->burst_gap_shape, a->burst_gap_s / a->burst_gap_shape);
    }
    double size = floor(draw_lognormal(&a->states, b->mean_size, b->size_cv) + 0.5);
    a->burst_left = size > 1.0 ? size - 1.0 : 0.0;
    a->burst_gap_s = draw_lognormal(&a->states, b->mean_gap_s, b->mean_gap_cv);
    double shape = 1.0 / (b->pause_cv * b->pause_cv);
    return is_first ? 0.0 : a->now_s + gsl_ran_gamma(&a->states.gsl, shape, a->pause_mean_s / shape);
}

static bool is_positive(double x)
{
    return isfinite(x) && x > 0.0 && x < 1e12;
}

static bool init_rate(struct trc_arrival_state *a, struct sim_status *st)
{
    return is_positive(a->spec->request_rate) ||
           sim_fail_as(st, SIM_EXIT_USAGE, "request_rate %g: expected a number > 0 per second; correct it",
                       a->spec->request_rate);
}

static bool init_mmpp(struct trc_arrival_state *a, struct sim_status *st)
{
    if (!init_rate(a, st)) return false;
    if (!is_positive(a->spec->mmpp_ratio) || !is_positive(a->spec->mmpp_dwell_s))
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "mmpp_ratio %g, mmpp_dwell_s %g: expected both > 0, e.g. 5 and 60; correct them",
                           a->spec->mmpp_ratio, a->spec->mmpp_dwell_s);
    a->is_busy = gsl_rng_uniform(&a->states.gsl) < 0.5;
    a->state_end_s = gsl_ran_exponential(&a->states.gsl, a->spec->mmpp_dwell_s);
    return true;
}

static bool init_diurnal(struct trc_arrival_state *a, struct sim_status *st)
{
    if (!init_rate(a, st)) return false;
    double peak = a->spec->peak_to_mean, day_s = a->spec->day_s;
    return (peak >= 1.0 && peak <= 2.0 && (day_s == 0.0 || is_positive(day_s))) ||
           sim_fail_as(
               st, SIM_EXIT_USAGE,
               "peak_to_mean %g, day_s %g: expected 1 to 2 (a sine has no higher peak) and a day > 0; use a "
               "rate curve for other shapes",
               peak, day_s);
}

static bool init_bursts(struct trc_arrival_state *a, struct sim_status *st)
{
    if (!init_rate(a, st)) return false;
    const struct trc_bursts *b = &a->spec->bursts;
    a->burst_left = -1.0;
    a->burst_gap_shape = 1.0 / (b->gap_cv * b->gap_cv);
    a->pause_mean_s = b->mean_size / a->spec->request_rate - (b->mean_size - 1.0) * b->mean_gap_s;
    bool good = b->mean_size >= 1.0 && b->size_cv >= 0.0 && is_positive(b->mean_gap_s) &&
                b->mean_gap_cv >= 0.0 && is_positive(b->gap_cv) && is_positive(b->pause_cv) &&
                is_positive(a->pause_mean_s);
    return good ||
           sim_fail_as(st, SIM_EXIT_USAGE,
                       "bursts of %g requests %g s apart leave no pause at request_rate %g, expected a rate "
                       "below 1 / gap; lower it, or scale a finished trace",
                       b->mean_size, b->mean_gap_s, a->spec->request_rate);
}

/* Reading a rate curve. */
struct curve_reader {
    struct trc_arrival_state *state;
    int time_column, rate_column;
    size_t room;
};

static bool on_curve_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct curve_reader *c = user;
    struct trc_arrival_state *a = c->state;
    double time_s, rate;
    if (index == 0) {
        c->time_column = sim_csv_column(row, "time_s");
        c->rate_column = sim_csv_column(row, "request_rate");
        return (c->time_column >= 0 && c->rate_column >= 0) ||
               sim_fail(st, "%s:%llu: no rate curve, expected columns time_s and request_rate; name them so",
                        row->path, (unsigned long long)row->line);
    }
    if (!sim_csv_double(row, c->time_column, "time_s", &time_s, st) ||
        !sim_csv_double(row, c->rate_column, "request_rate", &rate, st))
        return false;
    bool is_next = a->n_steps ? time_s > a->curve_start_s[a->n_steps - 1] : time_s == 0.0;
    if (!is_next || rate < 0.0 || rate > 1e12)
        return sim_fail(
            st, "%s:%llu: time %g s, rate %g found, expected times that start at 0 and grow, rates >= 0",
            row->path, (unsigned long long)row->line, time_s, rate);
    if (a->n_steps + 2 > c->room) {
        c->room = c->room ? 2 * c->room : 64;
        a->curve_start_s = sim_realloc(a->curve_start_s, c->room, sizeof *a->curve_start_s);
        a->curve_rate = sim_realloc(a->curve_rate, c->room, sizeof *a->curve_rate);
    }
    a->curve_start_s[a->n_steps] = time_s;
    a->curve_rate[a->n_steps++] = rate;
    return true;
}

/* The last step is as long as the one before it. */
static bool init_curve(struct trc_arrival_state *a, struct sim_status *st)
{
    struct curve_reader reader = {.state = a};
    const char *path = a->spec->curve_path;
    if (!path) return sim_fail_as(st, SIM_EXIT_USAGE, "rate curve: expected a file; name it with --curve");
    if (!sim_csv_read(path, on_curve_row, &reader, st)) return false;
    size_t n = a->n_steps;
    if (n < 2) return sim_fail(st, "%s:1: has %zu rows, expected a curve of two or more; add rows", path, n);
    a->curve_start_s[n] = 2.0 * a->curve_start_s[n - 1] - a->curve_start_s[n - 2];
    double count = 0.0;
    for (size_t i = 0; i < n; i++)
        count += a->curve_rate[i] * (a->curve_start_s[i + 1] - a->curve_start_s[i]);
    if (!is_positive(count))
        return sim_fail(st, "%s:1: all rates are 0, expected some above; correct the curve", path);
    if (a->spec->request_rate == 0.0) return true;
    if (!init_rate(a, st)) return false;
    for (size_t i = 0; i < n; i++) a->curve_rate[i] *= a->spec->request_rate * a->curve_start_s[n] / count;
    return true;
}

static const struct {
    bool (*init)(struct trc_arrival_state *a, struct sim_status *st);
    double (*next)(struct trc_arrival_state *a);
} processes[] = {
    [TRC_ARRIVE_GAMMA] = {init_rate, next_gamma},        [TRC_ARRIVE_MMPP] = {init_mmpp, next_mmpp},
    [TRC_ARRIVE_DIURNAL] = {init_diurnal, next_diurnal}, [TRC_ARRIVE_CURVE] = {init_curve, next_curve},
    [TRC_ARRIVE_BURSTS] = {init_bursts, next_burst},
};

bool trc_arrivals_init(struct trc_arrival_state *a, const struct trc_synth *spec, struct sim_status *st)
{
    memset(a, 0, sizeof *a);
    a->spec = spec;
    a->shape = spec->burstiness == 0.0 ? 1.0 : spec->burstiness;
    trc_rng_init(&a->gaps, spec->seed, "arrival gaps");
    trc_rng_init(&a->states, spec->seed, "arrival states");
    if (!is_positive(a->shape))
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "burstiness %g: expected a number > 0, 1 is Poisson; correct it",
                           spec->burstiness);
    return processes[spec->arrivals].init(a, st);
}

double trc_arrivals_next(struct trc_arrival_state *a)
{
    a->now_s = processes[a->spec->arrivals].next(a);
    return a->now_s;
}

void trc_arrivals_fini(struct trc_arrival_state *a)
{
    free(a->curve_start_s);
    free(a->curve_rate);
    memset(a, 0, sizeof *a);
}
