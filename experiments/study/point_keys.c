/* Keys of points: a scenario's values by the table of keys, paths replaced by the contents of what they name. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "calib/sha256.h"
#include "experiments/keys.h"
#include "experiments/scenario_out.h"
#include "experiments/study/point.h"
#include "experiments/values.h"
#include "sim/memory.h"

enum { HEX = 65, MAX_FILES_OF_FOLDER = 512 };

/* Which bytes a path named when they were read. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct digest {
    char *path;
    char hex[HEX];
    struct stamp stamp; /* of a folder nothing: its files have theirs */
    bool folder;
};

struct exp_hasher {
    struct exp_cache *cache;
    char shipped[HEX]; /* of what every run reads: catalogue, lengths, quality; and of the prices */
    pthread_mutex_t lock;
    struct digest *known;
    size_t n_known;
};

/* ---- contents ---- */

static const struct digest *lookup(const struct exp_hasher *h, const char *path)
{
    for (size_t i = 0; i < h->n_known; i++)
        if (strcmp(h->known[i].path, path) == 0) return &h->known[i];
    return NULL;
}

static void remember(struct exp_hasher *h, const char *path, const struct digest *d)
{
    h->known = sim_realloc(h->known, h->n_known + 1, sizeof *h->known);
    h->known[h->n_known] = *d;
    h->known[h->n_known++].path = sim_strdup(path);
}

static bool stamp_of(const char *path, struct stamp *out, struct sim_status *st)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return sim_fail(st, "%s: cannot be read (%s), expected a file that a scenario of the study names",
                        path, strerror(errno));
    if (!S_ISREG(s.st_mode))
        return sim_fail(st,
                        "%s: is no regular file, and a study tells its points apart by what files hold; "
                        "expected a file; write it to one",
                        path);
    *out = (struct stamp){s.st_dev, s.st_ino, s.st_size, s.st_mtim};
    return true;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* What was loaded is what it held then, and no key says so any more. */
static bool changed(const char *path, struct sim_status *st)
{
    return sim_fail(st,
                    "%s: was changed while the study ran, expected it to stay as it was; start again, points "
                    "that are stored belong to what it held before",
                    path);
}

static bool read_file(const char *path, struct digest *out, struct sim_status *st)
{
    struct sim_status why = {0};
    if (!stamp_of(path, &out->stamp, st)) return false;
    if (cal_sha256_file(path, out->hex, &why)) return true;
    return sim_fail(st, "%s: cannot be read (%s), expected a file that a scenario of the study names", path,
                    strerror(errno));
}

/* sha256 of a file; each is read once, and stays as it was then. */
static bool file_hash(struct exp_hasher *h, const char *path, char hex[HEX], struct sim_status *st)
{
    struct digest d = {0};
    pthread_mutex_lock(&h->lock);
    const struct digest *known = lookup(h, path);
    bool ok = known ? stamp_of(path, &d.stamp, st) : read_file(path, &d, st);
    if (ok && known) ok = same_stamp(&known->stamp, &d.stamp) || changed(path, st);
    if (ok) memcpy(hex, known ? known->hex : d.hex, HEX);
    if (ok && !known) remember(h, path, &d);
    pthread_mutex_unlock(&h->lock);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the files in a folder that are read as data, sorted; the caller's, also on failure. */
static bool list_folder(const char *dir, char *names[MAX_FILES_OF_FOLDER], size_t *n, struct sim_status *st)
{
    DIR *d = opendir(dir);
    *n = 0;
    if (!d) return sim_fail(st, "%s: cannot be listed (%s), expected a folder", dir, strerror(errno));
    bool fits = true;
    for (struct dirent *e; fits && (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        if (e->d_name[0] == '.' || !dot || (strcmp(dot, ".csv") != 0 && strcmp(dot, ".yaml") != 0)) continue;
        fits = *n < MAX_FILES_OF_FOLDER;
        if (fits) names[(*n)++] = sim_strdup(e->d_name);
    }
    closedir(d);
    qsort(names, *n, sizeof *names, by_name);
    return fits ||
           sim_fail(st, "%s: holds more than %d files, expected a profile's", dir, MAX_FILES_OF_FOLDER);
}

/* The folder as it was when it was first asked for? */
static bool same_folder(struct exp_hasher *h, const char *dir, const char hex[HEX], struct sim_status *st)
{
    struct digest d = {.folder = true};
    memcpy(d.hex, hex, HEX);
    pthread_mutex_lock(&h->lock);
    const struct digest *known = lookup(h, dir);
    bool same = !known || strcmp(known->hex, hex) == 0;
    if (!known) remember(h, dir, &d);
    pthread_mutex_unlock(&h->lock);
    return same || changed(dir, st);
}

/* Of names and contents of all the data in a folder. */
static bool folder_hash(struct exp_hasher *h, const char *dir, char hex[HEX], struct sim_status *st)
{
    char *names[MAX_FILES_OF_FOLDER], one[HEX];
    size_t n;
    struct cal_sha256 all;
    bool ok = list_folder(dir, names, &n, st);
    cal_sha256_init(&all);
    for (size_t i = 0; i < n; i++) {
        char *path = sim_printf("%s/%s", dir, names[i]);
        ok = ok && file_hash(h, path, one, st);
        if (ok) {
            cal_sha256_add(&all, names[i], strlen(names[i]) + 1);
            cal_sha256_add(&all, one, HEX);
        }
        free(path);
        free(names[i]);
    }
    if (!ok) return false;
    cal_sha256_end(&all, hex);
    return same_folder(h, dir, hex, st);
}

/* ---- what ships ---- */

static bool add_shipped(struct exp_hasher *h, const char *relative, struct cal_sha256 *all,
                        struct sim_status *st)
{
    char hex[HEX], *path = sim_printf("%s/%s", exp_cache_data_dir(h->cache), relative);
    struct stat s;
    bool folder = stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    bool ok = folder ? folder_hash(h, path, hex, st) : file_hash(h, path, hex, st);
    free(path);
    if (ok) cal_sha256_add(all, hex, HEX);
    return ok;
}

struct exp_hasher *exp_hasher_new(struct exp_cache *cache, const char *prices, struct sim_status *st)
{
    static const char *const shipped[] = {"models/gpus.csv", "models/lengths.csv", "models/quality",
                                          "models/prices"};
    struct exp_hasher *h = sim_alloc(1, sizeof *h);
    struct cal_sha256 all;
    char hex[HEX];
    bool ok = true;
    h->cache = cache;
    pthread_mutex_init(&h->lock, NULL);
    cal_sha256_init(&all);
    for (size_t i = 0; ok && i < sizeof shipped / sizeof *shipped; i++)
        ok = add_shipped(h, shipped[i], &all, st);
    if (ok && prices[0] && (ok = file_hash(h, prices, hex, st))) cal_sha256_add(&all, hex, HEX);
    if (ok) {
        cal_sha256_end(&all, h->shipped);
        return h;
    }
    exp_hasher_free(h);
    return NULL;
}

void exp_hasher_free(struct exp_hasher *h)
{
    if (!h) return;
    for (size_t i = 0; i < h->n_known; i++) free(h->known[i].path);
    free(h->known);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* ---- a scenario ---- */

struct keying {
    struct exp_hasher *h;
    const struct exp_scenario *s;
    uint32_t n_replications;
    struct cal_sha256 setup; /* with paths as they are */
    struct cal_sha256 key;   /* with contents in their place */
    struct sim_status *st;
};

static void add_text(struct cal_sha256 *to, const char *text)
{
    cal_sha256_add(to, text, strlen(text) + 1);
}

static void add_bytes(struct keying *k, const void *bytes, size_t n)
{
    cal_sha256_add(&k->setup, bytes, n);
    cal_sha256_add(&k->key, bytes, n);
}

static void add_word(struct keying *k, const char *text)
{
    add_bytes(k, text, strlen(text) + 1);
}

static bool add_file(struct keying *k, const char *path)
{
    char hex[HEX];
    if (!file_hash(k->h, path, hex, k->st)) return false;
    cal_sha256_add(&k->key, hex, HEX);
    return true;
}

static bool add_folder(struct keying *k, char *dir)
{
    char hex[HEX];
    bool ok = dir && folder_hash(k->h, dir, hex, k->st);
    if (ok) cal_sha256_add(&k->key, hex, HEX);
    free(dir);
    return ok;
}

static size_t field_size(const struct exp_key *key)
{
    if (key->optional) return sizeof(struct exp_number);
    switch (key->type) {
    case EXP_CHOICE:
    case EXP_STRATEGY:
        return sizeof(int);
    case EXP_COUNT:
        return sizeof(uint64_t);
    case EXP_REAL:
        return sizeof(double);
    case EXP_FLAG:
        return sizeof(bool);
    case EXP_RANGE:
        return 2 * sizeof(double);
    default:
        return 0; /* a text */
    }
}

/* A number as its bytes; an optional one that is not given says nothing. */
static void add_number(struct keying *k, const struct exp_key *key, const void *field, size_t size)
{
    const struct exp_number *number = field;
    if (key->optional && !number->given) return;
    add_word(k, key->name);
    if (key->optional)
        add_bytes(k, &number->value, sizeof number->value);
    else
        add_bytes(k, field, size);
}

/* Files of other kinds (profiles, engines, architectures) are added where it is known what they are. */
static bool add_named(struct keying *k, const struct exp_key *key, const char *text)
{
    bool lengths = key->type == EXP_LENGTHS && strncmp(text, "file:", 5) == 0;
    add_word(k, key->name);
    add_text(&k->setup, text);
    if (lengths || key->type == EXP_PATH) return add_file(k, text + (lengths ? 5 : 0));
    if (!exp_value_is_path(key, text)) add_text(&k->key, text);
    return true;
}

/* What a fleet is called determines nothing that is stored. */
static bool is_label(const struct exp_key *key)
{
    return key->scope == EXP_IN_FLEET && strcmp(key->name, "name") == 0;
}

static bool add_scope(struct keying *k, enum exp_scope scope, const void *base)
{
    bool ok = true;
    for (size_t i = 0; ok && i < exp_key_count(); i++) {
        const struct exp_key *key = exp_key_at(i);
        const void *field = (const char *)base + key->offset;
        if (key->scope != scope || exp_scenario_ignores(k->s, key) || is_label(key)) continue;
        size_t size = field_size(key);
        if (size)
            add_number(k, key, field, size);
        else if (*(const char *)field)
            ok = add_named(k, key, field);
    }
    return ok;
}

/* An architecture is all that its file says, whatever the file is called. */
static bool add_arch(struct keying *k)
{
    const struct mdl_arch *a = exp_cache_arch(k->h->cache, k->s->model, k->st);
    if (!a) return false;
    const uint32_t numbers[] = {
        a->n_layers,       a->hidden,          a->intermediate, a->vocab,
        a->n_q_heads,      a->n_kv_heads,      a->head_dim,     a->max_position_embeddings,
        a->sliding_window, a->tied_embeddings, a->qkv_bias,     a->o_bias,
        a->mlp_bias,       a->qk_norm,         a->gated_mlp};
    cal_sha256_add(&k->key, numbers, sizeof numbers);
    return true;
}

static bool add_engine(struct keying *k, const struct exp_fleet_keys *f)
{
    const char *name = f->engine.name[0] ? f->engine.name : k->s->engine.name;
    const struct mdl_engine *e = name[0] ? exp_cache_engine(k->h->cache, name, k->st) : NULL;
    return !name[0] || (e && add_file(k, e->path));
}

/* Replications draw by a profile's name, which is its folder's: fleets of one profile err together. */
static void add_last_part(struct keying *k, const char *path)
{
    size_t end = strlen(path), begin;
    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/'; begin--) continue;
    cal_sha256_add(&k->key, path + begin, end - begin);
    add_text(&k->key, "");
}

static bool add_profile(struct keying *k, const struct exp_fleet_keys *f, const struct mdl_gpu *gpu)
{
    const char *name = f->profile[0] ? f->profile : gpu->profile, *data = exp_cache_data_dir(k->h->cache);
    if (!name[0] || strcmp(name, "analytic") == 0) return true;
    if (k->n_replications) add_last_part(k, name);
    return add_folder(k, exp_profile_dir(data, name, k->st));
}

static bool add_kernels(struct keying *k, const struct exp_fleet_keys *f, const struct mdl_gpu *gpu)
{
    const char *data = exp_cache_data_dir(k->h->cache);
    if (f->kv.kernels[0]) return add_folder(k, exp_profile_dir(data, f->kv.kernels, k->st));
    struct sim_status absent = {0};
    char *name = sim_printf("%s-kvbench", gpu->name), *dir = exp_profile_dir(data, name, &absent);
    free(name);
    return !dir || add_folder(k, dir);
}

static bool add_fleet(struct keying *k, const struct exp_fleet_keys *f)
{
    const struct mdl_gpu *gpu = mdl_gpu_find(exp_cache_gpus(k->h->cache), f->gpu, k->st);
    return gpu && add_scope(k, EXP_IN_FLEET, f) && add_scope(k, EXP_IN_ENGINE, &f->engine) &&
           add_engine(k, f) && add_profile(k, f, gpu) && add_kernels(k, f, gpu);
}

static bool add_class(struct keying *k, const struct exp_class_keys *c)
{
    add_word(k, c->name);
    return add_scope(k, EXP_IN_CLASS, c) && add_scope(k, EXP_IN_SLO, &c->slo);
}

static bool add_scenario(struct keying *k)
{
    const struct exp_scenario *s = k->s;
    bool ok = add_scope(k, EXP_IN_SCENARIO, s) && add_scope(k, EXP_IN_ENGINE, &s->engine) && add_arch(k);
    if (ok && s->slo_given) ok = add_scope(k, EXP_IN_SLO, &s->slo);
    for (uint32_t i = 0; ok && i < s->n_fleets; i++) ok = add_fleet(k, &s->fleet[i]);
    for (uint32_t i = 0; ok && i < s->n_classes; i++) ok = add_class(k, &s->classes[i]);
    return ok;
}

/* The first 128 bits. */
static void finish(struct cal_sha256 *sum, char key[EXP_KEY_BYTES])
{
    char hex[HEX];
    cal_sha256_end(sum, hex);
    memcpy(key, hex, EXP_KEY_BYTES - 1);
    key[EXP_KEY_BYTES - 1] = '\0';
}

bool exp_point_keys(struct exp_hasher *h, const struct exp_scenario *s, uint32_t n_replications,
                    char key[EXP_KEY_BYTES], char setup[EXP_KEY_BYTES], struct sim_status *st)
{
    struct keying k = {.h = h, .s = s, .n_replications = n_replications, .st = st};
    if (!exp_scenario_check(s, st)) return false;
    cal_sha256_init(&k.setup);
    cal_sha256_init(&k.key);
    add_bytes(&k, &n_replications, sizeof n_replications);
    if (!add_scenario(&k)) return false;
    add_text(&k.key, h->shipped);
    add_text(&k.key, exp_model_version());
    finish(&k.setup, setup);
    finish(&k.key, key);
    return true;
}

/* ---- for people ---- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct digest *)a)->path, ((const struct digest *)b)->path);
}

json_t *exp_hasher_json(struct exp_hasher *h)
{
    json_t *files = json_array();
    pthread_mutex_lock(&h->lock);
    qsort(h->known, h->n_known, sizeof *h->known, by_path);
    for (size_t i = 0; i < h->n_known; i++)
        if (!h->known[i].folder)
            json_array_append_new(
                files, json_pack("{s:s?, s:s}", "path", h->known[i].path, "sha256", h->known[i].hex));
    pthread_mutex_unlock(&h->lock);
    return json_pack("{s:s, s:o}", "model_version", exp_model_version(), "files", files);
}
