/* The routers predicted_*: hand-worked choices, predictions against what happens, how well they are known. */
#include <math.h>
#include <string.h>

#include "sim/cluster_state.h"
#include "sim/lengthshift.h"
#include "sim/predict.h"
#include "tests/harness.h"
#include "tests/toy.h"

/* One fleet of n replicas whose step takes step_s + token_s x new tokens + kv_s x KV tokens. */
static void set_up(struct toy *t, uint32_t n_replicas, const char *router, double step_s, double token_s,
                   double kv_s)
{
    toy_init(t, n_replicas);
    sim_cost_linear_init(&t->cost, step_s, token_s, kv_s);
    t->config.router = sim_router_find(router);
    ck_assert_ptr_nonnull(t->config.router);
}

static void add_fleet(struct toy *t, struct sim_cost_linear *cost)
{
    t->fleets[t->config.n_fleets] = t->fleets[0];
    if (cost) t->fleets[t->config.n_fleets].cost = &cost->base;
    t->config.n_fleets++;
}

static void goes_to(struct toy *t, const uint16_t *replica)
{
    struct sim_result *res = toy_run(t);
    for (uint64_t i = 0; i < res->n_requests; i++)
        ck_assert_msg(res->outcomes[i].replica == replica[i], "request %u went to %u, expected %u",
                      (unsigned)i, res->outcomes[i].replica, replica[i]);
    sim_result_free(res);
    toy_free(t);
}

/* ---- predictions against what happens ---- */

struct seen {
    double token_s, prefill_s;
};

/* Sends everything to replica 0 and notes what was predicted. */
static uint32_t look(struct sim_cluster *c, const struct sim_request *q, uint64_t index)
{
    struct seen *seen = c->config->progress_user;
    seen[index].token_s = sim_predict_token_s(&c->replicas[0], q->input_tokens);
    seen[index].prefill_s = sim_predict_prefill_s(&c->replicas[0], q->input_tokens);
    return 0;
}
static const struct sim_router looking = {"looking", "notes predictions", true, look};

static struct sim_result *watched(struct toy *t, struct seen *seen)
{
    t->config.router = &looking;
    t->config.progress_user = seen;
    return toy_run(t);
}

/* Chunks of 512, 512, 512 and 64 tokens; then 10 ms + 0.1 ms a step. */
START_TEST(alone_on_an_idle_replica_both_times_come_true)
{
    for (uint32_t stages = 1; stages <= 3; stages++) {
        struct toy t;
        struct seen seen[1];
        set_up(&t, 1, "predicted_e2e", 0.010, 0.0001, 0);
        t.cost.base.n_stages = stages;
        toy_add(&t, 1, 3 * 512 + 64, 100);
        struct sim_result *res = watched(&t, seen);
        ck_assert_double_eq_tol(seen[0].prefill_s, stages * (4 * 0.010 + 1600 * 0.0001), 1e-12);
        ck_assert_double_eq_tol(seen[0].prefill_s, res->outcomes[0].ttft_s, 1e-9);
        ck_assert_double_eq_tol(seen[0].token_s, stages * 0.0101, 1e-12);
        ck_assert_double_eq_tol(seen[0].token_s, sim_tpot_s(&res->outcomes[0]), 1e-9);
        sim_result_free(res);
        toy_free(&t);
    }
}
END_TEST

/* Seven requests decode for ever when the eighth arrives: its prompt of 100 takes one step with 7 decodes beside it,
 * then steps have 8. */
START_TEST(beside_running_requests_both_times_come_true)
{
    struct toy t;
    struct seen seen[8];
    set_up(&t, 1, "predicted_e2e", 0.010, 0.0001, 0);
    for (int i = 0; i < 7; i++) toy_add(&t, 0, 10, 5000);
    toy_add(&t, 1, 100, 50);
    struct sim_result *res = watched(&t, seen);
    ck_assert_double_eq_tol(seen[7].prefill_s, 0.010 + 107 * 0.0001, 1e-12);
    ck_assert_double_eq_tol(seen[7].token_s, 0.0108, 1e-12);
    ck_assert_double_eq_tol(seen[7].token_s, sim_tpot_s(&res->outcomes[7]), 1e-9);
    ck_assert_double_le(res->outcomes[7].ttft_s, seen[7].prefill_s + 0.0107); /* and the step in flight */
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* All at once: the third waits for 2 x 1024 tokens of prompt in steps of 512, then for its own. In the end it takes
 * one step of 10 ms more, since decodes of the others have used up some of the 512. */
START_TEST(prompts_that_wait_come_first)
{
    struct toy t;
    struct seen seen[3];
    set_up(&t, 1, "predicted_e2e", 0.010, 0.0001, 0);
    for (int i = 0; i < 3; i++) toy_add(&t, 0, 1024, 2);
    struct sim_result *res = watched(&t, seen);
    ck_assert_double_eq_tol(seen[0].prefill_s, 2 * 0.0612, 1e-12);
    ck_assert_double_eq_tol(seen[1].prefill_s, 4 * 0.0612, 1e-12);
    ck_assert_double_eq_tol(seen[2].prefill_s, 6 * 0.0612, 1e-12);
    ck_assert_double_eq_tol(seen[2].prefill_s, res->outcomes[2].ttft_s, 0.0105);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* At 0.07 the first is computing its second chunk of 512; of its 2000 tokens 1488 are left. */
START_TEST(what_is_left_of_a_prompt_in_flight_comes_first)
{
    struct toy t;
    struct seen seen[2];
    set_up(&t, 1, "predicted_e2e", 0.010, 0.0001, 0);
    toy_add(&t, 0, 2000, 2);
    toy_add(&t, 0.07, 100, 2);
    sim_result_free(watched(&t, seen));
    ck_assert_double_eq_tol(seen[1].prefill_s, 1488. / 511 * (0.010 + 512 * 0.0001) + 0.010 + 101 * 0.0001,
                            1e-12);
    toy_free(&t);
}
END_TEST

/* Four seats, six requests: each decodes two thirds of the time, four at once. Ten blocks of which 20 are wanted:
 * half of them at once. */
START_TEST(without_a_seat_or_memory_for_all_they_take_turns)
{
    struct toy t;
    struct seen seen[6];
    set_up(&t, 1, "predicted_e2e", 0.010, 0.001, 0);
    t.fleets[0].engine.max_num_seqs = 4;
    for (int i = 0; i < 6; i++) toy_add(&t, 0, 16, 20);
    sim_result_free(watched(&t, seen));
    ck_assert_double_eq_tol(seen[3].token_s, 0.014, 1e-12);
    ck_assert_double_eq_tol(seen[4].token_s, 0.014 * 5 / 4, 1e-12);
    ck_assert_double_eq_tol(seen[5].token_s, 0.014 * 6 / 4, 1e-12);
    t.fleets[0].engine.max_num_seqs = 64;
    t.fleets[0].engine.n_blocks = 3;
    t.fleets[0].engine.max_model_len = 48;
    sim_result_free(watched(&t, seen));
    ck_assert_double_eq_tol(seen[2].token_s, 0.013, 1e-12);
    ck_assert_double_eq_tol(seen[5].token_s, 0.013 * 2, 1e-12);
    toy_free(&t);
}
END_TEST

/* A strategy that keeps 64 tokens: a context of 1001 is read as 65, and 65 are read as they are. */
START_TEST(a_replica_s_own_strategy_says_what_is_read)
{
    struct toy t;
    struct seen seen[2];
    set_up(&t, 1, "predicted_e2e", 0, 0, 1e-3);
    struct sim_kv_rule drop = sim_kv_full(16);
    drop.term[0].kept = true;
    drop.budget = 64;
    t.fleets[0].kv = &drop;
    toy_add(&t, 0, 1000, 2);
    toy_add(&t, 0, 64, 2);
    sim_result_free(watched(&t, seen));
    ck_assert_double_eq_tol(seen[0].token_s, 0.065, 1e-12);
    ck_assert_double_eq_tol(seen[1].token_s, 0.130, 1e-12);
    toy_free(&t);
}
END_TEST

/* Linear, and each selecting sequence recalls for 20 ms at the layers, each chunk of a prompt goes down in 0.3 s. */
static struct sim_recall recalled(const struct sim_reads *reads)
{
    return (struct sim_recall){.when = SIM_RECALL_AT_LAYER,
                               .how = SIM_ANALYTIC,
                               .n_layers = 4,
                               .duplex = 2,
                               .up_s = 0.020 * reads->n_selecting};
}

static void moving_price(const struct sim_cost *c, const struct sim_batch *b, uint32_t stage,
                         struct sim_price *out)
{
    struct sim_cost_linear plain;
    const struct sim_cost_linear *own = (const struct sim_cost_linear *)c;
    sim_cost_linear_init(&plain, own->step_s, own->token_s, own->kv_token_s);
    plain.base.price(&plain.base, b, stage, out);
    out->recall = recalled(&b->decode);
    out->prefill_down_s = 0.3 * b->n_chunks;
}

static void moving_line(const struct sim_cost *c, const struct sim_reads *reads, struct sim_decode_line *out)
{
    struct sim_cost_linear plain;
    const struct sim_cost_linear *own = (const struct sim_cost_linear *)c;
    sim_cost_linear_init(&plain, own->step_s, own->token_s, own->kv_token_s);
    plain.base.decode_line(&plain.base, reads, out);
    out->recall = recalled(reads);
    out->sum = sim_recall_sum(&out->recall, (struct sim_recall_draw){1, 1});
}

START_TEST(what_is_moved_is_part_of_what_is_predicted)
{
    struct toy t;
    struct seen seen[1];
    struct sim_kv_rule selects = sim_kv_full(16);
    selects.select_after = 64;
    set_up(&t, 1, "predicted_e2e", 0.010, 0.0001, 0);
    t.cost.base.price = moving_price;
    t.cost.base.decode_line = moving_line;
    t.fleets[0].kv = &selects;
    toy_add(&t, 0, 1024, 50);
    struct sim_result *res = watched(&t, seen);
    ck_assert_double_eq_tol(seen[0].prefill_s, 2 * 0.3, 1e-12);
    ck_assert_double_eq_tol(seen[0].prefill_s, res->outcomes[0].ttft_s, 1e-9);
    ck_assert_double_eq_tol(seen[0].token_s, 0.0101 + 0.020, 1e-12);
    ck_assert_double_eq_tol(seen[0].token_s, sim_tpot_s(&res->outcomes[0]), 1e-9);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

/* ---- choices ---- */

/* A step costs 1 ms for each KV token: where the fewest are, there is the highest throughput. Prompts that wait count. */
START_TEST(predicted_throughput_takes_the_replica_where_a_step_is_shortest)
{
    struct toy t;
    set_up(&t, 3, "predicted_throughput", 0.001, 0, 0.001);
    toy_add(&t, 0, 300, 200); /* all idle: 0 */
    toy_add(&t, 0, 100, 200); /* 300, 0, 0: 1 */
    toy_add(&t, 0, 150, 200); /* 300, 100, 0: 2 */
    toy_add(&t, 0, 100, 200); /* 300, 100, 150: 1 */
    toy_add(&t, 0, 100, 200); /* 300, 200, 150: 2 */
    toy_add(&t, 5, 10, 200);  /* running now, a little longer each */
    goes_to(&t, (uint16_t[]){0, 1, 2, 1, 2, 1});
}
END_TEST

/* Every step costs 1 s: no difference until seats run out, here two. */
START_TEST(predicted_throughput_gives_ties_to_the_lowest_replica)
{
    struct toy t;
    set_up(&t, 2, "predicted_throughput", 1, 0, 0);
    t.fleets[0].engine.max_num_seqs = 2;
    for (int i = 0; i < 6; i++) toy_add(&t, 0, 1, 50);
    goes_to(&t, (uint16_t[]){0, 0, 1, 1, 0, 1});
}
END_TEST

/* A token costs 2 ms on fleet 0 and 1 ms on fleet 1, whose replica takes requests until it is as slow. */
START_TEST(predicted_throughput_fills_the_faster_fleet_first)
{
    struct toy t;
    struct sim_cost_linear fast;
    set_up(&t, 1, "predicted_throughput", 0.010, 0.002, 0);
    sim_cost_linear_init(&fast, 0.010, 0.001, 0);
    add_fleet(&t, &fast);
    for (int i = 0; i < 6; i++) toy_add(&t, 0, 1, 50);
    goes_to(&t, (uint16_t[]){1, 0, 1, 1, 0, 1}); /* 12|11 12|12 14|12 14|13 14|14 16|14 */
}
END_TEST

/* Fleet 0 answers at half or twice the length, by the request's draw; fleet 1 as the request says. */
static const float half_or_double[] = {0.5f, 2};

START_TEST(predicted_length_takes_the_fleet_with_the_shorter_answer_and_there_the_idler_replica)
{
    enum { N = 40 };
    struct toy t;
    uint16_t expected[N], next[2] = {0, 0};
    set_up(&t, 2, "predicted_length", 0.010, 0.0001, 0);
    t.fleets[0].length_factor = half_or_double;
    t.fleets[0].n_length_factors = 2;
    add_fleet(&t, NULL);
    t.fleets[1].length_factor = NULL;
    t.fleets[1].n_length_factors = 0;
    for (uint32_t i = 0; i < N; i++) {
        toy_add(&t, 0, 10, 100);
        int fleet = sim_length_draw(t.config.seed, i) < 0.5 ? 0 : 1;
        expected[i] = (uint16_t)(2 * fleet + next[fleet]++ % 2);
    }
    ck_assert(next[0] > N / 4 && next[1] > N / 4);
    goes_to(&t, expected);
}
END_TEST

/* Replica 0: 10 ms a token of prompt, 0.11 s a token of answer; replica 1: 0.2 s a step whatever is in it.
 * A prompt of 100 and one token: 1.1 + 0.11 against 0.2 + 0.2; 100 tokens: 1.1 + 11 against 0.2 + 20. */
START_TEST(predicted_e2e_weighs_the_prompt_against_the_answer)
{
    struct toy t;
    struct sim_cost_linear flat;
    set_up(&t, 1, "predicted_e2e", 0.1, 0.01, 0);
    sim_cost_linear_init(&flat, 0.2, 0, 0);
    add_fleet(&t, &flat);
    toy_add(&t, 0, 100, 1);
    toy_add(&t, 1000, 100, 100);
    toy_add(&t, 2000, 100, 11); /* 1.1 + 1.21 against 0.2 + 2.2 */
    toy_add(&t, 3000, 100, 9);  /* 1.1 + 0.99 against 0.2 + 1.8 */
    goes_to(&t, (uint16_t[]){1, 0, 0, 1});
}
END_TEST

/* The same two replicas; the longer answer of a compressed fleet loses what its speed gains. */
START_TEST(predicted_e2e_multiplies_by_the_length_that_the_fleet_would_give)
{
    enum { N = 20 };
    struct toy t;
    struct sim_cost_linear fast;
    uint16_t expected[N];
    set_up(&t, 1, "predicted_e2e", 0.020, 0, 0);
    sim_cost_linear_init(&fast, 0.015, 0, 0);
    add_fleet(&t, &fast);
    t.fleets[1].length_factor = half_or_double;
    t.fleets[1].n_length_factors = 2;
    for (uint32_t i = 0; i < N; i++) {
        toy_add(&t, 100 * i, 10, 100);
        expected[i] = sim_length_draw(t.config.seed, i) < 0.5; /* 0.015 x 50 or 200 against 0.02 x 100 */
    }
    goes_to(&t, expected);
}
END_TEST

/* A request longer than the model is rejected, whatever would have been predicted for it. */
START_TEST(a_request_that_no_replica_takes_breaks_no_prediction)
{
    static const char *const routers[] = {"predicted_throughput", "predicted_length", "predicted_e2e"};
    for (int i = 0; i < 3; i++) {
        struct toy t;
        set_up(&t, 2, routers[i], 0.010, 0.0001, 1e-6);
        toy_add(&t, 0, UINT32_MAX, UINT32_MAX);
        toy_add(&t, 0, 10, 10);
        struct sim_result *res = toy_run(&t);
        ck_assert_uint_eq(res->outcomes[0].status, SIM_REJECTED_TOO_LONG);
        ck_assert_uint_eq(res->outcomes[1].status, SIM_COMPLETED);
        sim_result_free(res);
        toy_free(&t);
    }
}
END_TEST

/* ---- what is predicted with errors ---- */

START_TEST(the_mean_relative_error_is_what_accuracy_leaves)
{
    enum { N = 400000 };
    static const double accuracies[] = {0.3, 0.5, 0.858, 0.885, 0.957, 0.99};
    uint64_t stream = sim_stream("test");
    for (size_t a = 0; a < sizeof accuracies / sizeof *accuracies; a++) {
        double sigma = sim_predict_sigma(accuracies[a]), sum = 0, above = 0;
        for (uint32_t i = 0; i < N; i++) {
            double e = sim_predict_error(sigma, 7, stream, i, 0);
            sum += fabs(e - 1);
            above += e > 1;
        }
        ck_assert_double_eq_tol(sum / N, 1 - accuracies[a], 0.01 * (1 - accuracies[a]));
        ck_assert_double_eq_tol(above / N, 0.5, 4 * 0.5 / sqrt(N));
        ck_assert_double_eq_tol(exp(sigma * sigma / 2) * erf(sigma / sqrt(2)), 1 - accuracies[a], 1e-9);
    }
}
END_TEST

START_TEST(perfect_knowledge_is_an_accuracy_of_one_or_none_given)
{
    ck_assert_double_eq(sim_predict_sigma(0), 0);
    ck_assert_double_eq(sim_predict_sigma(1), 0);
    ck_assert_double_eq(sim_predict_error(0, 1, 2, 3, 4), 1);
}
END_TEST

/* Of requests, fleets and streams; a correlation of N pairs lies within 4 / sqrt N. */
START_TEST(errors_of_fleets_and_streams_are_independent_and_of_one_request_the_same)
{
    enum { N = 100000 };
    uint64_t a = sim_stream("a"), b = sim_stream("b");
    double fleets = 0, streams = 0, neighbours = 0, squares = 0;
    for (uint32_t i = 0; i < N; i++) {
        double z = log(sim_predict_error(1, 7, a, i, 0));
        ck_assert_double_eq(z, log(sim_predict_error(1, 7, a, i, 0)));
        fleets += z * log(sim_predict_error(1, 7, a, i, 1));
        streams += z * log(sim_predict_error(1, 7, b, i, 0));
        neighbours += z * log(sim_predict_error(1, 7, a, i + 1, 0));
        squares += z * z;
    }
    ck_assert_double_eq_tol(fleets / N, 0, 4 / sqrt(N));
    ck_assert_double_eq_tol(streams / N, 0, 4 / sqrt(N));
    ck_assert_double_eq_tol(neighbours / N, 0, 4 / sqrt(N));
    ck_assert_double_eq_tol(squares / N, 1, 4 * sqrt(2. / N));
}
END_TEST

/* Two fleets, one 10 % faster. ln(predicted ratio) = ln 1.1 + sigma (z1 - z2): the slower one is taken with
 * probability Q(ln 1.1 / (sigma sqrt 2)). Requests are so far apart that replicas are idle. */
START_TEST(a_worse_predictor_takes_the_slower_fleet_as_often_as_its_errors_say)
{
    enum { N = 20000 };
    struct toy t;
    struct sim_cost_linear slow;
    set_up(&t, 1, "predicted_throughput", 0.010, 0, 0);
    sim_cost_linear_init(&slow, 0.011, 0, 0);
    add_fleet(&t, &slow);
    for (int i = 0; i < N; i++) toy_add(&t, i, 1, 2);
    static const double accuracies[] = {1, 0.95, 0.858, 0.5};
    for (size_t a = 0; a < sizeof accuracies / sizeof *accuracies; a++) {
        double wrong = 0, sigma = sim_predict_sigma(accuracies[a]);
        double expected = sigma > 0 ? 0.5 * erfc(log(1.1) / (2 * sigma)) : 0;
        t.config.predictor.throughput_accuracy = accuracies[a];
        struct sim_result *res = toy_run(&t);
        for (uint64_t i = 0; i < N; i++) wrong += res->outcomes[i].replica == 1;
        sim_result_free(res);
        ck_assert_double_eq_tol(wrong / N, expected, 4 * sqrt(0.25 / N));
    }
    toy_free(&t);
}
END_TEST

/* ---- runs ---- */

static const char *const names[] = {"predicted_throughput", "predicted_length", "predicted_e2e"};

/* Two fleets under load, one with shifted lengths and four seats. */
static void mixed(struct toy *t, const char *router, double accuracy)
{
    set_up(t, 2, router, 0.010, 0.0001, 1e-7);
    add_fleet(t, NULL);
    t->fleets[1].engine.max_num_seqs = 4;
    t->fleets[1].length_factor = half_or_double;
    t->fleets[1].n_length_factors = 2;
    t->config.predictor = (struct sim_predictor){accuracy, accuracy};
    toy_poisson(t, 3000, 20, 300, 60, 3);
}

START_TEST(runs_are_the_same_again_and_with_every_step_formed)
{
    for (int i = 0; i < 3; i++) {
        struct toy t;
        mixed(&t, names[i], 0.86);
        struct sim_result *once = toy_run(&t), *again = toy_run(&t);
        t.config.fast_forward = false;
        struct sim_result *stepped = toy_run(&t);
        ck_assert(toy_equal(once, again));
        ck_assert(toy_equal(once, stepped));
        sim_result_free(once);
        sim_result_free(again);
        sim_result_free(stepped);
        toy_free(&t);
    }
}
END_TEST

START_TEST(accuracy_one_and_none_given_are_the_same_run_and_errors_make_another)
{
    for (int i = 0; i < 3; i++) {
        struct toy t;
        mixed(&t, names[i], 1);
        struct sim_result *one = toy_run(&t);
        t.config.predictor = (struct sim_predictor){0};
        struct sim_result *none = toy_run(&t);
        t.config.predictor = (struct sim_predictor){0.8, 0.8};
        struct sim_result *worse = toy_run(&t);
        ck_assert(toy_equal(one, none));
        ck_assert(!toy_equal(one, worse));
        sim_result_free(one);
        sim_result_free(none);
        sim_result_free(worse);
        toy_free(&t);
    }
}
END_TEST

static double mean_e2el_s(const struct toy *t)
{
    double sum = 0;
    struct sim_result *res = toy_run(t);
    for (uint64_t i = 0; i < res->n_requests; i++) sum += res->outcomes[i].e2el_s;
    sim_result_free(res);
    return sum / (double)t->config.load.n_requests;
}

/* The point of it: arXiv 2503.24000 has 1.45 to 1.80 over the same number of requests each. */
START_TEST(predicted_e2e_beats_the_routers_that_know_half_of_it)
{
    struct toy t;
    mixed(&t, "predicted_e2e", 1);
    double both_s = mean_e2el_s(&t);
    static const char *const others[] = {"predicted_length", "round_robin", "random"};
    for (int i = 0; i < 3; i++) {
        t.config.router = sim_router_find(others[i]);
        ck_assert_msg(both_s < mean_e2el_s(&t), "%s", others[i]);
    }
    toy_free(&t);
}
END_TEST

/* ---- lengths ---- */

START_TEST(shifted_lengths_keep_to_what_a_model_can_say)
{
    struct toy t;
    toy_init(&t, 1);
    struct sim_fleet *f = &t.fleets[0];
    f->engine.max_model_len = 1000;
    ck_assert_uint_eq(
        sim_shifted_tokens(f, &(struct sim_request){.input_tokens = 5, .output_tokens = 7}, 1, 0), 7);
    f->length_factor = half_or_double;
    f->n_length_factors = 2;
    struct sim_request q = {.input_tokens = 500, .output_tokens = 200};
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.1), 100);
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.9), 400);
    ck_assert_uint_eq(sim_tokens_at(f, &q, 1 - 0x1p-53), 400);
    q.output_tokens = 300;
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.9), 500); /* no longer than the model */
    q.output_tokens = 500;
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.9), 500);
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.1), 250);
    q.output_tokens = 501;
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.1), 501); /* too long by itself */
    f->length_factor = (const float[]){0.01f, 0};
    q.output_tokens = 3;
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.1), 1);
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.9), 1);
    q = (struct sim_request){.input_tokens = UINT32_MAX, .output_tokens = UINT32_MAX};
    ck_assert_uint_eq(sim_tokens_at(f, &q, 0.9), UINT32_MAX);
}
END_TEST

/* Every quantile as often as every other: the mean length is the mean factor. */
START_TEST(shifted_lengths_have_the_mean_of_their_distribution)
{
    enum { N = 200000 };
    static const float factors[] = {0.25f, 0.5f, 1, 1.25f, 3};
    struct toy t;
    toy_init(&t, 1);
    t.fleets[0].length_factor = factors;
    t.fleets[0].n_length_factors = 5;
    struct sim_request q = {.input_tokens = 10, .output_tokens = 400};
    double sum = 0;
    for (uint32_t i = 0; i < N; i++) sum += sim_shifted_tokens(&t.fleets[0], &q, 5, i);
    ck_assert_double_eq_tol(sum / N / 400, 6. / 5, 4 * 0.98 / sqrt(N)); /* deviation 0.97 */
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("predicted routers");
    TCase *c = tcase_create("predictions");
    tcase_add_test(c, alone_on_an_idle_replica_both_times_come_true);
    tcase_add_test(c, beside_running_requests_both_times_come_true);
    tcase_add_test(c, prompts_that_wait_come_first);
    tcase_add_test(c, what_is_left_of_a_prompt_in_flight_comes_first);
    tcase_add_test(c, without_a_seat_or_memory_for_all_they_take_turns);
    tcase_add_test(c, a_replica_s_own_strategy_says_what_is_read);
    tcase_add_test(c, what_is_moved_is_part_of_what_is_predicted);
    suite_add_tcase(s, c);
    TCase *choices = tcase_create("choices");
    tcase_add_test(choices, predicted_throughput_takes_the_replica_where_a_step_is_shortest);
    tcase_add_test(choices, predicted_throughput_gives_ties_to_the_lowest_replica);
    tcase_add_test(choices, predicted_throughput_fills_the_faster_fleet_first);
    tcase_add_test(choices,
                   predicted_length_takes_the_fleet_with_the_shorter_answer_and_there_the_idler_replica);
    tcase_add_test(choices, predicted_e2e_weighs_the_prompt_against_the_answer);
    tcase_add_test(choices, predicted_e2e_multiplies_by_the_length_that_the_fleet_would_give);
    tcase_add_test(choices, a_request_that_no_replica_takes_breaks_no_prediction);
    suite_add_tcase(s, choices);
    TCase *errors = tcase_create("errors");
    tcase_add_test(errors, the_mean_relative_error_is_what_accuracy_leaves);
    tcase_add_test(errors, perfect_knowledge_is_an_accuracy_of_one_or_none_given);
    tcase_add_test(errors, errors_of_fleets_and_streams_are_independent_and_of_one_request_the_same);
    tcase_add_test(errors, a_worse_predictor_takes_the_slower_fleet_as_often_as_its_errors_say);
    suite_add_tcase(s, errors);
    TCase *runs = tcase_create("runs");
    tcase_add_test(runs, runs_are_the_same_again_and_with_every_step_formed);
    tcase_add_test(runs, accuracy_one_and_none_given_are_the_same_run_and_errors_make_another);
    tcase_add_test(runs, predicted_e2e_beats_the_routers_that_know_half_of_it);
    tcase_add_test(runs, shifted_lengths_keep_to_what_a_model_can_say);
    tcase_add_test(runs, shifted_lengths_have_the_mean_of_their_distribution);
    suite_add_tcase(s, runs);
    return s;
}
