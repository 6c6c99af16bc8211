/* The one table of scenario keys: path, type, unit, default, range, help and where the value goes. Parsing,
 * range errors, --set, `kvsim init`, `kvsim list keys` and sweeps all read it; to add a key, add a field in
 * scenario.h and a row in keys.c. A key belongs to a scope; a scope may stand at several places (engine and
 * fleet.N.engine). */
#ifndef KVSIM_EXPERIMENTS_KEYS_H
#define KVSIM_EXPERIMENTS_KEYS_H

#include "experiments/scenario.h"

#include <stddef.h>

enum exp_type {
    EXP_TEXT,         /* char[EXP_TEXT_BYTES] */
    EXP_NAME,         /* char[EXP_NAME_BYTES] */
    EXP_PATH,         /* char[EXP_TEXT_BYTES], relative to the scenario file */
    EXP_NAME_OR_PATH, /* a path when it holds a / or ends in .yaml */
    EXP_MODEL,        /* a path when it starts with . or / or ends in .json; org/name is a Hugging Face id */
    EXP_ROUTER,       /* char[EXP_NAME_BYTES], sim/router.h */
    EXP_LENGTHS,      /* char[EXP_TEXT_BYTES], a distribution of traces/synth.h */
    EXP_NAMES,        /* char[EXP_TEXT_BYTES], a list joined by commas */
    EXP_CHOICE,       /* int, the number of the word */
    EXP_STRATEGY,     /* int, index of mdl_strategy_at */
    EXP_COUNT,        /* uint64_t */
    EXP_REAL,         /* double */
    EXP_FLAG,         /* bool */
    EXP_RANGE         /* double[2], lo <= hi */
};

enum exp_scope { EXP_IN_SCENARIO, EXP_IN_FLEET, EXP_IN_ENGINE, EXP_IN_CLASS, EXP_IN_SLO };

struct exp_key {
    const char *name; /* below the place of its scope */
    enum exp_scope scope;
    enum exp_type type;
    bool optional; /* the field is a struct exp_number; not for texts and ranges */
    const char *unit;
    const char *fallback; /* default as text; "" = none, or for optional keys where it comes from */
    double lo, hi;        /* of counts, reals and ranges */
    const char *words;    /* of a choice, joined by | */
    size_t offset;        /* into the struct of its scope */
    const char *example;  /* what `kvsim init` writes; NULL = the key stands there as a comment */
    const char *help;
    const char *refusal; /* said of a value that is not among the choices; NULL = nothing special */
};

size_t exp_key_count(void);
const struct exp_key *exp_key_at(size_t i);

/* Where a scope stands: "" , "fleet.N", "engine", "fleet.N.engine", "classes.NAME", "slo",
 * "classes.NAME.slo". */
struct exp_place {
    const char *pattern;
    enum exp_scope scope;
};
size_t exp_place_count(void);
const struct exp_place *exp_place_at(size_t i);

/* A path of a scenario ("fleet.0.replicas") resolved. key is NULL when the path is a section. */
struct exp_target {
    const struct exp_key *key;
    void *field;
};

/* False with the nearest valid key in st when the path is neither a key nor a section. `where` opens the
 * message. Adds the fleet or class that the path names when it is the next one. */
bool exp_key_resolve(struct exp_scenario *s, const char *path, const char *where, struct exp_target *out,
                     struct sim_status *st);

/* "fleet.0.replicas" to "fleet.N.replicas". False when it does not fit. */
bool exp_key_pattern(const char *path, char *out, size_t size);

/* Sets every field of one scope's struct to its default. */
void exp_key_defaults(enum exp_scope scope, void *base);

#endif
