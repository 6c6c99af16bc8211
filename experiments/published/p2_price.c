/* Mean decode steps of paper 2's strategies in the harness that measured them. */
#include "experiments/published/p2.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/host.h"
#include "sim/memory.h"
#include "sim/replica.h"

enum {
    MOST_SEQUENCES = 16,
    MOST_NEW_TOKENS = 512,
    MOST_LENGTH = 65536,
    MOST_KV_TOKENS = 1 << 20,
    POINTS = 8
};

const char *const exp_p2_model_names[EXP_P2_MODELS] = {"llama", "qwen"};
static const char *const archs[EXP_P2_MODELS] = {"llama-3.1-8b", "qwen2.5-7b"};
const char *const exp_p2_method_names[EXP_P2_METHODS] = {"freekv", "arkvale", "shadowkv", "infinigen",
                                                         "raas"};

/* ---- the machine ---- */

static bool load_parts(struct exp_p2_machine *m, const char *gpu, const char *data_dir, struct sim_status *st)
{
    char *gpus = sim_printf("%s/models/gpus.csv", data_dir);
    m->gpus = mdl_gpu_catalogue_load(gpus, st);
    m->gpu = m->gpus ? mdl_gpu_find(m->gpus, gpu, st) : NULL;
    m->profile = m->gpu ? mdl_profile_analytic(m->gpu) : NULL;
    free(gpus);
    bool ok = m->profile && mdl_engine_load(data_dir, "hf-eager-unknown", &m->engine, st);
    for (int i = 0; ok && i < EXP_P2_MODELS; i++) ok = mdl_arch_load(data_dir, archs[i], &m->arch[i], st);
    return ok;
}

bool exp_p2_machine_init(struct exp_p2_machine *m, const char *name, const char *gpu, const char *data_dir,
                         struct sim_status *st)
{
    *m = (struct exp_p2_machine){.name = name};
    if (load_parts(m, gpu, data_dir, st)) return true;
    exp_p2_machine_fini(m);
    return false;
}

void exp_p2_machine_fini(struct exp_p2_machine *m)
{
    mdl_profile_free(m->profile);
    mdl_gpu_catalogue_free(m->gpus);
    *m = (struct exp_p2_machine){0};
}

/* ---- settings ---- */

/* A recall that a layer waits for is submitted by the thread that launches its kernels. */
static bool beside_the_step(const struct mdl_kv_use *u)
{
    return u->value[MDL_KV_SPECULATIVE] > 0;
}

static const struct exp_constant *declared(struct exp_constants *constants, const char *group,
                                           const char *key)
{
    char name[96];
    snprintf(name, sizeof name, "p2.%s.%s", group, key);
    return exp_constant_find(constants, name);
}

/* p2.<method>.<key of host.*>, else p2.host.<key>, else what models/host.c says. */
static bool make_host(const struct exp_p2_case *c, const struct mdl_kv_use *u,
                      struct exp_constants *constants, struct mdl_host *out, struct sim_status *st)
{
    char name[96];
    double link, submitters;
    const char *threads = beside_the_step(u) ? "p2.pool_submitters" : "p2.caller_submitters";
    snprintf(name, sizeof name, "p2.%s.link_gb_per_s", c->machine->name);
    *out = mdl_host_of(c->machine->gpu);
    if (!exp_constant_value(constants, name, &link, st) ||
        !exp_constant_value(constants, threads, &submitters, st) ||
        !mdl_host_set(out, "link_gb_per_s", link, st) || !mdl_host_set(out, "submitters", submitters, st))
        return false;
    for (size_t i = 0; i < mdl_host_default_count(); i++) {
        const char *key = mdl_host_default_at(i)->name;
        const struct exp_constant *d = declared(constants, u->strategy->name, key);
        if (!d) d = declared(constants, "host", key);
        if (d && !mdl_host_set(out, key, d->value, st)) return false;
    }
    return true;
}

/* Mean over the steps of min(L, tokens) / L's mean. */
static double share_of_context(double tokens, const struct exp_p2_load *load)
{
    double first = load->prompt + 1.0, last = load->prompt + load->generated - 1.0, all = (first + last) / 2;
    if (last <= tokens) return 1;
    if (first >= tokens) return tokens / all;
    double below = (tokens - first) / (last - first);
    return (below * (first + tokens) / 2 + (1 - below) * tokens) / all;
}

/* What is given; else p2.<method>.<parameter>; else p2.all.<parameter> where the strategy has it; else NaN. */
static void settings(const struct exp_p2_case *c, const struct mdl_strategy *s,
                     struct exp_constants *constants, double out[MDL_N_KV_KEY])
{
    for (int k = 0; k < MDL_N_KV_KEY; k++) {
        const char *key = mdl_kv_key_info((enum mdl_kv_key)k)->name;
        const struct exp_constant *d = NULL;
        if (mdl_strategy_default(s, (enum mdl_kv_key)k)) {
            d = declared(constants, s->name, key);
            if (!d) d = declared(constants, "all", key);
        }
        out[k] = c->given && !isnan(c->given[k]) ? c->given[k] : d ? d->value : NAN;
    }
    const struct exp_constant *fetch = declared(constants, s->name, "fetch_tokens");
    if (fetch) out[MDL_KV_FETCH_FRAC] = share_of_context(fetch->value, c->load);
}

/* ---- prices ---- */

static bool make_cost(struct exp_p2_price *p, const struct exp_p2_case *c, const struct mdl_host *host,
                      struct sim_status *st)
{
    struct mdl_cost_spec spec = {.arch = &c->machine->arch[c->model],
                                 .gpu = c->machine->gpu,
                                 .profile = c->machine->profile,
                                 .engine = &c->machine->engine,
                                 .weights = MDL_BF16,
                                 .kv = MDL_BF16,
                                 .tensor_parallel = 1,
                                 .pipeline_parallel = 1,
                                 .max_num_seqs = MOST_SEQUENCES,
                                 .max_num_batched_tokens = MOST_NEW_TOKENS,
                                 .kv_capacity_tokens = MOST_KV_TOKENS,
                                 .use = &p->use,
                                 .plan = &p->plan,
                                 .host = host};
    p->cost = mdl_cost_new(&spec, st);
    return p->cost != NULL;
}

bool exp_p2_price_init(struct exp_p2_price *p, const struct exp_p2_case *c, struct exp_constants *constants,
                       struct sim_status *st)
{
    double values[MDL_N_KV_KEY];
    struct exp_p2_price price = {.cost = NULL};
    struct mdl_host host;
    const struct mdl_arch *arch = &c->machine->arch[c->model];
    const struct mdl_strategy *s = mdl_strategy_find(exp_p2_method_names[c->method], st);
    if (!s) return false;
    settings(c, s, constants, values);
    if (!mdl_kv_use_init(&price.use, s, values, arch, 1, arch->n_layers, c->machine->engine.block_size, st) ||
        !mdl_kv_plan_init(&price.plan, &price.use, MOST_LENGTH, st) ||
        !make_host(c, &price.use, constants, &host, st) || !make_cost(&price, c, &host, st))
        return false;
    *p = price;
    return true;
}

void exp_p2_price_fini(struct exp_p2_price *p)
{
    mdl_cost_free(p->cost);
    *p = (struct exp_p2_price){0};
}

/* ---- steps ---- */

struct span {
    uint32_t batch, prompt;
    double from, to; /* lengths */
    bool selects;
};

static double step_at(const struct exp_p2_price *p, const struct span *s, double length)
{
    struct sim_kv_length at = {.tokens = (uint32_t)llround(length), .filled = s->prompt};
    struct sim_reads reads = {.kept = (uint64_t)s->batch * sim_kv_read(&p->plan.rule, at),
                              .all = (uint64_t)s->batch * at.tokens,
                              .n_seqs = s->batch};
    if (s->selects) {
        reads.n_selecting = s->batch;
        reads.selecting = reads.all;
    }
    struct sim_decode_line line;
    const struct sim_cost *base = mdl_cost_base(p->cost);
    base->decode_line(base, &reads, &line);
    return sim_line_time(&line, &reads).step_s;
}

/* Sum over the lengths from + 1 ... to, on which a step is nearly linear. */
static double sum_s(const struct exp_p2_price *p, const struct span *s)
{
    double n = s->to - s->from, sum = 0;
    if (!(n > 0)) return 0;
    for (int i = 0; i < POINTS; i++) sum += step_at(p, s, s->from + 0.5 + n * (i + 0.5) / POINTS);
    return n * sum / POINTS;
}

static double mean_s(const struct exp_p2_price *p, const struct exp_p2_load *load, uint32_t batch,
                     bool recalls)
{
    double from = load->prompt, to = load->prompt + load->generated - 1.0, after = p->plan.rule.select_after;
    double turn = fmin(fmax(from, after), to);
    struct span below = {batch, load->prompt, from, turn, false},
                above = {batch, load->prompt, turn, to, recalls};
    return (sum_s(p, &below) + sum_s(p, &above)) / (to - from);
}

double exp_p2_step_s(const struct exp_p2_price *p, const struct exp_p2_load *load, uint32_t batch)
{
    return mean_s(p, load, batch, true);
}

double exp_p2_recall_frac(const struct exp_p2_price *p, const struct exp_p2_load *load, uint32_t batch)
{
    return 1 - mean_s(p, load, batch, false) / mean_s(p, load, batch, true);
}
