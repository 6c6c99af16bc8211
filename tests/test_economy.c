/* Months and machines: what a fleet that follows the load costs, each item by hand to the cent, then what must hold for
 * any economy. Returns are in test_returns.c. */
#include <math.h>
#include <signal.h>

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

/* ---- one item after the other ---- */

START_TEST(a_month_is_the_sum_of_its_items_by_hand)
{
    struct exp_economy e = plain_economy();
    e.horizon_months = 1;
    e.spare_servers = 1;
    e.host_memory_price = 5000;
    e.integration = 12000;
    e.operations_month = 700;
    e.space_month = 800;
    e.maintenance_frac = 0.06;
    e.newly_failing = 0.01;
    e.cost_per_failure = 0.02;
    struct exp_cash c = flow(&e);
    /* 4 replicas of 0.25 carry the load: 2 servers of 2, and a spare: 3 x 100,000 */
    CENT(c.item[EXP_COST_SERVERS], 300000);
    CENT(c.item[EXP_COST_HOST_MEMORY], 5000);
    CENT(c.item[EXP_COST_INTEGRATION], 12000);
    /* half busy: 8 x (100 + 0.5 x 600) + 1000 = 4200 W; 2 x 4.2 kW x 1.5 x 730 h x 0.10 = 919.80 */
    CENT(c.item[EXP_COST_POWER], 919.80);
    CENT(c.item[EXP_COST_SPACE], 2400);       /* 3 x 800 */
    CENT(c.item[EXP_COST_MAINTENANCE], 1500); /* 300,000 x 6 % / 12 */
    CENT(c.item[EXP_COST_OPERATIONS], 700);
    CENT(c.item[EXP_COST_RENT], 0);
    CENT(c.item[EXP_COST_SLO_LOSS], 0);
    /* 10 a second x 730 x 3600 s = 26,280,000 answers; x 1 % x 0.02 = 5256 */
    CENT(c.item[EXP_COST_FAILURE_LOSS], 5256);
    CENT(c.month[0], 317000);
    CENT(c.month[1], 919.80 + 2400 + 1500 + 700 + 5256);
    CENT(c.total, 327775.80);
    ck_assert_uint_eq(c.bought[0], 3);
    ck_assert_uint_eq(c.servers[1], 2);
    ck_assert_double_eq_tol(c.served, 26280000, 1e-3);
    ck_assert_double_eq_tol(c.good, 26017200, 1e-3); /* 99 % */
}
END_TEST

START_TEST(a_server_is_bought_when_growth_crosses_its_boundary)
{
    struct exp_economy e = plain_economy();
    e.growth_per_year = 1; /* twice the load after 12 months */
    e.horizon_months = 12;
    struct exp_cash c = flow(&e);
    /* 2^(m/12) / 0.25 replicas: month 1 4.24 -> 5 -> 3 servers, delivered now; 6 replicas are full at 1.5, which is
     * 12 x log2(1.5) = 7.02 months away: month 8 takes a fourth, delivered with month 7; month 12 takes 8 replicas. */
    ck_assert_uint_eq(c.bought[0], 3);
    ck_assert_uint_eq(c.servers[7], 3);
    ck_assert_uint_eq(c.bought[7], 1);
    ck_assert_uint_eq(c.servers[8], 4);
    ck_assert_uint_eq(c.servers[12], 4);
    CENT(c.item[EXP_COST_SERVERS], 400000);
    CENT(c.month[7] - c.month[6], 100000);
    /* 7 months of 3 and 5 of 4 = 41 server-months of 459.90 */
    CENT(c.item[EXP_COST_POWER], 18855.90);
}
END_TEST

START_TEST(what_is_ordered_comes_after_the_lead_time_and_is_rented_until_then)
{
    struct exp_economy e = plain_economy();
    e.lead_time_months = 2.5; /* there with month 3 */
    e.bridge_rent = true;
    e.horizon_months = 4;
    struct exp_cash c = flow(&e);
    /* months 1 to 3: 4 replicas on 2 instances of 3, 20 an hour: 2 x 730 x 20 = 29,200 */
    for (uint32_t m = 1; m <= 3; m++) {
        CENT(c.month[m] - (m == 3 ? 200000 : 0), 29200);
        ck_assert_double_eq(c.rented[m], 2);
        ck_assert_uint_eq(c.servers[m], 0);
    }
    ck_assert_uint_eq(c.bought[3], 2);
    CENT(c.month[0], 0);
    CENT(c.month[4], 919.80); /* power alone */
    CENT(c.item[EXP_COST_RENT], 87600);
    CENT(c.item[EXP_COST_SLO_LOSS], 0);
}
END_TEST

START_TEST(without_a_bridge_all_that_comes_before_the_machines_is_missed)
{
    struct exp_economy e = plain_economy();
    e.lead_time_months = 1;
    e.horizon_months = 2;
    e.cost_per_miss = 0.001;
    struct exp_cash c = flow(&e);
    CENT(c.month[0], 0);
    CENT(c.month[1], 200000 + 26280); /* 26,280,000 x 0.001 */
    CENT(c.month[2], 919.80);
    ck_assert_double_eq_tol(c.good, 26280000, 1e-3); /* the second month's */
}
END_TEST

START_TEST(nothing_is_bought_for_a_month_beyond_the_horizon)
{
    struct exp_economy e = plain_economy();
    e.horizon_months = 12;
    e.lead_time_months = 12;
    e.bridge_rent = true;
    struct exp_cash c = flow(&e);
    CENT(c.item[EXP_COST_SERVERS], 0);
    CENT(c.total, 12 * 29200.0);
}
END_TEST

START_TEST(machines_that_there_are_count_first_and_cost_what_they_draw)
{
    struct exp_economy e = plain_economy();
    e.have_servers = 1;
    e.have_capacity = 0.6;
    e.have_gpus = 4;
    e.have_gpu_idle_w = 200;
    e.have_gpu_tdp_w = 1200;
    e.have_base_w = 300;
    e.have_maintenance_month = 250;
    e.space_month = 800;
    e.horizon_months = 1;
    struct exp_cash c = flow(&e);
    /* 0.4 is left: 2 replicas of 0.25, 1 server. 1 x 4200 + 300 + 200 + 0.5 x 1000 = 5200 W: x 1.5 x 730 x 0.1 / 1000 */
    ck_assert_uint_eq(exp_economy_replicas(&e, 1), 2);
    ck_assert_uint_eq(exp_economy_replicas(&e, 0.6), 0);
    CENT(c.month[0], 100000);
    CENT(c.item[EXP_COST_POWER], 569.40);
    CENT(c.item[EXP_COST_SPACE], 1600);
    CENT(c.item[EXP_COST_MAINTENANCE], 250);
    e.have_capacity = 1;
    e.spare_servers = 3; /* of what is bought, and nothing is */
    c = flow(&e);
    CENT(c.item[EXP_COST_SERVERS], 0);
    ck_assert_uint_eq(c.servers[1], 0);
}
END_TEST

START_TEST(do_nothing_neither_buys_nor_rents_and_misses_what_does_not_fit)
{
    struct exp_economy e = plain_economy();
    e.fixed = true;
    e.have_capacity = 0.8;
    e.bridge_rent = true;
    e.horizon_months = 1;
    e.cost_per_miss = 0.001;
    e.miss = (struct exp_curve){2, {0.5, 1}, {0, 0.2}};
    struct exp_cash c = flow(&e);
    /* 1 / 0.8 = 1.25: 0.2 + 0.8 x log2(1.25) = 0.4575425; x 26,280 */
    CENT(c.item[EXP_COST_SLO_LOSS], (0.2 + 0.8 * 0.32192809488736235) * 26280);
    CENT(c.total, c.item[EXP_COST_SLO_LOSS]);
    ck_assert_double_eq(c.rented[1], 0);
    e.have_capacity = 0; /* nobody at all */
    c = flow(&e);
    CENT(c.total, 26280);
    ck_assert_double_eq(c.good, 0);
}
END_TEST

/* ---- by the hour of the day ---- */

/* 8 hours at the peak, 16 at a quarter of it: a mean of 0.5. */
static void two_levels(struct exp_economy *e)
{
    for (int h = 0; h < EXP_DAY_HOURS; h++) e->day[h] = h < 8 ? 1 : 0.25;
}

START_TEST(rent_is_paid_by_the_hour_for_whole_instances)
{
    struct exp_economy e = plain_economy();
    e.acquire = EXP_RENT;
    e.horizon_months = 1;
    two_levels(&e);
    struct exp_cash c = flow(&e);
    /* peak: 4 replicas, 2 instances of 3; else 1 replica, 1 instance: 8/24 x 2 + 16/24 x 1 = 4/3 instances;
     * 4/3 x 730 x 20 = 19,466.67 */
    ck_assert_double_eq_tol(c.rented[1], 4.0 / 3, 1e-12);
    CENT(c.item[EXP_COST_RENT], 19466.67);
    CENT(c.total, 19466.67);                           /* power is in the rent */
    ck_assert_double_eq_tol(c.served, 13140000, 1e-3); /* half of the peak's */
}
END_TEST

START_TEST(a_mix_owns_a_share_of_the_peak_and_rents_the_rest)
{
    struct exp_economy e = plain_economy();
    e.acquire = EXP_MIX;
    e.mix_own = 0.5;
    e.horizon_months = 1;
    two_levels(&e);
    struct exp_cash c = flow(&e);
    /* half of the peak: 2 replicas, 1 server; at the peak 2 more on 1 instance, 8 of 24 hours: 730 / 3 x 20 = 4866.67 */
    CENT(c.item[EXP_COST_SERVERS], 100000);
    CENT(c.item[EXP_COST_RENT], 4866.67);
    CENT(c.item[EXP_COST_POWER], 459.90);
}
END_TEST

START_TEST(power_follows_the_busy_curve_through_the_day)
{
    struct exp_economy e = plain_economy();
    e.horizon_months = 1;
    e.busy = (struct exp_curve){3, {0.125, 0.5, 1}, {0.1, 0.5, 0.8}};
    two_levels(&e);
    struct exp_cash c = flow(&e);
    /* at the peak x = 1: 0.8; else x = 0.25, half way in log x between 0.125 and 0.5: 0.3. Mean (8 x 0.8 + 16 x 0.3) / 24
     * = 7/15; 8 x (100 + 7/15 x 600) + 1000 = 4040 W; 2 x 4.04 x 1.5 x 730 x 0.1 = 884.76 */
    CENT(c.item[EXP_COST_POWER], 884.76);
}
END_TEST

START_TEST(misses_are_weighed_by_the_requests_of_each_hour)
{
    struct exp_economy e = plain_economy();
    e.horizon_months = 1;
    e.cost_per_miss = 0.001;
    e.miss = (struct exp_curve){2, {0.25, 1}, {0.001, 0.009}};
    two_levels(&e);
    struct exp_cash c = flow(&e);
    /* two thirds of the requests come in the busy hours: (2 x 0.009 + 1 x 0.001) / 3 of 13,140,000, each 0.001 */
    CENT(c.item[EXP_COST_SLO_LOSS], 83.22);
    ck_assert_double_eq_tol(c.good, 13140000 - 83220, 1e-3);
}
END_TEST

START_TEST(a_day_without_load_costs_what_stands_there)
{
    struct exp_economy e = plain_economy();
    e.horizon_months = 1;
    for (int h = 0; h < EXP_DAY_HOURS; h++) e.day[h] = 0;
    e.miss = (struct exp_curve){1, {1}, {0.5}};
    struct exp_cash c = flow(&e);
    ck_assert_double_eq(c.served, 0);
    ck_assert_double_eq(c.item[EXP_COST_SLO_LOSS], 0);
    CENT(c.item[EXP_COST_POWER], 919.80); /* busy is held at its one point */
}
END_TEST

/* ---- answers ---- */

START_TEST(an_unknown_failure_rate_costs_nothing)
{
    struct exp_economy e = plain_economy();
    e.cost_per_failure = 100;
    e.newly_failing = NAN;
    struct exp_cash c = flow(&e);
    ck_assert_double_eq(c.item[EXP_COST_FAILURE_LOSS], 0);
    ck_assert_double_eq(c.good, c.served);
}
END_TEST

START_TEST(an_api_is_paid_by_the_token_and_needs_no_machine)
{
    struct exp_economy e = plain_economy();
    e.api_input_mtok = 0.2;
    e.api_output_mtok = 0.6;
    e.operations_month = 100;
    e.horizon_months = 2;
    struct exp_world w = exp_world_expected();
    struct exp_cash c;
    w.length = 1.5;
    exp_economy_prepare(&e);
    exp_cash_flow(&e, &w, &c);
    /* 26,280,000 x (1000 x 0.2 + 200 x 1.5 x 0.6) / 10^6 = 26.28 x 380 = 9986.40 a month */
    CENT(c.item[EXP_COST_API], 19972.80);
    CENT(c.total, 20172.80);
}
END_TEST

START_TEST(tokens_are_given_as_served_and_at_their_length_with_full_kv)
{
    struct exp_economy e = plain_economy();
    e.length_ratio = 1.25;
    e.horizon_months = 1;
    struct exp_cash c = flow(&e);
    ck_assert_double_eq_tol(c.output_tokens, 26280000.0 * 200, 1);
    ck_assert_double_eq_tol(c.equivalent_tokens, 26280000.0 * 160, 1);
}
END_TEST

START_TEST(what_was_bought_keeps_its_share_of_worth_for_every_year)
{
    struct exp_economy e = plain_economy();
    e.value_loss_frac = 0.36;
    e.horizon_months = 18;
    e.lead_time_months = 12;
    e.bridge_rent = true;
    struct exp_cash c = flow(&e);
    CENT(c.residual, 160000); /* 200,000 half a year old: x 0.64^0.5 = 0.8 */
    e.lead_time_months = 0;
    e.host_memory_price = 10000;
    c = flow(&e);
    CENT(c.residual, 107520); /* 210,000 one and a half years old: x 0.8^3 = 0.512 */
    e.value_loss_frac = 1;
    c = flow(&e);
    CENT(c.residual, 0);
}
END_TEST

START_TEST(a_world_moves_what_it_names)
{
    struct exp_economy e = plain_economy();
    struct exp_world w = exp_world_expected();
    struct exp_cash c;
    e.horizon_months = 1;
    exp_economy_prepare(&e);
    w.effort = 1.5; /* 6 replicas, the same requests */
    w.capex = 1.1;
    w.power = 2;
    exp_cash_flow(&e, &w, &c);
    CENT(c.item[EXP_COST_SERVERS], 330000);
    CENT(c.item[EXP_COST_POWER], 2759.40); /* 3 x 459.90 x 2 */
    ck_assert_double_eq_tol(c.served, 26280000, 1e-3);
    w = exp_world_expected();
    w.load = 1.5;
    w.growth_per_year = 0;
    exp_cash_flow(&e, &w, &c);
    CENT(c.item[EXP_COST_SERVERS], 300000);
    ck_assert_double_eq_tol(c.served, 39420000, 1e-3);
}
END_TEST

START_TEST(a_larger_fleet_may_need_fewer_replicas_for_its_load)
{
    struct exp_economy e = plain_economy();
    e.n_loads = 3;
    e.load[1] = 2;
    e.load[2] = 4;
    e.capacity[1] = 0.4;
    e.capacity[2] = 0.5;
    ck_assert_uint_eq(exp_economy_replicas(&e, 0.5), 2); /* 0.25 each, held */
    ck_assert_uint_eq(exp_economy_replicas(&e, 1), 4);
    ck_assert_uint_eq(exp_economy_replicas(&e, 2), 5);
    ck_assert_uint_eq(exp_economy_replicas(&e, 3), 7);  /* 0.45 each: 6.67 */
    ck_assert_uint_eq(exp_economy_replicas(&e, 8), 16); /* 0.5 each, held */
    ck_assert_uint_eq(exp_economy_replicas(&e, 0), 0);
}
END_TEST

/* ---- curves ---- */

START_TEST(curves_are_straight_in_the_log_of_the_load_and_misses_go_on_to_all)
{
    struct exp_curve c = {2, {1, 4}, {0.1, 0.3}}, none = {0};
    ck_assert_double_eq_tol(exp_curve_at(&c, 2), 0.2, 1e-15);
    ck_assert_double_eq(exp_curve_at(&c, 0.5), 0.1);
    ck_assert_double_eq(exp_curve_at(&c, 9), 0.3);
    ck_assert_double_eq(exp_curve_miss_at(&c, 4), 0.3);
    ck_assert_double_eq_tol(exp_curve_miss_at(&c, 4 * sqrt(2)), 0.65, 1e-15);
    ck_assert_double_eq(exp_curve_miss_at(&c, 8), 1);
    ck_assert_double_eq(exp_curve_miss_at(&c, INFINITY), 1);
    ck_assert_double_eq(exp_curve_at(&none, 1), 0);
    ck_assert_double_eq(exp_curve_miss_at(&none, 100), 0);
}
END_TEST

START_TEST(tables_of_a_day_are_the_sum_over_its_hours)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct exp_economy e = random_economy(seed);
        e.acquire = EXP_BUY;
        e.horizon_months = 1;
        e.lead_time_months = 0;
        struct exp_cash c = flow(&e);
        double fleet = e.have_capacity, demand = pow(1 + e.growth_per_year, 1.0 / 12), busy = 0, miss = 0,
               sum = 0;
        uint32_t n = c.servers[1] * e.replicas_per_server;
        fleet += n * capacity_at(&e, demand);
        for (int h = 0; h < EXP_DAY_HOURS; h++) {
            busy += exp_curve_at(&e.busy, demand * e.day[h] / fleet) / EXP_DAY_HOURS;
            miss += e.day[h] * exp_curve_miss_at(&e.miss, demand * e.day[h] / fleet);
            sum += e.day[h];
        }
        double watts =
            c.servers[1] *
            (e.gpus_per_server * (e.gpu_idle_w + busy * (e.gpu_tdp_w - e.gpu_idle_w)) + e.server_base_w);
        watts += e.have_base_w + e.have_gpu_idle_w + busy * (e.have_gpu_tdp_w - e.have_gpu_idle_w);
        double power = watts * 0.73 * e.pue * e.kwh;
        double loss = c.served * miss / sum * e.cost_per_miss;
        ck_assert_double_eq_tol(c.item[EXP_COST_POWER], power, 1e-10 * power);
        ck_assert_double_eq_tol(c.item[EXP_COST_SLO_LOSS], loss, 1e-10 * (loss + 1));
    }
}
END_TEST

START_TEST(rent_by_the_hour_is_the_sum_over_the_hours_of_the_day)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct exp_economy e = random_economy(seed);
        e.acquire = EXP_RENT;
        e.horizon_months = 1;
        struct exp_cash c = flow(&e);
        double demand = pow(1 + e.growth_per_year, 1.0 / 12), each = capacity_at(&e, demand), instances = 0;
        double miss = 0, sum = 0;
        for (int h = 0; h < EXP_DAY_HOURS; h++) {
            double need = ceil(fmax(0, demand * e.day[h] - e.have_capacity) / each - 1e-9);
            double n = ceil(need / e.instance_replicas),
                   fleet = e.have_capacity + n * e.instance_replicas * each;
            instances += n / EXP_DAY_HOURS;
            miss += e.day[h] > 0 ? e.day[h] * exp_curve_miss_at(&e.miss, demand * e.day[h] / fleet) : 0;
            sum += e.day[h];
        }
        double loss = c.served * miss / sum * e.cost_per_miss;
        ck_assert_double_eq_tol(c.rented[1], instances, 1e-9);
        ck_assert_double_eq_tol(c.item[EXP_COST_SLO_LOSS], loss, 1e-10 * (loss + 1));
    }
}
END_TEST

/* ---- for any economy ---- */

enum { SEEDS = 120 };

/* An API now and then. */
static struct exp_economy any_economy(uint64_t seed)
{
    struct exp_economy e = random_economy(seed);
    if (seed % 6 == 0) e.api_input_mtok = e.api_output_mtok = 0.5;
    return e;
}

START_TEST(items_and_months_both_add_up_to_the_total)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct exp_economy e = any_economy(seed);
        struct exp_cash c = flow(&e);
        double items = 0, months = 0, bought = 0;
        for (int i = 0; i < EXP_N_COST_ITEMS; i++) items += c.item[i];
        for (uint32_t m = 0; m <= c.n_months; m++) {
            ck_assert_double_ge(c.month[m], 0);
            months += c.month[m];
            bought += c.bought[m];
        }
        ck_assert_double_eq_tol(items, c.total, 1e-12 * c.total);
        ck_assert_double_eq_tol(months, c.total, 1e-12 * c.total);
        ck_assert_double_eq_tol(bought * e.server_price, c.item[EXP_COST_SERVERS], 1e-12 * c.total);
        ck_assert_double_le(c.good, c.served);
        ck_assert_double_le(c.residual, c.item[EXP_COST_SERVERS] + c.item[EXP_COST_HOST_MEMORY]);
    }
}
END_TEST

START_TEST(what_is_owned_and_rented_carries_the_load_wherever_it_may_be_rented)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct exp_economy e = random_economy(seed);
        e.bridge_rent = true;
        for (int h = 0; h < EXP_DAY_HOURS; h++) e.day[h] = 1; /* the month's mean is the hour's */
        struct exp_cash c = flow(&e);
        for (uint32_t m = 1; m <= c.n_months; m++) {
            double load = pow(1 + e.growth_per_year, m / 12.0);
            double n = (double)c.servers[m] * e.replicas_per_server + c.rented[m] * e.instance_replicas;
            ck_assert_double_ge((e.have_capacity + n * capacity_at(&e, load)) * (1 + 1e-6), load);
        }
    }
}
END_TEST

START_TEST(more_load_takes_no_fewer_machines)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct exp_economy e = random_economy(seed);
        struct exp_world w = exp_world_expected();
        struct exp_cash less, more;
        e.acquire = seed % 2 ? EXP_BUY : EXP_RENT;
        exp_economy_prepare(&e);
        w.load = 0.5 + sim_random_unit(seed, 7, 0);
        exp_cash_flow(&e, &w, &less);
        w.load *= 1.001 + sim_random_unit(seed, 7, 1);
        exp_cash_flow(&e, &w, &more);
        for (uint32_t m = 1; m <= less.n_months; m++) {
            ck_assert_uint_ge(more.servers[m], less.servers[m]);
            ck_assert_double_ge(more.rented[m], less.rented[m] - 1e-12);
        }
        ck_assert_double_ge(more.item[EXP_COST_SERVERS], less.item[EXP_COST_SERVERS]);
        ck_assert_double_ge(more.item[EXP_COST_MAINTENANCE], less.item[EXP_COST_MAINTENANCE]);
        ck_assert_double_ge(more.item[EXP_COST_FAILURE_LOSS], less.item[EXP_COST_FAILURE_LOSS]);
        ck_assert_double_gt(more.served, less.served);
    }
}
END_TEST

START_TEST(a_higher_price_never_lowers_a_cost)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (uint32_t p = 0; p < N_PRICES; p++) {
            struct exp_economy e = any_economy(seed), dearer = e;
            *price_of(&dearer, p) *= 1 + sim_random_unit(seed, 8, p);
            struct exp_cash a = flow(&e), b = flow(&dearer);
            for (int i = 0; i < EXP_N_COST_ITEMS; i++) ck_assert_double_ge(b.item[i], a.item[i]);
            for (uint32_t m = 0; m <= a.n_months; m++) ck_assert_double_ge(b.month[m], a.month[m]);
            ck_assert_double_eq(a.served, b.served);
        }
}
END_TEST

START_TEST(another_currency_scales_all_money_and_nothing_else)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct exp_economy e = any_economy(seed), yen = e;
        for (uint32_t p = 0; p < N_PRICES; p++) *price_of(&yen, p) *= 150;
        struct exp_cash a = flow(&e), b = flow(&yen);
        for (int i = 0; i < EXP_N_COST_ITEMS; i++)
            ck_assert_double_eq_tol(b.item[i], 150 * a.item[i], 1e-9 * b.total);
        for (uint32_t m = 0; m <= a.n_months; m++)
            ck_assert_double_eq_tol(b.month[m], 150 * a.month[m], 1e-9 * b.total);
        ck_assert_double_eq_tol(b.residual, 150 * a.residual, 1e-9 * b.total);
        ck_assert_double_eq(a.good, b.good);
        ck_assert_mem_eq(a.servers, b.servers, sizeof a.servers);
        ck_assert_mem_eq(a.rented, b.rented, sizeof a.rented);
    }
}
END_TEST

START_TEST(loads_beyond_all_measure_stay_numbers)
{
    struct exp_economy e = plain_economy();
    struct exp_world w = exp_world_expected();
    struct exp_cash c;
    e.bridge_rent = true;
    exp_economy_prepare(&e);
    const double loads[] = {0, 1e-300, 1e30};
    for (int i = 0; i < 3; i++)
        for (int a = 0; a < EXP_N_ACQUIRE; a++) {
            e.acquire = (enum exp_acquire)a;
            e.mix_own = 0.5;
            w.load = loads[i];
            exp_cash_flow(&e, &w, &c);
            ck_assert(isfinite(c.total) && c.total >= 0);
        }
}
END_TEST

START_TEST(an_economy_that_was_not_prepared_stops_the_program)
{
    struct exp_economy e = plain_economy();
    struct exp_world w = exp_world_expected();
    struct exp_cash c;
    exp_cash_flow(&e, &w, &c);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("economy");
    TCase *hand = tcase_create("by hand"), *hours = tcase_create("by the hour"), *any = tcase_create("any");
    tcase_add_test(hand, a_month_is_the_sum_of_its_items_by_hand);
    tcase_add_test(hand, a_server_is_bought_when_growth_crosses_its_boundary);
    tcase_add_test(hand, what_is_ordered_comes_after_the_lead_time_and_is_rented_until_then);
    tcase_add_test(hand, without_a_bridge_all_that_comes_before_the_machines_is_missed);
    tcase_add_test(hand, nothing_is_bought_for_a_month_beyond_the_horizon);
    tcase_add_test(hand, machines_that_there_are_count_first_and_cost_what_they_draw);
    tcase_add_test(hand, do_nothing_neither_buys_nor_rents_and_misses_what_does_not_fit);
    tcase_add_test(hand, an_unknown_failure_rate_costs_nothing);
    tcase_add_test(hand, an_api_is_paid_by_the_token_and_needs_no_machine);
    tcase_add_test(hand, tokens_are_given_as_served_and_at_their_length_with_full_kv);
    tcase_add_test(hand, what_was_bought_keeps_its_share_of_worth_for_every_year);
    tcase_add_test(hand, a_world_moves_what_it_names);
    tcase_add_test(hand, a_larger_fleet_may_need_fewer_replicas_for_its_load);
    tcase_add_test(hours, rent_is_paid_by_the_hour_for_whole_instances);
    tcase_add_test(hours, a_mix_owns_a_share_of_the_peak_and_rents_the_rest);
    tcase_add_test(hours, power_follows_the_busy_curve_through_the_day);
    tcase_add_test(hours, misses_are_weighed_by_the_requests_of_each_hour);
    tcase_add_test(hours, a_day_without_load_costs_what_stands_there);
    tcase_add_test(hours, curves_are_straight_in_the_log_of_the_load_and_misses_go_on_to_all);
    tcase_add_test(hours, tables_of_a_day_are_the_sum_over_its_hours);
    tcase_add_test(hours, rent_by_the_hour_is_the_sum_over_the_hours_of_the_day);
    tcase_add_test(any, items_and_months_both_add_up_to_the_total);
    tcase_add_test(any, what_is_owned_and_rented_carries_the_load_wherever_it_may_be_rented);
    tcase_add_test(any, more_load_takes_no_fewer_machines);
    tcase_add_test(any, a_higher_price_never_lowers_a_cost);
    tcase_add_test(any, another_currency_scales_all_money_and_nothing_else);
    tcase_add_test(any, loads_beyond_all_measure_stay_numbers);
    tcase_add_test_raise_signal(any, an_economy_that_was_not_prepared_stops_the_program, SIGABRT);
    suite_add_tcase(s, hand);
    suite_add_tcase(s, hours);
    suite_add_tcase(s, any);
    return s;
}
