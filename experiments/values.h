/* Values of scenario keys: from a YAML node into the field that a key names, and back to text. Every refusal
 * names file:line, the key, what stood there and what was expected. */
#ifndef KVSIM_EXPERIMENTS_VALUES_H
#define KVSIM_EXPERIMENTS_VALUES_H

#include "experiments/keys.h"
#include "models/yaml.h"

#define EXP_CLASS_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* "demo.yaml:12", or the option for what came from the command line. */
struct exp_where exp_where(const struct mdl_yaml_node *node);

/* `folder` is put before relative paths; NULL leaves them. The words `none` and `default` set the default. */
bool exp_value_set(const struct exp_key *key, void *field, const char *path, const char *folder,
                   const struct mdl_yaml_node *node, struct sim_status *st);
void exp_value_default(const struct exp_key *key, void *field);
/* Whether this text, of a key that takes paths, is one. */
bool exp_value_is_path(const struct exp_key *key, const char *text);
/* Whether the text is a path, and not a name that a key takes too. */
bool exp_value_is_path(const struct exp_key *key, const char *text);

/* What is expected: "a whole number from 1 to 65535", "one of: reject, clip-input". */
void exp_value_expected(const struct exp_key *key, char *out, size_t size);

/* Word i of a choice, "" past the last. */
struct exp_word {
    char text[24];
};
struct exp_word exp_choice_word(const struct exp_key *key, int i);

/* The names of routers and of KV strategies, joined by ", ". */
void exp_router_names(char *out, size_t size);
void exp_strategy_names(char *out, size_t size);

#endif
