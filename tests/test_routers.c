/* Routers on hand-worked arrivals, and what a configuration must be. A step costs 1 s. */
#include <math.h>
#include <string.h>

#include "tests/harness.h"
#include "tests/toy.h"

static void set_up(struct toy *t, uint32_t n_replicas, const char *router)
{
    toy_init(t, n_replicas);
    sim_cost_linear_init(&t->cost, 1, 0, 0);
    t->fleets[0].engine.max_num_seqs = 1;
    t->config.router = sim_router_find(router);
    ck_assert_ptr_nonnull(t->config.router);
}

/* Runs, and compares who took which request; frees t. */
static void goes_to(struct toy *t, const uint16_t *replica)
{
    struct sim_result *res = toy_run(t);
    for (uint64_t i = 0; i < res->n_requests; i++)
        ck_assert_msg(res->outcomes[i].replica == replica[i], "request %u went to %u, expected %u",
                      (unsigned)i, res->outcomes[i].replica, replica[i]);
    sim_result_free(res);
    toy_free(t);
}

START_TEST(every_router_is_found_by_its_name)
{
    for (size_t i = 0; i < sim_router_count(); i++) {
        ck_assert_ptr_eq(sim_router_find(sim_router_at(i)->name), sim_router_at(i));
        ck_assert_uint_gt(strlen(sim_router_at(i)->help), 0);
    }
    ck_assert_ptr_null(sim_router_find("round robin"));
}
END_TEST

START_TEST(round_robin_takes_each_in_turn_whatever_they_do)
{
    struct toy t;
    set_up(&t, 3, "round_robin");
    for (int i = 0; i < 7; i++) toy_add(&t, i == 6 ? 1000 : 0, 1, i == 0 ? 100 : 1);
    goes_to(&t, (uint16_t[]){0, 1, 2, 0, 1, 2, 0});
}
END_TEST

START_TEST(random_spreads_requests_evenly)
{
    enum { N = 30000 };
    struct toy t;
    uint64_t n[3] = {0};
    set_up(&t, 3, "random");
    for (int i = 0; i < N; i++) toy_add(&t, i, 1, 1);
    struct sim_result *res = toy_run(&t);
    for (uint64_t i = 0; i < N; i++) n[res->outcomes[i].replica]++;
    for (int k = 0; k < 3; k++) ck_assert_double_eq_tol((double)n[k], N / 3., 5 * sqrt(N * 2 / 9.));
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* Ties go to the lowest replica. 0 has two until 2, 1 has one until 5, 2 has one until 1. At 1 replica 2 is
 * idle: the end of a step comes before an arrival of the same instant. */
START_TEST(least_outstanding_counts_running_and_waiting_at_the_arrival)
{
    struct toy t;
    set_up(&t, 3, "least_outstanding");
    toy_add(&t, 0, 1, 1);    /* 0: runs until 1 */
    toy_add(&t, 0, 1, 5);    /* 1: runs until 5 */
    toy_add(&t, 0, 1, 1);    /* 2: runs until 1 */
    toy_add(&t, 0, 1, 1);    /* all have one: 0, runs from 1 to 2 */
    toy_add(&t, 1, 1, 1);    /* 0 and 1 have one, 2 none */
    toy_add(&t, 1.5, 1, 1);  /* one each: 0, waits */
    toy_add(&t, 1.75, 1, 1); /* 0 has two, 1 and 2 one: 1 */
    toy_add(&t, 2.5, 1, 1);  /* 2 has been idle since 2 */
    goes_to(&t, (uint16_t[]){0, 1, 2, 0, 2, 0, 1, 2});
}
END_TEST

/* Blocks of one token, 100 a replica, or 1000 on the second. Requests beyond the first wait (one runs at a
 * time) and count with the blocks of their prompts. */
START_TEST(min_memory_takes_the_smallest_share_of_blocks_in_use_or_awaited)
{
    struct toy t;
    set_up(&t, 1, "min_memory");
    t.fleets[0].engine.block_size = 1;
    t.fleets[0].engine.n_blocks = t.fleets[0].engine.max_model_len = 100;
    t.fleets[1] = t.fleets[0];
    t.fleets[1].engine.n_blocks = 1000;
    t.config.n_fleets = 2;
    toy_add(&t, 0, 10, 20); /* 0 % and 0 %: 0 */
    toy_add(&t, 0, 60, 20); /* 10 % and 0 %: 1 */
    toy_add(&t, 0, 35, 20); /* 10 % and 6 %: 1 */
    toy_add(&t, 0, 1, 20);  /* 10 % and 9.5 %: 1 */
    toy_add(&t, 0, 50, 20); /* 10 % and 9.6 %: 1 */
    toy_add(&t, 0, 1, 1);   /* 10 % and 14.6 %: 0 */
    toy_add(&t, 8.5, 1, 1); /* 0 holds 10 + 8 and awaits 1, 1 holds 60 + 8 and awaits 86: 1 */
    toy_add(&t, 999, 2, 1); /* both are idle: 0 */
    toy_add(&t, 999, 1, 1); /* 2 % and 0 %: 1 */
    goes_to(&t, (uint16_t[]){0, 1, 1, 1, 1, 0, 1, 0, 1});
}
END_TEST

/* Two requests of 4 + 5 and 4 + 4 tokens on 10 blocks: the second is preempted and comes back. When all is
 * over, no prompt is awaited any more. */
START_TEST(min_memory_forgets_what_a_preempted_request_awaited)
{
    struct toy t;
    set_up(&t, 1, "min_memory");
    t.fleets[0].engine.max_num_seqs = 2;
    t.fleets[0].engine.block_size = 1;
    t.fleets[0].engine.n_blocks = t.fleets[0].engine.max_model_len = 10;
    t.fleets[1] = t.fleets[0];
    t.fleets[1].engine.n_blocks = t.fleets[1].engine.max_model_len = 1000;
    t.config.n_fleets = 2;
    toy_add(&t, 0, 4, 5);   /* 0 */
    toy_add(&t, 0, 500, 1); /* 40 % and 0 %: 1 */
    toy_add(&t, 0, 4, 4);   /* 40 % and 50 %: 0 */
    toy_add(&t, 99, 1, 1);  /* both are idle: 0 */
    struct sim_result *res = toy_run(&t);
    ck_assert_uint_eq(res->fleets[0].preemptions, 1);
    sim_result_free(res);
    goes_to(&t, (uint16_t[]){0, 1, 0, 0});
}
END_TEST

/* Fleet 0 (replica 0) is pinned to class 1, fleet 1 (1, 2) to none, fleet 2 (3) to classes 1 and 2. */
START_TEST(by_class_keeps_to_the_fleets_of_the_class)
{
    struct toy t;
    set_up(&t, 1, "by_class");
    t.fleets[1] = t.fleets[2] = t.fleets[0];
    t.fleets[0].slo_class_mask = 1u << 1;
    t.fleets[1].n_replicas = 2;
    t.fleets[2].slo_class_mask = 1u << 1 | 1u << 2;
    t.config.n_fleets = 3;
    for (int i = 1; i < 4; i++) t.classes[i] = t.classes[0];
    t.config.n_classes = 4;
    static const uint16_t slo_class[] = {1, 1, 2, 2, 1, 0, 3, 0}, replica[] = {0, 3, 3, 3, 0, 1, 2, 1};
    for (int i = 0; i < 8; i++) {
        toy_add(&t, 0, 1, 9);
        t.requests[i].slo_class = slo_class[i];
    }
    goes_to(&t, replica);
}
END_TEST

START_TEST(by_class_without_a_fleet_for_the_class_takes_all_fleets)
{
    struct toy t;
    set_up(&t, 1, "by_class");
    t.fleets[1] = t.fleets[0];
    t.fleets[0].slo_class_mask = t.fleets[1].slo_class_mask = 1u << 1;
    t.config.n_fleets = 2;
    t.classes[1] = t.classes[0];
    t.config.n_classes = 2;
    for (int i = 0; i < 4; i++) toy_add(&t, 0, 1, 9);
    goes_to(&t, (uint16_t[]){0, 1, 0, 1});
}
END_TEST

/* --- configurations --- */

static void valid(struct toy *t)
{
    toy_init(t, 2);
    for (int i = 0; i < 3; i++) toy_add(t, i, 5, 5);
}

static void no_router(struct toy *t)
{
    t->config.router = NULL;
}

static void no_sequences(struct toy *t)
{
    t->fleets[0].engine.max_num_seqs = 0;
}

static void no_block_size(struct toy *t)
{
    t->fleets[0].engine.block_size = 0;
}

static void small_budget(struct toy *t)
{
    t->fleets[0].engine.max_num_batched_tokens = 63;
}

static void small_pool(struct toy *t)
{
    t->fleets[0].engine.n_blocks = (1 << 16) - 1; /* of 16 tokens, for 2^20 */
}

static void high_watermark(struct toy *t)
{
    t->fleets[0].engine.watermark_blocks = 1 << 20;
}

static void ingress_is_no_number(struct toy *t)
{
    t->fleets[0].engine.ingress_s = NAN;
}

static void egress_is_negative(struct toy *t)
{
    t->fleets[0].engine.egress_s = -1e-9;
}

static void no_replicas(struct toy *t)
{
    t->fleets[0].n_replicas = 0;
}

static void many_replicas(struct toy *t)
{
    t->fleets[0].n_replicas = UINT16_MAX + 1;
}

static void many_stages(struct toy *t)
{
    t->cost.base.n_stages = SIM_MAX_STAGES + 1;
}

static void no_cost(struct toy *t)
{
    t->fleets[0].cost = NULL;
}

static void no_classes(struct toy *t)
{
    t->config.n_classes = 0;
}

static void many_classes(struct toy *t)
{
    t->config.n_classes = SIM_MAX_CLASSES + 1;
}

static void unknown_class(struct toy *t)
{
    t->requests[2].slo_class = 1;
}

static void no_input(struct toy *t)
{
    t->requests[0].input_tokens = 0;
}

static void no_output(struct toy *t)
{
    t->requests[1].output_tokens = 0;
}

static void out_of_order(struct toy *t)
{
    t->requests[2].arrival_s = 0.5;
}

static void before_time(struct toy *t)
{
    t->requests[0].arrival_s = -1;
}

static void never(struct toy *t)
{
    t->requests[2].arrival_s = INFINITY;
}

static void think_time_is_no_number(struct toy *t)
{
    t->config.load.think_time_s = NAN;
}

START_TEST(an_impossible_configuration_is_refused_by_the_value_that_is_wrong)
{
    static const struct {
        void (*spoil)(struct toy *t);
        const char *needle;
    } cases[] = {
        {no_router, "router"},
        {no_sequences, "max_num_seqs"},
        {no_block_size, "block_size"},
        {small_budget, "max_num_batched_tokens 63"},
        {small_pool, "65535 KV blocks"},
        {high_watermark, "watermark"},
        {ingress_is_no_number, "ingress_s"},
        {egress_is_negative, "egress_s"},
        {no_replicas, "0 replicas"},
        {many_replicas, "65536 replicas"},
        {many_stages, "stages"},
        {no_cost, "fleet toy"},
        {no_classes, "0 classes"},
        {many_classes, "33 classes"},
        {unknown_class, "request 2"},
        {no_input, "request 0"},
        {no_output, "request 1"},
        {out_of_order, "request 2"},
        {before_time, "request 0"},
        {never, "request 2"},
        {think_time_is_no_number, "think_time_s"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct toy t;
        struct sim_status st = {0};
        valid(&t);
        ck_assert(sim_config_check(&t.config, &st));
        cases[i].spoil(&t);
        ck_assert_msg(!sim_config_check(&t.config, &st), "%s was accepted", cases[i].needle);
        ck_assert_msg(strstr(st.message, cases[i].needle), "\"%s\" is not in \"%s\"", cases[i].needle,
                      st.message);
        ck_assert_ptr_null(strchr(st.message, '\n'));
        toy_free(&t);
    }
}
END_TEST

START_TEST(a_closed_loop_does_not_look_at_arrival_times)
{
    struct toy t;
    struct sim_status st = {0};
    valid(&t);
    out_of_order(&t);
    t.config.load.concurrency = 1;
    ck_assert(sim_config_check(&t.config, &st));
    struct sim_result *res = toy_run(&t);
    ck_assert_double_eq(res->outcomes[0].arrival_s, 0);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("routers");
    TCase *c = tcase_create("routers");
    tcase_add_test(c, every_router_is_found_by_its_name);
    tcase_add_test(c, round_robin_takes_each_in_turn_whatever_they_do);
    tcase_add_test(c, random_spreads_requests_evenly);
    tcase_add_test(c, least_outstanding_counts_running_and_waiting_at_the_arrival);
    tcase_add_test(c, min_memory_takes_the_smallest_share_of_blocks_in_use_or_awaited);
    tcase_add_test(c, min_memory_forgets_what_a_preempted_request_awaited);
    tcase_add_test(c, by_class_keeps_to_the_fleets_of_the_class);
    tcase_add_test(c, by_class_without_a_fleet_for_the_class_takes_all_fleets);
    suite_add_tcase(s, c);
    TCase *configurations = tcase_create("configurations");
    tcase_add_test(configurations, an_impossible_configuration_is_refused_by_the_value_that_is_wrong);
    tcase_add_test(configurations, a_closed_loop_does_not_look_at_arrival_times);
    suite_add_tcase(s, configurations);
    return s;
}
