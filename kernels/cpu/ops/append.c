#include "kernels/cpu/cpu.h"

#include <string.h>

/* Fewer tokens than this take less time than waking a second thread. */
enum { MAX_HEAD_DIM = 256, FEW_TOKENS = 128 };

/* --- quantising --- */

static void widen(const uint16_t *x, float *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        union kb_bits b;
        b.u = (uint32_t)x[i] << 16;
        y[i] = b.f;
    }
}

static void range(const float *x, uint32_t n, float *low, float *high)
{
    float l = x[0], h = x[0];
#pragma omp simd reduction(min : l) reduction(max : h)
    for (uint32_t i = 1; i < n; i++) {
        l = x[i] < l ? x[i] : l;
        h = x[i] > h ? x[i] : h;
    }
    *low = l;
    *high = h;
}

/* Codes of n values of one scale, one a byte. */
static void encode(const float *x, uint32_t n, struct kb_affine a, uint32_t bits, uint8_t *code)
{
    float minimum = kb_fp16_to_float(a.minimum), scale = kb_fp16_to_float(a.scale);
    float top = (float)((1u << bits) - 1u);
    for (uint32_t i = 0; i < n; i++) {
        float c = (x[i] - minimum) / scale;
        c = c < 0 ? 0 : c > top ? top : c;
        code[i] = (uint8_t)(int32_t)(c + 0.5f);
    }
}

static void pack(const uint8_t *code, uint32_t n, uint32_t bits, uint8_t *row)
{
    if (bits == 8) memcpy(row, code, n);
    if (bits == 4)
        for (uint32_t i = 0; i < n / 2; i++) row[i] = (uint8_t)(code[2 * i] | code[2 * i + 1] << 4);
    if (bits == 2)
        for (uint32_t i = 0; i < n / 4; i++)
            row[i] =
                (uint8_t)(code[4 * i] | code[4 * i + 1] << 2 | code[4 * i + 2] << 4 | code[4 * i + 3] << 6);
}

/* A row in sets of `group` channels, each with a pair. */
static void quantise_row(const uint16_t *from, uint32_t n, uint32_t group, uint32_t bits, uint16_t *pair,
                         uint8_t *row)
{
    float x[MAX_HEAD_DIM], low, high;
    uint8_t code[MAX_HEAD_DIM];
    widen(from, x, n);
    for (uint32_t c = 0; c < n; c += group, pair += 2) {
        range(x + c, group, &low, &high);
        struct kb_affine a = kb_affine_of(low, high, bits);
        encode(x + c, group, a, bits, code + c);
        pair[0] = a.scale;
        pair[1] = a.minimum;
    }
    pack(code, n, bits, row);
}

/* --- where rows come from and go to --- */

struct head {
    const struct kb_append *a;
    uint32_t seq, head, kv, past, now;
};

static struct head head_of(const struct kb_append *a, uint32_t seq, uint32_t head, uint32_t kv)
{
    uint32_t past = a->past[kb_length_at(&a->paged, seq, head)];
    return (struct head){a, seq, head, kv, past, past + a->begin[seq + 1] - a->begin[seq]};
}

static const uint16_t *source(const struct head *h, uint32_t position)
{
    const struct kb_append *a = h->a;
    const struct kb_paged *p = &a->paged;
    if (position < h->past) return a->residual + kb_residual_at(p, h->seq, h->kv, position, h->head);
    uint64_t token = a->begin[h->seq] + position - h->past;
    return (h->kv ? a->v : a->k) + (token * p->n_kv_heads + h->head) * p->head_dim;
}

struct place {
    uint8_t *row;
    uint16_t *pair;
};

static struct place place_of(const struct head *h, uint32_t position)
{
    const struct kb_paged *p = &h->a->paged;
    uint32_t page = h->a->pages[kb_table_at(p, h->seq, h->head, position / p->page_tokens)];
    uint32_t token = position % p->page_tokens;
    uint64_t row = kb_row(p, page, h->kv, token, h->head) * kb_row_bytes(p->format, p->head_dim);
    struct place to = {.row = (uint8_t *)h->a->kv + row};
    if (p->format != KB_BF16 && p->format != KB_FP8)
        to.pair = h->kv ? h->a->v_scales + 2 * kb_v_scale_at(p, page, token, h->head)
                        : h->a->k_scales + 2 * kb_k_scale_at(p, page, token, h->head);
    return to;
}

/* --- row formats --- */

static void fp8_row(const uint16_t *from, uint32_t n, float scale, uint8_t *row)
{
    float x[MAX_HEAD_DIM];
    widen(from, x, n);
    for (uint32_t i = 0; i < n; i++) row[i] = kb_fp8_from_float(x[i] / scale);
}

static void append_row(const struct head *h, uint32_t position)
{
    const struct kb_paged *p = &h->a->paged;
    const uint16_t *from = source(h, position);
    struct place to = place_of(h, position);
    uint32_t d = p->head_dim;
    switch (p->format) {
    case KB_BF16:
        memcpy(to.row, from, 2 * d);
        break;
    case KB_FP8:
        fp8_row(from, d, h->kv ? p->v_scale : p->k_scale, to.row);
        break;
    default:
        quantise_row(from, d, d, kb_format_bits(p->format), to.pair, to.row);
    }
}

static void append_rows(const struct kb_append *a)
{
    uint32_t heads = a->paged.n_kv_heads;
#pragma omp parallel for if (a->n_tokens > FEW_TOKENS)
    for (uint32_t i = 0; i < a->n_tokens; i++)
        for (uint32_t j = 0; j < 2 * heads; j++) {
            struct head h = head_of(a, a->seq[i], j % heads, j / heads);
            append_row(&h, h.past + i - a->begin[h.seq]);
        }
}

/* --- KIVI --- */

/* 32 keys of a head: a scale per channel. */
static void pack_keys(const struct head *h, uint32_t position)
{
    uint32_t d = h->a->paged.head_dim, bits = kb_format_bits(h->a->paged.format);
    float x[KB_GROUP][MAX_HEAD_DIM], low[MAX_HEAD_DIM], high[MAX_HEAD_DIM], scale[MAX_HEAD_DIM], top;
    uint8_t code[MAX_HEAD_DIM];
    for (uint32_t t = 0; t < KB_GROUP; t++) widen(source(h, position + t), x[t], d);
    memcpy(low, x[0], sizeof low);
    memcpy(high, x[0], sizeof high);
    for (uint32_t t = 1; t < KB_GROUP; t++)
        for (uint32_t c = 0; c < d; c++) {
            low[c] = x[t][c] < low[c] ? x[t][c] : low[c];
            high[c] = x[t][c] > high[c] ? x[t][c] : high[c];
        }
    struct place to = place_of(h, position);
    for (uint32_t c = 0; c < d; c++) {
        struct kb_affine a = kb_affine_of(low[c], high[c], bits);
        to.pair[2 * c] = a.scale;
        to.pair[2 * c + 1] = a.minimum;
        scale[c] = kb_fp16_to_float(a.scale);
        low[c] = kb_fp16_to_float(a.minimum);
    }
    top = (float)((1u << bits) - 1u);
    for (uint32_t t = 0; t < KB_GROUP; t++) {
        for (uint32_t c = 0; c < d; c++) {
            float q = (x[t][c] - low[c]) / scale[c];
            q = q < 0 ? 0 : q > top ? top : q;
            code[c] = (uint8_t)(int32_t)(q + 0.5f);
        }
        pack(code, d, bits, place_of(h, position + t).row);
    }
}

static void pack_values(const struct head *h, uint32_t position)
{
    uint32_t d = h->a->paged.head_dim, bits = kb_format_bits(h->a->paged.format);
    for (uint32_t t = position; t < position + KB_GROUP; t++) {
        struct place to = place_of(h, t);
        quantise_row(source(h, t), d, KB_GROUP, bits, to.pair, to.row);
    }
}

static uint32_t packed(const struct head *h, uint32_t length)
{
    uint32_t r = h->a->paged.residual_tokens;
    return h->kv ? kb_kivi_v_packed(length, r) : kb_kivi_k_packed(length, r);
}

/* The groups of 32 of each head of each sequence; in decode most are not there. */
static void pack_groups(const struct kb_append *a)
{
    uint32_t heads = 2 * a->paged.n_kv_heads, most = (a->max_new + a->paged.residual_tokens - 1) / KB_GROUP;
#pragma omp parallel for schedule(static, 16) if (a->n_tokens > FEW_TOKENS)
    for (uint32_t i = 0; i < a->n_seqs * most * heads; i++) {
        struct head h = head_of(a, i / heads / most, i % heads / 2, i % 2);
        uint32_t position = packed(&h, h.past) + i / heads % most * KB_GROUP;
        if (position >= packed(&h, h.now)) continue;
        if (h.kv)
            pack_values(&h, position);
        else
            pack_keys(&h, position);
    }
}

static void fill_ring(const struct kb_append *a)
{
    const struct kb_paged *p = &a->paged;
    uint32_t heads = 2 * p->n_kv_heads;
#pragma omp parallel for if (a->n_tokens > FEW_TOKENS)
    for (uint32_t i = 0; i < a->n_seqs * heads; i++) {
        struct head h = head_of(a, i / heads, i % heads / 2, i % 2);
        uint32_t from = packed(&h, h.now) > h.past ? packed(&h, h.now) : h.past;
        for (uint32_t t = from; t < h.now; t++)
            memcpy(a->residual + kb_residual_at(p, h.seq, h.kv, t, h.head), source(&h, t), 2 * p->head_dim);
    }
}

KB_CPU_ENTRY(append)
{
    const struct kb_append *a = args;
    const struct kb_paged *p = &a->paged;
    (void)queue;
    if (p->head_dim > MAX_HEAD_DIM) return kb_fail(err, "kv_append: head_dim is at most 256");
    if (!kb_format_is_kivi(p->format)) {
        append_rows(a);
        return true;
    }
    /* A long prompt's last tokens take the places of those it packs: first all packing, then the ring. */
    pack_groups(a);
    fill_ring(a);
    return true;
}
