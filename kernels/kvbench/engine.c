#include "kernels/kvbench/engine.h"

#include <stdlib.h>

#include "kernels/kvbench/engine_parts.h"
#include "kernels/kvbench/util.h"
#include "kernels/link.h"
#include "kernels/split.h"

enum { RESIDUAL_TOKENS = 128, CACHES = 8, SPLITS_PER_UNIT = 8 };

static const double MEMORY_FRAC = 0.95;

/* --- sizes --- */

uint32_t kvb_split_room(const struct kb_device *d, uint32_t n_seqs, uint32_t n_kv_heads)
{
    uint32_t lists = n_seqs * n_kv_heads, n = SPLITS_PER_UNIT * d->info.units / (lists ? lists : 1) + 2;
    return n < KB_MAX_SPLITS ? n : KB_MAX_SPLITS;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void kvb_engine_size_add(struct kvb_engine_size *s, const struct kvb_batch *b, const struct kb_device *d,
                         const struct kb_model *m)
{
    uint64_t partial = (uint64_t)b->n_decode * kvb_split_room(d, b->n_decode, kvb_arch_share(m).n_kv_heads);
    s->n_prompt_pages = larger(s->n_prompt_pages, b->n_prompt_pages);
    s->n_tokens = larger(s->n_tokens, b->n_tokens);
    s->n_seqs = larger(s->n_seqs, b->n_seqs);
    s->n_yields = larger(s->n_yields, b->n_yields);
    s->n_recalled = larger(s->n_recalled, b->n_recalled);
    if (b->n_words > s->n_words) s->n_words = b->n_words;
    if (partial > s->n_partial) s->n_partial = partial;
}

/* --- buffers --- */

static void add(struct kb_case *c, enum kb_fill fill, uint64_t bytes)
{
    kb_case_buffer(c, KB_INOUT, fill, KB_TYPE_BYTES, bytes);
}

static struct kb_case *describe_layer(const struct kvb_engine *e, const struct kvb_engine_size *s)
{
    static const enum kb_fill codes[KB_N_FORMAT] = {KB_FILL_NORMAL, KB_FILL_FP8,   KB_FILL_BYTES,
                                                    KB_FILL_BYTES,  KB_FILL_BYTES, KB_FILL_BYTES};
    struct kb_case *c = kvb_alloc(1, sizeof *c);
    uint64_t hidden = e->o.model.hidden;
    add(c, KB_FILL_NORMAL, 2 * hidden * kvb_whole16(kvb_qkv_width(e)));
    add(c, KB_FILL_NORMAL, 2ull * kvb_whole16(e->o.model.hidden) * kvb_q_width(e));
    add(c, KB_FILL_NORMAL, 2 * hidden * kvb_whole16(2 * e->share.intermediate));
    add(c, KB_FILL_NORMAL, 2ull * kvb_whole16(e->o.model.hidden) * e->share.intermediate);
    add(c, KB_FILL_NORMAL, 2 * hidden);
    add(c, codes[e->paged.format], kb_pool_bytes(&e->paged));
    add(c, KB_FILL_SCALES, kb_k_scale_bytes(&e->paged));
    add(c, KB_FILL_SCALES, kb_v_scale_bytes(&e->paged));
    add(c, KB_FILL_NORMAL, kb_residual_bytes(&e->paged, s->n_seqs));
    return c;
}

static struct kb_case *describe_flow(const struct kvb_engine *e, const struct kvb_engine_size *s)
{
    struct kb_case *c = kvb_alloc(1, sizeof *c);
    uint64_t row = 2ull * s->n_tokens, hidden = kvb_whole16(e->o.model.hidden);
    add(c, KB_FILL_NORMAL, row * hidden);
    add(c, KB_FILL_NORMAL, row * hidden);
    add(c, KB_FILL_NORMAL, row * hidden);
    add(c, KB_FILL_NORMAL, row * kvb_whole16(kvb_qkv_width(e)));
    add(c, KB_FILL_NORMAL, row * kvb_q_width(e));
    add(c, KB_FILL_NORMAL, row * kvb_kv_width(e));
    add(c, KB_FILL_NORMAL, row * kvb_kv_width(e));
    add(c, KB_FILL_NORMAL, row * kvb_q_width(e));
    add(c, KB_FILL_NORMAL, row * kvb_whole16(2 * e->share.intermediate));
    add(c, KB_FILL_NORMAL, row * e->share.intermediate);
    add(c, KB_FILL_NORMAL, 2ull * s->n_yields * kvb_whole16(e->share.vocab));
    add(c, KB_FILL_POISON, 4ull * s->n_yields);
    return c;
}

static struct kb_case *describe_rest(const struct kvb_engine *e, const struct kvb_engine_size *s)
{
    struct kb_case *c = kvb_alloc(1, sizeof *c);
    add(c, KB_FILL_NORMAL, 2ull * e->o.model.hidden * kvb_whole16(e->share.vocab));
    add(c, KB_FILL_POISON, 4ull * s->n_tokens * e->share.n_q_heads);
    add(c, KB_FILL_POISON, 4 * s->n_partial * e->share.n_q_heads * (e->o.model.head_dim + 2));
    add(c, KB_FILL_NORMAL, e->o.format == KB_BF16 ? 0 : kb_pool_bytes(&e->prompt_paged));
    add(c, KB_FILL_POISON, 4 * s->n_words);
    return c;
}

static struct kb_paged paged_of(const struct kvb_engine *e, enum kb_format format, uint32_t n_pages)
{
    return (struct kb_paged){.format = format,
                             .layout = KB_NHD,
                             .page_tokens = e->o.page_tokens,
                             .n_pages = n_pages,
                             .n_kv_heads = e->share.n_kv_heads,
                             .head_dim = e->o.model.head_dim,
                             .table_heads = 1,
                             .residual_tokens = RESIDUAL_TOKENS,
                             .k_scale = 1,
                             .v_scale = 1};
}

/* So many layers that the cache has forgotten one when its turn comes again. */
static uint32_t choose_layers(const struct kvb_engine *e, uint64_t layer_bytes)
{
    uint64_t n = CACHES * e->device->info.cache_bytes / layer_bytes + 1;
    if (n < 2) n = 2;
    if (e->o.n_distinct_layers) n = e->o.n_distinct_layers;
    return n < e->o.model.n_layers ? (uint32_t)n : e->o.model.n_layers;
}

uint64_t kvb_page_bytes(const struct kb_paged *p)
{
    return kb_pool_bytes(p) / (p->n_pages ? p->n_pages : 1);
}

static bool load_all(struct kvb_engine *e, struct kb_case *const *of, struct kb_error *err)
{
    uint64_t there = e->device->ops->memory_free(e->device);
    if ((double)e->bytes > MEMORY_FRAC * (double)there)
        return kb_fail(
            err,
            "the plan needs %llu bytes of device memory, %llu are free; take fewer --layers or steps, or "
            "a larger --tensor-parallel",
            (unsigned long long)e->bytes, (unsigned long long)there);
    for (uint32_t i = 0; i < e->n_distinct; i++)
        if (!(e->layer[i] = kb_case_load(of[0], e->device, err))) return false;
    return (e->flow = kb_case_load(of[1], e->device, err)) != NULL &&
           (e->rest = kb_case_load(of[2], e->device, err)) != NULL;
}

static bool allocate(struct kvb_engine *e, const struct kvb_engine_size *s, struct kb_error *err)
{
    struct kb_case *of[3] = {describe_layer(e, s), describe_flow(e, s), describe_rest(e, s)};
    uint64_t layer_bytes = kb_case_device_bytes(of[0]);
    e->n_distinct = choose_layers(e, layer_bytes);
    e->bytes = e->n_distinct * layer_bytes + kb_case_device_bytes(of[1]) + kb_case_device_bytes(of[2]);
    e->layer = kvb_alloc(e->n_distinct, sizeof(struct kb_loaded *));
    bool ok = load_all(e, of, err);
    for (int i = 0; i < 3; i++) kb_case_free(of[i]);
    if (ok && s->n_recalled)
        ok = (e->pinned = e->device->link->pin_alloc(e->device, s->n_recalled * kvb_page_bytes(&e->paged),
                                                     err)) != NULL;
    return ok;
}

/* --- opening --- */

static bool has_kernels(const struct kb_device *d, struct kb_error *err)
{
    static const enum kb_kernel_id needed[] = {KB_GEMM,    KB_ATTN_PREFILL, KB_ATTN_DECODE, KB_APPEND,
                                               KB_RMSNORM, KB_ROPE,         KB_SWIGLU,      KB_SAMPLE};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!d->kernel[needed[i]])
            return kb_fail(err, "%s cannot replay: it has no kernel %s", d->info.name,
                           kb_kernels[needed[i]] ? kb_kernels[needed[i]]->name : "that every layer needs");
    return true;
}

struct kvb_engine *kvb_engine_new(struct kb_device *d, const struct kvb_engine_options *o,
                                  const struct kvb_engine_size *size, struct kb_error *err)
{
    struct kvb_engine *e = kvb_alloc(1, sizeof *e);
    *e = (struct kvb_engine){.device = d, .o = *o, .share = kvb_arch_share(&o->model)};
    e->paged = paged_of(e, o->format, size->n_pages);
    e->prompt_paged = paged_of(e, KB_BF16, size->n_prompt_pages);
    bool ok = has_kernels(d, err) && (e->queue = d->ops->queue_new(d, err)) != NULL && allocate(e, size, err);
    if (ok) return e;
    kvb_engine_free(e);
    return NULL;
}

void kvb_engine_free(struct kvb_engine *e)
{
    if (!e) return;
    for (uint32_t i = 0; i < e->n_distinct; i++) kb_loaded_free(e->layer[i]);
    kb_loaded_free(e->flow);
    kb_loaded_free(e->rest);
    if (e->pinned) e->device->link->pin_free(e->device, e->pinned);
    if (e->queue) e->device->ops->queue_free(e->queue);
    free(e->layer);
    free(e);
}

uint32_t kvb_engine_distinct_layers(const struct kvb_engine *e)
{
    return e->n_distinct;
}

uint64_t kvb_engine_bytes(const struct kvb_engine *e)
{
    return e->bytes;
}
