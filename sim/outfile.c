#define _GNU_SOURCE /* O_TMPFILE, where the system has it; realpath */
#include "sim/outfile.h"

#include "sim/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sim_outfile {
    FILE *stream;
    char *path, *temporary;
    bool unnamed; /* a file without a name: the system drops it when the program is killed */
    bool direct;  /* a device or pipe, which takes bytes as they come and keeps its place */
};

static void outfile_free(struct sim_outfile *f)
{
    free(f->path);
    free(f->temporary);
    free(f);
}

static FILE *open_unnamed(const char *path)
{
    char *copy = sim_strdup(path);
    int fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    free(copy);
    return fd < 0 ? NULL : fdopen(fd, "wb");
}

/* Gives the unnamed file the temporary name, a moment before it is renamed. */
static bool give_name(const struct sim_outfile *f)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fileno(f->stream));
    return linkat(AT_FDCWD, link, AT_FDCWD, f->temporary, AT_SYMLINK_FOLLOW) == 0;
}

/* Where a link leads, so that the file behind it is replaced and not the link. */
static char *real_path(const char *path)
{
    char *resolved = realpath(path, NULL);
    return resolved ? resolved : sim_strdup(path);
}

struct sim_outfile *sim_outfile_open(const char *path, struct sim_status *st)
{
    struct stat is;
    if (stat(path, &is) == 0 && S_ISDIR(is.st_mode)) {
        sim_fail(st, "%s: is a directory, expected a file to write; name a file in it", path);
        return NULL;
    }
    struct sim_outfile *f = sim_alloc(1, sizeof *f);
    f->path = real_path(path);
    f->direct = stat(path, &is) == 0 && !S_ISREG(is.st_mode);
    if (f->direct) {
        f->stream = fopen(path, "wb");
        if (f->stream) return f;
    }
    f->temporary = sim_printf("%s.%ld.tmp", f->path, (long)getpid());
    if (!f->direct) f->stream = open_unnamed(f->path);
    f->unnamed = f->stream != NULL;
    if (!f->unnamed && !f->direct)
        f->stream = fopen(f->temporary, "wb"); /* not every file system has unnamed ones */
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
    bool written = !ferror(f->stream) && fflush(f->stream) == 0 &&
                   (f->direct || fsync(fileno(f->stream)) == 0) && (!f->unnamed || give_name(f));
    int why = errno;
    if (fclose(f->stream) != 0 && written) {
        why = errno;
        written = false;
    }
    if (written && !f->direct && rename(f->temporary, f->path) != 0) {
        why = errno;
        written = false;
    }
    if (!written) {
        if (!f->direct) unlink(f->temporary);
        sim_fail(st,
                 "%s: writing failed (%s), nothing was left behind; free some space or name another place",
                 f->path, strerror(why));
    }
    outfile_free(f);
    return written;
}

void sim_outfile_abandon(struct sim_outfile *f)
{
    if (!f) return;
    fclose(f->stream);
    if (!f->unnamed && !f->direct) unlink(f->temporary);
    outfile_free(f);
}

bool sim_is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
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
            made = sim_fail(
                st, "%s: cannot be made (%s), expected a writable parent directory; name another place", p,
                strerror(errno));
        *s = end;
        if (end == '\0') break;
    }
    free(p);
    struct stat is;
    if (made && (stat(path, &is) != 0 || !S_ISDIR(is.st_mode)))
        return sim_fail(st, "%s: is not a directory, expected one to write results into; name another place",
                        path);
    return made;
}
