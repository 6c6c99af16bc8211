#include "sim/replica.h"

#include "sim/check.h"
#include "sim/random.h"

#include <math.h>
#include <string.h>

static uint32_t n_stages(const struct sim_replica *r)
{
    return r->cost->n_stages;
}

/* More than equal pages of one kind, every one of which attention reads. */
static bool is_rich(const struct sim_kv_rule *k)
{
    const struct sim_kv_term *t = &k->term[0];
    bool pages = k->n_terms == 1 && t->place == SIM_KV_GPU && !t->start && t->cap == SIM_KV_ALL &&
                 !t->whole && !t->fill && t->page_tokens == k->period;
    return !pages || k->budget != SIM_KV_ALL || k->read_cap != SIM_KV_ALL || k->select_after != SIM_KV_ALL ||
           k->all_frac > 0;
}

void sim_replica_init(struct sim_replica *r, struct sim_shared *shared, const struct sim_fleet *fleet,
                      struct sim_arena *arena)
{
    const struct sim_engine *e = &fleet->engine;
    uint32_t n = e->max_num_seqs;
    r->shared = shared;
    r->of = fleet;
    r->engine = e;
    r->cost = fleet->cost;
    r->start_s = INFINITY;
    r->full = sim_kv_full(e->block_size);
    r->kv = fleet->kv ? fleet->kv : &r->full;
    r->later_s = fleet->n_later ? fleet->later->from_s : INFINITY;
    r->rich = is_rich(r->kv) || fleet->plain || sim_fleet_draws(fleet);
    r->draw_stream = sim_stream("recall") + r->id;
    sim_kvpool_init(&r->pool, arena, e->n_blocks, n);
    sim_kvpool_init(&r->host, arena, e->n_host_blocks, n);
    r->seqs = sim_arena_alloc(arena, n, sizeof *r->seqs);
    r->holdings = sim_arena_alloc(arena, n, sizeof *r->holdings);
    r->running = sim_arena_alloc(arena, n, sizeof *r->running);
    r->free_slots = sim_arena_alloc(arena, n, sizeof *r->free_slots);
    for (uint32_t i = 0; i < n; i++) r->free_slots[i] = n - 1 - i;
    r->n_free_slots = n;
    sim_queue_init(&r->inbox, &shared->links, false);
    sim_queue_init(&r->waiting, &shared->links, e->policy == SIM_PRIORITY);
    r->steps = sim_arena_alloc(arena, n_stages(r), sizeof *r->steps);
    for (uint32_t i = 0; i < n_stages(r); i++) {
        r->steps[i].rows = sim_arena_alloc(arena, n, sizeof *r->steps[i].rows);
        r->steps[i].chunks = sim_arena_alloc(arena, n, sizeof *r->steps[i].chunks);
    }
    for (int p = 0; p < SIM_KV_N_PLACE; p++)
        r->run.growth[p] = sim_arena_alloc(arena, r->kv->period, sizeof *r->run.growth[p]);
    r->run.per_class = sim_arena_alloc(arena, shared->n_classes + 1, sizeof *r->run.per_class);
}

void sim_replica_submit(struct sim_replica *r, uint32_t request)
{
    struct sim_outcome *o = &r->shared->outcomes[request];
    o->replica = (uint16_t)r->id;
    o->queue_s = -1;
    o->ttft_s = -1;
    sim_queue_push(&r->inbox, request);
    r->waiting_blocks += sim_replica_waiting_units(r, request, sim_replica_known_tokens(r, request));
    r->waiting_tokens += sim_replica_known_tokens(r, request);
}

double sim_replica_inbox_ready_s(const struct sim_replica *r)
{
    return r->inbox.n ? r->shared->outcomes[r->inbox.head].arrival_s + r->engine->ingress_s : INFINITY;
}

bool sim_replica_deliver(struct sim_replica *r, double now_s)
{
    bool any = false;
    while (sim_replica_inbox_ready_s(r) <= now_s) {
        sim_queue_push(&r->waiting, sim_queue_pop(&r->inbox));
        any = true;
    }
    return any;
}

static bool is_measured(const struct sim_shared *s, uint32_t request)
{
    return request >= s->warmup_requests && s->outcomes[request].arrival_s >= s->warmup_end_s;
}

uint32_t sim_replica_admit(struct sim_replica *r, const struct sim_entry *e, double now_s)
{
    const struct sim_request *q = &r->shared->requests[e->request];
    struct sim_outcome *o = &r->shared->outcomes[e->request];
    if (o->queue_s < 0) o->queue_s = now_s - (o->arrival_s + r->engine->ingress_s);
    uint32_t slot = r->free_slots[--r->n_free_slots];
    r->running[r->n_running++] = slot;
    r->waiting_blocks -= sim_replica_waiting_units(r, e->request, e->known);
    r->waiting_tokens -= e->known;
    if (e->kv != r->kv) {
        r->stats.fell_back += !o->fell_back;
        o->fell_back = 1;
    }
    r->seqs[slot] = (struct sim_seq){
        .request = e->request,
        .prompt = q->input_tokens,
        .known = e->known,
        .computed = e->computed,
        .target = q->input_tokens + o->output_tokens,
        .plain = e->kv != r->kv,
        .slo_class = is_measured(r->shared, e->request) ? q->slo_class : (uint16_t)r->shared->n_classes,
        .last_token_s = o->e2el_s};
    r->holdings[slot] = (struct sim_holding){
        .filled = e->filled, .run = {sim_kv_open(&r->pool), r->rich ? sim_kv_open(&r->host) : 0}};
    return slot;
}

static void leave_running(struct sim_replica *r, uint32_t slot)
{
    sim_kv_release(&r->pool, r->holdings[slot].run[SIM_KV_GPU]);
    if (r->rich) sim_kv_release(&r->host, r->holdings[slot].run[SIM_KV_HOST]);
    r->free_slots[r->n_free_slots++] = slot;
}

void sim_replica_preempt(struct sim_replica *r, uint32_t index, struct sim_step *step)
{
    uint32_t slot = r->running[index];
    struct sim_seq *s = &r->seqs[slot];
    struct sim_outcome *o = &r->shared->outcomes[s->request];
    uint32_t generated = s->known - s->prompt;
    bool swap = r->engine->preemption == SIM_SWAP && generated > 0 && s->computed + 1 == s->known;
    if (swap) step->swapped_tokens += sim_kv_kept(sim_seq_rule(r, s), sim_seq_at(r, s, s->computed));
    r->shared->generated[s->request] = generated | (swap ? SIM_SWAPPED : 0);
    if (r->shared->plan_row) sim_plan_tell(r, s, step, 0);
    o->e2el_s = s->last_token_s; /* kept here until it runs again */
    if (o->preemptions < SIM_MAX_PREEMPTIONS) o->preemptions++;
    r->stats.preemptions++;
    r->waiting_blocks += sim_replica_waiting_units(r, s->request, s->known);
    r->waiting_tokens += s->known;
    sim_queue_push_front(&r->waiting, s->request);
    leave_running(r, slot);
    memmove(&r->running[index], &r->running[index + 1], (--r->n_running - index) * sizeof *r->running);
}

void sim_replica_close(struct sim_replica *r)
{
    sim_replica_book_line(r);
    sim_run_settle_gaps(r);
    r->stats.kv_peak_utilization = 1.0 - (double)r->pool.least_free / (double)r->pool.n_blocks;
    if (r->host.n_blocks)
        r->stats.host_peak_utilization = 1.0 - (double)r->host.least_free / (double)r->host.n_blocks;
}

bool sim_replica_balanced(const struct sim_replica *r)
{
    uint64_t gpu = 0, host = 0;
    for (uint32_t i = 0; i < r->n_running; i++) {
        gpu += r->holdings[r->running[i]].held[SIM_KV_GPU];
        host += r->holdings[r->running[i]].held[SIM_KV_HOST];
    }
    return sim_kvpool_balanced(&r->pool) && gpu + r->pool.n_lent + r->pool.n_free == r->pool.n_blocks &&
           sim_kvpool_balanced(&r->host) && host + r->host.n_lent + r->host.n_free == r->host.n_blocks;
}

/* What the rows of a step compute together; marks them in flight. */
static struct sim_batch gather(struct sim_replica *r, struct sim_step *step)
{
    struct sim_batch b = {.chunks = step->chunks};
    struct sim_seq *seqs = r->seqs; /* copies that stay in registers */
    uint64_t new_tokens = 0, decode_tokens = 0;
    uint32_t n_outputs = 0, n_decodes = 0;
    const bool rich = r->rich;
    for (const struct sim_row *row = step->rows, *end = row + step->n_rows; row < end; row++) {
        struct sim_seq *s = &seqs[row->slot];
        uint32_t n = row->n_tokens, tokens = s->computed + n;
        new_tokens += n;
        n_outputs += tokens == s->known;
        s->in_flight = true;
        if (sim_row_is_decode(s, n)) {
            n_decodes++;
            decode_tokens += tokens;
            if (rich) sim_replica_add_reads(r, &b.decode, s, tokens);
        } else {
            bool last = tokens == sim_holding_of(r, s)->filled;
            step->chunks[b.n_chunks++] = (struct sim_chunk){n, s->computed, last};
        }
    }
    b.new_tokens = new_tokens;
    b.n_outputs = n_outputs;
    b.decode.n_seqs = n_decodes;
    b.decode.all = decode_tokens;
    if (!rich) b.decode.kept = decode_tokens;
    return b;
}

/* A walk that only took requests out leaves the step empty: the engine's next turn follows at once. */
static void form_batch(struct sim_replica *r, struct sim_step *step, double now_s)
{
    const struct sim_scheduler *scheduler =
        r->engine->scheduler ? r->engine->scheduler : &sim_scheduler_vllm_v1;
    uint64_t preemptions;
    step->n_rows = 0;
    step->swapped_tokens = 0;
    step->pages = step->heads = step->link_s = 0;
    step->on_line = false;
    step->start_s = now_s;
    do {
        preemptions = r->stats.preemptions;
        scheduler->form(r, step, now_s);
    } while (!step->n_rows && r->stats.preemptions > preemptions);
}

static void start_step(struct sim_replica *r, double now_s)
{
    struct sim_step *step = &r->steps[(r->first_step + r->n_in_flight) % n_stages(r)];
    sim_replica_book_time(r, now_s);
    if (now_s >= r->later_s) sim_replica_change_cost(r, now_s);
    form_batch(r, step, now_s);
    r->start_s = INFINITY;
    if (!step->n_rows) return;

    struct sim_batch b = gather(r, step);
    double swap_s = (double)step->swapped_tokens * r->cost->swap_token_s;
    bool line = n_stages(r) == 1 && b.n_chunks == 0;
    step->end_s = line ? now_s + (sim_replica_price_decodes(r, &b.decode, step) + swap_s)
                       : sim_replica_price_stages(r, &b, step, swap_s);
    if (r->shared->plan_row) sim_plan_tell_step(r, step);
    r->n_in_flight++;
    r->stats.iterations++;
    r->stats.computed_tokens += b.new_tokens;
    r->stats.swapped_tokens += step->swapped_tokens;
    r->stats.link_s += swap_s;
    step->link_s += swap_s;
    if (r->n_running > r->stats.max_running) r->stats.max_running = r->n_running;
    if (r->waiting.n > r->stats.max_waiting) r->stats.max_waiting = r->waiting.n;
    if (r->n_in_flight < n_stages(r)) r->start_s = r->stage_free_s[0];
    if (line && r->shared->fast_forward && b.decode.n_seqs == r->n_running) sim_run_begin(r, step, &b.decode);
}

static void complete(struct sim_replica *r, uint32_t slot, double now_s)
{
    const struct sim_seq *s = &r->seqs[slot];
    struct sim_outcome *o = &r->shared->outcomes[s->request];
    o->e2el_s = now_s + r->engine->egress_s - o->arrival_s;
    o->status = SIM_COMPLETED;
    r->shared->n_completed++;
    leave_running(r, slot);
    if (!r->shared->on_complete) return;
    double next_s = r->shared->on_complete(r->shared->user, now_s + r->engine->egress_s);
    if (next_s == INFINITY) return;
    sim_key caused = sim_key_of(next_s, SIM_EV_ARRIVAL, 0, 0);
    if (caused < r->limit) r->limit = caused;
}

void sim_replica_retire(struct sim_replica *r, double now_s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->n_running; i++) {
        uint32_t slot = r->running[i];
        if (r->seqs[slot].known == r->seqs[slot].target)
            complete(r, slot, now_s);
        else
            r->running[kept++] = slot;
    }
    r->n_running = kept;
}

/* The row's known tokens are all computed: one more appears. True when it was the last. */
static bool yield_token(struct sim_replica *r, struct sim_seq *s, double now_s)
{
    if (s->known == s->prompt) {
        struct sim_outcome *o = &r->shared->outcomes[s->request];
        o->ttft_s = now_s + r->engine->egress_s - o->arrival_s;
    } else {
        r->shared->itl[s->slo_class].count[sim_itl_bucket(now_s - s->last_token_s)]++;
    }
    s->last_token_s = now_s;
    r->shared->n_tokens++;
    return ++s->known == s->target;
}

static void finish_step(struct sim_replica *r)
{
    struct sim_step *step = &r->steps[r->first_step];
    double now_s = step->end_s;
    bool any_finished = false;
    sim_replica_book_time(r, now_s);
    struct sim_seq *seqs = r->seqs;
    const bool rich = r->rich;
    for (const struct sim_row *row = step->rows, *end = row + step->n_rows; row < end; row++) {
        struct sim_seq *s = &seqs[row->slot];
        s->in_flight = false;
        s->computed += row->n_tokens;
        if (rich && s->computed == sim_holding_of(r, s)->filled) sim_replica_end_fill(r, s);
        if (s->computed == s->known) any_finished |= yield_token(r, s, now_s);
    }
    r->first_step = (r->first_step + 1) % n_stages(r);
    r->n_in_flight--;
    if (any_finished) sim_replica_retire(r, now_s);
    if (r->n_running + r->waiting.n) r->start_s = fmax(now_s, n_stages(r) > 1 ? r->stage_free_s[0] : 0);
}

sim_key sim_replica_next(const struct sim_replica *r)
{
    sim_key next = SIM_KEY_NEVER, key;
    if (r->n_in_flight) next = sim_key_of(r->steps[r->first_step].end_s, SIM_EV_STEP_END, r->id, 0);
    if (r->run.active) return next;
    if (r->inbox.n) {
        key = sim_key_of(sim_replica_inbox_ready_s(r), SIM_EV_ARRIVAL, r->id, r->inbox.head);
        if (key < next) next = key;
    }
    if (r->start_s < INFINITY) {
        key = sim_key_of(r->start_s, SIM_EV_STEP_START, r->id, 0);
        if (key < next) next = key;
    }
    return next;
}

static void play(struct sim_replica *r, sim_key event)
{
    double now_s = sim_key_time_s(event);
    switch (sim_key_kind(event)) {
    case SIM_EV_STEP_END:
        if (r->run.active)
            sim_run_advance(r);
        else
            finish_step(r);
        break;
    case SIM_EV_ARRIVAL:
        sim_replica_deliver(r, now_s);
        if (r->n_in_flight < n_stages(r) && r->start_s == INFINITY)
            r->start_s = fmax(now_s, n_stages(r) > 1 ? r->stage_free_s[0] : 0);
        break;
    case SIM_EV_STEP_START:
        start_step(r, now_s);
        break;
    case SIM_EV_TRANSFER_END:
    case SIM_EV_SAMPLE:
        SIM_CHECK_AT(!"a replica has no such event", now_s, r->shared->seed);
    }
}

void sim_replica_advance(struct sim_replica *r, sim_key limit)
{
    r->limit = limit;
    for (sim_key next; (next = sim_replica_next(r)) < r->limit;) play(r, next);
}
