/* The cluster as a whole: laws that hold on every replay, what more capacity must do, loads and their ends,
 * samples, and public traces both ways. Hand-worked cases cost 1 s a step and are exact in binary. */
#include <math.h>

#include "sim/metrics.h"
#include "tests/harness.h"
#include "tests/toy.h"
#include "traces/trace.h"

enum { N_SEEDS = 20 };

/* A cluster that queues, and preempts when `tight`. */
static void busy(struct toy *t, uint64_t seed, bool tight)
{
    toy_init(t, 2);
    t->fleets[0].engine.max_num_seqs = 16;
    if (tight) {
        t->fleets[0].engine.n_blocks = 60;
        t->fleets[0].engine.max_model_len = 60 * 16;
    }
    toy_poisson(t, 1000, 14, 150, 60, seed);
    t->config.seed = seed;
}

/* A step costs 1 s; one request of a few tokens after the other. */
static struct sim_engine *by_hand(struct toy *t, uint32_t n_replicas)
{
    toy_init(t, n_replicas);
    sim_cost_linear_init(&t->cost, 1, 0, 0);
    return &t->fleets[0].engine;
}

static double mean_e2el_s(const struct toy *t)
{
    struct sim_result *res = toy_run(t);
    double sum = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) sum += res->outcomes[i].e2el_s;
    sum /= (double)res->n_requests;
    sim_result_free(res);
    return sum;
}

/* --- the same run again --- */

START_TEST(the_same_seed_gives_the_same_bytes)
{
    for (size_t k = 0; k < sim_router_count(); k++) {
        struct toy t;
        busy(&t, (uint64_t)_i + 1, true);
        t.config.router = sim_router_at(k);
        struct sim_result *a = toy_run(&t), *b = toy_run(&t);
        ck_assert(toy_equal(a, b));
        sim_result_free(a);
        sim_result_free(b);
        toy_free(&t);
    }
}
END_TEST

START_TEST(another_seed_changes_random_routing_and_nothing_else)
{
    for (size_t k = 0; k < sim_router_count(); k++) {
        struct toy t;
        busy(&t, 1, false);
        t.config.router = sim_router_at(k);
        struct sim_result *a = toy_run(&t);
        t.config.seed = 2;
        struct sim_result *b = toy_run(&t);
        ck_assert_int_eq(toy_equal(a, b), t.config.router != sim_router_find("random"));
        sim_result_free(a);
        sim_result_free(b);
        toy_free(&t);
    }
}
END_TEST

/* --- Little's law --- */

/* Time in the engine of all requests, from being scheduled to the last token. */
static double time_running_s(const struct toy *t, const struct sim_result *res)
{
    const struct sim_engine *e = &t->fleets[0].engine;
    double sum = 0;
    for (uint64_t i = 0; i < res->n_requests; i++)
        sum += res->outcomes[i].e2el_s - res->outcomes[i].queue_s - e->ingress_s - e->egress_s;
    return sum;
}

START_TEST(running_over_time_is_the_sum_of_the_times_running)
{
    for (uint32_t stages = 1; stages <= 4; stages++) {
        for (int variant = 0; variant < 4; variant++) {
            struct toy t;
            busy(&t, (uint64_t)_i + 1, false);
            t.cost.base.n_stages = stages;
            t.fleets[0].engine.ingress_s = variant & 1 ? 0.021 : 0;
            t.fleets[0].engine.egress_s = variant & 1 ? 0.008 : 0;
            t.config.load.concurrency = variant & 2 ? 50 : 0;
            struct sim_result *res = toy_run(&t);
            ck_assert_uint_eq(res->fleets[0].preemptions, 0);
            double sum_s = time_running_s(&t, res);
            ck_assert_double_eq_tol(res->fleets[0].running_s, sum_s, 1e-9 * sum_s);
            struct sim_report *r = sim_report_new(&t.config, res);
            double span_s = res->end_s - res->first_arrival_s, rate = (double)res->n_requests / span_s;
            ck_assert_double_eq_tol(r->mean_running, rate * sum_s / (double)res->n_requests,
                                    1e-9 * r->mean_running);
            sim_report_free(r);
            sim_result_free(res);
            toy_free(&t);
        }
    }
}
END_TEST

/* --- more capacity --- */

static void not_worse(double before_s, double after_s, const char *what, int seed)
{
    ck_assert_msg(after_s <= 1.02 * before_s, "seed %d: %s takes the mean E2EL from %g s to %g s", seed, what,
                  before_s, after_s);
}

START_TEST(twice_the_replicas_or_blocks_do_not_make_it_slower)
{
    struct toy t;
    busy(&t, (uint64_t)_i + 1, true);
    struct sim_result *res = toy_run(&t);
    ck_assert_uint_gt(res->fleets[0].preemptions, 10); /* it is the pool that binds */
    sim_result_free(res);
    double before_s = mean_e2el_s(&t);
    t.fleets[0].engine.n_blocks *= 2;
    not_worse(before_s, mean_e2el_s(&t), "twice the blocks", _i);
    t.fleets[0].engine.n_blocks /= 2;
    t.fleets[0].n_replicas *= 2;
    not_worse(before_s, mean_e2el_s(&t), "twice the replicas", _i);
    toy_free(&t);
}
END_TEST

/* --- prices by pieces --- */

enum { PIECE_TOKENS = 7 };

/* Another base price in every piece of 7 tokens read. */
static double piece_s(uint64_t kv_tokens)
{
    return 0.01 + 0.001 * (double)(kv_tokens / PIECE_TOKENS * 13 % 8);
}

static void line_by_pieces(const struct sim_cost *c, const struct sim_reads *reads,
                           struct sim_decode_line *out)
{
    uint64_t piece = reads->kept / PIECE_TOKENS;
    (void)c;
    *out = (struct sim_decode_line){.kv_begin = (double)(piece * PIECE_TOKENS),
                                    .kv_end = (double)((piece + 1) * PIECE_TOKENS),
                                    .kept_frac = 1,
                                    .gpu_base_s = piece_s(reads->kept),
                                    .attention = SIM_ANALYTIC,
                                    .base_by_evidence_s = {[SIM_ANALYTIC] = piece_s(reads->kept)}};
}

/* One request: its steps read 10, 11, ... tokens after a prompt of 9 that costs 0.01 s. Two and more at once
 * cross the pieces in larger strides. */
START_TEST(every_decode_step_is_priced_by_the_line_that_holds_it)
{
    for (uint32_t n = 1; n <= 9; n++) {
        struct toy t;
        double expected_s = 0.01;
        toy_init(&t, 1);
        sim_cost_linear_init(&t.cost, 0.01, 0, 0);
        t.cost.base.decode_line = line_by_pieces;
        for (uint32_t i = 0; i < n; i++) toy_add(&t, 0, 9, 100);
        for (uint32_t k = 0; k < 99; k++) expected_s += piece_s((uint64_t)n * (10 + k));
        for (int fast = 0; fast < 2; fast++) {
            t.config.fast_forward = fast;
            struct sim_result *res = toy_run(&t);
            ck_assert_double_eq_tol(res->outcomes[0].e2el_s, expected_s, 1e-12);
            ck_assert_double_eq_tol(res->fleets[0].gpu_s, expected_s, 1e-12);
            ck_assert_double_eq_tol(res->fleets[0].by_evidence_s[SIM_ANALYTIC], expected_s, 1e-12);
            sim_result_free(res);
        }
        toy_free(&t);
    }
}
END_TEST

/* --- ingress, egress, rejection --- */

/* A is seen at 0.25 and runs 0.25 .. 3.25; B arrives at 0.5, is seen at 0.75, joins at 1.25. */
START_TEST(ingress_and_egress_count_in_ttft_and_e2el)
{
    struct toy t;
    struct sim_engine *e = by_hand(&t, 1);
    e->ingress_s = 0.25;
    e->egress_s = 0.125;
    toy_add(&t, 0, 1, 3);
    toy_add(&t, 0.5, 1, 1);
    struct sim_result *res = toy_run(&t);
    ck_assert_double_eq(res->outcomes[0].queue_s, 0);
    ck_assert_double_eq(res->outcomes[0].ttft_s, 0.25 + 1 + 0.125);
    ck_assert_double_eq(res->outcomes[0].e2el_s, 0.25 + 3 + 0.125);
    ck_assert_double_eq(res->outcomes[1].queue_s, 1.25 - 0.75);
    ck_assert_double_eq(res->outcomes[1].ttft_s, 2.25 + 0.125 - 0.5);
    ck_assert_double_eq(res->end_s, 3.375);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

START_TEST(a_request_above_max_model_len_is_rejected_and_disturbs_nobody)
{
    struct toy with, without;
    by_hand(&with, 1)->max_model_len = 10;
    by_hand(&without, 1)->max_model_len = 10;
    toy_add(&with, 0, 8, 2); /* just fits */
    toy_add(&with, 0, 8, 3);
    toy_add(&with, 0.5, 5, 5);
    toy_add(&without, 0, 8, 2);
    toy_add(&without, 0.5, 5, 5);
    struct sim_result *a = toy_run(&with), *b = toy_run(&without);
    ck_assert_int_eq(a->outcomes[1].status, SIM_REJECTED_TOO_LONG);
    ck_assert_uint_eq(a->n_arrived, 3);
    ck_assert_int_eq(a->outcomes[0].status, SIM_COMPLETED);
    ck_assert_double_eq(a->outcomes[0].e2el_s, b->outcomes[0].e2el_s);
    ck_assert_double_eq(a->outcomes[2].e2el_s, b->outcomes[1].e2el_s);
    ck_assert_uint_eq(a->fleets[0].computed_tokens, b->fleets[0].computed_tokens);
    sim_result_free(a);
    sim_result_free(b);
    toy_free(&with);
    toy_free(&without);
}
END_TEST

/* --- closed loops --- */

/* One user: each request is sent think_time_s after the answer to the one before, a rejected one is answered
 * at once. Answers take ingress + O steps + egress. */
START_TEST(one_user_sends_the_next_request_after_the_answer)
{
    static const uint32_t outputs[] = {3, 1, 20, 2}; /* the third is too long */
    struct toy t;
    struct sim_engine *e = by_hand(&t, 1);
    e->ingress_s = 0.25;
    e->egress_s = 0.5;
    e->max_model_len = 10;
    for (int i = 0; i < 4; i++) toy_add(&t, 0, 1, outputs[i]);
    t.config.load.concurrency = 1;
    t.config.load.think_time_s = 2;
    struct sim_result *res = toy_run(&t);
    double now_s = 0;
    for (int i = 0; i < 4; i++) {
        double answer_s = i == 2 ? 0 : 0.75 + outputs[i];
        ck_assert_double_eq(res->outcomes[i].arrival_s, now_s);
        ck_assert_double_eq(res->outcomes[i].e2el_s, answer_s);
        now_s += answer_s + 2;
    }
    ck_assert_double_eq(res->end_s, now_s - 2);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* N users of a server that never queues, each with its own endless row of equal requests: at every instant N
 * are out. */
START_TEST(a_closed_loop_begins_with_its_concurrency_at_time_0)
{
    struct toy t;
    by_hand(&t, 1);
    for (int i = 0; i < 10; i++) toy_add(&t, 0, 1, 2);
    t.config.load.concurrency = 4;
    struct sim_result *res = toy_run(&t);
    for (int i = 0; i < 10; i++) ck_assert_double_eq(res->outcomes[i].arrival_s, i / 4 * 2);
    ck_assert_double_eq(res->end_s, 6);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* Two users, of whom one waits for ten tokens: the other's requests join its steps, each a quarter of a
 * second after the answer to the one before and at the end of the step in flight: 1.25 at 2, 3.25 at 4. */
START_TEST(an_arrival_that_a_completion_causes_joins_the_steps_that_go_on)
{
    for (int fast = 0; fast < 2; fast++) {
        struct toy t;
        by_hand(&t, 1);
        t.config.fast_forward = fast;
        toy_add(&t, 0, 1, 10);
        for (int i = 0; i < 3; i++) toy_add(&t, 0, 1, 1);
        t.config.load.concurrency = 2;
        t.config.load.think_time_s = 0.25;
        t.config.timeline_points = 0; /* a sample would stop the replica, too */
        struct sim_result *res = toy_run(&t);
        ck_assert_double_eq(res->outcomes[0].e2el_s, 10);
        ck_assert_double_eq(res->outcomes[1].e2el_s, 1);
        ck_assert_double_eq(res->outcomes[2].arrival_s, 1.25);
        ck_assert_double_eq(res->outcomes[2].queue_s, 0.75);
        ck_assert_double_eq(res->outcomes[3].arrival_s, 3.25);
        ck_assert_double_eq(res->outcomes[3].e2el_s, 1.75);
        sim_result_free(res);
        toy_free(&t);
    }
}
END_TEST

/* --- horizon and warm-up --- */

START_TEST(a_horizon_leaves_what_was_completed_before_it_as_it_was)
{
    struct toy t;
    uint64_t n[SIM_N_OUTCOME] = {0};
    busy(&t, 5, true);
    struct sim_result *whole = toy_run(&t);
    double horizon_s = t.config.load.horizon_s = t.requests[500].arrival_s + 0.001;
    struct sim_result *cut = toy_run(&t);
    for (uint64_t i = 0; i < cut->n_requests; i++) {
        const struct sim_outcome *c = &cut->outcomes[i], *w = &whole->outcomes[i];
        double end_s = w->arrival_s + w->e2el_s;
        enum sim_outcome_status expected = i > 500             ? SIM_NOT_ARRIVED
                                           : end_s < horizon_s ? SIM_COMPLETED
                                                               : SIM_UNFINISHED;
        ck_assert_uint_eq(c->status, expected);
        if (expected == SIM_COMPLETED) ck_assert_double_eq(c->e2el_s, w->e2el_s);
        n[c->status]++;
    }
    ck_assert_uint_eq(cut->n_arrived, 501);
    ck_assert_uint_gt(n[SIM_COMPLETED], 100);
    ck_assert_uint_gt(n[SIM_UNFINISHED], 1);
    sim_result_free(whole);
    sim_result_free(cut);
    toy_free(&t);
}
END_TEST

START_TEST(warm_up_leaves_out_the_first_requests_and_the_first_seconds)
{
    struct toy t;
    by_hand(&t, 1);
    for (int i = 0; i < 10; i++) toy_add(&t, 10 * i + 5, 1, 1u + (uint32_t)i);
    for (int by_time = 0; by_time < 2; by_time++) {
        t.config.load.warmup_requests = by_time ? 0 : 4;
        t.config.load.warmup_s = by_time ? 40 : 0; /* since the first arrival: requests 0 to 3 */
        struct sim_result *res = toy_run(&t);
        struct sim_report *r = sim_report_new(&t.config, res);
        ck_assert_uint_eq(r->all.arrived, 6);
        ck_assert_uint_eq(r->all.output_tokens, 5 + 6 + 7 + 8 + 9 + 10);
        ck_assert_double_eq(r->all.e2el.mean, 7.5);
        ck_assert_double_eq(r->all.duration_s, 50 + 10);
        sim_report_free(r);
        sim_result_free(res);
    }
    toy_free(&t);
}
END_TEST

/* --- samples --- */

static void check_timeline(const struct toy *t, const struct sim_result *res)
{
    for (uint32_t i = 0; i < res->n_timeline; i++) {
        const struct sim_sample *s = &res->timeline[i];
        ck_assert_uint_eq(s->running + s->waiting, s->arrived - s->completed);
        ck_assert_uint_le(s->used_blocks, t->fleets[0].engine.n_blocks * t->fleets[0].n_replicas);
        ck_assert(s->running == 0 || s->used_blocks > 0);
        if (i == 0) continue;
        ck_assert_double_gt(s->time_s, s[-1].time_s);
        ck_assert_uint_ge(s->arrived, s[-1].arrived);
        ck_assert_uint_ge(s->completed, s[-1].completed);
        ck_assert_uint_ge(s->output_tokens, s[-1].output_tokens);
        if (i > 1) /* evenly spaced */
            ck_assert_double_eq_tol(s->time_s - s[-1].time_s, s[-1].time_s - s[-2].time_s, 1e-6 * s->time_s);
    }
}

START_TEST(the_timeline_has_about_as_many_points_as_asked_and_loses_nobody)
{
    static const uint32_t points[] = {1, 2, 3, 16, 100, 1000};
    for (size_t k = 0; k < sizeof points / sizeof *points; k++) {
        for (int load = 0; load < 3; load++) { /* Poisson, all at once, closed */
            struct toy t;
            toy_init(&t, 2);
            toy_poisson(&t, 400, load == 0 ? 10 : 0, 50, 50, 1);
            t.config.load.concurrency = load == 2 ? 20 : 0;
            t.config.timeline_points = points[k];
            struct sim_result *res = toy_run(&t);
            ck_assert_uint_le(res->n_timeline, 2 * points[k]);
            ck_assert_uint_ge(res->n_timeline, points[k] / 2);
            check_timeline(&t, res);
            sim_result_free(res);
            toy_free(&t);
        }
    }
}
END_TEST

START_TEST(without_points_there_is_no_timeline)
{
    struct toy t;
    busy(&t, 1, false);
    t.config.timeline_points = 0;
    struct sim_result *res = toy_run(&t);
    ck_assert_uint_eq(res->n_timeline, 0);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

START_TEST(no_requests_is_a_run_without_end_or_figures)
{
    struct toy t;
    toy_init(&t, 2);
    struct sim_result *res = toy_run(&t);
    struct sim_report *r = sim_report_new(&t.config, res);
    ck_assert_uint_eq(res->n_arrived + r->all.completed + r->iterations, 0);
    ck_assert_double_eq(res->end_s + r->all.duration_s + r->all.e2el.p99, 0);
    ck_assert_int_eq(r->load_state, SIM_STABLE);
    sim_report_free(r);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* --- public traces, both ways --- */

/* Runs the requests with and without fast-forward; the fast result. */
static struct sim_result *both_ways(struct toy *t)
{
    t->config.fast_forward = true;
    struct sim_result *fast = toy_run(t);
    t->config.fast_forward = false;
    struct sim_result *slow = toy_run(t);
    ck_assert(toy_equal(fast, slow));
    sim_result_free(slow);
    return fast;
}

static struct trc_trace *use_trace(struct toy *t, const char *path)
{
    struct sim_status st = {0};
    struct trc_trace *trace = trc_read(path, NULL, &st);
    ck_assert_msg(trace != NULL, "%s", st.message);
    t->config.load.requests = trace->requests;
    t->config.load.n_requests = trace->n_requests;
    return trace;
}

static uint64_t count_completed(const struct sim_result *res)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) n += res->outcomes[i].status == SIM_COMPLETED;
    return n;
}

/* Bursts of equal requests at equal replicas: everything ties. */
START_TEST(ticks_of_equal_requests_give_the_same_bytes_both_ways)
{
    struct toy t;
    toy_init(&t, 8);
    t.fleets[0].engine.n_blocks = 100;
    t.fleets[0].engine.max_model_len = 1600;
    for (int tick = 0; tick < 40; tick++)
        for (int i = 0; i < 50; i++) toy_add(&t, tick * 3, 300, i % 2 ? 100 : 50);
    struct sim_result *res = both_ways(&t);
    ck_assert_uint_eq(count_completed(res), 2000);
    ck_assert_uint_gt(res->fleets[0].preemptions, 0);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

START_TEST(the_azure_conversation_trace_gives_the_same_bytes_both_ways)
{
    const char *path = TEST_SHARED("traces/azure-2023/AzureLLMInferenceTrace_conv.csv");
    struct toy t;
    toy_init(&t, 2);
    sim_cost_linear_init(&t.cost, 0.008, 4e-5, 1e-7);
    t.fleets[0].engine.max_num_batched_tokens = 2048;
    t.fleets[0].engine.n_blocks = 1100;
    t.fleets[0].engine.max_model_len = 16384;
    struct trc_trace *trace = use_trace(&t, path);
    struct sim_result *res = both_ways(&t);
    ck_assert_uint_eq(count_completed(res), 19366);
    ck_assert_uint_gt(res->fleets[0].preemptions, 0);
    sim_result_free(res);
    trc_free(trace);
}
END_TEST

/* Arrivals stand on ticks of three seconds. */
START_TEST(the_mooncake_conversation_trace_gives_the_same_bytes_both_ways)
{
    const char *path = TEST_SHARED("traces/mooncake/conversation_trace.jsonl");
    struct toy t;
    toy_init(&t, 8);
    sim_cost_linear_init(&t.cost, 0.008, 4e-5, 1e-7);
    t.fleets[0].engine.max_num_batched_tokens = 8192;
    t.fleets[0].engine.n_blocks = 20000;
    t.fleets[0].engine.max_model_len = 131072;
    struct trc_trace *trace = use_trace(&t, path);
    struct sim_result *res = both_ways(&t);
    ck_assert_uint_eq(count_completed(res), 12031);
    sim_result_free(res);
    trc_free(trace);
}
END_TEST

static TCase *laws(void)
{
    TCase *c = tcase_create("laws");
    tcase_add_loop_test(c, the_same_seed_gives_the_same_bytes, 0, 3);
    tcase_add_test(c, another_seed_changes_random_routing_and_nothing_else);
    tcase_add_loop_test(c, running_over_time_is_the_sum_of_the_times_running, 0, 3);
    tcase_add_loop_test(c, twice_the_replicas_or_blocks_do_not_make_it_slower, 0, N_SEEDS);
    return c;
}

static TCase *loads(void)
{
    TCase *c = tcase_create("loads");
    tcase_add_test(c, every_decode_step_is_priced_by_the_line_that_holds_it);
    tcase_add_test(c, ingress_and_egress_count_in_ttft_and_e2el);
    tcase_add_test(c, a_request_above_max_model_len_is_rejected_and_disturbs_nobody);
    tcase_add_test(c, one_user_sends_the_next_request_after_the_answer);
    tcase_add_test(c, a_closed_loop_begins_with_its_concurrency_at_time_0);
    tcase_add_test(c, an_arrival_that_a_completion_causes_joins_the_steps_that_go_on);
    tcase_add_test(c, a_horizon_leaves_what_was_completed_before_it_as_it_was);
    tcase_add_test(c, warm_up_leaves_out_the_first_requests_and_the_first_seconds);
    tcase_add_test(c, no_requests_is_a_run_without_end_or_figures);
    return c;
}

static TCase *samples(void)
{
    TCase *c = tcase_create("samples");
    tcase_add_test(c, the_timeline_has_about_as_many_points_as_asked_and_loses_nobody);
    tcase_add_test(c, without_points_there_is_no_timeline);
    return c;
}

static TCase *traces(void)
{
    TCase *c = tcase_create("traces");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, ticks_of_equal_requests_give_the_same_bytes_both_ways);
    tcase_add_test(c, the_azure_conversation_trace_gives_the_same_bytes_both_ways);
    tcase_add_test(c, the_mooncake_conversation_trace_gives_the_same_bytes_both_ways);
    return c;
}

Suite *test_suite(void)
{
    Suite *s = suite_create("cluster");
    suite_add_tcase(s, laws());
    suite_add_tcase(s, loads());
    suite_add_tcase(s, samples());
    suite_add_tcase(s, traces());
    return s;
}
