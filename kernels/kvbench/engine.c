#include "kernels/kvbench/engine.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/format.h"
#include "kernels/host.h"
#include "kernels/kvbench/arch.h"
#include "kernels/kvbench/util.h"
#include "kernels/link.h"
#include "kernels/split.h"

enum { RESIDUAL_TOKENS = 128, CACHES = 8, SINK_TOKENS = 64, SINK_SHARE = 8, SPLITS_PER_UNIT = 8 };

static const double EPSILON = 1e-5, MEMORY_FRAC = 0.95;

/* Buffers of a layer, and those that all layers share, in the order of their cases. */
enum { W_QKV, W_OUT, W_UP, W_DOWN, W_NORM, POOL, K_SCALES, V_SCALES, RING };
enum { X, RESIDUAL, Y, QKV, Q, K, V, ATTENDED, UP, ACTIVE, LOGITS, TOKENS };
enum { W_HEAD, LSE, PARTIAL, PROMPT_POOL, WORDS };

struct kvb_engine {
    struct kb_device *device;
    struct kb_queue *queue;
    struct kvb_engine_options o;
    struct kvb_share share;
    struct kb_paged paged, prompt_paged;
    struct kb_loaded **layer; /* [n_distinct] */
    struct kb_loaded *flow, *rest;
    uint32_t n_distinct;
    uint64_t bytes;
    void *pinned; /* a page for each recall */
    double *part_s;
};

/* --- sizes --- */

/* Rows as the matrix units want them. */
static uint32_t whole16(uint32_t n)
{
    return (n + 15) / 16 * 16;
}

static uint32_t qkv_width(const struct kvb_engine *e)
{
    return (e->share.n_q_heads + 2 * e->share.n_kv_heads) * e->o.model.head_dim;
}

static uint32_t q_width(const struct kvb_engine *e)
{
    return e->share.n_q_heads * e->o.model.head_dim;
}

static uint32_t kv_width(const struct kvb_engine *e)
{
    return e->share.n_kv_heads * e->o.model.head_dim;
}

/* Room for splits, for so many lists: a few for every unit. */
static uint32_t split_room(const struct kb_device *d, uint32_t n_seqs, uint32_t n_kv_heads)
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
    uint64_t partial = (uint64_t)b->n_decode * split_room(d, b->n_decode, kvb_arch_share(m).n_kv_heads);
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
    add(c, KB_FILL_NORMAL, 2 * hidden * whole16(qkv_width(e)));
    add(c, KB_FILL_NORMAL, 2ull * whole16(e->o.model.hidden) * q_width(e));
    add(c, KB_FILL_NORMAL, 2 * hidden * whole16(2 * e->share.intermediate));
    add(c, KB_FILL_NORMAL, 2ull * whole16(e->o.model.hidden) * e->share.intermediate);
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
    uint64_t row = 2ull * s->n_tokens, hidden = whole16(e->o.model.hidden);
    add(c, KB_FILL_NORMAL, row * hidden);
    add(c, KB_FILL_NORMAL, row * hidden);
    add(c, KB_FILL_NORMAL, row * hidden);
    add(c, KB_FILL_NORMAL, row * whole16(qkv_width(e)));
    add(c, KB_FILL_NORMAL, row * q_width(e));
    add(c, KB_FILL_NORMAL, row * kv_width(e));
    add(c, KB_FILL_NORMAL, row * kv_width(e));
    add(c, KB_FILL_NORMAL, row * q_width(e));
    add(c, KB_FILL_NORMAL, row * whole16(2 * e->share.intermediate));
    add(c, KB_FILL_NORMAL, row * e->share.intermediate);
    add(c, KB_FILL_NORMAL, 2ull * s->n_yields * whole16(e->share.vocab));
    add(c, KB_FILL_POISON, 4ull * s->n_yields);
    return c;
}

static struct kb_case *describe_rest(const struct kvb_engine *e, const struct kvb_engine_size *s)
{
    struct kb_case *c = kvb_alloc(1, sizeof *c);
    add(c, KB_FILL_NORMAL, 2ull * e->o.model.hidden * whole16(e->share.vocab));
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

static uint64_t page_bytes(const struct kb_paged *p)
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
        ok = (e->pinned =
                  e->device->link->pin_alloc(e->device, s->n_recalled * page_bytes(&e->paged), err)) != NULL;
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

/* --- operators --- */

/* A step under way. */
struct step {
    struct kvb_engine *e;
    const struct kvb_batch *b;
    void *const *flow, *const *rest, *const *layer;
    struct kb_error *err;
};

static const uint32_t *words(const struct step *s, size_t at)
{
    return (const uint32_t *)s->rest[WORDS] + at;
}

/* Waits and adds what passed since `began` to a part. */
static bool account(const struct step *s, enum kvb_part part, double began)
{
    if (!s->e->part_s) return true;
    bool ok = s->e->device->ops->wait(s->e->queue, s->err);
    s->e->part_s[part] += kb_now_s() - began;
    return ok;
}

static bool launch(const struct step *s, enum kb_kernel_id id, enum kvb_part part, const void *args)
{
    double began = s->e->part_s ? kb_now_s() : 0;
    return s->e->device->kernel[id](s->e->queue, args, s->err) && account(s, part, began);
}

struct product {
    const void *x, *w;
    void *y;
    uint32_t m, n, k;
};

static bool gemm(const struct step *s, struct product p)
{
    struct kb_gemm a = {.x = p.x, .w = p.w, .y = p.y, .type = KB_BF16, .m = p.m, .n = whole16(p.n), .k = p.k};
    return launch(s, KB_GEMM, KVB_PART_GEMM, &a);
}

static bool norm(const struct step *s, uint32_t n_tokens)
{
    struct kb_rmsnorm a = {.x = s->flow[X],
                           .weight = s->layer[W_NORM],
                           .residual = s->flow[RESIDUAL],
                           .y = s->flow[Y],
                           .n_tokens = n_tokens,
                           .width = s->e->o.model.hidden,
                           .eps = (float)EPSILON};
    return launch(s, KB_RMSNORM, KVB_PART_OTHER, &a);
}

static bool rope(const struct step *s)
{
    struct kb_rope a = {.qkv = s->flow[QKV],
                        .pos = words(s, s->b->pos),
                        .n_tokens = s->b->n_tokens,
                        .n_q_heads = s->e->share.n_q_heads,
                        .n_kv_heads = s->e->share.n_kv_heads,
                        .head_dim = s->e->o.model.head_dim,
                        .theta = s->e->o.model.rope_theta};
    return launch(s, KB_ROPE, KVB_PART_OTHER, &a);
}

static bool append(const struct step *s)
{
    const struct kvb_batch *b = s->b;
    struct kb_append a = {.k = s->flow[K],
                          .v = s->flow[V],
                          .seq = words(s, b->seq),
                          .begin = words(s, b->begin),
                          .past = words(s, b->past),
                          .pages = words(s, b->tables),
                          .kv = s->layer[POOL],
                          .k_scales = s->layer[K_SCALES],
                          .v_scales = s->layer[V_SCALES],
                          .residual = s->layer[RING],
                          .paged = s->e->paged,
                          .n_seqs = b->n_seqs,
                          .n_tokens = b->n_tokens,
                          .max_new = b->max_new};
    a.paged.max_pages = b->max_pages;
    return launch(s, KB_APPEND, KVB_PART_APPEND, &a);
}

/* Pages come back from the host, before attention needs them. */
static bool recall(const struct step *s)
{
    double began = s->e->part_s ? kb_now_s() : 0;
    uint64_t bytes = page_bytes(&s->e->paged);
    for (uint32_t i = 0; i < s->b->n_recalled; i++) {
        char *to = (char *)s->layer[POOL] + i % s->e->paged.n_pages * bytes;
        const char *from = (const char *)s->e->pinned + i * bytes;
        if (!s->e->device->link->copy(s->e->queue, to, from, bytes, KB_TO_DEVICE, s->err)) return false;
    }
    return s->b->n_recalled == 0 || account(s, KVB_PART_RECALL, began);
}

/* Prompts attend to bf16 pages whatever the cache's format: compressed engines quantise behind them. */
static bool attend_prompts(const struct step *s)
{
    const struct kvb_batch *b = s->b;
    bool bf16 = s->e->o.format == KB_BF16;
    uint32_t n_decode = b->n_decode;
    size_t rows = (size_t)n_decode * q_width(s->e), tables = (size_t)n_decode * b->max_pages;
    struct kb_attn_prefill a = {.q = (const uint16_t *)s->flow[Q] + rows,
                                .kv = bf16 ? s->layer[POOL] : s->rest[PROMPT_POOL],
                                .pages = bf16 ? words(s, b->tables + tables) : words(s, b->prompt_tables),
                                .q_begin = words(s, b->q_begin),
                                .past = words(s, b->past + n_decode),
                                .out = (uint16_t *)s->flow[ATTENDED] + rows,
                                .lse = s->rest[LSE],
                                .paged = bf16 ? s->e->paged : s->e->prompt_paged,
                                .n_seqs = b->n_seqs - n_decode,
                                .n_q_heads = s->e->share.n_q_heads,
                                .n_tokens = b->n_prompt_tokens,
                                .max_new = b->max_new};
    a.paged.max_pages = b->max_pages;
    return a.n_seqs == 0 || launch(s, KB_ATTN_PREFILL, KVB_PART_ATTENTION, &a);
}

static bool attend_decode(const struct step *s)
{
    const struct kvb_batch *b = s->b;
    struct kb_attn_decode a = {.q = s->flow[Q],
                               .kv = s->layer[POOL],
                               .k_scales = s->layer[K_SCALES],
                               .v_scales = s->layer[V_SCALES],
                               .residual = s->layer[RING],
                               .pages = words(s, b->tables),
                               .lengths = words(s, b->lengths),
                               .out = s->flow[ATTENDED],
                               .partial = s->rest[PARTIAL],
                               .paged = s->e->paged,
                               .n_seqs = b->n_decode,
                               .n_q_heads = s->e->share.n_q_heads,
                               .n_splits = split_room(s->e->device, b->n_decode, s->e->share.n_kv_heads),
                               .max_tokens = b->max_decode_tokens};
    if (b->n_decode == 0) return true;
    a.mean_tokens = (uint32_t)(b->n_decode_tokens / b->n_decode);
    a.paged.max_pages = b->max_pages;
    if (s->e->o.window && b->read_tokens) {
        a.sink = b->read_tokens / SINK_SHARE < SINK_TOKENS ? b->read_tokens / SINK_SHARE : SINK_TOKENS;
        a.window = b->read_tokens - a.sink;
    }
    return launch(s, KB_ATTN_DECODE, KVB_PART_ATTENTION, &a);
}

static bool mlp(const struct step *s)
{
    uint32_t m = s->b->n_tokens, hidden = s->e->o.model.hidden, inner = s->e->share.intermediate;
    struct kb_swiglu a = {.x = s->flow[UP], .y = s->flow[ACTIVE], .n_tokens = m, .width = inner};
    return gemm(s, (struct product){s->flow[Y], s->layer[W_UP], s->flow[UP], m, 2 * inner, hidden}) &&
           launch(s, KB_SWIGLU, KVB_PART_OTHER, &a) &&
           gemm(s, (struct product){s->flow[ACTIVE], s->layer[W_DOWN], s->flow[X], m, hidden, inner});
}

static bool layer(const struct step *s)
{
    uint32_t m = s->b->n_tokens, hidden = s->e->o.model.hidden;
    return norm(s, m) &&
           gemm(s, (struct product){s->flow[Y], s->layer[W_QKV], s->flow[QKV], m, qkv_width(s->e), hidden}) &&
           rope(s) && append(s) && recall(s) && attend_prompts(s) && attend_decode(s) &&
           gemm(s,
                (struct product){s->flow[ATTENDED], s->layer[W_OUT], s->flow[X], m, hidden, q_width(s->e)}) &&
           norm(s, m) && mlp(s);
}

/* The last norm, then a token for every row that yields one. */
static bool head(const struct step *s)
{
    uint32_t m = s->b->n_yields, vocab = whole16(s->e->share.vocab);
    struct kb_sample a = {.logits = s->flow[LOGITS], .token = s->flow[TOKENS], .n_rows = m, .vocab = vocab};
    if (!norm(s, s->b->n_tokens)) return false;
    return m == 0 || (gemm(s, (struct product){s->flow[Y], s->rest[W_HEAD], s->flow[LOGITS], m, vocab,
                                               s->e->o.model.hidden}) &&
                      launch(s, KB_SAMPLE, KVB_PART_OTHER, &a));
}

bool kvb_engine_step(struct kvb_engine *e, const struct kvb_batch *b, uint32_t n_layers,
                     struct kvb_step_time *out, struct kb_error *err)
{
    struct step s = {e, b, e->flow->args.pointer, e->rest->args.pointer, e->layer[0]->args.pointer, err};
    double began = kb_now_s();
    *out = (struct kvb_step_time){0};
    e->part_s = e->o.breakdown ? out->part_s : NULL;
    if (!e->device->ops->upload(e->device, s.rest[WORDS], b->word, b->n_words * sizeof *b->word, err))
        return false;
    out->prepare_s = kb_now_s() - began;
    began = kb_now_s();
    for (uint32_t i = 0; i < n_layers; i++) {
        s.layer = e->layer[i % e->n_distinct]->args.pointer;
        if (!layer(&s)) return false;
    }
    if (!head(&s) || !e->device->ops->wait(e->queue, err)) return false;
    out->measured_s = kb_now_s() - began;
    return true;
}
