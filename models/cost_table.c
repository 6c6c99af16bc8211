#include "models/cost_table.h"

#include <math.h>

enum {
    EXACT_TOKENS = 512,  /* every token count up to here is a grid point ... */
    TILE_TOKENS = 128,   /* ... then both sides of every tile edge of the matrix products ... */
    TILED_TOKENS = 8192, /* ... up to here, and above it every ... */
    COARSE_TOKENS = 1024,
    SEQS_PER_OCTAVE = 4,
    KV_PER_OCTAVE = 6
};

uint32_t mdl_axis_cell(const double *axis, uint32_t n, double x)
{
    uint32_t low = 0, high = n - 1;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (axis[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static uint32_t curve_cell(const struct mdl_curve *c, double x)
{
    if (x >= 1 && x < c->n_dense) return (uint32_t)x - 1;
    return mdl_axis_cell(c->x, c->n, x);
}

void mdl_curve_at(const struct mdl_curve *c, double x, struct mdl_mix *out)
{
    if (c->n == 1) {
        *out = c->y[0];
        return;
    }
    uint32_t i = curve_cell(c, x);
    const struct mdl_mix *a = &c->y[i], *b = a + 1;
    double f = (x - c->x[i]) / (c->x[i + 1] - c->x[i]);
    out->s = a->s + f * (b->s - a->s);
    for (int e = 0; e < SIM_N_EVIDENCE; e++)
        out->by_evidence_s[e] = a->by_evidence_s[e] + f * (b->by_evidence_s[e] - a->by_evidence_s[e]);
}

static void add(struct mdl_mix *sum, struct mdl_time t, double times)
{
    sum->s += t.s * times;
    sum->by_evidence_s[t.how] += t.s * times;
}

struct mdl_attn_shape mdl_rank_attention(const struct mdl_arch *a, uint32_t tp, enum mdl_dtype kv)
{
    return (struct mdl_attn_shape){.q_heads = a->n_q_heads / tp,
                                   .kv_heads = a->n_kv_heads > tp ? a->n_kv_heads / tp : 1,
                                   .head_dim = a->head_dim,
                                   .kv = kv};
}

/* --- one decoder layer over tokens --- */

enum { QKV, OUT, UP, DOWN, N_GEMM };

/* What a decoder layer is made of on one rank. */
struct layer {
    const struct mdl_cost_spec *spec;
    struct mdl_gemm_curve *gemm[N_GEMM];
    double token_bytes; /* moved by norms, RoPE, activation and casts, per token */
    double launches;    /* of these */
};

static double factor(const struct mdl_cost_spec *spec, enum mdl_family f)
{
    double residual = spec->residual_factor > 0 ? spec->residual_factor : 1;
    return residual * (spec->family_factor[f] > 0 ? spec->family_factor[f] : 1);
}

/* Bytes per token of the kernels between the matrix products, activations in bf16: two fused residual-add
 * norms (read two vectors, write two), RoPE with the KV append (read and write Q and K, write K and V), the
 * activation (read gate and up, write one), and with 8-bit weights a cast of each product's input (read 2
 * bytes, write 1). */
static void init_elementwise(struct layer *l)
{
    const struct mdl_arch *a = l->spec->arch;
    struct mdl_attn_shape s = mdl_rank_attention(a, l->spec->tensor_parallel, l->spec->kv);
    double hidden = a->hidden, inner = (double)a->intermediate / l->spec->tensor_parallel;
    double q = (double)s.q_heads * s.head_dim, kv = (double)s.kv_heads * s.head_dim;
    l->token_bytes = 2 * (2 * 4 * hidden + 2 * (q + kv) + 2 * kv + (a->gated_mlp ? 3 : 2) * inner);
    l->launches = 4;
    if (a->qk_norm) {
        l->token_bytes += 2 * 2 * (q + kv);
        l->launches += 1;
    }
    if (l->spec->weights == MDL_FP8 || l->spec->weights == MDL_INT8) {
        l->token_bytes += 3 * (2 * hidden + q + inner);
        l->launches += 2; /* the casts that follow attention and activation; those of the norms are fused */
    }
}

static void init_layer(struct layer *l, const struct mdl_cost_spec *spec)
{
    const struct mdl_arch *a = spec->arch;
    uint32_t tp = spec->tensor_parallel;
    struct mdl_attn_shape s = mdl_rank_attention(a, tp, spec->kv);
    uint64_t q = (uint64_t)s.q_heads * s.head_dim, kv = (uint64_t)s.kv_heads * s.head_dim;
    uint64_t inner = (a->intermediate + tp - 1) / tp;
    l->spec = spec;
    l->gemm[QKV] = mdl_gemm_curve_new(spec->profile, spec->weights, q + 2 * kv, a->hidden);
    l->gemm[OUT] = mdl_gemm_curve_new(spec->profile, spec->weights, a->hidden, q);
    l->gemm[UP] = mdl_gemm_curve_new(spec->profile, spec->weights, inner * (a->gated_mlp ? 2 : 1), a->hidden);
    l->gemm[DOWN] = mdl_gemm_curve_new(spec->profile, spec->weights, a->hidden, inner);
    init_elementwise(l);
}

static void fini_layer(struct layer *l)
{
    for (int g = 0; g < N_GEMM; g++) mdl_gemm_curve_free(l->gemm[g]);
}

static struct mdl_mix layer_at(const struct layer *l, double tokens, bool graph)
{
    const struct mdl_cost_spec *spec = l->spec;
    struct mdl_mix sum = {0};
    for (int g = 0; g < N_GEMM; g++) add(&sum, mdl_gemm_curve_at(l->gemm[g], tokens), factor(spec, MDL_GEMM));
    add(&sum, mdl_elementwise_s(spec->profile, tokens * l->token_bytes, l->launches),
        factor(spec, MDL_ELEMENTWISE));
    if (spec->tensor_parallel > 1) {
        double bytes = tokens * spec->arch->hidden * 2;
        add(&sum, mdl_allreduce_s(spec->profile, spec->tensor_parallel, bytes, graph),
            2 * factor(spec, MDL_ALLREDUCE));
    }
    return sum;
}

static void curve_init(struct mdl_curve *c, struct sim_arena *arena, uint32_t capacity)
{
    c->n = c->n_dense = 0;
    c->x = sim_arena_alloc(arena, capacity, sizeof *c->x);
    c->y = sim_arena_alloc(arena, capacity, sizeof *c->y);
}

static void curve_add(struct mdl_curve *c, double x, struct mdl_mix y)
{
    if (c->n_dense == c->n && x == c->n + 1.0) c->n_dense++;
    c->x[c->n] = x;
    c->y[c->n++] = y;
}

static uint32_t next_token_point(uint32_t m)
{
    if (m < EXACT_TOKENS) return m + 1;
    uint32_t tile = m < TILED_TOKENS ? TILE_TOKENS : COARSE_TOKENS;
    return m % tile == 0 ? m + 1 : (m / tile + 1) * tile;
}

/* Below EXACT_TOKENS a batch that runs in a graph costs what its padded size costs. */
static void tabulate_layer(struct mdl_cost_tables *t, const struct mdl_cost_spec *spec,
                           struct sim_arena *arena)
{
    struct layer l;
    uint32_t most = spec->max_num_batched_tokens, points = 0;
    init_layer(&l, spec);
    for (uint32_t m = 1; m <= most; m = next_token_point(m)) points++;
    curve_init(&t->layer_eager, arena, points + 1);
    for (uint32_t m = 1; m <= most; m = next_token_point(m))
        curve_add(&t->layer_eager, m, layer_at(&l, m, false));
    if (t->layer_eager.x[points - 1] < most) curve_add(&t->layer_eager, most, layer_at(&l, most, false));

    curve_init(&t->layer_graph, arena, spec->max_num_seqs);
    uint32_t padded = 0;
    for (uint32_t n = 1; n <= spec->max_num_seqs; n++) {
        uint32_t tokens = mdl_engine_graph_tokens(spec->engine, spec->max_num_seqs, n);
        bool same = tokens && tokens == padded;
        struct mdl_mix y;
        if (same)
            y = t->layer_graph.y[n - 2];
        else if (tokens)
            y = layer_at(&l, tokens, true);
        else
            mdl_curve_at(&t->layer_eager, n, &y);
        padded = tokens;
        curve_add(&t->layer_graph, n, y);
    }
    fini_layer(&l);
}

/* --- LM head over output rows --- */

static struct mdl_mix head_at(const struct mdl_gemm_curve *head, const struct mdl_cost_spec *spec,
                              double rows)
{
    struct mdl_mix sum = {0};
    double vocab = spec->arch->vocab, tp = spec->tensor_parallel;
    add(&sum, mdl_gemm_curve_at(head, rows), factor(spec, MDL_GEMM));
    /* logits: to fp32, scaled, softmax or argmax: about three passes over vocab x 4 bytes */
    add(&sum, mdl_elementwise_s(spec->profile, rows * vocab * 12, 3), factor(spec, MDL_ELEMENTWISE));
    /* gathering the logits moves half of what an all-reduce of the whole moves */
    if (tp > 1)
        add(&sum, mdl_allreduce_s(spec->profile, spec->tensor_parallel, rows * vocab * 2, false),
            0.5 * factor(spec, MDL_ALLREDUCE));
    return sum;
}

static uint32_t next_log_point(uint32_t n, uint32_t per_octave)
{
    uint32_t next = (uint32_t)llround(n * exp2(1.0 / per_octave));
    return next > n ? next : n + 1;
}

static uint32_t count_log_points(uint32_t most, uint32_t per_octave)
{
    uint32_t points = 1;
    for (uint32_t n = 1; n < most; n = next_log_point(n, per_octave)) points++;
    return points;
}

static void tabulate_head(struct mdl_cost_tables *t, const struct mdl_cost_spec *spec,
                          struct sim_arena *arena)
{
    uint64_t rows_n = (spec->arch->vocab + spec->tensor_parallel - 1) / spec->tensor_parallel;
    struct mdl_gemm_curve *head = mdl_gemm_curve_new(spec->profile, MDL_BF16, rows_n, spec->arch->hidden);
    uint32_t most = spec->max_num_seqs;
    curve_init(&t->head, arena, count_log_points(most, 8));
    for (uint32_t n = 1; n < most; n = next_log_point(n, 8)) curve_add(&t->head, n, head_at(head, spec, n));
    curve_add(&t->head, most, head_at(head, spec, most));
    mdl_gemm_curve_free(head);
}

/* --- decode attention over sequences x KV tokens --- */

static uint32_t log_axis(double **axis, struct sim_arena *arena, uint32_t most, uint32_t per_octave)
{
    uint32_t n = 0;
    *axis = sim_arena_alloc(arena, (size_t)count_log_points(most, per_octave) + 1, sizeof **axis);
    for (uint32_t x = 1; x < most; x = next_log_point(x, per_octave)) (*axis)[n++] = x;
    (*axis)[n++] = most;
    if (n == 1) (*axis)[n++] = most + 1.0; /* a line needs two points */
    return n;
}

/* Of one launch with the strategy's kernel. */
static struct mdl_time decode_at(const struct mdl_attn_table *table, const struct mdl_cost_kernels *k,
                                 double n_seqs, double kv)
{
    struct mdl_time at = mdl_attn_decode_at(table, n_seqs, kv);
    if (!k->kv) return at;
    struct mdl_time ratio = mdl_kvcost_ratio(k->kv, k->spec, n_seqs, kv);
    at.s = mdl_kvcost_scaled_s(at.s, mdl_attn_decode_at(table, 1, 1).s, ratio);
    if (ratio.how > at.how) at.how = ratio.how;
    return at;
}

static struct mdl_attn_shape decode_shape(const struct mdl_cost_spec *spec, const struct mdl_kvcost *kv)
{
    return mdl_rank_attention(spec->arch, spec->tensor_parallel, kv && kv->own_table ? kv->table : spec->kv);
}

static void tabulate_decode(struct mdl_cost_tables *t, const struct mdl_cost_spec *spec,
                            const struct mdl_cost_kernels *k, struct sim_arena *arena)
{
    struct mdl_decode_grid *g = &t->decode;
    uint64_t most_kv = spec->kv_capacity_tokens < UINT32_MAX / 2 ? spec->kv_capacity_tokens : UINT32_MAX / 2;
    g->n_seqs = log_axis(&g->seqs, arena, spec->max_num_seqs, SEQS_PER_OCTAVE);
    g->n_kv = log_axis(&g->kv, arena, (uint32_t)(most_kv ? most_kv : 1), KV_PER_OCTAVE);
    g->s = sim_arena_alloc(arena, (size_t)g->n_seqs * g->n_kv, sizeof *g->s);
    g->how = sim_arena_alloc(arena, (size_t)g->n_seqs * g->n_kv, sizeof *g->how);
    struct mdl_attn_table *table = mdl_attn_decode_table_new(spec->profile, decode_shape(spec, k->kv));
    double times = factor(spec, MDL_ATTN_DECODE);
    for (uint32_t i = 0; i < g->n_seqs; i++) {
        for (uint32_t j = 0; j < g->n_kv; j++) {
            double kv =
                g->kv[j] > g->seqs[i] ? g->kv[j] : g->seqs[i]; /* every sequence reads a token at least */
            struct mdl_time at = decode_at(table, k, g->seqs[i], kv);
            double *cell = &g->s[(size_t)i * g->n_kv + j];
            *cell = at.s * times;
            bool falls = k->kv && j && *cell < cell[-1] * (1 - 1e-12); /* more than by rounding */
            if (falls) *cell = cell[-1]; /* a measured ratio may fall faster than times rise */
            g->how[(size_t)i * g->n_kv + j] = (unsigned char)at.how;
        }
    }
    mdl_attn_table_free(table);
}

bool mdl_cost_tables_init(struct mdl_cost_tables *t, const struct mdl_cost_spec *spec,
                          const struct mdl_cost_kernels *k, struct sim_arena *arena, struct sim_status *st)
{
    struct mdl_attn_shape shape = mdl_rank_attention(spec->arch, spec->tensor_parallel, spec->kv);
    if (!mdl_profile_covers(spec->profile, spec->weights, shape, spec->tensor_parallel, st)) return false;
    tabulate_layer(t, spec, arena);
    tabulate_head(t, spec, arena);
    tabulate_decode(t, spec, k, arena);
    t->prefill = mdl_attn_prefill_table_new(spec->profile, shape);
    return true;
}

void mdl_cost_tables_fini(struct mdl_cost_tables *t)
{
    mdl_attn_table_free(t->prefill);
}
