#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "kernels/kvbench/cli.h"
#include "kernels/kvbench/command.h"
#include "kernels/kvbench/progress.h"
#include "kernels/kvbench/util.h"

enum { KEY_JSON = 0x100, KEY_DEVICE, KEY_ONLY, KEY_SEEDS, KEY_SHAPES };

struct arguments {
    const char *device, *only;
    uint64_t seeds, shapes;
    bool json;
};

static const struct argp_option options[] = {
    {"device", KEY_DEVICE, "NAME", 0, KVB_DEVICE_HELP, 0},
    {"only", KEY_ONLY, "NAMES", 0, "kernels or families, with commas between (default: all)", 0},
    {"seeds", KEY_SEEDS, "N", 0, "check each shape with N sets of random inputs (default: 1)", 0},
    {"shapes", KEY_SHAPES, "N", 0, "at most the first N shapes of each kernel (default: all)", 0},
    {"json", KEY_JSON, NULL, 0, "print one JSON array instead of lines", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case KEY_DEVICE:
        a->device = arg;
        return 0;
    case KEY_ONLY:
        kvb_cli_only(state, arg);
        a->only = arg;
        return 0;
    case KEY_SEEDS:
        a->seeds = kvb_cli_count(state, "--seeds", arg, 1, 1000000);
        return 0;
    case KEY_SHAPES:
        a->shapes = kvb_cli_count(state, "--shapes", arg, 1, 1000000);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, KVB_EXIT_USAGE, 0, "too many arguments: `%s`, expected none", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    NULL,
    "Runs every kernel on small, ragged shapes with random inputs and compares it with its plain-C "
    "reference. "
    "The error is norm(out - reference) / norm(reference), or the kernel's own measure.",
    NULL,
    NULL,
    NULL};

/* What came of one kernel. */
struct tally {
    uint64_t n, bad;
    double worst, limit;
    json_t *failures; /* [{shape, seed, why}] */
};

static void note_failure(struct tally *t, const struct kb_kernel *k, const uint32_t *shape, uint64_t seed,
                         const char *why)
{
    char *text = kvb_shape_text(k->keys, shape);
    t->bad++;
    json_array_append_new(t->failures,
                          json_pack("{s:s, s:I, s:s}", "shape", text, "seed", (json_int_t)seed, "why", why));
    free(text);
}

static void check_shape(const struct kb_kernel *k, const uint32_t *shape, uint64_t seed, struct kb_device *d,
                        struct tally *t)
{
    struct kb_verdict v;
    struct kb_error err = {""};
    bool ran = kb_case_check(k, shape, seed, d, &v, &err);
    t->n++;
    if (!ran) {
        note_failure(t, k, shape, seed, err.text);
        return;
    }
    t->limit = v.limit;
    if (!(v.error <= t->worst)) t->worst = v.error;
    if (!(v.error <= v.limit)) note_failure(t, k, shape, seed, v.text);
}

static struct tally check_kernel(const struct kb_kernel *k, struct kb_device *d, const struct arguments *a)
{
    struct tally t = {.limit = k->limit, .failures = json_array()};
    struct kb_grid g = {.suite = KB_SUITE_CHECK, .cpu = strcmp(d->kind, "cpu") == 0, .device = d->info};
    k->grid(&g);
    size_t n = a->shapes < g.n ? (size_t)a->shapes : g.n;
    struct kvb_progress p = kvb_progress_begin("check", "shapes", n * a->seeds, 0);
    for (uint64_t seed = 1; seed <= a->seeds && !kvb_interrupted(); seed++)
        for (size_t i = 0; i < n && !kvb_interrupted(); i++) {
            check_shape(k, g.shape[i], seed * 1000 + i, d, &t);
            kvb_progress_show(&p, t.n, k->name);
        }
    kvb_progress_end(&p);
    kb_grid_free(&g);
    return t;
}

static void print_tally(const struct kb_kernel *k, const struct tally *t)
{
    size_t i;
    json_t *f;
    printf("%-4s  %-18s %4llu shapes  worst error %-9.3g (limit %.3g)\n", t->bad ? "FAIL" : "ok", k->name,
           (unsigned long long)t->n, t->worst, t->limit);
    json_array_foreach(t->failures, i, f)
        printf("      %s, seed %lld: %s\n", json_string_value(json_object_get(f, "shape")),
               (long long)json_integer_value(json_object_get(f, "seed")),
               json_string_value(json_object_get(f, "why")));
    fflush(stdout);
}

static json_t *tally_json(const struct kb_kernel *k, const struct tally *t)
{
    double worst = isfinite(t->worst) ? t->worst : 1e308;
    return json_pack("{s:s, s:s, s:b, s:I, s:I, s:f, s:f, s:O}", "kernel", k->name, "family", k->family,
                     "available", 1, "shapes", (json_int_t)t->n, "failed", (json_int_t)t->bad, "worst_error",
                     worst, "limit", t->limit, "failures", t->failures);
}

/* Kernels that failed. */
static uint32_t check_all(struct kb_device *d, const struct arguments *a, json_t *list)
{
    uint32_t failed = 0;
    for (int i = 0; i < KB_N_KERNEL && !kvb_interrupted(); i++) {
        const struct kb_kernel *k = kb_kernels[i];
        if (!k || !kvb_is_wanted(a->only, k->name, k->family)) continue;
        if (!d->kernel[k->id]) {
            if (!a->json) printf("none  %-18s not on this device\n", k->name);
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:b}", "kernel", k->name, "family", k->family, "available", 0));
            continue;
        }
        struct tally t = check_kernel(k, d, a);
        failed += t.bad > 0;
        if (!a->json) print_tally(k, &t);
        json_array_append_new(list, tally_json(k, &t));
        json_decref(t.failures);
    }
    return failed;
}

bool kvb_cmd_check(int argc, char **argv, struct kb_error *err)
{
    struct arguments a = {.seeds = 1, .shapes = UINT64_MAX};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct kb_device *d = kvb_device_open(a.device, err);
    if (!d) return false;
    kvb_interrupt_catch();
    json_t *list = json_array();
    uint32_t failed = check_all(d, &a, list);
    bool none = json_array_size(list) == 0;
    if (a.json) {
        char *text = json_dumps(list, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        puts(text);
        free(text);
    }
    json_decref(list);
    kb_device_close(d);
    if (kvb_interrupted()) return kb_fail(err, "kvbench check: interrupted");
    if (none) return kb_fail(err, "kvbench check: --only names probes alone, which have no reference");
    return failed == 0 || kb_fail(err, "kvbench check: %u kernels are wrong", failed);
}
