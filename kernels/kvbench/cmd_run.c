#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "kernels/host.h"
#include "kernels/kvbench/arch.h"
#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/command.h"
#include "kernels/kvbench/measure.h"
#include "kernels/kvbench/profile.h"
#include "kernels/kvbench/progress.h"
#include "kernels/kvbench/runfile.h"
#include "kernels/kvbench/util.h"

enum { KEY_JSON = 0x100, KEY_DEVICE, KEY_ONLY, KEY_SUITE, KEY_MODEL, KEY_TP, KEY_BUDGET, KEY_SPREAD };

/* Failures in a row that mean the device is gone, not the shape. */
enum { MAX_FAILURES = 8 };

/* Kept back of the budget for the last point and the files. */
static const double RESERVE_S = 3, QUICK_S = 60, FULL_S = 450;
static const double CPU_SPREAD = 0.25, GPU_SPREAD = 0.1;

struct arguments {
    const char *device, *only, *model, *out;
    int suite; /* 0 quick, 1 full */
    uint32_t tensor_parallel;
    double budget_s, spread_limit; /* 0 = the default */
    bool json;
};

static const char *const suites[] = {"quick", "full", NULL};

static const struct argp_option options[] = {
    {"out", 'o', "DIR", 0,
     "write the profile there (required); an interrupted run of the same kind is resumed", 0},
    {"suite", KEY_SUITE, "NAME", 0, "quick (60 s) or full (450 s on one GPU) (default: quick)", 0},
    {"only", KEY_ONLY, "NAMES", 0,
     "kernels, probes or families, with commas between; and the ceilings (default: all)", 0},
    {"model", KEY_MODEL, "NAME", 0,
     "whose shapes: a name of models/catalogue or a config.json (default: llama-3.1-8b on a GPU, "
     "smollm2-135m on "
     "cpu)",
     0},
    {"tensor-parallel", KEY_TP, "N", 0, "GPUs that share each layer: one's part is measured (default: 1)", 0},
    {"budget", KEY_BUDGET, "SECONDS", 0, "stop in time to end by then (default: 60 quick, 450 full)", 0},
    {"spread-limit", KEY_SPREAD, "FRAC", 0,
     "interquartile range / median beyond which a point is marked noisy (default: 0.1 on a GPU, 0.25 on cpu)",
     0},
    {"device", KEY_DEVICE, "NAME", 0, KVB_DEVICE_HELP, 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON object instead of a table", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'o':
        if (!*arg) argp_failure(state, KVB_EXIT_USAGE, 0, "--out is empty, expected a folder");
        a->out = arg;
        return 0;
    case KEY_SUITE:
        a->suite = kvb_cli_choice(state, "--suite", arg, suites);
        return 0;
    case KEY_ONLY:
        kvb_cli_only(state, arg);
        a->only = arg;
        return 0;
    case KEY_MODEL:
        a->model = arg;
        return 0;
    case KEY_TP:
        a->tensor_parallel = (uint32_t)kvb_cli_count(state, "--tensor-parallel", arg, 1, 64);
        return 0;
    case KEY_BUDGET:
        a->budget_s = kvb_cli_real(state, "--budget", arg, 0.001, 1e6);
        return 0;
    case KEY_SPREAD:
        a->spread_limit = kvb_cli_real(state, "--spread-limit", arg, 1e-6, 100);
        return 0;
    case KEY_DEVICE:
        a->device = arg;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, KVB_EXIT_USAGE, 0, "too many arguments: `%s`, expected none", arg);
        return 0;
    case ARGP_KEY_END:
        if (!a->out) argp_failure(state, KVB_EXIT_USAGE, 0, "no --out DIR given");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    NULL,
    "Measures the ceilings of a device (read, copy, matrix rate, link), then its kernels and probes at the "
    "shapes of a "
    "model, most-used shapes first. Each kernel is compared with its reference before it is timed. Times are "
    "seconds, medians of 20 samples or of 0.3 s, with the cache emptied before each (cold) and, for small "
    "data, without (hot).",
    NULL,
    NULL,
    NULL};

/* --- the loop --- */

struct run {
    struct kvb_meter meter;
    struct kvb_work *work;
    struct kvb_result result;
    struct kvb_progress progress;
    double began_s, budget_s;
    uint32_t failures; /* in a row */
    uint32_t wrong;    /* kernels that failed their check */
};

/* Correct before timed. */
static bool is_proved(struct run *r, struct kvb_source *s)
{
    struct kb_error why;
    if (s->probe || s->checked) return true;
    s->checked = kvb_measure_check(&r->meter, s->kernel, &why);
    if (s->checked) return true;
    fprintf(stderr, "%s: %s; it is not timed\n", s->name, why.text);
    kvb_work_close(r->work, s, why.text);
    r->wrong++;
    return false;
}

static bool measure_point(struct run *r, struct kvb_point p, struct kb_error *err)
{
    struct kvb_row rows[2];
    struct kb_error why = {""};
    const uint32_t *shape = p.source->grid.shape[p.at];
    uint32_t n = 1;
    if (p.source->kernel)
        n = kvb_measure_kernel(&r->meter, p.source->kernel, shape, rows, &why);
    else
        kvb_measure_probe(&r->meter, p.source->probe, shape, &rows[0], &why);
    if (rows[0].status > KVB_NOISY) kvb_result_reason(&r->result, p, why.text);
    r->failures = rows[0].status == KVB_FAILED ? r->failures + 1 : 0;
    if (!kvb_sheet_append(p.source->sheet, rows, n, err)) return false;
    return r->failures < MAX_FAILURES ||
           kb_fail(err, "%u points failed one after the other, the last with: %.300s", r->failures, why.text);
}

static bool may_go_on(struct run *r)
{
    r->result.left = kvb_interrupted() ? "interrupted" : "out of budget";
    return !kvb_interrupted() &&
           kb_now_s() - r->began_s < r->budget_s - RESERVE_S * (r->budget_s > 4 * RESERVE_S);
}

static bool measure_all(struct run *r, struct kb_error *err)
{
    struct kvb_point p;
    while (may_go_on(r) && kvb_work_next(r->work, &p)) {
        double began = kb_now_s();
        kvb_progress_show(&r->progress, r->work->n_done, p.source->name);
        if (!is_proved(r, p.source)) continue;
        if (!measure_point(r, p, err)) {
            r->result.left = "the run broke off";
            return false;
        }
        kvb_work_did(r->work, p, kb_now_s() - began);
    }
    return true;
}

/* --- what came of it --- */

static void count_family(const struct kvb_work *w, uint32_t family, size_t n[KVB_N_STATUS], size_t *left)
{
    for (uint32_t i = 0; i < w->n_sources; i++) {
        const struct kvb_source *s = &w->source[i];
        if (s->family != family) continue;
        for (size_t j = 0; j < s->sheet->n_rows; j++) n[s->sheet->row[j].status]++;
        if (!s->closed) *left += s->grid.n - s->n_done;
    }
}

static json_t *summary(const struct run *r, const char *out)
{
    struct kvb_ceiling c[KVB_N_CEILINGS];
    json_t *all = json_object(), *families = json_array(), *ceilings = json_object();
    kvb_ceilings(r->work, c);
    for (int i = 0; i < KVB_N_CEILINGS; i++) json_object_set_new(ceilings, c[i].name, json_real(c[i].value));
    for (uint32_t i = 0; i < r->work->n_families; i++) {
        size_t n[KVB_N_STATUS] = {0}, left = 0;
        count_family(r->work, i, n, &left);
        json_array_append_new(
            families, json_pack("{s:s, s:I, s:I, s:I, s:I, s:f}", "family", r->work->family[i].name, "ok",
                                (json_int_t)n[KVB_OK], "noisy", (json_int_t)n[KVB_NOISY], "not_measured",
                                (json_int_t)(n[KVB_UNSUPPORTED] + n[KVB_TOO_BIG] + n[KVB_FAILED]), "left",
                                (json_int_t)left, "seconds", r->work->family[i].spent_s));
    }
    json_object_set_new(all, "out", json_string(out));
    json_object_set_new(all, "complete", json_boolean(r->result.complete));
    json_object_set_new(all, "seconds", json_real(r->result.seconds));
    json_object_set_new(all, "families", families);
    json_object_set_new(all, "ceilings", ceilings);
    return all;
}

static void print_noisy(const struct kvb_work *w)
{
    for (uint32_t i = 0; i < w->n_sources; i++) {
        const struct kvb_sheet *s = w->source[i].sheet;
        int spread = kvb_sheet_number(s, "spread_frac");
        for (size_t j = 0; j < s->n_rows; j++) {
            if (s->row[j].status != KVB_NOISY) continue;
            char *shape = kvb_shape_text(s->keys, s->row[j].shape);
            fprintf(stderr, "noisy: %s %s%s: spread %.0f %%\n", w->source[i].name, shape,
                    s->has_heat && s->row[j].heat == KVB_HOT ? " hot" : "", 100 * s->row[j].number[spread]);
            free(shape);
        }
    }
}

static void print_summary(const json_t *all)
{
    size_t i;
    json_t *f;
    const char *name;
    json_t *value;
    json_int_t left = 0;
    json_array_foreach(json_object_get(all, "families"), i, f) left +=
        json_integer_value(json_object_get(f, "left"));
    printf("%-10s %8s %8s %14s %8s %9s\n", "family", "ok", "noisy", "not measured", "left", "seconds");
    json_array_foreach(json_object_get(all, "families"), i, f)
        printf("%-10s %8lld %8lld %14lld %8lld %9.1f\n", json_string_value(json_object_get(f, "family")),
               (long long)json_integer_value(json_object_get(f, "ok")),
               (long long)json_integer_value(json_object_get(f, "noisy")),
               (long long)json_integer_value(json_object_get(f, "not_measured")),
               (long long)json_integer_value(json_object_get(f, "left")),
               json_real_value(json_object_get(f, "seconds")));
    json_object_foreach(json_object_get(all, "ceilings"), name, value)
        printf("%-22s %.4g\n", name, json_real_value(value));
    bool complete = json_is_true(json_object_get(all, "complete"));
    printf("%s: %s in %.1f s%s\n", json_string_value(json_object_get(all, "out")),
           complete ? "complete"
           : left   ? "not complete"
                    : "all that was asked for",
           json_real_value(json_object_get(all, "seconds")), left ? "; the same command goes on" : "");
}

static void show(const struct run *r, const struct arguments *a)
{
    json_t *all = summary(r, a->out);
    print_noisy(r->work);
    if (a->json) {
        char *text = json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        puts(text);
        free(text);
    } else {
        print_summary(all);
    }
    json_decref(all);
}

/* --- the command --- */

/* Measures, and writes the profile whatever came in between. */
static bool carry_out(struct run *r, const struct arguments *a, struct kb_error *err)
{
    struct kb_error late = {""};
    r->progress = kvb_progress_begin("run", "points", r->work->n_points, r->work->n_done);
    r->progress.budget_s = r->budget_s;
    r->result.left = "under way";
    bool ok = kvb_profile_write(&r->result, a->out, err) && measure_all(r, err);
    kvb_progress_end(&r->progress);
    r->result.complete = ok && !a->only && r->wrong == 0 && r->work->n_done == r->work->n_points;
    r->result.seconds = kb_now_s() - r->began_s;
    if (!kvb_profile_write(&r->result, a->out, ok ? err : &late)) return false;
    show(r, a);
    if (ok && kvb_interrupted())
        return kb_fail(err, "kvbench run: interrupted; %s holds what was measured, the same command goes on",
                       a->out);
    return ok && (r->wrong == 0 ||
                  kb_fail(err, "kvbench run: %u kernels failed their check and were not timed", r->wrong));
}

static bool run_on(struct kb_device *d, const struct arguments *a, const struct kb_model *model,
                   struct kb_error *err)
{
    bool cpu = strcmp(d->kind, "cpu") == 0;
    struct run r = {.began_s = kb_now_s(),
                    .budget_s = a->budget_s ? a->budget_s
                                : a->suite  ? FULL_S
                                            : QUICK_S};
    struct kvb_plan_of_work plan = {a->suite ? KB_SUITE_FULL : KB_SUITE_QUICK, *model, a->only};
    r.meter = (struct kvb_meter){.device = d, .queue = d->ops->queue_new(d, err)};
    r.meter.spread_limit = a->spread_limit ? a->spread_limit : cpu ? CPU_SPREAD : GPU_SPREAD;
    if (!r.meter.queue) return false;
    r.work = kvb_work_new(d, &plan, a->out, err);
    r.result = (struct kvb_result){.device = d, .work = r.work, .model = model, .suite = suites[a->suite]};
    bool ok = r.work && carry_out(&r, a, err);
    for (size_t i = 0; i < r.result.n_reasons; i++) free(r.result.reason[i].text);
    free(r.result.reason);
    kvb_work_free(r.work);
    d->ops->queue_free(r.meter.queue);
    return ok;
}

bool kvb_cmd_run(int argc, char **argv, struct kb_error *err)
{
    struct arguments a = {.tensor_parallel = 1};
    struct kb_model model;
    int lock = -1;
    bool resumed = false;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    kvb_interrupt_catch();
    struct kb_device *d = kvb_device_open(a.device, err);
    if (!d) return false;
    struct kvb_identity id = {d, &model, suites[a.suite]};
    bool ok = kvb_arch_load(a.model ? a.model : kvb_arch_default(d), a.tensor_parallel, &model, err) &&
              kvb_runfile_open(a.out, &id, &resumed, &lock, err);
    if (ok && resumed) fprintf(stderr, "%s: going on with what is there\n", a.out);
    ok = ok && run_on(d, &a, &model, err);
    if (lock >= 0) close(lock);
    kb_device_close(d);
    return ok;
}
