/* A study carried out: which of its points are stored already, the others computed by threads of this process, or of all
 * ranks of an mpirun, or those of one shard of a job array; each stored the moment it is done. Rows are the same for any
 * number of threads, ranks and shards, wall clocks aside. A thread holds at most one point that is not stored, so that a
 * kill costs at most one point a thread. */
#ifndef KVSIM_EXPERIMENTS_STUDY_SWEEP_H
#define KVSIM_EXPERIMENTS_STUDY_SWEEP_H

#include "experiments/study/ranks.h"
#include "experiments/study/store/store.h"

enum { EXP_EXIT_INTERRUPTED = 130, EXP_SWEEP_MAX_POINTS = 1 << 24 /* of one shard */ };

struct exp_sweep_options {
    const char *db;
    const struct exp_ranks
        *ranks;               /* NULL = this process alone; all ranks call exp_sweep with the same study */
    uint32_t n_threads;       /* of each rank */
    uint32_t shard, n_shards; /* 1/1 = everything; point i belongs to shard i mod n + 1 */
    bool is_shard;            /* the database is this process's own: a network file system is fine */
    bool keep_failed;         /* failed points are not computed again */
    bool verbose;             /* a line on stderr as each point begins and when it is stored */
};

/* Of this shard, on rank 0. */
struct exp_sweep_sum {
    uint64_t points, computed, reused;
    uint64_t equal;        /* to a point before them, which counts for all: computed once */
    uint64_t failed;       /* of computed */
    uint64_t stale;        /* of computed: stored for another version of model, trace, profile ... */
    double wall_s, busy_s; /* busy_s: of computing, over all threads */
    /* Threads are still at points that nobody waits for: the program ends, and the study is not freed before. */
    bool abandoned;
};

/* What would be done, nothing stored: counts and, with `trials`, what it takes, by computing a few points. */
struct exp_sweep_forecast {
    uint64_t points, stored, equal, open, stale;
    uint64_t failed; /* of the open ones: tried before */
    double
        s_per_point; /* of one thread, median of points from all over the study; NaN = not tried, none is open */
    uint64_t bytes; /* that the database grows by */
};
bool exp_sweep_forecast(const struct exp_study *study, const struct exp_sweep_options *o, bool trials,
                        struct exp_sweep_forecast *out, struct sim_status *st);

/* False with one line in st (the same on every rank) when nothing can be computed or stored; points that fail do not fail
 * the sweep. SIGINT and SIGTERM stop it: what is done is stored, the exit code in st is EXP_EXIT_INTERRUPTED. */
bool exp_sweep(const struct exp_study *study, const struct exp_sweep_options *o, struct exp_sweep_sum *out,
               struct sim_status *st);

#endif
