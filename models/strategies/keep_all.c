/* Strategies that lose nothing but the precision of cold pages: KV on the GPU, on the host, or on both. */
#include "models/strategies/list.h"

#include <math.h>

#include "models/strategies/parts.h"

/* ---- full ---- */

static double full_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return mdl_kv_token_bytes(u) * at.tokens;
}

static void full_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    *out = mdl_kv_keeps_all();
    mdl_kv_add_part(out, mdl_kv_pages("pages", SIM_KV_GPU, mdl_kv_token_bytes(u), u->block_size));
}

static void full_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    (void)u;
    *out = mdl_kv_plain_decode("bf16", 1);
}

/* clang-format off */
static const struct mdl_kv_default full_defaults[] = {
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "vLLM v1 captures whole decode steps with FlashAttention 3 [mem]"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_full = {
    .name = "full",
    .group = "keep all",
    .help = "all KV in bf16 on the GPU, in pages",
    .source = "PagedAttention, arXiv 2309.06180",
    .flash = "yes",
    .paged = "yes",
    .fallback = "preempts the latest request and recomputes it",
    .defaults = full_defaults,
    .n_defaults = MDL_KV_N(full_defaults),
    .graph = MDL_GRAPH_YES,
    .gpu_bytes = full_bytes,
    .memory = full_memory,
    .decode = full_decode,
};

/* ---- swap and offload: all KV lives on the host; every step fetches all of it ---- */

/* Every token's KV comes up once a step, in fragments of fragment_tokens tokens of some layers. What a step adds goes
 * down when its fragment is full. */
static void fetch_all(const struct mdl_kv_use *u, double fragment_bytes, struct mdl_kv_decode *out)
{
    double copies_token = mdl_kv_token_bytes(u) / fragment_bytes;
    *out = mdl_kv_plain_decode("bf16", 1);
    out->up_copies_token = copies_token;
    out->up_fragment_bytes = fragment_bytes;
    out->down_copies = copies_token;
    out->down_fragment_bytes = fragment_bytes;
    out->recall_layers = u->n_layers;
}

/* What a decode step does not need stays on the GPU until the prompt is complete: its chunks read each other, and
 * nothing comes up for them. */
static void add_fill(double token_bytes, uint32_t start, uint32_t page_tokens, struct mdl_kv_memory *out)
{
    struct mdl_kv_part prompt = mdl_kv_pages("prompt", SIM_KV_GPU, token_bytes, page_tokens);
    prompt.start = start;
    prompt.fill = true;
    if (token_bytes > 0) mdl_kv_add_part(out, prompt);
}

static void on_host(const struct mdl_kv_use *u, double gpu_token_bytes, uint32_t host_page,
                    struct mdl_kv_memory *out)
{
    *out = mdl_kv_keeps_all();
    out->select_after = 0;
    mdl_kv_add_part(out, mdl_kv_pages("working copy", SIM_KV_GPU, gpu_token_bytes, u->block_size));
    add_fill(mdl_kv_token_bytes(u) - gpu_token_bytes, 0, u->block_size, out);
    mdl_kv_add_part(out, mdl_kv_pages("pages", SIM_KV_HOST, mdl_kv_token_bytes(u), host_page));
}

/* A block's KV over all layers: contiguous as vLLM's OffloadingConnector has it from 0.12 on, 0.5 to 2.5 MB. */
static double block_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_token_bytes(u) * u->block_size;
}

/* A step needs all its sequences at once, so the GPU holds each of them whole. */
static void swap_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    on_host(u, mdl_kv_token_bytes(u), u->block_size, out);
}

static void swap_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    *out =
        (struct mdl_kv_prefill){.down_bytes = mdl_kv_token_bytes(u), .down_fragment_bytes = block_bytes(u)};
}

/* The first layer waits for everything: nothing overlaps, however the copies are spread over the layers. */
static void swap_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    fetch_all(u, block_bytes(u), out);
    out->when = SIM_RECALL_AT_LAYER;
}

/* clang-format off */
static const struct mdl_kv_default swap_defaults[] = {
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "the copies are done before the step begins: the step itself is full's"},
};

static const struct mdl_kv_default offload_defaults[] = {
    {MDL_KV_BY_LAYER, 1, 0, 1, "FlexGen, arXiv 2303.06865: the next layer's cache is loaded beside this layer's computation [mem]"},
    {MDL_KV_PAGE, 256, 16, 4096, "our choice: pages of the host's own, large enough that the wire and not the number of copies sets the pace; FlexGen keeps a layer's cache in one piece [mem]"},
    {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE, MDL_GRAPH_NO, MDL_GRAPH_PIECEWISE, "every layer's attention waits for copies that the host submits"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_swap = {
    .name = "swap",
    .group = "keep all",
    .help = "all KV on the host; whole sequences are fetched before each step",
    .source = "whole-block copies of vLLM's OffloadingConnector, once a step",
    .flash = "yes",
    .paged = "yes",
    .fallback = "keeps a sequence on the GPU while the host has no room",
    .defaults = swap_defaults,
    .n_defaults = MDL_KV_N(swap_defaults),
    .graph = MDL_GRAPH_YES,
    .gpu_bytes = full_bytes,
    .host_bytes = full_bytes,
    .memory = swap_memory,
    .prefill = swap_prefill,
    .decode = swap_decode,
};

/* Layers whose fetched KV the GPU has room for: the one that computes, and the next one if it is fetched ahead. */
static double buffered_layers(const struct mdl_kv_use *u)
{
    return fmin(1 + u->value[MDL_KV_BY_LAYER], u->n_layers);
}

static enum sim_recall_when fetched_when(const struct mdl_kv_use *u)
{
    return mdl_kv_on(u, MDL_KV_BY_LAYER) ? SIM_RECALL_LAYER_AHEAD : SIM_RECALL_AT_LAYER;
}

static double offload_token_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_token_bytes(u) / u->n_layers * buffered_layers(u);
}

static double offload_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    bool filling = at.tokens < at.filled;
    return (filling ? mdl_kv_token_bytes(u) : offload_token_bytes(u)) * at.tokens;
}

static void offload_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    on_host(u, offload_token_bytes(u), mdl_kv_count(u, MDL_KV_PAGE), out);
}

/* A host page holds each layer's part of it in one piece. */
static double offload_fragment_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_token_bytes(u) * u->value[MDL_KV_PAGE] / u->n_layers;
}

static void offload_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    *out = (struct mdl_kv_prefill){.down_bytes = mdl_kv_token_bytes(u),
                                   .down_fragment_bytes = offload_fragment_bytes(u)};
}

static void offload_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    fetch_all(u, offload_fragment_bytes(u), out);
    out->when = fetched_when(u);
}

const struct mdl_strategy mdl_strategy_offload = {
    .name = "offload",
    .group = "keep all",
    .help = "all KV on the host, fetched layer by layer; the GPU holds one or two layers of it",
    .source = "FlexGen, arXiv 2303.06865",
    .flash = "yes",
    .paged = "yes",
    .fallback = "keeps a sequence on the GPU while the host has no room",
    .defaults = offload_defaults,
    .n_defaults = MDL_KV_N(offload_defaults),
    .graph = MDL_GRAPH_PIECEWISE,
    .gpu_bytes = offload_gpu_bytes,
    .host_bytes = full_bytes,
    .memory = offload_memory,
    .prefill = offload_prefill,
    .decode = offload_decode,
};

/* ---- tiered: the last `recent` tokens and hot_frac of the older pages in bf16, the rest cold ---- */

enum {
    BF16_BITS = 16,
    PAIR_BYTES = 4,       /* scale and minimum of a token's head, fp16 each, as int4 has them */
    HOST_RUN_TOKENS = 256 /* as offload's pages */
};

/* A token's KV in a cold page. */
static double cold_token_bytes(const struct mdl_kv_use *u)
{
    double bits = u->value[MDL_KV_COLD_BITS];
    if (bits == BF16_BITS) return mdl_kv_token_bytes(u);
    return 2.0 * u->n_layers * u->kv_heads * (u->head_dim * bits / 8 + PAIR_BYTES);
}

static bool any_cold(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_HOT_FRAC] < 1;
}

static bool cold_on_host(const struct mdl_kv_use *u)
{
    return any_cold(u) && mdl_kv_on(u, MDL_KV_COLD_ON_HOST);
}

/* What one token older than the recent ones costs on average. */
static double older_hot_bytes(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_HOT_FRAC] * mdl_kv_token_bytes(u);
}

static double older_cold_bytes(const struct mdl_kv_use *u)
{
    return (1 - u->value[MDL_KV_HOT_FRAC]) * cold_token_bytes(u);
}

/* Of it, what a decode step has on the GPU: of cold pages on the host, the layers that are fetched. */
static double older_gpu_bytes(const struct mdl_kv_use *u)
{
    double on_gpu = cold_on_host(u) ? buffered_layers(u) / u->n_layers : 1;
    return older_hot_bytes(u) + on_gpu * older_cold_bytes(u);
}

static double older_tokens(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return fmax(0, at.tokens - u->value[MDL_KV_RECENT]);
}

static double tiered_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    double older = older_tokens(u, at);
    bool filling = at.tokens < at.filled;
    return mdl_kv_token_bytes(u) * (at.tokens - older) +
           (filling ? older_hot_bytes(u) + older_cold_bytes(u) : older_gpu_bytes(u)) * older;
}

static double tiered_host_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return cold_on_host(u) ? older_cold_bytes(u) * older_tokens(u, at) : 0;
}

/* All of them come up in every step, so the host strings cold pages of a layer together, and a copy takes so many tokens:
 * copies of single pages would be as many as they are small. */
static uint32_t host_run(const struct mdl_kv_use *u)
{
    uint32_t page = mdl_kv_count(u, MDL_KV_PAGE);
    return page * ((HOST_RUN_TOKENS + page - 1) / page);
}

static void add_older(const struct mdl_kv_use *u, enum sim_kv_place place, double token_bytes,
                      struct mdl_kv_memory *out)
{
    uint32_t page = place == SIM_KV_HOST ? host_run(u) : mdl_kv_count(u, MDL_KV_PAGE);
    struct mdl_kv_part pages = mdl_kv_pages("older pages", place, token_bytes, page);
    pages.start = mdl_kv_count(u, MDL_KV_RECENT);
    mdl_kv_add_part(out, pages);
}

/* What attention takes for an older token over a recent one: the hot share as full does, the cold share by its bytes at
 * the kernel's efficiency, which is of quantised bytes only. Never more than in bf16: whose kernel reads packed pages
 * more slowly than plain ones would not pack them. */
static double older_time_frac(const struct mdl_kv_use *u)
{
    bool packed = u->value[MDL_KV_COLD_BITS] != BF16_BITS;
    double efficiency = packed ? u->value[MDL_KV_KERNEL_EFFICIENCY] : 1;
    return fmin(1, (older_hot_bytes(u) + older_cold_bytes(u) / efficiency) / mdl_kv_token_bytes(u));
}

/* Attention takes the time of (1 - f) x min(L, recent) + f x L tokens in bf16, f being an older token's time over a
 * recent one's: read_cap and dense_frac say just that. */
static void tiered_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    uint32_t recent = mdl_kv_count(u, MDL_KV_RECENT), page = mdl_kv_count(u, MDL_KV_PAGE);
    double older = older_hot_bytes(u) + older_cold_bytes(u);
    struct mdl_kv_part window = mdl_kv_pages("recent pages", SIM_KV_GPU, mdl_kv_token_bytes(u), page);
    window.cap = recent;
    *out = mdl_kv_keeps_all();
    if (recent) mdl_kv_add_part(out, window);
    add_older(u, SIM_KV_GPU, older_gpu_bytes(u), out);
    add_fill(older - older_gpu_bytes(u), recent, page, out);
    if (cold_on_host(u)) add_older(u, SIM_KV_HOST, older_cold_bytes(u), out);
    out->read_cap = recent;
    out->dense_frac = older_time_frac(u);
    out->select_after = any_cold(u) ? recent : SIM_KV_ALL; /* longer ones cool, and fetch */
}

/* A token that cools is read in bf16 and written quantised, one kernel a layer. */
static struct mdl_work cool_token(const struct mdl_kv_use *u)
{
    if (u->value[MDL_KV_COLD_BITS] == BF16_BITS || !any_cold(u)) return (struct mdl_work){0};
    double share = 1 - u->value[MDL_KV_HOT_FRAC];
    return (struct mdl_work){.bytes = share * (mdl_kv_token_bytes(u) + cold_token_bytes(u)),
                             .launches = u->n_layers};
}

/* So many tokens of one layer. */
static double cold_fragment_bytes(const struct mdl_kv_use *u, double tokens)
{
    return cold_token_bytes(u) * tokens / u->n_layers;
}

static void tiered_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    *out = (struct mdl_kv_prefill){.token = cool_token(u)};
    if (!cold_on_host(u)) return;
    out->down_bytes = older_cold_bytes(u);
    out->down_fragment_bytes = cold_fragment_bytes(u, host_run(u));
}

/* Nothing is dropped: a step fetches every cold page that lies on the host; those that cool go down one by one. What
 * attention takes is in tiered_memory's shares, so kernel_efficiency must cancel here. */
static void tiered_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    bool mixed = any_cold(u) && u->value[MDL_KV_COLD_BITS] != BF16_BITS;
    *out = mdl_kv_plain_decode(mixed ? "mixed" : "bf16", u->value[MDL_KV_KERNEL_EFFICIENCY]);
    out->select_seq = cool_token(u);
    if (!cold_on_host(u)) return;
    out->when = fetched_when(u);
    out->up_fragment_bytes = cold_fragment_bytes(u, host_run(u));
    out->up_copies_token = older_cold_bytes(u) / out->up_fragment_bytes;
    out->down_fragment_bytes = cold_fragment_bytes(u, u->value[MDL_KV_PAGE]);
    out->down_copies = older_cold_bytes(u) / out->down_fragment_bytes;
    out->up_copies = out->pages = -out->up_copies_token * u->value[MDL_KV_RECENT];
    out->recall_layers = u->n_layers;
}

static bool tiered_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    double bits = u->value[MDL_KV_COLD_BITS];
    uint32_t recent = mdl_kv_count(u, MDL_KV_RECENT), page = mdl_kv_count(u, MDL_KV_PAGE);
    if (bits != 2 && bits != 4 && bits != 8 && bits != BF16_BITS)
        return sim_fail(st, "kv.cold_bits: %g is no width that is packed; choose 2, 4, 8, or 16 for bf16",
                        bits);
    if (recent % page)
        return sim_fail(
            st, "kv.recent: %u is no multiple of kv.page %u, and pages cool as a whole; choose %u or %u",
            recent, page, recent / page * page, (recent / page + 1) * page);
    return true;
}

/* clang-format off */
static const struct mdl_kv_default tiered_defaults[] = {
    {MDL_KV_RECENT, 512, 128, 1024, "our choice: the recent window of FreeKV (512 for long outputs, 128 for long inputs), arXiv 2505.13109"},
    {MDL_KV_HOT_FRAC, 0.1, 0, 0.5, "our choice: the share of heavy hitters in H2O, arXiv 2306.14048"},
    {MDL_KV_PAGE, 32, 16, 64, "FreeKV and ArkVale 32, vLLM 16, LMDeploy 64 [code]"},
    {MDL_KV_COLD_BITS, 4, 2, 16, "our choice: LMDeploy's int4, the width with a slight loss"},
    {MDL_KV_COLD_ON_HOST, 0, 0, 1, "our choice: the GPU while it has room"},
    {MDL_KV_BY_LAYER, 1, 0, 1, "FlexGen, arXiv 2303.06865 [mem]"},
    {MDL_KV_KERNEL_EFFICIENCY, 0.5, 0.35, 1, "of quantised pages, as int4, and 0.72 as int8 where cold_bits is 8: no kernel over two page types was found measured but the KIVI-4 port (0.37 [data])"},
    {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE, MDL_GRAPH_NO, MDL_GRAPH_PIECEWISE, "which pages are cold, or come from the host, changes between steps"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_tiered = {
    .name = "tiered",
    .group = "keep all",
    .help = "recent and hot pages in bf16, cold pages quantised, on the GPU or on the host",
    .source = "the partial, hierarchical management that arXiv 2503.24000 asks for",
    .flash = "yes, two page types",
    .paged = "two page types",
    .fallback = "keeps a sequence on the GPU while the host has no room",
    .defaults = tiered_defaults,
    .n_defaults = MDL_KV_N(tiered_defaults),
    .graph = MDL_GRAPH_PIECEWISE,
    .check = tiered_check,
    .gpu_bytes = tiered_gpu_bytes,
    .host_bytes = tiered_host_bytes,
    .memory = tiered_memory,
    .prefill = tiered_prefill,
    .decode = tiered_decode,
};
