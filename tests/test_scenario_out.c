/* Scenarios written as files: what is written reads back to the same scenario, key by key of the table, whatever was set
 * and from whichever folder it is read. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/keys.h"
#include "experiments/scenario_out.h"
#include "experiments/values.h"
#include "models/datadir.h"
#include "sim/memory.h"
#include "tests/harness.h"

static struct sim_status st;

static char *written(const struct exp_scenario *s)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_msg(exp_scenario_write(s, out, &st), "%s", st.message);
    fclose(out);
    return text;
}

static struct exp_scenario *again(const struct exp_scenario *s)
{
    char *text = written(s);
    struct exp_scenario *r = exp_scenario_parse("again.yaml", text, strlen(text), &st);
    ck_assert_msg(r != NULL, "%s\n%s", st.message, text);
    free(text);
    return r;
}

static struct exp_scenario *scenario(void)
{
    struct exp_scenario *s = exp_scenario_new();
    ck_assert(exp_scenario_set(s, "model", "llama-3.1-8b", &st));
    ck_assert(exp_scenario_set(s, "fleet.0.gpu", "h100-sxm", &st));
    ck_assert(exp_scenario_set(s, "classes.chat.slo.ttft_ms", "500", &st));
    return s;
}

/* Everything but where values were read. */
static void assert_equal(const struct exp_scenario *a, const struct exp_scenario *b)
{
    struct exp_scenario *x = exp_scenario_copy(a), *y = exp_scenario_copy(b);
    memset(x->file, 0, sizeof x->file);
    memset(y->file, 0, sizeof y->file);
    x->n_origins = y->n_origins = 0;
    char *p = written(x), *q = written(y);
    ck_assert_str_eq(p, q);
    ck_assert_uint_eq(x->n_fleets, y->n_fleets);
    ck_assert_uint_eq(x->n_classes, y->n_classes);
    ck_assert_int_eq(x->workload.source, y->workload.source);
    ck_assert_int_eq(x->slo_given, y->slo_given);
    free(p);
    free(q);
    free(x);
    free(y);
}

/* A value of the key that is not its default. */
static char *some_value(const struct exp_key *k)
{
    switch (k->type) {
    case EXP_COUNT:
    case EXP_REAL: {
        double low = k->lo > 0 ? k->lo : 0, high = k->hi < 1e15 ? k->hi : 1e15;
        double v = low + 0.3 * (high - low);
        if (k->type == EXP_COUNT) return sim_printf("%.0f", v < low + 1 ? low + 1 : v);
        return sim_printf("%.17g", v);
    }
    case EXP_FLAG:
        return sim_strdup(strcmp(k->fallback, "true") == 0 ? "false" : "true");
    case EXP_CHOICE:
        return sim_strdup(exp_choice_word(k, 1).text[0] ? exp_choice_word(k, 1).text
                                                        : exp_choice_word(k, 0).text);
    case EXP_STRATEGY:
        return sim_strdup("freekv");
    case EXP_RANGE:
        return sim_strdup("[0.1, 1.7]");
    case EXP_ROUTER:
        return sim_strdup("least_outstanding");
    case EXP_LENGTHS:
        return sim_strdup("lognormal:812.5:1.1:4096");
    case EXP_NAMES:
        return sim_strdup("[chat, other]");
    default:
        return sim_strdup("'/a \"strange\" name: # {x} \\ \xe3\x81\x82'");
    }
}

/* "fleet.N" to "fleet.0", "classes.NAME" to "classes.chat". */
static char *path_of(const struct exp_place *p, const struct exp_key *k)
{
    const char *place = strcmp(p->pattern, "fleet.N") == 0            ? "fleet.0."
                        : strcmp(p->pattern, "fleet.N.engine") == 0   ? "fleet.0.engine."
                        : strcmp(p->pattern, "classes.NAME") == 0     ? "classes.chat."
                        : strcmp(p->pattern, "classes.NAME.slo") == 0 ? "classes.chat.slo."
                        : strcmp(p->pattern, "engine") == 0           ? "engine."
                        : strcmp(p->pattern, "slo") == 0              ? "slo."
                                                                      : "";
    return sim_printf("%s%s", place, k->name);
}

static void *field_of(struct exp_scenario *s, const char *path, const struct exp_key **key)
{
    struct exp_target t;
    ck_assert_msg(exp_key_resolve(s, path, "test", &t, &st), "%s", st.message);
    *key = t.key;
    return t.field;
}

static void assert_same_field(struct exp_scenario *a, struct exp_scenario *b, const char *path)
{
    const struct exp_key *key;
    const void *x = field_of(a, path, &key), *y = field_of(b, path, &key);
    size_t size = key->optional                                          ? sizeof(double)
                  : key->type == EXP_COUNT || key->type == EXP_REAL      ? 8
                  : key->type == EXP_FLAG                                ? sizeof(bool)
                  : key->type == EXP_CHOICE || key->type == EXP_STRATEGY ? sizeof(int)
                  : key->type == EXP_RANGE                               ? 2 * sizeof(double)
                                                                         : strlen(x) + 1;
    ck_assert_msg(memcmp(x, y, size) == 0, "%s reads back as something else", path);
    if (key->optional) ck_assert(((const struct exp_number *)y)->given);
}

START_TEST(every_key_alone_reads_back_as_it_was)
{
    for (size_t p = 0; p < exp_place_count(); p++)
        for (size_t i = 0; i < exp_key_count(); i++) {
            const struct exp_key *k = exp_key_at(i);
            if (k->scope != exp_place_at(p)->scope) continue;
            struct exp_scenario *s = scenario();
            char *path = path_of(exp_place_at(p), k), *value = some_value(k);
            ck_assert_msg(exp_scenario_set(s, path, value, &st), "%s", st.message);
            struct exp_scenario *r = again(s);
            assert_same_field(s, r, path);
            assert_equal(s, r);
            free(path);
            free(value);
            free(s);
            free(r);
        }
}
END_TEST

START_TEST(all_keys_together_read_back_as_they_were)
{
    struct exp_scenario *s = scenario();
    for (size_t p = 0; p < exp_place_count(); p++)
        for (size_t i = 0; i < exp_key_count(); i++) {
            const struct exp_key *k = exp_key_at(i);
            if (k->scope != exp_place_at(p)->scope) continue;
            char *path = path_of(exp_place_at(p), k), *value = some_value(k);
            ck_assert_msg(exp_scenario_set(s, path, value, &st), "%s", st.message);
            free(path);
            free(value);
        }
    struct exp_scenario *r = again(s);
    assert_equal(s, r);
    ck_assert_int_eq(r->workload.source, EXP_CLOSED_LOOP);
    free(s);
    free(r);
}
END_TEST

START_TEST(a_load_at_its_defaults_is_still_that_load)
{
    static const char *const first[] = {"workload.open_loop.request_rate",
                                        "workload.closed_loop.concurrency"};
    for (int i = 0; i < 2; i++) {
        struct exp_scenario *s = scenario();
        ck_assert(exp_scenario_set(s, first[i], "1", &st));
        struct exp_scenario *r = again(s);
        ck_assert_int_eq(r->workload.source, s->workload.source);
        free(s);
        free(r);
    }
}
END_TEST

START_TEST(several_fleets_and_classes_keep_their_order_and_their_own_values)
{
    struct exp_scenario *s = scenario();
    ck_assert(exp_scenario_set(s, "fleet.1.gpu", "a100-80-sxm", &st));
    ck_assert(exp_scenario_set(s, "fleet.1.engine.max_num_seqs", "7", &st));
    ck_assert(exp_scenario_set(s, "fleet.2.gpu", "h200-sxm", &st));
    ck_assert(exp_scenario_set(s, "fleet.2.kv.fallback.when", "short", &st));
    ck_assert(exp_scenario_set(s, "classes.b.assign.task", "qa", &st));
    ck_assert(exp_scenario_set(s, "slo.tpot_ms", "0", &st));
    struct exp_scenario *r = again(s);
    assert_equal(s, r);
    ck_assert_uint_eq(r->n_fleets, 3);
    ck_assert_str_eq(r->fleet[1].gpu, "a100-80-sxm");
    ck_assert(r->fleet[1].engine.max_num_seqs.given && !r->fleet[2].engine.max_num_seqs.given);
    ck_assert_int_eq(r->fleet[2].kv.fallback_when, s->fleet[2].kv.fallback_when);
    ck_assert_str_eq(r->classes[1].name, "b");
    ck_assert(r->slo_given);
    free(s);
    free(r);
}
END_TEST

START_TEST(relative_paths_are_written_from_the_root)
{
    struct exp_scenario *s = scenario();
    char here[PATH_MAX];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert(exp_scenario_set(s, "workload.open_loop.input_tokens", "file:lengths.csv", &st));
    ck_assert(exp_scenario_set_trace(s, "traces/a.csv", &st));
    ck_assert(exp_scenario_set(s, "fleet.0.profile", "./profile", &st));
    struct exp_scenario *r = again(s);
    char *trace = sim_printf("%s/traces/a.csv", here), *profile = sim_printf("%s/./profile", here);
    ck_assert_str_eq(r->workload.trace, trace);
    ck_assert_str_eq(r->fleet[0].profile, profile);
    ck_assert(exp_scenario_set(s, "workload.trace", "'-'", &st));
    free(r);
    r = again(s);
    ck_assert_str_eq(r->workload.trace, "-");
    free(trace);
    free(profile);
    free(s);
    free(r);
}
END_TEST

START_TEST(a_path_that_has_no_room_is_refused_with_its_name)
{
    struct exp_scenario *s = scenario();
    memset(s->workload.trace, 'x', sizeof s->workload.trace - 1);
    s->workload.source = EXP_TRACE;
    struct sim_status why = {0};
    FILE *out = fopen("/dev/null", "w");
    ck_assert(!exp_scenario_write(s, out, &why));
    ck_assert_ptr_nonnull(strstr(why.message, "too long"));
    fclose(out);
    free(s);
}
END_TEST

START_TEST(shipped_scenarios_read_back_equal)
{
    static const char *const names[] = {"demo",          "long-context", "loop-cpu",
                                        "azure-4x-h100", "mooncake-8x",  "replay-8b"};
    char *data = mdl_data_dir(&st);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = sim_printf("%s/experiments/scenarios/%s.yaml", data, names[i]);
        struct exp_scenario *s = exp_scenario_load(path, &st);
        ck_assert_msg(s != NULL, "%s", st.message);
        struct exp_scenario *r = again(s);
        assert_equal(s, r);
        free(s);
        free(r);
        free(path);
    }
    free(data);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("scenario_out");
    TCase *t = tcase_create("written");
    tcase_add_test(t, every_key_alone_reads_back_as_it_was);
    tcase_add_test(t, all_keys_together_read_back_as_they_were);
    tcase_add_test(t, a_load_at_its_defaults_is_still_that_load);
    tcase_add_test(t, several_fleets_and_classes_keep_their_order_and_their_own_values);
    tcase_add_test(t, relative_paths_are_written_from_the_root);
    tcase_add_test(t, a_path_that_has_no_room_is_refused_with_its_name);
    tcase_add_test(t, shipped_scenarios_read_back_equal);
    suite_add_tcase(s, t);
    return s;
}
