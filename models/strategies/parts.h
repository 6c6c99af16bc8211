/* What most families begin with: counts from parameters, a memory that keeps everything, parts added to it, and a
 * decode that does nothing beside attention. */
#ifndef KVSIM_MODELS_STRATEGIES_PARTS_H
#define KVSIM_MODELS_STRATEGIES_PARTS_H

#include "models/strategy.h"
#include "sim/check.h"

#define MDL_KV_N(defaults) ((uint32_t)(sizeof(defaults) / sizeof *(defaults)))

static inline uint32_t mdl_kv_count(const struct mdl_kv_use *u, enum mdl_kv_key key)
{
    return (uint32_t)u->value[key];
}

/* Elements of one token's keys, or of its values, over the rank's layers and heads. */
static inline double mdl_kv_side_elements(const struct mdl_kv_use *u)
{
    return (double)u->n_layers * u->kv_heads * u->head_dim;
}

static inline struct mdl_kv_memory mdl_kv_keeps_all(void)
{
    return (struct mdl_kv_memory){.budget = SIM_KV_ALL, .read_cap = SIM_KV_ALL, .select_after = SIM_KV_ALL};
}

static inline void mdl_kv_add_part(struct mdl_kv_memory *m, struct mdl_kv_part part)
{
    SIM_CHECK(m->n_parts < MDL_KV_PARTS && part.page_tokens > 0);
    m->part[m->n_parts++] = part;
}

/* Pages of every token, begun ones included. */
static inline struct mdl_kv_part mdl_kv_pages(const char *what, enum sim_kv_place place, double token_bytes,
                                              uint32_t page_tokens)
{
    return (struct mdl_kv_part){.what = what,
                                .place = place,
                                .page_bytes = token_bytes * page_tokens,
                                .cap = SIM_KV_ALL,
                                .page_tokens = page_tokens};
}

static inline struct mdl_kv_decode mdl_kv_plain_decode(const char *kernel, double bytes_frac)
{
    return (struct mdl_kv_decode){.kernel = kernel, .bytes_frac = bytes_frac, .when = SIM_RECALL_NONE};
}

#endif
