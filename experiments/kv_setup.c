#include "experiments/kv_setup.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "experiments/keys.h"
#include "models/kvcost.h"

static const double GIB = 1073741824.0;

/* ---- complaints ---- */

/* Where `name` stands in a message as a whole word; NULL when it does not. */
static const char *word_in(const char *message, const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_.0123456789";
    size_t n = strlen(name);
    for (const char *at = strstr(message, name); at; at = strstr(at + 1, name))
        if ((at == message || !strchr(letters, at[-1])) && (at[n] == '\0' || !strchr(letters, at[n])))
            return at;
    return NULL;
}

/* The key that a complaint is about: of those that this fleet was given, the one that it names first; NULL when it
 * names none. */
static const void *culprit(const struct exp_fleet_keys *k, const char *message)
{
    const char *first = NULL;
    const void *found = NULL;
    for (size_t i = 0; i < exp_key_count(); i++) {
        const struct exp_key *key = exp_key_at(i);
        const char *at = key->scope == EXP_IN_FLEET && key->optional ? word_in(message, key->name) : NULL;
        const void *field = (const char *)k + key->offset;
        if (!at || (first && at > first) || !((const struct exp_number *)field)->given) continue;
        first = at;
        found = field;
    }
    return found;
}

bool exp_blame_fleet(const struct exp_scenario *s, uint32_t fleet, const struct sim_status *why,
                     struct sim_status *st)
{
    const struct exp_fleet_keys *k = &s->fleet[fleet];
    bool of_kv = strncmp(why->message, "kv.", 3) == 0, of_host = strncmp(why->message, "host.", 5) == 0;
    const void *field = culprit(k, why->message);
    bool of_fallback = strncmp(why->message, "kv.fallback", 11) == 0;
    if (!field && of_kv) field = of_fallback ? (const void *)&k->kv.fallback_when : &k->kv.strategy;
    return sim_fail_as(st, why->code, "%s: fleet.%u%s%s", exp_scenario_where(s, field ? field : s->file).text,
                       fleet, of_kv || of_host ? "." : ": ", why->message);
}

/* ---- strategy ---- */

/* Layers of the pipeline stage that has most of them. */
static uint32_t most_layers(const struct mdl_arch *a, uint32_t pp)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < pp; i++) {
        uint32_t n = mdl_stage_layers(a->n_layers, pp, i);
        if (n > most) most = n;
    }
    return most;
}

/* Where a card changes the strategy's own default; else NaN. */
static double default_of_card(const struct mdl_strategy *s, enum mdl_kv_key key, const struct mdl_gpu *gpu)
{
    const struct mdl_kv_default *own = mdl_strategy_default(s, key);
    double here = mdl_kvcost_default(s, key, gpu).value;
    return own && here != own->value ? here : NAN;
}

static bool init_use(const struct exp_setup *u, const struct exp_fleet_setup *f, const struct exp_kv_keys *k,
                     struct mdl_kv_use *out, struct sim_status *st)
{
    const double *drawn = u->factors ? u->factors->kv[f - u->fleets] : NULL;
    double given[MDL_N_KV_KEY];
    const struct mdl_strategy *strategy = mdl_strategy_at((size_t)k->strategy);
    for (enum mdl_kv_key i = 0; i < MDL_N_KV_KEY; i++) {
        double otherwise = drawn ? drawn[i] : NAN;
        if (isnan(otherwise)) otherwise = default_of_card(strategy, i, f->gpu);
        given[i] = k->value[i].given ? k->value[i].value : otherwise;
    }
    return mdl_kv_use_init(out, strategy, given, &u->arch, f->tensor_parallel,
                           most_layers(&u->arch, f->pipeline_parallel), f->engine.block_size, st);
}

/* Stages are alike to the cost model: what depends on the layer, or waits for the host, is not. */
static bool check_stages(const struct exp_fleet_setup *f, const struct mdl_kv_decode *d,
                         struct sim_status *st)
{
    const struct mdl_kv_use *use = &f->kv.use;
    bool by_layer = mdl_kv_on(use, MDL_KV_SKIP_LAYERS) || !isnan(use->value[MDL_KV_PYRAMID_LOW]);
    if (f->pipeline_parallel == 1 || (d->when == SIM_RECALL_NONE && !by_layer)) return true;
    return sim_fail(
        st,
        "kv.strategy %s: %s, which is simulated on one pipeline stage, found pipeline_parallel %u; use "
        "tensor_parallel",
        use->strategy->name, by_layer ? "treats layers differently" : "recalls KV from the host",
        f->pipeline_parallel);
}

static bool check_fallback(const struct exp_fleet_setup *f, const struct exp_kv_keys *k,
                           const struct mdl_kv_decode *d, struct sim_status *st)
{
    if (k->fallback_when == SIM_FALLBACK_NEVER) return true;
    if (exp_kv_is_full(f))
        return sim_fail(st,
                        "kv.fallback: strategy full keeps the whole KV on the GPU as it is, expected another "
                        "kv.strategy; remove it");
    if (k->fallback_when == SIM_FALLBACK_HOST_FULL && f->kv.plan.unit_bytes[SIM_KV_HOST] <= 0)
        return sim_fail(
            st,
            "kv.fallback.when host_full: strategy %s keeps nothing on the host, expected never or "
            "short; remove it",
            f->kv.use.strategy->name);
    if (!d->kernel || strcmp(d->kernel, "bf16") == 0) return true;
    return sim_fail(
        st,
        "kv.fallback: pages of strategy %s are %s and those that a request falls back to are bf16, expected "
        "a strategy that keeps bf16; remove it",
        f->kv.use.strategy->name, d->kernel);
}

/* Values in range with which the strategy would be another. */
static bool check_effect(const struct exp_setup *u, const struct mdl_kv_use *use, struct sim_status *st)
{
    double skipped = use->value[MDL_KV_SKIP_LAYERS];
    if (skipped >= u->arch.n_layers)
        return sim_fail(
            st, "kv.skip_layers %g: %s has %u layers, expected fewer, so that %s does something; lower it",
            skipped, u->arch.name, u->arch.n_layers, use->strategy->name);
    if (use->value[MDL_KV_FETCH_FRAC] == 0)
        return sim_fail(
            st, "kv.fetch_frac 0: no step would fetch or read anything, expected a share above 0; raise it");
    return true;
}

static bool check_later(const struct exp_kv_keys *k, struct sim_status *st)
{
    const struct mdl_strategy *s = mdl_strategy_at((size_t)k->strategy);
    bool any = k->later.miss.given || k->later.correction.given,
         misses = mdl_strategy_default(s, MDL_KV_MISS);
    if (k->later.miss.given && !misses)
        return sim_fail(st,
                        "kv.later.miss_rate: strategy %s has no kv.miss_rate that could change; leave it out",
                        s->name);
    if (k->later.correction.given && !mdl_strategy_default(s, MDL_KV_CORRECTION))
        return sim_fail(
            st,
            "kv.later.correction_rate: strategy %s has no kv.correction_rate that could change; leave it out",
            s->name);
    if (any && !(k->later.from_s > 0))
        return sim_fail(st, "kv.later.%s: nobody says when, expected kv.later.from_s above 0; set it",
                        k->later.miss.given ? "miss_rate" : "correction_rate");
    if (k->later.from_s > 0 && !any)
        return sim_fail(st,
                        "kv.later.from_s %g: no rate changes then, expected kv.later.miss_rate%s; set one",
                        k->later.from_s, misses ? " or kv.later.correction_rate" : "");
    return true;
}

/* The same with the rates that come later. */
static bool init_later(const struct exp_setup *u, struct exp_fleet_setup *f, const struct exp_kv_keys *k,
                       struct sim_status *st)
{
    struct exp_kv_keys then = *k;
    if (!check_later(k, st)) return false;
    f->kv.changes = k->later.from_s > 0;
    if (k->later.miss.given) then.value[MDL_KV_MISS] = k->later.miss;
    if (k->later.correction.given) then.value[MDL_KV_CORRECTION] = k->later.correction;
    return !f->kv.changes || init_use(u, f, &then, &f->kv.later, st);
}

/* As memory is laid out: for the most that an adaptive policy comes to, before or after rates change. */
static struct mdl_kv_use planned(const struct exp_kv_setup *kv)
{
    struct mdl_kv_use use = kv->use;
    double later = kv->later.value[MDL_KV_CORRECTION];
    if (kv->changes && later > use.value[MDL_KV_CORRECTION]) use.value[MDL_KV_CORRECTION] = later;
    return use;
}

static bool choose_strategy(const struct exp_setup *u, struct exp_fleet_setup *f, const struct exp_kv_keys *k,
                            uint32_t max_tokens, struct sim_status *st)
{
    struct mdl_kv_decode decode = {0};
    if (!init_use(u, f, k, &f->kv.use, st) || !check_effect(u, &f->kv.use, st) || !init_later(u, f, k, st))
        return false;
    f->kv.use.strategy->decode(&f->kv.use, &decode);
    struct mdl_kv_use memory = planned(&f->kv);
    if (!check_stages(f, &decode, st) || !mdl_kv_plan_init(&f->kv.plan, &memory, max_tokens, st))
        return false;
    if (!check_fallback(f, k, &decode, st)) return false;
    f->kv.plain = mdl_kv_plain_rule(&f->kv.plan, &f->kv.use);
    return true;
}

/* ---- host ---- */

#define HOST(name)                                                                                           \
    {                                                                                                        \
#name, offsetof(struct exp_host_keys, name)                                                          \
    }
static const struct {
    const char *name;
    size_t offset;
} host_keys[] = {HOST(link_gb_per_s), HOST(duplex),      HOST(gpus_per_link),  HOST(memory_gib),
                 HOST(launch_us),     HOST(sync_us),     HOST(submit_us),      HOST(submitters),
                 HOST(descriptor_us), HOST(kernel_frac), HOST(gather_gb_per_s)};

/* A replication's draws of what nobody measured. */
static bool draw_host(struct mdl_host *h, const double *drawn, struct sim_status *st)
{
    for (size_t i = 0; i < mdl_host_default_count(); i++)
        if (!isnan(drawn[i]) && !mdl_host_set(h, mdl_host_default_at(i)->name, drawn[i], st)) return false;
    return true;
}

/* What the scenario says, else what was measured, else the default. */
static bool choose_host(const struct exp_setup *u, struct exp_fleet_setup *f, const struct exp_host_keys *k,
                        struct sim_status *st)
{
    f->kv.host = mdl_host_of(f->gpu);
    if (f->kv.methods) mdl_methods_measure_host(f->kv.methods, &f->kv.host);
    bool drawn = u->factors && f->kv.host.how == SIM_ANALYTIC;
    if (drawn && !draw_host(&f->kv.host, u->factors->host[f - u->fleets], st)) return false;
    bool by_kernel = k->kernel_frac.given && f->kv.use.value[MDL_KV_PICK] == MDL_PICK_KERNEL;
    if (k->link_gb_per_s.given || k->submit_us.given || k->descriptor_us.given || by_kernel)
        f->kv.host.how = SIM_ANALYTIC;
    for (size_t i = 0; i < sizeof host_keys / sizeof host_keys[0]; i++) {
        const struct exp_number *n = (const struct exp_number *)((const char *)k + host_keys[i].offset);
        if (n->given && !mdl_host_set(&f->kv.host, host_keys[i].name, n->value, st)) return false;
    }
    return true;
}

/* ---- the whole ---- */

/* The longest sequence that anything will be asked about. */
static uint32_t most_tokens(const struct exp_setup *u, const struct exp_scenario *s, uint32_t fleet)
{
    const struct exp_number *len = &s->fleet[fleet].engine.max_model_len;
    if (!len->given) len = &s->engine.max_model_len;
    uint32_t most = u->arch.max_position_embeddings;
    return len->given && len->value > most ? (uint32_t)len->value : most;
}

static bool choose_lengths(struct exp_fleet_setup *f, const struct exp_scenario *s,
                           const struct exp_kv_keys *k, struct exp_cache *cache, struct sim_status *st)
{
    struct sim_status why = {0};
    f->kv.lengths = exp_cache_lengths(cache, &f->kv.use, k->length_pairs, &why);
    if (!f->kv.lengths) return sim_fail(st, "kv.length_pairs: %s", why.message);
    f->kv.shifts = s->length_shift && f->kv.lengths->any;
    return true;
}

/* A run has no use for it, but is told when it is wrong; a comparison reads it again from the cache. */
static bool check_quality(const struct exp_fleet_setup *f, const struct exp_kv_keys *k,
                          struct exp_cache *cache, struct sim_status *st)
{
    struct sim_status why = {0};
    return !k->quality[0] || exp_cache_quality(cache, &f->kv.use, k->quality, &why) ||
           sim_fail(st, "kv.quality: %s", why.message);
}

static bool choose_kernels(struct exp_fleet_setup *f, const struct exp_kv_keys *k, struct exp_cache *cache,
                           struct sim_status *st)
{
    struct sim_status why = {0};
    if (exp_kv_is_full(f) && !k->kernels[0]) return true;
    return exp_cache_methods(cache, k->kernels, f->gpu, &f->kv.methods, &why) ||
           sim_fail(st, "kv.kernels: %s", why.message);
}

bool exp_kv_is_full(const struct exp_fleet_setup *f)
{
    return strcmp(f->kv.use.strategy->name, "full") == 0;
}

bool exp_kv_choose(struct exp_setup *u, uint32_t fleet, const struct exp_scenario *s, struct exp_cache *cache,
                   struct sim_status *st)
{
    struct exp_fleet_setup *f = &u->fleets[fleet];
    const struct exp_fleet_keys *k = &s->fleet[fleet];
    if (!choose_strategy(u, f, &k->kv, most_tokens(u, s, fleet), st)) return false;
    if (f->kv.changes)
        exp_note(&u->notes, "fleet %s: rates change %g s after the first arrival (kv.later)", f->name,
                 k->kv.later.from_s);
    return choose_lengths(f, s, &k->kv, cache, st) && check_quality(f, &k->kv, cache, st) &&
           choose_kernels(f, &k->kv, cache, st) && choose_host(u, f, &k->host, st);
}

/* ---- memory ---- */

/* While its prompt is computed a sequence keeps everything. */
static uint64_t units_needed(const struct exp_fleet_setup *f, enum sim_kv_place place, uint32_t tokens)
{
    return sim_kv_need(&f->kv.plan.rule, place, (struct sim_kv_length){tokens, tokens});
}

static bool fits(const struct exp_fleet_setup *f, enum sim_kv_place place, uint32_t tokens)
{
    uint64_t there = place == SIM_KV_GPU ? f->memory.blocks : f->memory.host_blocks;
    return units_needed(f, place, tokens) <= there;
}

/* The longest sequence of at most `limit` tokens that one place holds. */
static uint32_t longest(const struct exp_fleet_setup *f, enum sim_kv_place place, uint32_t limit)
{
    uint32_t lo = 0, hi = limit;
    while (lo < hi) {
        uint32_t middle = hi - (hi - lo) / 2;
        if (fits(f, place, middle))
            lo = middle;
        else
            hi = middle - 1;
    }
    return lo;
}

static bool host_too_small(const struct exp_fleet_setup *f, uint32_t fleet, uint32_t tokens,
                           struct sim_status *st)
{
    return sim_fail(
        st,
        "host memory too small: %.3g GiB needed per GPU for one request of max_model_len %u under "
        "kv.strategy %s, %.3g GiB there; raise fleet.%u.host.memory_gib, or lower engine.max_model_len",
        (double)units_needed(f, SIM_KV_HOST, tokens) * f->memory.host_unit_bytes / GIB, tokens,
        f->kv.use.strategy->name, f->kv.host.memory_bytes / GIB, fleet);
}

static bool gpu_too_small(const struct exp_fleet_setup *f, uint32_t tokens, struct sim_status *st)
{
    return sim_fail(
        st,
        "engine.max_model_len %u: needs %u tokens of KV cache on %s, expected at most the pool's %u; lower "
        "it, or give more memory (tensor_parallel, gpu_memory_utilization)",
        tokens, tokens, f->name, longest(f, SIM_KV_GPU, tokens));
}

bool exp_kv_choose_model_len(struct exp_setup *u, uint32_t fleet, struct exp_engine_choice *e,
                             struct sim_status *st)
{
    const struct exp_fleet_setup *f = &u->fleets[fleet];
    uint32_t limit = e->max_model_len_given ? e->max_model_len : u->arch.max_position_embeddings;
    uint32_t least = e->max_model_len_given ? limit : 1;
    uint32_t gpu = longest(f, SIM_KV_GPU, limit), host = longest(f, SIM_KV_HOST, limit);
    if (gpu < least) return gpu_too_small(f, least, st);
    if (host < least) return host_too_small(f, fleet, least, st);
    e->max_model_len = gpu < host ? gpu : host;
    if (e->max_model_len < limit)
        exp_note(&u->notes, "fleet %s: max_model_len lowered from %u to %u tokens, which is all its %s holds",
                 f->name, limit, e->max_model_len, gpu <= host ? "KV cache" : "host memory");
    return true;
}

/* Page-rounded, on all ranks of a replica. */
static double bytes_per_token(const struct exp_setup *u, const struct exp_fleet_setup *f,
                              enum sim_kv_place place)
{
    struct sim_kv_length at = {f->kv.mean_tokens, f->kv.mean_input_tokens};
    double ranks = (double)f->tensor_parallel * u->arch.n_layers / f->kv.use.n_layers;
    return mdl_kv_plan_bytes(&f->kv.plan, place, at) * ranks / at.tokens;
}

void exp_kv_describe(struct exp_setup *u, uint32_t fleet)
{
    struct exp_fleet_setup *f = &u->fleets[fleet];
    const struct sim_load *load = &u->config.load;
    double input = 0, output = 0, n = load->n_requests ? (double)load->n_requests : 1;
    for (uint64_t i = 0; i < load->n_requests; i++) {
        input += load->requests[i].input_tokens;
        output += load->requests[i].output_tokens;
    }
    f->kv.mean_input_tokens = (uint32_t)fmax(1, round(input / n));
    f->kv.mean_tokens = f->kv.mean_input_tokens + (uint32_t)round(output / n);
    f->kv.gpu_bytes_per_token = bytes_per_token(u, f, SIM_KV_GPU);
    f->kv.host_bytes_per_token = bytes_per_token(u, f, SIM_KV_HOST);
}

/* ---- the simulator's side ---- */

void exp_kv_fleet(const struct exp_fleet_setup *f, const struct exp_fleet_keys *k, struct sim_fleet *out)
{
    const struct exp_kv_setup *kv = &f->kv;
    out->engine.n_host_blocks = f->memory.host_blocks;
    out->kv = exp_kv_is_full(f) ? NULL : &kv->plan.rule; /* `full` is the simulator's own */
    out->plain = out->kv && k->kv.fallback_when != SIM_FALLBACK_NEVER ? &kv->plain : NULL;
    out->fallback = out->plain ? (enum sim_fallback)k->kv.fallback_when : SIM_FALLBACK_NEVER;
    out->fallback_tokens = (uint32_t)k->kv.fallback_below_tokens;
    out->length_factor = kv->shifts ? kv->lengths->factor : NULL;
    out->n_length_factors = kv->shifts ? MDL_LENGTH_QUANTILES : 0;
    out->replicas_per_link = kv->host.gpus_per_link / f->tensor_parallel;
    if (out->replicas_per_link < 1) out->replicas_per_link = 1;
}
