/* The cluster in motion: fleets of replicas behind a router serve a load; sim_run plays it to the end.
 * A run is a pure function of its configuration and seed. Simultaneous events are ordered by what they are:
 * (time, step end < arrival < step start, replica, request). Between the arrivals of an open loop replicas
 * are independent, so each is advanced only when somebody reads it; decode steps between two changes of the
 * batch cost O(1) and give the same bytes as forming every batch (fast_forward = false). Cost: about 10 ns a
 * decode step in a run and a row of a formed batch; 48 bytes a request beside the trace. */
#ifndef KVSIM_SIM_CLUSTER_H
#define KVSIM_SIM_CLUSTER_H

#include "sim/cost.h"
#include "sim/kv.h"
#include "sim/request.h"
#include "sim/router.h"
#include "sim/scheduler.h"
#include "sim/status.h"

#include <stdbool.h>
#include <stdint.h>

enum sim_policy { SIM_FCFS, SIM_PRIORITY };
enum sim_preemption { SIM_RECOMPUTE, SIM_SWAP /* not vLLM v1 */ };

/* The serving engine of one replica; names are vLLM's. */
struct sim_engine {
    const struct sim_scheduler *scheduler; /* NULL = vllm_v1 */
    uint32_t max_num_seqs;                 /* requests running at once, >= 1 */
    uint32_t max_num_batched_tokens;       /* tokens of one step, >= 1 */
    uint32_t block_size;                   /* tokens of a KV block, >= 1 */
    uint32_t long_prefill_token_threshold; /* most prompt tokens of one request in a step; 0 = no limit */
    uint32_t max_model_len;                /* input + output of a request; longer ones are rejected */
    uint64_t n_blocks;         /* GPU units of the KV strategy (`full`: blocks); must hold max_model_len */
    uint64_t capacity_tokens;  /* what prints call the pool's size; 0 = counted from the rule */
    uint64_t n_host_blocks;    /* host units; likewise where the strategy keeps KV on the host */
    uint64_t watermark_blocks; /* stay free at admission unless nothing runs */
    bool reserve_full_isl;     /* admit only when the whole known sequence fits */
    enum sim_policy policy;
    enum sim_preemption preemption;
    double ingress_s; /* arrival until the scheduler sees the request */
    double egress_s;  /* end of a step until its tokens reach the client */
};

/* When a request keeps its whole KV on the GPU instead of what the strategy does; the strategy's pages must be bf16. */
enum sim_fallback {
    SIM_FALLBACK_NEVER,
    SIM_FALLBACK_HOST_FULL, /* the host cannot hold it when it is admitted */
    SIM_FALLBACK_SHORT      /* input + output is below fallback_tokens */
};

/* What steps cost from a time on: rates that a strategy meets change during a run, and what it makes of them. Batches
 * that form at from_s or later are priced by it. Memory stays as it is. */
struct sim_cost_phase {
    double from_s;
    const struct sim_cost *cost; /* of as many stages as the fleet's; outlives the run */
};

struct sim_fleet {
    const char *name;
    uint32_t n_replicas;
    uint32_t gpus_per_replica;
    struct sim_engine engine;
    const struct sim_cost *cost;        /* outlives the run; shared by the replicas */
    const struct sim_cost_phase *later; /* rising in from_s; NULL = it stays as it is */
    uint32_t n_later;
    uint64_t slo_class_mask;      /* router by_class: bit c = serves class c; 0 = all not pinned elsewhere */
    const struct sim_kv_rule *kv; /* NULL = full: one block for block_size tokens */
    const struct sim_kv_rule *plain; /* what a request that falls back holds, in the same units */
    enum sim_fallback fallback;
    uint32_t fallback_tokens;
    const float
        *length_factor; /* quantiles of output length over the request's own; NULL = as the request says */
    uint32_t n_length_factors;
    uint32_t
        replicas_per_link; /* replicas that share a root complex, <= SIM_LINK_USERS; 0 or 1 = each has its own */
};

/* Host links of a fleet whose load is known: those of one rank of each replica. None where link_s counts what pipeline
 * stages hand over. */
static inline uint32_t sim_host_links(const struct sim_fleet *f)
{
    uint32_t users = f->replicas_per_link > 1 ? f->replicas_per_link : 1;
    return f->cost && f->cost->n_stages > 1 ? 0 : (f->n_replicas + users - 1) / users;
}

/* How well the routers predicted_* know what is to come: 1 - mean relative error; 1 or 0 = they know it. */
struct sim_predictor {
    double throughput_accuracy, length_accuracy;
};

/* A service level: limits in seconds, 0 = no limit. */
struct sim_slo {
    double ttft_s, tpot_s, e2el_s;
    double percentile; /* the SLA is met when at least so many % of arrived requests meet every limit */
    bool per_metric;   /* instead: each metric's own percentile meets its limit */
};

enum { SIM_MAX_CLASSES = 32 };

struct sim_class {
    const char *name;
    struct sim_slo slo;
};

struct sim_load {
    const struct sim_request *requests; /* sorted by arrival_s unless concurrency > 0 */
    uint64_t n_requests;
    uint32_t concurrency;     /* 0: requests arrive at their times; else so many are kept in flight */
    double think_time_s;      /* closed loop: completion until the next request is sent */
    uint64_t warmup_requests; /* left out of every latency and attainment figure: the first so many ... */
    double warmup_s;          /* ... and those that arrived before first arrival + warmup_s */
    double horizon_s;         /* stop the world at this time; 0 = run to completion */
};

/* What one request does in one step: a row of a plan. A preemption is a row of its own with new_tokens 0. */
struct sim_plan_row {
    uint64_t step; /* of its replica, from 0 */
    uint32_t replica, request;
    double start_s, end_s; /* of the step; end_s is 0 in a preemption, which comes before its step */
    uint32_t new_tokens, past_tokens; /* past: in the KV cache before; of a preemption: given up */
    uint32_t read_tokens;             /* by attention, the new ones included */
    uint32_t recalled_pages, corrected_heads,
        evicted_pages; /* its share of the step's; evicted: page_tokens each */
};

struct sim_config {
    const struct sim_fleet *fleets;
    uint32_t n_fleets;
    const struct sim_router *router;
    struct sim_predictor predictor;
    struct sim_load load;
    const struct sim_class *classes; /* at least one; requests carry its index */
    uint32_t n_classes;
    uint64_t seed;
    bool fast_forward;
    uint32_t timeline_points; /* about so many samples over the run, at most twice as many; 0 = none */
    void (*progress)(void *user, double done_frac); /* or NULL; called now and then */
    void *progress_user;
    /* Told every row of every step, in the order in which steps are formed; needs fast_forward off. NULL = nobody. */
    void (*plan_row)(void *user, const struct sim_plan_row *row);
    void *plan_user;
};

/* One sample of the whole cluster: what is there, and what there was so far. */
struct sim_sample {
    double time_s;
    uint64_t running, waiting, used_blocks, host_blocks;
    uint64_t arrived, completed, output_tokens;
    double link_s; /* host links carried data, all replicas; of a step in flight evenly over its time */
};

/* What a fleet did. Averages are over the run's duration and the fleet's replicas. */
struct sim_fleet_stats {
    uint64_t iterations, preemptions, swapped_tokens;
    uint64_t fell_back;                /* requests that were kept by the plain rule */
    uint64_t capacity_tokens;          /* KV of all replicas */
    uint64_t max_running, max_waiting; /* largest on any one replica */
    double kv_peak_utilization;        /* largest share of blocks in use on any one replica */
    double kv_block_s;                 /* integral of blocks in use over time, all replicas */
    double running_s;                  /* integral of running requests over time, all replicas */
    double gpu_s;                      /* GPU compute time, all replicas */
    double link_s;    /* links carry data: mean over pipeline hand-overs, plus swapped KV, all replicas */
    double step_s;    /* time with a step in flight, all replicas */
    double exposed_s; /* of it, the GPU waited for transfers */
    double up_bytes,
        down_bytes; /* moved over host links by recalls and prompts on their way to the host; swaps are counted in tokens */
    double recalled_pages, corrected_heads;
    double host_block_s; /* integral of host units in use over time, all replicas */
    double host_peak_utilization;
    double by_evidence_s[SIM_N_EVIDENCE];
    uint64_t computed_tokens; /* tokens that passed through a step, recomputation included */
};

struct sim_result {
    struct sim_outcome *outcomes; /* one per request, same order */
    uint64_t n_requests, n_arrived;
    double first_arrival_s, last_arrival_s, end_s; /* end_s: the last completion */
    struct sim_fleet_stats *fleets;                /* n_fleets */
    uint32_t n_fleets;
    struct sim_sample *timeline;
    uint32_t n_timeline;
    struct sim_sample at_end; /* when nothing more happens, or at the horizon: what the timeline comes to */
    struct sim_itl *itl;      /* inter-token gaps per class, then of requests not measured: sim/histogram.h */
    uint32_t n_classes;
};

/* Checks a configuration: the first impossible value is named in st. */
bool sim_config_check(const struct sim_config *config, struct sim_status *st);

/* Runs a checked configuration. Never fails on valid input; free with sim_result_free. */
struct sim_result *sim_run(const struct sim_config *config);
void sim_result_free(struct sim_result *r);

#endif
