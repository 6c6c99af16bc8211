/* Keys of KV strategies: the table of models/strategy.h as scenario keys, contradictions named with their line, and
 * every strategy through a whole run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/keys.h"
#include "experiments/replicate.h"
#include "experiments/values.h"
#include "sim/memory.h"
#include "tests/harness.h"

#define HEAD "model: llama-3.1-8b\nfleet:\n  - gpu: h100-sxm\n    profile: analytic\n"
#define LOAD                                                                                                 \
    "workload: {open_loop: {request_rate: 8, num_requests: 60, input_tokens: 'lognormal:3000:0.8:12000', "   \
    "output_tokens: 'uniform:20:200'}}\n"

static struct exp_scenario *parsed(const char *text)
{
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("t.yaml", text, strlen(text), &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    return s;
}

static void set(struct exp_scenario *s, const char *path, const char *value)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_scenario_set(s, path, value, &st), "%s", st.message);
}

static struct exp_cache *cache_of(void)
{
    struct sim_status st = {0};
    struct exp_cache *c = exp_cache_new(&st);
    ck_assert_msg(c != NULL, "%s", st.message);
    return c;
}

static struct exp_run *run_of(const struct exp_scenario *s, struct exp_cache *c)
{
    struct sim_status st = {0};
    struct exp_run *r = exp_run_new(s, c, NULL, &st);
    ck_assert_msg(r != NULL, "%s: %s", mdl_strategy_at((size_t)s->fleet[0].kv.strategy)->name, st.message);
    return r;
}

static void expect(const struct sim_status *st, const char *const *pieces)
{
    for (; *pieces; pieces++)
        ck_assert_msg(strstr(st->message, *pieces) != NULL, "`%s` lacks `%s`", st->message, *pieces);
    ck_assert_ptr_null(strchr(st->message, '\n'));
}

/* ---- the table ---- */

START_TEST(every_parameter_is_a_key_of_the_fleet_with_its_own_range_unit_and_help)
{
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        const struct mdl_kv_key_info *info = mdl_kv_key_info((enum mdl_kv_key)i);
        static const enum exp_type types[] = {EXP_COUNT, EXP_REAL, EXP_FLAG, EXP_CHOICE};
        char *path = sim_printf("fleet.0.kv.%s", info->name);
        struct exp_scenario *s = exp_scenario_new();
        struct exp_target t;
        struct sim_status st = {0};
        ck_assert_msg(exp_key_resolve(s, path, "x", &t, &st) && t.key, "%s", path);
        ck_assert_ptr_eq(t.field, &s->fleet[0].kv.value[i]);
        ck_assert_int_eq(t.key->type, types[info->type]);
        ck_assert(t.key->optional);
        ck_assert_double_eq(t.key->lo, info->least);
        ck_assert_double_eq(t.key->hi, info->most);
        ck_assert_str_eq(t.key->help, info->help);
        ck_assert_str_eq(info->type == MDL_KV_CHOICE ? t.key->words : t.key->unit, info->unit);
        free(path);
        free(s);
    }
}
END_TEST

START_TEST(a_choice_takes_its_words_in_the_order_of_their_values)
{
    static const char *const layouts[] = {"nhd", "hnd", "hybrid"};
    struct exp_scenario *s = parsed(HEAD);
    for (int i = 0; i < 3; i++) {
        set(s, "fleet.0.kv.layout", layouts[i]);
        ck_assert(s->fleet[0].kv.value[MDL_KV_LAYOUT].given);
        ck_assert_double_eq(s->fleet[0].kv.value[MDL_KV_LAYOUT].value, i);
    }
    set(s, "fleet.0.kv.layout", "default");
    ck_assert(!s->fleet[0].kv.value[MDL_KV_LAYOUT].given);
    set(s, "fleet.0.kv.speculative_retrieval", "off");
    ck_assert(s->fleet[0].kv.value[MDL_KV_SPECULATIVE].given);
    ck_assert_double_eq(s->fleet[0].kv.value[MDL_KV_SPECULATIVE].value, 0);
    free(s);
}
END_TEST

START_TEST(every_strategy_is_a_value_of_kv_strategy)
{
    struct exp_scenario *s = parsed(HEAD);
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        set(s, "fleet.0.kv.strategy", mdl_strategy_at(i)->name);
        ck_assert_int_eq(s->fleet[0].kv.strategy, (int)i);
    }
    free(s);
}
END_TEST

/* What stands below the head is line 5. */
static const char *const misread[][3] = {
    {"    kv: {strategy: freekb}\n", "t.yaml:5: fleet.0.kv.strategy is `freekb`", "did you mean `freekv`"},
    {"    kv: {strategy: full, budged: 5}\n", "t.yaml:5: unknown key `fleet.0.kv.budged`",
     "did you mean `fleet.N.kv.budget`"},
    {"    kv: {correction_tau: 1.5}\n", "t.yaml:5: fleet.0.kv.correction_tau is `1.5`",
     "expected a number from 0 to 1"},
    {"    kv: {layout: bhnd}\n", "t.yaml:5: fleet.0.kv.layout is `bhnd`",
     "expected one of: nhd, hnd, hybrid"},
    {"    kv: {double_buffer: 2}\n", "t.yaml:5: fleet.0.kv.double_buffer is `2`", "expected true or false"},
    {"    kv: {budget: 0}\n", "t.yaml:5: fleet.0.kv.budget is `0`", "expected a whole number from 1"},
    {"    kv: {budget: 2.5}\n", "t.yaml:5: fleet.0.kv.budget is `2.5`", "expected a whole number from 1"},
    {"    kv: {fallback: {when: rarely}}\n", "t.yaml:5: fleet.0.kv.fallback.when is `rarely`",
     "expected one of: never, host_full, short"},
    {"    host: {link_gb_per_s: 0}\n", "t.yaml:5: fleet.0.host.link_gb_per_s is `0`",
     "expected a number from 0.001"},
    {"    host: {duplex: 3}\n", "t.yaml:5: fleet.0.host.duplex is `3`", "expected a number from 1 to 2"},
    {"    host: {kernel_frac: 1.1}\n", "t.yaml:5: fleet.0.host.kernel_frac is `1.1`",
     "expected a number from 0.01 to 1"},
    {"    host: {gather_gb_per_s: 0}\n", "t.yaml:5: fleet.0.host.gather_gb_per_s is `0`",
     "expected a number from 0.001 to 100000"},
    {"    host: {submitters: 0}\n", "t.yaml:5: fleet.0.host.submitters is `0`",
     "expected a whole number from 1"},
};

START_TEST(a_value_that_cannot_be_is_refused_where_it_stands)
{
    struct sim_status st = {0};
    char *text = sim_printf(HEAD "%s", misread[_i][0]);
    ck_assert_ptr_null(exp_scenario_parse("t.yaml", text, strlen(text), &st));
    expect(&st, (const char *const[]){misread[_i][1], misread[_i][2], NULL});
    free(text);
}
END_TEST

/* With the same range as models/host.c has, and the unit that it is converted from. */
START_TEST(every_constant_of_the_server_is_a_key_of_the_fleet_and_reaches_its_host)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(HEAD LOAD);
    for (size_t i = 0; i < mdl_host_default_count(); i++) {
        const struct mdl_host_default *d = mdl_host_default_at(i);
        struct sim_status st = {0};
        struct exp_target t;
        char *path = sim_printf("fleet.0.host.%s", d->name);
        ck_assert_msg(exp_key_resolve(s, path, "x", &t, &st) && t.key, "%s", path);
        struct mdl_host h = {.duplex = 0};
        ck_assert_msg(mdl_host_set(&h, d->name, t.key->hi, &st), "%s", st.message);
        ck_assert(!mdl_host_set(&h, d->name, t.key->lo - 1, &st));
        free(path);
    }
    set(s, "fleet.0.host.kernel_frac", "0.9");
    set(s, "fleet.0.host.gather_gb_per_s", "50000");
    struct sim_status st = {0};
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    ck_assert_double_eq(u->fleets[0].kv.host.kernel_frac, 0.9);
    ck_assert_double_eq(u->fleets[0].kv.host.gather_byte_per_s, 5e13);
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

/* ---- contradictions ---- */

/* What stands below the head is line 5. */
static const char *const contradictory[][3] = {
    {"    kv:\n      strategy: freekv\n      sink: 1024\n      recent: 512\n      budget: 1024\n",
     "t.yaml:9: fleet.0.kv.", "budget"},
    {"    kv:\n      strategy: kivi4\n      group: 96\n", "t.yaml:7: fleet.0.kv.", "group"},
    {"    kv:\n      strategy: quest\n      rank: 160\n", "t.yaml:7: fleet.0.kv.rank",
     "strategy quest has no such parameter"},
    {"    kv:\n      rank: 160\n", "t.yaml:6: fleet.0.kv.rank", "strategy full has no such parameter"},
    {"    kv: {strategy: int4, fallback: {when: host_full}}\n", "t.yaml:5: fleet.0.kv.fallback", "int4"},
    {"    kv: {strategy: freekv, fallback: {when: short}}\n", "t.yaml:5: fleet.0.kv.fallback.when short",
     "kv.fallback.below_tokens"},
    {"    kv: {strategy: freekv}\n    engine: {max_model_len: 100000}\n    host:\n      memory_gib: 8\n",
     "host memory too small: 12.2 GiB needed per GPU for one request of max_model_len 100000",
     "raise fleet.0.host.memory_gib"},
    {"    kv: {strategy: freekv}\n    host:\n      memory_gib: 0\n", "t.yaml:7: fleet.0.host.memory_gib 0",
     "the host"},
    {"    kv: {strategy: freekv}\n    pipeline_parallel: 2\n", "t.yaml:5: fleet.0.kv.strategy freekv",
     "found pipeline_parallel 2"},
    {"    kv: {strategy: kivi4, length_pairs: /nonexistent/pairs.csv}\n", "fleet.0.kv.length_pairs",
     "/nonexistent/pairs.csv"},
    {"    kv: {strategy: kivi4, quality: /nonexistent/own.csv}\n", "fleet.0.kv.quality",
     "/nonexistent/own.csv"},
    {"    kv: {strategy: kivi4, kernels: nope}\n", "fleet.0.kv.kernels: no profile `nope`",
     "kvsim list profiles"},
    {"classes: {gold: {kv: {strategy: full}}, rest: {slo: {ttft_ms: 5}}}\n",
     "t.yaml:5: classes.gold.kv.strategy full: router round_robin does not look at classes",
     "set router: by_class"},
    {"router: by_class\nclasses:\n  gold:\n    kv: {strategy: freekv}\n",
     "t.yaml:8: classes.gold.kv.strategy freekv: no fleet has it", "add one"},
    {"    classes: [gold]\n    kv: {strategy: freekv}\n  - {gpu: h100-sxm}\nrouter: by_class\n"
     "classes: {gold: {kv: {strategy: full}}}\n",
     "fleet.0: fleet.classes: class gold asks for kv.strategy full and this fleet has freekv",
     "expected the same"},
    {"    classes: [rest]\n  - {gpu: h100-sxm, kv: {strategy: freekv}}\nrouter: by_class\n"
     "classes:\n  rest: {slo: {ttft_ms: 5}}\n  gold: {kv: {strategy: full}}\n",
     "t.yaml:10: classes.gold.kv.strategy full: the fleet that has it serves classes [rest] only",
     "add it to fleet.0.classes"},
    {"    kv: {fallback: {when: short, below_tokens: 9}}\n", "t.yaml:5: fleet.0.kv.fallback: strategy full",
     "remove it"},
    {"    kv:\n      strategy: quest\n      fallback:\n        when: host_full\n",
     "t.yaml:8: fleet.0.kv.fallback.when host_full: strategy quest keeps nothing on the host",
     "expected never or short"},
    {"    kv:\n      strategy: freekv\n      fallback: {below_tokens: 2000}\n",
     "t.yaml:7: fleet.0.kv.fallback.below_tokens 2000", "expected kv.fallback.when short"},
    {"    kv: {strategy: freekv, fallback: {when: host_full, below_tokens: 2000}}\n",
     "t.yaml:5: fleet.0.kv.fallback.below_tokens 2000", "expected kv.fallback.when short"},
    {"    kv: {strategy: quest, skip_layers: 32}\n", "t.yaml:5: fleet.0.kv.skip_layers 32",
     "llama-3.1-8b has 32 layers, expected fewer"},
    {"    kv: {strategy: infinigen, fetch_frac: 0}\n", "t.yaml:5: fleet.0.kv.fetch_frac 0",
     "expected a share above 0"},
    {"    name: a\n  - {gpu: h100-sxm, name: a}\n", "t.yaml:5: fleet.0.name a: fleet.1 has that name",
     "rename it"},
    {"  - {gpu: h200-sxm, name: h100-sxm}\n", "t.yaml:5: fleet.1.name h100-sxm: fleet.0 has that name",
     "rename it"},
};

START_TEST(keys_that_contradict_each_other_are_named_in_one_line)
{
    struct exp_cache *c = cache_of();
    struct sim_status st = {0};
    char *text = sim_printf(HEAD "%s" LOAD, contradictory[_i][0]);
    struct exp_scenario *s = parsed(text);
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u == NULL, "accepted %s", contradictory[_i][0]);
    expect(&st, (const char *const[]){contradictory[_i][1], contradictory[_i][2], NULL});
    exp_setup_free(u);
    free(s);
    free(text);
    exp_cache_free(c);
}
END_TEST

START_TEST(what_an_option_set_is_not_blamed_on_the_file)
{
    struct exp_cache *c = cache_of();
    struct sim_status st = {0};
    struct exp_scenario *s = parsed(HEAD "    kv: {strategy: freekv, budget: 2048}\n" LOAD);
    set(s, "fleet.0.kv.budget", "100");
    ck_assert_ptr_null(exp_setup_new(s, c, NULL, &st));
    expect(&st, (const char *const[]){"--set: fleet.0.kv.", "budget", "100", NULL});
    free(s);
    exp_cache_free(c);
}
END_TEST

/* ---- set-up ---- */

START_TEST(max_model_len_is_lowered_to_what_the_host_holds_with_a_note)
{
    struct exp_cache *c = cache_of();
    struct sim_status st = {0};
    struct exp_scenario *s = parsed(HEAD "    kv: {strategy: freekv}\n    host: {memory_gib: 4}\n" LOAD);
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    ck_assert_uint_eq(u->sim_fleets[0].engine.max_model_len, 32768); /* 128 KiB a token */
    ck_assert_ptr_nonnull(strstr(u->notes.text[u->notes.n - 1], "which is all its host memory holds"));
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(replicas_share_a_link_when_their_gpus_do)
{
    static const struct {
        const char *tp, *gpus;
        uint32_t replicas;
    } cases[] = {{"1", "4", 4}, {"2", "4", 2}, {"4", "4", 1}, {"8", "4", 1}, {"1", "1", 1}};
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(HEAD "    kv: {strategy: freekv}\n" LOAD);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim_status st = {0};
        set(s, "fleet.0.tensor_parallel", cases[i].tp);
        set(s, "fleet.0.host.gpus_per_link", cases[i].gpus);
        struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
        ck_assert_msg(u != NULL, "%s", st.message);
        ck_assert_uint_eq(u->sim_fleets[0].replicas_per_link, cases[i].replicas);
        exp_setup_free(u);
    }
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(a_class_that_names_a_strategy_is_served_where_it_is)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(
        "model: llama-3.1-8b\n"
        "fleet:\n  - {gpu: h100-sxm, profile: analytic, kv: {strategy: h2o}}\n"
        "  - {gpu: h100-sxm, profile: analytic}\n"
        "router: by_class\n"
        "slo: {ttft_ms: 100}\n"
        "classes: {gold: {kv: {strategy: full}, assign: {max_input_tokens: 500}}, rest: {slo: {ttft_ms: "
        "900}}}\n"
        "workload: {open_loop: {request_rate: 20, num_requests: 100, input_tokens: 'uniform:10:1000'}}\n");
    struct exp_run *r = run_of(s, c);
    ck_assert_uint_eq(r->setup->sim_fleets[0].slo_class_mask, 0);
    ck_assert_uint_eq(r->setup->sim_fleets[1].slo_class_mask, 2); /* behind class `default` */
    uint64_t gold = 0;
    for (uint64_t i = 0; i < r->result->n_requests; i++) {
        bool is_gold = r->setup->config.load.requests[i].input_tokens <= 500;
        ck_assert_uint_eq(r->result->outcomes[i].replica, is_gold ? 1 : 0);
        gold += is_gold;
    }
    ck_assert_uint_gt(gold, 20);
    ck_assert_uint_lt(gold, 80);
    exp_run_free(r);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(another_strategy_keeps_the_parameters_that_it_shares)
{
    struct sim_status st = {0};
    struct exp_scenario *s = parsed(HEAD "    kv: {strategy: freekv, budget: 4096, correction_tau: 0.7, "
                                         "page: 16, length_pairs: a.csv, quality: q.csv}\n" LOAD);
    const struct exp_kv_keys *k = &s->fleet[0].kv;
    ck_assert(exp_scenario_take_strategy(s, "freekv", &st));
    ck_assert(k->value[MDL_KV_TAU].given && k->length_pairs[0]);
    ck_assert(exp_scenario_take_strategy(s, "quest", &st));
    ck_assert_str_eq(mdl_strategy_at((size_t)k->strategy)->name, "quest");
    ck_assert(k->value[MDL_KV_BUDGET].given && k->value[MDL_KV_BUDGET].value == 4096);
    ck_assert(k->value[MDL_KV_PAGE].given && !k->value[MDL_KV_TAU].given && !k->length_pairs[0]);
    ck_assert_str_eq(k->quality, "q.csv"); /* a record is of all strategies */
    set(s, "fleet.0.kv.fallback", "{when: short, below_tokens: 100}");
    ck_assert(exp_scenario_take_strategy(s, "arkvale", &st));
    ck_assert_int_eq(k->fallback_when, SIM_FALLBACK_SHORT);
    ck_assert(exp_scenario_take_strategy(s, "int4", &st));
    ck_assert_int_eq(k->fallback_when, SIM_FALLBACK_NEVER);
    ck_assert(exp_scenario_take_strategy(s, "full", &st));
    for (int i = 0; i < MDL_N_KV_KEY; i++) ck_assert(!k->value[i].given);
    ck_assert(!exp_scenario_take_strategy(s, "quets", &st));
    expect(&st, (const char *const[]){"`quets`", "did you mean `quest`", NULL});
    free(s);
}
END_TEST

START_TEST(a_strategy_that_nothing_can_fall_back_from_takes_no_fallback_along)
{
    static const struct {
        const char *strategy, *when;
        bool stays;
    } cases[] = {{"quest", "short", true},
                 {"full", "short", false},
                 {"quest", "host_full", false},
                 {"arkvale", "host_full", true},
                 {"int4", "short", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sim_status st = {0};
        struct exp_scenario *s = parsed(HEAD "    kv: {strategy: freekv}\n" LOAD);
        const struct exp_kv_keys *k = &s->fleet[0].kv;
        set(s, "fleet.0.kv.fallback.when", cases[i].when);
        if (strcmp(cases[i].when, "short") == 0) set(s, "fleet.0.kv.fallback.below_tokens", "900");
        ck_assert(exp_scenario_take_strategy(s, cases[i].strategy, &st));
        ck_assert_int_eq(k->fallback_when != SIM_FALLBACK_NEVER, cases[i].stays);
        ck_assert(cases[i].stays || k->fallback_below_tokens == 0);
        ck_assert_msg(exp_scenario_check(s, &st), "%s", st.message);
        free(s);
    }
}
END_TEST

START_TEST(unnamed_fleets_of_one_gpu_are_told_apart)
{
    struct exp_cache *c = cache_of();
    struct sim_status st = {0};
    struct exp_scenario *s = parsed(HEAD "  - {gpu: h200-sxm, profile: analytic}\n"
                                         "  - {gpu: h100-sxm, profile: analytic}\n" LOAD);
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    ck_assert_str_eq(u->fleets[0].name, "h100-sxm");
    ck_assert_str_eq(u->fleets[1].name, "h200-sxm");
    ck_assert_str_eq(u->fleets[2].name, "h100-sxm.2");
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

static bool noted(const struct exp_setup *u, const char *piece)
{
    bool any = false;
    for (uint32_t i = 0; i < u->notes.n; i++) any |= strstr(u->notes.text[i], piece) != NULL;
    return any;
}

START_TEST(a_fleet_that_nothing_reaches_and_a_pin_that_does_nothing_are_noted)
{
    struct exp_cache *c = cache_of();
    struct sim_status st = {0};
    struct exp_scenario *s = parsed(
        HEAD
        "    name: a\n    classes: [default, gold]\n"
        "  - {gpu: h100-sxm, name: b, profile: analytic, kv: {strategy: freekv}}\n"
        "router: by_class\nclasses: {default: {slo: {ttft_ms: 5}}, gold: {kv: {strategy: full}}}\n" LOAD);
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    ck_assert_uint_eq(u->sim_fleets[0].slo_class_mask, 3);
    ck_assert(noted(u, "fleet b gets no requests: every class is pinned to other fleets"));
    exp_setup_free(u);
    set(s, "fleet.0.classes", "[gold]");
    u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    ck_assert(!noted(u, "gets no requests"));
    exp_setup_free(u);
    s->classes[1].kv_strategy.given = false;
    set(s, "router", "round_robin");
    u = exp_setup_new(s, c, NULL, &st);
    ck_assert_msg(u != NULL, "%s", st.message);
    ck_assert(noted(u, "fleet a: router round_robin does not look at `classes`"));
    exp_setup_free(u);
    free(s);
    exp_cache_free(c);
}
END_TEST

/* ---- runs ---- */

START_TEST(the_pool_that_a_run_tells_of_is_the_one_that_was_planned_whatever_the_strategy)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(HEAD "    replicas: 3\n"
                                         "  - {gpu: h200-sxm, replicas: 2, profile: analytic}\n" LOAD);
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        struct sim_status st = {0};
        ck_assert(exp_scenario_take_strategy(s, mdl_strategy_at(i)->name, &st));
        set(s, "fleet.1.kv.strategy", "full");
        struct exp_run *r = run_of(s, c);
        const struct exp_fleet_setup *f = r->setup->fleets;
        double planned[] = {3 * (double)f[0].memory.kv_capacity_tokens,
                            2 * (double)f[1].memory.kv_capacity_tokens};
        ck_assert_uint_eq(r->report->n_fleets, 2);
        for (int k = 0; k < 2; k++)
            ck_assert_double_eq((double)r->report->fleets[k].kv_capacity_tokens, planned[k]);
        ck_assert_double_eq(exp_figure(r->figures, "kv_capacity_tokens").mean, planned[0] + planned[1]);
        exp_run_free(r);
    }
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(requests_below_the_length_fall_back_and_are_counted_once_each)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(HEAD "    kv: {strategy: freekv, fallback: {when: short, below_tokens: "
                                         "2500}}\nlength_shift: false\n" LOAD);
    for (int squeezed = 0; squeezed < 2; squeezed++) {
        if (squeezed) { /* growing answers take the pool from each other */
            set(s, "engine.num_gpu_blocks_override", "1100");
            set(s, "fleet.0.kv.fallback.below_tokens", "3500");
            set(s, "workload.open_loop.request_rate", "50");
            set(s, "workload.open_loop.output_tokens", "uniform:500:1500");
        }
        struct exp_run *r = run_of(s, c);
        uint64_t below = 0;
        for (uint64_t i = 0; i < r->result->n_requests; i++) {
            const struct sim_request *q = &r->setup->config.load.requests[i];
            bool is_short = q->input_tokens + q->output_tokens < s->fleet[0].kv.fallback_below_tokens;
            ck_assert_int_eq(r->result->outcomes[i].fell_back, is_short);
            below += is_short;
        }
        ck_assert_uint_gt(below, 10);
        ck_assert_uint_lt(below, r->result->n_requests - 10);
        ck_assert_double_eq(exp_figure(r->figures, "fell_back").mean, (double)below);
        if (squeezed) ck_assert_double_gt(exp_figure(r->figures, "preemptions").mean, 0);
        ck_assert_uint_eq(r->report->fleets[0].fell_back, below);
        exp_run_free(r);
    }
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(requests_fall_back_as_long_as_the_host_is_full)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s = parsed(
        HEAD "    kv: {strategy: freekv, fallback: {when: host_full}}\n    host: {memory_gib: 3}\n" LOAD);
    struct exp_run *r = run_of(s, c);
    double some = exp_figure(r->figures, "fell_back").mean;
    ck_assert_double_gt(some, 0);
    ck_assert_double_gt(exp_figure(r->figures, "kv_host_peak_utilization").mean, 0.5);
    exp_run_free(r);
    set(s, "fleet.0.host.memory_gib", "300");
    r = run_of(s, c);
    ck_assert_double_eq(exp_figure(r->figures, "fell_back").mean, 0);
    ck_assert_double_lt(exp_figure(r->figures, "kv_host_peak_utilization").mean, 0.5);
    exp_run_free(r);
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(every_strategy_runs_the_shipped_demo_and_serves_every_request)
{
    struct exp_cache *c = cache_of();
    struct sim_status st = {0};
    const char *name = mdl_strategy_at((size_t)_i)->name;
    char *path = sim_printf("%s/experiments/scenarios/demo.yaml", exp_cache_data_dir(c));
    struct exp_scenario *s = exp_scenario_load(path, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert(exp_scenario_take_strategy(s, name, &st));
    s->workload.max_requests = 400;
    struct exp_run *r = run_of(s, c);
    const struct exp_figures *f = r->figures;
    ck_assert_double_eq(exp_figure(f, "completed").mean, 400);
    for (size_t i = 0; i < exp_figure_count(); i++)
        ck_assert_msg(isfinite(f->all[i].mean), "%s: %s", name, exp_figure_name(i));
    ck_assert_double_gt(
        exp_figure(f, "kv_bytes_per_token").mean + exp_figure(f, "kv_host_bytes_per_token").mean, 0);
    ck_assert_double_ge(exp_figure(f, "exposed_frac").mean, 0);
    ck_assert_double_lt(exp_figure(f, "exposed_frac").mean, 1);
    uint64_t given = 0;
    for (uint64_t i = 0; i < r->result->n_requests; i++) given += r->result->outcomes[i].output_tokens;
    ck_assert_double_eq((double)given, exp_figure(f, "total_output_tokens").mean);
    exp_run_free(r);
    free(s);
    free(path);
    exp_cache_free(c);
}
END_TEST

START_TEST(full_holds_its_closed_form_of_bytes_and_moves_nothing)
{
    struct exp_cache *c = cache_of();
    struct exp_scenario *s =
        parsed(HEAD "workload: {closed_loop: {concurrency: 4, input_tokens: 1600, output_tokens: 160}}\n");
    static const char *const tp[] = {"1", "2"};
    for (int i = 0; i < 2; i++) {
        set(s, "fleet.0.tensor_parallel", tp[i]);
        struct exp_run *r = run_of(s, c);
        ck_assert_double_eq(exp_figure(r->figures, "kv_bytes_per_token").mean, 2 * 32 * 8 * 128 * 2);
        ck_assert_double_eq(exp_figure(r->figures, "kv_host_bytes_per_token").mean, 0);
        ck_assert_double_eq(exp_figure(r->figures, "link_up_bytes").mean, 0);
        ck_assert_double_eq(exp_figure(r->figures, "exposed_frac").mean, 0);
        ck_assert_double_eq(exp_figure(r->figures, "mean_length_shift").mean, 0);
        exp_run_free(r);
    }
    free(s);
    exp_cache_free(c);
}
END_TEST

START_TEST(outputs_change_length_by_the_pairs_that_were_measured_and_not_at_all_when_told_so)
{
    struct exp_cache *c = cache_of();
    char *pairs = sim_printf("id,baseline_tokens,strategy_tokens\n");
    for (int i = 0; i < 40; i++) { /* half as long, twice as long: a factor of 1.25 on average */
        char *more = sim_printf("%s%d,100,%d\n", pairs, i, i % 2 ? 50 : 200);
        free(pairs);
        pairs = more;
    }
    struct exp_scenario *s = parsed(HEAD "    kv: {strategy: int8}\n"
                                         "workload: {closed_loop: {concurrency: 40, num_requests: 4000, "
                                         "input_tokens: 100, output_tokens: 40}}\n");
    snprintf(s->fleet[0].kv.length_pairs, sizeof s->fleet[0].kv.length_pairs, "%s",
             test_file("pairs.csv", pairs));
    struct exp_run *r = run_of(s, c);
    ck_assert_double_eq_tol(exp_figure(r->figures, "mean_length_shift").mean, 0.25, 0.05);
    uint64_t half = 0, twice = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        half += r->result->outcomes[i].output_tokens == 20;
        twice += r->result->outcomes[i].output_tokens == 80;
    }
    ck_assert_uint_gt(half, 1800);
    ck_assert_uint_gt(twice, 1800);
    ck_assert_uint_gt(half + twice, 3850); /* the rest lies between the two, where the quantiles jump */
    ck_assert_double_eq_tol(exp_figure(r->figures, "equivalent_output_throughput").mean *
                                (1 + exp_figure(r->figures, "mean_length_shift").mean),
                            exp_figure(r->figures, "output_throughput").mean, 1e-6);
    exp_run_free(r);
    s->length_shift = false;
    r = run_of(s, c);
    ck_assert_double_eq(exp_figure(r->figures, "mean_length_shift").mean, 0);
    for (uint64_t i = 0; i < 4000; i++) ck_assert_uint_eq(r->result->outcomes[i].output_tokens, 40);
    exp_run_free(r);
    free(pairs);
    free(s);
    exp_cache_free(c);
}
END_TEST

/* ---- error bands ---- */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

START_TEST(replications_draw_what_is_assumed_from_the_range_of_its_sources_and_keep_what_was_given)
{
    struct exp_cache *c = cache_of();
    struct sim_status st = {0};
    struct exp_scenario *s =
        parsed(HEAD "    kv: {strategy: freekv, miss_rate: 0.2}\n    host: {sync_us: 7}\n" LOAD);
    struct exp_setup *u = exp_setup_new(s, c, NULL, &st), *again;
    ck_assert_msg(u != NULL, "%s", st.message);
    const struct mdl_kv_default *d = mdl_strategy_default(u->fleets[0].kv.use.strategy, MDL_KV_CORRECTION);
    static double rate[2001];
    struct exp_factors factors;
    for (uint32_t k = 0; k < 2001; k++) {
        exp_factors_draw(u, 5, k, &factors);
        rate[k] = factors.kv[0][MDL_KV_CORRECTION];
        ck_assert(rate[k] >= d->low && rate[k] <= d->high);
        ck_assert(isnan(factors.kv[0][MDL_KV_BUDGET])); /* a choice, not an assumption */
    }
    qsort(rate, 2001, sizeof rate[0], rising);
    ck_assert_double_eq_tol(rate[1000], d->value, 0.05 * (d->high - d->low));
    ck_assert_double_gt(rate[2000] - rate[0], 0.8 * (d->high - d->low));
    again = exp_setup_new(s, c, &factors, &st);
    ck_assert_msg(again != NULL, "%s", st.message);
    ck_assert_double_eq(again->fleets[0].kv.use.value[MDL_KV_MISS], 0.2);
    ck_assert_double_eq(again->fleets[0].kv.host.sync_s, 7e-6);
    ck_assert_double_eq(again->fleets[0].kv.use.value[MDL_KV_CORRECTION], factors.kv[0][MDL_KV_CORRECTION]);
    ck_assert_double_ne(again->fleets[0].kv.host.copy.submit_s, u->fleets[0].kv.host.copy.submit_s);
    ck_assert_double_ne(again->fleets[0].kv.host.link_byte_per_s, u->fleets[0].kv.host.link_byte_per_s);
    ck_assert_double_eq(again->fleets[0].kv.host.memory_bytes, u->fleets[0].kv.host.memory_bytes);
    exp_setup_free(u);
    exp_setup_free(again);
    free(s);
    exp_cache_free(c);
}
END_TEST

Suite *test_suite(void)
{
    Suite *suite = suite_create("kv_keys");
    TCase *keys = tcase_create("keys"), *setup = tcase_create("setup"), *run = tcase_create("run");
    tcase_set_timeout(run, 60);
    tcase_add_test(keys, every_parameter_is_a_key_of_the_fleet_with_its_own_range_unit_and_help);
    tcase_add_test(keys, a_choice_takes_its_words_in_the_order_of_their_values);
    tcase_add_test(keys, every_strategy_is_a_value_of_kv_strategy);
    tcase_add_loop_test(keys, a_value_that_cannot_be_is_refused_where_it_stands, 0,
                        (int)(sizeof misread / sizeof misread[0]));
    tcase_add_test(setup, every_constant_of_the_server_is_a_key_of_the_fleet_and_reaches_its_host);
    tcase_add_loop_test(setup, keys_that_contradict_each_other_are_named_in_one_line, 0,
                        (int)(sizeof contradictory / sizeof contradictory[0]));
    tcase_add_test(setup, what_an_option_set_is_not_blamed_on_the_file);
    tcase_add_test(setup, max_model_len_is_lowered_to_what_the_host_holds_with_a_note);
    tcase_add_test(setup, replicas_share_a_link_when_their_gpus_do);
    tcase_add_test(setup, a_class_that_names_a_strategy_is_served_where_it_is);
    tcase_add_test(setup, another_strategy_keeps_the_parameters_that_it_shares);
    tcase_add_test(setup, a_strategy_that_nothing_can_fall_back_from_takes_no_fallback_along);
    tcase_add_test(setup, unnamed_fleets_of_one_gpu_are_told_apart);
    tcase_add_test(setup, a_fleet_that_nothing_reaches_and_a_pin_that_does_nothing_are_noted);
    tcase_add_test(run, the_pool_that_a_run_tells_of_is_the_one_that_was_planned_whatever_the_strategy);
    tcase_add_test(run, requests_below_the_length_fall_back_and_are_counted_once_each);
    tcase_add_test(run, requests_fall_back_as_long_as_the_host_is_full);
    tcase_add_test(setup,
                   replications_draw_what_is_assumed_from_the_range_of_its_sources_and_keep_what_was_given);
    tcase_add_loop_test(run, every_strategy_runs_the_shipped_demo_and_serves_every_request, 0,
                        (int)mdl_strategy_count());
    tcase_add_test(run, full_holds_its_closed_form_of_bytes_and_moves_nothing);
    tcase_add_test(run, outputs_change_length_by_the_pairs_that_were_measured_and_not_at_all_when_told_so);
    suite_add_tcase(suite, keys);
    suite_add_tcase(suite, setup);
    suite_add_tcase(suite, run);
    return suite;
}
