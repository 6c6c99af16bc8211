/* Studies for tests: text in, points out. The base scenario lies in the test's folder. */
#ifndef KVSIM_TESTS_STUDY_HELP_H
#define KVSIM_TESTS_STUDY_HELP_H

#include "experiments/keys.h"
#include "experiments/study/study_file.h"
#include "sim/memory.h"
#include "tests/harness.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char base_text[] =
    "model: llama-3.1-8b\n"
    "fleet: [{gpu: h100-sxm, replicas: 1, kv: {strategy: freekv, budget: 4096}}]\n"
    "workload: {trace: base.csv}\n"
    "slo: {ttft_ms: 500}\n";

static inline struct exp_study *parse(const char *text, struct sim_status *st)
{
    test_file("base.yaml", base_text);
    char *all = sim_printf("scenario: base.yaml\n%s", text);
    struct exp_study *s = exp_study_parse("s.yaml", all, strlen(all), test_dir(), st);
    free(all);
    return s;
}

static inline struct exp_study *study(const char *text)
{
    struct sim_status st = {0};
    struct exp_study *s = parse(text, &st);
    ck_assert_msg(s != NULL, "%s: %s", text, st.message);
    return s;
}

/* The base scenario, line 1 of the file, is there already. */
static inline void refused(const char *text, const char *expected)
{
    struct sim_status st = {0};
    struct exp_study *s = parse(text, &st);
    ck_assert_msg(!s, "accepted: %s", text);
    ck_assert_msg(strstr(st.message, expected) != NULL, "%s: `%s` lacks `%s`", text, st.message, expected);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    ck_assert_int_eq(st.code, SIM_EXIT_FAILURE);
}

static inline struct exp_scenario *scenario_of(const struct exp_study *s, uint64_t i)
{
    struct sim_status st = {0};
    struct exp_scenario *out = exp_scenario_new();
    ck_assert_msg(exp_study_scenario(s, i, out, &st), "point %d: %s", (int)i, st.message);
    return out;
}

/* The point is refused, with this. */
static inline void point_fails(const struct exp_study *s, uint64_t i, const char *expected)
{
    struct sim_status st = {0};
    struct exp_scenario *out = exp_scenario_new();
    ck_assert_msg(!exp_study_scenario(s, i, out, &st), "point %d was made", (int)i);
    ck_assert_msg(strstr(st.message, expected) != NULL, "`%s` lacks `%s`", st.message, expected);
    ck_assert_ptr_null(strchr(st.message, '\n'));
    free(out);
}

static inline char *settings_of(const struct exp_study *s, uint64_t i)
{
    struct exp_study_point p;
    exp_study_point(s, i, &p);
    return exp_study_settings_json(&p);
}

static inline void ck_json(const struct exp_study *s, uint64_t i, const char *expected)
{
    char *text = settings_of(s, i);
    ck_assert_str_eq(text, expected);
    free(text);
}

/* What a point sets a key to; NULL when it does not. */
static const char *value_of(const struct exp_study_point *p, const char *path)
{
    for (uint32_t k = 0; k < p->n; k++)
        if (strcmp(p->setting[k].path, path) == 0) return p->setting[k].value;
    return NULL;
}

static inline double number_of(const struct exp_study *s, uint64_t i, const char *path)
{
    struct exp_study_point p;
    exp_study_point(s, i, &p);
    const char *text = value_of(&p, path);
    ck_assert_msg(text != NULL, "point %d lacks %s", (int)i, path);
    return strtod(text, NULL);
}

/* All but where the values came from. */
static inline void ck_same(const struct exp_scenario *a, const struct exp_scenario *b, const char *what)
{
    ck_assert_msg(memcmp(a, b, offsetof(struct exp_scenario, origin)) == 0, "%s", what);
}

static inline void set(struct exp_scenario *s, const char *path, const char *value)
{
    struct sim_status st = {0};
    ck_assert_msg(exp_scenario_set(s, path, value, &st), "%s: %s", path, st.message);
}

#endif
