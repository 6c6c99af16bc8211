#include "experiments/validate.h"

#include "models/yaml.h"
#include "sim/memory.h"
#include "sim/metrics.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_PER_CONCURRENCY = 10 };

/* --- what a row does not say --- */

struct plan {
    struct mdl_yaml *yaml; /* NULL for a plain scenario */
    const struct mdl_yaml_node *settings, *sources;
    uint64_t requests_per_concurrency;
    struct exp_scenario *base;
};

static bool set_one(struct exp_scenario *s, const char *key, const struct mdl_yaml_node *value,
                    struct sim_status *st)
{
    const char *text = mdl_yaml_string(value, key, st);
    return text && exp_scenario_set(s, key, text, st);
}

static bool set_all(struct exp_scenario *s, const struct mdl_yaml_node *map, struct sim_status *st)
{
    for (size_t i = 0; map && i < mdl_yaml_size(map); i++)
        if (!set_one(s, mdl_yaml_key(map, i), mdl_yaml_at(map, i), st)) return false;
    return true;
}

/* Whether "0.12" names the release "0.12.0": equal up to a dot. "" names only "". */
static bool version_matches(const char *wanted, const char *version)
{
    size_t n = strlen(wanted);
    return n ? strncmp(version, wanted, n) == 0 && (version[n] == '\0' || version[n] == '.')
             : *version == '\0';
}

static bool set_source(const struct plan *p, const struct exp_point *point, struct exp_scenario *s,
                       uint64_t *per_concurrency, struct sim_status *st)
{
    for (size_t i = 0; p->sources && i < mdl_yaml_size(p->sources); i++) {
        const struct mdl_yaml_node *source = mdl_yaml_at(p->sources, i);
        const struct mdl_yaml_node *version = mdl_yaml_get(source, "version"),
                                   *requests = mdl_yaml_get(source, "requests_per_concurrency");
        const char *wanted = version ? mdl_yaml_string(version, "version", st) : "";
        if (!wanted) return false;
        if (!version_matches(wanted, point->version)) continue;
        if (requests && !mdl_yaml_u64(requests, "requests_per_concurrency", per_concurrency, st))
            return false;
        return set_all(s, mdl_yaml_get(source, "settings"), st);
    }
    return true;
}

static bool check_keys(const struct mdl_yaml_node *map, const char *const *valid, struct sim_status *st)
{
    for (size_t i = 0; i < mdl_yaml_size(map); i++) {
        const char *const *v = valid;
        while (*v && strcmp(*v, mdl_yaml_key(map, i)) != 0) v++;
        if (!*v) return mdl_yaml_unknown_key(map, i, valid, st);
    }
    return true;
}

static bool open_validation_file(struct plan *p, struct sim_status *st)
{
    static const char *const valid[] = {"requests_per_concurrency", "settings", "sources", NULL};
    static const char *const of_source[] = {"version", "requests_per_concurrency", "settings", NULL};
    const struct mdl_yaml_node *root = mdl_yaml_root(p->yaml), *n;
    if (!check_keys(root, valid, st)) return false;
    p->base = exp_scenario_new();
    p->settings = mdl_yaml_get(root, "settings");
    p->sources = mdl_yaml_get(root, "sources");
    if ((n = mdl_yaml_get(root, "requests_per_concurrency")) &&
        !mdl_yaml_u64(n, "requests_per_concurrency", &p->requests_per_concurrency, st))
        return false;
    for (size_t i = 0; p->sources && i < mdl_yaml_size(p->sources); i++)
        if (!check_keys(mdl_yaml_at(p->sources, i), of_source, st)) return false;
    return exp_scenario_set(p->base, "fleet.0.replicas", "1", st);
}

static bool open_plan(const char *path, struct plan *p, struct sim_status *st)
{
    p->requests_per_concurrency = REQUESTS_PER_CONCURRENCY;
    p->yaml = mdl_yaml_load(path, st);
    if (!p->yaml) return false;
    const struct mdl_yaml_node *root = mdl_yaml_root(p->yaml);
    bool validation = mdl_yaml_kind(root) == MDL_YAML_MAP &&
                      (mdl_yaml_get(root, "settings") || mdl_yaml_get(root, "sources"));
    if (validation) return open_validation_file(p, st);
    p->base = exp_scenario_load(path, st);
    return p->base != NULL;
}

static void close_plan(struct plan *p)
{
    free(p->base);
    mdl_yaml_free(p->yaml);
}

/* --- trials --- */

static bool set_count(struct exp_scenario *s, const char *key, uint64_t value, struct sim_status *st)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return exp_scenario_set(s, key, text, st);
}

static bool set_point(struct exp_scenario *s, const struct exp_point *p, const char *engine,
                      uint64_t per_concurrency, struct sim_status *st)
{
    return exp_scenario_set(s, "model", p->model, st) && exp_scenario_set(s, "fleet.0.gpu", p->system, st) &&
           (!p->precision[0] || exp_scenario_set(s, "weights", p->precision, st)) &&
           exp_scenario_set(s, "engine.name", engine, st) &&
           set_count(s, "fleet.0.tensor_parallel", p->tensor_parallel, st) &&
           set_count(s, "workload.closed_loop.concurrency", p->concurrency, st) &&
           set_count(s, "workload.closed_loop.num_requests", per_concurrency * p->concurrency, st) &&
           set_count(s, "workload.closed_loop.input_tokens", p->isl, st) &&
           set_count(s, "workload.closed_loop.output_tokens", p->osl, st);
}

static bool set_up_trial(const struct plan *p, const struct exp_point *point, struct exp_cache *cache,
                         struct exp_trial *t, struct sim_status *st)
{
    struct mdl_engine engine;
    struct exp_scenario *s = exp_scenario_copy(p->base);
    uint64_t per_concurrency = p->requests_per_concurrency;
    const char *backend = point->backend[0] ? point->backend : "vllm";
    bool ok = mdl_engine_find_version(exp_cache_data_dir(cache), backend, point->version, &engine, st) &&
              set_all(s, p->settings, st) && set_source(p, point, s, &per_concurrency, st) &&
              set_point(s, point, engine.name, per_concurrency, st) && exp_scenario_check(s, st);
    t->point = point;
    t->scenario = s;
    t->setup = ok ? exp_setup_new(s, cache, NULL, st) : NULL;
    return t->setup != NULL;
}

static bool same_hardware(const struct exp_point *a, const struct exp_point *b)
{
    return !strcmp(a->model, b->model) && !strcmp(a->system, b->system) &&
           !strcmp(a->precision, b->precision) && a->tensor_parallel == b->tensor_parallel;
}

/* A skipped point is reported unless the one skipped before it was of the same model on the same GPUs. */
static void skip(struct exp_trials *t, const struct exp_point *p, const struct exp_point *before, FILE *talk,
                 const struct sim_status *why)
{
    t->n_skipped++;
    if (talk && !(before && same_hardware(before, p)))
        fprintf(talk, "note: line %" PRIu64 " (%s, %s, TP %u) and others like it are left out: %s\n", p->line,
                p->model, p->system, (unsigned)p->tensor_parallel, why->message);
}

static void drop_trial(struct exp_trial *t)
{
    exp_setup_free(t->setup);
    free(t->scenario);
    *t = (struct exp_trial){0};
}

bool exp_trials_new(const struct exp_measured *m, const char *scenario_path, struct exp_cache *cache,
                    FILE *talk, struct exp_trials *out, struct sim_status *st)
{
    struct plan p = {0};
    struct sim_status why = {0};
    struct exp_trials t = {.trial = sim_alloc(m->n, sizeof *t.trial), .n_threads = 1};
    const struct exp_point *skipped = NULL;
    bool ok = open_plan(scenario_path, &p, st);
    for (uint32_t i = 0; ok && i < m->n; i++) {
        why = (struct sim_status){0};
        if (set_up_trial(&p, &m->points[i], cache, &t.trial[t.n], &why)) {
            t.n++;
            continue;
        }
        drop_trial(&t.trial[t.n]);
        skip(&t, &m->points[i], skipped, talk, &why);
        skipped = &m->points[i];
    }
    close_plan(&p);
    if (ok && !t.n)
        ok = sim_fail(st, "none of the %u measured points can be simulated%s%s", (unsigned)m->n,
                      talk ? "" : ": ", talk ? "; see above" : why.message);
    if (!ok) {
        exp_trials_fini(&t);
        return false;
    }
    *out = t;
    return true;
}

void exp_trials_fini(struct exp_trials *t)
{
    for (uint32_t i = 0; i < t->n; i++) drop_trial(&t->trial[i]);
    free(t->trial);
    *t = (struct exp_trials){0};
}

void exp_trial_set_engine(struct exp_trial *t, const struct mdl_engine *engine)
{
    struct exp_fleet_setup *f = &t->setup->fleets[0];
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS; i++) {
        size_t at = mdl_engine_number_at(i)->offset;
        memcpy((char *)&f->engine + at, (const char *)engine + at, sizeof(double));
    }
    if (f->cost) mdl_cost_set_overheads(f->cost, engine);
    t->setup->sim_fleets[0].engine.ingress_s = engine->ingress_s;
    t->setup->sim_fleets[0].engine.egress_s = engine->egress_s;
}

void exp_trial_run(struct exp_trial *t)
{
    struct sim_result *result = sim_run(&t->setup->config);
    struct sim_report *report = sim_report_new(&t->setup->config, result);
    t->ttft_ms = report->all.ttft.mean * 1e3;
    t->tpot_ms = report->all.tpot.mean * 1e3;
    t->preemptions = report->all.preemptions;
    sim_report_free(report);
    sim_result_free(result);
}

/* --- errors --- */

struct exp_errors exp_trials_errors(const struct exp_trials *t, enum exp_quantity q, const bool *chosen)
{
    struct exp_errors e = {0};
    double *size = sim_alloc(t->n, sizeof *size);
    for (uint32_t i = 0; i < t->n; i++) {
        if (chosen && !chosen[i]) continue;
        const struct exp_trial *x = &t->trial[i];
        double measured = q == EXP_TTFT ? x->point->ttft_ms : x->point->tpot_ms;
        double predicted = q == EXP_TTFT ? x->ttft_ms : x->tpot_ms;
        double error = predicted / measured - 1, ratio = log(measured / predicted);
        size[e.n++] = fabs(error);
        e.mape += fabs(error);
        e.bias += error;
        e.log_sigma += ratio * ratio;
    }
    if (e.n) {
        e.mape /= e.n;
        e.bias /= e.n;
        e.log_sigma = sqrt(e.log_sigma / e.n);
        gsl_sort(size, 1, e.n);
        e.median = gsl_stats_quantile_from_sorted_data(size, 1, e.n, 0.5);
        e.p90 = gsl_stats_quantile_from_sorted_data(size, 1, e.n, 0.9);
        e.worst = size[e.n - 1];
    }
    free(size);
    return e;
}
