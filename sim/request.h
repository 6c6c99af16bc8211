/* A request as the simulator takes it, and what became of it. Plain data; a trace of N requests is an array
 * of N sim_request in arrival order, and a run fills an array of N sim_outcome beside it: 24 + 40 bytes a
 * request. */
#ifndef KVSIM_SIM_REQUEST_H
#define KVSIM_SIM_REQUEST_H

#include <stdint.h>

struct sim_request {
    double arrival_s;       /* >= 0; ignored in a closed loop */
    uint32_t input_tokens;  /* >= 1 */
    uint32_t output_tokens; /* >= 1 */
    int32_t priority;       /* lower is served first under policy `priority` (vLLM's meaning) */
    uint16_t slo_class;     /* index into the scenario's classes */
    uint16_t reserved;
};

enum sim_outcome_status {
    SIM_NOT_ARRIVED, /* the horizon came first */
    SIM_UNFINISHED,  /* arrived; the horizon came before its last token */
    SIM_COMPLETED,
    SIM_REJECTED_TOO_LONG, /* input + output above max_model_len */
    SIM_N_OUTCOME
};

struct sim_outcome {
    double arrival_s;       /* when it reached the cluster */
    double queue_s;         /* reaching the scheduler to first being scheduled */
    double ttft_s;          /* arrival to first token, ingress and egress included */
    double e2el_s;          /* arrival to last token */
    uint32_t output_tokens; /* that it gives: the request's own, times its fleet's length factor */
    uint16_t replica;
    uint16_t preemptions : 12; /* saturates at SIM_MAX_PREEMPTIONS */
    uint16_t fell_back : 1;    /* was admitted by its fleet's plain rule, once at least */
    uint16_t status : 3;       /* enum sim_outcome_status */
};
enum { SIM_MAX_PREEMPTIONS = (1 << 12) - 1 };

/* vLLM's TPOT: (e2el - ttft) / (output_tokens - 1); 0 for a one-token request. */
static inline double sim_tpot_s(const struct sim_outcome *o)
{
    return o->output_tokens > 1 ? (o->e2el_s - o->ttft_s) / (o->output_tokens - 1) : 0.0;
}

const char *sim_outcome_name(enum sim_outcome_status status);

#endif
