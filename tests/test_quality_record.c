/* The quality record: what ships against the released scores and published figures, what is written against what is
 * read. */
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"
#include "sim/outfile.h"
#include "tests/quality_help.h"

/* ---- what ships ---- */

START_TEST(rates_of_what_ships_are_the_published_counts)
{
    ck_assert_double_eq(shipped("kivi4").negative_rate, 86. / 1552);
    ck_assert_double_eq(shipped("kivi2").negative_rate, 305. / 1552);
    ck_assert_double_eq(shipped("gear4").negative_rate, 292. / 1552);
    ck_assert_double_eq(shipped("gear4:bits=8").negative_rate, 157. / 1552);
    ck_assert_double_eq(shipped("kivi4:bits=2").negative_rate, 305. / 1552);
    ck_assert_double_eq(shipped("h2o").negative_rate, 544. / 1552);
    ck_assert_double_eq(shipped("h2o:budget=256").negative_rate, 608. / 1459);
    ck_assert_double_eq(shipped("h2o:budget=1024").negative_rate, 354. / 1459);
    ck_assert_double_eq(shipped("h2o:budget=1536").negative_rate, 278. / 1459);
    ck_assert_double_eq(shipped("h2o:budget=2048").negative_rate, 242. / 1552);
    ck_assert_double_eq(shipped("streaming_llm:budget=256").negative_rate, 746. / 1552);
    ck_assert_double_eq(shipped("streaming_llm").negative_rate, 623. / 1552);
    ck_assert_double_eq(shipped("streaming_llm:budget=1024").negative_rate, 504. / 1552);
    ck_assert_double_eq(shipped("streaming_llm:budget=1536").negative_rate, 407. / 1552);
    ck_assert_double_eq(shipped("streaming_llm:budget=2048:recent=1984").negative_rate, 342. / 1552);
}
END_TEST

/* 5.5 % of benign samples are 2.6 % of all; 12.7 % of KIVI-4's scores are worse and 13.3 % better, of H2O's 33.3 and
 * 16.8 %. */
START_TEST(shares_of_all_answers_are_those_that_were_published)
{
    struct mdl_quality_rates kivi = shipped("kivi4"), h2o = shipped("h2o");
    ck_assert_double_eq(kivi.newly_failing, 86. / 3350);
    ck_assert_double_eq_tol(kivi.worse, 0.127, 0.0005);
    ck_assert_double_eq_tol(kivi.better, 0.133, 0.0005);
    ck_assert_double_eq_tol(h2o.worse, 0.333, 0.0005);
    ck_assert_double_eq_tol(h2o.better, 0.168, 0.0005);
    ck_assert_uint_eq(kivi.samples, 3350);
    ck_assert_double_eq(kivi.covered, 1);
    ck_assert(isnan(kivi.length_ratio));
}
END_TEST

START_TEST(tasks_of_h2o_fail_as_often_as_was_published)
{
    static const struct {
        const char *task;
        uint64_t negatives, benign;
    } published[] = {{"gov_report", 71, 98},      {"trec", 32, 148},        {"qmsum", 30, 93},
                     {"qasper", 26, 69},          {"repobench-p", 24, 230}, {"multi_news", 19, 93},
                     {"multifieldqa_en", 12, 65}, {"2wikimqa", 8, 75},      {"hotpotqa", 8, 97},
                     {"samsum", 7, 88},           {"lcc", 5, 235}};
    struct mdl_quality q = loaded(SHIPPED, "h2o:budget=2048");
    ck_assert_uint_eq(q.n_tasks, 14);
    for (uint32_t t = 0; t < q.n_tasks; t++) {
        size_t i = 0;
        while (i < sizeof published / sizeof *published && strcmp(published[i].task, q.tasks[t].task) != 0)
            i++;
        bool listed = i < sizeof published / sizeof *published;
        ck_assert_uint_eq(q.tasks[t].negatives, listed ? published[i].negatives : 0);
        if (listed) ck_assert_uint_eq(q.tasks[t].benign, published[i].benign);
    }
    mdl_quality_fini(&q);
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
        {"freekv", "no published figure"},
        {"gear2", "GEAR-2 was not published: the scores released with arXiv 2503.24000 are of 4 and 8 bits"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mdl_quality q = loaded(SHIPPED, cases[i][0]);
        struct mdl_quality_rates r = mdl_quality_rates(&q, NULL);
        ck_assert_msg(!mdl_quality_known(&q), "%s", cases[i][0]);
        ck_assert(isnan(r.newly_failing) && isnan(r.negative_rate) && isnan(r.newly_failing_hi) &&
                  isnan(r.covered));
        ck_assert_str_eq(q.source, cases[i][1]);
        mdl_quality_fini(&q);
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
            ck_assert_double_lt(shipped(text).negative_rate, before);
            before = shipped(text).negative_rate;
        }
    }
}
END_TEST

/* ---- against the scores ---- */

/* Scores of one setting beside those of full KV, by task and sample; -1: not there. */
enum { N_TASKS = 14, N_SAMPLES = 500 };
struct scores {
    char task[N_TASKS][32];
    double score[N_TASKS][N_SAMPLES], base[N_TASKS][N_SAMPLES];
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

static double mean_of(const double score[N_SAMPLES])
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < N_SAMPLES; i++) {
        if (score[i] < 0) continue;
        sum += score[i];
        n++;
    }
    return sum / n;
}

/* Good by `a`, and `b` has lost a tenth of it. */
static uint64_t losses(const double a[N_SAMPLES], const double b[N_SAMPLES], uint64_t *good)
{
    double mean = mean_of(a);
    uint64_t n = 0;
    *good = 0;
    for (int i = 0; i < N_SAMPLES; i++) {
        if (a[i] < 0 || b[i] < 0 || a[i] < mean) continue;
        ++*good;
        n += b[i] < 0.9 * a[i];
    }
    return n;
}

static struct mdl_quality_task counted(const struct scores *s, int t)
{
    struct mdl_quality_task q = {.samples = 0};
    const double *base = s->base[t], *score = s->score[t];
    double mean = mean_of(base);
    uint64_t good;
    q.negatives = losses(base, score, &q.benign);
    q.fixed = losses(score, base, &good);
    for (int i = 0; i < N_SAMPLES; i++) {
        if (base[i] < 0 || score[i] < 0) continue;
        q.samples++;
        q.worse += score[i] < base[i];
        q.better += score[i] > base[i];
        q.zeroed += base[i] >= mean && base[i] > 0 && score[i] == 0;
    }
    return q;
}

static void assert_same_counts(const struct mdl_quality_task *a, const struct mdl_quality_task *b)
{
    ck_assert_uint_eq(a->samples, b->samples);
    ck_assert_uint_eq(a->benign, b->benign);
    ck_assert_uint_eq(a->negatives, b->negatives);
    ck_assert_uint_eq(a->fixed, b->fixed);
    ck_assert_uint_eq(a->worse, b->worse);
    ck_assert_uint_eq(a->better, b->better);
    ck_assert_uint_eq(a->zeroed, b->zeroed);
}

/* Every task of a setting, and none beside; the settings of a row that is not the one counted from agree with it. */
static void assert_counted_from(struct scores *s, const char *path, const char *strategy, bool all_tasks)
{
    struct sim_status st = {0};
    struct mdl_quality q = loaded(SHIPPED, strategy);
    uint32_t found = 0;
    s->n_tasks = 0;
    for (int t = 0; t < N_TASKS; t++)
        for (int i = 0; i < N_SAMPLES; i++) s->base[t][i] = s->score[t][i] = -1;
    ck_assert_msg(sim_csv_read(path, on_score, s, &st), "%s", st.message);
    for (int t = 0; t < s->n_tasks; t++) {
        struct mdl_quality_task own = counted(s, t);
        uint32_t k = 0;
        while (k < q.n_tasks && strcmp(q.tasks[k].task, s->task[t]) != 0) k++;
        if (!own.samples) continue;
        ck_assert_uint_lt(k, q.n_tasks);
        assert_same_counts(&q.tasks[k], &own);
        found++;
    }
    ck_assert(found == q.n_tasks || !all_tasks);
    ck_assert_int_eq(q.n_tasks, strstr(q.source, "without QMSum") ? 13 : 14);
    mdl_quality_fini(&q);
}

START_TEST(counts_of_what_ships_are_what_the_released_scores_give)
{
    const char *path = TEST_SHARED("rethink/per_sample_scores.csv");
    static const char *const cases[][3] = {
        {"kivi4", "kivi", "4bits_group32_residual128"},
        {"kivi2", "kivi", "2bits_group32_residual128"},
        {"gear4", "gear", "4bits"},
        {"gear4:bits=8", "gear", "8bits"},
        {"h2o:budget=256", "h2o", "c256_w64_k7_maxpool"},
        {"h2o", "h2o", "c512_w32_k7_maxpool"},
        {"h2o:budget=1024", "h2o", "c1024_w64_k7_maxpool"},
        {"h2o:budget=1536", "h2o", "c1536_w64_k7_maxpool"},
        {"h2o:budget=2048", "h2o", "c2048_w32_k7_maxpool"},
        {"streaming_llm:budget=256", "streamingllm", "c256_w64_k7_maxpool"},
        {"streaming_llm:budget=256", "streamingllm", "c256_w32_k7_maxpool"},
        {"streaming_llm", "streamingllm", "c512_w64_k7_maxpool"},
        {"streaming_llm:budget=1024", "streamingllm", "c1024_w32_k7_maxpool"},
        {"streaming_llm:budget=1536", "streamingllm", "c1536_w64_k7_maxpool"},
        {"streaming_llm:budget=2048", "streamingllm", "c2048_w32_k7_maxpool"},
        {"streaming_llm:budget=2048", "streamingllm", "c2048_w64_k7_maxpool"}};
    struct scores *s = sim_alloc(1, sizeof *s);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        *s = (struct scores){.alg = cases[c][1], .params = cases[c][2]};
        assert_counted_from(s, path, cases[c][0], true);
    }
    *s = (struct scores){.alg = "h2o", .params = "c512_w64_k7_maxpool"}; /* of 13 tasks */
    assert_counted_from(s, path, "h2o", false);
    free(s);
}
END_TEST

START_TEST(every_row_is_of_strategies_that_there_are_and_names_parameters_that_they_have)
{
    ck_assert_int_eq(rows_that_name_what_there_is(SHIPPED), 1 + 10 * 14 + 3 * 13 + 1 + 14);
}
END_TEST

/* ---- written and read again ---- */

static void assert_same(const struct mdl_quality *a, const struct mdl_quality *b)
{
    ck_assert_uint_eq(a->n_tasks, b->n_tasks);
    ck_assert_str_eq(a->source, b->source);
    ck_assert_str_eq(a->rule, b->rule);
    ck_assert(a->theta == b->theta || (isnan(a->theta) && isnan(b->theta)));
    for (uint32_t i = 0; i < a->n_tasks; i++) {
        const struct mdl_quality_task *x = &a->tasks[i], *y = &b->tasks[i];
        ck_assert_str_eq(x->task, y->task);
        assert_same_counts(x, y);
        ck_assert(x->length_ratio == y->length_ratio || (isnan(x->length_ratio) && isnan(y->length_ratio)));
        ck_assert_uint_eq(x->length_pairs, y->length_pairs);
        ck_assert_uint_eq(x->longer, y->longer);
        ck_assert_uint_eq(x->empty, y->empty);
        ck_assert_uint_eq(x->truncated, y->truncated);
        ck_assert_uint_eq(x->critical, y->critical);
        ck_assert_uint_eq(x->critical_failures, y->critical_failures);
    }
}

static struct mdl_quality written_and_read(const struct mdl_quality *q, const char *parameters)
{
    struct sim_status st = {0};
    char *path = sim_printf("%s/again.csv", test_dir());
    struct sim_outfile *f = sim_outfile_open(path, &st);
    ck_assert_msg(f != NULL, "%s", st.message);
    ck_assert(mdl_quality_write_header(sim_outfile_stream(f)));
    ck_assert(mdl_quality_write(sim_outfile_stream(f), "y|x", parameters, q));
    ck_assert_msg(sim_outfile_commit(f, &st), "%s", st.message);
    struct mdl_quality again = loaded(path, "x");
    free(path);
    return again;
}

static struct mdl_quality_task drawn_task(gsl_rng *rng, int i)
{
    static const char *const names[] = {"qa",   "a, b", "say \"so\"",        " blank ",
                                        "tab;", "#5",   "kaiwa \xe4\xbc\x9a"};
    struct mdl_quality_task t = {.length_ratio = NAN};
    snprintf(t.task, sizeof t.task, "%s%d%s", names[i % 7], i, i % 2 ? " " : "");
    t.samples = 1 + gsl_rng_uniform_int(rng, 100000);
    t.benign = gsl_rng_uniform_int(rng, t.samples + 1);
    t.negatives = gsl_rng_uniform_int(rng, t.benign + 1);
    t.fixed = gsl_rng_uniform_int(rng, t.samples + 1);
    t.worse = gsl_rng_uniform_int(rng, t.samples + 1);
    t.better = gsl_rng_uniform_int(rng, t.samples - t.worse + 1);
    t.zeroed = gsl_rng_uniform_int(rng, t.negatives + 1);
    if (i % 3 == 0) return t;
    t.length_pairs = gsl_rng_uniform_int(rng, t.samples + 1);
    if (t.length_pairs) t.length_ratio = 3 * gsl_rng_uniform(rng);
    t.longer = gsl_rng_uniform_int(rng, t.length_pairs + 1);
    t.truncated = gsl_rng_uniform_int(rng, t.samples + 1); /* known of the strategy alone */
    t.critical = gsl_rng_uniform_int(rng, 1000);
    t.critical_failures = gsl_rng_uniform_int(rng, t.critical + 1);
    return t;
}

START_TEST(what_is_written_reads_back_to_the_same)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct mdl_quality_task tasks[40];
        struct mdl_quality q = {.n_tasks = 1 + seed * 2 % 40, .tasks = tasks};
        gsl_rng_set(rng, seed);
        for (uint32_t i = 0; i < q.n_tasks; i++) tasks[i] = drawn_task(rng, (int)i);
        q.theta = 0.01 + 0.9 * gsl_rng_uniform(rng);
        snprintf(q.rule, sizeof q.rule, "%s", seed % 2 ? "paper" : "code");
        snprintf(q.source, sizeof q.source, "%s", seed % 3 ? "runs of \"May\", by us" : "plain");
        struct mdl_quality again = written_and_read(&q, seed % 2 ? "" : "budget=100");
        assert_same(&q, &again);
        mdl_quality_fini(&again);
    }
    gsl_rng_free(rng);
}
END_TEST

START_TEST(what_is_not_known_is_written_with_its_reason)
{
    struct mdl_quality q = {.theta = NAN, .source = "nobody ran it, yet"};
    struct mdl_quality again = written_and_read(&q, "");
    assert_same(&q, &again);
    mdl_quality_fini(&again);
    q = loaded(SHIPPED, "offload");
    again = written_and_read(&q, ""); /* by definition: no row */
    ck_assert(!mdl_quality_known(&again));
    ck_assert_str_eq(again.source, "no published figure");
    mdl_quality_fini(&again);
    mdl_quality_fini(&q);
}
END_TEST

/* Every strategy of the file that ships, so that its cells are what the program itself would write. */
START_TEST(what_ships_is_what_would_be_written)
{
    static const char *const strategies[] = {"kivi4", "kivi2", "gear4",          "gear4:bits=8",
                                             "gear2", "h2o",   "h2o:budget=256", "streaming_llm:budget=2048"};
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        struct mdl_quality q = loaded(SHIPPED, strategies[i]), again = written_and_read(&q, "");
        assert_same(&q, &again);
        mdl_quality_fini(&again);
        mdl_quality_fini(&q);
    }
}
END_TEST

/* ---- what is wrong ---- */

static bool load_x(const char *path, struct sim_status *st)
{
    struct mdl_quality q = {.n_tasks = 7};
    struct mdl_kv_use u = use_of("x");
    bool ok = mdl_quality_load(path, &u, &q, st);
    ck_assert(ok || q.n_tasks == 7); /* written on success only */
    if (ok) mdl_quality_fini(&q);
    return ok;
}

#define WHERE ",0.1,paper,s\n"
START_TEST(a_wrong_row_is_refused_where_it_stands)
{
    static const char *const cases[][2] = {
        {"x,,a,0,0,0,0,0,0,,,,,,,," WHERE, ":2: samples is 0, expected 1 to"},
        {"x,,a,-1,0,0,0,0,0,,,,,,,," WHERE, ":2: column samples"},
        {"x,,a,nan,0,0,0,0,0,,,,,,,," WHERE, ":2: column samples"},
        {"x,,a,99999999999999999999,0,0,0,0,0,,,,,,,," WHERE, ":2: column samples"},
        {"x,,a,2000000000000000,0,0,0,0,0,,,,,,,," WHERE, ":2: samples is 2000000000000000"},
        {"x,,a,10,11,0,0,0,0,,,,,,,," WHERE, ":2: benign is 11, expected 0 to 10, as samples"},
        {"x,,a,10,5,6,0,0,0,,,,,,,," WHERE, ":2: negatives is 6, expected 0 to 5, as benign"},
        {"y,,a,10,5,0,11,0,0,,,,,,,," WHERE, ":2: fixed is 11"},
        {"x,,a,10,5,0,,0,0,,,,,,,," WHERE, ":2: column fixed"},
        {"x,,a,10,5,0,0,6,5,,,,,,,," WHERE, ":2: worse and better are 11 together, expected at most 10"},
        {"x,,a,10,5,0,0,0,0,,1.2,,,,,," WHERE, ":2: length_ratio without length_pairs"},
        {"x,,a,10,5,0,0,0,0,5,-1,,,,,," WHERE, ":2: length_ratio is -1"},
        {"x,,a,10,5,0,0,0,0,5,inf,,,,,," WHERE, ":2: column length_ratio"},
        {"x,,a,10,5,0,0,0,0,5,1,6,,,,," WHERE, ":2: longer is 6, expected 0 to 5, as length_pairs"},
        {"x,,a,10,5,0,0,0,0,,,,,11,,," WHERE, ":2: truncated is 11"},
        {"x,,a,10,5,0,0,0,0,,,,,,,3,4" WHERE, ":2: critical_failures is 4, expected 0 to 3, as critical"},
        {"x,,a,10,5,1,0,0,0,,,,,,2,," WHERE, ":2: zeroed is 2, expected 0 to 1, as negatives"},
        {"x,,a,10,5,0,0,0,0,,,,,,,,,1,paper,s\n", ":2: theta is 1, expected a share between 0 and 1"},
        {"x,,a,10,5,0,0,0,0,,,,,,,,,0,paper,s\n", ":2: theta is 0"},
        {"x,,a,10,5,0,0,0,0,,,,,,,,,,paper,s\n", ":2: column theta"},
        {"x,,a,10,5,0,0,0,0,,,,,,,,,0.1,papers,s\n", ":2: rule is `papers`, expected one of paper, code"},
        {"x,,a,10,5,0,0,0,0,,,,,,,,,0.1,paper,\n", ":2: source has 0 characters"},
        {"x,,a,10,5,0,0,0,0,,,,,,,,,0.1,paper\n", ":2: source has 0 characters"},
        {"x,,,10,5,0,0,0,0,,,,,,,," WHERE, ":2: task has 0 characters"},
        {"x,,\"a\nb\",10,5,0,0,0,0,,,,,,,," WHERE, ":2: task has an unprintable character"},
        {"x,,a,10,5,0,0,0,0,,,,,,,,,0.1,paper,\033[2Jx\n", ":2: source has an unprintable character"},
        {"x,graph=1,a,10,5,0,0,0,0,,,,,,,," WHERE, ":2: parameters are `graph=1`"},
        {X_TASKS "x,budget=100,a,10,5,0,0,0,0,,,,,,,," WHERE,
         ":4: a second row of x for the same parameters and task a"},
        {X_TASKS "x,,,,,,,,,,,,,,,,,,,why not\n", ":4: a second row of x for the same parameters; remove"},
        {"x,,,,,,,,,,,,,,,,,,,why not\n" X_TASKS, ":3: a second row of x for the same parameters and task a"},
        {X_TASKS "x,,c,10,5,0,0,0,0,,,,,,,,,0.2,paper,s\n",
         ":4: theta 0.2 and rule paper, expected those of x's rows before, 0.1 and paper"},
        {X_TASKS "x,,c,10,5,0,0,0,0,,,,,,,,,0.1,code,s\n", ":4: theta 0.1 and rule code"},
        {"x,,c,1\n", ":2: column benign"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = sim_printf(HEADER "%s", cases[i][0]);
        refused(load_x, text, cases[i][1]);
        free(text);
    }
    refused(load_x, "strategy,parameters,task,samples\n", ":1: no column `benign`; add it");
    refused(load_x, "", "empty");
}
END_TEST

START_TEST(more_tasks_than_there_is_room_for_are_refused)
{
    char *text = sim_strdup(HEADER);
    for (int i = 0; i <= MDL_MAX_TASKS; i++) {
        char *longer = sim_printf("%sx,,task%d,1,1,0,0,0,0,,,,,,,," WHERE, text, i);
        free(text);
        text = longer;
    }
    refused(load_x, text, ":258: x has more than 256 tasks");
    free(text);
}
END_TEST

/* A record of one's own may hold what others are not asked about. */
START_TEST(rows_for_other_parameters_stand_aside_and_columns_may_stand_in_any_order)
{
    const char *path =
        test_file("order.csv", "source,rule,theta,critical_failures,critical,zeroed,truncated,empty,longer,"
                               "length_ratio,length_pairs,"
                               "better,worse,fixed,negatives,benign,samples,task,parameters,strategy,note\n"
                               "s,code,0.2,,,,,,,,,0,3,0,2,5,10,qa,budget=100,x,mine\ns,paper,0.1,,,,,,,,,0,"
                               "3,0,2,5,10,qa,budget=200,x,\n");
    struct mdl_quality q = loaded(path, "x"), other = loaded(path, "x:budget=300");
    ck_assert_uint_eq(q.n_tasks, 1);
    ck_assert_uint_eq(q.tasks[0].worse, 3);
    ck_assert_str_eq(q.rule, "code");
    ck_assert_double_eq(q.theta, 0.2);
    ck_assert(!mdl_quality_known(&other));
    ck_assert_str_eq(other.source, "published only for budget 100 and 200, not for these parameters");
    mdl_quality_fini(&q);
    mdl_quality_fini(&other);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("quality_record");
    TCase *ships = tcase_create("what ships");
    tcase_add_test(ships, rates_of_what_ships_are_the_published_counts);
    tcase_add_test(ships, shares_of_all_answers_are_those_that_were_published);
    tcase_add_test(ships, tasks_of_h2o_fail_as_often_as_was_published);
    tcase_add_test(ships, rates_of_parameters_that_nobody_published_are_unknown_and_say_so);
    tcase_add_test(ships, fewer_answers_get_worse_with_a_larger_budget);
    tcase_add_test(ships, counts_of_what_ships_are_what_the_released_scores_give);
    tcase_add_test(ships, every_row_is_of_strategies_that_there_are_and_names_parameters_that_they_have);
    suite_add_tcase(s, ships);
    TCase *files = tcase_create("files");
    tcase_add_test(files, what_is_written_reads_back_to_the_same);
    tcase_add_test(files, what_is_not_known_is_written_with_its_reason);
    tcase_add_test(files, what_ships_is_what_would_be_written);
    tcase_add_test(files, a_wrong_row_is_refused_where_it_stands);
    tcase_add_test(files, more_tasks_than_there_is_room_for_are_refused);
    tcase_add_test(files, rows_for_other_parameters_stand_aside_and_columns_may_stand_in_any_order);
    suite_add_tcase(s, files);
    return s;
}
