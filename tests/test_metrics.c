/* Figures of hand-made outcomes: percentiles against a sort and numpy's own, counts and rates worked by hand.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/histogram.h"
#include "sim/metrics.h"
#include "sim/random.h"
#include "tests/harness.h"

enum { MAX_REQUESTS = 1001, MAX_CLASSES = 3 };

/* A run that never was: outcomes are set by hand. */
struct hand {
    struct sim_request requests[MAX_REQUESTS];
    struct sim_outcome outcomes[MAX_REQUESTS];
    struct sim_class classes[MAX_CLASSES];
    struct sim_fleet fleet;
    struct sim_fleet_stats stats;
    struct sim_config config;
    struct sim_result result;
};

static struct hand *hand_new(uint32_t n_classes)
{
    static const char *const names[MAX_CLASSES] = {"default", "second", "third"};
    struct hand *h = calloc(1, sizeof *h);
    for (uint32_t c = 0; c < n_classes; c++) h->classes[c] = (struct sim_class){names[c], {.percentile = 90}};
    h->fleet = (struct sim_fleet){.n_replicas = 2, .gpus_per_replica = 4, .engine = {.n_blocks = 100}};
    h->config = (struct sim_config){.fleets = &h->fleet,
                                    .n_fleets = 1,
                                    .classes = h->classes,
                                    .n_classes = n_classes,
                                    .load.requests = h->requests};
    h->result = (struct sim_result){.outcomes = h->outcomes,
                                    .fleets = &h->stats,
                                    .n_fleets = 1,
                                    .itl = calloc(n_classes, sizeof *h->result.itl),
                                    .n_classes = n_classes,
                                    .first_arrival_s = INFINITY};
    return h;
}

static void hand_free(struct hand *h)
{
    free(h->result.itl);
    free(h);
}

struct took {
    double queue_s, ttft_s, e2el_s;
    uint32_t output_tokens;
};

static struct sim_outcome *add_as(struct hand *h, double arrival_s, uint16_t slo_class,
                                  enum sim_outcome_status status)
{
    struct sim_result *res = &h->result;
    struct sim_outcome *o = &h->outcomes[res->n_requests];
    h->requests[res->n_requests] = (struct sim_request){
        .arrival_s = arrival_s, .input_tokens = 100, .output_tokens = 1, .slo_class = slo_class};
    *o = (struct sim_outcome){.arrival_s = arrival_s, .output_tokens = 1, .status = status};
    h->config.load.n_requests = ++res->n_requests;
    res->n_arrived += status != SIM_NOT_ARRIVED;
    res->first_arrival_s = fmin(res->first_arrival_s, arrival_s);
    res->last_arrival_s = fmax(res->last_arrival_s, arrival_s);
    return o;
}

static void add(struct hand *h, double arrival_s, uint16_t slo_class, struct took took)
{
    struct sim_outcome *o = add_as(h, arrival_s, slo_class, SIM_COMPLETED);
    o->queue_s = took.queue_s;
    o->ttft_s = took.ttft_s;
    o->e2el_s = took.e2el_s;
    h->requests[h->result.n_requests - 1].output_tokens = o->output_tokens = took.output_tokens;
    h->result.end_s = fmax(h->result.end_s, arrival_s + took.e2el_s);
}

static struct sim_report *report_on(const struct hand *h)
{
    return sim_report_new(&h->config, &h->result);
}

/* --- order statistics --- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* numpy.percentile of sorted values. */
static double exact_quantile(const double *sorted, uint64_t n, double q)
{
    double rank = q * (double)(n - 1);
    uint64_t low = (uint64_t)rank, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (rank - (double)low) * (sorted[high] - sorted[low]);
}

static void is_stat_of(const struct sim_stat *s, double *values, uint64_t n)
{
    double sum = 0, square = 0;
    for (uint64_t i = 0; i < n; i++) sum += values[i];
    for (uint64_t i = 0; i < n; i++) square += pow(values[i] - sum / (double)n, 2);
    qsort(values, n, sizeof *values, by_value);
    ck_assert_double_eq_tol(s->mean, sum / (double)n, 1e-12);
    ck_assert_double_eq_tol(s->std, sqrt(square / (double)n), 1e-12);
    ck_assert_double_eq_tol(s->p50, exact_quantile(values, n, 0.50), 1e-12);
    ck_assert_double_eq_tol(s->p90, exact_quantile(values, n, 0.90), 1e-12);
    ck_assert_double_eq_tol(s->p95, exact_quantile(values, n, 0.95), 1e-12);
    ck_assert_double_eq_tol(s->p99, exact_quantile(values, n, 0.99), 1e-12);
    ck_assert_double_eq(s->median, s->p50);
}

START_TEST(percentiles_agree_with_a_sort)
{
    static const uint64_t sizes[] = {1, 2, 3, 4, 10, 11, 100, 101, 1001};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint64_t n = sizes[k];
        double values[4][MAX_REQUESTS];
        struct hand *h = hand_new(1);
        for (uint64_t i = 0; i < n; i++) {
            double u = sim_random_unit((uint64_t)_i, sim_stream("metrics"), i + 10000 * n);
            double ttft_s = _i % 2 ? u : floor(6 * u),
                   e2el_s = ttft_s + 40 * u * u; /* even cases: many ties */
            add(h, (double)i, 0, (struct took){u / 2, ttft_s, e2el_s, 5});
            values[0][i] = u / 2;
            values[1][i] = ttft_s;
            values[2][i] = e2el_s;
            values[3][i] = (e2el_s - ttft_s) / 4;
        }
        struct sim_report *r = report_on(h);
        is_stat_of(&r->all.queue, values[0], n);
        is_stat_of(&r->all.ttft, values[1], n);
        is_stat_of(&r->all.e2el, values[2], n);
        is_stat_of(&r->all.tpot, values[3], n);
        sim_report_free(r);
        hand_free(h);
    }
}
END_TEST

/* numpy.percentile([15, 20, 35, 40, 50], [50, 90, 95, 99]) = 35, 46, 48, 49.6; mean 32, std(ddof=0)
 * sqrt(166). */
START_TEST(percentiles_are_what_numpy_gives)
{
    static const double ttft_s[] = {50, 15, 40, 20, 35};
    struct hand *h = hand_new(1);
    for (int i = 0; i < 5; i++) add(h, i, 0, (struct took){0, ttft_s[i], 60, 2});
    struct sim_report *r = report_on(h);
    ck_assert_double_eq_tol(r->all.ttft.median, 35, 1e-12);
    ck_assert_double_eq_tol(r->all.ttft.p90, 46, 1e-12);
    ck_assert_double_eq_tol(r->all.ttft.p95, 48, 1e-12);
    ck_assert_double_eq_tol(r->all.ttft.p99, 49.6, 1e-12);
    ck_assert_double_eq_tol(r->all.ttft.mean, 32, 1e-12);
    ck_assert_double_eq_tol(r->all.ttft.std, sqrt(166), 1e-12);
    sim_report_free(r);
    hand_free(h);
}
END_TEST

/* --- definitions --- */

START_TEST(tpot_is_the_time_after_the_first_token_per_further_token_and_leaves_out_one_token_requests)
{
    struct hand *h = hand_new(1);
    h->classes[0].slo.tpot_s = 0.2;
    add(h, 0, 0, (struct took){0, 1, 1, 1}); /* one token: TPOT 0, good, not in the statistics */
    add(h, 1, 0, (struct took){0, 1, 2, 11});
    add(h, 2, 0, (struct took){0, 1, 1.5, 2});
    struct sim_report *r = report_on(h);
    ck_assert_double_eq_tol(r->all.tpot.mean, (0.1 + 0.5) / 2, 1e-12);
    ck_assert_double_eq_tol(r->all.tpot.p50, 0.3, 1e-12);
    ck_assert_uint_eq(r->all.slo_violations_tpot, 1);
    ck_assert_double_eq_tol(r->all.slo_attainment, 2. / 3, 1e-12);
    sim_report_free(r);
    hand_free(h);
}
END_TEST

/* Limits: TTFT 1, TPOT 0.1, E2EL 5. Duration 0 .. 8: last completion, not last arrival.
 *   arrival  TTFT  E2EL  tokens   TPOT
 *   0        1     2     11       0.1    good: limits are met when they are reached
 *   1        1.5   2     11       0.05   TTFT
 *   2        0.5   6     11       0.55   TPOT, E2EL
 *   3        0.5   1.0   11       0.05   good
 *   4        rejected                    miss, no violation
 *   5        unfinished                  miss, no violation
 *   9        not arrived                 does not count */
START_TEST(goodput_attainment_and_violations_are_those_worked_by_hand)
{
    struct hand *h = hand_new(1);
    h->classes[0].slo = (struct sim_slo){.ttft_s = 1, .tpot_s = 0.1, .e2el_s = 5, .percentile = 90};
    add(h, 0, 0, (struct took){0, 1, 2, 11});
    add(h, 1, 0, (struct took){0.25, 1.5, 2, 11});
    add(h, 2, 0, (struct took){0, 0.5, 6, 11});
    add(h, 3, 0, (struct took){0.75, 0.5, 1, 11});
    add_as(h, 4, 0, SIM_REJECTED_TOO_LONG);
    add_as(h, 5, 0, SIM_UNFINISHED);
    add_as(h, 9, 0, SIM_NOT_ARRIVED);
    h->outcomes[2].preemptions = 3;
    struct sim_report *r = report_on(h);
    const struct sim_summary *s = &r->all;
    ck_assert_uint_eq(s->arrived, 6);
    ck_assert_uint_eq(s->completed, 4);
    ck_assert_uint_eq(s->rejected, 1);
    ck_assert_uint_eq(s->unfinished, 1);
    ck_assert_uint_eq(s->preemptions, 3);
    ck_assert_uint_eq(s->input_tokens, 400);
    ck_assert_uint_eq(s->output_tokens, 44);
    ck_assert_double_eq(s->duration_s, 8);
    ck_assert_double_eq(s->request_throughput, 4 / 8.);
    ck_assert_double_eq(s->output_throughput, 44 / 8.);
    ck_assert_double_eq(s->total_token_throughput, 444 / 8.);
    ck_assert_double_eq(s->request_goodput, 2 / 8.);
    ck_assert_double_eq(s->slo_attainment, 2 / 6.);
    ck_assert_uint_eq(s->slo_violations_ttft, 1);
    ck_assert_uint_eq(s->slo_violations_tpot, 1);
    ck_assert_uint_eq(s->slo_violations_e2el, 1);
    ck_assert_double_eq(s->queue.mean, 0.25);
    ck_assert(!s->sla_met);
    ck_assert_double_eq(r->output_throughput_per_gpu, 44 / 8. / 8); /* 2 replicas of 4 GPUs */
    sim_report_free(r);
    hand_free(h);
}
END_TEST

START_TEST(without_limits_every_completed_request_is_good)
{
    struct hand *h = hand_new(1);
    for (int i = 0; i < 9; i++) add(h, i, 0, (struct took){100, 200, 300, 2});
    add_as(h, 9, 0, SIM_REJECTED_TOO_LONG);
    struct sim_report *r = report_on(h);
    ck_assert_double_eq(r->all.slo_attainment, 0.9);
    ck_assert(r->all.sla_met); /* 90 % is asked */
    sim_report_free(r);
    hand_free(h);
}
END_TEST

/* Of ten requests one misses TTFT and another E2EL: 80 % are good, 90 % meet each limit. */
START_TEST(the_rule_per_metric_asks_of_each_limit_by_itself)
{
    for (int per_metric = 0; per_metric < 2; per_metric++) {
        struct hand *h = hand_new(1);
        h->classes[0].slo =
            (struct sim_slo){.ttft_s = 1, .e2el_s = 5, .percentile = 90, .per_metric = per_metric};
        for (int i = 0; i < 10; i++) add(h, i, 0, (struct took){0, i == 3 ? 2 : 1, i == 7 ? 6 : 5, 2});
        struct sim_report *r = report_on(h);
        ck_assert_double_eq(r->all.slo_attainment, 0.8);
        ck_assert_int_eq(r->all.sla_met, per_metric);
        sim_report_free(r);
        add_as(h, 10, 0, SIM_REJECTED_TOO_LONG); /* misses every limit: 9 of 11 */
        r = report_on(h);
        ck_assert(!r->all.sla_met);
        sim_report_free(r);
        hand_free(h);
    }
}
END_TEST

/* Windows of 300 s since the first arrival at 50: [50, 350) has 3 of 4 good, [350, 650) nobody, [650, 950) 1
 * of 2. */
START_TEST(the_worst_five_minutes_are_a_window_of_arrivals)
{
    static const struct {
        double arrival_s;
        bool good;
    } cases[] = {{50, true}, {60, false}, {200, true}, {349.5, true}, {650, false}, {949, true}};
    struct hand *h = hand_new(1);
    h->classes[0].slo.ttft_s = 1;
    for (int i = 0; i < 6; i++) add(h, cases[i].arrival_s, 0, (struct took){0, cases[i].good ? 1 : 2, 3, 2});
    struct sim_report *r = report_on(h);
    ck_assert_double_eq(r->all.slo_attainment, 4 / 6.);
    ck_assert_double_eq(r->all.slo_attainment_worst_5min, 0.5);
    sim_report_free(r);
    hand_free(h);
}
END_TEST

/* --- the state of the load: requests arrive at 0, 1, ... 99 s --- */

typedef double queue_at(int i);

static double never(int i)
{
    (void)i;
    return 0;
}

static double last_two(int i)
{
    return i == 98 ? 1.5 : i == 99 ? 0.5 : 0;
}

static double last_one(int i)
{
    return i == 99 ? 0.5 : 0;
}

static double last_ten(int i)
{
    return i >= 90 ? 99.5 - i : 0;
}

static double last_third_doubled(int i)
{
    return i < 33 ? 0 : i < 66 ? 0.5 : 3;
}

static double last_third_longer(int i)
{
    return i < 33 ? 0 : i < 66 ? 2 : 3;
}

static double last_third_short(int i)
{
    return i < 66 ? 0.1 : 0.9;
}

START_TEST(the_load_is_stable_backlogged_or_overloaded)
{
    static const struct {
        queue_at *queue_s;
        enum sim_load_state expected;
    } cases[] = {
        {never, SIM_STABLE},
        {last_one, SIM_STABLE},               /* one waits at the last arrival: about a second of service */
        {last_two, SIM_BACKLOGGED},           /* two: more */
        {last_ten, SIM_OVERLOADED},           /* 90 of 100 were done at the last arrival */
        {last_third_doubled, SIM_OVERLOADED}, /* 96 were, but queueing grew from 0.5 to 3 s */
        {last_third_longer, SIM_BACKLOGGED},  /* from 2 to 3 s: not doubled */
        {last_third_short, SIM_STABLE},       /* more than doubled, but below 1 s */
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct hand *h = hand_new(1);
        for (int i = 0; i < 100; i++) {
            double queue_s = cases[k].queue_s(i);
            add(h, i, 0, (struct took){queue_s, queue_s + 0.05, queue_s + 0.1, 2});
        }
        struct sim_report *r = report_on(h);
        ck_assert_msg(r->load_state == cases[k].expected, "case %u is %s, expected %s", (unsigned)k,
                      sim_load_state_name(r->load_state), sim_load_state_name(cases[k].expected));
        sim_report_free(r);
        h->config.load.concurrency = 4; /* a closed loop limits itself */
        r = report_on(h);
        ck_assert_int_eq(r->load_state, SIM_STABLE);
        sim_report_free(r);
        hand_free(h);
    }
    ck_assert_str_eq(sim_load_state_name(SIM_OVERLOADED), "overloaded");
}
END_TEST

START_TEST(requests_that_a_horizon_left_unfinished_count_as_load)
{
    struct hand *h = hand_new(1);
    for (int i = 0; i < 90; i++) add(h, i, 0, (struct took){0, 0.05, 0.1, 2});
    for (int i = 90; i < 100; i++) add_as(h, i, 0, SIM_UNFINISHED);
    struct sim_report *r = report_on(h);
    ck_assert_int_eq(r->load_state, SIM_OVERLOADED);
    sim_report_free(r);
    hand_free(h);
}
END_TEST

/* --- classes --- */

/* Class 0 meets its limit, class 1 does not, class 2 has no requests. */
START_TEST(every_figure_is_given_per_class_and_over_all)
{
    struct hand *h = hand_new(3);
    h->classes[0].slo.ttft_s = h->classes[2].slo.ttft_s = 1;
    h->classes[1].slo.ttft_s = 0.5;
    add(h, 0, 0, (struct took){0, 1, 2, 11});
    add(h, 1, 1, (struct took){0, 0.75, 4, 21});
    add(h, 2, 0, (struct took){0, 0.5, 1, 1});
    add_as(h, 3, 1, SIM_UNFINISHED);
    h->result.itl[0].count[sim_itl_bucket(0.1)] = 10;
    h->result.itl[1].count[sim_itl_bucket(0.2)] = 20;
    struct sim_report *r = report_on(h);
    const struct sim_summary *a = &r->classes[0], *b = &r->classes[1], *c = &r->classes[2];
    ck_assert_uint_eq(r->n_classes, 3);
    ck_assert_uint_eq(a->arrived, 2);
    ck_assert_uint_eq(b->arrived, 2);
    ck_assert_uint_eq(c->arrived, 0);
    ck_assert_double_eq(a->ttft.mean, 0.75);
    ck_assert_double_eq(b->ttft.mean, 0.75);
    ck_assert_double_eq(r->all.e2el.mean, 7. / 3);
    ck_assert_double_eq(a->duration_s, 3);
    ck_assert_double_eq(b->duration_s, 4);
    ck_assert_double_eq(r->all.duration_s, 5);
    ck_assert_double_eq(a->slo_attainment, 1);
    ck_assert_double_eq(b->slo_attainment, 0);
    ck_assert_double_eq(r->all.slo_attainment, 0.5);
    ck_assert(a->sla_met && !b->sla_met && c->sla_met && !r->all.sla_met);
    ck_assert_double_eq_tol(a->itl.mean, 0.1, 1e-4);
    ck_assert_double_eq_tol(b->itl.mean, 0.2, 2e-4);
    ck_assert_double_eq_tol(r->all.itl.mean, 5. / 30, 2e-4);
    ck_assert_double_eq_tol(r->all.itl.p50, 0.2, 2e-4);
    sim_report_free(r);
    hand_free(h);
}
END_TEST

/* --- the cluster --- */

/* 10 s of two replicas with 100 blocks each: 2,000 block-seconds, 20 seconds of GPU time. */
START_TEST(utilisation_is_time_weighted_over_the_run)
{
    struct hand *h = hand_new(1);
    add(h, 5, 0, (struct took){0, 1, 10, 2});
    h->stats = (struct sim_fleet_stats){.kv_block_s = 500,
                                        .running_s = 25,
                                        .gpu_s = 8,
                                        .kv_peak_utilization = 0.75,
                                        .iterations = 7,
                                        .max_running = 4,
                                        .max_waiting = 3,
                                        .capacity_tokens = 3200,
                                        .by_evidence_s = {[SIM_MEASURED] = 6, [SIM_ANALYTIC] = 2}};
    struct sim_report *r = report_on(h);
    ck_assert_double_eq(r->kv_mean_utilization, 0.25);
    ck_assert_double_eq(r->kv_peak_utilization, 0.75);
    ck_assert_double_eq(r->mean_running, 2.5);
    ck_assert_double_eq(r->gpu_busy, 0.4);
    ck_assert_double_eq(r->time_frac[SIM_MEASURED], 0.75);
    ck_assert_double_eq(r->time_frac[SIM_ANALYTIC], 0.25);
    ck_assert_uint_eq(r->iterations, 7);
    ck_assert_uint_eq(r->max_running, 4);
    ck_assert_uint_eq(r->max_waiting, 3);
    ck_assert_uint_eq(r->kv_capacity_tokens, 3200);
    sim_report_free(r);
    hand_free(h);
}
END_TEST

/* The second fleet has one replica of 100 blocks and one GPU; 10 s in all, 24 s of GPU time in 30. */
START_TEST(fleets_are_added_up_and_shares_of_evidence_sum_to_1)
{
    struct hand *h = hand_new(1);
    add(h, 0, 0, (struct took){0, 1, 10, 9});
    struct sim_fleet fleets[2] = {h->fleet, h->fleet};
    fleets[1].n_replicas = fleets[1].gpus_per_replica = 1;
    struct sim_fleet_stats stats[2] = {
        {.kv_block_s = 500,
         .gpu_s = 16,
         .max_running = 3,
         .by_evidence_s = {[SIM_MEASURED] = 12, [SIM_ANALYTIC] = 4}},
        {.kv_block_s = 250, .gpu_s = 8, .max_running = 5, .by_evidence_s = {[SIM_EXTRAPOLATED] = 8}}};
    h->config.fleets = fleets;
    h->result.fleets = stats;
    h->config.n_fleets = h->result.n_fleets = 2;
    struct sim_report *r = report_on(h);
    ck_assert_double_eq(r->time_frac[SIM_MEASURED], 12 / 24.);
    ck_assert_double_eq(r->time_frac[SIM_EXTRAPOLATED], 8 / 24.);
    ck_assert_double_eq(r->time_frac[SIM_ANALYTIC], 4 / 24.);
    ck_assert_double_eq(r->kv_mean_utilization, 750 / 3000.);
    ck_assert_double_eq(r->gpu_busy, 24 / 30.);
    ck_assert_double_eq(r->output_throughput_per_gpu, 9 / 10. / 9);
    ck_assert_uint_eq(r->max_running, 5);
    sim_report_free(r);
    hand_free(h);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("metrics");
    TCase *c = tcase_create("metrics");
    tcase_add_loop_test(c, percentiles_agree_with_a_sort, 0, 6);
    tcase_add_test(c, percentiles_are_what_numpy_gives);
    tcase_add_test(
        c, tpot_is_the_time_after_the_first_token_per_further_token_and_leaves_out_one_token_requests);
    tcase_add_test(c, goodput_attainment_and_violations_are_those_worked_by_hand);
    tcase_add_test(c, without_limits_every_completed_request_is_good);
    tcase_add_test(c, the_rule_per_metric_asks_of_each_limit_by_itself);
    tcase_add_test(c, the_worst_five_minutes_are_a_window_of_arrivals);
    tcase_add_test(c, the_load_is_stable_backlogged_or_overloaded);
    tcase_add_test(c, requests_that_a_horizon_left_unfinished_count_as_load);
    tcase_add_test(c, every_figure_is_given_per_class_and_over_all);
    tcase_add_test(c, utilisation_is_time_weighted_over_the_run);
    tcase_add_test(c, fleets_are_added_up_and_shares_of_evidence_sum_to_1);
    suite_add_tcase(s, c);
    return s;
}
