#include "kernels/kvbench/arch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "kernels/kvbench/util.h"

enum { PATH_BYTES = 4096 };

struct reading {
    const char *path;
    const json_t *config;
    struct kb_error *err;
};

/* A whole number from 1 to most; `missing` when the key is absent, 0 = it must be there. */
static bool read_u32(const struct reading *r, const char *key, uint32_t most, uint32_t missing, uint32_t *out)
{
    const json_t *value = json_object_get(r->config, key);
    if (!value || json_is_null(value)) {
        *out = missing;
        return missing || kb_fail(r->err, "%s: no key `%s`, expected a config.json of a llama-like decoder",
                                  r->path, key);
    }
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > (json_int_t)most)
        return kb_fail(r->err, "%s: key `%s`: expected a whole number from 1 to %u", r->path, key, most);
    *out = (uint32_t)n;
    return true;
}

static bool read_theta(const struct reading *r, float *out)
{
    const json_t *value = json_object_get(r->config, "rope_theta");
    *out = 10000;
    if (!value || json_is_null(value)) return true;
    *out = (float)json_number_value(value);
    return *out >= 1 || kb_fail(r->err, "%s: key `rope_theta`: expected a number of at least 1", r->path);
}

static bool read_heads(const struct reading *r, struct kb_model *m)
{
    if (!read_u32(r, "num_attention_heads", 1024, 0, &m->n_q_heads) ||
        !read_u32(r, "num_key_value_heads", 1024, m->n_q_heads, &m->n_kv_heads))
        return false;
    if (m->n_q_heads % m->n_kv_heads)
        return kb_fail(r->err, "%s: %u attention heads cannot share %u KV heads evenly", r->path,
                       m->n_q_heads, m->n_kv_heads);
    uint32_t head_dim = m->hidden % m->n_q_heads ? 0 : m->hidden / m->n_q_heads; /* 0: it must be given */
    return read_u32(r, "head_dim", 512, head_dim, &m->head_dim);
}

/* The families whose layers are built as the grids and replay take them: a mixture of experts or a state-space
 * model has other operators. */
static bool check_type(const struct reading *r)
{
    static const char *const types[] = {"llama", "mistral", "qwen2",   "qwen3",
                                        "phi3",  "gemma",   "granite", NULL};
    const char *type = json_string_value(json_object_get(r->config, "model_type"));
    for (int i = 0; type && types[i]; i++)
        if (strcmp(type, types[i]) == 0) return true;
    return kb_fail(
        r->err,
        "%s: model_type `%.40s` is not known here, expected llama, mistral, qwen2, qwen3, phi3, gemma or "
        "granite",
        r->path, type ? type : "");
}

static bool check_parallel(const struct reading *r, const struct kb_model *m)
{
    uint32_t tp = m->tensor_parallel;
    bool heads = m->n_q_heads % tp == 0 && (m->n_kv_heads % tp == 0 || tp % m->n_kv_heads == 0);
    if (heads && m->intermediate % tp == 0) return true;
    return kb_fail(r->err,
                   "%s: %u attention heads, %u KV heads and %u MLP channels cannot be split over %u GPUs",
                   r->path, m->n_q_heads, m->n_kv_heads, m->intermediate, tp);
}

/* The folder's name for .../folder/config.json, else the file's without .json. */
static void name_after(const char *path, char *out, size_t room)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *end = base + strlen(base);
    if (slash && strcmp(base, "config.json") == 0) {
        end = slash;
        for (base = slash; base > path && base[-1] != '/';) base--;
    } else if (end - base > 5 && strcmp(end - 5, ".json") == 0) {
        end -= 5;
    }
    snprintf(out, room, "%.*s", (int)(end - base), base);
}

static bool read_model(const struct reading *r, struct kb_model *m)
{
    if (!json_is_object(r->config))
        return kb_fail(r->err, "%s: is not a JSON object, expected a config.json", r->path);
    m->gated_mlp = true;
    name_after(r->path, m->name, sizeof m->name);
    return check_type(r) && read_u32(r, "hidden_size", 1 << 17, 0, &m->hidden) &&
           read_u32(r, "intermediate_size", 1 << 20, 0, &m->intermediate) &&
           read_u32(r, "vocab_size", 1 << 22, 0, &m->vocab) &&
           read_u32(r, "num_hidden_layers", 1024, 0, &m->n_layers) && read_heads(r, m) &&
           read_theta(r, &m->rope_theta) && check_parallel(r, m);
}

static bool read_file(const char *path, struct kb_model *m, struct kb_error *err)
{
    json_error_t why;
    json_t *config = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!config && why.line < 0) return kb_fail(err, "%s: cannot be read (%.120s)", path, why.text);
    if (!config)
        return kb_fail(err, "%s:%d: not valid JSON: %.120s; expected a Hugging Face config.json", path,
                       why.line, why.text);
    struct reading r = {.path = path, .config = config, .err = err};
    bool ok = read_model(&r, m);
    json_decref(config);
    return ok;
}

/* --- the catalogue --- */

static bool is_path(const char *name)
{
    size_t n = strlen(name);
    return strchr(name, '/') || (n > 5 && strcmp(name + n - 5, ".json") == 0);
}

/* The program's folder, or "." where /proc does not tell. */
static void own_folder(char *out)
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_BYTES - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    else
        strcpy(out, ".");
}

static char *catalogue_path(const char *name)
{
    static const char *const beside[] = {"..", "../..", "../share/kvsim"};
    char own[PATH_BYTES];
    const char *data = getenv("KVSIM_DATA");
    if (data) return kvb_printf("%s/models/catalogue/%s.json", data, name);
    own_folder(own);
    for (size_t i = 0;; i++) {
        char *path = kvb_printf("%s/%s/models/catalogue/%s.json", own, beside[i], name);
        if (access(path, R_OK) == 0 || i == 2) return path;
        free(path);
    }
}

bool kvb_arch_load(const char *name_or_path, uint32_t tensor_parallel, struct kb_model *out,
                   struct kb_error *err)
{
    struct kb_model m = {.tensor_parallel = tensor_parallel};
    char *path = is_path(name_or_path) ? kvb_printf("%s", name_or_path) : catalogue_path(name_or_path);
    bool ok = read_file(path, &m, err);
    if (ok) *out = m;
    if (!ok && !is_path(name_or_path) && access(path, R_OK) != 0)
        kb_fail(err, "model `%s`: no %s; name one of models/catalogue or a path to a config.json",
                name_or_path, path);
    free(path);
    return ok;
}

struct kvb_share kvb_arch_share(const struct kb_model *m)
{
    uint32_t tp = m->tensor_parallel, vocab = (m->vocab + tp - 1) / tp;
    return (struct kvb_share){.n_q_heads = m->n_q_heads / tp,
                              .n_kv_heads = m->n_kv_heads > tp ? m->n_kv_heads / tp : 1,
                              .intermediate = m->intermediate / tp,
                              .vocab = (vocab + 7) / 8 * 8}; /* as engines pad it, for the matrix units */
}

const char *kvb_arch_default(const struct kb_device *d)
{
    return strcmp(d->kind, "cpu") == 0 ? "smollm2-135m" : "llama-3.1-8b";
}
