/* Rates of a strategy that change during a run (kv.later): what steps cost by what a policy believes, and whole runs of
 * FreeKV on an H100 with static and adaptive settings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/kv_setup.h"
#include "experiments/run.h"
#include "tests/harness.h"

static struct exp_cache *cache;

static void open_cache(void)
{
    struct sim_status st = {0};
    cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
    exp_cache_share_costs(cache);
}

static void close_cache(void)
{
    exp_cache_free(cache);
}

static const char text[] =
    "model: llama-3.1-8b\n"
    "fleet: [{gpu: h100-sxm, replicas: 1, kv: {strategy: freekv}}]\n"
    "workload: {open_loop: {request_rate: 0.4, num_requests: 60, input_tokens: '16000', "
    "output_tokens: '400'}}\n"
    "slo: {ttft_ms: 10000, tpot_ms: 50}\n";

/* The scenario with settings of fleet.0.kv, "miss_rate=0.1 later.from_s=9 ...". */
static struct exp_scenario *scenario_with(const char *settings)
{
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("later.yaml", text, sizeof text - 1, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    for (const char *at = settings; *at;) {
        char option[200];
        int n = (int)strcspn(at, " ");
        snprintf(option, sizeof option, "fleet.0.kv.%.*s", n, at);
        ck_assert_msg(exp_scenario_set_option(s, option, &st), "%s", st.message);
        at += n;
        while (*at == ' ') at++;
    }
    return s;
}

static struct exp_run *run_of(const char *settings)
{
    struct sim_status st = {0};
    struct exp_scenario *s = scenario_with(settings);
    struct exp_run *r = exp_run_new(s, cache, NULL, &st);
    ck_assert_msg(r != NULL, "%s: %s", settings, st.message);
    free(s);
    return r;
}

static double tpot_ms(const char *settings)
{
    struct exp_run *r = run_of(settings);
    double ms = exp_figure(r->figures, "mean_tpot_ms").mean;
    exp_run_free(r);
    return ms;
}

static bool same_outcomes(const struct exp_run *a, const struct exp_run *b)
{
    return a->result->n_requests == b->result->n_requests &&
           memcmp(a->result->outcomes, b->result->outcomes,
                  a->result->n_requests * sizeof *a->result->outcomes) == 0;
}

/* ---- prices ---- */

static double step_s(const struct sim_cost *c, struct sim_reads r)
{
    struct sim_batch b = {.decode = r, .new_tokens = r.n_seqs, .n_outputs = r.n_seqs};
    struct sim_price p;
    c->price(c, &b, 0, &p);
    struct sim_recall_sum sum = sim_recall_sum(&p.recall, (struct sim_recall_draw){1, 1});
    return fmax(p.cpu_add_s + sim_recall_sum_s(sum, fmax(p.gpu_s, p.launch_s)), p.floor_s);
}

static struct sim_reads reads_of(uint32_t n)
{
    return (struct sim_reads){2048 * (uint64_t)n, 16384 * (uint64_t)n, 16384 * (uint64_t)n, n, n};
}

/* Settings of a fixed policy with what the other one chose. */
static double fixed_step_s(struct mdl_adaptive_setting s, double miss, uint32_t n)
{
    char settings[200];
    snprintf(settings, sizeof settings, "miss_rate=%g prefetch_pages=%u correction_every=%u", miss,
             s.prefetch_pages, s.correction_every);
    struct exp_run *r = run_of(settings);
    double time_s = step_s(r->setup->sim_fleets[0].cost, reads_of(n));
    exp_run_free(r);
    return time_s;
}

/* Three phases: rates and choice of A; rates of B and the choice of A; rates and choice of B. Oracle: static settings. */
START_TEST(a_policy_goes_on_by_the_old_rates_and_pays_by_the_new_ones)
{
    static const double miss[] = {0.3, 0.02};
    bool differ = false;
    for (int way = 0; way < 2; way++) {
        char settings[200];
        double a = miss[way], b = miss[1 - way];
        snprintf(settings, sizeof settings, "policy=adaptive miss_rate=%g later.from_s=50 later.miss_rate=%g",
                 a, b);
        struct exp_run *r = run_of(settings);
        const struct exp_fleet_setup *f = &r->setup->fleets[0];
        ck_assert_uint_eq(f->n_later, 2);
        for (uint32_t n = 1; n <= 64; n *= 4) {
            struct mdl_adaptive_setting old, carried, new;
            struct sim_reads reads = reads_of(n);
            ck_assert(mdl_cost_policy(f->cost, &reads, &old));
            ck_assert(mdl_cost_policy(f->later[0].cost, &reads, &carried));
            ck_assert(mdl_cost_policy(f->later[1].cost, &reads, &new));
            ck_assert_int_eq(memcmp(&old, &carried, sizeof old), 0);
            differ |= memcmp(&old, &new, sizeof old) != 0;
            ck_assert_double_eq_tol(step_s(f->later_phase[0].cost, reads), fixed_step_s(old, b, n), 1e-12);
            ck_assert_double_eq_tol(step_s(f->later_phase[1].cost, reads), fixed_step_s(new, b, n), 1e-12);
        }
        exp_run_free(r);
    }
    ck_assert(differ);
}
END_TEST

/* A policy that believes in no corrections has one setting, and keeps to it when there are some. */
START_TEST(a_policy_that_expects_nothing_has_nothing_to_choose)
{
    struct exp_run *r =
        run_of("policy=adaptive correction_rate=0 miss_rate=0.2 later.from_s=50 later.correction_rate=0.4");
    struct exp_run *fixed = run_of("correction_rate=0.4 miss_rate=0.2");
    struct sim_reads reads = reads_of(4);
    ck_assert_double_eq_tol(step_s(r->setup->fleets[0].later_phase[0].cost, reads),
                            step_s(fixed->setup->sim_fleets[0].cost, reads), 1e-12);
    exp_run_free(fixed);
    struct exp_run *knows = run_of("policy=adaptive correction_rate=0.4 miss_rate=0.2");
    ck_assert_uint_eq(r->setup->fleets[0].memory.blocks, knows->setup->fleets[0].memory.blocks);
    ck_assert_uint_eq(r->setup->fleets[0].kv.plan.rule.budget, knows->setup->fleets[0].kv.plan.rule.budget);
    exp_run_free(knows);
    exp_run_free(r);
}
END_TEST

/* ---- runs ---- */

START_TEST(without_a_change_a_run_is_what_it_was)
{
    static const char *const base[] = {"miss_rate=0.2", "policy=adaptive miss_rate=0.2",
                                       "draws=step miss_rate=0.2"};
    for (int i = 0; i < 3; i++) {
        char settings[200];
        struct exp_run *plain = run_of(base[i]);
        snprintf(settings, sizeof settings, "%s later.from_s=1e9 later.miss_rate=0.9", base[i]);
        struct exp_run *never = run_of(settings);
        snprintf(settings, sizeof settings, "%s later.from_s=30 later.miss_rate=0.2", base[i]);
        struct exp_run *same = run_of(settings);
        ck_assert(same_outcomes(plain, never));
        ck_assert(same_outcomes(plain, same));
        ck_assert_uint_eq(plain->setup->fleets[0].memory.blocks, never->setup->fleets[0].memory.blocks);
        exp_run_free(plain);
        exp_run_free(never);
        exp_run_free(same);
    }
}
END_TEST

/* Requests that are done before the change are those of the first rates, byte by byte; from a change at once on, the run is
 * that of the later rates. */
START_TEST(a_change_leaves_what_was_before_and_takes_all_that_comes_after)
{
    struct exp_run *first = run_of("miss_rate=0.05"), *later = run_of("miss_rate=0.6"),
                   *changed = run_of("miss_rate=0.05 later.from_s=60 later.miss_rate=0.6"),
                   *at_once = run_of("miss_rate=0.05 later.from_s=1e-9 later.miss_rate=0.6");
    double begin_s = first->result->first_arrival_s;
    uint32_t before = 0, slower = 0;
    for (uint64_t i = 0; i < first->result->n_requests; i++) {
        const struct sim_outcome *a = &first->result->outcomes[i], *c = &changed->result->outcomes[i];
        if (c->arrival_s + c->e2el_s < begin_s + 60) {
            before++;
            ck_assert_int_eq(memcmp(a, c, sizeof *a), 0);
        } else {
            slower += c->e2el_s > a->e2el_s;
        }
    }
    ck_assert_uint_gt(before, 5);
    ck_assert_uint_gt(slower, 5);
    ck_assert(exp_figure(changed->figures, "mean_tpot_ms").mean <
              exp_figure(later->figures, "mean_tpot_ms").mean);
    /* the first step, prompts only, costs the same either way */
    ck_assert(same_outcomes(later, at_once));
    exp_run_free(first);
    exp_run_free(later);
    exp_run_free(changed);
    exp_run_free(at_once);
}
END_TEST

/* Both ways, with a time line; returns preemptions. */
static uint64_t check_both_ways(const char *settings, const char *options)
{
    struct sim_status st = {0};
    struct exp_scenario *s = scenario_with(settings);
    for (const char *at = options; *at; at += strspn(at, " ")) {
        char option[200];
        int n = (int)strcspn(at, " ");
        snprintf(option, sizeof option, "%.*s", n, at);
        ck_assert_msg(exp_scenario_set_option(s, option, &st), "%s", st.message);
        at += n;
    }
    struct exp_run_options quickly = {.timeline_points = 40},
                           slowly = {.no_fast_forward = true, .timeline_points = 40};
    struct exp_run *fast = exp_run_new(s, cache, &quickly, &st), *slow = exp_run_new(s, cache, &slowly, &st);
    ck_assert_msg(fast && slow, "%s %s: %s", settings, options, st.message);
    const struct sim_result *a = fast->result, *b = slow->result;
    ck_assert_msg(same_outcomes(fast, slow), "%s %s", settings, options);
    ck_assert_int_eq(memcmp(&a->fleets[0], &b->fleets[0], sizeof a->fleets[0]), 0);
    ck_assert_uint_eq(a->n_timeline, b->n_timeline);
    ck_assert_int_eq(memcmp(a->timeline, b->timeline, a->n_timeline * sizeof *a->timeline), 0);
    uint64_t preemptions = a->fleets[0].preemptions;
    exp_run_free(fast);
    exp_run_free(slow);
    free(s);
    return preemptions;
}

/* Answers that grow into a budget for which there is no room. */
#define GROWING                                                                                              \
    "engine.num_gpu_blocks_override=500 workload.multiply=20 workload.open_loop.output_tokens=900 "          \
    "workload.open_loop.input_tokens=lognormal:1500:0.6:6000"

START_TEST(fast_forward_changes_no_byte)
{
    static const char *const settings[] = {
        "miss_rate=0.1 later.from_s=20 later.miss_rate=0.4",
        "policy=adaptive miss_rate=0.1 later.from_s=60 later.miss_rate=0.4 later.learn_s=9",
        "policy=adaptive draws=step miss_rate=0.3 later.from_s=40 later.miss_rate=0.05 later.learn_s=0",
        "miss_rate=0 correction_rate=0 later.from_s=30 later.miss_rate=0.5 later.correction_rate=0.9",
        "strategy=arkvale miss_rate=0.1 later.from_s=60 later.miss_rate=0.4"};
    static const char *const options[] = {
        "", "fleet.0.replicas=3 fleet.0.host.gpus_per_link=2 workload.multiply=3", GROWING,
        GROWING " engine.preemption=swap"};
    uint64_t preemptions = 0;
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 4; k++) preemptions += check_both_ways(settings[i], options[k]);
    ck_assert_uint_gt(preemptions, 100);
}
END_TEST

/* One request at a time, so that nothing but steps counts: adaptive is never worse than the worst static setting, whatever
 * it believes, and without a lag as good as the better one in each half (to the width of a cell). */
START_TEST(adaptive_lies_between_the_static_settings)
{
    static const double rates[][2] = {{0.02, 0.5}, {0.5, 0.02}, {0.1, 0.37}};
    for (int i = 0; i < 3; i++) {
        char change[160], settings[240];
        double best = INFINITY, worst = 0;
        snprintf(change, sizeof change, "miss_rate=%g later.from_s=70 later.miss_rate=%g", rates[i][0],
                 rates[i][1]);
        for (int pages = 0; pages <= 32; pages = pages ? pages * 2 : 1) {
            snprintf(settings, sizeof settings, "%s prefetch_pages=%d", change, pages);
            double ms = tpot_ms(settings);
            best = fmin(best, ms);
            worst = fmax(worst, ms);
        }
        double before = 0;
        for (double learn_s = 0; learn_s <= 160; learn_s += 40) {
            snprintf(settings, sizeof settings, "%s policy=adaptive later.learn_s=%g", change, learn_s);
            double ms = tpot_ms(settings);
            ck_assert_msg(ms <= worst * 1.002, "%s: %g, worst static %g", settings, ms, worst);
            if (learn_s == 0) ck_assert_msg(ms <= best * 1.02, "%s: %g, best static %g", settings, ms, best);
            ck_assert_msg(ms >= before * 0.995, "%s: %g, sooner learnt %g", settings, ms, before);
            before = ms;
        }
    }
}
END_TEST

/* ---- errors ---- */

static void refused(const char *settings, const char *expected)
{
    struct sim_status st = {0};
    struct exp_scenario *s = scenario_with(settings);
    ck_assert_ptr_null(exp_run_new(s, cache, NULL, &st));
    ck_assert_msg(strstr(st.message, expected) != NULL, "%s: `%s` lacks `%s`", settings, st.message,
                  expected);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    free(s);
}

START_TEST(half_a_change_is_refused)
{
    refused("later.from_s=9", "kv.later.from_s 9: no rate changes then");
    refused("later.miss_rate=0.4", "kv.later.miss_rate: nobody says when");
    refused("later.correction_rate=0.4", "kv.later.correction_rate: nobody says when");
    refused("strategy=quest later.from_s=9 later.miss_rate=0.4",
            "strategy quest has no kv.miss_rate that could change");
    refused("strategy=arkvale later.from_s=9 later.correction_rate=0.4", "has no kv.correction_rate");
}
END_TEST

START_TEST(another_strategy_takes_only_the_rates_that_it_has)
{
    struct sim_status st = {0};
    struct exp_scenario *s = scenario_with("later.from_s=9 later.miss_rate=0.4 later.correction_rate=0.5");
    ck_assert(exp_scenario_take_strategy(s, "arkvale", &st));
    ck_assert(s->fleet[0].kv.later.miss.given && !s->fleet[0].kv.later.correction.given);
    ck_assert_double_eq(s->fleet[0].kv.later.from_s, 9);
    ck_assert(exp_scenario_take_strategy(s, "full", &st));
    ck_assert(!s->fleet[0].kv.later.miss.given && s->fleet[0].kv.later.from_s == 0);
    struct exp_run *r = exp_run_new(s, cache, NULL, &st);
    ck_assert_msg(r != NULL, "%s", st.message);
    exp_run_free(r);
    free(s);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kv later");
    TCase *t = tcase_create("later");
    tcase_add_checked_fixture(t, open_cache, close_cache);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_policy_goes_on_by_the_old_rates_and_pays_by_the_new_ones);
    tcase_add_test(t, a_policy_that_expects_nothing_has_nothing_to_choose);
    tcase_add_test(t, without_a_change_a_run_is_what_it_was);
    tcase_add_test(t, a_change_leaves_what_was_before_and_takes_all_that_comes_after);
    tcase_add_test(t, fast_forward_changes_no_byte);
    tcase_add_test(t, adaptive_lies_between_the_static_settings);
    tcase_add_test(t, half_a_change_is_refused);
    tcase_add_test(t, another_strategy_takes_only_the_rates_that_it_has);
    suite_add_tcase(s, t);
    return s;
}
