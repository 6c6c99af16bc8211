#include "sim/cluster.h"

#include "sim/check.h"
#include "sim/cluster_state.h"
#include "sim/lengthshift.h"

#include <math.h>
#include <stdlib.h>

enum { PROGRESS_EVERY = 1 << 14 };

/* --- arrivals --- */

static void report_progress(const struct sim_cluster *c, uint64_t done)
{
    const struct sim_config *config = c->config;
    if (config->progress && done % PROGRESS_EVERY == 0)
        config->progress(config->progress_user, (double)done / (double)config->load.n_requests);
}

/* Closed loop: a request was answered at now_s; when the next one arrives. */
static double send_next(void *user, double now_s)
{
    struct sim_cluster *c = user;
    const struct sim_load *load = &c->config->load;
    if (c->next_request == load->n_requests) return INFINITY;
    double at_s = now_s + load->think_time_s;
    sim_eventq_push(&c->arrivals, sim_key_of(at_s, SIM_EV_ARRIVAL, 0, (uint32_t)c->next_request++));
    return at_s;
}

/* A request reaches the cluster at time_s; the replica that takes it, or NULL when it is rejected. */
static struct sim_replica *arrive(struct sim_cluster *c, uint32_t request, double time_s)
{
    const struct sim_request *q = &c->shared.requests[request];
    struct sim_outcome *o = &c->shared.outcomes[request];
    o->arrival_s = time_s;
    c->n_arrived++;
    report_progress(c, c->n_arrived);
    uint32_t at = c->config->router->choose(c, q, request);
    c->router_turn++;
    struct sim_replica *r = &c->replicas[at];
    o->output_tokens = sim_shifted_tokens(r->of, q, c->config->seed, request);
    if ((uint64_t)q->input_tokens + q->output_tokens > r->engine->max_model_len) {
        o->replica = (uint16_t)at;
        o->status = SIM_REJECTED_TOO_LONG;
        if (c->config->load.concurrency) send_next(c, time_s);
        return NULL;
    }
    o->status = SIM_UNFINISHED;
    sim_replica_submit(r, request);
    return r;
}

/* --- samples --- */

static struct sim_sample sample_at(const struct sim_cluster *c, double time_s)
{
    struct sim_sample s = {.time_s = time_s,
                           .arrived = c->n_arrived,
                           .completed = c->shared.n_completed,
                           .output_tokens = c->shared.n_tokens};
    for (uint32_t i = 0; i < c->n_replicas; i++) {
        const struct sim_replica *r = &c->replicas[i];
        s.running += r->n_running;
        s.waiting += r->waiting.n + r->inbox.n;
        s.used_blocks += sim_replica_used_blocks(r);
        s.host_blocks += r->host.n_blocks - r->host.n_free;
        if (sim_host_links(r->of)) s.link_s += sim_replica_link_s(r, time_s);
    }
    return s;
}

static void take_sample(struct sim_cluster *c, double time_s)
{
    struct sim_result *res = c->result;
    res->timeline[res->n_timeline++] = sample_at(c, time_s);
    if (res->n_timeline < 2 * c->config->timeline_points) return;
    for (uint32_t i = 0; 2 * i < res->n_timeline; i++) res->timeline[i] = res->timeline[2 * i];
    res->n_timeline = (res->n_timeline + 1) / 2;
    c->sample_every_s *= 2;
}

static void sample(struct sim_cluster *c)
{
    take_sample(c, c->next_sample_s);
    c->next_sample_s = c->result->timeline[c->result->n_timeline - 1].time_s + c->sample_every_s;
}

static void advance_all(struct sim_cluster *c, sim_key limit)
{
    for (uint32_t i = 0; i < c->n_replicas; i++) sim_replica_advance(&c->replicas[i], limit);
}

static bool all_idle(const struct sim_cluster *c)
{
    for (uint32_t i = 0; i < c->n_replicas; i++)
        if (sim_replica_next(&c->replicas[i]) != SIM_KEY_NEVER) return false;
    return true;
}

/* --- open loop, fast: replicas are independent, each is advanced when somebody reads it --- */

static sim_key end_of_world(const struct sim_cluster *c)
{
    double horizon_s = c->config->load.horizon_s;
    return horizon_s > 0 ? sim_key_of(horizon_s, SIM_EV_STEP_START, 0, 0)
                         : sim_key_of(INFINITY, SIM_EV_SAMPLE, 0, 0);
}

static sim_key sample_key(const struct sim_cluster *c)
{
    return sim_key_of(c->next_sample_s, SIM_EV_SAMPLE, 0, 0);
}

static void run_open_lazy(struct sim_cluster *c)
{
    const struct sim_load *load = &c->config->load;
    sim_key end = end_of_world(c);
    for (; c->next_request < load->n_requests; c->next_request++) {
        double now_s = load->requests[c->next_request].arrival_s;
        sim_key now = sim_key_of(now_s, SIM_EV_ARRIVAL, 0, 0);
        if (now >= end) break;
        for (; sample_key(c) < now; sample(c)) advance_all(c, sample_key(c));
        /* from time to time in any case, so that what has been done keeps up with what has arrived */
        if (c->config->router->reads_state || c->n_arrived % PROGRESS_EVERY == 0) advance_all(c, now);
        arrive(c, (uint32_t)c->next_request, now_s);
    }
    for (; sample_key(c) < end; sample(c)) {
        advance_all(c, sample_key(c));
        if (c->next_request == load->n_requests && all_idle(c)) break;
    }
    advance_all(c, end);
}

/* --- every event in its order: closed loops, and the reference for the fast way --- */

static sim_key next_arrival(const struct sim_cluster *c)
{
    const struct sim_load *load = &c->config->load;
    if (load->concurrency) return sim_eventq_peek(&c->arrivals);
    if (c->next_request == load->n_requests) return SIM_KEY_NEVER;
    return sim_key_of(load->requests[c->next_request].arrival_s, SIM_EV_ARRIVAL, 0,
                      (uint32_t)c->next_request);
}

static struct sim_replica *take_arrival(struct sim_cluster *c, sim_key key)
{
    if (c->config->load.concurrency)
        sim_eventq_pop(&c->arrivals);
    else
        c->next_request++;
    return arrive(c, sim_key_request(key), sim_key_time_s(key));
}

/* Whether an arrival at the cluster goes before a replica's event: at one instant, after ends of steps. */
static bool arrives_first(sim_key arrival, sim_key event)
{
    double a = sim_key_time_s(arrival), e = sim_key_time_s(event);
    return arrival != SIM_KEY_NEVER &&
           (event == SIM_KEY_NEVER || a < e || (a == e && sim_key_kind(event) >= SIM_EV_ARRIVAL));
}

static void run_ordered(struct sim_cluster *c)
{
    struct sim_eventq q;
    sim_key end = end_of_world(c);
    sim_eventq_init_owned(&q, c->arena, c->n_replicas);
    for (;;) {
        sim_key arrival = next_arrival(c), event = sim_eventq_peek(&q), drawn = sample_key(c);
        bool arrives = arrives_first(arrival, event);
        sim_key first = arrives ? arrival : event;
        if (first == SIM_KEY_NEVER) break;
        if (drawn < first && drawn < end) {
            sample(c);
            continue;
        }
        if (first >= end) break;
        struct sim_replica *r;
        if (arrives) {
            r = take_arrival(c, arrival);
            if (!r) continue;
        } else {
            r = &c->replicas[sim_key_owner(sim_eventq_pop(&q))];
            sim_key others = sim_eventq_peek(&q), limit = arrival < others ? arrival : others;
            if (drawn < limit) limit = drawn;
            sim_replica_advance(r, end < limit ? end : limit);
        }
        sim_eventq_set(&q, r->id, sim_replica_next(r));
    }
}

static void start_closed_loop(struct sim_cluster *c)
{
    const struct sim_load *load = &c->config->load;
    uint64_t first = load->concurrency < load->n_requests ? load->concurrency : load->n_requests;
    sim_eventq_init(&c->arrivals, c->arena, load->concurrency + 1);
    while (c->next_request < first)
        sim_eventq_push(&c->arrivals, sim_key_of(0, SIM_EV_ARRIVAL, 0, (uint32_t)c->next_request++));
    c->shared.on_complete = send_next;
    c->shared.user = c;
}

/* --- the whole run --- */

static double warmup_end_s(const struct sim_load *load)
{
    if (!(load->warmup_s > 0)) return 0;
    return load->warmup_s + (load->concurrency || !load->n_requests ? 0 : load->requests[0].arrival_s);
}

static void init_shared(struct sim_cluster *c)
{
    const struct sim_config *config = c->config;
    uint64_t n = config->load.n_requests;
    bool by_priority = false;
    for (uint32_t f = 0; f < config->n_fleets; f++)
        by_priority |= config->fleets[f].engine.policy == SIM_PRIORITY;
    c->result->outcomes = sim_alloc(n, sizeof *c->result->outcomes);
    c->result->itl = sim_alloc(config->n_classes + 1, sizeof *c->result->itl);
    c->shared = (struct sim_shared){
        .requests = config->load.requests,
        .outcomes = c->result->outcomes,
        .generated = sim_alloc(n, sizeof(uint32_t)),
        .links = {.requests = config->load.requests,
                  .next = sim_alloc(n, sizeof(uint32_t)),
                  .child = by_priority ? sim_alloc(n, sizeof(uint32_t)) : NULL},
        .itl = c->result->itl,
        .n_classes = config->n_classes,
        .warmup_requests = config->load.warmup_requests,
        .warmup_end_s = warmup_end_s(&config->load),
        .fast_forward = config->fast_forward,
        .seed = config->seed,
        .plan_row = config->plan_row,
        .plan_user = config->plan_user,
    };
}

static void init_replicas(struct sim_cluster *c)
{
    const struct sim_config *config = c->config;
    for (uint32_t f = 0; f < config->n_fleets; f++) c->n_replicas += config->fleets[f].n_replicas;
    c->replicas = sim_arena_alloc(c->arena, c->n_replicas, sizeof *c->replicas);
    uint32_t id = 0;
    for (uint32_t f = 0; f < config->n_fleets; f++) {
        for (uint32_t i = 0; i < config->fleets[f].n_replicas; i++, id++) {
            c->replicas[id].id = id;
            c->replicas[id].fleet = f;
            sim_replica_init(&c->replicas[id], &c->shared, &config->fleets[f], c->arena);
        }
    }
}

/* Replicas of a fleet that share a root complex, in the order of their ids. */
static void init_links(struct sim_cluster *c)
{
    struct sim_hostlink *link = c->links = sim_arena_alloc(c->arena, c->n_replicas, sizeof *c->links);
    for (uint32_t i = 0; i < c->n_replicas; i++) {
        struct sim_replica *r = &c->replicas[i];
        if (r->of->replicas_per_link < 2 || !sim_fleet_moves(r->of)) continue;
        bool other_fleet = i == 0 || c->replicas[i - 1].fleet != r->fleet;
        if (c->n_links == 0 || other_fleet || link->n_users == r->of->replicas_per_link)
            link = &c->links[c->n_links++];
        r->link_user = link->n_users++;
        r->link = link;
    }
}

/* The first guess of how far samples lie apart; they are thinned as the run turns out longer. */
static void init_samples(struct sim_cluster *c)
{
    const struct sim_load *load = &c->config->load;
    uint32_t points = c->config->timeline_points;
    c->next_sample_s = INFINITY;
    if (!points || !load->n_requests) return;
    double first_s = load->concurrency ? 0 : load->requests[0].arrival_s;
    double span_s = load->concurrency ? 0 : load->requests[load->n_requests - 1].arrival_s - first_s;
    c->sample_every_s = span_s > 0 ? span_s / points : 0.01;
    c->next_sample_s = first_s;
    c->result->timeline = sim_alloc((size_t)points * 2, sizeof *c->result->timeline);
}

/* Tokens that the pool holds: where pages are all there is, every one; else in sequences of max_model_len. */
static uint64_t capacity_tokens(const struct sim_replica *r)
{
    if (r->engine->capacity_tokens) return r->engine->capacity_tokens;
    uint32_t longest = r->engine->max_model_len;
    const struct sim_kv_term *page = &r->kv->term[0];
    if (!r->rich && r->kv->n_terms == 1) return r->pool.n_blocks / page->units * page->page_tokens;
    struct sim_kv_length at = {longest, longest - 1};
    uint64_t units = sim_kv_units(r->kv, SIM_KV_GPU, at);
    return units ? r->pool.n_blocks / units * longest : 0;
}

static void add_stats(struct sim_fleet_stats *sum, const struct sim_replica *r)
{
    const struct sim_fleet_stats *s = &r->stats;
    sum->iterations += s->iterations;
    sum->preemptions += s->preemptions;
    sum->swapped_tokens += s->swapped_tokens;
    sum->fell_back += s->fell_back;
    sum->capacity_tokens += capacity_tokens(r);
    if (s->max_running > sum->max_running) sum->max_running = s->max_running;
    if (s->max_waiting > sum->max_waiting) sum->max_waiting = s->max_waiting;
    sum->kv_peak_utilization = fmax(sum->kv_peak_utilization, s->kv_peak_utilization);
    sum->kv_block_s += s->kv_block_s;
    sum->running_s += s->running_s;
    sum->gpu_s += s->gpu_s;
    sum->link_s += s->link_s;
    sum->step_s += s->step_s;
    sum->exposed_s += s->exposed_s;
    sum->up_bytes += s->up_bytes;
    sum->down_bytes += s->down_bytes;
    sum->recalled_pages += s->recalled_pages;
    sum->corrected_heads += s->corrected_heads;
    sum->host_block_s += s->host_block_s;
    sum->host_peak_utilization = fmax(sum->host_peak_utilization, s->host_peak_utilization);
    for (int e = 0; e < SIM_N_EVIDENCE; e++) sum->by_evidence_s[e] += s->by_evidence_s[e];
    sum->computed_tokens += s->computed_tokens;
}

static void clear_unfinished(struct sim_outcome *o)
{
    o->e2el_s = 0;
    if (o->queue_s < 0) o->queue_s = 0;
    if (o->ttft_s < 0) o->ttft_s = 0;
}

/* When nothing more happens, or nobody looks any more. */
static double over_s(const struct sim_cluster *c)
{
    const struct sim_result *res = c->result;
    double last_s = fmax(res->end_s, res->last_arrival_s);
    if (res->n_timeline) last_s = fmax(last_s, res->timeline[res->n_timeline - 1].time_s);
    return all_idle(c) ? last_s : fmax(last_s, c->config->load.horizon_s);
}

static void conclude(struct sim_cluster *c)
{
    struct sim_result *res = c->result;
    for (uint32_t i = 0; i < c->n_replicas; i++) {
        struct sim_replica *r = &c->replicas[i];
        sim_replica_close(r);
        SIM_CHECK(sim_replica_balanced(r));
        SIM_CHECK(c->config->load.horizon_s > 0 ||
                  (r->pool.n_free == r->pool.n_blocks && r->host.n_free == r->host.n_blocks));
        add_stats(&res->fleets[r->fleet], r);
    }
    res->first_arrival_s = res->n_requests ? INFINITY : 0;
    for (uint64_t i = 0; i < res->n_requests; i++) {
        struct sim_outcome *o = &res->outcomes[i];
        if (o->status == SIM_NOT_ARRIVED) continue;
        res->first_arrival_s = fmin(res->first_arrival_s, o->arrival_s);
        res->last_arrival_s = fmax(res->last_arrival_s, o->arrival_s);
        if (o->status == SIM_COMPLETED)
            res->end_s = fmax(res->end_s, o->arrival_s + o->e2el_s);
        else
            clear_unfinished(o);
    }
    res->n_arrived = c->n_arrived;
    res->at_end = sample_at(c, over_s(c));
}

struct sim_result *sim_run(const struct sim_config *config)
{
    struct sim_result *res = sim_alloc(1, sizeof *res);
    struct sim_cluster c = {.config = config, .arena = sim_arena_new(), .result = res};
    res->n_requests = config->load.n_requests;
    res->n_fleets = config->n_fleets;
    res->n_classes = config->n_classes;
    res->fleets = sim_alloc(config->n_fleets, sizeof *res->fleets);
    init_shared(&c);
    init_replicas(&c);
    init_links(&c);
    init_samples(&c);
    if (config->load.concurrency) start_closed_loop(&c);
    if (config->fast_forward && !config->load.concurrency && !c.n_links)
        run_open_lazy(&c);
    else
        run_ordered(&c);
    conclude(&c);
    free(c.shared.generated);
    free(c.shared.links.next);
    free(c.shared.links.child);
    sim_arena_free(c.arena);
    return res;
}

void sim_result_free(struct sim_result *r)
{
    if (!r) return;
    free(r->outcomes);
    free(r->fleets);
    free(r->timeline);
    free(r->itl);
    free(r);
}
