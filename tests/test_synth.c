/* Synthetic traces: moments against closed forms over seeds, streams that do not disturb each other, presets
 * against the public traces they were fitted to, and what scaling must keep. */
#include "tests/trace_help.h"

#include "traces/dist.h"
#include "traces/info.h"
#include "traces/synth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_SEEDS = 20 };

static struct trc_synth poisson(uint64_t n, double rate)
{
    return (struct trc_synth){.n_requests = n,
                              .arrivals = TRC_ARRIVE_GAMMA,
                              .request_rate = rate,
                              .burstiness = 1.0,
                              .input = {.kind = TRC_FIXED, .a = 100},
                              .output = {.kind = TRC_FIXED, .a = 10},
                              .seed = 1};
}

static struct trc_trace *make(const struct trc_synth *spec)
{
    struct sim_status st = {0};
    struct trc_trace *t = trc_synth(spec, &st);
    ck_assert_msg(t != NULL, "%s", st.message);
    return t;
}

static struct trc_info info_of(struct trc_trace *t)
{
    struct trc_info info;
    trc_info(t, &info);
    return info;
}

/* Means over seeds of rate, CV of gaps and dispersion in 1, 10, 60 s. */
struct burst_means {
    double rate, gap_cv, dispersion[3];
};

static struct burst_means mean_bursts(struct trc_synth spec, int n_seeds, double tick_s)
{
    struct burst_means m = {0};
    for (int seed = 1; seed <= n_seeds; seed++) {
        spec.seed = (uint64_t)seed;
        struct trc_trace *t = make(&spec);
        for (uint64_t i = 0; tick_s > 0 && i < t->n_requests; i++)
            t->requests[i].arrival_s = floor(t->requests[i].arrival_s / tick_s) * tick_s;
        struct trc_info info = info_of(t);
        m.rate += info.request_rate / n_seeds;
        m.gap_cv += info.gap_cv / n_seeds;
        for (int w = 0; w < 3; w++) m.dispersion[w] += info.dispersion[w] / n_seeds;
        trc_free(t);
    }
    return m;
}

static void near(double value, double expected, double relative)
{
    ck_assert_msg(fabs(value - expected) <= relative * fabs(expected), "%g is not within %g of %g", value,
                  relative, expected);
}

START_TEST(poisson_gaps_have_cv_one_and_counts_dispersion_one)
{
    struct burst_means m = mean_bursts(poisson(20000, 5.0), N_SEEDS, 0);
    near(m.rate, 5.0, 0.01);
    near(m.gap_cv, 1.0, 0.01);
    near(m.dispersion[0], 1.0, 0.02);
    near(m.dispersion[1], 1.0, 0.05);
}
END_TEST

/* Gamma gaps of shape k: CV 1/sqrt(k); counts of windows that hold m on average have, once m is large,
 * variance m / k + 1/6 - 1 / (6 k^2) (Cox, "Renewal Theory", 1962, equilibrium process; m = 20 here). */
START_TEST(gamma_gaps_have_the_cv_of_their_shape)
{
    static const double shapes[] = {0.25, 0.5, 4.0};
    struct trc_synth spec = poisson(20000, 20.0);
    spec.burstiness = shapes[_i];
    struct burst_means m = mean_bursts(spec, N_SEEDS, 0);
    near(m.gap_cv, 1.0 / sqrt(shapes[_i]), 0.02);
    double k = shapes[_i];
    near(m.dispersion[0], 1.0 / k + (1.0 - 1.0 / (k * k)) / 6.0 / 20.0, 0.03);
    near(m.rate, 20.0, 0.02);
}
END_TEST

/* Heffes and Lucantoni 1986: for two states of equal dwell d and rates a, b, the variance of counts in w is
 * m w + 2 v (c w - c^2 (1 - exp(-w / c))) with m = (a + b) / 2, v = ((a - b) / 2)^2 and c = d / 2. */
START_TEST(mmpp_counts_disperse_as_in_closed_form)
{
    struct trc_synth spec = poisson(60000, 10.0);
    spec.arrivals = TRC_ARRIVE_MMPP;
    spec.mmpp_ratio = 3.0;
    spec.mmpp_dwell_s = 5.0;
    struct burst_means m = mean_bursts(spec, N_SEEDS, 0);
    double v = 25.0, c = 2.5;
    near(m.rate, 10.0, 0.02);
    for (int w = 0; w < 2; w++) {
        double window_s = trc_window_s[w];
        double extra = 2.0 * v * (c * window_s - c * c * (1.0 - exp(-window_s / c)));
        near(m.dispersion[w], 1.0 + extra / (10.0 * window_s), 0.05);
    }
}
END_TEST

/* A sine of amplitude A: relative variance of the rate A^2 / 2; a quarter of the day around noon holds
 * 1/4 + A sqrt(2) / (2 pi) of the requests. */
START_TEST(diurnal_arrivals_follow_their_sine)
{
    struct trc_synth spec = poisson(0, 5.0);
    spec.duration_s = 8000.0;
    spec.arrivals = TRC_ARRIVE_DIURNAL;
    spec.peak_to_mean = 1.8;
    spec.day_s = 4000.0;
    double n = 0, n_noon = 0;
    for (int seed = 1; seed <= N_SEEDS; seed++) {
        spec.seed = (uint64_t)seed;
        struct trc_trace *t = make(&spec);
        for (uint64_t i = 0; i < t->n_requests; i++) {
            double phase = fmod(t->requests[i].arrival_s, spec.day_s) / spec.day_s;
            n_noon += phase > 0.375 && phase < 0.625;
        }
        n += (double)t->n_requests;
        trc_free(t);
    }
    near(n / N_SEEDS, 40000.0, 0.005);
    near(n_noon / n, 0.25 + 0.8 * sqrt(2.0) / (2.0 * 3.14159265358979), 0.01);
}
END_TEST

START_TEST(a_diurnal_rate_that_touches_zero_still_moves_on)
{
    struct trc_synth spec = poisson(5000, 1.0);
    spec.arrivals = TRC_ARRIVE_DIURNAL;
    spec.peak_to_mean = 2.0;
    spec.day_s = 100.0;
    struct trc_trace *t = make(&spec);
    for (uint64_t i = 1; i < t->n_requests; i++)
        ck_assert_double_ge(t->requests[i].arrival_s, t->requests[i - 1].arrival_s);
    near(t->requests[4999].arrival_s, 5000.0, 0.1);
    trc_free(t);
}
END_TEST

START_TEST(a_rate_curve_is_followed_step_by_step_and_repeats)
{
    struct trc_synth spec = poisson(0, 0.0);
    spec.arrivals = TRC_ARRIVE_CURVE;
    spec.duration_s = 4000.0;
    spec.curve_path = test_file("curve.csv", "time_s,request_rate\n0,10\n100,0\n200,30\n");
    double count[3] = {0};
    for (int seed = 1; seed <= N_SEEDS; seed++) {
        spec.seed = (uint64_t)seed;
        struct trc_trace *t = make(&spec);
        for (uint64_t i = 0; i < t->n_requests; i++)
            count[(int)fmod(t->requests[i].arrival_s, 300.0) / 100]++;
        trc_free(t);
    }
    /* 13.33 periods: 14 first steps, 13 and a third second ones, 13 third ones */
    near(count[0], N_SEEDS * 14 * 1000.0, 0.01);
    ck_assert_double_le(count[1], 0.0);
    near(count[2], N_SEEDS * 13 * 3000.0, 0.01);
    spec.request_rate = 4.0; /* the same shape at another mean */
    struct trc_trace *t = make(&spec);
    near((double)t->n_requests, 4000.0 * 4.0 * (14 * 10 + 13 * 30) / (13.3333 * 40), 0.05);
    trc_free(t);
}
END_TEST

START_TEST(bursts_keep_the_mean_rate_and_disperse_counts)
{
    struct trc_synth spec = poisson(40000, 2.0);
    spec.arrivals = TRC_ARRIVE_BURSTS;
    spec.bursts = (struct trc_bursts){20, 0.5, 0.05, 0, 1, 1};
    struct burst_means m = mean_bursts(spec, N_SEEDS, 0);
    near(m.rate, 2.0, 0.03);
    ck_assert_double_gt(m.dispersion[0], 5.0);
}
END_TEST

START_TEST(lengths_have_the_moments_of_their_distribution)
{
    static const struct {
        const char *text;
        double mean, cv;
    } dists[] = {
        {"512", 512, 0},
        {"fixed:7", 7, 0},
        {"uniform:100:300", 200, 0.29012}, /* sqrt((201^2 - 1) / 12) / 200 */
        {"lognormal:1000:0.8", 1000, 0.8},
        {"gamma:1000:0.5", 1000, 0.5},
        {"lognormal:300:0", 300, 0},
    };
    for (size_t i = 0; i < sizeof dists / sizeof *dists; i++) {
        struct sim_status st = {0};
        struct trc_synth spec = poisson(200000, 1000.0);
        ck_assert_msg(trc_dist_parse(dists[i].text, &spec.input, &st), "%s", st.message);
        struct trc_trace *t = make(&spec);
        struct trc_info info = info_of(t);
        near(info.input.mean_tokens, dists[i].mean, 0.01);
        ck_assert_double_eq_tol(info.input.cv, dists[i].cv, 0.02);
        trc_free(t);
        trc_synth_fini(&spec);
    }
}
END_TEST

START_TEST(a_maximum_caps_lengths_and_no_length_is_below_one)
{
    struct trc_synth spec = poisson(20000, 1000.0);
    spec.input = (struct trc_dist){.kind = TRC_LOGNORMAL, .a = 1.2, .b = 3.0, .max = 9};
    struct trc_trace *t = make(&spec);
    uint32_t least = UINT32_MAX, most = 0;
    for (uint64_t i = 0; i < t->n_requests; i++) {
        if (t->requests[i].input_tokens < least) least = t->requests[i].input_tokens;
        if (t->requests[i].input_tokens > most) most = t->requests[i].input_tokens;
    }
    ck_assert_uint_eq(least, 1);
    ck_assert_uint_eq(most, 9);
    trc_free(t);
}
END_TEST

START_TEST(lengths_from_a_file_are_drawn_with_equal_chance)
{
    struct sim_status st = {0};
    char text[4096];
    struct trc_synth spec = poisson(90000, 1000.0);
    snprintf(text, sizeof text, "file:%s", test_file("l.csv", "tokens\n10\n20\n20.0\n"));
    ck_assert_msg(trc_dist_parse(text, &spec.input, &st), "%s", st.message);
    snprintf(text, sizeof text, "file:%s:out", test_file("l2.csv", "in,out\n1,30\n2,30\n"));
    ck_assert_msg(trc_dist_parse(text, &spec.output, &st), "%s", st.message);
    struct trc_trace *t = make(&spec);
    struct trc_info info = info_of(t);
    near(info.input.mean_tokens, 50.0 / 3.0, 0.01);
    ck_assert_uint_eq(info.output.sum_tokens, 90000 * 30);
    trc_free(t);
    trc_synth_fini(&spec);
}
END_TEST

START_TEST(length_range_draws_integers_between_its_rounded_ends)
{
    struct trc_synth spec = poisson(60000, 1000.0);
    spec.input.a = 10;
    spec.output.a = 1;
    spec.length_lo = 0.75;
    spec.length_hi = 1.25;
    struct trc_trace *t = make(&spec);
    unsigned count[14] = {0};
    for (uint64_t i = 0; i < t->n_requests; i++) {
        ck_assert_uint_ge(t->requests[i].input_tokens, 8);
        ck_assert_uint_le(t->requests[i].input_tokens, 12);
        ck_assert_uint_eq(t->requests[i].output_tokens, 1);
        count[t->requests[i].input_tokens]++;
    }
    for (int k = 8; k <= 12; k++) near(count[k], 12000, 0.04);
    trc_free(t);
}
END_TEST

START_TEST(impossible_distributions_and_specs_are_usage_errors)
{
    static const char *const bad[] = {"",
                                      "abc",
                                      "fixed",
                                      "fixed:",
                                      "fixed:1:2",
                                      "uniform:5",
                                      "uniform:5:2",
                                      "gamma:0:1",
                                      "gamma:nan:1",
                                      "gamma:5:-1",
                                      "fixed:0x10",
                                      "normal:5:1",
                                      "lognormal:1:2:3:4",
                                      "gamma:5:1:0.5",
                                      "0",
                                      "fixed:1e99",
                                      "fixed:5 "};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sim_status st = {0};
        struct trc_dist d;
        ck_assert_msg(!trc_dist_parse(bad[i], &d, &st), "%s", bad[i]);
        ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
        ck_assert_ptr_nonnull(strstr(st.message, "expected"));
    }
    struct trc_synth specs[9];
    for (int i = 0; i < 9; i++) specs[i] = poisson(10, 1.0);
    specs[0].request_rate = 0.0;
    specs[1].request_rate = NAN;
    specs[2].burstiness = -1.0;
    specs[3].n_requests = 0;
    specs[4].arrivals = TRC_ARRIVE_MMPP;
    specs[5].arrivals = TRC_ARRIVE_DIURNAL, specs[5].peak_to_mean = 3.0;
    specs[6].arrivals = TRC_ARRIVE_CURVE;
    specs[7].arrivals = TRC_ARRIVE_BURSTS, specs[7].bursts = (struct trc_bursts){10, 1, 2.0, 1, 1, 1};
    specs[8].length_lo = 2.0, specs[8].length_hi = 1.0;
    for (int i = 0; i < 9; i++) {
        struct sim_status st = {0};
        ck_assert_msg(trc_synth(&specs[i], &st) == NULL, "spec %d", i);
        ck_assert_msg(st.code == SIM_EXIT_USAGE, "spec %d: %s", i, st.message);
    }
}
END_TEST

START_TEST(bad_curves_and_length_files_are_refused_with_their_line)
{
    static const struct {
        const char *text, *needle;
    } bad[] = {{"time_s,rate\n0,1\n", "curve.csv:1: no rate curve"},
               {"time_s,request_rate\n0,1\n", "two or more"},
               {"time_s,request_rate\n0,1\n0,2\n", "curve.csv:3: time 0 s"},
               {"time_s,request_rate\n5,1\n6,2\n", "curve.csv:2: time 5 s"},
               {"time_s,request_rate\n0,-1\n6,2\n", "curve.csv:2: time 0 s, rate -1"},
               {"time_s,request_rate\n0,0\n6,0\n", "all rates are 0"},
               {"time_s,request_rate\n0,nan\n6,0\n", "curve.csv:2: column request_rate"}};
    struct trc_synth spec = poisson(10, 0.0);
    spec.arrivals = TRC_ARRIVE_CURVE;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sim_status st = {0};
        spec.curve_path = test_file("curve.csv", bad[i].text);
        ck_assert(trc_synth(&spec, &st) == NULL);
        ck_assert_msg(strstr(st.message, bad[i].needle), "%s", st.message);
    }
    static const char *const lengths[] = {"a,b\n1,2\n", "a\n0\n", "a\n", "a\n-3\n"};
    for (int i = 0; i < 4; i++) {
        struct sim_status st = {0};
        struct trc_dist d;
        char text[4096];
        snprintf(text, sizeof text, "file:%s", test_file("lengths.csv", lengths[i]));
        ck_assert(!trc_dist_parse(text, &d, &st));
        ck_assert_msg(strstr(st.message, "lengths.csv:"), "%s", st.message);
    }
}
END_TEST

START_TEST(same_seed_same_trace_and_other_lengths_leave_the_arrivals)
{
    struct trc_synth spec = poisson(1000, 3.0);
    spec.input = (struct trc_dist){.kind = TRC_GAMMA, .a = 500, .b = 1.0};
    struct trc_trace *a = make(&spec), *b = make(&spec);
    traces_equal(a, b);
    trc_free(b);
    spec.output = (struct trc_dist){.kind = TRC_LOGNORMAL, .a = 50, .b = 1.0};
    b = make(&spec);
    for (uint64_t i = 0; i < 1000; i++) {
        ck_assert_double_eq(a->requests[i].arrival_s, b->requests[i].arrival_s);
        ck_assert_uint_eq(a->requests[i].input_tokens, b->requests[i].input_tokens);
    }
    trc_free(b);
    spec.seed = UINT64_C(1) + (UINT64_C(1) << 40); /* every bit of the seed counts */
    b = make(&spec);
    ck_assert(a->requests[0].arrival_s != b->requests[0].arrival_s);
    trc_free(a);
    trc_free(b);
}
END_TEST

START_TEST(a_synthetic_trace_survives_being_written)
{
    struct sim_status st = {0};
    struct trc_trace *t;
    struct trc_synth spec;
    ck_assert(trc_preset("azure-code", &spec, &st));
    spec.n_requests = 500;
    t = make(&spec);
    const char *path = test_file("synth.csv", "");
    ck_assert(trc_write(t, path, &st));
    struct trc_trace *again = read_file(path, (struct trc_options){0});
    traces_equal(t, again);
    trc_free(t);
    trc_free(again);
    trc_synth_fini(&spec);
}
END_TEST

/* Published figures of the traces (traces/README.md, "Presets"), and how close a preset must come: the
 * tolerances are relative. tick_s: what the file was recorded on. */
static const struct preset_target {
    const char *name;
    double input[4], output[4]; /* mean, p50, p99, CV */
    double rate, gap_cv, dispersion[3], tick_s;
} targets[] = {
    {"azure-conv",
     {1154.7, 1020, 4142, 0.960},
     {211.1, 129, 601, 0.771},
     5.530,
     1.094,
     {1.39, 4.00, 20.55},
     0},
    {"azure-code",
     {2047.8, 1469, 7436, 0.964},
     {27.9, 13, 251, 2.147},
     2.567,
     13.151,
     {13.18, 71.30, 160.54},
     0},
    {"mooncake-conversation",
     {12035.1, 6909, 85400, 1.313},
     {342.6, 350, 1119, 0.729},
     3.401,
     3.034,
     {7.89, 2.09, 2.85},
     3},
    {"arxiv-summarization", {2588.1, 2730, 3933, 0.365}, {291.4, 167, 3271, 1.820}, 1.0, 1.0, {1, 1, 1}, 0},
};

static void lengths_near(const struct trc_length_info *got, const double target[4])
{
    near(got->mean_tokens, target[0], 0.02);
    near(got->p50_tokens, target[1], 0.03);
    near(got->p99_tokens, target[2], 0.06);
    near(got->cv, target[3], 0.05);
}

START_TEST(presets_have_the_lengths_of_their_traces)
{
    struct sim_status st = {0};
    struct trc_synth spec;
    ck_assert(trc_preset(targets[_i].name, &spec, &st));
    ck_assert_str_eq(trc_preset_name((size_t)_i), targets[_i].name);
    spec.n_requests = 200000;
    struct trc_trace *t = make(&spec);
    struct trc_info info = info_of(t);
    lengths_near(&info.input, targets[_i].input);
    lengths_near(&info.output, targets[_i].output);
    trc_free(t);
    trc_synth_fini(&spec);
}
END_TEST

START_TEST(presets_are_as_bursty_as_their_traces)
{
    const struct preset_target *p = &targets[_i];
    struct sim_status st = {0};
    struct trc_synth spec;
    ck_assert(trc_preset(p->name, &spec, &st));
    struct burst_means m = mean_bursts(spec, 3 * N_SEEDS, p->tick_s);
    near(m.rate, p->rate, 0.05);
    near(m.gap_cv, p->gap_cv, 0.07);
    near(m.dispersion[0], p->dispersion[0], 0.10);
    near(m.dispersion[1], p->dispersion[1], 0.10);
    near(m.dispersion[2], p->dispersion[2], 0.25);
    trc_synth_fini(&spec);
}
END_TEST

START_TEST(an_unknown_preset_is_refused_with_the_known_ones)
{
    struct sim_status st = {0};
    struct trc_synth spec;
    ck_assert(!trc_preset("azure", &spec, &st));
    ck_assert_int_eq(st.code, SIM_EXIT_USAGE);
    ck_assert_ptr_nonnull(strstr(st.message, "azure-conv"));
    ck_assert_ptr_null(trc_preset_name(4));
}
END_TEST

/* Suites run from the root of the repository. Another C library may round a sine otherwise: 2 microseconds.
 */
START_TEST(the_shipped_sample_is_what_its_command_makes)
{
    struct sim_status st = {0};
    struct trc_synth spec;
    struct trc_trace *sample = read_file("traces/samples/demo.csv", (struct trc_options){0});
    ck_assert(trc_preset("azure-conv", &spec, &st));
    spec.n_requests = 3000;
    struct trc_trace *made = make(&spec);
    ck_assert_uint_eq(sample->n_requests, made->n_requests);
    for (uint64_t i = 0; i < made->n_requests; i++) {
        ck_assert_double_eq_tol(sample->requests[i].arrival_s, made->requests[i].arrival_s, 2e-6);
        ck_assert_uint_eq(sample->requests[i].input_tokens, made->requests[i].input_tokens);
        ck_assert_uint_eq(sample->requests[i].output_tokens, made->requests[i].output_tokens);
    }
    trc_free(sample);
    trc_free(made);
    trc_synth_fini(&spec);
}
END_TEST

static struct trc_trace *scaled(const struct trc_trace *t, double k, enum trc_how how)
{
    struct sim_status st = {0};
    struct trc_trace *s = trc_scale(t, k, how, 7, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    for (uint64_t i = 1; i < s->n_requests; i++)
        ck_assert_double_ge(s->requests[i].arrival_s, s->requests[i - 1].arrival_s);
    return s;
}

START_TEST(superposition_multiplies_counts_and_keeps_duration_and_burst_times)
{
    struct sim_status st = {0};
    struct trc_synth spec;
    ck_assert(trc_preset("azure-code", &spec, &st));
    struct trc_trace *t = make(&spec);
    struct trc_trace *three = scaled(t, 3.0, TRC_SUPERPOSE), *more = scaled(t, 2.5, TRC_SUPERPOSE);
    struct trc_info a = info_of(t), b = info_of(three);
    ck_assert_uint_eq(b.n_requests, 3 * a.n_requests);
    ck_assert_uint_eq(b.input.sum_tokens, 3 * a.input.sum_tokens);
    ck_assert_uint_eq(b.output.sum_tokens, 3 * a.output.sum_tokens);
    near(b.duration_s, a.duration_s, 0.05);
    near((double)more->n_requests, 2.5 * (double)a.n_requests, 0.02);
    near(b.dispersion[0], a.dispersion[0], 0.35); /* independent copies add variances and means alike */
    struct trc_trace *again = scaled(t, 3.0, TRC_SUPERPOSE);
    traces_equal(three, again);
    trc_free(again);
    trc_free(more);
    trc_free(three);
    trc_free(t);
    trc_synth_fini(&spec);
}
END_TEST

START_TEST(compression_divides_times_and_thinning_takes_a_share)
{
    struct trc_synth spec = poisson(20000, 5.0);
    spec.input = (struct trc_dist){.kind = TRC_GAMMA, .a = 500, .b = 1.0};
    struct trc_trace *t = make(&spec);
    struct trc_trace *fast = scaled(t, 4.0, TRC_COMPRESS), *few = scaled(t, 0.25, TRC_THIN);
    struct trc_info a = info_of(t), b = info_of(fast), c = info_of(few);
    ck_assert_uint_eq(b.n_requests, a.n_requests);
    ck_assert_uint_eq(b.input.sum_tokens, a.input.sum_tokens);
    near(b.duration_s, a.duration_s / 4.0, 1e-6);
    near(b.gap_cv, a.gap_cv, 1e-3);
    near((double)c.n_requests, 5000.0, 0.05);
    near(c.input.mean_tokens, a.input.mean_tokens, 0.05);
    near(c.duration_s, a.duration_s, 0.01);
    near(c.gap_cv, 1.0, 0.05); /* a thinned Poisson process is one */
    struct trc_trace *half = scaled(t, 0.5, TRC_SUPERPOSE), *half_thin = scaled(t, 0.5, TRC_THIN);
    traces_equal(half, half_thin);
    struct trc_trace *same = scaled(t, 1.0, TRC_SUPERPOSE);
    traces_equal(t, same);
    trc_free(same);
    trc_free(half);
    trc_free(half_thin);
    trc_free(fast);
    trc_free(few);
    trc_free(t);
}
END_TEST

START_TEST(copies_are_other_users_with_other_prompts)
{
    struct trc_trace *t =
        read_text("request_id,arrival_time_us,input_tokens,output_tokens,session_id,hash_ids,slo_class\n"
                  "a,0,32,1,s,0 1,x\nb,100,32,1,s,0 2,y\nc,200,32,1,,3 4,x\n",
                  (struct trc_options){.hash_block_size = 16});
    struct trc_trace *two = scaled(t, 2.0, TRC_SUPERPOSE);
    struct trc_info once = info_of(t), twice = info_of(two);
    ck_assert_uint_eq(twice.n_requests, 6);
    ck_assert_uint_eq(twice.prefix.n_unique_blocks, 2 * once.prefix.n_unique_blocks);
    ck_assert_uint_eq(twice.n_sessions, 4);
    int n_renamed = 0;
    for (uint64_t i = 0; i < 6; i++) {
        char id = two->request_id[i][0];
        n_renamed += strcmp(two->request_id[i] + 1, "#1") == 0;
        ck_assert_str_eq(two->class_names[two->requests[i].slo_class], id == 'b' ? "y" : "x");
    }
    ck_assert_int_eq(n_renamed, 3);
    trc_free(two);
    trc_free(t);
}
END_TEST

START_TEST(impossible_scalings_are_refused)
{
    struct trc_synth spec = poisson(10, 1.0);
    struct trc_trace *t = make(&spec);
    static const struct {
        double k;
        enum trc_how how;
    } bad[] = {{0, TRC_SUPERPOSE},    {-1, TRC_COMPRESS},     {NAN, TRC_THIN},  {1.5, TRC_THIN},
               {1e12, TRC_SUPERPOSE}, {1e-300, TRC_COMPRESS}, {1e-12, TRC_THIN}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct sim_status st = {0};
        ck_assert_ptr_null(trc_scale(t, bad[i].k, bad[i].how, 1, &st));
        ck_assert_ptr_nonnull(strstr(st.message, "expected") ? strstr(st.message, "expected")
                                                             : strstr(st.message, "take"));
    }
    t->has_arrivals = false;
    struct sim_status st = {0};
    ck_assert_ptr_null(trc_scale(t, 2.0, TRC_SUPERPOSE, 1, &st));
    trc_free(t);
}
END_TEST

START_TEST(a_trace_of_one_request_can_be_multiplied)
{
    struct trc_synth spec = poisson(1, 1.0);
    struct trc_trace *t = make(&spec), *many = scaled(t, 5.0, TRC_SUPERPOSE);
    ck_assert_uint_eq(many->n_requests, 5);
    trc_free(many);
    trc_free(t);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("synth");
    TCase *a = tcase_create("arrivals"), *l = tcase_create("lengths"), *p = tcase_create("presets"),
          *k = tcase_create("scaling");
    tcase_set_timeout(a, 60);
    tcase_set_timeout(p, 60);
    tcase_add_test(a, poisson_gaps_have_cv_one_and_counts_dispersion_one);
    tcase_add_loop_test(a, gamma_gaps_have_the_cv_of_their_shape, 0, 3);
    tcase_add_test(a, mmpp_counts_disperse_as_in_closed_form);
    tcase_add_test(a, diurnal_arrivals_follow_their_sine);
    tcase_add_test(a, a_diurnal_rate_that_touches_zero_still_moves_on);
    tcase_add_test(a, a_rate_curve_is_followed_step_by_step_and_repeats);
    tcase_add_test(a, bursts_keep_the_mean_rate_and_disperse_counts);
    tcase_add_test(l, lengths_have_the_moments_of_their_distribution);
    tcase_add_test(l, a_maximum_caps_lengths_and_no_length_is_below_one);
    tcase_add_test(l, lengths_from_a_file_are_drawn_with_equal_chance);
    tcase_add_test(l, length_range_draws_integers_between_its_rounded_ends);
    tcase_add_test(l, impossible_distributions_and_specs_are_usage_errors);
    tcase_add_test(l, bad_curves_and_length_files_are_refused_with_their_line);
    tcase_add_test(l, same_seed_same_trace_and_other_lengths_leave_the_arrivals);
    tcase_add_test(l, a_synthetic_trace_survives_being_written);
    tcase_add_loop_test(p, presets_have_the_lengths_of_their_traces, 0, 4);
    tcase_add_loop_test(p, presets_are_as_bursty_as_their_traces, 0, 4);
    tcase_add_test(p, the_shipped_sample_is_what_its_command_makes);
    tcase_add_test(p, an_unknown_preset_is_refused_with_the_known_ones);
    tcase_add_test(k, superposition_multiplies_counts_and_keeps_duration_and_burst_times);
    tcase_add_test(k, compression_divides_times_and_thinning_takes_a_share);
    tcase_add_test(k, copies_are_other_users_with_other_prompts);
    tcase_add_test(k, impossible_scalings_are_refused);
    tcase_add_test(k, a_trace_of_one_request_can_be_multiplied);
    suite_add_tcase(s, a);
    suite_add_tcase(s, l);
    suite_add_tcase(s, p);
    suite_add_tcase(s, k);
    return s;
}
