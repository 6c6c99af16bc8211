/* How sure the money is: closed forms where there are any (a linear economy with one log-normal input), and what must hold
 * for any economy: bars are reruns, threads and options beside each other change nothing, nobody gains on himself. */
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/money/risk.h"
#include "sim/random.h"
#include "tests/harness.h"
#include "tests/money_help.h"

enum { SEED = 7, MANY = 20 };
static const double Z95 = 1.6448536269514722;

/* Nothing is unsure but what a test says. */
static struct exp_plan *sure_plan(void)
{
    struct exp_plan *p = exp_plan_new();
    p->unsure_growth = p->unsure_capex = p->unsure_rent = p->unsure_power = 0;
    p->unsure_failure_cost = p->unsure_length = 0;
    p->discount_rate = 0;
    return p;
}

/* Two servers for 200,000 x the draw of their price, and nothing else; or so much in running costs instead. */
static struct exp_economy buys(void)
{
    struct exp_economy e = plain_economy();
    e.kwh = 0;
    exp_economy_prepare(&e);
    return e;
}

static struct exp_economy pays(double in_all)
{
    struct exp_economy e = buys();
    e.server_price = 0;
    e.operations_month = in_all / e.horizon_months;
    return e;
}
static const double SERVERS = 200000, UNSURE = 0.4;

struct outcome {
    struct exp_risk risk[4];
    double perfect;
};

static struct outcome risk_of(const struct exp_plan *plan, const struct exp_option *options, uint32_t n,
                              const struct exp_option *baseline)
{
    struct outcome o;
    exp_risk_run(plan, options, n, baseline, SEED, EXP_DRAWS, 2, o.risk, &o.perfect);
    return o;
}

/* ---- closed forms ---- */

START_TEST(the_chance_of_saving_is_the_normal_distribution_s)
{
    struct exp_plan *plan = sure_plan();
    double log_sd = log1p(UNSURE) / Z95;
    plan->unsure_capex = UNSURE;
    for (double a = 0.7 * SERVERS; a < 1.5 * SERVERS; a += 0.1 * SERVERS) {
        struct exp_economy option = buys(), base = pays(a);
        struct exp_option o = exp_option_of(&option, NULL), b = exp_option_of(&base, NULL);
        struct outcome r = risk_of(plan, &o, 1, &b);
        double p = gsl_cdf_ugaussian_P(log(a / SERVERS) / log_sd);
        ck_assert_double_eq_tol(r.risk[0].p_saving, p, 4 * sqrt(p * (1 - p) / EXP_DRAWS));
        /* quantiles of the log-normal: 1 / 1.4, 1 and 1.4 times the price */
        ck_assert_double_eq_tol(r.risk[0].npv.lo, a - 1.4 * SERVERS, 0.01 * SERVERS);
        ck_assert_double_eq_tol(r.risk[0].npv.mean, a - SERVERS, 0.01 * SERVERS);
        ck_assert_double_eq_tol(r.risk[0].npv.hi, a - SERVERS / 1.4, 0.01 * SERVERS);
        ck_assert_double_eq_tol(r.risk[0].cost_total.hi, 1.4 * SERVERS, 0.02 * SERVERS);
        ck_assert_double_eq_tol(r.risk[0].saving.mean, r.risk[0].npv.mean, 1e-6); /* nothing is discounted */
    }
    exp_plan_free(plan);
}
END_TEST

/* E[max(a - X, 0)] - max(a - E[X], 0) for a log-normal X around SERVERS: Black's formula of an option to sell. */
static double worth_of_knowing(double a, double log_sd)
{
    double mean = SERVERS * exp(log_sd * log_sd / 2), d = log(a / SERVERS) / log_sd;
    return a * gsl_cdf_ugaussian_P(d) - mean * gsl_cdf_ugaussian_P(d - log_sd) - fmax(0, a - mean);
}

START_TEST(perfect_information_is_worth_its_closed_form_and_so_is_its_only_input)
{
    struct exp_plan *plan = sure_plan();
    double log_sd = log1p(UNSURE) / Z95;
    plan->unsure_capex = UNSURE;
    for (double a = 0.7 * SERVERS; a < 1.5 * SERVERS; a += 0.1 * SERVERS) {
        struct exp_economy option = buys(), base = pays(a);
        struct exp_option o = exp_option_of(&option, NULL), b = exp_option_of(&base, NULL);
        struct outcome r = risk_of(plan, &o, 1, &b);
        double expected = worth_of_knowing(a, log_sd), noise = 4 * SERVERS * log_sd / sqrt(EXP_DRAWS);
        ck_assert_double_eq_tol(r.perfect, expected, noise);
        ck_assert_uint_eq(r.risk[0].n_bars, 1);
        ck_assert_int_eq(r.risk[0].bar[0].input, EXP_INPUT_CAPEX);
        ck_assert_double_le(r.risk[0].bar[0].knowing, r.perfect);
        /* a decision per twentieth of the draws costs little of it */
        ck_assert_double_ge(r.risk[0].bar[0].knowing, 0.9 * r.perfect - 0.001 * SERVERS);
    }
    exp_plan_free(plan);
}
END_TEST

/* Two options whose gains are independent numbers, almost normal, of mean 0 and one deviation. */
START_TEST(knowing_one_of_two_inputs_is_worth_less_than_knowing_both)
{
    struct exp_plan *plan = sure_plan();
    plan->unsure_capex = plan->unsure_power = 0.2;
    struct exp_economy a = buys(), b = pays(0), base = pays(SERVERS);
    b.kwh = 0.1;
    exp_economy_prepare(&b);
    struct exp_cash cash;
    struct exp_world expected = exp_world_expected();
    exp_cash_flow(&b, &expected, &cash);
    b.kwh *= SERVERS / cash.total; /* as dear as the servers */
    struct exp_option o[2] = {exp_option_of(&a, NULL), exp_option_of(&b, NULL)},
                      none = exp_option_of(&base, NULL);
    struct outcome r = risk_of(plan, o, 2, &none);
    double sd = SERVERS * log1p(0.2) / Z95, pi = 3.141592653589793;
    /* three normal numbers of mean 0: the sum of the deviations of their differences, over 2 sqrt(2 pi) */
    double both = sd * (2 + sqrt(2)) / (2 * sqrt(2 * pi));
    ck_assert_double_eq_tol(r.perfect, both, 0.08 * both);
    for (int i = 0; i < 2; i++)
        for (uint32_t k = 0; k < r.risk[i].n_bars; k++)
            ck_assert_double_eq_tol(r.risk[i].bar[k].knowing, sd / sqrt(2 * pi), 0.12 * both);
    exp_plan_free(plan);
}
END_TEST

START_TEST(an_input_that_moves_no_money_is_worth_nothing)
{
    struct exp_plan *plan = sure_plan();
    plan->unsure_capex = UNSURE;
    plan->unsure_rent = 1; /* nobody rents */
    struct exp_economy option = buys(), base = pays(SERVERS * 1.03);
    struct exp_option o = exp_option_of(&option, NULL), b = exp_option_of(&base, NULL);
    struct outcome r = risk_of(plan, &o, 1, &b);
    ck_assert_uint_eq(r.risk[0].n_bars, 2);
    ck_assert_int_eq(r.risk[0].bar[1].input, EXP_INPUT_RENT);
    ck_assert_double_eq(r.risk[0].bar[1].npv_low, r.risk[0].bar[1].npv_high);
    ck_assert_double_le(r.risk[0].bar[1].knowing, 0.02 * r.perfect);
    ck_assert_double_gt(r.perfect, 0);
    exp_plan_free(plan);
}
END_TEST

/* ---- worlds ---- */

static struct exp_response response(uint64_t seed, const char *profile)
{
    struct exp_response r = {0};
    for (int d = 0; d < EXP_N_DRIVERS; d++) {
        r.elasticity[d] = sim_random_unit(seed, 11, (uint64_t)d);
        r.log_sd[d] = 0.15 * sim_random_unit(seed, 12, (uint64_t)d);
        snprintf(r.stream[d], sizeof r.stream[d], "driver %d of %s", d, profile);
    }
    return r;
}

static double log_effort(const struct exp_response *r, const struct exp_world *w, double log_length)
{
    return log(w->effort) - r->elasticity[EXP_DRIVE_LENGTH] * log_length;
}

START_TEST(drivers_of_one_stream_err_together_and_others_by_themselves)
{
    enum { DRAWS = 4000 };
    struct exp_plan *plan = sure_plan();
    struct exp_economy e = buys();
    struct exp_response a = response(1, "a"), same = response(1, "a"), other = response(1, "b");
    struct exp_option oa = exp_option_of(&e, &a), os = exp_option_of(&e, &same),
                      oo = exp_option_of(&e, &other);
    double sum = 0, square = 0, product = 0, variance = 0;
    for (uint32_t k = 0; k < DRAWS; k++) {
        struct exp_world wa = exp_risk_world(plan, &oa, SEED, k), ws = exp_risk_world(plan, &os, SEED, k),
                         wo = exp_risk_world(plan, &oo, SEED, k);
        ck_assert_mem_eq(&wa.effort, &ws.effort, sizeof wa.effort);
        double x = log(wa.effort), y = log(wo.effort);
        sum += x / DRAWS;
        square += x * x / DRAWS;
        product += x * y / DRAWS;
    }
    for (int d = 0; d < EXP_N_DRIVERS; d++) variance += pow(a.elasticity[d] * a.log_sd[d], 2);
    ck_assert_double_eq_tol(sum, 0, 4 * sqrt(variance / DRAWS));
    ck_assert_double_eq_tol(square, variance, 6 * variance / sqrt(DRAWS));
    ck_assert_double_eq_tol(product, 0, 4 * variance / sqrt(DRAWS));
    exp_plan_free(plan);
}
END_TEST

START_TEST(nothing_unsure_is_the_expected_world_in_every_draw)
{
    struct exp_plan *plan = sure_plan();
    struct exp_economy e = random_economy(3);
    struct exp_option o = exp_option_of(&e, NULL);
    struct exp_world expected = exp_world_expected();
    for (uint32_t k = 0; k < MANY; k++) {
        struct exp_world w = exp_risk_world(plan, &o, SEED, k ? k : UINT32_MAX);
        ck_assert(isnan(w.growth_per_year));
        w.growth_per_year = expected.growth_per_year;
        ck_assert_mem_eq(&w, &expected, sizeof w);
    }
    exp_plan_free(plan);
}
END_TEST

START_TEST(quantiles_of_an_input_are_where_the_plan_puts_them)
{
    struct exp_plan *plan = sure_plan();
    struct exp_economy e = random_economy(4);
    struct exp_response r = response(5, "a");
    struct exp_option o = exp_option_of(&e, &r);
    plan->unsure_growth = 0.3;
    plan->unsure_capex = 0.15;
    plan->unsure_failure_cost = 1;
    struct exp_world lo = exp_risk_world_at(plan, &o, EXP_INPUT_GROWTH, 0.05),
                     hi = exp_risk_world_at(plan, &o, EXP_INPUT_GROWTH, 0.95);
    ck_assert_double_eq_tol(1 + lo.growth_per_year, (1 + e.growth_per_year) / 1.3, 1e-9);
    ck_assert_double_eq_tol(1 + hi.growth_per_year, (1 + e.growth_per_year) * 1.3, 1e-9);
    ck_assert_double_eq(hi.capex, 1);
    hi = exp_risk_world_at(plan, &o, EXP_INPUT_CAPEX, 0.95);
    ck_assert_double_eq_tol(hi.capex, 1.15, 1e-9);
    ck_assert(isnan(hi.growth_per_year));
    hi = exp_risk_world_at(plan, &o, EXP_INPUT_FAILURE_COST, 0.95);
    ck_assert_double_eq_tol(hi.failure_cost, 2, 1e-9);
    ck_assert_double_eq_tol(hi.miss_cost, 2, 1e-9);
    hi = exp_risk_world_at(plan, &o, EXP_DRIVE_KV, 0.95);
    ck_assert_double_eq_tol(log(hi.effort), Z95 * r.elasticity[EXP_DRIVE_KV] * r.log_sd[EXP_DRIVE_KV], 1e-9);
    ck_assert_double_eq(hi.length, 1);
    hi = exp_risk_world_at(plan, &o, EXP_DRIVE_LENGTH, 0.95);
    ck_assert_double_eq_tol(log(hi.length), Z95 * r.log_sd[EXP_DRIVE_LENGTH], 1e-9);
    ck_assert_double_eq_tol(log_effort(&r, &hi, log(hi.length)), 0, 1e-9);
    exp_plan_free(plan);
}
END_TEST

START_TEST(failing_answers_of_a_record_keep_its_interval)
{
    struct exp_plan *plan = sure_plan();
    struct exp_economy e = buys();
    e.newly_failing = 0.02;
    struct exp_option o = exp_option_of(&e, NULL);
    o.failure_lo = 0.013;
    o.failure_hi = 0.031;
    const double q[] = {0.05, 0.5, 0.95}, rate[] = {0.013, 0.02, 0.031};
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq_tol(exp_risk_world_at(plan, &o, EXP_INPUT_FAILURE_RATE, q[i]).failure_rate * 0.02,
                                rate[i], 1e-12);
    e.newly_failing = NAN; /* nobody knows: nothing to multiply */
    ck_assert_double_eq(exp_risk_world_at(plan, &o, EXP_INPUT_FAILURE_RATE, 0.95).failure_rate, 1);
    exp_plan_free(plan);
}
END_TEST

START_TEST(a_pilot_s_failures_are_drawn_from_their_posterior)
{
    static const struct {
        uint64_t failures, answers;
    } of[] = {{0, 40}, {0, 3000}, {1, 3000}, {17, 900}, {400, 1000}, {3, 2000000}};
    struct exp_plan *plan = sure_plan();
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        struct exp_economy e = buys();
        e.newly_failing = 0.004;
        struct exp_option o = exp_option_of(&e, NULL);
        o.failure_lo = 0.001;
        o.failure_hi = 0.01;
        o.pilot_failures = of[i].failures;
        o.pilot_answers = of[i].answers;
        double a = (double)of[i].failures + 0.5, b = (double)(of[i].answers - of[i].failures) + 0.5;
        for (double q = 0.05; q < 1; q += 0.15) {
            double x = exp_risk_world_at(plan, &o, EXP_INPUT_FAILURE_RATE, q).failure_rate * 0.004;
            ck_assert_double_eq_tol(gsl_cdf_beta_P(x, a, b), q, q < 0.06 ? 1e-9 : 2e-3);
        }
        double expected = exp_risk_world(plan, &o, SEED, UINT32_MAX).failure_rate * 0.004;
        ck_assert_double_eq_tol(expected, a / (a + b), 1e-12);
    }
    exp_plan_free(plan);
}
END_TEST

/* ---- for any economy ---- */

static struct exp_plan *unsure_plan(void)
{
    struct exp_plan *p = sure_plan();
    p->unsure_growth = 0.3;
    p->unsure_capex = 0.15;
    p->unsure_rent = 0.3;
    p->unsure_power = 0.25;
    p->unsure_failure_cost = 1;
    p->discount_rate = 0.08;
    return p;
}

/* Several options over one horizon and one growth, as those of a plan are. */
struct field {
    struct exp_economy economy[4];
    struct exp_response response[4];
    struct exp_option option[4];
};

static void make_field(struct field *f, uint64_t seed)
{
    for (uint64_t i = 0; i < 4; i++) {
        struct exp_economy *e = &f->economy[i];
        *e = random_economy(4 * seed + i);
        e->horizon_months = f->economy[0].horizon_months;
        e->growth_per_year = f->economy[0].growth_per_year;
        exp_economy_prepare(e);
        f->response[i] = response(seed + i, i < 2 ? "a" : "b");
        f->option[i] = exp_option_of(e, &f->response[i]);
        f->option[i].failure_lo = 0.5 * e->newly_failing;
        f->option[i].failure_hi = fmin(1, 3 * e->newly_failing);
    }
}

START_TEST(threads_change_nothing)
{
    struct exp_plan *plan = unsure_plan();
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct field f;
        struct exp_risk risk[3][3];
        double perfect[3];
        make_field(&f, seed);
        memset(risk, 0, sizeof risk);
        for (uint32_t t = 0; t < 3; t++)
            exp_risk_run(plan, f.option, 3, &f.option[3], SEED, 1500, 1u << t, risk[t], &perfect[t]);
        ck_assert_mem_eq(risk[0], risk[1], sizeof risk[0]);
        ck_assert_mem_eq(risk[0], risk[2], sizeof risk[0]);
        ck_assert(perfect[0] == perfect[1] && perfect[0] == perfect[2]);
    }
    exp_plan_free(plan);
}
END_TEST

START_TEST(an_option_beside_others_draws_what_it_draws_alone)
{
    struct exp_plan *plan = unsure_plan();
    struct field f;
    struct exp_risk together[3], alone;
    double perfect;
    make_field(&f, 17);
    exp_risk_run(plan, f.option, 3, &f.option[3], SEED, 1000, 2, together, &perfect);
    for (uint32_t i = 0; i < 3; i++) {
        exp_risk_run(plan, &f.option[i], 1, &f.option[3], SEED, 1000, 2, &alone, &perfect);
        ck_assert_double_eq(together[i].p_saving, alone.p_saving);
        ck_assert_mem_eq(&together[i].npv, &alone.npv, sizeof alone.npv);
        ck_assert_uint_eq(together[i].n_bars, alone.n_bars);
    }
    exp_plan_free(plan);
}
END_TEST

START_TEST(the_baseline_against_itself_saves_nothing_in_any_draw)
{
    struct exp_plan *plan = unsure_plan();
    for (uint64_t seed = 0; seed < MANY; seed++) {
        struct field f;
        struct exp_risk r;
        double perfect;
        make_field(&f, seed);
        exp_risk_run(plan, f.option, 1, f.option, SEED, 300, 2, &r, &perfect);
        ck_assert_double_eq(r.p_saving, 0);
        ck_assert_double_eq(r.npv.lo, 0);
        ck_assert_double_eq(r.npv.hi, 0);
        ck_assert_double_eq(r.p_payback, 0);
        ck_assert(isnan(r.payback_months.mean));
        ck_assert_double_eq(perfect, 0);
        for (uint32_t b = 0; b < r.n_bars; b++) {
            ck_assert_double_eq(r.bar[b].npv_low, 0);
            ck_assert_double_eq(r.bar[b].npv_high, 0);
            ck_assert_double_eq(r.bar[b].knowing, 0);
        }
    }
    exp_plan_free(plan);
}
END_TEST

/* The economy with an input where a bar has it, as a user would run it again. */
static struct exp_economy rerun(const struct exp_economy *of, int input, double value)
{
    struct exp_economy e = *of;
    if (input == EXP_INPUT_GROWTH) e.growth_per_year = value;
    if (input == EXP_INPUT_CAPEX) e.server_price *= value, e.host_memory_price *= value;
    if (input == EXP_INPUT_RENT) e.instance_hour *= value;
    if (input == EXP_INPUT_POWER) e.kwh *= value;
    if (input == EXP_INPUT_FAILURE_COST) e.cost_per_failure *= value, e.cost_per_miss *= value;
    return e;
}

static double npv_of(const struct exp_economy *e, const struct exp_world *w, const struct exp_economy *b,
                     const struct exp_world *v, double rate)
{
    struct exp_cash cash, base;
    exp_cash_flow(e, w, &cash);
    exp_cash_flow(b, v, &base);
    return exp_return_of(&base, &cash, rate).npv;
}

static void near(double a, double b, double scale)
{
    ck_assert_msg(fabs(a - b) <= 1e-9 * scale, "%.17g is not %.17g", a, b);
}

/* One end of a bar against a run of economies in which that input alone is different. */
static void check_bar_end(const struct field *f, uint32_t i, const struct exp_bar *b, double value,
                          double npv)
{
    struct exp_economy option = rerun(&f->economy[i], b->input, value),
                       base = rerun(&f->economy[3], b->input, value);
    struct exp_world w = exp_world_expected(), v = w;
    const struct exp_response *r = &f->response[i], *rb = &f->response[3];
    bool shares = i >= 2;
    if (b->input == EXP_INPUT_FAILURE_RATE) option.newly_failing = value;
    if (b->input == EXP_INPUT_BASELINE) v.effort = value;
    if (b->input < EXP_N_DRIVERS) {
        double z = log(value) / r->log_sd[b->input], log_base = z * rb->log_sd[b->input];
        w.effort = pow(value, r->elasticity[b->input]);
        if (shares) v.effort = exp(rb->elasticity[b->input] * log_base);
        if (b->input == EXP_DRIVE_LENGTH) w.length = value;
        if (b->input == EXP_DRIVE_LENGTH && shares) v.length = exp(log_base);
    }
    struct exp_cash cash;
    exp_cash_flow(&f->economy[3], &v, &cash);
    near(npv_of(&option, &w, &base, &v, 0.08), npv, cash.total);
}

START_TEST(bars_are_what_a_run_with_that_input_alone_gives_the_longest_first)
{
    struct exp_plan *plan = unsure_plan();
    for (uint64_t seed = 0; seed < MANY; seed++) {
        struct field f;
        struct exp_risk r[3];
        double perfect;
        make_field(&f, seed);
        f.option[3].failure_lo = f.option[3].failure_hi = NAN; /* full KV fails nobody */
        exp_risk_run(plan, f.option, 3, &f.option[3], SEED, 50, 2, r, &perfect);
        for (uint32_t i = 0; i < 3; i++)
            for (uint32_t k = 0; k < r[i].n_bars; k++) {
                const struct exp_bar *b = &r[i].bar[k];
                check_bar_end(&f, i, b, b->low_value, b->npv_low);
                check_bar_end(&f, i, b, b->high_value, b->npv_high);
                ck_assert_double_ge(b->knowing, 0);
                if (k) ck_assert_double_le(b->reach, b[-1].reach);
            }
        ck_assert_uint_eq(r[0].n_bars, EXP_N_INPUTS);     /* its profile is not the baseline's */
        ck_assert_uint_eq(r[2].n_bars, EXP_N_INPUTS - 1); /* it shares all drivers with it */
    }
    exp_plan_free(plan);
}
END_TEST

START_TEST(bars_agree_with_the_worlds_that_others_can_ask_for)
{
    struct exp_plan *plan = unsure_plan();
    struct field f;
    struct exp_risk r;
    double perfect;
    make_field(&f, 5);
    exp_risk_run(plan, f.option, 1, &f.option[3], SEED, 50, 1, &r, &perfect);
    for (uint32_t k = 0; k < r.n_bars; k++) {
        int input = r.bar[k].input;
        struct exp_world w = exp_risk_world_at(plan, &f.option[0], input, 0.95),
                         v = exp_risk_baseline_at(plan, &f.option[0], &f.option[3], input, 0.95);
        ck_assert_double_eq(npv_of(&f.economy[0], &w, &f.economy[3], &v, plan->discount_rate),
                            r.bar[k].npv_high);
        ck_assert_str_ne(exp_input_name(input), "");
    }
    ck_assert_str_eq(exp_input_key(EXP_INPUT_GROWTH), "load.growth_per_year");
    ck_assert_ptr_null(exp_input_key(EXP_INPUT_BASELINE));
    exp_plan_free(plan);
}
END_TEST

/* ---- payback ---- */

START_TEST(payback_is_counted_over_draws_that_pay_back)
{
    struct exp_plan *plan = sure_plan();
    plan->unsure_capex = UNSURE;
    struct exp_economy option = buys(), base = pays(SERVERS * 1.2); /* 20,000 a month */
    struct exp_option o = exp_option_of(&option, NULL), b = exp_option_of(&base, NULL);
    struct outcome r = risk_of(plan, &o, 1, &b);
    double log_sd = log1p(UNSURE) / Z95;
    /* the price comes back in 12 months when it is at most 1.2 of what is expected */
    ck_assert_double_eq_tol(r.risk[0].p_payback, gsl_cdf_ugaussian_P(log(1.2) / log_sd), 0.02);
    ck_assert_double_le(r.risk[0].payback_months.hi, 12);
    ck_assert_double_eq(r.risk[0].payback_months.lo, 8); /* 200,000 / 1.4 in 20,000s: 7.14 */
    exp_plan_free(plan);
}
END_TEST

START_TEST(an_option_that_is_cheaper_up_front_pays_back_at_once)
{
    struct exp_plan *plan = sure_plan();
    plan->unsure_capex = 0.1;
    struct exp_economy option = pays(1000), base = buys();
    struct exp_option o = exp_option_of(&option, NULL), b = exp_option_of(&base, NULL);
    struct outcome r = risk_of(plan, &o, 1, &b);
    ck_assert_double_eq(r.risk[0].p_payback, 1);
    ck_assert_double_eq(r.risk[0].payback_months.hi, 0);
    ck_assert_double_eq(r.risk[0].p_saving, 1);
    ck_assert_double_eq(r.perfect, 0); /* nobody would choose otherwise */
    exp_plan_free(plan);
}
END_TEST

/* ---- measured ---- */

/* 50 servers carry the load and 1.2 times as much effort. */
static struct exp_economy many_servers(void)
{
    struct exp_economy e = buys();
    e.capacity[0] = 0.01;
    e.margin = 1.2;
    e.server_price = 1000;
    exp_economy_prepare(&e);
    return e;
}

static double width(const struct exp_risk *r, int input)
{
    for (uint32_t k = 0; k < r->n_bars; k++)
        if (r->bar[k].input == input) return fabs(r->bar[k].npv_high - r->bar[k].npv_low);
    return 0;
}

/* Against what costs as much as 55 servers: 54 of them save. Before, 50 are bought, and more when the effort is above the
 * margin; after, as many as the measured effort takes. */
START_TEST(what_a_pilot_measures_narrows_its_bar_and_moves_the_chance_its_way)
{
    static const double measured[] = {-0.3, 0.05, 0.2};
    struct exp_plan *plan = sure_plan();
    struct exp_economy option = many_servers(), base = pays(55 * 1000);
    struct exp_response r = {.elasticity[EXP_DRIVE_RESIDUAL] = 1, .elasticity[EXP_DRIVE_KV] = 1};
    r.log_sd[EXP_DRIVE_RESIDUAL] = r.log_sd[EXP_DRIVE_KV] = 0.2;
    snprintf(r.stream[EXP_DRIVE_RESIDUAL], sizeof r.stream[0], "engine"); /* they err apart */
    snprintf(r.stream[EXP_DRIVE_KV], sizeof r.stream[0], "strategy");
    struct exp_option before = exp_option_of(&option, &r), b = exp_option_of(&base, NULL), after = before;
    after.measured_effort_sd = 0.03;
    struct outcome unsure = risk_of(plan, &before, 1, &b);
    double limit = log(1.2 * 54 / 50), spread = unsure.risk[0].npv.hi - unsure.risk[0].npv.lo;
    ck_assert_double_eq_tol(unsure.risk[0].p_saving, gsl_cdf_ugaussian_P(limit / (0.2 * sqrt(2))), 0.02);
    for (int i = 0; i < 3; i++) {
        after.measured_effort = measured[i];
        struct outcome sure = risk_of(plan, &after, 1, &b);
        bool sized_dear = 50 * exp(measured[i]) > 54;
        double p = sized_dear ? 0 : gsl_cdf_ugaussian_P((limit - measured[i]) / 0.03);
        ck_assert_double_lt(width(&sure.risk[0], EXP_DRIVE_RESIDUAL),
                            0.3 * width(&unsure.risk[0], EXP_DRIVE_RESIDUAL));
        ck_assert_double_eq(width(&sure.risk[0], EXP_DRIVE_KV), 0);
        ck_assert_double_lt(sure.risk[0].npv.hi - sure.risk[0].npv.lo, 0.3 * spread);
        ck_assert_double_eq_tol(sure.risk[0].p_saving, p, 0.02);
        ck_assert_double_lt(sure.perfect, unsure.perfect);
    }
    exp_plan_free(plan);
}
END_TEST

START_TEST(measured_lengths_take_the_place_of_assumed_ones)
{
    struct exp_plan *plan = sure_plan();
    struct exp_economy e = many_servers();
    struct exp_response r = {.elasticity[EXP_DRIVE_LENGTH] = 0.8};
    r.log_sd[EXP_DRIVE_LENGTH] = 0.1;
    struct exp_option o = exp_option_of(&e, &r);
    o.measured_length = log(1.25);
    o.measured_length_sd = 0.01;
    struct exp_world w = exp_risk_world(plan, &o, SEED, UINT32_MAX);
    ck_assert_double_eq_tol(w.length, 1.25, 1e-12);
    ck_assert_double_eq_tol(w.effort, pow(1.25, 0.8), 1e-12);
    w = exp_risk_world_at(plan, &o, EXP_DRIVE_LENGTH, 0.95);
    ck_assert_double_eq_tol(w.length, 1.25 * exp(0.01 * Z95), 1e-9);
    exp_plan_free(plan);
}
END_TEST

START_TEST(a_pilot_without_failures_lowers_what_they_cost)
{
    struct exp_plan *plan = sure_plan();
    struct exp_economy option = many_servers(), base = pays(60 * 1000);
    option.newly_failing = 0.02;
    option.cost_per_failure = 10000 / (0.02 * 10 * 730 * 3600 * 12.0); /* 10,000 in all at 2 % */
    exp_economy_prepare(&option);
    struct exp_option before = exp_option_of(&option, NULL), b = exp_option_of(&base, NULL), after = before;
    before.failure_lo = after.failure_lo = 0.01;
    before.failure_hi = after.failure_hi = 0.04;
    after.pilot_answers = 2000;
    struct outcome unsure = risk_of(plan, &before, 1, &b), sure = risk_of(plan, &after, 1, &b);
    ck_assert_double_eq_tol(unsure.risk[0].p_saving, 0.5, 0.02);
    ck_assert_double_gt(sure.risk[0].p_saving, 0.999);
    ck_assert_double_lt(width(&sure.risk[0], EXP_INPUT_FAILURE_RATE),
                        0.1 * width(&unsure.risk[0], EXP_INPUT_FAILURE_RATE));
    exp_plan_free(plan);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("risk");
    TCase *closed = tcase_create("closed forms"), *worlds = tcase_create("worlds"),
          *any = tcase_create("any economy"), *payback = tcase_create("payback"),
          *measured = tcase_create("measured");
    tcase_add_test(closed, the_chance_of_saving_is_the_normal_distribution_s);
    tcase_add_test(closed, perfect_information_is_worth_its_closed_form_and_so_is_its_only_input);
    tcase_add_test(closed, knowing_one_of_two_inputs_is_worth_less_than_knowing_both);
    tcase_add_test(closed, an_input_that_moves_no_money_is_worth_nothing);
    tcase_add_test(worlds, drivers_of_one_stream_err_together_and_others_by_themselves);
    tcase_add_test(worlds, nothing_unsure_is_the_expected_world_in_every_draw);
    tcase_add_test(worlds, quantiles_of_an_input_are_where_the_plan_puts_them);
    tcase_add_test(worlds, failing_answers_of_a_record_keep_its_interval);
    tcase_add_test(worlds, a_pilot_s_failures_are_drawn_from_their_posterior);
    tcase_add_test(any, threads_change_nothing);
    tcase_add_test(any, an_option_beside_others_draws_what_it_draws_alone);
    tcase_add_test(any, the_baseline_against_itself_saves_nothing_in_any_draw);
    tcase_add_test(any, bars_are_what_a_run_with_that_input_alone_gives_the_longest_first);
    tcase_add_test(any, bars_agree_with_the_worlds_that_others_can_ask_for);
    tcase_add_test(payback, payback_is_counted_over_draws_that_pay_back);
    tcase_add_test(payback, an_option_that_is_cheaper_up_front_pays_back_at_once);
    tcase_add_test(measured, what_a_pilot_measures_narrows_its_bar_and_moves_the_chance_its_way);
    tcase_add_test(measured, measured_lengths_take_the_place_of_assumed_ones);
    tcase_add_test(measured, a_pilot_without_failures_lowers_what_they_cost);
    suite_add_tcase(s, closed);
    suite_add_tcase(s, worlds);
    suite_add_tcase(s, any);
    suite_add_tcase(s, payback);
    suite_add_tcase(s, measured);
    return s;
}
