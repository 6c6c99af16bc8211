/* Inside a study. Its points are the turns of levels, as digits of the point's number, the first level slowest: a key of `grid`
 * is a level with an entry for each value, `list` one with an entry for each of its mappings, `random` one with a turn for
 * each sample. Values stay YAML nodes, checked when the file is read, and are set on a copy of the base for each point. */
#ifndef KVSIM_EXPERIMENTS_STUDY_STUDY_PARTS_H
#define KVSIM_EXPERIMENTS_STUDY_STUDY_PARTS_H

#include "experiments/compare.h"
#include "experiments/keys.h"
#include "experiments/study/study_file.h"
#include "models/yaml.h"
#include "sim/memory.h"

#define EXP_STUDY_MOST_POINTS ((uint64_t)1 << 40)
enum {
    EXP_STUDY_MOST_VALUES = 100000,
    EXP_STUDY_MOST_STRATEGIES = 4096,
    EXP_STUDY_PATH_BYTES = 200,
    EXP_SAMPLED_BYTES = 32
};

/* ---- values ---- */

/* A strategy with its parameters, each parsed. */
struct exp_study_strategy {
    struct exp_contender contender;
    const struct mdl_yaml_node *setting[EXP_MAX_KV_SETTINGS];
};

/* A key of the scenario, or `strategy`, where the file names it. */
struct exp_study_place {
    const char *path;
    const struct exp_key *key; /* NULL for `strategy` */
    uint32_t field; /* where the value goes, from the start of the scenario; UINT32_MAX for `strategy` */
    bool label;     /* no key: the name of a list, whose values are the names of its entries */
    const struct mdl_yaml_node *node; /* what stands there */
};

struct exp_study_value {
    struct exp_study_place at;                 /* at.node: the value; NULL = sampled, in `text` alone */
    const char *text;                          /* as tables show it */
    const struct exp_study_strategy *strategy; /* NULL for keys */
    uint32_t axis;
};

/* ---- levels ---- */

struct exp_study_entry {
    const struct exp_study_value *value;
    uint32_t n;
};

struct exp_study_level {
    uint64_t n;                    /* its turns */
    struct exp_study_entry *entry; /* of each turn; NULL = samples */
    bool alone;                    /* one key and its values, each once */
};

/* Numbers from..to. */
struct exp_study_span {
    double from, to;
    bool log, whole;
};

/* A key of `random`. */
struct exp_study_sampler {
    struct exp_study_value number; /* of a span: the key, its text to come */
    struct exp_study_span span;
    const struct exp_study_value *choice; /* instead of a span */
    uint64_t n_choices;
    uint64_t order, inside; /* streams of random numbers */
};

/* ---- the whole ---- */

struct exp_study {
    struct sim_arena *arena;
    struct mdl_yaml **doc; /* the file, ranges written out, parameters of strategies */
    size_t n_docs;
    const char *name, *file, *folder, *text, *note, *prices; /* folder: before relative paths; NULL = none */
    struct exp_scenario *base;
    struct exp_study_place *set; /* what `set` names */
    uint32_t n_set, replications, n_strategies;
    struct exp_study_axis axis[EXP_STUDY_MAX_AXES];
    struct exp_study_place place[EXP_STUDY_MAX_AXES]; /* of each axis; its node where the axis begins */
    uint32_t level_of[EXP_STUDY_MAX_AXES];
    bool told[EXP_STUDY_MAX_AXES]; /* by a label: nobody sees the axis */
    uint32_t n_axes;
    struct exp_study_level level[EXP_STUDY_MAX_AXES];
    uint32_t n_levels;
    struct exp_study_sampler sampler[EXP_STUDY_MAX_AXES];
    uint32_t n_samplers;
    uint64_t n_samples, seed;
    bool uniform; /* samples independent of each other, not a latin hypercube */
    uint64_t n_points;
};

/* Keeps a document until the study ends; NULL passes through. */
struct mdl_yaml *exp_study_keep(struct exp_study *s, struct mdl_yaml *y);

/* ---- study_places.c: which keys a mapping names ---- */

/* Is the word among these? The last one is NULL. */
bool exp_study_is_word(const char *word, const char *const *valid);

struct exp_study_walk {
    const char *skip;             /* a word at the top that is no key; NULL = none */
    struct exp_scenario *scratch; /* where keys are resolved; gains the fleets and classes that they name */
    bool (*visit)(void *context, const struct exp_study_place *at, struct sim_status *st);
    /* A section with a list below it; NULL: it is refused. */
    bool (*visit_section)(void *context, const struct exp_study_place *at, struct sim_status *st);
    void *context;
    struct exp_study *study;
};
/* Visits every key below a mapping, nested or with dots in its names. `prefix` stands before them ("" = nothing). */
bool exp_study_walk(const struct exp_study_walk *w, const char *prefix, const struct mdl_yaml_node *map,
                    struct sim_status *st);

/* ---- study_values.c: values onto scenarios ---- */

/* The value that stands at a place; sets it on the scenario to see whether it is taken. */
bool exp_study_value(struct exp_study *s, const struct exp_study_place *at, struct exp_scenario *scratch,
                     struct exp_study_value *out, struct sim_status *st);
/* The strategies that a text names: one, or the whole catalogue for `all`. In the arena. */
uint32_t exp_study_strategies(struct exp_study *s, const struct exp_study_place *at,
                              const struct exp_study_value **out, struct sim_status *st);
/* Values together: first what is no KV parameter, then strategies, then parameters, so that their order in the file does not
 * matter. */
bool exp_study_set(const struct exp_study *s, const struct exp_study_value *value, uint32_t n,
                   struct exp_scenario *out, struct sim_status *st);
/* Is it a number as YAML and tables write it? */
bool exp_study_number(const char *text, double *out);

/* ---- study_range.c ---- */

/* {from, to, scale}, beside them count or step where there are `steps`. */
bool exp_study_span(const struct exp_study_place *at, bool steps, struct exp_study_span *out,
                    struct sim_status *st);
/* A range written out as a YAML list of its values. */
const struct mdl_yaml_node *exp_study_range(struct exp_study *s, const struct exp_study_place *at,
                                            struct sim_status *st);

/* ---- study_sample.c ---- */

/* Sample i of a key: a value of its list, or the text of a number. */
const struct exp_study_value *exp_study_choice(const struct exp_study *s, const struct exp_study_sampler *k,
                                               uint64_t i);
void exp_study_sample(const struct exp_study *s, const struct exp_study_sampler *k, uint64_t i,
                      char text[EXP_SAMPLED_BYTES]);

/* ---- study_axes.c ---- */

/* The axis that a place belongs to, made when it is new; false when its key varies elsewhere already. */
bool exp_study_add_axis(struct exp_study *s, const struct exp_study_place *at, uint32_t *axis,
                        struct sim_status *st);
/* The level that axes were made for. False when there are too many points now. */
bool exp_study_add_level(struct exp_study *s, const struct exp_study_level *level,
                         const struct mdl_yaml_node *node, struct sim_status *st);
/* How many values axes have, and what no two of them may do. */
bool exp_study_finish_axes(struct exp_study *s, struct sim_status *st);

/* ---- study_levels.c: the three sections that make levels ---- */

bool exp_study_read_grid(struct exp_study *s, struct exp_scenario *scratch, const struct mdl_yaml_node *node,
                         struct sim_status *st);
bool exp_study_read_list(struct exp_study *s, struct exp_scenario *scratch, const struct mdl_yaml_node *node,
                         struct sim_status *st);
bool exp_study_read_random(struct exp_study *s, struct exp_scenario *scratch,
                           const struct mdl_yaml_node *node, struct sim_status *st);
#endif
