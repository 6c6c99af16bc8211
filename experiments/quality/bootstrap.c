#include "experiments/quality/evaluate.h"

#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"
#include "traces/synth_rng.h"

static const double LOW = 0.05, HIGH = 0.95;

/* A compared sample, in as few bytes as it takes: they are drawn all over memory. */
struct unit {
    double change;
    uint32_t task, base_tokens, tokens;
    bool benign, negative, fixed, worse, better;
};

struct sums {
    double change;
    uint64_t benign, negative, fixed, worse, better, base_tokens, tokens;
};

enum figure { NEGATIVE, NEWLY_FAILING, NEWLY_FIXED, NET, WORSE, BETTER, CHANGE, LENGTH, N_FIGURES };

struct drawing {
    const struct unit *unit;
    uint32_t n_units;
};

static struct unit unit_of(const struct exp_scores *s, const struct exp_quality_result *r,
                           const struct exp_quality_options *o, uint32_t i)
{
    const struct exp_score *base = &s->score[o->baseline][i], *own = &s->score[r->set.method[0]][i];
    double change = exp_quality_score(s, &r->set, i) - base->score;
    bool pair = r->set.n == 1 && base->output_tokens != EXP_NO_TOKENS && own->output_tokens != EXP_NO_TOKENS;
    return (struct unit){.task = s->sample[i].task,
                         .change = change,
                         .benign = r->benign[i],
                         .negative = r->negative[i],
                         .fixed = r->fixed[i],
                         .worse = change<0, .better = change> 0,
                         .base_tokens = pair ? base->output_tokens : 0,
                         .tokens = pair ? own->output_tokens : 0};
}

static void add_unit(struct sums *sum, const struct unit *u)
{
    sum->change += u->change;
    sum->benign += u->benign;
    sum->negative += u->negative;
    sum->fixed += u->fixed;
    sum->worse += u->worse;
    sum->better += u->better;
    sum->base_tokens += u->base_tokens;
    sum->tokens += u->tokens;
}

static void figures_of(const struct drawing *d, const struct sums *sum, double mean_change, double *out)
{
    double n = d->n_units, benign = (double)sum->benign, base = (double)sum->base_tokens;
    out[NEGATIVE] = benign > 0 ? (double)sum->negative / benign : NAN;
    out[NEWLY_FAILING] = (double)sum->negative / n;
    out[NEWLY_FIXED] = (double)sum->fixed / n;
    out[NET] = out[NEWLY_FAILING] - out[NEWLY_FIXED];
    out[WORSE] = (double)sum->worse / n;
    out[BETTER] = (double)sum->better / n;
    out[CHANGE] = mean_change;
    out[LENGTH] = base > 0 ? (double)sum->tokens / base : NAN;
}

/* Every task's samples once (rng NULL), or as many of them drawn again. */
static void draw(const struct drawing *d, gsl_rng *rng, double *out)
{
    struct sums all = {.change = 0};
    double changes = 0;
    uint32_t n_tasks = 0;
    for (uint32_t from = 0, to; from < d->n_units; from = to) {
        for (to = from; to < d->n_units && d->unit[to].task == d->unit[from].task;) to++;
        double before = all.change;
        for (uint32_t i = from; i < to; i++)
            add_unit(&all, &d->unit[rng ? from + gsl_rng_uniform_int(rng, to - from) : i]);
        changes += (all.change - before) / (to - from);
        n_tasks++;
    }
    figures_of(d, &all, changes / n_tasks, out);
}

static struct exp_band band_of(double point, double *draws, uint32_t n_draws)
{
    size_t n = 0;
    for (uint32_t i = 0; i < n_draws; i++)
        if (!isnan(draws[i])) draws[n++] = draws[i];
    if (n == 0) return (struct exp_band){point, NAN, NAN};
    gsl_sort(draws, 1, n);
    return (struct exp_band){point, gsl_stats_quantile_from_sorted_data(draws, 1, n, LOW),
                             gsl_stats_quantile_from_sorted_data(draws, 1, n, HIGH)};
}

/* None of n, or all of them, is what every draw is: Clopper and Pearson say how far it may be from the truth. */
static void open_end(struct exp_band *b, double n)
{
    double far = -expm1(log(LOW) / n);
    if (isnan(b->lo) || !(n > 0)) return;
    if (b->mean == 0) b->hi = far;
    if (b->mean == 1) b->lo = 1 - far;
}

static void open_ends(struct exp_quality_bands *b, const struct exp_quality_count *c)
{
    open_end(&b->negative_rate, (double)c->benign);
    open_end(&b->newly_failing, (double)c->samples);
    open_end(&b->newly_fixed, (double)c->samples);
    open_end(&b->worse, (double)c->samples);
    open_end(&b->better, (double)c->samples);
}

struct exp_quality_bands exp_quality_bootstrap(const struct exp_scores *s, const struct exp_quality_result *r,
                                               const struct exp_quality_options *options, uint32_t n_draws,
                                               uint64_t seed)
{
    struct unit *unit = sim_alloc(s->n_samples, sizeof *unit);
    struct drawing d = {.unit = unit};
    for (uint32_t i = 0; i < s->n_samples; i++)
        if (exp_quality_compares(s, &r->set, options, i)) unit[d.n_units++] = unit_of(s, r, options, i);
    double point[N_FIGURES], one[N_FIGURES],
        *draws = sim_alloc((size_t)n_draws + 1, N_FIGURES * sizeof *draws);
    struct exp_band band[N_FIGURES];
    struct trc_rng rng;
    trc_rng_init(&rng, seed, "quality bootstrap");
    draw(&d, NULL, point);
    for (uint32_t i = 0; i < n_draws; i++) {
        draw(&d, &rng.gsl, one);
        for (int f = 0; f < N_FIGURES; f++) draws[(size_t)f * n_draws + i] = one[f];
    }
    for (int f = 0; f < N_FIGURES; f++) band[f] = band_of(point[f], draws + (size_t)f * n_draws, n_draws);
    free(draws);
    free(unit);
    struct exp_quality_bands out = {band[NEGATIVE], band[NEWLY_FAILING], band[NEWLY_FIXED], band[NET],
                                    band[WORSE],    band[BETTER],        band[CHANGE],      band[LENGTH]};
    open_ends(&out, &r->all);
    return out;
}
