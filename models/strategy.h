/* A KV strategy as plain physics: how many bytes a sequence of L tokens holds where, what its prefill costs beside
 * a plain one, what a decode step reads, selects and moves. One table of functions per strategy, one file per
 * family in models/strategies/; the functions fill in the descriptions below from parameters and shapes, and know
 * nothing of time: models/kvcost.c prices them, models/kvrule.c turns memory into pages. All figures are of one
 * rank (KV heads / TP) and its layers. Formulas, defaults and ranges carry their source; models/strategies/README.md
 * lists them. To add one: a function table, a line in strategies/list.c, a closed form in tests/test_strategies_*.c. */
#ifndef KVSIM_MODELS_STRATEGY_H
#define KVSIM_MODELS_STRATEGY_H

#include "models/arch.h"
#include "sim/kv.h"
#include "sim/recall.h"

/* Every parameter of every strategy: symbol, key below `kv.`, type, unit, least, most, words, help. A strategy takes
 * those that its table lists. Types: COUNT, REAL, FLAG, CHOICE (words in order of their values). */
/* clang-format off */
#define MDL_KV_KEYS(X)                                                                                               \
    X(BUDGET, "budget", COUNT, "tokens", 1, 16777216, "tokens that decode attention may read of a sequence, sink and recent ones included") \
    X(SINK, "sink", COUNT, "tokens", 0, 1048576, "first tokens, always kept")                                         \
    X(RECENT, "recent", COUNT, "tokens", 0, 1048576, "last tokens, always kept")                                      \
    X(PAGE, "page", COUNT, "tokens", 1, 4096, "tokens of a page that is selected, quantised or moved as a whole")     \
    X(BITS, "bits", COUNT, "bits", 2, 8, "width of a quantised element: 2, 4 or 8")                                   \
    X(GROUP, "group", COUNT, "elements", 8, 1024, "elements that share a scale and a zero point")                     \
    X(RESIDUAL, "residual", COUNT, "tokens", 0, 65536, "last tokens kept in bf16 beside the quantised ones")          \
    X(OUTLIER, "outlier_frac", REAL, "share", 0, 0.5, "elements kept apart, with their index")                        \
    X(RANK, "rank", COUNT, "", 1, 65536, "rank of the low-rank part")                                                 \
    X(RANK_FRAC, "rank_frac", REAL, "share", 0, 1, "rank of the low-rank part as a share of head_dim (gear) or of kv_heads x head_dim (lowrank)") \
    X(HEAVY_FRAC, "heavy_frac", REAL, "share", 0, 1, "heavy hitters kept, as a share of the context; 0 = by budget")   \
    X(SCORE_WINDOW, "score_window", COUNT, "tokens", 0, 16777216, "last queries whose attention scores are summed in prefill; 0 = all") \
    X(EVICT_IN_DECODE, "evict_in_decode", FLAG, "", 0, 1, "the budget holds while decoding, as published; else the cache grows by what is generated, as in production ports") \
    X(FULL_HEADS, "full_heads_frac", REAL, "share", 0, 1, "heads that keep and read everything")                      \
    X(SKIP_LAYERS, "skip_layers", COUNT, "layers", 0, 1024, "first layers that keep and read everything")             \
    X(PYRAMID_LOW, "pyramid_low_frac", REAL, "share", 0.01, 1, "budget of the last layer as a share of the mean; the first layer has what is left over") \
    X(PARTIAL_FRAC, "partial_frac", REAL, "share", 0.01, 1, "share of the key's columns kept on the GPU to score with") \
    X(FETCH_FRAC, "fetch_frac", REAL, "share", 0, 1, "share of the context that a step fetches")                       \
    X(CHUNK, "chunk", COUNT, "tokens", 1, 4096, "tokens that share a landmark")                                       \
    X(COLD_BITS, "cold_bits", COUNT, "bits", 2, 16, "width of cold pages: 2, 4, 8, or 16 for as they are")            \
    X(COLD_ON_HOST, "cold_on_host", FLAG, "", 0, 1, "cold pages lie on the host and are fetched; else on the GPU")    \
    X(HOT_FRAC, "hot_frac", REAL, "share", 0, 1, "share of the older pages that stays hot beside the recent ones")    \
    X(BY_LAYER, "layer_ahead", FLAG, "", 0, 1, "layers are fetched one ahead of the computation; else all at the layer")  \
    X(PICK, "pick", CHOICE, "copies|kernel|cpu", 0, 2, "how scattered pieces come up: a copy each; read by a kernel from mapped host memory; collected by the CPU into one block") \
    X(SPECULATIVE, "speculative_retrieval", FLAG, "", 0, 1, "recall for the next step beside this one; else on the critical path") \
    X(TAU, "correction_tau", REAL, "", 0, 1, "similarity of a head's query to the last step's below which it is corrected; 0 = never") \
    X(LAYOUT, "layout", CHOICE, "nhd|hnd|hybrid", 0, 2, "pages: nhd on GPU and host, hnd on both, hybrid: nhd on the GPU, hnd on the host") \
    X(DOUBLE_BUFFER, "double_buffer", FLAG, "", 0, 1, "convert a page while the next one is copied")                  \
    X(PREFETCH, "prefetch_pages", COUNT, "pages", 0, 65536, "pages fetched beyond those selected")                    \
    X(CORRECT_EVERY, "correction_every", COUNT, "steps", 1, 1024, "steps between checks for corrections")             \
    X(POLICY, "policy", CHOICE, "static|adaptive", 0, 1, "adaptive: each batch takes the fastest of 0 to prefetch_pages (0: of as many as are selected) and of fewer checks") \
    X(MISS, "miss_rate", REAL, "share", 0, 1, "selected pages that are not on the GPU")                               \
    X(CORRECTION, "correction_rate", REAL, "share", 0, 1, "layer checks that find a head to correct")                 \
    X(CORRECT_HEADS, "corrected_heads_frac", REAL, "share", 0, 1, "heads fetched again in a corrected layer")         \
    X(MISS_CV, "miss_spread", REAL, "", 0, 5, "coefficient of variation of a step's miss rate")                       \
    X(CORRECTION_CV, "correction_spread", REAL, "", 0, 5, "coefficient of variation of a step's correction rate")     \
    X(DRAWS, "draws", CHOICE, "mean|step", 0, 1, "rates are taken as means, or drawn anew for every step")            \
    X(KERNEL_EFFICIENCY, "kernel_efficiency", REAL, "", 0.01, 4, "decode attention's byte rate over the full kernel's, where none was measured") \
    X(PREFILL_EFFICIENCY, "prefill_efficiency", REAL, "", 0.001, 1, "share of the matrix rate that extra prefill work reaches") \
    X(FUSED, "fused", FLAG, "", 0, 1, "dequantisation inside the attention kernel; else kernels of their own")        \
    X(GRAPH, "graph", CHOICE, "no|piecewise|yes", 0, 2, "CUDA graphs that the strategy allows")

/* clang-format on */

#define MDL_KV_ENUM(sym, ...) MDL_KV_##sym,
enum mdl_kv_key { MDL_KV_KEYS(MDL_KV_ENUM) MDL_N_KV_KEY };
#undef MDL_KV_ENUM

enum mdl_kv_type { MDL_KV_COUNT, MDL_KV_REAL, MDL_KV_FLAG, MDL_KV_CHOICE };
struct mdl_kv_key_info {
    const char *name; /* budget: the scenario says kv.budget */
    enum mdl_kv_type type;
    const char *unit; /* of a choice: its words, joined by | */
    double least, most;
    const char *help;
};
const struct mdl_kv_key_info *mdl_kv_key_info(enum mdl_kv_key key);

/* A strategy's own default, the range in which sources lie (low..high), and who says so. */
struct mdl_kv_default {
    enum mdl_kv_key key;
    double value, low, high;
    const char *source;
};

enum mdl_kv_layout { MDL_NHD, MDL_HND, MDL_HYBRID };
enum mdl_kv_graph { MDL_GRAPH_NO, MDL_GRAPH_PIECEWISE, MDL_GRAPH_YES };

struct mdl_strategy;

/* A strategy with every parameter resolved, on one rank of one model. */
struct mdl_kv_use {
    const struct mdl_strategy *strategy;
    double value[MDL_N_KV_KEY]; /* by enum mdl_kv_key; NaN where the strategy has no such parameter */
    uint32_t n_layers;          /* on this rank */
    uint32_t q_heads, kv_heads, head_dim; /* on this rank */
    uint32_t hidden;
    uint32_t block_size; /* of the engine */
};

/* ---- memory ---- */

enum { MDL_KV_PARTS = SIM_KV_TERMS };

/* One kind of page. */
struct mdl_kv_part {
    const char *what; /* "pages", "digests", "residual window": what prints call it */
    enum sim_kv_place place;
    double page_bytes; /* of one page over the rank's layers and heads */
    uint32_t start, cap, page_tokens;
    bool whole, kept, fill; /* as in struct sim_kv_term */
};

struct mdl_kv_memory {
    struct mdl_kv_part part[MDL_KV_PARTS];
    uint32_t n_parts;
    uint32_t budget;
    bool evicts_in_decode;
    uint32_t read_cap, select_after;
    double
        dense_frac; /* share of KV bytes (layers or heads) that keep and read the whole context (or see plain_tokens) */
    double replica_bytes; /* GPU buffers shared by all sequences of the replica */
};

/* ---- time, as work to be priced ---- */

/* flops run at the matrix rate x prefill_efficiency, bytes at the memory bandwidth, launches cost a launch each. */
struct mdl_work {
    double flops, bytes, launches;
};

struct mdl_kv_prefill {
    struct mdl_work token; /* for every new prompt token; launches: once per step that has any */
    /* x (past x new + new^2 / 2) of every chunk: pairs of a new query and a key before it; launches as token's. Work that
     * attention does once more, such as scores of all queries, grows chunk by chunk and not at the prompt's end. */
    struct mdl_work pair;
    struct mdl_work end;       /* when a prompt is complete: constant, */
    struct mdl_work end_token; /* x its length, */
    struct mdl_work end_pair;  /* x its length squared */
    uint32_t end_after; /* prompts of at most so many tokens pay no end work: nothing of them is let go */
    double down_bytes;  /* for every new prompt token: KV on its way to the host */
    double down_fragment_bytes;
};

/* How fragments come up: a copy for each; read by a kernel from mapped host memory; or collected by the CPU into one
 * block per layer and sequence, which is copied. */
enum mdl_kv_pick { MDL_PICK_COPIES, MDL_PICK_KERNEL, MDL_PICK_CPU };

struct mdl_kv_decode {
    const char *kernel; /* format as kvbench names it: "bf16", "fp8", "int4", "kivi4" ... */
    double bytes_frac;  /* KV bytes that attention reads for a token over bf16's */
    /* Tokens of each sequence, counted first, that are read as bf16 by the full kernel, KIVI's window: bytes_frac and
     * the kernel's ratio are of those behind them. Where sequences differ much in length, read_cap and dense_frac weigh
     * two kinds of tokens one sequence at a time; dense_frac is then the time of an older token over that of a recent
     * one, and bytes_frac = kernel_efficiency. */
    double plain_tokens;
    double decode_efficiency; /* of the matrix rate, for the work below; 0: prefill_efficiency */
    struct mdl_work
        seq; /* extra work for each sequence; but launches: of a whole step, all layers together */
    struct mdl_work all_token;  /* extra work x what attention reads: unfused dequantisation, score upkeep */
    struct mdl_work select_seq; /* of sequences that select: constant each; launches as above */
    struct mdl_work select_token; /* x their whole context: digests read and scored */
    bool select_overlaps;         /* selection runs beside the computation (a stream of its own): */
    struct mdl_work check_seq; /* then, of sequences that select, what is on the critical path all the same */
    double
        select_fixed_s; /* beside that, once in a step in which any selects: top-k, whose time its input hardly moves */
    double n_sync;         /* host syncs of a step on the critical path, when any sequence selects */
    double n_sync_seq;     /* and this many more for each sequence that selects */
    double n_sync_correct; /* and this many more, x the share of layers that are corrected */

    enum sim_recall_when when;
    enum mdl_kv_pick pick;               /* how fragments come up */
    double up_copies, up_fragment_bytes; /* per selecting sequence and step at the mean miss rate */
    /* and this many more, a page each, for every token of the selecting sequences' whole contexts (struct sim_reads,
     * selecting): swap, offload and tiered fetch all that lies on the host. up_copies, and pages with it, is then
     * negative where the latest tokens never leave the GPU; up_copies + up_copies_token x context >= 0 for every
     * sequence that selects. A recall of this kind has no miss rate, no corrections and no conversion. */
    double up_copies_token;
    double down_copies, down_fragment_bytes; /* per sequence and step, amortised */
    double pages; /* recalled per selecting sequence and step, over layers and heads */
    /* Of these, miss_pages are one layer's or head's, of page_tokens each: never more than it has beyond the
     * resident_tokens of its sequence. miss_pages 0: there are always enough. */
    double miss_pages, page_tokens, resident_tokens;
    struct mdl_work convert; /* per selecting sequence: layout of what was recalled */
    double pieces;           /* into which copying and converting are cut, per sequence and layer */
    bool double_buffer;
    uint32_t recall_layers;
    double correct_frac, correct_share; /* as in struct sim_recall, of a single sequence */
};

struct mdl_strategy {
    const char *name;  /* freekv */
    const char *group; /* keep all | quantise | low rank | drop, static | drop, dynamic | retrieve */
    const char *help;  /* one line */
    const char *source;
    const char *flash,
        *paged; /* FlashAttention and PagedAttention compatibility as published: "yes", "extra pass" ... */
    const char *fallback; /* what a serving engine does when the strategy cannot: one line */
    const struct mdl_kv_default *defaults;
    uint32_t n_defaults;
    enum mdl_kv_graph graph;
    /* Parameters that contradict each other or the shape: one clear line. NULL: none can. */
    bool (*check)(const struct mdl_kv_use *u, struct sim_status *st);
    /* GPU bytes of one sequence without page rounding: the closed form. L tokens, filled as in struct sim_kv_length. */
    double (*gpu_bytes)(const struct mdl_kv_use *u, struct sim_kv_length at);
    double (*host_bytes)(const struct mdl_kv_use *u, struct sim_kv_length at); /* NULL: none */
    void (*memory)(const struct mdl_kv_use *u, struct mdl_kv_memory *out);
    void (*prefill)(const struct mdl_kv_use *u, struct mdl_kv_prefill *out); /* NULL: nothing extra */
    void (*decode)(const struct mdl_kv_use *u, struct mdl_kv_decode *out);
};

/* ---- the list ---- */
size_t mdl_strategy_count(void);
const struct mdl_strategy *mdl_strategy_at(size_t i);
/* NULL with the nearest name in st. */
const struct mdl_strategy *mdl_strategy_find(const char *name, struct sim_status *st);
const struct mdl_kv_default *mdl_strategy_default(const struct mdl_strategy *s,
                                                  enum mdl_kv_key key); /* NULL: has none */

/* Resolves a strategy on a rank: given[key] is NaN where the user says nothing. Refuses a parameter that the strategy
 * does not have, values out of range and what its check refuses; st names the key. pp_stage_layers: layers on the rank. */
bool mdl_kv_use_init(struct mdl_kv_use *u, const struct mdl_strategy *s, const double given[MDL_N_KV_KEY],
                     const struct mdl_arch *arch, uint32_t tp, uint32_t layers, uint32_t block_size,
                     struct sim_status *st);

/* KV bytes of one token in bf16 over the rank's layers: 2 x layers x kv_heads x head_dim x 2. */
double mdl_kv_token_bytes(const struct mdl_kv_use *u);

/* Shared by the families. */
static inline bool mdl_kv_on(const struct mdl_kv_use *u, enum mdl_kv_key key)
{
    return u->value[key] > 0;
}

#endif
