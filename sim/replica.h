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

/* A running request: the 40 bytes that every step touches, ... */
struct sim_seq {
    uint32_t request;
    uint32_t prompt;    /* its input tokens */
    uint32_t known;     /* prompt + generated tokens */
    uint32_t computed;  /* of them, those whose KV is in the pool */
    uint32_t target;    /* known when it is finished: input + output */
    uint32_t covered;   /* length up to which it needs no more units than it holds */
    uint16_t slo_class; /* of its gaps; n_classes while warming up */
    bool in_flight;
    bool plain; /* it fell back to the fleet's plain rule */
    double last_token_s;
};

/* ... and what is touched when it grows, or by strategies that do not keep everything. */
struct sim_holding {
    uint32_t filled; /* known when it was admitted: its fill ends there */
    uint32_t held[SIM_KV_N_PLACE], run[SIM_KV_N_PLACE];
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
    double link_s;                 /* links carry data for it, what it moves on a line not counted: ... */
    bool on_line;                  /* ... decodes that move something, priced by the line in use ... */
    uint64_t selecting;            /* ... at these reads */
    double pages, heads;           /* recalled and corrected in it; rounded, ... */
    uint32_t row_pages, row_heads; /* ... a row's part of them, while a plan is told */
};

/* Fast-forward over decode steps; see replica_run.c. */
struct sim_decode_run {
    bool active;
    uint32_t steps;         /* finished since the run began */
    uint32_t steps_limit;   /* the step with this number completes a request, or changes what one keeps */
    struct sim_reads reads; /* of the step in flight */
    uint32_t n_growing;     /* sequences of which each step reads a kept token more */
    uint32_t phase;         /* growth[.][phase]: units that the next step needs */
    uint32_t *growth[SIM_KV_N_PLACE]; /* period entries */
    uint32_t *per_class;              /* sequences of each class, and those not measured */
    uint32_t gap_bucket, n_gaps; /* steps whose gap fell into this bucket and is not in the histogram yet */
};

/* The line that prices decode steps now, and what was priced by it since it was fetched. */
struct sim_line_use {
    struct sim_decode_line line;
    uint32_t n_seqs, n_selecting;
    uint64_t steps, kept_sum, all_sum, selecting_sum;
    double wire_s;    /* the link carried data, where rates are drawn or the link is shared */
    double exposed_s; /* waited for transfers */
    double miss_sum, miss_selecting_sum,
        correct_sum; /* of draws, and draws x selecting, where rates are drawn */
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
    const struct sim_fleet *of;
    const struct sim_engine *engine;
    const struct sim_cost *cost;  /* now: of the fleet, or of its later[n_later - 1] */
    uint32_t n_later;             /* changes so far */
    double later_s;               /* the next one; infinity when there is none */
    struct sim_fleet_stats stats; /* its own; summed over the fleet in replica order when the run is over */
    uint32_t id, fleet;

    const struct sim_kv_rule *kv; /* of the fleet, or ... */
    struct sim_kv_rule full;      /* ... this when it names none */
    bool rich; /* not just equal pages that are all read: several kinds, a budget, a selection */
    struct sim_hostlink *link; /* shared with other replicas; NULL when it has its own */
    uint32_t link_user;
    uint64_t draw_stream;

    struct sim_kvpool pool, host;
    struct sim_seq *seqs;         /* max_num_seqs slots */
    struct sim_holding *holdings; /* of the same slots */
    uint32_t *free_slots;
    uint32_t n_free_slots;
    uint32_t *running; /* slots in admission order */
    uint32_t n_running;

    struct sim_queue inbox;   /* routed here, not yet at the scheduler */
    struct sim_queue waiting; /* at the scheduler */
    uint64_t waiting_blocks;  /* GPU units that the prompts of both would need */
    uint64_t waiting_tokens;  /* of both: prompts, and what was generated before a preemption */
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

/* Seconds that links carried data until now_s; what a step in flight moves is spread evenly over it. O(1). */
double sim_replica_link_s(const struct sim_replica *r, double now_s);

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

static inline struct sim_holding *sim_holding_of(const struct sim_replica *r, const struct sim_seq *s)
{
    return &r->holdings[s - r->seqs];
}

static inline struct sim_kv_length sim_seq_at(const struct sim_replica *r, const struct sim_seq *s,
                                              uint32_t tokens)
{
    return (struct sim_kv_length){tokens, sim_holding_of(r, s)->filled};
}

/* By which rule a running request is kept. */
static inline const struct sim_kv_rule *sim_seq_rule(const struct sim_replica *r, const struct sim_seq *s)
{
    return s->plain ? r->of->plain : r->kv;
}

static inline struct sim_kvpool *sim_replica_pool(struct sim_replica *r, int place)
{
    return place == SIM_KV_GPU ? &r->pool : &r->host;
}

/* What its running requests would read in a decode step each, now. */
struct sim_reads sim_replica_reads(const struct sim_replica *r);

/* --- between replica*.c and the schedulers --- */

/* Input tokens and those that a preempted request keeps. */
uint32_t sim_replica_known_tokens(const struct sim_replica *r, uint32_t request);

/* GPU units that a waiting request's known tokens will take. */
uint64_t sim_replica_waiting_units(const struct sim_replica *r, uint32_t request, uint32_t known);

/* The fill of a sequence ended: what the strategy does not keep is let go. */
void sim_replica_end_fill(struct sim_replica *r, struct sim_seq *s);

/* Adds what a decode row of `tokens`, its new one included, reads and selects under a rule that is not just equal pages; reads->all is
 * the caller's. */
void sim_replica_add_reads(const struct sim_replica *r, struct sim_reads *reads, const struct sim_seq *s,
                           uint32_t tokens);

/* Seconds of a step of decodes only on a single stage, the first of a run, too; and when any batch leaves the last
 * stage, extra_s being on top. Both say in the step what was recalled. */
double sim_replica_price_decodes(struct sim_replica *r, const struct sim_reads *reads, struct sim_step *step);
double sim_replica_price_stages(struct sim_replica *r, const struct sim_batch *b, struct sim_step *step,
                                double extra_s);
void sim_replica_book_line(struct sim_replica *r);

/* A batch forms at now_s >= later_s: by what it and those after it are priced. */
void sim_replica_change_cost(struct sim_replica *r, double now_s);

/* At any time of the run: steps draw their rates, steps may use the host link. */
bool sim_fleet_draws(const struct sim_fleet *f);
bool sim_fleet_moves(const struct sim_fleet *f);

/* Tells a row of a step, 0 tokens being a preemption; and all rows of a step. */
void sim_plan_tell(const struct sim_replica *r, const struct sim_seq *s, const struct sim_step *step,
                   uint32_t n_tokens);
void sim_plan_tell_step(struct sim_replica *r, struct sim_step *step);

/* It computes one token, a generated one: the last, or one of a re-prefill that comes in chunks of one. */
static inline bool sim_row_is_decode(const struct sim_seq *s, uint32_t n_tokens)
{
    return n_tokens == 1 && s->computed >= s->prompt;
}

/* A request that may be admitted: `known` tokens of which `computed` are swapped back in. */
struct sim_entry {
    uint32_t request, known, computed;
    uint32_t filled; /* as in struct sim_holding */
    const struct sim_kv_rule *kv;
};

/* The head of the queue, and the rule it would be kept by. */
struct sim_entry sim_replica_head(const struct sim_replica *r);

/* Moves a waiting request to the end of `running`; its slot. It holds nothing yet. */
uint32_t sim_replica_admit(struct sim_replica *r, const struct sim_entry *e, double now_s);

/* Both pools have what a request needs to grow to `tokens`, filled at `filled`, with `spare` units left over on the
 * GPU. */
bool sim_replica_fits(const struct sim_replica *r, const struct sim_kv_rule *kv, struct sim_kv_length at,
                      uint64_t spare);

/* Takes what a running request needs in both pools to grow to `tokens`; false, and nothing changed, when either has
 * too little. */
bool sim_replica_grow(struct sim_replica *r, struct sim_seq *s, uint32_t tokens);

/* Takes running[index] out: blocks free, back to the head of the queue. */
void sim_replica_preempt(struct sim_replica *r, uint32_t index, struct sim_step *step);

/* Books the time since the last booking, if a step was in flight: integrals over time of blocks and running
 * requests. Called before either changes, at the start and at the end of a step. */
static inline void sim_replica_book_time(struct sim_replica *r, double now_s)
{
    double past_s = r->n_in_flight ? now_s - r->booked_s : 0;
    r->stats.kv_block_s += (double)(int64_t)sim_replica_used_blocks(r) * past_s; /* signed converts faster */
    if (r->rich) r->stats.host_block_s += (double)(int64_t)(r->host.n_blocks - r->host.n_free) * past_s;
    r->stats.running_s += (double)r->n_running * past_s;
    r->stats.step_s += past_s;
    r->booked_s = now_s;
}

/* Gets the line that prices decodes around these reads, and books what the one before it priced. */
void sim_replica_fetch_line(struct sim_replica *r, const struct sim_reads *reads);

/* Completes running requests that have all their tokens, at the end of a step. */
void sim_replica_retire(struct sim_replica *r, double now_s);

/* Moves requests that reached the scheduler by now_s from the inbox to the queue; true when any did. */
bool sim_replica_deliver(struct sim_replica *r, double now_s);
double sim_replica_inbox_ready_s(const struct sim_replica *r);

/* Starts fast-forwarding when the step just formed, all decodes with these reads, allows it. */
void sim_run_begin(struct sim_replica *r, const struct sim_step *step, const struct sim_reads *reads);
/* Takes steps from the end of the one in flight on, while they end before the limit. */
void sim_run_advance(struct sim_replica *r);
/* Brings the histogram of gaps up to date. */
void sim_run_settle_gaps(struct sim_replica *r);

/* Gives a sequence what was lent to it while it grew to `computed` tokens in a run. */
void sim_replica_settle(struct sim_replica *r, struct sim_seq *s);

static inline void sim_line_book_draw(struct sim_line_use *u, const struct sim_reads *reads,
                                      struct sim_recall_draw draw)
{
    u->miss_sum += draw.miss;
    u->miss_selecting_sum += draw.miss * (double)(int64_t)reads->selecting;
    u->correct_sum += draw.correct;
}

static inline double sim_line_kv(const struct sim_decode_line *line, const struct sim_reads *reads)
{
    return line->kept_frac * (double)(int64_t)reads->kept + line->all_frac * (double)(int64_t)reads->all;
}

static inline bool sim_line_covers(const struct sim_line_use *u, const struct sim_reads *reads)
{
    double kv = sim_line_kv(&u->line, reads);
    return reads->n_seqs == u->n_seqs && reads->n_selecting == u->n_selecting && kv >= u->line.kv_begin &&
           kv < u->line.kv_end && reads->selecting >= u->line.selecting_begin &&
           (reads->selecting < u->line.selecting_end || !u->line.selecting_end);
}

static inline double sim_longer(double a, double b)
{
    return a < b ? b : a;
}

/* A step's time without and with what it waits for. */
struct sim_step_time {
    double computed_s, step_s;
};

/* `full` on a line of its own: nothing is selected or recalled. */
static inline double sim_line_plain_s(const struct sim_decode_line *line, uint64_t kv_tokens)
{
    double step_s = line->gpu_base_s + line->gpu_slope_s * (double)(int64_t)kv_tokens + line->add_s;
    return sim_longer(step_s, line->floor_s);
}

static inline double sim_line_gpu_s(const struct sim_decode_line *line, const struct sim_reads *reads)
{
    return line->gpu_base_s + line->gpu_slope_s * sim_line_kv(line, reads) +
           line->select_slope_s * (double)(int64_t)reads->selecting;
}

/* At the mean rates, alone on the link. */
static inline struct sim_step_time sim_line_time(const struct sim_decode_line *line,
                                                 const struct sim_reads *reads)
{
    double gpu_s = sim_line_gpu_s(line, reads), selecting = (double)(int64_t)reads->selecting;
    double beside_s = sim_longer(gpu_s, line->launch_s);
    double path_s = beside_s + line->sum.wait_s + line->sum_token.wait_s * selecting;
    double move_s = line->sum.move_s + line->sum_token.move_s * selecting +
                    beside_s * sim_longer(line->sum.move_frac, line->sum_token.move_frac);
    return (struct sim_step_time){sim_longer(gpu_s + line->add_s, line->floor_s),
                                  sim_longer(sim_longer(path_s, move_s) + line->add_s, line->floor_s)};
}

/* What a stage takes by its price, at the mean rates, alone on the link. */
static inline double sim_price_alone_s(const struct sim_price *p)
{
    struct sim_recall m = p->recall;
    if (m.when == SIM_RECALL_NONE && !(m.down_s + p->prefill_down_s > 0)) return p->step_s;
    m.down_s += p->prefill_down_s;
    struct sim_recall_sum sum = sim_recall_sum(&m, (struct sim_recall_draw){1, 1});
    double beside_s = sim_longer(p->gpu_s, p->launch_s);
    return sim_longer(sim_recall_sum_s(sum, beside_s) + p->cpu_add_s, p->floor_s);
}

/* The draw of a step of this replica; 1 and 1 where none are drawn. */
struct sim_recall_draw sim_replica_draw(const struct sim_replica *r, uint64_t iteration);

/* A step with a draw, or with others on the link. */
struct sim_step_time sim_replica_drawn_time(struct sim_replica *r, const struct sim_reads *reads,
                                            struct sim_recall_draw draw, double start_s);

#endif
