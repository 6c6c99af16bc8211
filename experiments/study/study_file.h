/* A study: one scenario and what to change in it, as a YAML file. Points are numbered; each is a function of its number, so
 * that threads, ranks and shards may take them in any order. The number of points is the product of the axes' lengths,
 * the first axis turning slowest:
 *     name: kv-over-load            # of its database, too; default: the file's name
 *     scenario: demo.yaml           # the base, from this file's folder
 *     set: {fleet.0.gpu: h100-sxm}  # of every point; no key of grid or random
 *     grid:                         # every combination; values, or a range of them
 *       strategy: [full, fp8, freekv:budget=1024]     # on every fleet, as `kvsim compare --strategies` has them; all
 *       workload.open_loop.request_rate: {from: 1, to: 16, count: 5, scale: log}
 *     list:                         # settings that belong together; or lists with names, which turn one in another and
 *                                   # of which tables show the names alone: {traffic: [{name: chat, ...}, ...]}
 *       - {fleet.0.gpu: h100-sxm, fleet.0.tensor_parallel: 1}
 *     random: {samples: 100, seed: 1, keys: {engine.max_num_batched_tokens: {from: 512, to: 16384, scale: log}}}
 *                                   # method: latin_hypercube | uniform; the same samples for every turn of the other axes
 *     replications: 16              # error bands of every point; default none
 *     prices: quote.yaml            # over the prices that ship
 *     note: one line for the report */
#ifndef KVSIM_EXPERIMENTS_STUDY_STUDY_FILE_H
#define KVSIM_EXPERIMENTS_STUDY_STUDY_FILE_H

#include "experiments/scenario.h"

#include <stdio.h>

enum { EXP_STUDY_MAX_AXES = 32 };

/* One setting of a point: `path` is a scenario key or `strategy`. Texts belong to the study. */
struct exp_study_setting {
    const char *path, *value;
};

/* A key that the study varies, in the order of the file; `strategy` among them. */
struct exp_study_axis {
    const char *path;
    uint64_t n_values;        /* distinct values written, 0 = sampled */
    bool numeric;             /* all values are numbers: it can be an x axis */
    const char *first, *last; /* of the values as they are written; of a sampled range its ends */
};

struct exp_study;

/* NULL with file:line in st: unknown key with the nearest one, an empty grid, a value that its key refuses (checked against
 * the base scenario, so that a study fails before it starts), more than 2^40 points. Free with exp_study_free. */
struct exp_study *exp_study_load(const char *path, struct sim_status *st);
/* The same from memory; the scenario's path starts at `folder` (NULL = the current one). */
struct exp_study *exp_study_parse(const char *name, const char *text, size_t length, const char *folder,
                                  struct sim_status *st);
void exp_study_free(struct exp_study *s);

const char *exp_study_name(const struct exp_study *s);
const char *exp_study_file(const struct exp_study *s);                /* where it was read from */
const char *exp_study_text(const struct exp_study *s);                /* what was read */
const char *exp_study_note(const struct exp_study *s);                /* "" = none */
const struct exp_scenario *exp_study_base(const struct exp_study *s); /* with `set` done */
uint32_t exp_study_replications(const struct exp_study *s);
const char *exp_study_prices(const struct exp_study *s); /* path, "" = those that ship */
uint64_t exp_study_n_points(const struct exp_study *s);
uint64_t exp_study_n_samples(const struct exp_study *s); /* of `random`; 0 = none */
uint32_t exp_study_n_axes(const struct exp_study *s);
struct exp_study_axis exp_study_axis(const struct exp_study *s, uint32_t i);

/* What point i changes, in the order of the axes. Texts of sampled values lie in `sampled`: the struct must not move. */
struct exp_study_point {
    uint32_t n;
    struct exp_study_setting setting[EXP_STUDY_MAX_AXES];
    char sampled[EXP_STUDY_MAX_AXES][32];
};
void exp_study_point(const struct exp_study *s, uint64_t i, struct exp_study_point *out);

/* Point i as a scenario: the base with the point's settings. `out` is overwritten (140 KB: one per thread, not per point).
 * False with one line in st when the settings do not go together (a budget for full): the point fails, not the study. */
bool exp_study_scenario(const struct exp_study *s, uint64_t i, struct exp_scenario *out,
                        struct sim_status *st);

/* The settings as one flat JSON object text, in the order of the axes ({"strategy":"full","fleet.0.replicas":2}): what is
 * written as a number is one, all else (true, [0.8, 1.2] too) is text. Free with free(). */
char *exp_study_settings_json(const struct exp_study_point *p);

/* What `kvsim init study` writes: a commented study of a scenario, which is the shipped sample. */
void exp_study_template(const char *scenario, FILE *out);

#endif
