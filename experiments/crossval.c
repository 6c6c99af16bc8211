#include "experiments/crossval.h"

#include "experiments/cli.h"
#include "experiments/parallel.h"
#include "experiments/replicate.h"
#include "sim/memory.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDS = 5 };

/* Half width of a central 90 % interval in standard deviations. */
static const double Z_90 = 1.6448536269514722;

static const struct mdl_engine *engine_of(const struct exp_reruns *t, uint32_t i)
{
    return &t->trial[i].setup->fleets[0].engine;
}

uint32_t exp_choose_engine(const struct exp_reruns *t, const char *engine, bool *chosen)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++) n += chosen[i] = strcmp(engine_of(t, i)->name, engine) == 0;
    return n;
}

/* The first trial from i on whose engine no earlier trial has; t->n when there is none. */
static uint32_t next_engine(const struct exp_reruns *t, uint32_t i)
{
    for (; i < t->n; i++) {
        uint32_t k = 0;
        while (k < i && strcmp(engine_of(t, k)->name, engine_of(t, i)->name) != 0) k++;
        if (k == i) break;
    }
    return i;
}

/* --- leaving out --- */

static uint32_t choose_split(const struct exp_reruns *t, const char *engine, uint32_t tp, bool *in, bool *out)
{
    uint32_t n_in = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        bool same = strcmp(engine_of(t, i)->name, engine) == 0;
        bool left_out = t->trial[i].point->tensor_parallel == tp;
        out[i] = same && left_out;
        n_in += in[i] = same && !left_out;
    }
    return n_in;
}

/* Judges on what was left out, before another fit runs these trials again. */
static void judge(struct exp_reruns *t, const bool *left, const struct mdl_engine *engine,
                  struct exp_rerun *kept, bool *judged)
{
    exp_reruns_run(t, left, engine);
    for (uint32_t i = 0; i < t->n; i++) {
        if (!left[i]) continue;
        kept[i] = t->trial[i];
        judged[i] = true;
    }
}

bool exp_leave_one_tp_out(struct exp_reruns *t, struct exp_crossval *out, struct sim_status *st)
{
    bool *in = sim_alloc(t->n, sizeof *in), *left = sim_alloc(t->n, sizeof *left), ok = true;
    bool *done = sim_alloc(t->n, sizeof *done), *judged = sim_alloc(t->n, sizeof *judged);
    struct exp_reruns kept = {.trial = sim_alloc(t->n, sizeof *kept.trial), .n = t->n};
    for (uint32_t i = 0; ok && i < t->n; i++) {
        if (done[i]) continue;
        struct mdl_engine engine = *engine_of(t, i);
        uint32_t tp = t->trial[i].point->tensor_parallel, n = choose_split(t, engine.name, tp, in, left);
        for (uint32_t k = 0; k < t->n; k++) done[k] |= left[k];
        if (!n) {
            fprintf(stderr, "note: %s was measured at TP %u only, which no fit can leave out\n", engine.name,
                    (unsigned)tp);
            continue;
        }
        fprintf(stderr, "fitting %s without TP %u\n", engine.name, (unsigned)tp);
        ok = exp_fit_engine(t, in, &engine, st);
        if (ok) judge(t, left, &engine, kept.trial, judged);
    }
    if (ok)
        *out = (struct exp_crossval){exp_reruns_errors(&kept, EXP_TPOT, judged),
                                     exp_reruns_errors(&kept, EXP_TTFT, judged)};
    free(kept.trial);
    free(judged);
    free(done);
    free(left);
    free(in);
    return ok;
}

bool exp_cross_sources(struct exp_reruns *t,
                       void (*show)(void *user, const char *what, const struct exp_reruns *t,
                                    const bool *chosen),
                       void *user, struct sim_status *st)
{
    bool *in = sim_alloc(t->n, sizeof *in), *judged = sim_alloc(t->n, sizeof *judged), ok = true;
    for (uint32_t i = next_engine(t, 0); ok && i < t->n; i = next_engine(t, i + 1)) {
        struct mdl_engine engine = *engine_of(t, i);
        if (exp_choose_engine(t, engine.name, in) == t->n) break;
        ok = exp_fit_engine(t, in, &engine, st);
        for (uint32_t j = next_engine(t, 0); ok && j < t->n; j = next_engine(t, j + 1)) {
            if (j == i) continue;
            char what[128];
            exp_choose_engine(t, engine_of(t, j)->name, judged);
            exp_reruns_run(t, judged, &engine);
            snprintf(what, sizeof what, "%s by %s", engine_of(t, j)->name, engine.name);
            show(user, what, t, judged);
        }
    }
    free(judged);
    free(in);
    return ok;
}

/* --- intervals --- */

struct spread {
    double ttft, tpot; /* variance of the log prediction over operator errors */
};

struct draws {
    struct exp_reruns *t;
    struct exp_cache *cache; /* filled already: only looked up */
    struct spread *spread;
    uint32_t n_draws;
    bool failed;    /* out of the ordinary: every set-up passed once */
    pthread_t main; /* the thread that shows progress */
    struct exp_progress progress;
};

/* Predicts one trial again under draw k of operator errors and the engine numbers that it has now, without a
 * residual: that is added in closed form. */
static bool draw(const struct draws *d, const struct exp_rerun *x, uint32_t k, double *ttft, double *tpot,
                 struct sim_status *st)
{
    struct exp_factors factors;
    exp_factors_draw(x->setup, x->scenario->seed, k, &factors);
    factors.residual[0] = 1;
    struct exp_rerun again = {.point = x->point};
    again.setup = exp_setup_new(x->scenario, d->cache, &factors, st);
    if (!again.setup) return false;
    exp_rerun_set_engine(&again, &x->setup->fleets[0].engine);
    exp_rerun_run(&again);
    *ttft = log(again.ttft_ms / x->ttft_ms);
    *tpot = log(again.tpot_ms / x->tpot_ms);
    exp_setup_free(again.setup);
    return true;
}

static void draw_trial(void *user, uint32_t i)
{
    struct draws *d = user;
    struct spread sum = {0, 0};
    if (pthread_equal(pthread_self(), d->main)) exp_progress_show(&d->progress, (double)i / d->t->n);
    for (uint32_t k = 0; k < d->n_draws && !__atomic_load_n(&d->failed, __ATOMIC_RELAXED); k++) {
        double ttft, tpot;
        struct sim_status st = {0};
        if (!draw(d, &d->t->trial[i], k, &ttft, &tpot, &st)) {
            __atomic_store_n(&d->failed, true, __ATOMIC_RELAXED);
            return;
        }
        sum.ttft += ttft * ttft;
        sum.tpot += tpot * tpot;
    }
    d->spread[i] = (struct spread){sum.ttft / d->n_draws, sum.tpot / d->n_draws};
}

static double squared_log_error(const struct exp_rerun *x, enum exp_quantity q)
{
    double e = q == EXP_TTFT ? log(x->point->ttft_ms / x->ttft_ms) : log(x->point->tpot_ms / x->tpot_ms);
    return e * e;
}

/* Variance beyond operator errors, from the trials of the same engine in other folds; without any, what the
 * engine file states. */
static double residual_variance(const struct draws *d, uint32_t i, enum exp_quantity q)
{
    const struct mdl_engine *own = engine_of(d->t, i);
    double sum = 0, stated = q == EXP_TTFT ? own->residual_ttft_frac : own->residual_frac;
    uint32_t n = 0;
    for (uint32_t k = 0; k < d->t->n; k++) {
        if (k % FOLDS == i % FOLDS || strcmp(engine_of(d->t, k)->name, own->name) != 0) continue;
        sum += squared_log_error(&d->t->trial[k], q);
        sum -= q == EXP_TTFT ? d->spread[k].ttft : d->spread[k].tpot;
        n++;
    }
    return n ? fmax(0, sum) / n : stated * stated;
}

static bool set_interval(const struct draws *d, uint32_t i, enum exp_quantity q)
{
    struct exp_rerun *x = &d->t->trial[i];
    double own = q == EXP_TTFT ? d->spread[i].ttft : d->spread[i].tpot;
    double half = Z_90 * sqrt(own + residual_variance(d, i, q));
    double center = q == EXP_TTFT ? x->ttft_ms : x->tpot_ms,
           truth = q == EXP_TTFT ? x->point->ttft_ms : x->point->tpot_ms;
    *(q == EXP_TTFT ? &x->ttft_lo : &x->tpot_lo) = center * exp(-half);
    *(q == EXP_TTFT ? &x->ttft_hi : &x->tpot_hi) = center * exp(half);
    return fabs(log(truth / center)) <= half;
}

bool exp_intervals(struct exp_reruns *t, struct exp_cache *cache, uint32_t n_draws, struct exp_coverage *out,
                   struct sim_status *st)
{
    struct draws d = {.t = t,
                      .cache = cache,
                      .spread = sim_alloc(t->n, sizeof *d.spread),
                      .n_draws = n_draws,
                      .main = pthread_self(),
                      .progress = exp_progress_begin("drawing operator errors")};
    uint32_t ttft = 0, tpot = 0;
    exp_parallel(t->n, t->n_threads, draw_trial, &d);
    exp_progress_end(&d.progress);
    for (uint32_t i = 0; i < t->n && !d.failed; i++) {
        ttft += set_interval(&d, i, EXP_TTFT);
        tpot += set_interval(&d, i, EXP_TPOT);
    }
    if (!d.failed) *out = (struct exp_coverage){t->n, (double)tpot / t->n, (double)ttft / t->n};
    free(d.spread);
    return !d.failed ||
           sim_fail(st, "a point that could be simulated could not be repeated under operator errors");
}
