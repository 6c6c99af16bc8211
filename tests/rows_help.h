/* For tests of tables whose rows hold for a strategy with certain parameters (models/published_rows.h): a strategy from a
 * word, files that must be refused, and rows that must be of strategies that there are. */
#ifndef KVSIM_TESTS_ROWS_HELP_H
#define KVSIM_TESTS_ROWS_HELP_H

#include "models/published_rows.h"
#include "sim/csv_in.h"
#include "tests/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A strategy that is no real one has a budget. */
static const struct mdl_kv_default x_defaults[] = {{MDL_KV_BUDGET, 100, 1, 1000, "made up"}};
static const struct mdl_strategy x_strategy = {.name = "x", .defaults = x_defaults, .n_defaults = 1};

static inline enum mdl_kv_key key_named(const char *name, size_t length)
{
    int i = 0;
    while (i < MDL_N_KV_KEY && (strncmp(mdl_kv_key_info((enum mdl_kv_key)i)->name, name, length) != 0 ||
                                mdl_kv_key_info((enum mdl_kv_key)i)->name[length]))
        i++;
    ck_assert_int_lt(i, MDL_N_KV_KEY);
    return (enum mdl_kv_key)i;
}

/* "h2o", "h2o:budget=2048:recent=32"; the rest by default. */
static inline struct mdl_kv_use use_of(const char *text)
{
    struct sim_status st = {0};
    char name[32];
    size_t n = strcspn(text, ":");
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    struct mdl_kv_use u = {.strategy = strcmp(name, "x") == 0 ? &x_strategy : mdl_strategy_find(name, &st)};
    ck_assert_msg(u.strategy != NULL, "%s", st.message);
    for (int i = 0; i < MDL_N_KV_KEY; i++) {
        const struct mdl_kv_default *d = mdl_strategy_default(u.strategy, (enum mdl_kv_key)i);
        u.value[i] = d ? d->value : (double)NAN;
    }
    for (const char *at = text + n; *at == ':'; at += strcspn(at, ":")) {
        at++;
        enum mdl_kv_key key = key_named(at, strcspn(at, "="));
        ck_assert_msg(!isnan(u.value[key]), "%s", text);
        u.value[key] = strtod(at + strcspn(at, "=") + 1, NULL);
    }
    return u;
}

/* `text` is refused with `needle` in one line that starts with the file. */
static inline void refused(bool (*read)(const char *, struct sim_status *), const char *text,
                           const char *needle)
{
    struct sim_status st = {0};
    const char *path = test_file("wrong.csv", text);
    ck_assert_msg(!read(path, &st), "accepted: %s", text);
    ck_assert_msg(strstr(st.message, needle), "\"%s\" is not in \"%s\"", needle, st.message);
    ck_assert_int_eq(strncmp(st.message, path, strlen(path)), 0);
    ck_assert_ptr_null(strchr(st.message, '\n'));
}

static inline bool on_name(void *user, uint64_t index, const struct sim_csv_row *row, struct sim_status *st)
{
    int *n = user;
    struct mdl_row_parameters p;
    ck_assert_str_eq(row->field[1], index ? row->field[1] : "parameters");
    ck_assert_msg(!index || mdl_row_parameters(row, 1, &p, st), "%s", st->message);
    for (const char *at = row->field[0]; index && *at; at += strspn(at, "|")) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "|"), at);
        at += strlen(name);
        const struct mdl_strategy *s = mdl_strategy_find(name, st);
        ck_assert_msg(s != NULL, "%s", st->message);
        for (uint32_t i = 0; i < p.n; i++) ck_assert_ptr_nonnull(mdl_strategy_default(s, p.key[i]));
    }
    ++*n;
    return true;
}

/* How many rows a file has, the header included; each is checked. */
static inline int rows_that_name_what_there_is(const char *path)
{
    struct sim_status st = {0};
    int n = 0;
    ck_assert_msg(sim_csv_read(path, on_name, &n, &st), "%s", st.message);
    return n;
}

#endif
