/* Whole studies of strategies on a small load: the same on any number of threads, full's row against a run of its own,
 * what longer outputs add against a study without them, rows that cannot run, and what is written. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/compare.h"
#include "sim/csv_in.h"
#include "sim/memory.h"
#include "sim/outfile.h"
#include "tests/harness.h"

static const char base_text[] =
    "model: llama-3.1-8b\n"
    "fleet:\n"
    "  - {gpu: h100-sxm, replicas: 2, profile: analytic}\n"
    "workload: {open_loop: {request_rate: 8, num_requests: 120, input_tokens: 3000, output_tokens: 60}}\n"
    "slo: {ttft_ms: 500, tpot_ms: 50}\n";

/* ---- one study ---- */

struct outcome {
    bool ok;
    struct exp_compare c;
    struct sim_status st;
};

/* `settings` as --set has them, ended by NULL. */
static struct exp_scenario *scenario_of(const char *text, const char *const *settings)
{
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("t.yaml", text, strlen(text), &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    for (; settings && *settings; settings++)
        ck_assert_msg(exp_scenario_set_option(s, *settings, &st), "%s", st.message);
    return s;
}

static struct exp_cache *cache_new(void)
{
    struct sim_status st = {0};
    struct exp_cache *cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
    return cache;
}

static struct outcome study(const struct exp_scenario *s, const char *strategies,
                            struct exp_compare_options options)
{
    struct outcome out = {0};
    struct exp_contenders *contenders = sim_alloc(1, sizeof *contenders);
    struct exp_cache *cache = cache_new();
    ck_assert_msg(exp_contenders_parse(strategies, contenders, &out.st), "%s", out.st.message);
    options.contenders = contenders;
    out.ok = exp_compare_run(s, cache, &options, &out.c, &out.st);
    exp_cache_free(cache);
    free(contenders);
    return out;
}

static struct outcome study_of(const char *const *settings, const char *strategies,
                               struct exp_compare_options options)
{
    struct exp_scenario *s = scenario_of(base_text, settings);
    struct outcome out = study(s, strategies, options);
    free(s);
    return out;
}

/* With the scenario of the study and its report. */
static bool write_to(const struct outcome *o, const char *dir, struct sim_status *st)
{
    struct exp_scenario *s = scenario_of(base_text, NULL);
    struct exp_cache *cache = cache_new();
    struct exp_compare_made made = {s, exp_cache_data_dir(cache)};
    bool ok = exp_compare_write(&o->c, &made, dir, st);
    exp_cache_free(cache);
    free(s);
    return ok;
}

static void runs(const struct outcome *o, uint32_t row)
{
    ck_assert_msg(o->ok, "%s", o->st.message);
    ck_assert_msg(!o->c.row[row].why_not[0], "%s: %s", o->c.row[row].label, o->c.row[row].why_not);
}

static double value(const struct outcome *o, uint32_t row, enum exp_column c)
{
    return o->c.row[row].value[c].mean;
}

/* ---- the same on any number of threads ---- */

START_TEST(threads_change_nothing)
{
    static const uint32_t replications[] = {0, 3};
    for (int r = 0; r < 2; r++) {
        struct exp_compare_options one = {.n_threads = 1, .n_replications = replications[r]}, many = one;
        many.n_threads = 5;
        struct outcome a = study_of(
            NULL, "fp8,kivi4,h2o,streaming_llm,arkvale,freekv,freekv:budget=1024:sink=128:recent=128", one);
        struct outcome b = study_of(
            NULL, "fp8,kivi4,h2o,streaming_llm,arkvale,freekv,freekv:budget=1024:sink=128:recent=128", many);
        char *read_a = exp_compare_reading(&a.c), *read_b = exp_compare_reading(&b.c);
        ck_assert_str_eq(read_a, read_b);
        for (uint32_t i = 0; i < a.c.n_rows; i++) {
            runs(&a, i);
            runs(&b, i);
            ck_assert_mem_eq(a.c.row[i].value, b.c.row[i].value, sizeof a.c.row[i].value);
            ck_assert_mem_eq(a.c.row[i].delta, b.c.row[i].delta, sizeof a.c.row[i].delta);
            ck_assert_mem_eq(&a.c.row[i].anatomy, &b.c.row[i].anatomy, sizeof a.c.row[i].anatomy);
        }
        free(read_a);
        free(read_b);
        exp_compare_fini(&a.c);
        exp_compare_fini(&b.c);
    }
}
END_TEST

/* ---- rows against runs ---- */

START_TEST(a_row_is_what_a_run_of_that_strategy_gives)
{
    static const char *const names[] = {"full", "h2o", "freekv"};
    struct exp_scenario *s = scenario_of(base_text, NULL);
    struct outcome o = study(s, "h2o,freekv", (struct exp_compare_options){.n_threads = 2});
    struct exp_cache *cache = cache_new();
    for (uint32_t i = 0; i < 3; i++) {
        struct sim_status st = {0};
        runs(&o, i);
        ck_assert(exp_scenario_set(s, "fleet.0.kv.strategy", names[i], &st));
        struct exp_run *run = exp_run_new(s, cache, NULL, &st);
        ck_assert_msg(run != NULL, "%s", st.message);
        for (enum exp_column c = 0; c < EXP_N_COLUMNS; c++)
            if (exp_column_info(c)->of_figures && (i < 2 || c != EXP_LENGTH_MEAN))
                ck_assert_double_eq(value(&o, i, c), exp_figure(run->figures, exp_column_info(c)->key).mean);
        exp_run_free(run);
    }
    ck_assert(isnan(value(&o, 2, EXP_LENGTH_MEAN))); /* nobody published lengths of freekv */
    exp_cache_free(cache);
    exp_compare_fini(&o.c);
    free(s);
}
END_TEST

/* h2o with the budget that another of its settings was published for, and with one that none was. */
START_TEST(worse_answers_and_lengths_are_those_of_the_parameters_that_a_row_has)
{
    struct outcome o = study_of(NULL, "kivi4,kivi4:bits=2,kivi2,h2o,h2o:budget=2048,h2o:budget=3000",
                                (struct exp_compare_options){.n_threads = 2});
    static const double rates[] = {0, 86. / 1552, 305. / 1552, 305. / 1552, 544. / 1552, 242. / 1552};
    for (uint32_t i = 0; i < 6; i++) {
        runs(&o, i);
        ck_assert_double_eq(value(&o, i, EXP_NEGATIVES), rates[i]);
    }
    ck_assert(isnan(value(&o, 6, EXP_NEGATIVES)));
    ck_assert_ptr_nonnull(strstr(o.c.row[6].negative_source, "published only for budget 256, 512, 1024"));
    ck_assert_ptr_nonnull(strstr(o.c.row[5].length_source, "published only for budget 256 and 512"));
    ck_assert(isnan(value(&o, 5, EXP_LENGTH_MEAN)));
    ck_assert_double_eq(value(&o, 2, EXP_LENGTH_MEAN), value(&o, 3, EXP_LENGTH_MEAN));
    ck_assert_str_eq(o.c.row[1].length_model, "Mistral-7B-v0.1");
    ck_assert_str_eq(o.c.row[2].length_model, "Llama-3-8B-Instruct");
    ck_assert_str_eq(o.c.row[5].length_model, "");
    char *text = exp_compare_reading(&o.c);
    ck_assert_ptr_nonnull(strstr(text,
                                 "do not compare with each other: kivi4 on Mistral-7B-v0.1, kivi4:bits=2, "
                                 "kivi2 and h2o on Llama-3-8B-Instruct."));
    free(text);
    exp_compare_fini(&o.c);
}
END_TEST

#define RECORD                                                                                               \
    "strategy,parameters,task,samples,benign,negatives,fixed,worse,better,length_pairs,length_ratio,longer," \
    "empty,truncated,zeroed,critical,critical_failures,theta,rule,source\n"

/* One record for every row, and another for the row that names it. */
START_TEST(a_quality_record_of_ones_own_takes_the_place_of_the_one_that_ships)
{
    char *path =
        sim_strdup(test_file("own.csv", RECORD "fp8|kivi4,,chat,50,20,3,1,4,2,,,,,,,,,0.1,paper,ours\n"
                                               "h2o,budget=99,chat,50,20,9,1,9,2,,,,,,,,,0.1,paper,ours\n"));
    char *all = sim_printf("fleet.0.kv.quality=%s", path);
    char *list =
        sim_printf("fp8,kivi4,h2o,kivi4:quality=%s",
                   test_file("other.csv", RECORD "kivi4,,chat,8,4,1,0,1,0,,,,,,,,,0.1,code,theirs\n"));
    const char *const settings[] = {all, NULL};
    struct outcome o = study_of(settings, list, (struct exp_compare_options){.n_threads = 2});
    for (uint32_t i = 0; i < 5; i++) runs(&o, i);
    ck_assert_double_eq(value(&o, 0, EXP_NEGATIVES), 0);
    ck_assert_double_eq(value(&o, 1, EXP_NEGATIVES), 3. / 20);
    ck_assert_double_eq(value(&o, 2, EXP_NEGATIVES), 3. / 20);
    ck_assert(isnan(value(&o, 3, EXP_NEGATIVES)));
    ck_assert_str_eq(o.c.row[3].negative_source,
                     "own.csv: published only for budget 99, not for these parameters");
    ck_assert_double_eq(value(&o, 4, EXP_NEGATIVES), 1. / 4);
    ck_assert_str_eq(o.c.row[4].negative_source, "theirs");
    exp_compare_fini(&o.c);
    free(list);
    free(all);
    free(path);
}
END_TEST

START_TEST(a_quality_record_that_cannot_be_read_is_refused_by_its_key)
{
    static const char *const missing[] = {"fleet.0.kv.quality=/nonexistent/own.csv", NULL};
    char *wrong =
        sim_printf("fleet.0.kv.quality=%s",
                   test_file("own.csv", RECORD "fp8,,chat,50,20,30,1,4,2,,,,,,,,,0.1,paper,ours\n"));
    const char *const settings[] = {wrong, NULL};
    struct outcome o = study_of(missing, "fp8", (struct exp_compare_options){.n_threads = 2});
    ck_assert(!o.ok);
    ck_assert_ptr_nonnull(strstr(o.st.message, "fleet.0.kv.quality: /nonexistent/own.csv"));
    o = study_of(settings, "fp8", (struct exp_compare_options){.n_threads = 2});
    ck_assert(!o.ok);
    ck_assert_ptr_nonnull(strstr(o.st.message, "own.csv:2: negatives is 30, expected 0 to 20, as benign"));
    free(wrong);
}
END_TEST

START_TEST(without_longer_outputs_a_study_gives_what_speed_alone_does)
{
    struct outcome with = study_of(NULL, "kivi4,gear4,fp8", (struct exp_compare_options){.n_threads = 2});
    static const char *const same_length[] = {"length_shift=false", NULL};
    struct outcome without =
        study_of(same_length, "kivi4,gear4,fp8", (struct exp_compare_options){.n_threads = 2});
    ck_assert(with.c.length_shift && !without.c.length_shift);
    for (uint32_t i = 0; i < 4; i++) {
        runs(&with, i);
        runs(&without, i);
        ck_assert_double_eq(value(&with, i, EXP_E2EL_SAME_LENGTH), value(&without, i, EXP_E2EL_MEAN));
        ck_assert_double_eq(value(&without, i, EXP_LENGTH_MEAN), 0);
        ck_assert_double_eq(value(&without, i, EXP_LENGTH_LONGER), 0);
        if (i) ck_assert_double_eq(value(&without, i, EXP_E2EL_LONGER), 0);
    }
    ck_assert_double_gt(value(&with, 1, EXP_E2EL_LONGER), 0.05);
    ck_assert_double_gt(value(&with, 1, EXP_LENGTH_LONGER), 0.4);
    static const enum exp_column of_length[] = {EXP_LENGTH_MEAN, EXP_LENGTH_LONGER, EXP_E2EL_LONGER};
    for (int k = 0; k < 3; k++) { /* nobody published lengths of fp8 */
        ck_assert(isnan(value(&with, 3, of_length[k])));
        ck_assert_str_eq(exp_column_text(&with.c, of_length[k], value(&with, 3, of_length[k])).text, "-");
    }
    ck_assert_double_eq(value(&with, 0, EXP_LENGTH_MEAN), 0); /* full's are known */
    exp_compare_fini(&with.c);
    exp_compare_fini(&without.c);
}
END_TEST

/* A decode step in full's mean batch: attention of fewer bytes is shorter, and the parts are no more than the whole. */
START_TEST(a_step_is_taken_apart_into_what_it_is_made_of)
{
    struct outcome o =
        study_of(NULL, "fp8,streaming_llm,freekv,arkvale", (struct exp_compare_options){.n_threads = 2});
    for (uint32_t i = 0; i < 5; i++) {
        runs(&o, i);
        const struct exp_anatomy *a = &o.c.row[i].anatomy;
        ck_assert_double_gt(a->attention_s, 0);
        ck_assert_double_ge(a->gpu_s, a->attention_s + a->select_s);
        ck_assert_double_eq_tol(a->step_s, a->gpu_s + a->host_s + a->exposed_s, 1e-12);
        ck_assert_double_gt(a->prefill_s, a->step_s); /* 3,000 tokens */
        ck_assert_double_le(a->attention_s, o.c.row[0].anatomy.attention_s);
        double stations_s = 0;
        for (enum exp_station k = 0; k < EXP_N_STATIONS; k++) stations_s += a->station_s[k];
        ck_assert_double_eq_tol(stations_s, a->exposed_s, 1e-4 * a->exposed_s + 1e-9);
        ck_assert_int_eq(stations_s > 1e-9, i >= 3);
    }
    const double *arkvale = o.c.row[4].anatomy.station_s; /* its copies are work for one station at a time */
    ck_assert_int_eq(
        (arkvale[EXP_SUBMISSION] > 1e-9) + (arkvale[EXP_DESCRIPTORS] > 1e-9) + (arkvale[EXP_WIRE] > 1e-9), 1);
    ck_assert_double_gt(arkvale[EXP_SYNCS], 0);
    ck_assert_double_eq_tol(o.c.load.context_tokens, 3030.5, 0.6);
    ck_assert_double_eq(o.c.load.prompt_tokens, 3000);
    ck_assert_double_eq(o.c.load.output_tokens, 60);
    exp_compare_fini(&o.c);
}
END_TEST

/* ---- rows that cannot run ---- */

START_TEST(a_strategy_that_cannot_run_is_a_row_that_says_why_and_the_others_go_on)
{
    static const char *const settings[] = {"fleet.0.pipeline_parallel=2", NULL};
    struct outcome o = study_of(settings, "freekv,fp8", (struct exp_compare_options){.n_threads = 2});
    runs(&o, 0);
    runs(&o, 2);
    ck_assert_ptr_nonnull(strstr(o.c.row[1].why_not, "pipeline"));
    ck_assert_ptr_null(o.c.row[1].summary);
    exp_compare_fini(&o.c);
}
END_TEST

START_TEST(where_full_does_not_fit_the_others_are_shown_without_differences)
{
    static const char *const settings[] = {"engine.gpu_memory_utilization=0.35",
                                           "engine.max_model_len=131072", NULL};
    struct outcome o = study_of(settings, "fp8,int4", (struct exp_compare_options){.n_threads = 2});
    ck_assert_msg(o.ok, "%s", o.st.message);
    ck_assert_ptr_nonnull(strstr(o.c.row[0].why_not, "max_model_len"));
    for (uint32_t i = 1; i < 3; i++) {
        runs(&o, i);
        ck_assert_double_gt(value(&o, i, EXP_E2EL_MEAN), 0);
        ck_assert(isnan(o.c.row[i].delta[EXP_E2EL_MEAN].mean));
        ck_assert(isnan(o.c.row[i].anatomy.step_s));
    }
    char *text = exp_compare_reading(&o.c);
    ck_assert_ptr_nonnull(strstr(text, "full does not run here"));
    free(text);
    exp_compare_fini(&o.c);
}
END_TEST

START_TEST(a_wrong_scenario_fails_as_a_whole)
{
    static const char *const no_gpu[] = {"fleet.0.gpu=h1000", NULL};
    struct outcome o = study_of(no_gpu, "fp8", (struct exp_compare_options){.n_threads = 2});
    ck_assert(!o.ok);
    ck_assert_ptr_nonnull(strstr(o.st.message, "h1000"));
    o = study_of(NULL, "freekv:budget=0", (struct exp_compare_options){.n_threads = 2});
    ck_assert(!o.ok);
    ck_assert_int_eq(o.st.code, SIM_EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(o.st.message, "--strategies: freekv:budget=0"));
}
END_TEST

/* As `run` does; full would be a baseline that nobody asked for, or be gone. */
START_TEST(what_a_scenario_sets_of_another_strategy_is_refused_as_a_whole)
{
    static const char *const budget[] = {"fleet.0.kv.budget=1024", NULL};
    static const char *const pairs[] = {"fleet.0.kv.length_pairs=pairs.csv", NULL};
    struct outcome o = study_of(budget, "freekv", (struct exp_compare_options){.n_threads = 2});
    ck_assert(!o.ok);
    ck_assert_int_eq(o.st.code, SIM_EXIT_FAILURE);
    ck_assert_ptr_nonnull(strstr(o.st.message, "fleet.0.kv.budget: strategy full"));
    ck_assert_ptr_nonnull(strstr(o.st.message, "--strategies NAME:budget=1024"));
    o = study_of(pairs, "kivi4", (struct exp_compare_options){.n_threads = 2});
    ck_assert(!o.ok);
    ck_assert_int_eq(o.st.code, SIM_EXIT_FAILURE);
    ck_assert_ptr_nonnull(strstr(o.st.message, "fleet.0.kv.length_pairs"));
    static const char *const own[] = {"fleet.0.kv.strategy=freekv", "fleet.0.kv.budget=2560",
                                      "fleet.0.kv.correction_tau=0.5", NULL};
    o = study_of(own, "freekv,h2o,fp8", (struct exp_compare_options){.n_threads = 2});
    for (uint32_t i = 0; i < 4; i++) runs(&o, i);
    exp_compare_fini(&o.c);
}
END_TEST

/* Every answer half as long again, for the strategy that the scenario names, or for the row that does. */
START_TEST(measured_lengths_are_of_the_strategy_that_they_were_given_to_and_of_no_other)
{
    char *text = sim_printf("id,baseline_tokens,strategy_tokens\n");
    for (int i = 0; i < 30; i++) {
        char *more = sim_printf("%s%d,100,150\n", text, i);
        free(text);
        text = more;
    }
    char *set = sim_printf("fleet.0.kv.length_pairs=%s", test_file("p.csv", text));
    const char *const settings[] = {"fleet.0.kv.strategy=int8", set, NULL};
    struct outcome o = study_of(settings, "int8,fp8", (struct exp_compare_options){.n_threads = 2});
    for (uint32_t i = 0; i < 3; i++) runs(&o, i);
    ck_assert_double_eq(value(&o, 0, EXP_LENGTH_MEAN), 0);
    ck_assert_double_eq_tol(value(&o, 1, EXP_LENGTH_MEAN), 0.5, 1e-6);
    ck_assert(isnan(value(&o, 2, EXP_LENGTH_MEAN)));
    exp_compare_fini(&o.c);

    char *list = sim_printf("fp8,fp8:length_pairs=%s", test_file("p.csv", text));
    o = study_of(NULL, list, (struct exp_compare_options){.n_threads = 2});
    for (uint32_t i = 0; i < 3; i++) runs(&o, i);
    ck_assert(isnan(value(&o, 1, EXP_LENGTH_MEAN)));
    ck_assert_double_eq_tol(value(&o, 2, EXP_LENGTH_MEAN), 0.5, 1e-6);
    ck_assert_double_eq(value(&o, 2, EXP_E2EL_SAME_LENGTH), value(&o, 1, EXP_E2EL_MEAN));
    exp_compare_fini(&o.c);
    free(list);
    free(set);
    free(text);
}
END_TEST

/* Every request is short enough to fall back: a row like full's but for its pages on the host. */
START_TEST(a_fallback_is_a_setting_of_a_row_and_other_rows_run_without_it)
{
    struct outcome o = study_of(
        NULL, "freekv,freekv:fallback.when=short:fallback.below_tokens=4000,freekv:fallback.when=short",
        (struct exp_compare_options){.n_threads = 2});
    for (uint32_t i = 0; i < 3; i++) runs(&o, i);
    ck_assert_double_gt(value(&o, 1, EXP_EXPOSED), 0);
    ck_assert_double_eq(value(&o, 2, EXP_EXPOSED), 0);
    ck_assert_double_eq(exp_figure(o.c.row[2].figures, "recalled_pages").mean, 0);
    ck_assert_msg(strncmp(o.c.row[3].why_not, "fleet.0.kv.fallback.when short", 30) == 0, "%s",
                  o.c.row[3].why_not);
    exp_compare_fini(&o.c);
    static const char *const full_host[] = {"fleet.0.kv.strategy=freekv",
                                            "fleet.0.kv.fallback.when=host_full", NULL};
    o = study_of(full_host, "freekv,h2o,int4,arkvale", (struct exp_compare_options){.n_threads = 2});
    for (uint32_t i = 0; i < 5; i++) runs(&o, i);
    exp_compare_fini(&o.c);
}
END_TEST

START_TEST(above_the_tables_stands_what_was_run_and_which_fleets_differ)
{
    struct outcome o = study_of(NULL, "fp8", (struct exp_compare_options){.n_threads = 2});
    runs(&o, 1);
    ck_assert_str_eq(o.c.title,
                     "llama-3.1-8b on 2 x NVIDIA H100 SXM5 80GB, TP 1, PP 1; 120 requests, mean prompt "
                     "3,000, output 60 tokens");
    double rate = 0;
    uint32_t seed = 0;
    int n = sscanf(o.c.how, "engine vllm-0.24, router round_robin, %lf requests/s offered, seed %u", &rate,
                   &seed);
    ck_assert_msg(n == 2, "%s", o.c.how);
    ck_assert_double_eq_tol(rate, 8, 2); /* 120 gaps: 9 % of standard deviation */
    ck_assert_uint_eq(seed, 1);
    exp_compare_fini(&o.c);
}
END_TEST

/* Two fleets and a class `critical`; the arguments end the lines of both and of the class. */
static struct exp_scenario *pinned(const char *first, const char *second, const char *critical)
{
    char *text = sim_printf("model: llama-3.1-8b\n"
                            "fleet:\n"
                            "  - {gpu: h100-sxm, name: safe, profile: analytic%s}\n"
                            "  - {gpu: h100-sxm, name: fast, profile: analytic%s}\n"
                            "router: by_class\n"
                            "workload: {open_loop: {request_rate: 12, num_requests: 200, input_tokens: "
                            "'uniform:10:4000', output_tokens: 40}}\n"
                            "classes:\n"
                            "  critical: {slo: {ttft_ms: 500}, assign: {max_input_tokens: 800}%s}\n"
                            "  default: {slo: {ttft_ms: 500}}\n",
                            first, second, critical);
    struct exp_scenario *s = scenario_of(text, NULL);
    free(text);
    return s;
}

/* Requests go where they went, also in full's row, where both fleets have what the class asks for. */
START_TEST(a_fleet_that_a_class_asks_for_keeps_its_strategy_and_its_requests)
{
    static const char *const others[] = {"", ", kv: {strategy: h2o}"}; /* as in rows 0 and 1 */
    struct exp_scenario *s = pinned("", ", kv: {strategy: int4}", ", kv: {strategy: full}");
    struct outcome o = study(s, "h2o", (struct exp_compare_options){.n_threads = 2});
    struct exp_cache *cache = cache_new();
    ck_assert_ptr_nonnull(strstr(o.c.how,
                                 "; fleet safe keeps full, which a class asks for; fleet fast takes a "
                                 "row's strategy"));
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_status st = {0};
        runs(&o, i);
        struct exp_scenario *same = pinned(", classes: [critical]", others[i], "");
        struct exp_run *run = exp_run_new(same, cache, NULL, &st);
        ck_assert_msg(run != NULL, "%s", st.message);
        ck_assert_uint_eq(run->setup->sim_fleets[1].slo_class_mask, 0);
        for (int c = 0; c < EXP_N_COLUMNS; c++)
            if (exp_column_info((enum exp_column)c)->of_figures)
                ck_assert_double_eq(value(&o, i, (enum exp_column)c),
                                    exp_figure(run->figures, exp_column_info((enum exp_column)c)->key).mean);
        exp_run_free(run);
        free(same);
    }
    exp_cache_free(cache);
    exp_compare_fini(&o.c);
    free(s);
}
END_TEST

/* The link of a root complex carries what all replicas on it move, and no more replicas are on it than there are. */
START_TEST(a_shared_link_is_as_busy_as_its_replicas_together_make_it)
{
    static const struct {
        const char *replicas, *gpus, *tp;
        double users;
    } cases[] = {{"2", "1", "1", 1}, {"2", "2", "1", 2},  {"2", "8", "1", 2}, {"1", "4", "1", 1},
                 {"2", "2", "2", 1}, {"3", "2", "1", 1.5} /* two links, one of them shared */};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char set[3][48];
        snprintf(set[0], sizeof set[0], "fleet.0.replicas=%s", cases[i].replicas);
        snprintf(set[1], sizeof set[1], "fleet.0.host.gpus_per_link=%s", cases[i].gpus);
        snprintf(set[2], sizeof set[2], "fleet.0.tensor_parallel=%s", cases[i].tp);
        const char *const settings[] = {set[0], set[1], set[2], NULL};
        struct outcome o = study_of(settings, "freekv", (struct exp_compare_options){.n_threads = 2});
        runs(&o, 1);
        double own = exp_figure(o.c.row[1].figures, "link_busy").mean;
        ck_assert_double_gt(own, 0);
        ck_assert_double_eq_tol(value(&o, 1, EXP_LINK_BUSY), cases[i].users * own, 1e-12);
        ck_assert_double_le(value(&o, 1, EXP_LINK_BUSY), 1);
        ck_assert_double_eq(value(&o, 0, EXP_LINK_BUSY), 0);
        exp_compare_fini(&o.c);
    }
}
END_TEST

/* ---- what is written ---- */

static bool take_row(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    uint32_t *n_fields = user;
    (void)st;
    ck_assert_uint_eq(row->n_fields, index ? n_fields[0] : row->n_fields);
    n_fields[0] = row->n_fields;
    n_fields[1]++;
    return true;
}

START_TEST(json_has_the_promised_names_and_csv_a_row_for_each_strategy)
{
    static const char *const promised[] = {
        "strategy",          "label",           "mean_ttft_ms", "p99_e2el_ms",
        "output_throughput", "slo_attainment",  "preemptions",  "kv_bytes_per_token",
        "negative_rate",     "negative_source", "exposed_frac", "time_analytic_frac",
        "against_full"};
    struct outcome o = study_of(NULL, "h2o,freekv:correction_tau=0",
                                (struct exp_compare_options){.n_threads = 2, .n_replications = 2});
    json_t *all = exp_compare_json(&o.c), *rows = json_object_get(all, "strategies");
    ck_assert_str_eq(json_string_value(json_object_get(all, "baseline")), "full");
    ck_assert_ptr_nonnull(json_string_value(json_object_get(all, "reading")));
    ck_assert_uint_eq(json_array_size(rows), 3);
    for (size_t i = 0; i < 3; i++) {
        json_t *row = json_array_get(rows, i);
        for (size_t k = 0; k < sizeof promised / sizeof promised[0]; k++)
            ck_assert_msg(json_object_get(row, promised[k]) != NULL, "row %zu lacks %s", i, promised[k]);
        ck_assert_double_eq(json_real_value(json_object_get(row, "mean_e2el_ms_lo")),
                            o.c.row[i].value[EXP_E2EL_MEAN].lo);
    }
    ck_assert_double_eq(json_number_value(json_object_get(json_array_get(rows, 0), "negative_rate")), 0);
    json_decref(all);

    struct sim_status st = {0};
    uint32_t csv[2] = {0, 0};
    char *path = sim_printf("%s/compared/compare.csv", test_dir()),
         *dir = sim_printf("%s/compared", test_dir());
    ck_assert_msg(write_to(&o, dir, &st), "%s", st.message);
    ck_assert_msg(sim_csv_read(path, take_row, csv, &st), "%s", st.message);
    ck_assert_uint_eq(csv[1], 4);
    struct stat is;
    char *summary = sim_printf("%s/summary-freekv-correction_tau=0.json", dir);
    ck_assert_int_eq(stat(summary, &is), 0);
    free(summary);
    free(path);
    free(dir);
    exp_compare_fini(&o.c);
}
END_TEST

START_TEST(a_folder_gets_every_file_or_none)
{
    struct outcome o = study_of(NULL, "h2o", (struct exp_compare_options){.n_threads = 2});
    struct sim_status st = {0};
    struct stat is;
    char *dir = sim_printf("%s/half", test_dir()), *in_the_way = sim_printf("%s/summary-h2o.json", dir);
    char *first = sim_printf("%s/compare.json", dir);
    ck_assert(sim_make_dir(in_the_way, &st));
    ck_assert(!write_to(&o, dir, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "summary-h2o.json"));
    ck_assert_int_ne(stat(first, &is), 0);
    free(first);
    free(in_the_way);
    free(dir);
    exp_compare_fini(&o.c);
}
END_TEST

START_TEST(summaries_of_an_earlier_study_do_not_stay_in_a_folder)
{
    struct sim_status st = {0};
    struct stat is;
    static const char *const stale[] = {"summary-fp8.json", "summary-freekv-budget=1024.json"},
                             *const kept[] = {"summary-full.json", "summary-h2o.json",
                                              "summary.json",      "summary-of-mine.json",
                                              "summary-fp8.txt",   "summary-fp8x.json"};
    struct outcome o = study_of(NULL, "h2o", (struct exp_compare_options){.n_threads = 2});
    char *dir = sim_printf("%s/used", test_dir());
    ck_assert(sim_make_dir(dir, &st));
    for (int i = 0; i < 8; i++) {
        char name[100];
        snprintf(name, sizeof name, "used/%s", i < 2 ? stale[i] : kept[i - 2]);
        test_file(name, "{}\n");
    }
    ck_assert_msg(write_to(&o, dir, &st), "%s", st.message);
    for (int i = 0; i < 8; i++) {
        char *path = sim_printf("%s/%s", dir, i < 2 ? stale[i] : kept[i - 2]);
        ck_assert_msg((stat(path, &is) == 0) == (i >= 2), "%s", path);
        free(path);
    }
    free(dir);
    exp_compare_fini(&o.c);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("compare_study");
    TCase *c = tcase_create("compare_study");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, threads_change_nothing);
    tcase_add_test(c, a_row_is_what_a_run_of_that_strategy_gives);
    tcase_add_test(c, worse_answers_and_lengths_are_those_of_the_parameters_that_a_row_has);
    tcase_add_test(c, a_quality_record_of_ones_own_takes_the_place_of_the_one_that_ships);
    tcase_add_test(c, a_quality_record_that_cannot_be_read_is_refused_by_its_key);
    tcase_add_test(c, without_longer_outputs_a_study_gives_what_speed_alone_does);
    tcase_add_test(c, a_step_is_taken_apart_into_what_it_is_made_of);
    tcase_add_test(c, a_strategy_that_cannot_run_is_a_row_that_says_why_and_the_others_go_on);
    tcase_add_test(c, where_full_does_not_fit_the_others_are_shown_without_differences);
    tcase_add_test(c, a_wrong_scenario_fails_as_a_whole);
    tcase_add_test(c, what_a_scenario_sets_of_another_strategy_is_refused_as_a_whole);
    tcase_add_test(c, measured_lengths_are_of_the_strategy_that_they_were_given_to_and_of_no_other);
    tcase_add_test(c, a_fallback_is_a_setting_of_a_row_and_other_rows_run_without_it);
    tcase_add_test(c, above_the_tables_stands_what_was_run_and_which_fleets_differ);
    tcase_add_test(c, a_fleet_that_a_class_asks_for_keeps_its_strategy_and_its_requests);
    tcase_add_test(c, a_shared_link_is_as_busy_as_its_replicas_together_make_it);
    tcase_add_test(c, json_has_the_promised_names_and_csv_a_row_for_each_strategy);
    tcase_add_test(c, a_folder_gets_every_file_or_none);
    tcase_add_test(c, summaries_of_an_earlier_study_do_not_stay_in_a_folder);
    suite_add_tcase(s, c);
    return s;
}
