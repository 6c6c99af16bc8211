/* Rollback and stress against the same fleet set up by other means: a plan that says what the stress does. */
#include <math.h>

#include "experiments/planning/money/finalist.h"
#include "tests/plan_help.h"

enum { RATES_HIGH, RATES_FULL, LONGER, SERVER_LOST, LINK_HALVED, ALL };

struct fixture {
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct exp_loads *loads;
};

static struct fixture begin(const char *text)
{
    struct fixture f = {.cache = plan_cache()};
    f.plan = plan_of(text, f.cache);
    f.loads = exp_loads_new(f.plan, f.cache);
    return f;
}

static void end(struct fixture *f)
{
    exp_loads_free(f->loads);
    exp_plan_free(f->plan);
    exp_cache_free(f->cache);
}

static struct exp_candidate candidate(struct fixture *f, const char *label, const char *gpu, bool keeps_have)
{
    struct exp_candidate *all, found = {0};
    uint32_t n = exp_candidates(f->plan, f->cache, &all);
    for (uint32_t i = 0; i < n && !found.gpu; i++)
        if (strcmp(all[i].contender->label, label) == 0 && strcmp(all[i].gpu->name, gpu) == 0 &&
            all[i].keeps_have == keeps_have && !all[i].adds_host_memory)
            found = all[i];
    free(all);
    ck_assert_ptr_nonnull(found.gpu);
    return found;
}

static struct exp_failsafe failsafe(struct fixture *f, const struct exp_candidate *c, uint32_t n,
                                    uint32_t n_threads)
{
    struct exp_failsafe out;
    struct sim_status st = {0};
    struct exp_entry *e = calloc(1, sizeof *e);
    e->candidate = *c;
    e->n_replicas = n;
    ck_assert_msg(exp_failsafe_make(f->plan, e, f->cache, f->loads, n_threads, &out, &st), "%s", st.message);
    free(e);
    return out;
}

/* The oracle: a plain run. One class. */
static double attained(struct fixture *f, const struct exp_candidate *c, uint32_t n, bool *met)
{
    struct exp_trial_point p = {0};
    struct sim_status st = {0};
    struct exp_trial *t = exp_trial_new(f->plan, c, f->cache, f->loads, NULL, &st);
    ck_assert_msg(t && exp_trial_run(t, n, 1, f->plan->base->seed, false, &p, &st), "%s", st.message);
    exp_trial_free(t);
    if (met) *met = p.met;
    return p.class[0].attainment;
}

/* 150 prompts of 4000 tokens, at so many a second, on servers of two. */
#define PLAN(rate, strategies)                                                                               \
    "model: llama-3.1-8b\n"                                                                                  \
    "load: {open_loop: {request_rate: " rate ", num_requests: 150, input_tokens: '4000', "                   \
    "output_tokens: '300'}}\n"                                                                               \
    "slo: {tpot_ms: 40, percentile: 90}\n"                                                                   \
    "search: {gpu: [l40s], gpus_per_server: 2, tensor_parallel: [1], strategy: [full, " strategies "]}\n"

#define HAVE(servers, link)                                                                                  \
    "have: [{gpu: a100-80, servers: " servers ", gpus_per_server: 1, link: " link "}]\n"

START_TEST(full_kv_rolls_back_to_itself)
{
    struct fixture f = begin(PLAN("4", "fp8"));
    struct exp_candidate c = candidate(&f, "full", "l40s", false);
    struct exp_failsafe s = failsafe(&f, &c, 4, 2);
    ck_assert_double_eq(s.rollback_attainment, 1);
    ck_assert(s.rollback_met);
    ck_assert_uint_eq(s.rollback_rent_servers, 0);
    for (uint32_t i = 0; i < s.n_stress; i++) ck_assert_int_eq(s.stress[i].applies, i == SERVER_LOST);
    end(&f);
}
END_TEST

START_TEST(rollback_is_the_same_fleet_on_full_kv_and_the_servers_that_it_lacks)
{
    struct fixture f = begin(PLAN("4", "fp8"));
    struct exp_candidate c = candidate(&f, "fp8", "l40s", false);
    struct exp_candidate full = candidate(&f, "full", "l40s", false);
    for (uint32_t n = 1; n <= 4; n++) {
        struct exp_failsafe s = failsafe(&f, &c, n, 2);
        bool met;
        ck_assert_double_eq(s.rollback_attainment, attained(&f, &full, n, &met));
        ck_assert(!met && !s.rollback_met);
        ck_assert(s.rollback_rent_servers >= 1 && s.rollback_rent_servers <= 4);
        attained(&f, &full, n + 2 * s.rollback_rent_servers, &met);
        ck_assert(met);
        attained(&f, &full, n + 2 * (s.rollback_rent_servers - 1), &met);
        ck_assert(!met);
    }
    struct exp_failsafe s = failsafe(&f, &c, 8, 2);
    ck_assert(s.rollback_met);
    ck_assert_uint_eq(s.rollback_rent_servers, 0);
    end(&f);
}
END_TEST

START_TEST(what_full_kv_never_meets_cannot_be_rented)
{
    struct fixture f = begin(PLAN("4", "fp8"));
    struct sim_status st = {0};
    ck_assert(exp_plan_set(f.plan, "slo.tpot_ms", "1", &st)); /* faster than the memory of any card */
    struct exp_candidate c = candidate(&f, "fp8", "l40s", false);
    struct exp_failsafe s = failsafe(&f, &c, 4, 2);
    ck_assert_double_eq(s.rollback_attainment, 0);
    ck_assert_uint_eq(s.rollback_rent_servers, UINT32_MAX);
    end(&f);
}
END_TEST

/* Five stand on three servers of two: four are left of six. */
START_TEST(a_lost_server_takes_its_replicas_along)
{
    struct fixture f = begin(PLAN("4", "fp8"));
    struct exp_candidate c = candidate(&f, "fp8", "l40s", false);
    struct exp_stress_case lost = failsafe(&f, &c, 5, 2).stress[SERVER_LOST];
    ck_assert_double_eq(lost.attainment, attained(&f, &c, 4, NULL));
    lost = failsafe(&f, &c, 4, 2).stress[SERVER_LOST];
    ck_assert_double_eq(lost.attainment, attained(&f, &c, 2, NULL));
    ck_assert_double_lt(lost.attainment, attained(&f, &c, 4, NULL));
    lost = failsafe(&f, &c, 2, 2).stress[SERVER_LOST];
    ck_assert_double_eq(lost.attainment, 0); /* it was the only one */
    ck_assert(!lost.met);
    end(&f);
}
END_TEST

START_TEST(of_what_there_is_and_what_is_new_the_worse_loss_counts)
{
    static const uint32_t new[] = {2, 4};
    struct fixture f = begin(PLAN("8", "fp8") HAVE("2", "pcie4"));
    struct fixture less = begin(PLAN("8", "fp8") HAVE("1", "pcie4"));
    struct exp_candidate c = candidate(&f, "fp8", "l40s", true);
    struct exp_candidate less_c = candidate(&less, "fp8", "l40s", true);
    for (int i = 0; i < 2; i++) {
        const struct exp_stress_case lost = failsafe(&f, &c, new[i], 2).stress[SERVER_LOST];
        double kept = attained(&less, &less_c, new[i], NULL), bought = attained(&f, &c, new[i] - 2, NULL);
        ck_assert_int_eq(kept < bought, i == 1);
        ck_assert_double_eq(lost.attainment, fmin(kept, bought));
    }
    ck_assert_double_eq(failsafe(&f, &c, 0, 2).stress[SERVER_LOST].attainment,
                        attained(&less, &less_c, 0, NULL));
    const struct exp_stress_case last = failsafe(&less, &less_c, 0, 1).stress[SERVER_LOST];
    ck_assert_double_eq(last.attainment, 0);
    end(&f);
    end(&less);
}
END_TEST

START_TEST(a_halved_link_is_the_generation_before_even_where_the_plan_names_the_link)
{
    struct fixture f = begin(PLAN("1", "shadowkv") HAVE("3", "pcie4"));
    struct fixture slow = begin(PLAN("1", "shadowkv") HAVE("3", "pcie3"));
    struct exp_candidate c = candidate(&f, "shadowkv", "a100-80-sxm", true);
    struct exp_candidate slow_c = candidate(&slow, "shadowkv", "a100-80-sxm", true);
    const struct exp_stress_case halved = failsafe(&f, &c, 0, 2).stress[LINK_HALVED];
    ck_assert(halved.applies);
    ck_assert_double_eq(halved.attainment, attained(&slow, &slow_c, 0, NULL));
    ck_assert_double_lt(halved.attainment, attained(&f, &c, 0, NULL));
    end(&f);
    end(&slow);
}
END_TEST

START_TEST(rates_are_those_that_a_plan_would_give_and_worse_ones_serve_no_better)
{
    const char *usual = "freekv:miss_rate=0.1", *worst = "freekv:miss_rate=1:correction_rate=1";
    struct fixture f = begin(PLAN("1", "'freekv:miss_rate=0.1', 'freekv:miss_rate=1:correction_rate=1'"));
    struct exp_candidate c = candidate(&f, usual, "l40s", false);
    struct exp_candidate worst_c = candidate(&f, worst, "l40s", false);
    struct exp_failsafe s = failsafe(&f, &c, 8, 2);
    ck_assert(s.stress[RATES_HIGH].applies && s.stress[RATES_FULL].applies && s.stress[ALL].applies);
    double as_it_is = attained(&f, &c, 4, NULL);
    ck_assert_double_le(s.stress[RATES_HIGH].attainment, as_it_is);
    ck_assert_double_le(s.stress[RATES_FULL].attainment, s.stress[RATES_HIGH].attainment);
    ck_assert_double_lt(s.stress[RATES_FULL].attainment, as_it_is);
    ck_assert_double_gt(s.stress[RATES_FULL].attainment, 0);
    ck_assert_double_eq(s.stress[RATES_FULL].attainment, attained(&f, &worst_c, 8, NULL));
    ck_assert_double_le(s.stress[ALL].attainment, s.stress[RATES_FULL].attainment);
    end(&f);
}
END_TEST

START_TEST(longer_answers_are_a_stress_only_where_lengths_do_change)
{
    struct fixture f = begin(PLAN("4", "kivi4"));
    struct sim_status st = {0};
    struct exp_candidate c = candidate(&f, "kivi4", "l40s", false);
    const struct exp_stress_case longer = failsafe(&f, &c, 5, 2).stress[LONGER];
    ck_assert(longer.applies);
    ck_assert_double_lt(longer.attainment, attained(&f, &c, 5, NULL));
    ck_assert(exp_plan_set(f.plan, "length_shift", "false", &st));
    ck_assert(!failsafe(&f, &c, 5, 2).stress[LONGER].applies);
    end(&f);
}
END_TEST

START_TEST(threads_change_nothing)
{
    struct fixture f = begin(PLAN("4", "freekv"));
    struct exp_candidate c = candidate(&f, "freekv", "l40s", false);
    struct exp_failsafe one = failsafe(&f, &c, 4, 1), three = failsafe(&f, &c, 4, 3);
    ck_assert_double_eq(one.rollback_attainment, three.rollback_attainment);
    ck_assert_uint_eq(one.rollback_rent_servers, three.rollback_rent_servers);
    ck_assert_uint_eq(one.n_stress, EXP_STRESS_CASES);
    for (uint32_t i = 0; i < one.n_stress; i++) {
        ck_assert_str_eq(one.stress[i].name, three.stress[i].name);
        ck_assert_int_eq(one.stress[i].applies, three.stress[i].applies);
        if (one.stress[i].applies) ck_assert_double_eq(one.stress[i].attainment, three.stress[i].attainment);
    }
    end(&f);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("failsafe");
    TCase *rollback = tcase_create("rollback"), *stress = tcase_create("stress");
    tcase_set_timeout(rollback, 60);
    tcase_set_timeout(stress, 60);
    tcase_add_test(rollback, full_kv_rolls_back_to_itself);
    tcase_add_test(rollback, rollback_is_the_same_fleet_on_full_kv_and_the_servers_that_it_lacks);
    tcase_add_test(rollback, what_full_kv_never_meets_cannot_be_rented);
    tcase_add_test(stress, a_lost_server_takes_its_replicas_along);
    tcase_add_test(stress, of_what_there_is_and_what_is_new_the_worse_loss_counts);
    tcase_add_test(stress, a_halved_link_is_the_generation_before_even_where_the_plan_names_the_link);
    tcase_add_test(stress, rates_are_those_that_a_plan_would_give_and_worse_ones_serve_no_better);
    tcase_add_test(stress, longer_answers_are_a_stress_only_where_lengths_do_change);
    tcase_add_test(stress, threads_change_nothing);
    suite_add_tcase(s, rollback);
    suite_add_tcase(s, stress);
    return s;
}
