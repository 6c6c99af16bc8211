/* How many tokens a request gives on a fleet whose KV strategy makes answers longer or shorter. One uniform draw
 * per request picks a quantile of the fleet's distribution: the same quantile on every fleet, so that fleets and
 * runs of one seed differ by their strategy and not by luck. O(1), 20 ns. */
#ifndef KVSIM_SIM_LENGTHSHIFT_H
#define KVSIM_SIM_LENGTHSHIFT_H

#include "sim/cluster.h"
#include "sim/random.h"

/* The request's quantile, in (0, 1). */
static inline double sim_length_draw(uint64_t seed, uint32_t request)
{
    return sim_random_unit(seed, sim_stream("length shift"), request);
}

/* Output tokens of a request that drew a quantile: >= 1, and input + output stays within max_model_len. A request
 * that is too long by itself keeps its length, so that every strategy rejects the same ones. */
static inline uint32_t sim_tokens_at(const struct sim_fleet *f, const struct sim_request *q, double draw)
{
    if (!f->length_factor) return q->output_tokens;
    uint64_t limit = f->engine.max_model_len;
    if ((uint64_t)q->input_tokens + q->output_tokens > limit) return q->output_tokens;
    double factor = (double)f->length_factor[(uint32_t)(draw * f->n_length_factors)];
    double tokens = factor * q->output_tokens + 0.5, most = (double)(limit - q->input_tokens);
    if (tokens < 1) return 1;
    return tokens < most ? (uint32_t)tokens : (uint32_t)most;
}

static inline uint32_t sim_shifted_tokens(const struct sim_fleet *f, const struct sim_request *q,
                                          uint64_t seed, uint32_t request)
{
    return f->length_factor ? sim_tokens_at(f, q, sim_length_draw(seed, request)) : q->output_tokens;
}

#endif
