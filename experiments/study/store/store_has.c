#include "experiments/study/store/store_parts.h"

static int64_t ask(struct exp_store *s, enum exp_store_statement which, const char *sql,
                   const char *const texts[2])
{
    struct sim_status ignored = {0}; /* a file that cannot be read says so when the point is put */
    int64_t n = 0;
    pthread_mutex_lock(&s->mutex);
    sqlite3_stmt *q = exp_store_statement(s, which, sql, &ignored);
    for (int i = 0; q && i < 2 && texts[i]; i++) exp_store_bind_text(q, i + 1, texts[i]);
    if (q && sqlite3_step(q) == SQLITE_ROW) n = sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    pthread_mutex_unlock(&s->mutex);
    return n;
}

bool exp_store_has(struct exp_store *s, const char *key)
{
    return ask(s, EXP_STMT_HAS, "SELECT 1 FROM point WHERE key = ?1 AND state = 'done' LIMIT 1",
               (const char *const[]){key, NULL}) != 0;
}

bool exp_store_has_failed(struct exp_store *s, const char *key)
{
    return ask(s, EXP_STMT_HAS_FAILED,
               "SELECT count(*) > 0 AND sum(state = 'done') = 0 FROM point WHERE key = ?1",
               (const char *const[]){key, NULL}) != 0;
}

uint64_t exp_store_stale(struct exp_store *s, const char *setup, const char *key)
{
    if (!setup[0]) return 0;
    return (uint64_t)ask(s, EXP_STMT_STALE,
                         "SELECT count(DISTINCT key) FROM point WHERE setup = ?1 AND key <> ?2",
                         (const char *const[]){setup, key});
}
