/* Keys and values at rank r. On each layer the keys of a sequence are a matrix [L][D], D = kv_heads x head_dim, and so
 * are its values; each becomes [L][r] x [r][D] when the prompt is complete. A generated token is projected on the same
 * r directions. Attention needs keys and values as they were, so a decode step rebuilds them: two products of 2 L r D
 * flops a layer, which is what this strategy pays for its bytes. */
#include "models/strategies/list.h"

#include <math.h>

#include "models/strategies/pages.h"
#include "models/strategies/parts.h"

enum {
    FACTOR_BYTES = 2,
    LOOPS = 2, /* of randomised subspace iteration; 2 to 3 in GEAR's and in our own kernels */
};

static double width(const struct mdl_kv_use *u)
{
    return (double)u->kv_heads * u->head_dim;
}

static double rank_of(const struct mdl_kv_use *u)
{
    return ceil(u->value[MDL_KV_RANK_FRAC] * width(u) - 1e-9);
}

/* Keys and values of every layer: so many matrices. */
static double matrices(const struct mdl_kv_use *u)
{
    return 2.0 * u->n_layers;
}

static bool is_fused(const struct mdl_kv_use *u)
{
    return mdl_kv_on(u, MDL_KV_FUSED);
}

/* ---- memory ---- */

static double row_bytes(const struct mdl_kv_use *u)
{
    return matrices(u) * rank_of(u) * FACTOR_BYTES;
}

/* The directions, [r][D] of each matrix. */
static double basis_bytes(const struct mdl_kv_use *u)
{
    return matrices(u) * rank_of(u) * width(u) * FACTOR_BYTES;
}

/* Unfused, a layer's keys and values are rebuilt into a buffer, and attention reads them there. */
static double rebuilt_bytes(const struct mdl_kv_use *u)
{
    return is_fused(u) ? 0 : mdl_kv_token_bytes(u) / u->n_layers;
}

/* A prompt's chunks read each other's keys and values in bf16 until the last one is done. */
static double lowrank_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    bool filling = at.tokens < at.filled;
    return basis_bytes(u) + (row_bytes(u) + rebuilt_bytes(u)) * at.tokens +
           (filling ? mdl_kv_token_bytes(u) * at.tokens : 0);
}

static void lowrank_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    struct mdl_kv_part prompt = mdl_kv_pages("prompt", SIM_KV_GPU, mdl_kv_token_bytes(u), u->block_size),
                       basis = mdl_kv_pages("directions", SIM_KV_GPU, basis_bytes(u), 1);
    prompt.fill = true;
    basis.cap = 1;
    *out = mdl_kv_keeps_all();
    mdl_kv_add_part(out, mdl_kv_pages("low-rank rows", SIM_KV_GPU, row_bytes(u), u->block_size));
    mdl_kv_add_part(out, basis);
    mdl_kv_add_part(out, prompt);
    if (!is_fused(u))
        mdl_kv_add_part(out, mdl_kv_pages("rebuilt layer", SIM_KV_GPU, rebuilt_bytes(u), u->block_size));
}

/* ---- time ---- */

/* Randomised subspace iteration on x [L][D]: z = orth(x' x z) LOOPS times, then x z: 2 LOOPS + 1 products that each
 * read x, and LOOPS times 2 D r r flops to orthonormalise. */
static void lowrank_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    double products = 2 * LOOPS + 1, r = rank_of(u);
    *out = (struct mdl_kv_prefill){.end = {.flops = matrices(u) * LOOPS * 2 * width(u) * r * r,
                                           .launches = matrices(u) * (products + LOOPS)},
                                   .end_token = {.flops = matrices(u) * products * 2 * width(u) * r,
                                                 .bytes = mdl_kv_token_bytes(u) * products + row_bytes(u)}};
}

/* A new token is projected (2 D r flops a matrix); every token is rebuilt. The directions are read for both. */
static void lowrank_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double product = matrices(u) * 2 * width(u) * rank_of(u);
    bool fused = is_fused(u);
    *out = fused ? mdl_kv_plain_decode("lowrank", rank_of(u) / width(u)) : mdl_kv_plain_decode("bf16", 1);
    out->decode_efficiency = MDL_KV_DECODE_EFFICIENCY;
    out->seq = (struct mdl_work){
        .flops = product, .bytes = 2 * basis_bytes(u), .launches = matrices(u) * (fused ? 1 : 2)};
    out->all_token.flops = product;
    if (!fused) out->all_token.bytes = row_bytes(u) + mdl_kv_token_bytes(u);
}

static bool lowrank_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    if (rank_of(u) >= 1) return true;
    return sim_fail(st, "kv.rank_frac: %g leaves no rank of %g; choose more than 0",
                    u->value[MDL_KV_RANK_FRAC], width(u));
}

/* clang-format off */
static const struct mdl_kv_default lowrank_defaults[] = {
    {MDL_KV_RANK_FRAC, 0.5, 0.156, 0.7, "Palu, arXiv 2407.21118: half the cache with strong accuracy; low: ShadowKV, rank 160 of 1024 (keys only); high: our choice"},
    {MDL_KV_FUSED, 0, 0, 1, "ShadowKV rebuilds by a product before attention; Palu fuses it (1)"},
    {MDL_KV_KERNEL_EFFICIENCY, 1, 0.5, 1, "unfused, attention is full's own; fused: our choice, no measurement was found"},
    {MDL_KV_PREFILL_EFFICIENCY, 0.5, 0.0625, 0.75, "our choice for bf16 products of this size; high: what large products reach [mem]; low: in fp32, A100 19.5 of 312 TFLOP/s"},
    {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE, MDL_GRAPH_NO, MDL_GRAPH_PIECEWISE, "the shapes of what is rebuilt follow the contexts; the rest is captured"},
};
/* clang-format on */

const struct mdl_strategy mdl_strategy_lowrank = {
    .name = "lowrank",
    .group = "low rank",
    .help = "keys and values at rank r: decomposed after the prompt, rebuilt in every step",
    .source = "Palu, arXiv 2407.21118; ShadowKV, arXiv 2410.21465",
    .flash = "yes, on what is rebuilt",
    .paged = "yes, other page sizes",
    .fallback = "bf16 KV: no engine ships it",
    .defaults = lowrank_defaults,
    .n_defaults = MDL_KV_N(lowrank_defaults),
    .graph = MDL_GRAPH_PIECEWISE,
    .check = lowrank_check,
    .gpu_bytes = lowrank_gpu_bytes,
    .memory = lowrank_memory,
    .prefill = lowrank_prefill,
    .decode = lowrank_decode,
};
