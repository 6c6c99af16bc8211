/* The histogram of gaps against sorted gaps, and the random numbers against what uniform and independent
 * mean. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "sim/histogram.h"
#include "sim/random.h"
#include "tests/harness.h"

/* --- histogram --- */

static const double ITL_TOLERANCE = 0.001; /* sim/histogram.h promises 0.0005 */

START_TEST(a_gap_is_read_back_within_a_tenth_of_a_percent)
{
    double worst = 0;
    for (double gap_s = 0x1p-30; gap_s < 0x1p12; gap_s *= 1.00037) {
        double back_s = sim_itl_value_s(sim_itl_bucket(gap_s));
        worst = fmax(worst, fabs(back_s / gap_s - 1));
    }
    ck_assert_double_le(worst, ITL_TOLERANCE);
    ck_assert_double_gt(worst, ITL_TOLERANCE / 10); /* the scan met bucket edges */
}
END_TEST

START_TEST(gaps_beyond_the_ends_are_held_at_the_ends)
{
    ck_assert_uint_eq(sim_itl_bucket(0), 0);
    ck_assert_uint_eq(sim_itl_bucket(DBL_MIN), 0);
    ck_assert_uint_eq(sim_itl_bucket(0x1p-30), 0);
    ck_assert_uint_eq(sim_itl_bucket(nextafter(0x1p12, 0)), SIM_ITL_BUCKETS - 1);
    ck_assert_uint_eq(sim_itl_bucket(0x1p12), SIM_ITL_BUCKETS - 1);
    ck_assert_uint_eq(sim_itl_bucket(INFINITY), SIM_ITL_BUCKETS - 1);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* numpy.percentile of sorted values. */
static double exact_quantile(const double *sorted, uint32_t n, double q)
{
    double rank = q * (n - 1);
    uint32_t low = (uint32_t)rank, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (rank - low) * (sorted[high] - sorted[low]);
}

static void near(double value, double expected)
{
    ck_assert_double_eq_tol(value, expected, ITL_TOLERANCE * expected);
}

START_TEST(the_histogram_agrees_with_the_sorted_gaps)
{
    static const uint32_t sizes[] = {1, 2, 3, 10, 11, 100, 5001};
    struct sim_itl *h = calloc(1, sizeof *h);
    double *gaps_s = calloc(5001, sizeof *gaps_s);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint32_t n = sizes[k];
        double sum = 0, square = 0;
        *h = (struct sim_itl){{0}};
        for (uint32_t i = 0; i < n; i++) {
            double u = sim_random_unit((uint64_t)_i, sim_stream("gaps"), i + (uint64_t)n * 10000);
            gaps_s[i] = i % 3 ? exp(-8 + 10 * u) : 0.0125; /* spread over four decades, with ties */
            h->count[sim_itl_bucket(gaps_s[i])]++;
            sum += gaps_s[i];
        }
        for (uint32_t i = 0; i < n; i++) square += pow(gaps_s[i] - sum / n, 2);
        qsort(gaps_s, n, sizeof *gaps_s, by_value);
        struct sim_itl_stats s = sim_itl_stats(h);
        ck_assert_uint_eq(s.n, n);
        near(s.mean, sum / n);
        ck_assert_double_eq_tol(s.std, sqrt(square / n), ITL_TOLERANCE * (sqrt(square / n) + sum / n));
        near(s.p50, exact_quantile(gaps_s, n, 0.50));
        near(s.p90, exact_quantile(gaps_s, n, 0.90));
        near(s.p95, exact_quantile(gaps_s, n, 0.95));
        near(s.p99, exact_quantile(gaps_s, n, 0.99));
    }
    free(gaps_s);
    free(h);
}
END_TEST

START_TEST(an_empty_histogram_is_all_zero)
{
    struct sim_itl *h = calloc(1, sizeof *h);
    struct sim_itl_stats s = sim_itl_stats(h);
    ck_assert_uint_eq(s.n, 0);
    ck_assert_double_eq(s.mean + s.std + s.p50 + s.p90 + s.p95 + s.p99, 0);
    free(h);
}
END_TEST

/* --- random numbers --- */

enum { N_DRAWS = 200000, N_BINS = 64 };

START_TEST(draws_are_uniform_between_0_and_1)
{
    static const char *const names[] = {"router", "arrivals", "x", ""};
    uint64_t seed = (uint64_t)_i * 0x123456789;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        double sum = 0, square = 0, chi2 = 0;
        uint32_t inside = 0, bins[N_BINS] = {0};
        for (uint64_t i = 0; i < N_DRAWS; i++) {
            double u = sim_random_unit(seed, sim_stream(names[k]), i);
            inside += u > 0 && u < 1;
            sum += u;
            square += (u - 0.5) * (u - 0.5);
            bins[(int)(u * N_BINS)]++;
        }
        for (int b = 0; b < N_BINS; b++)
            chi2 += pow(bins[b] - (double)N_DRAWS / N_BINS, 2) * N_BINS / N_DRAWS;
        /* five standard deviations: of a mean sqrt(1/12n), of a variance sqrt(1/180n), of chi2 sqrt(2 x 63)
         */
        ck_assert_double_eq_tol(sum / N_DRAWS, 0.5, 5 * sqrt(1 / (12. * N_DRAWS)));
        ck_assert_double_eq_tol(square / N_DRAWS, 1 / 12., 5 * sqrt(1 / (180. * N_DRAWS)));
        ck_assert_double_eq_tol(chi2, N_BINS - 1, 5 * sqrt(2. * (N_BINS - 1)));
    }
}
END_TEST

/* Correlation of two sequences of uniform draws, in standard deviations. */
static double correlation(uint64_t seed_a, const char *a, uint64_t seed_b, const char *b, uint64_t lag)
{
    double sum = 0;
    for (uint64_t i = 0; i < N_DRAWS; i++)
        sum += (sim_random_unit(seed_a, sim_stream(a), i) - 0.5) *
               (sim_random_unit(seed_b, sim_stream(b), i + lag) - 0.5);
    return 12 * sum / sqrt(N_DRAWS);
}

START_TEST(streams_seeds_and_neighbours_are_independent)
{
    ck_assert_double_gt(correlation(1, "a", 1, "a", 0), 100); /* the measure sees what is the same */
    ck_assert_double_lt(fabs(correlation(1, "a", 1, "b", 0)), 5);
    ck_assert_double_lt(fabs(correlation(1, "a", 2, "a", 0)), 5);
    ck_assert_double_lt(fabs(correlation(1, "a", 1, "a", 1)), 5);
    ck_assert_double_lt(fabs(correlation(1, "a", 1, "a", 64)), 5);
    ck_assert_double_lt(fabs(correlation(1, "a", 2, "a", 1)), 5);
    ck_assert_uint_ne(sim_stream("ab"), sim_stream("ba"));
}
END_TEST

START_TEST(a_draw_depends_on_seed_stream_and_counter_and_on_nothing_else)
{
    uint64_t stream = sim_stream("router"), first = sim_random_u64(7, stream, 123456);
    for (uint64_t i = 0; i < 1000; i++) sim_random_u64(i, stream, i);
    ck_assert_uint_eq(sim_random_u64(7, sim_stream("router"), 123456), first);
    ck_assert_uint_ne(sim_random_u64(8, stream, 123456), first);
    ck_assert_uint_ne(sim_random_u64(7, sim_stream("route"), 123456), first);
    ck_assert_uint_ne(sim_random_u64(7, stream, 123457), first);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("numbers");
    TCase *c = tcase_create("numbers");
    tcase_add_test(c, a_gap_is_read_back_within_a_tenth_of_a_percent);
    tcase_add_test(c, gaps_beyond_the_ends_are_held_at_the_ends);
    tcase_add_loop_test(c, the_histogram_agrees_with_the_sorted_gaps, 0, 5);
    tcase_add_test(c, an_empty_histogram_is_all_zero);
    tcase_add_loop_test(c, draws_are_uniform_between_0_and_1, 0, 5);
    tcase_add_test(c, streams_seeds_and_neighbours_are_independent);
    tcase_add_test(c, a_draw_depends_on_seed_stream_and_counter_and_on_nothing_else);
    suite_add_tcase(s, c);
    return s;
}
