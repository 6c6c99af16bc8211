#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "experiments/planning/money/risk_parts.h"
#include "sim/check.h"
#include "sim/memory.h"
#include "sim/random.h"

static const double Z95 =
    1.6448536269514722; /* 90 % of a normal distribution lies within so many deviations */

const char *exp_input_name(int input)
{
    static const char *const shared[EXP_N_INPUTS - EXP_N_DRIVERS] = {
        "growth of the load",   "price of servers", "price of renting",
        "price of power",       "failing answers",  "cost of failures and misses",
        "speed of the baseline"};
    SIM_CHECK(input >= 0 && input < EXP_N_INPUTS);
    return input < EXP_N_DRIVERS ? exp_driver_name(input) : shared[input - EXP_N_DRIVERS];
}

const char *exp_input_key(int input)
{
    return input == EXP_INPUT_GROWTH ? "load.growth_per_year" : NULL;
}

struct exp_option exp_option_of(const struct exp_economy *economy, const struct exp_response *response)
{
    return (struct exp_option){.economy = economy,
                               .response = response,
                               .failure_lo = NAN,
                               .failure_hi = NAN,
                               .measured_effort = NAN,
                               .measured_effort_sd = NAN,
                               .measured_length = NAN,
                               .measured_length_sd = NAN};
}

/* ---- what is unknown ---- */

static uint64_t stream_of(const char *kind, const char *name)
{
    char *text = sim_printf("%s %s", kind, name);
    uint64_t stream = sim_stream(text);
    free(text);
    return stream;
}

/* Of the log, where 90 % lie within 1 / (1 + x) and 1 + x. */
static double log_sd_of(double unsure)
{
    return unsure > 0 ? log1p(unsure) / Z95 : 0;
}

/* A driver that moves nothing is no unknown; but longer outputs are, whatever they do to speed. */
static void take_drivers(struct exp_sampler *s, const struct exp_response *r)
{
    for (int d = 0; d < EXP_N_DRIVERS; d++) {
        s->stream[d] = sim_stream(r->stream[d]);
        s->elasticity[d] = r->elasticity[d];
        bool moves = r->elasticity[d] != 0 || d == EXP_DRIVE_LENGTH;
        s->log_sd[d] = moves && r->log_sd[d] > 0 ? r->log_sd[d] : 0;
    }
}

/* Measured speed takes the place of all that makes it, with the error of the measurement under the engine's residual. The
 * fleet is sized for that speed, with the margin that it had. */
static void take_measured_speed(struct exp_sampler *s, const struct exp_option *o)
{
    for (int d = 0; d < EXP_DRIVE_LENGTH; d++) s->log_sd[d] = s->elasticity[d] = 0;
    s->stream[EXP_DRIVE_RESIDUAL] =
        stream_of("measured speed", o->response ? o->response->stream[EXP_DRIVE_KV] : "");
    s->log_sd[EXP_DRIVE_RESIDUAL] = fmax(0, o->measured_effort_sd);
    s->elasticity[EXP_DRIVE_RESIDUAL] = 1;
    s->log_effort = o->measured_effort;
    s->planned = exp(o->measured_effort);
}

static void take_measured_length(struct exp_sampler *s, const struct exp_option *o)
{
    s->stream[EXP_DRIVE_LENGTH] =
        stream_of("measured", o->response ? o->response->stream[EXP_DRIVE_LENGTH] : "length");
    s->log_sd[EXP_DRIVE_LENGTH] = fmax(0, o->measured_length_sd);
    s->log_length = o->measured_length;
}

static void take_shared(struct exp_sampler *s, const struct exp_plan *plan)
{
    const struct {
        int input;
        double unsure;
    } shared[] = {{EXP_INPUT_GROWTH, plan->unsure_growth},
                  {EXP_INPUT_CAPEX, plan->unsure_capex},
                  {EXP_INPUT_RENT, plan->unsure_rent},
                  {EXP_INPUT_POWER, plan->unsure_power},
                  {EXP_INPUT_FAILURE_COST, plan->unsure_failure_cost}};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        s->stream[shared[i].input] = stream_of("plan", exp_input_name(shared[i].input));
        s->log_sd[shared[i].input] = log_sd_of(shared[i].unsure);
    }
}

/* ---- failing answers ---- */

/* Quantile of Beta(a, b), by bisection of its logit: GSL's inverse gives up on one in twelve of the shapes that small
 * rates have. */
static double beta_quantile(double p, double a, double b)
{
    enum { HALVINGS = 60 };
    double low = -60, high = 60;
    gsl_set_error_handler_off();
    for (int i = 0; i < HALVINGS; i++) {
        double middle = 0.5 * (low + high);
        if (gsl_cdf_beta_P(1 / (1 + exp(-middle)), a, b) < p)
            low = middle;
        else
            high = middle;
    }
    return 1 / (1 + exp(-high));
}

static double knot_z(uint32_t i)
{
    return ((double)i - EXP_RATE_KNOTS / 2) * Z95 / 16; /* so that the 5 and 95 % quantiles are knots */
}

static void take_posterior(struct exp_rate_draw *r, double failures, double answers)
{
    double a = failures + 0.5, b = answers - failures + 0.5;
    double *table = sim_alloc(EXP_RATE_KNOTS, sizeof *table);
    for (uint32_t i = 0; i < EXP_RATE_KNOTS; i++)
        table[i] = log(beta_quantile(gsl_cdf_ugaussian_P(knot_z(i)), a, b));
    r->expected = a / (a + b);
    r->log_quantile = table;
}

/* An end of the interval that is not on its side of what is expected, or is 0, says nothing. */
static void take_record(struct exp_rate_draw *r, double rate, double lo, double hi)
{
    r->expected = rate;
    r->log_sd_above = hi > rate ? log(hi / rate) / Z95 : 0;
    r->log_sd_below = lo > 0 && lo < rate ? log(rate / lo) / Z95 : r->log_sd_above;
}

static void take_failures(struct exp_sampler *s, const struct exp_option *o)
{
    double rate = o->economy->newly_failing;
    s->stream[EXP_INPUT_FAILURE_RATE] =
        stream_of("failing answers", o->response ? o->response->stream[EXP_DRIVE_LENGTH] : "");
    if (!(rate > 0)) return; /* nothing to multiply */
    if (o->pilot_answers > 0)
        take_posterior(&s->rate, (double)o->pilot_failures, (double)o->pilot_answers);
    else if (!isnan(o->failure_hi))
        take_record(&s->rate, rate, o->failure_lo, o->failure_hi);
    bool known = !s->rate.log_quantile && s->rate.log_sd_below == 0 && s->rate.log_sd_above == 0;
    s->log_sd[EXP_INPUT_FAILURE_RATE] = known ? 0 : 1;
}

static double rate_at(const struct exp_rate_draw *r, double z)
{
    if (isnan(z)) return r->expected;
    if (!r->log_quantile) return r->expected * exp(z * (z < 0 ? r->log_sd_below : r->log_sd_above));
    double at = fmin(fmax(z * 16 / Z95 + EXP_RATE_KNOTS / 2, 0), EXP_RATE_KNOTS - 1);
    uint32_t i = at < EXP_RATE_KNOTS - 2 ? (uint32_t)at : EXP_RATE_KNOTS - 2;
    return exp(r->log_quantile[i] + (at - i) * (r->log_quantile[i + 1] - r->log_quantile[i]));
}

/* ---- an option's sampler ---- */

void exp_sampler_init(struct exp_sampler *s, const struct exp_plan *plan, const struct exp_option *o)
{
    *s = (struct exp_sampler){.option = o, .planned = 1};
    if (o->response) take_drivers(s, o->response);
    if (!isnan(o->measured_effort)) take_measured_speed(s, o);
    if (!isnan(o->measured_length)) take_measured_length(s, o);
    take_shared(s, plan);
    take_failures(s, o);
}

void exp_sampler_fini(struct exp_sampler *s)
{
    free(s->rate.log_quantile);
}

double exp_sampler_z(const struct exp_sampler *s, int input, uint64_t seed, uint32_t k)
{
    return s->log_sd[input] > 0 ? gsl_cdf_ugaussian_Pinv(sim_random_unit(seed, s->stream[input], k)) : 0;
}

void exp_sampler_draw(const struct exp_sampler *s, uint64_t seed, uint32_t k, double z[EXP_N_INPUTS])
{
    for (int i = 0; i < EXP_N_INPUTS; i++) z[i] = exp_sampler_z(s, i, seed, k);
}

/* ---- worlds ---- */

/* What is unsure is the load after a year. */
static double growth_at(const struct exp_sampler *s, double z)
{
    return (1 + s->option->economy->growth_per_year) * exp(z * s->log_sd[EXP_INPUT_GROWTH]) - 1;
}

static struct exp_world world_of(const struct exp_sampler *s, const double z[EXP_N_INPUTS])
{
    struct exp_world w = exp_world_expected();
    double log_effort = s->log_effort,
           log_length = s->log_length + z[EXP_DRIVE_LENGTH] * s->log_sd[EXP_DRIVE_LENGTH];
    for (int d = 0; d < EXP_DRIVE_LENGTH; d++) log_effort += s->elasticity[d] * s->log_sd[d] * z[d];
    w.effort = exp(log_effort + s->elasticity[EXP_DRIVE_LENGTH] * log_length);
    w.planned = s->planned;
    w.length = exp(log_length);
    if (z[EXP_INPUT_GROWTH] != 0) w.growth_per_year = growth_at(s, z[EXP_INPUT_GROWTH]);
    w.capex = exp(z[EXP_INPUT_CAPEX] * s->log_sd[EXP_INPUT_CAPEX]);
    w.rent = exp(z[EXP_INPUT_RENT] * s->log_sd[EXP_INPUT_RENT]);
    w.power = exp(z[EXP_INPUT_POWER] * s->log_sd[EXP_INPUT_POWER]);
    if (s->log_sd[EXP_INPUT_FAILURE_RATE] > 0)
        w.failure_rate = rate_at(&s->rate, z[EXP_INPUT_FAILURE_RATE]) / s->option->economy->newly_failing;
    w.failure_cost = w.miss_cost = exp(z[EXP_INPUT_FAILURE_COST] * s->log_sd[EXP_INPUT_FAILURE_COST]);
    return w;
}

static void as_expected(double z[EXP_N_INPUTS])
{
    for (int i = 0; i < EXP_N_INPUTS; i++) z[i] = 0;
    z[EXP_INPUT_FAILURE_RATE] = NAN;
}

struct exp_world exp_sampler_world(const struct exp_sampler *s, const double *z)
{
    double expected[EXP_N_INPUTS];
    as_expected(expected);
    return world_of(s, z ? z : expected);
}

struct exp_world exp_sampler_world_at(const struct exp_sampler *s, int input, double z)
{
    double at[EXP_N_INPUTS];
    as_expected(at);
    at[input] = z;
    return world_of(s, at);
}

double exp_sampler_value(const struct exp_sampler *s, int input, double z)
{
    if (input == EXP_INPUT_GROWTH) return growth_at(s, z);
    if (input == EXP_INPUT_FAILURE_RATE) return rate_at(&s->rate, z);
    double measured = input == EXP_DRIVE_LENGTH     ? s->log_length
                      : input == EXP_DRIVE_RESIDUAL ? s->log_effort
                                                    : 0;
    return exp(measured + z * s->log_sd[input]);
}

/* ---- the baseline beside an option ---- */

bool exp_sampler_shares(const struct exp_sampler *option, const struct exp_sampler *baseline, int input)
{
    return baseline->log_sd[input] > 0 && option->log_sd[input] > 0 &&
           option->stream[input] == baseline->stream[input];
}

double exp_sampler_own_log_sd(const struct exp_sampler *baseline, const struct exp_sampler *option)
{
    double square = 0;
    for (int d = 0; d < EXP_N_DRIVERS; d++) {
        double of_effort = baseline->elasticity[d] * baseline->log_sd[d];
        if (!exp_sampler_shares(option, baseline, d)) square += of_effort * of_effort;
    }
    return sqrt(square);
}

double exp_sampler_own_z(const struct exp_sampler *baseline, const struct exp_sampler *option,
                         const double z[EXP_N_INPUTS])
{
    double sum = 0, log_sd = exp_sampler_own_log_sd(baseline, option);
    for (int d = 0; d < EXP_N_DRIVERS; d++)
        if (!exp_sampler_shares(option, baseline, d))
            sum += baseline->elasticity[d] * baseline->log_sd[d] * z[d];
    return log_sd > 0 ? sum / log_sd : 0;
}

struct exp_world exp_sampler_baseline_at(const struct exp_sampler *baseline, const struct exp_sampler *option,
                                         int input, double z)
{
    struct exp_world w = exp_sampler_world(baseline, NULL);
    if (input == EXP_INPUT_BASELINE)
        w.effort *= exp(z * exp_sampler_own_log_sd(baseline, option));
    else if (exp_sampler_shares(option, baseline, input))
        w = exp_sampler_world_at(baseline, input, z);
    return w;
}

/* ---- for others ---- */

struct exp_world exp_risk_world(const struct exp_plan *plan, const struct exp_option *o, uint64_t seed,
                                uint32_t k)
{
    struct exp_sampler s;
    double z[EXP_N_INPUTS];
    exp_sampler_init(&s, plan, o);
    if (k != UINT32_MAX) exp_sampler_draw(&s, seed, k, z);
    struct exp_world w = exp_sampler_world(&s, k == UINT32_MAX ? NULL : z);
    exp_sampler_fini(&s);
    return w;
}

struct exp_world exp_risk_world_at(const struct exp_plan *plan, const struct exp_option *o, int input,
                                   double quantile)
{
    struct exp_sampler s;
    exp_sampler_init(&s, plan, o);
    struct exp_world w = exp_sampler_world_at(&s, input, gsl_cdf_ugaussian_Pinv(quantile));
    exp_sampler_fini(&s);
    return w;
}

struct exp_world exp_risk_baseline_at(const struct exp_plan *plan, const struct exp_option *o,
                                      const struct exp_option *baseline, int input, double quantile)
{
    struct exp_sampler own, base;
    exp_sampler_init(&own, plan, o);
    exp_sampler_init(&base, plan, baseline);
    struct exp_world w = exp_sampler_baseline_at(&base, &own, input, gsl_cdf_ugaussian_Pinv(quantile));
    exp_sampler_fini(&own);
    exp_sampler_fini(&base);
    return w;
}
