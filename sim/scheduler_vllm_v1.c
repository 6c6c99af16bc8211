/* What vLLM v1's scheduler does in a step. source: vllm/v1/core/sched/scheduler.py, Scheduler.schedule. */
#include "sim/check.h"
#include "sim/replica.h"

struct pass {
    struct sim_replica *r;
    struct sim_step *step;
    double now_s;
    uint64_t budget; /* tokens left */
    bool preempted;  /* or out of blocks: nobody is admitted */
};

static uint32_t chunk_tokens(const struct pass *p, uint32_t uncomputed)
{
    uint32_t limit = p->r->engine->long_prefill_token_threshold;
    uint64_t n = limit && uncomputed > limit ? limit : uncomputed;
    return (uint32_t)(n > p->budget ? p->budget : n);
}

static void give(struct pass *p, uint32_t slot, uint32_t n_tokens)
{
    p->step->rows[p->step->n_rows++] = (struct sim_row){slot, n_tokens};
    p->budget -= n_tokens;
}

/* What a victim was given in this step returns to the budget. */
static void take_back(struct pass *p, uint32_t slot)
{
    struct sim_step *step = p->step;
    for (uint32_t i = step->n_rows; i-- > 0;) {
        if (step->rows[i].slot != slot) continue;
        p->budget += step->rows[i].n_tokens;
        for (uint32_t j = i + 1; j < step->n_rows; j++) step->rows[j - 1] = step->rows[j];
        step->n_rows--;
        return;
    }
}

/* The running request to give way: the last one, under policy priority the one served last. `self` is
 * eligible. */
static uint32_t victim_index(const struct sim_replica *r, uint32_t self)
{
    uint32_t victim = self;
    for (uint32_t i = 0; i < r->n_running; i++) {
        const struct sim_seq *s = &r->seqs[r->running[i]], *v = &r->seqs[r->running[victim]];
        if (s->in_flight) continue;
        bool later = r->engine->policy == SIM_PRIORITY
                         ? sim_serves_after(r->shared->requests, s->request, v->request)
                         : i > victim;
        if (later) victim = i;
    }
    return victim;
}

/* Blocks for n more tokens of running[*index], preempting others; false when it had to give way itself, or
 * when it is the oldest and waits for batches in flight: were it to give way, two pipeline batches could
 * evict each other for ever. */
static bool make_room(struct pass *p, uint32_t *index, uint32_t n_tokens)
{
    struct sim_replica *r = p->r;
    struct sim_seq *s = &r->seqs[r->running[*index]];
    if (s->computed + n_tokens <= s->covered) return true;
    while (!sim_replica_grow(r, s, s->computed + n_tokens)) {
        uint32_t victim = victim_index(r, *index);
        bool self = victim == *index;
        p->preempted = true;
        if (self && *index == 0 && r->n_in_flight) return false;
        take_back(p, r->running[victim]);
        sim_replica_preempt(r, victim, p->step);
        if (self) return false;
        if (victim < *index) --*index;
    }
    return true;
}

static void serve_running(struct pass *p)
{
    struct sim_replica *r = p->r;
    for (uint32_t i = 0; i < r->n_running && p->budget > 0; i++) {
        uint32_t slot = r->running[i];
        const struct sim_seq *s = &r->seqs[slot];
        if (s->in_flight) continue;
        uint32_t n = chunk_tokens(p, s->known - s->computed);
        if (!make_room(p, &i, n)) return;
        give(p, slot, n);
    }
}

/* Admits the head of the queue; false when it does not fit, and nobody overtakes it. */
static bool admit_head(struct pass *p)
{
    struct sim_replica *r = p->r;
    struct sim_entry e = sim_replica_head(r);
    uint32_t n = chunk_tokens(p, e.known - e.computed), first = e.computed + n;
    struct sim_kv_length at = {r->engine->reserve_full_isl ? e.known : first, e.filled};
    uint64_t spare = r->n_running ? r->engine->watermark_blocks : 0;
    if (!sim_replica_fits(r, e.kv, at, spare)) return false;
    sim_queue_pop(&r->waiting);
    uint32_t slot = sim_replica_admit(r, &e, p->now_s);
    bool grown = sim_replica_grow(r, &r->seqs[slot], first);
    SIM_CHECK_AT(grown, p->now_s, r->shared->seed);
    p->step->swapped_tokens += sim_kv_kept(e.kv, (struct sim_kv_length){e.computed, e.filled});
    give(p, slot, n);
    return true;
}

static void form(struct sim_replica *r, struct sim_step *step, double now_s)
{
    struct pass p = {.r = r, .step = step, .now_s = now_s, .budget = r->engine->max_num_batched_tokens};
    serve_running(&p);
    r->head_blocked = false;
    if (p.preempted) return;
    while (r->waiting.n && r->n_running < r->engine->max_num_seqs && p.budget > 0) {
        if (admit_head(&p)) continue;
        r->head_blocked = true;
        return;
    }
    r->head_blocked = r->waiting.n && r->n_running == r->engine->max_num_seqs;
}

const struct sim_scheduler sim_scheduler_vllm_v1 = {
    "vllm_v1", "vLLM v1: decodes first, then prompt chunks, no overtaking, recompute on preemption", form};
