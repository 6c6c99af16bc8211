/* Settings that are as good as each other, over hand-made samples: which one is taken, and what is said of a range's end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/tuning/parts.h"
#include "sim/memory.h"
#include "tests/harness.h"

enum { SIDE = 3 };

/* Two parameters of three values each, sampled already; value of the objective by value[a][b]. */
static struct exp_tune_round grid_of(struct exp_tune_parameter p[2], const double value[SIDE][SIDE],
                                     double usual, double margin)
{
    static const struct exp_tune_task task = {.n_threads = 1};
    struct exp_tune_book *book = exp_tune_book_new(&task);
    for (int i = 0; i < 2; i++)
        p[i] = (struct exp_tune_parameter){.key = i ? MDL_KV_PREFETCH : MDL_KV_BUDGET,
                                           .n = SIDE,
                                           .low = 1,
                                           .high = 3,
                                           .usual = usual,
                                           .value = {1, 2, 3}};
    for (int a = 0; a < SIDE; a++)
        for (int b = 0; b < SIDE; b++) {
            struct exp_tune_trial *t = exp_tune_book_at(book, &(struct exp_tune_setting){{a + 1, b + 1}});
            t->scenario = exp_scenario_new();
            t->n = 2;
            t->sample = sim_alloc(2, sizeof *t->sample);
            for (int k = 0; k < 2; k++)
                t->sample[k] = (struct exp_tune_sample){.value = value[a][b], .margin = margin};
        }
    return (struct exp_tune_round){.book = book, .parameter = p, .n_parameters = 2, .n_replications = 2};
}

static void settles(const double value[SIDE][SIDE], double usual, const double expected[2])
{
    struct exp_tune_parameter p[2];
    struct exp_tune_round r = grid_of(p, value, usual, 0.1);
    struct exp_tune_trial *best = exp_tune_book_trial(r.book, 0);
    for (uint32_t i = 1; i < exp_tune_book_count(r.book); i++)
        if (exp_tune_better(exp_tune_book_trial(r.book, i), best)) best = exp_tune_book_trial(r.book, i);
    struct exp_tune_setting s = {{usual, usual}};
    struct exp_tune_trial *t = exp_tune_settle(&r, exp_tune_book_at(r.book, &s), best);
    ck_assert_double_eq(t->setting.value[0], expected[0]);
    ck_assert_double_eq(t->setting.value[1], expected[1]);
    ck_assert_uint_eq(exp_tune_book_count(r.book), SIDE * SIDE);
    exp_tune_book_free(r.book);
}

START_TEST(of_settings_as_good_the_one_nearest_to_the_default_is_taken)
{
    /* the default itself, 0.05 % below the best */
    settles((const double[SIDE][SIDE]){{9995, 9995, 9999}, {9990, 9994, 9999}, {1, 2, 10000}}, 1,
            (double[]){1, 1});
    /* the second parameter changes nothing, the first 5 % */
    settles((const double[SIDE][SIDE]){{9500, 9500, 9500}, {9600, 9600, 9600}, {9999, 9998, 10000}}, 1,
            (double[]){3, 1});
    /* half of the way */
    settles((const double[SIDE][SIDE]){{9500, 9500, 9500}, {9600, 9995, 9600}, {9500, 9998, 10000}}, 1,
            (double[]){2, 2});
    /* told apart by 0.2 % */
    settles((const double[SIDE][SIDE]){{9980, 9980, 9980}, {9980, 9980, 9980}, {9980, 9980, 10000}}, 1,
            (double[]){3, 3});
}
END_TEST

/* What the limits say of the range of the first parameter, whose best value is the highest: objectives from it downwards; "" = nothing. */
static const char *range_limit(enum exp_tune_objective o, enum mdl_kv_key key, const double objective[SIDE])
{
    static char said[400];
    struct exp_tune_parameter p[2];
    const double value[SIDE][SIDE] = {{objective[2], 0, 0}, {objective[1], 0, 0}, {objective[0], 0, 0}};
    struct exp_tune_round r = grid_of(p, value, 1, 0.1);
    struct exp_tune *t = sim_alloc(1, sizeof *t);
    p[0].key = key;
    for (uint32_t i = 0; i < exp_tune_book_count(r.book); i++) {
        struct exp_tune_trial *x = exp_tune_book_trial(r.book, i);
        if (isnan(exp_tune_mean(x))) x->n = 0;
    }
    *t = (struct exp_tune){
        .objective = o, .max_negatives = NAN, .n_parameters = 1, .book = r.book, .meets = true};
    t->parameter[0] = p[0];
    t->best = t->best_again = exp_tune_book_at(r.book, &(struct exp_tune_setting){{SIDE, 1}});
    exp_tune_profile(&r, exp_tune_book_at(r.book, &t->best->setting), 0, &t->profile[0]);
    exp_tune_find_limits(t);
    said[0] = '\0';
    for (uint32_t i = 0; i < t->n_limits; i++)
        if (strstr(t->limit[i], "its upper end")) snprintf(said, sizeof said, "%s", t->limit[i]);
    exp_tune_fini(t);
    free(t);
    return said;
}

START_TEST(a_range_binds_only_where_the_curve_leads_to_its_end)
{
    static const double rises[] = {100, 90, 80}, elsewhere[] = {100, 90, 99.5}, bent[] = {100, 80, 90},
                        refused_rest[] = {100, NAN, NAN}, gap[] = {100, NAN, 80}, flat[] = {100, 99.5, 80};
    ck_assert_ptr_nonnull(strstr(range_limit(EXP_TUNE_GOODPUT, MDL_KV_BUDGET, rises), "goodput still rises"));
    ck_assert_ptr_nonnull(strstr(range_limit(EXP_TUNE_LOAD, MDL_KV_BUDGET, rises), "load still rises"));
    ck_assert_ptr_nonnull(strstr(range_limit(EXP_TUNE_COST, MDL_KV_BUDGET, rises), "cost still falls"));
    ck_assert_ptr_nonnull(strstr(range_limit(EXP_TUNE_COST, MDL_KV_BUDGET, gap), "upper end"));
    ck_assert_str_eq(range_limit(EXP_TUNE_GOODPUT, MDL_KV_BUDGET, elsewhere), "");
    ck_assert_str_eq(range_limit(EXP_TUNE_GOODPUT, MDL_KV_BUDGET, bent), "");
    ck_assert_str_eq(range_limit(EXP_TUNE_GOODPUT, MDL_KV_BUDGET, flat), "");
    ck_assert_str_eq(range_limit(EXP_TUNE_GOODPUT, MDL_KV_BUDGET, refused_rest), "");
    ck_assert_str_eq(range_limit(EXP_TUNE_GOODPUT, MDL_KV_BITS, rises), ""); /* a choice */
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("tune: flatness");
    TCase *t = tcase_create("flatness");
    tcase_add_test(t, of_settings_as_good_the_one_nearest_to_the_default_is_taken);
    tcase_add_test(t, a_range_binds_only_where_the_curve_leads_to_its_end);
    suite_add_tcase(s, t);
    return s;
}
