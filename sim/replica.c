#include "sim/replica.h"

#include "sim/check.h"

#include <math.h>
#include <string.h>

static uint32_t n_stages(const struct sim_replica *r)
{
    return r->cost->n_stages;
}

void sim_replica_init(struct sim_replica *r, struct sim_shared *shared, const struct sim_fleet *fleet,
                      struct sim_arena *arena)
{
    const struct sim_engine *e = &fleet->engine;
    uint32_t n = e->max_num_seqs;
    r->shared = shared;
    r->engine = e;
    r->cost = fleet->cost;
    r->start_s = INFINITY;
    sim_kvpool_init(&r->pool, arena, e->n_blocks, n);
    r->seqs = sim_arena_alloc(arena, n, sizeof *r->seqs);
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
    r->run.growth = sim_arena_alloc(arena, e->block_size, sizeof *r->run.growth);
    r->run.per_class = sim_arena_alloc(arena, shared->n_classes + 1, sizeof *r->run.per_class);
}

static uint32_t known_tokens(const struct sim_replica *r, uint32_t request)
{
    return r->shared->requests[request].input_tokens + (r->shared->generated[request] & ~SIM_SWAPPED);
}

void sim_replica_submit(struct sim_replica *r, uint32_t request)
{
    struct sim_outcome *o = &r->shared->outcomes[request];
    o->replica = (uint16_t)r->id;
    o->queue_s = -1;
    o->ttft_s = -1;
    sim_queue_push(&r->inbox, request);
    r->waiting_blocks += sim_blocks_for(r, known_tokens(r, request));
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

uint32_t sim_replica_admit(struct sim_replica *r, uint32_t request, uint32_t known, uint32_t computed,
                           double now_s)
{
    const struct sim_request *q = &r->shared->requests[request];
    struct sim_outcome *o = &r->shared->outcomes[request];
    if (o->queue_s < 0) o->queue_s = now_s - (o->arrival_s + r->engine->ingress_s);
    uint32_t slot = r->free_slots[--r->n_free_slots];
    r->running[r->n_running++] = slot;
    r->waiting_blocks -= sim_blocks_for(r, known);
    r->seqs[slot] = (struct sim_seq){
        .request = request,
        .prompt = q->input_tokens,
        .known = known,
        .computed = computed,
        .target = q->input_tokens + q->output_tokens,
        .run = sim_kv_open(&r->pool),
        .slo_class = is_measured(r->shared, request) ? q->slo_class : (uint16_t)r->shared->n_classes,
        .last_token_s = o->e2el_s};
    return slot;
}

static void leave_running(struct sim_replica *r, uint32_t slot)
{
    sim_kv_release(&r->pool, r->seqs[slot].run);
    r->free_slots[r->n_free_slots++] = slot;
}

/* --- the plan, for whoever wants to see every batch --- */

static void tell(const struct sim_replica *r, const struct sim_seq *s, const struct sim_step *step,
                 uint32_t n_tokens)
{
    struct sim_plan_row row = {.step = r->stats.iterations,
                               .replica = r->id,
                               .request = s->request,
                               .start_s = step->start_s,
                               .end_s = n_tokens ? step->end_s : 0,
                               .new_tokens = n_tokens,
                               .past_tokens = s->computed,
                               .read_tokens = n_tokens ? s->computed + n_tokens : 0};
    r->shared->plan_row(r->shared->plan_user, &row);
}

static void tell_step(const struct sim_replica *r, const struct sim_step *step)
{
    for (uint32_t i = 0; i < step->n_rows; i++)
        tell(r, &r->seqs[step->rows[i].slot], step, step->rows[i].n_tokens);
}

void sim_replica_preempt(struct sim_replica *r, uint32_t index, struct sim_step *step)
{
    uint32_t slot = r->running[index];
    struct sim_seq *s = &r->seqs[slot];
    struct sim_outcome *o = &r->shared->outcomes[s->request];
    uint32_t generated = s->known - s->prompt;
    bool swap = r->engine->preemption == SIM_SWAP && generated > 0 && s->computed + 1 == s->known;
    if (swap) step->swapped_tokens += s->computed;
    r->shared->generated[s->request] = generated | (swap ? SIM_SWAPPED : 0);
    if (r->shared->plan_row) tell(r, s, step, 0);
    o->e2el_s = s->last_token_s; /* kept here until it runs again */
    if (o->preemptions < UINT16_MAX) o->preemptions++;
    r->stats.preemptions++;
    r->waiting_blocks += sim_blocks_for(r, s->known);
    sim_queue_push_front(&r->waiting, s->request);
    leave_running(r, slot);
    memmove(&r->running[index], &r->running[index + 1], (--r->n_running - index) * sizeof *r->running);
}

static void book_line(struct sim_replica *r)
{
    struct sim_line_use *u = &r->use;
    double steps = (double)u->steps, kv = (double)u->kv_sum;
    r->stats.gpu_s += steps * u->line.gpu_base_s + u->line.gpu_slope_s * kv;
    for (int e = 0; e < SIM_N_EVIDENCE; e++)
        r->stats.by_evidence_s[e] += steps * u->line.base_by_evidence_s[e];
    r->stats.by_evidence_s[u->line.attention] += steps * u->line.attention_base_s + u->line.gpu_slope_s * kv;
    u->steps = u->kv_sum = 0;
}

void sim_replica_fetch_line(struct sim_replica *r, uint32_t n_seqs, uint64_t kv_tokens)
{
    book_line(r);
    r->use.n_seqs = n_seqs;
    r->cost->decode_line(r->cost, n_seqs, kv_tokens, &r->use.line);
}

void sim_replica_close(struct sim_replica *r)
{
    book_line(r);
    sim_run_settle_gaps(r);
    r->stats.kv_peak_utilization = 1.0 - (double)r->pool.least_free / (double)r->pool.n_blocks;
}

bool sim_replica_balanced(const struct sim_replica *r)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < r->n_running; i++) held += r->seqs[r->running[i]].n_blocks;
    return sim_kvpool_balanced(&r->pool) && held + r->pool.n_lent + r->pool.n_free == r->pool.n_blocks;
}

/* What the rows of a step compute together; marks them in flight. */
static struct sim_batch gather(struct sim_replica *r, struct sim_step *step)
{
    struct sim_batch b = {.chunks = step->chunks};
    for (uint32_t i = 0; i < step->n_rows; i++) {
        uint32_t n = step->rows[i].n_tokens;
        struct sim_seq *s = &r->seqs[step->rows[i].slot];
        b.new_tokens += n;
        b.n_outputs += s->computed + n == s->known;
        if (sim_row_is_decode(s, n)) {
            b.n_decodes++;
            b.decode_kv_tokens += s->computed + 1;
        } else {
            step->chunks[b.n_chunks++] = (struct sim_chunk){n, s->computed};
        }
        s->in_flight = true;
    }
    return b;
}

/* When a mixed batch, or one of several pipeline stages, leaves the last stage. */
static double price_stages(struct sim_replica *r, const struct sim_batch *b, double now_s, double extra_s)
{
    double end_s = now_s + extra_s;
    for (uint32_t stage = 0; stage < n_stages(r); stage++) {
        struct sim_price price;
        r->cost->price(r->cost, b, stage, &price);
        if (stage > 0) {
            double hop_s = r->cost->transfer_s(r->cost, b->new_tokens);
            end_s = fmax(end_s + hop_s, r->stage_free_s[stage]);
            r->stats.link_s += hop_s / (n_stages(r) - 1);
        }
        end_s += price.step_s;
        r->stage_free_s[stage] = end_s;
        r->stats.gpu_s += price.gpu_s / n_stages(r);
        for (int e = 0; e < SIM_N_EVIDENCE; e++)
            r->stats.by_evidence_s[e] += price.by_evidence_s[e] / n_stages(r);
    }
    return end_s;
}

/* A walk that only took requests out leaves the step empty: the engine's next turn follows at once. */
static void form_batch(struct sim_replica *r, struct sim_step *step, double now_s)
{
    const struct sim_scheduler *scheduler =
        r->engine->scheduler ? r->engine->scheduler : &sim_scheduler_vllm_v1;
    uint64_t preemptions;
    step->n_rows = 0;
    step->swapped_tokens = 0;
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
    form_batch(r, step, now_s);
    r->start_s = INFINITY;
    if (!step->n_rows) return;

    struct sim_batch b = gather(r, step);
    double swap_s = (double)step->swapped_tokens * r->cost->swap_token_s;
    bool line = n_stages(r) == 1 && b.n_chunks == 0;
    step->end_s = line ? now_s + (sim_replica_decode_step_s(r, b.n_decodes, b.decode_kv_tokens) + swap_s)
                       : price_stages(r, &b, now_s, swap_s);
    if (r->shared->plan_row) tell_step(r, step);
    r->n_in_flight++;
    r->stats.iterations++;
    r->stats.computed_tokens += b.new_tokens;
    r->stats.swapped_tokens += step->swapped_tokens;
    r->stats.link_s += swap_s;
    if (r->n_running > r->stats.max_running) r->stats.max_running = r->n_running;
    if (r->waiting.n > r->stats.max_waiting) r->stats.max_waiting = r->waiting.n;
    if (r->n_in_flight < n_stages(r)) r->start_s = r->stage_free_s[0];
    if (line && r->shared->fast_forward && b.n_decodes == r->n_running) sim_run_begin(r, step);
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
    for (uint32_t i = 0; i < step->n_rows; i++) {
        struct sim_seq *s = &r->seqs[step->rows[i].slot];
        s->in_flight = false;
        s->computed += step->rows[i].n_tokens;
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
