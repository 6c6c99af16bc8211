#include "experiments/report/curves.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

#include "sim/memory.h"

enum { MAX_SORTED = 200000 };

/* ---- latency ---- */

static double latency_s(const struct sim_outcome *o, enum exp_latency latency)
{
    switch (latency) {
    case EXP_LATENCY_TTFT:
        return o->ttft_s;
    case EXP_LATENCY_TPOT:
        return sim_tpot_s(o);
    default:
        return o->e2el_s;
    }
}

/* As sim/metrics.h counts; one token has no time per output token. */
static bool counts(const struct exp_run *run, uint64_t i, enum exp_latency latency, uint32_t slo_class)
{
    const struct sim_load *load = &run->setup->config.load;
    const struct sim_outcome *o = &run->result->outcomes[i];
    return o->status == SIM_COMPLETED && i >= load->warmup_requests &&
           o->arrival_s >= run->result->first_arrival_s + load->warmup_s &&
           (latency != EXP_LATENCY_TPOT || o->output_tokens > 1) &&
           (slo_class == EXP_ALL_CLASSES || load->requests[i].slo_class == slo_class);
}

bool exp_run_quantiles(const struct exp_run *run, enum exp_latency latency, uint32_t slo_class,
                       double ms[EXP_QUANTILES])
{
    uint64_t stride = run->result->n_requests / MAX_SORTED + 1, n = 0;
    double *values = sim_alloc(run->result->n_requests / stride + 1, sizeof *values);
    for (uint64_t i = 0; i < run->result->n_requests; i += stride)
        if (counts(run, i, latency, slo_class))
            values[n++] = 1e3 * latency_s(&run->result->outcomes[i], latency);
    gsl_sort(values, 1, n);
    for (int p = 0; p < EXP_QUANTILES; p++)
        ms[p] = n ? gsl_stats_quantile_from_sorted_data(values, 1, n, p / (EXP_QUANTILES - 1.0)) : NAN;
    free(values);
    return n > 0;
}

/* ---- time ---- */

static double share(uint64_t used, double all)
{
    return all > 0 ? (double)used / all : 0;
}

struct pools {
    double blocks, host_blocks, links;
};

/* Links of fleets that never use them are left out, as in the run's host_link_busy. */
static struct pools pools_of(const struct exp_run *run)
{
    const struct exp_setup *u = run->setup;
    struct pools p = {0};
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        const struct sim_fleet *fleet = &u->sim_fleets[f];
        p.blocks += (double)fleet->engine.n_blocks * fleet->n_replicas;
        p.host_blocks += (double)fleet->engine.n_host_blocks * fleet->n_replicas;
        if (run->result->fleets[f].link_s > 0) p.links += sim_host_links(fleet);
    }
    return p;
}

static const struct sim_sample *sample_of(const struct sim_result *res, uint32_t i)
{
    return i < res->n_timeline ? &res->timeline[i] : &res->at_end;
}

struct exp_moment exp_run_moment(const struct exp_run *run, uint32_t i)
{
    const struct sim_sample *s = sample_of(run->result, i), *before = i ? sample_of(run->result, i - 1) : s;
    struct pools all = pools_of(run);
    struct exp_moment m = {.time_s = s->time_s,
                           .running = (double)s->running,
                           .waiting = (double)s->waiting,
                           .kv_used = share(s->used_blocks, all.blocks),
                           .host_kv_used = share(s->host_blocks, all.host_blocks)};
    double past_s = s->time_s - before->time_s;
    if (!(past_s > 0)) return m;
    if (all.links > 0) m.link_busy = (s->link_s - before->link_s) / (all.links * past_s);
    m.arrived_per_s = (double)(s->arrived - before->arrived) / past_s;
    m.completed_per_s = (double)(s->completed - before->completed) / past_s;
    m.output_per_s = (double)(s->output_tokens - before->output_tokens) / past_s;
    return m;
}

void exp_run_curves_take(const struct exp_run *run, struct exp_run_curves *out)
{
    *out = (struct exp_run_curves){0};
    for (int l = 0; l < EXP_N_LATENCIES; l++)
        if (exp_run_quantiles(run, (enum exp_latency)l, EXP_ALL_CLASSES, out->latency_ms[l]))
            out->n_latency = EXP_QUANTILES;
    if (!run->result->n_timeline) return;
    out->n_timeline = run->result->n_timeline + 1;
    out->timeline = sim_alloc(out->n_timeline, sizeof *out->timeline);
    for (uint32_t i = 0; i < out->n_timeline; i++) out->timeline[i] = exp_run_moment(run, i);
}

void exp_run_curves_fini(struct exp_run_curves *c)
{
    free(c->timeline);
    *c = (struct exp_run_curves){0};
}
