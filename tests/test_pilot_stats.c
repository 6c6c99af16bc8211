/* The statistics of a pilot against closed forms: sample sizes, errors over blocks, exact bounds of rates. */
#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_cdf.h>

#include "tests/pilot_help.h"

/* Log-normal with mean 1 and a coefficient of variation. */
static double *values(uint64_t n, double cv, uint64_t seed)
{
    double *x = sim_alloc(n, sizeof *x), s2 = log1p(cv * cv);
    for (uint64_t i = 0; i < n; i++) x[i] = exp(sqrt(s2) * normal_of(seed, i) - s2 / 2);
    return x;
}

static double normal_size(double variance, double rel_error)
{
    double z = gsl_cdf_ugaussian_Pinv(0.975) + gsl_cdf_ugaussian_Pinv(0.9);
    return z * z * variance / pow(log1p(rel_error), 2);
}

START_TEST(sizes_by_bootstrap_are_those_of_the_normal_formula)
{
    enum { N = 20000 };
    const double errors[] = {0.05, 0.08, 0.1};
    double *a = values(N, 0.3, 1), *b = values(N, 0.4, 2);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct exp_power p = {a, b, N, N, false, errors[i], 1};
        double expected = normal_size(0.3 * 0.3 + 0.4 * 0.4, errors[i]);
        ck_assert_double_lt(fabs((double)exp_power_formula(&p) / expected - 1), 0.04);
        ck_assert_double_lt(fabs((double)exp_power_requests(&p) / expected - 1), 0.12);
    }
    free(a);
    free(b);
}
END_TEST

START_TEST(what_both_arms_share_cancels_between_pairs)
{
    enum { N = 20000 };
    double *a = values(N, 0.8, 1), *own = values(N, 0.2, 2), *b = sim_alloc(N, sizeof *b);
    for (int i = 0; i < N; i++) b[i] = a[i] * own[i];
    /* of the relative difference b/B - a/A: E[a^2] own variance */
    double expected = normal_size((1 + 0.64) * 0.04, 0.05);
    struct exp_power p = {a, b, N, N, true, 0.05, 1};
    ck_assert_double_lt(fabs((double)exp_power_formula(&p) / expected - 1), 0.1);
    ck_assert_double_lt(fabs((double)exp_power_requests(&p) / expected - 1), 0.15);
    p.paired = false;
    ck_assert_uint_gt(exp_power_formula(&p), 10 * (uint64_t)expected);
    free(a);
    free(own);
    free(b);
}
END_TEST

START_TEST(a_smaller_difference_takes_more_requests_and_never_fewer_than_thirty)
{
    enum { N = 500 };
    double *a = values(N, 0.6, 1), *b = values(N, 0.6, 2);
    uint64_t last = 0;
    for (double error = 3; error > 0.005; error /= 2) {
        struct exp_power p = {a, b, N, N, false, error, 1};
        uint64_t n = exp_power_requests(&p);
        ck_assert_uint_ge(n, last);
        ck_assert_uint_ge(n, 30);
        last = n;
    }
    ck_assert_uint_gt(last, 20000);
    free(a);
    free(b);
}
END_TEST

START_TEST(values_that_never_vary_take_the_least_size)
{
    double one[64];
    for (int i = 0; i < 64; i++) one[i] = 2;
    struct exp_power p = {one, one, 64, 64, false, 0.05, 1};
    ck_assert_uint_eq(exp_power_requests(&p), 30);
}
END_TEST

START_TEST(neighbours_that_move_together_count_as_one)
{
    enum { RUN = 16, N = 512 * RUN };
    double *each = values(N, 0.5, 1), *x = sim_alloc(N, sizeof *x);
    for (int i = 0; i < N; i++) x[i] = each[i / RUN];
    ck_assert_double_lt(exp_inflation(each, N, RUN), 1.25);
    double more = exp_inflation(x, N, RUN);
    ck_assert_double_lt(fabs(more / RUN - 1), 0.1);
    free(each);
    free(x);
}
END_TEST

START_TEST(the_error_of_a_ratio_is_that_of_the_delta_method)
{
    enum { N = 4000 };
    double *a = values(N, 0.5, 1), *b = values(N, 0.3, 2);
    struct exp_pairs p = {a, b, N, exp_pilot_block(N, 1)};
    double expected = sqrt((0.25 + 0.09) / N);
    ck_assert_double_lt(fabs(exp_log_ratio(&p)), 4 * expected);
    ck_assert_double_lt(fabs(exp_log_ratio_sd(&p, 1) / expected - 1), 0.2);
    ck_assert_double_eq(exp_log_ratio_sd(&p, 1), exp_log_ratio_sd(&p, 1));
    free(a);
    free(b);
}
END_TEST

START_TEST(blocks_hold_those_in_flight_and_leave_ten_to_two_hundred)
{
    ck_assert_uint_eq(exp_pilot_block(1000, 1), 5);
    ck_assert_uint_eq(exp_pilot_block(1000, 40.2), 41);
    ck_assert_uint_eq(exp_pilot_block(1000, 1e9), 100);
    ck_assert_uint_eq(exp_pilot_block(7, 3), 1);
    ck_assert_uint_eq(exp_pilot_block(1000000, 8), 5000);
}
END_TEST

START_TEST(lower_bounds_of_rates_have_their_closed_forms)
{
    ck_assert_double_eq(exp_rate_lower(0, 100), 0);
    ck_assert_double_eq(exp_rate_lower(0, 0), 0);
    for (uint64_t n = 1; n < 2000; n = 3 * n + 1) {
        double one = 1 - pow(0.95, 1.0 / (double)n), all = pow(0.05, 1.0 / (double)n);
        ck_assert_double_lt(fabs(exp_rate_lower(1, n) - one), 1e-9);
        ck_assert_double_lt(fabs(exp_rate_lower(n, n) - all), 1e-9);
    }
}
END_TEST

/* P(X >= k) of n by summing what is below. */
static double tail(uint64_t k, uint64_t n, double p)
{
    double below = 0;
    for (uint64_t i = 0; i < k; i++)
        below += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) +
                     (double)i * log(p) + (double)(n - i) * log1p(-p));
    return 1 - below;
}

START_TEST(bounds_are_there_for_every_count)
{
    static const uint64_t sizes[] = {1, 30, 1000, 30000, 100000, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t j = 1, n = sizes[i]; j <= 40; j++) {
            uint64_t k = j < 10 ? j : n * (j - 9) / 31;
            if (k == 0 || k > n) continue;
            double bound = exp_rate_lower(k, n);
            ck_assert_msg(fabs(gsl_cdf_beta_P(bound, (double)k, (double)(n - k) + 1) - 0.05) < 1e-6,
                          "%llu of %llu: %g", (unsigned long long)k, (unsigned long long)n, bound);
        }
    ck_assert_double_gt(exp_rate_lower(25806, 100000), 0.25);
}
END_TEST

START_TEST(failures_are_allowed_up_to_where_the_binomial_tail_is_below_five_percent)
{
    const double limits[] = {0.001, 0.01, 0.026, 0.2};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (uint64_t n = 20; n < 5000; n *= 3) {
            uint64_t k = exp_failures_allowed(n, limits[i]);
            ck_assert_msg(tail(k + 1, n, limits[i]) <= 0.05 + 1e-9, "%llu of %llu", (unsigned long long)k,
                          (unsigned long long)n);
            ck_assert(k == 0 || tail(k, n, limits[i]) > 0.05 - 1e-9);
        }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("pilot statistics");
    TCase *t = tcase_create("sizes");
    tcase_add_test(t, sizes_by_bootstrap_are_those_of_the_normal_formula);
    tcase_add_test(t, what_both_arms_share_cancels_between_pairs);
    tcase_add_test(t, a_smaller_difference_takes_more_requests_and_never_fewer_than_thirty);
    tcase_add_test(t, values_that_never_vary_take_the_least_size);
    suite_add_tcase(s, t);
    t = tcase_create("errors");
    tcase_add_test(t, neighbours_that_move_together_count_as_one);
    tcase_add_test(t, the_error_of_a_ratio_is_that_of_the_delta_method);
    tcase_add_test(t, blocks_hold_those_in_flight_and_leave_ten_to_two_hundred);
    suite_add_tcase(s, t);
    t = tcase_create("rates");
    tcase_add_test(t, lower_bounds_of_rates_have_their_closed_forms);
    tcase_add_test(t, bounds_are_there_for_every_count);
    tcase_add_test(t, failures_are_allowed_up_to_where_the_binomial_tail_is_below_five_percent);
    suite_add_tcase(s, t);
    return s;
}
