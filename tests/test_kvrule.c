/* Memory of KV strategies as units and pages: against pages counted one by one, closed forms, and what the engine had
 * before there were strategies. Strategies here are made by hand; those that ship are in test_strategies*.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/datadir.h"
#include "models/host.h"
#include "models/kvmem.h"
#include "models/kvrule.h"
#include "sim/random.h"
#include "tests/harness.h"

/* ---- a strategy made by hand ---- */

static struct mdl_kv_memory described;

static void memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    (void)u;
    *out = described;
}

static const struct mdl_strategy toy = {.name = "toy", .memory = memory};

static struct mdl_kv_use use_of(uint32_t layers, uint32_t kv_heads, uint32_t head_dim)
{
    struct mdl_kv_use u = {.strategy = &toy,
                           .n_layers = layers,
                           .q_heads = 4 * kv_heads,
                           .kv_heads = kv_heads,
                           .head_dim = head_dim,
                           .block_size = 16};
    for (int k = 0; k < MDL_N_KV_KEY; k++) u.value[k] = NAN;
    return u;
}

static void describe(const struct mdl_kv_part *part, uint32_t n)
{
    described = (struct mdl_kv_memory){
        .n_parts = n, .budget = SIM_KV_ALL, .read_cap = SIM_KV_ALL, .select_after = SIM_KV_ALL};
    memcpy(described.part, part, n * sizeof *part);
}

/* Pages of so many bytes and tokens without an end. */
static struct mdl_kv_part pages(double page_bytes, uint32_t page_tokens)
{
    return (struct mdl_kv_part){
        .what = "pages", .page_bytes = page_bytes, .cap = SIM_KV_ALL, .page_tokens = page_tokens};
}

static struct mdl_kv_plan plan_of(uint32_t max_tokens)
{
    struct mdl_kv_use u = use_of(2, 2, 64);
    struct mdl_kv_plan p;
    struct sim_status st = {0};
    ck_assert_msg(mdl_kv_plan_init(&p, &u, max_tokens, &st), "%s", st.message);
    return p;
}

static struct sim_kv_length filled(uint32_t tokens)
{
    return (struct sim_kv_length){tokens, tokens};
}

/* ---- units ---- */

START_TEST(the_unit_is_the_largest_size_that_all_pages_of_a_place_are_multiples_of)
{
    struct mdl_kv_part part[] = {pages(6144, 16), pages(4096, 32), pages(10240, 16)};
    part[2].place = SIM_KV_HOST;
    describe(part, 3);
    struct mdl_kv_plan p = plan_of(100000);
    ck_assert_double_eq(p.unit_bytes[SIM_KV_GPU], 2048);
    ck_assert_double_eq(p.unit_bytes[SIM_KV_HOST], 10240);
    ck_assert_uint_eq(p.rule.term[0].units, 3);
    ck_assert_uint_eq(p.rule.term[1].units, 2);
    ck_assert_uint_eq(p.rule.term[2].units, 1);
    ck_assert_uint_eq(mdl_kv_plan_largest(&p, SIM_KV_GPU), 3);
    ck_assert_uint_eq(p.rule.period, 32);
}
END_TEST

START_TEST(pages_without_a_common_size_are_rounded_up_to_64_bytes)
{
    struct mdl_kv_part part[] = {pages(1000, 16), pages(1000.5, 16)};
    describe(part, 2);
    struct mdl_kv_plan p = plan_of(100000);
    ck_assert_double_eq(p.unit_bytes[SIM_KV_GPU], 64);
    for (int i = 0; i < 2; i++) {
        double held = p.rule.term[i].units * p.unit_bytes[SIM_KV_GPU];
        ck_assert(held >= part[i].page_bytes && held < ceil(part[i].page_bytes) + 64);
    }
    ck_assert_double_eq(p.unit_bytes[SIM_KV_HOST], 0);
}
END_TEST

START_TEST(a_page_of_no_bytes_or_a_window_of_no_tokens_is_no_page)
{
    struct mdl_kv_part part[] = {pages(4096, 16), pages(0, 32), pages(512, 32), pages(512, 32)};
    part[2].cap = 0;
    part[3].cap = 31;
    part[3].whole = true; /* it never completes a page */
    describe(part, 4);
    ck_assert_uint_eq(plan_of(1000).rule.n_terms, 1);
}
END_TEST

/* Tokens one by one: a page is taken when its first token comes, a whole one when its last does. */
static uint64_t pages_counted(const struct mdl_kv_part *part, uint32_t tokens)
{
    uint64_t n = 0;
    for (uint32_t t = part->start; t < tokens && t - part->start < part->cap; t++) {
        uint32_t at = (t - part->start) % part->page_tokens;
        n += part->whole ? at + 1 == part->page_tokens : at == 0;
    }
    return n;
}

START_TEST(bytes_are_those_of_pages_counted_token_by_token)
{
    for (uint64_t i = 0; i < 300; i++) {
        struct mdl_kv_part part[3];
        for (uint64_t k = 0; k < 3; k++) {
            double u = sim_random_unit(i, sim_stream("part"), k);
            part[k] =
                pages(floor(1 + 3000 * u), 1u << (uint32_t)(6 * sim_random_unit(i, sim_stream("page"), k)));
            part[k].start = (uint32_t)(200 * sim_random_unit(i, sim_stream("start"), k));
            part[k].whole = sim_random_unit(i, sim_stream("whole"), k) < 0.5;
            if (sim_random_unit(i, sim_stream("cap"), k) < 0.5)
                part[k].cap = (uint32_t)(300 * sim_random_unit(i, sim_stream("caps"), k));
        }
        describe(part, 3);
        struct mdl_kv_plan p = plan_of(1000);
        double unit = p.unit_bytes[SIM_KV_GPU];
        for (uint32_t tokens = 0; tokens < 600; tokens += 1 + tokens / 7) {
            double bytes = 0;
            for (int k = 0; k < 3; k++)
                bytes += (double)pages_counted(&part[k], tokens) * ceil(part[k].page_bytes / unit) * unit;
            ck_assert_double_eq(mdl_kv_plan_bytes(&p, SIM_KV_GPU, filled(tokens)), bytes);
        }
    }
}
END_TEST

START_TEST(what_is_kept_and_read_is_taken_over)
{
    struct mdl_kv_part part[] = {pages(4096, 16)};
    part[0].kept = true;
    describe(part, 1);
    described.budget = 512;
    described.evicts_in_decode = true;
    described.read_cap = 256;
    described.select_after = 300;
    described.dense_frac = 0.125;
    described.replica_bytes = 1e6;
    struct mdl_kv_plan p = plan_of(100000);
    ck_assert(p.rule.budget == 512 && p.rule.read_cap == 256 && p.rule.select_after == 300 &&
              p.rule.evicts_in_decode);
    ck_assert(p.kept_frac == 0.875 && p.all_frac == 0.125 && p.rule.all_frac == 0.125 &&
              p.replica_bytes == 1e6);
    ck_assert_double_eq(mdl_kv_plan_bytes(&p, SIM_KV_GPU, filled(10000)), 512 / 16 * 4096);
    ck_assert_double_eq(mdl_kv_plan_bytes(&p, SIM_KV_GPU, (struct sim_kv_length){9999, 10000}), 625 * 4096);
}
END_TEST

/* ---- limits ---- */

static void refused(uint32_t max_tokens, const char *word)
{
    struct mdl_kv_use u = use_of(2, 2, 64);
    struct mdl_kv_plan p;
    struct sim_status st = {0};
    ck_assert(!mdl_kv_plan_init(&p, &u, max_tokens, &st));
    ck_assert_msg(strstr(st.message, word) && strstr(st.message, "expected") && !strchr(st.message, '\n'),
                  "%s", st.message);
}

START_TEST(pages_that_meet_too_rarely_are_refused)
{
    struct mdl_kv_part part[] = {pages(4096, 65521), pages(4096, 2)};
    describe(part, 2);
    refused(1000, "131042");
    part[0].page_tokens = 32768;
    describe(part, 2);
    ck_assert_uint_eq(plan_of(1000).rule.period, 32768);
}
END_TEST

START_TEST(more_units_than_can_be_counted_are_refused)
{
    struct mdl_kv_part part[] = {pages(64, 1), pages(64 * 1024 + 64, 16)};
    describe(part, 2);
    ck_assert_double_eq(plan_of(1 << 20).unit_bytes[SIM_KV_GPU], 64);
    refused(1u << 26, "max_model_len");
}
END_TEST

/* ---- falling back ---- */

START_TEST(a_request_that_falls_back_holds_at_least_full_and_grows_in_step)
{
    static const uint32_t tokens[] = {16, 32, 24, 20, 7};
    for (int i = 0; i < 5; i++) {
        struct mdl_kv_use u = use_of(2, 2, 64);
        struct mdl_kv_part part[] = {pages(1000.0 * tokens[i], tokens[i])};
        describe(part, 1);
        struct mdl_kv_plan p = plan_of(100000);
        struct sim_kv_rule plain = mdl_kv_plain_rule(&p, &u);
        ck_assert_uint_eq(p.rule.period % plain.period, 0);
        for (uint32_t n = 1; n < 500; n++) {
            double bytes = (double)sim_kv_units(&plain, SIM_KV_GPU, filled(n)) * p.unit_bytes[SIM_KV_GPU];
            ck_assert_double_ge(bytes, n * mdl_kv_token_bytes(&u));
        }
    }
}
END_TEST

/* ---- what a card has room for ---- */

static char *data_dir;
static struct mdl_gpu_catalogue *catalogue;
static struct mdl_engine engine;

static void open_data(void)
{
    struct sim_status st = {0};
    char path[4096];
    data_dir = mdl_data_dir(&st);
    ck_assert_msg(data_dir != NULL, "%s", st.message);
    snprintf(path, sizeof path, "%s/models/gpus.csv", data_dir);
    catalogue = mdl_gpu_catalogue_load(path, &st);
    ck_assert_msg(catalogue && mdl_engine_load(data_dir, "vllm-0.24", &engine, &st), "%s", st.message);
}

static void close_data(void)
{
    mdl_gpu_catalogue_free(catalogue);
    free(data_dir);
}

struct place {
    struct mdl_arch arch;
    struct mdl_kv_use use;
    struct mdl_memory_spec spec;
};

static void put(struct place *at, const char *model, uint32_t tp, uint32_t pp)
{
    struct sim_status st = {0};
    ck_assert_msg(mdl_arch_load(data_dir, model, &at->arch, &st), "%s", st.message);
    uint32_t most = 0;
    for (uint32_t s = 0; s < pp; s++) {
        uint32_t layers = mdl_stage_layers(at->arch.n_layers, pp, s);
        most = layers > most ? layers : most;
    }
    at->use = use_of(most, at->arch.n_kv_heads > tp ? at->arch.n_kv_heads / tp : 1, at->arch.head_dim);
    at->spec = (struct mdl_memory_spec){.arch = &at->arch,
                                        .gpu = mdl_gpu_find(catalogue, "h100-sxm", &st),
                                        .engine = &engine,
                                        .tensor_parallel = tp,
                                        .pipeline_parallel = pp,
                                        .max_num_seqs = 256,
                                        .max_num_batched_tokens = 8192,
                                        .block_size = 16,
                                        .gpu_memory_utilization = 0.9,
                                        .host_memory_bytes = 64e9};
}

static struct mdl_memory memory_of(const struct place *at, const struct mdl_kv_plan *plan)
{
    struct mdl_memory_spec spec = at->spec;
    struct mdl_memory m;
    struct sim_status st = {0};
    spec.plan = plan;
    ck_assert_msg(mdl_memory_plan(&spec, &m, &st), "%s", st.message);
    return m;
}

static struct mdl_kv_plan plan_at(const struct place *at)
{
    struct mdl_kv_plan p;
    struct sim_status st = {0};
    ck_assert_msg(mdl_kv_plan_init(&p, &at->use, 131072, &st), "%s", st.message);
    return p;
}

/* One page of block_size tokens at this share of bf16's bytes. */
static void describe_flat(const struct place *at, double share)
{
    struct mdl_kv_part part = pages(16 * share * mdl_kv_token_bytes(&at->use), 16);
    describe(&part, 1);
}

START_TEST(full_as_a_strategy_has_the_blocks_that_the_engine_has)
{
    static const struct {
        const char *model;
        uint32_t tp, pp;
    } cases[] = {{"llama-3.1-8b", 1, 1}, {"llama-3.1-8b", 2, 1},  {"llama-3.1-8b", 1, 3},
                 {"llama-2-13b", 1, 3},  {"llama-3.1-70b", 8, 1}, {"qwen2.5-7b", 4, 2}};
    for (int i = 0; i < 6; i++) {
        struct place at;
        put(&at, cases[i].model, cases[i].tp, cases[i].pp);
        for (uint64_t override = 0; override < 5001; override += 5000) {
            at.spec.num_gpu_blocks_override = override;
            describe_flat(&at, 1);
            struct mdl_kv_plan p = plan_at(&at);
            struct mdl_memory full = memory_of(&at, NULL), same = memory_of(&at, &p);
            ck_assert_msg(full.blocks == same.blocks && full.kv_capacity_tokens == same.kv_capacity_tokens,
                          "%s tp %u pp %u: %llu and %llu blocks", cases[i].model, cases[i].tp, cases[i].pp,
                          (unsigned long long)full.blocks, (unsigned long long)same.blocks);
            ck_assert(full.kv_bytes == same.kv_bytes && full.unit_bytes == same.unit_bytes &&
                      !same.host_blocks);
        }
    }
}
END_TEST

START_TEST(half_the_bytes_hold_twice_the_tokens)
{
    struct place at;
    put(&at, "llama-3.1-8b", 1, 1);
    uint64_t full = memory_of(&at, NULL).kv_capacity_tokens, before = 0;
    for (double share = 1; share > 0.1; share /= 2) {
        describe_flat(&at, share);
        struct mdl_kv_plan p = plan_at(&at);
        struct mdl_memory m = memory_of(&at, &p);
        ck_assert_double_eq_tol((double)m.kv_capacity_tokens * share / (double)full, 1, 1e-3);
        ck_assert((double)m.blocks * m.unit_bytes <= m.kv_bytes);
        ck_assert(m.kv_capacity_tokens > before);
        before = m.kv_capacity_tokens;
    }
}
END_TEST

START_TEST(a_budget_holds_as_many_long_sequences_as_short_ones)
{
    struct place at;
    put(&at, "llama-3.1-8b", 1, 1);
    describe_flat(&at, 1);
    described.part[0].kept = true;
    described.budget = 2048;
    described.evicts_in_decode = true;
    struct mdl_kv_plan p = plan_at(&at);
    struct mdl_memory m = memory_of(&at, &p);
    double sequences = (double)m.kv_capacity_tokens / at.arch.max_position_embeddings;
    ck_assert_double_eq_tol(sequences, (double)m.blocks / (2048 / 16), 1e-4);
}
END_TEST

START_TEST(buffers_and_two_page_types_take_their_share)
{
    struct place at;
    put(&at, "llama-3.1-8b", 1, 1);
    struct mdl_kv_part part[] = {pages(16 * 3 * 4096, 16), pages(128 * 5 * 4096, 128)};
    describe(part, 2);
    described.replica_bytes = 1e9;
    struct mdl_kv_plan p = plan_at(&at);
    struct mdl_memory m = memory_of(&at, &p);
    double unit = 16 * 4096; /* of 48 and 640 pages of 4,096 bytes */
    ck_assert_double_eq(p.unit_bytes[SIM_KV_GPU], unit);
    ck_assert_double_eq((double)m.blocks, floor((m.kv_bytes - 1e9) / unit) - 40);
}
END_TEST

START_TEST(host_memory_is_counted_in_units_and_bounds_the_tokens)
{
    struct place at;
    put(&at, "llama-3.1-8b", 1, 1);
    double token = mdl_kv_token_bytes(&at.use);
    struct mdl_kv_part part[] = {pages(16 * token / 32, 16), pages(32 * token, 32)};
    part[1].place = SIM_KV_HOST;
    describe(part, 2);
    struct mdl_kv_plan p = plan_at(&at);
    struct mdl_memory m = memory_of(&at, &p);
    ck_assert_double_eq((double)m.host_blocks, floor(64e9 / (32 * token)));
    ck_assert_double_eq_tol((double)m.kv_capacity_tokens, 64e9 / token, 32);

    struct sim_status st = {0};
    at.spec.plan = &p;
    at.spec.host_memory_bytes = 1e6;
    ck_assert(!mdl_memory_plan(&at.spec, &m, &st));
    ck_assert_msg(strstr(st.message, "host.memory_gib") && !strchr(st.message, '\n'), "%s", st.message);
}
END_TEST

START_TEST(buffers_larger_than_the_card_are_refused_in_one_line)
{
    struct place at;
    struct mdl_memory m;
    struct sim_status st = {0};
    put(&at, "llama-3.1-8b", 1, 1);
    describe_flat(&at, 1);
    described.replica_bytes = 80e9;
    struct mdl_kv_plan p = plan_at(&at);
    at.spec.plan = &p;
    ck_assert(!mdl_memory_plan(&at.spec, &m, &st));
    ck_assert_msg(strstr(st.message, "buffers") && !strchr(st.message, '\n'), "%s", st.message);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kvrule");
    TCase *c = tcase_create("units"), *m = tcase_create("memory");
    tcase_add_test(c, the_unit_is_the_largest_size_that_all_pages_of_a_place_are_multiples_of);
    tcase_add_test(c, pages_without_a_common_size_are_rounded_up_to_64_bytes);
    tcase_add_test(c, a_page_of_no_bytes_or_a_window_of_no_tokens_is_no_page);
    tcase_add_test(c, bytes_are_those_of_pages_counted_token_by_token);
    tcase_add_test(c, what_is_kept_and_read_is_taken_over);
    tcase_add_test(c, pages_that_meet_too_rarely_are_refused);
    tcase_add_test(c, more_units_than_can_be_counted_are_refused);
    tcase_add_test(c, a_request_that_falls_back_holds_at_least_full_and_grows_in_step);
    suite_add_tcase(s, c);
    tcase_add_checked_fixture(m, open_data, close_data);
    tcase_add_test(m, full_as_a_strategy_has_the_blocks_that_the_engine_has);
    tcase_add_test(m, half_the_bytes_hold_twice_the_tokens);
    tcase_add_test(m, a_budget_holds_as_many_long_sequences_as_short_ones);
    tcase_add_test(m, buffers_and_two_page_types_take_their_share);
    tcase_add_test(m, host_memory_is_counted_in_units_and_bounds_the_tokens);
    tcase_add_test(m, buffers_larger_than_the_card_are_refused_in_one_line);
    suite_add_tcase(s, m);
    return s;
}
