#include "tests/money_help.h"

#include <math.h>

#include "sim/random.h"

struct exp_economy plain_economy(void)
{
    struct exp_economy e = {.acquire = EXP_BUY,
                            .n_loads = 1,
                            .load = {1},
                            .capacity = {0.25},
                            .busy = {1, {1}, {0.5}},
                            .replicas_per_server = 2,
                            .gpus_per_server = 8,
                            .requests_per_s = 10,
                            .input_tokens = 1000,
                            .output_tokens = 200,
                            .length_ratio = 1,
                            .server_price = 100000,
                            .server_base_w = 1000,
                            .instance_hour = 20,
                            .instance_replicas = 3,
                            .gpu_idle_w = 100,
                            .gpu_tdp_w = 700,
                            .kwh = 0.1,
                            .pue = 1.5,
                            .value_loss_frac = 1,
                            .api_input_mtok = NAN,
                            .api_output_mtok = NAN,
                            .horizon_months = 12};
    for (int h = 0; h < EXP_DAY_HOURS; h++) e.day[h] = 1;
    return e;
}

/* ---- at random ---- */

struct draws {
    uint64_t seed, n;
};

static double between(struct draws *d, double lo, double hi)
{
    return lo + (hi - lo) * sim_random_unit(d->seed, 1, d->n++);
}

static uint32_t count(struct draws *d, uint32_t lo, uint32_t hi)
{
    return (uint32_t)between(d, lo, hi + 0.999);
}

/* Larger fleets carry more per replica, but never need fewer of them. */
static void draw_capacity(struct draws *d, struct exp_economy *e)
{
    e->n_loads = count(d, 1, 4);
    e->load[0] = 1;
    e->capacity[0] = exp(between(d, log(0.01), log(0.7)));
    for (uint32_t i = 1; i < e->n_loads; i++) {
        double by = between(d, 1.1, 2);
        e->load[i] = e->load[i - 1] * by;
        e->capacity[i] = e->capacity[i - 1] * pow(by, between(d, -0.1, 0.6));
    }
}

static void draw_curve(struct draws *d, struct exp_curve *c, double least, double most)
{
    c->n = count(d, 1, EXP_MAX_CURVE);
    double x = between(d, 0.1, 0.6), y = least;
    for (uint32_t i = 0; i < c->n; i++, x *= between(d, 1.02, 1.5)) {
        c->x[i] = x;
        c->y[i] = y;
        y += (most - y) * between(d, 0, 0.5);
    }
}

static void draw_day(struct draws *d, struct exp_economy *e)
{
    bool any = between(d, 0, 1) < 0.5;
    double sharp = between(d, 0, 4);
    for (int h = 0; h < EXP_DAY_HOURS; h++)
        e->day[h] =
            any ? between(d, 0, 1) : pow(0.5 + 0.5 * cos(6.283185307179586 * h / EXP_DAY_HOURS), sharp);
    e->day[count(d, 0, 23)] = 1;
    if (any) e->day[count(d, 0, 23)] = 0;
}

static void draw_have(struct draws *d, struct exp_economy *e)
{
    if (between(d, 0, 1) < 0.5) return;
    e->have_servers = count(d, 1, 4);
    e->have_capacity = between(d, 0.05, 1.5);
    e->have_gpus = 8 * e->have_servers;
    e->have_gpu_idle_w = 60.0 * e->have_gpus;
    e->have_gpu_tdp_w = 400.0 * e->have_gpus;
    e->have_base_w = 900.0 * e->have_servers;
    e->have_maintenance_month = between(d, 10, 1000);
}

struct exp_economy random_economy(uint64_t seed)
{
    struct draws d = {seed, 0};
    struct exp_economy e = plain_economy();
    draw_capacity(&d, &e);
    draw_curve(&d, &e.miss, 0, 0.5);
    draw_curve(&d, &e.busy, 0.1, 1);
    draw_day(&d, &e);
    draw_have(&d, &e);
    e.acquire = (enum exp_acquire)count(&d, 0, EXP_N_ACQUIRE - 1);
    e.mix_own = between(&d, 0, 1);
    e.replicas_per_server = count(&d, 1, 8);
    e.instance_replicas = count(&d, 1, 8);
    e.spare_servers = count(&d, 0, 2);
    e.bridge_rent = between(&d, 0, 1) < 0.5;
    e.growth_per_year = between(&d, -0.2, 1.2);
    e.lead_time_months = between(&d, 0, 9);
    e.horizon_months = count(&d, 1, 60);
    e.value_loss_frac = between(&d, 0, 0.6);
    e.maintenance_frac = between(&d, 0.01, 0.1);
    e.newly_failing = between(&d, 0, 0.1);
    e.cost_per_miss = between(&d, 1e-5, 1e-2);
    e.cost_per_failure = between(&d, 1e-4, 1);
    e.host_memory_price = between(&d, 100, 20000);
    e.integration = between(&d, 100, 20000);
    e.operations_month = between(&d, 10, 2000);
    e.space_month = between(&d, 10, 2000);
    return e;
}

/* ---- of any ---- */

double *price_of(struct exp_economy *e, uint32_t i)
{
    double *const all[N_PRICES] = {&e->cost_per_miss,
                                   &e->cost_per_failure,
                                   &e->server_price,
                                   &e->instance_hour,
                                   &e->host_memory_price,
                                   &e->have_maintenance_month,
                                   &e->kwh,
                                   &e->space_month,
                                   &e->integration,
                                   &e->operations_month,
                                   &e->api_input_mtok,
                                   &e->api_output_mtok};
    return all[i];
}

double capacity_at(const struct exp_economy *e, double load)
{
    double y = e->capacity[0];
    for (uint32_t i = 1; i < e->n_loads && load > e->load[i - 1]; i++) {
        double part = fmin(1, (load - e->load[i - 1]) / (e->load[i] - e->load[i - 1]));
        y = e->capacity[i - 1] + part * (e->capacity[i] - e->capacity[i - 1]);
    }
    return y;
}
