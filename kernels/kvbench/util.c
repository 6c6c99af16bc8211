#include "kernels/kvbench/util.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct kvb_date kvb_date_now(void)
{
    struct kvb_date d;
    struct tm utc;
    time_t now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(d.text, sizeof d.text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return d;
}

/* --- memory --- */

static void *or_abort(void *p)
{
    if (p) return p;
    fputs("out of memory\n", stderr);
    abort();
}

void *kvb_alloc(size_t n, size_t size)
{
    return or_abort(calloc(n ? n : 1, size));
}

void *kvb_grow(void *p, size_t *room, size_t n, size_t size)
{
    if (n <= *room) return p;
    *room = n < 16 ? 16 : 2 * n;
    return or_abort(realloc(p, *room * size));
}

char *kvb_printf(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = kvb_alloc((size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

/* --- files --- */

bool kvb_folder_make(const char *path, struct kb_error *err)
{
    char *copy = kvb_printf("%s", path);
    bool ok = true;
    for (char *p = copy + 1; ok && p[-1]; p++) {
        if (*p != '/' && *p) continue;
        char was = *p;
        *p = '\0';
        ok = mkdir(copy, 0777) == 0 || errno == EEXIST;
        *p = was;
    }
    struct stat s;
    if (!ok)
        kb_fail(err, "%s: cannot be made (%s); name another folder", path, strerror(errno));
    else if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode))
        ok = kb_fail(err, "%s: is not a folder; name another", path);
    free(copy);
    return ok;
}

void kvb_file_abandon(struct kvb_file *file)
{
    if (file->f) fclose(file->f);
    if (file->temporary) unlink(file->temporary);
    free(file->path);
    free(file->temporary);
    *file = (struct kvb_file){0};
}

static bool cannot_write(struct kvb_file *file, struct kb_error *err)
{
    kb_fail(err, "%s: cannot be written (%s); make room or name another place", file->path, strerror(errno));
    kvb_file_abandon(file);
    return false;
}

bool kvb_file_begin(struct kvb_file *file, const char *path, struct kb_error *err)
{
    struct stat s;
    if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) { /* known now, not after the measurement */
        *file = (struct kvb_file){0};
        return kb_fail(err, "%s: is a folder, expected a file to write; name a file in it", path);
    }
    *file = (struct kvb_file){.path = kvb_printf("%s", path),
                              .temporary = kvb_printf("%s.part-%ld", path, (long)getpid())};
    file->f = fopen(file->temporary, "w");
    return file->f || cannot_write(file, err);
}

bool kvb_file_commit(struct kvb_file *file, struct kb_error *err)
{
    bool written = fflush(file->f) == 0 && !ferror(file->f) && fsync(fileno(file->f)) == 0;
    if (!written || rename(file->temporary, file->path) != 0) return cannot_write(file, err);
    free(file->temporary);
    file->temporary = NULL;
    kvb_file_abandon(file);
    return true;
}

void kvb_yaml_text(FILE *f, const char *text)
{
    fputc('"', f);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(f, "\\x%02x", *p);
        else
            fputc(*p, f);
    }
    fputc('"', f);
}

/* --- stopping --- */

static volatile sig_atomic_t interrupted; /* a signal handler can reach nothing else */

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void kvb_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool kvb_interrupted(void)
{
    return interrupted != 0;
}
