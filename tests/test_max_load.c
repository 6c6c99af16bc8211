/* The largest load of what there is: it holds there, breaks just above, and scales as loads and machines do. */
#include <math.h>

#include "experiments/planning/decision.h"
#include "tests/plan_help.h"

struct fixture {
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct exp_loads *loads;
    struct exp_max_load *found;
};

#define PLAN(rate, servers, rest)                                                                            \
    "model: llama-3.1-8b\n"                                                                                  \
    "load: {open_loop: {request_rate: " rate ", num_requests: 200, input_tokens: '1000', "                   \
    "output_tokens: '100'}}\n"                                                                               \
    "have: [{gpu: l40s, servers: " servers ", gpus_per_server: 2, host_gib: 64}]\n" rest

#define FULL_AND_FP8                                                                                         \
    "slo: {tpot_ms: 50, percentile: 90}\nsearch: {gpu: [h100-sxm], tensor_parallel: [1, 2], strategy: "      \
    "[full, fp8]}\n"
#define FULL                                                                                                 \
    "slo: {tpot_ms: 50, percentile: 90}\nsearch: {gpu: [h100-sxm], tensor_parallel: [1], strategy: "         \
    "[full]}\n"

static struct fixture begin(const char *text, uint32_t n_threads)
{
    struct fixture f = {.cache = plan_cache(), .found = calloc(1, sizeof *f.found)};
    struct sim_status st = {0};
    f.plan = plan_of(text, f.cache);
    f.loads = exp_loads_new(f.plan, f.cache);
    ck_assert_msg(exp_max_load_run(f.plan, f.cache, f.loads, n_threads, f.found, &st), "%s", st.message);
    return f;
}

static void end(struct fixture *f)
{
    free(f->found);
    exp_loads_free(f->loads);
    exp_plan_free(f->plan);
    exp_cache_free(f->cache);
}

static bool holds(struct fixture *f, const char *label, uint32_t tensor_parallel, double factor)
{
    struct exp_candidate *all;
    struct exp_verdict v = {0};
    struct sim_status st = {0};
    uint32_t n = exp_candidates(f->plan, f->cache, &all), judged = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!all[i].keeps_have || all[i].gpu != all[i].have_gpu[0] ||
            all[i].tensor_parallel != tensor_parallel || strcmp(all[i].contender->label, label) != 0 ||
            all[i].adds_host_memory)
            continue;
        judged++;
        ck_assert_msg(
            exp_judge(f->plan, &all[i], f->cache, f->loads, 0, factor, f->plan->base->seed, 1, &v, &st), "%s",
            st.message);
    }
    free(all);
    ck_assert_uint_eq(judged, 1);
    return v.feasible;
}

START_TEST(it_holds_there_and_breaks_one_per_cent_above)
{
    struct fixture f = begin(PLAN("8", "2", FULL_AND_FP8), 2);
    ck_assert_uint_eq(f.found->n_rows, 2);
    for (uint32_t i = 0; i < f.found->n_rows; i++) {
        const struct exp_max_load_row *r = &f.found->row[i];
        ck_assert_str_eq(r->why_not, "");
        ck_assert(r->at.feasible);
        ck_assert_uint_eq(r->at.n_replications, EXP_REPLICATIONS);
        ck_assert_double_ge(r->at.attainment[0].lo, 0.9);
        ck_assert(holds(&f, r->strategy, r->tensor_parallel, r->factor));
        ck_assert(!holds(&f, r->strategy, r->tensor_parallel, r->factor * 1.01));
        ck_assert_double_eq_tol(r->requests_per_s, r->factor * f.found->planned_requests_per_s, 1e-12);
        ck_assert_str_eq(r->limit, "TPOT of class default"); /* the only one */
        if (i) ck_assert_double_le(r->factor, r[-1].factor);
    }
    end(&f);
}
END_TEST

START_TEST(the_same_machines_carry_the_same_load_whatever_was_planned)
{
    struct fixture f = begin(PLAN("8", "2", FULL), 1), twice = begin(PLAN("16", "2", FULL), 1);
    ck_assert_double_eq_tol(twice.found->planned_requests_per_s, 2 * f.found->planned_requests_per_s, 1e-6);
    /* edges lie on either plan's own grid of 1 % */
    ck_assert_double_eq_tol(twice.found->row[0].requests_per_s / f.found->row[0].requests_per_s, 1, 0.011);
    end(&f);
    end(&twice);
}
END_TEST

START_TEST(twice_the_machines_carry_about_twice_the_load)
{
    struct fixture f = begin(PLAN("8", "1", FULL), 1), twice = begin(PLAN("8", "2", FULL), 1);
    double ratio = twice.found->row[0].factor / f.found->row[0].factor;
    ck_assert(ratio > 1.7 && ratio < 3); /* larger pools even out, and 200 requests come as one burst */
    end(&f);
    end(&twice);
}
END_TEST

START_TEST(a_robust_plan_is_one_of_a_server_less)
{
    struct fixture f = begin(PLAN("8", "2", FULL "robust: true\n"), 2), less = begin(PLAN("8", "1", FULL), 1);
    ck_assert_double_eq(f.found->row[0].factor, less.found->row[0].factor);
    ck_assert_double_eq(f.found->row[0].at.attainment[0].lo, less.found->row[0].at.attainment[0].lo);
    struct fixture none = begin(PLAN("8", "1", FULL "robust: true\n"), 1);
    ck_assert_ptr_nonnull(strstr(none.found->row[0].why_not, "nothing is left"));
    end(&f);
    end(&less);
    end(&none);
}
END_TEST

START_TEST(a_strategy_that_cannot_run_says_why_and_stands_last)
{
    struct fixture f = begin(PLAN("8", "1",
                                  "slo: {tpot_ms: 50, percentile: 90}\nsearch: {gpu: [h100-sxm], "
                                  "tensor_parallel: [1], strategy: [full, "
                                  "freekv]}\n"),
                             2);
    struct sim_status st = {0};
    f.plan->have[0].host_gib = 0.01; /* nowhere to put pages */
    ck_assert(exp_max_load_run(f.plan, f.cache, f.loads, 2, f.found, &st));
    ck_assert_str_eq(f.found->row[0].strategy, "full");
    ck_assert_str_eq(f.found->row[0].why_not, "");
    ck_assert_str_eq(f.found->row[1].strategy, "freekv");
    ck_assert_str_ne(f.found->row[1].why_not, "");
    ck_assert_double_eq(f.found->row[1].factor, 0);
    end(&f);
}
END_TEST

START_TEST(limits_that_no_load_meets_are_named)
{
    struct fixture f = begin(
        PLAN("8", "1",
             "slo: {ttft_ms: 0.001, percentile: 99}\nsearch: {tensor_parallel: [1], strategy: [full]}\n"),
        1);
    ck_assert_str_eq(f.found->row[0].why_not, "TTFT of class default, even at 1 % of the load");
    end(&f);
}
END_TEST

START_TEST(without_machines_there_is_nothing_to_ask)
{
    struct exp_cache *cache = plan_cache();
    struct exp_plan *plan = plan_of(PLAN_SAMPLE, cache);
    struct exp_loads *loads = exp_loads_new(plan, cache);
    struct exp_max_load *found = calloc(1, sizeof *found);
    struct sim_status st = {0};
    ck_assert(!exp_max_load_run(plan, cache, loads, 1, found, &st));
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(st.message, "expected `have`"));
    free(found);
    exp_loads_free(loads);
    exp_plan_free(plan);
    exp_cache_free(cache);
}
END_TEST

START_TEST(programs_and_people_are_told_the_same)
{
    struct fixture f = begin(PLAN("8", "1", FULL_AND_FP8), 2);
    snprintf(f.found->row[1].why_not, EXP_WHY_BYTES, "no room"); /* as if */
    json_t *o = exp_max_load_json(f.found), *rows = json_object_get(o, "max_load");
    char *text = NULL, figure[32];
    size_t length;
    FILE *out = open_memstream(&text, &length);
    exp_max_load_print(f.plan, f.found, out);
    fclose(out);
    ck_assert_uint_eq(json_array_size(rows), 2);
    json_t *first = json_array_get(rows, 0), *last = json_array_get(rows, 1);
    double factor = json_real_value(json_object_get(first, "factor"));
    ck_assert_double_eq(factor, f.found->row[0].factor);
    snprintf(figure, sizeof figure, " %.2f ", factor);
    ck_assert_ptr_nonnull(strstr(text, figure));
    ck_assert_ptr_nonnull(strstr(text, "TPOT of class default"));
    json_t *attainment = json_object_get(json_object_get(first, "slo_attainment"), "default");
    ck_assert_double_eq(json_real_value(json_object_get(attainment, "lo")),
                        f.found->row[0].at.attainment[0].lo);
    ck_assert(json_is_true(json_object_get(first, "feasible")));
    ck_assert(json_is_false(json_object_get(last, "feasible")));
    ck_assert_ptr_null(json_object_get(last, "factor"));
    ck_assert_ptr_nonnull(strstr(text, "does not: no room"));
    json_decref(o);
    free(text);
    end(&f);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("max_load");
    TCase *edge = tcase_create("edge"), *said = tcase_create("said");
    tcase_set_timeout(edge, 60);
    tcase_set_timeout(said, 60);
    tcase_add_test(edge, it_holds_there_and_breaks_one_per_cent_above);
    tcase_add_test(edge, the_same_machines_carry_the_same_load_whatever_was_planned);
    tcase_add_test(edge, twice_the_machines_carry_about_twice_the_load);
    tcase_add_test(edge, a_robust_plan_is_one_of_a_server_less);
    tcase_add_test(said, a_strategy_that_cannot_run_says_why_and_stands_last);
    tcase_add_test(said, limits_that_no_load_meets_are_named);
    tcase_add_test(said, without_machines_there_is_nothing_to_ask);
    tcase_add_test(said, programs_and_people_are_told_the_same);
    suite_add_tcase(s, edge);
    suite_add_tcase(s, said);
    return s;
}
