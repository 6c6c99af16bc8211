/* `kvsim trace synth`: traces made to order, or like a public one. */
#include <stdio.h>
#include <stdlib.h>

#include "experiments/cli.h"
#include "experiments/trace_options.h"
#include "traces/synth.h"

enum {
    KEY_PRESET = 0x100,
    KEY_DURATION,
    KEY_ARRIVALS,
    KEY_RATE,
    KEY_BURSTINESS,
    KEY_RATIO,
    KEY_DWELL,
    KEY_PEAK,
    KEY_DAY,
    KEY_CURVE,
    KEY_INPUT,
    KEY_OUTPUT,
    KEY_RANGE,
    KEY_SEED
};

static const struct argp_option options[] = {
    {"preset", KEY_PRESET, "NAME", 0,
     "like azure-conv, azure-code, mooncake-conversation or arxiv-summarization; the other options change it",
     0},
    {"num-requests", 'n', "N", 0, "stop after N requests (default: 1000 when no --duration)", 0},
    {"duration", KEY_DURATION, "S", 0, "stop after S seconds", 0},
    {"rate", KEY_RATE, "R", 0, "mean requests per second (default: 1)", 0},
    {"arrivals", KEY_ARRIVALS, "gamma|mmpp|diurnal|curve", 0, "arrival process (default: gamma)", 0},
    {"burstiness", KEY_BURSTINESS, "B", 0,
     "gamma shape of the gaps: 1 = Poisson, below 1 burstier (default: 1)", 0},
    {"mmpp-ratio", KEY_RATIO, "K", 0, "mmpp: rate of the busy state over the quiet one (default: 4)", 0},
    {"mmpp-dwell", KEY_DWELL, "S", 0, "mmpp: mean seconds in a state (default: 60)", 0},
    {"peak-to-mean", KEY_PEAK, "K", 0, "diurnal: peak rate over mean rate (default: 1.5)", 0},
    {"day", KEY_DAY, "S", 0, "diurnal: length of the day (default: 86400)", 0},
    {"curve", KEY_CURVE, "FILE", 0, "curve: CSV time_s,request_rate, repeated", 0},
    {"input", KEY_INPUT, "DIST", 0,
     "prompt tokens: N, uniform:lo:hi, lognormal:mean:cv[:max], gamma:mean:cv[:max], file:F (default: 512)",
     0},
    {"output", KEY_OUTPUT, "DIST", 0, "output tokens, likewise (default: 128)", 0},
    {"length-range", KEY_RANGE, "LO:HI", 0, "lengths uniform in [ceil(LO L), floor(HI L)]", 0},
    {"seed", KEY_SEED, "N", 0, "same options and seed, same bytes (default: 1)", 0},
    {"out", 'o', "FILE", 0, "write there (default: standard output)", 0},
    {0},
};

/* Texts are kept until all options are known, because a preset comes first whatever its place. */
struct arguments {
    const char *preset, *input, *output, *out;
    struct trc_synth given; /* numbers; 0 = not given */
    bool arrivals_given, range_given, seed_given;
};

static const char *const arrivals[] = {"gamma", "mmpp", "diurnal", "curve", NULL};

static void parse_range(struct arguments *a, const char *arg, const struct argp_state *state)
{
    char rest;
    if (sscanf(arg, "%lf:%lf%c", &a->given.length_lo, &a->given.length_hi, &rest) != 2 ||
        !(a->given.length_lo >= 0 && a->given.length_lo <= a->given.length_hi && a->given.length_hi <= 1e6))
        argp_failure(state, SIM_EXIT_USAGE, 0,
                     "--length-range is `%.40s`, expected LO:HI with 0 <= LO <= HI, e.g. 0.8:1.2", arg);
    a->range_given = true;
}

static error_t parse_numbers(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'n':
        a->given.n_requests = exp_cli_count(state, "--num-requests", arg, 1, 1000000000);
        return 0;
    case KEY_DURATION:
        a->given.duration_s = exp_cli_real(state, "--duration", arg, 1e-6, 1e9);
        return 0;
    case KEY_RATE:
        a->given.request_rate = exp_cli_real(state, "--rate", arg, 1e-9, 1e6);
        return 0;
    case KEY_BURSTINESS:
        a->given.burstiness = exp_cli_real(state, "--burstiness", arg, 1e-3, 1e3);
        return 0;
    case KEY_RATIO:
        a->given.mmpp_ratio = exp_cli_real(state, "--mmpp-ratio", arg, 1, 1e6);
        return 0;
    case KEY_DWELL:
        a->given.mmpp_dwell_s = exp_cli_real(state, "--mmpp-dwell", arg, 1e-3, 1e9);
        return 0;
    case KEY_PEAK:
        a->given.peak_to_mean = exp_cli_real(state, "--peak-to-mean", arg, 1, 2);
        return 0;
    case KEY_DAY:
        a->given.day_s = exp_cli_real(state, "--day", arg, 1e-3, 1e9);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_PRESET:
        a->preset = arg;
        return 0;
    case KEY_ARRIVALS:
        a->given.arrivals = (enum trc_arrivals)exp_cli_choice(state, "--arrivals", arg, arrivals);
        a->arrivals_given = true;
        return 0;
    case KEY_CURVE:
        a->given.curve_path = arg;
        return 0;
    case KEY_INPUT:
        a->input = arg;
        return 0;
    case KEY_OUTPUT:
        a->output = arg;
        return 0;
    case KEY_RANGE:
        parse_range(a, arg, state);
        return 0;
    case KEY_SEED:
        a->given.seed = exp_cli_count(state, "--seed", arg, 0, UINT64_MAX);
        a->seed_given = true;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, SIM_EXIT_USAGE, 0, "unexpected argument `%s`; the output file is named by -o",
                     arg);
        return 0;
    default:
        return parse_numbers(key, arg, state);
    }
}

static const struct argp argp = {
    options, parse, NULL, "Makes a request trace and writes it as canonical CSV.", NULL, NULL, NULL};

static bool lengths(const char *text, const char *fallback, struct trc_dist *d, struct sim_status *st)
{
    if (!text && d->n_values) return true; /* the preset's */
    struct trc_dist parsed;
    if (!trc_dist_parse(text ? text : fallback, &parsed, st)) return false;
    trc_dist_fini(d);
    *d = parsed;
    return true;
}

static void put(double *field, double given)
{
    if (given > 0) *field = given;
}

static bool build(const struct arguments *a, struct trc_synth *s, struct sim_status *st)
{
    const struct trc_synth *g = &a->given;
    if (a->preset && !trc_preset(a->preset, s, st)) return false;
    if (a->arrivals_given) s->arrivals = g->arrivals;
    if (g->curve_path) {
        s->arrivals = TRC_ARRIVE_CURVE;
        s->curve_path = g->curve_path;
        if (!a->preset) s->request_rate = 0; /* as the file says */
    }
    if (g->n_requests || g->duration_s > 0) s->n_requests = g->n_requests;
    put(&s->duration_s, g->duration_s);
    put(&s->request_rate, g->request_rate);
    put(&s->burstiness, g->burstiness);
    put(&s->mmpp_ratio, g->mmpp_ratio);
    put(&s->mmpp_dwell_s, g->mmpp_dwell_s);
    put(&s->peak_to_mean, g->peak_to_mean);
    put(&s->day_s, g->day_s);
    if (a->range_given) {
        s->length_lo = g->length_lo;
        s->length_hi = g->length_hi;
    }
    if (a->seed_given) s->seed = g->seed;
    return lengths(a->input, "512", &s->input, st) && lengths(a->output, "128", &s->output, st);
}

bool exp_trace_synth(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct trc_synth spec = {.n_requests = 1000,
                             .request_rate = 1,
                             .burstiness = 1,
                             .mmpp_ratio = 4,
                             .mmpp_dwell_s = 60,
                             .peak_to_mean = 1.5,
                             .day_s = 86400,
                             .length_lo = 1,
                             .length_hi = 1,
                             .seed = 1};
    bool built = build(&a, &spec, st);
    struct trc_trace *t = built ? trc_synth(&spec, st) : NULL;
    bool ok = t && trc_write(t, a.out ? a.out : "-", st);
    trc_free(t);
    trc_synth_fini(&spec);
    if (ok) exp_next(a.out ? "kvsim trace info %s" : "kvsim trace info FILE", a.out);
    return ok;
}
