/* Every strategy of the list in a whole run: fast-forward and repetition change no byte, link bytes are pages times
 * their size, and the limits are where physics puts them. */
#include "tests/harness.h"

#include "experiments/run.h"
#include "models/strategy.h"
#include "sim/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char text[] =
    "model: llama-3.1-8b\n"
    "fleet:\n  - {gpu: h100-sxm, replicas: 2}\n"
    "engine: {name: vllm-0.24, max_num_seqs: 32, max_model_len: 16384}\n"
    "router: least_outstanding\n"
    "workload:\n"
    "  open_loop: {request_rate: 3, num_requests: 60, input_tokens: 'lognormal:3000:0.7:12000',\n"
    "              output_tokens: 'lognormal:200:0.8:2000'}\n"
    "seed: 3\n";

static struct exp_cache *cache;

static void open_cache(void)
{
    struct sim_status st = {0};
    cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
}

static void close_cache(void)
{
    exp_cache_free(cache);
}

static struct exp_scenario *scenario(const char *strategy)
{
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("test", text, sizeof text - 1, &st);
    ck_assert_msg(s && exp_scenario_set(s, "fleet.0.kv.strategy", strategy, &st), "%s", st.message);
    return s;
}

static void set(struct exp_scenario *s, const char *key, const char *value)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_scenario_set(s, key, value, &st), "%s", st.message);
}

static struct exp_run *run(const struct exp_scenario *s, bool slow)
{
    struct sim_status st = {0};
    struct exp_run_options o = {.no_fast_forward = slow};
    struct exp_run *r = exp_run_new(s, cache, &o, &st);
    ck_assert_msg(r != NULL, "%s", st.message);
    return r;
}

static bool same(const struct exp_run *a, const struct exp_run *b)
{
    const struct sim_result *x = a->result, *y = b->result;
    for (uint64_t i = 0; i < x->n_requests; i++)
        if (x->outcomes[i].ttft_s != y->outcomes[i].ttft_s ||
            x->outcomes[i].e2el_s != y->outcomes[i].e2el_s ||
            x->outcomes[i].replica != y->outcomes[i].replica ||
            x->outcomes[i].output_tokens != y->outcomes[i].output_tokens)
            return false;
    return memcmp(x->fleets, y->fleets, x->n_fleets * sizeof *x->fleets) == 0;
}

START_TEST(fast_forward_and_repetition_change_no_byte)
{
    static const char *const draws[] = {"mean", "step"};
    const struct mdl_strategy *strategy = mdl_strategy_at((size_t)_i);
    for (int d = 0; d < (mdl_strategy_default(strategy, MDL_KV_DRAWS) ? 2 : 1); d++) {
        struct exp_scenario *s = scenario(strategy->name);
        if (mdl_strategy_default(strategy, MDL_KV_DRAWS)) set(s, "fleet.0.kv.draws", draws[d]);
        struct exp_run *fast = run(s, false), *again = run(s, false), *slow = run(s, true);
        ck_assert_msg(same(fast, slow), "%s: fast-forward changes something", strategy->name);
        ck_assert_msg(same(fast, again), "%s: a repetition changes something", strategy->name);
        ck_assert_uint_eq(fast->report->all.completed, 60);
        exp_run_free(fast);
        exp_run_free(again);
        exp_run_free(slow);
        free(s);
    }
}
END_TEST

START_TEST(fast_forward_changes_no_byte_on_a_shared_link)
{
    const struct mdl_strategy *strategy = mdl_strategy_at((size_t)_i);
    struct exp_scenario *s = scenario(strategy->name);
    set(s, "fleet.0.host.gpus_per_link", "2");
    struct exp_run *fast = run(s, false), *slow = run(s, true);
    ck_assert_msg(same(fast, slow), "%s: fast-forward changes something", strategy->name);
    exp_run_free(fast);
    exp_run_free(slow);
    free(s);
}
END_TEST

static void count_partial(void *n, const struct sim_plan_row *row)
{
    if (row->new_tokens && row->read_tokens < row->past_tokens + row->new_tokens) ++*(uint64_t *)n;
}

/* Rows of a run that read less than their whole context. */
static uint64_t partial_reads(const struct exp_run *r)
{
    struct sim_config config = r->setup->config;
    uint64_t n = 0;
    config.fast_forward = false;
    config.plan_row = count_partial;
    config.plan_user = &n;
    sim_result_free(sim_run(&config));
    return n;
}

/* Contexts of this load stay below 16,384 tokens, and most exceed the default budgets. */
START_TEST(a_budget_above_every_context_reads_what_full_reads_and_moves_nothing)
{
    static const char *const strategies[] = {"streaming_llm", "quest", "freekv", "arkvale"};
    struct exp_scenario *s = scenario(strategies[_i]);
    set(s, "length_shift", "false");
    struct exp_run *small = run(s, false);
    ck_assert_uint_gt(partial_reads(small), 1000);
    exp_run_free(small);
    set(s, "fleet.0.kv.budget", "16384");
    struct exp_run *own = run(s, false);
    ck_assert_uint_eq(partial_reads(own), 0);
    ck_assert_double_eq(own->report->recalled_pages, 0);
    ck_assert_double_eq(own->report->link_up_bytes, 0);
    exp_run_free(own);
    free(s);
}
END_TEST

START_TEST(no_misses_recall_nothing_and_all_misses_recall_most)
{
    static const char *const miss[] = {"0", "0.1", "1"};
    double pages[3];
    for (int i = 0; i < 3; i++) {
        struct exp_scenario *s = scenario("freekv");
        set(s, "fleet.0.kv.miss_rate", miss[i]);
        struct exp_run *r = run(s, false);
        pages[i] = r->report->recalled_pages;
        exp_run_free(r);
        free(s);
    }
    ck_assert_double_eq(pages[0], 0);
    ck_assert_double_gt(pages[1], 0);
    ck_assert_double_gt(pages[2], 5 * pages[1]);
}
END_TEST

/* 8,000 tokens in and 100 out beside a budget of 8,064: at most two pages of a head lie on the host. */
START_TEST(a_budget_just_below_the_context_recalls_no_more_than_lies_outside)
{
    static const char *const strategies[] = {"freekv", "arkvale"};
    struct exp_scenario *s = scenario(strategies[_i]);
    set(s, "workload.closed_loop",
        "{concurrency: 1, num_requests: 3, input_tokens: 8000, output_tokens: 100}");
    set(s, "length_shift", "false");
    set(s, "fleet.0.kv.budget", "8064");
    struct exp_run *fast = run(s, false), *slow = run(s, true);
    ck_assert_double_gt(fast->report->recalled_pages, 0);
    ck_assert_double_le(fast->report->recalled_pages,
                        3.0 * 36 * 2 * 32 * 8); /* steps above, pages, layers, heads */
    ck_assert(same(fast, slow));
    exp_run_free(fast);
    exp_run_free(slow);
    free(s);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("strategies, run");
    TCase *c = tcase_create("runs");
    int n = (int)mdl_strategy_count();
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, open_cache, close_cache);
    tcase_add_loop_test(c, fast_forward_and_repetition_change_no_byte, 0, n);
    tcase_add_loop_test(c, fast_forward_changes_no_byte_on_a_shared_link, 0, n);
    tcase_add_loop_test(c, a_budget_above_every_context_reads_what_full_reads_and_moves_nothing, 0, 4);
    tcase_add_test(c, no_misses_recall_nothing_and_all_misses_recall_most);
    tcase_add_loop_test(c, a_budget_just_below_the_context_recalls_no_more_than_lies_outside, 0, 2);
    suite_add_tcase(s, c);
    return s;
}
