/* Strategies that keep every token in fewer bits: one page type whose tokens are scaled one by one (fp8, int8, int4),
 * and two page types, quantised ones behind a window in bf16 (KIVI, and GEAR, which corrects KIVI's error). */
#include "models/strategies/list.h"

#include <math.h>

#include "models/strategies/pages.h"
#include "models/strategies/parts.h"

enum { PAIR_BYTES = 4 }; /* scale and minimum, fp16 each */

/* ---- fp8, int8, int4 ---- */

/* Keys, or values, of one token's head. fp8: one scale per tensor, which costs nothing per token. */
static double head_bytes(const struct mdl_kv_use *u)
{
    if (u->strategy == &mdl_strategy_fp8) return u->head_dim;
    double bits = u->strategy == &mdl_strategy_int8 ? 8 : 4;
    return u->head_dim * bits / 8 + PAIR_BYTES;
}

static double flat_token_bytes(const struct mdl_kv_use *u)
{
    return 2.0 * u->n_layers * u->kv_heads * head_bytes(u);
}

static double flat_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return flat_token_bytes(u) * at.tokens;
}

static void flat_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    *out = mdl_kv_keeps_all();
    mdl_kv_add_part(out, mdl_kv_pages("pages", SIM_KV_GPU, flat_token_bytes(u), u->block_size));
}

/* The kernel that appends also quantises, and writes less than it would in bf16: no extra work. */
static void flat_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    *out = mdl_kv_plain_decode(u->strategy->name, flat_token_bytes(u) / mdl_kv_token_bytes(u));
}

/* clang-format off */
static const struct mdl_kv_default fp8_defaults[] = {
    {MDL_KV_KERNEL_EFFICIENCY, 0.72, 0.39, 1, "FlashAttention 3 in vLLM on H200: 0.62 of 0.86 of the bandwidth at 0.26-1 GB [data]; low: FlashInfer on H20, bf16 queries, 1.29x slower at half the bytes (flashinfer#1753)"},
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "as full: the same kernels on another type"},
};

static const struct mdl_kv_default int8_defaults[] = {
    {MDL_KV_KERNEL_EFFICIENCY, 0.72, 0.39, 0.9, "as fp8: bytes to convert; high: the aim of our own kernel, 0.85 of 0.95"},
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "as full: the same kernels on another type"},
};

static const struct mdl_kv_default int4_defaults[] = {
    {MDL_KV_KERNEL_EFFICIENCY, 0.5, 0.35, 0.8, "between the KIVI-4 port (0.37 [data]; and LMDeploy's int4 is not slower than its int8: at least 0.37) and our own kernel's floor, 0.60 of 0.90"},
    {MDL_KV_GRAPH, MDL_GRAPH_YES, MDL_GRAPH_NO, MDL_GRAPH_YES, "as full: the same kernels on another type"},
};
/* clang-format on */

#define LMDEPLOY                                                                                             \
    "LMDeploy, kv_quant.md: asymmetric per head and token; requests/s x1.27 (int8), x1.39 (int4) on "        \
    "Llama-2-7B"

const struct mdl_strategy mdl_strategy_fp8 = {
    .name = "fp8",
    .group = "quantise",
    .help = "e4m3 with one scale per tensor, half the bytes",
    .source = "vLLM and TensorRT-LLM; decode +0.4 to 5.5 % on A100 (vllm#42058)",
    .flash = "yes",
    .paged = "yes",
    .fallback = "bf16 KV where the attention backend has no fp8",
    .defaults = fp8_defaults,
    .n_defaults = MDL_KV_N(fp8_defaults),
    .graph = MDL_GRAPH_YES,
    .gpu_bytes = flat_gpu_bytes,
    .memory = flat_memory,
    .decode = flat_decode,
};

const struct mdl_strategy mdl_strategy_int8 = {
    .name = "int8",
    .group = "quantise",
    .help = "8 bits, scale and minimum per head and token",
    .source = LMDEPLOY,
    .flash = "yes, fused",
    .paged = "yes, with scales",
    .fallback = "bf16 KV where the engine has no such kernel",
    .defaults = int8_defaults,
    .n_defaults = MDL_KV_N(int8_defaults),
    .graph = MDL_GRAPH_YES,
    .gpu_bytes = flat_gpu_bytes,
    .memory = flat_memory,
    .decode = flat_decode,
};

const struct mdl_strategy mdl_strategy_int4 = {
    .name = "int4",
    .group = "quantise",
    .help = "4 bits, scale and minimum per head and token",
    .source = LMDEPLOY,
    .flash = "yes, fused",
    .paged = "yes, with scales",
    .fallback = "bf16 KV where the engine has no such kernel",
    .defaults = int4_defaults,
    .n_defaults = MDL_KV_N(int4_defaults),
    .graph = MDL_GRAPH_YES,
    .gpu_bytes = flat_gpu_bytes,
    .memory = flat_memory,
    .decode = flat_decode,
};

/* ---- KIVI: keys per channel over `group` tokens, values per token over `group` channels ----
 * Keys wait in a window until `residual` R of them are there and are quantised together: L mod R of them wait. Values
 * are quantised one by one as they leave a window of R: min(L, R) of them wait. R = 0: nothing waits. */

static double code_bytes(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_BITS] / 8 + PAIR_BYTES / u->value[MDL_KV_GROUP];
}

static uint32_t residual(const struct mdl_kv_use *u)
{
    return mdl_kv_count(u, MDL_KV_RESIDUAL);
}

/* ---- GEAR: beside KIVI's codes, outliers, and their error at low rank: one pair of factors for each R tokens ---- */

enum {
    OUTLIER_BYTES = 6, /* value in fp16, index in 32 bits */
    FACTOR_BYTES = 2,
    GEAR_LOOPS = 3, /* of the power iteration: --loop 3 in the released commands; 2 to 3 elsewhere */
};

/* Without rank and outliers nothing is corrected, and what is left is KIVI. */
static bool is_gear(const struct mdl_kv_use *u)
{
    return mdl_kv_on(u, MDL_KV_RANK_FRAC) || mdl_kv_on(u, MDL_KV_OUTLIER);
}

/* Rank of one head's error over one chunk. */
static double gear_rank(const struct mdl_kv_use *u)
{
    return ceil(u->value[MDL_KV_RANK_FRAC] * u->head_dim - 1e-9);
}

/* Tokens that are decomposed together. */
static double gear_chunk(const struct mdl_kv_use *u)
{
    return residual(u) ? residual(u) : u->value[MDL_KV_PAGE];
}

/* What a token's head has beside its codes: its row of one factor, its share of the other, its outliers. */
static double gear_head_bytes(const struct mdl_kv_use *u)
{
    if (!is_gear(u)) return 0;
    return gear_rank(u) * FACTOR_BYTES * (1 + u->head_dim / gear_chunk(u)) +
           u->value[MDL_KV_OUTLIER] * u->head_dim * OUTLIER_BYTES;
}

/* ---- what both hold ---- */

/* Keys, or values, of one quantised token over the rank's layers and heads; and of one in the window. */
static double packed_bytes(const struct mdl_kv_use *u)
{
    return (double)u->n_layers * u->kv_heads * (u->head_dim * code_bytes(u) + gear_head_bytes(u));
}

static double window_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_token_bytes(u) / 2;
}

static double kivi_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    uint32_t r = residual(u), keys = r ? at.tokens % r : 0, values = at.tokens < r ? at.tokens : r;
    double waiting = (double)keys + values;
    return packed_bytes(u) * (2.0 * at.tokens - waiting) + window_bytes(u) * waiting;
}

/* Quantised keys come R tokens at a time, quantised values page by page behind the window; the window's pages, for
 * keys and values, stay with the sequence once they are full, also while few keys wait in them. */
static void kivi_memory(const struct mdl_kv_use *u, struct mdl_kv_memory *out)
{
    uint32_t r = residual(u), page = mdl_kv_count(u, MDL_KV_PAGE);
    struct mdl_kv_part keys = mdl_kv_pages("quantised keys", SIM_KV_GPU, packed_bytes(u), r ? r : page),
                       values = mdl_kv_pages("quantised values", SIM_KV_GPU, packed_bytes(u), page),
                       window = mdl_kv_pages("residual window", SIM_KV_GPU, 2 * window_bytes(u), page);
    keys.whole = r > 0;
    values.start = r;
    window.cap = r;
    *out = mdl_kv_keeps_all();
    mdl_kv_add_part(out, keys);
    mdl_kv_add_part(out, values);
    if (r) mdl_kv_add_part(out, window);
}

/* ---- prefill ---- */

/* Quantising a token's keys and values: fused, one kernel each that reads bf16 and writes codes. The released code has
 * three Triton kernels each: minima and maxima, packing, and for keys a transpose. */
static struct mdl_work pack_token(const struct mdl_kv_use *u)
{
    double n = mdl_kv_side_elements(u), code = code_bytes(u);
    if (mdl_kv_on(u, MDL_KV_FUSED))
        return (struct mdl_work){.bytes = n * 2 * (2 + code), .launches = 2.0 * u->n_layers};
    return (struct mdl_work){.bytes = n * (4 + 2 * (2 + 2 + code)), .launches = 6.0 * u->n_layers};
}

/* GEAR for a token's keys and values: choose the outliers (read bf16), form the error (read bf16, write fp32), then in
 * each loop multiply by it from both sides (read fp32 twice); in the last one orthonormalise both factors. */
static struct mdl_work correct_token(const struct mdl_kv_use *u)
{
    if (!is_gear(u)) return (struct mdl_work){0};
    double d = u->head_dim, rank = gear_rank(u), heads = 2.0 * u->n_layers * u->kv_heads;
    double products = GEAR_LOOPS * 4 * d * rank, orthonormal = 2 * (1 + d / gear_chunk(u)) * rank * rank;
    return (struct mdl_work){.flops = heads * (products + orthonormal),
                             .bytes = heads * d * (2 + 2 + 4 + GEAR_LOOPS * 2 * 4),
                             .launches = 2.0 * u->n_layers * (1 + 1 + GEAR_LOOPS * 2 + 2)};
}

static void kivi_prefill(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    *out = (struct mdl_kv_prefill){.token = mdl_work_sum(pack_token(u), correct_token(u))};
}

/* ---- decode ---- */

/* Launches a layer that the released code needs beyond a fused kernel and its combine: GEMV and matmul for quantised
 * and for waiting keys, concatenation, softmax, the same two for values, a sum; and two reallocations. */
enum { UNFUSED_LAUNCHES = 7 - 2 + 2, SCORE_PASSES = 6, SCORE_BYTES = 4 };

static const char *kivi_kernel(const struct mdl_kv_use *u)
{
    double bits = u->value[MDL_KV_BITS];
    if (!mdl_kv_on(u, MDL_KV_FUSED)) return "unfused";
    return bits == 2 ? "kivi2" : bits == 4 ? "kivi4" : "kivi8";
}

/* Tokens that wait in the window, keys plus values, on average over a flush. */
static double mean_waiting(const struct mdl_kv_use *u)
{
    double r = residual(u);
    return r > 0 ? r + (r - 1) / 2 : 0;
}

/* The window in tokens of both sides. */
static double plain_tokens(const struct mdl_kv_use *u)
{
    return mean_waiting(u) / 2;
}

/* A step packs one token; its launches: values every step, keys and corrections when R of one sequence wait. */
static struct mdl_work pack_step(const struct mdl_kv_use *u)
{
    struct mdl_work pack = pack_token(u), correct = correct_token(u), sum = mdl_work_sum(pack, correct);
    sum.launches = pack.launches / 2 + (pack.launches / 2 + correct.launches) / gear_chunk(u);
    return sum;
}

/* Scores pass through memory, and the reference code copies the whole cache: values every step, keys every flush. */
static struct mdl_work unfused_token(const struct mdl_kv_use *u)
{
    double scores = (double)u->n_layers * u->q_heads * SCORE_BYTES * SCORE_PASSES;
    double copies = 2 * mdl_kv_side_elements(u) * code_bytes(u) * (1 + 1 / gear_chunk(u));
    return (struct mdl_work){.bytes = scores + copies};
}

/* q K = q codes + (q b) a + q outliers, and for values alike: two thin products and a sparse one, each for K and V. */
static struct mdl_work gear_token(const struct mdl_kv_use *u)
{
    if (!is_gear(u)) return (struct mdl_work){0};
    double d = u->head_dim, products = gear_rank(u) * (1 + d / gear_chunk(u)) + u->value[MDL_KV_OUTLIER] * d;
    return (struct mdl_work){.flops = 2.0 * u->n_layers * u->q_heads * 2 * products,
                             .bytes = 2.0 * u->n_layers * u->kv_heads * gear_head_bytes(u)};
}

static void kivi_decode(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    bool fused = mdl_kv_on(u, MDL_KV_FUSED);
    *out = mdl_kv_plain_decode(kivi_kernel(u), code_bytes(u) / 2);
    out->plain_tokens = plain_tokens(u);
    out->seq = pack_step(u);
    out->all_token = gear_token(u);
    out->seq.bytes =
        fmax(0, out->seq.bytes - plain_tokens(u) * out->all_token.bytes); /* none in the window */
    if (is_gear(u)) out->seq.launches += 2.0 * u->n_layers * 3;
    if (fused) return;
    out->all_token = mdl_work_sum(out->all_token, unfused_token(u));
    out->seq.launches += (double)u->n_layers * UNFUSED_LAUNCHES;
}

/* ---- what contradicts ---- */

static bool kivi_check(const struct mdl_kv_use *u, struct sim_status *st)
{
    double bits = u->value[MDL_KV_BITS];
    uint32_t group = mdl_kv_count(u, MDL_KV_GROUP), page = mdl_kv_count(u, MDL_KV_PAGE), r = residual(u);
    if (bits != 2 && bits != 4 && bits != 8)
        return sim_fail(st, "kv.bits: %g is no width that is packed; choose 2, 4 or 8", bits);
    if (u->head_dim % group)
        return sim_fail(st, "kv.group: %u does not divide the model's head_dim of %u; choose a divisor",
                        group, u->head_dim);
    if (page % group)
        return sim_fail(st,
                        "kv.page: %u is no multiple of kv.group %u, and keys share scales over whole groups "
                        "of tokens; choose %u",
                        page, group, (page / group + 1) * group);
    if (r % page)
        return sim_fail(st, "kv.residual: %u is no multiple of kv.page %u; choose %u or %u", r, page,
                        r / page * page, (r / page + 1) * page);
    return true;
}

/* clang-format off */
#define KIVI "KIVI, arXiv 2402.02750"
#define PORT "LMDeploy port of arXiv 2503.24000"
#define KIVI_ROWS(bits) \
    {MDL_KV_BITS, bits, 2, 8, KIVI ": 2 and 4"}, \
    {MDL_KV_GROUP, 32, 32, 64, KIVI "; arXiv 2503.24000 A.3; 64 in GEAR's released commands [code]"}, \
    {MDL_KV_RESIDUAL, 128, 32, 128, KIVI "; arXiv 2503.24000 A.3; 32 in configurations for KIVI's released code [code]"}, \
    {MDL_KV_PAGE, 64, 32, 64, PORT ": block_size 64 [code]"}, \
    {MDL_KV_FUSED, 1, 0, 1, PORT ": one kernel over two page types; the released repository is unfused [code]"}, \
    {MDL_KV_GRAPH, MDL_GRAPH_PIECEWISE, MDL_GRAPH_NO, MDL_GRAPH_PIECEWISE, "packing and flushing happen in some steps only, with attention over two page types between"}
#define KIVI4_RATE {MDL_KV_KERNEL_EFFICIENCY, 0.37, 0.33, 1, PORT ", A6000: steps of 8K KV tokens and more take the fp16 ones' time within 2 %, at a third of the bytes (median of 11 points) [data]; high: BitDecoding, arXiv 2503.18773"}
#define KIVI2_RATE {MDL_KV_KERNEL_EFFICIENCY, 0.22, 0.2, 1, "never measured alone [calc]; 0.37 x 3/5, for conversion binds the 4-bit kernel and not bytes; high: BitDecoding, arXiv 2503.18773"}
#define GEAR "GEAR, arXiv 2403.05527"
#define GEAR_ROWS \
    {MDL_KV_OUTLIER, 0.02, 0, 0.05, GEAR ": 2 %; arXiv 2503.24000 A.3"}, \
    {MDL_KV_RANK_FRAC, 0.02, 0.0156, 0.0313, "arXiv 2503.24000 A.3: 2 %; " GEAR "'s released commands: 2 (outputs) and 4 (prompts) of 128 [code]"}, \
    {MDL_KV_PREFILL_EFFICIENCY, 0.0625, 0.02, 0.25, "fp32 beside bf16 matrices by datasheets: A100 19.5 of 312, A6000 38.7 of 154.8, H100 67 of 989 TFLOP/s"}

#define GEAR4_RATE {MDL_KV_KERNEL_EFFICIENCY, 0.37, 0.33, 1, "as kivi4, for the codes; the released port has no kernel of GEAR's own"}
#define GEAR2_RATE {MDL_KV_KERNEL_EFFICIENCY, 0.22, 0.2, 1, "as kivi2, for the codes; the released port has no kernel of GEAR's own"}

static const struct mdl_kv_default kivi4_defaults[] = {KIVI_ROWS(4), KIVI4_RATE};
static const struct mdl_kv_default kivi2_defaults[] = {KIVI_ROWS(2), KIVI2_RATE};
static const struct mdl_kv_default gear4_defaults[] = {KIVI_ROWS(4), GEAR4_RATE, GEAR_ROWS};
static const struct mdl_kv_default gear2_defaults[] = {KIVI_ROWS(2), GEAR2_RATE, GEAR_ROWS};
/* clang-format on */

/* What KIVI and GEAR of any width have in common. */
/* clang-format off */
#define PACKED                                                                                               \
    .group = "quantise", .paged = "two page types", .fallback = "bf16 KV: no engine ships it",               \
    .graph = MDL_GRAPH_PIECEWISE, .check = kivi_check, .gpu_bytes = kivi_gpu_bytes, .memory = kivi_memory,   \
    .prefill = kivi_prefill, .decode = kivi_decode
/* clang-format on */

const struct mdl_strategy mdl_strategy_kivi4 = {
    .name = "kivi4",
    .help = "4 bits, keys per channel and values per token, behind a window in bf16",
    .source = KIVI,
    .flash = "prefill only; decode by its own kernels",
    .defaults = kivi4_defaults,
    .n_defaults = MDL_KV_N(kivi4_defaults),
    PACKED,
};

const struct mdl_strategy mdl_strategy_kivi2 = {
    .name = "kivi2",
    .help = "2 bits, keys per channel and values per token, behind a window in bf16",
    .source = KIVI,
    .flash = "prefill only; decode by its own kernels",
    .defaults = kivi2_defaults,
    .n_defaults = MDL_KV_N(kivi2_defaults),
    PACKED,
};

const struct mdl_strategy mdl_strategy_gear4 = {
    .name = "gear4",
    .help = "KIVI in 4 bits, outliers apart, the rest of its error at low rank",
    .source = GEAR,
    .flash = "no",
    .defaults = gear4_defaults,
    .n_defaults = MDL_KV_N(gear4_defaults),
    PACKED,
};

const struct mdl_strategy mdl_strategy_gear2 = {
    .name = "gear2",
    .help = "KIVI in 2 bits, outliers apart, the rest of its error at low rank",
    .source = GEAR,
    .flash = "no",
    .defaults = gear2_defaults,
    .n_defaults = MDL_KV_N(gear2_defaults),
    PACKED,
};
