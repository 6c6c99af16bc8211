/* Fits of transfers, kernels between two ceilings and overlap: numbers that made the data come back, whatever
 * one launch in ten says. */
#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_errno.h>

#include "calib/fit_methods.h"
#include "sim/random.h"
#include "tests/harness.h"

enum { MOST = 256 };

static const struct mdl_transfer_model loop = {.t0_s = 9e-6,
                                               .submit_s = 2.4e-6,
                                               .speedup = {1, 1, 1.7, 1.7, 2.6, 2.6, 2.6, 2.6, 2.6},
                                               .descriptor_small_s = 3.1e-6,
                                               .descriptor_large_s = 0.4e-6,
                                               .break_bytes = 28 * 1024,
                                               .rate_byte_per_s = 52e9,
                                               .fragments_per_call = 1};

/* A uniform number in [lo, hi) that depends on its place only. */
static double draw(uint64_t i, double lo, double hi)
{
    return lo + (hi - lo) * sim_random_unit(7, sim_stream("methods"), i);
}

static size_t measure(const struct mdl_transfer_model *m, double noise, bool outliers,
                      struct cal_transfer_point *point)
{
    static const double bytes[] = {256, 1024, 4096, 8192, 16384, 28 * 1024, 65536, 262144, 2097152};
    static const double count[] = {16, 256, 4096};
    static const uint32_t threads[] = {1, 2, 4};
    size_t n = 0;
    for (int b = 0; b < 9; b++)
        for (int c = 0; c < 3; c++)
            for (int t = 0; t < 3; t++) {
                struct cal_transfer_point p = {count[c], bytes[b], threads[t], 0, 0};
                double calls = m->fragments_per_call ? p.n : 1;
                p.submit_s = p.n * m->submit_s / m->speedup[p.threads] + calls * m->call_s;
                p.time_s = mdl_transfer_s(m, p.n, p.bytes, p.threads) * exp(noise * draw(n, -1, 1));
                if (outliers && n % 11 == 5) p.time_s *= 7;
                point[n++] = p;
            }
    return n;
}

START_TEST(a_transfer_model_comes_back_from_its_own_times)
{
    struct cal_transfer_point point[MOST];
    struct mdl_transfer_model got;
    size_t n = measure(&loop, 0, false, point);
    struct cal_fit_quality q = cal_fit_transfer(point, n, false, &got);
    ck_assert_msg(q.median < 0.005, "median %g", q.median);
    ck_assert_double_eq_tol(got.submit_s / loop.submit_s, 1, 1e-9);
    ck_assert_double_eq_tol(got.speedup[2], 1.7, 1e-9);
    ck_assert_double_eq_tol(got.speedup[4], 2.6, 1e-9);
    ck_assert_double_eq_tol(got.rate_byte_per_s / loop.rate_byte_per_s, 1, 0.02);
    ck_assert_double_eq_tol(got.descriptor_small_s / loop.descriptor_small_s, 1, 0.02);
    ck_assert_double_eq(got.break_bytes, 28 * 1024);
}
END_TEST

START_TEST(noise_and_every_eleventh_launch_seven_times_too_slow_change_little)
{
    struct cal_transfer_point point[MOST];
    struct mdl_transfer_model got;
    size_t n = measure(&loop, 0.05, true, point);
    cal_fit_transfer(point, n, false, &got);
    for (double bytes = 256; bytes < 4e6; bytes *= 2) {
        double error = mdl_transfer_s(&got, 1000, bytes, 2) / mdl_transfer_s(&loop, 1000, bytes, 2) - 1;
        ck_assert_msg(fabs(error) < 0.12, "%g bytes: %g", bytes, error);
    }
}
END_TEST

START_TEST(one_call_for_all_pays_once_and_per_fragment)
{
    struct mdl_transfer_model batch = loop, got;
    struct cal_transfer_point point[MOST];
    batch.fragments_per_call = 0;
    batch.call_s = 6e-6;
    batch.submit_s = 0.2e-6;
    for (int t = 0; t <= MDL_MAX_SUBMITTERS; t++) batch.speedup[t] = 1;
    size_t n = measure(&batch, 0, false, point);
    struct cal_fit_quality q = cal_fit_transfer(point, n, true, &got);
    ck_assert_msg(q.p90 < 0.03, "p90 %g", q.p90);
    ck_assert_double_eq_tol(got.submit_s / batch.submit_s, 1, 1e-6);
}
END_TEST

START_TEST(moving_more_never_takes_less)
{
    for (double n = 1; n < 1e5; n *= 3)
        for (double bytes = 256; bytes < 28 * 1024; bytes *= 2) {
            ck_assert_double_ge(mdl_transfer_s(&loop, 3 * n, bytes, 1), mdl_transfer_s(&loop, n, bytes, 1));
            ck_assert_double_ge(mdl_transfer_s(&loop, n, bytes, 1), mdl_transfer_s(&loop, n, bytes, 4));
        }
    ck_assert_double_eq(mdl_transfer_s(&loop, 0, 4096, 1), 0);
}
END_TEST

START_TEST(two_ceilings_come_back_and_meet_their_limits)
{
    const struct mdl_kernel_model kernel = {5e-6, 0.9, 0.35, 3};
    const double bandwidth = 4.3e12, clock = 132 * 1.98e9;
    struct cal_kernel_point point[MOST];
    struct mdl_kernel_model got;
    size_t n = 0;
    for (double tokens = 4096; tokens < 3e7; tokens *= 2)
        for (int aliased = 0; aliased < 2; aliased++) {
            struct cal_kernel_point p = {aliased ? 0 : tokens * 80, tokens * 128, 0};
            p.time_s = mdl_kernel_s(&kernel, p.bytes, p.elements, bandwidth, clock);
            if (n % 9 == 4) p.time_s *= 3;
            point[n++] = p;
        }
    cal_fit_kernel(point, n, bandwidth, clock, kernel.memory_frac, &got);
    ck_assert_double_eq_tol(got.element_clocks / kernel.element_clocks, 1, 0.02);
    ck_assert_double_eq_tol(got.p / kernel.p, 1, 0.1);
    ck_assert_double_eq_tol(mdl_kernel_s(&kernel, 1e9, 0, bandwidth, clock), 5e-6 + 1e9 / (0.9 * bandwidth),
                            1e-12);
    ck_assert_double_eq_tol(mdl_kernel_s(&kernel, 0, 1e9, bandwidth, clock), 5e-6 + 1e9 * 0.35 / clock,
                            1e-12);
    ck_assert_double_eq(mdl_kernel_s(&kernel, 0, 0, bandwidth, clock), 5e-6);
}
END_TEST

START_TEST(overlap_is_what_the_totals_say)
{
    struct cal_overlap_point point[9];
    size_t n = 0;
    for (double copy = 1e-5; copy < 5e-5; copy += 1.7e-5)
        for (double convert = 0.6e-5; convert < 3e-5; convert += 1e-5) {
            double longer = fmax(copy, convert), shorter = fmin(copy, convert);
            point[n++] =
                (struct cal_overlap_point){8, copy, convert, copy + convert + 7 * (longer + 0.25 * shorter)};
        }
    ck_assert_double_eq_tol(cal_fit_overlap(point, n), 0.75, 1e-9);
    point[0].pieces = 1;
    ck_assert_double_eq(cal_fit_overlap(point, 1), 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("methods");
    TCase *c = tcase_create("methods");
    gsl_set_error_handler_off();
    tcase_add_test(c, a_transfer_model_comes_back_from_its_own_times);
    tcase_add_test(c, noise_and_every_eleventh_launch_seven_times_too_slow_change_little);
    tcase_add_test(c, one_call_for_all_pays_once_and_per_fragment);
    tcase_add_test(c, moving_more_never_takes_less);
    tcase_add_test(c, two_ceilings_come_back_and_meet_their_limits);
    tcase_add_test(c, overlap_is_what_the_totals_say);
    suite_add_tcase(s, c);
    return s;
}
