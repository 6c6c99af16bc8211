#include "experiments/validate.h"

#include "models/yaml.h"
#include "sim/memory.h"
#include "sim/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_PER_CONCURRENCY = 10, MOST_REQUESTS_PER_CONCURRENCY = 1000000 };

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
    struct sim_status why = {0};
    const char *text = mdl_yaml_string(value, key, st);
    if (!text) return false;
    if (exp_scenario_set(s, key, text, &why)) return true;
    const char *told = strncmp(why.message, "--set: ", 7) == 0 ? why.message + 7 : why.message;
    return sim_fail(st, "%s:%d: %s", mdl_yaml_file(value), mdl_yaml_line(value), told);
}

static bool set_all(struct exp_scenario *s, const struct mdl_yaml_node *map, struct sim_status *st)
{
    for (size_t i = 0; map && i < mdl_yaml_size(map); i++)
        if (!set_one(s, mdl_yaml_key(map, i), mdl_yaml_at(map, i), st)) return false;
    return true;
}

/* requests_per_concurrency of a map; *out stays when the map does not say. */
static bool read_requests(const struct mdl_yaml_node *map, uint64_t *out, struct sim_status *st)
{
    const struct mdl_yaml_node *n = mdl_yaml_get(map, "requests_per_concurrency");
    uint64_t value;
    if (!n) return true;
    if (!mdl_yaml_u64(n, "requests_per_concurrency", &value, st)) return false;
    if (value < 1 || value > MOST_REQUESTS_PER_CONCURRENCY)
        return sim_fail(st, "%s:%d: requests_per_concurrency is %" PRIu64 ", expected 1 to %d",
                        mdl_yaml_file(n), mdl_yaml_line(n), value, MOST_REQUESTS_PER_CONCURRENCY);
    *out = value;
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
        const struct mdl_yaml_node *version = mdl_yaml_get(source, "version");
        const char *wanted = version ? mdl_yaml_string(version, "version", st) : "";
        if (!wanted) return false;
        if (!version_matches(wanted, point->version)) continue;
        return read_requests(source, per_concurrency, st) && set_all(s, mdl_yaml_get(source, "settings"), st);
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

static bool is_kind(const struct mdl_yaml_node *n, enum mdl_yaml_kind kind, const char *expected,
                    struct sim_status *st)
{
    if (!n || mdl_yaml_kind(n) == kind) return true;
    return sim_fail(st, "%s:%d: expected %s", mdl_yaml_file(n), mdl_yaml_line(n), expected);
}

/* Settings are tried once on a scenario that is thrown away: a wrong key is the file's fault, not a row's. */
static bool check_settings(const struct plan *p, const struct mdl_yaml_node *settings, struct sim_status *st)
{
    if (!is_kind(settings, MDL_YAML_MAP, "settings as a map of scenario keys", st)) return false;
    struct exp_scenario *trial = exp_scenario_copy(p->base);
    bool ok = set_all(trial, settings, st);
    free(trial);
    return ok;
}

static bool check_source(const struct plan *p, const struct mdl_yaml_node *source, struct sim_status *st)
{
    static const char *const valid[] = {"version", "requests_per_concurrency", "settings", NULL};
    uint64_t ignored;
    return is_kind(source, MDL_YAML_MAP, "a source as {version: ..., settings: {...}}", st) &&
           check_keys(source, valid, st) &&
           is_kind(mdl_yaml_get(source, "version"), MDL_YAML_SCALAR, "a version as text", st) &&
           read_requests(source, &ignored, st) && check_settings(p, mdl_yaml_get(source, "settings"), st);
}

static bool open_validation_file(struct plan *p, struct sim_status *st)
{
    static const char *const valid[] = {"requests_per_concurrency", "settings", "sources", NULL};
    const struct mdl_yaml_node *root = mdl_yaml_root(p->yaml);
    if (!check_keys(root, valid, st)) return false;
    p->base = exp_scenario_new();
    p->settings = mdl_yaml_get(root, "settings");
    p->sources = mdl_yaml_get(root, "sources");
    if (!read_requests(root, &p->requests_per_concurrency, st)) return false;
    if (!exp_scenario_set(p->base, "fleet.0.replicas", "1", st) || !check_settings(p, p->settings, st))
        return false;
    if (!is_kind(p->sources, MDL_YAML_LIST, "sources as a list", st)) return false;
    for (size_t i = 0; p->sources && i < mdl_yaml_size(p->sources); i++)
        if (!check_source(p, mdl_yaml_at(p->sources, i), st)) return false;
    return true;
}

static bool open_plan(const char *path, struct plan *p, struct sim_status *st)
{
    p->requests_per_concurrency = REQUESTS_PER_CONCURRENCY;
    p->yaml = mdl_yaml_load(path, st);
    if (!p->yaml) return false;
    const struct mdl_yaml_node *root = mdl_yaml_root(p->yaml);
    bool validation = mdl_yaml_kind(root) == MDL_YAML_MAP &&
                      (mdl_yaml_get(root, "settings") || mdl_yaml_get(root, "sources") ||
                       mdl_yaml_get(root, "requests_per_concurrency"));
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

/* Whether both measured means exist in the prediction: one without them would count as 100 % off, and its
 * logarithm would spoil a fit. */
static bool can_be_judged(const struct exp_setup *u, const struct exp_point *p, struct sim_status *st)
{
    uint32_t most = u->sim_fleets[0].engine.max_model_len;
    if (p->osl < 2)
        return sim_fail(st, "osl is 1, expected 2 or more: one token has no time per output token");
    if ((uint64_t)p->isl + p->osl > most)
        return sim_fail(st, "isl %u + osl %u is above max_model_len %u: the engine would reject it", p->isl,
                        p->osl, most);
    return true;
}

static bool set_up_trial(const struct plan *p, const struct exp_point *point, struct exp_cache *cache,
                         struct exp_rerun *t, struct sim_status *st)
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
    return t->setup && can_be_judged(t->setup, point, st);
}

/* Each reason is told once, with the first row that it left out. */
static void skip(struct exp_reruns *t, const struct exp_point *p, FILE *talk, const char *why)
{
    uint32_t i = 0;
    t->n_skipped++;
    while (i < t->n_left_out && strcmp(t->left_out[i].why, why) != 0) i++;
    if (i == t->n_left_out) {
        t->left_out = sim_realloc(t->left_out, ++t->n_left_out, sizeof *t->left_out);
        t->left_out[i] = (struct exp_left_out){.first = p, .why = sim_strdup(why)};
        if (talk)
            fprintf(talk, "note: line %" PRIu64 " (%s, %s, TP %u) and others like it are left out: %s\n",
                    p->line, p->model, p->system, (unsigned)p->tensor_parallel, why);
    }
    t->left_out[i].n++;
}

static void drop_trial(struct exp_rerun *t)
{
    exp_setup_free(t->setup);
    free(t->scenario);
    *t = (struct exp_rerun){0};
}

bool exp_reruns_new(const struct exp_measured *m, const char *scenario_path, struct exp_cache *cache,
                    FILE *talk, struct exp_reruns *out, struct sim_status *st)
{
    struct plan p = {0};
    struct sim_status why = {0};
    struct exp_reruns t = {.trial = sim_alloc(m->n, sizeof *t.trial), .n_threads = 1};
    bool ok = open_plan(scenario_path, &p, st);
    for (uint32_t i = 0; ok && i < m->n; i++) {
        why = (struct sim_status){0};
        if (set_up_trial(&p, &m->points[i], cache, &t.trial[t.n], &why)) {
            t.n++;
            continue;
        }
        drop_trial(&t.trial[t.n]);
        skip(&t, &m->points[i], talk, why.message);
    }
    close_plan(&p);
    if (ok && !t.n)
        ok = sim_fail(st, "none of the %u measured points can be simulated%s%s", (unsigned)m->n,
                      talk ? "" : ": ", talk ? "; see above" : why.message);
    if (!ok) {
        exp_reruns_fini(&t);
        return false;
    }
    *out = t;
    return true;
}

void exp_reruns_fini(struct exp_reruns *t)
{
    for (uint32_t i = 0; i < t->n; i++) drop_trial(&t->trial[i]);
    for (uint32_t i = 0; i < t->n_left_out; i++) free(t->left_out[i].why);
    free(t->left_out);
    free(t->trial);
    *t = (struct exp_reruns){0};
}

void exp_rerun_set_engine(struct exp_rerun *t, const struct mdl_engine *engine)
{
    struct exp_fleet_setup *f = &t->setup->fleets[0];
    if (!f->cost) return; /* steps priced by a line have no engine */
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS; i++) {
        size_t at = mdl_engine_number_at(i)->offset;
        memcpy((char *)&f->engine + at, (const char *)engine + at, sizeof(double));
    }
    mdl_cost_set_overheads(f->cost, engine);
    t->setup->sim_fleets[0].engine.ingress_s = engine->ingress_s;
    t->setup->sim_fleets[0].engine.egress_s = engine->egress_s;
}

void exp_rerun_run(struct exp_rerun *t)
{
    struct sim_result *result = sim_run(&t->setup->config);
    struct sim_report *report = sim_report_new(&t->setup->config, result);
    t->ttft_ms = report->all.ttft.mean * 1e3;
    t->tpot_ms = report->all.tpot.mean * 1e3;
    sim_report_free(report);
    sim_result_free(result);
}

/* --- errors --- */

struct exp_errors exp_reruns_errors(const struct exp_reruns *t, enum exp_quantity q, const bool *chosen)
{
    double *predicted = sim_alloc(2 * (size_t)t->n, sizeof *predicted), *measured = predicted + t->n;
    size_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        const struct exp_rerun *x = &t->trial[i];
        if (chosen && !chosen[i]) continue;
        measured[n] = q == EXP_TTFT ? x->point->ttft_ms : x->point->tpot_ms;
        predicted[n++] = q == EXP_TTFT ? x->ttft_ms : x->tpot_ms;
    }
    struct exp_errors e = exp_errors_of(predicted, measured, n);
    free(predicted);
    return e;
}
