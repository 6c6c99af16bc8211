#include "experiments/tuning/shift.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/run.h"
#include "experiments/tuning/parts.h"
#include "models/strategies/adaptive.h"
#include "sim/line_in.h"

/* ---- --rates ---- */

static bool read_rate(const char **at, double *out)
{
    char *end;
    *out = strtod(*at, &end);
    bool ok = end != *at && *out >= 0 && *out <= 1;
    *at = end;
    return ok;
}

static bool read_rates(const char **at, struct exp_tune_rates *out)
{
    out->correction = NAN;
    if (!read_rate(at, &out->miss)) return false;
    if (**at != '/') return true;
    ++*at;
    return read_rate(at, &out->correction);
}

bool exp_tune_rates_parse(const char *text, struct exp_tune_rates *before, struct exp_tune_rates *after,
                          struct sim_status *st)
{
    const char *at = text;
    *before = (struct exp_tune_rates){EXP_TUNE_MISS_BEFORE, NAN};
    *after = (struct exp_tune_rates){EXP_TUNE_MISS_AFTER, NAN};
    if (!text) return true;
    if (read_rates(&at, before) && *at == ',' && (at++, read_rates(&at, after)) && !*at &&
        isnan(before->correction) == isnan(after->correction))
        return true;
    return sim_fail_as(
        st, SIM_EXIT_USAGE,
        "--rates `%s`: expected miss rates before and after the change, as in 0.1,0.3, or with "
        "correction rates behind both, as in 0.1/0.37,0.3/0.89; shares from 0 to 1",
        sim_excerpt(text, strlen(text)).text);
}

/* ---- three loads: the change, and each half's rates throughout ---- */

enum variant { CHANGE, BEFORE, AFTER, N_VARIANTS };

static bool set(struct exp_scenario *s, const char *key, double value, int strategy, struct sim_status *st)
{
    for (uint32_t f = 0; f < s->n_fleets; f++) {
        char path[96], text[40];
        if (s->fleet[f].kv.strategy != strategy) continue;
        snprintf(path, sizeof path, "fleet.%u.kv.%s", f, key);
        snprintf(text, sizeof text, "%.17g", value);
        if (!exp_scenario_set(s, path, text, st)) return false;
    }
    return true;
}

static bool set_rates(struct exp_scenario *s, const char *place, struct exp_tune_rates r, int strategy,
                      struct sim_status *st)
{
    char miss[64], correction[64];
    snprintf(miss, sizeof miss, "%smiss_rate", place);
    snprintf(correction, sizeof correction, "%scorrection_rate", place);
    return set(s, miss, r.miss, strategy, st) &&
           (isnan(r.correction) || set(s, correction, r.correction, strategy, st));
}

static bool set_variant(struct exp_scenario *s, const struct exp_tune_shift *x, enum variant v, int strategy,
                        struct sim_status *st)
{
    for (uint32_t f = 0; f < s->n_fleets; f++)
        s->fleet[f].kv.later = (struct exp_later_keys){.learn_s = s->fleet[f].kv.later.learn_s};
    if (!set_rates(s, "", v == AFTER ? x->after : x->before, strategy, st)) return false;
    return v != CHANGE || (set(s, "later.from_s", x->from_s, strategy, st) &&
                           set_rates(s, "later.", x->after, strategy, st));
}

/* Half of the arrivals' span; where requests wait for each other, half of the run. */
static bool find_middle(struct exp_tune *t, struct exp_cache *cache, struct sim_status *st)
{
    const struct sim_load *load = &t->usual->setup->config.load;
    uint64_t n = load->n_requests;
    if (!load->concurrency) {
        t->shift.from_s = n ? (load->requests[n - 1].arrival_s - load->requests[0].arrival_s) / 2 : 0;
    } else {
        struct exp_run *run = exp_run_new(t->usual->scenario, cache, NULL, st);
        if (!run) return false;
        t->shift.from_s = run->result->end_s / 2;
        exp_run_free(run);
    }
    return t->shift.from_s > 0 || sim_fail(st, "all requests arrive at once: there is no half-way");
}

/* ---- settings of the policy ---- */

enum { PAGES, POLICY, N_KEYS };

static uint32_t add_pages(double *out, uint32_t n, double pages)
{
    uint32_t at = n;
    for (uint32_t i = 0; i < n; i++)
        if (out[i] == pages) return n;
    for (; at > 0 && out[at - 1] > pages; at--) out[at] = out[at - 1];
    out[at] = pages;
    return n + 1;
}

/* No pages ahead, an eighth ... of those that are selected, all of them, what the scenario has, what was
 * found best and what the search takes for it. */
static uint32_t static_pages(const struct exp_tune *t, const struct mdl_kv_use *u,
                             double out[EXP_TUNE_STATICS])
{
    static const int halves[] = {3, 2, 1, 0};
    struct mdl_kv_use adaptive = *u;
    adaptive.value[MDL_KV_POLICY] = 1;
    double most = mdl_adaptive_settled(&adaptive).value[MDL_KV_PREFETCH];
    uint32_t n = add_pages(out, 0, 0);
    for (int i = 0; i < 4; i++) n = add_pages(out, n, floor(ldexp(most, -halves[i])));
    n = add_pages(out, n, u->value[MDL_KV_PREFETCH]);
    for (uint32_t i = 0; i < t->n_parameters; i++)
        if (t->parameter[i].key == MDL_KV_PREFETCH) {
            n = add_pages(out, n, t->best->setting.value[i]);
            n = add_pages(out, n, t->found->setting.value[i]);
        }
    return n;
}

struct comparison {
    struct exp_tune *t;
    struct exp_tune_task task;
    struct exp_tune_parameter parameter[N_KEYS];
    struct exp_scenario *scenario[N_VARIANTS];
    struct exp_tune_book *book[N_VARIANTS];
    struct exp_tune_trial
        *trial[N_VARIANTS][EXP_TUNE_STATICS + 1]; /* the adaptive one behind the static ones */
};

/* pages: of the n static settings, and what the adaptive policy may go up to (0: as many as are selected). */
static void fill(struct comparison *c, uint32_t n, const double *pages, struct exp_progress *progress)
{
    for (int v = 0; v < N_VARIANTS; v++) {
        c->task.base = c->scenario[v];
        c->book[v] = exp_tune_book_new(&c->task);
        for (uint32_t i = 0; i <= n; i++) {
            struct exp_tune_setting s = {{pages[i], i == n}};
            c->trial[v][i] = exp_tune_book_at(c->book[v], &s);
        }
        exp_tune_book_fill(c->book[v], c->trial[v], n + 1, c->t->n_replications);
        exp_progress_show(progress, 0.95 + 0.05 * (v + 1) / N_VARIANTS);
    }
}

/* ---- what they do ---- */

static struct exp_band times(const struct exp_tune_trial *x)
{
    double v[EXP_TUNE_REPLICATIONS];
    for (uint32_t k = 0; k < x->n; k++) v[k] = x->sample[k].tpot_s;
    return exp_tune_band_of(v, x->n);
}

static struct exp_band values(const struct exp_tune_trial *x)
{
    double v[EXP_TUNE_REPLICATIONS];
    for (uint32_t k = 0; k < x->n; k++) v[k] = x->sample[k].value;
    return exp_tune_band_of(v, x->n);
}

static void describe(const struct comparison *c, uint32_t i, struct exp_tune_static *out)
{
    const struct exp_tune_trial *x = c->trial[CHANGE][i], *before = c->trial[BEFORE][i],
                                *after = c->trial[AFTER][i];
    *out = (struct exp_tune_static){.prefetch_pages = x->setting.value[PAGES],
                                    .objective = values(x),
                                    .tpot_s = times(x),
                                    .mean_before = exp_tune_mean(before),
                                    .mean_after = exp_tune_mean(after),
                                    .tpot_before_s = times(before).mean,
                                    .tpot_after_s = times(after).mean};
    snprintf(out->why, sizeof out->why, "%.399s", x->why);
}

/* The best static setting of a load. */
static uint32_t best_of(const struct comparison *c, enum variant v, uint32_t n)
{
    static const double EQUAL = 1e-3;
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++) {
        const struct exp_tune_trial *a = c->trial[v][i], *b = c->trial[v][best];
        double by = exp_tune_mean(a) - exp_tune_mean(b);
        bool equal = a->n && b->n && fabs(by) <= EQUAL * fabs(exp_tune_mean(b));
        if (equal ? times(a).mean < times(b).mean : exp_tune_better(a, b)) best = i;
    }
    return best;
}

static struct exp_band tpot_gain(const struct exp_tune_trial *a, const struct exp_tune_trial *b)
{
    double d[EXP_TUNE_REPLICATIONS], base = times(b).mean;
    uint32_t n = a->n < b->n ? a->n : b->n;
    for (uint32_t k = 0; k < n; k++) d[k] = base > 0 ? (b->sample[k].tpot_s - a->sample[k].tpot_s) / base : 0;
    return exp_tune_band_of(d, n);
}

static void conclude(const struct comparison *c, uint32_t n)
{
    struct exp_tune_shift *x = &c->t->shift;
    x->n_fixed = n;
    for (uint32_t i = 0; i < n; i++) describe(c, i, &x->fixed[i]);
    describe(c, n, &x->adaptive);
    x->best = best_of(c, CHANGE, n);
    x->best_before = best_of(c, BEFORE, n);
    x->best_after = best_of(c, AFTER, n);
    const struct exp_tune_trial *adaptive = c->trial[CHANGE][n], *fixed = c->trial[CHANGE][x->best];
    x->gain = exp_tune_gain(adaptive, fixed);
    x->tpot_gain = tpot_gain(adaptive, fixed);
    if (!adaptive->n || !fixed->n)
        snprintf(x->why, sizeof x->why, "%.511s", adaptive->n ? fixed->why : adaptive->why);
}

/* ---- the comparison ---- */

static bool prepare(struct comparison *c, struct sim_status *st)
{
    struct exp_tune_shift *x = &c->t->shift;
    if (!find_middle(c->t, c->task.cache, st)) return false;
    for (int v = 0; v < N_VARIANTS; v++) {
        c->scenario[v] = exp_scenario_copy(c->t->usual->scenario);
        if (!set_variant(c->scenario[v], x, (enum variant)v, c->task.strategy, st)) return false;
    }
    return true;
}

static const struct exp_fleet_setup *tuned(const struct exp_tune *t, int strategy)
{
    uint32_t f = 0;
    while (t->usual->scenario->fleet[f].kv.strategy != strategy) f++;
    return &t->usual->setup->fleets[f];
}

void exp_tune_compare_shift(struct exp_tune *t, const struct exp_tune_task *task,
                            struct exp_progress *progress)
{
    const struct mdl_strategy *s = mdl_strategy_at((size_t)task->strategy);
    struct comparison c = {
        .t = t, .task = *task, .parameter = {{.key = MDL_KV_PREFETCH}, {.key = MDL_KV_POLICY}}};
    struct sim_status st = {0};
    if (!mdl_strategy_default(s, MDL_KV_POLICY) || !t->usual->setup) return;
    const struct exp_fleet_setup *f = tuned(t, task->strategy);
    double pages[EXP_TUNE_STATICS + 1];
    t->shifts = true;
    t->shift.objective = task->objective == EXP_TUNE_LOAD ? EXP_TUNE_GOODPUT : task->objective;
    c.task.objective = t->shift.objective;
    c.task.max_negatives = NAN;
    c.task.parameter = c.parameter;
    c.task.n_parameters = N_KEYS;
    if (!mdl_kv_on(&f->kv.use, MDL_KV_SPECULATIVE))
        snprintf(t->shift.why, sizeof t->shift.why,
                 "without speculative retrieval there is nothing to adapt");
    else if (!prepare(&c, &st))
        snprintf(t->shift.why, sizeof t->shift.why, "%.511s", st.message);
    else {
        uint32_t n = static_pages(t, &f->kv.use, pages);
        t->shift.learn_s = t->usual->scenario->fleet[f - t->usual->setup->fleets].kv.later.learn_s;
        pages[n] = f->kv.use.value[MDL_KV_PREFETCH];
        fill(&c, n, pages, progress);
        conclude(&c, n);
    }
    for (int v = 0; v < N_VARIANTS; v++) {
        exp_tune_book_free(c.book[v]);
        free(c.scenario[v]);
    }
}
