/* The YAML reader against what libyaml's documents must say: positions, kinds, typed scalars, refusals. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/yaml.h"
#include "sim/memory.h"
#include "tests/harness.h"

static struct mdl_yaml *parsed(const char *text)
{
    struct sim_status st = {0};
    struct mdl_yaml *y = mdl_yaml_parse("t.yaml", text, strlen(text), &st);
    ck_assert_msg(y != NULL, "%s", st.message);
    return y;
}

static void refused_bytes(const char *text, size_t length, const char *expected)
{
    struct sim_status st = {0};
    struct mdl_yaml *y = mdl_yaml_parse("t.yaml", text, length, &st);
    ck_assert_msg(y == NULL, "accepted: %.60s", text);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_ptr_null(strchr(st.message, '\n'));
}

static void refused(const char *text, const char *expected)
{
    refused_bytes(text, strlen(text), expected);
}

START_TEST(a_mapping_keeps_its_order_kinds_and_lines)
{
    struct mdl_yaml *y =
        parsed("# comment\nmodel: llama\nfleet:\n  - {gpu: h100, replicas: 4}\n  - {gpu: l4}\n");
    const struct mdl_yaml_node *root = mdl_yaml_root(y);
    ck_assert_int_eq(mdl_yaml_kind(root), MDL_YAML_MAP);
    ck_assert_uint_eq(mdl_yaml_size(root), 2);
    ck_assert_str_eq(mdl_yaml_key(root, 1), "fleet");
    const struct mdl_yaml_node *fleet = mdl_yaml_get(root, "fleet");
    ck_assert_int_eq(mdl_yaml_kind(fleet), MDL_YAML_LIST);
    ck_assert_uint_eq(mdl_yaml_size(fleet), 2);
    const struct mdl_yaml_node *gpu = mdl_yaml_get(mdl_yaml_at(fleet, 1), "gpu");
    ck_assert_int_eq(mdl_yaml_line(gpu), 5);
    ck_assert_int_eq(mdl_yaml_kind(gpu), MDL_YAML_SCALAR);
    ck_assert_uint_eq(mdl_yaml_size(gpu), 0);
    ck_assert_str_eq(mdl_yaml_file(gpu), "t.yaml");
    struct sim_status st = {0};
    ck_assert_str_eq(mdl_yaml_string(gpu, "gpu", &st), "l4");
    ck_assert_ptr_null(mdl_yaml_get(root, "gpu"));
    ck_assert_ptr_null(mdl_yaml_get(fleet, "gpu"));
    ck_assert_ptr_null(mdl_yaml_at(fleet, 2));
    ck_assert_ptr_null(mdl_yaml_key(fleet, 0));
    ck_assert_ptr_null(mdl_yaml_key(root, 2));
    mdl_yaml_free(y);
}
END_TEST

START_TEST(numbers_equal_what_the_c_library_reads)
{
    static const char *const good[] = {
        "0", "1", "0.9", "-2.5e-3", "1e6", "+7", ".5", "18446744073709551616", "1e-400"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct mdl_yaml *y = parsed(good[i]);
        struct sim_status st = {0};
        double value = NAN;
        ck_assert_msg(mdl_yaml_double(mdl_yaml_root(y), "x", &value, &st), "%s", st.message);
        ck_assert_double_eq(value, strtod(good[i], NULL));
        mdl_yaml_free(y);
    }
}
END_TEST

START_TEST(what_is_no_finite_decimal_number_is_refused_and_the_key_named)
{
    static const char *const bad[] = {"nan", ".inf", "inf", "1e999", "0x10",   "12 ms", "1_000",    "\" 1\"",
                                      "''",  "-",    "1e",  "[1]",   "{a: 1}", "1.2.3", "\"1\\n2\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mdl_yaml *y = parsed(bad[i]);
        struct sim_status st = {0};
        double value = 42;
        ck_assert_msg(!mdl_yaml_double(mdl_yaml_root(y), "engine.rate", &value, &st), "accepted %s", bad[i]);
        ck_assert_double_eq(value, 42);
        ck_assert_ptr_nonnull(strstr(st.message, "t.yaml:1: engine.rate"));
        ck_assert_ptr_null(strchr(st.message, '\n'));
        mdl_yaml_free(y);
    }
}
END_TEST

START_TEST(whole_numbers_reach_two_to_the_64_and_not_beyond)
{
    struct mdl_yaml *y = parsed("[18446744073709551615, 18446744073709551616, -1, 1.0, 1e3, 0, +1]");
    const struct mdl_yaml_node *list = mdl_yaml_root(y);
    uint64_t value = 7;
    struct sim_status st = {0};
    ck_assert(mdl_yaml_u64(mdl_yaml_at(list, 0), "x", &value, &st));
    ck_assert_uint_eq(value, UINT64_MAX);
    for (size_t i = 1; i < 7; i++) {
        struct sim_status bad = {0};
        ck_assert_int_eq(mdl_yaml_u64(mdl_yaml_at(list, i), "x", &value, &bad), i == 5);
    }
    ck_assert_uint_eq(value, 0);
    mdl_yaml_free(y);
}
END_TEST

START_TEST(truth_is_written_in_three_pairs_of_words)
{
    struct mdl_yaml *y = parsed("[true, off, YES, no, \"on\", False, 1, maybe]");
    static const int expected[] = {1, 0, 1, 0, 1, 0, -1, -1};
    for (size_t i = 0; i < 8; i++) {
        struct sim_status st = {0};
        bool value = false;
        bool ok = mdl_yaml_bool(mdl_yaml_at(mdl_yaml_root(y), i), "flag", &value, &st);
        ck_assert_int_eq(ok ? value : -1, expected[i]);
    }
    mdl_yaml_free(y);
}
END_TEST

START_TEST(a_key_without_a_value_says_so_and_a_quoted_empty_one_is_a_string)
{
    struct mdl_yaml *y = parsed("gpu:\nprofile: \"\"\n");
    const struct mdl_yaml_node *root = mdl_yaml_root(y);
    struct sim_status st = {0};
    ck_assert_ptr_null(mdl_yaml_string(mdl_yaml_get(root, "gpu"), "gpu", &st));
    ck_assert_ptr_nonnull(strstr(st.message, "gpu has no value"));
    struct sim_status st2 = {0};
    ck_assert_str_eq(mdl_yaml_string(mdl_yaml_get(root, "profile"), "profile", &st2), "");
    mdl_yaml_free(y);
}
END_TEST

START_TEST(hostile_text_is_refused_with_file_and_line)
{
    refused("", "holds no value");
    refused("# only a comment\n", "holds no value");
    refused("a: 1\nb: 2\na: 3\n", "t.yaml:3: key `a` was already given in line 1");
    refused("a: &x [1]\nb: *x\n", "t.yaml:1: anchors and aliases");
    refused("b: *x\n", "anchors and aliases");
    refused("a: 1\n---\nb: 2\n", "t.yaml:2: a second YAML document");
    refused("%YAML 1.1\n---\na: 1\n", "t.yaml:1: YAML directives");
    refused("? [1, 2]\n: 3\n", "a key is a list or mapping");
    refused("a: \"x\\0y\"\n", "escaped NUL");
    refused("a: [1, 2\nb: 3\n", "t.yaml:2: not valid YAML");
    refused("a:\n\tb: 1\n", "t.yaml:2: not valid YAML");
    refused_bytes("a: 1\0b: 2", 9, "NUL");
    refused_bytes("a: \xff\xfe", 5, "not valid YAML");
    refused("\"a\\nb\": 1\n\"a\\nb\": 2\n", "key `a?b` was already given");
}
END_TEST

START_TEST(nesting_is_accepted_to_64_levels_and_refused_at_65)
{
    char text[256];
    for (int depth = 64; depth <= 65; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        struct sim_status st = {0};
        struct mdl_yaml *y = mdl_yaml_parse("t", text, 2 * (size_t)depth, &st);
        ck_assert_int_eq(y != NULL, depth == 64);
        mdl_yaml_free(y);
    }
}
END_TEST

START_TEST(megabytes_of_brackets_and_values_are_refused_at_once)
{
    enum { N = 8 << 20 };
    char *text = sim_alloc(N, 1);
    memset(text, '[', N);
    refused_bytes(text, N, "nested deeper");
    for (size_t i = 0; i < N; i++) text[i] = i % 2 ? '\n' : '-';
    refused_bytes(text, N, "more than 1048576 values");
    memset(text, 'x', N);
    struct sim_status st = {0};
    struct mdl_yaml *y = mdl_yaml_parse("t", text, N, &st); /* one long word is fine, and shown cut */
    ck_assert_ptr_nonnull(y);
    double value;
    ck_assert(!mdl_yaml_double(mdl_yaml_root(y), "x", &value, &st));
    ck_assert_uint_lt(strlen(st.message), 200);
    mdl_yaml_free(y);
    free(text);
}
END_TEST

START_TEST(a_file_is_read_as_text_from_memory_is_and_a_missing_one_named)
{
    struct sim_status st = {0};
    struct mdl_yaml *y = mdl_yaml_load(test_file("a.yaml", "\xef\xbb\xbfseed: 1\r\nrouter: random\r\n"), &st);
    ck_assert_msg(y != NULL, "%s", st.message);
    ck_assert_str_eq(mdl_yaml_string(mdl_yaml_get(mdl_yaml_root(y), "router"), "router", &st), "random");
    mdl_yaml_free(y);
    ck_assert_ptr_null(mdl_yaml_load("/nonexistent/s.yaml", &st));
    ck_assert_ptr_nonnull(strstr(st.message, "/nonexistent/s.yaml"));
    struct sim_status dir = {0};
    ck_assert_ptr_null(mdl_yaml_load(test_dir(), &dir));
    struct sim_status endless = {0};
    ck_assert_ptr_null(mdl_yaml_load("/dev/zero", &endless));
    ck_assert_ptr_nonnull(strstr(endless.message, "longer than"));
}
END_TEST

START_TEST(an_unknown_key_names_its_line_the_valid_keys_and_the_nearest)
{
    static const char *const valid[] = {"model", "weights", "replicas", NULL};
    struct mdl_yaml *y = parsed("model: x\nreplica: 4\n");
    struct sim_status st = {0};
    ck_assert(!mdl_yaml_unknown_key(mdl_yaml_root(y), 1, valid, &st));
    ck_assert_str_eq(st.message,
                     "t.yaml:2: unknown key `replica`, expected one of model, weights, replicas; did you "
                     "mean `replicas`?");
    mdl_yaml_free(y);
}
END_TEST

START_TEST(the_nearest_word_is_the_one_with_the_fewest_edits)
{
    static const char *const words[] = {"kitten", "saturday", "h100-sxm", "seed", NULL};
    static const char *const none[] = {NULL};
    ck_assert_str_eq(mdl_nearest("sitting", words), "kitten");  /* 3 edits, the textbook's example */
    ck_assert_str_eq(mdl_nearest("sunday", words), "saturday"); /* 3 edits, as `seed` would need 4 */
    ck_assert_str_eq(mdl_nearest("H100_SXM", words), "h100-sxm");
    ck_assert_ptr_null(mdl_nearest("x", none));
    ck_assert_str_eq(mdl_nearest("sat", words),
                     "saturday");                  /* its beginning, although five letters are missing */
    ck_assert_ptr_null(mdl_nearest("gpu", words)); /* as far from `seed` as any word of its length */
    ck_assert_str_eq(mdl_hint("sed", words).text, "; did you mean `seed`?");
    ck_assert_str_eq(mdl_hint("gpu", words).text, "");
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("yaml");
    TCase *c = tcase_create("yaml");
    tcase_add_test(c, a_mapping_keeps_its_order_kinds_and_lines);
    tcase_add_test(c, numbers_equal_what_the_c_library_reads);
    tcase_add_test(c, what_is_no_finite_decimal_number_is_refused_and_the_key_named);
    tcase_add_test(c, whole_numbers_reach_two_to_the_64_and_not_beyond);
    tcase_add_test(c, truth_is_written_in_three_pairs_of_words);
    tcase_add_test(c, a_key_without_a_value_says_so_and_a_quoted_empty_one_is_a_string);
    tcase_add_test(c, hostile_text_is_refused_with_file_and_line);
    tcase_add_test(c, nesting_is_accepted_to_64_levels_and_refused_at_65);
    tcase_add_test(c, megabytes_of_brackets_and_values_are_refused_at_once);
    tcase_add_test(c, a_file_is_read_as_text_from_memory_is_and_a_missing_one_named);
    tcase_add_test(c, an_unknown_key_names_its_line_the_valid_keys_and_the_nearest);
    tcase_add_test(c, the_nearest_word_is_the_one_with_the_fewest_edits);
    suite_add_tcase(s, c);
    return s;
}
