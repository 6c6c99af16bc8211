/* A decoder's layers on a device, to execute batches: weights, KV pools and activations are allocated and filled
 * with random numbers once, then every step queues the operators of all its layers and waits. K layers with
 * weights and pools of their own are cycled through, so that nothing is found in the cache that a whole model
 * would have driven out. Operators work on buffers of their own: their shapes and traffic are the model's, their
 * values are not handed on, because no time depends on them. */
#ifndef KVSIM_KERNELS_KVBENCH_ENGINE_H
#define KVSIM_KERNELS_KVBENCH_ENGINE_H

#include "kernels/case.h"
#include "kernels/kvbench/batch.h"

/* What is imposed from outside. */
struct kvb_engine_options {
    struct kb_model model;
    enum kb_format format; /* of the KV cache */
    bool window;           /* streaming_llm: decode reads sinks and a window */
    uint32_t page_tokens;
    uint32_t n_distinct_layers; /* 0: as many as the cache asks for */
    bool breakdown;             /* waits after every operator, to time each */
};

/* The most that any step of the plan needs. */
struct kvb_engine_size {
    uint32_t n_pages, n_prompt_pages, n_tokens, n_seqs, n_yields, n_recalled;
    size_t n_words;
    uint64_t n_partial; /* splits x sequences */
};

enum kvb_part {
    KVB_PART_GEMM,
    KVB_PART_ATTENTION,
    KVB_PART_APPEND,
    KVB_PART_RECALL,
    KVB_PART_OTHER,
    KVB_N_PARTS
};

struct kvb_step_time {
    double measured_s;          /* from the first launch to the end of the last */
    double prepare_s;           /* before: numbers and tables uploaded */
    double part_s[KVB_N_PARTS]; /* with breakdown */
};

struct kvb_engine;

/* NULL with one line: a kernel that the device lacks, or the bytes needed and the bytes there. */
struct kvb_engine *kvb_engine_new(struct kb_device *d, const struct kvb_engine_options *o,
                                  const struct kvb_engine_size *size, struct kb_error *err);
void kvb_engine_free(struct kvb_engine *e);

/* Executes a batch; n_layers of the model, all of them or fewer to warm up. */
bool kvb_engine_step(struct kvb_engine *e, const struct kvb_batch *b, uint32_t n_layers,
                     struct kvb_step_time *out, struct kb_error *err);

uint32_t kvb_engine_distinct_layers(const struct kvb_engine *e);
uint64_t kvb_engine_bytes(const struct kvb_engine *e);

/* Adds what a batch needs to the most so far. */
void kvb_engine_size_add(struct kvb_engine_size *s, const struct kvb_batch *b, const struct kb_device *d,
                         const struct kb_model *m);

#endif
