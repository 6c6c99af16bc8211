/* The scheduler vllm_v1 on examples of three requests (A, B, C) that are worked by hand in the comments. A
 * step costs 1 s unless a test says otherwise, blocks hold one token, and every number is exact in binary. In
 * the tables a column is a step from time t to t + 1, a number the tokens computed, "*" a token that comes
 * out at its end. */
#include <string.h>

#include "sim/histogram.h"
#include "tests/harness.h"
#include "tests/toy.h"

enum { A, B, C };

struct want {
    double queue_s, ttft_s, e2el_s;
    uint32_t preemptions;
};

static struct sim_engine *small_engine(struct toy *t, uint64_t n_blocks, uint32_t max_num_batched_tokens)
{
    toy_init(t, 1);
    sim_cost_linear_init(&t->cost, 1, 0, 0);
    struct sim_engine *e = &t->fleets[0].engine;
    e->max_num_seqs = 4;
    e->max_num_batched_tokens = max_num_batched_tokens;
    e->block_size = 1;
    e->n_blocks = n_blocks;
    e->max_model_len = (uint32_t)n_blocks;
    return e;
}

static void check_one(const struct toy *t, const struct sim_result *res, const struct want *want)
{
    for (uint64_t i = 0; i < res->n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        const char *how = t->config.fast_forward ? "fast-forward" : "step by step";
        ck_assert_uint_eq(o->status, SIM_COMPLETED);
        ck_assert_msg(o->queue_s == want[i].queue_s && o->ttft_s == want[i].ttft_s &&
                          o->e2el_s == want[i].e2el_s && o->preemptions == want[i].preemptions,
                      "%s, request %c: queue %g ttft %g e2el %g preemptions %u, expected %g %g %g %u", how,
                      'A' + (int)i, o->queue_s, o->ttft_s, o->e2el_s, o->preemptions, want[i].queue_s,
                      want[i].ttft_s, want[i].e2el_s, want[i].preemptions);
    }
}

/* Runs both ways, checks every request, and frees t; what the fleet did. */
static struct sim_fleet_stats expect(struct toy *t, const struct want *want)
{
    struct sim_fleet_stats stats = {0};
    for (int fast = 0; fast < 2; fast++) {
        t->config.fast_forward = fast;
        struct sim_result *res = toy_run(t);
        check_one(t, res, want);
        stats = res->fleets[0];
        sim_result_free(res);
    }
    toy_free(t);
    return stats;
}

/* I = 10, O = 4, budget 4: chunks of 4, 4, 2, then three decodes; KV of 10 + 4 - 1 tokens. */
START_TEST(a_lone_request_takes_its_prefill_steps_and_its_outputs_less_one)
{
    struct toy t;
    small_engine(&t, 20, 4);
    toy_add(&t, 0.5, 10, 4);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 3, 6, 0}});
    ck_assert_uint_eq(s.iterations, 6);
    ck_assert_uint_eq(s.computed_tokens, 13);
    ck_assert_double_eq(s.kv_peak_utilization, 1 - (20. - 13) / 20);
    ck_assert_double_eq(s.kv_block_s, 4 + 8 + 10 + 11 + 12 + 13);
    ck_assert_double_eq(s.running_s, 6);
}
END_TEST

/* The same with 1 s + 1/16 s a token + 1/256 s a token read by decodes. Prompt chunks read nothing that is
 * priced, a decode reads its context with the new token: 11, 12, 13. TTFT = 3 + 10/16, E2EL = TTFT + 3 + 3/16
 * + 36/256. */
START_TEST(the_linear_cost_prices_new_tokens_and_what_decodes_read)
{
    struct toy t;
    small_engine(&t, 20, 4);
    sim_cost_linear_init(&t.cost, 1, 1. / 16, 1. / 256);
    toy_add(&t, 0, 10, 4);
    double ttft_s = 3 + 10. / 16;
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, ttft_s, ttft_s + 3 + 3. / 16 + 36. / 256, 0}});
    ck_assert_double_eq(s.gpu_s, 6 + 13. / 16 + 36. / 256);
    ck_assert_double_eq(s.by_evidence_s[SIM_ANALYTIC], s.gpu_s);
}
END_TEST

/* I = 9, budget 4: chunks 4, 4, 1. The chunk of one token is no decode: at 64 s a token read it would show.
 */
START_TEST(a_prompt_chunk_of_one_token_is_no_decode)
{
    struct toy t;
    small_engine(&t, 20, 4);
    sim_cost_linear_init(&t.cost, 1, 0, 64);
    toy_add(&t, 0, 9, 1);
    toy_add(&t, 10, 1, 2); /* one step for the prompt of one token, one that reads 2 tokens */
    expect(&t, (struct want[]){{0, 3, 3, 0}, {0, 1, 1 + 1 + 2 * 64, 0}});
}
END_TEST

/* Budget 8; A 4+4, B 12+2, C 6+1, all at 0. Running requests come first, what is left goes to prompts.
 *      0  1  2  3
 *   A  4* 1* 1* 1*
 *   B  4  7  1* 1*
 *   C        6*        admitted when B's last token leaves room in the budget */
START_TEST(decodes_come_first_and_prompts_fill_the_budget_in_chunks)
{
    struct toy t;
    small_engine(&t, 100, 8);
    toy_add(&t, 0, 4, 4);
    toy_add(&t, 0, 12, 2);
    toy_add(&t, 0, 6, 1);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 1, 4, 0}, {0, 3, 4, 0}, {2, 3, 3, 0}});
    ck_assert_uint_eq(s.iterations, 4);
    ck_assert_uint_eq(s.computed_tokens, 7 + 13 + 6);
    ck_assert_uint_eq(s.max_running, 3);
}
END_TEST

/* Budget 8, threshold 3; A 7+1, B 2+2, C 4+1.
 *      0  1  2
 *   A  3  3  1*
 *   B  2* 1*
 *   C  3  1* */
START_TEST(long_prefill_token_threshold_cuts_prompts_even_when_the_budget_is_not_used_up)
{
    struct toy t;
    small_engine(&t, 100, 8)->long_prefill_token_threshold = 3;
    toy_add(&t, 0, 7, 1);
    toy_add(&t, 0, 2, 2);
    toy_add(&t, 0, 4, 1);
    expect(&t, (struct want[]){{0, 3, 3, 0}, {0, 1, 2, 0}, {0, 2, 2, 0}});
}
END_TEST

/* 10 blocks; A 6+3 holds up to 8, B 8+1 waits for it, C 1+1 would fit beside A and does not pass B.
 *      0  1  2  3
 *   A  6* 1* 1*
 *   B           8*
 *   C           1* */
START_TEST(nobody_overtakes_the_head_that_does_not_fit)
{
    struct toy t;
    small_engine(&t, 10, 100);
    toy_add(&t, 0, 6, 3);
    toy_add(&t, 0, 8, 1);
    toy_add(&t, 0, 1, 1);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 1, 3, 0}, {3, 4, 4, 0}, {3, 4, 4, 0}});
    ck_assert_uint_eq(s.max_waiting, 2);
}
END_TEST

START_TEST(max_num_seqs_bounds_what_runs)
{
    struct toy t;
    small_engine(&t, 100, 100)->max_num_seqs = 2;
    toy_add(&t, 0, 5, 3);
    toy_add(&t, 0, 5, 2);
    toy_add(&t, 0, 5, 2);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 1, 3, 0}, {0, 1, 2, 0}, {2, 3, 4, 0}});
    ck_assert_uint_eq(s.max_running, 2);
}
END_TEST

/* 10 blocks; A 4+5, B 4+4, C 1+1. At 2 both need an eleventh block: B, the last, gives way with two tokens
 * generated, and comes back when its 6 known tokens fit; that prefill yields its third.
 *      0  1  2  3  4  5  6
 *   A  4* 1* 1* 1* 1*
 *   B  4* 1*          6* 1*
 *   C  1* */
START_TEST(the_last_of_running_gives_way_and_recomputes_prompt_and_generated_tokens)
{
    struct toy t;
    small_engine(&t, 10, 100);
    toy_add(&t, 0, 4, 5);
    toy_add(&t, 0, 4, 4);
    toy_add(&t, 0, 1, 1);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 1, 5, 0}, {0, 1, 7, 1}, {0, 1, 1, 0}});
    ck_assert_uint_eq(s.preemptions, 1);
    ck_assert_uint_eq(s.computed_tokens, 8 + (5 + 6 + 1) + 1);
    ck_assert_double_eq(s.kv_peak_utilization, 1);
    ck_assert_double_eq(s.running_s, 5 + (2 + 2) + 1);
}
END_TEST

/* The gaps of the case before: A 1 1 1 1, B 1 4 1. */
START_TEST(a_preemption_shows_as_one_long_gap_between_tokens)
{
    struct toy t;
    small_engine(&t, 10, 100);
    toy_add(&t, 0, 4, 5);
    toy_add(&t, 0, 4, 4);
    struct sim_result *res = toy_run(&t);
    ck_assert_uint_eq(res->itl->count[sim_itl_bucket(1)], 6);
    ck_assert_uint_eq(res->itl->count[sim_itl_bucket(4)], 1);
    ck_assert_uint_eq(sim_itl_stats(res->itl).n, 7);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* As before, but C 6+1 comes at 0.5 and never fits beside A and B: B returns in front of it.
 *      0  1  2  3  4  5  6  7
 *   A  4* 1* 1* 1* 1*
 *   B  4* 1*          6* 1*
 *   C                       6* */
START_TEST(a_preempted_request_returns_to_the_head_of_the_queue)
{
    struct toy t;
    small_engine(&t, 10, 100);
    toy_add(&t, 0, 4, 5);
    toy_add(&t, 0, 4, 4);
    toy_add(&t, 0.5, 6, 1);
    expect(&t, (struct want[]){{0, 1, 5, 0}, {0, 1, 7, 1}, {6.5, 7.5, 7.5, 0}});
}
END_TEST

/* Budget 4, 10 blocks; A 6+2, B 6+1, C 1+1. Only first chunks are looked at: B starts beside A and must give
 * way to itself at 2, when 3 more tokens do not fit; the walk ends there.
 *      0  1  2  3  4
 *   A  4  2* 1*
 *   B     2     4  2*
 *   C              1*  */
START_TEST(a_request_that_cannot_grow_gives_way_to_itself)
{
    struct toy t;
    small_engine(&t, 10, 4);
    toy_add(&t, 0, 6, 2);
    toy_add(&t, 0, 6, 1);
    toy_add(&t, 0, 1, 1);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 2, 3, 0}, {1, 5, 5, 1}, {4, 5, 5, 0}});
    ck_assert_uint_eq(s.computed_tokens, 7 + (2 + 6) + 1);
}
END_TEST

/* The same load; now B needs room for all its 6 tokens at once and starts at 3. */
START_TEST(reserve_full_isl_admits_a_prompt_only_when_all_of_it_fits)
{
    struct toy t;
    small_engine(&t, 10, 4)->reserve_full_isl = true;
    toy_add(&t, 0, 6, 2);
    toy_add(&t, 0, 6, 1);
    toy_add(&t, 0, 1, 1);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 2, 3, 0}, {3, 5, 5, 0}, {4, 5, 5, 0}});
    ck_assert_uint_eq(s.computed_tokens, 7 + 6 + 1);
}
END_TEST

/* 10 blocks, 2 kept free; A 5+2, B 4+1, C 1+1. B would fill 9 blocks beside A: it waits until A has gone. */
START_TEST(the_watermark_stays_free_at_admission)
{
    struct toy t;
    small_engine(&t, 10, 100)->watermark_blocks = 2;
    toy_add(&t, 0, 5, 2);
    toy_add(&t, 0, 4, 1);
    toy_add(&t, 0, 1, 1);
    expect(&t, (struct want[]){{0, 1, 2, 0}, {2, 3, 3, 0}, {2, 3, 3, 0}});

    small_engine(&t, 10, 100); /* without it all three start at once */
    toy_add(&t, 0, 5, 2);
    toy_add(&t, 0, 4, 1);
    toy_add(&t, 0, 1, 1);
    expect(&t, (struct want[]){{0, 1, 2, 0}, {0, 1, 1, 0}, {0, 1, 1, 0}});
}
END_TEST

/* 9 blocks of 10 are taken although 9 should stay free: the alternative is to wait for ever. */
START_TEST(the_watermark_does_not_hold_back_a_request_when_nothing_runs)
{
    struct toy t;
    small_engine(&t, 10, 100)->watermark_blocks = 9;
    toy_add(&t, 0, 9, 1);
    toy_add(&t, 0, 9, 1);
    expect(&t, (struct want[]){{0, 1, 1, 0}, {1, 2, 2, 0}});
}
END_TEST

/* One at a time; A runs until 3, then C (priority 1) goes before B (priority 2), which came first. */
START_TEST(under_policy_priority_the_lowest_value_is_served_first)
{
    struct toy t;
    struct sim_engine *e = small_engine(&t, 10, 100);
    e->policy = SIM_PRIORITY;
    e->max_num_seqs = 1;
    toy_add(&t, 0, 1, 3);
    toy_add(&t, 0.5, 1, 1);
    toy_add(&t, 1, 1, 1);
    t.requests[B].priority = 2;
    t.requests[C].priority = 1;
    expect(&t, (struct want[]){{0, 1, 3, 0}, {3.5, 4.5, 4.5, 0}, {2, 3, 3, 0}});
}
END_TEST

/* 10 blocks; A 4+4 (priority 5) at 0, B 4+5 (priority 0) and C 6+1 (priority 3) at 0.5. At 2 the pool is
 * full: A, the lowest, gives way though it stands before B, and what it was given this step goes back. C is
 * before A in the queue.
 *      0  1  2  3  4  5  6  7  8
 *   A  4* 1*                6* 1*   (its sixth token is known at 2)
 *   B     4* 1* 1* 1* 1*
 *   C                    6* */
START_TEST(under_policy_priority_the_lowest_gives_way)
{
    struct toy t;
    small_engine(&t, 10, 100)->policy = SIM_PRIORITY;
    toy_add(&t, 0, 4, 4);
    toy_add(&t, 0.5, 4, 5);
    toy_add(&t, 0.5, 6, 1);
    t.requests[A].priority = 5;
    t.requests[C].priority = 3;
    struct sim_fleet_stats s =
        expect(&t, (struct want[]){{0, 1, 9, 1}, {0.5, 1.5, 5.5, 0}, {5.5, 6.5, 6.5, 0}});
    ck_assert_uint_eq(s.computed_tokens, (5 + 6 + 1) + 8 + 6);
}
END_TEST

/* Budget 4, 13 blocks; A 4+4 (priority 5) at 0, B 2+3 (priority 0) and C 6+1 (priority 1) at 0.5. At 3 the
 * pool is full when B asks: A gives way after it was given a token, which C's prompt then gets.
 *      0  1  2  3  4  5
 *   A  4* 1* 1*    4  3*
 *   B     2* 1* 1*
 *   C     1  2  3*         (2 if A's token were lost) */
START_TEST(what_a_victim_was_given_returns_to_the_budget)
{
    struct toy t;
    small_engine(&t, 13, 4)->policy = SIM_PRIORITY;
    toy_add(&t, 0, 4, 4);
    toy_add(&t, 0.5, 2, 3);
    toy_add(&t, 0.5, 6, 1);
    t.requests[A].priority = 5;
    t.requests[C].priority = 1;
    expect(&t, (struct want[]){{0, 1, 6, 1}, {0.5, 1.5, 3.5, 0}, {0.5, 3.5, 3.5, 0}});
}
END_TEST

/* The preemption example with KV moved to the host and back at 1/8 s a token: B's 5 tokens leave in the step
 * that starts at 2 (1.625 s), return in the one that starts at 5.625 (1.625 s), and nothing is computed
 * twice.
 *      0  1  2     3.625 4.625 5.625 7.25
 *   A  4* 1* 1*    1*    1*
 *   B  4* 1* out               in 1* 1*
 *   C  1* */
START_TEST(preemption_by_swap_moves_blocks_and_recomputes_nothing)
{
    struct toy t;
    small_engine(&t, 10, 100)->preemption = SIM_SWAP;
    t.cost.base.swap_token_s = 1. / 8;
    toy_add(&t, 0, 4, 5);
    toy_add(&t, 0, 4, 4);
    toy_add(&t, 0, 1, 1);
    struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 1, 5.625, 0}, {0, 1, 8.25, 1}, {0, 1, 1, 0}});
    ck_assert_uint_eq(s.swapped_tokens, 10);
    ck_assert_double_eq(s.link_s, 10. / 8);
    ck_assert_uint_eq(s.computed_tokens, 8 + 7 + 1);
}
END_TEST

/* Blocks of 4: I + O - 1 = 8 tokens take 2 blocks, 9 take 3, and the third is needed in the last step only.
 */
START_TEST(blocks_are_the_computed_tokens_over_the_block_size_rounded_up)
{
    static const struct {
        uint32_t output_tokens, most_blocks;
        double block_s;
    } cases[] = {{4, 2, 2 + 3 * 2}, {5, 3, 2 + 3 * 2 + 3}};
    for (int i = 0; i < 2; i++) {
        struct toy t;
        small_engine(&t, 64, 100)->block_size = 4;
        uint32_t o = cases[i].output_tokens;
        toy_add(&t, 0, 5, o);
        struct sim_fleet_stats s = expect(&t, (struct want[]){{0, 1, o, 0}});
        ck_assert_double_eq(s.kv_peak_utilization, cases[i].most_blocks / 64.);
        ck_assert_double_eq(s.kv_block_s, cases[i].block_s);
        ck_assert_uint_eq(s.capacity_tokens, 256);
    }
}
END_TEST

/* A 2+6 runs alone; B 3+1 comes at 2.25, in the middle of a step, and joins at its end. */
START_TEST(an_arrival_joins_at_the_end_of_the_step_in_flight)
{
    struct toy t;
    small_engine(&t, 100, 100);
    toy_add(&t, 0, 2, 6);
    toy_add(&t, 2.25, 3, 1);
    toy_add(&t, 5, 1, 1); /* at the very end of a step: it is in time for the next */
    expect(&t, (struct want[]){{0, 1, 6, 0}, {0.75, 1.75, 1.75, 0}, {0, 1, 1, 0}});
}
END_TEST

START_TEST(a_scheduler_is_found_by_its_name)
{
    ck_assert_uint_ge(sim_scheduler_count(), 1);
    for (size_t i = 0; i < sim_scheduler_count(); i++) {
        const struct sim_scheduler *s = sim_scheduler_at(i);
        ck_assert_ptr_eq(sim_scheduler_find(s->name), s);
        ck_assert_uint_gt(strlen(s->help), 0);
    }
    ck_assert_ptr_eq(sim_scheduler_find("vllm_v1"), &sim_scheduler_vllm_v1);
    ck_assert_ptr_null(sim_scheduler_find("vllm"));
}
END_TEST

static TCase *steps(void)
{
    TCase *c = tcase_create("steps");
    tcase_add_test(c, a_lone_request_takes_its_prefill_steps_and_its_outputs_less_one);
    tcase_add_test(c, the_linear_cost_prices_new_tokens_and_what_decodes_read);
    tcase_add_test(c, a_prompt_chunk_of_one_token_is_no_decode);
    tcase_add_test(c, decodes_come_first_and_prompts_fill_the_budget_in_chunks);
    tcase_add_test(c, long_prefill_token_threshold_cuts_prompts_even_when_the_budget_is_not_used_up);
    tcase_add_test(c, max_num_seqs_bounds_what_runs);
    tcase_add_test(c, an_arrival_joins_at_the_end_of_the_step_in_flight);
    tcase_add_test(c, a_scheduler_is_found_by_its_name);
    return c;
}

static TCase *memory(void)
{
    TCase *c = tcase_create("memory");
    tcase_add_test(c, nobody_overtakes_the_head_that_does_not_fit);
    tcase_add_test(c, the_last_of_running_gives_way_and_recomputes_prompt_and_generated_tokens);
    tcase_add_test(c, a_preemption_shows_as_one_long_gap_between_tokens);
    tcase_add_test(c, a_preempted_request_returns_to_the_head_of_the_queue);
    tcase_add_test(c, a_request_that_cannot_grow_gives_way_to_itself);
    tcase_add_test(c, reserve_full_isl_admits_a_prompt_only_when_all_of_it_fits);
    tcase_add_test(c, the_watermark_stays_free_at_admission);
    tcase_add_test(c, the_watermark_does_not_hold_back_a_request_when_nothing_runs);
    tcase_add_test(c, under_policy_priority_the_lowest_value_is_served_first);
    tcase_add_test(c, under_policy_priority_the_lowest_gives_way);
    tcase_add_test(c, what_a_victim_was_given_returns_to_the_budget);
    tcase_add_test(c, preemption_by_swap_moves_blocks_and_recomputes_nothing);
    tcase_add_test(c, blocks_are_the_computed_tokens_over_the_block_size_rounded_up);
    return c;
}

Suite *test_suite(void)
{
    Suite *s = suite_create("scheduler");
    suite_add_tcase(s, steps());
    suite_add_tcase(s, memory());
    return s;
}
