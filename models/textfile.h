/* A small text file read whole, with a limit: what YAML and JSON readers start from. Nothing larger than the
 * limit is ever held in memory, whatever stands behind the path (a device, a pipe, a file that grows). */
#ifndef KVSIM_MODELS_TEXTFILE_H
#define KVSIM_MODELS_TEXTFILE_H

#include "sim/status.h"

#include <stddef.h>

/* The content of `path` followed by a NUL, its length without it in *length; free with free(). NULL with a
 * message when it cannot be read, is a directory, is longer than max_bytes, or contains NUL bytes. */
char *mdl_textfile_read(const char *path, size_t max_bytes, size_t *length, struct sim_status *st);

#endif
