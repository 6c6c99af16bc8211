/* Loads, candidates, trials and judgements: a trial is the run that its scenario would be, a judgement is what
 * replications of that run say, and bounds are bounds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/planning/search/judge.h"
#include "experiments/replicate.h"
#include "sim/memory.h"
#include "sim/random.h"
#include "tests/plan_help.h"

struct fixture {
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct exp_loads *loads;
    struct exp_candidate *candidates;
    uint32_t n_candidates;
};

static struct fixture fixture(const char *text)
{
    struct fixture f = {.cache = plan_cache()};
    f.plan = plan_of(text, f.cache);
    f.loads = exp_loads_new(f.plan, f.cache);
    f.n_candidates = exp_candidates(f.plan, f.cache, &f.candidates);
    return f;
}

static void end(struct fixture *f)
{
    free(f->candidates);
    exp_loads_free(f->loads);
    exp_plan_free(f->plan);
    exp_cache_free(f->cache);
}

/* ---- loads ---- */

static double tokens_per_s(const struct sim_request *r, uint64_t first, uint64_t n)
{
    double tokens = 0;
    for (uint64_t i = first; i < first + n; i++) tokens += (double)r[i].input_tokens + r[i].output_tokens;
    return tokens / (r[first + n - 1].arrival_s - r[first].arrival_s);
}

START_TEST(the_busiest_stretch_is_the_one_that_a_look_at_every_stretch_finds)
{
    enum { N = 400, LEAST = 30 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct sim_request r[N];
        double at = 0, most = 0;
        for (uint64_t i = 0; i < N; i++) {
            at += sim_random_unit(seed, 1, i) * (i > 200 && i < 260 ? 0.2 : 1);
            r[i] = (struct sim_request){.arrival_s = at,
                                        .input_tokens = 1 + (uint32_t)(500 * sim_random_unit(seed, 2, i)),
                                        .output_tokens = 10};
        }
        struct exp_stretch s = exp_busiest_stretch(r, N, LEAST);
        for (uint64_t i = 0; i + LEAST <= N; i++) most = fmax(most, tokens_per_s(r, i, LEAST));
        ck_assert_uint_eq(s.n, LEAST);
        ck_assert_double_eq_tol(tokens_per_s(r, s.first, s.n), most, 1e-9 * most);
    }
}
END_TEST

START_TEST(a_short_trace_is_its_own_busiest_stretch)
{
    struct sim_request r[3] = {{.arrival_s = 0}, {.arrival_s = 0}, {.arrival_s = 0}};
    struct exp_stretch s = exp_busiest_stretch(r, 3, 20000);
    ck_assert_uint_eq(s.first, 0);
    ck_assert_uint_eq(s.n, 3);
    ck_assert_uint_eq(exp_busiest_stretch(r, 3, 2).n, 2); /* all at once: any will do */
}
END_TEST

START_TEST(a_load_is_made_once_and_a_factor_multiplies_it)
{
    struct fixture f = fixture(PLAN_SAMPLE);
    struct sim_status st = {0};
    const struct exp_workload *one = exp_loads_get(f.loads, 1, 1, true, &st),
                              *two = exp_loads_get(f.loads, 2, 1, true, &st);
    ck_assert_uint_eq(one->n_requests, 18000);
    ck_assert_uint_eq(two->n_requests, 36000);
    ck_assert_ptr_eq(one, exp_loads_get(f.loads, 1, 1, true, &st));
    ck_assert_ptr_ne(one, exp_loads_get(f.loads, 1, 2, true, &st));
    const struct exp_workload *busiest = exp_loads_get(f.loads, 2, 1, false, &st);
    ck_assert_uint_eq(busiest->n_requests, EXP_WINDOW_REQUESTS);
    ck_assert(busiest->requests >= two->requests &&
              busiest->requests + busiest->n_requests <= two->requests + two->n_requests);
    end(&f);
}
END_TEST

/* Cut out of a whole that nobody asked for, or a part of one that is there. */
START_TEST(a_stretch_is_the_same_with_and_without_its_whole)
{
    struct fixture f = fixture(PLAN_SAMPLE), g = fixture(PLAN_SAMPLE);
    struct sim_status st = {0};
    const struct exp_workload *alone = exp_loads_get(f.loads, 3, 7, false, &st),
                              *whole = exp_loads_get(g.loads, 3, 7, true, &st),
                              *part = exp_loads_get(g.loads, 3, 7, false, &st);
    ck_assert_uint_eq(whole->n_requests, 54000);
    ck_assert_uint_eq(alone->n_requests, EXP_WINDOW_REQUESTS);
    ck_assert_uint_eq(part->n_requests, EXP_WINDOW_REQUESTS);
    ck_assert_mem_eq(alone->requests, part->requests, EXP_WINDOW_REQUESTS * sizeof *part->requests);
    ck_assert_ptr_eq(alone, exp_loads_get(f.loads, 3, 7, false, &st));
    ck_assert_uint_eq(exp_loads_get(f.loads, 3, 7, true, &st)->n_requests, 54000); /* later, it is made */
    end(&f);
    end(&g);
}
END_TEST

/* ---- candidates ---- */

START_TEST(the_space_is_every_gpu_with_every_degree_and_strategy)
{
    struct fixture f = fixture(PLAN_SAMPLE);
    ck_assert_uint_eq(f.n_candidates, 2 * 2 * 3);
    for (uint32_t i = 0; i < f.n_candidates; i++) {
        ck_assert(!f.candidates[i].keeps_have);
        ck_assert_uint_le(f.candidates[i].tensor_parallel, f.candidates[i].gpus_per_server);
        for (uint32_t k = 0; k < i; k++)
            ck_assert(f.candidates[i].gpu != f.candidates[k].gpu ||
                      f.candidates[i].tensor_parallel != f.candidates[k].tensor_parallel ||
                      f.candidates[i].contender != f.candidates[k].contender);
    }
    end(&f);
}
END_TEST

START_TEST(machines_that_there_are_can_be_kept_added_to_and_replaced)
{
    struct fixture f = fixture(PLAN_SAMPLE "have: [{gpu: a100-80, servers: 1, gpus_per_server: 8}]\n");
    uint32_t kept_alone = 0, kept = 0, replaced = 0;
    for (uint32_t i = 0; i < f.n_candidates; i++) {
        bool own = strcmp(f.candidates[i].gpu->name, "a100-80-sxm") == 0;
        kept_alone += f.candidates[i].keeps_have && own;
        kept += f.candidates[i].keeps_have && !own;
        replaced += !f.candidates[i].keeps_have;
        if (!f.candidates[i].keeps_have) continue;
        struct sim_status st = {0};
        struct exp_scenario *s = exp_candidate_scenario(f.plan, &f.candidates[i], 3, &st);
        ck_assert_msg(s != NULL, "%s", st.message);
        ck_assert_uint_eq(s->n_fleets, 2);
        ck_assert_uint_eq(s->fleet[0].replicas * s->fleet[0].tensor_parallel, 8);
        ck_assert_uint_eq(s->fleet[1].replicas, 3);
        ck_assert_int_eq(s->fleet[0].kv.strategy, s->fleet[1].kv.strategy);
        free(s);
    }
    ck_assert_uint_eq(kept_alone, 2 * 3);
    ck_assert_uint_eq(kept, 2 * 2 * 3);
    ck_assert_uint_eq(replaced, 2 * 2 * 3);
    end(&f);
}
END_TEST

START_TEST(fewer_replicas_than_the_bound_cannot_keep_up)
{
    struct fixture f = fixture("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv, multiply: 400}\n"
                               "slo: {ttft_ms: 1000, tpot_ms: 50}\n"
                               "search: {gpu: [l40s], tensor_parallel: [1], strategy: [full]}\n");
    struct sim_status st = {0};
    const struct exp_workload *load = exp_loads_get(f.loads, 1, 1, false, &st);
    uint32_t least = exp_candidate_at_least(f.plan, &f.candidates[0], f.cache, load);
    ck_assert_uint_gt(least, 2);
    struct exp_trial *t = exp_trial_new(f.plan, &f.candidates[0], f.cache, f.loads, NULL, &st);
    struct exp_trial_point p;
    ck_assert_msg(t && exp_trial_run(t, least - 1, 1, 1, false, &p, &st), "%s", st.message);
    ck_assert(!p.met);
    ck_assert_double_gt(p.miss, 0.5);
    exp_trial_free(t);
    end(&f);
}
END_TEST

/* ---- trials ---- */

START_TEST(a_trial_is_the_run_of_its_scenario)
{
    struct fixture f = fixture(PLAN_SAMPLE);
    for (uint32_t i = 0; i < f.n_candidates; i += 5) {
        struct sim_status st = {0};
        struct exp_trial_point p;
        struct exp_trial *t = exp_trial_new(f.plan, &f.candidates[i], f.cache, f.loads, NULL, &st);
        ck_assert_msg(t && exp_trial_run(t, 3, 1, f.plan->base->seed, true, &p, &st), "%s", st.message);
        struct exp_scenario *s = exp_candidate_scenario(f.plan, &f.candidates[i], 3, &st);
        struct exp_run *r = exp_run_new(s, f.cache, NULL, &st);
        ck_assert_msg(r != NULL, "%s", st.message);
        ck_assert_double_eq(p.class[0].attainment, exp_figure(r->figures, "slo_attainment").mean);
        ck_assert_double_eq(1e3 * p.ttft_p99_s, exp_figure(r->figures, "p99_ttft_ms").mean);
        ck_assert_double_eq(p.gpu_busy, exp_figure(r->figures, "gpu_busy").mean);
        ck_assert_uint_eq(p.class[0].arrived, 18000);
        exp_run_free(r);
        exp_trial_free(t);
        free(s);
    }
    end(&f);
}
END_TEST

static struct exp_trial_point tried(const struct fixture *f, const struct exp_candidate *c,
                                    const struct exp_trial_change *change)
{
    struct sim_status st = {0};
    struct exp_trial_point p = {0};
    struct exp_trial *t = exp_trial_new(f->plan, c, f->cache, f->loads, change, &st);
    ck_assert_msg(t && exp_trial_run(t, 3, 1, 1, false, &p, &st), "%s", st.message);
    exp_trial_free(t);
    return p;
}

START_TEST(what_is_changed_in_a_trial_is_what_changes)
{
    struct fixture f = fixture("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv, multiply: 3}\n"
                               "slo: {ttft_ms: 1000, tpot_ms: 50}\nlength_shift: false\n"
                               "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [freekv]}\n");
    const struct exp_candidate *freekv = &f.candidates[f.n_candidates - 1];
    struct exp_trial_point plain = tried(&f, freekv, NULL);
    struct exp_trial_point longer = tried(&f, freekv, &(struct exp_trial_change){.length_factor = 1.5});
    struct exp_trial_point misses = tried(&f, freekv, &(struct exp_trial_change){.miss = 1, .correction = 1});
    struct exp_trial_point link = tried(&f, freekv, &(struct exp_trial_change){.miss = 1, .link_frac = 0.25});
    struct exp_trial_point full = tried(&f, freekv, &(struct exp_trial_change){.full_kv = true});
    struct exp_trial_point itself = tried(&f, &f.candidates[0], NULL);
    ck_assert_double_eq(plain.length_ratio, 1);
    ck_assert_double_eq_tol(longer.length_ratio, 1.5, 0.01); /* whole tokens */
    ck_assert_double_gt(misses.tpot_p99_s, plain.tpot_p99_s);
    ck_assert_double_gt(link.tpot_p99_s, plain.tpot_p99_s);
    ck_assert_double_eq(full.tpot_p99_s, itself.tpot_p99_s);
    end(&f);
}
END_TEST

START_TEST(one_quantile_of_the_length_shift_is_taken_by_every_request)
{
    struct fixture f = fixture("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv, multiply: 3}\n"
                               "slo: {ttft_ms: 1000, tpot_ms: 50}\n"
                               "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [kivi4]}\n");
    const struct exp_candidate *kivi = &f.candidates[f.n_candidates - 1];
    double last = 0;
    for (double q = 0.1; q < 1; q += 0.2) {
        double ratio = tried(&f, kivi, &(struct exp_trial_change){.length_quantile = q}).length_ratio;
        ck_assert_double_ge(ratio, last);
        last = ratio;
    }
    ck_assert_double_gt(last, 1.2);
    end(&f);
}
END_TEST

/* ---- judgements ---- */

START_TEST(a_judgement_says_what_replications_of_the_run_say)
{
    struct fixture f = fixture(PLAN_SAMPLE);
    struct sim_status st = {0};
    struct exp_verdict v;
    const struct exp_candidate *c = &f.candidates[f.n_candidates - 1];
    ck_assert_msg(exp_judge(f.plan, c, f.cache, f.loads, 4, 1, f.plan->base->seed, 2, &v, &st), "%s",
                  st.message);
    struct exp_scenario *s = exp_candidate_scenario(f.plan, c, 4, &st);
    struct exp_setup *u = exp_setup_new(s, f.cache, NULL, &st);
    struct exp_figures *figures = exp_replicate(s, f.cache, u, EXP_REPLICATIONS, NULL, &st);
    ck_assert_msg(figures != NULL, "%s", st.message);
    struct exp_band expected = exp_figure(figures, "slo_attainment");
    ck_assert_double_eq_tol(v.attainment[0].mean, expected.mean, 1e-12);
    ck_assert_double_eq_tol(v.attainment[0].lo, expected.lo, 1e-12);
    ck_assert_double_eq_tol(v.attainment[0].hi, expected.hi, 1e-12);
    exp_figures_free(figures);
    exp_setup_free(u);
    free(s);
    end(&f);
}
END_TEST

START_TEST(a_judgement_is_the_same_on_any_number_of_threads_and_brief_ones_decide_alike)
{
    struct fixture f = fixture(PLAN_SAMPLE);
    struct sim_status st = {0};
    const struct exp_candidate *c = &f.candidates[f.n_candidates - 2];
    for (uint32_t n = 1; n < 8; n += 2) {
        struct exp_verdict one, four, brief;
        struct exp_verdict_options o = {.load_factor = 1, .n_threads = 1};
        struct exp_panel *p = exp_panel_new(f.plan, c, f.cache, f.loads, 7, &st);
        ck_assert_msg(p && exp_panel_judge(p, n, &o, &one, &st), "%s", st.message);
        o.n_threads = 4;
        ck_assert(exp_panel_judge(p, n, &o, &four, &st));
        o.brief = true;
        ck_assert(exp_panel_judge(p, n, &o, &brief, &st));
        ck_assert_mem_eq(&one, &four, sizeof one);
        ck_assert_int_eq(brief.feasible, one.feasible);
        ck_assert(one.feasible || !brief.feasible);
        exp_panel_free(p);
    }
    end(&f);
}
END_TEST

START_TEST(a_robust_plan_serves_with_one_server_less)
{
    struct fixture f = fixture(PLAN_SAMPLE "robust: true\n");
    uint32_t serving = 99;
    ck_assert(!exp_serving(f.plan, &f.candidates[0], 8, &serving)); /* TP 1: eight replicas are the server */
    ck_assert(exp_serving(f.plan, &f.candidates[0], 9, &serving));
    ck_assert_uint_eq(serving, 1);
    f.plan->robust = false;
    ck_assert(exp_serving(f.plan, &f.candidates[0], 8, &serving));
    ck_assert_uint_eq(serving, 8);
    end(&f);
}
END_TEST

/* Two servers of eight: one of them lost is eight new ones alone, when that does more than what is new, and so on. */
START_TEST(the_server_that_does_most_is_lost)
{
    struct fixture f = fixture("model: llama-3.1-8b\nload: {trace: traces/samples/demo.csv, multiply: 6}\n"
                               "slo: {ttft_ms: 1000, tpot_ms: 50}\n"
                               "have: [{gpu: h100-sxm, servers: 2, gpus_per_server: 8}]\n"
                               "search: {gpu: [h100-sxm], tensor_parallel: [1], strategy: [full]}\n");
    const struct exp_trial_change robust = {.lose_server = true};
    struct exp_candidate kept = f.candidates[0], new = f.candidates[0];
    struct sim_status st = {0};
    struct exp_trial_point p[4];
    uint32_t serving;
    ck_assert(kept.keeps_have);
    new.keeps_have = false;
    f.plan->robust = true;
    ck_assert(exp_serving(f.plan, &kept, 0, &serving));
    f.plan->have[0].servers = 1;
    ck_assert(!exp_serving(f.plan, &kept, 0, &serving));
    ck_assert(exp_serving(f.plan, &kept, 1, &serving));
    f.plan->have[0].servers = 2;
    struct exp_trial *less = exp_trial_new(f.plan, &kept, f.cache, f.loads, &robust, &st),
                     *alone = exp_trial_new(f.plan, &new, f.cache, f.loads, NULL, &st);
    ck_assert_msg(less && alone, "%s", st.message);
    ck_assert(exp_trial_run(less, 0, 1, 1, false, &p[0], &st) &&
              exp_trial_run(less, 3, 1, 1, false, &p[1], &st));
    ck_assert(exp_trial_run(alone, 8, 1, 1, false, &p[2], &st) &&
              exp_trial_run(alone, 11, 1, 1, false, &p[3], &st));
    for (int i = 0; i < 2; i++) {
        ck_assert_double_eq_tol(p[i].gpu_busy, p[i + 2].gpu_busy, 0.02);
        ck_assert_double_eq_tol(p[i].tpot_p99_s, p[i + 2].tpot_p99_s, 0.1 * p[i].tpot_p99_s);
    }
    exp_trial_free(less);
    exp_trial_free(alone);
    end(&f);
}
END_TEST

/* Two requests a millisecond apart are no load of thousands of tokens a millisecond: one card has seconds for them. */
START_TEST(a_bound_leaves_the_time_that_limits_leave)
{
    struct fixture f = fixture(PLAN_SAMPLE);
    const struct sim_request r[] = {{.arrival_s = 0, .input_tokens = 2000, .output_tokens = 200},
                                    {.arrival_s = 1e-3, .input_tokens = 2000, .output_tokens = 200},
                                    {.arrival_s = 1e-3, .input_tokens = 2000, .output_tokens = 200}};
    for (uint64_t n = 0; n <= 3; n++) {
        struct exp_workload w = {.requests = r, .n_requests = n};
        ck_assert_uint_eq(exp_candidate_at_least(f.plan, &f.candidates[0], f.cache, &w), 1);
    }
    end(&f);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("trial");
    TCase *t = tcase_create("trial");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, the_busiest_stretch_is_the_one_that_a_look_at_every_stretch_finds);
    tcase_add_test(t, a_short_trace_is_its_own_busiest_stretch);
    tcase_add_test(t, a_load_is_made_once_and_a_factor_multiplies_it);
    tcase_add_test(t, a_stretch_is_the_same_with_and_without_its_whole);
    tcase_add_test(t, the_space_is_every_gpu_with_every_degree_and_strategy);
    tcase_add_test(t, machines_that_there_are_can_be_kept_added_to_and_replaced);
    tcase_add_test(t, fewer_replicas_than_the_bound_cannot_keep_up);
    tcase_add_test(t, a_bound_leaves_the_time_that_limits_leave);
    tcase_add_test(t, the_server_that_does_most_is_lost);
    tcase_add_test(t, a_trial_is_the_run_of_its_scenario);
    tcase_add_test(t, what_is_changed_in_a_trial_is_what_changes);
    tcase_add_test(t, one_quantile_of_the_length_shift_is_taken_by_every_request);
    tcase_add_test(t, a_judgement_says_what_replications_of_the_run_say);
    tcase_add_test(t, a_judgement_is_the_same_on_any_number_of_threads_and_brief_ones_decide_alike);
    tcase_add_test(t, a_robust_plan_serves_with_one_server_less);
    suite_add_tcase(s, t);
    return s;
}
