/* Simulated requests per second of wall time on public traces: Llama-3.1-8B on H100s under vLLM's defaults.
 * Takes the data folder from KVSIM_SHARED (../shared) and says so when it is not there. `simulation` is
 * sim_run and sim_report_new, median of 5; `setup` is reading the trace, the profile, tabulating, and
 * planning memory. Targets: 500,000 requests/s on the Azure trace (aim 1,000,000), 100,000 on the same 20
 * times compressed, 50,000 on Mooncake. */
#include "models/cost.h"
#include "models/datadir.h"
#include "models/kvmem.h"
#include "sim/cluster.h"
#include "sim/memory.h"
#include "sim/metrics.h"
#include "traces/synth.h"
#include "traces/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { N_RUNS = 5 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The serving side: one fleet, priced. */
struct fleet {
    struct mdl_arch arch;
    struct mdl_engine engine;
    struct mdl_memory memory;
    struct mdl_cost *cost;
    char name[64]; /* of the profile */
    struct sim_fleet fleet;
};

/* The fitted profile where the data folder has it, else the datasheet's. */
static struct mdl_profile *best_profile(const char *data_dir, const struct mdl_gpu *gpu)
{
    struct sim_status st = {0};
    char *dir = sim_printf("%s/calib/profiles/h100-sxm-vllm", data_dir);
    struct mdl_profile *p = access(dir, R_OK) == 0 ? mdl_profile_load(dir, gpu, &st) : NULL;
    free(dir);
    return p ? p : mdl_profile_analytic(gpu);
}

static bool price_fleet(struct fleet *f, const struct mdl_gpu *gpu, const struct mdl_profile *profile,
                        struct sim_status *st)
{
    const struct mdl_engine_default *limits = mdl_engine_default_for(&f->engine, gpu);
    struct mdl_memory_spec memory = {.arch = &f->arch,
                                     .gpu = gpu,
                                     .engine = &f->engine,
                                     .tensor_parallel = 1,
                                     .pipeline_parallel = 1,
                                     .max_num_seqs = limits->max_num_seqs,
                                     .max_num_batched_tokens = limits->max_num_batched_tokens,
                                     .block_size = f->engine.block_size,
                                     .gpu_memory_utilization = f->engine.gpu_memory_utilization};
    if (!mdl_memory_plan(&memory, &f->memory, st)) return false;
    struct mdl_cost_spec spec = {.arch = &f->arch,
                                 .gpu = gpu,
                                 .profile = profile,
                                 .engine = &f->engine,
                                 .tensor_parallel = 1,
                                 .pipeline_parallel = 1,
                                 .max_num_seqs = limits->max_num_seqs,
                                 .max_num_batched_tokens = limits->max_num_batched_tokens,
                                 .kv_capacity_tokens = f->memory.kv_capacity_tokens};
    f->cost = mdl_cost_new(&spec, st);
    if (!f->cost) return false;
    f->fleet.gpus_per_replica = 1;
    f->fleet.cost = mdl_cost_base(f->cost);
    f->fleet.engine = (struct sim_engine){.max_num_seqs = limits->max_num_seqs,
                                          .max_num_batched_tokens = limits->max_num_batched_tokens,
                                          .block_size = f->engine.block_size,
                                          .max_model_len = f->arch.max_position_embeddings,
                                          .n_blocks = f->memory.blocks,
                                          .reserve_full_isl = f->engine.reserve_full_isl,
                                          .ingress_s = f->engine.ingress_s,
                                          .egress_s = f->engine.egress_s};
    return true;
}

static bool fleet_init(struct fleet *f, struct sim_status *st)
{
    *f = (struct fleet){.fleet.name = "h100"};
    char *data_dir = mdl_data_dir(st);
    if (!data_dir) return false;
    char *csv = sim_printf("%s/models/gpus.csv", data_dir);
    struct mdl_gpu_catalogue *gpus = mdl_gpu_catalogue_load(csv, st);
    const struct mdl_gpu *gpu = gpus ? mdl_gpu_find(gpus, "h100-sxm", st) : NULL;
    bool ok = gpu && mdl_arch_load(data_dir, "llama-3.1-8b", &f->arch, st) &&
              mdl_engine_load(data_dir, "vllm-0.24", &f->engine, st);
    if (ok) {
        struct mdl_profile *profile = best_profile(data_dir, gpu);
        snprintf(f->name, sizeof f->name, "%s", mdl_profile_name(profile));
        ok = price_fleet(f, gpu, profile, st);
        mdl_profile_free(profile);
    }
    mdl_gpu_catalogue_free(gpus);
    free(csv);
    free(data_dir);
    return ok;
}

struct replay {
    const char *title, *file, *router;
    uint32_t n_replicas;
    double compress;
};

static struct trc_trace *load_trace(const struct replay *r, struct sim_status *st)
{
    const char *shared = getenv("KVSIM_SHARED");
    char *path = sim_printf("%s/%s", shared && *shared ? shared : "../shared", r->file);
    struct trc_trace *t = NULL;
    if (access(path, R_OK) == 0)
        t = trc_read(path, NULL, st);
    else
        printf("%s: skipped, %s is not there\n", r->title, path);
    free(path);
    if (!t || r->compress == 1) return t;
    struct trc_trace *scaled = trc_scale(t, r->compress, TRC_COMPRESS, 1, st);
    trc_free(t);
    return scaled;
}

/* One run and its report; seconds. *iterations: forward steps of all replicas. */
static double run_once(const struct sim_config *config, uint64_t *iterations, uint64_t *completed)
{
    double start_s = now_s();
    struct sim_result *res = sim_run(config);
    struct sim_report *report = sim_report_new(config, res);
    double taken_s = now_s() - start_s;
    *iterations = report->iterations;
    *completed = report->all.completed;
    sim_report_free(report);
    sim_result_free(res);
    return taken_s;
}

static bool measure(const struct replay *r, struct fleet *f, double fleet_setup_s, struct sim_status *st)
{
    double start_s = now_s(), taken_s[N_RUNS];
    struct trc_trace *t = load_trace(r, st);
    if (!t) return st->code == SIM_EXIT_OK;
    double setup_s = fleet_setup_s + now_s() - start_s;
    struct sim_class one = {"default", {.percentile = 99}};
    f->fleet.n_replicas = r->n_replicas;
    struct sim_config config = {.fleets = &f->fleet,
                                .n_fleets = 1,
                                .router = sim_router_find(r->router),
                                .load = {.requests = t->requests, .n_requests = t->n_requests},
                                .classes = &one,
                                .n_classes = 1,
                                .seed = 1,
                                .fast_forward = true,
                                .timeline_points = 500};
    bool ok = sim_config_check(&config, st);
    uint64_t iterations = 0, completed = 0;
    for (int i = 0; ok && i < N_RUNS; i++) taken_s[i] = run_once(&config, &iterations, &completed);
    if (ok) {
        qsort(taken_s, N_RUNS, sizeof *taken_s, by_size);
        double wall_s = taken_s[N_RUNS / 2];
        printf("%s: %.0f requests/s, best %.0f (%" PRIu64 " completed, %" PRIu64
               " steps; simulation %.1f ms, %.1f ns a "
               "step; setup %.1f ms)\n",
               r->title, (double)completed / wall_s, (double)completed / taken_s[0], completed, iterations,
               1e3 * wall_s, 1e9 * wall_s / (double)iterations, 1e3 * setup_s);
    }
    trc_free(t);
    return ok;
}

int main(void)
{
    static const char azure[] = "traces/azure-2023/AzureLLMInferenceTrace_conv.csv";
    static const struct replay replays[] = {
        {"Azure conversation, 4 replicas", azure, "least_outstanding", 4, 1},
        {"the same 20 times compressed", azure, "least_outstanding", 4, 20},
        {"Mooncake conversation, 8 replicas", "traces/mooncake/conversation_trace.jsonl", "round_robin", 8,
         1},
    };
    struct sim_status st = {0};
    struct fleet f;
    double start_s = now_s();
    bool ok = fleet_init(&f, &st);
    double setup_s = now_s() - start_s;
    if (ok) printf("Llama-3.1-8B, %s, profile %s\n", f.engine.name, f.name);
    for (size_t i = 0; ok && i < sizeof replays / sizeof *replays; i++)
        ok = measure(&replays[i], &f, setup_s, &st);
    if (!ok) fprintf(stderr, "bench_replay failed: %s\n", st.message);
    mdl_cost_free(f.cost);
    return ok ? 0 : 1;
}
