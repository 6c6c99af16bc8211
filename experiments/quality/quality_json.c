#include "experiments/quality/study.h"

#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"

/* NaN is null: there is no such number in JSON. */
static void set_real(json_t *o, const char *key, double value)
{
    json_object_set_new(o, key, isfinite(value) ? json_real(value) : json_null());
}

static void set_count(json_t *o, const char *key, uint64_t value)
{
    json_object_set_new(o, key, json_integer((json_int_t)value));
}

/* name, name_lo, name_hi; the ends only where they were drawn. */
static void set_band(json_t *o, const char *key, struct exp_band b)
{
    char *lo = sim_printf("%s_lo", key), *hi = sim_printf("%s_hi", key);
    set_real(o, key, b.mean);
    if (!isnan(b.lo)) set_real(o, lo, b.lo);
    if (!isnan(b.hi)) set_real(o, hi, b.hi);
    free(lo);
    free(hi);
}

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : NAN;
}

/* ---- one set ---- */

static void set_lengths(json_t *o, const struct exp_quality_count *c)
{
    set_count(o, "length_pairs", c->length_pairs);
    if (!c->length_pairs) return;
    set_real(o, "length_ratio", ratio(c->tokens, c->base_tokens));
    set_count(o, "longer", c->longer);
    set_count(o, "shorter", c->shorter);
    set_count(o, "empty", c->empty);
    set_count(o, "truncated", c->truncated);
}

static void set_counts(json_t *o, const struct exp_quality_count *c)
{
    set_count(o, "samples", c->samples);
    set_count(o, "benign", c->benign);
    set_count(o, "negatives", c->negatives);
    set_count(o, "fixed", c->fixed);
    set_count(o, "worse", c->worse);
    set_count(o, "same", c->same);
    set_count(o, "better", c->better);
    set_count(o, "zeroed", c->zeroed);
    set_count(o, "partial", c->partial);
    set_lengths(o, c);
}

static json_t *tasks_json(const struct exp_quality_study *x, const struct exp_quality_case *c)
{
    json_t *tasks = json_object();
    for (uint32_t t = 0; t < x->scores->n_tasks; t++) {
        const struct exp_quality_count *n = &c->result.task[t];
        if (!n->samples) continue;
        json_t *o = json_object();
        set_counts(o, n);
        set_real(o, "negative_rate", ratio(n->negatives, n->benign));
        set_real(o, "mean_score", n->score_sum / (double)n->samples);
        set_real(o, "baseline_mean_score", n->base_sum / (double)n->samples);
        json_object_set_new(tasks, x->scores->task[t], o);
    }
    return tasks;
}

static json_t *worst_json(const struct exp_quality_study *x, const struct exp_quality_case *c,
                          uint32_t n_worst)
{
    json_t *list = json_array();
    uint32_t *sample = sim_alloc(n_worst, sizeof *sample);
    uint32_t n = exp_quality_worst(x->scores, &c->result, &c->options, sample, n_worst);
    for (uint32_t i = 0; i < n; i++) {
        const struct exp_sample_id *at = &x->scores->sample[sample[i]];
        json_t *o = json_object();
        json_object_set_new(o, "task", json_string(x->scores->task[at->task]));
        json_object_set_new(o, "id", json_string(at->id));
        set_real(o, "baseline_score", x->scores->score[c->options.baseline][sample[i]].score);
        set_real(o, "score", exp_quality_score(x->scores, &c->result.set, sample[i]));
        json_array_append_new(list, o);
    }
    free(sample);
    return list;
}

static json_t *critical_json(const struct exp_critical_result *r)
{
    json_t *o = json_object();
    set_count(o, "samples", r->n);
    set_count(o, "failures", r->failures);
    set_count(o, "missing", r->missing);
    set_real(o, "weighted_failures", r->weighted_failures);
    set_real(o, "bound", r->bound);
    set_real(o, "cvar", r->cvar);
    set_real(o, "worst_change", r->worst_change);
    return o;
}

static json_t *guard_json(const struct exp_quality_study *x, const struct exp_guard *guard)
{
    json_t *o = json_object(), *list = json_array();
    for (uint32_t i = 0; i < guard->n; i++)
        json_array_append_new(list, json_string(x->scores->task[guard->task[i]]));
    set_real(o, "target", x->asked->guard_rate);
    json_object_set_new(o, "tasks", list);
    set_real(o, "share", guard->share);
    set_real(o, "rate_before", guard->rate_before);
    set_real(o, "rate_after", guard->rate_after);
    set_real(o, "rate_held_out", guard->rate_held_out);
    json_object_set_new(o, "met", json_boolean(guard->met));
    return o;
}

static json_t *mix_json(const struct mdl_quality_rates *r)
{
    json_t *o = json_object();
    set_band(o, "newly_failing",
             (struct exp_band){r->newly_failing, r->newly_failing_lo, r->newly_failing_hi});
    set_real(o, "newly_fixed", r->newly_fixed);
    set_real(o, "net", r->newly_failing - r->newly_fixed);
    set_real(o, "covered", r->covered);
    return o;
}

static void set_rates(json_t *o, const struct exp_quality_study *x, const struct exp_quality_case *c)
{
    struct exp_quality_means mean = exp_quality_mean_scores(&c->result, x->scores->n_tasks);
    set_band(o, "negative_rate", c->bands.negative_rate);
    set_band(o, "newly_failing", c->bands.newly_failing);
    set_band(o, "newly_fixed", c->bands.newly_fixed);
    set_band(o, "net", c->bands.net);
    set_band(o, "worse_frac", c->bands.worse);
    set_band(o, "better_frac", c->bands.better);
    set_real(o, "mean_score", mean.score);
    set_real(o, "baseline_mean_score", mean.base);
    set_band(o, "mean_change", c->bands.mean_change);
    if (c->result.all.base_tokens) set_band(o, "length_ratio", c->bands.length_ratio);
}

static json_t *methods_json(const struct exp_quality_study *x, const struct exp_quality_set *set)
{
    json_t *methods = json_array();
    for (uint32_t i = 0; i < set->n; i++)
        json_array_append_new(methods, json_string(x->scores->method[set->method[i]]));
    return methods;
}

static json_t *case_json(const struct exp_quality_study *x, const struct exp_quality_case *c,
                         uint32_t n_worst)
{
    json_t *o = json_object(), *rules = json_object();
    json_object_set_new(o, "methods", methods_json(x, &c->result.set));
    set_real(o, "theta", c->options.theta);
    set_counts(o, &c->result.all);
    set_count(o, "missing", c->result.missing);
    set_rates(o, x, c);
    set_count(rules, "paper", c->negatives_by_rule[EXP_RULE_PAPER]);
    set_count(rules, "code", c->negatives_by_rule[EXP_RULE_CODE]);
    json_object_set_new(o, "negatives_by_rule", rules);
    if (x->asked->mix) json_object_set_new(o, "by_mix", mix_json(&c->by_mix));
    if (x->asked->critical && c->result.set.n == 1)
        json_object_set_new(o, "critical", critical_json(&c->critical));
    if (!isnan(x->asked->guard_rate)) json_object_set_new(o, "guard", guard_json(x, &c->guard));
    json_object_set_new(o, "tasks", tasks_json(x, c));
    if (n_worst) json_object_set_new(o, "worst", worst_json(x, c, n_worst));
    return o;
}

/* ---- all ---- */

static json_t *identical_json(const struct exp_quality_study *x)
{
    json_t *pairs = json_array();
    for (uint32_t k = 0; k < x->n_sets; k++) {
        uint32_t same = x->same_as[k];
        if (same == UINT32_MAX) continue;
        json_t *pair = methods_json(x, &exp_quality_at(x, same, 0)->result.set);
        json_t *other = methods_json(x, &exp_quality_at(x, k, 0)->result.set);
        json_array_extend(pair, other);
        json_decref(other);
        json_array_append_new(pairs, pair);
    }
    return pairs;
}

static json_t *notes_json(const struct exp_notes *notes)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < notes->n; i++) json_array_append_new(list, json_string(notes->text[i]));
    return list;
}

json_t *exp_quality_json(const struct exp_quality_study *x, uint32_t n_worst)
{
    const struct exp_quality_options *asked = &x->asked->options;
    json_t *o = json_object(), *sets = json_array(), *rerun = json_array();
    for (uint32_t k = 0; k < x->n_sets; k++)
        for (uint32_t t = 0; t < x->asked->n_thetas; t++)
            json_array_append_new(x->has_rerun && k == x->n_sets - 1 ? rerun : sets,
                                  case_json(x, exp_quality_at(x, k, t), n_worst));
    json_object_set_new(o, "baseline", json_string(x->scores->method[asked->baseline]));
    json_object_set_new(o, "rule", json_string(asked->rule == EXP_RULE_CODE ? "code" : "paper"));
    json_object_set_new(o, "benign_by", json_string(asked->benign_by_median ? "median" : "mean"));
    json_object_set_new(o, "sets", sets);
    if (x->has_rerun)
        json_object_set_new(o, "baseline_rerun", rerun);
    else
        json_decref(rerun);
    json_object_set_new(o, "identical", identical_json(x));
    if (x->asked->critical) set_count(o, "critical_unknown", x->asked->critical->n_unknown);
    json_object_set_new(o, "notes", notes_json(&x->notes));
    return o;
}
