/* Every scheduler x router x policy x preemption x pool size: nothing is lost, nothing appears, and
 * fast-forward gives the same bytes as forming every batch. sim_run itself aborts when a block is lost. */
#include "tests/harness.h"
#include "tests/toy.h"

#include "sim/histogram.h"

static const uint64_t tight_blocks[] = {1, 2, 3, 5, 1 << 16};

/* A load with ties: several requests of one instant, and equal replicas. */
static void add_load(struct toy *t, uint64_t seed, bool ties)
{
    toy_poisson(t, 150, 25, 40, 30, seed);
    for (uint64_t i = 0; i < t->config.load.n_requests; i++) {
        if (ties) t->requests[i].arrival_s = (double)(uint64_t)(t->requests[i].arrival_s * 2) / 2;
        t->requests[i].priority = (int32_t)(i % 3);
        t->requests[i].slo_class = (uint16_t)(i % 2);
    }
}

static void set_case(struct toy *t, const struct sim_scheduler *scheduler, const struct sim_router *router,
                     int variant, uint64_t spare_blocks)
{
    toy_init(t, 3);
    struct sim_engine *e = &t->fleets[0].engine;
    e->scheduler = scheduler;
    e->max_num_seqs = 8;
    e->max_num_batched_tokens = 64;
    e->block_size = 4;
    e->max_model_len = 140;
    e->n_blocks = 35 + spare_blocks;
    e->policy = variant & 1 ? SIM_PRIORITY : SIM_FCFS;
    e->preemption = variant & 2 ? SIM_SWAP : SIM_RECOMPUTE;
    e->long_prefill_token_threshold = variant & 4 ? 16 : 0;
    e->reserve_full_isl = variant & 8;
    e->watermark_blocks = variant & 16 ? 1 : 0;
    e->ingress_s = variant & 32 ? 0.013 : 0;
    t->cost.base.swap_token_s = 1e-5;
    t->config.router = router;
    t->classes[1] = (struct sim_class){"second", {.percentile = 99}};
    t->config.n_classes = 2;
    t->fleets[1] = t->fleets[0];
    t->fleets[1].n_replicas = 1;
    t->fleets[1].slo_class_mask = 2;
    t->config.n_fleets = 2;
}

static void check_conserved(const struct toy *t, const struct sim_result *res)
{
    uint64_t tokens = 0, completed = 0, needed = 0, computed = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        const struct sim_request *q = &t->requests[i];
        ck_assert(res->outcomes[i].status == SIM_COMPLETED ||
                  res->outcomes[i].status == SIM_REJECTED_TOO_LONG);
        if (res->outcomes[i].status != SIM_COMPLETED) continue;
        completed++;
        tokens += q->output_tokens;
        needed += q->input_tokens + q->output_tokens - 1;
        ck_assert_double_ge(res->outcomes[i].queue_s, 0);
        ck_assert_double_le(res->outcomes[i].queue_s, res->outcomes[i].ttft_s);
        ck_assert_double_le(res->outcomes[i].ttft_s, res->outcomes[i].e2el_s);
    }
    uint64_t preemptions = 0, counted = 0, gaps = 0;
    for (uint32_t f = 0; f < res->n_fleets; f++) {
        computed += res->fleets[f].computed_tokens;
        preemptions += res->fleets[f].preemptions;
    }
    for (uint64_t i = 0; i < res->n_requests; i++) counted += res->outcomes[i].preemptions;
    for (uint32_t c = 0; c < res->n_classes; c++)
        for (uint32_t b = 0; b < SIM_ITL_BUCKETS; b++) gaps += res->itl[c].count[b];
    ck_assert_uint_eq(gaps, tokens - completed);
    ck_assert_uint_eq(preemptions, counted);
    ck_assert_uint_ge(computed, needed);
    if (!preemptions) ck_assert_uint_eq(computed, needed);
}

START_TEST(every_case_conserves_and_fast_forward_changes_no_byte)
{
    const struct sim_router *router = sim_router_at((size_t)_i);
    for (size_t s = 0; s < sim_scheduler_count(); s++) {
        for (int variant = 0; variant < 64; variant++) {
            for (size_t b = 0; b < sizeof tight_blocks / sizeof *tight_blocks; b++) {
                struct toy t;
                set_case(&t, sim_scheduler_at(s), router, variant, tight_blocks[b]);
                add_load(&t, (uint64_t)variant + 1, variant % 5 == 0);
                struct sim_result *fast = toy_run(&t);
                t.config.fast_forward = false;
                struct sim_result *slow = toy_run(&t);
                check_conserved(&t, fast);
                ck_assert_msg(toy_equal(fast, slow), "router %s variant %d blocks %d", router->name, variant,
                              (int)b);
                sim_result_free(fast);
                sim_result_free(slow);
                toy_free(&t);
            }
        }
    }
}
END_TEST

START_TEST(a_closed_loop_keeps_its_requests_in_flight_and_fast_forward_changes_no_byte)
{
    for (uint32_t stages = 1; stages <= 3; stages++) {
        struct toy t;
        set_case(&t, sim_scheduler_at(0), sim_router_at((size_t)_i), 0, 40);
        t.cost.base.n_stages = stages;
        toy_poisson(&t, 200, 0, 40, 30, 9);
        t.config.load.concurrency = 20;
        struct sim_result *fast = toy_run(&t);
        t.config.fast_forward = false;
        struct sim_result *slow = toy_run(&t);
        check_conserved(&t, fast);
        ck_assert(toy_equal(fast, slow));
        ck_assert_uint_gt(fast->n_timeline, 4);
        for (uint32_t i = 0; i < fast->n_timeline; i++)
            ck_assert_uint_le(fast->timeline[i].running + fast->timeline[i].waiting, 20);
        sim_result_free(fast);
        sim_result_free(slow);
        toy_free(&t);
    }
}
END_TEST

START_TEST(pipeline_stages_conserve_in_an_open_loop)
{
    for (uint32_t stages = 2; stages <= 4; stages++) {
        struct toy t;
        set_case(&t, sim_scheduler_at(0), sim_router_at((size_t)_i), 32, 5);
        t.cost.base.n_stages = stages;
        add_load(&t, stages, true);
        struct sim_result *fast = toy_run(&t);
        t.config.fast_forward = false;
        struct sim_result *slow = toy_run(&t);
        check_conserved(&t, fast);
        ck_assert(toy_equal(fast, slow));
        sim_result_free(fast);
        sim_result_free(slow);
        toy_free(&t);
    }
}
END_TEST

START_TEST(a_horizon_stops_both_ways_at_the_same_state)
{
    struct toy t;
    set_case(&t, sim_scheduler_at(0), sim_router_at((size_t)_i), 0, 5);
    add_load(&t, 3, false);
    t.config.load.horizon_s = 2.5;
    struct sim_result *fast = toy_run(&t);
    t.config.fast_forward = false;
    struct sim_result *slow = toy_run(&t);
    ck_assert_uint_lt(fast->n_arrived, fast->n_requests);
    ck_assert(toy_equal(fast, slow));
    sim_result_free(fast);
    sim_result_free(slow);
    toy_free(&t);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("cluster matrix");
    TCase *c = tcase_create("matrix");
    int n = (int)sim_router_count();
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, every_case_conserves_and_fast_forward_changes_no_byte, 0, n);
    tcase_add_loop_test(c, a_closed_loop_keeps_its_requests_in_flight_and_fast_forward_changes_no_byte, 0, n);
    tcase_add_loop_test(c, pipeline_stages_conserve_in_an_open_loop, 0, n);
    tcase_add_loop_test(c, a_horizon_stops_both_ways_at_the_same_state, 0, n);
    suite_add_tcase(s, c);
    return s;
}
