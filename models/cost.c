#include "models/cost.h"

#include "models/cost_table.h"
#include "models/kvmem.h"
#include "sim/check.h"

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
    /* One for each setting that the strategy's policy has (models/strategies/adaptive.h), one for all others; all zero
     * for full: nothing is added. They differ in decode rows and recalls only. */
    struct mdl_kvcost *kv;
    struct mdl_adaptive_setting setting[MDL_ADAPTIVE_SETTINGS];
    uint32_t n_kv;
    struct mdl_kvcost *believed; /* n_kv of them, by which the policy chooses; NULL = by kv */
    bool chooses;                /* by what the policy believes, even where only one setting is left to it */
    bool moves;                  /* decode steps move KV over the host link, or wait for the host */
    double kept_frac, all_frac;  /* of what decode attention reads */
    uint32_t kv_layers;          /* that kv is made for */
    double launch_s;             /* of what no graph holds */
};

static const struct mdl_cost *cost_of(const struct sim_cost *base)
{
    return (const struct mdl_cost *)base;
}

static void accumulate(double *gpu_s, double by_evidence_s[SIM_N_EVIDENCE], const struct mdl_mix *m,
                       double times)
{
    *gpu_s += m->s * times;
    for (int e = 0; e < SIM_N_EVIDENCE; e++) by_evidence_s[e] += m->by_evidence_s[e] * times;
}

/* Tokens that decode attention reads. */
static double tokens_read(const struct mdl_cost *c, const struct sim_reads *r)
{
    return c->kept_frac * (double)r->kept + c->all_frac * (double)r->all;
}

/* Decode attention of one layer as a line over KV tokens: between the grid's rows around n_seqs, inside one
 * column. */
static void attention_line(const struct mdl_decode_grid *g, uint32_t n_seqs, double kv,
                           struct sim_decode_line *out)
{
    double n = n_seqs;
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
    out->kv_begin = j == 0 ? 0 : g->kv[j];
    out->kv_end = j + 2 == g->n_kv ? INFINITY : g->kv[j + 1];
}

/* --- what the CPU does --- */

enum { ATTENTION_LAUNCHES = 2 }; /* split KV, and combine */

/* How a step reaches the GPU: as one captured graph; in captured pieces with attention and the strategy's kernels
 * launched between them; or kernel by kernel. */
enum launched { WHOLE, IN_PIECES, EAGER };

static enum launched launched(const struct mdl_cost *c, const struct sim_reads *r, bool prompts)
{
    if (prompts || r->n_seqs > c->largest_graph) return EAGER;
    static const enum launched by_graph[] = {
        [MDL_GRAPH_NO] = EAGER, [MDL_GRAPH_PIECEWISE] = IN_PIECES, [MDL_GRAPH_YES] = WHOLE};
    return by_graph[c->kv->graph];
}

/* extra: launches of the strategy's kernels on these layers. */
static double cpu_s(const struct mdl_cost *c, uint32_t n_sequences, enum launched how, uint32_t layers,
                    double extra)
{
    double s =
        c->cpu_step_s + c->cpu_seq_s * n_sequences + (how == EAGER ? c->cpu_layer_eager_s * layers : 0);
    if (how == IN_PIECES) extra += (double)layers * ATTENTION_LAUNCHES;
    return how == WHOLE ? s : s + extra * c->launch_s;
}

/* --- a run of decode steps on a single stage --- */

static double row_launches(const struct mdl_kvcost *kv, const struct sim_reads *r)
{
    return (r->n_seqs ? kv->rows.launches : 0) + (r->n_selecting ? kv->select.launches : 0) +
           r->n_selecting * kv->convert_launches;
}

/* GPU time of the strategy's kernels on n decode rows, but what grows with their contexts. */
static double rows_s(const struct mdl_kvcost *kv, uint32_t n_seqs)
{
    return n_seqs ? kv->rows.step_s + kv->rows.seq_s * n_seqs : 0;
}

static double select_s(const struct mdl_kvcost *kv, uint32_t n_selecting)
{
    return n_selecting ? kv->select.step_s + kv->select.seq_s * n_selecting : 0;
}

static void add_extra(double s, enum sim_evidence how, double *gpu_s, double by_evidence_s[SIM_N_EVIDENCE])
{
    *gpu_s += s;
    by_evidence_s[how] += s;
}

/* Contexts between which what is moved with them is taken to be linear; below and above by the same line. */
enum { FEW_TOKENS = 2048, MANY_TOKENS = 8192 };

/* The step's sum where every selecting sequence has so many tokens. */
static struct sim_recall_sum sum_at(const struct sim_decode_line *line, double selecting)
{
    struct sim_recall r = sim_recall_plus(&line->recall, &line->recall_token, selecting);
    return sim_recall_sum(&r, (struct sim_recall_draw){1, 1});
}

/* Of contexts that fetch at least something: the part that does not grow with them is negative where the latest tokens
 * are never fetched. */
static double shift_tokens(const struct mdl_kv_decode *d)
{
    return d->up_copies < 0 && d->up_copies_token > 0 ? -d->up_copies / d->up_copies_token : 0;
}

/* A host that launches kernel by kernel, ahead of the GPU, launches nothing while it waits for the GPU in its layers, */
static double launch_s(const struct mdl_cost *c, enum launched how, const struct sim_recall *r, double cpu)
{
    return c->async && how == EAGER && r->sync_s > 0 ? cpu : 0;
}

/* or while it collects rows: that takes it the launches' time, too. */
static double collecting_s(const struct mdl_cost *c, enum launched how, double cpu)
{
    return c->async && how == EAGER && c->kv->decode.pick == MDL_PICK_CPU ? cpu : 0;
}

/* Contexts just above what is on the GPU have fewer pages elsewhere than are missed at the mean: the share that there
 * is, of selecting sequences of equal length, and for which sums of their contexts it is the same; end 0 = all above. */
struct outside {
    double frac;
    uint64_t begin, end;
};

static struct outside outside(const struct mdl_kv_decode *d, const struct sim_reads *r)
{
    struct outside o = {.frac = 1};
    if (!(d->miss_pages > 0) || !r->n_selecting) return o;
    uint64_t inside = (uint64_t)d->resident_tokens * r->n_selecting,
             page = (uint64_t)d->page_tokens * r->n_selecting, needed = (uint64_t)ceil(d->miss_pages);
    uint64_t pages = r->selecting > inside ? (r->selecting - inside + page - 1) / page : 0;
    if (pages > needed) pages = needed;
    o.frac = fmin(1, (double)pages / d->miss_pages);
    if (pages) o.begin = inside + (pages - 1) * page + 1;
    if (pages < needed) o.end = inside + pages * page + 1;
    return o;
}

/* What a step moves whatever the contexts, with the share of the missing pages that there is. */
static struct sim_recall moved(const struct mdl_cost *c, const struct mdl_kvcost *kv,
                               const struct sim_reads *r, double collecting, double frac)
{
    if (!c->moves) return (struct sim_recall){0};
    struct sim_recall m = mdl_kvcost_recall(kv, r->n_seqs, r->n_selecting);
    m.submit_s *= frac;
    m.engine_s *= frac;
    m.up_s *= frac;
    m.convert_s *= frac;
    m.convert_tail_s *= frac;
    m.up_bytes *= frac;
    m.pages *= frac;
    if (r->n_selecting) m.submit_s += collecting;
    return m;
}

static void recall_line(const struct mdl_cost *c, const struct mdl_kvcost *kv, const struct sim_reads *r,
                        double collecting, struct sim_decode_line *out)
{
    if (!c->moves) return;
    struct outside there = outside(&kv->decode, r);
    out->selecting_begin = there.begin;
    out->selecting_end = there.end;
    out->recall = moved(c, kv, r, collecting, there.frac);
    out->recall_token = kv->token;
    out->sum = sum_at(out, 0);
    if (!r->n_selecting || !kv->token.when) return;
    double few = r->n_selecting * (shift_tokens(&kv->decode) + FEW_TOKENS),
           many = r->n_selecting * (shift_tokens(&kv->decode) + MANY_TOKENS);
    struct sim_recall_sum low = sum_at(out, few), high = sum_at(out, many);
    out->sum_token.wait_s = (high.wait_s - low.wait_s) / (many - few);
    out->sum_token.move_s = (high.move_s - low.move_s) / (many - few);
    out->sum.wait_s = low.wait_s - few * out->sum_token.wait_s;
    out->sum.move_s = low.move_s - few * out->sum_token.move_s;
    out->sum.move_frac = low.move_frac;
}

/* --- the policy's choice --- */

static const struct mdl_curve *layer_curve(const struct mdl_cost *c)
{
    bool captured = c->kv->graph != MDL_GRAPH_NO; /* at least the layers, up to the largest graph */
    return captured ? &c->tables.layer_graph : &c->tables.layer_eager;
}

/* GPU time where a decode cell begins, but what the settings add. */
static double cell_s(const struct mdl_cost *c, const struct sim_reads *r)
{
    struct sim_decode_line line;
    struct mdl_mix layer, head;
    attention_line(&c->tables.decode, r->n_seqs, tokens_read(c, r), &line);
    mdl_curve_at(layer_curve(c), r->n_seqs, &layer);
    mdl_curve_at(&c->tables.head, r->n_seqs, &head);
    double attention_s = line.attention_base_s + line.gpu_slope_s * line.kv_begin;
    return c->n_layers * (attention_s + layer.s + c->gpu_layer_s) + head.s;
}

/* A decode step where its cell begins, by one setting, alone on the link. */
static double step_s(const struct mdl_cost *c, const struct mdl_kvcost *kv, const struct sim_reads *r,
                     double begin_s)
{
    enum launched how = launched(c, r, false);
    double gpu_s = begin_s + rows_s(kv, r->n_seqs) + select_s(kv, r->n_selecting);
    double cpu = cpu_s(c, r->n_seqs, how, c->n_layers, row_launches(kv, r));
    struct sim_recall m = moved(c, kv, r, collecting_s(c, how, cpu), 1);
    double path_s = fmax(gpu_s, launch_s(c, how, &m, cpu));
    double s = sim_recall_sum_s(sim_recall_sum(&m, (struct sim_recall_draw){1, 1}), path_s);
    return c->async ? fmax(s, cpu) : s + cpu;
}

/* The fastest setting where the cell begins; of equals the one with the fewest pages and the most checks. A setting that
 * waits less than another one and moves more gains with every token that is read: what is not slower there is not
 * slower anywhere in the cell, and what the contexts of selecting sequences add to all settings alike may be left out. */
static uint32_t chosen(const struct mdl_cost *c, const struct sim_reads *r)
{
    const struct mdl_kvcost *known = c->believed ? c->believed : c->kv;
    if (c->n_kv < 2 || !r->n_selecting) return 0;
    double begin_s = cell_s(c, r), best_s = INFINITY;
    uint32_t best = 0;
    for (uint32_t i = 0; i < c->n_kv; i++) {
        double s = step_s(c, &known[i], r, begin_s);
        if (!(s < best_s * (1 - 1e-12))) continue;
        best_s = s;
        best = i;
    }
    return best;
}

bool mdl_cost_policy(const struct mdl_cost *c, const struct sim_reads *reads,
                     struct mdl_adaptive_setting *out)
{
    *out = c->setting[chosen(c, reads)];
    return c->n_kv > 1;
}

static void decode_line(const struct sim_cost *base, const struct sim_reads *r, struct sim_decode_line *out)
{
    const struct mdl_cost *c = cost_of(base);
    const struct mdl_kvcost *kv = &c->kv[chosen(c, r)];
    enum launched how = launched(c, r, false);
    struct mdl_mix layer, head;
    double *how_s = out->base_by_evidence_s, fixed_s = 0;
    memset(out, 0, sizeof *out);
    attention_line(&c->tables.decode, r->n_seqs, tokens_read(c, r), out);
    out->attention_base_s *= c->n_layers;
    out->gpu_slope_s *= c->n_layers;
    mdl_curve_at(layer_curve(c), r->n_seqs, &layer);
    mdl_curve_at(&c->tables.head, r->n_seqs, &head);
    accumulate(&fixed_s, how_s, &layer, c->n_layers);
    accumulate(&fixed_s, how_s, &head, 1);
    add_extra(rows_s(kv, r->n_seqs), kv->rows.how, &fixed_s, how_s);
    add_extra(select_s(kv, r->n_selecting), kv->select.how, &fixed_s, how_s);
    out->gpu_base_s = fixed_s + c->gpu_layer_s * c->n_layers + out->attention_base_s;
    out->gpu_slope_s += kv->rows.token_s;
    if (kv->rows.token_s > 0 && kv->rows.how > out->attention) out->attention = kv->rows.how;
    out->select_slope_s = kv->select.token_s;
    out->select = kv->select.how;
    out->kept_frac = c->kept_frac;
    out->all_frac = c->all_frac;
    double cpu = cpu_s(c, r->n_seqs, how, c->n_layers, row_launches(kv, r));
    if (c->moves) {
        recall_line(c, kv, r, collecting_s(c, how, cpu), out);
        out->launch_s = launch_s(c, how, &out->recall, cpu);
    }
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
    if (b->decode.n_seqs) {
        struct sim_decode_line line;
        double kv = tokens_read(c, &b->decode);
        attention_line(&c->tables.decode, b->decode.n_seqs, kv, &line);
        double s = layers * (line.attention_base_s + line.gpu_slope_s * kv);
        out->gpu_s += s;
        out->by_evidence_s[line.attention] += s;
    }
    if (b->n_chunks) {
        struct mdl_time t = prefill_attention(c, b);
        out->gpu_s += t.s * c->prefill_factor * layers;
        out->by_evidence_s[t.how] += t.s * c->prefill_factor * layers;
    }
}

/* The strategy's kernels on `share` of the layers that kv is made for. */
static void add_rows(const struct mdl_cost *c, const struct mdl_kvcost *kv, const struct sim_reads *r,
                     double share, struct sim_price *out)
{
    if (!r->n_seqs) return;
    double rows = rows_s(kv, r->n_seqs) + kv->rows.token_s * tokens_read(c, r);
    double select = select_s(kv, r->n_selecting) + kv->select.token_s * (double)r->selecting;
    add_extra(share * rows, kv->rows.how, &out->gpu_s, out->by_evidence_s);
    add_extra(share * select, kv->select.how, &out->gpu_s, out->by_evidence_s);
}

/* The launches of it on a stage. */
static double add_prompts(const struct mdl_cost *c, const struct sim_batch *b, double share,
                          struct sim_price *out)
{
    const struct mdl_kvcost *kv = c->kv;
    double tokens = 0, pairs = 0, end_s = 0, launches = kv->fill.launches;
    if (!b->n_chunks) return 0;
    for (uint32_t i = 0; i < b->n_chunks; i++) {
        const struct sim_chunk *chunk = &b->chunks[i];
        double length = (double)chunk->past_tokens + chunk->new_tokens;
        tokens += chunk->new_tokens;
        pairs += chunk->new_tokens * (chunk->past_tokens + chunk->new_tokens / 2.0);
        if (!chunk->last || length <= kv->prefill.end_after) continue;
        end_s += kv->end.step_s + kv->end.seq_s + kv->end.token_s * length + kv->end_pair_s * length * length;
        launches += kv->end.launches;
    }
    double fill_s = kv->fill.step_s + kv->fill.token_s * tokens + kv->fill_pair_s * pairs;
    add_extra(share * fill_s, kv->fill.how, &out->gpu_s, out->by_evidence_s);
    add_extra(share * end_s, kv->end.how, &out->gpu_s, out->by_evidence_s);
    out->prefill_down_s = share * kv->down_token_s * tokens;
    out->prefill_down_bytes = share * kv->down_token_bytes * tokens;
    return share * launches;
}

static void price(const struct sim_cost *base, const struct sim_batch *b, uint32_t stage,
                  struct sim_price *out)
{
    const struct mdl_cost *c = cost_of(base);
    uint32_t layers = c->layers[stage], n_sequences = b->decode.n_seqs + b->n_chunks;
    double share = layers / (double)c->kv_layers;
    const struct mdl_kvcost *kv = &c->kv[chosen(c, &b->decode)];
    enum launched how = launched(c, &b->decode, b->n_chunks > 0);
    struct mdl_mix part;
    memset(out, 0, sizeof *out);
    mdl_curve_at(how == EAGER ? &c->tables.layer_eager : &c->tables.layer_graph, (double)b->new_tokens,
                 &part);
    accumulate(&out->gpu_s, out->by_evidence_s, &part, layers);
    add_attention(c, b, layers, out);
    if (stage + 1 == c->base.n_stages && b->n_outputs) {
        mdl_curve_at(&c->tables.head, b->n_outputs, &part);
        accumulate(&out->gpu_s, out->by_evidence_s, &part, 1);
    }
    out->gpu_s += c->gpu_layer_s * layers;
    add_rows(c, kv, &b->decode, share, out);
    double launches = share * row_launches(kv, &b->decode) + add_prompts(c, b, share, out);
    double cpu = stage == 0 ? cpu_s(c, n_sequences, how, layers, launches) : 0;
    struct sim_recall fixed =
        moved(c, kv, &b->decode, collecting_s(c, how, cpu), outside(&kv->decode, &b->decode).frac);
    if (c->moves && b->decode.n_seqs)
        out->recall = sim_recall_plus(&fixed, &kv->token, (double)b->decode.selecting);
    out->launch_s = launch_s(c, how, &fixed, cpu);
    if (c->async)
        out->floor_s = cpu;
    else
        out->cpu_add_s = cpu;
    out->step_s = fmax(out->gpu_s + out->cpu_add_s, out->floor_s);
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

/* Draws are of the rates, which all settings share: the first one's are taken. */
static bool init_settings(const struct mdl_cost *c, const struct mdl_kvcost_spec *spec, struct mdl_kvcost *kv,
                          struct sim_status *st)
{
    struct mdl_kvcost_spec one = *spec;
    for (uint32_t i = 0; i < c->n_kv; i++) {
        struct mdl_kv_use set = c->chooses ? mdl_adaptive_with(spec->use, c->setting[i]) : *spec->use;
        if (i) set.value[MDL_KV_DRAWS] = 0;
        one.use = &set;
        if (!mdl_kvcost_init(&kv[i], &one, st)) return false;
    }
    return true;
}

/* The settings that the policy has by the rates that it believes in, and what they cost by those. */
static bool init_believed(struct mdl_cost *c, const struct mdl_cost_spec *spec,
                          const struct mdl_kvcost_spec *kv, struct sim_status *st)
{
    struct mdl_kvcost_spec believed = *kv;
    if (!spec->believed || c->n_kv < 2) return true;
    believed.use = spec->believed;
    c->believed = sim_alloc(c->n_kv, sizeof *c->believed);
    return init_settings(c, &believed, c->believed, st);
}

/* The strategy's kernels and copies; full adds nothing. */
static bool init_kv(struct mdl_cost *c, const struct mdl_cost_spec *spec, struct mdl_kvcost_spec *kv,
                    struct sim_status *st)
{
    const struct mdl_kv_use *known = spec->believed ? spec->believed : spec->use;
    c->n_kv = spec->use ? mdl_adaptive_settings(known, c->setting) : 1;
    c->chooses = c->n_kv > 1 || (spec->believed && mdl_kv_on(known, MDL_KV_POLICY));
    c->kv = sim_alloc(c->n_kv, sizeof *c->kv);
    c->kept_frac = 1;
    c->kv->graph = MDL_GRAPH_YES;
    c->kv_layers = c->n_layers;
    if (!spec->use) return true;
    SIM_CHECK(spec->plan && spec->host);
    *kv = (struct mdl_kvcost_spec){.use = spec->use,
                                   .plan = spec->plan,
                                   .host = spec->host,
                                   .gpu = spec->gpu,
                                   .profile = spec->profile,
                                   .methods = spec->methods,
                                   .tensor_parallel = spec->tensor_parallel,
                                   .residual_factor = spec->residual_factor};
    c->kept_frac = spec->plan->kept_frac;
    c->all_frac = spec->plan->all_frac;
    c->kv_layers = spec->use->n_layers;
    c->launch_s = spec->host->launch_s;
    if (!init_settings(c, kv, c->kv, st) || !init_believed(c, spec, kv, st)) return false;
    c->moves = c->kv->up.when || c->kv->token.when || c->kv->down.down_s > 0 || c->kv->sync_s > 0 ||
               c->kv->sync_seq_s > 0;
    c->base.moves = c->moves || c->kv->down_token_bytes > 0;
    c->base.draws = c->kv->draws;
    c->base.n_draws = c->kv->n_draws;
    c->base.swap_token_s = c->kv->swap_token_s * c->n_layers / c->kv_layers;
    return true;
}

static bool init(struct mdl_cost *c, const struct mdl_cost_spec *spec, struct sim_status *st)
{
    struct mdl_kvcost_spec kv = {0};
    struct mdl_cost_kernels kernels = {NULL, &kv};
    if (spec->pipeline_parallel < 1 || spec->pipeline_parallel > SIM_MAX_STAGES)
        return sim_fail(st, "pipeline_parallel %u: expected 1 to %d", (unsigned)spec->pipeline_parallel,
                        SIM_MAX_STAGES);
    if (!mdl_arch_check_parallel(spec->arch, spec->tensor_parallel, spec->pipeline_parallel, st))
        return false;
    init_stages(c, spec);
    c->base.swap_token_s =
        mdl_kv_byte_per_token_rank(spec->arch, spec->kv, spec->tensor_parallel, c->n_layers) /
        spec->gpu->pcie_byte_per_s;
    if (!init_kv(c, spec, &kv, st)) return false;
    if (spec->use) kernels.kv = c->kv;
    if (!mdl_cost_tables_init(&c->tables, spec, &kernels, c->arena, st)) return false;
    init_engine(c, spec);
    double family = spec->family_factor[MDL_ATTN_PREFILL];
    c->prefill_factor = c->residual * (family > 0 ? family : 1);
    return true;
}

struct mdl_cost *mdl_cost_new(const struct mdl_cost_spec *spec, struct sim_status *st)
{
    struct mdl_cost *c = sim_alloc(1, sizeof *c);
    c->arena = sim_arena_new();
    c->base = (struct sim_cost){.price = price, .decode_line = decode_line, .transfer_s = transfer_s};
    if (init(c, spec, st)) return c;
    mdl_cost_free(c);
    return NULL;
}

void mdl_cost_free(struct mdl_cost *c)
{
    if (!c) return;
    mdl_cost_tables_fini(&c->tables);
    for (uint32_t i = 0; i < c->n_kv; i++) {
        mdl_kvcost_fini(&c->kv[i]);
        if (c->believed) mdl_kvcost_fini(&c->believed[i]);
    }
    free(c->kv);
    free(c->believed);
    sim_arena_free(c->arena);
    free(c);
}

const struct sim_cost *mdl_cost_base(const struct mdl_cost *c)
{
    return &c->base;
}
