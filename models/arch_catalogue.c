/* Finding an architecture by name: the files of models/catalogue, the ids and aliases that stand in them, or
 * a path. */
#include "models/arch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <jansson.h>

#include "models/yaml.h"
#include "sim/memory.h"

static bool ends_in(const char *word, const char *tail)
{
    size_t n = strlen(word), m = strlen(tail);
    return n > m && strcmp(word + n - m, tail) == 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **mdl_arch_names(const char *data_dir, struct sim_status *st)
{
    char *folder = sim_printf("%s/models/catalogue", data_dir);
    DIR *dir = opendir(folder);
    if (!dir)
        sim_fail(st, "%s: cannot be opened, expected the catalogue of models; check KVSIM_DATA", folder);
    free(folder);
    if (!dir) return NULL;
    char **names = sim_alloc(1, sizeof *names);
    size_t n = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || !ends_in(entry->d_name, ".json")) continue;
        names = sim_realloc(names, n + 2, sizeof *names);
        names[n] = sim_strdup(entry->d_name);
        names[n][strlen(names[n]) - 5] = '\0';
        names[++n] = NULL;
    }
    closedir(dir);
    qsort(names, n, sizeof *names, compare_names);
    return names;
}

void mdl_arch_names_free(char **names)
{
    for (char **name = names; name && *name; name++) free(*name);
    free(names);
}

/* Whether a catalogue file carries this id as its source or among its aliases; upper and lower case are
 * alike. */
static bool carries_id(const char *path, const char *id)
{
    json_t *config = json_load_file(path, 0, NULL);
    const char *source = json_string_value(json_object_get(config, "_source"));
    bool found = source && strcasecmp(source, id) == 0;
    const json_t *aliases = json_object_get(config, "_aliases");
    for (size_t i = 0; !found && i < json_array_size(aliases); i++) {
        const char *alias = json_string_value(json_array_get(aliases, i));
        found = alias && strcasecmp(alias, id) == 0;
    }
    json_decref(config);
    return found;
}

static char *catalogue_path(const char *data_dir, const char *name)
{
    return sim_printf("%s/models/catalogue/%s.json", data_dir, name);
}

/* Path of the catalogue file that goes by this name or id, or NULL; free with free(). */
static char *find_in_catalogue(const char *data_dir, char *const *names, const char *wanted)
{
    for (; *names; names++) {
        char *path = catalogue_path(data_dir, *names);
        if (strcasecmp(*names, wanted) == 0 || carries_id(path, wanted)) return path;
        free(path);
    }
    return NULL;
}

/* The config.json that a path means: the file itself, or the one in a folder; NULL when there is neither. */
static char *find_on_disk(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) return NULL;
    return S_ISDIR(info.st_mode) ? sim_printf("%s/config.json", path) : sim_strdup(path);
}

static bool unknown_model(const char *wanted, char *const *names, struct sim_status *st)
{
    const char *slash = strrchr(wanted, '/');
    struct mdl_hint hint = mdl_hint(slash ? slash + 1 : wanted, (const char *const *)names);
    return sim_fail(st,
                    "unknown model `%.100s`, expected one of `kvsim list models` or a path to a Hugging Face "
                    "config.json%s",
                    wanted, hint.text);
}

bool mdl_arch_load(const char *data_dir, const char *name_or_path, struct mdl_arch *out,
                   struct sim_status *st)
{
    char **names = mdl_arch_names(data_dir, st);
    if (!names) return false;
    char *path = ends_in(name_or_path, ".json") ? sim_strdup(name_or_path) : NULL;
    if (!path) path = find_in_catalogue(data_dir, names, name_or_path);
    if (!path) path = find_on_disk(name_or_path);
    bool ok = path ? mdl_arch_read(path, out, st) : unknown_model(name_or_path, names, st);
    free(path);
    mdl_arch_names_free(names);
    return ok;
}
