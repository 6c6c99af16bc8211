/* One point of a study, computed: a scenario and what is measured of its run, as plain data that a store row, a message
 * between ranks and a report all hold. A point's key is the hash of all that determines it: the scenario without the places
 * of its files, the contents of every file that is read for it (trace, profile, engine, kernels, quality, lengths,
 * architecture, prices, the catalogue) and the version of the model. */
#ifndef KVSIM_EXPERIMENTS_STUDY_POINT_H
#define KVSIM_EXPERIMENTS_STUDY_POINT_H

#include "experiments/run.h"
#include "models/prices.h"

/* ---- what is kept of a run: a table of names ---- */

/* All figures of figures.h, then what a study adds: gpus; cost_per_hour (of renting so many GPUs, in the prices' currency),
 * cost_per_mtok (a million output tokens), cost_per_1000_within_slo (requests within their limits), newly_failing (share of
 * all answers), negative_rate (as papers print it), cost_per_1000_good (within their limits, less newly failing answers).
 * NaN = not known. */
size_t exp_measure_count(void);
const char *exp_measure_name(size_t i);
size_t exp_measure_find(const char *name); /* exp_measure_count() when there is none */
/* Is it a time on this machine's clock, which differs from run to run? */
bool exp_measure_is_wall(size_t i);

enum { EXP_KEY_BYTES = 33 }; /* 128 bits in hex */
enum exp_point_state { EXP_POINT_DONE, EXP_POINT_FAILED };

struct exp_point_result {
    uint64_t index;          /* of the point in its study */
    char key[EXP_KEY_BYTES]; /* of everything; "" when the scenario could not even be made */
    char setup
        [EXP_KEY_BYTES]; /* of the scenario alone: the same setup with another key is a stale version of it */
    enum exp_point_state state;
    char why[512];       /* of a failure */
    char load_state[16]; /* stable, saturated, overloaded ... */
    double *measure;     /* [exp_measure_count()] means; NULL when failed */
    char *bands;         /* JSON {"name_lo":..,"name_hi":..} with replications; NULL without */
    char *classes;       /* JSON of the figures of each class, when there is more than one; NULL without */
    char *settings;      /* JSON, exp_study_settings_json */
    double wall_s;       /* of the whole point */
};
void exp_point_result_fini(struct exp_point_result *r);

/* ---- keys ---- */

/* The model's version: of the program and of the sources that numbers come from, "0.1.0-1f0a93c2d41b". */
const char *exp_model_version(void);

struct exp_hasher; /* content hashes, each file read once; threads may share one */
/* prices: the file over those that ship, "" = none over them. The cache outlives it. */
struct exp_hasher *exp_hasher_new(struct exp_cache *cache, const char *prices, struct sim_status *st);
void exp_hasher_free(struct exp_hasher *h);

/* Both keys of a scenario with so many replications. False with one line in st when a file cannot be read, or is no longer what
 * it was when it was read first. About 0.1 ms. */
bool exp_point_keys(struct exp_hasher *h, const struct exp_scenario *s, uint32_t n_replications,
                    char key[EXP_KEY_BYTES], char setup[EXP_KEY_BYTES], struct sim_status *st);

/* The prices of a study: those that ship with a file of its own over them ("" = none). Free with free(). */
struct mdl_prices *exp_study_load_prices(const struct exp_cache *cache, const char *own,
                                         struct sim_status *st);

/* What was read for the keys so far, for people: {"model_version":..., "files":[{"path","sha256"}...]}. The caller's. */
json_t *exp_hasher_json(struct exp_hasher *h);

/* ---- computing ---- */

struct exp_point_job {
    const struct exp_scenario *scenario;
    struct exp_cache *cache;
    const struct mdl_prices *prices; /* NULL = no costs */
    uint32_t n_replications;
};
/* Fills state, why, load_state, measure, bands, classes and wall_s of r. Never fails as a function: the point does. */
void exp_point_compute(const struct exp_point_job *job, struct exp_point_result *r);

#endif
