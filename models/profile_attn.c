#include "models/profile_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/monotone.h"
#include "sim/check.h"
#include "sim/memory.h"

/* Nodes per measured interval: the table is linear in log time between nodes, and a sum of t0 and a power is
 * not; with 4 the difference is below 0.1 %. */
enum { STEPS = 4, MAX_BATCHES = 256 };

struct mdl_attn_table {
    struct mdl_peaks peaks;
    struct mdl_attn_shape shape;
    enum mdl_family f;
    struct mdl_past_law past;
    double t0_s;
    enum sim_evidence beyond;
    uint32_t n_batches, n_sizes; /* measured grid */
    double *batch, *size;
    uint8_t *how; /* [batch][size] */
    uint32_t n_batch_nodes, n_size_nodes;
    double *batch_node, *size_node;
    double *log_s; /* [batch node][size node] */
};

static double law_s(const struct mdl_attn_table *t, double n_seqs, double size)
{
    return t->t0_s + (t->f == MDL_ATTN_PREFILL
                          ? mdl_roof_prefill_s(&t->peaks, t->shape, n_seqs, size)
                          : mdl_roof_decode_s(&t->peaks, t->shape, n_seqs, n_seqs * size));
}

/* ---- the measured grid ---- */

static uint32_t batches_of(const struct mdl_sheet *sheet, uint32_t type, double *batch)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < sheet->s.n_rows; r++) {
        const uint32_t *key = sheet->key + (size_t)r * MDL_MAX_KEYS;
        uint32_t i = 0;
        if (key[0] != type) continue;
        while (i < n && batch[i] < key[4]) i++;
        if ((i < n && batch[i] == key[4]) || n == MAX_BATCHES) continue;
        memmove(batch + i + 1, batch + i, (n - i) * sizeof *batch);
        batch[i] = key[4];
        n++;
    }
    return n;
}

static void alloc_grid(struct mdl_attn_table *t, uint32_t n_batches, uint32_t n_sizes)
{
    t->n_batches = n_batches;
    t->n_sizes = n_sizes;
    t->batch = sim_alloc(MAX_BATCHES, sizeof *t->batch);
    t->size = sim_alloc(n_sizes, sizeof *t->size);
    t->how = sim_alloc((size_t)MAX_BATCHES * n_sizes, sizeof *t->how);
}

/* Returns log(time / law) on the grid, to be freed by the caller. */
static double *measured_grid(struct mdl_attn_table *t, const struct mdl_sheet *sheet, enum mdl_dtype cells)
{
    alloc_grid(t, 0, sheet->s.n_cols);
    t->t0_s = sheet->t0_s;
    t->n_batches = batches_of(sheet, cells, t->batch);
    memcpy(t->size, sheet->s.axis, t->n_sizes * sizeof *t->size);
    double *y = sim_alloc((size_t)t->n_batches * t->n_sizes, sizeof *y);
    for (uint32_t b = 0; b < t->n_batches; b++) {
        uint32_t key[MDL_MAX_KEYS] = {cells, t->shape.q_heads, t->shape.kv_heads, t->shape.head_dim,
                                      (uint32_t)t->batch[b]};
        size_t at = (size_t)b * t->n_sizes;
        bool found = mdl_sheet_row(sheet, t->f, key, y + at, t->how + at);
        SIM_CHECK(found);
    }
    return y;
}

/* ---- the table ---- */

static double *nodes(const double *axis, uint32_t n, uint32_t *n_nodes)
{
    *n_nodes = (n - 1) * STEPS + 1;
    double *node = sim_alloc(*n_nodes, sizeof *node);
    for (uint32_t i = 0; i < *n_nodes; i++) {
        uint32_t lo = i / STEPS, part = i % STEPS;
        node[i] = part ? axis[lo] * pow(axis[lo + 1] / axis[lo], (double)part / STEPS) : axis[lo];
    }
    return node;
}

static double bilinear(const double *v, uint32_t n_cols, struct mdl_place b, struct mdl_place c)
{
    const double *row = v + (size_t)b.i * n_cols + c.i, *next = b.frac > 0 ? row + n_cols : row;
    uint32_t right = c.frac > 0;
    return (1 - b.frac) * ((1 - c.frac) * row[0] + c.frac * row[right]) +
           b.frac * ((1 - c.frac) * next[0] + c.frac * next[right]);
}

static void tabulate(struct mdl_attn_table *t, double *y)
{
    for (uint32_t b = 0; b < t->n_batches; b++)
        for (uint32_t c = 0; c < t->n_sizes; c++)
            y[b * t->n_sizes + c] += log(law_s(t, t->batch[b], t->size[c]));
    mdl_monotone_grid(y, t->n_batches, t->n_sizes);
    for (uint32_t b = 0; b < t->n_batches; b++)
        for (uint32_t c = 0; c < t->n_sizes; c++)
            y[b * t->n_sizes + c] -= log(law_s(t, t->batch[b], t->size[c]));
    t->batch_node = nodes(t->batch, t->n_batches, &t->n_batch_nodes);
    t->size_node = nodes(t->size, t->n_sizes, &t->n_size_nodes);
    t->log_s = sim_alloc((size_t)t->n_batch_nodes * t->n_size_nodes, sizeof *t->log_s);
    for (uint32_t i = 0; i < t->n_batch_nodes; i++)
        for (uint32_t j = 0; j < t->n_size_nodes; j++) {
            struct mdl_place b = {i / STEPS, (double)(i % STEPS) / STEPS};
            struct mdl_place c = {j / STEPS, (double)(j % STEPS) / STEPS};
            t->log_s[(size_t)i * t->n_size_nodes + j] =
                bilinear(y, t->n_sizes, b, c) + log(law_s(t, t->batch_node[i], t->size_node[j]));
        }
    mdl_rising_grid(t->log_s, t->n_batch_nodes, t->n_size_nodes);
}

static struct mdl_attn_table *table_new(const struct mdl_profile *p, enum mdl_family f,
                                        struct mdl_attn_shape shape)
{
    SIM_CHECK(shape.q_heads > 0 && shape.kv_heads > 0 && shape.head_dim > 0);
    struct mdl_attn_table *t = sim_alloc(1, sizeof *t);
    *t = (struct mdl_attn_table){.peaks = p->peaks, .shape = shape, .f = f, .past = p->past};
    const struct mdl_sheet *own = mdl_profile_sheet(p, f, shape.kv),
                           *bf16 = mdl_profile_sheet(p, f, MDL_BF16);
    t->t0_s = mdl_typical_t0_s(f);
    if (!own && !bf16) return t; /* nothing measured: the typical curve answers */
    double *y = measured_grid(t, own ? own : bf16, own ? shape.kv : MDL_BF16);
    for (uint32_t i = 0; i < t->n_batches * t->n_sizes; i++)
        t->how[i] = (uint8_t)mdl_profile_evidence(p, own ? (enum sim_evidence)t->how[i] : SIM_ANALYTIC);
    t->beyond = mdl_profile_evidence(p, own ? SIM_EXTRAPOLATED : SIM_ANALYTIC);
    tabulate(t, y);
    free(y);
    return t;
}

struct mdl_attn_table *mdl_attn_prefill_table_new(const struct mdl_profile *p, struct mdl_attn_shape shape)
{
    return table_new(p, MDL_ATTN_PREFILL, shape);
}

struct mdl_attn_table *mdl_attn_decode_table_new(const struct mdl_profile *p, struct mdl_attn_shape shape)
{
    return table_new(p, MDL_ATTN_DECODE, shape);
}

void mdl_attn_table_free(struct mdl_attn_table *t)
{
    if (!t) return;
    free(t->batch);
    free(t->size);
    free(t->how);
    free(t->batch_node);
    free(t->size_node);
    free(t->log_s);
    free(t);
}

/* ---- asking ---- */

static double clamp(double v, const double *axis, uint32_t n)
{
    return fmin(fmax(v, axis[0]), axis[n - 1]);
}

/* The worst of the measured cells around, and whether the place is one of them. */
static enum sim_evidence evidence_at(const struct mdl_attn_table *t, double n_seqs, double size)
{
    struct mdl_place b = mdl_axis_place(t->batch, t->n_batches, n_seqs);
    struct mdl_place c = mdl_axis_place(t->size, t->n_sizes, size);
    int worst = (b.frac > 0 && b.frac < 1) || (c.frac > 0 && c.frac < 1) ? SIM_INTERPOLATED : SIM_MEASURED;
    for (uint32_t i = b.frac >= 1; i <= (b.frac > 0); i++)
        for (uint32_t j = c.frac >= 1; j <= (c.frac > 0); j++) {
            int how = t->how[(size_t)(b.i + i) * t->n_sizes + c.i + j];
            worst = how > worst ? how : worst;
        }
    return (enum sim_evidence)worst;
}

/* Inside the grid: the table. Above it: the nearest edge, moved by the law at the edge's utilisation. Below
 * it: the edge, because there a launch is all there is, and so that time never falls. */
static struct mdl_time ask(const struct mdl_attn_table *t, double n_seqs, double size)
{
    if (t->n_batches == 0)
        return (struct mdl_time){mdl_typical_s(t->f, law_s(t, n_seqs, size) - t->t0_s), SIM_ANALYTIC};
    double b = clamp(n_seqs, t->batch, t->n_batches), c = clamp(size, t->size, t->n_sizes);
    struct mdl_place at_b = mdl_axis_place(t->batch_node, t->n_batch_nodes, b);
    struct mdl_place at_c = mdl_axis_place(t->size_node, t->n_size_nodes, c);
    struct mdl_time out = {exp(bilinear(t->log_s, t->n_size_nodes, at_b, at_c)), evidence_at(t, b, c)};
    bool outside = b != n_seqs || c != size;
    double law_b = fmax(n_seqs, b), law_c = fmax(size, c);
    if (outside) out.s *= law_s(t, law_b, law_c) / law_s(t, b, c);
    if (outside && out.how < t->beyond) out.how = t->beyond;
    return out;
}

struct mdl_time mdl_attn_prefill_at(const struct mdl_attn_table *t, double n_seqs, double new_tokens,
                                    double past_tokens)
{
    if (!(n_seqs > 0) || !(new_tokens > 0)) return (struct mdl_time){0.0, SIM_MEASURED};
    struct mdl_time out = ask(t, n_seqs, new_tokens);
    if (!(past_tokens > 0)) return out;
    out.s += mdl_past_s(&t->peaks, t->past, t->shape, n_seqs, new_tokens, past_tokens);
    if (out.how < SIM_INTERPOLATED) out.how = SIM_INTERPOLATED;
    return out;
}

struct mdl_time mdl_attn_decode_at(const struct mdl_attn_table *t, double n_seqs, double kv_tokens)
{
    if (!(n_seqs > 0) || !(kv_tokens > 0)) return (struct mdl_time){0.0, SIM_MEASURED};
    return ask(t, n_seqs, kv_tokens / n_seqs);
}

struct mdl_time mdl_attn_prefill_s(const struct mdl_profile *p, struct mdl_attn_shape shape, double n_seqs,
                                   double new_tokens, double past_tokens)
{
    struct mdl_attn_table *t = mdl_attn_prefill_table_new(p, shape);
    struct mdl_time out = mdl_attn_prefill_at(t, n_seqs, new_tokens, past_tokens);
    mdl_attn_table_free(t);
    return out;
}

struct mdl_time mdl_attn_decode_s(const struct mdl_profile *p, struct mdl_attn_shape shape, double n_seqs,
                                  double kv_tokens)
{
    struct mdl_attn_table *t = mdl_attn_decode_table_new(p, shape);
    struct mdl_time out = mdl_attn_decode_at(t, n_seqs, kv_tokens);
    mdl_attn_table_free(t);
    return out;
}
