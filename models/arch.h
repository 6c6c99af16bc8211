/* The architecture of a dense decoder, read from a Hugging Face config.json: what of it costs time and
 * memory. Mixture-of-experts, MLA, hybrid (Mamba, linear attention) and encoder models are refused by name,
 * because they cannot be priced yet. */
#ifndef KVSIM_MODELS_ARCH_H
#define KVSIM_MODELS_ARCH_H

#include "models/gpu.h"
#include "sim/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mdl_arch {
    char name[64];  /* catalogue name, or the file's folder name */
    char hf_id[96]; /* meta-llama/Llama-3.1-8B, "" when unknown */
    uint32_t n_layers, hidden, intermediate, vocab;
    uint32_t n_q_heads, n_kv_heads, head_dim;
    uint32_t max_position_embeddings;
    uint32_t sliding_window; /* 0 = none; noted and not priced: attention is taken as full */
    bool tied_embeddings;    /* LM head shares the embedding matrix */
    bool qkv_bias, o_bias, mlp_bias, qk_norm;
    bool gated_mlp; /* gate and up projections (SwiGLU) */
};

/* A catalogue name (models/catalogue/<name>.json), an hf id of the catalogue, or a path to a config.json. */
bool mdl_arch_load(const char *data_dir, const char *name_or_path, struct mdl_arch *out,
                   struct sim_status *st);

/* One config.json. */
bool mdl_arch_read(const char *path, struct mdl_arch *out, struct sim_status *st);

/* The same from memory; `name` stands for the file in messages. */
bool mdl_arch_parse(const char *name, const char *text, size_t length, struct mdl_arch *out,
                    struct sim_status *st);

/* Names of the catalogue in alphabetical order, ended by NULL; NULL on failure. Free with
 * mdl_arch_names_free. */
char **mdl_arch_names(const char *data_dir, struct sim_status *st);
void mdl_arch_names_free(char **names);

/* All parameters, embeddings included. */
uint64_t mdl_arch_parameters(const struct mdl_arch *a);

/* Parameters of the linear layers of one decoder layer: the part that fp8 and int4 weights shrink. */
uint64_t mdl_arch_linear_parameters(const struct mdl_arch *a);

/* KV bytes of one token over all layers, whole model: 2 x layers x kv_heads x head_dim x bytes. */
double mdl_arch_kv_byte_per_token(const struct mdl_arch *a, enum mdl_dtype kv);

/* Why this model cannot be split over tp GPUs and pp stages (heads, layers), or true. */
bool mdl_arch_check_parallel(const struct mdl_arch *a, uint32_t tp, uint32_t pp, struct sim_status *st);

#endif
