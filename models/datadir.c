#include "models/datadir.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/memory.h"

static bool holds_catalogue(const char *dir)
{
    char *csv = sim_printf("%s/models/gpus.csv", dir);
    bool found = access(csv, R_OK) == 0;
    free(csv);
    return found;
}

/* Cuts the last component of a path without `/` at its end. */
static void cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) *slash = '\0';
}

/* The running program's own path; free with free(). */
static char *program_path(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return sim_strdup(path);
}

/* `base` cut by `up` components, then `below`, if the catalogue is there; else NULL. */
static char *try_place(const char *base, int up, const char *below)
{
    char *path = sim_strdup(base);
    while (up--) cut_last(path);
    char *dir = sim_printf("%s%s", path, below);
    free(path);
    if (holds_catalogue(dir)) return dir;
    free(dir);
    return NULL;
}

char *mdl_data_dir(struct sim_status *st)
{
    const char *given = getenv("KVSIM_DATA");
    if (given && holds_catalogue(given)) return sim_strdup(given);
    if (given) {
        sim_fail(st, "%s: KVSIM_DATA names this folder, but it holds no models/gpus.csv; correct or unset it",
                 given);
        return NULL;
    }
    char *program = program_path();
    char *dir = try_place(program, 2, "");
    if (!dir) dir = try_place(program, 3, "");
    if (!dir) dir = try_place(program, 2, "/share/kvsim");
    if (!dir)
        sim_fail(st,
                 "no models/gpus.csv one or two folders above %s, nor in share/kvsim; set KVSIM_DATA to its "
                 "folder",
                 program);
    free(program);
    return dir;
}
