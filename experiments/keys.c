#include "experiments/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/values.h"
#include "models/transfer.h"
#include "models/yaml.h"
#include "sim/memory.h"
#include "sim/recall.h"

static const char not_simulated[] = "which this version does not simulate";

#define S(field) offsetof(struct exp_scenario, field)
#define F(field) offsetof(struct exp_fleet_keys, field)
#define E(field) offsetof(struct exp_engine_keys, field)
#define C(field) offsetof(struct exp_class_keys, field)
#define L(field) offsetof(struct exp_slo_keys, field)
#define TEXT(s, t, n, at, d, x, h)                                                                           \
    {                                                                                                        \
        n, s, t, false, "", d, 0, 0, NULL, at, x, h, NULL                                                    \
    }
#define CHOICE(s, n, at, c, d, x, h)                                                                         \
    {                                                                                                        \
        n, s, EXP_CHOICE, false, "", d, 0, 0, c, at, x, h, NULL                                              \
    }
#define ONLY(s, n, at, c, d, x, h)                                                                           \
    {                                                                                                        \
        n, s, EXP_CHOICE, false, "", d, 0, 0, c, at, x, h, not_simulated                                     \
    }
#define COUNT(s, n, u, at, d, lo, hi, x, h)                                                                  \
    {                                                                                                        \
        n, s, EXP_COUNT, false, u, d, lo, hi, NULL, at, x, h, NULL                                           \
    }
#define REAL(s, n, u, at, d, lo, hi, x, h)                                                                   \
    {                                                                                                        \
        n, s, EXP_REAL, false, u, d, lo, hi, NULL, at, x, h, NULL                                            \
    }
#define FLAG(s, n, at, d, h)                                                                                 \
    {                                                                                                        \
        n, s, EXP_FLAG, false, "", d, 0, 0, NULL, at, NULL, h, NULL                                          \
    }
#define MAYBE(t, s, n, u, at, d, lo, hi, h)                                                                  \
    {                                                                                                        \
        n, s, t, true, u, d, lo, hi, NULL, at, NULL, h, NULL                                                 \
    }
#define MAYBE_CHOICE(s, n, at, c, d, h)                                                                      \
    {                                                                                                        \
        n, s, EXP_CHOICE, true, "", d, 0, 0, c, at, NULL, h, NULL                                            \
    }
#define MAYBE_STRATEGY(s, n, at, d, h)                                                                       \
    {                                                                                                        \
        n, s, EXP_STRATEGY, true, "", d, 0, 0, NULL, at, NULL, h, NULL                                       \
    }
#define BY_ENGINE "by engine and GPU"
#define BY_CARD   "by the card's server"

/* A row for each parameter of models/strategy.h; the unit of a choice holds its words. */
#define KV_COUNT(u)     EXP_COUNT, true, u
#define KV_REAL(u)      EXP_REAL, true, u
#define KV_FLAG(u)      EXP_FLAG, true, u
#define KV_CHOICE(u)    EXP_CHOICE, true, ""
#define WORDS_COUNT(u)  NULL
#define WORDS_REAL(u)   NULL
#define WORDS_FLAG(u)   NULL
#define WORDS_CHOICE(u) u
#define KV_KEY(sym, n, t, u, lo, hi, h)                                                                      \
    {"kv." n, EXP_IN_FLEET, KV_##t(u), "by strategy", lo, hi, WORDS_##t(u), F(kv.value[MDL_KV_##sym]), NULL, \
     h,       NULL},

/* clang-format off */
static const struct exp_key keys[] = {
    TEXT(EXP_IN_SCENARIO, EXP_MODEL, "model", S(model), "", "llama-3.1-8b", "catalogue name (kvsim list models), or path to a Hugging Face config.json"),
    CHOICE(EXP_IN_SCENARIO, "weights", S(weights), "bf16|fp8|int8|int4", "bf16", "bf16", "type of the decoder's linear weights"),

    TEXT(EXP_IN_FLEET, EXP_TEXT, "gpu", F(gpu), "", "h100-sxm", "catalogue name (kvsim list gpus)"),
    COUNT(EXP_IN_FLEET, "replicas", "", F(replicas), "1", 1, 65535, "1", "copies of the model"),
    COUNT(EXP_IN_FLEET, "tensor_parallel", "GPUs", F(tensor_parallel), "1", 1, 64, "1", "GPUs that share each layer"),
    COUNT(EXP_IN_FLEET, "pipeline_parallel", "stages", F(pipeline_parallel), "1", 1, SIM_MAX_STAGES, NULL, "groups of layers, one after the other"),
    TEXT(EXP_IN_FLEET, EXP_NAME_OR_PATH, "profile", F(profile), "", NULL, "measured tables (kvsim list profiles), a profile folder, or analytic; default: the GPU's own"),
    TEXT(EXP_IN_FLEET, EXP_STRATEGY, "kv.strategy", F(kv.strategy), "full", "full", "KV-cache strategy (kvsim list strategies)"),
    MDL_KV_KEYS(KV_KEY)
    REAL(EXP_IN_FLEET, "kv.later.from_s", "s", F(kv.later.from_s), "0", 0, 1e12, NULL, "so long after the first arrival the rates below hold; 0 = never"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "kv.later.miss_rate", "share", F(kv.later.miss), "kv.miss_rate", 0, 1, "kv.miss_rate from then on"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "kv.later.correction_rate", "share", F(kv.later.correction), "kv.correction_rate", 0, 1, "kv.correction_rate from then on"),
    REAL(EXP_IN_FLEET, "kv.later.learn_s", "s", F(kv.later.learn_s), "2", 0, 1e12, NULL, "so much longer kv.policy adaptive goes by the old rates: 64 steps of 30 ms, 2,048 checks of 32 layers, which tell a rate of 0.37 to 0.02"),
    TEXT(EXP_IN_FLEET, EXP_PATH, "kv.length_pairs", F(kv.length_pairs), "", NULL, "measured output lengths in place of the published ones, CSV id,baseline_tokens,strategy_tokens"),
    TEXT(EXP_IN_FLEET, EXP_PATH, "kv.quality", F(kv.quality), "", NULL, "quality record in place of the one that ships (kvsim quality writes one): answers that get worse, in compare"),
    TEXT(EXP_IN_FLEET, EXP_NAME_OR_PATH, "kv.kernels", F(kv.kernels), "", NULL, "kvbench profile that this card's strategy kernels and copies are taken from; default: the shipped one, else analytic"),
    CHOICE(EXP_IN_FLEET, "kv.fallback.when", F(kv.fallback_when), "never|host_full|short", "never", NULL, "which requests keep their whole KV on the GPU instead: those that the host has no room for, or short ones"),
    ONLY(EXP_IN_FLEET, "kv.fallback.to", F(kv.fallback_to), "full", "full", NULL, "what they keep instead"),
    COUNT(EXP_IN_FLEET, "kv.fallback.below_tokens", "tokens", F(kv.fallback_below_tokens), "0", 0, UINT32_MAX, NULL, "input + output below which a request is short"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.link_gb_per_s", "GB/s", F(host.link_gb_per_s), BY_CARD, 1e-3, 1e5, "host link of one GPU, one direction, contiguous pinned copies"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.duplex", "", F(host.duplex), BY_CARD, 1, 2, "both directions at once over one alone"),
    MAYBE(EXP_COUNT, EXP_IN_FLEET, "host.gpus_per_link", "GPUs", F(host.gpus_per_link), BY_CARD, 1, SIM_LINK_USERS, "GPUs that share a root complex"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.memory_gib", "GiB", F(host.memory_gib), BY_CARD, 0, 1e6, "host memory for KV, per GPU"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.launch_us", "us", F(host.launch_us), BY_CARD, 0, 1e4, "kernel launch, when no graph holds it"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.sync_us", "us", F(host.sync_us), BY_CARD, 0, 1e5, "the host waits for the GPU and goes on"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.submit_us", "us", F(host.submit_us), BY_CARD, 0, 1e4, "host time to submit a copy"),
    MAYBE(EXP_COUNT, EXP_IN_FLEET, "host.submitters", "threads", F(host.submitters), BY_CARD, 1, MDL_MAX_SUBMITTERS, "threads that submit copies"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.descriptor_us", "us", F(host.descriptor_us), BY_CARD, 0, 1e4, "copy engine's time for a fragment of 16 KiB"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.kernel_frac", "share", F(host.kernel_frac), BY_CARD, 0.01, 1, "share of the link's rate at which a kernel reads mapped host memory (kv.pick kernel)"),
    MAYBE(EXP_REAL, EXP_IN_FLEET, "host.gather_gb_per_s", "GB/s", F(host.gather_gb_per_s), BY_CARD, 1e-3, 1e5, "rate at which the CPU collects scattered rows into one block (kv.pick cpu)"),
    TEXT(EXP_IN_FLEET, EXP_NAME, "name", F(name), "", NULL, "what results call this fleet; default: the GPU's name"),
    TEXT(EXP_IN_FLEET, EXP_NAMES, "classes", F(classes), "", NULL, "service classes pinned here by router by_class, e.g. [critical]; such a fleet serves no others"),

    TEXT(EXP_IN_ENGINE, EXP_NAME_OR_PATH, "name", E(name), "", "vllm-0.24", "engine and version (kvsim list engines), or path to an engine file"),
    MAYBE(EXP_COUNT, EXP_IN_ENGINE, "max_num_seqs", "requests", E(max_num_seqs), BY_ENGINE, 1, 65536, "requests running at once on a replica"),
    MAYBE(EXP_COUNT, EXP_IN_ENGINE, "max_num_batched_tokens", "tokens", E(max_num_batched_tokens), BY_ENGINE, 1, 1 << 22, "most tokens of one step"),
    MAYBE(EXP_COUNT, EXP_IN_ENGINE, "block_size", "tokens", E(block_size), BY_ENGINE, 1, 4096, "tokens of a KV block"),
    MAYBE(EXP_REAL, EXP_IN_ENGINE, "gpu_memory_utilization", "share", E(gpu_memory_utilization), BY_ENGINE, 0.01, 1, "share of the GPU's memory that the engine may use"),
    MAYBE(EXP_COUNT, EXP_IN_ENGINE, "num_gpu_blocks_override", "blocks", E(num_gpu_blocks_override), "computed from memory", 1, 1e12, "usable KV blocks of a replica"),
    MAYBE(EXP_COUNT, EXP_IN_ENGINE, "max_model_len", "tokens", E(max_model_len), "the model's, lowered to what the pool holds", 1, 1 << 30, "longest input + output; longer requests are rejected"),
    MAYBE(EXP_COUNT, EXP_IN_ENGINE, "long_prefill_token_threshold", "tokens", E(long_prefill_token_threshold), BY_ENGINE, 0, 1 << 22, "most prompt tokens of one request in a step; 0 = no limit"),
    MAYBE(EXP_REAL, EXP_IN_ENGINE, "watermark", "share", E(watermark), BY_ENGINE, 0, 0.9, "share of the blocks that stays free at admission"),
    MAYBE(EXP_FLAG, EXP_IN_ENGINE, "reserve_full_isl", "", E(reserve_full_isl), BY_ENGINE, 0, 1, "admit a request only when its whole known sequence fits"),
    MAYBE_CHOICE(EXP_IN_ENGINE, "scheduling_policy", E(scheduling_policy), "fcfs|priority", "fcfs", "order of waiting requests"),
    MAYBE_CHOICE(EXP_IN_ENGINE, "preemption", E(preemption), "recompute|swap", "recompute", "what happens to a request that lost its blocks; swap is not vLLM v1"),
    MAYBE(EXP_FLAG, EXP_IN_ENGINE, "async_scheduling", "", E(async_scheduling), BY_ENGINE, 0, 1, "prepare the next step while the GPU works"),
    MAYBE(EXP_FLAG, EXP_IN_ENGINE, "enforce_eager", "", E(enforce_eager), BY_ENGINE, 0, 1, "run without CUDA graphs"),
    ONLY(EXP_IN_ENGINE, "prefix_caching", E(prefix_caching), "false", "false", NULL, "reuse of the KV of equal prompt beginnings"),

    TEXT(EXP_IN_SCENARIO, EXP_ROUTER, "router", S(router), "round_robin", "least_outstanding", "which replica takes a request (kvsim list routers)"),
    REAL(EXP_IN_SCENARIO, "predictor.throughput_accuracy", "", S(predictor_throughput_accuracy), "1", 0.01, 1, NULL, "routers predicted_*: 1 - mean relative error of the throughput that they predict"),
    REAL(EXP_IN_SCENARIO, "predictor.length_accuracy", "", S(predictor_length_accuracy), "1", 0.01, 1, NULL, "... and of output lengths"),
    FLAG(EXP_IN_SCENARIO, "length_shift", S(length_shift), "true", "outputs get longer or shorter, as published for the KV-cache strategy or as measured (kv.length_pairs)"),

    TEXT(EXP_IN_SCENARIO, EXP_PATH, "workload.trace", S(workload.trace), "", "", "request trace (kvsim trace info names what it holds)"),
    COUNT(EXP_IN_SCENARIO, "workload.max_requests", "requests", S(workload.max_requests), "0", 0, 1e12, NULL, "only the first so many of the trace; 0 = all"),
    CHOICE(EXP_IN_SCENARIO, "workload.time_unit", S(workload.time_unit), "by_dialect|s|ms|us|ns", "by_dialect", NULL, "unit of the trace's arrival column"),
    TEXT(EXP_IN_SCENARIO, EXP_TEXT, "workload.columns", S(workload.columns), "", NULL, "the trace's columns, arrival=...,input=...,output=..."),
    CHOICE(EXP_IN_SCENARIO, "workload.zero_output", S(workload.zero_output), "skip|one|error", "skip", NULL, "what to do with requests that have no output"),
    FLAG(EXP_IN_SCENARIO, "workload.rebase", S(workload.rebase), "false", "move the first arrival to 0"),
    FLAG(EXP_IN_SCENARIO, "workload.spread_ticks", S(workload.spread_ticks), "false", "spread requests of one clock tick over the time to the next"),
    COUNT(EXP_IN_SCENARIO, "workload.hash_block_size", "tokens", S(workload.hash_block_size), "0", 0, 65536, NULL, "tokens of a hashed block; 0 = by the trace's dialect"),
    REAL(EXP_IN_SCENARIO, "workload.time_scale", "", S(workload.time_scale), "1", 1e-6, 1e6, NULL, "multiplies the gaps between arrivals"),
    REAL(EXP_IN_SCENARIO, "workload.multiply", "", S(workload.multiply), "1", 1e-6, 1e4, "1.0", "so many times the load: requests of a trace (how: below), the rate of an open loop"),
    CHOICE(EXP_IN_SCENARIO, "workload.how", S(workload.how), "superpose|compress|thin", "superpose", "superpose", "how the load is multiplied: superpose keeps the time scale of bursts"),
    CHOICE(EXP_IN_SCENARIO, "workload.overlong", S(workload.overlong), "reject|clip-input|clip-output", "reject", NULL, "requests above max_model_len"),

    REAL(EXP_IN_SCENARIO, "workload.open_loop.request_rate", "requests/s", S(workload.open_loop.request_rate), "1", 1e-9, 1e6, NULL, "mean arrival rate"),
    REAL(EXP_IN_SCENARIO, "workload.open_loop.burstiness", "", S(workload.open_loop.burstiness), "1", 1e-3, 1e3, NULL, "shape of the gamma gaps: 1 = Poisson, below 1 = burstier"),
    COUNT(EXP_IN_SCENARIO, "workload.open_loop.num_requests", "requests", S(workload.open_loop.num_requests), "0", 0, 1e9, NULL, "stop after so many; 0 = by duration_s"),
    REAL(EXP_IN_SCENARIO, "workload.open_loop.duration_s", "s", S(workload.open_loop.duration_s), "0", 0, 1e9, NULL, "stop after so long; 0 = by num_requests"),
    TEXT(EXP_IN_SCENARIO, EXP_LENGTHS, "workload.open_loop.input_tokens", S(workload.open_loop.input_tokens), "512", NULL, "number, uniform:lo:hi, lognormal:mean:cv[:max], gamma:mean:cv[:max] or file:lengths.csv"),
    TEXT(EXP_IN_SCENARIO, EXP_LENGTHS, "workload.open_loop.output_tokens", S(workload.open_loop.output_tokens), "128", NULL, "the same for the answer"),
    {"workload.open_loop.length_range", EXP_IN_SCENARIO, EXP_RANGE, false, "", "[1, 1]", 0, 1e3, NULL, S(workload.open_loop.length_range), NULL, "lengths uniform in [ceil(lo L), floor(hi L)]", NULL},

    COUNT(EXP_IN_SCENARIO, "workload.closed_loop.concurrency", "requests", S(workload.closed_loop.concurrency), "1", 1, 1e6, NULL, "requests kept in flight in the whole cluster"),
    COUNT(EXP_IN_SCENARIO, "workload.closed_loop.num_requests", "requests", S(workload.closed_loop.num_requests), "0", 0, 1e9, NULL, "stop after so many; 0 = 10 x concurrency"),
    TEXT(EXP_IN_SCENARIO, EXP_LENGTHS, "workload.closed_loop.input_tokens", S(workload.closed_loop.input_tokens), "512", NULL, "as in open_loop"),
    TEXT(EXP_IN_SCENARIO, EXP_LENGTHS, "workload.closed_loop.output_tokens", S(workload.closed_loop.output_tokens), "128", NULL, "as in open_loop"),
    {"workload.closed_loop.length_range", EXP_IN_SCENARIO, EXP_RANGE, false, "", "[1, 1]", 0, 1e3, NULL, S(workload.closed_loop.length_range), NULL, "as in open_loop", NULL},
    REAL(EXP_IN_SCENARIO, "workload.closed_loop.think_time_s", "s", S(workload.closed_loop.think_time_s), "0", 0, 1e6, NULL, "completion until the next request is sent"),

    REAL(EXP_IN_SLO, "ttft_ms", "ms", L(ttft_ms), "0", 0, 1e9, "500", "limit on time to first token; 0 = none"),
    REAL(EXP_IN_SLO, "tpot_ms", "ms", L(tpot_ms), "0", 0, 1e9, "50", "limit on time per output token; 0 = none"),
    REAL(EXP_IN_SLO, "e2el_ms", "ms", L(e2el_ms), "0", 0, 1e9, NULL, "limit on end-to-end latency; 0 = none"),
    REAL(EXP_IN_SLO, "percentile", "%", L(percentile), "99", 0, 100, "99", "share of arrived requests that must meet the limits"),
    CHOICE(EXP_IN_SLO, "rule", L(rule), "joint|per_metric", "joint", NULL, "joint: a request meets every limit; per_metric: each metric's percentile meets its own"),

    MAYBE_STRATEGY(EXP_IN_CLASS, "kv.strategy", C(kv_strategy), "any", "router by_class: this class is served by fleets with this KV-cache strategy only, and they by no class that does not ask for it or stand in their `classes`"),
    MAYBE(EXP_COUNT, EXP_IN_CLASS, "assign.min_input_tokens", "tokens", C(min_input_tokens), "none", 0, UINT32_MAX, "takes requests with at least so many prompt tokens"),
    MAYBE(EXP_COUNT, EXP_IN_CLASS, "assign.max_input_tokens", "tokens", C(max_input_tokens), "none", 0, UINT32_MAX, "... at most so many prompt tokens"),
    MAYBE(EXP_COUNT, EXP_IN_CLASS, "assign.min_output_tokens", "tokens", C(min_output_tokens), "none", 0, UINT32_MAX, "... at least so many output tokens"),
    MAYBE(EXP_COUNT, EXP_IN_CLASS, "assign.max_output_tokens", "tokens", C(max_output_tokens), "none", 0, UINT32_MAX, "... at most so many output tokens"),
    TEXT(EXP_IN_CLASS, EXP_NAME, "assign.task", C(task), "", NULL, "... whose trace column task says this"),
    TEXT(EXP_IN_CLASS, EXP_NAME, "assign.model", C(model), "", NULL, "... whose trace column model says this"),

    COUNT(EXP_IN_SCENARIO, "measure.warmup_requests", "requests", S(warmup_requests), "0", 0, 1e12, NULL, "the first so many are left out of latencies"),
    REAL(EXP_IN_SCENARIO, "measure.warmup_s", "s", S(warmup_s), "0", 0, 1e9, NULL, "arrivals of the first so many seconds are left out of latencies"),
    REAL(EXP_IN_SCENARIO, "measure.horizon_s", "s", S(horizon_s), "0", 0, 1e12, NULL, "stop the simulated world then; 0 = run to completion"),

    CHOICE(EXP_IN_SCENARIO, "cost.kind", S(cost_kind), "profile|linear", "profile", NULL, "profile: measured operators; linear: the three figures below"),
    REAL(EXP_IN_SCENARIO, "cost.step_s", "s", S(cost_step_s), "0", 0, 1e6, NULL, "linear: time of any step"),
    REAL(EXP_IN_SCENARIO, "cost.token_s", "s", S(cost_token_s), "0", 0, 1e6, NULL, "linear: time of each new token"),
    REAL(EXP_IN_SCENARIO, "cost.kv_token_s", "s", S(cost_kv_token_s), "0", 0, 1e6, NULL, "linear: time of each token that decode attention reads"),

    COUNT(EXP_IN_SCENARIO, "seed", "", S(seed), "1", 0, 18446744073709551616.0, "1", "same scenario and seed, same bytes"),
};
/* clang-format on */

static const struct exp_place places[] = {
    {"fleet.N.engine", EXP_IN_ENGINE},
    {"fleet.N", EXP_IN_FLEET},
    {"engine", EXP_IN_ENGINE},
    {"classes.NAME.slo", EXP_IN_SLO},
    {"classes.NAME", EXP_IN_CLASS},
    {"slo", EXP_IN_SLO},
    {"", EXP_IN_SCENARIO},
};

enum { N_KEYS = sizeof keys / sizeof keys[0], N_PLACES = sizeof places / sizeof places[0] };

size_t exp_key_count(void)
{
    return N_KEYS;
}

const struct exp_key *exp_key_at(size_t i)
{
    return &keys[i];
}

size_t exp_place_count(void)
{
    return N_PLACES;
}

const struct exp_place *exp_place_at(size_t i)
{
    return &places[i];
}

void exp_key_defaults(enum exp_scope scope, void *base)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (keys[i].scope == scope) exp_value_default(&keys[i], (char *)base + keys[i].offset);
}

/* The part of a pattern below a place, NULL when it stands elsewhere: "fleet.N.gpu" in "fleet.N" is "gpu". */
static const char *below(const char *pattern, const char *place)
{
    size_t n = strlen(place);
    if (n == 0) return pattern;
    if (strncmp(pattern, place, n) != 0) return NULL;
    return pattern[n] == '.' ? pattern + n + 1 : pattern[n] == '\0' ? pattern + n : NULL;
}

static const struct exp_key *find(const char *pattern, const struct exp_place **place)
{
    for (size_t p = 0; p < N_PLACES; p++) {
        const char *rest = below(pattern, places[p].pattern);
        for (size_t i = 0; rest && i < N_KEYS; i++)
            if (keys[i].scope == places[p].scope && strcmp(keys[i].name, rest) == 0) {
                *place = &places[p];
                return &keys[i];
            }
    }
    return NULL;
}

static bool is_section(const char *pattern)
{
    size_t n = strlen(pattern);
    for (size_t p = 0; p < N_PLACES; p++) {
        if (strcmp(places[p].pattern, pattern) == 0) return true;
        if (strncmp(places[p].pattern, pattern, n) == 0 && places[p].pattern[n] == '.') return true;
        const char *rest = below(pattern, places[p].pattern);
        size_t m = rest ? strlen(rest) : 0;
        for (size_t i = 0; m && i < N_KEYS; i++)
            if (keys[i].scope == places[p].scope && strncmp(keys[i].name, rest, m) == 0 &&
                keys[i].name[m] == '.')
                return true;
    }
    return false;
}

bool exp_key_pattern(const char *path, char *out, size_t size)
{
    size_t n = 0;
    for (int depth = 0; *path; depth++) {
        size_t length = strcspn(path, ".");
        bool index = depth == 1 && n == 6 && memcmp(out, "fleet.", 6) == 0;
        bool name = depth == 1 && n == 8 && memcmp(out, "classes.", 8) == 0;
        const char *piece = index ? "N" : name ? "NAME" : path;
        size_t piece_length = index ? 1 : name ? 4 : length;
        if (length == 0 || n + piece_length + 2 > size) return false;
        memcpy(out + n, piece, piece_length);
        n += piece_length;
        path += length;
        if (*path == '.' && path[1]) {
            out[n++] = '.';
            path++;
        } else if (*path == '.') {
            return false;
        }
    }
    out[n] = '\0';
    return n > 0;
}

static bool unknown(const char *path, const char *pattern, const char *where, struct sim_status *st)
{
    static const char *const sections[] = {"fleet",   "engine",  "workload", "slo",
                                           "classes", "measure", "cost",     "predictor"};
    enum { N_SECTIONS = sizeof sections / sizeof sections[0] };
    char *full[N_KEYS * 3 + N_SECTIONS + 1];
    size_t n = 0;
    for (; n < N_SECTIONS; n++) full[n] = sim_strdup(sections[n]);
    for (size_t p = 0; p < N_PLACES; p++)
        for (size_t i = 0; i < N_KEYS; i++)
            if (keys[i].scope == places[p].scope)
                full[n++] = places[p].pattern[0] ? sim_printf("%s.%s", places[p].pattern, keys[i].name)
                                                 : sim_strdup(keys[i].name);
    full[n] = NULL;
    sim_fail(st, "%s: unknown key `%.80s`, expected one of `kvsim list keys`%s", where, path,
             mdl_hint(pattern, (const char *const *)full).text);
    for (size_t i = 0; i < n; i++) free(full[i]);
    return false;
}

static bool fleet_at(struct exp_scenario *s, const char *path, const char *where, struct exp_fleet_keys **out,
                     struct sim_status *st)
{
    char *end;
    unsigned long n = strtoul(path + strlen("fleet."), &end, 10);
    if (path[6] < '0' || path[6] > '9' || (*end && *end != '.') || n > s->n_fleets || n >= EXP_MAX_FLEETS)
        return sim_fail(
            st, "%s: `%.80s` names no fleet, expected fleet.0 to fleet.%u (at most %d); correct the number",
            where, path, s->n_fleets ? s->n_fleets - 1 : 0, EXP_MAX_FLEETS);
    if (n == s->n_fleets) {
        exp_key_defaults(EXP_IN_FLEET, &s->fleet[n]);
        exp_key_defaults(EXP_IN_ENGINE, &s->fleet[n].engine);
        s->n_fleets++;
    }
    *out = &s->fleet[n];
    return true;
}

static bool class_at(struct exp_scenario *s, const char *path, const char *where, struct exp_class_keys **out,
                     struct sim_status *st)
{
    const char *name = path + strlen("classes.");
    size_t length = strcspn(name, ".");
    for (uint32_t i = 0; i < s->n_classes; i++)
        if (strlen(s->classes[i].name) == length && memcmp(s->classes[i].name, name, length) == 0) {
            *out = &s->classes[i];
            return true;
        }
    if (length == 0 || length > 31 || strspn(name, EXP_CLASS_LETTERS) < length)
        return sim_fail(
            st, "%s: class `%.80s` is not a name, expected at most 31 letters, digits, _ or -; rename it",
            where, name);
    if (s->n_classes == SIM_MAX_CLASSES)
        return sim_fail(st, "%s: more than %d classes; leave some out", where, SIM_MAX_CLASSES);
    struct exp_class_keys *c = &s->classes[s->n_classes++];
    exp_key_defaults(EXP_IN_CLASS, c);
    exp_key_defaults(EXP_IN_SLO, &c->slo);
    memcpy(c->name, name, length);
    c->name[length] = '\0';
    *out = c;
    return true;
}

static void *base_of(struct exp_scenario *s, const char *path, const struct exp_place *place,
                     const char *where, struct sim_status *st)
{
    struct exp_fleet_keys *fleet = NULL;
    struct exp_class_keys *class = NULL;
    if (place->pattern[0] == 'f') {
        if (!fleet_at(s, path, where, &fleet, st)) return NULL;
        return place->scope == EXP_IN_ENGINE ? (void *)&fleet->engine : fleet;
    }
    if (place->pattern[0] == 'c') {
        if (!class_at(s, path, where, &class, st)) return NULL;
        return place->scope == EXP_IN_SLO ? (void *)&class->slo : class;
    }
    return place->scope == EXP_IN_ENGINE ? (void *)&s->engine
           : place->scope == EXP_IN_SLO  ? (void *)&s->slo
                                         : s;
}

bool exp_key_resolve(struct exp_scenario *s, const char *path, const char *where, struct exp_target *out,
                     struct sim_status *st)
{
    char pattern[256];
    if (!exp_key_pattern(path, pattern, sizeof pattern))
        return sim_fail(st, "%s: `%.80s` is not a key, expected names joined by dots; see `kvsim list keys`",
                        where, path);
    const struct exp_place *place;
    const struct exp_key *key = find(pattern, &place);
    if (!key) {
        *out = (struct exp_target){NULL, NULL};
        return is_section(pattern) || unknown(path, pattern, where, st);
    }
    char *base = base_of(s, path, place, where, st);
    if (!base) return false;
    *out = (struct exp_target){key, base + key->offset};
    return true;
}
