/* A strategy's memory as the simulator counts it: pages in units. The unit of a place is the largest size that all
 * its pages are multiples of (for `full` one KV block), but at least 64 bytes, to which pages are rounded up. What is
 * counted is this rounding and the unused end of each page; two page types share one pool without holes between them,
 * as in an engine that divides it by need. */
#ifndef KVSIM_MODELS_KVRULE_H
#define KVSIM_MODELS_KVRULE_H

#include "models/strategy.h"

enum { MDL_KV_LEAST_UNIT = 64, MDL_KV_MOST_PERIOD = 65536 };

struct mdl_kv_plan {
    struct sim_kv_rule rule;
    double unit_bytes
        [SIM_KV_N_PLACE];       /* on this rank; GPU: a KV block, host: 0, where the strategy keeps nothing */
    double kept_frac, all_frac; /* decode attention reads kept_frac x kept + all_frac x whole context */
    double replica_bytes;
};

/* False when the pages of a sequence overflow what the simulator counts in (2^32 units at max_tokens), or when growth
 * has no period to count in (page sizes of more than 65,536 tokens together). */
bool mdl_kv_plan_init(struct mdl_kv_plan *p, const struct mdl_kv_use *u, uint32_t max_tokens,
                      struct sim_status *st);

/* Page-rounded bytes of a sequence in one place. */
double mdl_kv_plan_bytes(const struct mdl_kv_plan *p, enum sim_kv_place place, struct sim_kv_length at);

/* Units of the largest page in one place; 0 where the strategy keeps nothing. */
uint32_t mdl_kv_plan_largest(const struct mdl_kv_plan *p, enum sim_kv_place place);

/* What a request holds that falls back to whole bf16 KV on the GPU, in the plan's units: pages of as many tokens as
 * the engine's blocks and the plan's period have in common, so that it grows by the same period. */
struct sim_kv_rule mdl_kv_plain_rule(const struct mdl_kv_plan *p, const struct mdl_kv_use *u);

#endif
