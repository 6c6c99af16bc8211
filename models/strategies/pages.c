#include "models/strategies/pages.h"

#include <math.h>

#include "models/strategies/parts.h"

double mdl_kv_kept_tokens(struct sim_kv_length at, uint32_t budget, bool evicts_in_decode)
{
    struct sim_kv_rule rule = {.budget = budget, .evicts_in_decode = evicts_in_decode};
    return sim_kv_kept(&rule, at);
}

double mdl_kv_capped(struct sim_kv_length at, double cap_tokens)
{
    return fmin(at.tokens, cap_tokens);
}

uint32_t mdl_kv_managed_layers(const struct mdl_kv_use *u)
{
    double skipped = u->value[MDL_KV_SKIP_LAYERS];
    if (!(skipped > 0)) return u->n_layers;
    return skipped < u->n_layers ? u->n_layers - (uint32_t)skipped : 0;
}

double mdl_kv_managed_frac(const struct mdl_kv_use *u)
{
    return (double)mdl_kv_managed_layers(u) / u->n_layers;
}

double mdl_kv_managed_bytes(const struct mdl_kv_use *u)
{
    return 2 * mdl_kv_key_bytes(u) * mdl_kv_managed_layers(u);
}

double mdl_kv_key_bytes(const struct mdl_kv_use *u)
{
    return (double)u->kv_heads * u->head_dim * MDL_BF16_BYTES;
}

double mdl_kv_layer_page_bytes(const struct mdl_kv_use *u)
{
    return 2 * mdl_kv_key_bytes(u) * u->value[MDL_KV_PAGE];
}

double mdl_kv_digest_bytes(const struct mdl_kv_use *u)
{
    return mdl_kv_managed_bytes(u) / u->value[MDL_KV_PAGE];
}

struct mdl_work mdl_kv_digest_build(const struct mdl_kv_use *u)
{
    return (struct mdl_work){.bytes = mdl_kv_managed_bytes(u) / 2 + mdl_kv_digest_bytes(u),
                             .launches = mdl_kv_managed_layers(u)};
}

struct mdl_work mdl_kv_digest_score(const struct mdl_kv_use *u)
{
    double flops_page = 4.0 * u->q_heads * u->head_dim * mdl_kv_managed_layers(u);
    return (struct mdl_work){.flops = flops_page / u->value[MDL_KV_PAGE], .bytes = mdl_kv_digest_bytes(u)};
}

struct mdl_work mdl_work_sum(struct mdl_work a, struct mdl_work b)
{
    return (struct mdl_work){a.flops + b.flops, a.bytes + b.bytes, a.launches + b.launches};
}

void mdl_kv_add_budgeted(const struct mdl_kv_use *u, uint32_t page_tokens, struct mdl_kv_memory *out)
{
    double managed = mdl_kv_managed_bytes(u), dense = mdl_kv_token_bytes(u) - managed;
    struct mdl_kv_part pages = mdl_kv_pages("pages", SIM_KV_GPU, managed, page_tokens);
    pages.kept = true;
    mdl_kv_add_part(out, pages);
    if (dense > 0) mdl_kv_add_part(out, mdl_kv_pages("dense layers", SIM_KV_GPU, dense, page_tokens));
    out->dense_frac = 1 - mdl_kv_managed_frac(u);
}

void mdl_kv_add_digests(const struct mdl_kv_use *u, bool kept, struct mdl_kv_memory *out)
{
    struct mdl_kv_part digests =
        mdl_kv_pages("digests", SIM_KV_GPU, mdl_kv_digest_bytes(u), mdl_kv_count(u, MDL_KV_PAGE));
    digests.kept = kept;
    mdl_kv_add_part(out, digests);
}

void mdl_kv_keep_digests(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    struct mdl_work build = mdl_kv_digest_build(u);
    build.launches /= u->value[MDL_KV_PAGE];
    out->seq = mdl_work_sum(out->seq, build);
}

void mdl_kv_select_pages(const struct mdl_kv_use *u, double kernels_layer, struct mdl_kv_decode *out)
{
    double layers = mdl_kv_managed_layers(u);
    out->decode_efficiency = MDL_KV_DECODE_EFFICIENCY;
    out->select_token = mdl_kv_digest_score(u);
    out->select_seq.launches = kernels_layer * layers;
    out->select_fixed_s = MDL_KV_TOPK_LAYER_S * layers;
}

/* ---- pages on the host ---- */

double mdl_kv_offloaded_gpu_bytes(const struct mdl_kv_use *u, struct sim_kv_length at, uint32_t budget)
{
    double dense = mdl_kv_token_bytes(u) - mdl_kv_managed_bytes(u);
    return mdl_kv_managed_bytes(u) * mdl_kv_kept_tokens(at, budget, true) +
           (dense + mdl_kv_digest_bytes(u)) * at.tokens;
}

double mdl_kv_offloaded_host_bytes(const struct mdl_kv_use *u, struct sim_kv_length at)
{
    return mdl_kv_managed_bytes(u) * at.tokens;
}

void mdl_kv_offloaded_memory(const struct mdl_kv_use *u, uint32_t budget, struct mdl_kv_memory *out)
{
    uint32_t page = mdl_kv_count(u, MDL_KV_PAGE);
    *out = mdl_kv_keeps_all();
    out->budget = budget;
    out->evicts_in_decode = true;
    out->read_cap = out->select_after = mdl_kv_count(u, MDL_KV_BUDGET);
    mdl_kv_add_budgeted(u, page, out);
    mdl_kv_add_digests(u, false, out);
    mdl_kv_add_part(out, mdl_kv_pages("pages", SIM_KV_HOST, mdl_kv_managed_bytes(u), page));
}

/* What pages by head cost the GPU, read and written once per token, in kernels that take so many tokens each. Host by
 * head and GPU by token (hybrid): a page is transposed before it goes down. By head on both: K and V, which come by
 * token, are transposed as they are appended. */
static struct mdl_work transpose(const struct mdl_kv_use *u, double kernels)
{
    if (mdl_kv_layout_of(u) == MDL_NHD) return (struct mdl_work){0};
    return (struct mdl_work){.bytes = 2 * mdl_kv_managed_bytes(u), .launches = kernels};
}

void mdl_kv_offload_prompt(const struct mdl_kv_use *u, struct mdl_kv_prefill *out)
{
    double layers = mdl_kv_managed_layers(u);
    *out = (struct mdl_kv_prefill){.token = mdl_work_sum(mdl_kv_digest_build(u), transpose(u, layers)),
                                   .end = {.launches = 3 * layers}, /* scores, top-k, page table */
                                   .end_token = mdl_kv_digest_score(u),
                                   .end_after = mdl_kv_count(u, MDL_KV_BUDGET),
                                   .down_bytes = mdl_kv_managed_bytes(u),
                                   .down_fragment_bytes = mdl_kv_layer_page_bytes(u)};
}

void mdl_kv_offload_decoded(const struct mdl_kv_use *u, struct mdl_kv_decode *out)
{
    double layers = mdl_kv_managed_layers(u), pages_step = layers / u->value[MDL_KV_PAGE];
    mdl_kv_keep_digests(u, out);
    out->seq = mdl_work_sum(out->seq, transpose(u, mdl_kv_layout_of(u) == MDL_HND ? layers : pages_step));
    out->down_copies = pages_step;
    out->down_fragment_bytes = mdl_kv_layer_page_bytes(u);
}

/* ---- checks ---- */

static double given(const struct mdl_kv_use *u, enum mdl_kv_key key)
{
    return u->value[key] > 0 ? u->value[key] : 0;
}

bool mdl_kv_check_budget(const struct mdl_kv_use *u, struct sim_status *st)
{
    double budget = u->value[MDL_KV_BUDGET], page = u->value[MDL_KV_PAGE];
    double always = given(u, MDL_KV_SINK) + given(u, MDL_KV_RECENT);
    if (budget < always)
        return sim_fail(st,
                        "kv.budget: %g tokens are less than kv.sink + kv.recent, which are always kept; "
                        "expected at least %g, or fewer of those",
                        budget, always);
    if (page > 0 && fmod(budget, page) != 0)
        return sim_fail(
            st, "kv.budget: %g tokens are no whole number of pages; expected a multiple of kv.page %g",
            budget, page);
    return true;
}

bool mdl_kv_check_pages(const struct mdl_kv_use *u, double pages, struct sim_status *st)
{
    if (!mdl_kv_check_budget(u, st)) return false;
    if (pages >= 1) return true;
    return sim_fail(
        st,
        "kv.budget: %g tokens leave no page to select beside what is always kept; expected at least "
        "kv.page = %g tokens more",
        u->value[MDL_KV_BUDGET], u->value[MDL_KV_PAGE]);
}

bool mdl_kv_check_no_graph(const struct mdl_kv_use *u, const char *why, struct sim_status *st)
{
    if (u->value[MDL_KV_GRAPH] == MDL_GRAPH_NO) return true;
    return sim_fail(st, "kv.graph: %s, which no CUDA graph can hold; expected no", why);
}
