#include "experiments/planning/search/deep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/memory.h"

/* What a user chooses; rates and efficiencies, which are found, are not among them. */
static bool is_choice(enum mdl_kv_key key)
{
    static const char *const found[] = {
        "miss_rate", "correction_rate",   "corrected_heads_frac", "miss_spread", "correction_spread",
        "draws",     "kernel_efficiency", "prefill_efficiency",   "graph",       "fused"};
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++)
        if (strcmp(mdl_kv_key_info(key)->name, found[i]) == 0) return false;
    return true;
}

static bool add_variant(struct exp_contenders *all, const struct exp_contender *base, enum mdl_kv_key key,
                        double value)
{
    struct exp_contender c = *base;
    const char *name = mdl_kv_key_info(key)->name;
    if (all->n == EXP_MAX_CONTENDERS || c.n_settings == EXP_MAX_KV_SETTINGS) return false;
    for (uint32_t i = 0; i < c.n_settings; i++)
        if (strcmp(c.setting[i].key, name) == 0) return false; /* the user's word */
    int length = snprintf(c.label, sizeof c.label, "%s:%s=%g", base->label, name, value);
    if (length >= (int)sizeof c.label) return false;
    c.setting[c.n_settings].key = name;
    snprintf(c.setting[c.n_settings++].value, EXP_LABEL_BYTES, "%.17g", value);
    all->at[all->n++] = c;
    return true;
}

struct list {
    struct exp_candidate *at;
    uint32_t n;
};

static void add(struct list *l, struct exp_candidate c)
{
    l->at = sim_realloc(l->at, l->n + 1, sizeof *l->at);
    l->at[l->n++] = c;
}

/* The ends of the range in which sources set each parameter. */
static void add_parameters(struct list *l, const struct exp_candidate *c, struct exp_contenders *all)
{
    for (enum mdl_kv_key key = 0; key < MDL_N_KV_KEY; key++) {
        const struct mdl_kv_default *d = mdl_strategy_default(c->contender->strategy, key);
        if (!d || !is_choice(key)) continue;
        const double ends[] = {d->low, d->high};
        for (int i = 0; i < 2; i++) {
            struct exp_candidate variant = *c;
            if (ends[i] == d->value || !isfinite(ends[i]) || !add_variant(all, c->contender, key, ends[i]))
                continue;
            variant.contender = &all->at[all->n - 1];
            add(l, variant);
        }
    }
}

static void add_knobs(struct list *l, const struct exp_candidate *c)
{
    static const uint32_t batched[] = {2048, 4096, 8192, 16384}, seqs[] = {128, 512};
    for (size_t i = 0; i < sizeof batched / sizeof batched[0]; i++) {
        struct exp_candidate variant = *c;
        variant.max_num_batched_tokens = batched[i];
        add(l, variant);
    }
    for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
        struct exp_candidate variant = *c;
        variant.max_num_seqs = seqs[i];
        add(l, variant);
    }
}

uint32_t exp_deep_candidates(const struct exp_candidate *best, uint32_t n, struct exp_contenders *contenders,
                             struct exp_candidate **out)
{
    struct list l = {0};
    contenders->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        add_knobs(&l, &best[i]);
        add_parameters(&l, &best[i], contenders);
    }
    *out = l.at;
    return l.n;
}
