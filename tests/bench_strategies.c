/* What a KV strategy costs the simulator: wall time of the Azure conversation trace on four H100s (Llama-3.1-8B),
 * as it is and compressed 20 times, per strategy over that of `full`, runs interleaved, medians of 5. Lengths stay as
 * they are, so that every strategy simulates the same tokens. Takes the trace from KVSIM_SHARED (../shared), else a
 * synthetic one. Goal: at most 2. Beside it the time per step of a run, because some strategies take more steps. */
#include "experiments/run.h"
#include "models/strategy.h"
#include "sim/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { N_RUNS = 5 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void set(struct exp_scenario *s, const char *key, const char *value)
{
    struct sim_status st = {0};
    if (exp_scenario_set(s, key, value, &st)) return;
    fprintf(stderr, "bench_strategies: %s\n", st.message);
    exit(1);
}

static struct exp_scenario *scenario_of(const char *strategy, const char *trace, const char *scale)
{
    static const char text[] = "model: llama-3.1-8b\n"
                               "fleet:\n  - {gpu: h100-sxm, replicas: 4}\n"
                               "router: least_outstanding\n";
    struct sim_status st = {0};
    struct exp_scenario *s = exp_scenario_parse("bench", text, sizeof text - 1, &st);
    set(s, "fleet.0.kv.strategy", strategy);
    set(s, "length_shift", "false");
    if (trace) {
        set(s, "workload.trace", trace);
        set(s, "workload.time_scale", scale);
        return s;
    }
    set(s, "workload.open_loop.num_requests", "20000");
    set(s, "workload.open_loop.request_rate", scale[0] == '1' ? "5" : "50");
    set(s, "workload.open_loop.input_tokens", "lognormal:1150:1");
    set(s, "workload.open_loop.output_tokens", "lognormal:210:1");
    return s;
}

struct took {
    double wall_s, per_step_ns;
};

static bool run(const char *strategy, const char *trace, const char *scale, struct exp_cache *cache,
                struct took *out)
{
    struct sim_status st = {0};
    struct exp_scenario *s = scenario_of(strategy, trace, scale);
    struct exp_run *r = exp_run_new(s, cache, NULL, &st);
    free(s);
    if (!r) {
        printf("  %-14s not run: %s\n", strategy, st.message);
        return false;
    }
    *out = (struct took){r->timing.sim_wall_s, 1e9 * r->timing.sim_wall_s / (double)r->report->iterations};
    exp_run_free(r);
    return true;
}

static void compare(const char *strategy, const char *trace, const char *scale, struct exp_cache *cache)
{
    double ratio[N_RUNS], step[N_RUNS];
    for (int i = 0; i < N_RUNS; i++) {
        struct took full, own;
        if (!run("full", trace, scale, cache, &full) || !run(strategy, trace, scale, cache, &own)) return;
        ratio[i] = own.wall_s / full.wall_s;
        step[i] = own.per_step_ns / full.per_step_ns;
    }
    qsort(ratio, N_RUNS, sizeof *ratio, by_size);
    qsort(step, N_RUNS, sizeof *step, by_size);
    printf("  %-14s %5.2f x the time of full, %5.2f x a step's\n", strategy, ratio[N_RUNS / 2],
           step[N_RUNS / 2]);
    fflush(stdout);
}

int main(void)
{
    const char *shared = getenv("KVSIM_SHARED");
    char *path = sim_printf("%s/traces/azure-2023/AzureLLMInferenceTrace_conv.csv",
                            shared && *shared ? shared : "../shared");
    const char *trace = access(path, R_OK) == 0 ? path : NULL;
    static const char *const scale[] = {"1", "0.05"};
    struct sim_status st = {0};
    struct exp_cache *cache = exp_cache_new(&st);
    if (!cache) {
        fprintf(stderr, "bench_strategies: %s\n", st.message);
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        printf("%s, time x %s\n", trace ? "Azure conversation trace" : "synthetic load", scale[i]);
        for (size_t k = 0; k < mdl_strategy_count(); k++)
            compare(mdl_strategy_at(k)->name, trace, scale[i], cache);
    }
    exp_cache_free(cache);
    free(path);
    return 0;
}
