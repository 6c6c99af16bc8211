#include "tests/toy.h"

#include "sim/histogram.h"
#include "sim/memory.h"
#include "sim/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void toy_init(struct toy *t, uint32_t n_replicas)
{
    memset(t, 0, sizeof *t);
    sim_cost_linear_init(&t->cost, 0.010, 0.0001, 1e-6);
    t->fleets[0] = (struct sim_fleet){.name = "toy",
                                      .n_replicas = n_replicas,
                                      .gpus_per_replica = 1,
                                      .cost = &t->cost.base,
                                      .engine = {.max_num_seqs = 64,
                                                 .max_num_batched_tokens = 512,
                                                 .block_size = 16,
                                                 .max_model_len = 1 << 20,
                                                 .n_blocks = 1 << 20}};
    t->classes[0] = (struct sim_class){"default", {.percentile = 99}};
    t->config = (struct sim_config){.fleets = t->fleets,
                                    .n_fleets = 1,
                                    .router = sim_router_find("least_outstanding"),
                                    .classes = t->classes,
                                    .n_classes = 1,
                                    .seed = 1,
                                    .fast_forward = true,
                                    .timeline_points = 16};
}

void toy_free(struct toy *t)
{
    free(t->requests);
}

static uint32_t length(uint64_t seed, const char *stream, uint64_t i, uint32_t mean)
{
    return 1 + (uint32_t)(sim_random_unit(seed, sim_stream(stream), i) * (2 * mean - 1));
}

void toy_poisson(struct toy *t, uint64_t n, double rate, uint32_t mean_input, uint32_t mean_output,
                 uint64_t seed)
{
    double now_s = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (rate > 0) now_s -= log(sim_random_unit(seed, sim_stream("toy gaps"), i)) / rate;
        toy_add(t, now_s, length(seed, "toy input", i, mean_input),
                length(seed, "toy output", i, mean_output));
    }
}

void toy_add(struct toy *t, double arrival_s, uint32_t input_tokens, uint32_t output_tokens)
{
    uint64_t n = t->config.load.n_requests;
    if ((n & (n - 1)) == 0) t->requests = sim_realloc(t->requests, n ? 2 * n : 1, sizeof *t->requests);
    t->requests[n] = (struct sim_request){
        .arrival_s = arrival_s, .input_tokens = input_tokens, .output_tokens = output_tokens};
    t->config.load.requests = t->requests;
    t->config.load.n_requests = n + 1;
}

struct sim_result *toy_run(const struct toy *t)
{
    struct sim_status st = {0};
    if (!sim_config_check(&t->config, &st)) {
        fprintf(stderr, "toy: %s\n", st.message);
        abort();
    }
    return sim_run(&t->config);
}

static bool same_outcome(const struct sim_outcome *a, const struct sim_outcome *b)
{
    return a->arrival_s == b->arrival_s && a->queue_s == b->queue_s && a->ttft_s == b->ttft_s &&
           a->e2el_s == b->e2el_s && a->replica == b->replica && a->preemptions == b->preemptions &&
           a->status == b->status && a->output_tokens == b->output_tokens && a->fell_back == b->fell_back;
}

bool toy_equal(const struct sim_result *a, const struct sim_result *b)
{
    if (a->n_requests != b->n_requests || a->n_fleets != b->n_fleets || a->n_timeline != b->n_timeline)
        return false;
    for (uint64_t i = 0; i < a->n_requests; i++)
        if (!same_outcome(&a->outcomes[i], &b->outcomes[i])) return false;
    return !memcmp(a->fleets, b->fleets, a->n_fleets * sizeof *a->fleets) &&
           (!a->n_timeline || !memcmp(a->timeline, b->timeline, a->n_timeline * sizeof *a->timeline)) &&
           !memcmp(&a->at_end, &b->at_end, sizeof a->at_end) &&
           !memcmp(a->itl, b->itl, a->n_classes * sizeof *a->itl);
}
