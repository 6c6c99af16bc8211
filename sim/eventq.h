/* The event queue: a 4-ary heap of 16-byte keys. A key says when, what kind, and who, so that simultaneous
 * events come out by what they are and never by when they were pushed. A push and a pop cost 25 ns with 10
 * pending and 60 with 1,000 (tests/bench_eventq.c); it never grows past the capacity given. */
#ifndef KVSIM_SIM_EVENTQ_H
#define KVSIM_SIM_EVENTQ_H

#include "sim/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* In the order in which they happen at one instant. */
enum sim_event_kind {
    SIM_EV_TRANSFER_END,
    SIM_EV_STEP_END,
    SIM_EV_ARRIVAL,
    SIM_EV_STEP_START,
    SIM_EV_SAMPLE
};

__extension__ typedef unsigned __int128 sim_key; /* time bits : 64, kind : 8, owner : 24, request : 32 */

static inline sim_key sim_key_of(double time_s, enum sim_event_kind kind, uint32_t owner, uint32_t request)
{
    uint64_t bits;
    memcpy(&bits, &time_s, sizeof bits); /* the bits of doubles >= 0 order as integers */
    return (sim_key)bits << 64 | (uint64_t)kind << 56 | (uint64_t)owner << 32 | request;
}

static inline double sim_key_time_s(sim_key key)
{
    uint64_t bits = (uint64_t)(key >> 64);
    double time_s;
    memcpy(&time_s, &bits, sizeof time_s);
    return time_s;
}

static inline enum sim_event_kind sim_key_kind(sim_key key)
{
    return (enum sim_event_kind)((uint64_t)key >> 56);
}

static inline uint32_t sim_key_owner(sim_key key)
{
    return (uint32_t)((uint64_t)key >> 32) & 0xffffff;
}

static inline uint32_t sim_key_request(sim_key key)
{
    return (uint32_t)(uint64_t)key;
}

#define SIM_KEY_NEVER (~(sim_key)0) /* after every event */

struct sim_eventq {
    sim_key *heap;
    uint32_t *where; /* place of each owner's key; NULL unless every owner has at most one */
    uint32_t n, capacity;
};

void sim_eventq_init(struct sim_eventq *q, struct sim_arena *arena, uint32_t capacity);
/* A queue that holds at most one key per owner 0 .. n_owners - 1, for sim_eventq_set. */
void sim_eventq_init_owned(struct sim_eventq *q, struct sim_arena *arena, uint32_t n_owners);
void sim_eventq_push(struct sim_eventq *q, sim_key key);
sim_key sim_eventq_pop(struct sim_eventq *q); /* n > 0 */
/* Puts the owner's key in place of the one it had; SIM_KEY_NEVER takes it out. */
void sim_eventq_set(struct sim_eventq *q, uint32_t owner, sim_key key);

/* The earliest key; SIM_KEY_NEVER when the queue is empty. */
static inline sim_key sim_eventq_peek(const struct sim_eventq *q)
{
    return q->n ? q->heap[0] : SIM_KEY_NEVER;
}

#endif
