/* The table of plan keys. A row is a key as scenarios have it (experiments/keys.h), whose name is the whole path with NAME
 * for a class and N for a machine, and a form: how its value comes in and goes out. Keys of scenarios are beside it:
 * exp_plan_keys lists both, and is what messages, --save, `kvsim init plan` and `kvsim list plan-keys` read.
 * To add a key: a field in plan_file.h and a row in plan_keys.c. */
#ifndef KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_KEYS_H
#define KVSIM_EXPERIMENTS_PLANNING_FILE_PLAN_KEYS_H

#include "experiments/keys.h"
#include "experiments/planning/file/plan_file.h"
#include "models/yaml.h"

/* What a form takes: the node, NULL for the default, and what messages call it. */
struct exp_plan_input {
    const struct exp_key *key;
    const char *path, *folder;
    const struct mdl_yaml_node *node;
};

/* owner is the struct exp_plan, class or machine that the key's offset is of. */
struct exp_plan_form {
    bool (*take)(const struct exp_plan_input *in, void *owner, struct sim_status *st);
    char *(*text)(const struct exp_key *key, const void *owner); /* as YAML; free with free() */
    const char *expected;                                        /* NULL = exp_value_expected says it */
};

struct exp_plan_row {
    struct exp_key key; /* name: "have.N.gpu" */
    const struct exp_plan_form *form;
};

/* plan_forms.c */
extern const struct exp_plan_form exp_form_plain, exp_form_router, exp_form_link, exp_form_bridge,
    exp_form_currency, exp_form_curve, exp_form_gpus, exp_form_degrees, exp_form_acquire;
/* plan_forms_kv.c */
extern const struct exp_plan_form exp_form_strategies, exp_form_baseline, exp_form_task_mix;

/* One entry of baseline.kv: `strategy`, which begins anew, or a parameter of the strategy. */
bool exp_plan_baseline_set(struct exp_plan *p, const char *name, const struct exp_plan_input *in,
                           struct sim_status *st);

size_t exp_plan_row_count(void);
const struct exp_plan_row *exp_plan_row_at(size_t i);
/* "have.0.gpu" to "have.N.gpu". False when it does not fit. */
bool exp_plan_pattern(const char *path, char *out, size_t size);
/* By its path; NULL when it is no key of a plan's own. */
const struct exp_plan_row *exp_plan_row(const char *path);

/* What a plan's path is called in a scenario: "load.trace" is "workload.trace". False when a scenario has no such key, or
 * plans do not take it. */
bool exp_plan_to_scenario(const char *path, char *out, size_t size);

/* Every key that a plan may hold, in the order of a file, by section. */
struct exp_plan_key {
    char path[EXP_PLAN_PATH_BYTES]; /* pattern */
    const struct exp_key *key;
    const struct exp_plan_row *row; /* NULL: of the base scenario */
};
enum { EXP_MAX_PLAN_KEYS = 256 };
struct exp_plan_keys {
    struct exp_plan_key at[EXP_MAX_PLAN_KEYS];
    size_t n;
};
void exp_plan_keys(struct exp_plan_keys *out);

/* Is it the beginning of keys, such as "load" or "have.0"? */
bool exp_plan_is_section(const char *path);
/* "unknown key ..., did you mean ...?" at `where`; always false. */
bool exp_plan_unknown_key(const char *path, const char *where, struct sim_status *st);

/* What a value of a key may be, for help and messages. */
void exp_plan_expected(const struct exp_plan_key *k, char *out, size_t size);

/* Every field of a plan, a class or a machine at its default: of rows whose names begin with `place`. */
void exp_plan_defaults(const char *place, void *owner);
/* Below which owner a row stands: "classes.NAME.", "have.N." or "". */
const char *exp_plan_place(const struct exp_plan_row *row);

#endif
