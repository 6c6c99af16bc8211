/* Files that `kvsim init` writes: a table of keys as nested YAML, what the sample needs as it is and all the rest as
 * comments at their defaults, each with its help. */
#ifndef KVSIM_EXPERIMENTS_COMMENTED_H
#define KVSIM_EXPERIMENTS_COMMENTED_H

#include "experiments/keys.h"

#include <stdio.h>

enum { EXP_COMMENTED_BYTES = 160 };

/* A key at its place in the file ("-" in a path is an entry of a list). */
struct exp_commented {
    char path[EXP_COMMENTED_BYTES];
    const struct exp_key *key;
    const char *value;    /* NULL = the key's example, else its default */
    const char *expected; /* said behind the help; NULL = what the key says */
    bool used;            /* no comment */
};

void exp_commented_write(const struct exp_commented *line, size_t n, FILE *out);

#endif
