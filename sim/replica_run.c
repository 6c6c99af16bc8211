/* Fast-forward. A run begins with a step in flight that consists of decodes only, one for every running
 * request, while nobody can join: the queue is empty, or its head did not fit and free blocks only shrink.
 * Until that changes, step k+1 is step k with one more token each: the tokens read grow by the number of
 * sequences, and the blocks needed are those of the sequences whose length is a multiple of the block size,
 * counted by residue class beforehand. Sequences are brought up to date when the run ends. Every step is
 * priced and booked by itself, in order. */
#include "sim/check.h"
#include "sim/replica.h"

#include <math.h>
#include <string.h>

void sim_run_begin(struct sim_replica *r, const struct sim_step *step)
{
    struct sim_decode_run *run = &r->run;
    uint32_t steps_limit = UINT32_MAX, block_size = r->engine->block_size;
    if (r->waiting.n && !r->head_blocked) return;
    if (step->swapped_tokens) return;
    uint64_t kv_tokens = 0;
    memset(run->growth, 0, block_size * sizeof *run->growth);
    memset(run->per_class, 0, (r->shared->n_classes + 1) * sizeof *run->per_class);
    for (uint32_t i = 0; i < r->n_running; i++) {
        const struct sim_seq *s = &r->seqs[r->running[i]];
        if (s->last_token_s != step->start_s) return; /* its gap is not this step's time */
        if (s->computed + 1 != s->known) return;      /* it yields no token yet */
        if (s->target - s->known < steps_limit) steps_limit = s->target - s->known;
        run->growth[s->computed % block_size]++;
        run->per_class[s->slo_class]++;
        kv_tokens += s->known;
    }
    if (steps_limit < 2) return;
    run->active = true;
    run->n_seqs = r->n_running;
    run->steps = 0;
    run->steps_limit = steps_limit;
    run->kv_tokens = kv_tokens;
    run->phase = block_size - 1;
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
        uint32_t grown = sim_blocks_for(r, s->computed) - s->n_blocks;
        sim_kv_settle(&r->pool, s->run, grown);
        s->n_blocks += grown;
    }
    SIM_CHECK_AT(r->pool.n_lent == 0, now_s, r->shared->seed);
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

/* What changes with every step of a run: a copy that stays in registers while steps are taken. */
struct pace {
    double start_s, end_s; /* of the step in flight */
    double kv_block_s, running_s, step_s, n_seqs;
    uint64_t n_free, used_blocks, kv_tokens;
    uint64_t priced_steps, priced_kv; /* by the line in use */
    uint32_t steps, phase, bucket, n_gaps;
};

static inline struct pace load(const struct sim_replica *r, const struct sim_step *step)
{
    return (struct pace){.start_s = step->start_s,
                         .end_s = step->end_s,
                         .kv_block_s = r->stats.kv_block_s,
                         .running_s = r->stats.running_s,
                         .step_s = r->stats.step_s,
                         .n_seqs = r->run.n_seqs,
                         .n_free = r->pool.n_free,
                         .used_blocks = sim_replica_used_blocks(r),
                         .kv_tokens = r->run.kv_tokens,
                         .priced_steps = r->use.steps,
                         .priced_kv = r->use.kv_sum,
                         .steps = r->run.steps,
                         .phase = r->run.phase,
                         .bucket = r->run.gap_bucket,
                         .n_gaps = r->run.n_gaps};
}

/* Counters follow from how many steps ended and began since the load. */
static inline void store(struct sim_replica *r, struct sim_step *step, const struct pace *p)
{
    uint64_t ended = p->steps - r->run.steps, begun = p->priced_steps - r->use.steps;
    r->shared->n_tokens += ended * r->run.n_seqs;
    r->stats.iterations += begun;
    r->stats.computed_tokens += begun * r->run.n_seqs;
    sim_kv_lend(&r->pool, r->pool.n_free - p->n_free);
    step->start_s = r->booked_s = p->start_s;
    step->end_s = p->end_s;
    r->stats.kv_block_s = p->kv_block_s;
    r->stats.running_s = p->running_s;
    r->stats.step_s = p->step_s;
    r->run.kv_tokens = p->kv_tokens;
    r->use.steps = p->priced_steps;
    r->use.kv_sum = p->priced_kv;
    r->run.steps = p->steps;
    r->run.phase = p->phase;
    r->run.gap_bucket = p->bucket;
    r->run.n_gaps = p->n_gaps;
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
static inline void end_step(const struct sim_replica *r, struct pace *p)
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
    p->running_s += p->n_seqs * step_s;
    p->step_s += step_s;
    p->start_s = p->end_s;
    p->steps++;
}

/* Begins the next step, whose blocks are free and whose price is on the line in use. */
static inline void begin_step(const struct sim_replica *r, struct pace *p)
{
    uint32_t grown = r->run.growth[p->phase];
    p->n_free -= grown;
    p->used_blocks += grown;
    p->phase = p->phase ? p->phase - 1 : r->engine->block_size - 1;
    p->kv_tokens += r->run.n_seqs;
    p->priced_kv += p->kv_tokens;
    p->priced_steps++;
    p->end_s = p->start_s + sim_line_step_s(&r->use.line, p->kv_tokens);
}

/* How many steps may begin on the line in use before the one that completes a request. */
static uint64_t alike(const struct sim_replica *r)
{
    const struct sim_decode_run *run = &r->run;
    SIM_DCHECK(sim_line_covers(&r->use, run->n_seqs, run->kv_tokens)); /* it priced the step in flight */
    uint64_t on_line = (r->use.line.kv_end - 1 - run->kv_tokens) / run->n_seqs,
             whole = run->steps_limit - 1 - run->steps;
    return on_line < whole ? on_line : whole;
}

/* Takes steps while the one in flight ends before quiet_s, when somebody may look or join, and the next is
 * like it. */
static void coast(struct sim_replica *r, struct sim_step *step, double quiet_s)
{
    struct pace p = load(r, step);
    for (uint64_t left = alike(r); left && p.end_s < quiet_s && r->run.growth[p.phase] <= p.n_free; left--) {
        end_step(r, &p);
        begin_step(r, &p);
    }
    store(r, step, &p);
}

/* Ends the step in flight and begins the next; false when that is not to be, because a request is complete,
 * somebody joins or looks, or the pool is exhausted: the run is over. */
static bool take_step(struct sim_replica *r, struct sim_step *step)
{
    struct pace p = load(r, step);
    end_step(r, &p);
    store(r, step, &p);
    bool over = r->run.steps == r->run.steps_limit;
    if (sim_replica_inbox_ready_s(r) <= p.start_s) over |= joined(r, p.start_s);
    over |= sim_key_of(p.start_s, SIM_EV_STEP_START, r->id, 0) >= r->limit;
    if (over || r->run.growth[r->run.phase] > r->pool.n_free) return false;
    if (!sim_line_covers(&r->use, r->run.n_seqs, r->run.kv_tokens + r->run.n_seqs))
        sim_replica_fetch_line(r, r->run.n_seqs, r->run.kv_tokens + r->run.n_seqs);
    p = load(r, step);
    begin_step(r, &p);
    store(r, step, &p);
    if (r->waiting.n > r->stats.max_waiting) r->stats.max_waiting = r->waiting.n;
    return true;
}

void sim_run_advance(struct sim_replica *r)
{
    struct sim_step *step = &r->steps[r->first_step];
    while (sim_key_of(step->end_s, SIM_EV_STEP_END, r->id, 0) < r->limit) {
        coast(r, step, fmin(sim_key_time_s(r->limit), sim_replica_inbox_ready_s(r)));
        if (sim_key_of(step->end_s, SIM_EV_STEP_END, r->id, 0) >= r->limit) return;
        if (take_step(r, step)) continue;
        leave(r, step->start_s);
        return;
    }
}
