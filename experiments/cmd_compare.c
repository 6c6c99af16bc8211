#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/compare.h"
#include "experiments/report/report.h"
#include "experiments/results.h"
#include "experiments/parallel.h"
#include "sim/memory.h"

enum { MAX_REPLICATIONS = 100000, LEAST_WIDTH = 80, MOST_WIDTH = 160 };

struct arguments {
    const char *scenario, *trace, *strategies, *out;
    struct exp_sets sets;
    struct exp_compare_options options;
    bool json, csv, no_length_shift;
};

enum { KEY_STRATEGIES = 0x100, KEY_TRACE, KEY_SET, KEY_REPLICATIONS, KEY_JSON, KEY_CSV, KEY_NO_LENGTH_SHIFT };

static const struct argp_option options[] = {
    {"strategies", KEY_STRATEGIES, "A,B,C", 0,
     "KV-cache strategies, with settings as in freekv:budget=1024, or all (kvsim list strategies); beside a "
     "strategy's parameters length_pairs, quality, fallback.when and fallback.below_tokens; full is always "
     "among them",
     0},
    {"trace", KEY_TRACE, "FILE", 0, "the request trace, in place of the scenario's load", 0},
    {"set", KEY_SET, "KEY=VALUE", 0,
     "set one key, e.g. workload.multiply=4 (kvsim list keys); may be repeated", 0},
    {"replications", KEY_REPLICATIONS, "N", 0,
     "intervals: N runs of each with operator errors and seeds drawn anew, the same for every strategy", 0},
    {"jobs", 'j', "N", 0, "threads (default: all cores)", 0},
    {"no-length-shift", KEY_NO_LENGTH_SHIFT, NULL, 0, "outputs as long as with full KV", 0},
    {"out", 'o', "DIR", 0,
     "write compare.json, compare.csv, scenario.yaml, a report and a summary of each strategy there", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of tables", 0},
    {"csv", KEY_CSV, NULL, 0, "print one CSV row per strategy instead of tables", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_STRATEGIES:
        a->strategies = arg;
        return 0;
    case KEY_TRACE:
        a->trace = arg;
        return 0;
    case KEY_SET:
        exp_cli_add_set(state, &a->sets, arg);
        return 0;
    case KEY_REPLICATIONS:
        a->options.n_replications =
            (uint32_t)exp_cli_count(state, "--replications", arg, 2, MAX_REPLICATIONS);
        return 0;
    case 'j':
        a->options.n_threads = (uint32_t)exp_cli_count(state, "--jobs", arg, 1, 1024);
        return 0;
    case KEY_NO_LENGTH_SHIFT:
        a->no_length_shift = true;
        return 0;
    case 'o':
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--out is empty, expected a folder");
        a->out = arg;
        a->options.curves = true;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_CSV:
        a->csv = true;
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
    case ARGP_KEY_END:
        if (a->json && a->csv)
            argp_failure(state, SIM_EXIT_USAGE, 0,
                         "--json and --csv: both go to standard output, expected one");
        return 0;
    default:
        return parse_option(key, arg, state);
    }
}

static const struct argp argp = {
    options,
    parse,
    "SCENARIO",
    "Runs a scenario under several KV-cache strategies, prints them side by side with their differences to "
    "full, and says which win for this load and why the others do not."
    "\v"
    "Without --strategies: fp8, int4, kivi4, gear4, streaming_llm, h2o, snapkv, quest, arkvale, infinigen, "
    "shadowkv and freekv, which are what engines ship and what the two papers behind the catalogue measure "
    "against each other.\n\n"
    "Differences to full are those of the printed means. With --replications, ~ marks those that may be none "
    "when replications are compared pair by pair, each with full under the same seed and errors.\n\n"
    "Measured lengths (kv.length_pairs) are those of the strategy that the scenario names, and of no other "
    "row; a quality record (kv.quality) holds for all of them. A fleet that a class asks for "
    "(classes.NAME.kv.strategy) keeps its strategy in every row.",
    NULL,
    NULL,
    NULL};

static struct exp_scenario *load(const struct arguments *a, struct sim_status *st)
{
    struct exp_scenario *s = exp_scenario_load(a->scenario, st);
    bool ok = s != NULL;
    if (ok && a->trace) ok = exp_scenario_set_trace(s, a->trace, st);
    for (uint32_t i = 0; ok && i < a->sets.n; i++) ok = exp_scenario_set_option(s, a->sets.at[i], st);
    if (ok && a->no_length_shift) s->length_shift = false;
    if (ok) return s;
    free(s);
    return NULL;
}

struct job {
    const struct arguments *a;
    const char *line; /* the command as typed */
    struct exp_scenario *scenario;
    struct exp_cache *cache;
};

/* Of the terminal, within what the tables are made for; the least where there is none. */
static uint32_t screen_width(void)
{
    struct winsize w = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col < LEAST_WIDTH) return LEAST_WIDTH;
    return w.ws_col > MOST_WIDTH ? MOST_WIDTH : w.ws_col;
}

enum { MAX_WORDS = 8 + 2 * (EXP_MAX_SETS + EXP_MAX_KV_SETTINGS * EXP_MAX_FLEETS) };

/* `kvsim run` of the same scenario, under a contender when there is one; free with free(). */
static char *run_line(const struct arguments *a, const struct exp_scenario *s, const struct exp_contender *c)
{
    char **word = sim_alloc(MAX_WORDS, sizeof *word);
    int n = 0;
    word[n++] = sim_strdup("kvsim run");
    word[n++] = sim_strdup(a->scenario);
    if (a->trace) word[n++] = sim_printf("--trace=%s", a->trace);
    for (uint32_t i = 0; i < a->sets.n; i++) word[n++] = sim_printf("--set=%s", a->sets.at[i]);
    if (c) word[n++] = sim_printf("--strategy=%s", c->strategy->name);
    for (uint32_t i = 0; c && i < c->n_settings; i++)
        for (uint32_t f = 0; f < s->n_fleets; f++)
            word[n++] = sim_printf("--set=fleet.%u.kv.%s=%s", f, c->setting[i].key, c->setting[i].value);
    char *line = exp_cli_line(n, word);
    while (n > 0) free(word[--n]);
    free(word);
    return line;
}

/* --strategy changes every fleet, those that a class asks for, too. */
static bool keeps_a_fleet(const struct exp_scenario *s)
{
    for (uint32_t i = 0; i < s->n_classes; i++)
        if (s->classes[i].kv_strategy.given) return true;
    return false;
}

static void next(const struct job *j, const struct exp_compare *c)
{
    if (!j->a->options.n_replications) {
        exp_next("%s --replications 16   (which differences are more than noise)", j->line);
        return;
    }
    const struct exp_compare_row *best = keeps_a_fleet(j->scenario) ? NULL : exp_compare_winner(c);
    char *line = run_line(j->a, j->scenario, best ? &j->a->options.contenders->at[best - c->row] : NULL);
    if (best)
        exp_next("%s --out DIR   (every request under the best)", line);
    else
        exp_next("%s   (what the load waits for)", line);
    free(line);
}

/* full is there unasked. */
static bool any_asked_runs(const struct exp_compare *c)
{
    for (uint32_t i = 1; i < c->n_rows; i++)
        if (!c->row[i].why_not[0]) return true;
    return c->n_rows == 1;
}

static bool show(const struct job *j, const struct exp_compare *c, struct sim_status *st)
{
    const struct arguments *a = j->a;
    struct exp_compare_made made = {j->scenario, exp_cache_data_dir(j->cache)};
    if (a->out && !exp_compare_write(c, &made, a->out, st)) return false;
    if (a->out) exp_report_note_charts();
    if (a->json) {
        if (!exp_print_json(exp_compare_json(c), st)) return false;
    } else if (a->csv) {
        exp_compare_csv(c, stdout);
    } else {
        exp_compare_print(c, screen_width(), exp_cli_bold(), stdout);
    }
    if (!any_asked_runs(c))
        return sim_fail(st,
                        "--strategies: none of those asked for runs here, expected one; each row says why");
    next(j, c);
    return true;
}

static bool compare(struct job *j, struct sim_status *st)
{
    struct exp_compare c = {0};
    bool ok = exp_scenario_check(j->scenario, st) && (!j->a->out || exp_results_prepare(j->a->out, st)) &&
              (j->cache = exp_cache_new(st)) &&
              exp_compare_run(j->scenario, j->cache, &j->a->options, &c, st) && show(j, &c, st);
    exp_compare_fini(&c);
    return ok;
}

bool exp_cmd_compare(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.options.n_threads = exp_processors()};
    char *line = exp_cli_line(argc, argv); /* argp reorders argv */
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct exp_contenders *contenders = sim_alloc(1, sizeof *contenders);
    struct job j = {.a = &a, .line = line};
    a.options.contenders = contenders;
    bool ok =
        exp_contenders_parse(a.strategies, contenders, st) && (j.scenario = load(&a, st)) && compare(&j, st);
    exp_cache_free(j.cache);
    free(contenders);
    free(j.scenario);
    free(line);
    return ok;
}
