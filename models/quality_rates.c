#include "models/quality.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

/* ---- bounds ---- */

/* P(X <= x) = p of a beta distribution. GSL's own inverse finds none for many a, b (1/2 and 1552.5) and may not return. */
static double beta_quantile(double p, double a, double b)
{
    double low = 0, high = 1;
    for (int i = 0; i < 200; i++) {
        double middle = (low + high) / 2;
        if (middle <= low || middle >= high) break;
        *(gsl_cdf_beta_P(middle, a, b) < p ? &low : &high) = middle;
    }
    return high;
}

/* GSL's distribution has no value for larger ones. Of more samples, bounds are those of so many: wider. */
static const double MOST_OF_BETA = 1e6;

struct beta_counts {
    double failures, n;
};

static struct beta_counts limited(double failures, double n)
{
    double scale = n > MOST_OF_BETA ? MOST_OF_BETA / n : 1;
    return (struct beta_counts){scale * failures, scale * n};
}

double mdl_failure_bound(uint64_t failures, uint64_t n, double confidence)
{
    if (failures >= n) return 1;
    struct beta_counts c = limited((double)failures, (double)n);
    return beta_quantile(confidence, c.failures + 1, c.n - c.failures);
}

/* source: Brown, Cai, DasGupta 2001, Interval estimation for a binomial proportion, 4.1.2 */
static void set_jeffreys(struct mdl_quality_rates *r, double n)
{
    struct beta_counts c = limited(r->newly_failing * n, n);
    double good = fmax(c.n - c.failures, 0);
    r->newly_failing_lo = c.failures > 0 ? beta_quantile(0.05, c.failures + 0.5, good + 0.5) : 0;
    r->newly_failing_hi = good > 0 ? beta_quantile(0.95, c.failures + 0.5, good + 0.5) : 1;
}

/* ---- rates ---- */

/* One with samples, or NULL. */
static const struct mdl_quality_task *find_task(const struct mdl_quality *q, const char *name)
{
    for (uint32_t i = 0; i < q->n_tasks; i++)
        if (q->tasks[i].samples && strcmp(q->tasks[i].task, name) == 0) return &q->tasks[i];
    return NULL;
}

/* Share of the traffic that every task stands for, and of the mix that any stands for. Free with free(). */
static double *shares_of(const struct mdl_quality *q, const struct mdl_task_mix *mix, double *covered)
{
    double *share = sim_alloc(q->n_tasks, sizeof *share), all = 0, found = 0;
    for (uint32_t i = 0; !mix && i < q->n_tasks; i++) share[i] = (double)q->tasks[i].samples;
    for (uint32_t i = 0; mix && i < mix->n; i++) {
        const struct mdl_quality_task *t = find_task(q, mix->at[i].task);
        if (!(mix->at[i].share > 0)) continue;
        all += mix->at[i].share;
        if (!t) t = find_task(q, MDL_ANY_TASK);
        if (!t) continue;
        found += mix->at[i].share;
        share[t - q->tasks] += mix->at[i].share;
    }
    *covered = mix ? found / all : 1;
    return share;
}

static const struct mdl_quality_rates unknown = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, 0, 0, 0};

struct sums {
    double share, failing, fixed, benign, worse, better;
    double length_share, length;
    double spread; /* sum of share^2 / samples */
    uint64_t samples;
};

static void add_task(struct sums *s, const struct mdl_quality_task *t, double share)
{
    double weight = share / (double)t->samples; /* of one sample */
    if (!(share > 0)) return;
    s->share += share;
    s->failing += weight * (double)t->negatives;
    s->fixed += weight * (double)t->fixed;
    s->benign += weight * (double)t->benign;
    s->worse += weight * (double)t->worse;
    s->better += weight * (double)t->better;
    s->spread += weight * share;
    s->samples += t->samples;
    if (isnan(t->length_ratio)) return;
    s->length_share += share;
    s->length += share * t->length_ratio;
}

/* Samples of an estimate over tasks that are weighted: as many as would weigh alike. source: Kish 1965, 11.7 */
static double effective_samples(const struct sums *s)
{
    return s->share * s->share / s->spread;
}

static struct mdl_quality_rates rates_of(const struct sums *s)
{
    struct mdl_quality_rates r = {.newly_failing = s->failing / s->share,
                                  .newly_fixed = s->fixed / s->share,
                                  .negative_rate = s->benign > 0 ? s->failing / s->benign : (double)NAN,
                                  .worse = s->worse / s->share,
                                  .better = s->better / s->share,
                                  .length_ratio = s->length / s->length_share,
                                  .samples = s->samples};
    set_jeffreys(&r, effective_samples(s));
    return r;
}

struct mdl_quality_rates mdl_quality_rates(const struct mdl_quality *q, const struct mdl_task_mix *mix)
{
    struct mdl_quality_rates r = unknown;
    struct sums s = {.share = 0};
    double covered;
    if (!mdl_quality_known(q)) return r;
    if (mdl_quality_by_definition(q)) return (struct mdl_quality_rates){.covered = 1, .length_ratio = 1};
    double *share = shares_of(q, mix && mix->n ? mix : NULL, &covered);
    for (uint32_t i = 0; i < q->n_tasks; i++) add_task(&s, &q->tasks[i], share[i]);
    free(share);
    if (s.share > 0) r = rates_of(&s);
    r.covered = covered;
    for (uint32_t i = 0; i < q->n_tasks; i++) {
        r.critical += q->tasks[i].critical;
        r.critical_failures += q->tasks[i].critical_failures;
    }
    return r;
}
