#include "experiments/study/store/store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiments/study/store/store_parts.h"
#include "sim/memory.h"

static const double OPEN_S = 2;
enum {
    BUSY_MS = 2000,          /* somebody else's transaction: a person with sqlite3 in a terminal */
    OPEN_BUSY_MS = 50,       /* the same while opening, which is tried again */
    LOG_PAGES = 10000,       /* 40 MB, then the log is folded into the file, which waits for the disk twice */
    LOG_BYTES = 64 << 20,    /* that a log keeps, which one large transaction made larger */
    CACHE_KIB = 32 << 10,    /* keys lie anywhere in an index: with the 2 MB of sqlite most are read anew */
    LARGEST_BYTES = 64 << 20 /* of a text in a row */
};

static struct exp_store *store_new(const char *path, enum exp_store_mode mode)
{
    struct exp_store *s = sim_alloc(1, sizeof *s);
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&s->mutex, &how);
    pthread_mutexattr_destroy(&how);
    s->path = sim_strdup(path);
    s->mode = mode;
    exp_process_self(&s->self);
    return s;
}

static void close_file(struct exp_store *s)
{
    for (int i = 0; i < EXP_N_STATEMENTS; i++) {
        sqlite3_finalize(s->made[i]);
        s->made[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
}

static void store_free(struct exp_store *s)
{
    close_file(s);
    for (size_t i = 0; i < s->n_columns; i++) free(s->columns[i]);
    free(s->columns);
    free(s->has_measure);
    free(s->study);
    free(s->path);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* Opened, with nothing in the file trusted: its triggers and views are not run. */
static bool open_file(struct exp_store *s, const char *name, int flags, struct sim_status *st)
{
    if (sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return exp_store_fail(s, st);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, LARGEST_BYTES);
    sqlite3_busy_timeout(s->db, OPEN_BUSY_MS);
    return exp_store_exec(s, "PRAGMA cell_size_check = ON", st);
}

/* sqlite takes "file:..." for a URI and ":memory:" for no file. */
static char *plain_name(const char *path)
{
    return path[0] == '/' ? sim_strdup(path) : sim_printf("./%s", path);
}

/* ---- to write ---- */

/* Locks the file for this process alone before anything of its log is touched: then the log's index lies in this
 * process's memory instead of in memory that is mapped from a file, which network file systems cannot share. */
static bool lock_alone(struct exp_store *s, struct sim_status *st)
{
    return exp_store_exec(s, "PRAGMA locking_mode = EXCLUSIVE", st) &&
           exp_store_exec(s, "BEGIN EXCLUSIVE; COMMIT", st);
}

static bool set_up_log(struct exp_store *s, struct sim_status *st)
{
    char pragmas[200];
    snprintf(pragmas, sizeof pragmas,
             "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d;"
             " PRAGMA cache_size = -%d",
             LOG_PAGES, LOG_BYTES, CACHE_KIB);
    sqlite3_stmt *q = exp_store_prepare(s, "PRAGMA journal_mode = WAL", st);
    if (!q) return false;
    bool ok = sqlite3_step(q) == SQLITE_ROW || exp_store_fail(s, st);
    const char *mode = ok ? (const char *)sqlite3_column_text(q, 0) : NULL;
    if (ok && (!mode || strcmp(mode, "wal") != 0))
        ok =
            sim_fail(st, "%s: its file system cannot hold a write-ahead log; give --db a file on another one",
                     s->path);
    sqlite3_finalize(q);
    return ok && exp_store_exec(s, pragmas, st);
}

static bool begin_writing(struct exp_store *s, struct sim_status *st)
{
    char *name = plain_name(s->path);
    bool made;
    bool ok = open_file(s, name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, st);
    free(name);
    ok = ok && (s->mode != EXP_STORE_SHARD || lock_alone(s, st)) && exp_store_identify(s, &made, st) &&
         (!made || (exp_store_check(s, st) && exp_store_columns(s, st))) && set_up_log(s, st) &&
         exp_store_begin(s, st);
    if (!ok) return false;
    ok = exp_store_migrate(s, st) && exp_store_take_lease(s, st);
    return exp_store_end(s, ok, st);
}

/* ---- to read ---- */

/* As a file that nobody can change: of a folder that cannot be written, where a log's index cannot be made. */
static bool open_unchanging(struct exp_store *s, struct sim_status *st)
{
    sqlite3_str *uri = sqlite3_str_new(NULL);
    char *name = plain_name(s->path);
    sqlite3_str_appendall(uri, "file:");
    for (const char *c = name; *c; c++) sqlite3_str_appendf(uri, strchr("?#%", *c) ? "%%%02x" : "%c", *c);
    sqlite3_str_appendall(uri, "?immutable=1");
    char *text = exp_store_sql(uri);
    close_file(s);
    bool ok = open_file(s, text, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, st);
    sqlite3_free(text);
    free(name);
    return ok;
}

/* A log with something in it must be read with the file. */
static bool has_log(const struct exp_store *s)
{
    char *log = sim_printf("%s-wal", s->path);
    struct stat is;
    bool has = stat(log, &is) == 0 && is.st_size > 0;
    free(log);
    return has;
}

static bool read_identity(struct exp_store *s, struct sim_status *st)
{
    bool made;
    if (!exp_store_identify(s, &made, st)) return false;
    if (made) return exp_store_whole(s, st);
    return sim_fail(st, "%s: is empty, expected the file that `kvsim sweep --db` wrote", s->path);
}

/* Opened to write where that may be done, so that a log that a killed process left is folded in and no empty one stays, but
 * no statement may change anything. */
static bool begin_reading(struct exp_store *s, struct sim_status *st)
{
    struct sim_status first = {0};
    char *name = plain_name(s->path);
    bool ok = open_file(s, name, SQLITE_OPEN_READWRITE, &first) &&
              exp_store_exec(s, "PRAGMA query_only = ON", &first);
    free(name);
    if (ok && s->network && !sqlite3_db_readonly(s->db, "main"))
        ok = exp_store_exec(s, "PRAGMA locking_mode = EXCLUSIVE", &first);
    ok = ok && read_identity(s, &first);
    if (!ok && s->db &&
        (sqlite3_errcode(s->db) == SQLITE_CANTOPEN || sqlite3_errcode(s->db) == SQLITE_READONLY) &&
        !has_log(s))
        ok = open_unchanging(s, st) && read_identity(s, st);
    return (ok || sim_fail_as(st, first.code, "%s", first.message)) && exp_store_columns(s, st);
}

/* ---- both ---- */

static bool try_open(struct exp_store *s, struct sim_status *st)
{
    struct stat is = {0};
    s->busy = false;
    bool ok = s->mode == EXP_STORE_READ ? begin_reading(s, st) : begin_writing(s, st);
    if (!ok) {
        exp_store_give_lease(s);
        close_file(s);
        return false;
    }
    sqlite3_busy_timeout(s->db, BUSY_MS);
    if (stat(s->path, &is) == 0) {
        s->device = is.st_dev;
        s->inode = is.st_ino;
    }
    return true;
}

static double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Two that open at once may step back at once: the next try is a little later, for each by its own number. */
static bool open_in_time(struct exp_store *s, double patience_s, struct sim_status *st)
{
    struct timespec wait = {.tv_nsec = (10 + s->self.pid % 40) * 1000000};
    double end_s = clock_s() + patience_s;
    struct sim_status why = {0};
    while (!try_open(s, &why)) {
        if (!s->busy || clock_s() >= end_s) return sim_fail_as(st, why.code, "%s", why.message);
        nanosleep(&wait, NULL);
        why = (struct sim_status){0};
    }
    return true;
}

struct exp_store *exp_store_open_within(const char *path, enum exp_store_mode mode, double patience_s,
                                        struct sim_status *st)
{
    const char *network;
    if (!exp_store_place(path, mode, &network, st)) return NULL;
    struct exp_store *s = store_new(path, mode);
    s->network = network;
    if (open_in_time(s, patience_s, st)) return s;
    store_free(s);
    return NULL;
}

struct exp_store *exp_store_open(const char *path, enum exp_store_mode mode, struct sim_status *st)
{
    return exp_store_open_within(path, mode, OPEN_S, st);
}

const char *exp_store_path(const struct exp_store *s)
{
    return s->path;
}

void exp_store_close(struct exp_store *s)
{
    if (!s) return;
    exp_store_give_lease(s);
    if (s->mode == EXP_STORE_SHARD) /* one plain file, which a network file system can hand to any machine */
        sqlite3_exec(s->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    store_free(s);
}
