/* A finalist in full: its response to more load, slower operators, longer outputs and lower hit rates, from at most 32
 * simulated points; replicas at up to six loads of the years ahead; what happens when it is rolled back, loses a server, or
 * is stressed. Physical and few: an error of x % in an operator is worth e x % more load, e being the elasticity that the
 * points show (equivalent load). Points lie where the service level breaks, on the busiest stretch, with common random
 * numbers. The Monte Carlo reads this and simulates nothing. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_MONEY_FINALIST_H
#define KVSIM_EXPERIMENTS_PLANNING_MONEY_FINALIST_H

#include "experiments/compare.h"
#include "experiments/planning/search/search.h"

/* What is not known exactly. Families as in models/profile.h come first. */
enum exp_driver {
    EXP_DRIVE_FAMILY,                                     /* .. + MDL_N_FAMILY - 1 */
    EXP_DRIVE_RESIDUAL = EXP_DRIVE_FAMILY + MDL_N_FAMILY, /* what the engine's fit leaves over */
    EXP_DRIVE_KV,     /* rates and efficiencies that the strategy assumes */
    EXP_DRIVE_HOST,   /* link and submission */
    EXP_DRIVE_LENGTH, /* mean output length */
    EXP_N_DRIVERS
};
const char *exp_driver_name(int driver); /* "decode attention kernels", for people */

/* The replicas that are needed (not those that fill servers, nor spares) under one load, as they are, on the busiest stretch. */
enum { EXP_SEEN_LOADS = 16 };
struct exp_seen_load {
    double load; /* over the planned peak */
    uint32_t n_classes;
    double attainment[SIM_MAX_CLASSES];
    double gpu_busy, kv_peak, kv_mean, link_busy; /* shares */
    double mean_running;                          /* sequences, of all replicas together */
    struct exp_spread spread;
};

struct exp_response {
    double headroom; /* load at which the SLA breaks over the planned peak, of the fleet as it is deployed */
    double
        margin; /* load at which the SLA breaks over the one that its replicas were sized for, >= 1: the room for errors
                      that the sizing leaves */
    struct exp_curve miss, busy; /* over load: 1 = the planned peak */
    uint32_t n_loads;
    double load[EXP_MAX_LOADS]; /* years ahead, over today's */
    uint32_t replicas[EXP_MAX_LOADS];
    double elasticity[EXP_N_DRIVERS]; /* equivalent load per unit of the driver, logs; 0 = does not matter */
    uint32_t clamped; /* bit d: driver d's point said below 0 (noise; it is 0), or lies beyond all loads */
    double log_sd[EXP_N_DRIVERS];    /* how well the driver is known: standard deviation of its log */
    char stream[EXP_N_DRIVERS][160]; /* options with the same name err together (profile, engine, strategy) */
    double fit_error;                /* root mean square of the log of equivalent load, at points kept out */
    uint32_t n_points;               /* simulated */
    uint32_t n_seen;
    struct exp_seen_load seen[EXP_SEEN_LOADS]; /* by rising load */
    struct exp_anatomy
        anatomy; /* of a decode step and a prompt on a new replica, at the load seen nearest to the peak */
};

struct exp_stress_case {
    const char *name; /* "one server lost" */
    bool applies;
    double attainment; /* the worst class's, over all requests of the busiest stretch */
    bool met;
};
enum {
    EXP_STRESS_CASES = 6
}; /* miss and correction at p99, and at 1; length shift at p90; a server lost; link halved; all */

struct exp_failsafe {
    double rollback_attainment; /* the same fleet on full KV; 1 for full itself */
    bool rollback_met;
    uint32_t rollback_rent_servers; /* to be rented until it holds; UINT32_MAX = never */
    struct exp_stress_case stress[EXP_STRESS_CASES];
    uint32_t n_stress;
};

struct exp_finalist {
    const struct exp_entry *entry;
    struct exp_response response;
    struct exp_failsafe failsafe;
    struct exp_economy economy[EXP_N_ACQUIRE];
    bool can_acquire[EXP_N_ACQUIRE];
    enum exp_acquire best; /* the cheapest in total over the horizon, in the expected world */
    struct exp_cash cash[EXP_N_ACQUIRE];
    char engine[64];                                   /* vllm-0.24; "" = not known */
    struct exp_setting engine_setting[EXP_N_SETTINGS]; /* as its setup resolved them */
};

/* Simulates; on n_threads over points. False with one line in st. */
bool exp_finalist_make(const struct exp_plan *plan, const struct mdl_prices *prices,
                       const struct exp_search *search, uint32_t entry, struct exp_cache *cache,
                       struct exp_loads *loads, uint32_t n_threads, struct exp_finalist *out,
                       struct sim_status *st);

/* response.c and failsafe.c: the halves of it. */
bool exp_response_make(const struct exp_plan *plan, const struct exp_entry *entry, struct exp_cache *cache,
                       struct exp_loads *loads, uint32_t n_threads, struct exp_response *out,
                       struct sim_status *st);
bool exp_failsafe_make(const struct exp_plan *plan, const struct exp_entry *entry, struct exp_cache *cache,
                       struct exp_loads *loads, uint32_t n_threads, struct exp_failsafe *out,
                       struct sim_status *st);

/* economy_make.c: prices and response put together. response NULL: what a searched entry's one point says. False with one line
 * in st when a price is missing for this way to get it. */
bool exp_economy_make(const struct exp_plan *plan, const struct mdl_prices *prices,
                      const struct exp_entry *entry, const struct exp_response *response,
                      enum exp_acquire acquire, struct exp_economy *out, struct sim_status *st);
/* Reference lines: the machines that there are, unchanged; and everything through an API (false without a price). */
bool exp_economy_do_nothing(const struct exp_plan *plan, const struct mdl_prices *prices,
                            const struct exp_entry *baseline, const struct exp_response *response,
                            struct exp_economy *out);
bool exp_economy_api(const struct exp_plan *plan, const struct mdl_prices *prices,
                     const struct exp_entry *baseline, struct exp_economy *out);

#endif
