#include "experiments/planning/pilot/pilot_parts.h"

#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"

enum { LEAST_SAMPLE = 30 };

/* ---- the arms at the pilot's load ---- */

static double *nans(uint64_t n)
{
    double *x = sim_alloc(n, sizeof *x);
    for (uint64_t i = 0; i < n; i++) x[i] = NAN;
    return x;
}

static void take(struct exp_pilot_sample *s, int arm, const struct sim_result *r)
{
    double busy_s = 0, span_s = r->last_arrival_s - r->first_arrival_s;
    s->tpot_s[arm] = nans(s->n);
    s->tokens[arm] = nans(s->n);
    for (uint64_t i = 0; i < s->n; i++) {
        const struct sim_outcome *o = &r->outcomes[i];
        if (o->status != SIM_COMPLETED) continue;
        s->tokens[arm][i] = o->output_tokens;
        if (o->output_tokens > 1) s->tpot_s[arm][i] = sim_tpot_s(o);
        busy_s += o->e2el_s;
    }
    s->in_flight = span_s > 0 ? busy_s / span_s : (double)s->n;
}

static bool simulate(struct exp_pilot_sample *s, const struct exp_pilot_lab *lab, int arm,
                     const struct exp_workload *load, struct sim_status *st)
{
    struct exp_scenario *scenario = exp_arm_scenario(lab->plan, &lab->arm[arm], st);
    struct exp_setup *setup = scenario ? exp_setup_new_on(scenario, lab->cache, NULL, load, st) : NULL;
    free(scenario);
    if (!setup) return false;
    struct sim_result *r = sim_run(&setup->config);
    take(s, arm, r);
    sim_result_free(r);
    exp_setup_free(setup);
    return true;
}

static void take_load(struct exp_pilot_sample *s, const struct exp_workload *load)
{
    s->n = load->n_requests;
    s->slo_class = sim_alloc(s->n ? s->n : 1, sizeof *s->slo_class);
    for (uint64_t i = 0; i < s->n; i++) {
        s->slo_class[i] = load->requests[i].slo_class;
        s->n_of_class[s->slo_class[i]]++;
    }
}

bool exp_pilot_sample_init(struct exp_pilot_sample *s, const struct exp_pilot_lab *lab, double load_factor,
                           struct sim_status *st)
{
    struct exp_loads *loads = exp_loads_new(lab->plan, lab->cache);
    uint64_t seed = lab->plan->base->seed;
    const struct exp_workload *load = exp_loads_get(loads, load_factor, seed, false, st);
    bool ok =
        load && (load->n_requests >= 2 || sim_fail(st, "load: %llu requests, expected two or more to try",
                                                   (unsigned long long)load->n_requests));
    *s = (struct exp_pilot_sample){.seed = seed};
    if (ok) take_load(s, load);
    for (int a = 0; ok && a < EXP_N_ARMS; a++) ok = simulate(s, lab, a, load, st);
    exp_loads_free(loads);
    if (!ok) exp_pilot_sample_fini(s);
    return ok;
}

void exp_pilot_sample_fini(struct exp_pilot_sample *s)
{
    for (int a = 0; a < EXP_N_ARMS; a++) {
        free(s->tpot_s[a]);
        free(s->tokens[a]);
    }
    free(s->slo_class);
    *s = (struct exp_pilot_sample){0};
}

/* ---- sizes ---- */

/* Values of a class that are there; with `also`, only where that has one too. */
static uint64_t pick(const struct exp_pilot_sample *s, int class, const double *from, const double *also,
                     double *out)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < s->n; i++)
        if (!isnan(from[i]) && !(also && isnan(also[i])) && (class < 0 || s->slo_class[i] == class))
            out[n++] = from[i];
    return n;
}

struct sizing {
    const struct exp_pilot_sample *sample;
    double *const *values; /* [EXP_N_ARMS] */
    double rel_error;
    bool paired;
};

/* 0 when there is nothing to draw from. */
static uint64_t size_of(const struct sizing *z, int class)
{
    const double *base = z->values[EXP_ARM_BASELINE], *cand = z->values[EXP_ARM_CANDIDATE];
    double *b = sim_alloc(z->sample->n, sizeof *b), *c = sim_alloc(z->sample->n, sizeof *c);
    uint64_t nb = pick(z->sample, class, base, z->paired ? cand : NULL, b);
    uint64_t nc = pick(z->sample, class, cand, z->paired ? base : NULL, c), size = 0;
    if (nb >= LEAST_SAMPLE && nc >= LEAST_SAMPLE) {
        struct exp_power p = {b, c, nb, nc, z->paired, z->rel_error, z->sample->seed};
        double more = exp_inflation(c, nc, exp_pilot_block(nc, z->sample->in_flight));
        size = (uint64_t)ceil((double)exp_power_requests(&p) * more);
    }
    free(c);
    free(b);
    return size;
}

static uint64_t size_or_all(const struct sizing *z, int class)
{
    uint64_t size = size_of(z, class);
    if (size == 0 && class >= 0) size = size_of(z, -1);
    return size ? size : LEAST_SAMPLE;
}

uint64_t exp_pilot_latency_size(const struct exp_pilot_sample *s, int class, double rel_error)
{
    return size_or_all(&(struct sizing){s, s->tpot_s, rel_error, false}, class);
}

/* Does the simulated candidate answer anything longer or shorter at all? */
static bool lengths_differ(const struct exp_pilot_sample *s)
{
    for (uint64_t i = 0; i < s->n; i++)
        if (fabs(s->tokens[EXP_ARM_BASELINE][i] - s->tokens[EXP_ARM_CANDIDATE][i]) > 0) return true;
    return false;
}

uint64_t exp_pilot_length_size(const struct exp_pilot_sample *s, int class, double rel_error, bool paired)
{
    struct sizing z = {s, s->tokens, rel_error, paired && lengths_differ(s)};
    return size_or_all(&z, class);
}
