/* The simulator as a queueing system, against queueing theory. A request's service time is its tokens times
 * token_s, in many small tokens; one replica that runs one request at a time is a single server, one that
 * runs all at once at a step cost proportional to its tokens shares the processor. Each figure is a mean over
 * several seeds; its error is measured by batch means, and the closed form must lie within four standard
 * errors, themselves small. */
#include <math.h>
#include <stdlib.h>

#include "sim/metrics.h"
#include "sim/random.h"
#include "tests/harness.h"
#include "tests/toy.h"

enum { N_SEEDS = 10, N_REQUESTS = 80000, N_BATCHES = 15 };

/* Distribution of service times, in units of their mean: two values with probabilities p and 1 - p, or
 * exponential. */
struct service {
    bool exponential;
    double p, low, high;
};

static const struct service exponential = {true, 0, 0, 0}, constant = {false, 1, 1, 1},
                            two_valued = {false, 0.9, 0.5, 5.5};

static double service_draw(const struct service *s, uint64_t seed, uint64_t i)
{
    double u = sim_random_unit(seed, sim_stream("service"), i);
    return s->exponential ? -log(u) : u < s->p ? s->low : s->high;
}

static double mean_square(const struct service *s)
{
    return s->exponential ? 2 : s->p * s->low * s->low + (1 - s->p) * s->high * s->high;
}

/* One run: Poisson arrivals at load rho; the mean service time is 1 s, in mean_tokens tokens. */
struct queueing {
    const struct service *service;
    double rho;
    uint32_t mean_tokens;
    bool by_decode;         /* the tokens are generated one a step, else they are one prompt */
    uint32_t servers_share; /* requests that run at once */
};

static void set_up(struct toy *t, const struct queueing *q, uint64_t seed, uint64_t n)
{
    double now_s = 0;
    toy_init(t, 1);
    sim_cost_linear_init(&t->cost, 0, 1.0 / q->mean_tokens, 0);
    t->fleets[0].engine.max_num_seqs = q->servers_share;
    t->fleets[0].engine.max_num_batched_tokens = 1 << 20;
    t->config.timeline_points = 0;
    for (uint64_t i = 0; i < n; i++) {
        double tokens = fmax(1, round(service_draw(q->service, seed, i) * q->mean_tokens));
        now_s -= log(sim_random_unit(seed, sim_stream("gaps"), i)) / q->rho;
        toy_add(t, now_s, q->by_decode ? 1 : (uint32_t)tokens, q->by_decode ? (uint32_t)tokens : 1);
    }
}

/* Sum over batches of a mean and of its square. */
struct batches {
    double sum, square;
    int n;
};

static void add_batch(struct batches *b, double value)
{
    b->sum += value;
    b->square += value * value;
    b->n++;
}

typedef double figure(const struct sim_outcome *o);

static double waiting_s(const struct sim_outcome *o)
{
    return o->queue_s;
}

static double sojourn_s(const struct sim_outcome *o)
{
    return o->e2el_s;
}

/* The first tenth of a run is left out: it begins with an empty system. */
static void add_run(struct batches *b, const struct sim_result *res, figure *value)
{
    uint64_t first = res->n_requests / 10, size = (res->n_requests - first) / N_BATCHES;
    for (uint64_t k = 0; k < N_BATCHES; k++) {
        double sum = 0;
        for (uint64_t i = 0; i < size; i++) sum += value(&res->outcomes[first + k * size + i]);
        add_batch(b, sum / (double)size);
    }
}

static struct batches measure(const struct queueing *q, uint64_t n, figure *value)
{
    struct batches b = {0};
    for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
        struct toy t;
        set_up(&t, q, seed, n);
        struct sim_result *res = toy_run(&t);
        add_run(&b, res, value);
        sim_result_free(res);
        toy_free(&t);
    }
    return b;
}

/* The mean of the batches is `expected` up to four standard errors and a bias known beforehand; the standard
 * error is at most `precision` of it, or the test would show nothing. */
static void agrees(const struct batches *b, double expected, double precision, double bias)
{
    double mean = b->sum / b->n, error = sqrt((b->square / b->n - mean * mean) / (b->n - 1));
    ck_assert_msg(error < precision * expected, "standard error %g of %g is too large", error, expected);
    ck_assert_msg(fabs(mean - expected) < 4 * error + bias, "mean %g, theory %g, standard error %g", mean,
                  expected, error);
}

/* Pollaczek-Khinchine: the mean waiting time of M/G/1 is rho E[S^2] / (2 (1 - rho) E[S]). With exponential
 * service that is M/M/1's rho / (mu - lambda), with constant service M/D/1's half of it. */
static void check_waiting(const struct service *service, double rho)
{
    struct queueing q = {service, rho, 10000, false, 1};
    struct batches b = measure(&q, N_REQUESTS, waiting_s);
    agrees(&b, rho * mean_square(service) / (2 * (1 - rho)), 0.015, 0.001);
}

START_TEST(an_m_m_1_queue_waits_as_long_as_theory_says)
{
    check_waiting(&exponential, 0.3);
    check_waiting(&exponential, 0.7);
}
END_TEST

START_TEST(an_m_d_1_queue_waits_half_as_long)
{
    check_waiting(&constant, 0.5);
    check_waiting(&constant, 0.8);
}
END_TEST

START_TEST(an_m_g_1_queue_waits_by_pollaczek_and_khinchine)
{
    check_waiting(&two_valued, 0.4);
    check_waiting(&two_valued, 0.6);
}
END_TEST

/* The same when service is decode steps: 200 of them for a mean request. A request waits for no step in
 * flight, since one runs at a time and the next starts when it ends. */
START_TEST(a_server_that_decodes_is_the_same_queue)
{
    struct queueing q = {&two_valued, 0.5, 200, true, 1};
    struct batches b = measure(&q, N_REQUESTS / 3, waiting_s);
    agrees(&b, 0.5 * mean_square(&two_valued), 0.015, 0.001);
}
END_TEST

/* The sojourn time of M/M/1 is exponential with mean 1 / (mu - lambda): its percentiles, as the report gives
 * them. */
START_TEST(the_percentiles_of_an_m_m_1_queue_are_exponential)
{
    double rho = 0.5;
    struct queueing q = {&exponential, rho, 10000, false, 1};
    struct batches p50 = {0}, p90 = {0}, p99 = {0};
    for (uint64_t seed = 1; seed <= 3 * N_SEEDS; seed++) {
        struct toy t;
        set_up(&t, &q, seed, N_REQUESTS / 2);
        struct sim_result *res = toy_run(&t);
        struct sim_report *r = sim_report_new(&t.config, res);
        add_batch(&p50, r->all.e2el.p50);
        add_batch(&p90, r->all.e2el.p90);
        add_batch(&p99, r->all.e2el.p99);
        sim_report_free(r);
        sim_result_free(res);
        toy_free(&t);
    }
    agrees(&p50, log(2) / (1 - rho), 0.015, 0.001);
    agrees(&p90, log(10) / (1 - rho), 0.015, 0.001);
    agrees(&p99, log(100) / (1 - rho), 0.015, 0.001);
}
END_TEST

/* All at once, each step as long as it has requests: processor sharing, whose mean sojourn time E[S] / (1 -
 * rho) does not depend on the distribution of service. An arrival joins at the end of the step in flight,
 * which is as long as there are requests; on average half of it, squared-length biased: the bias allowed is
 * one full step. */
START_TEST(a_batch_of_all_shares_the_processor_whatever_the_lengths)
{
    static const struct service *const services[] = {&exponential, &constant, &two_valued};
    double rho = 0.6, mean_in_system = rho / (1 - rho);
    for (int i = 0; i < 3; i++) {
        struct queueing q = {services[i], rho, 400, true, 4096};
        struct batches b = measure(&q, N_REQUESTS / 3, sojourn_s);
        agrees(&b, 1 / (1 - rho), 0.015, (2 * mean_in_system + 1) / q.mean_tokens);
    }
}
END_TEST

/* Random splitting of a Poisson stream over four servers gives four M/M/1 queues; joining the shortest must
 * do better. */
START_TEST(random_routing_makes_independent_queues_and_the_shortest_queue_beats_it)
{
    double rho = 0.6, lambda = 4 * rho;
    struct batches random = {0}, shortest = {0};
    for (uint64_t seed = 1; seed <= N_SEEDS; seed++) {
        struct toy t;
        struct queueing q = {&exponential, lambda, 10000, false, 1};
        set_up(&t, &q, seed, N_REQUESTS);
        t.fleets[0].n_replicas = 4;
        t.config.seed = seed;
        for (int k = 0; k < 2; k++) {
            t.config.router = sim_router_find(k ? "least_outstanding" : "random");
            struct sim_result *res = toy_run(&t);
            add_run(k ? &shortest : &random, res, waiting_s);
            sim_result_free(res);
        }
        toy_free(&t);
    }
    agrees(&random, rho / (1 - rho), 0.015, 0.001);
    ck_assert_double_lt(shortest.sum / shortest.n, 0.5 * random.sum / random.n);
}
END_TEST

/* Closed: N requests circulate between one server and a think time Z. By Little's law over the whole loop, X
 * (R + Z) = N; filling and emptying the loop once is the only error. */
START_TEST(closed_loop_throughput_is_the_population_over_the_round_trip)
{
    static const uint32_t populations[] = {1, 2, 7, 40};
    static const double thinks_s[] = {0, 0.5, 10};
    const uint64_t n = 20000;
    for (int i = 0; i < 12; i++) {
        struct toy t;
        uint32_t population = populations[i / 3];
        double think_s = thinks_s[i % 3];
        struct queueing q = {&exponential, 1, 100, true, 4};
        set_up(&t, &q, 3, n);
        t.config.load.concurrency = population;
        t.config.load.think_time_s = think_s;
        struct sim_result *res = toy_run(&t);
        struct sim_report *r = sim_report_new(&t.config, res);
        double round_trip_s = r->all.e2el.mean + think_s, law = population / round_trip_s;
        ck_assert_uint_eq(r->all.completed, n);
        ck_assert_double_eq_tol(r->all.request_throughput, law, law * 10.0 * population / (double)n);
        sim_report_free(r);
        sim_result_free(res);
        toy_free(&t);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("queueing");
    TCase *c = tcase_create("closed forms");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, an_m_m_1_queue_waits_as_long_as_theory_says);
    tcase_add_test(c, an_m_d_1_queue_waits_half_as_long);
    tcase_add_test(c, an_m_g_1_queue_waits_by_pollaczek_and_khinchine);
    tcase_add_test(c, a_server_that_decodes_is_the_same_queue);
    tcase_add_test(c, the_percentiles_of_an_m_m_1_queue_are_exponential);
    tcase_add_test(c, a_batch_of_all_shares_the_processor_whatever_the_lengths);
    tcase_add_test(c, random_routing_makes_independent_queues_and_the_shortest_queue_beats_it);
    tcase_add_test(c, closed_loop_throughput_is_the_population_over_the_round_trip);
    suite_add_tcase(s, c);
    return s;
}
