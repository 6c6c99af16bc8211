#include "sim/kv.h"

#include "sim/check.h"

/* Pages of a term when it counts up to x. */
static inline uint64_t n_pages(const struct sim_kv_term *t, uint32_t x)
{
    uint32_t n = x > t->start ? x - t->start : 0;
    if (n > t->cap) n = t->cap;
    return n / t->page_tokens + (!t->whole && n % t->page_tokens);
}

/* Tokens by which terms count. */
struct counts {
    uint32_t tokens, kept, fill;
};

static inline uint32_t counted(const struct sim_kv_term *t, struct counts n)
{
    return t->fill ? n.fill : t->kept ? n.kept : n.tokens;
}

static uint64_t units_of(const struct sim_kv_rule *k, enum sim_kv_place place, struct counts n)
{
    uint64_t units = 0;
    for (uint32_t i = 0; i < k->n_terms; i++) {
        const struct sim_kv_term *t = &k->term[i];
        if (t->place == place) units += n_pages(t, counted(t, n)) * t->units;
    }
    return units;
}

static struct counts counts_at(const struct sim_kv_rule *k, struct sim_kv_length at)
{
    return (struct counts){at.tokens, sim_kv_kept(k, at), at.tokens < at.filled ? at.tokens : 0};
}

uint64_t sim_kv_units(const struct sim_kv_rule *k, enum sim_kv_place place, struct sim_kv_length at)
{
    return units_of(k, place, counts_at(k, at));
}

/* At the end of the fill all of it has been there, and no term holds less of more tokens: what is kept afterwards
 * is never more. */
uint64_t sim_kv_need(const struct sim_kv_rule *k, enum sim_kv_place place, struct sim_kv_length at)
{
    struct counts all = {at.tokens, at.tokens, at.tokens};
    return units_of(k, place, at.tokens == at.filled ? all : counts_at(k, at));
}

uint32_t sim_kv_grows_in(const struct sim_kv_rule *k, const struct sim_kv_term *term, struct sim_kv_length at)
{
    if (term->fill && at.tokens >= at.filled) return SIM_KV_ALL;
    uint32_t x = counted(term, counts_at(k, at));
    uint64_t pages = n_pages(term, x); /* 64 bits: no sum of two lengths wraps */
    uint64_t next = term->whole ? (pages + 1) * term->page_tokens : pages * term->page_tokens + 1;
    uint64_t more = term->start + next - x;
    if (next > term->cap || more >= SIM_KV_ALL) return SIM_KV_ALL;
    bool stops = term->kept && k->evicts_in_decode && at.tokens >= at.filled && x + more > k->budget;
    return stops ? SIM_KV_ALL : (uint32_t)more;
}

uint32_t sim_kv_covered(const struct sim_kv_rule *k, struct sim_kv_length at)
{
    uint64_t covered = at.tokens < at.filled ? at.filled - 1 : SIM_KV_ALL;
    for (uint32_t i = 0; i < k->n_terms; i++) {
        uint32_t more = k->term[i].units ? sim_kv_grows_in(k, &k->term[i], at) : SIM_KV_ALL;
        uint64_t last = (uint64_t)at.tokens + more - 1;
        if (more != SIM_KV_ALL && last < covered) covered = last;
    }
    return (uint32_t)covered;
}

/* `change`, or the length at which x, growing with the sequence from what it is now, reaches `mark` if that comes
 * first. */
static uint64_t first_of(uint64_t change, uint64_t tokens, uint64_t x, uint64_t mark)
{
    if (mark <= x || mark >= SIM_KV_ALL) return change;
    uint64_t at = tokens + (mark - x);
    return at < change ? at : change;
}

uint32_t sim_kv_next_change(const struct sim_kv_rule *k, struct sim_kv_length at)
{
    SIM_CHECK(at.tokens >= at.filled);
    uint64_t kept = sim_kv_kept(k, at), tokens = at.tokens, change = SIM_KV_ALL;
    bool held = k->evicts_in_decode && tokens >= k->budget; /* what is kept stays as much as it is */
    if (k->select_after != SIM_KV_ALL)
        change = first_of(change, tokens, tokens, (uint64_t)k->select_after + 1);
    if (!held) change = first_of(change, tokens, kept, k->read_cap);
    if (!held && k->evicts_in_decode) change = first_of(change, tokens, kept, k->budget);
    for (uint32_t i = 0; i < k->n_terms; i++) {
        const struct sim_kv_term *t = &k->term[i];
        if (!t->units || t->fill || (t->kept && held)) continue;
        uint64_t x = t->kept ? kept : tokens;
        change = first_of(change, tokens, x, t->start);
        if (t->cap != SIM_KV_ALL) change = first_of(change, tokens, x, (uint64_t)t->start + t->cap);
    }
    return (uint32_t)change;
}

struct sim_kv_rule sim_kv_full(uint32_t block_tokens)
{
    return (struct sim_kv_rule){
        .term = {{.place = SIM_KV_GPU, .cap = SIM_KV_ALL, .page_tokens = block_tokens, .units = 1}},
        .n_terms = 1,
        .period = block_tokens,
        .budget = SIM_KV_ALL,
        .read_cap = SIM_KV_ALL,
        .select_after = SIM_KV_ALL};
}
