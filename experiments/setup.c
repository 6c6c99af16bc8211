#include "experiments/setup.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "experiments/kv_setup.h"
#include "sim/memory.h"

enum { GPUS_OF_SERVER = 8 };

double exp_clock_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void exp_factors_none(struct exp_factors *out)
{
    for (int f = 0; f < EXP_MAX_FLEETS; f++) {
        out->residual[f] = 1;
        for (int i = 0; i < MDL_N_FAMILY; i++) out->family[f][i] = 1;
        for (int i = 0; i < MDL_N_KV_KEY; i++) out->kv[f][i] = NAN;
        for (int i = 0; i < EXP_MAX_HOST_KEYS; i++) out->host[f][i] = NAN;
    }
}

static struct mdl_memory_spec memory_spec(const struct exp_setup *u, const struct exp_fleet_setup *f,
                                          const struct exp_scenario *s, const struct exp_engine_choice *e)
{
    return (struct mdl_memory_spec){.arch = &u->arch,
                                    .gpu = f->gpu,
                                    .engine = &f->engine,
                                    .weights = (enum mdl_dtype)s->weights,
                                    .kv = MDL_BF16,
                                    .tensor_parallel = f->tensor_parallel,
                                    .pipeline_parallel = f->pipeline_parallel,
                                    .max_num_seqs = e->max_num_seqs,
                                    .max_num_batched_tokens = e->max_num_batched_tokens,
                                    .block_size = f->engine.block_size,
                                    .gpu_memory_utilization = f->engine.gpu_memory_utilization,
                                    .enforce_eager = e->enforce_eager,
                                    .num_gpu_blocks_override = e->num_gpu_blocks_override,
                                    .plan = exp_kv_is_full(f) ? NULL : &f->kv.plan,
                                    .host_memory_bytes = f->kv.host.memory_bytes};
}

/* Unnamed fleets are called by their GPU; the second and later ones of a kind have their number behind it. */
static void name_fleet(const struct exp_setup *u, struct exp_fleet_setup *f, const struct exp_fleet_keys *k)
{
    bool again = false;
    for (const struct exp_fleet_setup *other = u->fleets; other < f; other++) again |= other->gpu == f->gpu;
    if (k->name[0])
        snprintf(f->name, sizeof f->name, "%s", k->name);
    else if (again)
        snprintf(f->name, sizeof f->name, "%.50s.%d", f->gpu->name, (int)(f - u->fleets));
    else
        snprintf(f->name, sizeof f->name, "%.50s", f->gpu->name);
}

static bool load_parts(struct exp_setup *u, struct exp_fleet_setup *f, const struct exp_scenario *s,
                       const struct exp_fleet_keys *k, struct exp_cache *cache, struct sim_status *st)
{
    f->gpu = mdl_gpu_find(exp_cache_gpus(cache), k->gpu, st);
    if (!f->gpu) return false;
    bool linear = s->cost_kind == EXP_COST_LINEAR;
    if (!linear && !(f->profile = exp_cache_profile(cache, k->profile, f->gpu, st))) return false;
    name_fleet(u, f, k);
    f->tensor_parallel = (uint32_t)k->tensor_parallel;
    f->pipeline_parallel = (uint32_t)k->pipeline_parallel;
    if (!mdl_arch_check_parallel(&u->arch, f->tensor_parallel, f->pipeline_parallel, st)) return false;
    if (f->tensor_parallel > GPUS_OF_SERVER && !linear)
        exp_note(&u->notes,
                 "fleet %s: tensor_parallel %u is priced as if all its GPUs were in one server: across "
                 "servers of %d "
                 "latencies are higher",
                 f->name, f->tensor_parallel, GPUS_OF_SERVER);
    if (!k->profile[0] && !f->gpu->profile[0] && !linear)
        exp_note(&u->notes, "fleet %s: no measured profile of %s, step costs are analytic (datasheet peaks)",
                 f->name, f->gpu->title);
    return true;
}

static bool make_linear_cost(const struct exp_setup *u, struct exp_fleet_setup *f,
                             const struct exp_scenario *s, struct sim_status *st)
{
    double by = u->factors ? u->factors->residual[f - u->fleets] : 1;
    if (f->pipeline_parallel > 1)
        return sim_fail(
            st, "cost.kind linear: prices one stage, expected pipeline_parallel 1, found %u; use profile",
            f->pipeline_parallel);
    if (f->kv.changes)
        return sim_fail(
            st,
            "kv.later: cost.kind linear knows no rates that could change, expected profile; leave it out");
    sim_cost_linear_init(&f->linear, by * s->cost_step_s, by * s->cost_token_s, by * s->cost_kv_token_s);
    return true;
}

/* Our own kernels are not a serving engine's: their times are those of a replay and of nothing else. */
static bool check_engine_of_profile(const struct exp_fleet_setup *f, struct sim_status *st)
{
    if (strcmp(mdl_profile_origin(f->profile), "kvbench") != 0 || strcmp(f->engine.engine, "kvbench") == 0)
        return true;
    return sim_fail(st,
                    "fleet %s: profile %s has the times of kvbench's kernels, which engine %s does not run; "
                    "set engine.name to kvbench-1, or take a profile of that engine",
                    f->name, mdl_profile_name(f->profile), f->engine.name);
}

/* The cache's where it shares them, else one of the set-up's own. */
static struct mdl_cost *take_cost(const struct exp_setup *u, const struct mdl_cost_spec *spec,
                                  struct exp_shared_cost **shared, struct sim_status *st)
{
    if (!u->costs) return mdl_cost_new(spec, st);
    *shared = exp_costs_take(u->costs, spec, st);
    return *shared ? exp_shared_cost(*shared) : NULL;
}

/* Rates that change: a policy that adapts goes on as before for a while, and pays by the new ones at once. */
static bool make_later_costs(const struct exp_setup *u, struct exp_fleet_setup *f,
                             const struct mdl_cost_spec *now, const struct exp_later_keys *k,
                             struct sim_status *st)
{
    bool learns = mdl_kv_on(&f->kv.use, MDL_KV_POLICY) && k->learn_s > 0;
    if (!f->kv.changes) return true;
    for (int knows = !learns; knows <= 1; knows++) {
        struct mdl_cost_spec spec = *now;
        struct exp_later_cost *c = &f->later[f->n_later];
        spec.use = &f->kv.later;
        spec.believed = knows ? NULL : &f->kv.use;
        if (!(c->cost = take_cost(u, &spec, &c->shared, st))) return false;
        f->later_phase[f->n_later++] =
            (struct sim_cost_phase){k->from_s + (learns && knows ? k->learn_s : 0), mdl_cost_base(c->cost)};
    }
    return true;
}

static void give_cost(struct exp_setup *u, struct mdl_cost *cost, struct exp_shared_cost *shared)
{
    if (shared)
        exp_costs_give(u->costs, shared);
    else
        mdl_cost_free(cost);
}

static bool make_profile_cost(const struct exp_setup *u, struct exp_fleet_setup *f,
                              const struct exp_scenario *s, const struct exp_engine_choice *e,
                              struct sim_status *st)
{
    struct mdl_cost_spec spec = {.arch = &u->arch,
                                 .gpu = f->gpu,
                                 .profile = f->profile,
                                 .engine = &f->engine,
                                 .weights = (enum mdl_dtype)s->weights,
                                 .kv = MDL_BF16,
                                 .tensor_parallel = f->tensor_parallel,
                                 .pipeline_parallel = f->pipeline_parallel,
                                 .max_num_seqs = e->max_num_seqs,
                                 .max_num_batched_tokens = e->max_num_batched_tokens,
                                 .kv_capacity_tokens = f->memory.kv_capacity_tokens,
                                 .use = exp_kv_is_full(f) ? NULL : &f->kv.use,
                                 .plan = &f->kv.plan,
                                 .host = &f->kv.host,
                                 .methods = f->kv.methods};
    if (!check_engine_of_profile(f, st)) return false;
    size_t n = (size_t)(f - u->fleets);
    if (u->factors) {
        memcpy(spec.family_factor, u->factors->family[n], sizeof spec.family_factor);
        spec.residual_factor = u->factors->residual[n];
    }
    return (f->cost = take_cost(u, &spec, &f->shared, st)) &&
           make_later_costs(u, f, &spec, &s->fleet[n].kv.later, st);
}

static bool add_named_classes(const struct exp_setup *u, const struct exp_fleet_keys *k, uint64_t *mask,
                              struct sim_status *st)
{
    for (const char *at = k->classes; *at;) {
        size_t length = strcspn(at, ",");
        uint32_t c = 0;
        while (c < u->config.n_classes &&
               (strlen(u->class_names[c]) != length || memcmp(u->class_names[c], at, length) != 0))
            c++;
        if (c == u->config.n_classes)
            return sim_fail(
                st, "fleet.classes: `%.*s` is no class of this scenario, expected a name under `classes`",
                (int)length, at);
        *mask |= (uint64_t)1 << c;
        at += length + (at[length] == ',');
    }
    return true;
}

/* Classes that name a KV strategy are served where it is, and nowhere else. */
static bool class_mask(const struct exp_setup *u, const struct exp_scenario *s,
                       const struct exp_fleet_keys *k, uint64_t *mask, struct sim_status *st)
{
    *mask = 0;
    if (!add_named_classes(u, k, mask, st)) return false;
    uint32_t first = u->config.n_classes - s->n_classes; /* behind `default`, when there is one */
    for (uint32_t i = 0; i < s->n_classes; i++) {
        const struct exp_number *strategy = &s->classes[i].kv_strategy;
        uint64_t bit = (uint64_t)1 << (first + i);
        if (!strategy->given) continue;
        if ((int)strategy->value == k->kv.strategy)
            *mask |= k->classes[0] ? 0 : bit;
        else if (*mask & bit)
            return sim_fail(
                st,
                "fleet.classes: class %s asks for kv.strategy %s and this fleet has %s, expected the "
                "same; change one of them",
                s->classes[i].name, mdl_strategy_at((size_t)strategy->value)->name,
                mdl_strategy_at((size_t)k->kv.strategy)->name);
    }
    return true;
}

static struct sim_engine sim_engine_of(const struct exp_fleet_setup *f, const struct exp_engine_choice *e)
{
    return (struct sim_engine){.max_num_seqs = e->max_num_seqs,
                               .max_num_batched_tokens = e->max_num_batched_tokens,
                               .block_size = f->engine.block_size,
                               .long_prefill_token_threshold = f->engine.long_prefill_token_threshold,
                               .max_model_len = e->max_model_len,
                               .n_blocks = f->memory.blocks,
                               .capacity_tokens = f->memory.kv_capacity_tokens,
                               .watermark_blocks =
                                   (uint64_t)(f->engine.watermark_frac * (double)f->memory.blocks),
                               .reserve_full_isl = f->engine.reserve_full_isl,
                               .policy = e->policy,
                               .preemption = e->preemption,
                               .ingress_s = e->linear ? 0 : f->engine.ingress_s,
                               .egress_s = e->linear ? 0 : f->engine.egress_s};
}

/* Whatever went wrong, with the scenario and the key named in front. */
static bool blame(const struct exp_scenario *s, const char *key, const struct sim_status *why,
                  struct sim_status *st)
{
    return sim_fail_as(st, why->code, "%s%s%s: %s", s->file, s->file[0] ? ": " : "", key, why->message);
}

static bool price_fleet(struct exp_setup *u, uint32_t n, const struct exp_scenario *s,
                        const struct exp_engine_choice *e, struct sim_status *st)
{
    struct exp_fleet_setup *f = &u->fleets[n];
    const struct exp_fleet_keys *k = &s->fleet[n];
    struct sim_fleet *out = &u->sim_fleets[n];
    if (!(e->linear ? make_linear_cost(u, f, s, st) : make_profile_cost(u, f, s, e, st))) return false;
    *out = (struct sim_fleet){.name = f->name,
                              .n_replicas = (uint32_t)k->replicas,
                              .gpus_per_replica = f->tensor_parallel * f->pipeline_parallel,
                              .engine = sim_engine_of(f, e),
                              .cost = e->linear ? &f->linear.base : mdl_cost_base(f->cost),
                              .later = f->later_phase,
                              .n_later = f->n_later};
    exp_kv_fleet(f, k, out);
    return class_mask(u, s, k, &out->slo_class_mask, st);
}

static bool plan_memory(const struct exp_setup *u, struct exp_fleet_setup *f, const struct exp_scenario *s,
                        const struct exp_engine_choice *e, struct sim_status *st)
{
    struct mdl_memory_spec memory = memory_spec(u, f, s, e);
    return mdl_memory_plan(&memory, &f->memory, st);
}

static bool make_fleet(struct exp_setup *u, uint32_t n, const struct exp_scenario *s, struct exp_cache *cache,
                       struct sim_status *st)
{
    struct exp_fleet_setup *f = &u->fleets[n];
    struct exp_engine_choice e;
    if (!load_parts(u, f, s, &s->fleet[n], cache, st) || !exp_engine_choose(f, s, n, cache, &e, st))
        return false;
    if (!exp_kv_choose(u, n, s, cache, st) || !plan_memory(u, f, s, &e, st)) return false;
    if (!exp_kv_choose_model_len(u, n, &e, st)) return false;
    exp_engine_describe(f, &e);
    return price_fleet(u, n, s, &e, st);
}

static bool setup_arch(struct exp_setup *u, const struct exp_scenario *s, struct exp_cache *cache,
                       struct sim_status *st)
{
    struct sim_status why = {0};
    const struct mdl_arch *arch = exp_cache_arch(cache, s->model, &why);
    if (!arch) return blame(s, "model", &why, st);
    u->arch = *arch;
    return true;
}

static bool setup_fleets(struct exp_setup *u, const struct exp_scenario *s, struct exp_cache *cache,
                         struct sim_status *st)
{
    for (uint32_t i = 0; i < s->n_fleets; i++) {
        struct sim_status why = {0};
        u->n_fleets = i + 1;
        if (!make_fleet(u, i, s, cache, &why)) return exp_blame_fleet(s, i, &why, st);
    }
    return true;
}

static void setup_classes(struct exp_setup *u, const struct exp_scenario *s)
{
    struct exp_class_keys *classes = sim_alloc(SIM_MAX_CLASSES, sizeof *classes);
    uint32_t n = exp_scenario_classes(s, classes);
    for (uint32_t i = 0; i < n; i++) {
        const struct exp_slo_keys *k = &classes[i].slo;
        memcpy(u->class_names[i], classes[i].name, sizeof u->class_names[i]);
        u->sim_classes[i] = (struct sim_class){.name = u->class_names[i],
                                               .slo = {.ttft_s = k->ttft_ms * 1e-3,
                                                       .tpot_s = k->tpot_ms * 1e-3,
                                                       .e2el_s = k->e2el_ms * 1e-3,
                                                       .percentile = k->percentile,
                                                       .per_metric = k->rule == 1}};
    }
    u->config.classes = u->sim_classes;
    u->config.n_classes = n;
    free(classes);
}

/* Pins that do nothing, and fleets that nothing reaches. */
static void note_pins(struct exp_setup *u, const struct exp_scenario *s)
{
    bool by_class = strcmp(s->router, "by_class") == 0;
    uint64_t pinned = 0, all = ((uint64_t)1 << u->config.n_classes) - 1;
    for (uint32_t f = 0; f < u->n_fleets; f++) pinned |= u->sim_fleets[f].slo_class_mask;
    for (uint32_t f = 0; f < u->n_fleets; f++) {
        bool pins = u->sim_fleets[f].slo_class_mask != 0;
        if (pins && !by_class)
            exp_note(&u->notes, "fleet %s: router %s does not look at `classes`, which by_class does",
                     u->fleets[f].name, s->router);
        if (!pins && by_class && pinned == all)
            exp_note(&u->notes, "fleet %s gets no requests: every class is pinned to other fleets",
                     u->fleets[f].name);
    }
}

static bool setup_load(struct exp_setup *u, const struct exp_scenario *s, struct exp_cache *cache,
                       struct sim_status *st)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < u->n_fleets; i++)
        if (u->sim_fleets[i].engine.max_model_len > longest) longest = u->sim_fleets[i].engine.max_model_len;
    if (u->load)
        u->workload = exp_workload_borrow(u->load);
    else if (exp_workload_init(&u->workload, s, cache, &u->notes, st))
        exp_workload_clip(&u->workload, (enum exp_overlong)s->workload.overlong, longest);
    else
        return false;
    bool closed = s->workload.source == EXP_CLOSED_LOOP;
    u->config.load = (struct sim_load){
        .requests = u->workload.requests,
        .n_requests = u->workload.n_requests,
        .concurrency = closed ? (uint32_t)s->workload.closed_loop.concurrency : 0,
        .think_time_s = closed ? s->workload.closed_loop.think_time_s : 0,
        .warmup_requests = s->warmup_requests,
        .warmup_s = s->warmup_s,
        .horizon_s = s->horizon_s,
    };
    return true;
}

/* Changes are counted from the first arrival. */
static void start_later(struct exp_setup *u)
{
    const struct sim_load *load = &u->config.load;
    double first_s = load->n_requests && !load->concurrency ? load->requests[0].arrival_s : 0;
    for (uint32_t f = 0; f < u->n_fleets; f++)
        for (uint32_t i = 0; i < u->fleets[f].n_later; i++) u->fleets[f].later_phase[i].from_s += first_s;
}

static bool setup_all(struct exp_setup *u, const struct exp_scenario *s, struct exp_cache *cache,
                      struct sim_status *st)
{
    if (!setup_arch(u, s, cache, st)) return false;
    setup_classes(u, s);
    if (!setup_fleets(u, s, cache, st)) return false;
    note_pins(u, s);
    u->config.fleets = u->sim_fleets;
    u->config.n_fleets = u->n_fleets;
    u->config.router = sim_router_find(s->router);
    u->config.predictor =
        (struct sim_predictor){s->predictor_throughput_accuracy, s->predictor_length_accuracy};
    u->config.seed = s->seed;
    u->config.fast_forward = true;
    if (!setup_load(u, s, cache, st)) return false;
    start_later(u);
    for (uint32_t i = 0; i < u->n_fleets; i++) exp_kv_describe(u, i);
    return sim_config_check(&u->config, st);
}

struct exp_setup *exp_setup_new_on(const struct exp_scenario *s, struct exp_cache *cache,
                                   const struct exp_factors *factors, const struct exp_workload *load,
                                   struct sim_status *st)
{
    double begin_s = exp_clock_s();
    if (!exp_scenario_check(s, st)) return NULL;
    struct exp_setup *u = sim_alloc(1, sizeof *u);
    u->factors = factors;
    u->load = load;
    u->costs = exp_cache_costs(cache);
    if (!setup_all(u, s, cache, st)) {
        exp_setup_free(u);
        return NULL;
    }
    u->factors = NULL;
    u->load = NULL;
    u->wall_s = exp_clock_s() - begin_s;
    return u;
}

struct exp_setup *exp_setup_new(const struct exp_scenario *s, struct exp_cache *cache,
                                const struct exp_factors *factors, struct sim_status *st)
{
    return exp_setup_new_on(s, cache, factors, NULL, st);
}

void exp_setup_free(struct exp_setup *u)
{
    if (!u) return;
    for (uint32_t i = 0; i < u->n_fleets; i++) {
        give_cost(u, u->fleets[i].cost, u->fleets[i].shared);
        for (int k = 0; k < EXP_LATER_COSTS; k++)
            give_cost(u, u->fleets[i].later[k].cost, u->fleets[i].later[k].shared);
    }
    exp_workload_fini(&u->workload);
    free(u);
}
