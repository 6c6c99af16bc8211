/* A strategy's work in seconds: what mdl_cost adds to a plain step. Decode attention comes from the engine's own tables
 * where they hold the format (fp8), by the ratio rule where kvbench measured the kernel on the card
 * (T = T_engine(full) x T_ours(strategy) / T_ours(bf16), same shape), else from bytes and the strategy's stated
 * efficiency, marked analytic. Extra kernels are rooflines: matrix work at the strategy's share of the matrix rate (of
 * prefill, of decode), plus bytes at what elementwise kernels reach of the bandwidth, plus a launch each. Copies follow
 * models/host.h. Made once before a run; then plain arithmetic. */
#ifndef KVSIM_MODELS_KVCOST_H
#define KVSIM_MODELS_KVCOST_H

#include "models/host.h"
#include "models/kvrule.h"
#include "models/methods.h"
#include "models/profile.h"

struct mdl_kvcost_spec {
    const struct mdl_kv_use *use;
    const struct mdl_kv_plan *plan;
    const struct mdl_host *host;
    const struct mdl_gpu *gpu;
    const struct mdl_profile *profile;
    const struct mdl_methods *methods; /* NULL: nothing measured */
    uint32_t tensor_parallel;
    double residual_factor; /* error band: multiplies all extra GPU time; 0 means 1 */
};

/* GPU seconds of extra work, and the launches that the host makes for it when no graph holds them. */
struct mdl_kv_extra {
    double seq_s, token_s; /* for each sequence, for each token */
    double step_s;         /* a step that has any: launches */
    double launches;
    enum sim_evidence how;
};

/* Of one rank, over all its layers. */
struct mdl_kvcost {
    struct mdl_kv_decode decode;
    struct mdl_kv_prefill prefill;
    enum mdl_kv_graph graph;
    /* Of decode rows; tokens: those that attention reads. */
    struct mdl_kv_extra rows;
    /* Of rows that select; tokens: their whole contexts. Only what the step waits for: of a selection that runs beside
     * the computation, the memory traffic, and the checks for corrections. correct_select: all of a selection, when a
     * layer is corrected. */
    struct mdl_kv_extra select, correct_select;
    struct mdl_kv_extra fill;              /* of new prompt tokens; seq_s: 0 */
    double fill_pair_s;                    /* x (past x new + new^2 / 2) of each chunk */
    struct mdl_kv_extra end;               /* when a prompt is complete; tokens: its length */
    double end_pair_s;                     /* x its length squared */
    double down_token_s, down_token_bytes; /* prompt tokens on their way to the host */
    struct sim_recall up, down, token; /* of a selecting sequence, of any, of a token of those that select */
    double sync_s, sync_seq_s;         /* of a step in which any sequence selects, and for each that does */
    double sync_correct_s;             /* were every layer corrected */
    double convert_launches;           /* of a selecting sequence's conversions: those the layer waits for */
    double log_calm;               /* log(1 - correct_frac): a layer in which one sequence is not corrected */
    double exposed_frac;           /* of the shorter of copying and converting, in spite of two buffers */
    bool own_table;                /* decode attention is in the engine's tables: */
    enum mdl_dtype table;          /* as this type */
    double swap_token_s;           /* a kept token's GPU bytes over the host link */
    struct sim_recall_draw *draws; /* NULL: means */
    uint32_t n_draws;
};

/* False with one line when the host cannot do what the strategy needs. */
bool mdl_kvcost_init(struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec, struct sim_status *st);
void mdl_kvcost_fini(struct mdl_kvcost *c);

/* A strategy's default on a card. fp8's kernel_efficiency is that of cards with fp8 arithmetic; others convert in the
 * kernel. NaN where the strategy has no such parameter. */
struct mdl_kv_default mdl_kvcost_default(const struct mdl_strategy *s, enum mdl_kv_key key,
                                         const struct mdl_gpu *gpu);

/* Time of decode attention with the strategy's kernel over that of the engine's table, and where that comes from; 1 and
 * measured where the table is the strategy's own. */
struct mdl_time mdl_kvcost_ratio(const struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec,
                                 double n_seqs, double kv_tokens);

/* full_s by a ratio. No kernel is faster than a launch, floor_s: a measured ratio has the launch in it and is held
 * there, an analytic one is one of bytes and applies to what exceeds it. */
double mdl_kvcost_scaled_s(double full_s, double floor_s, struct mdl_time ratio);

/* What a step of n_seqs decodes, of which n_selecting select, moves whatever their contexts; c->token has the rest. The
 * layers that are corrected are those in which any sequence is, 1 - (1 - correct_frac)^n_selecting, sequences being
 * independent; the heads that are fetched again are the same in sum. */
struct sim_recall mdl_kvcost_recall(const struct mdl_kvcost *c, uint32_t n_seqs, uint32_t n_selecting);

/* A quantile table of a gamma distribution with mean 1 and this coefficient of variation, none above `most` (>= 1),
 * whose mean is 1 all the same; n of them, rising. */
void mdl_kvcost_quantiles(double cv, double most, uint32_t n, double *out);

#endif
