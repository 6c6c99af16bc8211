/* Ways to serve a load: a GPU, a tensor-parallel degree and a KV strategy, on new servers alone or beside the machines that
 * there are. Which of them a plan allows, which of them cannot be, what each is as a scenario, and how many replicas it
 * takes at the very least. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_SEARCH_CANDIDATE_H
#define KVSIM_EXPERIMENTS_PLANNING_SEARCH_CANDIDATE_H

#include "experiments/planning/file/plan_file.h"
#include "experiments/workload.h"

#include <math.h>

enum { EXP_MOST_REPLICAS = 4096 };

/* A way to serve the load, whose number of replicas is searched. */
struct exp_candidate {
    const struct mdl_gpu *gpu; /* of what is bought or rented */
    uint32_t tensor_parallel, gpus_per_server;
    const struct exp_contender *contender; /* KV strategy and its settings, on every fleet */
    bool keeps_have; /* what there is serves too; the searched replicas come on top, 0 = nothing new */
    const struct mdl_gpu *have_gpu[EXP_MAX_HAVE]; /* of what is kept */
    uint32_t have_tensor_parallel[EXP_MAX_HAVE];
    bool adds_host_memory;                         /* to what there is, because the strategy needs it */
    double host_gib;                               /* of a server, memory for KV; NaN = default */
    uint32_t max_num_batched_tokens, max_num_seqs; /* 0 = as the plan says */
};
/* Replicas of a server. */
static inline uint32_t exp_replicas_per_server(const struct exp_candidate *c)
{
    return c->gpus_per_server / c->tensor_parallel;
}
/* "2 x h100-sxm TP 1, freekv", for messages. */
void exp_candidate_label(const struct exp_candidate *c, char *out, size_t size);

/* The scenario of a candidate with n new replicas: what `kvsim run` would take. Free with free(). */
struct exp_scenario *exp_candidate_scenario(const struct exp_plan *plan, const struct exp_candidate *c,
                                            uint32_t n, struct sim_status *st);

/* All of a plan's search space, in the order of GPU, TP and strategy; what is kept and stays alone comes first. Every TP
 * fits in a server. *out is the caller's, free with free(); how many. */
uint32_t exp_candidates(const struct exp_plan *plan, struct exp_cache *cache, struct exp_candidate **out);

/* Replicas without which the tokens of the load cannot even be multiplied by the weights at the card's peak rate, in the time
 * that the service levels leave; new ones, beside what is kept. */
uint32_t exp_candidate_at_least(const struct exp_plan *plan, const struct exp_candidate *c,
                                struct exp_cache *cache, const struct exp_workload *load);

#endif
