/* Scenarios: the key table against itself, YAML against --set, what a setup makes of a scenario, and one
 * request through a whole run against its closed form. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/keys.h"
#include "experiments/replicate.h"
#include "experiments/values.h"
#include "sim/memory.h"
#include "tests/harness.h"

static const char base_text[] = "model: llama-3.1-8b\n"
                                "fleet:\n"
                                "  - {gpu: h100-sxm, replicas: 2, profile: analytic}\n"
                                "workload: {closed_loop: {concurrency: 4}}\n"
                                "slo: {ttft_ms: 500}\n"
                                "cost: {kind: linear, step_s: 0.01, token_s: 1e-5, kv_token_s: 1e-8}\n";

/* All but where the values came from. */
static bool same_values(const struct exp_scenario *a, const struct exp_scenario *b)
{
    return memcmp(a, b, offsetof(struct exp_scenario, origin)) == 0;
}

static struct exp_scenario *parsed(const char *text)
{
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("t.yaml", text, strlen(text), &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    return s;
}

static void refused(const char *text, const char *expected)
{
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("t.yaml", text, strlen(text), &st);
    ck_assert_msg(!s, "accepted: %s", text);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_ptr_null(strchr(st.message, '\n'));
}

static void set(struct exp_scenario *s, const char *path, const char *value)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_scenario_set(s, path, value, &st), "%s", st.message);
}

static void set_refused(struct exp_scenario *s, const char *path, const char *value, const char *expected)
{
    struct sim_status st = {0};
    struct exp_scenario *before = exp_scenario_copy(s);
    ck_assert_msg(!exp_scenario_set(s, path, value, &st), "accepted %s=%s", path, value);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_mem_eq(before, s, sizeof *s);
    free(before);
}

static struct exp_cache *cache_of(void)
{
    struct sim_status st = {0};
    struct exp_cache *c = exp_cache_new(&st);
    ck_assert_msg(c != NULL, "%s", st.message);
    return c;
}

static struct exp_setup *setup_of(const struct exp_scenario *s, struct exp_cache *c)
{
    struct sim_status st = {0};
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    return u;
}

static void setup_refused(const struct exp_scenario *s, struct exp_cache *c, const char *expected)
{
    struct sim_status st = {0};
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_ptr_null(u);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_ptr_null(strchr(st.message, '\n'));
}

/* ---- the table ---- */

static char *path_at(const struct exp_place *place, const struct exp_key *k)
{
    const char *p = place->pattern;
    const char *actual = strcmp(p, "fleet.N") == 0            ? "fleet.0."
                         : strcmp(p, "fleet.N.engine") == 0   ? "fleet.0.engine."
                         : strcmp(p, "classes.NAME") == 0     ? "classes.a."
                         : strcmp(p, "classes.NAME.slo") == 0 ? "classes.a.slo."
                         : p[0]                               ? NULL
                                                              : "";
    return actual ? sim_printf("%s%s", actual, k->name) : sim_printf("%s.%s", p, k->name);
}

START_TEST(every_key_is_found_at_every_place_and_setting_its_default_changes_nothing)
{
    struct exp_scenario *s = exp_scenario_new();
    size_t n = 0;
    set(s, "fleet.0.replicas", "1");
    set(s, "classes.a.slo.percentile", "99");
    set(s, "slo.percentile", "99");
    for (size_t p = 0; p < exp_place_count(); p++)
        for (size_t i = 0; i < exp_key_count(); i++) {
            const struct exp_key *k = exp_key_at(i);
            if (k->scope != exp_place_at(p)->scope) continue;
            char *path = path_at(exp_place_at(p), k);
            struct exp_scenario *before = exp_scenario_copy(s);
            set(s, path,
                k->type == EXP_NAMES             ? "[]"
                : k->optional || !k->fallback[0] ? "default"
                                                 : k->fallback);
            s->workload.source = before->workload.source;
            ck_assert_msg(same_values(before, s), "%s", path);
            free(before);
            free(path);
            n++;
        }
    ck_assert_uint_gt(n, exp_key_count());
    free(s);
}
END_TEST

START_TEST(every_number_refuses_what_lies_outside_its_range)
{
    struct exp_scenario *s = exp_scenario_new();
    set(s, "fleet.0.gpu", "l4");
    set(s, "classes.a.slo.ttft_ms", "1");
    for (size_t p = 0; p < exp_place_count(); p++)
        for (size_t i = 0; i < exp_key_count(); i++) {
            const struct exp_key *k = exp_key_at(i);
            if (k->scope != exp_place_at(p)->scope || (k->type != EXP_COUNT && k->type != EXP_REAL)) continue;
            char *path = path_at(exp_place_at(p), k);
            static const char *const bad[] = {"-1", "nan", ".inf", "1e400", "x", "[1]", "1 2", "0x10", ""};
            for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) set_refused(s, path, bad[b], "");
            if (k->hi < 1e19) set_refused(s, path, "10000000000000000000", "expected");
            if (k->lo > 0) set_refused(s, path, "0", "expected");
            if (k->type == EXP_COUNT) set_refused(s, path, "1.5", "a whole number");
            free(path);
        }
    free(s);
}
END_TEST

/* ---- YAML ---- */

START_TEST(a_file_sets_what_it_names_and_leaves_the_rest_at_its_default)
{
    struct exp_scenario *s = parsed(
        "model: org/model-x\n"
        "weights: fp8\n"
        "fleet:\n"
        "  - {gpu: h100-sxm, replicas: 3}\n"
        "  - {gpu: l40s, tensor_parallel: 2, classes: [gold, silver], engine: {max_num_seqs: 7}}\n"
        "engine: {name: vllm-0.12, async_scheduling: yes, scheduling_policy: priority}\n"
        "router: by_class\n"
        "workload:\n"
        "  open_loop: {request_rate: 2.5, num_requests: 1e3, input_tokens: uniform:10:20, length_range: "
        "[0.8, 1.25]}\n"
        "classes:\n"
        "  gold: {slo: {ttft_ms: 250, percentile: 99.9, rule: per_metric}, assign: {max_input_tokens: 100}}\n"
        "  silver: {slo: {e2el_ms: 1e4}}\n"
        "measure: {warmup_requests: 5, horizon_s: none}\n"
        "seed: 18446744073709551615\n");
    ck_assert_str_eq(s->model, "org/model-x");
    ck_assert_int_eq(s->weights, MDL_FP8);
    ck_assert_uint_eq(s->n_fleets, 2);
    ck_assert_uint_eq(s->fleet[0].replicas, 3);
    ck_assert_uint_eq(s->fleet[1].replicas, 1);
    ck_assert_uint_eq(s->fleet[1].tensor_parallel, 2);
    ck_assert_str_eq(s->fleet[1].classes, "gold,silver");
    ck_assert(s->fleet[1].engine.max_num_seqs.given && s->fleet[1].engine.max_num_seqs.value == 7);
    ck_assert(!s->fleet[0].engine.max_num_seqs.given && !s->engine.max_num_seqs.given);
    ck_assert_str_eq(s->engine.name, "vllm-0.12");
    ck_assert(s->engine.async_scheduling.given && s->engine.async_scheduling.value == 1);
    ck_assert(s->engine.scheduling_policy.value == SIM_PRIORITY);
    ck_assert_int_eq(s->workload.source, EXP_OPEN_LOOP);
    ck_assert_double_eq(s->workload.open_loop.request_rate, 2.5);
    ck_assert_double_eq(s->workload.open_loop.burstiness, 1);
    ck_assert_uint_eq(s->workload.open_loop.num_requests, 1000);
    ck_assert_double_eq(s->workload.open_loop.length_range[1], 1.25);
    ck_assert_uint_eq(s->n_classes, 2);
    ck_assert_double_eq(s->classes[0].slo.percentile, 99.9);
    ck_assert_int_eq(s->classes[0].slo.rule, 1);
    ck_assert_double_eq(s->classes[1].slo.percentile, 99);
    ck_assert_uint_eq(s->warmup_requests, 5);
    ck_assert_double_eq(s->horizon_s, 0);
    ck_assert_uint_eq(s->seed, UINT64_MAX);
    free(s);
}
END_TEST

START_TEST(what_a_file_gets_wrong_is_named_with_its_line_and_what_was_expected)
{
    refused("model: a\nfleet:\n  - {gpuu: l4}\n", "t.yaml:3: unknown key `fleet.0.gpuu`");
    refused("model: a\nfleet:\n  - {gpuu: l4}\n", "did you mean `fleet.N.gpu`");
    refused("modell: a\n", "did you mean `model`");
    refused("slo: {ttft_m: 5}\n", "did you mean `slo.ttft_ms`");
    refused("fleet:\n- gpu: l4\n  replicas: -3\n",
            "t.yaml:3: fleet.0.replicas is `-3`, expected a whole number from 1 to 65535");
    refused("fleet: {gpu: l4}\n", "fleet is not a list");
    refused("fleet: [l4]\n", "fleet.0 is not a mapping");
    refused("weights: fp4\n", "weights is `fp4`, expected one of: bf16, fp8, int8, int4");
    refused("router: magic\n", "least_outstanding");
    refused("engine: {prefix_caching: true}\n", "which this version does not simulate");
    refused("engine: 5\n", "engine is a single value");
    refused("seed: 99999999999999999999999\n", "seed is");
    refused("workload: {closed_loop: {length_range: [1.2, 0.8]}}\n", "lo <= hi");
    refused("workload: {open_loop: {input_tokens: lognormal:5}}\n", "lognormal:mean:cv");
    refused("workload: {trace: a.csv, closed_loop: {concurrency: 4}}\n", "is a second load");
    refused("classes: {a.b: {slo: {ttft_ms: 1}}}\n", "holds a dot");
    refused("classes: {'a b': {slo: {ttft_ms: 1}}}\n", "is not a name");
    refused("- 1\n", "is not a mapping");
    refused("model: {a: b}\n", "model is `{...}`");
    refused("model:\n", "model is ``");
}
END_TEST

START_TEST(a_path_in_a_file_starts_at_the_files_folder_and_one_that_is_set_does_not)
{
    const char *path = test_file("paths.yaml", "model: ./config.json\n"
                                               "fleet: [{gpu: l4, profile: profiles/mine}]\n"
                                               "engine: {name: vllm-0.24}\n"
                                               "workload: {trace: demo.csv}\n");
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_load(path, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    char expected[4096];
    snprintf(expected, sizeof expected, "%s/demo.csv", test_dir());
    ck_assert_str_eq(s->workload.trace, expected);
    snprintf(expected, sizeof expected, "%s/profiles/mine", test_dir());
    ck_assert_str_eq(s->fleet[0].profile, expected);
    snprintf(expected, sizeof expected, "%s/./config.json", test_dir());
    ck_assert_str_eq(s->model, expected);
    ck_assert_str_eq(s->engine.name, "vllm-0.24");
    set(s, "workload.trace", "other.csv");
    ck_assert_str_eq(s->workload.trace, "other.csv");
    free(s);
}
END_TEST

START_TEST(setting_keys_one_by_one_gives_the_same_scenario_as_a_file)
{
    struct exp_scenario *a = parsed(base_text), *b = exp_scenario_new();
    snprintf(b->file, sizeof b->file, "t.yaml");
    set(b, "cost", "{kind: linear, step_s: 0.01, token_s: 1e-5, kv_token_s: 1e-8}");
    set(b, "model", "llama-3.1-8b");
    set(b, "fleet.0", "{gpu: h100-sxm, profile: analytic}");
    set(b, "fleet.0.replicas", "2");
    set(b, "workload.closed_loop.concurrency", "4");
    set(b, "slo.ttft_ms", "500");
    ck_assert(same_values(a, b));
    free(a);
    free(b);
}
END_TEST

START_TEST(a_load_that_is_set_replaces_the_one_that_was_there)
{
    struct exp_scenario *s = parsed(base_text);
    set(s, "workload.trace", "x.csv");
    ck_assert_int_eq(s->workload.source, EXP_TRACE);
    set(s, "workload.open_loop", "{request_rate: 3, num_requests: 10}");
    ck_assert_int_eq(s->workload.source, EXP_OPEN_LOOP);
    free(s);
}
END_TEST

START_TEST(a_refused_setting_leaves_the_scenario_as_it_was)
{
    struct exp_scenario *s = parsed(base_text);
    set_refused(s, "fleet.0.replicas", "many", "--set: fleet.0.replicas is `many`");
    set_refused(s, "fleet.2.gpu", "l4", "names no fleet");
    set_refused(s, "fleet.x.gpu", "l4", "names no fleet");
    set_refused(s, "fleet.replicas", "2", "");
    set_refused(s, "fleet.0.replicas.", "2", "is not a key");
    set_refused(s, "", "2", "is not a key");
    set_refused(s, "slo", "{ttft_ms: 100, tpot_ms: x}", "slo.tpot_ms is `x`");
    struct sim_status st = {0};
    ck_assert(!exp_scenario_set_option(s, "fleet.0.replicas", &st));
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    free(s);
}
END_TEST

START_TEST(a_scenario_without_model_fleet_gpu_or_load_says_what_is_missing)
{
    static const char *const cases[][2] = {
        {"seed: 1\n", "has no `model`"},
        {"model: a\n", "has no `fleet`"},
        {"model: a\nfleet: [{replicas: 2}]\n", "fleet.0 has no `gpu`"},
        {"model: a\nfleet: [{gpu: l4}]\n", "has no load"},
        {"model: a\nfleet: [{gpu: l4}]\nworkload: {open_loop: {request_rate: 1}}\n", "never ends"},
        {"model: a\nfleet: [{gpu: l4, replicas: 60000}, {gpu: l4, replicas: 60000}]\n", "120000 replicas"},
        {"model: a\nfleet: [{gpu: l4}]\nworkload: {closed_loop: {concurrency: 1}}\nslo: {ttft_ms: 1}\n"
         "classes: {default: {slo: {ttft_ms: 2}}}\n",
         "both set the limits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct exp_scenario *s = parsed(cases[i][0]);
        struct sim_status st = {0};
        ck_assert(!exp_scenario_check(s, &st));
        ck_assert_msg(strstr(st.message, cases[i][1]) != NULL, "`%s` lacks `%s`", st.message, cases[i][1]);
        free(s);
    }
}
END_TEST

/* ---- set-up ---- */

static const struct exp_setting *setting(const struct exp_setup *u, const char *name)
{
    for (int i = 0; i < EXP_N_SETTINGS; i++)
        if (strcmp(u->fleets[0].settings[i].name, name) == 0) return &u->fleets[0].settings[i];
    ck_abort_msg("no setting %s", name);
    return NULL;
}

START_TEST(an_engine_key_comes_from_the_fleet_then_the_scenario_then_the_engine_version)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    struct exp_setup *u = setup_of(s, c);
    const struct mdl_engine_default *d = mdl_engine_default_for(&u->fleets[0].engine, u->fleets[0].gpu);
    ck_assert_uint_eq(u->sim_fleets[0].engine.max_num_seqs, d->max_num_seqs);
    ck_assert(setting(u, "max_num_seqs")->defaulted);
    exp_setup_free(u);
    set(s, "engine.max_num_seqs", "33");
    u = setup_of(s, c);
    ck_assert_uint_eq(u->sim_fleets[0].engine.max_num_seqs, 33);
    ck_assert(!setting(u, "max_num_seqs")->defaulted && setting(u, "block_size")->defaulted);
    exp_setup_free(u);
    set(s, "fleet.0.engine.max_num_seqs", "44");
    u = setup_of(s, c);
    ck_assert_uint_eq(u->sim_fleets[0].engine.max_num_seqs, 44);
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(the_longest_request_is_lowered_to_the_pool_with_a_note_but_never_below_what_was_asked)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    set(s, "engine.num_gpu_blocks_override", "100");
    set(s, "engine.block_size", "16");
    struct exp_setup *u = setup_of(s, c);
    ck_assert_uint_eq(u->sim_fleets[0].engine.max_model_len, 1600);
    ck_assert_uint_eq(u->sim_fleets[0].engine.n_blocks, 100);
    ck_assert_uint_eq(u->notes.n, 1);
    ck_assert_ptr_nonnull(strstr(u->notes.text[0], "lowered from 131072 to 1600"));
    exp_setup_free(u);
    set(s, "engine.max_model_len", "1601");
    setup_refused(s, c, "engine.max_model_len 1601");
    set(s, "engine.max_model_len", "1600");
    exp_setup_free(setup_of(s, c));
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(what_cannot_be_built_is_refused_in_one_line)
{
    struct exp_cache *c = cache_of();
    static const char *const cases[][3] = {
        {"model", "llama-9", "llama-9"},
        {"model", "./nothing/config.json", "nothing"},
        {"fleet.0.gpu", "h1000", "t.yaml: fleet.0: unknown GPU `h1000`"},
        {"fleet.0.tensor_parallel", "3", "3"},
        {"engine.name", "vllm-99", ""},
        {"model", "llama-3.1-70b", "does not fit"},
        {"fleet.0.classes", "[gold]", "`gold` is no class"},
        {"fleet.0.pipeline_parallel", "2", "pipeline_parallel"},
        {"workload.trace", "/nonexistent/x.csv", "/nonexistent/x.csv"},
        {"workload.trace", "/tmp", "/tmp"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct exp_scenario *s = parsed(base_text);
        set(s, cases[i][0], cases[i][1]);
        setup_refused(s, c, cases[i][2]);
        free(s);
    }
    exp_cache_free(c);
}
END_TEST

/* ---- load ---- */

static const char classes_text[] = "model: llama-3.1-8b\n"
                                   "fleet: [{gpu: h100-sxm}]\n"
                                   "classes:\n"
                                   "  long: {slo: {ttft_ms: 900}, assign: {min_input_tokens: 100}}\n"
                                   "  default: {slo: {ttft_ms: 100}}\n"
                                   "cost: {kind: linear, step_s: 0.01}\n";

START_TEST(classes_are_assigned_by_rule_or_by_the_traces_own_column)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(classes_text);
    set(s, "workload.trace",
        test_file("plain.csv", "arrival_time_us,input_tokens,output_tokens\n0,99,1\n1,100,1\n2,101,1\n"));
    struct exp_setup *u = setup_of(s, c);
    ck_assert_uint_eq(u->config.n_classes, 2);
    ck_assert_uint_eq(u->config.load.requests[0].slo_class, 1);
    ck_assert_uint_eq(u->config.load.requests[1].slo_class, 0);
    ck_assert_uint_eq(u->config.load.requests[2].slo_class, 0);
    exp_setup_free(u);
    set(s, "workload.trace",
        test_file("named.csv", "arrival_time_us,input_tokens,output_tokens,slo_class\n0,99,1,long\n1,100,1,"
                               "default\n2,1,1,odd\n"));
    u = setup_of(s, c);
    ck_assert_uint_eq(u->config.load.requests[0].slo_class, 0);
    ck_assert_uint_eq(u->config.load.requests[1].slo_class, 1);
    ck_assert_uint_eq(u->config.load.requests[2].slo_class, 1);
    ck_assert_uint_eq(u->notes.n, 1);
    ck_assert_ptr_nonnull(strstr(u->notes.text[0], "class `odd`"));
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(overlong_requests_are_left_clipped_in_front_or_clipped_behind)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(classes_text);
    set(s, "engine.max_model_len", "64");
    set(s, "workload.trace",
        test_file("long.csv", "arrival_time_us,input_tokens,output_tokens\n0,50,30\n1,70,10\n2,10,10\n"));
    static const struct {
        const char *how;
        uint32_t input[3], output[3];
    } cases[] = {{"reject", {50, 70, 10}, {30, 10, 10}},
                 {"clip-input", {34, 54, 10}, {30, 10, 10}},
                 {"clip-output", {50, 70, 10}, {14, 10, 10}}};
    for (int k = 0; k < 3; k++) {
        set(s, "workload.overlong", cases[k].how);
        struct exp_setup *u = setup_of(s, c);
        for (int i = 0; i < 3; i++) {
            ck_assert_uint_eq(u->config.load.requests[i].input_tokens, cases[k].input[i]);
            ck_assert_uint_eq(u->config.load.requests[i].output_tokens, cases[k].output[i]);
        }
        exp_setup_free(u);
    }
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(a_closed_loop_sends_ten_requests_per_unit_of_concurrency_within_its_length_range)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    set(s, "workload.closed_loop",
        "{concurrency: 50, input_tokens: 1000, output_tokens: 10, length_range: [0.8, 1.0]}");
    struct exp_setup *u = setup_of(s, c);
    ck_assert_uint_eq(u->config.load.n_requests, 500);
    ck_assert_uint_eq(u->config.load.concurrency, 50);
    double sum = 0;
    for (int i = 0; i < 500; i++) {
        ck_assert_uint_ge(u->config.load.requests[i].input_tokens, 800);
        ck_assert_uint_le(u->config.load.requests[i].input_tokens, 1000);
        ck_assert_uint_ge(u->config.load.requests[i].output_tokens, 8);
        sum += u->config.load.requests[i].input_tokens;
    }
    ck_assert_double_eq_tol(sum / 500, 900, 5 * 201 / sqrt(12 * 500));
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(a_trace_of_a_study_is_read_once_and_borrowed)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    set(s, "workload.trace",
        test_file("once.csv", "arrival_time_us,input_tokens,output_tokens\n0,5,3\n10,6,2\n"));
    struct exp_setup *a = setup_of(s, c);
    set(s, "fleet.0.replicas", "7");
    struct exp_setup *b = setup_of(s, c);
    ck_assert_ptr_eq(a->config.load.requests, b->config.load.requests);
    exp_setup_free(a);
    exp_setup_free(b);
    free(s);
    exp_cache_free(c);
}
END_TEST

/* ---- a run ---- */

/* One request of I input and O output tokens under step = a + b x new + c x read: its prefill takes a + b I,
 * and decode j = 1 .. O - 1 reads I + j tokens. */
START_TEST(one_request_takes_what_its_closed_form_says)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    set(s, "workload.closed_loop", "{concurrency: 1, num_requests: 1, input_tokens: 300, output_tokens: 50}");
    struct sim_status st = {0};
    struct exp_run *r = exp_run_new(s, c, NULL, &st);
    ck_assert_msg(r != NULL, "%s", st.message);
    double ttft_s = 0.01 + 300 * 1e-5, decode_s = 0;
    for (int j = 1; j < 50; j++) decode_s += 0.01 + 1e-5 + 1e-8 * (300 + j);
    ck_assert_double_eq_tol(exp_figure(r->figures, "mean_ttft_ms").mean, ttft_s * 1e3, 1e-9);
    ck_assert_double_eq_tol(exp_figure(r->figures, "p99_e2el_ms").mean, (ttft_s + decode_s) * 1e3, 1e-7);
    ck_assert_double_eq_tol(exp_figure(r->figures, "median_tpot_ms").mean, decode_s / 49 * 1e3, 1e-8);
    ck_assert_double_eq(exp_figure(r->figures, "completed").mean, 1);
    ck_assert_double_eq(exp_figure_of_class(r->figures, 0, "slo_attainment").mean, 1);
    ck_assert_double_eq(exp_figure(r->figures, "time_analytic_frac").mean, 1);
    exp_run_free(r);
    free(s);
    exp_cache_free(c);
}
END_TEST

/* ---- error bands ---- */

START_TEST(operator_errors_are_drawn_once_per_profile_with_the_recorded_spread)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    set(s, "cost.kind", "profile");
    set(s, "fleet.1", "{gpu: h100-sxm, profile: analytic}");
    set(s, "fleet.2", "{gpu: l4, profile: analytic, engine: {name: vllm-0.12}}");
    set(s, "model", "llama-3.2-1b");
    struct exp_setup *u = setup_of(s, c);
    double error_frac = mdl_profile_error_frac(u->fleets[0].profile, MDL_GEMM), sum = 0, squares = 0;
    ck_assert_double_gt(error_frac, 0);
    enum { N = 20000 };
    for (uint32_t k = 0; k < N; k++) {
        struct exp_factors f, again;
        exp_factors_draw(u, 7, k, &f);
        exp_factors_draw(u, 7, k, &again);
        ck_assert_mem_eq(&f, &again, sizeof f);
        ck_assert_double_eq(f.family[0][MDL_GEMM], f.family[1][MDL_GEMM]);
        ck_assert_double_ne(f.family[0][MDL_GEMM], f.family[2][MDL_GEMM]);
        ck_assert_double_ne(f.family[0][MDL_GEMM], f.family[0][MDL_ATTN_DECODE]);
        ck_assert_double_eq(f.residual[0], f.residual[1]);
        double x = log(f.family[0][MDL_GEMM]);
        sum += x;
        squares += x * x;
    }
    double std = sqrt(squares / N - sum / N * (sum / N));
    ck_assert_double_eq_tol(sum / N, 0, 5 * error_frac / sqrt(N));
    ck_assert_double_eq_tol(std, error_frac, 5 * error_frac / sqrt(2.0 * N));
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(a_band_is_the_mean_and_the_numpy_quantiles_of_the_runs)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    struct exp_figures *runs[21];
    struct sim_status st = {0};
    for (int k = 0; k < 21; k++) {
        struct exp_run *r = exp_run_new(s, c, NULL, &st);
        ck_assert_msg(r != NULL, "%s", st.message);
        runs[k] = r->figures;
        r->figures = NULL;
        runs[k]->all[0] = (struct exp_band){(k * 8) % 21, 0, 0}; /* 0 .. 20 in some order */
        exp_run_free(r);
    }
    struct exp_figures *f = exp_figures_combine(runs, 21);
    ck_assert_uint_eq(f->n_replications, 21);
    ck_assert_double_eq(f->all[0].mean, 10);
    ck_assert_double_eq_tol(f->all[0].lo, 1, 1e-12);
    ck_assert_double_eq_tol(f->all[0].hi, 19, 1e-12);
    ck_assert_double_eq(exp_figure(f, "completed").lo, exp_figure(f, "completed").hi);
    for (int k = 0; k < 21; k++) exp_figures_free(runs[k]);
    exp_figures_free(f);
    free(s);
    exp_cache_free(c);
}
END_TEST

static void add_progress(void *user, double done_frac)
{
    double *sum = user;
    *sum += done_frac;
}

START_TEST(replications_tell_the_share_of_them_that_is_done)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(base_text);
    struct exp_setup *u = setup_of(s, c);
    double sum = 0;
    struct exp_run_options o = {.progress = add_progress, .progress_user = &sum};
    struct sim_status st = {0};
    struct exp_figures *f = exp_replicate(s, c, u, 4, &o, &st);
    ck_assert_msg(f != NULL, "%s", st.message);
    ck_assert_double_eq(sum, 0.25 + 0.5 + 0.75 + 1);
    exp_figures_free(f);
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("scenario");
    TCase *keys = tcase_create("keys"), *setup = tcase_create("setup"), *run = tcase_create("run");
    tcase_add_test(keys, every_key_is_found_at_every_place_and_setting_its_default_changes_nothing);
    tcase_add_test(keys, every_number_refuses_what_lies_outside_its_range);
    tcase_add_test(keys, a_file_sets_what_it_names_and_leaves_the_rest_at_its_default);
    tcase_add_test(keys, what_a_file_gets_wrong_is_named_with_its_line_and_what_was_expected);
    tcase_add_test(keys, a_path_in_a_file_starts_at_the_files_folder_and_one_that_is_set_does_not);
    tcase_add_test(keys, setting_keys_one_by_one_gives_the_same_scenario_as_a_file);
    tcase_add_test(keys, a_load_that_is_set_replaces_the_one_that_was_there);
    tcase_add_test(keys, a_refused_setting_leaves_the_scenario_as_it_was);
    tcase_add_test(keys, a_scenario_without_model_fleet_gpu_or_load_says_what_is_missing);
    tcase_add_test(setup, an_engine_key_comes_from_the_fleet_then_the_scenario_then_the_engine_version);
    tcase_add_test(setup,
                   the_longest_request_is_lowered_to_the_pool_with_a_note_but_never_below_what_was_asked);
    tcase_add_test(setup, what_cannot_be_built_is_refused_in_one_line);
    tcase_add_test(setup, classes_are_assigned_by_rule_or_by_the_traces_own_column);
    tcase_add_test(setup, overlong_requests_are_left_clipped_in_front_or_clipped_behind);
    tcase_add_test(setup, a_closed_loop_sends_ten_requests_per_unit_of_concurrency_within_its_length_range);
    tcase_add_test(setup, a_trace_of_a_study_is_read_once_and_borrowed);
    tcase_add_test(run, one_request_takes_what_its_closed_form_says);
    tcase_add_test(run, operator_errors_are_drawn_once_per_profile_with_the_recorded_spread);
    tcase_add_test(run, replications_tell_the_share_of_them_that_is_done);
    tcase_add_test(run, a_band_is_the_mean_and_the_numpy_quantiles_of_the_runs);
    suite_add_tcase(suite, keys);
    suite_add_tcase(suite, setup);
    suite_add_tcase(suite, run);
    return suite;
}
