/* What a configuration must be for sim_run to be able to end: the first value that cannot be is named. */
#include "sim/cluster.h"

#include <inttypes.h>
#include <math.h>

static bool check_engine(const struct sim_fleet *f, struct sim_status *st)
{
    const struct sim_engine *e = &f->engine;
    if (!e->max_num_seqs || !e->block_size || !e->max_model_len)
        return sim_fail(st, "fleet %s: max_num_seqs, block_size and max_model_len must be at least 1",
                        f->name);
    if (e->max_num_batched_tokens < e->max_num_seqs)
        return sim_fail(
            st,
            "fleet %s: max_num_batched_tokens %" PRIu32 " is below max_num_seqs %" PRIu32
            ", expected at least one token for each running request; raise it or lower max_num_seqs",
            f->name, e->max_num_batched_tokens, e->max_num_seqs);
    struct sim_kv_rule full = sim_kv_full(e->block_size);
    const struct sim_kv_rule *kv = f->kv ? f->kv : &full;
    struct sim_kv_length longest = {e->max_model_len, e->max_model_len};
    uint64_t need = sim_kv_need(kv, SIM_KV_GPU, longest), host = sim_kv_need(kv, SIM_KV_HOST, longest);
    if (e->n_host_blocks < host)
        return sim_fail(st,
                        "fleet %s: host memory of %" PRIu64
                        " units cannot hold one request of max_model_len %" PRIu32 " (%" PRIu64
                        " units); lower max_model_len or give more host memory",
                        f->name, e->n_host_blocks, e->max_model_len, host);
    if (e->n_blocks < need)
        return sim_fail(st,
                        "fleet %s: %" PRIu64 " KV blocks of %" PRIu32
                        " tokens cannot hold one request of max_model_len %" PRIu32 " (%" PRIu64
                        " blocks); lower max_model_len or use more GPU memory",
                        f->name, e->n_blocks, e->block_size, e->max_model_len, need);
    if (e->watermark_blocks >= e->n_blocks)
        return sim_fail(st, "fleet %s: watermark of %" PRIu64 " blocks leaves none of %" PRIu64 "; lower it",
                        f->name, e->watermark_blocks, e->n_blocks);
    if (!(e->ingress_s >= 0) || !(e->egress_s >= 0) || !isfinite(e->ingress_s) || !isfinite(e->egress_s))
        return sim_fail(st, "fleet %s: ingress_s and egress_s must be finite and at least 0", f->name);
    return true;
}

/* Pages that can be counted: none empty, all in step with the period. */
static bool check_rule(const struct sim_fleet *f, const struct sim_kv_rule *k, struct sim_status *st)
{
    if (!k->n_terms || k->n_terms > SIM_KV_TERMS || !k->period || !k->term[0].units)
        return sim_fail(st, "fleet %s: a KV rule without pages", f->name);
    for (uint32_t i = 0; i < k->n_terms; i++) {
        const struct sim_kv_term *t = &k->term[i];
        if (!t->page_tokens || k->period % t->page_tokens)
            return sim_fail(
                st, "fleet %s: pages of %" PRIu32 " tokens, expected a divisor of the period %" PRIu32,
                f->name, t->page_tokens, k->period);
    }
    return true;
}

/* Whoever falls back must fit alone, or nobody would ever be served. */
static bool check_fallback(const struct sim_fleet *f, struct sim_status *st)
{
    const struct sim_engine *e = &f->engine;
    uint32_t period = f->kv ? f->kv->period : e->block_size, longest = e->max_model_len;
    if (!f->plain) return sim_fail(st, "fleet %s: a fallback needs a rule to fall back to", f->name);
    if (!check_rule(f, f->plain, st)) return false;
    if (period % f->plain->period)
        return sim_fail(st,
                        "fleet %s: the rule to fall back to grows every %" PRIu32
                        " tokens, expected a divisor of %" PRIu32,
                        f->name, f->plain->period, period);
    if (f->fallback == SIM_FALLBACK_SHORT && f->fallback_tokens <= longest)
        longest = f->fallback_tokens ? f->fallback_tokens - 1 : 0;
    uint64_t need = sim_kv_need(f->plain, SIM_KV_GPU, (struct sim_kv_length){longest, longest});
    if (need > e->n_blocks)
        return sim_fail(st,
                        "fleet %s: a request of %" PRIu32 " tokens that falls back needs %" PRIu64
                        " units of GPU memory, there are %" PRIu64
                        "; lower max_model_len or fallback.below_tokens",
                        f->name, longest, need, e->n_blocks);
    return e->preemption != SIM_SWAP ||
           sim_fail(
               st,
               "fleet %s: preemption by swap and a fallback, expected one of them: what was dropped cannot "
               "come back",
               f->name);
}

static bool check_strategy(const struct sim_fleet *f, struct sim_status *st)
{
    if (f->kv && !check_rule(f, f->kv, st)) return false;
    if (f->fallback != SIM_FALLBACK_NEVER && !check_fallback(f, st)) return false;
    if ((f->length_factor != NULL) != (f->n_length_factors > 0))
        return sim_fail(st, "fleet %s: length factors without a number of them", f->name);
    for (uint32_t i = 0; i < f->n_length_factors; i++)
        if (!(f->length_factor[i] >= 0) || !isfinite(f->length_factor[i]))
            return sim_fail(st, "fleet %s: length factor %g, expected a finite number of at least 0", f->name,
                            (double)f->length_factor[i]);
    if (f->replicas_per_link > SIM_LINK_USERS)
        return sim_fail(st, "fleet %s: %" PRIu32 " replicas on one host link, expected at most %d", f->name,
                        f->replicas_per_link, SIM_LINK_USERS);
    return true;
}

static bool check_later(const struct sim_fleet *f, struct sim_status *st)
{
    for (uint32_t i = 0; i < f->n_later; i++) {
        const struct sim_cost_phase *p = &f->later[i];
        double before_s = i ? p[-1].from_s : 0;
        if (!isfinite(p->from_s) || !(p->from_s >= before_s))
            return sim_fail(st, "fleet %s: costs change at %g s, expected finite times in order", f->name,
                            p->from_s);
        if (!p->cost || p->cost->n_stages != f->cost->n_stages)
            return sim_fail(st, "fleet %s: later costs need as many pipeline stages as the first", f->name);
    }
    return true;
}

static bool check_fleets(const struct sim_config *c, struct sim_status *st)
{
    uint64_t n = 0;
    for (uint32_t f = 0; f < c->n_fleets; f++) {
        n += c->fleets[f].n_replicas;
        if (!c->fleets[f].cost || c->fleets[f].cost->n_stages < 1 ||
            c->fleets[f].cost->n_stages > SIM_MAX_STAGES)
            return sim_fail(st, "fleet %s: expected 1 to %d pipeline stages", c->fleets[f].name,
                            SIM_MAX_STAGES);
        if (!check_later(&c->fleets[f], st)) return false;
        if (!check_strategy(&c->fleets[f], st) || !check_engine(&c->fleets[f], st)) return false;
    }
    if (!n || n > UINT16_MAX)
        return sim_fail(st, "%" PRIu64 " replicas, expected 1 to %d in all", n, UINT16_MAX);
    return true;
}

static bool check_requests(const struct sim_config *c, struct sim_status *st)
{
    const struct sim_load *load = &c->load;
    if (load->n_requests >= UINT32_MAX)
        return sim_fail(st, "%" PRIu64 " requests, expected fewer than %" PRIu32, load->n_requests,
                        UINT32_MAX);
    for (uint64_t i = 0; i < load->n_requests; i++) {
        const struct sim_request *q = &load->requests[i];
        if (!q->input_tokens || !q->output_tokens || q->slo_class >= c->n_classes)
            return sim_fail(st, "request %" PRIu64 ": expected at least 1 token in and out and a known class",
                            i);
        if (load->concurrency) continue;
        if (!(q->arrival_s >= 0) || !isfinite(q->arrival_s) || (i && q->arrival_s < q[-1].arrival_s))
            return sim_fail(st, "request %" PRIu64 ": expected arrivals at finite times, sorted", i);
    }
    return true;
}

static bool check_plan(const struct sim_config *c, struct sim_status *st)
{
    return !c->plan_row || !c->fast_forward ||
           sim_fail(st, "a plan needs every batch to be formed, expected fast_forward off");
}

bool sim_config_check(const struct sim_config *c, struct sim_status *st)
{
    if (!c->router) return sim_fail(st, "no router");
    if (!c->n_classes || c->n_classes > SIM_MAX_CLASSES)
        return sim_fail(st, "%" PRIu32 " classes, expected 1 to %d", c->n_classes, SIM_MAX_CLASSES);
    if (!(c->load.think_time_s >= 0) || !isfinite(c->load.think_time_s))
        return sim_fail(st, "think_time_s must be finite and at least 0");
    const struct sim_predictor *p = &c->predictor;
    if (!(p->throughput_accuracy >= 0 && p->throughput_accuracy <= 1 && p->length_accuracy >= 0 &&
          p->length_accuracy <= 1))
        return sim_fail(st, "accuracies of the predictor are shares, expected 0 to 1");
    return check_plan(c, st) && check_fleets(c, st) && check_requests(c, st);
}
