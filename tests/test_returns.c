/* Cash flows against each other: NPV, payback, unit costs, the mix and break-even loads, by hand to the cent. */
#include <math.h>

#include "experiments/planning/money/economy.h"
#include "sim/random.h"
#include "tests/harness.h"
#include "tests/money_help.h"

#define CENT(actual, expected) ck_assert_double_eq_tol(actual, expected, 0.005)

static struct exp_cash flow(struct exp_economy *e)
{
    struct exp_world w = exp_world_expected();
    struct exp_cash cash;
    exp_economy_prepare(e);
    exp_cash_flow(e, &w, &cash);
    return cash;
}

static double total_at(struct exp_economy *e, double load)
{
    struct exp_world w = exp_world_expected();
    struct exp_cash cash;
    w.load = load;
    exp_economy_prepare(e);
    exp_cash_flow(e, &w, &cash);
    return cash.total;
}

/* Rents 2 instances: 29,200 a month. */
static struct exp_economy renter(uint32_t months)
{
    struct exp_economy e = plain_economy();
    e.acquire = EXP_RENT;
    e.horizon_months = months;
    return e;
}

/* Buys 2 servers for 200,000, which draw 919.80 a month. */
static struct exp_economy buyer(uint32_t months)
{
    struct exp_economy e = plain_economy();
    e.horizon_months = months;
    e.bridge_rent = true;
    return e;
}

static struct exp_return compare(struct exp_economy baseline, struct exp_economy option, double discount_rate)
{
    struct exp_cash b = flow(&baseline), o = flow(&option);
    return exp_return_of(&b, &o, discount_rate);
}

/* ---- against a baseline ---- */

START_TEST(a_baseline_against_itself_is_equal)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct exp_economy e = random_economy(seed);
        struct exp_return r = compare(e, e, 0.08);
        ck_assert_double_eq(r.npv, 0);
        ck_assert_double_eq(r.saving, 0);
        ck_assert_int_eq(r.payback, EXP_PAYBACK_EQUAL);
    }
    ck_assert_str_eq(exp_payback_name(EXP_PAYBACK_EQUAL), "equal");
}
END_TEST

START_TEST(equal_capex_and_lower_running_costs_pay_at_once)
{
    struct exp_economy baseline = buyer(12), option = buyer(12);
    baseline.operations_month = 1500;
    option.operations_month = 500;
    struct exp_return r = compare(baseline, option, 0.08);
    /* 1000 a month: 1000 x (1 - 1 / 1.08) / (1.08^(1/12) - 1) */
    CENT(r.npv, 11512.86);
    CENT(r.saving, 12000);
    CENT(r.capex, 200000);
    ck_assert_int_eq(r.payback, EXP_PAYBACK_IMMEDIATE);
    ck_assert_int_eq(compare(option, baseline, 0.08).payback, EXP_PAYBACK_NEVER);
}
END_TEST

START_TEST(an_option_that_is_cheaper_up_front_pays_immediately_as_long_as_it_stays_cheaper)
{
    /* after 6 months of rent 175,200 against 200,000 + 6 x 919.80 */
    struct exp_return r = compare(buyer(6), renter(6), 0);
    CENT(r.saving, 30318.80);
    CENT(r.capex, 0);
    ck_assert_int_eq(r.payback, EXP_PAYBACK_IMMEDIATE);
    /* after 12 it has cost more, and goes on to */
    r = compare(buyer(12), renter(12), 0);
    CENT(r.saving, -139362.40);
    ck_assert_int_eq(r.payback, EXP_PAYBACK_NEVER);
}
END_TEST

START_TEST(servers_pay_back_in_the_month_in_which_rent_has_cost_as_much)
{
    /* 29,200 - 919.80 = 28,280.20 a month; 200,000 / 28,280.20 = 7.07. With r = 0 NPV is the saving. */
    struct exp_return r = compare(renter(12), buyer(12), 0);
    CENT(r.npv, 139362.40);
    CENT(r.saving, 139362.40);
    ck_assert_int_eq(r.payback, EXP_PAYBACK_MONTH);
    ck_assert_uint_eq(r.payback_month, 8);
    ck_assert_int_eq(compare(renter(7), buyer(7), 0).payback, EXP_PAYBACK_NEVER);
    ck_assert_int_eq(compare(renter(8), buyer(8), 0).payback, EXP_PAYBACK_MONTH);
}
END_TEST

START_TEST(a_purchase_deferred_by_its_lead_time_is_discounted_and_paid_back_from_there)
{
    struct exp_economy option = buyer(18);
    option.lead_time_months = 6;
    struct exp_return r = compare(renter(18), option, 0.08);
    /* rent alike until month 6, - 200,000 / 1.08^0.5 then, + 28,280.20 / 1.08^(m/12) in months 7 to 18 */
    CENT(r.npv, 120845.11);
    CENT(r.saving, 139362.40);
    ck_assert_uint_eq(r.payback_month, 14); /* 6 and the 8 from above */
}
END_TEST

START_TEST(a_residual_counts_in_npv_discounted_and_nowhere_else)
{
    struct exp_economy option = buyer(12);
    option.value_loss_frac = 0.36;
    struct exp_return r = compare(renter(12), option, 0.08);
    /* - 200,000 + 28,280.20 x 11.512857852 + 128,000 / 1.08 */
    CENT(r.npv, 244104.44);
    CENT(r.saving, 139362.40);
    ck_assert_uint_eq(r.payback_month, 8);
}
END_TEST

START_TEST(payback_is_after_the_last_month_in_the_red)
{
    struct exp_cash baseline = {.n_months = 4}, option = {.n_months = 4};
    const double saving[] = {-100, 120, -50, 40, 0}; /* in sum -100, 20, -30, 10, 10 */
    for (int m = 0; m < 5; m++) {
        baseline.month[m] = 1000;
        option.month[m] = 1000 - saving[m];
        baseline.total += baseline.month[m];
        option.total += option.month[m];
    }
    struct exp_return r = exp_return_of(&baseline, &option, 0.1);
    ck_assert_int_eq(r.payback, EXP_PAYBACK_MONTH);
    ck_assert_uint_eq(r.payback_month, 3);
    CENT(r.saving, 10);
}
END_TEST

START_TEST(what_one_gains_against_the_other_the_other_loses)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct exp_economy a = random_economy(seed), b = random_economy(seed + 1000);
        b.horizon_months = a.horizon_months;
        struct exp_return ab = compare(a, b, 0.08), ba = compare(b, a, 0.08);
        ck_assert_double_eq_tol(ab.npv, -ba.npv, 1e-9 * fabs(ab.npv));
        for (uint32_t p = 0; p < N_PRICES; p++) {
            *price_of(&a, p) *= 150;
            *price_of(&b, p) *= 150;
        }
        struct exp_return yen = compare(a, b, 0.08);
        ck_assert_double_eq_tol(yen.npv, 150 * ab.npv, 1e-7 * fabs(yen.npv));
        ck_assert_int_eq(yen.payback, ab.payback);
        ck_assert_uint_eq(yen.payback_month, ab.payback_month);
    }
}
END_TEST

START_TEST(a_higher_discount_rate_never_helps_who_pays_first_and_saves_later)
{
    double last = INFINITY;
    for (double r = 0; r < 0.5; r += 0.05) {
        double npv = compare(renter(24), buyer(24), r).npv;
        ck_assert_double_lt(npv, last);
        last = npv;
    }
}
END_TEST

/* ---- per unit ---- */

START_TEST(unit_costs_divide_by_what_is_served_at_mean_load)
{
    struct exp_economy e = buyer(12);
    e.newly_failing = 0.2;
    e.length_ratio = 1.25;
    e.value_loss_frac = 0.36;
    for (int h = 0; h < EXP_DAY_HOURS; h += 2) e.day[h] = 0; /* every other hour nobody comes */
    struct exp_cash c = flow(&e);
    struct exp_unit_costs u = exp_unit_costs_of(&c);
    /* 200,000 + 12 x 919.80 = 211,037.60. Served: 10 a second, half of the time, 8760 h: 157,680,000; 80 % are good. */
    CENT(c.total, 211037.60);
    CENT(u.per_month, 17586.47);
    ck_assert_double_eq_tol(u.per_1000_good, 211037.60 / 126144, 1e-9);
    ck_assert_double_eq_tol(u.per_mtok, 211037.60 / 31536, 1e-9);              /* x 200 tokens */
    ck_assert_double_eq_tol(u.per_mtok_equivalent, 211037.60 / 25228.8, 1e-9); /* x 160 */
    CENT(u.per_hour, (211037.60 - 128000) / 8760);
}
END_TEST

START_TEST(nothing_served_has_no_price_per_answer)
{
    struct exp_economy e = buyer(1);
    e.requests_per_s = 0;
    struct exp_cash c = flow(&e);
    struct exp_unit_costs u = exp_unit_costs_of(&c);
    ck_assert_double_nan(u.per_1000_good);
    ck_assert_double_nan(u.per_mtok);
    CENT(u.per_month, 200919.80);
}
END_TEST

/* ---- the mix ---- */

START_TEST(a_mix_owns_what_runs_all_day_and_rents_the_peak)
{
    struct exp_economy e = plain_economy();
    e.acquire = EXP_MIX;
    e.horizon_months = 12;
    e.instance_replicas = 1;
    e.instance_hour = 10;
    for (int h = 0; h < EXP_DAY_HOURS; h++) e.day[h] = h < 1 ? 1 : 0.5; /* an hour of 4 replicas, else 2 */
    exp_economy_prepare(&e);
    exp_economy_choose_mix(&e);
    /* a server takes the place of 2 replicas: of those that run all day at 2 x 7300 a month, or of those of one hour at
     * 2 x 304.17, against 8333.33 and power: one server, which any share up to 1/2 says, the least of them 0.01 */
    ck_assert_double_eq_tol(e.mix_own, 0.01, 1e-12);
    struct exp_cash c = flow(&e);
    ck_assert_uint_eq(c.servers[12], 1);
    CENT(c.item[EXP_COST_RENT], 7300); /* 2 x 10 x 365 h */
}
END_TEST

START_TEST(a_mix_costs_no_more_than_any_other_share)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct exp_economy e = random_economy(seed);
        e.acquire = EXP_MIX;
        e.bridge_rent = true;
        exp_economy_prepare(&e);
        exp_economy_choose_mix(&e);
        ck_assert(e.mix_own >= 0 && e.mix_own <= 1);
        double least = total_at(&e, 1);
        for (int i = 0; i <= 20; i++) {
            struct exp_economy other = e;
            other.mix_own = 0.05 * i;
            ck_assert_double_le(least, total_at(&other, 1) * (1 + 1e-12));
        }
        e.acquire = EXP_RENT;
        ck_assert_double_le(least, total_at(&e, 1) * (1 + 1e-12));
        e.acquire = EXP_BUY;
        ck_assert_double_le(least, total_at(&e, 1) * (1 + 1e-12));
    }
}
END_TEST

/* ---- break-even ---- */

static struct exp_economy api(double output_mtok)
{
    struct exp_economy e = plain_economy();
    e.api_input_mtok = 0;
    e.api_output_mtok = output_mtok;
    return e;
}

START_TEST(at_the_break_even_load_both_cost_the_same)
{
    struct exp_economy a = api(0.5), b = api(0.25);
    b.operations_month =
        657; /* 26,280,000 x 200 x 0.25 / 10^6 = 1314 a month at today's load, so half of it */
    exp_economy_prepare(&a);
    exp_economy_prepare(&b);
    double load = exp_break_even_load(&a, &b);
    ck_assert_double_eq_tol(load, 0.5, 1e-9);
    CENT(total_at(&a, load), total_at(&b, load));
}
END_TEST

START_TEST(an_api_costs_more_than_servers_above_the_break_even_load)
{
    struct exp_economy a = api(4.2), own = buyer(12);
    exp_economy_prepare(&a);
    exp_economy_prepare(&own);
    double load = exp_break_even_load(&a, &own);
    /* the API: 26.28 x 200 x 4.2 = 22,075.20 a month and unit of load, 264,902.40 a year. A server: 100,000 + 12 x 459.90 =
     * 105,518.80, and carries half a unit. n servers cost as much at 0.398331 n; so many are there from 0.5 (n - 1) on,
     * which is less for n < 4.92. Above 4 x 0.398331 the fifth comes at 2, where the API costs more already. */
    ck_assert_double_eq_tol(load, 4 * 105518.80 / 264902.40, 1e-9);
    for (double above = 1.001; above < 100; above *= 1.01)
        ck_assert_double_gt(total_at(&a, load * above), total_at(&own, load * above));
    ck_assert_double_lt(total_at(&a, load * 0.999), total_at(&own, load * 0.999));
}
END_TEST

START_TEST(what_is_always_cheaper_has_no_break_even_load)
{
    struct exp_economy a = api(0.5), b = api(0.25);
    exp_economy_prepare(&a);
    exp_economy_prepare(&b);
    ck_assert_double_nan(exp_break_even_load(&a, &b));
    ck_assert_double_nan(exp_break_even_load(&b, &a));
    ck_assert_double_nan(exp_break_even_load(&a, &a));
}
END_TEST

START_TEST(the_order_changes_at_the_break_even_load_and_not_above_it)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct exp_economy a = random_economy(seed), b = random_economy(seed + 500);
        b.horizon_months = a.horizon_months;
        exp_economy_prepare(&a);
        exp_economy_prepare(&b);
        double load = exp_break_even_load(&a, &b);
        bool above = total_at(&a, 1000) > total_at(&b, 1000);
        if (!isnan(load)) {
            ck_assert_int_eq(total_at(&a, load * (1 + 1e-9)) > total_at(&b, load * (1 + 1e-9)), above);
            ck_assert_int_ne(total_at(&a, load * (1 - 1e-9)) > total_at(&b, load * (1 - 1e-9)), above);
        }
        for (double x = 1000; x > 0.001 && !(x < load * 1.05); x /= 1.2) /* coarser than what is searched */
            ck_assert_int_eq(total_at(&a, exp2(floor(log2(x) * 16) / 16)) >
                                 total_at(&b, exp2(floor(log2(x) * 16) / 16)),
                             above);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("returns");
    TCase *returns = tcase_create("returns"), *units = tcase_create("units"), *tried = tcase_create("tried");
    tcase_add_test(returns, a_baseline_against_itself_is_equal);
    tcase_add_test(returns, equal_capex_and_lower_running_costs_pay_at_once);
    tcase_add_test(returns, an_option_that_is_cheaper_up_front_pays_immediately_as_long_as_it_stays_cheaper);
    tcase_add_test(returns, servers_pay_back_in_the_month_in_which_rent_has_cost_as_much);
    tcase_add_test(returns, a_purchase_deferred_by_its_lead_time_is_discounted_and_paid_back_from_there);
    tcase_add_test(returns, a_residual_counts_in_npv_discounted_and_nowhere_else);
    tcase_add_test(returns, payback_is_after_the_last_month_in_the_red);
    tcase_add_test(returns, what_one_gains_against_the_other_the_other_loses);
    tcase_add_test(returns, a_higher_discount_rate_never_helps_who_pays_first_and_saves_later);
    tcase_add_test(units, unit_costs_divide_by_what_is_served_at_mean_load);
    tcase_add_test(units, nothing_served_has_no_price_per_answer);
    tcase_add_test(tried, a_mix_owns_what_runs_all_day_and_rents_the_peak);
    tcase_add_test(tried, a_mix_costs_no_more_than_any_other_share);
    tcase_add_test(tried, at_the_break_even_load_both_cost_the_same);
    tcase_add_test(tried, an_api_costs_more_than_servers_above_the_break_even_load);
    tcase_add_test(tried, what_is_always_cheaper_has_no_break_even_load);
    tcase_add_test(tried, the_order_changes_at_the_break_even_load_and_not_above_it);
    suite_add_tcase(s, returns);
    suite_add_tcase(s, units);
    suite_add_tcase(s, tried);
    return s;
}
