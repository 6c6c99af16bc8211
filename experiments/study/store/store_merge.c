#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/study/store/store_parts.h"
#include "sim/memory.h"

enum { MOST_NEW_COLUMNS = 200 };

struct merge {
    struct exp_store *to, *from;
    const char **names; /* of columns that both have: the fixed ones in their order, then the rest */
    bool *compared;     /* [n] a number that must be the same: a measure that is no wall clock */
    size_t n;
    sqlite3_stmt *rows, *known, *add, *lower;
    char *study; /* of the last row, and whether both files have the same study of that name */
    bool same_study;
    struct exp_merged sum;
};

/* ---- columns ---- */

/* A column's name from another file becomes part of a statement: only what looks like a measure. */
static bool is_measure_like(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n < 64 && !name[n];
}

static bool has_column(const struct exp_store *s, const char *name)
{
    for (size_t i = 0; i < s->n_columns; i++)
        if (strcmp(s->columns[i], name) == 0) return true;
    return false;
}

/* Measures of a newer program come along. */
static bool add_columns(struct merge *m, struct sim_status *st)
{
    size_t added = 0;
    for (size_t i = 0; i < m->from->n_columns && added < MOST_NEW_COLUMNS; i++) {
        if (!is_measure_like(m->from->columns[i]) || has_column(m->to, m->from->columns[i])) continue;
        char *sql = sqlite3_mprintf("ALTER TABLE point ADD COLUMN \"%w\" REAL", m->from->columns[i]);
        bool ok = exp_store_exec(m->to, sql, st);
        sqlite3_free(sql);
        if (!ok) return false;
        added++;
    }
    return added == 0 || exp_store_columns(m->to, st);
}

static void choose_columns(struct merge *m)
{
    m->names = sim_alloc(EXP_N_STORE_COLUMNS + m->to->n_columns, sizeof *m->names);
    for (m->n = 0; m->n < EXP_N_STORE_COLUMNS; m->n++) m->names[m->n] = exp_store_column_name(m->n);
    for (size_t i = 0; i < m->to->n_columns; i++) {
        bool fixed = false;
        for (size_t k = 0; k < EXP_N_STORE_COLUMNS; k++) fixed |= strcmp(m->to->columns[i], m->names[k]) == 0;
        if (!fixed && has_column(m->from, m->to->columns[i])) m->names[m->n++] = m->to->columns[i];
    }
    m->compared = sim_alloc(m->n, sizeof *m->compared);
    for (size_t i = EXP_N_STORE_COLUMNS; i < m->n; i++) {
        size_t measure = exp_measure_find(m->names[i]);
        m->compared[i] = measure < exp_measure_count() && !exp_measure_is_wall(measure);
    }
}

/* ---- statements ---- */

static sqlite3_stmt *statement(struct exp_store *s, const char *before, const struct merge *m,
                               const char *after, struct sim_status *st)
{
    sqlite3_str *sql = sqlite3_str_new(s->db);
    sqlite3_str_appendall(sql, before);
    exp_store_names(sql, "\"%w\"", m->names, m->n);
    sqlite3_str_appendall(sql, after);
    char *text = exp_store_sql(sql);
    sqlite3_stmt *q = exp_store_prepare(s, text, st);
    sqlite3_free(text);
    return q;
}

static bool make_statements(struct merge *m, struct sim_status *st)
{
    sqlite3_str *values = sqlite3_str_new(m->to->db);
    sqlite3_str_appendall(values, ") VALUES(?");
    for (size_t i = 1; i < m->n; i++) sqlite3_str_appendall(values, ",?");
    sqlite3_str_appendall(values, ")");
    char *text = exp_store_sql(values);
    m->rows = statement(m->from, "SELECT ", m, " FROM point ORDER BY rowid", st);
    m->known = statement(
        m->to, "SELECT ", m,
        " FROM point WHERE key = ?1 AND (study = ?2 OR state = 'done') ORDER BY study = ?2 DESC LIMIT 2", st);
    m->add = statement(m->to, "INSERT OR REPLACE INTO point(", m, text, st);
    m->lower = exp_store_prepare(m->to,
                                 "UPDATE point SET idx = ?3, settings = ?4 WHERE key = ?1 AND study = ?2"
                                 " AND (idx IS NULL OR idx > ?3)",
                                 st);
    sqlite3_free(text);
    return m->rows && m->known && m->add && m->lower;
}

/* ---- studies ---- */

static void bind_texts(sqlite3_stmt *to, sqlite3_stmt *from, int n)
{
    for (int i = 0; i < n; i++) sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
}

static bool add_studies(struct merge *m, struct sim_status *st)
{
    sqlite3_stmt *read = exp_store_prepare(
        m->from,
        "SELECT name, file, scenario, versions, note, axes, points, put_at FROM study WHERE name IS NOT NULL",
        st);
    sqlite3_stmt *write =
        exp_store_prepare(m->to,
                          "INSERT OR IGNORE INTO study(name, file, scenario, versions, note, axes,"
                          " points, put_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                          st);
    int rc = SQLITE_DONE;
    bool ok = read && write;
    while (ok && (rc = sqlite3_step(read)) == SQLITE_ROW) {
        bind_texts(write, read, 8);
        ok = exp_store_run(m->to, write, st);
    }
    ok = ok && (rc == SQLITE_DONE || exp_store_fail(m->from, st));
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return ok;
}

/* File and scenario of a study in one text; "" without the study. */
static bool study_text(struct exp_store *s, const char *name, char **out, struct sim_status *st)
{
    sqlite3_stmt *q = exp_store_prepare(
        s, "SELECT ifnull(file, '') || char(10, 10) || ifnull(scenario, '') FROM study WHERE name = ?1", st);
    if (!q) return false;
    exp_store_bind_text(q, 1, name);
    int rc = sqlite3_step(q);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
    bool ok = rc == SQLITE_ROW || rc == SQLITE_DONE || exp_store_fail(s, st);
    *out = ok ? sim_strdup(text ? text : "") : NULL;
    sqlite3_finalize(q);
    return ok;
}

/* Numbers of points mean the same only where both have the same study. */
static bool look_up_study(struct merge *m, const char *name, struct sim_status *st)
{
    if (m->study && strcmp(m->study, name) == 0) return true;
    char *a = NULL, *b = NULL;
    bool ok = study_text(m->to, name, &a, st) && study_text(m->from, name, &b, st);
    free(m->study);
    m->study = sim_strdup(name);
    m->same_study = ok && strcmp(a, b) == 0;
    free(a);
    free(b);
    return ok;
}

/* ---- points ---- */

static const char *text_at(sqlite3_stmt *q, size_t i)
{
    const char *text = (const char *)sqlite3_column_text(q, (int)i);
    return text ? text : "";
}

static bool is_done(sqlite3_stmt *q)
{
    return strcmp(text_at(q, EXP_COL_STATE), "done") == 0;
}

static bool same_text(sqlite3_stmt *a, sqlite3_stmt *b, enum exp_store_column column)
{
    return strcmp(text_at(a, column), text_at(b, column)) == 0;
}

static bool is_number(sqlite3_stmt *q, int i)
{
    int type = sqlite3_column_type(q, i);
    return type == SQLITE_FLOAT || type == SQLITE_INTEGER;
}

static bool same_number(sqlite3_stmt *a, sqlite3_stmt *b, int i)
{
    if (!is_number(a, i) || !is_number(b, i)) return is_number(a, i) == is_number(b, i);
    double x = sqlite3_column_double(a, i), y = sqlite3_column_double(b, i);
    return memcmp(&x, &y, sizeof x) == 0;
}

/* The first column in which two rows of one key differ, wall clocks aside; m->n when they are the same. */
static size_t difference(const struct merge *m, sqlite3_stmt *a, sqlite3_stmt *b)
{
    static const enum exp_store_column texts[] = {EXP_COL_LOAD_STATE, EXP_COL_BANDS, EXP_COL_CLASSES};
    for (size_t i = EXP_N_STORE_COLUMNS; i < m->n; i++)
        if (m->compared[i] && !same_number(a, b, (int)i)) return i;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!same_text(a, b, texts[i])) return texts[i];
    return m->n;
}

static bool fail_different(const struct merge *m, size_t column, struct sim_status *st)
{
    char its[48] = "another text", ours[48] = "its own";
    if (column >= EXP_N_STORE_COLUMNS) {
        snprintf(its, sizeof its, "%s", is_number(m->rows, (int)column) ? text_at(m->rows, column) : "none");
        snprintf(ours, sizeof ours, "%s",
                 is_number(m->known, (int)column) ? text_at(m->known, column) : "none");
    }
    return sim_fail(
        st,
        "%s: point %s of study %s has %s as %s, %s has %s under the same key; nothing was taken: one of them "
        "is damaged or was changed, compute the study again into a new file",
        m->from->path, text_at(m->rows, EXP_COL_IDX), text_at(m->rows, EXP_COL_STUDY), m->names[column], its,
        m->to->path, ours);
}

static bool is_whole(const struct merge *m, struct sim_status *st)
{
    for (int i = 0; i < (int)EXP_N_STORE_COLUMNS; i++) {
        bool needed = i == EXP_COL_STUDY || i == EXP_COL_KEY || i == EXP_COL_SETUP || i == EXP_COL_STATE;
        if (needed && sqlite3_column_type(m->rows, i) != SQLITE_TEXT)
            return sim_fail(st,
                            "%s: is damaged (a point without its %s); nothing was taken, compute it again",
                            m->from->path, m->names[i]);
    }
    return true;
}

static bool add_row(struct merge *m, struct sim_status *st)
{
    for (size_t i = 0; i < m->n; i++) {
        int at = (int)i;
        bool number = i >= EXP_N_STORE_COLUMNS || i == EXP_COL_IDX || i == EXP_COL_WALL_S;
        if ((i == EXP_COL_IDX && !m->same_study) || (number && !is_number(m->rows, at)))
            sqlite3_bind_null(m->add, at + 1);
        else
            sqlite3_bind_value(m->add, at + 1, sqlite3_column_value(m->rows, at));
    }
    m->sum.n_added++;
    return exp_store_run(m->to, m->add, st);
}

static bool lower_index(struct merge *m, struct sim_status *st)
{
    m->sum.n_known++;
    if (!m->same_study || !is_number(m->rows, EXP_COL_IDX)) return true;
    static const enum exp_store_column from[] = {EXP_COL_KEY, EXP_COL_STUDY, EXP_COL_IDX, EXP_COL_SETTINGS};
    for (int i = 0; i < 4; i++)
        sqlite3_bind_value(m->lower, i + 1, sqlite3_column_value(m->rows, (int)from[i]));
    return exp_store_run(m->to, m->lower, st);
}

/* Compares with the rows of the same key that are there; *take when this one adds something. */
static bool judge(struct merge *m, bool *take, struct sim_status *st)
{
    int rc;
    bool ok = true;
    *take = true;
    exp_store_bind_text(m->known, 1, text_at(m->rows, EXP_COL_KEY));
    exp_store_bind_text(m->known, 2, text_at(m->rows, EXP_COL_STUDY));
    while (ok && (rc = sqlite3_step(m->known)) == SQLITE_ROW) {
        bool both_done = is_done(m->known) && is_done(m->rows);
        size_t column = both_done ? difference(m, m->rows, m->known) : m->n;
        if (column < m->n) ok = fail_different(m, column, st);
        if (same_text(m->known, m->rows, EXP_COL_STUDY)) *take = !is_done(m->known) && is_done(m->rows);
    }
    ok = ok && (rc == SQLITE_DONE || exp_store_fail(m->to, st));
    sqlite3_reset(m->known);
    return ok;
}

static bool merge_rows(struct merge *m, struct sim_status *st)
{
    int rc = SQLITE_DONE;
    bool ok = true, take;
    while (ok && (rc = sqlite3_step(m->rows)) == SQLITE_ROW)
        ok = is_whole(m, st) && look_up_study(m, text_at(m->rows, EXP_COL_STUDY), st) &&
             judge(m, &take, st) && (take ? add_row(m, st) : lower_index(m, st));
    return ok && (rc == SQLITE_DONE || exp_store_fail(m->from, st));
}

/* Points whose scenario could not be made in one file and could in the other. */
static bool drop_made(struct merge *m, struct sim_status *st)
{
    return exp_store_exec(m->to,
                          "DELETE FROM point WHERE key >= '!' AND key < '\"' AND (study, idx) IN"
                          " (SELECT study, idx FROM point WHERE state = 'done')",
                          st);
}

/* ---- files ---- */

static bool merge_all(struct merge *m, struct sim_status *st)
{
    if (!exp_store_begin(m->to, st)) return false;
    bool ok = add_columns(m, st);
    if (ok) choose_columns(m);
    ok = ok && make_statements(m, st) && add_studies(m, st) && merge_rows(m, st) && drop_made(m, st);
    sqlite3_finalize(m->rows);
    sqlite3_finalize(m->known);
    sqlite3_finalize(m->add);
    sqlite3_finalize(m->lower);
    sqlite3_finalize(m->to->made[EXP_STMT_COPY]); /* it names all columns */
    m->to->made[EXP_STMT_COPY] = NULL;
    ok = exp_store_end(m->to, ok, st);
    struct sim_status ignored = {0}; /* after a failure the columns are those of before */
    return exp_store_columns(m->to, ok ? st : &ignored) && ok;
}

static bool is_itself(const struct exp_store *s, const char *path)
{
    struct stat is;
    return stat(path, &is) == 0 && is.st_dev == s->device && is.st_ino == s->inode;
}

static bool merge(struct exp_store *s, const char *path, struct exp_merged *sum, struct sim_status *st)
{
    if (!exp_store_writable(s, st)) return false;
    if (is_itself(s, path))
        return sim_fail_as(st, SIM_EXIT_USAGE, "%s: is the file to merge into; name the other files", path);
    struct merge m = {.to = s, .from = exp_store_open(path, EXP_STORE_READ, st)};
    bool ok = m.from && exp_store_unleased(m.from, st) && merge_all(&m, st);
    exp_store_close(m.from);
    free(m.names);
    free(m.compared);
    free(m.study);
    if (!ok) return false;
    sum->n_files++;
    sum->n_added += m.sum.n_added;
    sum->n_known += m.sum.n_known;
    return true;
}

bool exp_store_merge(struct exp_store *s, const char *path, struct exp_merged *sum, struct sim_status *st)
{
    pthread_mutex_lock(&s->mutex);
    bool ok = merge(s, path, sum, st);
    pthread_mutex_unlock(&s->mutex);
    return ok;
}
