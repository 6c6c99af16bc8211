/* Fast-forward. A run begins with a step in flight that consists of decodes only, one for every running
 * request, while nobody can join: the queue is empty, or its head did not fit and free blocks only shrink.
 * Until that changes, step k+1 is step k with one more token each: what is read grows by the number of
 * sequences whose strategy reads more of a longer one, and the units needed repeat with the period of the
 * strategy's pages, counted beforehand. A run also ends where a sequence changes its pattern: a budget is
 * reached, a window is full. Sequences are brought up to date when the run ends. Every step is priced and
 * booked by itself, in order; where the fleet's cost changes the run ends. Compiled once for each kind of strategy. */
#include "sim/check.h"
#include "sim/replica.h"

#include <math.h>
#include <string.h>

/* Adds what a sequence of c + 1 tokens takes in later steps: step k of the run brings it from c + k to c + k + 1
 * tokens, and its units come at growth[period - k]. */
static void add_growth(struct sim_decode_run *run, const struct sim_kv_rule *kv, struct sim_kv_length at,
                       uint32_t period)
{
    for (uint32_t i = 0; i < kv->n_terms; i++) {
        const struct sim_kv_term *t = &kv->term[i];
        uint32_t k = sim_kv_grows_in(kv, t, at);
        for (; k <= period; k += t->page_tokens) run->growth[t->place][period - k] += t->units;
    }
}

/* Of a strategy that is more than equal pages; false when the next step has another pattern already. */
static bool add_rich(struct sim_replica *r, const struct sim_seq *s, uint32_t *steps_limit)
{
    const struct sim_kv_rule *kv = sim_seq_rule(r, s);
    struct sim_kv_length at = sim_seq_at(r, s, s->computed + 1), next = {at.tokens + 1, at.filled};
    if (s->computed < at.filled) return false; /* what is not kept leaves when this step ends */
    uint32_t change = sim_kv_next_change(kv, at);
    if (change - at.tokens < *steps_limit) *steps_limit = change - at.tokens;
    if (*steps_limit < 2) return false;
    r->run.n_growing += sim_kv_read(kv, next) - sim_kv_read(kv, at);
    add_growth(&r->run, kv, at, r->kv->period);
    return true;
}

static inline bool add_seq(struct sim_replica *r, const struct sim_seq *s, uint32_t *steps_limit)
{
    uint32_t left = s->target - s->known;
    if (left < *steps_limit) *steps_limit = left;
    r->run.per_class[s->slo_class]++;
    if (r->rich) return add_rich(r, s, steps_limit);
    r->run.growth[SIM_KV_GPU][s->computed % r->kv->period] += r->kv->term[0].units;
    return true;
}

void sim_run_begin(struct sim_replica *r, const struct sim_step *step, const struct sim_reads *reads)
{
    struct sim_decode_run *run = &r->run;
    uint32_t steps_limit = UINT32_MAX, period = r->kv->period;
    if (r->waiting.n && (!r->head_blocked || r->of->fallback == SIM_FALLBACK_HOST_FULL)) return;
    if (step->swapped_tokens || r->link) return;
    for (int p = 0; p < (r->rich ? SIM_KV_N_PLACE : 1); p++)
        memset(run->growth[p], 0, period * sizeof *run->growth[p]);
    memset(run->per_class, 0, (r->shared->n_classes + 1) * sizeof *run->per_class);
    run->n_growing = r->rich ? 0 : r->n_running;
    for (uint32_t i = 0; i < r->n_running; i++) {
        const struct sim_seq *s = &r->seqs[r->running[i]];
        if (s->last_token_s != step->start_s) return; /* its gap is not this step's time */
        if (s->computed + 1 != s->known) return;      /* it yields no token yet */
        if (!add_seq(r, s, &steps_limit)) return;
    }
    if (steps_limit < 2) return;
    run->active = true;
    run->reads = *reads;
    run->steps = 0;
    run->steps_limit = steps_limit;
    run->phase = period - 1;
}

/* Brings every sequence up to the end of the last finished step. */
static void leave(struct sim_replica *r, double now_s)
{
    struct sim_decode_run *run = &r->run;
    for (uint32_t i = 0; i < r->n_running; i++) {
        struct sim_seq *s = &r->seqs[r->running[i]];
        s->computed += run->steps;
        s->known += run->steps;
        s->last_token_s = now_s;
        s->in_flight = false;
        if (s->computed > s->covered) sim_replica_settle(r, s);
    }
    SIM_CHECK_AT(r->pool.n_lent == 0 && r->host.n_lent == 0, now_s, r->shared->seed);
    sim_run_settle_gaps(r);
    run->active = false;
    r->n_in_flight = 0;
    if (run->steps == run->steps_limit) sim_replica_retire(r, now_s);
    if (r->n_running + r->waiting.n) r->start_s = now_s;
}

/* Somebody can join the batch at now_s. */
static bool joined(struct sim_replica *r, double now_s)
{
    return sim_replica_deliver(r, now_s) && (!r->head_blocked || r->waiting.by_priority);
}

/* Copied into each loop over steps, with what is constant there: a step costs a few ns. */
#define IN_LOOP static inline __attribute__((always_inline))
enum mode {
    PLAIN, /* equal pages, all of which are read */
    RICH,  /* any other rule, at the mean rates */
    DRAWN  /* the same, with rates drawn for every step */
};

/* What changes with every step of a run: a copy that stays in registers while steps are taken. */
struct pace {
    double start_s, end_s; /* of the step in flight */
    double kv_block_s, running_s, step_s, n_seqs;
    uint64_t n_free, used_blocks, kept;
    uint64_t priced_steps, priced_kept; /* by the line in use */
    uint32_t steps, phase, bucket, n_gaps;
    uint64_t host_free, all, selecting; /* of rich strategies */
    uint64_t priced_all, priced_selecting;
    double host_block_s, exposed_s;
};

IN_LOOP struct pace load(const struct sim_replica *r, const struct sim_step *step, const enum mode mode)
{
    struct pace p = {.start_s = step->start_s,
                     .end_s = step->end_s,
                     .kv_block_s = r->stats.kv_block_s,
                     .running_s = r->stats.running_s,
                     .step_s = r->stats.step_s,
                     .n_seqs = r->run.reads.n_seqs,
                     .n_free = r->pool.n_free,
                     .used_blocks = sim_replica_used_blocks(r),
                     .kept = r->run.reads.kept,
                     .priced_steps = r->use.steps,
                     .priced_kept = r->use.kept_sum,
                     .steps = r->run.steps,
                     .phase = r->run.phase,
                     .bucket = r->run.gap_bucket,
                     .n_gaps = r->run.n_gaps};
    if (mode == PLAIN) return p;
    p.host_free = r->host.n_free;
    p.all = r->run.reads.all;
    p.selecting = r->run.reads.selecting;
    p.priced_all = r->use.all_sum;
    p.priced_selecting = r->use.selecting_sum;
    p.host_block_s = r->stats.host_block_s;
    p.exposed_s = r->use.exposed_s;
    return p;
}

/* Counters follow from how many steps ended and began since the load. */
IN_LOOP void store(struct sim_replica *r, struct sim_step *step, const struct pace *p, const enum mode mode)
{
    uint64_t ended = p->steps - r->run.steps, begun = p->priced_steps - r->use.steps;
    r->shared->n_tokens += ended * r->run.reads.n_seqs;
    r->stats.iterations += begun;
    r->stats.computed_tokens += begun * r->run.reads.n_seqs;
    sim_kv_lend(&r->pool, r->pool.n_free - p->n_free);
    step->start_s = r->booked_s = p->start_s;
    step->end_s = p->end_s;
    r->stats.kv_block_s = p->kv_block_s;
    r->stats.running_s = p->running_s;
    r->stats.step_s = p->step_s;
    r->run.reads.kept = r->run.reads.all = p->kept;
    r->use.steps = p->priced_steps;
    r->use.kept_sum = p->priced_kept;
    r->run.steps = p->steps;
    r->run.phase = p->phase;
    r->run.gap_bucket = p->bucket;
    r->run.n_gaps = p->n_gaps;
    if (mode == PLAIN) return;
    sim_kv_lend(&r->host, r->host.n_free - p->host_free);
    r->stats.host_block_s = p->host_block_s;
    r->run.reads.all = p->all;
    r->run.reads.selecting = step->selecting = p->selecting;
    r->use.all_sum = p->priced_all;
    r->use.selecting_sum = p->priced_selecting;
    r->use.exposed_s = p->exposed_s;
}

static inline void settle_gaps(const struct sim_replica *r, const struct pace *p)
{
    for (uint32_t c = 0; c < r->shared->n_classes; c++)
        r->shared->itl[c].count[p->bucket] += (uint64_t)p->n_gaps * r->run.per_class[c];
}

void sim_run_settle_gaps(struct sim_replica *r)
{
    struct pace p = {.bucket = r->run.gap_bucket, .n_gaps = r->run.n_gaps};
    settle_gaps(r, &p);
    r->run.n_gaps = 0;
}

/* Ends the step in flight; the next one starts at start_s. Gaps of one bucket of the histogram are counted
 * together: a run's steps differ by little. */
IN_LOOP void end_step(const struct sim_replica *r, struct pace *p, const enum mode mode)
{
    double step_s = p->end_s - p->start_s;
    uint32_t bucket = sim_itl_bucket(step_s);
    if (bucket != p->bucket) {
        settle_gaps(r, p);
        p->bucket = bucket;
        p->n_gaps = 0;
    }
    p->n_gaps++;
    p->kv_block_s += (double)(int64_t)p->used_blocks * step_s; /* signed converts faster */
    if (mode != PLAIN) p->host_block_s += (double)(int64_t)(r->host.n_blocks - p->host_free) * step_s;
    p->running_s += p->n_seqs * step_s;
    p->step_s += step_s;
    p->start_s = p->end_s;
    p->steps++;
}

/* What the step after the one in flight reads. */
IN_LOOP struct sim_reads next_reads(const struct sim_replica *r, const struct pace *p)
{
    struct sim_reads reads = r->run.reads;
    reads.kept = p->kept + r->run.n_growing;
    reads.all = p->all + reads.n_seqs;
    reads.selecting = p->selecting + reads.n_selecting;
    return reads;
}

IN_LOOP bool room(const struct sim_replica *r, const struct pace *p, const enum mode mode)
{
    const struct sim_decode_run *run = &r->run;
    return run->growth[SIM_KV_GPU][p->phase] <= p->n_free &&
           (mode == PLAIN || run->growth[SIM_KV_HOST][p->phase] <= p->host_free);
}

/* A step of a strategy whose rates are drawn, which begins at p->start_s. */
static struct sim_step_time drawn_time(struct sim_replica *r, const struct sim_reads *reads,
                                       const struct pace *p)
{
    uint64_t iteration = r->stats.iterations + (p->priced_steps - r->use.steps);
    struct sim_recall_draw draw = sim_replica_draw(r, iteration);
    sim_line_book_draw(&r->use, reads, draw);
    return sim_replica_drawn_time(r, reads, draw, p->start_s);
}

IN_LOOP double rich_step_s(struct sim_replica *r, const struct sim_reads *reads, struct pace *p,
                           const enum mode mode)
{
    struct sim_step_time t = mode == DRAWN ? drawn_time(r, reads, p) : sim_line_time(&r->use.line, reads);
    p->priced_all += reads->all;
    p->priced_selecting += reads->selecting;
    p->exposed_s += t.step_s - t.computed_s;
    return t.step_s;
}

/* Begins the next step, whose blocks are free and whose price is on the line in use. */
IN_LOOP void begin_step(struct sim_replica *r, struct pace *p, const enum mode mode)
{
    uint32_t grown = r->run.growth[SIM_KV_GPU][p->phase];
    double step_s;
    p->n_free -= grown;
    p->used_blocks += grown;
    if (mode != PLAIN) {
        struct sim_reads reads = next_reads(r, p);
        p->host_free -= r->run.growth[SIM_KV_HOST][p->phase];
        p->kept = reads.kept;
        p->all = reads.all;
        p->selecting = reads.selecting;
        step_s = rich_step_s(r, &reads, p, mode);
    } else {
        p->kept += r->run.reads.n_seqs;
        step_s = sim_line_plain_s(&r->use.line, p->kept);
    }
    p->phase = p->phase ? p->phase - 1 : r->kv->period - 1;
    p->priced_kept += p->kept;
    p->priced_steps++;
    p->end_s = p->start_s + step_s;
}

/* How many steps may begin on the line in use before the one that ends the run. */
IN_LOOP uint64_t alike(const struct sim_replica *r, const struct pace *p, const enum mode mode)
{
    const struct sim_decode_run *run = &r->run;
    const struct sim_decode_line *line = &r->use.line;
    struct sim_reads reads = {.kept = p->kept, .all = p->all};
    uint64_t whole = run->steps_limit - 1 - p->steps;
    if (mode != PLAIN && line->selecting_end && run->reads.n_selecting) {
        uint64_t within = (line->selecting_end - 1 - p->selecting) / run->reads.n_selecting;
        if (within < whole) whole = within;
    }
    double pace = line->kept_frac * run->n_growing + line->all_frac * run->reads.n_seqs;
    double left = line->kv_end - sim_line_kv(line, &reads);
    if (!(pace > 0) || left >= pace * (double)(int64_t)(whole + 2)) return whole;
    uint64_t steps = (uint64_t)(int64_t)(left / pace);
    reads.kept += steps * run->n_growing;
    reads.all += steps * run->reads.n_seqs;
    if (steps && !(sim_line_kv(line, &reads) < line->kv_end)) steps--; /* rounding */
    return steps < whole ? steps : whole;
}

/* Takes steps on the line in use while the one in flight ends before quiet_s, when somebody may look or join. */
IN_LOOP void coast_as(struct sim_replica *r, struct sim_step *step, double quiet_s, const enum mode mode)
{
    struct pace p = load(r, step, mode);
    for (uint64_t left = alike(r, &p, mode); left && p.end_s < quiet_s && room(r, &p, mode); left--) {
        end_step(r, &p, mode);
        begin_step(r, &p, mode);
    }
    store(r, step, &p, mode);
}

/* Ends the step in flight and begins the next; false when that is not to be, because a request is complete,
 * somebody joins or looks, or the pool is exhausted: the run is over. */
IN_LOOP bool take_step_as(struct sim_replica *r, struct sim_step *step, const enum mode mode)
{
    struct pace p = load(r, step, mode);
    end_step(r, &p, mode);
    bool over = p.steps == r->run.steps_limit;
    if (sim_replica_inbox_ready_s(r) <= p.start_s) over |= joined(r, p.start_s);
    over |= sim_key_of(p.start_s, SIM_EV_STEP_START, r->id, 0) >= r->limit;
    over |= p.start_s >= r->later_s;
    over |= !room(r, &p, mode);
    if (!over) {
        struct sim_reads reads = next_reads(r, &p);
        if (!sim_line_covers(&r->use, &reads)) {
            store(r, step, &p, mode);
            sim_replica_fetch_line(r, &reads);
            p = load(r, step, mode);
        }
        begin_step(r, &p, mode);
        if (r->waiting.n > r->stats.max_waiting) r->stats.max_waiting = r->waiting.n;
    }
    store(r, step, &p, mode);
    return !over;
}

/* Of two times; fmin, which minds what is not a number, is a call. */
IN_LOOP double earlier(double a_s, double b_s)
{
    return a_s < b_s ? a_s : b_s;
}

/* Until the limit; true when the run is over. */
IN_LOOP bool advance_as(struct sim_replica *r, const enum mode mode)
{
    struct sim_step *step = &r->steps[r->first_step];
    while (sim_key_of(step->end_s, SIM_EV_STEP_END, r->id, 0) < r->limit) {
        double limit_s = sim_key_time_s(r->limit);
        coast_as(r, step, earlier(r->later_s, earlier(limit_s, sim_replica_inbox_ready_s(r))), mode);
        if (sim_key_of(step->end_s, SIM_EV_STEP_END, r->id, 0) >= r->limit) return false;
        if (!take_step_as(r, step, mode)) return true;
    }
    return false;
}

static __attribute__((noinline)) bool advance_rich(struct sim_replica *r)
{
    return advance_as(r, RICH);
}

static __attribute__((noinline)) bool advance_drawn(struct sim_replica *r)
{
    return advance_as(r, DRAWN);
}

void sim_run_advance(struct sim_replica *r)
{
    bool over = !r->rich ? advance_as(r, PLAIN) : r->cost->n_draws ? advance_drawn(r) : advance_rich(r);
    if (over) leave(r, r->steps[r->first_step].start_s);
}
