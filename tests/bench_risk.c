/* How long the money takes: 10,000 draws over the economies of five finalists, each bought, rented and mixed, and the
 * baseline, 36 months, response curves of 12 points, on 2 threads; with a pilot's posterior in a third of them. Target:
 * below 2 s. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "experiments/planning/money/risk.h"
#include "sim/memory.h"

enum { FINALISTS = 5, WAYS = FINALISTS * EXP_N_ACQUIRE, RUNS = 5 };

static struct exp_economy economy(uint32_t finalist, enum exp_acquire acquire)
{
    struct exp_economy e = {.acquire = acquire,
                            .n_loads = 6,
                            .replicas_per_server = 8,
                            .gpus_per_server = 8,
                            .spare_servers = 1,
                            .requests_per_s = 50,
                            .input_tokens = 1000,
                            .output_tokens = 200,
                            .length_ratio = 1,
                            .newly_failing = 0.01,
                            .cost_per_miss = 1e-4,
                            .cost_per_failure = 1e-3,
                            .server_price = 250000 + 20000 * finalist,
                            .server_base_w = 2000,
                            .instance_hour = 25,
                            .instance_replicas = 8,
                            .gpu_idle_w = 100,
                            .gpu_tdp_w = 700,
                            .kwh = 0.12,
                            .pue = 1.3,
                            .space_month = 800,
                            .maintenance_frac = 0.05,
                            .value_loss_frac = 0.35,
                            .integration = 10000,
                            .operations_month = 1000,
                            .api_input_mtok = NAN,
                            .api_output_mtok = NAN,
                            .growth_per_year = 0.6,
                            .lead_time_months = 6,
                            .discount_rate = 0.08,
                            .bridge_rent = true,
                            .horizon_months = 36,
                            .mix_own = 0.7};
    for (uint32_t i = 0; i < e.n_loads; i++) {
        e.load[i] = pow(1.3, i);
        e.capacity[i] = 0.04 * pow(1.02, i) * (1 - 0.1 * finalist);
    }
    for (uint32_t i = 0; i < EXP_MAX_CURVE; i++) {
        e.miss.x[i] = e.busy.x[i] = 0.4 + 0.1 * i;
        e.miss.y[i] = i < 8 ? 0.001 * i : 0.1 * (i - 7);
        e.busy.y[i] = fmin(1, 0.7 * e.busy.x[i]);
    }
    e.miss.n = e.busy.n = EXP_MAX_CURVE;
    for (int h = 0; h < EXP_DAY_HOURS; h++) e.day[h] = pow(0.5 + 0.5 * cos(6.283185307179586 * h / 24), 0.8);
    exp_economy_prepare(&e);
    return e;
}

static struct exp_response response(uint32_t finalist)
{
    struct exp_response r = {0};
    for (int d = 0; d < EXP_N_DRIVERS; d++) {
        r.elasticity[d] = 0.2;
        r.log_sd[d] = 0.05;
        snprintf(r.stream[d], sizeof r.stream[d], "driver %d of %u", d, finalist % 2);
    }
    return r;
}

static double run(const struct exp_plan *plan, const struct exp_option *option, uint32_t n_draws)
{
    static const uint32_t THREADS = 2;
    struct exp_risk *risk = sim_alloc(WAYS, sizeof *risk);
    double perfect, s = exp_risk_run(plan, option, WAYS, option, 1, n_draws, THREADS, risk, &perfect);
    printf("%u draws of %d options: %.3f s; P(NPV > 0) of the second %.3f, perfect information %.0f\n",
           n_draws, WAYS, s, risk[1].p_saving, perfect);
    free(risk);
    return s;
}

int main(void)
{
    struct exp_plan *plan = exp_plan_new();
    struct exp_economy *e = sim_alloc(WAYS, sizeof *e);
    struct exp_response r[FINALISTS];
    struct exp_option option[WAYS];
    double worst = 0;
    for (uint32_t f = 0; f < FINALISTS; f++) r[f] = response(f);
    for (uint32_t i = 0; i < WAYS; i++) {
        e[i] = economy(i / EXP_N_ACQUIRE, (enum exp_acquire)(i % EXP_N_ACQUIRE));
        option[i] = exp_option_of(&e[i], &r[i / EXP_N_ACQUIRE]);
        option[i].failure_lo = 0.005;
        option[i].failure_hi = 0.02;
        if (i >= EXP_N_ACQUIRE && i < WAYS / 2) option[i].pilot_answers = 3000;
    }
    for (int i = 0; i < RUNS; i++) worst = fmax(worst, run(plan, option, EXP_DRAWS));
    printf("worst of %d: %.3f s\n", RUNS, worst);
    free(e);
    exp_plan_free(plan);
    return 0;
}
