/* A scenario: everything that determines a run, as plain data, read from YAML through the one table of keys
 * in keys.c. No pointers: a struct copy is a deep copy, which is what sweeps and validation build on: struct
 * exp_scenario *point = exp_scenario_copy(base); exp_scenario_set(point, "fleet.0.tensor_parallel", "4", st);
 * Paths in a scenario file are kept joined to the file's folder; paths given to exp_scenario_set are as they
 * are. About 140 KB a scenario: keep them on the heap. */
#ifndef KVSIM_EXPERIMENTS_SCENARIO_H
#define KVSIM_EXPERIMENTS_SCENARIO_H

#include "models/gpu.h"
#include "models/strategy.h"
#include "sim/cluster.h"
#include "sim/status.h"
#include "traces/synth.h"

#include <stdbool.h>
#include <stdint.h>

enum { EXP_TEXT_BYTES = 1024, EXP_NAME_BYTES = 64, EXP_MAX_FLEETS = 16 };

/* A number that falls back to something else when the scenario leaves it out. */
struct exp_number {
    double value;
    bool given;
};

/* The serving engine; what is not given takes the engine version's default for the GPU. Names are vLLM's. */
struct exp_engine_keys {
    char name[EXP_TEXT_BYTES]; /* vllm-0.24, or a path to an engine file; "" = inherited */
    struct exp_number max_num_seqs, max_num_batched_tokens, block_size, gpu_memory_utilization;
    struct exp_number num_gpu_blocks_override, max_model_len, long_prefill_token_threshold;
    struct exp_number watermark;                                         /* share of the pool */
    struct exp_number reserve_full_isl, async_scheduling, enforce_eager; /* flags */
    struct exp_number scheduling_policy;                                 /* enum sim_policy */
    struct exp_number preemption;                                        /* enum sim_preemption */
    int prefix_caching;                                                  /* only "false" is accepted */
};

/* Rates of a retrieval strategy that change during a run: from_s after the first arrival, 0 = never. What is not given
 * stays. An adaptive policy goes by the old rates for learn_s more. */
struct exp_later_keys {
    double from_s, learn_s;
    struct exp_number miss, correction;
};

/* What the fleet does with the KV cache; parameters that are not given take the strategy's defaults. */
struct exp_kv_keys {
    int strategy; /* index of mdl_strategy_at */
    struct exp_number value[MDL_N_KV_KEY];
    struct exp_later_keys later;
    char length_pairs[EXP_TEXT_BYTES]; /* measured output lengths; "" = published ones */
    char quality[EXP_TEXT_BYTES];      /* quality record; "" = the one that ships */
    char kernels[EXP_TEXT_BYTES]; /* kvbench profile of the card; "" = the shipped one, when there is one */
    int fallback_when;            /* enum sim_fallback */
    int fallback_to;              /* only `full` */
    uint64_t fallback_below_tokens;
};

/* The server around the GPUs; what is not given is models/host.c's default for the card. */
struct exp_host_keys {
    struct exp_number link_gb_per_s, duplex, gpus_per_link, memory_gib;
    struct exp_number launch_us, sync_us, submit_us, submitters, descriptor_us;
    struct exp_number kernel_frac, gather_gb_per_s;
};

struct exp_fleet_keys {
    char name[EXP_NAME_BYTES]; /* "" = the GPU's name */
    char gpu[EXP_TEXT_BYTES];
    uint64_t replicas, tensor_parallel, pipeline_parallel;
    char profile[EXP_TEXT_BYTES]; /* "" = the GPU's own, or analytic when it has none */
    struct exp_kv_keys kv;
    struct exp_host_keys host;
    char classes[EXP_TEXT_BYTES]; /* "a,b": router by_class; "" = every class that no fleet names */
    struct exp_engine_keys engine;
};

struct exp_slo_keys {
    double ttft_ms, tpot_ms, e2el_ms; /* 0 = no limit */
    double percentile;
    int rule; /* 0 joint, 1 per_metric */
};

struct exp_class_keys {
    char name[EXP_NAME_BYTES];
    struct exp_slo_keys slo;
    struct exp_number kv_strategy; /* served by fleets with this one only: router by_class */
    /* Requests that the class takes when the trace does not name classes; all conditions given must hold. */
    struct exp_number min_input_tokens, max_input_tokens, min_output_tokens, max_output_tokens;
    char task[EXP_NAME_BYTES], model[EXP_NAME_BYTES];
};

enum exp_source { EXP_NO_LOAD, EXP_TRACE, EXP_OPEN_LOOP, EXP_CLOSED_LOOP };
enum exp_overlong { EXP_REJECT, EXP_CLIP_INPUT, EXP_CLIP_OUTPUT };

struct exp_open_loop_keys {
    double request_rate, burstiness;
    uint64_t num_requests;
    double duration_s;
    char input_tokens[EXP_TEXT_BYTES], output_tokens[EXP_TEXT_BYTES]; /* distributions, traces/synth.h */
    double length_range[2];
};

struct exp_closed_loop_keys {
    uint64_t concurrency, num_requests;
    char input_tokens[EXP_TEXT_BYTES], output_tokens[EXP_TEXT_BYTES];
    double length_range[2];
    double think_time_s;
};

struct exp_workload_keys {
    enum exp_source source; /* which of the three was named last */
    char trace[EXP_TEXT_BYTES];
    int time_unit; /* enum trc_time_unit */
    char columns[EXP_TEXT_BYTES];
    int zero_output; /* enum trc_zero_output */
    bool rebase, spread_ticks;
    uint64_t hash_block_size, max_requests;
    double time_scale, multiply;
    int how;      /* enum trc_how */
    int overlong; /* enum exp_overlong */
    struct exp_open_loop_keys open_loop;
    struct exp_closed_loop_keys closed_loop;
};

enum exp_cost_kind { EXP_COST_PROFILE, EXP_COST_LINEAR };

/* Where a key's value was read, so that a contradiction between keys can name its line. */
struct exp_origin {
    uint32_t offset;    /* of the field in struct exp_scenario */
    uint32_t line : 31; /* 0 = an option */
    uint32_t over : 1;  /* a line of the file `over`, not of `file` */
};
enum { EXP_MAX_ORIGINS = 256 };

struct exp_scenario {
    char file[EXP_TEXT_BYTES]; /* where it was read from; "" = made in memory */
    char model[EXP_TEXT_BYTES];
    int weights; /* enum mdl_dtype */
    struct exp_fleet_keys fleet[EXP_MAX_FLEETS];
    uint32_t n_fleets;
    struct exp_engine_keys engine;
    char router[EXP_NAME_BYTES];
    double predictor_throughput_accuracy, predictor_length_accuracy;
    bool length_shift;
    struct exp_workload_keys workload;
    struct exp_slo_keys slo;
    bool slo_given;
    struct exp_class_keys classes[SIM_MAX_CLASSES];
    uint32_t n_classes;
    uint64_t warmup_requests;
    double warmup_s, horizon_s;
    int cost_kind; /* enum exp_cost_kind */
    double cost_step_s, cost_token_s, cost_kv_token_s;
    uint64_t seed;

    struct exp_origin origin[EXP_MAX_ORIGINS]; /* of the values above; the first so many that were set */
    uint32_t n_origins;
    char over[EXP_TEXT_BYTES]; /* the file that sets some of them (a study); "" = none */
};

/* A scenario with every key at its default: no fleet, no load. Free with free(). */
struct exp_scenario *exp_scenario_new(void);
struct exp_scenario *exp_scenario_copy(const struct exp_scenario *s);

/* Reads a scenario file; NULL and one line in st (file:line: what, what was expected). Free with free().
 * The result may still lack things (exp_scenario_check), so that --set can add them. */
struct exp_scenario *exp_scenario_load(const char *path, struct sim_status *st);
/* The same from memory; `name` stands for the file in messages and paths stay as they are. */
struct exp_scenario *exp_scenario_parse(const char *name, const char *text, size_t length,
                                        struct sim_status *st);

/* Sets one key, e.g. "fleet.0.replicas", from text in YAML ("8", "[0.8, 1.0]", "{ttft_ms: 300}"). A load
 * named here replaces the one that was there. fleet.N with N = the number of fleets adds one. The scenario is
 * unchanged on failure. */
bool exp_scenario_set(struct exp_scenario *s, const char *path, const char *value, struct sim_status *st);
/* One key from a node of another kind of file that holds keys of a scenario: `shown` is what that file calls it, `folder`
 * stands before its relative paths (NULL = none); `over`: the scenario has a file of its own, this one is s->over. The key
 * exists. On failure the scenario may be half changed. */
struct mdl_yaml_node;
struct exp_alias {
    const char *path, *shown, *folder;
    bool over;
};
bool exp_scenario_set_node(struct exp_scenario *s, const struct exp_alias *as,
                           const struct mdl_yaml_node *node, struct sim_status *st);
/* The load that a key belongs to, EXP_NO_LOAD for all others. */
enum exp_source exp_scenario_source(const char *path);
/* A trace in place of the scenario's load; the path as a command line has it. */
bool exp_scenario_set_trace(struct exp_scenario *s, const char *path, struct sim_status *st);

/* "path=value" as a command line has it. */
bool exp_scenario_set_option(struct exp_scenario *s, const char *option, struct sim_status *st);

/* "demo.yaml:12" for a field of s that its file gave (or s->over's line), "--set" for one that an option gave, else the
 * file. */
struct exp_where {
    char text[300];
};
struct exp_where exp_scenario_where(const struct exp_scenario *s, const void *field);

/* Takes another strategy on every fleet: parameters that it shares with the one before stay; others, lengths
 * measured with the one before, and a fallback that it cannot have, go. */
bool exp_scenario_take_strategy(struct exp_scenario *s, const char *name, struct sim_status *st);

/* What is missing or contradicts itself: model, GPU, a load, classes that nobody defines ... */
bool exp_scenario_check(const struct exp_scenario *s, struct sim_status *st);

/* Is the class in the list of a fleet's `classes`? */
bool exp_fleet_names_class(const struct exp_fleet_keys *k, const char *class_name);

/* The classes of a run: the scenario's own, or `slo:` alone as class `default`. How many, at least 1. */
uint32_t exp_scenario_classes(const struct exp_scenario *s, struct exp_class_keys out[SIM_MAX_CLASSES]);

#endif
