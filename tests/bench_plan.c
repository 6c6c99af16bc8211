/* How long a decision takes: the public conversation trace ten times over, 4 GPU types x 3 degrees of tensor parallelism x
 * 8 strategies, on 2 threads; the shipped sample where the trace is not at hand. Medians of five. */
#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiments/planning/decision.h"
#include "sim/memory.h"

enum { RUNS = 5, PHASES = 5 };

static const char plan_text[] =
    "model: llama-3.1-8b\n"
    "slo: {ttft_ms: 1000, tpot_ms: 50, percentile: 99}\n"
    "search: {gpu: [a100-80-sxm, h100-sxm, h200-sxm, b200-sxm], tensor_parallel: [1, 2, 4],\n"
    "         strategy: [full, fp8, kivi4, freekv, h2o, snapkv, streaming_llm, int8]}\n";

static const char *const names[PHASES] = {"search", "verify", "finalists", "risk", "all"};

static bool decide(struct exp_plan *plan, const char *folder, double seconds[PHASES], struct sim_status *st)
{
    struct exp_cache *cache = exp_cache_new(st);
    struct mdl_prices *prices = cache ? mdl_prices_load(folder, st) : NULL;
    struct exp_decision_options o = {.n_threads = 2};
    struct exp_decision d;
    bool ok = prices && exp_plan_check(plan, cache, st) && exp_decide(plan, prices, cache, &o, &d, st);
    if (ok) {
        const double all[PHASES] = {d.search_s, d.verify_s, d.response_s, d.risk_s, d.wall_s};
        memcpy(seconds, all, sizeof all);
        printf("%u candidates, %u finalists, %llu simulations: %.1f s\n", d.search.n_entries, d.n_finalists,
               (unsigned long long)d.n_runs, d.wall_s);
        exp_decision_fini(&d);
    }
    free(prices);
    exp_cache_free(cache);
    return ok;
}

int main(void)
{
    struct sim_status st = {0};
    const char *shared = getenv("KVSIM_SHARED"), *data = getenv("KVSIM_DATA");
    char *trace =
        sim_printf("%s/traces/azure-2023/AzureLLMInferenceTrace_conv.csv", shared ? shared : "../shared");
    char *folder = sim_printf("%s/models/prices", data ? data : ".");
    bool is_there = access(trace, R_OK) == 0;
    char *load = sim_printf("load: {trace: %s, multiply: %d, how: superpose}\n",
                            is_there ? trace : "traces/samples/demo.csv", is_there ? 10 : 20);
    char *text = sim_printf("%s%s", plan_text, load);
    double times[PHASES][RUNS], seconds[PHASES];
    printf("%s", load);
    for (int i = 0; i < RUNS; i++) {
        struct exp_plan *plan = exp_plan_parse("bench", text, strlen(text), &st);
        if (!plan || !decide(plan, folder, seconds, &st)) {
            fprintf(stderr, "%s\n", st.message);
            return 1;
        }
        for (int k = 0; k < PHASES; k++) times[k][i] = seconds[k];
        exp_plan_free(plan);
    }
    for (int k = 0; k < PHASES; k++) {
        gsl_sort(times[k], 1, RUNS);
        printf("%-10s %6.2f s (%.2f to %.2f)\n", names[k], times[k][RUNS / 2], times[k][0],
               times[k][RUNS - 1]);
    }
    free(trace);
    free(folder);
    free(load);
    free(text);
    return 0;
}
