#include "sim/eventq.h"

#include "sim/check.h"

enum { ARITY = 4, ABSENT = UINT32_MAX };

void sim_eventq_init(struct sim_eventq *q, struct sim_arena *arena, uint32_t capacity)
{
    *q = (struct sim_eventq){.heap = sim_arena_alloc(arena, capacity, sizeof *q->heap), .capacity = capacity};
}

void sim_eventq_init_owned(struct sim_eventq *q, struct sim_arena *arena, uint32_t n_owners)
{
    sim_eventq_init(q, arena, n_owners);
    q->where = sim_arena_alloc(arena, n_owners, sizeof *q->where);
    for (uint32_t i = 0; i < n_owners; i++) q->where[i] = ABSENT;
}

static void put(struct sim_eventq *q, uint32_t at, sim_key key)
{
    q->heap[at] = key;
    if (q->where) q->where[sim_key_owner(key)] = at;
}

static void sift_up(struct sim_eventq *q, uint32_t at, sim_key key)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / ARITY;
        if (q->heap[parent] <= key) break;
        put(q, at, q->heap[parent]);
        at = parent;
    }
    put(q, at, key);
}

/* The least of up to four children. Four at once without a branch, since which it is cannot be predicted. */
static uint32_t least_child(const struct sim_eventq *q, uint32_t first)
{
    const sim_key *h = q->heap + first;
    uint32_t least = 0;
    if (first + ARITY <= q->n) {
        uint32_t a = h[1] < h[0], b = 2 + (h[3] < h[2]);
        least = a + (b - a) * (h[b] < h[a]);
    } else {
        for (uint32_t c = 1; first + c < q->n; c++)
            if (h[c] < h[least]) least = c;
    }
    return first + least;
}

void sim_eventq_push(struct sim_eventq *q, sim_key key)
{
    SIM_CHECK(q->n < q->capacity);
    sift_up(q, q->n++, key);
}

/* Takes out heap[at]: the gap sinks to a leaf, where the last key, which mostly belongs there, fills it and
 * rises. */
static void take_out(struct sim_eventq *q, uint32_t at)
{
    sim_key last = q->heap[--q->n];
    if (at == q->n) return;
    for (uint32_t child; (child = at * ARITY + 1) < q->n;) {
        uint32_t least = least_child(q, child);
        put(q, at, q->heap[least]);
        at = least;
    }
    sift_up(q, at, last);
}

sim_key sim_eventq_pop(struct sim_eventq *q)
{
    SIM_CHECK(q->n > 0);
    sim_key top = q->heap[0];
    if (q->where) q->where[sim_key_owner(top)] = ABSENT;
    take_out(q, 0);
    return top;
}

void sim_eventq_set(struct sim_eventq *q, uint32_t owner, sim_key key)
{
    SIM_CHECK(q->where);
    if (q->where[owner] != ABSENT) {
        uint32_t at = q->where[owner];
        q->where[owner] = ABSENT;
        take_out(q, at);
    }
    if (key != SIM_KEY_NEVER) sim_eventq_push(q, key);
}
