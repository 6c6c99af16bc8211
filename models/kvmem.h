/* How many KV blocks, or units of another strategy's pages, fit on a GPU: the memory the driver reports x
 * gpu_memory_utilization, less weights, the peak of a forward pass, CUDA graphs and context, over the bytes of a block;
 * the smallest of all ranks and stages. The breakdown is what `run` prints. Sources and the estimates' limits stand
 * beside each formula in kvmem.c; num_gpu_blocks_override is better than any of them where the engine's own log is at
 * hand. */
#ifndef KVSIM_MODELS_KVMEM_H
#define KVSIM_MODELS_KVMEM_H

#include "models/arch.h"
#include "models/engine.h"
#include "models/gpu.h"
#include "models/kvrule.h"
#include "sim/status.h"

struct mdl_memory_spec {
    const struct mdl_arch *arch;
    const struct mdl_gpu *gpu;
    const struct mdl_engine *engine;
    enum mdl_dtype weights, kv;
    uint32_t tensor_parallel, pipeline_parallel;
    uint32_t max_num_seqs, max_num_batched_tokens, block_size;
    double gpu_memory_utilization; /* 0 to 1 */
    bool enforce_eager;            /* no CUDA graphs, no memory for them */
    uint64_t
        num_gpu_blocks_override;    /* 0 = none; else the usable blocks: of bf16 KV, whatever the strategy */
    const struct mdl_kv_plan *plan; /* of the stage with the most layers; NULL = full */
    double host_memory_bytes;       /* for KV, per GPU; for strategies that keep some on the host */
};

/* Bytes on the rank that has the fewest blocks. usable = total x gpu_memory_utilization;
 * kv = usable - weights - activations - graphs - context. */
struct mdl_memory {
    double total_bytes, usable_bytes;
    double weight_bytes, activation_bytes, graph_bytes, context_bytes, kv_bytes;
    double block_bytes; /* of one bf16 KV block of block_size tokens on this rank */
    double unit_bytes, host_unit_bytes, replica_bytes; /* of the plan, on this rank; full: a block, 0, 0 */
    uint64_t blocks, host_blocks;                      /* units usable by requests; full: blocks, 0 */
    uint64_t kv_capacity_tokens;                       /* see mdl_memory_plan */
    uint32_t stage;                                    /* pipeline stage of this rank */
    uint32_t layers;                                   /* decoder layers on it */
};

/* False when the model does not fit: GiB needed, GiB there, and the smallest tensor_parallel that fits.
 * kv_capacity_tokens: with pages of one kind (full, fp8 ...) what they hold; else the tokens of sequences as long as
 * the model allows (max_position_embeddings), just filled, of which so many fit into GPU and host memory: what a
 * strategy drops then counts as held. */
bool mdl_memory_plan(const struct mdl_memory_spec *spec, struct mdl_memory *out, struct sim_status *st);

/* Layers of each pipeline stage, as vLLM splits them: what is left over goes to the last stages but the very
 * last. source: vLLM, distributed/utils.py, get_pp_indices. */
uint32_t mdl_stage_layers(uint32_t n_layers, uint32_t pp, uint32_t stage);

/* Weight bytes of one rank of a stage. */
double mdl_weight_bytes(const struct mdl_arch *a, enum mdl_dtype weights, uint32_t tp, uint32_t pp,
                        uint32_t stage);

/* KV bytes of one token on one rank over `layers` layers: 2 x layers x max(1, kv_heads / tp) x head_dim x
 * bytes. */
double mdl_kv_byte_per_token_rank(const struct mdl_arch *a, enum mdl_dtype kv, uint32_t tp, uint32_t layers);

#endif
