/* Caches for the cases of decode attention, in every format: lengths, page tables and what lies in the pool. The
 * tables beyond a head's pages keep their poison. While checking, NaN is put wherever no token is: rows of bf16
 * and fp8, scales of the others, for KIVI also those of groups that are not packed yet, and slots of the ring
 * that hold nothing. Who reads it gives NaN or crashes. */
#ifndef KVSIM_KERNELS_CASES_ATTN_CACHE_H
#define KVSIM_KERNELS_CASES_ATTN_CACHE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/case.h"
#include "kernels/split.h"

enum { KB_SPARSE_POOL = 4, KB_ALIASED_BYTES = 4 << 20 };

/* KIVI's window R: 128, as published; less where that would leave nothing to quantise. */
static inline uint32_t kb_cache_residual(enum kb_format f, uint32_t tokens)
{
    return !kb_format_is_kivi(f) ? 0 : tokens >= 256 ? 128 : 32;
}

/* [n_seqs][table_heads] lengths: all `tokens`, or when ragged in pairs of equal sum, uniform in tokens / 4 to
 * 7 tokens / 4. */
static inline void kb_cache_lengths(struct kb_random *r, uint32_t tokens, bool ragged, uint32_t n,
                                    uint32_t *lengths)
{
    for (uint32_t i = 0; i < n; i++) lengths[i] = tokens;
    for (uint32_t i = 0; ragged && i + 1 < n; i += 2) {
        uint32_t less = kb_random_below(r, 3 * tokens / 4 + 1);
        lengths[i] = tokens - less;
        lengths[i + 1] = tokens + less;
    }
}

static inline uint32_t kb_cache_longest(const uint32_t *lengths, uint32_t n)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++)
        if (lengths[i] > most) most = lengths[i];
    return most;
}

/* Sets max_pages and n_pages: a page for every page of every sequence (sparse: four times that, of which each
 * head has its own choice; aliased: as many as stay in a cache). */
static inline void kb_cache_size(struct kb_paged *p, uint32_t n_seqs, uint32_t longest, bool sparse,
                                 bool aliased)
{
    p->n_pages = 1;
    uint64_t page_bytes = kb_pool_bytes(p);
    p->max_pages = (longest + p->page_tokens - 1) / p->page_tokens;
    uint64_t n = (uint64_t)n_seqs * p->max_pages * (sparse ? KB_SPARSE_POOL : 1);
    uint64_t few = KB_ALIASED_BYTES / page_bytes + 1;
    p->n_pages = (uint32_t)(aliased && few < n ? few : n);
}

/* Deals pages to [n_seqs][table_heads] tables: a shuffled deck, for sparse tables one per sequence of which each
 * head takes the top after a new shuffle. Aliased tables go round the pool. */
static inline void kb_cache_deal(const struct kb_paged *p, const uint32_t *lengths, uint32_t n_seqs,
                                 struct kb_random *r, uint32_t *pages)
{
    uint32_t share = p->table_heads > 1 ? p->n_pages / n_seqs : p->n_pages, next = 0;
    uint32_t *deck = malloc(p->n_pages * sizeof *deck);
    if (!deck) abort();
    for (uint32_t i = 0; i < p->n_pages; i++) deck[i] = i;
    kb_random_shuffle(r, deck, p->n_pages);
    for (uint32_t i = 0; i < n_seqs * p->table_heads; i++) {
        uint32_t n = (lengths[i] + p->page_tokens - 1) / p->page_tokens;
        uint32_t *mine = p->table_heads > 1 ? deck + (uint64_t)(i / p->table_heads) * share : deck;
        if (p->table_heads > 1) {
            kb_random_shuffle(r, mine, share);
            next = 0;
        }
        for (uint32_t j = 0; j < n; j++) pages[(uint64_t)i * p->max_pages + j] = mine[next++ % share];
    }
    free(deck);
}

/* How the pool's bytes and the scales are filled. */
static inline enum kb_fill kb_cache_fill(enum kb_format f)
{
    return f == KB_BF16 ? KB_FILL_NORMAL : f == KB_FP8 ? KB_FILL_FP8 : KB_FILL_BYTES;
}

/* Scales are made for 4 bits; codes of 8 or 2 would give scores so large or so small that softmax hides errors.
 * A power of two sets that right. */
static inline void kb_cache_tame(const struct kb_paged *p, void *const made[4])
{
    uint64_t n[2] = {kb_k_scale_bytes(p) / 2, kb_v_scale_bytes(p) / 2};
    int shift = p->format == KB_INT8 ? -(4 << 10) : p->format == KB_KIVI2 ? 2 << 10 : 0;
    for (int kv = 0; kv < 2; kv++)
        for (uint64_t i = 0; shift && i < n[kv]; i += 2) {
            uint16_t *scale = (uint16_t *)made[1 + kv] + i;
            *scale = (uint16_t)(*scale + shift);
        }
}

/* The cache's buffers, in the order of the attention structs: pool, K scales, V scales, ring. */
static inline void kb_cache_buffers(struct kb_case *c, const struct kb_paged *p, uint32_t n_seqs,
                                    void *made[4])
{
    made[0] = kb_case_buffer(c, KB_IN, kb_cache_fill(p->format), KB_TYPE_BYTES, kb_pool_bytes(p));
    made[1] = kb_case_buffer(c, KB_IN, KB_FILL_SCALES, KB_TYPE_FP16, kb_k_scale_bytes(p));
    made[2] = kb_case_buffer(c, KB_IN, KB_FILL_SCALES, KB_TYPE_FP16, kb_v_scale_bytes(p));
    made[3] = kb_case_buffer(c, KB_IN, KB_FILL_NORMAL, KB_TYPE_BF16, kb_residual_bytes(p, n_seqs));
    if (c->check) kb_cache_tame(p, made);
}

/* ---- poison ---- */

/* NaN for a token that no row of the pool has: its row, or its scales. */
static inline void kb_cache_poison_row(const struct kb_paged *p, void *const made[4], const uint32_t at[4])
{
    uint32_t page = at[0], kv = at[1], token = at[2], head = at[3];
    uint32_t bytes = kb_row_bytes(p->format, p->head_dim);
    memset((char *)made[0] + kb_row(p, page, kv, token, head) * bytes, 0xff, bytes);
    if (p->format == KB_BF16 || p->format == KB_FP8) return;
    uint16_t *scales = made[1 + kv];
    uint64_t pair = kv ? kb_v_scale_at(p, page, token, head) : kb_k_scale_at(p, page, token, head);
    uint32_t n = !kb_format_is_kivi(p->format) ? 1 : kv ? p->head_dim / KB_GROUP : p->head_dim;
    memset(scales + 2 * pair, 0xff, 4ull * n);
}

/* One head of one sequence; only for pools whose pages belong to one head of one sequence each. */
static inline void kb_cache_poison(const struct kb_paged *p, void *const made[4], const uint32_t *pages,
                                   const uint32_t at[3])
{
    uint32_t seq = at[0], head = at[1], length = at[2], packed[2] = {length, length};
    if (kb_format_is_kivi(p->format)) {
        packed[0] = kb_kivi_k_packed(length, p->residual_tokens);
        packed[1] = kb_kivi_v_packed(length, p->residual_tokens);
    }
    uint32_t end = (length + p->page_tokens - 1) / p->page_tokens * p->page_tokens;
    for (uint32_t kv = 0; kv < 2; kv++)
        for (uint32_t t = packed[kv]; t < end; t++) {
            uint32_t page = pages[kb_table_at(p, seq, head, t / p->page_tokens)];
            kb_cache_poison_row(p, made, (uint32_t[]){page, kv, t % p->page_tokens, head});
        }
    if (!made[3] || !kb_format_is_kivi(p->format)) return;
    uint32_t ring = kb_residual_ring(p->residual_tokens);
    for (uint32_t kv = 0; kv < 2; kv++)
        for (uint32_t t = length; t < packed[kv] + ring; t++)
            memset((uint16_t *)made[3] + kb_residual_at(p, seq, kv, t, head), 0xff, 2ull * p->head_dim);
}

/* ---- work ---- */

/* Bytes that one head's tokens take, of n read in all: codes and scales of what is packed, bf16 of the rest. */
static inline double kb_cache_bytes(const struct kb_paged *p, uint32_t length, uint32_t n_read)
{
    double row = kb_row_bytes(p->format, p->head_dim), d = p->head_dim;
    if (p->format == KB_BF16 || p->format == KB_FP8) return 2 * row * n_read;
    if (!kb_format_is_kivi(p->format)) return 2 * (row + 4) * n_read;
    uint32_t k_recent = length - kb_kivi_k_packed(length, p->residual_tokens);
    uint32_t v_recent = length - kb_kivi_v_packed(length, p->residual_tokens);
    double k = n_read > k_recent ? n_read - k_recent : 0, v = n_read > v_recent ? n_read - v_recent : 0;
    return (k + v) * (row + 4 * d / KB_GROUP) + (2.0 * n_read - k - v) * 2 * d;
}

/* ---- what is right ---- */

static inline double kb_cache_value(const struct kb_attn_decode *a, const uint32_t at[3], uint32_t kv,
                                    uint32_t position, uint32_t channel)
{
    return kb_kv_value(&a->paged, a->kv, kv ? a->v_scales : a->k_scales, a->residual, a->pages, at[2], at[0],
                       kv, position, at[1], channel);
}

/* One query head: at = sequence, KV head, length; weight has room for a double per token. */
static inline void kb_cache_attend_row(const struct kb_attn_decode *a, const uint32_t at[3], uint64_t row,
                                       double *weight)
{
    uint32_t d = a->paged.head_dim, length = at[2];
    double top = -INFINITY, total = 0;
    for (uint32_t t = 0; t < length; t++) {
        weight[t] = -INFINITY;
        if (!kb_is_read(length, a->sink, a->window, t)) continue;
        double dot = 0;
        for (uint32_t i = 0; i < d; i++)
            dot += (double)kb_bf16_to_float(a->q[row * d + i]) * kb_cache_value(a, at, 0, t, i);
        weight[t] = dot / sqrt(d);
        if (weight[t] > top) top = weight[t];
    }
    for (uint32_t t = 0; t < length; t++) total += weight[t] = exp(weight[t] - top);
    for (uint32_t i = 0; i < d; i++) {
        double sum = 0;
        for (uint32_t t = 0; t < length; t++)
            if (weight[t] > 0) sum += weight[t] * kb_cache_value(a, at, 1, t, i);
        a->out[row * d + i] = kb_bf16_from_float((float)(sum / total));
    }
}

static inline void kb_cache_attend(const struct kb_attn_decode *a)
{
    uint32_t group = a->n_q_heads / a->paged.n_kv_heads;
    double *weight = malloc((a->max_tokens + 1ull) * sizeof *weight);
    if (!weight) abort();
    for (uint32_t s = 0; s < a->n_seqs; s++)
        for (uint32_t h = 0; h < a->n_q_heads; h++) {
            uint32_t length = a->lengths[kb_length_at(&a->paged, s, h / group)];
            kb_cache_attend_row(a, (uint32_t[]){s, h / group, length}, (uint64_t)s * a->n_q_heads + h,
                                weight);
        }
    free(weight);
}

#endif
