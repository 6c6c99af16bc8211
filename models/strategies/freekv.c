/* FreeKV: pages on the host, and selection and recall for the next step beside this one, because queries of adjacent
 * steps are alike; heads whose query is not are corrected while the layer waits. Its four parts are parameters:
 * speculative_retrieval, correction_tau (0 = no corrections), layout and double_buffer.
 *
 * Beyond the paper, prefetch_pages fetches more pages than attention reads. With k selectable pages, r = (k +
 * prefetch) / k times as many slots are filled and turn over at the miss rate, so that r times as many pages are
 * recalled beside the computation; but of the pages that a correction asks for, only a share f(r) of the miss rate is
 * missing. f is ArkVale's, Fig. 4b: k = 32 pages needed of c = 32, 40, 64, 96, 128 cached. */
#include "models/strategies/list.h"

#include <math.h>

#include "models/strategies/adaptive.h"
#include "models/strategies/pages.h"
#include "models/strategies/parts.h"

/* ---- pages ---- */

static double selectable_pages(const struct mdl_kv_use *u)
{
    double always = u->value[MDL_KV_SINK] + u->value[MDL_KV_RECENT];
    return floor((u->value[MDL_KV_BUDGET] - always) / u->value[MDL_KV_PAGE]);
}

static double resident_ratio(const struct mdl_kv_use *u)
{
    return 1 + u->value[MDL_KV_PREFETCH] / selectable_pages(u);
}

static const struct {
    double ratio, missing;
} still_missing[] = {{1, 1}, {1.25, 40.7 / 106}, {2, 10.2 / 106}, {3, 3.4 / 106}, {4, 2.2 / 106}};
enum { N_RATIOS = sizeof still_missing / sizeof *still_missing };

/* f: linear between the table's rows, and as the last one beyond. */
static double missing_frac(double ratio)
{
    int i = 1;
    while (i < N_RATIOS && ratio > still_missing[i].ratio) i++;
    if (i == N_RATIOS) return still_missing[N_RATIOS - 1].missing;
    double x0 = still_missing[i - 1].ratio, x1 = still_missing[i].ratio;
    double y0 = still_missing[i - 1].missing, y1 = still_missing[i].missing;
    return y0 + (y1 - y0) * (ratio - x0) / (x1 - x0);
}

static uint32_t slot_tokens(const struct mdl_kv_use *u)
{
    double tokens = u->value[MDL_KV_BUDGET] + u->value[MDL_KV_PREFETCH] * u->value[MDL_KV_PAGE];
    return (uint32_t)fmin(tokens, SIM_KV_ALL - 1.0);
}

/* K and V of one page and one head: contiguous where pages lie by head. */
static double head_page_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_layer_page_bytes(u) / u->kv_heads;
}

/* ---- memory ---- */

static double freekv_gpu_bytes(const struct mdl_kv_use *given, struct sim_kv_length at)
{
    struct mdl_kv_use u = mdl_adaptive_settled(given);
    return mdl_kv_offloaded_gpu_bytes(&u, at, slot_tokens(&u));
}

/* A head's recalled pages wait for their conversion in a buffer as large as the budget; all layers and sequences share
 * one, or two in turn. The last step's queries, 2 x q_heads x head_dim bytes a layer, are left out. */
static double recall_buffers(const struct mdl_kv_use *u)
{
    if (mdl_kv_layout_of(u) != MDL_HYBRID) return 0;
    double pages = floor(slot_tokens(u) / u->value[MDL_KV_PAGE]);
    return (mdl_kv_on(u, MDL_KV_DOUBLE_BUFFER) ? 2 : 1) * pages * head_page_bytes(u);
}

static void freekv_memory(const struct mdl_kv_use *given, struct mdl_kv_memory *out)
{
    struct mdl_kv_use u = mdl_adaptive_settled(given);
    mdl_kv_offloaded_memory(&u, slot_tokens(&u), out);
    out->replica_bytes = recall_buffers(&u);
}

/* ---- decode ---- */

/* Pages that a layer and head recalls in a step. */
static double turned_over(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_MISS] * (selectable_pages(u) + u->value[MDL_KV_PREFETCH]);
}

/* By token on the host, a head's page is a row for every token's K and V. A conversion is one kernel for each head that
 * recalls anything. */
static void recall(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double layer_heads = (double)mdl_kv_managed_layers(u) * u->kv_heads;
    bool by_token = mdl_kv_layout_of(u) == MDL_NHD;
    double fragments = by_token ? 2 * u->value[MDL_KV_PAGE] : 1;
    out->pages = layer_heads * turned_over(u);
    out->miss_pages = turned_over(u);
    out->page_tokens = u->value[MDL_KV_PAGE];
    out->resident_tokens = slot_tokens(u);
    out->up_copies = out->pages * fragments;
    out->up_fragment_bytes = head_page_bytes(u) / fragments;
    out->pieces = u->kv_heads;
    out->recall_layers = mdl_kv_managed_layers(u);
    out->double_buffer = mdl_kv_on(u, MDL_KV_DOUBLE_BUFFER);
    if (mdl_kv_layout_of(u) == MDL_HYBRID)
        out->convert = (struct mdl_work){.bytes = 2 * out->pages * head_page_bytes(u),
                                         .launches = layer_heads * fmin(1, turned_over(u))};
}

/* Selection and recall while the layer waits: the host reads the ids of the pages and waits for the last of them; with
 * a single conversion buffer it also waits before every head's conversion [code: recall.cu]. */
static void recall_at_layer(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double layers = mdl_kv_managed_layers(u);
    bool waits = mdl_kv_layout_of(u) == MDL_HYBRID && !out->double_buffer;
    out->when = SIM_RECALL_AT_LAYER;
    out->n_sync = 2 * layers;
    out->n_sync_seq = waits ? layers * u->kv_heads * fmin(1, turned_over(u)) : 0;
}

/* A checked layer compares each query with the last step's, and the host reads whether any head is to be corrected. Where
 * one is, all heads select again and the host waits twice more: for the ids and for the last page. */
static void correct(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    if (!mdl_kv_on(u, MDL_KV_TAU)) return;
    double checks = mdl_kv_managed_layers(u) / u->value[MDL_KV_CORRECT_EVERY], ratio = resident_ratio(u);
    double queries = (double)u->q_heads * u->head_dim;
    out->check_seq = (struct mdl_work){
        .flops = checks * 6 * queries, .bytes = checks * 2 * queries * MDL_BF16_BYTES, .launches = checks};
    out->n_sync = checks;
    out->n_sync_correct = 2.0 * mdl_kv_managed_layers(u);
    out->correct_frac = u->value[MDL_KV_CORRECTION] / u->value[MDL_KV_CORRECT_EVERY];
    out->correct_share = u->value[MDL_KV_CORRECT_HEADS] * missing_frac(ratio) / ratio;
}

/* Estimate, mean over the query heads of a group, top-k. */
static void freekv_decode(const struct mdl_kv_use *given, struct mdl_kv_decode *out)
{
    struct mdl_kv_use u = mdl_adaptive_settled(given);
    *out = mdl_kv_plain_decode("bf16", 1);
    mdl_kv_offload_decoded(&u, out);
    mdl_kv_select_pages(&u, 3, out);
    recall(&u, out);
    if (!mdl_kv_on(&u, MDL_KV_SPECULATIVE)) {
        recall_at_layer(&u, out);
        return;
    }
    out->when = SIM_RECALL_STEP_AHEAD;
    out->select_overlaps = true;
    correct(&u, out);
}

/* ---- checks and table ---- */

static bool freekv_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    if (!mdl_kv_check_pages(u, selectable_pages(u), st)) return false;
    bool speculative = mdl_kv_on(u, MDL_KV_SPECULATIVE);
    if (!speculative && u->value[MDL_KV_PREFETCH] > 0)
        return sim_fail(
            st,
            "kv.prefetch_pages: %g pages would be waited for like those selected; expected 0 without "
            "kv.speculative_retrieval",
            u->value[MDL_KV_PREFETCH]);
    if (!speculative) return mdl_kv_check_no_graph(u, "the host submits the recall of every layer", st);
    if (!mdl_kv_on(u, MDL_KV_TAU)) return true;
    return mdl_kv_check_no_graph(u, "kv.correction_tau makes the host wait for the GPU in every layer", st);
}

/* clang-format off */
static const struct mdl_kv_default freekv_defaults[] = {
    {MDL_KV_BUDGET, 2048, 1024, 4096, "arXiv 2505.13109; pages are selected poorly below 1024"},
    {MDL_KV_SINK, 512, 128, 512, "long outputs and reasoning 512, long inputs 128; all latency runs 512 [2nd, code]"},
    {MDL_KV_RECENT, 512, 128, 512, "as much as the sink [2nd, code]"},
    {MDL_KV_PAGE, 32, 16, 32, "arXiv 2505.13109 [2nd, code]"},
    {MDL_KV_SKIP_LAYERS, 0, 0, 1, "none in the CUDA path, 1 in the accuracy harness [code]"},
    {MDL_KV_SPECULATIVE, 1, 0, 1, "the method"},
    {MDL_KV_TAU, 0.8, 0, 0.9, "0.8 long inputs and MATH500, 0.9 long generation, AIME, GPQA [2nd]; the code corrects nothing unless told to"},
    {MDL_KV_CORRECT_EVERY, 1, 1, 16, "every step [code]; more: beyond the paper"},
    {MDL_KV_CORRECTION, 0.37, 0, 0.9, "follows correction_tau where it is not given: 0 at 0, 0.37 at 0.8, 0.89 at 0.9, linear between, 1 at 1. 651 to 658 of 1,764 layer checks, Llama-3.2-3B, tau 0.8 [2nd]; tau 0.9: 0.43 to 0.52 of steps, 0.89 of layer checks, R1-Distill-Llama-8B, AIME [2nd]"},
    {MDL_KV_CORRECT_HEADS, 0.35, 0.15, 0.65, "follows correction_tau likewise: 0.15 at 0, 0.35 at 0.8, 0.65 at 0.9, 1 at 1. Measured 0.65 of 8 KV heads where 0.9 of the checks correct [2nd], 2.3 times what heads independent of each other would give; at 0.37 those would give 0.15, times 2.3"},
    {MDL_KV_LAYOUT, MDL_HYBRID, MDL_NHD, MDL_HYBRID, "[2, page, heads, dim] on the GPU, [heads, 2, page, dim] on the host [code]"},
    {MDL_KV_DOUBLE_BUFFER, 1, 0, 1, "two buffers on a pair of streams [code]"},
    {MDL_KV_PREFETCH, 0, 0, 64, "none; beyond the paper"},
    {MDL_KV_POLICY, 0, 0, 1, "static, as published; adaptive: models/strategies/adaptive.h"},
    {MDL_KV_MISS, 0.10, 0.05, 0.37, "ArkVale, Fig. 4b, as many slots as pages: 0.11 to 0.12; per head on R1-Distill-Llama-8B, AIME: 0.20 of a corrected layer's pages, 0.30 to 0.37 over the longest runs [2nd]"},
    {MDL_KV_CORRECTION_CV, 0.23, 0.1, 0.6, "32 independent layers at 0.37: sqrt(0.63 / (0.37 x 32)); more where layers agree"},
    MDL_KV_DRAWN,
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_NO, MDL_GRAPH_NO, MDL_GRAPH_PIECEWISE, "the host checks every layer for corrections; without them a graph still ends where a layer waits for its recall"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_freekv = {
    .name = "freekv",
    .group = "retrieve",
    .help = "pages on the host, recalled a step ahead; heads whose query turned are corrected",
    .source = "FreeKV, arXiv 2505.13109; released code at 2c8a7d2",
    .flash = "yes",
    .paged = "yes",
    .fallback = "reads everything while the sequence is within the budget",
    .defaults = freekv_defaults,
    .n_defaults = MDL_KV_N(freekv_defaults),
    .graph = MDL_GRAPH_NO,
    .check = freekv_check,
    .gpu_bytes = freekv_gpu_bytes,
    .host_bytes = mdl_kv_offloaded_host_bytes,
    .memory = freekv_memory,
    .prefill = mdl_kv_offload_prompt,
    .decode = freekv_decode,
};
