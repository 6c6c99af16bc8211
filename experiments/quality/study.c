#include "experiments/quality/study.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/cli.h"
#include "experiments/parallel.h"
#include "experiments/page.h"
#include "sim/memory.h"

/* ---- names ---- */

static bool is_alone(const struct exp_scores *s, uint32_t method, size_t n)
{
    for (uint32_t m = 0; m < s->n_methods; m++)
        if (m != method && strncmp(s->method[m], s->method[method], n) == 0) return false;
    return true;
}

/* Ends at a word's end, behind the first word of the parameters: "kivi/4bits". */
static size_t label_length(const struct exp_scores *s, uint32_t method)
{
    const char *name = s->method[method];
    size_t n = strcspn(name, "/");
    if (name[n]) n++;
    n += strcspn(name + n, "_");
    while (name[n] && !is_alone(s, method, n)) n += 1 + strcspn(name + n + 1, "_");
    return n;
}

static char *label_of(const struct exp_scores *s, const struct exp_quality_set *set)
{
    char *label = sim_strdup("");
    for (uint32_t i = 0; i < set->n; i++) {
        char *longer = sim_printf("%s%s%.*s", label, i ? " + " : "", (int)label_length(s, set->method[i]),
                                  s->method[set->method[i]]);
        free(label);
        label = longer;
    }
    return label;
}

/* ---- which sets, which samples ---- */

static struct exp_quality_set set_at(const struct exp_quality_study *x, uint32_t set)
{
    if (set < x->asked->n_sets) return x->asked->set[set];
    return (struct exp_quality_set){.n = 1, .method = {x->asked->rerun}};
}

static void find_same(struct exp_quality_study *x)
{
    x->same_as = sim_alloc(x->n_sets, sizeof *x->same_as);
    for (uint32_t k = 0; k < x->n_sets; k++) {
        struct exp_quality_set own = set_at(x, k);
        x->same_as[k] = UINT32_MAX;
        for (uint32_t i = 0; own.n == 1 && i < k && x->same_as[k] == UINT32_MAX; i++) {
            struct exp_quality_set other = set_at(x, i);
            if (other.n == 1 && exp_scores_identical(x->scores, other.method[0], own.method[0]))
                x->same_as[k] = i;
        }
    }
}

static void find_common(struct exp_quality_study *x)
{
    const struct exp_scores *s = x->scores;
    x->use_sample = sim_alloc(s->n_samples, sizeof *x->use_sample);
    for (uint32_t i = 0; i < s->n_samples; i++) {
        x->use_sample[i] = !isnan(s->score[x->asked->options.baseline][i].score);
        for (uint32_t k = 0; x->use_sample[i] && k < x->n_sets; k++) {
            struct exp_quality_set set = set_at(x, k);
            x->use_sample[i] = !isnan(exp_quality_score(s, &set, i));
        }
    }
}

static bool check_common(const struct exp_quality_study *x, struct sim_status *st)
{
    for (uint32_t i = 0; i < x->scores->n_samples; i++)
        if (x->use_sample[i]) return true;
    return sim_fail(
        st,
        "--common: no sample is there for all %u methods, expected at least one; compare fewer methods "
        "(--methods), or leave out --common",
        x->n_sets + 1);
}

/* ---- one case ---- */

static void ask_rules(const struct exp_quality_study *x, struct exp_quality_case *c)
{
    struct exp_quality_options o = c->options;
    struct exp_quality_result other;
    struct sim_status never = {0};
    o.rule = c->options.rule == EXP_RULE_PAPER ? EXP_RULE_CODE : EXP_RULE_PAPER;
    c->negatives_by_rule[c->options.rule] = c->result.all.negatives;
    if (!exp_quality_evaluate(x->scores, &c->result.set, &o, &other, &never)) return;
    c->negatives_by_rule[o.rule] = other.all.negatives;
    exp_quality_result_fini(&other);
}

static void ask_mix(const struct exp_quality_study *x, struct exp_quality_case *c)
{
    struct mdl_quality record;
    exp_quality_record(x->scores, &c->result, &c->options, "", &record);
    c->by_mix = mdl_quality_rates(&record, x->asked->mix);
    mdl_quality_fini(&record);
}

struct work {
    struct exp_quality_study *x;
    struct sim_status *st; /* one per case */
    pthread_mutex_t lock;  /* of what follows */
    struct exp_progress progress;
    uint32_t done;
};

static void tell(struct work *w)
{
    pthread_mutex_lock(&w->lock);
    exp_progress_show(&w->progress, (double)++w->done / (w->x->n_sets * w->x->asked->n_thetas));
    pthread_mutex_unlock(&w->lock);
}

static void do_case(void *user, uint32_t i)
{
    struct work *w = user;
    const struct exp_quality_study *x = w->x;
    const struct exp_quality_question *q = x->asked;
    struct exp_quality_case *c = &w->x->at[i];
    struct exp_quality_set set = set_at(x, i / q->n_thetas);
    c->options = q->options;
    c->options.theta = q->theta[i % q->n_thetas];
    c->options.use_sample = x->use_sample;
    if (!exp_quality_evaluate(x->scores, &set, &c->options, &c->result, &w->st[i])) return;
    c->bands = exp_quality_bootstrap(x->scores, &c->result, &c->options, q->n_draws, q->seed);
    ask_rules(x, c);
    if (q->mix) ask_mix(x, c);
    if (q->critical && set.n == 1)
        c->critical = exp_critical_evaluate(x->scores, q->critical, set.method[0], &c->options);
    if (!isnan(q->guard_rate))
        c->guard = exp_guard_tasks(x->scores, &c->result, &c->options, q->mix, q->guard_rate);
    tell(w);
}

static bool do_cases(struct exp_quality_study *x, struct sim_status *st)
{
    uint32_t n = x->n_sets * x->asked->n_thetas;
    struct work w = {.x = x, .st = sim_alloc(n, sizeof *w.st), .progress = exp_progress_begin("counting")};
    x->at = sim_alloc(n, sizeof *x->at);
    pthread_mutex_init(&w.lock, NULL);
    exp_parallel(n, x->asked->n_threads, do_case, &w);
    pthread_mutex_destroy(&w.lock);
    exp_progress_end(&w.progress);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n; i++)
        if (w.st[i].code != SIM_EXIT_OK) ok = sim_fail_as(st, w.st[i].code, "%s", w.st[i].message);
    free(w.st);
    return ok;
}

/* ---- what to say above the tables ---- */

static const struct exp_quality_result *result_of(const struct exp_quality_study *x, uint32_t set)
{
    return &exp_quality_at(x, set, 0)->result;
}

/* "qmsum 200, trec 3": what a set lacks of the baseline, by task. */
static void list_missing(const struct exp_quality_study *x, uint32_t set, char *out, size_t room)
{
    const struct exp_scores *s = x->scores;
    struct exp_quality_set of = set_at(x, set);
    uint32_t n[MDL_MAX_TASKS] = {0};
    for (uint32_t i = 0; i < s->n_samples; i++)
        n[s->sample[i].task] +=
            !isnan(s->score[x->asked->options.baseline][i].score) && isnan(exp_quality_score(s, &of, i));
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t t = 0; t < s->n_tasks; t++)
        if (n[t] && at < room)
            at += (size_t)snprintf(out + at, room - at, "%s%s %u", at ? ", " : "", s->task[t], n[t]);
}

static bool check_strict(const struct exp_quality_study *x, struct sim_status *st)
{
    for (uint32_t k = 0; k < x->n_sets; k++) {
        const struct exp_quality_result *r = result_of(x, k);
        char what[300];
        if (!r->missing) continue;
        list_missing(x, k, what, sizeof what);
        return sim_fail(
            st,
            "--strict: %s lacks %llu of the %llu samples of %s (%s), expected all; complete the scores, or "
            "leave out --strict",
            x->label[k], (unsigned long long)r->missing,
            (unsigned long long)x->scores->n_of_method[x->asked->options.baseline],
            x->scores->method[x->asked->options.baseline], what);
    }
    return true;
}

/* "a, b lack qmsum 200": every set that lacks what `set` lacks, told with the first of them. */
static void note_lacking(struct exp_quality_study *x, uint32_t set)
{
    char what[200], other[200], who[160] = "";
    size_t at = 0;
    uint32_t n = 0;
    if (!result_of(x, set)->missing) return;
    list_missing(x, set, what, sizeof what);
    for (uint32_t k = 0; k < x->n_sets; k++) {
        list_missing(x, k, other, sizeof other);
        if (strcmp(what, other) != 0) continue;
        if (k < set) return;
        if (at < sizeof who)
            at += (size_t)snprintf(who + at, sizeof who - at, "%s%s", n ? ", " : "", x->label[k]);
        n++;
    }
    exp_note(&x->notes, "%s%s %s %s.", who, at < sizeof who ? "" : " ...", n > 1 ? "lack" : "lacks", what);
}

static void note_missing(struct exp_quality_study *x)
{
    bool differ = false;
    for (uint32_t k = 1; k < x->n_sets; k++) differ |= result_of(x, k)->missing != result_of(x, 0)->missing;
    if (differ && !x->use_sample)
        exp_note(&x->notes,
                 "Rates stand on different samples and do not compare: see `missing`. --common restricts all "
                 "methods to the samples that all have.");
    for (uint32_t k = 0; k < x->n_sets; k++) note_lacking(x, k);
}

static void note_samples(struct exp_quality_study *x)
{
    const struct exp_scores *s = x->scores;
    const struct exp_score *base = s->score[x->asked->options.baseline];
    uint32_t extra = 0;
    double most = 0;
    const char *name = s->method[x->asked->options.baseline];
    int n = exp_text_bytes(name, 80);
    for (uint32_t i = 0; i < s->n_samples; i++) {
        extra += isnan(base[i].score);
        most = isnan(base[i].score) ? most : fmax(most, base[i].score);
    }
    if (extra)
        exp_note(&x->notes, "%u samples of other methods are not among those of %.*s and are left out.",
                 extra, n, name);
    if (x->asked->scale > 1 && most * x->asked->scale <= 1)
        exp_note(&x->notes, "--scale %g, but no score of %.*s exceeds 1: were they percentages?",
                 x->asked->scale, n, name);
}

static void note_lengths(struct exp_quality_study *x)
{
    uint64_t pairs = 0, samples = 0;
    for (uint32_t k = 0; k < x->n_sets; k++) {
        if (result_of(x, k)->set.n > 1) continue;
        pairs += result_of(x, k)->all.length_pairs;
        samples += result_of(x, k)->all.samples;
    }
    if (pairs && pairs < samples)
        exp_note(&x->notes, "Output lengths are known on both sides for %.0f %% of the samples compared.",
                 100 * (double)pairs / (double)samples);
    if (!pairs && x->asked->options.truncated_at)
        exp_note(&x->notes, "--truncated-at has no use here: the scores say no output_tokens.");
}

static void note_mix(struct exp_quality_study *x)
{
    double covered = x->asked->mix ? exp_quality_at(x, 0, 0)->by_mix.covered : 1;
    if (covered < 0.9995)
        exp_note(&x->notes, "The scores have tasks for %.1f %% of the mix; the rest is left out.",
                 100 * covered);
}

/* ---- all ---- */

bool exp_quality_study(const struct exp_scores *scores, const struct exp_quality_question *asked,
                       struct exp_quality_study *out, struct sim_status *st)
{
    struct exp_quality_study x = {.scores = scores, .asked = asked};
    x.has_rerun = asked->rerun != UINT32_MAX;
    x.n_sets = asked->n_sets + x.has_rerun;
    x.label = sim_alloc(x.n_sets, sizeof *x.label);
    for (uint32_t k = 0; k < x.n_sets; k++) {
        struct exp_quality_set set = set_at(&x, k);
        x.label[k] = label_of(scores, &set);
    }
    if (asked->common) find_common(&x);
    bool ok = (!asked->common || check_common(&x, st)) && do_cases(&x, st) &&
              (!asked->strict || check_strict(&x, st));
    if (!ok) {
        exp_quality_study_fini(&x);
        return false;
    }
    find_same(&x);
    note_missing(&x);
    note_samples(&x);
    note_lengths(&x);
    note_mix(&x);
    *out = x;
    return true;
}

void exp_quality_study_fini(struct exp_quality_study *x)
{
    for (uint32_t i = 0; x->at && i < x->n_sets * x->asked->n_thetas; i++) {
        exp_quality_result_fini(&x->at[i].result);
        exp_guard_fini(&x->at[i].guard);
    }
    for (uint32_t k = 0; x->label && k < x->n_sets; k++) free(x->label[k]);
    free(x->label);
    free(x->same_as);
    free(x->at);
    free(x->use_sample);
    *x = (struct exp_quality_study){.at = NULL};
}

bool exp_quality_is_copy(const struct exp_quality_study *x, uint32_t set)
{
    uint32_t same = x->same_as[set];
    return same != UINT32_MAX && result_of(x, same)->missing == result_of(x, set)->missing;
}

/* Adds the critical samples to their tasks' rows. */
static void record_critical(const struct exp_quality_study *x, const struct exp_quality_case *c,
                            struct mdl_quality *q)
{
    const struct exp_critical *listed = x->asked->critical;
    for (uint32_t i = 0; i < listed->n; i++) {
        const char *task = x->scores->task[x->scores->sample[listed->sample[i]].task];
        enum exp_critical_verdict verdict =
            exp_critical_judge(x->scores, listed, i, c->result.set.method[0], &c->options);
        for (uint32_t t = 0; verdict != EXP_CRITICAL_MISSING && t < q->n_tasks; t++) {
            if (strcmp(q->tasks[t].task, task) != 0) continue;
            q->tasks[t].critical++;
            q->tasks[t].critical_failures += verdict == EXP_CRITICAL_FAILS;
        }
    }
}

void exp_quality_case_record(const struct exp_quality_study *x, const struct exp_quality_case *c,
                             const char *source, struct mdl_quality *out)
{
    exp_quality_record(x->scores, &c->result, &c->options, source, out);
    if (x->asked->critical && c->result.set.n == 1) record_critical(x, c, out);
}
