#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/study/store/store_parts.h"

enum {
    LEASE_S = 60, /* of a holder that cannot be seen from here, since it renewed last */
    RENEW_S = 10
};

struct lease {
    struct exp_process holder;
    char started_at[40];
    double age_s;
};

static void copy_text(char *out, size_t size, sqlite3_stmt *q, int i)
{
    const char *text = (const char *)sqlite3_column_text(q, i);
    snprintf(out, size, "%s", text ? text : "");
}

/* True with *held when there is one. A time that is no time is long ago. */
static bool read_lease(struct exp_store *s, struct lease *out, bool *held, struct sim_status *st)
{
    sqlite3_stmt *q =
        exp_store_prepare(s,
                          "SELECT pid, host, birth, started_at,"
                          " ifnull(abs(julianday('now') - julianday(renewed_at)) * 86400, 1e9) FROM lease",
                          st);
    if (!q) return false;
    int rc = sqlite3_step(q);
    *held = rc == SQLITE_ROW;
    if (*held) {
        out->holder.pid = (long)sqlite3_column_int64(q, 0);
        copy_text(out->holder.host, sizeof out->holder.host, q, 1);
        copy_text(out->holder.birth, sizeof out->holder.birth, q, 2);
        copy_text(out->started_at, sizeof out->started_at, q, 3);
        out->age_s = sqlite3_column_double(q, 4);
    }
    bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE || exp_store_fail(s, st);
    sqlite3_finalize(q);
    return ok;
}

/* On a local file system a host's name with another start of the machine is this machine before it started again. */
static bool is_alive(const struct exp_store *s, const struct lease *l)
{
    enum exp_life life = exp_process_life(&s->self, &l->holder);
    if (life == EXP_LIFE_ALIVE) return true;
    if (life == EXP_LIFE_DEAD || (life == EXP_LIFE_REBOOTED && !s->network)) return false;
    return l->age_s < LEASE_S;
}

static bool fail_leased(const struct exp_store *s, const struct lease *l, struct sim_status *st)
{
    char until[80] = "";
    if (exp_process_life(&s->self, &l->holder) != EXP_LIFE_ALIVE)
        snprintf(until, sizeof until, " (free %d s after it was killed)", LEASE_S);
    return sim_fail(
        st,
        "%s: is being written by process %ld on %s since %s%s; wait for it, or give --db another file and "
        "--merge it later",
        s->path, l->holder.pid, l->holder.host, l->started_at, until);
}

bool exp_store_unleased(struct exp_store *s, struct sim_status *st)
{
    struct lease l;
    bool held;
    return read_lease(s, &l, &held, st) && (!held || !is_alive(s, &l) || fail_leased(s, &l, st));
}

bool exp_store_take_lease(struct exp_store *s, struct sim_status *st)
{
    if (!exp_store_unleased(s, st)) return false;
    sqlite3_stmt *q = exp_store_prepare(s, "INSERT OR REPLACE INTO lease VALUES(1, ?1, ?2, ?3, ?4, ?4)", st);
    if (!q) return false;
    struct exp_stamp now = exp_stamp_now();
    sqlite3_bind_int64(q, 1, s->self.pid);
    exp_store_bind_text(q, 2, s->self.host);
    exp_store_bind_text(q, 3, s->self.birth);
    exp_store_bind_text(q, 4, now.text);
    s->leased = exp_store_run(s, q, st);
    sqlite3_finalize(q);
    clock_gettime(CLOCK_MONOTONIC, &s->renewed);
    return s->leased;
}

void exp_store_give_lease(struct exp_store *s)
{
    sqlite3_stmt *q = NULL;
    if (!s->leased) return;
    s->leased = false;
    if (sqlite3_prepare_v2(s->db, "DELETE FROM lease WHERE pid = ?1 AND host = ?2 AND birth = ?3", -1, &q,
                           NULL) != SQLITE_OK)
        return;
    sqlite3_bind_int64(q, 1, s->self.pid);
    exp_store_bind_text(q, 2, s->self.host);
    exp_store_bind_text(q, 3, s->self.birth);
    sqlite3_step(q); /* what is left behind belongs to a process that is dead */
    sqlite3_finalize(q);
}

/* A file that was removed or replaced takes no points: they would go to one without a name. */
static void look_at_file(struct exp_store *s)
{
    struct stat is;
    if (stat(s->path, &is) != 0 || is.st_dev != s->device || is.st_ino != s->inode)
        snprintf(s->lost, sizeof s->lost, "was removed or replaced while it was written; start again");
}

static void renew(struct exp_store *s)
{
    struct sim_status ignored = {0}; /* a full disk shows at the next point */
    sqlite3_stmt *q = exp_store_statement(
        s, EXP_STMT_RENEW, "UPDATE lease SET renewed_at = ?4 WHERE pid = ?1 AND host = ?2 AND birth = ?3",
        &ignored);
    if (!q) return;
    struct exp_stamp now = exp_stamp_now();
    sqlite3_bind_int64(q, 1, s->self.pid);
    exp_store_bind_text(q, 2, s->self.host);
    exp_store_bind_text(q, 3, s->self.birth);
    exp_store_bind_text(q, 4, now.text);
    if (exp_store_run(s, q, &ignored) && sqlite3_changes(s->db) == 0)
        snprintf(s->lost, sizeof s->lost,
                 "was taken over by another process while this one stood still; start again");
}

void exp_store_renew(struct exp_store *s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&s->mutex);
    if (s->leased && !s->lost[0] && now.tv_sec - s->renewed.tv_sec >= RENEW_S) {
        s->renewed = now;
        look_at_file(s);
        renew(s);
    }
    pthread_mutex_unlock(&s->mutex);
}
