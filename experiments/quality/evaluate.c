#include "experiments/quality/evaluate.h"

#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/memory.h"

static const double LONGER = 1.5, SHORTER = 0.5;

double exp_quality_score(const struct exp_scores *s, const struct exp_quality_set *set, uint32_t sample)
{
    double best = s->score[set->method[0]][sample].score;
    for (uint32_t i = 1; i < set->n; i++) {
        double score = s->score[set->method[i]][sample].score;
        if (isnan(score) || score > best) best = score;
        if (isnan(score)) break;
    }
    return best;
}

static double base_of(const struct exp_scores *s, const struct exp_quality_options *o, uint32_t sample)
{
    return s->score[o->baseline][sample].score;
}

bool exp_quality_compares(const struct exp_scores *s, const struct exp_quality_set *set,
                          const struct exp_quality_options *o, uint32_t sample)
{
    return (!o->use_sample || o->use_sample[sample]) && !isnan(base_of(s, o, sample)) &&
           !isnan(exp_quality_score(s, set, sample));
}

/* ---- from which score on a sample is benign ---- */

/* Mean, or median, of n scores. In long double: the mean of equal scores is that score and nothing above it, which would
 * make none of them benign. */
static double middle(double *score, size_t n, bool by_median)
{
    if (n == 0) return NAN;
    if (by_median) {
        gsl_sort(score, 1, n);
        return gsl_stats_median_from_sorted_data(score, 1, n);
    }
    long double sum = 0;
    for (size_t i = 0; i < n; i++) sum += score[i];
    return (double)(sum / (long double)n);
}

/* least[t]: what full KV (with `set` NULL), or the set, must reach on a task to be good there. */
static void find_least(const struct exp_scores *s, const struct exp_quality_set *set,
                       const struct exp_quality_options *o, double *least)
{
    double *score = sim_alloc(s->n_samples, sizeof *score);
    size_t n = 0;
    for (uint32_t i = 0; i < s->n_samples; i++) {
        double value = set ? exp_quality_score(s, set, i) : base_of(s, o, i);
        if (!isnan(value)) score[n++] = value;
        uint32_t task = s->sample[i].task;
        if (i + 1 < s->n_samples && s->sample[i + 1].task == task) continue;
        least[task] = middle(score, n, o->benign_by_median);
        n = 0;
    }
    free(score);
}

bool exp_quality_falls(double score, double base, const struct exp_quality_options *o)
{
    double limit = base * (1 - o->theta);
    return o->rule == EXP_RULE_CODE ? !(limit < score) : score < limit;
}

/* ---- counts ---- */

static void count_length(const struct exp_score *base, const struct exp_score *own,
                         const struct exp_quality_options *o, struct exp_quality_count *c)
{
    if (own->output_tokens == EXP_NO_TOKENS) return;
    c->empty += own->output_tokens == 0;
    c->truncated += o->truncated_at > 0 && own->output_tokens >= o->truncated_at;
    if (base->output_tokens == EXP_NO_TOKENS) return;
    c->length_pairs++;
    c->base_tokens += base->output_tokens;
    c->tokens += own->output_tokens;
    c->longer += base->output_tokens > 0 && own->output_tokens >= LONGER * base->output_tokens;
    c->shorter += base->output_tokens > 0 && own->output_tokens <= SHORTER * base->output_tokens;
}

struct judged {
    double base, score;
    bool benign, negative, fixed;
};

static void count_score(const struct judged *j, struct exp_quality_count *c)
{
    c->samples++;
    c->benign += j->benign;
    c->negatives += j->negative;
    c->fixed += j->fixed;
    c->worse += j->score < j->base;
    c->same += j->score == j->base;
    c->better += j->score > j->base;
    c->zeroed += j->negative && j->score == 0;
    c->partial += j->negative && j->score > 0;
    c->base_sum += j->base;
    c->score_sum += j->score;
}

static void add_counts(struct exp_quality_count *all, const struct exp_quality_count *c)
{
    all->samples += c->samples;
    all->benign += c->benign;
    all->negatives += c->negatives;
    all->fixed += c->fixed;
    all->worse += c->worse;
    all->same += c->same;
    all->better += c->better;
    all->length_pairs += c->length_pairs;
    all->longer += c->longer;
    all->shorter += c->shorter;
    all->base_tokens += c->base_tokens;
    all->tokens += c->tokens;
    all->empty += c->empty;
    all->truncated += c->truncated;
    all->zeroed += c->zeroed;
    all->partial += c->partial;
    all->base_sum += c->base_sum;
    all->score_sum += c->score_sum;
}

static void judge(const struct exp_scores *s, const struct exp_quality_options *o,
                  struct exp_quality_result *r)
{
    double least_base[MDL_MAX_TASKS], least_own[MDL_MAX_TASKS];
    find_least(s, NULL, o, least_base);
    find_least(s, &r->set, o, least_own);
    for (uint32_t i = 0; i < s->n_samples; i++) {
        r->missing += !isnan(base_of(s, o, i)) && isnan(exp_quality_score(s, &r->set, i));
        if (!exp_quality_compares(s, &r->set, o, i)) continue;
        uint32_t task = s->sample[i].task;
        struct judged j = {.base = base_of(s, o, i), .score = exp_quality_score(s, &r->set, i)};
        j.benign = r->benign[i] = j.base >= least_base[task];
        j.negative = r->negative[i] = j.benign && exp_quality_falls(j.score, j.base, o);
        j.fixed = r->fixed[i] = j.score >= least_own[task] && exp_quality_falls(j.base, j.score, o);
        count_score(&j, &r->task[task]);
        if (r->set.n == 1)
            count_length(&s->score[o->baseline][i], &s->score[r->set.method[0]][i], o, &r->task[task]);
    }
    for (uint32_t t = 0; t < s->n_tasks; t++) add_counts(&r->all, &r->task[t]);
}

/* ---- what nothing can be said of ---- */

/* "task qasper, id 7": the first sample that a method has. */
static void first_of(const struct exp_scores *s, uint32_t method, char *out, size_t room)
{
    snprintf(out, room, "none");
    for (uint32_t i = 0; i < s->n_samples; i++) {
        if (isnan(s->score[method][i].score)) continue;
        snprintf(out, room, "task %s, id %.40s", s->task[s->sample[i].task], s->sample[i].id);
        return;
    }
}

static bool refuse_nothing_common(const struct exp_scores *s, const struct exp_quality_set *set,
                                  const struct exp_quality_options *o, struct sim_status *st)
{
    char base[160], own[160];
    first_of(s, o->baseline, base, sizeof base);
    first_of(s, set->method[0], own, sizeof own);
    return sim_fail(
        st,
        "%s%s: no sample in common with %s, expected the same tasks and ids (the first is %s, and that "
        "of %s is %s); correct the ids, or compare other methods",
        s->method[set->method[0]], set->n > 1 ? " and the others of its set" : "", s->method[o->baseline],
        own, s->method[o->baseline], base);
}

bool exp_quality_evaluate(const struct exp_scores *s, const struct exp_quality_set *set,
                          const struct exp_quality_options *options, struct exp_quality_result *out,
                          struct sim_status *st)
{
    struct exp_quality_result r = {.set = *set};
    r.task = sim_alloc(s->n_tasks, sizeof *r.task);
    r.negative = sim_alloc(s->n_samples, sizeof *r.negative);
    r.benign = sim_alloc(s->n_samples, sizeof *r.benign);
    r.fixed = sim_alloc(s->n_samples, sizeof *r.fixed);
    judge(s, options, &r);
    if (r.all.samples == 0) {
        exp_quality_result_fini(&r);
        return refuse_nothing_common(s, set, options, st);
    }
    *out = r;
    return true;
}

void exp_quality_result_fini(struct exp_quality_result *r)
{
    if (!r) return;
    free(r->task);
    free(r->negative);
    free(r->benign);
    free(r->fixed);
    *r = (struct exp_quality_result){.task = NULL};
}

/* ---- figures of a result ---- */

struct exp_quality_means exp_quality_mean_scores(const struct exp_quality_result *r, uint32_t n_tasks)
{
    struct exp_quality_means sum = {0, 0};
    uint32_t n = 0;
    for (uint32_t t = 0; t < n_tasks; t++) {
        const struct exp_quality_count *c = &r->task[t];
        if (!c->samples) continue;
        sum.base += c->base_sum / (double)c->samples;
        sum.score += c->score_sum / (double)c->samples;
        n++;
    }
    return (struct exp_quality_means){n ? sum.base / n : NAN, n ? sum.score / n : NAN};
}

struct fall {
    double by;
    uint32_t sample;
};

static int compare_falls(const void *a, const void *b)
{
    const struct fall *x = a, *y = b;
    if (x->by != y->by) return x->by > y->by ? -1 : 1;
    return x->sample < y->sample ? -1 : x->sample > y->sample;
}

uint32_t exp_quality_worst(const struct exp_scores *s, const struct exp_quality_result *r,
                           const struct exp_quality_options *o, uint32_t *sample, uint32_t n)
{
    struct fall *fall = sim_alloc(s->n_samples, sizeof *fall);
    uint32_t n_falls = 0;
    for (uint32_t i = 0; i < s->n_samples; i++) {
        if (!exp_quality_compares(s, &r->set, o, i)) continue;
        double by = base_of(s, o, i) - exp_quality_score(s, &r->set, i);
        if (by > 0) fall[n_falls++] = (struct fall){by, i};
    }
    qsort(fall, n_falls, sizeof *fall, compare_falls);
    uint32_t written = n < n_falls ? n : n_falls;
    for (uint32_t i = 0; i < written; i++) sample[i] = fall[i].sample;
    free(fall);
    return written;
}

static struct mdl_quality_task record_of(const struct exp_quality_count *c, const char *name)
{
    struct mdl_quality_task t = {.samples = c->samples,
                                 .benign = c->benign,
                                 .negatives = c->negatives,
                                 .fixed = c->fixed,
                                 .worse = c->worse,
                                 .better = c->better,
                                 .length_pairs = c->length_pairs,
                                 .length_ratio =
                                     c->base_tokens ? (double)c->tokens / (double)c->base_tokens : NAN,
                                 .longer = c->longer,
                                 .empty = c->empty,
                                 .truncated = c->truncated,
                                 .zeroed = c->zeroed};
    snprintf(t.task, sizeof t.task, "%s", name);
    return t;
}

void exp_quality_record(const struct exp_scores *s, const struct exp_quality_result *r,
                        const struct exp_quality_options *options, const char *source,
                        struct mdl_quality *out)
{
    struct mdl_quality q = {.theta = options->theta};
    q.tasks = sim_alloc(s->n_tasks, sizeof *q.tasks);
    for (uint32_t t = 0; t < s->n_tasks; t++)
        if (r->task[t].samples) q.tasks[q.n_tasks++] = record_of(&r->task[t], s->task[t]);
    snprintf(q.rule, sizeof q.rule, "%s", options->rule == EXP_RULE_CODE ? "code" : "paper");
    snprintf(q.source, sizeof q.source, "%s", source);
    *out = q;
}
