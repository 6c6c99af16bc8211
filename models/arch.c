#include "models/arch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "models/textfile.h"

enum { MAX_BYTES = 4 << 20 };

/* ---- what is refused ---- */

/* Keys whose presence (other than null, false, 0, 1 or an empty list) means an architecture that is not
 * priced. */
static const struct {
    const char *key, *kind;
} refused_keys[] = {
    {"num_experts", "a mixture of experts"},
    {"num_local_experts", "a mixture of experts"},
    {"n_routed_experts", "a mixture of experts"},
    {"moe_num_experts", "a mixture of experts"},
    {"num_experts_per_tok", "a mixture of experts"},
    {"moe_intermediate_size", "a mixture of experts"},
    {"ffn_config", "a mixture of experts"},
    {"kv_lora_rank", "multi-head latent attention (MLA)"},
    {"q_lora_rank", "multi-head latent attention (MLA)"},
    {"ssm_cfg", "a state-space model"},
    {"state_size", "a state-space model"},
    {"mamba_d_state", "a hybrid with Mamba layers"},
    {"mamba_num_heads", "a hybrid with Mamba layers"},
    {"attn_layer_period", "a hybrid with Mamba layers"},
    {"hybrid_override_pattern", "a hybrid with Mamba layers"},
    {"linear_num_key_heads", "a hybrid with linear attention"},
    {"full_attention_interval", "a hybrid with linear attention"},
    {"is_encoder_decoder", "an encoder-decoder"},
    {"encoder_layers", "an encoder-decoder"},
    {"vision_config", "a multimodal model; its text_config alone, as a file, can be priced if it is dense"},
    {"audio_config", "a multimodal model; its text_config alone, as a file, can be priced if it is dense"},
    {"text_config", "a multimodal model; its text_config alone, as a file, can be priced if it is dense"},
};

static bool says_something(const json_t *value)
{
    if (!value || json_is_null(value) || json_is_false(value)) return false;
    if (json_is_integer(value)) return json_integer_value(value) > 1;
    if (json_is_array(value)) return json_array_size(value) > 0;
    return true;
}

static bool check_layer_types(const char *path, const json_t *config, struct sim_status *st)
{
    const json_t *types = json_object_get(config, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (type && (strcmp(type, "full_attention") == 0 || strcmp(type, "sliding_attention") == 0)) continue;
        return sim_fail(st,
                        "%s: key `layer_types` holds `%.40s`: a hybrid model, which cannot be priced yet; "
                        "expected a dense "
                        "decoder",
                        path, type ? type : "?");
    }
    return true;
}

static bool check_refused(const char *path, const json_t *config, struct sim_status *st)
{
    for (size_t i = 0; i < sizeof refused_keys / sizeof *refused_keys; i++) {
        if (says_something(json_object_get(config, refused_keys[i].key)))
            return sim_fail(
                st, "%s: key `%s` says that this is %s, which cannot be priced yet; expected a dense decoder",
                path, refused_keys[i].key, refused_keys[i].kind);
    }
    return check_layer_types(path, config, st);
}

/* ---- families that are understood ---- */

enum bias { NO_BIAS, QKV_BIAS, BIAS_BY_KEY };

static const struct family {
    const char *model_type;
    enum bias bias; /* BIAS_BY_KEY: attention_bias covers q, k, v and o; mlp_bias the MLP */
    bool qk_norm, tied_by_default;
} families[] = {
    {"llama", BIAS_BY_KEY, false, false},   {"mistral", NO_BIAS, false, false},
    {"qwen2", QKV_BIAS, false, false},      {"qwen3", BIAS_BY_KEY, true, false},
    {"phi3", NO_BIAS, false, false},        {"gemma", BIAS_BY_KEY, false, true},
    {"granite", BIAS_BY_KEY, false, false},
};

static const struct family *find_family(const char *path, const json_t *config, struct sim_status *st)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    char known[160] = "";
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (type && strcmp(type, families[i].model_type) == 0) return &families[i];
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", families[i].model_type);
    }
    if (!type)
        sim_fail(st, "%s: no key `model_type`, expected a Hugging Face config.json of %s", path, known);
    else
        sim_fail(st, "%s: model_type `%.40s` is not understood, expected %s", path, type, known);
    return NULL;
}

/* ---- numbers ---- */

struct reading {
    const char *path;
    const json_t *config;
    struct sim_status *st;
};

/* A whole number between 1 and most; `missing` when the key is absent or null, 0 = it must be there. */
static bool read_u32(const struct reading *r, const char *key, uint32_t most, uint32_t missing, uint32_t *out)
{
    const json_t *value = json_object_get(r->config, key);
    if (!value || json_is_null(value)) {
        *out = missing;
        return missing || sim_fail(r->st, "%s: no key `%s`, expected a whole number", r->path, key);
    }
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > (json_int_t)most)
        return sim_fail(r->st, "%s: `%s` is not a whole number between 1 and %u", r->path, key, most);
    *out = (uint32_t)n;
    return true;
}

static bool read_flag(const struct reading *r, const char *key, bool missing, bool *out)
{
    const json_t *value = json_object_get(r->config, key);
    *out = missing;
    if (!value || json_is_null(value)) return true;
    if (!json_is_boolean(value)) return sim_fail(r->st, "%s: `%s` is neither true nor false", r->path, key);
    *out = json_is_true(value);
    return true;
}

static bool read_sizes(const struct reading *r, struct mdl_arch *a)
{
    if (!read_u32(r, "num_hidden_layers", 1024, 0, &a->n_layers) ||
        !read_u32(r, "hidden_size", 1 << 17, 0, &a->hidden) ||
        !read_u32(r, "intermediate_size", 1 << 20, 0, &a->intermediate) ||
        !read_u32(r, "vocab_size", 1 << 22, 0, &a->vocab) ||
        !read_u32(r, "max_position_embeddings", 1 << 30, 0, &a->max_position_embeddings) ||
        !read_u32(r, "num_attention_heads", 1024, 0, &a->n_q_heads) ||
        !read_u32(r, "num_key_value_heads", 1024, a->n_q_heads, &a->n_kv_heads))
        return false;
    if (a->n_q_heads % a->n_kv_heads)
        return sim_fail(r->st, "%s: %u attention heads cannot share %u KV heads evenly", r->path,
                        a->n_q_heads, a->n_kv_heads);
    uint32_t head_dim = a->hidden % a->n_q_heads ? 0 : a->hidden / a->n_q_heads; /* 0: must be given */
    return read_u32(r, "head_dim", 1024, head_dim, &a->head_dim);
}

static bool read_sliding_window(const struct reading *r, struct mdl_arch *a)
{
    bool used;
    if (!read_flag(r, "use_sliding_window", true, &used)) return false;
    a->sliding_window = 0;
    const json_t *value = json_object_get(r->config, "sliding_window");
    if (!used || !value || json_is_null(value)) return true;
    if (!read_u32(r, "sliding_window", 1 << 30, 0, &a->sliding_window)) return false;
    if (a->sliding_window >= a->max_position_embeddings) a->sliding_window = 0;
    return true;
}

static bool read_shape(const struct reading *r, const struct family *f, struct mdl_arch *a)
{
    bool attention_bias, mlp_bias;
    if (!read_flag(r, "attention_bias", false, &attention_bias) ||
        !read_flag(r, "mlp_bias", false, &mlp_bias) ||
        !read_flag(r, "tie_word_embeddings", f->tied_by_default, &a->tied_embeddings))
        return false;
    a->qkv_bias = f->bias == QKV_BIAS || (f->bias == BIAS_BY_KEY && attention_bias);
    a->o_bias = f->bias == BIAS_BY_KEY && attention_bias;
    a->mlp_bias = f->bias == BIAS_BY_KEY && mlp_bias;
    a->qk_norm = f->qk_norm;
    a->gated_mlp = true;
    return true;
}

static void copy_id(const json_t *config, struct mdl_arch *a)
{
    const char *id = json_string_value(json_object_get(config, "_source"));
    if (!id) id = json_string_value(json_object_get(config, "_name_or_path"));
    snprintf(a->hf_id, sizeof a->hf_id, "%s", id ? id : "");
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

static bool read_config(const char *path, const json_t *config, struct mdl_arch *out, struct sim_status *st)
{
    if (!json_is_object(config))
        return sim_fail(st, "%s: is not a JSON object, expected a config.json", path);
    struct mdl_arch a = {0};
    struct reading r = {.path = path, .config = config, .st = st};
    if (!check_refused(path, config, st)) return false;
    const struct family *f = find_family(path, config, st);
    if (!f || !read_sizes(&r, &a) || !read_sliding_window(&r, &a) || !read_shape(&r, f, &a)) return false;
    copy_id(config, &a);
    name_after(path, a.name, sizeof a.name);
    *out = a;
    return true;
}

bool mdl_arch_parse(const char *name, const char *text, size_t length, struct mdl_arch *out,
                    struct sim_status *st)
{
    json_error_t error;
    json_t *config = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!config)
        return sim_fail(st, "%s:%d: not valid JSON: %.120s; expected a Hugging Face config.json", name,
                        error.line, error.text);
    bool ok = read_config(name, config, out, st);
    json_decref(config);
    return ok;
}

bool mdl_arch_read(const char *path, struct mdl_arch *out, struct sim_status *st)
{
    size_t length;
    char *text = mdl_textfile_read(path, MAX_BYTES, &length, st);
    bool ok = text && mdl_arch_parse(path, text, length, out, st);
    free(text);
    return ok;
}

/* ---- formulas ---- */

uint64_t mdl_arch_linear_parameters(const struct mdl_arch *a)
{
    uint64_t q = (uint64_t)a->n_q_heads * a->head_dim, kv = (uint64_t)a->n_kv_heads * a->head_dim;
    uint64_t attention = a->hidden * (2 * q + 2 * kv);
    return attention + (a->gated_mlp ? 3ULL : 2ULL) * a->hidden * a->intermediate;
}

static uint64_t small_parameters(const struct mdl_arch *a)
{
    uint64_t qkv = (uint64_t)(a->n_q_heads + 2 * a->n_kv_heads) * a->head_dim;
    uint64_t n = 2ULL * a->hidden; /* the two norms */
    if (a->qkv_bias) n += qkv;
    if (a->o_bias) n += a->hidden;
    if (a->mlp_bias) n += (a->gated_mlp ? 2ULL : 1ULL) * a->intermediate + a->hidden;
    if (a->qk_norm) n += 2ULL * a->head_dim;
    return n;
}

uint64_t mdl_arch_parameters(const struct mdl_arch *a)
{
    uint64_t embedding = (uint64_t)a->vocab * a->hidden;
    uint64_t layer = mdl_arch_linear_parameters(a) + small_parameters(a);
    return a->n_layers * layer + embedding * (a->tied_embeddings ? 1 : 2) + a->hidden;
}

double mdl_arch_kv_byte_per_token(const struct mdl_arch *a, enum mdl_dtype kv)
{
    return 2.0 * a->n_layers * a->n_kv_heads * a->head_dim * mdl_dtype_bytes(kv);
}

bool mdl_arch_check_parallel(const struct mdl_arch *a, uint32_t tp, uint32_t pp, struct sim_status *st)
{
    if (tp < 1 || a->n_q_heads % tp)
        return sim_fail(st,
                        "tensor_parallel %u does not divide the %u attention heads of %s; choose a divisor",
                        tp, a->n_q_heads, a->name);
    if (a->n_kv_heads % tp && tp % a->n_kv_heads)
        return sim_fail(
            st,
            "tensor_parallel %u neither divides nor is a multiple of the %u KV heads of %s; choose a divisor",
            tp, a->n_kv_heads, a->name);
    if (a->intermediate % tp)
        return sim_fail(st, "tensor_parallel %u does not divide intermediate_size %u of %s; choose a divisor",
                        tp, a->intermediate, a->name);
    if (pp < 1 || pp > a->n_layers)
        return sim_fail(st,
                        "pipeline_parallel %u is not between 1 and the %u layers of %s; choose fewer stages",
                        pp, a->n_layers, a->name);
    return true;
}
