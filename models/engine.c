#include "models/engine.h"

#include <ctype.h>
#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "models/yaml.h"
#include "sim/check.h"
#include "sim/memory.h"

#define AT(member) offsetof(struct mdl_engine, member)

/* Bounds: nothing is negative; a step's bookkeeping in Python stays under 50 ms, a sequence's under 1 ms, a
 * kernel launch takes 2 to 10 us and a layer has 5 to 30 of them, HTTP and tokenising stay under a second.
 * Tokenising takes some time, too: at 0 a closed loop's next request would catch the step its answer left. */
static const struct mdl_engine_number numbers[MDL_N_ENGINE_NUMBERS] = {
    {"cpu_step_s", "CPU time of a step", 0, 0.05, 1e-3, AT(cpu_step_s)},
    {"cpu_seq_s", "CPU time per sequence of a step", 0, 1e-3, 3e-5, AT(cpu_seq_s)},
    {"cpu_layer_eager_s", "CPU time per layer of a step without CUDA graphs", 0, 1e-3, 6e-5,
     AT(cpu_layer_eager_s)},
    {"gpu_layer_s", "idle GPU time per layer between kernels", 0, 1e-4, 5e-6, AT(gpu_layer_s)},
    {"ingress_s", "arrival until the scheduler sees a request", 1e-4, 1, 1e-2, AT(ingress_s)},
    {"egress_s", "end of a step until its tokens reach the client", 0, 1, 1e-2, AT(egress_s)},
};

const struct mdl_engine_number *mdl_engine_number_at(size_t i)
{
    return i < MDL_N_ENGINE_NUMBERS ? &numbers[i] : NULL;
}

/* ---- tables of keys ---- */

enum kind { WHOLE, REAL, FLAG, SOURCED /* {value: ..., source: ...} */ };

struct field {
    const char *name;
    enum kind kind;
    double low, high;
    size_t offset;
};

static const struct field scheduler_fields[] = {
    {"block_size", WHOLE, 1, 4096, AT(block_size)},
    {"gpu_memory_utilization", REAL, 0.01, 1, AT(gpu_memory_utilization)},
    {"long_prefill_token_threshold", WHOLE, 0, 1 << 30, AT(long_prefill_token_threshold)},
    {"watermark", REAL, 0, 0.99, AT(watermark_frac)},
    {"reserve_full_isl", FLAG, 0, 1, AT(reserve_full_isl)},
    {"async_scheduling", FLAG, 0, 1, AT(async_scheduling)},
};

static const struct field memory_fields[] = {
    {"graph_bytes", SOURCED, 0, 1e12, AT(graph_bytes)},
    {"context_bytes", SOURCED, 0, 1e12, AT(context_bytes)},
    {"context_frac", SOURCED, 0, 0.5, AT(context_frac)},
    {"parallel_bytes", SOURCED, 0, 1e12, AT(parallel_bytes)},
    {"activation_bytes", SOURCED, 0, 1e12, AT(activation_bytes)},
    {"sampler_byte_per_logit", SOURCED, 0, 1000, AT(sampler_byte_per_logit)},
    {"activation_hidden_factor", SOURCED, 0, 1000, AT(activation_hidden_factor)},
};

static const struct field residual_field = {"residual_frac", SOURCED, 0, 2, AT(residual_frac)};
static const struct field residual_ttft_field = {"residual_ttft_frac", SOURCED, 0, 2, AT(residual_ttft_frac)};

enum {
    N_SCHEDULER = sizeof scheduler_fields / sizeof *scheduler_fields,
    N_MEMORY = sizeof memory_fields / sizeof *memory_fields,
    MAX_KEYS = 16
};

/* ---- reading one node ---- */

static bool want_kind(const struct mdl_yaml_node *n, enum mdl_yaml_kind kind, const char *what,
                      struct sim_status *st)
{
    static const char *const names[] = {"a single value", "a mapping", "a list"};
    if (mdl_yaml_kind(n) == kind) return true;
    return sim_fail(st, "%s:%d: %s is not %s", mdl_yaml_file(n), mdl_yaml_line(n), what, names[kind]);
}

/* All keys are known and none is missing; `valid` ends with NULL. `source` and `about` are free text that may
 * stand anywhere. */
static bool check_keys(const struct mdl_yaml_node *map, const char *what, const char *const *valid,
                       struct sim_status *st)
{
    if (!want_kind(map, MDL_YAML_MAP, what, st)) return false;
    for (size_t i = 0; i < mdl_yaml_size(map); i++) {
        const char *key = mdl_yaml_key(map, i);
        bool known = strcmp(key, "source") == 0 || strcmp(key, "about") == 0;
        for (size_t k = 0; !known && valid[k]; k++) known = strcmp(key, valid[k]) == 0;
        if (!known) return mdl_yaml_unknown_key(map, i, valid, st);
    }
    for (size_t k = 0; valid[k]; k++) {
        if (!mdl_yaml_get(map, valid[k]))
            return sim_fail(st, "%s:%d: no key `%s` in %s; copy it from a shipped engine file",
                            mdl_yaml_file(map), mdl_yaml_line(map), valid[k], what);
    }
    return true;
}

static bool out_of_range(const struct mdl_yaml_node *n, const struct field *f, double value,
                         struct sim_status *st)
{
    return sim_fail(st, "%s:%d: %s is %g, expected %g to %g", mdl_yaml_file(n), mdl_yaml_line(n), f->name,
                    value, f->low, f->high);
}

static bool read_real(const struct mdl_yaml_node *n, const struct field *f, double *out,
                      struct sim_status *st)
{
    double value;
    if (!mdl_yaml_double(n, f->name, &value, st)) return false;
    if (value < f->low || value > f->high) return out_of_range(n, f, value, st);
    *out = value;
    return true;
}

static bool read_whole(const struct mdl_yaml_node *n, const struct field *f, uint32_t *out,
                       struct sim_status *st)
{
    uint64_t value;
    if (!mdl_yaml_u64(n, f->name, &value, st)) return false;
    if ((double)value < f->low || (double)value > f->high) return out_of_range(n, f, (double)value, st);
    *out = (uint32_t)value;
    return true;
}

/* {value: 1e-3, source: "..."}: a number without its source is refused. */
static bool read_sourced(const struct mdl_yaml_node *n, const struct field *f, double *out,
                         struct sim_status *st)
{
    static const char *const keys[] = {"value", "source", NULL};
    if (!check_keys(n, f->name, keys, st)) return false;
    const char *source = mdl_yaml_string(mdl_yaml_get(n, "source"), "source", st);
    if (!source) return false;
    if (!*source)
        return sim_fail(st, "%s:%d: source of %s is empty; say where the number is from", mdl_yaml_file(n),
                        mdl_yaml_line(n), f->name);
    return read_real(mdl_yaml_get(n, "value"), f, out, st);
}

static bool read_field(const struct mdl_yaml_node *map, const struct field *f, struct mdl_engine *e,
                       struct sim_status *st)
{
    const struct mdl_yaml_node *n = mdl_yaml_get(map, f->name);
    void *out = (char *)e + f->offset;
    switch (f->kind) {
    case WHOLE:
        return read_whole(n, f, out, st);
    case REAL:
        return read_real(n, f, out, st);
    case FLAG:
        return mdl_yaml_bool(n, f->name, out, st);
    case SOURCED:
        break;
    }
    return read_sourced(n, f, out, st);
}

static bool read_section(const struct mdl_yaml_node *root, const char *name, const struct field *fields,
                         size_t n, struct mdl_engine *e, struct sim_status *st)
{
    const char *keys[MAX_KEYS] = {NULL};
    SIM_CHECK(n < MAX_KEYS);
    for (size_t i = 0; i < n; i++) keys[i] = fields[i].name;
    const struct mdl_yaml_node *map = mdl_yaml_get(root, name);
    if (!check_keys(map, name, keys, st)) return false;
    for (size_t i = 0; i < n; i++) {
        if (!read_field(map, &fields[i], e, st)) return false;
    }
    return true;
}

/* ---- sections ---- */

static bool read_overheads(const struct mdl_yaml_node *root, struct mdl_engine *e, struct sim_status *st)
{
    struct field fields[MDL_N_ENGINE_NUMBERS];
    for (size_t i = 0; i < MDL_N_ENGINE_NUMBERS; i++)
        fields[i] = (struct field){numbers[i].name, SOURCED, 0, numbers[i].high, numbers[i].offset};
    return read_section(root, "overheads", fields, MDL_N_ENGINE_NUMBERS, e, st);
}

static bool read_default(const struct mdl_yaml_node *row, struct mdl_engine_default *out,
                         struct sim_status *st)
{
    static const char *const keys[] = {"min_memory_gib", "not_name", "max_num_seqs", "max_num_batched_tokens",
                                       NULL};
    static const struct field memory = {"min_memory_gib", REAL, 0, 1e6, 0};
    static const struct field seqs = {"max_num_seqs", WHOLE, 1, 1 << 20, 0};
    static const struct field tokens = {"max_num_batched_tokens", WHOLE, 1, 1 << 24, 0};
    double gib;
    if (!check_keys(row, "a row of batch_limits", keys, st)) return false;
    const char *not_name = mdl_yaml_string(mdl_yaml_get(row, "not_name"), "not_name", st);
    if (!not_name || !read_real(mdl_yaml_get(row, keys[0]), &memory, &gib, st) ||
        !read_whole(mdl_yaml_get(row, keys[2]), &seqs, &out->max_num_seqs, st) ||
        !read_whole(mdl_yaml_get(row, keys[3]), &tokens, &out->max_num_batched_tokens, st))
        return false;
    if (strlen(not_name) >= sizeof out->not_name)
        return sim_fail(st, "%s:%d: not_name is longer than %zu characters", mdl_yaml_file(row),
                        mdl_yaml_line(row), sizeof out->not_name - 1);
    snprintf(out->not_name, sizeof out->not_name, "%s", not_name);
    out->min_memory_bytes = (uint64_t)(gib * 1073741824.0);
    return true;
}

static bool read_defaults(const struct mdl_yaml_node *root, struct mdl_engine *e, struct sim_status *st)
{
    const struct mdl_yaml_node *list = mdl_yaml_get(root, "batch_limits");
    if (!want_kind(list, MDL_YAML_LIST, "batch_limits", st)) return false;
    size_t n = mdl_yaml_size(list);
    if (n < 1 || n > MDL_MAX_ENGINE_DEFAULTS)
        return sim_fail(st, "%s:%d: batch_limits has %zu rows, expected 1 to %d", mdl_yaml_file(list),
                        mdl_yaml_line(list), n, MDL_MAX_ENGINE_DEFAULTS);
    for (size_t i = 0; i < n; i++) {
        if (!read_default(mdl_yaml_at(list, i), &e->defaults[i], st)) return false;
    }
    e->n_defaults = (uint32_t)n;
    const struct mdl_engine_default *last = &e->defaults[n - 1];
    if (last->min_memory_bytes == 0 && !last->not_name[0]) return true;
    return sim_fail(
        st, "%s:%d: the last row of batch_limits must fit every GPU: min_memory_gib 0 and not_name \"\"",
        mdl_yaml_file(list), mdl_yaml_line(list));
}

static bool read_capture_sizes(const struct mdl_yaml_node *list, struct mdl_engine *e, struct sim_status *st)
{
    static const struct field size = {"a capture size", WHOLE, 1, 1 << 20, 0};
    if (!want_kind(list, MDL_YAML_LIST, "capture_sizes", st)) return false;
    if (mdl_yaml_size(list) > MDL_MAX_CAPTURE_SIZES)
        return sim_fail(st, "%s:%d: more than %d capture_sizes", mdl_yaml_file(list), mdl_yaml_line(list),
                        MDL_MAX_CAPTURE_SIZES);
    for (size_t i = 0; i < mdl_yaml_size(list); i++) {
        if (!read_whole(mdl_yaml_at(list, i), &size, &e->capture_size[i], st)) return false;
        if (i && e->capture_size[i] <= e->capture_size[i - 1])
            return sim_fail(st, "%s:%d: capture_sizes must ascend, and %u does not", mdl_yaml_file(list),
                            mdl_yaml_line(mdl_yaml_at(list, i)), e->capture_size[i]);
    }
    e->n_capture_sizes = (uint32_t)mdl_yaml_size(list);
    return true;
}

static bool read_graphs(const struct mdl_yaml_node *root, struct mdl_engine *e, struct sim_status *st)
{
    static const char *const keys[] = {"capture_seqs_factor", "capture_sizes", NULL};
    static const struct field factor = {"capture_seqs_factor", WHOLE, 0, 1024, 0};
    const struct mdl_yaml_node *map = mdl_yaml_get(root, "cuda_graphs");
    return check_keys(map, "cuda_graphs", keys, st) &&
           read_whole(mdl_yaml_get(map, keys[0]), &factor, &e->capture_seqs_factor, st) &&
           read_capture_sizes(mdl_yaml_get(map, keys[1]), e, st);
}

static bool read_text(const struct mdl_yaml_node *root, const char *key, char *out, size_t room,
                      struct sim_status *st)
{
    const struct mdl_yaml_node *n = mdl_yaml_get(root, key);
    const char *text = mdl_yaml_string(n, key, st);
    if (!text) return false;
    if (strlen(text) >= room)
        return sim_fail(st, "%s:%d: %s is longer than %zu characters", mdl_yaml_file(n), mdl_yaml_line(n),
                        key, room - 1);
    snprintf(out, room, "%s", text);
    return true;
}

static bool read_root(const struct mdl_yaml_node *root, struct mdl_engine *e, struct sim_status *st)
{
    static const char *const keys[] = {
        "engine",      "version", "fitted",    "scheduler",     "batch_limits",
        "cuda_graphs", "memory",  "overheads", "residual_frac", "residual_ttft_frac",
        NULL};
    return check_keys(root, "the engine file", keys, st) &&
           read_text(root, "engine", e->engine, sizeof e->engine, st) &&
           read_text(root, "version", e->version, sizeof e->version, st) &&
           mdl_yaml_bool(mdl_yaml_get(root, "fitted"), "fitted", &e->fitted, st) &&
           read_section(root, "scheduler", scheduler_fields, N_SCHEDULER, e, st) &&
           read_defaults(root, e, st) && read_graphs(root, e, st) &&
           read_section(root, "memory", memory_fields, N_MEMORY, e, st) && read_overheads(root, e, st) &&
           read_field(root, &residual_field, e, st) && read_field(root, &residual_ttft_field, e, st);
}

/* ---- finding files ---- */

static bool read_file(const char *path, struct mdl_engine *out, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    if (!y) return false;
    struct mdl_engine e = {0};
    bool ok = read_root(mdl_yaml_root(y), &e, st);
    mdl_yaml_free(y);
    if (!ok) return false;
    snprintf(e.name, sizeof e.name, "%s-%s", e.engine, e.version);
    snprintf(e.path, sizeof e.path, "%s", path);
    *out = e;
    return true;
}

static bool is_path(const char *name)
{
    size_t n = strlen(name);
    return strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".yaml") == 0);
}

bool mdl_engine_load(const char *data_dir, const char *name_or_path, struct mdl_engine *out,
                     struct sim_status *st)
{
    if (is_path(name_or_path)) return read_file(name_or_path, out, st);
    char *path = sim_printf("%s/calib/engines/%s.yaml", data_dir, name_or_path);
    bool ok = access(path, R_OK) == 0 ? read_file(path, out, st)
                                      : sim_fail(st,
                                                 "unknown engine `%.100s`, expected one of `kvsim list "
                                                 "engines` (vllm-unknown fits any vLLM) or an "
                                                 "engine file's path",
                                                 name_or_path);
    free(path);
    return ok;
}

struct release {
    unsigned major, minor;
};

/* 0 and 12 of "0.12.0", "v0.12.1rc1" or "0.12"; false when there is no major.minor. */
static bool release_of(const char *version, struct release *out)
{
    if (*version == 'v') version++;
    return sscanf(version, "%4u.%4u", &out->major, &out->minor) == 2;
}

static int compare_releases(struct release a, struct release b)
{
    if (a.major != b.major) return a.major < b.major ? -1 : 1;
    return (a.minor > b.minor) - (a.minor < b.minor);
}

/* The newest release with a file that is not newer than `wanted`, else the oldest there is; false without
 * any. */
static bool nearest_release(const char *data_dir, const char *engine, struct release wanted,
                            struct release *best)
{
    char *path = sim_printf("%s/calib/engines", data_dir), *prefix = sim_printf("%s-", engine);
    DIR *dir = opendir(path);
    bool any = false;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct release r;
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || !release_of(e->d_name + strlen(prefix), &r))
            continue;
        bool fits = compare_releases(r, wanted) <= 0, best_fits = any && compare_releases(*best, wanted) <= 0;
        int against = any ? compare_releases(r, *best) : 0;
        bool better = fits == best_fits ? (fits ? against > 0 : against < 0) : fits;
        if (!any || better) *best = r;
        any = true;
    }
    if (dir) closedir(dir);
    free(prefix);
    free(path);
    return any;
}

bool mdl_engine_find_version(const char *data_dir, const char *engine, const char *version,
                             struct mdl_engine *out, struct sim_status *st)
{
    struct release wanted, found;
    bool known = release_of(version, &wanted) && nearest_release(data_dir, engine, wanted, &found);
    char *name =
        known ? sim_printf("%s-%u.%u", engine, found.major, found.minor) : sim_printf("%s-unknown", engine);
    bool ok = mdl_engine_load(data_dir, name, out, st);
    free(name);
    return ok;
}

/* ---- what the settings mean ---- */

static bool name_contains(const char *name, const char *part)
{
    size_t n = strlen(part);
    for (; *name; name++) {
        if (strncasecmp(name, part, n) == 0) return true;
    }
    return false;
}

const struct mdl_engine_default *mdl_engine_default_for(const struct mdl_engine *e, const struct mdl_gpu *gpu)
{
    for (uint32_t i = 0; i < e->n_defaults; i++) {
        const struct mdl_engine_default *d = &e->defaults[i];
        if (gpu->memory_bytes < d->min_memory_bytes) continue;
        if (d->not_name[0] && name_contains(gpu->title, d->not_name)) continue;
        return d;
    }
    return &e->defaults[e->n_defaults - 1];
}

uint32_t mdl_engine_graph_tokens(const struct mdl_engine *e, uint32_t max_num_seqs, uint32_t n_tokens)
{
    uint64_t most = e->capture_seqs_factor ? (uint64_t)e->capture_seqs_factor * max_num_seqs : UINT64_MAX;
    for (uint32_t i = 0; i < e->n_capture_sizes && e->capture_size[i] <= most; i++) {
        if (e->capture_size[i] >= n_tokens) return e->capture_size[i];
    }
    return 0;
}
