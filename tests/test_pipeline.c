/* Pipeline parallelism on hand-worked cases: a stage costs 1 s unless a test says otherwise. */
#include "tests/harness.h"
#include "tests/toy.h"

static struct sim_engine *by_hand(struct toy *t, uint32_t stages)
{
    toy_init(t, 1);
    sim_cost_linear_init(&t->cost, 1, 0, 0);
    t->cost.base.n_stages = stages;
    return &t->fleets[0].engine;
}

static double quarter_second(const struct sim_cost *c, uint64_t new_tokens)
{
    (void)c;
    return 0.25 * (double)(new_tokens > 0);
}

START_TEST(a_lone_request_passes_all_stages_and_links_for_each_token)
{
    for (uint32_t stages = 1; stages <= SIM_MAX_STAGES; stages++) {
        struct toy t;
        by_hand(&t, stages);
        t.cost.base.transfer_s = quarter_second;
        toy_add(&t, 0, 4, 3);
        struct sim_result *res = toy_run(&t);
        double step_s = stages + 0.25 * (stages - 1);
        ck_assert_double_eq(res->outcomes[0].ttft_s, step_s);
        ck_assert_double_eq(res->outcomes[0].e2el_s, 3 * step_s);
        ck_assert_double_eq(res->fleets[0].step_s, 3 * step_s);
        ck_assert_double_eq_tol(res->fleets[0].gpu_s, 3, 1e-12); /* mean over the stages */
        ck_assert_double_eq_tol(res->fleets[0].link_s, stages > 1 ? 3 * 0.25 : 0, 1e-12); /* and links */
        ck_assert_double_eq_tol(res->fleets[0].by_evidence_s[SIM_ANALYTIC], 3, 1e-12);
        sim_result_free(res);
        toy_free(&t);
    }
}
END_TEST

/* Three stages of 1 s, budget 4: A, B, C (4 + 3 tokens) enter one after the other and stay apart; D (3 + 1)
 * waits until a batch has left the last stage and goes along with A's first decode.
 * At 0 A4 enters, at 1 B4, at 2 C4, at 3 A1 with D3, at 4 B1, at 5 C1, at 6 A1, at 7 B1, at 8 C1; each batch
 * leaves three seconds after it entered. */
START_TEST(as_many_batches_are_in_flight_as_there_are_stages)
{
    static const struct {
        double queue_s, ttft_s, e2el_s;
    } want[] = {{0, 3, 9}, {1, 4, 10}, {2, 5, 11}, {3, 6, 6}};
    struct toy t;
    struct sim_engine *e = by_hand(&t, 3);
    e->max_num_seqs = 4;
    e->max_num_batched_tokens = 4;
    for (int i = 0; i < 3; i++) toy_add(&t, 0, 4, 3);
    toy_add(&t, 0, 3, 1);
    struct sim_result *res = toy_run(&t);
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq(res->outcomes[i].queue_s, want[i].queue_s);
        ck_assert_double_eq(res->outcomes[i].ttft_s, want[i].ttft_s);
        ck_assert_double_eq(res->outcomes[i].e2el_s, want[i].e2el_s);
    }
    ck_assert_uint_eq(res->fleets[0].iterations, 9);
    ck_assert_double_eq(res->fleets[0].step_s, 11);
    ck_assert_double_eq(res->fleets[0].running_s, 9 + 9 + 9 + 3);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

static void slow_second_stage(const struct sim_cost *c, const struct sim_batch *b, uint32_t stage,
                              struct sim_price *out)
{
    (void)c;
    (void)b;
    *out = (struct sim_price){.step_s = stage == 1 ? 3 : 1, .gpu_s = stage == 1 ? 3 : 1};
}

/* Stages of 1, 3 and 1 s; A enters at 0 and leaves at 5, B enters at 1, waits for A before the second stage
 * and leaves at 1 + 3 + 3 + 1, C enters at 2 and leaves at 11. */
START_TEST(a_batch_waits_for_the_one_before_it_at_a_slower_stage)
{
    struct toy t;
    struct sim_engine *e = by_hand(&t, 3);
    e->max_num_seqs = e->max_num_batched_tokens = 4;
    t.cost.base.price = slow_second_stage;
    for (int i = 0; i < 3; i++) toy_add(&t, 0, 4, 1);
    struct sim_result *res = toy_run(&t);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq(res->outcomes[i].queue_s, i);
        ck_assert_double_eq(res->outcomes[i].e2el_s, 5 + 3 * i);
    }
    ck_assert_double_eq_tol(res->fleets[0].gpu_s, 5, 1e-12); /* 15 s over three stages */
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* P rows of requests in a pipeline of P stages: one batch leaves every second once it is full. */
START_TEST(a_full_pipeline_yields_one_batch_per_stage_time)
{
    for (uint32_t stages = 1; stages <= 8; stages++) {
        struct toy t;
        struct sim_engine *e = by_hand(&t, stages);
        e->max_num_seqs = stages;
        e->max_num_batched_tokens = 16;
        for (uint32_t i = 0; i < stages; i++) toy_add(&t, 0, 16, 100);
        struct sim_result *res = toy_run(&t);
        ck_assert_double_eq(res->end_s, 100.0 * stages + stages - 1);
        sim_result_free(res);
        toy_free(&t);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("pipeline");
    TCase *c = tcase_create("pipeline");
    tcase_add_test(c, a_lone_request_passes_all_stages_and_links_for_each_token);
    tcase_add_test(c, as_many_batches_are_in_flight_as_there_are_stages);
    tcase_add_test(c, a_batch_waits_for_the_one_before_it_at_a_slower_stage);
    tcase_add_test(c, a_full_pipeline_yields_one_batch_per_stage_time);
    suite_add_tcase(s, c);
    return s;
}
