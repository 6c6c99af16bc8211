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
    bool pages = k->n_terms == 1 && t->place == SIM_KV_GPU && !t->start && t->cap == SIM_KV_ALL && !t->whole;
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
    r->rich = is_rich(r->kv) || fleet->plain || r->cost->n_draws;
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

/* A decode row that reads `tokens`, its new one included, under a rule that is not just equal pages. */
static void add_rich_reads(const struct sim_replica *r, struct sim_reads *reads, const struct sim_seq *s,
                           uint32_t tokens)
{
    const struct sim_kv_rule *kv = sim_seq_rule(r, s);
    reads->all += tokens;
    reads->kept += sim_kv_read(kv, sim_seq_at(r, s, tokens));
    if (tokens <= kv->select_after) return;
    reads->selecting += tokens;
    reads->n_selecting++;
}

static uint32_t known_tokens(const struct sim_replica *r, uint32_t request)
{
    return r->shared->requests[request].input_tokens + (r->shared->generated[request] & ~SIM_SWAPPED);
}

/* --- what a request holds --- */

/* The rule of a waiting request, as far as it is known before it is admitted. */
static const struct sim_kv_rule *rule_of(const struct sim_replica *r, uint32_t request)
{
    const struct sim_fleet *f = r->of;
    if (f->fallback != SIM_FALLBACK_SHORT) return r->kv;
    uint64_t tokens =
        (uint64_t)r->shared->requests[request].input_tokens + r->shared->outcomes[request].output_tokens;
    return tokens < f->fallback_tokens ? f->plain : r->kv;
}

/* Pages of a rule that is not rich. */
static inline uint32_t plain_pages(const struct sim_kv_rule *kv, uint32_t tokens)
{
    uint32_t page = kv->term[0].page_tokens;
    return tokens / page + (tokens % page > 0);
}

static inline uint64_t gpu_need(const struct sim_replica *r, const struct sim_kv_rule *kv,
                                struct sim_kv_length at)
{
    if (!r->rich) return (uint64_t)plain_pages(kv, at.tokens) * kv->term[0].units;
    return sim_kv_need(kv, SIM_KV_GPU, at);
}

static inline uint64_t host_need(const struct sim_replica *r, const struct sim_kv_rule *kv,
                                 struct sim_kv_length at)
{
    return r->rich ? sim_kv_need(kv, SIM_KV_HOST, at) : 0;
}

static inline uint32_t covered(const struct sim_replica *r, const struct sim_kv_rule *kv,
                               struct sim_kv_length at)
{
    if (!r->rich) return plain_pages(kv, at.tokens) * kv->term[0].page_tokens;
    return sim_kv_covered(kv, at);
}

/* GPU units that a waiting request's known tokens will take. */
static uint64_t waiting_units(const struct sim_replica *r, uint32_t request, uint32_t known)
{
    return gpu_need(r, rule_of(r, request), (struct sim_kv_length){known, known});
}

bool sim_replica_fits(const struct sim_replica *r, const struct sim_kv_rule *kv, struct sim_kv_length at,
                      uint64_t spare)
{
    return gpu_need(r, kv, at) + spare <= r->pool.n_free && host_need(r, kv, at) <= r->host.n_free;
}

struct sim_entry sim_replica_head(const struct sim_replica *r)
{
    uint32_t request = r->waiting.head, kept = r->shared->generated[request];
    struct sim_entry e = {.request = request, .known = known_tokens(r, request), .kv = rule_of(r, request)};
    e.computed = kept & SIM_SWAPPED ? e.known - 1 : 0;
    e.filled = e.computed ? r->shared->requests[request].input_tokens : e.known;
    if (r->of->fallback == SIM_FALLBACK_HOST_FULL &&
        host_need(r, e.kv, (struct sim_kv_length){e.known, e.known}) > r->host.n_free)
        e.kv = r->of->plain;
    return e;
}

bool sim_replica_grow(struct sim_replica *r, struct sim_seq *s, uint32_t tokens)
{
    struct sim_kv_length at = sim_seq_at(r, s, tokens);
    uint64_t gpu = gpu_need(r, sim_seq_rule(r, s), at), host = host_need(r, sim_seq_rule(r, s), at);
    struct sim_holding *h = sim_holding_of(r, s);
    uint64_t more_gpu = gpu > h->held[SIM_KV_GPU] ? gpu - h->held[SIM_KV_GPU] : 0;
    uint64_t more_host = host > h->held[SIM_KV_HOST] ? host - h->held[SIM_KV_HOST] : 0;
    if (more_gpu > r->pool.n_free || more_host > r->host.n_free) return false;
    sim_kv_grow(&r->pool, h->run[SIM_KV_GPU], more_gpu);
    if (more_host) sim_kv_grow(&r->host, h->run[SIM_KV_HOST], more_host);
    h->held[SIM_KV_GPU] += (uint32_t)more_gpu;
    h->held[SIM_KV_HOST] += (uint32_t)more_host;
    s->covered = covered(r, sim_seq_rule(r, s), at);
    return true;
}

void sim_replica_settle(struct sim_replica *r, struct sim_seq *s)
{
    struct sim_kv_length at = sim_seq_at(r, s, s->computed);
    struct sim_holding *h = sim_holding_of(r, s);
    uint32_t holds[] = {(uint32_t)gpu_need(r, sim_seq_rule(r, s), at),
                        (uint32_t)host_need(r, sim_seq_rule(r, s), at)};
    for (int p = 0; p < (r->rich ? SIM_KV_N_PLACE : 1); p++) {
        sim_kv_settle(sim_replica_pool(r, p), h->run[p], holds[p] - h->held[p]);
        h->held[p] = holds[p];
    }
    s->covered = covered(r, sim_seq_rule(r, s), at);
}

/* The fill of a sequence ended: what the strategy does not keep is let go. */
static void settle_fill(struct sim_replica *r, struct sim_seq *s)
{
    struct sim_kv_length at = sim_seq_at(r, s, s->computed);
    struct sim_holding *h = sim_holding_of(r, s);
    for (int p = 0; p < SIM_KV_N_PLACE; p++) {
        uint64_t keeps = sim_kv_units(sim_seq_rule(r, s), (enum sim_kv_place)p, at);
        if (keeps >= h->held[p]) continue;
        sim_kv_shrink(sim_replica_pool(r, p), h->run[p], h->held[p] - keeps);
        h->held[p] = (uint32_t)keeps;
    }
    s->covered = sim_kv_covered(sim_seq_rule(r, s), at);
}

struct sim_reads sim_replica_reads(const struct sim_replica *r)
{
    struct sim_reads reads = {.n_seqs = r->n_running};
    for (uint32_t i = 0; i < r->n_running; i++) {
        const struct sim_seq *s = &r->seqs[r->running[i]];
        uint32_t tokens = s->known + (r->run.active ? r->run.steps : 0);
        if (r->rich)
            add_rich_reads(r, &reads, s, tokens);
        else
            reads.kept += tokens;
    }
    if (!r->rich) reads.all = reads.kept;
    return reads;
}

void sim_replica_submit(struct sim_replica *r, uint32_t request)
{
    struct sim_outcome *o = &r->shared->outcomes[request];
    o->replica = (uint16_t)r->id;
    o->queue_s = -1;
    o->ttft_s = -1;
    sim_queue_push(&r->inbox, request);
    r->waiting_blocks += waiting_units(r, request, known_tokens(r, request));
    r->waiting_tokens += known_tokens(r, request);
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
    r->waiting_blocks -= waiting_units(r, e->request, e->known);
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

/* --- the plan, for whoever wants to see every batch --- */

/* Pages of a sequence that the strategy has dropped from the GPU at a length. */
static uint32_t dropped_pages(const struct sim_replica *r, const struct sim_seq *s, uint32_t tokens)
{
    const struct sim_kv_rule *kv = sim_seq_rule(r, s);
    uint32_t kept = sim_kv_kept(kv, sim_seq_at(r, s, tokens));
    return (tokens - kept) / kv->term[0].page_tokens;
}

static uint32_t plan_reads(const struct sim_replica *r, const struct sim_seq *s, uint32_t n_tokens)
{
    const struct sim_kv_rule *kv = sim_seq_rule(r, s);
    uint32_t all = s->computed + n_tokens;
    if (!sim_row_is_decode(s, n_tokens)) return all;
    uint32_t kept = sim_kv_read(kv, sim_seq_at(r, s, all));
    return (uint32_t)lround(kv->all_frac * all + (1 - kv->all_frac) * kept);
}

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
                               .read_tokens = n_tokens ? plan_reads(r, s, n_tokens) : 0};
    if (n_tokens)
        row.evicted_pages = dropped_pages(r, s, s->computed + n_tokens) - dropped_pages(r, s, s->computed);
    row.recalled_pages = step->row_pages;
    row.corrected_heads = step->row_heads;
    r->shared->plan_row(r->shared->plan_user, &row);
}

static bool selects(const struct sim_replica *r, const struct sim_seq *s, uint32_t n_tokens)
{
    return sim_row_is_decode(s, n_tokens) && s->computed + n_tokens > sim_seq_rule(r, s)->select_after;
}

/* A step's pages and heads, dealt out evenly: rows of whole numbers that add up to the rounded sum. */
static void tell_step(struct sim_replica *r, struct sim_step *step)
{
    uint32_t n = 0, i_selecting = 0;
    for (uint32_t i = 0; i < step->n_rows; i++)
        n += selects(r, &r->seqs[step->rows[i].slot], step->rows[i].n_tokens);
    uint64_t pages = (uint64_t)llround(step->pages), heads = (uint64_t)llround(step->heads);
    for (uint32_t i = 0; i < step->n_rows; i++) {
        const struct sim_seq *s = &r->seqs[step->rows[i].slot];
        step->row_pages = step->row_heads = 0;
        if (selects(r, s, step->rows[i].n_tokens)) {
            step->row_pages = (uint32_t)(pages * (i_selecting + 1) / n - pages * i_selecting / n);
            step->row_heads = (uint32_t)(heads * (i_selecting + 1) / n - heads * i_selecting / n);
            i_selecting++;
        }
        tell(r, s, step, step->rows[i].n_tokens);
    }
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
    if (r->shared->plan_row) tell(r, s, step, 0);
    o->e2el_s = s->last_token_s; /* kept here until it runs again */
    if (o->preemptions < SIM_MAX_PREEMPTIONS) o->preemptions++;
    r->stats.preemptions++;
    r->waiting_blocks += waiting_units(r, s->request, s->known);
    r->waiting_tokens += s->known;
    sim_queue_push_front(&r->waiting, s->request);
    leave_running(r, slot);
    memmove(&r->running[index], &r->running[index + 1], (--r->n_running - index) * sizeof *r->running);
}

/* --- prices --- */

/* `miss` and `correct`: sums over steps of the draws; `steps`: of what does not depend on them. */
static void book_recall(struct sim_replica *r, const struct sim_recall *m, double steps, double miss,
                        double correct)
{
    struct sim_fleet_stats *t = &r->stats;
    t->link_s += sim_recall_wire_s(m, (struct sim_recall_draw){1, 1}) * miss;
    t->up_bytes += m->up_bytes * miss;
    t->down_bytes += m->down_bytes * steps;
    t->recalled_pages += m->pages * miss;
    t->corrected_heads += m->heads * m->correct_frac * correct;
}

static void book_line(struct sim_replica *r)
{
    struct sim_line_use *u = &r->use;
    const struct sim_decode_line *line = &u->line;
    double steps = (double)u->steps, selecting_s = line->select_slope_s * (double)u->selecting_sum;
    double kv = line->kept_frac * (double)u->kept_sum + line->all_frac * (double)u->all_sum;
    r->stats.gpu_s += steps * line->gpu_base_s + line->gpu_slope_s * kv + selecting_s;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) r->stats.by_evidence_s[e] += steps * line->base_by_evidence_s[e];
    r->stats.by_evidence_s[line->attention] += steps * line->attention_base_s + line->gpu_slope_s * kv;
    if (r->rich) {
        bool drawn = r->cost->n_draws > 0;
        double selecting = (double)u->selecting_sum;
        r->stats.by_evidence_s[line->select] += selecting_s;
        r->stats.by_evidence_s[line->recall.how] += u->exposed_s;
        r->stats.exposed_s += u->exposed_s;
        book_recall(r, &line->recall, steps, drawn ? u->miss_sum : steps, drawn ? u->correct_sum : steps);
        book_recall(r, &line->recall_token, selecting, drawn ? u->miss_selecting_sum : selecting, 0);
    }
    u->steps = u->kept_sum = u->all_sum = u->selecting_sum = 0;
    u->exposed_s = u->miss_sum = u->miss_selecting_sum = u->correct_sum = 0;
}

void sim_replica_fetch_line(struct sim_replica *r, const struct sim_reads *reads)
{
    book_line(r);
    r->use.n_seqs = reads->n_seqs;
    r->use.n_selecting = reads->n_selecting;
    r->cost->decode_line(r->cost, reads, &r->use.line);
}

struct sim_recall_draw sim_replica_draw(const struct sim_replica *r, uint64_t iteration)
{
    const struct sim_cost *c = r->cost;
    if (!c->n_draws) return (struct sim_recall_draw){1, 1};
    double u = sim_random_unit(r->shared->seed, r->draw_stream, iteration);
    return c->draws[(uint32_t)(u * c->n_draws)];
}

/* A step that moves m beside beside_s, without what the CPU adds. */
static double moved_s(struct sim_replica *r, const struct sim_recall *m, struct sim_recall_draw draw,
                      double beside_s, double start_s)
{
    if (r->link) return sim_recall_layers_s(m, draw, beside_s, start_s, r->link, r->link_user);
    return sim_recall_sum_s(sim_recall_sum(m, draw), beside_s);
}

struct sim_step_time sim_replica_drawn_time(struct sim_replica *r, const struct sim_reads *reads,
                                            struct sim_recall_draw draw, double start_s)
{
    const struct sim_decode_line *line = &r->use.line;
    struct sim_recall m = sim_recall_plus(&line->recall, &line->recall_token, (double)reads->selecting);
    double gpu_s = sim_line_gpu_s(line, reads);
    double moving_s = moved_s(r, &m, draw, sim_longer(gpu_s, line->launch_s), start_s);
    return (struct sim_step_time){sim_longer(gpu_s + line->add_s, line->floor_s),
                                  sim_longer(moving_s + line->add_s, line->floor_s)};
}

void sim_replica_close(struct sim_replica *r)
{
    book_line(r);
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
    for (uint32_t i = 0; i < step->n_rows; i++) {
        uint32_t n = step->rows[i].n_tokens;
        struct sim_seq *s = &r->seqs[step->rows[i].slot];
        b.new_tokens += n;
        b.n_outputs += s->computed + n == s->known;
        if (sim_row_is_decode(s, n)) {
            b.decode.n_seqs++;
            if (r->rich)
                add_rich_reads(r, &b.decode, s, s->computed + 1);
            else
                b.decode.kept += s->computed + 1;
        } else {
            step->chunks[b.n_chunks++] =
                (struct sim_chunk){n, s->computed, s->computed + n == sim_holding_of(r, s)->filled};
        }
        s->in_flight = true;
    }
    if (!r->rich) b.decode.all = b.decode.kept;
    return b;
}

/* A stage's price with what its rows move; `extra` is on top. */
static double stage_s(struct sim_replica *r, const struct sim_price *price, struct sim_step *step,
                      double start_s)
{
    if (price->recall.when == SIM_RECALL_NONE && !(price->prefill_down_s > 0)) return price->step_s;
    struct sim_recall_draw draw = sim_replica_draw(r, r->stats.iterations);
    struct sim_recall m = price->recall;
    m.down_s += price->prefill_down_s;
    m.down_bytes += price->prefill_down_bytes;
    double beside_s = fmax(price->gpu_s, price->launch_s);
    double step_s = fmax(moved_s(r, &m, draw, beside_s, start_s) + price->cpu_add_s, price->floor_s);
    book_recall(r, &m, 1, draw.miss, draw.correct);
    r->stats.exposed_s += step_s - price->step_s;
    r->stats.by_evidence_s[m.how] += step_s - price->step_s;
    step->pages = m.pages * draw.miss;
    step->heads = m.heads * m.correct_frac * draw.correct;
    return step_s;
}

/* When a mixed batch, or one of several pipeline stages, leaves the last stage. */
static double price_stages(struct sim_replica *r, const struct sim_batch *b, struct sim_step *step,
                           double extra_s)
{
    double end_s = step->start_s + extra_s;
    for (uint32_t stage = 0; stage < n_stages(r); stage++) {
        struct sim_price price;
        r->cost->price(r->cost, b, stage, &price);
        if (stage > 0) {
            double hop_s = r->cost->transfer_s(r->cost, b->new_tokens);
            end_s = fmax(end_s + hop_s, r->stage_free_s[stage]);
            r->stats.link_s += hop_s / (n_stages(r) - 1);
        }
        end_s += stage_s(r, &price, step, end_s);
        r->stage_free_s[stage] = end_s;
        r->stats.gpu_s += price.gpu_s / n_stages(r);
        for (int e = 0; e < SIM_N_EVIDENCE; e++)
            r->stats.by_evidence_s[e] += price.by_evidence_s[e] / n_stages(r);
    }
    return end_s;
}

/* A step of decodes only on a single stage; the first of a run, too. */
static double price_decodes(struct sim_replica *r, const struct sim_reads *reads, struct sim_step *step)
{
    struct sim_line_use *u = &r->use;
    if (!sim_line_covers(u, reads)) sim_replica_fetch_line(r, reads);
    u->steps++;
    u->kept_sum += reads->kept;
    if (!r->rich) return sim_line_plain_s(&u->line, reads->kept);
    struct sim_recall_draw draw = sim_replica_draw(r, r->stats.iterations);
    struct sim_step_time t = r->link || r->cost->n_draws
                                 ? sim_replica_drawn_time(r, reads, draw, step->start_s)
                                 : sim_line_time(&u->line, reads);
    u->all_sum += reads->all;
    u->selecting_sum += reads->selecting;
    u->exposed_s += t.step_s - t.computed_s;
    if (r->cost->n_draws) sim_line_book_draw(u, reads, draw);
    if (r->shared->plan_row) {
        struct sim_recall m =
            sim_recall_plus(&u->line.recall, &u->line.recall_token, (double)reads->selecting);
        step->pages = m.pages * draw.miss;
        step->heads = m.heads * m.correct_frac * draw.correct;
    }
    return t.step_s;
}

/* A walk that only took requests out leaves the step empty: the engine's next turn follows at once. */
static void form_batch(struct sim_replica *r, struct sim_step *step, double now_s)
{
    const struct sim_scheduler *scheduler =
        r->engine->scheduler ? r->engine->scheduler : &sim_scheduler_vllm_v1;
    uint64_t preemptions;
    step->n_rows = 0;
    step->swapped_tokens = 0;
    step->pages = step->heads = 0;
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
    step->end_s =
        line ? now_s + (price_decodes(r, &b.decode, step) + swap_s) : price_stages(r, &b, step, swap_s);
    if (r->shared->plan_row) tell_step(r, step);
    r->n_in_flight++;
    r->stats.iterations++;
    r->stats.computed_tokens += b.new_tokens;
    r->stats.swapped_tokens += step->swapped_tokens;
    r->stats.link_s += swap_s;
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
    for (uint32_t i = 0; i < step->n_rows; i++) {
        struct sim_seq *s = &r->seqs[step->rows[i].slot];
        s->in_flight = false;
        s->computed += step->rows[i].n_tokens;
        if (r->rich && s->computed == sim_holding_of(r, s)->filled) settle_fill(r, s);
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
