/* Output lengths under compression: fits against closed forms and published figures, the user's pairs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/lengths.h"
#include "sim/memory.h"
#include "tests/rows_help.h"

#define LENGTHS "models/lengths.csv"
#define HEADER  "strategy,parameters,statistic,threshold,value,use,model,source\n"

static struct mdl_lengths loaded(const char *path, const char *strategy)
{
    struct sim_status st = {0};
    struct mdl_kv_use u = use_of(strategy);
    struct mdl_lengths l;
    ck_assert_msg(mdl_lengths_load(path, &u, &l, &st), "%s", st.message);
    return l;
}

/* Of a log-normal, at most x. */
static double share_below(const struct mdl_lengths *l, double x)
{
    return 0.5 * erfc(-(log(x) - l->mu) / l->sigma / sqrt(2));
}

/* Mean of the log-normal capped at 3, by the trapezoid rule over z. */
static double capped_mean(const struct mdl_lengths *l)
{
    double sum = 0, dz = 1e-3;
    for (double z = -9; z < 9; z += dz)
        sum += fmin(exp(l->mu + l->sigma * z), 3) * exp(-z * z / 2) / sqrt(2 * acos(-1)) * dz;
    return sum;
}

static const char *const fitted_ones[] = {"kivi4", "kivi2", "gear4", "h2o", "streaming_llm"};
enum { N_FITTED = sizeof fitted_ones / sizeof *fitted_ones };

START_TEST(quantiles_rise_stay_within_the_cap_and_agree_with_their_log_normal)
{
    for (int s = 0; s < N_FITTED; s++) {
        struct mdl_lengths l = loaded(LENGTHS, fitted_ones[s]);
        ck_assert(l.any && l.n_pairs == 0 && l.fit_error < 1e-6);
        ck_assert_double_gt(l.sigma, 0);
        for (int i = 0; i < MDL_LENGTH_QUANTILES; i++) {
            double x = (double)l.factor[i];
            ck_assert(x > 0 && x <= 3);
            if (i) ck_assert_float_ge(l.factor[i], l.factor[i - 1]);
            if (x < 3) ck_assert_double_eq_tol(share_below(&l, x), (i + 0.5) / MDL_LENGTH_QUANTILES, 1e-6);
        }
        ck_assert_double_eq_tol(l.mean, capped_mean(&l), 5e-4);
        ck_assert_double_eq_tol(l.half_frac, share_below(&l, 0.5), 0.5 / MDL_LENGTH_QUANTILES + 1e-9);
        ck_assert_double_eq_tol(l.longer_frac, 1 - share_below(&l, 1.5), 0.5 / MDL_LENGTH_QUANTILES + 1e-9);
    }
}
END_TEST

/* arXiv 2503.24000, Tables 5 (GEAR, Llama) and 9 (KIVI and Stream, Mistral). */
START_TEST(two_published_shares_are_met_exactly)
{
    static const struct {
        const char *strategy;
        double half, longer;
    } cases[] = {{"gear4", 0.068, 0.271}, {"kivi4", 0.028, 0.449}, {"streaming_llm", 0.173, 0.163}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mdl_lengths l = loaded(LENGTHS, cases[i].strategy);
        ck_assert_double_eq_tol(share_below(&l, 0.5), cases[i].half, 1e-12);
        ck_assert_double_eq_tol(1 - share_below(&l, 1.5), cases[i].longer, 1e-12);
        ck_assert_double_lt(l.fit_error, 1e-12);
        ck_assert_ptr_nonnull(strstr(l.source, "arXiv 2503.24000"));
    }
}
END_TEST

/* The mean was counted by others on the released lengths and takes no part in the fit. */
START_TEST(shares_of_gear_give_the_mean_that_a_third_party_counted)
{
    struct mdl_lengths l = loaded(LENGTHS, "gear4");
    ck_assert_double_eq_tol(l.mean, 1.24, 0.01);
    ck_assert_double_eq_tol(l.check_error, fabs(capped_mean(&l) - 1.24), 1e-6);
}
END_TEST

START_TEST(a_mean_and_a_share_are_met_by_the_narrower_of_two_log_normals)
{
    struct mdl_lengths l = loaded(LENGTHS, "h2o");
    ck_assert_double_eq_tol(capped_mean(&l), 1.00, 1e-5);
    ck_assert_double_eq_tol(1 - share_below(&l, 1.5), 0.121, 1e-6);
    ck_assert_double_lt(l.sigma, 0.5);
    ck_assert_double_lt(l.check_error, 0.035); /* Mistral's shares: 11.0 % and 14.3 % */
    ck_assert(isnan(loaded(LENGTHS, "kivi2").check_error));
}
END_TEST

/* KIVI with 2 bits: only a mean is known; with GEAR's spread it gives the first paper's "more than 20 %". */
START_TEST(an_assumed_spread_is_said_to_be_one)
{
    struct mdl_lengths l = loaded(LENGTHS, "kivi2"), gear = loaded(LENGTHS, "gear4");
    ck_assert_double_eq_tol(l.mean, 1.12, 1e-3);
    ck_assert_double_eq_tol(l.sigma, gear.sigma, 5e-4);
    ck_assert_double_eq_tol(l.longer_frac, 0.2, 0.02);
    ck_assert_ptr_nonnull(strstr(l.source, "assumed"));
}
END_TEST

START_TEST(without_a_figure_lengths_stay_as_they_are_and_say_why)
{
    static const char *const cases[][2] = {{"full", "lossless"},
                                           {"offload", "lossless"},
                                           {"freekv", "no published figure"},
                                           {"int4", "no published figure"},
                                           {"gear2", "GEAR-2 was not published"},
                                           {"gear4:bits=2", "GEAR-2 was not published"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mdl_lengths l = loaded(LENGTHS, cases[i][0]);
        ck_assert(!l.any && l.half_frac == 0 && l.longer_frac == 0);
        ck_assert_double_eq(l.mean, 1);
        for (int k = 0; k < MDL_LENGTH_QUANTILES; k++) ck_assert_float_eq(l.factor[k], 1);
        ck_assert_ptr_nonnull(strstr(l.source, cases[i][1]));
    }
}
END_TEST

/* Three figures that no log-normal meets: the fit lies between them, and says by how much it misses. */
START_TEST(more_figures_than_parameters_are_met_as_well_as_can_be)
{
    const char *path =
        test_file("three.csv", HEADER "x,,at_most,0.5,0.20,fit,m,s\nx,,at_least,1.5,0.20,fit,m,s\n"
                                      "x,,mean,,1.20,fit,m,s\n");
    struct mdl_lengths l = loaded(path, "x");
    ck_assert_double_gt(l.fit_error, 0.01);
    ck_assert_double_lt(l.fit_error, 0.2);
    double half = share_below(&l, 0.5), longer = 1 - share_below(&l, 1.5), mean = capped_mean(&l);
    double worst = fmax(fabs(half - 0.2), fmax(fabs(longer - 0.2), fabs(mean - 1.2)));
    ck_assert_double_eq_tol(l.fit_error, worst, 1e-6);
}
END_TEST

/* ---- by parameters ---- */

/* Answers at most half as long. */
static double share_of(const char *path, const char *strategy)
{
    struct mdl_lengths l = loaded(path, strategy);
    return share_below(&l, 0.5);
}

START_TEST(a_row_counts_for_the_parameters_that_it_names_and_for_every_value_of_the_others)
{
    const char *path = test_file(
        "named.csv", HEADER "y|x,budget=100,at_most,0.5,0.1,fit,m,s\nx,budget=100,at_least,1.5,0.1,fit,m,s\n"
                            "x,budget=200,at_most,0.5,0.2,fit,m,s\nx,budget=200,at_least,1.5,0.2,fit,m,s\n"
                            "xx|y,,at_most,0.5,0.3,fit,m,s\n");
    ck_assert_double_eq_tol(share_of(path, "x"), 0.1, 1e-12);
    ck_assert_double_eq_tol(share_of(path, "x:budget=200"), 0.2, 1e-12);
    struct mdl_lengths none = loaded(path, "x:budget=101");
    ck_assert(!none.any && none.mean == 1 && !none.model[0]);
    ck_assert_str_eq(none.source, "published only for budget 100 and 200, not for these parameters");
}
END_TEST

/* kivi4 with 2 bits is kivi2, and the other way round; what is of time alone changes no answer. */
START_TEST(published_lengths_follow_the_parameters_whatever_the_strategy_is_called)
{
    static const char *const alike[][2] = {{"kivi4:bits=2", "kivi2"},
                                           {"kivi2:bits=4", "kivi4"},
                                           {"gear2:bits=4", "gear4"},
                                           {"gear4:group=64", "gear4"},
                                           {"kivi4:kernel_efficiency=0.9:fused=0:page=32", "kivi4"},
                                           {"h2o:score_window=64:evict_in_decode=0:recent=100", "h2o"},
                                           {"streaming_llm:recent=100", "streaming_llm"}};
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++) {
        struct mdl_lengths a = loaded(LENGTHS, alike[i][0]), b = loaded(LENGTHS, alike[i][1]);
        ck_assert(a.any);
        ck_assert_mem_eq(a.factor, b.factor, sizeof a.factor);
        ck_assert_str_eq(a.model, b.model);
    }
}
END_TEST

/* The third party's count of the released lengths: 1.08 and 21.4 % (H2O-256); 1.03, 26.4 % and 23.4 % (Stream-256). */
START_TEST(lengths_at_another_published_budget_are_those_of_that_budget)
{
    struct mdl_lengths h2o = loaded(LENGTHS, "h2o:budget=256:recent=192"),
                       stream = loaded(LENGTHS, "streaming_llm:budget=256:recent=192");
    ck_assert_double_eq_tol(h2o.mean, 1.08, 1e-3);
    ck_assert_double_eq_tol(h2o.longer_frac, 0.214, 1e-3);
    ck_assert_double_lt(stream.fit_error, 0.1); /* no log-normal meets all three */
    ck_assert_double_eq_tol(stream.mean, 1.03, stream.fit_error + 1e-3);
    ck_assert_double_eq_tol(stream.longer_frac, 0.264, stream.fit_error + 1e-3);
    ck_assert_str_eq(stream.model, "Llama-3-8B-Instruct");
}
END_TEST

START_TEST(lengths_of_parameters_that_nobody_published_stay_and_say_for_which_there_are_some)
{
    static const char *const cases[][2] = {
        {"h2o:budget=2048", "published only for budget 256 and 512, not for these parameters"},
        {"h2o:heavy_frac=0.1", "published only for heavy_frac 0, not for these parameters"},
        {"streaming_llm:budget=65536", "published only for budget 256 and 512, not for these parameters"},
        {"streaming_llm:sink=4", "published only for sink 64, not for these parameters"},
        {"kivi4:bits=8", "published only for bits 2 and 4, not for these parameters"},
        {"kivi2:group=64:residual=64",
         "published only for group 32 with residual 128, not for these parameters"},
        {"gear4:bits=8", "published only for bits 4, not for these parameters"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mdl_lengths l = loaded(LENGTHS, cases[i][0]);
        ck_assert(!l.any && l.mean == 1);
        ck_assert_str_eq(l.source, cases[i][1]);
    }
}
END_TEST

static bool load_x(const char *path, struct sim_status *st)
{
    struct mdl_lengths l = {.n_pairs = 7};
    struct mdl_kv_use u = use_of("x");
    bool ok = mdl_lengths_load(path, &u, &l, st);
    ck_assert(ok || l.n_pairs == 7); /* written on success only */
    return ok;
}

START_TEST(a_wrong_row_of_figures_is_refused_where_it_stands)
{
    static const char *const cases[][2] = {
        {"strategy,parameters,statistic,threshold,value,use,model\n", ":1: no column `source`"},
        {"strategy,statistic,threshold,value,use,model,source\n", ":1: no column `parameters`"},
        {HEADER "x,budgett=5,same,,,fit,m,s\n", ":2: parameters are `budgett=5`, expected name=number,..."},
        {HEADER "y,budget=0,same,,,fit,m,s\n", ":2: parameters are `budget=0`"},
        {HEADER "x,budget=5k,same,,,fit,m,s\n", ":2: parameters are `budget=5k`"},
        {HEADER "x,budget=,same,,,fit,m,s\n", ":2: parameters are `budget=`"},
        {HEADER "x,budget,same,,,fit,m,s\n", ":2: parameters are `budget`"},
        {HEADER "x,\"budget=5,\",same,,,fit,m,s\n", ":2: parameters are `budget=5,`"},
        {HEADER "x,\"budget=5,budget=6\",same,,,fit,m,s\n", ":2: parameters are `budget=5,budget=6`"},
        {HEADER "x,kernel_efficiency=0.5,same,,,fit,m,s\n", ":2: parameters are `kernel_efficiency=0.5`"},
        {HEADER "x,,median,0.5,0.1,fit,m,s\n",
         ":2: statistic is `median`, expected one of at_most, at_least"},
        {HEADER "x,,at_most,0.5,0.1,maybe,m,s\n", ":2: use is `maybe`, expected one of fit, check, other"},
        {HEADER "y,,at_most,0.5,6.8,fit,m,s\n", ":2: value is 6.8"},
        {HEADER "x,,at_most,50,0.1,fit,m,s\n", ":2: threshold is 50"},
        {HEADER "x,,at_most,,0.1,fit,m,s\n", ":2: column threshold"},
        {HEADER "x,,mean\n", ":2: use is ``"},
        {HEADER "x,,mean,,1.1,fit,m,\n", ":2: source has 0 characters"},
        {HEADER "x,,mean,,1.1,fit,m,s\n", ":2: x has one figure to fit"},
        {HEADER "x,,at_most,0.5,0.6,fit,m,s\nx,,at_least,1.5,0.6,fit,m,s\n", ":2: no log-normal meets"},
        {HEADER "x,,at_most,0.5,0.1,fit,m,s\nx,,at_most,0.5,0.2,fit,m,s\n", ":2: no log-normal meets"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refused(load_x, cases[i][0], cases[i][1]);
}
END_TEST

/* ---- pairs ---- */

static char *pairs_text(const char *header, int n, const char *row)
{
    char *text = sim_strdup(header);
    for (int i = 1; i <= n; i++) {
        char line[64];
        snprintf(line, sizeof line, row, i, i);
        char *longer = sim_printf("%s%s", text, line);
        free(text);
        text = longer;
    }
    return text;
}

/* 101 factors 0.02, 0.04 ... 2.02, so that the quantile p lies at 0.02 + 2 p. */
START_TEST(pairs_give_their_own_quantiles)
{
    char *text = pairs_text("strategy_tokens,id,baseline_tokens\n", 101, "%d,r%d,50\n");
    struct sim_status st = {0};
    struct mdl_lengths l;
    ck_assert_msg(mdl_lengths_read_pairs(test_file("pairs.csv", text), &l, &st), "%s", st.message);
    free(text);
    ck_assert(l.any && l.n_pairs == 101 && l.n_skipped == 0 && isnan(l.mu));
    for (int i = 0; i < MDL_LENGTH_QUANTILES; i++)
        ck_assert_double_eq_tol((double)l.factor[i], 0.02 + 2 * (i + 0.5) / MDL_LENGTH_QUANTILES, 1e-6);
    ck_assert_double_eq_tol(l.mean, 1.02, 1e-6);
    ck_assert_double_eq_tol(l.half_frac, 0.24, 1. / MDL_LENGTH_QUANTILES);
    ck_assert_double_eq_tol(l.longer_frac, 0.26, 1. / MDL_LENGTH_QUANTILES);
    ck_assert_str_eq(l.source, "measured: 101 pairs of pairs.csv");
}
END_TEST

START_TEST(pairs_without_a_baseline_are_counted_and_answers_without_a_token_are_answers)
{
    char *text = pairs_text("baseline_tokens,strategy_tokens\n0,5\n0,0\n10,0\n10,90\n", 18, "%d,%d\n");
    struct sim_status st = {0};
    struct mdl_lengths l;
    ck_assert_msg(mdl_lengths_read_pairs(test_file("pairs.csv", text), &l, &st), "%s", st.message);
    free(text);
    ck_assert_uint_eq(l.n_pairs, 20);
    ck_assert_uint_eq(l.n_skipped, 2);
    ck_assert_double_lt((double)l.factor[0], 0.02);
    ck_assert_double_gt((double)l.factor[MDL_LENGTH_QUANTILES - 1], 8); /* no cap on what was measured */
    ck_assert_float_eq(l.factor[MDL_LENGTH_QUANTILES / 2], 1);
}
END_TEST

static bool read_pairs(const char *path, struct sim_status *st)
{
    struct mdl_lengths l;
    return mdl_lengths_read_pairs(path, &l, st);
}

START_TEST(wrong_pairs_are_refused_where_they_stand)
{
    static const char *const cases[][2] = {
        {"id,baseline_tokens\n1,2\n", ":1: no column `strategy_tokens`"},
        {"id,base,strategy_tokens\n1,2,3\n", ":1: no column `baseline_tokens`"},
        {"baseline_tokens,strategy_tokens\n1,1\n2,many\n", ":3: "},
        {"baseline_tokens,strategy_tokens\n1,1\n2\n", ":3: "},
        {"baseline_tokens,strategy_tokens\n1,1\n2,-3\n", ":3: "},
        {"baseline_tokens,strategy_tokens\n1,4294967296\n", ":2: strategy_tokens is 4294967296"},
        {"baseline_tokens,strategy_tokens\n1,1\n0,4\n",
         "1 pairs with a baseline token (1 without), expected at least 20"},
        {"", "empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refused(read_pairs, cases[i][0], cases[i][1]);
    char *text = pairs_text("baseline_tokens,strategy_tokens\n", 19, "%d,%d\n");
    refused(read_pairs, text, "19 pairs");
    free(text);
}
END_TEST

/* ---- the file that ships ---- */

START_TEST(every_row_is_of_strategies_that_there_are_and_names_parameters_that_they_have)
{
    ck_assert_int_gt(rows_that_name_what_there_is(LENGTHS), 15);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("lengths");
    TCase *c = tcase_create("published");
    tcase_add_test(c, quantiles_rise_stay_within_the_cap_and_agree_with_their_log_normal);
    tcase_add_test(c, two_published_shares_are_met_exactly);
    tcase_add_test(c, shares_of_gear_give_the_mean_that_a_third_party_counted);
    tcase_add_test(c, a_mean_and_a_share_are_met_by_the_narrower_of_two_log_normals);
    tcase_add_test(c, an_assumed_spread_is_said_to_be_one);
    tcase_add_test(c, without_a_figure_lengths_stay_as_they_are_and_say_why);
    tcase_add_test(c, more_figures_than_parameters_are_met_as_well_as_can_be);
    tcase_add_test(c, a_wrong_row_of_figures_is_refused_where_it_stands);
    tcase_add_test(c, a_row_counts_for_the_parameters_that_it_names_and_for_every_value_of_the_others);
    tcase_add_test(c, published_lengths_follow_the_parameters_whatever_the_strategy_is_called);
    tcase_add_test(c, lengths_at_another_published_budget_are_those_of_that_budget);
    tcase_add_test(c, lengths_of_parameters_that_nobody_published_stay_and_say_for_which_there_are_some);
    tcase_add_test(c, every_row_is_of_strategies_that_there_are_and_names_parameters_that_they_have);
    suite_add_tcase(s, c);
    TCase *pairs = tcase_create("pairs");
    tcase_add_test(pairs, pairs_give_their_own_quantiles);
    tcase_add_test(pairs, pairs_without_a_baseline_are_counted_and_answers_without_a_token_are_answers);
    tcase_add_test(pairs, wrong_pairs_are_refused_where_they_stand);
    suite_add_tcase(s, pairs);
    return s;
}
