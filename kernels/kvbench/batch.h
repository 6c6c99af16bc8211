/* One step of a plan as the kernels read it: which pages every sequence has, and one block of numbers (positions,
 * lengths, page tables) that is uploaded at once. Sequences stand in the batch decode rows first, then prompts.
 * Requests own pages by number: they take them from a shuffled stack as they grow and put them back when they
 * end, are preempted or evict. */
#ifndef KVSIM_KERNELS_KVBENCH_BATCH_H
#define KVSIM_KERNELS_KVBENCH_BATCH_H

#include "kernels/kvbench/plan.h"

struct kvb_holding {
    uint32_t *page;
    uint32_t n, n_evicted; /* evicted entries are page 0 and never read */
    size_t room;
};

struct kvb_pages {
    struct kvb_holding *of; /* [n_requests] */
    uint32_t n_requests;
    uint32_t *free;
    size_t n_free, free_room;
    uint32_t n_known;    /* pages that there are; more are made when the stack is empty */
    uint32_t sink_pages; /* never evicted */
};

/* n_pages 0: finds out how many are needed (n_known at the end). Free with kvb_pages_free. */
struct kvb_pages *kvb_pages_new(uint32_t n_requests, uint32_t n_pages, uint32_t sink_pages);
void kvb_pages_free(struct kvb_pages *p);
/* Everything back to the stack, as it was at the beginning. */
void kvb_pages_reset(struct kvb_pages *p);

struct kvb_batch {
    uint32_t n_seqs, n_decode;          /* prompts: n_seqs - n_decode */
    uint32_t n_tokens, n_prompt_tokens; /* new ones */
    uint32_t n_yields;
    uint32_t max_new;           /* of a sequence */
    uint32_t max_decode_tokens; /* longest, and sum: what decode attention looks at */
    uint64_t n_decode_tokens;
    uint32_t max_pages, n_prompt_pages; /* of a sequence; of all prompts together */
    uint32_t read_tokens; /* most that a decode row reads, if any row reads less than it has; else 0 */
    uint32_t n_recalled;
    /* The block, and where in it each array starts (32-bit words, multiples of 64). */
    uint32_t *word;
    size_t n_words, words_room;
    size_t pos, seq, lengths, begin, past, tables, q_begin, prompt_tables;
};

/* Fills b from a step and gives its requests their pages. False with the plan's line when pages are evicted that are
 * not there. */
bool kvb_batch_make(struct kvb_batch *b, const struct kvb_plan *plan, const struct kvb_plan_step *step,
                    struct kvb_pages *pages, uint32_t page_tokens, struct kb_error *err);
/* The step is over: requests that end with it put their pages back. */
void kvb_batch_end(const struct kvb_plan *plan, const struct kvb_plan_step *step, struct kvb_pages *pages);
void kvb_batch_fini(struct kvb_batch *b);

#endif
