#include "experiments/planning/pilot/pilot.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "experiments/planning/pilot/pilot_parts.h"
#include "experiments/planning/sheet/facts.h"
#include "sim/memory.h"

/* What is worth knowing: a difference that would turn the saving, within these. */
static const double LEAST_ERROR = 0.02, MOST_ERROR = 0.10;
static const double LEAST_WIDTH = 0.005, MOST_WIDTH = 0.02; /* of the failure rate, to either side */
static const double UNKNOWN_RATE = 0.05;                    /* of failing answers, where nobody counted */
static const double MOST_LIVE = 0.5;                        /* both arms answer somebody */
static const double RULE_OF_THREE = 3;
static const double HOUR_S = 3600;

struct maker {
    const struct exp_decision *d;
    struct exp_arm_machines arm[EXP_N_ARMS];
    struct exp_pilot_sample sample;
    struct exp_pilot_plan *out;
    double arm_rate;  /* requests per second of an arm that gets all classes, at the busiest hour */
    double mean_load; /* of the day, over that */
};

/* ---- sizes ---- */

static double error_that_matters(double limit)
{
    if (isnan(limit)) return (LEAST_ERROR + MOST_ERROR) / 2;
    return fmin(fmax(limit - 1, LEAST_ERROR), MOST_ERROR);
}

/* Answers that place the rate within a width (90 %), and how many of them may fail: by the class's own limit, else by the
 * one at which the saving is gone. */
static void size_quality(const struct maker *m, double max_rate, struct exp_pilot_stage *s)
{
    double expected = exp_pilot_row(m->d)->entry->rates.newly_failing, limit = m->out->limits.failing;
    double rate = isnan(expected) ? UNKNOWN_RATE : fmax(expected, LEAST_WIDTH);
    double width = isfinite(limit) ? fmin(fmax(limit - rate, LEAST_WIDTH), MOST_WIDTH) : MOST_WIDTH;
    double z = gsl_cdf_ugaussian_Pinv(0.95);
    if (!isnan(max_rate)) {
        s->n_quality = (uint64_t)ceil(RULE_OF_THREE / fmax(max_rate, EXP_LEAST_LIMIT) - 1e-9);
        return;
    }
    s->n_quality = (uint64_t)ceil(rate * (1 - rate) * (z / width) * (z / width));
    s->failures_allowed = exp_failures_allowed(s->n_quality, isfinite(limit) ? limit : rate + width);
}

static void size_stage(const struct maker *m, int class, double max_rate, struct exp_pilot_stage *s)
{
    s->n_latency = exp_pilot_latency_size(&m->sample, class, m->out->latency_rel_error);
    if (!m->out->apart) return;
    s->n_length = exp_pilot_length_size(&m->sample, class, m->out->length_rel_error, class < 0);
    size_quality(m, max_rate, s);
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* class -1 = all. At the day's mean load. */
static double hours_of(const struct maker *m, int class, double arm_rate, const struct exp_pilot_stage *s)
{
    uint64_t needed = most(most(s->n_latency, s->n_length), s->n_quality);
    double share = class < 0 ? 1 : (double)m->sample.n_of_class[class] / (double)m->sample.n;
    if (class < 0) needed = most(needed, m->out->n_critical);
    return (double)needed / (arm_rate * share * m->mean_load) / HOUR_S;
}

/* ---- stages ---- */

static double traffic_of(const struct maker *m, double cap)
{
    double today = m->d->requests_per_s_today;
    return today > 0 ? fmin(m->arm_rate / today, cap) : cap;
}

/* Copies: both arms answer the same requests, and nobody sees what they say. */
static void add_shadow(struct maker *m)
{
    struct exp_pilot_stage *s = &m->out->stage[m->out->n_stages++];
    snprintf(s->name, sizeof s->name, "shadow");
    s->traffic_frac = traffic_of(m, 1);
    size_stage(m, -1, NAN, s);
    s->hours = hours_of(m, -1, m->arm_rate, s);
}

static void add_live(struct maker *m, uint32_t class, const char *name)
{
    const struct exp_plan_class *k = &m->d->plan->class[class];
    struct exp_pilot_stage *s = &m->out->stage[m->out->n_stages++];
    snprintf(s->name, sizeof s->name, "live");
    snprintf(s->class, sizeof s->class, "%s", name);
    s->traffic_frac = traffic_of(m, MOST_LIVE);
    size_stage(m, (int)class, k->max_failure_rate, s);
    double today = m->d->requests_per_s_today;
    s->hours = hours_of(m, (int)class, today > 0 ? s->traffic_frac * today : m->arm_rate, s);
}

/* Less to lose: no limit on failures, then what a failure costs. */
static bool goes_before(const struct exp_plan_class *a, const struct exp_plan_class *b)
{
    bool la = !isnan(a->max_failure_rate), lb = !isnan(b->max_failure_rate);
    double ca = a->cost_per_failure + a->churn_per_failure * a->customer_value;
    double cb = b->cost_per_failure + b->churn_per_failure * b->customer_value;
    return la != lb ? !la : ca < cb;
}

static void add_classes(struct maker *m)
{
    struct exp_class_keys *keys = sim_alloc(SIM_MAX_CLASSES, sizeof *keys);
    uint32_t order[SIM_MAX_CLASSES], n = exp_scenario_classes(m->d->plan->base, keys);
    const struct exp_plan_class *class = m->d->plan->class;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i;
        for (; at > 0 && goes_before(&class[i], &class[order[at - 1]]); at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (uint32_t i = 0; i < n; i++)
        if (m->sample.n_of_class[order[i]]) add_live(m, order[i], keys[order[i]].name);
    free(keys);
}

/* ---- the whole ---- */

static bool owned(const struct exp_plan *plan, const struct mdl_gpu *gpu, struct exp_cache *cache)
{
    struct sim_status ignored = {0};
    for (uint32_t i = 0; i < plan->n_have; i++)
        if (mdl_gpu_find(exp_cache_gpus(cache), plan->have[i].gpu, &ignored) == gpu) return true;
    return false;
}

/* An hour of an arm's machines: rented, unless there are some. Without a price, nothing. */
static double machine_hour(const struct exp_decision *d, const struct exp_arm_machines *arm,
                           struct exp_cache *cache)
{
    const struct exp_candidate *c = &arm->candidate;
    const struct mdl_rent_price *r = mdl_rent_price(d->prices, c->gpu->name);
    if (!r || owned(d->plan, c->gpu, cache)) return 0;
    return ceil((double)c->tensor_parallel / r->gpus) * r->hour.value;
}

static double cost_of(const struct maker *m, struct exp_cache *cache)
{
    double hour = machine_hour(m->d, &m->arm[EXP_ARM_CANDIDATE], cache);
    if (!isnan(m->d->plan->pilot_cost)) return m->d->plan->pilot_cost;
    if (m->out->apart) hour += machine_hour(m->d, &m->arm[EXP_ARM_BASELINE], cache);
    return m->d->pilot_cost + hour * m->out->hours;
}

static double day_mean(const struct exp_plan *plan)
{
    double shape[EXP_DAY_HOURS], sum = 0;
    exp_plan_day(plan, shape);
    for (int h = 0; h < EXP_DAY_HOURS; h++) sum += shape[h];
    return sum / EXP_DAY_HOURS;
}

static void set_limits(struct maker *m)
{
    double predicted = exp_pilot_row(m->d)->entry->point.length_ratio;
    m->out->limits = exp_pilot_limits_of(m->d);
    m->out->latency_rel_error = error_that_matters(m->out->limits.step_time);
    m->out->length_rel_error = error_that_matters(m->out->limits.length);
    m->out->length_ratio_max =
        isnan(m->out->limits.length) ? predicted * (1 + MOST_ERROR) : predicted * m->out->limits.length;
    if (!m->out->apart) m->out->length_ratio_max = NAN; /* nothing to compare lengths with */
    m->out->n_critical = m->out->apart ? exp_critical_needed(m->d->plan) : 0;
}

/* An arm's load is what a replica of the deployed fleet has, or all that there is today. */
static void set_load(struct maker *m)
{
    double needed = m->d->requests_per_s_needed, today = m->d->requests_per_s_today;
    m->arm_rate = exp_pilot_share(m->d) * needed;
    if (today > 0 && m->arm_rate > today) m->arm_rate = today;
    m->out->load_factor = needed > 0 ? m->arm_rate / needed : 1;
    m->mean_load = day_mean(m->d->plan);
    for (int a = 0; a < EXP_N_ARMS; a++) {
        struct exp_candidate c = m->arm[a].candidate;
        c.contender = &m->arm[a].contender;
        exp_candidate_label(&c, m->out->arm[a], sizeof m->out->arm[a]);
    }
    m->out->apart = m->arm[EXP_ARM_CANDIDATE].apart;
}

static bool make(struct maker *m, struct exp_cache *cache, struct sim_status *st)
{
    if (!exp_pilot_arms(m->d, cache, m->arm, st)) return false;
    set_load(m);
    const struct exp_pilot_lab lab = {m->d->plan, cache, m->arm};
    if (!exp_pilot_sample_init(&m->sample, &lab, m->out->load_factor, st)) return false;
    set_limits(m);
    add_shadow(m);
    add_classes(m);
    for (uint32_t i = 0; i < m->out->n_stages; i++) m->out->hours += m->out->stage[i].hours;
    m->out->cost = cost_of(m, cache);
    exp_pilot_sample_fini(&m->sample);
    return true;
}

bool exp_pilot_make(const struct exp_decision *d, struct exp_cache *cache, struct exp_pilot_plan *out,
                    struct sim_status *st)
{
    struct maker *m = sim_alloc(1, sizeof *m);
    struct exp_pilot_plan *p = sim_alloc(1, sizeof *p);
    m->d = d;
    m->out = p;
    bool ok = make(m, cache, st);
    if (ok) *out = *p;
    free(p);
    free(m);
    return ok;
}
