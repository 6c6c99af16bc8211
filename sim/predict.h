/* What the routers predicted_* expect of one more request on a replica. The truth is what the cost model says to the
 * replica's state at the arrival instant: requests that run, those that wait, and the new one decode together. Whom
 * seats or memory leave out takes turns. How well a router knows the truth is a number: a prediction is the truth
 * times exp(sigma z), z standard normal, drawn for each request and fleet. O(requests running), nothing allocated. */
#ifndef KVSIM_SIM_PREDICT_H
#define KVSIM_SIM_PREDICT_H

#include "sim/replica.h"

/* Time between two tokens of the new request, in seconds: the inverse of its decode throughput. */
double sim_predict_token_s(const struct sim_replica *r, uint32_t input_tokens);

/* Time until its prompt is computed: prompts before it, then its own chunks, each beside the decodes that run now. */
double sim_predict_prefill_s(const struct sim_replica *r, uint32_t input_tokens);

/* The sigma at which |prediction / truth - 1| is 1 - accuracy on average, from
 *   E|exp(sigma z) - 1| = exp(sigma^2 / 2) erf(sigma / sqrt 2)
 * 0, perfect knowledge, for an accuracy of 1 or 0. */
double sim_predict_sigma(double accuracy);

/* exp(sigma z) of a request and a fleet, in a stream of its own. */
double sim_predict_error(double sigma, uint64_t seed, uint64_t stream, uint32_t request, uint32_t fleet);

#endif
