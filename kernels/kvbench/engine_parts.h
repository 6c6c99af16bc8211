/* The inside of an engine, for engine.c, which allocates, and engine_step.c, which launches. */
#ifndef KVSIM_KERNELS_KVBENCH_ENGINE_PARTS_H
#define KVSIM_KERNELS_KVBENCH_ENGINE_PARTS_H

#include "kernels/format.h"
#include "kernels/kvbench/arch.h"
#include "kernels/kvbench/engine.h"

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

/* Rows as the matrix units want them. */
static inline uint32_t kvb_whole16(uint32_t n)
{
    return (n + 15) / 16 * 16;
}

static inline uint32_t kvb_qkv_width(const struct kvb_engine *e)
{
    return (e->share.n_q_heads + 2 * e->share.n_kv_heads) * e->o.model.head_dim;
}

static inline uint32_t kvb_q_width(const struct kvb_engine *e)
{
    return e->share.n_q_heads * e->o.model.head_dim;
}

static inline uint32_t kvb_kv_width(const struct kvb_engine *e)
{
    return e->share.n_kv_heads * e->o.model.head_dim;
}

/* Room for splits of so many lists, sequences x KV heads: a few for every unit. */
uint32_t kvb_split_room(const struct kb_device *d, uint32_t n_seqs, uint32_t n_kv_heads);

uint64_t kvb_page_bytes(const struct kb_paged *p);

#endif
