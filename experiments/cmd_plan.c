/* `kvsim plan`: a plan file, or options that make one, to the decision sheet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/parallel.h"
#include "experiments/planning/file/dry_run.h"
#include "experiments/planning/pilot/pilot.h"
#include "experiments/report/report.h"
#include "experiments/results.h"
#include "sim/memory.h"
#include "sim/outfile.h"

/* Options that stand for a key of the plan, in the order in which they are taken. */
enum {
    KEY_MODEL = 0x100,
    KEY_TRACE,
    KEY_MULTIPLY,
    KEY_TTFT,
    KEY_TPOT,
    KEY_E2EL,
    KEY_PERCENTILE,
    KEY_GPU,
    KEY_TENSOR_PARALLEL,
    KEY_STRATEGIES,
    KEYS_END,
    KEY_SET,
    KEY_SAVE,
    KEY_DRY_RUN,
    KEY_MAX_LOAD,
    KEY_DEEP,
    KEY_PILOT,
    KEY_SCORES,
    KEY_JSON,
    KEY_LANG,
    KEY_ALL,
    KEY_MARKDOWN
};
enum { N_KEYS = KEYS_END - KEY_MODEL };

static const struct {
    const char *option, *path;
    bool limit; /* of the class that no other takes */
} keys[N_KEYS] = {
    [KEY_MODEL - KEY_MODEL] = {"--model", "model", false},
    [KEY_TRACE - KEY_MODEL] = {"--trace", "load.trace", false},
    [KEY_MULTIPLY - KEY_MODEL] = {"--multiply", "load.multiply", false},
    [KEY_TTFT - KEY_MODEL] = {"--ttft-ms", "slo.ttft_ms", true},
    [KEY_TPOT - KEY_MODEL] = {"--tpot-ms", "slo.tpot_ms", true},
    [KEY_E2EL - KEY_MODEL] = {"--e2el-ms", "slo.e2el_ms", true},
    [KEY_PERCENTILE - KEY_MODEL] = {"--percentile", "slo.percentile", true},
    [KEY_GPU - KEY_MODEL] = {"--gpu", "search.gpu", false},
    [KEY_TENSOR_PARALLEL - KEY_MODEL] = {"--tensor-parallel", "search.tensor_parallel", false},
    [KEY_STRATEGIES - KEY_MODEL] = {"--strategies", "search.strategy", false},
};

struct arguments {
    const char *file, *save, *out, *measured, *scores;
    const char *value[N_KEYS];
    struct exp_sets sets;
    struct exp_sheet_options sheet;
    uint32_t n_threads;
    bool dry_run, max_load, deep, json;
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What is planned, in place of PLAN.yaml or over it:", 1},
    {"model", KEY_MODEL, "M", 0, "catalogue name (kvsim list models), or a config.json", 0},
    {"trace", KEY_TRACE, "FILE", 0, "the request trace", 0},
    {"multiply", KEY_MULTIPLY, "K", 0, "so many times its load", 0},
    {"ttft-ms", KEY_TTFT, "X", 0, "limit on time to first token", 0},
    {"tpot-ms", KEY_TPOT, "X", 0, "limit on time per output token", 0},
    {"e2el-ms", KEY_E2EL, "X", 0, "limit on end-to-end latency", 0},
    {"percentile", KEY_PERCENTILE, "P", 0, "share of requests that must meet them, in percent (default: 99)",
     0},
    {"gpu", KEY_GPU, "A,B", 0, "cards to choose from (kvsim list gpus)", 0},
    {"tensor-parallel", KEY_TENSOR_PARALLEL, "1,2", 0, "GPUs of a replica", 0},
    {"strategies", KEY_STRATEGIES, "A,B", 0,
     "KV-cache strategies, with settings as in freekv:budget=1024, or all", 0},
    {"set", KEY_SET, "KEY=VALUE", 0,
     "set one key, e.g. spare.servers=1 (kvsim list plan-keys); may be repeated", 0},
    {"save", KEY_SAVE, "FILE", 0, "write the plan with every value that is used", 0},
    {NULL, 0, NULL, 0, "What is asked:", 2},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "inputs found, candidates and estimated time; runs nothing of it", 0},
    {"max-load", KEY_MAX_LOAD, NULL, 0, "the reverse: how much traffic the machines under `have` carry", 0},
    {"deep", KEY_DEEP, NULL, 0, "search engine knobs and strategy parameters too", 0},
    {"pilot", KEY_PILOT, "MEASURED.csv", 0, "put what a pilot measured in the place of what is assumed", 0},
    {"scores", KEY_SCORES, "S.csv", 0, "with --pilot: scores of its answers, as `kvsim quality` reads them",
     0},
    {"jobs", 'j', "N", 0, "threads (default: all cores)", 0},
    {NULL, 0, NULL, 0, "How it is shown:", 3},
    {"out", 'o', "DIR", 0,
     "write the sheet, report.html, plan.json, plan.csv, plan.yaml and scenario.yaml there", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of the sheet", 0},
    {"markdown", KEY_MARKDOWN, NULL, 0, "the sheet and the integrator's page as Markdown", 0},
    {"lang", KEY_LANG, "en|ja", 0, "language of the sheet (default: en)", 0},
    {"all", KEY_ALL, NULL, 0, "the losers and the integrator's page too", 0},
    {0},
};

/* ---- options ---- */

static error_t parse_how(int key, char *arg, struct argp_state *state)
{
    static const char *const languages[] = {"en", "ja", NULL};
    struct arguments *a = state->input;
    switch (key) {
    case 'j':
        a->n_threads = (uint32_t)exp_cli_count(state, "--jobs", arg, 1, 1024);
        return 0;
    case 'o':
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--out is empty, expected a folder");
        a->out = arg;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_LANG:
        a->sheet.language = (enum exp_language)exp_cli_choice(state, "--lang", arg, languages);
        return 0;
    case KEY_ALL:
        a->sheet.all = true;
        return 0;
    case KEY_MARKDOWN:
        a->sheet.markdown = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_what(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_SET:
        exp_cli_add_set(state, &a->sets, arg);
        return 0;
    case KEY_SAVE:
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--save is empty, expected a file");
        a->save = arg;
        return 0;
    case KEY_DRY_RUN:
        a->dry_run = true;
        return 0;
    case KEY_MAX_LOAD:
        a->max_load = true;
        return 0;
    case KEY_DEEP:
        a->deep = true;
        return 0;
    case KEY_PILOT:
        a->measured = arg;
        return 0;
    case KEY_SCORES:
        a->scores = arg;
        return 0;
    default:
        return parse_how(key, arg, state);
    }
}

/* Is it another plan than the file's? */
static bool is_changed(const struct arguments *a)
{
    bool any = a->sets.n > 0;
    for (int i = 0; i < N_KEYS; i++) any |= a->value[i] != NULL;
    return any;
}

static void check_together(const struct arguments *a, struct argp_state *state)
{
    const bool japanese = a->sheet.language == EXP_JAPANESE;
    const struct {
        bool both;
        const char *names;
    } apart[] = {{a->json && a->sheet.markdown, "--json and --markdown"},
                 {a->json && japanese && !a->out, "--json and --lang"},
                 {a->max_load && a->measured, "--max-load and --pilot"},
                 {a->max_load && a->deep, "--max-load and --deep"},
                 {a->max_load && a->out, "--max-load and --out"},
                 {a->max_load && a->dry_run, "--max-load and --dry-run"},
                 {a->max_load && a->sheet.markdown, "--max-load and --markdown"},
                 {a->max_load && a->sheet.all, "--max-load and --all"},
                 {a->max_load && japanese, "--max-load and --lang"},
                 {a->dry_run && a->measured, "--dry-run and --pilot"}};
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++)
        if (apart[i].both)
            argp_failure(state, SIM_EXIT_USAGE, 0, "%s: cannot be had together, expected one",
                         apart[i].names);
    if (a->scores && !a->measured)
        argp_failure(state, SIM_EXIT_USAGE, 0,
                     "--scores: are of a pilot's answers, expected --pilot MEASURED.csv with them");
    if (!a->file && !is_changed(a))
        argp_failure(
            state, SIM_EXIT_USAGE, 0,
            "no plan given, expected PLAN.yaml (`kvsim init plan` writes one) or --model M --trace FILE "
            "--ttft-ms X --tpot-ms Y");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    if (key >= KEY_MODEL && key < KEYS_END) {
        a->value[key - KEY_MODEL] = arg;
        return 0;
    }
    switch (key) {
    case ARGP_KEY_ARG:
        if (a->file)
            argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`, expected one plan", arg);
        a->file = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        return 0;
    case ARGP_KEY_END:
        check_together(a, state);
        return 0;
    default:
        return parse_what(key, arg, state);
    }
}

static const struct argp argp = {
    options,
    parse,
    "[PLAN.yaml]",
    "Finds the cheapest fleet and KV-cache strategy that meet the service levels of a load, and says what "
    "they "
    "cost, when they pay back, what can go wrong, how sure that is and what to measure first."
    "\v"
    "Without PLAN.yaml, options make the plan; every value that nobody gave is printed with (default). The "
    "sheet: the winner and its money, four checks, candidates by cost over the horizon, what would change "
    "the "
    "answer, assumptions, prices with their dates.\n\n"
    "Exit 3: no candidate meets the service levels; the last line names the smallest relaxation that would "
    "do.",
    NULL,
    NULL,
    NULL};

/* ---- the plan ---- */

/* Limits on the command line are those of class default, wherever the plan has it. */
static const char *path_of(const struct exp_plan *p, int i, char *room, size_t size)
{
    for (uint32_t c = 0; keys[i].limit && c < p->base->n_classes; c++)
        if (strcmp(p->base->classes[c].name, "default") == 0) {
            snprintf(room, size, "classes.default.%s", keys[i].path);
            return room;
        }
    return keys[i].path;
}

static struct exp_plan *load(const struct arguments *a, struct sim_status *st)
{
    struct exp_plan *p = a->file ? exp_plan_load(a->file, st) : exp_plan_new();
    bool ok = p != NULL;
    for (int i = 0; ok && i < N_KEYS; i++) {
        char room[EXP_PLAN_PATH_BYTES];
        if (a->value[i])
            ok = exp_plan_set_from(p, keys[i].option, path_of(p, i, room, sizeof room), a->value[i], st);
    }
    for (uint32_t i = 0; ok && i < a->sets.n; i++) ok = exp_plan_set_option(p, a->sets.at[i], st);
    if (ok) return p;
    exp_plan_free(p);
    return NULL;
}

static bool save(const struct arguments *a, struct exp_plan *p, struct sim_status *st)
{
    if (!a->save) return true;
    struct sim_outfile *f = sim_outfile_open(a->save, st);
    if (!f) return false;
    exp_plan_write(p, sim_outfile_stream(f));
    return sim_outfile_commit(f, st);
}

/* What options made is shown before it is used. */
static void show_plan(const struct arguments *a, const struct exp_plan *p)
{
    FILE *out = a->json ? stderr : stdout;
    if (a->file) return;
    exp_plan_print(p, out);
    fputc('\n', out);
}

/* ---- what follows from it ---- */

struct job {
    const struct arguments *a;
    char **argv; /* as typed; argp reorders the other */
    int argc;
    struct exp_plan *plan;
    struct exp_cache *cache;
    struct mdl_prices *prices;
    char *kept; /* the file that holds this plan, or will; NULL when there is none */
};

static void name_file(struct job *j)
{
    const struct arguments *a = j->a;
    if (a->save || (a->file && !is_changed(a)))
        j->kept = sim_strdup(a->save ? a->save : a->file);
    else if (a->out)
        j->kept = sim_printf("%s/plan.yaml", a->out);
    if (j->kept) snprintf(j->plan->file, sizeof j->plan->file, "%s", j->kept); /* what the sheet names */
}

/* The command again, without an option when there is one to leave out; free with free(). */
static char *again(const struct job *j, const char *without)
{
    char **word = sim_alloc((size_t)j->argc + 1, sizeof *word);
    int n = 0;
    for (int i = 0; i < j->argc; i++)
        if (!without || strncmp(j->argv[i], without, strlen(without)) != 0) word[n++] = j->argv[i];
    char *line = exp_cli_line(n, word);
    free(word);
    return line;
}

static bool dry_run(const struct job *j, struct sim_status *st)
{
    struct exp_dry_run *d = sim_alloc(1, sizeof *d);
    const struct exp_dry_run_options o = {j->a->n_threads, j->a->deep};
    bool ok = exp_dry_run(j->plan, j->prices, j->cache, &o, d, st);
    if (ok && j->a->json) ok = exp_print_json(exp_dry_run_json(d), st);
    if (ok && !j->a->json) exp_dry_run_print(j->plan, d, stdout);
    free(d);
    if (!ok) return false;
    char *line = again(j, "--dry");
    exp_next("%s", line);
    free(line);
    return true;
}

static bool any_carries(const struct exp_max_load *m)
{
    for (uint32_t i = 0; i < m->n_rows; i++)
        if (!m->row[i].why_not[0]) return true;
    return false;
}

static bool max_load(const struct job *j, struct sim_status *st)
{
    struct exp_max_load *m = sim_alloc(1, sizeof *m);
    struct exp_loads *loads = exp_loads_new(j->plan, j->cache);
    bool ok = exp_max_load_run(j->plan, j->cache, loads, j->a->n_threads, m, st);
    if (ok && j->a->json) ok = exp_print_json(exp_max_load_json(m), st);
    if (ok && !j->a->json) exp_max_load_print(j->plan, m, stdout);
    if (ok && !any_carries(m))
        ok = sim_fail_as(st, SIM_EXIT_INFEASIBLE,
                         "--max-load: what there is meets the service levels at no load, expected a strategy "
                         "that runs there; each row says why");
    char *line = again(j, "--max-load");
    if (ok) exp_next("%s   (the cheapest way to carry more)", line);
    free(line);
    exp_loads_free(loads);
    free(m);
    return ok;
}

/* ---- the decision ---- */

static bool announce_deep(const struct job *j, struct sim_status *st)
{
    struct exp_dry_run *d = sim_alloc(1, sizeof *d);
    const struct exp_dry_run_options o = {j->a->n_threads, true};
    bool ok = exp_dry_run(j->plan, j->prices, j->cache, &o, d, st);
    if (ok)
        fprintf(stderr, "deep search: about %s simulations, %s\n", exp_count_words(d->n_runs).text,
                exp_duration_words(d->seconds).text);
    free(d);
    return ok;
}

static bool print(const struct job *j, const struct exp_decision *d, struct sim_status *st)
{
    struct exp_sheet_options o = j->a->sheet;
    if (j->a->json) return exp_print_json(exp_decision_json(d), st);
    o.bold = exp_cli_bold();
    exp_sheet_print(d, &o, stdout);
    if (o.markdown || o.all) exp_sheet_print_details(d, &o, stdout);
    return true;
}

static bool infeasible(const struct job *j, const struct exp_decision *d, struct sim_status *st)
{
    const char *what = j->plan->file[0] ? j->plan->file : "plan";
    if (d->search.n_finalists)
        return sim_fail_as(st, SIM_EXIT_INFEASIBLE,
                           "%s: what meets the service levels has answers that nobody scored, while failures "
                           "have a price or a limit; score them with `kvsim quality`, or add strategy full",
                           what);
    const char *relaxation = d->search.relaxation;
    return sim_fail_as(st, SIM_EXIT_INFEASIBLE, "%s: no candidate meets the service levels%s%s", what,
                       relaxation[0] ? ": " : "; --all says why of each", relaxation);
}

static void next(const struct job *j, const struct exp_decision *d)
{
    char why[400], *line = again(j, NULL);
    const char *file = j->kept;
    bool go = d->pilot && exp_pilot_verdict(d, why, sizeof why) == EXP_GO;
    if (!file)
        exp_next("%s --save plan.yaml   (then: kvsim pilot plan.yaml)", line);
    else if (go && !j->a->out)
        exp_next("%s --out DIR   (what to order)", line);
    else if (go)
        exp_next("kvsim run %s/scenario.yaml   (what was decided)", j->a->out);
    else
        exp_next("kvsim pilot %s", file);
    free(line);
}

static bool take_pilot(const struct job *j, struct exp_decision *d, struct exp_pilot_findings *findings,
                       struct sim_status *st)
{
    if (!j->a->measured) return true;
    if (!exp_pilot_row(d)) {
        exp_note(&d->notes, "%s was not read: the plan as it is has no finalist that it could be of",
                 j->a->measured);
        return true;
    }
    if (!exp_pilot_read(d, j->cache, j->a->measured, j->a->scores, findings, st)) return false;
    exp_decision_take_pilot(d, findings, j->a->n_threads);
    return true;
}

static bool decide(const struct job *j, struct sim_status *st)
{
    const struct exp_decision_options o = {.n_threads = j->a->n_threads, .deep = j->a->deep};
    struct exp_pilot_findings *findings = sim_alloc(1, sizeof *findings);
    struct exp_decision *d = sim_alloc(1, sizeof *d);
    bool ok = (!j->a->deep || announce_deep(j, st)) && exp_decide(j->plan, j->prices, j->cache, &o, d, st);
    if (ok) {
        ok = take_pilot(j, d, findings, st) && print(j, d, st) &&
             (!j->a->out || exp_decision_write(d, j->a->sheet.language, j->a->out, st));
        if (ok && j->a->out) exp_report_note_charts();
        if (ok && d->best == UINT32_MAX)
            ok = infeasible(j, d, st);
        else if (ok)
            next(j, d);
        exp_decision_fini(d);
    }
    free(d);
    free(findings);
    return ok;
}

/* The plan that is read has comments and paths of its own: what is written lies elsewhere. */
static bool spares_input(const struct arguments *a, const char *option, const char *target,
                         struct sim_status *st)
{
    bool same = a->file && target && sim_is_same_file(a->file, target);
    return !same || sim_fail_as(st, SIM_EXIT_USAGE,
                                "%s: would replace %s, which is the plan that is read; name another place",
                                option, target);
}

static bool spares_inputs(const struct arguments *a, struct sim_status *st)
{
    char *written = a->out && !a->dry_run ? sim_printf("%s/plan.yaml", a->out) : NULL;
    bool ok = spares_input(a, "--save", a->save, st) && spares_input(a, "--out", written, st);
    free(written);
    return ok;
}

static bool is_there(const char *option, const char *file, struct sim_status *st)
{
    return !file || access(file, R_OK) == 0 ||
           sim_fail(st, "%s: %s cannot be read (%s), expected a file; correct the path", option, file,
                    strerror(errno));
}

/* What can be known to fail is known before anything is printed or written. */
static bool inputs(struct job *j, struct sim_status *st)
{
    const struct arguments *a = j->a;
    const struct exp_workload_keys *w = &j->plan->base->workload;
    return spares_inputs(a, st) && (w->source != EXP_TRACE || exp_cache_trace(j->cache, w, st)) &&
           is_there("--pilot", a->measured, st) && is_there("--scores", a->scores, st) &&
           (j->prices = exp_plan_prices(j->plan, exp_cache_data_dir(j->cache), st)) &&
           (!a->out || a->dry_run || exp_results_prepare(a->out, st)) && save(a, j->plan, st);
}

static bool plan(struct job *j, struct sim_status *st)
{
    const struct arguments *a = j->a;
    if (!(j->plan = load(a, st)) || !(j->cache = exp_cache_new(st)) ||
        !exp_plan_check(j->plan, j->cache, st) || !inputs(j, st))
        return false;
    show_plan(a, j->plan);
    name_file(j);
    if (a->dry_run) return dry_run(j, st);
    return a->max_load ? max_load(j, st) : decide(j, st);
}

bool exp_cmd_plan(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.n_threads = exp_processors()};
    char **typed = sim_alloc((size_t)argc + 1, sizeof *typed);
    memcpy(typed, argv, (size_t)argc * sizeof *typed);
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct job j = {.a = &a, .argv = typed, .argc = argc};
    bool ok = plan(&j, st);
    free(j.kept);
    free(j.prices);
    exp_cache_free(j.cache);
    exp_plan_free(j.plan);
    free(typed);
    return ok;
}
