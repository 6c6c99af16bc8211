/* What the studies on paper 1 (arXiv 2503.24000) share: its five methods as strategies with the settings of its
 * LMDeploy port, the released throughput rows, and the price of a step on its machine (A6000, LMDeploy, Llama-2-7B).
 * Constants are p1.<name> and p1.<method>.<parameter of kv.*>. */
#ifndef KVSIM_EXPERIMENTS_PUBLISHED_P1_H
#define KVSIM_EXPERIMENTS_PUBLISHED_P1_H

#include "experiments/published/study.h"
#include "models/arch.h"
#include "models/cost.h"
#include "models/engine.h"
#include "models/kvcost.h"
#include "models/profile.h"

/* ---- methods ---- */

enum exp_p1_id { EXP_P1_FP16, EXP_P1_KIVI, EXP_P1_GEAR, EXP_P1_H2O, EXP_P1_STREAM, EXP_P1_METHODS };

struct exp_p1_method {
    const char *name;     /* fp16: llama-7b-a6000-lmdeploy-fp16.csv, and the group of its constants */
    const char *column;   /* None-16: what the rows say */
    const char *strategy; /* full */
};
extern const struct exp_p1_method exp_p1_methods[EXP_P1_METHODS];

/* ---- released rows ---- */

enum exp_p1_stage { EXP_P1_PREFILL, EXP_P1_DECODE, EXP_P1_STAGES };
extern const char *const exp_p1_stage_names[EXP_P1_STAGES];

enum { EXP_P1_REPEATS = 16 };

/* Repeats of one (stage, batch, length). */
struct exp_p1_point {
    enum exp_p1_stage stage;
    uint32_t batch, length;            /* length as the row says */
    uint32_t prompt;                   /* of it, tokens of the prompt */
    double throughput[EXP_P1_REPEATS]; /* tokens/s, ascending */
    uint32_t n_repeats;
    double measured_s; /* time of a step at their median */
    double predicted_s;
};

struct exp_p1_points {
    struct exp_p1_point *point; /* by stage, batch, length */
    uint32_t n;
};

/* Throughput is batch x length (prefill) or batch (decode) over the time of a step; decode rows whose length is a
 * prompt of the grid and the tokens generated after it are that prompt's. Free with exp_p1_points_fini. */
bool exp_p1_read(const char *path, const struct exp_p1_method *m, uint32_t generated_tokens,
                 struct exp_p1_points *out, struct sim_status *st);
void exp_p1_points_fini(struct exp_p1_points *p);
/* The point of the same stage, batch and length, else of the same prompt; NULL when there is none. */
const struct exp_p1_point *exp_p1_point_like(const struct exp_p1_points *p, const struct exp_p1_point *like);

/* Mean over the repeats of 1 - |median of the others - repeat| / repeat; NaN for a lone repeat. */
double exp_p1_repeatability(const struct exp_p1_point *p);
/* 1 - |predicted - measured| / measured */
double exp_p1_accuracy(double predicted, double measured);
/* Tokens of a step over its time, and the other way round. */
double exp_p1_throughput(const struct exp_p1_point *p, double step_s);
double exp_p1_step_s(const struct exp_p1_point *p, double throughput);

/* ---- the machine ---- */

struct exp_p1_machine {
    struct mdl_gpu_catalogue *gpus;
    const struct mdl_gpu *gpu;
    struct mdl_arch arch;
    struct mdl_profile *profile;
    struct mdl_engine engine;
    struct mdl_host host;
    double attention_factor; /* engine's attention kernels over the profile's, time over time */
    double allreduce_factor; /* its all-reduce over the analytic one */
    double generated_tokens; /* of a measurement, the prompt's own included */
    double lm_head_rows;     /* share of a prompt's tokens that meet the LM head */
};

bool exp_p1_machine_init(struct exp_p1_machine *m, const struct exp_study_run *r, struct sim_status *st);
void exp_p1_machine_fini(struct exp_p1_machine *m);

/* One method on tp GPUs of the machine. */
struct exp_p1_price {
    const struct exp_p1_machine *machine;
    struct mdl_kv_use use;
    struct mdl_kv_plan plan;
    struct mdl_cost *cost;
    struct mdl_gemm_curve *head;
    uint32_t tensor_parallel;
};

/* `given` overrides parameters (NaN: as declared); NULL overrides none. */
bool exp_p1_price_init(struct exp_p1_price *p, const struct exp_p1_machine *m, enum exp_p1_id method,
                       uint32_t tp, const double given[MDL_N_KV_KEY], struct exp_constants *constants,
                       struct sim_status *st);
void exp_p1_price_fini(struct exp_p1_price *p);

/* One step that computes `batch` prompts whole; the port multiplies all their rows with the LM head. */
double exp_p1_prefill_s(const struct exp_p1_price *p, uint32_t batch, uint32_t prompt);
/* Mean decode step of `batch` sequences over the tokens generated after their prompts. */
double exp_p1_decode_s(const struct exp_p1_price *p, uint32_t batch, uint32_t prompt);
void exp_p1_predict(const struct exp_p1_price *p, struct exp_p1_points *points);

/* ---- fits ---- */

/* To the fp16 rows: attention_factor and the engine's overheads, each between its physical bounds, mean absolute log
 * error of both stages. Overheads that no row tells stay as they are. */
bool exp_p1_fit_engine(struct exp_p1_machine *m, struct exp_p1_points *fp16, struct exp_constants *constants,
                       struct sim_status *st);

/* kernel_efficiency of a method to its decode rows of at most largest_batch sequences. */
bool exp_p1_fit_kernel(const struct exp_p1_machine *m, enum exp_p1_id method, struct exp_p1_points *points,
                       uint32_t largest_batch, struct exp_constants *constants, double *efficiency,
                       struct sim_status *st);

#endif
