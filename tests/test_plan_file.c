/* Plan files: every key in and out again, what is wrong with its line, and what a check resolves. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cache.h"
#include "experiments/planning/file/plan_lines.h"
#include "experiments/setup.h"
#include "experiments/values.h"
#include "sim/memory.h"
#include "tests/harness.h"

static const char base_text[] = "model: llama-3.1-8b\n"
                                "load: {open_loop: {request_rate: 4, num_requests: 100}}\n"
                                "slo: {ttft_ms: 500}\n";

static struct exp_plan *parsed(const char *text)
{
    struct sim_status st = {0};
    struct exp_plan *p = exp_plan_parse("p.yaml", text, strlen(text), &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    return p;
}

static void one_line(const struct sim_status *st, const char *expected)
{
    ck_assert_msg(strstr(st->message, expected) != NULL, "`%s` lacks `%s`", st->message, expected);
    ck_assert_ptr_null(strchr(st->message, '\n'));
}

static void refused(const char *text, const char *expected)
{
    struct sim_status st = {0};
    struct exp_plan *p = exp_plan_parse("p.yaml", text, strlen(text), &st);
    ck_assert_msg(!p, "accepted: %s", text);
    one_line(&st, expected);
}

static void set(struct exp_plan *p, const char *path, const char *value)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_plan_set(p, path, value, &st), "%s=%s: %s", path, value, st.message);
}

/* Printed and written alike: all of a plan that text shows. */
static char *text_of(const struct exp_plan *p, void (*write)(const struct exp_plan *p, FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    write(p, f);
    fclose(f);
    return text;
}

static void set_refused(struct exp_plan *p, const char *path, const char *value, const char *expected)
{
    struct sim_status st = {0};
    char *before = text_of(p, exp_plan_write);
    ck_assert_msg(!exp_plan_set(p, path, value, &st), "accepted %s=%s", path, value);
    one_line(&st, expected);
    char *after = text_of(p, exp_plan_write);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
}

static struct exp_cache *cache_of(void)
{
    struct sim_status st = {0};
    struct exp_cache *c = exp_cache_new(&st);
    ck_assert_msg(c != NULL, "%s", st.message);
    return c;
}

static void checks(struct exp_plan *p, struct exp_cache *c)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_plan_check(p, c, &st), "%s", st.message);
}

/* What the base plan says of itself once these options are set; code of the exit. */
static void check_refused(const char *const *options, int code, const char *expected)
{
    struct sim_status st = {0};
    struct exp_cache *c = cache_of();
    struct exp_plan *p = parsed(base_text);
    for (; *options; options++) ck_assert_msg(exp_plan_set_option(p, *options, &st), "%s", st.message);
    ck_assert_msg(!exp_plan_check(p, c, &st), "accepted what lacks `%s`", expected);
    one_line(&st, expected);
    ck_assert_int_eq(st.code, code);
    exp_plan_free(p);
    exp_cache_free(c);
}
#define CHECK_REFUSED(code, expected, ...)                                                                   \
    check_refused((const char *const[]){__VA_ARGS__, NULL}, code, expected)

/* The same on a whole file. */
static void file_refused(const char *text, const char *expected)
{
    struct sim_status st = {0};
    struct exp_cache *c = cache_of();
    struct exp_plan *p = parsed(text);
    ck_assert_msg(!exp_plan_check(p, c, &st), "accepted: %s", text);
    one_line(&st, expected);
    ck_assert_int_eq(st.code, SIM_EXIT_FAILURE);
    exp_plan_free(p);
    exp_cache_free(c);
}

/* ---- the table ---- */

/* A path of a key as a plan would have it. */
static char *path_at(const struct exp_plan_key *k)
{
    if (strncmp(k->path, "classes.NAME", 12) == 0) return sim_printf("classes.gold%s", k->path + 12);
    if (strncmp(k->path, "have.N", 6) == 0) return sim_printf("have.0%s", k->path + 6);
    return sim_strdup(k->path);
}

/* A value that is not the default, within the range of the key. */
static const char *other_value(const struct exp_plan_key *k)
{
    static const struct {
        const char *path, *value;
    } own[] = {
        {"load.rate_curve", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24.5]"},
        {"baseline.kv", "{strategy: kivi4, group: 64}"},
        {"search.gpu", "[l4, a30]"},
        {"search.tensor_parallel", "[8, 2]"},
        {"search.strategy", "[full, 'freekv:budget=1024:correction_tau=0.9', h2o]"},
        {"search.acquire", "[rent]"},
        {"money.currency", "JPY"},
        {"quality.task_mix", "{qasper: 0.25, 'a b: c': 3}"},
        {"have.N.gpu", "a10"},
        {"have.N.link", "pcie3"},
        {"supply.bridge", "wait"},
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(own[i].path, k->path) == 0) return own[i].value;
    return NULL;
}

static char *value_for(const struct exp_plan_key *k)
{
    const struct exp_key *key = k->key;
    if (other_value(k)) return sim_strdup(other_value(k));
    switch (key->type) {
    case EXP_COUNT:
        return sim_printf("%.0f", fmin(key->hi, key->lo + 3));
    case EXP_REAL:
        return sim_printf("%.17g", key->lo + (fmin(key->hi, 1e3) - key->lo) / 7);
    case EXP_FLAG:
        return sim_strdup(strcmp(key->fallback, "true") == 0 ? "false" : "true");
    case EXP_CHOICE:
        return sim_strdup(exp_choice_word(key, exp_choice_word(key, 1).text[0] ? 1 : 0).text);
    case EXP_RANGE:
        return sim_strdup("[0.5, 1.25]");
    case EXP_LENGTHS:
        return sim_strdup("uniform:3:9");
    case EXP_ROUTER:
        return sim_strdup("random");
    case EXP_NAME_OR_PATH:
        return sim_strdup("vllm-0.12");
    default:
        return sim_strdup("/some where/it''s # here.csv");
    }
}

START_TEST(every_key_is_set_written_and_read_back_to_the_same_value)
{
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    exp_plan_keys(keys);
    for (size_t i = 0; i < keys->n; i++) {
        struct exp_plan *p = parsed(base_text);
        char *path = path_at(&keys->at[i]), *value = value_for(&keys->at[i]);
        char *bare = text_of(p, exp_plan_write);
        set(p, path, value);
        char *text = text_of(p, exp_plan_write);
        ck_assert_msg(exp_plan_given(p, path), "%s", path);
        ck_assert_msg(strcmp(bare, text) != 0, "%s=%s is not written", path, value);
        struct exp_plan *again = parsed(text);
        char *lines[2] = {text_of(p, exp_plan_print), text_of(again, exp_plan_print)};
        for (int k = 0; k < 2; k++)
            for (char *mark; (mark = strstr(lines[k], "  (default)"));)
                memmove(mark, mark + strlen("  (default)"), strlen(mark + strlen("  (default)")) + 1);
        ck_assert_msg(strcmp(lines[0], lines[1]) == 0, "%s=%s:\n%s\n%s", path, value, lines[0], lines[1]);
        free(lines[0]);
        free(lines[1]);
        exp_plan_free(again);
        free(text);
        free(bare);
        free(value);
        free(path);
        exp_plan_free(p);
    }
    ck_assert_uint_gt(keys->n, exp_plan_row_count() + 40);
    free(keys);
}
END_TEST

START_TEST(the_word_default_takes_a_key_back_to_where_nobody_gave_it)
{
    struct exp_plan_keys *keys = sim_alloc(1, sizeof *keys);
    exp_plan_keys(keys);
    for (size_t i = 0; i < keys->n; i++) {
        struct exp_plan *p = parsed("model: llama-3.1-8b\nslo: {ttft_ms: 500}\n"
                                    "classes: {gold: {slo: {tpot_ms: 20}}}\nhave: {servers: 1}\n");
        char *path = path_at(&keys->at[i]), *value = value_for(&keys->at[i]);
        bool was_given = exp_plan_given(p, path);
        const char *back = keys->at[i].key->type == EXP_RANGE ? keys->at[i].key->fallback : "default";
        set(p, path, back);
        char *before = text_of(p, exp_plan_write);
        set(p, path, value);
        set(p, path, back);
        char *after = text_of(p, exp_plan_write);
        ck_assert_msg(strcmp(before, after) == 0, "%s:\n%s\n%s", path, before, after);
        ck_assert_msg(was_given || back[0] == '[' || !exp_plan_given(p, path), "%s", path);
        free(before);
        free(after);
        free(value);
        free(path);
        exp_plan_free(p);
    }
    free(keys);
}
END_TEST

START_TEST(every_number_refuses_what_lies_outside_its_range_and_leaves_the_plan_alone)
{
    static const char *const bad[] = {"-1e30", "nan", ".inf", "1e400", "x", "{a: 1}", "1 2", "0x10", "''"};
    struct exp_plan *p = parsed(base_text);
    for (size_t i = 0; i < exp_plan_row_count(); i++) {
        const struct exp_key *k = &exp_plan_row_at(i)->key;
        struct exp_plan_key at = {.key = k};
        snprintf(at.path, sizeof at.path, "%s", k->name);
        char *path = path_at(&at);
        if (k->type != EXP_COUNT && k->type != EXP_REAL) {
            free(path);
            continue;
        }
        if (strncmp(path, "have.", 5) == 0 && p->n_have == 0) set(p, "have.0.servers", "1");
        for (size_t b = 0; b < sizeof bad / sizeof bad[0]; b++) set_refused(p, path, bad[b], "--set");
        set_refused(p, path, "1e13", "expected");
        if (k->type == EXP_COUNT) set_refused(p, path, "1.5", "expected");
        free(path);
    }
    exp_plan_free(p);
}
END_TEST

START_TEST(every_default_says_what_it_is_and_the_cards_have_measured_operators)
{
    struct exp_cache *c = cache_of();
    struct exp_plan *p = exp_plan_new();
    struct sim_status st = {0};
    char expected[400];
    for (size_t i = 0; i < exp_plan_row_count(); i++) {
        struct exp_plan_key k = {.key = &exp_plan_row_at(i)->key, .row = exp_plan_row_at(i)};
        exp_plan_expected(&k, expected, sizeof expected);
        ck_assert_uint_gt(strlen(k.key->help), 10);
        ck_assert_uint_gt(strlen(expected), 5);
    }
    ck_assert_uint_eq(p->n_search_gpu, 5);
    for (uint32_t i = 0; i < p->n_search_gpu; i++) {
        const struct mdl_gpu *gpu = mdl_gpu_find(exp_cache_gpus(c), p->search_gpu[i], &st);
        ck_assert_msg(gpu && gpu->profile[0], "%s: %s", p->search_gpu[i], st.message);
    }
    ck_assert_double_eq(p->peak_to_mean, 2.7);
    ck_assert_uint_eq(p->horizon_months, 36);
    ck_assert_str_eq(p->currency, "USD");
    ck_assert_str_eq(p->baseline.label, "full");
    ck_assert_str_eq(p->strategies.at[0].label, "full");
    ck_assert(p->acquire[EXP_BUY] && p->acquire[EXP_RENT] && p->acquire[EXP_MIX] && p->bridge_rent);
    ck_assert(isnan(p->class[0].max_failure_rate) && isnan(p->pilot_cost));
    exp_plan_free(p);
    exp_cache_free(c);
}
END_TEST

/* ---- a file ---- */

START_TEST(the_plan_of_the_design_reads_as_it_stands)
{
    struct exp_plan *p = parsed(
        "model: llama-3.1-8b\n"
        "load: {trace: azure.csv, multiply: 10, how: superpose, peak_to_mean: 2.7, growth_per_year: 0.6, "
        "horizon_months: 36}\n"
        "classes:\n"
        "  default:  {slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}, cost_per_failure: 0.02, "
        "cost_per_slo_miss: 0.001}\n"
        "  critical: {slo: {ttft_ms: 500, percentile: 99.9}, cost_per_failure: 40, churn_per_failure: 0.0, "
        "max_failure_rate: 0.001}\n"
        "have: [{gpu: a100-80, servers: 2, gpus_per_server: 8, host_gib: 1024, link: pcie4}]\n"
        "baseline: {kv: {strategy: full}}\n"
        "search: {gpu: [h100-sxm, h200-sxm], tensor_parallel: [1, 2, 4], strategy: [full, fp8, kivi4, "
        "freekv]}\n"
        "spare: {servers: 1, headroom: 0.2}\n"
        "supply: {lead_time_months: 6, bridge: rent}\n"
        "money: {currency: USD, discount_rate: 0.08}\n");
    struct exp_cache *c = cache_of();
    checks(p, c);
    ck_assert_str_eq(p->base->workload.trace, "azure.csv");
    ck_assert_double_eq(p->base->workload.multiply, 10);
    ck_assert_double_eq(p->growth_per_year, 0.6);
    ck_assert_uint_eq(p->n_classes, 2);
    ck_assert_str_eq(p->class[0].name, "default");
    ck_assert_double_eq(p->class[0].cost_per_slo_miss, 0.001);
    ck_assert_str_eq(p->class[1].name, "critical");
    ck_assert_double_eq(p->class[1].cost_per_failure, 40);
    ck_assert_double_eq(p->class[1].max_failure_rate, 0.001);
    ck_assert_double_eq(p->base->classes[1].slo.percentile, 99.9);
    ck_assert_uint_eq(p->n_have, 1);
    ck_assert_str_eq(p->have[0].gpu, "a100-80-sxm"); /* the alias resolved */
    ck_assert_str_eq(p->have[0].link, "pcie4");
    ck_assert_double_eq(p->have[0].host_gib, 1024);
    ck_assert_uint_eq(p->n_tensor_parallel, 3);
    ck_assert_uint_eq(p->strategies.n, 4);
    ck_assert_uint_eq(p->spare_servers, 1);
    ck_assert_double_eq(p->lead_time_months, 6);
    ck_assert_str_eq(exp_plan_where(p, "supply.bridge").text, "p.yaml:10");
    ck_assert_str_eq(exp_plan_where(p, "pilot.cost").text, "p.yaml");
    exp_plan_free(p);
    exp_cache_free(c);
}
END_TEST

START_TEST(classes_stand_in_the_order_of_the_scenario_whatever_names_them_first)
{
    struct exp_plan *p = parsed("classes:\n"
                                "  gold: {cost_per_failure: 3}\n"
                                "  default: {cost_per_failure: 1}\n"
                                "  silver: {slo: {ttft_ms: 9}}\n"
                                "slo: {tpot_ms: 50}\n");
    struct exp_class_keys *keys = sim_alloc(SIM_MAX_CLASSES, sizeof *keys);
    ck_assert_uint_eq(exp_scenario_classes(p->base, keys), p->n_classes);
    ck_assert_uint_eq(p->n_classes, 3);
    for (uint32_t i = 0; i < p->n_classes; i++) ck_assert_str_eq(p->class[i].name, keys[i].name);
    ck_assert_str_eq(p->class[0].name, "default");
    ck_assert_double_eq(p->class[0].cost_per_failure, 1);
    ck_assert_double_eq(p->class[1].cost_per_failure, 3);
    set(p, "classes.bronze.slo.ttft_ms", "30");
    ck_assert_str_eq(p->class[3].name, "bronze");
    ck_assert_double_eq(p->class[1].cost_per_failure, 3);
    exp_plan_free(p);
    p = parsed("classes: {default: {cost_per_failure: 1}, silver: {slo: {ttft_ms: 9}}}\n"); /* no `slo` */
    ck_assert_uint_eq(p->n_classes, 2);
    ck_assert_uint_eq(p->base->n_classes, 2);
    exp_plan_free(p);
    free(keys);
}
END_TEST

START_TEST(a_list_is_a_list_or_one_value_or_values_joined_by_commas)
{
    static const char *const ways[] = {"[l4, a30]", "l4,a30", "'l4, a30'"};
    struct exp_plan *p = parsed(base_text);
    for (int i = 0; i < 3; i++) {
        set(p, "search.gpu", ways[i]);
        ck_assert_uint_eq(p->n_search_gpu, 2);
        ck_assert_str_eq(p->search_gpu[1], "a30");
    }
    set(p, "search.gpu", "l4");
    ck_assert_uint_eq(p->n_search_gpu, 1);
    set(p, "search.strategy", "all");
    ck_assert_uint_eq(p->strategies.n, mdl_strategy_count());
    set(p, "search.strategy", "fp8");
    ck_assert_uint_eq(p->strategies.n, 2);
    ck_assert_str_eq(p->strategies.at[0].label, "full");
    set(p, "have", "{gpu: l4, servers: 2}");
    ck_assert_uint_eq(p->n_have, 1);
    set(p, "have", "[]");
    ck_assert_uint_eq(p->n_have, 0);
    exp_plan_free(p);
}
END_TEST

START_TEST(paths_start_at_the_plans_folder_and_are_written_whole)
{
    struct sim_status st = {0};
    const char *file = test_file("here.yaml", "load: {trace: t.csv}\nmoney: {prices: p.yaml}\n"
                                              "search: {strategy: ['kivi4:length_pairs=l.csv']}\n"
                                              "quality: {record: /abs/q.csv}\n");
    struct exp_plan *p = exp_plan_load(file, &st);
    ck_assert_msg(p != NULL, "%s", st.message);
    char *expected = sim_printf("%s/t.csv", test_dir());
    ck_assert_str_eq(p->base->workload.trace, expected);
    free(expected);
    expected = sim_printf("%s/p.yaml", test_dir());
    ck_assert_str_eq(p->prices, expected);
    ck_assert_str_eq(p->quality, "/abs/q.csv");
    free(expected);
    expected = sim_printf("%s/l.csv", test_dir());
    ck_assert_str_eq(p->strategies.at[1].setting[0].value, expected);
    free(expected);
    set(p, "load.trace", "other.csv"); /* an option's start where the user is */
    ck_assert_str_eq(p->base->workload.trace, "other.csv");
    char *text = text_of(p, exp_plan_write);
    ck_assert_ptr_nonnull(strstr(text, "trace: /"));
    free(text);
    exp_plan_free(p);
}
END_TEST

START_TEST(the_baseline_is_a_mapping_a_label_or_set_key_by_key)
{
    struct exp_cache *c = cache_of();
    struct exp_plan *p =
        parsed("model: llama-3.1-8b\nload: {trace: t.csv}\nslo: {ttft_ms: 500}\n"
               "baseline: {kv: {budget: 1024, strategy: freekv, fallback: {when: host_full}}}\n"
               "search: {strategy: [full, 'freekv:fallback.when=host_full:budget=1024']}\n");
    ck_assert_uint_eq(p->baseline.n_settings, 2);
    checks(p, c); /* it is among the strategies, in another order */
    ck_assert_uint_eq(p->strategies.n, 2);
    ck_assert_str_eq(p->baseline.label, p->strategies.at[1].label);
    set(p, "baseline.kv.budget", "512");
    checks(p, c);
    ck_assert_uint_eq(p->strategies.n, 3);
    set(p, "baseline.kv.strategy", "fp8");
    ck_assert_str_eq(p->baseline.label, "fp8");
    set(p, "baseline.kv", "kivi4:group=64");
    ck_assert_str_eq(p->baseline.setting[0].value, "64");
    set_refused(p, "baseline.kv", "all", "one strategy");
    set_refused(p, "baseline.kv", "{strategy: freekv, budgt: 3}", "did you mean `budget`");
    set_refused(p, "baseline.kv", "frekv", "did you mean `freekv`");
    set_refused(p, "baseline.kv", "[full]", "NAME:PARAMETER=VALUE");
    exp_plan_free(p);
    exp_cache_free(c);
}
END_TEST

START_TEST(what_a_file_gets_wrong_is_named_with_its_line_and_the_nearest_key)
{
    refused("model: a\nlaod: {trace: x}\n", "p.yaml:2: unknown key `laod`");
    refused("model: a\nlaod: {trace: x}\n", "did you mean `load`");
    refused("search:\n  gpus: [a]\n", "p.yaml:2: unknown key `search.gpus`");
    refused("search:\n  gpus: [a]\n", "did you mean `search.gpu`");
    refused("classes:\n  gold:\n    cost_per_fail: 1\n", "did you mean `classes.NAME.cost_per_failure`");
    refused("load:\n  multipl: 2\n", "did you mean `load.multiply`");
    refused("load: {multiply: x}\n", "p.yaml:1: load.multiply is `x`, expected a number");
    refused("load: {trace: a, open_loop: {request_rate: 1}}\n",
            "load.open_loop.request_rate is a second load");
    refused("load: {closed_loop: {concurrency: 1}}\n", "a closed loop has no rate");
    refused("fleet: [{gpu: l4}]\n", "expected `search` for what may be bought and `have`");
    refused("classes: {a: {kv: {strategy: full}}}\n", "every fleet of a candidate has one strategy");
    refused("workload: {trace: x}\n", "a plan calls it `load`");
    refused("classes: {a: {slo: {ttft_ms: -1}}}\n",
            "classes.a.slo.ttft_ms is `-1`, expected a number from 0");
    refused("classes: {'bad name': {cost_per_failure: 1}}\n", "is not a name");
    refused("classes: {a.b: {cost_per_failure: 1}}\n", "holds a dot");
    refused("money:\n  discount_rate: -0.1\n", "p.yaml:2: money.discount_rate is `-0.1`");
    refused("money: {currency: dollars}\n", "three capital letters");
    refused("classes: {default: {cost_per_failure: -2}}\n",
            "cost_per_failure is `-2`, expected a number from 0");
    refused("have: [{gpu: l4, link: usb}]\n", "have.0.link is `usb`, expected one of: own, pcie3");
    refused("have: 3\n", "have is not a list");
    refused("have: [3]\n", "have.0 is not a mapping");
    refused("search: {acquire: [steal]}\n", "search.acquire is `steal`, expected some of buy, rent, mix");
    refused("search: {tensor_parallel: [1, 1]}\n", "names `1` twice");
    refused("search: {tensor_parallel: [0]}\n", "expected whole numbers from 1 to 64");
    refused("search: {gpu: [[l4]]}\n", "search.gpu is `[...]`");
    refused("search: {strategy: [fp9]}\n", "p.yaml:1: search.strategy: ");
    refused("search: {strategy: [fp9]}\n", "did you mean `fp8`");
    refused("search: {strategy: ['freekv:budgt=1']}\n", "has no parameter `budgt`");
    refused("search: {strategy: [fp8, fp8]}\n", "named twice");
    refused("load: {rate_curve: [1, 2]}\n", "has 2 figures, expected 24");
    refused("load: {rate_curve: [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}\n", "0 at every hour");
    refused("load: {rate_curve: [1,-1]}\n", "load.rate_curve is `-1`");
    refused("load: {horizon_months: 121}\n", "from 1 to 120");
    refused("quality: {task_mix: {a: -1}}\n", "quality.task_mix.a is -1");
    refused("quality: {task_mix: {a: 0}}\n", "no share above 0");
    refused("quality: {task_mix: [a]}\n", "no mapping");
    refused("spare: 3\n", "spare is a single value or a list, expected a mapping");
    refused("[1]\n", "is not a mapping, expected a plan");
    refused("search: {strategy: []}\nsearch: {}\n", "already given");
    refused("spare: {headroom: 11}\n", "from 0 to 10");
}
END_TEST

START_TEST(an_option_that_is_wrong_is_named_and_the_plan_stays)
{
    struct sim_status st = {0};
    struct exp_plan *p = parsed(base_text);
    ck_assert(!exp_plan_set_option(p, "load.multiply", &st));
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    one_line(&st, "has no value");
    st = (struct sim_status){0};
    ck_assert(!exp_plan_set_from(p, "--ttft-ms", "slo.ttft_ms", "fast", &st));
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    one_line(&st, "--ttft-ms: slo.ttft_ms is `fast`");
    st = (struct sim_status){0};
    ck_assert(exp_plan_set_from(p, "--trace", "load.trace", "it's [a] #1: {x}.csv", &st));
    ck_assert_str_eq(p->base->workload.trace, "it's [a] #1: {x}.csv");
    ck_assert_int_eq(p->base->workload.source, EXP_TRACE);
    ck_assert_str_eq(exp_plan_where(p, "load.trace").text, "--trace");
    set_refused(p, "have.3.gpu", "l4", "expected have.0 to have.0");
    exp_plan_free(p);
}
END_TEST

/* ---- the check ---- */

START_TEST(what_a_plan_lacks_or_contradicts_is_said_in_one_line)
{
    file_refused("load: {trace: t.csv}\nslo: {ttft_ms: 5}\n", "p.yaml: has no `model`");
    file_refused("model: llama-3.1-8b\nslo: {ttft_ms: 5}\n", "p.yaml: has no load");
    file_refused("model: llama-3.1-8b\nload: {trace: t.csv}\n", "give --ttft-ms X --tpot-ms Y");
    file_refused("model: llama-3.1-8b\nload: {open_loop: {request_rate: 2}}\nslo: {ttft_ms: 5}\n",
                 "never ends");
    file_refused("model: lama-3.1-8b\nload: {trace: t.csv}\nslo: {ttft_ms: 5}\n", "p.yaml:1: ");
    file_refused("model: llama-3.1-8b\nload: {trace: t.csv}\nslo:\n  {ttft_ms: 5, percentile: 0.99}\n",
                 "p.yaml:4: slo.percentile is 0.99 %, expected 1 to 100");
    file_refused("model: llama-3.1-8b\nload: {trace: t.csv}\n"
                 "classes: {default: {slo: {ttft_ms: 5}}}\nslo: {ttft_ms: 6}\n",
                 "both set the limits of class default");
    CHECK_REFUSED(2,
                  "--set: classes.default.churn_per_failure is 0.1, but nobody says what a customer is worth",
                  "classes.default.churn_per_failure=0.1");
    CHECK_REFUSED(2, "lies beyond load.horizon_months 12", "load.horizon_months=12",
                  "supply.lead_time_months=13");
    CHECK_REFUSED(2, "both make the day", "load.peak_to_mean=2",
                  "load.rate_curve=[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]");
    CHECK_REFUSED(2, "did you mean `h100-sxm`", "search.gpu=h100-sxn");
    CHECK_REFUSED(2, "names h100-sxm twice", "search.gpu=h100,h100-sxm");
    CHECK_REFUSED(2, "search.gpu names no card", "search.gpu=[]");
    CHECK_REFUSED(2, "search.tensor_parallel is empty", "search.tensor_parallel=[]");
    CHECK_REFUSED(2, "does not divide the 8 GPUs of a server", "search.tensor_parallel=3");
    CHECK_REFUSED(2, "does not divide the 32 attention heads", "search.tensor_parallel=3",
                  "search.gpus_per_server=6");
    CHECK_REFUSED(2, "search.acquire is empty", "search.acquire=[]");
    CHECK_REFUSED(2, "have.0 has no `servers`", "have=[{gpu: l4}]");
    CHECK_REFUSED(2, "have.0 has no `gpu`", "have=[{servers: 1}]");
    CHECK_REFUSED(2, "did you mean", "have=[{gpu: a100-8, servers: 1}]");
    CHECK_REFUSED(2, "have.0.tensor_parallel 3: does not divide the 8 GPUs",
                  "have=[{gpu: l4, servers: 1, tensor_parallel: 3}]");
    CHECK_REFUSED(2, "expected money.exchange_rate", "money.currency=EUR");
    CHECK_REFUSED(2, "a USD is 1 USD", "money.exchange_rate=2");
    CHECK_REFUSED(2, "money.prices: /none.yaml cannot be read", "money.prices=/none.yaml");
    CHECK_REFUSED(2, "quality.record: /none.csv cannot be read", "quality.record=/none.csv");
    CHECK_REFUSED(2, "search.strategy: freekv:budget=-1: ", "search.strategy=freekv:budget=-1");
    CHECK_REFUSED(2, "fits none of the cards", "search.gpu=l4", "model=llama-3.1-405b");
}
END_TEST

START_TEST(replicas_of_a_large_model_take_more_cards_by_default)
{
    struct exp_cache *c = cache_of();
    struct exp_plan *p = parsed(base_text);
    checks(p, c);
    ck_assert_uint_eq(p->n_tensor_parallel, 3);
    for (uint32_t i = 0; i < 3; i++) ck_assert_uint_eq(p->tensor_parallel[i], 1u << i);
    exp_plan_free(p);
    p = parsed(base_text);
    set(p, "model", "llama-3.1-70b"); /* 141 GB in bf16: two cards of 141 GB, but four of 80 */
    set(p, "search.gpu", "h100-sxm");
    checks(p, c);
    ck_assert_uint_eq(p->n_tensor_parallel, 3);
    ck_assert_uint_eq(p->tensor_parallel[0], 2);
    ck_assert_uint_eq(p->tensor_parallel[2], 8);
    exp_plan_free(p);
    exp_cache_free(c);
}
END_TEST

/* ---- prints ---- */

START_TEST(what_nobody_gave_is_printed_with_its_default_and_what_was_given_without)
{
    struct exp_cache *c = cache_of();
    struct exp_plan *p = exp_plan_new();
    struct sim_status st = {0};
    ck_assert(exp_plan_set_from(p, "--model", "model", "llama-3.1-8b", &st));
    ck_assert(exp_plan_set_from(p, "--trace", "load.trace", "t.csv", &st));
    ck_assert(exp_plan_set_from(p, "--ttft-ms", "slo.ttft_ms", "1000", &st));
    checks(p, c);
    char *text = text_of(p, exp_plan_print);
    struct exp_plan_lines l = exp_plan_lines(p);
    const char *at = text;
    for (size_t i = 0; i < l.n; i++) {
        const char *end = strchr(at, '\n');
        bool marked = end - at > 11 && memcmp(end - 11, "  (default)", 11) == 0;
        bool given = strcmp(l.at[i].path, "model") == 0 || strcmp(l.at[i].path, "load.trace") == 0 ||
                     strcmp(l.at[i].path, "slo.ttft_ms") == 0;
        ck_assert_msg(marked != given, "%.*s", (int)(end - at), at);
        ck_assert_int_eq(strncmp(at, l.at[i].path, strlen(l.at[i].path)), 0);
        at = end + 1;
    }
    ck_assert_str_eq(at, "");
    ck_assert_ptr_nonnull(strstr(text, "engine.name                        vllm-"));
    exp_plan_lines_free(&l);
    free(text);
    exp_plan_free(p);
    exp_cache_free(c);
}
END_TEST

/* The name that the print gives for the engine is the one that runs. */
START_TEST(the_engine_of_the_print_is_the_one_that_a_fleet_gets)
{
    static const char text[] = "model: llama-3.1-8b\nfleet: [{gpu: h100-sxm, profile: analytic}]\n"
                               "workload: {closed_loop: {concurrency: 1}}\n";
    struct sim_status st = {0};
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = exp_scenario_parse("s.yaml", text, strlen(text), &st);
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    struct exp_plan *p = exp_plan_new();
    char *printed = text_of(p, exp_plan_print);
    char *expected = sim_printf("%s  (default)", u->fleets[0].engine.name);
    ck_assert_ptr_nonnull(strstr(printed, expected));
    free(expected);
    free(printed);
    exp_plan_free(p);
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(the_template_is_a_plan_that_is_complete)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    exp_plan_write_template("/where/demo.csv", f);
    fclose(f);
    struct exp_cache *c = cache_of();
    struct exp_plan *p = parsed(text);
    checks(p, c);
    ck_assert_str_eq(p->base->workload.trace, "/where/demo.csv");
    for (size_t i = 0; i < exp_plan_row_count(); i++) { /* every key stands there, as a value or a comment */
        const char *name = exp_plan_row_at(i)->key.name, *dot = strrchr(name, '.');
        char *entry = sim_printf(" %s:", dot ? dot + 1 : name), *line = sim_printf("\n%s:", name);
        ck_assert_msg(strstr(text, entry) || strstr(text, line), "%s", name);
        free(entry);
        free(line);
    }
    exp_plan_free(p);
    exp_cache_free(c);
    free(text);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("plan_file");
    TCase *table = tcase_create("table"), *file = tcase_create("file"), *check = tcase_create("check");
    TCase *print = tcase_create("print");
    tcase_set_timeout(table, 60);
    tcase_add_test(table, every_key_is_set_written_and_read_back_to_the_same_value);
    tcase_add_test(table, the_word_default_takes_a_key_back_to_where_nobody_gave_it);
    tcase_add_test(table, every_number_refuses_what_lies_outside_its_range_and_leaves_the_plan_alone);
    tcase_add_test(table, every_default_says_what_it_is_and_the_cards_have_measured_operators);
    tcase_add_test(file, the_plan_of_the_design_reads_as_it_stands);
    tcase_add_test(file, classes_stand_in_the_order_of_the_scenario_whatever_names_them_first);
    tcase_add_test(file, a_list_is_a_list_or_one_value_or_values_joined_by_commas);
    tcase_add_test(file, paths_start_at_the_plans_folder_and_are_written_whole);
    tcase_add_test(file, the_baseline_is_a_mapping_a_label_or_set_key_by_key);
    tcase_add_test(file, what_a_file_gets_wrong_is_named_with_its_line_and_the_nearest_key);
    tcase_add_test(file, an_option_that_is_wrong_is_named_and_the_plan_stays);
    tcase_add_test(check, what_a_plan_lacks_or_contradicts_is_said_in_one_line);
    tcase_add_test(check, replicas_of_a_large_model_take_more_cards_by_default);
    tcase_add_test(print, what_nobody_gave_is_printed_with_its_default_and_what_was_given_without);
    tcase_add_test(print, the_engine_of_the_print_is_the_one_that_a_fleet_gets);
    tcase_add_test(print, the_template_is_a_plan_that_is_complete);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, file);
    suite_add_tcase(suite, check);
    suite_add_tcase(suite, print);
    return suite;
}
