#include "models/kvmem.h"

#include <math.h>
#include <stdio.h>

#include "sim/check.h"

enum { VOCAB_PADDING = 64, ACTIVATION_BYTES = 2, MAX_TENSOR_PARALLEL = 64 };

uint32_t mdl_stage_layers(uint32_t n_layers, uint32_t pp, uint32_t stage)
{
    SIM_CHECK(pp >= 1 && stage < pp && n_layers >= pp);
    uint32_t left_over = n_layers % pp;
    bool one_more = stage + 1 + left_over >= pp && stage + 1 < pp;
    return n_layers / pp + one_more;
}

/* KV heads on one rank: TP above the number of heads replicates them. */
static double kv_heads_on_rank(const struct mdl_arch *a, uint32_t tp)
{
    return fmax(1, (double)a->n_kv_heads / tp);
}

double mdl_kv_byte_per_token_rank(const struct mdl_arch *a, enum mdl_dtype kv, uint32_t tp, uint32_t layers)
{
    return 2.0 * layers * kv_heads_on_rank(a, tp) * a->head_dim * mdl_dtype_bytes(kv);
}

/* Bytes per weight of a decoder linear. int4 carries a 16-bit scale and a 4-bit zero point for each group of
 * 128 (AWQ's layout; GPTQ without zero points is 0.8 % smaller). fp8 and int8 carry one scale per output
 * channel, under 0.1 %, not counted. source: AutoAWQ and compressed-tensors file formats. */
static double linear_byte_per_weight(enum mdl_dtype t)
{
    return mdl_dtype_bytes(t) + (t == MDL_INT4 ? (2 + 0.5) / 128 : 0);
}

static double layer_bytes(const struct mdl_arch *a, enum mdl_dtype weights, uint32_t tp)
{
    double q = (double)a->n_q_heads / tp * a->head_dim, kv = kv_heads_on_rank(a, tp) * a->head_dim;
    double intermediate = (double)a->intermediate / tp, hidden = a->hidden;
    double linear = hidden * (2 * q + 2 * kv) + (a->gated_mlp ? 3 : 2) * hidden * intermediate;
    double rest = 2 * hidden; /* the two norms, whole on every rank like the biases of row-parallel layers */
    if (a->qkv_bias) rest += q + 2 * kv;
    if (a->o_bias) rest += hidden;
    if (a->mlp_bias) rest += (a->gated_mlp ? 2 : 1) * intermediate + hidden;
    if (a->qk_norm) rest += 2.0 * a->head_dim;
    return linear * linear_byte_per_weight(weights) + rest * mdl_dtype_bytes(MDL_BF16);
}

/* One rank's share of an embedding or LM head. source: vLLM, layers/vocab_parallel_embedding.py: the
 * vocabulary is padded to a multiple of 64 and cut by TP. */
static double vocab_bytes(const struct mdl_arch *a, uint32_t tp)
{
    double rows = ceil((double)a->vocab / VOCAB_PADDING) * VOCAB_PADDING;
    return ceil(rows / tp) * a->hidden * mdl_dtype_bytes(MDL_BF16);
}

double mdl_weight_bytes(const struct mdl_arch *a, enum mdl_dtype weights, uint32_t tp, uint32_t pp,
                        uint32_t stage)
{
    bool first = stage == 0, last = stage + 1 == pp;
    double bytes = mdl_stage_layers(a->n_layers, pp, stage) * layer_bytes(a, weights, tp);
    if (first) bytes += vocab_bytes(a, tp);
    if (last && !(first && a->tied_embeddings)) bytes += vocab_bytes(a, tp);
    if (last) bytes += a->hidden * mdl_dtype_bytes(MDL_BF16);
    return bytes;
}

static uint32_t most_layers(const struct mdl_memory_spec *s)
{
    uint32_t most = 0;
    for (uint32_t stage = 0; stage < s->pipeline_parallel; stage++) {
        uint32_t layers = mdl_stage_layers(s->arch->n_layers, s->pipeline_parallel, stage);
        if (layers > most) most = layers;
    }
    return most;
}

/* Peak of the engine's profiling run, an estimate. Two moments compete: inside a layer, gate and up
 * projections live beside a few vectors of `hidden` for every token of the step (activation_hidden_factor);
 * after the last layer, the sampler sorts the whole vocabulary of every sequence (sampler_byte_per_logit; not
 * divided by TP, because logits are gathered). Stages before the last have no sampler but keep the two
 * tensors that they send on. source: the shape follows vLLM's profile_run; the constants come from the
 * startup logs that llm-d-planner published (H100, vLLM 0.15 to 0.19). Eight dense models of 0.77 to 5.64 GiB
 * are met within 0.03 GiB, five of which gave the constants; tests/test_models.c repeats the comparison. */
static double activation_bytes(const struct mdl_memory_spec *s, uint32_t stage)
{
    const struct mdl_arch *a = s->arch;
    const struct mdl_engine *e = s->engine;
    bool last = stage + 1 == s->pipeline_parallel;
    double tokens = s->max_num_batched_tokens;
    double seqs = fmin(s->max_num_seqs, tokens);
    double hidden = tokens * a->hidden * ACTIVATION_BYTES;
    double layer = e->activation_hidden_factor * hidden +
                   tokens * 2.0 * a->intermediate / s->tensor_parallel * ACTIVATION_BYTES +
                   (last ? 0 : 2 * hidden);
    double sampler = e->activation_bytes + hidden + seqs * a->vocab * e->sampler_byte_per_logit;
    return last ? fmax(layer, sampler) : layer;
}

static uint64_t whole(double n)
{
    return n > 0 ? (uint64_t)n : 0;
}

/* How many pages there are room for. A stage's pages are those of the plan's stage by its share of the layers. One
 * block is the engine's null block, which no request gets; other strategies' engines lose a page of their largest kind
 * in its place. */
static void plan_pages(const struct mdl_memory_spec *s, struct mdl_memory *m)
{
    const struct mdl_kv_plan *p = s->plan;
    double lost = 1;
    m->unit_bytes = m->block_bytes;
    if (p) {
        m->unit_bytes = p->unit_bytes[SIM_KV_GPU] * m->layers / most_layers(s);
        m->host_unit_bytes = p->unit_bytes[SIM_KV_HOST]; /* the stage with the most layers holds the fewest */
        m->replica_bytes = p->replica_bytes;
        lost = mdl_kv_plan_largest(p, SIM_KV_GPU);
    }
    m->blocks = whole(floor((m->kv_bytes - m->replica_bytes) / m->unit_bytes) - lost);
    if (m->host_unit_bytes > 0) m->host_blocks = whole(floor(s->host_memory_bytes / m->host_unit_bytes));
}

static struct mdl_memory plan_stage(const struct mdl_memory_spec *s, uint32_t stage)
{
    const struct mdl_engine *e = s->engine;
    struct mdl_memory m = {.stage = stage,
                           .layers = mdl_stage_layers(s->arch->n_layers, s->pipeline_parallel, stage)};
    m.total_bytes = (double)s->gpu->memory_bytes;
    m.usable_bytes = m.total_bytes * s->gpu_memory_utilization;
    m.weight_bytes = mdl_weight_bytes(s->arch, s->weights, s->tensor_parallel, s->pipeline_parallel, stage);
    m.activation_bytes = activation_bytes(s, stage);
    m.graph_bytes = s->enforce_eager ? 0 : e->graph_bytes;
    m.context_bytes =
        e->context_bytes + e->context_frac * m.total_bytes + (s->tensor_parallel > 1 ? e->parallel_bytes : 0);
    m.kv_bytes = m.usable_bytes - m.weight_bytes - m.activation_bytes - m.graph_bytes - m.context_bytes;
    m.block_bytes = s->block_size * mdl_kv_byte_per_token_rank(s->arch, s->kv, s->tensor_parallel, m.layers);
    plan_pages(s, &m);
    return m;
}

/* The rank with the fewest blocks: all ranks of a stage are alike. */
static struct mdl_memory plan_all(const struct mdl_memory_spec *s)
{
    struct mdl_memory least = plan_stage(s, 0);
    for (uint32_t stage = 1; stage < s->pipeline_parallel; stage++) {
        struct mdl_memory m = plan_stage(s, stage);
        if (m.blocks < least.blocks || (m.blocks == least.blocks && m.kv_bytes < least.kv_bytes)) least = m;
    }
    return least;
}

/* The smallest power-of-two multiple of tensor_parallel that leaves room for a block, or 0. A plan is one rank's, so
 * the question is asked for full KV. */
static uint32_t tensor_parallel_that_fits(struct mdl_memory_spec s)
{
    s.plan = NULL;
    for (s.tensor_parallel *= 2; s.tensor_parallel <= MAX_TENSOR_PARALLEL; s.tensor_parallel *= 2) {
        struct sim_status ignored = {0};
        if (!mdl_arch_check_parallel(s.arch, s.tensor_parallel, s.pipeline_parallel, &ignored)) return 0;
        if (plan_all(&s).blocks > 0) return s.tensor_parallel;
    }
    return 0;
}

static bool too_big(const struct mdl_memory_spec *s, const struct mdl_memory *m, struct sim_status *st)
{
    static const double gib = 1073741824;
    char advice[96] = "no tensor_parallel up to 64 would fit";
    uint32_t tp = tensor_parallel_that_fits(*s);
    if (tp) snprintf(advice, sizeof advice, "tensor_parallel %u would fit", tp);
    return sim_fail(st,
                    "%s in %s does not fit %s at tensor_parallel %u: weights %.1f + activations %.1f + "
                    "graphs %.1f + context "
                    "%.1f GiB and one KV block need %.1f GiB, and %.1f of %.1f GiB are usable; %s, as may "
                    "smaller weights "
                    "or batch limits",
                    s->arch->name, mdl_dtype_name(s->weights), s->gpu->name, s->tensor_parallel,
                    m->weight_bytes / gib, m->activation_bytes / gib, m->graph_bytes / gib,
                    m->context_bytes / gib, (m->usable_bytes - m->kv_bytes + 2 * m->block_bytes) / gib,
                    m->usable_bytes / gib, m->total_bytes / gib, advice);
}

/* The weights fit, the strategy's own buffers and a page of each kind beside them do not. */
static bool no_room_for_pages(const struct mdl_memory_spec *s, const struct mdl_memory *m,
                              struct sim_status *st)
{
    return sim_fail(
        st,
        "%s on %s leaves %.2f GiB for KV, expected more than the %.2f GiB of the strategy's buffers and a "
        "page of %.2f MiB; lower kv.budget or kv.prefetch_pages, or give more memory (tensor_parallel)",
        s->arch->name, s->gpu->name, m->kv_bytes / 1073741824, m->replica_bytes / 1073741824,
        mdl_kv_plan_largest(s->plan, SIM_KV_GPU) * m->unit_bytes / 1048576);
}

static bool no_host_memory(const struct mdl_memory_spec *s, const struct mdl_memory *m, struct sim_status *st)
{
    double page_bytes = mdl_kv_plan_largest(s->plan, SIM_KV_HOST) * m->host_unit_bytes;
    return sim_fail(
        st,
        "host.memory_gib %g: the strategy keeps KV on the host in pages of %.2f MiB, expected room for "
        "one at least; give more, or choose a strategy that keeps all KV on the GPU",
        s->host_memory_bytes / 1073741824, page_bytes / 1048576);
}

/* num_gpu_blocks_override replaces the estimate, but weights and blocks must be there at all. It states the pool in
 * the engine's own blocks; another strategy has the same bytes. */
static bool apply_override(const struct mdl_memory_spec *s, struct mdl_memory *m, struct sim_status *st)
{
    double pool_bytes = (double)s->num_gpu_blocks_override * m->block_bytes,
           needed = m->weight_bytes + pool_bytes;
    if (needed > m->total_bytes)
        return sim_fail(st,
                        "num_gpu_blocks_override %llu: these blocks and the weights of %s need %.1f GiB, %s "
                        "has %.1f; lower it",
                        (unsigned long long)s->num_gpu_blocks_override, s->arch->name, needed / 1073741824,
                        s->gpu->name, m->total_bytes / 1073741824);
    m->blocks =
        s->plan ? whole(floor((pool_bytes - m->replica_bytes) / m->unit_bytes)) : s->num_gpu_blocks_override;
    return true;
}

static uint64_t capacity_tokens(const struct mdl_memory_spec *s, const struct mdl_memory *m)
{
    if (!s->plan) return m->blocks * s->block_size;
    const struct sim_kv_rule *rule = &s->plan->rule;
    const struct sim_kv_term *t = &rule->term[0];
    if (rule->n_terms == 1 && t->place == SIM_KV_GPU && !t->start && t->cap == SIM_KV_ALL && !t->whole &&
        rule->budget == SIM_KV_ALL)
        return m->blocks / t->units * t->page_tokens;
    uint32_t longest = s->arch->max_position_embeddings;
    struct sim_kv_length at = {longest, longest};
    double gpu = (double)sim_kv_units(rule, SIM_KV_GPU, at),
           host = (double)sim_kv_units(rule, SIM_KV_HOST, at);
    double sequences = gpu > 0 ? (double)m->blocks / gpu : INFINITY;
    if (host > 0) sequences = fmin(sequences, (double)m->host_blocks / host);
    return (uint64_t)fmin(sequences * longest, 0x1p53);
}

static bool check_spec(const struct mdl_memory_spec *s, struct sim_status *st)
{
    if (!(s->gpu_memory_utilization > 0 && s->gpu_memory_utilization <= 1))
        return sim_fail(st, "gpu_memory_utilization is %g, expected a share above 0 and up to 1",
                        s->gpu_memory_utilization);
    if (!s->max_num_seqs || !s->max_num_batched_tokens || !s->block_size)
        return sim_fail(st, "max_num_seqs, max_num_batched_tokens and block_size must be at least 1");
    return mdl_arch_check_parallel(s->arch, s->tensor_parallel, s->pipeline_parallel, st);
}

bool mdl_memory_plan(const struct mdl_memory_spec *spec, struct mdl_memory *out, struct sim_status *st)
{
    if (!check_spec(spec, st)) return false;
    struct mdl_memory m = plan_all(spec);
    if (spec->num_gpu_blocks_override && !apply_override(spec, &m, st)) return false;
    if (m.blocks == 0) {
        bool pages = spec->plan && m.kv_bytes >= 2 * m.block_bytes;
        return pages ? no_room_for_pages(spec, &m, st) : too_big(spec, &m, st);
    }
    if (m.host_unit_bytes > 0 && m.host_blocks < mdl_kv_plan_largest(spec->plan, SIM_KV_HOST))
        return no_host_memory(spec, &m, st);
    m.kv_capacity_tokens = capacity_tokens(spec, &m);
    *out = m;
    return true;
}
