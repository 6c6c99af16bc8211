#include "models/profile_parts.h"

#include <string.h>

#include "models/place.h"
#include "models/yaml.h"
#include "sim/memory.h"

enum { FORMAT = 1, MAX_RAW = 64 };

const char *mdl_check_name(enum mdl_check_kind k)
{
    static const char *const name[MDL_N_CHECK] = {"sites", "points", "past"};
    return name[k];
}

/* The value under `key`, which must be there. */
static const struct mdl_yaml_node *need(const struct mdl_yaml_node *map, const char *key,
                                        struct sim_status *st)
{
    const struct mdl_yaml_node *n = mdl_yaml_kind(map) == MDL_YAML_MAP ? mdl_yaml_get(map, key) : NULL;
    if (!n)
        sim_fail(st, "%s:%d: key `%s` is missing, expected a profile; write it with calib fit",
                 mdl_yaml_file(map), mdl_yaml_line(map), key);
    return n;
}

static bool read_text(const struct mdl_yaml_node *map, const char *key, char **out, struct sim_status *st)
{
    const struct mdl_yaml_node *n = need(map, key, st);
    const char *text = n ? mdl_yaml_string(n, key, st) : NULL;
    if (!text) return false;
    *out = sim_strdup(text);
    return true;
}

/* A number above `low`, or equal to it where `equal`. */
static bool read_number(const struct mdl_yaml_node *map, const char *key, bool zero_too, double *out,
                        struct sim_status *st)
{
    const struct mdl_yaml_node *n = need(map, key, st);
    if (!n || !mdl_yaml_double(n, key, out, st)) return false;
    if (*out > 0 || (zero_too && *out == 0)) return true;
    return sim_fail(st, "%s:%d: `%s` is %g, expected a number %s 0", mdl_yaml_file(n), mdl_yaml_line(n), key,
                    *out, zero_too ? "from" : "above");
}

static bool check_keys(const struct mdl_yaml_node *map, const char *const *valid, struct sim_status *st)
{
    if (mdl_yaml_kind(map) != MDL_YAML_MAP)
        return sim_fail(st, "%s:%d: expected keys and values", mdl_yaml_file(map), mdl_yaml_line(map));
    for (size_t i = 0; i < mdl_yaml_size(map); i++) {
        size_t j = 0;
        while (valid[j] && strcmp(valid[j], mdl_yaml_key(map, i)) != 0) j++;
        if (!valid[j]) return mdl_yaml_unknown_key(map, i, valid, st);
    }
    return true;
}

static bool read_peaks(const struct mdl_yaml_node *map, struct mdl_peaks *p, struct sim_status *st)
{
    static const char *const valid[] = {"bf16_flops",           "fp8_flops",       "int8_flops", "int4_flops",
                                        "bandwidth_byte_per_s", "link_byte_per_s", NULL};
    return check_keys(map, valid, st) &&
           read_number(map, "bf16_flops", false, &p->rate_flops[MDL_BF16], st) &&
           read_number(map, "fp8_flops", true, &p->rate_flops[MDL_FP8], st) &&
           read_number(map, "int8_flops", true, &p->rate_flops[MDL_INT8], st) &&
           read_number(map, "int4_flops", true, &p->rate_flops[MDL_INT4], st) &&
           read_number(map, "bandwidth_byte_per_s", false, &p->bandwidth_byte_per_s, st) &&
           read_number(map, "link_byte_per_s", false, &p->link_byte_per_s, st);
}

static bool read_past(const struct mdl_yaml_node *map, struct mdl_past_law *past, struct sim_status *st)
{
    static const char *const valid[] = {"compute_frac", "bytes_frac", NULL};
    return check_keys(map, valid, st) && read_number(map, "compute_frac", false, &past->compute_frac, st) &&
           read_number(map, "bytes_frac", false, &past->bytes_frac, st);
}

static bool read_t0(const struct mdl_yaml_node *map, struct mdl_profile *p, struct sim_status *st)
{
    const char *valid[MDL_N_FAMILY + 1] = {NULL};
    for (int f = 0; f < MDL_N_FAMILY; f++) valid[f] = mdl_family_name((enum mdl_family)f);
    if (!check_keys(map, valid, st)) return false;
    for (int f = 0; f < MDL_N_FAMILY; f++) {
        if (!mdl_yaml_get(map, valid[f])) continue;
        if (!read_number(map, valid[f], false, &p->sheet[f].t0_s, st)) return false;
        p->present[f] = true;
    }
    return true;
}

/* Which covariance each family was fitted with; families that it does not name have variant 0. */
static bool read_kernels(const struct mdl_yaml_node *map, struct mdl_profile *p, struct sim_status *st)
{
    const char *valid[MDL_N_FAMILY + 1] = {NULL};
    for (int f = 0; f < MDL_N_FAMILY; f++) valid[f] = mdl_family_name((enum mdl_family)f);
    if (!check_keys(map, valid, st)) return false;
    for (int f = 0; f < MDL_N_FAMILY; f++) {
        const struct mdl_yaml_node *n = mdl_yaml_get(map, valid[f]);
        uint64_t v;
        if (!n) continue;
        if (!mdl_yaml_u64(n, valid[f], &v, st)) return false;
        if (v >= MDL_KERNEL_VARIANTS)
            return sim_fail(st, "%s:%d: covariance %llu of %s, expected 0 to %d; fit the profile again",
                            mdl_yaml_file(n), mdl_yaml_line(n), (unsigned long long)v, valid[f],
                            MDL_KERNEL_VARIANTS - 1);
        p->sheet[f].kernel = (uint32_t)v;
    }
    return true;
}

static bool read_errors_of(const struct mdl_yaml_node *map, struct mdl_errors *e, struct sim_status *st)
{
    static const char *const valid[] = {"n", "median", "p90", "worst", "bias", "sd_log", NULL};
    if (!check_keys(map, valid, st)) return false;
    const struct mdl_yaml_node *n = need(map, "n", st), *bias = need(map, "bias", st);
    return n && bias && mdl_yaml_u64(n, "n", &e->n, st) && mdl_yaml_double(bias, "bias", &e->bias, st) &&
           read_number(map, "median", true, &e->median, st) && read_number(map, "p90", true, &e->p90, st) &&
           read_number(map, "worst", true, &e->worst, st) && read_number(map, "sd_log", true, &e->sd_log, st);
}

static bool read_errors(const struct mdl_yaml_node *map, struct mdl_profile *p, struct sim_status *st)
{
    const char *families[MDL_N_FAMILY + 1] = {NULL}, *kinds[MDL_N_CHECK + 1] = {NULL};
    for (int f = 0; f < MDL_N_FAMILY; f++) families[f] = mdl_family_name((enum mdl_family)f);
    for (int k = 0; k < MDL_N_CHECK; k++) kinds[k] = mdl_check_name((enum mdl_check_kind)k);
    if (!check_keys(map, families, st)) return false;
    for (int f = 0; f < MDL_N_FAMILY; f++) {
        const struct mdl_yaml_node *of = mdl_yaml_get(map, families[f]);
        if (!of) continue;
        if (!check_keys(of, kinds, st)) return false;
        for (int k = 0; k < MDL_N_CHECK; k++) {
            const struct mdl_yaml_node *e = mdl_yaml_get(of, kinds[k]);
            if (e && !read_errors_of(e, &p->error[f][k], st)) return false;
        }
    }
    return true;
}

static bool read_raw(const struct mdl_yaml_node *list, struct mdl_profile *p, struct sim_status *st)
{
    static const char *const valid[] = {"path", "sha256", NULL};
    if (mdl_yaml_kind(list) != MDL_YAML_LIST || mdl_yaml_size(list) > MAX_RAW)
        return sim_fail(st, "%s:%d: `raw`, expected a list of at most %d files", mdl_yaml_file(list),
                        mdl_yaml_line(list), MAX_RAW);
    p->raw = sim_alloc(mdl_yaml_size(list) + 1, sizeof *p->raw);
    for (size_t i = 0; i < mdl_yaml_size(list); i++) {
        const struct mdl_yaml_node *e = mdl_yaml_at(list, i);
        struct mdl_raw_file *file = &p->raw[i];
        const struct mdl_yaml_node *sum = check_keys(e, valid, st) ? need(e, "sha256", st) : NULL;
        const char *text = sum ? mdl_yaml_string(sum, "sha256", st) : NULL;
        if (!text) return false;
        if (strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64)
            return sim_fail(st, "%s:%d: sha256 `%.80s`, expected 64 hexadecimal digits", mdl_yaml_file(sum),
                            mdl_yaml_line(sum), text);
        memcpy(file->sha256, text, sizeof file->sha256);
        if (!read_text(e, "path", &file->path, st)) return false;
        p->n_raw++;
    }
    return true;
}

static bool read_root(const struct mdl_yaml_node *root, struct mdl_profile *p, struct sim_status *st)
{
    static const char *const valid[] = {"format",
                                        "stage",
                                        "gpu",
                                        "engine",
                                        "origin",
                                        "device",
                                        "source",
                                        "licence",
                                        "date",
                                        "peaks",
                                        "scale",
                                        "t0_s",
                                        "past",
                                        "covariance",
                                        "raw",
                                        "errors",
                                        "elementwise_bytes_frac",
                                        NULL};
    double format;
    if (!check_keys(root, valid, st) || !read_number(root, "format", false, &format, st)) return false;
    if (format != FORMAT)
        return sim_fail(st, "%s:1: format %g, expected %d; fit the profile again with this version",
                        mdl_yaml_file(root), format, FORMAT);
    if (!read_text(root, "stage", &p->stage, st) || !read_text(root, "gpu", &p->gpu, st) ||
        !read_text(root, "engine", &p->engine, st) || !read_text(root, "origin", &p->origin, st) ||
        !read_text(root, "device", &p->device, st) || !read_text(root, "source", &p->source, st) ||
        !read_text(root, "licence", &p->licence, st) || !read_text(root, "date", &p->date, st))
        return false;
    const struct mdl_yaml_node *peaks = need(root, "peaks", st), *t0 = need(root, "t0_s", st),
                               *past = mdl_yaml_get(root, "past"),
                               *kernels = mdl_yaml_get(root, "covariance"), *raw = mdl_yaml_get(root, "raw"),
                               *errors = mdl_yaml_get(root, "errors");
    p->past = mdl_typical_past();
    if (mdl_yaml_get(root, "elementwise_bytes_frac") &&
        !read_number(root, "elementwise_bytes_frac", false, &p->elementwise_frac, st))
        return false;
    return peaks && t0 && read_peaks(peaks, &p->peaks, st) &&
           read_number(root, "scale", false, &p->scale, st) && read_t0(t0, p, st) &&
           (!past || read_past(past, &p->past, st)) && (!kernels || read_kernels(kernels, p, st)) &&
           (!raw || read_raw(raw, p, st)) && (!errors || read_errors(errors, p, st));
}

bool mdl_profile_read_yaml(const char *path, struct mdl_profile *out, struct sim_status *st)
{
    struct mdl_yaml *y = mdl_yaml_load(path, st);
    if (!y) return false;
    bool ok = read_root(mdl_yaml_root(y), out, st);
    mdl_yaml_free(y);
    return ok;
}
