/* Strategies that select and recall finer pieces than pages: InfiniGen rows of tokens, a layer ahead; ShadowKV chunks
 * of values, whose keys it rebuilds from a low-rank form. */
#include "models/strategies/list.h"

#include <math.h>

#include "models/strategies/pages.h"
#include "models/strategies/parts.h"

/* One block of a layer, K and V: what goes down as one copy where nobody asks for less. */
static double layer_block_bytes(const struct mdl_kv_use *u)
{
    return 2 * mdl_kv_key_bytes(u) * u->block_size;
}

/* ---- infinigen: all KV on the host; scores from a part of the keys' columns say which tokens a layer fetches ---- */

static double partial_bytes(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_PARTIAL_FRAC] * mdl_kv_token_bytes(u) / 2;
}

/* Room for what one layer fetches, per token of context. */
static double fetched_bytes(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_FETCH_FRAC] * mdl_kv_token_bytes(u) / u->n_layers;
}

static double infinigen_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    double filling = mdl_kv_kept_tokens(at, 0, true);
    return mdl_kv_token_bytes(u) * filling + (partial_bytes(u) + fetched_bytes(u)) * at.tokens;
}

static double infinigen_host_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return mdl_kv_token_bytes(u) * at.tokens;
}

/* Nothing is kept once the prompt is complete, attention reads a share of the whole context, every sequence selects. */
static void infinigen_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    struct mdl_kv_part pages =
        mdl_kv_pages("pages until the prompt is complete", SIM_KV_GPU, mdl_kv_token_bytes(u), u->block_size);
    pages.kept = true;
    *out = mdl_kv_keeps_all();
    out->budget = out->select_after = 0;
    out->evicts_in_decode = true;
    out->dense_frac = u->value[MDL_KV_FETCH_FRAC];
    mdl_kv_add_part(out, pages);
    mdl_kv_add_part(out, mdl_kv_pages("partial keys", SIM_KV_GPU, partial_bytes(u), u->block_size));
    mdl_kv_add_part(out, mdl_kv_pages("fetched tokens", SIM_KV_GPU, fetched_bytes(u), u->block_size));
    mdl_kv_add_part(out, mdl_kv_pages("pages", SIM_KV_HOST, mdl_kv_token_bytes(u), u->block_size));
}

/* The columns to keep are chosen by their sums, then gathered: keys read, a part written, two kernels a layer. */
static void infinigen_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    *out = (struct mdl_kv_prefill){
        .token = {.bytes = mdl_kv_token_bytes(u) / 2 + partial_bytes(u), .launches = 2.0 * u->n_layers},
        .down_bytes = mdl_kv_token_bytes(u),
        .down_fragment_bytes = layer_block_bytes(u)};
}

/* From the input of layer l - 1, layer l's partial queries, scores, how many stand out, and which: four kernels, of
 * which the host reads the number and the tokens [code: kv_selection_controller.py]. The partial query weights, one
 * or two hundredths of a layer's, are not counted as read. */
static void infinigen_select(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double columns = u->value[MDL_KV_PARTIAL_FRAC] * u->q_heads * u->head_dim * u->n_layers;
    out->decode_efficiency = MDL_KV_DECODE_EFFICIENCY;
    out->select_seq = (struct mdl_work){.flops = 2 * columns * u->hidden, .launches = 4.0 * u->n_layers};
    out->select_token = (struct mdl_work){.flops = 2 * columns, .bytes = partial_bytes(u)};
    out->select_fixed_s = MDL_KV_TOPK_LAYER_S * u->n_layers;
    out->n_sync = 2.0 * u->n_layers;
}

/* K and V rows of the chosen tokens, each head its own. New tokens go down as they come, K and V of a layer. */
static void infinigen_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    *out = mdl_kv_plain_decode("bf16", 1);
    infinigen_select(u, out);
    out->when = mdl_kv_on(u, MDL_KV_BY_LAYER) ? SIM_RECALL_LAYER_AHEAD : SIM_RECALL_AT_LAYER;
    out->pick = (enum mdl_kv_pick)u->value[MDL_KV_PICK];
    out->up_copies_token = u->value[MDL_KV_FETCH_FRAC] * 2 * u->kv_heads * u->n_layers;
    out->up_fragment_bytes = (double)u->head_dim * MDL_BF16_BYTES;
    out->down_copies = 2.0 * u->n_layers;
    out->down_fragment_bytes = mdl_kv_key_bytes(u);
    out->recall_layers = u->n_layers;
}

static bool infinigen_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    return mdl_kv_check_no_graph(u, "the host collects every layer's tokens", st);
}

/* clang-format off */
static const struct mdl_kv_default infinigen_defaults[] = {
    {MDL_KV_PARTIAL_FRAC, 0.2, 0.1, 0.4, "arXiv 2406.19707: partial weight ratio 0.2; 410 MiB at 32K on Llama-3.1-8B"},
    {MDL_KV_FETCH_FRAC, 0.1, 0.0625, 0.2, "arXiv 2406.19707: scores within alpha = 4 of the best, at most 0.2; a tenth on average [mem]; low: FreeKV's comparison, 2048 of 32K. alpha itself moves no byte"},
    {MDL_KV_BY_LAYER, 1, 0, 1, "arXiv 2406.19707: selected with the previous layer's input, fetched beside it"},
    {MDL_KV_PICK, MDL_PICK_CPU, MDL_PICK_COPIES, MDL_PICK_CPU, "rows are gathered on the host, then copied [code: kv_selection_controller.py]"},
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_NO, MDL_GRAPH_NO, MDL_GRAPH_NO, "the host reads and collects what was selected in every layer"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_infinigen = {
    .name = "infinigen",
    .group = "retrieve",
    .help = "all KV on the host, the tokens that a part of the keys points at are fetched a layer ahead",
    .source = "InfiniGen, arXiv 2406.19707",
    .flash = "its own kernels",
    .paged = "no (FlexGen)",
    .fallback = "none: KV lies on the host from the first token on",
    .defaults = infinigen_defaults,
    .n_defaults = MDL_KV_N(infinigen_defaults),
    .graph = MDL_GRAPH_NO,
    .check = infinigen_check,
    .gpu_bytes = infinigen_gpu_bytes,
    .host_bytes = infinigen_host_bytes,
    .memory = infinigen_memory,
    .prefill = infinigen_prefill,
    .decode = infinigen_decode,
};

/* ---- shadowkv: keys at low rank on the GPU, values on the host ---- */

static double value_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_token_bytes(u) / 2;
}

/* A GPU decomposes the keys of its own heads, which have no higher rank than columns: under tensor parallelism every
 * GPU has rows of its own, and from rank = columns on they save nothing. */
static double own_rank(const struct mdl_kv_use *u)
{
    return fmin(u->value[MDL_KV_RANK], (double)u->kv_heads * u->head_dim);
}

/* Keys of a layer's heads, one matrix: a row of rank numbers per token, and a basis. */
static double low_rank_bytes(const struct mdl_kv_use *u)
{
    return own_rank(u) * MDL_BF16_BYTES * u->n_layers;
}

static double basis_bytes(const struct mdl_kv_use *u)
{
    return low_rank_bytes(u) * u->kv_heads * u->head_dim;
}

/* The mean key of every chunk. */
static double landmark_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_token_bytes(u) / 2 / u->value[MDL_KV_CHUNK];
}

/* Tokens in chunks that their landmark stands for badly; they stay as they are. */
static uint32_t outlier_tokens(const struct mdl_kv_use *u)
{
    double chunk = u->value[MDL_KV_CHUNK];
    return (uint32_t)(chunk * floor(u->value[MDL_KV_OUTLIER] * u->value[MDL_KV_BUDGET] / chunk + 0.5));
}

static double shadowkv_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    double keys = mdl_kv_kept_tokens(at, 0, true); /* all of them until they are decomposed */
    double values = mdl_kv_kept_tokens(at, mdl_kv_count(u, MDL_KV_BUDGET), true);
    return value_bytes(u) * (keys + values) + basis_bytes(u) +
           (low_rank_bytes(u) + landmark_bytes(u)) * at.tokens +
           mdl_kv_token_bytes(u) * mdl_kv_capped(at, outlier_tokens(u));
}

static double shadowkv_host_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return value_bytes(u) * at.tokens;
}

static void add_capped(struct mdl_kv_memory *out, const char *what, double token_bytes, uint32_t page,
                       uint32_t cap)
{
    struct mdl_kv_part part = mdl_kv_pages(what, SIM_KV_GPU, token_bytes, page);
    part.cap = cap;
    mdl_kv_add_part(out, part);
}

static void shadowkv_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    uint32_t chunk = mdl_kv_count(u, MDL_KV_CHUNK);
    struct mdl_kv_part values = mdl_kv_pages("values", SIM_KV_GPU, value_bytes(u), chunk), keys = values;
    values.kept = true;
    keys.what = "keys until they are decomposed";
    keys.fill = true;
    *out = mdl_kv_keeps_all();
    out->budget = out->read_cap = out->select_after = mdl_kv_count(u, MDL_KV_BUDGET);
    out->evicts_in_decode = true;
    mdl_kv_add_part(out, values);
    mdl_kv_add_part(out, keys);
    mdl_kv_add_part(out, mdl_kv_pages("low-rank keys", SIM_KV_GPU, low_rank_bytes(u), chunk));
    mdl_kv_add_part(out, mdl_kv_pages("landmarks", SIM_KV_GPU, landmark_bytes(u), chunk));
    add_capped(out, "basis of the keys", basis_bytes(u) / chunk, chunk, chunk);
    add_capped(out, "outliers", mdl_kv_token_bytes(u), chunk, outlier_tokens(u));
    mdl_kv_add_part(out, mdl_kv_pages("values", SIM_KV_HOST, value_bytes(u), chunk));
}

/* Decomposition of a layer's keys, L x n with n = kv_heads x head_dim, when the prompt is complete: QR first, 6 L n^2 +
 * 20 n^3 flops (R-SVD; Golub and Van Loan, Matrix Computations, 8.6) [mem]; keys read, rows and basis written. The
 * formula is for L >= n. Prompts within the budget are read whole, so that nothing of them needs to be rebuilt. */
static void shadowkv_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    double n = (double)u->kv_heads * u->head_dim, layers = u->n_layers;
    *out = (struct mdl_kv_prefill){
        .token = {.bytes = value_bytes(u) + landmark_bytes(u), .launches = layers},
        .end = {.flops = 20 * n * n * n * layers, .bytes = basis_bytes(u), .launches = 10 * layers},
        .end_token = {.flops = 6 * n * n * layers, .bytes = value_bytes(u) + low_rank_bytes(u)},
        .end_after = mdl_kv_count(u, MDL_KV_BUDGET),
        .down_bytes = value_bytes(u),
        .down_fragment_bytes = layer_block_bytes(u) / 2};
}

/* Keys of the budget rebuilt, row times basis, and turned by their positions; for sequences within the budget, too,
 * which is left out, as no sequence pays it that does not select. Kernels: scores, softmax over chunks, top-k, which
 * chunks are there, product with RoPE. */
static void shadowkv_select(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double budget = u->value[MDL_KV_BUDGET], chunk = u->value[MDL_KV_CHUNK];
    double keys = (double)u->kv_heads * u->head_dim * u->n_layers;
    out->decode_efficiency = MDL_KV_DECODE_EFFICIENCY;
    out->select_seq =
        (struct mdl_work){.flops = 2 * budget * own_rank(u) * keys,
                          .bytes = budget * (low_rank_bytes(u) + value_bytes(u)) + basis_bytes(u),
                          .launches = 5.0 * u->n_layers};
    out->select_token = (struct mdl_work){.flops = 2.0 * u->q_heads * u->head_dim * u->n_layers / chunk,
                                          .bytes = landmark_bytes(u)};
    out->select_fixed_s = MDL_KV_TOPK_LAYER_S * u->n_layers;
}

/* Only values come up, a chunk of one head each, those that are there since the last step left out. To copy them one by
 * one, or to collect them, the host must read in every layer which they are. */
static void shadowkv_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double chunk = u->value[MDL_KV_CHUNK];
    double chunks = (double)u->n_layers * u->kv_heads * u->value[MDL_KV_BUDGET] / chunk;
    *out = mdl_kv_plain_decode("bf16", 1);
    shadowkv_select(u, out);
    out->seq.bytes = 2 * low_rank_bytes(u) + landmark_bytes(u);
    out->when = mdl_kv_on(u, MDL_KV_BY_LAYER) ? SIM_RECALL_LAYER_AHEAD : SIM_RECALL_AT_LAYER;
    out->pick = (enum mdl_kv_pick)u->value[MDL_KV_PICK];
    out->n_sync = out->pick == MDL_PICK_KERNEL ? 0 : u->n_layers;
    out->up_copies = out->pages = u->value[MDL_KV_MISS] * chunks;
    out->miss_pages = u->value[MDL_KV_MISS] * u->value[MDL_KV_BUDGET] / chunk;
    out->page_tokens = chunk;
    out->resident_tokens = u->value[MDL_KV_BUDGET];
    out->up_fragment_bytes = chunk * u->head_dim * MDL_BF16_BYTES;
    out->down_copies = u->n_layers / chunk;
    out->down_fragment_bytes = chunk * mdl_kv_key_bytes(u);
    out->recall_layers = u->n_layers;
}

static bool shadowkv_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    double budget = u->value[MDL_KV_BUDGET], chunk = u->value[MDL_KV_CHUNK];
    if (fmod(budget, chunk) != 0)
        return sim_fail(
            st, "kv.budget: %g tokens are no whole number of chunks; expected a multiple of kv.chunk %g",
            budget, chunk);
    return mdl_kv_check_no_graph(u, "its layers join two streams as the released code launches them", st);
}

/* clang-format off */
static const struct mdl_kv_default shadowkv_defaults[] = {
    {MDL_KV_BUDGET, 2048, 512, 4096, "arXiv 2410.21465: 2048, 1.56 % of 128K"},
    {MDL_KV_RANK, 160, 64, 256, "arXiv 2410.21465; at most the columns of the keys on a GPU"},
    {MDL_KV_CHUNK, 8, 4, 16, "arXiv 2410.21465"},
    {MDL_KV_OUTLIER, 0.1875, 0, 0.25, "24 chunks of 8 tokens for 1,024 of the budget: 48 at 2048. Here a share of the budget"},
    {MDL_KV_PICK, MDL_PICK_KERNEL, MDL_PICK_COPIES, MDL_PICK_KERNEL, "a kernel reads the chunks from pinned memory [code: gather_copy_with_offsets]"},
    {MDL_KV_MISS, 0.4, 0.3, 0.6, "arXiv 2410.21465: its cache saves 60 % of computation and fetching; the range is ours"},
    {MDL_KV_BY_LAYER, 0, 0, 1, "selected with the layer's own query, so that nothing can come up beside the layer before; the paper's overlap with the rebuilding of the same layer's keys is left out. 1: a bound that no selection by this query reaches"},
    MDL_KV_DRAWN,
    MDL_KV_FEWER_PAGES,
    {MDL_KV_PREFILL_EFFICIENCY, 0.08, 0.01, 0.2, "17 ms for the decomposition at 64K on A100, 25 of 312 TFLOP/s (arXiv 2410.21465, appendix) [mem]; low: a library's general SVD"},
    {MDL_KV_GRAPH, MDL_GRAPH_NO, MDL_GRAPH_NO, MDL_GRAPH_NO, "two streams joined in every layer, launched from Python [code]"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_shadowkv = {
    .name = "shadowkv",
    .group = "retrieve",
    .help = "keys at low rank on the GPU, values on the host, chunks fetched by landmarks",
    .source = "ShadowKV, arXiv 2410.21465",
    .flash = "yes",
    .paged = "no",
    .fallback = "keeps full KV for models whose keys it has no kernels for; generated tokens are decomposed "
                "as the prompt's",
    .defaults = shadowkv_defaults,
    .n_defaults = MDL_KV_N(shadowkv_defaults),
    .graph = MDL_GRAPH_NO,
    .check = shadowkv_check,
    .gpu_bytes = shadowkv_gpu_bytes,
    .host_bytes = shadowkv_host_bytes,
    .memory = shadowkv_memory,
    .prefill = shadowkv_prefill,
    .decode = shadowkv_decode,
};
