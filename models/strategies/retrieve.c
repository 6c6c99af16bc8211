/* Strategies that keep every page, score all by their digests and read the best: Quest with all pages on the GPU,
 * ArkVale with all on the host and a budget of them on the GPU. */
#include "models/strategies/list.h"

#include <math.h>

#include "models/strategies/pages.h"
#include "models/strategies/parts.h"

/* ---- quest ---- */

static double quest_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return (mdl_kv_token_bytes(u) + mdl_kv_token_bytes(u) / u->value[MDL_KV_PAGE]) * at.tokens;
}

/* Digests are made in dense layers, too. */
static void quest_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    uint32_t page = mdl_kv_count(u, MDL_KV_PAGE);
    double token = mdl_kv_token_bytes(u);
    *out = mdl_kv_keeps_all();
    out->read_cap = out->select_after = mdl_kv_count(u, MDL_KV_BUDGET);
    out->dense_frac = 1 - mdl_kv_managed_frac(u);
    mdl_kv_add_part(out, mdl_kv_pages("pages", SIM_KV_GPU, token, page));
    mdl_kv_add_part(out, mdl_kv_pages("digests", SIM_KV_GPU, token / page, page));
}

static void quest_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    *out = (struct mdl_kv_prefill){.token = mdl_kv_digest_build(u)};
}

/* Three kernels instead of one: estimate, top-k, attention. */
static void quest_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    *out = mdl_kv_plain_decode("bf16", 1);
    mdl_kv_keep_digests(u, out);
    mdl_kv_select_pages(u, 2, out);
}

/* clang-format off */
static const struct mdl_kv_default quest_defaults[] = {
    {MDL_KV_BUDGET, 2048, 1024, 4096, "arXiv 2406.10774; 2048 in FreeKV's comparison"},
    {MDL_KV_PAGE, 16, 16, 32, "arXiv 2406.10774; FreeKV's comparison 32"},
    {MDL_KV_SKIP_LAYERS, 2, 0, 2, "arXiv 2406.10774: the first two layers are dense"},
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE, MDL_GRAPH_NO, MDL_GRAPH_YES, "attention plans around the selected pages; the host decides nothing"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_quest = {
    .name = "quest",
    .group = "retrieve",
    .help = "all KV on the GPU, attention reads the pages that score best",
    .source = "Quest, arXiv 2406.10774",
    .flash = "yes",
    .paged = "native",
    .fallback = "reads everything while the sequence is within the budget",
    .defaults = quest_defaults,
    .n_defaults = MDL_KV_N(quest_defaults),
    .graph = MDL_GRAPH_PIECEWISE,
    .check = mdl_kv_check_budget,
    .gpu_bytes = quest_gpu_bytes,
    .memory = quest_memory,
    .prefill = quest_prefill,
    .decode = quest_decode,
};

/* ---- arkvale ----
 * nhd, as published: a page is chosen for all heads and is one copy. hybrid and hnd: a page for each KV head, as
 * FreeKV's comparison runs it (group_size 1). */

enum { ARKVALE_MOST_TOKENS = 40 * 32 }; /* most that are selected: k = min(40 x 32, c / 2) / p [code] */

static double arkvale_pages(const struct mdl_kv_use *u)
{
    return floor(fmin(ARKVALE_MOST_TOKENS, u->value[MDL_KV_BUDGET] / 2) / u->value[MDL_KV_PAGE]);
}

static double arkvale_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return mdl_kv_offloaded_gpu_bytes(u, at, mdl_kv_count(u, MDL_KV_BUDGET));
}

/* Attention reads the whole budget, not only what was selected (use_sparse_attn is off [code]). */
static void arkvale_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    mdl_kv_offloaded_memory(u, mdl_kv_count(u, MDL_KV_BUDGET), out);
}

/* The recall is a loop on the host over ids that lie on the GPU: three reads for each sequence and group (whether any
 * page is missing, and two ends of a slice), two more for every page, each of which waits for the GPU [code:
 * infer_state.py, recall]. hybrid: a copy into place is a copy and a kernel. */
static void arkvale_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double layers = mdl_kv_managed_layers(u), groups = mdl_kv_layout_of(u) == MDL_NHD ? 1 : u->kv_heads;
    double missing = u->value[MDL_KV_MISS] * arkvale_pages(u);
    *out = mdl_kv_plain_decode("bf16", 1);
    mdl_kv_offload_decoded(u, out);
    mdl_kv_select_pages(u, 2, out);
    out->n_sync_seq = layers * groups * (3 + 2 * missing);
    out->when = SIM_RECALL_AT_LAYER;
    out->recall_layers = mdl_kv_managed_layers(u);
    out->up_copies = out->pages = layers * groups * missing;
    out->up_fragment_bytes = mdl_kv_layer_page_bytes(u) / groups;
    out->miss_pages = missing;
    out->page_tokens = u->value[MDL_KV_PAGE];
    out->resident_tokens = u->value[MDL_KV_BUDGET];
    out->pieces = groups * fmax(1, missing);
    if (mdl_kv_layout_of(u) == MDL_HYBRID)
        out->convert = (struct mdl_work){.bytes = 2 * out->up_copies * out->up_fragment_bytes,
                                         .launches = out->up_copies};
}

static bool arkvale_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    return mdl_kv_check_pages(u, arkvale_pages(u), st) &&
           mdl_kv_check_no_graph(u, "the host reads what was selected in every layer", st);
}

/* clang-format off */
static const struct mdl_kv_default arkvale_defaults[] = {
    {MDL_KV_BUDGET, 2048, 512, 4096, "pages cached on the GPU; 2048 in FreeKV's comparison, 4096 in ArkVale's examples [code]"},
    {MDL_KV_SINK, 64, 32, 512, "2 pages [code]; 512 in FreeKV's latency runs"},
    {MDL_KV_RECENT, 64, 64, 512, "2 pages [code]; 512 in FreeKV's latency runs"},
    {MDL_KV_PAGE, 32, 16, 32, "ArkVale, NeurIPS 2024"},
    {MDL_KV_SKIP_LAYERS, 2, 0, 2, "the first two layers are dense; none in FreeKV's comparison [code]"},
    {MDL_KV_LAYOUT, MDL_NHD, MDL_NHD, MDL_HYBRID, "pages of all heads, [2, page, heads, dim] on both sides [code]"},
    {MDL_KV_MISS, 0.11, 0.01, 0.15, "ArkVale, Fig. 4b: as many slots as selected pages, 106 of 30 x 32 a step; low: twice as many slots, 10.2"},
    MDL_KV_DRAWN,
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_NO, MDL_GRAPH_NO, MDL_GRAPH_NO, "the host reads what was selected in every layer"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_arkvale = {
    .name = "arkvale",
    .group = "retrieve",
    .help = "pages on the host, those that score best are recalled while the layer waits",
    .source = "ArkVale, NeurIPS 2024",
    .flash = "yes",
    .paged = "yes",
    .fallback = "reads everything while the sequence is within the budget",
    .defaults = arkvale_defaults,
    .n_defaults = MDL_KV_N(arkvale_defaults),
    .graph = MDL_GRAPH_NO,
    .check = arkvale_check,
    .gpu_bytes = arkvale_gpu_bytes,
    .host_bytes = mdl_kv_offloaded_host_bytes,
    .memory = arkvale_memory,
    .prefill = mdl_kv_offload_prompt,
    .decode = arkvale_decode,
};
