/* The queues that requests stand in: first come first served, or by priority (then arrival, then request
 * number). Links live in arrays of the cluster with one entry per request, since a request stands in one
 * queue at a time: so a queue of any length allocates nothing. FCFS is a list, O(1); priority is a pairing
 * heap, O(log n). */
#ifndef KVSIM_SIM_QUEUE_H
#define KVSIM_SIM_QUEUE_H

#include "sim/request.h"

#include <stdbool.h>

enum { SIM_NONE = UINT32_MAX };

/* Per-request links, shared by all queues of a cluster. */
struct sim_links {
    const struct sim_request *requests;
    uint32_t *next;  /* list: the one behind; heap: the next sibling */
    uint32_t *child; /* heap only, else NULL: the first child */
};

struct sim_queue {
    struct sim_links *links;
    uint32_t head, tail; /* heap: head is the root */
    uint32_t n;
    bool by_priority;
};

void sim_queue_init(struct sim_queue *q, struct sim_links *links, bool by_priority);
void sim_queue_push(struct sim_queue *q, uint32_t request);
/* In front of all others; a priority queue keeps its own order. */
void sim_queue_push_front(struct sim_queue *q, uint32_t request);
uint32_t sim_queue_pop(struct sim_queue *q); /* n > 0 */

/* Whether a is served after b under policy priority. */
bool sim_serves_after(const struct sim_request *requests, uint32_t a, uint32_t b);

#endif
