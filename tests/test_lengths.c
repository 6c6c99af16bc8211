/* Output lengths under compression: fits against closed forms and published figures, the user's pairs, failures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/lengths.h"
#include "models/published_rows.h"
#include "models/strategy.h"
#include "sim/csv_in.h"
#include "sim/memory.h"
#include "tests/harness.h"

#define LENGTHS   "models/lengths.csv"
#define NEGATIVES "models/negatives.csv"
#define HEADER    "strategy,parameters,statistic,threshold,value,use,model,source\n"

/* A strategy that is no real one has a budget. */
static const struct mdl_kv_default x_defaults[] = {{MDL_KV_BUDGET, 100, 1, 1000, "made up"}};
static const struct mdl_strategy x_strategy = {.name = "x", .defaults = x_defaults, .n_defaults = 1};

static enum mdl_kv_key key_named(const char *name, size_t length)
{
    int i = 0;
    while (i < MDL_N_KV_KEY && (strncmp(mdl_kv_key_info((enum mdl_kv_key)i)->name, name, length) != 0 ||
                                mdl_kv_key_info((enum mdl_kv_key)i)->name[length]))
        i++;
    ck_assert_int_lt(i, MDL_N_KV_KEY);
    return (enum mdl_kv_key)i;
}

/* "h2o", "h2o:budget=2048:recent=32"; the rest by default. */
static struct mdl_kv_use use_of(const char *text)
{
    struct sim_status st = {0};
    char name[32];
    size_t n = strcspn(text, ":");
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    struct mdl_kv_use u = {.strategy = strcmp(name, "x") == 0 ? &x_strategy : mdl_strategy_find(name, &st)};
    ck_assert_msg(u.strategy != NULL, "%s", st.message);
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        const struct mdl_kv_default *d = mdl_strategy_default(u.strategy, (enum mdl_kv_key)i);
        u.value[i] = d ? d->value : (double)NAN;
    }
    for (const char *at = text + n; *at == ':'; at += strcspn(at, ":")) {
        at++;
        enum mdl_kv_key key = key_named(at, strcspn(at, "="));
        ck_assert_msg(!isnan(u.value[key]), "%s", text);
        u.value[key] = strtod(at + strcspn(at, "=") + 1, NULL);
    }
    return u;
}

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

/* `text` is refused with `needle` in one line that starts with the file. */
static void refused(bool (*read)(const char *, struct sim_status *), const char *text, const char *needle)
{
    struct sim_status st = {0};
    const char *path = test_file("wrong.csv", text);
    ck_assert_msg(!read(path, &st), "accepted: %s", text);
    ck_assert_msg(strstr(st.message, needle), "\"%s\" is not in \"%s\"", needle, st.message);
    ck_assert_int_eq(strncmp(st.message, path, strlen(path)), 0);
    ck_assert_ptr_null(strchr(st.message, '\n'));
}

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

/* ---- negatives ---- */

static struct mdl_negatives negatives(const char *strategy)
{
    struct sim_status st = {0};
    struct mdl_kv_use u = use_of(strategy);
    struct mdl_negatives n;
    ck_assert_msg(mdl_negatives_load(NEGATIVES, &u, &n, &st), "%s", st.message);
    return n;
}

START_TEST(negative_rates_are_the_published_counts)
{
    ck_assert_double_eq(negatives("kivi4").rate, 86. / 1552);
    ck_assert_double_eq(negatives("kivi2").rate, 305. / 1552);
    ck_assert_double_eq(negatives("gear4").rate, 292. / 1552);
    ck_assert_double_eq(negatives("full").rate, 0);
    ck_assert_double_eq(negatives("kivi4:bits=2").rate, 305. / 1552);
    ck_assert_double_eq(negatives("h2o:budget=2048").rate, 242. / 1552);
    ck_assert_double_eq(negatives("streaming_llm:budget=2048:recent=1984").rate, 342. / 1552);
    ck_assert(isnan(negatives("freekv").rate));
    ck_assert_str_eq(negatives("freekv").source, MDL_NO_FIGURE);
}
END_TEST

START_TEST(rates_of_parameters_that_nobody_published_are_unknown_and_say_so)
{
    static const char *const cases[][2] = {
        {"h2o:budget=600",
         "published only for budget 256, 512, 1024, 1536 and 2048, not for these parameters"},
        {"streaming_llm:budget=65536",
         "published only for budget 256, 512, 1024, 1536 and 2048, not for these parameters"},
        {"streaming_llm:sink=4", "published only for sink 64, not for these parameters"},
        {"h2o:heavy_frac=0.1", "published only for heavy_frac 0, not for these parameters"},
        {"kivi4:residual=64", "published only for residual 128, not for these parameters"},
        {"kivi4:bits=8", "published only for bits 2 and 4, not for these parameters"},
        {"gear2", "GEAR-2 was not published: the scores released with arXiv 2503.24000 are of 4 and 8 bits"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(isnan(negatives(cases[i][0]).rate), "%s", cases[i][0]);
        ck_assert_str_eq(negatives(cases[i][0]).source, cases[i][1]);
    }
}
END_TEST

/* A larger budget keeps more of what a smaller one keeps. */
START_TEST(fewer_answers_get_worse_with_a_larger_budget)
{
    static const char *const strategies[] = {"h2o", "streaming_llm"};
    static const int budgets[] = {256, 512, 1024, 1536, 2048};
    for (int s = 0; s < 2; s++) {
        double before = 1;
        for (int b = 0; b < 5; b++) {
            char text[64];
            snprintf(text, sizeof text, "%s:budget=%d", strategies[s], budgets[b]);
            ck_assert_double_lt(negatives(text).rate, before);
            before = negatives(text).rate;
        }
    }
}
END_TEST

/* Scores of one setting by the row of full KV with the same task and sample. */
enum { N_TASKS = 14, N_SAMPLES = 500 };
struct scores {
    char task[N_TASKS][32];
    double score[N_TASKS][N_SAMPLES], base[N_TASKS][N_SAMPLES]; /* -1: not there */
    const char *alg, *params;
    int n_tasks;
};

static int task_of(struct scores *s, const char *name)
{
    for (int i = 0; i < s->n_tasks; i++)
        if (strcmp(s->task[i], name) == 0) return i;
    ck_assert_int_lt(s->n_tasks, N_TASKS);
    snprintf(s->task[s->n_tasks], sizeof *s->task, "%s", name);
    return s->n_tasks++;
}

static bool on_score(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    struct scores *s = user;
    uint64_t id;
    double score;
    if (index == 0) return true;
    bool base = strcmp(row->field[0], "hf") == 0;
    if (!base && (strcmp(row->field[0], s->alg) != 0 || strcmp(row->field[1], s->params) != 0)) return true;
    if (!sim_csv_u64(row, 3, "id", &id, st) || !sim_csv_double(row, 4, "score", &score, st)) return false;
    ck_assert_uint_lt(id, N_SAMPLES);
    (base ? s->base : s->score)[task_of(s, row->field[2])][id] = score;
    return true;
}

/* Of a task that was run at this setting. */
static void count(const struct scores *s, int task, int *benign, int *negative)
{
    double sum = 0;
    int n = 0, scored = 0;
    for (int i = 0; i < N_SAMPLES; i++) scored += s->score[task][i] >= 0;
    if (!scored) return;
    for (int i = 0; i < N_SAMPLES; i++) {
        if (s->base[task][i] < 0) continue;
        sum += s->base[task][i];
        n++;
    }
    for (int i = 0; i < N_SAMPLES; i++) {
        if (s->base[task][i] < 0 || s->base[task][i] < sum / n) continue;
        ck_assert_double_ge(s->score[task][i], 0);
        ++*benign;
        *negative += s->score[task][i] < 0.9 * s->base[task][i];
    }
}

START_TEST(negative_rates_are_what_the_released_scores_give)
{
    const char *path = TEST_SHARED("rethink/per_sample_scores.csv");
    static const char *const cases[][3] = {
        {"kivi4", "kivi", "4bits_group32_residual128"},
        {"kivi2", "kivi", "2bits_group32_residual128"},
        {"gear4", "gear", "4bits"},
        {"gear4:bits=8", "gear", "8bits"},
        {"kivi4:bits=2", "kivi", "2bits_group32_residual128"},
        {"h2o:budget=256", "h2o", "c256_w64_k7_maxpool"},
        {"h2o", "h2o", "c512_w32_k7_maxpool"},
        {"h2o:budget=1024", "h2o", "c1024_w64_k7_maxpool"},
        {"h2o:budget=1536", "h2o", "c1536_w64_k7_maxpool"},
        {"h2o:budget=2048", "h2o", "c2048_w32_k7_maxpool"},
        {"streaming_llm:budget=256", "streamingllm", "c256_w64_k7_maxpool"},
        {"streaming_llm", "streamingllm", "c512_w64_k7_maxpool"},
        {"streaming_llm:budget=1024", "streamingllm", "c1024_w32_k7_maxpool"},
        {"streaming_llm:budget=1536", "streamingllm", "c1536_w64_k7_maxpool"},
        {"streaming_llm:budget=2048", "streamingllm", "c2048_w32_k7_maxpool"},
        {"streaming_llm:budget=2048", "streamingllm", "c2048_w64_k7_maxpool"}};
    struct scores *s = sim_alloc(1, sizeof *s);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct sim_status st = {0};
        int benign = 0, negative = 0;
        *s = (struct scores){.alg = cases[c][1], .params = cases[c][2]};
        for (int t = 0; t < N_TASKS; t++)
            for (int i = 0; i < N_SAMPLES; i++) s->base[t][i] = s->score[t][i] = -1;
        ck_assert_msg(sim_csv_read(path, on_score, s, &st), "%s", st.message);
        for (int t = 0; t < s->n_tasks; t++) count(s, t, &benign, &negative);
        ck_assert_int_eq(benign, strstr(negatives(cases[c][0]).source, "without QMSum") ? 1459 : 1552);
        ck_assert_double_eq_tol(negatives(cases[c][0]).rate, (double)negative / benign, 1e-12);
    }
    free(s);
}
END_TEST

static bool load_rates(const char *path, struct sim_status *st)
{
    struct mdl_kv_use u = use_of("x");
    struct mdl_negatives n;
    return mdl_negatives_load(path, &u, &n, st);
}

START_TEST(a_rate_that_its_own_counts_deny_is_refused)
{
    const char *header = "strategy,parameters,rate,benign,negatives,source\n";
    static const char *const cases[][2] = {
        {"x,,0.5,100,40,s\n", ":2: rate is 0.5, expected negatives / benign = 0.4"},
        {"y,,0.5,0,0,s\n", ":2: benign is 0"},
        {"x,,1.5,100,150,s\n", ":2: negatives is 150"},
        {"x,,,100,50,s\n", ":2: column rate"},
        {"x,graph=1,0.5,100,50,s\n", ":2: parameters are `graph=1`"},
        {"x,,0.5,100,50,s\nx,budget=100,0.5,100,50,s\n", ":3: a second row of x for the same parameters"},
        {"x,,0.5,100,50\n", ":2: source has 0 characters"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = sim_printf("%s%s", header, cases[i][0]);
        refused(load_rates, text, cases[i][1]);
        free(text);
    }
    refused(load_rates, "strategy,parameters,rate\n", ":1: no column `benign`");
}
END_TEST

static bool on_name(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    int *n = user;
    struct mdl_row_parameters p;
    ck_assert_str_eq(row->field[1], index ? row->field[1] : "parameters");
    ck_assert_msg(!index || mdl_row_parameters(row, 1, &p, st), "%s", st->message);
    for (const char *at = row->field[0]; index && *at; at += strspn(at, "|")) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "|"), at);
        at += strlen(name);
        const struct mdl_strategy *s = mdl_strategy_find(name, st);
        ck_assert_msg(s != NULL, "%s", st->message);
        for (uint32_t i = 0; i < p.n; i++) ck_assert_ptr_nonnull(mdl_strategy_default(s, p.key[i]));
    }
    ++*n;
    return true;
}

START_TEST(every_row_is_of_strategies_that_there_are_and_names_parameters_that_they_have)
{
    struct sim_status st = {0};
    int n = 0;
    ck_assert_msg(sim_csv_read(LENGTHS, on_name, &n, &st), "%s", st.message);
    ck_assert_msg(sim_csv_read(NEGATIVES, on_name, &n, &st), "%s", st.message);
    ck_assert_int_gt(n, 20);
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
    suite_add_tcase(s, c);
    TCase *pairs = tcase_create("pairs");
    tcase_add_test(pairs, pairs_give_their_own_quantiles);
    tcase_add_test(pairs, pairs_without_a_baseline_are_counted_and_answers_without_a_token_are_answers);
    tcase_add_test(pairs, wrong_pairs_are_refused_where_they_stand);
    suite_add_tcase(s, pairs);
    TCase *failures = tcase_create("negatives");
    tcase_add_test(failures, negative_rates_are_the_published_counts);
    tcase_add_test(failures, negative_rates_are_what_the_released_scores_give);
    tcase_add_test(failures, rates_of_parameters_that_nobody_published_are_unknown_and_say_so);
    tcase_add_test(failures, fewer_answers_get_worse_with_a_larger_budget);
    tcase_add_test(failures, a_rate_that_its_own_counts_deny_is_refused);
    tcase_add_test(failures, every_row_is_of_strategies_that_there_are_and_names_parameters_that_they_have);
    suite_add_tcase(s, failures);
    return s;
}
