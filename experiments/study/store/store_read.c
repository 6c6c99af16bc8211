#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/store/store_parts.h"
#include "sim/memory.h"

const char exp_store_newer[] =
    "(p.setup <> '' AND EXISTS (SELECT 1 FROM point n WHERE n.setup = p.setup AND n.study = p.study"
    " AND (n.used_at, n.rowid) > (p.used_at, p.rowid)))";

/* ---- studies ---- */

static json_t *json_of(sqlite3_stmt *q, int i, bool parsed)
{
    const char *text = (const char *)sqlite3_column_text(q, i);
    if (!text) text = parsed ? "null" : "";
    return parsed ? json_loads(text, JSON_DECODE_ANY, NULL) : json_string(text);
}

/* NULL where a text is not what it should be. */
static json_t *study_json(sqlite3_stmt *q)
{
    static const struct {
        const char *name;
        bool parsed;
    } fields[] = {{"name", false},     {"note", false}, {"axes", true},
                  {"scenario", false}, {"file", false}, {"versions", true}};
    json_t *o = json_object();
    for (int i = 0; i < 6; i++) {
        json_t *value = json_of(q, i, fields[i].parsed);
        if (!value) {
            json_decref(o);
            return NULL;
        }
        json_object_set_new(o, fields[i].name, value);
    }
    json_object_set_new(o, "points", json_integer(sqlite3_column_int64(q, 6)));
    return o;
}

static bool list_studies(struct exp_store *s, json_t *out, struct sim_status *st)
{
    sqlite3_stmt *q = exp_store_prepare(
        s, "SELECT name, note, axes, scenario, file, versions, points FROM study ORDER BY name", st);
    if (!q) return false;
    int rc;
    bool ok = true;
    while (ok && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        json_t *study = study_json(q);
        ok = study ||
             sim_fail(st, "%s: is damaged (the row of a study holds no JSON); give --db a new file", s->path);
        if (ok) json_array_append_new(out, study);
    }
    ok = ok && (rc == SQLITE_DONE || exp_store_fail(s, st));
    sqlite3_finalize(q);
    return ok;
}

json_t *exp_store_studies(struct exp_store *s, struct sim_status *st)
{
    json_t *all = json_array();
    pthread_mutex_lock(&s->mutex);
    bool ok = list_studies(s, all, st);
    pthread_mutex_unlock(&s->mutex);
    if (ok) return all;
    json_decref(all);
    return NULL;
}

/* ---- rows ---- */

static const char *text_of(sqlite3_stmt *q, enum exp_store_column column, const char *otherwise)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? text : otherwise;
}

static double number_of(sqlite3_stmt *q, int column)
{
    return sqlite3_column_type(q, column) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(q, column);
}

static void read_row(sqlite3_stmt *q, double *measure, struct exp_stored *out)
{
    size_t n = exp_measure_count();
    const char *key = text_of(q, EXP_COL_KEY, "");
    for (size_t i = 0; i < n; i++) measure[i] = number_of(q, (int)(EXP_N_STORE_COLUMNS + i));
    *out = (struct exp_stored){.study = text_of(q, EXP_COL_STUDY, ""),
                               .key = key[0] == '!' ? "" : key,
                               .setup = text_of(q, EXP_COL_SETUP, ""),
                               .why = text_of(q, EXP_COL_WHY, ""),
                               .load_state = text_of(q, EXP_COL_LOAD_STATE, ""),
                               .settings = text_of(q, EXP_COL_SETTINGS, "{}"),
                               .bands = text_of(q, EXP_COL_BANDS, NULL),
                               .classes = text_of(q, EXP_COL_CLASSES, NULL),
                               .model_version = text_of(q, EXP_COL_MODEL_VERSION, ""),
                               .index = (uint64_t)sqlite3_column_int64(q, EXP_COL_IDX),
                               .measure = measure,
                               .wall_s = number_of(q, EXP_COL_WALL_S)};
    out->state = strcmp(text_of(q, EXP_COL_STATE, ""), "done") == 0 ? EXP_POINT_DONE : EXP_POINT_FAILED;
    out->stale = sqlite3_column_int(q, (int)(EXP_N_STORE_COLUMNS + n)) != 0 ||
                 strcmp(out->model_version, exp_model_version()) != 0;
}

static bool each(struct exp_store *s, sqlite3_stmt *q,
                 bool (*visit)(void *user, const struct exp_stored *row), void *user, struct sim_status *st)
{
    double *measure = sim_alloc(exp_measure_count(), sizeof *measure);
    struct exp_stored row;
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        read_row(q, measure, &row);
        if (!visit(user, &row)) break;
    }
    free(measure);
    return rc == SQLITE_ROW || rc == SQLITE_DONE || exp_store_fail(s, st);
}

sqlite3_stmt *exp_store_select_rows(struct exp_store *s, const char *study, struct sim_status *st)
{
    sqlite3_str *sql = sqlite3_str_new(s->db);
    sqlite3_str_appendall(sql, "SELECT ");
    for (size_t i = 0; exp_store_column_name(i); i++)
        sqlite3_str_appendf(
            sql, i < EXP_N_STORE_COLUMNS || s->has_measure[i - EXP_N_STORE_COLUMNS] ? "p.\"%w\"," : "NULL,",
            exp_store_column_name(i));
    sqlite3_str_appendf(sql,
                        "%s FROM point p WHERE p.idx >= 0 AND (?1 IS NULL OR p.study = ?1)"
                        " ORDER BY p.study, p.idx, p.key",
                        exp_store_newer);
    char *text = exp_store_sql(sql);
    sqlite3_stmt *q = exp_store_prepare(s, text, st);
    sqlite3_free(text);
    if (q) exp_store_bind_text(q, 1, study);
    return q;
}

bool exp_store_each(struct exp_store *s, const char *study,
                    bool (*visit)(void *user, const struct exp_stored *row), void *user,
                    struct sim_status *st)
{
    pthread_mutex_lock(&s->mutex);
    sqlite3_stmt *q = exp_store_select_rows(s, study, st);
    bool ok = q && each(s, q, visit, user, st);
    sqlite3_finalize(q);
    pthread_mutex_unlock(&s->mutex);
    return ok;
}
