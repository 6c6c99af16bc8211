/* One replica: a loop of forward steps over its running requests. The scheduler forms a batch, the cost model
 * prices it, the KV pool grows, tokens appear when the step ends. Events of a replica: the end of the oldest
 * batch in flight, a request that reaches the scheduler, the start of the next step. Fast-forward
 * (replica_run.c): while the batch is all decodes and nobody can join, step after step is taken without
 * forming the batch again. Both ways do the same arithmetic in the same order. */
#ifndef KVSIM_SIM_REPLICA_H
#define KVSIM_SIM_REPLICA_H

#include "sim/cluster.h"
#include "sim/eventq.h"
#include "sim/histogram.h"
#include "sim/kvpool.h"
#include "sim/queue.h"

/* A running request. */
struct sim_seq {
    uint32_t request;
    uint32_t prompt;   /* its input tokens */
    uint32_t known;    /* prompt + generated tokens */
    uint32_t computed; /* of them, those whose KV is in the pool */
    uint32_t target;   /* known when it is finished: input + output */
    uint32_t n_blocks; /* held by its run */
    uint32_t run;
    uint16_t slo_class; /* of its gaps; n_classes while warming up */
    bool in_flight;
    double last_token_s;
};

/* A request's share of a step. */
struct sim_row {
    uint32_t slot; /* of seqs */
    uint32_t n_tokens;
};

/* A batch from its forming to its end. */
struct sim_step {
    struct sim_row *rows;
    struct sim_chunk *chunks;
    uint32_t n_rows;
    uint64_t swapped_tokens; /* moved over the host link for this step, preemption by swapping only */
    double start_s, end_s;
};

/* Fast-forward over decode steps; see replica_run.c. */
struct sim_decode_run {
    bool active;
    uint32_t n_seqs;
    uint32_t steps;              /* finished since the run began */
    uint32_t steps_limit;        /* the step with this number completes a request */
    uint64_t kv_tokens;          /* that the step in flight reads */
    uint32_t phase;              /* growth[phase]: blocks that the next step needs */
    uint32_t *growth;            /* block_size entries */
    uint32_t *per_class;         /* sequences of each class, and those not measured */
    uint32_t gap_bucket, n_gaps; /* steps whose gap fell into this bucket and is not in the histogram yet */
};

/* The line that prices decode steps now, and what was priced by it since it was fetched. */
struct sim_line_use {
    struct sim_decode_line line;
    uint32_t n_seqs;
    uint64_t steps, kv_sum;
};

/* What the replicas of a cluster share. */
struct sim_shared {
    const struct sim_request *requests;
    struct sim_outcome *outcomes;
    uint32_t *generated; /* tokens that a preempted request keeps, | SIM_SWAPPED when its KV is on the host */
    struct sim_links links;
    struct sim_itl *itl; /* per class, and one more for requests that are not measured */
    uint32_t n_classes;
    uint64_t warmup_requests; /* the first so many are not measured, ... */
    double warmup_end_s;      /* ... nor arrivals before this time */
    bool fast_forward;
    uint64_t seed;
    uint64_t n_completed, n_tokens;
    void (*plan_row)(void *user, const struct sim_plan_row *row); /* as in sim_config */
    void *plan_user;
    /* Closed loop: called at each completion; when the next request arrives, infinity when none does. */
    double (*on_complete)(void *user, double now_s);
    void *user;
};

#define SIM_SWAPPED 0x80000000u

struct sim_replica {
    struct sim_shared *shared;
    const struct sim_engine *engine;
    const struct sim_cost *cost;
    struct sim_fleet_stats stats; /* its own; summed over the fleet in replica order when the run is over */
    uint32_t id, fleet;

    struct sim_kvpool pool;
    struct sim_seq *seqs; /* max_num_seqs slots */
    uint32_t *free_slots;
    uint32_t n_free_slots;
    uint32_t *running; /* slots in admission order */
    uint32_t n_running;

    struct sim_queue inbox;   /* routed here, not yet at the scheduler */
    struct sim_queue waiting; /* at the scheduler */
    uint64_t waiting_blocks;  /* that the prompts of both would need */
    bool head_blocked;        /* the last admission stopped because the head did not fit */

    struct sim_step *steps; /* ring of batches in flight, one per pipeline stage */
    uint32_t first_step, n_in_flight;
    double stage_free_s[SIM_MAX_STAGES];
    double start_s;  /* when the next step may be formed; infinity when nothing is there to do */
    double booked_s; /* integrals over time are known up to here */

    struct sim_decode_run run;
    struct sim_line_use use;
    sim_key limit; /* of the advance that is going on */
};

void sim_replica_init(struct sim_replica *r, struct sim_shared *shared, const struct sim_fleet *fleet,
                      struct sim_arena *arena);

/* Hands over a request that arrived at its outcome's arrival_s. */
void sim_replica_submit(struct sim_replica *r, uint32_t request);

/* Key of the next event; SIM_KEY_NEVER when there is none. */
sim_key sim_replica_next(const struct sim_replica *r);

/* Plays every event before `limit`. A completion in a closed loop lowers the limit to the arrival that it
 * causes. */
void sim_replica_advance(struct sim_replica *r, sim_key limit);

/* Books what was priced by the line in use to the statistics; call once more at the end. */
void sim_replica_close(struct sim_replica *r);

/* Conservation: blocks of running requests + free ones == all; counted one by one. */
bool sim_replica_balanced(const struct sim_replica *r);

static inline uint32_t sim_replica_outstanding(const struct sim_replica *r)
{
    return r->n_running + r->waiting.n + r->inbox.n;
}

static inline uint64_t sim_replica_used_blocks(const struct sim_replica *r)
{
    return r->pool.n_blocks - r->pool.n_free;
}

static inline uint32_t sim_blocks_for(const struct sim_replica *r, uint64_t tokens)
{
    return (uint32_t)((tokens + r->engine->block_size - 1) / r->engine->block_size);
}

/* --- between replica.c, replica_run.c and the schedulers --- */

/* It computes one token, a generated one: the last, or one of a re-prefill that comes in chunks of one. */
static inline bool sim_row_is_decode(const struct sim_seq *s, uint32_t n_tokens)
{
    return n_tokens == 1 && s->computed >= s->prompt;
}

/* Moves a waiting request to the end of `running` with `computed` tokens in the pool; its slot. */
uint32_t sim_replica_admit(struct sim_replica *r, uint32_t request, uint32_t known, uint32_t computed,
                           double now_s);

/* Takes running[index] out: blocks free, back to the head of the queue. */
void sim_replica_preempt(struct sim_replica *r, uint32_t index, struct sim_step *step);

/* Books the time since the last booking, if a step was in flight: integrals over time of blocks and running
 * requests. Called before either changes, at the start and at the end of a step. */
static inline void sim_replica_book_time(struct sim_replica *r, double now_s)
{
    double past_s = r->n_in_flight ? now_s - r->booked_s : 0;
    r->stats.kv_block_s += (double)(int64_t)sim_replica_used_blocks(r) * past_s; /* signed converts faster */
    r->stats.running_s += (double)r->n_running * past_s;
    r->stats.step_s += past_s;
    r->booked_s = now_s;
}

/* Gets the line that prices n_seqs decodes around kv_tokens, and books what the one before it priced. */
void sim_replica_fetch_line(struct sim_replica *r, uint32_t n_seqs, uint64_t kv_tokens);

/* Completes running requests that have all their tokens, at the end of a step. */
void sim_replica_retire(struct sim_replica *r, double now_s);

/* Moves requests that reached the scheduler by now_s from the inbox to the queue; true when any did. */
bool sim_replica_deliver(struct sim_replica *r, double now_s);
double sim_replica_inbox_ready_s(const struct sim_replica *r);

/* Starts fast-forwarding when the step just formed allows it. */
void sim_run_begin(struct sim_replica *r, const struct sim_step *step);
/* Takes steps from the end of the one in flight on, while they end before the limit. */
void sim_run_advance(struct sim_replica *r);
/* Brings the histogram of gaps up to date. */
void sim_run_settle_gaps(struct sim_replica *r);

static inline bool sim_line_covers(const struct sim_line_use *u, uint32_t n_seqs, uint64_t kv_tokens)
{
    return n_seqs == u->n_seqs && kv_tokens >= u->line.kv_begin && kv_tokens < u->line.kv_end;
}

static inline double sim_line_step_s(const struct sim_decode_line *line, uint64_t kv_tokens)
{
    double step_s = line->gpu_base_s + line->gpu_slope_s * (double)(int64_t)kv_tokens + line->add_s;
    return step_s < line->floor_s ? line->floor_s : step_s;
}

/* Prices a step of decodes only; fetches a line when the one in use does not cover it. */
static inline double sim_replica_decode_step_s(struct sim_replica *r, uint32_t n_seqs, uint64_t kv_tokens)
{
    struct sim_line_use *u = &r->use;
    if (!sim_line_covers(u, n_seqs, kv_tokens)) sim_replica_fetch_line(r, n_seqs, kv_tokens);
    u->steps++;
    u->kv_sum += kv_tokens;
    return sim_line_step_s(&u->line, kv_tokens);
}

#endif
