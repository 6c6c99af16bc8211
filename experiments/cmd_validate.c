#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/cli.h"
#include "experiments/cmd_validate_steps.h"
#include "experiments/command.h"
#include "experiments/crossval.h"
#include "experiments/fit_engine.h"
#include "experiments/parallel.h"
#include "experiments/report/report.h"
#include "experiments/results.h"
#include "experiments/validate_out.h"
#include "sim/memory.h"
#include "sim/outfile.h"

struct arguments {
    struct exp_sets sets;
    const char *measured, *scenario, *fit, *steps, *out;
    bool json, cross, own_scenario;
    uint32_t replications, threads;
};

enum { KEY_SCENARIO = 0x100, KEY_FIT, KEY_CROSS, KEY_REPLICATIONS, KEY_JSON, KEY_STEPS, KEY_SET };

static const struct argp_option options[] = {
    {"scenario", KEY_SCENARIO, "FILE", 0,
     "what the rows do not say: a validation file or a scenario (default: experiments/validate/vllm.yaml)",
     0},
    {"fit", KEY_FIT, "DIR", 0,
     "fit the engine's overheads to the rows, one set per engine version, and write the engine files there",
     0},
    {"cross", KEY_CROSS, NULL, 0,
     "fit without one tensor_parallel at a time, and on each source for the others; judge what was left out",
     0},
    {"replications", KEY_REPLICATIONS, "N", 0,
     "90 % intervals from N draws of operator and residual errors, and their coverage", 0},
    {"steps", KEY_STEPS, "PLAN", 0,
     "MEASURED is what kvbench replay measured of this plan (kvsim run --export-plan): compare step by step; "
     "--scenario names what the plan was made from",
     0},
    {"set", KEY_SET, "KEY=VALUE", 0, "with --steps: set one key of the scenario; may be repeated", 0},
    {"out", 'o', "DIR", 0, "write validate.json, validate.csv and a report there", 0},
    {"jobs", 'j', "N", 0, "threads (default: all cores)", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of tables", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_SCENARIO:
        a->scenario = arg;
        return 0;
    case KEY_FIT:
        a->fit = arg;
        return 0;
    case KEY_SET:
        exp_cli_add_set(state, &a->sets, arg);
        return 0;
    case KEY_STEPS:
        a->steps = arg;
        return 0;
    case KEY_CROSS:
        a->cross = true;
        return 0;
    case KEY_REPLICATIONS:
        a->replications = (uint32_t)exp_cli_count(state, "--replications", arg, 2, 100000);
        return 0;
    case 'j':
        a->threads = (uint32_t)exp_cli_count(state, "--jobs", arg, 1, 1024);
        return 0;
    case 'o':
        if (!*arg) argp_failure(state, SIM_EXIT_USAGE, 0, "--out is empty, expected a folder");
        a->out = arg;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->measured)
            argp_error(state, "too many arguments: `%s`, expected one file of measured points", arg);
        a->measured = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "no file of measured points given");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "MEASURED.csv\n--steps PLAN.csv MEASURED.csv --scenario S",
    "Simulates measured serving points and prints the errors of the prediction.\v"
    "Columns: model_path, system, isl, osl, concurrency, ttft_ms, tpot_ms; and, if there, "
    "precision, tp_size, backend, backend_version, id.",
    NULL,
    NULL,
    NULL};

/* --- text --- */

static void print_rows(const struct exp_reruns *t, bool intervals)
{
    printf("%-28s %-10s %3s %6s %6s %5s  %9s %9s %7s  %8s %8s %7s\n", "model", "gpu", "TP", "isl", "osl",
           "conc", "TTFT ms", "predicted", "error", "TPOT ms", "predict.", "error");
    for (uint32_t i = 0; i < t->n; i++) {
        const struct exp_rerun *x = &t->trial[i];
        const struct exp_point *p = x->point;
        const char *model = strrchr(p->model, '/') ? strrchr(p->model, '/') + 1 : p->model;
        printf("%-28.28s %-10.10s %3u %6u %6u %5u  %9.1f %9.1f %+6.1f%%  %8.2f %8.2f %+6.1f%%", model,
               p->system, p->tensor_parallel, p->isl, p->osl, p->concurrency, p->ttft_ms, x->ttft_ms,
               100 * (x->ttft_ms / p->ttft_ms - 1), p->tpot_ms, x->tpot_ms,
               100 * (x->tpot_ms / p->tpot_ms - 1));
        if (intervals) printf("  [%.1f, %.1f] [%.2f, %.2f]", x->ttft_lo, x->ttft_hi, x->tpot_lo, x->tpot_hi);
        putchar('\n');
    }
}

static void print_both(const char *what, const struct exp_reruns *t, const bool *chosen)
{
    exp_errors_print(what, "TPOT", exp_reruns_errors(t, EXP_TPOT, chosen));
    exp_errors_print(what, "TTFT", exp_reruns_errors(t, EXP_TTFT, chosen));
}

/* One line pair per engine version and model. */
static void print_sources(const struct exp_reruns *t)
{
    bool *chosen = sim_alloc(t->n, sizeof *chosen), *done = sim_alloc(t->n, sizeof *done);
    for (uint32_t i = 0; i < t->n; i++) {
        if (done[i]) continue;
        const struct exp_point *p = t->trial[i].point;
        char what[256];
        const char *model = strrchr(p->model, '/') ? strrchr(p->model, '/') + 1 : p->model;
        for (uint32_t k = 0; k < t->n; k++) {
            const struct exp_point *o = t->trial[k].point;
            chosen[k] = !strcmp(o->model, p->model) && !strcmp(o->version, p->version) &&
                        !strcmp(o->system, p->system);
            done[k] |= chosen[k];
        }
        snprintf(what, sizeof what, "%s %s", model, t->trial[i].setup->fleets[0].engine.name);
        print_both(what, t, chosen);
    }
    free(chosen);
    free(done);
}

static void print_coverage(const struct exp_coverage *c)
{
    printf(
        "90 %% intervals, residuals from the other folds: TPOT covers %.1f %%, TTFT %.1f %% of %u point%s\n",
        100 * c->tpot, 100 * c->ttft, c->n, c->n == 1 ? "" : "s");
}

/* --- the command --- */

static bool fit_all(struct exp_reruns *t, const struct arguments *a, struct sim_status *st)
{
    if (!sim_make_dir(a->fit, st)) return false;
    bool *chosen = sim_alloc(t->n, sizeof *chosen), *done = sim_alloc(t->n, sizeof *done), ok = true;
    for (uint32_t i = 0; ok && i < t->n; i++) {
        if (done[i]) continue;
        struct mdl_engine engine = t->trial[i].setup->fleets[0].engine;
        uint32_t n = exp_choose_engine(t, engine.name, chosen);
        for (uint32_t k = 0; k < t->n; k++) done[k] |= chosen[k];
        fprintf(stderr, "fitting %s to %u points\n", engine.name, n);
        if (n < 2 * MDL_N_ENGINE_NUMBERS)
            fprintf(stderr, "note: %u points are few for %d numbers: the residuals will be too small\n", n,
                    MDL_N_ENGINE_NUMBERS);
        char *path = sim_printf("%s/%s.yaml", a->fit, engine.name);
        const char *file = strrchr(a->measured, '/') ? strrchr(a->measured, '/') + 1 : a->measured;
        char *source = sim_printf("fitted by kvsim validate --fit on %u points of %s", n, file);
        ok = exp_fit_engine(t, chosen, &engine, st) && exp_write_engine(&engine, path, source, st);
        if (ok) fprintf(stderr, "wrote %s\n", path);
        free(source);
        free(path);
    }
    free(chosen);
    free(done);
    return ok;
}

static void print_cross(void *user, const char *what, const struct exp_reruns *t, const bool *chosen)
{
    (void)user;
    print_both(what, t, chosen);
}

static void add_cross(void *user, const char *what, const struct exp_reruns *t, const bool *chosen)
{
    json_t *o = json_pack("{s:s}", "what", what);
    exp_errors_json(o, "tpot", exp_reruns_errors(t, EXP_TPOT, chosen));
    exp_errors_json(o, "ttft", exp_reruns_errors(t, EXP_TTFT, chosen));
    json_array_append_new(user, o);
}

/* Fits that did not see what they are judged on: as text, or into the JSON object. */
static bool cross_all(struct exp_reruns *t, json_t *json, struct sim_status *st)
{
    struct exp_crossval c;
    if (!exp_leave_one_tp_out(t, &c, st)) return false;
    if (!json) {
        exp_errors_print("leave one TP out", "TPOT", c.tpot);
        exp_errors_print("leave one TP out", "TTFT", c.ttft);
        return exp_cross_sources(t, print_cross, NULL, st);
    }
    json_t *left_out = json_pack("{s:I}", "n", (json_int_t)c.tpot.n), *sources = json_array();
    exp_errors_json(left_out, "tpot", c.tpot);
    exp_errors_json(left_out, "ttft", c.ttft);
    json_object_set_new(json, "leave_one_tp_out", left_out);
    json_object_set_new(json, "cross_sources", sources);
    return exp_cross_sources(t, add_cross, sources, st);
}

static void print_tables(const struct exp_reruns *t, const struct exp_coverage *coverage)
{
    print_rows(t, coverage != NULL);
    putchar('\n');
    print_sources(t);
    print_both("all", t, NULL);
    if (t->n_skipped)
        printf("%u point%s left out: %s cannot be simulated (see above)\n", (unsigned)t->n_skipped,
               t->n_skipped == 1 ? "" : "s", t->n_skipped == 1 ? "it" : "they");
    if (coverage) print_coverage(coverage);
}

static bool report(struct exp_reruns *t, struct exp_cache *cache, const struct arguments *a,
                   struct sim_status *st)
{
    struct exp_coverage coverage = {0}, *c = a->replications ? &coverage : NULL;
    if (c && !exp_intervals(t, cache, a->replications, c, st)) return false;
    struct exp_validated v = {
        t, c, a->replications, a->measured, a->scenario, a->own_scenario, exp_cache_data_dir(cache)};
    if (a->out && !exp_validated_write(&v, a->out, st)) return false;
    if (a->out) exp_report_note_charts();
    json_t *json = a->json ? exp_validated_json(&v) : NULL;
    if (!json) print_tables(t, c);
    if (a->cross && !cross_all(t, json, st)) {
        json_decref(json);
        return false;
    }
    return !json || exp_print_json(json, st);
}

static bool validate_steps(const struct arguments *a, struct sim_status *st)
{
    struct exp_validate_steps steps = {a->steps, a->measured, a->scenario, a->sets.at, a->sets.n, a->json};
    if (a->fit || a->cross || a->replications || a->out)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--steps goes without --fit, --cross, --replications and --out");
    if (!a->scenario)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--steps needs --scenario, the file that the plan was made from");
    return exp_validate_steps(&steps, st);
}

static void next(const struct arguments *a)
{
    if (a->fit)
        exp_next("copy the engine files to calib/engines and validate rows that were not fitted");
    else if (a->out)
        exp_next("open %s/report.html in a browser", a->out);
    else
        exp_next("kvsim validate %s --replications 32   (intervals and their coverage)", a->measured);
}

bool exp_cmd_validate(int argc, char **argv, struct sim_status *st)
{
    struct arguments a = {.threads = exp_processors()};
    struct exp_measured measured = {0};
    struct exp_reruns trials = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.steps) return validate_steps(&a, st);
    if (a.out && a.fit)
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--out goes without --fit: rows that were fitted judge nothing");
    if (a.sets.n) return sim_fail_as(st, SIM_EXIT_USAGE, "--set goes with --steps only");
    struct exp_cache *cache = exp_cache_new(st);
    char *shipped = cache ? sim_printf("%s/experiments/validate/vllm.yaml", exp_cache_data_dir(cache)) : NULL;
    a.own_scenario = a.scenario != NULL;
    if (!a.own_scenario) a.scenario = shipped;
    bool ok = cache && (!a.out || exp_results_prepare(a.out, st)) &&
              exp_measured_read(a.measured, &measured, st) &&
              exp_reruns_new(&measured, a.scenario, cache, stderr, &trials, st);
    trials.n_threads = a.threads;
    if (ok && a.fit) ok = fit_all(&trials, &a, st);
    if (ok && !a.fit) exp_reruns_run(&trials, NULL, NULL);
    ok = ok && report(&trials, cache, &a, st);
    if (ok) next(&a);
    exp_reruns_fini(&trials);
    exp_measured_fini(&measured);
    free(shipped);
    exp_cache_free(cache);
    return ok;
}
