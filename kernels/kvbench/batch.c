#include "kernels/kvbench/batch.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/case.h"
#include "kernels/kvbench/util.h"

enum { WORD_ALIGN = 64, SHUFFLE_SEED = 20 };

/* --- pages --- */

static void put_back(struct kvb_pages *p, uint32_t page)
{
    p->free = kvb_grow(p->free, &p->free_room, p->n_free + 1, sizeof *p->free);
    p->free[p->n_free++] = page;
}

static uint32_t take_page(struct kvb_pages *p)
{
    return p->n_free ? p->free[--p->n_free] : p->n_known++;
}

static void fill_stack(struct kvb_pages *p)
{
    struct kb_random r = {SHUFFLE_SEED};
    p->n_free = 0;
    for (uint32_t i = 0; i < p->n_known; i++) put_back(p, i);
    kb_random_shuffle(&r, p->free, p->n_known);
}

struct kvb_pages *kvb_pages_new(uint32_t n_requests, uint32_t n_pages, uint32_t sink_pages)
{
    struct kvb_pages *p = kvb_alloc(1, sizeof *p);
    p->of = kvb_alloc(n_requests, sizeof *p->of);
    p->n_requests = n_requests;
    p->n_known = n_pages;
    p->sink_pages = sink_pages;
    fill_stack(p);
    return p;
}

void kvb_pages_free(struct kvb_pages *p)
{
    if (!p) return;
    for (uint32_t i = 0; i < p->n_requests; i++) free(p->of[i].page);
    free(p->of);
    free(p->free);
    free(p);
}

void kvb_pages_reset(struct kvb_pages *p)
{
    for (uint32_t i = 0; i < p->n_requests; i++) p->of[i].n = p->of[i].n_evicted = 0;
    fill_stack(p);
}

/* Entries evicted so far lie behind the sinks. */
static bool is_evicted(const struct kvb_pages *p, const struct kvb_holding *h, uint32_t entry)
{
    return entry >= p->sink_pages && entry < p->sink_pages + h->n_evicted;
}

static void shrink(struct kvb_pages *p, struct kvb_holding *h, uint32_t n)
{
    while (h->n > n) {
        h->n--;
        if (!is_evicted(p, h, h->n)) put_back(p, h->page[h->n]);
    }
    if (n == 0) h->n_evicted = 0;
}

static void grow(struct kvb_pages *p, struct kvb_holding *h, uint32_t n)
{
    h->page = kvb_grow(h->page, &h->room, n, sizeof *h->page);
    while (h->n < n) h->page[h->n++] = take_page(p);
}

/* Oldest first, behind the sinks. */
static bool evict(struct kvb_pages *p, struct kvb_holding *h, const struct kvb_plan_row *r,
                  struct kb_error *err)
{
    for (uint32_t i = 0; i < r->evicted_pages; i++) {
        uint32_t entry = p->sink_pages + h->n_evicted;
        if (entry + 1 >= h->n)
            return kb_fail(err, "plan line %llu: request %.40s evicts %u pages, but has %u to evict",
                           (unsigned long long)r->line, r->request_id, r->evicted_pages, i);
        put_back(p, h->page[entry]);
        h->page[entry] = 0;
        h->n_evicted++;
    }
    return true;
}

static uint32_t pages_of(uint32_t tokens, uint32_t page_tokens)
{
    return (tokens + page_tokens - 1) / page_tokens;
}

/* The request has just the pages that the row says. */
static bool hold(struct kvb_pages *p, const struct kvb_plan_row *r, uint32_t page_tokens,
                 struct kb_error *err)
{
    struct kvb_holding *h = &p->of[r->request];
    uint32_t n = r->new_tokens ? pages_of(r->past_tokens + r->new_tokens, page_tokens) : 0;
    shrink(p, h, r->past_tokens ? n : 0);
    grow(p, h, n);
    return r->new_tokens == 0 || evict(p, h, r, err);
}

/* --- counting --- */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void count_row(struct kvb_batch *b, const struct kvb_plan_row *r, uint32_t page_tokens)
{
    uint32_t tokens = r->past_tokens + r->new_tokens, n_pages = pages_of(tokens, page_tokens);
    if (r->new_tokens == 0) return;
    b->n_seqs++;
    b->n_tokens += r->new_tokens;
    b->n_yields += r->yields;
    b->n_recalled += r->recalled_pages;
    b->max_pages = larger(b->max_pages, n_pages);
    b->max_new = larger(b->max_new, r->new_tokens);
    if (kvb_plan_is_decode(r)) {
        b->n_decode++;
        b->n_decode_tokens += tokens;
        b->max_decode_tokens = larger(b->max_decode_tokens, tokens);
        if (r->read_tokens < tokens) b->read_tokens = larger(b->read_tokens, r->read_tokens);
    } else {
        b->n_prompt_tokens += r->new_tokens;
        b->n_prompt_pages += n_pages;
    }
}

static size_t reserve(struct kvb_batch *b, size_t n)
{
    size_t at = b->n_words;
    b->n_words += (n + WORD_ALIGN - 1) / WORD_ALIGN * WORD_ALIGN;
    return at;
}

static void lay_out(struct kvb_batch *b)
{
    uint32_t n_prompts = b->n_seqs - b->n_decode;
    b->n_words = 0;
    b->pos = reserve(b, b->n_tokens);
    b->seq = reserve(b, b->n_tokens);
    b->lengths = reserve(b, b->n_seqs);
    b->begin = reserve(b, b->n_seqs + 1);
    b->past = reserve(b, b->n_seqs);
    b->q_begin = reserve(b, n_prompts + 1);
    b->tables = reserve(b, (size_t)b->n_seqs * b->max_pages);
    b->prompt_tables = reserve(b, (size_t)n_prompts * b->max_pages);
    b->word = kvb_grow(b->word, &b->words_room, b->n_words, sizeof *b->word);
    memset(b->word, 0, b->n_words * sizeof *b->word);
}

/* --- filling --- */

struct place {
    uint32_t seq, token, prompt_page;
};

static void put_row(struct kvb_batch *b, const struct kvb_plan_row *r, const struct kvb_holding *h,
                    struct place *at)
{
    for (uint32_t i = 0; i < r->new_tokens; i++, at->token++) {
        b->word[b->pos + at->token] = r->past_tokens + i;
        b->word[b->seq + at->token] = at->seq;
    }
    b->word[b->past + at->seq] = r->past_tokens;
    b->word[b->lengths + at->seq] = r->past_tokens + r->new_tokens;
    b->word[b->begin + at->seq + 1] = at->token;
    memcpy(&b->word[b->tables + (size_t)at->seq * b->max_pages], h->page, h->n * sizeof *h->page);
    at->seq++;
}

/* The same prompt in the pool that holds prompts uncompressed. */
static void put_prompt(struct kvb_batch *b, const struct kvb_plan_row *r, uint32_t n_pages, struct place *at)
{
    uint32_t prompt = at->seq - b->n_decode;
    uint32_t *table = &b->word[b->prompt_tables + (size_t)prompt * b->max_pages];
    b->word[b->q_begin + prompt + 1] = b->word[b->q_begin + prompt] + r->new_tokens;
    for (uint32_t i = 0; i < n_pages; i++) table[i] = at->prompt_page++;
}

bool kvb_batch_make(struct kvb_batch *b, const struct kvb_plan *plan, const struct kvb_plan_step *step,
                    struct kvb_pages *pages, uint32_t page_tokens, struct kb_error *err)
{
    const struct kvb_plan_row *row = &plan->row[step->first];
    struct place at = {0};
    *b = (struct kvb_batch){.word = b->word, .words_room = b->words_room};
    for (uint32_t i = 0; i < step->n_rows; i++) count_row(b, &row[i], page_tokens);
    lay_out(b);
    for (uint32_t i = 0; i < step->n_rows; i++)
        if (row[i].new_tokens == 0 && !hold(pages, &row[i], page_tokens, err)) return false;
    for (uint32_t i = 0; i < step->n_rows; i++)
        if (row[i].new_tokens && !hold(pages, &row[i], page_tokens, err)) return false;
    for (int prompts = 0; prompts < 2; prompts++)
        for (uint32_t i = 0; i < step->n_rows; i++) {
            const struct kvb_holding *h = &pages->of[row[i].request];
            if (row[i].new_tokens == 0 || kvb_plan_is_decode(&row[i]) == (prompts == 1)) continue;
            if (prompts) put_prompt(b, &row[i], h->n, &at);
            put_row(b, &row[i], h, &at);
        }
    return true;
}

void kvb_batch_end(const struct kvb_plan *plan, const struct kvb_plan_step *step, struct kvb_pages *pages)
{
    for (uint32_t i = step->first; i < step->first + step->n_rows; i++)
        if (plan->row[i].last) shrink(pages, &pages->of[plan->row[i].request], 0);
}

void kvb_batch_fini(struct kvb_batch *b)
{
    free(b->word);
    *b = (struct kvb_batch){0};
}
