#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/parallel.h"
#include "experiments/quality/record_as.h"
#include "experiments/quality/record_out.h"
#include "sim/memory.h"

enum { MAX_FILES = 4096, MAX_ASKED = 1024, DRAWS = 1000, MAX_DRAWS = 100000, WORST = 3, MAX_WORST = 10000 };

struct words {
    const char *at[MAX_ASKED];
    uint32_t n;
};

struct arguments {
    const char *file[MAX_FILES];
    uint32_t n_files;
    struct exp_scores_options read;
    const char *baseline, *rerun, *methods, *critical, *mix, *record;
    struct words sets, record_as;
    struct exp_quality_question ask;
    uint32_t n_worst;
    bool json;
};

enum {
    KEY_BASELINE = 0x100,
    KEY_METHODS,
    KEY_SET,
    KEY_THETA,
    KEY_RULE,
    KEY_BENIGN,
    KEY_SCALE,
    KEY_TRUNCATED,
    KEY_COMMON,
    KEY_STRICT,
    KEY_RERUN,
    KEY_CRITICAL,
    KEY_GUARD,
    KEY_MIX,
    KEY_RECORD,
    KEY_RECORD_AS,
    KEY_BOOTSTRAP,
    KEY_SEED,
    KEY_WORST,
    KEY_JSON,
    KEY_ALG,
    KEY_PARAMS,
    KEY_TASK
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What is read:", 1},
    {"scale", KEY_SCALE, "K", 0, "scores are divided by it: 100 for percentages", 0},
    {"alg", KEY_ALG, "NAME", 0, "method of files that do not say (default: from a JSON file's name)", 0},
    {"params", KEY_PARAMS, "TEXT", 0, "its parameters", 0},
    {"task", KEY_TASK, "NAME", 0, "task of files that do not say (default: from a JSON file's name)", 0},
    {NULL, 0, NULL, 0, "What is compared:", 2},
    {"baseline", KEY_BASELINE, "M", 0,
     "the method with full KV (default: the only one called hf, full, fp16, bf16 or baseline)", 0},
    {"methods", KEY_METHODS, "A,B", 0, "only these, each alone; the beginning of a name will do", 0},
    {"set", KEY_SET, "A+B", 0, "a set: negative is what is negative for all of it; may be repeated", 0},
    {"baseline-rerun", KEY_RERUN, "M", 0,
     "full KV measured again: the noise floor, printed beside the others", 0},
    {"common", KEY_COMMON, NULL, 0, "only samples that all of the methods have", 0},
    {"strict", KEY_STRICT, NULL, 0, "samples that a method lacks are an error", 0},
    {NULL, 0, NULL, 0, "What counts as negative:", 3},
    {"theta", KEY_THETA, "T,U", 0, "how far a score may fall, as a share of full KV's (default: 0.1)", 0},
    {"rule", KEY_RULE, "paper|code", 0,
     "whether a score at the limit itself is negative (code) or not (default: paper)", 0},
    {"benign", KEY_BENIGN, "mean|median", 0, "what full KV must reach on a task (default: mean)", 0},
    {"truncated-at", KEY_TRUNCATED, "N", 0, "output tokens at which answers were cut off", 0},
    {NULL, 0, NULL, 0, "What else is asked:", 4},
    {"critical", KEY_CRITICAL, "FILE", 0,
     "samples that must not fail: CSV with task,id and perhaps weight,pass", 0},
    {"guard", KEY_GUARD, "RATE", 0,
     "which tasks to keep on full KV so that at most so many answers newly fail", 0},
    {"mix", KEY_MIX, "MIX", 0,
     "your traffic as task=share,... or a CSV file with task,share: for what newly fails and the guard list",
     0},
    {"record", KEY_RECORD, "FILE", 0, "write the quality record that scenarios and plans read", 0},
    {"record-as", KEY_RECORD_AS, "M=STRATEGY:K=V:..", 0,
     "which strategy, with which parameters, a method is in the record; may be repeated", 0},
    {NULL, 0, NULL, 0, "How it is shown:", 5},
    {"bootstrap", KEY_BOOTSTRAP, "N", 0, "draws behind each interval (default: 1000; 0 = no intervals)", 0},
    {"seed", KEY_SEED, "N", 0, "of the draws (default: 1)", 0},
    {"worst", KEY_WORST, "N", 0, "worst cases of each method (default: 3)", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of tables", 0},
    {"jobs", 'j', "N", 0, "threads (default: all cores)", 0},
    {0},
};

static const char *const rules[] = {"paper", "code", NULL};
static const char *const middles[] = {"mean", "median", NULL};

/* ---- options ---- */

static void add_word(struct argp_state *state, struct words *w, const char *option, const char *arg)
{
    if (w->n == MAX_ASKED) argp_failure(state, SIM_EXIT_USAGE, 0, "more than %d times %s", MAX_ASKED, option);
    w->at[w->n++] = arg;
}

static void take_thetas(struct argp_state *state, struct exp_quality_question *ask, const char *arg)
{
    char *copy = sim_strdup(arg);
    ask->n_thetas = 0;
    for (char *at = copy, *next; at; at = next) {
        next = strchr(at, ',');
        if (next) *next++ = '\0';
        if (ask->n_thetas == EXP_MAX_THETAS)
            argp_failure(state, SIM_EXIT_USAGE, 0, "--theta: more than %d of them", EXP_MAX_THETAS);
        ask->theta[ask->n_thetas++] = exp_cli_real(state, "--theta", at, 0.001, 0.999);
    }
    free(copy);
}

static void take_file(struct argp_state *state, struct arguments *a, const char *arg)
{
    if (a->n_files == MAX_FILES)
        argp_failure(state, SIM_EXIT_USAGE, 0, "more than %d files, expected fewer; name their folder",
                     MAX_FILES);
    a->file[a->n_files++] = arg;
}

static error_t parse_what(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_SCALE:
        a->read.scale = exp_cli_real(state, "--scale", arg, 1e-6, 1e6);
        return 0;
    case KEY_ALG:
        a->read.alg = arg;
        return 0;
    case KEY_PARAMS:
        a->read.params = arg;
        return 0;
    case KEY_TASK:
        a->read.task = arg;
        return 0;
    case KEY_BASELINE:
        a->baseline = arg;
        return 0;
    case KEY_METHODS:
        a->methods = arg;
        return 0;
    case KEY_SET:
        add_word(state, &a->sets, "--set", arg);
        return 0;
    case KEY_RERUN:
        a->rerun = arg;
        return 0;
    case KEY_COMMON:
        a->ask.common = true;
        return 0;
    case KEY_STRICT:
        a->ask.strict = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_how(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_THETA:
        take_thetas(state, &a->ask, arg);
        return 0;
    case KEY_RULE:
        a->ask.options.rule = (enum exp_quality_rule)exp_cli_choice(state, "--rule", arg, rules);
        return 0;
    case KEY_BENIGN:
        a->ask.options.benign_by_median = exp_cli_choice(state, "--benign", arg, middles) == 1;
        return 0;
    case KEY_TRUNCATED:
        a->ask.options.truncated_at = (uint32_t)exp_cli_count(state, "--truncated-at", arg, 1, 1 << 30);
        return 0;
    case KEY_BOOTSTRAP:
        a->ask.n_draws = (uint32_t)exp_cli_count(state, "--bootstrap", arg, 0, MAX_DRAWS);
        return 0;
    case KEY_SEED:
        a->ask.seed = exp_cli_count(state, "--seed", arg, 0, UINT64_MAX);
        return 0;
    case KEY_WORST:
        a->n_worst = (uint32_t)exp_cli_count(state, "--worst", arg, 0, MAX_WORST);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case 'j':
        a->ask.n_threads = (uint32_t)exp_cli_count(state, "--jobs", arg, 1, 1024);
        return 0;
    default:
        return parse_what(key, arg, state);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_CRITICAL:
        a->critical = arg;
        return 0;
    case KEY_GUARD:
        a->ask.guard_rate = exp_cli_real(state, "--guard", arg, 0, 1);
        return 0;
    case KEY_MIX:
        a->mix = arg;
        return 0;
    case KEY_RECORD:
        a->record = arg;
        return 0;
    case KEY_RECORD_AS:
        add_word(state, &a->record_as, "--record-as", arg);
        return 0;
    case ARGP_KEY_ARG:
        take_file(state, a, arg);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, SIM_EXIT_USAGE, 0, "no scores given, expected files or folders");
        return 0;
    case ARGP_KEY_END:
        if (a->record_as.n && !a->record)
            argp_failure(state, SIM_EXIT_USAGE, 0, "--record-as without --record FILE");
        return 0;
    default:
        return parse_how(key, arg, state);
    }
}

static const struct argp argp = {
    options,
    parse,
    "SCORES...",
    "Counts per sample which answers a KV strategy makes worse: benign samples, negatives at any threshold, "
    "by task and in "
    "total, what newly fails of all answers, how they fail, and which tasks to keep from it."
    "\v"
    "SCORES are CSV files with columns alg,params,task,id,score and perhaps output_tokens, JSON arrays or "
    "JSON lines with id "
    "and score (method and task in the objects, or in a name such as "
    "kivi_MODEL_8192_b1_4bits_group32_residual128_qasper_eval.json), or folders of those; plain or .gz.\n\n"
    "Rules of arXiv 2503.24000: a sample is benign when full KV scores at least its mean on the task, and "
    "negative when it is "
    "benign and every method of the set scores below (1 - theta) of full KV.",
    NULL,
    NULL,
    NULL};

/* ---- what was asked for ---- */

static bool add_set(struct exp_quality_question *ask, struct exp_quality_set set)
{
    ask->set = sim_realloc(ask->set, (size_t)ask->n_sets + 1, sizeof *ask->set);
    ask->set[ask->n_sets++] = set;
    return true;
}

/* Names between separators, each taken by `take`. */
struct names {
    const struct exp_scores *s;
    struct exp_quality_question *ask;
    struct exp_quality_set set; /* that is put together */
    bool alone;                 /* each name is a set of its own */
};

static bool take_name(struct names *n, const char *name, struct sim_status *st)
{
    uint32_t m = exp_scores_method(n->s, name, st);
    if (m == UINT32_MAX) return false;
    if (m == n->ask->options.baseline)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "%s is the baseline, expected methods to compare with it; see "
                           "--baseline-rerun for a second measurement",
                           n->s->method[m]);
    if (n->alone) return add_set(n->ask, (struct exp_quality_set){1, {m}});
    for (uint32_t i = 0; i < n->set.n; i++)
        if (n->set.method[i] == m)
            return sim_fail_as(st, SIM_EXIT_USAGE, "--set: %s is in it twice, expected once",
                               n->s->method[m]);
    if (n->set.n == EXP_MAX_SET)
        return sim_fail_as(st, SIM_EXIT_USAGE, "--set: more than %d methods, expected fewer", EXP_MAX_SET);
    n->set.method[n->set.n++] = m;
    return true;
}

static bool take_names(struct names *n, const char *text, char separator, struct sim_status *st)
{
    char *copy = sim_strdup(text);
    bool ok = true;
    for (char *at = copy, *next; ok && at; at = next) {
        next = strchr(at, separator);
        if (next) *next++ = '\0';
        ok = take_name(n, at, st);
    }
    free(copy);
    return ok && (n->alone || add_set(n->ask, n->set));
}

/* Every method but full KV and its rerun; those that --methods names; only sets when there are sets alone. */
static bool choose_sets(const struct arguments *a, const struct exp_scores *s,
                        struct exp_quality_question *ask, struct sim_status *st)
{
    struct names alone = {.s = s, .ask = ask, .alone = true};
    if (a->methods && !take_names(&alone, a->methods, ',', st)) return false;
    for (uint32_t m = 0; !a->methods && !a->sets.n && m < s->n_methods; m++)
        if (m != ask->options.baseline && m != ask->rerun) add_set(ask, (struct exp_quality_set){1, {m}});
    for (uint32_t i = 0; i < a->sets.n; i++) {
        struct names set = {.s = s, .ask = ask};
        if (!take_names(&set, a->sets.at[i], '+', st)) return false;
    }
    return ask->n_sets > 0 || ask->rerun != UINT32_MAX ||
           sim_fail(
               st, "%s is the only method of the scores, expected others to compare with it; name more files",
               s->method[ask->options.baseline]);
}

static bool choose_methods(const struct arguments *a, const struct exp_scores *s,
                           struct exp_quality_question *ask, struct sim_status *st)
{
    ask->options.baseline = a->baseline ? exp_scores_method(s, a->baseline, st) : exp_scores_baseline(s, st);
    if (ask->options.baseline == UINT32_MAX) return false;
    ask->rerun = a->rerun ? exp_scores_method(s, a->rerun, st) : UINT32_MAX;
    if (a->rerun && ask->rerun == UINT32_MAX) return false;
    if (ask->rerun == ask->options.baseline)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--baseline-rerun: %s is the baseline itself, expected its second "
                           "measurement",
                           s->method[ask->rerun]);
    return choose_sets(a, s, ask, st);
}

/* ---- all ---- */

static void next(const struct arguments *a, const char *line)
{
    if (a->record)
        exp_next("kvsim plan PLAN.yaml   (with quality: {record: %s}: what these failures cost)", a->record);
    else if (isnan(a->ask.guard_rate))
        exp_next("%s --guard 0.01   (what to keep on full KV so that 1 %% of answers newly fail)", line);
    else
        exp_next("%s --record quality.csv   (for scenarios and plans)", line);
}

static bool show(const struct arguments *a, const struct exp_quality_study *x, const char *line,
                 struct sim_status *st)
{
    if (a->record && !exp_quality_write_record(x, a->record, a->record_as.at, a->record_as.n, st))
        return false;
    if (!a->json)
        exp_quality_print(x, a->n_worst, stdout);
    else if (!exp_print_json(exp_quality_json(x, a->n_worst), st))
        return false;
    next(a, line);
    return true;
}

static bool study(struct arguments *a, const struct exp_scores *s, const char *line, struct sim_status *st)
{
    struct exp_critical critical = {0};
    struct mdl_task_mix *mix = sim_alloc(1, sizeof *mix);
    struct exp_quality_study x = {0};
    bool ok = choose_methods(a, s, &a->ask, st) && (!a->mix || exp_task_mix_read(a->mix, mix, st)) &&
              (!a->critical || exp_critical_read(a->critical, s, &critical, st));
    a->ask.mix = a->mix ? mix : NULL;
    a->ask.critical = a->critical ? &critical : NULL;
    a->ask.scale = a->read.scale;
    ok = ok && exp_quality_study(s, &a->ask, &x, st);
    if (ok) {
        ok = show(a, &x, line, st);
        exp_quality_study_fini(&x);
    }
    exp_critical_fini(&critical);
    free(a->ask.set);
    free(mix);
    return ok;
}

bool exp_cmd_quality(int argc, char **argv, struct sim_status *st)
{
    struct arguments *a = sim_alloc(1, sizeof *a);
    a->read.scale = 1;
    a->n_worst = WORST;
    a->ask = (struct exp_quality_question){.n_thetas = 1,
                                           .theta = {0.1},
                                           .rerun = UINT32_MAX,
                                           .n_draws = DRAWS,
                                           .n_threads = exp_processors(),
                                           .seed = 1,
                                           .guard_rate = NAN};
    char *line = exp_cli_line(argc, argv); /* argp reorders argv */
    argp_parse(&argp, argc, argv, 0, NULL, a);
    struct exp_scores *s = exp_scores_read(a->file, a->n_files, &a->read, st);
    bool ok = s && study(a, s, line, st);
    exp_scores_free(s);
    free(line);
    free(a);
    return ok;
}
