/* Shared by the suites of sweeps: a small study, and rows of a database as text, wall clocks aside. */
#ifndef KVSIM_TESTS_SWEEP_HELP_H
#define KVSIM_TESTS_SWEEP_HELP_H

#include "experiments/study/store/store.h"
#include "sim/memory.h"
#include "tests/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Needs no profile: some milliseconds a point. Two classes, so that rows have figures of classes, too. */
static inline const char *sweep_scenario(void)
{
    return test_file("base.yaml", "model: llama-3.1-8b\n"
                                  "fleet: [{gpu: h100-sxm, profile: analytic}]\n"
                                  "workload:\n"
                                  "  open_loop: {request_rate: 8, num_requests: 60, input_tokens: "
                                  "'lognormal:600:0.7:4000', output_tokens: 'uniform:5:40'}\n"
                                  "classes:\n"
                                  "  default: {slo: {ttft_ms: 100}}\n"
                                  "  long: {slo: {ttft_ms: 900}, assign: {min_input_tokens: 600}}\n");
}

/* 3 x rates x seeds points; freekv on two pipeline stages cannot run: those points fail. */
static inline const char *sweep_study(const char *name, int n_rates, int n_seeds)
{
    char file[100], *text = sim_printf("name: %s\n"
                                       "scenario: base.yaml\n"
                                       "set: {fleet.0.pipeline_parallel: 2}\n"
                                       "grid:\n"
                                       "  strategy: [full, fp8, freekv]\n"
                                       "  workload.open_loop.request_rate: {from: 4, to: 20, count: %d}\n"
                                       "  seed: {from: 1, to: %d, count: %d}\n",
                                       name, n_rates, n_seeds, n_seeds);
    snprintf(file, sizeof file, "%s.yaml", name);
    sweep_scenario();
    const char *path = test_file(file, text);
    free(text);
    return path;
}

static inline const char *sweep_path(const char *name)
{
    static char path[8][4200];
    static int next;
    char *at = path[next++ % 8];
    snprintf(at, sizeof path[0], "%s/%s", test_dir(), name);
    return at;
}

struct sweep_rows {
    char **line;
    size_t n, failed, stale;
};

static inline bool sweep_row(void *rows, const struct exp_stored *row)
{
    struct sweep_rows *r = rows;
    char *line = NULL;
    size_t size;
    FILE *f = open_memstream(&line, &size);
    fprintf(f, "%s %s %s %llu %d '%s' %s %s %s %s", row->key, row->setup, row->study,
            (unsigned long long)row->index, row->state, row->why, row->load_state, row->settings,
            row->bands ? row->bands : "", row->classes ? row->classes : "");
    for (size_t i = 0; i < exp_measure_count(); i++)
        if (!exp_measure_is_wall(i)) fprintf(f, " %a", row->measure[i]);
    fclose(f);
    r->line = sim_realloc(r->line, r->n + 1, sizeof *r->line);
    r->line[r->n++] = line;
    r->failed += row->state == EXP_POINT_FAILED;
    r->stale += row->stale;
    return true;
}

static inline int sweep_by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All rows of a database, sorted by key. */
static inline struct sweep_rows sweep_rows_of(const char *path)
{
    struct sim_status st = {0};
    struct sweep_rows r = {0};
    struct exp_store *s = exp_store_open(path, EXP_STORE_READ, &st);
    ck_assert_msg(s != NULL, "%s", st.message);
    ck_assert_msg(exp_store_each(s, NULL, sweep_row, &r, &st), "%s", st.message);
    exp_store_close(s);
    qsort(r.line, r.n, sizeof *r.line, sweep_by_text);
    return r;
}

static inline void sweep_rows_fini(struct sweep_rows *r)
{
    while (r->n > 0) free(r->line[--r->n]);
    free(r->line);
    *r = (struct sweep_rows){0};
}

static inline void sweep_same_rows(const char *a, const char *b)
{
    struct sweep_rows x = sweep_rows_of(a), y = sweep_rows_of(b);
    ck_assert_uint_eq(x.n, y.n);
    ck_assert_uint_gt(x.n, 0);
    for (size_t i = 0; i < x.n; i++) ck_assert_str_eq(x.line[i], y.line[i]);
    sweep_rows_fini(&x);
    sweep_rows_fini(&y);
}

#endif
