#include "traces/synth_rng.h"

#include "sim/random.h"

#include <limits.h>

static unsigned long get(void *state)
{
    struct trc_rng *r = state;
    return sim_random_u64(r->seed, r->stream, r->counter++) & 0xffffffffUL;
}

static double get_double(void *state)
{
    struct trc_rng *r = state;
    return sim_random_unit(r->seed, r->stream, r->counter++);
}

static void set(void *state, unsigned long seed)
{
    struct trc_rng *r = state;
    r->seed = seed;
    r->counter = 0;
}

void trc_rng_init(struct trc_rng *r, uint64_t seed, const char *name)
{
    static const gsl_rng_type type = {"sim_random", 0xffffffffUL, 0, sizeof *r, set, get, get_double};
    r->gsl.type = &type;
    r->gsl.state = r;
    r->seed = seed;
    r->stream = sim_stream(name);
    r->counter = 0;
}
