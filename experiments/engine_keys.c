#include "experiments/engine_keys.h"

#include <math.h>
#include <stddef.h>

static const char default_engine[] = "vllm-0.24";

static const struct exp_number *at(const struct exp_engine_keys *k, size_t offset)
{
    return (const struct exp_number *)((const char *)k + offset);
}

/* The fleet's own value, else the scenario's; not given when neither says. */
static struct exp_number pick(const struct exp_engine_choice *e, size_t offset)
{
    const struct exp_number *own = at(e->own, offset);
    return own->given ? *own : *at(e->all, offset);
}
#define PICK(e, field) pick(e, offsetof(struct exp_engine_keys, field))

/* The scenario's overrides over the engine file's settings. */
static void override(struct mdl_engine *engine, const struct exp_engine_choice *e)
{
    struct exp_number n;
    if ((n = PICK(e, block_size)).given) engine->block_size = (uint32_t)n.value;
    if ((n = PICK(e, gpu_memory_utilization)).given) engine->gpu_memory_utilization = n.value;
    if ((n = PICK(e, long_prefill_token_threshold)).given)
        engine->long_prefill_token_threshold = (uint32_t)n.value;
    if ((n = PICK(e, watermark)).given) engine->watermark_frac = n.value;
    if ((n = PICK(e, reserve_full_isl)).given) engine->reserve_full_isl = n.value != 0;
    if ((n = PICK(e, async_scheduling)).given) engine->async_scheduling = n.value != 0;
    if (e->enforce_eager) engine->n_capture_sizes = 0;
}

bool exp_engine_choose(struct exp_fleet_setup *f, const struct exp_scenario *s, uint32_t fleet,
                       struct exp_cache *cache, struct exp_engine_choice *out, struct sim_status *st)
{
    struct exp_engine_choice e = {.own = &s->fleet[fleet].engine, .all = &s->engine};
    const char *name = e.own->name[0] ? e.own->name : e.all->name[0] ? e.all->name : default_engine;
    const struct mdl_engine *file = exp_cache_engine(cache, name, st);
    if (!file) return false;
    f->engine = *file;
    const struct mdl_engine_default *d = mdl_engine_default_for(file, f->gpu);
    struct exp_number seqs = PICK(&e, max_num_seqs), tokens = PICK(&e, max_num_batched_tokens);
    struct exp_number length = PICK(&e, max_model_len);
    e.max_num_seqs = seqs.given ? (uint32_t)seqs.value : d->max_num_seqs;
    e.max_num_batched_tokens = tokens.given ? (uint32_t)tokens.value : d->max_num_batched_tokens;
    e.max_model_len = (uint32_t)length.value;
    e.max_model_len_given = length.given;
    e.num_gpu_blocks_override = (uint64_t)PICK(&e, num_gpu_blocks_override).value;
    e.enforce_eager = PICK(&e, enforce_eager).value != 0;
    e.policy = (enum sim_policy)PICK(&e, scheduling_policy).value;
    e.preemption = (enum sim_preemption)PICK(&e, preemption).value;
    e.linear = s->cost_kind == EXP_COST_LINEAR;
    override(&f->engine, &e);
    *out = e;
    return true;
}

static const char *flag_word(bool on)
{
    return on ? "true" : "false";
}

/* The pool in the engine's own blocks, whatever the strategy's pages are. */
static double blocks_of(const struct mdl_memory *m)
{
    return m->unit_bytes == m->block_bytes ? (double)m->blocks
                                           : floor((double)m->blocks * m->unit_bytes / m->block_bytes);
}

void exp_engine_describe(struct exp_fleet_setup *f, const struct exp_engine_choice *e)
{
    const struct mdl_engine *engine = &f->engine;
    const struct exp_setting settings[EXP_N_SETTINGS] = {
        {"max_num_seqs", "", e->max_num_seqs, NULL, !PICK(e, max_num_seqs).given},
        {"max_num_batched_tokens", "tokens", e->max_num_batched_tokens, NULL,
         !PICK(e, max_num_batched_tokens).given},
        {"max_model_len", "tokens", e->max_model_len, NULL, !e->max_model_len_given},
        {"block_size", "tokens", engine->block_size, NULL, !PICK(e, block_size).given},
        {"num_gpu_blocks", "", blocks_of(&f->memory), NULL, !PICK(e, num_gpu_blocks_override).given},
        {"gpu_memory_utilization", "", engine->gpu_memory_utilization, NULL,
         !PICK(e, gpu_memory_utilization).given},
        {"long_prefill_token_threshold", "tokens", engine->long_prefill_token_threshold, NULL,
         !PICK(e, long_prefill_token_threshold).given},
        {"watermark", "", engine->watermark_frac, NULL, !PICK(e, watermark).given},
        {"reserve_full_isl", "", 0, flag_word(engine->reserve_full_isl), !PICK(e, reserve_full_isl).given},
        {"scheduling_policy", "", 0, e->policy == SIM_PRIORITY ? "priority" : "fcfs",
         !PICK(e, scheduling_policy).given},
        {"preemption", "", 0, e->preemption == SIM_SWAP ? "swap (not vLLM v1)" : "recompute",
         !PICK(e, preemption).given},
        {"async_scheduling", "", 0, flag_word(engine->async_scheduling), !PICK(e, async_scheduling).given},
        {"enforce_eager", "", 0, flag_word(e->enforce_eager), !PICK(e, enforce_eager).given},
    };
    for (int i = 0; i < EXP_N_SETTINGS; i++) f->settings[i] = settings[i];
}
