#include "experiments/tuning/tune.h"

#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/tuning/parts.h"
#include "sim/memory.h"

enum { MINIMISED = 3 }; /* survivors of the race inside which smooth parameters are moved */

const char *exp_tune_objective_name(enum exp_tune_objective o)
{
    static const char *const names[] = {"goodput", "cost", "load"};
    return names[o];
}

struct exp_words exp_tune_unit(const struct exp_tune *t)
{
    struct exp_words w = {"good requests/s"};
    if (t->objective == EXP_TUNE_COST)
        snprintf(w.text, sizeof w.text, "%s per 1,000 good answers", t->currency);
    if (t->objective == EXP_TUNE_LOAD) snprintf(w.text, sizeof w.text, "x the scenario's load");
    return w;
}

double exp_tune_shown(enum exp_tune_objective o, double value)
{
    if (o != EXP_TUNE_COST) return value;
    return value > 0 ? 1000 / value : isnan(value) ? (double)NAN : (double)INFINITY;
}

struct exp_band exp_tune_shown_band(enum exp_tune_objective o, struct exp_band b)
{
    bool cost = o == EXP_TUNE_COST;
    return (struct exp_band){.mean = exp_tune_shown(o, b.mean),
                             .lo = exp_tune_shown(o, cost ? b.hi : b.lo),
                             .hi = exp_tune_shown(o, cost ? b.lo : b.hi)};
}

struct exp_band exp_tune_band(const struct exp_tune *t, const struct exp_tune_trial *trial)
{
    double v[EXP_TUNE_REPLICATIONS];
    for (uint32_t k = 0; k < trial->n; k++) v[k] = trial->sample[k].value;
    return exp_tune_shown_band(t->objective, exp_tune_band_of(v, trial->n));
}

/* ---- what is searched ---- */

/* All fleets take a strategy that the command names; the first whose strategy has anything to search is tuned. */
static bool take_strategy(struct exp_scenario *s, const char *name, uint32_t *fleet, struct sim_status *st)
{
    struct exp_tune_parameter p[EXP_TUNE_KEYS];
    struct sim_status why = {0};
    uint32_t n = 0;
    if (name && !exp_scenario_take_strategy(s, name, &why))
        return sim_fail_as(st, SIM_EXIT_USAGE, "--strategy: %.900s", why.message);
    for (*fleet = 0; *fleet < s->n_fleets; ++*fleet)
        if (exp_tune_parameters(s, *fleet, NULL, p, &n, &why)) return true;
    *fleet = 0;
    return true;
}

/* A strategy that nobody named is the scenario's. */
static bool check_strategy(const struct exp_scenario *s, uint32_t fleet, const struct exp_tune_options *o,
                           struct sim_status *st)
{
    const struct mdl_strategy *y = mdl_strategy_at((size_t)s->fleet[fleet].kv.strategy);
    if (!o->strategy && !exp_tune_has_parameters(y))
        return sim_fail_as(
            st, SIM_EXIT_USAGE,
            "%s: the scenario's strategy is %s, which has nothing to tune, expected --strategy NAME "
            "(kvsim list strategies)",
            s->file, y->name);
    if (o->rates && !mdl_strategy_default(y, MDL_KV_POLICY))
        return sim_fail_as(st, SIM_EXIT_USAGE,
                           "--rates: strategy %s has no kv.policy that adapts to them, expected one that has "
                           "(freekv), or no --rates",
                           y->name);
    return true;
}

/* A record that has scores of other settings says which ones to try. */
static bool take_scored(struct exp_tune *t, const struct exp_scenario *s, struct exp_cache *cache,
                        uint32_t fleet, struct sim_status *st)
{
    struct sim_status why = {0};
    if (isnan(t->max_negatives)) return true;
    struct exp_setup *u = exp_setup_new(s, cache, NULL, &why);
    if (!u) return true; /* the usual setting cannot run: others may */
    const struct mdl_quality *q =
        exp_cache_quality(cache, &u->fleets[fleet].kv.use, s->fleet[fleet].kv.quality, st);
    bool ok = q && exp_tune_take_scored(t->parameter, t->n_parameters, &q->elsewhere, st);
    exp_setup_free(u);
    return ok;
}

static bool check_objective(const struct exp_scenario *s, enum exp_tune_objective o, struct sim_status *st)
{
    if (o != EXP_TUNE_LOAD || s->workload.source != EXP_CLOSED_LOOP) return true;
    return sim_fail_as(
        st, SIM_EXIT_USAGE,
        "--objective load: a closed loop has no rate to raise, expected goodput or cost, or another load");
}

static bool price(struct exp_tune *t, struct exp_tune_task *task, struct sim_status *st)
{
    if (task->objective != EXP_TUNE_COST) return true;
    char *folder = sim_printf("%s/models/prices", exp_cache_data_dir(task->cache));
    struct mdl_prices *prices = mdl_prices_load(folder, st);
    free(folder);
    if (!prices) return false;
    memcpy(t->currency, prices->currency, sizeof t->currency);
    bool ok = exp_tune_rent(task->base, task->cache, prices, &task->cost_per_hour, st);
    free(prices);
    return ok;
}

static void describe(struct exp_tune *t, const struct exp_scenario *s, uint32_t fleet)
{
    const struct exp_fleet_keys *k = &s->fleet[fleet];
    static const char *const loads[] = {"", "trace", "open loop", "closed loop"};
    snprintf(t->strategy, sizeof t->strategy, "%s", mdl_strategy_at((size_t)k->kv.strategy)->name);
    snprintf(t->title, sizeof t->title, "%s on %.60s, %.40s x %llu%s, %s%s%.120s", t->strategy, s->model,
             k->gpu, (unsigned long long)(k->replicas * k->tensor_parallel * k->pipeline_parallel),
             s->n_fleets > 1 ? " and other fleets" : "", loads[s->workload.source],
             s->workload.source == EXP_TRACE ? " " : "",
             s->workload.source == EXP_TRACE ? s->workload.trace : "");
}

/* Two fleets of the strategy have one setting, the first one's where they differ. */
static void note_fleets(struct exp_tune *t, const struct exp_scenario *s, uint32_t fleet)
{
    for (uint32_t f = fleet + 1; f < s->n_fleets; f++)
        for (uint32_t i = 0; i < t->n_parameters && s->fleet[f].kv.strategy == s->fleet[fleet].kv.strategy;
             i++) {
            enum mdl_kv_key key = t->parameter[i].key;
            const struct exp_number *a = &s->fleet[fleet].kv.value[key], *b = &s->fleet[f].kv.value[key];
            if (a->given == b->given && (!a->given || a->value == b->value)) continue;
            exp_note(&t->notes, "fleet.%u.kv.%s is taken as fleet.%u's: one setting is tuned for both", f,
                     mdl_kv_key_info(key)->name, fleet);
        }
}

/* The record has more values of a parameter than are raced. */
static void note_scored(struct exp_tune *t)
{
    for (uint32_t i = 0; i < t->n_parameters; i++) {
        const struct exp_tune_parameter *p = &t->parameter[i];
        const char *name = mdl_kv_key_info(p->key)->name;
        if (p->n_left_out)
            exp_note(&t->notes,
                     "%s: %u of the quality record's %u values are tried, %u%s left out; --over "
                     "%s=A/B/C names others",
                     name, p->n_scored - p->n_left_out, p->n_scored, p->n_left_out,
                     p->n_left_out == 1 ? " is" : " are", name);
    }
}

/* ---- the search ---- */

static uint32_t candidates(struct exp_tune *t, struct exp_tune_trial **out)
{
    struct exp_tune_setting *grid = sim_alloc(EXP_TUNE_CANDIDATES, sizeof *grid);
    uint32_t n = exp_tune_grid(t->parameter, t->n_parameters, grid);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = exp_tune_book_at(t->book, &grid[i]);
        out[i]->raced = true;
    }
    free(grid);
    out[0]->usual = true;
    t->usual = out[0];
    return n;
}

static bool any_smooth(const struct exp_tune *t)
{
    for (uint32_t i = 0; i < t->n_parameters; i++)
        if (t->parameter[i].smooth) return true;
    return false;
}

static struct exp_tune_trial *search(struct exp_tune *t, const struct exp_tune_round *r)
{
    struct exp_tune_trial **trials = sim_alloc(EXP_TUNE_CANDIDATES, sizeof(struct exp_tune_trial *));
    uint32_t n = exp_tune_race(r, trials, candidates(t, trials));
    struct exp_tune_trial *best = n ? trials[0] : NULL;
    for (uint32_t i = 0; i < n && i < MINIMISED && any_smooth(t); i++) {
        struct exp_tune_trial *found = exp_tune_minimise(r, trials[i]);
        if (exp_tune_better(found, best)) best = found;
        exp_progress_show(r->progress, 0.8 + 0.1 * (i + 1) / MINIMISED);
    }
    free(trials);
    return best;
}

/* Nothing can be used: what stands in the way of the first one. */
static bool nothing(const struct exp_tune *t, struct sim_status *st)
{
    bool refused = t->usual->fate == EXP_TUNE_REFUSED;
    return sim_fail_as(st, refused ? SIM_EXIT_INFEASIBLE : t->usual->code,
                       "%s: none of %u setting%s %s, the usual one because: %.600s", t->strategy,
                       exp_tune_book_count(t->book), exp_tune_s(exp_tune_book_count(t->book)),
                       refused ? "is within --max-negatives" : "can run here", t->usual->why);
}

/* The best setting beside the usual one, in as many replications again: those that it was chosen by flatter it. */
static void confirm(struct exp_tune *t, const struct exp_tune_task *task)
{
    struct exp_tune_task fresh = *task;
    fresh.first = t->n_replications;
    t->fresh = exp_tune_book_new(&fresh);
    struct exp_tune_trial *pair[] = {exp_tune_book_at(t->fresh, &t->usual->setting),
                                     exp_tune_book_at(t->fresh, &t->best->setting)};
    pair[0]->usual = true;
    exp_tune_book_fill(t->fresh, pair, 2, t->n_replications);
    t->usual_again = pair[0];
    t->best_again = pair[1];
    t->gain = exp_tune_gain(pair[1], pair[0]);
}

/* Progress that lasts over all rounds, and the settings' flatness. */
static bool find_best(struct exp_tune *t, const struct exp_tune_task *task, struct sim_status *st)
{
    struct exp_progress progress = exp_progress_begin("tuning");
    struct exp_tune_round r = {.book = t->book,
                               .parameter = t->parameter,
                               .n_parameters = t->n_parameters,
                               .n_replications = t->n_replications,
                               .progress = &progress};
    struct exp_tune_trial *best = search(t, &r);
    t->found = best;
    if (best) best = exp_tune_settle(&r, exp_tune_book_at(t->book, &t->usual->setting), best);
    for (uint32_t i = 0; best && i < t->n_parameters; i++) {
        exp_tune_profile(&r, best, i, &t->profile[i]);
        exp_progress_show(&progress, 0.9 + 0.05 * (i + 1) / t->n_parameters);
    }
    t->best = best;
    if (best) {
        confirm(t, task);
        exp_tune_compare_shift(t, task, &progress);
    }
    exp_progress_end(&progress);
    return best || nothing(t, st);
}

static void judge(struct exp_tune *t)
{
    t->meets = exp_tune_meets(t->best);
    bool usable = exp_tune_usable(t->usual) && (exp_tune_meets(t->usual) || !t->meets);
    t->no_better = usable && !(t->gain.lo > 0 && t->gain.mean > EXP_TUNE_CLOSE);
    if (t->usual->setup) t->notes = t->usual->setup->notes;
    exp_tune_find_limits(t);
}

const struct exp_tune_trial *exp_tune_advice(const struct exp_tune *t)
{
    return t->no_better ? t->usual : t->best;
}

bool exp_tune_run(const struct exp_scenario *s, struct exp_cache *cache, const struct exp_tune_options *o,
                  struct exp_tune *t, struct sim_status *st)
{
    double begin_s = exp_clock_s();
    uint32_t fleet = 0;
    struct exp_scenario *base = exp_scenario_copy(s);
    struct exp_tune_task task = {.base = base,
                                 .cache = cache,
                                 .parameter = t->parameter,
                                 .objective = o->objective,
                                 .max_negatives = o->max_negatives,
                                 .n_threads = o->n_threads};
    gsl_set_error_handler_off();
    *t = (struct exp_tune){
        .objective = o->objective, .max_negatives = o->max_negatives, .n_replications = o->n_replications};
    bool ok = take_strategy(base, o->strategy, &fleet, st) && exp_scenario_check(base, st) &&
              check_strategy(base, fleet, o, st) && check_objective(base, o->objective, st) &&
              exp_tune_rates_parse(o->rates, &t->shift.before, &t->shift.after, st) &&
              exp_tune_parameters(base, fleet, o->over, t->parameter, &t->n_parameters, st) &&
              take_scored(t, base, cache, fleet, st) && price(t, &task, st);
    if (ok) {
        task.n_parameters = t->n_parameters;
        task.strategy = base->fleet[fleet].kv.strategy;
        describe(t, base, fleet);
        t->book = exp_tune_book_new(&task);
        ok = find_best(t, &task, st);
    }
    if (ok) judge(t);
    if (ok) note_fleets(t, base, fleet);
    if (ok) note_scored(t);
    if (!ok) exp_tune_fini(t);
    free(base);
    t->wall_s = exp_clock_s() - begin_s;
    return ok;
}

void exp_tune_fini(struct exp_tune *t)
{
    exp_tune_book_free(t->book);
    exp_tune_book_free(t->fresh);
    t->book = t->fresh = NULL;
}
