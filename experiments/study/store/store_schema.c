#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "experiments/study/store/store_parts.h"
#include "sim/memory.h"

enum {
    APPLICATION = 0x6b767369, /* "kvsi", in the file's header */
    VERSION = 1,              /* of the tables; measures come and go without a new one */
    CHECKED_BYTES = 64 << 20  /* larger files are not looked through at every start */
};

static const struct {
    const char *name, *type;
} columns[EXP_N_STORE_COLUMNS] = {
    [EXP_COL_STUDY] = {"study", "TEXT NOT NULL"},  [EXP_COL_IDX] = {"idx", "INTEGER"},
    [EXP_COL_KEY] = {"key", "TEXT NOT NULL"},      [EXP_COL_SETUP] = {"setup", "TEXT NOT NULL"},
    [EXP_COL_STATE] = {"state", "TEXT NOT NULL"},  [EXP_COL_WHY] = {"why", "TEXT"},
    [EXP_COL_LOAD_STATE] = {"load_state", "TEXT"}, [EXP_COL_SETTINGS] = {"settings", "TEXT"},
    [EXP_COL_BANDS] = {"bands", "TEXT"},           [EXP_COL_CLASSES] = {"classes", "TEXT"},
    [EXP_COL_WALL_S] = {"wall_s", "REAL"},         [EXP_COL_FINISHED_AT] = {"finished_at", "TEXT"},
    [EXP_COL_USED_AT] = {"used_at", "TEXT"},       [EXP_COL_MODEL_VERSION] = {"model_version", "TEXT"},
};

static const char other_tables[] =
    "CREATE INDEX point_setup ON point(setup, study);"
    "CREATE TABLE study(name TEXT PRIMARY KEY NOT NULL, file TEXT, scenario TEXT, versions TEXT, note TEXT, "
    "axes TEXT,"
    " points INTEGER, put_at TEXT);"
    "CREATE TABLE lease(only_one INTEGER PRIMARY KEY CHECK(only_one = 1), pid INTEGER, host TEXT, birth TEXT,"
    " started_at TEXT, renewed_at TEXT);";

const char *exp_store_column_name(size_t i)
{
    if (i < EXP_N_STORE_COLUMNS) return columns[i].name;
    return i - EXP_N_STORE_COLUMNS < exp_measure_count() ? exp_measure_name(i - EXP_N_STORE_COLUMNS) : NULL;
}

/* ---- whose file ---- */

bool exp_store_identify(struct exp_store *s, bool *made, struct sim_status *st)
{
    int64_t application = 0, version = 0, objects = 0;
    if (!exp_store_number(s, "SELECT count(*) FROM sqlite_master", &objects, st) ||
        !exp_store_number(s, "PRAGMA application_id", &application, st) ||
        !exp_store_number(s, "PRAGMA user_version", &version, st))
        return false;
    *made = objects != 0 || application != 0 || version != 0;
    if (!*made) return true;
    if (application != APPLICATION)
        return sim_fail(
            st, "%s: is the SQLite file of another program, expected a study's points; name another file",
            s->path);
    if (version > VERSION)
        return sim_fail(
            st,
            "%s: was written by a newer kvsim (tables %lld, this one knows %d); use that one, or give "
            "--db a new file",
            s->path, (long long)version, VERSION);
    return true;
}

/* ---- tables ---- */

static bool make_tables(struct exp_store *s, struct sim_status *st)
{
    sqlite3_str *sql = sqlite3_str_new(s->db);
    sqlite3_str_appendf(sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; CREATE TABLE point(",
                        APPLICATION, VERSION);
    for (size_t i = 0; i < EXP_N_STORE_COLUMNS; i++)
        sqlite3_str_appendf(sql, "\"%w\" %s, ", columns[i].name, columns[i].type);
    for (size_t i = 0; i < exp_measure_count(); i++)
        sqlite3_str_appendf(sql, "\"%w\" REAL, ", exp_measure_name(i));
    sqlite3_str_appendf(sql, "PRIMARY KEY(key, study));%s", other_tables);
    char *text = exp_store_sql(sql);
    bool ok = exp_store_exec(s, text, st);
    sqlite3_free(text);
    return ok;
}

static bool add_measures(struct exp_store *s, struct sim_status *st)
{
    bool ok = true;
    for (size_t i = 0; ok && i < exp_measure_count(); i++) {
        if (s->has_measure[i]) continue;
        char *sql = sqlite3_mprintf("ALTER TABLE point ADD COLUMN \"%w\" REAL", exp_measure_name(i));
        ok = exp_store_exec(s, sql, st);
        sqlite3_free(sql);
    }
    return ok;
}

bool exp_store_migrate(struct exp_store *s, struct sim_status *st)
{
    bool made;
    return exp_store_identify(s, &made, st) && (made || make_tables(s, st)) && exp_store_columns(s, st) &&
           add_measures(s, st) && exp_store_columns(s, st);
}

/* ---- what is there ---- */

static void forget_columns(struct exp_store *s)
{
    for (size_t i = 0; i < s->n_columns; i++) free(s->columns[i]);
    free(s->columns);
    free(s->has_measure);
    s->columns = NULL;
    s->n_columns = 0;
    s->has_measure = NULL;
}

static bool has_fixed_columns(const struct exp_store *s)
{
    size_t n = 0;
    for (size_t i = 0; i < EXP_N_STORE_COLUMNS; i++)
        for (size_t k = 0; k < s->n_columns; k++) n += strcmp(columns[i].name, s->columns[k]) == 0;
    return n == EXP_N_STORE_COLUMNS;
}

bool exp_store_columns(struct exp_store *s, struct sim_status *st)
{
    sqlite3_stmt *q = exp_store_prepare(s, "PRAGMA table_info(point)", st);
    if (!q) return false;
    int rc;
    forget_columns(s);
    s->has_measure = sim_alloc(exp_measure_count(), sizeof *s->has_measure);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(q, 1);
        size_t measure = exp_measure_find(name ? name : "");
        s->columns = sim_realloc(s->columns, s->n_columns + 1, sizeof *s->columns);
        s->columns[s->n_columns++] = sim_strdup(name ? name : "");
        if (measure < exp_measure_count()) s->has_measure[measure] = true;
    }
    bool ok = rc == SQLITE_DONE || exp_store_fail(s, st);
    sqlite3_finalize(q);
    int64_t unkeyed = 0;
    if (ok && !has_fixed_columns(s))
        ok = sim_fail(st, "%s: lacks the columns of a study's points, damaged or not ours; name another file",
                      s->path);
    ok =
        ok && exp_store_number(s, "SELECT count(*) FROM point WHERE key >= '!' AND key < '\"'", &unkeyed, st);
    s->has_unkeyed = unkeyed > 0;
    return ok;
}

static bool fail_damaged(const struct exp_store *s, const char *what, struct sim_status *st)
{
    return sim_fail(
        st, "%s: is damaged (%s); copy what can be read with `sqlite3 %s .recover`, and give --db a new file",
        s->path, what, s->path);
}

/* sqlite reads what a last page lacks as zeros. */
bool exp_store_whole(struct exp_store *s, struct sim_status *st)
{
    int64_t page_bytes = 0;
    struct stat is;
    if (!exp_store_number(s, "PRAGMA page_size", &page_bytes, st)) return false;
    return stat(s->path, &is) != 0 || page_bytes <= 0 || is.st_size % page_bytes == 0 ||
           fail_damaged(s, "its last page is cut short", st);
}

bool exp_store_check(struct exp_store *s, struct sim_status *st)
{
    int64_t pages = 0, page_bytes = 0;
    if (!exp_store_whole(s, st) || !exp_store_number(s, "PRAGMA page_count", &pages, st) ||
        !exp_store_number(s, "PRAGMA page_size", &page_bytes, st))
        return false;
    if (pages * page_bytes > CHECKED_BYTES) return true;
    sqlite3_stmt *q = exp_store_prepare(s, "PRAGMA quick_check(1)", st);
    if (!q) return false;
    bool ok = sqlite3_step(q) == SQLITE_ROW || exp_store_fail(s, st);
    const char *said = ok ? (const char *)sqlite3_column_text(q, 0) : NULL;
    if (ok && (!said || strcmp(said, "ok") != 0)) ok = fail_damaged(s, said ? said : "?", st);
    sqlite3_finalize(q);
    return ok;
}
