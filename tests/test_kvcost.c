/* What a KV strategy adds to a step: hand-made strategies against closed forms, and every strategy that ships against
 * what must hold whatever its figures are. Llama-3.1-8B on an H100. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/cost.h"
#include "models/datadir.h"
#include "sim/random.h"
#include "tests/harness.h"

enum { MAX_SEQS = 256, MAX_TOKENS = 8192, KV_TOKENS = 400000 };

static char *data_dir;
static struct mdl_gpu_catalogue *catalogue;
static struct mdl_gpu gpu;
static struct mdl_arch arch;
static struct mdl_engine engine;
static struct mdl_host host;
static struct mdl_profile *datasheet, *measured;

static void open_data(void)
{
    struct sim_status st = {0};
    char path[4096];
    data_dir = mdl_data_dir(&st);
    ck_assert_msg(data_dir != NULL, "%s", st.message);
    snprintf(path, sizeof path, "%s/models/gpus.csv", data_dir);
    catalogue = mdl_gpu_catalogue_load(path, &st);
    ck_assert_msg(catalogue && mdl_arch_load(data_dir, "llama-3.1-8b", &arch, &st) &&
                      mdl_engine_load(data_dir, "vllm-0.24", &engine, &st),
                  "%s", st.message);
    gpu = *mdl_gpu_find(catalogue, "h100-sxm", &st);
    host = mdl_host_of(&gpu);
    datasheet = mdl_profile_analytic(&gpu);
    snprintf(path, sizeof path, "%s/calib/profiles/h100-sxm-vllm", data_dir);
    measured = mdl_profile_load(path, &gpu, &st);
    ck_assert_msg(measured != NULL, "%s", st.message);
}

static void close_data(void)
{
    mdl_profile_free(datasheet);
    mdl_profile_free(measured);
    mdl_gpu_catalogue_free(catalogue);
    free(data_dir);
}

/* ---- a strategy made by hand: full, but for what a test describes ---- */

static struct mdl_kv_decode decoded;
static struct mdl_kv_prefill filled;
static struct mdl_kv_memory kept;

static void memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    *out = kept;
    out->n_parts = 1;
    out->part[0] = (struct mdl_kv_part){.what = "pages",
                                        .page_bytes = u->block_size * mdl_kv_token_bytes(u),
                                        .cap = SIM_KV_ALL,
                                        .page_tokens = u->block_size,
                                        .kept = true};
}

static void prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    (void)u;
    *out = filled;
}

static void decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    (void)u;
    *out = decoded;
}

static const struct mdl_strategy toy = {
    .name = "toy", .graph = MDL_GRAPH_YES, .memory = memory, .prefill = prefill, .decode = decode};

/* What belongs to one cost: kept together, because the specification points to its parts. */
struct made {
    struct mdl_kv_use use;
    struct mdl_kv_plan plan;
    struct mdl_cost_spec spec;
};

static void start_toy(void)
{
    decoded = (struct mdl_kv_decode){.kernel = "bf16", .bytes_frac = 1};
    filled = (struct mdl_kv_prefill){0};
    kept = (struct mdl_kv_memory){.budget = SIM_KV_ALL, .read_cap = SIM_KV_ALL, .select_after = SIM_KV_ALL};
}

static void specify(struct made *m, const struct mdl_profile *profile)
{
    m->spec = (struct mdl_cost_spec){.arch = &arch,
                                     .gpu = &gpu,
                                     .profile = profile,
                                     .engine = &engine,
                                     .tensor_parallel = 1,
                                     .pipeline_parallel = 1,
                                     .max_num_seqs = MAX_SEQS,
                                     .max_num_batched_tokens = MAX_TOKENS,
                                     .kv_capacity_tokens = KV_TOKENS,
                                     .use = &m->use,
                                     .plan = &m->plan,
                                     .host = &host};
}

static void plan(struct made *m)
{
    struct sim_status st = {0};
    ck_assert_msg(mdl_kv_plan_init(&m->plan, &m->use, 131072, &st), "%s", st.message);
}

static void make(struct made *m, const struct mdl_profile *profile)
{
    m->use = (struct mdl_kv_use){.strategy = &toy,
                                 .n_layers = arch.n_layers,
                                 .q_heads = arch.n_q_heads,
                                 .kv_heads = arch.n_kv_heads,
                                 .head_dim = arch.head_dim,
                                 .hidden = arch.hidden,
                                 .block_size = 16};
    for (int k = 0; k < MDL_N_KV_KEY; k++) m->use.value[k] = NAN;
    m->use.value[MDL_KV_PREFILL_EFFICIENCY] = 0.5;
    plan(m);
    specify(m, profile);
}

static struct mdl_cost *cost_of(const struct mdl_cost_spec *spec)
{
    struct sim_status st = {0};
    struct mdl_cost *c = mdl_cost_new(spec, &st);
    ck_assert_msg(c != NULL, "%s", st.message);
    return c;
}

/* The toy as described, on the datasheet profile. */
static struct mdl_cost *toy_cost(void)
{
    struct made m;
    make(&m, datasheet);
    return cost_of(&m.spec);
}

static struct sim_price price_on(const struct mdl_cost *c, const struct sim_batch *b, uint32_t stage)
{
    struct sim_price p;
    mdl_cost_base(c)->price(mdl_cost_base(c), b, stage, &p);
    return p;
}

static struct sim_price price_reads(const struct mdl_cost *c, struct sim_reads r)
{
    struct sim_batch b = {.decode = r, .new_tokens = r.n_seqs, .n_outputs = r.n_seqs};
    return price_on(c, &b, 0);
}

static struct sim_price price_prompt(const struct mdl_cost *c, struct sim_chunk chunk)
{
    struct sim_batch b = {.n_chunks = 1, .chunks = &chunk, .new_tokens = chunk.new_tokens, .n_outputs = 1};
    return price_on(c, &b, 0);
}

static struct sim_decode_line line_of(const struct mdl_cost *c, struct sim_reads r)
{
    struct sim_decode_line line;
    mdl_cost_base(c)->decode_line(mdl_cost_base(c), &r, &line);
    return line;
}

/* n sequences of so many tokens each; all of them select, or none does. */
static struct sim_reads reads_of(uint32_t n, uint32_t tokens, bool select)
{
    uint64_t all = (uint64_t)n * tokens;
    return (struct sim_reads){all, all, select ? all : 0, n, select ? n : 0};
}

static double attention_s(const struct mdl_cost *c, uint32_t n, uint32_t tokens)
{
    struct sim_decode_line line = line_of(c, reads_of(n, tokens, false));
    return line.attention_base_s + line.gpu_slope_s * n * tokens;
}

static double sum(const double s[SIM_N_EVIDENCE])
{
    double all = 0;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) all += s[e];
    return all;
}

/* ---- nothing described: full ---- */

START_TEST(full_as_a_strategy_costs_to_the_last_bit_what_full_costs)
{
    start_toy();
    for (int k = 0; k < 4; k++) {
        struct made m;
        engine.async_scheduling = k & 1;
        make(&m, k & 2 ? measured : datasheet);
        struct mdl_cost *with = cost_of(&m.spec);
        m.spec.use = NULL;
        struct mdl_cost *without = cost_of(&m.spec);
        for (uint64_t i = 0; i < 300; i++) {
            uint32_t n = 1 + (uint32_t)(sim_random_unit(1, sim_stream("n"), i) * (MAX_SEQS - 1));
            struct sim_reads r =
                reads_of(n, 1 + (uint32_t)(1500 * sim_random_unit(1, sim_stream("kv"), i)), false);
            struct sim_chunk chunk = {.new_tokens = 1 + (uint32_t)i, .past_tokens = 7, .last = i & 1};
            struct sim_batch b = {r, i % 3 == 0, &chunk, n + chunk.new_tokens, n + 1};
            struct sim_price x = price_on(with, &b, 0), y = price_on(without, &b, 0);
            struct sim_decode_line p = line_of(with, r), q = line_of(without, r);
            ck_assert(x.step_s == y.step_s && x.gpu_s == y.gpu_s);
            ck_assert(memcmp(x.by_evidence_s, y.by_evidence_s, sizeof x.by_evidence_s) == 0);
            ck_assert(p.gpu_base_s == q.gpu_base_s && p.gpu_slope_s == q.gpu_slope_s &&
                      p.attention == q.attention);
            ck_assert(p.add_s == q.add_s && p.floor_s == q.floor_s && p.kv_begin == q.kv_begin &&
                      p.kv_end == q.kv_end);
            ck_assert(p.sum.wait_s == 0 && p.sum.move_s == 0 && x.prefill_down_s == 0);
        }
        mdl_cost_free(with);
        mdl_cost_free(without);
    }
}
END_TEST

/* ---- two ways to one price ---- */

static void check_line(const struct mdl_cost *c, struct sim_reads r, const char *name)
{
    static const struct sim_recall_draw mean = {1, 1};
    struct sim_price p = price_reads(c, r);
    struct sim_decode_line line = line_of(c, r);
    double kv = line.kept_frac * (double)r.kept + line.all_frac * (double)r.all,
           selecting = (double)r.selecting;
    double gpu_s = line.gpu_base_s + line.gpu_slope_s * kv + line.select_slope_s * selecting;
    ck_assert(line.kv_begin <= kv && kv < line.kv_end);
    ck_assert_msg(fabs(gpu_s / p.gpu_s - 1) < 1e-12, "%s: line %.17g s, price %.17g s", name, gpu_s, p.gpu_s);
    ck_assert_double_eq_tol(fmax(gpu_s + line.add_s, line.floor_s) / p.step_s, 1, 1e-12);
    ck_assert_double_eq_tol(sum(p.by_evidence_s),
                            sum(line.base_by_evidence_s) + gpu_s - line.gpu_base_s + line.attention_base_s,
                            1e-12);
    struct sim_recall_sum s = line.sum, t = line.sum_token;
    struct sim_recall_sum both = {s.wait_s + selecting * t.wait_s, s.move_s + selecting * t.move_s,
                                  fmax(s.move_frac, t.move_frac)};
    double moved_s = sim_recall_sum_s(both, gpu_s),
           exact_s = sim_recall_sum_s(sim_recall_sum(&p.recall, mean), gpu_s);
    ck_assert_msg(fabs(moved_s / exact_s - 1) < 0.005, "%s: line %.9g s with transfers, price %.9g s", name,
                  moved_s, exact_s);
    ck_assert(moved_s >= gpu_s * (1 - 1e-12));
}

START_TEST(the_line_of_every_strategy_gives_the_price_of_its_batch)
{
    for (size_t i = 0; i < mdl_strategy_count(); i++) {
        const struct mdl_strategy *s = mdl_strategy_at(i);
        for (int k = 0; k < 4; k++) {
            double given[MDL_N_KV_KEY];
            struct made m;
            struct sim_status st = {0};
            engine.async_scheduling = k & 1;
            for (int v = 0; v < MDL_N_KV_KEY; v++) given[v] = NAN;
            ck_assert_msg(mdl_kv_use_init(&m.use, s, given, &arch, 1, arch.n_layers, 16, &st), "%s",
                          st.message);
            plan(&m);
            specify(&m, k & 2 ? measured : datasheet);
            struct mdl_cost *c = cost_of(&m.spec);
            for (uint32_t n = 1; n <= MAX_SEQS; n *= 4)
                for (uint32_t tokens = 100; tokens < 30000; tokens *= 5) {
                    struct sim_kv_length at = {tokens, tokens};
                    bool selects = tokens > m.plan.rule.select_after;
                    struct sim_reads r = reads_of(n, tokens, selects);
                    r.kept = (uint64_t)n * sim_kv_read(&m.plan.rule, at);
                    check_line(c, r, s->name);
                }
            mdl_cost_free(c);
        }
    }
}
END_TEST

/* ---- decode attention ---- */

START_TEST(an_analytic_kernel_scales_what_exceeds_a_launch)
{
    start_toy();
    struct mdl_cost *full = toy_cost();
    decoded.kernel = "int4";
    decoded.bytes_frac = 0.25;
    struct made m;
    make(&m, datasheet);
    m.use.value[MDL_KV_KERNEL_EFFICIENCY] = 0.5;
    struct mdl_cost *half = cost_of(&m.spec);
    double launch_s =
        arch.n_layers * mdl_attn_decode_s(datasheet, (struct mdl_attn_shape){32, 8, 128, MDL_BF16}, 1, 1).s;
    for (uint32_t n = 1; n <= MAX_SEQS; n *= 2)
        for (uint32_t tokens = 1; tokens < 1500; tokens *= 3) {
            double f = attention_s(full, n, tokens), h = attention_s(half, n, tokens);
            ck_assert_double_ge(h, launch_s * (1 - 1e-9));
            ck_assert_double_eq_tol((h - launch_s), 0.5 * (f - launch_s), 1e-9 * f);
        }
    ck_assert_int_eq(line_of(half, reads_of(8, 1000, false)).attention, SIM_ANALYTIC);
    mdl_cost_free(full);
    mdl_cost_free(half);
}
END_TEST

START_TEST(an_engine_measured_with_fp8_kv_answers_for_fp8_itself)
{
    start_toy();
    decoded.kernel = "fp8";
    decoded.bytes_frac = 0.5;
    struct made m;
    make(&m, measured);
    m.use.value[MDL_KV_KERNEL_EFFICIENCY] = 0.01; /* would be plain to see */
    struct mdl_cost *own = cost_of(&m.spec);
    m.spec.use = NULL;
    m.spec.kv = MDL_FP8;
    struct mdl_cost *table = cost_of(&m.spec);
    for (uint32_t n = 1; n <= MAX_SEQS; n *= 2)
        ck_assert_double_eq(attention_s(own, n, 1000), attention_s(table, n, 1000));
    ck_assert_int_lt(line_of(own, reads_of(8, 1024, false)).attention, SIM_ANALYTIC);
    mdl_cost_free(own);
    mdl_cost_free(table);
}
END_TEST

START_TEST(fewer_bytes_and_smaller_budgets_never_cost_more)
{
    double before_s = INFINITY;
    start_toy();
    decoded.kernel = "some";
    for (decoded.bytes_frac = 1; decoded.bytes_frac > 0.1; decoded.bytes_frac *= 0.8) {
        struct mdl_cost *c = toy_cost();
        double s = attention_s(c, 64, 4000);
        ck_assert_double_lt(s, before_s);
        before_s = s;
        mdl_cost_free(c);
    }
    struct mdl_cost *c = toy_cost();
    before_s = 0;
    for (uint32_t budget = 16; budget <= 4000; budget += 16) {
        struct sim_reads r = reads_of(64, 4000, false);
        r.kept = 64 * (uint64_t)budget;
        double s = price_reads(c, r).gpu_s;
        ck_assert_double_ge(s, before_s);
        before_s = s;
    }
    mdl_cost_free(c);
}
END_TEST

START_TEST(a_dense_share_reads_the_whole_context)
{
    start_toy();
    struct mdl_cost *full = toy_cost();
    kept.dense_frac = 0.25;
    struct mdl_cost *quarter = toy_cost();
    struct sim_reads r = reads_of(64, 4000, false), mixed = r;
    r.kept = 64 * 1000;
    mixed.kept = mixed.all = 64 * 1750; /* 0.75 x 1000 + 0.25 x 4000 */
    ck_assert_double_eq_tol(price_reads(quarter, r).gpu_s, price_reads(full, mixed).gpu_s, 1e-15);
    mdl_cost_free(full);
    mdl_cost_free(quarter);
}
END_TEST

/* ---- extra kernels ---- */

START_TEST(extra_work_is_matrix_time_plus_bytes_plus_launches)
{
    start_toy();
    struct mdl_cost *plain = toy_cost();
    decoded.seq = (struct mdl_work){3e9, 2e6, 64};
    decoded.all_token = (struct mdl_work){1e6, 4e3, 0};
    decoded.select_seq = (struct mdl_work){0, 1e6, 32};
    decoded.select_token = (struct mdl_work){2e6, 5e3, 0};
    decoded.select_fixed_s = 1e-4;
    decoded.decode_efficiency = 0.25; /* a prompt's is 0.5 */
    struct mdl_cost *c = toy_cost();
    double rate = 0.25 * gpu.rate_flops[MDL_BF16], bandwidth = 0.8 * gpu.bandwidth_byte_per_s,
           tokens = 8 * 500;
    double rows_s = 64 * 2e-6 + 8 * (3e9 / rate + 2e6 / bandwidth) + tokens * (1e6 / rate + 4e3 / bandwidth);
    double select_s = 32 * 2e-6 + 1e-4 + 8 * 1e6 / bandwidth + tokens * (2e6 / rate + 5e3 / bandwidth);
    double base_s = price_reads(plain, reads_of(8, 500, false)).gpu_s;
    ck_assert_double_eq_tol(price_reads(c, reads_of(8, 500, false)).gpu_s - base_s, rows_s, 1e-12);
    ck_assert_double_eq_tol(price_reads(c, reads_of(8, 500, true)).gpu_s - base_s, rows_s + select_s, 1e-12);
    decoded.select_overlaps = true; /* what is left is memory traffic */
    struct mdl_cost *beside = toy_cost();
    double traffic_s = (8 * 1e6 + tokens * 5e3) / bandwidth;
    ck_assert_double_eq_tol(price_reads(beside, reads_of(8, 500, true)).gpu_s - base_s, rows_s + traffic_s,
                            1e-12);
    mdl_cost_free(plain);
    mdl_cost_free(c);
    mdl_cost_free(beside);
}
END_TEST

START_TEST(prompts_pay_for_each_token_and_once_when_they_are_complete)
{
    start_toy();
    struct mdl_cost *plain = toy_cost();
    filled.token = (struct mdl_work){0, 1e4, 32};
    filled.pair = (struct mdl_work){2e5, 0, 0};
    filled.end = (struct mdl_work){0, 1e6, 96};
    filled.end_token = (struct mdl_work){0, 2e4, 0};
    filled.end_pair = (struct mdl_work){1e5, 0, 0};
    filled.end_after = 600;
    filled.down_bytes = 131072;
    filled.down_fragment_bytes = 131072 * 32;
    struct mdl_cost *c = toy_cost();
    double rate = 0.5 * gpu.rate_flops[MDL_BF16], bandwidth = 0.8 * gpu.bandwidth_byte_per_s;
    double new_s = 32 * 2e-6 + 500 * 1e4 / bandwidth, pair_s = 2e5 / rate;
    double fill_s = new_s + 500 * 1250 * pair_s;
    double end_s = 96 * 2e-6 + 1e6 / bandwidth + 1500 * 2e4 / bandwidth + 1500.0 * 1500 * 1e5 / rate;
    struct sim_chunk chunk = {.new_tokens = 500, .past_tokens = 1000};
    double base_s = price_prompt(plain, chunk).gpu_s;
    ck_assert_double_eq_tol(price_prompt(c, chunk).gpu_s - base_s, fill_s, 1e-12);
    chunk.last = true;
    struct sim_price p = price_prompt(c, chunk);
    ck_assert_double_eq_tol(p.gpu_s - base_s, fill_s + end_s, 1e-12);
    ck_assert_double_eq(p.prefill_down_bytes, 500 * 131072.0);
    ck_assert_double_eq_tol(p.prefill_down_s, 500 * 131072.0 / host.link_byte_per_s, 1e-15);
    chunk.past_tokens = 100; /* within what stays anyway */
    double within_s = price_prompt(c, chunk).gpu_s - price_prompt(plain, chunk).gpu_s;
    ck_assert_double_eq_tol(within_s, new_s + 500 * 350 * pair_s, 1e-12);
    mdl_cost_free(plain);
    mdl_cost_free(c);
}
END_TEST

START_TEST(a_step_without_graphs_pays_for_its_launches_on_the_cpu)
{
    start_toy();
    engine.async_scheduling = false;
    decoded.seq.launches = 64;
    decoded.select_seq.launches = 32;
    double whole = engine.cpu_step_s + 8 * engine.cpu_seq_s, launch = host.launch_s;
    double eager = whole + engine.cpu_layer_eager_s * arch.n_layers;
    const double expected[] = {[MDL_GRAPH_NO] = eager + launch * 64,
                               [MDL_GRAPH_PIECEWISE] = whole + launch * (64 + 2.0 * arch.n_layers),
                               [MDL_GRAPH_YES] = whole};
    double gpu_s[3];
    for (int g = MDL_GRAPH_NO; g <= MDL_GRAPH_YES; g++) {
        struct made m;
        make(&m, measured);
        m.use.value[MDL_KV_GRAPH] = g;
        struct mdl_cost *c = cost_of(&m.spec);
        struct sim_price p = price_reads(c, reads_of(8, 500, false)),
                         q = price_reads(c, reads_of(8, 500, true));
        gpu_s[g] = p.gpu_s;
        ck_assert_double_eq_tol(p.cpu_add_s, expected[g], 1e-15);
        ck_assert_double_eq_tol(q.cpu_add_s, expected[g] + (g == MDL_GRAPH_YES ? 0 : 32 * launch), 1e-15);
        ck_assert_double_eq_tol(p.step_s, p.gpu_s + p.cpu_add_s, 1e-15);
        mdl_cost_free(c);
    }
    ck_assert_double_eq(gpu_s[MDL_GRAPH_PIECEWISE], gpu_s[MDL_GRAPH_YES]);
    ck_assert_double_le(gpu_s[MDL_GRAPH_NO], gpu_s[MDL_GRAPH_YES]); /* not padded to a captured size */
}
END_TEST

START_TEST(an_error_band_scales_the_extra_work_too)
{
    start_toy();
    decoded.seq = (struct mdl_work){3e9, 2e6, 64};
    decoded.all_token.bytes = 1e4;
    filled.token.bytes = 1e4;
    filled.end_pair.flops = 1e4;
    struct made m;
    make(&m, measured);
    struct mdl_cost *one = cost_of(&m.spec);
    m.spec.residual_factor = 1.25;
    struct mdl_cost *more = cost_of(&m.spec);
    struct sim_chunk chunk = {.new_tokens = 700, .last = true};
    double d = price_reads(one, reads_of(9, 700, false)).gpu_s, p = price_prompt(one, chunk).gpu_s;
    ck_assert_double_eq_tol(price_reads(more, reads_of(9, 700, false)).gpu_s, 1.25 * d, 1e-12);
    ck_assert_double_eq_tol(price_prompt(more, chunk).gpu_s, 1.25 * p, 1e-12);
    mdl_cost_free(one);
    mdl_cost_free(more);
}
END_TEST

/* ---- transfers ---- */

static void start_recall(double copies, double fragment_bytes)
{
    start_toy();
    decoded.when = SIM_RECALL_AT_LAYER;
    decoded.recall_layers = arch.n_layers;
    decoded.up_copies = decoded.pages = copies;
    decoded.up_fragment_bytes = fragment_bytes;
}

START_TEST(copies_take_what_the_transfer_model_says)
{
    static const double bytes[] = {256, 4096, 16384, 27 * 1024, 28 * 1024, 131072, 1 << 21};
    for (int i = 0; i < 7; i++)
        for (uint32_t n = 1; n <= 64; n *= 8) {
            start_recall(320, bytes[i]);
            struct mdl_cost *c = toy_cost();
            struct sim_recall r = price_reads(c, reads_of(n, 9000, true)).recall;
            double s = fmax(fmax(r.submit_s, r.engine_s), r.up_s);
            ck_assert_double_eq_tol(s / mdl_transfer_s(&host.copy, 320.0 * n, bytes[i], host.submitters), 1,
                                    1e-12);
            ck_assert_double_eq(r.up_bytes, 320.0 * n * bytes[i]);
            ck_assert_double_eq(r.pages, 320.0 * n);
            ck_assert(r.how == SIM_ANALYTIC && r.n_layers == arch.n_layers);
            mdl_cost_free(c);
        }
}
END_TEST

START_TEST(without_a_selecting_sequence_nothing_comes_up)
{
    start_recall(320, 16384);
    decoded.n_sync = 64;
    decoded.down_copies = 1;
    decoded.down_fragment_bytes = 131072;
    struct mdl_cost *c = toy_cost();
    struct sim_recall r = price_reads(c, reads_of(7, 9000, false)).recall;
    ck_assert(r.up_s == 0 && r.submit_s == 0 && r.sync_s == 0 && r.up_bytes == 0 && r.pages == 0);
    ck_assert_double_eq(r.down_bytes, 7 * 131072.0);
    ck_assert_double_eq_tol(r.down_s, 7 * 131072.0 / host.link_byte_per_s, 1e-18);
    mdl_cost_free(c);
}
END_TEST

START_TEST(syncs_are_waited_for_even_where_nothing_is_recalled)
{
    start_toy();
    decoded.n_sync = 64;
    decoded.n_sync_seq = 3;
    struct mdl_cost *c = toy_cost();
    struct sim_decode_line line = line_of(c, reads_of(5, 9000, true));
    ck_assert_double_eq_tol(line.sum.wait_s, (64 + 5 * 3) * host.sync_s, 1e-15);
    ck_assert_double_eq(line_of(c, reads_of(5, 9000, false)).sum.wait_s, 0);
    mdl_cost_free(c);
}
END_TEST

START_TEST(ranks_on_one_root_complex_share_its_wire)
{
    struct mdl_host alone = host;
    for (uint32_t tp = 1; tp <= 8; tp *= 2)
        for (uint32_t sharers = 1; sharers <= 4; sharers *= 2) {
            host.gpus_per_link = sharers;
            start_recall(320, 1 << 20);
            struct made m;
            make(&m, datasheet);
            m.spec.tensor_parallel = tp;
            struct mdl_cost *c = cost_of(&m.spec);
            struct sim_recall r = price_reads(c, reads_of(1, 9000, true)).recall;
            ck_assert_double_eq_tol(
                r.up_s, (tp < sharers ? tp : sharers) * 320.0 * (1 << 20) / host.link_byte_per_s, 1e-15);
            ck_assert_double_eq_tol(r.submit_s, 320 * host.copy.submit_s / 2, 1e-15);
            mdl_cost_free(c);
        }
    host = alone;
}
END_TEST

START_TEST(a_kernel_needs_no_submission_and_a_cpu_collects_before_it_copies)
{
    double rows = 50000, bytes = rows * 256;
    start_recall(rows, 256);
    decoded.pick = MDL_PICK_KERNEL;
    struct mdl_cost *c = toy_cost();
    struct sim_recall r = price_reads(c, reads_of(3, 9000, true)).recall;
    ck_assert(r.submit_s == 0 && r.engine_s == 0);
    ck_assert_double_eq_tol(r.up_s, 3 * bytes / (host.kernel_frac * host.link_byte_per_s), 1e-12);
    mdl_cost_free(c);
    decoded.pick = MDL_PICK_CPU;
    decoded.up_copies = 0;
    decoded.up_copies_token = rows / 9000;
    c = toy_cost();
    r = price_reads(c, reads_of(3, 9000, true)).recall;
    ck_assert_double_eq_tol(
        r.submit_s, 3 * (bytes / host.gather_byte_per_s + arch.n_layers * host.copy.submit_s / 2), 1e-12);
    ck_assert_double_eq_tol(r.up_bytes, 3 * bytes, 1e-6);
    mdl_cost_free(c);
}
END_TEST

/* 100 tokens of every context stay on the GPU, the rest comes up. */
START_TEST(what_grows_with_the_context_is_fetched_by_its_length)
{
    start_recall(-100 / 16.0, 65536);
    decoded.up_copies_token = 1 / 16.0;
    decoded.when = SIM_RECALL_LAYER_AHEAD;
    struct mdl_cost *c = toy_cost();
    for (uint32_t n = 1; n <= 64; n *= 4)
        for (uint32_t tokens = 200; tokens < 50000; tokens *= 3) {
            struct sim_reads r = reads_of(n, tokens, true);
            struct sim_recall moved = price_reads(c, r).recall;
            ck_assert_double_eq_tol(moved.up_bytes, n * (tokens - 100.0) / 16 * 65536, 1e-3);
            check_line(c, r, "growing recall");
        }
    mdl_cost_free(c);
}
END_TEST

START_TEST(two_buffers_leave_one_piece_of_the_conversion)
{
    start_recall(320, 16384);
    decoded.convert = (struct mdl_work){0, 2 * 320 * 16384.0, 256};
    decoded.pieces = 8;
    decoded.double_buffer = true;
    struct mdl_cost *c = toy_cost();
    for (uint32_t n = 1; n <= 4; n *= 2) {
        struct sim_recall r = price_reads(c, reads_of(n, 9000, true)).recall;
        double convert_s = n * (256 * 2e-6 + 2 * 320 * 16384.0 / (0.8 * gpu.bandwidth_byte_per_s));
        ck_assert_double_eq_tol(r.convert_s, convert_s, 1e-12);
        ck_assert_double_eq_tol(r.convert_tail_s, convert_s / (8 * n), 1e-12);
    }
    mdl_cost_free(c);
}
END_TEST

START_TEST(a_correction_selects_while_the_layer_waits)
{
    start_recall(320, 16384);
    decoded.when = SIM_RECALL_STEP_AHEAD;
    decoded.select_overlaps = true;
    decoded.select_seq = (struct mdl_work){0, 1e6, 32};
    decoded.select_token = (struct mdl_work){2e6, 5e3, 0};
    decoded.select_fixed_s = 1e-4;
    decoded.correct_frac = 0.3;
    decoded.correct_share = 0.2;
    struct mdl_cost *c = toy_cost();
    double rate = 0.5 * gpu.rate_flops[MDL_BF16], bandwidth = 0.8 * gpu.bandwidth_byte_per_s;
    struct sim_reads r = reads_of(6, 7000, true);
    struct sim_recall moved = price_reads(c, r).recall;
    double select_s = 32 * 2e-6 + 1e-4 + 6 * 1e6 / bandwidth + 6 * 7000 * (2e6 / rate + 5e3 / bandwidth);
    ck_assert_double_eq_tol(moved.correct_select_s, select_s, 1e-12);
    ck_assert_double_eq_tol(moved.heads * moved.correct_frac, arch.n_layers * 8 * 0.2 * 6 * 0.3, 1e-9);
    check_line(c, r, "correction");
    mdl_cost_free(c);
}
END_TEST

START_TEST(pipeline_stages_share_the_extra_work_by_layers)
{
    static const struct sim_chunk chunk = {.new_tokens = 300, .past_tokens = 100, .last = true};
    start_toy();
    decoded.seq.bytes = 1e7;
    decoded.all_token.bytes = 1e4;
    filled.token.bytes = 1e5;
    filled.end.bytes = 1e8;
    struct mdl_cost *whole = toy_cost();
    struct sim_batch b = {reads_of(20, 700, false), 1, &chunk, 320, 21};
    for (uint32_t pp = 2; pp <= 5; pp++) {
        struct made m;
        uint32_t most = (arch.n_layers + pp - 1) / pp;
        double sum_s = 0, share = (double)most / arch.n_layers;
        make(&m, datasheet);
        m.spec.pipeline_parallel = pp;
        m.use.n_layers = most;
        decoded.seq.bytes = share * 1e7;
        decoded.all_token.bytes = share * 1e4;
        filled.token.bytes = share * 1e5;
        filled.end.bytes = share * 1e8;
        struct mdl_cost *c = cost_of(&m.spec);
        for (uint32_t stage = 0; stage < pp; stage++) sum_s += price_on(c, &b, stage).gpu_s;
        ck_assert_double_eq_tol(sum_s, price_on(whole, &b, 0).gpu_s, 1e-12);
        mdl_cost_free(c);
    }
    mdl_cost_free(whole);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kvcost");
    TCase *c = tcase_create("kvcost");
    tcase_add_checked_fixture(c, open_data, close_data);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, full_as_a_strategy_costs_to_the_last_bit_what_full_costs);
    tcase_add_test(c, the_line_of_every_strategy_gives_the_price_of_its_batch);
    tcase_add_test(c, an_analytic_kernel_scales_what_exceeds_a_launch);
    tcase_add_test(c, an_engine_measured_with_fp8_kv_answers_for_fp8_itself);
    tcase_add_test(c, fewer_bytes_and_smaller_budgets_never_cost_more);
    tcase_add_test(c, a_dense_share_reads_the_whole_context);
    tcase_add_test(c, extra_work_is_matrix_time_plus_bytes_plus_launches);
    tcase_add_test(c, prompts_pay_for_each_token_and_once_when_they_are_complete);
    tcase_add_test(c, a_step_without_graphs_pays_for_its_launches_on_the_cpu);
    tcase_add_test(c, an_error_band_scales_the_extra_work_too);
    tcase_add_test(c, copies_take_what_the_transfer_model_says);
    tcase_add_test(c, without_a_selecting_sequence_nothing_comes_up);
    tcase_add_test(c, syncs_are_waited_for_even_where_nothing_is_recalled);
    tcase_add_test(c, ranks_on_one_root_complex_share_its_wire);
    tcase_add_test(c, a_kernel_needs_no_submission_and_a_cpu_collects_before_it_copies);
    tcase_add_test(c, what_grows_with_the_context_is_fetched_by_its_length);
    tcase_add_test(c, two_buffers_leave_one_piece_of_the_conversion);
    tcase_add_test(c, a_correction_selects_while_the_layer_waits);
    tcase_add_test(c, pipeline_stages_share_the_extra_work_by_layers);
    suite_add_tcase(s, c);
    return s;
}
