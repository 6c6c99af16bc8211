/* What a step of paper 1's measurements costs: prompts whole in one step, or decodes at their mean length. */
#include "experiments/published/p1.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/host.h"
#include "sim/check.h"
#include "sim/memory.h"

enum { MOST_PROMPTS = 128, MOST_TOKENS = 1 << 17, MOST_SEQUENCES = 128, MOST_LENGTH = 8192 };

/* ---- the machine ---- */

static bool load_parts(struct exp_p1_machine *m, const char *data_dir, struct sim_status *st)
{
    char *gpus = sim_printf("%s/models/gpus.csv", data_dir);
    char *profile = sim_printf("%s/calib/profiles/a6000-vidur", data_dir);
    m->gpus = mdl_gpu_catalogue_load(gpus, st);
    m->gpu = m->gpus ? mdl_gpu_find(m->gpus, "a6000", st) : NULL;
    m->profile = m->gpu ? mdl_profile_load(profile, m->gpu, st) : NULL;
    free(gpus);
    free(profile);
    return m->profile && mdl_arch_load(data_dir, "llama-2-7b", &m->arch, st) &&
           mdl_engine_load(data_dir, "lmdeploy-0.6", &m->engine, st);
}

bool exp_p1_machine_init(struct exp_p1_machine *m, const struct exp_study_run *r, struct sim_status *st)
{
    *m = (struct exp_p1_machine){0};
    if (load_parts(m, r->data_dir, st) &&
        exp_constant_value(r->constants, "p1.attention_factor", &m->attention_factor, st) &&
        exp_constant_value(r->constants, "p1.allreduce_factor", &m->allreduce_factor, st) &&
        exp_constant_value(r->constants, "p1.generated_tokens", &m->generated_tokens, st) &&
        exp_constant_value(r->constants, "p1.lm_head_rows", &m->lm_head_rows, st)) {
        m->host = mdl_host_of(m->gpu);
        return true;
    }
    exp_p1_machine_fini(m);
    return false;
}

void exp_p1_machine_fini(struct exp_p1_machine *m)
{
    mdl_profile_free(m->profile);
    mdl_gpu_catalogue_free(m->gpus);
    *m = (struct exp_p1_machine){0};
}

/* ---- one method ---- */

/* p1.<method>.<parameter> where declared and not given, NaN elsewhere. */
static void declared(const struct exp_p1_method *method, const double *given, struct exp_constants *constants,
                     double out[MDL_N_KV_KEY])
{
    for (int k = 0; k < MDL_N_KV_KEY; k++) {
        char name[96];
        snprintf(name, sizeof name, "p1.%s.%s", method->name, mdl_kv_key_info((enum mdl_kv_key)k)->name);
        const struct exp_constant *c = exp_constant_find(constants, name);
        out[k] = given && !isnan(given[k]) ? given[k] : c ? c->value : NAN;
    }
}

/* p1.<method>.prefill_attention: the method's prefill attention over fp16's, time over time. */
static double prefill_attention(const struct exp_p1_method *method, struct exp_constants *constants)
{
    char name[96];
    snprintf(name, sizeof name, "p1.%s.prefill_attention", method->name);
    const struct exp_constant *c = exp_constant_find(constants, name);
    return c ? c->value : 1;
}

static bool make_cost(struct exp_p1_price *p, double prefill_factor, struct sim_status *st)
{
    const struct exp_p1_machine *m = p->machine;
    struct mdl_cost_spec spec = {.arch = &m->arch,
                                 .gpu = m->gpu,
                                 .profile = m->profile,
                                 .engine = &m->engine,
                                 .weights = MDL_BF16,
                                 .kv = MDL_BF16,
                                 .tensor_parallel = p->tensor_parallel,
                                 .pipeline_parallel = 1,
                                 .max_num_seqs = MOST_SEQUENCES,
                                 .max_num_batched_tokens = MOST_TOKENS,
                                 .kv_capacity_tokens = MOST_TOKENS,
                                 .use = &p->use,
                                 .plan = &p->plan,
                                 .host = &m->host};
    spec.family_factor[MDL_ATTN_DECODE] = m->attention_factor;
    spec.family_factor[MDL_ATTN_PREFILL] = m->attention_factor * prefill_factor;
    spec.family_factor[MDL_ALLREDUCE] = m->allreduce_factor;
    p->cost = mdl_cost_new(&spec, st);
    return p->cost != NULL;
}

bool exp_p1_price_init(struct exp_p1_price *p, const struct exp_p1_machine *m, enum exp_p1_id method,
                       uint32_t tp, const double given[MDL_N_KV_KEY], struct exp_constants *constants,
                       struct sim_status *st)
{
    double values[MDL_N_KV_KEY];
    struct exp_p1_price price = {.machine = m, .tensor_parallel = tp};
    const struct mdl_strategy *s = mdl_strategy_find(exp_p1_methods[method].strategy, st);
    if (!s) return false;
    declared(&exp_p1_methods[method], given, constants, values);
    double prefill_factor = prefill_attention(&exp_p1_methods[method], constants);
    if (!mdl_kv_use_init(&price.use, s, values, &m->arch, tp, m->arch.n_layers, m->engine.block_size, st) ||
        !mdl_kv_plan_init(&price.plan, &price.use, MOST_LENGTH, st) || !make_cost(&price, prefill_factor, st))
        return false;
    price.head = mdl_gemm_curve_new(m->profile, MDL_BF16, (m->arch.vocab + tp - 1) / tp, m->arch.hidden);
    *p = price;
    return true;
}

void exp_p1_price_fini(struct exp_p1_price *p)
{
    mdl_gemm_curve_free(p->head);
    mdl_cost_free(p->cost);
    *p = (struct exp_p1_price){0};
}

/* ---- steps ---- */

double exp_p1_prefill_s(const struct exp_p1_price *p, uint32_t batch, uint32_t prompt)
{
    struct sim_chunk chunks[MOST_PROMPTS];
    struct sim_price price;
    SIM_CHECK(batch <= MOST_PROMPTS);
    for (uint32_t i = 0; i < batch; i++) chunks[i] = (struct sim_chunk){.new_tokens = prompt, .last = true};
    struct sim_batch b = {
        .n_chunks = batch, .chunks = chunks, .new_tokens = (uint64_t)batch * prompt, .n_outputs = batch};
    const struct sim_cost *base = mdl_cost_base(p->cost);
    base->price(base, &b, 0, &price);
    double rows =
        (double)batch * (prompt - 1.0) * p->machine->lm_head_rows; /* beside those that the price has */
    return price.step_s + mdl_gemm_curve_at(p->head, rows + batch).s - mdl_gemm_curve_at(p->head, batch).s;
}

double exp_p1_decode_s(const struct exp_p1_price *p, uint32_t batch, uint32_t prompt)
{
    double kept, all = prompt + 0.5 * p->machine->generated_tokens;
    struct sim_kv_length at = {.tokens = (uint32_t)all, .filled = prompt};
    struct sim_price price;
    kept = sim_kv_read(&p->plan.rule, at) + (all - at.tokens);
    struct sim_batch b = {.decode = {.kept = (uint64_t)llround(kept * batch),
                                     .all = (uint64_t)llround(all * batch),
                                     .n_seqs = batch},
                          .new_tokens = batch,
                          .n_outputs = batch};
    const struct sim_cost *base = mdl_cost_base(p->cost);
    base->price(base, &b, 0, &price);
    return price.step_s;
}

void exp_p1_predict(const struct exp_p1_price *p, struct exp_p1_points *points)
{
    for (uint32_t i = 0; i < points->n; i++) {
        struct exp_p1_point *x = &points->point[i];
        x->predicted_s = x->stage == EXP_P1_PREFILL ? exp_p1_prefill_s(p, x->batch, x->prompt)
                                                    : exp_p1_decode_s(p, x->batch, x->prompt);
    }
}
