#include <csv.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/study/store/store_parts.h"
#include "experiments/value_text.h"

/* Names inside the JSON of a column, over all rows, in the order in which they came: each is a column of the table. */
struct table {
    json_t *settings, *bands;
    FILE *out;
    bool begun; /* the row that is written has a cell already */
};

static json_t *object_at(sqlite3_stmt *q, enum exp_store_column column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    json_t *o = text ? json_loads(text, 0, NULL) : NULL;
    if (json_is_object(o)) return o;
    json_decref(o);
    return json_object();
}

static void collect(json_t *names, sqlite3_stmt *q, enum exp_store_column column)
{
    json_t *o = object_at(q, column), *value;
    const char *name;
    json_object_foreach(o, name, value) json_object_set_new(names, name, json_true());
    json_decref(o);
}

/* ---- cells ---- */

static void put_text(struct table *t, const char *text)
{
    if (t->begun) fputc(',', t->out);
    t->begun = true;
    if (strpbrk(text, ",\"\r\n"))
        csv_fwrite(t->out, text, strlen(text));
    else
        fputs(text, t->out);
}

static void put_json(struct table *t, const json_t *value)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", json_integer_value(value));
    if (json_is_string(value))
        put_text(t, json_string_value(value));
    else if (json_is_integer(value))
        put_text(t, digits);
    else if (json_is_real(value))
        put_text(t, exp_digits_of(json_real_value(value)).text);
    else
        put_text(t, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "");
}

static void put_cell(struct table *t, sqlite3_stmt *q, int column)
{
    bool real = sqlite3_column_type(q, column) == SQLITE_FLOAT;
    struct exp_digits digits = exp_digits_of(real ? sqlite3_column_double(q, column) : 0);
    const char *text = real ? digits.text : (const char *)sqlite3_column_text(q, column);
    put_text(t, text ? text : "");
}

static void put_members(struct table *t, const json_t *names, sqlite3_stmt *q, enum exp_store_column column)
{
    json_t *o = object_at(q, column), *value;
    const char *name;
    json_object_foreach((json_t *)names, name, value) put_json(t, json_object_get(o, name));
    json_decref(o);
}

/* ---- the table ---- */

static bool is_column(size_t i)
{
    return i != EXP_COL_SETTINGS && i != EXP_COL_BANDS;
}

static void put_names(struct table *t, json_t *names)
{
    const char *name;
    json_t *value;
    json_object_foreach(names, name, value) put_text(t, name);
}

static void put_head(struct table *t)
{
    t->begun = false;
    put_names(t, t->settings);
    for (size_t i = 0; exp_store_column_name(i); i++)
        if (is_column(i)) put_text(t, exp_store_column_name(i));
    put_names(t, t->bands);
    put_text(t, "stale");
    fputc('\n', t->out);
}

static void put_row(struct table *t, sqlite3_stmt *q)
{
    size_t n = EXP_N_STORE_COLUMNS + exp_measure_count();
    const char *version = (const char *)sqlite3_column_text(q, EXP_COL_MODEL_VERSION);
    bool stale = sqlite3_column_int(q, (int)n) != 0 || !version || strcmp(version, exp_model_version()) != 0;
    t->begun = false;
    put_members(t, t->settings, q, EXP_COL_SETTINGS);
    for (size_t i = 0; i < n; i++)
        if (is_column(i)) put_cell(t, q, (int)i);
    put_members(t, t->bands, q, EXP_COL_BANDS);
    put_text(t, stale ? "true" : "false");
    fputc('\n', t->out);
}

static bool write_table(struct exp_store *s, struct table *t, sqlite3_stmt *q, struct sim_status *st)
{
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        collect(t->settings, q, EXP_COL_SETTINGS);
        collect(t->bands, q, EXP_COL_BANDS);
    }
    if (rc != SQLITE_DONE) return exp_store_fail(s, st);
    sqlite3_reset(q);
    put_head(t);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) put_row(t, q);
    return rc == SQLITE_DONE || exp_store_fail(s, st);
}

bool exp_store_csv(struct exp_store *s, const char *study, FILE *out, struct sim_status *st)
{
    struct table t = {.settings = json_object(), .bands = json_object(), .out = out};
    pthread_mutex_lock(&s->mutex);
    sqlite3_stmt *q = exp_store_select_rows(s, study, st);
    bool ok = q && write_table(s, &t, q, st);
    sqlite3_finalize(q);
    pthread_mutex_unlock(&s->mutex);
    json_decref(t.settings);
    json_decref(t.bands);
    if (ok && (fflush(out) != 0 || ferror(out)))
        return sim_fail(st, "the table could not be written (%s); free some space or name another place",
                        strerror(errno));
    return ok;
}
