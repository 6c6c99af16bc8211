/* The step cost of one replica: architecture x GPU profile x engine x KV strategy, tabulated before the run over
 * tokens, sequences and KV tokens, so that the event loop only reads lines (sim/cost.h). Setting up costs a few ms.
 * step = async ? max(gpu, cpu) : gpu + cpu, with
 *   cpu = a + b x sequences (+ c x layers and the strategy's launches when the step runs without CUDA graphs)
 *   gpu = layers x (matrix products + attention + elementwise + all-reduce + idle) + LM head and sampling
 *         + the strategy's extra kernels (models/kvcost.h)
 * and what it moves over the host link comes on top, as far as the step waits for it (sim/recall.h). */
#ifndef KVSIM_MODELS_COST_H
#define KVSIM_MODELS_COST_H

#include "models/arch.h"
#include "models/engine.h"
#include "models/kvcost.h"
#include "models/profile.h"
#include "models/strategies/adaptive.h"
#include "sim/cost.h"

struct mdl_cost_spec {
    const struct mdl_arch *arch;
    const struct mdl_gpu *gpu;
    const struct mdl_profile *profile;
    const struct mdl_engine *engine;
    enum mdl_dtype weights, kv;
    uint32_t tensor_parallel, pipeline_parallel;
    uint32_t max_num_seqs, max_num_batched_tokens;
    uint64_t kv_capacity_tokens;
    /* The KV strategy on a rank of the stage with the most layers; use NULL = full, whatever the others say. With it
     * come plan and host; methods may be NULL: nothing measured. All are needed only while the cost is made. */
    const struct mdl_kv_use *use;
    const struct mdl_kv_plan *plan;
    const struct mdl_host *host;
    const struct mdl_methods *methods;
    /* An adaptive policy's own idea of the rates, where it is not `use`'s: it chooses by this one, and pays by the other.
     * The same strategy with other rates; NULL = it knows them. */
    const struct mdl_kv_use *believed;
    /* Error bands: times of a family are multiplied by its factor, all GPU time by the residual; 0 means 1.
     */
    double family_factor[MDL_N_FAMILY], residual_factor;
};

struct mdl_cost;

/* NULL with one line in st when the profile cannot price this model. Free with mdl_cost_free. */
struct mdl_cost *mdl_cost_new(const struct mdl_cost_spec *spec, struct sim_status *st);
void mdl_cost_free(struct mdl_cost *c);
const struct sim_cost *mdl_cost_base(const struct mdl_cost *c);

/* What an adaptive policy does in decode steps that read so much: the setting that is fastest at the rates that it knows
 * of and alone on the link, the same in all steps of a cell (of n_seqs, n_selecting and the table's tokens). False where the
 * policy is static, with its setting. */
bool mdl_cost_policy(const struct mdl_cost *c, const struct sim_reads *reads,
                     struct mdl_adaptive_setting *out);

/* For fitting engines: takes over another one's overheads; the GPU's tables and the captured graphs stay. */
void mdl_cost_set_overheads(struct mdl_cost *c, const struct mdl_engine *engine);

#endif
