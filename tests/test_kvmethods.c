/* What kvbench measured of KV formats and copies, read back; the constants of a host; and how rates are drawn. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/cost.h"
#include "models/datadir.h"
#include "models/kvcost.h"
#include "tests/harness.h"

static struct mdl_gpu_catalogue *catalogue;
static const struct mdl_gpu *h100, *h200, *a100;

static void open_data(void)
{
    struct sim_status st = {0};
    char path[4096], *data_dir = mdl_data_dir(&st);
    ck_assert_msg(data_dir != NULL, "%s", st.message);
    snprintf(path, sizeof path, "%s/models/gpus.csv", data_dir);
    catalogue = mdl_gpu_catalogue_load(path, &st);
    ck_assert_msg(catalogue != NULL, "%s", st.message);
    h100 = mdl_gpu_find(catalogue, "h100-sxm", &st);
    h200 = mdl_gpu_find(catalogue, "h200-sxm", &st);
    a100 = mdl_gpu_find(catalogue, "a100-80-sxm", &st);
    free(data_dir);
}

static void close_data(void)
{
    mdl_gpu_catalogue_free(catalogue);
}

/* ---- tables ---- */

static const char ratios[] = "format,q_heads,kv_heads,head_dim,seqs,tokens,ratio\n"
                             "int4,32,8,128,16,4096,0.4\n" /* in no order */
                             "int4,32,8,128,1,1024,0.8\n"
                             "int4,32,8,128,1,4096,0.5\n"
                             "int4,32,8,128,16,1024,0.6\n"
                             "int4,32,8,128,16,16384,0.3\n"
                             "int8,32,8,128,1,1024,0.9\n";
static const char kernels[] = "format,group,t0_s,memory_frac,element_clocks,p,n,median_error,p90_error\n"
                              "bf16,4,5e-6,0.9,1e-9,4,10,0.01,0.02\n"
                              "int4,4,6e-6,0.9,1e-9,4,10,0.01,0.02\n"
                              "fp8,4,6e-6,0.9,1e-9,4,10,0.01,0.02\n";
static const char transfers[] =
    "method,direction,blocks,t0_s,submit_s,call_s,speedup_2,speedup_4,descriptor_small_s,descriptor_large_s,"
    "break_bytes,rate_byte_per_s,n,median_error,p90_error\n"
    "kernel,to_device,16,5e-6,1e-9,2e-6,1,1,1e-9,1e-9,1,36e9,9,0.01,0.02\n"
    "loop,to_host,0,8e-6,2e-6,1e-9,1.5,2,1e-6,1e-7,28672,44e9,9,0.01,0.02\n"
    "loop,to_device,0,8e-6,1.5e-6,1e-9,1.7,2.5,2e-6,3e-7,28672,48e9,9,0.01,0.02\n";

static const char *folder(const char *name)
{
    static char dir[4096];
    snprintf(dir, sizeof dir, "%s/%s", test_dir(), name);
    mkdir(dir, 0700);
    return dir;
}

static void put(const char *dir, const char *file, const char *text)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", strrchr(dir, '/') + 1, file);
    test_file(name, text);
}

static struct mdl_methods *load(const char *dir)
{
    struct sim_status st = {0};
    struct mdl_methods *m = mdl_methods_load(dir, &st);
    ck_assert_msg(m != NULL, "%s", st.message);
    return m;
}

static struct mdl_methods *measured(void)
{
    const char *dir = folder("measured");
    put(dir, "profile.yaml", "gpu: h100-sxm\n");
    put(dir, "ratio.csv", ratios);
    put(dir, "kernels.csv", kernels);
    put(dir, "transfer.csv", transfers);
    put(dir, "overlap.csv", "layout,overlap,n\nhnd,0.75,9\n");
    put(dir, "host.yaml", "launch_s: 3e-6\nreadback_s: 1.2e-5\n");
    return load(dir);
}

static struct mdl_ratio_query query(const char *format, double n_seqs, double tokens)
{
    return (struct mdl_ratio_query){format, 0.266, {32, 8, 128, MDL_BF16}, h100, n_seqs, n_seqs * tokens};
}

static void expect(const struct mdl_methods *m, struct mdl_ratio_query q, double ratio, enum sim_evidence how)
{
    struct mdl_time t = {0};
    ck_assert(mdl_methods_ratio(m, &q, &t));
    ck_assert_msg(fabs(t.s / ratio - 1) < 1e-12 && t.how == how, "%g sequences, %g tokens: %.9g, %s",
                  q.n_seqs, q.kv_tokens, t.s, sim_evidence_name(t.how));
}

START_TEST(a_ratio_is_measured_at_its_shape_and_log_linear_between)
{
    struct mdl_methods *m = measured();
    expect(m, query("int4", 1, 1024), 0.8, SIM_MEASURED);
    expect(m, query("int4", 16, 16384), 0.3, SIM_MEASURED);
    expect(m, query("int4", 1, 2048), sqrt(0.8 * 0.5), SIM_INTERPOLATED);
    expect(m, query("int4", 4, 1024), sqrt(0.8 * 0.6), SIM_INTERPOLATED);
    expect(m, query("int4", 4, 2048), pow(0.8 * 0.5 * 0.6 * 0.4, 0.25), SIM_INTERPOLATED);
    mdl_methods_free(m);
}
END_TEST

START_TEST(a_ratio_is_held_outside_what_was_measured)
{
    struct mdl_methods *m = measured();
    expect(m, query("int4", 1, 100), 0.8, SIM_EXTRAPOLATED);
    expect(m, query("int4", 64, 1024), 0.6, SIM_EXTRAPOLATED);
    expect(m, query("int4", 1, 16384), 0.5, SIM_EXTRAPOLATED); /* measured for another batch only */
    expect(m, query("int4", 4, 16384), sqrt(0.5 * 0.3), SIM_EXTRAPOLATED);
    expect(m, query("int8", 7, 99999), 0.9, SIM_EXTRAPOLATED);
    mdl_methods_free(m);
}
END_TEST

/* Bound by bytes on both sides: t0 plus bytes over bandwidth. */
static double bytes_bound(const struct mdl_gpu *g, double tokens, double heads)
{
    double s = tokens * 2 * heads * 128 * 2 / (0.9 * g->bandwidth_byte_per_s);
    return (6e-6 + 0.266 * s) / (5e-6 + s);
}

START_TEST(other_layouts_and_cards_go_by_the_two_ceilings)
{
    struct mdl_methods *m = measured();
    struct mdl_ratio_query q = query("int4", 64, 4096);
    struct mdl_time t;
    q.shape = (struct mdl_attn_shape){8, 2, 128, MDL_BF16};
    ck_assert(mdl_methods_ratio(m, &q, &t));
    ck_assert_double_eq_tol(t.s, bytes_bound(h100, 64 * 4096, 2), 1e-6);
    ck_assert_int_eq(t.how, SIM_EXTRAPOLATED);
    q = query("int4", 64, 4096);
    q.gpu = h200;
    ck_assert(mdl_methods_ratio(m, &q, &t));
    ck_assert_double_eq_tol(t.s, bytes_bound(h200, 64 * 4096, 8), 1e-6);
    ck_assert_int_eq(t.how, SIM_TRANSFERRED);
    mdl_methods_free(m);
}
END_TEST

START_TEST(what_nobody_measured_has_no_ratio)
{
    struct mdl_methods *m = measured();
    struct mdl_ratio_query q = query("kivi4", 4, 1024);
    struct mdl_time t;
    ck_assert(!mdl_methods_ratio(m, &q, &t));
    q = query("int4", 4, 1024);
    q.shape.q_heads = 8; /* ungrouped: no kernel was measured */
    ck_assert(!mdl_methods_ratio(m, &q, &t));
    q = query("fp8", 4, 1024);
    q.gpu = h200;
    ck_assert(mdl_methods_ratio(m, &q, &t));
    q.gpu = a100; /* converts fp8 in software */
    ck_assert(!mdl_methods_ratio(m, &q, &t));
    q.format = "a format of too long a name";
    ck_assert(!mdl_methods_ratio(m, &q, &t));
    mdl_methods_free(m);

    const char *dir = folder("empty");
    put(dir, "profile.yaml", "gpu: h100-sxm\n");
    m = load(dir);
    q = query("int4", 1, 1024);
    ck_assert(!mdl_methods_ratio(m, &q, &t));
    ck_assert(isnan(mdl_methods_overlap(m, "hnd")));
    mdl_methods_free(m);
}
END_TEST

START_TEST(a_measured_host_replaces_what_was_assumed)
{
    struct mdl_methods *m = measured();
    struct mdl_host h = mdl_host_of(h100), before = h;
    mdl_methods_measure_host(m, &h);
    ck_assert(h.link_byte_per_s == 48e9 && h.copy.rate_byte_per_s == 48e9 && h.how == SIM_MEASURED);
    ck_assert(h.launch_s == 3e-6 && h.sync_s == 1.2e-5 && h.kernel_frac == 0.75);
    ck_assert(h.duplex == before.duplex && h.memory_bytes == before.memory_bytes);
    ck_assert_double_eq_tol(mdl_transfer_s(&h.copy, 1000, 16384, 2), 8e-6 + 1000 * 2e-6, 1e-12);
    ck_assert_double_eq_tol(mdl_transfer_s(&h.copy, 1000, 1 << 20, 4), 8e-6 + 1000 * 1048576 / 48e9, 1e-12);
    ck_assert_double_eq(mdl_methods_overlap(m, "hnd"), 0.75);
    mdl_methods_free(m);
}
END_TEST

START_TEST(broken_tables_are_refused_with_file_and_line)
{
    static const struct {
        const char *file, *text, *word;
    } cases[] = {
        {"ratio.csv", "format,q_heads\nint4,3\n", "kv_heads"},
        {"ratio.csv", "format,q_heads,kv_heads,head_dim,seqs,tokens,ratio\nint4,32,8,128,1,x,1\n", "tokens"},
        {"ratio.csv", "format,q_heads,kv_heads,head_dim,seqs,tokens,ratio\nint4,32,8,128,1,9,0\n", "ratio"},
        {"ratio.csv", "format,q_heads,kv_heads,head_dim,seqs,tokens,ratio\n,32,8,128,1,9,1\n", "format"},
        {"transfer.csv", "method,direction\nloop,to_device\n", "t0_s"},
        {"host.yaml", "launch_s: soon\n", "launch_s"},
        {"profile.yaml", "device: x\n", "gpu"},
        {"profile.yaml", "- 1\n", "profile.yaml:1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        char name[16];
        snprintf(name, sizeof name, "broken%zu", i);
        const char *dir = folder(name);
        put(dir, "profile.yaml", "gpu: h100-sxm\n");
        put(dir, cases[i].file, cases[i].text);
        ck_assert_ptr_null(mdl_methods_load(dir, &st));
        ck_assert_msg(strstr(st.message, cases[i].file) && strstr(st.message, cases[i].word) &&
                          !strchr(st.message, '\n'),
                      "%s", st.message);
    }
    struct sim_status st = {0};
    ck_assert_ptr_null(mdl_methods_load(folder("nothing"), &st));
    ck_assert_int_ne(st.code, SIM_EXIT_OK);
}
END_TEST

/* ---- the host ---- */

START_TEST(defaults_lie_in_their_range_and_can_be_set)
{
    struct mdl_host h = mdl_host_of(h100);
    struct sim_status st = {0};
    for (size_t i = 0; i < mdl_host_default_count(); i++) {
        const struct mdl_host_default *d = mdl_host_default_at(i);
        ck_assert_msg(d->low <= d->value && d->value <= d->high && d->source[0] && d->unit[0], "%s", d->name);
        ck_assert_msg(mdl_host_set(&h, d->name, d->low, &st) && mdl_host_set(&h, d->name, d->high, &st), "%s",
                      st.message);
    }
    ck_assert(mdl_host_set(&h, "link_gb_per_s", 24, &st) && mdl_host_set(&h, "submit_us", 3, &st));
    ck_assert(mdl_host_set(&h, "submitters", 1, &st) && mdl_host_set(&h, "descriptor_us", 0, &st));
    ck_assert_double_eq(h.link_byte_per_s, 24e9);
    ck_assert_double_eq_tol(mdl_transfer_s(&h.copy, 100, 16384, h.submitters), 300e-6, 1e-15);
    ck_assert_double_eq_tol(mdl_transfer_s(&h.copy, 100, 1 << 20, h.submitters), 100 * 1048576 / 24e9, 1e-15);
}
END_TEST

START_TEST(what_no_host_has_is_refused)
{
    static const struct {
        const char *name;
        double value;
    } cases[] = {{"link_gb_per_s", 0}, {"link_gb_per_s", NAN}, {"duplex", 0.5},
                 {"duplex", 3},        {"submitters", 0},      {"submitters", 1.5},
                 {"submitters", 99},   {"sync_us", -1},        {"memory_gib", INFINITY},
                 {"cable", 1}};
    struct mdl_host h = mdl_host_of(h100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim_status st = {0};
        ck_assert(!mdl_host_set(&h, cases[i].name, cases[i].value, &st));
        ck_assert_msg(strstr(st.message, "expected") && strstr(st.message, cases[i].name), "%s", st.message);
    }
}
END_TEST

/* Published: 24 to 24.8 GB/s over PCIe 4 x16, 50 to 60 over PCIe 5 x16. */
START_TEST(links_are_as_fast_as_published_for_their_generation)
{
    double four = mdl_host_of(a100).link_byte_per_s, five = mdl_host_of(h100).link_byte_per_s;
    ck_assert(four > 23.5e9 && four < 25.5e9);
    ck_assert(five > 49e9 && five < 60e9);
}
END_TEST

/* vllm PR 42212, H100, cuMemcpyBatchAsync, 50,000 and 100,000 fragments: KiB, lowest and highest GB/s. */
START_TEST(fragments_below_the_cliff_are_as_slow_as_published)
{
    static const double rows[][3] = {
        {4, 3.8, 4.0}, {8, 5.2, 5.3}, {16, 6.3, 6.3}, {24, 6.7, 6.9}, {28, 39.9, 44.1}};
    struct mdl_transfer_model copy = mdl_host_of(h100).copy;
    for (int i = 0; i < 5; i++) {
        double bytes = rows[i][0] * 1024, rate = bytes / mdl_transfer_descriptor_s(&copy, bytes) * 1e-9;
        ck_assert_msg(rate > 0.95 * rows[i][1] && rate < 1.05 * rows[i][2], "%g KiB: %g GB/s", rows[i][0],
                      rate);
    }
}
END_TEST

/* ---- draws ---- */

enum { N = 256 };

static double mean_of(const double *x)
{
    double s = 0;
    for (int i = 0; i < N; i++) s += x[i];
    return s / N;
}

START_TEST(draws_have_mean_one_and_the_spread_asked_for)
{
    static const double cvs[] = {0.05, 0.2, 0.5, 1, 2};
    double x[N];
    for (int k = 0; k < 5; k++) {
        mdl_kvcost_quantiles(cvs[k], INFINITY, N, x);
        double squares = 0;
        for (int i = 0; i < N; i++) {
            squares += (x[i] - 1) * (x[i] - 1);
            ck_assert(x[i] >= 0 && (!i || x[i] >= x[i - 1]));
        }
        ck_assert_double_eq_tol(mean_of(x), 1, 1e-9);
        ck_assert_double_eq_tol(sqrt(squares / N) / cvs[k], 1, 0.03);
    }
}
END_TEST

START_TEST(draws_stay_below_what_a_rate_can_be_and_keep_their_mean)
{
    double x[N];
    for (double cv = 0.1; cv <= 5; cv += 0.35)
        for (double most = 1; most < 12; most *= 1.37) {
            mdl_kvcost_quantiles(cv, most, N, x);
            for (int i = 0; i < N; i++) ck_assert(x[i] >= 0 && x[i] <= most && (!i || x[i] >= x[i - 1]));
            ck_assert_msg(fabs(mean_of(x) - 1) < 1e-6, "cv %g, most %g: mean %g", cv, most, mean_of(x));
        }
    mdl_kvcost_quantiles(0, 5, N, x);
    ck_assert(x[0] == 1 && x[N - 1] == 1);
}
END_TEST

/* ---- a strategy priced ---- */

/* What a cost is made of, kept together. */
struct made {
    double given[MDL_N_KV_KEY];
    struct mdl_kv_use use;
    struct mdl_kv_plan plan;
    struct mdl_host host;
    struct mdl_kvcost_spec spec;
};

static void start(struct made *m)
{
    *m = (struct made){.host = mdl_host_of(h100), .spec = {.gpu = h100, .tensor_parallel = 1}};
    for (int k = 0; k < MDL_N_KV_KEY; k++) m->given[k] = NAN;
}

static bool make(struct made *m, const char *name, struct mdl_kvcost *c, struct sim_status *st)
{
    static const struct mdl_arch arch = {
        .n_layers = 32, .hidden = 4096, .n_q_heads = 32, .n_kv_heads = 8, .head_dim = 128};
    const struct mdl_strategy *s = mdl_strategy_find(name, st);
    m->spec.use = &m->use;
    m->spec.plan = &m->plan;
    m->spec.host = &m->host;
    return s && mdl_kv_use_init(&m->use, s, m->given, &arch, 1, 32, 16, st) &&
           mdl_kv_plan_init(&m->plan, &m->use, 131072, st) && mdl_kvcost_init(c, &m->spec, st);
}

static void make_freekv(struct mdl_kvcost *c, double draws, double miss, double correction)
{
    struct made m;
    struct sim_status st = {0};
    struct mdl_profile *p = mdl_profile_analytic(h100);
    start(&m);
    m.given[MDL_KV_DRAWS] = draws;
    m.given[MDL_KV_MISS] = miss;
    m.given[MDL_KV_CORRECTION] = correction;
    m.given[MDL_KV_MISS_CV] = m.given[MDL_KV_CORRECTION_CV] = 0.4;
    m.spec.profile = p;
    ck_assert_msg(make(&m, "freekv", c, &st), "%s", st.message);
    mdl_profile_free(p);
}

START_TEST(a_step_draws_both_rates_as_if_they_had_nothing_to_do_with_each_other)
{
    struct mdl_kvcost c;
    make_freekv(&c, 1, 0.1, 0.3);
    double miss = 0, correct = 0, both = 0, misses = 0, corrects = 0;
    ck_assert_uint_eq(c.n_draws, N);
    for (uint32_t i = 0; i < N; i++) {
        double m = c.draws[i].miss - 1, k = c.draws[i].correct - 1;
        miss += m;
        correct += k;
        both += m * k;
        misses += m * m;
        corrects += k * k;
        ck_assert(c.draws[i].miss * 0.1 <= 1 && c.draws[i].correct * c.decode.correct_frac <= 1 + 1e-12);
    }
    ck_assert_double_eq_tol(miss / N, 0, 1e-9);
    ck_assert_double_eq_tol(correct / N, 0, 1e-9);
    ck_assert_double_le(fabs(both / sqrt(misses * corrects)), 0.02);
    mdl_kvcost_fini(&c);
    make_freekv(&c, 0, 0.1, 0.3);
    ck_assert(c.n_draws == 0 && c.draws == NULL);
    mdl_kvcost_fini(&c);
}
END_TEST

static void expect_ratio(const struct made *m, const struct mdl_kvcost *c, double ratio,
                         enum sim_evidence how)
{
    struct mdl_time t = mdl_kvcost_ratio(c, &m->spec, 16, 16 * 4096);
    ck_assert_msg(fabs(t.s - ratio) < 1e-12 && t.how == how, "%g, %s", t.s, sim_evidence_name(t.how));
}

START_TEST(a_kernel_is_priced_by_the_best_that_is_known_of_it)
{
    struct made m;
    struct mdl_kvcost c;
    struct sim_status st = {0};
    struct mdl_methods *methods = measured();
    struct mdl_profile *p = mdl_profile_analytic(h100);
    start(&m);
    m.given[MDL_KV_KERNEL_EFFICIENCY] = 0.5;
    m.spec.profile = p;
    ck_assert_msg(make(&m, "int4", &c, &st), "%s", st.message);
    expect_ratio(&m, &c, (64 + 4) / 256.0 / 0.5,
                 SIM_ANALYTIC); /* a head's 128 elements at 4 bits, and a pair */
    m.spec.methods = methods;
    expect_ratio(&m, &c, 0.4, SIM_MEASURED);
    mdl_kvcost_fini(&c);
    ck_assert_msg(make(&m, "kivi4", &c, &st), "%s", st.message); /* beside it nobody measured kivi4 */
    ck_assert_int_eq(mdl_kvcost_ratio(&c, &m.spec, 16, 16 * 4096).how, SIM_ANALYTIC);
    mdl_kvcost_fini(&c);
    m.given[MDL_KV_KERNEL_EFFICIENCY] = NAN;
    ck_assert_msg(make(&m, "streaming_llm", &c, &st), "%s", st.message);
    expect_ratio(&m, &c, 1, SIM_MEASURED); /* the engine's own kernel */
    mdl_kvcost_fini(&c);
    mdl_profile_free(p);
    mdl_methods_free(methods);
}
END_TEST

/* Ratios that fall faster than lengths rise. */
START_TEST(a_falling_ratio_never_makes_attention_fall_with_its_context)
{
    static const struct mdl_arch arch = {.n_layers = 32,
                                         .hidden = 4096,
                                         .intermediate = 14336,
                                         .vocab = 128256,
                                         .n_q_heads = 32,
                                         .n_kv_heads = 8,
                                         .head_dim = 128,
                                         .gated_mlp = true};
    static const struct mdl_engine engine = {.capture_size = {8}, .n_capture_sizes = 1};
    struct made m;
    struct mdl_kvcost c;
    struct sim_status st = {0};
    const char *dir = folder("noisy");
    put(dir, "profile.yaml", "gpu: h100-sxm\n");
    put(dir, "ratio.csv",
        "format,q_heads,kv_heads,head_dim,seqs,tokens,ratio\n"
        "int4,32,8,128,1,30000,0.9\nint4,32,8,128,1,33000,0.4\nint4,32,8,128,1,60000,0.9\n");
    struct mdl_methods *methods = load(dir);
    struct mdl_profile *p = mdl_profile_analytic(h100);
    start(&m);
    m.spec.profile = p;
    ck_assert_msg(make(&m, "int4", &c, &st), "%s", st.message);
    mdl_kvcost_fini(&c);
    struct mdl_cost_spec spec = {.arch = &arch,
                                 .gpu = h100,
                                 .profile = p,
                                 .engine = &engine,
                                 .tensor_parallel = 1,
                                 .pipeline_parallel = 1,
                                 .max_num_seqs = 8,
                                 .max_num_batched_tokens = 512,
                                 .kv_capacity_tokens = 100000,
                                 .use = &m.use,
                                 .plan = &m.plan,
                                 .host = &m.host,
                                 .methods = methods};
    struct mdl_cost *cost = mdl_cost_new(&spec, &st);
    ck_assert_msg(cost != NULL, "%s", st.message);
    const struct sim_cost *base = mdl_cost_base(cost);
    double before_s = 0;
    for (uint64_t kv = 1; kv < 100000; kv += 1 + kv / 30) {
        struct sim_reads r = {.kept = kv, .all = kv, .n_seqs = 1};
        struct sim_decode_line line;
        base->decode_line(base, &r, &line);
        double s = line.attention_base_s + line.gpu_slope_s * (double)kv;
        ck_assert_double_ge(s, before_s * (1 - 1e-12));
        before_s = s;
    }
    mdl_cost_free(cost);
    mdl_profile_free(p);
    mdl_methods_free(methods);
}
END_TEST

START_TEST(a_ratio_never_takes_a_kernel_below_a_launch)
{
    const struct mdl_time same = {1, SIM_ANALYTIC}, analytic = {0.25, SIM_ANALYTIC},
                          kvbench = {0.25, SIM_MEASURED};
    ck_assert_double_eq(mdl_kvcost_scaled_s(100e-6, 10e-6, same), 100e-6);
    ck_assert_double_eq_tol(mdl_kvcost_scaled_s(100e-6, 10e-6, analytic), 32.5e-6, 1e-18);
    ck_assert_double_eq_tol(mdl_kvcost_scaled_s(100e-6, 10e-6, kvbench), 25e-6, 1e-18);
    ck_assert_double_eq_tol(mdl_kvcost_scaled_s(20e-6, 10e-6, kvbench), 10e-6, 1e-18);
    ck_assert_double_eq_tol(mdl_kvcost_scaled_s(10e-6, 10e-6, analytic), 10e-6, 1e-18);
}
END_TEST

START_TEST(a_link_without_bandwidth_is_refused_by_what_needs_it)
{
    static const char *const names[] = {"swap", "offload", "arkvale", "infinigen", "shadowkv", "freekv"};
    struct mdl_profile *p = mdl_profile_analytic(h100);
    struct mdl_kvcost c;
    struct made m;
    for (int i = 0; i < 6; i++) {
        struct sim_status st = {0};
        start(&m);
        m.host.link_byte_per_s = 0;
        m.spec.profile = p;
        ck_assert(!make(&m, names[i], &c, &st));
        ck_assert_msg(strstr(st.message, "host.link_gb_per_s") && !strchr(st.message, '\n'), "%s",
                      st.message);
    }
    struct sim_status st = {0};
    ck_assert_msg(make(&m, "kivi4", &c, &st), "%s", st.message);
    mdl_kvcost_fini(&c);
    mdl_profile_free(p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("kvmethods");
    TCase *c = tcase_create("kvmethods");
    tcase_add_checked_fixture(c, open_data, close_data);
    tcase_add_test(c, a_ratio_is_measured_at_its_shape_and_log_linear_between);
    tcase_add_test(c, a_ratio_is_held_outside_what_was_measured);
    tcase_add_test(c, other_layouts_and_cards_go_by_the_two_ceilings);
    tcase_add_test(c, what_nobody_measured_has_no_ratio);
    tcase_add_test(c, a_measured_host_replaces_what_was_assumed);
    tcase_add_test(c, broken_tables_are_refused_with_file_and_line);
    tcase_add_test(c, defaults_lie_in_their_range_and_can_be_set);
    tcase_add_test(c, what_no_host_has_is_refused);
    tcase_add_test(c, links_are_as_fast_as_published_for_their_generation);
    tcase_add_test(c, fragments_below_the_cliff_are_as_slow_as_published);
    tcase_add_test(c, draws_have_mean_one_and_the_spread_asked_for);
    tcase_add_test(c, draws_stay_below_what_a_rate_can_be_and_keep_their_mean);
    tcase_add_test(c, a_step_draws_both_rates_as_if_they_had_nothing_to_do_with_each_other);
    tcase_add_test(c, a_kernel_is_priced_by_the_best_that_is_known_of_it);
    tcase_add_test(c, a_falling_ratio_never_makes_attention_fall_with_its_context);
    tcase_add_test(c, a_ratio_never_takes_a_kernel_below_a_launch);
    tcase_add_test(c, a_link_without_bandwidth_is_refused_by_what_needs_it);
    suite_add_tcase(s, c);
    return s;
}
