#include "models/strategies/list.h"

static const struct mdl_strategy *const list[] = {
    &mdl_strategy_full,          &mdl_strategy_swap,     &mdl_strategy_offload, &mdl_strategy_tiered,
    &mdl_strategy_fp8,           &mdl_strategy_int8,     &mdl_strategy_int4,    &mdl_strategy_kivi4,
    &mdl_strategy_kivi2,         &mdl_strategy_gear4,    &mdl_strategy_gear2,   &mdl_strategy_lowrank,
    &mdl_strategy_streaming_llm, &mdl_strategy_razor,    &mdl_strategy_h2o,     &mdl_strategy_snapkv,
    &mdl_strategy_pyramidkv,     &mdl_strategy_raas,     &mdl_strategy_quest,   &mdl_strategy_arkvale,
    &mdl_strategy_infinigen,     &mdl_strategy_shadowkv, &mdl_strategy_freekv,
};

size_t mdl_strategy_count(void)
{
    return sizeof list / sizeof *list;
}

const struct mdl_strategy *mdl_strategy_at(size_t i)
{
    return i < mdl_strategy_count() ? list[i] : NULL;
}
