#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/store/store_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

/* ---- answers as lines ---- */

static bool no_space(int code, int system)
{
    return (code & 0xff) == SQLITE_FULL ||
           ((code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EFBIG || system == EDQUOT));
}

static bool fail_locked(struct exp_store *s, struct sim_status *st)
{
    long pid = exp_process_locking(s->path);
    char who[64] = "another process";
    if (pid) snprintf(who, sizeof who, "process %ld", pid);
    s->busy = true;
    return sim_fail(st, "%s: is locked by %s; wait for it, or give --db another file and --merge it later",
                    s->path, who);
}

static bool fail_place(const struct exp_store *s, int system, struct sim_status *st)
{
    const char *why = system ? strerror(system) : sqlite3_errmsg(s->db);
    if (s->mode == EXP_STORE_READ)
        return sim_fail(
            st,
            "%s: cannot be read (%s); where it has a log beside it (%s-wal), copy both to a folder "
            "that can be written",
            s->path, why, s->path);
    return sim_fail(st, "%s: cannot be written (%s); name a file in a folder that can be written", s->path,
                    why);
}

/* errno of what failed: the connection knows it of reads, the files themselves of a commit. */
static int system_error(sqlite3 *db)
{
    int why = sqlite3_system_errno(db);
    const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    for (int i = 0; i < 2 && !why && (sqlite3_errcode(db) & 0xff) == SQLITE_IOERR; i++) {
        sqlite3_file *file = NULL;
        if (sqlite3_file_control(db, "main", files[i], &file) == SQLITE_OK && file && file->pMethods)
            file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &why);
    }
    return why;
}

bool exp_store_fail(struct exp_store *s, struct sim_status *st)
{
    int code = sqlite3_extended_errcode(s->db), system = system_error(s->db);
    const char *what = sqlite3_errmsg(s->db);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail_locked(s, st);
    case SQLITE_NOTADB:
        return sim_fail(st, "%s: is no SQLite file, expected a study's points; name another file", s->path);
    case SQLITE_CORRUPT:
    case SQLITE_ERROR: /* a table or column that is not there: the statements themselves are tested */
    case SQLITE_TOOBIG:
        return sim_fail(
            st,
            "%s: is damaged (%s); copy what can be read with `sqlite3 %s .recover`, and give --db a new "
            "file",
            s->path, what, s->path);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return fail_place(s, system, st);
    default:
        break;
    }
    if (no_space(code, system))
        return sim_fail(
            st,
            "%s: no room to write (%s); what is stored stays: free some space and start again, it goes "
            "on where it stopped",
            s->path, system ? strerror(system) : what);
    return sim_fail(
        st, "%s: cannot be used (%s%s%s); what is stored stays: start again, or give --db another file",
        s->path, what, system ? ": " : "", system ? strerror(system) : "");
}

/* ---- statements ---- */

bool exp_store_exec(struct exp_store *s, const char *sql, struct sim_status *st)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK || exp_store_fail(s, st);
}

sqlite3_stmt *exp_store_prepare(struct exp_store *s, const char *sql, struct sim_status *st)
{
    sqlite3_stmt *q = NULL;
    if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q, NULL) != SQLITE_OK)
        exp_store_fail(s, st);
    return q;
}

sqlite3_stmt *exp_store_statement(struct exp_store *s, enum exp_store_statement which, const char *sql,
                                  struct sim_status *st)
{
    if (!s->made[which]) s->made[which] = exp_store_prepare(s, sql, st);
    return s->made[which];
}

bool exp_store_run(struct exp_store *s, sqlite3_stmt *q, struct sim_status *st)
{
    bool ok = sqlite3_step(q) == SQLITE_DONE || exp_store_fail(s, st);
    sqlite3_reset(q);
    return ok;
}

bool exp_store_number(struct exp_store *s, const char *sql, int64_t *out, struct sim_status *st)
{
    sqlite3_stmt *q = exp_store_prepare(s, sql, st);
    if (!q) return false;
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) *out = sqlite3_column_int64(q, 0);
    bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE || exp_store_fail(s, st);
    sqlite3_finalize(q);
    return ok;
}

bool exp_store_begin(struct exp_store *s, struct sim_status *st)
{
    return exp_store_exec(s, "BEGIN IMMEDIATE", st);
}

bool exp_store_end(struct exp_store *s, bool ok, struct sim_status *st)
{
    ok = ok && exp_store_exec(s, "COMMIT", st);
    if (!ok && !sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return ok;
}

void exp_store_bind_text(sqlite3_stmt *q, int i, const char *text)
{
    sqlite3_bind_text(q, i, text, -1, SQLITE_STATIC);
}

/* ---- texts ---- */

void exp_store_names(sqlite3_str *sql, const char *format, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i) sqlite3_str_appendchar(sql, 1, ',');
        sqlite3_str_appendf(sql, format, names[i], names[i]);
    }
}

char *exp_store_sql(sqlite3_str *sql)
{
    char *text = sqlite3_str_finish(sql);
    SIM_CHECK(text != NULL);
    return text;
}

struct exp_stamp exp_stamp_now(void)
{
    struct exp_stamp stamp;
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(stamp.text, sizeof stamp.text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp.text + n, sizeof stamp.text - n, ".%03ldZ", now.tv_nsec / 1000000);
    return stamp;
}
