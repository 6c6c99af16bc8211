#include "sim/random.h"

/* Finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit moves every output bit. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t sim_stream(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return mix(h);
}

uint64_t sim_random_u64(uint64_t seed, uint64_t stream, uint64_t counter)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    return mix(mix(mix(seed + golden) ^ stream) + counter * golden);
}

double sim_random_unit(uint64_t seed, uint64_t stream, uint64_t counter)
{
    return ((double)(sim_random_u64(seed, stream, counter) >> 12) + 0.5) * 0x1p-52;
}
