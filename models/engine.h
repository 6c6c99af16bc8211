/* An engine file (calib/engines/<engine>-<version>.yaml): what a serving engine adds to the GPU's operators,
 * and the settings it chooses when the user gives none. At most six numbers are fitted per version, each
 * between the physical bounds in engine.c; they are the engine's own and never part of a GPU's profile.
 * Every number carries its source. To add a version, copy a file, change the numbers, and say where they are
 * from. Lookup: the newest file that is not newer than the version asked for; <engine>-unknown when it is not
 * stated. */
#ifndef KVSIM_MODELS_ENGINE_H
#define KVSIM_MODELS_ENGINE_H

#include "models/gpu.h"
#include "sim/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { MDL_MAX_CAPTURE_SIZES = 256, MDL_MAX_ENGINE_DEFAULTS = 16 };

/* Batch limits that the engine takes on GPUs with at least min_memory_bytes of memory whose name does not
 * contain not_name ("" = any). */
struct mdl_engine_default {
    uint64_t min_memory_bytes;
    char not_name[32];
    uint32_t max_num_seqs, max_num_batched_tokens;
};

struct mdl_engine {
    char name[48];    /* vllm-0.12 */
    char engine[24];  /* vllm */
    char version[24]; /* 0.12, or unknown */
    char path[512];

    /* Fitted, at most six; the order of mdl_engine_number. */
    double cpu_step_s;         /* a: CPU time of a step (schedule, prepare inputs, sample, output) */
    double cpu_seq_s;          /* b: CPU time per sequence in the batch */
    double cpu_layer_eager_s;  /* c: CPU time per layer of a step without CUDA graphs: kernel launches */
    double gpu_layer_s;        /* idle GPU time per layer between kernels, with and without graphs */
    double ingress_s;          /* HTTP and tokenising, before the scheduler sees a request */
    double egress_s;           /* detokenising and streaming, after the step */
    double residual_frac;      /* one standard deviation of log(measured / predicted) TPOT */
    double residual_ttft_frac; /* the same of TTFT */
    bool fitted;               /* false: preliminary values, none fitted on measured serving points */

    /* Settings that the engine chooses. */
    uint32_t block_size;
    double gpu_memory_utilization;
    uint32_t long_prefill_token_threshold;
    double watermark_frac; /* share of the pool */
    bool reserve_full_isl, async_scheduling;
    struct mdl_engine_default defaults[MDL_MAX_ENGINE_DEFAULTS]; /* the first that fits a GPU holds */
    uint32_t n_defaults;

    /* CUDA graphs: captured batch sizes, ascending, of which those up to capture_seqs_factor x max_num_seqs
     * exist. */
    uint32_t capture_size[MDL_MAX_CAPTURE_SIZES];
    uint32_t n_capture_sizes, capture_seqs_factor; /* factor 0 = all */

    /* Memory, all per GPU; how they are used: models/kvmem.c. */
    double graph_bytes;              /* set aside for CUDA graphs before KV blocks are counted */
    double context_bytes;            /* libraries and the driver's reserve: constant part */
    double context_frac;             /* and the part that grows with the GPU's memory */
    double parallel_bytes;           /* communication buffers when tensor_parallel > 1 */
    double activation_bytes;         /* workspaces, part of the sampler's peak */
    double sampler_byte_per_logit;   /* peak of the sampler's profiling run, bytes per sequence and word */
    double activation_hidden_factor; /* live vectors of `hidden` per token at the peak of a layer */
};

/* A fitted number: where it is and what values are physical. */
struct mdl_engine_number {
    const char *name; /* cpu_step_s */
    const char *help;
    double low, high; /* seconds */
    double start;     /* a typical value, from which a fit begins whatever the file holds */
    size_t offset;    /* of the double in struct mdl_engine */
};
enum { MDL_N_ENGINE_NUMBERS = 6 };
const struct mdl_engine_number *mdl_engine_number_at(size_t i);

/* "vllm-0.12" (a file of data_dir/calib/engines) or a path that holds a `/` or ends in .yaml. */
bool mdl_engine_load(const char *data_dir, const char *name_or_path, struct mdl_engine *out,
                     struct sim_status *st);

/* The file for "vllm", "0.12.0": the newest release not newer than that (0.16 takes 0.14), else the oldest;
 * vllm-unknown when the version is not stated. */
bool mdl_engine_find_version(const char *data_dir, const char *engine, const char *version,
                             struct mdl_engine *out, struct sim_status *st);

/* The engine's batch limits on this GPU; a file always has a row that fits. */
const struct mdl_engine_default *mdl_engine_default_for(const struct mdl_engine *e,
                                                        const struct mdl_gpu *gpu);

/* Tokens that a decode-only batch of n_tokens is padded to, or 0 when no graph is large enough and it runs
 * eager. */
uint32_t mdl_engine_graph_tokens(const struct mdl_engine *e, uint32_t max_num_seqs, uint32_t n_tokens);

#endif
