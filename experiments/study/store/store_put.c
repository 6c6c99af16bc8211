#include <stdlib.h>
#include <string.h>

#include "experiments/scenario_out.h"
#include "experiments/study/store/store_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

bool exp_store_writable(struct exp_store *s, struct sim_status *st)
{
    SIM_CHECK(s->mode != EXP_STORE_READ);
    return !s->lost[0] || sim_fail(st, "%s: %s", s->path, s->lost);
}

/* ---- a study ---- */

/* Another file or scenario: what was point 7 may be point 9 now, or none. */
static bool unplace(struct exp_store *s, const struct exp_study_row *row, struct sim_status *st)
{
    sqlite3_stmt *q =
        exp_store_prepare(s,
                          "UPDATE point SET idx = NULL WHERE study = ?1 AND EXISTS (SELECT 1 FROM study"
                          " WHERE name = ?1 AND (file IS NOT ?2 OR scenario IS NOT ?3))",
                          st);
    if (!q) return false;
    exp_store_bind_text(q, 1, row->name);
    exp_store_bind_text(q, 2, row->file);
    exp_store_bind_text(q, 3, row->scenario);
    bool ok = exp_store_run(s, q, st);
    sqlite3_finalize(q);
    return ok;
}

static bool describe(struct exp_store *s, const struct exp_study_row *row, struct sim_status *st)
{
    sqlite3_stmt *q =
        exp_store_prepare(s,
                          "INSERT OR REPLACE INTO study(name, file, scenario, versions, note, axes, points,"
                          " put_at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                          st);
    if (!q) return false;
    const char *const texts[] = {row->name, row->file, row->scenario, row->versions, row->note, row->axes};
    struct exp_stamp now = exp_stamp_now();
    for (int i = 0; i < 6; i++) exp_store_bind_text(q, i + 1, texts[i]);
    sqlite3_bind_int64(q, 7, (int64_t)row->points);
    exp_store_bind_text(q, 8, now.text);
    bool ok = exp_store_run(s, q, st);
    sqlite3_finalize(q);
    return ok;
}

bool exp_store_put_study_row(struct exp_store *s, const struct exp_study_row *row, struct sim_status *st)
{
    bool ok = exp_store_writable(s, st) && exp_store_begin(s, st);
    if (!ok) return false;
    ok = unplace(s, row, st) && describe(s, row, st);
    ok = exp_store_end(s, ok, st);
    if (!ok) return false;
    free(s->study);
    s->study = sim_strdup(row->name);
    return true;
}

static char *axes_json(const struct exp_study *study)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < exp_study_n_axes(study); i++) {
        struct exp_study_axis axis = exp_study_axis(study, i);
        json_array_append_new(all, json_pack("{s:s, s:b}", "path", axis.path, "numeric", axis.numeric));
    }
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}

static char *scenario_text(const struct exp_study *study, struct sim_status *st)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    bool ok = out && exp_scenario_write(exp_study_base(study), out, st);
    if (out && fclose(out) == 0 && ok) return text;
    free(text);
    return NULL;
}

bool exp_store_put_study(struct exp_store *s, const struct exp_study *study, const json_t *versions,
                         struct sim_status *st)
{
    char *scenario = scenario_text(study, st), *axes = axes_json(study);
    char *hashes = json_dumps(versions, JSON_COMPACT | JSON_SORT_KEYS);
    struct exp_study_row row = {.name = exp_study_name(study),
                                .file = exp_study_text(study),
                                .scenario = scenario,
                                .versions = hashes ? hashes : "{}",
                                .note = exp_study_note(study),
                                .axes = axes,
                                .points = exp_study_n_points(study)};
    pthread_mutex_lock(&s->mutex);
    bool ok = scenario && exp_store_put_study_row(s, &row, st);
    pthread_mutex_unlock(&s->mutex);
    free(hashes);
    free(axes);
    free(scenario);
    return ok;
}

/* ---- a point ---- */

/* A done row stays as it is, a failed one is replaced. Two points of one study that are the same (a sampled value that came
 * up twice) are one row, that of the lower number, whoever was first. */
static char *put_sql(void)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);
    size_t n = EXP_N_STORE_COLUMNS + exp_measure_count();
    const char **names = sim_alloc(n, sizeof *names);
    for (size_t i = 0; i < n; i++) names[i] = exp_store_column_name(i);
    sqlite3_str_appendall(sql, "INSERT INTO point(");
    exp_store_names(sql, "\"%w\"", names, n);
    sqlite3_str_appendall(sql, ") VALUES(?");
    for (size_t i = 1; i < n; i++) sqlite3_str_appendall(sql, ",?");
    sqlite3_str_appendall(
        sql,
        ") ON CONFLICT(key, study) DO UPDATE SET"
        " idx = min(ifnull(point.idx, excluded.idx), excluded.idx),"
        " settings = CASE WHEN point.idx < excluded.idx THEN point.settings ELSE excluded.settings END,");
    for (size_t i = EXP_COL_SETUP; i < n; i++) {
        if (i == EXP_COL_SETTINGS) continue;
        sqlite3_str_appendf(sql, "%s \"%w\" = excluded.\"%w\"", i == EXP_COL_SETUP ? "" : ",", names[i],
                            names[i]);
    }
    sqlite3_str_appendall(sql, " WHERE point.state <> 'done'");
    free(names);
    return exp_store_sql(sql);
}

static sqlite3_stmt *put_statement(struct exp_store *s, struct sim_status *st)
{
    if (s->made[EXP_STMT_PUT]) return s->made[EXP_STMT_PUT];
    char *sql = put_sql();
    sqlite3_stmt *q = exp_store_statement(s, EXP_STMT_PUT, sql, st);
    sqlite3_free(sql);
    return q;
}

/* What stands for the key of a point whose scenario could not be made. */
static void own_key(const struct exp_point_result *r, char out[EXP_KEY_BYTES])
{
    if (r->key[0])
        snprintf(out, EXP_KEY_BYTES, "%s", r->key);
    else
        snprintf(out, EXP_KEY_BYTES, "!%llu", (unsigned long long)r->index);
}

static void bind(sqlite3_stmt *q, enum exp_store_column column, const char *text)
{
    sqlite3_bind_text(q, (int)column + 1, text, -1, SQLITE_STATIC);
}

static bool insert(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st)
{
    sqlite3_stmt *q = put_statement(s, st);
    if (!q) return false;
    char key[EXP_KEY_BYTES];
    struct exp_stamp now = exp_stamp_now();
    bool failed = r->state == EXP_POINT_FAILED;
    own_key(r, key);
    sqlite3_clear_bindings(q);
    bind(q, EXP_COL_STUDY, s->study);
    sqlite3_bind_int64(q, EXP_COL_IDX + 1, (int64_t)r->index);
    bind(q, EXP_COL_KEY, key);
    bind(q, EXP_COL_SETUP, r->setup);
    bind(q, EXP_COL_STATE, failed ? "failed" : "done");
    bind(q, EXP_COL_WHY, failed ? r->why : NULL);
    bind(q, EXP_COL_LOAD_STATE, failed ? NULL : r->load_state);
    bind(q, EXP_COL_SETTINGS, r->settings);
    bind(q, EXP_COL_BANDS, r->bands);
    bind(q, EXP_COL_CLASSES, r->classes);
    sqlite3_bind_double(q, EXP_COL_WALL_S + 1, r->wall_s);
    bind(q, EXP_COL_FINISHED_AT, now.text);
    bind(q, EXP_COL_USED_AT, now.text);
    bind(q, EXP_COL_MODEL_VERSION, exp_model_version());
    for (size_t i = 0; !failed && r->measure && i < exp_measure_count(); i++)
        sqlite3_bind_double(q, (int)(EXP_N_STORE_COLUMNS + i) + 1, r->measure[i]); /* NaN becomes NULL */
    return exp_store_run(s, q, st);
}

static bool drop_unkeyed(struct exp_store *s, uint64_t index, struct sim_status *st)
{
    sqlite3_stmt *q = exp_store_statement(s, EXP_STMT_DROP_UNKEYED,
                                          "DELETE FROM point WHERE study = ?1 AND key = '!' || ?2", st);
    if (!q) return false;
    exp_store_bind_text(q, 1, s->study);
    sqlite3_bind_int64(q, 2, (int64_t)index);
    return exp_store_run(s, q, st);
}

/* ---- a point that is there ---- */

enum placed { PLACED_RIGHT, PLACED_WRONG, NOT_OF_THIS_STUDY, PLACED_FAILED };

static enum placed placed(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT ifnull(p.idx <= ?3, 0) AND NOT %s FROM point p WHERE key = ?1 AND study = ?2 AND state "
             "= 'done'",
             exp_store_newer);
    sqlite3_stmt *q = exp_store_statement(s, EXP_STMT_PLACED, sql, st);
    if (!q) return PLACED_FAILED;
    exp_store_bind_text(q, 1, r->key);
    exp_store_bind_text(q, 2, s->study);
    sqlite3_bind_int64(q, 3, (int64_t)r->index);
    int rc = sqlite3_step(q);
    enum placed is = NOT_OF_THIS_STUDY;
    if (rc == SQLITE_ROW)
        is = sqlite3_column_int(q, 0) ? PLACED_RIGHT : PLACED_WRONG;
    else if (rc != SQLITE_DONE && !exp_store_fail(s, st))
        is = PLACED_FAILED;
    sqlite3_reset(q);
    return is;
}

static bool place(struct exp_store *s, sqlite3_stmt *q, const struct exp_point_result *r,
                  struct sim_status *st)
{
    if (!q) return false;
    struct exp_stamp now = exp_stamp_now();
    exp_store_bind_text(q, 1, r->key);
    exp_store_bind_text(q, 2, s->study);
    sqlite3_bind_int64(q, 3, (int64_t)r->index);
    exp_store_bind_text(q, 4, r->settings);
    exp_store_bind_text(q, 5, now.text);
    if (!exp_store_run(s, q, st)) return false;
    return sqlite3_changes(s->db) > 0 || sim_fail(st, "%s: point %llu is not stored (key %s)", s->path,
                                                  (unsigned long long)r->index, r->key);
}

static sqlite3_stmt *move_statement(struct exp_store *s, struct sim_status *st)
{
    return exp_store_statement(s, EXP_STMT_MOVE,
                               "UPDATE point SET idx = min(ifnull(idx, ?3), ?3),"
                               " settings = CASE WHEN idx < ?3 THEN settings ELSE ?4 END, used_at = ?5"
                               " WHERE key = ?1 AND study = ?2",
                               st);
}

/* Every column of the file from the row of another study, but for those that are this study's own. */
static sqlite3_stmt *copy_statement(struct exp_store *s, struct sim_status *st)
{
    if (s->made[EXP_STMT_COPY]) return s->made[EXP_STMT_COPY];
    static const struct {
        enum exp_store_column column;
        const char *value;
    } own[] = {{EXP_COL_STUDY, "?2"}, {EXP_COL_IDX, "?3"}, {EXP_COL_SETTINGS, "?4"}, {EXP_COL_USED_AT, "?5"}};
    sqlite3_str *sql = sqlite3_str_new(s->db);
    sqlite3_str_appendall(sql, "INSERT OR REPLACE INTO point(");
    exp_store_names(sql, "\"%w\"", (const char *const *)s->columns, s->n_columns);
    sqlite3_str_appendall(sql, ") SELECT ");
    for (size_t i = 0; i < s->n_columns; i++) {
        const char *value = NULL;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            if (strcmp(s->columns[i], exp_store_column_name(own[k].column)) == 0) value = own[k].value;
        sqlite3_str_appendf(sql, value ? "%s%s" : "%s\"%w\"", i ? "," : "", value ? value : s->columns[i]);
    }
    sqlite3_str_appendall(sql, " FROM point WHERE key = ?1 AND state = 'done' ORDER BY study LIMIT 1");
    char *text = exp_store_sql(sql);
    sqlite3_stmt *q = exp_store_statement(s, EXP_STMT_COPY, text, st);
    sqlite3_free(text);
    return q;
}

static bool adopt(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st)
{
    switch (placed(s, r, st)) {
    case PLACED_RIGHT:
        return true;
    case PLACED_WRONG:
        return place(s, move_statement(s, st), r, st);
    case NOT_OF_THIS_STUDY:
        return place(s, copy_statement(s, st), r, st);
    default:
        return false;
    }
}

static bool put(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st)
{
    return insert(s, r, st) && (sqlite3_changes(s->db) > 0 || adopt(s, r, st));
}

/* A transaction of its own, where one statement is not one already. */
static bool with_unkeyed(struct exp_store *s, const struct exp_point_result *r,
                         bool (*what)(struct exp_store *, const struct exp_point_result *,
                                      struct sim_status *),
                         struct sim_status *st)
{
    if (!r->key[0]) s->has_unkeyed = true;
    if (!s->has_unkeyed || !r->key[0]) return what(s, r, st);
    return exp_store_begin(s, st) && exp_store_end(s, what(s, r, st) && drop_unkeyed(s, r->index, st), st);
}

bool exp_store_put(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st)
{
    SIM_CHECK(r->key[0] || r->state == EXP_POINT_FAILED);
    pthread_mutex_lock(&s->mutex);
    SIM_CHECK(s->study != NULL);
    bool ok = exp_store_writable(s, st) && with_unkeyed(s, r, put, st);
    pthread_mutex_unlock(&s->mutex);
    return ok;
}

bool exp_store_adopt(struct exp_store *s, const struct exp_point_result *r, struct sim_status *st)
{
    SIM_CHECK(r->key[0]);
    pthread_mutex_lock(&s->mutex);
    SIM_CHECK(s->study != NULL);
    bool ok = exp_store_writable(s, st) && with_unkeyed(s, r, adopt, st);
    pthread_mutex_unlock(&s->mutex);
    return ok;
}
