/* Between the files of a response: points are asked of a probe (simulations, or in tests a closed form), the load that a
 * point is worth is read off a curve, and drivers know how far they are moved and what they are called.
 * Strain is the share of requests outside their limits over the share that may be, of the class where that is largest:
 * above 1 the service level is broken. Pressure is the latency of the slowest hundredth over its limit, where that is
 * largest: it goes on rising where strain is 0, or all. Loads lie on a grid, 1.04^k of what the fleet is sized for, so
 * that finalists share the requests that are made for them. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_MONEY_RESPONSE_PARTS_H
#define KVSIM_EXPERIMENTS_PLANNING_MONEY_RESPONSE_PARTS_H

#include "experiments/planning/money/finalist.h"

enum { EXP_RESPONSE_POINTS = 32, EXP_NOMINAL_POINTS = EXP_SEEN_LOADS };

/* ---- probe ---- */

struct exp_probe_at {
    uint32_t n_replicas;        /* new ones, that serve */
    double load;                /* over the planned peak */
    double move[EXP_N_DRIVERS]; /* logs of factors, above 0 is slower; 0 = as it is */
};

struct exp_probe_point {
    double strain, pressure, miss, busy;
    struct exp_seen_load seen; /* load aside */
};

struct exp_probe {
    void *user;
    /* On any thread. False with one line in st. */
    bool (*run)(void *user, const struct exp_probe_at *at, struct exp_probe_point *out,
                struct sim_status *st);
};

struct exp_probe_job {
    struct exp_probe probe;
    double step[EXP_N_DRIVERS];   /* logs; 0 = takes no part in this fleet's time */
    bool any_step[EXP_N_DRIVERS]; /* may be moved by another step, too */
    uint32_t n_replicas;          /* needed */
    uint32_t n_deployed;          /* in whole servers */
    uint32_t n_lost;              /* of those needed, that the service level does not count on */
    double n_kept;                /* what is kept, in such replicas */
    bool may_be_none;             /* it serves alone, too */
    double headroom;              /* sized for (1 + headroom) x the peak */
    double growth;                /* of the load over the horizon: 4 = four times */
    uint32_t n_threads;
};

/* Fills all of `out` but what is said of drivers beforehand, log_sd and stream. */
bool exp_response_probe(const struct exp_probe_job *j, struct exp_response *out, struct sim_status *st);

/* ---- the curve of pressure over load ---- */

struct exp_pressure_curve {
    uint32_t n;
    double log_x[EXP_NOMINAL_POINTS], level[EXP_NOMINAL_POINTS]; /* rise, the latter not always */
};
void exp_pressure_add(struct exp_pressure_curve *c, double log_x, double pressure); /* in rising log_x */
/* Levels are pooled where they fall. Once, when all points are there. */
void exp_pressure_finish(struct exp_pressure_curve *c);
/* Log of the load at which the fleet as it is is under so much pressure. Held at the low end; beyond the high end along
 * what the last points say, as far as twice that load. */
double exp_pressure_load(const struct exp_pressure_curve *c, double pressure);

/* ---- what is known while points are taken ---- */

#define EXP_BROKEN 1.0 /* strain */

/* The fleet as it is at one load. */
struct exp_sounding {
    int k; /* on the grid */
    struct exp_probe_point p;
};

struct exp_probe_task {
    int k; /* its load */
    struct exp_probe_at at;
    struct exp_probe_point p;
    struct sim_status st;
};

struct exp_soundings {
    const struct exp_probe_job *job;
    struct exp_response *out;
    struct exp_sounding at[EXP_NOMINAL_POINTS]; /* by rising load */
    uint32_t n, n_points;                       /* the latter of all kinds */
    bool breaks;                                /* at some load that was tried, and not at all of them */
    int broken;       /* the lowest at which it is, else the highest tried; 0 when all are */
    int driven;       /* where drivers are moved: the highest below */
    double log_break; /* between it and the one below */
    struct exp_pressure_curve curve;
};

/* The grid: log of a point over what the fleet is sized for, that load over the planned peak, the nearest to a log. */
double exp_grid_log(int k);
double exp_grid_load(const struct exp_soundings *w, int k);
int exp_grid_nearest(double log_x);

/* Of the fleet as it is, there. */
struct exp_probe_task exp_sounding_task(const struct exp_soundings *w, int k);
/* Log of the load between two at which it breaks, over what the fleet is sized for. */
double exp_break_between(const struct exp_sounding *holds, const struct exp_sounding *breaks);
bool exp_soundings_run(struct exp_soundings *w, struct exp_probe_task *task, uint32_t n,
                       struct sim_status *st);

/* Load at which the fleet breaks as it is deployed; at most EXP_HEADROOM_TRIES points. */
enum { EXP_HEADROOM_TRIES = 3, EXP_GROWTH_LOADS = 5 };
bool exp_soundings_headroom(struct exp_soundings *w, struct sim_status *st);
/* Replicas in the years ahead, with what is left of the points. */
bool exp_soundings_grow(struct exp_soundings *w, struct sim_status *st);

/* ---- drivers ---- */

/* How far the drivers of a candidate with n new replicas are moved, how well they are known and what they are called. */
void exp_drivers_describe(const struct exp_plan *plan, const struct exp_setup *u, uint32_t n_replicas,
                          struct exp_probe_job *job, struct exp_response *out);
/* Operators, engine, strategy and server so far moved; lengths are the trial's. */
void exp_drivers_factors(const struct exp_setup *u, const struct exp_response *r,
                         const double move[EXP_N_DRIVERS], struct exp_factors *out);

#endif
