/* Go, extend or stop: the table of what a pilot can show. */
#include "tests/pilot_help.h"

#define PILOT_TWO_CLASSES                                                                                    \
    PILOT_PLAN "classes:\n"                                                                                  \
               "  default: {slo: {ttft_ms: 1000, percentile: 99}, cost_per_failure: 0.01}\n"                 \
               "  critical: {slo: {ttft_ms: 500, percentile: 99}, cost_per_failure: 1, max_failure_rate: "   \
               "0.001, assign: {min_input_tokens: 4000}}\n"

/* All is well: every reason but money is satisfied. */
static struct exp_pilot_findings good(const struct pilot *p)
{
    struct exp_pilot_findings f = {.n_candidate = 4000, .n_baseline = 4000};
    exp_candidate_label(&p->entry.candidate, f.candidate, sizeof f.candidate);
    for (int c = 0; c < 2; c++)
        f.class[c] = (struct exp_pilot_class){.requests = 4000, .good = 3990, .answers = 4000};
    return f;
}

static enum exp_verdict_word verdict(struct pilot *p, const struct exp_pilot_findings *f, char *why,
                                     uint32_t size)
{
    struct exp_finalist any = {.entry = &p->entry};
    p->decision.pilot = f;
    p->row.finalist = &any;
    enum exp_verdict_word word = exp_pilot_verdict(&p->decision, why, size);
    p->decision.pilot = NULL;
    p->row.finalist = NULL;
    return word;
}

static void says(struct pilot *p, const struct exp_pilot_findings *f, enum exp_verdict_word expected,
                 const char *needle)
{
    char why[400];
    enum exp_verdict_word word = verdict(p, f, why, sizeof why);
    ck_assert_msg(word == expected, "%s, expected %s: %s", exp_verdict_name(word), exp_verdict_name(expected),
                  why);
    ck_assert_msg(strstr(why, needle), "`%s` lacks `%s`", why, needle);
    ck_assert_ptr_null(strchr(why, '\n'));
}

START_TEST(money_alone_goes_from_nine_tenths_on_and_stops_at_a_half)
{
    static const struct {
        double p;
        enum exp_verdict_word word;
    } table[] = {{1, EXP_GO},         {0.9, EXP_GO},   {0.899, EXP_EXTEND},
                 {0.501, EXP_EXTEND}, {0.5, EXP_STOP}, {0, EXP_STOP}};
    struct pilot *p = pilot_new(PILOT_TWO_CLASSES, "kivi4");
    struct exp_pilot_findings f = good(p);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        p->row.risk.p_saving = table[i].p;
        says(p, &f, table[i].word, "P(saving > 0)");
    }
    p->row.risk.p_saving = 0.8996;
    says(p, &f, EXP_EXTEND, "P(saving > 0) 0.8996");
    p->row.risk.p_saving = NAN;
    says(p, &f, EXP_EXTEND, "nothing to save against");
    pilot_free(p);
}
END_TEST

START_TEST(service_levels_stop_when_they_are_surely_missed_and_extend_when_they_may_be)
{
    struct pilot *p = pilot_new(PILOT_TWO_CLASSES, "kivi4");
    struct exp_pilot_findings f = good(p);
    p->row.risk.p_saving = 0.95;
    f.class[0].good = 3960; /* 99 % exactly */
    says(p, &f, EXP_GO, "P(saving");
    f.class[0].good = 3955; /* 45 misses where 40 are expected: 24 % of all pilots have as many */
    says(p, &f, EXP_EXTEND, "class default within its limits");
    f.class[0] = (struct exp_pilot_class){.requests = 100000, .good = 98999};
    says(p, &f, EXP_EXTEND, "98.99 % of class default within its limits, expected 99, not");
    f.class[0] = (struct exp_pilot_class){.requests = 100000, .good = 74194}; /* where GSL has no bound */
    says(p, &f, EXP_STOP, "74.19 % of class default");
    f = good(p);
    f.class[0].good = 3920; /* 80 */
    says(p, &f, EXP_STOP, "98 % of class default");
    f.class[0] = (struct exp_pilot_class){.answers = 1};
    says(p, &f, EXP_EXTEND, "no request of class default");
    f = good(p);
    f.answers = 0;
    p->decision.best = 1; /* another one, while failures have a price */
    says(p, &f, EXP_EXTEND, "not scored");
    f.answers = 4000;
    says(p, &f, EXP_GO, "");
    p->decision.best = 0;
    p->decision.check_sla = EXP_FAIL;
    says(p, &f, EXP_EXTEND, "predicted");
    pilot_free(p);
}
END_TEST

START_TEST(failures_of_a_class_with_a_limit_need_three_over_the_limit_without_one)
{
    struct pilot *p = pilot_new(PILOT_TWO_CLASSES, "kivi4");
    struct exp_pilot_findings f = good(p);
    p->row.risk.p_saving = 0.95;
    f.class[1].answers = 2994; /* 1 - 0.05^(1/n) is 0.0010001 */
    says(p, &f, EXP_EXTEND, "0 of 2994 answers of class critical fail, need 0 of 3000");
    f.class[1].answers = 2995;
    says(p, &f, EXP_GO, "");
    f.class[1].failures = 1;
    says(p, &f, EXP_EXTEND, "1 of 2995");
    f.class[1].failures = 7; /* P(X >= 7 | 2995, 0.001) = 3.4 % */
    says(p, &f, EXP_STOP, "at most 0.1 % may");
    f = good(p);
    f.class[0].failures = 400; /* no limit there: money has it */
    says(p, &f, EXP_GO, "");
    f.critical = 420;
    says(p, &f, EXP_EXTEND, "0 of 420 critical cases fail, need 0 of 3000");
    f.critical = 3000;
    says(p, &f, EXP_GO, "");
    f.critical_failures = 30;
    says(p, &f, EXP_STOP, "critical cases");
    f = good(p);
    p->plan->class[1].max_failure_rate = 0;
    says(p, &f, EXP_EXTEND, "0 of 4000 answers of class critical fail, need 0 of 3000000");
    f.class[1].failures = 1;
    says(p, &f, EXP_STOP, "1 of 4000");
    pilot_free(p);
}
END_TEST

START_TEST(a_stop_outweighs_what_only_asks_for_more)
{
    struct pilot *p = pilot_new(PILOT_TWO_CLASSES, "kivi4");
    struct exp_pilot_findings f = good(p);
    char why[400];
    p->row.risk.p_saving = 0.7;
    f.class[1].answers = 10;
    f.class[0].good = 0;
    ck_assert_int_eq(verdict(p, &f, why, sizeof why), EXP_STOP);
    ck_assert_ptr_null(strstr(why, "P(saving"));
    ck_assert_ptr_null(strstr(why, "critical"));
    char small[12];
    ck_assert_int_eq(verdict(p, &f, small, sizeof small), EXP_STOP);
    ck_assert_uint_eq(strlen(small), sizeof small - 1);
    pilot_free(p);
}
END_TEST

START_TEST(without_a_pilot_there_is_nothing_to_judge)
{
    struct pilot *p = pilot_new(PILOT_TWO_CLASSES, "kivi4");
    char why[200];
    ck_assert_int_eq(exp_pilot_verdict(&p->decision, why, sizeof why), EXP_EXTEND);
    struct exp_pilot_findings f = good(p);
    p->decision.pilot = &f;
    p->decision.best = UINT32_MAX;
    ck_assert_int_eq(exp_pilot_verdict(&p->decision, why, sizeof why), EXP_STOP);
    pilot_free(p);
}
END_TEST

/* What a pilot of little traffic looks like on paper: whole shares, hours by the thousand, limits far away. */
START_TEST(no_figure_on_paper_has_an_exponent)
{
    struct pilot *p = pilot_new(PILOT_TWO_CLASSES, "kivi4");
    struct exp_pilot_plan *plan = sim_alloc(1, sizeof *plan);
    *plan = (struct exp_pilot_plan){
        .apart = true,
        .load_factor = 1,
        .n_stages = 2,
        .stage = {{.name = "shadow", .traffic_frac = 1, .n_latency = 30, .hours = 1234}},
        .latency_rel_error = 0.02,
        .length_rel_error = 0.1,
        .limits = {INFINITY, 3.5, 0.999},
        .length_ratio_max = INFINITY,
        .hours = 54321,
        .cost = NAN};
    plan->stage[1] = (struct exp_pilot_stage){.name = "live", .class = "default", .n_latency = 3000};
    p->decision.requests_per_s_needed = 4321;
    p->row.returns.npv = 1000;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    exp_pilot_print(&p->decision, plan, false, out);
    fclose(out);
    static const char *const says[] = {" 100 % ",
                                       " 1,234\n",
                                       "gets 4,321\n",
                                       "About 54,321 hours",
                                       "answers 3.5 x",
                                       "100 % newly",
                                       "of 2 % in latency",
                                       "of 10 % in length",
                                       "requests outside TTFT 1,000 ms (99 %"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        ck_assert_msg(strstr(text, says[i]) != NULL, "`%s` is not in\n%s", says[i], text);
    ck_assert_ptr_null(strstr(text, "e+0"));
    ck_assert_ptr_null(strstr(text, "inf"));
    free(text);
    free(plan);
    pilot_free(p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("pilot verdict");
    TCase *t = tcase_create("table");
    tcase_add_test(t, money_alone_goes_from_nine_tenths_on_and_stops_at_a_half);
    tcase_add_test(t, service_levels_stop_when_they_are_surely_missed_and_extend_when_they_may_be);
    tcase_add_test(t, failures_of_a_class_with_a_limit_need_three_over_the_limit_without_one);
    tcase_add_test(t, a_stop_outweighs_what_only_asks_for_more);
    tcase_add_test(t, without_a_pilot_there_is_nothing_to_judge);
    tcase_add_test(t, no_figure_on_paper_has_an_exponent);
    suite_add_tcase(s, t);
    return s;
}
