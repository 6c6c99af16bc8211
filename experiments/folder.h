/* The files of --out: opened one after another, and all of them take their names together at the end. A run that fails, a
 * full disk or an interrupt leaves what was there. */
#ifndef KVSIM_EXPERIMENTS_FOLDER_H
#define KVSIM_EXPERIMENTS_FOLDER_H

#include "sim/status.h"

#include <jansson.h>
#include <stdio.h>

/* All but dir is zero at first. */
struct exp_folder {
    const char *dir;
    struct sim_outfile **open;
    char **name; /* of each, inside the folder */
    int n;
};

/* Each NULL or false with one line in st; the folder is then committed with ok = false. */
FILE *exp_folder_open(struct exp_folder *f, const char *name, struct sim_status *st);
/* Has everything reached the file that was opened last? */
bool exp_folder_written(struct exp_folder *f, struct sim_status *st);
/* A file of one JSON object, which it takes; flags as json_dumpf has them. */
bool exp_folder_json(struct exp_folder *f, const char *name, json_t *object, size_t flags,
                     struct sim_status *st);
/* report.json and report.html of a document, which it takes; NULL fails with what st says already. */
bool exp_folder_report(struct exp_folder *f, json_t *doc, const char *data_dir, struct sim_status *st);

/* Ends it: every file takes its name, or none when ok is false. `after` (NULL = nothing) runs when all have, with
 * interrupts still held back. */
bool exp_folder_commit(struct exp_folder *f, bool ok,
                       bool (*after)(const struct exp_folder *f, struct sim_status *st),
                       struct sim_status *st);

#endif
