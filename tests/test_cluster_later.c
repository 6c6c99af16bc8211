/* Costs that change during a run: a batch is priced by what holds when it forms, in every engine loop, and fast-forward
 * changes no byte. Times by hand where a single request runs. */
#include "tests/harness.h"
#include "tests/toy.h"

#include <math.h>
#include <string.h>

enum { PHASES = 3 };

struct later {
    struct toy t;
    struct sim_cost_linear cost[PHASES];
    struct sim_cost_phase phase[PHASES];
};

/* A step takes step_s[i] from from_s[i] on, and 10 ms before. */
static void set_phases(struct later *l, uint32_t n, const double *from_s, const double *step_s)
{
    toy_init(&l->t, 1);
    sim_cost_linear_init(&l->t.cost, 0.01, 0, 0);
    for (uint32_t i = 0; i < n; i++) {
        sim_cost_linear_init(&l->cost[i], step_s[i], 0, 0);
        l->phase[i] = (struct sim_cost_phase){from_s[i], &l->cost[i].base};
    }
    l->t.fleets[0].later = l->phase;
    l->t.fleets[0].n_later = n;
}

static void check_both_ways(struct later *l, double e2el_s)
{
    for (int fast = 0; fast < 2; fast++) {
        l->t.config.fast_forward = fast;
        struct sim_result *res = toy_run(&l->t);
        ck_assert_double_eq_tol(res->outcomes[0].e2el_s, e2el_s, 1e-12);
        sim_result_free(res);
    }
}

/* 100 steps from 0: those that begin before 0.505 s take 10 ms, the others 30 ms: 51 and 49. */
START_TEST(a_step_takes_what_holds_when_it_begins)
{
    struct later l = {0};
    set_phases(&l, 1, (double[]){0.505}, (double[]){0.03});
    toy_add(&l.t, 0, 5, 100);
    check_both_ways(&l, 51 * 0.01 + 49 * 0.03);
    toy_free(&l.t);
}
END_TEST

/* Two changes inside one step: the later one holds. A quarter of a second is a binary fraction: steps of 1/64 s begin
 * exactly at it, and at it the new cost holds. */
START_TEST(changes_in_one_step_and_at_its_very_start)
{
    struct later l = {0};
    set_phases(&l, 2, (double[]){0.501, 0.503}, (double[]){5, 0.02});
    toy_add(&l.t, 0, 5, 60);
    check_both_ways(&l, 51 * 0.01 + 9 * 0.02);
    toy_free(&l.t);
    set_phases(&l, 1, (double[]){0.25}, (double[]){0.5});
    sim_cost_linear_init(&l.t.cost, 1.0 / 64, 0, 0);
    toy_add(&l.t, 0, 5, 20);
    check_both_ways(&l, 16 / 64.0 + 4 * 0.5);
    toy_free(&l.t);
}
END_TEST

/* From the start; while nothing runs; after the end. */
START_TEST(changes_before_between_and_after_requests)
{
    struct later l = {0};
    set_phases(&l, 3, (double[]){0, 0.5, 1e9}, (double[]){0.02, 0.04, 7});
    toy_add(&l.t, 0, 5, 10);
    toy_add(&l.t, 1, 5, 10);
    for (int fast = 0; fast < 2; fast++) {
        l.t.config.fast_forward = fast;
        struct sim_result *res = toy_run(&l.t);
        ck_assert_double_eq_tol(res->outcomes[0].e2el_s, 0.2, 1e-12);
        ck_assert_double_eq_tol(res->outcomes[1].e2el_s, 0.4, 1e-12);
        ck_assert_double_eq_tol(res->fleets[0].gpu_s, 0.6, 1e-12);
        sim_result_free(res);
    }
    toy_free(&l.t);
}
END_TEST

static void set_matrix(struct later *l, size_t router, int variant)
{
    set_phases(l, 3, (double[]){1.1, 2.0, 4.5}, (double[]){0.02, 0.005, 0.015});
    sim_cost_linear_init(&l->t.cost, 0.01, 1e-4, 1e-6);
    struct sim_fleet *f = &l->t.fleets[0];
    f->n_replicas = 3;
    f->engine.max_num_seqs = 8;
    f->engine.max_num_batched_tokens = 64;
    f->engine.block_size = 4;
    f->engine.max_model_len = 140;
    f->engine.n_blocks = variant & 1 ? 36 : 1 << 12;
    f->engine.policy = variant & 2 ? SIM_PRIORITY : SIM_FCFS;
    f->engine.ingress_s = variant & 4 ? 0.013 : 0;
    l->t.config.router = sim_router_at(router);
    l->t.config.timeline_points = 10;
    toy_poisson(&l->t, 150, variant & 8 ? 0 : 25, 40, 30, (uint64_t)variant + 1);
    if (variant & 8) l->t.config.load.concurrency = 20;
    for (uint32_t i = 0; (variant & 16) && i <= PHASES; i++)
        (i < PHASES ? &l->cost[i] : &l->t.cost)->base.n_stages = 2;
}

START_TEST(fast_forward_changes_no_byte)
{
    for (int variant = 0; variant < 32; variant++) {
        struct later l = {0};
        set_matrix(&l, (size_t)_i, variant);
        struct sim_result *fast = toy_run(&l.t);
        l.t.config.fast_forward = false;
        struct sim_result *slow = toy_run(&l.t);
        ck_assert_msg(toy_equal(fast, slow), "router %d variant %d", _i, variant);
        sim_result_free(fast);
        sim_result_free(slow);
        toy_free(&l.t);
    }
}
END_TEST

/* A change to the same cost splits runs of steps and lines, and nothing else: sums over a line are then added in other
 * groups, so that times agree to rounding and what happens agrees byte for byte. */
START_TEST(a_change_to_the_same_changes_nothing)
{
    for (int variant = 0; variant < 16; variant++) {
        struct later l = {0};
        set_matrix(&l, (size_t)_i, variant);
        for (int i = 0; i < PHASES; i++) l.phase[i].cost = &l.t.cost.base;
        struct sim_result *with = toy_run(&l.t);
        l.t.fleets[0].n_later = 0;
        struct sim_result *without = toy_run(&l.t);
        ck_assert_double_eq_tol(with->fleets[0].gpu_s, without->fleets[0].gpu_s, 1e-9);
        for (int e = 0; e < SIM_N_EVIDENCE; e++)
            ck_assert_double_eq_tol(with->fleets[0].by_evidence_s[e], without->fleets[0].by_evidence_s[e],
                                    1e-9);
        with->fleets[0].gpu_s = without->fleets[0].gpu_s;
        for (int e = 0; e < SIM_N_EVIDENCE; e++)
            with->fleets[0].by_evidence_s[e] = without->fleets[0].by_evidence_s[e];
        ck_assert_msg(toy_equal(with, without), "router %d variant %d", _i, variant);
        sim_result_free(with);
        sim_result_free(without);
        toy_free(&l.t);
    }
}
END_TEST

/* Slower from some time on is never faster for anybody who comes alone. */
START_TEST(the_sooner_it_slows_down_the_longer_it_takes)
{
    double before = INFINITY;
    for (int i = 0; i <= 20; i++) {
        struct later l = {0};
        double from_s = 0.07 * i;
        set_phases(&l, 1, &from_s, (double[]){0.03});
        toy_add(&l.t, 0, 5, 100);
        struct sim_result *res = toy_run(&l.t);
        ck_assert_double_le(res->outcomes[0].e2el_s, before);
        before = res->outcomes[0].e2el_s;
        sim_result_free(res);
        toy_free(&l.t);
    }
    ck_assert_double_eq_tol(before, 1, 1e-9);
}
END_TEST

static void refused(double first_s, double second_s, uint32_t stages)
{
    struct later l = {0};
    struct sim_status st = {0};
    set_phases(&l, 2, (double[]){first_s, second_s}, (double[]){0.1, 0.2});
    l.cost[1].base.n_stages = stages;
    ck_assert(!sim_config_check(&l.t.config, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "fleet"));
    toy_free(&l.t);
}

START_TEST(times_out_of_order_and_other_stages_are_refused)
{
    refused(2, 1, 1);
    refused(-1, 1, 1);
    refused(1, NAN, 1);
    refused(1, INFINITY, 1);
    refused(1, 2, 2);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("cluster later");
    TCase *c = tcase_create("later");
    int n = (int)sim_router_count();
    tcase_set_timeout(c, 120);
    tcase_add_test(c, a_step_takes_what_holds_when_it_begins);
    tcase_add_test(c, changes_in_one_step_and_at_its_very_start);
    tcase_add_test(c, changes_before_between_and_after_requests);
    tcase_add_loop_test(c, fast_forward_changes_no_byte, 0, n);
    tcase_add_loop_test(c, a_change_to_the_same_changes_nothing, 0, n);
    tcase_add_test(c, the_sooner_it_slows_down_the_longer_it_takes);
    tcase_add_test(c, times_out_of_order_and_other_stages_are_refused);
    suite_add_tcase(s, c);
    return s;
}
