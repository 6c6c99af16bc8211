/* Values of keys back to text: YAML that reads back to the same value, for files that programs write and people edit.
 * Relative paths start at the folder of the file that they stand in, wherever that will be: they are written whole. */
#ifndef KVSIM_EXPERIMENTS_VALUE_TEXT_H
#define KVSIM_EXPERIMENTS_VALUE_TEXT_H

#include "experiments/keys.h"

/* A field of a key; "default" for what is not given. Free with free(). */
char *exp_value_text(const struct exp_key *key, const void *field);

/* A text as one YAML scalar, quoted where it must be, also inside [ ] and { }. Free with free(). */
char *exp_yaml_scalar(const char *text);

/* A number with the fewest digits that read back to it. */
struct exp_digits {
    char text[32];
};
struct exp_digits exp_digits_of(double value);

/* A path from the root; "", "-" and what is absolute already stay. Free with free(). */
char *exp_whole_path(const char *path);

#endif
