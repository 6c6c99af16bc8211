/* What a point costs that is stored, looked up, read and merged; files in TMPDIR, thrown away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "experiments/study/store/store_parts.h"
#include "sim/memory.h"

enum { N = 20000 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(bool ok, const struct sim_status *st)
{
    if (ok) return;
    fprintf(stderr, "bench_store: %s\n", st->message);
    exit(1);
}

static void fill(struct exp_point_result *r, uint64_t i)
{
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    r->index = i;
    snprintf(r->key, sizeof r->key, "%016llx%016llx", (unsigned long long)x,
             (unsigned long long)(x ^ x >> 29));
    snprintf(r->setup, sizeof r->setup, "%016llx%016llx", (unsigned long long)(x * 31),
             (unsigned long long)x);
    for (size_t k = 0; k < exp_measure_count(); k++) r->measure[k] = (double)(x >> 12) / (double)(k + 3);
}

static bool count(void *user, const struct exp_stored *row)
{
    *(double *)user += row->measure[0];
    return true;
}

/* Of this program alone: what it costs a sweep that has every processor busy. */
static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(const char *what, double begin_cpu_s)
{
    printf("%-28s %8.2f us of processor a point\n", what, (cpu_s() - begin_cpu_s) / N * 1e6);
}

static void put_all(struct exp_store *s, struct exp_point_result *r, struct sim_status *st)
{
    double begin_s = cpu_s(), wall_s = now_s(), worst_s = 0;
    for (uint64_t i = 0; i < N; i++) {
        fill(r, i);
        double put_s = now_s();
        check(exp_store_put(s, r, st), st);
        put_s = now_s() - put_s;
        if (put_s > worst_s) worst_s = put_s;
    }
    say(s->mode == EXP_STORE_SHARD ? "put, shard" : "put", begin_s);
    printf("%-28s %8.2f us of wall clock, longest %.0f ms\n", "", (now_s() - wall_s) / N * 1e6,
           worst_s * 1e3);
}

static void ask_all(struct exp_store *s, struct exp_point_result *r, struct sim_status *st)
{
    double begin_s = cpu_s(), sum = 0;
    uint64_t n = 0;
    for (uint64_t i = 0; i < 2 * N; i++) {
        fill(r, i);
        n += exp_store_has(s, r->key);
    }
    say("has, twice", begin_s);
    begin_s = cpu_s();
    for (uint64_t i = 0; i < N; i++) {
        fill(r, i);
        check(exp_store_adopt(s, r, st), st);
    }
    say("adopt what is there", begin_s);
    begin_s = cpu_s();
    check(exp_store_each(s, "s", count, &sum, st), st);
    say("each", begin_s);
    if (n != N) exit(1);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    char *folder = sim_printf("%s/kvsim-bench-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) return 1;
    char *path[2] = {sim_printf("%s/a.sqlite", folder), sim_printf("%s/b.sqlite", folder)};
    struct sim_status st = {0};
    struct exp_merged sum = {0};
    struct exp_study_row row = {"s", "", "", "{}", "", "[]", N};
    struct exp_point_result r = {
        .settings = sim_strdup("{\"strategy\":\"freekv:budget=1024\",\"fleet.0.replicas\":2}"),
        .load_state = "stable",
        .measure = sim_alloc(exp_measure_count(), sizeof(double))};
    for (int i = 0; i < 2; i++) {
        struct exp_store *s = exp_store_open(path[i], i ? EXP_STORE_SHARD : EXP_STORE_WRITE, &st);
        check(s && exp_store_put_study_row(s, &row, &st), &st);
        put_all(s, &r, &st);
        if (i == 0) ask_all(s, &r, &st);
        double begin_s = cpu_s();
        exp_store_close(s);
        say("close", begin_s);
    }
    unlink(path[0]);
    struct exp_store *s = exp_store_open(path[0], EXP_STORE_WRITE, &st);
    check(s != NULL, &st);
    double begin_s = cpu_s();
    check(exp_store_merge(s, path[1], &sum, &st), &st);
    say("merge", begin_s);
    begin_s = cpu_s();
    check(exp_store_merge(s, path[1], &sum, &st), &st);
    say("merge again", begin_s);
    exp_store_close(s);
    unlink(path[0]);
    unlink(path[1]);
    rmdir(folder);
    exp_point_result_fini(&r);
    for (int i = 0; i < 2; i++) free(path[i]);
    free(folder);
    return 0;
}
