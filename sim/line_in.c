#include "sim/line_in.h"

#include "sim/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { READ_BYTES = 1 << 18, EXCERPT_BYTES = 40 };

static const char LFS[] = "version https://git-lfs.github.com/spec/v1";

struct sim_lines {
    char *path;
    gzFile file;
    char *buffer;
    size_t begin, end, room; /* unread bytes are buffer[begin .. end) */
    uint64_t number;         /* of the line last handed over */
    bool at_eof, has_pending;
    struct sim_line pending;
};

const char *sim_lines_path(const struct sim_lines *in)
{
    return in->path;
}

bool sim_line_is_skipped(const struct sim_line *line)
{
    size_t i = 0;
    while (i < line->length && (line->text[i] == ' ' || line->text[i] == '\t' || line->text[i] == '\r')) i++;
    return i == line->length || line->text[0] == '#';
}

struct sim_excerpt sim_excerpt(const char *text, size_t length)
{
    struct sim_excerpt e = {{0}};
    size_t n = length < EXCERPT_BYTES ? length : EXCERPT_BYTES;
    for (size_t i = 0; i < n; i++) e.text[i] = (text[i] >= ' ' && text[i] <= '~') ? text[i] : '?';
    if (length > n) memcpy(e.text + n, "...", 4);
    return e;
}

static gzFile open_gz(const char *path, struct sim_status *st)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct stat is;
    if ((is_stdin ? fstat(STDIN_FILENO, &is) : stat(path, &is)) != 0) {
        sim_fail(st, "%s: cannot be opened (%s), expected a readable file; correct the path", path,
                 strerror(errno));
        return NULL;
    }
    if (S_ISDIR(is.st_mode)) {
        sim_fail(st, "%s: is a directory, expected a file; name one of the files in it", path);
        return NULL;
    }
    gzFile file = is_stdin ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(path, "rb");
    if (!file)
        sim_fail(st,
                 "%s: cannot be opened (%s), expected a readable file; correct the path or its permissions",
                 path, strerror(errno));
    return file;
}

/* Appends what the file gives next to the unread bytes, making room first; false on a read error. */
static bool fill(struct sim_lines *in, struct sim_status *st)
{
    if (in->begin > 0) {
        memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->begin = 0;
    }
    if (in->room - in->end < READ_BYTES) {
        in->room = in->room ? 2 * in->room : 2 * READ_BYTES;
        in->buffer = sim_realloc(in->buffer, in->room, 1);
    }
    int n = gzread(in->file, in->buffer + in->end, READ_BYTES);
    int code = Z_OK;
    const char *why = n < READ_BYTES ? gzerror(in->file, &code) : "";
    if (n < 0 || (code != Z_OK && code != Z_STREAM_END))
        return sim_fail(
            st, "%s:%llu: cannot be read further (%s), expected a whole plain or gzip file; fetch it again",
            in->path, (unsigned long long)in->number + 1, code == Z_ERRNO ? strerror(errno) : why);
    in->at_eof = n < READ_BYTES;
    in->end += (size_t)n;
    return true;
}

/* Where the next line ends, reading on as needed: at a newline, or at the end of the file. */
static bool find_end(struct sim_lines *in, char **newline, struct sim_status *st)
{
    size_t searched = 0;
    for (;;) {
        char *from = in->buffer + in->begin + searched;
        searched = in->end - in->begin;
        *newline = memchr(from, '\n', (size_t)(in->buffer + in->end - from));
        if (*newline) return true;
        if (searched > SIM_LINE_MAX_BYTES)
            return sim_fail(
                st, "%s:%llu: line is longer than %d MiB, expected rows of text; is it the right file?",
                in->path, (unsigned long long)in->number + 1, SIM_LINE_MAX_BYTES >> 20);
        if (in->at_eof) {
            *newline = in->buffer + in->end;
            return true;
        }
        if (!fill(in, st)) return false;
    }
}

bool sim_lines_next(struct sim_lines *in, struct sim_line *line, struct sim_status *st)
{
    if (in->has_pending) {
        *line = in->pending;
        in->has_pending = false;
        return true;
    }
    char *newline;
    if (!find_end(in, &newline, st)) return false;
    char *text = in->buffer + in->begin;
    if (text == in->buffer + in->end) return false;
    in->begin = (size_t)(newline - in->buffer) + (newline < in->buffer + in->end);
    in->number++;
    size_t length = (size_t)(newline - text);
    if (memchr(text, '\0', length))
        return sim_fail(
            st, "%s:%llu: holds a NUL byte, expected text in UTF-8; is it binary, or UTF-16 to convert?",
            in->path, (unsigned long long)in->number);
    if (length > 0 && text[length - 1] == '\r') length--;
    *line = (struct sim_line){text, length, in->number};
    return true;
}

bool sim_lines_peek(struct sim_lines *in, struct sim_line *line, struct sim_status *st)
{
    while (sim_lines_next(in, line, st)) {
        if (sim_line_is_skipped(line)) continue;
        in->pending = *line;
        in->has_pending = true;
        return true;
    }
    return false;
}

static bool check_start(struct sim_lines *in, struct sim_status *st)
{
    if (!fill(in, st)) return false;
    if (in->end == 0)
        return sim_fail(st, "%s:1: file is empty, expected a header and rows; fetch it again", in->path);
    if (in->end >= sizeof LFS - 1 && memcmp(in->buffer, LFS, sizeof LFS - 1) == 0)
        return sim_fail(st,
                        "%s:1: is a git-LFS pointer, expected the data itself; fetch it with `git lfs pull`",
                        in->path);
    if (in->end >= 3 && memcmp(in->buffer, "\xef\xbb\xbf", 3) == 0) in->begin = 3;
    return true;
}

struct sim_lines *sim_lines_open(const char *path, struct sim_status *st)
{
    gzFile file = open_gz(path, st);
    if (!file) return NULL;
    gzbuffer(file, READ_BYTES);
    struct sim_lines *in = sim_alloc(1, sizeof *in);
    in->path = sim_strdup(path);
    in->file = file;
    if (check_start(in, st)) return in;
    sim_lines_close(in);
    return NULL;
}

void sim_lines_close(struct sim_lines *in)
{
    if (!in) return;
    gzclose(in->file);
    free(in->buffer);
    free(in->path);
    free(in);
}
