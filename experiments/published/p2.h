/* What the studies on paper 2 (FreeKV, arXiv 2505.13109) share: the harness in which its strategies were measured on a
 * card without a measured profile, strategies with the settings that they were measured with, and the mean decode
 * step over a generation. Steps are priced by the simulator's own decode lines; nothing waits in a queue, so nothing
 * is simulated. Constants are p2.<machine>.link_gb_per_s, p2.host.<key of host.*> and p2.<method>.<parameter of kv.*>. */
#ifndef KVSIM_EXPERIMENTS_PUBLISHED_P2_H
#define KVSIM_EXPERIMENTS_PUBLISHED_P2_H

#include "experiments/published/study.h"
#include "models/arch.h"
#include "models/cost.h"
#include "models/engine.h"
#include "models/kvcost.h"
#include "models/profile.h"

/* ---- machines and models ---- */

enum exp_p2_model { EXP_P2_LLAMA, EXP_P2_QWEN, EXP_P2_MODELS };
extern const char *const exp_p2_model_names[EXP_P2_MODELS];

struct exp_p2_machine {
    const char *name; /* of its constants: a100, rtx */
    struct mdl_gpu_catalogue *gpus;
    const struct mdl_gpu *gpu;
    struct mdl_profile *profile; /* datasheet peaks: neither card was measured */
    struct mdl_arch arch[EXP_P2_MODELS];
    struct mdl_engine engine;
};

bool exp_p2_machine_init(struct exp_p2_machine *m, const char *name, const char *gpu, const char *data_dir,
                         struct sim_status *st);
void exp_p2_machine_fini(struct exp_p2_machine *m);

/* ---- methods and loads ---- */

enum exp_p2_method {
    EXP_P2_FREEKV,
    EXP_P2_ARKVALE,
    EXP_P2_SHADOWKV,
    EXP_P2_INFINIGEN,
    EXP_P2_RAAS,
    EXP_P2_METHODS
};
extern const char *const exp_p2_method_names[EXP_P2_METHODS]; /* of the strategy and of its constants */

/* Sequences of so many prompt tokens, each of which generates so many. */
struct exp_p2_load {
    const char *name;
    uint32_t prompt, generated;
};

/* ---- prices ---- */

struct exp_p2_price {
    struct mdl_kv_use use;
    struct mdl_kv_plan plan;
    struct mdl_cost *cost;
};

/* What is asked: the load says which share of a context InfiniGen's tokens are; given overrides parameters (NaN: as
 * declared), NULL overrides none. */
struct exp_p2_case {
    const struct exp_p2_machine *machine;
    enum exp_p2_model model;
    enum exp_p2_method method;
    const struct exp_p2_load *load;
    const double *given; /* by enum mdl_kv_key */
};

bool exp_p2_price_init(struct exp_p2_price *p, const struct exp_p2_case *c, struct exp_constants *constants,
                       struct sim_status *st);
void exp_p2_price_fini(struct exp_p2_price *p);

/* Mean decode step of `batch` sequences over the tokens that they generate after the first. */
double exp_p2_step_s(const struct exp_p2_price *p, const struct exp_p2_load *load, uint32_t batch);

/* Share of it that selection and recall take: what the step would be shorter by without them. */
double exp_p2_recall_frac(const struct exp_p2_price *p, const struct exp_p2_load *load, uint32_t batch);

/* What FreeKV's parts are worth, one after the other, and what its corrections cost: rows and figures. */
bool exp_p2_parts(const struct exp_study_run *r, const struct exp_p2_machine *m,
                  const struct exp_p2_load *loads, uint32_t n_loads, struct sim_status *st);

#endif
