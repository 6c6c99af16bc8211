#include "calib/tables.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>

#include "calib/sha256.h"
#include "sim/memory.h"

static const char *const AIC_FILES[] = {"gemm_perf.csv",
                                        "context_attention_perf.csv",
                                        "generation_attention_perf.csv",
                                        "custom_allreduce_perf.csv",
                                        "nccl_perf.csv",
                                        NULL};
static const char *const VIDUR_FILES[] = {".attention.csv", ".mlp.csv", ".all_reduce.csv", NULL};
static const char *const KVBENCH_FILES[] = {"profile.yaml",         "gemm.csv",    "attention_prefill.csv",
                                            "attention_decode.csv", "rmsnorm.csv", "rope.csv",
                                            "swiglu.csv",           NULL};

typedef bool read_fn(struct cal_tables *t, const char *root, const char *relative, struct sim_status *st);
static const struct format {
    const char *from;
    const char *const *files;
    read_fn *read;
} formats[] = {{"aiconfigurator", AIC_FILES, cal_aiconfigurator_read},
               {"vidur", VIDUR_FILES, cal_vidur_read},
               {"kvbench", KVBENCH_FILES, cal_kvbench_read}};

static const struct format *format_of(const char *from, const char *of, struct sim_status *st)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].from, from) == 0) return &formats[i];
    sim_fail(st, "%s: tables from `%s`, expected aiconfigurator, vidur or kvbench", of, from);
    return NULL;
}

void cal_tables_fini(struct cal_tables *t)
{
    for (int f = 0; f < MDL_N_FAMILY; f++) free(t->family[f].point);
    for (uint32_t i = 0; i < t->n_raw; i++) free(t->raw[i].path);
    free(t->past.point);
    free(t->kind);
    free(t->device);
    free(t->engine);
    free(t->kernels);
    free(t->raw);
    *t = (struct cal_tables){0};
}

void cal_table_add(struct cal_table *t, const struct cal_point *p)
{
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 1024;
        t->point = sim_realloc(t->point, t->room, sizeof *t->point);
    }
    t->point[t->n++] = *p;
}

static int compare(const void *va, const void *vb)
{
    const struct cal_point *a = va, *b = vb;
    int order = 0;
    for (int i = 0; i < MDL_MAX_KEYS && order == 0; i++)
        order = (a->key[i] > b->key[i]) - (a->key[i] < b->key[i]);
    if (order == 0) order = (a->size > b->size) - (a->size < b->size);
    if (order == 0) order = (a->past > b->past) - (a->past < b->past);
    /* The last word: equal launches merge in one order whatever the file's. */
    return order ? order : (a->time_s > b->time_s) - (a->time_s < b->time_s);
}

static bool same_launch(const struct cal_point *a, const struct cal_point *b)
{
    return memcmp(a->key, b->key, sizeof a->key) == 0 && a->size == b->size && a->past == b->past;
}

static void settle(struct cal_table *t)
{
    size_t out = 0;
    if (t->n == 0) return;
    qsort(t->point, t->n, sizeof *t->point, compare);
    for (size_t i = 0; i < t->n;) {
        double sum = 0;
        size_t end = i;
        for (; end < t->n && same_launch(&t->point[i], &t->point[end]); end++)
            sum += log(t->point[end].time_s);
        t->point[out] = t->point[i];
        if (end > i + 1) t->point[out].time_s = exp(sum / (double)(end - i));
        out++;
        i = end;
    }
    t->n = out;
}

void cal_tables_settle(struct cal_tables *t)
{
    for (int f = 0; f < MDL_N_FAMILY; f++) settle(&t->family[f]);
    settle(&t->past);
}

/* Settled tables fit a sheet: a file of the right form with absurd many sizes is refused, not fitted. */
static bool check_limits(const struct cal_tables *t, const char *of, struct sim_status *st)
{
    enum { MOST_POINTS = 1 << 21, MOST_SIZES = 1000, MOST_BATCHES = 256 };
    for (int f = 0; f < MDL_N_FAMILY; f++) {
        const struct cal_table *table = &t->family[f];
        double *size = sim_alloc(2 * table->n + 1, sizeof *size), *batch = size + table->n;
        size_t n_sizes = 0, n_batches = 0;
        for (size_t i = 0; i < table->n; i++) {
            size[i] = table->point[i].size;
            batch[i] = table->point[i].key[4];
        }
        gsl_sort(size, 1, table->n);
        gsl_sort(batch, 1, table->n);
        for (size_t i = 0; i < table->n; i++) {
            n_sizes += i == 0 || size[i] != size[i - 1];
            n_batches += i == 0 || batch[i] != batch[i - 1];
        }
        free(size);
        if (table->n > MOST_POINTS || n_sizes > MOST_SIZES || n_batches > MOST_BATCHES)
            return sim_fail(
                st,
                "%s: %s has %zu launches of %zu sizes and %zu batches, expected at most %d, %d and %d; "
                "thin the table",
                of, mdl_family_name((enum mdl_family)f), table->n, n_sizes, n_batches, MOST_POINTS,
                MOST_SIZES, MOST_BATCHES);
    }
    return true;
}

bool cal_tables_note_file(struct cal_tables *t, const char *root, const char *relative, struct sim_status *st)
{
    char *path = sim_printf("%s/%s", root, relative);
    struct mdl_raw_file file = {.path = NULL};
    bool ok = cal_sha256_file(path, file.sha256, st);
    free(path);
    if (!ok) return false;
    file.path = sim_strdup(relative);
    t->raw = sim_realloc(t->raw, t->n_raw + 1, sizeof *t->raw);
    t->raw[t->n_raw++] = file;
    return true;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- folders ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a folder, sorted; NULL when it is none. */
static char **list_folder(const char *path, size_t *n)
{
    DIR *dir = opendir(path);
    char **name = NULL;
    *n = 0;
    if (!dir) return NULL;
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        name = sim_realloc(name, *n + 1, sizeof *name);
        name[(*n)++] = sim_strdup(e->d_name);
    }
    closedir(dir);
    if (*n) qsort(name, *n, sizeof *name, by_name);
    return name;
}

static void free_names(char **name, size_t n)
{
    for (size_t i = 0; i < n; i++) free(name[i]);
    free(name);
}

/* The file in a folder whose name ends so, the last by name; or NULL. */
static char *find_table(const char *root, const char *folder, const char *end)
{
    char *found = NULL, *path = sim_printf("%s/%s", root, folder);
    size_t n;
    char **name = list_folder(path, &n);
    for (size_t i = 0; i < n; i++) {
        if (!ends_with(name[i], end)) continue;
        free(found);
        found = sim_printf("%s/%s", folder, name[i]);
    }
    free_names(name, n);
    free(path);
    return found;
}

/* The same in the folder or one below it: the last (newest) version directory that has the table. */
static char *find_table_below(const char *root, const char *folder, const char *end)
{
    char *found = find_table(root, folder, end), *path = sim_printf("%s/%s", root, folder);
    size_t n;
    char **name = list_folder(path, &n);
    for (size_t i = 0; i < n; i++) {
        char *sub = sim_printf("%s/%s", folder, name[i]);
        char *inner = find_table(root, sub, end);
        if (inner) {
            free(found);
            found = inner;
        }
        free(sub);
    }
    free_names(name, n);
    free(path);
    return found;
}

bool cal_tables_read_folder(struct cal_tables *t, const char *from, const char *root, const char *folder,
                            struct sim_status *st)
{
    const struct format *format = format_of(from, folder, st);
    if (!format) return false;
    for (const char *const *end = format->files; *end; end++) {
        char *relative = find_table_below(root, folder, *end);
        bool ok =
            !relative || (format->read(t, root, relative, st) && cal_tables_note_file(t, root, relative, st));
        free(relative);
        if (!ok) return false;
    }
    cal_tables_settle(t);
    if (t->n_raw > 0) return check_limits(t, folder, st);
    return sim_fail(
        st, "%s/%s: no tables from %s there, expected gemm_perf.csv or *.attention.csv ...; check the folder",
        root, folder, from);
}

bool cal_tables_read_profile(struct cal_tables *t, const struct mdl_profile *p, const char *root,
                             struct sim_status *st)
{
    const struct format *format = format_of(p->origin, p->name, st);
    if (!format) return false;
    for (uint32_t i = 0; i < p->n_raw; i++) {
        const struct mdl_raw_file *file = &p->raw[i];
        if (strstr(file->path, "..") || file->path[0] == '/')
            return sim_fail(st, "profile %s: raw table `%s`, expected a path below the folder of raw tables",
                            p->name, file->path);
        if (!format->read(t, root, file->path, st) || !cal_tables_note_file(t, root, file->path, st))
            return false;
        if (strcmp(t->raw[t->n_raw - 1].sha256, file->sha256) != 0)
            return sim_fail(st, "%s/%s: sha256 is %s, expected %s as in profile %s; fit the profile again",
                            root, file->path, t->raw[t->n_raw - 1].sha256, file->sha256, p->name);
    }
    cal_tables_settle(t);
    return check_limits(t, p->name, st);
}
