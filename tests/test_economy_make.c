/* From prices, an entry and its response to an economy: every figure by hand, every replica that a response asks for. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/money/finalist.h"
#include "models/prices_file.h"
#include "sim/memory.h"
#include "tests/harness.h"

static const char PRICES[] =
    "servers:\n"
    "  - {gpu: new, gpus: 8, usd: 300000, host_gib: 1024, base_w: 2800, date: 2026-01-31, source: s}\n"
    "  - {gpu: old, gpus: 8, usd: 120000, host_gib: 1024, base_w: 2000, date: 2026-01-31, source: s}\n"
    "rents:\n"
    "  - {gpu: new, gpus: 8, provider: A, usd: 40, host_gib: 1024, date: 2026-01-31, source: s}\n"
    "  - {gpu: new, gpus: 8, provider: B, usd: 48, host_gib: 2048, date: 2026-01-31, source: s}\n"
    "  - {gpu: new, gpus: 1, provider: C, usd: 3, host_gib: 128, date: 2026-01-31, source: s}\n"
    "  - {gpu: old, gpus: 8, provider: A, usd: 20, host_gib: 1024, date: 2026-01-31, source: s}\n"
    "apis:\n"
    "  - {model: m, provider: A, input_usd: 0.5, output_usd: 2, date: 2026-01-31, source: s}\n"
    "site:\n"
    "  kwh: {usd: 0.1, date: 2026-01-31, source: s}\n"
    "  pue: {value: 1.5, date: 2026-01-31, source: s}\n"
    "  rack_server_month: {usd: 2000, date: 2026-01-31, source: s}\n"
    "  maintenance_frac: {value: 0.06, date: 2026-01-31, source: s}\n"
    "  engineer_hour: {usd: 100, date: 2026-01-31, source: s}\n"
    "  value_loss_frac: {value: 0.3, date: 2026-01-31, source: s}\n"
    "  host_gib: {usd: 10, date: 2026-01-31, source: s}\n"
    "labour:\n"
    "  - {strategy: '', integration_hours: 320, operations_hours_per_month: 32, source: s}\n"
    "  - {strategy: full, integration_hours: 5, operations_hours_per_month: 8, source: s}\n";

static const struct mdl_gpu gpu_new = {.name = "new",
                                       .idle_w = 70,
                                       .tdp_w = 700,
                                       .bandwidth_byte_per_s = 4e12,
                                       .rate_flops = {[MDL_BF16] = 1e15}};
static const struct mdl_gpu gpu_old = {.name = "old",
                                       .idle_w = 50,
                                       .tdp_w = 400,
                                       .bandwidth_byte_per_s = 2e12,
                                       .rate_flops = {[MDL_BF16] = 3e14}};
static const struct mdl_gpu gpu_odd = {.name = "odd",
                                       .idle_w = 20,
                                       .tdp_w = 200,
                                       .bandwidth_byte_per_s = 1e12,
                                       .rate_flops = {[MDL_BF16] = 1e14}};

struct fixture {
    struct mdl_prices *prices;
    struct exp_plan *plan;
    struct exp_contender full, freekv;
    struct exp_entry entry;
    struct exp_response response;
    struct exp_economy e;
    struct sim_status st;
};

static void take(struct exp_contender *c, const char *name)
{
    struct sim_status st = {0};
    c->strategy = mdl_strategy_find(name, &st);
    snprintf(c->label, sizeof c->label, "%s", name);
}

static struct mdl_prices *prices_of(const char *text)
{
    struct sim_status st = {0};
    struct mdl_yaml *y = mdl_yaml_parse("p.yaml", text, strlen(text), &st);
    struct mdl_prices *p = sim_alloc(1, sizeof *p);
    ck_assert_msg(y && mdl_prices_put(p, y, &st), "%s", st.message);
    mdl_yaml_free(y);
    return p;
}

/* A constant load, two classes, no headroom: three replicas of TP 2 on servers of eight, busy 0.6. */
static struct fixture *fixture_new(void)
{
    struct fixture *f = sim_alloc(1, sizeof *f);
    f->prices = prices_of(PRICES);
    struct exp_plan *p = f->plan = exp_plan_new();
    take(&f->full, "full");
    take(&f->freekv, "freekv");
    snprintf(p->base->model, sizeof p->base->model, "m");
    p->n_rate_curve = EXP_DAY_HOURS;
    for (int h = 0; h < EXP_DAY_HOURS; h++) p->rate_curve[h] = 1;
    p->growth_per_year = 0;
    p->horizon_months = 12;
    p->headroom = 0;
    p->spare_servers = 1;
    p->lead_time_months = 0;
    p->bridge_rent = false;
    p->discount_rate = 0.08;
    p->baseline = f->full;
    p->n_classes = 2;
    p->class[0] = (struct exp_plan_class){.cost_per_failure = 0.02, .cost_per_slo_miss = 0.001};
    p->class[1] = (struct exp_plan_class){
        .cost_per_failure = 40, .cost_per_slo_miss = 0.005, .churn_per_failure = 0.01, .customer_value = 500};
    f->entry = (struct exp_entry){.candidate = {.gpu = &gpu_new,
                                                .tensor_parallel = 2,
                                                .gpus_per_server = 8,
                                                .contender = &f->freekv,
                                                .host_gib = NAN},
                                  .n_replicas = 3,
                                  .request_rate = 10,
                                  .point = {.n_classes = 2,
                                            .class = {{.arrived = 300}, {.arrived = 100}},
                                            .gpu_busy = 0.6,
                                            .miss = 0.02,
                                            .input_tokens = 1000,
                                            .output_tokens = 240,
                                            .length_ratio = 1.2},
                                  .rates = {.newly_failing = 0.01}};
    return f;
}

static void fixture_free(struct fixture *f)
{
    exp_plan_free(f->plan);
    free(f->prices);
    free(f);
}

/* Two servers of eight old cards, kept. */
static void keep_old(struct fixture *f)
{
    f->plan->n_have = 1;
    f->plan->have[0] =
        (struct exp_plan_have){.gpu = "old", .servers = 2, .gpus_per_server = 8, .host_gib = 512};
    f->entry.candidate.keeps_have = true;
    f->entry.candidate.have_gpu[0] = &gpu_old;
    f->entry.candidate.have_tensor_parallel[0] = 2;
}

static void respond(struct fixture *f, const double *load, const uint32_t *replicas, uint32_t n)
{
    f->response = (struct exp_response){.headroom = 1.5,
                                        .n_loads = n,
                                        .busy = {.n = 2, .x = {0.5, 1}, .y = {0.3, 0.6}},
                                        .miss = {.n = 2, .x = {0.5, 1}, .y = {0, 0.01}}};
    for (uint32_t i = 0; i < n; i++) {
        f->response.load[i] = load[i];
        f->response.replicas[i] = replicas[i];
    }
    f->entry.n_replicas = replicas[0];
}

static bool make(struct fixture *f, const struct exp_response *r, enum exp_acquire a)
{
    f->st = (struct sim_status){0};
    return exp_economy_make(f->plan, f->prices, &f->entry, r, a, &f->e, &f->st);
}

static void made(struct fixture *f, const struct exp_response *r, enum exp_acquire a)
{
    ck_assert_msg(make(f, r, a), "%s", f->st.message);
}

static void to_the_cent(double got, double expected)
{
    ck_assert_msg(fabs(got - expected) < 0.005, "%.4f is not %.4f", got, expected);
}

static struct exp_cash cash_of(const struct exp_economy *e)
{
    struct exp_world w = exp_world_expected();
    struct exp_cash *c = sim_alloc(1, sizeof *c), copy;
    exp_cash_flow(e, &w, c);
    copy = *c;
    free(c);
    return copy;
}

/* ---- new machines ---- */

START_TEST(a_bought_fleet_costs_what_it_costs_by_hand)
{
    struct fixture *f = fixture_new();
    made(f, NULL, EXP_BUY);
    struct exp_cash c = cash_of(&f->e);
    /* three replicas: one server of four, and a spare */
    to_the_cent(c.item[EXP_COST_SERVERS], 2 * 300000);
    to_the_cent(c.item[EXP_COST_INTEGRATION], 320 * 100);
    to_the_cent(c.item[EXP_COST_OPERATIONS], 12 * 32 * 100);
    to_the_cent(c.item[EXP_COST_SPACE], 12 * 2 * 2000);
    to_the_cent(c.item[EXP_COST_MAINTENANCE], 2 * 300000 * 0.06);
    /* four replicas carry the load of three: 0.6 x 3/4 busy; the spare is off */
    double watts = 8 * (70 + 0.45 * 630) + 2800;
    to_the_cent(c.item[EXP_COST_POWER], 12 * watts * 1e-3 * 1.5 * 730 * 0.1);
    to_the_cent(c.item[EXP_COST_RENT], 0);
    double requests = 10 * 12 * 730 * 3600.0;
    to_the_cent(c.item[EXP_COST_FAILURE_LOSS], requests * 0.01 * (0.75 * 0.02 + 0.25 * (40 + 0.01 * 500)));
    ck_assert_double_eq_tol(c.served, requests, 1e-3);
    ck_assert_double_eq_tol(c.output_tokens, requests * 240, 1);
    ck_assert_double_eq_tol(c.equivalent_tokens, requests * 200, 1);
    fixture_free(f);
}
END_TEST

START_TEST(a_rented_fleet_costs_instances_and_hands_alone)
{
    struct fixture *f = fixture_new();
    f->entry.n_replicas = 9; /* three instances of four replicas */
    made(f, NULL, EXP_RENT);
    struct exp_cash c = cash_of(&f->e);
    to_the_cent(c.item[EXP_COST_RENT], 3 * 40 * 730 * 12);
    to_the_cent(c.item[EXP_COST_SERVERS] + c.item[EXP_COST_POWER] + c.item[EXP_COST_SPACE], 0);
    to_the_cent(c.item[EXP_COST_INTEGRATION], 32000);
    fixture_free(f);
}
END_TEST

START_TEST(the_instance_is_the_one_whose_replicas_cost_least)
{
    struct fixture *f = fixture_new();
    made(f, NULL, EXP_RENT); /* TP 2: one card of C holds none; A at 10 a replica, B at 12 */
    ck_assert_double_eq(f->e.instance_hour, 40);
    ck_assert_uint_eq(f->e.instance_replicas, 4);
    f->entry.candidate.tensor_parallel = 1; /* C at 3, A at 5 */
    made(f, NULL, EXP_RENT);
    ck_assert_double_eq(f->e.instance_hour, 3);
    ck_assert_uint_eq(f->e.instance_replicas, 1);
    f->entry.candidate.host_gib = 1536; /* for eight: more than A and C have */
    made(f, NULL, EXP_RENT);
    ck_assert_double_eq(f->e.instance_hour, 48);
    f->entry.candidate.host_gib = 4096;
    ck_assert(!make(f, NULL, EXP_RENT));
    fixture_free(f);
}
END_TEST

START_TEST(memory_beyond_a_servers_own_is_bought_with_it)
{
    struct fixture *f = fixture_new();
    f->entry.candidate.host_gib = 1536;
    made(f, NULL, EXP_BUY);
    to_the_cent(f->e.server_price, 300000 + 512 * 10);
    f->entry.candidate.host_gib = 512;
    made(f, NULL, EXP_BUY);
    to_the_cent(f->e.server_price, 300000);
    fixture_free(f);
}
END_TEST

START_TEST(every_money_scales_with_the_currency)
{
    struct fixture *f = fixture_new();
    keep_old(f);
    f->entry.candidate.adds_host_memory = true;
    f->entry.candidate.host_gib = 1024;
    for (int a = 0; a < EXP_N_ACQUIRE; a++) {
        made(f, NULL, (enum exp_acquire)a);
        struct exp_cash usd = cash_of(&f->e);
        mdl_prices_convert(f->prices, "JPY", 150);
        made(f, NULL, (enum exp_acquire)a);
        struct exp_cash jpy = cash_of(&f->e);
        mdl_prices_convert(f->prices, "USD", 1 / 150.0);
        ck_assert_double_gt(usd.item[EXP_COST_HOST_MEMORY], 0);
        for (int i = 0; i < EXP_COST_SLO_LOSS; i++)
            ck_assert_double_eq_tol(jpy.item[i], 150 * usd.item[i], 1e-9 * jpy.total);
    }
    fixture_free(f);
}
END_TEST

/* ---- what is missing ---- */

static void lacks(const char *from, const char *to, enum exp_acquire a, const char *expected)
{
    struct fixture *f = fixture_new();
    char text[sizeof PRICES + 64], *at;
    memcpy(text, PRICES, sizeof PRICES);
    while ((at = strstr(text, from))) memcpy(at, to, strlen(from));
    free(f->prices);
    f->prices = prices_of(text);
    snprintf(f->plan->prices, sizeof f->plan->prices, "quotes.yaml");
    ck_assert(!make(f, NULL, a));
    ck_assert_msg(strstr(f->st.message, expected) && strstr(f->st.message, "quotes.yaml"), "%s",
                  f->st.message);
    ck_assert_ptr_null(strchr(f->st.message, '\n'));
    fixture_free(f);
}

START_TEST(a_missing_price_names_gpu_key_and_file)
{
    lacks("{gpu: new", "{gpu: mew", EXP_BUY,
          "no server with 8 x new; add a row for this GPU under `servers`");
    lacks("{gpu: new", "{gpu: mew", EXP_MIX, "no server with 8 x new");
    lacks("{gpu: new", "{gpu: mew", EXP_RENT,
          "no rent with at least 2 x new; add a row for this GPU under `rents`");
    lacks("  kwh:", "# kwh:", EXP_RENT, "no `site.kwh`; add it to");
    lacks("  engineer_hour:", "# engineer_hour:", EXP_BUY, "no `site.engineer_hour`");
    lacks("  - {strategy: ''", "# - {strategy: ''", EXP_BUY,
          "no hours for strategy freekv; add a row under `labour`");
}
END_TEST

START_TEST(bought_servers_need_no_rent_and_say_so)
{
    struct fixture *f = fixture_new();
    f->prices->n_rents = 0;
    made(f, NULL, EXP_BUY);
    ck_assert(isnan(f->e.instance_hour));
    ck_assert(!make(f, NULL, EXP_MIX));
    fixture_free(f);
}
END_TEST

/* ---- the load ---- */

START_TEST(means_over_classes_weigh_their_traffic)
{
    struct fixture *f = fixture_new();
    made(f, NULL, EXP_BUY);
    ck_assert_double_eq_tol(f->e.cost_per_miss, 0.75 * 0.001 + 0.25 * 0.005, 1e-12);
    ck_assert_double_eq_tol(f->e.cost_per_failure, 0.75 * 0.02 + 0.25 * 45, 1e-12);
    f->entry.point.class[0].arrived = 0;
    made(f, NULL, EXP_BUY);
    ck_assert_double_eq_tol(f->e.cost_per_miss, 0.005, 1e-12);
    f->entry.point.class[1].arrived = 0; /* before anything was run, each alike */
    made(f, NULL, EXP_BUY);
    ck_assert_double_eq_tol(f->e.cost_per_miss, 0.003, 1e-12);
    fixture_free(f);
}
END_TEST

START_TEST(a_miss_costs_what_it_costs_the_classes_that_miss)
{
    struct fixture *f = fixture_new();
    f->entry.point.miss = 0.03;
    f->entry.point.class[0].attainment = 0.96; /* 3 of 4 requests are of this class */
    f->entry.point.class[1].attainment = 1;
    made(f, NULL, EXP_BUY);
    ck_assert_double_eq_tol(f->e.cost_per_miss, 0.001, 1e-12);
    f->entry.point.class[1].attainment = 0.88; /* as many misses as of the other */
    made(f, NULL, EXP_BUY);
    ck_assert_double_eq_tol(f->e.cost_per_miss, 0.5 * 0.001 + 0.5 * 0.005, 1e-12);
    ck_assert_double_eq_tol(f->e.cost_per_failure, 0.75 * 0.02 + 0.25 * 45, 1e-12);
    fixture_free(f);
}
END_TEST

START_TEST(the_point_lies_at_the_peak_and_its_headroom)
{
    struct fixture *f = fixture_new();
    f->plan->headroom = 0.25;
    made(f, NULL, EXP_BUY);
    ck_assert_double_eq_tol(exp_curve_at(&f->e.busy, 1.25), 0.6, 1e-12);
    ck_assert_double_eq_tol(exp_curve_miss_at(&f->e.miss, 1.25), 0.02, 1e-12);
    ck_assert_double_eq_tol(exp_curve_miss_at(&f->e.miss, 0.625), 0, 1e-12);
    ck_assert_double_eq_tol(exp_curve_miss_at(&f->e.miss, 2.5), 1, 1e-12);
    for (double x = 0.08; x < 1.25; x *= 1.05) {
        double line = 0.6 * x / 1.25;
        ck_assert_double_eq_tol(exp_curve_at(&f->e.busy, x), line, 0.021 * line);
    }
    ck_assert_double_eq(f->e.requests_per_s, 10);
    fixture_free(f);
}
END_TEST

/* Headroom is in the load of its points; it is not counted once more. */
START_TEST(a_response_is_over_the_load_that_was_simulated)
{
    static const double load[] = {1};
    static const uint32_t replicas[] = {3};
    struct fixture *f = fixture_new();
    respond(f, load, replicas, 1);
    f->plan->headroom = 0.25;
    made(f, &f->response, EXP_BUY);
    ck_assert_double_eq_tol(exp_curve_at(&f->e.busy, 1), 0.6, 1e-12);
    ck_assert_double_eq_tol(exp_curve_at(&f->e.miss, 1), 0.01, 1e-12);
    ck_assert_double_eq_tol(exp_curve_at(&f->e.busy, 0.5), 0.3, 1e-12);
    fixture_free(f);
}
END_TEST

/* ---- what there is ---- */

START_TEST(kept_machines_of_all_kinds_are_summed)
{
    struct fixture *f = fixture_new();
    keep_old(f);
    f->plan->n_have = 2;
    f->plan->have[1] =
        (struct exp_plan_have){.gpu = "odd", .servers = 3, .gpus_per_server = 4, .host_gib = NAN};
    f->entry.candidate.have_gpu[1] = &gpu_odd;
    made(f, NULL, EXP_BUY);
    ck_assert_uint_eq(f->e.have_servers, 5);
    ck_assert_uint_eq(f->e.have_gpus, 16 + 12);
    ck_assert_double_eq_tol(f->e.have_gpu_idle_w, 16 * 50 + 12 * 20, 1e-9);
    ck_assert_double_eq_tol(f->e.have_gpu_tdp_w, 16 * 400 + 12 * 200, 1e-9);
    ck_assert_double_eq_tol(f->e.have_base_w, 2 * 2000 + 12 * 100, 1e-9); /* odd has no price: half its TDP */
    to_the_cent(f->e.have_maintenance_month, 2 * 120000 * 0.06 / 12);
    f->entry.candidate.keeps_have = false;
    made(f, NULL, EXP_BUY);
    ck_assert_uint_eq(f->e.have_servers + f->e.have_gpus, 0);
    ck_assert_double_eq(f->e.have_capacity + f->e.have_base_w + f->e.have_maintenance_month, 0);
    fixture_free(f);
}
END_TEST

START_TEST(memory_is_added_where_there_is_less)
{
    struct fixture *f = fixture_new();
    keep_old(f);
    f->plan->n_have = 3;
    f->plan->have[1] = f->plan->have[2] = f->plan->have[0];
    f->plan->have[1].host_gib = 2048;
    f->plan->have[2].host_gib = NAN; /* the usual, which is what the candidate asks for */
    f->entry.candidate.have_gpu[1] = f->entry.candidate.have_gpu[2] = &gpu_old;
    f->entry.candidate.host_gib = 1024;
    f->entry.candidate.adds_host_memory = true;
    made(f, NULL, EXP_BUY);
    to_the_cent(f->e.host_memory_price, 2 * 512 * 10);
    f->entry.candidate.adds_host_memory = false;
    made(f, NULL, EXP_BUY);
    to_the_cent(f->e.host_memory_price, 0);
    fixture_free(f);
}
END_TEST

START_TEST(what_runs_today_is_integrated_already)
{
    struct fixture *f = fixture_new();
    f->entry.candidate.contender = &f->full;
    made(f, NULL, EXP_BUY);
    to_the_cent(f->e.integration, 5 * 100);
    keep_old(f);
    made(f, NULL, EXP_BUY);
    to_the_cent(f->e.integration, 0);
    to_the_cent(f->e.operations_month, 8 * 100);
    f->entry.candidate.contender = &f->freekv;
    made(f, NULL, EXP_BUY);
    to_the_cent(f->e.integration, 320 * 100);
    fixture_free(f);
}
END_TEST

/* Fleets that were made up: kept machines carry `have`, a new replica `each`. */
static void a_fleet_is_found_again(struct fixture *f, double have, double each, double growth)
{
    double load[6];
    uint32_t replicas[6];
    for (int i = 0; i < 6; i++) {
        load[i] = pow(growth, i);
        replicas[i] = load[i] > have ? (uint32_t)ceil((load[i] - have) / each - 1e-9) : 0;
    }
    if (!f->entry.candidate.keeps_have && replicas[0] == 0) return;
    respond(f, load, replicas, 6);
    made(f, &f->response, EXP_BUY);
    for (int i = 0; i < 6; i++)
        ck_assert_msg(exp_economy_replicas(&f->e, load[i]) == replicas[i], "have %g, each %g: %u of %u at %g",
                      have, each, exp_economy_replicas(&f->e, load[i]), replicas[i], load[i]);
}

START_TEST(a_load_takes_the_replicas_that_the_response_found)
{
    struct fixture *f = fixture_new();
    for (double each = 0.011; each < 2; each *= 1.7)
        for (double growth = 1.05; growth < 2; growth += 0.3) a_fleet_is_found_again(f, 0, each, growth);
    keep_old(f);
    for (double have = 0.3; have < 4; have *= 1.3)
        for (double each = 0.011; each < 2; each *= 1.7)
            for (double growth = 1.05; growth < 2; growth += 0.3)
                a_fleet_is_found_again(f, have, each, growth);
    fixture_free(f);
}
END_TEST

START_TEST(many_new_replicas_show_what_the_kept_machines_carry)
{
    static const double load[] = {1, 2, 4};
    static const uint32_t replicas[] = {12, 32, 72}; /* 0.4 and 0.05 each */
    struct fixture *f = fixture_new();
    keep_old(f);
    respond(f, load, replicas, 3);
    made(f, &f->response, EXP_BUY);
    ck_assert_double_eq_tol(f->e.have_capacity, 0.4, 1e-9);
    for (uint32_t i = 0; i < f->e.n_loads; i++) ck_assert_double_eq_tol(f->e.capacity[i], 0.05, 1e-9);
    fixture_free(f);
}
END_TEST

START_TEST(few_new_replicas_leave_it_to_memory_bandwidth)
{
    struct fixture *f = fixture_new();
    keep_old(f);
    f->entry.n_replicas = 2;
    made(f, NULL, EXP_BUY);
    /* 16 old cards of 2 TB/s; two replicas of two new ones of 4 TB/s: 32 to 16 */
    ck_assert_double_eq_tol(f->e.have_capacity, 2.0 / 3, 1e-12);
    ck_assert_double_eq_tol(f->e.capacity[0], 1.0 / 6, 1e-12);
    ck_assert_uint_eq(exp_economy_replicas(&f->e, 1), 2);
    fixture_free(f);
}
END_TEST

START_TEST(machines_that_are_enough_carry_as_much_as_their_headroom_says)
{
    static const double load[] = {1};
    static const uint32_t replicas[] = {0};
    struct fixture *f = fixture_new();
    keep_old(f);
    respond(f, load, replicas, 1);
    f->plan->headroom = 0.2;
    f->response.headroom = 1.8; /* breaks at 1.8 times the peak: 1.5 with headroom left */
    made(f, &f->response, EXP_BUY);
    ck_assert_double_eq_tol(f->e.have_capacity, 1.5, 1e-12);
    ck_assert_uint_eq(exp_economy_replicas(&f->e, 1.5), 0);
    ck_assert_uint_eq(exp_economy_replicas(&f->e, 1.51), 1);
    /* a point at the peak is 1 / 1.5 of what they carry */
    ck_assert_double_eq_tol(exp_curve_at(&f->e.busy, 1 / 1.5), 0.6, 1e-12);
    /* a new replica of two cards by bandwidth: 8 to 32 */
    ck_assert_double_eq_tol(f->e.capacity[0], 1.5 / 4, 1e-12);
    fixture_free(f);
}
END_TEST

START_TEST(a_bound_before_any_run_counts_no_machine_too_many)
{
    struct fixture *f = fixture_new();
    keep_old(f);
    f->entry.point = (struct exp_trial_point){0};
    f->entry.n_replicas = 0;
    f->plan->growth_per_year = 3;
    f->plan->horizon_months = 36;
    made(f, NULL, EXP_BUY);
    struct exp_cash c = cash_of(&f->e);
    to_the_cent(c.item[EXP_COST_SERVERS] + c.item[EXP_COST_RENT] + c.item[EXP_COST_SLO_LOSS], 0);
    f->entry.n_replicas = 2; /* arithmetic: 16 x 0.3 to 4 x 1 PFLOPS */
    made(f, NULL, EXP_BUY);
    ck_assert_double_eq_tol(f->e.have_capacity, 4.8 / 8.8, 1e-12);
    fixture_free(f);
}
END_TEST

/* ---- reference lines ---- */

START_TEST(doing_nothing_buys_nothing_and_misses_more_as_load_grows)
{
    struct fixture *f = fixture_new();
    keep_old(f);
    f->entry.candidate.contender = &f->full;
    f->entry.n_replicas = 2;
    double last = -1;
    for (double growth = 0; growth < 2; growth += 0.5) {
        f->plan->growth_per_year = growth;
        ck_assert(exp_economy_do_nothing(f->plan, f->prices, &f->entry, NULL, &f->e));
        struct exp_cash c = cash_of(&f->e);
        to_the_cent(c.item[EXP_COST_SERVERS] + c.item[EXP_COST_RENT] + c.item[EXP_COST_INTEGRATION], 0);
        double missed = c.item[EXP_COST_SLO_LOSS] / c.served;
        ck_assert_double_gt(missed, last);
        last = missed;
    }
    /* two thirds of the load is all it carries, so 1 is 1.5 times that: misses from 0.02 at 1 to 1 at 2, in log x */
    ck_assert_double_eq_tol(exp_curve_miss_at(&f->e.miss, 1 / f->e.have_capacity), 0.02 + 0.98 * log2(1.5),
                            1e-9);
    f->entry.candidate.keeps_have = false;
    ck_assert(!exp_economy_do_nothing(f->plan, f->prices, &f->entry, NULL, &f->e));
    fixture_free(f);
}
END_TEST

START_TEST(an_api_costs_its_tokens_at_the_length_of_full_kv)
{
    struct fixture *f = fixture_new();
    ck_assert(exp_economy_api(f->plan, f->prices, &f->entry, &f->e));
    struct exp_cash c = cash_of(&f->e);
    double requests = 10 * 12 * 730 * 3600.0;
    to_the_cent(c.item[EXP_COST_API], requests * (1000 * 0.5 + 200 * 2.0) * 1e-6);
    to_the_cent(c.total, c.item[EXP_COST_API]);
    ck_assert_double_eq_tol(c.good, requests, 1e-3);
    f->prices->n_apis = 0;
    ck_assert(!exp_economy_api(f->plan, f->prices, &f->entry, &f->e));
    fixture_free(f);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("economy_make");
    TCase *c = tcase_create("economy_make");
    tcase_add_test(c, a_bought_fleet_costs_what_it_costs_by_hand);
    tcase_add_test(c, a_rented_fleet_costs_instances_and_hands_alone);
    tcase_add_test(c, the_instance_is_the_one_whose_replicas_cost_least);
    tcase_add_test(c, memory_beyond_a_servers_own_is_bought_with_it);
    tcase_add_test(c, every_money_scales_with_the_currency);
    tcase_add_test(c, a_missing_price_names_gpu_key_and_file);
    tcase_add_test(c, bought_servers_need_no_rent_and_say_so);
    tcase_add_test(c, means_over_classes_weigh_their_traffic);
    tcase_add_test(c, a_miss_costs_what_it_costs_the_classes_that_miss);
    tcase_add_test(c, the_point_lies_at_the_peak_and_its_headroom);
    tcase_add_test(c, a_response_is_over_the_load_that_was_simulated);
    tcase_add_test(c, kept_machines_of_all_kinds_are_summed);
    tcase_add_test(c, memory_is_added_where_there_is_less);
    tcase_add_test(c, what_runs_today_is_integrated_already);
    tcase_add_test(c, a_load_takes_the_replicas_that_the_response_found);
    tcase_add_test(c, many_new_replicas_show_what_the_kept_machines_carry);
    tcase_add_test(c, few_new_replicas_leave_it_to_memory_bandwidth);
    tcase_add_test(c, machines_that_are_enough_carry_as_much_as_their_headroom_says);
    tcase_add_test(c, a_bound_before_any_run_counts_no_machine_too_many);
    tcase_add_test(c, doing_nothing_buys_nothing_and_misses_more_as_load_grows);
    tcase_add_test(c, an_api_costs_its_tokens_at_the_length_of_full_kv);
    suite_add_tcase(s, c);
    return s;
}
