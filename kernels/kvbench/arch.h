/* The model whose shapes are measured, from a Hugging Face config.json of a dense decoder: only sizes count. */
#ifndef KVSIM_KERNELS_KVBENCH_ARCH_H
#define KVSIM_KERNELS_KVBENCH_ARCH_H

#include "kernels/case.h"

/* A path to a config.json (it holds a `/` or ends in .json), or the name of a file in models/catalogue, which lies
 * under $KVSIM_DATA, or beside the program's folder, or in ../share/kvsim. tensor_parallel: GPUs that share
 * each layer; heads and MLP must divide by it, and KV heads by it or it by them. */
bool kvb_arch_load(const char *name_or_path, uint32_t tensor_parallel, struct kb_model *out,
                   struct kb_error *err);

/* One GPU's share. */
struct kvb_share {
    uint32_t n_q_heads, n_kv_heads, intermediate, vocab;
};
struct kvb_share kvb_arch_share(const struct kb_model *m);

/* The model that is measured when none is named: one that fits the device. */
const char *kvb_arch_default(const struct kb_device *d);

#endif
