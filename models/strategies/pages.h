/* What the families that drop or retrieve tokens share: the budget that a sequence keeps, and the pages of a paged
 * selection with their digests. A digest is two vectors per page, layer and KV head (Quest: minimum and maximum;
 * ArkVale: centre and mean distance), so kv_token_bytes / page for every token. The first skip_layers layers are
 * dense: they keep and read everything and have no digests; the others are managed. All figures are of one rank;
 * launches are those of a whole step. Tags in sources as in the collection that they come from: [code], [data],
 * [2nd] second-hand, [mem] general knowledge without a document; without a tag, the paper itself. */
#ifndef KVSIM_MODELS_STRATEGIES_PAGES_H
#define KVSIM_MODELS_STRATEGIES_PAGES_H

#include "models/strategy.h"

enum { MDL_BF16_BYTES = 2, MDL_FP32_BYTES = 4 };

#define MDL_KV_TOPK_LAYER_S                                                                                  \
    7.5e-6 /* RAFT's top-k takes 5 to 10 us a layer up to 128K tokens (Quest, 4.3.1) */

/* Share of the matrix rate that selection and rebuilding reach in a decode step, in bf16 on tensor cores, whatever the
 * prefill's own work (an SVD, a score pass) reaches: our choice, 0.25 to 0.75; high: what large products reach [mem]. */
#define MDL_KV_DECODE_EFFICIENCY 0.5

/* Defaults that several strategies share. */
/* clang-format off */
#define MDL_KV_FEWER_PAGES \
    {MDL_KV_KERNEL_EFFICIENCY, 1, 0.8, 1.2, "the full kernel on fewer pages is as fast as on a shorter context: Quest, Fig. 8b"}
#define MDL_KV_SCORE_EFFICIENCY \
    {MDL_KV_PREFILL_EFFICIENCY, 0.14, 0.05, 0.5, "attention itself in the fp16 profile of arXiv 2503.24000 on A6000 [data]: 21.7 TFLOP/s at 4,096 tokens of 155; 0.5: flash attention on A100 and later [mem]"}
#define MDL_KV_DRAWN \
    {MDL_KV_MISS_CV, 0.4, 0.2, 0.5, "FreeKV on R1-Distill-Llama-8B, AIME: pages of a recall spread by 0.33 to 0.48 of their mean [2nd]"}, \
    {MDL_KV_DRAWS, 0, 0, 1, "means; step draws the rates anew"}
/* clang-format on */

/* Tokens kept at a length under a budget: the same rule as the simulator's, sim_kv_kept. */
double mdl_kv_kept_tokens(struct sim_kv_length at, uint32_t budget, bool evicts_in_decode);

/* min(L, cap). */
double mdl_kv_capped(struct sim_kv_length at, double cap_tokens);

/* Layers that drop or select, and the share of the KV bytes that they are; strategies without skip_layers: all. */
uint32_t mdl_kv_managed_layers(const struct mdl_kv_use *u);
double mdl_kv_managed_frac(const struct mdl_kv_use *u);

/* KV bytes of a token in managed layers. */
double mdl_kv_managed_bytes(const struct mdl_kv_use *u);

/* Keys of all heads of one token in one layer. */
double mdl_kv_key_bytes(const struct mdl_kv_use *u);

/* One page of one layer: keys and values of all heads. */
double mdl_kv_layer_page_bytes(const struct mdl_kv_use *u);

/* Digests of a token's page, per token. */
double mdl_kv_digest_bytes(const struct mdl_kv_use *u);

/* Keys of new tokens read and their digests written, per token: one kernel a layer. */
struct mdl_work mdl_kv_digest_build(const struct mdl_kv_use *u);

/* Digests read and scored by every query head, per token of context; no launches. */
struct mdl_work mdl_kv_digest_score(const struct mdl_kv_use *u);

struct mdl_work mdl_work_sum(struct mdl_work a, struct mdl_work b);

/* Keeps `budget` tokens of the managed layers, all of the dense ones, in pages of page_tokens. */
void mdl_kv_add_budgeted(const struct mdl_kv_use *u, uint32_t page_tokens, struct mdl_kv_memory *out);

/* Digests of the kept tokens, or of all. */
void mdl_kv_add_digests(const struct mdl_kv_use *u, bool kept, struct mdl_kv_memory *out);

/* A page's digest is made when it is full, every `page` steps. */
void mdl_kv_keep_digests(const struct mdl_kv_use *u, struct mdl_kv_decode *out);

/* All digests are scored, and the best pages taken: so many kernels a layer beside attention. */
void mdl_kv_select_pages(const struct mdl_kv_use *u, double kernels_layer, struct mdl_kv_decode *out);

/* ---- pages on the host ----
 * All pages of the managed layers lie on the host, `budget` tokens of them on the GPU, too, with the digests of all;
 * attention reads `budget` of the parameters at most, and longer sequences select. */

static inline enum mdl_kv_layout mdl_kv_layout_of(const struct mdl_kv_use *u)
{
    return (enum mdl_kv_layout)u->value[MDL_KV_LAYOUT];
}

double mdl_kv_offloaded_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at, uint32_t budget);
double mdl_kv_offloaded_host_bytes(const struct mdl_kv_use *u, struct sim_kv_length at);
void mdl_kv_offloaded_memory(const struct mdl_kv_use *u, uint32_t budget, struct mdl_kv_memory *out);

/* Digests and layout of the pages of a prompt, all pages down as one copy for each page and layer, and, when the prompt
 * is complete, a selection of those that stay. */
void mdl_kv_offload_prompt(const struct mdl_kv_use *u, struct mdl_kv_prefill *out);

/* The same for what decode adds: a page of every layer goes down every `page` steps. */
void mdl_kv_offload_decoded(const struct mdl_kv_use *u, struct mdl_kv_decode *out);

/* ---- checks ---- */

/* budget holds sink and recent, and is a whole number of pages; strategies without one of these: nothing to check. */
bool mdl_kv_check_budget(const struct mdl_kv_use *u, struct sim_status *st);

/* The same, and at least one page of `pages` is left to select. */
bool mdl_kv_check_pages(const struct mdl_kv_use *u, double pages, struct sim_status *st);

/* kv.graph is `no`, because of `why`: a host that waits for the GPU in every layer cannot be captured. */
bool mdl_kv_check_no_graph(const struct mdl_kv_use *u, const char *why, struct sim_status *st);

#endif
