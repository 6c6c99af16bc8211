/* What a sweep of short points costs: 10,000 points of 2,000 requests each (Llama-3.1-8B on one H100, full KV, open loop, 200
 * rates x 50 seeds) on one thread and on two. Goals: at least 200 points/s on two threads, at most 1 ms a point beside
 * setting up and simulating it. Then where that overhead lies. POINTS=N takes fewer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "experiments/study/sweep_parts.h"
#include "sim/memory.h"

enum { N_RATES = 200, N_PARTS = 500 };

static void die(const struct sim_status *st)
{
    fprintf(stderr, "bench_sweep: %s\n", st->message);
    exit(1);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0) exit(1);
}

static struct exp_study *study_of(unsigned points)
{
    static const char base[] = "model: llama-3.1-8b\n"
                               "fleet: [{gpu: h100-sxm}]\n"
                               "workload:\n"
                               "  open_loop: {request_rate: 8, num_requests: 2000, input_tokens: "
                               "'lognormal:600:0.7:4000', output_tokens: 'uniform:20:200'}\n";
    struct sim_status st = {0};
    char text[400];
    unsigned seeds = points / N_RATES > 1 ? points / N_RATES : 2;
    snprintf(text, sizeof text,
             "name: bench\nscenario: base.yaml\ngrid:\n"
             "  workload.open_loop.request_rate: {from: 2, to: 21.9, count: %d}\n"
             "  seed: {from: 1, to: %u, count: %u}\n",
             N_RATES, seeds, seeds);
    write_file("base.yaml", base);
    write_file("study.yaml", text);
    struct exp_study *s = exp_study_load("study.yaml", &st);
    if (!s) die(&st);
    return s;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static bool add_simulated(void *sum, const struct exp_stored *row)
{
    *(double *)sum +=
        row->measure[exp_measure_find("sim_wall_s")] + row->measure[exp_measure_find("setup_wall_s")];
    return true;
}

/* Points per second, and what is left of a thread's time when the runs themselves are taken away. */
static void run(const struct exp_study *study, uint32_t n_threads)
{
    struct sim_status st = {0};
    struct exp_sweep_options o = {.db = "bench.sqlite", .n_threads = n_threads, .shard = 1, .n_shards = 1};
    struct exp_sweep_sum sum;
    double simulated_s = 0, begin_cpu_s = cpu_s();
    if (!exp_sweep(study, &o, &sum, &st)) die(&st);
    double used_s = cpu_s() - begin_cpu_s, n = (double)sum.computed;
    struct exp_store *s = exp_store_open(o.db, EXP_STORE_READ, &st);
    if (!s || !exp_store_each(s, NULL, add_simulated, &simulated_s, &st)) die(&st);
    exp_store_close(s);
    printf(
        "-j %u: %.0f points in %.1f s: %.1f points/s; %.2f ms of a thread a point, of which %.2f ms the run "
        "itself, %.3f ms the rest; %.2f ms of processor time\n",
        n_threads, n, sum.wall_s, n / sum.wall_s, 1e3 * sum.wall_s * n_threads / n, 1e3 * simulated_s / n,
        1e3 * (sum.wall_s * n_threads - simulated_s) / n, 1e3 * used_s / n);
    fflush(stdout);
    if (unlink(o.db) != 0) perror(o.db);
}

/* ---- where the rest lies: each part by itself, on one thread, in processor time ---- */

struct parts {
    struct exp_sweep_parts sweep;
    uint64_t n;
    struct exp_scenario *room;
    struct exp_point_result *result; /* [n] */
    struct exp_store *store;
};

static void make_scenarios(struct parts *p)
{
    struct sim_status st = {0};
    for (uint64_t i = 0; i < p->n; i++) exp_study_scenario(p->sweep.study, i, p->room, &st);
}

static void make_keys(struct parts *p)
{
    struct exp_point_result r;
    for (uint64_t i = 0; i < p->n; i++) exp_sweep_name(&p->sweep, i, p->room, &r);
}

static void compute(struct parts *p)
{
    for (uint64_t i = 0; i < p->n; i++) {
        exp_point_result_fini(&p->result[i]);
        exp_sweep_compute(&p->sweep, i, p->room, &p->result[i]);
    }
}

static void store(struct parts *p)
{
    struct sim_status st = {0};
    for (uint64_t i = 0; i < p->n; i++)
        if (!exp_store_has(p->store, p->result[i].key) && !exp_store_put(p->store, &p->result[i], &st))
            die(&st);
}

/* Processor time of a part, ms a point. */
static double time_of(void (*part)(struct parts *p), struct parts *p)
{
    double begin_s = cpu_s();
    part(p);
    return 1e3 * (cpu_s() - begin_s) / (double)p->n;
}

static void split(const struct exp_study *study)
{
    struct sim_status st = {0};
    const struct exp_sweep_options o = {.n_threads = 1, .shard = 1, .n_shards = 1};
    struct parts p = {.sweep = {.study = study, .o = &o}, .n = N_PARTS, .room = exp_scenario_new()};
    if (exp_study_n_points(study) < p.n) p.n = exp_study_n_points(study);
    p.result = sim_alloc(p.n, sizeof *p.result);
    p.store = exp_store_open("parts.sqlite", EXP_STORE_WRITE, &st);
    if (!p.store || !exp_sweep_parts_open(&p.sweep, &st)) die(&st);
    compute(&p); /* files are read, costs tabulated */
    json_t *versions = exp_hasher_json(p.sweep.hasher);
    if (!exp_store_put_study(p.store, study, versions, &st)) die(&st);
    json_decref(versions);
    double scenario = time_of(make_scenarios, &p), keys = time_of(make_keys, &p), all = time_of(compute, &p),
           begin_s = exp_clock_s(), put = time_of(store, &p), put_wall_s = exp_clock_s() - begin_s;
    printf("processor time a point: keys %.3f ms (%.3f the scenario) twice, run and figures %.3f ms, store "
           "%.3f ms (%.3f "
           "ms with waiting for the disk)\n",
           keys, scenario, all - keys, put, 1e3 * put_wall_s / (double)p.n);
    for (uint64_t i = 0; i < p.n; i++) exp_point_result_fini(&p.result[i]);
    exp_store_close(p.store);
    exp_sweep_parts_close(&p.sweep);
    free(p.result);
    free(p.room);
}

int main(void)
{
    const char *asked = getenv("POINTS");
    char dir[] = "/tmp/kvsim-bench-XXXXXX", *here = getcwd(NULL, 0);
    if (!getenv("KVSIM_DATA") && here) setenv("KVSIM_DATA", here, 1);
    if (!mkdtemp(dir) || chdir(dir) != 0) return 1;
    struct exp_study *study = study_of(asked ? (unsigned)strtoul(asked, NULL, 10) : 10000);
    run(study, 1);
    run(study, 2);
    split(study);
    exp_study_free(study);
    free(here);
    fflush(stdout);
    return execlp("rm", "rm", "-rf", "--", dir, (char *)NULL);
}
