/* Strategies that drop tokens by what attention made of them: H2O by scores summed over all queries, SnapKV and
 * PyramidKV by the scores of the last queries of the prompt, RaaS by when a page last mattered. */
#include "models/strategies/list.h"

#include <math.h>

#include "models/strategies/pages.h"
#include "models/strategies/parts.h"

/* One multiply-add of every query head with one key, over all layers. */
static double score_flops(const struct mdl_kv_use *u)
{
    return 2.0 * u->q_heads * u->head_dim * u->n_layers;
}

/* One fp32 score per query head and layer. */
static double score_bytes(const struct mdl_kv_use *u)
{
    return (double)MDL_FP32_BYTES * u->q_heads * u->n_layers;
}

/* K and V of the kept tokens, read and written elsewhere, when the fill ends. */
static double compaction_bytes(const struct mdl_kv_use *u, double kept_tokens)
{
    return 2 * mdl_kv_token_bytes(u) * kept_tokens;
}

/* ---- h2o ----
 * By budget: `recent` and budget - recent heavy tokens. By heavy_frac h: h x L heavy tokens and `recent`, that is
 * min(L, h x L + recent) = h x L + (1 - h) x min(L, recent / (1 - h)): as if a share h of the KV kept everything and
 * the rest a budget of recent / (1 - h). */

static double h2o_dense_frac(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_HEAVY_FRAC];
}

static uint32_t h2o_budget(const struct mdl_kv_use *u)
{
    double heavy = u->value[MDL_KV_HEAVY_FRAC];
    if (!(heavy > 0)) return mdl_kv_count(u, MDL_KV_BUDGET);
    return (uint32_t)fmin(ceil(u->value[MDL_KV_RECENT] / (1 - heavy)), SIM_KV_ALL - 1.0);
}

/* As published, a score for every token kept, head and layer lives beside it; the port sums scores only while it
 * computes the prompt. */
static double h2o_token_bytes(const struct mdl_kv_use *u)
{
    double score = (double)MDL_FP32_BYTES * u->kv_heads * u->n_layers;
    return mdl_kv_token_bytes(u) + (mdl_kv_on(u, MDL_KV_EVICT_IN_DECODE) ? score : 0);
}

static double h2o_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    double dense = h2o_dense_frac(u);
    double kept = mdl_kv_kept_tokens(at, h2o_budget(u), mdl_kv_on(u, MDL_KV_EVICT_IN_DECODE));
    return h2o_token_bytes(u) * (dense * at.tokens + (1 - dense) * kept);
}

static void h2o_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    double dense = h2o_dense_frac(u), score = h2o_token_bytes(u) - mdl_kv_token_bytes(u);
    struct mdl_kv_part pages =
        mdl_kv_pages("pages", SIM_KV_GPU, (1 - dense) * mdl_kv_token_bytes(u), u->block_size);
    struct mdl_kv_part scores = mdl_kv_pages("scores", SIM_KV_GPU, (1 - dense) * score, u->block_size);
    pages.kept = scores.kept = true;
    *out = mdl_kv_keeps_all();
    out->budget = h2o_budget(u);
    out->evicts_in_decode = mdl_kv_on(u, MDL_KV_EVICT_IN_DECODE);
    out->dense_frac = dense;
    mdl_kv_add_part(out, pages);
    if (score > 0) mdl_kv_add_part(out, scores);
    if (dense > 0)
        mdl_kv_add_part(out, mdl_kv_pages("pages of heavy tokens", SIM_KV_GPU, dense * h2o_token_bytes(u),
                                          u->block_size));
    if (out->evicts_in_decode) out->select_after = out->budget;
}

/* Flash attention keeps no scores. A first pass over the keys finds each query's normaliser, a second its scores:
 * "two additional passes to load the data and one more step to compute the scores" (arXiv 2503.24000, 3.1).
 * All queries: half of the L x L pairs, summed in the kernel because nobody has room for them, chunk by chunk as the
 * prompt is computed. The last w: the port writes an fp32 [L, w, heads] buffer, and sums it. */
enum { H2O_PASSES = 2 };

static void h2o_score_pass(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    double window = u->value[MDL_KV_SCORE_WINDOW], keys = mdl_kv_token_bytes(u) / 2;
    double launches = (double)H2O_PASSES * u->n_layers;
    if (window > 0) {
        out->end.launches += launches;
        out->end_token.flops = H2O_PASSES * score_flops(u) * window;
        out->end_token.bytes = H2O_PASSES * keys + 2 * score_bytes(u) * window;
    } else {
        out->pair.flops = H2O_PASSES * score_flops(u);
        out->token = (struct mdl_work){.bytes = H2O_PASSES * keys, .launches = launches};
        out->end_token.bytes = score_bytes(u);
    }
}

/* Beside the passes: sum, top-k, compaction. Short prompts are scored, too: what they generate may exceed the budget, and
 * the port asks for scores whatever the length [code: models/llama.py]. */
static void h2o_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    double kept = (1 - h2o_dense_frac(u)) * h2o_budget(u);
    *out =
        (struct mdl_kv_prefill){.end = {.bytes = compaction_bytes(u, kept), .launches = 3.0 * u->n_layers}};
    h2o_score_pass(u, out);
    out->end_token.bytes += compaction_bytes(u, h2o_dense_frac(u));
}

/* Scores of the new query with every kept key, which the attention kernel does not give away, added to the sums, from
 * the first step on: who is to go when the budget is full depends on all that was summed before. Per kept token, which
 * are those that attention reads. */
static struct mdl_work h2o_upkeep(const struct mdl_kv_use *u)
{
    return (struct mdl_work){.flops = score_flops(u),
                             .bytes = mdl_kv_token_bytes(u) / 2 + 2 * score_bytes(u)};
}

/* Kernels: scores and sums; beyond the budget the least token of each head, which makes room. */
static void h2o_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    *out = mdl_kv_plain_decode("bf16", 1);
    if (!mdl_kv_on(u, MDL_KV_EVICT_IN_DECODE)) return;
    out->decode_efficiency = MDL_KV_DECODE_EFFICIENCY;
    out->all_token = h2o_upkeep(u);
    out->seq.launches = 2.0 * u->n_layers;
    out->select_seq.launches = u->n_layers;
}

static bool h2o_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    double heavy = u->value[MDL_KV_HEAVY_FRAC];
    if (heavy >= 1)
        return sim_fail(
            st, "kv.heavy_frac: %g keeps the whole context; expected less than 1, or strategy full", heavy);
    if (heavy > 0 && !(u->value[MDL_KV_RECENT] >= 1))
        return sim_fail(st, "kv.recent: 0 beside kv.heavy_frac; expected at least one token");
    return heavy > 0 || mdl_kv_check_budget(u, st);
}

/* clang-format off */
static const struct mdl_kv_default h2o_defaults[] = {
    {MDL_KV_BUDGET, 512, 256, 4096, "heavy 64 + recent 448: arXiv 2503.24000, A.3; its accuracy runs 256 to 2048"},
    {MDL_KV_RECENT, 448, 192, 2048, "arXiv 2503.24000, A.3"},
    {MDL_KV_HEAVY_FRAC, 0, 0, 0.2, "by budget, as arXiv 2503.24000; H2O itself: 10 % heavy + 10 % recent (arXiv 2306.14048). The share is taken of the whole context"},
    {MDL_KV_SCORE_WINDOW, 0, 0, 448, "all queries, as published; the LMDeploy port of arXiv 2503.24000: the last capacity - window, 64 [code]"},
    {MDL_KV_EVICT_IN_DECODE, 1, 0, 1, "as published; 0: the port drops at the end of the prompt only [code]"},
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE, MDL_GRAPH_NO, MDL_GRAPH_YES, "attention and its extra score pass outside; the host decides nothing"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_h2o = {
    .name = "h2o",
    .group = "drop, dynamic",
    .help = "the tokens with the largest summed attention scores, and the last ones",
    .source = "H2O, arXiv 2306.14048; sizes and port of arXiv 2503.24000, A.3",
    .flash = "no: an extra pass for the scores",
    .paged = "holes in every head, lengths not monotone",
    .fallback = "keeps every token where attention gives no scores",
    .defaults = h2o_defaults,
    .n_defaults = MDL_KV_N(h2o_defaults),
    .graph = MDL_GRAPH_PIECEWISE,
    .check = h2o_check,
    .gpu_bytes = h2o_gpu_bytes,
    .memory = h2o_memory,
    .prefill = h2o_prefill,
    .decode = h2o_decode,
};

/* ---- snapkv and pyramidkv: the prompt is cut to a budget once, what is generated comes on top ----
 * PyramidKV gives layers budgets that fall linearly from the first to the last. Its released code does so for prompts
 * of at least twice the mean budget, and gives every layer the mean to shorter ones (pyramidkv_utils.py): so over the
 * layers both keep min(prompt, mean) tokens a layer, at any length. */

static double snapkv_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return mdl_kv_token_bytes(u) * mdl_kv_kept_tokens(at, mdl_kv_count(u, MDL_KV_BUDGET), false);
}

static void snapkv_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    *out = mdl_kv_keeps_all();
    out->budget = mdl_kv_count(u, MDL_KV_BUDGET);
    mdl_kv_add_budgeted(u, u->block_size, out);
}

/* Last w queries x all keys, written as fp32, normalised and summed (7 kernels: product, softmax, sum, pooling, top-k,
 * K and V gathered); the sums are written, read to be pooled, written, read by top-k. */
static void snapkv_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    double window = u->value[MDL_KV_SCORE_WINDOW], budget = u->value[MDL_KV_BUDGET];
    *out = (struct mdl_kv_prefill){
        .end = {.bytes = compaction_bytes(u, budget), .launches = 7.0 * u->n_layers},
        .end_token = {.flops = score_flops(u) * window,
                      .bytes = mdl_kv_token_bytes(u) / 2 + (2 * window + 4) * score_bytes(u)},
        .end_after = mdl_kv_count(u, MDL_KV_BUDGET)};
}

static void snapkv_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    (void)u;
    *out = mdl_kv_plain_decode("bf16", 1);
}

static bool window_in(const struct mdl_kv_use *u, const char *of, double budget, struct sim_status *st)
{
    double window = u->value[MDL_KV_SCORE_WINDOW];
    if (!(window >= 1)) return sim_fail(st, "kv.score_window: 0 queries score nothing; expected at least 1");
    if (budget > window) return true;
    return sim_fail(
        st,
        "kv.budget: %s keeps %g tokens, expected more than the kv.score_window of %g, which is always kept",
        of, budget, window);
}

static bool snapkv_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    return window_in(u, "a layer", u->value[MDL_KV_BUDGET], st);
}

static bool pyramidkv_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    return window_in(u, "the last layer", floor(u->value[MDL_KV_BUDGET] * u->value[MDL_KV_PYRAMID_LOW]), st);
}

/* clang-format off */
static const struct mdl_kv_default snapkv_defaults[] = {
    {MDL_KV_BUDGET, 2048, 256, 4096, "arXiv 2404.14469"},
    {MDL_KV_SCORE_WINDOW, 32, 16, 64, "arXiv 2404.14469; its repository tests 64"},
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "decode is full's, on shorter sequences"},
};

static const struct mdl_kv_default pyramidkv_defaults[] = {
    {MDL_KV_BUDGET, 2048, 64, 4096, "mean of the layers; arXiv 2406.02069 uses 64 to 2048"},
    {MDL_KV_SCORE_WINDOW, 32, 8, 64, "as SnapKV; its repository's default 64 [code]"},
    {MDL_KV_PYRAMID_LOW, 0.05, 0.05, 1, "beta 20: the last layer has 1 / 20 of the mean, the first the rest of twice the mean [code]"},
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "decode is full's, on shorter sequences"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_snapkv = {
    .name = "snapkv",
    .group = "drop, dynamic",
    .help = "the tokens of the prompt that its last queries look at",
    .source = "SnapKV, arXiv 2404.14469",
    .flash = "yes, and a small product",
    .paged = "compaction when the prompt ends",
    .fallback = "keeps prompts that are not longer than the budget whole",
    .defaults = snapkv_defaults,
    .n_defaults = MDL_KV_N(snapkv_defaults),
    .graph = MDL_GRAPH_YES,
    .check = snapkv_check,
    .gpu_bytes = snapkv_gpu_bytes,
    .memory = snapkv_memory,
    .prefill = snapkv_prefill,
    .decode = snapkv_decode,
};

const struct mdl_strategy mdl_strategy_pyramidkv = {
    .name = "pyramidkv",
    .group = "drop, dynamic",
    .help = "SnapKV with more tokens in the first layers and fewer in the last",
    .source = "PyramidKV, arXiv 2406.02069",
    .flash = "yes, and a small product",
    .paged = "a page table per layer",
    .fallback = "keeps prompts that are not longer than the mean budget whole",
    .defaults = pyramidkv_defaults,
    .n_defaults = MDL_KV_N(pyramidkv_defaults),
    .graph = MDL_GRAPH_YES,
    .check = pyramidkv_check,
    .gpu_bytes = snapkv_gpu_bytes,
    .memory = snapkv_memory,
    .prefill = snapkv_prefill,
    .decode = snapkv_decode,
};

/* ---- raas: a budget of pages, of which the one goes that mattered last the longest ago ---- */

static double raas_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    double kept = mdl_kv_kept_tokens(at, mdl_kv_count(u, MDL_KV_BUDGET), true);
    return (mdl_kv_token_bytes(u) + mdl_kv_digest_bytes(u)) * kept;
}

static void raas_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    *out = mdl_kv_keeps_all();
    out->budget = out->select_after = mdl_kv_count(u, MDL_KV_BUDGET);
    out->evicts_in_decode = true;
    mdl_kv_add_budgeted(u, mdl_kv_count(u, MDL_KV_PAGE), out);
    mdl_kv_add_digests(u, true, out);
}

/* Where a prompt is longer than the budget its top pages by the last query stay: estimate, top-k, page table. */
static void raas_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    *out = (struct mdl_kv_prefill){.token = mdl_kv_digest_build(u),
                                   .end = {.launches = 3.0 * u->n_layers},
                                   .end_token = mdl_kv_digest_score(u),
                                   .end_after = mdl_kv_count(u, MDL_KV_BUDGET)};
}

/* Every kept page is estimated and its timestamp read and written, two kernels a layer, from the first step on; every
 * `page` steps a page fills up, has its digest made and, beyond the budget, makes another go. */
static void raas_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double page = u->value[MDL_KV_PAGE];
    *out = mdl_kv_plain_decode("bf16", 1);
    out->decode_efficiency = MDL_KV_DECODE_EFFICIENCY;
    mdl_kv_keep_digests(u, out);
    out->seq.launches += 2.0 * u->n_layers;
    out->all_token = mdl_kv_digest_score(u);
    out->all_token.bytes += 2.0 * MDL_FP32_BYTES * u->kv_heads * u->n_layers / page;
    out->select_seq.launches = u->n_layers / page;
}

/* clang-format off */
static const struct mdl_kv_default raas_defaults[] = {
    {MDL_KV_BUDGET, 2048, 512, 4096, "FreeKV's comparison, arXiv 2505.13109; alpha 0.02, which says what matters, moves no byte"},
    {MDL_KV_PAGE, 16, 16, 32, "Quest's page, whose kernels RaaS uses [mem]; FreeKV's comparison 32"},
    MDL_KV_FEWER_PAGES,
    MDL_KV_SCORE_EFFICIENCY,
    {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE, MDL_GRAPH_NO, MDL_GRAPH_YES, "the page table changes on the GPU, beside attention"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_raas = {
    .name = "raas",
    .group = "drop, dynamic",
    .help = "a budget of pages; the page that mattered last the longest ago goes",
    .source = "RaaS, arXiv 2502.11147; as in FreeKV's comparison, arXiv 2505.13109",
    .flash = "yes",
    .paged = "yes",
    .fallback = "keeps every page while the sequence is within the budget",
    .defaults = raas_defaults,
    .n_defaults = MDL_KV_N(raas_defaults),
    .graph = MDL_GRAPH_PIECEWISE,
    .check = mdl_kv_check_budget,
    .gpu_bytes = raas_gpu_bytes,
    .memory = raas_memory,
    .prefill = raas_prefill,
    .decode = raas_decode,
};
