/* YAML in, for everything that people edit: libyaml's document with the position of every node, so that each
 * complaint names file:line. Mappings and sequences are walked, never bound to structs here: the key tables
 * of scenarios, engines and profiles own their meaning. Refuses NUL bytes, duplicate keys, anchors that
 * multiply (aliases), several documents, nesting over 64 and files over 16 MiB. */
#ifndef KVSIM_MODELS_YAML_H
#define KVSIM_MODELS_YAML_H

#include "sim/status.h"

#include <stddef.h>
#include <stdint.h>

struct mdl_yaml;      /* a document; owns its nodes */
struct mdl_yaml_node; /* a scalar, mapping or sequence of it */

enum mdl_yaml_kind { MDL_YAML_SCALAR, MDL_YAML_MAP, MDL_YAML_LIST };

struct mdl_yaml *mdl_yaml_load(const char *path, struct sim_status *st);
/* The same from memory; `name` stands for the file in messages (for --set values and tests). */
struct mdl_yaml *mdl_yaml_parse(const char *name, const char *text, size_t length, struct sim_status *st);
void mdl_yaml_free(struct mdl_yaml *y);

const struct mdl_yaml_node *mdl_yaml_root(const struct mdl_yaml *y);
enum mdl_yaml_kind mdl_yaml_kind(const struct mdl_yaml_node *n);
const char *mdl_yaml_file(const struct mdl_yaml_node *n);
int mdl_yaml_line(const struct mdl_yaml_node *n);    /* from 1 */
size_t mdl_yaml_size(const struct mdl_yaml_node *n); /* entries of a mapping or sequence; 0 for a scalar */
const char *mdl_yaml_key(const struct mdl_yaml_node *map, size_t i);
const struct mdl_yaml_node *mdl_yaml_at(const struct mdl_yaml_node *n, size_t i);           /* i-th value */
const struct mdl_yaml_node *mdl_yaml_get(const struct mdl_yaml_node *map, const char *key); /* or NULL */

/* Scalars. The string is owned by the document. The number readers refuse trailing text, NaN, infinity and
 * overflow, and name the key in `what`. */
const char *mdl_yaml_string(const struct mdl_yaml_node *n, const char *what,
                            struct sim_status *st); /* or NULL */
bool mdl_yaml_double(const struct mdl_yaml_node *n, const char *what, double *out, struct sim_status *st);
bool mdl_yaml_u64(const struct mdl_yaml_node *n, const char *what, uint64_t *out, struct sim_status *st);
bool mdl_yaml_bool(const struct mdl_yaml_node *n, const char *what, bool *out, struct sim_status *st);

/* "unknown key `gpuu`, expected one of ...; did you mean `gpu`?" with file:line; always false. `valid` ends
 * with NULL. */
bool mdl_yaml_unknown_key(const struct mdl_yaml_node *map, size_t i, const char *const *valid,
                          struct sim_status *st);

/* The entry of `valid` (ended by NULL) with the smallest edit distance to `word`, or that begins with it;
 * NULL when more than half of the letters would have to change, because a far guess is worse than none. */
const char *mdl_nearest(const char *word, const char *const *valid);

/* "; did you mean `gpu`?", or nothing when no entry of `valid` is near. */
struct mdl_hint {
    char text[128];
};
struct mdl_hint mdl_hint(const char *word, const char *const *valid);

#endif
