/* Every strategy's table, by family; strategies/list.c puts them in the order in which `kvsim list strategies` and
 * `compare --strategies all` name them. */
#ifndef KVSIM_MODELS_STRATEGIES_LIST_H
#define KVSIM_MODELS_STRATEGIES_LIST_H

#include "models/strategy.h"

/* keep_all.c */
extern const struct mdl_strategy mdl_strategy_full, mdl_strategy_swap, mdl_strategy_offload,
    mdl_strategy_tiered;
/* quantise.c */
extern const struct mdl_strategy mdl_strategy_fp8, mdl_strategy_int8, mdl_strategy_int4, mdl_strategy_kivi4,
    mdl_strategy_kivi2, mdl_strategy_gear4, mdl_strategy_gear2;
/* lowrank.c */
extern const struct mdl_strategy mdl_strategy_lowrank;
/* drop_static.c */
extern const struct mdl_strategy mdl_strategy_streaming_llm, mdl_strategy_razor;
/* drop_dynamic.c */
extern const struct mdl_strategy mdl_strategy_h2o, mdl_strategy_snapkv, mdl_strategy_pyramidkv,
    mdl_strategy_raas;
/* retrieve.c: quest, arkvale; retrieve_rows.c: infinigen, shadowkv; freekv.c */
extern const struct mdl_strategy mdl_strategy_quest, mdl_strategy_arkvale, mdl_strategy_infinigen,
    mdl_strategy_shadowkv, mdl_strategy_freekv;

#endif
