#include "models/strategies/adaptive.h"

#include "models/strategies/parts.h"

enum { PAGE_STEPS = 8, MOST_EVERY = 4 };

struct mdl_kv_use mdl_adaptive_with(const struct mdl_kv_use *u, struct mdl_adaptive_setting s)
{
    struct mdl_kv_use set = *u;
    set.value[MDL_KV_POLICY] = 0;
    set.value[MDL_KV_PREFETCH] = s.prefetch_pages;
    set.value[MDL_KV_CORRECT_EVERY] = s.correction_every;
    return set;
}

/* Share of layer checks that correct; 0 where none does, or nothing is speculative. */
static double corrected_frac(const struct mdl_kv_use *u)
{
    struct mdl_kv_use set = mdl_adaptive_with(u, (struct mdl_adaptive_setting){0, 1});
    struct mdl_kv_decode d;
    set.strategy->decode(&set, &d);
    return d.correct_frac;
}

static uint32_t most_pages(const struct mdl_kv_use *u)
{
    if (mdl_kv_on(u, MDL_KV_PREFETCH)) return mdl_kv_count(u, MDL_KV_PREFETCH);
    double always = u->value[MDL_KV_SINK] + u->value[MDL_KV_RECENT];
    return (uint32_t)((u->value[MDL_KV_BUDGET] - always) / u->value[MDL_KV_PAGE]);
}

static uint32_t add_pages(uint32_t every, uint32_t most, uint32_t n, struct mdl_adaptive_setting *out)
{
    out[n++] = (struct mdl_adaptive_setting){0, every};
    for (int half = PAGE_STEPS - 1; half >= 0; half--)
        if (most >> half) out[n++] = (struct mdl_adaptive_setting){most >> half, every};
    return n;
}

static uint32_t static_setting(const struct mdl_kv_use *u, struct mdl_adaptive_setting *out)
{
    double pages = u->value[MDL_KV_PREFETCH], every = u->value[MDL_KV_CORRECT_EVERY];
    *out = (struct mdl_adaptive_setting){pages > 0 ? (uint32_t)pages : 0, every > 1 ? (uint32_t)every : 1};
    return 1;
}

uint32_t mdl_adaptive_settings(const struct mdl_kv_use *u,
                               struct mdl_adaptive_setting out[MDL_ADAPTIVE_SETTINGS])
{
    if (!mdl_kv_on(u, MDL_KV_POLICY)) return static_setting(u, out);
    uint32_t n = 0, own = mdl_kv_count(u, MDL_KV_CORRECT_EVERY), most = most_pages(u);
    double corrected = corrected_frac(u);
    if (!(corrected > 0)) {
        out[0] = (struct mdl_adaptive_setting){0, own};
        return 1;
    }
    for (uint32_t every = 1; every <= MOST_EVERY; every *= 2)
        if (every <= own || (1 - 1.0 / every) * corrected <= MDL_ADAPTIVE_MISSED)
            n = add_pages(every, most, n, out);
    bool listed = own == 1 || own == 2 || own == MOST_EVERY;
    return listed ? n : add_pages(own, most, n, out);
}

struct mdl_kv_use mdl_adaptive_settled(const struct mdl_kv_use *u)
{
    struct mdl_adaptive_setting s[MDL_ADAPTIVE_SETTINGS];
    if (!mdl_kv_on(u, MDL_KV_POLICY)) return *u;
    uint32_t n = mdl_adaptive_settings(u, s);
    return mdl_adaptive_with(u,
                             (struct mdl_adaptive_setting){s[n - 1].prefetch_pages, s[0].correction_every});
}
