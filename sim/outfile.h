/* Files that are written whole or not at all: bytes go to a temporary file beside the target, which takes the
 * target's name only when everything reached the disk. A failed write leaves what was there. A link stays: the file behind it
 * is replaced. A device or pipe takes the bytes as they come. */
#ifndef KVSIM_SIM_OUTFILE_H
#define KVSIM_SIM_OUTFILE_H

#include "sim/status.h"

#include <stdio.h>

struct sim_outfile;

/* Opens a temporary file that will become `path`; the stream is sim_outfile_stream(f).
 * Returns NULL and fills st when the directory is missing or not writable. */
struct sim_outfile *sim_outfile_open(const char *path, struct sim_status *st);
FILE *sim_outfile_stream(struct sim_outfile *f);

/* Flushes, syncs and renames into place; frees f either way. False (full disk, ...) leaves no file behind. */
bool sim_outfile_commit(struct sim_outfile *f, struct sim_status *st);

/* Drops the temporary file; accepts NULL. */
void sim_outfile_abandon(struct sim_outfile *f);

/* Are they one file, whatever they are called? False when either is absent. */
bool sim_is_same_file(const char *a, const char *b);

/* Makes a directory and its parents. */
bool sim_make_dir(const char *path, struct sim_status *st);

#endif
