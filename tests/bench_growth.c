/* How time and memory grow from 10^4 to 10^7 requests: Poisson arrivals at 0.7 of saturation on 8 replicas
 * with a linear step cost. Each size runs in a process of its own, so that its peak memory is its own; time
 * is its CPU time. Saturation is the throughput of a load that stands waiting from the start. Targets: time
 * in proportion within 1.3 a decade, at most 100 bytes a request (the trace, its outcomes and the report
 * together). */
#include "sim/cluster.h"
#include "sim/memory.h"
#include "sim/metrics.h"
#include "sim/random.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MEAN_INPUT = 512, MEAN_OUTPUT = 128, N_REPLICAS = 8 };

static double cpu_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* one thread, and nobody else's */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct figures {
    double sim_s, request_throughput, e2el_mean_s;
    uint64_t iterations, peak_bytes;
    enum sim_load_state state;
};

static uint32_t length(const char *stream, uint64_t i, uint32_t mean)
{
    return 1 + (uint32_t)(sim_random_unit(1, sim_stream(stream), i) * (2 * mean - 1));
}

/* n requests; rate 0: all at 0. */
static struct sim_request *poisson(uint64_t n, double rate)
{
    struct sim_request *requests = sim_alloc(n, sizeof *requests);
    double at_s = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (rate > 0) at_s -= log(sim_random_unit(1, sim_stream("gaps"), i)) / rate;
        requests[i] = (struct sim_request){.arrival_s = at_s,
                                           .input_tokens = length("input", i, MEAN_INPUT),
                                           .output_tokens = length("output", i, MEAN_OUTPUT)};
    }
    return requests;
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static struct figures run(uint64_t n, double rate)
{
    struct sim_cost_linear cost;
    struct sim_request *requests = poisson(n, rate);
    sim_cost_linear_init(&cost, 6e-3, 2e-5, 2e-8);
    struct sim_fleet fleet = {.name = "linear",
                              .n_replicas = N_REPLICAS,
                              .gpus_per_replica = 1,
                              .cost = &cost.base,
                              .engine = {.max_num_seqs = 256,
                                         .max_num_batched_tokens = 8192,
                                         .block_size = 16,
                                         .max_model_len = 8192,
                                         .n_blocks = 27000}};
    struct sim_class one = {"default", {.percentile = 99}};
    struct sim_config config = {.fleets = &fleet,
                                .n_fleets = 1,
                                .router = sim_router_find("least_outstanding"),
                                .load = {.requests = requests, .n_requests = n},
                                .classes = &one,
                                .n_classes = 1,
                                .seed = 1,
                                .fast_forward = true,
                                .timeline_points = 500};
    double start_s = cpu_now_s();
    struct sim_result *res = sim_run(&config);
    struct sim_report *report = sim_report_new(&config, res);
    struct figures f = {.sim_s = cpu_now_s() - start_s,
                        .request_throughput = report->all.request_throughput,
                        .e2el_mean_s = report->all.e2el.mean,
                        .iterations = report->iterations,
                        .state = report->load_state};
    sim_report_free(report);
    sim_result_free(res);
    free(requests);
    f.peak_bytes = peak_bytes();
    return f;
}

/* The same in a process of its own; false when that failed. */
static bool run_apart(uint64_t n, double rate, struct figures *f)
{
    int ends[2];
    if (pipe(ends) != 0) return false;
    pid_t child = fork();
    if (child == 0) {
        struct figures mine = run(n, rate);
        _exit(write(ends[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
    }
    close(ends[1]);
    bool ok = child > 0 && read(ends[0], f, sizeof *f) == sizeof *f;
    close(ends[0]);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 && ok;
}

int main(void)
{
    static const uint64_t sizes[] = {10000, 100000, 1000000, 10000000};
    enum { N_SIZES = sizeof sizes / sizeof *sizes };
    struct figures f[N_SIZES], saturated;
    if (!run_apart(20000, 0, &saturated)) return 1;
    double rate = 0.7 * saturated.request_throughput;
    printf("saturation %.1f requests/s, load %.1f\n", saturated.request_throughput, rate);
    for (int i = 0; i < N_SIZES; i++) {
        if (!run_apart(sizes[i], rate, &f[i])) {
            fprintf(stderr, "bench_growth failed at %" PRIu64 " requests\n", sizes[i]);
            return 1;
        }
        printf("%8" PRIu64
               " requests: %8.3f s, %7.0f requests/s, %.1f ns a step, peak %.1f MB, %s, mean E2EL %.2f s",
               sizes[i], f[i].sim_s, (double)sizes[i] / f[i].sim_s,
               1e9 * f[i].sim_s / (double)f[i].iterations, (double)f[i].peak_bytes / 1e6,
               sim_load_state_name(f[i].state), f[i].e2el_mean_s);
        if (i > 0) printf(", %.2f x linear", f[i].sim_s / f[i - 1].sim_s / 10);
        printf("\n");
        fflush(stdout);
    }
    printf("%.1f bytes a request\n",
           ((double)f[N_SIZES - 1].peak_bytes - (double)f[0].peak_bytes) / (double)sizes[N_SIZES - 1]);
    return 0;
}
