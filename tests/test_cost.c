/* The tabulated step cost of Llama-3.1-8B on an H100 by the datasheet profile: what must hold whatever the
 * profile says (two ways to the same price, monotone, sums, splits), and the two floors that no GPU can
 * break: weights read once per step, and two operations per weight and token. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/cost.h"
#include "models/datadir.h"
#include "models/kvmem.h"
#include "sim/random.h"
#include "tests/harness.h"

enum { MAX_SEQS = 1024, MAX_TOKENS = 8192, KV_TOKENS = 400000 };

static char *data_dir;
static struct mdl_gpu_catalogue *catalogue;
static struct mdl_gpu gpu;
static struct mdl_arch arch;
static struct mdl_engine engine; /* asynchronous */

static void open_data(void)
{
    struct sim_status st = {0};
    char path[4096];
    data_dir = mdl_data_dir(&st);
    ck_assert_msg(data_dir != NULL, "%s", st.message);
    snprintf(path, sizeof path, "%s/models/gpus.csv", data_dir);
    catalogue = mdl_gpu_catalogue_load(path, &st);
    ck_assert_msg(catalogue != NULL, "%s", st.message);
    const struct mdl_gpu *found = mdl_gpu_find(catalogue, "h100-sxm", &st);
    ck_assert_msg(found != NULL, "%s", st.message);
    gpu = *found;
    ck_assert_msg(mdl_arch_load(data_dir, "llama-3.1-8b", &arch, &st), "%s", st.message);
    ck_assert_msg(mdl_engine_load(data_dir, "vllm-0.24", &engine, &st), "%s", st.message);
    ck_assert(engine.async_scheduling);
}

static void close_data(void)
{
    mdl_gpu_catalogue_free(catalogue);
    free(data_dir);
}

/* --- making costs --- */

static struct mdl_cost_spec base_spec(void)
{
    return (struct mdl_cost_spec){.arch = &arch,
                                  .gpu = &gpu,
                                  .engine = &engine,
                                  .tensor_parallel = 1,
                                  .pipeline_parallel = 1,
                                  .max_num_seqs = MAX_SEQS,
                                  .max_num_batched_tokens = MAX_TOKENS,
                                  .kv_capacity_tokens = KV_TOKENS};
}

/* A cost on the datasheet profile of spec's GPU; the profile is needed only while it is made. */
static struct mdl_cost *cost_of(struct mdl_cost_spec spec)
{
    struct sim_status st = {0};
    struct mdl_profile *profile = mdl_profile_analytic(spec.gpu);
    spec.profile = profile;
    struct mdl_cost *c = mdl_cost_new(&spec, &st);
    ck_assert_msg(c != NULL, "%s", st.message);
    mdl_profile_free(profile);
    return c;
}

static struct sim_price price_on(const struct mdl_cost *c, const struct sim_batch *b, uint32_t stage)
{
    const struct sim_cost *base = mdl_cost_base(c);
    struct sim_price p;
    base->price(base, b, stage, &p);
    return p;
}

/* n decodes that read kv tokens, all that they have. */
static struct sim_reads reads_of(uint32_t n, uint64_t kv)
{
    return (struct sim_reads){.kept = kv, .all = kv, .n_seqs = n};
}

/* n decodes that read kv tokens, beside one prompt chunk unless that is empty. */
static struct sim_price price_of(const struct mdl_cost *c, uint32_t n_decodes, uint64_t kv,
                                 struct sim_chunk chunk)
{
    struct sim_batch b = {.decode = reads_of(n_decodes, kv),
                          .n_chunks = chunk.new_tokens > 0,
                          .chunks = &chunk,
                          .new_tokens = n_decodes + chunk.new_tokens,
                          .n_outputs = n_decodes + (chunk.new_tokens > 0)};
    return price_on(c, &b, 0);
}

static struct sim_price price_decodes(const struct mdl_cost *c, uint32_t n, uint64_t kv)
{
    return price_of(c, n, kv, (struct sim_chunk){0});
}

static struct sim_price price_prompt(const struct mdl_cost *c, uint32_t new_tokens, uint32_t past_tokens)
{
    return price_of(c, 0, 0, (struct sim_chunk){.new_tokens = new_tokens, .past_tokens = past_tokens});
}

static double evidence_s(const double by_evidence_s[SIM_N_EVIDENCE])
{
    double sum = 0;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) sum += by_evidence_s[e];
    return sum;
}

/* --- two ways to one price --- */

static void check_line(const struct mdl_cost *c, uint32_t n, uint64_t kv)
{
    const struct sim_cost *base = mdl_cost_base(c);
    struct sim_decode_line line;
    struct sim_price p = price_decodes(c, n, kv);
    struct sim_reads reads = reads_of(n, kv);
    base->decode_line(base, &reads, &line);
    double gpu_s = line.gpu_base_s + line.gpu_slope_s * (double)kv,
           step_s = fmax(gpu_s + line.add_s, line.floor_s);
    ck_assert(line.kv_begin <= (double)kv && (double)kv < line.kv_end);
    ck_assert(line.kept_frac == 1 && line.all_frac == 0 && line.select_slope_s == 0);
    ck_assert(sim_recall_sum_s(line.sum, gpu_s) == gpu_s && line.sum_token.wait_s == 0);
    ck_assert_msg(fabs(gpu_s - p.gpu_s) <= 1e-12 * p.gpu_s && fabs(step_s - p.step_s) <= 1e-12 * p.step_s,
                  "%u decodes of %llu tokens: line %.9g %.9g s, price %.9g %.9g s", n, (unsigned long long)kv,
                  gpu_s, step_s, p.gpu_s, p.step_s);
    double line_evidence_s =
        evidence_s(line.base_by_evidence_s) + line.attention_base_s + line.gpu_slope_s * (double)kv;
    ck_assert_double_eq_tol(line_evidence_s, evidence_s(p.by_evidence_s), 1e-12 * p.gpu_s);
}

START_TEST(the_line_of_a_decode_step_gives_the_price_of_its_batch)
{
    for (int async = 0; async < 2; async++) {
        engine.async_scheduling = async;
        struct mdl_cost *c = cost_of(base_spec());
        for (uint64_t i = 0; i < 1500; i++) {
            double u = sim_random_unit(1, sim_stream("seqs"), i), v = sim_random_unit(1, sim_stream("kv"), i);
            uint32_t n = (uint32_t)exp(u * log(MAX_SEQS + 1)); /* 1 .. 1024, half of them below 32 */
            check_line(c, n, n + (uint64_t)(v * v * (KV_TOKENS - n)));
        }
        check_line(c, 1, 1);
        check_line(c, MAX_SEQS, MAX_SEQS);
        check_line(c, MAX_SEQS, KV_TOKENS);
        check_line(c, 1, 2 * KV_TOKENS); /* outside the table: along its last line */
        mdl_cost_free(c);
    }
}
END_TEST

START_TEST(a_step_is_the_larger_of_gpu_and_cpu_time_or_their_sum)
{
    double a = engine.cpu_step_s, b = engine.cpu_seq_s, eager = engine.cpu_layer_eager_s * arch.n_layers;
    for (int async = 0; async < 2; async++) {
        engine.async_scheduling = async;
        struct mdl_cost *c = cost_of(base_spec());
        struct sim_price p = price_decodes(c, 8, 8000),
                         q = price_of(c, 8, 8000, (struct sim_chunk){.new_tokens = 100});
        double cpu_p = a + 8 * b, cpu_q = a + 9 * b + eager;
        ck_assert_double_eq_tol(p.step_s, async ? fmax(p.gpu_s, cpu_p) : p.gpu_s + cpu_p, 1e-15);
        ck_assert_double_eq_tol(q.step_s, async ? fmax(q.gpu_s, cpu_q) : q.gpu_s + cpu_q, 1e-15);
        mdl_cost_free(c);
    }
}
END_TEST

/* Of GPU time only the gaps between kernels, which the engine file states, belong to no operator. */
START_TEST(evidence_sums_to_gpu_time_and_is_analytic_by_the_datasheet)
{
    static const struct sim_chunk chunks[] = {
        {0}, {.new_tokens = 1}, {.new_tokens = 300, .past_tokens = 5000}, {.new_tokens = 4096}};
    struct mdl_cost *c = cost_of(base_spec());
    for (uint32_t n = 0; n <= MAX_SEQS; n = 2 * n + 1) {
        for (int k = n == 0; k < 4; k++) {
            struct sim_price p = price_of(c, n, (uint64_t)n * 300, chunks[k]);
            double operators_s = p.gpu_s - engine.gpu_layer_s * arch.n_layers;
            ck_assert_double_eq_tol(evidence_s(p.by_evidence_s), operators_s, 1e-12);
            ck_assert_double_eq(p.by_evidence_s[SIM_ANALYTIC], evidence_s(p.by_evidence_s));
        }
    }
    mdl_cost_free(c);
}
END_TEST

/* --- monotone --- */

static void rises(double *before_s, double now_s, const char *what, uint64_t at)
{
    ck_assert_msg(now_s >= *before_s * (1 - 1e-12), "with %llu %s a step falls from %.9g to %.9g s",
                  (unsigned long long)at, what, *before_s, now_s);
    *before_s = now_s;
}

START_TEST(a_step_never_falls_with_tokens_sequences_or_context)
{
    struct mdl_cost *c = cost_of(base_spec());
    double prompt_s = 0, mixed_s = 0, seqs_s = 0, kv_s = 0, past_s = 0;
    for (uint32_t m = 1; m <= MAX_TOKENS; m += 1 + m / 64) {
        rises(&prompt_s, price_prompt(c, m, 0).step_s, "prompt tokens", m);
        if (m < MAX_TOKENS - 32)
            rises(&mixed_s, price_of(c, 32, 32000, (struct sim_chunk){.new_tokens = m}).step_s,
                  "tokens beside decodes", m);
    }
    for (uint32_t n = 1; n <= MAX_SEQS; n++)
        rises(&seqs_s, price_decodes(c, n, (uint64_t)n * 300).step_s, "sequences of 300 tokens", n);
    for (uint64_t kv = 64; kv <= KV_TOKENS; kv += 1 + kv / 50)
        rises(&kv_s, price_decodes(c, 64, kv).step_s, "tokens read", kv);
    for (uint32_t past = 0; past < 100000; past += 501)
        rises(&past_s, price_prompt(c, 512, past).step_s, "tokens of past", past);
    mdl_cost_free(c);
}
END_TEST

typedef void change(struct mdl_gpu *g);

static void double_bandwidth(struct mdl_gpu *g)
{
    g->bandwidth_byte_per_s *= 2;
}

static void double_peaks(struct mdl_gpu *g)
{
    for (int t = 0; t < MDL_N_DTYPE; t++) g->rate_flops[t] *= 2;
}

/* Each change makes no batch slower, and its own kind of batch much faster. Where bytes and operations take
 * equally long the typical efficiency was fitted, not derived: there a higher peak may move a step by up to
 * KNEE. */
static const double KNEE = 1.01;

START_TEST(a_faster_gpu_is_not_slower)
{
    static const struct {
        change *apply;
        double most_decode, most_prompt; /* of the time before */
    } cases[] = {{double_bandwidth, 0.8, 1}, {double_peaks, 1, 0.8}};
    struct mdl_cost *before = cost_of(base_spec());
    for (int k = 0; k < 2; k++) {
        struct mdl_gpu faster = gpu;
        cases[k].apply(&faster);
        struct mdl_cost_spec spec = base_spec();
        spec.gpu = &faster;
        struct mdl_cost *after = cost_of(spec);
        for (uint32_t n = 1; n <= MAX_SEQS; n *= 2) {
            ck_assert_double_le(price_decodes(after, n, n * 300).gpu_s,
                                KNEE * price_decodes(before, n, n * 300).gpu_s);
            ck_assert_double_le(price_prompt(after, 8 * n, 100).gpu_s,
                                KNEE * price_prompt(before, 8 * n, 100).gpu_s);
        }
        ck_assert_double_le(price_decodes(after, 32, 64000).gpu_s,
                            cases[k].most_decode * price_decodes(before, 32, 64000).gpu_s);
        ck_assert_double_le(price_prompt(after, MAX_TOKENS, 0).gpu_s,
                            cases[k].most_prompt * price_prompt(before, MAX_TOKENS, 0).gpu_s);
        mdl_cost_free(after);
    }
    mdl_cost_free(before);
}
END_TEST

/* --- floors: at least the roofline, at most a few times it --- */

START_TEST(a_decode_step_reads_the_weights_and_a_prompt_multiplies_by_them)
{
    struct mdl_cost *c = cost_of(base_spec());
    double embedding = (double)arch.vocab * arch.hidden,
           weights = (double)mdl_arch_parameters(&arch) - embedding;
    double decode_s = price_decodes(c, 1, 100).gpu_s, decode_floor_s = 2 * weights / gpu.bandwidth_byte_per_s;
    double prompt_s = price_prompt(c, MAX_TOKENS, 0).gpu_s;
    double prompt_floor_s = 2.0 * (weights - embedding) * MAX_TOKENS / gpu.rate_flops[MDL_BF16];
    ck_assert_double_gt(decode_s, decode_floor_s); /* 4.5 ms */
    ck_assert_double_lt(decode_s, 2 * decode_floor_s);
    ck_assert_double_gt(prompt_s, prompt_floor_s); /* 116 ms */
    ck_assert_double_lt(prompt_s, 2.5 * prompt_floor_s);
    double kv_s = price_decodes(c, 64, KV_TOKENS).gpu_s - price_decodes(c, 64, 64).gpu_s;
    double kv_floor_s =
        (KV_TOKENS - 64) * mdl_arch_kv_byte_per_token(&arch, MDL_BF16) / gpu.bandwidth_byte_per_s;
    ck_assert_double_gt(kv_s, 0.9 * kv_floor_s); /* 15.6 ms; launch time hides some of the first tokens */
    ck_assert_double_lt(kv_s, 2 * kv_floor_s);
    mdl_cost_free(c);
}
END_TEST

/* The table of decode attention against the profile asked directly, off the grid. */
START_TEST(decode_attention_between_grid_points_is_what_the_profile_says)
{
    struct mdl_cost *c = cost_of(base_spec());
    struct mdl_profile *p = mdl_profile_analytic(&gpu);
    struct mdl_attn_shape shape = {arch.n_q_heads, arch.n_kv_heads, arch.head_dim, MDL_BF16};
    const struct sim_cost *base = mdl_cost_base(c);
    for (uint64_t i = 0; i < 300; i++) {
        uint32_t n = 1 + (uint32_t)(sim_random_unit(2, sim_stream("n"), i) * 300);
        uint64_t kv = n * (10 + (uint64_t)(1000 * sim_random_unit(2, sim_stream("k"), i)));
        struct sim_decode_line line;
        struct sim_reads reads = reads_of(n, kv);
        base->decode_line(base, &reads, &line);
        double table_s = (line.attention_base_s + line.gpu_slope_s * (double)kv) / arch.n_layers;
        double direct_s = mdl_attn_decode_s(p, shape, n, (double)kv).s;
        ck_assert_msg(fabs(table_s / direct_s - 1) < 0.02,
                      "%u sequences, %u tokens: table %g s, profile %g s", n, (unsigned)kv, table_s,
                      direct_s);
    }
    mdl_profile_free(p);
    mdl_cost_free(c);
}
END_TEST

/* --- splits --- */

static struct mdl_cost *split(uint32_t tp, uint32_t pp)
{
    struct mdl_cost_spec spec = base_spec();
    spec.tensor_parallel = tp;
    spec.pipeline_parallel = pp;
    return cost_of(spec);
}

START_TEST(tensor_parallelism_divides_the_work_and_not_better_than_evenly)
{
    struct mdl_cost *whole = split(1, 1);
    double decode_s = price_decodes(whole, 32, 64000).gpu_s,
           prompt_s = price_prompt(whole, MAX_TOKENS, 0).gpu_s;
    double before_s = prompt_s; /* with half the GPUs */
    for (uint32_t tp = 2; tp <= 8; tp *= 2) {
        struct mdl_cost *c = split(tp, 1);
        double d = price_decodes(c, 32, 64000).gpu_s, p = price_prompt(c, MAX_TOKENS, 0).gpu_s;
        ck_assert_double_gt(d, decode_s / tp);
        ck_assert_double_lt(d, decode_s);
        ck_assert_double_gt(p, prompt_s / tp);
        ck_assert_double_lt(p, before_s);
        before_s = p;
        mdl_cost_free(c);
    }
    mdl_cost_free(whole);
}
END_TEST

START_TEST(pipeline_stages_sum_to_the_whole)
{
    static const struct sim_chunk chunk = {.new_tokens = 700, .past_tokens = 100};
    const struct sim_batch b = {reads_of(40, 20000), 1, &chunk, 740, 41};
    struct mdl_cost *whole = split(1, 1);
    double whole_s = price_on(whole, &b, 0).gpu_s;
    for (uint32_t pp = 2; pp <= SIM_MAX_STAGES; pp++) {
        struct mdl_cost *c = split(1, pp);
        double sum_s = 0;
        ck_assert_uint_eq(mdl_cost_base(c)->n_stages, pp);
        for (uint32_t stage = 0; stage < pp; stage++) sum_s += price_on(c, &b, stage).gpu_s;
        ck_assert_double_eq_tol(sum_s, whole_s, 1e-12);
        mdl_cost_free(c);
    }
    mdl_cost_free(whole);
}
END_TEST

START_TEST(the_hand_over_between_stages_is_the_activations_over_the_link)
{
    struct mdl_cost *c = split(1, 2);
    const struct sim_cost *base = mdl_cost_base(c);
    double expected_s = 1000.0 * arch.hidden * 2 / gpu.nvlink_byte_per_s;
    ck_assert_double_eq_tol(base->transfer_s(base, 1000), expected_s, 1e-15);
    ck_assert_double_eq(base->transfer_s(base, 0), 0);
    double kv_s = mdl_arch_kv_byte_per_token(&arch, MDL_BF16) / gpu.pcie_byte_per_s;
    ck_assert_double_eq_tol(base->swap_token_s, kv_s, 1e-15);
    mdl_cost_free(c);
}
END_TEST

/* --- error bands, refusals --- */

START_TEST(a_residual_factor_scales_all_gpu_time_and_a_family_factor_its_own)
{
    struct mdl_cost_spec spec = base_spec();
    struct mdl_cost *one = cost_of(spec);
    spec.residual_factor = 1.5;
    struct mdl_cost *more = cost_of(spec);
    spec.residual_factor = 0;
    spec.family_factor[MDL_ATTN_PREFILL] = 3;
    struct mdl_cost *prefill = cost_of(spec);
    double prompt_s = price_prompt(one, 2000, 500).gpu_s, decode_s = price_decodes(one, 77, 7700).gpu_s;
    ck_assert_double_eq_tol(price_prompt(more, 2000, 500).gpu_s, 1.5 * prompt_s, 1e-12);
    ck_assert_double_eq_tol(price_decodes(more, 77, 7700).gpu_s, 1.5 * decode_s, 1e-12);
    ck_assert_double_gt(price_prompt(prefill, 2000, 500).gpu_s, prompt_s * 1.001);
    ck_assert_double_eq(price_decodes(prefill, 77, 7700).gpu_s, decode_s);
    mdl_cost_free(one);
    mdl_cost_free(more);
    mdl_cost_free(prefill);
}
END_TEST

START_TEST(a_split_that_cannot_be_is_refused_in_one_line)
{
    static const uint32_t cases[][2] = {{1, 0}, {1, SIM_MAX_STAGES + 1}, {3, 1}, {64, 1}};
    struct mdl_profile *p = mdl_profile_analytic(&gpu);
    for (int i = 0; i < 4; i++) {
        struct sim_status st = {0};
        struct mdl_cost_spec spec = base_spec();
        spec.profile = p;
        spec.tensor_parallel = cases[i][0];
        spec.pipeline_parallel = cases[i][1];
        ck_assert_ptr_null(mdl_cost_new(&spec, &st));
        ck_assert_int_ne(st.code, SIM_EXIT_OK);
        ck_assert_ptr_null(strchr(st.message, '\n'));
    }
    mdl_profile_free(p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("cost");
    TCase *c = tcase_create("cost");
    tcase_add_checked_fixture(c, open_data, close_data);
    tcase_add_test(c, the_line_of_a_decode_step_gives_the_price_of_its_batch);
    tcase_add_test(c, a_step_is_the_larger_of_gpu_and_cpu_time_or_their_sum);
    tcase_add_test(c, evidence_sums_to_gpu_time_and_is_analytic_by_the_datasheet);
    tcase_add_test(c, a_step_never_falls_with_tokens_sequences_or_context);
    tcase_add_test(c, a_faster_gpu_is_not_slower);
    tcase_add_test(c, a_decode_step_reads_the_weights_and_a_prompt_multiplies_by_them);
    tcase_add_test(c, decode_attention_between_grid_points_is_what_the_profile_says);
    tcase_add_test(c, tensor_parallelism_divides_the_work_and_not_better_than_evenly);
    tcase_add_test(c, pipeline_stages_sum_to_the_whole);
    tcase_add_test(c, the_hand_over_between_stages_is_the_activations_over_the_link);
    tcase_add_test(c, a_residual_factor_scales_all_gpu_time_and_a_family_factor_its_own);
    tcase_add_test(c, a_split_that_cannot_be_is_refused_in_one_line);
    suite_add_tcase(s, c);
    return s;
}
