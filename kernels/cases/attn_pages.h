/* Pools and page tables of the attention cases whose cache is bf16. Every sequence owns whole pages,
 * scattered over the pool; tables beyond a sequence's pages keep their poison, and while checking so do the
 * rows of the last page beyond its length: a kernel that reads either gives NaN or crashes. */
#ifndef KVSIM_KERNELS_CASES_ATTN_PAGES_H
#define KVSIM_KERNELS_CASES_ATTN_PAGES_H

#include <stdlib.h>
#include <string.h>

#include "kernels/case.h"
#include "kernels/format.h"

static inline uint32_t kb_pages_of(const struct kb_paged *p, uint32_t tokens)
{
    return (tokens + p->page_tokens - 1) / p->page_tokens;
}

/* Sets n_pages and max_pages for sequences of so many tokens. */
static inline void kb_pages_count(struct kb_paged *p, const uint32_t *tokens, uint32_t n_seqs)
{
    p->n_pages = p->max_pages = 0;
    for (uint32_t s = 0; s < n_seqs; s++) {
        uint32_t n = kb_pages_of(p, tokens[s]);
        p->n_pages += n;
        if (n > p->max_pages) p->max_pages = n;
    }
}

/* Deals the pool's pages to the sequences, [n_seqs][max_pages]. */
static inline void kb_pages_deal(const struct kb_paged *p, const uint32_t *tokens, uint32_t n_seqs,
                                 struct kb_random *r, uint32_t *pages)
{
    uint32_t *deck = malloc((p->n_pages + 1) * sizeof *deck), next = 0;
    if (!deck) abort();
    for (uint32_t i = 0; i < p->n_pages; i++) deck[i] = i;
    kb_random_shuffle(r, deck, p->n_pages);
    for (uint32_t s = 0; s < n_seqs; s++)
        for (uint32_t i = 0, n = kb_pages_of(p, tokens[s]); i < n; i++)
            pages[(uint64_t)s * p->max_pages + i] = deck[next++];
    free(deck);
}

/* Row of a key (kv 0) or value (kv 1) in a bf16 pool. */
static inline const uint16_t *kb_pages_row(const struct kb_paged *p, const void *pool, const uint32_t *pages,
                                           const uint32_t at[4])
{
    uint32_t seq = at[0], kv = at[1], position = at[2], head = at[3];
    uint32_t page = pages[kb_table_at(p, seq, head, position / p->page_tokens)];
    return (const uint16_t *)pool + kb_row(p, page, kv, position % p->page_tokens, head) * p->head_dim;
}

/* NaN in the rows of each last page that no token has. */
static inline void kb_pages_poison(const struct kb_paged *p, const uint32_t *tokens, uint32_t n_seqs,
                                   const uint32_t *pages, void *pool)
{
    for (uint32_t s = 0; s < n_seqs; s++)
        for (uint32_t t = tokens[s]; t < kb_pages_of(p, tokens[s]) * p->page_tokens; t++)
            for (uint32_t i = 0; i < 2 * p->n_kv_heads; i++) {
                uint32_t page = pages[(uint64_t)s * p->max_pages + t / p->page_tokens];
                uint64_t row = kb_row(p, page, i % 2, t % p->page_tokens, i / 2);
                memset((uint16_t *)pool + row * p->head_dim, 0xff, p->head_dim * sizeof(uint16_t));
            }
}

#endif
