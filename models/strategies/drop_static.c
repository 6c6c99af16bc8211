/* Strategies that drop tokens or heads by position, whatever is in them: StreamingLLM keeps the first and the last
 * tokens, RazorAttention does so in all but the retrieval heads. */
#include "models/strategies/list.h"

#include "models/strategies/pages.h"
#include "models/strategies/parts.h"

/* ---- streaming_llm: the first `sink` tokens and the last budget - sink ---- */

static double streaming_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    bool evicts = mdl_kv_on(u, MDL_KV_EVICT_IN_DECODE);
    return mdl_kv_token_bytes(u) * mdl_kv_kept_tokens(at, mdl_kv_count(u, MDL_KV_BUDGET), evicts);
}

/* The window is a ring: a new token takes the place of the oldest, so that no page is half dead. */
static void streaming_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    *out = mdl_kv_keeps_all();
    out->budget = mdl_kv_count(u, MDL_KV_BUDGET);
    out->evicts_in_decode = mdl_kv_on(u, MDL_KV_EVICT_IN_DECODE);
    mdl_kv_add_budgeted(u, u->block_size, out);
}

/* What is kept is moved together once: K and V of the budget read and written, one kernel a layer. */
static void streaming_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    double kept_bytes = mdl_kv_token_bytes(u) * u->value[MDL_KV_BUDGET];
    *out = (struct mdl_kv_prefill){.end = {.bytes = 2 * kept_bytes, .launches = u->n_layers},
                                   .end_after = mdl_kv_count(u, MDL_KV_BUDGET)};
}

static void streaming_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    (void)u;
    *out = mdl_kv_plain_decode("bf16", 1);
}

/* clang-format off */
static const struct mdl_kv_default streaming_defaults[] = {
    {MDL_KV_BUDGET, 512, 256, 2048, "sink 64 + recent 448: arXiv 2503.24000, A.3; its accuracy runs 256 to 2048"},
    {MDL_KV_SINK, 64, 4, 64, "arXiv 2503.24000, A.3; StreamingLLM's own 4 (arXiv 2309.17453) [mem]"},
    {MDL_KV_RECENT, 448, 192, 2044, "arXiv 2503.24000, A.3: budget less sink; of a larger budget, the window has the rest"},
    {MDL_KV_EVICT_IN_DECODE, 1, 0, 1, "as published; 0: the LMDeploy port of arXiv 2503.24000 drops at the end of the prompt only [code]"},
    MDL_KV_FEWER_PAGES,
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "fixed shapes, and nothing that the host decides"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_streaming_llm = {
    .name = "streaming_llm",
    .group = "drop, static",
    .help = "the first tokens and a window over the last",
    .source = "StreamingLLM, arXiv 2309.17453; sizes of arXiv 2503.24000, A.3",
    .flash = "yes",
    .paged = "yes (drops pages)",
    .fallback = "keeps every token where the block manager cannot free pages in the middle",
    .defaults = streaming_defaults,
    .n_defaults = MDL_KV_N(streaming_defaults),
    .graph = MDL_GRAPH_YES,
    .check = mdl_kv_check_budget,
    .gpu_bytes = streaming_gpu_bytes,
    .memory = streaming_memory,
    .prefill = streaming_prefill,
    .decode = streaming_decode,
};

/* ---- razor: retrieval heads keep everything, the others sink + recent ---- */

static uint32_t razor_window(const struct mdl_kv_use *u)
{
    return mdl_kv_count(u, MDL_KV_SINK) + mdl_kv_count(u, MDL_KV_RECENT);
}

static double razor_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    double full = u->value[MDL_KV_FULL_HEADS];
    double tokens = full * at.tokens + (1 - full) * mdl_kv_kept_tokens(at, razor_window(u), true);
    return mdl_kv_token_bytes(u) * tokens;
}

/* Retrieval heads are counted over the whole model, so that their share is met although a layer has few heads. */
static void razor_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    double full = u->value[MDL_KV_FULL_HEADS], token = mdl_kv_token_bytes(u);
    struct mdl_kv_part others =
        mdl_kv_pages("pages of the other heads", SIM_KV_GPU, (1 - full) * token, u->block_size);
    others.kept = true;
    *out = mdl_kv_keeps_all();
    out->budget = razor_window(u);
    out->evicts_in_decode = true;
    out->dense_frac = full;
    mdl_kv_add_part(out, others);
    mdl_kv_add_part(out, mdl_kv_pages("pages of retrieval heads", SIM_KV_GPU, full * token, u->block_size));
}

/* Two classes of heads, two page tables: attention is launched for each. */
static void razor_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double full = u->value[MDL_KV_FULL_HEADS];
    *out = mdl_kv_plain_decode("bf16", 1);
    out->seq.launches = full > 0 && full < 1 ? u->n_layers : 0;
}

static bool razor_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    if (razor_window(u) > 0) return true;
    return sim_fail(
        st,
        "kv.recent: kv.sink + kv.recent is 0, expected at least one token for heads that keep only these");
}

/* clang-format off */
static const struct mdl_kv_default razor_defaults[] = {
    {MDL_KV_FULL_HEADS, 0.15, 0.15, 0.5, "RazorAttention in FreeKV's comparison, arXiv 2505.13109; DuoAttention 0.25 to 0.5 [mem]"},
    {MDL_KV_SINK, 512, 4, 512, "FreeKV's sink; no source says what its RazorAttention had"},
    {MDL_KV_RECENT, 1536, 448, 4000, "with the sink the budget of 2048 that FreeKV's comparison gives every method; high: RazorAttention's own [mem]"},
    MDL_KV_FEWER_PAGES,
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "heads are classed offline: fixed shapes"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_razor = {
    .name = "razor",
    .group = "drop, static",
    .help = "retrieval heads keep everything, the others the first and the last tokens",
    .source = "RazorAttention, arXiv 2407.15891; DuoAttention, arXiv 2410.10819",
    .flash = "yes",
    .paged = "two page tables",
    .fallback = "keeps everything in all heads of a model without an offline pattern of retrieval heads",
    .defaults = razor_defaults,
    .n_defaults = MDL_KV_N(razor_defaults),
    .graph = MDL_GRAPH_YES,
    .check = razor_check,
    .gpu_bytes = razor_gpu_bytes,
    .memory = razor_memory,
    .decode = razor_decode,
};
