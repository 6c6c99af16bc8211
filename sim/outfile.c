#include "sim/outfile.h"

#include "sim/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sim_outfile {
    FILE *stream;
    char *path, *temporary;
};

static void outfile_free(struct sim_outfile *f)
{
    free(f->path);
    free(f->temporary);
    free(f);
}

struct sim_outfile *sim_outfile_open(const char *path, struct sim_status *st)
{
    struct sim_outfile *f = sim_alloc(1, sizeof *f);
    f->path = sim_strdup(path);
    f->temporary = sim_printf("%s.%ld.tmp", path, (long)getpid());
    f->stream = fopen(f->temporary, "wb");
    if (f->stream) return f;
    sim_fail(st, "%s: cannot be written (%s), expected a writable directory; name another place", path,
             strerror(errno));
    outfile_free(f);
    return NULL;
}

FILE *sim_outfile_stream(struct sim_outfile *f)
{
    return f->stream;
}

bool sim_outfile_commit(struct sim_outfile *f, struct sim_status *st)
{
    bool written = !ferror(f->stream) && fflush(f->stream) == 0 && fsync(fileno(f->stream)) == 0;
    int why = errno;
    if (fclose(f->stream) != 0 && written) {
        why = errno;
        written = false;
    }
    if (written && rename(f->temporary, f->path) != 0) {
        why = errno;
        written = false;
    }
    if (!written) {
        unlink(f->temporary);
        sim_fail(st, "%s: writing failed (%s), nothing was left behind; free some space or name another place",
                 f->path, strerror(why));
    }
    outfile_free(f);
    return written;
}

void sim_outfile_abandon(struct sim_outfile *f)
{
    if (!f) return;
    fclose(f->stream);
    unlink(f->temporary);
    outfile_free(f);
}

bool sim_make_dir(const char *path, struct sim_status *st)
{
    char *p = sim_strdup(path);
    bool made = true;
    for (char *s = p + 1; made; s++) {
        if (*s != '/' && *s != '\0') continue;
        char end = *s;
        *s = '\0';
        if (mkdir(p, 0777) != 0 && errno != EEXIST)
            made = sim_fail(st, "%s: cannot be made (%s), expected a writable parent directory; name another place",
                            p, strerror(errno));
        *s = end;
        if (end == '\0') break;
    }
    free(p);
    struct stat is;
    if (made && (stat(path, &is) != 0 || !S_ISDIR(is.st_mode)))
        return sim_fail(st, "%s: is not a directory, expected one to write results into; name another place", path);
    return made;
}
