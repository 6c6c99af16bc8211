#include "sim/metrics.h"

#include "sim/check.h"
#include "sim/histogram.h"
#include "sim/memory.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

enum { ALL_CLASSES = UINT16_MAX };
static const double WINDOW_S = 300; /* "its worst 5 minutes" */

const char *sim_load_state_name(enum sim_load_state s)
{
    static const char *const names[] = {"stable", "backlogged", "overloaded"};
    return names[s];
}

/* --- order statistics --- */

/* values[rank .. n) hold the greatest from here on: each call may narrow the search to what is left above. */
static double at_rank(double *values, uint64_t n, uint64_t *below, uint64_t rank)
{
    double v = gsl_stats_select(values + *below, 1, n - *below, rank - *below);
    *below = rank;
    return v;
}

/* numpy's linear percentile; calls must come in rising q. Reorders values. */
static double percentile(double *values, uint64_t n, uint64_t *below, double q)
{
    double rank = q * (double)(n - 1);
    uint64_t lower = (uint64_t)rank;
    double low = at_rank(values, n, below, lower);
    if (lower + 1 >= n) return low;
    double high = INFINITY;
    for (uint64_t i = lower + 1; i < n; i++) high = values[i] < high ? values[i] : high;
    return low + (rank - (double)lower) * (high - low);
}

static struct sim_stat stat_of(double *values, uint64_t n)
{
    struct sim_stat s = {0};
    if (!n) return s;
    double sum = 0, square = 0;
    for (uint64_t i = 0; i < n; i++) sum += values[i];
    s.mean = sum / (double)n;
    for (uint64_t i = 0; i < n; i++) square += (values[i] - s.mean) * (values[i] - s.mean);
    s.std = sqrt(square / (double)n);
    uint64_t below = 0;
    s.p50 = s.median = percentile(values, n, &below, 0.50);
    s.p90 = percentile(values, n, &below, 0.90);
    s.p95 = percentile(values, n, &below, 0.95);
    s.p99 = percentile(values, n, &below, 0.99);
    return s;
}

static struct sim_stat stat_of_itl(struct sim_itl_stats i)
{
    return (struct sim_stat){i.mean, i.p50, i.std, i.p50, i.p90, i.p95, i.p99};
}

/* --- one class, or all --- */

/* What a summary is made of: the requests of one class (or all) that are measured, and room for one value
 * each. */
struct selection {
    const struct sim_config *config;
    const struct sim_result *result;
    uint16_t slo_class;
    double *values;
};

static bool measured(const struct selection *sel, uint64_t i)
{
    const struct sim_load *load = &sel->config->load;
    const struct sim_outcome *o = &sel->result->outcomes[i];
    if (o->status == SIM_NOT_ARRIVED || i < load->warmup_requests) return false;
    if (load->warmup_s > 0 && o->arrival_s < sel->result->first_arrival_s + load->warmup_s) return false;
    return sel->slo_class == ALL_CLASSES || load->requests[i].slo_class == sel->slo_class;
}

typedef double value_fn(const struct sim_outcome *o);

static double ttft(const struct sim_outcome *o)
{
    return o->ttft_s;
}

static double e2el(const struct sim_outcome *o)
{
    return o->e2el_s;
}

static double queued(const struct sim_outcome *o)
{
    return o->queue_s;
}

static struct sim_stat stat_over(const struct selection *sel, value_fn *value, uint32_t least_output_tokens)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < sel->result->n_requests; i++) {
        const struct sim_outcome *o = &sel->result->outcomes[i];
        if (o->status == SIM_COMPLETED && o->output_tokens >= least_output_tokens && measured(sel, i))
            sel->values[n++] = value(o);
    }
    return stat_of(sel->values, n);
}

static bool within(double value, double limit)
{
    return limit <= 0 || value <= limit;
}

static bool is_good(const struct sim_slo *slo, const struct sim_outcome *o)
{
    return o->status == SIM_COMPLETED && within(o->ttft_s, slo->ttft_s) &&
           within(sim_tpot_s(o), slo->tpot_s) && within(o->e2el_s, slo->e2el_s);
}

/* Counts of one pass over the requests. */
struct tally {
    uint64_t good;
    double first_s, last_s; /* first arrival, last completion */
    double worst_window;    /* attainment */
    uint64_t window, window_good, window_arrived;
};

static void close_window(struct tally *t)
{
    if (!t->window_arrived) return;
    double share = (double)t->window_good / (double)t->window_arrived;
    if (share < t->worst_window) t->worst_window = share;
    t->window_good = t->window_arrived = 0;
}

static void count_window(struct tally *t, const struct sim_result *res, const struct sim_outcome *o,
                         bool good)
{
    uint64_t window = (uint64_t)((o->arrival_s - res->first_arrival_s) / WINDOW_S);
    if (window != t->window) close_window(t);
    t->window = window;
    t->window_arrived++;
    t->window_good += good;
}

static void count_request(struct sim_summary *s, struct tally *t, const struct sim_slo *slo,
                          const struct sim_request *q, const struct sim_outcome *o)
{
    s->arrived++;
    s->preemptions += o->preemptions;
    t->first_s = fmin(t->first_s, o->arrival_s);
    if (o->status == SIM_REJECTED_TOO_LONG) s->rejected++;
    if (o->status == SIM_UNFINISHED) s->unfinished++;
    if (o->status != SIM_COMPLETED) return;
    s->completed++;
    s->input_tokens += q->input_tokens;
    s->output_tokens += o->output_tokens;
    s->equivalent_output_tokens += q->output_tokens;
    t->last_s = fmax(t->last_s, o->arrival_s + o->e2el_s);
    s->slo_violations_ttft += !within(o->ttft_s, slo->ttft_s);
    s->slo_violations_tpot += !within(sim_tpot_s(o), slo->tpot_s);
    s->slo_violations_e2el += !within(o->e2el_s, slo->e2el_s);
}

static struct tally count(const struct selection *sel, struct sim_summary *s)
{
    struct tally t = {.first_s = INFINITY, .worst_window = 1};
    for (uint64_t i = 0; i < sel->result->n_requests; i++) {
        if (!measured(sel, i)) continue;
        const struct sim_request *q = &sel->config->load.requests[i];
        const struct sim_outcome *o = &sel->result->outcomes[i];
        const struct sim_slo *slo = &sel->config->classes[q->slo_class].slo;
        bool good = is_good(slo, o);
        count_request(s, &t, slo, q, o);
        t.good += good;
        count_window(&t, sel->result, o, good);
    }
    close_window(&t);
    return t;
}

/* Share of arrived requests that meet one limit, all others aside. */
static bool metric_met(const struct selection *sel, const struct sim_summary *s, uint64_t violations,
                       double limit)
{
    double share = (double)(s->completed - violations) / (double)s->arrived;
    return limit <= 0 || share * 100 >= sel->config->classes[sel->slo_class].slo.percentile;
}

static bool class_met(const struct selection *sel, const struct sim_summary *s)
{
    const struct sim_slo *slo = &sel->config->classes[sel->slo_class].slo;
    if (!s->arrived) return true;
    if (!slo->per_metric) return s->slo_attainment * 100 >= slo->percentile;
    return metric_met(sel, s, s->slo_violations_ttft, slo->ttft_s) &&
           metric_met(sel, s, s->slo_violations_tpot, slo->tpot_s) &&
           metric_met(sel, s, s->slo_violations_e2el, slo->e2el_s);
}

static struct sim_summary summarise(const struct selection *sel)
{
    struct sim_summary s = {0};
    struct tally t = count(sel, &s);
    s.length_factor = 1;
    if (!s.arrived) return s;
    s.slo_attainment = (double)t.good / (double)s.arrived;
    s.slo_attainment_worst_5min = t.worst_window;
    if (s.completed) s.duration_s = t.last_s - t.first_s;
    if (s.duration_s > 0) {
        s.request_throughput = (double)s.completed / s.duration_s;
        s.output_throughput = (double)s.output_tokens / s.duration_s;
        s.equivalent_output_throughput = (double)s.equivalent_output_tokens / s.duration_s;
        s.total_token_throughput = (double)(s.input_tokens + s.output_tokens) / s.duration_s;
        s.request_goodput = (double)t.good / s.duration_s;
    }
    if (s.completed) s.length_factor = (double)s.output_tokens / (double)s.equivalent_output_tokens;
    s.ttft = stat_over(sel, ttft, 1);
    s.tpot = stat_over(sel, sim_tpot_s, 2);
    s.e2el = stat_over(sel, e2el, 1);
    s.queue = stat_over(sel, queued, 1);
    return s;
}

/* --- the state of the load --- */

/* Mean queueing time of the requests that arrived in [from, to) of the arrival window. */
static double mean_queue_s(const struct sim_config *config, const struct sim_result *res, double from,
                           double to)
{
    double span = res->last_arrival_s - res->first_arrival_s, sum = 0;
    uint64_t n = 0;
    for (uint64_t i = 0; i < config->load.n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        double at = o->arrival_s - res->first_arrival_s;
        if (o->status != SIM_COMPLETED || at < from * span || at >= to * span) continue;
        sum += o->queue_s;
        n++;
    }
    return n ? sum / (double)n : 0;
}

/* Mean time from being scheduled to the last token: what an answer takes when nobody queues. */
static double mean_service_s(const struct sim_result *res)
{
    double sum = 0;
    uint64_t n = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        if (o->status != SIM_COMPLETED) continue;
        sum += o->e2el_s - o->queue_s;
        n++;
    }
    return n ? sum / (double)n : 0;
}

/* Too few answers by the last arrival. A request that arrived less than a service time before it could not be
 * answered by then whatever the fleet, so it is not held against the fleet: a short trace would always seem
 * overloaded. */
static bool falls_behind(const struct sim_result *res)
{
    double service_s = mean_service_s(res);
    uint64_t due = 0, answered = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        if (o->status != SIM_COMPLETED && o->status != SIM_UNFINISHED) continue;
        due += o->arrival_s + service_s <= res->last_arrival_s;
        answered += o->status == SIM_COMPLETED && o->arrival_s + o->e2el_s <= res->last_arrival_s;
    }
    return (double)answered < 0.95 * (double)due;
}

/* Over before an answer could be there: how many are answered by its end says nothing about the fleet. */
static bool is_brief(const struct sim_config *config, const struct sim_result *res)
{
    return !config->load.concurrency && res->n_arrived > 1 &&
           res->last_arrival_s - res->first_arrival_s < mean_service_s(res);
}

static enum sim_load_state load_state(const struct sim_config *config, const struct sim_result *res)
{
    if (config->load.concurrency || !res->n_arrived) return SIM_STABLE;
    uint64_t completed = 0, standing = 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        const struct sim_outcome *o = &res->outcomes[i];
        if (o->status != SIM_COMPLETED && o->status != SIM_UNFINISHED) continue;
        completed += o->status == SIM_COMPLETED;
        standing += o->status == SIM_UNFINISHED || o->arrival_s + o->queue_s > res->last_arrival_s;
    }
    double middle_s = mean_queue_s(config, res, 1. / 3, 2. / 3),
           late_s = mean_queue_s(config, res, 2. / 3, 2);
    if (late_s > 2 * middle_s && late_s > 1) return SIM_OVERLOADED;
    if (standing > 0 && falls_behind(res)) return SIM_OVERLOADED;
    double span_s = res->end_s - res->first_arrival_s, rate = span_s > 0 ? (double)completed / span_s : 0;
    return (double)standing > rate ? SIM_BACKLOGGED : SIM_STABLE;
}

/* --- the cluster --- */

/* Mean over a fleet's host links. */
static double host_link_s(const struct sim_fleet *fleet, const struct sim_fleet_stats *s)
{
    uint32_t n_links = sim_host_links(fleet);
    return n_links ? s->link_s / n_links : 0;
}

static struct sim_fleet_report fleet_report(const struct sim_fleet *fleet, const struct sim_fleet_stats *s,
                                            double span_s)
{
    struct sim_fleet_report r = {.kv_peak_utilization = s->kv_peak_utilization,
                                 .kv_host_peak_utilization = s->host_peak_utilization,
                                 .kv_capacity_tokens = s->capacity_tokens,
                                 .preemptions = s->preemptions,
                                 .fell_back = s->fell_back,
                                 .max_running = s->max_running};
    if (s->step_s > 0) r.exposed_frac = s->exposed_s / s->step_s;
    if (span_s <= 0) return r;
    r.kv_mean_utilization = s->kv_block_s / ((double)fleet->engine.n_blocks * fleet->n_replicas * span_s);
    r.gpu_busy = s->gpu_s / (fleet->n_replicas * span_s);
    r.link_busy = s->link_s / (fleet->n_replicas * span_s);
    r.host_link_busy = host_link_s(fleet, s) / span_s;
    return r;
}

static void add_fleets(struct sim_report *r, const struct sim_config *config, const struct sim_result *res)
{
    r->n_fleets = res->n_fleets;
    r->fleets = sim_alloc(res->n_fleets, sizeof *r->fleets);
    for (uint32_t f = 0; f < res->n_fleets; f++)
        r->fleets[f] = fleet_report(&config->fleets[f], &res->fleets[f], res->end_s - res->first_arrival_s);
}

static void add_cluster(struct sim_report *r, const struct sim_config *config, const struct sim_result *res)
{
    double block_s = 0, capacity_blocks = 0, running_s = 0, gpu_s = 0, link_s = 0, evidence_s = 0;
    double exposed_s = 0, step_s = 0, busiest_link_s = 0;
    uint32_t n_replicas = 0, n_gpus = 0;
    double span_s = res->end_s - res->first_arrival_s;
    for (uint32_t f = 0; f < res->n_fleets; f++) {
        const struct sim_fleet_stats *s = &res->fleets[f];
        const struct sim_fleet *fleet = &config->fleets[f];
        block_s += s->kv_block_s;
        capacity_blocks += (double)fleet->engine.n_blocks * fleet->n_replicas;
        running_s += s->running_s;
        gpu_s += s->gpu_s;
        link_s += s->link_s;
        busiest_link_s = fmax(busiest_link_s, host_link_s(fleet, s));
        exposed_s += s->exposed_s;
        step_s += s->step_s;
        r->link_up_bytes += s->up_bytes;
        r->link_down_bytes += s->down_bytes;
        r->recalled_pages += s->recalled_pages;
        r->corrected_heads += s->corrected_heads;
        r->kv_host_peak_utilization = fmax(r->kv_host_peak_utilization, s->host_peak_utilization);
        r->iterations += s->iterations;
        r->fell_back += s->fell_back;
        r->kv_capacity_tokens += s->capacity_tokens;
        r->kv_peak_utilization = fmax(r->kv_peak_utilization, s->kv_peak_utilization);
        if (s->max_running > r->max_running) r->max_running = s->max_running;
        if (s->max_waiting > r->max_waiting) r->max_waiting = s->max_waiting;
        for (int e = 0; e < SIM_N_EVIDENCE; e++) {
            evidence_s += s->by_evidence_s[e];
            r->time_frac[e] += s->by_evidence_s[e];
        }
        n_replicas += fleet->n_replicas;
        n_gpus += fleet->n_replicas * fleet->gpus_per_replica;
    }
    for (int e = 0; e < SIM_N_EVIDENCE; e++)
        r->time_frac[e] = evidence_s > 0 ? r->time_frac[e] / evidence_s : 0;
    if (step_s > 0) r->exposed_frac = exposed_s / step_s;
    if (span_s <= 0) return;
    r->kv_mean_utilization = block_s / (capacity_blocks * span_s);
    r->mean_running = running_s / span_s;
    r->gpu_busy = gpu_s / (n_replicas * span_s);
    r->link_busy = link_s / (n_replicas * span_s);
    r->host_link_busy = busiest_link_s / span_s;
    r->output_throughput_per_gpu = r->all.output_throughput / n_gpus;
}

static struct sim_stat itl_of_all(const struct sim_result *res)
{
    if (res->n_classes == 1) return stat_of_itl(sim_itl_stats(res->itl));
    struct sim_itl *sum = sim_alloc(1, sizeof *sum);
    for (uint32_t c = 0; c < res->n_classes; c++)
        for (uint32_t b = 0; b < SIM_ITL_BUCKETS; b++) sum->count[b] += res->itl[c].count[b];
    struct sim_stat s = stat_of_itl(sim_itl_stats(sum));
    free(sum);
    return s;
}

struct sim_report *sim_report_new(const struct sim_config *config, const struct sim_result *result)
{
    struct sim_report *r = sim_alloc(1, sizeof *r);
    struct selection sel = {config, result, ALL_CLASSES, sim_alloc(result->n_requests, sizeof(double))};
    r->n_classes = config->n_classes;
    r->classes = sim_alloc(config->n_classes, sizeof *r->classes);
    r->all = summarise(&sel);
    r->all.itl = itl_of_all(result);
    r->all.sla_met = true;
    for (uint32_t c = 0; c < config->n_classes; c++) {
        sel.slo_class = (uint16_t)c;
        if (config->n_classes > 1) {
            r->classes[c] = summarise(&sel);
            r->classes[c].itl = stat_of_itl(sim_itl_stats(&result->itl[c]));
        } else {
            r->classes[c] = r->all;
        }
        r->classes[c].sla_met = class_met(&sel, &r->classes[c]);
        r->all.sla_met &= r->classes[c].sla_met;
    }
    r->load_state = load_state(config, result);
    r->load_is_brief = is_brief(config, result);
    add_cluster(r, config, result);
    add_fleets(r, config, result);
    free(sel.values);
    return r;
}

void sim_report_free(struct sim_report *r)
{
    if (!r) return;
    free(r->classes);
    free(r->fleets);
    free(r);
}
