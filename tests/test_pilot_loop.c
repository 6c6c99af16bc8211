/* The whole loop on one small decision: what to measure, the files, a simulated pilot fed back, and what it does to
 * P(saving > 0). The decision is made once. */
#include "experiments/planning/sheet/facts.h"
#include "tests/pilot_help.h"

#include <unistd.h>

static struct exp_cache *cache;
static struct mdl_prices *prices;
static struct exp_plan *plan;
static struct exp_decision *decision;

static const char text[] =
    "model: llama-3.1-8b\n"
    "load: {trace: traces/samples/demo.csv, multiply: 6, max_requests: 3000}\n"
    "classes:\n"
    "  critical: {slo: {ttft_ms: 4000, percentile: 95}, cost_per_failure: 0.001, max_failure_rate: 0.1, "
    "assign: {min_input_tokens: 3000}}\n"
    "  default: {slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}}\n"
    "search: {gpu: [l40s], tensor_parallel: [1], strategy: [full, int8]}\n";

static void setup(void)
{
    struct sim_status st = {0};
    struct exp_decision_options o = {.n_threads = 2};
    cache = plan_cache();
    prices = plan_prices(cache);
    plan = plan_of(text, cache);
    decision = sim_alloc(1, sizeof *decision);
    ck_assert_msg(exp_decide(plan, prices, cache, &o, decision, &st), "%s", st.message);
    ck_assert_ptr_nonnull(exp_pilot_row(decision));
    ck_assert_str_eq(exp_pilot_row(decision)->entry->candidate.contender->label, "int8");
}

static void teardown(void)
{
    exp_decision_fini(decision);
    free(decision);
    exp_plan_free(plan);
    free(prices);
    exp_cache_free(cache);
}

static struct exp_pilot_plan made(void)
{
    struct exp_pilot_plan p;
    struct sim_status st = {0};
    ck_assert_msg(exp_pilot_make(decision, cache, &p, &st), "%s", st.message);
    return p;
}

/* ---- what to measure ---- */

START_TEST(limits_are_where_the_saving_turns)
{
    struct exp_pilot_limits l = exp_pilot_limits_of(decision);
    double npv = exp_pilot_row(decision)->returns.npv;
    ck_assert_double_gt(npv, 0);
    ck_assert_double_eq_tol(exp_pilot_npv(decision, 1, 1, NAN), npv, 1e-6 * fabs(npv));
    ck_assert(isfinite(l.step_time) && isfinite(l.length));
    ck_assert_double_gt(exp_pilot_npv(decision, l.step_time, 1, NAN), 0);
    ck_assert_double_le(exp_pilot_npv(decision, l.step_time * 1.0002, 1, NAN), 0);
    ck_assert_double_gt(exp_pilot_npv(decision, 1, l.length, NAN), 0);
    ck_assert_double_le(exp_pilot_npv(decision, 1, l.length * 1.0002, NAN), 0);
    if (isfinite(l.failing)) ck_assert_double_le(exp_pilot_npv(decision, 1, 1, l.failing * 1.0002), 0);
}
END_TEST

START_TEST(stages_begin_in_the_shadow_and_end_with_what_must_not_fail)
{
    struct exp_pilot_plan p = made();
    double hours = 0;
    ck_assert_uint_eq(p.n_stages, 3);
    ck_assert_str_eq(p.stage[0].name, "shadow");
    ck_assert_str_eq(p.stage[0].class, "");
    ck_assert_str_eq(p.stage[1].class, "default");
    ck_assert_str_eq(p.stage[2].class, "critical");
    ck_assert_uint_eq(p.n_critical, 30); /* 3 / 0.1 */
    ck_assert_uint_eq(p.stage[2].n_quality, 30);
    ck_assert_uint_eq(p.stage[2].failures_allowed, 0);
    for (uint32_t i = 0; i < p.n_stages; i++) {
        const struct exp_pilot_stage *s = &p.stage[i];
        ck_assert(s->traffic_frac > 0 && s->traffic_frac <= (i ? 0.5 : 1));
        ck_assert(s->n_latency >= 30 && s->n_length >= 30 && s->n_quality >= 30 && s->hours > 0);
        hours += s->hours;
    }
    ck_assert_double_eq_tol(p.hours, hours, 1e-9);
    ck_assert(p.apart && p.latency_rel_error >= 0.02 && p.latency_rel_error <= 0.1);
    ck_assert_double_eq_tol(p.length_ratio_max, p.limits.length,
                            1e-12); /* int8 is taken to change no lengths */
    ck_assert_double_gt(p.cost, 0);
    /* twice the same: a function of the decision alone */
    struct exp_pilot_plan again = made();
    ck_assert_mem_eq(again.stage, p.stage, sizeof p.stage);
}
END_TEST

/* An arm sees the load of a replica of the fleet, at most what there is today; hours follow from both. */
START_TEST(hours_are_requests_over_the_arms_mean_rate)
{
    struct exp_pilot_plan p = made();
    const struct exp_pilot_stage *s = &p.stage[0];
    double rate = p.load_factor * decision->requests_per_s_needed, shape[EXP_DAY_HOURS], mean = 0;
    double n = fmax(fmax((double)s->n_latency, (double)s->n_length), fmax((double)s->n_quality, 30));
    exp_plan_day(plan, shape);
    for (int h = 0; h < EXP_DAY_HOURS; h++) mean += shape[h] / EXP_DAY_HOURS;
    ck_assert_double_eq_tol(s->hours, n / (rate * mean) / 3600, 1e-9 * s->hours);
    double replica = decision->requests_per_s_needed / exp_pilot_row(decision)->entry->n_replicas;
    ck_assert_double_eq_tol(rate, fmin(replica, decision->requests_per_s_today), 1e-9);
    ck_assert_double_eq_tol(s->traffic_frac, rate / decision->requests_per_s_today, 1e-9);
}
END_TEST

START_TEST(the_screen_fits_eighty_columns_and_json_has_no_number_that_is_none)
{
    struct exp_pilot_plan p = made();
    const char *path = test_file("screen.txt", "");
    FILE *out = fopen(path, "w+");
    char line[400];
    exp_pilot_print(decision, &p, false, out);
    rewind(out);
    int n = 0;
    for (; fgets(line, sizeof line, out); n++) ck_assert_uint_le(strcspn(line, "\n"), 80);
    ck_assert_int_gt(n, 15);
    ck_assert_int_lt(n, 50);
    fclose(out);
    p.cost = NAN;
    p.limits.failing = INFINITY;
    json_t *o = exp_pilot_json(decision, &p);
    ck_assert_ptr_nonnull(o);
    ck_assert(json_is_null(json_object_get(o, "cost")));
    ck_assert_uint_eq(json_array_size(json_object_get(o, "stages")), 3);
    char *dump = json_dumps(o, 0);
    ck_assert_ptr_nonnull(dump);
    free(dump);
    json_decref(o);
}
END_TEST

/* ---- files ---- */

static char *folder(const char *name)
{
    return sim_printf("%s/%s", test_dir(), name);
}

static bool written(const char *dir, struct sim_status *st)
{
    struct exp_pilot_plan p = made();
    return exp_pilot_write(decision, &p, cache, dir, st);
}

START_TEST(every_file_of_the_folder_reads_back)
{
    struct sim_status st = {0};
    char *dir = folder("pilot"), *measured = sim_printf("%s/measured.csv", dir);
    ck_assert_msg(written(dir, &st), "%s", st.message);
    static const char *const arms[] = {"scenario-baseline.yaml", "scenario-candidate.yaml"};
    struct exp_arm_machines there[EXP_N_ARMS], read[EXP_N_ARMS];
    ck_assert(exp_pilot_arms(decision, cache, there, &st));
    for (int a = 0; a < EXP_N_ARMS; a++) {
        char *path = sim_printf("%s/%s", dir, arms[a]);
        struct exp_scenario *s = exp_scenario_load(path, &st);
        ck_assert_msg(s && exp_scenario_check(s, &st), "%s", st.message);
        ck_assert_uint_eq(s->n_fleets, 1);
        ck_assert_uint_eq(s->fleet[0].replicas, 1);
        ck_assert_str_eq(mdl_strategy_at((size_t)s->fleet[0].kv.strategy)->name, a ? "int8" : "full");
        ck_assert_double_eq_tol(s->workload.multiply, 6 * made().load_factor, 1e-9);
        free(s);
        free(path);
        read[a] = there[a];
        read[a].replicas = 7;
        read[a].candidate.gpu = NULL;
        read[a].candidate.tensor_parallel = 5;
        snprintf(read[a].contender.label, sizeof read[a].contender.label, "kivi4");
    }
    ck_assert_msg(exp_pilot_arms_read(measured, cache, read, &st), "%s", st.message);
    for (int a = 0; a < EXP_N_ARMS; a++) {
        ck_assert_uint_eq(read[a].replicas, 1);
        ck_assert_ptr_eq(read[a].candidate.gpu, there[a].candidate.gpu);
        ck_assert_uint_eq(read[a].candidate.tensor_parallel, there[a].candidate.tensor_parallel);
        ck_assert_str_eq(read[a].contender.label, there[a].contender.label);
    }
    struct exp_pilot_findings f;
    ck_assert(!exp_pilot_read(decision, cache, measured, NULL, &f, &st));
    ck_assert_msg(strstr(st.message, "0 requests of arm baseline"), "%s", st.message);
    free(measured);
    free(dir);
}
END_TEST

START_TEST(measurements_are_never_written_over)
{
    struct sim_status st = {0};
    char *dir = folder("kept"), *measured = sim_printf("%s/measured.csv", dir),
         *page = sim_printf("%s/pilot.md", dir);
    ck_assert(written(dir, &st));
    ck_assert_msg(written(dir, &st), "%s", st.message); /* templates may be */
    ck_assert_int_eq(remove(page), 0);
    FILE *out = fopen(measured, "a");
    fputs("baseline,1,,0,10,10,0.1,0.01,,\n", out);
    fclose(out);
    ck_assert(!written(dir, &st));
    ck_assert_msg(strstr(st.message, "measured.csv: holds rows already"), "%s", st.message);
    ck_assert_int_ne(access(page, F_OK), 0); /* all or none */
    ck_assert(exp_csv_has_rows(measured));
    free(page);
    free(measured);
    free(dir);
}
END_TEST

/* ---- fed back ---- */

/* The decision's own arms, played. */
static const char *piloted(double slower, double longer, const char *failed)
{
    struct pilot *p = sim_alloc(1, sizeof *p);
    struct sim_status st = {0};
    struct played base = as_predicted, cand = as_predicted;
    p->cache = cache;
    p->plan = plan_of(text, cache);
    p->plan->base->workload.multiply *= made().load_factor;
    ck_assert(exp_pilot_arms(decision, cache, p->arm, &st));
    cand.slower = slower;
    cand.longer = longer;
    if (failed) base.failed_frac = cand.failed_frac = 0;
    const char *path = played_file(p, &base, &cand);
    exp_plan_free(p->plan);
    free(p);
    return path;
}

struct outcome {
    double p_saving, npv, width;
    enum exp_verdict_word word;
};

static struct outcome outcome_of(void)
{
    const struct exp_decision_row *row = decision->pilot ? exp_row_tried(decision) : exp_pilot_row(decision);
    char why[300];
    return (struct outcome){row->risk.p_saving, row->returns.npv, row->risk.npv.hi - row->risk.npv.lo,
                            exp_pilot_verdict(decision, why, sizeof why)};
}

/* Feeds a pilot back and leaves the decision as it was. */
static struct outcome after(double slower, double longer)
{
    struct sim_status st = {0};
    static const struct exp_pilot_findings none = {.speed = NAN, .baseline_speed = NAN, .length = NAN};
    struct exp_option *kept = sim_alloc(decision->n_finalists, sizeof *kept);
    struct exp_pilot_findings f;
    const char *path = piloted(slower, longer, NULL);
    memcpy(kept, decision->option, decision->n_finalists * sizeof *kept);
    ck_assert_msg(exp_pilot_read(decision, cache, path, NULL, &f, &st), "%s", st.message);
    exp_decision_take_pilot(decision, &f, 2);
    struct outcome o = outcome_of();
    memcpy(decision->option, kept, decision->n_finalists * sizeof *kept);
    exp_decision_take_pilot(decision, &none, 2);
    decision->pilot = NULL;
    free(kept);
    return o;
}

START_TEST(a_simulated_pilot_narrows_the_saving_in_the_right_direction)
{
    struct outcome before = outcome_of(), as_said = after(1, 1), faster = after(0.85, 1),
                   slower = after(1.3, 1), longer = after(1, 1.5);
    ck_assert(before.p_saving > 0.02 && before.p_saving < 0.98); /* something is open */
    ck_assert_double_lt(as_said.width, before.width);
    ck_assert_double_eq_tol(as_said.npv, before.npv, 0.3 * fabs(before.npv) + 1);
    ck_assert_double_gt(faster.p_saving, before.p_saving);
    ck_assert_double_gt(faster.p_saving, 0.7);
    ck_assert_double_ge(faster.npv, as_said.npv);
    ck_assert_double_lt(slower.p_saving, before.p_saving);
    ck_assert_double_lt(slower.p_saving, 0.1);
    ck_assert_double_lt(slower.npv, as_said.npv);
    ck_assert_int_eq(slower.word, EXP_STOP);
    ck_assert_double_lt(longer.p_saving, before.p_saving);
    ck_assert_double_lt(longer.npv, as_said.npv);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("pilot loop");
    TCase *t = tcase_create("loop");
    tcase_add_unchecked_fixture(t, setup, teardown);
    tcase_add_test(t, limits_are_where_the_saving_turns);
    tcase_add_test(t, stages_begin_in_the_shadow_and_end_with_what_must_not_fail);
    tcase_add_test(t, hours_are_requests_over_the_arms_mean_rate);
    tcase_add_test(t, the_screen_fits_eighty_columns_and_json_has_no_number_that_is_none);
    tcase_add_test(t, every_file_of_the_folder_reads_back);
    tcase_add_test(t, measurements_are_never_written_over);
    tcase_add_test(t, a_simulated_pilot_narrows_the_saving_in_the_right_direction);
    tcase_set_timeout(t, 120);
    suite_add_tcase(s, t);
    return s;
}
