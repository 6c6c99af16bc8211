/* Fast-forward. A run begins with a step in flight that consists of decodes only, one for every running request,
 * while nobody can join: the queue is empty, or its head did not fit and free blocks only shrink. Until that changes,
 * step k+1 is step k with one more token each: the tokens read grow by the number of sequences, and the blocks needed
 * are those of the sequences whose length is a multiple of the block size, counted by residue class beforehand.
 * Sequences are brought up to date when the run ends. Every step is priced and booked by itself, in order. */
#include "sim/check.h"
#include "sim/replica.h"

#include <string.h>

void sim_run_begin(struct sim_replica *r, const struct sim_step *step)
{
    struct sim_decode_run *run = &r->run;
    uint32_t steps_limit = UINT32_MAX, block_size = r->engine->block_size;
    if (r->waiting.n && !r->head_blocked) return;
    if (step->swapped_tokens) return;
    uint64_t kv_tokens = 0;
    memset(run->growth, 0, block_size * sizeof *run->growth);
    memset(run->per_class, 0, r->shared->n_classes * sizeof *run->per_class);
    for (uint32_t i = 0; i < r->n_running; i++) {
        const struct sim_seq *s = &r->seqs[r->running[i]];
        if (s->last_token_s != step->start_s) return; /* its gap is not this step's time */
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

/* Gaps of one bucket of the histogram are counted together: a run's steps differ by little. */
void sim_run_settle_gaps(struct sim_replica *r)
{
    struct sim_decode_run *run = &r->run;
    for (uint32_t c = 0; c < r->shared->n_classes; c++)
        r->shared->itl[c].count[run->gap_bucket] += (uint64_t)run->n_gaps * run->per_class[c];
    run->n_gaps = 0;
}

static inline void count_gap(struct sim_replica *r, double gap_s)
{
    uint32_t bucket = sim_itl_bucket(gap_s);
    if (bucket != r->run.gap_bucket) {
        sim_run_settle_gaps(r);
        r->run.gap_bucket = bucket;
    }
    r->run.n_gaps++;
}

/* Takes the next step at now_s; false when the pool cannot hold it. */
static inline bool take_step(struct sim_replica *r, struct sim_step *step, double now_s)
{
    struct sim_decode_run *run = &r->run;
    if (!sim_kv_lend(&r->pool, run->growth[run->phase])) return false;
    run->phase = run->phase ? run->phase - 1 : r->engine->block_size - 1;
    run->kv_tokens += run->n_seqs;
    step->start_s = now_s;
    step->end_s = now_s + sim_replica_decode_step_s(r, run->n_seqs, run->kv_tokens);
    if (r->waiting.n > r->stats.max_waiting) r->stats.max_waiting = r->waiting.n;
    return true;
}

/* Counters of steps that ended and of steps that began, for a number of them at once. */
static void count_steps(struct sim_replica *r, uint64_t ended, uint64_t begun)
{
    r->shared->n_tokens += ended * r->run.n_seqs;
    r->stats.iterations += begun;
    r->stats.computed_tokens += begun * r->run.n_seqs;
}

void sim_run_advance(struct sim_replica *r)
{
    struct sim_decode_run *run = &r->run;
    struct sim_step *step = &r->steps[r->first_step];
    double ready_s = sim_replica_inbox_ready_s(r), limit_s = sim_key_time_s(r->limit);
    uint32_t before = run->steps;
    do {
        double now_s = step->end_s;
        sim_replica_book_time(r, now_s);
        count_gap(r, now_s - step->start_s);
        bool over = ++run->steps == run->steps_limit;
        if (ready_s <= now_s) {
            over |= joined(r, now_s);
            ready_s = sim_replica_inbox_ready_s(r);
        }
        over |= now_s >= limit_s && sim_key_of(now_s, SIM_EV_STEP_START, r->id, 0) >= r->limit;
        if (over || !take_step(r, step, now_s)) {
            count_steps(r, run->steps - before, run->steps - before - 1);
            leave(r, now_s);
            return;
        }
    } while (step->end_s < limit_s || sim_key_of(step->end_s, SIM_EV_STEP_END, r->id, 0) < r->limit);
    count_steps(r, run->steps - before, run->steps - before);
}
