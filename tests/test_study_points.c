/* Points of studies: against loops written out, values against the scenario's own keys, samples against what a latin hypercube
 * promises. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>

#include "experiments/compare.h"
#include "experiments/values.h"
#include "tests/study_help.h"

/* ---- points ---- */

START_TEST(points_are_every_combination_with_the_first_axis_slowest)
{
    static const char *const gpu[] = {"h100-sxm", "a100-80-sxm"}, *const strategy[] = {"full", "fp8",
                                                                                       "kivi4"};
    static const int replicas[] = {1, 3}, multiply[] = {1, 2, 4, 8};
    struct exp_study *s = study("grid:\n"
                                "  strategy: [full, fp8, kivi4]\n"
                                "  workload.multiply: [1, 2, 4, 8]\n"
                                "list:\n"
                                "  - {fleet.0.gpu: h100-sxm, fleet.0.replicas: 1}\n"
                                "  - {fleet.0.replicas: 3, fleet.0.gpu: a100-80-sxm}\n");
    ck_assert_uint_eq(exp_study_n_points(s), 24);
    ck_assert_uint_eq(exp_study_n_axes(s), 4);
    uint64_t i = 0;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 4; b++)
            for (int c = 0; c < 2; c++, i++) {
                char expected[200];
                snprintf(expected, sizeof expected,
                         "{\"strategy\":\"%s\",\"workload.multiply\":%d,\"fleet.0.gpu\":\"%s\",\"fleet.0."
                         "replicas\":%d}",
                         strategy[a], multiply[b], gpu[c], replicas[c]);
                ck_json(s, i, expected);
                struct exp_scenario *x = scenario_of(s, i);
                ck_assert_str_eq(mdl_strategy_at((size_t)x->fleet[0].kv.strategy)->name, strategy[a]);
                ck_assert_double_eq(x->workload.multiply, multiply[b]);
                ck_assert_str_eq(x->fleet[0].gpu, gpu[c]);
                ck_assert_uint_eq(x->fleet[0].replicas, (uint64_t)replicas[c]);
                free(x);
            }
    exp_study_free(s);
}
END_TEST

START_TEST(sections_turn_in_the_order_of_the_file)
{
    struct exp_study *s = study("list: [{seed: 1}, {seed: 2}]\ngrid: {slo: {ttft_ms: [100, 200, 300]}}\n");
    for (uint64_t i = 0; i < 6; i++) {
        ck_assert_double_eq(number_of(s, i, "seed"), 1 + (double)(i / 3));
        ck_assert_double_eq(number_of(s, i, "slo.ttft_ms"), 100 + 100 * (double)(i % 3));
    }
    exp_study_free(s);
}
END_TEST

START_TEST(an_entry_of_the_list_leaves_nothing_behind_for_the_next)
{
    struct exp_study *s = study("list:\n"
                                "  - {fleet.1.gpu: l4, fleet.1.replicas: 2, router: random}\n"
                                "  - {seed: 9}\n"
                                "  - {classes.gold.slo.ttft_ms: 10}\n");
    static const uint32_t fleets[] = {2, 1, 1}, classes[] = {0, 0, 1};
    static const uint64_t seed[] = {1, 9, 1};
    for (uint64_t i = 0; i < 3; i++) {
        struct exp_scenario *x = scenario_of(s, i);
        ck_assert_uint_eq(x->n_fleets, fleets[i]);
        ck_assert_uint_eq(x->n_classes, classes[i]);
        ck_assert_uint_eq(x->seed, seed[i]);
        ck_assert_str_eq(x->router, i == 0 ? "random" : "round_robin");
        free(x);
    }
    exp_study_free(s);
}
END_TEST

START_TEST(axes_say_how_many_values_they_have_and_whether_these_are_numbers)
{
    static const struct {
        const char *path, *first, *last;
        uint64_t n_values;
        bool numeric;
    } expected[] = {
        {"strategy", "full", "fp8", 2, false},
        {"workload.multiply", "1", "4", 3, true},
        {"fleet.0.host.memory_gib", "default", "64", 2, false},
        {"fleet.0.gpu", "l4", "l40s", 2, false},
        {"fleet.0.replicas", "4", "4", 1, true},
        {"engine.max_num_seqs", "8", "64", 0, true},
        {"router", "random", "round_robin", 0, false},
    };
    enum { N = sizeof expected / sizeof expected[0] };
    struct exp_study *s = study("grid:\n"
                                "  strategy: [full, fp8]\n"
                                "  workload.multiply: {from: 1, to: 4, count: 3, scale: log}\n"
                                "  fleet.0.host.memory_gib: [default, 64]\n"
                                "list:\n"
                                "  - {fleet.0.gpu: l4, fleet.0.replicas: 4}\n"
                                "  - {fleet.0.gpu: h100-sxm}\n"
                                "  - {fleet.0.gpu: l4}\n"
                                "random: {samples: 5, keys: {engine.max_num_seqs: {from: 8, to: 64}, router: "
                                "[random, round_robin]}}\n");
    ck_assert_uint_eq(exp_study_n_axes(s), N);
    ck_assert_uint_eq(exp_study_n_samples(s), 5);
    ck_assert_uint_eq(exp_study_n_points(s), 2 * 3 * 2 * 3 * 5);
    for (uint32_t i = 0; i < N; i++) {
        struct exp_study_axis a = exp_study_axis(s, i);
        ck_assert_str_eq(a.path, expected[i].path);
        ck_assert_str_eq(a.first, expected[i].first);
        if (i != 3) ck_assert_str_eq(a.last, expected[i].last);
        ck_assert_uint_eq(a.n_values, expected[i].n_values);
        ck_assert_int_eq(a.numeric, expected[i].numeric);
    }
    exp_study_free(s);
}
END_TEST

/* ---- lists with names ---- */

static const char named_text[] =
    "list:\n"
    "  traffic:\n"
    "    - name: chat\n"
    "      workload: {open_loop: {request_rate: 2, num_requests: 9}}\n"
    "      slo: {ttft_ms: 300}\n"
    "    - {name: code, workload.trace: code.csv, seed: 7}\n"
    "    - {name: as it is}\n"
    "  size: [{name: 1, fleet.0.replicas: 4}, {name: 2, fleet: {0: {replicas: 8}}}]\n"
    "grid: {router: [random, round_robin]}\n";

/* Tables see names alone, scenarios what stands behind them: against the loops written out. */
START_TEST(lists_with_names_turn_one_in_another_and_show_their_names_alone)
{
    static const char *const traffic[] = {"chat", "code", "as it is"}, *const router[] = {"random",
                                                                                          "round_robin"};
    struct exp_study *s = study(named_text);
    ck_assert_uint_eq(exp_study_n_points(s), 3 * 2 * 2);
    uint64_t i = 0;
    for (int t = 0; t < 3; t++)
        for (int size = 1; size <= 2; size++)
            for (int r = 0; r < 2; r++, i++) {
                char expected[120];
                snprintf(expected, sizeof expected, "{\"traffic\":\"%s\",\"size\":%d,\"router\":\"%s\"}",
                         traffic[t], size, router[r]);
                ck_json(s, i, expected);
                struct exp_scenario *x = scenario_of(s, i);
                ck_assert_int_eq(x->workload.source, t == 0 ? EXP_OPEN_LOOP : EXP_TRACE);
                ck_assert_double_eq(x->slo.ttft_ms, t == 0 ? 300 : 500);
                ck_assert_uint_eq(x->seed, t == 1 ? 7 : 1);
                ck_assert_ptr_nonnull(strstr(x->workload.trace, t == 1 ? "/code.csv" : "base.csv"));
                ck_assert_uint_eq(x->fleet[0].replicas, 4 * (uint64_t)size);
                ck_assert_str_eq(x->router, router[r]);
                free(x);
            }
    exp_study_free(s);
}
END_TEST

START_TEST(axes_of_a_list_with_a_name_are_that_name)
{
    static const struct {
        const char *path, *first, *last;
        uint64_t n_values;
        bool numeric;
    } expected[] = {{"traffic", "chat", "as it is", 3, false},
                    {"size", "1", "2", 2, true},
                    {"router", "random", "round_robin", 2, false}};
    struct exp_study *s = study(named_text);
    ck_assert_uint_eq(exp_study_n_axes(s), 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct exp_study_axis a = exp_study_axis(s, i);
        ck_assert_str_eq(a.path, expected[i].path);
        ck_assert_str_eq(a.first, expected[i].first);
        ck_assert_str_eq(a.last, expected[i].last);
        ck_assert_uint_eq(a.n_values, expected[i].n_values);
        ck_assert_int_eq(a.numeric, expected[i].numeric);
    }
    exp_study_free(s);
}
END_TEST

/* A list may be called like a key that only its own entries set; strategies in it are whole ones. */
START_TEST(a_name_of_a_list_stands_for_its_keys_and_collides_with_none)
{
    struct exp_study *s =
        study("list:\n"
              "  model: [{name: small, model: llama-3.1-8b}, {name: large, model: qwen3-32b}]\n"
              "  how: [{name: plain, strategy: full}, {name: half, strategy: "
              "'freekv:budget=512'}]\n"
              "random: {samples: 3, keys: {fleet.0.replicas: {from: 1, to: 9}}}\n");
    ck_assert_uint_eq(exp_study_n_points(s), 2 * 2 * 3);
    ck_assert_uint_eq(exp_study_n_axes(s), 3);
    ck_assert_str_eq(exp_study_axis(s, 2).path, "fleet.0.replicas");
    for (uint64_t i = 0; i < 12; i++) {
        struct exp_study_point p;
        exp_study_point(s, i, &p);
        ck_assert_uint_eq(p.n, 3);
        ck_assert_str_eq(value_of(&p, "model"), i < 6 ? "small" : "large");
        ck_assert_str_eq(value_of(&p, "how"), i / 3 % 2 ? "half" : "plain");
        struct exp_scenario *x = scenario_of(s, i);
        ck_assert_str_eq(x->model, i < 6 ? "llama-3.1-8b" : "qwen3-32b");
        ck_assert_double_eq((double)x->fleet[0].replicas, number_of(s, i, "fleet.0.replicas"));
        ck_assert_str_eq(mdl_strategy_at((size_t)x->fleet[0].kv.strategy)->name,
                         i / 3 % 2 ? "freekv" : "full");
        ck_assert(x->fleet[0].kv.value[MDL_KV_BUDGET].given == (i / 3 % 2 == 1));
        free(x);
    }
    exp_study_free(s);
}
END_TEST

/* ---- values ---- */

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

/* Something that the key takes, most often not its default. */
static char *other_value(const struct exp_key *k)
{
    int last = 0;
    switch (k->type) {
    case EXP_COUNT:
        return sim_printf("%.0f", fmin(k->lo + 3, k->hi));
    case EXP_REAL:
        return sim_printf("%.17g", (k->lo + fmin(k->hi, k->lo + 1)) / 2);
    case EXP_CHOICE:
        while (exp_choice_word(k, last + 1).text[0]) last++;
        return sim_strdup(exp_choice_word(k, last).text);
    default:
        return sim_strdup(k->type == EXP_STRATEGY  ? "kivi4"
                          : k->type == EXP_FLAG    ? (strcmp(k->fallback, "true") == 0 ? "false" : "true")
                          : k->type == EXP_ROUTER  ? "random"
                          : k->type == EXP_LENGTHS ? "uniform:2:9"
                          : k->type == EXP_RANGE   ? "[0.5, 0.75]"
                          : k->type == EXP_NAMES   ? "[a, b]"
                                                   : "/else/where.yaml");
    }
}

START_TEST(every_key_varies_and_means_what_it_does_in_a_scenario)
{
    struct sim_status ignored;
    struct exp_scenario *out = exp_scenario_new();
    size_t n = 0, changed = 0;
    for (size_t p = 0; p < exp_place_count(); p++)
        for (size_t i = 0; i < exp_key_count(); i++) {
            const struct exp_key *k = exp_key_at(i);
            if (k->scope != exp_place_at(p)->scope) continue;
            char *path = path_at(exp_place_at(p), k), *value = other_value(k);
            char *text = sim_printf("grid: {%s: [%s]}\n", path, value);
            struct exp_study *s = study(text);
            struct exp_scenario *expected = exp_scenario_copy(exp_study_base(s));
            set(expected, path, value);
            ignored = (struct sim_status){0};
            exp_study_scenario(s, 0, out, &ignored); /* it may not go together with the base */
            ck_same(out, expected, path);
            changed += memcmp(out, exp_study_base(s), offsetof(struct exp_scenario, origin)) != 0;
            n++;
            free(expected);
            exp_study_free(s);
            free(text);
            free(value);
            free(path);
        }
    ck_assert_uint_gt(n, exp_key_count());
    ck_assert_uint_gt(changed, n - 12);
    free(out);
}
END_TEST

START_TEST(a_strategy_is_what_compare_makes_of_it)
{
    static const char *const names[] = {"full", "fp8", "freekv", "freekv:budget=1024:correction_tau=0.5"};
    struct exp_study *s =
        study("set: {fleet.1: {gpu: l4, kv: {strategy: quest, budget: 256}}}\n"
              "grid:\n  strategy: [full, fp8, freekv, 'freekv:budget=1024:correction_tau=0.5']\n");
    struct sim_status st = {0};
    for (uint64_t i = 0; i < 4; i++) {
        struct exp_scenario *x = scenario_of(s, i), *expected = exp_scenario_copy(exp_study_base(s));
        struct exp_contenders *all = sim_alloc(1, sizeof *all);
        ck_assert(exp_contenders_parse(names[i], all, &st));
        const struct exp_contender *c = &all->at[all->n - 1];
        ck_assert(exp_scenario_take_strategy(expected, c->strategy->name, &st));
        for (uint32_t f = 0; f < 2; f++) ck_assert(exp_contender_set(expected, f, c, &st));
        ck_same(x, expected, names[i]);
        free(all);
        free(expected);
        free(x);
    }
    exp_study_free(s);
}
END_TEST

START_TEST(all_strategies_are_the_whole_catalogue_each_once)
{
    struct exp_study *s = study("grid: {strategy: all}\n");
    ck_assert_uint_eq(exp_study_n_points(s), mdl_strategy_count());
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        const char *name = mdl_strategy_at(i)->name;
        int found = 0;
        for (uint64_t p = 0; p < exp_study_n_points(s); p++) {
            struct exp_study_point point;
            exp_study_point(s, p, &point);
            found += strcmp(value_of(&point, "strategy"), name) == 0;
        }
        ck_assert_msg(found == 1, "%s: %d times", name, found);
    }
    exp_study_free(s);
}
END_TEST

START_TEST(parameters_and_strategies_do_not_mind_their_order)
{
    struct exp_study *a = study("grid:\n  strategy: [quest, freekv]\n  fleet.0.kv.budget: [512, 1024]\n"),
                     *b = study("grid:\n  fleet.0.kv.budget: [512, 1024]\n  strategy: [quest, freekv]\n");
    for (uint64_t i = 0; i < 4; i++) {
        struct exp_scenario *x = scenario_of(a, i), *y = scenario_of(b, i % 2 * 2 + i / 2);
        ck_assert_double_eq(x->fleet[0].kv.value[MDL_KV_BUDGET].value, i % 2 ? 1024 : 512);
        ck_same(x, y, "order");
        free(x);
        free(y);
    }
    exp_study_free(a);
    exp_study_free(b);
}
END_TEST

START_TEST(a_budget_for_full_fails_its_points_and_no_others)
{
    struct exp_study *s = study("grid:\n  strategy: [full, freekv]\n  fleet.0.kv.budget: [512, 1024]\n");
    point_fails(s, 0, "s.yaml:4: fleet.0.kv.budget: strategy full has no such parameter");
    point_fails(s, 1, "s.yaml:4: fleet.0.kv.budget");
    free(scenario_of(s, 2));
    free(scenario_of(s, 3));
    exp_study_free(s);
}
END_TEST

START_TEST(what_set_gives_stays_where_a_strategy_takes_it)
{
    struct exp_study *s = study("set: {fleet.0.kv.budget: 256}\ngrid: {strategy: [full, freekv]}\n");
    struct exp_scenario *full = scenario_of(s, 0), *freekv = scenario_of(s, 1);
    ck_assert(!full->fleet[0].kv.value[MDL_KV_BUDGET].given);
    ck_assert_double_eq(freekv->fleet[0].kv.value[MDL_KV_BUDGET].value, 256);
    free(full);
    free(freekv);
    exp_study_free(s);
}
END_TEST

START_TEST(paths_start_at_the_folder_of_the_file_that_names_them)
{
    char *base = sim_printf("%s/base.csv", test_dir()), *here = sim_printf("%s/sub/a.csv", test_dir());
    struct exp_study *s = study("grid:\n  seed: [1, 2]\n  workload.trace: [sub/a.csv, /b.csv]\n"
                                "  strategy: [freekv, 'freekv:length_pairs=sub/a.csv']\nprices: sub/a.csv\n");
    ck_assert_str_eq(exp_study_base(s)->workload.trace, base);
    ck_assert_str_eq(exp_study_prices(s), here);
    struct exp_scenario *x = scenario_of(s, 1), *y = scenario_of(s, 2);
    ck_assert_str_eq(x->workload.trace, here);
    ck_assert_str_eq(x->fleet[0].kv.length_pairs, here);
    ck_assert_str_eq(y->workload.trace, "/b.csv");
    ck_json(s, 3,
            "{\"seed\":1,\"workload.trace\":\"/b.csv\",\"strategy\":\"freekv:length_pairs=sub/a.csv\"}");
    free(x);
    free(y);
    free(base);
    free(here);
    exp_study_free(s);
}
END_TEST

START_TEST(the_load_of_a_point_replaces_the_base_s)
{
    struct exp_study *s = study("set: {workload.open_loop.num_requests: 50}\n"
                                "list:\n  - {workload.open_loop.request_rate: 3}\n"
                                "  - {workload.closed_loop.concurrency: 7}\n  - {seed: 2}\n");
    struct exp_scenario *open = scenario_of(s, 0), *closed = scenario_of(s, 1), *other = scenario_of(s, 2);
    ck_assert_int_eq(open->workload.source, EXP_OPEN_LOOP);
    ck_assert_double_eq(open->workload.open_loop.request_rate, 3);
    ck_assert_int_eq(closed->workload.source, EXP_CLOSED_LOOP);
    ck_assert_int_eq(other->workload.source, EXP_OPEN_LOOP);
    ck_assert_uint_eq(other->workload.open_loop.num_requests, 50);
    free(open);
    free(closed);
    free(other);
    exp_study_free(s);
}
END_TEST

START_TEST(settings_are_json_with_numbers_as_numbers)
{
    struct exp_study *s = study("grid:\n"
                                "  seed: [18446744073709551615, 05, 1e3]\n"
                                "  workload.multiply: [.5]\n"
                                "  length_shift: [true]\n"
                                "  workload.open_loop.length_range: [[0.8, 1.2]]\n"
                                "  workload.open_loop.num_requests: [3]\n"
                                "  fleet.0.name: ['a \"b\" \\ c']\n");
    static const double seed[] = {18446744073709551615.0, 5, 1000};
    for (uint64_t i = 0; i < 3; i++) {
        json_error_t why;
        char *text = settings_of(s, i);
        if (i == 0) ck_assert_ptr_nonnull(strstr(text, "\"seed\":18446744073709551615,"));
        json_t *o = json_loads(text, JSON_DECODE_INT_AS_REAL, &why);
        ck_assert_msg(o != NULL, "%s: %s", text, why.text);
        ck_assert_double_eq(json_number_value(json_object_get(o, "seed")), seed[i]);
        ck_assert_double_eq(json_number_value(json_object_get(o, "workload.multiply")), 0.5);
        ck_assert_str_eq(json_string_value(json_object_get(o, "length_shift")), "true");
        ck_assert_str_eq(json_string_value(json_object_get(o, "workload.open_loop.length_range")),
                         "[0.8, 1.2]");
        ck_assert_str_eq(json_string_value(json_object_get(o, "fleet.0.name")), "a \"b\" \\ c");
        ck_assert_uint_eq(json_object_size(o), 6);
        json_decref(o);
        free(text);
    }
    exp_study_free(s);
}
END_TEST

/* ---- samples ---- */

static struct exp_study *sampled(uint64_t n, uint64_t seed, const char *more, const char *keys)
{
    char *text = sim_printf("%srandom: {samples: %llu, seed: %llu, keys: {%s}}\n", more,
                            (unsigned long long)n, (unsigned long long)seed, keys);
    struct exp_study *s = study(text);
    free(text);
    return s;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The k-th smallest of n lies in slice k, as far as six digits go. */
static void ck_slices(double *u, uint64_t n)
{
    qsort(u, n, sizeof *u, by_size);
    for (uint64_t k = 0; k < n; k++) {
        ck_assert_double_ge(u[k], (double)k / (double)n - 1e-5);
        ck_assert_double_le(u[k], (double)(k + 1) / (double)n + 1e-5);
    }
}

START_TEST(a_latin_hypercube_has_one_sample_in_each_slice)
{
    static const uint64_t sizes[] = {1, 2, 3, 7, 64, 100, 1000};
    for (size_t z = 0; z < sizeof sizes / sizeof sizes[0]; z++)
        for (uint64_t seed = 1; seed <= 5; seed++) {
            uint64_t n = sizes[z];
            struct exp_study *s =
                sampled(n, seed, "",
                        "workload.multiply: {from: 2, to: 10}, slo.ttft_ms: {from: 10, to: 1000, "
                        "scale: log}, fleet.0.replicas: {from: 1, to: 4}");
            double *linear = sim_alloc(n, sizeof *linear), *ratio = sim_alloc(n, sizeof *ratio);
            uint64_t whole[5] = {0};
            for (uint64_t i = 0; i < n; i++) {
                double r = number_of(s, i, "fleet.0.replicas");
                linear[i] = (number_of(s, i, "workload.multiply") - 2) / 8;
                ratio[i] = log(number_of(s, i, "slo.ttft_ms") / 10) / log(100);
                ck_assert(r >= 1 && r <= 4 && r == floor(r));
                whole[(int)r]++;
            }
            ck_slices(linear, n);
            ck_slices(ratio, n);
            for (int r = 1; r <= 4 && n % 4 == 0; r++) ck_assert_uint_eq(whole[r], n / 4);
            free(linear);
            free(ratio);
            exp_study_free(s);
        }
}
END_TEST

START_TEST(samples_depend_on_seed_and_key_but_on_no_other_axis)
{
    enum { N = 50 };
    struct exp_study *alone = sampled(N, 3, "", "slo.ttft_ms: {from: 10, to: 1000}"),
                     *among =
                         sampled(N, 3, "grid: {seed: [4, 5]}\n",
                                 "router: [random, round_robin], slo.tpot_ms: {from: 10, to: 1000}, slo: "
                                 "{ttft_ms: {from: 10, to: 1000}}"),
                     *other = sampled(N, 4, "", "slo.ttft_ms: {from: 10, to: 1000}");
    int same_seed = 0, same_key = 0;
    for (uint64_t i = 0; i < N; i++) {
        double value = number_of(alone, i, "slo.ttft_ms");
        ck_assert_double_eq(value, number_of(among, i, "slo.ttft_ms"));
        ck_assert_double_eq(value, number_of(among, N + i, "slo.ttft_ms"));
        same_seed += value == number_of(other, i, "slo.ttft_ms");
        same_key += value == number_of(among, i, "slo.tpot_ms");
        struct exp_scenario *x = scenario_of(among, N + i);
        ck_assert_double_eq(x->slo.ttft_ms, value);
        ck_assert_uint_eq(x->seed, 5);
        free(x);
    }
    ck_assert_int_lt(same_seed, 3);
    ck_assert_int_lt(same_key, 3);
    exp_study_free(alone);
    exp_study_free(among);
    exp_study_free(other);
}
END_TEST

/* Orders of two keys are unrelated: the correlation of ranks is within 4 of its standard deviations, 1/sqrt(n - 1). */
START_TEST(two_keys_of_a_hypercube_are_not_correlated)
{
    enum { N = 2000 };
    struct exp_study *s = sampled(
        N, 1, "",
        "slo.ttft_ms: {from: 0, to: 1}, slo.tpot_ms: {from: 0, to: 1}, slo.e2el_ms: {from: 0, to: 1}");
    static const char *const keys[] = {"slo.ttft_ms", "slo.tpot_ms", "slo.e2el_ms"};
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < a; b++) {
            double sum = 0;
            for (uint64_t i = 0; i < N; i++)
                sum += (number_of(s, i, keys[a]) - 0.5) * (number_of(s, i, keys[b]) - 0.5);
            ck_assert_double_lt(fabs(12 * sum / N), 4 / sqrt(N - 1));
        }
    exp_study_free(s);
}
END_TEST

START_TEST(uniform_samples_are_independent_and_have_the_right_mean)
{
    enum { N = 4000 };
    struct exp_study *s =
        study("random: {samples: 4000, method: uniform, keys: {slo.ttft_ms: {from: 0, to: 1}, "
              "router: [random, round_robin, least_outstanding]}}\n");
    double sum = 0;
    int slices[N] = {0}, empty = 0, random = 0;
    for (uint64_t i = 0; i < N; i++) {
        struct exp_study_point p;
        exp_study_point(s, i, &p);
        double u = strtod(p.setting[0].value, NULL);
        sum += u;
        slices[(int)fmin(u * N, N - 1)]++;
        random += strcmp(p.setting[1].value, "random") == 0;
    }
    for (int i = 0; i < N; i++) empty += slices[i] == 0;
    ck_assert_double_lt(fabs(sum / N - 0.5), 4 / sqrt(12.0 * N));
    ck_assert_double_lt(fabs(empty / (double)N - exp(-1)), 0.05); /* Poisson with mean 1 */
    ck_assert_double_lt(fabs(random / (double)N - 1 / 3.0), 4 * sqrt(2 / 9.0 / N));
    exp_study_free(s);
}
END_TEST

/* ---- threads ---- */

struct worker {
    const struct exp_study *s;
    uint64_t sum[64];
};

static uint64_t sum_of(const struct exp_scenario *x)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < offsetof(struct exp_scenario, origin); i++)
        h = (h ^ ((const unsigned char *)x)[i]) * 0x100000001b3u;
    return h;
}

static void *work(void *argument)
{
    struct worker *w = argument;
    struct exp_scenario *x = exp_scenario_new();
    struct sim_status st = {0};
    for (uint64_t i = 0; i < 64; i++) {
        exp_study_scenario(w->s, i, x, &st);
        w->sum[i] = sum_of(x);
    }
    free(x);
    return NULL;
}

START_TEST(threads_that_share_a_study_make_the_same_scenarios)
{
    struct exp_study *s =
        study("grid: {strategy: [full, 'freekv:budget=512'], router: [random, round_robin]}\n"
              "random: {samples: 16, keys: {slo.ttft_ms: {from: 1, to: 9}}}\n");
    struct worker w[4] = {{s, {0}}, {s, {0}}, {s, {0}}, {s, {0}}};
    pthread_t thread[3];
    for (int t = 0; t < 3; t++) ck_assert_int_eq(pthread_create(&thread[t], NULL, work, &w[t]), 0);
    work(&w[3]);
    for (int t = 0; t < 3; t++) pthread_join(thread[t], NULL);
    for (int t = 0; t < 3; t++) ck_assert_mem_eq(w[t].sum, w[3].sum, sizeof w[3].sum);
    for (int i = 1; i < 64; i++) ck_assert_uint_ne(w[3].sum[i], w[3].sum[i - 1]);
    exp_study_free(s);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("study_points");
    TCase *points = tcase_create("points"), *values = tcase_create("values"),
          *samples = tcase_create("samples");
    tcase_add_test(points, points_are_every_combination_with_the_first_axis_slowest);
    tcase_add_test(points, sections_turn_in_the_order_of_the_file);
    tcase_add_test(points, an_entry_of_the_list_leaves_nothing_behind_for_the_next);
    tcase_add_test(points, lists_with_names_turn_one_in_another_and_show_their_names_alone);
    tcase_add_test(points, axes_of_a_list_with_a_name_are_that_name);
    tcase_add_test(points, a_name_of_a_list_stands_for_its_keys_and_collides_with_none);
    tcase_add_test(points, axes_say_how_many_values_they_have_and_whether_these_are_numbers);
    tcase_add_test(points, threads_that_share_a_study_make_the_same_scenarios);
    tcase_add_test(values, every_key_varies_and_means_what_it_does_in_a_scenario);
    tcase_add_test(values, a_strategy_is_what_compare_makes_of_it);
    tcase_add_test(values, all_strategies_are_the_whole_catalogue_each_once);
    tcase_add_test(values, parameters_and_strategies_do_not_mind_their_order);
    tcase_add_test(values, a_budget_for_full_fails_its_points_and_no_others);
    tcase_add_test(values, what_set_gives_stays_where_a_strategy_takes_it);
    tcase_add_test(values, paths_start_at_the_folder_of_the_file_that_names_them);
    tcase_add_test(values, the_load_of_a_point_replaces_the_base_s);
    tcase_add_test(values, settings_are_json_with_numbers_as_numbers);
    tcase_add_test(samples, a_latin_hypercube_has_one_sample_in_each_slice);
    tcase_add_test(samples, samples_depend_on_seed_and_key_but_on_no_other_axis);
    tcase_add_test(samples, two_keys_of_a_hypercube_are_not_correlated);
    tcase_add_test(samples, uniform_samples_are_independent_and_have_the_right_mean);
    suite_add_tcase(s, points);
    suite_add_tcase(s, values);
    suite_add_tcase(s, samples);
    return s;
}
