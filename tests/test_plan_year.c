/* The year that a plan makes of its load: the day against its closed form. */
#include <math.h>

#include "experiments/planning/file/plan_file.h"
#include "tests/harness.h"

START_TEST(a_day_has_the_peak_to_mean_that_was_asked_for)
{
    static const double asked[] = {1, 1.01, 1.5, 2, 2.7, 5, 20};
    struct exp_plan *p = exp_plan_new();
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        double day[EXP_DAY_HOURS], sum = 0, most = 0;
        p->peak_to_mean = asked[i];
        exp_plan_day(p, day);
        for (int h = 0; h < EXP_DAY_HOURS; h++) {
            sum += day[h];
            most = fmax(most, day[h]);
            ck_assert(day[h] >= 0);
        }
        ck_assert_double_eq(most, 1);
        ck_assert_double_eq_tol(EXP_DAY_HOURS / sum, asked[i], 1e-9 * asked[i]);
    }
    exp_plan_free(p);
}
END_TEST

/* The mean of ((1 + cos) / 2)^k over a day is C(2k, k) / 4^k: 1/2, 6/16, 20/64 for k = 1, 2, 3. */
START_TEST(a_day_is_the_cosine_to_the_power_that_its_mean_has_in_closed_form)
{
    static const double mean[] = {1, 1.0 / 2, 6.0 / 16, 20.0 / 64};
    struct exp_plan *p = exp_plan_new();
    for (int k = 1; k <= 3; k++) {
        double day[EXP_DAY_HOURS];
        p->peak_to_mean = 1 / mean[k];
        exp_plan_day(p, day);
        int busiest = 0;
        for (int h = 0; h < EXP_DAY_HOURS; h++)
            if (day[h] > day[busiest]) busiest = h;
        for (int h = 0; h < EXP_DAY_HOURS; h++)
            ck_assert_double_eq_tol(day[h], pow((1 + cos((h - busiest) * acos(-1) / 12)) / 2, k), 1e-9);
    }
    exp_plan_free(p);
}
END_TEST

START_TEST(a_rate_curve_is_the_day_over_its_busiest_hour)
{
    struct sim_status st = {0};
    struct exp_plan *p = exp_plan_new();
    double day[EXP_DAY_HOURS];
    ck_assert(exp_plan_set(p, "load.rate_curve",
                           "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,46]", &st));
    exp_plan_day(p, day);
    ck_assert_double_eq(day[0], 0);
    ck_assert_double_eq(day[23], 1);
    for (int h = 0; h < 23; h++) ck_assert_double_eq_tol(day[h], h / 46.0, 1e-15);
    exp_plan_free(p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("plan_year");
    TCase *year = tcase_create("year");
    tcase_add_test(year, a_day_has_the_peak_to_mean_that_was_asked_for);
    tcase_add_test(year, a_day_is_the_cosine_to_the_power_that_its_mean_has_in_closed_form);
    tcase_add_test(year, a_rate_curve_is_the_day_over_its_busiest_hour);
    suite_add_tcase(suite, year);
    return suite;
}
