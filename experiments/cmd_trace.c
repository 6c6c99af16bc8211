/* `kvsim trace`: info, convert; the dispatch to synth. */
#include <stdio.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/trace_options.h"
#include "traces/info.h"
#include "traces/synth.h"

/* ---- how a file is read ---- */

enum { KEY_UNIT = 0x200, KEY_COLUMNS, KEY_ZERO, KEY_REBASE, KEY_SPREAD, KEY_HASH_BLOCK, KEY_SCALE };

static const struct argp_option read_options[] = {
    {"time-unit", KEY_UNIT, "s|ms|us|ns", 0, "unit of the arrival column; default: by the file's dialect", 0},
    {"columns", KEY_COLUMNS, "MAP", 0, "arrival=...,input=...,output=...: the file's names for these", 0},
    {"zero-output", KEY_ZERO, "skip|one|error", 0, "requests without output (default: skip and count)", 0},
    {"rebase", KEY_REBASE, NULL, 0, "move the first arrival to 0", 0},
    {"spread-ticks", KEY_SPREAD, NULL, 0, "spread requests of one clock tick over the time to the next", 0},
    {"hash-block-size", KEY_HASH_BLOCK, "TOKENS", 0, "tokens of a hashed block; default: by dialect", 0},
    {"time-scale", KEY_SCALE, "K", 0, "multiply the gaps between arrivals: 0.5 is twice the load", 0},
    {0},
};

static const char *const units[] = {"by_dialect", "s", "ms", "us", "ns", NULL};
static const char *const zero_outputs[] = {"skip", "one", "error", NULL};

static error_t parse_read(int key, char *arg, struct argp_state *state)
{
    struct trc_options *o = state->input;
    switch (key) {
    case KEY_UNIT:
        o->time_unit = (enum trc_time_unit)exp_cli_choice(state, "--time-unit", arg, units);
        return 0;
    case KEY_COLUMNS:
        o->columns = arg;
        return 0;
    case KEY_ZERO:
        o->zero_output = (enum trc_zero_output)exp_cli_choice(state, "--zero-output", arg, zero_outputs);
        return 0;
    case KEY_REBASE:
        o->rebase = true;
        return 0;
    case KEY_SPREAD:
        o->spread_ticks = true;
        return 0;
    case KEY_HASH_BLOCK:
        o->hash_block_size = (uint32_t)exp_cli_count(state, "--hash-block-size", arg, 1, 1 << 20);
        return 0;
    case KEY_SCALE:
        o->time_scale = exp_cli_real(state, "--time-scale", arg, 1e-9, 1e9);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp exp_trace_options = {read_options, parse_read, NULL, NULL, NULL, NULL, NULL};
static const struct argp_child read_child[] = {{&exp_trace_options, 0, "Reading:", 0}, {0}};

/* ---- info ---- */

struct info_arguments {
    struct trc_options read;
    const char *file;
    bool json;
};
enum { KEY_JSON = 0x100, KEY_HOW, KEY_MULTIPLY, KEY_SEED };

static const struct argp_option info_options[] = {
    {"json", KEY_JSON, NULL, 0, "print one JSON object", 0},
    {0},
};

static error_t parse_info(int key, char *arg, struct argp_state *state)
{
    struct info_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->read;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->file)
            argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`, expected one file", arg);
        a->file = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, SIM_EXIT_USAGE, 0, "no trace given");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp info_argp = {
    info_options,
    parse_info,
    "FILE",
    "Says what is in a trace: dialect, lengths, load, burstiness, shared prefixes. "
    "FILE is CSV or JSON lines, plain or .gz; - is standard input.",
    read_child,
    NULL,
    NULL};

bool exp_trace_info(int argc, char **argv, struct sim_status *st)
{
    struct info_arguments a = {.read.lengths_only_ok = true};
    argp_parse(&info_argp, argc, argv, 0, NULL, &a);
    struct trc_trace *t = trc_read(a.file, &a.read, st);
    if (!t) return false;
    struct trc_info info;
    trc_info(t, &info);
    bool ok = true;
    if (a.json)
        ok = exp_print_json(trc_info_json(&info), st);
    else
        trc_info_print(&info, stdout);
    bool arrivals = t->has_arrivals;
    trc_free(t);
    if (ok && fflush(stdout) == 0)
        exp_next(arrivals ? "kvsim run SCENARIO --trace %s"
                          : "kvsim trace synth --rate 1 --input file:%s:COLUMN --output file:%s:COLUMN",
                 a.file, a.file);
    return ok;
}

/* ---- convert ---- */

struct convert_arguments {
    struct trc_options read;
    const char *in, *out;
    double multiply;
    enum trc_how how;
    uint64_t seed;
};

static const char *const hows[] = {"superpose", "compress", "thin", NULL};

static const struct argp_option convert_options[] = {
    {"multiply", KEY_MULTIPLY, "K", 0, "K times the load", 0},
    {"how", KEY_HOW, "superpose|compress|thin", 0, "how (default: superpose, keeps the time scale of bursts)",
     0},
    {"seed", KEY_SEED, "N", 0, "of the random choices in --multiply (default: 1)", 0},
    {0},
};

static error_t parse_convert(int key, char *arg, struct argp_state *state)
{
    struct convert_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->read;
        return 0;
    case KEY_MULTIPLY:
        a->multiply = exp_cli_real(state, "--multiply", arg, 1e-6, 1e4);
        return 0;
    case KEY_HOW:
        a->how = (enum trc_how)exp_cli_choice(state, "--how", arg, hows);
        return 0;
    case KEY_SEED:
        a->seed = exp_cli_count(state, "--seed", arg, 0, UINT64_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (a->out) argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`", arg);
        if (a->in)
            a->out = arg;
        else
            a->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->in) argp_failure(state, SIM_EXIT_USAGE, 0, "no trace given");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp convert_argp = {
    convert_options,
    parse_convert,
    "IN [OUT]",
    "Writes a trace of any dialect as canonical CSV, to OUT or to standard output.",
    read_child,
    NULL,
    NULL};

bool exp_trace_convert(int argc, char **argv, struct sim_status *st)
{
    struct convert_arguments a = {.multiply = 1, .how = TRC_SUPERPOSE, .seed = 1};
    argp_parse(&convert_argp, argc, argv, 0, NULL, &a);
    struct trc_trace *t = trc_read(a.in, &a.read, st);
    if (t && a.multiply != 1) {
        struct trc_trace *scaled = trc_scale(t, a.multiply, a.how, a.seed, st);
        trc_free(t);
        t = scaled;
    }
    bool ok = t && trc_write(t, a.out ? a.out : "-", st);
    if (ok) {
        fprintf(stderr, "%s: %s, %llu requests\n", a.in, t->dialect, (unsigned long long)t->n_requests);
        exp_next("kvsim trace info %s", a.out ? a.out : "FILE");
    }
    trc_free(t);
    return ok;
}

/* ---- dispatch ---- */

bool exp_cmd_trace(int argc, char **argv, struct sim_status *st)
{
    static const struct exp_command subcommands[] = {
        {"info", "what is in a trace: lengths, load, burstiness, shared prefixes", exp_trace_info},
        {"convert", "any dialect to the canonical CSV, scaled if wanted", exp_trace_convert},
        {"synth", "make a trace: arrivals and lengths to order, or like a public trace", exp_trace_synth},
    };
    return exp_dispatch(subcommands, sizeof subcommands / sizeof subcommands[0], argc, argv, st);
}
