#include "experiments/tuning/book.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/parallel.h"
#include "sim/memory.h"

struct exp_tune_book {
    struct exp_tune_task task;
    struct exp_tune_trial **trial;
    uint32_t n;
};

struct exp_tune_book *exp_tune_book_new(const struct exp_tune_task *task)
{
    struct exp_tune_book *b = sim_alloc(1, sizeof *b);
    b->task = *task;
    return b;
}

void exp_tune_book_free(struct exp_tune_book *b)
{
    if (!b) return;
    for (uint32_t i = 0; i < b->n; i++) {
        exp_setup_free(b->trial[i]->setup);
        free(b->trial[i]->scenario);
        free(b->trial[i]->sample);
        free(b->trial[i]);
    }
    free(b->trial);
    free(b);
}

struct exp_tune_trial *exp_tune_book_at(struct exp_tune_book *b, const struct exp_tune_setting *s)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (memcmp(&b->trial[i]->setting, s, sizeof *s) == 0) return b->trial[i];
    struct exp_tune_trial *t = sim_alloc(1, sizeof *t);
    t->setting = *s;
    t->newly_failing = NAN;
    b->trial = sim_realloc(b->trial, b->n + 1, sizeof(struct exp_tune_trial *));
    return b->trial[b->n++] = t;
}

uint32_t exp_tune_book_count(const struct exp_tune_book *b)
{
    return b->n;
}

struct exp_tune_trial *exp_tune_book_trial(const struct exp_tune_book *b, uint32_t i)
{
    return b->trial[i];
}

/* ---- a trial made ---- */

static bool set_fleet(const struct exp_tune_task *task, struct exp_tune_trial *t, uint32_t fleet,
                      struct sim_status *st)
{
    for (uint32_t i = 0; i < task->n_parameters; i++) {
        enum mdl_kv_key key = task->parameter[i].key;
        char path[96];
        snprintf(path, sizeof path, "fleet.%u.kv.%s", fleet, mdl_kv_key_info(key)->name);
        if (!exp_scenario_set(t->scenario, path, exp_tune_value_text(key, t->setting.value[i]).text, st))
            return false;
    }
    return true;
}

static bool set_scenario(const struct exp_tune_task *task, struct exp_tune_trial *t, struct sim_status *st)
{
    t->scenario = exp_scenario_copy(task->base);
    for (uint32_t f = 0; f < t->scenario->n_fleets; f++)
        if (t->scenario->fleet[f].kv.strategy == task->strategy && !set_fleet(task, t, f, st)) return false;
    return true;
}

static const struct exp_fleet_setup *
tuned_fleet(const struct exp_tune_task *task, const struct exp_tune_trial *t, const struct exp_kv_keys **keys)
{
    uint32_t f = 0;
    while (t->scenario->fleet[f].kv.strategy != task->strategy) f++;
    *keys = &t->scenario->fleet[f].kv;
    return &t->setup->fleets[f];
}

/* What the record says of these parameters; a limit refuses what was never scored. */
static bool look_up_quality(const struct exp_tune_task *task, struct exp_tune_trial *t, struct sim_status *st)
{
    const struct exp_kv_keys *k;
    const struct exp_fleet_setup *f = tuned_fleet(task, t, &k);
    const struct mdl_quality *q = exp_cache_quality(task->cache, &f->kv.use, k->quality, st);
    if (!q) return false;
    snprintf(t->quality_source, sizeof t->quality_source, "%s", q->source);
    if (mdl_quality_known(q)) t->newly_failing = mdl_quality_rates(q, NULL).newly_failing;
    if (mdl_quality_by_definition(q)) t->newly_failing = 0;
    if (isnan(task->max_negatives)) return true;
    t->fate = EXP_TUNE_REFUSED;
    if (isnan(t->newly_failing)) return sim_fail(st, "its answers were never scored: %s", q->source);
    if (t->newly_failing > task->max_negatives)
        return sim_fail(st, "%.2f %% of its answers newly fail", 100 * t->newly_failing);
    t->fate = EXP_TUNE_IN;
    return true;
}

/* Without the scenario's file in front of every line. */
static void keep_reason(struct exp_tune_trial *t, const struct sim_status *why)
{
    const char *text = strstr(why->message, "kv.");
    bool refused = t->fate == EXP_TUNE_REFUSED;
    snprintf(t->why, sizeof t->why, "%s", text && !refused ? text : why->message);
    t->code = why->code;
    if (refused && t->usual) return;
    if (!refused) t->fate = EXP_TUNE_CANNOT;
    exp_setup_free(t->setup);
    t->setup = NULL;
}

static void make(const struct exp_tune_task *task, struct exp_tune_trial *t)
{
    struct sim_status why = {0};
    if (t->scenario) return;
    if (!set_scenario(task, t, &why) || !(t->setup = exp_setup_new(t->scenario, task->cache, NULL, &why)) ||
        !look_up_quality(task, t, &why))
        keep_reason(t, &why);
}

/* ---- samples ---- */

struct work {
    struct exp_tune_trial *trial;
    uint32_t k;
    struct sim_status st;
};

struct round {
    const struct exp_tune_task *task;
    struct exp_tune_trial *const *trials;
    struct work *work;
};

/* Of a trial that stands there twice the first one counts. */
static bool listed(struct exp_tune_trial *const *trials, uint32_t n, const struct exp_tune_trial *t)
{
    for (uint32_t i = 0; i < n; i++)
        if (trials[i] == t) return true;
    return false;
}

static void make_one(void *round, uint32_t i)
{
    struct round *r = round;
    if (!listed(r->trials, i, r->trials[i])) make(r->task, r->trials[i]);
}

static void sample_one(void *round, uint32_t i)
{
    struct round *r = round;
    struct work *w = &r->work[i];
    exp_tune_sample(r->task, w->trial, r->task->first + w->k, &w->trial->sample[w->k], &w->st);
}

static uint32_t plan(struct round *r, uint32_t n_trials, uint32_t n)
{
    uint32_t n_work = 0;
    r->work = sim_alloc((size_t)n_trials * n + 1, sizeof *r->work);
    for (uint32_t i = 0; i < n_trials; i++) {
        struct exp_tune_trial *t = r->trials[i];
        if (!t->setup || t->n >= n || listed(r->trials, i, t)) continue;
        t->sample = sim_realloc(t->sample, n, sizeof *t->sample);
        for (uint32_t k = t->n; k < n; k++) r->work[n_work++] = (struct work){.trial = t, .k = k};
    }
    return n_work;
}

void exp_tune_book_fill(struct exp_tune_book *b, struct exp_tune_trial *const *trials, uint32_t n_trials,
                        uint32_t n)
{
    struct round r = {.task = &b->task, .trials = trials};
    exp_parallel(n_trials, b->task.n_threads, make_one, &r);
    uint32_t n_work = plan(&r, n_trials, n);
    exp_parallel(n_work, b->task.n_threads, sample_one, &r);
    for (uint32_t i = 0; i < n_work; i++) {
        struct exp_tune_trial *t = r.work[i].trial;
        if (r.work[i].st.message[0] && t->setup) {
            t->n = 0;
            keep_reason(t, &r.work[i].st);
        }
        if (t->setup) t->n = n;
    }
    free(r.work);
}

/* ---- what samples say ---- */

double exp_tune_mean(const struct exp_tune_trial *t)
{
    return t->n ? gsl_stats_mean(&t->sample->value, sizeof *t->sample / sizeof(double), t->n) : (double)NAN;
}

double exp_tune_mean_margin(const struct exp_tune_trial *t)
{
    return t->n ? gsl_stats_mean(&t->sample->margin, sizeof *t->sample / sizeof(double), t->n) : (double)NAN;
}

double exp_tune_attained(const struct exp_tune_trial *t)
{
    return t->n ? gsl_stats_mean(&t->sample->attained, sizeof *t->sample / sizeof(double), t->n)
                : (double)NAN;
}

uint32_t exp_tune_met_in(const struct exp_tune_trial *t)
{
    uint32_t met = 0;
    for (uint32_t k = 0; k < t->n; k++) met += t->sample[k].margin >= 0;
    return met;
}

bool exp_tune_meets(const struct exp_tune_trial *t)
{
    return t->n && exp_tune_mean_margin(t) >= 0;
}

bool exp_tune_usable(const struct exp_tune_trial *t)
{
    return t->n > 0 && t->fate != EXP_TUNE_REFUSED;
}

bool exp_tune_better(const struct exp_tune_trial *a, const struct exp_tune_trial *b)
{
    bool meets = exp_tune_meets(a);
    if (!exp_tune_usable(a) || !exp_tune_usable(b)) return exp_tune_usable(a) && !exp_tune_usable(b);
    if (meets != exp_tune_meets(b)) return meets;
    if (!meets && exp_tune_mean_margin(a) != exp_tune_mean_margin(b))
        return exp_tune_mean_margin(a) > exp_tune_mean_margin(b);
    return exp_tune_mean(a) > exp_tune_mean(b);
}

struct exp_band exp_tune_band_of(const double *values, uint32_t n)
{
    if (n == 0) return (struct exp_band){NAN, NAN, NAN};
    double *v = sim_alloc(n, sizeof *v);
    memcpy(v, values, n * sizeof *v);
    struct exp_band band = exp_band_of(v, n);
    free(v);
    return band;
}

struct exp_band exp_tune_gain(const struct exp_tune_trial *a, const struct exp_tune_trial *b)
{
    uint32_t n = a->n < b->n ? a->n : b->n;
    double *d = sim_alloc(n + 1, sizeof *d), base = 0;
    for (uint32_t k = 0; k < n; k++) base += fabs(b->sample[k].value) / n;
    for (uint32_t k = 0; k < n; k++) {
        double by = a->sample[k].value - b->sample[k].value;
        d[k] = base > 0 ? by / base : by > 0 ? (double)INFINITY : 0;
    }
    struct exp_band gain = exp_tune_band_of(d, n);
    free(d);
    return gain;
}
