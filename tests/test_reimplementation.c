/* The cluster against a second implementation. The figures below come from a simulator of 120 lines of Python
 * that was written from the design page "What the simulated engine does" alone, without a look at sim/: it
 * walks step by step, scans lists, knows no fast-forward and shares no code and no arithmetic with this one.
 * Both agreed on 6,000 random loads, request by request, to 1e-9; these few stay. Costs and arrivals are sums
 * of powers of two, so that instants tie exactly. Loads are drawn by the generator in draw(), which is all
 * that is needed to repeat them elsewhere. */
#include <math.h>

#include "sim/histogram.h"
#include "tests/harness.h"
#include "tests/toy.h"

struct load {
    uint64_t seed, n;
    uint32_t max_gap;       /* gaps are uniform in 0 .. max_gap - 1 ticks of 1/512 s */
    uint32_t input, output; /* lengths are uniform in 1 .. 2 x this - 1 */
    uint32_t priorities;
    uint32_t concurrency; /* 0: open loop */
    double think_s;
};

struct cluster {
    uint32_t replicas;
    bool by_load; /* router least_outstanding, else round_robin */
    uint32_t seqs, budget, block_size, blocks, threshold, watermark;
    bool reserve, priority;
    uint32_t max_model_len;
};

/* Means over completed requests, seconds; the last is weighted by request number, so that it knows who was
 * served when. */
struct expected {
    uint64_t completed, preemptions, iterations;
    double queue_s, ttft_s, e2el_s, weighted_e2el_s;
};

/* Order of the numbers: as declared above. */
static const struct row {
    const char *name;
    struct load load;
    struct cluster cluster;
    struct expected expected;
} rows[] = {
    {"roomy",
     {1, 40, 40, 60, 20, 1, 0, 0},
     {1, false, 64, 512, 16, 4096, 0, 0, false, false, 4096},
     {40, 0, 97, 0.010185956955, 0.0377038955688, 0.36722342968, 0.360568218696}},
    {"one at a time",
     {2, 40, 90, 30, 12, 1, 0, 0},
     {1, false, 1, 512, 16, 64, 0, 0, false, false, 1024},
     {40, 0, 458, 2.14815864563, 2.16778144836, 2.33275504112, 3.03491318749}},
    {"chunked prompts",
     {3, 40, 60, 300, 6, 1, 0, 0},
     {1, false, 8, 64, 16, 1024, 0, 0, false, false, 4096},
     {40, 0, 223, 1.23100178242, 1.38049235344, 1.51520154476, 1.91520620555}},
    {"tight pool",
     {4, 60, 12, 40, 40, 1, 0, 0},
     {1, false, 16, 64, 4, 40, 0, 0, false, false, 160},
     {60, 141, 1189, 9.18951059977, 9.30856016477, 10.1383945783, 13.3307150914}},
    {"tight pool, priorities",
     {5, 60, 12, 40, 40, 4, 0, 0},
     {1, false, 16, 64, 4, 40, 0, 0, false, true, 160},
     {60, 152, 1356, 9.37860097885, 9.68697967529, 10.8836626689, 12.1203261412}},
    {"threshold",
     {6, 50, 20, 120, 10, 1, 0, 0},
     {1, false, 8, 128, 8, 64, 16, 0, false, false, 512},
     {50, 180, 239, 1.78700717926, 2.35140680313, 2.5770526886, 3.29242619758}},
    {"prefill a token at a time",
     {7, 40, 20, 12, 24, 3, 0, 0},
     {1, false, 6, 8, 1, 50, 1, 0, false, true, 50},
     {31, 310, 610, 2.04682928516, 2.83345757761, 4.0945527169, 4.73012988986}},
    {"whole prompts reserved",
     {8, 60, 15, 100, 30, 1, 0, 0},
     {1, false, 16, 48, 8, 40, 0, 0, true, false, 320},
     {60, 15, 1069, 9.36044824918, 9.42491146723, 10.0086039066, 12.6940899416}},
    {"watermark",
     {9, 60, 15, 40, 40, 1, 0, 0},
     {1, false, 16, 64, 4, 60, 0, 6, false, false, 240},
     {60, 32, 851, 5.86145420074, 5.90753885905, 6.71889429092, 9.01777984744}},
    {"ties, round robin",
     {10, 80, 4, 50, 20, 1, 0, 0},
     {3, false, 4, 96, 8, 32, 0, 0, false, false, 256},
     {80, 24, 586, 1.24098517895, 1.29122934341, 1.64221750498, 2.12076408363}},
    {"burst, least outstanding",
     {11, 80, 1, 50, 20, 1, 0, 0},
     {4, true, 5, 64, 8, 24, 0, 0, false, false, 192},
     {80, 73, 633, 1.13257811069, 1.19789553881, 1.52872951031, 1.9674172634}},
    {"rejected ones, everything at once",
     {12, 90, 6, 60, 40, 3, 0, 0},
     {3, true, 7, 40, 4, 40, 10, 3, true, true, 80},
     {34, 25, 386, 0.225618895362, 0.358045858495, 0.940906636855, 1.10028333241}},
    {"closed loop",
     {13, 60, 1, 40, 20, 1, 9, 0},
     {2, true, 8, 64, 16, 64, 0, 0, false, false, 1024},
     {60, 0, 270, 0.0027370929718, 0.0292069276174, 0.322743288676, 0.32589951708}},
    {"closed loop that thinks, tight pool",
     {14, 60, 1, 40, 30, 1, 11, 0.03125},
     {2, false, 8, 64, 4, 30, 0, 0, false, false, 120},
     {59, 58, 1048, 0.785274360139, 0.87506451041, 1.48354806738, 1.66886190681}},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

static uint32_t draw(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % n);
}

static void add_load(struct toy *t, const struct load *l)
{
    uint64_t state = l->seed, ticks = 0;
    for (uint64_t i = 0; i < l->n; i++) {
        ticks += draw(&state, l->max_gap);
        uint32_t input = 1 + draw(&state, 2 * l->input - 1), output = 1 + draw(&state, 2 * l->output - 1);
        toy_add(t, (double)ticks / 512, input, output);
        t->requests[i].priority = (int32_t)draw(&state, l->priorities);
    }
    t->config.load.concurrency = l->concurrency;
    t->config.load.think_time_s = l->think_s;
}

static void set_up(struct toy *t, const struct row *row)
{
    const struct cluster *c = &row->cluster;
    toy_init(t, c->replicas);
    sim_cost_linear_init(&t->cost, 0x1p-6, 0x1p-13, 0x1p-20);
    t->config.router = sim_router_find(c->by_load ? "least_outstanding" : "round_robin");
    t->fleets[0].engine = (struct sim_engine){.max_num_seqs = c->seqs,
                                              .max_num_batched_tokens = c->budget,
                                              .block_size = c->block_size,
                                              .long_prefill_token_threshold = c->threshold,
                                              .max_model_len = c->max_model_len,
                                              .n_blocks = c->blocks,
                                              .watermark_blocks = c->watermark,
                                              .reserve_full_isl = c->reserve,
                                              .policy = c->priority ? SIM_PRIORITY : SIM_FCFS};
    add_load(t, &row->load);
}

static struct expected figures_of(const struct sim_result *res)
{
    struct expected f = {.iterations = res->fleets[0].iterations};
    double weights = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        f.preemptions += o->preemptions;
        if (o->status != SIM_COMPLETED) continue;
        f.completed++;
        f.queue_s += o->queue_s;
        f.ttft_s += o->ttft_s;
        f.e2el_s += o->e2el_s;
        f.weighted_e2el_s += (double)(i + 1) * o->e2el_s;
        weights += (double)(i + 1);
    }
    f.queue_s /= (double)f.completed;
    f.ttft_s /= (double)f.completed;
    f.e2el_s /= (double)f.completed;
    f.weighted_e2el_s /= weights;
    return f;
}

static void same(const char *row, const char *figure, double got, double expected)
{
    ck_assert_msg(fabs(got - expected) <= 1e-10 * expected,
                  "%s: %s is %.12g, the other implementation says %.12g", row, figure, got, expected);
}

static void check_row(const struct row *row, bool fast_forward)
{
    struct toy t;
    set_up(&t, row);
    t.config.fast_forward = fast_forward;
    struct sim_result *res = toy_run(&t);
    struct expected got = figures_of(res), want = row->expected;
    same(row->name, "completed", (double)got.completed, (double)want.completed);
    same(row->name, "preemptions", (double)got.preemptions, (double)want.preemptions);
    same(row->name, "iterations", (double)got.iterations, (double)want.iterations);
    same(row->name, "mean queue_s", got.queue_s, want.queue_s);
    same(row->name, "mean ttft_s", got.ttft_s, want.ttft_s);
    same(row->name, "mean e2el_s", got.e2el_s, want.e2el_s);
    same(row->name, "weighted e2el_s", got.weighted_e2el_s, want.weighted_e2el_s);
    sim_result_free(res);
    toy_free(&t);
}

START_TEST(a_second_implementation_finds_the_same_figures)
{
    check_row(&rows[_i], true);
    check_row(&rows[_i], false);
}
END_TEST

/* Every gap between tokens of a measured request is counted once, and none of a request that warms up. */
START_TEST(gaps_of_requests_that_warm_up_are_not_counted)
{
    struct toy t;
    set_up(&t, &rows[_i]);
    t.config.load.warmup_requests = t.config.load.n_requests / 4;
    t.config.load.warmup_s = t.requests[t.config.load.n_requests / 2].arrival_s;
    struct sim_result *res = toy_run(&t);
    uint64_t expected = 0, counted = 0;
    for (uint64_t i = t.config.load.warmup_requests; i < res->n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        bool measured = o->arrival_s >= res->first_arrival_s + t.config.load.warmup_s;
        if (measured && o->status == SIM_COMPLETED) expected += t.requests[i].output_tokens - 1;
    }
    for (uint32_t b = 0; b < SIM_ITL_BUCKETS; b++) counted += res->itl[0].count[b];
    ck_assert_uint_gt(expected, 0);
    ck_assert_uint_eq(counted, expected);
    sim_result_free(res);
    toy_free(&t);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("reimplementation");
    TCase *c = tcase_create("figures");
    tcase_add_loop_test(c, a_second_implementation_finds_the_same_figures, 0, N_ROWS);
    tcase_add_loop_test(c, gaps_of_requests_that_warm_up_are_not_counted, 0, N_ROWS);
    suite_add_tcase(s, c);
    return s;
}
