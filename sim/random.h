/* Random numbers that are a function of (seed, stream, counter): no state, so a draw does not depend on how
 * many were made before it, and one stream's use leaves every other as it was. */
#ifndef KVSIM_SIM_RANDOM_H
#define KVSIM_SIM_RANDOM_H

#include <stdint.h>

/* A stream for a name, e.g. sim_stream("router"). */
uint64_t sim_stream(const char *name);

uint64_t sim_random_u64(uint64_t seed, uint64_t stream, uint64_t counter);

/* Uniform in (0, 1): never 0 or 1, so that an inverse distribution function can be put on top. */
double sim_random_unit(uint64_t seed, uint64_t stream, uint64_t counter);

#endif
