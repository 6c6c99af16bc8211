#include "experiments/planning/search/candidate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/host.h"
#include "sim/check.h"
#include "sim/memory.h"

static const double PCIE4_X16_BYTE_PER_S = 31.5e9; /* encoded, one direction; each generation doubles it */

void exp_candidate_label(const struct exp_candidate *c, char *out, size_t size)
{
    char knobs[96] = "";
    if (c->max_num_batched_tokens)
        snprintf(knobs, sizeof knobs, ", max_num_batched_tokens %u", c->max_num_batched_tokens);
    else if (c->max_num_seqs)
        snprintf(knobs, sizeof knobs, ", max_num_seqs %u", c->max_num_seqs);
    snprintf(out, size, "%s%s TP %u, %s%s", c->keeps_have ? "what there is + " : "", c->gpu->name,
             c->tensor_parallel, c->contender->label, knobs);
}

/* ---- as a scenario ---- */

static bool set(struct exp_scenario *s, uint32_t fleet, const char *key, double value, struct sim_status *st)
{
    char path[96], text[40];
    snprintf(path, sizeof path, "fleet.%u.%s", fleet, key);
    snprintf(text, sizeof text, "%.17g", value);
    return exp_scenario_set(s, path, text, st);
}

static bool add_fleet(struct exp_scenario *s, const char *gpu, uint32_t tensor_parallel, uint32_t replicas,
                      struct sim_status *st)
{
    uint32_t fleet = s->n_fleets;
    char path[32];
    snprintf(path, sizeof path, "fleet.%u.gpu", fleet);
    return exp_scenario_set(s, path, gpu, st) && set(s, fleet, "tensor_parallel", tensor_parallel, st) &&
           set(s, fleet, "replicas", replicas, st);
}

static bool set_host_memory(struct exp_scenario *s, uint32_t fleet, double gib, uint32_t gpus,
                            struct sim_status *st)
{
    return isnan(gib) || set(s, fleet, "host.memory_gib", gib / gpus, st);
}

/* "pcie4" to what it carries in fact. */
static bool set_link(struct exp_scenario *s, uint32_t fleet, const char *link, struct sim_status *st)
{
    struct mdl_gpu card = {.pcie_byte_per_s = PCIE4_X16_BYTE_PER_S * exp2(atoi(link + 4) - 4)};
    return set(s, fleet, "host.link_gb_per_s", mdl_host_of(&card).link_byte_per_s * 1e-9, st);
}

static bool add_have(struct exp_scenario *s, const struct exp_plan *plan, const struct exp_candidate *c,
                     uint32_t i, struct sim_status *st)
{
    const struct exp_plan_have *h = &plan->have[i];
    uint32_t fleet = s->n_fleets, tp = c->have_tensor_parallel[i];
    double gib = c->adds_host_memory ? c->host_gib : h->host_gib;
    return add_fleet(s, h->gpu, tp, h->servers * (h->gpus_per_server / tp), st) &&
           set_host_memory(s, fleet, gib, h->gpus_per_server, st) &&
           (!h->link[0] || set_link(s, fleet, h->link, st));
}

static bool add_fleets(struct exp_scenario *s, const struct exp_plan *plan, const struct exp_candidate *c,
                       uint32_t n, struct sim_status *st)
{
    for (uint32_t i = 0; c->keeps_have && i < plan->n_have; i++)
        if (!add_have(s, plan, c, i, st)) return false;
    uint32_t fleet = s->n_fleets;
    if (n == 0) return true;
    return add_fleet(s, c->gpu->name, c->tensor_parallel, n, st) &&
           (c->keeps_have || set_host_memory(s, fleet, c->host_gib, c->gpus_per_server, st));
}

static bool set_knobs(struct exp_scenario *s, uint32_t fleet, const struct exp_candidate *c,
                      struct sim_status *st)
{
    return (!c->max_num_batched_tokens ||
            set(s, fleet, "engine.max_num_batched_tokens", c->max_num_batched_tokens, st)) &&
           (!c->max_num_seqs || set(s, fleet, "engine.max_num_seqs", c->max_num_seqs, st));
}

struct exp_scenario *exp_candidate_scenario(const struct exp_plan *plan, const struct exp_candidate *c,
                                            uint32_t n, struct sim_status *st)
{
    struct exp_scenario *s = exp_scenario_copy(plan->base);
    bool ok =
        add_fleets(s, plan, c, n, st) && exp_scenario_take_strategy(s, c->contender->strategy->name, st);
    for (uint32_t f = 0; ok && f < s->n_fleets; f++)
        ok = exp_contender_set(s, f, c->contender, st) && set_knobs(s, f, c, st);
    if (ok) return s;
    free(s);
    return NULL;
}

/* ---- the space ---- */

struct list {
    struct exp_candidate *at;
    uint32_t n;
};

static void add(struct list *l, struct exp_candidate c)
{
    l->at = sim_realloc(l->at, l->n + 1, sizeof *l->at);
    l->at[l->n++] = c;
}

static const struct mdl_gpu *gpu_of(struct exp_cache *cache, const char *name)
{
    struct sim_status ignored = {0};
    const struct mdl_gpu *gpu = mdl_gpu_find(exp_cache_gpus(cache), name, &ignored);
    SIM_CHECK(gpu); /* exp_plan_check found it */
    return gpu;
}

/* Today's TP of the machines that there are; for machines of the candidate's kind, the candidate's. */
static void set_have_tp(const struct exp_plan *plan, struct exp_candidate *c, struct exp_cache *cache)
{
    for (uint32_t i = 0; i < plan->n_have; i++) {
        const struct exp_plan_have *h = &plan->have[i];
        bool fits = h->gpus_per_server % c->tensor_parallel == 0;
        bool same = gpu_of(cache, h->gpu) == c->gpu;
        c->have_gpu[i] = gpu_of(cache, h->gpu);
        c->have_tensor_parallel[i] = (same || !h->tensor_parallel) && fits ? c->tensor_parallel
                                     : h->tensor_parallel                  ? h->tensor_parallel
                                                                           : 1;
    }
}

/* A strategy that keeps KV on the host, on servers that have less memory than is usual: the same with more. */
static void add_with_memory(struct list *l, const struct exp_plan *plan, struct exp_candidate c)
{
    double usual = 0;
    for (size_t i = 0; i < mdl_host_default_count(); i++)
        if (strcmp(mdl_host_default_at(i)->name, "memory_gib") == 0) usual = mdl_host_default_at(i)->value;
    usual *= plan->have[0].gpus_per_server;
    if (!c.contender->strategy->host_bytes || !(plan->have[0].host_gib < usual)) return;
    c.adds_host_memory = true;
    c.host_gib = usual;
    add(l, c);
}

static void add_kept(struct list *l, const struct exp_plan *plan, struct exp_candidate c,
                     struct exp_cache *cache)
{
    c.keeps_have = true;
    set_have_tp(plan, &c, cache);
    add(l, c);
    add_with_memory(l, plan, c);
}

static void add_for_gpu(struct list *l, const struct exp_plan *plan, const struct mdl_gpu *gpu, bool own,
                        struct exp_cache *cache)
{
    uint32_t gpus = own ? plan->have[0].gpus_per_server : plan->gpus_per_server;
    for (uint32_t t = 0; t < plan->n_tensor_parallel; t++)
        for (uint32_t k = 0; k < plan->strategies.n; k++) {
            struct exp_candidate c = {.gpu = gpu,
                                      .tensor_parallel = plan->tensor_parallel[t],
                                      .gpus_per_server = gpus,
                                      .contender = &plan->strategies.at[k],
                                      .host_gib = NAN};
            if (c.tensor_parallel > gpus) continue;
            if (plan->n_have) add_kept(l, plan, c, cache);
            if (!own) add(l, c);
        }
}

uint32_t exp_candidates(const struct exp_plan *plan, struct exp_cache *cache, struct exp_candidate **out)
{
    struct list l = {0};
    const struct mdl_gpu *own = plan->n_have ? gpu_of(cache, plan->have[0].gpu) : NULL;
    bool searched = false;
    for (uint32_t g = 0; own && g < plan->n_search_gpu; g++)
        searched |= gpu_of(cache, plan->search_gpu[g]) == own;
    if (own && !searched) add_for_gpu(&l, plan, own, true, cache);
    for (uint32_t g = 0; g < plan->n_search_gpu; g++)
        add_for_gpu(&l, plan, gpu_of(cache, plan->search_gpu[g]), false, cache);
    *out = l.at;
    return l.n;
}

/* ---- bound ---- */

/* What service levels leave: the most that a first and a last token may take, infinite where nothing limits it; and the
 * least share of the load that must be in time. */
struct leave {
    double first_s, last_s, in_time;
};

static double limit_s(double ms)
{
    return ms > 0 ? 1e-3 * ms : INFINITY;
}

static struct leave leave_of(const struct exp_plan *plan, double most_output_tokens)
{
    struct exp_class_keys *class = sim_alloc(SIM_MAX_CLASSES, sizeof *class);
    uint32_t n = exp_scenario_classes(plan->base, class);
    struct leave l = {.in_time = 1};
    for (uint32_t c = 0; c < n; c++) {
        const struct exp_slo_keys *slo = &class[c].slo;
        double ttft_s = limit_s(slo->ttft_ms), e2el_s = limit_s(slo->e2el_ms);
        l.first_s = fmax(l.first_s, fmin(ttft_s, e2el_s));
        l.last_s = fmax(l.last_s, fmin(ttft_s + limit_s(slo->tpot_ms) * most_output_tokens, e2el_s));
        l.in_time = fmin(l.in_time, slo->percentile / 100);
    }
    free(class);
    return l;
}

static double rate(double tokens, double span_s)
{
    return span_s > 0 ? tokens / span_s : 0;
}

/* Tokens a second without which a service level breaks: of prompts until the last first token, of all until the last. */
static double tokens_per_s(const struct exp_plan *plan, const struct exp_workload *load)
{
    const struct sim_request *r = load->requests;
    double input = 0, output = 0, most = 0;
    double span_s = load->n_requests ? r[load->n_requests - 1].arrival_s - r[0].arrival_s : 0;
    for (uint64_t i = 0; i < load->n_requests; i++) {
        input += r[i].input_tokens;
        output += r[i].output_tokens;
        most = fmax(most, r[i].output_tokens);
    }
    struct leave l = leave_of(plan, most);
    return l.in_time * fmax(rate(input, span_s + l.first_s), rate(input + output, span_s + l.last_s));
}

static double peak_flops(const struct mdl_gpu *gpu, enum mdl_dtype weights)
{
    double peak = 0;
    for (int t = 0; t < MDL_N_DTYPE; t++) peak = fmax(peak, gpu->rate_flops[t]);
    return weights == MDL_BF16 && gpu->rate_flops[MDL_BF16] > 0 ? gpu->rate_flops[MDL_BF16] : peak;
}

uint32_t exp_candidate_at_least(const struct exp_plan *plan, const struct exp_candidate *c,
                                struct exp_cache *cache, const struct exp_workload *load)
{
    struct sim_status ignored = {0};
    const struct mdl_arch *arch = exp_cache_arch(cache, plan->base->model, &ignored);
    enum mdl_dtype weights = (enum mdl_dtype)plan->base->weights;
    if (!arch) return 1;
    double flops = 2 * (double)mdl_arch_linear_parameters(arch) * tokens_per_s(plan, load), there = 0;
    for (uint32_t i = 0; c->keeps_have && i < plan->n_have; i++)
        there += (double)plan->have[i].servers * plan->have[i].gpus_per_server *
                 peak_flops(gpu_of(cache, plan->have[i].gpu), weights);
    double least = ceil((flops - there) / (c->tensor_parallel * peak_flops(c->gpu, weights)));
    return least > 1 ? (uint32_t)fmin(least, EXP_MOST_REPLICAS)
                     : (uint32_t)(c->keeps_have ? fmax(least, 0) : 1);
}
