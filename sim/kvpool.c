#include "sim/kvpool.h"

#include "sim/check.h"

enum { NO_RUN = UINT32_MAX };

void sim_kvpool_init(struct sim_kvpool *p, struct sim_arena *arena, uint64_t n_blocks, uint32_t max_runs)
{
    *p = (struct sim_kvpool){
        .n_blocks = n_blocks, .n_free = n_blocks, .least_free = n_blocks, .n_runs = max_runs};
    p->runs = sim_arena_alloc(arena, max_runs, sizeof *p->runs);
    for (uint32_t i = 0; i < max_runs; i++) p->runs[i].n_blocks = i + 1 < max_runs ? i + 1 : NO_RUN;
}

uint32_t sim_kv_open(struct sim_kvpool *p)
{
    uint32_t run = p->first_free_run;
    SIM_CHECK(run != NO_RUN);
    p->first_free_run = p->runs[run].n_blocks;
    p->runs[run] = (struct sim_kv_run){.references = 1};
    return run;
}

bool sim_kv_grow(struct sim_kvpool *p, uint32_t run, uint64_t n_blocks)
{
    SIM_DCHECK(p->runs[run].references == 1);
    if (n_blocks > p->n_free) return false;
    p->n_free -= n_blocks;
    p->runs[run].n_blocks += (uint32_t)n_blocks;
    if (p->n_free < p->least_free) p->least_free = p->n_free;
    return true;
}

void sim_kv_shrink(struct sim_kvpool *p, uint32_t run, uint64_t n_blocks)
{
    SIM_CHECK(p->runs[run].references == 1 && p->runs[run].n_blocks >= n_blocks);
    p->runs[run].n_blocks -= (uint32_t)n_blocks;
    p->n_free += n_blocks;
}

void sim_kv_share(struct sim_kvpool *p, uint32_t run)
{
    SIM_CHECK(p->runs[run].references > 0);
    p->runs[run].references++;
}

void sim_kv_release(struct sim_kvpool *p, uint32_t run)
{
    struct sim_kv_run *r = &p->runs[run];
    SIM_CHECK(r->references > 0);
    if (--r->references > 0) return;
    p->n_free += r->n_blocks;
    r->n_blocks = p->first_free_run;
    p->first_free_run = run;
}

void sim_kv_settle(struct sim_kvpool *p, uint32_t run, uint64_t n_blocks)
{
    SIM_CHECK(n_blocks <= p->n_lent);
    p->n_lent -= n_blocks;
    p->runs[run].n_blocks += (uint32_t)n_blocks;
}

bool sim_kvpool_balanced(const struct sim_kvpool *p)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < p->n_runs; i++)
        if (p->runs[i].references) held += p->runs[i].n_blocks;
    return held + p->n_lent + p->n_free == p->n_blocks;
}
