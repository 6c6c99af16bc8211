#include "sim/histogram.h"

#include <math.h>
#include <stdbool.h>

double sim_itl_value_s(uint32_t bucket)
{
    uint64_t at = (uint64_t)bucket + ((uint64_t)(1023 + SIM_ITL_LOWEST) << SIM_ITL_SUB_BITS);
    uint64_t low = at << (52 - SIM_ITL_SUB_BITS), high = (at + 1) << (52 - SIM_ITL_SUB_BITS);
    double a, b;
    memcpy(&a, &low, sizeof a);
    memcpy(&b, &high, sizeof b);
    return 0.5 * (a + b);
}

/* Gaps lie close together and most buckets are empty. */
enum { SKIP = 8 };

static bool is_empty(const uint64_t count[SKIP])
{
    uint64_t any = 0;
    for (int i = 0; i < SKIP; i++) any |= count[i];
    return any == 0;
}

/* The first bucket from b on that is not empty; SIM_ITL_BUCKETS when there is none. */
static uint32_t filled(const struct sim_itl *h, uint32_t b)
{
    while (b < SIM_ITL_BUCKETS && !h->count[b]) b += b % SKIP == 0 && is_empty(&h->count[b]) ? SKIP : 1;
    return b;
}

/* A walk up the buckets. */
struct walk {
    uint32_t at;   /* where it stands, a bucket that is not empty */
    uint64_t seen; /* gaps up to its end */
};

/* The value at rank q of n sorted gaps, between its two neighbours as numpy's percentile. Calls come in rising q. */
static double quantile(const struct sim_itl *h, struct walk *w, uint64_t n, double q)
{
    double rank = q * (double)(n - 1), floor_rank = floor(rank);
    uint64_t lower = (uint64_t)floor_rank;
    while (w->seen <= lower) {
        w->at = filled(h, w->at + 1);
        w->seen += h->count[w->at];
    }
    uint32_t next = w->seen == lower + 1 ? filled(h, w->at + 1) : w->at;
    if (next == SIM_ITL_BUCKETS) next = w->at;
    double low = sim_itl_value_s(w->at), high = sim_itl_value_s(next);
    return low + (rank - floor_rank) * (high - low);
}

struct sim_itl_stats sim_itl_stats(const struct sim_itl *h)
{
    struct sim_itl_stats s = {0};
    double sum = 0, square = 0;
    uint32_t first = filled(h, 0);
    for (uint32_t b = first; b < SIM_ITL_BUCKETS; b = filled(h, b + 1)) {
        double v = sim_itl_value_s(b), weight = (double)h->count[b];
        s.n += h->count[b];
        sum += weight * v;
        square += weight * v * v;
    }
    if (!s.n) return s;
    struct walk w = {first, h->count[first]};
    s.mean = sum / (double)s.n;
    s.std = sqrt(fmax(0, square / (double)s.n - s.mean * s.mean));
    s.p50 = quantile(h, &w, s.n, 0.50);
    s.p90 = quantile(h, &w, s.n, 0.90);
    s.p95 = quantile(h, &w, s.n, 0.95);
    s.p99 = quantile(h, &w, s.n, 0.99);
    return s;
}
