#include "sim/cost.h"

#include <math.h>
#include <string.h>

static void linear_price(const struct sim_cost *base, const struct sim_batch *b, uint32_t stage,
                         struct sim_price *out)
{
    (void)stage;
    const struct sim_cost_linear *c = (const struct sim_cost_linear *)base;
    memset(out, 0, sizeof *out);
    out->step_s = c->step_s + c->token_s * (double)b->new_tokens + c->kv_token_s * (double)b->decode.kept;
    out->gpu_s = out->step_s;
    out->by_evidence_s[SIM_ANALYTIC] = out->gpu_s;
}

static void linear_decode_line(const struct sim_cost *base, const struct sim_reads *reads,
                               struct sim_decode_line *out)
{
    const struct sim_cost_linear *c = (const struct sim_cost_linear *)base;
    memset(out, 0, sizeof *out);
    out->kv_end = INFINITY;
    out->kept_frac = 1;
    out->gpu_base_s = c->step_s + c->token_s * reads->n_seqs;
    out->gpu_slope_s = c->kv_token_s;
    out->attention = SIM_ANALYTIC;
    out->base_by_evidence_s[SIM_ANALYTIC] = out->gpu_base_s;
}

static double linear_transfer_s(const struct sim_cost *base, uint64_t new_tokens)
{
    (void)base;
    (void)new_tokens;
    return 0;
}

void sim_cost_linear_init(struct sim_cost_linear *c, double step_s, double token_s, double kv_token_s)
{
    *c = (struct sim_cost_linear){.base = {.n_stages = 1,
                                           .price = linear_price,
                                           .decode_line = linear_decode_line,
                                           .transfer_s = linear_transfer_s},
                                  .step_s = step_s,
                                  .token_s = token_s,
                                  .kv_token_s = kv_token_s};
}
