/* Samples of a study: sample i of a key is a function of (seed, key, i), whatever else varies. A latin hypercube gives each of
 * n equal slices of a key's range exactly one sample; the order of slices is a permutation that is computed, not stored. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "experiments/study/study_parts.h"
#include "sim/random.h"

/* A permutation of 0..4^half - 1 keyed by seed and stream: a Feistel network, whose round function may be anything. */
static uint64_t shuffle(const struct exp_study *s, uint64_t stream, uint64_t x, unsigned half)
{
    enum { ROUNDS = 6 };
    uint64_t mask = ((uint64_t)1 << half) - 1, left = x >> half, right = x & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t next = left ^ (sim_random_u64(s->seed, stream, right * ROUNDS + round) & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

/* A permutation of 0..n - 1: what leads out of it is shuffled again. */
static uint64_t slice(const struct exp_study *s, uint64_t stream, uint64_t i)
{
    unsigned half = 1;
    while ((uint64_t)1 << 2 * half < s->n_samples) half++;
    do i = shuffle(s, stream, i, half);
    while (i >= s->n_samples);
    return i;
}

/* In (0, 1). */
static double share(const struct exp_study *s, const struct exp_study_sampler *k, uint64_t i)
{
    double inside = sim_random_unit(s->seed, k->inside, i);
    if (s->uniform) return inside;
    return ((double)slice(s, k->order, i) + inside) / (double)s->n_samples;
}

const struct exp_study_value *exp_study_choice(const struct exp_study *s, const struct exp_study_sampler *k,
                                               uint64_t i)
{
    uint64_t at = (uint64_t)(share(s, k, i) * (double)k->n_choices);
    return &k->choice[at < k->n_choices ? at : k->n_choices - 1];
}

/* Six digits of the range's width: every machine has the same, and people can read them. */
static double rounded(const struct exp_study_span *x, double value)
{
    char text[EXP_SAMPLED_BYTES];
    double most = fmax(fabs(x->from), fabs(x->to)), narrow = floor(log10(most / (x->to - x->from)));
    snprintf(text, sizeof text, "%.*g", (int)fmin(6 + fmax(narrow, 0), 15), value);
    return fmin(fmax(strtod(text, NULL), x->from), x->to);
}

void exp_study_sample(const struct exp_study *s, const struct exp_study_sampler *k, uint64_t i,
                      char text[EXP_SAMPLED_BYTES])
{
    const struct exp_study_span *x = &k->span;
    double u = share(s, k, i), to = x->to + (x->whole ? 1 : 0); /* each whole number as likely */
    double value = x->log ? exp(log(x->from) + u * (log(to) - log(x->from))) : x->from + u * (to - x->from);
    if (x->whole)
        snprintf(text, EXP_SAMPLED_BYTES, "%.0f", fmin(floor(x->log ? rounded(x, value) : value), x->to));
    else
        snprintf(text, EXP_SAMPLED_BYTES, "%.15g", rounded(x, value));
}
