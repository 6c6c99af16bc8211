/* Forms the batch of a step: which running requests compute how many tokens, who is admitted, who is
 * preempted. To add a scheduler: a file with one function, its declaration below, a row in scheduler.c. */
#ifndef KVSIM_SIM_SCHEDULER_H
#define KVSIM_SIM_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>

struct sim_replica;
struct sim_step;

struct sim_scheduler {
    const char *name;
    const char *help;
    /* Fills an empty step at time now_s. May leave it empty when nothing can run. */
    void (*form)(struct sim_replica *r, struct sim_step *step, double now_s);
};

const struct sim_scheduler *sim_scheduler_find(const char *name); /* NULL when there is none */
size_t sim_scheduler_count(void);
const struct sim_scheduler *sim_scheduler_at(size_t i);

/* vLLM's v1 scheduler: running requests first, then waiting ones; prompts in chunks; preempts the last. */
extern const struct sim_scheduler sim_scheduler_vllm_v1;

#endif
