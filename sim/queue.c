#include "sim/queue.h"

#include "sim/check.h"

void sim_queue_init(struct sim_queue *q, struct sim_links *links, bool by_priority)
{
    *q = (struct sim_queue){.links = links, .head = SIM_NONE, .tail = SIM_NONE, .by_priority = by_priority};
}

bool sim_serves_after(const struct sim_request *requests, uint32_t a, uint32_t b)
{
    const struct sim_request *x = &requests[a], *y = &requests[b];
    if (x->priority != y->priority) return x->priority > y->priority;
    return a > b; /* requests are numbered in order of arrival */
}

/* Joins two heaps: the root that is served later becomes the first child of the other. */
static uint32_t join(struct sim_links *links, uint32_t a, uint32_t b)
{
    if (a == SIM_NONE) return b;
    if (b == SIM_NONE) return a;
    uint32_t first = sim_serves_after(links->requests, a, b) ? b : a, later = first == a ? b : a;
    links->next[later] = links->child[first];
    links->child[first] = later;
    return first;
}

/* What is left when a root goes: its children joined in pairs from left to right, then from right to left. */
static uint32_t join_children(struct sim_links *links, uint32_t child)
{
    uint32_t pairs = SIM_NONE, heap = SIM_NONE;
    while (child != SIM_NONE) {
        uint32_t a = child, b = links->next[a];
        child = b == SIM_NONE ? SIM_NONE : links->next[b];
        uint32_t joined = join(links, a, b);
        links->next[joined] = pairs;
        pairs = joined;
    }
    while (pairs != SIM_NONE) {
        uint32_t rest = links->next[pairs];
        heap = join(links, heap, pairs);
        pairs = rest;
    }
    return heap;
}

static void heap_push(struct sim_queue *q, uint32_t request)
{
    q->links->child[request] = SIM_NONE;
    q->links->next[request] = SIM_NONE;
    q->head = join(q->links, q->head, request);
}

void sim_queue_push(struct sim_queue *q, uint32_t request)
{
    q->n++;
    if (q->by_priority) {
        heap_push(q, request);
        return;
    }
    q->links->next[request] = SIM_NONE;
    if (q->tail == SIM_NONE)
        q->head = request;
    else
        q->links->next[q->tail] = request;
    q->tail = request;
}

void sim_queue_push_front(struct sim_queue *q, uint32_t request)
{
    q->n++;
    if (q->by_priority) {
        heap_push(q, request);
        return;
    }
    q->links->next[request] = q->head;
    q->head = request;
    if (q->tail == SIM_NONE) q->tail = request;
}

uint32_t sim_queue_pop(struct sim_queue *q)
{
    SIM_CHECK(q->n > 0);
    uint32_t request = q->head;
    q->n--;
    if (q->by_priority) {
        q->head = join_children(q->links, q->links->child[request]);
        return request;
    }
    q->head = q->links->next[request];
    if (q->head == SIM_NONE) q->tail = SIM_NONE;
    return request;
}
