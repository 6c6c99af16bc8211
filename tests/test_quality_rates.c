/* Rates, intervals and bounds of quality records: numbers by hand, of SciPy, and sums term by term. */
#include <gsl/gsl_sf_gamma.h>
#include <math.h>
#include <string.h>

#include "tests/quality_help.h"

/* ---- without a row ---- */

START_TEST(lossless_strategies_are_known_to_change_nothing_without_a_row)
{
    static const char *const names[] = {"full", "swap", "offload"};
    const struct mdl_task_mix mix = {.n = 1, .at = {{"chat", 3}}};
    for (int i = 0; i < 3; i++) {
        struct mdl_quality q = loaded(SHIPPED, names[i]);
        ck_assert(mdl_quality_known(&q) && mdl_quality_by_definition(&q));
        ck_assert_str_eq(q.tasks[0].task, "any");
        ck_assert_str_eq(q.source, "by definition: lossless");
        struct mdl_quality_rates r = mdl_quality_rates(&q, i ? &mix : NULL);
        ck_assert(r.newly_failing == 0 && r.newly_failing_lo == 0 && r.newly_failing_hi == 0);
        ck_assert(r.newly_fixed == 0 && r.negative_rate == 0 && r.worse == 0 && r.better == 0);
        ck_assert(r.covered == 1 && r.length_ratio == 1);
        mdl_quality_fini(&q);
    }
}
END_TEST

/* Full KV measured twice is how far answers vary by themselves. */
START_TEST(a_measured_offload_counts_and_full_stays_what_others_are_compared_with)
{
    const char *path = test_file("own.csv", HEADER "full|offload,,qa,10,5,1,0,1,0,,,,,,,,,0.1,code,noise\n");
    ck_assert_double_eq(rates_by(path, "full", NULL).newly_failing, 0);
    ck_assert_double_eq(rates_by(path, "offload", NULL).newly_failing, 0.1);
    ck_assert_double_eq(rates_by(path, "swap", NULL).newly_failing, 0);
}
END_TEST

/* ---- rates ---- */

START_TEST(rates_without_a_mix_are_those_of_all_samples_together)
{
    struct mdl_quality_rates r = rates_by(test_file("x.csv", HEADER X_TASKS), "x", NULL);
    ck_assert_double_eq(r.newly_failing, 12. / 150);
    ck_assert_double_eq(r.newly_fixed, 8. / 150);
    ck_assert_double_eq(r.negative_rate, 12. / 70);
    ck_assert_double_eq(r.worse, 24. / 150);
    ck_assert_double_eq(r.better, 16. / 150);
    ck_assert_double_eq(r.length_ratio, 1.2); /* of the one task that has lengths */
    ck_assert(r.samples == 150 && r.critical == 4 && r.critical_failures == 1);
}
END_TEST

/* a 1/4, b 3/4; effective samples 1 / (1/16 / 100 + 9/16 / 50) = 84.2; quantiles by SciPy. */
START_TEST(a_mix_weighs_tasks_and_widens_the_interval)
{
    const char *path = test_file("x.csv", HEADER X_TASKS);
    const struct mdl_task_mix mix = {.n = 3, .at = {{"a", 1}, {"b", 2.5}, {"b", 0.5}}};
    struct mdl_quality_rates r = rates_by(path, "x", &mix);
    ck_assert_double_eq_tol(r.newly_failing, 0.25 * 0.10 + 0.75 * 0.04, 1e-15);
    ck_assert_double_eq_tol(r.newly_fixed, 0.25 * 0.02 + 0.75 * 0.12, 1e-15);
    ck_assert_double_eq_tol(r.negative_rate, 0.055 / (0.25 * 0.4 + 0.75 * 0.6), 1e-15);
    ck_assert_double_eq_tol(r.worse, 0.25 * 0.15 + 0.75 * 0.18, 1e-15);
    ck_assert_double_eq_tol(r.newly_failing_lo, 0.055 - 0.0303150063696, 1e-10);
    ck_assert_double_eq_tol(r.newly_failing_hi, 0.107455476998, 1e-10);
    ck_assert_double_eq(r.covered, 1);
}
END_TEST

START_TEST(what_a_record_lacks_of_a_mix_is_left_out_and_said)
{
    const char *path = test_file("x.csv", HEADER X_TASKS);
    const struct mdl_task_mix part = {.n = 3, .at = {{"chat", 6}, {"a", 2}, {"b", 0}}};
    const struct mdl_task_mix none = {.n = 1, .at = {{"chat", 6}}};
    struct mdl_quality_rates r = rates_by(path, "x", &part);
    ck_assert_double_eq(r.covered, 0.25);
    ck_assert_double_eq_tol(r.newly_failing, 0.1, 1e-15);
    ck_assert_uint_eq(r.samples, 100);
    r = rates_by(path, "x", &none);
    ck_assert_double_eq(r.covered, 0);
    ck_assert(isnan(r.newly_failing) && isnan(r.newly_failing_hi) && r.samples == 0);
}
END_TEST

START_TEST(task_any_stands_for_every_task_that_has_no_row)
{
    const char *path = test_file("any.csv", HEADER "x,,any,100,50,20,0,20,0,,,,,,,,,0.1,paper,s\n"
                                                   "x,,a,100,50,10,0,10,0,,,,,,,,,0.1,paper,s\n");
    const struct mdl_task_mix mix = {.n = 3, .at = {{"a", 2}, {"chat", 1}, {"code", 1}}};
    struct mdl_quality_rates r = rates_by(path, "x", &mix);
    ck_assert_double_eq(r.covered, 1);
    ck_assert_double_eq_tol(r.newly_failing, 0.5 * 0.1 + 0.5 * 0.2, 1e-15);
}
END_TEST

START_TEST(a_rate_lies_within_its_interval_and_more_samples_narrow_it)
{
    double before = 1;
    for (uint64_t n = 10; n <= 1000000000000; n *= 10) {
        struct mdl_quality_task t = {.samples = n, .benign = n, .negatives = n / 10, .length_ratio = NAN};
        struct mdl_quality q = {.n_tasks = 1, .tasks = &t};
        struct mdl_quality_rates r = mdl_quality_rates(&q, NULL);
        ck_assert(r.newly_failing_lo < 0.1 && 0.1 < r.newly_failing_hi);
        double width = r.newly_failing_hi - r.newly_failing_lo;
        if (n <= 1000000) ck_assert_double_lt(width, before); /* beyond: as of a million */
        ck_assert_double_le(width, before * (1 + 1e-9));
        before = width;
    }
}
END_TEST

/* By SciPy 1.17: beta.ppf(0.05 and 0.95, x + 1/2, n - x + 1/2). */
START_TEST(intervals_are_those_of_jeffreys)
{
    static const struct {
        uint64_t x, n;
        double lo, hi;
    } cases[] = {{86, 3350, 0.0214744192162, 0.0304736190421},
                 {0, 200, 0, 0.0095457873699},
                 {1, 1, 0.228519813806, 1},
                 {5, 10, 0.261922004046, 0.738077995954},
                 {12, 100, 0.0746666973495, 0.181348866553},
                 {305, 3350, 0.0831299248323, 0.0994811580805}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mdl_quality_task t = {.samples = cases[i].n, .benign = cases[i].n, .negatives = cases[i].x};
        struct mdl_quality q = {.n_tasks = 1, .tasks = &t};
        struct mdl_quality_rates r = mdl_quality_rates(&q, NULL);
        ck_assert_double_eq_tol(r.newly_failing_lo, cases[i].lo, 1e-12);
        ck_assert_double_eq_tol(r.newly_failing_hi, cases[i].hi, 1e-12);
    }
}
END_TEST

/* P(at most k of n fail) at rate p, term by term. */
static double binomial_sum(uint64_t k, uint64_t n, double p)
{
    double sum = 0;
    for (uint64_t i = 0; i <= k; i++)
        sum +=
            exp(gsl_sf_lnchoose((unsigned)n, (unsigned)i) + (double)i * log(p) + (double)(n - i) * log1p(-p));
    return sum;
}

/* The bound is the rate at which so few failures are as unlikely as said. */
START_TEST(the_bound_of_a_failure_rate_is_clopper_pearson)
{
    static const uint64_t n[] = {1, 2, 10, 59, 420, 3000};
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        double none = mdl_failure_bound(0, n[i], 0.95);
        ck_assert_double_eq_tol(none, 1 - pow(0.05, 1. / (double)n[i]), 1e-13);
        ck_assert_double_le(none, 3. / (double)n[i]);
        ck_assert_double_eq(mdl_failure_bound(n[i], n[i], 0.95), 1);
        for (uint64_t k = 1; k < n[i] && k < 100; k++) {
            double p = mdl_failure_bound(k, n[i], 0.9);
            ck_assert_double_eq_tol(binomial_sum(k, n[i], p), 0.1, 1e-9);
            ck_assert_double_gt(p, mdl_failure_bound(k - 1, n[i], 0.9));
        }
    }
    ck_assert_double_eq(mdl_failure_bound(0, 0, 0.95), 1);
    ck_assert_double_eq_tol(mdl_failure_bound(999, 1000, 0.95), pow(0.95, 1e-3), 1e-13);
    double many = mdl_failure_bound(1000000000, 1000000000000, 0.95);
    ck_assert(many > 1e-3 && many < 1.1e-3);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("quality_rates");
    TCase *rates = tcase_create("rates");
    tcase_add_test(rates, lossless_strategies_are_known_to_change_nothing_without_a_row);
    tcase_add_test(rates, a_measured_offload_counts_and_full_stays_what_others_are_compared_with);
    tcase_add_test(rates, rates_without_a_mix_are_those_of_all_samples_together);
    tcase_add_test(rates, a_mix_weighs_tasks_and_widens_the_interval);
    tcase_add_test(rates, what_a_record_lacks_of_a_mix_is_left_out_and_said);
    tcase_add_test(rates, task_any_stands_for_every_task_that_has_no_row);
    tcase_add_test(rates, a_rate_lies_within_its_interval_and_more_samples_narrow_it);
    tcase_add_test(rates, intervals_are_those_of_jeffreys);
    tcase_add_test(rates, the_bound_of_a_failure_rate_is_clopper_pearson);
    suite_add_tcase(s, rates);
    return s;
}
