/* The processes of one `mpirun`: this one's rank, and the messages of a sweep between them. Rank 0 holds the counter of
 * points and the database; every rank computes. Built with Open MPI (ranks_mpi.c) or without (ranks_alone.c): then there is
 * one rank, and to be started by mpirun is an error that says so. All calls come from the one thread that called
 * exp_ranks_begin; while they wait they sleep, so that the processor is left to the threads that compute. */
#ifndef KVSIM_EXPERIMENTS_STUDY_RANKS_H
#define KVSIM_EXPERIMENTS_STUDY_RANKS_H

#include "sim/status.h"

#include <stddef.h>
#include <stdint.h>

struct exp_mail; /* messages that are on their way */
struct exp_ranks {
    uint32_t rank, n;
    struct exp_mail *mail;
};

/* What the environment says of mpirun or srun, before MPI starts: how many processes they started together, and whether
 * this is the one that prints. */
uint32_t exp_ranks_started(void);
bool exp_ranks_is_first(void);

/* Starts MPI when this process is one of several, else it is rank 0 of 1. False when this program was built without MPI
 * and is one of several. */
bool exp_ranks_begin(struct exp_ranks *out, struct sim_status *st);
/* Waits for messages that are on their way and for the other ranks; what nobody took is dropped. */
void exp_ranks_end(struct exp_ranks *r);

/* ---- all ranks call these together ---- */

/* From rank 0 to all: n bytes that the others need (which points are open). */
void exp_ranks_share(const struct exp_ranks *r, void *bytes, size_t n);
/* From all to rank 0: n bytes of each, `all` has room for those of every rank; unused elsewhere. */
void exp_ranks_gather(const struct exp_ranks *r, const void *mine, size_t n, void *all);
/* True when st holds no failure on any rank; else every rank has the failure of the lowest. */
bool exp_ranks_agree(const struct exp_ranks *r, struct sim_status *st);

/* ---- messages ---- */

enum exp_message { EXP_ASK, EXP_CHUNK, EXP_RESULT, EXP_FAREWELL };
void exp_ranks_send(const struct exp_ranks *r, uint32_t to, enum exp_message kind, const void *bytes,
                    size_t n);
/* Are messages of this rank still on their way? MPI carries them on in its calls only. */
bool exp_ranks_sending(const struct exp_ranks *r);
/* A message that is there: its sender, kind, and bytes that free() frees; false when there is none. */
struct exp_mailed {
    uint32_t from;
    enum exp_message kind;
    void *bytes;
    size_t n;
};
bool exp_ranks_poll(const struct exp_ranks *r, struct exp_mailed *out);

#endif
