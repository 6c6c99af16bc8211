/* kv.policy: adaptive. A policy that sees how busy the link is sets two parameters of speculative retrieval anew. More
 * prefetched pages shorten the fetch that a correction waits for, and lengthen what runs beside the computation; fewer
 * checks save host syncs, and miss corrections: as many steps may lie between them as leave at most MDL_ADAPTIVE_MISSED
 * of the layer checks uncorrected. What is best depends on host and batch, which strategies know nothing of: here are
 * the settings that the policy has, and models/cost.c takes the fastest of them for each batch. The GPU has room for
 * the most pages all the time. */
#ifndef KVSIM_MODELS_STRATEGIES_ADAPTIVE_H
#define KVSIM_MODELS_STRATEGIES_ADAPTIVE_H

#include "models/strategy.h"

/* Our own limit: no source says what such a policy may miss. Share of layer checks whose correction is skipped. */
#define MDL_ADAPTIVE_MISSED 0.05

struct mdl_adaptive_setting {
    uint32_t prefetch_pages, correction_every;
};

enum { MDL_ADAPTIVE_SETTINGS = 48 };

/* Settings of a use, the fewest pages and the most checks first; returns how many. A static policy has its own one.
 * An adaptive one has 0 pages and every half, quarter ... of kv.prefetch_pages, or, where that is 0, of as many pages as
 * are selected: twice the slots; each with checks every 1, 2 or 4 steps within the limit, and kv.correction_every.
 * Without speculation or corrections there is nothing to choose. */
uint32_t mdl_adaptive_settings(const struct mdl_kv_use *u,
                               struct mdl_adaptive_setting out[MDL_ADAPTIVE_SETTINGS]);

/* u, static, with one setting. */
struct mdl_kv_use mdl_adaptive_with(const struct mdl_kv_use *u, struct mdl_adaptive_setting s);

/* u as its memory is: where its policy is adaptive, static with the most pages and the most checks. */
struct mdl_kv_use mdl_adaptive_settled(const struct mdl_kv_use *u);

#endif
