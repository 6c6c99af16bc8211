/* Negatives, sets, score changes and intervals: published totals, cases by hand, and what holds for any scores. */
#include "experiments/quality/study.h"
#include "models/quality.h"
#include "tests/scores_help.h"

#define RELEASED "rethink/per_sample_scores.csv"
static const char KIVI4[] = "kivi/4bits_group32_residual128", KIVI2[] = "kivi/2bits_group32_residual128";
static const char GEAR8[] = "gear/8bits", GEAR4[] = "gear/4bits", H2O[] = "h2o/c2048_w32_k7_maxpool";
static const char H2O_512[] = "h2o/c512_w32_k7_maxpool", STREAM[] = "streamingllm/c2048_w32_k7_maxpool";

/* ---- published ---- */

START_TEST(the_published_table_of_thresholds_comes_out_exactly)
{
    static const double theta[] = {0.01, 0.02, 0.04, 0.08, 0.10, 0.16, 0.24, 0.32, 0.50};
    static const struct {
        const char *a, *b;
        uint64_t negatives[9];
    } row[] = {{KIVI4, NULL, {182, 168, 143, 107, 86, 64, 41, 26, 7}},
               {KIVI2, NULL, {427, 413, 388, 335, 305, 229, 162, 131, 96}},
               {GEAR8, NULL, {255, 246, 218, 173, 157, 119, 67, 39, 21}},
               {GEAR4, NULL, {405, 399, 374, 323, 292, 240, 183, 150, 107}},
               {H2O, NULL, {336, 332, 307, 263, 242, 192, 134, 103, 62}},
               {KIVI4, GEAR8, {108, 97, 78, 50, 36, 19, 6, 4, 2}},
               {H2O, STREAM, {218, 211, 190, 161, 136, 97, 51, 35, 19}}};
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        for (int t = 0; t < 9; t++) {
            struct exp_quality_options o = at_theta(s, theta[t]);
            struct exp_quality_result r = result_of(s, set_of(s, row[i].a, row[i].b), &o);
            ck_assert_uint_eq(r.all.benign, 1552);
            ck_assert_uint_eq(r.all.samples, 3350);
            ck_assert_msg(r.all.negatives == row[i].negatives[t], "%s at %g: %llu", row[i].a, theta[t],
                          (unsigned long long)r.all.negatives);
            exp_quality_result_fini(&r);
        }
    exp_scores_free(s);
}
END_TEST

static void has_tasks(const struct exp_scores *s, const struct exp_quality_result *r, const char *task,
                      uint64_t negatives, uint64_t benign)
{
    const struct exp_quality_count *c = &r->task[task_of(s, task)];
    ck_assert_msg(c->negatives == negatives && c->benign == benign, "%s: %llu of %llu", task,
                  (unsigned long long)c->negatives, (unsigned long long)c->benign);
}

START_TEST(the_published_tasks_of_h2o_come_out_exactly)
{
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, H2O, NULL), &o);
    has_tasks(s, &r, "gov_report", 71, 98);
    has_tasks(s, &r, "trec", 32, 148);
    has_tasks(s, &r, "qmsum", 30, 93);
    has_tasks(s, &r, "qasper", 26, 69);
    has_tasks(s, &r, "repobench-p", 24, 230);
    has_tasks(s, &r, "multi_news", 19, 93);
    has_tasks(s, &r, "multifieldqa_en", 12, 65);
    has_tasks(s, &r, "2wikimqa", 8, 75);
    has_tasks(s, &r, "hotpotqa", 8, 97);
    has_tasks(s, &r, "samsum", 7, 88);
    has_tasks(s, &r, "lcc", 5, 235);
    has_tasks(s, &r, "triviaqa", 0, 112);
    has_tasks(s, &r, "passage_count", 0, 8);
    has_tasks(s, &r, "passage_retrieval_en", 0, 141);
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

START_TEST(the_released_common_negatives_of_both_quantisations_come_out_by_task)
{
    static const char *const names[] = {"gov_report", "multi_news", "qmsum", "qasper", "repobench-p"};
    static const uint64_t counts[] = {15, 10, 8, 2, 1};
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, KIVI4, GEAR8), &o);
    uint64_t sum = 0;
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(r.task[task_of(s, names[i])].negatives, counts[i]);
        sum += counts[i];
    }
    ck_assert_uint_eq(r.all.negatives, sum);
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

START_TEST(the_code_s_rule_finds_one_negative_of_kivi_more)
{
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    struct exp_quality_options o = at_theta(s, 0.1);
    o.rule = EXP_RULE_CODE;
    ck_assert_uint_eq(negatives_of(s, set_of(s, KIVI4, NULL), &o), 87);
    exp_scores_free(s);
}
END_TEST

START_TEST(published_score_changes_and_mean_scores_come_out)
{
    static const struct {
        const char *name;
        double mean;
    } mean[] = {{KIVI4, 41.29}, {GEAR8, 40.90}, {H2O, 39.13}, {STREAM, 38.90}};
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result k = result_of(s, set_of(s, KIVI4, NULL), &o);
    struct exp_quality_result h = result_of(s, set_of(s, H2O_512, NULL), &o);
    ck_assert_double_eq_tol(100.0 * (double)k.all.worse / 3350, 12.7, 0.05);
    ck_assert_double_eq_tol(100.0 * (double)k.all.same / 3350, 74.0, 0.05);
    ck_assert_double_eq_tol(100.0 * (double)k.all.better / 3350, 13.3, 0.05);
    ck_assert_double_eq_tol(100.0 * (double)h.all.worse / 3350, 33.3, 0.05);
    ck_assert_double_eq_tol(100.0 * (double)h.all.same / 3350, 49.9, 0.05);
    ck_assert_double_eq_tol(100.0 * (double)h.all.better / 3350, 16.8, 0.05);
    for (int i = 0; i < 4; i++) {
        struct exp_quality_result r = result_of(s, set_of(s, mean[i].name, NULL), &o);
        struct exp_quality_means m = exp_quality_mean_scores(&r, s->n_tasks);
        ck_assert_double_eq_tol(100 * m.score, mean[i].mean, 0.0051);
        ck_assert_double_eq_tol(100 * m.base, 41.22, 0.0051);
        exp_quality_result_fini(&r);
    }
    exp_quality_result_fini(&k);
    exp_quality_result_fini(&h);
    exp_scores_free(s);
}
END_TEST

/* Mean over tasks of the mean over a set's negatives, of the tasks of a group that have some. */
static double macro(const struct exp_scores *s, const struct exp_quality_result *r, const char *name,
                    const char *const *tasks)
{
    double sum = 0;
    int n = 0;
    for (; *tasks; tasks++) {
        double of_task = 0;
        uint32_t task = task_of(s, *tasks), m = method(s, name), k = 0;
        for (uint32_t i = 0; i < s->n_samples; i++) {
            if (!r->negative[i] || s->sample[i].task != task) continue;
            of_task += s->score[m][i].score;
            k++;
        }
        sum += k ? of_task / k : 0;
        n += k > 0;
    }
    return 100 * sum / n;
}

START_TEST(table_7_of_the_paper_is_the_mean_of_means_over_common_negatives)
{
    static const char *const summ[] = {"gov_report", "multi_news", "qmsum", NULL};
    static const char *const qa[] = {"2wikimqa", "hotpotqa", "multifieldqa_en", "qasper", "triviaqa", NULL};
    static const char *const code[] = {"lcc", "repobench-p", NULL};
    static const struct {
        const char *a, *b, *shown;
        double summ, qa, code;
    } row[] = {{KIVI4, GEAR8, "hf", 31.6, 52.1, 97.0},  {KIVI4, GEAR8, KIVI4, 24.8, 28.9, 30.0},
               {KIVI4, GEAR8, GEAR8, 23.7, 28.7, 30.0}, {H2O, STREAM, "hf", 31.6, 82.1, 78.7},
               {H2O, STREAM, H2O, 24.8, 33.9, 57.2},    {H2O, STREAM, STREAM, 24.3, 30.4, 61.3}};
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    struct exp_quality_options o = at_theta(s, 0.1);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct exp_quality_result r = result_of(s, set_of(s, row[i].a, row[i].b), &o);
        ck_assert_double_eq_tol(macro(s, &r, row[i].shown, summ), row[i].summ, 0.05);
        ck_assert_double_eq_tol(macro(s, &r, row[i].shown, qa), row[i].qa, 0.05);
        ck_assert_double_eq_tol(macro(s, &r, row[i].shown, code), row[i].code, 0.05);
        exp_quality_result_fini(&r);
    }
    exp_scores_free(s);
}
END_TEST

START_TEST(a_method_that_lacks_a_task_is_judged_on_the_others)
{
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, "h2o/c256", NULL), &o);
    ck_assert_uint_eq(r.all.negatives, 608);
    ck_assert_uint_eq(r.all.benign, 1459);
    ck_assert_uint_eq(r.missing, 200);
    ck_assert_uint_eq(r.task[task_of(s, "qmsum")].samples, 0);
    ck_assert(exp_scores_identical(s, method(s, H2O), method(s, "h2o/c2048_w64")));
    ck_assert(!exp_scores_identical(s, method(s, H2O), method(s, H2O_512)));
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

/* ---- by hand ---- */

/* Means with full KV: x (1 + 0.6 + 0.5 + 0.1) / 4 = 0.55, y 0.8. */
static const char small[] = "alg,params,task,id,score,output_tokens\n"
                            "hf,,x,1,1,100\nhf,,x,2,0.6,100\nhf,,x,3,0.5,10\nhf,,x,4,0.1,0\nhf,,y,1,0.8,20\n"
                            "m,a,x,1,0.9,150\nm,a,x,2,0.53,50\nm,a,x,3,0,50\nm,a,x,4,0.6,0\nm,a,y,1,0,\n";

START_TEST(a_small_table_is_counted_as_by_hand)
{
    struct exp_scores *s = scores_of(small);
    struct exp_quality_options o = at_theta(s, 0.1);
    o.truncated_at = 150;
    struct exp_quality_result r = result_of(s, set_of(s, "m", NULL), &o);
    const struct exp_quality_count *c = &r.all;
    ck_assert_uint_eq(c->samples, 5);
    ck_assert_uint_eq(c->benign, 3);
    ck_assert_uint_eq(c->negatives, 2); /* x 2: 0.53 < 0.54; y 1; x 1 is a tie */
    ck_assert_uint_eq(c->zeroed, 1);
    ck_assert_uint_eq(c->partial, 1);
    ck_assert_uint_eq(c->fixed, 1); /* x 4: 0.6 is above the method's mean of 0.5075 */
    ck_assert_uint_eq(c->worse, 4);
    ck_assert_uint_eq(c->better, 1);
    ck_assert_uint_eq(c->same, 0);
    ck_assert_uint_eq(c->length_pairs, 4);
    ck_assert_uint_eq(c->base_tokens, 210);
    ck_assert_uint_eq(c->tokens, 250);
    ck_assert_uint_eq(c->longer, 2); /* 150 for 100, 50 for 10; 0 for 0 is no multiple */
    ck_assert_uint_eq(c->shorter, 1);
    ck_assert_uint_eq(c->empty, 1);
    ck_assert_uint_eq(c->truncated, 1);
    o.rule = EXP_RULE_CODE;
    ck_assert_uint_eq(negatives_of(s, set_of(s, "m", NULL), &o), 3);
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

START_TEST(benign_by_the_median_takes_the_upper_half)
{
    struct exp_scores *s = scores_of("alg,params,task,id,score\n"
                                     "full,,x,1,0\nfull,,x,2,0\nfull,,x,3,0\nfull,,x,4,1\n"
                                     "m,,x,1,0\nm,,x,2,0.5\nm,,x,3,0\nm,,x,4,1\n");
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result mean = result_of(s, set_of(s, "m", NULL), &o);
    o.benign_by_median = true;
    struct exp_quality_result median = result_of(s, set_of(s, "m", NULL), &o);
    ck_assert_uint_eq(mean.all.benign, 1);
    ck_assert_uint_eq(median.all.benign, 4); /* of 0, 0, 0, 1 the median is 0 */
    ck_assert_uint_eq(median.all.negatives, 0);
    o.rule = EXP_RULE_CODE; /* nothing is not more than 0.9 x nothing */
    ck_assert_uint_eq(negatives_of(s, set_of(s, "m", NULL), &o), 2);
    exp_quality_result_fini(&mean);
    exp_quality_result_fini(&median);
    exp_scores_free(s);
}
END_TEST

START_TEST(equal_scores_are_all_at_their_mean)
{
    char *text = sim_strdup("alg,params,task,id,score\n");
    for (int i = 0; i < 300; i++) {
        char *longer = sim_printf("%shf,,t,%d,0.1\nm,,t,%d,0.1\n", text, i, i);
        free(text);
        text = longer;
    }
    struct exp_scores *s = scores_of(text);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, "m", NULL), &o);
    ck_assert_uint_eq(r.all.benign, 300);
    exp_quality_result_fini(&r);
    exp_scores_free(s);
    free(text);
}
END_TEST

START_TEST(the_worst_cases_come_in_the_order_of_their_fall)
{
    struct exp_scores *s = scores_of(small);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, "m", NULL), &o);
    uint32_t worst[10];
    ck_assert_uint_eq(exp_quality_worst(s, &r, &o, worst, 10), 4);
    ck_assert_str_eq(s->task[s->sample[worst[0]].task], "y");
    ck_assert_str_eq(s->sample[worst[1]].id, "3");
    ck_assert_str_eq(s->sample[worst[2]].id, "1");
    ck_assert_uint_eq(exp_quality_worst(s, &r, &o, worst, 1), 1);
    ck_assert_str_eq(s->task[s->sample[worst[0]].task], "y");
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

START_TEST(the_record_has_the_counts_of_each_task)
{
    struct exp_scores *s = scores_of(small);
    struct exp_quality_options o = at_theta(s, 0.2);
    struct exp_quality_result r = result_of(s, set_of(s, "m", NULL), &o);
    struct mdl_quality q;
    exp_quality_record(s, &r, &o, "by hand", &q);
    ck_assert_uint_eq(q.n_tasks, 2);
    ck_assert_str_eq(q.tasks[0].task, "x");
    ck_assert_uint_eq(q.tasks[0].samples, 4);
    ck_assert_uint_eq(q.tasks[0].benign, 2);
    ck_assert_uint_eq(q.tasks[0].negatives, 0);
    ck_assert_uint_eq(q.tasks[0].fixed, 1);
    ck_assert_double_eq_tol(q.tasks[0].length_ratio, 250.0 / 210, 1e-12);
    ck_assert_uint_eq(q.tasks[1].negatives, 1);
    ck_assert_uint_eq(q.tasks[1].length_pairs, 0);
    ck_assert(isnan(q.tasks[1].length_ratio));
    ck_assert_double_eq(q.theta, 0.2);
    ck_assert_str_eq(q.rule, "paper");
    mdl_quality_fini(&q);
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

START_TEST(methods_without_a_common_sample_are_refused_with_ids)
{
    struct exp_scores *s = scores_of("alg,params,task,id,score\nhf,,x,1,1\nm,,x,q1,1\n");
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_set set = set_of(s, "m", NULL);
    struct exp_quality_result r;
    struct sim_status st = {0};
    ck_assert(!exp_quality_evaluate(s, &set, &o, &r, &st));
    ck_assert_msg(strstr(st.message, "m: no sample in common with hf") && strstr(st.message, "id q1"), "%s",
                  st.message);
    exp_scores_free(s);
}
END_TEST

/* ---- whatever the scores ---- */

START_TEST(a_larger_theta_finds_no_more_negatives_and_the_code_no_fewer_than_the_paper)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct exp_scores *s = made_up(seed, 60);
        uint64_t last = UINT64_MAX;
        for (int t = 1; t < 100; t += 3) {
            struct exp_quality_options o = at_theta(s, t / 100.0);
            uint64_t paper = negatives_of(s, set_of(s, "a", NULL), &o);
            o.rule = EXP_RULE_CODE;
            ck_assert_uint_le(paper, negatives_of(s, set_of(s, "a", NULL), &o));
            ck_assert_uint_le(paper, last);
            last = paper;
        }
        exp_scores_free(s);
    }
}
END_TEST

START_TEST(a_set_is_negative_where_all_of_its_methods_are)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct exp_scores *s = made_up(seed, 60);
        struct exp_quality_options o = at_theta(s, 0.1);
        struct exp_quality_result a = result_of(s, set_of(s, "a", NULL), &o),
                                  b = result_of(s, set_of(s, "b", NULL), &o),
                                  both = result_of(s, set_of(s, "a", "b"), &o);
        uint64_t n = 0;
        for (uint32_t i = 0; i < s->n_samples; i++) {
            ck_assert(both.negative[i] == (a.negative[i] && b.negative[i]));
            n += both.negative[i];
        }
        ck_assert_uint_eq(n, both.all.negatives);
        ck_assert_uint_le(n, a.all.negatives < b.all.negatives ? a.all.negatives : b.all.negatives);
        exp_quality_result_fini(&a);
        exp_quality_result_fini(&b);
        exp_quality_result_fini(&both);
        exp_scores_free(s);
    }
}
END_TEST

START_TEST(tasks_add_up_and_every_sample_is_worse_same_or_better)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct exp_scores *s = made_up(seed, 40);
        struct exp_quality_options o = at_theta(s, 0.1);
        struct exp_quality_result r = result_of(s, set_of(s, "b", NULL), &o);
        uint64_t samples = 0, negatives = 0, fixed = 0;
        for (uint32_t t = 0; t < s->n_tasks; t++) {
            samples += r.task[t].samples;
            negatives += r.task[t].negatives;
            fixed += r.task[t].fixed;
        }
        ck_assert_uint_eq(samples, r.all.samples);
        ck_assert_uint_eq(negatives, r.all.negatives);
        ck_assert_uint_eq(fixed, r.all.fixed);
        ck_assert_uint_eq(r.all.worse + r.all.same + r.all.better, samples);
        ck_assert_uint_eq(r.all.zeroed + r.all.partial, negatives);
        ck_assert_uint_eq(samples + r.missing, 120);
        exp_quality_result_fini(&r);
        exp_scores_free(s);
    }
}
END_TEST

/* Complete scores, so that both directions stand on the same samples. */
START_TEST(what_is_fixed_is_negative_with_the_roles_exchanged)
{
    const char *path = TEST_SHARED(RELEASED);
    struct exp_scores *s = scores_of_file(path);
    struct exp_quality_options there = at_theta(s, 0.1), back = there;
    back.baseline = method(s, KIVI2);
    struct exp_quality_result a = result_of(s, set_of(s, KIVI2, NULL), &there),
                              b = result_of(s, set_of(s, "hf", NULL), &back);
    ck_assert_uint_eq(a.all.fixed, b.all.negatives);
    ck_assert_uint_eq(a.all.negatives, b.all.fixed);
    ck_assert_uint_eq(a.all.worse, b.all.better);
    exp_quality_result_fini(&a);
    exp_quality_result_fini(&b);
    exp_scores_free(s);
}
END_TEST

START_TEST(full_kv_against_itself_changes_nothing)
{
    struct exp_scores *s = made_up(3, 50);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, "hf", NULL), &o);
    struct exp_quality_bands b = exp_quality_bootstrap(s, &r, &o, 200, 1);
    ck_assert_uint_eq(r.all.negatives + r.all.fixed + r.all.worse + r.all.better + r.missing, 0);
    ck_assert_double_eq(b.negative_rate.mean, 0);
    ck_assert_double_eq(b.negative_rate.lo, 0);
    ck_assert_double_eq_tol(b.newly_failing.hi, 1 - pow(0.05, 1.0 / 150), 1e-12); /* none of 150 */
    ck_assert_double_eq(b.net.hi, 0);
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

/* ---- intervals ---- */

START_TEST(intervals_are_the_same_for_the_same_seed_and_hold_the_count)
{
    struct exp_scores *s = made_up(5, 200);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, "a", NULL), &o);
    struct exp_quality_bands a = exp_quality_bootstrap(s, &r, &o, 500, 7),
                             b = exp_quality_bootstrap(s, &r, &o, 500, 7),
                             c = exp_quality_bootstrap(s, &r, &o, 500, 8),
                             none = exp_quality_bootstrap(s, &r, &o, 0, 7);
    ck_assert_mem_eq(&a.negative_rate, &b.negative_rate, sizeof a.negative_rate);
    ck_assert_mem_eq(&a.mean_change, &b.mean_change, sizeof a.mean_change);
    ck_assert_double_ne(a.worse.lo + a.worse.hi, c.worse.lo + c.worse.hi);
    ck_assert_double_eq(a.newly_failing.mean, (double)r.all.negatives / (double)r.all.samples);
    ck_assert_double_eq(a.negative_rate.mean, (double)r.all.negatives / (double)r.all.benign);
    ck_assert_double_lt(a.newly_failing.lo, a.newly_failing.mean);
    ck_assert_double_gt(a.newly_failing.hi, a.newly_failing.mean);
    ck_assert(isnan(none.worse.lo) && isnan(none.worse.hi));
    ck_assert(isnan(a.length_ratio.mean));
    exp_quality_result_fini(&r);
    exp_scores_free(s);
}
END_TEST

/* 300 samples of two tasks that a method fails with 10 and 30 %: 20 % of all newly fail. Of 200 draws of such samples the
 * 90 % interval holds 20 % about 180 times; fewer than 165 or more than 195 happen once in a thousand. */
START_TEST(the_interval_covers_the_truth_nine_times_of_ten)
{
    int covered = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        fputs("alg,params,task,id,score\n", f);
        for (int i = 0; i < 300; i++) {
            bool fails = sim_random_unit(seed, 9, (uint64_t)i) < (i % 2 ? 0.1 : 0.3);
            fprintf(f, "hf,,t%d,%d,1\nm,,t%d,%d,%d\n", i % 2, i, i % 2, i, !fails);
        }
        fclose(f);
        struct exp_scores *s = scores_of(text);
        struct exp_quality_options o = at_theta(s, 0.1);
        struct exp_quality_result r = result_of(s, set_of(s, "m", NULL), &o);
        struct exp_quality_bands b = exp_quality_bootstrap(s, &r, &o, 400, seed);
        covered += b.newly_failing.lo <= 0.2 && b.newly_failing.hi >= 0.2;
        exp_quality_result_fini(&r);
        exp_scores_free(s);
        free(text);
    }
    ck_assert_int_ge(covered, 165);
    ck_assert_int_le(covered, 195);
}
END_TEST

/* The spread of a stratified mean: sum over tasks of share squared x p (1 - p) / n. */
START_TEST(the_interval_is_as_wide_as_theory_says)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    fputs("alg,params,task,id,score\n", f);
    for (int i = 0; i < 2000; i++)
        fprintf(f, "hf,,t%d,%d,1\nm,,t%d,%d,%d\n", i % 2, i, i % 2, i, i % 2 ? i % 20 != 1 : i % 4 != 0);
    fclose(f);
    struct exp_scores *s = scores_of(text);
    struct exp_quality_options o = at_theta(s, 0.1);
    struct exp_quality_result r = result_of(s, set_of(s, "m", NULL), &o);
    struct exp_quality_bands b = exp_quality_bootstrap(s, &r, &o, 4000, 1);
    double sigma =
        sqrt((0.5 * 0.5 + 0.1 * 0.9) / 4 / 1000); /* half of one task fails, a tenth of the other */
    ck_assert_double_eq_tol(b.newly_failing.mean, 0.3, 1e-12);
    ck_assert_double_eq_tol(b.newly_failing.hi - b.newly_failing.lo, 2 * 1.645 * sigma,
                            0.06 * 2 * 1.645 * sigma);
    ck_assert_double_eq_tol(b.mean_change.mean, -0.3, 1e-12);
    exp_quality_result_fini(&r);
    exp_scores_free(s);
    free(text);
}
END_TEST

/* ---- the study ---- */

static struct exp_quality_question question_of(const struct exp_scores *s, struct exp_quality_set *sets,
                                               uint32_t n)
{
    return (struct exp_quality_question){.options = at_theta(s, 0.1),
                                         .n_sets = n,
                                         .set = sets,
                                         .n_thetas = 2,
                                         .theta = {0.1, 0.5},
                                         .rerun = UINT32_MAX,
                                         .n_draws = 50,
                                         .n_threads = 2,
                                         .guard_rate = NAN};
}

START_TEST(common_puts_all_methods_on_the_samples_that_all_have)
{
    struct exp_scores *s = made_up(2, 50);
    struct exp_quality_set sets[] = {set_of(s, "a", NULL), set_of(s, "b", NULL), set_of(s, "c", NULL)};
    struct exp_quality_question q = question_of(s, sets, 3);
    struct exp_quality_study apart, common;
    struct sim_status st = {0};
    ck_assert_msg(exp_quality_study(s, &q, &apart, &st), "%s", st.message);
    q.common = true;
    ck_assert_msg(exp_quality_study(s, &q, &common, &st), "%s", st.message);
    uint64_t all = 0;
    for (uint32_t i = 0; i < s->n_samples; i++) {
        bool every = true;
        for (uint32_t m = 0; m < s->n_methods; m++) every &= !isnan(s->score[m][i].score);
        all += every;
    }
    for (uint32_t k = 0; k < 3; k++) {
        ck_assert_uint_eq(exp_quality_at(&common, k, 0)->result.all.samples, all);
        ck_assert_uint_gt(exp_quality_at(&apart, k, 0)->result.all.samples, all);
    }
    ck_assert_uint_gt(apart.notes.n, 0);
    exp_quality_study_fini(&apart);
    exp_quality_study_fini(&common);
    exp_scores_free(s);
}
END_TEST

START_TEST(strict_refuses_what_is_missing_and_names_the_tasks)
{
    struct exp_scores *s = made_up(2, 50);
    struct exp_quality_set sets[] = {set_of(s, "a", NULL)};
    struct exp_quality_question q = question_of(s, sets, 1);
    struct exp_quality_study x;
    struct sim_status st = {0};
    q.strict = true;
    ck_assert(!exp_quality_study(s, &q, &x, &st));
    ck_assert_msg(strstr(st.message, "--strict: a lacks") && strstr(st.message, "t0"), "%s", st.message);
    exp_scores_free(s);
}
END_TEST

START_TEST(the_number_of_threads_changes_nothing)
{
    struct exp_scores *s = made_up(4, 80);
    struct exp_quality_set sets[] = {set_of(s, "a", NULL), set_of(s, "b", NULL), set_of(s, "a", "c")};
    struct exp_quality_question q = question_of(s, sets, 3), other = q;
    struct exp_quality_study x, y;
    struct sim_status st = {0};
    other.n_threads = 1;
    ck_assert(exp_quality_study(s, &q, &x, &st) && exp_quality_study(s, &other, &y, &st));
    json_t *a = exp_quality_json(&x, 3), *b = exp_quality_json(&y, 3);
    ck_assert(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    exp_quality_study_fini(&x);
    exp_quality_study_fini(&y);
    exp_scores_free(s);
}
END_TEST

static void add_published(Suite *s)
{
    TCase *c = tcase_create("published");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, the_published_table_of_thresholds_comes_out_exactly);
    tcase_add_test(c, the_published_tasks_of_h2o_come_out_exactly);
    tcase_add_test(c, the_released_common_negatives_of_both_quantisations_come_out_by_task);
    tcase_add_test(c, the_code_s_rule_finds_one_negative_of_kivi_more);
    tcase_add_test(c, published_score_changes_and_mean_scores_come_out);
    tcase_add_test(c, table_7_of_the_paper_is_the_mean_of_means_over_common_negatives);
    tcase_add_test(c, a_method_that_lacks_a_task_is_judged_on_the_others);
    tcase_add_test(c, what_is_fixed_is_negative_with_the_roles_exchanged);
    suite_add_tcase(s, c);
}

Suite *test_suite(void)
{
    Suite *s = suite_create("quality");
    TCase *c = tcase_create("quality");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_small_table_is_counted_as_by_hand);
    tcase_add_test(c, benign_by_the_median_takes_the_upper_half);
    tcase_add_test(c, equal_scores_are_all_at_their_mean);
    tcase_add_test(c, the_worst_cases_come_in_the_order_of_their_fall);
    tcase_add_test(c, the_record_has_the_counts_of_each_task);
    tcase_add_test(c, methods_without_a_common_sample_are_refused_with_ids);
    tcase_add_test(c, a_larger_theta_finds_no_more_negatives_and_the_code_no_fewer_than_the_paper);
    tcase_add_test(c, a_set_is_negative_where_all_of_its_methods_are);
    tcase_add_test(c, tasks_add_up_and_every_sample_is_worse_same_or_better);
    tcase_add_test(c, full_kv_against_itself_changes_nothing);
    tcase_add_test(c, intervals_are_the_same_for_the_same_seed_and_hold_the_count);
    tcase_add_test(c, the_interval_covers_the_truth_nine_times_of_ten);
    tcase_add_test(c, the_interval_is_as_wide_as_theory_says);
    tcase_add_test(c, common_puts_all_methods_on_the_samples_that_all_have);
    tcase_add_test(c, strict_refuses_what_is_missing_and_names_the_tasks);
    tcase_add_test(c, the_number_of_threads_changes_nothing);
    suite_add_tcase(s, c);
    add_published(s);
    return s;
}
