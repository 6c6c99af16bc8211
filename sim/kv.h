/* How a KV strategy keeps one sequence: how many units of GPU and host memory it holds at which length, and how
 * much decode attention reads of it. Plain data, so that the replica needs no call per row: what a sequence
 * holds is a sum of terms, each a page for every so many tokens. Units are the strategy's smallest page part
 * (for `full` a KV block); both pools count in units. A sequence is `filling` until its prompt, or after a
 * preemption all it had, is computed: then everything is kept; what is not kept is let go when the fill ends. */
#ifndef KVSIM_SIM_KV_H
#define KVSIM_SIM_KV_H

#include <stdbool.h>
#include <stdint.h>

enum { SIM_KV_TERMS = 8 };
enum sim_kv_place { SIM_KV_GPU, SIM_KV_HOST, SIM_KV_N_PLACE };
#define SIM_KV_ALL UINT32_MAX

/* `units` for each page of page_tokens among the tokens from `start` on, at most `cap` of them. */
struct sim_kv_term {
    enum sim_kv_place place;
    uint32_t start, cap; /* tokens; cap SIM_KV_ALL = no end; a multiple of page_tokens else */
    uint32_t page_tokens;
    uint32_t units;
    bool whole; /* completed pages only; else pages begun */
    bool kept;  /* counts the tokens that are kept, not all of the sequence */
    bool fill;  /* counts tokens only while the sequence fills: let go as a whole when the fill ends */
};

struct sim_kv_rule {
    struct sim_kv_term term[SIM_KV_TERMS];
    uint32_t n_terms;
    uint32_t period;       /* tokens after which growth repeats: a multiple of every page_tokens */
    uint32_t budget;       /* tokens kept when the fill ends; SIM_KV_ALL = everything */
    bool evicts_in_decode; /* the budget holds from then on; else generated tokens are kept beside it */
    uint32_t read_cap;     /* decode attention reads at most so many of the kept tokens; SIM_KV_ALL = all */
    double all_frac; /* share of layers or heads that read the whole context whatever is kept; usually 0 */
    uint32_t select_after; /* a longer sequence selects what to read (and recalls); SIM_KV_ALL = none does */
};

/* A sequence of `tokens`; `filled` is its length when its fill ends or ended. */
struct sim_kv_length {
    uint32_t tokens, filled;
};

static inline uint32_t sim_kv_kept(const struct sim_kv_rule *k, struct sim_kv_length at)
{
    if (at.tokens < at.filled || at.tokens <= k->budget) return at.tokens;
    if (k->evicts_in_decode) return k->budget;
    uint32_t of_fill = at.filled < k->budget ? at.filled : k->budget;
    return of_fill + (at.tokens - at.filled);
}

static inline uint32_t sim_kv_read(const struct sim_kv_rule *k, struct sim_kv_length at)
{
    uint32_t kept = sim_kv_kept(k, at);
    return kept < k->read_cap ? kept : k->read_cap;
}

/* Units held in one place. */
uint64_t sim_kv_units(const struct sim_kv_rule *k, enum sim_kv_place place, struct sim_kv_length at);

/* Units that a sequence must have been given before it is brought to at.tokens: where its fill ends there, all of it
 * is held for an instant, and that is never less than what is held afterwards. */
uint64_t sim_kv_need(const struct sim_kv_rule *k, enum sim_kv_place place, struct sim_kv_length at);

/* In how many tokens, at least 1, a term next takes a page: the smallest n for which at.tokens + n has one more than
 * at.tokens + n - 1; SIM_KV_ALL when it takes none. After that it takes one every page_tokens, up to the length that
 * sim_kv_next_change names. While filling: as if the fill did not end. */
uint32_t sim_kv_grows_in(const struct sim_kv_rule *k, const struct sim_kv_term *term,
                         struct sim_kv_length at);

/* The largest length >= at.tokens up to which no term of the rule holds more than at at.tokens; while filling at most
 * filled - 1 (the end of the fill is a change of its own); SIM_KV_ALL when none ever will. */
uint32_t sim_kv_covered(const struct sim_kv_rule *k, struct sim_kv_length at);

/* The next length, > at.tokens, from which on the sequence grows or reads by another pattern (a budget is reached, a
 * window is full); SIM_KV_ALL when the pattern stays. at.tokens >= at.filled. Until then, for every length L in
 * at.tokens .. next - 1: the units that L + 1 has more than L depend on L modulo `period` only, what is read grows by
 * the same 0 or 1, and either all these lengths select or none does. */
uint32_t sim_kv_next_change(const struct sim_kv_rule *k, struct sim_kv_length at);

/* One page of block_tokens for so many tokens, one unit each, on the GPU: strategy `full`. */
struct sim_kv_rule sim_kv_full(uint32_t block_tokens);

#endif
