/* Racing: Maron and Moore 1997; with blocks and paired tests as Birattari et al. 2002. */
#include <gsl/gsl_cdf.h>
#include <math.h>

#include "experiments/tuning/parts.h"

static const double WRONG = 0.05; /* chance that the best is dropped, over all rivals and blocks */

/* One-sided paired t-test: chance to see a lead like this of n differences if there were none. */
static double chance(const double *d, uint32_t n)
{
    double mean = 0, squares = 0;
    for (uint32_t k = 0; k < n; k++) mean += d[k] / n;
    for (uint32_t k = 0; k < n; k++) squares += (d[k] - mean) * (d[k] - mean);
    double error = sqrt(squares / (n - 1.0) / n);
    if (!(mean > 0)) return 1;
    if (!(error > 1e-12 * mean)) return 0;
    return gsl_cdf_tdist_Q(mean / error, n - 1.0);
}

/* What the leader has over another one in replication k: of the objective; of one that misses the service levels, what it
 * lacks; and where both miss them, the way to them. */
static double lead(const struct exp_tune_trial *leader, const struct exp_tune_trial *t, uint32_t k)
{
    const struct exp_tune_sample *a = &leader->sample[k], *b = &t->sample[k];
    if (!exp_tune_meets(leader)) return a->margin - b->margin;
    return exp_tune_meets(t) ? a->value - b->value : -b->margin;
}

static bool is_worse(const struct exp_tune_trial *leader, const struct exp_tune_trial *t, double wrong)
{
    double d[EXP_TUNE_REPLICATIONS];
    uint32_t n = leader->n < t->n ? leader->n : t->n;
    for (uint32_t k = 0; k < n; k++) d[k] = lead(leader, t, k);
    return n >= 2 && chance(d, n) < wrong;
}

static uint32_t leader_of(struct exp_tune_trial **trials, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (exp_tune_better(trials[i], trials[best])) best = i;
    return best;
}

/* Keeps those that are not worse; the usual setting, first, always. */
static uint32_t drop_worse(struct exp_tune_trial **trials, uint32_t n, double wrong)
{
    struct exp_tune_trial *leader = trials[leader_of(trials, n)];
    uint32_t kept = 0;
    if (exp_tune_usable(leader)) leader->fate = EXP_TUNE_IN; /* the usual setting may come back */
    for (uint32_t i = 0; i < n; i++) {
        struct exp_tune_trial *t = trials[i];
        if (t->fate == EXP_TUNE_IN && t != leader && is_worse(leader, t, wrong)) {
            t->fate = EXP_TUNE_DROPPED;
            t->dropped_after = t->n;
        }
        if (i == 0 || t->fate == EXP_TUNE_IN) trials[kept++] = t;
    }
    return kept;
}

static bool undecided(struct exp_tune_trial **trials, uint32_t n)
{
    uint32_t in = 0;
    for (uint32_t i = 0; i < n; i++) in += trials[i]->fate == EXP_TUNE_IN;
    return in > 1;
}

static void put_best_first(struct exp_tune_trial **trials, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k > 0 && exp_tune_better(trials[k], trials[k - 1]); k--) {
            struct exp_tune_trial *t = trials[k];
            trials[k] = trials[k - 1];
            trials[k - 1] = t;
        }
}

uint32_t exp_tune_race(const struct exp_tune_round *r, struct exp_tune_trial **trials, uint32_t n)
{
    uint32_t done = 0, blocks = (r->n_replications + EXP_TUNE_BLOCK - 1) / EXP_TUNE_BLOCK;
    double wrong = WRONG / ((n > 1 ? n - 1.0 : 1.0) * blocks);
    while (done < r->n_replications && (done == 0 || undecided(trials, n))) {
        done = done + EXP_TUNE_BLOCK < r->n_replications ? done + EXP_TUNE_BLOCK : r->n_replications;
        exp_tune_book_fill(r->book, trials, n, done);
        exp_progress_show(r->progress, 0.8 * done / r->n_replications);
        n = drop_worse(trials, n, wrong);
    }
    uint32_t kept = 0;
    exp_tune_book_fill(r->book, trials, n, r->n_replications);
    for (uint32_t i = 0; i < n; i++)
        if (trials[i]->fate == EXP_TUNE_IN) trials[kept++] = trials[i];
    put_best_first(trials, kept);
    return kept;
}
