#include "experiments/planning/pilot/pilot_parts.h"

#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/yaml.h"
#include "sim/memory.h"

const char *exp_arm_name(int arm)
{
    return arm == EXP_ARM_BASELINE ? "baseline" : "candidate";
}

char *exp_beside(const char *path, const char *name)
{
    char *copy = sim_strdup(path), *at = sim_printf("%s/%s", dirname(copy), name);
    free(copy);
    return at;
}

/* ---- from the decision ---- */

const struct exp_decision_row *exp_pilot_row(const struct exp_decision *d)
{
    return d->n_finalists ? &d->row[0] : NULL;
}

/* Without machines that there are; where nothing new is bought, one of those. */
static struct exp_candidate alone(const struct exp_plan *plan, const struct exp_entry *e)
{
    struct exp_candidate c = e->candidate;
    if (c.keeps_have && e->n_replicas == 0) {
        c.gpu = c.have_gpu[0];
        c.tensor_parallel = c.have_tensor_parallel[0];
        c.gpus_per_server = plan->have[0].gpus_per_server;
        if (!c.adds_host_memory) c.host_gib = plan->have[0].host_gib;
    }
    c.keeps_have = c.adds_host_memory = false;
    return c;
}

struct exp_scenario *exp_arm_scenario(const struct exp_plan *plan, const struct exp_arm_machines *arm,
                                      struct sim_status *st)
{
    struct exp_candidate c = arm->candidate;
    c.contender = &arm->contender;
    return exp_candidate_scenario(plan, &c, arm->replicas, st);
}

/* Whether a request is served at all: memory, TP. */
static bool runs(const struct exp_plan *plan, const struct exp_arm_machines *arm, struct exp_cache *cache,
                 struct sim_status *st)
{
    struct sim_request one = {.input_tokens = 1, .output_tokens = 1};
    struct exp_workload load = {.requests = &one, .n_requests = 1};
    struct exp_scenario *s = exp_arm_scenario(plan, arm, st);
    struct exp_setup *setup = s ? exp_setup_new_on(s, cache, NULL, &load, st) : NULL;
    free(s);
    exp_setup_free(setup);
    return setup != NULL;
}

static bool choose_baseline(const struct exp_decision *d, struct exp_cache *cache,
                            struct exp_arm_machines arm[EXP_N_ARMS], struct sim_status *st)
{
    struct exp_arm_machines *b = &arm[EXP_ARM_BASELINE];
    struct sim_status why = {0};
    *b = arm[EXP_ARM_CANDIDATE];
    if (!b->apart) return true;
    b->contender = d->plan->baseline;
    b->candidate.max_num_batched_tokens = b->candidate.max_num_seqs = 0;
    if (runs(d->plan, b, cache, &why)) return true;
    uint32_t other = d->search.baseline; /* on its own GPUs */
    if (other != UINT32_MAX) {
        b->candidate = alone(d->plan, &d->search.entry[other]);
        if (runs(d->plan, b, cache, st)) return true;
    }
    return sim_fail(st, "pilot: no arm for %s, expected GPUs on which it runs: %s", b->contender.label,
                    why.message);
}

bool exp_pilot_arms(const struct exp_decision *d, struct exp_cache *cache,
                    struct exp_arm_machines arm[EXP_N_ARMS], struct sim_status *st)
{
    if (!exp_pilot_row(d))
        return sim_fail_as(st, SIM_EXIT_INFEASIBLE, "pilot: no fleet meets the service levels%s%s",
                           d->search.relaxation[0] ? ": " : ", expected one to try; see `kvsim plan`",
                           d->search.relaxation);
    const struct exp_entry *e = exp_pilot_row(d)->entry;
    struct exp_arm_machines *c = &arm[EXP_ARM_CANDIDATE];
    *c = (struct exp_arm_machines){.contender = *e->candidate.contender, .replicas = 1};
    c->apart = strcmp(c->contender.label, d->plan->baseline.label) != 0;
    c->candidate = alone(d->plan, e);
    return choose_baseline(d, cache, arm, st);
}

/* The degree of parallelism decides between two that are otherwise what was piloted. */
const struct exp_decision_row *exp_piloted_row(const struct exp_decision *d,
                                               const struct exp_arm_machines *arm, struct sim_status *st)
{
    const struct exp_decision_row *found = NULL;
    for (uint32_t i = 0; i < d->n_finalists; i++) {
        struct exp_candidate c = alone(d->plan, d->row[i].entry);
        bool same = c.gpu == arm->candidate.gpu && strcmp(c.contender->label, arm->contender.label) == 0;
        if (same && c.tensor_parallel == arm->candidate.tensor_parallel) return &d->row[i];
        if (same && !found) found = &d->row[i];
    }
    if (!found)
        sim_fail(
            st,
            "pilot.yaml: the candidate is %s on %s, expected one of the plan's finalists; take the plan that "
            "the pilot was made for, or correct it",
            arm->contender.label, arm->candidate.gpu->name);
    return found;
}

double exp_pilot_share(const struct exp_decision *d)
{
    const struct exp_entry *e = exp_pilot_row(d)->entry;
    const struct exp_candidate *c = &e->candidate;
    double replicas = e->n_replicas;
    for (uint32_t i = 0; c->keeps_have && i < d->plan->n_have; i++)
        replicas += d->plan->have[i].servers *
                    (double)(d->plan->have[i].gpus_per_server / c->have_tensor_parallel[i]);
    return replicas > 1 ? 1 / replicas : 1;
}

/* ---- from pilot.yaml ---- */

static const char *const arm_keys[] = {
    "gpu",      "tensor_parallel",        "gpus_per_server", "host_gib", "strategy",
    "replicas", "max_num_batched_tokens", "max_num_seqs",    NULL};
/* What `kvsim pilot` writes for people stands in the same file. */
static const char *const sections[] = {"baseline", "candidate", "stages", "critical_cases", "stop", NULL};

static bool read_count(const struct mdl_yaml_node *n, const char *what, uint64_t most, uint32_t *out,
                       struct sim_status *st)
{
    uint64_t value;
    if (!mdl_yaml_u64(n, what, &value, st)) return false;
    if (value < 1 || value > most)
        return sim_fail(st, "%s:%d: %s is %llu, expected 1 to %llu", mdl_yaml_file(n), mdl_yaml_line(n), what,
                        (unsigned long long)value, (unsigned long long)most);
    *out = (uint32_t)value;
    return true;
}

static bool read_host(const struct mdl_yaml_node *n, double *out, struct sim_status *st)
{
    double value;
    if (!mdl_yaml_double(n, "host_gib", &value, st)) return false;
    if (!(value >= 0 && value <= 1e6))
        return sim_fail(st, "%s:%d: host_gib is %g, expected 0 to 1e6 GiB", mdl_yaml_file(n),
                        mdl_yaml_line(n), value);
    *out = value;
    return true;
}

static bool read_strategy(const struct mdl_yaml_node *n, struct exp_contender *out, struct sim_status *st)
{
    const char *text = mdl_yaml_string(n, "strategy", st);
    struct exp_contenders *list = text ? sim_alloc(1, sizeof *list) : NULL;
    struct sim_status why = {0};
    bool ok = list && exp_contenders_parse(text, list, &why);
    if (list && ok && list->n <= 2)
        *out = list->at[list->n - 1];
    else if (list)
        ok = sim_fail(st, "%s:%d: strategy `%.80s`: %s", mdl_yaml_file(n), mdl_yaml_line(n), text,
                      ok ? "is a list, expected one strategy" : why.message);
    free(list);
    return ok;
}

static bool read_gpu(const struct mdl_yaml_node *n, struct exp_cache *cache, const struct mdl_gpu **out,
                     struct sim_status *st)
{
    struct sim_status why = {0};
    const char *name = mdl_yaml_string(n, "gpu", st);
    const struct mdl_gpu *gpu = name ? mdl_gpu_find(exp_cache_gpus(cache), name, &why) : NULL;
    if (gpu) *out = gpu;
    return gpu || (name && sim_fail(st, "%s:%d: %s", mdl_yaml_file(n), mdl_yaml_line(n), why.message));
}

static bool read_arm_key(const struct mdl_yaml_node *map, size_t i, struct exp_cache *cache,
                         struct exp_arm_machines *arm, struct sim_status *st)
{
    const char *key = mdl_yaml_key(map, i);
    const struct mdl_yaml_node *n = mdl_yaml_at(map, i);
    struct exp_candidate *c = &arm->candidate;
    if (strcmp(key, "gpu") == 0) return read_gpu(n, cache, &c->gpu, st);
    if (strcmp(key, "tensor_parallel") == 0) return read_count(n, key, 64, &c->tensor_parallel, st);
    if (strcmp(key, "gpus_per_server") == 0) return read_count(n, key, 64, &c->gpus_per_server, st);
    if (strcmp(key, "host_gib") == 0) return read_host(n, &c->host_gib, st);
    if (strcmp(key, "strategy") == 0) return read_strategy(n, &arm->contender, st);
    if (strcmp(key, "replicas") == 0) return read_count(n, key, 65535, &arm->replicas, st);
    if (strcmp(key, "max_num_batched_tokens") == 0)
        return read_count(n, key, 1 << 22, &c->max_num_batched_tokens, st);
    if (strcmp(key, "max_num_seqs") == 0) return read_count(n, key, 65536, &c->max_num_seqs, st);
    return mdl_yaml_unknown_key(map, i, arm_keys, st);
}

static bool read_arm(const struct mdl_yaml_node *map, struct exp_cache *cache, struct exp_arm_machines *arm,
                     struct sim_status *st)
{
    if (mdl_yaml_kind(map) != MDL_YAML_MAP)
        return sim_fail(st, "%s:%d: is no mapping, expected {gpu: ..., replicas: 1}", mdl_yaml_file(map),
                        mdl_yaml_line(map));
    for (size_t i = 0; i < mdl_yaml_size(map); i++)
        if (!read_arm_key(map, i, cache, arm, st)) return false;
    struct exp_candidate *c = &arm->candidate;
    if (c->gpus_per_server < c->tensor_parallel)
        return sim_fail(st, "%s:%d: tensor_parallel %u, expected at most gpus_per_server %u",
                        mdl_yaml_file(map), mdl_yaml_line(map), c->tensor_parallel, c->gpus_per_server);
    return true;
}

static bool read_root(const struct mdl_yaml_node *root, struct exp_cache *cache,
                      struct exp_arm_machines arm[EXP_N_ARMS], struct sim_status *st)
{
    if (mdl_yaml_kind(root) != MDL_YAML_MAP)
        return sim_fail(st,
                        "%s:%d: is no mapping, expected `candidate` and `baseline`; `kvsim pilot` "
                        "writes one",
                        mdl_yaml_file(root), mdl_yaml_line(root));
    for (size_t i = 0; i < mdl_yaml_size(root); i++) {
        int k = 0;
        while (sections[k] && strcmp(sections[k], mdl_yaml_key(root, i)) != 0) k++;
        if (!sections[k]) return mdl_yaml_unknown_key(root, i, sections, st);
        if (k < EXP_N_ARMS && !read_arm(mdl_yaml_at(root, i), cache, &arm[k], st)) return false;
    }
    return true;
}

bool exp_pilot_arms_read(const char *measured_csv, struct exp_cache *cache,
                         struct exp_arm_machines arm[EXP_N_ARMS], struct sim_status *st)
{
    char *path = exp_beside(measured_csv, "pilot.yaml");
    struct mdl_yaml *y = NULL;
    bool there = access(path, F_OK) == 0;
    bool ok = !there || ((y = mdl_yaml_load(path, st)) && read_root(mdl_yaml_root(y), cache, arm, st));
    mdl_yaml_free(y);
    free(path);
    struct exp_arm_machines *c = &arm[EXP_ARM_CANDIDATE];
    c->apart = strcmp(c->contender.label, arm[EXP_ARM_BASELINE].contender.label) != 0;
    return ok;
}
