/* The paged KV pool of one replica. What matters to the engine is how many blocks are free and who holds how
 * many; so blocks are held in runs: a run is a number of blocks with one reference count (a sequence's own
 * blocks, or a prefix that several share), and its blocks return when the last reference goes. Which block
 * lies where has no cost here and is not kept. All operations are O(1); nothing allocates after init. */
#ifndef KVSIM_SIM_KVPOOL_H
#define KVSIM_SIM_KVPOOL_H

#include "sim/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct sim_kv_run {
    uint32_t references; /* 0: this entry is free */
    uint32_t n_blocks;   /* free entries: the next free one */
};

struct sim_kvpool {
    uint64_t n_blocks, n_free; /* capacity, and blocks held by nobody */
    uint64_t n_lent;           /* taken by sim_kv_lend and not settled yet */
    uint64_t least_free;       /* smallest n_free so far */
    struct sim_kv_run *runs;
    uint32_t n_runs, first_free_run;
};

void sim_kvpool_init(struct sim_kvpool *p, struct sim_arena *arena, uint64_t n_blocks, uint32_t max_runs);

/* An empty run with one reference. */
uint32_t sim_kv_open(struct sim_kvpool *p);

/* Adds blocks to a run held by one owner; false, and nothing changed, when too few are free. */
bool sim_kv_grow(struct sim_kvpool *p, uint32_t run, uint64_t n_blocks);

/* Gives back some of a run's blocks; it must hold them, with one owner. */
void sim_kv_shrink(struct sim_kvpool *p, uint32_t run, uint64_t n_blocks);

/* One more owner; each calls sim_kv_release. */
void sim_kv_share(struct sim_kvpool *p, uint32_t run);

/* Drops a reference; the last one returns the blocks. */
void sim_kv_release(struct sim_kvpool *p, uint32_t run);

/* Bulk growth of a whole batch: takes blocks from the free ones first (lend) and says later who got them
 * (settle). */
static inline bool sim_kv_lend(struct sim_kvpool *p, uint64_t n_blocks)
{
    if (n_blocks > p->n_free) return false;
    p->n_free -= n_blocks;
    p->n_lent += n_blocks;
    if (p->n_free < p->least_free) p->least_free = p->n_free;
    return true;
}
void sim_kv_settle(struct sim_kvpool *p, uint32_t run, uint64_t n_blocks);

/* Blocks in runs + lent + free == capacity, counted one by one. */
bool sim_kvpool_balanced(const struct sim_kvpool *p);

#endif
