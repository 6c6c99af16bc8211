/* Points of studies: keys change with whatever determines a run and with nothing else, costs that runs share change no
 * figure, and what a study adds to a run's figures follows from them. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/costs.h"
#include "experiments/keys.h"
#include "experiments/study/point.h"
#include "sim/memory.h"
#include "tests/harness.h"

static struct sim_status st;
static struct exp_cache *cache;
static struct exp_hasher *hasher;

static void begin(void)
{
    st = (struct sim_status){0};
    cache = exp_cache_new(&st);
    ck_assert_msg(cache != NULL, "%s", st.message);
    hasher = exp_hasher_new(cache, "", &st);
    ck_assert_msg(hasher != NULL, "%s", st.message);
}

static void end(void)
{
    exp_hasher_free(hasher);
    exp_cache_free(cache);
}

static void set(struct exp_scenario *s, const char *path, const char *value)
{
    ck_assert_msg(exp_scenario_set(s, path, value, &st), "%s", st.message);
}

static struct exp_scenario *scenario(void)
{
    struct exp_scenario *s = exp_scenario_new();
    set(s, "model", "llama-3.1-8b");
    set(s, "fleet.0.gpu", "h100-sxm");
    set(s, "workload.open_loop",
        "{request_rate: 6, num_requests: 200, input_tokens: 700, output_tokens: 60}");
    set(s, "slo", "{ttft_ms: 500, tpot_ms: 50}");
    return s;
}

struct keys {
    char key[EXP_KEY_BYTES], setup[EXP_KEY_BYTES];
};

static struct keys keys_of(const struct exp_scenario *s)
{
    struct keys k;
    ck_assert_msg(exp_point_keys(hasher, s, 0, k.key, k.setup, &st), "%s", st.message);
    ck_assert_uint_eq(strlen(k.key), EXP_KEY_BYTES - 1);
    return k;
}

static bool same(struct keys a, struct keys b)
{
    return strcmp(a.key, b.key) == 0;
}

/* A value of the key other than the field's own, or NULL when there is none that stands alone. */
static const char *another(const struct exp_key *k, const void *field, char *text, size_t size)
{
    double now =
        k->optional
            ? (((const struct exp_number *)field)->given ? ((const struct exp_number *)field)->value : NAN)
        : k->type == EXP_REAL  ? *(const double *)field
        : k->type == EXP_COUNT ? (double)*(const uint64_t *)field
                               : NAN;
    switch (k->type) {
    case EXP_COUNT:
    case EXP_REAL:
        snprintf(text, size, "%.17g",
                 now == k->hi || now == k->lo + 1 ? k->lo
                 : k->lo + 1 <= k->hi             ? k->lo + 1
                                                  : k->hi);
        return text;
    case EXP_FLAG:
        return !k->optional && *(const bool *)field ? "false" : "true";
    case EXP_RANGE:
        return "[0.5, 1.5]";
    default:
        return NULL;
    }
}

START_TEST(every_number_and_flag_of_the_table_changes_the_key)
{
    begin();
    struct exp_scenario *base = scenario();
    struct keys before = keys_of(base);
    char path[300], text[64];
    uint32_t n = 0;
    for (size_t i = 0; i < exp_key_count(); i++) {
        const struct exp_key *k = exp_key_at(i);
        const char *places[] = {[EXP_IN_SCENARIO] = "",
                                [EXP_IN_FLEET] = "fleet.0.",
                                [EXP_IN_ENGINE] = "engine.",
                                [EXP_IN_CLASS] = "classes.gold.",
                                [EXP_IN_SLO] = "slo."};
        struct exp_scenario *s = exp_scenario_copy(base);
        struct exp_target target;
        snprintf(path, sizeof path, "%s%s", places[k->scope], k->name);
        bool other_load = strstr(k->name, "closed_loop") != NULL;
        ck_assert(exp_key_resolve(s, path, "test", &target, &st));
        const char *value = other_load ? NULL : another(k, target.field, text, sizeof text);
        struct sim_status refused = {0};
        if (value && exp_scenario_set(s, path, value, &refused) && exp_scenario_check(s, &refused)) {
            ck_assert_msg(!same(before, keys_of(s)), "%s: %s does not change the key", path, value);
            n++;
        }
        free(s);
    }
    ck_assert_uint_gt(n, 60);
    free(base);
    end();
}
END_TEST

START_TEST(a_key_does_not_depend_on_what_was_written_but_on_what_it_means)
{
    begin();
    struct exp_scenario *a = scenario(), *b = scenario();
    set(b, "seed", "1");
    set(b, "workload.closed_loop.concurrency", "7"); /* another load, then the first one again */
    set(b, "workload.open_loop.request_rate", "6");
    snprintf(b->file, sizeof b->file, "elsewhere.yaml");
    ck_assert(same(keys_of(a), keys_of(b)));
    free(a);
    free(b);
    end();
}
END_TEST

static const char small_trace[] = "arrival_time_us,input_tokens,output_tokens\n0,10,5\n1000,20,5\n";

START_TEST(a_file_counts_by_what_it_holds_and_not_by_where_it_lies)
{
    begin();
    const char *one = test_file("one.csv", small_trace), *two = test_file("two.csv", small_trace),
               *other =
                   test_file("other.csv", "arrival_time_us,input_tokens,output_tokens\n0,10,5\n1000,20,6\n");
    struct exp_scenario *s = scenario();
    struct keys k[3];
    const char *paths[] = {one, two, other};
    for (int i = 0; i < 3; i++) {
        ck_assert(exp_scenario_set_trace(s, paths[i], &st));
        k[i] = keys_of(s);
    }
    ck_assert(same(k[0], k[1]));
    ck_assert(!same(k[0], k[2]));
    ck_assert_str_ne(k[0].setup, k[1].setup);
    free(s);
    end();
}
END_TEST

START_TEST(a_changed_file_keeps_the_setup_and_changes_the_key)
{
    struct exp_scenario *s = scenario();
    const char *path = test_file("changing.csv", small_trace);
    ck_assert(exp_scenario_set_trace(s, path, &st));
    begin();
    struct keys before = keys_of(s);
    end();
    test_file("changing.csv", "arrival_time_us,input_tokens,output_tokens\n0,10,5\n");
    begin();
    struct keys after = keys_of(s);
    end();
    ck_assert_str_eq(before.setup, after.setup);
    ck_assert(!same(before, after));
    free(s);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_named)
{
    begin();
    struct exp_scenario *s = scenario();
    struct keys k;
    ck_assert(exp_scenario_set_trace(s, "/nowhere/trace.csv", &st));
    ck_assert(!exp_point_keys(hasher, s, 0, k.key, k.setup, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "/nowhere/trace.csv"));
    st = (struct sim_status){0};
    ck_assert(exp_scenario_set_trace(s, "/dev/null", &st));
    ck_assert(!exp_point_keys(hasher, s, 0, k.key, k.setup, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "regular file"));
    free(s);
    end();
}
END_TEST

START_TEST(a_file_that_changes_between_two_keys_is_named)
{
    struct exp_scenario *s = scenario();
    struct keys k;
    const char *path = test_file("between.csv", small_trace);
    begin();
    ck_assert(exp_scenario_set_trace(s, path, &st));
    ck_assert(same(keys_of(s), keys_of(s)));
    test_file("between.csv", "arrival_time_us,input_tokens,output_tokens\n0,10,5\n");
    ck_assert(!exp_point_keys(hasher, s, 0, k.key, k.setup, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "between.csv: was changed while the study ran"));
    free(s);
    end();
}
END_TEST

/* A shipped profile under another name, in a folder of the test's. */
static char *profile_called(const char *name)
{
    char *dir = sim_printf("%s/%s", test_dir(), name);
    char *copy = sim_printf("cp -r '%s/calib/profiles/h100-sxm-vllm' '%s'", exp_cache_data_dir(cache), dir);
    ck_assert_int_eq(system(copy), 0);
    free(copy);
    return dir;
}

START_TEST(a_profile_counts_by_its_files_and_where_it_is_drawn_by_name_by_that_too)
{
    begin();
    char *one = profile_called("one"), *two = profile_called("two");
    struct exp_scenario *a = scenario(), *b = scenario();
    struct keys many[2];
    set(a, "fleet.0.profile", one);
    set(b, "fleet.0.profile", two);
    ck_assert(same(keys_of(a), keys_of(b)));
    ck_assert(exp_point_keys(hasher, a, 4, many[0].key, many[0].setup, &st));
    ck_assert(exp_point_keys(hasher, b, 4, many[1].key, many[1].setup, &st));
    ck_assert(!same(many[0], many[1]));
    char *more = sim_printf("%s/more.csv", two);
    FILE *f = fopen(more, "w");
    ck_assert(f && fputs("x\n", f) >= 0 && fclose(f) == 0);
    ck_assert(!exp_point_keys(hasher, b, 0, many[1].key, many[1].setup, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "/two: was changed while the study ran"));
    free(more);
    free(one);
    free(two);
    free(a);
    free(b);
    end();
}
END_TEST

START_TEST(what_a_fleet_is_called_is_in_no_key)
{
    begin();
    struct exp_scenario *a = scenario(), *b = scenario();
    set(b, "fleet.0.name", "cheap");
    ck_assert(same(keys_of(a), keys_of(b)));
    ck_assert_str_eq(keys_of(a).setup, keys_of(b).setup);
    free(a);
    free(b);
    end();
}
END_TEST

START_TEST(prices_and_replications_are_part_of_the_key)
{
    begin();
    struct exp_scenario *s = scenario();
    struct keys plain = keys_of(s), k;
    ck_assert(exp_point_keys(hasher, s, 4, k.key, k.setup, &st));
    ck_assert(!same(plain, k));
    const char *quote = test_file("quote.yaml", "currency: USD\n");
    struct exp_hasher *priced = exp_hasher_new(cache, quote, &st);
    ck_assert_ptr_nonnull(priced);
    ck_assert(exp_point_keys(priced, s, 0, k.key, k.setup, &st));
    ck_assert(!same(plain, k));
    ck_assert_str_eq(plain.setup, k.setup);
    exp_hasher_free(priced);
    free(s);
    end();
}
END_TEST

/* ---- computing ---- */

static struct exp_point_result compute(const struct exp_scenario *s, const struct mdl_prices *p, uint32_t n)
{
    struct exp_point_result r = {0};
    exp_point_compute(&(struct exp_point_job){s, cache, p, n}, &r);
    return r;
}

START_TEST(shared_costs_give_the_same_figures)
{
    static const char *const strategies[] = {"full", "int4", "h2o", "freekv", "arkvale"};
    begin();
    struct exp_cache *sharing = exp_cache_new(&st), *alone = cache;
    exp_cache_share_costs(sharing);
    for (size_t i = 0; i < 2 * sizeof strategies / sizeof *strategies; i++) {
        struct exp_scenario *s = scenario();
        set(s, "seed", i % 2 ? "1" : "2");
        ck_assert(exp_scenario_take_strategy(s, strategies[i / 2], &st));
        cache = alone;
        struct exp_point_result a = compute(s, NULL, 0);
        cache = sharing;
        struct exp_point_result b = compute(s, NULL, 0);
        ck_assert_msg(a.state == EXP_POINT_DONE && b.state == EXP_POINT_DONE, "%s %s", a.why, b.why);
        for (size_t m = 0; m < exp_measure_count(); m++)
            if (!exp_measure_is_wall(m))
                ck_assert_msg(memcmp(&a.measure[m], &b.measure[m], sizeof *a.measure) == 0,
                              "%s of %s: %.17g, %.17g", exp_measure_name(m), strategies[i / 2], a.measure[m],
                              b.measure[m]);
        exp_point_result_fini(&a);
        exp_point_result_fini(&b);
        free(s);
    }
    cache = alone;
    exp_cache_free(sharing);
    end();
}
END_TEST

/* ---- threads ---- */

enum { N_THREADS = 4, N_VARIANTS = 6 };
static struct keys alone_keys[N_VARIANTS];
static double alone_goodput[N_VARIANTS];
static struct exp_scenario *variants[N_VARIANTS];

static struct exp_scenario *variant(int i)
{
    static const char *const strategies[] = {"full", "int4", "freekv"};
    struct exp_scenario *s = scenario();
    set(s, "workload.open_loop.request_rate", i % 2 ? "4" : "8");
    ck_assert(exp_scenario_take_strategy(s, strategies[i / 2], &st));
    return s;
}

/* Each variant, from another one on for each thread; NULL, or what went wrong. */
static void *all_variants(void *first)
{
    for (int n = 0; n < N_VARIANTS; n++) {
        int i = (n + *(const int *)first) % N_VARIANTS;
        struct sim_status why = {0};
        struct keys k;
        struct exp_point_result r = compute(variants[i], NULL, 0);
        bool ok = exp_point_keys(hasher, variants[i], 0, k.key, k.setup, &why) && same(k, alone_keys[i]) &&
                  r.measure && r.measure[exp_measure_find("request_goodput")] == alone_goodput[i];
        exp_point_result_fini(&r);
        if (!ok) return "a thread has other keys or figures than one alone";
    }
    return NULL;
}

START_TEST(threads_that_share_costs_and_files_get_what_one_alone_gets)
{
    pthread_t thread[N_THREADS];
    int first[N_THREADS];
    void *why;
    begin();
    for (int i = 0; i < N_VARIANTS; i++) {
        variants[i] = variant(i);
        struct exp_point_result r = compute(variants[i], NULL, 0);
        alone_keys[i] = keys_of(variants[i]);
        alone_goodput[i] = r.measure[exp_measure_find("request_goodput")];
        exp_point_result_fini(&r);
    }
    end();
    begin();
    exp_cache_share_costs(cache);
    for (int i = 0; i < N_THREADS; i++) {
        first[i] = i;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, all_variants, &first[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], &why), 0);
        ck_assert_msg(!why, "%s", (const char *)why);
    }
    for (int i = 0; i < N_VARIANTS; i++) free(variants[i]);
    end();
}
END_TEST

START_TEST(set_ups_that_differ_in_load_alone_share_one_cost)
{
    begin();
    exp_cache_share_costs(cache);
    struct exp_scenario *s = scenario();
    struct exp_setup *a = exp_setup_new(s, cache, NULL, &st);
    set(s, "workload.open_loop.request_rate", "9");
    set(s, "fleet.0.replicas", "3");
    set(s, "slo.ttft_ms", "100");
    struct exp_setup *b = exp_setup_new(s, cache, NULL, &st);
    set(s, "engine.max_num_seqs", "77");
    struct exp_setup *c = exp_setup_new(s, cache, NULL, &st);
    ck_assert_ptr_eq(a->fleets[0].cost, b->fleets[0].cost);
    ck_assert_ptr_ne(a->fleets[0].cost, c->fleets[0].cost);
    exp_setup_free(a);
    exp_setup_free(b);
    exp_setup_free(c);
    free(s);
    end();
}
END_TEST

START_TEST(more_costs_than_are_kept_come_and_go)
{
    begin();
    exp_cache_share_costs(cache);
    struct exp_scenario *s = scenario();
    for (int i = 0; i < EXP_IDLE_COSTS + 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", 2 + i % (EXP_IDLE_COSTS + 2));
        set(s, "engine.max_num_seqs", text);
        struct exp_setup *u = exp_setup_new(s, cache, NULL, &st);
        ck_assert_msg(u != NULL, "%s", st.message);
        exp_setup_free(u);
    }
    free(s);
    end();
}
END_TEST

START_TEST(costs_follow_from_prices_throughput_and_answers)
{
    begin();
    struct mdl_prices *p = exp_study_load_prices(cache, "", &st);
    struct exp_scenario *s = scenario();
    set(s, "fleet.0.replicas", "2");
    ck_assert(exp_scenario_take_strategy(s, "h2o", &st));
    struct exp_point_result r = compute(s, p, 0);
    ck_assert_int_eq(r.state, EXP_POINT_DONE);
#define M(name) r.measure[exp_measure_find(name)]
    const struct mdl_rent_price *rent = mdl_rent_price(p, "h100-sxm");
    ck_assert_double_eq(M("gpus"), 2);
    ck_assert_double_eq_tol(M("cost_per_hour"), 2 * rent->hour.value / rent->gpus, 1e-12);
    ck_assert_double_eq_tol(M("cost_per_mtok") * M("output_throughput") * 3600 / 1e6, M("cost_per_hour"),
                            1e-9);
    ck_assert_double_eq_tol(M("cost_per_1000_within_slo") * M("request_goodput") * 3.6, M("cost_per_hour"),
                            1e-9);
    bool scored = !isnan(M("newly_failing"));
    ck_assert(scored == !isnan(M("cost_per_1000_good")));
    if (scored)
        ck_assert_double_eq_tol(M("cost_per_1000_good") * (1 - M("newly_failing")),
                                M("cost_per_1000_within_slo"), 1e-9);
#undef M
    exp_point_result_fini(&r);
    free(p);
    free(s);
    end();
}
END_TEST

START_TEST(a_point_that_cannot_run_says_why)
{
    begin();
    struct exp_scenario *s = scenario();
    set(s, "model", "llama-3.1-70b"); /* 140 GB of weights */
    struct exp_point_result r = compute(s, NULL, 0);
    ck_assert_int_eq(r.state, EXP_POINT_FAILED);
    ck_assert_ptr_nonnull(strstr(r.why, "fit"));
    ck_assert_ptr_null(r.measure);
    exp_point_result_fini(&r);
    free(s);
    end();
}
END_TEST

START_TEST(replications_give_bands_around_means_and_classes_their_own_figures)
{
    begin();
    struct exp_scenario *s = scenario();
    set(s, "classes.gold.assign.max_input_tokens", "100");
    struct exp_point_result r = compute(s, NULL, 3);
    json_error_t e;
    ck_assert_int_eq(r.state, EXP_POINT_DONE);
    json_t *bands = json_loads(r.bands, 0, &e), *classes = json_loads(r.classes, 0, &e);
    double mean = r.measure[exp_measure_find("mean_tpot_ms")];
    ck_assert_double_le(json_number_value(json_object_get(bands, "mean_tpot_ms_lo")), mean);
    ck_assert_double_ge(json_number_value(json_object_get(bands, "mean_tpot_ms_hi")), mean);
    ck_assert_ptr_nonnull(json_object_get(classes, "gold"));
    json_decref(bands);
    json_decref(classes);
    exp_point_result_fini(&r);
    free(s);
    end();
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("points of studies");
    TCase *keys = tcase_create("keys"), *runs = tcase_create("runs");
    tcase_add_test(keys, every_number_and_flag_of_the_table_changes_the_key);
    tcase_add_test(keys, a_key_does_not_depend_on_what_was_written_but_on_what_it_means);
    tcase_add_test(keys, a_file_counts_by_what_it_holds_and_not_by_where_it_lies);
    tcase_add_test(keys, a_changed_file_keeps_the_setup_and_changes_the_key);
    tcase_add_test(keys, a_file_that_cannot_be_read_is_named);
    tcase_add_test(keys, a_file_that_changes_between_two_keys_is_named);
    tcase_add_test(keys, a_profile_counts_by_its_files_and_where_it_is_drawn_by_name_by_that_too);
    tcase_add_test(keys, what_a_fleet_is_called_is_in_no_key);
    tcase_add_test(keys, prices_and_replications_are_part_of_the_key);
    tcase_add_test(runs, shared_costs_give_the_same_figures);
    tcase_add_test(runs, threads_that_share_costs_and_files_get_what_one_alone_gets);
    tcase_add_test(runs, set_ups_that_differ_in_load_alone_share_one_cost);
    tcase_add_test(runs, more_costs_than_are_kept_come_and_go);
    tcase_add_test(runs, costs_follow_from_prices_throughput_and_answers);
    tcase_add_test(runs, a_point_that_cannot_run_says_why);
    tcase_add_test(runs, replications_give_bands_around_means_and_classes_their_own_figures);
    suite_add_tcase(s, keys);
    suite_add_tcase(s, runs);
    return s;
}
