#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/parallel.h"
#include "experiments/results.h"
#include "experiments/study/sweep.h"
#include "experiments/tuning/tune.h"
#include "sim/memory.h"

struct arguments {
    const char *scenario, *trace, *out;
    struct exp_sets sets;
    struct exp_tune_options options;
    bool json;
};

enum {
    KEY_STRATEGY = 0x100,
    KEY_OBJECTIVE,
    KEY_OVER,
    KEY_NEGATIVES,
    KEY_REPLICATIONS,
    KEY_RATES,
    KEY_TRACE,
    KEY_SET,
    KEY_JSON
};

static const struct argp_option options[] = {
    {"strategy", KEY_STRATEGY, "NAME", 0,
     "KV-cache strategy on every fleet, in place of the scenario's (kvsim list strategies)", 0},
    {"objective", KEY_OBJECTIVE, "goodput|cost|load", 0,
     "the most good requests per second (default); the lowest rent of 1,000 good answers; the highest load "
     "that "
     "holds the service levels",
     0},
    {"over", KEY_OVER, "A,B=LOW..HIGH,C=X/Y", 0,
     "parameters to search, with ranges or values of your own: budget,correction_tau=0.5..0.9,bits=2/4; also "
     "tau, "
     "window, prefetch and correction for short (default: up to three of the strategy's)",
     0},
    {"max-negatives", KEY_NEGATIVES, "R", 0,
     "largest share of answers that newly fail, by the quality record; settings that nobody scored are "
     "refused",
     0},
    {"replications", KEY_REPLICATIONS, "N", 0,
     "runs of a setting with seeds and operator errors of their own (default 16)", 0},
    {"rates", KEY_RATES, "A,B", 0,
     "miss rates before and after the change, for the comparison with policy adaptive (default 0.1,0.37); "
     "with "
     "correction rates: 0.1/0.37,0.3/0.89",
     0},
    {"trace", KEY_TRACE, "FILE", 0, "the request trace, in place of the scenario's load", 0},
    {"set", KEY_SET, "KEY=VALUE", 0,
     "set one key, e.g. workload.multiply=4 (kvsim list keys); may be repeated", 0},
    {"jobs", 'j', "N", 0, "threads (default: all cores); results do not depend on it", 0},
    {"out", 'o', "DIR", 0, "write tune.json there", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of tables", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    static const char *const objectives[] = {"goodput", "cost", "load", NULL};
    struct arguments *a = state->input;
    switch (key) {
    case KEY_STRATEGY:
        a->options.strategy = arg;
        return 0;
    case KEY_OBJECTIVE:
        a->options.objective = (enum exp_tune_objective)exp_cli_choice(state, "--objective", arg, objectives);
        return 0;
    case KEY_OVER:
        a->options.over = arg;
        return 0;
    case KEY_NEGATIVES:
        a->options.max_negatives = exp_cli_real(state, "--max-negatives", arg, 0, 1);
        return 0;
    case KEY_REPLICATIONS:
        a->options.n_replications =
            (uint32_t)exp_cli_count(state, "--replications", arg, 2, EXP_TUNE_REPLICATIONS);
        return 0;
    case KEY_RATES:
        a->options.rates = arg;
        return 0;
    case KEY_TRACE:
        a->trace = arg;
        return 0;
    case KEY_SET:
        exp_cli_add_set(state, &a->sets, arg);
        return 0;
    case 'j':
        a->options.n_threads = (uint32_t)exp_cli_count(state, "--jobs", arg, 1, 1024);
        return 0;
    case 'o':
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--out is empty, expected a folder");
        a->out = arg;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (a->scenario)
            argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`, expected one scenario", arg);
        a->scenario = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, SIM_EXIT_USAGE, 0, "no scenario given; `kvsim init scenario` writes one");
        return 0;
    default:
        return parse_option(key, arg, state);
    }
}

static const struct argp argp = {
    options,
    parse,
    "SCENARIO",
    "Searches the parameters of a KV-cache strategy for the best setting under "
    "the scenario's service levels, and says "
    "how flat the optimum is and what limits it."
    "\v"
    "Every setting meets the same requests, seeds and operator errors. Whole "
    "numbers and choices are raced: after each "
    "block of replications those that a paired test finds worse than the leader "
    "are dropped. Continuous parameters are "
    "minimised inside the best that are left. The gain over the default is that of "
    "as many other replications; the default is kept where that is below 1 %, and of settings within 0.1 % "
    "of the "
    "best the one nearest to it is taken.\n\n"
    "Without --max-negatives nothing holds answers up: a smaller budget, a "
    "lower correction_tau or fewer bits are faster "
    "and always look better. With it, settings count only where the quality "
    "record has scores of just these parameters, and those it has are tried.\n\n"
    "  kvsim tune s.yaml --strategy h2o --max-negatives 0.1\n"
    "  kvsim tune s.yaml --objective load --over budget=1024/2048,tau=0.5..0.9\n\n"
    "For strategies with kv.policy it ends with `adaptive` against the best "
    "static setting on the same load with rates "
    "that change half-way. --rates defaults to 0.1, ArkVale's share of missed "
    "pages, and 0.37, measured over the longest "
    "runs of a reasoning model.",
    NULL,
    NULL,
    NULL};

static struct exp_scenario *load(const struct arguments *a, struct sim_status *st)
{
    struct exp_scenario *s = exp_scenario_load(a->scenario, st);
    bool ok = s != NULL;
    if (ok && a->trace) ok = exp_scenario_set_trace(s, a->trace, st);
    for (uint32_t i = 0; ok && i < a->sets.n; i++) ok = exp_scenario_set_option(s, a->sets.at[i], st);
    if (ok) return s;
    free(s);
    return NULL;
}

/* ---- the next command ---- */

enum { MAX_WORDS = 8 + EXP_MAX_SETS + EXP_TUNE_KEYS * EXP_MAX_FLEETS };

static int add_settings(const struct exp_tune *t, const struct exp_tune_trial *x, char **word)
{
    int n = 0;
    for (uint32_t f = 0; f < x->scenario->n_fleets; f++) {
        if (strcmp(mdl_strategy_at((size_t)x->scenario->fleet[f].kv.strategy)->name, t->strategy) != 0)
            continue;
        for (uint32_t i = 0; i < t->n_parameters; i++)
            word[n++] = sim_printf("--set=fleet.%u.kv.%s=%s", f, mdl_kv_key_info(t->parameter[i].key)->name,
                                   exp_tune_value_text(t->parameter[i].key, x->setting.value[i]).text);
    }
    return n;
}

static void next(const struct arguments *a, const struct exp_tune *t)
{
    const struct exp_tune_trial *x = exp_tune_advice(t);
    char **word = sim_alloc(MAX_WORDS, sizeof *word);
    int n = 0;
    word[n++] = sim_strdup("kvsim run");
    word[n++] = sim_strdup(a->scenario);
    if (a->trace) word[n++] = sim_printf("--trace=%s", a->trace);
    for (uint32_t i = 0; i < a->sets.n; i++) word[n++] = sim_printf("--set=%s", a->sets.at[i]);
    if (a->options.strategy) word[n++] = sim_printf("--strategy=%s", t->strategy);
    if (x != t->usual || x->scenario->n_fleets > 1) n += add_settings(t, x, word + n);
    word[n++] = sim_printf("--replications=%u", t->n_replications);
    char *line = exp_cli_line(n, word);
    exp_next("%s   (%s)", line, x == t->usual ? "the default setting, which is kept" : "the best setting");
    while (n > 0) free(word[--n]);
    free(word);
    free(line);
}

static bool show(const struct arguments *a, const struct exp_tune *t, struct sim_status *st)
{
    if (a->out && !exp_tune_write(t, a->out, st)) return false;
    if (a->json) {
        if (!exp_print_json(exp_tune_json(t), st)) return false;
    } else {
        exp_tune_print(t, stdout);
    }
    if (!t->meets)
        return sim_fail_as(
            st, SIM_EXIT_INFEASIBLE,
            "no setting of %s meets the service levels on average; `kvsim plan` sizes a fleet that does",
            t->strategy);
    next(a, t);
    return true;
}

/* ---- an end before the end ---- */

enum { N_SIGNALS = 2 };
#define LAST_WORDS "interrupted, nothing was written\n"

static void leave(const char *words, size_t length)
{
    if (write(STDERR_FILENO, words, length) < 0) _exit(SIM_EXIT_FAILURE);
    _exit(EXP_EXIT_INTERRUPTED);
}

static void on_signal(int number)
{
    (void)number;
    leave(LAST_WORDS, sizeof LAST_WORDS - 1);
}

/* Over the progress that stands there. */
static void on_signal_at_terminal(int number)
{
    static const char words[] = "\r                    \r" LAST_WORDS;
    (void)number;
    leave(words, sizeof words - 1);
}

/* Not what whoever started the program has it ignore. */
static void catch_signals(struct sigaction before[N_SIGNALS])
{
    static const int signals[N_SIGNALS] = {SIGINT, SIGTERM};
    struct sigaction own = {.sa_handler = isatty(STDERR_FILENO) ? on_signal_at_terminal : on_signal};
    for (int i = 0; i < N_SIGNALS; i++)
        if (sigaction(signals[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
            sigaction(signals[i], &own, NULL);
}

static void release_signals(const struct sigaction before[N_SIGNALS])
{
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
}

/* Up to here nothing is written but an empty folder. */
static bool search(const struct arguments *a, struct exp_cache **cache, struct exp_tune *t,
                   struct sim_status *st)
{
    struct sigaction before[N_SIGNALS];
    catch_signals(before);
    struct exp_scenario *s = load(a, st);
    bool ok = s && (!a->out || exp_results_prepare(a->out, st)) && (*cache = exp_cache_new(st));
    if (ok) exp_cache_share_costs(*cache);
    ok = ok && exp_tune_run(s, *cache, &a->options, t, st);
    release_signals(before);
    free(s);
    return ok;
}

bool exp_cmd_tune(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {
        .options = {.max_negatives = NAN, .n_replications = 16, .n_threads = exp_processors()}};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct exp_tune *t = sim_alloc(1, sizeof *t);
    struct exp_cache *cache = NULL;
    bool ok = search(&a, &cache, t, st) && show(&a, t, st);
    exp_tune_fini(t);
    exp_cache_free(cache);
    free(t);
    return ok;
}
