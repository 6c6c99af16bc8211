#include "models/textfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

static char *read_stream(FILE *f, const char *path, size_t max_bytes, size_t *length, struct sim_status *st)
{
    size_t room = 4096, n = 0;
    char *text = sim_alloc(room + 1, 1);
    for (;;) {
        n += fread(text + n, 1, room - n, f);
        if (n < room || n > max_bytes) break;
        room *= 2;
        text = sim_realloc(text, room + 1, 1);
    }
    text[n] = '\0';
    *length = n;
    if (ferror(f))
        sim_fail(st, "%s: cannot be read (%s), expected a text file; correct the path", path,
                 strerror(errno));
    else if (n > max_bytes)
        sim_fail(st, "%s: is longer than %zu bytes, expected a small text file; check the path", path,
                 max_bytes);
    else if (strlen(text) != n)
        sim_fail(st, "%s: contains NUL bytes, expected text; check the path", path);
    else
        return text;
    free(text);
    return NULL;
}

char *mdl_textfile_read(const char *path, size_t max_bytes, size_t *length, struct sim_status *st)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        sim_fail(st, "%s: cannot be opened (%s), expected a readable file; correct the path", path,
                 strerror(errno));
        return NULL;
    }
    char *text = read_stream(f, path, max_bytes, length, st);
    fclose(f);
    return text;
}
