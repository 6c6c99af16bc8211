#include "kernels/cpu/vector.h"

#include "kernels/cpu/cpu.h"
#include "kernels/split.h"

/* Each step of the chain is a pass over memory of its own, all threads at work in it. */

static void copy_part(void *to, const void *from, uint64_t bytes)
{
    enum { BLOCK = 1 << 16 };
#pragma omp parallel for
    for (uint64_t i = 0; i < bytes; i += BLOCK)
        memcpy((char *)to + i, (const char *)from + i, bytes - i < BLOCK ? bytes - i : BLOCK);
}

static void copy_cache(struct kb_attn_unfused *a)
{
    const void *from[4] = {a->kv, a->k_scales, a->v_scales, a->residual};
    uint64_t bytes[4] = {kb_pool_bytes(&a->paged), kb_k_scale_bytes(&a->paged), kb_v_scale_bytes(&a->paged),
                         kb_residual_bytes(&a->paged, a->n_seqs)};
    char *to[4];
    for (uint32_t i = 0; i < 4; i++) {
        to[i] = (char *)a->copy + kb_unfused_at(bytes, i);
        copy_part(to[i], from[i], bytes[i]);
    }
    a->kv = to[0];
    a->k_scales = (const uint16_t *)to[1];
    a->v_scales = (const uint16_t *)to[2];
    a->residual = (const uint16_t *)to[3];
}

static uint16_t *dense_at(const struct kb_attn_unfused *a, uint32_t seq, uint32_t kv, uint32_t head,
                          uint32_t token)
{
    return a->dense + ((((uint64_t)seq * 2 + kv) * a->paged.n_kv_heads + head) * a->max_tokens + token) *
                          a->paged.head_dim;
}

/* pairs: one per 32 channels (V) or one per channel (K). */
static void unpack(const uint8_t *row, uint32_t bits, const uint16_t *pairs, uint32_t per, uint16_t *to,
                   uint32_t d)
{
    float scale = 0, low = 0;
    for (uint32_t i = 0; i < d; i++) {
        if (i % per == 0) {
            scale = kb_fp16_to_float(pairs[2 * (i / per)]);
            low = kb_fp16_to_float(pairs[2 * (i / per) + 1]);
        }
        to[i] = kb_bf16_from_float(scale * (float)kb_code_get(row, bits, i) + low);
    }
}

static void dequantise_row(const struct kb_attn_unfused *a, uint32_t seq, uint32_t kv, uint32_t head,
                           uint32_t token)
{
    const struct kb_paged *p = &a->paged;
    uint32_t length = a->lengths[kb_length_at(p, seq, head)], bits = kb_format_bits(p->format);
    uint32_t packed =
        kv ? kb_kivi_v_packed(length, p->residual_tokens) : kb_kivi_k_packed(length, p->residual_tokens);
    uint16_t *to = dense_at(a, seq, kv, head, token);
    if (token >= packed) {
        memcpy(to, a->residual + kb_residual_at(p, seq, kv, token, head), p->head_dim * sizeof *to);
        return;
    }
    uint32_t page = a->pages[kb_table_at(p, seq, head, token / p->page_tokens)], at = token % p->page_tokens;
    const uint8_t *row =
        (const uint8_t *)a->kv + kb_row(p, page, kv, at, head) * kb_row_bytes(p->format, p->head_dim);
    const uint16_t *scales = kv ? a->v_scales + 2 * kb_v_scale_at(p, page, at, head)
                                : a->k_scales + 2 * kb_k_scale_at(p, page, at, head);
    unpack(row, bits, scales, kv ? KB_GROUP : 1, to, p->head_dim);
}

static void dequantise(const struct kb_attn_unfused *a)
{
    uint32_t heads = a->paged.n_kv_heads;
#pragma omp parallel for schedule(dynamic, 1)
    for (uint32_t i = 0; i < a->n_seqs * 2 * heads; i++) {
        uint32_t seq = i / (2 * heads), kv = i / heads % 2, head = i % heads;
        for (uint32_t t = 0, n = a->lengths[kb_length_at(&a->paged, seq, head)]; t < n; t++)
            dequantise_row(a, seq, kv, head, t);
    }
}

static float dot(const uint16_t *x, const uint16_t *y, uint32_t d)
{
    kb_floats sum = {0};
    for (uint32_t i = 0; i < d; i += 2 * KB_LANES) {
        struct kb_even_odd a = kb_split_bf16(x + i), b = kb_split_bf16(y + i);
        sum = KB_FLOATS_FMA(a.even, b.even, sum);
        sum = KB_FLOATS_FMA(a.odd, b.odd, sum);
    }
    float total;
    kb_lanes_sums(&sum, 1, &total);
    return total;
}

static void soften(float *row, uint32_t n)
{
    float top = row[0], sum = 0;
    for (uint32_t i = 1; i < n; i++) top = row[i] > top ? row[i] : top;
    for (uint32_t i = 0; i < n; i++) sum += row[i] = expf(row[i] - top);
    for (uint32_t i = 0; i < n; i++) row[i] /= sum;
}

static void multiply_values(const float *row, const uint16_t *v, uint32_t n, uint32_t d, uint16_t *out)
{
    float sum[128] = {0};
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t i = 0; i < d; i++)
            sum[i] = KB_FMA(row[t], kb_bf16_to_float(v[(uint64_t)t * d + i]), sum[i]);
    for (uint32_t i = 0; i < d; i++) out[i] = kb_bf16_from_float(sum[i]);
}

/* What one query head of one sequence takes part in. */
struct line {
    uint64_t query;
    uint32_t seq, kv_head, length;
    float *row;
};

static struct line line_of(const struct kb_attn_unfused *a, uint32_t i)
{
    struct line l = {.query = i, .seq = i / a->n_q_heads};
    l.kv_head = i % a->n_q_heads / (a->n_q_heads / a->paged.n_kv_heads);
    l.length = a->lengths[kb_length_at(&a->paged, l.seq, l.kv_head)];
    l.row = a->row + l.query * a->max_tokens;
    return l;
}

KB_CPU_ENTRY(attn_unfused)
{
    (void)queue;
    struct kb_attn_unfused a = *(const struct kb_attn_unfused *)args;
    uint32_t d = a.paged.head_dim, n = a.n_seqs * a.n_q_heads;
    if (!kb_format_is_kivi(a.paged.format) || (d != 64 && d != 128))
        return kb_fail(err, "format %s, head_dim %u: expected kivi4 or kivi2, 64 or 128",
                       kb_format_name(a.paged.format), d);
    copy_cache(&a);
    dequantise(&a);
#pragma omp parallel
    {
#pragma omp for schedule(dynamic, 1)
        for (uint32_t i = 0; i < n; i++) {
            struct line l = line_of(&a, i);
            for (uint32_t t = 0; t < l.length; t++)
                l.row[t] = dot(a.q + l.query * d, dense_at(&a, l.seq, 0, l.kv_head, t), d) / sqrtf((float)d);
        }
#pragma omp for schedule(dynamic, 1)
        for (uint32_t i = 0; i < n; i++) soften(line_of(&a, i).row, line_of(&a, i).length);
#pragma omp for schedule(dynamic, 1)
        for (uint32_t i = 0; i < n; i++) {
            struct line l = line_of(&a, i);
            multiply_values(l.row, dense_at(&a, l.seq, 1, l.kv_head, 0), l.length, d, a.out + l.query * d);
        }
    }
    return true;
}
