/* The catalogue: GPUs, architectures and the memory that a model leaves for its KV cache, against datasheets,
 * published parameter counts and published engine logs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/arch.h"
#include "models/datadir.h"
#include "models/kvmem.h"
#include "tests/harness.h"

static const double GIB = 1073741824;

static struct mdl_gpu_catalogue *shipped_gpus(void)
{
    struct sim_status st = {0};
    struct mdl_gpu_catalogue *c = mdl_gpu_catalogue_load("models/gpus.csv", &st);
    ck_assert_msg(c != NULL, "%s", st.message);
    return c;
}

static struct mdl_arch arch(const char *name)
{
    struct sim_status st = {0};
    struct mdl_arch a;
    ck_assert_msg(mdl_arch_load(".", name, &a, &st), "%s", st.message);
    return a;
}

/* ---- GPUs ---- */

START_TEST(a_card_goes_by_its_name_its_aliases_and_what_the_driver_calls_it)
{
    static const char *const words[][2] = {{"h100-sxm", "h100-sxm"},
                                           {"H100_SXM", "h100-sxm"},
                                           {"NVIDIA H100 80GB HBM3", "h100-sxm"},
                                           {"a100_sxm", "a100-80-sxm"},
                                           {"a100-80", "a100-80-sxm"},
                                           {"h200_sxm", "h200-sxm"},
                                           {"b200_sxm", "b200-sxm"},
                                           {"l40s", "l40s"},
                                           {"NVIDIA RTX A6000", "a6000"},
                                           {"L4", "l4"}};
    struct mdl_gpu_catalogue *c = shipped_gpus();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct sim_status st = {0};
        const struct mdl_gpu *g = mdl_gpu_find(c, words[i][0], &st);
        ck_assert_msg(g != NULL, "%s", st.message);
        ck_assert_str_eq(g->name, words[i][1]);
    }
    mdl_gpu_catalogue_free(c);
}
END_TEST

START_TEST(an_unknown_card_is_answered_with_the_nearest)
{
    struct mdl_gpu_catalogue *c = shipped_gpus();
    struct sim_status st = {0};
    ck_assert_ptr_null(mdl_gpu_find(c, "h10-sxm", &st));
    ck_assert_ptr_nonnull(strstr(st.message, "did you mean `h100-sxm`"));
    mdl_gpu_catalogue_free(c);
}
END_TEST

START_TEST(h100_is_what_its_datasheet_and_its_driver_say)
{
    struct mdl_gpu_catalogue *c = shipped_gpus();
    struct sim_status st = {0};
    const struct mdl_gpu *g = mdl_gpu_find(c, "h100-sxm", &st);
    ck_assert_uint_eq(g->memory_bytes, (uint64_t)81559 << 20);
    ck_assert_double_eq_tol(g->bandwidth_byte_per_s, 3.35e12, 1);
    ck_assert_double_eq_tol(g->rate_flops[MDL_BF16], 989.4e12, 1e6);
    ck_assert_double_eq_tol(g->rate_flops[MDL_FP8], 2 * g->rate_flops[MDL_BF16], 2e11);
    ck_assert_double_eq(g->rate_flops[MDL_INT4], 0);
    ck_assert_double_eq_tol(g->nvlink_byte_per_s, 450e9, 1);
    ck_assert_double_eq_tol(g->pcie_byte_per_s, 63.015e9, 1e6); /* 32 GT/s x 16 x 128/130 / 8 */
    ck_assert_uint_eq(g->l2_bytes, 50 << 20);
    ck_assert_uint_eq(g->sms, 132);
    ck_assert_str_eq(g->profile, "h100-sxm-vllm");
    mdl_gpu_catalogue_free(c);
}
END_TEST

/* Matrix cores do a fixed number of operations per SM and clock: peaks, SMs and clocks must agree with each
 * other. Left out: cards whose rate the vendor caps (H20, GeForce: half rate) or states at another clock. */
START_TEST(peak_rates_equal_sms_times_clock_times_the_cores_width)
{
    static const struct {
        const char *name;
        double flop_per_sm_clock;
    } cards[] = {{"a100-80-sxm", 2048}, {"a100-40-pcie", 2048}, {"a30", 2048},       {"a10", 1024},
                 {"a40", 1024},         {"a6000", 1024},        {"l4", 1024},        {"l40s", 1024},
                 {"rtx-4090", 512},     {"h100-sxm", 4096},     {"h100-pcie", 4096}, {"h200-sxm", 4096},
                 {"b200-sxm", 8192},    {"gb200", 8192},        {"rtx-5090", 512},   {"rtx-pro-6000", 1024}};
    struct mdl_gpu_catalogue *c = shipped_gpus();
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        struct sim_status st = {0};
        const struct mdl_gpu *g = mdl_gpu_find(c, cards[i].name, &st);
        double rate = g->sms * g->clock_hz * cards[i].flop_per_sm_clock;
        double ratio = g->rate_flops[MDL_BF16] / rate;
        ck_assert_msg(ratio > 0.97 && ratio < 1.03, "%s: %g of %g", g->name, g->rate_flops[MDL_BF16], rate);
    }
    mdl_gpu_catalogue_free(c);
}
END_TEST

START_TEST(every_card_is_plausible_and_names_its_source)
{
    struct mdl_gpu_catalogue *c = shipped_gpus();
    ck_assert_uint_ge(mdl_gpu_count(c), 20);
    for (size_t i = 0; i < mdl_gpu_count(c); i++) {
        const struct mdl_gpu *g = mdl_gpu_at(c, i);
        if (strcmp(g->name, MDL_CPU_DEVICE) == 0) continue; /* no card */
        double ridge = g->rate_flops[MDL_BF16] / g->bandwidth_byte_per_s;
        ck_assert_msg(ridge > 30 && ridge < 450, "%s: ridge %g", g->name, ridge);
        ck_assert_msg(g->idle_w > 5 && g->idle_w < 0.3 * g->tdp_w, "%s", g->name);
        ck_assert_msg(g->rate_flops[MDL_INT8] == 0 || g->compute_capability == 103 ||
                          g->rate_flops[MDL_INT8] >= 1.99 * g->rate_flops[MDL_BF16],
                      "%s", g->name);
        ck_assert_msg((g->compute_capability >= 89) == (g->rate_flops[MDL_FP8] > 0), "%s", g->name);
        ck_assert_uint_gt(strlen(g->source), 10);
    }
    mdl_gpu_catalogue_free(c);
}
END_TEST

static void csv_refused(const char *text, const char *expected)
{
    struct sim_status st = {0};
    ck_assert_ptr_null(mdl_gpu_catalogue_load(test_file("gpus.csv", text), &st));
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
}

#define HEADER                                                                                               \
    "name,title,profile,aliases,compute_capability,sms,memory_mib,bandwidth_gb_per_s,l2_mib,bf16_tflops,"    \
    "fp8_tflops,int8_tflops,int4_tflops,boost_mhz,nvlink_gb_per_s,pcie_generation,pcie_lanes,host_gb_per_s," \
    "tdp_w,idle_w,source\n"
#define CARD(name, aliases, memory)                                                                          \
    name ",T,," aliases ",90,132," memory ",3350,50,989,1979,1979,0,1830,450,5,16,,700,70,s\n"

START_TEST(a_broken_catalogue_is_refused_with_line_and_column)
{
    csv_refused("", "gpus.csv");
    csv_refused("name,title\nx,y\n", ":1: no column");
    csv_refused(HEADER, "holds no card");
    csv_refused(HEADER CARD("a", "", "81559") CARD("b", "A", "81559"), ":3: `A` already names a");
    csv_refused(HEADER CARD("a", "", "-1"), ":2: memory_mib is -1, expected 1024");
    csv_refused(HEADER CARD("a", "", "nan"), "memory_mib");
    csv_refused(HEADER CARD("a", "", "1e999"), "memory_mib");
    csv_refused(HEADER CARD("", "", "81559"), "needs a name");
    csv_refused(HEADER "a,b,c\n", ":2:");
    csv_refused(HEADER CARD("a-name-that-is-far-too-long-for-a-card", "", "81559"), "name is longer");
}
END_TEST

START_TEST(number_types_go_by_the_names_that_frameworks_use)
{
    enum mdl_dtype t;
    for (int i = 0; i < MDL_N_DTYPE; i++) {
        ck_assert(mdl_dtype_parse(mdl_dtype_name((enum mdl_dtype)i), &t));
        ck_assert_int_eq(t, i);
    }
    ck_assert(mdl_dtype_parse("BFloat16", &t) && t == MDL_BF16);
    ck_assert(mdl_dtype_parse("float16", &t) && t == MDL_BF16);
    ck_assert(mdl_dtype_parse("fp8_e4m3", &t) && t == MDL_FP8);
    ck_assert(!mdl_dtype_parse("fp64", &t));
    ck_assert_double_eq(mdl_dtype_bytes(MDL_INT4), 0.5);
}
END_TEST

/* ---- architectures ---- */

START_TEST(parameters_equal_the_counts_that_the_model_cards_state)
{
    static const struct {
        const char *name;
        uint64_t parameters;
    } cards[] = {
        {"llama-2-7b", 6738415616},
        {"llama-2-13b", 13015864320},
        {"llama-2-70b", 68976648192},
        {"llama-3-8b", 8030261248},
        {"llama-3.1-8b", 8030261248},
        {"llama-3.1-70b", 70553706496},
        {"llama-3.1-405b", 405853388800},
        {"llama-3.2-1b", 1235814400},
        {"llama-3.2-3b", 3212749824},
        {"llama-3.3-70b", 70553706496},
        {"mistral-7b-v0.1", 7241732096},
        {"mistral-7b-v0.3", 7248023552},
        {"mistral-nemo-12b", 12247782400},
        {"mistral-small-24b", 23572403200},
        {"mistral-large-123b", 122610069504},
        {"smollm2-135m", 134515008},
        {"qwen2.5-0.5b", 494032768},
        {"qwen2.5-1.5b", 1543714304},
        {"qwen2.5-3b", 3085938688},
        {"qwen2.5-7b", 7615616512},
        {"qwen2.5-14b", 14770033664},
        {"qwen2.5-32b", 32763876352},
        {"qwen2.5-72b", 72706203648},
        {"qwen3-4b", 4022468096},
        {"qwen3-8b", 8190735360},
        {"qwen3-14b", 14768307200},
        {"qwen3-32b", 32762123264},
        {"phi-3-mini", 3821079552},
        {"phi-3-medium", 13960238080},
        {"phi-4", 14659507200},
        {"gemma-2b", 2506172416},
        {"gemma-7b", 8537680896},
    };
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        struct mdl_arch a = arch(cards[i].name);
        ck_assert_msg(mdl_arch_parameters(&a) == cards[i].parameters, "%s: %llu instead of %llu",
                      cards[i].name, (unsigned long long)mdl_arch_parameters(&a),
                      (unsigned long long)cards[i].parameters);
    }
}
END_TEST

START_TEST(every_catalogue_name_and_source_id_loads_the_same_model)
{
    struct sim_status st = {0};
    char **names = mdl_arch_names(".", &st);
    ck_assert_msg(names != NULL, "%s", st.message);
    size_t n = 0;
    for (; names[n]; n++) {
        struct mdl_arch a = arch(names[n]), b = arch(a.hf_id);
        ck_assert_str_eq(a.name, names[n]);
        ck_assert_mem_eq(&a, &b, sizeof a);
        if (n) ck_assert_int_lt(strcmp(names[n - 1], names[n]), 0);
    }
    ck_assert_uint_ge(n, 30);
    mdl_arch_names_free(names);
}
END_TEST

START_TEST(ids_aliases_folders_and_files_lead_to_a_model_and_nonsense_to_the_nearest)
{
    ck_assert_str_eq(arch("meta-llama/llama-3.1-70b-instruct").name, "llama-3.1-70b");
    ck_assert_str_eq(arch("models/catalogue/phi-4.json").name, "phi-4");
    test_file(
        "config.json",
        "{\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":128,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":4,\"vocab_size\":100,\"max_position_embeddings\":32}");
    struct mdl_arch a = arch(test_dir());
    ck_assert_uint_eq(a.n_kv_heads, 4);
    ck_assert_uint_eq(a.head_dim, 16);
    struct sim_status st = {0};
    ck_assert(!mdl_arch_load(".", "llama-3.1-9b", &a, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "did you mean `llama-3.1-8b`"));
}
END_TEST

#define SIZES                                                                                                \
    "\"hidden_size\":64,\"intermediate_size\":128,\"num_hidden_layers\":2,\"num_attention_heads\":4,"        \
    "\"num_key_value_heads\":2,\"vocab_size\":100,\"max_position_embeddings\":32"

static bool parse(const char *text, struct mdl_arch *a, struct sim_status *st)
{
    return mdl_arch_parse("t/config.json", text, strlen(text), a, st);
}

START_TEST(a_small_model_has_the_parameters_counted_by_hand)
{
    struct sim_status st = {0};
    struct mdl_arch a;
    /* q and o 64x64, k and v 64x32, gate, up and down 64x128; norms 2x64; embeddings 2x6400, last norm 64 */
    ck_assert(parse("{\"model_type\":\"llama\"," SIZES "}", &a, &st));
    uint64_t layer = 2 * 4096 + 2 * 2048 + 3 * 8192 + 128;
    ck_assert_uint_eq(mdl_arch_parameters(&a), 2 * layer + 2 * 6400 + 64);
    ck_assert_uint_eq(mdl_arch_linear_parameters(&a), layer - 128);
    ck_assert_double_eq(mdl_arch_kv_byte_per_token(&a, MDL_BF16),
                        2 * 2 * 2 * 16 * 2); /* k and v, layers, heads, dim */
    ck_assert(parse("{\"model_type\":\"qwen2\",\"tie_word_embeddings\":true," SIZES "}", &a, &st));
    ck_assert_uint_eq(mdl_arch_parameters(&a), 2 * (layer + 64 + 2 * 32) + 6400 + 64);
    ck_assert(parse("{\"model_type\":\"qwen3\",\"head_dim\":8," SIZES "}", &a, &st));
    ck_assert_uint_eq(mdl_arch_parameters(&a),
                      2 * (2 * 2048 + 2 * 1024 + 3 * 8192 + 128 + 16) + 2 * 6400 + 64);
    ck_assert(
        parse("{\"model_type\":\"llama\",\"attention_bias\":true,\"mlp_bias\":true," SIZES "}", &a, &st));
    ck_assert_uint_eq(mdl_arch_parameters(&a), 2 * (layer + 64 + 64 + 64 + 2 * 128 + 64) + 2 * 6400 + 64);
}
END_TEST

START_TEST(a_sliding_window_is_noted_only_where_it_is_used)
{
    struct sim_status st = {0};
    struct mdl_arch a;
    ck_assert(parse("{\"model_type\":\"mistral\",\"sliding_window\":16," SIZES "}", &a, &st));
    ck_assert_uint_eq(a.sliding_window, 16);
    ck_assert(parse("{\"model_type\":\"qwen2\",\"use_sliding_window\":false,\"sliding_window\":16," SIZES "}",
                    &a, &st));
    ck_assert_uint_eq(a.sliding_window, 0);
    ck_assert(parse("{\"model_type\":\"mistral\",\"sliding_window\":null," SIZES "}", &a, &st));
    ck_assert_uint_eq(a.sliding_window, 0);
}
END_TEST

START_TEST(what_cannot_be_priced_is_refused_by_the_key_that_says_so)
{
    static const char *const bad[][2] = {
        {"{\"model_type\":\"mixtral\",\"num_local_experts\":8," SIZES "}", "`num_local_experts`"},
        {"{\"model_type\":\"qwen3\",\"num_experts\":128," SIZES "}", "`num_experts`"},
        {"{\"model_type\":\"deepseek_v3\",\"kv_lora_rank\":512," SIZES "}", "`kv_lora_rank`"},
        {"{\"model_type\":\"llama\",\"q_lora_rank\":1536," SIZES "}", "`q_lora_rank`"},
        {"{\"model_type\":\"jamba\",\"mamba_d_state\":16," SIZES "}", "`mamba_d_state`"},
        {"{\"model_type\":\"mamba\",\"ssm_cfg\":{}," SIZES "}", "`ssm_cfg`"},
        {"{\"model_type\":\"qwen3\",\"layer_types\":[\"full_attention\",\"linear_attention\"]," SIZES "}",
         "`linear_attention`"},
        {"{\"model_type\":\"t5\",\"is_encoder_decoder\":true," SIZES "}", "`is_encoder_decoder`"},
        {"{\"model_type\":\"gemma3\",\"text_config\":{\"hidden_size\":1}}", "`text_config`"},
        {"{\"model_type\":\"gpt_neox\"," SIZES "}", "model_type `gpt_neox` is not understood"},
        {"{" SIZES "}", "no key `model_type`"},
        {"{\"model_type\":\"llama\"}", "no key `num_hidden_layers`"},
        {"[1,2]", "not a JSON object"},
        {"{\"a\":1,\n\"a\":2}", ":2: not valid JSON"},
        {"", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sim_status st = {0};
        struct mdl_arch a;
        ck_assert_msg(!parse(bad[i][0], &a, &st), "accepted %s", bad[i][0]);
        ck_assert_msg(strstr(st.message, bad[i][1]) != NULL, "`%s` lacks %s", st.message, bad[i][1]);
    }
}
END_TEST

START_TEST(hostile_sizes_are_refused_and_never_overflow)
{
    static const char *const values[] = {"0",          "-1",  "1e3", "\"64\"", "99999999999999999999",
                                         "4294967297", "1.5", "[]",  "{}"};
    static const char *const keys[] = {"hidden_size", "num_hidden_layers", "vocab_size",
                                       "num_attention_heads"};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            char text[512];
            snprintf(text, sizeof text,
                     "{\"model_type\":\"llama\",\"intermediate_size\":128,\"max_position_embeddings\":32");
            for (size_t j = 0; j < sizeof keys / sizeof *keys; j++)
                snprintf(text + strlen(text), sizeof text - strlen(text), ",\"%s\":%s", keys[j],
                         j == k ? values[v] : "4");
            strcat(text, "}");
            struct sim_status st = {0};
            struct mdl_arch a;
            ck_assert_msg(!parse(text, &a, &st), "accepted %s", text);
        }
    }
    struct sim_status st = {0};
    struct mdl_arch a;
    ck_assert(!parse(
        "{\"model_type\":\"llama\",\"num_key_value_heads\":3," /* 4 heads cannot share 3 */
        "\"hidden_size\":64,\"intermediate_size\":128,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
        "\"vocab_size\":100,\"max_position_embeddings\":32}",
        &a, &st));
}
END_TEST

START_TEST(heads_and_layers_limit_how_a_model_may_be_split)
{
    struct mdl_arch a = arch("qwen3-32b"); /* 64 heads, 8 KV heads, 64 layers */
    static const struct {
        uint32_t tp, pp;
        bool ok;
    } cases[] = {{1, 1, true},  {8, 1, true},  {16, 2, true},  {3, 1, false},
                 {0, 1, false}, {1, 0, false}, {1, 65, false}, {1, 64, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        ck_assert_int_eq(mdl_arch_check_parallel(&a, cases[i].tp, cases[i].pp, &st), cases[i].ok);
        ck_assert_int_eq(st.message[0] == '\0', cases[i].ok);
    }
}
END_TEST

START_TEST(the_data_folder_is_the_one_that_holds_the_catalogue)
{
    struct sim_status st = {0};
    setenv("KVSIM_DATA", ".", 1);
    char *dir = mdl_data_dir(&st);
    ck_assert_str_eq(dir, ".");
    free(dir);
    setenv("KVSIM_DATA", test_dir(), 1);
    ck_assert_ptr_null(mdl_data_dir(&st));
    ck_assert_ptr_nonnull(strstr(st.message, test_dir()));
    unsetenv("KVSIM_DATA");
    struct sim_status found = {0};
    dir = mdl_data_dir(&found); /* depends on where this test was built: either a folder or a way out */
    ck_assert(dir ? dir[0] == '/' : strstr(found.message, "KVSIM_DATA") != NULL);
    free(dir);
}
END_TEST

/* ---- memory ---- */

struct case_of {
    const char *model, *engine;
    enum mdl_dtype weights;
    uint32_t tp;
    double utilization;
};

static struct mdl_memory planned(struct case_of c, bool eager)
{
    struct sim_status st = {0};
    struct mdl_gpu_catalogue *gpus = shipped_gpus();
    struct mdl_engine e;
    struct mdl_memory m;
    struct mdl_arch a = arch(c.model);
    ck_assert_msg(mdl_engine_load(".", c.engine, &e, &st), "%s", st.message);
    struct mdl_memory_spec s = {.arch = &a, .gpu = mdl_gpu_find(gpus, "h100-sxm", &st), .engine = &e};
    s.weights = c.weights;
    s.kv = MDL_BF16;
    s.tensor_parallel = c.tp;
    s.pipeline_parallel = 1;
    s.max_num_seqs = mdl_engine_default_for(&e, s.gpu)->max_num_seqs;
    s.max_num_batched_tokens = mdl_engine_default_for(&e, s.gpu)->max_num_batched_tokens;
    s.block_size = e.block_size;
    s.gpu_memory_utilization = c.utilization;
    s.enforce_eager = eager;
    ck_assert_msg(mdl_memory_plan(&s, &m, &st), "%s", st.message);
    mdl_gpu_catalogue_free(gpus);
    return m;
}

/* Startup logs of vLLM on H100-80GB at gpu_memory_utilization 0.95, published in accuracy/ of
 * llm-d-incubation's llm-d-planner: 0.18 and 0.19 (0.15 for the row of the older engine), where graphs are
 * not yet counted. `weights` and `activations` are "Model loading took" and "torch peak memory increase", kv
 * is "Available KV cache memory", GiB; for TP above 1 the report gives the parts only, and kv is 0.95 x 79.19
 * less these. */
START_TEST(weights_activations_and_kv_memory_meet_published_engine_logs)
{
    static const struct {
        struct case_of c;
        double weights, activations, kv;
    } logs[] = {
        {{"llama-3.1-8b", "vllm-0.24", MDL_BF16, 1, 0.95}, 14.99, 1.89, 58.11},
        {{"qwen2.5-7b", "vllm-0.24", MDL_BF16, 1, 0.95}, 14.25, 2.21, 58.53},
        {{"llama-3.1-8b", "vllm-0.24", MDL_FP8, 1, 0.95}, 8.49, 1.89, 64.61},
        {{"llama-3.1-8b", "vllm-0.24", MDL_BF16, 2, 0.95}, 7.51, 1.89, 63.76},
        {{"llama-3.1-8b", "vllm-0.24", MDL_BF16, 4, 0.95}, 3.77, 1.89, 67.44},
        {{"qwen2.5-7b", "vllm-0.24", MDL_BF16, 4, 0.95}, 3.55, 2.21, 67.34},
        {{"qwen3-14b", "vllm-0.14", MDL_BF16, 1, 0.95}, 27.52, 5.64, 41.94},
        {{"qwen3-14b", "vllm-0.24", MDL_BF16, 1, 0.95}, 27.52, 2.23, 45.23},
    };
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        struct mdl_memory m = planned(logs[i].c, true);
        printf("%-14s %-9s %s TP %u: weights %.2f (log %.2f), activations %.2f (%.2f), KV %.2f (%.2f) GiB\n",
               logs[i].c.model, logs[i].c.engine, mdl_dtype_name(logs[i].c.weights), logs[i].c.tp,
               m.weight_bytes / GIB, logs[i].weights, m.activation_bytes / GIB, logs[i].activations,
               m.kv_bytes / GIB, logs[i].kv);
        ck_assert_double_eq_tol(m.weight_bytes / GIB, logs[i].weights, 0.07);
        ck_assert_double_eq_tol(m.activation_bytes / GIB, logs[i].activations, 0.03);
        ck_assert_double_eq_tol(m.kv_bytes / GIB, logs[i].kv, 0.005 * logs[i].kv);
    }
}
END_TEST

START_TEST(the_pool_of_llama_8b_has_the_published_number_of_blocks)
{
    /* 0.19.0 logs 29,751 blocks, 476,016 tokens, one of which is the null block */
    struct mdl_memory m = planned((struct case_of){"llama-3.1-8b", "vllm-0.24", MDL_BF16, 1, 0.95}, true);
    ck_assert_double_eq(m.block_bytes, 16 * 131072.0);
    ck_assert_double_eq_tol((double)m.blocks, 29750, 0.005 * 29750);
    ck_assert_uint_eq(m.kv_capacity_tokens, 16 * m.blocks);
}
END_TEST

/* A machine of round numbers: 1 GiB of memory; an engine that takes nothing but what the test gives it. */
struct toy {
    struct mdl_arch a;
    struct mdl_gpu g;
    struct mdl_engine e;
    struct mdl_memory_spec s;
};

static void toy_init(struct toy *t)
{
    struct sim_status st = {0};
    memset(t, 0, sizeof *t);
    ck_assert(parse("{\"model_type\":\"llama\"," SIZES "}", &t->a, &st));
    snprintf(t->g.name, sizeof t->g.name, "toy");
    t->g.memory_bytes = 1 << 20;
    t->s = (struct mdl_memory_spec){
        .arch = &t->a, .gpu = &t->g, .engine = &t->e, .weights = MDL_BF16, .kv = MDL_BF16};
    t->s.tensor_parallel = t->s.pipeline_parallel = t->s.max_num_seqs = t->s.max_num_batched_tokens = 1;
    t->s.block_size = 4;
    t->s.gpu_memory_utilization = 1;
}

START_TEST(blocks_follow_the_formula_by_hand)
{
    struct toy t;
    struct sim_status st = {0};
    struct mdl_memory m;
    toy_init(&t);
    t.e.context_bytes = 1000;
    t.e.context_frac = 0.125;
    t.e.graph_bytes = 2000;
    t.e.activation_bytes = 100;
    t.e.sampler_byte_per_logit = 4;
    ck_assert_msg(mdl_memory_plan(&t.s, &m, &st), "%s", st.message);
    /* two layers, two vocabularies padded from 100 to 128 rows, the last norm; all in bf16 */
    double layer = 2 * 4096 + 2 * 2048 + 3 * 8192 + 128;
    double weights = 2 * (2 * layer + 2 * 128 * 64 + 64);
    double sampler = 100 + 64 * 2 + 100 * 4, inside = 2 * 128 * 2;
    double kv = 1048576 - weights - fmax(sampler, inside) - 2000 - (1000 + 0.125 * 1048576);
    double block = 4 * 2 * 2 * 2 * 16 * 2;
    ck_assert_double_eq(m.weight_bytes, weights);
    ck_assert_double_eq(m.kv_bytes, kv);
    ck_assert_double_eq(m.block_bytes, block);
    ck_assert_uint_eq(m.blocks, (uint64_t)floor(kv / block) - 1);
    t.s.enforce_eager = true;
    ck_assert(mdl_memory_plan(&t.s, &m, &st));
    ck_assert_double_eq(m.kv_bytes, kv + 2000);
}
END_TEST

START_TEST(tensor_parallel_above_the_kv_heads_replicates_them)
{
    struct toy t;
    toy_init(&t); /* 4 heads, 2 KV heads of 16 */
    ck_assert_double_eq(mdl_kv_byte_per_token_rank(&t.a, MDL_BF16, 1, 2), 2 * 2 * 2 * 16 * 2);
    ck_assert_double_eq(mdl_kv_byte_per_token_rank(&t.a, MDL_BF16, 2, 2), 2 * 2 * 1 * 16 * 2);
    ck_assert_double_eq(mdl_kv_byte_per_token_rank(&t.a, MDL_BF16, 4, 2), 2 * 2 * 1 * 16 * 2);
    ck_assert_double_eq(mdl_kv_byte_per_token_rank(&t.a, MDL_FP8, 4, 2), 2 * 2 * 1 * 16);
    /* 4 ranks: q and o a quarter, k and v half each, MLP a quarter, norms whole, 32 rows of each vocabulary
     */
    double layer = 64 * 16 * 2 + 64 * 16 * 2 + 3 * 64 * 32 + 128;
    ck_assert_double_eq(mdl_weight_bytes(&t.a, MDL_BF16, 4, 1, 0), 2 * (2 * layer + 2 * 32 * 64 + 64));
}
END_TEST

START_TEST(fp8_and_int4_shrink_decoder_linears_only)
{
    struct toy t;
    toy_init(&t);
    double linear = 2.0 * (double)mdl_arch_linear_parameters(&t.a);
    double bf16 = mdl_weight_bytes(&t.a, MDL_BF16, 1, 1, 0);
    ck_assert_double_eq(bf16 - mdl_weight_bytes(&t.a, MDL_FP8, 1, 1, 0), linear);
    ck_assert_double_eq_tol(bf16 - mdl_weight_bytes(&t.a, MDL_INT4, 1, 1, 0), linear * (2 - 0.5 - 2.5 / 128),
                            1e-6);
}
END_TEST

START_TEST(stages_split_layers_as_vllm_does_and_together_hold_the_whole_model)
{
    static const uint32_t expected[] = {11, 11, 11,
                                        10}; /* 43 layers over 4: vLLM's own test of get_pp_indices */
    for (uint32_t s = 0; s < 4; s++) ck_assert_uint_eq(mdl_stage_layers(43, 4, s), expected[s]);
    ck_assert_uint_eq(mdl_stage_layers(43, 2, 0), 22);
    ck_assert_uint_eq(mdl_stage_layers(9, 4, 0), 2); /* one left over goes to the last but one */
    ck_assert_uint_eq(mdl_stage_layers(9, 4, 2), 3);
    struct mdl_arch a = arch("llama-3.1-70b");
    for (uint32_t pp = 1; pp <= 7; pp++) {
        double bytes = 0;
        uint32_t layers = 0;
        for (uint32_t s = 0; s < pp; s++) {
            bytes += mdl_weight_bytes(&a, MDL_BF16, 1, pp, s);
            layers += mdl_stage_layers(a.n_layers, pp, s);
        }
        ck_assert_uint_eq(layers, a.n_layers);
        ck_assert_double_eq(bytes, 2.0 * (double)mdl_arch_parameters(&a)); /* 128,256 needs no padding */
    }
}
END_TEST

START_TEST(tied_embeddings_are_held_once_unless_stages_part_them)
{
    struct mdl_arch a = arch("llama-3.2-1b");
    double whole = mdl_weight_bytes(&a, MDL_BF16, 1, 1, 0);
    ck_assert_double_eq(whole, 2.0 * (double)mdl_arch_parameters(&a));
    double parted = mdl_weight_bytes(&a, MDL_BF16, 1, 2, 0) + mdl_weight_bytes(&a, MDL_BF16, 1, 2, 1);
    ck_assert_double_eq(parted - whole, 2.0 * a.vocab * a.hidden);
}
END_TEST

START_TEST(the_scarcest_stage_decides_the_number_of_blocks)
{
    struct toy t;
    struct sim_status st = {0};
    struct mdl_memory m;
    toy_init(&t);
    t.s.pipeline_parallel = 2;
    t.e.sampler_byte_per_logit = 1000; /* only the last stage samples */
    ck_assert_msg(mdl_memory_plan(&t.s, &m, &st), "%s", st.message);
    ck_assert_uint_eq(m.stage, 1);
    ck_assert_uint_eq(m.layers, 1);
    ck_assert_double_eq(m.activation_bytes, 64 * 2 + 100 * 1000.0);
}
END_TEST

START_TEST(a_model_that_does_not_fit_says_what_it_needs_and_which_tensor_parallel_would_do)
{
    struct toy t;
    struct sim_status st = {0};
    struct mdl_memory m;
    toy_init(&t);
    t.g.memory_bytes = 120 << 10; /* 180 kB of weights */
    ck_assert(!mdl_memory_plan(&t.s, &m, &st));
    ck_assert_msg(strstr(st.message, "tensor_parallel 2 would fit") != NULL, "%s", st.message);
    ck_assert_ptr_nonnull(strstr(st.message, "weights"));
    t.g.memory_bytes = 1 << 10;
    struct sim_status hopeless = {0};
    ck_assert(!mdl_memory_plan(&t.s, &m, &hopeless));
    ck_assert_ptr_nonnull(strstr(hopeless.message, "no tensor_parallel"));
}
END_TEST

START_TEST(an_override_replaces_the_estimate_unless_it_cannot_be_held)
{
    struct toy t;
    struct sim_status st = {0};
    struct mdl_memory m;
    toy_init(&t);
    t.s.num_gpu_blocks_override = 100;
    ck_assert_msg(mdl_memory_plan(&t.s, &m, &st), "%s", st.message);
    ck_assert_uint_eq(m.blocks, 100);
    ck_assert_uint_eq(m.kv_capacity_tokens, 400);
    t.s.num_gpu_blocks_override = UINT64_MAX;
    ck_assert(!mdl_memory_plan(&t.s, &m, &st));
    ck_assert_ptr_nonnull(strstr(st.message, "num_gpu_blocks_override"));
    struct sim_status bad = {0};
    t.s.gpu_memory_utilization = NAN;
    ck_assert(!mdl_memory_plan(&t.s, &m, &bad));
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("models");
    TCase *gpus = tcase_create("gpus");
    tcase_add_test(gpus, a_card_goes_by_its_name_its_aliases_and_what_the_driver_calls_it);
    tcase_add_test(gpus, an_unknown_card_is_answered_with_the_nearest);
    tcase_add_test(gpus, h100_is_what_its_datasheet_and_its_driver_say);
    tcase_add_test(gpus, peak_rates_equal_sms_times_clock_times_the_cores_width);
    tcase_add_test(gpus, every_card_is_plausible_and_names_its_source);
    tcase_add_test(gpus, a_broken_catalogue_is_refused_with_line_and_column);
    tcase_add_test(gpus, number_types_go_by_the_names_that_frameworks_use);
    suite_add_tcase(s, gpus);
    TCase *archs = tcase_create("architectures");
    tcase_add_test(archs, parameters_equal_the_counts_that_the_model_cards_state);
    tcase_add_test(archs, every_catalogue_name_and_source_id_loads_the_same_model);
    tcase_add_test(archs, ids_aliases_folders_and_files_lead_to_a_model_and_nonsense_to_the_nearest);
    tcase_add_test(archs, a_small_model_has_the_parameters_counted_by_hand);
    tcase_add_test(archs, a_sliding_window_is_noted_only_where_it_is_used);
    tcase_add_test(archs, what_cannot_be_priced_is_refused_by_the_key_that_says_so);
    tcase_add_test(archs, hostile_sizes_are_refused_and_never_overflow);
    tcase_add_test(archs, heads_and_layers_limit_how_a_model_may_be_split);
    tcase_add_test(archs, the_data_folder_is_the_one_that_holds_the_catalogue);
    suite_add_tcase(s, archs);
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, weights_activations_and_kv_memory_meet_published_engine_logs);
    tcase_add_test(memory, the_pool_of_llama_8b_has_the_published_number_of_blocks);
    tcase_add_test(memory, blocks_follow_the_formula_by_hand);
    tcase_add_test(memory, tensor_parallel_above_the_kv_heads_replicates_them);
    tcase_add_test(memory, fp8_and_int4_shrink_decoder_linears_only);
    tcase_add_test(memory, stages_split_layers_as_vllm_does_and_together_hold_the_whole_model);
    tcase_add_test(memory, tied_embeddings_are_held_once_unless_stages_part_them);
    tcase_add_test(memory, the_scarcest_stage_decides_the_number_of_blocks);
    tcase_add_test(memory, a_model_that_does_not_fit_says_what_it_needs_and_which_tensor_parallel_would_do);
    tcase_add_test(memory, an_override_replaces_the_estimate_unless_it_cannot_be_held);
    suite_add_tcase(s, memory);
    return s;
}
