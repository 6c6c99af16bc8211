/* Built without MPI: one rank, and nobody to send to. */
#include "experiments/study/ranks.h"

#include <string.h>

#include "sim/check.h"

bool exp_ranks_begin(struct exp_ranks *out, struct sim_status *st)
{
    *out = (struct exp_ranks){.rank = 0, .n = 1};
    return exp_ranks_started() == 1 ||
           sim_fail(st,
                    "kvsim sweep: one of %u processes that were started together, but this kvsim was built "
                    "without MPI; install libopenmpi-dev and make again, or use --shard",
                    exp_ranks_started());
}

void exp_ranks_end(struct exp_ranks *r)
{
    (void)r;
}

void exp_ranks_share(const struct exp_ranks *r, void *bytes, size_t n)
{
    (void)r, (void)bytes, (void)n;
}

void exp_ranks_gather(const struct exp_ranks *r, const void *mine, size_t n, void *all)
{
    (void)r;
    memcpy(all, mine, n);
}

bool exp_ranks_agree(const struct exp_ranks *r, struct sim_status *st)
{
    (void)r;
    return st->code == SIM_EXIT_OK;
}

void exp_ranks_send(const struct exp_ranks *r, uint32_t to, enum exp_message kind, const void *bytes,
                    size_t n)
{
    (void)r, (void)to, (void)kind, (void)bytes, (void)n;
    SIM_CHECK(!"one rank sends nothing");
}

bool exp_ranks_sending(const struct exp_ranks *r)
{
    (void)r;
    return false;
}

bool exp_ranks_poll(const struct exp_ranks *r, struct exp_mailed *out)
{
    (void)r, (void)out;
    return false;
}
