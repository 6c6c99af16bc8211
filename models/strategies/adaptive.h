/* kv.policy: adaptive. A policy that sees how many checks find a head to correct and how busy the link is sets two
 * parameters of speculative retrieval anew. More prefetched pages shorten the fetch that a correction waits for, and
 * lengthen what runs beside the computation: their number is what makes a step shortest by the closed form of
 * sim/recall.h. Fewer checks are always faster, but miss corrections: as many steps lie between them as leave at most
 * MDL_ADAPTIVE_MISSED of the layer checks uncorrected. With rates that stay as they are both settle where they
 * started from, so the simulator chooses once. A search over some dozen settings. */
#ifndef KVSIM_MODELS_STRATEGIES_ADAPTIVE_H
#define KVSIM_MODELS_STRATEGIES_ADAPTIVE_H

#include "models/strategy.h"

/* Our own limits: no source says what such a policy may miss, or what it must gain to take memory. */
#define MDL_ADAPTIVE_MISSED 0.05  /* share of layer checks whose correction is skipped */
#define MDL_ADAPTIVE_GAIN   0.001 /* of a step: what twice the prefetched pages must save at least */

/* What steps observe at the settings of a use, one sequence on the link; times as shares of a step's computation. */
struct mdl_adaptive_seen {
    double miss_rate, correction_rate;
    double link_busy_frac; /* copies of what was recalled */
    double sync_frac;      /* all host syncs */
    double select_frac;    /* selection of all layers, were it on the critical path */
};

struct mdl_adaptive_setting {
    uint32_t prefetch_pages, correction_every;
};

/* The best setting; u's own prefetch_pages, correction_every and policy do not matter beyond having been in force
 * while `seen` was. Returns {0, 1} where nothing is speculative. */
struct mdl_adaptive_setting mdl_adaptive_choose(const struct mdl_kv_use *u,
                                                const struct mdl_adaptive_seen *seen);

/* What steps would observe at the declared rates and a typical server: copies of 1 us (2 us each, two submitters),
 * host syncs and selections of 10 us, and 20 ms of computation (third-party FreeKV runs: 17 to 23 ms). */
struct mdl_adaptive_seen mdl_adaptive_declared(const struct mdl_kv_use *u);

/* u with the parameters that hold: where its policy is adaptive, those chosen at the declared rates. */
struct mdl_kv_use mdl_adaptive_settled(const struct mdl_kv_use *u);

#endif
