#include "kernels/kvbench/runfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "kernels/kvbench/util.h"
#include "kernels/kvbench/version.h"

static json_t *model_json(const struct kb_model *m)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "name", m->name, "hidden",
                     (int)m->hidden, "intermediate", (int)m->intermediate, "vocab", (int)m->vocab, "layers",
                     (int)m->n_layers, "q_heads", (int)m->n_q_heads, "kv_heads", (int)m->n_kv_heads,
                     "head_dim", (int)m->head_dim, "tensor_parallel", (int)m->tensor_parallel);
}

static json_t *identity_json(const struct kvb_identity *id)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "kvbench", KVB_VERSION, "device", id->device->kind,
                     "name", id->device->info.name, "driver", id->device->info.driver, "suite", id->suite,
                     "model", model_json(id->model));
}

static bool is_empty(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n <= 2; /* . and .. */
}

static bool write_new(const char *folder, const char *path, json_t *id, struct kb_error *err)
{
    struct kvb_file file;
    if (!is_empty(folder))
        return kb_fail(err, "%s: is not empty and holds no run of kvbench; name another folder", folder);
    if (!kvb_file_begin(&file, path, err)) return false;
    json_dumpf(id, file.f, JSON_INDENT(2));
    fputc('\n', file.f);
    return kvb_file_commit(&file, err);
}

/* Key by key; `in` says of what. */
static bool same(const char *path, const char *in, json_t *there, json_t *id, struct kb_error *err)
{
    const char *key;
    json_t *value;
    bool ok = true;
    json_object_foreach(id, key, value)
    {
        json_t *old = json_object_get(there, key);
        if (!ok || json_equal(old, value)) continue;
        if (json_is_object(value) && json_is_object(old)) {
            ok = same(path, "model is another: ", old, value, err);
            continue;
        }
        char *was = json_dumps(old, JSON_ENCODE_ANY | JSON_COMPACT),
             *now = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        ok =
            kb_fail(err, "%s: holds another run (its %s%s is %.120s, this one's %.120s); name another folder",
                    path, in, key, was ? was : "missing", now);
        free(was);
        free(now);
    }
    return ok;
}

/* The run there must be this one. */
static bool compare(const char *path, json_t *id, struct kb_error *err)
{
    json_error_t why;
    json_t *there = json_load_file(path, 0, &why);
    if (!there) return kb_fail(err, "%s:%d: %.120s; name another folder", path, why.line, why.text);
    bool ok = same(path, "", there, id, err);
    json_decref(there);
    return ok;
}

/* The lock goes with the process, however it ends. */
static bool take_lock(const char *path, int *lock, struct kb_error *err)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *lock = open(path, O_RDWR | O_CLOEXEC);
    if (*lock < 0) return kb_fail(err, "%s: cannot be opened (%s)", path, strerror(errno));
    if (fcntl(*lock, F_SETLK, &whole) == 0 || (errno != EACCES && errno != EAGAIN)) return true;
    close(*lock);
    return kb_fail(err, "%s: another kvbench is writing there; wait for it or name another folder", path);
}

bool kvb_runfile_open(const char *folder, const struct kvb_identity *id, bool *resumed, int *lock,
                      struct kb_error *err)
{
    if (!kvb_folder_make(folder, err)) return false;
    char *path = kvb_printf("%s/run.json", folder);
    json_t *now = identity_json(id);
    *resumed = access(path, F_OK) == 0;
    bool ok = *resumed ? compare(path, now, err) : write_new(folder, path, now, err);
    ok = ok && take_lock(path, lock, err);
    json_decref(now);
    free(path);
    return ok;
}
