#include "models/kvcost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>

#include "models/profile_parts.h"
#include "sim/check.h"
#include "sim/memory.h"

enum { N_DRAWS = 256, DRAWS_STRIDE = 89, DRAWS_STEP = 1 };

static double value_or(const struct mdl_kv_use *u, enum mdl_kv_key key, double otherwise)
{
    return isnan(u->value[key]) ? otherwise : u->value[key];
}

static enum sim_evidence worse(enum sim_evidence a, enum sim_evidence b)
{
    return a > b ? a : b;
}

/* ---- extra kernels ---- */

static double factor(const struct mdl_kvcost_spec *spec)
{
    return spec->residual_factor > 0 ? spec->residual_factor : 1;
}

/* What turns work into seconds; efficiency: share of the matrix rate. */
struct pricing {
    const struct mdl_kvcost_spec *spec;
    double efficiency;
};

/* Without its launches. */
static double work_s(struct pricing p, struct mdl_work w, enum sim_evidence *how)
{
    const struct mdl_kvcost_spec *spec = p.spec;
    struct mdl_time bytes = mdl_elementwise_s(spec->profile, w.bytes, 0);
    *how = worse(*how, bytes.how);
    if (!(w.flops > 0)) return bytes.s * factor(spec);
    double efficiency = p.efficiency, rate = spec->profile->peaks.rate_flops[MDL_BF16];
    SIM_CHECK(efficiency > 0 && rate > 0); /* a strategy that multiplies matrices states it */
    *how = SIM_ANALYTIC;
    return (bytes.s + w.flops / (efficiency * rate)) * factor(spec);
}

static double launches_s(const struct mdl_kvcost_spec *spec, double launches)
{
    return mdl_elementwise_s(spec->profile, 0, launches).s * factor(spec);
}

/* Launches are those of a whole step, whatever they are written beside. */
static struct mdl_kv_extra extra(struct pricing p, struct mdl_work seq, struct mdl_work token)
{
    struct mdl_kv_extra e = {.launches = seq.launches + token.launches, .how = SIM_MEASURED};
    e.seq_s = work_s(p, seq, &e.how);
    e.token_s = work_s(p, token, &e.how);
    e.step_s = launches_s(p.spec, e.launches);
    return e;
}

static struct pricing prefilling(const struct mdl_kvcost_spec *spec)
{
    return (struct pricing){spec, spec->use->value[MDL_KV_PREFILL_EFFICIENCY]};
}

static struct pricing decoding(const struct mdl_kvcost_spec *spec, const struct mdl_kv_decode *d)
{
    struct pricing p = prefilling(spec);
    if (d->decode_efficiency > 0) p.efficiency = d->decode_efficiency;
    return p;
}

/* What a selection on a stream of its own takes from the computation: the memory is shared, units and launches are
 * not. */
static struct mdl_work traffic(struct mdl_work w)
{
    return (struct mdl_work){.bytes = w.bytes};
}

/* Beside the computation; and the check, which is in its way. */
static struct mdl_work overlapping(const struct mdl_kv_decode *d)
{
    struct mdl_work w = d->check_seq;
    w.bytes += d->select_seq.bytes;
    return w;
}

static void price_decode(struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec)
{
    const struct mdl_kv_decode *d = &c->decode;
    struct pricing p = decoding(spec, d);
    struct mdl_kv_extra whole = extra(p, d->select_seq, d->select_token);
    whole.step_s += d->select_fixed_s * factor(spec);
    if (d->select_fixed_s > 0) whole.how = SIM_ANALYTIC;
    c->rows = extra(p, d->seq, d->all_token);
    c->select = d->select_overlaps ? extra(p, overlapping(d), traffic(d->select_token)) : whole;
    c->correct_select = whole;
}

/* What pairs cost is priced apart; their launches and evidence are those of the work that they belong to. */
static double price_pairs(struct pricing p, struct mdl_work pairs, struct mdl_kv_extra *of)
{
    struct mdl_kv_extra e = extra(p, pairs, (struct mdl_work){0});
    of->step_s += e.step_s;
    of->launches += e.launches;
    of->how = worse(of->how, e.how);
    return e.seq_s;
}

static void price_prefill(struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec)
{
    struct pricing p = prefilling(spec);
    c->fill = extra(p, (struct mdl_work){0}, c->prefill.token);
    c->end = extra(p, c->prefill.end, c->prefill.end_token);
    c->fill_pair_s = price_pairs(p, c->prefill.pair, &c->fill);
    c->end_pair_s = price_pairs(p, c->prefill.end_pair, &c->end);
}

/* ---- copies ---- */

/* The ranks of a replica work in step, so that those on one root complex share its wire all the time. */
static double link_byte_per_s(const struct mdl_kvcost_spec *spec)
{
    uint32_t sharers =
        spec->host->gpus_per_link < spec->tensor_parallel ? spec->host->gpus_per_link : spec->tensor_parallel;
    return spec->host->link_byte_per_s / (sharers ? sharers : 1);
}

static uint32_t submitters(const struct mdl_host *h)
{
    return h->submitters < 1 ? 1 : h->submitters > MDL_MAX_SUBMITTERS ? MDL_MAX_SUBMITTERS : h->submitters;
}

/* Host time of one copy, divided among the threads; of methods with calls, its share of a call. The copy model's t0
 * is left out: what waits for copies also waits for a sync, which has it. */
static double submit_s(const struct mdl_host *h)
{
    const struct mdl_transfer_model *m = &h->copy;
    return m->submit_s / m->speedup[submitters(h)] +
           (m->fragments_per_call ? m->call_s / m->fragments_per_call : 0);
}

/* n copies to the device. n may be negative: what a sum has too much. */
static struct sim_recall copies_up(const struct mdl_kvcost_spec *spec, double n, double fragment_bytes)
{
    return (struct sim_recall){.submit_s = n * submit_s(spec->host),
                               .engine_s = n * mdl_transfer_descriptor_s(&spec->host->copy, fragment_bytes),
                               .up_s = n * fragment_bytes / link_byte_per_s(spec),
                               .up_bytes = n * fragment_bytes};
}

/* The same bytes read by a kernel: nothing is submitted, the wire is used less well. */
static struct sim_recall kernel_up(const struct mdl_kvcost_spec *spec, double n, double fragment_bytes)
{
    double bytes = n * fragment_bytes;
    return (struct sim_recall){.up_s = bytes / (spec->host->kernel_frac * link_byte_per_s(spec)),
                               .up_bytes = bytes};
}

/* Collected by the CPU, then one large copy for each of `blocks`. */
static struct sim_recall collected_up(const struct mdl_kvcost_spec *spec, double n, double fragment_bytes,
                                      double blocks)
{
    const struct mdl_host *h = spec->host;
    double bytes = n * fragment_bytes;
    return (struct sim_recall){.submit_s = blocks * submit_s(h) + bytes / h->gather_byte_per_s,
                               .engine_s = blocks * h->copy.descriptor_large_s,
                               .up_s = bytes / link_byte_per_s(spec),
                               .up_bytes = bytes};
}

/* n fragments for a sequence, or for a token of its context. */
static struct sim_recall fetched(const struct mdl_kvcost_spec *spec, const struct mdl_kv_decode *d, double n,
                                 double blocks)
{
    double bytes = d->up_fragment_bytes;
    switch (d->pick) {
    case MDL_PICK_KERNEL:
        return kernel_up(spec, n, bytes);
    case MDL_PICK_CPU:
        return collected_up(spec, n, bytes, blocks);
    case MDL_PICK_COPIES:
        break;
    }
    return copies_up(spec, n, bytes);
}

/* Nobody waits for copies to the host: only their time on the wire counts. */
static struct sim_recall copies_down(const struct mdl_kvcost_spec *spec, double n, double fragment_bytes)
{
    return (struct sim_recall){.down_s = n * fragment_bytes / link_byte_per_s(spec),
                               .down_bytes = n * fragment_bytes};
}

/* What all parts of a recall have in common. */
static struct sim_recall as_recalled(const struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec,
                                     struct sim_recall r)
{
    const struct mdl_kv_decode *d = &c->decode;
    r.when = d->when;
    r.how = spec->host->how;
    r.n_layers = d->recall_layers;
    r.duplex = spec->host->duplex;
    r.double_buffer = d->double_buffer;
    r.correct_frac = d->correct_frac;
    r.correct_share = d->correct_share;
    return r;
}

/* Of converting beside copying: what a measurement says does not hide. */
static double exposed_frac(const struct mdl_kvcost_spec *spec)
{
    double overlap = spec->methods ? mdl_methods_overlap(spec->methods, "hnd") : NAN;
    return isnan(overlap) ? 0 : fmin(fmax(1 - overlap, 0), 1);
}

/* Conversions that the host launches in the computation's way: at the layer all of them, a step ahead those of
 * corrected heads; the others have a stream and a thread of their own. */
static double launches_in_the_way(const struct mdl_kv_decode *d)
{
    double share = d->when == SIM_RECALL_AT_LAYER     ? 1
                   : d->when == SIM_RECALL_STEP_AHEAD ? d->correct_frac * d->correct_share
                                                      : 0;
    return d->convert.launches * share;
}

static void price_copies(struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec)
{
    const struct mdl_kv_decode *d = &c->decode;
    struct mdl_kv_extra convert = extra(decoding(spec, d), d->convert, (struct mdl_work){0});
    struct sim_recall up = fetched(spec, d, d->up_copies, d->recall_layers),
                      token = fetched(spec, d, d->up_copies_token, 0);
    up.pages = d->pages;
    up.heads = (double)d->recall_layers * spec->use->kv_heads *
               value_or(spec->use, MDL_KV_CORRECT_HEADS, d->correct_share);
    up.convert_s = convert.seq_s + convert.step_s; /* its launches are the sequence's own */
    up.correct_select_s = c->correct_select.seq_s;
    token.pages = d->up_copies_token;
    token.correct_select_s = d->correct_frac > 0 ? c->correct_select.token_s : 0;
    c->up = as_recalled(c, spec, up);
    c->down = as_recalled(c, spec, copies_down(spec, d->down_copies, d->down_fragment_bytes));
    c->token = as_recalled(c, spec, token);
    if (d->up_copies_token == 0 && token.correct_select_s == 0)
        c->token = (struct sim_recall){.how = c->token.how};
    c->sync_s = d->n_sync * spec->host->sync_s;
    c->sync_seq_s = d->n_sync_seq * spec->host->sync_s;
    c->sync_correct_s = d->n_sync_correct * spec->host->sync_s;
    c->convert_launches = launches_in_the_way(d);
    c->log_calm = d->correct_frac > 0 ? log1p(-fmin(d->correct_frac, 1)) : 0;
    c->exposed_frac = exposed_frac(spec);
    if (!(c->prefill.down_bytes > 0)) return;
    double n = c->prefill.down_bytes / c->prefill.down_fragment_bytes;
    struct sim_recall prompt = copies_up(spec, n, c->prefill.down_fragment_bytes);
    c->down_token_bytes = prompt.up_bytes;
    c->down_token_s = fmax(fmax(prompt.submit_s, prompt.engine_s), prompt.up_s);
}

/* A layer waits when any of n sequences is flagged, and fetches what the flagged ones need: as much in sum as if each
 * waited by itself. Whose queries turn when has nothing to do with the others. */
static void correct_together(const struct mdl_kvcost *c, uint32_t n, struct sim_recall *r)
{
    double one = r->correct_frac;
    if (!(one > 0) || n < 2) return;
    r->correct_frac = -expm1(n * c->log_calm);
    r->correct_share *= one / r->correct_frac;
    r->heads *= one / r->correct_frac;
}

struct sim_recall mdl_kvcost_recall(const struct mdl_kvcost *c, uint32_t n_seqs, uint32_t n_selecting)
{
    struct sim_recall r = c->up, none = {0};
    r = sim_recall_plus(&none, &r, n_selecting);
    r = sim_recall_plus(&r, &c->down, n_seqs);
    r.heads = c->up.heads * n_selecting;
    if (!n_selecting) return r;
    double pieces = fmax(c->decode.pieces, 1) * n_selecting;
    r.convert_tail_s = r.convert_s * (c->exposed_frac + (1 - c->exposed_frac) / pieces);
    r.correct_select_s += c->correct_select.step_s;
    correct_together(c, n_selecting, &r);
    r.sync_s = c->sync_s + c->sync_seq_s * n_selecting + c->sync_correct_s * r.correct_frac;
    if (r.when == SIM_RECALL_NONE && r.sync_s > 0)
        r.when = SIM_RECALL_AT_LAYER; /* nothing to fetch, but a wait */
    return r;
}

/* A kept token's bytes on the GPU, at the largest length at which nothing was let go. */
static double kept_token_bytes(const struct mdl_kv_plan *p)
{
    enum { MANY_PERIODS = 16 };
    uint32_t budget = p->rule.budget,
             tokens = budget && budget != SIM_KV_ALL ? budget : MANY_PERIODS * p->rule.period;
    return mdl_kv_plan_bytes(p, SIM_KV_GPU, (struct sim_kv_length){tokens, tokens}) / tokens;
}

/* ---- draws ---- */

static double capped_mean(const double *x, uint32_t n, double scale, double most)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += fmin(scale * x[i], most);
    return sum / n;
}

/* GSL's inverse does not converge for every probability of a small shape: there the logarithm is halved. */
static double gamma_quantile(double p, double shape, double scale)
{
    enum { HALVINGS = 60 };
    double q = gsl_cdf_gamma_Pinv(p, shape, scale), low = -700, high = 10;
    if (fabs(gsl_cdf_gamma_P(q, shape, scale) - p) < 1e-9) return q;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        *(gsl_cdf_gamma_P(exp(middle), shape, scale) < p ? &low : &high) = middle;
    }
    return exp(low);
}

/* Means of n equally likely slices: what lies below a quantile q has mean P(q; shape + 1) of the whole. */
static void gamma_slices(double cv, uint32_t n, double *out)
{
    double shape = 1 / (cv * cv), below = 0;
    for (uint32_t i = 0; i < n; i++) {
        double upto = i + 1 < n
                          ? gsl_cdf_gamma_P(gamma_quantile((i + 1.0) / n, shape, cv * cv), shape + 1, cv * cv)
                          : 1;
        out[i] = n * fmax(upto - below, 0);
        below = upto;
    }
}

void mdl_kvcost_quantiles(double cv, double most, uint32_t n, double *out)
{
    enum { HALVINGS = 100 };
    bool spread = cv > 0 && most > 1;
    for (uint32_t i = 0; i < n; i++) out[i] = 1;
    if (!spread) return;
    gsl_set_error_handler_off();
    gamma_slices(cv, n, out);
    double low = 0, high = 80; /* of the log of a factor that keeps the mean at 1 under the cap */
    for (int i = 0; i < HALVINGS && capped_mean(out, n, 1, most) < 1; i++) {
        double middle = (low + high) / 2;
        *(capped_mean(out, n, exp(middle), most) < 1 ? &low : &high) = middle;
    }
    for (uint32_t i = 0; i < n; i++) out[i] = fmin(exp(low) * out[i], most);
}

/* Miss and correction rates of a step have nothing to do with each other as far as anyone published: their quantiles
 * are paired by a fixed permutation, i and 89 i mod 256, of correlation below 0.01. */
static void make_draws(struct mdl_kvcost *c, const struct mdl_kv_use *u)
{
    double miss[N_DRAWS], correct[N_DRAWS];
    double miss_rate = value_or(u, MDL_KV_MISS, 0), correct_rate = c->decode.correct_frac;
    double miss_cv = value_or(u, MDL_KV_MISS_CV, 0), correct_cv = value_or(u, MDL_KV_CORRECTION_CV, 0);
    if (value_or(u, MDL_KV_DRAWS, 0) != DRAWS_STEP || !(miss_cv > 0 || correct_cv > 0)) return;
    mdl_kvcost_quantiles(miss_cv, miss_rate > 0 ? 1 / miss_rate : 1, N_DRAWS, miss);
    mdl_kvcost_quantiles(correct_cv, correct_rate > 0 ? 1 / correct_rate : 1, N_DRAWS, correct);
    c->draws = sim_alloc(N_DRAWS, sizeof *c->draws);
    c->n_draws = N_DRAWS;
    for (uint32_t i = 0; i < N_DRAWS; i++)
        c->draws[i] = (struct sim_recall_draw){miss[i], correct[i * DRAWS_STRIDE % N_DRAWS]};
}

/* ---- decode attention ---- */

static bool is_bf16(const struct mdl_kv_decode *d)
{
    return strcmp(d->kernel, "bf16") == 0;
}

struct mdl_kv_default mdl_kvcost_default(const struct mdl_strategy *s, enum mdl_kv_key key,
                                         const struct mdl_gpu *gpu)
{
    enum { FP8_HARDWARE = 89 };
    const struct mdl_kv_default *d = mdl_strategy_default(s, key);
    if (!d) return (struct mdl_kv_default){.key = key, .value = NAN, .low = NAN, .high = NAN};
    bool emulated = key == MDL_KV_KERNEL_EFFICIENCY && strcmp(s->name, "fp8") == 0 &&
                    gpu->compute_capability && gpu->compute_capability < FP8_HARDWARE;
    return emulated ? (struct mdl_kv_default){key, 0.52, 0.39, 0.55,
                                              "no fp8 in hardware: decode steps +0.4 to 5.5 % on A100 "
                                              "(vllm#42058); low: FlashInfer on H20 (flashinfer#1753)"}
                    : *d;
}

/* An engine that was measured with this KV type says it all itself. */
static void find_own_table(struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec)
{
    if (is_bf16(&c->decode) || !mdl_dtype_parse(c->decode.kernel, &c->table)) return;
    c->own_table = mdl_profile_sheet(spec->profile, MDL_ATTN_DECODE, c->table) != NULL;
}

static struct mdl_attn_shape shape_of(const struct mdl_kv_use *u)
{
    return (struct mdl_attn_shape){u->q_heads, u->kv_heads, u->head_dim, MDL_BF16};
}

/* The ratio of all tokens from that of those behind the plain ones, sequences being equally long. */
static struct mdl_time beside_plain(struct mdl_time ratio, double plain_tokens, double kv_tokens)
{
    double plain = fmin(1, plain_tokens / kv_tokens);
    if (plain == 1) return (struct mdl_time){1, SIM_MEASURED};
    return (struct mdl_time){plain + (1 - plain) * ratio.s, ratio.how};
}

static struct mdl_time kernel_ratio(const struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec,
                                    double n_seqs, double kv_tokens)
{
    struct mdl_time out = {1, SIM_MEASURED};
    if (c->own_table) return out;
    struct mdl_ratio_query q = {c->decode.kernel, c->decode.bytes_frac,   shape_of(spec->use), spec->gpu,
                                n_seqs,           fmax(kv_tokens, n_seqs)};
    if (!is_bf16(&c->decode) && spec->methods && mdl_methods_ratio(spec->methods, &q, &out)) return out;
    double ratio = c->decode.bytes_frac / value_or(spec->use, MDL_KV_KERNEL_EFFICIENCY, 1);
    return is_bf16(&c->decode) && ratio == 1 ? out : (struct mdl_time){ratio, SIM_ANALYTIC};
}

struct mdl_time mdl_kvcost_ratio(const struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec,
                                 double n_seqs, double kv_tokens)
{
    struct mdl_time ratio = kernel_ratio(c, spec, n_seqs, kv_tokens);
    double plain = c->decode.plain_tokens * n_seqs;
    return plain > 0 ? beside_plain(ratio, plain, fmax(kv_tokens, n_seqs)) : ratio;
}

double mdl_kvcost_scaled_s(double full_s, double floor_s, struct mdl_time ratio)
{
    if (ratio.s == 1) return full_s;
    if (ratio.how != SIM_ANALYTIC) return fmax(full_s * ratio.s, fmin(full_s, floor_s));
    return floor_s + (full_s - floor_s) * ratio.s;
}

/* ---- making one ---- */

static bool check_host(const struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec, struct sim_status *st)
{
    const struct mdl_kv_decode *d = &c->decode;
    bool moves =
        d->up_copies != 0 || d->up_copies_token > 0 || d->down_copies > 0 || c->prefill.down_bytes > 0;
    SIM_CHECK(!(c->prefill.down_bytes > 0) || c->prefill.down_fragment_bytes > 0);
    if (moves && !(spec->host->link_byte_per_s > 0))
        return sim_fail(
            st,
            "host.link_gb_per_s %g: %s moves KV over the host link, expected a rate above 0; set the one of "
            "your server, or choose a strategy that keeps all KV on the GPU",
            spec->host->link_byte_per_s * 1e-9, spec->use->strategy->name);
    return true;
}

bool mdl_kvcost_init(struct mdl_kvcost *c, const struct mdl_kvcost_spec *spec, struct sim_status *st)
{
    const struct mdl_strategy *s = spec->use->strategy;
    SIM_CHECK(spec->plan && spec->host && spec->profile && spec->gpu);
    *c = (struct mdl_kvcost){.graph = (enum mdl_kv_graph)value_or(spec->use, MDL_KV_GRAPH, s->graph)};
    s->decode(spec->use, &c->decode);
    if (s->prefill) s->prefill(spec->use, &c->prefill);
    if (!c->decode.kernel) c->decode.kernel = "bf16";
    SIM_CHECK(c->decode.bytes_frac > 0);
    if (!check_host(c, spec, st)) return false;
    find_own_table(c, spec);
    price_decode(c, spec);
    price_prefill(c, spec);
    price_copies(c, spec);
    make_draws(c, spec->use);
    if (spec->host->link_byte_per_s > 0)
        c->swap_token_s = kept_token_bytes(spec->plan) / link_byte_per_s(spec);
    return true;
}

void mdl_kvcost_fini(struct mdl_kvcost *c)
{
    free(c->draws);
    c->draws = NULL;
}
