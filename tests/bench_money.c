/* What a cash flow costs: a Monte Carlo makes 10,000 draws of every option. 36 months, a day with a peak, growth, six
 * loads of the capacity table; microseconds a call for each way to get machines, with the comparison to a baseline.
 * Goal: 2 to 5 where machines are owned, and 10,000 draws of 20 options under 2 s on two cores. */
#include "experiments/planning/money/economy.h"
#include "sim/random.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { N_DRAWS = 10000, N_ROUNDS = 5, N_OPTIONS = 20 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct exp_economy economy_of(enum exp_acquire acquire, double have_capacity)
{
    struct exp_economy e = {.acquire = acquire,
                            .n_loads = 6,
                            .load = {1, 1.3, 1.7, 2.2, 2.9, 4},
                            .capacity = {0.05, 0.051, 0.052, 0.052, 0.053, 0.054},
                            .miss = {9,
                                     {0.4, 0.6, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.6},
                                     {0, 0.001, 0.003, 0.006, 0.01, 0.03, 0.1, 0.4, 0.8}},
                            .busy = {9,
                                     {0.4, 0.6, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.6},
                                     {0.3, 0.5, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1}},
                            .replicas_per_server = 8,
                            .gpus_per_server = 8,
                            .spare_servers = 1,
                            .have_capacity = have_capacity,
                            .requests_per_s = 50,
                            .input_tokens = 1000,
                            .output_tokens = 200,
                            .length_ratio = 1,
                            .newly_failing = 0.01,
                            .cost_per_miss = 0.001,
                            .cost_per_failure = 0.02,
                            .server_price = 300000,
                            .server_base_w = 1500,
                            .instance_hour = 20,
                            .instance_replicas = 8,
                            .gpu_idle_w = 75,
                            .gpu_tdp_w = 700,
                            .kwh = 0.1,
                            .pue = 1.3,
                            .space_month = 800,
                            .maintenance_frac = 0.05,
                            .value_loss_frac = 0.35,
                            .api_input_mtok = NAN,
                            .api_output_mtok = NAN,
                            .growth_per_year = 0.6,
                            .lead_time_months = 6,
                            .discount_rate = 0.08,
                            .bridge_rent = true,
                            .horizon_months = 36,
                            .mix_own = 0.5};
    for (int h = 0; h < EXP_DAY_HOURS; h++) e.day[h] = pow(0.5 + 0.5 * cos(6.283185307179586 * h / 24), 1.8);
    exp_economy_prepare(&e);
    return e;
}

static double call_us(const struct exp_economy *e, const struct exp_cash *baseline, double *sum)
{
    double best = INFINITY;
    for (int r = 0; r < N_ROUNDS; r++) {
        double begin = now_s();
        for (uint32_t k = 0; k < N_DRAWS; k++) {
            struct exp_world w = exp_world_expected();
            struct exp_cash cash;
            w.effort = 0.8 + 0.4 * sim_random_unit(1, 2, k);
            w.growth_per_year = 0.3 + 0.6 * sim_random_unit(1, 3, k);
            exp_cash_flow(e, &w, &cash);
            *sum += exp_return_of(baseline, &cash, 0.08).npv;
        }
        best = fmin(best, (now_s() - begin) / N_DRAWS);
    }
    return best * 1e6;
}

int main(void)
{
    static const char *const names[EXP_N_ACQUIRE] = {"buy", "rent", "mix"};
    static struct exp_economy e[EXP_N_ACQUIRE][2];
    struct exp_world expected = exp_world_expected();
    struct exp_cash baseline;
    double sum = 0, all_us = 0;
    for (int a = 0; a < EXP_N_ACQUIRE; a++)
        for (int h = 0; h < 2; h++) e[a][h] = economy_of((enum exp_acquire)a, 0.6 * h);
    exp_cash_flow(&e[EXP_BUY][0], &expected, &baseline);
    printf("cash flow over 36 months and its return, us a call\n");
    for (int a = 0; a < EXP_N_ACQUIRE; a++) {
        double fresh = call_us(&e[a][0], &baseline, &sum), beside = call_us(&e[a][1], &baseline, &sum);
        printf("%-5s %6.2f   beside machines that there are %6.2f\n", names[a], fresh, beside);
        all_us += 0.5 * (fresh + beside) / EXP_N_ACQUIRE;
    }
    printf("10,000 draws of %d options, all three ways alike: %.2f s on one core (sum %.3g)\n", N_OPTIONS,
           all_us * 1e-6 * N_DRAWS * N_OPTIONS, sum);
    return 0;
}
