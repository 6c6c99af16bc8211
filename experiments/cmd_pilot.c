/* `kvsim pilot`: what to measure before money is spent. */
#include <stdlib.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/parallel.h"
#include "experiments/planning/file/dry_run.h"
#include "experiments/planning/pilot/pilot.h"
#include "sim/memory.h"

struct arguments {
    const char *plan, *out;
    struct exp_sets sets;
    uint32_t n_threads;
    bool json;
};

enum { KEY_SET = 0x100, KEY_JSON };

static const struct argp_option options[] = {
    {"out", 'o', "DIR", 0,
     "write pilot.md, pilot.yaml, templates measured.csv and critical.csv, and both arms as scenarios there",
     0},
    {"set", KEY_SET, "KEY=VALUE", 0, "set one key of the plan, e.g. money.discount_rate=0.1; may be repeated",
     0},
    {"jobs", 'j', "N", 0, "threads (default: all cores)", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of text", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'o':
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--out is empty, expected a folder");
        a->out = arg;
        return 0;
    case KEY_SET:
        exp_cli_add_set(state, &a->sets, arg);
        return 0;
    case 'j':
        a->n_threads = (uint32_t)exp_cli_count(state, "--jobs", arg, 1, 1024);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->plan)
            argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`, expected one plan", arg);
        a->plan = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, SIM_EXIT_USAGE, 0, "no plan given; `kvsim init plan` writes one");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "PLAN",
    "Says what to measure before money is spent: the plan's winner beside full KV, on one replica each, "
    "class by "
    "class with the non-critical first; how many requests and answers that takes; when to stop."
    "\v"
    "The plan is decided first, which takes as long as `kvsim plan` does. Sizes find what would turn the "
    "saving into "
    "a loss: latency and length by bootstrap of the simulated requests (90 % power, 5 % level), failures by "
    "the "
    "width of their interval, critical cases by the rule of three.\n\n"
    "`kvsim plan PLAN --pilot DIR/measured.csv` reads what was measured and says go, extend or stop.",
    NULL,
    NULL,
    NULL};

struct job {
    const struct arguments *a;
    const char *line; /* the command as typed */
    struct exp_cache *cache;
    struct exp_plan *plan;
    struct mdl_prices *prices;
};

static bool load_plan(struct job *j, struct sim_status *st)
{
    j->plan = exp_plan_load(j->a->plan, st);
    for (uint32_t i = 0; j->plan && i < j->a->sets.n; i++)
        if (!exp_plan_set_option(j->plan, j->a->sets.at[i], st)) return false;
    return j->plan && (j->cache = exp_cache_new(st)) && exp_plan_check(j->plan, j->cache, st) &&
           (j->prices = exp_plan_prices(j->plan, exp_cache_data_dir(j->cache), st));
}

static bool show(const struct job *j, const struct exp_decision *d, struct sim_status *st)
{
    const struct arguments *a = j->a;
    struct exp_pilot_plan *p = sim_alloc(1, sizeof *p);
    bool ok = exp_pilot_make(d, j->cache, p, st) && (!a->out || exp_pilot_write(d, p, j->cache, a->out, st));
    if (ok && a->json)
        ok = exp_print_json(exp_pilot_json(d, p), st);
    else if (ok)
        exp_pilot_print(d, p, exp_cli_bold(), stdout);
    if (ok && a->out)
        exp_next("kvsim plan %s --pilot %s/measured.csv   (once it is filled in)", a->plan, a->out);
    else if (ok)
        exp_next("%s --out DIR   (templates, and both arms as scenarios)", j->line);
    free(p);
    return ok;
}

static bool decide(struct job *j, struct sim_status *st)
{
    struct exp_decision_options o = {.n_threads = j->a->n_threads};
    struct exp_decision *d = sim_alloc(1, sizeof *d);
    bool ok = exp_decide(j->plan, j->prices, j->cache, &o, d, st);
    if (ok) {
        ok = show(j, d, st);
        exp_decision_fini(d);
    }
    free(d);
    return ok;
}

bool exp_cmd_pilot(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.n_threads = exp_processors()};
    char *line = exp_cli_line(argc, argv); /* argp reorders argv */
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct job j = {.a = &a, .line = line};
    bool ok = load_plan(&j, st) && (!a.out || exp_pilot_prepare(a.out, st)) && decide(&j, st);
    free(j.prices);
    exp_plan_free(j.plan);
    exp_cache_free(j.cache);
    free(line);
    return ok;
}
