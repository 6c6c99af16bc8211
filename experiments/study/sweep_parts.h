/* What the files of a sweep share, and nobody else: sweep_point.c's inputs, sweep_open.c's list of open points, sweep_crew.c's
 * threads, sweep_ranks.c's messages, sweep_progress.c's line. */
#ifndef KVSIM_EXPERIMENTS_STUDY_SWEEP_PARTS_H
#define KVSIM_EXPERIMENTS_STUDY_SWEEP_PARTS_H

#include "experiments/study/sweep.h"

#include <pthread.h>
#include <signal.h>

/* ---- sweep_point.c: one point, from what all points share ---- */

struct exp_sweep_parts {
    const struct exp_study *study;
    const struct exp_sweep_options *o;
    struct exp_cache *cache;
    struct mdl_prices *prices;
    struct exp_hasher *hasher;
    struct exp_store *store; /* on rank 0; NULL elsewhere, and for a forecast without a database */
    bool writes;             /* the store may be written */
};
bool exp_sweep_parts_open(struct exp_sweep_parts *p, struct sim_status *st);
/* The store is its opener's. */
void exp_sweep_parts_close(struct exp_sweep_parts *p);

/* The points of this shard, by their place in it: place k is point k * n_shards + shard - 1. */
uint64_t exp_sweep_n_places(const struct exp_sweep_parts *p);
uint64_t exp_sweep_point_at(const struct exp_sweep_parts *p, uint64_t place);
/* Are they not too many for one run? */
bool exp_sweep_has_room(const struct exp_sweep_parts *p, struct sim_status *st);

/* Scenario and keys of point i into r (and state, why when it cannot be made), `room` overwritten. */
bool exp_sweep_name(const struct exp_sweep_parts *p, uint64_t i, struct exp_scenario *room,
                    struct exp_point_result *r);
char *exp_sweep_settings(const struct exp_sweep_parts *p, uint64_t i); /* JSON; free with free() */
/* All of point i. Free with exp_point_result_fini. */
void exp_sweep_compute(const struct exp_sweep_parts *p, uint64_t i, struct exp_scenario *room,
                       struct exp_point_result *r);

/* ---- sweep_message.c: a result as bytes, between programs of one version ---- */

void *exp_result_pack(const struct exp_point_result *r, size_t *n); /* free with free() */
void exp_result_unpack(const void *bytes, size_t n, struct exp_point_result *out);

/* ---- sweep_open.c: which points are to be computed ---- */

struct exp_sweep_open {
    uint64_t *point;                                  /* [n] numbers of points, ascending; free with free() */
    uint64_t n, points, reused, equal, stale, failed; /* equal: to a point before them */
};
/* All ranks together, the same answer for each. *stopped: a signal of `stop` (NULL = none) came first. */
bool exp_sweep_find_open(const struct exp_sweep_parts *p, const sigset_t *stop, struct exp_sweep_open *out,
                         bool *stopped, struct sim_status *st);

/* ---- sweep_crew.c: threads that compute ---- */

/* Points from..to of the open ones, still to be handed out. */
struct exp_span {
    uint64_t from, to;
};
enum { EXP_MAX_SPANS = 8 };

struct exp_posted { /* a result on its way to rank 0 */
    struct exp_posted *next;
    void *bytes;
    size_t n;
};

struct exp_crew {
    struct exp_sweep_parts *parts;
    const uint64_t *point; /* the open ones */
    pthread_mutex_t lock;  /* of all below */
    pthread_cond_t wake;   /* the main thread: a result, hunger, an end, a failure */
    pthread_cond_t more;   /* threads: points, or the news that there are none */
    struct exp_span span[EXP_MAX_SPANS];
    uint32_t n_spans;
    bool last;      /* no more spans will come */
    bool stop;      /* points that have not begun are left */
    bool abandoned; /* nobody wants results any more */
    bool woken;
    uint32_t n_threads, n_running, n_hungry, n_giving; /* started; not ended; without points; at the store */
    uint64_t computed, failed;
    double busy_s;
    struct exp_posted *posted, **posted_end;
    struct sim_status st; /* the failure that stopped it */
    pthread_t *thread;
};
/* Threads that wait for points. */
bool exp_crew_start(struct exp_crew *c, struct exp_sweep_parts *p, const uint64_t *point,
                    struct sim_status *st);
/* Adds points; `last`: there will be no more. */
void exp_crew_feed(struct exp_crew *c, struct exp_span span, bool last);
/* Takes up to n points from those that wait. */
struct exp_span exp_crew_cut(struct exp_crew *c, uint64_t n);
/* Points that wait; the lock is held. */
uint64_t exp_crew_waiting(const struct exp_crew *c);
/* A result of this rank or another: counted and stored, or posted to rank 0. */
void exp_crew_give(struct exp_crew *c, const struct exp_point_result *r);
void exp_crew_stop(struct exp_crew *c);
/* Sleeps until the crew has something to tell, at most so long. */
void exp_crew_wait(struct exp_crew *c, double seconds);
/* False when threads are still at their points: they are left behind, and with them all that they read. */
bool exp_crew_end(struct exp_crew *c);

/* ---- sweep_ranks.c: what the main threads do meanwhile ---- */

/* Until every point is stored or the sweep stops. False when a signal of `stop` came. */
bool exp_sweep_lead(struct exp_crew *c, const sigset_t *stop, const struct exp_sweep_open *open); /* rank 0 */
bool exp_sweep_follow(struct exp_crew *c, const sigset_t *stop, const struct exp_sweep_open *open);

/* ---- sweep_progress.c ---- */

struct exp_sweep_progress {
    double begin_s, shown_s;
    const char *what;
    bool terminal, quiet;
    int width; /* of the line that stands on the terminal */
};
/* what: is counted, in the plural. */
struct exp_sweep_progress exp_sweep_progress_begin(const char *what, bool quiet);
void exp_sweep_progress_show(struct exp_sweep_progress *p, uint64_t done, uint64_t of, uint64_t failed);
void exp_sweep_progress_end(struct exp_sweep_progress *p);

#endif
