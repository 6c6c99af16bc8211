#include "models/kvrule.h"

#include <math.h>

#include "sim/check.h"

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Pages hold whole bytes. */
static uint64_t page_bytes(const struct mdl_kv_part *part)
{
    SIM_CHECK(part->page_bytes >= 0 && part->page_bytes < 0x1p53);
    return (uint64_t)ceil(part->page_bytes);
}

static uint64_t unit_of(const struct mdl_kv_memory *m, enum sim_kv_place place)
{
    uint64_t unit = 0;
    for (uint32_t i = 0; i < m->n_parts; i++)
        if (m->part[i].place == place) unit = common_divisor(unit, page_bytes(&m->part[i]));
    return unit > 0 && unit < MDL_KV_LEAST_UNIT ? MDL_KV_LEAST_UNIT : unit;
}

/* A window that ends inside a page: a page begun there is held, a page that must be complete is not. */
static uint32_t whole_pages(const struct mdl_kv_part *part)
{
    uint32_t p = part->page_tokens;
    if (part->cap == SIM_KV_ALL) return SIM_KV_ALL;
    uint64_t pages = part->whole ? part->cap / p : ((uint64_t)part->cap + p - 1) / p;
    SIM_CHECK(pages * p < SIM_KV_ALL);
    return (uint32_t)(pages * p);
}

static bool add_term(struct mdl_kv_plan *p, const struct mdl_kv_part *part, struct sim_status *st)
{
    SIM_CHECK(part->page_tokens > 0);
    uint32_t cap = whole_pages(part);
    if (!page_bytes(part) || !cap) return true;
    uint64_t unit = (uint64_t)p->unit_bytes[part->place], units = (page_bytes(part) + unit - 1) / unit;
    if (units > UINT32_MAX)
        return sim_fail(
            st,
            "%s: a page of %.0f bytes is %.3g units of %.0f bytes, expected less than 2^32; use fewer "
            "tokens a page",
            part->what, part->page_bytes, (double)units, (double)unit);
    p->rule.term[p->rule.n_terms++] = (struct sim_kv_term){.place = part->place,
                                                           .start = part->start,
                                                           .cap = cap,
                                                           .page_tokens = part->page_tokens,
                                                           .units = (uint32_t)units,
                                                           .whole = part->whole,
                                                           .kept = part->kept,
                                                           .fill = part->fill};
    return true;
}

/* The least common multiple of all page sizes. */
static bool set_period(struct sim_kv_rule *rule, const char *strategy, struct sim_status *st)
{
    uint64_t period = 1;
    for (uint32_t i = 0; i < rule->n_terms; i++) {
        uint64_t tokens = rule->term[i].page_tokens;
        period = period / common_divisor(period, tokens) * tokens;
        if (period > MDL_KV_MOST_PERIOD)
            return sim_fail(
                st,
                "%s: its pages and windows (the last of %llu tokens) meet only every %llu tokens, expected "
                "at most %d; choose sizes that are multiples of one another",
                strategy, (unsigned long long)tokens, (unsigned long long)period, MDL_KV_MOST_PERIOD);
    }
    rule->period = (uint32_t)period;
    return true;
}

/* An upper bound on units at a length: every term sees all of it. */
static double most_units(const struct sim_kv_rule *rule, enum sim_kv_place place, uint32_t tokens)
{
    double sum = 0;
    for (uint32_t i = 0; i < rule->n_terms; i++) {
        const struct sim_kv_term *t = &rule->term[i];
        double seen = t->cap < tokens ? t->cap : tokens;
        if (t->place == place) sum += ceil(seen / t->page_tokens) * t->units;
    }
    return sum;
}

static bool countable(const struct mdl_kv_plan *p, const char *strategy, uint32_t max_tokens,
                      struct sim_status *st)
{
    for (int place = 0; place < SIM_KV_N_PLACE; place++) {
        double units = most_units(&p->rule, (enum sim_kv_place)place, max_tokens);
        if (units > UINT32_MAX)
            return sim_fail(
                st,
                "%s: a sequence of %u tokens is %.3g units of %.0f bytes, expected less than 2^32; lower "
                "engine.max_model_len, or choose page, group and residual so that they divide one another",
                strategy, max_tokens, units, p->unit_bytes[place]);
    }
    return true;
}

bool mdl_kv_plan_init(struct mdl_kv_plan *p, const struct mdl_kv_use *u, uint32_t max_tokens,
                      struct sim_status *st)
{
    struct mdl_kv_memory m = {.budget = SIM_KV_ALL, .read_cap = SIM_KV_ALL, .select_after = SIM_KV_ALL};
    u->strategy->memory(u, &m);
    SIM_CHECK(m.n_parts <= MDL_KV_PARTS && m.dense_frac >= 0 && m.dense_frac <= 1);
    *p = (struct mdl_kv_plan){
        .kept_frac = 1 - m.dense_frac, .all_frac = m.dense_frac, .replica_bytes = m.replica_bytes};
    for (int place = 0; place < SIM_KV_N_PLACE; place++)
        p->unit_bytes[place] = (double)unit_of(&m, (enum sim_kv_place)place);
    if (!p->unit_bytes[SIM_KV_GPU]) p->unit_bytes[SIM_KV_GPU] = u->block_size * mdl_kv_token_bytes(u);
    p->rule.budget = m.budget;
    p->rule.evicts_in_decode = m.evicts_in_decode;
    p->rule.read_cap = m.read_cap;
    p->rule.all_frac = m.dense_frac;
    p->rule.select_after = m.select_after;
    for (uint32_t i = 0; i < m.n_parts; i++)
        if (!add_term(p, &m.part[i], st)) return false;
    return set_period(&p->rule, u->strategy->name, st) && countable(p, u->strategy->name, max_tokens, st);
}

double mdl_kv_plan_bytes(const struct mdl_kv_plan *p, enum sim_kv_place place, struct sim_kv_length at)
{
    return (double)sim_kv_units(&p->rule, place, at) * p->unit_bytes[place];
}

uint32_t mdl_kv_plan_largest(const struct mdl_kv_plan *p, enum sim_kv_place place)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < p->rule.n_terms; i++)
        if (p->rule.term[i].place == place && p->rule.term[i].units > largest)
            largest = p->rule.term[i].units;
    return largest;
}

struct sim_kv_rule mdl_kv_plain_rule(const struct mdl_kv_plan *p, const struct mdl_kv_use *u)
{
    uint32_t page = (uint32_t)common_divisor(u->block_size, p->rule.period);
    struct sim_kv_rule rule = sim_kv_full(page);
    rule.term[0].units = (uint32_t)ceil(page * mdl_kv_token_bytes(u) / p->unit_bytes[SIM_KV_GPU]);
    return rule;
}
