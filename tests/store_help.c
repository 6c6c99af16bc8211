#include "tests/store_help.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

const char *store_path(const char *name)
{
    static char paths[8][4400];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", test_dir(), name);
    return path;
}

struct exp_store *store_opened(const char *path, enum exp_store_mode mode)
{
    struct sim_status st = {0};
    struct exp_store *s = exp_store_open(path, mode, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_int_eq(st.code, SIM_EXIT_OK);
    return s;
}

void store_study(struct exp_store *s, const char *study, const char *text)
{
    struct sim_status st = {0};
    struct exp_study_row row = {study, text, "workload: {}", "{\"model\": 1}", "a note", "[]", 10};
    ck_assert_msg(exp_store_put_study_row(s, &row, &st), "%s", st.message);
}

struct exp_store *store_of(const char *path, const char *study, const char *text)
{
    struct exp_store *s = store_opened(path, EXP_STORE_WRITE);
    store_study(s, study, text);
    return s;
}

void store_one_line(const struct sim_status *st, const char *path, const char *part)
{
    ck_assert_int_ne(st->code, SIM_EXIT_OK);
    ck_assert_msg(strstr(st->message, part) != NULL, "`%s` lacks `%s`", st->message, part);
    ck_assert_msg(strncmp(st->message, path, strlen(path)) == 0, "`%s` does not begin with the file",
                  st->message);
    ck_assert_ptr_null(strchr(st->message, '\n'));
}

void store_refused(const char *path, enum exp_store_mode mode, const char *part)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_store_open_within(path, mode, 0, &st) == NULL, "%s was opened", path);
    store_one_line(&st, path, part);
}

/* ---- points ---- */

static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Any bits: also NaN, which is stored as none, infinities and what is not normal. */
double store_measure(uint64_t i, uint32_t version, size_t measure)
{
    uint64_t bits = mixed(i * 1000 + measure + (uint64_t)version * 77777777 + 1);
    double value;
    if (measure % 5 == 0) return (double)(i * 10 + measure);
    if (measure % 7 == 1) return measure % 2 ? (double)NAN : (double)INFINITY;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct exp_point_result store_point(uint64_t i, uint32_t version)
{
    struct exp_point_result r = {.index = i, .wall_s = 0.25};
    snprintf(r.key, sizeof r.key, "%016llx%016llx", (unsigned long long)mixed(i + 1),
             (unsigned long long)mixed(i + 1 + 1000000ull * version));
    snprintf(r.setup, sizeof r.setup, "%032llx", (unsigned long long)mixed(i + 1));
    snprintf(r.load_state, sizeof r.load_state, "stable");
    r.measure = sim_alloc(exp_measure_count(), sizeof *r.measure);
    for (size_t k = 0; k < exp_measure_count(); k++) r.measure[k] = store_measure(i, version, k);
    r.settings = sim_printf("{\"strategy\":\"full\",\"rate\":%llu}", (unsigned long long)i);
    return r;
}

struct exp_point_result store_failed(uint64_t i, const char *key, const char *why)
{
    struct exp_point_result r = {.index = i, .state = EXP_POINT_FAILED, .wall_s = 0.5};
    snprintf(r.key, sizeof r.key, "%s", key);
    snprintf(r.setup, sizeof r.setup, "%s", key);
    snprintf(r.why, sizeof r.why, "%s", why);
    r.settings = sim_strdup("{\"strategy\":\"none\"}");
    return r;
}

void store_put(struct exp_store *s, struct exp_point_result r)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_store_put(s, &r, &st), "%s", st.message);
    exp_point_result_fini(&r);
}

void store_adopt(struct exp_store *s, struct exp_point_result r)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_store_adopt(s, &r, &st), "%s", st.message);
    exp_point_result_fini(&r);
}

/* ---- the file ---- */

int64_t store_sql(const char *path, const char *sql)
{
    char *text = store_texts(path, sql);
    int64_t n = *text ? strtoll(text, NULL, 10) : -1;
    free(text);
    return n;
}

static int take(void *out, int n, char **values, char **names)
{
    (void)n;
    (void)names;
    fprintf(out, "%s\n", values[0] ? values[0] : "");
    return 0;
}

char *store_texts(const char *path, const char *sql)
{
    sqlite3 *db;
    char *text = NULL, *why = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 2000);
    ck_assert_msg(sqlite3_exec(db, sql, take, out, &why) == SQLITE_OK, "%s: %s", sql, why);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    fclose(out);
    return text;
}

static bool print_row(void *out, const struct exp_stored *row)
{
    fprintf(out, "%s %llu %.6s %s%s\n", row->study, (unsigned long long)row->index,
            row->key[0] ? row->key : "!", row->state == EXP_POINT_DONE ? "done" : row->why,
            row->stale ? " stale" : "");
    return true;
}

char *store_rows(struct exp_store *s, const char *study)
{
    struct sim_status st = {0};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    ck_assert_msg(exp_store_each(s, study, print_row, out, &st), "%s", st.message);
    fclose(out);
    return text;
}
