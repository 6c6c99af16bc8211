#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdlib.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_rng.h>

#include "sim/check.h"
#include "sim/memory.h"
#include "sim/random.h"

enum { DRAWS = 1000, MAX_BLOCKS = 200, MIN_BLOCKS = 10, FORMULA_ABOVE = 5000, LEAST_REQUESTS = 30 };
static const double LEVEL = 0.05, POWER = 0.9, ONE_SIDED = 0.05;
static const double MOST_REQUESTS = 1e9; /* what is larger cannot be waited for */

static gsl_rng *rng_new(uint64_t seed, const char *stream)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
    SIM_CHECK(rng);
    gsl_rng_set(rng, (unsigned long)(sim_random_u64(seed, sim_stream(stream), 0) >> 32));
    return rng;
}

/* ---- blocks ---- */

uint64_t exp_pilot_block(uint64_t n, double in_flight)
{
    uint64_t least = (n + MAX_BLOCKS - 1) / MAX_BLOCKS, most = n / MIN_BLOCKS;
    double wanted = fmax((double)least, ceil(in_flight));
    uint64_t block = wanted < (double)most ? (uint64_t)wanted : most;
    return block > 0 ? block : 1;
}

static uint64_t n_blocks(uint64_t n, uint64_t block)
{
    return (n + block - 1) / block;
}

double exp_log_ratio(const struct exp_pairs *p)
{
    double a = 0, b = 0;
    for (uint64_t i = 0; i < p->n; i++) {
        a += p->a[i];
        b += p->b[i];
    }
    return log(a / b);
}

struct sums {
    double a, b;
};

static struct sums *block_sums(const struct exp_pairs *p)
{
    struct sums *sum = sim_alloc(n_blocks(p->n, p->block), sizeof *sum);
    for (uint64_t i = 0; i < p->n; i++) {
        sum[i / p->block].a += p->a[i];
        sum[i / p->block].b += p->b[i];
    }
    return sum;
}

double exp_log_ratio_sd(const struct exp_pairs *p, uint64_t seed)
{
    uint64_t n = n_blocks(p->n, p->block);
    struct sums *sum = block_sums(p);
    gsl_rng *rng = rng_new(seed, "pilot errors");
    double total = 0, squares = 0, centre = exp_log_ratio(p);
    for (int d = 0; d < DRAWS; d++) {
        double a = 0, b = 0;
        for (uint64_t i = 0; i < n; i++) {
            const struct sums *drawn = &sum[gsl_rng_uniform_int(rng, (unsigned long)n)];
            a += drawn->a;
            b += drawn->b;
        }
        double off = a > 0 && b > 0 ? log(a / b) - centre : 0;
        total += off;
        squares += off * off;
    }
    gsl_rng_free(rng);
    free(sum);
    double mean = total / DRAWS, variance = squares / DRAWS - mean * mean;
    return n > 1 ? sqrt(fmax(variance, 0) * (double)n / (double)(n - 1)) : INFINITY;
}

double exp_inflation(const double *x, uint64_t n, uint64_t block)
{
    uint64_t whole = n / block;
    double mean = 0, one = 0, blocks = 0;
    if (whole < 2) return 1;
    for (uint64_t i = 0; i < whole * block; i++) mean += x[i] / (double)(whole * block);
    for (uint64_t i = 0; i < whole; i++) {
        double sum = 0;
        for (uint64_t k = i * block; k < (i + 1) * block; k++) {
            sum += x[k] - mean;
            one += (x[k] - mean) * (x[k] - mean);
        }
        blocks += sum * sum;
    }
    return one > 0 ? fmax(1, blocks / one) : 1;
}

/* ---- power ---- */

/* Of n drawn rows: sums and products, for means and the error of the log of their ratio. */
struct moments {
    double n, b, c, bb, cc, bc;
};

static void add(struct moments *m, double b, double c)
{
    m->n += 1;
    m->b += b;
    m->c += c;
    m->bb += b * b;
    m->cc += c * c;
    m->bc += b * c;
}

/* Variance of log(mean c / mean b) times n, by the delta method. */
static double spread(const struct moments *m, bool paired)
{
    double b = m->b / m->n, c = m->c / m->n;
    double vb = m->bb / m->n / (b * b) - 1, vc = m->cc / m->n / (c * c) - 1;
    return fmax(vb, 0) + fmax(vc, 0) - (paired ? 2 * (m->bc / m->n / (b * c) - 1) : 0);
}

static struct moments of_samples(const struct exp_power *p)
{
    struct moments all = {0}, cand = {0};
    for (uint64_t i = 0; i < p->n_baseline; i++)
        add(&all, p->baseline[i], p->paired ? p->candidate[i] : p->baseline[i]);
    if (p->paired) return all;
    for (uint64_t i = 0; i < p->n_candidate; i++) add(&cand, p->candidate[i], p->candidate[i]);
    all.c = cand.c * all.n / cand.n;
    all.cc = cand.cc * all.n / cand.n;
    return all;
}

uint64_t exp_power_formula(const struct exp_power *p)
{
    struct moments m = of_samples(p);
    double z = gsl_cdf_ugaussian_Pinv(1 - LEVEL / 2) + gsl_cdf_ugaussian_Pinv(POWER);
    double shift = log1p(p->rel_error), n = ceil(z * z * spread(&m, p->paired) / (shift * shift));
    return (uint64_t)fmin(fmax(n, LEAST_REQUESTS), MOST_REQUESTS);
}

/* Does a pilot of n requests find the difference? */
static bool finds(const struct exp_power *p, uint64_t n, double expected, gsl_rng *rng)
{
    struct moments m = {0};
    for (uint64_t i = 0; i < n; i++) {
        uint64_t b = gsl_rng_uniform_int(rng, (unsigned long)p->n_baseline);
        uint64_t c = p->paired ? b : gsl_rng_uniform_int(rng, (unsigned long)p->n_candidate);
        add(&m, p->baseline[b], p->candidate[c] * (1 + p->rel_error));
    }
    if (m.b <= 0 || m.c <= 0) return false;
    double off = log(m.c / m.b) - expected, error = sqrt(fmax(spread(&m, p->paired), 0) / m.n);
    return fabs(off) > gsl_cdf_ugaussian_Pinv(1 - LEVEL / 2) * error;
}

static double power_of(const struct exp_power *p, uint64_t n, double expected)
{
    gsl_rng *rng = rng_new(p->seed, "pilot power");
    int found = 0;
    for (int d = 0; d < DRAWS; d++) found += finds(p, n, expected, rng);
    gsl_rng_free(rng);
    return (double)found / DRAWS;
}

uint64_t exp_power_requests(const struct exp_power *p)
{
    SIM_CHECK(p->n_baseline > 1 && p->n_candidate > 1 && p->rel_error > 0);
    SIM_CHECK(!p->paired || p->n_baseline == p->n_candidate);
    uint64_t near = exp_power_formula(p), low = near / 3, high = 3 * near;
    if (near > FORMULA_ABOVE) return near;
    struct moments m = of_samples(p);
    double expected = log(m.c / m.b);
    if (low < LEAST_REQUESTS) low = LEAST_REQUESTS - 1;
    while (high - low > 1 + low / 64) {
        uint64_t middle = low + (high - low) / 2;
        if (power_of(p, middle, expected) >= POWER)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* ---- rates ---- */

double exp_rate_lower(uint64_t k, uint64_t n)
{
    return n == 0 ? 0
                  : 1 - mdl_failure_bound(n - k, n, 1 - ONE_SIDED); /* of those that do not fail, at most */
}

uint64_t exp_failures_allowed(uint64_t n, double limit)
{
    uint64_t low = 0, high = n + 1; /* low does not show it; high is taken to do so */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (exp_rate_lower(middle, n) > limit)
            high = middle;
        else
            low = middle;
    }
    return low;
}
