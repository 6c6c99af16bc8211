/* From a scenario to a configuration that sim_run takes: architecture, GPU, profile and engine loaded, memory
 * planned, step costs tabulated, requests read or made. Everything that was chosen on the way (engine
 * defaults, memory breakdown, warnings) stays readable, because `run` prints it. Cost: a few ms a fleet, plus
 * the trace when the cache does not hold it yet. */
#ifndef KVSIM_EXPERIMENTS_SETUP_H
#define KVSIM_EXPERIMENTS_SETUP_H

#include "experiments/cache.h"
#include "experiments/costs.h"
#include "experiments/notes.h"
#include "experiments/workload.h"
#include "models/cost.h"
#include "models/kvmem.h"
#include "sim/cluster.h"

/* One line of the resolved engine block. */
struct exp_setting {
    const char *name, *unit;
    double value;
    const char *word; /* instead of the value: "fcfs", "true"; or NULL */
    bool defaulted;
};
enum { EXP_N_SETTINGS = 13 };

/* The KV strategy of a fleet. */
struct exp_kv_setup {
    struct mdl_kv_use use;
    struct mdl_kv_use later; /* by the rates of kv.later, ... */
    bool changes;            /* ... which the run comes to */
    struct mdl_kv_plan plan;
    struct sim_kv_rule plain; /* of requests that fall back to `full`, in the same units */
    struct mdl_host host;
    const struct mdl_methods *methods; /* measured kernels and copies; NULL = none */
    const struct mdl_lengths *lengths;
    bool shifts;                                      /* output lengths do change */
    uint32_t mean_tokens, mean_input_tokens;          /* of the load's requests, input + output and input */
    double gpu_bytes_per_token, host_bytes_per_token; /* of such a request, on all ranks */
};

/* What steps cost after a change of rates: first as a policy that does not know it yet goes on, then as it knows it. */
enum { EXP_LATER_COSTS = 2 };
struct exp_later_cost {
    struct mdl_cost *cost;
    struct exp_shared_cost *shared; /* as of the fleet's own cost */
};

struct exp_fleet_setup {
    char name[EXP_NAME_BYTES];
    const struct mdl_gpu *gpu;
    const struct mdl_profile *profile; /* NULL when the scenario prices steps by a line */
    struct mdl_engine engine;          /* with the scenario's overrides */
    struct exp_setting settings[EXP_N_SETTINGS];
    struct mdl_memory memory;
    struct exp_kv_setup kv;
    uint32_t tensor_parallel, pipeline_parallel;
    struct mdl_cost *cost;          /* NULL likewise */
    struct exp_shared_cost *shared; /* whose cost that is; NULL = the set-up's own */
    struct exp_later_cost later[EXP_LATER_COSTS];
    struct sim_cost_phase later_phase[EXP_LATER_COSTS];
    uint32_t n_later;
    struct sim_cost_linear linear;
};

enum { EXP_MAX_HOST_KEYS = 16 };

/* What one replication takes for what is not known exactly: factors of operator times (1 = as the profile says), and
 * values of what nobody gave or measured, of the KV strategy and of the server (NaN = the default). */
struct exp_factors {
    double family[EXP_MAX_FLEETS][MDL_N_FAMILY];
    double residual[EXP_MAX_FLEETS];
    double kv[EXP_MAX_FLEETS][MDL_N_KV_KEY];
    double host[EXP_MAX_FLEETS][EXP_MAX_HOST_KEYS]; /* in the order of mdl_host_default_at */
};
/* As the profiles and defaults say. */
void exp_factors_none(struct exp_factors *out);

struct exp_setup {
    struct sim_config config;
    struct mdl_arch arch;
    struct exp_fleet_setup fleets[EXP_MAX_FLEETS];
    uint32_t n_fleets;
    struct exp_workload workload;
    struct exp_notes notes;
    const struct exp_factors *factors; /* while it is made; NULL = none */
    const struct exp_workload *load;   /* likewise: somebody else's requests */
    struct exp_costs *costs;           /* the cache's; NULL = not shared */
    double wall_s;                     /* loading and tabulation */

    struct sim_fleet sim_fleets[EXP_MAX_FLEETS];
    struct sim_class sim_classes[SIM_MAX_CLASSES];
    char class_names[SIM_MAX_CLASSES][EXP_NAME_BYTES];
};

/* factors may be NULL. NULL with one line in st. Free with exp_setup_free, before the cache. */
struct exp_setup *exp_setup_new(const struct exp_scenario *s, struct exp_cache *cache,
                                const struct exp_factors *factors, struct sim_status *st);
/* The same with requests that are there already, in place of the scenario's: they outlive the setup, and what is too
 * long for every fleet is left to the simulator. */
struct exp_setup *exp_setup_new_on(const struct exp_scenario *s, struct exp_cache *cache,
                                   const struct exp_factors *factors, const struct exp_workload *load,
                                   struct sim_status *st);
void exp_setup_free(struct exp_setup *setup);

/* Seconds of a clock that only goes forward. */
double exp_clock_s(void);

#endif
