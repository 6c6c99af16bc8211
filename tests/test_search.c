/* The search: what it finds is verified, the same on any number of threads, and not lost by pruning. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/search/deep.h"
#include "experiments/planning/search/search_parts.h"
#include "tests/plan_help.h"

struct fixture {
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct exp_loads *loads;
    struct mdl_prices *prices;
    struct exp_search search;
};

static struct fixture searched(const char *text, uint32_t n_threads)
{
    struct fixture f = {.cache = plan_cache()};
    struct sim_status st = {0};
    struct exp_search_options o = {.n_threads = n_threads, .seed = 1};
    f.plan = plan_of(text, f.cache);
    f.prices = plan_prices(f.cache);
    f.loads = exp_loads_new(f.plan, f.cache);
    ck_assert_msg(exp_search_run(f.plan, f.prices, f.cache, f.loads, &o, &f.search, &st), "%s", st.message);
    return f;
}

static void end(struct fixture *f)
{
    exp_search_fini(&f->search);
    exp_loads_free(f->loads);
    exp_plan_free(f->plan);
    free(f->prices);
    exp_cache_free(f->cache);
}

START_TEST(a_finalist_meets_with_its_number_and_fails_with_one_less)
{
    struct fixture f = searched(PLAN_SMALL, 2);
    ck_assert_uint_ge(f.search.n_finalists, 3);
    for (uint32_t i = 0; i < f.search.n_finalists; i++) {
        const struct exp_entry *e = &f.search.entry[i];
        ck_assert_int_eq(e->fate, EXP_FINALIST);
        ck_assert(e->at.feasible && e->above.feasible && !e->below.feasible);
        ck_assert_uint_eq(e->at.n_replicas, e->n_replicas);
        ck_assert_uint_eq(e->at.n_replications, EXP_REPLICATIONS);
        ck_assert_uint_eq(e->above.n_replicas, e->n_replicas + 1);
        ck_assert_double_ge(e->at.attainment[0].lo, 0.99);
        ck_assert_uint_ge(e->n_replicas, e->at_least);
        ck_assert(e->verified == (e->checked && e->fresh_at.feasible && !e->fresh_below.feasible));
        if (i) ck_assert_double_ge(e->cost_estimate, e[-1].cost_estimate);
    }
    ck_assert_uint_lt(f.search.baseline, f.search.n_finalists);
    ck_assert_str_eq(f.search.entry[f.search.baseline].candidate.contender->label, "full");
    end(&f);
}
END_TEST

START_TEST(the_search_is_the_same_on_any_number_of_threads)
{
    struct fixture one = searched(PLAN_SMALL, 1), four = searched(PLAN_SMALL, 4);
    ck_assert_uint_eq(one.search.n_entries, four.search.n_entries);
    ck_assert_uint_eq(one.search.n_finalists, four.search.n_finalists);
    ck_assert_uint_eq(one.search.n_runs, four.search.n_runs);
    for (uint32_t i = 0; i < one.search.n_entries; i++) {
        const struct exp_entry *a = &one.search.entry[i], *b = &four.search.entry[i];
        ck_assert_uint_eq(a->number, b->number);
        ck_assert_int_eq(a->fate, b->fate);
        ck_assert_uint_eq(a->n_replicas, b->n_replicas);
        ck_assert_double_eq(a->cost_estimate, b->cost_estimate);
        ck_assert_mem_eq(&a->at, &b->at, sizeof a->at);
        ck_assert_str_eq(a->why_not, b->why_not);
    }
    end(&one);
    end(&four);
}
END_TEST

START_TEST(limits_that_nothing_meets_name_what_would_do)
{
    struct fixture f = searched("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv}\n"
                                "slo: {ttft_ms: 1000, tpot_ms: 2}\n"
                                "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full]}\n",
                                2);
    double by = 0;
    char key[32] = "";
    ck_assert_uint_eq(f.search.n_finalists, 0);
    ck_assert_int_eq(f.search.entry[0].fate, EXP_NEVER_MEETS);
    ck_assert_ptr_nonnull(strstr(f.search.entry[0].why_not, "TPOT"));
    ck_assert_int_eq(sscanf(f.search.relaxation, "%31s %lf times", key, &by), 2);
    ck_assert_str_eq(key, "tpot_ms");
    ck_assert_double_gt(by, 1.5);
    end(&f);
    char text[400];
    snprintf(text, sizeof text,
             "model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv}\n"
             "slo: {ttft_ms: 1000, tpot_ms: %.4f}\n"
             "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full]}\n",
             2 * by * 1.15); /* room for the errors that are drawn */
    f = searched(text, 2);
    ck_assert_uint_gt(f.search.n_finalists, 0);
    end(&f);
}
END_TEST

START_TEST(enough_machines_need_nothing_new)
{
    struct fixture f = searched("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv}\n"
                                "slo: {ttft_ms: 1000, tpot_ms: 50}\n"
                                "have: [{gpu: h100-sxm, servers: 1, gpus_per_server: 8}]\n"
                                "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full, fp8]}\n",
                                2);
    ck_assert_uint_gt(f.search.n_finalists, 0);
    ck_assert(f.search.entry[0].candidate.keeps_have);
    ck_assert_uint_eq(f.search.entry[0].n_replicas, 0);
    ck_assert_uint_lt(f.search.baseline, f.search.n_finalists);
    ck_assert_uint_eq(f.search.entry[f.search.baseline].n_replicas, 0);
    end(&f);
}
END_TEST

/* Two servers of which one is plenty: losing one is no reason to buy a third. */
START_TEST(robust_machines_that_are_enough_need_nothing_new)
{
    struct fixture f = searched("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv}\n"
                                "slo: {ttft_ms: 1000, tpot_ms: 50}\nrobust: true\n"
                                "have: [{gpu: h100-sxm, servers: 2, gpus_per_server: 8}]\n"
                                "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full]}\n",
                                2);
    ck_assert_uint_gt(f.search.n_finalists, 0);
    ck_assert(f.search.entry[0].candidate.keeps_have);
    ck_assert_uint_eq(f.search.entry[0].n_replicas, 0);
    for (uint32_t i = 0; i < f.search.n_finalists; i++) /* new machines alone: more than a server */
        if (!f.search.entry[i].candidate.keeps_have) ck_assert_uint_gt(f.search.entry[i].n_replicas, 8);
    ck_assert_uint_eq(f.search.n_finalists, f.search.n_entries); /* both */
    end(&f);
}
END_TEST

/* Eleven times a burst of seconds: nearly all miss on few machines, and latencies alone show that more of them help. */
START_TEST(a_burst_that_nearly_all_miss_takes_more_machines)
{
    struct fixture f = searched("model: llama-3.1-8b\nspare: {headroom: 10}\n"
                                "load: {trace: traces/samples/demo.csv, multiply: 6, max_requests: 2000}\n"
                                "slo: {ttft_ms: 1000, tpot_ms: 50}\n"
                                "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full]}\n",
                                2);
    ck_assert_uint_eq(f.search.n_finalists, 1);
    ck_assert_uint_gt(f.search.entry[0].n_replicas, 4);
    end(&f);
}
END_TEST

/* A deep search must not compare its finds with a better tuned baseline. */
START_TEST(a_turned_knob_is_no_baseline)
{
    struct exp_cache *cache = plan_cache();
    struct exp_plan *plan = plan_of(PLAN_SMALL, cache);
    struct exp_candidate *all;
    uint32_t n = exp_candidates(plan, cache, &all);
    struct exp_entry e = {.candidate = all[0]};
    ck_assert_uint_gt(n, 0);
    ck_assert(exp_is_baseline(plan, &e));
    e.candidate.max_num_seqs = 512;
    ck_assert(!exp_is_baseline(plan, &e));
    e.candidate = all[0];
    e.candidate.max_num_batched_tokens = 4096;
    ck_assert(!exp_is_baseline(plan, &e));
    free(all);
    exp_plan_free(plan);
    exp_cache_free(cache);
}
END_TEST

START_TEST(a_load_of_a_few_requests_is_refused)
{
    struct fixture f = {.cache = plan_cache()};
    struct sim_status st = {0};
    const struct exp_search_options o = {.n_threads = 1, .seed = 1};
    f.plan = plan_of("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv, max_requests: 1}\n"
                     "slo: {ttft_ms: 1000, tpot_ms: 50}\n"
                     "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full]}\n",
                     f.cache);
    f.prices = plan_prices(f.cache);
    f.loads = exp_loads_new(f.plan, f.cache);
    ck_assert(!exp_search_run(f.plan, f.prices, f.cache, f.loads, &o, &f.search, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "1 requests"));
    end(&f);
}
END_TEST

START_TEST(a_class_with_a_failure_limit_takes_no_strategy_that_fails_more)
{
    struct fixture f =
        searched("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv, multiply: 4}\n"
                 "classes: {default: {slo: {ttft_ms: 1000, tpot_ms: 50}, max_failure_rate: 0.001}}\n"
                 "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full, kivi4]}\n",
                 2);
    for (uint32_t i = 0; i < f.search.n_entries; i++) {
        const struct exp_entry *e = &f.search.entry[i];
        bool lossy = strcmp(e->candidate.contender->label, "kivi4") == 0;
        ck_assert_int_eq(e->fate, lossy ? EXP_CANNOT : EXP_FINALIST);
        if (lossy) ck_assert_ptr_nonnull(strstr(e->why_not, "quality"));
    }
    end(&f);
}
END_TEST

START_TEST(a_deep_search_varies_one_thing_at_a_time_and_leaves_what_the_user_set)
{
    struct exp_contenders given = {0}, variants = {0};
    struct exp_candidate *all;
    struct sim_status st = {0};
    ck_assert(exp_contenders_parse("freekv:budget=1024", &given, &st));
    struct exp_candidate c = {
        .tensor_parallel = 1, .gpus_per_server = 8, .contender = &given.at[given.n - 1]};
    uint32_t n = exp_deep_candidates(&c, 1, &variants, &all), knobs = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool knob = all[i].max_num_batched_tokens || all[i].max_num_seqs;
        const struct exp_contender *k = all[i].contender;
        ck_assert(knob == (k == c.contender));
        ck_assert(k->n_settings == (knob ? 1 : 2));
        ck_assert_str_eq(k->setting[0].value, "1024");
        for (uint32_t j = 1; j < k->n_settings; j++) ck_assert_str_ne(k->setting[j].key, "budget");
        knobs += knob;
    }
    ck_assert_uint_eq(knobs, 6);
    ck_assert_uint_gt(n, knobs);
    free(all);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("search");
    TCase *t = tcase_create("search");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_finalist_meets_with_its_number_and_fails_with_one_less);
    tcase_add_test(t, the_search_is_the_same_on_any_number_of_threads);
    tcase_add_test(t, limits_that_nothing_meets_name_what_would_do);
    tcase_add_test(t, enough_machines_need_nothing_new);
    tcase_add_test(t, a_turned_knob_is_no_baseline);
    tcase_add_test(t, a_load_of_a_few_requests_is_refused);
    tcase_add_test(t, robust_machines_that_are_enough_need_nothing_new);
    tcase_add_test(t, a_burst_that_nearly_all_miss_takes_more_machines);
    tcase_add_test(t, a_class_with_a_failure_limit_takes_no_strategy_that_fails_more);
    tcase_add_test(t, a_deep_search_varies_one_thing_at_a_time_and_leaves_what_the_user_set);
    suite_add_tcase(s, t);
    return s;
}
