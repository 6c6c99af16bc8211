#include "kernels/kvbench/engine_parts.h"

#include "kernels/host.h"
#include "kernels/link.h"

enum { SINK_TOKENS = 64, SINK_SHARE = 8 };

static const double EPSILON = 1e-5;

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
    struct kb_gemm a = {
        .x = p.x, .w = p.w, .y = p.y, .type = KB_BF16, .m = p.m, .n = kvb_whole16(p.n), .k = p.k};
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
    uint64_t bytes = kvb_page_bytes(&s->e->paged);
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
    size_t rows = (size_t)n_decode * kvb_q_width(s->e), tables = (size_t)n_decode * b->max_pages;
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
                               .n_splits = kvb_split_room(s->e->device, b->n_decode, s->e->share.n_kv_heads),
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
           gemm(s, (struct product){s->flow[Y], s->layer[W_QKV], s->flow[QKV], m, kvb_qkv_width(s->e),
                                    hidden}) &&
           rope(s) && append(s) && recall(s) && attend_prompts(s) && attend_decode(s) &&
           gemm(s, (struct product){s->flow[ATTENDED], s->layer[W_OUT], s->flow[X], m, hidden,
                                    kvb_q_width(s->e)}) &&
           norm(s, m) && mlp(s);
}

/* The last norm, then a token for every row that yields one. */
static bool head(const struct step *s)
{
    uint32_t m = s->b->n_yields, vocab = kvb_whole16(s->e->share.vocab);
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
