#include "experiments/compare.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/parallel.h"
#include "experiments/replicate.h"
#include "experiments/results.h"
#include "models/published_rows.h"
#include "sim/check.h"
#include "sim/memory.h"

enum { TIMELINE_POINTS = 110 }; /* to twice as many are drawn, of each strategy */

/* A strategy on its way to a row. Lengths as with full are a second run, where the strategy changes them. */
struct entry {
    struct exp_scenario *scenario, *same_length; /* same_length NULL: lengths are full's anyway */
    struct exp_run *run;                         /* of the scenario as it is; its requests are dropped */
    struct exp_run_curves curves;                /* what is kept of them */
    struct exp_figures *same;                    /* the figures with full's lengths */
    struct exp_figures **replication, **same_replication;
    double offered_per_s; /* requests that arrive; NaN where they wait for each other */
    struct sim_status st; /* why there is no row */
};

/* One thing for a thread to do in the second round. */
struct task {
    uint32_t entry, k; /* replication k - 1; 0 = the run as it is */
    bool same_length;
};

struct study {
    const struct exp_scenario *scenario;
    const struct exp_contenders *contenders;
    struct exp_cache *cache;
    const struct exp_compare_options *options;
    struct entry *entry; /* contenders->n */
    struct task *task;
    uint32_t n_tasks;
    struct exp_point_load load; /* of full's run */
    uint32_t fleet;             /* the first that takes the strategies: its step is taken apart */

    pthread_mutex_t lock; /* of what follows, and of st of entries in the second round */
    struct exp_progress progress;
    double done, total; /* runs */
};

/* ---- progress of all threads together ---- */

struct ticker {
    struct study *study;
    double told;
};

static void tick(void *ticker, double done_frac)
{
    struct ticker *t = ticker;
    pthread_mutex_lock(&t->study->lock);
    t->study->done += done_frac - t->told;
    t->told = done_frac;
    exp_progress_show(&t->study->progress, t->study->done / t->study->total);
    pthread_mutex_unlock(&t->study->lock);
}

/* ---- scenarios ---- */

/* A fleet that a class asks for by its strategy keeps it. */
static bool is_pinned(const struct exp_scenario *s, uint32_t fleet)
{
    for (uint32_t i = 0; i < s->n_classes; i++) {
        const struct exp_number *strategy = &s->classes[i].kv_strategy;
        if (strategy->given && (int)strategy->value == s->fleet[fleet].kv.strategy) return true;
    }
    return false;
}

/* Without "--set: " in front: it was another option. */
static const char *key_message(const struct sim_status *why)
{
    static const char option[] = "--set: ";
    return why->message + (strncmp(why->message, option, strlen(option)) == 0 ? strlen(option) : 0);
}

bool exp_contender_set(struct exp_scenario *s, uint32_t fleet, const struct exp_contender *c,
                       struct sim_status *st)
{
    for (uint32_t i = 0; i < c->n_settings; i++) {
        char path[96];
        struct sim_status why = {0};
        snprintf(path, sizeof path, "fleet.%u.kv.%s", fleet, c->setting[i].key);
        if (!exp_scenario_set(s, path, c->setting[i].value, &why))
            return sim_fail_as(st, SIM_EXIT_USAGE, "--strategies: %s: %s", c->label, key_message(&why));
    }
    return true;
}

static bool add_class(struct exp_fleet_keys *k, const char *name, struct sim_status *st)
{
    char *all = sim_printf("%s%s%s", k->classes, k->classes[0] ? "," : "", name);
    bool fits = strlen(all) < sizeof k->classes;
    if (fits) strcpy(k->classes, all);
    free(all);
    return fits ||
           sim_fail(st, "fleet.classes: names of more than %zu letters in all, expected fewer classes",
                    sizeof k->classes - 1);
}

/* Classes that ask for a strategy stay where they are served, whatever the other fleets take. */
static bool keep_classes(const struct exp_scenario *base, struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t i = 0; i < s->n_classes; i++) {
        struct exp_class_keys *c = &s->classes[i];
        for (uint32_t f = 0; c->kv_strategy.given && f < s->n_fleets; f++)
            if (base->fleet[f].kv.strategy == (int)c->kv_strategy.value &&
                !add_class(&s->fleet[f], c->name, st))
                return false;
        c->kv_strategy.given = false;
    }
    return true;
}

static struct exp_scenario *scenario_of(const struct study *x, const struct exp_contender *c,
                                        struct sim_status *st)
{
    struct exp_scenario *s = exp_scenario_copy(x->scenario);
    bool ok = exp_scenario_take_strategy(s, c->strategy->name, st) && keep_classes(x->scenario, s, st);
    for (uint32_t f = 0; ok && f < s->n_fleets; f++) {
        if (is_pinned(x->scenario, f))
            s->fleet[f].kv = x->scenario->fleet[f].kv;
        else
            ok = exp_contender_set(s, f, c, st);
    }
    if (ok) return s;
    free(s);
    return NULL;
}

static bool make_scenarios(struct study *x, struct sim_status *st)
{
    while (x->fleet < x->scenario->n_fleets && is_pinned(x->scenario, x->fleet)) x->fleet++;
    if (x->fleet == x->scenario->n_fleets)
        return sim_fail(
            st, "classes.NAME.kv.strategy asks for the strategy of every fleet, expected one at least that "
                "may take others; leave one out");
    for (uint32_t i = 0; i < x->contenders->n; i++)
        if (!(x->entry[i].scenario = scenario_of(x, &x->contenders->at[i], st))) return false;
    return true;
}

/* Parameters that a fleet's own strategy does not have are refused by `run`, too: no row would take them but those of
 * other strategies. */
static bool check_parameters(const struct exp_scenario *s, struct sim_status *st)
{
    for (uint32_t f = 0; f < s->n_fleets; f++) {
        const struct exp_kv_keys *k = &s->fleet[f].kv;
        const struct mdl_strategy *own = mdl_strategy_at((size_t)k->strategy);
        for (enum mdl_kv_key i = 0; i < MDL_N_KV_KEY; i++)
            if (k->value[i].given && !mdl_strategy_default(own, i))
                return sim_fail(
                    st,
                    "%s: fleet.%u.kv.%s: strategy %s of the scenario has no such parameter, expected "
                    "it behind the strategies that do, as in --strategies NAME:%s=%g",
                    exp_scenario_where(s, &k->value[i]).text, f, mdl_kv_key_info(i)->name, own->name,
                    mdl_kv_key_info(i)->name, k->value[i].value);
    }
    return true;
}

/* ---- first round: every strategy as it is ---- */

/* A row keeps its set-up, for prices and settings, but no copy of the trace and no outcomes. */
static void drop_requests(struct exp_run *r)
{
    struct exp_workload *w = &r->setup->workload;
    free(w->own_requests);
    trc_free(w->own_trace);
    w->own_requests = NULL;
    w->own_trace = NULL;
    w->trace = NULL;
    w->requests = NULL;
    r->setup->config.load.requests = NULL;
    sim_result_free(r->result);
    r->result = NULL;
}

/* Over the time in which they arrive. */
static double offered_per_s(const struct sim_load *load)
{
    uint64_t n = load->n_requests;
    double span_s = n ? load->requests[n - 1].arrival_s - load->requests[0].arrival_s : 0;
    return span_s > 0 && !load->concurrency ? (double)(n - 1) / span_s : (double)NAN;
}

static bool shifts(const struct exp_setup *u)
{
    for (uint32_t f = 0; f < u->n_fleets; f++)
        if (u->fleets[f].kv.shifts) return true;
    return false;
}

static void run_entry(void *study, uint32_t i)
{
    struct study *x = study;
    struct entry *e = &x->entry[i];
    struct ticker t = {x, 0};
    struct exp_run_options o = {
        .timeline_points = x->options->curves ? TIMELINE_POINTS : 0, .progress = tick, .progress_user = &t};
    e->run = exp_run_new(e->scenario, x->cache, &o, &e->st);
    tick(&t, 1);
    if (!e->run) return;
    if (i == 0) x->load = exp_point_load_of(e->run->setup, e->run->figures);
    e->offered_per_s = offered_per_s(&e->run->setup->config.load);
    if (x->options->curves) exp_run_curves_take(e->run, &e->curves);
    drop_requests(e->run);
    if (!shifts(e->run->setup)) return;
    e->same_length = exp_scenario_copy(e->scenario);
    e->same_length->length_shift = false;
}

/* ---- second round: with full's lengths, and replications of both ---- */

static void add_task(struct study *x, uint32_t entry, uint32_t k, bool same_length)
{
    x->task = sim_realloc(x->task, x->n_tasks + 1, sizeof *x->task);
    x->task[x->n_tasks++] = (struct task){entry, k, same_length};
}

static void plan_tasks(struct study *x)
{
    uint32_t n = x->options->n_replications;
    for (uint32_t i = 0; i < x->contenders->n; i++) {
        struct entry *e = &x->entry[i];
        if (!e->run) continue;
        e->replication = sim_alloc(n + 1, sizeof(struct exp_figures *));
        e->same_replication = sim_alloc(n + 1, sizeof(struct exp_figures *));
        if (e->same_length) add_task(x, i, 0, true);
        for (uint32_t k = 1; k <= n; k++) {
            add_task(x, i, k, false);
            if (e->same_length) add_task(x, i, k, true);
        }
    }
}

static struct exp_figures *figures_as_is(const struct study *x, const struct exp_scenario *s,
                                         struct ticker *t, struct sim_status *st)
{
    struct exp_run_options o = {.progress = tick, .progress_user = t};
    struct exp_run *run = exp_run_new(s, x->cache, &o, st);
    struct exp_figures *f = run ? run->figures : NULL;
    if (run) run->figures = NULL;
    exp_run_free(run);
    return f;
}

static void run_task(void *study, uint32_t i)
{
    struct study *x = study;
    const struct task *task = &x->task[i];
    struct entry *e = &x->entry[task->entry];
    const struct exp_scenario *s = task->same_length ? e->same_length : e->scenario;
    struct ticker t = {x, 0};
    struct sim_status why = {0};
    struct exp_figures *f = task->k ? exp_replication(s, x->cache, e->run->setup, task->k - 1, &why)
                                    : figures_as_is(x, s, &t, &why);
    tick(&t, 1);
    struct exp_figures **to = task->k == 0        ? &e->same
                              : task->same_length ? &e->same_replication[task->k - 1]
                                                  : &e->replication[task->k - 1];
    *to = f;
    if (f) return;
    pthread_mutex_lock(&x->lock);
    sim_fail_as(&e->st, why.code, "%s", why.message);
    pthread_mutex_unlock(&x->lock);
}

static void run_all(struct study *x)
{
    uint32_t n = x->contenders->n, threads = x->options->n_threads;
    pthread_mutex_init(&x->lock, NULL);
    x->progress = exp_progress_begin("comparing");
    x->total = (double)n *
               (1 + 1.5 * x->options->n_replications); /* a guess, until it is known who shifts lengths */
    exp_parallel(n, threads, run_entry, x);
    plan_tasks(x);
    x->total = (double)n + x->n_tasks;
    exp_parallel(x->n_tasks, threads, run_task, x);
    exp_progress_end(&x->progress);
    pthread_mutex_destroy(&x->lock);
}

/* ---- rows ---- */

static struct exp_sample sample_of(const struct study *x, const struct entry *e, const struct exp_figures *f,
                                   const struct exp_figures *same)
{
    const struct exp_setup *u = e->run->setup;
    const struct exp_kv_setup *kv = &u->fleets[x->fleet].kv;
    struct exp_sample s;
    exp_sample_take(&s, f);
    s.value[EXP_LENGTH_LONGER] = shifts(u) && kv->lengths ? kv->lengths->longer_frac : 0;
    s.value[EXP_E2EL_SAME_LENGTH] = same ? exp_figure(same, "mean_e2el_ms").mean : s.value[EXP_E2EL_MEAN];
    s.value[EXP_QUEUE_SAME_LENGTH] = same ? exp_figure(same, "mean_queue_ms").mean : s.value[EXP_QUEUE];
    s.value[EXP_UNMEASURED] = exp_figure(f, "time_extrapolated_frac").mean +
                              exp_figure(f, "time_transferred_frac").mean +
                              exp_figure(f, "time_analytic_frac").mean;
    return s;
}

/* As many as there are replications, or the one run. Free with free(). */
static struct exp_sample *samples_of(const struct study *x, const struct entry *e, double negatives)
{
    uint32_t n = x->options->n_replications;
    struct exp_sample *s = sim_alloc(n ? n : 1, sizeof *s);
    if (!n) s[0] = sample_of(x, e, e->run->figures, e->same);
    for (uint32_t k = 0; k < n; k++) s[k] = sample_of(x, e, e->replication[k], e->same_replication[k]);
    for (uint32_t k = 0; k < (n ? n : 1); k++) s[k].value[EXP_NEGATIVES] = negatives;
    return s;
}

static double take_negatives(const struct study *x, const struct entry *e, struct exp_compare_row *row)
{
    const struct mdl_kv_use *use = &e->run->setup->fleets[x->fleet].kv.use;
    /* a study can do without the record that ships; one that was asked for was read when the row was set up */
    struct sim_status ignored = {0};
    const struct mdl_quality *q =
        exp_cache_quality(x->cache, use, e->scenario->fleet[x->fleet].kv.quality, &ignored);
    snprintf(row->negative_source, sizeof row->negative_source, "%s", q ? q->source : MDL_NO_FIGURE);
    struct mdl_quality_rates rates = {.newly_failing = NAN, .negative_rate = NAN};
    if (q) rates = mdl_quality_rates(q, NULL);
    row->newly_failing = rates.newly_failing;
    return rates.negative_rate;
}

static void take_lengths(const struct exp_kv_setup *kv, struct exp_compare_row *row)
{
    if (!kv->lengths) return;
    snprintf(row->length_source, sizeof row->length_source, "%s", kv->lengths->source);
    if (kv->shifts) snprintf(row->length_model, sizeof row->length_model, "%s", kv->lengths->model);
}

static const char *graphs_of(const struct mdl_kv_use *use)
{
    static const char *const words[] = {
        [MDL_GRAPH_NO] = "no", [MDL_GRAPH_PIECEWISE] = "piecewise", [MDL_GRAPH_YES] = "yes"};
    double given = use->value[MDL_KV_GRAPH];
    return words[isnan(given) ? use->strategy->graph : (enum mdl_kv_graph)given];
}

static void take_evidence(struct exp_compare_row *row)
{
    for (int e = 0; e < SIM_N_EVIDENCE; e++) {
        char name[40];
        snprintf(name, sizeof name, "time_%s_frac", sim_evidence_name((enum sim_evidence)e));
        row->evidence[e] = exp_figure(row->figures, name).mean;
    }
}

static void take_figures(const struct study *x, struct entry *e, struct exp_compare_row *row)
{
    uint32_t n = x->options->n_replications;
    if (n) {
        row->figures = exp_figures_combine(e->replication, n);
    } else {
        row->figures = e->run->figures;
        e->run->figures = NULL;
    }
    struct exp_results r = {e->scenario, e->run, row->figures, exp_cache_data_dir(x->cache)};
    row->summary = exp_results_json(&r);
    row->load_state = row->figures->load_state;
    take_evidence(row);
}

/* Nobody published one: what was simulated is no finding. */
static void forget_lengths(struct exp_compare_row *row)
{
    const struct exp_band unknown = {NAN, NAN, NAN};
    row->value[EXP_LENGTH_MEAN] = row->value[EXP_LENGTH_LONGER] = row->value[EXP_E2EL_LONGER] = unknown;
}

static void make_row(const struct study *x, uint32_t i, struct exp_compare *out, struct exp_sample **base)
{
    struct entry *e = &x->entry[i];
    struct exp_compare_row *row = &out->row[i];
    uint32_t n = x->options->n_replications ? x->options->n_replications : 1;
    snprintf(row->label, sizeof row->label, "%s", x->contenders->at[i].label);
    snprintf(row->strategy, sizeof row->strategy, "%s", x->contenders->at[i].strategy->name);
    if (e->st.message[0]) {
        snprintf(row->why_not, sizeof row->why_not, "%s",
                 x->contenders->at[i].n_settings ? key_message(&e->st) : e->st.message);
        return;
    }
    const struct exp_kv_setup *kv = &e->run->setup->fleets[x->fleet].kv;
    struct exp_sample *own = samples_of(x, e, take_negatives(x, e, row));
    exp_compare_row_set(row, own, *base, n);
    if (e->scenario->length_shift && !kv->lengths->known) forget_lengths(row);
    row->anatomy = exp_anatomy_of(e->run->setup, x->fleet, &x->load);
    row->graphs = graphs_of(&kv->use);
    take_lengths(kv, row);
    take_figures(x, e, row);
    row->curves = e->curves;
    e->curves = (struct exp_run_curves){0};
    if (i == 0)
        *base = own;
    else
        free(own);
}

/* ---- what stands above the table ---- */

/* Model, fleets and load. */
static void put_title(const struct study *x, const struct entry *e, FILE *out)
{
    const struct exp_setup *u = e->run->setup;
    fprintf(out, "%s on ", u->arch.name);
    for (uint32_t i = 0; i < u->n_fleets; i++)
        fprintf(out, "%s%u x %s, TP %u, PP %u", i ? " + " : "", u->sim_fleets[i].n_replicas,
                u->fleets[i].gpu->title, u->fleets[i].tensor_parallel, u->fleets[i].pipeline_parallel);
    fprintf(out, "; %s requests", exp_count_words((double)u->workload.n_requests).text);
    if (isfinite(x->load.prompt_tokens))
        fprintf(out, ", mean prompt %s, output %s tokens", exp_count_words(round(x->load.prompt_tokens)).text,
                exp_count_words(round(x->load.output_tokens)).text);
}

/* Which fleets take a row's strategy, where that is not plain. */
static void put_takers(const struct study *x, const struct exp_setup *u, FILE *out)
{
    bool mixed = false, pinned = false;
    for (uint32_t i = 0; i < u->n_fleets; i++) {
        mixed |= x->scenario->fleet[i].kv.strategy != x->scenario->fleet[0].kv.strategy;
        pinned |= is_pinned(x->scenario, i);
    }
    if (!pinned) {
        if (mixed) fputs("; every fleet takes a row's strategy, whatever the scenario gives it", out);
        return;
    }
    for (uint32_t i = 0; i < u->n_fleets; i++) {
        fprintf(out, "; fleet %s ", u->fleets[i].name);
        if (is_pinned(x->scenario, i))
            fprintf(out, "keeps %s, which a class asks for", u->fleets[i].kv.use.strategy->name);
        else
            fputs("takes a row's strategy", out);
    }
}

/* Engines, router, rate and seed. */
static void put_how(const struct study *x, const struct entry *e, FILE *out)
{
    const struct exp_setup *u = e->run->setup;
    for (uint32_t i = 0; i < u->n_fleets; i++)
        if (i == 0 || strcmp(u->fleets[i].engine.name, u->fleets[i - 1].engine.name) != 0)
            fprintf(out, "%s%s", i ? " + " : "engine ", u->fleets[i].engine.name);
    fprintf(out, ", router %s, ", x->scenario->router);
    if (isfinite(e->offered_per_s))
        fprintf(out, "%.3g requests/s offered, ", e->offered_per_s);
    else if (u->config.load.concurrency)
        fprintf(out, "%u requests in flight, ", u->config.load.concurrency);
    fprintf(out, "seed %llu", (unsigned long long)x->scenario->seed);
    put_takers(x, u, out);
}

/* Cut off where there is no more room. */
static void write_into(char *to, size_t size, void (*put)(const struct study *, const struct entry *, FILE *),
                       const struct study *x, const struct entry *e)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    SIM_CHECK(out); /* out of memory */
    put(x, e, out);
    fclose(out);
    snprintf(to, size, "%s", text);
    free(text);
}

static void put_header(const struct study *x, struct exp_compare *out)
{
    const struct entry *e = x->entry;
    while (!e->run) e++; /* one of them ran */
    write_into(out->title, sizeof out->title, put_title, x, e);
    write_into(out->how, sizeof out->how, put_how, x, e);
}

/* The same but for its numbers. */
static bool same_kind(const char *a, const char *b)
{
    static const char digits[] = "0123456789";
    for (;; a++, b++) {
        a += strspn(a, digits);
        b += strspn(b, digits);
        if (*a != *b) return false;
        if (!*a) return true;
    }
}

static bool is_noted(const struct exp_run *run, const char *text)
{
    for (uint32_t i = 0; run && i < run->setup->notes.n; i++)
        if (same_kind(run->setup->notes.text[i], text)) return true;
    return false;
}

/* A note with the strategies that have one of its kind, the first of them by its name and number. */
static void add_note(const struct study *x, uint32_t first, const char *text, struct exp_compare *out)
{
    char others[200] = "";
    size_t n = 0;
    for (uint32_t i = first + 1; i < x->contenders->n && n < sizeof others; i++)
        if (is_noted(x->entry[i].run, text))
            n += (size_t)snprintf(others + n, sizeof others - n, "%s%s", n ? ", " : "; likewise ",
                                  x->contenders->at[i].label);
    exp_note(&out->notes, "%s: %s%s", x->contenders->at[first].label, text, others);
}

/* Those of full, and of every other kind the first with the names of those that have it. */
static void gather_notes(const struct study *x, struct exp_compare *out)
{
    if (x->entry[0].run) out->notes = x->entry[0].run->setup->notes;
    for (uint32_t i = 1; i < x->contenders->n; i++) {
        const struct exp_run *run = x->entry[i].run;
        for (uint32_t k = 0; run && k < run->setup->notes.n; k++) {
            const char *text = run->setup->notes.text[k];
            uint32_t before = 0;
            while (before < i && !is_noted(x->entry[before].run, text)) before++;
            if (before == i) add_note(x, i, text, out);
        }
    }
}

static void make_rows(const struct study *x, struct exp_compare *out)
{
    struct exp_sample *base = NULL;
    *out = (struct exp_compare){.row = sim_alloc(x->contenders->n, sizeof *out->row),
                                .n_rows = x->contenders->n,
                                .n_replications = x->options->n_replications,
                                .load = x->load};
    for (uint32_t i = 0; i < x->contenders->n; i++) {
        if (x->entry[i].same_length) out->length_shift = true;
        make_row(x, i, out, &base);
    }
    put_header(x, out);
    gather_notes(x, out);
    free(base);
}

/* ---- the whole ---- */

static void free_figures(struct exp_figures **f, uint32_t n)
{
    for (uint32_t k = 0; f && k < n; k++) exp_figures_free(f[k]);
    free(f);
}

static void study_fini(struct study *x)
{
    for (uint32_t i = 0; i < x->contenders->n; i++) {
        struct entry *e = &x->entry[i];
        free_figures(e->replication, x->options->n_replications);
        free_figures(e->same_replication, x->options->n_replications);
        exp_figures_free(e->same);
        exp_run_curves_fini(&e->curves);
        exp_run_free(e->run);
        free(e->scenario);
        free(e->same_length);
    }
    free(x->entry);
    free(x->task);
}

/* When no strategy runs, the scenario is what is wrong. */
static bool any_runs(const struct study *x, struct sim_status *st)
{
    for (uint32_t i = 0; i < x->contenders->n; i++)
        if (x->entry[i].run) return true;
    return sim_fail_as(st, x->entry[0].st.code, "%s", x->entry[0].st.message);
}

bool exp_compare_run(const struct exp_scenario *s, struct exp_cache *cache,
                     const struct exp_compare_options *options, struct exp_compare *out,
                     struct sim_status *st)
{
    struct study x = {
        .scenario = s,
        .contenders = options->contenders,
        .cache = cache,
        .options = options,
        .entry = sim_alloc(options->contenders->n, sizeof *x.entry),
        .load = {.n_seqs = NAN, .prompt_tokens = NAN, .context_tokens = NAN, .output_tokens = NAN}};
    bool ok = exp_scenario_check(s, st) && check_parameters(s, st) && make_scenarios(&x, st);
    if (ok) run_all(&x);
    ok = ok && any_runs(&x, st);
    if (ok) make_rows(&x, out);
    study_fini(&x);
    return ok;
}

void exp_compare_fini(struct exp_compare *c)
{
    for (uint32_t i = 0; i < c->n_rows; i++) {
        exp_figures_free(c->row[i].figures);
        json_decref(c->row[i].summary);
        exp_run_curves_fini(&c->row[i].curves);
    }
    free(c->row);
    *c = (struct exp_compare){0};
}
