#include <stdio.h>
#include <stdlib.h>

#include "experiments/cli.h"
#include "experiments/command.h"
#include "experiments/print_run.h"
#include "experiments/replicate.h"
#include "experiments/report/report.h"
#include "experiments/results.h"
#include "sim/memory.h"
#include "traces/prefix.h"

enum { TIMELINE_POINTS = 240, MAX_REPLICATIONS = 100000 };

struct arguments {
    const char *scenario, *trace, *strategy, *out, *seed, *plan;
    struct exp_sets sets;
    uint32_t replications;
    bool json, no_fast_forward, no_length_shift;
};

enum {
    KEY_REPLICATIONS = 0x100,
    KEY_JSON,
    KEY_NO_FAST_FORWARD,
    KEY_NO_LENGTH_SHIFT,
    KEY_SET,
    KEY_STRATEGY,
    KEY_TRACE,
    KEY_SEED,
    KEY_PLAN
};

static const struct argp_option options[] = {
    {"trace", KEY_TRACE, "FILE", 0, "the request trace, in place of the scenario's load", 0},
    {"set", KEY_SET, "KEY=VALUE", 0,
     "set one key, e.g. fleet.0.replicas=8 (kvsim list keys); may be repeated", 0},
    {"strategy", KEY_STRATEGY, "NAME", 0,
     "this KV-cache strategy on every fleet (kvsim list strategies); what the scenario says of parameters "
     "that it "
     "does not have is left out",
     0},
    {"no-length-shift", KEY_NO_LENGTH_SHIFT, NULL, 0,
     "outputs as long as with full KV: --set length_shift=false", 0},
    {"replications", KEY_REPLICATIONS, "N", 0,
     "error bands: N runs with operator errors and seeds drawn anew", 0},
    {"out", 'o', "DIR", 0,
     "write summary.json, requests.csv, timeline.csv, scenario.yaml, report.json and report.html there", 0},
    {"export-plan", KEY_PLAN, "FILE", 0,
     "write every batch, one row per step and request, for kvbench replay", 0},
    {"seed", KEY_SEED, "N", 0, "the same as --set seed=N", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of tables", 0},
    {"no-fast-forward", KEY_NO_FAST_FORWARD, NULL, 0, "form every batch one by one: slower, same results", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_TRACE:
        a->trace = arg;
        return 0;
    case KEY_SET:
        exp_cli_add_set(state, &a->sets, arg);
        return 0;
    case KEY_STRATEGY:
        a->strategy = arg;
        return 0;
    case KEY_NO_LENGTH_SHIFT:
        a->no_length_shift = true;
        return 0;
    case KEY_REPLICATIONS:
        a->replications = (uint32_t)exp_cli_count(state, "--replications", arg, 2, MAX_REPLICATIONS);
        return 0;
    case 'o':
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--out is empty, expected a folder");
        a->out = arg;
        return 0;
    case KEY_PLAN:
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--export-plan is empty, expected a file");
        a->plan = arg;
        return 0;
    case KEY_SEED:
        exp_cli_count(state, "--seed", arg, 0, UINT64_MAX);
        a->seed = arg;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_NO_FAST_FORWARD:
        a->no_fast_forward = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->scenario)
            argp_failure(state, SIM_EXIT_USAGE, 0, "too many arguments: `%s`, expected one scenario", arg);
        a->scenario = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, SIM_EXIT_USAGE, 0, "no scenario given; `kvsim init scenario` writes one");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,    parse,
    "SCENARIO", "Simulates a scenario and prints latency, throughput, service levels and memory.",
    NULL,       NULL,
    NULL};

static bool take_strategy(struct exp_scenario *s, const char *name, struct sim_status *st)
{
    struct sim_status why = {0};
    return exp_scenario_take_strategy(s, name, &why) ||
           sim_fail_as(st, SIM_EXIT_USAGE, "--strategy: %s", why.message);
}

static struct exp_scenario *load(const struct arguments *a, struct sim_status *st)
{
    struct exp_scenario *s = exp_scenario_load(a->scenario, st);
    bool ok = s != NULL;
    if (ok && a->trace) ok = exp_scenario_set_trace(s, a->trace, st);
    if (ok && a->strategy) ok = take_strategy(s, a->strategy, st);
    for (uint32_t i = 0; ok && i < a->sets.n; i++) ok = exp_scenario_set_option(s, a->sets.at[i], st);
    if (ok && a->seed) ok = exp_scenario_set(s, "seed", a->seed, st);
    if (ok && a->no_length_shift) s->length_shift = false;
    if (ok) return s;
    free(s);
    return NULL;
}

/* Prefix caching is off: says so when the trace shows that it would have had hits. */
static void note_prefixes(struct exp_setup *u)
{
    const struct trc_trace *t = u->workload.trace;
    if (!t->hash_ids && !t->prefix_group && !t->session_id) return;
    struct trc_prefix_info info = {0};
    uint64_t input_tokens = 0;
    trc_prefix_measure(t, &info);
    for (uint64_t i = 0; i < t->n_requests; i++) input_tokens += t->requests[i].input_tokens;
    if (info.hit_tokens)
        exp_note(&u->notes,
                 "up to %.1f %% of the trace's prompt tokens could have hit a prefix cache, which is not "
                 "simulated: "
                 "prompts cost their full length here",
                 100 * (double)info.hit_tokens / (double)input_tokens);
}

static bool any_profile(const struct exp_setup *u)
{
    for (uint32_t f = 0; f < u->n_fleets; f++)
        if (u->fleets[f].profile) return true;
    return false;
}

static void note_evidence(struct exp_run *r)
{
    double weak = exp_figure(r->figures, "time_extrapolated_frac").mean +
                  exp_figure(r->figures, "time_transferred_frac").mean +
                  exp_figure(r->figures, "time_analytic_frac").mean;
    if (weak > 0.3 && any_profile(r->setup))
        exp_note(
            &r->setup->notes,
            "%.0f %% of the GPU time was never measured on this GPU (extrapolated, transferred or analytic): "
            "measure before money is spent",
            100 * weak);
    if (r->report->all.arrived == 0)
        exp_note(&r->setup->notes,
                 "no request was measured: look at measure.warmup_requests, warmup_s and horizon_s");
}

struct job {
    const struct arguments *a;
    const char *line; /* the command as typed */
    const struct exp_scenario *scenario;
    struct exp_cache *cache;
    struct exp_run *run;
    struct exp_figures *bands;    /* NULL without replications */
    struct exp_batches_out *plan; /* NULL when none is asked for */
};

static bool simulate(struct job *j, struct sim_status *st)
{
    struct exp_progress progress = exp_progress_begin("simulating");
    struct exp_run_options o = {.no_fast_forward = j->a->no_fast_forward,
                                .timeline_points = j->a->out ? TIMELINE_POINTS : 0,
                                .progress = exp_progress_show,
                                .progress_user = &progress,
                                .plan = j->plan};
    j->run = exp_run_new(j->scenario, j->cache, &o, st);
    o.plan = NULL; /* replications leave no plan */
    if (j->run) {
        note_prefixes(j->run->setup);
        note_evidence(j->run);
    }
    if (j->run && j->a->replications)
        j->bands = exp_replicate(j->scenario, j->cache, j->run->setup, j->a->replications, &o, st);
    exp_progress_end(&progress);
    return j->run && (j->bands || !j->a->replications);
}

static bool commit_plan(struct job *j, struct sim_status *st)
{
    struct exp_batches_out *plan = j->plan;
    j->plan = NULL;
    return exp_batches_out_commit(plan, st);
}

static void next(const struct job *j, const struct exp_figures *f)
{
    const struct arguments *a = j->a;
    if (f->load_state == SIM_OVERLOADED)
        exp_next("%s --set fleet.0.replicas=%llu   (the fleet cannot keep up)", j->line,
                 (unsigned long long)j->scenario->fleet[0].replicas * 2);
    else if (a->out)
        exp_next("open %s/report.html in a browser%s", a->out,
                 a->replications ? "" : ", or give --replications 16 for error bands");
    else if (!a->replications)
        exp_next("%s --replications 16   (error bands)", j->line);
    else
        exp_next("%s --out DIR   (every request, a timeline and a report)", j->line);
}

static bool show(struct job *j, struct sim_status *st)
{
    const struct exp_figures *f = j->bands ? j->bands : j->run->figures;
    struct exp_results r = {j->scenario, j->run, f, exp_cache_data_dir(j->cache)};
    if (j->a->out && !exp_results_write(&r, j->a->out, st)) return false;
    if (j->plan && !commit_plan(j, st)) return false;
    if (j->a->out) exp_report_note_charts();
    if (j->a->json) {
        if (!exp_print_json(exp_results_json(&r), st)) return false;
    } else {
        exp_print_run(j->scenario, j->run, f, stdout);
    }
    next(j, f);
    return true;
}

bool exp_cmd_run(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {0};
    char *line = exp_cli_line(argc, argv); /* argp reorders argv */
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct exp_scenario *s = load(&a, st);
    struct job j = {.a = &a, .line = line, .scenario = s};
    bool ok = s && exp_scenario_check(s, st) && (!a.out || exp_results_prepare(a.out, st));
    if (ok && a.plan) ok = (j.plan = exp_batches_out_new(a.plan, st)) != NULL;
    if (ok) j.cache = exp_cache_new(st);
    ok = ok && j.cache && simulate(&j, st) && show(&j, st);
    exp_batches_out_abandon(j.plan);
    exp_figures_free(j.bands);
    exp_run_free(j.run);
    exp_cache_free(j.cache);
    free(s);
    free(line);
    return ok;
}
