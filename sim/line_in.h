/* Lines in, under every reader of text files (CSV, JSON lines): plain or gzip, LF or CRLF, with or without a
 * last newline, UTF-8 BOM skipped. One buffer, read once and in order, so that a pipe works as well as a
 * file. Refuses with file:line: what cannot be opened, directories, empty files, git-LFS pointers (a line of
 * text that stands for data that was never fetched), NUL bytes (binary, UTF-16), broken gzip and lines over
 * 64 MiB. */
#ifndef KVSIM_SIM_LINE_IN_H
#define KVSIM_SIM_LINE_IN_H

#include "sim/status.h"

#include <stddef.h>
#include <stdint.h>

enum { SIM_LINE_MAX_BYTES = 64 << 20 };

struct sim_line {
    const char *text; /* without the line end; not NUL-terminated, holds no NUL; valid until the next call */
    size_t length;
    uint64_t number; /* from 1 */
};

struct sim_lines;

/* Opens a file; `-` is standard input. NULL with a message. Free with sim_lines_close. */
struct sim_lines *sim_lines_open(const char *path, struct sim_status *st);
void sim_lines_close(struct sim_lines *in);
const char *sim_lines_path(const struct sim_lines *in);

/* The first line that is neither blank nor starts with '#', without taking it; false at the end or on an
 * error. */
bool sim_lines_peek(struct sim_lines *in, struct sim_line *line, struct sim_status *st);

/* The next line, blank ones and comments included. False at the end (st untouched) or on an error (st
 * filled). */
bool sim_lines_next(struct sim_lines *in, struct sim_line *line, struct sim_status *st);

/* True for a line that no reader looks at: only blanks, or a comment. */
bool sim_line_is_skipped(const struct sim_line *line);

/* A piece of somebody else's text made fit for a message: at most 40 bytes, unprintable ones as '?'. */
struct sim_excerpt {
    char text[48];
};
struct sim_excerpt sim_excerpt(const char *text, size_t length);

#endif
