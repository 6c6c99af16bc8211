/* Named random streams for synthesis: a GSL generator per source of randomness on top of sim/random.h, so
 * that GSL's distributions can be drawn from it. Draw i of a stream is a function of (seed, name, i) alone:
 * other lengths leave the arrivals as they were, and 64 bits of seed count. */
#ifndef KVSIM_TRACES_SYNTH_RNG_H
#define KVSIM_TRACES_SYNTH_RNG_H

#include <gsl/gsl_rng.h>
#include <stdint.h>

struct trc_rng {
    gsl_rng gsl; /* for gsl_ran_...(&r->gsl, ...) */
    uint64_t seed, stream, counter;
};

/* No memory to free; do not copy an initialised one (it points into itself). */
void trc_rng_init(struct trc_rng *r, uint64_t seed, const char *name);

#endif
