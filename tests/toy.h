/* Small clusters with a toy cost, for tests and benches of the simulator. */
#ifndef KVSIM_TESTS_TOY_H
#define KVSIM_TESTS_TOY_H

#include "sim/cluster.h"

struct toy {
    struct sim_cost_linear cost;
    struct sim_fleet fleets[4];
    struct sim_class classes[4];
    struct sim_request *requests; /* owned */
    struct sim_config config;     /* points into this struct */
};

/* One fleet of n_replicas: 64 sequences, 512 tokens a step, blocks of 16, no limit on blocks in practice,
 * step cost 10 ms + 0.1 ms a token + 1 us a KV token; least_outstanding; one class without limits; no
 * requests yet. */
void toy_init(struct toy *t, uint32_t n_replicas);
void toy_free(struct toy *t);

/* n requests with Poisson arrivals (rate per second; 0: all at 0) and lengths uniform in 1 .. 2 x mean - 1.
 */
void toy_poisson(struct toy *t, uint64_t n, double rate, uint32_t mean_input, uint32_t mean_output,
                 uint64_t seed);

/* One request; keeps the order of calls. */
void toy_add(struct toy *t, double arrival_s, uint32_t input_tokens, uint32_t output_tokens);

/* Checks and runs; aborts the test on an invalid configuration. */
struct sim_result *toy_run(const struct toy *t);

/* True when both runs agree in every outcome, counter, sample and gap, byte for byte. */
bool toy_equal(const struct sim_result *a, const struct sim_result *b);

#endif
