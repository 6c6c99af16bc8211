#include "models/cost.h"

#include "models/cost_table.h"
#include "models/kvmem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mdl_cost {
    struct sim_cost base; /* first: a pointer to it is a pointer to this */
    struct mdl_cost_tables tables;
    struct sim_arena *arena;
    uint32_t layers[SIM_MAX_STAGES];
    uint32_t n_layers;
    double residual;       /* error-band factors: of all GPU time, */
    double prefill_factor; /* and of prefill attention */
    double cpu_step_s, cpu_seq_s, cpu_layer_eager_s, gpu_layer_s;
    uint32_t largest_graph; /* sequences of the largest captured decode batch */
    bool async;
    double link_byte_per_s, token_bytes; /* pipeline hand-over */
};

static const struct mdl_cost *cost_of(const struct sim_cost *base)
{
    return (const struct mdl_cost *)base;
}

static void accumulate(struct sim_price *p, const struct mdl_mix *m, double times)
{
    p->gpu_s += m->s * times;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) p->by_evidence_s[e] += m->by_evidence_s[e] * times;
}

/* Decode attention of one layer as a line over KV tokens: between the grid's rows around n_seqs, inside one
 * column. */
static void attention_line(const struct mdl_decode_grid *g, uint32_t n_seqs, uint64_t kv_tokens,
                           struct sim_decode_line *out)
{
    double n = n_seqs, kv = (double)kv_tokens;
    uint32_t i = mdl_axis_cell(g->seqs, g->n_seqs, n), j = mdl_axis_cell(g->kv, g->n_kv, kv);
    double f = (n - g->seqs[i]) / (g->seqs[i + 1] - g->seqs[i]);
    size_t low = (size_t)i * g->n_kv + j, high = low + g->n_kv;
    double left = g->s[low] + f * (g->s[high] - g->s[low]);
    double right = g->s[low + 1] + f * (g->s[high + 1] - g->s[low + 1]);
    unsigned char how = g->how[low];
    const size_t corners[] = {low + 1, high, high + 1};
    for (int c = 0; c < 3; c++)
        if (g->how[corners[c]] > how) how = g->how[corners[c]];
    out->gpu_slope_s = (right - left) / (g->kv[j + 1] - g->kv[j]);
    out->attention_base_s = left - out->gpu_slope_s * g->kv[j];
    out->attention = (enum sim_evidence)how;
    out->kv_begin = j == 0 ? 0 : (uint64_t)g->kv[j];
    out->kv_end = j + 2 == g->n_kv ? UINT64_MAX : (uint64_t)g->kv[j + 1];
}

static double cpu_s(const struct mdl_cost *c, uint32_t n_sequences, bool eager, uint32_t layers)
{
    return c->cpu_step_s + c->cpu_seq_s * n_sequences + (eager ? c->cpu_layer_eager_s * layers : 0);
}

/* --- a run of decode steps on a single stage --- */

static void decode_line(const struct sim_cost *base, uint32_t n_seqs, uint64_t kv_tokens,
                        struct sim_decode_line *out)
{
    const struct mdl_cost *c = cost_of(base);
    bool eager = n_seqs > c->largest_graph;
    struct mdl_mix layer, head;
    struct sim_price fixed = {0};
    memset(out, 0, sizeof *out);
    attention_line(&c->tables.decode, n_seqs, kv_tokens, out);
    out->attention_base_s *= c->n_layers;
    out->gpu_slope_s *= c->n_layers;
    mdl_curve_at(&c->tables.layer_graph, n_seqs, &layer);
    mdl_curve_at(&c->tables.head, n_seqs, &head);
    accumulate(&fixed, &layer, c->n_layers);
    accumulate(&fixed, &head, 1);
    memcpy(out->base_by_evidence_s, fixed.by_evidence_s, sizeof out->base_by_evidence_s);
    out->gpu_base_s = fixed.gpu_s + c->gpu_layer_s * c->n_layers + out->attention_base_s;
    double cpu = cpu_s(c, n_seqs, eager, c->n_layers);
    if (c->async)
        out->floor_s = cpu;
    else
        out->add_s = cpu;
}

/* --- any batch on any stage --- */

/* All prompt chunks of a step are one launch: priced as equal sequences with the same new tokens, the same
 * causal area (past x new + new^2 / 2 each), and the length that carries most of the work. */
static struct mdl_time prefill_attention(const struct mdl_cost *c, const struct sim_batch *b)
{
    double tokens = 0, squares = 0, reach = 0;
    for (uint32_t i = 0; i < b->n_chunks; i++) {
        double n = b->chunks[i].new_tokens;
        tokens += n;
        squares += n * n;
        reach += n * b->chunks[i].past_tokens;
    }
    double length = squares / tokens;
    return mdl_attn_prefill_at(c->tables.prefill, tokens / length, length, reach / tokens);
}

static void add_attention(const struct mdl_cost *c, const struct sim_batch *b, uint32_t layers,
                          struct sim_price *out)
{
    if (b->n_decodes) {
        struct sim_decode_line line;
        attention_line(&c->tables.decode, b->n_decodes, b->decode_kv_tokens, &line);
        double s = layers * (line.attention_base_s + line.gpu_slope_s * (double)b->decode_kv_tokens);
        out->gpu_s += s;
        out->by_evidence_s[line.attention] += s;
    }
    if (b->n_chunks) {
        struct mdl_time t = prefill_attention(c, b);
        out->gpu_s += t.s * c->prefill_factor * layers;
        out->by_evidence_s[t.how] += t.s * c->prefill_factor * layers;
    }
}

static void price(const struct sim_cost *base, const struct sim_batch *b, uint32_t stage,
                  struct sim_price *out)
{
    const struct mdl_cost *c = cost_of(base);
    uint32_t layers = c->layers[stage], n_sequences = b->n_decodes + b->n_chunks;
    bool eager = b->n_chunks || b->n_decodes > c->largest_graph;
    struct mdl_mix part;
    memset(out, 0, sizeof *out);
    mdl_curve_at(eager ? &c->tables.layer_eager : &c->tables.layer_graph, (double)b->new_tokens, &part);
    accumulate(out, &part, layers);
    add_attention(c, b, layers, out);
    if (stage + 1 == c->base.n_stages && b->n_outputs) {
        mdl_curve_at(&c->tables.head, b->n_outputs, &part);
        accumulate(out, &part, 1);
    }
    out->gpu_s += c->gpu_layer_s * layers;
    double cpu = stage == 0 ? cpu_s(c, n_sequences, eager, layers) : 0;
    out->step_s = c->async ? fmax(out->gpu_s, cpu) : out->gpu_s + cpu;
}

static double transfer_s(const struct sim_cost *base, uint64_t new_tokens)
{
    const struct mdl_cost *c = cost_of(base);
    return (double)new_tokens * c->token_bytes / c->link_byte_per_s;
}

/* --- making one --- */

static void init_stages(struct mdl_cost *c, const struct mdl_cost_spec *spec)
{
    c->base.n_stages = spec->pipeline_parallel;
    for (uint32_t s = 0; s < spec->pipeline_parallel; s++)
        c->layers[s] = mdl_stage_layers(spec->arch->n_layers, spec->pipeline_parallel, s);
    c->n_layers = spec->arch->n_layers;
    c->token_bytes = 2.0 * spec->arch->hidden;
    c->link_byte_per_s =
        spec->gpu->nvlink_byte_per_s > 0 ? spec->gpu->nvlink_byte_per_s : spec->gpu->pcie_byte_per_s;
}

void mdl_cost_set_overheads(struct mdl_cost *c, const struct mdl_engine *e)
{
    c->cpu_step_s = e->cpu_step_s;
    c->cpu_seq_s = e->cpu_seq_s;
    c->cpu_layer_eager_s = e->cpu_layer_eager_s;
    c->gpu_layer_s = e->gpu_layer_s * c->residual;
}

static void init_engine(struct mdl_cost *c, const struct mdl_cost_spec *spec)
{
    const struct mdl_engine *e = spec->engine;
    c->residual = spec->residual_factor > 0 ? spec->residual_factor : 1;
    mdl_cost_set_overheads(c, e);
    c->async = e->async_scheduling;
    while (c->largest_graph < spec->max_num_seqs &&
           mdl_engine_graph_tokens(e, spec->max_num_seqs, c->largest_graph + 1))
        c->largest_graph++;
}

struct mdl_cost *mdl_cost_new(const struct mdl_cost_spec *spec, struct sim_status *st)
{
    struct mdl_cost *c = sim_alloc(1, sizeof *c);
    c->arena = sim_arena_new();
    c->base = (struct sim_cost){.price = price, .decode_line = decode_line, .transfer_s = transfer_s};
    if (spec->pipeline_parallel < 1 || spec->pipeline_parallel > SIM_MAX_STAGES) {
        sim_fail(st, "pipeline_parallel %u: expected 1 to %d", (unsigned)spec->pipeline_parallel,
                 SIM_MAX_STAGES);
        mdl_cost_free(c);
        return NULL;
    }
    if (!mdl_cost_tables_init(&c->tables, spec, c->arena, st)) {
        mdl_cost_free(c);
        return NULL;
    }
    init_stages(c, spec);
    init_engine(c, spec);
    double family = spec->family_factor[MDL_ATTN_PREFILL];
    c->prefill_factor = c->residual * (family > 0 ? family : 1);
    c->base.swap_token_s =
        mdl_kv_byte_per_token_rank(spec->arch, spec->kv, spec->tensor_parallel, c->n_layers) /
        spec->gpu->pcie_byte_per_s;
    return c;
}

void mdl_cost_free(struct mdl_cost *c)
{
    if (!c) return;
    mdl_cost_tables_fini(&c->tables);
    sim_arena_free(c->arena);
    free(c);
}

const struct sim_cost *mdl_cost_base(const struct mdl_cost *c)
{
    return &c->base;
}
