/* Engine files: what the shipped ones say, and that a wrong one is refused where it is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/engine.h"
#include "models/textfile.h"
#include "tests/harness.h"

static const char *const shipped[] = {"vllm-0.12", "vllm-0.14", "vllm-0.24", "vllm-unknown"};
enum { N_SHIPPED = sizeof shipped / sizeof *shipped };

static struct mdl_engine loaded(const char *name)
{
    struct sim_status st = {0};
    struct mdl_engine e;
    ck_assert_msg(mdl_engine_load(".", name, &e, &st), "%s", st.message);
    return e;
}

START_TEST(every_shipped_file_loads_under_its_own_name_with_physical_numbers)
{
    for (size_t i = 0; i < N_SHIPPED; i++) {
        struct mdl_engine e = loaded(shipped[i]);
        ck_assert_str_eq(e.name, shipped[i]);
        ck_assert_str_eq(e.engine, "vllm");
        ck_assert_uint_eq(e.block_size, 16);
        for (size_t k = 0; k < MDL_N_ENGINE_NUMBERS; k++) {
            const struct mdl_engine_number *n = mdl_engine_number_at(k);
            double value = *(const double *)((const char *)&e + n->offset);
            ck_assert_msg(value >= n->low && value <= n->high && value < 0.1, "%s %s", e.name, n->name);
        }
        ck_assert_double_gt(e.residual_frac, 0);
    }
    ck_assert_ptr_null(mdl_engine_number_at(MDL_N_ENGINE_NUMBERS));
}
END_TEST

START_TEST(asynchronous_scheduling_is_the_default_from_0_14_on)
{
    ck_assert(!loaded("vllm-0.12").async_scheduling);
    ck_assert(loaded("vllm-0.14").async_scheduling);
    ck_assert(loaded("vllm-0.24").async_scheduling);
    ck_assert_double_eq(loaded("vllm-0.14").gpu_memory_utilization, 0.9);
    ck_assert_double_eq(loaded("vllm-0.24").gpu_memory_utilization, 0.92);
}
END_TEST

START_TEST(a_version_finds_the_newest_file_not_newer_and_no_version_its_own_set)
{
    static const char *const cases[][2] = {
        {"0.12.0", "vllm-0.12"},     {"0.12", "vllm-0.12"},
        {"v0.14.1rc2", "vllm-0.14"}, {"0.24.0+cu128", "vllm-0.24"},
        {"0.2", "vllm-0.12"},        {"0.16.0", "vllm-0.14"},
        {"0.23", "vllm-0.14"},       {"0.241", "vllm-0.24"},
        {"1.12.0", "vllm-0.24"},     {"", "vllm-unknown"},
        {"nightly", "vllm-unknown"}, {"0.", "vllm-unknown"},
        {"../0.12", "vllm-unknown"}, {"0.123456789012345678901234567890123456789", "vllm-0.24"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        struct mdl_engine e;
        ck_assert_msg(mdl_engine_find_version(".", "vllm", cases[i][0], &e, &st), "%s", st.message);
        ck_assert_str_eq(e.name, cases[i][1]);
    }
    struct sim_status st = {0};
    struct mdl_engine e;
    ck_assert(!mdl_engine_find_version(".", "sglang", "0.5.0", &e, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "unknown engine `sglang-unknown`"));
}
END_TEST

/* vllm/engine/arg_utils.py, get_batch_defaults: 70 GiB and not an A100 -> 1024 sequences and 8192 tokens. */
START_TEST(batch_limits_depend_on_the_card_as_in_vllm)
{
    static const struct {
        const char *gpu;
        uint32_t seqs, tokens;
    } cases[] = {{"h100-sxm", 1024, 8192},   {"h200-sxm", 1024, 8192}, {"b200-sxm", 1024, 8192},
                 {"a100-80-sxm", 256, 2048}, {"l40s", 256, 2048},      {"a100-40-sxm", 256, 2048},
                 {"h20", 1024, 8192},        {"rtx-4090", 256, 2048},  {"a800-80-sxm", 1024, 8192}};
    struct sim_status st = {0};
    struct mdl_gpu_catalogue *gpus = mdl_gpu_catalogue_load("models/gpus.csv", &st);
    ck_assert_msg(gpus != NULL, "%s", st.message);
    struct mdl_engine e = loaded("vllm-0.14");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct mdl_engine_default *d =
            mdl_engine_default_for(&e, mdl_gpu_find(gpus, cases[i].gpu, &st));
        ck_assert_uint_eq(d->max_num_seqs, cases[i].seqs);
        ck_assert_uint_eq(d->max_num_batched_tokens, cases[i].tokens);
    }
    mdl_gpu_catalogue_free(gpus);
}
END_TEST

/* The rule that vLLM states: [1, 2, 4] + range(8, 256, 8) + range(256, max + 1, 16), max = min(512, 2 x
 * seqs). */
static uint32_t rule(uint32_t max_num_seqs, uint32_t n)
{
    uint32_t most = 2 * max_num_seqs < 512 ? 2 * max_num_seqs : 512, size;
    if (n <= 2)
        size = n ? n : 1;
    else if (n <= 4)
        size = 4;
    else if (n <= 256)
        size = (n + 7) / 8 * 8;
    else
        size = (n + 15) / 16 * 16;
    return size <= most ? size : 0;
}

START_TEST(batches_are_padded_to_the_next_captured_size_or_run_eager)
{
    struct mdl_engine e = loaded("vllm-0.24");
    static const uint32_t seqs[] = {1, 8, 100, 256, 1024};
    for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
        for (uint32_t n = 0; n <= 600; n++)
            ck_assert_msg(mdl_engine_graph_tokens(&e, seqs[i], n) == rule(seqs[i], n), "%u of %u", n,
                          seqs[i]);
    }
}
END_TEST

static char *shipped_text(void)
{
    struct sim_status st = {0};
    size_t length;
    char *text = mdl_textfile_read("calib/engines/vllm-0.12.yaml", 1 << 20, &length, &st);
    ck_assert_msg(text != NULL, "%s", st.message);
    return text;
}

/* The shipped file with one piece replaced must be refused with this message. */
static void refused(const char *old, const char *new, const char *expected)
{
    static char changed[16384];
    char *text = shipped_text(), *at = strstr(text, old);
    ck_assert_msg(at != NULL, "the shipped file lacks `%s`", old);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    free(text);
    struct sim_status st = {0};
    struct mdl_engine e;
    ck_assert_msg(!mdl_engine_load(".", test_file("engine.yaml", changed), &e, &st), "accepted `%s`", new);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_ptr_nonnull(strstr(st.message, "engine.yaml:"));
}

START_TEST(a_wrong_engine_file_is_refused_with_its_line_and_the_nearest_key)
{
    refused("cpu_step_s:", "cpu_stp_s:", "did you mean `cpu_step_s`?");
    refused("  block_size: 16\n", "", "no key `block_size` in scheduler");
    refused("block_size: 16", "block_size: 0", "block_size is 0, expected 1 to 4096");
    refused("block_size: 16", "block_size: sixteen", "engine.yaml:7: block_size is `sixteen`");
    refused("gpu_memory_utilization: 0.9", "gpu_memory_utilization: 90", "gpu_memory_utilization is 90");
    refused("async_scheduling: false", "async_scheduling: perhaps", "expected true or false");
    refused("cpu_step_s: {value: ", "cpu_step_s: {value: 1, source: x} # ",
            "cpu_step_s is 1, expected 0 to 0.05");
    refused("cpu_step_s: {value: ", "cpu_step_s: {value: -1.0e-3, source: x} # ", "cpu_step_s");
    refused("cpu_step_s: {value: ", "cpu_step_s: {value: nan, source: x} # ", "expected a number");
    refused("cpu_step_s: {value: ", "cpu_step_s: {value: 1.0e-3, about: x} # ",
            "no key `source` in cpu_step_s");
    refused("[1, 2, 4,", "[1, 4, 2,", "capture_sizes must ascend");
    refused("min_memory_gib: 0,", "min_memory_gib: 10,", "the last row of batch_limits must fit every GPU");
    refused("batch_limits:\n", "batch_limits: {}\nx:\n", "unknown key `x`");
    refused("engine: vllm", "engine: [vllm]", "expected a single value");
}
END_TEST

START_TEST(a_missing_engine_file_is_named_with_a_way_out)
{
    struct sim_status st = {0};
    struct mdl_engine e;
    ck_assert(!mdl_engine_load(".", "vllm-9.99", &e, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "unknown engine `vllm-9.99`"));
    ck_assert_ptr_nonnull(strstr(st.message, "vllm-unknown"));
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("engine");
    TCase *c = tcase_create("engine");
    tcase_add_test(c, every_shipped_file_loads_under_its_own_name_with_physical_numbers);
    tcase_add_test(c, asynchronous_scheduling_is_the_default_from_0_14_on);
    tcase_add_test(c, a_version_finds_the_newest_file_not_newer_and_no_version_its_own_set);
    tcase_add_test(c, batch_limits_depend_on_the_card_as_in_vllm);
    tcase_add_test(c, batches_are_padded_to_the_next_captured_size_or_run_eager);
    tcase_add_test(c, a_wrong_engine_file_is_refused_with_its_line_and_the_nearest_key);
    tcase_add_test(c, a_missing_engine_file_is_named_with_a_way_out);
    suite_add_tcase(s, c);
    return s;
}
